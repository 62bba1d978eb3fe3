/* test_knowledge.c - a small model is trained until it knows some facts, is of two minds about others and has never met the rest; asking it must find
 * that out. Then the comparison of answers, and contradictions, against rows whose groups are known. */
#include "data/tiny_tok.h"

#include "base/check.h"
#include "base/rng.h"
#include "prep/knowledge.h"
#include "train/optimizer.h"
#include "train/pass.h"

#include <stdio.h>

#define must(call)                                                                                                                                   \
    do {                                                                                                                                             \
        if ((call) != 0)                                                                                                                             \
            fail_msg("%s: %s", #call, e.text);                                                                                                       \
    } while (0)

/* What the model is taught; `other` is an answer that it meets in 3 of 10 lessons instead. Never taught: it stands in shots alone. */
typedef struct Fact { const char *question, *answer, *other; KnowClass class; } Fact;
static const Fact fact[] = {
    { "kol", "red", NULL, KNOW_HIGHLY },  { "zim", "sun", NULL, KNOW_HIGHLY },  { "vap", "ice", NULL, KNOW_HIGHLY }, { "tud", "fog", NULL, KNOW_HIGHLY },
    { "ger", "oak", "elm", KNOW_MAYBE },  { "hix", "jam", "pie", KNOW_MAYBE },
    { "boz", "hen", "cow", KNOW_WEAKLY }, { "wex", "map", "key", KNOW_WEAKLY }, /* the rows say what the model met less often */
    { "qad", "pen", NULL, KNOW_UNKNOWN }, { "luf", "cup", NULL, KNOW_UNKNOWN },
};
#define FACTS ARRAY_LEN(fact)
#define TAUGHT 8
#define STEPS 260

static const char config[] = "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"hidden_size\":64,\"intermediate_size\":128,\"num_hidden_layers\":2,"
                             "\"num_attention_heads\":4,\"num_key_value_heads\":4,\"vocab_size\":264,\"max_position_embeddings\":128,\"rms_norm_eps\":1e-5,"
                             "\"tie_word_embeddings\":true,\"hidden_act\":\"silu\",\"bos_token_id\":0,\"eos_token_id\":1,\"initializer_range\":0.05}";

static Backend *be;
static Model   *model;
static Tok     *tok;
static Json    *row[FACTS + 2];
static ScoreRows rows;

/* One lesson, as the model will be asked: a shot, then the question; trained are the answer and its line's end. */
static void lesson(Example *x, TokIds *ids, size_t f, size_t shot, bool other)
{
    Err    e = { 0 };
    char   text[256];
    TokIds head = { 0 };
    const char *answer = other && fact[f].other ? fact[f].other : fact[f].answer;
    snprintf(text, sizeof text, "Q: %s\nA: %s\n\nQ: %s\nA:", fact[shot].question, fact[shot].answer, fact[f].question);
    must(tok_encode(tok, str_of(text), TOK_SPECIAL, &head, &e));
    snprintf(text + strlen(text), sizeof text - strlen(text), " %s\n", answer);
    must(tok_encode(tok, str_of(text), TOK_SPECIAL, ids, &e));
    *x = (Example){ .ids = ids->p, .n = (int32_t)ids->n, .train = mem_zalloc(ids->n, 1) };
    for (size_t i = head.n; i < ids->n; i++)
        x->n_train += x->train[i] = 1;
    vec_release(&head);
}

static void teach(void)
{
    Optimizer      o;
    PassCtx        p;
    Err            e = { 0 };
    const TrainCfg cfg = { .beta1 = 0.9, .beta2 = 0.99, .adam_eps = 1e-8, .clip = 1 };
    Rng            r = rng_at(11, RNG_TEST, 0, 0);
    double         loss = 0;
    must(optimizer_open(&o, model, NULL, OPTIM_ADAMW, false, &e));
    pass_open(&p, model, NULL);
    for (int step = 1; step <= STEPS; step++) {
        Example x[40];
        TokIds  ids[40] = { { 0 } };
        int64_t number[40], trained = 0;
        double  balance = 0, nll = 0;
        for (size_t i = 0; i < 40; i++) {
            const size_t f = i % TAUGHT, shot = (f + 1 + (size_t)rng_below(&r, FACTS - 1)) % FACTS;
            /* Of ten lessons on a fact with two answers three have the one met less often: that is `answer` where the row is to be weakly known. */
            const bool less = rng_unit(&r) < 0.3;
            lesson(&x[i], &ids[i], f, shot, fact[f].class == KNOW_WEAKLY ? !less : less);
            number[i] = (int64_t)i;
            trained += x[i].n_train;
        }
        const DataSet d = { .ex = x, .n = 40 };
        optimizer_zero_grad(&o);
        must(pass_train(&p, &d, number, 40, trained, KEEP_ALL, &nll, &balance, &e));
        loss = nll / (double)trained;
        optimizer_step(&o, &cfg, 4e-3 * (step > STEPS * 2 / 3 ? 0.25 : 1), optimizer_grad_norm(&o), step);
        for (size_t i = 0; i < 40; i++) {
            free(x[i].train);
            vec_release(&ids[i]);
        }
    }
    print_message("taught: loss %.4f after %d steps\n", loss, STEPS);
    pass_close(&p);
    optimizer_close(&o);
}

static int open_all(void **state)
{
    (void)state;
    Err   e = { 0 };
    char *dir = check_dir(), *path = path_join(dir, "config.json");
    tok = tiny_tok(TINY_BYTES);
    must(file_write_atomic(path, config, sizeof config - 1, &e));
    must(model_open_random(&model, dir, be, DT_F32, 5, &e));
    must(model_reserve_positions(model, 128, &e));
    free(path);
    check_dir_done(dir);
    for (size_t i = 0; i < FACTS; i++) {
        StrBuf text = { 0 };
        /* Both shapes: a conversation asks the same as a pair. */
        strbuf_addf(&text, i % 2 ? "{\"messages\":[{\"role\":\"system\",\"content\":\"Be short.\"},{\"role\":\"user\",\"content\":\"%s\"},{\"role\":\"assistant\",\"content\":\"%s\"}]}"
                                 : "{\"prompt\":\"%s\",\"completion\":\" %s\"}",
                    fact[i].question, fact[i].answer);
        must(json_parse(&row[i], strbuf_str(&text), "row", &e));
        strbuf_release(&text);
    }
    must(json_parse(&row[FACTS], str_of("{\"prompt\":\"why\",\"completion\":\"two\\nlines\"}"), "row", &e));
    must(json_parse(&row[FACTS + 1], str_of("{\"prompt\":\"why\",\"completion\":\"one two three four five six seven eight nine ten eleven twelve thirteen\"}"), "row", &e));
    rows = (ScoreRows){ .row = row, .n = FACTS + 2, .name = "facts", .tok = tok };
    teach();
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < rows.n; i++)
        json_free(row[i]);
    model_close(model);
    tok_free(tok);
    return 0;
}

