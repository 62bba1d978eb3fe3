/* test_ref.c - the reference backend against the outside world.
 * The gradient check holds backward against forward; this holds forward against another implementation: the numbers below are PyTorch 2 in
 * float64 on the same inputs, sin(a i + b) rounded to f32. What could be misread in a definition shows here: where eps stands, which gelu,
 * which pairing of the rotation, whether a window counts the query's own key, where a cap stands, what the optimiser decays. */
#include "tensor/inspect.h"
#include "tensor/ops.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define TOL 1e-6 /* inputs and outputs are f32 near 1 */

static Backend *be;
static TArena   arena;

static int open_ref(void **state)
{
    (void)state;
    be = backend_open("ref", 1, NULL);
    tarena_init(&arena, be);
    return be ? 0 : -1;
}

static int close_ref(void **state)
{
    (void)state;
    tarena_release(&arena);
    be->close(be);
    return 0;
}

static Tensor *blank(int64_t rows, int64_t cols)
{
    return tarena_tensor(&arena, NULL, DT_F32, 2, (int64_t[]){ rows, cols });
}

static Tensor *seq(int64_t rows, int64_t cols, double a, double b)
{
    Tensor *t = blank(rows, cols);
    for (int64_t i = 0; i < rows * cols; i++)
        ((float *)t->data)[i] = (float)sin(a * (double)i + b);
    return t;
}

static Tensor *ints(int64_t n, const int32_t *v)
{
    Tensor *t = tarena_tensor(&arena, NULL, DT_I32, 1, &n);
    be->upload(be, t->data, v, (size_t)n * sizeof *v);
    return t;
}

static void expect(const Tensor *got, const float *want)
{
    TensorDiff d = tensor_diff(got, want);
    if (!(d.max_abs <= TOL))
        fail_msg("element %lld is off by %.3g", (long long)d.at, d.max_abs);
}

static void activations(void **state)
{
    (void)state;
    static const float in[7] = { -3, -1, -0.25f, 0, 0.5f, 1, 4 };
    static const float silu[7] = {
        -0.14227762f, -0.268941421f, -0.109455875f, 0.0f, 0.311229666f, 0.731058579f, 3.92805516f,
    };
    static const float gelu_tanh[7] = {
        -0.00363739208f, -0.158808009f, -0.100324649f, 0.0f, 0.34571401f, 0.841191991f, 3.99992975f,
    };
    static const float gelu_erf[7] = {
        -0.00404969409f, -0.158655254f, -0.100323419f, 0.0f, 0.345731231f, 0.841344746f, 3.99987332f,
    };
    static const float relu[7] = {
        0.0f, 0.0f, 0.0f, 0.0f, 0.5f, 1.0f, 4.0f,
    };
    static const float gelu_quick[7] = {
        -0.0180713097f, -0.154204234f, -0.0988003501f, 0.0f, 0.350388437f, 0.845795766f, 3.99558528f,
    };
    static const float relu_squared[7] = {
        0.0f, 0.0f, 0.0f, 0.0f, 0.25f, 1.0f, 16.0f,
    };
    static const float *const want[ACT_SWIGLU_CLAMPED] = {
        [ACT_SILU] = silu, [ACT_GELU_TANH] = gelu_tanh, [ACT_GELU_ERF] = gelu_erf, [ACT_RELU] = relu,
        [ACT_GELU_QUICK] = gelu_quick, [ACT_RELU_SQUARED] = relu_squared,
    };
    Tensor *x = blank(1, 7), *y = blank(1, 7), *one = blank(1, 7);
    tensor_put(x, in);
    be->fill(be, one, 1.0f);
    for (int a = 0; a < ACT_SWIGLU_CLAMPED; a++) {
        be->act(be, y, x, (ActKind)a);
        expect(y, want[a]);
        be->glu(be, y, x, one, (ActKind)a);
        expect(y, want[a]);
    }
}

