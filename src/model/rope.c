/* rope.c - rotary positions: frequencies under every known way of stretching a context, and the tables of cos and sin made of them.
 * Frequencies are rounded to f32 at each step as in the implementation that the models are trained with, and the angle is a f32 product: at far
 * positions another rounding would be another model. Only cos and sin themselves are taken in double.
 * Invariant: two ways of stretching (dynamic, longrope) let the length of a text decide. Here that is the length of each text of a batch, never
 * the batch's longest, so that packed = alone; such models have no tables of their own, each step makes the rows it needs.
 * To add a way: a RopeKind, its keys in family_config.c, a function and a row in way[]. */
#include "model/model_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

#define PI 3.14159265358979323846

/* base ^ (2i / rot) and its inverse, each rounded to f32. */
static float period(const RopeConfig *c, double base, int64_t i)
{
    return (float)pow((double)(float)base, (double)((float)(2 * i) / (float)c->rot));
}

static void plain(const RopeConfig *c, int64_t n, float *freq)
{
    (void)n;
    for (int64_t i = 0; i < c->rot / 2; i++)
        freq[i] = 1.0f / period(c, c->theta, i);
}

/* Positions are divided by the factor (Chen et al. 2023). */
static void linear(const RopeConfig *c, int64_t n, float *freq)
{
    plain(c, n, freq);
    for (int64_t i = 0; i < c->rot / 2; i++)
        freq[i] /= (float)c->factor;
}

/* Beyond the original positions the base grows with the length of the text ("dynamic NTK"). */
static void dynamic(const RopeConfig *c, int64_t n, float *freq)
{
    if (n <= (int64_t)c->original) {
        plain(c, n, freq);
        return;
    }
    const float stretch = (float)c->factor * (float)n / (float)c->original - (float)(c->factor - 1);
    const float base = (float)c->theta * (float)pow((double)stretch, (double)(float)((double)c->rot / (double)(c->rot - 2)));
    for (int64_t i = 0; i < c->rot / 2; i++)
        freq[i] = 1.0f / period(c, (double)base, i);
}

/* Llama 3.1: long wavelengths are stretched by the factor, short ones kept, a smooth passage between. */
static void llama3(const RopeConfig *c, int64_t n, float *freq)
{
    const float longest = (float)(c->original / c->low_freq), shortest = (float)(c->original / c->high_freq);
    plain(c, n, freq);
    for (int64_t i = 0; i < c->rot / 2; i++) {
        const float f = freq[i], wavelength = (float)(2 * PI) / f, slow = f / (float)c->factor;
        const float smooth = ((float)c->original / wavelength - (float)c->low_freq) / (float)(c->high_freq - c->low_freq);
        if (wavelength > longest)
            freq[i] = slow;
        else if (!(wavelength < shortest))
            freq[i] = (1.0f - smooth) * f / (float)c->factor + smooth * f;
    }
}

/* YaRN (Peng et al. 2023), section 3.2: dimensions that turn more than beta_fast times within the original context are kept, those that turn less
 * than beta_slow times are stretched, a straight ramp between. */
static void yarn(const RopeConfig *c, int64_t n, float *freq)
{
    (void)n;
    const double scale = (double)c->rot / (2 * log(c->theta));
    double       low = scale * log(c->original / (c->beta_fast * 2 * PI)), high = scale * log(c->original / (c->beta_slow * 2 * PI));
    low = fmax(c->truncate ? floor(low) : low, 0);
    high = fmin(c->truncate ? ceil(high) : high, (double)(c->rot - 1));
    if (low == high)
        high += 0.001;
    for (int64_t i = 0; i < c->rot / 2; i++) {
        const float p = period(c, c->theta, i), at = ((float)i - (float)low) / (float)(high - low);
        const float kept = 1.0f - fminf(fmaxf(at, 0.0f), 1.0f);
        freq[i] = 1.0f / ((float)c->factor * p) * (1.0f - kept) + 1.0f / p * kept;
    }
}

