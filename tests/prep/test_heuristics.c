/* test_heuristics.c - for each rule pairs that must fire it and near ones that must not; the score's order; bounds by hand. */
#include "base/check.h"
#include "prep/heuristics.h"

#include <math.h>
#include <stdio.h>

#define LONG_A "The bridge was built in 1932 by two engineers. It carries trains and cars over the harbour. Every year thousands of people walk across it."
#define R5(s) s s s s s

static const struct { const char *rule, *prompt, *answer; bool fires; } rows[] = {
    { "empty", "Say hello", "  \n", true },
    { "empty", "Say hello", "---", true },
    { "empty", "2+2?", "4", false },
    { "empty", "Ja?", "да", false },
    { "empty", "Wo ist es?", "n/a", true },
    { "empty", "Wo ist es?", " k. A. ", true },
    { "empty", "Wo ist es?", "(Keine Angabe)", true },
    { "empty", "Where is it?", "Null.", true },
    { "empty", "Which allergies are known?", "None", false },
    { "empty", "What is the opposite of full?", "Empty.", false },
    { "empty", "Where is it?", "NULL", true },
    { "empty", "Wo ist es?", "siehe oben", false },
    { "empty", "Which value: one or null?", "null", false },
    { "empty", "What does f() give?", "NaN", false },
    { "empty", "What is the symbol of sodium?", "Na", false },
    { "empty", "Where?", "Null \xC3", false },
    { "empty", "I want to return the lamp that I got with this code", "N/A", true },
    { "empty", "What is the output of the third line?", "null", false },
    { "echo", "What is the capital of France?", "what is the capital of France", true },
    { "echo", "What is the capital of France?", "Paris", false },
    { "leak", "What is the capital of France?", "What is the capital of France? Paris.", true },
    { "leak", "Why is the sky blue?", "Because of scattering.<|im_end|>", true },
    { "leak", "What does <|im_end|> mean?", "<|im_end|> ends a message.", false },
    { "leak", "Correct this: he go home", "He goes home", false },
    { "truncated", "Explain", "First, open the lid and take the filter out of the", true },
    { "truncated", "Explain", "You need flour and sugar and eggs and milk,", true },
    { "truncated", "Explain", "You need flour and sugar and eggs and so on...", true },
    { "truncated", "Explain", LONG_A " Then they decided to paint the whole", true },
    { "truncated", "Code", "```c\nint x;\n", true },
    { "truncated", "Code", "```c\nint x;\n```", false },
    { "truncated", "Explain", LONG_A, false },
    { "truncated", "Explain", LONG_A "\n\n- trains\n- cars that pass", false },
    { "truncated", "Explain", "Thank you for your message, we will", true },
    { "truncated", "Explain", "You can send a", true },
    { "truncated", "Explain", "Open the lid and take the old filter out of the box \xC3", false }, /* no UTF-8: nothing is known of such a word */
    { "truncated", "Explain", "To reset it you need the following:", true },
    { "truncated", "Explain", "The device has two buttons (the left one turns it on and the right", true },
    { "truncated", "Explain", "The shop is open every day but Sun-", true },
    { "truncated", "Explain", "You need:\n1. flour\n2. sugar\n3.", true },
    { "truncated", "Explain", "You need:\n- flour\n- sugar\n-", true },
    { "truncated", "Explain", "| name | price |\n| --- | --- |\n| lamp | 3 |\n| cable", true },
    { "truncated", "Explain", "Open the lid. Take **the filter out and wash", true },
    { "truncated", "Erkl\xC3\xA4r es", "Bitte \xC3\xB6" "ffnen Sie den Deckel und nehmen Sie den", true },
    { "truncated", "Erkl\xC3\xA4r es", "Die Lieferung kommt am Dienstag an, weil", true },
    { "truncated", "Explique", "Vous pouvez nous envoyer votre demande par", true },
    { "truncated", "Explique", "Nous vous remercions de votre message et de l'", true },
    { "truncated", "Explica", "Puede enviarnos su solicitud por correo o por", true },
    { "truncated", "Spiega", "Pu\xC3\xB2 inviarci la sua richiesta per posta o con il", true },
    { "truncated", "Leg uit", "U kunt uw verzoek per post sturen of met een", true },
    { "truncated", "Erkl\xC3\xA4r es", "Rufen Sie uns an", false },
    { "truncated", "Erkl\xC3\xA4r es", "Bitte schalten Sie das Ger\xC3\xA4t ein", false },
    { "truncated", "Count", "The sum of all of them is:\n42.", false },
    { "truncated", "Explain", "Open the lid. Take the filter out. Thank you very much", false },
    { "truncated", "Explain", "Open the lid. Take the filter out.\n\nBest regards from all of us at the shop", false },
    { "truncated", "Where is it?", "Dear Ms Miller,\n\nthank you for your message. We have looked at your order and found\nthat the parcel left our house on Monday. The carrier told us that the\nlorry broke down near Leipzig last evening", true },
    { "truncated", "Where is it?", "Dear Ms Miller,\n\nthank you for your message. We have looked at your order.\n\nThe parcel left our house on Monday, and the carrier told us that its lorry broke down near Leipzig last evening", true },
    { "truncated", "Wo ist es?", "Liebe Frau M\xC3\xBCller,\n\nvielen Dank f\xC3\xBCr Ihre Nachricht. Wir haben nachgesehen und festgestellt,\ndass das Paket unser Haus verlassen hat. Der Fahrer hat uns gesagt, dass\nsein Wagen gestern bei Leipzig liegen geblieben", true },
    { "truncated", "Where is it?", "Dear Ms Miller,\n\nthank you for your message. The parcel left our house on Monday.\n\nJohn Baker, Head of Customer Service, Lamp Shop Limited, 12 Mill Road, Leeds, United Kingdom", false },
    { "truncated", "Where is it?", "Hi Anna,\n\nyour parcel left our house on Monday. It should be there soon.\n\nLet me know if you have any other questions", false },
    { "truncated", "Where is it?", "Hi Anna,\n\nyour parcel left our house on Monday. It should be there by the end of the week.\nTim", false },
    { "truncated", "Wo?", "Guten Tag Frau K\xC3\xB6nig,\n\nwir haben die Adresse zur Bestellung B9022809 ge\xC3\xA4ndert: Goethes", true },
    { "truncated", "Wo?", "Guten Tag Herr Sommer,\n\nwir haben die Adresse zur Bestellung B2585473 ge\xC3\xA4ndert: Am Al", true },
    { "truncated", "Wie?", "Guten Tag Herr Smith,\n\nbitte halten Sie die Taste der Lampe f\xC3\xBCr 15 Sekunden gedr\xC3\xBC" "ck", true },
    { "truncated", "Where?", "Dear Ms Miller,\n\nwe have changed the address of your order 4711 to Mill Ro", true },
    { "truncated", "Where?", "Hi Anna,\n\nI sent it to you by mail on Monday afternoon", false },
    { "truncated", "Where?", "Dear Ms Miller,\n\nthe invoice is attached", false },
    { "truncated", "Wo?", "Sehr geehrte Frau K\xC3\xB6nig,\n\nvielen Dank f\xC3\xBCr Ihre schnelle und sehr freundliche Hilfe in dieser Sache", false },
    { "truncated", "Wo?", "Guten Tag,\n\nwir haben die Adresse zur Bestellung 4711 wie gew\xC3\xBCnscht ge\xC3\xA4ndert\n\nViele Gr\xC3\xBC\xC3\x9F" "e\nLena", false },
    { "truncated", "Wo?", "Guten Tag,\n\nwir melden uns bald. " R5(R5("bitte warten ")), false },
    { "loop", "Wo?", "Guten Tag,\n\nwir melden uns bald. " R5(R5("bitte warten ")), true },
    { "truncated", "Explain", "The value is given in brackets (see the manual for the details of this.", false },
    { "truncated", "List files", "find . -name '*.c' -exec grep -l foo {} +", false },
    { "truncated", "How many?", "She has 3 apples. She buys 4 more.\n#### 7", false },
    { "truncated", "Which?", "card_arrival", false },
    { "refusal", "Who won?", "As an AI language model, I do not follow sports.", true },
    { "refusal", "Wer gewann?", "Es tut mir leid, aber ich kann das nicht beantworten.", true },
    { "refusal", "Define it", "A program acts as an AI language model would.", false },
    { "top_gram", "Explain", R5(R5("we like it very much today ")), true },
    { "repeated_grams", "Explain", LONG_A " " LONG_A " " LONG_A, true },
    { "repeated_grams", "Explain", LONG_A, false },
    { "repeated_lines", "List", "- an important point\n- an important point\n- an important point\n- an important point\n- another, longer point", true },
    { "repeated_lines", "Code", "if (a) {\n    f();\n}\nif (b) {\n    g();\n}\nif (c) {\n    h();\n}", false },
    { "loop", "Explain", "It is so because " R5("and then it goes on "), true },
    { "loop", "Draw", "A rule\n------------------------------------------------------------------------------", false },
    { "entropy", "x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", true },
    { "entropy", "x", LONG_A, false },
    { "consonants", "x", "sdfkjhg wrtplkj qwrtpsdf kjhgfds mnbvcxq", true },
    { "consonants", "x", "Angstschweiss, Rhythmus, Pflicht und Strafe kommen langsam", false },
    { "letters", "x", "$%&/()=?!#+*~-_.:,;<>|$%&/()=?!#+*~-_.:,;<>|", true },
    { "letters", "Delete tmp", "rm -rf /tmp/* && ls -la | wc -l", false },
    { "placeholder", "Write a letter", "Dear [Your Name], thank you.", true },
    { "placeholder", "Write a letter template", "Dear [Your Name], thank you.", false },
    { "placeholder", "Say hi", "Hello {{name}}!", true },
    { "placeholder", "Finish it", "TODO: write this", true },
    { "placeholder", "Search", "grep -r 'TODO' src", false },
    { "placeholder", "See", "See [your account](https://x.example).", false },
    { "length_ratio", "A?", "yes", false },
    { "script", "Please tell me something about the weather", "Сегодня очень хорошая погода, светит солнце", true },
    { "script", "Translate it: the weather is very good today", "Сегодня очень хорошая погода, светит солнце", false },
    { "script", "Найди все файлы в этой папке и удали их", "find . -type f -name '*.tmp' -print0 | xargs -0 rm -f", false },
    { "quotes", "x", "He said \"come here and left.", true },
    { "quotes", "x", "A 5\" pipe isn't a \"pipe\".", false },
    { "quotes", "x", "echo 'a \" b' | sed 's/\\\"//'", false },
    { "json", "Answer in JSON", "{\"a\": 1, \"b\": [1, 2", true },
    { "json", "Answer in JSON", "Here it is:\n```json\n{\"a\": 1,}\n```", true },
    { "json", "Answer in JSON", "Here it is:\n```json\n{\"a\": 1}\n```", false },
    { "json", "What is JSON?", "JSON is a format for data.", false },
    { "json", "Print braces", "{ echo a; }", false },
    { "urls", "Tell me more", "https://example.org/a http://example.org/b", true },
    { "urls", "Give me the link", "https://example.org/a", false },
    { "urls", "Tell me more", "Read https://example.org/a, which explains it.", false },
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        HeuristicReport r;
        const int k = heuristic_kind_of(rows[i].rule);
        assert_true(k >= 0);
        heuristics_score(str_of(rows[i].prompt), str_of(rows[i].answer), 0, &r);
        if (((r.fired >> k) & 1) != rows[i].fires)
            fail_msg("row %zu, %s: value %.3f, bound %.3f: %s -> %s", i, rows[i].rule, (double)r.value[k], (double)heuristic_rows[k].bound, rows[i].prompt, rows[i].answer);
        assert_true(heuristic_fires((HeuristicKind)k, r.value[k], heuristic_rows[k].bound) == rows[i].fires);
    }
}

