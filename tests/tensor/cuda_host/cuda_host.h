/* cuda_host.h - the words of CUDA C as the host's C++ compiler reads them, so that src/tensor/cuda compiles unchanged (with HONE_CUDA_HOST) and runs where no card is.
 * Here: the language, the words of mma.cuh and the part of the runtime's interface that the backend calls. cuda_host.cpp: how they run.
 *
 * Threads of a block are fibers of one thread of the host, blocks follow one another; a launch, a copy or a record of an event waits in its stream until something asks for
 * it, or runs as early as events allow (HostPace). What a card leaves undefined is made to show: fresh device memory, shared memory at the start of a block and the target of an asynchronous copy before it
 * arrives hold NaNs (all bits one); device memory cannot be touched by the host's code; a barrier that not all threads reach, a lane that is missing in
 * a shuffle and an address outside its memory are faults (host_control.h) that stick like a card's.
 * Not seen here: races between threads within one sweep that no order of turns shows, the card's own rounding of rsqrtf, exp and the sums within a matrix unit.
 * To add a word: here; what needs other threads goes through host_warp or host_barrier. */
#ifndef HONE_CUDA_HOST_H
#define HONE_CUDA_HOST_H

#include <functional>
#include <tuple>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the language ---- */

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
/* One block runs at a time, on the thread of the card, whose thread-local memory is filled with NaNs before each block. */
#define __shared__ static thread_local
#define SHARED_DYNAMIC(type, name) type *const name = (type *)host_shared()
void *host_shared(void);

struct uint3 { unsigned x, y, z; };
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct __align__(8) float2 { float x, y; };
struct float3 { float x, y, z; };
struct __align__(16) float4 { float x, y, z, w; };
struct __align__(8) int2 { int x, y; };
struct __align__(16) int4 { int x, y, z, w; };
struct __align__(8) uint2 { unsigned x, y; };
struct __align__(16) uint4 { unsigned x, y, z, w; };
struct __align__(4) ushort2 { unsigned short x, y; };
struct __align__(8) ushort4 { unsigned short x, y, z, w; };
struct char4 { signed char x, y, z, w; };
struct __align__(4) uchar4 { unsigned char x, y, z, w; };
struct __align__(16) double2 { double x, y; };
static inline float2 make_float2(float x, float y) { return { x, y }; }
static inline float3 make_float3(float x, float y, float z) { return { x, y, z }; }
static inline float4 make_float4(float x, float y, float z, float w) { return { x, y, z, w }; }
static inline int2 make_int2(int x, int y) { return { x, y }; }
static inline int4 make_int4(int x, int y, int z, int w) { return { x, y, z, w }; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return { x, y }; }
static inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return { x, y, z }; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return { x, y, z, w }; }
static inline double2 make_double2(double x, double y) { return { x, y }; }

extern uint3 threadIdx, blockIdx;
extern dim3  blockDim, gridDim;
static const int warpSize = 32;

/* ---- threads together ---- */

/* The kind of meeting: threads that wait for each other in different kinds are a fault. */
typedef enum { HOST_SYNC, HOST_OR, HOST_AND, HOST_COUNT } HostBarrier;
int host_barrier(HostBarrier kind, int predicate, const char *file, int line);
/* The lanes of mask meet; the last to come works the operation out for all: arg[l] is what lane l gave, NULL outside mask. */
typedef void HostWarpOp(unsigned mask, void *const arg[32]);
void host_warp(unsigned mask, HostWarpOp *op, void *arg, const char *what, const char *file, int line);
void host_fault(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn)); /* ends the kernel */
#define HOST_AT  const char *file = __builtin_FILE(), int line = __builtin_LINE()

static inline void __syncthreads(HOST_AT) { host_barrier(HOST_SYNC, 0, file, line); }
static inline int  __syncthreads_or(int p, HOST_AT) { return host_barrier(HOST_OR, p, file, line); }
static inline int  __syncthreads_and(int p, HOST_AT) { return host_barrier(HOST_AND, p, file, line); }
static inline int  __syncthreads_count(int p, HOST_AT) { return host_barrier(HOST_COUNT, p, file, line); }
static inline void host_meet(unsigned, void *const *) {}
static inline void __syncwarp(unsigned mask = 0xffffffffu, HOST_AT) { host_warp(mask, host_meet, NULL, "__syncwarp", file, line); }
static inline void __trap(HOST_AT) { host_fault("__trap of %s:%d", file, line); }
static inline void __threadfence_block(void) {}
static inline void __threadfence(void) {}

