/* report_read.c - see report_read.h. Each file has one reader; they run in an order in which the later need the earlier (which answer is the best
 * one is known after the metrics). A run that was killed may have told a step twice: the later telling wins. */
#include "train/report_read.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "formats/jsonl.h"

#define WARNING_BYTES ((size_t)1000) /* of one line of log.txt */
#define VALUE_MAX     1e100

static const char *const step_column[STEP_COLUMNS] = { "step", "epoch", "loss", "lr", "grad_norm", "tokens_per_second" };
static const char *const eval_column[EVAL_COLUMNS] = { "step", "epoch", "eval_loss" };

static void count(Map *m, Str text)
{
    int64_t times = 0;
    if (!map_get(m, text, &times) && map_count(m) >= REPORT_WARNINGS)
        text = STR_LIT("more, not shown here; see log.txt");
    map_get(m, text, &times);
    map_put(m, text, times + 1);
}

static void note(RunFolder *f, const char *sentence) { count(f->notes, str_of(sentence)); }

double row_real(const Json *obj, const char *key)
{
    const Json *v = json_get(obj, key);
    const bool  number = v && (json_kind(v) == JSON_INT || json_kind(v) == JSON_REAL);
    return number && fabs(json_num(v)) <= VALUE_MAX ? json_num(v) : NAN;
}

/* --- metrics.jsonl ------------------------------------------------------------------------------------------------------------------------- */

/* Appends a row; rows of the same step or a later one, told before a crash, go. */
static void put_row(Column *column, const char *const *key, int n, const Json *row)
{
    const double step = row_real(row, key[0]);
    while (column[0].n && column[0].p[column[0].n - 1] >= step)
        for (int k = 0; k < n; k++)
            column[k].n--;
    for (int k = 0; k < n; k++)
        *vec_push(&column[k]) = row_real(row, key[k]);
}

static bool take_metric(RunFolder *f, const Json *row)
{
    if (!(row_real(row, "step") >= 0))
        return false;
    if (f->step[STEP_AT].n == REPORT_STEPS || f->eval[EVAL_AT].n == REPORT_STEPS) {
        note(f, "metrics.jsonl: there are more steps than the report can show; only the first are in it");
        return true;
    }
    if (json_get(row, "eval_loss")) {
        put_row(f->eval, eval_column, EVAL_COLUMNS, row);
        return true;
    }
    if (!json_get(row, "loss"))
        return false;
    put_row(f->step, step_column, STEP_COLUMNS, row);
    f->tokens = row_real(row, "tokens");
    f->trained_tokens = row_real(row, "trained_tokens");
    f->seconds = row_real(row, "seconds");
    return true;
}

static void find_best(RunFolder *f)
{
    const Column *loss = &f->eval[EVAL_LOSS];
    f->first = f->best = loss->n;
    for (size_t i = loss->n; i-- > 0;)
        if (isfinite(loss->p[i])) {
            f->first = i;
            f->best = f->best == loss->n || loss->p[i] <= loss->p[f->best] ? i : f->best; /* the first of equals: only a lower loss was kept */
        }
}

/* --- samples.jsonl ------------------------------------------------------------------------------------------------------------------------- */

/* At most REPORT_TEXT bytes; what was cut is told in the text itself. */
static void keep_text(StrBuf *out, Str s)
{
    const size_t n = s.n <= REPORT_TEXT ? s.n : utf8_complete(s.p, REPORT_TEXT);
    strbuf_clear(out);
    strbuf_add(out, s.p, n);
    if (n < s.n)
        strbuf_addf(out, " \xE2\x80\xA6 (%zu more bytes)", s.n - n);
}

static void keep_answer(Answer *a, int64_t step, Str text)
{
    a->step = step;
    keep_text(&a->text, text);
}

