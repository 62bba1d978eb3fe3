/* tokens.c - what became of a large data file is kept beside it, so that the next run on it need not tokenise it again: FILE.hone-tokens.
 * Beside the data and nowhere else, because it says what the data says: who looks for somebody's data in a folder, moves it or deletes it finds both. Only the
 * owner may read it. There is one for each data file, replaced when data, tokenizer, template, options or program are others; deleting it costs time only.
 *
 * The file, in the byte order of the machine: Head; line of each example (8 bytes), its number of tokens (4), the tokens of all (4 each), which of them are
 * trained (1 each). Invariants: a file is used only when its key is the same, its length is what Head says, and its XXH3 is right; and, since a hash keeps out
 * accidents but no malice, when every id and length lies within the bounds that a DataSet promises. Anything else is as good as no file. */
#include "data/data_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

#define ENDING ".hone-tokens"
#define MAGIC  "hone-tokens 1\n"

typedef struct Head {
    char     magic[16], key[SHA256_HEX + 7];
    uint32_t order;             /* 1, as this machine writes it */
    uint32_t kind, in_array, none;
    int64_t  n, tokens, n_long, longest, n_cut, first;
    Hash128  hash;              /* of Head with this hash zero, and of all that follows */
} Head;
_Static_assert(sizeof(Head) % 8 == 0, "the arrays behind Head lie aligned, and it has no holes");

typedef struct Arrays { const int64_t *line; const int32_t *n, *ids; const uint8_t *train; } Arrays;

/* Everything that shapes rows: the bytes, the tokenizer with its template, the options; and the program, whose rules may have changed. */
void tokens_key(char key[SHA256_HEX], const char *data_sha256, const Tok *t, const DataOptions *o)
{
    char   program[SHA256_HEX] = "";
    StrBuf all = { 0 };
    Sha256 h;
    sha256_file("/proc/self/exe", program, NULL);
    strbuf_addf(&all, "%s %s %s %d %d %d %d ", program, data_sha256, tok_hash(t), (int)o->objective, (int)o->max_length, (int)o->on_long, (int)o->vocab);
    strbuf_addz(&all, o->separator ? o->separator : "");
    sha256_init(&h);
    sha256_add(&h, all.p, all.n);
    sha256_hex(&h, key);
    strbuf_release(&all);
}

static char *path_of(const DataSet *d, int32_t file)
{
    StrBuf path = { 0 };
    strbuf_addf(&path, "%s" ENDING, d->file[file].path);
    return strbuf_take(&path);
}

/* --- reading ----------------------------------------------------------------------------------------------------------------------------------- */

static bool is_whole(const Head *h, const uint8_t *rest, size_t nbytes)
{
    const uint64_t most = INT64_MAX / 32;
    Head           plain = *h;
    if (memcmp(h->magic, MAGIC, sizeof MAGIC) != 0 || h->order != 1 || h->kind > DATA_RAW_TEXT || (uint64_t)h->n > most || (uint64_t)h->tokens > most ||
        12 * (uint64_t)h->n + 5 * (uint64_t)h->tokens != nbytes)
        return false;
    plain.hash = xxh3_128(rest, nbytes);
    plain.hash = xxh3_128(&plain, sizeof plain);
    return plain.hash.lo == h->hash.lo && plain.hash.hi == h->hash.hi;
}

/* What dataset.h promises of examples, and what planning goes by. */
static bool rows_fit(const Head *h, const Arrays *a, const DataOptions *o)
{
    const uint32_t vocab = o->vocab > 0 ? (uint32_t)o->vocab : INT32_MAX;
    int64_t        at = 0;
    unsigned       bad = h->n < 1 || h->n_long < 0 || h->n_cut < 0 || h->first < 0;
    for (int64_t i = 0; i < h->n && !bad; at += a->n[i++]) {
        unsigned trained = 0;
        bad = a->n[i] < 2 || a->n[i] > o->max_length || a->n[i] > h->tokens - at || a->line[i] < 1 || a->train[at];
        for (int32_t k = 1; k < a->n[i] && !bad; k++)
            trained |= a->train[at + k];
        bad |= !trained;
    }
    for (int64_t i = 0; i < h->tokens; i++)
        bad |= (unsigned)((uint32_t)a->ids[i] >= vocab) | (unsigned)(a->train[i] > 1);
    return !bad && at == h->tokens;
}

