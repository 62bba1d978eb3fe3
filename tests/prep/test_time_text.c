/* test_time_text.c - times in the forms of exports; expected values from Python's datetime. */
#include "base/check.h"
#include "prep/time_text.h"

static void test_forms(void **state)
{
    (void)state;
    static const struct { const char *text; int64_t want; } good[] = {
        { "1970-01-01", 0 },                         { "2026-11-28", 1795824000 },              { "2026-11-28T09:30:00Z", 1795858200 },
        { "2026-11-28T09:30:00+01:00", 1795854600 }, { "2026-11-28 09:30", 1795858200 },        { "2026-11-28T09:30:00.250-0500", 1795876200 },
        { "2000-02-29", 951782400 },                 { "1969-12-31T23:59:59Z", -1 },            { "28.11.2026", 1795824000 },
        { "2026/11/28", 1795824000 },                { "1795858200", 1795858200 },              { "1795858200.123", 1795858200 },
        { "1795858200123", 1795858200 },             { "17", 17 },                              { "28.11.2026 09:30:00", 1795858200 },
    };
    static const char *const bad[] = { "", "yesterday", "2026-13-01", "2026-11-28T25:00", "2026-11-28T09:30:00+x", "28.11.", "2026-11-28x" };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t got = 0;
        if (!time_from_text(str_of(good[i].text), &got) || got != good[i].want)
            fail_msg("%s: got %lld, expected %lld", good[i].text, (long long)got, (long long)good[i].want);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t got;
        if (time_from_text(str_of(bad[i]), &got))
            fail_msg("%s is no time", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_forms) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
