/* test_topology.c - machines that hwloc makes of a line of text: which cores, which memory nodes, who stays where. And what the system is asked: on one node
 * nothing, on several exactly what topology.h says; and its refusal changes nothing. A seccomp filter sees to the latter two, in child processes. */
#include "base/check.h"

#include "base/thread.h"
#include "base/topology_int.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

#define BLOCK ((size_t)8 << 20)

static Places p;

static cpu_set_t mask_of(const char *bits) /* "1101": hardware threads 0, 1, 3 */
{
    cpu_set_t m;
    CPU_ZERO(&m);
    for (size_t i = 0; bits[i]; i++)
        if (bits[i] == '1')
            CPU_SET(i, &m);
    return m;
}

static void machine(const char *text, const char *bits, int quota)
{
    cpu_set_t m = mask_of(bits);
    setenv("HWLOC_SYNTHETIC", text, 1);
    places_find(&p, &m, quota);
}

static void expect_units(const cpu_set_t *got, const char *bits)
{
    cpu_set_t want = mask_of(bits);
    if (!CPU_EQUAL(got, &want)) {
        char text[65] = { 0 };
        for (size_t i = 0; i < 64; i++)
            text[i] = CPU_ISSET(i, got) ? '1' : '0';
        fail_msg("hardware threads %s instead of %s", text, bits);
    }
}

static void expect(int cores, int units, int nodes, bool whole)
{
    assert_int_equal(p.is.cores, cores);
    assert_int_equal(p.is.units, units);
    assert_int_equal(p.is.nodes, nodes);
    assert_int_equal(p.is.whole, whole);
    assert_true((p.tree != NULL) == (nodes > 1) && (p.nodes != NULL) == (nodes > 1));
}

static void test_cores_and_nodes(void **state)
{
    (void)state;
    machine("node:2 core:4 pu:2", "1111111111111111", 0);
    expect(8, 16, 2, true);
    for (int i = 0; i < 8; i++)
        assert_int_equal(p.node[i], i / 4);
    expect_units(&p.core[5], "0000000000110000" "0");
    assert_true(hwloc_bitmap_isset(p.nodes, 0) && hwloc_bitmap_isset(p.nodes, 1));
    places_drop(&p);

    machine("node:2 core:4 pu:2", "0000000011110111", 0); /* a mask: one socket; of the third core one thread is missing */
    expect(4, 7, 1, true);
    expect_units(&p.core[2], "0000000000000100");
    machine("node:2 core:4 pu:2", "0000001111000000", 0); /* a core of each */
    expect(2, 4, 2, true);
    assert_true(p.node[0] == 0 && p.node[1] == 1);
    places_drop(&p);
    machine("node:4 core:2 pu:1", "11001111", 0); /* three nodes of four */
    expect(6, 6, 3, true);
    assert_false(hwloc_bitmap_isset(p.nodes, 1));
    places_drop(&p);
    machine("core:6 pu:2", "111111111111", 0);
    expect(6, 12, 1, true);
    machine("node:2 core:4 pu:2", "1111111111111111", 3); /* a container's quota */
    expect(3, 16, 2, false);
    places_drop(&p);
    machine("node:2 core:4 pu:2", "1111111111111111", 8);
    expect(8, 16, 2, true);
    places_drop(&p);
    machine("pack:2 [numa(memory=1000000000)] [numa(memory=64000000)] core:2 pu:1", "1111", 0); /* two kinds of memory beside each core */
    expect(4, 4, 2, true);
    places_drop(&p);
    machine("node:2 core:2 pu:1", "00001011", 0); /* hwloc has nothing to say of these: every thread a core */
    expect(3, 3, 1, true);
    expect_units(&p.core[1], "0000001");
}

static void test_who_stays_where(void **state)
{
    (void)state;
    cpu_set_t u;
    machine("node:2 core:4 pu:2", "1111111111111111", 0);
    static const char *const near[] = { "1111111100000000", "0000000011111111" };
    for (int n = 1; n <= 8; n++)
        for (int i = 0; i < n; i++) {
            assert_true(places_beside(&p, i, n, &u));
            expect_units(&u, near[2 * i >= n]); /* the first half, the middle one with it */
        }
    places_drop(&p);
    machine("node:2 core:4 pu:2", "1111110011111111", 0); /* 3 + 4 cores */
    int beside[2] = { 0 };
    for (int i = 0; i < 5; i++) {
        assert_true(places_beside(&p, i, 5, &u));
        beside[CPU_ISSET(8, &u) != 0]++;
    }
    assert_true(beside[0] == 3 && beside[1] == 2);
    places_drop(&p);
    machine("node:2 core:4 pu:2", "1111111111111111", 3);
    assert_false(places_beside(&p, 0, 2, &u)); /* a quota: anywhere */
    places_drop(&p);
    machine("core:8 pu:1", "11111111", 0);
    assert_false(places_beside(&p, 0, 2, &u));
}

