/* test_moments.c - AdamW with moments of 8 bits: the codes are bitsandbytes' own, twenty steps follow its AdamW8bit (tools/golden_optimizer.py), every
 * instruction set finds the codes that the format's definition finds, and threads change no bit. */
#include "base/check.h"

#include <math.h>

#include "base/rng.h"
#include "formats/safetensors.h"
#include "tensor/backend.h"
#include "tensor/cpu/cpu.h"
#include "tensor/inspect.h"

#define BLOCK 256
#define BYTES 260
#define STEPS 20

static const char *const set[] = { "ref", "base", "avx2", "avx512" };

/* NULL: the machine lacks the set. */
static Backend *open_set(const char *name, int threads)
{
    return strcmp(name, "ref") ? backend_cpu_open_isa(name, threads, NULL) : backend_open("ref", 1, NULL);
}

typedef struct State { TArena a; Backend *be; int64_t n, blocks; Tensor *w, *g, *m, *v; } State;

static void state_open(State *s, const char *name, int threads, int64_t n)
{
    *s = (State){ .be = open_set(name, threads), .n = n, .blocks = (n + BLOCK - 1) / BLOCK };
    if (!s->be)
        return;
    const int64_t flat = s->blocks * BLOCK;
    tarena_init(&s->a, s->be);
    s->w = tarena_tensor(&s->a, NULL, DT_F32, 1, &n);
    s->g = tarena_tensor(&s->a, NULL, DT_F32, 1, &n);
    s->m = tarena_tensor(&s->a, NULL, DT_DYN8, 1, &flat);
    s->v = tarena_tensor(&s->a, NULL, DT_UDYN8, 1, &flat);
    memset(s->m->data, 0, (size_t)s->blocks * BYTES);
    memset(s->v->data, 0, (size_t)s->blocks * BYTES);
    s->be->fill(s->be, s->w, 0.5f);
}

static void state_close(State *s)
{
    if (!s->be)
        return;
    tarena_release(&s->a);
    s->be->close(s->be);
}

static StFile *golden(void)
{
    StFile *f;
    Err     e = { 0 };
    if (st_open(&f, TEST_DIR "/tensor/golden/adamw_8bit.safetensors", &e))
        fail_msg("%s", e.text);
    return f;
}

static const void *of(const StFile *f, const char *name)
{
    const StTensor *t = st_find(f, name);
    assert_non_null(t);
    return t->data;
}

static void codes_are_those_of_bitsandbytes(void **state)
{
    (void)state;
    StFile *f = golden();
    uint8_t block[BYTES];
    float   code[BLOCK], one = 1;
    memcpy(block, &one, sizeof one);
    for (int i = 0; i < BLOCK; i++)
        block[4 + i] = (uint8_t)i;
    dtype_to_f32(code, block, DT_DYN8, BLOCK);
    assert_memory_equal(code, of(f, "code.m"), sizeof code);
    dtype_to_f32(code, block, DT_UDYN8, BLOCK);
    assert_memory_equal(code, of(f, "code.v"), sizeof code);
    st_close(f);
}

/* As golden_optimizer.py spreads them. */
static float spread(uint64_t i, uint64_t factor) { return (float)((i * factor & 0xffffffff) >> 8) * 0x1p-24f - 0.5f; }

/* How many codes of a moment are not theirs; not one may be more than a code away. */
static int other_codes(const StFile *f, const char *name, const uint8_t *block, int64_t n)
{
    const uint8_t *want = of(f, name);
    int            other = 0;
    for (int64_t i = 0; i < n; i++) {
        const int off = abs(block[i / BLOCK * BYTES + 4 + i % BLOCK] - want[i]);
        if (off > 1)
            fail_msg("%s: code %d of number %d, bitsandbytes has %d", name, block[i / BLOCK * BYTES + 4 + i % BLOCK], (int)i, want[i]);
        other += off;
    }
    return other;
}

/* `few` of them may be off by as much as `most`: where rounding chose the other of two codes. */
static void expect_weights(const StFile *f, const char *name, const State *s, const char *who, int few, double most)
{
    const float *want = of(f, name), *got = s->w->data;
    double       worst = 0;
    int          off = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double d = fabs((double)got[i] - (double)want[i]);
        worst = fmax(worst, d);
        off += !(d <= 1e-6);
    }
    print_message("%s: %s of %d off by more than 1e-6, at most by %.2g\n", who, name, off, worst);
    assert_true(off <= few && (!off || worst <= most));
}

static void twenty_steps_follow_bitsandbytes(void **state)
{
    (void)state;
    StFile *f = golden();
    for (size_t k = 0; k < ARRAY_LEN(set); k++) {
        State s;
        AdamW a = { .lr = 1e-2f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.1f };
        state_open(&s, set[k], 2, st_find(f, "w")->count);
        if (!s.be)
            continue;
        float *w = s.w->data, *g = s.g->data;
        for (int64_t i = 0; i < s.n; i++)
            w[i] = spread((uint64_t)i, 2654435761);
        for (a.step = 1; a.step <= STEPS; a.step++) {
            for (int64_t i = 0; i < s.n; i++)
                g[i] = (w[i] - spread((uint64_t)i, 2246822519)) * ldexpf(1, -14 - (int)(i % 8));
            s.be->adamw(s.be, s.w, s.g, s.m, s.v, &a, 1);
            if (a.step == 1)
                expect_weights(f, "w.1", &s, set[k], 0, 0);
        }
        expect_weights(f, "w", &s, set[k], 4, 1e-3);
        const int om = other_codes(f, "m", s.m->data, s.n), ov = other_codes(f, "v", s.v->data, s.n);
        print_message("%s: %d and %d of %d codes are others\n", set[k], om, ov, (int)s.n);
        assert_true(om <= 4 && ov <= 4);
        state_close(&s);
    }
    st_close(f);
}

