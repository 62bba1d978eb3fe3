/* family_config.c - how each family spells its config.json. One small reader for each family, built from shared pieces; what a silent file means
 * stands in the family's row (Family.silent). Keys fall into three kinds: those read here, those that change nothing that hone computes (names,
 * tokens, dropout rates, caches), and options[], which change the mathematics: there a family computes the key (Family.computes) or refuses any
 * value but the neutral one. To add an option that only some family has: a row in options[], so that all others refuse it. */
#include "model/model_int.h"

#include <math.h>

typedef enum { NEUTRAL_OFF, NEUTRAL_ONE, NEUTRAL_TRUE } Neutral; /* off: false, 0, null, or nothing inside */

static const struct { const char *key; Neutral neutral; } options[] = {
    { "partial_rotary_factor", NEUTRAL_ONE },   { "rotary_pct", NEUTRAL_ONE },            { "rotary_emb_base", NEUTRAL_OFF },
    { "rope_local_base_freq", NEUTRAL_OFF },    { "rope_interleaved", NEUTRAL_OFF },      { "no_rope_layers", NEUTRAL_OFF },
    { "no_rope_layer_interval", NEUTRAL_OFF },  { "original_max_position_embeddings", NEUTRAL_OFF }, { "alibi", NEUTRAL_OFF },
    { "sliding_window", NEUTRAL_OFF },          { "use_sliding_window", NEUTRAL_OFF },    { "attention_chunk_size", NEUTRAL_OFF },
    { "attn_logit_softcapping", NEUTRAL_OFF },  { "final_logit_softcapping", NEUTRAL_OFF }, { "query_pre_attn_scalar", NEUTRAL_OFF },
    { "embedding_multiplier", NEUTRAL_ONE },    { "residual_multiplier", NEUTRAL_ONE },   { "attention_multiplier", NEUTRAL_OFF },
    { "logits_scaling", NEUTRAL_ONE },          { "logit_scale", NEUTRAL_OFF },           { "clip_qkv", NEUTRAL_OFF },
    { "qk_layernorm", NEUTRAL_OFF },            { "use_qk_norm", NEUTRAL_OFF },           { "use_parallel_residual", NEUTRAL_OFF },
    { "parallel_attn", NEUTRAL_OFF },           { "use_bidirectional_attention", NEUTRAL_OFF }, { "is_encoder_decoder", NEUTRAL_OFF },
    { "add_cross_attention", NEUTRAL_OFF },     { "scale_attn_weights", NEUTRAL_TRUE },   { "scale_attn_by_inverse_layer_idx", NEUTRAL_OFF },
    { "num_local_experts", NEUTRAL_OFF },       { "num_experts", NEUTRAL_OFF },           { "n_routed_experts", NEUTRAL_OFF },
    { "router_jitter_noise", NEUTRAL_OFF },
    { "vision_config", NEUTRAL_OFF },           { "audio_config", NEUTRAL_OFF },          { "attn_temperature_tuning", NEUTRAL_OFF },
};

static bool in_list(const char *list, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = list; p && (p = strstr(p, word)); p += n)
        if ((p == list || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
            return true;
    return false;
}

static bool is_neutral(const Json *v, Neutral neutral)
{
    const JsonKind k = json_kind(v);
    if (k == JSON_NULL)
        return true;
    if (neutral == NEUTRAL_TRUE)
        return k == JSON_BOOL && json_bool(v);
    if (k == JSON_INT || k == JSON_REAL)
        return json_num(v) == (neutral == NEUTRAL_ONE ? 1 : 0);
    if (k == JSON_STRING)
        return json_str(v).n == 0;
    return k == JSON_BOOL ? !json_bool(v) : json_len(v) == 0;
}

static int refuse_options(const Family *f, const Json *j, const char *where, Err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        const Json *v = json_get(j, options[i].key);
        if (v && !in_list(f->computes, options[i].key) && !is_neutral(v, options[i].neutral))
            return err_set(e, ERR_INPUT, "%s: %s is set, which changes the mathematics and which hone does not compute for the family %s", where,
                           options[i].key, f->hf);
    }
    return 0;
}

