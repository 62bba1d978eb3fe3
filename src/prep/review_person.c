/* review_person.c - the rows that hold a value of a person (an address, a number, a name): what an erasure begins with, so a "no" has to be true. Two ways, and their union:
 * the keyed hashes of subjects.jsonl know what detectors found before it was replaced; what no detector knows (a customer's number) stands in the rows as it was, and
 * is looked for there, in everything that the folder has of a row: texts, meta and its names, the raw text of a row that could not be read, texts before a repair, and
 * what people wrote.
 * Main struct: Look, the value in the forms in which texts are compared. */
#include "prep/review_int.h"

#include <stdlib.h>

#include "base/secret.h"
#include "base/utf8.h"
#include "prep/record.h"
#include "prep/subject.h"

#define LEAST_DIGITS 4 /* of a value that is compared without signs between its characters */

/* ---- by the index ----------------------------------------------------------------------------------------------------------------------------------- */

/* The hash of the value as each kind would have it, since who asks need not know what the scanner took it for: 0; of each word of a name: its number from 1. */
static int keys_of(Str value, const char *path, Map *keys, size_t *n_words, Err *e)
{
    const PiiPolicy policy = pii_policy_default();
    PiiScanner     *scanner = NULL;
    PiiReplacer    *replacer = NULL;
    Str             word[SUBJECT_WORDS];
    char            secret[SECRET_HEX], key[PII_KEY_HEX];
    int             rc = file_exists(path) ? secret_file(path, secret, e) : err_set(e, ERR_ARG, "%s is not there; give the key of the data folder by --pii-key FILE", path);
    if (!rc)
        rc = pii_scanner_new(&scanner, &(PiiOptions){ 0 }, e);
    if (!rc)
        rc = pii_replacer_new(&replacer, scanner, &policy, str_of(secret), e);
    subject_words(value, word, n_words);
    for (size_t w = 0; w < *n_words && !rc; w++) {
        pii_key(replacer, PII_PERSON, word[w], key);
        map_put(keys, str_of(key), (int64_t)w + 1);
    }
    for (int k = 0; k < PII_KINDS && !rc; k++) {
        pii_key(replacer, (PiiKind)k, value, key);
        map_put(keys, str_of(key), 0);
    }
    pii_replacer_free(replacer);
    pii_scanner_free(scanner);
    return rc;
}

typedef struct Hit { int64_t row, word; } Hit;

static int by_row(const void *a, const void *b)
{
    const Hit *x = a, *y = b;
    return x->row != y->row ? (x->row > y->row) - (x->row < y->row) : (x->word > y->word) - (x->word < y->word);
}

/* A row that has each of the words has the name. */
static void take_words(Hit *hit, size_t n, size_t n_words, ReviewRows *out)
{
    if (n)
        qsort(hit, n, sizeof *hit, by_row);
    for (size_t i = 0, end; i < n; i = end) {
        size_t different = 1;
        for (end = i + 1; end < n && hit[end].row == hit[i].row; end++)
            different += hit[end].word != hit[end - 1].word;
        if (different == n_words)
            *vec_push(out) = hit[i].row;
    }
}

static int sweep(const Review *r, const Map *keys, size_t n_words, ReviewRows *out, Err *e)
{
    char    *path = path_join(r->dir, "subjects.jsonl");
    FileMap  m = { 0 };
    VEC(Hit) hit = { 0 };
    int      rc = file_map(&m, path, e);
    for (size_t at = 0, end; at < m.n && !rc; at = end + 1) {
        const char *p = (const char *)m.p + at, *lf = memchr(p, '\n', m.n - at);
        Json       *j = NULL;
        int64_t     word, row = 0;
        uint32_t    index;
        end = at + (lf ? (size_t)(lf - p) : m.n - at);
        if (end == at)
            continue;
        if (!(rc = json_parse(&j, (Str){ p, end - at }, path, e)) && map_get(keys, json_str(json_get(j, "key")), &word) && !(rc = json_need_int(j, "row", &row, path, e)) &&
            review_find(r, row, &index)) {
            if (word)
                *vec_push(&hit) = (Hit){ row, word };
            else
                *vec_push(out) = row;
        }
        json_free(j);
    }
    take_words(hit.p, hit.n, n_words, out);
    vec_release(&hit);
    file_unmap(&m);
    free(path);
    return rc;
}

/* ---- by what stands there --------------------------------------------------------------------------------------------------------------------------- */

