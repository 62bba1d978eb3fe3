/* test_cfg.c - one table with every kind, through the command line, a recipe and back, and every sentence a user may meet on the way. */
#include "base/check.h"

#include "base/cfg.h"
#include "base/mem.h"

#include <float.h>
#include <stdio.h>

typedef struct Options {
    bool    packing, verbose;
    int64_t batch_tokens, steps, seed;
    double  lr, any;
    char   *model, *note, *data;
    int     method, optimizer;
    bool    help;
} Options;

static const CfgOption table[] = {
    { "model",        CFG_STR,    offsetof(Options, model),        NULL,    0, 0,        "DIR",       "folder of the model to start from", false },
    { "note",         CFG_STR,    offsetof(Options, note),         "none",  0, 0,        NULL,        "a remark kept with the run", false },
    { "data",         CFG_LIST,   offsetof(Options, data),         NULL,    0, 0,        "FILE[,FILE]", "files to learn from", false },
    { "method",       CFG_CHOICE, offsetof(Options, method),       "lora",  0, 0,        "full|lora|no", "which weights change", false },
    { "optimizer",    CFG_CHOICE, offsetof(Options, optimizer),    NULL,    0, 0,        "adamw|sgd", "how they change", false },
    { "lr",           CFG_REAL,   offsetof(Options, lr),           "2e-4",  0, 1,        NULL,        "peak learning rate", false },
    { "any",          CFG_REAL,   offsetof(Options, any),          NULL,    0, 0,        NULL,        "any number", false },
    { "steps",        CFG_INT,    offsetof(Options, steps),        "100",   1, 1e15,     NULL,        "optimiser steps", false },
    { "seed",         CFG_INT,    offsetof(Options, seed),         NULL,    0, 0,        NULL,        "start of all random numbers", false },
    { "batch-tokens", CFG_INT,    offsetof(Options, batch_tokens), "4Ki",   1, 1048576,  NULL,        "tokens per step, counted over all rows of the batch and all "
      "accumulated parts, without the padding at the end of each row", false },
    { "packing",      CFG_BOOL,   offsetof(Options, packing),      "true",  0, 0,        NULL,        "several short texts in one row", false },
    { "verbose",      CFG_BOOL,   offsetof(Options, verbose),      NULL,    0, 0,        NULL,        "say more", false },
    { "help",         CFG_BOOL,   offsetof(Options, help),         NULL,    0, 0,        NULL,        "show this", true },
    { 0 },
};

static Options opts;
static Err     e;

static int setup(void **state)
{
    (void)state;
    cfg_defaults(table, &opts);
    memset(&e, 0, sizeof e);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cfg_release(table, &opts);
    assert_null(opts.model);
    return 0;
}

/* Splits at blanks: "prog --lr 1". */
static int args(const char *line, const char **pos, int max_pos, int *n_pos, bool *given)
{
    static char text[512];
    char *argv[32], *rest = text;
    int argc = 0;
    snprintf(text, sizeof text, "%s", line);
    for (char *word; (word = strsep(&rest, " ")) != NULL;)
        argv[argc++] = word;
    return cfg_parse_args(table, &opts, argc, argv, pos, max_pos, n_pos, given, &e);
}

static int recipe(const char *text)
{
    return cfg_parse_yaml(table, &opts, str_of(text), "r.yaml", NULL, &e);
}

static void test_defaults(void **state)
{
    (void)state;
    check_text(opts.model, "");
    check_text(opts.note, "none");
    assert_int_equal(opts.method, 1);
    assert_int_equal(opts.optimizer, 0);
    assert_true(opts.lr == 2e-4 && opts.any == 0);
    assert_int_equal(opts.batch_tokens, 4096);
    assert_true(opts.packing && !opts.verbose);
    assert_int_equal(args("p --model x --seed 3 --verbose", NULL, 0, NULL, NULL), 0);
    cfg_defaults(table, &opts); /* once more, over what was filled */
    check_text(opts.model, "");
    assert_true(opts.seed == 0 && !opts.verbose);
}

