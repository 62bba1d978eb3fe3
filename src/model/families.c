/* families.c - the table of families: what differs between them, and what their modules are called.
 * To add a family: a row in family[]; name rules if its modules are called otherwise; a reader in family_config.c if its keys are; a paragraph in
 * MODELS.md; a golden tiny model (tools/export_golden.py). */
#include "model/model_int.h"

#define NORM(module, field)   { module, offsetof(Block, field), true, NULL }
#define LINEAR(module, field) { module, offsetof(Block, field), false, NULL }
#define EXPERTS(module, name, field) { module, offsetof(Expert, field), false, name } /* one for each expert */
#define END                   { NULL, 0, false, NULL }

#define SELF_ATTENTION \
    LINEAR("self_attn.q_proj", q), LINEAR("self_attn.k_proj", k), LINEAR("self_attn.v_proj", v), LINEAR("self_attn.o_proj", o), \
    NORM("self_attn.q_norm", q_norm), NORM("self_attn.k_norm", k_norm)  /* only where the family has them */
#define GATED_MLP LINEAR("mlp.gate_proj", gate), LINEAR("mlp.up_proj", up), LINEAR("mlp.down_proj", down)

static const BlockRule rules_llama[] = {
    NORM("input_layernorm", attn_norm), SELF_ATTENTION, NORM("post_attention_layernorm", mlp_norm), GATED_MLP, END,
};

/* Norms behind the branches, none before them. */
static const BlockRule rules_olmo2[] = {
    SELF_ATTENTION, NORM("post_attention_layernorm", attn_post), GATED_MLP, NORM("post_feedforward_layernorm", mlp_post), END,
};

/* Norms before the branches and behind them. */
static const BlockRule rules_gemma2[] = {
    NORM("input_layernorm", attn_norm), SELF_ATTENTION, NORM("post_attention_layernorm", attn_post),
    NORM("pre_feedforward_layernorm", mlp_norm), GATED_MLP, NORM("post_feedforward_layernorm", mlp_post), END,
};

static const BlockRule rules_phi3[] = {
    NORM("input_layernorm", attn_norm), LINEAR("self_attn.qkv_proj", qkv), LINEAR("self_attn.o_proj", o),
    NORM("post_attention_layernorm", mlp_norm), LINEAR("mlp.gate_up_proj", gate_up), LINEAR("mlp.down_proj", down), END,
};

static const BlockRule rules_starcoder2[] = {
    NORM("input_layernorm", attn_norm), SELF_ATTENTION, NORM("post_attention_layernorm", mlp_norm),
    LINEAR("mlp.c_fc", up), LINEAR("mlp.c_proj", down), END,
};

/* One norm for both branches, which stand side by side. */
static const BlockRule rules_phi[] = {
    NORM("input_layernorm", attn_norm), LINEAR("self_attn.q_proj", q), LINEAR("self_attn.k_proj", k), LINEAR("self_attn.v_proj", v),
    LINEAR("self_attn.dense", o), NORM("self_attn.q_layernorm", q_norm), NORM("self_attn.k_layernorm", k_norm),
    LINEAR("mlp.fc1", up), LINEAR("mlp.fc2", down), END,
};

static const BlockRule rules_gpt_neox[] = {
    NORM("input_layernorm", attn_norm), LINEAR("attention.query_key_value", qkv), LINEAR("attention.dense", o),
    NORM("post_attention_layernorm", mlp_norm), LINEAR("mlp.dense_h_to_4h", up), LINEAR("mlp.dense_4h_to_h", down), END,
};

static const BlockRule rules_gpt2[] = {
    NORM("ln_1", attn_norm), LINEAR("attn.c_attn", qkv), LINEAR("attn.c_proj", o),
    NORM("ln_2", mlp_norm), LINEAR("mlp.c_fc", up), LINEAR("mlp.c_proj", down), END,
};

static const BlockRule rules_mixtral[] = {
    NORM("input_layernorm", attn_norm), SELF_ATTENTION, NORM("post_attention_layernorm", mlp_norm), LINEAR("block_sparse_moe.gate", router),
    EXPERTS("block_sparse_moe.experts", "w1", gate), EXPERTS("block_sparse_moe.experts", "w3", up), EXPERTS("block_sparse_moe.experts", "w2", down), END,
};

