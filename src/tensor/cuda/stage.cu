/* stage.cu - the way between the program's memory and the card's.
 *
 * Main struct: CudaRing. Two large pinned buffers take turns for long copies: while the card's copy engine empties or fills one, the processor's cores fill or empty the other, so
 * that weights of a mapped file arrive at the speed of the bus (a copy from memory that is not pinned goes through one small buffer of the driver's, by one core). Short copies go
 * without them, and memory that is pinned needs none. Beside these a ring of CUDA_STAGE_TURNS small pairs, pinned and on the card, for numbers that kernels need (cuda_stage).
 *
 * Invariants: what is not called beside the kernels runs on their stream, so a later kernel sees what was sent before; a pinned buffer, which both streams use, is written again only
 * after the event behind its last copy, whether a core writes it or the card. The
 * small pairs all have one size; when a request is larger all are made anew with twice the room, and the old ones on the card stay till the end (together they are smaller
 * than the new), since kernels may still be launched with them. */
#include "tensor/cuda/cuda_int.h"
#include <stdlib.h>

extern "C" {
#include "base/mem.h"
#include "base/thread.h"
}

#define HALF        ((size_t)16 << 20)      /* bytes of each large buffer: 0.3 ms of a fast bus, well above the cost of an event */
#define SHORT       ((size_t)256 << 10)     /* copies below this go without them */
#define PIECE       ((size_t)1 << 20)       /* what one core copies at a time */
#define COPIERS     8                       /* cores that fill a buffer; about 10 GB/s each, the bus takes 25 to 55 */
#define PAIR_LEAST  ((size_t)16 << 10)
#define KEPT_MOST   40                      /* sizes double, so there are never more */

struct CudaRing {
    char       *half[2];                    /* pinned; NULL before the first long copy */
    cudaEvent_t emptied[2];                 /* behind the last copy from or to it */
    int         fill;                       /* the one to be filled next */
    Pool       *pool;

    size_t      pair;                       /* bytes of each small buffer */
    char       *pinned, *device;            /* CUDA_STAGE_TURNS of them, one behind the other */
    cudaEvent_t sent[CUDA_STAGE_TURNS];
    int64_t     turn;
    struct { char *device; size_t n; } kept[KEPT_MOST];
    int         n_kept;
};

bool cuda_ring_open(Cuda *c)
{
    CudaRing *r = (CudaRing *)mem_zalloc(1, sizeof *r);
    c->ring = r;
    for (int i = 0; i < 2; i++)
        if (!cuda_try(c, cudaEventCreateWithFlags(&r->emptied[i], cudaEventDisableTiming), "making an event"))
            return false;
    for (int i = 0; i < CUDA_STAGE_TURNS; i++)
        if (!cuda_try(c, cudaEventCreateWithFlags(&r->sent[i], cudaEventDisableTiming), "making an event"))
            return false;
    return true;
}

/* The stream is empty, or has failed. */
void cuda_ring_close(Cuda *c)
{
    CudaRing *r = c->ring;
    if (!r)
        return;
    for (int i = 0; i < 2; i++) {
        cudaFreeHost(r->half[i]);
        if (r->emptied[i])
            cudaEventDestroy(r->emptied[i]);
    }
    for (int i = 0; i < CUDA_STAGE_TURNS; i++)
        if (r->sent[i])
            cudaEventDestroy(r->sent[i]);
    for (int i = 0; i < r->n_kept; i++) {
        cudaFree(r->kept[i].device);
        c->held -= r->kept[i].n;
    }
    cudaFree(r->device);
    c->held -= r->device ? CUDA_STAGE_TURNS * r->pair : 0;
    cudaFreeHost(r->pinned);
    pool_free(r->pool);
    free(r);
    c->ring = NULL;
}

/* ---- long copies ---- */

static bool halves_ready(Cuda *c)
{
    CudaRing *r = c->ring;
    for (int i = 0; i < 2; i++)
        if (!r->half[i] && !cuda_try(c, cudaMallocHost(&r->half[i], HALF), "pinned memory for copies"))
            return false;
    if (!r->pool)
        r->pool = pool_new(MIN(COPIERS, MAX(thread_cores() / 2, 1)));
    return true;
}

typedef struct CopyJob { char *dst; const char *src; size_t n; } CopyJob;

static void piece_copy(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const CopyJob *j = (const CopyJob *)ctx;
    const size_t first = (size_t)piece * PIECE;
    memcpy(j->dst + first, j->src + first, MIN(PIECE, j->n - first));
}

static void copy_by_cores(Cuda *c, char *dst, const char *src, size_t n)
{
    CopyJob j = { dst, src, n };
    parallel_for(c->ring->pool, (int64_t)((n + PIECE - 1) / PIECE), piece_copy, &j);
}

static const char to_card[] = "copy to the card", from_card[] = "copy from the card";

static void send_long(Cuda *c, void *device, const void *host, size_t nbytes, cudaStream_t s)
{
    CudaRing *r = c->ring;
    if (!halves_ready(c))
        return;
    for (size_t at = 0; at < nbytes; at += HALF, r->fill ^= 1) {
        const size_t n = MIN(HALF, nbytes - at);
        if (!cuda_try(c, cudaEventSynchronize(r->emptied[r->fill]), to_card))
            return;
        copy_by_cores(c, r->half[r->fill], (const char *)host + at, n);
        if (!cuda_try(c, cudaMemcpyAsync((char *)device + at, r->half[r->fill], n, cudaMemcpyHostToDevice, s), to_card) ||
            !cuda_try(c, cudaEventRecord(r->emptied[r->fill], s), to_card))
            return;
    }
}

