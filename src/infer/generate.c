/* generate.c - see generate.h. */
#include "infer/generate.h"

#include <stdlib.h>

#include "base/mem.h"

#define CACHE_LEAST 256 /* tokens; the cache doubles from here */

const char *finish_name(Finish f)
{
    static const char *const name[] = { [FINISH_END] = "end", [FINISH_STOP_TEXT] = "stop", [FINISH_LENGTH] = "length", [FINISH_ASKED] = "asked" };
    BUG_ON((size_t)f >= ARRAY_LEN(name));
    return name[f];
}

void generator_open(Generator *g, const Model *m, const Adapter *a, const Tok *tok)
{
    *g = (Generator){ .model = m, .adapter = a, .tok = tok, .chunk = GENERATE_CHUNK, .kv_type = DT_F32 };
    tarena_init(&g->scratch, m->be);
    sampler_init(&g->sampler, (int32_t)m->cfg.vocab);
    g->prompt_logits = mem_zalloc((size_t)m->cfg.vocab, sizeof *g->prompt_logits);
    g->logits = mem_zalloc((size_t)m->cfg.vocab, sizeof *g->logits);
    for (int i = 0; i < m->cfg.n_eos; i++)
        generator_end_add(g, m->cfg.eos[i]);
    if (tok)
        generator_end_add(g, tok_eos(tok));
}

void generator_close(Generator *g)
{
    if (g->model)
        tarena_release(&g->scratch);
    kv_close(&g->kv);
    vec_release(&g->ids);
    sampler_release(&g->sampler);
    free(g->prompt_logits);
    free(g->logits);
    *g = (Generator){ 0 };
}

bool generator_ends(const Generator *g, int32_t id)
{
    for (int i = 0; i < g->n_end; i++)
        if (g->end[i] == id)
            return true;
    return false;
}

void generator_end_add(Generator *g, int32_t id)
{
    if (id < 0 || generator_ends(g, id))
        return;
    BUG_ON(g->n_end == GENERATE_END_MAX);
    g->end[g->n_end++] = id;
}

int32_t generator_positions(const Generator *g)
{
    const Model *m = g->model;
    return (int32_t)(m->fam->pos == POS_ROPE ? MIN(m->positions, m->cfg.max_positions) : m->cfg.max_positions);
}

void generator_plan(Generator *g, int64_t tokens)
{
    const int32_t most = generator_positions(g), plan = (int32_t)(tokens > 0 ? MIN(tokens, (int64_t)most) : most);
    if (rope_plans_differ(&g->model->cfg, g->plan ? g->plan : most, plan))
        g->n_cached = 0;
    g->plan = plan;
}

/* Makes the cache hold at least `need` tokens; what it has is kept. */
static int reserve(Generator *g, int32_t need, Err *e)
{
    const Model *m = g->model;
    KvCache      kv;
    if (g->kv.k && g->kv.capacity >= need)
        return 0;
    const int32_t capacity = MIN(generator_positions(g), MAX(need, MAX(g->kv.capacity, CACHE_LEAST / 2) * 2));
    int           rc = kv_open(&kv, m, 1, capacity, g->kv_type, e);
    if (rc)
        return rc;
    for (int64_t i = 0; g->n_cached && i < m->cfg.layers; i++) {
        m->be->copy_rows(m->be, kv.k[i], 0, g->kv.k[i], 0, g->n_cached);
        m->be->copy_rows(m->be, kv.v[i], 0, g->kv.v[i], 0, g->n_cached);
    }
    kv_close(&g->kv);
    g->kv = kv;
    return 0;
}

