/* knowledge.c - see knowledge.h: asks the model what a row says, and sorts the rows by how often it was right.
 * Main struct: Asker. Invariant: what is drawn for a row (shots, samples) is a function of the seed and the row's number, whatever else is asked. */
#include "prep/knowledge.h"

#include <stdlib.h>

#include "base/rng.h"
#include "infer/generate.h"

const char *know_class_name(KnowClass c)
{
    static const char *const name[] = { [KNOW_NOT_ASKED] = "not asked", [KNOW_HIGHLY] = "HighlyKnown", [KNOW_MAYBE] = "MaybeKnown",
                                        [KNOW_WEAKLY] = "WeaklyKnown", [KNOW_UNKNOWN] = "Unknown" };
    BUG_ON((size_t)c >= ARRAY_LEN(name));
    return name[c];
}

static Str trimmed(Str s)
{
    while (s.n && memchr(" \t\r\n", s.p[0], 4))
        s = (Str){ s.p + 1, s.n - 1 };
    while (s.n && memchr(" \t\r\n", s.p[s.n - 1], 4))
        s.n--;
    return s;
}

static bool can_ask(const Json *row, Str *question, Str *answer)
{
    size_t words = 1;
    if (!knowledge_question(row, question, answer))
        return false;
    *question = trimmed(*question);
    *answer = trimmed(*answer);
    for (size_t i = 0; i < answer->n; i++) {
        if (answer->p[i] == '\n')
            return false;
        words += answer->p[i] == ' ';
    }
    return question->n && answer->n && words <= KNOWLEDGE_WORDS;
}

typedef struct Question { size_t row; Str question, answer; } Question;

typedef struct Asker {
    Generator        gen;
    const ScoreRows *rows;
    KnowledgeOptions o;
    VEC(Question)    all;      /* every row that can be asked: they are the shots of each other */
    StopList         line;     /* an answer ends with its line */
    TokIds           ids;
    StrBuf           text;
} Asker;

static int options(KnowledgeOptions *o, Err *e)
{
    struct { const char *name; int64_t *v, def, least; } n[] = {
        { "prompts", &o->prompts, KNOWLEDGE_PROMPTS, 1 },
        { "sampled answers", &o->samples, KNOWLEDGE_SAMPLES, 0 },
        { "shots", &o->shots, KNOWLEDGE_SHOTS, 0 },
    };
    for (size_t i = 0; i < ARRAY_LEN(n); i++) {
        if (!*n[i].v)
            *n[i].v = n[i].def;
        else if (*n[i].v == -1 && !n[i].least)
            *n[i].v = 0;
        else if (*n[i].v < 0 || *n[i].v > KNOWLEDGE_MOST)
            return err_set(e, ERR_ARG, "%lld %s are asked for; expected are at most %d", (long long)*n[i].v, n[i].name, KNOWLEDGE_MOST);
    }
    o->temperature = o->temperature > 0 ? o->temperature : 0.5;
    o->answer_tokens = o->answer_tokens > 0 ? o->answer_tokens : KNOWLEDGE_TOKENS;
    return 0;
}

/* Draws the shots of prompt number p for question q: others with another question, each once. */
static size_t draw_shots(const Asker *a, size_t q, int64_t p, size_t shot[KNOWLEDGE_MOST])
{
    const Question *all = a->all.p;
    Rng    r = rng_at(a->o.seed, RNG_SPLIT, hash64((uint64_t[]){ 0x534c69434bu, all[q].row, (uint64_t)p }, 3 * sizeof(uint64_t)), 0);
    size_t n = 0;
    /* As many tries as would nearly always do: rows that ask the same as this one are no shots, and there may be few others. */
    for (int64_t tries = 0; n < (size_t)a->o.shots && tries < 16 * a->o.shots; tries++) {
        const size_t c = (size_t)rng_below(&r, a->all.n);
        bool         again = str_eq(all[c].question, all[q].question);
        for (size_t i = 0; i < n; i++)
            again |= shot[i] == c;
        if (!again)
            shot[n++] = c;
    }
    return n;
}

static void put_question(StrBuf *text, Str question)
{
    strbuf_addz(text, "Q: ");
    strbuf_add(text, question.p, question.n);
    strbuf_addz(text, "\nA:");
}