static Sample *sample_of(RunFolder *f, const Json *row)
{
    const Str     file = json_str(json_get(row, "file"));
    const int64_t line = json_int(json_get(row, "line"));
    for (size_t i = 0; i < f->sample.n; i++)
        if (f->sample.p[i].line == line && str_eq(strbuf_str(&f->sample.p[i].file), file))
            return &f->sample.p[i];
    if (f->sample.n == REPORT_SAMPLES)
        return NULL;
    Sample *s = vec_push(&f->sample);
    s->first.step = s->best.step = s->last.step = -1;
    s->line = line;
    keep_text(&s->file, file);
    keep_text(&s->prompt, json_str(json_get(row, "prompt")));
    keep_text(&s->expected, json_str(json_get(row, "expected")));
    return s;
}

static bool take_sample(RunFolder *f, const Json *row)
{
    const double at = row_real(row, "step");
    const Json  *output = json_get(row, "output");
    if (!(at >= 0 && at < 0x1p53) || !output || json_kind(output) != JSON_STRING)
        return false;
    const int64_t step = (int64_t)at;
    Sample       *s = sample_of(f, row);
    if (!s) {
        note(f, "samples.jsonl: there are more prompts than the report shows");
        return true;
    }
    if (s->first.step < 0 || step <= s->first.step)
        keep_answer(&s->first, step, json_str(output));
    if (f->best < f->eval[EVAL_AT].n && at == f->eval[EVAL_AT].p[f->best])
        keep_answer(&s->best, step, json_str(output));
    keep_answer(&s->last, step, json_str(output));
    return true;
}

/* --- files --------------------------------------------------------------------------------------------------------------------------------- */

/* Maps RUN/NAME; false when it is missing, or cannot be read (then told). */
static bool open_file(RunFolder *f, const char *run, const char *name, FileMap *m)
{
    char *path = path_join(run, name);
    Err   e;
    bool  ok = file_exists(path);
    if (ok && file_map(m, path, &e)) {
        note(f, e.text);
        ok = false;
    }
    free(path);
    return ok;
}

/* Every row of a journal to `take`. A line that cannot be read is left out; the last one may be half written. */
static void each_row(RunFolder *f, const char *run, const char *name, bool (*take)(RunFolder *, const Json *))
{
    FileMap m;
    Jsonl   lines;
    Json   *row;
    int64_t bad = 0, strange = 0;
    int     rc;
    Err     e, first = { 0 };
    if (!open_file(f, run, name, &m))
        return;
    jsonl_open_memory(&lines, (Str){ (const char *)m.p, m.n }, name);
    while ((rc = jsonl_next(&lines, &row, &e)) != 0) {
        const bool cut = rc < 0 && lines.off == m.n && m.p[m.n - 1] != '\n';
        if (cut) {
            err_set(&e, ERR_INPUT, "%s: the last line was only half written and is left out", name);
            note(f, e.text);
        } else if (rc < 0 && ++bad == 1) {
            first = e;
        }
        strange += rc > 0 && !take(f, row);
        json_free(row);
    }
    if (bad) {
        err_wrap(&first, "%" PRId64 " unreadable %s left out; the first", bad, bad == 1 ? "line is" : "lines are");
        note(f, first.text);
    }
    if (strange) {
        err_set(&first, ERR_INPUT, "%s: %" PRId64 " %s neither a known row nor a usable one", name, strange, strange == 1 ? "line is" : "lines are");
        note(f, first.text);
    }
    jsonl_close(&lines);
    file_unmap(&m);
}

static void read_recipe(RunFolder *f, const char *run)
{
    FileMap m;
    Err     e;
    if (!open_file(f, run, "recipe.yaml", &m))
        return;
    f->has_recipe = cfg_parse_yaml(train_options, &f->cfg, (Str){ (const char *)m.p, m.n }, "recipe.yaml", NULL, &e) == 0;
    if (!f->has_recipe) {
        note(f, e.text);
        cfg_defaults(train_options, &f->cfg); /* the lines before the bad one were already taken */
    }
    file_unmap(&m);
}

