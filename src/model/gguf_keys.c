/* gguf_keys.c - a GGUF file's metadata, said as the config.json of the family that it is. Main table: rules[], the keys that are only renamed; what
 * needs thought (rotation, windows, experts, what only tensors tell) has a function each.
 * Invariant: a key below the architecture's name that nobody here looked at is refused: it may change the mathematics. */
#include "model/gguf_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

#define LAYERS_LIMIT 1024

typedef struct Reader {
    const Gguf     *g;
    const GgufArch *a;
    Json           *j;
    Map            *seen;       /* keys that were looked at */
    char            key[256];   /* of the last key_of */
    int64_t         layers, heads, head_dim, rot, positions;
} Reader;

typedef enum { K_INT, K_NUM, K_BOOL } KeyKind;

/* Keys that only get another name. Where a family spells one differently, see spelled(). */
static const struct { const char *gguf, *hf; KeyKind kind; unsigned only; } rules[] = {
    { "block_count",                       "num_hidden_layers",             K_INT,  0              },
    { "context_length",                    "max_position_embeddings",       K_INT,  0              },
    { "embedding_length",                  "hidden_size",                   K_INT,  0              },
    { "feed_forward_length",               "intermediate_size",             K_INT,  0              },
    { "attention.head_count",              "num_attention_heads",           K_INT,  0              },
    { "attention.head_count_kv",           "num_key_value_heads",           K_INT,  0              },
    { "attention.layer_norm_rms_epsilon",  "rms_norm_eps",                  K_NUM,  0              },
    { "attention.layer_norm_epsilon",      "layer_norm_eps",                K_NUM,  GGUF_LAYERNORM },
    { "attn_logit_softcapping",            "attn_logit_softcapping",        K_NUM,  GGUF_ATTN_CAP  },
    { "final_logit_softcapping",           "final_logit_softcapping",       K_NUM,  GGUF_LOGIT_CAP },
    { "logit_scale",                       "logits_scaling",                K_NUM,  GGUF_SCALES    },
    { "residual_scale",                    "residual_multiplier",           K_NUM,  GGUF_SCALES    },
    { "embedding_scale",                   "embedding_multiplier",          K_NUM,  GGUF_SCALES    },
    { "attention.scale",                   "attention_multiplier",          K_NUM,  GGUF_SCALES    },
    { "expert_count",                      "num_experts",                   K_INT,  GGUF_EXPERTS   },
    { "expert_used_count",                 "num_experts_per_tok",           K_INT,  GGUF_EXPERTS   },
    { "expert_feed_forward_length",        "moe_intermediate_size",         K_INT,  GGUF_EXPERTS   },
    { "expert_shared_feed_forward_length", "shared_expert_intermediate_size", K_INT, GGUF_EXPERTS  },
    { "use_parallel_residual",             "use_parallel_residual",         K_BOOL, GGUF_LAYERNORM },
};

/* Looked at by nobody because they change nothing that hone computes. */
static const char *const harmless[] = { "vocab_size", "rope.scaling.finetuned", "tensor_data_layout", "pooling_type" };

/* The same option under a family's own name; "" : the family has no such option. */
static const struct { const char *hf, *common, *own; } spellings[] = {
    { "gpt2",       "hidden_size",             "n_embd"             }, { "gpt2",       "num_hidden_layers",   "n_layer" },
    { "gpt2",       "max_position_embeddings", "n_positions"        }, { "gpt2",       "num_attention_heads", "n_head"  },
    { "gpt2",       "intermediate_size",       "n_inner"            }, { "gpt2",       "num_key_value_heads", ""        },
    { "gpt2",       "layer_norm_eps",          "layer_norm_epsilon" }, { "gpt_neox",   "num_key_value_heads", ""        },
    { "starcoder2", "layer_norm_eps",          "norm_epsilon"       }, { "mixtral",    "num_experts",         "num_local_experts" },
};

static const char *spelled(const GgufArch *a, const char *common)
{
    for (size_t i = 0; i < ARRAY_LEN(spellings); i++)
        if (!strcmp(spellings[i].hf, a->hf) && !strcmp(spellings[i].common, common))
            return spellings[i].own;
    return common;
}

