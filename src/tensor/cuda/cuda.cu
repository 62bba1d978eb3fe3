/* cuda.cu - opening a card: which one, whether it can be used and why not; memory, failures, the table of functions.
 * Main struct: Cuda (cuda_int.h). Invariants: the first failure is kept and told by sync; a failed kernel or copy leaves the card's context useless, so that failure stays for good,
 * while memory that did not fit may be tried again with less. To add an operation: its function in the file it belongs to, its lines in cuda_int.h and table_of. */
#include "tensor/cuda/cuda_int.h"
#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include "base/mem.h"
#include "base/str.h"
#include "tensor/cuda/cuda.h"
}
#include "tensor/cuda/verified.h"

#define CAPABILITY_LEAST 80
#define ELSE_CPU         "; or choose device cpu"
#define KIB64            ((size_t)64 << 10)
#define MIB2             ((size_t)2 << 20)

static double gib(size_t n) { return (double)n / (double)((size_t)1 << 30); }
static double mib(size_t n) { return (double)n / (double)((size_t)1 << 20); }

/* ---- failures ---- */

void cuda_fail(Cuda *c, cudaError_t code, const char *what)
{
    if (c->failed.code)
        return;
    cudaGetLastError(); /* taken */
    if (code == cudaErrorMemoryAllocation) {
        size_t free_bytes = 0, total = 0;
        cudaMemGetInfo(&free_bytes, &total);
        err_set(&c->failed, ERR_MEM, "Out of memory on cuda:%d: %s did not fit, with %.1f GiB of the card's %.1f GiB free; use a smaller batch or a shorter length, or end other programs "
                "on the card.", c->device, what, gib(free_bytes), gib(total));
    } else if (code == cudaErrorNoKernelImageForDevice) {
        err_set(&c->failed, ERR_ARG, "cuda:%d has compute capability %d.%d, for which this hone holds no code; build it with that in HONE_CUDA_ARCHS" ELSE_CPU ".", c->device,
                c->capability / 10, c->capability % 10);
    } else {
        err_set(&c->failed, ERR_IO, "cuda:%d failed at \"%s\": %s (error %d). The fault may lie in something started before; with CUDA_LAUNCH_BLOCKING=1 in the environment the right "
                "one is named. Start again from the last checkpoint; if it comes back, choose device cpu and report it.", c->device, what, cudaGetErrorString(code), (int)code);
    }
}

bool cuda_try(Cuda *c, cudaError_t code, const char *what)
{
    if (code == cudaSuccess)
        return true;
    cuda_fail(c, code, what);
    return false;
}

static void wait_for_both(Cuda *c)
{
    cuda_try(c, cudaStreamSynchronize(c->stream), "waiting for the card");
    cuda_try(c, cudaStreamSynchronize(c->copies), "waiting for copies");
}

static int cuda_sync(Backend *be, Err *e)
{
    Cuda *c = cuda_of(be);
    if (cuda_ok(c))
        wait_for_both(c);
    const Err failed = c->failed;
    if (failed.code == ERR_MEM)
        c->failed.code = 0;
    if (failed.code && e)
        *e = failed;
    return failed.code;
}

/* ---- memory ---- */

static void *block_alloc(Cuda *c, size_t n)
{
    void *p = NULL;
    const cudaError_t code = cudaMalloc(&p, n);
    if (code == cudaSuccess) {
        c->held += n;
        c->most = MAX(c->most, c->held);
    } else if (code == cudaErrorMemoryAllocation) {
        cudaGetLastError(); /* taken: the caller hears of it by NULL */
    } else {
        cuda_fail(c, code, "asking for memory");
    }
    return p;
}

/* Kernels and copies that use the block may still be under way. */
static void block_free(Cuda *c, void *p, size_t n)
{
    if (!p)
        return;
    wait_for_both(c);
    cuda_try(c, cudaFree(p), "giving memory back"); /* after a failure of the card it fails too, and the memory goes with the process */
    c->held -= n;
}

static void *cuda_alloc(Backend *be, size_t nbytes)
{
    Cuda *c = cuda_of(be);
    return block_alloc(c, MAX(nbytes, (size_t)1));
}

static void cuda_release(Backend *be, void *p, size_t nbytes)
{
    block_free(cuda_of(be), p, MAX(nbytes, (size_t)1));
}

