/* cuda_host.cpp - a card made of the host: threads as fibers, streams as queues, device memory as pages that only kernels may touch (see cuda_host.h and host_control.h).
 *
 * All that a card does runs on one thread, "the card", while the caller waits: device pages are opened before and closed after. That thread's thread-local memory is the
 * static shared memory. Fibers take turns by _setjmp and _longjmp, after a first entry by setcontext, so a turn costs no system call.
 * Main structs: Fiber, HostStream, Block (of memory), Host (all state; made on first use and never destroyed, since the card's thread outlives main).
 * Invariants: an operation runs when something asked for it (a synchronisation, a wait on an event, a copy that cannot wait) or the pace lets it, never before what its stream waits for; after a fault nothing runs any more and
 * every call answers with the fault's code, as after a failed kernel on a card. */
#include "cuda_host.h"
#include "host_control.h"
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>
#include <dlfcn.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SWITCH_BEGIN(keep, bottom, size)  __sanitizer_start_switch_fiber(keep, bottom, size)
#define SWITCH_END(keep, bottom, size)    __sanitizer_finish_switch_fiber(keep, bottom, size)
#define STACK_BYTES ((size_t)512 << 10)
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define SWITCH_BEGIN(keep, bottom, size)  ((void)(keep), (void)(bottom), (void)(size))
#define SWITCH_END(keep, bottom, size)    ((void)(keep), (void)(bottom), (void)(size))
#define STACK_BYTES ((size_t)128 << 10)
#endif

#define NAN_BYTE     0xFF               /* floats, doubles and bf16 of such bytes are NaN, integers -1 */
#define GUARD_BYTE   0xA7
#define GUARD_BYTES  256
#define SHARED_MOST  232448             /* 227 KB, what a block of capability 9.0 may ask for */
#define SHARED_PLAIN 49152              /* what it may have without cudaFuncSetAttribute */
#define THREADS_MOST 1024
#define PAGE         ((size_t)4096)

uint3 threadIdx, blockIdx;
dim3  blockDim, gridDim;

/* ---- state ---- */

struct HostStream;
namespace {

enum State { READY, AT_BARRIER, AT_WARP, DONE };
struct Copy { char *shared; const char *global; int bytes; };
struct Fiber {
    jmp_buf     at;
    ucontext_t  entry;
    char       *stack;
    void       *fake;              /* the address sanitizer's */
    bool        started;
    State       state;
    uint3       thread;
    int         index;             /* in the block */
    HostWarpOp *op;
    unsigned    mask;
    void       *arg;
    const char *what, *file;       /* where it waits */
    int         line;
    std::vector<Copy>   copies;    /* begun and not arrived, oldest first */
    std::deque<size_t>  groups;    /* numbers of them in each closed group, oldest first */
    size_t      open;              /* in the group that is not closed */
};

struct Op { std::function<void()> run; HostStream *stream; uint64_t at; /* run, or wait until `stream` has done `at` operations */ };
struct Block { size_t n, span; char *pages; };                /* span: bytes of whole pages between the guard pages */

struct Host {
    HostCuda    cfg;
    int         device;
    std::recursive_mutex lock;
    cudaError_t sticky, last;
    bool        faulted;
    char        fault[1024];
    std::map<std::string, long> calls;
    std::set<std::string>       ran;
    std::map<const void *, int> allowed;                       /* kernel -> bytes of dynamic shared memory */
    std::map<uintptr_t, Block>  blocks;
    std::map<uintptr_t, size_t> pinned;
    std::set<uintptr_t>         registered;                    /* of those, memory of the program's own */
    std::set<HostStream *>      streams, dead;
    std::set<cudaEvent_t>       events;
    size_t      used;

    /* the card's thread */
    std::mutex  gate;
    std::condition_variable turn;
    std::function<void()> job;
    bool        busy, started, inside;
    char       *tls;                                           /* its thread-local memory that begins as zeros */
    size_t      tls_bytes;

