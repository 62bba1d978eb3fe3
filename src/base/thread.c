/* thread.c - the pool. A job is n numbered pieces; `ticket` holds the job's number in its upper half and the next free piece in its lower
 * half, and whoever moves the lower half up by one owns that piece. The caller works too, and waits only for pieces already taken: a thread
 * that sleeps through a whole job costs nothing.
 * Invariants: fn, ctx and n change only between jobs, while the ticket is closed; they are read before a piece is taken, so a taken piece
 * proves that they belong to its job (which cannot end before that piece is done). Closing comes first because a late thread may still hold
 * the last ticket of the old job, and against a larger new n it would look unused. `done` is counted up after the piece has returned.
 * Waiting: kernels call parallel_for thousands of times a second, so a thread first spins for about POOL_SPIN_NS, then sleeps in a futex. With
 * more threads than cores nobody spins. Workers stay on a core each only where the pool takes all of them: two smaller pools would meet on the first
 * few. In a smaller pool each stays beside a memory node, where there are several. The calling thread stays free, since its mask is inherited by what it
 * starts. The futex is Linux; another system needs only futex_wait and futex_wake replaced. */
#include "base/thread.h"
#include "base/mem.h"
#include "base/topology.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define POOL_SPIN_NS     50000
#define POOL_THREADS_MAX 1024
#define TICKET_CLOSED    UINT32_MAX /* a piece number that no job has */

typedef struct Worker { Pool *pool; pthread_t thread; int number, of; } Worker; /* of: threads asked for */

struct Pool {
    /* the job; the gaps keep it and the words that are waited for on cache lines of their own */
    _Atomic uint64_t ticket; /* job number << 32 | next piece */
    _Atomic(PoolFn) fn;
    _Atomic(void *) ctx;
    _Atomic uint32_t n;
    char gap_calls[64];
    _Atomic uint32_t calls;  /* futex: counts jobs (and the end); workers wait for it to change */
    _Atomic uint32_t sleepers;
    _Atomic bool quit;
    char gap_done[64];
    _Atomic uint32_t done;   /* futex: pieces finished of this job; the caller waits for n */
    _Atomic bool caller_sleeps;
    char gap_rest[64];
    _Atomic bool busy;
    int     threads, spin_ns;
    Worker *worker; /* [threads - 1] */
};

static void futex_wait(_Atomic uint32_t *word, uint32_t seen)
{
    syscall(SYS_futex, (void *)word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int n)
{
    syscall(SYS_futex, (void *)word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Spins until *word is (equal) or is not (!equal) `value`; false when the time is over. The clock is read once per 32 looks. */
static bool spin_until(_Atomic uint32_t *word, bool equal, uint32_t value, int64_t spin_ns)
{
    int64_t end = 0;
    for (int look = 0;; look++) {
        if ((atomic_load_explicit(word, memory_order_acquire) == value) == equal)
            return true;
        if (look % 32 == 0) {
            int64_t now = now_ns();
            if (look == 0)
                end = now + spin_ns;
            if (now >= end)
                return false;
        }
        cpu_relax();
    }
}

/* Takes pieces of the current job until there are none left. */
static void pool_work(Pool *p, int worker)
{
    uint64_t ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);
    for (;;) {
        PoolFn fn = atomic_load_explicit(&p->fn, memory_order_relaxed);
        void *ctx = atomic_load_explicit(&p->ctx, memory_order_relaxed);
        uint32_t n = atomic_load_explicit(&p->n, memory_order_acquire), piece = (uint32_t)ticket; /* a new n comes with the closed ticket */
        if (piece >= n)
            return;
        if (!atomic_compare_exchange_weak_explicit(&p->ticket, &ticket, ticket + 1, memory_order_acq_rel, memory_order_acquire))
            continue; /* ticket now holds what is there */
        fn(ctx, piece, worker);
        if (atomic_fetch_add(&p->done, 1) + 1 == n && atomic_load(&p->caller_sleeps))
            futex_wake(&p->done, 1);
        ticket = atomic_load_explicit(&p->ticket, memory_order_acquire);
    }
}

static void *worker_main(void *arg)
{
    Worker *w = arg;
    Pool *p = w->pool;
    uint32_t seen = 0;
    if (topology()->whole && w->of == topology()->cores)
        topology_stay(w->number);
    else if (w->of < topology()->cores)
        topology_stay_beside(w->number, w->of);
    for (;;) {
        if (!spin_until(&p->calls, false, seen, p->spin_ns)) {
            atomic_fetch_add(&p->sleepers, 1); /* before the last look inside the futex: parallel_for counts calls up, then reads this */
            while (atomic_load(&p->calls) == seen)
                futex_wait(&p->calls, seen);
            atomic_fetch_sub(&p->sleepers, 1);
        }
        seen = atomic_load(&p->calls);
        if (atomic_load(&p->quit))
            return NULL;
        pool_work(p, w->number);
    }
}

/* Signals stay with the threads that were there before: a Ctrl-C must interrupt a prompt, not a kernel. */
static void signals_hold(sigset_t *before)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, before);
}

