/* test_ops.c - the rows of op_cases.c, driven three ways.
 * 1. Gradients: every op on `ref` through the tape, analytic against central differences with Richardson extrapolation.
 * 2. `cpu` against `ref`: every backend function, at every row's shape, between guard bytes, for every instruction set of this machine.
 * 3. `cpu` with 1, 2 and 4 threads: the same bits. A weight in its stored type and the F32 numbers it means: the same bits.
 * 4. `cpu` computing in bf16: products of numbers that are bf16 already have nothing to round, so they must agree with `ref` as those of f32 do;
 *    everything that is no product has the bits of f32. The tiles of AMX run here as their emulation (src/tensor/cpu/amx.h), and as themselves where
 *    the machine has them.
 * To add an op: op_kits.c. */
#include "tensor/cpu/cpu.h"
#include "tensor/cpu/cpu_int.h"
#include "tensor/op_kits.c"

/* max|analytic - numeric| / max(|analytic|, rms of the tensor's gradient). A mistake of 1e-3 in one element is ten times this. */
#define GRAD_TOL 1e-4

static void every_op_has_cases(void **state)
{
    (void)state;
    for (int op = 0; op < OP_COUNT; op++) {
        int with_grad = 0;
        for (int i = 0; i < op_cases_count; i++)
            with_grad += op_cases[i].op == op && !op_cases[i].no_grad;
        if (!with_grad || !kits[op].setup || !kits[op].call || !kits[op].kernels)
            fail_msg("op %s has no gradient case in tests/tensor/op_cases.c or no kit in test_ops.c", op_name((OpKind)op));
    }
}

/* ---- 1: gradients ---- */

typedef struct Probe { Lab lab; TArena arena; float *coef; } Probe; /* loss = sum coef * y, in double */

static double loss_of(Probe *p)
{
    TArenaMark mark = tarena_mark(&p->arena);
    Tape t;
    tape_init(&t, p->lab.be, &p->arena, false);
    Tensor *y = kits[p->lab.c->op].call(&p->lab, &t);
    assert_int_equal(t.n, 0);
    int64_t n = tensor_numel(y);
    float *v = mem_alloc((size_t)n * sizeof *v);
    tensor_get(y, v);
    double s = 0;
    for (int64_t i = 0; i < n; i++)
        s += (double)p->coef[i] * v[i];
    s += p->lab.c->aux * route_aux(&p->lab.route);
    free(v);
    tape_release(&t);
    tarena_rewind(&p->arena, mark);
    return s;
}

/* (L(x+h) - L(x-h)) / 2h, with the steps that f32 could really store. */
static double slope(Probe *p, float *x, double h)
{
    float keep = *x;
    *x = (float)(keep + h);
    double up = *x, high = loss_of(p);
    *x = (float)(keep - h);
    double down = *x, low = loss_of(p);
    *x = keep;
    return (high - low) / (up - down);
}

/* Error of order h^4. The step balances it against the f32 rounding of y, about 1e-7 / h. */
static double richardson(Probe *p, float *x)
{
    const double h = 1.0 / 8;
    return (4 * slope(p, x, h / 2) - slope(p, x, h)) / 3;
}

static bool leaf_trains(const Lab *l, int i)
{
    return l->leaf[i] && !(l->c->frozen >> i & 1) && l->leaf[i]->dtype == DT_F32;
}

#define PROBES_MAX 80 /* elements looked at per tensor, spread evenly */

static double check_case_gradients(const OpCase *c, Backend *ref)
{
    Probe p = { 0 };
    tarena_init(&p.arena, ref);
    lab_init(&p.lab, c, ref);
    kits[c->op].setup(&p.lab);
    bool any = false;
    for (int i = 0; i < 5; i++)
        if (leaf_trains(&p.lab, i))
            any = p.lab.leaf[i]->wants_grad = true;

    Tape t;
    tape_init(&t, ref, &p.arena, true);
    Tensor *y = kits[c->op].call(&p.lab, &t);
    assert_true(y->wants_grad == any);
    assert_true(any || t.n == 0);
    int64_t n = tensor_numel(y);
    p.coef = mem_alloc((size_t)n * sizeof *p.coef);
    if (p.lab.coef) {
        tensor_get(p.lab.coef, p.coef);
    } else {
        rng_normals(&p.lab.rng, p.coef, n);
        if (any)
            tensor_put(tape_grad(&t, y), p.coef);
    }
    tape_backward(&t);
    assert_int_equal(t.n, 0);

    double worst = 0;
    for (int i = 0; i < 5; i++) {
        Tensor *x = p.lab.leaf[i];
        if (!x)
            continue;
        if (!x->wants_grad) {
            assert_null(x->grad);
            continue;
        }
        assert_non_null(x->grad);
        assert_true(tensor_same_shape(x, x->grad));
        int64_t count = tensor_numel(x), cols = tensor_cols(x), stride = MAX(1, count / PROBES_MAX);
        double rms = sqrt(ref->sumsq(ref, x->grad) / (double)count);
        for (int64_t k = 0; k < count; k += stride) {
            float *elem = (float *)x->data + k / cols * x->ld + k % cols;
            double got = ((float *)x->grad->data)[k / cols * x->grad->ld + k % cols];
            double want = isnan(*elem) ? 0 : richardson(&p, elem); /* NaN: a row that nobody may read */
            double err = fabs(got - want) / fmax(fmax(fabs(got), rms), 0.02); /* rounding of y alone moves `want` by 1e-6 */
            worst = fmax(worst, err);
            if (!(err <= GRAD_TOL))
                fail_msg("%s, case %d: d(loss)/d(%s[%lld]) is %.9g, finite differences say %.9g (off by %.2g, allowed %.2g)", case_op(c),
                         (int)(c - op_cases), x->name, (long long)k, got, want, err, GRAD_TOL);
        }
    }
    free(p.coef);
    tape_release(&t);
    lab_release(&p.lab);
    tarena_release(&p.arena);
    return worst;
}