/* ---- what the system is asked ---- */

static const char *const binding[] = { "mbind", "set_mempolicy", "migrate_pages", "move_pages" };

static void filter(uint32_t action, bool threads_too)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    for (size_t i = 0; i < ARRAY_LEN(binding); i++)
        seccomp_rule_add(f, action, seccomp_syscall_resolve_name(binding[i]), 0);
    if (threads_too)
        seccomp_rule_add(f, action, SCMP_SYS(sched_setaffinity), 0);
    if (!f || seccomp_load(f))
        _exit(77);
    seccomp_release(f);
}

/* 8 MiB, spread, are there and hold what is written. */
static void use_block(void)
{
    unsigned char *b = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b == MAP_FAILED)
        _exit(1);
    topology_spread(b, BLOCK);
    for (size_t i = 0; i < BLOCK; i += 4096)
        b[i] = (unsigned char)(i >> 12);
    for (size_t i = 0; i < BLOCK; i += 4096)
        if (b[i] != (unsigned char)(i >> 12))
            _exit(2);
    munmap(b, BLOCK);
}

static void count_piece(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    ((int *)ctx)[piece]++;
}

static void use_threads(int threads)
{
    int times[64] = { 0 };
    Pool *pool = pool_new(threads);
    parallel_for(pool, 64, count_piece, times);
    for (int i = 0; i < 64; i++)
        if (times[i] != 1)
            _exit(3);
    pool_free(pool);
}

static void several(void)
{
    char text[64];
    snprintf(text, sizeof text, "node:2 core:%ld pu:1", MAX(sysconf(_SC_NPROCESSORS_CONF), 2));
    setenv("HWLOC_SYNTHETIC", text, 1); /* half of its cores are this machine's */
    setenv("HWLOC_THISSYSTEM", "1", 1); /* and the calls are really made */
}

static void one_node_is_left_alone(void)
{
    setenv("HWLOC_SYNTHETIC", "node:1 core:64 pu:1", 1);
    setenv("HWLOC_THISSYSTEM", "1", 1);
    if (topology()->nodes != 1)
        _exit(4);
    filter(SCMP_ACT_KILL_PROCESS, false);
    use_block();
    use_threads(3);
}

static void two_nodes(uint32_t action)
{
    several();
    cpu_set_t all;
    CPU_ZERO(&all);
    for (size_t i = 0; i < 2 * (size_t)MAX(sysconf(_SC_NPROCESSORS_CONF), 2); i++)
        CPU_SET(i, &all);
    places_find(&p, &all, 0);
    if (p.is.nodes != 2)
        _exit(4);
    filter(action, true);
    unsigned char *b = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    errno = 0;
    int rc = places_spread(&p, b, BLOCK);
    if (action == SCMP_ACT_ERRNO(EPERM) && (rc == 0 || errno != EPERM))
        _exit(5); /* it is the refusal that is tested */
    b[0] = b[BLOCK - 1] = 1;
}

static void two_nodes_are_bound(void) { two_nodes(SCMP_ACT_KILL_PROCESS); }
static void two_nodes_refused(void) { two_nodes(SCMP_ACT_ERRNO(EPERM)); }
static void two_nodes_unknown(void) { two_nodes(SCMP_ACT_ERRNO(ENOSYS)); }
static void two_nodes_allowed(void) { two_nodes(SCMP_ACT_ALLOW); } /* the second is not of this machine */

static void all_refused(void)
{
    filter(SCMP_ACT_ERRNO(EPERM), true);
    use_block();
    use_threads(2);
    use_threads(0);
}

static void expect_exit(void (*fn)(void), const char *name)
{
    int status = check_child(fn);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        print_message("SKIPPED: %s: this system has no seccomp filters\n", name);
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s: status %x", name, (unsigned)status);
}

static void test_system(void **state)
{
    (void)state;
    expect_exit(one_node_is_left_alone, "one node");
    expect_exit(two_nodes_refused, "two nodes, EPERM");
    expect_exit(two_nodes_unknown, "two nodes, ENOSYS");
    expect_exit(two_nodes_allowed, "two nodes, one of them made up");
    expect_exit(all_refused, "everything refused");
    int status = check_child(two_nodes_are_bound); /* proves that the filter would have seen a call */
    assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) || (WIFEXITED(status) && WEXITSTATUS(status) == 77));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_system), /* first: the children find a topology of their own */
        cmocka_unit_test(test_cores_and_nodes),
        cmocka_unit_test(test_who_stays_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
