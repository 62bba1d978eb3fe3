/* fuzz_questions.c - any bytes as what a teacher says and as what its server replies: pairs, scores, the reply of chat completions and its errors. The pairs are judged
 * against the rest of the bytes as their passage. What is found keeps its promises: texts are not empty, a passage supports its own sentences. */
#include "base/mem.h"
#include "base/utf8.h"
#include "infer/teacher_int.h"
#include "prep/questions.h"
#include "prep/questions_ground.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void judge(Str passage, const QuestionPairs *pairs)
{
    StrBuf    text = { 0 };
    Grounding g, again;
    utf8_repair(&text, passage);
    Ground *ground = ground_new(strbuf_str(&text), (Str){ "", 0 }, (Str){ "", 0 });
    for (size_t i = 0; i < pairs->item.n; i++) {
        const Str q = str_of(pairs->item.p[i].question), a = str_of(pairs->item.p[i].answer);
        const bool good = ground_judge(ground, q, a, &g);
        BUG_ON(good != !*g.why || !(g.share >= 0 && g.share <= 1) || g.found > g.words || !utf8_valid(str_of(g.why), NULL));
        BUG_ON(good && g.words && g.share < GROUND_LEAST);
        ground_judge(ground, q, a, &again);
        BUG_ON(strcmp(g.why, again.why));
    }
    if (text.n && text.n < 2000) { /* all of it as its own answer: every word, number and name is there */
        ground_judge(ground, strbuf_str(&text), strbuf_str(&text), &g);
        BUG_ON(g.found != g.words || str_starts(str_of(g.why), "unsupported"));
    }
    ground_free(ground);
    strbuf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    const Str     all = { (const char *)p, n };
    const char   *zero = n ? memchr(p, 0, n) : NULL;
    const Str     answer = { all.p, zero ? (size_t)(zero - all.p) : n };
    QuestionPairs pairs;
    Err           e = { 0 };
    int           score[3];
    StrBuf        text = { 0 }, says = { 0 };
    AnswerEnd     end = ANSWER_WHOLE;
    if (questions_parse(answer, &pairs, &e))
        BUG_ON(e.code != ERR_INPUT || !str_starts(str_of(e.text), "unreadable_answer: ") || pairs.item.n);
    for (size_t i = 0; i < pairs.item.n; i++)
        BUG_ON(!*pairs.item.p[i].question || !*pairs.item.p[i].answer);
    judge(zero ? (Str){ zero + 1, n - answer.n - 1 } : answer, &pairs);
    questions_release(&pairs);
    for (size_t k = 1; k <= 3; k++)
        if (questions_parse_scores(answer, k, score))
            for (size_t i = 0; i < k; i++)
                BUG_ON(score[i] < 1 || score[i] > QUESTIONS_SCORE_MAX);
    if (wire_answer(all, &text, &end, &e))
        BUG_ON(e.code != ERR_INPUT || text.n);
    wire_says(all, &says);
    BUG_ON(says.n > WIRE_SAYS + 3 || !utf8_valid(strbuf_str(&says), NULL) || (says.n && memchr(says.p, '\n', says.n)));
    BUG_ON(wire_unknown_field(all) >= WIRE_FIELDS);
    strbuf_release(&text);
    strbuf_release(&says);
    return 0;
}
