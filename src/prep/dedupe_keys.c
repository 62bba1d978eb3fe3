/* dedupe_keys.c - the file of rows that dedupe_find searches. A block is a head of 16 bytes (its rows, the bands, zeros) and then one column after the other:
 * exact hashes, ids, numbers of shingles, scores, the keys of the first band, of the second, ...; it is filled up to 16 bytes, so that every column is aligned.
 * Rows of a block are in order, and so are blocks. The file is this machine's own, for the time of one preparation: numbers are as the machine writes them.
 * Main structs: DedupeKeys, the block that is being filled; KeyFile. */
#include "prep/dedupe_int.h"

#include <stdlib.h>

#define HEAD 16

struct DedupeKeys {
    const MinHash *m;
    size_t    n, bands;
    int64_t   last;         /* id */
    Hash128  *exact;        /* [DEDUPE_BLOCK], as those below */
    uint32_t *id, *n_shingles, *key; /* key: [bands, DEDUPE_BLOCK] */
    float    *score;
};

DedupeKeys *dedupe_keys_new(const MinHash *m)
{
    DedupeKeys *k = mem_zalloc(1, sizeof *k);
    *k = (DedupeKeys){ .m = m, .bands = (size_t)minhash_cfg(m)->bands, .last = -1 };
    k->exact = mem_zalloc(DEDUPE_BLOCK, sizeof *k->exact);
    k->id = mem_zalloc(DEDUPE_BLOCK, sizeof *k->id);
    k->n_shingles = mem_zalloc(DEDUPE_BLOCK, sizeof *k->n_shingles);
    k->score = mem_zalloc(DEDUPE_BLOCK, sizeof *k->score);
    k->key = mem_zalloc(DEDUPE_BLOCK * k->bands, sizeof *k->key);
    return k;
}

void dedupe_keys_free(DedupeKeys *k)
{
    if (!k)
        return;
    free(k->exact);
    free(k->id);
    free(k->n_shingles);
    free(k->score);
    free(k->key);
    free(k);
}

/* Bytes of a block with n rows. */
static size_t block_bytes(size_t n, size_t bands)
{
    return (HEAD + n * (sizeof(Hash128) + 3 * 4 + bands * 4) + 15) / 16 * 16;
}

void dedupe_end_block(DedupeKeys *k, StrBuf *out)
{
    static const char none[16];
    const uint32_t head[HEAD / 4] = { (uint32_t)k->n, (uint32_t)k->bands };
    const size_t   end = out->n + block_bytes(k->n, k->bands);
    if (!k->n)
        return;
    strbuf_add(out, head, sizeof head);
    strbuf_add(out, k->exact, k->n * sizeof *k->exact);
    strbuf_add(out, k->id, k->n * sizeof *k->id);
    strbuf_add(out, k->n_shingles, k->n * sizeof *k->n_shingles);
    strbuf_add(out, k->score, k->n * sizeof *k->score);
    for (size_t b = 0; b < k->bands; b++)
        strbuf_add(out, k->key + b * DEDUPE_BLOCK, k->n * sizeof *k->key);
    strbuf_add(out, none, end - out->n);
    k->n = 0;
}

int dedupe_add(DedupeKeys *k, int64_t row, const MinHashRow *h, float score, StrBuf *out, Err *e)
{
    BUG_ON(row <= k->last);
    if ((uint64_t)row > DEDUPE_ROWS_MAX)
        return err_set(e, ERR_INPUT, "row %lld: more than %zu rows cannot be searched for duplicates at once; split the data set", (long long)row, DEDUPE_ROWS_MAX);
    const size_t i = k->n++;
    k->last = row;
    k->exact[i] = h->exact;
    k->id[i] = (uint32_t)row;
    k->n_shingles[i] = h->n_shingles;
    k->score[i] = score;
    for (size_t b = 0; b < k->bands; b++)
        k->key[b * DEDUPE_BLOCK + i] = h->n_shingles ? h->key[b] : 0;
    if (k->n == DEDUPE_BLOCK)
        dedupe_end_block(k, out);
    return 0;
}

/* ---- reading -------------------------------------------------------------------------------------------------------------------------------------- */

int key_file_open(KeyFile *f, const char *path, int bands, Err *e)
{
    *f = (KeyFile){ 0 };
    int rc = view_open(&f->view, path, e);
    for (uint64_t at = 0; at < f->view.map.n && !rc;) {
        const size_t    left = f->view.map.n - at;
        const uint32_t *head = left < HEAD ? NULL : view_at(&f->view, at, HEAD);
        if (!head || !head[0] || head[0] > DEDUPE_BLOCK || head[1] != (uint32_t)bands || f->rows + head[0] > DEDUPE_ROWS_MAX + 1 || block_bytes(head[0], head[1]) > left) {
            rc = err_set(e, ERR_INPUT, "%s: at byte %llu there should be the keys of rows; it was changed or cut, or another version wrote it: remove the folder and start anew", path,
                         (unsigned long long)at);
            break;
        }
        *vec_push(&f->block) = (KeyBlock){ at, f->rows, head[0] };
        f->rows += head[0];
        at += block_bytes(head[0], head[1]);
    }
    return rc;
}

void key_file_close(KeyFile *f)
{
    view_close(&f->view);
    vec_release(&f->block);
}

/* Columns of 4-byte numbers stand behind the hashes. */
static const void *column(const KeyFile *f, const KeyBlock *b, size_t number)
{
    return view_at(&f->view, b->at + HEAD + b->n * (sizeof(Hash128) + number * 4), b->n * (size_t)4);
}

const Hash128  *key_file_exact(const KeyFile *f, const KeyBlock *b) { return view_at(&f->view, b->at + HEAD, b->n * sizeof(Hash128)); }
const uint32_t *key_file_ids(const KeyFile *f, const KeyBlock *b) { return column(f, b, 0); }
const uint32_t *key_file_shingles(const KeyFile *f, const KeyBlock *b) { return column(f, b, 1); }
const float    *key_file_scores(const KeyFile *f, const KeyBlock *b) { return column(f, b, 2); }
const uint32_t *key_file_band(const KeyFile *f, const KeyBlock *b, size_t band) { return column(f, b, 3 + band); }

/* A number of one row. */
static uint32_t number_of(const KeyFile *f, size_t row, size_t number)
{
    size_t lo = 0, hi = f->block.n;
    while (hi - lo > 1) {
        const size_t mid = (lo + hi) / 2;
        if (f->block.p[mid].first <= row)
            lo = mid;
        else
            hi = mid;
    }
    const KeyBlock *b = &f->block.p[lo];
    return *(const uint32_t *)view_at(&f->view, b->at + HEAD + b->n * (sizeof(Hash128) + number * 4) + (row - b->first) * 4, 4);
}

uint32_t key_file_id(const KeyFile *f, size_t row) { return number_of(f, row, 0); }
uint32_t key_file_size(const KeyFile *f, size_t row) { return number_of(f, row, 1); }