    /* the block that runs */
    std::vector<Fiber *> fiber;
    std::vector<int>     order;
    Fiber      *current;
    jmp_buf     scheduler;
    const void *scheduler_stack;
    size_t      scheduler_bytes;
    std::function<void()> *body;
    const char *kernel;
    char       *shared;                                        /* guard, SHARED_MOST, guard */
    size_t      shared_bytes;
    int         threads, waiting, predicates;
    HostBarrier barrier;
    const char *barrier_file;
    int         barrier_line, barrier_result;
    uint64_t    random;
};

Host *host(void)
{
    static Host *h;
    if (!h) {
        h = new Host();
        host_cuda_set(NULL);
    }
    return h;
}

void fault_note(cudaError_t code, const char *fmt, va_list ap)
{
    Host *h = host();
    if (!h->faulted) {
        vsnprintf(h->fault, sizeof h->fault, fmt, ap);
        fprintf(stderr, "stand-in for a card: %s\n", h->fault);
        h->faulted = true;
    }
    if (!h->sticky)
        h->sticky = code;
}

/* A broken rule outside of a kernel. */
cudaError_t broken(cudaError_t code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
cudaError_t broken(cudaError_t code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fault_note(code, fmt, ap);
    va_end(ap);
    return code;
}

/* ---- fibers ---- */

void to_scheduler(void)
{
    Host *h = host();
    Fiber *f = h->current;
    SWITCH_BEGIN(&f->fake, h->scheduler_stack, h->scheduler_bytes);
    if (!_setjmp(f->at))
        _longjmp(h->scheduler, 1);
    SWITCH_END(h->current->fake, &h->scheduler_stack, &h->scheduler_bytes);
}

void fiber_main(void)
{
    Host *h = host();
    SWITCH_END(NULL, &h->scheduler_stack, &h->scheduler_bytes);
    for (;;) {
        (*h->body)();
        h->current->state = DONE;
        to_scheduler();
    }
}

void resume(Fiber *f)
{
    Host *h = host();
    static void *fake; /* not on the stack that is left */
    h->current = f;
    threadIdx = f->thread;
    SWITCH_BEGIN(&fake, f->stack, STACK_BYTES);
    if (!_setjmp(h->scheduler)) {
        if (h->current->started)
            _longjmp(h->current->at, 1);
        h->current->started = true;
        setcontext(&h->current->entry);
    }
    SWITCH_END(fake, NULL, NULL);
}

Fiber *fiber_at(size_t i)
{
    Host *h = host();
    while (h->fiber.size() <= i) {
        Fiber *f = new Fiber();
        char *p = (char *)mmap(NULL, STACK_BYTES + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED || mprotect(p, PAGE, PROT_NONE)) {
            perror("stand-in for a card: stack of a thread");
            abort();
        }
        f->stack = p + PAGE;
        h->fiber.push_back(f);
    }
    return h->fiber[i];
}

/* Ready to run the kernel from its start. A fiber that ended it before goes on in its loop, another one is born anew. */
void fiber_ready(Fiber *f, int index, uint3 thread)
{
    if (!f->started || f->state != DONE) {
        ASAN_UNPOISON_MEMORY_REGION(f->stack, STACK_BYTES);
        getcontext(&f->entry);
        f->entry.uc_stack.ss_sp = f->stack;
        f->entry.uc_stack.ss_size = STACK_BYTES;
        f->entry.uc_link = NULL;
        makecontext(&f->entry, fiber_main, 0);
        f->started = false;
    }
    f->state = READY;
    f->index = index;
    f->thread = thread;
    f->copies.clear();
    f->groups.clear();
    f->open = 0;
}

uint64_t next_random(void) /* xorshift64* */
{
    uint64_t &x = host()->random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    return x * 2685821657736338717u;
}

void order_turns(std::vector<int> &order, int n)
{
    Host *h = host();
    order.resize((size_t)n);
    for (int i = 0; i < n; i++)
        order[(size_t)i] = h->cfg.order == HOST_REVERSE ? n - 1 - i : i;
    if (h->cfg.order == HOST_SHUFFLED)
        for (int i = n - 1; i > 0; i--)
            std::swap(order[(size_t)i], order[(size_t)(next_random() >> 33) % ((size_t)i + 1)]);
}

/* Nobody can go on: who waits where. */
void explain_deadlock(void)
{
    Host *h = host();
    std::map<std::string, int> where;
    int done = 0;
    for (int i = 0; i < h->threads; i++) {
        const Fiber *f = h->fiber[(size_t)i];
        char text[300];
        if (f->state == DONE) {
            done++;
            continue;
        }
        snprintf(text, sizeof text, "%s of %s:%d", f->what, f->file, f->line);
        if (f->state == AT_WARP)
            snprintf(text + strlen(text), sizeof text - strlen(text), " (warp %d, mask %08x)", i / 32, f->mask);
        where[text]++;
    }
    std::string all;
    int shown = 0;
    for (auto &w : where)
        if (shown++ < 6)
            all += (shown > 1 ? ", " : "") + std::to_string(w.second) + " wait at the " + w.first;
    broken(cudaErrorLaunchFailure, "kernel %s, block (%u, %u, %u): %d of its %d threads have left it, %s: they wait for ever", h->kernel, blockIdx.x, blockIdx.y, blockIdx.z, done,
           h->threads, all.c_str());
}

void run_block(void)
{
    Host *h = host();
    memset(h->tls, NAN_BYTE, h->tls_bytes);
    memset(h->shared + GUARD_BYTES, NAN_BYTE, h->shared_bytes);
    memset(h->shared + GUARD_BYTES + h->shared_bytes, GUARD_BYTE, GUARD_BYTES);
    ASAN_POISON_MEMORY_REGION(h->shared + GUARD_BYTES + h->shared_bytes, SHARED_MOST + GUARD_BYTES - h->shared_bytes);
    for (int i = 0; i < h->threads; i++) {
        const unsigned u = (unsigned)i;
        fiber_ready(fiber_at((size_t)i), i, { u % blockDim.x, u / blockDim.x % blockDim.y, u / blockDim.x / blockDim.y });
    }
    h->waiting = 0;
    for (bool any = true; any && !h->sticky;) {
        any = false;
        if (h->cfg.order == HOST_SHUFFLED || (int)h->order.size() != h->threads)
            order_turns(h->order, h->threads);
        for (int k = 0; k < h->threads && !h->sticky; k++) {
            Fiber *f = h->fiber[(size_t)h->order[(size_t)k]];
            if (f->state == READY) {
                any = true;
                resume(f);
            }
        }
    }
    h->current = NULL;
    for (int i = 0; i < h->threads && !h->sticky; i++)
        if (h->fiber[(size_t)i]->state != DONE)
            explain_deadlock();
    ASAN_UNPOISON_MEMORY_REGION(h->shared, SHARED_MOST + 2 * GUARD_BYTES);
    for (size_t i = 0; i < GUARD_BYTES && !h->sticky; i++)
        if ((unsigned char)h->shared[i] != GUARD_BYTE || (unsigned char)h->shared[GUARD_BYTES + h->shared_bytes + i] != GUARD_BYTE)
            broken(cudaErrorIllegalAddress, "kernel %s, block (%u, %u, %u) wrote outside of its %zu bytes of shared memory", h->kernel, blockIdx.x, blockIdx.y, blockIdx.z,
                   h->shared_bytes);
}

std::string plain_name(const char *kernel)
{
    std::string s = kernel;
    s.erase(std::remove_if(s.begin(), s.end(), [](char c) { return c == '(' || c == ')' || c == ' '; }), s.end());
    return s.substr(0, s.find('<'));
}

void run_kernel(const char *name, dim3 grid, dim3 block, size_t shared, std::function<void()> *body)
{
    Host *h = host();
    const std::string full = std::string("kernel ") + name;
    if (h->cfg.fail_call && !strncmp(h->cfg.fail_call, "kernel", 6) && full.find(h->cfg.fail_call) != std::string::npos && ++h->calls[h->cfg.fail_call] == h->cfg.fail_nth) {
        h->sticky = (cudaError_t)h->cfg.fail_code; /* asked for, so no fault */
        return;
    }
    h->ran.insert(plain_name(name));
    h->kernel = name;
    h->body = body;
    gridDim = grid;
    blockDim = block;
    h->threads = (int)(block.x * block.y * block.z);
    h->shared_bytes = shared;
    h->order.clear();
    const uint64_t n = (uint64_t)grid.x * grid.y * grid.z;
    /* blocks in an order of their own: an odd walk around the grid when shuffled */
    uint64_t step = 1, at = 0;
    if (h->cfg.order == HOST_SHUFFLED && n > 2) {
        at = next_random() % n;
        for (step = next_random() % n | 1; std::__gcd(step, n) != 1;)
            step += 2;
    }
    for (uint64_t i = 0; i < n && !h->sticky; i++) {
        uint64_t b = h->cfg.order == HOST_REVERSE ? n - 1 - i : at;
        at = (at + step) % n;
        blockIdx = { (unsigned)(b % grid.x), (unsigned)(b / grid.x % grid.y), (unsigned)(b / grid.x / grid.y) };
        run_block();
    }
    h->kernel = NULL;
}

/* ---- the card's thread ---- */

int find_tls(struct dl_phdr_info *info, size_t, void *)
{
    Host *h = host();
    const uintptr_t here = (uintptr_t)(void *)find_tls;
    bool ours = false;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) &p = info->dlpi_phdr[i];
        ours |= p.p_type == PT_LOAD && here >= info->dlpi_addr + p.p_vaddr && here < info->dlpi_addr + p.p_vaddr + p.p_memsz;
    }
    for (int i = 0; ours && i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_TLS && info->dlpi_tls_data) {
            h->tls = (char *)info->dlpi_tls_data + info->dlpi_phdr[i].p_filesz;
            h->tls_bytes = info->dlpi_phdr[i].p_memsz - info->dlpi_phdr[i].p_filesz;
        }
    return ours;
}