static void add_rows(DataSet *d, size_t *cap, int32_t file, const Head *h, const Arrays *a)
{
    int64_t at = 0;
    for (int64_t i = 0; i < h->n; at += a->n[i++]) { /* the casts: nobody writes to the tokens of a set */
        Example x = { .ids = (int32_t *)(uintptr_t)(a->ids + at), .train = (uint8_t *)(uintptr_t)(a->train + at), .n = a->n[i], .file = file, .line = a->line[i] };
        for (int32_t k = 0; k < x.n; k++)
            x.n_train += x.train[k];
        d->ex = vec_grow_(d->ex, sizeof *d->ex, d->n, cap);
        d->ex[d->n++] = x;
    }
}

bool tokens_read(DataSet *d, size_t *cap, LongRows *too_long, int32_t file, const char *key, const DataOptions *o)
{
    char          *path = path_of(d, file);
    FileMap        map = { 0 };
    bool           used = false;
    const Head    *h = NULL;
    const uint8_t *rest;
    if (!file_exists(path) || file_map(&map, path, NULL))
        goto done;
    h = (const Head *)(const void *)map.p;
    rest = map.p + sizeof *h;
    if (map.n >= sizeof *h && strncmp(h->key, key, sizeof h->key) != 0)
        goto done; /* of other data, or for another model or program */
    if (map.n >= sizeof *h && is_whole(h, rest, map.n - sizeof *h)) {
        const uint8_t *ids = rest + 12 * h->n;
        const Arrays   a = { (const int64_t *)(const void *)rest, (const int32_t *)(const void *)(rest + 8 * h->n), (const int32_t *)(const void *)ids,
                             ids + 4 * h->tokens };
        used = rows_fit(h, &a, o);
        if (used)
            add_rows(d, cap, file, h, &a);
    }
    if (used) {
        d->file[file].kind = (DataKind)h->kind;
        *too_long = (LongRows){ .n = h->n_long, .longest = h->longest, .n_cut = h->n_cut, .first = h->first, .in_array = h->in_array };
        d->map = mem_realloc(d->map, d->n_maps + 1, sizeof *d->map);
        d->map[d->n_maps++] = map;
        map = (FileMap){ 0 };
    } else {
        log_info("data", "%s is damaged; the data is tokenised anew", path);
    }
done:
    file_unmap(&map);
    free(path);
    return used;
}

/* --- writing ----------------------------------------------------------------------------------------------------------------------------------- */

/* One array after the other, in two turns: for the hash, which stands in front, and into the file (out not NULL). */
static int put_rows(const DataSet *d, size_t first, Xxh3 *hash, FileOut *out, Err *e)
{
    int rc = 0;
    for (int k = 0; k < 4 && !rc; k++)
        for (size_t i = first; i < d->n && !rc; i++) {
            const Example *x = &d->ex[i];
            const void    *from[] = { &x->line, &x->n, x->ids, x->train };
            const size_t   nbytes[] = { sizeof x->line, sizeof x->n, (size_t)x->n * sizeof *x->ids, (size_t)x->n };
            if (out)
                rc = file_out_write(out, from[k], nbytes[k], e);
            else
                xxh3_add(hash, from[k], nbytes[k]);
        }
    return rc;
}

void tokens_write(const DataSet *d, size_t first, const LongRows *too_long, int32_t file, const char *key)
{
    char    *path = path_of(d, file);
    Head     h = { .magic = MAGIC, .order = 1, .kind = (uint32_t)d->file[file].kind, .in_array = too_long->in_array, .n = (int64_t)(d->n - first),
                   .n_long = too_long->n, .longest = too_long->longest, .n_cut = too_long->n_cut, .first = too_long->first };
    FileOut *out = NULL;
    Xxh3    *hash = xxh3_new();
    Err      e = { 0 };
    snprintf(h.key, sizeof h.key, "%s", key);
    for (size_t i = first; i < d->n; i++)
        h.tokens += d->ex[i].n;
    put_rows(d, first, hash, NULL, NULL);
    h.hash = xxh3_end(hash);
    h.hash = xxh3_128(&h, sizeof h);
    if (file_out_open(&out, path, &e) || file_out_private(out, &e) || file_out_write(out, &h, sizeof h, &e) || put_rows(d, first, NULL, out, &e) ||
        file_out_finish(&out, &e))
        log_info("data", "%s; the data will be tokenised anew the next time", e.text);
    else
        log_info("data", "the tokens of %s are kept in %s for the next run", d->file[file].path, path);
    file_out_abort(&out);
    free(path);
}
