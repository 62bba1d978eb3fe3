/* op_lab.c - boxes with guards, and what may be asked of them after a run. */
#include "tensor/op_lab.h"
#include "base/mem.h"
#include "tensor/inspect.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define GUARD_BYTES 64
#define GUARD_BYTE  0x5A /* as floats 1.5e16: read into a sum it ruins the sum; added to, it changes */

#define POOL 65521 /* a prime, so that repeats never fall into step with rows */

/* From what the row says (FNV-1a) and not from its place: a new row leaves the numbers of the others alone. */
static uint64_t case_seed(const OpCase *c)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < sizeof *c; i++)
        h = (h ^ ((const unsigned char *)c)[i]) * 1099511628211u;
    return h >> 32;
}

void lab_init(Lab *l, const OpCase *c, Backend *be)
{
    uint64_t seed = case_seed(c);
    *l = (Lab){ .c = c, .be = be, .rng = rng_at(7, RNG_TEST, 1 + seed, 0), .drawn = (int64_t)(seed % POOL) };
}

void lab_release(Lab *l)
{
    for (int i = 0; i < l->n; i++) {
        l->be->release(l->be, l->box[i].raw, l->box[i].nbytes);
        free(l->box[i].before);
    }
}

/* Normal numbers are dear to draw and the labs want many millions: drawn once, read round and round. */
static double pool_at(int64_t i)
{
    static float pool[POOL];
    static bool  full;
    Rng rng = rng_at(7, RNG_TEST, 0, 0);
    if (!full)
        rng_normals(&rng, pool, POOL);
    full = true;
    return (double)pool[i % POOL];
}

static float draw(Lab *l)
{
    double v = (l->c->sigma > 0 ? l->c->sigma : 1.0) * pool_at(l->drawn++);
    if (l->c->act == ACT_SWIGLU_CLAMPED && fabs(fabs(v) - 7) < 0.3) /* a kink there, as below */
        v *= 1.1;
    /* relu has a kink at 0, its square one in the slope, where finite differences mean nothing */
    return (float)(l->c->act == ACT_RELU || l->c->act == ACT_RELU_SQUARED ? v + copysign(0.2, v) : v);
}

static Box *box_new(Lab *l, const char *name, BoxKind kind, DType type, int rank, int64_t rows, int64_t cols, int pad)
{
    assert_true(l->n < LAB_BOXES_MAX);
    Box    *b = &l->box[l->n++];
    int64_t block = dtype_block(type);
    pad = (int)((pad + block - 1) / block * block);
    *b = (Box){ .name = name, .kind = kind };
    b->t = (Tensor){ .name = name, .dtype = type, .rank = rank, .dim = { rows, cols }, .ld = cols + pad, .be = l->be };
    if (rank == 1)
        b->t.dim[0] = cols;
    b->first = GUARD_BYTES + dtype_bytes(type, pad / block / 2 * block); /* a slice of columns starts anywhere, or with any block */
    b->nbytes = b->first + dtype_bytes(type, rows * b->t.ld) + GUARD_BYTES;
    b->raw = l->be->alloc(l->be, b->nbytes);
    assert_non_null(b->raw);
    b->t.data = b->raw + b->first;
    b->before = mem_alloc(b->nbytes);
    memset(b->before, GUARD_BYTE, b->nbytes);
    return b;
}

static char *host_row(const Box *b, int64_t r)
{
    return b->before + b->first + dtype_bytes(b->t.dtype, r * b->t.ld);
}

static Tensor *box_fill(Lab *l, Box *b)
{
    int64_t rows = tensor_rows(&b->t), cols = tensor_cols(&b->t);
    float  *v = mem_alloc((size_t)cols * sizeof *v);
    uint16_t *rounded = mem_alloc((size_t)cols * sizeof *rounded);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t c = 0; c < cols; c++)
            v[c] = b->kind == BOX_SET ? NAN : draw(l);
        if (l->bf16) {
            dtype_from_f32(rounded, v, DT_BF16, cols);
            dtype_to_f32(v, rounded, DT_BF16, cols);
        }
        dtype_from_f32(host_row(b, r), v, b->t.dtype, cols);
    }
    free(v);
    free(rounded);
    l->be->upload(l->be, b->raw, b->before, b->nbytes);
    return &b->t;
}

