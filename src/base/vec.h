/* vec.h - typed growable arrays in three macros.  VEC(int) v = {0};  *vec_push(&v) = 3;  v.p[0];  vec_release(&v);
 * vec_push yields the address of a new zeroed element; addresses of elements move when the array grows. */
#ifndef HONE_VEC_H
#define HONE_VEC_H

#include "base/mem.h"

#define VEC(T) struct { T *p; size_t n, cap; }
#define vec_push(v) ((v)->p = vec_grow_((v)->p, sizeof *(v)->p, (v)->n, &(v)->cap), &(v)->p[(v)->n++])
#define vec_clear(v) ((v)->n = 0)
#define vec_release(v) (free((v)->p), (v)->p = NULL, (v)->n = (v)->cap = 0)

void *vec_grow_(void *p, size_t size, size_t n, size_t *cap);

#include <stdlib.h>
#endif
