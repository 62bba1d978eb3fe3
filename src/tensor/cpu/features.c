/* features.c - see features.h. To add a set: its name in CpuSet and its bits here. */
#include "tensor/cpu/features.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum { W_1C, W_7B, W_7C, W_7D, W_7_1A, W_1D_1A, W_1D_1B, W_1D_1C, W_XCR0, W_COUNT };

#define BIT(n) (UINT64_C(1) << (n))
#define OSXSAVE BIT(27)
#define AMX_TILE BIT(24)

/* What a set needs besides all that the set before it needs. */
static const uint64_t needs[SET_COUNT][W_COUNT] = {
    /* fma, osxsave, avx, f16c; avx2; the system keeps the registers of SSE and AVX */
    [SET_AVX2] = { [W_1C] = BIT(12) | OSXSAVE | BIT(28) | BIT(29), [W_7B] = BIT(5), [W_XCR0] = BIT(1) | BIT(2) },
    /* f, dq, bw, vl; masks and both halves of the long registers */
    [SET_AVX512] = { [W_7B] = BIT(16) | BIT(17) | BIT(30) | BIT(31), [W_XCR0] = BIT(5) | BIT(6) | BIT(7) },
    [SET_AVX512VNNI] = { [W_7C] = BIT(11) },
    [SET_AVX512BF16] = { [W_7_1A] = BIT(5) },
    /* amx-bf16, amx-tile; palette 1: 8192 bytes, 1024 in a register, 64 in a row, 8 registers, 16 rows; the configuration and the registers */
    [SET_AMXBF16] = { [W_7D] = BIT(22) | AMX_TILE, [W_1D_1A] = 1024 << 16 | 8192, [W_1D_1B] = 8 << 16 | 64, [W_1D_1C] = 16, [W_XCR0] = BIT(17) | BIT(18) },
};

/* A leaf that a processor lacks is answered with another one's numbers, so none is asked for before its number is known to exist. */
static void read_words(const CpuAsk *ask, uint64_t w[W_COUNT])
{
    uint32_t r[4] = { 0 };
    ask->cpuid(ask->machine, 0, 0, r);
    const uint32_t last = r[0];
    if (last < 7)
        return;
    ask->cpuid(ask->machine, 1, 0, r);
    w[W_1C] = r[2];
    ask->cpuid(ask->machine, 7, 0, r);
    const uint32_t last_sub = r[0];
    w[W_7B] = r[1];
    w[W_7C] = r[2];
    w[W_7D] = r[3];
    if (last_sub >= 1) {
        ask->cpuid(ask->machine, 7, 1, r);
        w[W_7_1A] = r[0];
    }
    if (last >= 0x1d && (w[W_7D] & AMX_TILE)) {
        ask->cpuid(ask->machine, 0x1d, 0, r);
        if (r[0] >= 1) {
            ask->cpuid(ask->machine, 0x1d, 1, r);
            w[W_1D_1A] = r[0];
            w[W_1D_1B] = r[1];
            w[W_1D_1C] = r[2];
        }
    }
    if (w[W_1C] & OSXSAVE)
        w[W_XCR0] = ask->xcr0(ask->machine);
}

unsigned features_of(const CpuAsk *ask)
{
    uint64_t w[W_COUNT] = { 0 };
    unsigned sets = 1u << SET_BASE;
    read_words(ask, w);
    for (int s = SET_BASE + 1; s < SET_COUNT; s++) {
        for (int i = 0; i < W_COUNT; i++)
            if ((w[i] & needs[s][i]) != needs[s][i])
                return sets;
        sets |= 1u << s;
    }
    return sets;
}

#if defined(__x86_64__)

static void own_cpuid(void *machine, uint32_t leaf, uint32_t sub, uint32_t r[4])
{
    (void)machine;
    __cpuid_count(leaf, sub, r[0], r[1], r[2], r[3]);
}

static uint64_t own_xcr0(void *machine)
{
    uint32_t low, high;
    (void)machine;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

unsigned features_here(void)
{
    return features_of(&(CpuAsk){ .cpuid = own_cpuid, .xcr0 = own_xcr0 });
}

#else

unsigned features_here(void)
{
    return 1u << SET_BASE;
}

#endif