/* Takes n more of g->ids through the model, behind those in the cache; logits (may be NULL) of the last one. */
static int feed(Generator *g, int32_t n, float *logits, Err *e)
{
    const Model  *m = g->model;
    const int64_t dim = n;
    const int32_t zero = 0, nk = g->n_cached + n, plan = g->plan ? g->plan : generator_positions(g);
    int           rc = reserve(g, nk, e);
    if (rc)
        return rc;
    TArenaMark mark = tarena_mark(&g->scratch);
    Tensor    *ids = tarena_tensor(&g->scratch, NULL, DT_I32, 1, &dim), *pos = tarena_tensor(&g->scratch, NULL, DT_I32, 1, &dim);
    Tensor    *last = tarena_tensor(&g->scratch, NULL, DT_I32, 1, (int64_t[]){ 1 });
    if (tarena_failed(&g->scratch, e))
        return e->code;
    int32_t *at = mem_alloc((size_t)n * sizeof *at);
    for (int32_t i = 0; i < n; i++)
        at[i] = g->n_cached + i;
    m->be->upload(m->be, ids->data, g->ids.p + g->n_cached, (size_t)n * sizeof *at);
    m->be->upload(m->be, pos->data, at, (size_t)n * sizeof *at);
    m->be->upload(m->be, last->data, &(int32_t){ n - 1 }, sizeof *at);
    free(at);

    Step s;
    Tape t;
    step_init_cached(&s, m, &g->scratch, ids, pos, 1, &zero, &n, &g->kv, &zero, &nk, &plan);
    s.adapter = g->adapter;
    tape_init(&t, m->be, &g->scratch, false);
    m->be->whole = true;
    Tensor *hidden = model_hidden(&t, m, &s, last), *out = hidden && logits ? model_logits(&t, m, g->adapter, hidden) : NULL;
    if (tarena_failed(&g->scratch, e))
        rc = err_wrap(e, "%d tokens at once", n);
    else if (!(rc = m->be->sync(m->be, e)) && out)
        m->be->download(m->be, logits, out->data, (size_t)m->cfg.vocab * sizeof *logits);
    m->be->whole = false;
    tape_release(&t);
    tarena_rewind(&g->scratch, mark);
    if (!rc)
        g->n_cached = nk;
    return rc;
}

static int check_prompt(const Generator *g, const int32_t *ids, int32_t n, Err *e)
{
    const int32_t positions = generator_positions(g);
    if (n < 1)
        return err_set(e, ERR_INPUT, "the prompt is empty, so there is nothing to continue; give it at least one word");
    if (n >= positions)
        return err_set(e, ERR_INPUT, "the prompt has %d tokens, but %s has positions for %d, prompt and answer together; shorten the prompt", n,
                       g->model->path, positions);
    for (int32_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= g->model->cfg.vocab)
            return err_set(e, ERR_INPUT, "token %d of the prompt has id %d, but the model's embedding has only %lld rows; this tokenizer does not belong to "
                                         "this model", i + 1, ids[i], (long long)g->model->cfg.vocab);
    return 0;
}

int generator_prompt(Generator *g, const int32_t *ids, int32_t n, Err *e)
{
    int rc = check_prompt(g, ids, n, e);
    if (rc)
        return rc;
    int32_t same = 0;
    while (same < MIN(g->n_cached, n - 1) && g->ids.p[same] == ids[same]) /* the last token goes through again: its logits are wanted */
        same++;
    g->n_cached = same;
    vec_clear(&g->ids);
    for (int32_t i = 0; i < n; i++)
        *vec_push(&g->ids) = ids[i];
    g->n_prompt = n;
    while (g->n_cached < n && !rc) {
        const int32_t piece = MIN(n - g->n_cached, g->chunk);
        rc = feed(g, piece, g->n_cached + piece == n ? g->prompt_logits : NULL, e);
    }
    return rc;
}

/* The way of an answer's text: tokens -> whole characters -> what stands before a stop text -> reader. */
typedef struct Outlet {
    TokStream      *stream;
    StopScan        scan;
    StrBuf          chars, clear;
    const GenHooks *hooks;
    StrBuf         *text;
} Outlet;

