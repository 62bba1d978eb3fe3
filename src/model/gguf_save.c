/* gguf_save.c - Model -> a GGUF file for llama.cpp, tensor after tensor: merged with an adapter if asked, turned into llama.cpp's layout, quantised
 * row by row over all threads, written. At most a few copies of the largest tensor are in memory.
 * Main struct: Out, one tensor of the file and the weights it is made of (several where GGUF stacks experts). */
#include "model/gguf_save.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/thread.h"
#include "formats/gguf.h"
#include "model/gguf_model.h"
#include "model/model_int.h"
#include "tokenizer/to_gguf.h"

#define QUANT_VERSION 2     /* general.quantization_version: of the block formats */
#define ROWS_A_PIECE 16
#define F16_LARGEST 65504.0f

typedef struct Out {
    char    *name;
    DType    dtype;
    GgufTurn turn;
    int64_t  rows, cols;    /* of one part, as GGUF has them */
    int      rank;          /* of one part */
    const Slot **slot;      /* [parts] */
    int      parts;
    bool     stack;
} Out;

typedef struct Save {
    const Model    *m;
    const Adapter  *ad;
    const GgufArch *a;
    GgufMix         mix;
    GgufShape       shape;
    Out            *out;
    int             n, cap;
    Arena           names;
    TArena          scratch;
    Pool           *pool;
    float          *buf, *turned;
    char           *bytes;
} Save;

static int new_out(Save *s, char *name)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->out = mem_realloc(s->out, (size_t)s->cap, sizeof *s->out);
    }
    s->out[s->n] = (Out){ .name = name };
    return s->n++;
}

static void add_part(Out *o, const Slot *slot)
{
    o->slot = mem_realloc(o->slot, (size_t)o->parts + 1, sizeof *o->slot);
    o->slot[o->parts++] = slot;
}

static int plan_slot(Save *s, Map *by_name, const Slot *slot, Err *e)
{
    char            hf[512];
    int64_t         layer, expert, at;
    bool            bias;
    snprintf(hf, sizeof hf, "%s%s", slot->prefixed ? s->m->fam->prefix : "", slot->name);
    const GgufName *name = gguf_name_by_hf(s->a, str_of(hf), &layer, &expert, &bias);
    if (!name)
        return err_set(e, ERR_INPUT, "%s: llama.cpp's %s models have no place for %s; export safetensors instead", s->m->path, s->a->name, hf);
    char *gguf = gguf_name_fill(&s->names, name->gguf, layer, expert, bias ? ".bias" : ".weight");
    if (!map_get(by_name, str_of(gguf), &at)) {
        at = new_out(s, gguf);
        map_put(by_name, str_of(gguf), at);
        Out          *o = &s->out[at];
        const bool    file_turned = slot->transposed != (name->turn == TURN_TRANSPOSE); /* rows of the file are columns of GGUF */
        o->turn = bias && (name->turn == TURN_TRANSPOSE || name->turn == TURN_ADD_ONE) ? TURN_NONE : name->turn;
        o->rank = slot->rank;
        o->rows = slot->rank == 2 ? slot->dim[file_turned ? 1 : 0] : 1;
        o->cols = slot->rank == 2 ? slot->dim[file_turned ? 0 : 1] : slot->dim[0];
        o->stack = expert >= 0;
        const bool full = slot->rank < 2 || name->full || bias || str_ends(str_of(gguf), "_norm.weight");
        o->dtype = gguf_mix_choose(&s->mix, gguf, layer, o->cols, full);
    }
    if (s->out[at].stack && expert != s->out[at].parts)
        return err_set(e, ERR_INPUT, "%s: %s is not in the order of the experts", s->m->path, hf);
    add_part(&s->out[at], slot);
    return 0;
}

/* The embedding once more, as the head, where llama.cpp wants both. */
static void plan_head(Save *s)
{
    for (int i = 0; i < s->n; i++)
        if (!strcmp(s->out[i].name, "token_embd.weight")) {
            const int at = new_out(s, arena_strdup(&s->names, "output.weight"));
            s->out[at].rank = 2;
            s->out[at].rows = s->out[i].rows;
            s->out[at].cols = s->out[i].cols;
            s->out[at].dtype = gguf_mix_choose(&s->mix, "output.weight", -1, s->out[i].cols, false);
            add_part(&s->out[at], s->out[i].slot[0]);
            return;
        }
}

static int plan(Save *s, Err *e)
{
    Map *by_name = map_new();
    int  rc = 0;
    for (int i = 0; i < s->m->slots->n && !rc; i++)
        rc = plan_slot(s, by_name, &s->m->slots->p[i], e);
    if (!rc && adapter_unties(s->ad, s->m))
        rc = plan_slot(s, by_name, &s->m->slots->tied_head, e);
    else if (!rc && s->m->cfg.tied && !(s->a->can & GGUF_TIED))
        plan_head(s);
    map_free(by_name);
    return rc;
}

