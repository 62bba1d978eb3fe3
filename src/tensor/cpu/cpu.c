/* cpu.c - opening the cpu backend: which instruction set, how many threads; memory; the table of functions.
 * Main struct: Cpu (cpu_int.h). To add an operation: its function in the file it belongs to, its line in cpu_int.h and in cpu_table. */
#include "tensor/cpu/cpu.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/topology.h"
#include "tensor/cpu/cpu_int.h"
#include "tensor/cpu/features.h"
#include <stdlib.h>
#include <sys/mman.h>

#define HUGE_PAGE   ((size_t)2 << 20)
#define KERNELS_ENV "HONE_KERNELS"
#define WORK_LEAST  20000  /* vector operations (about 10 us) below which waking a thread costs more than it gives */

/* ---- instruction sets, best first ---- */

static const struct {
    const char  *name;
    CpuSet       set;
    const Kern  *kern;
    const Few   *few;             /* instead of kern's own, for the types that it has */
    const Tiles *whole;           /* as Cpu.whole */
    const Tiles *bf16;
    const char *(*refused)(void); /* why it may not be used where the processor has it, or NULL */
    const char  *features;
    const char  *proof;           /* what is missing to say that it works */
    const char  *note;            /* Backend.note */
} isa_table[] = {
#if defined(__x86_64__)
#define VNNI_FEATURES "avx512f avx512dq avx512bw avx512vl avx512vnni avx2 fma"
    { "amxbf16", SET_AMXBF16, &kern_avx512, &few_avx512vnni, whole_avx512vnni, &tiles_amxbf16, amx_refused, "amx-tile amx-bf16 avx512bf16 " VNNI_FEATURES, "has not run on real hardware, only in emulation", NULL },
    { "avx512bf16", SET_AVX512BF16, &kern_avx512, &few_avx512vnni, whole_avx512vnni, &tiles_avx512bf16, NULL, "avx512bf16 " VNNI_FEATURES, NULL, NULL },
    { "avx512vnni", SET_AVX512VNNI, &kern_avx512, &few_avx512vnni, whole_avx512vnni, NULL, NULL, VNNI_FEATURES, NULL, NULL },
    { "avx512", SET_AVX512, &kern_avx512, NULL, NULL, NULL, NULL, "avx512f avx512dq avx512bw avx512vl avx2 fma", NULL, NULL },
    { "avx2", SET_AVX2, &kern_avx2, NULL, NULL, NULL, NULL, "avx2 fma", NULL, NULL },
    { "base", SET_BASE, &kern_base, NULL, NULL, NULL, NULL, "base", NULL, "without AVX2 and FMA hone computes with vectors of four numbers, several times slower; the results are as good" },
#else
    { "base", SET_BASE, &kern_base, NULL, NULL, NULL, NULL, "base", "has not been tested on this kind of processor", NULL },
#endif
};

static bool isa_has(size_t i)
{
    return (features_here() >> isa_table[i].set & 1) && !(isa_table[i].refused && isa_table[i].refused());
}

static size_t isa_best(void)
{
    size_t i = 0;
    while (!isa_has(i))
        i++;
    return i;
}

/* The set called so, one of this machine; ARRAY_LEN(isa_table): there is none, and the sentence says which there are. `from`: where the name stands. */
static size_t isa_named(const char *name, const char *from, Err *e)
{
    StrBuf names = { 0 };
    size_t found = ARRAY_LEN(isa_table);
    for (size_t i = 0; i < ARRAY_LEN(isa_table); i++) {
        if (!isa_has(i))
            continue;
        strbuf_addf(&names, "%s%s", names.n ? ", " : "", isa_table[i].name);
        if (!strcmp(name, isa_table[i].name))
            found = i;
    }
    if (found == ARRAY_LEN(isa_table))
        err_set(e, ERR_ARG, "%sThis machine has no instruction set \"%.20s\" for the cpu backend; choose one of: %s.", from, name, strbuf_z(&names));
    strbuf_release(&names);
    return found;
}

/* The best one, or that of the environment. */
static size_t isa_chosen(Err *e)
{
    const char *name = getenv(KERNELS_ENV);
    return name && *name ? isa_named(name, KERNELS_ENV ": ", e) : isa_best();
}

const char *backend_cpu_features(void)
{
    size_t i = isa_chosen(NULL);
    return isa_table[i < ARRAY_LEN(isa_table) ? i : isa_best()].features;
}