typedef struct Look {
    StrBuf value;        /* folded; spread: without signs */
    bool   spread;       /* signs may stand between its characters */
    bool   alone;        /* it must not stand within a word */
    StrBuf text, form;   /* of the text in hand */
} Look;

/* Compatibility forms in one (NFKC), small letters, one blank for a run of white space, none at the ends. */
static void fold(StrBuf *form, Str s, StrBuf *out)
{
    bool blank = false;
    strbuf_clear(out);
    strbuf_clear(form);
    utf8_normalise(form, s, UTF8_NFKC);
    for (size_t i = 0; i < form->n;) {
        uint32_t  cp = 0;
        char      one[4];
        const int n = MAX(utf8_decode(form->p + i, form->n - i, &cp), 1);
        i += (size_t)n;
        if (utf8_is_space(cp)) {
            blank = out->n > 0;
            continue;
        }
        if (blank)
            strbuf_addc(out, ' ');
        blank = false;
        strbuf_add(out, one, (size_t)utf8_encode(utf8_lower_one(cp), one));
    }
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* Letters and digits alone, in place. */
static void strip(StrBuf *s)
{
    size_t to = 0;
    for (size_t i = 0; i < s->n;) {
        uint32_t  cp = 0;
        const int n = MAX(utf8_decode(s->p + i, s->n - i, &cp), 1);
        if (utf8_is_alpha(cp) || utf8_is_number(cp)) {
            memmove(s->p + to, s->p + i, (size_t)n);
            to += (size_t)n;
        }
        i += (size_t)n;
    }
    s->n = to;
}

static bool word_char(const char *p, const char *end)
{
    uint32_t cp = 0;
    return p < end && utf8_decode(p, (size_t)(end - p), &cp) > 0 && (utf8_is_alpha(cp) || utf8_is_number(cp));
}

/* Whether what stands in [at, behind) stands there as one: a number is not found within a longer one, whose digits follow directly. */
static bool stands(const Look *l, Str text, const char *at, const char *behind)
{
    const char *end = text.p + text.n, *before = at;
    while (before > text.p && ((unsigned char)*--before & 0xC0) == 0x80) {}
    if (is_digit(*at) && at > text.p && is_digit(at[-1]))
        return false;
    if (is_digit(behind[-1]) && behind < end && is_digit(*behind))
        return false;
    return !l->alone || ((at == text.p || !word_char(before, at)) && !word_char(behind, end));
}

/* Behind the value that begins here; NULL: it does not. */
static const char *match(const Look *l, const char *p, const char *end)
{
    const char *v = l->value.p, *last = v + l->value.n;
    while (v < last && p < end) {
        uint32_t     cp = 0;
        const size_t n = (size_t)MAX(utf8_decode(p, (size_t)(end - p), &cp), 1);
        if (n <= (size_t)(last - v) && !memcmp(p, v, n))
            v += n;
        else if (!l->spread || v == l->value.p || word_char(p, end))
            return NULL;
        p += n;
    }
    return v == last ? p : NULL;
}

static bool found_in(const Look *l, Str text)
{
    const char *end = text.p + text.n;
    for (const char *p = text.p; l->value.n && p < end && (p = memchr(p, *l->value.p, (size_t)(end - p))); p++) {
        const char *behind = match(l, p, end);
        if (behind && stands(l, text, p, behind))
            return true;
    }
    return false;
}

static bool text_holds(Look *l, Str text)
{
    if (!text.n)
        return false;
    fold(&l->form, text, &l->text);
    return found_in(l, strbuf_str(&l->text));
}

/* names: those of objects are data, too (record_each_key). */
static bool holds(Look *l, const Json *j, bool names)
{
    JsonIter it = { 0 };
    Str      key;
    Json    *value;
    StrBuf   number = { 0 };
    if (json_kind(j) == JSON_STRING)
        return text_holds(l, json_str(j));
    if (json_kind(j) == JSON_INT || json_kind(j) == JSON_REAL) {
        json_write(&number, j, false);
        const bool found = text_holds(l, strbuf_str(&number));
        strbuf_release(&number);
        return found;
    }
    while (json_kind(j) == JSON_OBJECT && json_each(j, &it, &key, &value))
        if ((names && text_holds(l, key)) || holds(l, value, names || str_eqz(key, "meta") || str_eqz(key, "tool_calls")))
            return true;
    for (size_t i = 0; json_kind(j) == JSON_ARRAY && i < json_len(j); i++)
        if (holds(l, json_at(j, i), names))
            return true;
    return false;
}

/* Of a line that hone wrote about a row: what it quotes, not what hone says of it. */
static bool line_holds(Look *l, const Json *line)
{
    static const char *const own[] = { "id", "row", "n", "part", "pass", "action", "reason", "file", "line", "time", "review", "reviewer", "undoes", "edit", "kind", "kinds", "score", "kept", "cluster" };
    JsonIter it = { 0 };
    Str      key;
    Json    *value;
    while (json_kind(line) == JSON_OBJECT && json_each(line, &it, &key, &value)) {
        const bool row = str_starts(key, "row") && json_kind(value) == JSON_OBJECT; /* row, row_new, row_old */
        bool       skipped = false;
        for (size_t i = 0; i < ARRAY_LEN(own) && !row; i++)
            skipped |= str_eqz(key, own[i]);
        if (!skipped && (row ? line_holds(l, value) : holds(l, value, str_eqz(key, "meta"))))
            return true;
    }
    return false;
}

/* The row, what the log quotes of it, and what people did to it. */
static int row_holds(const Review *r, Look *l, uint32_t row, bool *found, Err *e)
{
    Json *j = NULL, *content;
    int   rc = review_parse(r, row, &j, &content, e);
    *found = !rc && line_holds(l, j);
    json_free(j);
    for (uint32_t i = r->row.p[row].mark, end = review_marks_end(r, row); i < end && !rc && !*found; i++) {
        if (!(rc = json_parse(&j, review_mark_line(r, &r->mark.p[i]), "decisions.jsonl", e)))
            *found = line_holds(l, j);
        json_free(j);
    }
    for (uint32_t i = review_last(r, row); i != NO_ACTION && !rc && !*found; i = r->action.p[i].before) {
        if (!(rc = review_action_json(r, &r->action.p[i], &j, e)))
            *found = line_holds(l, j);
        json_free(j);
    }
    return rc;
}

static int look_through(const Review *r, Str value, ReviewRows *out, Err *e)
{
    Look   l = { 0 };
    size_t digits = 0;
    int    rc = 0;
    fold(&l.form, value, &l.value);
    for (size_t i = 0; i < l.value.n; i++)
        digits += is_digit(l.value.p[i]);
    l.alone = l.value.n < SUBJECT_ALONE;
    if ((l.spread = digits >= LEAST_DIGITS))
        strip(&l.value);
    for (uint32_t row = 0; row < r->row.n && !rc; row++) {
        bool found = false;
        rc = row_holds(r, &l, row, &found, e);
        if (found)
            *vec_push(out) = r->row.p[row].id;
    }
    strbuf_release(&l.value);
    strbuf_release(&l.text);
    strbuf_release(&l.form);
    return rc;
}

/* ---- both ------------------------------------------------------------------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void in_order_once(ReviewRows *out)
{
    size_t n = 0;
    if (out->n)
        qsort(out->p, out->n, sizeof *out->p, by_number);
    for (size_t i = 0; i < out->n; i++)
        if (!n || out->p[n - 1] != out->p[i])
            out->p[n++] = out->p[i];
    out->n = n;
}

int review_person(const char *dir, Str value, const char *pii_key_path, ReviewRows *out, Err *e)
{
    Review     *r = NULL;
    Map        *keys = map_new();
    char       *path = NULL;
    size_t      n_words = 0;
    const bool  given = pii_key_path && *pii_key_path;
    int         rc = review_open(&r, dir, &(ReviewOptions){ .read_only = true }, e);
    if (!rc && record_blank(value))
        rc = err_set(e, ERR_ARG, "the value to look for is empty");
    else if (!rc && !utf8_valid(value, NULL))
        rc = err_set(e, ERR_ARG, "the value to look for is no UTF-8");
    if (!rc && (given || r->cfg.pii != PREP_PII_OFF)) {
        path = given ? mem_strdup(pii_key_path) : r->cfg.pii_key && *r->cfg.pii_key ? mem_strdup(r->cfg.pii_key) : path_join(r->dir, "pii.key");
        rc = keys_of(value, path, keys, &n_words, e);
        if (!rc)
            rc = sweep(r, keys, n_words, out, e);
    }
    if (!rc)
        rc = look_through(r, value, out, e);
    if (!rc)
        in_order_once(out);
    review_close(r);
    map_free(keys);
    free(path);
    return rc;
}