/* ---- data ---- */

static void turn(const Save *s, const Out *o, float *dst, const float *src)
{
    if (o->turn == TURN_TRANSPOSE) {
        for (int64_t i = 0; i < o->rows; i++)
            for (int64_t j = 0; j < o->cols; j++)
                dst[i * o->cols + j] = src[j * o->rows + i];
        return;
    }
    const int64_t width = o->rank == 2 ? o->cols : 1, n = o->rank == 2 ? o->rows : o->cols;
    for (int64_t i = 0; i < n; i++)
        memcpy(dst + gguf_turn_row(o->turn, &s->shape, i) * width, src + i * width, (size_t)width * sizeof *dst);
    for (int64_t i = 0; o->turn == TURN_ADD_ONE && i < n * width; i++)
        dst[i] += 1;
}

typedef struct Narrow { const Out *o; const float *src; char *dst; int64_t rows, cols; } Narrow;

static void narrow_piece(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const Narrow *n = ctx;
    const int64_t from = piece * ROWS_A_PIECE, rows = MIN((int64_t)ROWS_A_PIECE, n->rows - from);
    dtype_from_f32(n->dst + dtype_bytes(n->o->dtype, from * n->cols), n->src + from * n->cols, n->o->dtype, rows * n->cols);
}

static int check_range(const Out *o, const float *v, int64_t n, Err *e)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(v[i]) || (o->dtype == DT_F16 && fabsf(v[i]) > F16_LARGEST))
            return err_set(e, ERR_WORK, "%s would hold %g, which %s cannot; write BF16 instead", o->name, (double)v[i], dtype_name(o->dtype));
    return 0;
}

static int write_part(Save *s, GgufWriter *w, const Out *o, int part, Err *e)
{
    const int64_t n = o->rows * o->cols;
    const float  *v = NULL;
    int           rc = slot_merged(s->m, s->ad, o->slot[part], &s->scratch, s->buf, &v, e);
    if (rc)
        return rc;
    if (o->turn != TURN_NONE && o->turn != TURN_ROW) {
        turn(s, o, s->turned, v);
        v = s->turned;
    }
    if ((rc = check_range(o, v, n, e)))
        return rc;
    Narrow job = { o, v, s->bytes, o->rows, o->cols };
    parallel_for(s->pool, (o->rows + ROWS_A_PIECE - 1) / ROWS_A_PIECE, narrow_piece, &job);
    return gguf_write(w, s->bytes, dtype_bytes(o->dtype, n), e);
}

/* Factors of single frequencies, where the scaling is not said by keys. */
static int rope_tables(const Save *s, GgufWriter *w, bool declare, Err *e)
{
    const RopeConfig *r = &s->m->cfg.rope[ROPE_GLOBAL];
    const int64_t     n = r->rot / 2;
    float             f[ROPE_PAIRS_MAX];
    int               rc = 0;
    if (s->a->can & GGUF_POSITIONS || (r->kind != ROPE_LLAMA3 && r->kind != ROPE_LONG))
        return 0;
    const bool two = r->kind == ROPE_LONG && !gguf_single_factors(s->a, r);
    if (declare) {
        gguf_declare(w, two ? "rope_factors_long.weight" : "rope_freqs.weight", DT_F32, 1, &n);
        if (two)
            gguf_declare(w, "rope_factors_short.weight", DT_F32, 1, &n);
        return 0;
    }
    if (r->kind == ROPE_LONG)
        memcpy(f, r->long_factor, (size_t)n * sizeof *f);
    else
        gguf_llama3_factors(f, n, r->theta, r->factor, r->low_freq, r->high_freq, r->original);
    rc = gguf_write(w, f, (size_t)n * sizeof *f, e);
    return rc || !two ? rc : gguf_write(w, r->short_factor, (size_t)n * sizeof *f, e);
}

static int write_data(Save *s, GgufWriter *w, Err *e)
{
    int64_t largest = 1;
    size_t  bytes = 1;
    int     rc = rope_tables(s, w, true, e);
    for (int i = 0; i < s->n; i++) {
        const Out    *o = &s->out[i];
        const int64_t dim[3] = { o->parts, o->rows, o->cols };
        const int     skip = o->stack ? 0 : o->rank == 2 ? 1 : 2;
        gguf_declare(w, o->name, o->dtype, 3 - skip, dim + skip);
        largest = MAX(largest, o->rows * o->cols);
        bytes = MAX(bytes, dtype_bytes(o->dtype, o->rows * o->cols));
    }
    s->buf = mem_alloc((size_t)largest * 2 * sizeof *s->buf);
    s->turned = mem_alloc((size_t)largest * sizeof *s->turned);
    s->bytes = mem_alloc(bytes);
    if (!rc)
        rc = rope_tables(s, w, false, e);
    for (int i = 0; i < s->n && !rc; i++)
        for (int part = 0; part < s->out[i].parts && !rc; part++)
            rc = write_part(s, w, &s->out[i], part, e);
    return rc;
}

