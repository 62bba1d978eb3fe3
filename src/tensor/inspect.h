/* inspect.h - look at tensors: compare, find the first NaN, print. For tests, guards and debugging. */
#ifndef HONE_INSPECT_H
#define HONE_INSPECT_H

#include "base/str.h"
#include "tensor/backend.h"

typedef struct TensorDiff { double max_abs, max_rel, rel_norm; int64_t at; } TensorDiff; /* rel_norm = |a-b| / |b| (Frobenius); at: worst element */
TensorDiff tensor_diff(const Tensor *a, const float *want);           /* want: host, dense, same count */
bool       tensor_first_bad(const Tensor *t, int64_t *at);             /* first NaN or infinity */
void       tensor_print(StrBuf *out, const Tensor *t, int64_t max_elems);
void       tensor_get(const Tensor *t, float *dst);                    /* to dense host f32 */
void       tensor_put(Tensor *t, const float *src);                    /* from dense host f32 */

#endif