/* LongRoPE (Ding et al. 2024): one factor for each pair, of one list for texts within the original context, of another for longer ones. */
static void longrope(const RopeConfig *c, int64_t n, float *freq)
{
    const float *factor = n > (int64_t)c->original ? c->long_factor : c->short_factor;
    for (int64_t i = 0; i < c->rot / 2; i++)
        freq[i] = 1.0f / (factor[i] * period(c, c->theta, i));
}

/* n: the length of the text, for those that ask for it. */
static const struct { void (*frequencies)(const RopeConfig *c, int64_t n, float *freq); bool by_length; } way[] = {
    [ROPE_DEFAULT] = { plain, false },  [ROPE_LINEAR] = { linear, false }, [ROPE_DYNAMIC] = { dynamic, true },
    [ROPE_LLAMA3] = { llama3, false },  [ROPE_YARN] = { yarn, false },     [ROPE_LONG] = { longrope, true },
};

void rope_frequencies(const RopeConfig *c, int64_t text_len, float *freq)
{
    way[c->kind].frequencies(c, text_len, freq);
}

bool rope_by_length(const ModelConfig *c)
{
    return way[c->rope[ROPE_GLOBAL].kind].by_length || way[c->rope[ROPE_LOCAL].kind].by_length;
}

bool rope_plans_differ(const ModelConfig *c, int64_t n, int64_t m)
{
    for (int s = 0; s < ROPE_SETS; s++) {
        const RopeConfig *r = &c->rope[s];
        const int64_t     border = (int64_t)r->original;
        if ((r->kind == ROPE_DYNAMIC && MAX(n, border) != MAX(m, border)) || (r->kind == ROPE_LONG && (n > border) != (m > border)))
            return true;
    }
    return false;
}

/* One row of a table: the angles of position p. */
static void table_row(const RopeConfig *c, const float *freq, int64_t p, float *cos_row, float *sin_row)
{
    for (int64_t i = 0; i < c->rot / 2; i++) {
        const float angle = (float)p * freq[i];
        cos_row[i] = (float)cos((double)angle) * (float)c->attention_factor;
        sin_row[i] = (float)sin((double)angle) * (float)c->attention_factor;
    }
}

/* Room for n rows on the backend, and the same on the host; NULL: no memory. */
static float *table_open(RopeTable *t, const RopeConfig *c, TArena *a, int64_t n)
{
    const int64_t dim[2] = { n, c->rot / 2 };
    *t = (RopeTable){ .cos = tarena_tensor(a, "rope.cos", DT_F32, 2, dim), .sin = tarena_tensor(a, "rope.sin", DT_F32, 2, dim), .rot = (int)c->rot };
    return t->cos && t->sin ? mem_alloc((size_t)(2 * n * dim[1]) * sizeof(float)) : NULL;
}

static void table_close(RopeTable *t, TArena *a, float *host)
{
    const int64_t n = tensor_numel(t->cos);
    a->be->upload(a->be, t->cos->data, host, (size_t)n * sizeof *host);
    a->be->upload(a->be, t->sin->data, host + n, (size_t)n * sizeof *host);
    free(host);
}

/* Which of the sets a model turns by: the local one only where a layer asks for it. */
static bool set_used(const Model *m, int set)
{
    bool used = set == ROPE_GLOBAL;
    for (int64_t i = 0; i < m->cfg.layers; i++)
        used |= set == ROPE_LOCAL && m->cfg.layer[i] & LAYER_LOCAL_ROPE;
    return used;
}

