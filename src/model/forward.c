/* forward.c - whole passes made of blocks: hidden states, log-probabilities, and the training pass with or without checkpointing.
 * One policy value decides what is kept; no op knows of it. Under CHECKPOINT_BLOCKS the arena holds each block's input, and a block's
 * inside lives only while that block runs (Chen et al. 2016); gradients of activations live no longer than that in any case. Under SPILL_INPUTS it
 * holds two of those inputs, and the others lie in a file from the first run of their block to the second; on a device they go and come beside the kernels of other
 * blocks (Track), and a third is held, which comes while a block runs. All policies run the same ops in the same
 * order on the same numbers, so gradients have the same bits. */
#include "model/lora.h"
#include "model/model_int.h"

#include "base/mem.h"

#include <stdlib.h>

static Tensor *embed(Tape *t, const Model *m, const Step *s)
{
    Tensor *x = op_embed(t, adapter_embed(s->adapter, m), s->ids);
    if (m->cfg.embed_scale != 1)
        x = op_scale(t, x, m->cfg.embed_scale);
    return m->pos_embed ? op_add(t, x, op_embed(t, m->pos_embed, s->pos)) : x;
}

/* Rows of the model's output that are read; only the last block can leave the others out, the keys and values of all are needed before. */
static const Tensor *rows_at(const Model *m, int layer, const Tensor *row)
{
    return layer == m->cfg.layers - 1 ? row : NULL;
}

/* Runs one block without a tape; only `out` [its rows, hidden] is left, which lies before all else the block takes. NULL, here as in every op:
 * the arena was refused memory; the pass reports it at its end (tarena_failed). left: copies have read what lies in `out`. */
static Tensor *block_run(const Model *m, TArena *a, int layer, Tensor *x, Tensor *out, const Step *s, const Tensor *row, Mark left)
{
    Tape t;
    tape_init(&t, m->be, a, false);
    TArenaMark mark = tarena_mark(a);
    stream_begin(m, layer, layer + 1);
    Tensor    *y = x && out ? block_forward(&t, m, layer, x, s, rows_at(m, layer, row)) : NULL;
    stream_end(m, layer, layer + 1);
    backend_after(m->be, TRACK_KERNELS, left);
    if (y)
        m->be->copy_rows(m->be, out, 0, y, 0, tensor_rows(out));
    tarena_rewind(a, mark);
    tape_release(&t);
    return y ? out : NULL;
}

Tensor *model_hidden(Tape *t, const Model *m, const Step *s, const Tensor *row)
{
    Tensor *x = embed(t, m, s);
    for (int i = 0; i < m->cfg.layers; i++) {
        const Tensor *last = rows_at(m, i, row);
        if (t->recording)
            x = block_forward(t, m, i, x, s, last);
        else
            x = block_run(m, t->arena, i, x, x ? tape_new(t, last ? tensor_numel(last) : tensor_rows(x), m->cfg.hidden) : NULL, s, row, 0);
    }
    return nn_norm(t, m, &m->final_norm, x);
}

Tensor *model_logits(Tape *t, const Model *m, const struct Adapter *a, Tensor *hidden)
{
    Tensor *y = op_linear(t, hidden, adapter_head(a, m), m->head_b, NULL, NULL, 0);
    if (y && m->cfg.logit_scale != 1) /* no family has a bias and a scale */
        m->be->scale(m->be, y, m->cfg.logit_scale);
    if (y && m->cfg.logit_softcap > 0)
        m->be->softcap(m->be, y, m->cfg.logit_softcap);
    return y;
}

Tensor *model_head_logp(Tape *t, const Model *m, const struct Adapter *a, Tensor *hidden, const Tensor *target)
{
    return op_head_logp(t, hidden, adapter_head(a, m), m->head_b, target, &(HeadCfg){ m->cfg.logit_scale, m->cfg.logit_softcap });
}

static int finish(const Model *m, const TArena *scratch, Err *e)
{
    return tarena_failed(scratch, e) ? e->code : m->be->sync(m->be, e);
}

