/* k_lanes.h - the product with few rows of x and a weight of Q4_K or Q5_K, for AVX512-VNNI. Part of kern_avx512vnni.c.
 *
 * Sixteen rows of w stand in the sixteen lanes of a vector. A lane's sum over a run then needs no sum across lanes and becomes a float once for sixteen
 * rows, and their small scales are unpacked together; what k_few.h does for each row by itself is most of its time. The lanes are made on the way, from
 * where w lies: of each row 32 bytes are read, and inserts and shuffles turn rows into columns, words of 4 bytes of all sixteen rows. There is no second
 * copy of w.
 * Numbers of w stay bytes then, and VPDPBUSD multiplies bytes, four for a lane: x becomes whole numbers as in k_few.h, as 256 high + low, two signed bytes.
 *   sum over a run = scale_w scale_x ((sum of q_w high_x) 256 + (sum of q_w low_x))
 * Accuracy: as k_few.h, with X_BYTES for its X_STEPS, since low is at most 127: a number of x moves by at most 2^-15.99 of the largest of its run.
 * Overflow: a lane adds up RUN products of a byte of w (at most 240) with high (at most 127 in magnitude): 256 times that is below 2^28, and low adds less.
 * Cost of 256 numbers in operations on 512 bits (Zen 4 makes two a cycle): 9 to 11 for the lanes, 8 products, 4 (Q4_K) or 14 (Q5_K) for bytes out of bits,
 * 7 for scales and sums: 29 and 40.
 * Invariant: one chain of sums for each row of x and of w, in the order of k: its bits depend on nothing else.
 * To add a type: its block function, its line in few_avx512vnni. Q6_K and NF4 were tried: see DESIGN.md. */
#ifndef HONE_CPU_K_LANES_H
#define HONE_CPU_K_LANES_H

#include "tensor/cpu/k_whole.h"
#include "tensor/cpu/kern.h"
#include "tensor/cpu/simd.h"

_Static_assert(GEMV_ROWS == 4, "lanes_gemv knows 1, 2 and 4 rows");
#define X_BYTES     32639 /* 127 * 256 + 127 */
#define BLOCK       256   /* numbers of w, and more than its bytes */
#define LINE        64    /* bytes */
#define AHEAD_BYTES 768   /* of each row: some six lines are on their way while one is worked on */

/* ---- x ---- */

/* A run of x. */
typedef struct LaneX {
    float  scale; /* where the bytes of w are 16 times its numbers, less by as much */
    float  sum;   /* of the numbers, times the scale: for minima */
    int8_t high[RUN], low[RUN];
} LaneX;

static size_t lanes_x_bytes(DType type, int64_t k)
{
    (void)type;
    return ((size_t)(k / RUN) * sizeof(LaneX) + KERN_ALIGN - 1) / KERN_ALIGN * KERN_ALIGN;
}

static void lanes_x(DType type, int64_t k, const float *x, void *to)
{
    const vs one = (vs){ 0 } + 1;
    LaneX *r = to;
    for (int64_t i = 0; i < k / RUN; i++, x += RUN, r++) {
        float       f;
        const float scale = run_scale(x, X_BYTES, &f);
        int         sum = 0;
        for (int h = 0; h < RUN; h += RUN / 2) {
            const vs q = whole(x + h, f);
            _mm_storeu_si128((__m128i *)(r->low + h), _mm256_cvtepi16_epi8((__m256i)q));
            _mm_storeu_si128((__m128i *)(r->high + h), _mm256_cvtepi16_epi8((__m256i)((q + 128) >> 8)));
            sum += sum8(dot_pairs(q, one));
        }
        r->scale = type == DT_Q4_K && i % 2 ? scale / 16 : scale;
        r->sum = (float)sum * scale;
    }
}

/* ---- rows to lanes ---- */

