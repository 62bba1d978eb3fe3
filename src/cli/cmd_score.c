/* cmd_score.c - hone score: the log-probability of every token of given texts, one JSON line per text.
 * Rows with `text` are scored as the tokenizer gives them; pairs and conversations as they are trained, terminators included; a raw text in
 * pieces of max-length that overlap by one token. */
#include "cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "formats/jsonl.h"
#include "train/pass.h"

typedef struct Options {
    char   *data, *adapter, *separator, *device;
    int64_t max_length, threads;
    bool    json, help;
} Options;

#define AT(f) offsetof(Options, f)
#define DEFAULT_LENGTH 2048
#define ANY_LENGTH ((int32_t)1 << 30)

static const CfgOption table[] = {
    { "data",       CFG_LIST, AT(data),       NULL,    0, 0,    "FILE[,FILE]",  "texts: JSONL rows or plain text" },
    { "adapter",    CFG_STR,  AT(adapter),    NULL,    0, 0,    "DIR",          "adapter to put on the model: a PEFT folder or a .gguf file" },
    { "separator",  CFG_STR,  AT(separator),  NULL,    0, 0,    "TEXT",         "put between prompt and completion; as the run had it" },
    { "max-length", CFG_INT,  AT(max_length), "0",     0, 1e7,  NULL,           "most tokens of one text; 0: 2048, or what the model can" },
    { "json",       CFG_BOOL, AT(json),       "false", 0, 0,    NULL,           "one JSON object per text; the only form there is" },
    { "device",     CFG_STR,  AT(device),     "auto",  0, 0,    "auto|cpu|cuda[:n]|ref", "where to compute; ref: the slow judge" },
    { "threads",    CFG_INT,  AT(threads),    "0",     0, 1024, NULL,           "0: all cores; does not change the result" },
    { 0 },
};

typedef struct Scorer {
    const Tok  *tok;
    const char *separator;
    PassCtx     pass;
    int32_t     max_length, vocab;
} Scorer;

static int score(Scorer *s, const Example *x, const char *where, Err *e)
{
    const DataSet one = { .ex = (Example *)(uintptr_t)x, .n = 1 };
    const int64_t first = 0;
    double        nll = 0;
    int           rc;
    if (x->n > s->max_length)
        return err_set(e, ERR_INPUT, "%s: the text has %d tokens, more than --max-length %d; raise it (the model has positions for %lld) or shorten the text",
                       where, x->n, s->max_length, (long long)s->pass.model->cfg.max_positions);
    for (int32_t i = 0; i < x->n; i++)
        if (x->ids[i] < 0 || x->ids[i] >= s->vocab)
            return err_set(e, ERR_INPUT, "%s: token %d has id %d, but the model's embedding has only %d rows", where, i + 1, x->ids[i], s->vocab);
    if (x->n > 1 && (rc = pass_eval(&s->pass, &one, &first, 1, &nll, e)))
        return err_wrap(e, "%s", where);
    if (!isfinite(nll))
        return err_set(e, ERR_WORK, "%s: the model gave a probability that is not a number; its weights or the adapter are damaged", where);

    Json  *j = json_obj_new(), *ids = json_arr_new(), *logprobs = json_arr_new();
    StrBuf line = { 0 };
    for (int32_t i = 0; i < x->n; i++) {
        json_push(ids, json_int_new(x->ids[i]));
        json_push(logprobs, i ? json_num_new((double)s->pass.logp[i - 1]) : json_null_new());
    }
    json_set(j, "ids", ids);
    json_set(j, "logprobs", logprobs);
    json_write(&line, j, false);
    puts(strbuf_z(&line));
    strbuf_release(&line);
    json_free(j);
    return 0;
}

/* A row {"text": ...}: as it stands, without an end that it does not have. */
static int score_text_row(Scorer *s, const Json *row, const char *where, Err *e)
{
    Str    text;
    TokIds ids = { 0 };
    int    rc = json_need_str(row, "text", &text, where, e);
    if (!rc && (rc = tok_encode(s->tok, text, TOK_SPECIAL, &ids, e)))
        err_wrap(e, "%s", where);
    if (!rc && ids.n > INT32_MAX)
        rc = err_set(e, ERR_INPUT, "%s: the text is too long", where);
    if (!rc) {
        uint8_t *train = mem_alloc(ids.n + 1);
        memset(train, 1, ids.n + 1);
        train[0] = 0;
        rc = score(s, &(Example){ .ids = ids.p, .train = train, .n = (int32_t)ids.n }, where, e);
        free(train);
    }
    vec_release(&ids);
    return rc;
}