/* As in transformers' GptOssExperts. */
static void clamped_swiglu(void **state)
{
    (void)state;
    static const float gate[7] = { -9, -3, -0.25f, 0.5f, 6.9f, 7.5f, 20 }, up[7] = { 0.3f, -8, 9, -2, 7.25f, 1, -6.5f };
    static const float want[7] = {
        -2.60413138e-06f, 0.108427858f, -0.790402801f, -0.350388437f, 55.1995618f, 13.9999063f, -38.4997422f,
    };
    static const float dgate[7] = {
        -4.1428827e-06f, 0.147289943f, 2.34799647f, -0.879221912f, 8.0006823f, 0.0f, 0.0f,
    };
    static const float dup[7] = {
        -2.00317799e-06f, 0.0f, 0.0f, 0.350388437f, 0.0f, 6.99995313f, 6.99995313f,
    };
    Tensor *g = blank(1, 7), *u = blank(1, 7), *y = blank(1, 7), *one = blank(1, 7), *dg = blank(1, 7), *du = blank(1, 7);
    tensor_put(g, gate);
    tensor_put(u, up);
    be->fill(be, one, 1.0f);
    be->fill(be, dg, 0.0f);
    be->fill(be, du, 0.0f);
    be->glu(be, y, g, u, ACT_SWIGLU_CLAMPED);
    for (int i = 0; i < 7; i++)
        assert_true(fabs((double)((float *)y->data)[i] - (double)want[i]) <= TOL * fmax(1, fabs((double)want[i])));
    be->glu_bwd(be, dg, du, one, g, u, ACT_SWIGLU_CLAMPED);
    expect(dg, dgate);
    expect(du, dup);
}

static void norms_of_groups(void **state)
{
    (void)state;
    static const float rms[12] = {
        0.2363555f, 0.723261791f, 0.491818805f, -0.0663344057f, -0.688779592f, -1.21314431f, -0.260394946f, -0.099439327f,
        1.00154893f, 0.238475606f, 0.720768394f, 0.476354265f,
    };
    static const float layer[12] = {
        1.05915906f, 0.591224922f, -1.82415029f, 1.16995592f, -0.0103246412f, -1.47363578f, 0.672748589f, 0.223526278f,
        0.520637114f, 1.06324362f, 0.580029417f, -1.82711522f,
    };
    static const float rms_offset[12] = {
        1.42604845f, 1.84595964f, 1.01949926f, -0.400227946f, -1.75795174f, -2.51474672f, -1.5710902f, -0.253796048f,
        2.07612718f, 1.43884008f, 1.83959581f, 0.987442559f,
    };
    static const float layer_without_bias[12] = {
        0.149861658f, 0.351975589f, -1.2122924f, 0.260658511f, -0.249573975f, -0.861777888f, -0.236548818f, -0.0157230556f,
        1.13249501f, 0.153946215f, 0.340780084f, -1.21525733f,
    };
    Tensor *x = seq(2, 6, 0.7, 1.3), *w = seq(1, 3, 0.5, 0.2), *b = seq(1, 3, 0.9, 2.0), *y = blank(2, 6);
    be->rmsnorm(be, y, blank(2, 2), x, w, 0.01f, 0);
    expect(y, rms);
    be->rmsnorm(be, y, blank(2, 2), x, w, 0.01f, 1);
    expect(y, rms_offset);
    be->layernorm(be, y, blank(2, 4), x, w, b, 0.01f);
    expect(y, layer);
    be->layernorm(be, y, blank(2, 4), x, w, NULL, 0.01f);
    expect(y, layer_without_bias);
}

static void rotation_of_part_of_a_head(void **state)
{
    (void)state;
    static const float want[12] = {
        -0.789597117f, 0.914226035f, 0.698308206f, -0.237305274f, -0.818277121f, -0.99616462f, 0.354544836f, -0.131361384f,
        0.84064121f, 0.962557261f, 0.90217185f, 0.412118495f,
    };
    enum { POSITIONS = 6, ROT = 4 };
    RopeTable table = { .cos = blank(POSITIONS, ROT / 2), .sin = blank(POSITIONS, ROT / 2), .rot = ROT };
    for (int p = 0; p < POSITIONS; p++)
        for (int i = 0; i < ROT / 2; i++) {
            double angle = p * pow(10000.0, -2.0 * i / ROT);
            ((float *)table.cos->data)[p * 2 + i] = (float)cos(angle);
            ((float *)table.sin->data)[p * 2 + i] = (float)sin(angle);
        }
    Tensor *x = seq(2, 6, 0.7, 1.3);
    be->rope(be, x, ints(2, (int32_t[]){ 2, 5 }), &table, 6, +1);
    expect(x, want);
}