static void gradients_match_finite_differences(void **state)
{
    (void)state;
    Backend *ref = backend_open("ref", 1, NULL);
    for (int op = 0; op < OP_COUNT; op++) {
        double worst = 0;
        for (int i = 0; i < op_cases_count; i++)
            if (op_cases[i].op == op && !op_cases[i].no_grad)
                worst = fmax(worst, check_case_gradients(&op_cases[i], ref));
        print_message("gradient %-11s worst %.1e of %.0e\n", op_name((OpKind)op), worst, GRAD_TOL);
    }
    ref->close(ref);
}

/* ---- 2 and 3: the fast backend ---- */

static void ref_stays_inside_its_buffers(void **state)
{
    (void)state;
    Backend *ref = backend_open("ref", 1, NULL);
    for (int i = 0; i < op_cases_count; i++) {
        Lab l;
        run_kernels(&l, &op_cases[i], ref, false);
        lab_release(&l);
    }
    ref->close(ref);
}

/* From BF16_SETS on they compute in bf16. */
static const char *const instruction_sets[] = { "base", "avx2", "avx512", "avx512vnni", "avx512bf16", "amxbf16", "amxbf16 emulated" };
#define VNNI_SET  3
#define BF16_SETS 4
#if defined(__x86_64__)
extern const Tiles tiles_amxbf16_emulated;
#define EMULATED &tiles_amxbf16_emulated
#else
#define EMULATED NULL
#endif

/* NULL, and says so, when the machine lacks the set. */
static Backend *open_cpu(const char *isa, int threads)
{
    Err e = { 0 };
    const bool emulated = strstr(isa, "emulated");
    Backend *be = backend_cpu_open_isa(emulated ? "avx512bf16" : isa, threads, &e); /* it packs with the instructions of AVX512-BF16 */
    if (!be)
        print_message("SKIPPED: cpu with %s: %s\n", isa, e.text);
    else if (strstr(isa, "bf16"))
        be->compute = COMPUTE_BF16;
    if (be && emulated)
        cpu_of(be)->tiles[COMPUTE_BF16] = EMULATED;
    return be;
}

/* A product of few rows with a blocked type rounds each number of x to one of 65,535 steps of its run of 32: by up to 2^-16 of the run's largest, on average
 * 2^-15 / sqrt(12). For normal numbers the largest of a run is 2.1 times their mean size, and the largest y 2 to 3 times that of y, so y errs by
 * 2^-15 / sqrt(12) * 2.1 / 2.5 = 0.75e-5 of its largest element on average, and four times that is met among thousands: at most 2^-14. The bound
 * itself, element by element, is held by few_rows_keep_their_bound. */
#define FEW_TOL 0x1p-14

static double slack_of(const OpCase *c)
{
    bool few = c->op == OP_LINEAR && c->T <= 4 && dtype_block(c->stored) > 1;
    return few ? FEW_TOL / CPU_TOL : c->slack > 0 ? c->slack : 1.0;
}

static void cpu_matches_ref(void **state)
{
    (void)state;
    enum { SETS = BF16_SETS };
    Backend *ref = backend_open("ref", 1, NULL), *cpu[SETS];
    double   worst[SETS][OP_COUNT + 1] = { { 0 } };
    bool     good = true;
    for (int k = 0; k < SETS; k++)
        cpu[k] = open_cpu(instruction_sets[k], 2);
    for (const OpCase *c = op_cases; c < op_cases + op_cases_count; c++) {
        double slack = slack_of(c);
        Lab want, got;
        run_kernels(&want, c, ref, false);
        for (int k = 0; k < SETS; k++) {
            if (!cpu[k])
                continue;
            char who[40];
            snprintf(who, sizeof who, "%s, %s", instruction_sets[k], case_op(c));
            run_kernels(&got, c, cpu[k], false);
            double d = lab_difference(&got, &want, CPU_TOL * slack, who) / slack;
            worst[k][c->op] = fmax(worst[k][c->op], d);
            good &= d <= CPU_TOL;
            lab_release(&got);
        }
        lab_release(&want);
    }
    for (int k = 0; k < SETS; k++) {
        if (!cpu[k])
            continue;
        for (int op = 0; op <= CASE_SERVICES; op++)
            print_message("%-6s - ref %-11s worst %.1e of %.0e\n", instruction_sets[k], op == CASE_SERVICES ? "SERVICES" : op_name((OpKind)op),
                          worst[k][op], CPU_TOL);
        cpu[k]->close(cpu[k]);
    }
    ref->close(ref);
    assert_true(good);
}

