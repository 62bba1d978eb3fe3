/* test_questions.c - pairs and scores read from all kinds of answers; the judgement by words on written examples, right ones and spoilt ones; the kept answers. */
#include "base/check.h"

#include "base/mem.h"
#include "prep/questions.h"
#include "prep/questions_cache.h"
#include "prep/questions_ground.h"

/* ---- answers to pairs -------------------------------------------------------------------------------------------------------------------------------- */

static const struct { const char *answer, *pairs; size_t malformed; } readable[] = { /* pairs: "q|a;q|a" */
    { "[{\"question\":\"Q1\",\"answer\":\"A1\"},{\"question\":\"Q2\",\"answer\":\"A2\"}]", "Q1|A1;Q2|A2", 0 },
    { "Sure! Here are they:\n```json\n[\n {\"question\": \" Q1 \", \"answer\": \"A1\\n\"}\n]\n```\nAnything else?", "Q1|A1", 0 },
    { "{\"pairs\":[{\"question\":\"Q1\",\"answer\":\"A1\"}]}", "Q1|A1", 0 },
    { "{\"question\":\"Q1\",\"answer\":\"A1\"}\n{\"question\":\"Q2\",\"answer\":\"A2\"}\n", "Q1|A1;Q2|A2", 0 },
    { "[{\"Question\":\"Q1\",\"Answer\":\"A1\"},{\"q\":\"Q2\",\"a\":\"A2\"}]", "Q1|A1;Q2|A2", 0 },
    { "[]", "", 0 },
    { "{\"pairs\": []}", "", 0 },
    { "Nothing to ask here: []", "", 0 },
    { "<think>maybe [{\"question\":\"no\",\"answer\":\"no\"}]</think>[{\"question\":\"Q1\",\"answer\":\"A1\"}]", "Q1|A1", 0 },
    { "[{\"question\":\"Q1\",\"answer\":\"A1\"},{\"question\":\"Q2\",\"ans", "Q1|A1", 0 },                                /* cut */
    { "[{\"question\":\"Q1\",\"answer\":\"A1\"},{\"question\":\"Q2\",\"answer\":\"A2\"},]", "Q1|A1;Q2|A2", 0 },              /* a comma too many */
    { "[{\"question\":\"Q1\",\"answer\":\"A1\"},{\"question\":\"Q2\"},{\"question\":\"\",\"answer\":\"A3\"},{\"question\":4,\"answer\":\"A4\"},\"x\"]", "Q1|A1", 4 },
    { "[{\"question\":\"a } ] \\\" {\",\"answer\":\"A1\",\"quote\":\"\"}]", "a } ] \" {|A1", 0 },
    { "As [1] says: [{\"question\":\"Q1\",\"answer\":\"A1\"}]", "Q1|A1", 1 },
    { "{\"question\":\"Q1\",\"answer\":\"A1\",\"options\":[\"x\",\"y\"]}", "Q1|A1", 0 },
};

static void test_readable(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(readable); i++) {
        QuestionPairs p;
        StrBuf        got = { 0 };
        Err           e = { 0 };
        if (questions_parse(str_of(readable[i].answer), &p, &e))
            fail_msg("%s: %s", readable[i].answer, e.text);
        for (size_t k = 0; k < p.item.n; k++)
            strbuf_addf(&got, "%s%s|%s", k ? ";" : "", p.item.p[k].question, p.item.p[k].answer);
        if (strcmp(strbuf_z(&got), readable[i].pairs) || p.malformed != readable[i].malformed)
            fail_msg("%s: got \"%s\" and %zu malformed", readable[i].answer, strbuf_z(&got), p.malformed);
        strbuf_release(&got);
        questions_release(&p);
    }
}

