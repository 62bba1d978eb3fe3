/* kern_amxbf16.c - packing and tiles of products whose numbers are rounded to bf16, for the tile registers of AMX-BF16: 512 sums of 32 products each by
 * one instruction. HAS NOT RUN ON REAL HARDWARE: it is tested with the instructions' meaning in plain C (amx.h), which makes tiles_amxbf16_emulated of this
 * same file, and a processor that has them must first get a known product right (tiles_right, features.c).
 *
 * A block of 32 rows and 32 columns of c takes four registers of sums, two of a and two of b: all eight. Panels of b are those of kern_avx512bf16.c, k
 * filled up with zeros to 32 numbers: 16 slices are what a register of b holds, row by row. A register of a holds 16 rows and 16 words of k, so
 * panels of a are made of such squares: those of the first 16 words for all rows, then those of the next. Rows missing at the end are zeros.
 * Invariant: registers are configured where a piece begins and released where it ends, so a thread that sleeps holds none. */
#if defined(__x86_64__)
#define VW   16
#define PER  2
#define UNIT 16
#include "tensor/cpu/amx.h"
#include "tensor/cpu/k_pack.h"

#define SQUARE    (AMX_ROWS * AMX_WORDS)
#define ROW_BYTES ((int64_t)sizeof(float) * AMX_WORDS)
_Static_assert(VW == AMX_ROWS && UNIT == AMX_WORDS && NR == 2 * AMX_WORDS, "a vector is a row of a register");

/* Row i of the panel, slice by slice of its square. */
static void pack_a_rows(DType type, float *dst, int64_t p, const void *src, int64_t ld, int64_t n, int64_t k)
{
    BUG_ON(type != DT_F32 || p % AMX_ROWS);
    for (int64_t i = 0; i < p; i++)
        for (int64_t kk = 0; kk < k; kk += PER * UNIT)
            vstore(dst + kk / PER * p + i * UNIT, i < n ? words_along(DT_F32, src, i * ld + kk, k - kk) : (vf){ 0 });
}

/* Squares turned: what is read along the rows of a becomes its columns. */
static void pack_a_cols(DType type, float *dst, int64_t p, int64_t step, const void *src, int64_t ld, int64_t n, int64_t k)
{
    BUG_ON(type != DT_F32 || p % AMX_ROWS);
    for (int64_t kk = 0; kk < k; kk += PER * UNIT)
        for (int64_t i = 0; i < (n + p - 1) / p * p; i += AMX_ROWS) {
            float *square = dst + i / p * step + kk / PER * p + i % p * UNIT;
            vf r[VW];
#pragma GCC unroll 16
            for (int64_t l = 0; l < VW; l++) {
                const int64_t at = kk + PER * l;
                const float *row[PER] = { (const float *)src + at * ld, at + 1 < k ? (const float *)src + (at + 1) * ld : NULL };
                r[l] = at < k ? words_down(DT_F32, (const void *const *)row, i, n - i) : (vf){ 0 };
            }
            vtranspose(r);
#pragma GCC unroll 16
            for (int64_t l = 0; l < VW; l++)
                vstore(square + l * UNIT, r[l]);
        }
}

static void tiles_begin(void)
{
#define EACH(v) { v, v, v, v, v, v, v, v }
    static const AmxConfig whole = { .palette = 1, .row_bytes = EACH(ROW_BYTES), .rows = EACH(AMX_ROWS) };
    amx_config(&whole);
}

static void tiles_end(void)
{
    amx_release();
}

/* Sums of a block to sums [2 AMX_ROWS][NR]; without `below` of its first 16 rows, without `beside` of its first 16 columns. Constants where inlined. */
VINLINE void block(bool below, bool beside, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *sums)
{
    const int64_t step = ldb * (int64_t)sizeof(float);
    amx_barrier();
    amx_zero(0);
    if (beside)
        amx_zero(1);
    if (below)
        amx_zero(2);
    if (below && beside)
        amx_zero(3);
    for (int64_t kk = 0; kk < k; kk += UNIT, a += UNIT * lda, b += UNIT * ldb) {
        amx_load(4, a, ROW_BYTES);
        amx_load(6, b, step);
        amx_dpbf16(0, 4, 6);
        if (beside) {
            amx_load(7, b + AMX_WORDS, step);
            amx_dpbf16(1, 4, 7);
        }
        if (below) {
            amx_load(5, a + SQUARE, ROW_BYTES);
            amx_dpbf16(2, 5, 6);
        }
        if (below && beside)
            amx_dpbf16(3, 5, 7);
    }
    amx_store(0, sums, NR * (int64_t)sizeof(float));
    if (beside)
        amx_store(1, sums + AMX_WORDS, NR * (int64_t)sizeof(float));
    if (below)
        amx_store(2, sums + AMX_ROWS * NR, NR * (int64_t)sizeof(float));
    if (below && beside)
        amx_store(3, sums + AMX_ROWS * NR + AMX_WORDS, NR * (int64_t)sizeof(float));
}

static void tile_amx(int64_t h, int64_t n, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c, int64_t ldc, const Epi *e)
{
    _Alignas(KERN_ALIGN) float sums[2 * AMX_ROWS * NR];
    const bool below = h > AMX_ROWS, beside = n > AMX_WORDS;
    if (below && beside)
        block(true, true, k, a, lda, b, ldb, sums);
    else if (below)
        block(true, false, k, a, lda, b, ldb, sums);
    else if (beside)
        block(false, true, k, a, lda, b, ldb, sums);
    else
        block(false, false, k, a, lda, b, ldb, sums);
    tile_edge(h, n, sums, c, ldc, e);
}

#ifdef AMX_EMULATED
#define tiles_amxbf16 tiles_amxbf16_emulated
extern const Tiles tiles_amxbf16_emulated;
#endif
const Tiles tiles_amxbf16 = { .numbers = PER * UNIT, .words = UNIT, .mr = 2 * AMX_ROWS, .rows = AMX_ROWS, .a_rows = pack_a_rows, .a_cols = pack_a_cols,
                              .b_rows = pack_rows, .b_cols = pack_cols, .begin = tiles_begin, .end = tiles_end, .tile = tile_amx };
#endif