void card_main(void)
{
    Host *h = host();
    dl_iterate_phdr(find_tls, NULL);
    std::unique_lock<std::mutex> hold(h->gate);
    for (;;) {
        h->turn.wait(hold, [h]() { return h->busy; });
        h->job();
        h->busy = false;
        h->turn.notify_all();
    }
}

void on_bad_address(int, siginfo_t *info, void *)
{
    Host *h = host();
    const uintptr_t at = (uintptr_t)info->si_addr;
    char text[600];
    int n;
    if (h->inside && h->kernel)
        n = snprintf(text, sizeof text, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u) touched address %p", h->kernel, blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x,
                     threadIdx.y, threadIdx.z, info->si_addr);
    else
        n = snprintf(text, sizeof text, "%s touched address %p", h->inside ? "a copy" : "code of the host", info->si_addr);
    auto b = h->blocks.upper_bound(at);
    if (b != h->blocks.begin() && at - (--b)->first < b->second.span + PAGE)
        n += snprintf(text + n, sizeof text - (size_t)n, ", %s%zu bytes behind the start of a block of device memory of %zu bytes", h->inside ? "" : "which is ", (size_t)(at - b->first),
                      b->second.n);
    snprintf(text + n, sizeof text - (size_t)n, "\n");
    if (write(2, text, strlen(text)) < 0)
        _exit(134);
    _exit(134);
}

void pages_open(bool open)
{
    for (auto &b : host()->blocks)
        if (mprotect(b.second.pages, b.second.span, open ? PROT_READ | PROT_WRITE : PROT_NONE)) {
            perror("stand-in for a card: device memory");
            abort();
        }
}

void on_card(std::function<void()> job)
{
    Host *h = host();
    if (!h->started) {
        h->shared = (char *)mmap(NULL, SHARED_MOST + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(h->shared, GUARD_BYTE, SHARED_MOST + 2 * GUARD_BYTES);
        std::thread(card_main).detach();
        h->started = true;
    }
    struct sigaction bad = {}, before_segv, before_bus;
    bad.sa_sigaction = on_bad_address;
    bad.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &bad, &before_segv);
    sigaction(SIGBUS, &bad, &before_bus);
    std::unique_lock<std::mutex> hold(h->gate);
    pages_open(true);
    h->inside = true;
    h->job = job;
    h->busy = true;
    h->turn.notify_all();
    h->turn.wait(hold, [h]() { return !h->busy; });
    h->inside = false;
    pages_open(false);
}

} /* namespace */

struct HostStream { std::deque<Op> q; uint64_t put, done; size_t number; };
struct HostEvent { HostStream *stream; uint64_t at; double when; bool timing; };