static const char *key_of(Reader *r, const char *tail)
{
    snprintf(r->key, sizeof r->key, "%s.%s", r->a->name, tail);
    map_put(r->seen, str_of(r->key), 1);
    return r->key;
}

static int read_rules(Reader *r, Err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        if ((rules[i].only && !(r->a->can & rules[i].only)) || !gguf_has(r->g, key_of(r, rules[i].gguf)))
            continue;
        const char *name = spelled(r->a, rules[i].hf);
        int64_t     n = 0;
        double      x = 0;
        bool        b = false;
        int         rc = rules[i].kind == K_INT ? gguf_need_int(r->g, r->key, &n, e)
                       : rules[i].kind == K_NUM ? gguf_need_num(r->g, r->key, &x, e) : gguf_need_bool(r->g, r->key, &b, e);
        if (rc)
            return rc;
        if (*name)
            json_set(r->j, name, rules[i].kind == K_INT ? json_int_new(n) : rules[i].kind == K_NUM ? json_num_new(x) : json_bool_new(b));
    }
    return 0;
}

static int need_size(Reader *r, const char *tail, int64_t most, int64_t *v, Err *e)
{
    int rc = gguf_need_int(r->g, key_of(r, tail), v, e);
    if (!rc && (*v < 1 || *v > most))
        rc = err_set(e, ERR_INPUT, "%s: %s is %lld, expected 1 to %lld", gguf_path(r->g), r->key, (long long)*v, (long long)most);
    return rc;
}

/* Head size, its rotating part, and what everything else is measured by. */
static int read_sizes(Reader *r, Err *e)
{
    int64_t hidden = 0, value;
    int     rc;
    if ((rc = need_size(r, "block_count", LAYERS_LIMIT, &r->layers, e)) || (rc = need_size(r, "embedding_length", 1 << 24, &hidden, e)) ||
        (rc = need_size(r, "attention.head_count", 1 << 16, &r->heads, e)) || (rc = need_size(r, "context_length", 1 << 30, &r->positions, e)))
        return rc;
    value = r->head_dim = hidden / r->heads;
    if ((rc = gguf_opt_int(r->g, key_of(r, "attention.key_length"), &r->head_dim, e)) ||
        (rc = gguf_opt_int(r->g, key_of(r, "attention.value_length"), &value, e)))
        return rc;
    if (!gguf_has(r->g, r->key))
        value = r->head_dim;
    if (value != r->head_dim)
        return err_set(e, ERR_INPUT, "%s: keys have %lld elements in a head and values %lld; hone computes heads in which both are equal", gguf_path(r->g),
                       (long long)r->head_dim, (long long)value);
    if (r->head_dim < 1 || r->head_dim > 1 << 16)
        return err_set(e, ERR_INPUT, "%s: the size of a head is %lld, expected 1 to 65536", gguf_path(r->g), (long long)r->head_dim);
    if (r->a->can & GGUF_HEAD_SIZE)
        json_set(r->j, "head_dim", json_int_new(r->head_dim));
    else if (r->head_dim * r->heads != hidden)
        return err_set(e, ERR_INPUT, "%s: %lld heads of %lld elements are not the width %lld, which %s models have", gguf_path(r->g), (long long)r->heads,
                       (long long)r->head_dim, (long long)hidden, r->a->name);
    r->rot = r->head_dim;
    if ((rc = gguf_opt_int(r->g, key_of(r, "rope.dimension_count"), &r->rot, e)))
        return rc;
    if (r->rot < 1 || r->rot > r->head_dim || (r->rot != r->head_dim && !(r->a->can & (GGUF_PARTIAL | GGUF_POSITIONS))))
        return err_set(e, ERR_INPUT, "%s: %s is %lld with heads of %lld elements, and %s models turn whole heads", gguf_path(r->g), r->key, (long long)r->rot,
                       (long long)r->head_dim, r->a->name);
    return 0;
}