/* One case on one set; `want` from ref or, where nothing is multiplied, from f32. Returns the difference. */
static double check_bf16_case(const OpCase *c, const Lab *want, Backend *cpu, const char *isa)
{
    const double allowed = c->op == OP_LINEAR ? CPU_TOL : BF16_TOL, slack = c->slack > 0 ? c->slack : 1.0;
    const char  *where = "";
    double       d = 0;
    Lab          got;
    run_kernels(&got, c, cpu, true);
    if (is_product((OpKind)c->op)) {
        d = lab_difference(&got, want, allowed * slack, isa) / slack;
        if (!(d <= allowed))
            fail_msg("%s, %s, case %d: off by %.2g of the largest, allowed %.2g", isa, case_op(c), (int)(c - op_cases), d, allowed);
    } else if (!lab_same_bits(&got, want, &where)) {
        fail_msg("%s, %s, case %d: \"%s\" has other bits when products are computed in bf16", isa, case_op(c), (int)(c - op_cases), where);
    }
    lab_release(&got);
    return d;
}

static void bf16_products_match_ref(void **state)
{
    (void)state;
    enum { SETS = ARRAY_LEN(instruction_sets) - BF16_SETS };
    Backend *ref = backend_open("ref", 1, NULL), *cpu[SETS], *plain = NULL;
    double   linear[SETS] = { 0 }, head[SETS] = { 0 };
    int      products = 0;
    for (int k = 0; k < SETS; k++)
        if ((cpu[k] = open_cpu(instruction_sets[BF16_SETS + k], 2)) && !plain)
            plain = open_cpu("avx512", 2);
    for (const OpCase *c = op_cases; plain && c < op_cases + op_cases_count; c++) {
        const bool product = is_product((OpKind)c->op);
        Lab        want;
        if (product && c->stored != DT_F32 && c->stored != DT_BF16)
            continue; /* see stored_type_does_not_change_bits */
        run_kernels(&want, c, product ? ref : plain, true);
        for (int k = 0; k < SETS; k++)
            if (cpu[k] && (product || k == 0)) { /* all else is the same code in each of them */
                double *worst = c->op == OP_LINEAR ? &linear[k] : &head[k], d = check_bf16_case(c, &want, cpu[k], instruction_sets[BF16_SETS + k]);
                *worst = fmax(*worst, d);
            }
        products += product;
        lab_release(&want);
    }
    for (int k = 0; k < SETS; k++)
        if (cpu[k]) {
            print_message("%s - ref: linear worst %.1e of %.0e, head %.1e of %.0e, %d cases\n", instruction_sets[BF16_SETS + k], linear[k], CPU_TOL, head[k], BF16_TOL,
                          products);
            cpu[k]->close(cpu[k]);
        }
    assert_true(!plain || products > 20);
    if (plain)
        plain->close(plain);
    ref->close(ref);
}

static void expect_same_bits(Backend *one, Backend *many, int threads, bool products)
{
    for (int i = 0; i < op_cases_count; i++) {
        if (products && !is_product((OpKind)op_cases[i].op))
            continue;
        Lab a, b;
        const char *where = "";
        run_kernels(&a, &op_cases[i], one, false);
        run_kernels(&b, &op_cases[i], many, false);
        if (!lab_same_bits(&a, &b, &where))
            fail_msg("%s, case %d: \"%s\" has other bits with %d threads than with 1", case_op(&op_cases[i]), i, where, threads);
        lab_release(&a);
        lab_release(&b);
    }
}

static void cpu_bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(instruction_sets); i++) {
        Backend *one = open_cpu(instruction_sets[i], 1);
        for (int threads = 2; one && threads <= 4; threads += 2) {
            Backend *many = open_cpu(instruction_sets[i], threads);
            expect_same_bits(one, many, threads, i == VNNI_SET || i > BF16_SETS); /* all else are kernels that had their turn */
            many->close(many);
        }
        if (one)
            one->close(one);
    }
}

/* ---- 4: stored types ---- */

static Tensor *arena_mat(TArena *a, DType type, int64_t rows, int64_t cols)
{
    Tensor *t = tarena_tensor(a, NULL, type, 2, (int64_t[]){ rows, cols });
    assert_non_null(t);
    return t;
}

static Tensor *random_mat(TArena *a, int64_t rows, int64_t cols, int64_t seed)
{
    Tensor *t = arena_mat(a, DT_F32, rows, cols);
    for (int64_t i = 0; i < rows * cols; i++)
        ((float *)t->data)[i] = (float)pool_at(seed + i);
    return t;
}

static void expect_equal_results(Backend *be, DType type, const char *what, const Tensor *a, const Tensor *b)
{
    if (memcmp(a->data, b->data, (size_t)tensor_numel(a) * sizeof(float)))
        fail_msg("%s with a weight of %s, %s: not the bits that its numbers in F32 give", be->name, dtype_name(type), what);
}

