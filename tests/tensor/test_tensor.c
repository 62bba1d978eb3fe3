/* test_tensor.c - shapes, views, the arena of backend memory, the table of backends, and looking at tensors. */
#include "base/mem.h"
#include "tensor/inspect.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static Tensor *new_tensor(TArena *a, int64_t rows, int64_t cols)
{
    return tarena_tensor(a, "t", DT_F32, 2, (int64_t[]){ rows, cols });
}

static Backend *be;

static int open_ref(void **state)
{
    (void)state;
    be = backend_open("ref", 0, NULL);
    return be ? 0 : -1;
}

static int close_ref(void **state)
{
    (void)state;
    be->close(be);
    return 0;
}

static void shapes_and_views(void **state)
{
    (void)state;
    TArena a;
    tarena_init(&a, be);
    Tensor *t = tarena_tensor(&a, "x", DT_F32, 3, (int64_t[]){ 2, 3, 5 });
    assert_int_equal(tensor_numel(t), 30);
    assert_int_equal(tensor_rows(t), 6);
    assert_int_equal(tensor_cols(t), 5);
    assert_int_equal((uintptr_t)t->data % 64, 0);
    float v[30];
    for (int i = 0; i < 30; i++)
        v[i] = (float)i;
    tensor_put(t, v);
    t->wants_grad = true;

    Tensor rows = tensor_row_view(t, 2, 3);
    assert_int_equal(rows.rank, 2);
    assert_int_equal(tensor_rows(&rows), 3);
    Tensor cut = tensor_col_view(&rows, 1, 2);
    assert_int_equal(cut.ld, 5);
    assert_false(cut.wants_grad);
    float got[6], want[6] = { 11, 12, 16, 17, 21, 22 };
    tensor_get(&cut, got);
    assert_memory_equal(got, want, sizeof got);

    float put[6] = { -1, -2, -3, -4, -5, -6 };
    tensor_put(&cut, put);
    tensor_get(t, v);
    assert_true(v[10] == 10.0f && v[11] == -1.0f && v[12] == -2.0f && v[13] == 13.0f && v[22] == -6.0f);

    Tensor *same = tarena_tensor(&a, NULL, DT_F32, 3, (int64_t[]){ 2, 3, 5 }), *flat = new_tensor(&a, 6, 5);
    assert_true(tensor_same_shape(t, same));
    assert_false(tensor_same_shape(t, flat));
    assert_int_equal(tensor_rows(new_tensor(&a, 4, 0)), 0);
    tarena_release(&a);
}

static void arena_takes_nothing_on_the_second_turn(void **state)
{
    (void)state;
    TArena a;
    tarena_init(&a, be);
    Tensor *kept = new_tensor(&a, 3, 7);
    be->fill(be, kept, 4.0f);
    TArenaMark mark = tarena_mark(&a);
    size_t reserved = 0, high = 0;
    void  *where[40];
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 1; i < 40; i++) {
            Tensor *t = new_tensor(&a, i * 100, i * 3); /* up to 1.8 MB: some need a chunk of their own */
            be->fill(be, t, (float)i);
            if (turn > 0)
                assert_ptr_equal(t->data, where[i]);
            where[i] = t->data;
        }
        if (turn == 0) {
            reserved = a.reserved;
            high = a.high;
        }
        assert_int_equal(a.reserved, reserved);
        assert_int_equal(a.high, high);
        assert_true(a.used > 15 * 1000 * 1000 && a.used <= a.reserved);
        tarena_rewind(&a, mark);
        assert_int_equal(a.used, 128);
    }
    assert_true(((float *)kept->data)[20] == 4.0f);
    assert_false(tarena_failed(&a, NULL));
    tarena_release(&a);
    assert_int_equal(a.reserved, 0);
}

/* Requests that grow from turn to turn must not leave a trail of chunks that are too small. */
static void arena_growing_turns_stay_bounded(void **state)
{
    (void)state;
    TArena a;
    tarena_init(&a, be);
    TArenaMark mark = tarena_mark(&a);
    for (int64_t turn = 0; turn < 30; turn++) {
        for (int i = 0; i < 2; i++)
            assert_non_null(new_tensor(&a, 1024, 600 + 40 * turn));
        tarena_rewind(&a, mark);
    }
    assert_true(a.reserved < 4 * a.high);
    tarena_release(&a);
}

