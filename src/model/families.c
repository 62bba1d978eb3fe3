/* families.c - the table of families: what differs between them, and how each spells its config.json.
 * To add a family: a row in family[]; name rules if its modules are called otherwise; a read_config if its keys are; a paragraph in MODELS.md; a
 * golden tiny model. An option that changes the mathematics and is not known here is refused by name, never guessed. */
#include "model/model_int.h"

#define FIELD(f) offsetof(Block, f)

static const BlockRule rules_llama[] = {
    { "input_layernorm",          FIELD(attn_norm), true  },
    { "self_attn.q_proj",         FIELD(q),         false },
    { "self_attn.k_proj",         FIELD(k),         false },
    { "self_attn.v_proj",         FIELD(v),         false },
    { "self_attn.o_proj",         FIELD(o),         false },
    { "self_attn.q_norm",         FIELD(q_norm),    true  }, /* only in families with qk_norm */
    { "self_attn.k_norm",         FIELD(k_norm),    true  },
    { "post_attention_layernorm", FIELD(mlp_norm),  true  },
    { "mlp.gate_proj",            FIELD(gate),      false },
    { "mlp.up_proj",              FIELD(up),        false },
    { "mlp.down_proj",            FIELD(down),      false },
    { NULL, 0, false },
};

static const BlockRule rules_gpt2[] = {
    { "ln_1",        FIELD(attn_norm), true  },
    { "attn.c_attn", FIELD(qkv),       false },
    { "attn.c_proj", FIELD(o),         false },
    { "ln_2",        FIELD(mlp_norm),  true  },
    { "mlp.c_fc",    FIELD(up),        false },
    { "mlp.c_proj",  FIELD(down),      false },
    { NULL, 0, false },
};

static int read_llama(ModelConfig *c, const Json *j, const char *where, Err *e);
static int read_qwen2(ModelConfig *c, const Json *j, const char *where, Err *e);
static int read_qwen3(ModelConfig *c, const Json *j, const char *where, Err *e);
static int read_gpt2(ModelConfig *c, const Json *j, const char *where, Err *e);

#define LLAMA_NAMES .prefix = "model.", .embed = "embed_tokens", .layers = "layers", .final_norm = "norm", .rule = rules_llama

static const Family family[] = {
    { .hf = "llama", .architecture = "LlamaForCausalLM", .norm = NORM_RMS, .pos = POS_ROPE, .gated = true, LLAMA_NAMES,
      .read_config = read_llama },
    { .hf = "qwen2", .architecture = "Qwen2ForCausalLM", .norm = NORM_RMS, .pos = POS_ROPE, .gated = true, LLAMA_NAMES,
      .read_config = read_qwen2 },
    { .hf = "qwen3", .architecture = "Qwen3ForCausalLM", .norm = NORM_RMS, .pos = POS_ROPE, .gated = true, .qk_norm = true, LLAMA_NAMES,
      .read_config = read_qwen3 },
    { .hf = "gpt2", .architecture = "GPT2LMHeadModel", .norm = NORM_LAYER, .pos = POS_LEARNED, .fused_qkv = true, .transposed = true,
      .prefix = "transformer.", .embed = "wte", .pos_embed = "wpe", .layers = "h", .final_norm = "ln_f", .rule = rules_gpt2,
      .read_config = read_gpt2 },
};

const Family *family_find(Str model_type)
{
    for (size_t i = 0; i < ARRAY_LEN(family); i++)
        if (str_eqz(model_type, family[i].hf))
            return &family[i];
    return NULL;
}

void family_names(StrBuf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(family); i++)
        strbuf_addf(out, "%s%s", i ? ", " : "", family[i].hf);
}

/* --- reading config.json ------------------------------------------------------------------------------------------------------------- */

/* An option that hone computes only one way: anything else in the file is refused. */
static int must_be_bool(const Json *j, const char *key, bool want, const char *where, Err *e)
{
    bool v = want;
    int  rc = json_opt_bool(j, key, &v, where, e);
    if (rc)
        return rc;
    if (v != want)
        return err_set(e, ERR_INPUT, "%s: %s is %s, and hone computes this family only with %s", where, key, v ? "true" : "false",
                       want ? "true" : "false");
    return 0;
}

