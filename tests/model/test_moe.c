/* test_moe.c - what only mixtures of experts have: the load-balancing loss and its gradient against transformers', kept and checkpointed; what "all"
 * adapts; active parameters; configurations that are wrong. On ref and on cpu. */
#include "golden/golden.h"

#define AUX      0.1f /* as in tools/export_golden.py */
#define LOSS_TOL 2e-6
#define GRAD_TOL 1e-4

static Backend *be;

static const char *const mixture[] = { "mixtral", "qwen2_moe", "qwen3_moe", "olmoe" };

typedef struct Wanted { Tensor *w; char name[320]; float *grad; } Wanted;

static int add_wanted(const Golden *g, TArena *a, Wanted *out, Tensor *w, const char *name)
{
    if (!st_find(g->file, name))
        return 0;
    snprintf(out->name, sizeof out->name, "%s", name);
    out->w = w;
    out->grad = golden_f32(g, name, NULL);
    w->wants_grad = true;
    w->grad = tarena_tensor(a, NULL, DT_F32, w->rank, w->dim);
    be->fill(be, w->grad, 0);
    return 1;
}

static int all_wanted(const Golden *g, const Model *m, const Adapter *ad, TArena *a, Wanted *out)
{
    char name[320];
    int  n = 0;
    for (int i = 0; !ad && i < m->n_param; i++) {
        snprintf(name, sizeof name, "balanced.grad.%s%s", m->fam->prefix, m->param[i].w->name);
        n += add_wanted(g, a, &out[n], m->param[i].w, name);
    }
    for (int i = 0; ad && i < 2 * m->n_linear; i++) {
        snprintf(name, sizeof name, "lora.balanced.grad.base_model.model.%s.lora_%c.weight", m->linear[i / 2].module, i % 2 ? 'B' : 'A');
        n += add_wanted(g, a, &out[n], i % 2 ? ad->pair[i / 2].b : ad->pair[i / 2].a, name);
    }
    return n;
}

static void check_balance(const char *family, bool adapter, ActivationPolicy policy)
{
    Golden     g = golden_open(family);
    RouteStats route = { .coef = AUX };
    Err        e = { 0 };
    Model     *m;
    Adapter   *ad = NULL;
    TArena     a;
    Tensor    *logp;
    Wanted     wanted[64];
    float      coef[256], lp[256];
    Step       s;
    double     nll = 0;
    must(model_open(&m, g.dir, be, NULL, &e));
    if (adapter)
        must(adapter_open(&ad, m, g.adapter_dir, &e));
    tarena_init(&a, be);
    const int n = all_wanted(&g, m, ad, &a, wanted);
    assert_true(n >= 5);
    for (int32_t i = 0; i < g.n_rows; i++)
        coef[i] = (float)(-1.0 / g.n_rows);
    step_init(&s, m, &a, golden_put(&a, DT_I32, g.ids, g.total), golden_put(&a, DT_I32, g.pos, g.total), g.n_seq, g.start, g.len);
    s.adapter = ad;
    s.route = &route;
    Spill file = { .fd = -1 };
    if (policy == SPILL_INPUTS)
        must(spill_open(&file, P_tmpdir, model_spill_bytes(m, g.total), &e));
    s.spill = &file;
    must(model_train_pass(m, &a, &s, golden_put(&a, DT_I32, g.row, g.n_rows), golden_put(&a, DT_I32, g.target, g.n_rows),
                          golden_put(&a, DT_F32, coef, g.n_rows), policy, &logp, &e));
    spill_close(&file);
    tensor_get(logp, lp);
    for (int32_t i = 0; i < g.n_rows; i++)
        nll -= (double)lp[i] / g.n_rows;
    float *aux = golden_f32(&g, adapter ? "lora.balanced.aux" : "balanced.aux", NULL);
    float *loss = golden_f32(&g, adapter ? "lora.balanced.loss" : "balanced.loss", NULL);
    assert_true(fabs(route_aux(&route) - (double)*aux) <= LOSS_TOL * (double)*aux);
    assert_true(fabs(nll + (double)AUX * route_aux(&route) - (double)*loss) <= LOSS_TOL * (double)*loss);
    double worst = 0;
    for (int i = 0; i < n; i++) {
        const int64_t count = tensor_numel(wanted[i].w);
        float        *got = mem_alloc((size_t)count * sizeof *got);
        double        diff = 0, norm = 0;
        tensor_get(wanted[i].w->grad, got);
        for (int64_t k = 0; k < count; k++) {
            diff += pow((double)got[k] - (double)wanted[i].grad[k], 2);
            norm += pow((double)wanted[i].grad[k], 2);
        }
        if (!(sqrt(diff) <= GRAD_TOL * sqrt(norm)))
            fail_msg("%s %s: %s is off by %.3g of its norm", be->name, family, wanted[i].name, sqrt(diff / norm));
        worst = fmax(worst, sqrt(diff / norm));
        free(got);
        free(wanted[i].grad);
    }
    print_message("%s %s%s: load-balancing loss %.6f, %d gradients, worst off by %.2g of its norm\n", be->name, family, adapter ? " + adapter" : "",
                  route_aux(&route), n, worst);
    free(aux);
    free(loss);
    tarena_release(&a);
    adapter_free(ad);
    model_close(m);
    golden_close(&g);
}

