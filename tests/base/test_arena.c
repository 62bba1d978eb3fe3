/* test_arena.c - alignment, marks, reuse after a rewind, accounting. */
#include "base/check.h"

#include "base/arena.h"

static void test_alignment_and_content(void **state)
{
    (void)state;
    Arena a = { 0 };
    char *block[500];
    for (size_t i = 0; i < ARRAY_LEN(block); i++) { /* sizes across chunk borders; no two may overlap */
        block[i] = arena_alloc(&a, i * 7);
        assert_int_equal((uintptr_t)block[i] % 64, 0);
        memset(block[i], (int)(i & 0xFF), i * 7);
    }
    for (size_t i = 0; i < ARRAY_LEN(block); i++)
        for (size_t j = 0; j < i * 7; j++)
            assert_int_equal((unsigned char)block[i][j], i & 0xFF);
    int *zero = arena_zalloc(&a, 1000, sizeof *zero);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(zero[i], 0);
    assert_string_equal(arena_strdup(&a, "text"), "text");
    assert_string_equal(arena_printf(&a, "%s-%03d", "x", 7), "x-007");
    assert_true(a.high == a.used && a.used >= 500 * 64);
    arena_release(&a);
    assert_null(a.first);
    assert_int_equal(a.used, 0);
}

static void test_rewind(void **state)
{
    (void)state;
    Arena a = { 0 };
    ArenaMark empty = arena_mark(&a);
    char *kept = arena_strdup(&a, "kept");
    ArenaMark mark = arena_mark(&a);
    size_t used = a.used, high = 0;
    void *first = NULL, *big = NULL;
    for (int turn = 0; turn < 50; turn++) { /* every turn gets the same addresses: nothing new is asked of the system */
        void *p = arena_alloc(&a, 100), *q = arena_alloc(&a, 1 << 20);
        memset(q, turn, 1 << 20);
        if (turn == 0) {
            first = p;
            big = q;
            high = a.high;
        }
        assert_ptr_equal(p, first);
        assert_ptr_equal(q, big);
        assert_int_equal(a.high, high);
        arena_rewind(&a, mark);
        assert_int_equal(a.used, used);
    }
    assert_string_equal(kept, "kept");
    arena_rewind(&a, empty);
    assert_int_equal(a.used, 0);
    assert_ptr_equal(arena_alloc(&a, 1), kept);
    arena_release(&a);
}

static void test_small_chunk_is_skipped(void **state)
{
    (void)state;
    Arena a = { 0 };
    ArenaMark start = arena_mark(&a);
    for (int turn = 1; turn < 6; turn++) { /* each turn wants more than the chunks kept so far can hold in one piece */
        arena_alloc(&a, 10);
        char *p = arena_alloc(&a, (size_t)turn << 20);
        memset(p, 1, (size_t)turn << 20);
        arena_alloc(&a, 10);
        arena_rewind(&a, start);
    }
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment_and_content),
        cmocka_unit_test(test_rewind),
        cmocka_unit_test(test_small_chunk_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