/* One packed document of three tokens and one decoding step over five cached keys; four query heads read two key heads. */
static void attention_with_window_softcap_and_sinks(void **state)
{
    (void)state;
    static const float all[32] = {
        -0.717356086f, -0.266731441f, -0.717356086f, -0.266731441f, 0.257080555f, 0.710353255f, 0.257080555f, 0.710353255f,
        0.280709271f, 0.46018385f, 0.291157916f, 0.467793852f, 0.498020557f, 0.442797732f, 0.498040239f, 0.442775876f,
        0.0334054886f, 0.0667795109f, 0.212206689f, 0.25978397f, 0.00656097293f, 0.00453422035f, -0.485239808f, -0.490373483f,
        0.113105276f, 0.20591999f, -0.112655364f, -0.0107444305f, -0.00723627175f, 0.0402526134f, 0.32919426f, 0.318506104f,
    };
    static const float all_lse[16] = {
        0.580762792f, -8.44622202e-05f, -0.998810478f, -0.409133204f, 1.41006573f, 1.28363544f, 0.191639051f, -0.0995406378f,
        1.26720565f, 1.76815984f, 1.14867085f, 0.948713848f, 1.65533604f, 1.82555037f, 1.75406239f, 1.71310484f,
    };
    static const float window[32] = {
        -0.717356086f, -0.266731441f, -0.717356086f, -0.266731441f, 0.257080555f, 0.710353255f, 0.257080555f, 0.710353255f,
        0.280709271f, 0.46018385f, 0.291157916f, 0.467793852f, 0.498020557f, 0.442797732f, 0.498040239f, 0.442775876f,
        0.436842142f, 0.24599825f, 0.618007626f, 0.489634447f, -0.11592634f, -0.34056406f, -0.607637686f, -0.688355934f,
        0.314632777f, 0.471551199f, -0.10019755f, 0.205685753f, 0.452695027f, 0.590231584f, 0.518327011f, 0.306469139f,
    };
    static const float softcap[32] = {
        -0.717356086f, -0.266731441f, -0.717356086f, -0.266731441f, 0.257080555f, 0.710353255f, 0.257080555f, 0.710353255f,
        0.161676283f, 0.373489227f, 0.184700712f, 0.39025848f, 0.483762628f, 0.458630668f, 0.47738613f, 0.465711549f,
        0.0265842557f, 0.0585552475f, 0.0383861082f, 0.0773500167f, 0.00633225963f, 0.004450734f, -0.311214022f, -0.301889238f,
        0.106279744f, 0.199141551f, -0.0220658231f, 0.040327215f, 0.0530202018f, 0.0900080712f, 0.297366069f, 0.265585211f,
    };
    static const float softcap_lse[16] = {
        0.410768226f, -8.44622227e-05f, -0.481929559f, -0.337062614f, 1.12321903f, 1.08149068f, 0.318233812f, 0.236218442f,
        1.25208193f, 1.45009842f, 1.14831056f, 1.01083713f, 1.64088645f, 1.69989617f, 1.67123554f, 1.66395465f,
    };
    static const float sinks[32] = {
        -0.594912386f, -0.221203725f, -0.270816858f, -0.100696672f, 0.0122060919f, 0.0337273161f, 0.0f, 0.0f,
        0.25757649f, 0.422260864f, 0.199869173f, 0.321123226f, 0.0701393897f, 0.0623620092f, 0.0f, 0.0f,
        0.0302695288f, 0.0605105446f, 0.165611961f, 0.202742584f, 0.00196274223f, 0.00135643076f, 0.0f, 0.0f,
        0.105678685f, 0.192399103f, -0.0890094223f, -0.00848921851f, -0.00317545052f, 0.0176637965f, 0.0f, 0.0f,
    };
    static const float dsinks[4] = {
        -0.00802353908f, 0.260133078f, 0.127637349f, 0.0f,
    };
    static const int32_t q0[] = { 0, 3 }, nq[] = { 3, 1 }, k0[] = { 0, 3 }, nk[] = { 3, 5 };
    AttnShape s = { .n_seg = 2, .q0 = q0, .nq = nq, .k0 = k0, .nk = nk, .heads = 4, .kv_heads = 2, .head_dim = 2, .scale = 0.6f };
    Tensor *q = seq(4, 8, 0.7, 1.3), *k = seq(8, 4, 0.31, 0.4), *v = seq(8, 4, 0.53, -0.8), *o = blank(4, 8), *lse = blank(4, 4);
    be->attn(be, o, lse, q, k, v, &s);
    expect(o, all);
    expect(lse, all_lse);
    s.window = 2;
    be->attn(be, o, lse, q, k, v, &s);
    expect(o, window);
    s.window = 0;
    s.softcap = 0.5f;
    be->attn(be, o, lse, q, k, v, &s);
    expect(o, softcap);
    expect(lse, softcap_lse);

    /* one sink small, one large, one that takes everything: as in GptOssAttention */
    s.softcap = 0;
    s.sinks = blank(1, 4);
    tensor_put(s.sinks, (const float[4]){ -1, 0.5f, 2, 40 });
    be->attn(be, o, lse, q, k, v, &s);
    expect(o, sinks);
    Tensor *d = blank(1, 4);
    be->fill(be, d, 0.0f);
    be->attn_sinks_bwd(be, d, seq(4, 8, 0.9, 0.1), o, lse, &s);
    expect(d, dsinks);
}