int model_logp(const Model *m, TArena *scratch, const Step *s, const Tensor *row, const Tensor *target, Tensor **logp, Err *e)
{
    Tape t;
    tape_init(&t, m->be, scratch, false);
    *logp = model_head_logp(&t, m, s->adapter, model_hidden(&t, m, s, row), target);
    tape_release(&t);
    return finish(m, scratch, e);
}

/* The end of a pass, from the last block's output, the rows that predict a trained token: final norm, head and loss; then back to x's gradient. */
static Tensor *head_both_ways(Tape *t, const Model *m, const Step *s, Tensor *x, const Tensor *target, const Tensor *coef)
{
    Tensor *h = nn_norm(t, m, &m->final_norm, x);
    return op_head_fused(t, h, adapter_head(s->adapter, m), m->head_b, target, coef, &(HeadCfg){ m->cfg.logit_scale, m->cfg.logit_softcap });
}

static Tensor *leaf(TArena *a, Tensor *x, Tensor *grad)
{
    Tensor *l = x ? tarena_tensor(a, NULL, DT_F32, 1, (int64_t[]){ 0 }) : NULL;
    if (!l)
        return NULL;
    *l = *x;
    l->wants_grad = grad != NULL;
    l->grad = grad;
    return l;
}

/* All blocks have run once: what their routers chose is known, and a second run must not count again. */
static void routes_counted(const Step *s)
{
    if (s->route)
        s->route->frozen = true;
}

uint64_t model_spill_bytes(const Model *m, int64_t tokens)
{
    return (uint64_t)(m->cfg.layers - 1) * (uint64_t)tokens * (uint64_t)m->cfg.hidden * sizeof(float);
}

/* A block's input to where it is put aside, and back, beside the kernels. A device's numbers go straight to the program's memory, or by way of `bounce` to the file. from:
 * the kernels that wrote x, or read it last; *done: it is copied. */
static int put_aside(Spill *to, uint64_t at, const Tensor *x, size_t n, void *bounce, Mark from, Mark *done, Err *e)
{
    void *place = x->be->host || to->fd == SPILL_DRY ? NULL : spill_place(to, at, n);
    if (x->be->host || to->fd == SPILL_DRY)
        return spill_put(to, at, x->data, n, e);
    backend_after(x->be, TRACK_COPIES, from);
    backend_take(x->be, place ? place : bounce, x->data, n);
    *done = backend_mark(x->be, TRACK_COPIES);
    return place ? 0 : spill_put(to, at, bounce, n, e);
}

static int get_back(const Spill *file, uint64_t at, Tensor *x, size_t n, void *bounce, Mark from, Mark *done, Err *e)
{
    void *place = x->be->host || file->fd == SPILL_DRY ? NULL : spill_place(file, at, n);
    if (x->be->host || file->fd == SPILL_DRY)
        return spill_get(file, at, x->data, n, e);
    const int rc = place ? 0 : spill_get(file, at, bounce, n, e);
    backend_after(x->be, TRACK_COPIES, from);
    if (!rc)
        backend_send(x->be, x->data, place ? place : bounce, n);
    *done = backend_mark(x->be, TRACK_COPIES);
    return rc;
}

/* Every block runs twice. file NULL: the arena holds all inputs; else two, those of odd and of even blocks in turn, and the others lie in the file. On
 * the way back the input that comes next is asked for while a block runs; a device's has a place of its own to come to. */
