/* heuristics_rules.c - the rules that look for particular text: refusals, blanks, the prompt in the answer, quotes, JSON.
 * To add a phrase in another language: a row of the table of its rule, letters small. */
#include "base/json.h"
#include "base/mem.h"
#include "prep/heuristics_int.h"

#include <stdlib.h>
#include <strings.h>

#define ECHO_MIN 18 /* letters and digits of a prompt whose repetition tells something */

static bool is_letter(char ch)
{
    return (ch | 0x20) >= 'a' && (ch | 0x20) <= 'z';
}

/* What is written into a field that must not be empty, small and without signs around it. */
static const char *const nothings[] = {
    "n/a", "n.a", "n. a", "n\\a", "#n/a", "#nv", "k.a", "k. a", "k/a", "keine angabe", "keine angaben", "ohne angabe", "nicht zutreffend", "entf\xC3\xA4llt", "no answer", "not applicable", "not available", "no data", "keine antwort", "n.v.t", "n/d", "n.d", "s/o", "sans objet", "sans r\xC3\xA9ponse",
    "no aplica", "sin respuesta", "non applicabile", "nessuna risposta", "niet van toepassing", "geen antwoord", "n\xC3\xA3o se aplica", "sem resposta", "nie dotyczy",
};

/* What a program writes there, each of which may be the right answer to a question about one. ("None" is the right answer to many.) */
static const char *const no_values[] = { "null", "nan", "undefined" };

/* A word that the prompt holds is one of the answers that it offers. */
static bool is_one_of(Str small, Str prompt, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eqz(small, words[i]))
            return !text_has(prompt, words[i]);
    return false;
}

bool says_nothing(Str prompt, Str answer)
{
    static const char signs[] = " \t\n\r\"'()[]{}<>*_-.!:";
    static const char *const programs[] = { "`", "()", "output", "print(", "json", "sql", "function", "variable", "expression", "script", "python", "code" };
    while (answer.n && memchr(signs, *answer.p, sizeof signs - 1))
        answer = (Str){ answer.p + 1, answer.n - 1 };
    while (answer.n && memchr(signs, answer.p[answer.n - 1], sizeof signs - 1))
        answer.n--;
    if (!answer.n || answer.n > 32 || !utf8_valid(answer, NULL))
        return false;
    StrBuf small = { 0 };
    utf8_lower(&small, answer);
    const bool found = is_one_of(strbuf_str(&small), prompt, nothings, ARRAY_LEN(nothings)) ||
                       (is_one_of(strbuf_str(&small), prompt, no_values, ARRAY_LEN(no_values)) && !text_has_any(prompt, programs, ARRAY_LEN(programs)));
    strbuf_release(&small);
    return found;
}

/* "I'm sorry, but as an AI ..." */
static bool behind_but(Str s, size_t i)
{
    static const char *const buts[] = { ", but ", ", aber ", ", mais ", ", pero ", ", ma ", ", mas ", ", maar ", ", men ", ", ale " };
    for (size_t k = 0; k < ARRAY_LEN(buts); k++)
        if (i >= strlen(buts[k]) && !strncasecmp(s.p + i - strlen(buts[k]), buts[k], strlen(buts[k])))
            return true;
    return false;
}