namespace {

bool is_free(const HostStream *s) /* its next operation waits for nothing */
{
    return s->done < s->put && (!s->q.front().stream || s->q.front().stream->done >= s->q.front().at);
}

void step(HostStream *s) /* on the card */
{
    Op op = std::move(s->q.front());
    s->q.pop_front();
    if (!op.stream && !host()->sticky)
        op.run();
    s->done++;
}

/* The stream that may run now though nothing asks for it; NULL: none. */
HostStream *early(void)
{
    Host *h = host();
    std::vector<HostStream *> may(h->streams.begin(), h->streams.end());
    std::sort(may.begin(), may.end(), [](const HostStream *a, const HostStream *b) { return a->number < b->number; });
    may.erase(std::remove_if(may.begin(), may.end(), [h](const HostStream *s) {
        return !is_free(s) || h->cfg.pace == HOST_LATE || (h->cfg.pace == HOST_FIRST_EARLY && s->number) || (h->cfg.pace == HOST_OTHERS_EARLY && !s->number);
    }), may.end());
    if (h->cfg.pace == HOST_ANY && next_random() >> 40 & 1)
        return NULL;
    return may.empty() ? NULL : may[h->cfg.pace == HOST_ANY ? (next_random() >> 33) % may.size() : 0];
}

void run_ahead(void) /* on the card */
{
    for (HostStream *s = early(); s; s = early())
        step(s);
}

/* On the card: until the stream has done `at` operations. */
void drain(HostStream *s, uint64_t at)
{
    while (s->done < at) {
        if (is_free(s)) {
            step(s);
            run_ahead();
        } else {
            drain(s->q.front().stream, s->q.front().at);
        }
    }
}

cudaError_t run_until(HostStream *s, uint64_t at)
{
    if (s->done < at)
        on_card([=]() { drain(s, at); });
    return host()->sticky;
}

void enqueue(HostStream *s, std::function<void()> run, HostStream *wait = NULL, uint64_t at = 0)
{
    s->q.push_back({ std::move(run), wait, at });
    s->put++;
    if (early())
        on_card(run_ahead);
}

bool any_waits(void)
{
    for (HostStream *s : host()->streams)
        if (s->done < s->put)
            return true;
    return false;
}

double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

bool sticks(cudaError_t code)
{
    return code == cudaErrorIllegalAddress || code == cudaErrorLaunchFailure || code == cudaErrorECCUncorrectable;
}

/* What every call asks first. */
cudaError_t enter(const char *call)
{
    Host *h = host();
    const long n = ++h->calls[call];
    if (h->sticky)
        return h->sticky;
    if (h->cfg.driver == -1 || h->cfg.driver / 1000 < CUDART_VERSION / 1000)
        return cudaErrorInsufficientDriver;
    if (h->cfg.devices < 0)
        return cudaErrorNoDevice;
    if (h->cfg.fail_call && !strcmp(h->cfg.fail_call, call) && n == h->cfg.fail_nth) {
        const cudaError_t code = (cudaError_t)h->cfg.fail_code;
        if (sticks(code))
            h->sticky = code;
        return code;
    }
    return cudaSuccess;
}

cudaError_t kept(cudaError_t code)
{
    if (code != cudaSuccess && code != cudaErrorNotReady)
        host()->last = code;
    return code;
}

#define ENTER(call)                                                \
    std::lock_guard<std::recursive_mutex> hold(host()->lock);      \
    do {                                                           \
        const cudaError_t code_ = enter(call);                     \
        if (code_ != cudaSuccess)                                  \
            return kept(code_);                                    \
    } while (0)
#define STREAM(s)                                                  \
    do {                                                           \
        if (!host()->streams.count(s))                             \
            return kept(broken(cudaErrorInvalidResourceHandle, "a call got a stream that does not exist (the default stream is not for us)")); \
    } while (0)
#define EVENT(e)                                                   \
    do {                                                           \
        if (!host()->events.count(e))                              \
            return kept(broken(cudaErrorInvalidResourceHandle, "a call got an event that does not exist")); \
    } while (0)

/* Device memory [p, p + n) lies in one block. */
bool on_device(const void *p, size_t n)
{
    Host *h = host();
    auto b = h->blocks.upper_bound((uintptr_t)p);
    if (b == h->blocks.begin())
        return false;
    --b;
    const size_t at = (uintptr_t)p - b->first;
    return at <= b->second.n && n <= b->second.n - at;
}

bool is_pinned(const void *p, size_t n)
{
    Host *h = host();
    auto b = h->pinned.upper_bound((uintptr_t)p);
    if (b == h->pinned.begin())
        return false;
    --b;
    const size_t at = (uintptr_t)p - b->first;
    return at <= b->second && n <= b->second - at;
}

int capability(void) { return host()->cfg.capability; }

int shared_most(void)
{
    const int c = capability();
    return c == 80 || c == 87 ? 166912 : c == 90 || c == 100 ? 232448 : c < 80 ? 65536 : 101376;
}

} /* namespace */

/* ---- what a test may set and ask ---- */

void host_cuda_set(const HostCuda *cfg)
{
    static const char *const order_name[HOST_ORDERS] = { "forward", "reverse", "shuffled" };
    Host *h = host();
    h->cfg = cfg ? *cfg : HostCuda();
    h->cfg.devices = h->cfg.devices ? h->cfg.devices : 1;
    h->cfg.capability = h->cfg.capability ? h->cfg.capability : 90;
    h->cfg.driver = h->cfg.driver ? h->cfg.driver : CUDART_VERSION;
    h->cfg.memory = h->cfg.memory ? h->cfg.memory : (size_t)4 << 30;
    const char *order = getenv("HONE_CUDA_HOST_ORDER");
    for (int i = 0; !cfg && order && i < HOST_ORDERS; i++)
        if (!strcmp(order, order_name[i]))
            h->cfg.order = (HostOrder)i;
    h->device = 0;
    h->sticky = h->last = cudaSuccess;
    h->faulted = false;
    h->random = 88172645463325252u + h->cfg.seed;
    h->calls.clear();
    h->allowed.clear();
    for (auto &b : h->blocks)
        munmap(b.second.pages - PAGE, b.second.span + 2 * PAGE);
    for (auto &b : h->pinned)
        if (!h->registered.count(b.first))
            free((void *)b.first);
    h->registered.clear();
    for (HostStream *s : h->streams)
        delete s;
    for (HostStream *s : h->dead)
        delete s;
    for (cudaEvent_t e : h->events)
        delete e;
    h->blocks.clear();
    h->pinned.clear();
    h->streams.clear();
    h->dead.clear();
    h->events.clear();
    h->used = 0;
}

void host_cuda_order(HostOrder order)
{
    host()->cfg.order = order;
}

const char *host_cuda_fault(void)
{
    return host()->faulted ? host()->fault : NULL;
}

int host_cuda_leaks(void)
{
    Host *h = host();
    for (auto &b : h->blocks)
        fprintf(stderr, "stand-in for a card: %zu bytes of device memory were not freed\n", b.second.n);
    for (auto &b : h->pinned)
        fprintf(stderr, "stand-in for a card: %zu bytes of pinned memory were not freed\n", b.second);
    const size_t others = h->streams.size() + h->events.size();
    if (others)
        fprintf(stderr, "stand-in for a card: %zu streams and %zu events were not destroyed\n", h->streams.size(), h->events.size());
    return (int)(h->blocks.size() + h->pinned.size() + others);
}