static int pass_twice(const Model *m, TArena *a, const Step *s, const Tensor *row, const Tensor *target, const Tensor *coef, Spill *file, Tensor **logp, Err *e)
{
    const int     n = (int)m->cfg.layers;
    const int64_t dim[2] = { s->ids->dim[0], m->cfg.hidden };
    const size_t  nbytes = (size_t)(dim[0] * dim[1]) * sizeof(float);
    const bool    embed_wants = adapter_embed(s->adapter, m)->wants_grad || (m->pos_embed && m->pos_embed->wants_grad);
    Tensor      **x = mem_zalloc((size_t)n + 1, sizeof *x); /* x[i] is block i's input, x[n] the last block's output, which has fewer rows */
    Tape          t;
    int           rc;
    void         *bounce = file && !m->be->host && file->fd >= 0 ? mem_alloc(MAX(nbytes, 1)) : NULL;
    Mark          left[2] = { 0 }, come = 0; /* the inputs of even and of odd blocks are copied; the one that came last is there */
    BUG_ON(row->dim[0] > dim[0]);

    for (int i = 0; i <= n; i++)
        x[i] = file && i > 1 ? x[i - 2] : tarena_tensor(a, NULL, DT_F32, 2, (int64_t[]){ file || i < n ? dim[0] : row->dim[0], dim[1] });
    /* Two gradient buffers change places: that of a block's output and that of its input. A file's second is the place of x[n], once the head has run. */
    Tensor *gout = tarena_tensor(a, NULL, DT_F32, 2, dim), *gin = file ? x[n] : tarena_tensor(a, NULL, DT_F32, 2, dim);
    Tensor *in = x[n - 1], *in_next = file && !m->be->host ? tarena_tensor(a, NULL, DT_F32, 2, dim) : in;
    *logp = tarena_tensor(a, NULL, DT_F32, 2, (int64_t[]){ row->dim[0], 1 });
    if ((rc = tarena_failed(a, e) ? e->code : 0))
        goto done;
    Tensor last = tensor_row_view(x[n], 0, row->dim[0]), glast = tensor_row_view(gout, 0, row->dim[0]);

    TArenaMark mark = tarena_mark(a);
    tape_init(&t, m->be, a, false);
    Tensor *first = embed(&t, m, s);
    if (first)
        m->be->copy_rows(m->be, x[0], 0, first, 0, dim[0]);
    tape_release(&t);
    tarena_rewind(a, mark);
    for (int i = 0; i < n && !tarena_failed(a, NULL); i++) {
        if (file && i < n - 1 && (rc = put_aside(file, (uint64_t)i * nbytes, x[i], nbytes, bounce, backend_mark(m->be, TRACK_KERNELS), &left[i % 2], e)))
            goto done;
        block_run(m, a, i, x[i], i == n - 1 ? &last : x[i + 1], s, row, left[(i + 1) % 2]);
    }
    routes_counted(s);

    m->be->fill(m->be, &glast, 0);
    tape_init(&t, m->be, a, true);
    Tensor *lp = head_both_ways(&t, m, s, leaf(a, &last, &glast), target, coef);
    if (!tarena_failed(a, NULL)) {
        m->be->copy_rows(m->be, *logp, 0, lp, 0, row->dim[0]);
        tape_backward(&t);
    }
    tape_release(&t);
    tarena_rewind(a, mark);

    for (int i = n - 1; i >= 0 && !tarena_failed(a, NULL); i--) {
        const bool wanted = i > 0 || embed_wants;
        const Mark before = file ? backend_mark(m->be, TRACK_KERNELS) : 0;
        if (!file)
            in = x[i];
        else if (m->be->host && i < n - 1 && (rc = get_back(file, (uint64_t)i * nbytes, in, nbytes, NULL, 0, &come, e)))
            goto done;
        if (file && i > 0)
            spill_expect(file, (uint64_t)(i - 1) * nbytes, nbytes);
        backend_after(m->be, TRACK_KERNELS, come);
        if (wanted)
            m->be->fill(m->be, gin, 0);
        tape_init(&t, m->be, a, true);
        stream_begin(m, i, i - 1);
        Tensor *out = block_forward(&t, m, i, leaf(a, in, wanted ? gin : NULL), s, rows_at(m, i, row));
        if (!tarena_failed(a, NULL)) {
            out->grad = i == n - 1 ? &glast : gout;
            tape_backward(&t);
        }
        stream_end(m, i, i - 1);
        tape_release(&t);
        tarena_rewind(a, mark);
        Tensor *swap = gout;
        gout = gin;
        gin = swap;
        if (file && !m->be->host && i > 0) { /* where the input of the block before this one was */
            if ((rc = get_back(file, (uint64_t)(i - 1) * nbytes, in_next, nbytes, bounce, before, &come, e)))
                goto done;
            swap = in;
            in = in_next;
            in_next = swap;
        }
    }
    if (embed_wants) {
        tape_init(&t, m->be, a, true);
        first = embed(&t, m, s);
        if (!tarena_failed(a, NULL)) {
            first->grad = gout;
            tape_backward(&t);
        }
        tape_release(&t);
    }
    rc = finish(m, a, e);
done:
    free(bounce);
    free(x);
    return rc;
}

