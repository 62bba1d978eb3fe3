/* pii_driver.c - scans the texts of a JSONL file, for tools/judge_pii.py and tools/make_pii_corpus.py.
 *   pii_driver spans FILE [LEAST]    for each row {"text": ...} one line [[begin, end, "kind", confidence, "rule"], ...], offsets in characters
 *   pii_driver time FILE [LEAST]     bytes of text, findings and the seconds of processor time that scanning alone took, the best of three */
#include "base/utf8.h"
#include "formats/jsonl.h"
#include "prep/pii.h"

#include <stdio.h>
#include <time.h>

/* Characters in the first n bytes. */
static size_t characters(Str s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return count;
}

static void print_spans(Str text, const PiiSpans *v)
{
    printf("[");
    for (size_t k = 0; k < v->n; k++)
        printf("%s[%zu, %zu, \"%s\", %d, \"%s\"]", k ? ", " : "", characters(text, v->p[k].begin), characters(text, v->p[k].end),
                pii_kind_info(v->p[k].kind)->name,
               v->p[k].confidence, v->p[k].rule);
    printf("]\n");
}

int main(int argc, char **argv)
{
    Err e = {0};
    Jsonl r;
    Json *row = NULL;
    PiiScanner *s = NULL;
    PiiSpans found = {0};
    VEC(Json *) rows = {0};
    size_t bytes = 0, spans = 0;
    double best = 1e9;
    if (argc < 3) {
        fprintf(stderr, "usage: pii_driver spans|time FILE [LEAST]\n");
        return 2;
    }
    int rc = jsonl_open(&r, argv[2], &e);
    if (!rc)
        rc = pii_scanner_new(&s, &(PiiOptions){ .least = argc > 3 ? atoi(argv[3]) : 0 }, &e);
    while (!rc && (rc = jsonl_next(&r, &row, &e)) == 1) {
        *vec_push(&rows) = row;
        rc = 0;
    }
    for (int round = 0; round < (strcmp(argv[1], "time") == 0 ? 3 : 1) && !rc; round++) {
        double took = 0;
        bytes = spans = 0;
        for (size_t i = 0; i < rows.n && !rc; i++) {
            const Str text = json_str(json_get(rows.p[i], "text"));
            const clock_t start = clock();
            rc = pii_scan(s, text, &found, &e);
            took += (double)(clock() - start) / CLOCKS_PER_SEC;
            bytes += text.n;
            spans += found.n;
            if (!rc && strcmp(argv[1], "spans") == 0)
                print_spans(text, &found);
        }
        best = MIN(best, took);
    }
    if (!rc && strcmp(argv[1], "time") == 0)
        printf("%zu bytes, %zu findings, %.6f seconds\n", bytes, spans, best);
    if (rc)
        fprintf(stderr, "%s\n", e.text);
    for (size_t i = 0; i < rows.n; i++)
        json_free(rows.p[i]);
    vec_release(&rows);
    vec_release(&found);
    pii_scanner_free(s);
    jsonl_close(&r);
    return rc ? 1 : 0;
}
