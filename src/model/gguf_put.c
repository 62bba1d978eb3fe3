/* gguf_put.c - a model's configuration as GGUF metadata, under the keys that llama.cpp's converter writes. What llama.cpp would compute otherwise than
 * hone is refused here, or, where only long texts differ, ends in a shorter context and a sentence about it.
 * Invariant: a file that was written computes in llama.cpp what the model computes, up to its context_length. */
#include "model/gguf_save.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "formats/gguf.h"
#include "model/model_int.h"

typedef struct Put {
    struct GgufWriter *w;
    const Model       *m;
    const ModelConfig *c;
    const GgufArch    *a;
    char               key[128];
} Put;

static const char *key_of(Put *p, const char *tail)
{
    snprintf(p->key, sizeof p->key, "%s.%s", p->a->name, tail);
    return p->key;
}

static void put_int(Put *p, const char *tail, int64_t v) { gguf_set_u32(p->w, key_of(p, tail), (uint32_t)v); }
static void put_num(Put *p, const char *tail, double v) { gguf_set_f32(p->w, key_of(p, tail), (float)v); }

static int cannot(const Put *p, Err *e, const char *what)
{
    return err_set(e, ERR_INPUT, "%s: llama.cpp's %s models cannot have %s, so a GGUF file would compute something else; export safetensors instead",
                   p->m->path, p->a->name, what);
}

/* The layers that llama.cpp would give a window when nothing is said. */
static bool narrow_by_period(const GgufArch *a, int64_t layer)
{
    return a->period > 0 && layer % a->period < a->period - 1;
}

static int check_numbers(const Put *p, Err *e)
{
    const ModelConfig *c = p->c;
    const unsigned     can = p->a->can;
    const double       plain = 1 / sqrt((double)c->head_dim);
    const bool         gemma2 = !strcmp(p->a->name, "gemma2"), gemma3 = !strcmp(p->a->name, "gemma3");
    const bool         by_width = (gemma2 && c->layers == 46) || (gemma3 && c->layers == 62); /* llama.cpp knows the largest ones by their layers */
    const double       scale = by_width ? 1 / sqrt((double)(c->hidden / c->heads)) : plain;
    if (c->act != p->a->act)
        return cannot(p, e, "this activation");
    if (!(can & GGUF_SCALES) && fabs((double)c->attn_scale - scale) > 1e-6 * scale)
        return cannot(p, e, "attention scores scaled by another number than the head size gives");
    if (!(can & GGUF_SCALES) && (c->residual_scale != 1 || c->logit_scale != 1))
        return cannot(p, e, "multipliers of the residual stream or the logits");
    if (c->attn_softcap != 0 && !(can & GGUF_ATTN_CAP))
        return cannot(p, e, "soft-capped attention scores");
    if (c->logit_softcap != 0 && !(can & GGUF_LOGIT_CAP))
        return cannot(p, e, "soft-capped logits");
    if (!(can & GGUF_HEAD_SIZE) && c->heads * c->head_dim != c->hidden)
        return cannot(p, e, "heads that are not the width of the model together");
    if ((can & GGUF_ONLY_TIED) && !c->tied)
        return cannot(p, e, "a head of its own beside the embedding");
    return 0;
}

static int check_layers(const Put *p, Err *e)
{
    const ModelConfig *c = p->c;
    const bool         gemma3 = !strcmp(p->a->name, "gemma3"), smollm3 = !strcmp(p->a->name, "smollm3");
    for (int64_t i = 0; i < c->layers; i++) {
        const bool window = c->layer[i] & LAYER_WINDOW, still = c->layer[i] & LAYER_NO_ROPE, local = c->layer[i] & LAYER_LOCAL_ROPE;
        if (still != (smollm3 && (i + 1) % 4 == 0))
            return cannot(p, e, "this choice of layers without rotation");
        if (local != (gemma3 && window))
            return cannot(p, e, "this choice of layers with a rotation of their own");
    }
    return 0;
}

static void put_windows(Put *p)
{
    const ModelConfig *c = p->c;
    bool               narrow[LAYERS_MAX], usual = true;
    if (!(p->a->can & (GGUF_WINDOW | GGUF_NOTES_WINDOW)))
        return;
    put_int(p, "attention.sliding_window", c->window);
    for (int64_t i = 0; i < c->layers; i++) {
        narrow[i] = c->layer[i] & LAYER_WINDOW;
        usual = usual && narrow[i] == narrow_by_period(p->a, i);
    }
    if (!usual && (p->a->can & GGUF_WINDOW) && c->window > 0)
        gguf_set_bools(p->w, key_of(p, "attention.sliding_window_pattern"), narrow, (size_t)c->layers);
}