/* A share that gives the same number of elements again when it is multiplied and cut. */
static double share(int64_t part, int64_t whole)
{
    double s = (double)part / (double)whole;
    while ((int64_t)(s * (double)whole) < part)
        s = nextafter(s, 2);
    return s;
}

/* ---- rotation ---- */

/* In f32 and in the converter's order of operations, so that the numbers are the same. */
void gguf_llama3_factors(float *f, int64_t n, double theta, double factor, double low, double high, double original)
{
    const float turn = (float)(2 * 3.14159265358979323846);
    for (int64_t i = 0; i < n; i++) {
        const float freq = 1 / (float)pow((double)(float)theta, (double)((float)(2 * i) / (float)(2 * n))), wave = 1 / freq * turn;
        const float smooth = (1 / wave * (float)original - (float)low) / (float)(high - low);
        f[i] = (double)wave < original / high ? 1 : (double)wave > original / low ? (float)factor : 1 / ((1 - smooth) / (float)factor + smooth);
    }
}

static int read_factors(Reader *r, const char *name, Json **list, float **values, Err *e)
{
    const GgufTensor *t = gguf_find(r->g, name);
    *list = NULL;
    *values = NULL;
    if (!t)
        return 0;
    if (t->count != r->rot / 2 || !t->known || t->dtype != DT_F32)
        return err_set(e, ERR_INPUT, "%s: %s should hold %lld numbers in F32, one for each frequency", gguf_path(r->g), name, (long long)(r->rot / 2));
    *values = mem_alloc((size_t)MAX(t->count, 1) * sizeof **values);
    *list = json_arr_new();
    dtype_to_f32(*values, t->data, t->dtype, t->count);
    for (int64_t i = 0; i < t->count; i++) {
        if (!((*values)[i] > 0) || !isfinite((*values)[i])) {
            json_free(*list);
            free(*values);
            *list = NULL;
            *values = NULL;
            return err_set(e, ERR_INPUT, "%s: element %lld of %s is no positive number", gguf_path(r->g), (long long)i, name);
        }
        json_push(*list, json_num_new((double)(*values)[i]));
    }
    return 0;
}

/* rope_freqs.weight came from Llama 3's rule, whose settings the file does not keep. The settings of the released models are tried; where none gives
 * these factors they are handed on one by one, which is the same rotation. */
static Json *scaling_of_factors(const float *f, int64_t n, double theta, int64_t positions, Json *list)
{
    Json  *s = json_obj_new();
    float *g = mem_alloc((size_t)MAX(n, 1) * sizeof *g);
    float  factor = 1;
    bool   same = false;
    for (int64_t i = 0; i < n; i++)
        factor = MAX(factor, f[i]);
    gguf_llama3_factors(g, n, theta, (double)factor, 1, 4, 8192);
    same = n > 0;
    for (int64_t i = 0; i < n && same; i++)
        same = fabsf(g[i] - f[i]) <= 2e-6f * f[i];
    if (same) {
        json_set(s, "rope_type", json_str_new(STR_LIT("llama3")));
        json_set(s, "factor", json_num_new((double)factor));
        json_set(s, "low_freq_factor", json_num_new(1));
        json_set(s, "high_freq_factor", json_num_new(4));
        json_set(s, "original_max_position_embeddings", json_int_new(8192));
    } else {
        json_set(s, "rope_type", json_str_new(STR_LIT("longrope")));
        json_set(s, "short_factor", json_ref(list));
        json_set(s, "long_factor", json_ref(list));
        json_set(s, "attention_factor", json_num_new(1));
        json_set(s, "original_max_position_embeddings", json_int_new(positions));
    }
    free(g);
    return s;
}