static void outlet_open(Outlet *o, const Generator *g, const GenOptions *opt, const GenHooks *h, StrBuf *text)
{
    *o = (Outlet){ .scan.list = opt->stop, .hooks = h, .text = text };
    if (!g->tok)
        return;
    o->stream = tok_stream_new(g->tok, true);
    /* The decoder's state depends on what stands before (a space at the very beginning is dropped, for one), so it sees the prompt as well. */
    for (int32_t i = 0; i < g->n_prompt; i++) {
        strbuf_clear(&o->chars);
        tok_stream_push(o->stream, g->ids.p[i], &o->chars);
    }
    strbuf_clear(&o->chars);
}

static void outlet_show(Outlet *o)
{
    if (o->text)
        strbuf_add(o->text, strbuf_z(&o->clear), o->clear.n);
    if (o->clear.n && o->hooks && o->hooks->text)
        o->hooks->text(o->hooks->user, strbuf_str(&o->clear));
    strbuf_clear(&o->clear);
    strbuf_clear(&o->chars);
}

static void outlet_push(Outlet *o, int32_t id)
{
    if (!o->stream)
        return;
    tok_stream_push(o->stream, id, &o->chars);
    stop_scan_push(&o->scan, strbuf_str(&o->chars), &o->clear);
    outlet_show(o);
}

static void outlet_close(Outlet *o)
{
    if (!o->stream)
        return;
    tok_stream_end(o->stream, &o->chars);
    stop_scan_push(&o->scan, strbuf_str(&o->chars), &o->clear);
    stop_scan_end(&o->scan, &o->clear);
    outlet_show(o);
    tok_stream_free(o->stream);
    stop_scan_release(&o->scan);
    strbuf_release(&o->chars);
    strbuf_release(&o->clear);
}

static void back_to_prompt(Generator *g)
{
    g->ids.n = (size_t)g->n_prompt;
    g->n_cached = g->n_prompt;
    memcpy(g->logits, g->prompt_logits, (size_t)g->model->cfg.vocab * sizeof *g->logits);
    sampler_forget(&g->sampler);
    for (int32_t i = 0; i < g->n_prompt; i++)
        sampler_see(&g->sampler, g->ids.p[i]);
}

int generator_run(Generator *g, const GenOptions *o, uint64_t sequence, const GenHooks *h, StrBuf *text, GenResult *r, Err *e)
{
    BUG_ON(!g->n_prompt);
    const int64_t room = generator_positions(g) - g->n_prompt, most = o->max_tokens ? MIN(o->max_tokens, room) : room;
    Outlet        outlet;
    int           rc = 0;
    *r = (GenResult){ .finish = FINISH_LENGTH };
    back_to_prompt(g);
    outlet_open(&outlet, g, o, h, text);
    while (r->n_tokens < most) {
        int32_t id;
        if (h && h->stop_asked && h->stop_asked(h->user)) {
            r->finish = FINISH_ASKED;
            break;
        }
        if (r->n_tokens && (rc = feed(g, 1, g->logits, e)))
            break;
        if ((rc = sampler_pick(&g->sampler, g->logits, &o->sample, sequence, (uint64_t)r->n_tokens, &id, e))) {
            err_wrap(e, "at token %zu of the text", g->ids.n + 1);
            break;
        }
        if (generator_ends(g, id)) {
            r->finish = FINISH_END;
            break;
        }
        *vec_push(&g->ids) = id;
        sampler_see(&g->sampler, id);
        r->n_tokens++;
        outlet_push(&outlet, id);
        if (outlet.scan.hit) {
            r->finish = FINISH_STOP_TEXT;
            break;
        }
    }
    outlet_close(&outlet);
    return rc;
}

int generator_answer(Generator *g, const int32_t *ids, int32_t n, int64_t max_tokens, StrBuf *text, Err *e)
{
    GenResult        r;
    const GenOptions o = { .max_tokens = max_tokens };
    generator_plan(g, max_tokens ? n + max_tokens : 0);
    int rc = generator_prompt(g, ids, n, e);
    return rc ? rc : generator_run(g, &o, 0, NULL, text, &r, e);
}
