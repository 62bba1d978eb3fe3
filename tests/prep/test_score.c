/* test_score.c - losses, both IFDs and pooled embeddings of a few rows against PyTorch's (tools/golden_scores.py), on ref and cpu; and what a pipeline
 * relies on: order, resuming, stopping, packing and threads that change nothing, errors that name the row. */
#include "golden/golden.h"

#include "base/check.h"
#include "prep/embed.h"

#define TOL 1e-5

static Backend *be;

typedef struct Case { const Json *json; Model *m; Tok *tok; Json *row[64]; ScoreRows rows; int64_t max_length; } Case;

static Json *golden;

static Case case_open(size_t i)
{
    Case   c = { .json = json_at(golden, i) };
    Err    e = { 0 };
    char   dir[512];
    Json  *rows = json_get(c.json, "rows");
    snprintf(dir, sizeof dir, "%s/golden/models/%s", TEST_DIR, json_str(json_get(c.json, "model")).p);
    must(model_open(&c.m, dir, be, NULL, &e));
    must(tok_open_json(&c.tok, json_get(c.json, "tokenizer"), json_get(c.json, "tokenizer_config"), "golden tokenizer", &e));
    for (size_t k = 0; k < json_len(rows); k++)
        c.row[k] = json_get(json_at(rows, k), "row");
    c.rows = (ScoreRows){ .n = json_len(rows), .name = "rows", .tok = c.tok, .separator = json_str(json_get(c.json, "separator")).p };
    c.max_length = json_int(json_get(c.json, "max_length"));
    return c;
}

static ScoreRows rows_of(const Case *c)
{
    ScoreRows r = c->rows;
    r.row = c->row;
    return r;
}

static void case_close(Case *c)
{
    tok_free(c->tok);
    model_close(c->m);
}

static void check_number(const Json *want, const char *key, double got, size_t i, size_t k)
{
    const Json *w = json_get(want, key);
    if (!w || json_kind(w) == JSON_NULL) {
        if (!isnan(got))
            fail_msg("case %zu, row %zu: %s is %.9g, PyTorch has none", i, k, key, got);
        return;
    }
    if (!(fabs(got - json_num(w)) <= TOL * fabs(json_num(w))))
        fail_msg("case %zu, row %zu: %s is %.9g, PyTorch says %.9g", i, k, key, got, json_num(w));
}

static void test_equals_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < json_len(golden); i++) {
        Case            c = case_open(i);
        const ScoreRows rows = rows_of(&c);
        RowScore        s[64];
        ChatOut         text = { 0 };
        Err             e = { 0 };
        must(score_rows(c.m, &rows, &(ScoreOptions){ .max_length = c.max_length }, s, &e));
        for (size_t k = 0; k < rows.n; k++) {
            const Json *want = json_at(json_get(c.json, "rows"), k), *ids = json_get(want, "ids"), *mask = json_get(want, "mask");
            must(score_row_encode(&rows, k, (int32_t)c.m->cfg.vocab, &text, &e));
            assert_int_equal(text.ids.n, json_len(ids));
            for (size_t t = 0; t < text.ids.n; t++)
                if (text.ids.p[t] != json_int(json_at(ids, t)) || text.mask.p[t] != json_int(json_at(mask, t)))
                    fail_msg("case %zu, row %zu: token %zu differs", i, k, t);
            check_number(want, "loss", s[k].loss, i, k);
            check_number(want, "given", s[k].given, i, k);
            check_number(want, "alone", s[k].alone, i, k);
            check_number(want, "ifd_loss", s[k].ifd_loss, i, k);
            check_number(want, "ifd_perplexity", s[k].ifd_perplexity, i, k);
            assert_int_equal(s[k].scored, json_int(json_get(want, "scored")));
            assert_int_equal(s[k].compared, json_int(json_get(want, "compared")));
            assert_int_equal(s[k].cut, json_bool(json_get(want, "cut")));
            assert_int_equal(s[k].tokens, json_len(ids));
            assert_true(isnan(s[k].loss) || fabs(s[k].perplexity - exp(s[k].loss)) < 1e-12 * s[k].perplexity);
        }
        chat_out_release(&text);
        case_close(&c);
    }
}

