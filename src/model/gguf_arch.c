/* gguf_arch.c - see gguf_arch.h. The names are those of llama.cpp's src/llama-arch.cpp, the turns those of its conversion scripts; a rotation in
 * llama.cpp pairs neighbours for some architectures (those get TURN_Q and TURN_K) and halves for the others. */
#include "model/gguf_arch.h"

#include "base/file.h"
#include "model/model_int.h"

#define L "model.layers.#."
#define B true
#define EMBED_AND_NORM { "model.embed_tokens", "token_embd", 0 }, { "model.norm", "output_norm", 0 }, { "lm_head", "output", 0 }
#define MLP            { L "mlp.gate_proj", "blk.#.ffn_gate", 0 }, { L "mlp.up_proj", "blk.#.ffn_up", 0 }, { L "mlp.down_proj", "blk.#.ffn_down", 0 }

static const GgufName names_llama[] = { /* and Granite, which has the same names */
    EMBED_AND_NORM,
    { L "input_layernorm", "blk.#.attn_norm", 0 },
    { L "self_attn.q_proj", "blk.#.attn_q", TURN_Q, B },
    { L "self_attn.k_proj", "blk.#.attn_k", TURN_K, B },
    { L "self_attn.v_proj", "blk.#.attn_v", 0, B },
    { L "self_attn.o_proj", "blk.#.attn_output", 0, B },
    { L "post_attention_layernorm", "blk.#.ffn_norm", 0 },
    { L "mlp.gate_proj", "blk.#.ffn_gate", 0, B },
    { L "mlp.up_proj", "blk.#.ffn_up", 0, B },
    { L "mlp.down_proj", "blk.#.ffn_down", 0, B },
    { NULL },
};

static const GgufName names_smollm3[] = {
    EMBED_AND_NORM, MLP,
    { L "input_layernorm", "blk.#.attn_norm", 0 },
    { L "self_attn.q_proj", "blk.#.attn_q", TURN_Q, B },
    { L "self_attn.k_proj", "blk.#.attn_k", TURN_K, B },
    { L "self_attn.v_proj", "blk.#.attn_v", 0, B },
    { L "self_attn.o_proj", "blk.#.attn_output", 0 },
    { L "post_attention_layernorm", "blk.#.ffn_norm", 0 },
    { NULL },
};

static const GgufName names_mixtral[] = {
    EMBED_AND_NORM,
    { L "input_layernorm", "blk.#.attn_norm", 0 },
    { L "self_attn.q_proj", "blk.#.attn_q", TURN_Q },
    { L "self_attn.k_proj", "blk.#.attn_k", TURN_K },
    { L "self_attn.v_proj", "blk.#.attn_v", 0 },
    { L "self_attn.o_proj", "blk.#.attn_output", 0 },
    { L "post_attention_layernorm", "blk.#.ffn_norm", 0 },
    { L "block_sparse_moe.gate", "blk.#.ffn_gate_inp", 0, false, true },
    { L "block_sparse_moe.experts.@.w1", "blk.#.ffn_gate_exps", 0 },
    { L "block_sparse_moe.experts.@.w2", "blk.#.ffn_down_exps", 0 },
    { L "block_sparse_moe.experts.@.w3", "blk.#.ffn_up_exps", 0 },
    { NULL },
};

static const GgufName names_qwen[] = { /* Qwen2 has the biases, Qwen3 the norms */
    EMBED_AND_NORM, MLP,
    { L "input_layernorm", "blk.#.attn_norm", 0 },
    { L "self_attn.q_proj", "blk.#.attn_q", 0, B },
    { L "self_attn.k_proj", "blk.#.attn_k", 0, B },
    { L "self_attn.v_proj", "blk.#.attn_v", 0, B },
    { L "self_attn.o_proj", "blk.#.attn_output", 0 },
    { L "self_attn.q_norm", "blk.#.attn_q_norm", 0 },
    { L "self_attn.k_norm", "blk.#.attn_k_norm", 0 },
    { L "post_attention_layernorm", "blk.#.ffn_norm", 0 },
    { NULL },
};

