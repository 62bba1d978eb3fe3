/* lora_tables.c - whole tables that an adapter brings along: the embedding and the head trained in full beside the low-rank pairs (PEFT's
 * modules_to_save, or a vocabulary that grew). They take the place of the base model's tables wherever the adapter is used, are merged with it, and
 * are written back with it. In files they are base_model.model.<name of the weight in the model>.
 * Invariant: a table has the shape of the one it replaces. A tied model with one such table has two different tables from then on. */
#include "model/lora_int.h"
#include "model/model_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

Tensor *adapter_embed(const Adapter *a, const Model *m)
{
    return a && a->embed ? a->embed : m->embed;
}

Tensor *adapter_head(const Adapter *a, const Model *m)
{
    return a && a->head ? a->head : m->head_w;
}

bool adapter_unties(const Adapter *a, const Model *m)
{
    return m->cfg.tied && a && (a->embed || a->head);
}

const Tensor *adapter_weight(const Adapter *a, const Model *m, const Slot *s)
{
    return s->at == &m->embed ? adapter_embed(a, m) : s->at == &m->head_w ? adapter_head(a, m) : *s->at;
}

/* The two tables an adapter may bring, with the slots they stand for. */
static int places(Adapter *a, const Model *m, const Slot **slot, Tensor ***at)
{
    for (int i = 0; i < m->slots->n; i++)
        if (m->slots->p[i].at == &m->embed)
            slot[0] = &m->slots->p[i];
        else if (m->slots->p[i].at == &m->head_w)
            slot[1] = &m->slots->p[i];
    if (m->cfg.tied)
        slot[1] = &m->slots->tied_head;
    at[0] = &a->embed;
    at[1] = &a->head;
    return 2;
}

static void table_name(const Model *m, const Slot *s, StrBuf *out)
{
    StrBuf name = { 0 };
    slot_name(m, s, &name);
    strbuf_clear(out);
    strbuf_addf(out, PEFT_PREFIX "%s", strbuf_z(&name));
    strbuf_release(&name);
}

static int load_table(Adapter *a, const Model *m, const StFile *f, const StTensor *t, const Slot *s, Tensor **at, Err *e)
{
    if (t->rank != 2 || t->dim[0] != s->dim[0] || t->dim[1] != s->dim[1])
        return err_set(e, ERR_INPUT, "%s: %s has %lld rows of %lld numbers, the table of %s that it replaces has %lld of %lld; the adapter was made for another "
                       "base, or for this one with its vocabulary resized: give it that base", st_where(f, t), t->name, (long long)(t->rank ? t->dim[0] : 0),
                       (long long)(t->rank == 2 ? t->dim[1] : 0), m->path, (long long)s->dim[0], (long long)s->dim[1]);
    if (!t->known || (t->dtype != DT_F32 && t->dtype != DT_F16 && t->dtype != DT_BF16))
        return err_set(e, ERR_INPUT, "%s: %s is stored as %s, expected F32, F16 or BF16", st_where(f, t), t->name, t->dtype_text);
    *at = tarena_tensor(&a->arena, s->name, DT_F32, 2, s->dim);
    if (tarena_failed(&a->arena, e))
        return err_wrap(e, "the adapter's %s", s->name);
    float *v = mem_alloc((size_t)MAX(t->count, 1) * sizeof *v);
    dtype_to_f32(v, t->data, t->dtype, t->count);
    m->be->upload(m->be, (*at)->data, v, (size_t)t->count * sizeof *v);
    free(v);
    return 0;
}

/* Does the entry of modules_to_save mean this weight? As in PEFT: the module's whole name, or its last parts. */
static bool means(Str entry, const Model *m, const Slot *s)
{
    StrBuf name = { 0 };
    slot_name(m, s, &name);
    const size_t tail = strlen(".weight"), n = name.n > tail ? name.n - tail : 0;
    const bool   hit = entry.n && entry.n <= n && memcmp(name.p + n - entry.n, entry.p, entry.n) == 0 && (entry.n == n || name.p[n - entry.n - 1] == '.');
    strbuf_release(&name);
    return hit;
}

int adapter_load_tables(Adapter *a, const Model *m, const StFile *f, const Json *config, Map *used, const char *where, Err *e)
{
    const Slot *slot[2] = { NULL };
    Tensor    **at[2];
    StrBuf      name = { 0 };
    Json       *list = NULL;
    int         n = places(a, m, slot, at), rc = json_opt_array(config, "modules_to_save", &list, where, e);
    for (int k = 0; k < n && !rc; k++) {
        table_name(m, slot[k], &name);
        const StTensor *t = st_find(f, strbuf_z(&name));
        if (!t)
            continue;
        rc = load_table(a, m, f, t, slot[k], at[k], e);
        map_put(used, strbuf_str(&name), 1);
    }
    for (size_t i = 0; i < json_len(list) && !rc; i++) {
        const Str entry = json_str(json_at(list, i));
        bool      there = false;
        for (int k = 0; k < n; k++)
            there |= means(entry, m, slot[k]) && *at[k];
        if (!there)
            rc = err_set(e, ERR_INPUT, "%s: modules_to_save names \"%.*s\"; of modules trained whole hone reads the embedding and the head, and they must be in "
                         "the adapter's file; merge the adapter with the tool that made it", where, (int)MIN(entry.n, (size_t)60), entry.p ? entry.p : "");
    }
    strbuf_release(&name);
    return rc;
}

Json *adapter_tables_json(const Adapter *a, const Model *m)
{
    const Slot *slot[2] = { NULL };
    Tensor    **at[2];
    Adapter     copy = *a;
    Json       *list = json_arr_new();
    StrBuf      name = { 0 };
    for (int k = 0, n = places(&copy, m, slot, at); k < n; k++)
        if (*at[k]) {
            slot_name(m, slot[k], &name);
            Str s = strbuf_str(&name);
            s.n -= strlen(".weight");
            while (memchr(s.p, '.', s.n)) { /* the last part */
                const char *dot = memchr(s.p, '.', s.n);
                s.n -= (size_t)(dot + 1 - s.p);
                s.p = dot + 1;
            }
            json_push(list, json_str_new(s));
        }
    strbuf_release(&name);
    return list;
}

void adapter_declare_tables(const Adapter *a, const Model *m, StWriter *w, Arena *names)
{
    const Slot *slot[2] = { NULL };
    Tensor    **at[2];
    Adapter     copy = *a;
    StrBuf      name = { 0 };
    for (int k = 0, n = places(&copy, m, slot, at); k < n; k++)
        if (*at[k]) {
            table_name(m, slot[k], &name);
            st_declare(w, arena_strdup(names, strbuf_z(&name)), DT_F32, 2, slot[k]->dim);
        }
    strbuf_release(&name);
}

int adapter_write_tables(const Adapter *a, const Model *m, StWriter *w, Err *e)
{
    const Tensor *t[] = { a->embed, a->head };
    int           rc = 0;
    for (size_t k = 0; k < ARRAY_LEN(t) && !rc; k++)
        if (t[k]) {
            const size_t nbytes = (size_t)tensor_numel(t[k]) * sizeof(float);
            float       *v = mem_alloc(nbytes);
            m->be->download(m->be, v, t[k]->data, nbytes);
            rc = st_write(w, v, nbytes, e);
            free(v);
        }
    return rc;
}
