/* review_person.c - the rows that hold a value of a person (an address, a number, a name), by the keyed hashes of subjects.jsonl: what an erasure begins with. */
#include "prep/review_int.h"

#include <stdlib.h>

#include "base/secret.h"
#include "prep/pii_replace.h"

/* The hash of the value as each kind would have it: who asks need not know what the scanner took it for. */
static int keys_of(Str value, const char *path, Map *keys, Err *e)
{
    const PiiPolicy policy = pii_policy_default();
    PiiScanner     *scanner = NULL;
    PiiReplacer    *replacer = NULL;
    char            secret[SECRET_HEX], key[PII_KEY_HEX];
    int             rc = file_exists(path) ? secret_file(path, secret, e) : err_set(e, ERR_ARG, "%s is not there; give the key of the data folder by --pii-key FILE", path);
    if (!rc)
        rc = pii_scanner_new(&scanner, &(PiiOptions){ 0 }, e);
    if (!rc)
        rc = pii_replacer_new(&replacer, scanner, &policy, str_of(secret), e);
    for (int k = 0; k < PII_KINDS && !rc; k++) {
        pii_key(replacer, (PiiKind)k, value, key);
        map_put(keys, str_of(key), k);
    }
    pii_replacer_free(replacer);
    pii_scanner_free(scanner);
    return rc;
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int sweep(const Review *r, const Map *keys, ReviewRows *out, Err *e)
{
    char   *path = path_join(r->dir, "subjects.jsonl");
    FileMap m = { 0 };
    int     rc = file_map(&m, path, e);
    for (size_t at = 0, end; at < m.n && !rc; at = end + 1) {
        const char *p = (const char *)m.p + at, *lf = memchr(p, '\n', m.n - at);
        Json       *j = NULL;
        int64_t     kind, row = 0;
        uint32_t    index;
        end = at + (lf ? (size_t)(lf - p) : m.n - at);
        if (end == at)
            continue;
        if (!(rc = json_parse(&j, (Str){ p, end - at }, path, e)) && map_get(keys, json_str(json_get(j, "key")), &kind) && !(rc = json_need_int(j, "row", &row, path, e)) &&
            review_find(r, row, &index))
            *vec_push(out) = row;
        json_free(j);
    }
    if (out->n)
        qsort(out->p, out->n, sizeof *out->p, by_number);
    size_t n = 0;
    for (size_t i = 0; i < out->n; i++)
        if (!n || out->p[n - 1] != out->p[i])
            out->p[n++] = out->p[i];
    out->n = n;
    file_unmap(&m);
    free(path);
    return rc;
}

int review_person(const char *dir, Str value, const char *pii_key_path, ReviewRows *out, Err *e)
{
    Review *r = NULL;
    Map    *keys = map_new();
    char   *path = NULL;
    int     rc = review_open(&r, dir, &(ReviewOptions){ .read_only = true }, e);
    if (!rc) {
        path = pii_key_path && *pii_key_path ? mem_strdup(pii_key_path) : r->cfg.pii_key && *r->cfg.pii_key ? mem_strdup(r->cfg.pii_key) : path_join(r->dir, "pii.key");
        rc = value.n ? keys_of(value, path, keys, e) : err_set(e, ERR_ARG, "the value to look for is empty");
    }
    if (!rc)
        rc = sweep(r, keys, out, e);
    review_close(r);
    map_free(keys);
    free(path);
    return rc;
}
