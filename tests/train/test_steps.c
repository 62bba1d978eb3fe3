/* test_steps.c - twenty optimizer steps of every family against PyTorch's AdamW with gradient clipping, full and LoRA, on ref and cpu; and with products
 * in bf16, where the losses stay near those of f32. */
#include "golden/golden.h"

#include "train/optimizer.h"

#define LOSS_TOL 1e-4 /* relative, at each of the twenty steps */

/* In bf16 each number that enters a product is off by at most 2^-8 of itself, independently of the others. The first loss is a mean over many such
 * products and moves by less than one rounding. Later ones come from weights that moved a little otherwise, and these rates, which take the loss from 5
 * to 0.2 in twenty steps, make such differences grow (by PyTorch's autocast, too: to 8 % at worst): but a loss must stay less than one optimizer step
 * ahead or behind. */
#define BF16_ROUNDING 3.9e-3
static double bf16_band(const float *want, int step) /* relative; step from 1 to 20 */
{
    const double here = (double)want[step - 1], before = step > 1 ? fabs((double)want[step - 2] - here) : 0;
    const double after = step > 1 && step < 20 ? fabs((double)want[step] - here) : 0;
    return BF16_ROUNDING + fmax(before, after) / here;
}

static Backend *be;

static void follow(const char *family, bool lora, Compute compute)
{
    Golden    g = golden_open(family);
    Model    *m;
    Adapter  *ad = NULL;
    Optimizer o;
    TArena    a;
    Err       e = { 0 };
    float    *want = golden_f32(&g, lora ? "train.lora.losses" : "train.full.losses", NULL);
    float    *norms = golden_f32(&g, lora ? "train.lora.grad_norms" : "train.full.grad_norms", NULL), coef[256], lp[256];
    TrainCfg  cfg = { .beta1 = 0.9, .beta2 = 0.999, .adam_eps = 1e-8, .clip = 1, .weight_decay = lora ? 0 : 0.01 };
    double    worst = 0;
    must(model_open(&m, g.dir, be, &(ModelOptions){ .trainable = !lora }, &e));
    if (lora)
        must(adapter_open(&ad, m, g.adapter_dir, &e));
    must(optimizer_open(&o, m, ad, OPTIM_ADAMW, false, &e));
    tarena_init(&a, be);
    for (int32_t i = 0; i < g.n_rows; i++)
        coef[i] = (float)(-1.0 / g.n_rows);
    for (int step = 1; step <= 20; step++) {
        Tensor    *logp;
        double     nll = 0;
        Step       s;
        TArenaMark mark = tarena_mark(&a);
        step_init(&s, m, &a, golden_put(&a, DT_I32, g.ids, g.total), golden_put(&a, DT_I32, g.pos, g.total), g.n_seq, g.start, g.len);
        s.adapter = ad;
        optimizer_zero_grad(&o);
        be->compute = compute;
        must(model_train_pass(m, &a, &s, golden_put(&a, DT_I32, g.row, g.n_rows), golden_put(&a, DT_I32, g.target, g.n_rows),
                              golden_put(&a, DT_F32, coef, g.n_rows), step % 2 ? KEEP_ALL : CHECKPOINT_BLOCKS, &logp, &e));
        be->compute = COMPUTE_F32;
        tensor_get(logp, lp);
        tarena_rewind(&a, mark);
        for (int32_t i = 0; i < g.n_rows; i++)
            nll -= (double)lp[i];
        const double loss = nll / g.n_rows, off = fabs(loss - (double)want[step - 1]) / (double)want[step - 1];
        const double norm = optimizer_grad_norm(&o);
        const bool bf16 = compute == COMPUTE_BF16;
        if (!(off <= (bf16 ? bf16_band(want, step) : LOSS_TOL)))
            fail_msg("%s %s step %d: loss %.6f, PyTorch says %.6f", family, lora ? "lora" : "full", step, loss, (double)want[step - 1]);
        if (!bf16)
            assert_true(fabs(norm - (double)norms[step - 1]) <= 5e-4 * (double)norms[step - 1]);
        worst = fmax(worst, off);
        optimizer_step(&o, &cfg, lora ? 1e-2 : 3e-3, norm, step);
    }
    print_message("%s %s %s %s: 20 losses, worst off by %.2g relative\n", be->name, compute_name(compute), family, lora ? "lora" : "full", worst);
    assert_true(compute == COMPUTE_F32 || worst > LOSS_TOL / 100); /* something was rounded */
    tarena_release(&a);
    optimizer_close(&o);
    adapter_free(ad);
    model_close(m);
    golden_close(&g);
    free(want);
    free(norms);
}

static void test_full(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(golden_family); i++)
        follow(golden_family[i], false, COMPUTE_F32);
}

static void test_lora(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(golden_family); i++)
        follow(golden_family[i], true, COMPUTE_F32);
}

static void test_bf16(void **state)
{
    (void)state;
    Err e = { 0 };
    if (backend_check(be, COMPUTE_BF16, &e)) {
        print_message("SKIPPED: products in bf16: %s\n", e.text);
        return;
    }
    for (size_t i = 0; i < 2 * ARRAY_LEN(golden_family); i++)
        follow(golden_family[i / 2], i % 2, COMPUTE_BF16);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_full), cmocka_unit_test(test_lora), cmocka_unit_test(test_bf16) };
    golden_main(be, tests);
}