bool gguf_single_factors(const GgufArch *a, const RopeConfig *r)
{
    return (a->can & GGUF_FREQS) && r->kind == ROPE_LONG && r->attention_factor == 1 &&
           memcmp(r->short_factor, r->long_factor, (size_t)(r->rot / 2) * sizeof(float)) == 0;
}

/* How long a text may be for llama.cpp to compute what hone does. */
static int64_t context_of(const Put *p, StrBuf *notes)
{
    const ModelConfig *c = p->c;
    int64_t            n = c->max_positions;
    bool               windows = false;
    for (int64_t i = 0; i < c->layers; i++)
        windows |= (c->layer[i] & LAYER_WINDOW) != 0;
    if (windows && c->window < n && !(p->a->can & (GGUF_WINDOW | GGUF_NOTES_WINDOW))) {
        strbuf_addf(notes, "llama.cpp computes no attention windows for %s models: context_length is written as the window, %d tokens, instead of %lld, "
                    "because longer texts would be computed otherwise there\n", p->a->name, c->window, (long long)n);
        n = c->window;
    }
    if (windows && c->window < n && (p->a->can & GGUF_NOTES_WINDOW))
        strbuf_addf(notes, "llama.cpp leaves the attention window of %s models out: texts longer than %d tokens are computed otherwise there than here\n",
                    p->a->name, c->window);
    if (c->rope[ROPE_GLOBAL].kind == ROPE_LONG && !gguf_single_factors(p->a, &c->rope[ROPE_GLOBAL]))
        strbuf_addf(notes, "llama.cpp chooses between the rope factors of short and long texts by the size of its context, hone by the length of each "
                    "text: with a context of more than %lld tokens short texts are computed otherwise there\n", (long long)c->rope[ROPE_GLOBAL].original);
    if (c->rope[ROPE_GLOBAL].kind == ROPE_DYNAMIC && (int64_t)c->rope[ROPE_GLOBAL].original < n) {
        n = (int64_t)c->rope[ROPE_GLOBAL].original;
        strbuf_addf(notes, "llama.cpp has no dynamic rope scaling: context_length is written as %lld tokens, up to which it changes nothing\n", (long long)n);
    }
    return n;
}

static int put_scaling(Put *p, const RopeConfig *r, Err *e)
{
    const double yarn = r->factor > 1 ? 0.1 * log(r->factor) + 1 : 1;
    switch (r->kind) {
    case ROPE_DEFAULT:
    case ROPE_DYNAMIC:
        return 0;
    case ROPE_LINEAR:
        gguf_set_str(p->w, key_of(p, "rope.scaling.type"), STR_LIT("linear"));
        put_num(p, "rope.scaling.factor", r->factor);
        return 0;
    case ROPE_LLAMA3:
        return p->a->can & GGUF_FREQS ? 0 : cannot(p, e, "rope scaling of type llama3");
    case ROPE_YARN:
        if (r->beta_fast != 32 || r->beta_slow != 1 || !r->truncate)
            return cannot(p, e, "yarn with a ramp other than 32 to 1");
        gguf_set_str(p->w, key_of(p, "rope.scaling.type"), STR_LIT("yarn"));
        put_num(p, "rope.scaling.factor", r->factor);
        put_int(p, "rope.scaling.original_context_length", (int64_t)r->original);
        if (fabs(r->attention_factor / yarn - 1) > 1e-6)
            put_num(p, "rope.scaling.attn_factor", r->attention_factor / yarn);
        return 0;
    case ROPE_LONG:
        if (gguf_single_factors(p->a, r))
            return 0;
        if (!(p->a->can & GGUF_LONGROPE))
            return cannot(p, e, "rope scaling of type longrope");
        if (!(p->a->can & GGUF_NOTES_WINDOW)) /* Phi-3's files do without the name */
            gguf_set_str(p->w, key_of(p, "rope.scaling.type"), STR_LIT("longrope"));
        put_num(p, "rope.scaling.attn_factor", r->attention_factor);
        return 0;
    }
    return 0;
}

