/* quant_k_write.c - writes the K formats, whose layouts quant_k.c describes. A block goes through four steps: each sub-block finds its own scale
 * (and minimum) in F32 by a search; the 8 or 16 found are rounded to small whole numbers of a common F16 scale; every number is then rounded
 * anew, with the scale that a reader will see; and the results are packed.
 * There are three searches, all for the scale with the least weighted squared error among few candidates; the first and the last walk four
 * sub-blocks at once (lanes.h):
 *   scale_by_steps  symmetric, from 19 guesses of where the largest number lands                            (Q6_K)
 *   scale_by_turns  symmetric, improving one number after the other while any gets better, five turns       (Q3_K)
 *   scale_and_min   with a minimum of at most 0, from guesses of the range; each refined by least squares   (Q2_K, Q4_K, Q5_K)
 * Invariant: every step is one rounded F32 operation in the order that ggml's reference takes, the sums too, so the bytes are the same ones.
 *
 * To add a format: its function here, its row in dtype.c. */
#include "formats/quant.h"

#include "formats/half.h"
#include "formats/lanes.h"

#include <math.h>

#define N       256
#define RUN     32
#define SUB_MAX 32             /* numbers of a sub-block */
#define TINY    1e-15f         /* a sub-block below this is all zero */

static inline int clamp(int v, int low, int high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

/* The number of largest magnitude, the first of equals. */
static float peak(const float *x, int n)
{
    float max = 0.0f, amax = 0.0f;
    for (int i = 0; i < n; i++) {
        float a = fabsf(x[i]);
        max = a > amax ? x[i] : max;
        amax = a > amax ? a : amax;
    }
    return max;
}

/* ---- Searches ---- */

/* x in whole steps of 1 / inv, from -half to half - 1; l is half more. The scale that is best for them, each number weighing its square, is
 * sxl / sll. */
static void try_steps(I4 *l, const F4 *x, int n, int half, F4 inv, F4 *sxl, F4 *sll)
{
    F4 xl = {0}, ll = {0};
    for (int i = 0; i < n; i++) {
        I4 step = f4_steps(inv * x[i], -half, half - 1);
        F4 f = f4_of_i4(step), w = x[i] * x[i];
        l[i] = step + half;
        xl += w * x[i] * f;
        ll += w * f * f;
    }
    *sxl = xl;
    *sll = ll;
}

static F4 scale_by_steps(uint8_t *q, const float *src, int n, int half)
{
    F4 x[SUB_MAX], sxl, sll;
    I4 best_l[SUB_MAX], l[SUB_MAX];
    f4_gather(x, src, n);
    F4 max = f4_peak(x, n);
    I4 live = ~(f4_abs(max) < TINY);
    try_steps(best_l, x, n, half, (float)-half / max, &sxl, &sll);
    F4 scale = f4_pick(sll != 0.0f, sxl / sll, (F4){0}), best = scale * sxl;
    for (int k = -9; k <= 9; k++) {
        if (k == 0)
            continue;
        try_steps(l, x, n, half, -((float)half + 0.1f * (float)k) / max, &sxl, &sll);
        I4 better = (sll > 0.0f) & (sxl * sxl > best * sll);
        if (!i4_any(better))
            continue;
        for (int i = 0; i < n; i++)
            best_l[i] = i4_pick(better, l[i], best_l[i]);
        scale = f4_pick(better, sxl / sll, scale);
        best = f4_pick(better, scale * sxl, best);
    }
    for (int i = 0; i < n; i++)
        best_l[i] &= live;
    i4_scatter(q, best_l, n);
    return f4_pick(live, scale, (F4){0});
}

static float scale_by_turns(uint8_t *q, const float *x, int n, int half)
{
    float max = peak(x, n), sxl = 0.0f, sll = 0.0f;
    int l[SUB_MAX];
    memset(q, 0, (size_t)n);
    if (fabsf(max) < TINY)
        return 0.0f;
    float inv = (float)-half / max;
    for (int i = 0; i < n; i++) {
        l[i] = clamp(nearest_whole(inv * x[i]), -half, half - 1);
        float w = x[i] * x[i], li = (float)l[i];
        sxl += w * x[i] * li;
        sll += w * li * li;
    }
    for (int turn = 0, changed = 1; turn < 5 && changed; turn++) {
        changed = 0;
        for (int i = 0; i < n; i++) {
            float w = x[i] * x[i], li = (float)l[i], xl = sxl - w * x[i] * li;      /* the sums without number i */
            if (!(xl > 0.0f))
                continue;
            float ll = sll - w * li * li;
            int other = clamp(nearest_whole(x[i] * ll / xl), -half, half - 1);
            if (other == l[i])
                continue;
            xl += w * x[i] * (float)other;
            ll += w * (float)other * (float)other;
            if (ll > 0.0f && xl * xl * sll > sxl * sxl * ll) {
                l[i] = other;
                sxl = xl;
                sll = ll;
                changed = 1;
            }
        }
    }
    for (int i = 0; i < n; i++)
        q[i] = (uint8_t)(l[i] + half);
    return sll > 0.0f ? sxl / sll : 0.0f;
}

/* What guesses of the range are tried: (from + step k + top) / (max - min), k = 0..tries. */
typedef struct Range { int top; float from, step; int tries; bool absolute; } Range;     /* absolute: errors count by magnitude, not square */

static F4 range_error(const F4 *x, const F4 *w, int n, const I4 *l, F4 scale, F4 min, bool absolute)
{
    F4 sum = {0};
    for (int i = 0; i < n; i++) {
        F4 d = scale * f4_of_i4(l[i]) + min - x[i];
        sum += w[i] * (absolute ? f4_abs(d) : d * d);
    }
    return sum;
}

/* x is about scale * q - *minus, q in 0..top. w: the weights of the numbers. */
static inline F4 scale_and_min(uint8_t *q, const F4 *x, const F4 *w, int n, const Range *r, F4 *minus)
{
    F4 min = x[0], max = x[0], sw = w[0], sx = sw * x[0];
    I4 best_l[SUB_MAX], l[SUB_MAX];
    for (int i = 1; i < n; i++) {
        min = f4_pick(x[i] < min, x[i], min);
        max = f4_pick(x[i] > max, x[i], max);
        sw += w[i];
        sx += w[i] * x[i];
    }
    min = f4_pick(min > 0.0f, (F4){0}, min);
    I4 live = max != min;
    F4 inv = (float)r->top / (max - min), scale = 1.0f / inv;
    for (int i = 0; i < n; i++)
        best_l[i] = f4_steps(inv * (x[i] - min), 0, r->top) & live;
    F4 best = range_error(x, w, n, best_l, scale, min, r->absolute);
    for (int k = 0; k <= r->tries; k++) {
        F4 sl = {0}, sll = {0}, sxl = {0};
        inv = (r->from + r->step * (float)k + (float)r->top) / (max - min);
        for (int i = 0; i < n; i++) {
            l[i] = f4_steps(inv * (x[i] - min), 0, r->top);
            F4 f = f4_of_i4(l[i]), wf = w[i] * f;
            sl += wf;
            sll += wf * f;
            sxl += wf * x[i];
        }
        F4 det = sw * sll - sl * sl, s = (sw * sxl - sx * sl) / det, m = (sll * sx - sl * sxl) / det;
        I4 above = m > 0.0f;
        s = f4_pick(above, sxl / sll, s);
        m = f4_pick(above, (F4){0}, m);
        F4 err = range_error(x, w, n, l, s, m, r->absolute);
        I4 better = live & (det > 0.0f) & (err < best);
        if (!i4_any(better))
            continue;
        for (int i = 0; i < n; i++)
            best_l[i] = i4_pick(better, l[i], best_l[i]);
        best = f4_pick(better, err, best);
        scale = f4_pick(better, s, scale);
        min = f4_pick(better, m, min);
    }
    i4_scatter(q, best_l, n);
    *minus = -min;
    return f4_pick(live, scale, (F4){0});
}

/* ---- Packing ---- */

/* Runs of 32 numbers of 2 bits, four runs to 32 bytes. */
static void put_pairs(uint8_t *p, const uint8_t *l)
{
    for (int half = 0; half < 2; half++, l += 4 * RUN)
        for (int j = 0; j < RUN; j++)
            *p++ = (uint8_t)(l[j] | l[j + RUN] << 2 | l[j + 2 * RUN] << 4 | l[j + 3 * RUN] << 6);
}

/* Two runs to 32 bytes, and where high is given, each number's fifth bit. */
static void put_nibbles(uint8_t *p, uint8_t *high, const uint8_t *l)
{
    for (int run = 0; run < N / RUN; run += 2, l += 2 * RUN)
        for (int j = 0; j < RUN; j++) {
            *p++ = (uint8_t)((l[j] & 15) | (l[j + RUN] & 15) << 4);
            if (high)
                high[j] = (uint8_t)(high[j] | (l[j] >> 4) << run | (l[j + RUN] >> 4) << (run + 1));
        }
}

/* The numbers of a sub-block in whole steps of the scale that a reader sees. Where that is 0 the steps of the search stay. */
static void round_range(uint8_t *l, const float *x, int n, float scale, float min, int top)
{
    for (int i = 0; i < n; i++)
        l[i] = (uint8_t)clamp(nearest_whole((x[i] + min) / scale), 0, top);
}

static void round_steps(uint8_t *l, const float *x, int n, float scale, int half)
{
    for (int i = 0; i < n; i++)
        l[i] = (uint8_t)(clamp(nearest_whole(x[i] / scale), -half, half - 1) + half);
}

static float largest(const float *v, int n)
{
    float max = 0.0f;
    for (int i = 0; i < n; i++)
        max = v[i] > max ? v[i] : max;
    return max;
}

/* ---- Formats ---- */

void q2_k_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    static const Range range = { 3, -0.5f, 0.1f, 15, true };
    for (; blocks > 0; blocks--, src += N, dst += 84) {
        float scale[16], min[16];
        uint8_t l[N];
        for (int sub = 0; sub < 16; sub += LANES) {
            F4 x[16], w[16], m;
            f4_gather(x, src + 16 * sub, 16);
            for (int i = 0; i < 16; i++)
                w[i] = f4_abs(x[i]);
            F4 d = scale_and_min(l + 16 * sub, x, w, 16, &range, &m);
            memcpy(scale + sub, &d, sizeof d);
            memcpy(min + sub, &m, sizeof m);
        }
        float scale_max = largest(scale, 16), min_max = largest(min, 16);
        f16_put(dst + 80, scale_max > 0.0f ? scale_max / 15.0f : 0.0f);
        f16_put(dst + 82, min_max > 0.0f ? min_max / 15.0f : 0.0f);
        for (int sub = 0; sub < 16; sub++) {
            unsigned s = scale_max > 0.0f ? (unsigned)nearest_whole(15.0f / scale_max * scale[sub]) : 0;
            unsigned m = min_max > 0.0f ? (unsigned)nearest_whole(15.0f / min_max * min[sub]) : 0;
            dst[sub] = (uint8_t)(s | m << 4);
            float d = f16_at(dst + 80) * (float)(dst[sub] & 15);
            if (d != 0.0f)
                round_range(l + 16 * sub, src + 16 * sub, 16, d, f16_at(dst + 82) * (float)(dst[sub] >> 4), 3);
        }
        put_pairs(dst + 16, l);
    }
}