/* Both products and the head, on w and on the F32 tensor of the numbers that w means. T rows: at least 5. */
static void expect_stored_like_wide(Backend *be, DType type, int64_t T, int64_t K, int64_t N)
{
    TArena a;
    tarena_init(&a, be);
    const HeadCfg cfg = { .scale = 1 };
    Tensor *source = random_mat(&a, N, K, 3), *stored = arena_mat(&a, type, N, K), *wide = arena_mat(&a, DT_F32, N, K);
    Tensor *x = random_mat(&a, T, K, 5), *dy = random_mat(&a, T, N, 7), *coef = random_mat(&a, T, 1, 11);
    Tensor *y[2], *dx[2], *logp[2], *dh[2], *target = tarena_tensor(&a, NULL, DT_I32, 1, &T);
    for (int64_t r = 0; r < N; r++) /* scales from subnormal to large */
        for (int64_t c = 0; c < K; c++)
            ((float *)source->data)[r * K + c] *= r % 7 == 0 ? 1e-6f : r % 7 == 3 ? 1000.0f : 1.0f;
    tensor_put(stored, source->data);
    dtype_to_f32(wide->data, stored->data, type, N * K);
    for (int64_t t = 0; t < T; t++)
        ((int32_t *)target->data)[t] = (int32_t)(t * 31 % N);
    for (int i = 0; i < 2; i++) {
        const Tensor *w = i ? wide : stored;
        y[i] = arena_mat(&a, DT_F32, T, N);
        dx[i] = random_mat(&a, T, K, 13);
        logp[i] = arena_mat(&a, DT_F32, T, 1);
        dh[i] = arena_mat(&a, DT_F32, T, K);
        be->linear(be, y[i], x, w, NULL, 0.75f, false);
        be->linear_dx(be, dx[i], dy, w, 1.5f);
        be->head_fused(be, logp[i], dh[i], NULL, NULL, x, w, NULL, target, coef, &cfg);
    }
    expect_equal_results(be, type, "linear", y[0], y[1]);
    expect_equal_results(be, type, "linear_dx", dx[0], dx[1]);
    expect_equal_results(be, type, "logp", logp[0], logp[1]);
    expect_equal_results(be, type, "dh", dh[0], dh[1]);
    tarena_release(&a);
}

/* check() with every type that a weight may have, on the first `sets` instruction sets, those of this machine. */
static void each_stored(size_t sets, void (*check)(Backend *be, const char *isa, DType type))
{
    int types = 0;
    for (size_t i = 0; i < sets; i++) {
        Backend *be = open_cpu(instruction_sets[i], 2);
        for (int t = 0; be && t < DT_DYN8; t++) {
            if (t == DT_I32)
                continue;
            check(be, instruction_sets[i], (DType)t);
            types++;
        }
        if (be)
            be->close(be);
    }
    assert_true(types >= DT_DYN8 - 1);
}

static void check_bits_of_stored(Backend *be, const char *isa, DType type)
{
    (void)isa;
    expect_stored_like_wide(be, type, 5, 256, 33);
    expect_stored_like_wide(be, type, 67, 1536, 131);
    expect_stored_like_wide(be, type, 37, 768, 515);
    if (dtype_block(type) < 256)
        expect_stored_like_wide(be, type, 19, 1600, 43);
}

static void stored_type_does_not_change_bits(void **state)
{
    (void)state;
    each_stored(ARRAY_LEN(instruction_sets), check_bits_of_stored);
}

static void check_rows_alone(Backend *be, const char *isa, DType type)
{
    TArena a;
    (void)isa;
    tarena_init(&a, be);
    Tensor *source = random_mat(&a, 301, 768, 3), *w = arena_mat(&a, type, 301, 768), *x = random_mat(&a, 4, 768, 5);
    Tensor *all = arena_mat(&a, DT_F32, 4, 301), *one = arena_mat(&a, DT_F32, 1, 301);
    tensor_put(w, source->data);
    be->linear(be, all, x, w, NULL, 1.0f, false);
    for (int r = 0; r < 4; r++) {
        Tensor row = tensor_row_view(x, r, 1), want = tensor_row_view(all, r, 1);
        be->linear(be, one, &row, w, NULL, 1.0f, false);
        expect_equal_results(be, type, "one row of four", one, &want);
    }
    tarena_release(&a);
}

/* A few rows take the path of decoding, whose rounding differs; there a row must not depend on how many there are. */
static void few_rows_are_each_alone(void **state)
{
    (void)state;
    each_stored(BF16_SETS + 1, check_rows_alone); /* few rows are f32: one of those that compute in bf16 is enough */
}

/* Where the model is nearly sure of the target, the gradient of h is a small difference of the target's row and the mean of all rows: both must be of
 * the rounded w, or the difference would be its rounding. */