static void head_log_probabilities(void **state)
{
    (void)state;
    static const float want[2] = {
        -4.28628608f, -3.17178062f,
    };
    static const float scaled_biased_capped[2] = {
        -2.98497642f, -2.25802788f,
    };
    Tensor *h = seq(2, 3, 0.7, 1.3), *w = seq(4, 3, 0.4, 0.1), *logp = blank(2, 1), *target = ints(2, (int32_t[]){ 3, 0 });
    HeadCfg cfg = { .scale = 1 };
    be->head_logp(be, logp, NULL, h, w, NULL, target, &cfg);
    expect(logp, want);
    be->fill(be, logp, 0.0f);
    be->head_fused(be, logp, blank(2, 3), NULL, NULL, h, w, NULL, target, seq(2, 1, 1, 1), &cfg);
    expect(logp, want);
    cfg = (HeadCfg){ .scale = 0.5f, .softcap = 1.5f };
    be->head_logp(be, logp, NULL, h, w, seq(1, 4, 1.1, 0.0), target, &cfg);
    expect(logp, scaled_biased_capped);
}

/* Two routers of four experts; the loss is sum(c * weight) of the first plus a quarter of the load-balancing loss of both, which is
 * load_balancing_loss_func of transformers 5 for Mixtral. */
static void routing_with_load_balancing(void **state)
{
    (void)state;
    static const float as_they_are[6] = {
        0.353649202f, 0.334971239f, 0.413679326f, 0.221991747f, 0.313736452f, 0.293772456f,
    };
    static const float renormalised[6] = {
        0.51356187f, 0.48643813f, 0.650775761f, 0.349224239f, 0.516431031f, 0.483568969f,
    };
    static const float picked[6] = { 0, 1, 3, 2, 1, 2 };
    static const float grad_first[12] = {
        -0.187537015f, 0.192433277f, -0.00132441418f, -0.00357184707f, 0.00136444175f, 0.00575332805f, -0.137403559f, 0.130285789f,
        -0.000789737632f, 0.123387576f, -0.116930132f, -0.0056677064f,
    };
    static const float grad_second[12] = {
        0.000421447744f, 0.00690858221f, 0.000669402459f, -0.00799943242f, -0.000736592367f, 0.00701974876f, -0.000587679011f,
        -0.00569547739f, -0.00122473616f, 0.00668203591f, -0.000665859145f, -0.0047914406f,
    };
    static RouteStats stats, again;
    Tape t;
    Tensor *first = seq(3, 4, 0.7, 1.3), *second = seq(3, 4, 0.31, 0.4), *pick, *c = seq(3, 2, 0.9, 0.1);
    first->wants_grad = second->wants_grad = true;
    tape_init(&t, be, &arena, true);
    expect(op_route(&t, first, &(RouteCfg){ .top_k = 2 }, NULL, &pick), as_they_are);
    expect(pick, picked);

    stats = (RouteStats){ .coef = 0.25f };
    RouteCfg cfg = { .top_k = 2, .renormalise = true };
    Tensor *w = op_route(&t, first, &cfg, &stats, &pick), *u = op_route(&t, second, &cfg, &stats, &pick);
    expect(w, renormalised);
    assert_true(fabs(route_aux(&stats) - 2.02649689) < TOL);
    stats.frozen = true; /* a block that is run again is not counted again */
    again = stats;
    op_route(&t, first, &cfg, &stats, &pick);
    assert_memory_equal(&again, &stats, sizeof stats);
    be->acc(be, tape_grad(&t, w), c);
    be->fill(be, tape_grad(&t, u), 0.0f);
    tape_backward(&t);
    expect(first->grad, grad_first);
    expect(second->grad, grad_second);
    tape_release(&t);

    /* equal logits: the lower expert first */
    Tensor *flat = blank(3, 4);
    be->fill(be, flat, 1.0f);
    tape_init(&t, be, &arena, false);
    op_route(&t, flat, &cfg, NULL, &pick);
    expect(pick, (const float[6]){ 0, 1, 0, 1, 0, 1 });
    tape_release(&t);
}