static void test_args(void **state)
{
    (void)state;
    const char *pos[3];
    int n = -1;
    bool given[ARRAY_LEN(table)] = { false };
    assert_int_equal(args("p one --lr 1e-3 --steps=4k --no-packing --verbose --method full - --seed -7 --model= --batch_tokens 2Ki -- --three", pos, 3,
                          &n, given),
                     0);
    assert_int_equal(n, 3);
    check_text(pos[0], "one");
    check_text(pos[1], "-");
    check_text(pos[2], "--three");
    assert_true(opts.lr == 1e-3 && opts.steps == 4000 && !opts.packing && opts.verbose && opts.method == 0 && opts.seed == -7);
    assert_int_equal(opts.batch_tokens, 2048);
    check_text(opts.model, "");
    for (size_t i = 0; table[i].name; i++)
        assert_int_equal(given[i], strstr("lr steps packing verbose method seed model batch-tokens", table[i].name) != NULL);
    assert_int_equal(args("p --verbose=false --packing=Yes --data a,b --data c", NULL, 0, NULL, NULL), 0);
    assert_true(!opts.verbose && opts.packing);
    check_text(opts.data, "c");
}

static void test_args_refused(void **state)
{
    (void)state;
    static const struct { const char *line, *says; } rows[] = {
        { "p --lr 1e9", "--lr: 1e9 is outside 0 to 1" },
        { "p --lr -1e-9", "--lr: -1e-9 is outside 0 to 1" },
        { "p --batch-tokens 2Mi", "--batch-tokens: 2Mi is outside 1 to 1048576" },
        { "p --lr 1e-3x", "--lr: \"1e-3x\" is not a number" },
        { "p --lr 0x1p3", "is not a number" },
        { "p --lr nan", "is not a number" },
        { "p --any inf", "is not a number" },
        { "p --any 1e999", "is not a number" },
        { "p --any=", "--any: \"\" is not a number" },
        { "p --any 1,5", "is not a number" },
        { "p --steps 10.5", "--steps: \"10.5\" is not a whole number" },
        { "p --steps 1e3", "is not a whole number" },
        { "p --steps 4K", "is not a whole number" },
        { "p --steps 4kk", "is not a whole number" },
        { "p --steps k", "is not a whole number" },
        { "p --seed 9223372036854775808", "is not a whole number" },
        { "p --seed 9223372036854775807k", "is not a whole number" },
        { "p --seed -", "is not a whole number" },
        { "p --method qlora", "--method: \"qlora\" is not one of full, lora, no" },
        { "p --method lor", "is not one of" },
        { "p --method lora|no", "is not one of" },
        { "p --verbose=maybe", "--verbose: \"maybe\" is neither true nor false" },
        { "p --no-packing=true", "--no-packing takes no value" },
        { "p --no-lr", "--no-lr: there is no such option" },
        { "p --stesp 3", "--stesp: there is no such option (did you mean --steps?)" },
        { "p --batch 3", "--batch: there is no such option (did you mean --batch-tokens?)" },
        { "p --modle x", "(did you mean --model?)" },
        { "p --hepl", "(did you mean --help?)" },
        { "p --=3", "--: there is no such option" },
        { "p --lr", "--lr: a value is missing" },
        { "p --lr --steps 3", "--lr: a value is missing" },
        { "p -v", "-v: options begin with two dashes" },
        { "p word", "word: this word is one too many" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(args(rows[i].line, NULL, 0, NULL, NULL), ERR_ARG);
        check_says(&e, ERR_ARG, rows[i].says);
    }
    assert_true(opts.lr == 2e-4 && opts.steps == 100 && opts.method == 1); /* nothing was half taken */
    args("p --zzzzzz", NULL, 0, NULL, NULL);
    assert_null(strstr(e.text, "did you mean"));
    StrBuf b = { .max = CFG_VALUE_MAX + 100 };
    for (size_t i = 0; i <= CFG_VALUE_MAX; i++)
        strbuf_addc(&b, 'x');
    assert_int_equal(cfg_set(table, &opts, STR_LIT("note"), strbuf_str(&b), "--note", &e), ERR_ARG);
    check_says(&e, ERR_ARG, "--note: 16385 bytes are more than the 16384");
    assert_int_equal(cfg_set(table, &opts, STR_LIT("note"), STR_LIT("a\0b"), "--note", &e), ERR_ARG);
    assert_int_equal(cfg_set(table, &opts, STR_LIT("note"), STR_LIT("a\xFF"), "--note", &e), ERR_ARG);
    strbuf_release(&b);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct { const char *text; int64_t v; } rows[] = {
        { "0", 0 }, { "-0", 0 }, { "+5", 5 }, { "007", 7 }, { "9223372036854775807", INT64_MAX }, { "-9223372036854775808", INT64_MIN },
        { "3k", 3000 }, { "3Ki", 3072 }, { "-2M", -2000000 }, { "2Mi", 2097152 }, { "1G", 1000000000 }, { "8Gi", (int64_t)8 << 30 },
        { "3kB", 3000 }, { "3KB", 3000 }, { "3KiB", 3072 }, { "2MB", 2000000 }, { "2MiB", 2097152 }, { "5GB", 5000000000 }, { "8GiB", (int64_t)8 << 30 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(cfg_set(table, &opts, STR_LIT("seed"), str_of(rows[i].text), "--seed", &e), 0);
        assert_true(opts.seed == rows[i].v);
    }
    assert_int_equal(cfg_set(table, &opts, STR_LIT("lr"), STR_LIT("1"), "--lr", &e), 0); /* the ends of a range belong to it */
    assert_int_equal(cfg_set(table, &opts, STR_LIT("lr"), STR_LIT("0"), "--lr", &e), 0);
    assert_int_equal(cfg_set(table, &opts, STR_LIT("steps"), STR_LIT("0"), "recipe.yaml, line 3", &e), ERR_ARG);
    assert_string_equal(e.text, "recipe.yaml, line 3: steps: 0 is outside 1 to 1e+15");
    assert_int_equal(cfg_set(table, &opts, STR_LIT("step"), STR_LIT("0"), "recipe.yaml, line 3", &e), ERR_ARG);
    assert_string_equal(e.text, "recipe.yaml, line 3: there is no option named \"step\" (did you mean steps?)");
}

static void test_recipe(void **state)
{
    (void)state;
    assert_int_equal(recipe("# a comment\nmodel: no\nnote: 'it''s: 1e3'   # more\nbatch_tokens: 8k\nlr: 1e-5\npacking: no\nverbose: ON\nmethod: no\n"
                            "data:\n  - a.jsonl\n  - \"b c.jsonl\"\nseed: \"-3\"\n"),
                     0);
    check_text(opts.model, "no"); /* a text stays what was written */
    check_text(opts.note, "it's: 1e3");
    check_text(opts.data, "a.jsonl,b c.jsonl");
    assert_true(opts.batch_tokens == 8000 && opts.lr == 1e-5 && !opts.packing && opts.verbose && opts.method == 2 && opts.seed == -3);
    assert_int_equal(recipe("\xEF\xBB\xBFmodel: ~\nnote: |\n  two\n  lines\ndata: x,y\r\n"), 0);
    check_text(opts.model, "~");
    check_text(opts.note, "two\nlines\n");
    check_text(opts.data, "x,y");
    assert_int_equal(recipe("{model: a, data: [b, c], note: }"), 0);
    check_text(opts.data, "b,c");
    check_text(opts.note, "");
    assert_int_equal(recipe(""), 0);
    assert_int_equal(recipe("# nothing\n"), 0);
    assert_int_equal(recipe("---\nseed: 5\n...\n"), 0);
    assert_int_equal(opts.seed, 5);
}

static void test_recipe_refused(void **state)
{
    (void)state;
    static const struct { const char *text, *says; } rows[] = {
        { "model: a\nlr: 3\n", "r.yaml, line 2: lr: 3 is outside 0 to 1" },
        { "\n\nlearning: 3\n", "r.yaml, line 3: there is no option named \"learning\"" },
        { "lrr: 3\n", "r.yaml, line 1: there is no option named \"lrr\" (did you mean lr?)" },
        { "help: true\n", "there is no option named \"help\"" },
        { "lr: 1\nseed: 2\nlr: 0\n", "r.yaml, line 3: lr: this option stands in the recipe twice" },
        { "batch-tokens: 1\nbatch_tokens: 2\n", "line 2: batch-tokens: this option stands in the recipe twice" },
        { "lr: [1, 0]\n", "r.yaml, line 1: expected a single value" },
        { "model:\n  a: b\n", "line 2: expected a single value" },
        { "data: {a: b}\n", "expected a text or a list of texts" },
        { "data: [a, [b]]\n", "a list inside a recipe holds plain values only" },
        { "data: ['a,b']\n", "an item of a list must not contain a comma" },
        { "- a\n- b\n", "r.yaml, line 1: a recipe consists of lines" },
        { "just text\n", "a recipe consists of lines" },
        { "? [a]\n: b\n", "expected the name of an option" },
        { "model: &x a\nnote: *x\n", "line 1: a recipe has no anchors" },
        { "note: *x\n", "no anchors" },
        { "note: !!str 3\n", "tags (!)" },
        { "<<: {model: a}\n", "there is no option named \"<<\"" },
        { "model: a\n---\nmodel: b\n", "line 2: a second document begins here" },
        { "model: \"a\n", "not readable YAML" },
        { "model: a\n\tlr: 1\n", "r.yaml, line" },
        { "model: a\n  lr: b: c\n", "line 2: this is not readable YAML" },
        { "model: a\nnote: \x01\n", "r.yaml, line 2: this is not readable YAML: control characters are not allowed" },
        { "model: a\nnote: \xFF\n", "r.yaml, line 2: the text is not valid UTF-8" },
        { "note: \"\\0\"\n", "note: the text is not valid UTF-8 or contains a zero byte" },
        { "verbose: 1\n", "\"1\" is neither true nor false" },
        { "steps:\n", "\"\" is not a whole number" },
        { "%YAML 7.0\n---\nmodel: a\n", "r.yaml, line" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(recipe(rows[i].text), ERR_ARG);
        check_says(&e, ERR_ARG, rows[i].says);
    }
    StrBuf b = { 0 };
    while (b.n <= CFG_RECIPE_MAX)
        strbuf_addz(&b, "[[[[[[[[");
    assert_int_equal(recipe(strbuf_z(&b)), ERR_ARG);
    check_says(&e, ERR_ARG, "more than the 65536 that a recipe may have");
    b.n = CFG_RECIPE_MAX;
    assert_int_equal(cfg_parse_yaml(table, &opts, strbuf_str(&b), "deep", NULL, &e), ERR_ARG);
    strbuf_release(&b);
}

static void test_given_wins(void **state)
{
    (void)state;
    bool given[ARRAY_LEN(table)] = { false };
    assert_int_equal(args("p --lr 0.5 --no-packing", NULL, 0, NULL, given), 0);
    assert_int_equal(cfg_parse_yaml(table, &opts, STR_LIT("lr: 0.1\npacking: true\nseed: 9\n"), "r", given, &e), 0);
    assert_true(opts.lr == 0.5 && !opts.packing && opts.seed == 9);
}

static void check_round_trip(void)
{
    for (int help = 0; help < 2; help++) {
        StrBuf first = { 0 }, second = { 0 };
        Options back = { 0 };
        cfg_defaults(table, &back);
        cfg_write_yaml(&first, table, &opts, help != 0);
        if (cfg_parse_yaml(table, &back, strbuf_str(&first), "written", NULL, &e))
            fail_msg("%s in:\n%s", e.text, strbuf_z(&first));
        check_text(back.model, opts.model);
        check_text(back.note, opts.note);
        check_text(back.data, opts.data);
        assert_true(memcmp(&back.lr, &opts.lr, sizeof back.lr) == 0 && memcmp(&back.any, &opts.any, sizeof back.any) == 0);
        assert_true(back.steps == opts.steps && back.seed == opts.seed && back.batch_tokens == opts.batch_tokens);
        assert_true(back.method == opts.method && back.packing == opts.packing && back.verbose == opts.verbose);
        cfg_write_yaml(&second, table, &back, help != 0);
        check_text(strbuf_z(&second), strbuf_z(&first));
        cfg_release(table, &back);
        strbuf_release(&first);
        strbuf_release(&second);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", " ", "no", "~", "null", "1e3", "- a", "a: b", "#x", "'", "\"", "\\", "\\n", "a\nb\n", "\t", "\x01\x1F\x7F", "%", "@", "`", "[a", "{a", "&a", "*a",
        "!a", "| ", "> ", "---", "...", "\xC2\x85\xC2\xA0\xE2\x80\xA8\xE2\x80\xA9", "\xEF\xBB\xBF", "\xEF\xBF\xBE\xEF\xBF\xBF", "\xF0\x9F\x98\x80",
        "\xF4\x8F\xBF\xBF", "ends with space ", "two  spaces", ",", ",,", "a,", ",a", "a,b c,d",
    };
    const double reals[] = { 0.1, -0.0, DBL_MIN, DBL_MAX, DBL_TRUE_MIN, 1.0 / 3, 1e22 };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_int_equal(cfg_set(table, &opts, STR_LIT("note"), str_of(texts[i]), "--note", &e), 0);
        assert_int_equal(cfg_set(table, &opts, STR_LIT("data"), str_of(texts[i]), "--data", &e), 0);
        check_round_trip();
    }
    for (size_t i = 0; i < ARRAY_LEN(reals); i++) {
        opts.any = reals[i];
        opts.seed = i % 2 ? INT64_MIN : INT64_MAX;
        check_round_trip();
    }
    StrBuf b = { 0 };
    cfg_write_yaml(&b, table, &opts, false);
    assert_null(strstr(b.p, "help"));
    assert_non_null(strstr(b.p, "lr: 0.0002\n"));
    assert_non_null(strstr(b.p, "method: lora\n"));
    assert_non_null(strstr(b.p, "data: [\"a\", \"b c\", \"d\"]\n"));
    strbuf_release(&b);
}

static void test_help(void **state)
{
    (void)state;
    StrBuf b = { 0 };
    cfg_write_help(&b, table);
    for (const char *line = b.p, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        assert_true(end - line <= 100);
        assert_true(end > line && end[-1] != ' ');
    }
    assert_non_null(strstr(b.p, "  --lr X                 peak learning rate (0 to 1, default 2e-4)\n"));
    assert_non_null(strstr(b.p, "  --[no-]packing         several"));
    assert_non_null(strstr(b.p, "  --steps N              optimiser steps (at least 1, default 100)\n"));
    assert_non_null(strstr(b.p, "  --method full|lora|no  which"));
    assert_non_null(strstr(b.p, "  --help "));
    strbuf_release(&b);
    assert_int_equal(cfg_suggest(&b, table, STR_LIT("mehtod")), 1);
    assert_string_equal(strbuf_z(&b), " (did you mean method?)");
    strbuf_clear(&b);
    assert_int_equal(cfg_suggest(&b, table, STR_LIT("wholly-different")), 0);
    assert_int_equal(b.n, 0);
    strbuf_release(&b);
}

static void test_list(void **state)
{
    (void)state;
    const char *rest = " a, b c ,,d , ";
    const char *want[] = { "a", "b c", "d" };
    Str item;
    size_t n = 0;
    for (; cfg_list_each(&rest, &item); n++)
        assert_true(n < 3 && str_eqz(item, want[n]));
    assert_int_equal(n, 3);
    rest = "";
    assert_false(cfg_list_each(&rest, &item));
    assert_false(cfg_list_each(&rest, &item));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_args, setup, teardown),
        cmocka_unit_test_setup_teardown(test_args_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recipe, setup, teardown),
        cmocka_unit_test_setup_teardown(test_recipe_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_given_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_help, setup, teardown),
        cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
