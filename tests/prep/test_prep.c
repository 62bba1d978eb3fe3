/* test_prep.c - a whole preparation in this process: reading rows keeps nothing of them in memory, and nothing but the result is left on disk. */
#include "base/check.h"

#include <malloc.h>

#include "base/mem.h"
#include "prep/prep.h"

enum { WARM = 20000, ROWS = 100000 };

/* What the C library has given out when WARM rows were read, and when nearly all were. */
typedef struct Count { size_t warm, last; int64_t rows; } Count;

static void count_read(void *user, const char *stage, uint64_t done, uint64_t total, int64_t rows)
{
    (void)done;
    (void)total;
    Count *k = user;
    const struct mallinfo2 m = mallinfo2();
    if (strcmp(stage, "reading") != 0 || rows < WARM)
        return;
    k->warm = k->warm ? k->warm : m.uordblks + m.hblkhd;
    k->last = m.uordblks + m.hblkhd;
    k->rows = rows;
}

static void test_reading_keeps_nothing(void **state)
{
    (void)state;
    char  *dir = check_dir(), *in = path_join(dir, "in.jsonl"), *out = path_join(dir, "data");
    StrBuf text = { 0 };
    Err    e = { 0 };
    for (int i = 0; i < ROWS; i++)
        strbuf_addf(&text, "{\"prompt\":\"lamp %d of hall %d\",\"completion\":\"it is number %d\"}\n", i, i % 977, i * 7);
    assert_int_equal(file_write_atomic(in, text.p, text.n, &e), 0);
    strbuf_release(&text);
    PrepCfg     cfg = { 0 };
    PrepFacts   facts;
    Count       count = { 0 };
    const char *inputs[] = { in };
    cfg_defaults(prep_options, &cfg);
    free(cfg.out);
    cfg.out = mem_strdup(out);
    cfg.pii = PREP_PII_OFF;
    cfg.quality = QUALITY_OFF;
    cfg.threads = 2;
    if (prep_run(&cfg, inputs, 1, &(PrepHooks){ .user = &count, .progress = count_read }, &facts, &e))
        fail_msg("%s", e.text);
    assert_int_equal(facts.read, ROWS);
    assert_true(count.rows > ROWS / 2);
    assert_true(count.last < count.warm + 4 * (size_t)(count.rows - WARM)); /* a sanitizer's memory is counted as none at all */
    FileList list;
    assert_int_equal(file_list(&list, out, &e), 0);
    for (size_t i = 0; i < list.n; i++)
        assert_true(strcmp(list.name[i], "work") != 0);
    file_list_release(&list);
    cfg_release(prep_options, &cfg);
    free(in);
    free(out);
    check_dir_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_reading_keeps_nothing) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