void backend_cpu_sets(StrBuf *out)
{
    const size_t chosen = isa_chosen(NULL);
    for (size_t i = 0; i < ARRAY_LEN(isa_table); i++) {
        const bool  has = features_here() >> isa_table[i].set & 1;
        const char *refused = has && isa_table[i].refused ? isa_table[i].refused() : NULL;
        const char *state = !has ? "not this processor" : refused ? refused : i == chosen ? "in use" : NULL, *proof = isa_table[i].proof;
        strbuf_addf(out, "%s%s", i ? ", " : "", isa_table[i].name);
        if (state || proof)
            strbuf_addf(out, " (%s%s%s)", state ? state : "", state && proof ? "; " : "", proof ? proof : "");
    }
}

/* ---- memory ---- */

/* Large blocks stand on huge pages where the system grants them: a product walks many rows at once, one page each. Those that all threads use are spread
 * over the memory nodes; others lie where their thread first writes. */
static void *block_alloc(size_t n, bool shared)
{
    if (n > SIZE_MAX - HUGE_PAGE)
        return NULL;
    size_t align = n >= 2 * HUGE_PAGE ? HUGE_PAGE : KERN_ALIGN;
    size_t size = (MAX(n, 1) + align - 1) / align * align;
    void *p = aligned_alloc(align, size);
    if (p && align == HUGE_PAGE) {
        madvise(p, size, MADV_HUGEPAGE); /* a hint: refusal changes nothing but speed */
        if (shared)
            topology_spread(p, size);
    }
    return p;
}

static void *cpu_alloc(Backend *be, size_t nbytes)
{
    (void)be;
    return block_alloc(nbytes, true);
}

static void cpu_release(Backend *be, void *p, size_t nbytes)
{
    (void)be;
    (void)nbytes;
    free(p);
}

static void cpu_copy(Backend *be, void *dst, const void *src, size_t nbytes)
{
    (void)be;
    if (nbytes)
        memcpy(dst, src, nbytes);
}

/* Grown by half more than asked, so that a sequence of rising sizes does not end in a sequence of allocations. */
static bool scratch_grow(Cpu *c, Scratch *s, size_t n, bool shared)
{
    if (s->n >= n)
        return true;
    free(s->p);
    *s = (Scratch){ 0 };
    size_t size = n <= SIZE_MAX / 2 ? n + n / 2 : n;
    s->p = block_alloc(size, shared);
    if (s->p)
        s->n = size;
    else if (!c->refused)
        c->refused = n;
    return s->p != NULL;
}

static void scratch_touch(Scratch *s, size_t n)
{
    if (n > s->touched)
        memset((char *)s->p + s->touched, 0, n - s->touched);
    s->touched = MAX(s->touched, n);
}

void *cpu_slot(Cpu *c, Slot s, size_t n)
{
    if (!scratch_grow(c, &c->slot[s], MAX(n, KERN_ALIGN), true))
        return NULL;
    if (c->be.sizing)
        scratch_touch(&c->slot[s], n);
    return c->slot[s].p;
}

typedef struct Touch { Scratch *worker; size_t n; } Touch;

static void piece_touch(void *ctx, int64_t piece, int worker)
{
    const Touch *t = ctx;
    (void)piece;
    scratch_touch(&t->worker[worker], t->n);
}

bool cpu_workers(Cpu *c, size_t n)
{
    bool touched = true;
    for (int i = 0; i < c->be.threads; i++) {
        if (!scratch_grow(c, &c->worker[i], n, false))
            return false;
        touched &= c->worker[i].touched >= n;
    }
    if (c->be.sizing && !touched) /* by its own thread, on whose memory node it then lies; one that comes too late will do it when it works */
        parallel_for(c->pool, 8 * c->be.threads, piece_touch, &(Touch){ c->worker, n });
    return true;
}

size_t backend_cpu_scratch(const Backend *be)
{
    const Cpu *c = (const Cpu *)be;
    size_t     n = 0;
    for (int i = 0; i < SLOT_COUNT; i++)
        n += c->slot[i].n;
    for (int i = 0; i < be->threads; i++)
        n += c->worker[i].n;
    return n;
}

static int cpu_sync(Backend *be, Err *e)
{
    Cpu *c = cpu_of(be);
    size_t n = c->refused;
    c->refused = 0;
    if (n)
        return err_set(e, ERR_MEM, "Out of memory: %.1f MiB of working space for a kernel did not fit; use a smaller batch or a shorter length, "
                       "or close other programs.", (double)n / (1 << 20));
    return 0;
}

