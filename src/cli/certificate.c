/* certificate.c - see certificate.h. */
#include "cli/certificate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/run.h"
#include "train/train_cfg.h"

#define LOGITS_MAX ((int64_t)1 << 26) /* numbers of the source that are kept: 256 MiB */

/* Texts of every kind of character that a tokenizer can hardly fail on, short enough for any model. */
static const char *const own_texts[] = {
    "Once upon a time, the 27 engineers of Oslo & Co. measured everything twice: \"3.14\", then again.",
    "The invoice of 12 May names three items; please confirm the second one and tell us when the others will arrive.",
    "int main(void) { return 0; } /* a program that does nothing, and does it well */",
};

/* ---- texts ---- */

static CertText *new_text(Certificate *c)
{
    c->text = mem_realloc(c->text, c->n_texts + 1, sizeof *c->text);
    c->text[c->n_texts] = (CertText){ 0 };
    return &c->text[c->n_texts++];
}

static void add_ids(Certificate *c, const Opened *o, const int32_t *ids, int64_t n)
{
    const int64_t room = MIN((int64_t)CERTIFICATE_TOKENS, LOGITS_MAX / o->model->cfg.vocab + 1) - c->tokens;
    n = MIN(MIN(n, (int64_t)CERTIFICATE_TEXT), MIN(room, o->model->cfg.max_positions));
    if (n < 1)
        return;
    CertText *t = new_text(c);
    for (int64_t i = 0; i < n; i++)
        *vec_push(&t->ids) = ids[i];
    tok_decode(o->tok, ids, (size_t)n, true, &t->text);
    c->tokens += n;
}

static void add_rows(Certificate *c, const Opened *o, const DataSet *d)
{
    for (size_t i = 0; i < d->n; i++)
        add_ids(c, o, d->ex[i].ids, d->ex[i].n);
}

static int texts_of_file(Certificate *c, const Opened *o, const char *data, Err *e)
{
    DataKind kind;
    int64_t  rows;
    DataSet *d = NULL;
    char    *first = mem_strndup(data, strcspn(data, ","));
    int      rc = data_sniff(first, &kind, &rows, e);
    free(first);
    const bool        answers = kind == DATA_MESSAGES || kind == DATA_PAIR;
    const DataOptions opt = { .objective = answers ? OBJECTIVE_SFT : OBJECTIVE_TEXT, .max_length = (int32_t)1 << 30, .separator = o->separator,
                              .vocab = (int32_t)o->model->cfg.vocab };
    if (rc || (rc = dataset_load(&d, data, o->tok, &opt, e)))
        return rc;
    c->texts = "the rows of --data";
    add_rows(c, o, d);
    dataset_free(d);
    return 0;
}

/* The rows that the run evaluated on, found as the run found them; a run whose data is gone is compared on the program's own texts. */
static int texts_of_run(Certificate *c, const Opened *o, const char *path, Err *e)
{
    char    *recipe = path_join(path, "recipe.yaml"), *config = path_join(path, "config.json"), *text = NULL;
    TrainCfg cfg = { 0 };
    DataSet *train = NULL, *held_out = NULL;
    Err      gone = { 0 };
    size_t   n = 0;
    int      rc = 0;
    cfg_defaults(train_options, &cfg);
    if (!file_exists(recipe) || file_exists(config))
        goto done;
    if ((rc = file_read_text(recipe, &text, &n, e)) || (rc = cfg_parse_yaml(train_options, &cfg, (Str){ text, n }, recipe, NULL, e)))
        goto done;
    if (!train_load_data(&cfg, o->tok, (int32_t)o->model->cfg.vocab, &train, &held_out, &gone) && held_out) {
        c->texts = "held-out rows of the run";
        add_rows(c, o, held_out);
    } else if (*gone.text) {
        fprintf(stderr, "the run's held-out rows cannot be read, so other texts are used: %s\n", gone.text);
    }
done:
    dataset_free(train);
    dataset_free(held_out);
    cfg_release(train_options, &cfg);
    free(text);
    free(recipe);
    free(config);
    return rc;
}

