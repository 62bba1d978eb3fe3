/* questions_prompt.c - what the teacher is told. The passage stands first in both requests, so that a server which keeps beginnings reads it once. There is no
 * system message: some templates know none. */
#include "prep/questions.h"

static const char rules[] =
    "Write %lld question%s that this passage answers, each with its answer.\n"
    "- Somebody who reads a question does not see the passage. So name what the question is about in full, and never speak of \"the passage\", \"the text\", \"above\" "
    "or the like.\n"
    "- An answer says what the passage says and nothing more, in one to four complete sentences. Take over numbers, dates and names as they are written there.\n"
    "- Ask about different facts. Ask nothing that is answered by yes or no, and nothing that a reader could not want to know.\n"
    "- Write in the language of the passage.\n"
    "- Where the passage says less (a list of contents, an address, a menu), write fewer pairs, or none: [].\n"
    "Reply with JSON and nothing else:\n"
    "[{\"question\": \"...\", \"answer\": \"...\"}]";

static const char scoring[] =
    "Judge %zu pair%s of a question and an answer that were made from this passage. Give each a number:\n"
    "5: the question is clear without the passage, and the answer is right, complete and said by the passage.\n"
    "4: the same, with a flaw of wording.\n"
    "3: the answer leaves out something that the question asks for, or the question is not quite clear.\n"
    "2: a part of the answer is not said by the passage.\n"
    "1: the answer is wrong, or answers another question.\n"
    "Reply with JSON and nothing else, the numbers in the order of the pairs: [%s]";

static void put(StrBuf *b, const char *before, Str s, const char *after)
{
    if (!s.n)
        return;
    strbuf_addz(b, before);
    strbuf_add(b, s.p, s.n);
    strbuf_addz(b, after);
}

static void put_passage(StrBuf *b, const PassagePlace *p)
{
    put(b, "Document: ", p->title, "\n");
    put(b, "Place: ", p->part, "\n");
    put(b, "Section: ", p->section, "\n");
    strbuf_addz(b, "Passage:\n<<<\n");
    put(b, "", p->lead, "\n");
    put(b, "", p->text, "\n>>>\n\n");
}

static Json *as_messages(StrBuf *b)
{
    Json *list = json_arr_new(), *m = json_obj_new();
    json_set(m, "role", json_str_new(STR_LIT("user")));
    json_set(m, "content", json_str_new(strbuf_str(b)));
    json_push(list, m);
    strbuf_release(b);
    return list;
}

Json *questions_ask(const PassagePlace *p, int64_t n)
{
    StrBuf b = { 0 };
    put_passage(&b, p);
    strbuf_addf(&b, rules, (long long)n, n == 1 ? "" : "s");
    return as_messages(&b);
}

Json *questions_ask_scores(const PassagePlace *p, const QuestionPair *pair, size_t n)
{
    StrBuf b = { 0 };
    Json  *list = json_arr_new();
    put_passage(&b, p);
    for (size_t i = 0; i < n; i++) {
        Json *one = json_obj_new();
        json_set(one, "question", json_str_new(str_of(pair[i].question)));
        json_set(one, "answer", json_str_new(str_of(pair[i].answer)));
        json_push(list, one);
    }
    json_write(&b, list, true);
    strbuf_addz(&b, "\n\n");
    strbuf_addf(&b, scoring, n, n == 1 ? "" : "s", n == 1 ? "5" : n == 2 ? "5, 2" : "5, 2, ...");
    json_free(list);
    return as_messages(&b);
}
