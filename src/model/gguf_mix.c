/* gguf_mix.c - see gguf_mix.h. The choices are those of llama_model_quantize in llama.cpp (src/llama-quant.cpp) without an importance matrix.
 *
 * noise: the bound of a quantised file's certificate, the root mean square difference of logits as a share of their spread. It is about twice the
 * largest share that llama.cpp's own quantiser showed over the tiny dense models of tools/judge_gguf.py, and below the square root of two, where unrelated
 * models are. Random weights are the hardest case, for nothing in them is redundant: trained models stay far below. */
#include "model/gguf_mix.h"

#include <strings.h>

static const GgufType types[] = {
    { "F32",    0,  DT_F32,    1e-4 }, { "F16",    1,  DT_F16,    1e-2 }, { "BF16",   32, DT_BF16,   6e-2 }, { "Q8_0",   7,  DT_Q8_0,   0.13 },
    { "Q6_K",   18, DT_Q6_K,   0.30 }, { "Q5_K_M", 17, DT_Q5_K,   0.50 }, { "Q5_K_S", 16, DT_Q5_K,   0.50 }, { "Q5_1",   9,  DT_Q5_1,   0.55 },
    { "Q5_0",   8,  DT_Q5_0,   0.60 }, { "Q4_K_M", 15, DT_Q4_K,   0.90 }, { "Q4_K_S", 14, DT_Q4_K,   0.90 }, { "IQ4_NL", 25, DT_IQ4_NL, 1.00 },
    { "Q4_1",   3,  DT_Q4_1,   1.00 }, { "Q4_0",   2,  DT_Q4_0,   1.05 }, { "Q3_K_L", 13, DT_Q3_K,   1.20 }, { "Q3_K_M", 12, DT_Q3_K,   1.20 },
    { "Q3_K_S", 11, DT_Q3_K,   1.30 }, { "Q2_K",   10, DT_Q2_K,   1.35 },
};

static const struct { const char *name, *means; } short_names[] = { { "", "F16" }, { "Q3_K", "Q3_K_M" }, { "Q4_K", "Q4_K_M" }, { "Q5_K", "Q5_K_M" } };

int gguf_type_find(const GgufType **out, const char *name, Err *e)
{
    const char *full = name;
    for (size_t i = 0; i < ARRAY_LEN(short_names); i++)
        if (!strcasecmp(name, short_names[i].name))
            full = short_names[i].means;
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (!strcasecmp(full, types[i].name) && dtype_writable(types[i].dtype)) {
            *out = &types[i];
            return 0;
        }
    StrBuf known = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (dtype_writable(types[i].dtype))
            strbuf_addf(&known, "%s%s", i ? ", " : "", types[i].name);
    int rc = err_set(e, ERR_ARG, "\"%.40s\" is not a type of GGUF file that hone writes; it writes %s", name, strbuf_z(&known));
    strbuf_release(&known);
    return rc;
}

typedef enum { PART_OTHER, PART_OUTPUT, PART_EMBED, PART_V, PART_K, PART_Q, PART_O, PART_DOWN } Part;

static Part part_of(const char *name, bool tied)
{
    static const struct { const char *piece; Part part; } parts[] = {
        { "attn_qkv.weight", PART_V }, { "attn_v.weight", PART_V }, { "attn_k.weight", PART_K }, { "attn_q.weight", PART_Q },
        { "attn_output.weight", PART_O }, { "ffn_down", PART_DOWN },
    };
    if (!strcmp(name, "output.weight"))
        return PART_OUTPUT;
    if (!strcmp(name, "token_embd.weight"))
        return tied ? PART_OUTPUT : PART_EMBED;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (strstr(name, parts[i].piece))
            return parts[i].part;
    return PART_OTHER;
}

/* The first and last eighth of the layers and every third between them. */
static bool favoured(int64_t layer, int64_t n)
{
    return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
}