static void test_balance(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(mixture); i++)
        for (int adapter = 0; adapter < 2; adapter++) {
            check_balance(mixture[i], adapter, KEEP_ALL);
            check_balance(mixture[i], adapter, CHECKPOINT_BLOCKS);
            check_balance(mixture[i], adapter, SPILL_INPUTS);
        }
}

/* "all" is attention, every expert and the shared one; routers and the gate of the shared expert only by their names. */
static void test_targets(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(mixture); i++) {
        static const char *const targets[] = { "all", "all,gate", "gate" };
        Golden   g = golden_open(mixture[i]);
        Err      e = { 0 };
        Model   *m;
        int      routers = 0, gates = 0;
        must(model_open(&m, g.dir, be, NULL, &e));
        for (int k = 0; k < m->n_linear; k++) {
            routers += m->linear[k].router;
            gates += m->linear[k].router && !str_ends(str_of(m->linear[k].module), "shared_expert_gate");
        }
        const int want[] = { m->n_linear - routers, m->n_linear - routers + gates, gates };
        for (size_t k = 0; k < ARRAY_LEN(targets); k++) {
            Adapter *a;
            must(adapter_new(&a, m, targets[k], 2, 4, false, 7, &e));
            assert_int_equal(a->n_adapted, want[k]);
            adapter_free(a);
        }
        model_close(m);
        golden_close(&g);
    }
}

static void test_active_parameters(void **state)
{
    (void)state;
    static const int64_t idle[] = { 2 * 2 * 3 * 10 * 16, 1 * 2 * 3 * 10 * 16, 2 * 2 * 3 * 6 * 16, 2 * 2 * 3 * 6 * 16 }; /* mixtures x experts passed over x matrices */
    for (size_t i = 0; i < ARRAY_LEN(mixture); i++) {
        Golden g = golden_open(mixture[i]);
        Err    e = { 0 };
        Model *m;
        must(model_open(&m, g.dir, be, NULL, &e));
        assert_int_equal(model_param_count(m) - model_active_count(m), idle[i]);
        model_close(m);
        golden_close(&g);
    }
}

#define BODY "\"hidden_size\":8,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"num_key_value_heads\":2,\"intermediate_size\":8,\"vocab_size\":9"

static void test_wrong_configurations_are_named(void **state)
{
    (void)state;
    static const struct { const char *json, *say; } bad[] = {
        { "{\"model_type\":\"mixtral\"," BODY ",\"num_experts_per_tok\":2}", "num_local_experts" },
        { "{\"model_type\":\"mixtral\"," BODY ",\"num_local_experts\":4}", "num_experts_per_tok" },
        { "{\"model_type\":\"mixtral\"," BODY ",\"num_local_experts\":4,\"num_experts_per_tok\":5}", "num_experts_per_tok is 5" },
        { "{\"model_type\":\"mixtral\"," BODY ",\"num_local_experts\":100000,\"num_experts_per_tok\":2}", "num_local_experts is 100000" },
        { "{\"model_type\":\"mixtral\"," BODY ",\"num_local_experts\":4,\"num_experts_per_tok\":2,\"router_jitter_noise\":0.1}", "router_jitter_noise" },
        { "{\"model_type\":\"mixtral\"," BODY ",\"num_local_experts\":4,\"num_experts_per_tok\":2,\"router_aux_loss_coef\":-1}", "router_aux_loss_coef" },
        { "{\"model_type\":\"qwen2_moe\"," BODY ",\"num_experts\":4,\"num_experts_per_tok\":2,\"moe_intermediate_size\":4}", "shared_expert_intermediate_size" },
        { "{\"model_type\":\"qwen3_moe\"," BODY ",\"num_experts\":4,\"num_experts_per_tok\":2}", "moe_intermediate_size" },
        { "{\"model_type\":\"qwen3_moe\"," BODY ",\"num_experts\":4,\"num_experts_per_tok\":2,\"moe_intermediate_size\":4,\"mlp_only_layers\":[2]}", "mlp_only_layers[0]" },
        { "{\"model_type\":\"qwen3_moe\"," BODY ",\"num_experts\":4,\"num_experts_per_tok\":2,\"moe_intermediate_size\":4,\"decoder_sparse_step\":0}", "decoder_sparse_step" },
        { "{\"model_type\":\"llama\"," BODY ",\"num_local_experts\":4}", "num_local_experts" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        Err           e = { 0 };
        Json         *j = NULL;
        ModelConfig   c;
        const Family *f;
        must(json_parse(&j, (Str){ bad[i].json, strlen(bad[i].json) }, "config.json", &e));
        assert_int_equal(model_config_read(&c, &f, j, NULL, "config.json", &e), ERR_INPUT);
        if (!strstr(e.text, bad[i].say))
            fail_msg("row %zu says: %s", i, e.text);
        json_free(j);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balance),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_active_parameters),
        cmocka_unit_test(test_wrong_configurations_are_named),
    };
    golden_main(be, tests);
}