long host_cuda_calls(const char *call)
{
    return host()->calls[call];
}

bool host_cuda_ran(const char *kernel)
{
    return host()->ran.count(kernel) > 0;
}

size_t host_cuda_used(void)
{
    return host()->used;
}

void host_cuda_advance(void)
{
    for (HostStream *s : host()->streams)
        run_until(s, s->put);
}

/* ---- threads together ---- */

void host_fault(const char *fmt, ...)
{
    Host *h = host();
    char what[700];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    broken(cudaErrorLaunchFailure, "kernel %s, block (%u, %u, %u), thread (%u, %u, %u): %s", h->kernel, blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z, what);
    to_scheduler(); /* which sees the failure and never comes back */
    abort();
}

void *host_shared(void)
{
    return host()->shared + GUARD_BYTES;
}

int host_lane(void)
{
    return host()->current->index & 31;
}

int host_barrier(HostBarrier kind, int predicate, const char *file, int line)
{
    Host *h = host();
    Fiber *f = h->current;
    if (h->waiting == 0) {
        h->barrier = kind;
        h->barrier_file = file;
        h->barrier_line = line;
        h->predicates = 0;
    } else if (kind != h->barrier || line != h->barrier_line || strcmp(file, h->barrier_file)) {
        host_fault("it reaches the barrier of %s:%d while others wait at that of %s:%d", file, line, h->barrier_file, h->barrier_line);
    }
    h->predicates += predicate != 0;
    f->what = "barrier";
    f->file = file;
    f->line = line;
    if (++h->waiting == h->threads) {
        h->waiting = 0;
        h->barrier_result = kind == HOST_OR ? h->predicates > 0 : kind == HOST_AND ? h->predicates == h->threads : h->predicates;
        for (int i = 0; i < h->threads; i++)
            h->fiber[(size_t)i]->state = READY;
    } else {
        f->state = AT_BARRIER;
    }
    /* The last one waits for its turn as well, so that an order of turns holds from the barrier on. */
    to_scheduler();
    return h->barrier_result;
}

void host_warp(unsigned mask, HostWarpOp *op, void *arg, const char *what, const char *file, int line)
{
    Host *h = host();
    Fiber *f = h->current;
    const int lane = f->index & 31, first = f->index - lane;
    if (!(mask >> lane & 1))
        host_fault("%s of %s:%d: lane %d is not in its own mask %08x", what, file, line, lane, mask);
    f->op = op;
    f->mask = mask;
    f->arg = arg;
    f->what = what;
    f->file = file;
    f->line = line;
    f->state = AT_WARP;
    for (int l = 0; l < 32; l++) {
        if (!(mask >> l & 1))
            continue;
        if (first + l >= h->threads)
            host_fault("%s of %s:%d: mask %08x names lane %d, but the block has %d threads", what, file, line, mask, l, h->threads);
        const Fiber *o = h->fiber[(size_t)(first + l)];
        if (o->state == DONE)
            host_fault("%s of %s:%d: lane %d of mask %08x has left the kernel", what, file, line, l, mask);
        if (o->state != AT_WARP || o->mask != mask || o->op != op) {
            to_scheduler();
            return;
        }
    }
    void *all[32];
    for (int l = 0; l < 32; l++)
        all[l] = mask >> l & 1 ? h->fiber[(size_t)(first + l)]->arg : NULL;
    if (op != host_meet)
        op(mask, all);
    for (int l = 0; l < 32; l++)
        if (mask >> l & 1)
            h->fiber[(size_t)(first + l)]->state = READY;
    to_scheduler();
}

/* ---- the matrix units ---- */

namespace {

float low_bf16(uint32_t pair) { return __uint_as_float(pair << 16); }
float high_bf16(uint32_t pair) { return __uint_as_float(pair & 0xffff0000u); }

struct Mma { float *d; const uint32_t *a, *b; };

void mma_op(unsigned, void *const arg[32])
{
    float a[16][16], b[16][8];
    for (int l = 0; l < 32; l++) {
        const Mma *m = (const Mma *)arg[l];
        const int g = l / 4, t = l % 4;
        for (int i = 0; i < 4; i++) {
            a[g + i % 2 * 8][2 * t + i / 2 * 8] = low_bf16(m->a[i]);
            a[g + i % 2 * 8][2 * t + i / 2 * 8 + 1] = high_bf16(m->a[i]);
        }
        for (int i = 0; i < 2; i++) {
            b[2 * t + 8 * i][g] = low_bf16(m->b[i]);
            b[2 * t + 8 * i + 1][g] = high_bf16(m->b[i]);
        }
    }
    for (int l = 0; l < 32; l++) {
        const Mma *m = (const Mma *)arg[l];
        for (int i = 0; i < 4; i++) {
            const int row = l / 4 + i / 2 * 8, col = 2 * (l % 4) + i % 2;
            double s = m->d[i]; /* the card's sums are f32 in an order that it does not tell */
            for (int k = 0; k < 16; k++)
                s += (double)a[row][k] * (double)b[k][col];
            m->d[i] = (float)s;
        }
    }
}

bool in_shared(const void *p, size_t n)
{
    Host *h = host();
    const char *c = (const char *)p;
    return (c >= h->tls && c + n <= h->tls + h->tls_bytes) || (c >= h->shared + GUARD_BYTES && c + n <= h->shared + GUARD_BYTES + h->shared_bytes);
}

struct Load { uint32_t *r; const char *row; };

template <bool transposed> void load_op(unsigned, void *const arg[32])
{
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < 4; i++) {
            uint16_t pair[2];
            for (int j = 0; j < 2; j++) {
                const int row = transposed ? 2 * (l % 4) + j : l / 4, col = transposed ? l / 4 : 2 * (l % 4) + j;
                memcpy(&pair[j], ((const Load *)arg[8 * i + row])->row + 2 * col, 2);
            }
            ((const Load *)arg[l])->r[i] = (uint32_t)pair[1] << 16 | pair[0];
        }
}