Pool *pool_new(int threads)
{
    BUG_ON(threads < 0);
    const Topology *t = topology();
    if (threads == 0)
        threads = t->cores;
    threads = MIN(threads, POOL_THREADS_MAX);
    Pool *p = mem_zalloc(1, sizeof *p);
    p->threads = 1;
    p->spin_ns = threads <= (t->whole ? t->units : t->cores) ? POOL_SPIN_NS : 0;
    p->worker = mem_zalloc((size_t)threads, sizeof *p->worker);
    sigset_t before;
    signals_hold(&before);
    for (int i = 0; i < threads - 1; i++) {
        Worker *w = &p->worker[i];
        *w = (Worker){ .pool = p, .number = i + 1, .of = threads };
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
            break; /* a smaller pool computes the same results */
        p->threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return p;
}

void pool_free(Pool *p)
{
    if (!p)
        return;
    atomic_store(&p->quit, true);
    atomic_fetch_add(&p->calls, 1);
    futex_wake(&p->calls, INT32_MAX);
    for (int i = 0; i < p->threads - 1; i++)
        pthread_join(p->worker[i].thread, NULL);
    free(p->worker);
    free(p);
}

int pool_threads(const Pool *p)
{
    return p ? p->threads : 1;
}

void parallel_for(Pool *p, int64_t n, PoolFn fn, void *ctx)
{
    BUG_ON(n < 0 || n > INT32_MAX);
    if (!p || p->threads == 1 || n <= 1) {
        for (int64_t i = 0; i < n; i++)
            fn(ctx, i, 0);
        return;
    }
    BUG_ON(atomic_exchange(&p->busy, true)); /* called from inside a piece, or by two threads at once */
    uint64_t job = (atomic_load_explicit(&p->ticket, memory_order_relaxed) >> 32) + 1;
    atomic_store_explicit(&p->ticket, job << 32 | TICKET_CLOSED, memory_order_relaxed);
    atomic_store_explicit(&p->n, (uint32_t)n, memory_order_release);
    atomic_store_explicit(&p->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&p->ctx, ctx, memory_order_relaxed);
    atomic_store_explicit(&p->done, 0, memory_order_relaxed);
    atomic_store_explicit(&p->ticket, job << 32, memory_order_release);
    atomic_fetch_add(&p->calls, 1);
    if (atomic_load(&p->sleepers))
        futex_wake(&p->calls, (int)MIN(n - 1, (int64_t)INT32_MAX));
    pool_work(p, 0);
    if (!spin_until(&p->done, true, (uint32_t)n, p->spin_ns)) {
        atomic_store(&p->caller_sleeps, true);
        for (uint32_t done; (done = atomic_load(&p->done)) != (uint32_t)n;)
            futex_wait(&p->done, done);
        atomic_store(&p->caller_sleeps, false);
    }
    atomic_store(&p->busy, false);
}

struct Beside { pthread_t thread; void (*fn)(void *); void *ctx; };

static void *beside_main(void *arg)
{
    Beside *b = arg;
    b->fn(b->ctx);
    return NULL;
}

Beside *beside_start(void (*fn)(void *ctx), void *ctx)
{
    Beside  *b = mem_zalloc(1, sizeof *b);
    sigset_t before;
    *b = (Beside){ .fn = fn, .ctx = ctx };
    signals_hold(&before);
    const bool started = pthread_create(&b->thread, NULL, beside_main, b) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        return b;
    free(b);
    fn(ctx);
    return NULL;
}

void beside_join(Beside *b)
{
    if (b)
        pthread_join(b->thread, NULL);
    free(b);
}

int thread_cores(void)
{
    return topology()->cores;
}
