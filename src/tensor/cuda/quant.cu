/* quant.cu - weights of every stored type as F32 or BF16 in the card's memory, and activations as BF16: what the products read.
 * A block of threads takes one stretch of TILE numbers of a row: blocked types pass through shared memory, so that device memory is read in 16-byte
 * pieces whatever the length of a block is (4 blocks of NF4 are 9 such pieces), and each thread makes eight numbers at a time from it (quant.cuh).
 * Invariants: F32 has the bits of dtype_to_f32, BF16 those rounded to nearest even. Rows need no alignment beyond their type's own; where both sides
 * are dense they are taken as one long row. */
#include "tensor/cuda/cuda_int.h"
#include "tensor/cuda/quant.cuh"

#define TILE    4096
#define THREADS 256

typedef struct Widen {
    unsigned char *dst;
    const unsigned char *src;
    int64_t ld_dst, row_bytes;  /* numbers; bytes of a row of the source */
    int64_t cols, tiles;        /* of a row */
    bool    fast_dst, fast_src; /* rows begin at multiples of 16 bytes */
    QuantCodes codes;
} Widen;

template <bool bf16> static __device__ __forceinline__ void put_eight(unsigned char *dst, const float v[8], int n, bool fast)
{
    if (fast && n == 8) {
        if (bf16) {
            store16(dst, make_uint4(bf16_pair(v[0], v[1]), bf16_pair(v[2], v[3]), bf16_pair(v[4], v[5]), bf16_pair(v[6], v[7])));
        } else {
            store16(dst, make_uint4(bits_of(v[0]), bits_of(v[1]), bits_of(v[2]), bits_of(v[3])));
            store16(dst + 16, make_uint4(bits_of(v[4]), bits_of(v[5]), bits_of(v[6]), bits_of(v[7])));
        }
        return;
    }
    for (int i = 0; i < 8; i++) {
        if (i >= n)
            continue;
        if (bf16)
            ((uint16_t *)dst)[i] = (uint16_t)bf16_pair(v[i], 0.0f);
        else
            ((float *)dst)[i] = v[i];
    }
}

/* Bytes moved for a number: its own (NF4 0.5625, Q4_K 0.5625, INT8 1.06) and 2 or 4. Bound by memory: NF4 to BF16 2.56 bytes, bar 3.5 TB/s = 1.37e12 numbers/s; the
 * arithmetic, one look-up and 8 integer operations a number, fills a third of the card meanwhile. */
template <int type, bool bf16> static __global__ void __launch_bounds__(THREADS, 4) widen_blocks(const Widen a)
{
    enum { N = QuantShape<type>::block, SIZE = QuantShape<type>::size, BYTES = TILE / N * SIZE };
    __shared__ __align__(16) unsigned char bytes[BYTES];
    __shared__ float code[16];
    const int64_t row = blockIdx.x / a.tiles, tile = blockIdx.x % a.tiles, col = tile * TILE;
    const int     numbers = (int)(a.cols - col < TILE ? a.cols - col : TILE), n = numbers / N * SIZE;
    const unsigned char *src = a.src + row * a.row_bytes + tile * BYTES;
    const int whole = a.fast_src ? n / 16 * 16 : 0;
    for (int i = (int)threadIdx.x * 16; i < whole; i += THREADS * 16)
        store16(bytes + i, load16(src + i));
    for (int i = whole + (int)threadIdx.x * 2; i < n; i += THREADS * 2)
        memcpy(__builtin_assume_aligned(bytes + i, 2), __builtin_assume_aligned(src + i, 2), 2);
    quant_codes_share(code, a.codes);
    __syncthreads();
    for (int i = (int)threadIdx.x * 8; i < numbers; i += THREADS * 8) {
        float v[8];
        quant_eight<type>(v, bytes + i / N * SIZE, i % N / 8, code);
        put_eight<bf16>(a.dst + (row * a.ld_dst + col + i) * (bf16 ? 2 : 4), v, 8, a.fast_dst);
    }
}

/* F32 to BF16 (activations on their way into a product): 6 bytes a number, bound by memory, bar 3.7 TB/s. */
template <int type, bool bf16> static __global__ void __launch_bounds__(THREADS, 4) widen_plain(const Widen a)
{
    enum { SIZE = QuantShape<type>::size };
    const int64_t row = blockIdx.x / a.tiles, col = blockIdx.x % a.tiles * TILE;
    const int     numbers = (int)(a.cols - col < TILE ? a.cols - col : TILE);
    for (int i = (int)threadIdx.x * 8; i < numbers; i += THREADS * 8) {
        const unsigned char *src = a.src + row * a.row_bytes + (col + i) * SIZE;
        const int n = numbers - i < 8 ? numbers - i : 8;
        __align__(16) unsigned char in[8 * SIZE];
        float v[8];
        if (a.fast_src && n == 8) {
            for (int b = 0; b < 8 * SIZE; b += 16)
                store16(in + b, load16(src + b));
        } else {
            for (int b = 0; b < 8; b++)
                if (b < n)
                    memcpy(in + b * SIZE, __builtin_assume_aligned(src + b * SIZE, SIZE), SIZE);
        }
        quant_eight<type>(v, in, 0, NULL);
        put_eight<bf16>(a.dst + (row * a.ld_dst + col + i) * (bf16 ? 2 : 4), v, n, a.fast_dst);
    }
}

