/* stream.c - mapped weights that come and go: for a model that is larger than the memory it may take. The blocks' matrices lie in the file (load.c). Where kernels
 * read the program's own memory, the system is asked to read the next block before one runs, and after it has run its pages may leave memory. A device has copies: of
 * all blocks, or, streaming, room for two of them (Rooms). While a block's kernels run the next one goes up into the room that they do not use, beside them (Track); on the way
 * back the blocks come in the other order, and the last two are still there. Numbers do not change. And what mapped weights take, for the planner.
 * Invariants: a weight whose block is not on the device has no address, so that nothing can be computed from what lies there now; the rooms fit every block. */
#include "base/file.h"
#include "base/mem.h"
#include "model/model_int.h"
#include "tensor/dry/dry.h"
#include "tensor/inspect.h"

#include <stdlib.h>

#define ROOM_ALIGN ((size_t)256) /* of each matrix in a room, as a device's own blocks have it */

/* layer: the block whose weights are in each, -1: none; last: the room of the block that runs or ran last; read: the kernels that read it have run; full: its copies. */
typedef struct Rooms { Tensor *room[2]; int layer[2]; int last; Mark read[2], full[2]; } Rooms;

static size_t slot_bytes(const Slot *s) { return dtype_bytes((*s->at)->dtype, tensor_numel(*s->at)); }
static size_t slot_room(const Slot *s) { return (slot_bytes(s) + ROOM_ALIGN - 1) / ROOM_ALIGN * ROOM_ALIGN; }

static bool is_streamed(const Model *m, const Slot *s) { return s->mapped && s->layer >= 0 && !m->be->host; }

void slot_numbers(const Slot *s, const Tensor *t, float *dst)
{
    if (s->mapped && t == *s->at)
        dtype_to_f32(dst, s->mapped, t->dtype, tensor_numel(t));
    else
        tensor_get(t, dst);
}

static void each_mapped(const Model *m, int layer, void (*act)(const void *p, size_t n))
{
    for (int i = 0; i < m->slots->n; i++) {
        const Slot *s = &m->slots->p[i];
        if (s->layer == layer && s->mapped)
            act(s->mapped, slot_bytes(s));
    }
}

/* --- on a device ------------------------------------------------------------------------------------------------------------------------------- */

/* The next piece of a's memory for the numbers of a slot; NULL: no room. */
static void *place_in(TArena *a, const Slot *s)
{
    const Tensor *t = tarena_tensor(a, s->name, (*s->at)->dtype, s->rank, s->dim);
    return t ? t->data : NULL;
}

static int no_room(const Model *m, const TArena *a, const char *what, Err *e)
{
    tarena_failed(a, e);
    return err_wrap(e, "%s: %s", m->path, what);
}

int stream_place(Model *m, Slot *s, void **dst, Err *e)
{
    *dst = m->stream ? NULL : place_in(&m->blocks, s);
    (*s->at)->data = *dst;
    return *dst || m->stream ? 0 : no_room(m, &m->blocks, s->name, e);
}

static size_t room_bytes(const Model *m)
{
    size_t *of = mem_zalloc((size_t)MAX(m->cfg.layers, 1), sizeof *of), most = 0;
    for (int i = 0; i < m->slots->n; i++)
        if (is_streamed(m, &m->slots->p[i]))
            of[m->slots->p[i].layer] += slot_room(&m->slots->p[i]);
    for (int64_t i = 0; i < m->cfg.layers; i++)
        most = MAX(most, of[i]);
    free(of);
    return most;
}

/* Two rooms, or a place for each slot. */
static bool take_rooms(TArena *a, const Model *m, Tensor *room[2])
{
    const int64_t n = (int64_t)(room_bytes(m) / sizeof(float));
    for (int i = 0; i < 2; i++)
        room[i] = tarena_tensor(a, "streamed block", DT_F32, 1, &n);
    return room[0] && room[1];
}

size_t model_blocks_bytes(const Model *m, bool stream)
{
    if (m->be->host)
        return 0;
    Backend *dry = backend_dry_open();
    TArena   a;
    Tensor  *room[2];
    dry->host = false; /* chunks of the arena as a device has them */
    tarena_init(&a, dry);
    if (stream)
        take_rooms(&a, m, room);
    for (int i = 0; i < m->slots->n && !stream; i++)
        if (is_streamed(m, &m->slots->p[i]))
            place_in(&a, &m->slots->p[i]);
    const size_t n = a.reserved;
    tarena_release(&a);
    dry->close(dry);
    return n;
}