void q3_k_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += N, dst += 110) {
        float scale[16];
        uint8_t l[N], *small = dst + 96;
        for (int sub = 0; sub < 16; sub++)
            scale[sub] = scale_by_turns(l + 16 * sub, src + 16 * sub, 16, 4);
        float max = peak(scale, 16), inv = max != 0.0f ? -32.0f / max : 0.0f;
        memset(dst, 0, 110);
        f16_put(dst + 108, max != 0.0f ? 1.0f / inv : 0.0f);
        for (int sub = 0; sub < 16; sub++) {
            int s = clamp(nearest_whole(inv * scale[sub]), -32, 31), bits = max != 0.0f ? s + 32 : 0;
            small[sub % 8] = (uint8_t)(small[sub % 8] | (bits & 15) << (sub / 8 * 4));
            small[8 + sub % 4] = (uint8_t)(small[8 + sub % 4] | bits >> 4 << (sub / 4 * 2));
            float d = f16_at(dst + 108) * (float)s;
            if (d != 0.0f)
                round_steps(l + 16 * sub, src + 16 * sub, 16, d, 4);
        }
        for (int i = 0; i < N; i++) {
            dst[i % RUN] = (uint8_t)(dst[i % RUN] | l[i] >> 2 << (i / RUN));
            l[i] &= 3;
        }
        put_pairs(dst + 32, l);
    }
}