float says_refusal(Str s)
{
    static const char *const starts[] = {
        "as an ai", "as a language model", "as a large language model", "i'm sorry, but i", "i am sorry, but i", "i\xE2\x80\x99m sorry, but i", "i'm just an ai",
        "i'm an ai", "i am an ai", "sorry, but i can", "i cannot assist", "i can't assist", "i cannot fulfill", "i can't fulfill", "i cannot provide",
        "i cannot help", "i can not help", "i can't help", "i\xE2\x80\x99m unable to", "i'm unable to", "i am unable to", "i'm not able to", "i apologize, but", "i must decline",
        "als ki", "als ein ki", "als sprachmodell", "als k\xC3\xBCnstliche intelligenz", "es tut mir leid, aber ich kann", "tut mir leid, aber ich",
        "es tut mir leid, aber dabei kann ich", "tut mir leid, aber dabei kann ich", "leider kann ich ihnen dabei nicht helfen", "dabei kann ich ihnen nicht helfen",
        "en tant qu'ia", "en tant que mod\xC3\xA8le de langage", "en tant qu'intelligence artificielle", "je suis d\xC3\xA9sol\xC3\xA9, mais je", "d\xC3\xA9sol\xC3\xA9, je ne peux pas", "je ne peux pas vous aider",
        "como ia", "como modelo de lenguaje", "como una ia", "lo siento, pero no puedo", "como um modelo de linguagem", "como uma ia", "desculpe, mas n\xC3\xA3o posso",
        "come ia", "come modello linguistico", "in quanto ia", "mi dispiace, ma non posso", "als ai-", "als taalmodel", "het spijt me, maar ik kan",
        "som en ai", "som ai-", "som en spr\xC3\xA5kmodell", "jako model j\xC4\x99zykowy", "jako ai", "jako jazykov\xC3\xBD model", "ca model de limbaj",
        "\xD0\xBA\xD0\xB0\xD0\xBA \xD1\x8F\xD0\xB7\xD1\x8B\xD0\xBA\xD0\xBE\xD0\xB2\xD0\xB0\xD1\x8F \xD0\xBC\xD0\xBE\xD0\xB4\xD0\xB5\xD0\xBB\xD1\x8C",
        "\xD0\x9A\xD0\xB0\xD0\xBA \xD1\x8F\xD0\xB7\xD1\x8B\xD0\xBA\xD0\xBE\xD0\xB2\xD0\xB0\xD1\x8F \xD0\xBC\xD0\xBE\xD0\xB4\xD0\xB5\xD0\xBB\xD1\x8C",
        "\xE4\xBD\x9C\xE4\xB8\xBA\xE4\xB8\x80\xE4\xB8\xAA" "ai", "\xE4\xBD\x9C\xE4\xB8\xBA" "ai", "ai\xE8\xA8\x80\xE8\xAA\x9E\xE3\x83\xA2\xE3\x83\x87\xE3\x83\xAB\xE3\x81\xA8\xE3\x81\x97\xE3\x81\xA6",
        "\xE7\x94\xB3\xE3\x81\x97\xE8\xA8\xB3\xE3\x81\x82\xE3\x82\x8A\xE3\x81\xBE\xE3\x81\x9B\xE3\x82\x93\xE3\x81\x8C",
    };
    float n = 0;
    const size_t end = MIN(s.n, (size_t)HEURISTIC_REFUSAL_READ);
    for (size_t i = 0; i < end; i++) {
        if (i > 0 && !behind_but(s, i) && !((s.p[i - 1] == ' ' && i > 1 && strchr(".!?,:", s.p[i - 2]) && s.p[i - 2]) || s.p[i - 1] == '\n'))
            continue; /* only where a sentence or a clause begins */
        for (size_t k = 0; k < ARRAY_LEN(starts); k++)
            if ((s.p[i] | 0x20) == (starts[k][0] | 0x20) && strlen(starts[k]) <= s.n - i)
                n += strncasecmp(s.p + i, starts[k], strlen(starts[k])) == 0 ? 1.0f : 0;
    }
    return n;
}

/* [Your Name], [Insert date here], [Company]: a bracket of one to four words that begins with one of these. */
static bool is_blank_bracket(const char *p, size_t n)
{
    static const char *const words[] = { "your ", "insert ", "name]", "company", "date]", "address]", "email]", "phone", "recipient", "customer name", "client name", "title]",
                                         "ihr name", "ihre ", "firma", "datum]", "votre ", "nom]", "su nombre", "tu nombre", "nombre]", "il tuo " };
    const char *close = memchr(p, ']', MIN(n, (size_t)40));
    if (!close || (close + 1 < p + n && close[1] == '('))
        return false; /* [text](link) */
    for (size_t k = 0; k < ARRAY_LEN(words); k++)
        if (n > strlen(words[k]) + 1 && strncasecmp(p + 1, words[k], strlen(words[k])) == 0)
            return true;
    return false;
}

float has_placeholder(Str prompt, Str s)
{
    static const char *const words[] = { "TODO", "FIXME", "TBD", "XXX", "PLACEHOLDER" };
    static const char *const excuses[] = { "template", "placeholder", "vorlage", "mod\xC3\xA8le", "plantilla", "lorem", "todo", "jinja", "fixme", "{{", "tbd", "xxx", "<your", "<insert", "[your" };
    float n = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char ch = s.p[i];
        const size_t left = s.n - i;
        if (ch == '[') {
            n += is_blank_bracket(s.p + i, left) ? 1.0f : 0;
        } else if (ch == '{' && left > 4 && s.p[i + 1] == '{' && (is_letter(s.p[i + 2]) || s.p[i + 2] == ' ')) {
            const char *close = memmem(s.p + i, MIN(left, (size_t)60), "}}", 2);
            n += close && !memmem(s.p + i, (size_t)(close - (s.p + i)), "..", 2) && !memchr(s.p + i, '\n', (size_t)(close - (s.p + i))) ? 1.0f : 0;
        } else if ((ch | 0x20) == 'l' && left >= 11) {
            n += strncasecmp(s.p + i, "lorem ipsum", 11) == 0 ? 1.0f : 0;
        } else if (ch == '<' && left > 8) {
            n += strncasecmp(s.p + i, "<insert ", 8) == 0 || strncasecmp(s.p + i, "<your ", 6) == 0 ? 1.0f : 0;
        } else if (memchr("TFXP", ch, 4) && (i == 0 || (!is_letter(s.p[i - 1]) && !strchr("-_/$.'\"", s.p[i - 1])))) {
            for (size_t k = 0; k < ARRAY_LEN(words); k++) {
                const size_t len = strlen(words[k]);
                n += left >= len && memcmp(s.p + i, words[k], len) == 0 && (left == len || strchr(" :.\n", s.p[i + len])) ? 1.0f : 0;
            }
        }
    }
    return n > 0 && text_has_any(prompt, excuses, ARRAY_LEN(excuses)) ? 0 : n;
}