/* linear, yarn, longrope by their keys; NULL: none. */
static int read_scaling(Reader *r, Json **out, Err *e)
{
    Str     type = STR_LIT("linear"); /* what llama.cpp takes when only a factor is given */
    double  factor = 0, attn = 1, fast = 32, slow = 1, ext = 1, log_mul = 0;
    int64_t original = r->positions;
    int     rc;
    *out = NULL;
    if ((rc = gguf_opt_num(r->g, key_of(r, "rope.scale_linear"), &factor, e)) || (rc = gguf_opt_str(r->g, key_of(r, "rope.scaling.type"), &type, e)) ||
        (rc = gguf_opt_num(r->g, key_of(r, "rope.scaling.factor"), &factor, e)) ||
        (rc = gguf_opt_num(r->g, key_of(r, "rope.scaling.attn_factor"), &attn, e)) ||
        (rc = gguf_opt_num(r->g, key_of(r, "rope.scaling.yarn_beta_fast"), &fast, e)) ||
        (rc = gguf_opt_num(r->g, key_of(r, "rope.scaling.yarn_beta_slow"), &slow, e)) ||
        (rc = gguf_opt_num(r->g, key_of(r, "rope.scaling.yarn_ext_factor"), &ext, e)) ||
        (rc = gguf_opt_num(r->g, key_of(r, "rope.scaling.yarn_log_multiplier"), &log_mul, e)) ||
        (rc = gguf_opt_int(r->g, key_of(r, "rope.scaling.original_context_length"), &original, e)))
        return rc;
    key_of(r, "rope.scaling.yarn_attn_factor"); /* written by some converters; llama.cpp overwrites it for yarn and has no use for it otherwise */
    if (original < 1)
        return err_set(e, ERR_INPUT, "%s: the original context length is %lld, expected at least 1", gguf_path(r->g), (long long)original);
    if (str_eqz(type, "none") || (str_eqz(type, "linear") && (factor == 0 || factor == 1)))
        return 0;
    if (!str_eqz(type, "linear") && !str_eqz(type, "yarn") && !str_eqz(type, "longrope"))
        return err_set(e, ERR_INPUT, "%s: %s.rope.scaling.type is \"%.*s\", hone knows none, linear, yarn and longrope", gguf_path(r->g), r->a->name,
                       (int)MIN(type.n, (size_t)40), type.p);
    if (ext != 1 || log_mul != 0)
        return err_set(e, ERR_INPUT, "%s: %s.rope.scaling has a yarn_ext_factor or yarn_log_multiplier, which hone does not compute", gguf_path(r->g),
                       r->a->name);
    Json *s = *out = json_obj_new();
    json_set(s, "rope_type", json_str_new(type));
    if (!str_eqz(type, "longrope"))
        json_set(s, "factor", json_num_new(factor));
    if (!str_eqz(type, "linear"))
        json_set(s, "original_max_position_embeddings", json_int_new(original));
    if (str_eqz(type, "yarn")) {
        json_set(s, "beta_fast", json_num_new(fast));
        json_set(s, "beta_slow", json_num_new(slow));
        if (attn != 1 && factor > 1) /* llama.cpp multiplies it to yarn's own */
            json_set(s, "attention_factor", json_num_new(attn * (0.1 * log(factor) + 1)));
    }
    if (str_eqz(type, "longrope"))
        json_set(s, "attention_factor", json_num_new(attn));
    return 0;
}