/* With betas of 0 the moments are the gradient and its square, so what is quantised is known to the bit: ordinary numbers, exact borders between codes,
 * numbers too small to be told from 0, blocks of nothing but zeros, and magnitudes at both ends. */
static void every_set_finds_the_same_codes(void **state)
{
    (void)state;
    static const int64_t sizes[] = { 1, BLOCK - 1, BLOCK, BLOCK + 1, 70 * BLOCK + 1 };
    static const float scale[] = { 1, 1e-6f, 1e-19f, 3e-38f, 1e-41f, 1e18f, 0 };
    StFile      *f = golden();
    const float *code = of(f, "code.m");
    for (size_t size = 0; size < ARRAY_LEN(sizes); size++) {
        const int64_t n = sizes[size];
        State         r, s;
        state_open(&r, "ref", 1, n);
        Rng    draw = rng_at(1, RNG_TEST, (uint64_t)n, 0);
        float *g = r.g->data;
        for (int64_t i = 0; i < n; i++) {
            const int64_t at = i % BLOCK;
            const float   border = (code[at] + code[(at + 1) % BLOCK]) / 2;
            g[i] = i / BLOCK % 2 ? at < BLOCK - 1 ? border : 1 : (float)((rng_unit(&draw) - 0.5) * exp(-20 * rng_unit(&draw)));
            g[i] *= scale[i / BLOCK % (int64_t)ARRAY_LEN(scale)];
        }
        const AdamW a = { .lr = 1e-3f, .eps = 1e-8f, .step = 1 };
        r.be->adamw(r.be, r.w, r.g, r.m, r.v, &a, 1);
        for (size_t k = 1; k < ARRAY_LEN(set); k++) {
            state_open(&s, set[k], 2, n);
            if (!s.be)
                continue;
            memcpy(s.g->data, g, (size_t)n * sizeof *g);
            s.be->adamw(s.be, s.w, s.g, s.m, s.v, &a, 1);
            assert_memory_equal(s.m->data, r.m->data, (size_t)r.blocks * BYTES);
            assert_memory_equal(s.v->data, r.v->data, (size_t)r.blocks * BYTES);
            state_close(&s);
        }
        state_close(&r);
    }
    st_close(f);
}

static void threads_change_no_bit(void **state)
{
    (void)state;
    State        s[3];
    const int    threads[] = { 1, 2, 4 };
    const int64_t n = 300 * BLOCK + 77;
    AdamW        a = { .lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .weight_decay = 0.01f };
    for (size_t k = 0; k < ARRAY_LEN(s); k++) {
        Err e = { 0 };
        state_open(&s[k], "base", threads[k], n);
        Rng draw = rng_at(2, RNG_TEST, 0, 0);
        for (a.step = 1; a.step <= 3; a.step++) {
            for (int64_t i = 0; i < n; i++)
                ((float *)s[k].g->data)[i] = (float)rng_unit(&draw) - 0.4f;
            s[k].be->adamw(s[k].be, s[k].w, s[k].g, s[k].m, s[k].v, &a, 0.5f);
        }
        assert_int_equal(s[k].be->sync(s[k].be, &e), 0);
        assert_memory_equal(s[k].w->data, s[0].w->data, (size_t)n * sizeof(float));
        assert_memory_equal(s[k].m->data, s[0].m->data, (size_t)s[0].blocks * BYTES);
        assert_memory_equal(s[k].v->data, s[0].v->data, (size_t)s[0].blocks * BYTES);
    }
    for (size_t k = 0; k < ARRAY_LEN(s); k++)
        state_close(&s[k]);
}

/* A gradient that is no number never reaches the optimiser; if it did, nothing would be written outside. */
static void no_number_harms_no_memory(void **state)
{
    (void)state;
    static const float bad[] = { NAN, -NAN, INFINITY, -INFINITY, 3e38f };
    for (size_t k = 0; k < ARRAY_LEN(set); k++)
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
            State s;
            AdamW a = { .lr = 1e-3f, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f };
            state_open(&s, set[k], 1, 3 * BLOCK);
            if (!s.be)
                continue;
            s.be->fill(s.be, s.g, 1);
            ((float *)s.g->data)[BLOCK + 3] = bad[i];
            for (a.step = 1; a.step <= 3; a.step++)
                s.be->adamw(s.be, s.w, s.g, s.m, s.v, &a, 1);
            assert_true(((float *)s.w->data)[0] == ((float *)s.w->data)[2 * BLOCK]); /* the blocks beside it */
            state_close(&s);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_those_of_bitsandbytes),
        cmocka_unit_test(twenty_steps_follow_bitsandbytes),
        cmocka_unit_test(every_set_finds_the_same_codes),
        cmocka_unit_test(threads_change_no_bit),
        cmocka_unit_test(no_number_harms_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
