/* test_cuda_host.c - the stand-in for a card judged by itself: products and loads of matrices against plain loops, copies that arrive late, shuffles; and each broken rule must be
 * found, with the kernel's name. The rules that only an order of turns shows are shown by comparing orders. */
#include "base/base.h"
#include "base/rng.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#ifdef HONE_CUDA_HOST
#include "formats/dtype.h"
#include "tensor/cuda_host/host_control.h"
#include "tensor/cuda_host/probes.h"

static float from_bf16(uint16_t b)
{
    float f;
    dtype_to_f32(&f, &b, DT_BF16, 1);
    return f;
}

static void products_match_plain_loops(void **state)
{
    (void)state;
    for (int by_hand = 0; by_hand < 2; by_hand++)
        for (int order = 0; order < HOST_ORDERS; order++) {
            float    x[256 + 128], d[128], want[128];
            uint16_t bits[256 + 128];
            Rng rng = rng_at(3, RNG_TEST, (uint64_t)order, 0);
            rng_normals(&rng, x, ARRAY_LEN(x));
            rng_normals(&rng, d, ARRAY_LEN(d));
            dtype_from_f32(bits, x, DT_BF16, ARRAY_LEN(x));
            for (int i = 0; i < 16; i++)
                for (int j = 0; j < 8; j++) {
                    double s = d[i * 8 + j];
                    for (int k = 0; k < 16; k++)
                        s += (double)from_bf16(bits[i * 16 + k]) * from_bf16(bits[256 + k * 8 + j]);
                    want[i * 8 + j] = (float)s;
                }
            host_cuda_order((HostOrder)order);
            assert_int_equal((by_hand ? probe_product_by_hand : probe_product)(d, bits, bits + 256), 0);
            assert_memory_equal(d, want, sizeof d);
        }
    host_cuda_set(NULL);
}

static void pairs_round_as_the_formats_do(void **state)
{
    (void)state;
    static const float v[] = { 0.0f, -0.0f, 1.0f, 1.00390625f, 1.01171875f, -3.1415927f, 1e-40f, 3.4e38f, INFINITY, -INFINITY };
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        uint32_t pair = 0;
        uint16_t want[2];
        const float both[2] = { v[i], v[(i + 3) % ARRAY_LEN(v)] };
        dtype_from_f32(want, both, DT_BF16, 2);
        assert_int_equal(probe_bf16(&pair, both[0], both[1]), 0);
        assert_int_equal(pair, (uint32_t)want[1] << 16 | want[0]);
    }
}

static void copies_arrive_with_the_wait(void **state)
{
    (void)state;
    float out[100] = { 0 };
    assert_int_equal(probe_async(out), 0);
    for (int i = 0; i < 32; i++) {
        assert_true(isnan(out[i]));
        assert_true(out[32 + i] == 10.0f + (float)i);
        assert_true(out[64 + i] == 42.0f + (float)i);
    }
    for (int i = 96; i < 100; i++)
        assert_true(out[i] == 0.0f);
}

static void lanes_reach_each_other(void **state)
{
    (void)state;
    int out[192] = { 0 };
    assert_int_equal(probe_shuffles(out), 0);
    for (int l = 0; l < 32; l++) {
        assert_int_equal(out[l], 100 + (l ^ 1));
        assert_int_equal(out[32 + l], 100 + (l + 3 < 32 ? l + 3 : l));
        assert_int_equal(out[64 + l], 100 + (l >= 3 ? l - 3 : l));
        assert_int_equal(out[96 + l], 105);
        assert_int_equal(out[128 + l], 100 + (l ^ 1));
        assert_int_equal((unsigned)out[160 + l], 0xaaaaaaaau);
    }
    for (int order = 0; order < HOST_ORDERS; order++)
        for (int threads = 32; threads <= 1024; threads *= 2) {
            double sum = 0;
            host_cuda_order((HostOrder)order);
            assert_int_equal(probe_block_sum(&sum, 1000, threads), 0);
            assert_true(sum == 500500.0);
        }
    host_cuda_set(NULL);
}

#if defined(__SANITIZE_ADDRESS__)
#define STOPPED_BEFORE(p) ((p) == PROBE_SHARED_OVERFLOW || (p) == PROBE_DEVICE_OVERFLOW) /* the address sanitizer ends the program there */
#else
#define STOPPED_BEFORE(p) false
#endif