template <bool transposed> void load(uint32_t r[4], const void *row, const char *what, const char *file, int line)
{
    if ((uintptr_t)row % 16 || !in_shared(row, 16))
        host_fault("%s of %s:%d: the address of a row must be 16-byte aligned and in shared memory", what, file, line);
    Load l = { r, (const char *)row };
    host_warp(0xffffffffu, load_op<transposed>, &l, what, file, line);
}

} /* namespace */

void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2], const char *file, int line)
{
    Mma m = { d, a, b };
    host_warp(0xffffffffu, mma_op, &m, "mma_bf16", file, line);
}

void load_matrices(uint32_t r[4], const void *row, const char *file, int line)
{
    load<false>(r, row, "load_matrices", file, line);
}

void load_matrices_transposed(uint32_t r[4], const void *row, const char *file, int line)
{
    load<true>(r, row, "load_matrices_transposed", file, line);
}

void copy_begin16(void *shared, const void *global, int bytes, const char *file, int line)
{
    Fiber *f = host()->current;
    if ((uintptr_t)shared % 16 || (uintptr_t)global % 16 || !in_shared(shared, 16) || (bytes != 0 && bytes != 16))
        host_fault("copy_begin16 of %s:%d: 0 or 16 bytes, both addresses 16-byte aligned, the first in shared memory", file, line);
    if (bytes && !on_device(global, 16))
        host_fault("copy_begin16 of %s:%d reads %p, which is not device memory", file, line, global);
    memset(shared, NAN_BYTE, 16); /* it may arrive at any time from now on */
    f->copies.push_back({ (char *)shared, (const char *)global, bytes });
    f->open++;
}

void copy_group(void)
{
    Fiber *f = host()->current;
    f->groups.push_back(f->open);
    f->open = 0;
}

void host_copy_wait(int pending)
{
    Fiber *f = host()->current;
    while ((int)f->groups.size() > pending) {
        for (size_t i = 0; i < f->groups.front(); i++) {
            const Copy &c = f->copies[i];
            memset(c.shared, 0, 16);
            if (c.bytes)
                memcpy(c.shared, c.global, (size_t)c.bytes);
        }
        f->copies.erase(f->copies.begin(), f->copies.begin() + (ptrdiff_t)f->groups.front());
        f->groups.pop_front();
    }
}

uint32_t bf16_pair(float low, float high)
{
    const float v[2] = { low, high };
    uint32_t r = 0;
    for (int i = 0; i < 2; i++) {
        const uint32_t u = __float_as_uint(v[i]);
        const uint32_t b = v[i] != v[i] ? 0x7fffu : (u + 0x7fffu + (u >> 16 & 1)) >> 16;
        r |= b << 16 * i;
    }
    return r;
}

/* ---- the runtime ---- */

cudaError_t host_enqueue(cudaStream_t s, const char *name, const void *kernel, dim3 grid, dim3 block, size_t shared, std::function<void()> body)
{
    ENTER("launch");
    STREAM(s);
    Host *h = host();
    if (!grid.x || !grid.y || !grid.z || !block.x || !block.y || !block.z || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 || block.x > 1024 || block.y > 1024 ||
        block.z > 64 || (uint64_t)block.x * block.y * block.z > THREADS_MOST)
        return kept(broken(cudaErrorInvalidConfiguration, "kernel %s: a grid of (%u, %u, %u) blocks of (%u, %u, %u) threads cannot be launched", name, grid.x, grid.y, grid.z, block.x,
                           block.y, block.z));
    const size_t allowed = h->allowed.count(kernel) ? (size_t)std::max(h->allowed[kernel], SHARED_PLAIN) : SHARED_PLAIN;
    if (shared > allowed)
        return kept(broken(cudaErrorInvalidValue, "kernel %s: %zu bytes of shared memory, but only %zu were allowed (CUDA_SHARED)", name, shared, allowed));
    const std::string keep = name;
    enqueue(s, [=]() mutable { run_kernel(keep.c_str(), grid, block, shared, &body); });
    return cudaSuccess;
}

cudaError_t host_set_attribute(const void *kernel, cudaFuncAttribute attr, int value)
{
    ENTER("cudaFuncSetAttribute");
    if (attr == cudaFuncAttributeMaxDynamicSharedMemorySize) {
        if (value > shared_most())
            return kept(cudaErrorInvalidValue);
        host()->allowed[kernel] = value;
    }
    return cudaSuccess;
}

cudaError_t host_get_attributes(cudaFuncAttributes *a, const void *)
{
    ENTER("cudaFuncGetAttributes");
    *a = { 0, 0, 0, THREADS_MOST };
    return capability() < 80 ? kept(cudaErrorNoKernelImageForDevice) : cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *n)
{
    *n = 0;
    ENTER("cudaGetDeviceCount");
    *n = host()->cfg.devices;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int device)
{
    ENTER("cudaGetDeviceProperties");
    if (device < 0 || device >= host()->cfg.devices)
        return kept(cudaErrorInvalidDevice);
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "stand-in");
    p->totalGlobalMem = host()->cfg.memory;
    p->sharedMemPerBlockOptin = (size_t)shared_most();
    p->major = capability() / 10;
    p->minor = capability() % 10;
    p->multiProcessorCount = 4;
    p->l2CacheSize = 4 << 20;
    p->warpSize = 32;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attr, int device)
{
    cudaDeviceProp p;
    const cudaError_t code = cudaGetDeviceProperties(&p, device);
    if (code)
        return code;
    switch (attr) {
    case cudaDevAttrMultiProcessorCount:
        *value = p.multiProcessorCount;
        break;
    case cudaDevAttrComputeCapabilityMajor:
        *value = p.major;
        break;
    case cudaDevAttrComputeCapabilityMinor:
        *value = p.minor;
        break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = (int)p.sharedMemPerBlockOptin;
        break;
    case cudaDevAttrL2CacheSize:
        *value = p.l2CacheSize;
        break;
    }
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    ENTER("cudaSetDevice");
    if (device < 0 || device >= host()->cfg.devices)
        return kept(cudaErrorInvalidDevice);
    host()->device = device;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device)
{
    ENTER("cudaGetDevice");
    *device = host()->device;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *v) /* answers without a driver, too */
{
    *v = host()->cfg.driver == -1 ? 0 : host()->cfg.driver;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *v)
{
    *v = CUDART_VERSION;
    return cudaSuccess;
}