/* from: the lane that each lane reads, counted in the warp. */
template <typename T> struct HostShuffle { T v, got; int from; };
template <typename T> static void host_shuffle(unsigned mask, void *const arg[32])
{
    for (int l = 0; l < 32; l++)
        if (arg[l]) {
            HostShuffle<T> *s = (HostShuffle<T> *)arg[l];
            if (!(mask >> s->from & 1))
                host_fault("a shuffle reads lane %d, which takes no part (mask %08x)", s->from, mask);
            s->got = ((HostShuffle<T> *)arg[s->from])->v;
        }
}
int host_lane(void);
template <typename T> static inline T host_shuffle_from(unsigned mask, T v, int from, const char *what, const char *file, int line)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles are of 4 or 8 bytes");
    HostShuffle<T> s = { v, v, from };
    host_warp(mask, host_shuffle<T>, &s, what, file, line);
    return s.got;
}
template <typename T> static inline T __shfl_sync(unsigned mask, T v, int lane, int width = 32, HOST_AT)
{
    return host_shuffle_from(mask, v, host_lane() / width * width + (int)((unsigned)lane % (unsigned)width), "__shfl_sync", file, line);
}
template <typename T> static inline T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32, HOST_AT)
{
    const int to = host_lane() ^ bits;
    return host_shuffle_from(mask, v, to / width <= host_lane() / width ? to : host_lane(), "__shfl_xor_sync", file, line);
}
template <typename T> static inline T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32, HOST_AT)
{
    const int to = host_lane() + (int)by;
    return host_shuffle_from(mask, v, to / width == host_lane() / width ? to : host_lane(), "__shfl_down_sync", file, line);
}
template <typename T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32, HOST_AT)
{
    const int to = host_lane() - (int)by;
    return host_shuffle_from(mask, v, to >= 0 && to / width == host_lane() / width ? to : host_lane(), "__shfl_up_sync", file, line);
}

struct HostVote { int p; unsigned votes; };
static inline void host_vote(unsigned, void *const arg[32])
{
    unsigned votes = 0;
    for (int l = 0; l < 32; l++)
        if (arg[l] && ((HostVote *)arg[l])->p)
            votes |= 1u << l;
    for (int l = 0; l < 32; l++)
        if (arg[l])
            ((HostVote *)arg[l])->votes = votes;
}
static inline unsigned __ballot_sync(unsigned mask, int p, HOST_AT)
{
    HostVote v = { p, 0 };
    host_warp(mask, host_vote, &v, "__ballot_sync", file, line);
    return v.votes;
}
static inline int __any_sync(unsigned mask, int p, HOST_AT) { return __ballot_sync(mask, p, file, line) != 0; }
static inline int __all_sync(unsigned mask, int p, HOST_AT) { return __ballot_sync(mask, p, file, line) == mask; }
static inline unsigned __activemask(void) { return 0xffffffffu; }

/* ---- the matrix units and asynchronous copies: mma.cuh says what they mean ---- */

void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2], HOST_AT);
void load_matrices(uint32_t r[4], const void *row, HOST_AT);
void load_matrices_transposed(uint32_t r[4], const void *row, HOST_AT);
void copy_begin16(void *shared, const void *global, int bytes, HOST_AT);
void copy_group(void);
void host_copy_wait(int pending);
template <int pending> static inline void copy_wait(void) { host_copy_wait(pending); }
uint32_t bf16_pair(float low, float high);

/* ---- arithmetic ---- */

