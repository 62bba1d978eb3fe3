/* test_dataset.c - kinds of files, errors that name file and line, counting of long rows, splits, previews, and the real data sets. What is
 * trained of one row stands in masks.test. */
#include "base/check.h"
#include "base/log.h"
#include "base/rng.h"
#include "data/data_int.h"
#include "data/tiny_tok.h"

#include <sys/stat.h>

#define STORIES SHARED_DIR "/models/stories260K"
#define PAIR "{\"prompt\":\"x\",\"completion\":\"y\"}\n"
#define CHAT "{\"messages\":[{\"role\":\"assistant\",\"content\":\"x\"}]}\n"
#define TEXT "{\"text\":\"x\"}\n"

static const DataOptions sft = { .max_length = 64 };
static const DataOptions text = { .objective = OBJECTIVE_TEXT, .max_length = 64 };

static DataSet *load(const char *name, Str s, TinyTok tok, const DataOptions *o)
{
    Err e;
    DataSet *d = NULL;
    Tok *t = tiny_tok(tok);
    if (dataset_load_memory(&d, &(DataPath){ name, s }, 1, t, o, &e))
        fail_msg("%s", e.text);
    tok_free(t);
    return d;
}

static void refused(const char *name, Str s, const DataOptions *o, const char *part)
{
    Err e = { 0 };
    DataSet *d = NULL;
    Tok *t = tiny_tok(TINY_BYTES);
    dataset_load_memory(&d, &(DataPath){ name, s }, 1, t, o, &e);
    assert_null(d);
    check_says(&e, ERR_INPUT, part);
    tok_free(t);
}

/* The invariants of dataset.h; vocab 0: not checked. */
static void check_invariants(const DataSet *d, const Tok *t, const DataOptions *o)
{
    int64_t tokens = 0, trained = 0;
    for (size_t i = 0; i < d->n; i++) {
        const Example *x = &d->ex[i];
        int32_t n_train = 0;
        assert_in_range(x->n, 2, o->max_length);
        assert_int_equal(x->train[0], 0);
        for (int32_t k = 0; k < x->n; k++) {
            n_train += x->train[k];
            if (o->vocab && (uint32_t)x->ids[k] >= (uint32_t)o->vocab)
                fail_msg("example %zu: id %d outside", i, x->ids[k]);
            if (k && x->ids[k] == tok_bos(t) && tok_bos(t) != tok_eos(t))
                fail_msg("example %zu: BOS inside", i);
        }
        assert_int_equal(n_train, x->n_train);
        assert_true(n_train > 0);
        tokens += x->n;
        trained += n_train;
    }
    assert_int_equal(d->stats.examples, d->n);
    assert_int_equal(d->stats.tokens, tokens);
    assert_int_equal(d->stats.trained_tokens, trained);
}

static void test_kinds(void **state)
{
    (void)state;
    static const struct { const char *name, *content; DataKind kind; int64_t rows; } files[] = {
        { "a.jsonl", PAIR "\n \r\n" PAIR, DATA_PAIR, 2 },
        { "b.txt", "\xEF\xBB\xBF\n" CHAT, DATA_MESSAGES, 1 },             /* the name decides nothing when the content is clear */
        { "c.json", "[" "{\"text\":\"x\"},\n{\"text\":\"y\"}" "]", DATA_TEXT_ROWS, 2 },
        { "d.json", TEXT, DATA_TEXT_ROWS, 1 },
        { "e.txt", "{ int x; }\n", DATA_RAW_TEXT, 1 },
        { "f", "[1] A note", DATA_RAW_TEXT, 1 },
        { "g.jsonl", "{\"text\":\"x\"}\r\n{\"text\":\"no newline\"}", DATA_TEXT_ROWS, 2 },
    };
    char *dir = check_dir();
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        Err e;
        DataKind kind;
        int64_t rows;
        char *path = path_join(dir, files[i].name);
        assert_int_equal(file_write_atomic(path, files[i].content, strlen(files[i].content), &e), 0);
        if (data_sniff(path, &kind, &rows, &e))
            fail_msg("%s", e.text);
        assert_int_equal(kind, files[i].kind);
        assert_int_equal(data_kind(path, &kind, &e), 0);
        assert_int_equal(kind, files[i].kind);
        assert_int_equal(rows, files[i].rows);
        free(path);
    }
    assert_string_equal(data_kind_name(DATA_PAIR), "prompt and completion");
    assert_string_equal(data_kind_name(DATA_RAW_TEXT), "raw text");
    check_dir_done(dir);
}