/* From each quarter of four vectors its 4 by 4 words, transposed. */
VINLINE void turn(__m512i c[4], const __m512i r[4])
{
    __m512i a = _mm512_unpacklo_epi32(r[0], r[1]), b = _mm512_unpacklo_epi32(r[2], r[3]);
    c[0] = _mm512_unpacklo_epi64(a, b);
    c[1] = _mm512_unpackhi_epi64(a, b);
    a = _mm512_unpackhi_epi32(r[0], r[1]);
    b = _mm512_unpackhi_epi32(r[2], r[3]);
    c[2] = _mm512_unpacklo_epi64(a, b);
    c[3] = _mm512_unpackhi_epi64(a, b);
}

/* Sixteen rows of w, `step` bytes apart: the first of each four. A row is reached from one of these by an addressing mode; the compiler is kept from
 * making sixteen pointers of them, which do not fit in its registers. */
typedef struct Rows {
    const uint8_t *four[4];
    int64_t        step, thrice;
} Rows;

VINLINE Rows rows_at(const uint8_t *p, int64_t step)
{
    Rows r = { .step = step, .thrice = 3 * step };
    __asm__("" : "+r"(r.thrice));
#pragma GCC unroll 4
    for (int l = 0; l < 4; l++) {
        r.four[l] = p + 4 * l * step;
        __asm__("" : "+r"(r.four[l]));
    }
    return r;
}

/* Row i + 4 l. */
VINLINE const uint8_t *row_of(const Rows *r, int i, int l) { return r->four[l] + (i == 3 ? r->thrice : i * r->step); }

/* Bytes [at, at + 16) of the rows: c[j] holds bytes [at + 4 j, at + 4 j + 4) of row i in lane i. */
VINLINE void columns16(__m512i c[4], const Rows *rows, int at)
{
    __m512i r[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
#define OF_ROW(l) _mm_loadu_si128((const __m128i *)(row_of(rows, i, l) + at))
        r[i] = _mm512_inserti32x4(_mm512_castsi128_si512(OF_ROW(0)), OF_ROW(1), 1);
        r[i] = _mm512_inserti32x4(_mm512_inserti32x4(r[i], OF_ROW(2), 2), OF_ROW(3), 3);
#undef OF_ROW
    }
    turn(c, r);
}

/* Bytes [at, at + 32), with fewer operations. */
VINLINE void columns32(__m512i c[8], const Rows *rows, int at)
{
    __m512i r[4], s[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
#define OF_ROW(l) _mm256_loadu_si256((const __m256i *)(row_of(rows, i, l) + at))
        __m512i a = _mm512_inserti64x4(_mm512_castsi256_si512(OF_ROW(0)), OF_ROW(1), 1);
        __m512i b = _mm512_inserti64x4(_mm512_castsi256_si512(OF_ROW(2)), OF_ROW(3), 1);
#undef OF_ROW
        r[i] = _mm512_shuffle_i32x4(a, b, 0x88);
        s[i] = _mm512_shuffle_i32x4(a, b, 0xdd);
    }
    turn(c, r);
    turn(c + 4, s);
}

/* The lower half of each lane, an F16. */
VINLINE __m512 halves(__m512i c) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(c)); }

/* Byte i of each lane. */
VINLINE __m512 byte_of(__m512i c, int i)
{
    return _mm512_cvtepi32_ps(i == 3 ? _mm512_srli_epi32(c, 24) : _mm512_and_si512(_mm512_srli_epi32(c, (unsigned)(8 * i)), _mm512_set1_epi32(255)));
}

VINLINE __m512i bits(__m512i c, int mask) { return _mm512_and_si512(c, _mm512_set1_epi8((char)mask)); }

/* Bit b of each byte moved to bit `to`; the caller masks the others, which may have moved to another byte. */
VINLINE __m512i moved(__m512i c, int b, int to)
{
    return b == to ? c : b < to ? _mm512_slli_epi32(c, (unsigned)(to - b)) : _mm512_srli_epi32(c, (unsigned)(b - to));
}

/* ---- products ---- */

