/* moe.c - a layer of experts in place of an MLP: each token goes to the top_k experts its router likes best, and their results are added by the router's
 * weights (Shazeer et al. 2017); in some families an expert that every token goes to stands beside them, behind a gate of its own.
 * Main struct: Expert, three Linears of its own, so that an adapter may adapt each. Invariant: experts run in order and each takes its tokens in order,
 * so the bits depend on nothing but the numbers. What a family calls the modules is in families.c. */
#include "model/model_int.h"

#include <stdlib.h>

#include "base/mem.h"

/* Who goes where, sorted by expert: expert i has places [first[i], first[i + 1]) of place[]; place p is the (p % top_k)th choice of token p / top_k. */
typedef struct Dispatch { int32_t *place, *token, *first; } Dispatch;

static Dispatch dispatch(const Model *m, const Tensor *pick)
{
    const int64_t n = tensor_numel(pick), E = m->cfg.experts;
    int32_t      *expert = mem_alloc((size_t)MAX(n, 1) * sizeof *expert);
    Dispatch      d = { mem_alloc((size_t)MAX(n, 1) * sizeof *d.place), mem_alloc((size_t)MAX(n, 1) * sizeof *d.token),
                        mem_zalloc((size_t)E + 2, sizeof *d.first) };
    m->be->download(m->be, expert, pick->data, (size_t)n * sizeof *expert);
    for (int64_t p = 0; p < n; p++)
        d.first[expert[p] + 2]++;
    for (int64_t i = 2; i <= E; i++)
        d.first[i] += d.first[i - 1];
    for (int64_t p = 0; p < n; p++) { /* while filling, first[i + 1] is the end of what expert i has so far */
        const int32_t to = d.first[expert[p] + 1]++;
        d.place[to] = (int32_t)p;
        d.token[to] = (int32_t)(p / m->cfg.top_k);
    }
    free(expert);
    return d;
}

static void dispatch_release(Dispatch *d)
{
    free(d->place);
    free(d->token);
    free(d->first);
}

static Tensor *put(Tape *t, const int32_t *v, int64_t n)
{
    Tensor *x = tarena_tensor(t->arena, NULL, DT_I32, 1, &n);
    if (x)
        t->be->upload(t->be, x->data, v, (size_t)n * sizeof *v);
    return x;
}

static Tensor *expert_forward(Tape *t, const Model *m, const Expert *x, Tensor *h, const Step *s)
{
    return nn_linear(t, &x->down, op_glu(t, nn_linear(t, &x->gate, h, s), nn_linear(t, &x->up, h, s), m->cfg.act), s);
}

/* h [T, D] -> [T, D]. NULL, here as in every op: the arena was refused memory. */
Tensor *moe_forward(Tape *t, const Model *m, const Block *b, Tensor *h, const Step *s)
{
    Tensor *pick, *weight = op_route(t, nn_linear(t, &b->router, h, s), &(RouteCfg){ (int)m->cfg.top_k, m->cfg.norm_topk }, s->route, &pick);
    Tensor *y = weight ? tape_new(t, tensor_rows(h), m->cfg.hidden) : NULL;
    if (!y)
        return NULL;
    t->be->fill(t->be, y, 0);
    Dispatch d = dispatch(m, pick);
    for (int64_t i = 0; i < m->cfg.experts && y; i++) {
        const int32_t n = d.first[i + 1] - d.first[i];
        Tensor       *token = n ? put(t, d.token + d.first[i], n) : NULL, *place = n ? put(t, d.place + d.first[i], n) : NULL;
        if (n)
            y = token && place ? op_combine(t, y, expert_forward(t, m, &b->expert[i], op_embed(t, h, token), s), token, weight, place) : NULL;
    }
    dispatch_release(&d);
    if (!b->shared.down.w)
        return y;
    return op_add(t, y, op_gate_rows(t, expert_forward(t, m, &b->shared, h, s), nn_linear(t, &b->shared_gate, h, s)));
}