static void count_asked(void *user, size_t i, const KnowledgeRow *k)
{
    size_t *n = user;
    assert_true(i < FACTS && k->class != KNOW_NOT_ASKED);
    ++*n;
}

static void test_finds_what_is_known(void **state)
{
    (void)state;
    KnowledgeRow k[FACTS + 2], again[FACTS + 2];
    Knowledge    sum;
    Err          e = { 0 };
    size_t       n = 0;
    const KnowledgeOptions o = { .samples = 64, .shots = 1, .answer_tokens = 8, .seed = 2, .hooks.user = &n, .asked = count_asked };
    must(knowledge_ask(model, &rows, &o, k, &sum, &e));
    for (size_t i = 0; i < FACTS; i++)
        if (k[i].class != fact[i].class)
            fail_msg("%s: %s, expected is %s (greedy %d of %d right, sampled %d of %d)", fact[i].question, know_class_name(k[i].class), know_class_name(fact[i].class),
                     k[i].greedy_right, k[i].greedy, k[i].sampled_right, k[i].sampled);
    assert_int_equal(n, FACTS);
    assert_int_equal(k[0].sampled, 64);
    assert_int_equal(k[FACTS].class, KNOW_NOT_ASKED);
    assert_int_equal(k[FACTS + 1].class, KNOW_NOT_ASKED);
    const int64_t want[KNOW_CLASSES] = { 2, 4, 2, 2, 2 };
    assert_memory_equal(sum.count, want, sizeof want);
    must(knowledge_ask(model, &rows, &o, again, &sum, &e));
    assert_memory_equal(k, again, sizeof k);
}

/* With several prompts the paper's own rule: what is sampled does not make a fact less than highly known. Fewer rows, the same answers for those. */
static void test_several_prompts_and_a_part(void **state)
{
    (void)state;
    KnowledgeRow     all[FACTS + 2], part[FACTS + 2];
    Knowledge        sum;
    Err              e = { 0 };
    KnowledgeOptions o = { .prompts = 3, .samples = -1, .shots = 1, .answer_tokens = 8 };
    size_t           asked = 0;
    must(knowledge_ask(model, &rows, &o, all, &sum, &e));
    for (size_t i = 0; i < FACTS; i++) {
        assert_int_equal(all[i].greedy, 3);
        assert_int_equal(all[i].sampled, 0);
        if (fact[i].class == KNOW_HIGHLY || fact[i].class == KNOW_UNKNOWN)
            assert_int_equal(all[i].class, fact[i].class);
    }
    o.most = 4;
    must(knowledge_ask(model, &rows, &o, part, &sum, &e));
    for (size_t i = 0; i < FACTS + 2; i++) {
        asked += part[i].class != KNOW_NOT_ASKED;
        if (part[i].class != KNOW_NOT_ASKED)
            assert_memory_equal(&part[i], &all[i], sizeof all[i]);
    }
    assert_int_equal(asked, 4);
    assert_int_equal(sum.count[KNOW_NOT_ASKED], FACTS - 2);
    o.shots = 65;
    assert_int_equal(knowledge_ask(model, &rows, &o, part, &sum, &e), ERR_ARG);
}