static Json *read_object(RunFolder *f, const char *run, const char *name)
{
    FileMap m;
    Json   *j = NULL;
    Err     e;
    if (!open_file(f, run, name, &m))
        return NULL;
    if (json_parse(&j, (Str){ (const char *)m.p, m.n }, name, &e))
        note(f, e.text);
    file_unmap(&m);
    return j;
}

static void read_failed(RunFolder *f, const char *run)
{
    FileMap m;
    f->has_failed = open_file(f, run, "FAILED", &m);
    if (!f->has_failed)
        return;
    keep_text(&f->failed, (Str){ (const char *)m.p, m.n });
    file_unmap(&m);
}

/* "2026-11-22T19:42:53Z warning train: only 12 steps": the same event at two times is one warning, twice. */
static void read_log(RunFolder *f, const char *run)
{
    FileMap m;
    if (!open_file(f, run, "log.txt", &m))
        return;
    for (size_t at = 0; at < m.n;) {
        const char *p = (const char *)m.p + at, *newline = memchr(p, '\n', m.n - at);
        const Str   line = { p, newline ? (size_t)(newline - p) : m.n - at };
        const char *space = memchr(line.p, ' ', line.n);
        const Str   text = space ? (Str){ space + 1, line.n - (size_t)(space + 1 - line.p) } : (Str){ line.p, 0 };
        if (str_starts(text, "warning ") || str_starts(text, "error "))
            count(f->warnings, (Str){ text.p, text.n <= WARNING_BYTES ? text.n : utf8_complete(text.p, WARNING_BYTES) });
        at += line.n + 1;
    }
    file_unmap(&m);
}

static bool holds_run(const char *run)
{
    static const char *const name[] = { "recipe.yaml", "run.json", "metrics.jsonl", "DONE", "FAILED" };
    bool some = false;
    for (size_t i = 0; i < ARRAY_LEN(name); i++) {
        char *path = path_join(run, name[i]);
        some |= file_exists(path);
        free(path);
    }
    return some;
}

int run_folder_read(RunFolder *f, const char *path, Err *e)
{
    *f = (RunFolder){ .tokens = NAN, .trained_tokens = NAN, .seconds = NAN };
    if (!file_is_dir(path))
        return err_set(e, ERR_INPUT, "%s: there is no such folder; give the run folder that hone train wrote (its --out)", path);
    if (!holds_run(path))
        return err_set(e, ERR_INPUT, "%s: this is no run folder, none of recipe.yaml, run.json, metrics.jsonl, DONE and FAILED is in it", path);
    f->warnings = map_new();
    f->notes = map_new();
    cfg_defaults(train_options, &f->cfg);
    read_recipe(f, path);
    f->facts = read_object(f, path, "run.json");
    f->done = read_object(f, path, "DONE");
    char *done = path_join(path, "DONE");
    f->finished = file_exists(done);
    free(done);
    read_failed(f, path);
    each_row(f, path, "metrics.jsonl", take_metric);
    find_best(f);
    each_row(f, path, "samples.jsonl", take_sample);
    read_log(f, path);
    return 0;
}

void run_folder_release(RunFolder *f)
{
    cfg_release(train_options, &f->cfg);
    json_free(f->facts);
    json_free(f->done);
    strbuf_release(&f->failed);
    for (int k = 0; k < STEP_COLUMNS; k++)
        vec_release(&f->step[k]);
    for (int k = 0; k < EVAL_COLUMNS; k++)
        vec_release(&f->eval[k]);
    for (size_t i = 0; i < f->sample.n; i++) {
        Sample *s = &f->sample.p[i];
        StrBuf *text[] = { &s->file, &s->prompt, &s->expected, &s->first.text, &s->best.text, &s->last.text };
        for (size_t k = 0; k < ARRAY_LEN(text); k++)
            strbuf_release(text[k]);
    }
    vec_release(&f->sample);
    map_free(f->warnings);
    map_free(f->notes);
}
