/* review_sample.h - a small prepared data folder as hone prep writes it, for tests and fuzzing of the review. 40 rows: 1..24 train, 25..28 validation,
 * 29..32 test, 33..40 removed; two decisions for most. */
#ifndef HONE_TESTS_REVIEW_SAMPLE_H
#define HONE_TESTS_REVIEW_SAMPLE_H

#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "prep/provenance.h"

#define SAMPLE_ROWS 40
#define SAMPLE_RAW  40 /* a row that could not be read */

static inline void sample_put(const char *dir, const char *name, const StrBuf *text)
{
    Err   e;
    char *path = path_join(dir, name);
    int   rc = file_write_atomic(path, text->p, text->n, &e);
    BUG_ON(rc != 0);
    free(path);
}

/* Row 7 is a pair, row 8 a text, the others conversations. Rows 3, 26 and 34 are of one group ("customer": "c3"). */
static inline void sample_row(StrBuf *out, int id)
{
    if (id == 7)
        strbuf_addf(out, "{\"id\":7,\"prompt\":\"How do I cancel?\",\"completion\":\"Under Settings.\",\"meta\":{\"language\":\"en\"}}");
    else if (id == 8)
        strbuf_addf(out, "{\"id\":8,\"text\":\"Only a text, \\\"quoted\\\", with a\\nline break.\"}");
    else
        strbuf_addf(out, "{\"id\":%d,\"messages\":[{\"role\":\"user\",\"content\":\"Frage %d: Wo finde ich die \xC3\x9C""bersicht?\"},{\"role\":\"assistant\",\"content\":"
                         "\"Antwort %d, see the page.\"}],\"meta\":{\"language\":\"%s\",\"customer\":\"c%d\"}}",
                    id, id, id, id % 2 ? "de" : "en", id == 26 || id == 34 ? 3 : id == 38 || id == 39 ? 38 : id);
}

static inline void sample_decision(StrBuf *log, int id, const char *pass, Action action, const char *reason, double score, Json *more)
{
    decision_add(log, (RowPlace){ id, "data/tickets.csv", id + 1 }, pass, action, reason, score, more);
}

static inline Json *sample_facts(const char *text)
{
    Json *j = NULL;
    Err   e;
    int   rc = json_parse(&j, str_of(text), "sample", &e);
    BUG_ON(rc != 0);
    return j;
}

static inline void sample_decisions(StrBuf *log)
{
    decision_add(log, (RowPlace){ 0, "data/tickets.csv", 0 }, "input", ACTION_NOTE, "CSV, 40 rows, UTF-8", NAN, NULL);
    for (int id = 1; id <= SAMPLE_ROWS; id++) {
        if (id % 5 == 0 && id != SAMPLE_RAW)
            sample_decision(log, id, "repair", ACTION_EDIT, "broken characters", NAN, sample_facts("{\"before\":[\"Antwort X, see  the page.\"]}"));
        if (id % 2 == 0 && id != SAMPLE_RAW)
            sample_decision(log, id, "quality", ACTION_NOTE, "scored", id / 40.0, NULL);
    }
    sample_decision(log, 33, "duplicates", ACTION_REMOVE, "near duplicate", 0.9, sample_facts("{\"kept\":29,\"cluster\":1}"));
    sample_decision(log, 34, "quality", ACTION_REMOVE, "answer has 3 words", 0.1, NULL);
    sample_decision(log, 35, "quality", ACTION_REMOVE, "answer has 5 words", 0.2, NULL);
    sample_decision(log, 36, "duplicates", ACTION_REMOVE, "exact duplicate", 1, sample_facts("{\"kept\":1,\"cluster\":2}"));
    sample_decision(log, 37, "quality", ACTION_REMOVE, "answer has 9 words", 0.3, NULL);
    sample_decision(log, 38, "quality", ACTION_REMOVE, "answer is \"cut\" off", 0.3, NULL);
    sample_decision(log, 39, "duplicates", ACTION_REMOVE, "near duplicate", 0.85, sample_facts("{\"kept\":25,\"cluster\":3}"));
    sample_decision(log, 40, "import", ACTION_REMOVE, "no shape fits", NAN, NULL);
}

/* group: whether the folder was made with --group customer. */
static inline void sample_folder(const char *dir, bool group)
{
    static const struct { const char *name; int from, to; } parts[] = { { "train.jsonl", 1, 24 }, { "validation.jsonl", 25, 28 }, { "test.jsonl", 29, 32 } };
    StrBuf b = { 0 };
    Err    e;
    int    rc = dir_make(dir, &e);
    BUG_ON(rc != 0);
    for (size_t p = 0; p < ARRAY_LEN(parts); p++) {
        strbuf_clear(&b);
        for (int id = parts[p].from; id <= parts[p].to; id++) {
            sample_row(&b, id);
            strbuf_addc(&b, '\n');
        }
        sample_put(dir, parts[p].name, &b);
    }
    strbuf_clear(&b);
    for (int id = 40; id >= 33; id--) { /* the order of leaving, not of ids */
        static const char *const pass[] = { "duplicates", "quality", "quality", "duplicates", "quality", "quality", "duplicates", "import" };
        strbuf_addf(&b, "{\"id\":%d,\"pass\":\"%s\",\"reason\":\"why\",\"file\":\"data/tickets.csv\",\"line\":%d,", id, pass[id - 33], id + 1);
        if (id == SAMPLE_RAW) {
            strbuf_addz(&b, "\"raw\":\"no,row,at all\"");
        } else {
            strbuf_addz(&b, "\"row\":");
            sample_row(&b, id);
        }
        strbuf_addz(&b, "}\n");
    }
    sample_put(dir, "removed.jsonl", &b);
    strbuf_clear(&b);
    sample_decisions(&b);
    sample_put(dir, "decisions.jsonl", &b);
    strbuf_clear(&b);
    strbuf_addf(&b, "{\"hone\":\"0.1.0\",\"options\":\"%s\",\"inputs\":[{\"file\":\"data/tickets.csv\",\"rows\":40}],\"rows\":{\"read\":40,\"removed\":8,\"train\":24,"
                    "\"validation\":4,\"test\":4},\"files\":{}}\n", group ? "group: customer\\n" : "");
    sample_put(dir, "manifest.json", &b);
    sample_put(dir, "DONE", &b);
    strbuf_release(&b);
}

#endif