static int prompt_of(Asker *a, size_t q, const size_t *shot, size_t n, Err *e)
{
    const Question *all = a->all.p;
    strbuf_clear(&a->text);
    for (size_t i = 0; i < n; i++) {
        put_question(&a->text, all[shot[i]].question);
        strbuf_addc(&a->text, ' ');
        strbuf_add(&a->text, all[shot[i]].answer.p, all[shot[i]].answer.n);
        strbuf_addz(&a->text, "\n\n");
    }
    put_question(&a->text, all[q].question);
    vec_clear(&a->ids);
    int rc = tok_encode(a->rows->tok, strbuf_str(&a->text), TOK_SPECIAL | TOK_PLAIN, &a->ids, e);
    return rc ? err_wrap(e, "%s, row %zu", a->rows->name, all[q].row + 1) : 0;
}

/* Puts the prompt into the generator, with as many shots as there is room for beside an answer. 1: there is none for the question alone. */
static int put_prompt(Asker *a, size_t q, int64_t p, Err *e)
{
    const int32_t room = generator_positions(&a->gen) - (int32_t)MIN(a->o.answer_tokens, generator_positions(&a->gen) / 2);
    size_t        shot[KNOWLEDGE_MOST], n = draw_shots(a, q, p, shot);
    int           rc;
    while (!(rc = prompt_of(a, q, shot, n, e)) && a->ids.n >= (size_t)room && n)
        n--;
    if (rc)
        return rc;
    if (a->ids.n >= (size_t)room)
        return 1;
    generator_plan(&a->gen, (int64_t)a->ids.n + a->o.answer_tokens);
    return generator_prompt(&a->gen, a->ids.p, (int32_t)a->ids.n, e);
}

static int answer_right(Asker *a, size_t q, const GenOptions *g, uint64_t sequence, int32_t *right, Err *e)
{
    StrBuf    text = { 0 };
    GenResult r;
    const int rc = generator_run(&a->gen, g, sequence, NULL, &text, &r, e);
    *right += !rc && knowledge_right(a->all.p[q].answer, trimmed(strbuf_str(&text)));
    strbuf_release(&text);
    return rc;
}

static KnowClass class_of(const KnowledgeRow *k)
{
    if (k->greedy_right == k->greedy && (k->greedy > 1 || k->sampled_right == k->sampled))
        return KNOW_HIGHLY;
    return k->greedy_right ? KNOW_MAYBE : k->sampled_right ? KNOW_WEAKLY : KNOW_UNKNOWN;
}

static int ask(Asker *a, size_t q, KnowledgeRow *k, Err *e) /* 1: there is no room for the question */
{
    GenOptions greedy = { .max_tokens = a->o.answer_tokens, .stop = &a->line }, warm = greedy;
    int        rc = 0;
    warm.sample = (SampleOptions){ .temperature = a->o.temperature, .seed = a->o.seed };
    for (int64_t p = 0; p < a->o.prompts && !rc; p++) {
        if ((rc = put_prompt(a, q, p, e)) || (rc = answer_right(a, q, &greedy, 0, &k->greedy_right, e)))
            break;
        k->greedy++;
        const uint64_t sequence = ((uint64_t)a->all.p[q].row * KNOWLEDGE_MOST + (uint64_t)p) * KNOWLEDGE_MOST;
        for (int64_t s = 0; s < a->o.samples && !rc; s++, k->sampled++)
            rc = answer_right(a, q, &warm, sequence + (uint64_t)s, &k->sampled_right, e);
    }
    k->class = rc ? KNOW_NOT_ASKED : class_of(k);
    return rc;
}

/* Which of the questions are asked: all, or `most` of them by a draw, in order of rows. */
static bool *draw_questions(const Asker *a, size_t *n_asked)
{
    bool    *asked = mem_zalloc(a->all.n + 1, sizeof *asked);
    int64_t *order = mem_zalloc(a->all.n + 1, sizeof *order);
    Rng      r = rng_at(a->o.seed, RNG_SPLIT, hash64("questions", 9), 0);
    for (size_t i = 0; i < a->all.n; i++)
        order[i] = (int64_t)i;
    *n_asked = a->all.n;
    if (a->o.most && a->o.most < a->all.n) {
        rng_shuffle(&r, order, (int64_t)a->all.n);
        *n_asked = a->o.most;
    }
    for (size_t i = 0; i < *n_asked; i++)
        asked[order[i]] = true;
    free(order);
    return asked;
}

