/* stream.c - mapped weights that come and go: for a model that is larger than the memory it may take. The blocks' matrices lie in the file (load.c); before
 * a block runs, the system is asked to read the next one, and after it has run, its pages may leave memory. Numbers do not change. And what mapped weights
 * take, for the planner. */
#include "base/file.h"
#include "model/model_int.h"

static void each_mapped(const Model *m, int layer, void (*act)(const void *p, size_t n))
{
    for (int i = 0; i < m->slots->n; i++) {
        const Slot   *s = &m->slots->p[i];
        const Tensor *t = *s->at;
        if (s->layer == layer && s->mapped)
            act(t->data, dtype_bytes(t->dtype, tensor_numel(t)));
    }
}

void stream_begin(const Model *m, int next)
{
    if (m->stream && next >= 0 && next < m->cfg.layers)
        each_mapped(m, next, file_expect);
}

void stream_end(const Model *m, int layer)
{
    if (m->stream)
        each_mapped(m, layer, file_forget);
}

size_t model_mapped_bytes(const Model *m, int layer)
{
    size_t n = 0;
    for (int i = 0; i < m->slots->n; i++)
        if (m->slots->p[i].layer == layer && m->slots->p[i].mapped)
            n += dtype_bytes((*m->slots->p[i].at)->dtype, tensor_numel(*m->slots->p[i].at));
    return n;
}

bool model_is_mapped(const Model *m, const Tensor *w)
{
    for (int i = 0; i < m->slots->n; i++)
        if (*m->slots->p[i].at == w)
            return m->slots->p[i].mapped;
    return false;
}

void model_forget(const Model *m)
{
    for (int i = -1; i < m->cfg.layers; i++)
        each_mapped(m, i, file_forget);
}