const float *cpu_wide(Cpu *c, Slot s, const Tensor *t)
{
    if (!t || t->dtype == DT_F32)
        return t ? t->data : NULL;
    float *wide = cpu_slot(c, s, (size_t)tensor_cols(t) * sizeof(float));
    if (wide)
        dtype_to_f32(wide, t->data, t->dtype, tensor_cols(t));
    return wide;
}

void cpu_for(Cpu *c, int64_t n, int64_t work, PoolFn fn, void *ctx)
{
    if (c->be.sizing)
        return;
    parallel_for(work < WORK_LEAST ? NULL : c->pool, n, fn, ctx);
}

/* ---- open and close ---- */

static void cpu_close(Backend *be)
{
    Cpu *c = cpu_of(be);
    for (int i = 0; i < SLOT_COUNT; i++)
        free(c->slot[i].p);
    for (int i = 0; i < be->threads; i++)
        free(c->worker[i].p);
    free(c->worker);
    pool_free(c->pool);
    free(c);
}

static const Backend cpu_table = {
    .name = "cpu", .host = true,
    .alloc = cpu_alloc, .release = cpu_release, .upload = cpu_copy, .download = cpu_copy, .sync = cpu_sync, .close = cpu_close,
    .fill = cpu_fill, .add = cpu_add, .acc = cpu_acc, .scale = cpu_scale, .softcap = cpu_softcap,
    .embed = cpu_embed, .embed_bwd = cpu_embed_bwd,
    .linear = cpu_linear, .linear_dx = cpu_linear_dx, .linear_pair = cpu_linear_pair, .linear_dx_pair = cpu_linear_dx_pair,
    .linear_dw = cpu_linear_dw, .linear_db = cpu_linear_db,
    .rmsnorm = cpu_rmsnorm, .rmsnorm_bwd = cpu_rmsnorm_bwd, .layernorm = cpu_layernorm, .layernorm_bwd = cpu_layernorm_bwd,
    .rope = cpu_rope, .attn = cpu_attn, .attn_bwd = cpu_attn_bwd, .attn_sinks_bwd = cpu_attn_sinks_bwd,
    .glu = cpu_glu, .glu_bwd = cpu_glu_bwd, .act = cpu_act, .act_bwd = cpu_act_bwd,
    .head_logp = cpu_head_logp, .head_logp_bwd = cpu_head_logp_bwd, .head_fused = cpu_head_fused,
    .route = cpu_route, .route_bwd = cpu_route_bwd, .route_count = cpu_route_count, .combine = cpu_combine, .combine_bwd = cpu_combine_bwd,
    .gate_rows = cpu_gate_rows, .gate_rows_bwd = cpu_gate_rows_bwd,
    .sumsq = cpu_sumsq, .adamw = cpu_adamw, .copy_rows = cpu_copy_rows,
};

static Backend *open_isa(size_t isa, int threads, Err *e)
{
    if (threads < 0) {
        err_set(e, ERR_ARG, "The number of threads is %d, but it must be 0 (all cores) or more.", threads);
        return NULL;
    }
    Cpu *c = mem_zalloc(1, sizeof *c);
    c->be = cpu_table;
    c->kern = isa_table[isa].kern;
    for (int t = 0; t < DT_COUNT; t++)
        c->few[t] = isa_table[isa].few && isa_table[isa].few->gemv[t] ? isa_table[isa].few : &c->kern->few;
    c->tiles[COMPUTE_F32] = &c->kern->f32;
    c->tiles[COMPUTE_BF16] = isa_table[isa].bf16;
    c->whole = isa_table[isa].whole;
    c->be.has_bf16 = isa_table[isa].bf16 != NULL;
    c->be.note = isa_table[isa].note;
    c->pool = pool_new(threads);
    c->be.threads = pool_threads(c->pool);
    c->worker = mem_zalloc((size_t)c->be.threads, sizeof *c->worker);
    cpu_moment_maps(c->moment_map);
    return &c->be;
}

Backend *backend_cpu_open(int threads, Err *e)
{
    size_t isa = isa_chosen(e);
    return isa < ARRAY_LEN(isa_table) ? open_isa(isa, threads, e) : NULL;
}

Backend *backend_cpu_open_isa(const char *name, int threads, Err *e)
{
    size_t isa = isa_named(name, "", e);
    return isa < ARRAY_LEN(isa_table) ? open_isa(isa, threads, e) : NULL;
}