/* Large ones in whole pages of the card with an eighth to spare: shapes differ a little from step to step. */
void *cuda_slot(Cuda *c, CudaSlot s, size_t nbytes)
{
    CudaScratch *slot = &c->slot[s];
    if (!cuda_ok(c))
        return NULL;
    if (slot->n >= nbytes && slot->p)
        return slot->p;
    const size_t unit = nbytes < MIB2 ? KIB64 : MIB2;
    if (nbytes > SIZE_MAX / 2) {
        cuda_fail(c, cudaErrorMemoryAllocation, "a working space of more bytes than a machine can address");
        return NULL;
    }
    const size_t size = (MAX(nbytes, (size_t)1) + (nbytes < MIB2 ? 0 : nbytes / 8) + unit - 1) / unit * unit;
    block_free(c, slot->p, slot->n);
    slot->p = NULL;
    slot->n = 0;
    slot->p = block_alloc(c, size);
    if (slot->p) {
        slot->n = size;
        c->grown++;
    } else if (cuda_ok(c)) {
        char what[80];
        snprintf(what, sizeof what, "a working space of %.1f MiB", mib(size));
        cuda_fail(c, cudaErrorMemoryAllocation, what);
    }
    return slot->p;
}

static void cuda_upload(Backend *be, void *dst, const void *src, size_t nbytes)
{
    cuda_send(cuda_of(be), dst, src, nbytes);
}

static void cuda_download(Backend *be, void *dst, const void *src, size_t nbytes)
{
    cuda_fetch(cuda_of(be), dst, src, nbytes);
}

/* ---- the two tracks ---- */

static cudaStream_t stream_of(const Cuda *c, Track w) { return w == TRACK_KERNELS ? c->stream : c->copies; }

static Mark cuda_mark(Backend *be, Track of)
{
    Cuda *c = cuda_of(be);
    cudaEvent_t *e = &c->mark[of][++c->marks[of] % CUDA_MARKS];
    if (cuda_ok(c) && (*e || cuda_try(c, cudaEventCreateWithFlags(e, cudaEventDisableTiming), "making an event")))
        cuda_try(c, cudaEventRecord(*e, stream_of(c, of)), "marking a place");
    return c->marks[of];
}

static void cuda_after(Backend *be, Track w, Mark m)
{
    Cuda *c = cuda_of(be);
    if (cuda_ok(c))
        cuda_try(c, cudaStreamWaitEvent(stream_of(c, w), c->mark[!w][m % CUDA_MARKS], 0), "waiting for a mark");
}

static bool cuda_pin(Backend *be, void *p, size_t nbytes)
{
    Cuda *c = cuda_of(be);
    int   i = 0;
    while (i < CUDA_PINNED && c->pinned[i].p)
        i++;
    if (!cuda_ok(c) || i == CUDA_PINNED || cudaHostRegister(p, nbytes, cudaHostRegisterDefault) != cudaSuccess) {
        cudaGetLastError(); /* taken: the caller hears of it */
        return false;
    }
    c->pinned[i].p = (char *)p;
    c->pinned[i].n = nbytes;
    return true;
}

static void cuda_unpin(Backend *be, void *p)
{
    Cuda *c = cuda_of(be);
    for (int i = 0; i < CUDA_PINNED; i++)
        if (c->pinned[i].p == p) {
            wait_for_both(c);
            cuda_try(c, cudaHostUnregister(p), "letting pages go");
            c->pinned[i].p = NULL;
        }
}

static void cuda_close(Backend *be)
{
    Cuda *c = cuda_of(be);
    if (c->stream)
        cudaStreamSynchronize(c->stream); /* also after a failure */
    if (c->copies)
        cudaStreamSynchronize(c->copies);
    for (int i = 0; i < TRACK_COUNT * CUDA_MARKS; i++)
        if (c->mark[i / CUDA_MARKS][i % CUDA_MARKS])
            cudaEventDestroy(c->mark[i / CUDA_MARKS][i % CUDA_MARKS]);
    cuda_lt_close(c->lt);
    for (int i = 0; i < SLOT_COUNT; i++)
        block_free(c, c->slot[i].p, c->slot[i].n);
    cuda_ring_close(c);
    if (c->stream)
        cudaStreamDestroy(c->stream);
    if (c->copies)
        cudaStreamDestroy(c->copies);
    free(c);
}

static bool cuda_memory(const Backend *be, DeviceMemory *out)
{
    const Cuda *c = (const Cuda *)be;
    out->held = c->held;
    out->most = c->most;
    return backend_cuda_memory(be, &out->free, &out->total);
}

/* ---- which card ---- */