static void check_head_cancels(const char *isa)
{
    enum { T = 6, K = 130, N = 300 };
    Backend *ref = backend_open("ref", 1, NULL), *cpu = open_cpu(isa, 2);
    const HeadCfg cfg = { .scale = 1.5f };
    const int64_t rows = T;
    TArena a;
    tarena_init(&a, ref);
    if (cpu) {
        Tensor *w = random_mat(&a, N, K, 3), *rounded = arena_mat(&a, DT_F32, N, K), *bits = arena_mat(&a, DT_BF16, N, K), *h = random_mat(&a, T, K, 5);
        Tensor *coef = random_mat(&a, T, 1, 7), *target = tarena_tensor(&a, NULL, DT_I32, 1, &rows);
        Tensor *logp[2] = { arena_mat(&a, DT_F32, T, 1), arena_mat(&a, DT_F32, T, 1) }, *dh[2] = { arena_mat(&a, DT_F32, T, K), arena_mat(&a, DT_F32, T, K) };
        dtype_from_f32(bits->data, w->data, DT_BF16, N * K);
        dtype_to_f32(rounded->data, bits->data, DT_BF16, N * K);
        for (int t = 0; t < T; t++) { /* towards the row of its target: a logit of about 12, where the others have up to 4 */
            ((int32_t *)target->data)[t] = t * 31 % N;
            for (int k = 0; k < K; k++)
                ((float *)h->data)[t * K + k] = 0.0625f * ((float *)rounded->data)[t * 31 % N * K + k];
        }
        ref->head_fused(ref, logp[0], dh[0], NULL, NULL, h, rounded, NULL, target, coef, &cfg);
        cpu->head_fused(cpu, logp[1], dh[1], NULL, NULL, h, w, NULL, target, coef, &cfg);
        for (int t = 0; t < T; t++) {
            double top = 0, off = 0;
            for (int k = 0; k < K; k++) {
                const double want = ((float *)dh[0]->data)[t * K + k];
                top = fmax(top, fabs(want));
                off = fmax(off, fabs(((float *)dh[1]->data)[t * K + k] - want));
            }
            assert_true(((float *)logp[0]->data)[t] > -0.03f);
            if (!(off <= BF16_TOL * top))
                fail_msg("row %d, log p %.2g: dh is off by %.2g of its largest element, allowed %.2g", t, (double)((float *)logp[0]->data)[t], off / top, BF16_TOL);
        }
        cpu->close(cpu);
    }
    tarena_release(&a);
    ref->close(ref);
}

static void bf16_head_cancels(void **state)
{
    (void)state;
    for (size_t i = BF16_SETS; i < ARRAY_LEN(instruction_sets); i++)
        check_head_cancels(instruction_sets[i]);
}

/* y[t, n] against the sum in double, with the bound of each element: 2^-16 (largest |x| of each run of 32) (sum of |w| over the run), for NF4 as much
 * again for its codes (2^-16 of the block's largest w times the sum of |x|), and f32 sums of K terms of |x w|. */
static void expect_bound(const char *isa, DType type, int64_t K, const float *x, const float *w, float got)
{
    double y = 0, sum = 0, bound = 0;
    for (int64_t k = 0; k < K; k += 32) {
        double top = 0, sum_x = 0, sum_w = 0, top_w = 0;
        for (int64_t i = k; i < k + 32; i++) {
            y += (double)x[i] * (double)w[i];
            sum += fabs((double)x[i] * (double)w[i]);
            top = fmax(top, fabs((double)x[i]));
            sum_x += fabs((double)x[i]);
            sum_w += fabs((double)w[i]);
        }
        for (int64_t i = k / 64 * 64; i < k / 64 * 64 + 64 && i < K; i++)
            top_w = fmax(top_w, fabs((double)w[i]));
        if (dtype_block(type) > 1) /* plain numbers are multiplied as they are */
            bound += 0x1p-16 * (top * sum_w + (type == DT_NF4 ? top_w * sum_x : 0));
    }
    bound = 1.0001 * bound + 4e-6 * sum;
    if (!(fabs((double)got - y) <= bound))
        fail_msg("%s, weight of %s: a product of few rows is %.9g, not %.9g, off by %.2g, allowed %.2g", isa, dtype_name(type), (double)got, y, fabs((double)got - y), bound);
}

/* Runs of x that are zero, tiny, huge, or hold one number far above the others; w of every size. */
static void expect_bounds(Backend *be, const char *isa, DType type, int64_t T, int64_t N)
{
    enum { K = 1536 };
    TArena a;
    tarena_init(&a, be);
    for (int64_t k = K; k >= K - 320; k -= 320) { /* whole spans of runs, and a rest */
        if (k % dtype_block(type))
            continue;
        Tensor *source = random_mat(&a, N, k, 3), *w = arena_mat(&a, type, N, k), *wide = arena_mat(&a, DT_F32, N, k);
        Tensor *x = random_mat(&a, T, k, 5), *y = arena_mat(&a, DT_F32, T, N);
        for (int64_t j = 0; j < N * k; j++)
            ((float *)source->data)[j] *= j / k % 7 == 0 ? 1e-4f : j / k % 7 == 3 ? 1000.0f : 1.0f;
        for (int64_t j = 0; j < T * k; j++)
            ((float *)x->data)[j] *= j / 32 % 5 == 0 ? 0.0f : j / 32 % 5 == 1 ? 1e-20f : j / 32 % 5 == 2 ? 1e6f : j % 32 == 7 ? 1e3f : 1.0f;
        tensor_put(w, source->data);
        dtype_to_f32(wide->data, w->data, type, N * k);
        be->linear(be, y, x, w, NULL, 1.0f, false);
        for (int64_t j = 0; j < T * N; j++)
            expect_bound(isa, type, k, (float *)x->data + j / N * k, (float *)wide->data + j % N * k, ((float *)y->data)[j]);
        ((float *)x->data)[k + 40] = NAN; /* is not lost, and stays in its row */
        be->linear(be, y, x, w, NULL, 1.0f, false);
        for (int64_t j = 0; j < T * N; j++)
            assert_true(isfinite(((float *)y->data)[j]) == (j / N != 1));
    }
    tarena_release(&a);
}