static int read_rope(Reader *r, Err *e)
{
    double theta = 10000, local = 10000;
    float *f[3] = { 0 };
    Json  *list[3] = { 0 }, *scaling = NULL;
    int    rc;
    if ((rc = gguf_opt_num(r->g, key_of(r, "rope.freq_base"), &theta, e)) || (rc = gguf_opt_num(r->g, key_of(r, "rope.freq_base_swa"), &local, e)) ||
        (rc = read_scaling(r, &scaling, e)) || (rc = read_factors(r, "rope_freqs.weight", &list[0], &f[0], e)) ||
        (rc = read_factors(r, "rope_factors_short.weight", &list[1], &f[1], e)) || (rc = read_factors(r, "rope_factors_long.weight", &list[2], &f[2], e)))
        goto done;
    const bool longrope = scaling && str_eqz(json_str(json_get(scaling, "rope_type")), "longrope");
    if (!(theta > 0) || !(local > 0)) {
        rc = err_set(e, ERR_INPUT, "%s: a rope.freq_base is not positive", gguf_path(r->g));
        goto done;
    }
    if (list[0] && (scaling || !(r->a->can & GGUF_FREQS))) {
        rc = err_set(e, ERR_INPUT, "%s: the file has rope_freqs.weight %s; hone cannot say how they go together", gguf_path(r->g),
                     scaling ? "and a rope.scaling of another type" : "in an architecture that does not read it");
        goto done;
    }
    if ((list[1] || list[2]) && !(list[1] && list[2])) {
        rc = err_set(e, ERR_INPUT, "%s: rope_factors_short.weight and rope_factors_long.weight belong together, and one is missing", gguf_path(r->g));
        goto done;
    }
    if (list[1] && !(r->a->can & GGUF_LONGROPE)) {
        rc = err_set(e, ERR_INPUT, "%s: the file has rope_factors_long.weight, which %s models do not use", gguf_path(r->g), r->a->name);
        goto done;
    }
    if (longrope && !list[1]) { /* the name without factors scales nothing */
        json_free(scaling);
        scaling = NULL;
    }
    if (list[1] && !longrope) { /* Phi-3 files name the original length and the factor of attention, but not the type */
        double  attn = 1;
        int64_t original = r->positions;
        if (scaling) {
            rc = err_set(e, ERR_INPUT, "%s: the file has rope_factors_long.weight and a rope.scaling of another type", gguf_path(r->g));
            goto done;
        }
        if ((rc = gguf_opt_num(r->g, key_of(r, "rope.scaling.attn_factor"), &attn, e)) ||
            (rc = gguf_opt_int(r->g, key_of(r, "rope.scaling.original_context_length"), &original, e)))
            goto done;
        scaling = json_obj_new();
        json_set(scaling, "rope_type", json_str_new(STR_LIT("longrope")));
        json_set(scaling, "attention_factor", json_num_new(attn));
        json_set(scaling, "original_max_position_embeddings", json_int_new(original));
    }
    if (list[1]) {
        json_set(scaling, "short_factor", json_ref(list[1]));
        json_set(scaling, "long_factor", json_ref(list[2]));
    }
    if (list[0])
        scaling = scaling_of_factors(f[0], r->rot / 2, theta, r->positions, list[0]);
    if (r->a->can & GGUF_POSITIONS)
        goto done;
    if (!strcmp(r->a->hf, "phi3") && scaling)
        json_set(r->j, "original_max_position_embeddings", json_ref(json_get(scaling, "original_max_position_embeddings")));
    json_set(r->j, !strcmp(r->a->hf, "gpt_neox") ? "rotary_emb_base" : "rope_theta", json_num_new(theta));
    if (r->a->can & GGUF_PARTIAL)
        json_set(r->j, !strcmp(r->a->hf, "gpt_neox") ? "rotary_pct" : "partial_rotary_factor", json_num_new(share(r->rot, r->head_dim)));
    if (!strcmp(r->a->hf, "gemma3_text"))
        json_set(r->j, "rope_local_base_freq", json_num_new(local));
    if (scaling)
        json_set(r->j, "rope_scaling", json_ref(scaling));
done:
    for (int i = 0; i < 3; i++) {
        json_free(list[i]);
        free(f[i]);
    }
    json_free(scaling);
    return rc;
}

/* ---- windows, families, tensors ---- */