static const GgufName names_qwen_moe[] = { /* Qwen2-MoE has the shared expert */
    EMBED_AND_NORM,
    { L "input_layernorm", "blk.#.attn_norm", 0 },
    { L "self_attn.q_proj", "blk.#.attn_q", 0, B },
    { L "self_attn.k_proj", "blk.#.attn_k", 0, B },
    { L "self_attn.v_proj", "blk.#.attn_v", 0, B },
    { L "self_attn.o_proj", "blk.#.attn_output", 0 },
    { L "self_attn.q_norm", "blk.#.attn_q_norm", 0 },
    { L "self_attn.k_norm", "blk.#.attn_k_norm", 0 },
    { L "post_attention_layernorm", "blk.#.ffn_norm", 0 },
    { L "mlp.gate", "blk.#.ffn_gate_inp", 0, false, true },
    { L "mlp.experts.@.gate_proj", "blk.#.ffn_gate_exps", 0 },
    { L "mlp.experts.@.up_proj", "blk.#.ffn_up_exps", 0 },
    { L "mlp.experts.@.down_proj", "blk.#.ffn_down_exps", 0 },
    { L "mlp.shared_expert.gate_proj", "blk.#.ffn_gate_shexp", 0 },
    { L "mlp.shared_expert.up_proj", "blk.#.ffn_up_shexp", 0 },
    { L "mlp.shared_expert.down_proj", "blk.#.ffn_down_shexp", 0 },
    { L "mlp.shared_expert_gate", "blk.#.ffn_gate_inp_shexp", TURN_ROW, false, true },
    { NULL },
};

static const GgufName names_gemma[] = {
    MLP,
    { "model.embed_tokens", "token_embd", 0 },
    { "model.norm", "output_norm", TURN_ADD_ONE },
    { L "input_layernorm", "blk.#.attn_norm", TURN_ADD_ONE },
    { L "self_attn.q_proj", "blk.#.attn_q", 0 },
    { L "self_attn.k_proj", "blk.#.attn_k", 0 },
    { L "self_attn.v_proj", "blk.#.attn_v", 0 },
    { L "self_attn.o_proj", "blk.#.attn_output", 0 },
    { L "post_attention_layernorm", "blk.#.ffn_norm", TURN_ADD_ONE },
    { NULL },
};

static const GgufName names_gemma23[] = { /* Gemma 3 has the q and k norms, and may have a head of its own */
    MLP,
    { "model.embed_tokens", "token_embd", 0 },
    { "model.norm", "output_norm", TURN_ADD_ONE },
    { "lm_head", "output", 0 },
    { L "input_layernorm", "blk.#.attn_norm", TURN_ADD_ONE },
    { L "self_attn.q_proj", "blk.#.attn_q", 0 },
    { L "self_attn.k_proj", "blk.#.attn_k", 0 },
    { L "self_attn.v_proj", "blk.#.attn_v", 0 },
    { L "self_attn.o_proj", "blk.#.attn_output", 0 },
    { L "self_attn.q_norm", "blk.#.attn_q_norm", TURN_ADD_ONE },
    { L "self_attn.k_norm", "blk.#.attn_k_norm", TURN_ADD_ONE },
    { L "post_attention_layernorm", "blk.#.post_attention_norm", TURN_ADD_ONE },
    { L "pre_feedforward_layernorm", "blk.#.ffn_norm", TURN_ADD_ONE },
    { L "post_feedforward_layernorm", "blk.#.post_ffw_norm", TURN_ADD_ONE },
    { NULL },
};

static const GgufName names_olmo2[] = {
    EMBED_AND_NORM, MLP,
    { L "self_attn.q_proj", "blk.#.attn_q", 0 },
    { L "self_attn.k_proj", "blk.#.attn_k", 0 },
    { L "self_attn.v_proj", "blk.#.attn_v", 0 },
    { L "self_attn.o_proj", "blk.#.attn_output", 0 },
    { L "self_attn.q_norm", "blk.#.attn_q_norm", 0 },
    { L "self_attn.k_norm", "blk.#.attn_k_norm", 0 },
    { L "post_attention_layernorm", "blk.#.post_attention_norm", 0 },
    { L "post_feedforward_layernorm", "blk.#.post_ffw_norm", 0 },
    { NULL },
};