Tensor *lab_mat(Lab *l, const char *name, BoxKind kind, int64_t rows, int64_t cols)
{
    return box_fill(l, box_new(l, name, kind, DT_F32, 2, rows, cols, l->c->pad));
}

Tensor *lab_weight(Lab *l, const char *name, int64_t rows, int64_t cols)
{
    return box_fill(l, box_new(l, name, BOX_IN, l->c->stored, 2, rows, cols, l->c->pad));
}

Tensor *lab_vec(Lab *l, const char *name, BoxKind kind, int64_t n)
{
    return box_fill(l, box_new(l, name, kind, DT_F32, 1, 1, n, 0));
}

Tensor *lab_col(Lab *l, const char *name, BoxKind kind, int64_t rows, int64_t cols)
{
    return box_fill(l, box_new(l, name, kind, DT_F32, 2, rows, cols, 0));
}

Tensor *lab_ids(Lab *l, const char *name, int64_t n, int64_t limit)
{
    Box *b = box_new(l, name, BOX_IN, DT_I32, 1, 1, n, 0);
    for (int64_t i = 0; i < n; i++)
        ((int32_t *)(void *)(b->before + b->first))[i] = (int32_t)rng_below(&l->rng, (uint64_t)limit);
    l->be->upload(l->be, b->raw, b->before, b->nbytes);
    return &b->t;
}

Tensor *lab_numbers(Lab *l, const char *name, BoxKind kind, int64_t rows, int64_t cols, const int32_t *v)
{
    Box *b = box_new(l, name, kind, DT_I32, 2, rows, cols, 0);
    for (int64_t i = 0; i < rows * cols; i++)
        ((int32_t *)(void *)(b->before + b->first))[i] = v ? v[i] : -1;
    l->be->upload(l->be, b->raw, b->before, b->nbytes);
    return &b->t;
}

/* Finite differences must not change who is picked: 0.4 apart, where the probe moves one by 1/8. */
Tensor *lab_logits(Lab *l, int64_t rows, int64_t cols)
{
    Box *b = box_new(l, "logits", BOX_IN, DT_F32, 2, rows, cols, l->c->pad);
    for (int64_t r = 0; r < rows; r++) {
        float *z = (float *)(void *)host_row(b, r);
        for (int64_t i = 0; i < cols; i++)
            z[i] = 0.4f * (float)(i - cols / 2);
        for (int64_t i = cols - 1; i > 0; i--) {
            int64_t k = (int64_t)rng_below(&l->rng, (uint64_t)i + 1);
            float   z_i = z[i];
            z[i] = z[k];
            z[k] = z_i;
        }
    }
    l->be->upload(l->be, b->raw, b->before, b->nbytes);
    return &b->t;
}

static Box *box_of(Lab *l, const Tensor *t)
{
    int i = 0;
    while (&l->box[i].t != t)
        assert_true(++i < l->n);
    return &l->box[i];
}

Tensor *lab_exact(Lab *l, Tensor *t)
{
    box_of(l, t)->exact = true;
    return t;
}

Tensor *lab_poison_gaps(Lab *l, Tensor *t)
{
    Box *b = box_of(l, t);
    for (int s = 0; s < l->c->n_seg; s++)
        for (int64_t r = l->k0[s] + l->nk[s]; r < l->k0[s] + l->nk[s] + l->c->key_gap; r++)
            memset(host_row(b, r), 0xFF, (size_t)tensor_cols(t) * sizeof(float)); /* NaN */
    l->be->upload(l->be, b->raw, b->before, b->nbytes);
    return t;
}

#define ROPE_POSITIONS 40

void lab_rope(Lab *l)
{
    int half = l->c->rot / 2;
    Box *c = box_new(l, "cos", BOX_IN, DT_F32, 2, ROPE_POSITIONS, half, 0), *s = box_new(l, "sin", BOX_IN, DT_F32, 2, ROPE_POSITIONS, half, 0);
    for (int p = 0; p < ROPE_POSITIONS; p++)
        for (int i = 0; i < half; i++) {
            double angle = p * pow(10000.0, -2.0 * i / l->c->rot), f = l->c->rope_factor > 0 ? l->c->rope_factor : 1.0;
            ((float *)(void *)host_row(c, p))[i] = (float)(f * cos(angle));
            ((float *)(void *)host_row(s, p))[i] = (float)(f * sin(angle));
        }
    l->be->upload(l->be, c->raw, c->before, c->nbytes);
    l->be->upload(l->be, s->raw, s->before, s->nbytes);
    l->rope = (RopeTable){ .cos = &c->t, .sin = &s->t, .rot = l->c->rot };
    l->index = lab_ids(l, "pos", l->c->T, ROPE_POSITIONS);
}