/* The 12 bytes of 8 six-bit scales and minima, as quant_k.c reads them. */
static void put_scales(uint8_t *p, const uint8_t *s, const uint8_t *m)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(s[i] | s[i + 4] >> 4 << 6);
        p[i + 4] = (uint8_t)(m[i] | m[i + 4] >> 4 << 6);
        p[i + 8] = (uint8_t)((s[i + 4] & 15) | (m[i + 4] & 15) << 4);
    }
}

/* What Q4_K and Q5_K share: d, dmin and the 12 bytes at dst, and l. */
static void narrow_runs(uint8_t *dst, uint8_t *l, const float *src, const Range *range)
{
    float scale[8], min[8];
    uint8_t s[8], m[8];
    for (int run = 0; run < 8; run += LANES) {
        F4 x[RUN], w[RUN], low, sxx = {0};
        f4_gather(x, src + RUN * run, RUN);
        for (int i = 0; i < RUN; i++)
            sxx += x[i] * x[i];
        sxx /= (float)RUN;
        F4 mean = { sqrtf(sxx[0]), sqrtf(sxx[1]), sqrtf(sxx[2]), sqrtf(sxx[3]) };
        for (int i = 0; i < RUN; i++)
            w[i] = mean + f4_abs(x[i]);
        F4 d = scale_and_min(l + RUN * run, x, w, RUN, range, &low);
        memcpy(scale + run, &d, sizeof d);
        memcpy(min + run, &low, sizeof low);
    }
    float scale_max = largest(scale, 8), min_max = largest(min, 8);
    float inv_scale = scale_max > 0.0f ? 63.0f / scale_max : 0.0f, inv_min = min_max > 0.0f ? 63.0f / min_max : 0.0f;
    f16_put(dst, scale_max / 63.0f);
    f16_put(dst + 2, min_max / 63.0f);
    for (int run = 0; run < 8; run++) {
        int a = (uint8_t)nearest_whole(inv_scale * scale[run]), b = (uint8_t)nearest_whole(inv_min * min[run]);
        s[run] = (uint8_t)(a < 63 ? a : 63);
        m[run] = (uint8_t)(b < 63 ? b : 63);
        float d = f16_at(dst) * (float)s[run];
        if (d != 0.0f)
            round_range(l + RUN * run, src + RUN * run, RUN, d, f16_at(dst + 2) * (float)m[run], range->top);
    }
    put_scales(dst + 4, s, m);
}