static void check_bound(Backend *be, const char *isa, DType type) { expect_bounds(be, isa, type, 3, 37); }

static void few_rows_keep_their_bound(void **state)
{
    (void)state;
    each_stored(BF16_SETS + 1, check_bound);
}

/* ---- products of many rows with whole numbers: Backend.whole ---- */

static void check_whole_bound(Backend *be, const char *isa, DType type)
{
    be->whole = true;
    expect_bounds(be, isa, type, 19, 75);
    be->whole = false;
}

static void whole_rows_keep_their_bound(void **state)
{
    (void)state;
    each_stored(BF16_SETS, check_whole_bound);
}

/* Of the largest sums: two f32 roundings. 0.56e-7 and 0.60e-7 were met. */
#define WHOLE_SUMS 0x1p-23

/* A row depends neither on how many there are nor on the threads, a column neither; alpha, bias, what is there already and a low-rank pair mean what they mean elsewhere. */
static void check_whole_rows(Backend *be, const char *isa, DType type)
{
    enum { T = 303, N = 301, K = 1280, R = 8 };
    const bool vnni = !strcmp(isa, "avx512vnni");
    Backend   *one = open_cpu(isa, 1);
    TArena     a;
    tarena_init(&a, be);
    Tensor *source = random_mat(&a, N, K, 3), *w = arena_mat(&a, type, N, K), *x = random_mat(&a, T, K, 5), *bias = random_mat(&a, 1, N, 7);
    Tensor *all = arena_mat(&a, DT_F32, T, N), *part = arena_mat(&a, DT_F32, T, N), *narrow = arena_mat(&a, DT_F32, T, 40), *sum = random_mat(&a, T, N, 11);
    Tensor *x2 = random_mat(&a, T, R, 13), *w2 = random_mat(&a, N, R, 17), *pair = arena_mat(&a, DT_F32, T, N), *low = arena_mat(&a, DT_F32, T, N);
    tensor_put(w, source->data);
    be->linear(be, all, x, w, NULL, 1.0f, false);
    be->whole = true;
    be->linear(be, part, x, w, NULL, 1.0f, false);
    const bool other = memcmp(all->data, part->data, (size_t)(T * N) * sizeof(float)) != 0;
    if (other != (vnni && dtype_block(type) > 1 && type != DT_NF4))
        fail_msg("%s, weight of %s: whole numbers are %s", isa, dtype_name(type), other ? "taken" : "not taken");
    one->whole = true;
    one->linear(one, all, x, w, NULL, 1.0f, false);
    one->close(one);
    expect_equal_results(be, type, "one thread", part, all);
    for (int rows = 5; rows < 60; rows += 11) {
        Tensor some = tensor_row_view(x, 7, rows), got = tensor_row_view(part, 0, rows), want = tensor_row_view(all, 7, rows);
        be->linear(be, &got, &some, w, NULL, 1.0f, false);
        expect_equal_results(be, type, "some rows of many", &got, &want);
    }
    Tensor first = tensor_row_view(w, 64, 40);
    be->linear(be, narrow, x, &first, NULL, 1.0f, false);
    for (int t = 0; other && t < T; t++)
        assert_memory_equal((float *)narrow->data + t * 40, (float *)all->data + t * N + 64, 40 * sizeof(float));
    memcpy(part->data, sum->data, (size_t)(T * N) * sizeof(float));
    Tensor flat = *bias;
    flat.rank = 1;
    flat.dim[0] = N;
    be->linear(be, part, x, w, &flat, 0.5f, true);
    be->linear_pair(be, pair, x, w, NULL, x2, w2);
    be->linear(be, low, x2, w2, NULL, 1.0f, false);
    double worst[2] = { 0 }, top = 0;
    for (int j = 0; j < T * N; j++)
        top = fmax(top, fabs((double)((float *)all->data)[j]));
    for (int j = 0; other && j < T * N; j++) { /* all else joins its sums in another order, and is held to ref elsewhere */
        const double y = (double)((float *)all->data)[j], c = (double)((float *)sum->data)[j], b = (double)((float *)bias->data)[j % N], l = (double)((float *)low->data)[j];
        worst[0] = fmax(worst[0], fabs((double)((float *)part->data)[j] - (c + 0.5 * y + b)) / (top + fabs(c) + fabs(b)));
        worst[1] = fmax(worst[1], fabs((double)((float *)pair->data)[j] - (y + l)) / (fabs(y) + fabs(l)));
    }
    if (!(worst[0] <= WHOLE_SUMS && worst[1] <= WHOLE_SUMS))
        fail_msg("%s, weight of %s: with alpha, bias and what is there off by %.2g, with a pair by %.2g, allowed %.2g", isa, dtype_name(type), worst[0], worst[1], WHOLE_SUMS);
    be->whole = false;
    tarena_release(&a);
}