static int score_text_file(Scorer *s, const char *path, Err *e)
{
    Jsonl  lines = { 0 };
    Json  *row = NULL, *array = NULL;
    StrBuf where = { 0 };
    int    rc = 0;
    if (str_ends(str_of(path), ".json") && json_read_file(&array, path, NULL) == 0 && json_kind(array) == JSON_ARRAY) {
        for (size_t i = 0; !rc && i < json_len(array); i++) {
            strbuf_clear(&where);
            strbuf_addf(&where, "%s, row %zu", path, i + 1);
            rc = score_text_row(s, json_at(array, i), strbuf_z(&where), e);
        }
    } else if (!(rc = jsonl_open(&lines, path, e))) {
        while ((rc = jsonl_next(&lines, &row, e)) == 1) {
            strbuf_clear(&where);
            strbuf_addf(&where, "%s, line %lld", path, (long long)lines.line);
            rc = score_text_row(s, row, strbuf_z(&where), e);
            json_free(row);
            if (rc)
                break;
        }
        jsonl_close(&lines);
    }
    strbuf_release(&where);
    json_free(array);
    return rc;
}

static int score_file(Scorer *s, const char *path, Err *e)
{
    DataKind    kind;
    DataSet    *d = NULL;
    int64_t     rows;
    StrBuf      where = { 0 };
    int         rc = data_sniff(path, &kind, &rows, e);
    DataOptions opt = { .objective = OBJECTIVE_TEXT, .separator = s->separator, .vocab = s->vocab };
    if (rc || kind == DATA_TEXT_ROWS)
        return rc ? rc : score_text_file(s, path, e);
    opt.max_length = kind == DATA_RAW_TEXT ? s->max_length : ANY_LENGTH; /* a row that is too long is named by score(), not cut */
    rc = dataset_load(&d, path, s->tok, &opt, e);
    for (size_t i = 0; !rc && i < d->n; i++) {
        strbuf_clear(&where);
        strbuf_addf(&where, "%s, %s %lld", path, kind == DATA_RAW_TEXT ? "piece" : "line", (long long)d->ex[i].line);
        rc = score(s, &d->ex[i], strbuf_z(&where), e);
    }
    strbuf_release(&where);
    dataset_free(d);
    return rc;
}

static int check_options(Options *o, int n_pos, Err *e)
{
    if (!n_pos)
        return err_set(e, ERR_ARG, "MODEL is missing: name a model or run folder, as in hone score MODEL --data FILE");
    if (!*o->data)
        return err_set(e, ERR_ARG, "--data is missing: name a file with texts, as in hone score MODEL --data FILE");
    return 0;
}

int cmd_score(int argc, char **argv, Err *e)
{
    Options     o = { 0 };
    const char *path = NULL, *rest;
    Opened      opened = { 0 };
    Scorer      s = { 0 };
    Str         file;
    int         n_pos = 0, rc = cli_parse("score", table, &o, argc, argv, &path, 1, &n_pos, NULL, &o.help, e);
    if (rc || o.help || (rc = check_options(&o, n_pos, e)) || (rc = cli_open(&opened, path, o.adapter, o.device, o.threads, e)))
        goto done;
    const int64_t positions = opened.model->cfg.max_positions;
    s.max_length = (int32_t)(o.max_length ? o.max_length : MIN(DEFAULT_LENGTH, positions));
    if (s.max_length > positions || s.max_length < 2) {
        rc = err_set(e, ERR_ARG, "--max-length is %d; expected are 2 to %lld, the positions of the model", s.max_length, (long long)positions);
        goto done;
    }
    if ((rc = model_reserve_positions(opened.model, s.max_length, e)))
        goto done;
    s.separator = *o.separator ? o.separator : opened.separator;
    s.tok = opened.tok;
    s.vocab = (int32_t)opened.model->cfg.vocab;
    pass_open(&s.pass, opened.model, opened.adapter);
    for (rest = o.data; !rc && cfg_list_each(&rest, &file);) {
        char *name = mem_strndup(file.p, file.n);
        rc = score_file(&s, name, e);
        free(name);
    }
done:
    pass_close(&s.pass);
    cli_close(&opened);
    cfg_release(table, &o);
    return rc;
}
