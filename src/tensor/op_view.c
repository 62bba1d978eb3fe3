/* op_view.c - a slice of columns as a tensor of its own. It shares the numbers and, when recording, the gradient of the whole, so it needs no
 * record and no backward: what flows into the slice's gradient has already arrived in the whole's. */
#include "tensor/ops.h"

Tensor *op_cols(Tape *t, Tensor *x, int64_t first, int64_t cols)
{
    if (!x)
        return NULL;
    bool    wants = t->recording && x->wants_grad;
    Tensor *v = tape_new(t, 0, cols), *dx = wants ? tape_grad(t, x) : NULL, *dv = dx ? tape_new(t, 0, cols) : NULL;
    if (!v || (wants && !dv))
        return NULL;
    *v = tensor_col_view(x, first, cols);
    if (wants) {
        *dv = tensor_col_view(dx, first, cols);
        v->wants_grad = true;
        v->grad = dv;
    }
    return v;
}
