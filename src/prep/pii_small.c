/* pii_small.c - names of persons in small letters, as people write in a chat: "hi its jürgen müller", "lg anna", "my name is mark smith".
 * A capital cannot speak for them, so the tables must have every word, and something must stand before them that names follow: a phrase of pii_name.c. In a
 * text without any capital a given name with a family name behind it is enough.
 * Invariant: a word is looked up in the tables only when pii_small_due holds, which costs a few comparisons. */
#include "prep/pii_int.h"

enum { STRONG = 1, WEAK = 2, END = 4, HAIL = 8 };
static const struct { int set, what; } sets[] = { { PII_NAMING, STRONG }, { PII_SELF, WEAK }, { PII_FAREWELL, END }, { PII_HAIL, HAIL } };

/* The last two letters of a phrase, as a place in a set of 1024 bits. */
static unsigned tail(char before, char last)
{
    return (((unsigned char)ch_low(before) & 31u) << 5 | ((unsigned char)ch_low(last) & 31u)) & 1023u;
}

void pii_small_index(PiiPhrases *x, int set, const char *phrase)
{
    const size_t n = strlen(phrase);
    for (size_t k = 0; k < ARRAY_LEN(sets); k++)
        if (sets[k].set == set) {
            const unsigned bit = tail(phrase[n - 2], phrase[n - 1]);
            x->small[bit / 8] = (uint8_t)(x->small[bit / 8] | 1u << bit % 8);
        }
}

/* At most this much of a text is searched for a capital: a chat message is shorter, and a book has one on its first page. */
#define SMALL_MAX ((size_t)4096)

bool pii_no_capital(Str text)
{
    if (text.n > SMALL_MAX)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (ch_is(text.p[i], CH_UPPER) || ((unsigned char)text.p[i] == 0xC3 && i + 1 < text.n && (unsigned char)text.p[i + 1] < 0x9F))
            return false;
    return true;
}

bool pii_small_due(const PiiText *t, size_t i, size_t end)
{
    size_t k = i;
    if (end - i < 3 || !pii_words_may_be_given(t->s->words, t->p + i, end - i) || !pii_wants(t, PII_PERSON) || i < t->name_end)
        return false;
    if (t->small)
        return true;
    while (k > 0 && i - k < 8 && (ch_is(t->p[k - 1], CH_SPACE) || t->p[k - 1] == ',' || t->p[k - 1] == '.' || t->p[k - 1] == '!' || t->p[k - 1] == ':' ||
                                  t->p[k - 1] == '"' || t->p[k - 1] == '-'))
        k--;
    if (k == i || k < 2)
        return false;
    const unsigned bit = tail(t->p[k - 2], t->p[k - 1]);
    return t->s->phrases.small[bit / 8] >> bit % 8 & 1;
}

/* The words of a name from i on, in small letters. */
typedef struct Small { size_t end, words; unsigned first; bool family; } Small;

static unsigned word_here(const PiiText *t, size_t i, size_t end) { return pii_words_find(t->s->words, (Str){ t->p + i, end - i }); }

static bool read_small(const PiiText *t, size_t i, Small *x)
{
    size_t at = i;
    *x = (Small){ 0 };
    for (int k = 0; k < 6; k++) {
        const size_t end = pii_word_end(t->p, t->n, at);
        if (end == at || end - at > PII_WORD_MAX || ch_digit(t->p[at]) || pii_upper_at(t->p, t->n, at))
            break;
        const unsigned w = word_here(t, at, end);
        if (!k) {
            if (!(w & WORD_GIVEN) || w & (WORD_STOP | WORD_PARTICLE | WORD_GREETING))
                return false;
            x->first = w;
        } else if (!(w & WORD_PARTICLE)) {
            const bool name = !(w & (WORD_STOP | WORD_TITLE | WORD_GREETING)) && w & (WORD_GIVEN | WORD_FAMILY) && end - at > 2;
            if (!name || (w & WORD_PLAIN && !(w & WORD_FAMILY && x->words == 1)))
                break;
            if (w & WORD_FAMILY)
                x->family |= !(w & WORD_PLAIN);
        }
        if (!(w & WORD_PARTICLE) || !k) {
            x->end = end;
            x->words++;
        }
        const size_t blank = end < t->n && t->p[end] == '-' ? 1 : pii_space(t->p, t->n, end);
        if (!blank)
            break;
        at = end + blank;
    }
    return x->words > 0;
}

static int believed(const PiiText *t, const Small *x, size_t i, int before)
{
    const bool plain = x->first & WORD_PLAIN, shut = pii_closed(t, x->end), two = x->words > 1;
    if (before & STRONG)
        return x->family ? 85 : plain ? (shut ? 60 : 40) : 80;
    if (x->family && before)
        return plain ? 66 : 84;
    if (x->family && t->small && !plain)
        return 60;
    if (plain || !before)
        return 20;
    if (before & END)
        return shut && (x->end >= t->n || t->p[x->end] != '.') ? 66 : 40;
    return shut || two ? 62 : i < 48 && x->end - i > 3 ? 54 : 40; /* "its anna i cant log in" opens a message */
}

void pii_match_small(PiiText *t, size_t i)
{
    Small x;
    int before = 0;
    if (pii_word_before(t->p, i) || (i && strchr("_/\\@#$.-='", t->p[i - 1]) != NULL) || !read_small(t, i, &x))
        return;
    if (x.end < t->n && t->p[x.end] != 0 && strchr("_/\\@(=[{", t->p[x.end]))
        return;
    for (size_t k = 0; k < ARRAY_LEN(sets); k++)
        if (pii_preceded(t, i, sets[k].set))
            before |= sets[k].what;
    const int confidence = believed(t, &x, i, before);
    pii_add(t, i, x.end, PII_PERSON, confidence, before ? "person-small" : "person-small-names");
    if (confidence >= t->s->least)
        t->name_end = x.end;
}