static void linear_with_low_rank_addition(void **state)
{
    (void)state;
    static const float want[8] = {
        -1.09887363f, 4.60382798f, 4.59796382f, -1.12408046f, 0.610321313f, -2.37182783f, -2.16659714f, 0.949193013f,
    };
    Tensor *x = seq(2, 3, 0.7, 1.3), *w = seq(4, 3, 0.4, 0.1), *b = seq(1, 4, 1.1, 0.0), *y = blank(2, 4);
    Tensor *lora_a = seq(2, 3, 0.2, 1.0), *lora_b = seq(4, 2, 0.6, -1.0), *h = blank(2, 2);
    be->linear(be, y, x, w, b, 1.0f, false);
    be->linear(be, h, x, lora_a, NULL, 1.0f, false);
    be->linear(be, y, h, lora_b, NULL, 0.75f, true);
    expect(y, want);
}

static void three_steps_of_adamw(void **state)
{
    (void)state;
    static const float want[3] = {
        0.932341181f, 0.878569969f, 0.406127183f,
    };
    Tensor *w = seq(1, 3, 0.7, 1.3), *m = blank(1, 3), *v = blank(1, 3);
    be->fill(be, m, 0.0f);
    be->fill(be, v, 0.0f);
    AdamW a = { .lr = 0.01f, .beta1 = 0.9f, .beta2 = 0.95f, .eps = 1e-8f, .weight_decay = 0.1f };
    for (a.step = 1; a.step <= 3; a.step++)
        be->adamw(be, w, seq(1, 3, 0.8, 0.3 + (double)(a.step - 1)), m, v, &a, 0.5f);
    expect(w, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations),
        cmocka_unit_test(clamped_swiglu),
        cmocka_unit_test(norms_of_groups),
        cmocka_unit_test(rotation_of_part_of_a_head),
        cmocka_unit_test(attention_with_window_softcap_and_sinks),
        cmocka_unit_test(head_log_probabilities),
        cmocka_unit_test(routing_with_load_balancing),
        cmocka_unit_test(linear_with_low_rank_addition),
        cmocka_unit_test(three_steps_of_adamw),
    };
    return cmocka_run_group_tests(tests, open_ref, close_ref);
}