/* The block ends where its last page ends but for 256-byte alignment; the bytes left over are guards. */
cudaError_t host_malloc(void **p, size_t n)
{
    *p = NULL;
    ENTER("cudaMalloc");
    Host *h = host();
    if (n == 0)
        return cudaSuccess;
    if (n > h->cfg.memory - h->used)
        return kept(cudaErrorMemoryAllocation);
    const size_t span = (n + 255 + PAGE) / PAGE * PAGE, off = (span - n) / 256 * 256;
    char *m = (char *)mmap(NULL, span + 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED)
        return kept(cudaErrorMemoryAllocation);
    memset(m + PAGE, GUARD_BYTE, off);
    memset(m + PAGE + off, NAN_BYTE, n);
    memset(m + PAGE + off + n, GUARD_BYTE, span - off - n);
    ASAN_POISON_MEMORY_REGION(m + PAGE, off);
    ASAN_POISON_MEMORY_REGION(m + PAGE + off + n, span - off - n);
    mprotect(m, span + 2 * PAGE, PROT_NONE);
    *p = m + PAGE + off;
    h->blocks[(uintptr_t)*p] = { n, span, m + PAGE };
    h->used += n;
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    Host *h = host();
    std::lock_guard<std::recursive_mutex> hold(h->lock);
    cudaError_t code = enter("cudaFree");
    if (!p)
        return kept(code);
    auto b = h->blocks.find((uintptr_t)p);
    if (b == h->blocks.end())
        return kept(broken(cudaErrorInvalidValue, "cudaFree of %p, which is no block of device memory", p));
    if (!h->sticky && any_waits())
        code = broken(cudaErrorUnknown, "cudaFree of %zu bytes while work waits on a stream: synchronise first", b->second.n);
    const Block k = b->second;
    mprotect(k.pages, k.span, PROT_READ);
    ASAN_UNPOISON_MEMORY_REGION(k.pages, k.span);
    const char *first = (const char *)p;
    for (const char *c = k.pages; c < k.pages + k.span; c == first - 1 ? c += k.n + 1 : c++)
        if ((unsigned char)*c != GUARD_BYTE && !h->faulted)
            code = broken(cudaErrorIllegalAddress, "a kernel wrote %td bytes behind the start of a block of %zu bytes of device memory", c - first, k.n);
    munmap(k.pages - PAGE, k.span + 2 * PAGE);
    h->used -= k.n;
    h->blocks.erase(b);
    return kept(code);
}

cudaError_t host_malloc_pinned(void **p, size_t n)
{
    *p = NULL;
    ENTER("cudaMallocHost");
    void *m = aligned_alloc(PAGE, (n + PAGE - 1) / PAGE * PAGE);
    if (!m)
        return kept(cudaErrorMemoryAllocation);
    host()->pinned[(uintptr_t)m] = n;
    *p = m;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p)
{
    Host *h = host();
    std::lock_guard<std::recursive_mutex> hold(h->lock);
    cudaError_t code = enter("cudaFreeHost");
    if (!p)
        return kept(code);
    if (!h->pinned.count((uintptr_t)p) || h->registered.count((uintptr_t)p))
        return kept(broken(cudaErrorInvalidValue, "cudaFreeHost of %p, which is no pinned memory", p));
    if (!h->sticky && any_waits())
        code = broken(cudaErrorUnknown, "cudaFreeHost while work waits on a stream: synchronise first");
    h->pinned.erase((uintptr_t)p);
    free(p);
    return kept(code);
}

cudaError_t cudaHostRegister(void *p, size_t n, unsigned)
{
    ENTER("cudaHostRegister");
    auto next = host()->pinned.lower_bound((uintptr_t)p + n);
    if (!n || (next != host()->pinned.begin() && (--next)->first + next->second > (uintptr_t)p))
        return kept(broken(cudaErrorInvalidValue, "cudaHostRegister of %zu bytes at %p, of which some are pinned", n, p));
    host()->pinned[(uintptr_t)p] = n;
    host()->registered.insert((uintptr_t)p);
    return cudaSuccess;
}

cudaError_t cudaHostUnregister(void *p)
{
    Host *h = host();
    std::lock_guard<std::recursive_mutex> hold(h->lock);
    cudaError_t code = enter("cudaHostUnregister");
    if (!h->registered.count((uintptr_t)p))
        return kept(broken(cudaErrorInvalidValue, "cudaHostUnregister of %p, which is not registered", p));
    if (!h->sticky && any_waits())
        code = broken(cudaErrorUnknown, "cudaHostUnregister while work waits on a stream: synchronise first");
    h->registered.erase((uintptr_t)p);
    h->pinned.erase((uintptr_t)p);
    return kept(code);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    ENTER("cudaMemGetInfo");
    *total = host()->cfg.memory;
    *free_bytes = host()->cfg.memory - host()->used;
    return cudaSuccess;
}

