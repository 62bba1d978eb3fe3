/* model_int.h - what the files of this folder share and nobody else sees. */
#ifndef HONE_MODEL_INT_H
#define HONE_MODEL_INT_H

#include "model/model.h"

/* One weight of the model: the name files use for it (without the family's prefix), where it lies, its shape in memory. */
typedef struct Slot {
    char    *name;                  /* "layers.0.self_attn.q_proj.weight"; the prefix is added by who reads or writes */
    Tensor **at;
    int      rank;
    int64_t  dim[2];                /* in memory; the file holds the transpose when `transposed` */
    bool     transposed;
    bool     prefixed;              /* the family's prefix belongs to the name (not for lm_head) */
    int      linear;                /* index into Model.linear for the weight matrix of an adaptable linear, else -1 */
    bool     decays;
} Slot;

typedef struct SlotList { Slot *p; int n, cap; } SlotList;

/* Lays out the model described by m->cfg and m->fam: makes m->block, names every linear, lists every weight in file order (m->slots). */
void slots_build(Model *m);

Tensor *nn_norm(Tape *t, const Model *m, const Norm *n, Tensor *x); /* block.c: the family's norm */

#endif