static int own(Certificate *c, const Opened *o, Err *e)
{
    int rc = 0;
    c->texts = "texts of hone's own";
    for (size_t i = 0; i < ARRAY_LEN(own_texts) && !rc; i++) {
        TokIds ids = { 0 };
        rc = tok_encode(o->tok, str_of(own_texts[i]), TOK_SPECIAL, &ids, e);
        if (!rc)
            add_ids(c, o, ids.p, (int64_t)ids.n);
        vec_release(&ids);
    }
    return rc;
}

int certificate_texts(Certificate *c, const Opened *source, const char *path, const char *data, Err *e)
{
    int rc = data && *data ? texts_of_file(c, source, data, e) : texts_of_run(c, source, path, e);
    if (!rc && !c->tokens)
        rc = own(c, source, e);
    if (!rc && !c->tokens)
        rc = err_set(e, ERR_INPUT, "%s: the tokenizer makes no tokens of any text, so nothing can be compared", path);
    return rc;
}

/* ---- numbers ---- */

/* Logits after each token of one text, in one pass: out [n, V]. */
static int logits_of(const Opened *o, TArena *scratch, const TokIds *ids, float *out, Err *e)
{
    static const int32_t zero = 0;
    const Model  *m = o->model;
    const int32_t n = (int32_t)ids->n;
    TArenaMark    mark = tarena_mark(scratch);
    Tensor       *id = tarena_tensor(scratch, NULL, DT_I32, 1, (int64_t[]){ n }), *pos = tarena_tensor(scratch, NULL, DT_I32, 1, (int64_t[]){ n });
    int           rc = 0;
    if (tarena_failed(scratch, e))
        return e->code;
    int32_t *at = mem_alloc((size_t)n * sizeof *at);
    for (int32_t i = 0; i < n; i++)
        at[i] = i;
    m->be->upload(m->be, id->data, ids->p, (size_t)n * sizeof *at);
    m->be->upload(m->be, pos->data, at, (size_t)n * sizeof *at);
    free(at);
    Step s;
    Tape t;
    step_init(&s, m, scratch, id, pos, 1, &zero, &n);
    s.adapter = o->adapter;
    tape_init(&t, m->be, scratch, false);
    Tensor *hidden = model_hidden(&t, m, &s, NULL), *logits = hidden ? model_logits(&t, m, s.adapter, hidden) : NULL;
    if (tarena_failed(scratch, e))
        rc = err_wrap(e, "%d tokens at once", n);
    else if (!(rc = m->be->sync(m->be, e)))
        m->be->download(m->be, out, logits->data, (size_t)(n * m->cfg.vocab) * sizeof *out);
    tape_release(&t);
    tarena_rewind(scratch, mark);
    return rc;
}

/* A conversation as the model's template renders it; models without one have none, which is a fact to be compared too. */
static bool render_sample(const Opened *o, TokIds *ids, Err *e)
{
    ChatOut out = { 0 };
    Json   *messages = json_arr_new();
    cli_message_add(messages, "user", STR_LIT("Where is order 27?"));
    cli_message_add(messages, "assistant", STR_LIT("It left Oslo on Monday."));
    cli_message_add(messages, "user", STR_LIT("Thank you."));
    const bool good = !chat_render(o->tok, messages, true, "the sample conversation", &out, e);
    for (size_t i = 0; good && i < out.ids.n; i++)
        *vec_push(ids) = out.ids.p[i];
    chat_out_release(&out);
    json_free(messages);
    return good;
}

int certificate_source(Certificate *c, const Opened *o, Err *e)
{
    TArena  scratch;
    int64_t row = 0;
    int     rc = model_reserve_positions(o->model, MIN((int64_t)CERTIFICATE_TEXT, o->model->cfg.max_positions), e);
    c->vocab = o->model->cfg.vocab;
    c->logits = mem_alloc((size_t)(c->tokens * c->vocab) * sizeof *c->logits);
    tarena_init(&scratch, o->be);
    for (size_t i = 0; i < c->n_texts && !rc; i++) {
        CertText *t = &c->text[i];
        rc = tok_encode(o->tok, strbuf_str(&t->text), TOK_SPECIAL, &t->again, e);
        rc = rc ? rc : logits_of(o, &scratch, &t->ids, c->logits + row * c->vocab, e);
        row += (int64_t)t->ids.n;
    }
    Err why = { 0 };
    c->has_chat = render_sample(o, &c->chat, &why);
    if (!c->has_chat && strcmp(chat_template_hash(o->tok), "built-in") != 0)
        log_warn("export", "the chat template goes into the file as it is, but it does not render: %s", why.text);
    snprintf(c->template_hash, sizeof c->template_hash, "%s", chat_template_hash(o->tok));
    tarena_release(&scratch);
    return rc;
}