/* Why no card can be counted: the driver's fault. */
static int explain_driver(cudaError_t code, Err *e)
{
    int driver = 0, runtime = 0;
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    cudaGetLastError();
    if (code == cudaErrorInsufficientDriver && driver == 0)
        return err_set(e, ERR_IO, "This machine has no NVIDIA driver (libcuda.so.1 is not there); install it, until nvidia-smi lists the card" ELSE_CPU ".");
    if (code == cudaErrorInsufficientDriver)
        return err_set(e, ERR_IO, "The NVIDIA driver serves CUDA up to %d.%d, and this hone needs %d.%d; install a newer driver" ELSE_CPU ".", driver / 1000, driver % 1000 / 10,
                       runtime / 1000, runtime % 1000 / 10);
    if (code == cudaErrorNoDevice)
        return err_set(e, ERR_IO, "The NVIDIA driver shows no card; look what nvidia-smi lists and whether CUDA_VISIBLE_DEVICES hides it" ELSE_CPU ".");
    return err_set(e, ERR_IO, "The NVIDIA driver does not answer: %s (error %d); look whether nvidia-smi works" ELSE_CPU ".", cudaGetErrorString(code), (int)code);
}

static int cards_shown(int *n, Err *e)
{
    *n = 0;
    const cudaError_t code = cudaGetDeviceCount(n);
    return code == cudaSuccess && *n > 0 ? 0 : explain_driver(code == cudaSuccess ? cudaErrorNoDevice : code, e);
}

static int capability_of(const cudaDeviceProp *p) { return 10 * p->major + p->minor; }

/* -1: none can be used. */
static int first_usable(int n)
{
    for (int i = 0; i < n; i++) {
        cudaDeviceProp p;
        if (cudaGetDeviceProperties(&p, i) == cudaSuccess && capability_of(&p) >= CAPABILITY_LEAST)
            return i;
    }
    return -1;
}

static int card_choose(int *device, cudaDeviceProp *p, Err *e)
{
    int n, rc = cards_shown(&n, e);
    if (rc)
        return rc;
    if (*device >= n)
        return err_set(e, ERR_ARG, "There is no card cuda:%d: the driver shows %d, counted from 0 (CUDA_VISIBLE_DEVICES may hide others).", *device, n);
    if (*device < 0)
        *device = MAX(first_usable(n), 0); /* if none, the first says why */
    const cudaError_t code = cudaGetDeviceProperties(p, *device);
    if (code != cudaSuccess)
        return explain_driver(code, e);
    if (capability_of(p) < CAPABILITY_LEAST)
        return err_set(e, ERR_ARG, "cuda:%d, a card called %s, has compute capability %d.%d, and hone needs %d.%d or newer (cards from 2020 on)" ELSE_CPU ".", *device, p->name, p->major,
                       p->minor, CAPABILITY_LEAST / 10, CAPABILITY_LEAST % 10);
    return 0;
}

extern "C" int backend_cuda_count(void)
{
    int n = 0, usable = 0;
    if (cards_shown(&n, NULL))
        return 0;
    for (int i = 0; i < n; i++) {
        cudaDeviceProp p;
        usable += cudaGetDeviceProperties(&p, i) == cudaSuccess && capability_of(&p) >= CAPABILITY_LEAST;
    }
    return usable;
}

extern "C" void backend_cuda_describe(StrBuf *out)
{
    int n = 0, driver = 0;
    Err e = { 0, "" };
    if (cards_shown(&n, &e)) {
        strbuf_addf(out, "none (%s)", e.text);
        return;
    }
    for (int i = 0; i < n; i++) {
        cudaDeviceProp p;
        if (cudaGetDeviceProperties(&p, i) != cudaSuccess)
            continue;
        strbuf_addf(out, "%s%s (%d.%d, %.1f GiB%s)", i ? ", " : "", p.name, p.major, p.minor, gib(p.totalGlobalMem), capability_of(&p) < CAPABILITY_LEAST ? ", too old" : "");
    }
    cudaDriverGetVersion(&driver);
    strbuf_addf(out, ", driver %d.%d", driver / 1000, driver % 1000 / 10);
}

extern "C" bool backend_cuda_proven(void) { return !CUDA_UNVERIFIED; }

extern "C" void backend_cuda_verified(StrBuf *out)
{
    strbuf_addz(out, CUDA_VERIFIED);
}

/* ---- open ---- */

