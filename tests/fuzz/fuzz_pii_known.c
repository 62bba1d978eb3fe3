/* fuzz_pii_known.c - any bytes as two texts of a row and a value of a column, parted by NUL: what the first and the column say is found in the second in order, apart,
 * inside, and of valid UTF-8 on borders of characters; nothing that was found before is left uncovered; the same each time. */
#include "base/utf8.h"
#include "prep/pii_column.h"
#include "prep/pii_known.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static Str piece(Str *rest)
{
    const char *cut = rest->n ? memchr(rest->p, 0, rest->n) : NULL;
    const Str one = { rest->p, cut ? (size_t)(cut - rest->p) : rest->n };
    *rest = cut ? (Str){ cut + 1, rest->n - one.n - 1 } : (Str){ rest->p + rest->n, 0 };
    return one;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static PiiScanner *all;
    Err e;
    PiiSpans from = {0}, alone = {0}, found = {0}, again = {0};
    const char *rule = NULL;
    if (!all)
        BUG_ON(pii_scanner_new(&all, &(PiiOptions){ .least = 40 }, &e) != 0);
    char *copy = mem_alloc(n ? n : 1);
    if (n)
        memcpy(copy, data, n);
    Str rest = { copy, n };
    const Str first = piece(&rest), name = piece(&rest), value = piece(&rest), text = rest;
    const bool valid = utf8_valid(text, NULL);
    PiiKnown *k = pii_known_new(all);
    BUG_ON(pii_scan(all, first, &from, &e) != 0 || pii_scan(all, text, &alone, &e) != 0 || pii_scan(all, text, &found, &e) != 0 || pii_scan(all, text, &again, &e) != 0);
    pii_known_take(k, first, &from);
    if (pii_column_holds(all, pii_column_of((Str){ NULL, 0 }, name), value, pii_known_heard(k, value), &rule))
        pii_known_person(k, value, rule);
    pii_known_find(k, text, &found);
    pii_known_find(k, text, &again);
    BUG_ON(found.n != again.n);
    for (size_t i = 0; i < found.n; i++) {
        const PiiSpan *s = &found.p[i];
        BUG_ON(s->begin >= s->end || s->end > text.n || (i && found.p[i - 1].end > s->begin) || s->begin != again.p[i].begin || s->end != again.p[i].end);
        BUG_ON(valid && (((unsigned char)text.p[s->begin] & 0xC0) == 0x80 || (s->end < text.n && ((unsigned char)text.p[s->end] & 0xC0) == 0x80)));
    }
    for (size_t i = 0, at = 0; i < alone.n; i++) {
        while (at < found.n && found.p[at].end < alone.p[i].end)
            at++;
        BUG_ON(at == found.n || found.p[at].begin > alone.p[i].begin);
    }
    pii_known_free(k);
    vec_release(&from);
    vec_release(&alone);
    vec_release(&found);
    vec_release(&again);
    free(copy);
    return 0;
}
