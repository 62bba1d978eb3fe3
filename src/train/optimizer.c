/* optimizer.c - see optimizer.h. The update itself is a kernel of the backend. */
#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

static void add(Optimizer *o, Tensor *w, char *name, bool decays)
{
    o->t[o->n++] = (Trainable){ .name = name, .w = w, .decays = decays };
    o->n_values += tensor_numel(w);
}

/* Zeros: of blocks that is what zero bytes mean. */
static void clear(Backend *be, const Tensor *t)
{
    Tensor words = *t;
    if (t->dtype != DT_F32) {
        words.dtype = DT_F32;
        words.dim[0] = words.ld = (int64_t)(dtype_bytes(t->dtype, tensor_numel(t)) / sizeof(float));
    }
    be->fill(be, &words, 0);
}

static int make_state(Optimizer *o, Optim kind, Err *e)
{
    for (int i = 0; i < o->n; i++) {
        Trainable    *t = &o->t[i];
        const bool    blocks = kind == OPTIM_ADAMW_8BIT && tensor_numel(t->w) >= OPTIM_8BIT_LEAST;
        const int64_t block = dtype_block(DT_DYN8), flat = (tensor_numel(t->w) + block - 1) / block * block;
        const struct { Tensor **at; DType type; } state[] = { { &t->grad, DT_F32 }, { &t->m, blocks ? DT_DYN8 : DT_F32 }, { &t->v, blocks ? DT_UDYN8 : DT_F32 } };
        for (size_t k = 0; k < ARRAY_LEN(state); k++) {
            *state[k].at = state[k].type == DT_F32 ? tarena_tensor(&o->arena, t->name, DT_F32, t->w->rank, t->w->dim)
                                                   : tarena_tensor(&o->arena, t->name, state[k].type, 1, &flat);
            if (tarena_failed(&o->arena, e))
                return err_wrap(e, "gradients and moments of %lld trained numbers", (long long)o->n_values);
            clear(o->be, *state[k].at);
        }
        t->w->wants_grad = true;
        t->w->grad = t->grad;
    }
    return 0;
}

int optimizer_open(Optimizer *o, Model *m, Adapter *adapter, Optim kind, Err *e)
{
    *o = (Optimizer){ .be = m->be };
    tarena_init(&o->arena, m->be);
    o->t = mem_zalloc((size_t)(adapter ? 2 * adapter->n_pair : m->n_param) + 1, sizeof *o->t);
    if (!adapter)
        for (int i = 0; i < m->n_param; i++)
            add(o, m->param[i].w, arena_strdup(&o->names, m->param[i].w->name), m->param[i].decays);
    for (int i = 0; adapter && i < adapter->n_pair; i++)
        if (adapter->pair[i].a) {
            add(o, adapter->pair[i].a, arena_printf(&o->names, "%s.lora_A", m->linear[i].module), true);
            add(o, adapter->pair[i].b, arena_printf(&o->names, "%s.lora_B", m->linear[i].module), true);
        }
    return make_state(o, kind, e);
}

void optimizer_close(Optimizer *o)
{
    for (int i = 0; i < o->n; i++) {
        o->t[i].w->wants_grad = false;
        o->t[i].w->grad = NULL;
    }
    if (o->be)
        tarena_release(&o->arena);
    arena_release(&o->names);
    free(o->t);
    *o = (Optimizer){ 0 };
}

void optimizer_zero_grad(Optimizer *o)
{
    for (int i = 0; i < o->n; i++)
        o->be->fill(o->be, o->t[i].grad, 0);
}

double optimizer_grad_norm(const Optimizer *o)
{
    double sum = 0;
    for (int i = 0; i < o->n; i++)
        sum += o->be->sumsq(o->be, o->t[i].grad);
    return sqrt(sum);
}

double optimizer_weight_norm(const Optimizer *o)
{
    double sum = 0;
    for (int i = 0; i < o->n; i++)
        sum += o->be->sumsq(o->be, o->t[i].w);
    return sqrt(sum);
}

void optimizer_step(Optimizer *o, const TrainCfg *c, double lr, double norm, int64_t step)
{
    const double clip = c->clip > 0 ? MIN(c->clip / (norm + 1e-6), 1) : 1;
    AdamW        a = { .lr = (float)lr, .beta1 = (float)c->beta1, .beta2 = (float)c->beta2, .eps = (float)c->adam_eps, .step = step };
    for (int i = 0; i < o->n; i++) {
        Trainable *t = &o->t[i];
        a.weight_decay = t->decays ? (float)c->weight_decay : 0;
        o->be->adamw(o->be, t->w, t->grad, t->m, t->v, &a, (float)clip);
    }
}
