/* k_gemm.h - the register tiles. Part of kern_body.h.
 *
 * A tile keeps h rows by two vectors of sums in registers; one step of k loads two vectors of b and multiplies them with h broadcast numbers of a.
 * The height and the number of vectors are constants inside a tile function, so there is one function for each height, made by macro, and
 * ragged edges cost what they hold. Each sum is one chain over k: its bits do not depend on the tile it was computed in. */
#ifndef HONE_CPU_K_GEMM_H
#define HONE_CPU_K_GEMM_H

#include "tensor/cpu/k_pack.h"

#if VW == 16
#define MR 14      /* 28 sums, 2 of b, 1 broadcast: 31 of 32 registers */
#define MR_ROWS 8  /* row pointers live in general registers, of which there are 16 */
#elif VW == 8
#define MR 6       /* 12 sums, 2 of b, 1 broadcast: 15 of 16 */
#define MR_ROWS 6
#else
#define MR 4
#define MR_ROWS 4
#endif
_Static_assert(MR <= VW, "pack writes one vector per slice of a");

VINLINE void tile_store(int h, int nv, int64_t n, vf acc[][2], float *c, int64_t ldc, const Epi *e)
{
    if (n != nv * VW || e->bias) {
        float sums[MR * NR];
#pragma GCC unroll 16
        for (int i = 0; i < h; i++)
#pragma GCC unroll 2
            for (int j = 0; j < nv; j++)
                vstore(sums + i * NR + j * VW, acc[i][j]);
        tile_edge(h, n, sums, c, ldc, e);
        return;
    }
    vf alpha = vset(e->alpha);
    __asm__("" : "+r"(c)); /* forget the addresses of the prefetches: fourteen of them would be kept in memory over the loop */
#pragma GCC unroll 16
    for (int i = 0; i < h; i++, c += ldc)
#pragma GCC unroll 2
        for (int j = 0; j < nv; j++) {
            vf v = alpha * acc[i][j];
            vstore(c + j * VW, e->load ? vload(c + j * VW) + v : v);
        }
}

VINLINE void tile_step(int h, int nv, vf acc[][2], const float *a, int64_t ai, const float *b)
{
    vf b0 = vload(b), b1 = nv > 1 ? vload(b + VW) : b0;
#pragma GCC unroll 16
    for (int i = 0; i < h; i++) {
        vf x = word_set(a + i * ai);
        acc[i][0] = words_fma(x, b0, acc[i][0]);
        if (nv > 1)
            acc[i][1] = words_fma(x, b1, acc[i][1]);
    }
}

/* h, nv and one of (ai, ak) are constants where this is inlined: a(i, kk) = a[i ai + kk ak]; k words. */
VINLINE void tile(int h, int nv, int64_t n, int64_t k, const float *a, int64_t ai, int64_t ak, const float *b, int64_t ldb, float *c, int64_t ldc,
                  const Epi *e)
{
    vf acc[MR][2] = { { { 0 } } };
#pragma GCC unroll 16
    for (int i = 0; i < h; i++) { /* a row of a tile lies in up to nv + 1 lines of the cache, or in one of 64 bytes where vectors are short */
        __builtin_prefetch(c + i * ldc, 1);
        __builtin_prefetch(c + i * ldc + nv * VW - 1, 1);
    }
    for (int64_t kk = k / 4; kk > 0; kk--)
#pragma GCC unroll 4
        for (int u = 0; u < 4; u++, a += ak, b += ldb) {
            tile_step(h, nv, acc, a, ai, b);
            __asm__("" : "+r"(a), "+r"(b)); /* two pointers that move: left alone, the compiler keeps one for each broadcast, in memory */
        }
    for (int64_t kk = k % 4; kk > 0; kk--, a += ak, b += ldb)
        tile_step(h, nv, acc, a, ai, b);
    tile_store(h, nv, n, acc, c, ldc, e);
}

#define TILE_ARGS int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc, const Epi *e
typedef void (*TileFn)(TILE_ARGS);
#define TILE_COLS(h)                                                                                         \
    static void cols_##h##_1(TILE_ARGS) { tile(h, 1, n, k, a, 1, lda, b, ldb, c, ldc, e); }                  \
    static void cols_##h##_2(TILE_ARGS) { tile(h, 2, n, k, a, 1, lda, b, ldb, c, ldc, e); }
#define TILE_ROWS(h)                                                                                         \
    static void rows_##h##_1(TILE_ARGS) { tile(h, 1, n, k, a, lda, 1, b, ldb, c, ldc, e); }                  \
    static void rows_##h##_2(TILE_ARGS) { tile(h, 2, n, k, a, lda, 1, b, ldb, c, ldc, e); }
#define TILE_PAIR(kind, h) [h] = { kind##_##h##_1, kind##_##h##_2 }

TILE_COLS(1) TILE_COLS(2) TILE_COLS(3) TILE_COLS(4)
#if VW >= 8
TILE_COLS(5) TILE_COLS(6)
#endif
#if VW >= 16
TILE_COLS(7) TILE_COLS(8) TILE_COLS(9) TILE_COLS(10) TILE_COLS(11) TILE_COLS(12) TILE_COLS(13) TILE_COLS(14)
#endif

static const TileFn cols_fn[MR + 1][2] = {
    TILE_PAIR(cols, 1), TILE_PAIR(cols, 2), TILE_PAIR(cols, 3), TILE_PAIR(cols, 4),
#if VW >= 8
    TILE_PAIR(cols, 5), TILE_PAIR(cols, 6),
#endif
#if VW >= 16
    TILE_PAIR(cols, 7), TILE_PAIR(cols, 8), TILE_PAIR(cols, 9), TILE_PAIR(cols, 10), TILE_PAIR(cols, 11), TILE_PAIR(cols, 12),
    TILE_PAIR(cols, 13), TILE_PAIR(cols, 14),
#endif
};

static void tile_cols(int64_t h, TILE_ARGS)
{
    cols_fn[h][n > VW](n, k, a, lda, b, ldb, c, ldc, e);
}

#define TILES                                                                                                                                   \
    { .numbers = PER, .words = 1, .mr = MR, .rows = 1, .a_rows = pack_rows, .a_cols = pack_cols, .b_rows = pack_rows, .b_cols = pack_cols, .tile = tile_cols }

#if PER == 1 /* from here on a is read where it lies */

TILE_ROWS(1) TILE_ROWS(2) TILE_ROWS(3) TILE_ROWS(4)
#if VW >= 8
TILE_ROWS(5) TILE_ROWS(6)
#endif
#if VW >= 16
TILE_ROWS(7) TILE_ROWS(8)
#endif

static const TileFn rows_fn[MR_ROWS + 1][2] = {
    TILE_PAIR(rows, 1), TILE_PAIR(rows, 2), TILE_PAIR(rows, 3), TILE_PAIR(rows, 4),
#if VW >= 8
    TILE_PAIR(rows, 5), TILE_PAIR(rows, 6),
#endif
#if VW >= 16
    TILE_PAIR(rows, 7), TILE_PAIR(rows, 8),
#endif
};

static void tile_rows(int64_t h, TILE_ARGS)
{
    rows_fn[h][n > VW](n, k, a, lda, b, ldb, c, ldc, e);
}

#endif /* PER == 1 */

#endif