/* The next letter or digit of s from *at (small, bytes beyond ASCII as they are), or -1. */
static int next_solid(Str s, size_t *at)
{
    while (*at < s.n) {
        const unsigned char ch = (unsigned char)s.p[(*at)++];
        if (is_letter((char)ch))
            return ch | 0x20;
        if (ch >= 0x80 || (ch >= '0' && ch <= '9'))
            return ch;
    }
    return -1;
}

/* How many letters and digits of the prompt the answer begins with; *whole: all of them. *rest: whether the answer goes on. */
static size_t common_start(Str prompt, Str answer, bool *whole, bool *rest)
{
    size_t i = 0, k = 0, n = 0;
    for (;; n++) {
        const int a = next_solid(prompt, &i), b = next_solid(answer, &k);
        if (a != b || a < 0) {
            *whole = a < 0;
            *rest = b >= 0;
            return n;
        }
    }
}

float echoes_prompt(Str prompt, Str answer)
{
    bool whole, rest;
    return common_start(prompt, answer, &whole, &rest) >= ECHO_MIN && whole && !rest ? 1 : 0; /* labels may say what a short prompt says */
}

float leaks_prompt(Str prompt, Str answer)
{
    static const char *const marks[] = { "<|im_start|>", "<|im_end|>", "[INST]", "[/INST]", "### Instruction:", "### Response:", "<|user|>", "<|assistant|>",
                                         "<start_of_turn>", "<|eot_id|>", "<|endoftext|>" };
    bool whole, rest;
    if (common_start(prompt, answer, &whole, &rest) >= ECHO_MIN && whole && rest)
        return 1;
    for (size_t k = 0; k < ARRAY_LEN(marks); k++)
        if (memmem(answer.p ? answer.p : "", answer.n, marks[k], strlen(marks[k])) && !memmem(prompt.p ? prompt.p : "", prompt.n, marks[k], strlen(marks[k])))
            return 1;
    return 0;
}

float quotes_open(Str s)
{
    bool open = false, single = false;
    if (!memchr(s.p ? s.p : "", '"', s.n) || memchr(s.p, '`', s.n) || memmem(s.p, s.n, "$(", 2))
        return 0; /* none, or code, or a shell's quotes within quotes */
    for (size_t i = 0; i < s.n; i++) {
        const char ch = s.p[i], before = i ? s.p[i - 1] : ' ', after = i + 1 < s.n ? s.p[i + 1] : ' ';
        if (ch == '\\')
            i++; /* what follows is no quote */
        else if (ch == '\'' && !open && (single || !(is_letter(before) && is_letter(after))) && (single || memchr(s.p + i + 1, '\'', s.n - i - 1)))
            single = !single; /* 'in single quotes', but not don't */
        else if (ch == '"' && !single && !(before >= '0' && before <= '9' && !open)) /* 5" is inches */
            open = !open;
    }
    return open ? 1 : 0;
}

float json_broken(Str prompt, Str answer)
{
    if (!text_has(prompt, "json"))
        return 0;
    Str body = answer;
    const char *fence = memmem(answer.p ? answer.p : "", answer.n, "```", 3);
    if (fence) { /* the first fenced block, when it says json or nothing */
        const size_t left = answer.n - (size_t)(fence - answer.p);
        const char *line = memchr(fence, '\n', left);
        const char *end = line ? memmem(line, left - (size_t)(line - fence), "```", 3) : NULL;
        if (!line || !((line - fence == 3) || text_has((Str){ fence, (size_t)(line - fence) }, "json")))
            return 0;
        body = (Str){ line, end ? (size_t)(end - line) : left - (size_t)(line - fence) };
    }
    body = text_trim(body);
    if (body.n == 0 || (body.p[0] != '{' && body.p[0] != '['))
        return 0; /* words about JSON */
    Json *j = NULL;
    Err e;
    const bool ok = json_parse(&j, body, "answer", &e) == 0;
    json_free(j);
    return ok ? 0 : 1;
}