/* The card fills one buffer while the cores empty the other. */
static void fetch_long(Cuda *c, void *host, const void *device, size_t nbytes, cudaStream_t s)
{
    const char *what = from_card;
    CudaRing *r = c->ring;
    if (!halves_ready(c))
        return;
    for (size_t at = 0, turn = 0; at < nbytes + HALF; at += HALF, turn ^= 1) {
        if (at < nbytes && (!cuda_try(c, cudaStreamWaitEvent(s, r->emptied[turn], 0), what) ||
                            !cuda_try(c, cudaMemcpyAsync(r->half[turn], (const char *)device + at, MIN(HALF, nbytes - at), cudaMemcpyDeviceToHost, s), what) ||
                            !cuda_try(c, cudaEventRecord(r->emptied[turn], s), what)))
            return;
        if (at == 0)
            continue;
        if (!cuda_try(c, cudaEventSynchronize(r->emptied[turn ^ 1]), what))
            return;
        copy_by_cores(c, (char *)host + at - HALF, r->half[turn ^ 1], MIN(HALF, nbytes - (at - HALF)));
    }
}

void cuda_send(Cuda *c, void *device, const void *host, size_t nbytes)
{
    if (!cuda_ok(c) || nbytes == 0)
        return;
    if (nbytes < SHORT)
        cuda_try(c, cudaMemcpyAsync(device, host, nbytes, cudaMemcpyHostToDevice, c->stream), to_card);
    else
        send_long(c, device, host, nbytes, c->stream);
}

void cuda_fetch(Cuda *c, void *host, const void *device, size_t nbytes)
{
    if (!cuda_ok(c) || nbytes == 0)
        return;
    if (nbytes >= SHORT)
        fetch_long(c, host, device, nbytes, c->stream);
    else if (cuda_try(c, cudaMemcpyAsync(host, device, nbytes, cudaMemcpyDeviceToHost, c->stream), from_card))
        cuda_try(c, cudaStreamSynchronize(c->stream), from_card);
}

/* ---- copies beside the kernels: short ones too go by the buffers, since the driver waits with others until the stream is empty ---- */

static bool is_pinned(const Cuda *c, const void *p, size_t nbytes)
{
    for (int i = 0; i < CUDA_PINNED; i++)
        if (c->pinned[i].p && (const char *)p >= c->pinned[i].p && (const char *)p + nbytes <= c->pinned[i].p + c->pinned[i].n)
            return true;
    return false;
}

void cuda_send_beside(Backend *be, void *device, const void *host, size_t nbytes)
{
    Cuda *c = cuda_of(be);
    if (!cuda_ok(c) || nbytes == 0)
        return;
    if (is_pinned(c, host, nbytes))
        cuda_try(c, cudaMemcpyAsync(device, host, nbytes, cudaMemcpyHostToDevice, c->copies), to_card);
    else
        send_long(c, device, host, nbytes, c->copies);
}

void cuda_take_beside(Backend *be, void *host, const void *device, size_t nbytes)
{
    Cuda *c = cuda_of(be);
    if (!cuda_ok(c) || nbytes == 0)
        return;
    if (is_pinned(c, host, nbytes))
        cuda_try(c, cudaMemcpyAsync(host, device, nbytes, cudaMemcpyDeviceToHost, c->copies), from_card);
    else
        fetch_long(c, host, device, nbytes, c->copies);
}

/* ---- numbers for kernels ---- */

static bool pairs_grow(Cuda *c, size_t nbytes)
{
    CudaRing *r = c->ring;
    size_t pair = MAX(r->pair, PAIR_LEAST / 2);
    char *pinned = NULL, *device = NULL;
    if (nbytes > SIZE_MAX / 4 / CUDA_STAGE_TURNS) {
        cuda_fail(c, cudaErrorMemoryAllocation, "a table of more bytes than a machine can address");
        return false;
    }
    while (pair < nbytes || pair == r->pair || pair < PAIR_LEAST)
        pair *= 2;
    if (!cuda_try(c, cudaStreamSynchronize(c->stream), "waiting for the card") || !cuda_try(c, cudaMallocHost(&pinned, CUDA_STAGE_TURNS * pair), "pinned memory for tables"))
        return false;
    if (!cuda_try(c, cudaMalloc(&device, CUDA_STAGE_TURNS * pair), "memory for tables")) {
        cudaFreeHost(pinned);
        return false;
    }
    if (r->device) {
        BUG_ON(r->n_kept == KEPT_MOST);
        r->kept[r->n_kept].device = r->device;
        r->kept[r->n_kept++].n = CUDA_STAGE_TURNS * r->pair;
        cudaFreeHost(r->pinned);
    }
    r->pinned = pinned;
    r->device = device;
    r->pair = pair;
    c->held += CUDA_STAGE_TURNS * pair;
    c->most = MAX(c->most, c->held);
    c->grown++;
    return true;
}

const void *cuda_stage(Cuda *c, const void *host, size_t nbytes)
{
    const char *what = "copy of a table to the card";
    CudaRing *r = c->ring;
    if (!cuda_ok(c) || ((nbytes > r->pair || !r->device) && !pairs_grow(c, nbytes)))
        return NULL;
    const int    i = (int)(r->turn++ % CUDA_STAGE_TURNS);
    const size_t at = (size_t)i * r->pair;
    if (nbytes == 0)
        return r->device + at;
    if (!cuda_try(c, cudaEventSynchronize(r->sent[i]), what))
        return NULL;
    memcpy(r->pinned + at, host, nbytes);
    if (!cuda_try(c, cudaMemcpyAsync(r->device + at, r->pinned + at, nbytes, cudaMemcpyHostToDevice, c->stream), what) ||
        !cuda_try(c, cudaEventRecord(r->sent[i], c->stream), what))
        return NULL;
    return r->device + at;
}