typedef struct LaneSum { __m512i high, low; } LaneSum;

/* Four bytes of x in each lane. */
VINLINE __m512i four_of(const int8_t *x)
{
    int32_t word;
    memcpy(&word, x, sizeof word);
    return _mm512_set1_epi32(word);
}

/* sum += four numbers of each row of w times those from `at` on of a run of x. */
VINLINE void add_products(LaneSum *sum, __m512i w, const LaneX *x, int at)
{
    sum->high = _mm512_dpbusd_epi32(sum->high, w, four_of(x->high + at));
    sum->low = _mm512_dpbusd_epi32(sum->low, w, four_of(x->low + at));
}

VINLINE __m512 sum_of(LaneSum s)
{
    return _mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32(s.high, 8), s.low));
}

/* A block of sixteen rows, against t rows of x. See formats/quant_k.c for what lies where. */
VINLINE void lanes_block(DType type, int t, const LaneX *const x[GEMV_ROWS], const Rows *w, __m512 acc[GEMV_ROWS])
{
    const bool five = type == DT_Q5_K;
    __m512  sum[GEMV_ROWS], min[GEMV_ROWS];
    __m512i head[4], fifth[8], s[2], m[2];
    columns16(head, w, 0);
    s[0] = bits(head[1], 0x3f);
    m[0] = bits(head[2], 0x3f);
    s[1] = _mm512_or_si512(bits(head[3], 0x0f), bits(_mm512_srli_epi32(head[1], 2), 0x30));
    m[1] = _mm512_or_si512(bits(_mm512_srli_epi32(head[3], 4), 0x0f), bits(_mm512_srli_epi32(head[2], 2), 0x30));
    if (five)
        columns32(fifth, w, 16);
#pragma GCC unroll 4
    for (int i = 0; i < t; i++)
        sum[i] = min[i] = _mm512_setzero_ps();
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; pair++) { /* of runs that share bytes */
        LaneSum part[GEMV_ROWS][2];
#pragma GCC unroll 4
        for (int i = 0; i < t; i++)
            part[i][0] = part[i][1] = (LaneSum){ _mm512_setzero_si512(), _mm512_setzero_si512() };
        __m512i c[8];
        columns32(c, w, (five ? 48 : 16) + 32 * pair);
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            __m512i low = bits(c[j], 0x0f), high = bits(c[j], 0xf0); /* 16 times as much */
            if (five) {
                low = _mm512_or_si512(low, bits(moved(fifth[j], 2 * pair, 4), 0x10));
                high = _mm512_or_si512(bits(_mm512_srli_epi32(c[j], 4), 0x0f), bits(moved(fifth[j], 2 * pair + 1, 4), 0x10));
            }
#pragma GCC unroll 4
            for (int i = 0; i < t; i++) {
                add_products(&part[i][0], low, &x[i][2 * pair], 4 * j);
                add_products(&part[i][1], high, &x[i][2 * pair + 1], 4 * j);
            }
        }
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            const int run = 2 * pair + h;
            const __m512 scale = byte_of(s[run / 4], run % 4), offset = byte_of(m[run / 4], run % 4);
#pragma GCC unroll 4
            for (int i = 0; i < t; i++) {
                sum[i] = _mm512_fmadd_ps(sum_of(part[i][h]), scale * _mm512_set1_ps(x[i][run].scale), sum[i]);
                min[i] = _mm512_fmadd_ps(offset, _mm512_set1_ps(x[i][run].sum), min[i]);
            }
        }
    }
    const __m512 d = halves(head[0]), dmin = halves(_mm512_srli_epi32(head[0], 16));
#pragma GCC unroll 4
    for (int i = 0; i < t; i++)
        acc[i] = _mm512_fnmadd_ps(dmin, min[i], _mm512_fmadd_ps(d, sum[i], acc[i]));
}

/* ---- rows ---- */