static void broken_rules_are_found(void **state)
{
    (void)state;
    static const struct { Probe p; const char *says; } rows[] = {
        { PROBE_FINE, NULL }, { PROBE_HALF_WARP, NULL }, { PROBE_UNINITIALISED, NULL },
        { PROBE_UNEVEN_BARRIER, "kernel kernel_rule, block (0, 0, 0): 32 of its 64 threads have left it, 32 wait at the barrier of" },
        { PROBE_OTHER_BARRIER, "it reaches the barrier of" },
        { PROBE_LEFT_LANE, "has left the kernel" },
        { PROBE_SHORT_MASK, "is not in its own mask" },
        { PROBE_SHARED_OVERFLOW, "wrote outside of its 64 bytes of shared memory" },
        { PROBE_MUCH_SHARED, "60000 bytes of shared memory, but only 49152 were allowed" },
        { PROBE_WIDE_BLOCK, "cannot be launched" }, { PROBE_HIGH_GRID, "cannot be launched" }, { PROBE_EMPTY_GRID, "cannot be launched" },
        { PROBE_UNALIGNED_COPY, "16-byte aligned" },
        { PROBE_EARLY_FREE, "while work waits on a stream" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        float out[64] = { 0 };
        if (STOPPED_BEFORE(rows[i].p))
            continue;
        host_cuda_set(NULL);
        const int rc = probe_rule(rows[i].p, out);
        const char *fault = host_cuda_fault();
        if ((rc != 0) != (rows[i].says != NULL) || (fault != NULL) != (rows[i].says != NULL) || (fault && !strstr(fault, rows[i].says)))
            fail_msg("rule %d: code %d, \"%s\" does not say \"%s\"", rows[i].p, rc, fault ? fault : "", rows[i].says ? rows[i].says : "");
        for (int t = 0; t < 64 && !rc; t++)
            assert_true(rows[i].p == PROBE_UNINITIALISED ? isnan(out[t]) : rows[i].p == PROBE_HALF_WARP && t < 16 ? out[t] == 63 - (t ^ 1) : out[t] == 63 - t);
        assert_int_equal(host_cuda_leaks(), 0);
    }
    host_cuda_set(NULL);
}

/* What is written behind a block of device memory is found when it is freed, if nothing finds it before. */
static void writes_behind_a_block_are_found(void **state)
{
    (void)state;
    float out[64] = { 0 };
    if (STOPPED_BEFORE(PROBE_DEVICE_OVERFLOW))
        return;
    host_cuda_set(NULL);
    probe_rule(PROBE_DEVICE_OVERFLOW, out);
    assert_non_null(host_cuda_fault());
    assert_non_null(strstr(host_cuda_fault(), "a kernel wrote 252 bytes behind the start of a block of 252 bytes"));
    host_cuda_set(NULL);
}

static void a_missing_barrier_shows_in_some_order(void **state)
{
    (void)state;
    float out[HOST_ORDERS][64];
    for (int order = 0; order < HOST_ORDERS; order++) {
        host_cuda_order((HostOrder)order);
        assert_int_equal(probe_rule(PROBE_MISSING_BARRIER, out[order]), 0);
    }
    assert_memory_not_equal(out[HOST_FORWARD], out[HOST_REVERSE], sizeof out[0]);
    host_cuda_set(NULL);
}

static void streams_run_only_when_asked(void **state)
{
    (void)state;
    float late = 0, ordered = 0, got = 0;
    assert_int_equal(probe_streams(&late, &ordered), 0);
    assert_true(late == -1.0f && ordered == 5.0f);
    assert_int_equal(probe_pinned(&got), 0);
    assert_true(got == 2.0f); /* the copy had not run: what the caller must not do shows */
    assert_int_equal(host_cuda_leaks(), 0);
    assert_null(host_cuda_fault());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_match_plain_loops),
        cmocka_unit_test(pairs_round_as_the_formats_do),
        cmocka_unit_test(copies_arrive_with_the_wait),
        cmocka_unit_test(lanes_reach_each_other),
        cmocka_unit_test(broken_rules_are_found),
        cmocka_unit_test(writes_behind_a_block_are_found),
        cmocka_unit_test(a_missing_barrier_shows_in_some_order),
        cmocka_unit_test(streams_run_only_when_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void)
{
    print_message("SKIPPED: the stand-in for a card needs a C++ compiler (g++), and this build has none that serves\n");
    return 77;
}
#endif
