/* k_pack.h - numbers into panels, and sums into rows. Part of kern_body.h, and all that kern_amxbf16.c shares with the other sets.
 *
 * Panels hold words of 32 bits (see Tiles in kern.h): with PER 1 a word is a number, with PER 2 it is two neighbours of k rounded to bf16, and one
 * instruction multiplies both pairs and adds both products to an f32 sum. All that differs between the two stands under "words". Where UNIT is more than
 * 1, zeros fill k up to a multiple of so many words. */
#ifndef HONE_CPU_K_PACK_H
#define HONE_CPU_K_PACK_H

#include "tensor/cpu/k_quant.h"
#include "tensor/cpu/kern.h"
#include "tensor/cpu/simd.h"

#ifndef PER
#define PER 1
#endif
#ifndef UNIT
#define UNIT 1
#endif
#define NR (2 * VW)
_Static_assert(UNIT <= VW, "pack_strip has zeros for one vector");

/* ---- words ---- */

/* A type other than F32 that becomes words as it is stored; all others become f32 first. */
#define AS_STORED(type) (PER == 2 && (type) == DT_BF16)

#if PER == 2
/* The numbers of low, then those of high, in 16 bits each. Subnormal numbers become 0, as the multiplication takes them. */
VINLINE vf round_bf16(vf low, vf high) { return (vf)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low); }

/* Numbers [at, at + n) of a row, zeros behind them, two in a word. */
VINLINE vf words_along(DType type, const void *row, int64_t at, int64_t n)
{
    if (type == DT_BF16)
        return (vf)_mm512_maskz_loadu_epi16(n >= 2 * VW ? ~0u : (1u << n) - 1u, (const uint16_t *)row + at);
    return round_bf16(vget((const float *)row + at, n), vget((const float *)row + at + VW, n - VW));
}

/* Numbers [at, at + n) of two rows, zeros behind them; in a word one of each. The second row NULL: zeros. */
VINLINE vf words_down(DType type, const void *const row[PER], int64_t at, int64_t n)
{
#define ROW_OF_TWO(i, b) (((i) >> 1) + ((i) & 1) * 16)
    typedef int16_t vw16 __attribute__((vector_size(64)));
    static const vw16 turn = { LANES(ROW_OF_TWO, 0), LANES4(ROW_OF_TWO, 0, 16), LANES4(ROW_OF_TWO, 0, 20), LANES4(ROW_OF_TWO, 0, 24), LANES4(ROW_OF_TWO, 0, 28) };
    vf both;
    if (type == DT_BF16) {
        __mmask16 part = n >= VW ? 0xffff : vpart(MAX(n, 0));
        __m256i low = _mm256_maskz_loadu_epi16(part, (const uint16_t *)row[0] + at);
        __m256i high = row[1] ? _mm256_maskz_loadu_epi16(part, (const uint16_t *)row[1] + at) : _mm256_setzero_si256();
        both = (vf)_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    } else {
        both = round_bf16(vget((const float *)row[0] + at, n), row[1] ? vget((const float *)row[1] + at, n) : (vf){ 0 });
    }
    return (vf)_mm512_permutexvar_epi16((__m512i)turn, (__m512i)both);
}

VINLINE vf word_set(const float *p) { return (vf)_mm512_set1_epi32(*(const int32_t __attribute__((may_alias)) *)p); }
VINLINE vf words_fma(vf a, vf b, vf sum) { return (vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b); }
#else
VINLINE vf words_along(DType type, const void *row, int64_t at, int64_t n)
{
    (void)type;
    return vget((const float *)row + at, n);
}

VINLINE vf words_down(DType type, const void *const row[PER], int64_t at, int64_t n) { return words_along(type, row[0], at, n); }
VINLINE vf word_set(const float *p) { return vset(*p); }
VINLINE vf words_fma(vf a, vf b, vf sum) { return vfma(a, b, sum); }
#endif

/* ---- packing ---- */

#define WHOLE(k) (((k) + PER * UNIT - 1) / (PER * UNIT) * UNIT) /* words of k numbers and of the zeros behind them */

#define STRIP 256 /* numbers of a row made f32 at once: a strip of VW rows stays in the first cache */

/* VW rows, `rows` of them there, into lanes i0.. of a panel: dst is the panel at i0. */
VINLINE void pack_strip(DType type, float *dst, int64_t p, const void *src, int64_t ld, int64_t rows, int64_t k)
{
    const int64_t size = type == DT_BF16 ? 2 : 4;
    for (; k >= PER * VW; k -= PER * VW, src = (const char *)src + PER * VW * size, dst += VW * p) {
        vf r[VW];
#pragma GCC unroll 16
        for (int64_t i = 0; i < VW; i++) {
            if (i < rows)
                __builtin_prefetch((const char *)src + i * ld * size + 256);
            r[i] = i < rows ? words_along(type, src, i * ld, PER * VW) : (vf){ 0 };
        }
        vtranspose(r);
#pragma GCC unroll 16
        for (int64_t i = 0; i < VW; i++) /* in order: where p < VW each store covers the overhang of the one before */
            vstore(dst + i * p, r[i]);
    }
    if (k > 0)
        for (int64_t i = 0; i < MIN(VW, p); i++) {
            vf v = i < rows ? words_along(type, src, i * ld, k) : (vf){ 0 };
            for (int64_t l = 0; l < WHOLE(k); l++)
                dst[l * p + i] = v[l];
        }
}