static void test_unreadable(void **state)
{
    static const struct { const char *answer, *says; } rows[] = {
        { "", "it is empty" }, { " \n", "it is empty" }, { "I cannot do that.", "no JSON" }, { "Q: what? A: that.", "no JSON" }, { "[{\"question\": \"Q1\", \"answer\": ", "no JSON" },
        { "[1, 2]", "no text under" }, { "{\"question\":\"Q\"}", "no text under" }, { "[{\"frage\":\"Q\",\"antwort\":\"A\"}]", "no text under" }, { "<think>[]</think>", "it is empty" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        QuestionPairs p;
        Err           e = { 0 };
        assert_int_equal(questions_parse(str_of(rows[i].answer), &p, &e), ERR_INPUT);
        check_says(&e, ERR_INPUT, "unreadable_answer: ");
        check_says(&e, ERR_INPUT, rows[i].says);
        questions_release(&p);
    }
}

/* What a hostile answer can cost is bounded. */
static void test_bounds(void **state)
{
    StrBuf        many = { 0 }, deep = { 0 };
    QuestionPairs p;
    Err           e = { 0 };
    (void)state;
    for (int i = 0; i < QUESTIONS_READ_MAX + 1; i++)
        strbuf_addf(&many, "{\"question\":\"Q%d\",\"answer\":\"A\"}\n", i);
    assert_int_equal(questions_parse(strbuf_str(&many), &p, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "more than 200 pairs");
    for (size_t i = 0; i < QUESTIONS_ANSWER_MAX; i++)
        strbuf_addc(&deep, '[');
    assert_int_equal(questions_parse(strbuf_str(&deep), &p, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "no JSON");
    strbuf_addc(&deep, '[');
    assert_int_equal(questions_parse(strbuf_str(&deep), &p, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "256 KiB");
    strbuf_release(&many);
    strbuf_release(&deep);
}

static void test_scores(void **state)
{
    static const struct { const char *answer; size_t n; const char *scores; } rows[] = { /* "": refused */
        { "[5, 4, 1]", 3, "541" }, { "```json\n[3]\n```", 1, "3" }, { "{\"scores\": [5, 2]}", 2, "52" }, { "[{\"score\": 4}, {\"score\": 5}]", 2, "45" }, { "{\"score\": 4}", 1, "4" },
        { "<think>[1]</think>[5]", 1, "5" }, { "[5, 4]", 3, "" }, { "[0]", 1, "" }, { "[6]", 1, "" }, { "[4.5]", 1, "" }, { "[\"5\"]", 1, "" }, { "5", 1, "" }, { "", 1, "" },
        { "{\"score\": 9}", 1, "" }, { "{\"score\": 4}", 2, "" }, { "[[5]]", 1, "" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int  score[4] = { 0 };
        char got[5] = "";
        bool good = questions_parse_scores(str_of(rows[i].answer), rows[i].n, score);
        for (size_t k = 0; k < rows[i].n && good; k++)
            got[k] = (char)('0' + score[k]);
        if (strcmp(got, rows[i].scores) || good != (*rows[i].scores != '\0'))
            fail_msg("%s: got \"%s\"", rows[i].answer, got);
    }
}

/* ---- judgement by words ------------------------------------------------------------------------------------------------------------------------------- */

static const struct { const char *passage, *question, *answer; } supported[] = {
    { "Returns are accepted within 30 days of delivery. The buyer pays the return postage unless the item was faulty, in which case Norwood Retail refunds it in full.",
      "Who pays for sending an order back to Norwood Retail?", "The buyer pays the return postage, unless the item was faulty; then Norwood Retail refunds it in full." },
    { "The X17 pump delivers 40 litres per minute at 2.5 bar. Its filter has to be cleaned every 500 hours of operation.",
      "How often must the filter of the X17 pump be cleaned?", "The filter must be cleaned every 500 operating hours." },
    { "To restart the server, stop all clients first, then run srvctl restart. The restart takes about two minutes.",
      "How long does restarting the server take?", "A restart takes around 2 minutes." },
    { "Employees accrue 2.5 days of leave per month. Unused leave may be carried over until 31 March of the following year.",
      "Until when can unused leave be carried over?", "Unused leave can be carried over until 31 March of the following year." },
    { "Marie Curie discovered polonium and radium in 1898 together with her husband Pierre.",
      "Which elements did Marie Curie discover in 1898?", "She discovered polonium and radium, together with her husband Pierre." },
    { "The licence costs 1,200 euros a year for up to 25 seats; each further seat is 39.90 euros.",
      "What does a further seat of the licence cost?", "Every further seat costs 39,90 euros a year." },
    { "Backups run nightly at 02:30 and are kept for six weeks. Monthly backups are kept for seven years in the Frankfurt data centre.",
      "How long are monthly backups kept, and where?", "Monthly backups are kept for 7 years in the data centre in Frankfurt." },
    { "The committee has nine members, elected for three years. It meets at least four times a year and decides by simple majority.",
      "How does the committee decide?", "It decides by a simple majority." },
    { "Paint the surface thinly and let it dry for twelve hours before you sand it with grit 240.",
      "What should be done before sanding a painted surface?", "The paint has to dry for 12 hours; then it is sanded with grit 240." },
    { "Der Antrag ist innerhalb von 14 Tagen nach Zugang des Bescheids bei der Behörde einzureichen. Die Gebühr beträgt 35 Euro.",
      "Innerhalb welcher Frist muss der Antrag eingereicht werden?", "Der Antrag muss innerhalb von 14 Tagen nach Zugang des Bescheides bei der Behörde eingereicht werden." },
    { "Die Wartung der Anlage erfolgt zweimal im Jahr durch den Hersteller. Störungen sind der Leitwarte sofort zu melden.",
      "Wem müssen Störungen der Anlage gemeldet werden?", "Störungen müssen sofort der Leitwarte gemeldet werden." },
    { "Le contrat est conclu pour une durée de deux ans et se renouvelle tacitement, sauf résiliation trois mois avant l'échéance.",
      "Quelle est la durée du contrat ?", "Le contrat est conclu pour une durée de 2 ans." },
    { "El horario de atención es de lunes a viernes, de 9 a 18 horas. Los pedidos se entregan en 48 horas.",
      "¿En cuánto tiempo se entregan los pedidos?", "Los pedidos se entregan en 48 horas." },
    { "保証期間は購入日から二年間です。修理は本社の工場で行います。", "修理はどこで行いますか。", "修理は本社の工場で行います。" },
    { "Гарантийный срок составляет два года со дня покупки. Ремонт выполняет завод в Казани.", "Где выполняется ремонт?", "Ремонт выполняется на заводе в Казани." },
    { "Set the switch to AUTO. In AUTO mode the fan starts at 65 °C and stops at 58 °C.", "At what temperature does the fan start in AUTO mode?", "The fan starts at 65 °C." },
    { "The warehouse in Leeds ships on weekdays. Orders before noon leave the same day.", "When does an order before noon leave the warehouse?", "It leaves on the same day." },
    { "Version 2.4.1 was released on 12.03.2024 and fixes the memory leak in the importer.", "What does version 2.4.1 fix?", "Version 2.4.1 fixes a memory leak in the importer." },
};

static bool judge(const char *passage, const char *question, const char *answer, Grounding *g)
{
    Ground    *p = ground_new(str_of(passage), str_of(""), str_of(""));
    const bool good = ground_judge(p, str_of(question), str_of(answer), g);
    ground_free(p);
    return good;
}

static void test_supported(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(supported); i++) {
        Grounding g;
        if (!judge(supported[i].passage, supported[i].question, supported[i].answer, &g))
            fail_msg("\"%s\": %s (%.2f)", supported[i].answer, g.why, g.share);
        assert_true(g.share >= GROUND_LEAST && g.share <= 1);
    }
}

/* The same answers, each beside the passage of another: none may pass. */
static void test_foreign_answers(void **state)
{
    size_t passed = 0;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(supported); i++)
        for (size_t k = 0; k < ARRAY_LEN(supported); k++) {
            Grounding g;
            const bool good = i != k && judge(supported[k].passage, supported[i].question, supported[i].answer, &g);
            if (good)
                print_error("\"%s\" beside \"%s\": %.2f\n", supported[i].answer, supported[k].passage, g.share);
            passed += good;
        }
    assert_int_equal(passed, 0);
}

static void test_spoilt(void **state)
{
    static const char passage[] = "Returns are accepted within 30 days of delivery at our branch in Leeds. A refund of up to 1,500 euros is paid by Norwood Retail within 2.5 weeks, "
                                  "since 12.03.2024 by bank transfer only.";
    static const struct { const char *question, *answer, *why; } rows[] = { /* why "": it passes */
        { "Within how many days are returns accepted?", "Returns are accepted within 30 days of delivery.", "" },
        { "Within how many days are returns accepted?", "Returns are accepted within 31 days of delivery.", "unsupported_number: 31" },
        { "Within how many days are returns accepted?", "Returns are accepted within 4 days of delivery.", "unsupported_number: 4" },
        { "Within how many days are returns accepted?", "Returns are accepted within 300 days of delivery.", "unsupported_number: 300" },
        { "How much is refunded?", "A refund of up to 1500 euros is paid.", "" },
        { "How much is refunded?", "A refund of up to 1.500 euros is paid.", "" },
        { "How much is refunded?", "A refund of up to 1.5 euros is paid.", "unsupported_number: 1.5" },
        { "How much is refunded?", "A refund of up to 15,00 euros is paid.", "unsupported_number: 15,00" },
        { "When is a refund paid?", "A refund is paid within 2,5 weeks.", "" },
        { "When is a refund paid?", "A refund is paid within 25 weeks.", "unsupported_number: 25" },
        { "Since when are refunds paid by bank transfer?", "Refunds are paid by bank transfer since 12.03.2024.", "" },
        { "Since when are refunds paid by bank transfer?", "Refunds are paid by bank transfer since 2024.", "" },
        { "Since when are refunds paid by bank transfer?", "Refunds are paid by bank transfer since 12.04.2024.", "unsupported_number: 12.04.2024" },
        { "Where are returns accepted?", "Returns are accepted at the branch in Leeds.", "" },
        { "Where are returns accepted?", "Returns are accepted at the branch in London.", "unsupported_name: london" },
        { "Where does Harrods accept returns?", "Returns are accepted at the branch in Leeds.", "unsupported_name: harrods" },
        { "Who pays the 700 euros of the refund?", "Norwood Retail pays the refund.", "unsupported_number: 700" },
        { "How is a refund paid?", "It is sent as a voucher through the mobile app after somebody has checked the parcel.", "unsupported_answer: " },
        { "According to the passage, when is a refund paid?", "A refund is paid within 2.5 weeks.", "pointing_question: the passage" },
        { "What does the text say about refunds?", "A refund is paid within 2.5 weeks.", "pointing_question: the text say" },
        { "What refund is mentioned above?", "A refund of up to 1,500 euros is paid.", "pointing_question: mentioned above" },
        { "Was steht im obigen Abschnitt?", "A refund of up to 1,500 euros is paid.", "pointing_question: im obigen" },
        { "Which colours suit grey cats?", "Returns are accepted within 30 days of delivery.", "foreign_question: " },
        { "Are returns accepted?", "Yes.", "empty_answer: " },
        { "Are returns accepted?", "Yes, they are.", "empty_answer: " },
        { "Are returns accepted?", "...", "empty_answer: " },
        { "In how many weeks is a refund paid?", "2.5", "" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Grounding g;
        judge(passage, rows[i].question, rows[i].answer, &g);
        const char *colon = strchr(rows[i].why, ':'); /* the name of the reason, and what it is about */
        if (!colon ? *g.why : strncmp(g.why, rows[i].why, (size_t)(colon - rows[i].why) + 1) || strcmp(g.what, colon + 2))
            fail_msg("\"%s\" \"%s\": \"%s\" \"%s\", expected \"%s\"", rows[i].question, rows[i].answer, g.why, g.what, rows[i].why);
    }
}

/* The share by hand: of "buyer, pays, return, postage, always" four are there. A word of the question that the passage has not counts for nothing. */
static void test_share(void **state)
{
    Grounding g;
    (void)state;
    judge("The buyer pays the return postage.", "Who pays the postage?", "The buyer pays the return postage always.", &g);
    assert_int_equal(g.words, 5);
    assert_int_equal(g.found, 4);
    assert_true(g.share > 0.79 && g.share < 0.81);
    judge("The buyer pays the return postage.", "Does the customer pay the postage always?", "The buyer pays the return postage always.", &g);
    assert_int_equal(g.words, 4);
    assert_int_equal(g.found, 4);
    /* endings: one word; stems that only look alike: not */
    judge("The deliveries were ordered by the manager.", "Who ordered?", "The delivery orders managers control.", &g);
    assert_int_equal(g.words, 4);
    assert_int_equal(g.found, 3);
    judge("The contract is at the station.", "Where is the contract?", "The control of its status.", &g);
    assert_int_equal(g.found, 0);
    /* title and section belong to the passage */
    Ground *p = ground_new(str_of("It delivers 40 litres."), str_of("Pump Horizon"), str_of("Data > Flow"));
    assert_true(ground_judge(p, str_of("How much does the Horizon pump deliver?"), str_of("The pump called Horizon delivers 40 litres."), &g));
    ground_free(p);
    judge("It delivers 40 litres.", "How much does the Horizon pump deliver?", "It delivers 40 litres.", &g);
    assert_true(str_starts(str_of(g.why), "unsupported_name: "));
    check_text(g.what, "horizon");
    /* an empty passage supports nothing */
    assert_false(judge("", "What is it?", "It is green.", &g));
}

/* ---- what the teacher is asked, and what is kept of its answers ------------------------------------------------------------------------------------------ */

static void test_prompts(void **state)
{
    const PassagePlace p = { STR_LIT("Guide"), STR_LIT("page 3"), STR_LIT("Pumps > X17"), STR_LIT("| a | b |"), STR_LIT("| 1 | \"2\" |") };
    const QuestionPair pair[] = { { (char *)(uintptr_t)"Q1?", (char *)(uintptr_t)"A1." }, { (char *)(uintptr_t)"Q2?", (char *)(uintptr_t)"A2." } };
    Json *a = questions_ask(&p, 3), *b = questions_ask_scores(&p, pair, 2);
    (void)state;
    const Str ask = json_str(json_get(json_at(a, 0), "content")), score = json_str(json_get(json_at(b, 0), "content"));
    static const char head[] = "Document: Guide\nPlace: page 3\nSection: Pumps > X17\nPassage:\n<<<\n| a | b |\n| 1 | \"2\" |\n>>>\n\n";
    assert_int_equal(json_len(a), 1); /* no system message */
    assert_true(str_starts(ask, head) && str_starts(score, head));
    assert_non_null(strstr(ask.p, "Write 3 questions"));
    assert_non_null(strstr(score.p, "Judge 2 pairs"));
    assert_non_null(strstr(score.p, "\"Q2?\""));
    json_free(a);
    json_free(b);
}

static void test_cache(void **state)
{
    char              *dir = check_dir(), *path = path_join(dir, "answers.jsonl"), key[3][SHA256_HEX];
    const PassagePlace p = { .text = STR_LIT("x") };
    TeacherWork        how = { .max_tokens = 10, .temperature = 0.7, .seed = 1 };
    AnswerCache        c;
    AnswerEnd          end;
    StrBuf             text = { 0 };
    Err                e = { 0 };
    (void)state;
    for (int i = 0; i < 3; i++) {
        Json *m = questions_ask(&p, i + 1);
        answer_key(key[i], "teacher", &how, m);
        json_free(m);
    }
    assert_string_not_equal(key[0], key[1]);
    Json *m = questions_ask(&p, 1);
    char  other[SHA256_HEX];
    how.seed = 2;
    answer_key(other, "teacher", &how, m);
    assert_string_not_equal(key[0], other);
    how.seed = 1;
    answer_key(other, "another", &how, m);
    assert_string_not_equal(key[0], other);
    json_free(m);
    assert_int_equal(answer_cache_open(&c, path, &e), 0);
    assert_false(answer_cache_has(&c, key[0]));
    assert_int_equal(answer_cache_add(&c, key[0], ANSWER_WHOLE, str_of("first\n\"\x01\xff"), &e), 0);
    assert_int_equal(answer_cache_add(&c, key[1], ANSWER_CUT, str_of(""), &e), 0);
    assert_int_equal(answer_cache_get(&c, key[0], &end, &text, &e), 0); /* in the same start */
    check_text(strbuf_z(&text), "first\n\"\x01\xEF\xBF\xBD");
    answer_cache_close(&c);
    /* a kill in the middle of a line */
    assert_int_equal(file_append_line(path, str_of("{\"key\":\"0123"), &e), 0);
    uint64_t size;
    assert_int_equal(file_size(path, &size, &e), 0);
    assert_int_equal(file_truncate(path, size - 1, &e), 0);
    assert_int_equal(answer_cache_open(&c, path, &e), 0);
    assert_int_equal(answer_cache_count(&c), 2);
    assert_true(answer_cache_has(&c, key[1]) && !answer_cache_has(&c, key[2]));
    strbuf_clear(&text);
    assert_int_equal(answer_cache_get(&c, key[1], &end, &text, &e), 0);
    assert_int_equal(end, ANSWER_CUT);
    assert_int_equal(text.n, 0);
    assert_int_equal(answer_cache_add(&c, key[2], ANSWER_REFUSED, str_of("no"), &e), 0);
    assert_int_equal(answer_cache_get(&c, key[2], &end, &text, &e), 0);
    assert_int_equal(end, ANSWER_REFUSED);
    check_text(strbuf_z(&text), "no");
    answer_cache_close(&c);
    /* a line that is none */
    assert_int_equal(file_append_line(path, str_of("{\"key\":\"x\"}"), &e), 0);
    assert_int_equal(answer_cache_open(&c, path, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "answers.jsonl is damaged; remove it");
    strbuf_release(&text);
    free(path);
    check_dir_done(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_readable),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_supported),
        cmocka_unit_test(test_foreign_answers),
        cmocka_unit_test(test_spoilt),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_prompts),
        cmocka_unit_test(test_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