static void test_embeddings_equal_pytorch(void **state)
{
    (void)state;
    for (size_t i = 0; i < json_len(golden); i++) {
        Case            c = case_open(i);
        const ScoreRows rows = rows_of(&c);
        Embeddings      x;
        Err             e = { 0 };
        must(embed_rows(&x, c.m, &rows, &(EmbedOptions){ .max_length = c.max_length }, &e));
        for (size_t k = 0; k < rows.n; k++) {
            const Json *want = json_get(json_at(json_get(c.json, "rows"), k), "embedding");
            assert_int_equal(x.dim, json_len(want));
            for (int64_t j = 0; j < x.dim; j++) /* of vectors of length 1 */
                if (fabs((double)x.x[(int64_t)k * x.dim + j] - json_num(json_at(want, (size_t)j))) > TOL)
                    fail_msg("case %zu, row %zu, element %lld: %.8f, PyTorch says %.8f", i, k, (long long)j, (double)x.x[(int64_t)k * x.dim + j],
                             json_num(json_at(want, (size_t)j)));
        }
        embed_release(&x);
        case_close(&c);
    }
}

/* ---- many rows: order, resuming, stopping ---- */

typedef struct Seen { size_t next, first, rows, progress; int64_t stops_left; } Seen;

static void seen_row(void *user, size_t row, const RowScore *s)
{
    Seen *seen = user;
    (void)s;
    assert_int_equal(row, seen->next);
    seen->next++;
}

static void seen_progress(void *user, size_t done, size_t of)
{
    Seen *seen = user;
    assert_true(done > seen->progress && done <= of);
    seen->progress = done;
}

static bool stop_later(void *user)
{
    return ((Seen *)user)->stops_left-- <= 0;
}

#define MANY 700 /* three windows, the last one not whole */

static void test_resumes_with_the_same_bits(void **state)
{
    (void)state;
    Case      c = case_open(0);
    Json    **many = mem_zalloc(MANY, sizeof *many);
    RowScore *whole = mem_zalloc(MANY, sizeof *whole), *parts = mem_zalloc(MANY, sizeof *parts), *small = mem_zalloc(MANY, sizeof *small);
    Seen      seen = { 0 };
    Err       e = { 0 };
    for (size_t i = 0; i < MANY; i++)
        many[i] = c.row[(i * 7 + i / 10) % c.rows.n];
    ScoreRows rows = c.rows;
    rows.row = many;
    rows.n = MANY;
    ScoreOptions o = { .max_length = 96, .scored = seen_row, .hooks = { &seen, seen_progress, NULL } };
    must(score_rows(c.m, &rows, &o, whole, &e));
    assert_int_equal(seen.next, MANY);
    assert_int_equal(seen.progress, MANY);

    seen = (Seen){ .stops_left = 5 }; /* micro-batches */
    o.hooks.stop_asked = stop_later;
    assert_int_equal(score_rows(c.m, &rows, &o, parts, &e), ERR_STOP);
    assert_true(seen.next < MANY);
    o.hooks.stop_asked = NULL;
    o.first = seen.next = 300; /* in the middle of a window */
    seen.progress = 0;
    must(score_rows(c.m, &rows, &o, parts, &e));
    assert_int_equal(seen.next, MANY);
    assert_memory_equal(parts + 300, whole + 300, (MANY - 300) * sizeof *whole);

    must(score_rows(c.m, &rows, &(ScoreOptions){ .max_length = 96, .batch_tokens = 96 }, small, &e)); /* one or two rows at a time */
    for (size_t i = 0; i < MANY; i++)
        if (fabs(small[i].loss - whole[i].loss) > 1e-6 * whole[i].loss)
            fail_msg("row %zu: %.9g packed, %.9g nearly alone", i, whole[i].loss, small[i].loss);
    free(many);
    free(whole);
    free(parts);
    free(small);
    case_close(&c);
}

