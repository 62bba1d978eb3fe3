/* optimizer.c - see optimizer.h. The update itself is a kernel of the backend. */
#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tensor/dry/dry.h"

#define HOST_ALIGN ((size_t)64) /* of moments in the program's memory, and in a room */

static size_t aligned(size_t n) { return (n + HOST_ALIGN - 1) / HOST_ALIGN * HOST_ALIGN; }
static size_t tensor_bytes(const Tensor *t) { return dtype_bytes(t->dtype, tensor_numel(t)); }

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

/* What lies where, in a: gradients, and moments or the rooms that they pass through. Moments that do not lie there have no address yet. */
static bool lay_out(Optimizer *o, TArena *a, bool paged)
{
    o->half = 0;
    for (int i = 0; i < o->n; i++) {
        Trainable    *t = &o->t[i];
        const bool    blocks = o->kind == OPTIM_ADAMW_8BIT && tensor_numel(t->w) >= OPTIM_8BIT_LEAST;
        const int64_t block = dtype_block(DT_DYN8), flat = (tensor_numel(t->w) + block - 1) / block * block;
        const struct { Tensor **at; DType type; } state[] = { { &t->grad, DT_F32 }, { &t->m, blocks ? DT_DYN8 : DT_F32 }, { &t->v, blocks ? DT_UDYN8 : DT_F32 } };
        for (size_t k = 0; k < ARRAY_LEN(state); k++) {
            const DType    type = state[k].type;
            const int      rank = type == DT_F32 ? t->w->rank : 1;
            const int64_t *dim = type == DT_F32 ? t->w->dim : &flat;
            if (k == 0 || !paged) {
                *state[k].at = tarena_tensor(a, t->name, type, rank, dim);
                continue;
            }
            Tensor *x = *state[k].at = arena_alloc(&a->structs, sizeof *x);
            *x = (Tensor){ .name = t->name, .dtype = type, .rank = rank, .ld = dim[rank - 1], .be = o->be };
            memcpy(x->dim, dim, (size_t)rank * sizeof *dim);
            o->half = MAX(o->half, aligned(MIN(tensor_bytes(x), dtype_bytes(type, o->piece))));
        }
    }
    const int64_t words = (int64_t)(2 * o->half / sizeof(float));
    for (int k = 0; k < 2 && paged; k++)
        o->room[k] = tarena_tensor(a, "moments on their way", DT_F32, 1, &words);
    return !tarena_failed(a, NULL);
}

size_t optimizer_bytes(const Optimizer *o, bool paged)
{
    Optimizer copy = *o;
    TArena    a;
    Backend  *dry = backend_dry_open();
    dry->host = o->be->host; /* chunks of the arena as it has them */
    tarena_init(&a, dry);
    copy.t = mem_alloc((size_t)(o->n + 1) * sizeof *copy.t);
    memcpy(copy.t, o->t, (size_t)o->n * sizeof *copy.t);
    lay_out(&copy, &a, paged && !dry->host);
    const size_t n = a.reserved;
    tarena_release(&a);
    dry->close(dry);
    free(copy.t);
    return n;
}

size_t optimizer_host_bytes(const Optimizer *o)
{
    size_t sum = 0;
    for (int i = 0; i < o->n; i++)
        sum += aligned(tensor_bytes(o->t[i].m)) + aligned(tensor_bytes(o->t[i].v));
    return sum;
}

static int make_state(Optimizer *o, bool paged, Err *e)
{
    o->paged = paged && !o->be->host;
    bool done = lay_out(o, &o->arena, o->paged);
    if (!done)
        tarena_failed(&o->arena, e);
    if (done && o->paged && !o->be->sizing) { /* a dry run takes none */
        const size_t n = optimizer_host_bytes(o);
        done = !spill_open_memory(&o->host, n, e); /* zeros */
        char *at = o->host.mem;
        for (int i = 0; i < o->n && done; i++) {
            o->t[i].m->data = at;
            o->t[i].v->data = at + aligned(tensor_bytes(o->t[i].m));
            at += aligned(tensor_bytes(o->t[i].m)) + aligned(tensor_bytes(o->t[i].v));
        }
        if (done && o->be->pin)
            o->be->pin(o->be, o->host.mem, n);
    }
    if (!done)
        return err_wrap(e, "gradients and moments of %lld trained numbers", (long long)o->n_values);
    for (int i = 0; i < o->n; i++) {
        Trainable *t = &o->t[i];
        clear(o->be, t->grad);
        if (!o->paged) {
            clear(o->be, t->m);
            clear(o->be, t->v);
        }
        t->w->wants_grad = true;
        t->w->grad = t->grad;
    }
    return 0;
}

