/* lt.cu - cuBLASLt, NVIDIA's library of matrix products: loaded when the backend opens, so that the program also starts and works where it is not. Its header gives types
 * and numbers alone; every function is looked up by name.
 * Main struct: CudaLt, with the products met so far: their descriptors and the algorithm that the library's heuristic chose (asking takes tens of
 * microseconds). Row-major products are given as the transposed ones, column-major: c' = b' a'.
 * Invariants: only algorithms without splits of k and without reduction in parts, so sums have one order; F32 is F32, no TF32; BF16 operands, F32 sums and results.
 * A product that the library refuses is remembered as such and goes to gemm.cu.
 * To add a type of operand: its row in types_of. */
#include "tensor/cuda/cuda_int.h"

#if defined(HONE_CUDA_HOST)

CudaLt *cuda_lt_open(Cuda *) { return NULL; }
bool cuda_lt_gemm(Cuda *, const CudaGemm *) { return false; }
void cuda_lt_close(CudaLt *) {}
const char *cuda_lt_version(const CudaLt *) { return NULL; }

#else

#include <cublasLt.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKSPACE ((size_t)32 << 20)   /* what the library's documentation asks for on 9.0 */
#define PRODUCTS  256                  /* remembered; a training step has about 30 */
#define CHOICES   8                    /* asked of the heuristic, best first */
#define PATH_MOST 4096

/* X(name): the functions that are used, all of them there since version 11. */
#define LT_FUNCTIONS(X)                                                                                                                                  \
    X(cublasLtCreate) X(cublasLtDestroy) X(cublasLtGetVersion) X(cublasLtMatmul) X(cublasLtMatmulAlgoGetHeuristic) X(cublasLtMatmulAlgoConfigGetAttribute) \
    X(cublasLtMatmulDescCreate) X(cublasLtMatmulDescDestroy) X(cublasLtMatmulDescSetAttribute) X(cublasLtMatrixLayoutCreate) X(cublasLtMatrixLayoutDestroy) \
    X(cublasLtMatmulPreferenceCreate) X(cublasLtMatmulPreferenceDestroy) X(cublasLtMatmulPreferenceSetAttribute)

/* What the choice depends on. Filled from zeros, so that it can be compared as bytes. */
typedef struct LtKey {
    int64_t m, n, k, lda, ldb, ldc;
    int32_t type, a_rows, b_rows, bias, adds;
} LtKey;

typedef struct LtProduct {
    LtKey                  key;
    bool                   used, refused;
    cublasLtMatmulDesc_t   desc;
    cublasLtMatrixLayout_t a, b, c;    /* of the column-major product: a is our b */
    cublasLtMatmulAlgo_t   algo;
} LtProduct;

struct CudaLt {
    void            *library;
    cublasLtHandle_t handle;
    char             version[32];
#define LT_MEMBER(name) decltype(&name) p_##name;
    LT_FUNCTIONS(LT_MEMBER)
    LtProduct        product[PRODUCTS];
    int              next;             /* the place that a new one takes: the oldest's */
};

static const char *const lt_names[] = { "libcublasLt.so.13", "libcublasLt.so.12" };

/* In the loader's path, in the toolkit's folder, beside the program. */
static void *load_library(void)
{
    char    beside[PATH_MOST];
    ssize_t n = readlink("/proc/self/exe", beside, sizeof beside - 1);
    beside[n > 0 ? n : 0] = '\0';
    if (char *slash = strrchr(beside, '/'))
        slash[1] = '\0';
    const char *const folders[] = { "", "/usr/local/cuda/lib64/", n > 0 ? beside : "" };
    for (const char *name : lt_names)
        for (const char *folder : folders) {
            char path[PATH_MOST + 32];
            snprintf(path, sizeof path, "%s%s", folder, name);
            if (void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL))
                return library;
        }
    return NULL;
}

