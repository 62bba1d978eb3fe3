/* test_features.c - the choice of an instruction set, on machines made of words: every one that is missing a bit, an old processor that answers leaves it
 * does not have, a system that does not keep the registers. None of them may be asked what would stop it, and none may get a set it cannot run. */
#include "base/check.h"

#include "base/str.h"
#include "tensor/cpu/cpu.h"
#include "tensor/cpu/features.h"

enum { EAX, EBX, ECX, EDX };

typedef struct Machine {
    uint32_t last, last_7;             /* largest leaf, largest part of leaf 7 */
    uint32_t leaf1[4], leaf7[4], leaf7_1[4], leaf1d[4], leaf1d_1[4];
    uint64_t xcr0;
    uint32_t junk;                     /* what a leaf that is not there is answered with */
    bool     unknown;                  /* a leaf was asked for that the machine does not have */
    bool     faulted;                  /* XGETBV without OSXSAVE */
} Machine;

static void cpuid(void *machine, uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    Machine *m = machine;
    const uint32_t *p = leaf == 1 ? m->leaf1 : leaf == 7 && sub == 0 ? m->leaf7 : leaf == 7 && sub == 1 && sub <= m->last_7 ? m->leaf7_1 :
                        leaf == 0x1d && sub == 0 ? m->leaf1d : leaf == 0x1d && sub == 1 && m->leaf1d[EAX] >= 1 ? m->leaf1d_1 : NULL;
    if (leaf == 0) {
        memcpy(r, (uint32_t[4]){ m->last }, 16);
    } else if (leaf > m->last || !p) {
        m->unknown = true;
        memcpy(r, (uint32_t[4]){ m->junk, m->junk, m->junk, m->junk }, 16);
    } else {
        memcpy(r, p, 16);
        if (leaf == 7 && sub == 0)
            r[EAX] = m->last_7;
    }
}

static uint64_t xcr0(void *machine)
{
    Machine *m = machine;
    m->faulted |= !(m->leaf1[ECX] >> 27 & 1);
    return m->xcr0;
}

static unsigned sets_of(Machine m)
{
    unsigned sets = features_of(&(CpuAsk){ .cpuid = cpuid, .xcr0 = xcr0, .machine = &m });
    assert_false(m.unknown || m.faulted);
    return sets;
}

/* A Sapphire Rapids under Linux, as its leaves are documented. */
static Machine full(void)
{
    return (Machine){
        .last = 0x20, .last_7 = 2, .junk = 0xffffffff,
        .leaf1 = { 0x806f8, 0, 0x7ffefbff, 0xbfebfbff },
        .leaf7 = { 0, 0xf3bfb7ef, 0x1b415fee, 0xffc15df4 & ~(1u << 25) },  /* without AMX-INT8, which nothing here uses */
        .leaf7_1 = { 0x00001c30, 0, 0, 0 },
        .leaf1d = { 1 }, .leaf1d_1 = { 1024u << 16 | 8192, 8u << 16 | 64, 16, 0 },
        .xcr0 = 0x600e7 | 0x200,
    };
}

enum { BASE = 1u << SET_BASE, AVX2 = BASE | 1u << SET_AVX2, AVX512 = AVX2 | 1u << SET_AVX512, VNNI = AVX512 | 1u << SET_AVX512VNNI,
       BF16 = VNNI | 1u << SET_AVX512BF16, AMX = BF16 | 1u << SET_AMXBF16 };

static void test_each_bit(void **state)
{
    (void)state;
    static const struct { uint32_t at; int word, bit; unsigned left; } bits[] = {
        { offsetof(Machine, leaf1), ECX, 12, BASE },   /* fma */       { offsetof(Machine, leaf1), ECX, 27, BASE },    /* osxsave */
        { offsetof(Machine, leaf1), ECX, 28, BASE },   /* avx */       { offsetof(Machine, leaf1), ECX, 29, BASE },    /* f16c */
        { offsetof(Machine, leaf7), EBX, 5, BASE },    /* avx2 */      { offsetof(Machine, leaf7), EBX, 16, AVX2 },    /* avx512f */
        { offsetof(Machine, leaf7), EBX, 17, AVX2 },   /* dq */        { offsetof(Machine, leaf7), EBX, 30, AVX2 },    /* bw */
        { offsetof(Machine, leaf7), EBX, 31, AVX2 },   /* vl */        { offsetof(Machine, leaf7), ECX, 11, AVX512 },  /* avx512_vnni */
        { offsetof(Machine, leaf7_1), EAX, 5, VNNI },  /* avx512_bf16 */
        { offsetof(Machine, leaf7), EDX, 22, BF16 },   /* amx-bf16 */  { offsetof(Machine, leaf7), EDX, 24, BF16 },    /* amx-tile */
        { offsetof(Machine, leaf1d), EAX, 0, BF16 },   /* palette 1 */ { offsetof(Machine, leaf1d_1), EAX, 26, BF16 }, /* 1024 bytes */
        { offsetof(Machine, leaf1d_1), EBX, 19, BF16 },/* 8 registers */ { offsetof(Machine, leaf1d_1), ECX, 4, BF16 },/* 16 rows */
    };
    assert_int_equal(sets_of(full()), AMX);
    for (size_t i = 0; i < ARRAY_LEN(bits); i++) {
        Machine m = full();
        uint32_t word;
        char *at = (char *)&m + bits[i].at + 4 * bits[i].word;
        memcpy(&word, at, 4);
        assert_true(word >> bits[i].bit & 1);
        word &= ~(1u << bits[i].bit);
        memcpy(at, &word, 4);
        if (sets_of(m) != bits[i].left)
            fail_msg("row %zu: %x instead of %x", i, sets_of(m), bits[i].left);
    }
}