static int read_act(ModelConfig *c, const Json *j, const char *key, const char *absent, const char *where, Err *e)
{
    static const struct { const char *name; ActKind act; } known[] = {
        { "silu", ACT_SILU },       { "swish", ACT_SILU },          { "gelu", ACT_GELU_ERF },
        { "gelu_new", ACT_GELU_TANH }, { "gelu_pytorch_tanh", ACT_GELU_TANH }, { "relu", ACT_RELU },
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

/* Rope settings come in two spellings: rope_theta + rope_scaling, and (newer) rope_parameters holding both. */
static int read_rope(ModelConfig *c, const Json *j, const char *where, Err *e)
{
    int         rc;
    double      partial = 1;
    const Json *scaling = json_get(j, "rope_parameters");
    if (scaling && json_kind(scaling) == JSON_OBJECT) {
        if ((rc = json_opt_num(scaling, "rope_theta", &c->rope_theta, where, e)))
            return rc;
    } else {
        scaling = json_get(j, "rope_scaling");
    }
    if ((rc = json_opt_num(j, "rope_theta", &c->rope_theta, where, e)) ||
        (rc = json_opt_num(j, "partial_rotary_factor", &partial, where, e)))
        return rc;
    if (!(c->rope_theta > 0))
        return err_set(e, ERR_INPUT, "%s: rope_theta is %g, it must be positive", where, c->rope_theta);
    if (!scaling || json_kind(scaling) == JSON_NULL)
        goto check_partial;
    if (json_kind(scaling) != JSON_OBJECT)
        return err_set(e, ERR_INPUT, "%s: rope_scaling is %s, an object was expected", where, json_kind_name(scaling));
    Str type = STR_LIT("default");
    if ((rc = json_opt_str(scaling, "type", &type, where, e)) || (rc = json_opt_str(scaling, "rope_type", &type, where, e)) ||
        (rc = json_opt_num(scaling, "partial_rotary_factor", &partial, where, e)))
        return rc;
    if (str_eqz(type, "llama3")) {
        c->rope_scaling = ROPE_LLAMA3;
        if ((rc = json_need_num(scaling, "factor", &c->rope_factor, where, e)) ||
            (rc = json_need_num(scaling, "low_freq_factor", &c->rope_low_freq, where, e)) ||
            (rc = json_need_num(scaling, "high_freq_factor", &c->rope_high_freq, where, e)) ||
            (rc = json_need_num(scaling, "original_max_position_embeddings", &c->rope_original_positions, where, e)))
            return rc;
        if (!(c->rope_factor >= 1) || !(c->rope_low_freq > 0) || !(c->rope_high_freq > c->rope_low_freq) || !(c->rope_original_positions >= 1))
            return err_set(e, ERR_INPUT,
                           "%s: rope_scaling needs factor >= 1, 0 < low_freq_factor < high_freq_factor and original_max_position_embeddings >= 1",
                           where);
    } else if (!str_eqz(type, "default")) {
        return err_set(e, ERR_INPUT, "%s: rope_scaling type \"%.*s\" is not supported (default, llama3)", where, (int)MIN(type.n, 40), type.p);
    }
check_partial:
    if (partial != 1)
        return err_set(e, ERR_INPUT, "%s: partial_rotary_factor is %g, and hone computes this family only with 1", where, partial);
    return 0;
}

static int read_no_window(const Json *j, const char *where, Err *e)
{
    int rc = must_be_bool(j, "use_sliding_window", false, where, e);
    if (rc)
        return rc;
    const Json *types = json_get(j, "layer_types");
    for (size_t i = 0; i < json_len(types); i++)
        if (!str_eqz(json_str(json_at(types, i)), "full_attention"))
            return err_set(e, ERR_INPUT, "%s: layer_types[%zu] is \"%.*s\", and hone computes this family only with full_attention", where, i,
                           (int)MIN(json_str(json_at(types, i)).n, 40), json_str(json_at(types, i)).p);
    return 0;
}

/* What Llama and its relatives share. */
static int read_common(ModelConfig *c, const Json *j, const char *where, Err *e)
{
    int    rc;
    double eps = 1e-6;
    c->rope_theta = 10000;
    c->max_positions = 2048;
    if ((rc = json_need_int(j, "hidden_size", &c->hidden, where, e)) || (rc = json_need_int(j, "num_hidden_layers", &c->layers, where, e)) ||
        (rc = json_need_int(j, "num_attention_heads", &c->heads, where, e)) ||
        (rc = json_need_int(j, "intermediate_size", &c->ffn, where, e)) || (rc = json_need_int(j, "vocab_size", &c->vocab, where, e)))
        return rc;
    c->kv_heads = c->heads;
    c->head_dim = c->heads > 0 ? c->hidden / c->heads : 0;
    if ((rc = json_opt_int(j, "num_key_value_heads", &c->kv_heads, where, e)) || (rc = json_opt_int(j, "head_dim", &c->head_dim, where, e)) ||
        (rc = json_opt_int(j, "max_position_embeddings", &c->max_positions, where, e)) ||
        (rc = json_opt_num(j, "rms_norm_eps", &eps, where, e)) || (rc = json_opt_bool(j, "tie_word_embeddings", &c->tied, where, e)) ||
        (rc = read_act(c, j, "hidden_act", "silu", where, e)) || (rc = read_rope(c, j, where, e)))
        return rc;
    c->norm_eps = (float)eps;
    return 0;
}

static int read_llama(ModelConfig *c, const Json *j, const char *where, Err *e)
{
    bool attention_bias = false;
    int  rc = read_common(c, j, where, e);
    if (rc || (rc = json_opt_bool(j, "attention_bias", &attention_bias, where, e)) || (rc = json_opt_bool(j, "mlp_bias", &c->mlp_bias, where, e)))
        return rc;
    c->qkv_bias = c->o_bias = attention_bias;
    return 0;
}

static int read_qwen2(ModelConfig *c, const Json *j, const char *where, Err *e)
{
    int rc = read_common(c, j, where, e);
    if (rc || (rc = read_no_window(j, where, e)))
        return rc;
    c->qkv_bias = true;
    return 0;
}

static int read_qwen3(ModelConfig *c, const Json *j, const char *where, Err *e)
{
    int64_t head_dim = 128; /* the family's default is not hidden / heads */
    int     rc = read_common(c, j, where, e);
    if (rc || (rc = json_opt_int(j, "head_dim", &head_dim, where, e)) || (rc = json_opt_bool(j, "attention_bias", &c->qkv_bias, where, e)) ||
        (rc = read_no_window(j, where, e)))
        return rc;
    c->head_dim = head_dim;
    c->o_bias = c->qkv_bias;
    return 0;
}

static int read_gpt2(ModelConfig *c, const Json *j, const char *where, Err *e)
{
    int    rc;
    double eps = 1e-5;
    c->max_positions = 1024;
    c->tied = true;
    if ((rc = json_need_int(j, "n_embd", &c->hidden, where, e)) || (rc = json_need_int(j, "n_layer", &c->layers, where, e)) ||
        (rc = json_need_int(j, "n_head", &c->heads, where, e)) || (rc = json_need_int(j, "vocab_size", &c->vocab, where, e)) ||
        (rc = json_opt_int(j, "n_positions", &c->max_positions, where, e)))
        return rc;
    c->kv_heads = c->heads;
    c->head_dim = c->heads > 0 ? c->hidden / c->heads : 0;
    c->ffn = 4 * c->hidden;
    c->qkv_bias = c->o_bias = c->mlp_bias = true;
    if ((rc = json_opt_int(j, "n_inner", &c->ffn, where, e)) || (rc = json_opt_num(j, "layer_norm_epsilon", &eps, where, e)) ||
        (rc = json_opt_bool(j, "tie_word_embeddings", &c->tied, where, e)) ||
        (rc = read_act(c, j, "activation_function", "gelu_new", where, e)) || (rc = must_be_bool(j, "scale_attn_weights", true, where, e)) ||
        (rc = must_be_bool(j, "scale_attn_by_inverse_layer_idx", false, where, e)) ||
        (rc = must_be_bool(j, "add_cross_attention", false, where, e)))
        return rc;
    c->norm_eps = (float)eps;
    return 0;
}