static bool look_up(CudaLt *lt)
{
#define LT_LOOK(name)                                                                  \
    if (!(lt->p_##name = (decltype(&name))(uintptr_t)dlsym(lt->library, #name)))       \
        return false;
    LT_FUNCTIONS(LT_LOOK)
    return true;
}

CudaLt *cuda_lt_open(Cuda *c)
{
    CudaLt *lt = (CudaLt *)calloc(1, sizeof *lt);
    if (!lt || !cuda_ok(c) || !(lt->library = load_library()) || !look_up(lt) || lt->p_cublasLtCreate(&lt->handle) != CUBLAS_STATUS_SUCCESS) {
        cuda_lt_close(lt); /* the product is then hone's own: nothing fails */
        return NULL;
    }
    const size_t v = lt->p_cublasLtGetVersion();
    const unsigned major = (unsigned)(v / 10000); /* 130100 is 13.1.0 */
    snprintf(lt->version, sizeof lt->version, "%u.%u.%u", major, (unsigned)(v / 100 % 100), (unsigned)(v % 100));
    return lt;
}

static void forget(CudaLt *lt, LtProduct *p)
{
    if (p->desc)
        lt->p_cublasLtMatmulDescDestroy(p->desc);
    cublasLtMatrixLayout_t layouts[] = { p->a, p->b, p->c };
    for (cublasLtMatrixLayout_t layout : layouts)
        if (layout)
            lt->p_cublasLtMatrixLayoutDestroy(layout);
    memset(p, 0, sizeof *p);
}

void cuda_lt_close(CudaLt *lt)
{
    if (!lt)
        return;
    for (LtProduct &p : lt->product)
        forget(lt, &p);
    if (lt->handle)
        lt->p_cublasLtDestroy(lt->handle);
    if (lt->library)
        dlclose(lt->library);
    free(lt);
}

const char *cuda_lt_version(const CudaLt *lt) { return lt ? lt->version : NULL; }

/* One order of a sum: no splits of k, no reduction in parts. */
static bool fixed_order(const CudaLt *lt, const cublasLtMatmulAlgo_t *algo)
{
    int32_t  splits = 0;
    uint32_t scheme = 0;
    size_t   n = 0;
    return lt->p_cublasLtMatmulAlgoConfigGetAttribute(algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &splits, sizeof splits, &n) == CUBLAS_STATUS_SUCCESS && splits <= 1 &&
           lt->p_cublasLtMatmulAlgoConfigGetAttribute(algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &scheme, sizeof scheme, &n) == CUBLAS_STATUS_SUCCESS &&
           scheme == CUBLASLT_REDUCTION_SCHEME_NONE;
}

/* Stored by columns, our row-major matrices are their transposes: b by rows is [k, n] there, a by rows [k, m]. */
static bool describe(CudaLt *lt, LtProduct *p)
{
    const LtKey             *q = &p->key;
    const cudaDataType_t     type = q->type == DT_BF16 ? CUDA_R_16BF : CUDA_R_32F;
    const cublasOperation_t  op_a = q->b_rows ? CUBLAS_OP_T : CUBLAS_OP_N, op_b = q->a_rows ? CUBLAS_OP_N : CUBLAS_OP_T;
    const cublasLtEpilogue_t epilogue = q->bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
    const uint64_t m = (uint64_t)q->m, n = (uint64_t)q->n, k = (uint64_t)q->k;
    return lt->p_cublasLtMatmulDescCreate(&p->desc, CUBLAS_COMPUTE_32F, CUDA_R_32F) == CUBLAS_STATUS_SUCCESS &&
           lt->p_cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a) == CUBLAS_STATUS_SUCCESS &&
           lt->p_cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b) == CUBLAS_STATUS_SUCCESS &&
           lt->p_cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue) == CUBLAS_STATUS_SUCCESS &&
           lt->p_cublasLtMatrixLayoutCreate(&p->a, type, q->b_rows ? k : n, q->b_rows ? n : k, q->ldb) == CUBLAS_STATUS_SUCCESS &&
           lt->p_cublasLtMatrixLayoutCreate(&p->b, type, q->a_rows ? k : m, q->a_rows ? m : k, q->lda) == CUBLAS_STATUS_SUCCESS &&
           lt->p_cublasLtMatrixLayoutCreate(&p->c, CUDA_R_32F, n, m, q->ldc) == CUBLAS_STATUS_SUCCESS;
}