typedef struct Sums { double difference, largest, off, all, kl; int64_t same; } Sums;

/* One position: was and now are the logits of the same place. */
static void compare_row(Sums *s, const float *was, const float *now, int64_t n)
{
    double  top[2] = { -INFINITY, -INFINITY }, mean[2] = { 0 }, z[2] = { 0 }, kl = 0;
    int64_t best[2] = { 0 };
    for (int64_t i = 0; i < n; i++) {
        const double v[2] = { (double)was[i], (double)now[i] }, d = fabs(v[1] - v[0]);
        s->difference = isnan(d) || d > s->difference ? d : s->difference;
        s->largest = MAX(s->largest, fabs(v[0]));
        for (int k = 0; k < 2; k++) {
            mean[k] += v[k] / (double)n;
            if (v[k] > top[k]) {
                top[k] = v[k];
                best[k] = i;
            }
        }
    }
    for (int64_t i = 0; i < n; i++) {
        z[0] += exp((double)was[i] - top[0]);
        z[1] += exp((double)now[i] - top[1]);
    }
    for (int64_t i = 0; i < n; i++) {
        const double p = (double)was[i] - top[0] - log(z[0]), q = (double)now[i] - top[1] - log(z[1]);
        const double a = (double)was[i] - mean[0], b = (double)now[i] - mean[1];
        kl += exp(p) * (p - q);
        s->off += (b - a) * (b - a);
        s->all += a * a;
    }
    s->kl += kl;
    s->same += best[0] == best[1];
}

static bool same_ids(const TokIds *a, const TokIds *b)
{
    return a->n == b->n && (!a->n || memcmp(a->p, b->p, a->n * sizeof *a->p) == 0);
}

static bool same_tokens(const Opened *o, const CertText *t)
{
    TokIds     ids = { 0 };
    const bool same = !tok_encode(o->tok, strbuf_str(&t->text), TOK_SPECIAL, &ids, NULL) && same_ids(&ids, &t->again);
    vec_release(&ids);
    return same;
}

int certificate_compare(Certificate *c, const Opened *o, Err *e)
{
    TArena  scratch;
    Sums    s = { 0 };
    TokIds  chat = { 0 };
    int64_t row = 0;
    if (o->model->cfg.vocab != c->vocab)
        return err_set(e, ERR_WORK, "the vocabulary has %lld entries, the source's %lld", (long long)o->model->cfg.vocab, (long long)c->vocab);
    int    rc = model_reserve_positions(o->model, MIN((int64_t)CERTIFICATE_TEXT, o->model->cfg.max_positions), e);
    float *now = mem_alloc((size_t)(CERTIFICATE_TEXT * c->vocab) * sizeof *now);
    tarena_init(&scratch, o->be);
    c->tokenizer_equal = true;
    for (size_t i = 0; i < c->n_texts && !rc; i++) {
        const CertText *t = &c->text[i];
        c->tokenizer_equal = c->tokenizer_equal && same_tokens(o, t);
        rc = logits_of(o, &scratch, &t->ids, now, e);
        for (size_t k = 0; k < t->ids.n && !rc; k++)
            compare_row(&s, c->logits + (row + (int64_t)k) * c->vocab, now + (int64_t)k * c->vocab, c->vocab);
        row += (int64_t)t->ids.n;
    }
    c->template_equal = render_sample(o, &chat, NULL) == c->has_chat && same_ids(&chat, &c->chat) && !strcmp(chat_template_hash(o->tok), c->template_hash);
    c->difference = s.difference;
    c->largest = s.largest;
    c->spread = s.all > 0 ? sqrt(s.off / s.all) : sqrt(s.off);
    c->kl = MAX(s.kl / (double)MAX(c->tokens, 1), 0);
    c->same = s.same;
    vec_release(&chat);
    free(now);
    tarena_release(&scratch);
    return rc;
}