static int put_rope(Put *p, Err *e)
{
    const RopeConfig *r = &p->c->rope[ROPE_GLOBAL], *local = &p->c->rope[ROPE_LOCAL];
    const bool        gemma3 = !strcmp(p->a->name, "gemma3"), phi3 = !strcmp(p->a->name, "phi3");
    if (p->a->can & GGUF_POSITIONS)
        return 0;
    if (r->rot != p->c->head_dim && !(p->a->can & GGUF_PARTIAL))
        return cannot(p, e, "heads that rotate in part");
    put_int(p, "rope.dimension_count", r->rot);
    put_num(p, "rope.freq_base", r->theta);
    if (phi3 || (r->kind == ROPE_LONG && !gguf_single_factors(p->a, r)))
        put_int(p, "rope.scaling.original_context_length", r->kind == ROPE_LONG ? (int64_t)r->original : p->c->max_positions);
    if (gemma3) {
        if (local->kind != ROPE_DEFAULT)
            return cannot(p, e, "rope scaling in the layers with a window");
        put_num(p, "rope.freq_base_swa", local->theta);
    }
    return put_scaling(p, r, e);
}

/* The number that was inverted to s: the shortest one that gives s again. */
static double divisor(float s)
{
    char text[40];
    for (int digits = 3; digits < 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, 1 / (double)s);
        if ((float)(1 / strtod(text, NULL)) == s)
            return strtod(text, NULL);
    }
    return 1 / (double)s;
}

static void put_scales(Put *p)
{
    const ModelConfig *c = p->c;
    if (p->a->can & GGUF_SCALES) {
        put_num(p, "attention.scale", (double)c->attn_scale);
        put_num(p, "embedding_scale", (double)c->embed_scale);
        put_num(p, "residual_scale", (double)c->residual_scale);
        put_num(p, "logit_scale", divisor(c->logit_scale)); /* Granite divides by it */
    }
    if ((p->a->can & GGUF_ATTN_CAP) && c->attn_softcap != 0)
        put_num(p, "attn_logit_softcapping", (double)c->attn_softcap);
    if ((p->a->can & GGUF_LOGIT_CAP) && c->logit_softcap != 0)
        put_num(p, "final_logit_softcapping", (double)c->logit_softcap);
    if (!strcmp(p->a->name, "gptneox"))
        gguf_set_bool(p->w, key_of(p, "use_parallel_residual"), c->parallel);
}

static int put_experts(Put *p, Err *e)
{
    const ModelConfig *c = p->c;
    if (!(p->a->can & GGUF_EXPERTS))
        return c->experts ? cannot(p, e, "experts") : 0;
    for (int64_t i = 0; i < c->layers; i++)
        if (!(c->layer[i] & LAYER_EXPERTS))
            return cannot(p, e, "layers without experts");
    if (c->norm_topk != ((p->a->can & GGUF_NORM_TOPK) != 0))
        return cannot(p, e, c->norm_topk ? "weights of chosen experts that sum to one" : "weights of chosen experts as the router gives them");
    put_int(p, "expert_count", c->experts);
    put_int(p, "expert_used_count", c->top_k);
    if (strcmp(p->a->name, "llama") != 0)
        put_int(p, "expert_feed_forward_length", c->expert_ffn);
    if (c->shared_ffn)
        put_int(p, "expert_shared_feed_forward_length", c->shared_ffn);
    return 0;
}

int gguf_put_config(struct GgufWriter *w, const Model *m, const GgufArch *a, StrBuf *notes, Err *e)
{
    Put                p = { .w = w, .m = m, .c = &m->cfg, .a = a };
    const ModelConfig *c = &m->cfg;
    int                rc;
    if ((rc = check_numbers(&p, e)) || (rc = check_layers(&p, e)))
        return rc;
    put_int(&p, "vocab_size", c->vocab);
    put_int(&p, "block_count", c->layers);
    put_int(&p, "context_length", context_of(&p, notes));
    put_int(&p, "embedding_length", c->hidden);
    put_int(&p, "feed_forward_length", c->experts && !strcmp(a->name, "llama") ? c->expert_ffn : c->ffn);
    put_int(&p, "attention.head_count", c->heads);
    put_int(&p, "attention.head_count_kv", c->kv_heads);
    put_num(&p, a->can & GGUF_LAYERNORM ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", (double)c->norm_eps);
    if (a->can & GGUF_HEAD_SIZE) {
        put_int(&p, "attention.key_length", c->head_dim);
        put_int(&p, "attention.value_length", c->head_dim);
    }
    if ((rc = put_experts(&p, e)))
        return rc;
    put_windows(&p);
    put_scales(&p);
    return put_rope(&p, e);
}