static void leave_state(Optimizer *o)
{
    for (int i = 0; i < o->n; i++) {
        o->t[i].w->wants_grad = false;
        o->t[i].w->grad = NULL;
    }
    if (o->host.mem && o->be->unpin)
        o->be->unpin(o->be, o->host.mem);
    spill_close(&o->host);
    if (o->be)
        tarena_release(&o->arena);
}

int optimizer_page(Optimizer *o, bool paged, Err *e)
{
    if (o->be->host)
        return 0;
    leave_state(o);
    return make_state(o, paged, e);
}

int optimizer_open(Optimizer *o, Model *m, Adapter *adapter, Optim kind, bool paged, Err *e)
{
    *o = (Optimizer){ .be = m->be, .kind = kind, .piece = OPTIM_PIECE, .host = { .fd = -1 } };
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
    return make_state(o, paged, e);
}

void optimizer_close(Optimizer *o)
{
    leave_state(o);
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

/* --- the update ---------------------------------------------------------------------------------------------------------------------------------- */

typedef struct Piece { int t; int64_t at, n; } Piece; /* numbers [at, at + n) of a trainable; n 0: before the first */

static bool next_piece(const Optimizer *o, Piece *p)
{
    p->at += p->n;
    while (p->t < o->n && p->at >= tensor_numel(o->t[p->t].w))
        *p = (Piece){ .t = p->t + 1 };
    p->n = p->t < o->n ? MIN(o->piece, tensor_numel(o->t[p->t].w) - p->at) : 0;
    return p->n > 0;
}

/* Numbers of a piece of x that lie at `data`, one after the other; of moments in blocks, up to a whole one. */
static Tensor flat(const Tensor *x, const Piece *p, void *data)
{
    const int64_t block = dtype_block(x->dtype), n = (p->n + block - 1) / block * block;
    return (Tensor){ .name = x->name, .dtype = x->dtype, .rank = 1, .dim = { n }, .ld = n, .data = data, .be = x->be };
}

static Tensor part_of(const Tensor *x, const Piece *p) { return flat(x, p, (char *)x->data + dtype_bytes(x->dtype, p->at)); }

/* k: 0 m, 1 v */
static Tensor in_room(const Optimizer *o, const Piece *p, int room, int k)
{
    return flat(k ? o->t[p->t].v : o->t[p->t].m, p, (char *)o->room[room]->data + (size_t)k * o->half);
}

static void move(const Optimizer *o, const Piece *p, int room, void (*copy)(Backend *, void *, const void *, size_t), bool back)
{
    for (int k = 0; k < 2; k++) {
        const Tensor near = part_of(k ? o->t[p->t].v : o->t[p->t].m, p), far = in_room(o, p, room, k);
        copy(o->be, back ? near.data : far.data, back ? far.data : near.data, tensor_bytes(&near));
    }
}

/* The next piece comes behind the one that left its room before: copies are done in order. c NULL: nothing is updated. */
static void through_rooms(Optimizer *o, const TrainCfg *c, AdamW *a, float clip)
{
    Backend *be = o->be;
    Piece    p = { 0 };
    bool     more = next_piece(o, &p);
    if (more)
        move(o, &p, 0, backend_send, false);
    for (int room = 0; more; room = !room) {
        const Piece here = p;
        const Mark  come = backend_mark(be, TRACK_COPIES);
        if ((more = next_piece(o, &p)))
            move(o, &p, !room, backend_send, false);
        if (c) {
            const Trainable *t = &o->t[here.t];
            Tensor           w = part_of(t->w, &here), g = part_of(t->grad, &here), m = in_room(o, &here, room, 0), v = in_room(o, &here, room, 1);
            a->weight_decay = t->decays ? (float)c->weight_decay : 0;
            backend_after(be, TRACK_KERNELS, come);
            be->adamw(be, &w, &g, &m, &v, a, clip);
            backend_after(be, TRACK_COPIES, backend_mark(be, TRACK_KERNELS));
        }
        move(o, &here, room, backend_take, true);
    }
}

void optimizer_turn(Optimizer *o)
{
    if (o->paged)
        through_rooms(o, NULL, NULL, 0);
}

void optimizer_step(Optimizer *o, const TrainCfg *c, double lr, double norm, int64_t step)
{
    const double clip = c->clip > 0 ? MIN(c->clip / (norm + 1e-6), 1) : 1;
    AdamW        a = { .lr = (float)lr, .beta1 = (float)c->beta1, .beta2 = (float)c->beta2, .eps = (float)c->adam_eps, .step = step };
    if (o->paged)
        through_rooms(o, c, &a, (float)clip);
    for (int i = 0; i < o->n && !o->paged; i++) {
        Trainable *t = &o->t[i];
        a.weight_decay = t->decays ? (float)c->weight_decay : 0;
        o->be->adamw(o->be, t->w, t->grad, t->m, t->v, &a, (float)clip);
    }
}