void lab_attn(Lab *l)
{
    const OpCase *c = l->c;
    for (int s = 0; s < c->n_seg; s++) {
        l->q0[s] = l->q_rows;
        l->k0[s] = l->k_rows;
        l->nq[s] = c->nq[s];
        l->nk[s] = c->nk[s];
        l->q_rows += c->nq[s];
        l->k_rows += c->nk[s] + c->key_gap;
    }
    l->attn = (AttnShape){ .n_seg = c->n_seg, .q0 = l->q0, .nq = l->nq, .k0 = l->k0, .nk = l->nk, .heads = c->heads,
                           .kv_heads = c->kv_heads, .head_dim = c->head_dim, .scale = (float)(1.0 / sqrt(c->head_dim)), .window = c->window,
                           .softcap = c->softcap };
}

void lab_check_guards(const Lab *l)
{
    for (int i = 0; i < l->n; i++) {
        const Box *b = &l->box[i];
        char *after = mem_alloc(b->nbytes);
        l->be->download(l->be, after, b->raw, b->nbytes);
        size_t row = dtype_bytes(b->t.dtype, tensor_cols(&b->t));
        if (b->kind != BOX_IN) /* what the kernel was asked to write is allowed to differ */
            for (int64_t r = 0; r < tensor_rows(&b->t); r++) {
                size_t off = b->first + dtype_bytes(b->t.dtype, r * b->t.ld);
                memcpy(after + off, b->before + off, row);
            }
        bool clean = !memcmp(after, b->before, b->nbytes);
        for (size_t k = 0; !clean && k < b->nbytes; k++)
            if (after[k] != b->before[k])
                fail_msg("%s, case %d: byte %td of \"%s\" (relative to its first element) was written and is not the kernel's",
                         l->be->name, (int)(l->c - op_cases), (ptrdiff_t)k - (ptrdiff_t)b->first, b->name);
        free(after);
    }
}

static double box_difference(const Box *got, const Box *want)
{
    int64_t n = tensor_numel(&want->t);
    float  *v = mem_alloc((size_t)n * sizeof *v);
    tensor_get(&want->t, v);
    double top = 0;
    for (int64_t k = 0; k < n; k++)
        top = fmax(top, fabs(v[k]));
    double off = tensor_diff(&got->t, v).max_abs;
    free(v);
    return off == 0 ? 0 : got->exact || top == 0 ? INFINITY : off / top;
}

double lab_difference(const Lab *got, const Lab *want, double allowed, const char *who)
{
    assert_int_equal(got->n, want->n);
    double worst = 0;
    for (int i = 0; i < got->n; i++) {
        double d = got->box[i].kind == BOX_IN ? 0 : box_difference(&got->box[i], &want->box[i]);
        worst = fmax(worst, d);
        if (!(d <= allowed))
            print_error("%s, case %d: \"%s\" differs from ref by %.3g of its largest element, allowed %.2g\n", who, (int)(got->c - op_cases),
                        got->box[i].name, d, allowed);
    }
    if (fabs(got->scalar - want->scalar) > 1e-12 * fabs(want->scalar)) {
        print_error("%s, case %d: sumsq is %.17g, ref says %.17g\n", who, (int)(got->c - op_cases), got->scalar, want->scalar);
        worst = INFINITY;
    }
    return worst;
}

bool lab_same_bits(const Lab *a, const Lab *b, const char **where)
{
    *where = "sumsq";
    bool same = !memcmp(&a->scalar, &b->scalar, sizeof a->scalar);
    for (int i = 0; i < a->n && same; i++) {
        *where = a->box[i].name;
        char *x = mem_alloc(a->box[i].nbytes), *y = mem_alloc(a->box[i].nbytes);
        a->be->download(a->be, x, a->box[i].raw, a->box[i].nbytes);
        b->be->download(b->be, y, b->box[i].raw, b->box[i].nbytes);
        same = !memcmp(x, y, a->box[i].nbytes);
        free(x);
        free(y);
    }
    return same;
}