int model_reserve_positions(Model *m, int64_t n, Err *e)
{
    float freq[ROPE_PAIRS_MAX];
    if (n > m->cfg.max_positions && m->fam->pos == POS_LEARNED)
        return err_set(e, ERR_ARG, "%s: a text of %lld tokens was asked for, the model has positions for %lld", m->path, (long long)n,
                       (long long)m->cfg.max_positions);
    if (n <= m->positions)
        return 0;
    if (m->fam->pos == POS_ROPE && !rope_by_length(&m->cfg)) {
        tarena_release(&m->rope_arena);
        tarena_init(&m->rope_arena, m->be);
        for (int s = 0; s < ROPE_SETS; s++) {
            const RopeConfig *c = &m->cfg.rope[s];
            if (!set_used(m, s))
                continue;
            float *host = table_open(&m->rope[s], c, &m->rope_arena, n);
            if (!host) {
                tarena_failed(&m->rope_arena, e);
                return err_wrap(e, "rotary tables for %lld positions", (long long)n);
            }
            rope_frequencies(c, n, freq);
            for (int64_t p = 0; p < n; p++)
                table_row(c, freq, p, host + p * (c->rot / 2), host + (n + p) * (c->rot / 2));
            table_close(&m->rope[s], &m->rope_arena, host);
        }
    }
    m->positions = n;
    return 0;
}

/* Tables of this step alone, one row for each token: segment i is of a text of plan[i] tokens, of which it holds the last nq[i] of nk[i]. */
static void step_tables(Step *s, const Model *m, TArena *a, const int32_t *plan)
{
    const AttnShape *g = &s->attn;
    const int64_t    n = tensor_numel(s->ids);
    float            freq[ROPE_PAIRS_MAX];
    Tensor          *row = tarena_tensor(a, "rope.row", DT_I32, 1, &n);
    int32_t         *number = mem_alloc((size_t)MAX(n, 1) * sizeof *number);
    for (int32_t i = 0; i < n; i++)
        number[i] = i;
    if (row)
        m->be->upload(m->be, row->data, number, (size_t)n * sizeof *number);
    s->rope_row = row;
    free(number);
    for (int set = 0; set < ROPE_SETS; set++) {
        const RopeConfig *c = &m->cfg.rope[set];
        const int64_t     half = c->rot / 2;
        float            *host = set_used(m, set) ? table_open(&s->rope[set], c, a, n) : NULL;
        for (int i = 0; host && i < g->n_seg; i++) {
            rope_frequencies(c, plan[i], freq);
            for (int32_t k = 0; k < g->nq[i]; k++)
                table_row(c, freq, g->nk[i] - g->nq[i] + k, host + (g->q0[i] + k) * half, host + (n + g->q0[i] + k) * half);
        }
        if (host)
            table_close(&s->rope[set], a, host);
    }
}

static void begin(Step *s, const Model *m, const Tensor *ids, const Tensor *pos, int n_seg, const int32_t *start, const int32_t *len)
{
    *s = (Step){ .ids = ids, .pos = pos, .rope_row = pos };
    s->attn = (AttnShape){ .n_seg = n_seg, .q0 = start, .nq = len, .k0 = start, .nk = len, .heads = (int)m->cfg.heads,
                           .kv_heads = (int)m->cfg.kv_heads, .head_dim = (int)m->cfg.head_dim, .scale = m->cfg.attn_scale,
                           .softcap = m->cfg.attn_softcap };
    memcpy(s->rope, m->rope, sizeof s->rope);
}

void step_init(Step *s, const Model *m, TArena *a, const Tensor *ids, const Tensor *pos, int n_seg, const int32_t *start, const int32_t *len)
{
    begin(s, m, ids, pos, n_seg, start, len);
    if (rope_by_length(&m->cfg))
        step_tables(s, m, a, len);
}

void step_init_cached(Step *s, const Model *m, TArena *a, const Tensor *ids, const Tensor *pos, int n_seg, const int32_t *start, const int32_t *len,
                      KvCache *kv, const int32_t *k0, const int32_t *nk, const int32_t *plan)
{
    begin(s, m, ids, pos, n_seg, start, len);
    s->kv = kv;
    s->attn.k0 = k0;
    s->attn.nk = nk;
    if (rope_by_length(&m->cfg))
        step_tables(s, m, a, plan);
}