/* The processor has everything; the system keeps less. */
static void test_system(void **state)
{
    (void)state;
    static const struct { uint64_t xcr0; unsigned left; } systems[] = {
        { 0x600e7, AMX }, { 0x400e7, BF16 }, { 0x200e7, BF16 }, { 0xe7, BF16 }, { 0x67, AVX2 }, { 0xa7, AVX2 }, { 0xc7, AVX2 }, { 7, AVX2 }, { 3, BASE }, { 5, BASE }, { 1, BASE }, { 0, BASE },
    };
    for (size_t i = 0; i < ARRAY_LEN(systems); i++) {
        Machine m = full();
        m.xcr0 = systems[i].xcr0;
        assert_int_equal(sets_of(m), systems[i].left);
    }
}

/* Leaves that are not there are answered with anything, here with all bits set. */
static void test_old(void **state)
{
    (void)state;
    for (uint32_t last = 0; last < 7; last++) {
        Machine m = full();
        m.last = last;
        assert_int_equal(sets_of(m), BASE);
    }
    Machine m = full();
    m.last = 0x1c; /* says that it has tiles, and not which */
    assert_int_equal(sets_of(m), BF16);
    m = full();
    m.last_7 = 0;
    assert_int_equal(sets_of(m), VNNI);
    m = full();
    memset(m.leaf7, 0, sizeof m.leaf7);
    memset(m.leaf1, 0, sizeof m.leaf1);
    m.xcr0 = UINT64_MAX; /* not to be asked */
    assert_int_equal(sets_of(m), BASE);
    m = full();
    m.leaf7[EBX] &= ~(1u << 5); /* a hypervisor that took AVX2 away and left the rest */
    assert_int_equal(sets_of(m), BASE);
}

/* What is found here runs: opened by name and by the environment, with a note where it is slow. */
static void test_here(void **state)
{
    (void)state;
    static const char *const name[SET_COUNT] = { "base", "avx2", "avx512", "avx512vnni", "avx512bf16", "amxbf16" };
    StrBuf text = { 0 };
    for (int s = 0; s < SET_COUNT; s++) {
        Err e = { 0 };
        setenv("HONE_KERNELS", name[s], 1);
        Backend *be = backend_open("cpu", 1, &e);
        if (!be) {
            assert_true(s > SET_BASE);
            check_says(&e, ERR_ARG, "HONE_KERNELS: This machine has no instruction set \"");
            continue;
        }
        assert_true(features_here() >> s & 1);
        strbuf_clear(&text);
        backend_cpu_sets(&text);
        assert_non_null(strstr(strbuf_z(&text), "in use"));
        const char *own = strstr(strbuf_z(&text), name[s]);
        assert_true(own && strstr(own, "in use") < strchr(own, ')')); /* in its own brackets */
#if defined(__x86_64__)
        assert_true((be->note != NULL) == (s == SET_BASE));
        assert_true(strstr(backend_cpu_features(), "avx2") || s == SET_BASE);
#endif
        be->close(be);
    }
    Err e = { 0 };
    setenv("HONE_KERNELS", "sse9", 1);
    assert_null(backend_open("cpu", 1, &e));
    check_says(&e, ERR_ARG, "\"sse9\"");
    unsetenv("HONE_KERNELS");
#if defined(__x86_64__)
    assert_non_null(strstr(strbuf_z(&text), "has not run on real hardware"));
#endif
    strbuf_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_bit), cmocka_unit_test(test_system), cmocka_unit_test(test_old), cmocka_unit_test(test_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