static const GgufName names_phi3[] = {
    EMBED_AND_NORM,
    { L "input_layernorm", "blk.#.attn_norm", 0 },
    { L "self_attn.qkv_proj", "blk.#.attn_qkv", 0 },
    { L "self_attn.o_proj", "blk.#.attn_output", 0 },
    { L "post_attention_layernorm", "blk.#.ffn_norm", 0 },
    { L "mlp.gate_up_proj", "blk.#.ffn_up", 0 },
    { L "mlp.down_proj", "blk.#.ffn_down", 0 },
    { NULL },
};

static const GgufName names_phi2[] = {
    { "model.embed_tokens", "token_embd", 0 },
    { "model.final_layernorm", "output_norm", 0, B },
    { "lm_head", "output", 0, B },
    { L "input_layernorm", "blk.#.attn_norm", 0, B },
    { L "self_attn.q_proj", "blk.#.attn_q", 0, B },
    { L "self_attn.k_proj", "blk.#.attn_k", 0, B },
    { L "self_attn.v_proj", "blk.#.attn_v", 0, B },
    { L "self_attn.dense", "blk.#.attn_output", 0, B },
    { L "mlp.fc1", "blk.#.ffn_up", 0, B },
    { L "mlp.fc2", "blk.#.ffn_down", 0, B },
    { NULL },
};

static const GgufName names_starcoder2[] = {
    { "model.embed_tokens", "token_embd", 0 },
    { "model.norm", "output_norm", 0, B },
    { "lm_head", "output", 0 },
    { L "input_layernorm", "blk.#.attn_norm", 0, B },
    { L "self_attn.q_proj", "blk.#.attn_q", 0, B },
    { L "self_attn.k_proj", "blk.#.attn_k", 0, B },
    { L "self_attn.v_proj", "blk.#.attn_v", 0, B },
    { L "self_attn.o_proj", "blk.#.attn_output", 0, B },
    { L "post_attention_layernorm", "blk.#.ffn_norm", 0, B },
    { L "mlp.c_fc", "blk.#.ffn_up", 0, B },
    { L "mlp.c_proj", "blk.#.ffn_down", 0, B },
    { NULL },
};

static const GgufName names_gpt2[] = {
    { "transformer.wte", "token_embd", 0 },
    { "transformer.wpe", "position_embd", 0, false, true },
    { "transformer.ln_f", "output_norm", 0, B },
    { "lm_head", "output", 0 },
    { "transformer.h.#.ln_1", "blk.#.attn_norm", 0, B },
    { "transformer.h.#.attn.c_attn", "blk.#.attn_qkv", TURN_TRANSPOSE, B },
    { "transformer.h.#.attn.c_proj", "blk.#.attn_output", TURN_TRANSPOSE, B },
    { "transformer.h.#.ln_2", "blk.#.ffn_norm", 0, B },
    { "transformer.h.#.mlp.c_fc", "blk.#.ffn_up", TURN_TRANSPOSE, B },
    { "transformer.h.#.mlp.c_proj", "blk.#.ffn_down", TURN_TRANSPOSE, B },
    { NULL },
};

static const GgufName names_gpt_neox[] = {
    { "gpt_neox.embed_in", "token_embd", 0 },
    { "gpt_neox.final_layer_norm", "output_norm", 0, B },
    { "embed_out", "output", 0 },
    { "gpt_neox.layers.#.input_layernorm", "blk.#.attn_norm", 0, B },
    { "gpt_neox.layers.#.attention.query_key_value", "blk.#.attn_qkv", TURN_BY_HEAD, B },
    { "gpt_neox.layers.#.attention.dense", "blk.#.attn_output", 0, B },
    { "gpt_neox.layers.#.post_attention_layernorm", "blk.#.ffn_norm", 0, B },
    { "gpt_neox.layers.#.mlp.dense_h_to_4h", "blk.#.ffn_up", 0, B },
    { "gpt_neox.layers.#.mlp.dense_4h_to_h", "blk.#.ffn_down", 0, B },
    { NULL },
};