void stream_close(Model *m)
{
    if (m->blocks.be)
        tarena_release(&m->blocks);
    free(m->rooms);
    m->rooms = NULL;
}

static int load_blocks(Model *m, Err *e)
{
    for (int i = 0; i < m->slots->n; i++) {
        Slot *s = &m->slots->p[i];
        void *dst = NULL;
        if (!is_streamed(m, s))
            continue;
        const int rc = stream_place(m, s, &dst, e);
        if (rc)
            return rc;
        m->be->upload(m->be, dst, s->mapped, slot_bytes(s));
        file_forget(s->mapped, slot_bytes(s));
    }
    return 0;
}

int model_stream(Model *m, bool stream, Err *e)
{
    if (m->be->host || (m->stream == stream && (m->rooms != NULL) == stream)) {
        m->stream = stream;
        return 0;
    }
    stream_close(m);
    for (int i = 0; i < m->slots->n; i++)
        if (is_streamed(m, &m->slots->p[i]))
            (*m->slots->p[i].at)->data = NULL;
    m->stream = stream;
    if (!stream)
        return load_blocks(m, e);
    m->rooms = mem_alloc(sizeof *m->rooms);
    *m->rooms = (Rooms){ .layer = { -1, -1 } };
    return take_rooms(&m->blocks, m, m->rooms->room) ? 0 : no_room(m, &m->blocks, "room for the weights of two blocks", e);
}

/* Sees to it that a block's weights are, or come, on the device; returns their room. The room that the last block used is left alone. */
static int bring(const Model *m, int layer)
{
    Rooms    *r = m->rooms;
    const int number = m->first + layer, to = r->layer[r->last] == number ? r->last : !r->last;
    size_t    off = 0;
    if (r->layer[to] == number)
        return to;
    backend_after(m->be, TRACK_COPIES, r->read[to]);
    for (int i = 0; i < m->slots->n; i++) {
        const Slot *s = &m->slots->p[i];
        if (!is_streamed(m, s))
            continue;
        if (s->layer == r->layer[to])
            (*s->at)->data = NULL;
        if (s->layer != number)
            continue;
        (*s->at)->data = (char *)r->room[to]->data + off;
        backend_send(m->be, (*s->at)->data, s->mapped, slot_bytes(s));
        file_forget(s->mapped, slot_bytes(s));
        off += slot_room(s);
    }
    r->full[to] = backend_mark(m->be, TRACK_COPIES);
    r->layer[to] = number;
    return to;
}

/* --- around a block ------------------------------------------------------------------------------------------------------------------------------ */

static bool has_block(const Model *m, int layer) { return layer >= 0 && layer < m->cfg.layers; }

void stream_begin(const Model *m, int layer, int next)
{
    Rooms *r = m->rooms;
    if (r) {
        r->last = bring(m, layer);
        backend_after(m->be, TRACK_KERNELS, r->full[r->last]);
    } else if (m->stream && m->be->host && has_block(m, next)) {
        each_mapped(m, m->first + next, file_expect);
    }
}

void stream_end(const Model *m, int layer, int next)
{
    if (m->rooms)
        m->rooms->read[m->rooms->last] = backend_mark(m->be, TRACK_KERNELS);
    if (m->rooms && has_block(m, next))
        bring(m, next);
    else if (m->stream && m->be->host)
        each_mapped(m, m->first + layer, file_forget);
}

/* --- what they take ------------------------------------------------------------------------------------------------------------------------------ */

size_t model_mapped_bytes(const Model *m, int layer)
{
    size_t n = 0;
    for (int i = 0; i < m->slots->n; i++)
        if (m->slots->p[i].layer == layer && m->slots->p[i].mapped)
            n += slot_bytes(&m->slots->p[i]);
    return n;
}

bool model_is_mapped(const Model *m, const Tensor *w)
{
    for (int i = 0; i < m->slots->n; i++)
        if (*m->slots->p[i].at == w)
            return m->slots->p[i].mapped != NULL;
    return false;
}

void model_forget(const Model *m)
{
    for (int i = -1; i < m->cfg.layers; i++)
        each_mapped(m, i, file_forget);
}

Model model_slice(const Model *m, int first, int layers)
{
    Model s = *m;
    s.first += first;
    s.block += first;
    s.cfg.layers = layers;
    memmove(s.cfg.layer, s.cfg.layer + first, (size_t)layers);
    return s;
}
