/* test_pass.c - accumulation: the gradient of a step does not depend on how its examples were cut into micro-batches. Sixteen at once, sixteen of one,
 * an uneven cut with a last partial window; unequal lengths, so a mean of means would show. */
#include "golden/golden.h"

#include "train/optimizer.h"
#include "train/pass.h"

#define ROWS 16

/* Sixteen examples of 3 to 24 tokens over the golden model's vocabulary, with masks of very different weight. */
static DataSet make_rows(Example *x, int32_t *ids, uint8_t *train, int32_t vocab)
{
    for (int32_t i = 0; i < ROWS; i++) {
        x[i] = (Example){ .ids = ids + i * 24, .train = train + i * 24, .n = 3 + (i * 11) % 22 };
        for (int32_t k = 0; k < x[i].n; k++) {
            x[i].ids[k] = (i * 31 + k * 17) % vocab;
            x[i].train[k] = k > 0 && (i % 3 == 0 || k == x[i].n - 1);
            x[i].n_train += x[i].train[k];
        }
    }
    return (DataSet){ .ex = x, .n = ROWS };
}

/* All gradients of the step over rows [0, n), computed `at_once` rows at a time. */
static float *gradients(const char *family, bool lora, int64_t n, int64_t at_once, int64_t *count, double *loss)
{
    Golden    g = golden_open(family);
    Err       e = { 0 };
    Backend  *be = backend_open("cpu", 2, &e);
    Model    *m;
    Adapter  *ad = NULL;
    Optimizer o;
    PassCtx   p;
    Example   x[ROWS];
    int32_t   ids[ROWS * 24];
    uint8_t   train[ROWS * 24];
    int64_t   row[ROWS], trained = 0;
    must(model_open(&m, g.dir, be, &(ModelOptions){ .trainable = !lora }, &e));
    if (lora)
        must(adapter_open(&ad, m, g.adapter_dir, &e));
    must(optimizer_open(&o, m, ad, OPTIM_ADAMW, false, &e));
    pass_open(&p, m, ad);
    const DataSet d = make_rows(x, ids, train, (int32_t)m->cfg.vocab);
    for (int64_t i = 0; i < n; i++) {
        row[i] = i;
        trained += x[i].n_train;
    }
    double balance = 0;
    *loss = 0;
    for (int64_t i = 0; i < n; i += at_once)
        must(pass_train(&p, &d, row + i, MIN(at_once, n - i), trained, KEEP_ALL, loss, &balance, &e));
    *loss /= (double)trained;
    float *v = mem_alloc((size_t)o.n_values * sizeof *v), *to = v;
    for (int i = 0; i < o.n; to += tensor_numel(o.t[i++].grad))
        tensor_get(o.t[i].grad, to);
    *count = o.n_values;
    pass_close(&p);
    optimizer_close(&o);
    adapter_free(ad);
    model_close(m);
    be->close(be);
    golden_close(&g);
    return v;
}

static void test_cuts_do_not_matter(void **state)
{
    (void)state;
    static const int64_t cut[][2] = { { 16, 1 }, { 16, 5 }, { 11, 1 }, { 11, 4 } }; /* rows, rows at once; 11 stands for an epoch's last, partial window */
    for (size_t f = 0; f < ARRAY_LEN(golden_family); f++)
        for (int lora = 0; lora < 2; lora++)
            for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
                int64_t n;
                double  one, many, largest = 0, worst = 0;
                float  *a = gradients(golden_family[f], lora, cut[i][0], cut[i][0], &n, &one);
                float  *b = gradients(golden_family[f], lora, cut[i][0], cut[i][1], &n, &many);
                for (int64_t k = 0; k < n; k++) {
                    largest = fmax(largest, fabs((double)a[k]));
                    worst = fmax(worst, fabs((double)a[k] - (double)b[k]));
                }
                assert_true(fabs(one - many) <= 1e-6 * one);
                if (!(worst <= 5e-6 * largest))
                    fail_msg("%s: %lld rows, %lld at once: gradients differ by %.2g of the largest", golden_family[f], (long long)cut[i][0],
                             (long long)cut[i][1], worst / largest);
                free(a);
                free(b);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cuts_do_not_matter) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