/* ---- the file ---- */

/* "1.2B", "135M", "260K": two digits at least, as the names of GGUF files have it. */
static void size_label(char *out, size_t n, int64_t count)
{
    static const struct { double unit; char letter; } units[] = { { 1e12, 'T' }, { 1e9, 'B' }, { 1e6, 'M' }, { 1e3, 'K' } };
    size_t i = 0;
    while (i + 1 < ARRAY_LEN(units) && (double)count < units[i].unit)
        i++;
    const double v = (double)count / units[i].unit;
    const int    whole = (int)rint(v), digits = whole >= 10 ? 2 : whole >= 1 ? 1 : 0;
    snprintf(out, n, "%.*f%c", 2 - digits, v, units[i].letter);
}

static void put_general(GgufWriter *w, const Save *s)
{
    char        label[32];
    const char *name = path_base(s->m->path);
    size_label(label, sizeof label, model_param_count(s->m));
    gguf_set_str(w, "general.architecture", str_of(s->a->name));
    gguf_set_str(w, "general.type", STR_LIT("model"));
    gguf_set_str(w, "general.name", str_of(name));
    gguf_set_str(w, "general.size_label", str_of(label));
    gguf_set_u32(w, "general.file_type", (uint32_t)s->mix.type->number);
    gguf_set_u32(w, "general.quantization_version", QUANT_VERSION);
}

static int find_arch(const Model *m, const GgufArch **a, Err *e)
{
    *a = gguf_arch_of_family(str_of(m->fam->hf));
    return *a ? 0 : err_set(e, ERR_INPUT, "%s: %s models cannot be written as GGUF; export safetensors instead", m->path, m->fam->hf);
}

/* A type whose blocks do not fit the model's rows is not what most of the file holds: that is said. */
static void note_misfits(const Save *s, StrBuf *notes)
{
    const int64_t block = dtype_block(s->mix.type->dtype);
    int           matrices = 0, misfits = 0;
    for (int i = 0; i < s->n; i++)
        if (s->out[i].dtype != DT_F32) {
            matrices++;
            misfits += s->out[i].cols % block != 0;
        }
    if (misfits && s->mix.type->dtype != DT_F32)
        strbuf_addf(notes, "%d of %d matrices have rows that are no whole number of %s's blocks of %lld; they are stored in a type of smaller blocks or in F16, "
                    "as llama.cpp does, and the file is larger for it\n", misfits, matrices, s->mix.type->name, (long long)block);
}

int gguf_save(const Model *m, const Adapter *adapter, const Json *tokenizer, const Json *tokenizer_config, const char *path, const GgufType *type,
              int threads, StrBuf *notes, Err *e)
{
    Save        s = { .m = m, .ad = adapter, .shape = { m->cfg.heads, m->cfg.kv_heads, m->cfg.head_dim } };
    GgufWriter *w = NULL;
    int         rc = find_arch(m, &s.a, e);
    if (rc)
        return rc;
    s.mix = (GgufMix){ .type = type, .arch = s.a->name, .layers = m->cfg.layers, .heads = m->cfg.heads, .kv_heads = m->cfg.kv_heads,
                       .experts = gguf_experts(m), .tied = m->cfg.tied && (s.a->can & GGUF_TIED) && !adapter_unties(adapter, m) };
    if (adapter_unties(adapter, m) && (s.a->can & GGUF_ONLY_TIED))
        return err_set(e, ERR_INPUT, "%s: llama.cpp's %s models have no head of their own, and the adapter brings one; export safetensors instead", m->path,
                       s.a->name);
    tarena_init(&s.scratch, m->be);
    if ((rc = plan(&s, e)) || (rc = gguf_create(&w, path, e)))
        goto done;
    put_general(w, &s);
    note_misfits(&s, notes);
    if ((rc = gguf_put_config(w, m, s.a, notes, e)) ||
        (tokenizer && (rc = tok_gguf_meta(tokenizer, tokenizer_config, m->cfg.vocab, (Str){ 0 }, w, m->path, e))))
        goto done;
    s.pool = pool_new(threads);
    rc = write_data(&s, w, e);
    if (!rc)
        rc = gguf_commit(&w, e);
done:
    gguf_abort(&w);
    pool_free(s.pool);
    for (int i = 0; i < s.n; i++)
        free(s.out[i].slot);
    free(s.out);
    free(s.buf);
    free(s.turned);
    free(s.bytes);
    tarena_release(&s.scratch);
    arena_release(&s.names);
    return rc;
}