static bool choose(CudaLt *lt, LtProduct *p)
{
    cublasLtMatmulPreference_t      wish = NULL;
    cublasLtMatmulHeuristicResult_t found[CHOICES];
    const size_t   room = WORKSPACE;
    const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_NONE;
    int            n = 0;
    bool           chosen = false;
    memset(found, 0, sizeof found);
    if (lt->p_cublasLtMatmulPreferenceCreate(&wish) == CUBLAS_STATUS_SUCCESS &&
        lt->p_cublasLtMatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &room, sizeof room) == CUBLAS_STATUS_SUCCESS &&
        lt->p_cublasLtMatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes, sizeof schemes) == CUBLAS_STATUS_SUCCESS)
        lt->p_cublasLtMatmulAlgoGetHeuristic(lt->handle, p->desc, p->a, p->b, p->c, p->c, wish, CHOICES, found, &n);
    for (int i = 0; i < n && !chosen; i++) {
        chosen = found[i].state == CUBLAS_STATUS_SUCCESS && found[i].workspaceSize <= WORKSPACE && fixed_order(lt, &found[i].algo);
        p->algo = found[i].algo;
    }
    if (wish)
        lt->p_cublasLtMatmulPreferenceDestroy(wish);
    return chosen;
}

static LtProduct *product_of(CudaLt *lt, const LtKey *key)
{
    for (LtProduct &p : lt->product)
        if (p.used && !memcmp(&p.key, key, sizeof *key))
            return &p;
    LtProduct *p = &lt->product[lt->next];
    lt->next = (lt->next + 1) % PRODUCTS;
    forget(lt, p);
    p->key = *key;
    p->used = true;
    p->refused = !describe(lt, p) || !choose(lt, p);
    return p;
}

static bool aligned(const void *p) { return (uintptr_t)p % 16 == 0; }

/* 2 m n k FLOP; bound by the matrix units: bar 0.9 of the rate of an 8192^3 product in the same run. */
bool cuda_lt_gemm(Cuda *c, const CudaGemm *g)
{
    CudaLt *lt = c->lt;
    if (!lt || !cuda_ok(c) || g->k == 0)
        return false;
    const int64_t sixteen = g->type == DT_BF16 ? 8 : 4; /* numbers: its fast kernels, and those for which it was asked, want all rows there */
    if (!aligned(g->a) || !aligned(g->b) || !aligned(g->c) || (g->bias && !aligned(g->bias)) || g->lda % sixteen || g->ldb % sixteen || g->ldc % 4)
        return false;
    LtKey key;
    memset(&key, 0, sizeof key);
    key.m = g->m;
    key.n = g->n;
    key.k = g->k;
    key.lda = g->lda;
    key.ldb = g->ldb;
    key.ldc = g->ldc;
    key.type = g->type;
    key.a_rows = g->a_rows;
    key.b_rows = g->b_rows;
    key.bias = g->bias != NULL;
    key.adds = g->beta != 0.0f;
    LtProduct *p = product_of(lt, &key);
    if (p->refused)
        return false;
    void *work = cuda_slot(c, SLOT_WORK, WORKSPACE);
    if (!work || c->be.sizing)
        return true; /* a failure is kept */
    if (g->bias && lt->p_cublasLtMatmulDescSetAttribute(p->desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &g->bias, sizeof g->bias) != CUBLAS_STATUS_SUCCESS)
        return false;
    const cublasStatus_t s = lt->p_cublasLtMatmul(lt->handle, p->desc, &g->alpha, g->b, p->a, g->a, p->b, &g->beta, g->c, p->c, g->c, p->c, &p->algo, work, WORKSPACE,
                                                  c->stream);
    if (s == CUBLAS_STATUS_NOT_SUPPORTED || s == CUBLAS_STATUS_INVALID_VALUE || s == CUBLAS_STATUS_ARCH_MISMATCH) { /* said before anything is launched */
        p->refused = true;
        return false;
    }
    if (s != CUBLAS_STATUS_SUCCESS && !cuda_try(c, cudaGetLastError(), "a product of cuBLASLt"))
        return true;
    if (s != CUBLAS_STATUS_SUCCESS)
        err_set(&c->failed, ERR_WORK, "card %d: cuBLASLt %s gave status %d for a product [%lld, %lld] x [%lld, %lld]; run it again, and if it stays: without the library", c->device,
                lt->version, (int)s, (long long)g->m, (long long)g->k, (long long)g->k, (long long)g->n);
    return true;
}

#endif
