/* fuzz_tokens.c - any content of FILE.hone-tokens, with the right key and the right hash, as somebody who means harm would write it: it is used only when
 * every example keeps what dataset.h promises. The first byte says whether the counts of Head are made to fit the length. */
#include "base/hash.h"
#include "base/log.h"
#include "data/data_int.h"

#include <stdio.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Head of tokens.c */
enum { KEY = 16, ORDER = 88, KIND = 92, ROWS = 104, TOKENS = 112, HASH = 152, HEAD = 168, MOST = 4096 };

static void put64(uint8_t *at, uint64_t v) { memcpy(at, &v, sizeof v); }

static void check(const DataSet *d, const DataOptions *o)
{
    int64_t trained = 0;
    for (size_t i = 0; i < d->n; i++) {
        const Example *x = &d->ex[i];
        BUG_ON(x->n < 1 || x->n > o->max_length || x->n_train < 1 || x->train[0] || x->line < 1);
        for (int32_t k = 0; k < x->n; k++) {
            BUG_ON(x->ids[k] < 0 || x->ids[k] >= o->vocab || x->train[k] > 1);
            trained += x->train[k];
        }
    }
    BUG_ON(!d->n || trained < (int64_t)d->n || d->file[0].kind > DATA_RAW_TEXT);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static char       path[80], key[SHA256_HEX];
    const DataOptions o = { .max_length = 50, .vocab = 1000 };
    DataFile          file = { .path = path };
    DataSet           d = { .file = &file, .n_files = 1 };
    LongRows          too_long = { 0 };
    size_t            cap = 0, body = n > HASH - KIND + 1 ? MIN(n - (HASH - KIND + 1), (size_t)MOST) : 0;
    uint8_t           all[HEAD + MOST] = "hone-tokens 1\n";
    StrBuf            name = { 0 };
    Err               e = { 0 };
    if (n < HASH - KIND + 1)
        return 0;
    if (!path[0]) {
        snprintf(path, sizeof path, "%s/fuzz-tokens-%d", file_is_dir("/dev/shm") ? "/dev/shm" : "/tmp", (int)getpid());
        memset(key, 'a', sizeof key - 1);
        log_stderr(false);
    }
    memcpy(all + KEY, key, sizeof key);
    memcpy(all + ORDER, &(uint32_t){ 1 }, sizeof(uint32_t));
    memcpy(all + KIND, p + 1, HASH - KIND);
    memcpy(all + HEAD, p + 1 + HASH - KIND, body);
    if (p[0] & 1) {
        const uint64_t rows = MIN((uint64_t)(p[0] >> 1), body / 17);
        put64(all + ROWS, rows);
        put64(all + TOKENS, (body - 12 * rows) / 5);
        body = (size_t)(12 * rows + (body - 12 * rows) / 5 * 5);
        memset(all + KIND, 0, 4);
    }
    Hash128 hash = xxh3_128(all + HEAD, body);
    memcpy(all + HASH, &hash, sizeof hash);
    hash = xxh3_128(all, HEAD);
    memcpy(all + HASH, &hash, sizeof hash);
    strbuf_addf(&name, "%s.hone-tokens", path);
    BUG_ON(file_write_atomic(strbuf_z(&name), all, HEAD + body, &e) != 0);
    if (tokens_read(&d, &cap, &too_long, 0, key, &o))
        check(&d, &o);
    else
        BUG_ON(d.n || d.n_maps);
    for (size_t i = 0; i < d.n_maps; i++)
        file_unmap(&d.map[i]);
    free(d.map);
    free(d.ex);
    unlink(strbuf_z(&name));
    strbuf_release(&name);
    return 0;
}
