/* test_tape.c - what the tape promises beyond single ops: who shares a gradient buffer with whom, what is recorded, whose memory a leaf's
 * gradient is, and that running out of memory anywhere ends in one sentence. */
#include "base/mem.h"
#include "base/rng.h"
#include "tensor/inspect.h"
#include "tensor/ops.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

typedef struct Room { Backend *be; TArena arena; Tape t; Rng rng; } Room;

static const HeadCfg plain = { .scale = 1 };

static void room_open(Room *r, bool recording)
{
    *r = (Room){ .be = backend_open("ref", 1, NULL), .rng = rng_at(3, RNG_TEST, 0, 0) };
    tarena_init(&r->arena, r->be);
    tape_init(&r->t, r->be, &r->arena, recording);
}

static void room_close(Room *r)
{
    tape_release(&r->t);
    tarena_release(&r->arena);
    r->be->close(r->be);
}

static Tensor *leaf(Room *r, int64_t rows, int64_t cols, bool wants_grad)
{
    Tensor *x = tape_new(&r->t, rows, cols);
    rng_normals(&r->rng, x->data, rows * cols);
    x->wants_grad = wants_grad;
    return x;
}

static Tensor *ids(Room *r, int64_t n, int64_t limit)
{
    Tensor *x = tarena_tensor(&r->arena, NULL, DT_I32, 1, &n);
    for (int64_t i = 0; i < n; i++)
        ((int32_t *)x->data)[i] = (int32_t)rng_below(&r->rng, (uint64_t)limit);
    return x;
}

static void fill_grad(Room *r, Tensor *y, float v)
{
    r->be->fill(r->be, tape_grad(&r->t, y), v);
}

static void expect_all(const Tensor *x, float v)
{
    assert_non_null(x);
    for (int64_t i = 0; i < tensor_numel(x); i++)
        if (((float *)x->data)[i] != v)
            fail_msg("element %lld is %g, expected %g", (long long)i, (double)((float *)x->data)[i], (double)v);
}

static void add_hands_its_gradient_on(void **state)
{
    (void)state;
    Room r;
    room_open(&r, true);
    Tensor *a = leaf(&r, 3, 5, true), *b = leaf(&r, 3, 5, true);
    Tensor *y = op_add(&r.t, a, b);
    fill_grad(&r, y, 2.0f);
    void *buffer = y->grad->data;
    tape_backward(&r.t);
    assert_ptr_equal(a->grad->data, buffer); /* taken over */
    assert_ptr_not_equal(b->grad->data, buffer);
    expect_all(a->grad, 2.0f);
    expect_all(b->grad, 2.0f);

    /* Both have a gradient now: both are added to, neither is replaced. */
    Tensor *ga = a->grad, *gb = b->grad;
    y = op_add(&r.t, a, b);
    fill_grad(&r, y, 1.0f);
    tape_backward(&r.t);
    assert_ptr_equal(a->grad, ga);
    assert_ptr_equal(b->grad, gb);
    expect_all(a->grad, 3.0f);
    expect_all(b->grad, 3.0f);
    room_close(&r);
}

static void add_when_one_side_is_frozen(void **state)
{
    (void)state;
    for (int frozen = 0; frozen < 2; frozen++) {
        Room r;
        room_open(&r, true);
        Tensor *in[2] = { leaf(&r, 2, 3, frozen != 0), leaf(&r, 2, 3, frozen != 1) };
        Tensor *y = op_add(&r.t, in[0], in[1]);
        fill_grad(&r, y, 5.0f);
        void *buffer = y->grad->data;
        tape_backward(&r.t);
        assert_null(in[frozen]->grad);
        assert_ptr_equal(in[!frozen]->grad->data, buffer);
        expect_all(in[!frozen]->grad, 5.0f);
        room_close(&r);
    }
}

static void add_of_a_tensor_to_itself(void **state)
{
    (void)state;
    Room r;
    room_open(&r, true);
    Tensor *a = leaf(&r, 2, 3, true);
    Tensor *y = op_add(&r.t, a, a);
    fill_grad(&r, y, 1.5f);
    tape_backward(&r.t);
    expect_all(a->grad, 3.0f);
    y = op_add(&r.t, a, a); /* and with a gradient that is there already */
    fill_grad(&r, y, 1.0f);
    tape_backward(&r.t);
    expect_all(a->grad, 5.0f);
    room_close(&r);
}

