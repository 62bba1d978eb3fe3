/* lanes.h - for quant_*.c: four numbers side by side, one of each of four sub-blocks. Searches sum along a sub-block in a fixed order; so that they
 * still use vector registers, four of them walk together. Each lane is plain F32 arithmetic, rounded as in a scalar program. */
#ifndef HONE_LANES_H
#define HONE_LANES_H

#include "base/base.h"

#define LANES 4

typedef float   F4 __attribute__((vector_size(16)));
typedef int32_t I4 __attribute__((vector_size(16)));       /* also what comparing gives: all bits of a lane, or none */

static inline F4 f4_pick(I4 m, F4 yes, F4 no) { return (F4)(((I4)yes & m) | ((I4)no & ~m)); }
static inline I4 i4_pick(I4 m, I4 yes, I4 no) { return (yes & m) | (no & ~m); }
static inline F4 f4_abs(F4 x)                 { return (F4)((I4)x & 0x7fffffff); }
static inline F4 f4_of_i4(I4 v)               { return __builtin_convertvector(v, F4); }
static inline bool i4_any(I4 m)               { return (m[0] | m[1] | m[2] | m[3]) != 0; }

/* As nearest_whole, within low..high. */
static inline I4 f4_steps(F4 x, int low, int high)
{
    I4 v = ((I4)(x + 12582912.0f) & 0x007fffff) - 0x00400000;
    v = i4_pick(v < low, v - v + low, v);
    return i4_pick(v > high, v - v + high, v);
}

/* x[n] of four sub-blocks that follow each other. */
static inline void f4_gather(F4 *to, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = (F4){ x[i], x[n + i], x[2 * n + i], x[3 * n + i] };
}

static inline void i4_scatter(uint8_t *to, const I4 *v, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < LANES; k++)
            to[k * n + i] = (uint8_t)v[i][k];
}

/* The number of largest magnitude, the first of equals. */
static inline F4 f4_peak(const F4 *x, int n)
{
    F4 max = {0}, amax = {0};
    for (int i = 0; i < n; i++) {
        F4 a = f4_abs(x[i]);
        max = f4_pick(a > amax, x[i], max);
        amax = f4_pick(a > amax, a, amax);
    }
    return max;
}

#endif
