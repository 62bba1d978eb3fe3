/* manifest.c - the summary of a finished data folder: what came in (with SHA-256), how it was prepared, how many rows are where, and the hashes of what
 * was written. It holds no times and no paths of this machine but the inputs' names, so the same inputs and options give the same bytes. */
#include "prep/prep_int.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "prep/overlap.h"
#include "prep/prep_report.h"

static const char *const files[] = { "train.jsonl", "validation.jsonl", "test.jsonl", "removed.jsonl", "decisions.jsonl", "subjects.jsonl", "measures.bin" };

static Json *inputs_json(const Prep *p)
{
    Json    *list = json_arr_new();
    int64_t *rows = mem_zalloc(p->input.n, sizeof *rows);
    for (size_t r = 0; r < p->rows.n; r++)
        rows[entries_at(&p->rows, r)->source]++;
    for (size_t i = 0; i < p->input.n; i++) {
        const Input *in = &p->input.p[i];
        Json        *j = json_obj_new();
        json_set(j, "file", json_str_new(str_of(in->path)));
        json_set(j, "sha256", json_str_new(str_of(in->sha256)));
        json_set(j, "bytes", json_int_new((int64_t)in->bytes));
        json_set(j, "rows", json_int_new(rows[i]));
        json_set(j, "share", json_num_new(in->weight));
        json_push(list, j);
    }
    free(rows);
    return list;
}

/* The evaluation sets as they were read, so that a review knows whether what it holds edited rows against is still the same (review_eval.c). A folder has no
 * hash of its own. */
static Json *eval_json(const Prep *p)
{
    const void *overlap = pass_state(p, &pass_overlap);
    const char *list = p->cfg.eval;
    Json       *all = json_arr_new();
    Str         item;
    for (size_t i = 0; overlap && cfg_list_each(&list, &item); i++) {
        const char *hash = overlap_set_hash(overlap, i);
        Json       *j = json_obj_new();
        json_set(j, "file", json_str_new(item));
        json_set(j, "sha256", *hash ? json_str_new(str_of(hash)) : json_null_new());
        json_push(all, j);
    }
    return all;
}

static Json *options_json(const Prep *p)
{
    StrBuf text = { 0 };
    prep_options_text(p, &text);
    Json *j = json_str_new(strbuf_str(&text));
    strbuf_release(&text);
    return j;
}

static Json *counts_json(const Prep *p)
{
    Json *j = json_obj_new();
    json_set(j, "read", json_int_new((int64_t)p->rows.n));
    for (int i = 0; i < PARTS; i++)
        json_set(j, part_name[i], json_int_new(p->facts.part[i]));
    return j;
}

static int files_json(const Prep *p, Json **out, Err *e)
{
    int rc = 0;
    *out = json_obj_new();
    for (size_t i = 0; i < ARRAY_LEN(files) && !rc; i++) {
        char  hash[SHA256_HEX];
        char *path = prep_path(p, files[i]);
        rc = sha256_file(path, hash, e);
        json_set(*out, files[i], rc ? json_null_new() : json_str_new(str_of(hash)));
        free(path);
    }
    return rc;
}

static int put_json(const Prep *p, const char *name, const Json *j, Err *e)
{
    StrBuf text = { 0 };
    char  *path = prep_path(p, name);
    json_write(&text, j, true);
    strbuf_addc(&text, '\n');
    int rc = file_write_atomic(path, text.p, text.n, e);
    strbuf_release(&text);
    free(path);
    return rc;
}

static int put_done(const Prep *p, Err *e)
{
    char  when[32];
    Json *j = json_obj_new();
    clock_iso8601(when);
    json_set(j, "finished", json_str_new(str_of(when)));
    json_set(j, "seconds", json_num_new(p->facts.seconds));
    int rc = put_json(p, "DONE", j, e);
    json_free(j);
    return rc;
}

int manifest_write(Prep *p, Err *e)
{
    Json *j = json_obj_new(), *written = NULL, *eval = eval_json(p), *divided = NULL;
    char *work = prep_path(p, "work");
    int   rc = files_json(p, &written, e);
    json_set(j, "hone", json_str_new(STR_LIT(HONE_VERSION)));
    json_set(j, "command", json_str_new(str_of(p->command)));
    json_set(j, "options", options_json(p));
    json_set(j, "inputs", inputs_json(p));
    if (json_len(eval))
        json_set(j, "eval", json_ref(eval));
    json_set(j, "inputs_left_out", json_int_new(p->facts.left_out));
    json_set(j, "inputs_cut_short", json_int_new(p->facts.cut_short));
    json_set(j, "rows", counts_json(p));
    if (!rc)
        rc = division(p, &divided, e);
    if (divided)
        json_set(j, "divided", json_ref(divided));
    json_set(j, "statistics", statistics(p));
    if (p->advice.n)
        json_set(j, "advice", json_str_new(strbuf_str(&p->advice)));
    if (p->told.n)
        json_set(j, "told", json_str_new(strbuf_str(&p->told)));
    json_set(j, "files", written);
    if (!rc)
        rc = put_json(p, "manifest.json", j, e);
    if (!rc)
        rc = prep_report_write(p->cfg.out, j, e);
    if (!rc)
        rc = put_done(p, e);
    if (!rc)
        rc = dir_remove(work, e);
    json_free(j);
    json_free(eval);
    json_free(divided);
    free(work);
    return rc;
}

int manifest_facts(Prep *p, Err *e)
{
    Json *j = NULL;
    char *path = prep_path(p, "manifest.json");
    int   rc = json_read_file(&j, path, e);
    const Json *rows = json_get(j, "rows");
    const Str told = json_str(json_get(j, "told")), advice = json_str(json_get(j, "advice"));
    strbuf_add(&p->told, told.p, told.n);
    strbuf_add(&p->advice, advice.p, advice.n);
    p->facts.left_out = json_int(json_get(j, "inputs_left_out"));
    p->facts.cut_short = json_int(json_get(j, "inputs_cut_short"));
    p->facts.read = json_int(json_get(rows, "read"));
    for (int i = 0; i < PARTS; i++)
        p->facts.part[i] = json_int(json_get(rows, part_name[i]));
    json_free(j);
    free(path);
    return rc;
}