#undef L
#undef B

#define SILU ACT_SILU, "silu"
#define TANH ACT_GELU_TANH, "gelu_pytorch_tanh"
#define NEW  ACT_GELU_TANH, "gelu_new"
#define ERF  ACT_GELU_ERF, "gelu" /* GPT-NeoX: llama.cpp computes the tanh form and says nothing of it; the models were trained with this one */

/* Where two families share an architecture, the first row is the one that a file is read as. */
static const GgufArch table[] = {
    { "llama",      "llama",       names_llama,      GGUF_TIED | GGUF_FREQS | GGUF_LONGROPE | GGUF_HEAD_SIZE, SILU },
    { "llama",      "mistral",     names_llama,      GGUF_TIED | GGUF_FREQS | GGUF_LONGROPE | GGUF_HEAD_SIZE, SILU },
    { "llama",      "mixtral",     names_mixtral,    GGUF_TIED | GGUF_FREQS | GGUF_HEAD_SIZE | GGUF_NORM_TOPK | GGUF_EXPERTS, SILU },
    { "qwen2",      "qwen2",       names_qwen,       GGUF_TIED, SILU },
    { "qwen3",      "qwen3",       names_qwen,       GGUF_TIED | GGUF_HEAD_SIZE, SILU },
    { "qwen2moe",   "qwen2_moe",   names_qwen_moe,   GGUF_EXPERTS, SILU },
    { "qwen3moe",   "qwen3_moe",   names_qwen_moe,   GGUF_TIED | GGUF_HEAD_SIZE | GGUF_NORM_TOPK | GGUF_EXPERTS, SILU },
    { "gemma",      "gemma",       names_gemma,      GGUF_TIED | GGUF_ONLY_TIED | GGUF_HEAD_SIZE, TANH },
    { "gemma2",     "gemma2",      names_gemma23,    GGUF_TIED | GGUF_ONLY_TIED | GGUF_HEAD_SIZE | GGUF_WINDOW | GGUF_LOGIT_CAP | GGUF_ATTN_CAP, TANH, 2 },
    { "gemma3",     "gemma3_text", names_gemma23,    GGUF_TIED | GGUF_HEAD_SIZE | GGUF_WINDOW | GGUF_LOGIT_CAP, TANH, 6 },
    { "phi3",       "phi3",        names_phi3,       GGUF_TIED | GGUF_PARTIAL | GGUF_LONGROPE | GGUF_NOTES_WINDOW, SILU, 0 },
    { "phi2",       "phi",         names_phi2,       GGUF_PARTIAL | GGUF_LAYERNORM, NEW },
    { "gpt2",       "gpt2",        names_gpt2,       GGUF_TIED | GGUF_LAYERNORM | GGUF_POSITIONS, NEW },
    { "gptneox",    "gpt_neox",    names_gpt_neox,   GGUF_PARTIAL | GGUF_LAYERNORM, ERF },
    { "smollm3",    "smollm3",     names_smollm3,    GGUF_TIED | GGUF_HEAD_SIZE, SILU },
    { "olmo2",      "olmo2",       names_olmo2,      0, SILU },
    { "granite",    "granite",     names_llama,      GGUF_TIED | GGUF_FREQS | GGUF_HEAD_SIZE | GGUF_SCALES, SILU },
    { "starcoder2", "starcoder2",  names_starcoder2, GGUF_TIED | GGUF_LAYERNORM, TANH },
};

const GgufArch *gguf_arch_of_family(Str model_type)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_eqz(model_type, table[i].hf))
            return &table[i];
    return NULL;
}

const GgufArch *gguf_arch_find(Str name, bool experts)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_eqz(name, table[i].name) && experts == ((table[i].can & GGUF_EXPERTS) != 0))
            return &table[i];
    return NULL;
}

void gguf_arch_names(StrBuf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (!i || strcmp(table[i].name, table[i - 1].name) != 0)
            strbuf_addf(out, "%s%s", i ? ", " : "", table[i].name);
}

