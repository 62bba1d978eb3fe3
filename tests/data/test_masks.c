/* test_masks.c - runs the triples of tests/data/masks.test: a setting, a row, and what of it is trained. The file itself tells how to add one. */
#include "base/check.h"
#include "base/map.h"
#include "data/data_int.h"
#include "data/tiny_tok.h"

#include <stdio.h>

typedef struct Named { const char *name; TinyTok tok; bool stories; } Named;
static const Named toks[] = {
    { "bytes", TINY_BYTES, false },   { "nobos", TINY_NOBOS, false },   { "noeos", TINY_NOEOS, false },
    { "chatml", TINY_CHATML, false }, { "gpt2", TINY_GPT2, false },     { "stories", { 0 }, true },
};

typedef struct Case {
    Tok        *tok;
    DataOptions opt;
    char       *separator;
    bool        skipped;
} Case;

static bool set_objective(Case *c, Str v) { (void)v; c->opt.objective = OBJECTIVE_TEXT; return true; }
static bool set_max(Case *c, Str v) { c->opt.max_length = atoi(v.p); return c->opt.max_length > 1; }
static bool set_vocab(Case *c, Str v) { c->opt.vocab = atoi(v.p); return c->opt.vocab > 0; }
static bool set_drop(Case *c, Str v) { (void)v; c->opt.on_long = LONG_DROP; return true; }
static bool set_cut(Case *c, Str v) { (void)v; c->opt.on_long = LONG_CUT_PROMPT; return true; }
static bool set_separator(Case *c, Str v)
{
    Json *j = NULL;
    Err e;
    if (json_parse(&j, v, "separator", &e))
        return false;
    c->separator = mem_strndup(json_str(j).p, json_str(j).n);
    c->opt.separator = c->separator;
    json_free(j);
    return true;
}

static const struct { const char *word; bool (*set)(Case *, Str); } settings[] = {
    { "text", set_objective },        { "max-length=", set_max }, { "vocab=", set_vocab }, { "on-long=drop", set_drop },
    { "on-long=cut-prompt", set_cut }, { "separator=", set_separator },
};

/* "TOKENIZER word word ..." */
static bool read_settings(Case *c, char *line)
{
    char *word = strsep(&line, " ");
    c->opt = (DataOptions){ .max_length = 1000 };
    for (size_t i = 0; i < ARRAY_LEN(toks); i++) {
        Err e;
        if (strcmp(word, toks[i].name))
            continue;
        if (!toks[i].stories)
            c->tok = tiny_tok(toks[i].tok);
        else if (!file_exists(SHARED_DIR "/models/stories260K/tokenizer.json"))
            return c->skipped = true;
        else if (tok_open(&c->tok, SHARED_DIR "/models/stories260K", &e))
            fail_msg("%s", e.text);
    }
    while (c->tok && (word = strsep(&line, " "))) {
        size_t i = 0;
        while (i < ARRAY_LEN(settings) && !str_starts(str_of(word), settings[i].word))
            i++;
        if (i == ARRAY_LEN(settings) || !settings[i].set(c, str_of(word + strlen(settings[i].word))))
            return false;
    }
    return c->tok;
}

/* Examples separated by " | "; a trained token stands in brackets. */
static void render(StrBuf *out, const DataSet *d, const Tok *t)
{
    for (size_t i = 0; i < d->n; i++) {
        const Example *x = &d->ex[i];
        for (int32_t k = 0; k < x->n; k++) {
            Str s = tok_text(t, x->ids[k]);
            strbuf_addz(out, k ? " " : i ? " | " : "");
            strbuf_addf(out, x->train[k] ? "[%.*s]" : "%.*s", (int)s.n, s.p);
        }
    }
}

static void test_masks(void **state)
{
    (void)state;
    FILE *f = fopen(TEST_DIR "/data/masks.test", "r");
    char *text[3] = { 0 };
    size_t cap[3] = { 0 };
    int at = 0, line = 0, n_run = 0, n_skipped = 0, n_wrong = 0;
    assert_non_null(f);
    while (getline(&text[at], &cap[at], f) >= 0) {
        line++;
        text[at][strcspn(text[at], "\n")] = '\0';
        if (at == 0 && (!*text[0] || *text[0] == '#'))
            continue;
        if (++at < 3)
            continue;
        at = 0;
        Case c = { 0 };
        if (!read_settings(&c, text[0]))
            fail_msg("masks.test, line %d: the setting is not understood", line - 2);
        if (c.skipped) {
            n_skipped++;
            continue;
        }
        Err e = { 0 };
        DataSet *d = NULL;
        StrBuf got = { 0 };
        if (dataset_load_memory(&d, &(DataPath){ "in.jsonl", str_of(text[1]) }, 1, c.tok, &c.opt, &e))
            strbuf_addf(&got, "error: %s", e.text);
        else
            render(&got, d, c.tok);
        bool is_error = str_starts(str_of(text[2]), "error: ");
        bool right = is_error ? e.code == ERR_INPUT && strstr(e.text, text[2] + 7) : !strcmp(strbuf_z(&got), text[2]);
        if (!right)
            print_error("masks.test, line %d:\n  row  %s\n  want %s\n  got  %s\n", line, text[1], text[2], strbuf_z(&got));
        n_wrong += !right;
        n_run++;
        strbuf_release(&got);
        dataset_free(d);
        tok_free(c.tok);
        free(c.separator);
    }
    assert_int_equal(at, 0); /* the file ended inside a triple */
    for (size_t i = 0; i < ARRAY_LEN(text); i++)
        free(text[i]);
    fclose(f);
    if (n_skipped)
        print_message("SKIPPED: %d triples need models/stories260K in %s\n", n_skipped, SHARED_DIR);
    print_message("%d triples run\n", n_run);
    assert_true(n_run >= 25);
    assert_int_equal(n_wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_masks) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