int knowledge_ask(Model *m, const ScoreRows *rows, const KnowledgeOptions *o, KnowledgeRow *out, Knowledge *sum, Err *e)
{
    Asker  a = { .rows = rows, .o = *o };
    bool  *asked = NULL;
    size_t n_asked = 0, done = 0;
    int    rc = options(&a.o, e);
    *sum = (Knowledge){ 0 };
    if (rc || (rc = model_reserve_positions(m, MIN(KNOWLEDGE_POSITIONS, m->cfg.max_positions), e)))
        return rc;
    generator_open(&a.gen, m, NULL, rows->tok);
    if ((rc = stop_list_parse(&a.line, "\\n", e)))
        goto done;
    for (size_t i = 0; i < rows->n; i++) {
        Question q = { .row = i };
        out[i] = (KnowledgeRow){ 0 };
        if (can_ask(rows->row[i], &q.question, &q.answer))
            *vec_push(&a.all) = q;
    }
    sum->count[KNOW_NOT_ASKED] = (int64_t)rows->n;
    asked = draw_questions(&a, &n_asked);
    for (size_t q = 0; q < a.all.n && !rc; q++) {
        if (!asked[q])
            continue;
        const size_t  i = a.all.p[q].row;
        KnowledgeRow  k = { 0 };
        if ((rc = score_stopped(&o->hooks, done, n_asked, e)) || (rc = ask(&a, q, &k, e)) < 0)
            break;
        rc = 0;
        out[i] = k;
        sum->count[KNOW_NOT_ASKED]--;
        sum->count[k.class]++;
        if (o->asked)
            o->asked(o->hooks.user, i, &k);
        score_progress(&o->hooks, ++done, n_asked);
    }
done:
    generator_close(&a.gen);
    stop_list_release(&a.line);
    vec_release(&a.all);
    vec_release(&a.ids);
    strbuf_release(&a.text);
    free(asked);
    return rc;
}

/* ---- advice ---- */

void knowledge_advice(const Knowledge *k, StrBuf *out)
{
    const int64_t asked = k->count[KNOW_HIGHLY] + k->count[KNOW_MAYBE] + k->count[KNOW_WEAKLY] + k->count[KNOW_UNKNOWN];
    /* Bounds in steps that the evidence supports (Gekhman et al. 2024: the more unknown rows are fitted the lower the accuracy, most of it
     * after the point where the held-out loss is best: 37.5 there and 25.8 at convergence with unknown rows alone); the first that the share reaches speaks. */
    static const struct { double least; const char *text; } advice[] = {
        { 0.5, "Most of these rows state what the model does not know: fine-tuning alone will teach it to state more that is wrong. Give it the facts with "
               "the question (retrieval), or answer the unknown ones with \"I don't know\" in training; where they must be learned, stop at the best held-out loss." },
        { 0.2, "A good part of the rows is new to the model: stop at the best held-out loss, since what follows mostly memorises them; consider retrieval for "
               "the facts, or \"I don't know\" as the answer of the unknown rows." },
        { 0.05, "Few rows are new to the model: stop at the best held-out loss and compare what it says about facts before and after." },
        { 0, "The model knows nearly all of this: training shapes how it answers, and teaches it few facts." },
    };
    if (!asked) {
        strbuf_addz(out, "No row could be asked: none has one question with one short answer, so nothing is known about facts in these rows.");
        return;
    }
    const double unknown = (double)k->count[KNOW_UNKNOWN] / (double)asked;
    for (KnowClass c = KNOW_HIGHLY; c < KNOW_CLASSES; c++)
        strbuf_addf(out, "%s%s %.0f %%", c == KNOW_HIGHLY ? "" : ", ", know_class_name(c), 100.0 * (double)k->count[c] / (double)asked);
    strbuf_addf(out, " of %lld rows asked. ", (long long)asked);
    for (size_t i = 0; i < ARRAY_LEN(advice); i++)
        if (unknown >= advice[i].least) {
            strbuf_addz(out, advice[i].text);
            return;
        }
}