/* A number as names write it: no sign, no leading zeros, small. */
static bool read_number(Str *s, int64_t *v)
{
    size_t n = 0;
    *v = 0;
    while (n < s->n && n < 6 && s->p[n] >= '0' && s->p[n] <= '9')
        *v = *v * 10 + (s->p[n++] - '0');
    if (!n || (n > 1 && s->p[0] == '0'))
        return false;
    s->p += n;
    s->n -= n;
    return true;
}

static bool matches(const char *pattern, Str s, int64_t *layer, int64_t *expert)
{
    *layer = *expert = -1;
    for (; *pattern; pattern++) {
        if (*pattern == '#' || *pattern == '@') {
            if (!read_number(&s, *pattern == '#' ? layer : expert))
                return false;
        } else {
            if (!s.n || s.p[0] != *pattern)
                return false;
            s.p++;
            s.n--;
        }
    }
    return s.n == 0;
}

static bool cut_ending(Str *s, bool *bias)
{
    *bias = str_ends(*s, ".bias");
    if (!*bias && !str_ends(*s, ".weight"))
        return false;
    s->n -= *bias ? 5 : 7;
    return true;
}

const GgufName *gguf_name_by_hf(const GgufArch *a, Str hf, int64_t *layer, int64_t *expert, bool *bias)
{
    if (cut_ending(&hf, bias))
        for (const GgufName *n = a->names; n->hf; n++)
            if (matches(n->hf, hf, layer, expert))
                return *bias && !n->bias ? NULL : n;
    return NULL;
}

const GgufName *gguf_name_by_gguf(const GgufArch *a, Str gguf, int64_t *layer, bool *bias)
{
    int64_t none;
    if (cut_ending(&gguf, bias))
        for (const GgufName *n = a->names; n->hf; n++)
            if (matches(n->gguf, gguf, layer, &none))
                return *bias && !n->bias ? NULL : n;
    return NULL;
}

char *gguf_name_fill(Arena *arena, const char *pattern, int64_t layer, int64_t expert, const char *ending)
{
    StrBuf out = { 0 };
    for (; *pattern; pattern++) {
        if (*pattern == '#' || *pattern == '@')
            strbuf_addf(&out, "%lld", (long long)(*pattern == '#' ? layer : expert));
        else
            strbuf_addc(&out, *pattern);
    }
    strbuf_addf(&out, "%s", ending);
    char *name = arena_strdup(arena, strbuf_z(&out));
    strbuf_release(&out);
    return name;
}

int64_t gguf_turn_row(GgufTurn turn, const GgufShape *s, int64_t hf)
{
    const int64_t d = s->head_dim, head = hf / d, i = hf % d;
    switch (turn) {
    case TURN_Q:
    case TURN_K:
        return head * d + (i < d / 2 ? 2 * i : 2 * (i - d / 2) + 1);
    case TURN_BY_HEAD: /* head counts q0 k0 v0 q1 ... */
        return ((head % 3) * s->heads + head / 3) * d + i;
    case TURN_NONE: case TURN_TRANSPOSE: case TURN_ADD_ONE: case TURN_ROW:
        break;
    }
    return hf;
}

bool gguf_path_is(const char *path)
{
    return path && str_ends(str_of(path), ".gguf") && file_exists(path) && !file_is_dir(path);
}

int64_t gguf_experts(const Model *m)
{
    const GgufArch *a = gguf_arch_of_family(str_of(m->fam->hf));
    int64_t         most = -1, layer, expert;
    bool            bias;
    StrBuf          hf = { 0 };
    for (int i = 0; i < m->slots->n && a && (a->can & GGUF_EXPERTS); i++) {
        strbuf_clear(&hf);
        strbuf_addf(&hf, "%s%s", m->slots->p[i].prefixed ? m->fam->prefix : "", m->slots->p[i].name);
        if (gguf_name_by_hf(a, strbuf_str(&hf), &layer, &expert, &bias))
            most = MAX(most, expert);
    }
    strbuf_release(&hf);
    return most + 1;
}