/* Activations are kept, their gradients are not: those of a block's inside end with the block, and those of its input and output lie in two buffers
 * that change places, as above. */
static int pass_kept(const Model *m, TArena *a, const Step *s, const Tensor *row, const Tensor *target, const Tensor *coef, Tensor **logp, Err *e)
{
    const int     n = (int)m->cfg.layers;
    const int64_t dim[2] = { s->ids->dim[0], m->cfg.hidden };
    Tensor      **x = mem_zalloc((size_t)n + 1, sizeof *x); /* x[i] is block i's input, x[n] the last block's output */
    int          *first = mem_zalloc((size_t)n + 1, sizeof *first); /* record of the tape with which it begins */
    Tape          t;
    BUG_ON(row->dim[0] > dim[0] || m->rooms); /* a block's weights are read again on the way back */
    tape_init(&t, m->be, a, true);
    x[0] = embed(&t, m, s);
    for (int i = 0; i < n; i++) {
        first[i] = t.n;
        x[i + 1] = block_forward(&t, m, i, x[i], s, rows_at(m, i, row));
    }
    first[n] = t.n;
    routes_counted(s);
    *logp = head_both_ways(&t, m, s, x[n], target, coef);
    Tensor *gout = tarena_tensor(a, NULL, DT_F32, 2, dim), *gin = tarena_tensor(a, NULL, DT_F32, 2, dim);
    if (!tarena_failed(a, NULL)) {
        TArenaMark mark = tarena_mark(a);
        Tensor     glast = tensor_row_view(gout, 0, row->dim[0]);
        for (int i = n; i >= 0; i--) { /* the head, then the blocks */
            Tensor *g = i == n ? &glast : gin;
            if (x[i]->wants_grad) {
                m->be->fill(m->be, g, 0);
                x[i]->grad = g;
            }
            tape_backward_to(&t, first[i]);
            tarena_rewind(a, mark);
            if (i < n) {
                Tensor *swap = gout;
                gout = gin;
                gin = swap;
            }
        }
        tape_backward(&t); /* the embedding */
    }
    tape_release(&t);
    free(x);
    free(first);
    return finish(m, a, e);
}

int model_train_pass(const Model *m, TArena *scratch, const Step *s, const Tensor *row, const Tensor *target, const Tensor *coef,
                     ActivationPolicy policy, Tensor **logp, Err *e)
{
    if (policy == KEEP_ALL)
        return pass_kept(m, scratch, s, row, target, coef, logp, e);
    BUG_ON(policy == SPILL_INPUTS && !s->spill);
    return pass_twice(m, scratch, s, row, target, coef, policy == SPILL_INPUTS ? s->spill : NULL, logp, e);
}

int kv_open(KvCache *kv, const Model *m, int slots, int32_t capacity, DType type, Err *e)
{
    *kv = (KvCache){ .slots = slots, .capacity = capacity };
    tarena_init(&kv->arena, m->be);
    kv->k = mem_zalloc((size_t)m->cfg.layers, sizeof *kv->k);
    kv->v = mem_zalloc((size_t)m->cfg.layers, sizeof *kv->v);
    const int64_t dim[2] = { (int64_t)slots * capacity, m->cfg.kv_heads * dtype_whole(type, m->cfg.head_dim) };
    for (int64_t i = 0; i < m->cfg.layers; i++) {
        kv->k[i] = tarena_tensor(&kv->arena, "kv.k", type, 2, dim);
        kv->v[i] = tarena_tensor(&kv->arena, "kv.v", type, 2, dim);
    }
    if (tarena_failed(&kv->arena, e)) {
        kv_close(kv);
        return err_wrap(e, "a key/value cache for %d texts of %d tokens", slots, capacity);
    }
    return 0;
}

void kv_close(KvCache *kv)
{
    if (kv->k)
        tarena_release(&kv->arena);
    free(kv->k);
    free(kv->v);
    *kv = (KvCache){ 0 };
}