static void *few_bytes(Backend *b, size_t nbytes)
{
    (void)b;
    return nbytes <= (size_t)2 << 20 ? aligned_alloc(64, nbytes) : NULL;
}

static void arena_remembers_what_did_not_fit(void **state)
{
    (void)state;
    Backend small = *be;
    small.alloc = few_bytes;
    TArena a;
    tarena_init(&a, &small);
    assert_non_null(new_tensor(&a, 10, 10));
    assert_non_null(new_tensor(&a, 512, 1024)); /* just 2 MiB */
    assert_null(new_tensor(&a, 1024, 1024));
    assert_null(new_tensor(&a, 1, 1));          /* failed stays failed */
    Err e = { 0 };
    assert_true(tarena_failed(&a, &e));
    assert_int_equal(e.code, ERR_MEM);
    assert_non_null(strstr(e.text, "4.0 MiB more"));
    assert_non_null(strstr(e.text, "\"ref\""));
    tarena_release(&a);
    assert_non_null(new_tensor(&a, 1, 1));
    assert_false(tarena_failed(&a, &e));

    assert_null(tarena_tensor(&a, "huge", DT_F32, 3, (int64_t[]){ (int64_t)1 << 40, (int64_t)1 << 40, 8 }));
    assert_true(tarena_failed(&a, &e));
    tarena_release(&a);
    assert_null(new_tensor(&a, INT64_MAX / 4, 1)); /* the padding would overflow */
    tarena_release(&a);
}

static void backend_names(void **state)
{
    (void)state;
    Err e = { 0 };
    assert_null(backend_open("tpu", 0, &e));
    assert_int_equal(e.code, ERR_ARG);
    assert_non_null(strstr(e.text, "\"tpu\""));
    assert_non_null(strstr(e.text, "ref"));
    assert_non_null(strstr(e.text, "cpu"));
}

static void looking_at_tensors(void **state)
{
    (void)state;
    TArena a;
    tarena_init(&a, be);
    Tensor *t = tarena_tensor(&a, "w", DT_BF16, 2, (int64_t[]){ 2, 3 });
    float v[6] = { 1, 2, 3, 4, 5, 6 }, got[6];
    tensor_put(t, v);
    tensor_get(t, got);
    assert_memory_equal(v, got, sizeof v);

    float want[6] = { 1, 2, 3, 4, 6, 6 };
    TensorDiff d = tensor_diff(t, want);
    assert_int_equal(d.at, 4);
    assert_true(d.max_abs == 1.0);
    assert_true(fabs(d.max_rel - 1.0 / 6) < 1e-12);
    assert_true(fabs(d.rel_norm - 1.0 / sqrt(1 + 4 + 9 + 16 + 36 + 36)) < 1e-12);
    d = tensor_diff(t, v);
    assert_true(d.max_abs == 0 && d.max_rel == 0 && d.rel_norm == 0);

    int64_t at = -1;
    assert_false(tensor_first_bad(t, &at));
    v[3] = NAN;
    tensor_put(t, v);
    assert_true(tensor_first_bad(t, &at));
    assert_int_equal(at, 3);
    d = tensor_diff(t, want);
    assert_int_equal(d.at, 3);
    assert_true(isinf(d.max_abs) && isinf(d.rel_norm));

    StrBuf out = { 0 };
    tensor_print(&out, t, 4);
    assert_string_equal(strbuf_z(&out), "w BF16 [2, 3]\n 1 2 3\n nan ...\n");
    strbuf_clear(&out);
    Tensor *ids = tarena_tensor(&a, NULL, DT_I32, 1, (int64_t[]){ 2 });
    be->upload(be, ids->data, (int32_t[]){ 7, -1 }, 8);
    tensor_print(&out, ids, 10);
    assert_string_equal(strbuf_z(&out), "(unnamed) I32 [2]\n 7 -1\n");
    strbuf_release(&out);
    tarena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_and_views),
        cmocka_unit_test(arena_takes_nothing_on_the_second_turn),
        cmocka_unit_test(arena_growing_turns_stay_bounded),
        cmocka_unit_test(arena_remembers_what_did_not_fit),
        cmocka_unit_test(backend_names),
        cmocka_unit_test(looking_at_tensors),
    };
    return cmocka_run_group_tests(tests, open_ref, close_ref);
}