void certificate_release(Certificate *c)
{
    for (size_t i = 0; i < c->n_texts; i++) {
        vec_release(&c->text[i].ids);
        vec_release(&c->text[i].again);
        strbuf_release(&c->text[i].text);
    }
    free(c->text);
    free(c->logits);
    vec_release(&c->chat);
    *c = (Certificate){ 0 };
}

/* ---- saying it ---- */

static double allowed(const Certificate *c, const CertClaim *claim)
{
    return claim->exact ? claim->bound * MAX(c->largest, 1) : claim->bound;
}

bool certificate_good(const Certificate *c, const CertClaim *claim)
{
    const double found = claim->exact ? c->difference : c->spread;
    return found <= allowed(c, claim) && c->difference <= INFINITY && c->tokenizer_equal && c->template_equal; /* false for NaN */
}

Json *certificate_json(const Certificate *c, const CertClaim *claim)
{
    Json *j = json_obj_new();
    json_set(j, "path", json_str_new(str_of(claim->path)));
    json_set(j, "source", json_str_new(str_of(claim->source)));
    json_set(j, "format", json_str_new(str_of(claim->format)));
    json_set(j, "dtype", json_str_new(str_of(claim->type)));
    json_set(j, "texts", json_str_new(str_of(c->texts)));
    json_set(j, "tokens_compared", json_int_new(c->tokens));
    json_set(j, "largest_logit_difference", json_num_new(c->difference));
    json_set(j, "logit_noise", json_num_new(c->spread));
    json_set(j, "mean_kl", json_num_new(c->kl));
    json_set(j, "greedy_agreement", json_num_new((double)c->same / (double)c->tokens));
    json_set(j, claim->exact ? "allowed_difference" : "allowed_noise", json_num_new(allowed(c, claim)));
    json_set(j, "tokenizer_equal", json_bool_new(c->tokenizer_equal));
    json_set(j, "chat_template", json_str_new(str_of(c->template_hash)));
    json_set(j, "template_equal", json_bool_new(c->template_equal));
    json_set(j, "verified", json_bool_new(certificate_good(c, claim)));
    if (claim->notes && *claim->notes)
        json_set(j, "notes", json_str_new(str_of(claim->notes)));
    json_set(j, "hone", json_str_new(STR_LIT(HONE_VERSION)));
    return j;
}

void certificate_print(const Certificate *c, const CertClaim *claim)
{
    printf("%s: written as %s in %s, opened again and compared on %lld tokens (%s):\n", claim->path, claim->format, claim->type, (long long)c->tokens,
           c->texts);
    printf("largest difference of a logit %.3g, noise %.3g of the logits' spread (%s %.3g), mean KL %.3g nats, same likeliest token at %lld of %lld\n",
           c->difference, c->spread, claim->exact ? "rounding explains a difference of" : "allowed is", allowed(c, claim), c->kl, (long long)c->same,
           (long long)c->tokens);
    printf("tokenizer %s, chat template %s\n", c->tokenizer_equal ? "equal" : "DIFFERENT", c->template_equal ? "equal" : "DIFFERENT");
    if (claim->notes && *claim->notes)
        fputs(claim->notes, stdout);
}

int certificate_error(const Certificate *c, const CertClaim *claim, const char *kept, Err *e)
{
    if (!c->tokenizer_equal || !c->template_equal)
        return err_set(e, ERR_WORK, "%s: the exported %s differs from the source's: texts would be read otherwise than in training; what was written is "
                       "kept as %s, do not use it", claim->path, c->tokenizer_equal ? "chat template" : "tokenizer", kept);
    return err_set(e, ERR_WORK, "%s: the exported files do not compute what the source does: %s %g, and %s explains %g; what was written is kept as %s, "
                   "do not use it", claim->path, claim->exact ? "a logit differs by" : "the logits differ in root mean square by a share of",
                   claim->exact ? c->difference : c->spread, claim->type, allowed(c, claim), kept);
}