/* A layer has either the gated MLP or the rest; the shared expert is Qwen2's. */
static const BlockRule rules_qwen_moe[] = {
    NORM("input_layernorm", attn_norm), SELF_ATTENTION, NORM("post_attention_layernorm", mlp_norm), GATED_MLP, LINEAR("mlp.gate", router),
    EXPERTS("mlp.experts", "gate_proj", gate), EXPERTS("mlp.experts", "up_proj", up), EXPERTS("mlp.experts", "down_proj", down),
    LINEAR("mlp.shared_expert.gate_proj", shared.gate), LINEAR("mlp.shared_expert.up_proj", shared.up),
    LINEAR("mlp.shared_expert.down_proj", shared.down), LINEAR("mlp.shared_expert_gate", shared_gate), END,
};

#define NAMES(rules) .prefix = "model.", .embed = "embed_tokens", .layers = "layers", .final_norm = "norm", .rule = rules
#define RMS_GATED    .norm = NORM_RMS, .pos = POS_ROPE, .gated = true

static const Family family[] = {
    { .hf = "llama", .architecture = "LlamaForCausalLM", RMS_GATED, NAMES(rules_llama), .computes = "attention_bias mlp_bias",
      .read_config = read_llama },
    { .hf = "mistral", .architecture = "MistralForCausalLM", RMS_GATED, NAMES(rules_llama), .computes = "sliding_window",
      .silent = { .kv_heads = 8, .max_positions = 131072, .window = 4096 }, .read_config = read_windowed },
    { .hf = "ministral", .architecture = "MinistralForCausalLM", RMS_GATED, NAMES(rules_llama), .computes = "sliding_window layer_types",
      .silent = { .kv_heads = 8, .max_positions = 131072, .window = 4096 }, .read_config = read_ministral },
    { .hf = "qwen2", .architecture = "Qwen2ForCausalLM", RMS_GATED, NAMES(rules_llama),
      .computes = "use_sliding_window sliding_window max_window_layers layer_types",
      .silent = { .kv_heads = 32, .max_positions = 32768, .window = 4096 }, .read_config = read_qwen2 },
    { .hf = "qwen3", .architecture = "Qwen3ForCausalLM", RMS_GATED, NAMES(rules_llama),
      .computes = "use_sliding_window sliding_window max_window_layers layer_types attention_bias",
      .silent = { .kv_heads = 32, .head_dim = 128, .max_positions = 32768, .window = 4096 }, .read_config = read_qwen3 },
    { .hf = "smollm3", .architecture = "SmolLM3ForCausalLM", RMS_GATED, NAMES(rules_llama),
      .computes = "use_sliding_window sliding_window layer_types no_rope_layers no_rope_layer_interval attention_bias mlp_bias",
      .silent = { .kv_heads = 4, .max_positions = 32768, .theta = 2000000, .tied = true }, .read_config = read_smollm3 },
    { .hf = "olmo2", .architecture = "Olmo2ForCausalLM", RMS_GATED, NAMES(rules_olmo2), .computes = "attention_bias", .silent = { .eps = 1e-5 },
      .read_config = read_olmo2 },
    { .hf = "granite", .architecture = "GraniteForCausalLM", RMS_GATED, NAMES(rules_llama),
      .computes = "embedding_multiplier residual_multiplier attention_multiplier logits_scaling attention_bias mlp_bias",
      .read_config = read_granite },
    { .hf = "gemma", .architecture = "GemmaForCausalLM", RMS_GATED, .norm_offset = 1, NAMES(rules_llama), .computes = "attention_bias",
      .silent = { .kv_heads = 16, .head_dim = 256, .max_positions = 8192, .act = "gelu_pytorch_tanh", .tied = true }, .read_config = read_gemma },
    { .hf = "gemma2", .architecture = "Gemma2ForCausalLM", RMS_GATED, .norm_offset = 1, NAMES(rules_gemma2),
      .computes = "attention_bias sliding_window layer_types attn_logit_softcapping final_logit_softcapping query_pre_attn_scalar",
      .silent = { .kv_heads = 4, .head_dim = 256, .max_positions = 8192, .window = 4096, .act = "gelu_pytorch_tanh", .tied = true },
      .read_config = read_gemma2 },
    { .hf = "gemma3_text", .architecture = "Gemma3ForCausalLM", RMS_GATED, .norm_offset = 1, NAMES(rules_gemma2),
      .computes = "attention_bias sliding_window layer_types final_logit_softcapping query_pre_attn_scalar rope_local_base_freq",
      .silent = { .kv_heads = 4, .head_dim = 256, .max_positions = 131072, .window = 4096, .theta = 1000000, .act = "gelu_pytorch_tanh", .tied = true },
      .read_config = read_gemma3 },
    { .hf = "phi", .architecture = "PhiForCausalLM", .norm = NORM_LAYER, .pos = POS_ROPE, .prefix = "model.", .embed = "embed_tokens",
      .layers = "layers", .final_norm = "final_layernorm", .rule = rules_phi, .computes = "partial_rotary_factor qk_layernorm",
      .silent = { .eps = 1e-5, .partial = 0.5, .act = "gelu_new" }, .read_config = read_phi },
    { .hf = "phi3", .architecture = "Phi3ForCausalLM", RMS_GATED, NAMES(rules_phi3),
      .computes = "sliding_window original_max_position_embeddings partial_rotary_factor", .silent = { .max_positions = 4096, .eps = 1e-5 },
      .read_config = read_windowed },
    { .hf = "starcoder2", .architecture = "Starcoder2ForCausalLM", .norm = NORM_LAYER, .pos = POS_ROPE, NAMES(rules_starcoder2),
      .computes = "sliding_window use_bias", .silent = { .kv_heads = 2, .max_positions = 4096, .eps = 1e-5, .act = "gelu_pytorch_tanh", .tied = true },
      .read_config = read_starcoder2 },
    { .hf = "gpt_neox", .architecture = "GPTNeoXForCausalLM", .norm = NORM_LAYER, .pos = POS_ROPE, .qkv_by_head = true, .prefix = "gpt_neox.",
      .embed = "embed_in", .layers = "layers", .final_norm = "final_layer_norm", .head = "embed_out", .rule = rules_gpt_neox,
      .computes = "use_parallel_residual rotary_pct partial_rotary_factor rotary_emb_base attention_bias",
      .silent = { .eps = 1e-5, .partial = 0.25, .act = "gelu" }, .read_config = read_gpt_neox },
    { .hf = "gpt2", .architecture = "GPT2LMHeadModel", .norm = NORM_LAYER, .pos = POS_LEARNED, .transposed = true, .prefix = "transformer.",
      .embed = "wte", .pos_embed = "wpe", .layers = "h", .final_norm = "ln_f", .rule = rules_gpt2,
      .silent = { .max_positions = 1024, .eps = 1e-5, .act = "gelu_new", .tied = true }, .read_config = read_gpt2 },
    { .hf = "mixtral", .architecture = "MixtralForCausalLM", RMS_GATED, NAMES(rules_mixtral), .computes = "sliding_window num_local_experts num_experts",
      .silent = { .kv_heads = 8, .max_positions = 131072, .eps = 1e-5, .theta = 1000000 }, .read_config = read_mixtral },
    { .hf = "qwen2_moe", .architecture = "Qwen2MoeForCausalLM", RMS_GATED, NAMES(rules_qwen_moe),
      .computes = "use_sliding_window sliding_window max_window_layers layer_types num_experts num_local_experts",
      .silent = { .kv_heads = 16, .max_positions = 32768, .window = 4096 }, .read_config = read_qwen2_moe },
    { .hf = "qwen3_moe", .architecture = "Qwen3MoeForCausalLM", RMS_GATED, NAMES(rules_qwen_moe),
      .computes = "use_sliding_window sliding_window attention_bias num_experts num_local_experts",
      .silent = { .kv_heads = 4, .max_positions = 32768, .window = 4096 }, .read_config = read_qwen3_moe },
    { .hf = "olmoe", .architecture = "OlmoeForCausalLM", RMS_GATED, NAMES(rules_qwen_moe), .computes = "attention_bias num_experts num_local_experts",
      .silent = { .max_positions = 4096, .eps = 1e-5 }, .read_config = read_olmoe },
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