/* A residual stream: x is read by a branch and passed by. The shared buffer must hold each contribution once. */
static void add_in_a_residual_stream(void **state)
{
    (void)state;
    Room r;
    room_open(&r, true);
    Tensor *x = leaf(&r, 2, 3, true);
    Tensor *u = op_add(&r.t, x, op_add(&r.t, x, x)); /* 3x; both orders of the arguments */
    Tensor *z = op_add(&r.t, op_add(&r.t, u, x), u);  /* 7x */
    fill_grad(&r, z, 1.0f);
    tape_backward(&r.t);
    expect_all(x->grad, 7.0f);
    room_close(&r);
}

static void leaves_keep_their_own_gradient(void **state)
{
    (void)state;
    Room r;
    room_open(&r, true);
    TArena owner;
    tarena_init(&owner, r.be);
    Tensor *w = tarena_tensor(&owner, "w", DT_F32, 2, (int64_t[]){ 4, 3 });
    r.be->fill(r.be, w, 0.5f);
    w->wants_grad = true;
    w->grad = tarena_tensor(&owner, "w", DT_F32, 2, w->dim);
    r.be->fill(r.be, w->grad, 10.0f);
    Tensor *grad = w->grad;

    TArenaMark mark = tarena_mark(&r.arena);
    for (int step = 1; step <= 2; step++) {
        Tensor *x = leaf(&r, 2, 3, false);
        r.be->fill(r.be, x, 1.0f);
        Tensor *y = op_linear(&r.t, x, w, NULL, NULL, NULL, 0);
        fill_grad(&r, y, 1.0f);
        tape_backward(&r.t);
        assert_null(x->grad);
        assert_ptr_equal(w->grad, grad);
        tarena_rewind(&r.arena, mark);
        expect_all(w->grad, 10.0f + 2.0f * (float)step); /* two rows of ones */
    }
    tarena_release(&owner);
    room_close(&r);
}

static void nothing_is_recorded_without_need(void **state)
{
    (void)state;
    for (int recording = 0; recording < 2; recording++) {
        Room r;
        room_open(&r, recording != 0);
        /* A silent tape, or nobody who wants. */
        Tensor *x = leaf(&r, 2, 4, !recording), *w = leaf(&r, 4, 4, !recording);
        const Tensor *target = ids(&r, 2, 4), *coef = leaf(&r, 2, 1, false);
        Tensor *norm = leaf(&r, 1, 4, !recording);
        Tensor *y = op_linear(&r.t, op_rmsnorm(&r.t, x, norm, 1e-5f, 0), w, NULL, w, w, 1.0f);
        y = op_act(&r.t, op_add(&r.t, y, x), ACT_SILU);
        Tensor *p = op_head_fused(&r.t, y, w, NULL, target, coef, &plain);
        assert_int_equal(r.t.n, 0);
        assert_false(p->wants_grad || y->wants_grad);
        assert_null(w->grad);
        assert_null(tape_grad(&r.t, p));
        room_close(&r);
    }
}

/* x is read by one op before it is turned in place and by one after: dx = before + R' after. */
static void rope_in_place_between_two_readers(void **state)
{
    (void)state;
    Room r;
    room_open(&r, true);
    Tensor *x0 = leaf(&r, 3, 4, true), *zero = leaf(&r, 3, 4, false);
    r.be->fill(r.be, zero, 0.0f);
    RopeTable table = { .cos = leaf(&r, 8, 2, false), .sin = leaf(&r, 8, 2, false), .rot = 4 };
    for (int i = 0; i < 16; i++) {
        double angle = 0.3 * i;
        ((float *)table.cos->data)[i] = (float)cos(angle);
        ((float *)table.sin->data)[i] = (float)sin(angle);
    }
    const Tensor *pos = ids(&r, 3, 8);
    Tensor *x = op_add(&r.t, x0, zero);
    Tensor *before = op_add(&r.t, x, zero);
    Tensor *turned = op_rope(&r.t, x, pos, &table, 4);
    assert_ptr_equal(turned, x);
    Tensor *after = op_add(&r.t, turned, zero);

    Tensor *c1 = leaf(&r, 3, 4, false), *c2 = leaf(&r, 3, 4, false), *want = tape_new(&r.t, 3, 4);
    r.be->acc(r.be, tape_grad(&r.t, before), c1);
    r.be->acc(r.be, tape_grad(&r.t, after), c2);
    r.be->rope(r.be, c2, pos, &table, 4, -1);
    r.be->add(r.be, want, c1, c2);
    tape_backward(&r.t);
    assert_true(tensor_diff(x0->grad, want->data).max_abs < 1e-6);
    room_close(&r);
}

