/* fuzz_recipe.c - A recipe that is accepted is written, read again, and must be written the same. */
#include "base/cfg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

typedef struct Options {
    bool    on, off;
    int64_t count, any;
    double  share, real;
    char   *text, *word, *list;
    int     choice;
    bool    help;
} Options;

static const CfgOption table[] = {
    { "on", CFG_BOOL, offsetof(Options, on), "true", 0, 0, NULL, "a switch", false },
    { "off", CFG_BOOL, offsetof(Options, off), NULL, 0, 0, NULL, "another", false },
    { "count", CFG_INT, offsetof(Options, count), "4Ki", 1, 1000000, NULL, "a number with a range", false },
    { "any", CFG_INT, offsetof(Options, any), NULL, 0, 0, NULL, "a number without", false },
    { "share", CFG_REAL, offsetof(Options, share), "0.5", 0, 1, NULL, "a real with a range", false },
    { "real", CFG_REAL, offsetof(Options, real), NULL, 0, 0, NULL, "a real without", false },
    { "text", CFG_STR, offsetof(Options, text), NULL, 0, 0, NULL, "a text", false },
    { "word", CFG_STR, offsetof(Options, word), "none", 0, 0, NULL, "another", false },
    { "list", CFG_LIST, offsetof(Options, list), NULL, 0, 0, NULL, "several texts", false },
    { "choice", CFG_CHOICE, offsetof(Options, choice), "b", 0, 0, "a|b|no", "one of three", false },
    { "help", CFG_BOOL, offsetof(Options, help), NULL, 0, 0, NULL, "not a key", true },
    { 0 },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    Err e;
    Options opts = { 0 }, back = { 0 };
    StrBuf first = { 0 }, second = { 0 };
    cfg_defaults(table, &opts);
    cfg_defaults(table, &back);
    if (cfg_parse_yaml(table, &opts, (Str){ (const char *)data, n }, "input", NULL, &e) == 0) {
        cfg_write_yaml(&first, table, &opts, n % 2 != 0);
        /* quoting may double long texts; a recipe beyond the limit is refused, not misread */
        if (first.n <= CFG_RECIPE_MAX) {
            BUG_ON(cfg_parse_yaml(table, &back, strbuf_str(&first), "again", NULL, &e) != 0);
            cfg_write_yaml(&second, table, &back, n % 2 != 0);
            BUG_ON(!str_eq(strbuf_str(&first), strbuf_str(&second)));
        }
    } else {
        BUG_ON(!str_starts(str_of(e.text), "input"));
    }
    cfg_release(table, &opts);
    cfg_release(table, &back);
    strbuf_release(&first);
    strbuf_release(&second);
    return 0;
}
