/* test_packed_train.c - a packed base is frozen: full training is refused before anything is loaded, LoRA is not. */
#include "train/train_cfg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"

static void test_full_is_refused(void **state)
{
    (void)state;
    for (int packed = 0; packed < 2; packed++)
        for (int full = 0; full < 2; full++) {
            Err      e = { 0 };
            Model    m = { .packed = packed, .cfg = { .max_positions = 64 } };
            TrainCfg c = { 0 };
            cfg_defaults(train_options, &c);
            c.model = mem_strdup("base");
            c.data = mem_strdup("rows.jsonl");
            c.out = mem_strdup("run");
            c.method = full ? METHOD_FULL : METHOD_LORA;
            assert_int_equal(train_cfg_resolve(&c, &m, DATA_PAIR, &e), packed && full ? ERR_ARG : 0);
            assert_int_equal(packed && full, strstr(e.text, "method full cannot train base: its weights are packed") != NULL);
            cfg_release(train_options, &c);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_full_is_refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