/* Each slice adds its gradient into its columns of the whole; columns that nobody took keep 0. */
static void columns_share_the_gradient_of_the_whole(void **state)
{
    (void)state;
    Room r;
    room_open(&r, true);
    Tensor *x0 = leaf(&r, 2, 6, true), *zero = leaf(&r, 2, 6, false), *other = leaf(&r, 2, 2, true);
    r.be->fill(r.be, zero, 0.0f);
    Tensor *x = op_add(&r.t, x0, zero);
    Tensor *a = op_cols(&r.t, x, 0, 2), *b = op_cols(&r.t, x, 3, 3);
    assert_ptr_equal(b->data, (float *)x->data + 3);
    Tensor *twice = op_add(&r.t, a, a), *sum = op_add(&r.t, a, other), *rest = op_add(&r.t, b, b);
    fill_grad(&r, twice, 1.0f);
    fill_grad(&r, sum, 0.5f);
    fill_grad(&r, rest, 3.0f);
    tape_backward(&r.t);
    const float want[12] = { 2.5f, 2.5f, 0, 6, 6, 6, 2.5f, 2.5f, 0, 6, 6, 6 };
    assert_true(tensor_diff(x0->grad, want).max_abs == 0);
    expect_all(other->grad, 0.5f);

    r.t.recording = false;
    assert_false(op_cols(&r.t, x0, 1, 2)->wants_grad);
    room_close(&r);
}

/* Embedding and head are one tensor: both add into it, in the separate and in the fused form, and both forms agree. */
static void tied_head_gathers_both_gradients(void **state)
{
    (void)state;
    float got[2][7 * 5];
    for (int fused = 0; fused < 2; fused++) {
        Room r;
        room_open(&r, true);
        Tensor *w = leaf(&r, 7, 5, true), *coef = leaf(&r, 4, 1, false);
        const Tensor *tok = ids(&r, 4, 7), *target = ids(&r, 4, 7);
        Tensor *h = op_act(&r.t, op_embed(&r.t, w, tok), ACT_GELU_TANH);
        Tensor *p = fused ? op_head_fused(&r.t, h, w, NULL, target, coef, &plain) : op_head_logp(&r.t, h, w, NULL, target, &plain);
        if (!fused)
            r.be->acc(r.be, tape_grad(&r.t, p), coef);
        tape_backward(&r.t);
        tensor_get(w->grad, got[fused]);

        /* Against finite differences of sum(coef logp). */
        r.t.recording = false;
        for (int i = 0; i < 35; i++) {
            float *x = (float *)w->data + i, keep = *x;
            double loss[2], h_step = 1.0 / 128;
            for (int side = 0; side < 2; side++) {
                *x = keep + (float)(side ? h_step : -h_step);
                Tensor *q = op_head_logp(&r.t, op_act(&r.t, op_embed(&r.t, w, tok), ACT_GELU_TANH), w, NULL, target, &plain);
                loss[side] = 0;
                for (int k = 0; k < 4; k++)
                    loss[side] += (double)((float *)coef->data)[k] * ((float *)q->data)[k];
            }
            *x = keep;
            double want = (loss[1] - loss[0]) / (2 * h_step);
            if (fabs(want - got[fused][i]) > 1e-3)
                fail_msg("dw[%d] is %g, finite differences say %g", i, (double)got[fused][i], want);
        }
        room_close(&r);
    }
    for (int i = 0; i < 35; i++)
        assert_true(fabsf(got[0][i] - got[1][i]) < 1e-6f);
}

/* Only w trains: the fused head needs no record, the gradient is there after the forward pass. */
static void fused_head_over_frozen_states(void **state)
{
    (void)state;
    Room r;
    room_open(&r, true);
    Tensor *h = leaf(&r, 3, 4, false), *w = leaf(&r, 5, 4, true), *coef = leaf(&r, 3, 1, false);
    Tensor *p = op_head_fused(&r.t, h, w, NULL, ids(&r, 3, 5), coef, &plain);
    assert_true(p->wants_grad);
    assert_int_equal(r.t.n, 0);
    assert_non_null(w->grad);
    assert_true(r.be->sumsq(r.be, w->grad) > 0);
    room_close(&r);
}