static DType choose_v(const GgufMix *m, int64_t i)
{
    const char   *t = m->type->name;
    const int64_t shared = m->heads / m->kv_heads;
    DType         d = m->type->dtype;
    if (!strcmp(t, "Q2_K"))
        d = shared >= 4 ? DT_Q4_K : DT_Q3_K;
    else if (!strcmp(t, "Q3_K_M"))
        d = i < 2 ? DT_Q5_K : DT_Q4_K;
    else if (!strcmp(t, "Q3_K_L") || (!strcmp(t, "IQ4_NL") && shared >= 4) || (!strcmp(t, "Q4_K_S") && i < 4))
        d = DT_Q5_K;
    else if ((!strcmp(t, "Q4_K_M") || !strcmp(t, "Q5_K_M")) && favoured(i, m->layers))
        d = DT_Q6_K;
    /* Models of 70 billion weights share a value matrix among eight heads: it is small and much depends on it. */
    const bool large = m->layers == 80 && ((!strcmp(m->arch, "llama") && shared > 1) || !strcmp(m->arch, "qwen2"));
    if (large && (d == DT_Q3_K || d == DT_Q4_K))
        d = DT_Q5_K;
    return m->experts == 8 ? DT_Q8_0 : d;
}

static DType choose_down(const GgufMix *m, int64_t i)
{
    const char   *t = m->type->name;
    const int64_t n = m->layers;
    if (!strcmp(t, "Q2_K"))
        return DT_Q3_K;
    if (!strcmp(t, "Q3_K_M"))
        return i < n / 16 ? DT_Q5_K : DT_Q4_K;
    if (!strcmp(t, "Q3_K_L") || ((!strcmp(t, "IQ4_NL") || !strcmp(t, "Q4_K_S")) && i < n / 8))
        return DT_Q5_K;
    if ((!strcmp(t, "Q4_K_M") || !strcmp(t, "Q5_K_M")) && favoured(i, n))
        return DT_Q6_K;
    return m->type->dtype;
}

static DType choose_o(const GgufMix *m)
{
    static const struct { const char *type; DType eight, other; } by_type[] = {
        { "Q2_K", DT_Q5_K, DT_Q3_K }, { "Q3_K_S", DT_Q5_K, DT_Q3_K }, { "Q3_K_M", DT_Q5_K, DT_Q4_K }, { "Q3_K_L", DT_Q3_K, DT_Q5_K },
        { "IQ4_NL", DT_Q5_K, DT_IQ4_NL }, { "Q4_K_S", DT_Q5_K, DT_Q4_K }, { "Q4_K_M", DT_Q5_K, DT_Q4_K },
    };
    for (size_t i = 0; i < ARRAY_LEN(by_type); i++)
        if (!strcmp(m->type->name, by_type[i].type))
            return m->experts == 8 ? by_type[i].eight : by_type[i].other;
    return m->type->dtype;
}

/* Rows that are no whole number of large blocks get a format of small ones, and F16 when those do not fit either. */
static DType fit(DType d, int64_t cols)
{
    static const struct { DType wanted, instead; } small[] = {
        { DT_Q2_K, DT_Q4_0 }, { DT_Q3_K, DT_Q4_0 }, { DT_Q4_K, DT_Q5_0 }, { DT_Q5_K, DT_Q5_1 }, { DT_Q6_K, DT_Q8_0 }, { DT_IQ4_XS, DT_IQ4_NL },
    };
    for (size_t i = 0; i < ARRAY_LEN(small) && cols % dtype_block(d); i++)
        if (d == small[i].wanted)
            d = small[i].instead;
    return cols % dtype_block(d) ? DT_F16 : d;
}

DType gguf_mix_choose(const GgufMix *m, const char *name, int64_t layer, int64_t cols, bool full)
{
    DType d = m->type->dtype;
    if (full)
        return DT_F32;
    if (dtype_block(d) == 1)
        return d;
    switch (part_of(name, m->tied)) {
    case PART_OUTPUT: d = cols % dtype_block(d) || d == DT_Q8_0 ? DT_Q8_0 : DT_Q6_K; break;
    case PART_V:      d = choose_v(m, layer); break;
    case PART_K:      d = m->experts == 8 ? DT_Q8_0 : d; break;
    case PART_O:      d = choose_o(m); break;
    case PART_DOWN:   d = choose_down(m, layer); break;
    case PART_EMBED: case PART_Q: case PART_OTHER: break;
    }
    return fit(d, cols);
}
