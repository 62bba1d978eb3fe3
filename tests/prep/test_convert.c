/* test_convert.c - a record goes out in a shape and comes back the same; what a shape cannot say is refused. */
#include "base/check.h"
#include "prep/convert.h"
#include "prep/import.h"

static const char chat[] = "{\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"},"
                           "{\"role\":\"user\",\"content\":\"r\"},{\"role\":\"assistant\",\"content\":\"b \\u00e4 \\u0000\"}],\"meta\":{\"k\":[1,2.5,null]}}";
static const char tools[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
                            "{\"role\":\"tool\",\"content\":\"t\"},{\"role\":\"assistant\",\"content\":\"a\"}],\"tools\":[{\"type\":\"function\"}]}";
static const char pair[] = "{\"prompt\":\"p\",\"completion\":\"c\",\"meta\":{\"n\":3}}";
static const char one[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}";
static const char text[] = "{\"text\":\"t\"}";
static const char preference[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"chosen\":[{\"role\":\"assistant\",\"content\":\"g\"}],\"rejected\":[{\"role\":\"assistant\",\"content\":\"b\"}]}";
static const char label[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}],\"label\":false}";

static const struct { const char *row; ConvertShape to; const char *back; /* NULL: the same row */ const char *refused; } cases[] = {
    { chat, CONVERT_CANONICAL, NULL, NULL },  { chat, CONVERT_MESSAGES, NULL, NULL },    { chat, CONVERT_ALPACA, NULL, NULL },   { chat, CONVERT_SHAREGPT, NULL, NULL },
    { chat, CONVERT_PAIR, NULL, "is not one question with one answer" },                 { chat, CONVERT_TEXT, NULL, "has questions" },
    { tools, CONVERT_MESSAGES, NULL, NULL },  { tools, CONVERT_ALPACA, NULL, "has tool calls" }, { tools, CONVERT_SHAREGPT, NULL, "has tools" },
    { pair, CONVERT_PAIR, NULL, NULL },       { one, CONVERT_PAIR, "{\"prompt\":\"q\",\"completion\":\"a\"}", NULL },
    { pair, CONVERT_ALPACA, "{\"messages\":[{\"role\":\"user\",\"content\":\"p\"},{\"role\":\"assistant\",\"content\":\"c\"}],\"meta\":{\"n\":3}}", NULL },
    { text, CONVERT_TEXT, NULL, NULL },       { text, CONVERT_MESSAGES, NULL, "is plain text" }, { preference, CONVERT_PREFERENCE, NULL, NULL },
    { preference, CONVERT_MESSAGES, NULL, "is a preference" }, { label, CONVERT_KTO, NULL, NULL }, { one, CONVERT_KTO, NULL, "has no label" },
    { one, CONVERT_PREFERENCE, NULL, "has no rejected answer" },
};

static void test_round_trips(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        Err     e = { 0 };
        Record  r = { 0 }, back = { 0 };
        Json   *out = NULL;
        Import *im = NULL;
        StrBuf  got = { 0 }, note = { 0 };
        assert_int_equal(json_parse(&r.row, str_of(cases[i].row), "row", &e), 0);
        r.kind = (RecordKind)record_kind_of(r.row);
        int rc = convert_row(&r, cases[i].to, &out, &e);
        if (cases[i].refused) {
            assert_int_not_equal(rc, 0);
            check_says(&e, ERR_INPUT, cases[i].refused);
        } else {
            assert_int_equal(rc, 0);
            Json  *read = NULL; /* through text, as another tool would */
            StrBuf file = { 0 };
            json_write(&file, out, false);
            assert_int_equal(json_parse(&read, strbuf_str(&file), "row", &e), 0);
            strbuf_release(&file);
            json_free(out);
            assert_int_equal(import_new(&im, &(ImportOptions){ 0 }, &e), 0);
            if (import_row(im, read, &back, &note, &e))
                fail_msg("case %zu: %s", i, e.text);
            json_write(&got, back.row, false);
            StrBuf want = { 0 };
            json_write(&want, r.row, false);
            assert_string_equal(strbuf_z(&got), cases[i].back ? cases[i].back : strbuf_z(&want));
            strbuf_release(&want);
        }
        import_free(im);
        strbuf_release(&got);
        strbuf_release(&note);
        record_clear(&back);
        record_clear(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_round_trips) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