/* Another reader of h comes after the head, so h has a gradient when the head's stored one arrives: it is added, and the store not lent. */
static void fused_head_adds_to_an_earlier_gradient(void **state)
{
    (void)state;
    float got[2][3 * 4];
    for (int twice = 0; twice < 2; twice++) {
        Room r;
        room_open(&r, true);
        Tensor *h = leaf(&r, 3, 4, true), *w = leaf(&r, 5, 4, false), *coef = leaf(&r, 3, 1, false);
        op_head_fused(&r.t, h, w, NULL, ids(&r, 3, 5), coef, &plain);
        if (twice)
            fill_grad(&r, op_add(&r.t, h, h), 0.25f);
        tape_backward(&r.t);
        tensor_get(h->grad, got[twice]);
        room_close(&r);
    }
    for (int i = 0; i < 12; i++)
        assert_true(fabsf(got[0][i] + 0.5f - got[1][i]) < 1e-6f);
}

/* ---- out of memory ---- */

static int allocs_left;

static void *counted_alloc(Backend *be, size_t nbytes)
{
    (void)be;
    return allocs_left-- > 0 ? aligned_alloc(64, nbytes) : NULL;
}

/* A small model with every op in it, activations of 2 MB so that nearly each needs a chunk of its own. */
static Tensor *every_op(Room *r, const Tensor *tok, Tensor *table, Tensor *w, Tensor *norm, const RopeTable *rope, const AttnShape *s)
{
    Tape   *t = &r->t;
    Tensor *x = op_embed(t, table, tok);
    Tensor *h = op_layernorm(t, op_rmsnorm(t, x, norm, 1e-5f, 0), norm, norm, 1e-5f);
    Tensor *q = op_rope(t, op_linear(t, h, w, norm, w, w, 0.5f), tok, rope, 8);
    Tensor *o = op_attention(t, q, op_cols(t, op_linear(t, h, w, NULL, NULL, NULL, 0), 0, tensor_cols(w)), h, s);
    x = op_add(t, x, op_act(t, op_glu(t, o, h, ACT_SILU), ACT_RELU));
    Tensor *pick, *weight = op_route(t, x, &(RouteCfg){ .top_k = 1 }, NULL, &pick);
    x = op_combine(t, op_gate_rows(t, op_scale(t, x, 0.5f), weight), h, tok, weight, tok);
    Tensor *p = op_head_logp(t, x, table, NULL, tok, &plain);
    return op_add(t, p, op_head_fused(t, x, table, NULL, tok, p, &plain));
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    enum { T = 32768, D = 16 };
    int32_t q0 = 0, nq = 2;
    AttnShape shape = { .n_seg = 1, .q0 = &q0, .nq = &nq, .k0 = &q0, .nk = &nq, .heads = 2, .kv_heads = 2, .head_dim = 8, .scale = 1 };
    int done = 0;
    for (int n = 4; !done; n++) {
        assert_true(n < 200);
        Room r;
        room_open(&r, true);
        r.be->alloc = counted_alloc;
        allocs_left = 4;
        Tensor *table = leaf(&r, 3, D, true), *w = leaf(&r, D, D, true), *norm = leaf(&r, 1, D, true);
        RopeTable rope = { .cos = leaf(&r, 3, 4, false), .sin = leaf(&r, 3, 4, false), .rot = 8 };
        const Tensor *tok = ids(&r, T, 3);

        allocs_left = n - 4;
        Tensor *y = every_op(&r, tok, table, w, norm, &rope, &shape);
        if (y && tape_grad(&r.t, y)) {
            r.be->fill(r.be, y->grad, 1.0f);
        } else {
            Err e = { 0 };
            assert_true(tarena_failed(&r.arena, &e));
            assert_int_equal(e.code, ERR_MEM);
        }
        tape_backward(&r.t); /* also over the records of a pass that did not finish */
        assert_int_equal(r.t.n, 0);
        done = !tarena_failed(&r.arena, NULL);
        room_close(&r);
    }
}

static void names_of_ops(void **state)
{
    (void)state;
    assert_string_equal(op_name(OP_EMBED), "EMBED");
    assert_string_equal(op_name(OP_HEAD_FUSED), "HEAD_FUSED");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_hands_its_gradient_on),
        cmocka_unit_test(add_when_one_side_is_frozen),
        cmocka_unit_test(add_of_a_tensor_to_itself),
        cmocka_unit_test(add_in_a_residual_stream),
        cmocka_unit_test(leaves_keep_their_own_gradient),
        cmocka_unit_test(nothing_is_recorded_without_need),
        cmocka_unit_test(rope_in_place_between_two_readers),
        cmocka_unit_test(columns_share_the_gradient_of_the_whole),
        cmocka_unit_test(tied_head_gathers_both_gradients),
        cmocka_unit_test(fused_head_over_frozen_states),
        cmocka_unit_test(fused_head_adds_to_an_earlier_gradient),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(names_of_ops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