static void whole_rows_are_each_alone(void **state)
{
    (void)state;
    each_stored(BF16_SETS, check_whole_rows);
}

static void scratch_is_known_and_stays(void **state)
{
    (void)state;
    Backend *be = backend_cpu_open(2, NULL);
    TArena a;
    tarena_init(&a, be);
    Tensor *x = random_mat(&a, 300, 700, 3), *w = random_mat(&a, 900, 700, 5), *y = arena_mat(&a, DT_F32, 300, 900);
    assert_int_equal(backend_cpu_scratch(be), 0);
    be->linear(be, y, x, w, NULL, 1.0f, false);
    size_t held = backend_cpu_scratch(be);
    assert_true(held >= 300 * 700 * sizeof(float));
    be->linear(be, y, x, w, NULL, 1.0f, false);
    assert_int_equal(backend_cpu_scratch(be), held);
    tarena_release(&a);
    be->close(be);
}

static size_t scratch_of(const OpCase *c, bool sizing)
{
    Backend *be = backend_cpu_open(2, NULL);
    Lab      l;
    be->sizing = sizing;
    run_kernels(&l, c, be, false);
    const size_t n = backend_cpu_scratch(be);
    be->sizing = false;
    lab_release(&l);
    be->close(be);
    return n;
}

static void sizing_takes_what_computing_takes(void **state)
{
    (void)state;
    check_sizing(scratch_of, 1000000);
}

/* ---- caches of other types ---- */

enum { CACHE_KEYS = 400, CACHE_HEADS = 4, CACHE_KV = 2, CACHE_D = 37 };
static const DType cache_types[] = { DT_F16, DT_Q8_0 };

/* A prompt's rest and a query alone, with parts and a gap. */
static AttnShape cache_shape(void)
{
    static const int32_t q0[] = { 0, 3 }, nq[] = { 3, 1 }, k0[] = { 1, 80 }, nk[] = { 70, 319 };
    return (AttnShape){ .n_seg = 2, .q0 = q0, .nq = nq, .k0 = k0, .nk = nk, .heads = CACHE_HEADS, .kv_heads = CACHE_KV, .head_dim = CACHE_D, .scale = 0.2f };
}

/* x as a cache of the type holds it, and back in F32. */
static Tensor *cache_of(TArena *a, DType type, const Tensor *x)
{
    int64_t whole = dtype_whole(type, CACHE_D);
    Tensor *c = tarena_tensor(a, NULL, type, 2, (int64_t[]){ CACHE_KEYS, CACHE_KV * whole });
    for (int g = 0; g < CACHE_KV; g++) {
        Tensor to = tensor_col_view(c, g * whole, whole), from = tensor_col_view(x, g * CACHE_D, CACHE_D);
        a->be->copy_rows(a->be, &to, 0, &from, 0, CACHE_KEYS);
    }
    return c;
}

static Tensor *numbers_of(TArena *a, const Tensor *cache)
{
    int64_t whole = dtype_whole(cache->dtype, CACHE_D), cols = CACHE_KV * whole;
    Tensor *x = arena_mat(a, DT_F32, CACHE_KEYS, CACHE_KV * CACHE_D), *wide = arena_mat(a, DT_F32, CACHE_KEYS, cols);
    dtype_to_f32(wide->data, cache->data, cache->dtype, CACHE_KEYS * cols);
    for (int g = 0; g < CACHE_KV; g++) {
        Tensor to = tensor_col_view(x, g * CACHE_D, CACHE_D), from = tensor_col_view(wide, g * whole, CACHE_D);
        a->be->copy_rows(a->be, &to, 0, &from, 0, CACHE_KEYS);
    }
    return x;
}

/* A cache of another type holds other numbers, but attention over it is that over the same numbers in F32, to the bit, on every backend. */
static void cache_is_its_numbers(void **state)
{
    (void)state;
    const AttnShape s = cache_shape();
    for (size_t i = 0; i <= BF16_SETS; i++) {
        Backend *be = i < BF16_SETS ? open_cpu(instruction_sets[i], 2) : backend_open("ref", 1, NULL);
        if (!be)
            continue;
        TArena a;
        tarena_init(&a, be);
        Tensor *q = random_mat(&a, 4, CACHE_HEADS * CACHE_D, 3), *k = random_mat(&a, CACHE_KEYS, CACHE_KV * CACHE_D, 5),
               *v = random_mat(&a, CACHE_KEYS, CACHE_KV * CACHE_D, 7), *o[2];
        for (size_t t = 0; t < ARRAY_LEN(cache_types); t++) {
            Tensor *ck = cache_of(&a, cache_types[t], k), *cv = cache_of(&a, cache_types[t], v), *nk = numbers_of(&a, ck), *nv = numbers_of(&a, cv);
            assert_memory_not_equal(nk->data, k->data, (size_t)tensor_numel(k) * sizeof(float));
            for (int n = 0; n < 2; n++)
                be->attn(be, o[n] = arena_mat(&a, DT_F32, 4, CACHE_HEADS * CACHE_D), NULL, q, n ? nk : ck, n ? nv : cv, &s);
            assert_memory_equal(o[0]->data, o[1]->data, (size_t)tensor_numel(q) * sizeof(float));
        }
        tarena_release(&a);
        be->close(be);
    }
}

