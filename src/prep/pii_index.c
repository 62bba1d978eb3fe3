/* pii_index.c - the subject index: a plain array of (kind, key, row), sorted once. Row names live in an arena. */
#include "prep/pii_index.h"

#include "base/arena.h"
#include "formats/jsonl.h"

#include <inttypes.h>

typedef struct Pair { PiiKind kind; char key[PII_KEY_HEX]; Str row; } Pair;

struct PiiIndex {
    Arena     arena;
    VEC(Pair) pairs;
    bool      sealed;
};

PiiIndex *pii_index_new(void)
{
    return mem_zalloc(1, sizeof(PiiIndex));
}

void pii_index_free(PiiIndex *x)
{
    if (!x)
        return;
    arena_release(&x->arena);
    vec_release(&x->pairs);
    free(x);
}

static Str keep(PiiIndex *x, Str row)
{
    char *p = arena_alloc(&x->arena, row.n + 1);
    if (row.n)
        memcpy(p, row.p, row.n);
    p[row.n] = 0;
    return (Str){ p, row.n };
}

int pii_index_add(PiiIndex *x, const PiiReplacer *r, Str row, Str text, const PiiSpans *spans, Err *e)
{
    if (row.n > PII_ROW_MAX)
        return err_set(e, ERR_INPUT, "subject index: the name of a row has %zu bytes, at most %d are kept", row.n, PII_ROW_MAX);
    Str name = {0};
    for (size_t i = 0; i < spans->n; i++) {
        const PiiSpan *s = &spans->p[i];
        if (!name.p)
            name = keep(x, row);
        Pair *p = vec_push(&x->pairs);
        p->kind = s->kind;
        p->row = name;
        pii_key(r, s->kind, (Str){ text.p + s->begin, s->end - s->begin }, p->key);
        x->sealed = false;
    }
    return 0;
}

void pii_index_merge(PiiIndex *into, const PiiIndex *from)
{
    for (size_t i = 0; i < from->pairs.n; i++) {
        Pair p = from->pairs.p[i];
        p.row = keep(into, p.row);
        *vec_push(&into->pairs) = p;
        into->sealed = false;
    }
}

static int compare(const void *a, const void *b)
{
    const Pair *x = a, *y = b;
    int c = x->kind != y->kind ? (int)x->kind - (int)y->kind : strcmp(x->key, y->key);
    if (!c)
        c = memcmp(x->row.p, y->row.p, MIN(x->row.n, y->row.n));
    return c ? c : x->row.n < y->row.n ? -1 : x->row.n > y->row.n;
}

void pii_index_seal(PiiIndex *x)
{
    size_t n = 0;
    if (x->pairs.n)
        qsort(x->pairs.p, x->pairs.n, sizeof *x->pairs.p, compare);
    for (size_t i = 0; i < x->pairs.n; i++)
        if (!n || compare(&x->pairs.p[n - 1], &x->pairs.p[i]) != 0)
            x->pairs.p[n++] = x->pairs.p[i];
    x->pairs.n = n;
    x->sealed = true;
}

size_t pii_index_count(const PiiIndex *x)
{
    return x->pairs.n;
}

void pii_index_find(const PiiIndex *x, const PiiReplacer *r, PiiKind k, Str value, PiiRows *rows)
{
    Pair want = { .kind = k, .row = STR_LIT("") };
    size_t lo = 0, hi = x->pairs.n;
    BUG_ON(!x->sealed && x->pairs.n);
    vec_clear(rows);
    pii_key(r, k, value, want.key);
    while (lo < hi) {
        const size_t mid = lo + (hi - lo) / 2;
        if (compare(&x->pairs.p[mid], &want) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < x->pairs.n && x->pairs.p[lo].kind == k && strcmp(x->pairs.p[lo].key, want.key) == 0; lo++)
        *vec_push(rows) = x->pairs.p[lo].row;
}

void pii_index_write(const PiiIndex *x, StrBuf *out)
{
    BUG_ON(!x->sealed && x->pairs.n);
    for (size_t i = 0, k; i < x->pairs.n; i = k) {
        const Pair *p = &x->pairs.p[i];
        strbuf_addf(out, "{\"kind\": \"%s\", \"key\": \"%s\", \"rows\": [", pii_kind_info(p->kind)->name, p->key);
        for (k = i; k < x->pairs.n && x->pairs.p[k].kind == p->kind && strcmp(x->pairs.p[k].key, p->key) == 0; k++) {
            strbuf_addz(out, k > i ? ", " : "");
            json_write_string(out, x->pairs.p[k].row);
        }
        strbuf_addz(out, "]}\n");
    }
}

static bool is_key(Str s)
{
    for (size_t k = 0; k < s.n; k++)
        if (!strchr("0123456789abcdef", s.p[k]) || !s.p[k])
            return false;
    return s.n == PII_KEY_HEX - 1;
}

static int read_row(PiiIndex *x, const Json *row, const char *where, Err *e)
{
    Str kind, key;
    Json *rows = NULL;
    PiiKind k;
    int rc = json_need_str(row, "kind", &kind, where, e);
    if (!rc)
        rc = json_need_str(row, "key", &key, where, e);
    if (!rc)
        rc = json_opt_array(row, "rows", &rows, where, e);
    if (rc)
        return rc;
    if (!pii_kind_find(kind, &k))
        return err_set(e, ERR_INPUT, "%s: \"kind\" is \"%.*s\", which is no kind of personal data", where, (int)MIN(kind.n, (size_t)40), kind.p);
    if (!is_key(key))
        return err_set(e, ERR_INPUT, "%s: \"key\" must be %d hexadecimal digits", where, PII_KEY_HEX - 1);
    for (size_t i = 0; i < json_len(rows); i++) {
        const Json *name = json_at(rows, i);
        if (json_kind(name) != JSON_STRING || json_str(name).n > PII_ROW_MAX)
            return err_set(e, ERR_INPUT, "%s: \"rows\" must hold names of at most %d bytes, number %zu is %s", where, PII_ROW_MAX, i + 1,
                    json_kind_name(name));
        Pair *p = vec_push(&x->pairs);
        p->kind = k;
        memcpy(p->key, key.p, key.n);
        p->row = keep(x, json_str(name));
    }
    return 0;
}

int pii_index_read(PiiIndex **out, Str text, const char *name, Err *e)
{
    Jsonl r;
    Json *row = NULL;
    PiiIndex *x = pii_index_new();
    StrBuf where = {0};
    int rc;
    jsonl_open_memory(&r, text, name);
    while ((rc = jsonl_next(&r, &row, e)) == 1) {
        strbuf_clear(&where);
        strbuf_addf(&where, "%s, line %" PRId64, name, r.line);
        rc = read_row(x, row, strbuf_z(&where), e);
        json_free(row);
        if (rc)
            break;
    }
    jsonl_close(&r);
    strbuf_release(&where);
    if (rc) {
        pii_index_free(x);
        x = NULL;
    } else
        pii_index_seal(x);
    *out = x;
    return rc;
}