static int read_window(Reader *r, Err *e)
{
    int64_t   window = 0, period = r->a->period;
    GgufArray by_layer = { 0 };
    GgufKind  kind = GGUF_U32;
    int       rc = gguf_opt_int(r->g, key_of(r, "attention.sliding_window"), &window, e);
    if (rc)
        return rc;
    if (!(r->a->can & (GGUF_WINDOW | GGUF_NOTES_WINDOW))) {
        if (window > 0 && window < r->positions)
            return err_set(e, ERR_INPUT, "%s: %s is %lld, and %s models are computed without windows", gguf_path(r->g), r->key, (long long)window, r->a->name);
        return 0;
    }
    if (gguf_kind(r->g, key_of(r, "attention.sliding_window_pattern"), &kind))
        rc = kind == GGUF_ARRAY ? gguf_need_array(r->g, r->key, &by_layer, e) : gguf_need_int(r->g, r->key, &period, e);
    if (rc)
        return rc;
    if (by_layer.n && (by_layer.n != (size_t)r->layers || !gguf_array_is_int(&by_layer)))
        return err_set(e, ERR_INPUT, "%s: %s should say true or false for each of %lld layers", gguf_path(r->g), r->key, (long long)r->layers);
    if (window > 0)
        json_set(r->j, "sliding_window", json_int_new(window));
    else if (!strcmp(r->a->hf, "gemma2"))
        window = 4096; /* the family's own, in llama.cpp and in its configuration */
    if (r->a->can & GGUF_NOTES_WINDOW)
        return 0;
    Json *types = json_arr_new();
    for (int64_t i = 0; i < r->layers; i++) {
        const bool narrow = window > 0 && (by_layer.n ? gguf_array_int(&by_layer, (size_t)i) != 0 : period <= 0 || i % period < period - 1);
        json_push(types, json_str_new(narrow ? STR_LIT("sliding_attention") : STR_LIT("full_attention")));
    }
    json_set(r->j, "layer_types", types);
    return 0;
}

/* What llama.cpp computes for a family without being told by a key. */
static void add_silent(Reader *r)
{
    const bool gemma2 = !strcmp(r->a->hf, "gemma2"), gemma3 = !strcmp(r->a->hf, "gemma3_text");
    if (gemma2 || gemma3) { /* the largest one of each divides by another number, and is known by its layers */
        const int64_t hidden = json_int(json_get(r->j, "hidden_size"));
        json_set(r->j, "query_pre_attn_scalar", json_int_new(r->layers == (gemma2 ? 46 : 62) ? hidden / r->heads : r->head_dim));
    }
    if ((r->a->can & GGUF_SCALES) && !json_get(r->j, "attention_multiplier"))
        json_set(r->j, "attention_multiplier", json_num_new(1 / sqrt((double)r->head_dim)));
    if (!strcmp(r->a->hf, "qwen2_moe") || !strcmp(r->a->hf, "qwen3_moe"))
        json_set(r->j, "norm_topk_prob", json_bool_new((r->a->can & GGUF_NORM_TOPK) != 0));
    if (!strcmp(r->a->hf, "smollm3"))
        json_set(r->j, "no_rope_layer_interval", json_int_new(4));
}

static int add_by_tensors(Reader *r, Err *e)
{
    static const char *const with_bias[] = { "llama", "qwen3", "qwen3_moe", "smollm3", "granite", "mistral" };
    const GgufTensor *embed = gguf_find(r->g, "token_embd.weight");
    if (!embed || embed->rank != 2)
        return err_set(e, ERR_INPUT, "%s: token_embd.weight, the table of embeddings, is missing or is no matrix", gguf_path(r->g));
    json_set(r->j, "vocab_size", json_int_new(embed->dim[0]));
    json_set(r->j, "tie_word_embeddings", json_bool_new(!gguf_find(r->g, "output.weight")));
    for (size_t i = 0; i < ARRAY_LEN(with_bias); i++)
        if (!strcmp(r->a->hf, with_bias[i]))
            json_set(r->j, "attention_bias", json_bool_new(gguf_find(r->g, "blk.0.attn_q.bias") != NULL));
    if (!strcmp(r->a->hf, "llama") || !strcmp(r->a->hf, "granite"))
        json_set(r->j, "mlp_bias", json_bool_new(gguf_find(r->g, "blk.0.ffn_up.bias") != NULL));
    return 0;
}

static int read_ends(Reader *r, Json *generation, Err *e)
{
    static const char *const ends[] = { "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id" };
    Json   *list = json_arr_new();
    int64_t bos = -1;
    int     rc = gguf_opt_int(r->g, "tokenizer.ggml.bos_token_id", &bos, e);
    for (size_t i = 0; i < ARRAY_LEN(ends) && !rc; i++) {
        int64_t id = -1;
        rc = gguf_opt_int(r->g, ends[i], &id, e);
        bool new = id >= 0 && !rc;
        for (size_t k = 0; k < json_len(list); k++)
            new = new && json_int(json_at(list, k)) != id;
        if (new)
            json_push(list, json_int_new(id));
    }
    if (!rc && bos >= 0)
        json_set(r->j, "bos_token_id", json_int_new(bos));
    if (!rc && json_len(list)) {
        json_set(r->j, "eos_token_id", json_ref(json_at(list, 0)));
        json_set(generation, "eos_token_id", json_ref(list));
    }
    json_free(list);
    return rc;
}

