/* op_moe.c - mixture of experts: which experts a token goes to, their results brought back, and a gate on whole rows (Shazeer et al. 2017; the
 * load-balancing loss: Fedus et al. 2021). Main struct: RouteStats.
 * Invariant: how many rows an expert gets depends on the data, but experts run in order and rows in index order, so bits follow from the data. */
#include "tensor/ops.h"
#include "tensor/tape_int.h"

double route_aux(const RouteStats *s)
{
    double aux = 0, n = (double)s->rows;
    for (int e = 0; s->rows && e < s->experts; e++)
        aux += s->count[e] / n * (s->sum[e] / n);
    return aux * s->experts;
}

static void count_rows(Backend *be, RouteStats *s, const Tensor *pick, const Tensor *prob)
{
    int E = (int)tensor_cols(prob);
    BUG_ON(E > ROUTE_EXPERTS_MAX || (s->rows && s->experts != E));
    s->experts = E;
    s->rows += tensor_rows(prob);
    be->route_count(be, s->count, s->sum, pick, prob);
}

Tensor *op_route(Tape *t, Tensor *logits, const RouteCfg *cfg, RouteStats *stats, Tensor **pick)
{
    *pick = NULL;
    if (!logits)
        return NULL;
    BUG_ON(cfg->top_k < 1 || cfg->top_k > tensor_cols(logits));
    int64_t T = tensor_rows(logits);
    Tensor *weight = tape_new(t, T, cfg->top_k), *prob = tape_new(t, T, tensor_cols(logits));
    *pick = tarena_tensor(t->arena, NULL, DT_I32, 2, (int64_t[]){ T, cfg->top_k });
    if (!weight || !prob || !*pick)
        return NULL;
    t->be->route(t->be, weight, *pick, prob, logits, cfg);
    if (stats && !stats->frozen)
        count_rows(t->be, stats, *pick, prob);
    weight->wants_grad = t->recording && logits->wants_grad;
    if (weight->wants_grad) {
        TapeRec *r = tape_push(t, OP_ROUTE, weight);
        r->in[0] = logits;
        r->saved[0] = prob;
        r->pick = *pick;
        r->u.route.cfg = *cfg;
        r->u.route.stats = stats;
    }
    return weight;
}

void back_route(Tape *t, const TapeRec *r)
{
    const RouteStats *s = r->u.route.stats;
    Tensor *dlogits = tape_grad(t, r->in[0]);
    float   aux[ROUTE_EXPERTS_MAX];
    bool    with_aux = s && s->coef > 0;
    if (!dlogits)
        return;
    for (int e = 0; with_aux && e < s->experts; e++)
        aux[e] = (float)((double)s->coef * s->experts * s->count[e] / ((double)s->rows * (double)s->rows));
    t->be->route_bwd(t->be, dlogits, r->out->grad, with_aux ? aux : NULL, r->pick, r->saved[0], &r->u.route.cfg);
}

/* In place, as op_rope is. The gradient of y stays as it is, for what y held before; x and weight take their shares from it. */
Tensor *op_combine(Tape *t, Tensor *y, Tensor *x, const Tensor *rows, Tensor *weight, const Tensor *pick)
{
    if (!y || !x || !rows || (weight && !pick))
        return NULL;
    BUG_ON(tensor_cols(y) != tensor_cols(x) || rows->dtype != DT_I32 || tensor_numel(rows) != tensor_rows(x));
    BUG_ON(weight && (pick->dtype != DT_I32 || tensor_numel(pick) != tensor_rows(x) || weight->ld != tensor_cols(weight)));
    t->be->combine(t->be, y, x, rows, weight, pick);
    if (t->recording && (x->wants_grad || (weight && weight->wants_grad))) {
        y->wants_grad = true;
        TapeRec *r = tape_push(t, OP_COMBINE, y);
        r->in[0] = x;
        r->in[1] = weight;
        r->index = rows;
        r->pick = pick;
    }
    return y;
}

void back_combine(Tape *t, const TapeRec *r)
{
    Tensor *x = r->in[0], *weight = r->in[1];
    t->be->combine_bwd(t->be, tape_grad(t, x), weight ? tape_grad(t, weight) : NULL, r->out->grad, x, r->index, weight, r->pick);
}

Tensor *op_gate_rows(Tape *t, Tensor *x, Tensor *g)
{
    if (!x || !g)
        return NULL;
    BUG_ON(tensor_cols(g) != 1 || tensor_rows(g) != tensor_rows(x));
    Tensor *y = tape_new(t, tensor_rows(x), tensor_cols(x));
    if (!y)
        return NULL;
    t->be->gate_rows(t->be, y, x, g);
    y->wants_grad = t->recording && (x->wants_grad || g->wants_grad);
    if (y->wants_grad) {
        TapeRec *r = tape_push(t, OP_GATE_ROWS, y);
        r->in[0] = x;
        r->in[1] = g;
    }
    return y;
}

void back_gate_rows(Tape *t, const TapeRec *r)
{
    t->be->gate_rows_bwd(t->be, tape_grad(t, r->in[0]), tape_grad(t, r->in[1]), r->out->grad, r->in[0], r->in[1]);
}