/* The largest error of a number among n that lie in one block (of F16: each by itself).
 * F16: half of its last digit, 2^-11 of the number, 2^-25 below the normal ones. Q8_0: half a step, 1/254 of the block's largest, and 127 times the
 * error of the scale, which is F16 itself. */
static double cache_error(DType type, const float *x, int64_t n)
{
    double top = 0;
    for (int64_t i = 0; i < n; i++)
        top = fmax(top, fabs((double)x[i]));
    return type == DT_F16 ? top * 0x1p-11 + 0x1p-25 : top * (1.0 / 254 + 0x1p-11) + 127 * 0x1p-25;
}

/* With errors e of the scores, at most E, and of the values, at most V: every probability changes by a factor within exp(-2 E) and exp(2 E), so
 * |o' - o| <= V + (exp(2 E) - 1) max |v - o|, for the o of the exact cache. E is scale times the sum of |q| times the errors of a key. */
static void cache_rounding_is_bounded(void **state)
{
    (void)state;
    const AttnShape s = cache_shape();
    Backend *be = backend_open("ref", 1, NULL);
    TArena   a;
    tarena_init(&a, be);
    Tensor *q = random_mat(&a, 4, CACHE_HEADS * CACHE_D, 3), *k = random_mat(&a, CACHE_KEYS, CACHE_KV * CACHE_D, 5),
           *v = random_mat(&a, CACHE_KEYS, CACHE_KV * CACHE_D, 7), *exact = arena_mat(&a, DT_F32, 4, CACHE_HEADS * CACHE_D);
    be->attn(be, exact, NULL, q, k, v, &s);
    for (size_t t = 0; t < ARRAY_LEN(cache_types); t++) {
        const DType type = cache_types[t];
        const int64_t block = dtype_block(type);
        Tensor *o = arena_mat(&a, DT_F32, 4, CACHE_HEADS * CACHE_D);
        double closest = 0;
        be->attn(be, o, NULL, q, cache_of(&a, type, k), cache_of(&a, type, v), &s);
        for (int seg = 0; seg < s.n_seg; seg++)
            for (int i = 0; i < s.nq[seg]; i++)
                for (int h = 0; h < CACHE_HEADS; h++) {
                    const int64_t at = (s.q0[seg] + i) * CACHE_HEADS * CACHE_D + h * CACHE_D, g = h / (CACHE_HEADS / CACHE_KV);
                    double E = 0, V[CACHE_D] = { 0 }, far[CACHE_D] = { 0 };
                    for (int64_t j = 0; j <= s.nk[seg] - s.nq[seg] + i; j++) {
                        const float *kj = (const float *)k->data + ((s.k0[seg] + j) * CACHE_KV + g) * CACHE_D;
                        const float *vj = (const float *)v->data + ((s.k0[seg] + j) * CACHE_KV + g) * CACHE_D;
                        double e = 0;
                        for (int64_t c = 0; c < CACHE_D; c++) {
                            int64_t first = c / block * block, n = MIN(block, CACHE_D - first);
                            e += fabs((double)((const float *)q->data)[at + c]) * cache_error(type, kj + first, n);
                            V[c] = fmax(V[c], cache_error(type, vj + first, n));
                            far[c] = fmax(far[c], fabs((double)vj[c] - (double)((const float *)exact->data)[at + c]));
                        }
                        E = fmax(E, (double)s.scale * e);
                    }
                    for (int64_t c = 0; c < CACHE_D; c++) {
                        double off = fabs((double)((const float *)o->data)[at + c] - (double)((const float *)exact->data)[at + c]);
                        double bound = V[c] + (exp(2 * E) - 1) * far[c] + 1e-6; /* and both results are rounded to f32 */
                        assert_true(off <= bound);
                        closest = fmax(closest, off / bound);
                    }
                }
        printf("%s cache: error at most %.2f of its bound\n", dtype_name(type), closest);
    }
    tarena_release(&a);
    be->close(be);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_op_has_cases),
        cmocka_unit_test(gradients_match_finite_differences),
        cmocka_unit_test(ref_stays_inside_its_buffers),
        cmocka_unit_test(cpu_matches_ref),
        cmocka_unit_test(bf16_products_match_ref),
        cmocka_unit_test(cpu_bits_do_not_depend_on_threads),
        cmocka_unit_test(stored_type_does_not_change_bits),
        cmocka_unit_test(few_rows_are_each_alone),
        cmocka_unit_test(bf16_head_cancels),
        cmocka_unit_test(few_rows_keep_their_bound),
        cmocka_unit_test(whole_rows_keep_their_bound),
        cmocka_unit_test(whole_rows_are_each_alone),
        cmocka_unit_test(scratch_is_known_and_stays),
        cmocka_unit_test(sizing_takes_what_computing_takes),
        cmocka_unit_test(cache_is_its_numbers),
        cmocka_unit_test(cache_rounding_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