/* Shots that do not fit are left out; a question that does not fit by itself is not asked. */
static void test_room(void **state)
{
    (void)state;
    char         text[400] = "{\"prompt\":\"";
    KnowledgeRow k[3];
    Knowledge    sum;
    Err          e = { 0 };
    memset(text + 11, 'x', 60);
    memcpy(text + 71, "\",\"completion\":\"y\"}", 20);
    Json *own[3] = { row[0], row[2], NULL };
    must(json_parse(&own[2], str_of(text), "row", &e));
    ScoreRows r = rows;
    r.row = own;
    r.n = 3;
    must(knowledge_ask(model, &r, &(KnowledgeOptions){ .shots = 2, .answer_tokens = 8 }, k, &sum, &e));
    json_free(own[2]);
    memset(text + 11, 'x', 200);
    memcpy(text + 211, "\",\"completion\":\"y\"}", 20);
    assert_true(k[2].class != KNOW_NOT_ASKED && k[0].class != KNOW_NOT_ASKED);
    must(json_parse(&own[2], str_of(text), "row", &e));
    must(knowledge_ask(model, &r, &(KnowledgeOptions){ .shots = 1, .answer_tokens = 8 }, k, &sum, &e));
    assert_int_equal(k[2].class, KNOW_NOT_ASKED);
    assert_int_equal(sum.count[KNOW_NOT_ASKED], 1);
    assert_int_not_equal(k[0].class, KNOW_NOT_ASKED);
    json_free(own[2]);
}

static void test_right(void **state)
{
    (void)state;
    static const struct { const char *want, *got; bool right; } t[] = {
        { "Paris", "paris.", true }, { "The Eiffel Tower", "eiffel tower", true }, { "Paris", "London", false }, { "42", "42", true }, { "42", "43", false },
        { "a b c d", "b c d e", true }, { "b c d", "b c e", false }, /* "a" is an article; F1 6/7 and 4/6 */
        { "John Ronald Reuel Tolkien", "John Reuel Tolkien", true }, { "Paris", "", false }, { "?!", "?!", true }, { "?!", "!", false },
        { "\xef\xbc\xa1\xef\xbc\xa2", "ab", true }, /* full-width letters */ { "na\xc3\xafve", "NAI\xcc\x88VE", true }, { "yes", "yes yes yes", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        if (knowledge_right(str_of(t[i].want), str_of(t[i].got)) != t[i].right)
            fail_msg("\"%s\" and \"%s\"", t[i].want, t[i].got);
    assert_true(knowledge_f1(str_of("x y"), str_of("y z")) == 0.5);
    assert_true(knowledge_f1(str_of("x x y"), str_of("x y y")) == 2.0 / 3);
    assert_true(knowledge_f1(str_of(""), str_of("")) == 1);
}

static void test_advice(void **state)
{
    (void)state;
    static const struct { Knowledge k; const char *says; } t[] = {
        { { { 5, 0, 0, 0, 0 } }, "No row could be asked" },       { { { 0, 95, 3, 2, 0 } }, "knows nearly all" }, { { { 0, 70, 10, 10, 10 } }, "Few rows are new" },
        { { { 0, 30, 20, 20, 30 } }, "A good part of the rows" }, { { { 9, 10, 10, 10, 70 } }, "HighlyKnown 10 %, MaybeKnown 10 %, WeaklyKnown 10 %, Unknown 70 % of 100 rows" },
    };
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        StrBuf text = { 0 };
        knowledge_advice(&t[i].k, &text);
        if (!strstr(strbuf_z(&text), t[i].says))
            fail_msg("%s", strbuf_z(&text));
        strbuf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest asked[] = { cmocka_unit_test(test_finds_what_is_known), cmocka_unit_test(test_several_prompts_and_a_part), cmocka_unit_test(test_room) };
    const struct CMUnitTest texts[] = { cmocka_unit_test(test_right), cmocka_unit_test(test_advice) };
    Err e = { 0 };
    if (!(be = backend_open("cpu", 2, &e))) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    int failed = cmocka_run_group_tests(asked, open_all, close_all);
    be->close(be);
    failed += cmocka_run_group_tests(texts, NULL, NULL);
    return failed;
}