/* Pinned memory is read and written when the stream gets there; other memory of the host before the call returns. */
cudaError_t cudaMemcpy2DAsync(void *dst, size_t dst_pitch, const void *src, size_t src_pitch, size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t s)
{
    ENTER("cudaMemcpyAsync");
    STREAM(s);
    if (width == 0 || height == 0)
        return cudaSuccess;
    const size_t to_bytes = (height - 1) * dst_pitch + width, from_bytes = (height - 1) * src_pitch + width;
    const bool to_card = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice, from_card = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (kind == cudaMemcpyDefault || kind == cudaMemcpyHostToHost || on_device(dst, to_bytes) != to_card || on_device(src, from_bytes) != from_card ||
        dst_pitch < width || src_pitch < width)
        return kept(broken(cudaErrorInvalidValue, "a copy of %zu rows of %zu bytes from %p to %p: these are not the memories that kind %d says", height, width, src, dst, (int)kind));
    std::shared_ptr<std::vector<char>> taken;
    const char *from = (const char *)src;
    if (!from_card && !is_pinned(src, from_bytes)) {
        taken = std::make_shared<std::vector<char>>(from, from + from_bytes);
        from = taken->data();
    }
    enqueue(s, [=]() {
        (void)taken; /* lives until the copy is done */
        for (size_t r = 0; r < height; r++)
            memmove((char *)dst + r * dst_pitch, from + r * src_pitch, width);
    });
    if (!to_card && !is_pinned(dst, to_bytes))
        return kept(run_until(s, s->put));
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t n, cudaMemcpyKind kind, cudaStream_t s)
{
    return cudaMemcpy2DAsync(dst, n, src, n, n, 1, kind, s);
}

cudaError_t cudaMemsetAsync(void *p, int byte, size_t n, cudaStream_t s)
{
    ENTER("cudaMemsetAsync");
    STREAM(s);
    if (!n)
        return cudaSuccess;
    if (!on_device(p, n))
        return kept(broken(cudaErrorInvalidValue, "cudaMemsetAsync of %zu bytes at %p, which is not device memory", n, p));
    enqueue(s, [=]() { memset(p, byte, n); });
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    ENTER("cudaStreamCreate");
    *s = new HostStream();
    (*s)->number = host()->streams.size();
    host()->streams.insert(*s);
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *s)
{
    return cudaStreamCreateWithFlags(s, 0);
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    Host *h = host();
    std::lock_guard<std::recursive_mutex> hold(h->lock);
    const cudaError_t code = enter("cudaStreamDestroy");
    STREAM(s);
    run_until(s, s->put);
    h->streams.erase(s);
    h->dead.insert(s);  /* events and other streams may still name it */
    return kept(code);
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    ENTER("cudaStreamSynchronize");
    STREAM(s);
    return kept(run_until(s, s->put));
}

/* A caller that asks in a loop gets there: each question lets one operation pass. */
cudaError_t cudaStreamQuery(cudaStream_t s)
{
    ENTER("cudaStreamQuery");
    STREAM(s);
    if (s->done == s->put)
        return cudaSuccess;
    const cudaError_t code = run_until(s, s->done + 1);
    return kept(code ? code : cudaErrorNotReady);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    ENTER("cudaStreamWaitEvent");
    STREAM(s);
    EVENT(e);
    if (e->stream)
        enqueue(s, []() {}, e->stream, e->at);
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    ENTER("cudaDeviceSynchronize");
    host_cuda_advance();
    return kept(host()->sticky);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags)
{
    ENTER("cudaEventCreate");
    *e = new HostEvent();
    (*e)->timing = !(flags & cudaEventDisableTiming);
    host()->events.insert(*e);
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *e)
{
    return cudaEventCreateWithFlags(e, 0);
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    std::lock_guard<std::recursive_mutex> hold(host()->lock);
    const cudaError_t code = enter("cudaEventDestroy");
    EVENT(e);
    if (e->stream && !host()->sticky)
        run_until(e->stream, std::min(e->at, e->stream->put)); /* its record names it */
    host()->events.erase(e);
    delete e;
    return kept(code);
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    ENTER("cudaEventRecord");
    STREAM(s);
    EVENT(e);
    enqueue(s, [=]() { if (host()->events.count(e)) e->when = now_ms(); });
    e->stream = s;
    e->at = s->put;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    ENTER("cudaEventSynchronize");
    EVENT(e);
    return kept(e->stream ? run_until(e->stream, e->at) : cudaSuccess);
}

cudaError_t cudaEventQuery(cudaEvent_t e)
{
    ENTER("cudaEventQuery");
    EVENT(e);
    if (!e->stream || e->stream->done >= e->at)
        return cudaSuccess;
    const cudaError_t code = run_until(e->stream, e->stream->done + 1);
    return kept(code ? code : cudaErrorNotReady);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    ENTER("cudaEventElapsedTime");
    EVENT(from);
    EVENT(to);
    if (!from->timing || !to->timing || !from->stream || !to->stream)
        return kept(cudaErrorInvalidResourceHandle);
    if (from->stream->done < from->at || to->stream->done < to->at)
        return cudaErrorNotReady;
    *ms = (float)(to->when - from->when);
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    Host *h = host();
    const cudaError_t code = h->sticky ? h->sticky : h->last;
    h->last = cudaSuccess;
    return code;
}

cudaError_t cudaPeekAtLastError(void)
{
    return host()->sticky ? host()->sticky : host()->last;
}

static const struct { cudaError_t code; const char *name, *text; } error_texts[] = {
    { cudaSuccess, "cudaSuccess", "no error" },
    { cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument" },
    { cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory" },
    { cudaErrorInitializationError, "cudaErrorInitializationError", "initialization error" },
    { cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument" },
    { cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver", "CUDA driver version is insufficient for CUDA runtime version" },
    { cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected" },
    { cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal" },
    { cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice", "no kernel image is available for execution on the device" },
    { cudaErrorECCUncorrectable, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered" },
    { cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle" },
    { cudaErrorNotReady, "cudaErrorNotReady", "device not ready" },
    { cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered" },
    { cudaErrorLaunchOutOfResources, "cudaErrorLaunchOutOfResources", "too many resources requested for launch" },
    { cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure" },
};

const char *cudaGetErrorString(cudaError_t code)
{
    for (auto &e : error_texts)
        if (e.code == code)
            return e.text;
    return "unknown error";
}

const char *cudaGetErrorName(cudaError_t code)
{
    for (auto &e : error_texts)
        if (e.code == code)
            return e.name;
    return "cudaErrorUnknown";
}