static int refuse_unknown(Reader *r, Err *e)
{
    const size_t n = strlen(r->a->name);
    int64_t      dummy;
    bool         causal = true;
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++)
        key_of(r, harmless[i]);
    int rc = gguf_opt_bool(r->g, key_of(r, "attention.causal"), &causal, e);
    if (!rc && !causal)
        rc = err_set(e, ERR_INPUT, "%s: %s is false; hone trains and serves models that look back only", gguf_path(r->g), r->key);
    for (size_t i = 0; i < gguf_meta_count(r->g) && !rc; i++) {
        const Str key = gguf_meta_key(r->g, i);
        if (key.n > n && !memcmp(key.p, r->a->name, n) && key.p[n] == '.' && !map_get(r->seen, key, &dummy))
            rc = err_set(e, ERR_INPUT, "%s: %.*s is an option that hone does not compute for %s models", gguf_path(r->g), (int)MIN(key.n, (size_t)200), key.p,
                         r->a->name);
    }
    return rc;
}

static int find_arch(const Gguf *g, const GgufArch **a, Err *e)
{
    Str     name = { 0 }, type = STR_LIT("model");
    char    key[128];
    int64_t experts = 0;
    int     rc;
    if ((rc = gguf_need_str(g, "general.architecture", &name, e)) || (rc = gguf_opt_str(g, "general.type", &type, e)))
        return rc;
    if (!str_eqz(type, "model"))
        return err_set(e, ERR_INPUT, "%s: general.type is \"%.*s\", not a model%s", gguf_path(g), (int)MIN(type.n, (size_t)40), type.p,
                       str_eqz(type, "adapter") ? "; name its base model, and this file as --adapter" : "");
    snprintf(key, sizeof key, "%.*s.expert_count", (int)MIN(name.n, (size_t)80), name.p);
    if ((rc = gguf_opt_int(g, key, &experts, e)))
        return rc;
    *a = gguf_arch_find(name, experts > 0);
    if (*a)
        return 0;
    StrBuf known = { 0 };
    gguf_arch_names(&known);
    rc = err_set(e, ERR_INPUT, "%s: general.architecture is \"%.*s\"%s, which hone does not know (%s)", gguf_path(g), (int)MIN(name.n, (size_t)60), name.p,
                 experts > 0 ? " with experts" : "", strbuf_z(&known));
    strbuf_release(&known);
    return rc;
}

int gguf_config_read(GgufModel *m, Err *e)
{
    Reader r = { .g = m->file, .seen = map_new() };
    int    rc = find_arch(m->file, &m->arch, e);
    if (rc)
        goto done;
    r.a = m->arch;
    r.j = m->config = json_obj_new();
    m->generation = json_obj_new();
    json_set(r.j, "model_type", json_str_new(str_of(r.a->hf)));
    if ((rc = read_sizes(&r, e)) || (rc = read_rules(&r, e)) || (rc = read_rope(&r, e)) || (rc = read_window(&r, e)) || (rc = add_by_tensors(&r, e)) ||
        (rc = read_ends(&r, m->generation, e)))
        goto done;
    add_silent(&r);
    key_of(&r, "expert_count"); /* zero in some files without experts */
    key_of(&r, "expert_used_count");
    if ((rc = refuse_unknown(&r, e)))
        goto done;
    m->shape = (GgufShape){ r.heads, r.heads, r.head_dim };
    key_of(&r, "attention.head_count_kv");
    rc = gguf_opt_int(m->file, r.key, &m->shape.kv_heads, e);
done:
    map_free(r.seen);
    return rc;
}