/* What codes stand for: a block with scale 1 and every code once, as dtype.c reads it. */
QuantCodes quant_codes(DType type)
{
    QuantCodes    codes = { { 0 } };
    unsigned char block[36] = { 0 };
    float         v[64];
    const bool    nf4 = type == DT_NF4;
    const float   one = 1.0f;
    if (!nf4 && type != DT_IQ4_NL && type != DT_IQ4_XS)
        return codes;
    if (nf4)
        memcpy(block, &one, sizeof one);
    else
        block[1] = 0x3c; /* F16: 1 */
    for (int i = 0; i < 16; i++)
        block[(nf4 ? 4 : 2) + i] = (unsigned char)(nf4 ? i << 4 : i);
    dtype_to_f32(v, block, nf4 ? DT_NF4 : DT_IQ4_NL, nf4 ? 64 : 32);
    for (int i = 0; i < 16; i++)
        codes.v[i] = v[nf4 ? 2 * i : i];
    return codes;
}

template <int type> static void launch_widen(Cuda *c, const Widen *a, int64_t rows, bool bf16)
{
    const Widen    w = *a;
    const unsigned grid = (unsigned)(rows * a->tiles);
    BUG_ON(dtype_block((DType)type) != QuantShape<type>::block || dtype_bytes((DType)type, QuantShape<type>::block) != QuantShape<type>::size);
    if constexpr (QuantShape<type>::block == 1) {
        if (bf16)
            CUDA_LAUNCH(c, grid, THREADS, 0, (widen_plain<type, true>), w);
        else
            CUDA_LAUNCH(c, grid, THREADS, 0, (widen_plain<type, false>), w);
    } else {
        if (bf16)
            CUDA_LAUNCH(c, grid, THREADS, 0, (widen_blocks<type, true>), w);
        else
            CUDA_LAUNCH(c, grid, THREADS, 0, (widen_blocks<type, false>), w);
    }
}

void cuda_widen(Cuda *c, void *dst, DType to, int64_t ld_dst, const Tensor *w, int64_t first, int64_t rows)
{
    int64_t cols = tensor_cols(w);
    BUG_ON((to != DT_F32 && to != DT_BF16) || first < 0 || rows < 0 || first + rows > tensor_rows(w));
    if (!cuda_ok(c) || rows == 0 || cols == 0)
        return;
    const int64_t size = to == DT_BF16 ? 2 : 4;
    const bool    dense = ld_dst == cols && w->ld == cols;
    Widen a = { (unsigned char *)dst, (const unsigned char *)w->data + dtype_bytes(w->dtype, first * w->ld), ld_dst, (int64_t)dtype_bytes(w->dtype, w->ld),
                dense ? rows * cols : cols, 0, false, false, quant_codes(w->dtype) };
    if (dense)
        rows = 1;
    a.tiles = (a.cols + TILE - 1) / TILE;
    a.fast_dst = (uintptr_t)dst % 16 == 0 && (rows == 1 || ld_dst * size % 16 == 0);
    a.fast_src = (uintptr_t)a.src % 16 == 0 && (rows == 1 || a.row_bytes % 16 == 0);
    const int64_t most = INT32_MAX / a.tiles; /* rows of one launch: the grid's limit */
    BUG_ON(most == 0);
    for (int64_t left = rows; left > 0; left -= most, a.dst += most * ld_dst * size, a.src += most * a.row_bytes) {
        const int64_t part = left < most ? left : most;
        switch (w->dtype) {
#define LAUNCH(type, ...) case type: launch_widen<type>(c, &a, part, to == DT_BF16); break;
            QUANT_BLOCKED(LAUNCH)
            LAUNCH(DT_F32) LAUNCH(DT_F16) LAUNCH(DT_BF16)
#undef LAUNCH
        default: BUG_ON(!"a type that holds weights");
        }
    }
}

const float *cuda_vector(Cuda *c, CudaSlot s, const Tensor *t)
{
    if (!t)
        return NULL;
    if (t->dtype == DT_F32)
        return (const float *)t->data;
    const int64_t n = tensor_numel(t);
    float *v = (float *)cuda_slot(c, s, (size_t)n * sizeof *v);
    Tensor flat = *t;
    flat.rank = 1;
    flat.dim[0] = flat.ld = n;
    if (v)
        cuda_widen(c, v, DT_F32, n, &flat, 0, 1);
    return v;
}