/* Asks for `bytes` of each row, some way in front: the processor's own prefetching follows sixteen streams, but not far enough. */
VINLINE void ahead(const Rows *rows, int64_t bytes)
{
    Rows r = *rows;
#pragma GCC unroll 4
    for (int l = 0; l < 4; l++) {
        r.four[l] += AHEAD_BYTES;
        __asm__("" : "+r"(r.four[l]));
#pragma GCC unroll 3
        for (int64_t line = 0; line < bytes; line += LINE)
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++)
                __builtin_prefetch(row_of(&r, i, l) + line, 0, 2);
    }
}

/* t rows of x, a constant. The rows of w that share a vector lie as far apart as can be: each lane then walks through memory from end to end, which the
 * processor follows; sixteen rows one beside the other are sixteen short walks that begin anew with each row, at half the speed. Fewer than sixteen rows at
 * the end are copied, block by block, beside rows of zeros. */
VINLINE void lanes_rows(DType type, int t, int64_t n, int64_t k, const char *x, int64_t ldx, const uint8_t *w, int64_t step, float *c, int64_t ldc, const Epi *e)
{
    const int64_t bytes = (int64_t)dtype_bytes(type, BLOCK);
    uint8_t few[VW][BLOCK] = { { 0 } };
    for (int64_t first = 0, apart; first < n; first += apart * VW) {
        const int64_t rows = MIN(n - first, VW);
        apart = rows < VW ? 1 : (n - first) / VW;
        for (int64_t j = first; j < first + apart; j++) {
            const uint8_t *p = w + j * step;
            const LaneX   *xr[GEMV_ROWS];
            __m512 acc[GEMV_ROWS];
#pragma GCC unroll 4
            for (int i = 0; i < t; i++) {
                xr[i] = (const LaneX *)(const void *)(x + i * ldx);
                acc[i] = _mm512_setzero_ps();
            }
            for (int64_t at = 0; at < k; at += BLOCK, p += bytes) {
                Rows from = rows_at(p, apart * step);
                if (rows < VW) {
                    for (int64_t i = 0; i < rows; i++)
                        memcpy(few[i], p + i * step, (size_t)bytes);
                    from = rows_at(few[0], BLOCK);
                } else {
                    ahead(&from, bytes);
                }
                lanes_block(type, t, xr, &from, acc);
#pragma GCC unroll 4
                for (int i = 0; i < t; i++)
                    xr[i] += BLOCK / RUN;
            }
            for (int i = 0; i < t; i++)
                for (int64_t l = 0; l < rows; l++) {
                    float *out = c + i * ldc + j + l * apart;
                    *out = (e->load ? *out : 0.0f) + e->alpha * acc[i][l] + (e->bias ? e->bias[j + l * apart] : 0.0f);
                }
        }
    }
}

VINLINE void lanes_gemv(DType type, int64_t t, int64_t n, int64_t k, const void *x, int64_t ldx, const void *w, int64_t ldw, float *c, int64_t ldc, const Epi *e)
{
    const int64_t step = (int64_t)dtype_bytes(type, ldw);
    const char   *xi = x;
    if (t == 4) {
        lanes_rows(type, 4, n, k, xi, ldx, w, step, c, ldc, e);
        return;
    }
    if (t >= 2) {
        lanes_rows(type, 2, n, k, xi, ldx, w, step, c, ldc, e);
        xi += 2 * ldx;
        c += 2 * ldc;
    }
    if (t % 2)
        lanes_rows(type, 1, n, k, xi, ldx, w, step, c, ldc, e);
}

#define LANES_FN(T)                                                                                                                     \
    static void lanes_##T(int64_t t, int64_t n, int64_t k, const void *x, int64_t ldx, const void *w, int64_t ldw, float *c, int64_t ldc, \
                          const Epi *e)                                                                                                 \
    {                                                                                                                                   \
        lanes_gemv(DT_##T, t, n, k, x, ldx, w, ldw, c, ldc, e);                                                                         \
    }
LANES_FN(Q4_K) LANES_FN(Q5_K)

#endif