static void test_threads_change_no_bit(void **state)
{
    (void)state;
    RowScore   s[2][64] = { { { 0 } } };
    Embeddings x[2];
    Err        e = { 0 };
    Backend   *kept = be;
    for (int k = 0; k < 2; k++) {
        be = backend_open("cpu", 1 + 2 * k, &e);
        Case            c = case_open(2);
        const ScoreRows rows = rows_of(&c);
        must(score_rows(c.m, &rows, &(ScoreOptions){ .max_length = 96 }, s[k], &e));
        must(embed_rows(&x[k], c.m, &rows, &(EmbedOptions){ .max_length = 96 }, &e));
        case_close(&c);
        be->close(be);
    }
    be = kept;
    assert_memory_equal(s[0], s[1], sizeof s[0]);
    assert_memory_equal(x[0].x, x[1].x, (size_t)(x[0].n * x[0].dim) * sizeof *x[0].x);
    embed_release(&x[0]);
    embed_release(&x[1]);
}

static void test_errors_name_the_row(void **state)
{
    (void)state;
    static const struct { const char *row, *says; } bad[] = {
        { "{\"prompt\":\"a\",\"completion\":\"\"}", "rows, row 2: the completion is empty" },
        { "{\"prompt\":\"a\"}", "rows, row 2: the base model is asked about rows with \"messages\", or with \"prompt\" and \"completion\"; this one has neither" },
        { "{\"prompt\":\"a\",\"completion\":\"b\",\"messages\":[]}", "this one has both" },
        { "{\"text\":\"a\"}", "this one has neither" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", "the last message is not from the assistant" },
    };
    Case c = case_open(0);
    Err  e = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        Json     *row[2] = { c.row[0], NULL };
        RowScore  s[2];
        ScoreRows rows = c.rows;
        rows.row = row;
        rows.n = 2;
        must(json_parse(&row[1], str_of(bad[i].row), "row", &e));
        assert_int_equal(score_rows(c.m, &rows, &(ScoreOptions){ .max_length = 96 }, s, &e), ERR_INPUT);
        check_says(&e, ERR_INPUT, bad[i].says);
        json_free(row[1]);
    }
    const ScoreRows rows = rows_of(&c);
    RowScore        s[64];
    assert_int_equal(score_rows(c.m, &rows, &(ScoreOptions){ .max_length = 4096 }, s, &e), ERR_ARG);
    check_says(&e, ERR_ARG, "expected are 2 to 128");
    case_close(&c);
}

/* A template that refuses empty questions, and one that writes the answer differently without them, cost the row its IFD and nothing else. */
static void test_templates_that_do_not_compare(void **state)
{
    (void)state;
    static const struct { const char *text; ScoreNote note; } template[] = {
        { "{% for m in messages %}{% if not m.content %}{{ raise_exception('empty') }}{% endif %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}"
          "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}", SCORE_REFUSED },
        { "{% for m in messages %}{% if m.role == 'assistant' and not messages[0].content %}{{ '<|im_start|>' + m.role + '\\n' + m.content|upper + '<|im_end|>\\n' }}"
          "{% else %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endif %}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}", SCORE_OTHER_TOKENS },
    };
    for (size_t i = 0; i < ARRAY_LEN(template); i++) {
        Case      c = case_open(0);
        Err       e = { 0 };
        RowScore  s;
        ScoreRows rows = rows_of(&c);
        rows.row = c.row + 5;
        rows.n = 1;
        must(chat_use_template(c.tok, str_of(template[i].text), "test", &e));
        must(score_rows(c.m, &rows, &(ScoreOptions){ .max_length = 96 }, &s, &e));
        assert_int_equal(s.note, template[i].note);
        assert_true(isfinite(s.loss) && isnan(s.ifd_loss) && isnan(s.ifd_perplexity));
        case_close(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_pytorch),        cmocka_unit_test(test_embeddings_equal_pytorch), cmocka_unit_test(test_resumes_with_the_same_bits),
        cmocka_unit_test(test_threads_change_no_bit), cmocka_unit_test(test_errors_name_the_row),      cmocka_unit_test(test_templates_that_do_not_compare),
    };
    Err e = { 0 };
    if (json_read_file(&golden, TEST_DIR "/prep/golden/scores.json", &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    golden_main(be, tests);
}