static inline unsigned  __float_as_uint(float v) { unsigned r; memcpy(&r, &v, sizeof r); return r; }
static inline int       __float_as_int(float v) { int r; memcpy(&r, &v, sizeof r); return r; }
static inline float     __uint_as_float(unsigned v) { float r; memcpy(&r, &v, sizeof r); return r; }
static inline float     __int_as_float(int v) { float r; memcpy(&r, &v, sizeof r); return r; }
static inline long long __double_as_longlong(double v) { long long r; memcpy(&r, &v, sizeof r); return r; }
static inline double    __longlong_as_double(long long v) { double r; memcpy(&r, &v, sizeof r); return r; }
static inline int       __popc(unsigned v) { return __builtin_popcount(v); }
static inline int       __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int       __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
static inline int       __clzll(long long v) { return v ? __builtin_clzll((unsigned long long)v) : 64; }
static inline int       __ffs(int v) { return __builtin_ffs(v); }
static inline unsigned  __brev(unsigned v)
{
    unsigned r = 0;
    for (int i = 0; i < 32; i++)
        r |= (v >> i & 1) << (31 - i);
    return r;
}
static inline unsigned  __umulhi(unsigned a, unsigned b) { return (unsigned)((unsigned long long)a * b >> 32); }
static inline unsigned  __byte_perm(unsigned x, unsigned y, unsigned s)
{
    const unsigned long long both = (unsigned long long)y << 32 | x;
    unsigned r = 0;
    for (int i = 0; i < 4; i++) {
        const unsigned pick = s >> 4 * i & 15, byte = (unsigned)(both >> 8 * (pick & 7) & 255);
        r |= (pick & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * i;
    }
    return r;
}
static inline int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 4; i++)
        c += (int)(signed char)(a >> 8 * i) * (int)(signed char)(b >> 8 * i);
    return c;
}
template <typename T> static inline T __ldg(const T *p) { return *p; }
template <typename T> static inline T __ldcs(const T *p) { return *p; }
template <typename T> static inline void __stcs(T *p, T v) { *p = v; }

#define HOST_MIN_MAX(T)                                         \
    static inline T min(T a, T b) { return b < a ? b : a; }     \
    static inline T max(T a, T b) { return a < b ? b : a; }
HOST_MIN_MAX(int)
HOST_MIN_MAX(unsigned)
HOST_MIN_MAX(long)
HOST_MIN_MAX(unsigned long)
HOST_MIN_MAX(long long)
HOST_MIN_MAX(unsigned long long)
static inline float  min(float a, float b) { return fminf(a, b); }
static inline float  max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

/* The host's mathematics has some of these names for its own, hence the macros. */
static inline float host_rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float host_exp10f(float x) { return (float)pow(10.0, (double)x); }
static inline float host_quotient(float a, float b) { return a / b; }
#define rsqrtf        host_rsqrtf
#define rsqrt(x)      (1.0 / sqrt(x))
#define exp10f        host_exp10f
#define __expf        expf
#define __exp10f      host_exp10f
#define __logf        logf
#define __log2f       log2f
#define __log10f      log10f
#define __powf        powf
#define __sinf        sinf
#define __cosf        cosf
#define __sincosf     sincosf
#define __fdividef    host_quotient
#define __saturatef(x) fminf(fmaxf(x, 0.0f), 1.0f)
#define __fmaf_rn     fmaf
#define __fma_rn      fma
static inline float  __fadd_rn(float a, float b) { return a + b; }
static inline float  __fsub_rn(float a, float b) { return a - b; }
static inline float  __fmul_rn(float a, float b) { return a * b; }
static inline float  __fdiv_rn(float a, float b) { return a / b; }
static inline float  __frcp_rn(float a) { return 1.0f / a; }
static inline float  __fsqrt_rn(float a) { return sqrtf(a); }
static inline float  __frsqrt_rn(float a) { return (float)(1.0 / sqrt((double)a)); }
static inline double __dadd_rn(double a, double b) { return a + b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline float  __double2float_rn(double a) { return (float)a; }
static inline float  __int2float_rn(int a) { return (float)a; }
static inline float  __uint2float_rn(unsigned a) { return (float)a; }
static inline int    __float2int_rn(float a) { return (int)rintf(a); }
static inline int    __float2int_rz(float a) { return (int)a; }
static inline int    __float2int_rd(float a) { return (int)floorf(a); }

/* ---- the runtime ---- */

typedef enum cudaError {
    cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2, cudaErrorInitializationError = 3, cudaErrorInvalidConfiguration = 9,
    cudaErrorInsufficientDriver = 35, cudaErrorNoDevice = 100, cudaErrorInvalidDevice = 101, cudaErrorNoKernelImageForDevice = 209, cudaErrorECCUncorrectable = 214,
    cudaErrorInvalidResourceHandle = 400, cudaErrorNotReady = 600, cudaErrorIllegalAddress = 700, cudaErrorLaunchOutOfResources = 701, cudaErrorLaunchFailure = 719,
    cudaErrorUnknown = 999,
} cudaError_t;
typedef struct HostStream *cudaStream_t;
typedef struct HostEvent *cudaEvent_t;
typedef enum cudaMemcpyKind { cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaMemcpyDefault } cudaMemcpyKind;
typedef enum cudaDeviceAttr {
    cudaDevAttrMultiProcessorCount = 16, cudaDevAttrComputeCapabilityMajor = 75, cudaDevAttrComputeCapabilityMinor = 76, cudaDevAttrMaxSharedMemoryPerBlockOptin = 97,
    cudaDevAttrL2CacheSize = 38,
} cudaDeviceAttr;
typedef enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8, cudaFuncAttributePreferredSharedMemoryCarveout = 9 } cudaFuncAttribute;
typedef struct cudaDeviceProp {
    char   name[256];
    size_t totalGlobalMem, sharedMemPerBlockOptin;
    int    major, minor, multiProcessorCount, l2CacheSize, warpSize, ECCEnabled;
} cudaDeviceProp;
typedef struct cudaFuncAttributes { size_t sharedSizeBytes, localSizeBytes; int numRegs, maxThreadsPerBlock; } cudaFuncAttributes;
#define CUDART_VERSION 13000
#define cudaStreamDefault 0u
#define cudaStreamNonBlocking 1u
#define cudaEventDefault 0u
#define cudaEventDisableTiming 2u
#define cudaHostAllocDefault 0u
#define cudaHostAllocWriteCombined 4u
#define cudaHostRegisterDefault 0u

cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attr, int device);
cudaError_t cudaSetDevice(int device);
static inline cudaError_t cudaDeviceGetPCIBusId(char *bus, int n, int device)
{
    snprintf(bus, (size_t)n, "0000:%02x:00.0", device + 1);
    return cudaSuccess;
}
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaDriverGetVersion(int *v);
cudaError_t cudaRuntimeGetVersion(int *v);
cudaError_t host_malloc(void **p, size_t n);
cudaError_t host_malloc_pinned(void **p, size_t n);
template <typename T> static inline cudaError_t cudaMalloc(T **p, size_t n) { return host_malloc((void **)p, n); }
template <typename T> static inline cudaError_t cudaMallocHost(T **p, size_t n, unsigned = 0) { return host_malloc_pinned((void **)p, n); }
template <typename T> static inline cudaError_t cudaHostAlloc(T **p, size_t n, unsigned) { return host_malloc_pinned((void **)p, n); }
cudaError_t cudaFree(void *p);
cudaError_t cudaFreeHost(void *p);
cudaError_t cudaHostRegister(void *p, size_t n, unsigned flags);
cudaError_t cudaHostUnregister(void *p);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total);
cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t n, cudaMemcpyKind kind, cudaStream_t s);
cudaError_t cudaMemcpy2DAsync(void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t s);
cudaError_t cudaMemsetAsync(void *p, int byte, size_t n, cudaStream_t s);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags);
cudaError_t cudaStreamCreate(cudaStream_t *s);
cudaError_t cudaStreamDestroy(cudaStream_t s);
cudaError_t cudaStreamSynchronize(cudaStream_t s);
cudaError_t cudaStreamQuery(cudaStream_t s);
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned flags = 0);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags);
cudaError_t cudaEventCreate(cudaEvent_t *e);
cudaError_t cudaEventDestroy(cudaEvent_t e);
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s);
cudaError_t cudaEventSynchronize(cudaEvent_t e);
cudaError_t cudaEventQuery(cudaEvent_t e);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaGetLastError(void);
cudaError_t cudaPeekAtLastError(void);
const char *cudaGetErrorString(cudaError_t code);
const char *cudaGetErrorName(cudaError_t code);
cudaError_t host_set_attribute(const void *kernel, cudaFuncAttribute attr, int value);
cudaError_t host_get_attributes(cudaFuncAttributes *a, const void *kernel);
template <typename T> static inline cudaError_t cudaFuncSetAttribute(T *kernel, cudaFuncAttribute attr, int value) { return host_set_attribute((const void *)kernel, attr, value); }
template <typename T> static inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *a, T *kernel) { return host_get_attributes(a, (const void *)kernel); }

/* ---- a launch: arguments become parameters now, as they do on a card; the kernel runs when its stream does ---- */

cudaError_t host_enqueue(cudaStream_t s, const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared, std::function<void()> body);
template <typename T> struct HostSame { typedef T type; };
template <typename... P>
static inline cudaError_t host_launch(cudaStream_t s, const char *name, dim3 grid, dim3 block, size_t shared, void (*kernel)(P...), typename HostSame<P>::type... args)
{
    std::tuple<P...> held(args...);
    return host_enqueue(s, name, (const void *)kernel, grid, block, shared, [=]() { std::apply(kernel, held); });
}

#endif