void q4_k_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    static const Range range = { 15, -1.0f, 0.1f, 20, false };
    for (; blocks > 0; blocks--, src += N, dst += 144) {
        uint8_t l[N];
        narrow_runs(dst, l, src, &range);
        put_nibbles(dst + 16, NULL, l);
    }
}

void q5_k_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    static const Range range = { 31, -0.5f, 0.1f, 15, false };
    for (; blocks > 0; blocks--, src += N, dst += 176) {
        uint8_t l[N];
        narrow_runs(dst, l, src, &range);
        memset(dst + 16, 0, RUN);
        put_nibbles(dst + 48, dst + 16, l);
    }
}

void q6_k_narrow(uint8_t *dst, const float *src, int64_t blocks)
{
    for (; blocks > 0; blocks--, src += N, dst += 210) {
        float scale[16];
        uint8_t l[N];
        for (int sub = 0; sub < 16; sub += LANES) {
            F4 d = scale_by_steps(l + 16 * sub, src + 16 * sub, 16, 32);
            memcpy(scale + sub, &d, sizeof d);
        }
        float max = peak(scale, 16), inv = -128.0f / max;
        if (fabsf(max) < TINY) {
            memset(dst, 0, 210);
            continue;
        }
        f16_put(dst + 208, 1.0f / inv);
        for (int sub = 0; sub < 16; sub++) {
            int s = nearest_whole(inv * scale[sub]);
            dst[192 + sub] = (uint8_t)(s < 127 ? s : 127);
            float d = f16_at(dst + 208) * (float)(int8_t)dst[192 + sub];
            if (d != 0.0f)
                round_steps(l + 16 * sub, src + 16 * sub, 16, d, 32);
        }
        for (int half = 0; half < 2; half++)
            for (int j = 0; j < RUN; j++) {
                const uint8_t *q = l + 128 * half + j;
                dst[64 * half + j] = (uint8_t)((q[0] & 15) | (q[64] & 15) << 4);
                dst[64 * half + RUN + j] = (uint8_t)((q[32] & 15) | (q[96] & 15) << 4);
                dst[128 + RUN * half + j] = (uint8_t)(q[0] >> 4 | q[32] >> 4 << 2 | q[64] >> 4 << 4 | q[96] >> 4 << 6);
            }
    }
}