static void pack_rows_F32(float *dst, int64_t p, const float *src, int64_t ld, int64_t n, int64_t k)
{
    for (int64_t i0 = 0; i0 < p; i0 += VW)
        pack_strip(DT_F32, dst + i0, p, src + i0 * ld, ld, MIN(MAX(n - i0, 0), VW), k);
}

static void pack_rows(DType type, float *dst, int64_t p, const void *src, int64_t ld, int64_t n, int64_t k)
{
    if (type == DT_F32) {
        pack_rows_F32(dst, p, src, ld, n, k);
        return;
    }
    for (int64_t i0 = 0; i0 < p; i0 += VW) {
        int64_t rows = MIN(MAX(n - i0, 0), VW);
        if (AS_STORED(type)) {
            pack_strip(DT_BF16, dst + i0, p, (const uint16_t *)src + i0 * ld, ld, rows, k);
            continue;
        }
        for (int64_t kk = 0; kk < k; kk += STRIP) {
            float wide[VW * (STRIP + 16)]; /* not STRIP: rows would meet in few places of the cache */
            for (int64_t i = 0; i < rows; i++)
                widen_of[type](wide + i * (STRIP + 16), (const char *)src + dtype_bytes(type, (i0 + i) * ld + kk), MIN(k - kk, STRIP));
            pack_strip(DT_F32, dst + kk / PER * p + i0, p, wide, STRIP + 16, rows, MIN(k - kk, STRIP));
        }
    }
}

/* n numbers of PER rows, into one slice of the panels from dst on. */
VINLINE void pack_slice(DType type, float *dst, int64_t p, int64_t step, const void *const row[PER], int64_t n)
{
    for (int64_t i = 0; i < n; i += p, dst += step)
        for (int64_t l = 0; l < p; l += VW)
            vstore(dst + l, words_down(type, row, i + l, n - i - l));
}

VINLINE void pack_columns(DType type, float *dst, int64_t p, int64_t step, const void *src, int64_t ld, int64_t n, int64_t k)
{
    const int64_t stride = (int64_t)dtype_bytes(type, ld);
    for (int64_t kk = 0; kk < k; kk += PER, dst += p) { /* panels inside: a row of src is read in one go */
        const char *row[PER];
        for (int r = 0; r < PER; r++)
            row[r] = kk + r < k ? (const char *)src + (kk + r) * stride : NULL;
        if (type == DT_F32) {
            pack_slice(DT_F32, dst, p, step, (const void *const *)row, n);
            continue;
        }
        if (AS_STORED(type)) {
            pack_slice(DT_BF16, dst, p, step, (const void *const *)row, n);
            continue;
        }
        for (int64_t i = 0; i < n; i += STRIP) {
            float       wide[PER][STRIP];
            const void *part[PER];
            for (int r = 0; r < PER; r++) {
                part[r] = row[r] ? wide[r] : NULL;
                if (row[r])
                    widen_of[type](wide[r], row[r] + dtype_bytes(type, i), MIN(n - i, STRIP));
            }
            pack_slice(DT_F32, dst + i / p * step, p, step, part, MIN(n - i, STRIP));
        }
    }
    for (int64_t kk = (k + PER - 1) / PER; kk < WHOLE(k); kk++, dst += p)
        for (int64_t i = 0; i < n; i += p)
            memset(dst + i / p * step, 0, (size_t)p * sizeof *dst);
}

static void pack_cols(DType type, float *dst, int64_t p, int64_t step, const void *src, int64_t ld, int64_t n, int64_t k)
{
    if (p == NR)
        pack_columns(type, dst, NR, step, src, ld, n, k);
    else
        pack_columns(type, dst, p, step, src, ld, n, k);
}

/* ---- sums ---- */

/* The ends of rows and the bias, out of line: sums [h][NR]. */
static void tile_edge(int64_t h, int64_t n, const float *sums, float *c, int64_t ldc, const Epi *e)
{
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < n; j += VW) {
            float *p = c + i * ldc + j;
            vf v = vload(sums + i * NR + j) * e->alpha;
            if (e->bias)
                v += vget(e->bias + j, n - j);
            vput(p, e->load ? vget(p, n - j) + v : v, n - j);
        }
}

#endif