static int read_act(ModelConfig *c, const Json *j, const char *key, const char *absent, const char *where, Err *e)
{
    static const struct { const char *name; ActKind act; } known[] = {
        { "silu", ACT_SILU },
        { "swish", ACT_SILU },
        { "gelu", ACT_GELU_ERF },
        { "gelu_python", ACT_GELU_ERF },
        { "gelu_new", ACT_GELU_TANH },
        { "gelu_fast", ACT_GELU_TANH },
        { "gelu_pytorch_tanh", ACT_GELU_TANH },
        { "relu", ACT_RELU },
    };
    Str s = str_of(absent);
    int rc = json_opt_str(j, key, &s, where, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (str_eqz(s, known[i].name)) {
            c->act = known[i].act;
            return 0;
        }
    return err_set(e, ERR_INPUT, "%s: %s \"%.*s\" is not an activation hone knows (silu, gelu, gelu_new, gelu_pytorch_tanh, relu)", where, key,
                   (int)MIN(s.n, 40), s.p);
}

/* --- rotary positions -------------------------------------------------------------------------------------------------------------------- */

static int read_factors(const Json *j, const char *key, float *dst, int64_t n, const char *where, Err *e)
{
    Json *a = NULL;
    int   rc = json_opt_array(j, key, &a, where, e);
    if (rc)
        return rc;
    if (!a || json_len(a) != (size_t)n || n > ROPE_FACTORS_MAX)
        return err_set(e, ERR_INPUT, "%s: %s of rope_scaling has %zu numbers, expected %lld (one for each pair of elements that turns, at most %d)", where,
                       key, json_len(a), (long long)n, ROPE_FACTORS_MAX);
    for (int64_t i = 0; i < n; i++) {
        const double v = json_num(json_at(a, (size_t)i));
        if (!(v > 0 && v < 1e9))
            return err_set(e, ERR_INPUT, "%s: %s[%lld] of rope_scaling is not a positive number", where, key, (long long)i);
        dst[i] = (float)v;
    }
    return 0;
}

/* What each way of stretching needs beyond theta. `positions` is max_position_embeddings. */
static int read_llama3(RopeConfig *r, const Json *j, double positions, const char *where, Err *e)
{
    (void)positions;
    int rc;
    if ((rc = json_need_num(j, "factor", &r->factor, where, e)) || (rc = json_need_num(j, "low_freq_factor", &r->low_freq, where, e)) ||
        (rc = json_need_num(j, "high_freq_factor", &r->high_freq, where, e)))
        return rc;
    if (!(r->low_freq > 0) || !(r->high_freq > r->low_freq))
        return err_set(e, ERR_INPUT, "%s: rope_scaling needs 0 < low_freq_factor < high_freq_factor", where);
    return 0;
}

static int read_factor(RopeConfig *r, const Json *j, double positions, const char *where, Err *e)
{
    (void)positions;
    return json_need_num(j, "factor", &r->factor, where, e);
}

static double yarn_scale(double factor, double m)
{
    return factor <= 1 ? 1 : 0.1 * m * log(factor) + 1;
}

static int read_yarn(RopeConfig *r, const Json *j, double positions, const char *where, Err *e)
{
    double attention = 0, mscale = 0, mscale_all = 0;
    int    rc;
    r->factor = positions / r->original;
    if ((rc = json_opt_num(j, "factor", &r->factor, where, e)) || (rc = json_opt_num(j, "attention_factor", &attention, where, e)) ||
        (rc = json_opt_num(j, "mscale", &mscale, where, e)) || (rc = json_opt_num(j, "mscale_all_dim", &mscale_all, where, e)) ||
        (rc = json_opt_num(j, "beta_fast", &r->beta_fast, where, e)) || (rc = json_opt_num(j, "beta_slow", &r->beta_slow, where, e)) ||
        (rc = json_opt_bool(j, "truncate", &r->truncate, where, e)))
        return rc;
    r->beta_fast = r->beta_fast == 0 ? 32 : r->beta_fast;
    r->beta_slow = r->beta_slow == 0 ? 1 : r->beta_slow;
    if (!(r->beta_fast >= r->beta_slow) || !(r->beta_slow > 0) || !(r->theta > 1))
        return err_set(e, ERR_INPUT, "%s: yarn needs rope_theta > 1 and beta_fast >= beta_slow > 0", where);
    r->attention_factor = attention != 0            ? attention
                        : mscale != 0 && mscale_all != 0 ? yarn_scale(r->factor, mscale) / yarn_scale(r->factor, mscale_all)
                                                    : yarn_scale(r->factor, 1);
    return 0;
}

static int read_longrope(RopeConfig *r, const Json *j, double positions, const char *where, Err *e)
{
    double attention = 0;
    int    rc;
    r->factor = positions / r->original;
    if ((rc = json_opt_num(j, "factor", &r->factor, where, e)) || (rc = json_opt_num(j, "attention_factor", &attention, where, e)) ||
        (rc = read_factors(j, "short_factor", r->short_factor, r->rot / 2, where, e)) ||
        (rc = read_factors(j, "long_factor", r->long_factor, r->rot / 2, where, e)))
        return rc;
    if (!(r->original > 1))
        return err_set(e, ERR_INPUT, "%s: longrope needs original_max_position_embeddings > 1", where);
    r->attention_factor = attention != 0 ? attention : r->factor <= 1 ? 1 : sqrt(1 + log(r->factor) / log(r->original));
    if (r->factor < 1)
        r->factor = 1;
    return 0;
}

static const struct { const char *name; RopeKind kind; int (*read)(RopeConfig *, const Json *, double, const char *, Err *); const char *keys; } rope_way[] = {
    { "default",  ROPE_DEFAULT, NULL,          "" },
    { "linear",   ROPE_LINEAR,  read_factor,   "factor" },
    { "dynamic",  ROPE_DYNAMIC, read_factor,   "factor" },
    { "llama3",   ROPE_LLAMA3,  read_llama3,   "factor low_freq_factor high_freq_factor original_max_position_embeddings" },
    { "yarn",     ROPE_YARN,    read_yarn,     "factor attention_factor mscale mscale_all_dim beta_fast beta_slow truncate original_max_position_embeddings" },
    { "longrope", ROPE_LONG,    read_longrope, "factor attention_factor short_factor long_factor original_max_position_embeddings" },
};

#define ROPE_COMMON_KEYS "type rope_type rope_theta partial_rotary_factor finetuned" /* finetuned: a remark of old YaRN files */

static int check_rope_keys(const Json *j, const char *keys, const char *name, const char *where, Err *e)
{
    JsonIter it = { 0 };
    Str      key;
    Json    *v;
    char     word[64];
    while (json_each(j, &it, &key, &v)) {
        const bool fits = key.n < sizeof word && !memchr(key.p, 0, key.n) && !memchr(key.p, ' ', key.n) && key.n;
        if (fits) {
            memcpy(word, key.p, key.n);
            word[key.n] = 0;
        }
        /* A default scaling may carry numbers of a stretch that was taken back: they mean nothing there. */
        if (json_kind(v) != JSON_NULL && !(fits && (in_list(ROPE_COMMON_KEYS, word) || in_list(keys, word) || (!*keys && in_list("factor", word)))))
            return err_set(e, ERR_INPUT, "%s: rope_scaling of type \"%s\" has the key \"%.*s\", which hone does not know", where, name,
                           (int)MIN(key.n, 60), key.p);
    }
    return 0;
}

/* One set of rotary settings: theta and the rest from `j` (may be NULL), theta as a fallback from the configuration itself. */
static int read_rope_set(ModelConfig *c, const Family *f, RopeConfig *r, const Json *j, const Json *config, double theta, const char *where, Err *e)
{
    const double positions = (double)c->max_positions;
    double       partial = f->silent.partial > 0 ? f->silent.partial : 1, original = 0;
    Str          type = STR_LIT("default");
    size_t       way = 0;
    int          rc;
    *r = (RopeConfig){ .theta = theta, .factor = 1, .truncate = true, .attention_factor = 1 };
    if (j && json_kind(j) != JSON_NULL && json_kind(j) != JSON_OBJECT)
        return err_set(e, ERR_INPUT, "%s: rope_scaling is %s, an object was expected", where, json_kind_name(j));
    if ((rc = json_opt_num(config, "rotary_pct", &partial, where, e)) || (rc = json_opt_num(config, "partial_rotary_factor", &partial, where, e)))
        return rc;
    if (j && json_kind(j) == JSON_OBJECT &&
        ((rc = json_opt_str(j, "type", &type, where, e)) || (rc = json_opt_str(j, "rope_type", &type, where, e)) ||
         (rc = json_opt_num(j, "rope_theta", &r->theta, where, e)) || (rc = json_opt_num(j, "partial_rotary_factor", &partial, where, e)) ||
         (rc = json_opt_num(j, "original_max_position_embeddings", &original, where, e))))
        return rc;
    if (in_list(f->computes, "original_max_position_embeddings")) { /* Phi-3: the word of the configuration goes before that of the settings */
        if (str_eqz(type, "su") || str_eqz(type, "yarn"))
            type = STR_LIT("longrope"); /* its early names */
        if (json_get(config, "original_max_position_embeddings"))
            original = 0;
        if ((rc = json_opt_num(config, "original_max_position_embeddings", &original, where, e)))
            return rc;
    }
    while (way < ARRAY_LEN(rope_way) && !str_eqz(type, rope_way[way].name))
        way++;
    if (way == ARRAY_LEN(rope_way))
        return err_set(e, ERR_INPUT, "%s: rope_scaling type \"%.*s\" is not supported (default, linear, dynamic, llama3, yarn, longrope)", where,
                       (int)MIN(type.n, 40), type.p);
    if (!(r->theta > 0 && r->theta < 1e15))
        return err_set(e, ERR_INPUT, "%s: rope_theta is %g, it must be positive", where, r->theta);
    if (!(partial > 0 && partial <= 1) || (partial != 1 && !in_list(f->computes, "partial_rotary_factor")))
        return err_set(e, ERR_INPUT, "%s: partial_rotary_factor is %g, and hone computes this family only with %s", where, partial,
                       in_list(f->computes, "partial_rotary_factor") ? "0 to 1" : "1");
    r->kind = rope_way[way].kind;
    r->rot = (int64_t)((double)c->head_dim * partial);
    r->original = r->kind == ROPE_DYNAMIC || !(original != 0) ? positions : original;
    if (r->rot < 2 || r->rot % 2 || r->rot > 2 * ROPE_PAIRS_MAX || (r->kind == ROPE_DYNAMIC && r->rot < 4))
        return err_set(e, ERR_INPUT, "%s: %lld elements of each head of %lld turn with the position, and rotary positions need an even number", where,
                       (long long)r->rot, (long long)c->head_dim);
    if (!(r->original >= 1 && r->original <= 1e9))
        return err_set(e, ERR_INPUT, "%s: original_max_position_embeddings of rope_scaling is %g, expected at least 1", where, r->original);
    if (j && json_kind(j) == JSON_OBJECT && (rc = check_rope_keys(j, rope_way[way].keys, rope_way[way].name, where, e)))
        return rc;
    if (rope_way[way].read && (rc = rope_way[way].read(r, j, positions, where, e)))
        return rc;
    if (!(r->factor >= 1 && r->factor <= 1e6) || !(r->attention_factor > 0 && r->attention_factor <= 1e3))
        return err_set(e, ERR_INPUT, "%s: rope_scaling needs a factor of at least 1 and a positive attention_factor, it has %g and %g", where, r->factor,
                       r->attention_factor);
    return 0;
}

/* Full layers turn by rope_theta and rope_scaling, windowed ones by rope_local_base_freq; newer files hold both by kind of layer. */
static int read_rope_two(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    const Json *sets = json_get(j, "rope_parameters"), *full = json_get(sets, "full_attention"), *local = json_get(sets, "sliding_attention");
    double      theta = f->silent.theta, local_theta = 10000;
    int         rc;
    if ((rc = json_opt_num(j, "rope_theta", &theta, where, e)) || (rc = json_opt_num(j, "rope_local_base_freq", &local_theta, where, e)))
        return rc;
    if (sets && json_kind(sets) != JSON_NULL && !full && !local && json_len(sets))
        return err_set(e, ERR_INPUT, "%s: rope_parameters of this family holds full_attention and sliding_attention, here it has neither", where);
    if (!full)
        full = json_get(j, "rope_scaling");
    if ((rc = read_rope_set(c, f, &c->rope[ROPE_GLOBAL], full, j, theta, where, e)) ||
        (rc = read_rope_set(c, f, &c->rope[ROPE_LOCAL], local, j, local_theta, where, e)))
        return rc;
    for (int s = 0; s < ROPE_SETS; s++)
        if (c->rope[s].kind != ROPE_DEFAULT && c->rope[s].kind != ROPE_LINEAR)
            return err_set(e, ERR_INPUT, "%s: this family's rotary settings are default or linear; another scaling is not supported", where);
    return 0;
}

/* Rotary settings come in two spellings: rope_theta + rope_scaling, and (newer) rope_parameters holding both. */
static int read_rope(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    RopeConfig *r = &c->rope[ROPE_GLOBAL];
    const Json *set = json_get(j, "rope_parameters");
    double      theta = f->silent.theta > 0 ? f->silent.theta : 10000;
    int         rc;
    if (in_list(f->computes, "rope_local_base_freq"))
        return read_rope_two(c, f, j, where, e);
    if (!set || json_kind(set) == JSON_NULL)
        set = json_get(j, "rope_scaling");
    if ((rc = json_opt_num(j, "rotary_emb_base", &theta, where, e)) || (rc = json_opt_num(j, "rope_theta", &theta, where, e)) ||
        (rc = read_rope_set(c, f, r, set, j, theta, where, e)))
        return rc;
    /* These two are made for texts longer than max_position_embeddings says. */
    if (r->kind == ROPE_DYNAMIC || r->kind == ROPE_YARN)
        c->max_positions = MAX(c->max_positions, (int64_t)fmin(r->original * r->factor, 1 << 27));
    c->rope[ROPE_LOCAL] = *r;
    return 0;
}

/* --- windows ----------------------------------------------------------------------------------------------------------------------------- */

/* null is no window, silence the family's own. 0: none. */
static int read_window(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    const Json *v = json_get(j, "sliding_window");
    int64_t     n = v ? 0 : f->silent.window;
    int         rc = json_opt_int(j, "sliding_window", &n, where, e);
    if (rc)
        return rc;
    if (n < 0 || n > INT32_MAX || (v && json_kind(v) != JSON_NULL && n == 0))
        return err_set(e, ERR_INPUT, "%s: sliding_window is %lld, expected at least 1, or null", where, (long long)n);
    c->window = (int)n;
    return 0;
}

static void set_layers(ModelConfig *c, int64_t first, uint8_t bits)
{
    for (int64_t i = MAX(first, 0); i < MIN(c->layers, LAYERS_MAX); i++)
        c->layer[i] |= bits;
}

/* layer_types where it is present: one name for each layer, which then decides (*given). `windowed` are the bits of a windowed layer. */
static int read_layer_types(ModelConfig *c, const Json *j, uint8_t windowed, bool *given, const char *where, Err *e)
{
    Json *types = NULL;
    int   rc = json_opt_array(j, "layer_types", &types, where, e);
    *given = types != NULL;
    if (rc || !types)
        return rc;
    if (json_len(types) != (size_t)c->layers)
        return err_set(e, ERR_INPUT, "%s: layer_types names %zu layers, num_hidden_layers is %lld", where, json_len(types), (long long)c->layers);
    for (size_t i = 0; i < json_len(types) && i < LAYERS_MAX; i++) {
        const Str  s = json_str(json_at(types, i));
        const bool sliding = str_eqz(s, "sliding_attention");
        if (!sliding && !str_eqz(s, "full_attention"))
            return err_set(e, ERR_INPUT, "%s: layer_types[%zu] is \"%.*s\", hone knows full_attention and sliding_attention", where, i, (int)MIN(s.n, 40),
                           s.p ? s.p : "");
        if (sliding && !c->window)
            return err_set(e, ERR_INPUT, "%s: layer_types[%zu] is sliding_attention, but there is no sliding_window to slide", where, i);
        c->layer[i] |= sliding ? windowed : 0;
    }
    return 0;
}

/* --- families ---------------------------------------------------------------------------------------------------------------------------- */

/* What nearly all share. */
static int read_common(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    const char *eps_key = f->norm == NORM_RMS ? "rms_norm_eps" : json_get(j, "norm_epsilon") ? "norm_epsilon" : "layer_norm_eps";
    double      eps = f->silent.eps > 0 ? f->silent.eps : 1e-6;
    bool        given;
    int         rc;
    c->max_positions = f->silent.max_positions ? f->silent.max_positions : 2048;
    c->tied = f->silent.tied;
    if ((rc = json_need_int(j, "hidden_size", &c->hidden, where, e)) || (rc = json_need_int(j, "num_hidden_layers", &c->layers, where, e)) ||
        (rc = json_need_int(j, "num_attention_heads", &c->heads, where, e)) ||
        (rc = json_need_int(j, "intermediate_size", &c->ffn, where, e)) || (rc = json_need_int(j, "vocab_size", &c->vocab, where, e)))
        return rc;
    c->kv_heads = f->silent.kv_heads && !json_get(j, "num_key_value_heads") ? f->silent.kv_heads : c->heads;
    c->head_dim = f->silent.head_dim ? f->silent.head_dim : c->heads > 0 ? c->hidden / c->heads : 0;
    if ((rc = json_opt_int(j, "num_key_value_heads", &c->kv_heads, where, e)) || (rc = json_opt_int(j, "head_dim", &c->head_dim, where, e)) ||
        (rc = json_opt_int(j, "max_position_embeddings", &c->max_positions, where, e)) || (rc = json_opt_num(j, eps_key, &eps, where, e)) ||
        (rc = json_opt_bool(j, "tie_word_embeddings", &c->tied, where, e)) ||
        (rc = read_act(c, j, json_get(j, "hidden_activation") ? "hidden_activation" : "hidden_act", f->silent.act ? f->silent.act : "silu", where, e)) ||
        (rc = model_config_check_sizes(c, where, e)) || (rc = read_rope(c, f, j, where, e)))
        return rc;
    if (!in_list(f->computes, "layer_types") && (rc = read_layer_types(c, j, 0, &given, where, e)))
        return rc;
    c->norm_eps = (float)eps;
    return 0;
}

static int read_attention_bias(ModelConfig *c, const Json *j, const char *where, Err *e)
{
    int rc = json_opt_bool(j, "attention_bias", &c->qkv_bias, where, e);
    c->o_bias = c->qkv_bias;
    return rc;
}

int read_llama(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    int rc = read_common(c, f, j, where, e);
    if (rc || (rc = read_attention_bias(c, j, where, e)))
        return rc;
    return json_opt_bool(j, "mlp_bias", &c->mlp_bias, where, e);
}

/* Mistral, Phi-3: where there is a window, all layers have it. */
int read_windowed(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    int rc = read_window(c, f, j, where, e);
    if (rc || (rc = read_common(c, f, j, where, e)))
        return rc;
    set_layers(c, c->window ? 0 : c->layers, LAYER_WINDOW);
    return 0;
}

/* As Mistral, but layer_types may leave some layers without the window. */
int read_ministral(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    bool given = false;
    int  rc = read_window(c, f, j, where, e);
    if (rc || (rc = read_common(c, f, j, where, e)) || (rc = read_layer_types(c, j, LAYER_WINDOW, &given, where, e)))
        return rc;
    set_layers(c, given || !c->window ? c->layers : 0, LAYER_WINDOW);
    return 0;
}

int read_qwen2(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    bool    windowed = false, given = false;
    int64_t first = 28;
    int     rc = read_common(c, f, j, where, e);
    if (rc || (rc = json_opt_bool(j, "use_sliding_window", &windowed, where, e)) || (windowed && (rc = read_window(c, f, j, where, e))) ||
        (rc = json_opt_int(j, "max_window_layers", &first, where, e)) || (rc = read_layer_types(c, j, LAYER_WINDOW, &given, where, e)))
        return rc;
    if (!given && c->window)
        set_layers(c, first, LAYER_WINDOW);
    c->qkv_bias = true;
    return 0;
}

int read_qwen3(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    int rc = read_qwen2(c, f, j, where, e);
    c->qkv_bias = false;
    c->qk_norm = QK_HEAD;
    return rc ? rc : read_attention_bias(c, j, where, e);
}

int read_smollm3(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    bool    windowed = false, given = false;
    int64_t interval = 4;
    Json   *turns = NULL;
    int     rc = read_llama(c, f, j, where, e);
    if (rc || (rc = json_opt_bool(j, "use_sliding_window", &windowed, where, e)) || (windowed && (rc = read_window(c, f, j, where, e))) ||
        (rc = json_opt_int(j, "no_rope_layer_interval", &interval, where, e)) || (rc = json_opt_array(j, "no_rope_layers", &turns, where, e)))
        return rc;
    if (interval < 1)
        return err_set(e, ERR_INPUT, "%s: no_rope_layer_interval is %lld, expected at least 1", where, (long long)interval);
    if (turns && json_len(turns) != (size_t)c->layers)
        return err_set(e, ERR_INPUT, "%s: no_rope_layers names %zu layers, num_hidden_layers is %lld", where, json_len(turns), (long long)c->layers);
    for (int64_t i = 0; i < c->layers; i++) /* contrary to its name, no_rope_layers holds 1 for the layers that do turn */
        if (turns ? json_num(json_at(turns, (size_t)i)) == 0 && !json_bool(json_at(turns, (size_t)i)) : (i + 1) % interval == 0)
            c->layer[i] |= LAYER_NO_ROPE;
    if ((rc = read_layer_types(c, j, LAYER_WINDOW, &given, where, e)))
        return rc;
    for (int64_t i = 0; i < c->layers && !given && c->window; i++)
        c->layer[i] |= c->layer[i] & LAYER_NO_ROPE ? LAYER_WINDOW : 0;
    return 0;
}

int read_olmo2(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    c->qk_norm = QK_WIDE;
    int rc = read_common(c, f, j, where, e);
    return rc ? rc : read_attention_bias(c, j, where, e);
}

int read_granite(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    double embed = 1, residual = 1, attention = 1, logits = 1;
    int    rc = read_llama(c, f, j, where, e);
    if (rc || (rc = json_opt_num(j, "embedding_multiplier", &embed, where, e)) || (rc = json_opt_num(j, "residual_multiplier", &residual, where, e)) ||
        (rc = json_opt_num(j, "attention_multiplier", &attention, where, e)) || (rc = json_opt_num(j, "logits_scaling", &logits, where, e)))
        return rc;
    if (!(embed > 0 && embed < 1e6) || !(residual > 0 && residual < 1e6) || !(attention > 0 && attention < 1e6) || !(logits > 1e-6 && logits < 1e6))
        return err_set(e, ERR_INPUT, "%s: embedding_multiplier, residual_multiplier, attention_multiplier and logits_scaling must be positive", where);
    c->embed_scale = (float)embed;
    c->residual_scale = (float)residual;
    c->attn_scale = (float)attention;
    c->logit_scale = (float)(1 / logits);
    return 0;
}

int read_gemma(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    int rc = read_common(c, f, j, where, e);
    if (rc)
        return rc;
    if (str_eqz(json_str(json_get(j, "hidden_act")), "gelu") && !json_get(j, "hidden_activation"))
        c->act = ACT_GELU_TANH; /* the first official files say gelu and mean this */
    c->embed_scale = sqrtf((float)c->hidden);
    return read_attention_bias(c, j, where, e);
}

/* null is no cap, silence the family's own. */
static int read_softcap(const Json *j, const char *key, double silent, float *cap, const char *where, Err *e)
{
    double v = json_get(j, key) ? 0 : silent;
    int    rc = json_opt_num(j, key, &v, where, e);
    if (rc)
        return rc;
    if (!(v >= 0 && v < 1e6) || (v == 0 && json_num(json_get(j, key)) == 0 && json_get(j, key) && json_kind(json_get(j, key)) != JSON_NULL))
        return err_set(e, ERR_INPUT, "%s: %s is %g, expected a positive number, or null", where, key, v);
    *cap = (float)v;
    return 0;
}

/* Windowed layers first: every second one is full (Gemma 2), every sixth (Gemma 3), unless layer_types says which. */
static int read_alternating(ModelConfig *c, const Family *f, const Json *j, int64_t period, uint8_t windowed, const char *where, Err *e)
{
    bool given;
    int  rc = read_window(c, f, j, where, e);
    if (rc || (rc = read_layer_types(c, j, windowed, &given, where, e)))
        return rc;
    if (!given && !c->window)
        return err_set(e, ERR_INPUT, "%s: sliding_window is null, but this family has windowed layers", where);
    for (int64_t i = 0; i < c->layers && !given; i++)
        c->layer[i] |= (i + 1) % period ? windowed : 0;
    return 0;
}

static int read_query_scale(ModelConfig *c, const Json *j, const char *where, Err *e)
{
    double v = 256;
    int    rc = json_opt_num(j, "query_pre_attn_scalar", &v, where, e);
    if (rc)
        return rc;
    if (!(v > 0 && v < 1e9))
        return err_set(e, ERR_INPUT, "%s: query_pre_attn_scalar is %g, expected a positive number", where, v);
    c->attn_scale = (float)(1 / sqrt(v));
    return 0;
}

int read_gemma2(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    int rc = read_gemma(c, f, j, where, e);
    if (rc || (rc = read_query_scale(c, j, where, e)) || (rc = read_softcap(j, "attn_logit_softcapping", 50, &c->attn_softcap, where, e)) ||
        (rc = read_softcap(j, "final_logit_softcapping", 30, &c->logit_softcap, where, e)))
        return rc;
    return read_alternating(c, f, j, 2, LAYER_WINDOW, where, e);
}

int read_gemma3(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    int64_t period = 6;
    int     rc = read_gemma(c, f, j, where, e);
    if (rc || (rc = read_query_scale(c, j, where, e)) || (rc = json_opt_int(j, "sliding_window_pattern", &period, where, e)) ||
        (rc = json_opt_int(j, "_sliding_window_pattern", &period, where, e)) ||
        (rc = read_softcap(j, "final_logit_softcapping", 0, &c->logit_softcap, where, e)))
        return rc;
    if (period < 1)
        return err_set(e, ERR_INPUT, "%s: sliding_window_pattern is %lld, expected at least 1", where, (long long)period);
    c->qk_norm = QK_HEAD;
    return read_alternating(c, f, j, period, LAYER_WINDOW | LAYER_LOCAL_ROPE, where, e);
}

int read_phi(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    bool normed = false;
    int  rc = read_common(c, f, j, where, e);
    if (rc || (rc = json_opt_bool(j, "qk_layernorm", &normed, where, e)))
        return rc;
    c->parallel = c->qkv_bias = c->o_bias = c->mlp_bias = c->head_bias = true;
    c->qk_norm = normed ? QK_HEAD : QK_NONE;
    return 0;
}

int read_starcoder2(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    bool bias = true;
    int  rc = read_windowed(c, f, j, where, e);
    if (rc || (rc = json_opt_bool(j, "use_bias", &bias, where, e)))
        return rc;
    c->qkv_bias = c->o_bias = c->mlp_bias = bias;
    return 0;
}

int read_gpt_neox(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    int rc = read_common(c, f, j, where, e);
    c->parallel = c->qkv_bias = c->mlp_bias = true;
    if (rc || (rc = json_opt_bool(j, "use_parallel_residual", &c->parallel, where, e)) || (rc = read_attention_bias(c, j, where, e)))
        return rc;
    if (c->kv_heads != c->heads || c->head_dim * c->heads != c->hidden)
        return err_set(e, ERR_INPUT, "%s: this family has one key/value head for each of its heads, hidden_size / num_attention_heads wide", where);
    return 0;
}

int read_gpt2(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    int    rc;
    double eps = f->silent.eps;
    c->max_positions = f->silent.max_positions;
    c->tied = f->silent.tied;
    if ((rc = json_need_int(j, "n_embd", &c->hidden, where, e)) || (rc = json_need_int(j, "n_layer", &c->layers, where, e)) ||
        (rc = json_need_int(j, "n_head", &c->heads, where, e)) || (rc = json_need_int(j, "vocab_size", &c->vocab, where, e)) ||
        (rc = json_opt_int(j, "n_positions", &c->max_positions, where, e)))
        return rc;
    c->kv_heads = c->heads;
    c->head_dim = c->heads > 0 ? c->hidden / c->heads : 0;
    c->ffn = c->hidden > 0 && c->hidden < 1 << 20 ? 4 * c->hidden : 0;
    c->qkv_bias = c->o_bias = c->mlp_bias = true;
    if ((rc = json_opt_int(j, "n_inner", &c->ffn, where, e)) || (rc = json_opt_num(j, "layer_norm_epsilon", &eps, where, e)) ||
        (rc = json_opt_bool(j, "tie_word_embeddings", &c->tied, where, e)) ||
        (rc = read_act(c, j, "activation_function", f->silent.act, where, e)) || (rc = model_config_check_sizes(c, where, e)))
        return rc;
    if (c->heads * c->head_dim != c->hidden)
        return err_set(e, ERR_INPUT, "%s: hidden size %lld is not a multiple of %lld heads", where, (long long)c->hidden, (long long)c->heads);
    c->norm_eps = (float)eps;
    return 0;
}

/* --- mixtures of experts ------------------------------------------------------------------------------------------------------------------ */

#define EXPERTS_IN_ALL 65536

static int in_range(int64_t v, int64_t lo, int64_t hi, const char *key, const char *where, Err *e)
{
    if (v < lo || v > hi)
        return err_set(e, ERR_INPUT, "%s: %s is %lld, expected %lld to %lld", where, key, (long long)v, (long long)lo, (long long)hi);
    return 0;
}

/* Numbers of all mixtures; which layers have experts is set before. */
static int read_experts(ModelConfig *c, const Json *j, const char *width_key, double silent_coef, const char *where, Err *e)
{
    const char *key = json_get(j, "num_experts") ? "num_experts" : "num_local_experts"; /* newer files may use the one name for the other */
    double      coef = silent_coef;
    bool        balanced = false;
    int         rc;
    if ((rc = json_need_int(j, key, &c->experts, where, e)) || (rc = json_need_int(j, "num_experts_per_tok", &c->top_k, where, e)) ||
        (rc = json_need_int(j, width_key, &c->expert_ffn, where, e)) || (rc = json_opt_bool(j, "output_router_logits", &balanced, where, e)) ||
        (rc = json_opt_num(j, "router_aux_loss_coef", &coef, where, e)) ||
        (rc = in_range(c->experts, 1, MIN(ROUTE_EXPERTS_MAX, EXPERTS_IN_ALL / c->layers), key, where, e)) ||
        (rc = in_range(c->top_k, 1, c->experts, "num_experts_per_tok", where, e)) || (rc = in_range(c->expert_ffn, 1, 1 << 19, width_key, where, e)))
        return rc;
    if (!(coef >= 0 && coef <= 1e3))
        return err_set(e, ERR_INPUT, "%s: router_aux_loss_coef is %g, expected 0 to 1000", where, coef);
    c->aux_coef = balanced ? (float)coef : 0;
    return 0;
}

int read_mixtral(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    int rc = read_windowed(c, f, j, where, e);
    if (rc)
        return rc;
    set_layers(c, 0, LAYER_EXPERTS);
    c->norm_topk = true;
    return read_experts(c, j, "intermediate_size", 0.001, where, e);
}

int read_olmoe(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    int rc = read_common(c, f, j, where, e);
    if (rc || (rc = read_attention_bias(c, j, where, e)) || (rc = json_opt_bool(j, "norm_topk_prob", &c->norm_topk, where, e)))
        return rc;
    c->qk_norm = QK_WIDE;
    set_layers(c, 0, LAYER_EXPERTS);
    return read_experts(c, j, "intermediate_size", 0.01, where, e);
}

/* Every decoder_sparse_step-th layer has experts, unless mlp_only_layers names it. */
static int read_qwen_experts(ModelConfig *c, const Json *j, const char *where, Err *e)
{
    int64_t step = 1;
    Json   *dense = NULL;
    int     rc;
    if ((rc = json_opt_int(j, "decoder_sparse_step", &step, where, e)) || (rc = json_opt_array(j, "mlp_only_layers", &dense, where, e)) ||
        (rc = json_opt_bool(j, "norm_topk_prob", &c->norm_topk, where, e)) || (rc = in_range(step, 1, INT32_MAX, "decoder_sparse_step", where, e)))
        return rc;
    for (int64_t i = 0; i < c->layers; i++)
        c->layer[i] |= (i + 1) % step == 0 ? LAYER_EXPERTS : 0;
    for (size_t i = 0; dense && i < json_len(dense); i++) {
        const Json *v = json_at(dense, i);
        if (json_kind(v) != JSON_INT || json_int(v) < 0 || json_int(v) >= c->layers)
            return err_set(e, ERR_INPUT, "%s: mlp_only_layers[%zu] is no layer, expected 0 to %lld", where, i, (long long)c->layers - 1);
        c->layer[json_int(v)] &= (uint8_t)~LAYER_EXPERTS;
    }
    return read_experts(c, j, "moe_intermediate_size", 0.001, where, e);
}

/* Where layer_types is silent, every second layer below max_window_layers has the window, beginning with the first. */
int read_qwen2_moe(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    bool    windowed = false, given = false;
    int64_t end = 28;
    int     rc = read_common(c, f, j, where, e);
    c->qkv_bias = true;
    if (rc || (rc = json_opt_bool(j, "use_sliding_window", &windowed, where, e)) || (windowed && (rc = read_window(c, f, j, where, e))) ||
        (rc = json_opt_int(j, "max_window_layers", &end, where, e)) || (rc = read_layer_types(c, j, LAYER_WINDOW, &given, where, e)) ||
        (rc = json_opt_bool(j, "qkv_bias", &c->qkv_bias, where, e)) ||
        (rc = json_need_int(j, "shared_expert_intermediate_size", &c->shared_ffn, where, e)) ||
        (rc = in_range(c->shared_ffn, 1, 1 << 19, "shared_expert_intermediate_size", where, e)))
        return rc;
    for (int64_t i = 0; i < MIN(end, c->layers) && !given && c->window; i += 2)
        c->layer[i] |= LAYER_WINDOW;
    return read_qwen_experts(c, j, where, e);
}

/* Where there is a window, all layers have it. */
int read_qwen3_moe(ModelConfig *c, const Family *f, const Json *j, const char *where, Err *e)
{
    bool windowed = false;
    int  rc = read_common(c, f, j, where, e);
    if (rc || (rc = json_opt_bool(j, "use_sliding_window", &windowed, where, e)) || (windowed && (rc = read_window(c, f, j, where, e))) ||
        (rc = read_attention_bias(c, j, where, e)))
        return rc;
    set_layers(c, c->window ? 0 : c->layers, LAYER_WINDOW);
    c->qk_norm = QK_HEAD;
    return read_qwen_experts(c, j, where, e);
}

int family_read_config(ModelConfig *c, const Family *f, const Json *config, const char *where, Err *e)
{
    int rc = refuse_options(f, config, where, e);
    *c = (ModelConfig){ .init_std = 0.02, .embed_scale = 1, .residual_scale = 1, .logit_scale = 1 };
    if (rc || (rc = f->read_config(c, f, config, where, e)))
        return rc;
    if (!(c->attn_scale > 0))
        c->attn_scale = (float)(1 / sqrt((double)c->head_dim));
    return 0;
}