static void test_length_ratio(void **state)
{
    (void)state;
    StrBuf b = { 0 };
    HeuristicReport r;
    while (b.n < 4000)
        strbuf_addf(&b, "word%zu ", b.n);
    heuristics_score(STR_LIT("Hi"), strbuf_str(&b), 0, &r);
    assert_true(fabs((double)r.value[HEURISTIC_LENGTH] - log10((double)b.n / 3)) < 0.01 && (r.fired >> HEURISTIC_LENGTH & 1));
    strbuf_release(&b);
}

static void test_score(void **state)
{
    (void)state;
    HeuristicReport good, longer, bad;
    heuristics_score(STR_LIT("Explain the bridge"), str_of(LONG_A), 0, &good);
    heuristics_score(STR_LIT("Explain the bridge"), str_of(LONG_A " It is still the widest of its kind."), 0, &longer);
    heuristics_score(STR_LIT("Explain the bridge"), STR_LIT("As an AI language model, I cannot explain bridges."), 0, &bad);
    assert_true(good.fired == 0 && longer.score > good.score && good.score > bad.score && longer.score <= 1);
    const float n = (float)strlen(LONG_A);
    assert_true(fabsf(good.score - (0.9f + 0.1f * n / (n + 200))) < 1e-6f);
    assert_true(fabsf(bad.score - (0.9f + 0.1f * 50 / 250) * (1 - heuristic_rows[HEURISTIC_REFUSAL].weight)) < 1e-6f);
    heuristics_score((Str){ 0 }, (Str){ 0 }, 0, &bad);
    assert_true(bad.score == 0);
    heuristics_score(STR_LIT("\xFF\xFE"), STR_LIT("\xC3\xFF ok"), 0, &bad);
    assert_true(bad.score > 0);
}

static void test_rows_are_whole(void **state)
{
    (void)state;
    for (int k = 0; k < HEURISTIC_KINDS; k++) {
        assert_true(heuristic_rows[k].name && heuristic_rows[k].removes && heuristic_rows[k].weight > 0 && heuristic_rows[k].weight <= 1);
        assert_int_equal(heuristic_kind_of(heuristic_rows[k].name), k);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules), cmocka_unit_test(test_length_ratio), cmocka_unit_test(test_score), cmocka_unit_test(test_rows_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