static void test_refused_files(void **state)
{
    (void)state;
    static const struct { const char *name; Str content; const char *says; } files[] = {
        { "a.jsonl", { "", 0 }, "a.jsonl: the file is empty" },
        { "a.txt", STR_LIT("\n \r\n\t"), "a.txt: the file is empty" },
        { "a.jsonl", STR_LIT("Once upon a time"), "a.jsonl: the first line is not a JSON object" },
        { "a.jsonl", STR_LIT("[" TEXT "]"), "a.jsonl: the first line is not a JSON object" },
        { "a.json", STR_LIT("{\n \"text\": \"x\"\n}"), "one whole object per line" },
        { "a.json", STR_LIT("[]"), "a.json: the file has no rows" },
        { "a.json", STR_LIT("[1]"), "a.json, row 1: each item of the array must be an object, found a number" },
        { "a.json", STR_LIT("[{\"text\":\"x\"},{\"test\":\"x\"}]"), "a.json, row 2: the row has none of the known shapes" },
        { "a.json", STR_LIT("[{\"text\":\"x\"},"), "a.json, line 1" },
        { "a.jsonl", STR_LIT(TEXT "\n" PAIR), "a.jsonl, line 3: the row has prompt and completion, but the rows before have text" },
        { "a.jsonl", STR_LIT(TEXT "{\"text\":\"x"), "a.jsonl, line 2" },
        { "a.jsonl", STR_LIT(TEXT "{\"text\":\"\xff\"}"), "a.jsonl, line 2" },
        { "a.txt", STR_LIT("line\nline \xff\n"), "a.txt, line 2: the byte 0xff is not valid UTF-8" },
        { "a.txt", STR_LIT("\x7f" "ELF\0\x80"), "not valid UTF-8" },
        { "a.txt", STR_LIT("an <s> inside"), "a.txt: token 5 is <s>" },
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        refused(files[i].name, files[i].content, &text, files[i].says);
    refused("a.txt", STR_LIT("raw"), &sft, "a.txt: this is plain text (raw text) and has no answers to train on; use --objective text");
}

static void test_files_and_provenance(void **state)
{
    (void)state;
    Err e;
    DataSet *d = NULL;
    Tok *t = tiny_tok(TINY_BYTES);
    char *dir = check_dir(), *a = path_join(dir, "a.jsonl"), *b = path_join(dir, "b.jsonl"), hash[SHA256_HEX];
    StrBuf both = { 0 };
    assert_int_equal(file_write_atomic(a, PAIR "\n" PAIR, strlen(PAIR) * 2 + 1, &e), 0);
    assert_int_equal(file_write_atomic(b, CHAT, strlen(CHAT), &e), 0);
    strbuf_addf(&both, "%s,%s", a, b);
    if (dataset_load(&d, strbuf_z(&both), t, &sft, &e))
        fail_msg("%s", e.text);
    assert_int_equal(d->n, 3);
    assert_int_equal(d->n_files, 2);
    assert_string_equal(d->file[0].path, a);
    assert_int_equal(d->file[0].kind, DATA_PAIR);
    assert_int_equal(d->file[1].kind, DATA_MESSAGES);
    assert_int_equal(sha256_file(a, hash, &e), 0);
    assert_string_equal(d->file[0].sha256, hash);
    assert_int_equal(d->ex[1].file, 0);
    assert_int_equal(d->ex[1].line, 3);
    assert_int_equal(d->ex[2].file, 1);
    assert_int_equal(d->ex[2].line, 1);
    assert_int_equal(d->stats.rows, 3);
    assert_int_equal(d->stats.longest, d->ex[2].n);
    check_invariants(d, t, &sft);
    dataset_free(d);

    strbuf_addc(&both, ',');
    assert_int_equal(dataset_load(&d, strbuf_z(&both), t, &sft, &e), ERR_ARG);
    assert_null(d);
    strbuf_addz(&both, dir);
    assert_int_equal(dataset_load(&d, strbuf_z(&both), t, &sft, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, dir);
    assert_int_equal(dataset_load(&d, "no-such-file.jsonl", t, &sft, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "no-such-file.jsonl");
    strbuf_release(&both);
    free(a);
    free(b);
    check_dir_done(dir);
    tok_free(t);
}

static void test_long_rows(void **state)
{
    (void)state;
    static const Str rows = STR_LIT(PAIR "{\"prompt\":\"0123456789\",\"completion\":\"y\"}\n" PAIR "{\"prompt\":\"0123456789012345\",\"completion\":\"y\"}\n");
    DataOptions o = { .max_length = 10 };
    refused("a.jsonl", rows, &o,
            "a.jsonl, line 2: the row is longer than --max-length 10 tokens; 2 of 4 rows are, the longest has 19; raise --max-length, or use --on-long drop");
    o.on_long = LONG_DROP;
    log_stderr(false);
    DataSet *d = load("a.jsonl", rows, TINY_BYTES, &o);
    log_stderr(true);
    assert_int_equal(d->n, 2);
    assert_int_equal(d->stats.rows, 4);
    assert_int_equal(d->stats.dropped_long, 2);
    assert_int_equal(d->stats.cut_long, 0);
    assert_int_equal(d->ex[1].line, 3);
    dataset_free(d);
    o.on_long = LONG_CUT_PROMPT;
    d = load("a.jsonl", rows, TINY_BYTES, &o);
    assert_int_equal(d->n, 4);
    assert_int_equal(d->stats.cut_long, 2);
    assert_int_equal(d->stats.dropped_long, 0);
    assert_int_equal(d->ex[3].n, 10);
    assert_int_equal(d->ex[3].n_train, 2);
    dataset_free(d);
    o.max_length = 19; /* exactly fits */
    o.on_long = LONG_FAIL;
    d = load("a.jsonl", rows, TINY_BYTES, &o);
    assert_int_equal(d->stats.longest, 19);
    dataset_free(d);
}

/* The gate sees what no row can contain as long as encode.c is right. */
static void test_gate(void **state)
{
    (void)state;
    Tok *t = tiny_tok(TINY_BYTES);
    const int32_t bos = tok_bos(t), eos = tok_eos(t), x = 50;
    const struct { size_t n; int32_t ids[5]; uint8_t mask[5]; const char *says; } cases[] = {
        { 4, { bos, x, x, eos }, { 0, 0, 1, 1 }, NULL },
        { 4, { bos, x, x, eos }, { 0, 0, 1, 0 }, "does not end with a trained </s>" },
        { 4, { bos, x, x, x }, { 0, 0, 1, 1 }, "the trained part that ends at token 4" },
        { 5, { bos, x, eos, x, eos }, { 0, 1, 0, 1, 1 }, "the trained part that ends at token 2" },
        { 4, { bos, x, x, eos }, { 0, 0, 0, 0 }, "no token of the row is trained (4 tokens" },
        { 4, { bos, x, x, eos }, { 1, 0, 0, 0 }, "no token of the row is trained" },
        { 5, { bos, bos, x, x, eos }, { 0, 0, 0, 1, 1 }, "two <s> tokens" },
        { 4, { bos, x, 300, eos }, { 0, 0, 1, 1 }, "has id 300, but the model's embedding has only 300 rows" },
        { 0, { 0 }, { 0 }, "no token of the row is trained" },
    };
    const DataOptions o = { .max_length = 64, .vocab = 300 };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        ChatOut row = { 0 };
        Err e = { 0 };
        for (size_t k = 0; k < cases[i].n; k++)
            chat_out_add(&row, cases[i].ids[k], cases[i].mask[k]);
        int rc = encode_check(&row, DATA_PAIR, t, &o, "row", &e);
        if (cases[i].says)
            check_says(&e, ERR_INPUT, cases[i].says);
        else
            assert_int_equal(rc, 0);
        chat_out_release(&row);
    }
    tok_free(t);
}

static void test_raw_text(void **state)
{
    (void)state;
    static const char *const content = "\xEF\xBB\xBF" "Some text, \xC3\xA9 and \xF0\x9F\x98\x80.\nMore of it.\n";
    DataOptions o = text;
    o.max_length = 7;
    Tok *t = tiny_tok(TINY_BYTES);
    DataSet *d = load("a.txt", str_of(content), TINY_BYTES, &o);
    TokIds whole = { 0 };
    StrBuf back = { 0 };
    check_invariants(d, t, &o);
    for (size_t i = 0; i < d->n; i++) { /* neighbours overlap by one; every token but the first is a target once */
        assert_int_equal(d->ex[i].line, i + 1);
        assert_int_equal(d->ex[i].n_train, d->ex[i].n - 1);
        if (i)
            assert_int_equal(d->ex[i].ids[0], whole.p[whole.n - 1]);
        for (int32_t k = i ? 1 : 0; k < d->ex[i].n; k++)
            *vec_push(&whole) = d->ex[i].ids[k];
    }
    assert_int_equal(whole.p[0], tok_bos(t));
    assert_true(whole.p[whole.n - 1] != tok_eos(t));
    tok_decode(t, whole.p, whole.n, true, &back);
    assert_string_equal(strbuf_z(&back), content + 3);
    assert_int_equal(d->stats.rows, 1);
    assert_int_equal(d->stats.trained_tokens, whole.n - 1);
    strbuf_release(&back);
    vec_release(&whole);
    dataset_free(d);
    tok_free(t);
}

static StrBuf many_rows(int n, int step)
{
    StrBuf b = { 0 };
    for (int i = 0; i < n; i++)
        strbuf_addf(&b, "{\"prompt\":\"%d\",\"completion\":\"%d\"}\n", i * step % n, i * step % n + 1);
    return b;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The held-out prompts, as sorted numbers. */
static size_t held_numbers(const DataSet *h, const Tok *t, int64_t *out)
{
    for (size_t i = 0; i < h->n; i++) {
        StrBuf s = { 0 };
        int32_t n = h->ex[i].n - h->ex[i].n_train;
        tok_decode(t, h->ex[i].ids, (size_t)n, true, &s);
        out[i] = atoll(strbuf_z(&s));
        strbuf_release(&s);
    }
    qsort(out, h->n, sizeof *out, by_number);
    return h->n;
}

static void test_split(void **state)
{
    (void)state;
    enum { N = 101 };
    Err e;
    DataSet *held[4] = { 0 };
    Tok *t = tiny_tok(TINY_BYTES);
    static const struct { int step; uint64_t seed; } run[4] = { { 1, 7 }, { 1, 7 }, { 17, 7 }, { 1, 8 } };
    int64_t number[4][N];
    for (size_t i = 0; i < 4; i++) {
        StrBuf rows = many_rows(N, run[i].step);
        DataSet *d = load("a.jsonl", strbuf_str(&rows), TINY_BYTES, &sft);
        assert_int_equal(dataset_split(d, 0.1, run[i].seed, &held[i], &e), 0);
        assert_int_equal(d->n, 91);
        assert_int_equal(held_numbers(held[i], t, number[i]), 10);
        check_invariants(d, t, &sft);
        check_invariants(held[i], t, &sft);
        assert_int_equal(d->stats.rows + held[i]->stats.rows, N);
        bool seen[N + 1] = { false };
        for (size_t k = 0; k < d->n + held[i]->n; k++) { /* each line on exactly one side, in order on both */
            const DataSet *side = k < d->n ? d : held[i];
            size_t at = k < d->n ? k : k - d->n;
            assert_false(seen[side->ex[at].line]);
            seen[side->ex[at].line] = true;
            assert_true(!at || side->ex[at].line > side->ex[at - 1].line);
        }
        dataset_free(d); /* the held-out set lives on its own */
        assert_string_equal(held[i]->file[0].path, "a.jsonl");
        strbuf_release(&rows);
    }
    assert_memory_equal(number[0], number[1], 10 * sizeof(int64_t)); /* same seed, same rows */
    assert_memory_equal(number[0], number[2], 10 * sizeof(int64_t)); /* whatever their order in the file */
    assert_memory_not_equal(number[0], number[3], 10 * sizeof(int64_t));
    for (size_t i = 0; i < 4; i++)
        dataset_free(held[i]);
    tok_free(t);
}

static void test_split_edges(void **state)
{
    (void)state;
    Err e;
    DataSet *h;
    DataOptions o = text;
    static const double wrong[] = { 0, 1, -0.1, 1.5 };

    DataSet *d = load("a.jsonl", STR_LIT(PAIR), TINY_BYTES, &sft);
    assert_int_equal(dataset_split(d, 0.5, 1, &h, &e), ERR_INPUT);
    assert_null(h);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(dataset_split(d, wrong[i], 1, &h, &e), ERR_ARG);
    dataset_free(d);

    StrBuf rows = many_rows(2, 1);
    d = load("a.jsonl", strbuf_str(&rows), TINY_BYTES, &sft);
    assert_int_equal(dataset_split(d, 0.001, 1, &h, &e), 0); /* at least one */
    assert_int_equal(h->n, 1);
    assert_int_equal(d->n, 1);
    dataset_free(h);
    dataset_free(d);
    d = load("a.jsonl", strbuf_str(&rows), TINY_BYTES, &sft);
    assert_int_equal(dataset_split(d, 0.999, 1, &h, &e), 0); /* never all */
    assert_int_equal(h->n, 1);
    dataset_free(h);
    dataset_free(d);
    strbuf_release(&rows);

    for (uint64_t seed = 0; seed < 20; seed++) { /* copies of a row stay together */
        d = load("a.jsonl", STR_LIT("{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"a\"}\n{\"text\":\"b\"}\n{\"text\":\"a\"}"), TINY_BYTES, &text);
        assert_int_equal(dataset_split(d, 0.5, seed, &h, &e), 0);
        for (size_t i = 0; i < d->n; i++)
            for (size_t k = 0; k < h->n; k++)
                assert_true(d->ex[i].ids[1] != h->ex[k].ids[1]);
        dataset_free(h);
        dataset_free(d);
    }
    d = load("a.jsonl", STR_LIT(TEXT TEXT TEXT), TINY_BYTES, &text); /* nothing but copies: split all the same */
    assert_int_equal(dataset_split(d, 0.34, 1, &h, &e), 0);
    assert_int_equal(h->n, 1);
    dataset_free(h);
    dataset_free(d);

    o.max_length = 3; /* pieces of a row stay together; of a raw text the last are held out */
    d = load("a.jsonl", STR_LIT("{\"text\":\"abcdef\"}\n{\"text\":\"uvwxyz\"}\n"), TINY_BYTES, &o);
    assert_int_equal(d->stats.rows, 2);
    assert_int_equal(dataset_split(d, 0.5, 3, &h, &e), 0);
    assert_int_equal(d->stats.rows, 1);
    assert_int_equal(h->stats.rows, 1);
    assert_true(d->n > 1 && h->n > 1);
    dataset_free(h);
    dataset_free(d);
    d = load("a.txt", STR_LIT("0123456789"), TINY_BYTES, &o);
    size_t n = d->n;
    assert_int_equal(dataset_split(d, 0.4, 3, &h, &e), 0);
    assert_int_equal(d->n, n - 2);
    assert_int_equal(h->n, 2);
    assert_int_equal(h->ex[0].line, n - 1);
    assert_int_equal(h->ex[0].ids[0], d->ex[d->n - 1].ids[d->ex[d->n - 1].n - 1]);
    dataset_free(h);
    dataset_free(d);
}

static void test_preview(void **state)
{
    (void)state;
    Tok *t = tiny_tok(TINY_BYTES);
    StrBuf out = { 0 };
    DataSet *d = load("a.jsonl", STR_LIT("{\"prompt\":\"hi\\u001b[2J\\n\",\"completion\":\"\xC3\xA9\"}"), TINY_BYTES, &sft);
    dataset_preview(d, 0, t, false, &out);
    assert_string_equal(strbuf_z(&out), "a.jsonl, line 1: 11 tokens, 3 trained\n<s>hi\\x1b[2J\n[[\xC3\xA9</s>]]\n");
    strbuf_clear(&out);
    dataset_preview(d, 0, t, true, &out);
    assert_string_equal(strbuf_z(&out), "a.jsonl, line 1: 11 tokens, 3 trained\n\x1b[2m<s>hi\\x1b[2J\n\x1b[0m\x1b[1;32m\xC3\xA9</s>\x1b[0m\n");
    dataset_free(d);
    strbuf_clear(&out);
    DataOptions o = text;
    o.max_length = 4;
    d = load("a.txt", STR_LIT("ab\xC3\xA9"), TINY_BYTES, &o); /* <s> ab C3 A9: fits, and the character is whole */
    dataset_preview(d, 0, t, false, &out);
    assert_string_equal(strbuf_z(&out), "a.txt, piece 1: 4 tokens, 3 trained\n<s>[[ab\xC3\xA9]]\n");
    strbuf_release(&out);
    dataset_free(d);
    tok_free(t);
}

/* --- many threads ------------------------------------------------------------------------------------------------------------------------ */

typedef struct Rows { StrBuf file; VEC(size_t) begin; VEC(int64_t) line; StrBuf text; } Rows; /* what stands in which line, noted while it is written */

/* Rows of all lengths, one of them longer than a part, with blank lines and both line ends between. */
static void make_rows(Rows *r, int n)
{
    Rng     rng = rng_at(3, RNG_TEST, 0, 0);
    int64_t line = 1;
    strbuf_addz(&r->file, "\xEF\xBB\xBF");
    for (int i = 0; i < n; i++, line++) {
        const size_t length = i == n / 2 ? 3 * PART_BYTES : 1 + rng_u32(&rng) % 2000;
        for (; rng_u32(&rng) % 7 == 0; line++)
            strbuf_addz(&r->file, rng_u32(&rng) % 2 ? "\n" : " \r\n");
        *vec_push(&r->begin) = r->text.n;
        *vec_push(&r->line) = line;
        for (size_t k = 0; k < length; k++)
            strbuf_addc(&r->text, (char)('a' + rng_u32(&rng) % 26));
        strbuf_addf(&r->file, "{\"text\":\"%.*s\"}%s", (int)length, r->text.p + r->text.n - length, rng_u32(&rng) % 2 ? "\n" : "\r\n");
    }
    *vec_push(&r->begin) = r->text.n;
}

static void test_threads_do_not_matter(void **state)
{
    (void)state;
    DataOptions o = { .objective = OBJECTIVE_TEXT, .max_length = 1 << 20 };
    Rows        r = { 0 };
    make_rows(&r, 1500);
    Tok *t = tiny_tok(TINY_BYTES);
    for (int threads = 0; threads <= 8; threads = threads < 3 ? threads + 1 : threads + 5) {
        o.pool = threads ? pool_new(threads) : NULL;
        DataSet *d = load("a.jsonl", strbuf_str(&r.file), TINY_BYTES, &o);
        check_invariants(d, t, &o);
        assert_int_equal(d->n, r.line.n);
        for (size_t i = 0; i < d->n; i++) {
            Err    e;
            TokIds ids = { 0 };
            assert_int_equal(tok_encode(t, (Str){ r.text.p + r.begin.p[i], r.begin.p[i + 1] - r.begin.p[i] }, TOK_SPECIAL, &ids, &e), 0);
            *vec_push(&ids) = tok_eos(t);
            assert_int_equal(d->ex[i].line, r.line.p[i]);
            assert_int_equal(d->ex[i].n, ids.n);
            assert_memory_equal(d->ex[i].ids, ids.p, ids.n * sizeof *ids.p);
            vec_release(&ids);
        }
        dataset_free(d);
        pool_free(o.pool);
    }
    tok_free(t);
    strbuf_release(&r.file);
    strbuf_release(&r.text);
    vec_release(&r.begin);
    vec_release(&r.line);
}

/* Of several bad rows the first is named, of rows that are too long the first and all. */
static void test_threads_name_the_first(void **state)
{
    (void)state;
    DataOptions o = { .max_length = 64 }, t = { .objective = OBJECTIVE_TEXT, .max_length = 64 };
    StrBuf      bad = { 0 }, longer = { 0 }, array = { 0 };
    for (int i = 1; i <= 20000; i++) {
        strbuf_addz(&bad, i == 12345 || i == 12346 || i == 19999 ? TEXT : PAIR);
        strbuf_addf(&longer, i % 5000 == 77 ? "{\"prompt\":\"%080d\",\"completion\":\"y\"}\n" : PAIR, 0);
        strbuf_addz(&array, i == 1 ? "[{\"text\":\"x\"}" : i == 9000 || i == 9300 ? ",{}" : ",{\"text\":\"x\"}");
    }
    strbuf_addz(&array, "]");
    for (int threads = 1; threads <= 4; threads++) {
        o.pool = t.pool = pool_new(threads);
        refused("a.jsonl", strbuf_str(&bad), &o, "a.jsonl, line 12345: the row has text");
        refused("a.jsonl", strbuf_str(&longer), &o, "a.jsonl, line 77: the row is longer than --max-length 64 tokens; 4 of 20000 rows are");
        refused("a.json", strbuf_str(&array), &t, "a.json, row 9000: the row has none of the known shapes");
        pool_free(o.pool);
    }
    strbuf_release(&bad);
    strbuf_release(&longer);
    strbuf_release(&array);
}

/* --- kept tokens -------------------------------------------------------------------------------------------------------------------------- */

typedef struct Kept { char *dir, *data, *tokens; Tok *tok; DataOptions o; } Kept;

static DataSet *load_kept(const Kept *k)
{
    Err      e = { 0 };
    DataSet *d = NULL;
    if (dataset_load(&d, k->data, k->tok, &k->o, &e))
        fail_msg("%s", e.text);
    return d;
}

static void check_same_sets(const DataSet *a, const DataSet *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(&a->stats, &b->stats, sizeof a->stats);
    assert_int_equal(a->file[0].kind, b->file[0].kind);
    for (size_t i = 0; i < a->n; i++) {
        const Example *x = &a->ex[i], *y = &b->ex[i];
        assert_true(x->n == y->n && x->n_train == y->n_train && x->file == y->file && x->line == y->line);
        assert_memory_equal(x->ids, y->ids, (size_t)x->n * sizeof *x->ids);
        assert_memory_equal(x->train, y->train, (size_t)x->n);
    }
}

static void put(const char *path, Str s)
{
    Err e = { 0 };
    if (file_write_atomic(path, s.p, s.n, &e))
        fail_msg("%s", e.text);
}

/* Loads with what is kept and without; whether it was used or not, the set is the same. Returns the number of files that examples lie in. */
static size_t load_both(Kept *k)
{
    Kept plain = *k;
    plain.o.keep_from = 0;
    DataSet *a = load_kept(k), *b = load_kept(&plain), *h = NULL, *g = NULL;
    Err      e = { 0 };
    const size_t used = a->n_maps;
    check_same_sets(a, b);
    assert_int_equal(b->n_maps, 0);
    assert_int_equal(dataset_split(a, 0.25, 1, &h, &e), 0);
    assert_int_equal(dataset_split(b, 0.25, 1, &g, &e), 0);
    check_same_sets(a, b);
    dataset_free(a);
    check_same_sets(h, g); /* lives on its own */
    dataset_free(b);
    dataset_free(h);
    dataset_free(g);
    return used;
}

static Kept kept_new(const char *name, Str content, DataOptions o)
{
    Kept k = { .dir = check_dir(), .tok = tiny_tok(TINY_BYTES), .o = o };
    StrBuf tokens = { 0 };
    k.data = path_join(k.dir, name);
    strbuf_addf(&tokens, "%s.hone-tokens", k.data);
    k.tokens = strbuf_take(&tokens);
    put(k.data, content);
    log_stderr(false);
    return k;
}

static void kept_free(Kept *k)
{
    log_stderr(true);
    tok_free(k->tok);
    free(k->data);
    free(k->tokens);
    check_dir_done(k->dir);
}

static void test_kept_tokens(void **state)
{
    (void)state;
    static const DataOptions o = { .max_length = 64, .vocab = 300, .keep_from = 1, .on_long = LONG_DROP };
    StrBuf rows = { 0 };
    for (int i = 0; i < 500; i++)
        strbuf_addf(&rows, "{\"prompt\":\"%0*d\",\"completion\":\"y\"}\n", i % 100 == 7 ? 90 : 1 + i % 40, i);
    Kept        k = kept_new("a.jsonl", strbuf_str(&rows), o);
    struct stat st;
    assert_int_equal(load_both(&k), 0);
    assert_int_equal(stat(k.tokens, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(load_both(&k), 1);
    /* whatever shapes rows makes them be made anew, and once more there for the next time */
    const struct { const char *what; DataOptions o; } others[] = {
        { "length",    { .max_length = 63, .vocab = 300, .keep_from = 1, .on_long = LONG_DROP } },
        { "policy",    { .max_length = 63, .vocab = 300, .keep_from = 1, .on_long = LONG_CUT_PROMPT } },
        { "objective", { .max_length = 63, .vocab = 300, .keep_from = 1, .objective = OBJECTIVE_TEXT } },
        { "separator", { .max_length = 63, .vocab = 300, .keep_from = 1, .objective = OBJECTIVE_TEXT, .separator = "  " } },
        { "vocab",     { .max_length = 63, .vocab = 301, .keep_from = 1, .objective = OBJECTIVE_TEXT, .separator = "  " } },
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        k.o = others[i].o;
        print_message("%s\n", others[i].what);
        assert_int_equal(load_both(&k), 0);
        assert_int_equal(load_both(&k), 1);
    }
    tok_free(k.tok);
    k.tok = tiny_tok((TinyTok){ .bos = "<s>", .eos = "</s>" });
    assert_int_equal(load_both(&k), 0);
    assert_int_equal(load_both(&k), 1);
    strbuf_addz(&rows, PAIR);
    put(k.data, strbuf_str(&rows));
    assert_int_equal(load_both(&k), 0);
    assert_int_equal(load_both(&k), 1);
    k.o.keep_from = rows.n + 1; /* too small to be kept: nor read */
    assert_int_equal(load_both(&k), 0);
    kept_free(&k);
    strbuf_release(&rows);
}

/* Texts and arrays are kept as well; what is refused is not. */
static void test_kept_kinds(void **state)
{
    (void)state;
    Kept k = kept_new("a.txt", STR_LIT("some text that is cut into pieces"), (DataOptions){ .objective = OBJECTIVE_TEXT, .max_length = 8, .vocab = 300, .keep_from = 1 });
    assert_int_equal(load_both(&k), 0);
    assert_int_equal(load_both(&k), 1);
    kept_free(&k);
    k = kept_new("a.json", STR_LIT("[{\"text\":\"x\"},{\"text\":\"y\"}]"), (DataOptions){ .objective = OBJECTIVE_TEXT, .max_length = 8, .vocab = 300, .keep_from = 1 });
    assert_int_equal(load_both(&k), 0);
    assert_int_equal(load_both(&k), 1);
    kept_free(&k);
    k = kept_new("a.jsonl", STR_LIT(PAIR TEXT), (DataOptions){ .max_length = 64, .vocab = 300, .keep_from = 1 });
    Err      e = { 0 };
    DataSet *d = NULL;
    assert_int_equal(dataset_load(&d, k.data, k.tok, &k.o, &e), ERR_INPUT);
    assert_false(file_exists(k.tokens));
    put(k.data, STR_LIT(PAIR "{\"prompt\":\"0123456789\",\"completion\":\"y\"}\n"));
    k.o.max_length = 8;
    for (int i = 0; i < 2; i++) { /* the second time it is known without looking at the rows again */
        assert_int_equal(dataset_load(&d, k.data, k.tok, &k.o, &e), ERR_INPUT);
        check_says(&e, ERR_INPUT, "a.jsonl, line 2: the row is longer than --max-length 8 tokens; 1 of 2 rows are");
    }
    kept_free(&k);
}

/* One byte changed anywhere, or the end cut off at any place: the data is read anew, and what is kept is whole again. */
static void test_damaged_tokens(void **state)
{
    (void)state;
    Kept   k = kept_new("a.jsonl", STR_LIT(PAIR PAIR PAIR PAIR), (DataOptions){ .max_length = 64, .vocab = 300, .keep_from = 1 });
    Err    e = { 0 };
    char  *good = NULL;
    size_t n;
    assert_int_equal(load_both(&k), 0);
    assert_int_equal(file_read_text(k.tokens, &good, &n, &e), 0);
    for (size_t i = 0; i < n; i++) {
        good[i] ^= 1;
        put(k.tokens, (Str){ good, n });
        assert_int_equal(load_both(&k), 0);
        good[i] ^= 1;
        put(k.tokens, (Str){ good, i });
        assert_int_equal(load_both(&k), 0);
        assert_int_equal(load_both(&k), 1);
    }
    free(good);
    assert_int_equal(dir_remove(k.tokens, &e), 0);
    assert_int_equal(dir_make(k.tokens, &e), 0); /* cannot be written: done without */
    assert_int_equal(load_both(&k), 0);
    kept_free(&k);
}

static Tok *stories(void)
{
    Err e;
    Tok *t = NULL;
    if (!file_exists(STORIES "/tokenizer.json"))
        print_message("SKIPPED: this test needs models/stories260K in %s\n", SHARED_DIR);
    else if (tok_open(&t, STORIES, &e))
        fail_msg("%s", e.text);
    return t;
}

static void test_real_pairs(void **state)
{
    (void)state;
    static const char path[] = SHARED_DIR "/data/nl2bash/nl2bash.jsonl";
    Tok *t = stories();
    Err e;
    DataSet *d;
    const DataOptions o = { .max_length = 2048, .separator = "\n", .vocab = 512 };
    if (!t || !file_exists(path)) {
        print_message("SKIPPED: this test needs %s\n", path);
        tok_free(t);
        return;
    }
    if (dataset_load(&d, path, t, &o, &e))
        fail_msg("%s", e.text);
    check_invariants(d, t, &o);
    assert_true(d->n > 9000);
    for (size_t i = 0; i < d->n; i++) {
        const Example *x = &d->ex[i];
        assert_int_equal(x->ids[0], tok_bos(t));
        assert_int_equal(x->ids[x->n - 1], tok_eos(t));
        assert_int_equal(x->train[x->n - 1], 1);
    }
    dataset_free(d);
    tok_free(t);
}

static void test_real_text(void **state)
{
    (void)state;
    static const char path[] = SHARED_DIR "/data/tinyshakespeare/input.txt";
    Tok *t = stories();
    Err e;
    DataSet *d;
    const DataOptions o = { .objective = OBJECTIVE_TEXT, .max_length = 256, .vocab = 512 };
    TokIds whole = { 0 };
    char *file = NULL;
    size_t n = 0, at = 0;
    if (!t || !file_exists(path)) {
        print_message("SKIPPED: this test needs %s\n", path);
        tok_free(t);
        return;
    }
    if (dataset_load(&d, path, t, &o, &e) || file_read_text(path, &file, &n, &e) || tok_encode(t, (Str){ file, n }, TOK_SPECIAL, &whole, &e))
        fail_msg("%s", e.text);
    check_invariants(d, t, &o);
    for (size_t i = 0; i < d->n; i++, at--)
        for (int32_t k = 0; k < d->ex[i].n; k++)
            assert_int_equal(d->ex[i].ids[k], whole.p[at++]);
    assert_int_equal(at + 1, whole.n);
    free(file);
    vec_release(&whole);
    dataset_free(d);
    tok_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),     cmocka_unit_test(test_refused_files), cmocka_unit_test(test_files_and_provenance),
        cmocka_unit_test(test_long_rows), cmocka_unit_test(test_gate),          cmocka_unit_test(test_raw_text),
        cmocka_unit_test(test_split),     cmocka_unit_test(test_split_edges),   cmocka_unit_test(test_preview),
        cmocka_unit_test(test_threads_do_not_matter), cmocka_unit_test(test_threads_name_the_first),
        cmocka_unit_test(test_kept_tokens), cmocka_unit_test(test_kept_kinds), cmocka_unit_test(test_damaged_tokens),
        cmocka_unit_test(test_real_pairs), cmocka_unit_test(test_real_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