static void table_of(Backend *b)
{
    b->name = "cuda";
    b->threads = 1;
    b->has_bf16 = true;
    b->note = CUDA_UNVERIFIED ? "hone's kernels for NVIDIA cards have run in emulation and on no card of this kind so far; compare the first losses with those of device cpu" : NULL;
    b->alloc = cuda_alloc;
    b->release = cuda_release;
    b->upload = cuda_upload;
    b->download = cuda_download;
    b->memory = cuda_memory;
    b->mark = cuda_mark;
    b->after = cuda_after;
    b->send = cuda_send_beside;
    b->take = cuda_take_beside;
    b->pin = cuda_pin;
    b->unpin = cuda_unpin;
    b->sync = cuda_sync;
    b->close = cuda_close;

    b->fill = cuda_fill;
    b->add = cuda_add;
    b->acc = cuda_acc;
    b->scale = cuda_scale;
    b->softcap = cuda_softcap;
    b->embed = cuda_embed;
    b->embed_bwd = cuda_embed_bwd;
    b->linear = cuda_linear;
    b->linear_dx = cuda_linear_dx;
    b->linear_pair = cuda_linear_pair;
    b->linear_dx_pair = cuda_linear_dx_pair;
    b->linear_dw = cuda_linear_dw;
    b->linear_db = cuda_linear_db;
    b->rmsnorm = cuda_rmsnorm;
    b->rmsnorm_bwd = cuda_rmsnorm_bwd;
    b->layernorm = cuda_layernorm;
    b->layernorm_bwd = cuda_layernorm_bwd;
    b->rope = cuda_rope;
    b->attn = cuda_attn;
    b->attn_bwd = cuda_attn_bwd;
    b->attn_sinks_bwd = cuda_attn_sinks_bwd;
    b->glu = cuda_glu;
    b->glu_bwd = cuda_glu_bwd;
    b->act = cuda_act;
    b->act_bwd = cuda_act_bwd;
    b->head_logp = cuda_head_logp;
    b->head_logp_bwd = cuda_head_logp_bwd;
    b->head_fused = cuda_head_fused;
    b->route = cuda_route;
    b->route_bwd = cuda_route_bwd;
    b->route_count = cuda_route_count;
    b->combine = cuda_combine;
    b->combine_bwd = cuda_combine_bwd;
    b->gate_rows = cuda_gate_rows;
    b->gate_rows_bwd = cuda_gate_rows_bwd;
    b->sumsq = cuda_sumsq;
    b->adamw = cuda_adamw;
    b->copy_rows = cuda_copy_rows;
}

/* One kernel and one copy: a card may be counted and yet not compute. */
static void card_probe(Cuda *c)
{
    float   got = 0;
    float  *p = (float *)cuda_slot(c, SLOT_ROWS, sizeof got);
    Tensor  x = Tensor();
    x.dtype = DT_F32;
    x.rank = 1;
    x.dim[0] = x.ld = 1;
    x.data = p;
    if (!p)
        return;
    cuda_fill(&c->be, &x, 8.25f);
    cuda_fetch(c, &got, p, sizeof got);
    if (cuda_ok(c) && got != 8.25f)
        err_set(&c->failed, ERR_IO, "cuda:%d computes wrong numbers: a kernel that writes 8.25 left %g" ELSE_CPU ".", c->device, (double)got);
}

extern "C" Backend *backend_cuda_open(int device, Err *e)
{
    cudaDeviceProp p;
    Cuda *c = (Cuda *)mem_zalloc(1, sizeof *c);
    if (card_choose(&device, &p, e)) {
        free(c);
        return NULL;
    }
    table_of(&c->be);
    c->device = device;
    c->capability = capability_of(&p);
    c->multiprocessors = p.multiProcessorCount;
    c->shared_limit = (int)p.sharedMemPerBlockOptin;
    if (cuda_try(c, cudaSetDevice(device), "choosing the card") && cuda_try(c, cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking), "opening a stream") &&
        cuda_try(c, cudaStreamCreateWithFlags(&c->copies, cudaStreamNonBlocking), "opening a stream") && cuda_ring_open(c))
        card_probe(c);
    if (cuda_ok(c))
        c->lt = cuda_lt_open(c);
    if (cuda_ok(c)) {
        c->grown = 0;
        if (cudaDeviceGetPCIBusId(c->bus, (int)sizeof c->bus, device) == cudaSuccess)
            c->be.bus = c->bus;
        return &c->be;
    }
    const Err failed = c->failed;
    if (e)
        *e = failed;
    cuda_close(&c->be);
    return NULL;
}

extern "C" bool backend_cuda_memory(const Backend *be, size_t *free_bytes, size_t *total)
{
    *free_bytes = *total = 0;
    if (be->close != cuda_close)
        return false;
    cudaSetDevice(((const Cuda *)be)->device);
    return cudaMemGetInfo(free_bytes, total) == cudaSuccess;
}
