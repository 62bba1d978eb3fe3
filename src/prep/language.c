/* language.c - which language: count letters by script; a script of one language answers at once, the others ask the model of their group.
 * Features are those of tools/train_language.py: letters and marks in lower case, every run of anything else one space; n-grams of 1 to 4
 * characters and whole words, hashed; score[c] = step * sum of weights / sqrt(features); probabilities by softmax.
 * Invariant: only whole numbers are summed, so the order and the machine do not matter. To add a language: a column in GROUPS of the script
 * (or, when it alone has its script, a row of scripts[] here). */
#include "prep/language.h"

#include "base/utf8.h"

#include <math.h>

#include "prep/language_weights.inc"

#define LANES     40   /* columns that one row of weights is read as; a group has at most so many languages */
#define WEIGHT_0  'm'
#define FLUSH     500  /* rows before 16-bit sums could overflow: 65535 / 126 */
#define WINDOW    (LANGUAGE_SAMPLE / 3)
#define CODE_MAX  240  /* bytes that the model of source code reads */
#define CODE_SURE 0.5f

typedef struct Group {
    const char *weights;             /* [buckets][n] */
    const char *const *languages;    /* [n] */
    size_t n;
    uint32_t buckets;
    float step;
} Group;

enum { GROUP_NONE = -1, GROUP_LATIN, GROUP_CYRILLIC, GROUP_ARABIC, GROUP_DEVANAGARI };
static const Group groups[] = {
    { latin_weights, latin_languages, ARRAY_LEN(latin_languages), LANGUAGE_LATIN_BUCKETS, LANGUAGE_LATIN_STEP },
    { cyrillic_weights, cyrillic_languages, ARRAY_LEN(cyrillic_languages), LANGUAGE_CYRILLIC_BUCKETS, LANGUAGE_CYRILLIC_STEP },
    { arabic_weights, arabic_languages, ARRAY_LEN(arabic_languages), LANGUAGE_ARABIC_BUCKETS, LANGUAGE_ARABIC_STEP },
    { devanagari_weights, devanagari_languages, ARRAY_LEN(devanagari_languages), LANGUAGE_DEVANAGARI_BUCKETS, LANGUAGE_DEVANAGARI_STEP },
};

typedef struct Script { const char *name; int group; const char *only; /* the one language, when group is GROUP_NONE */ } Script;
enum { LATN, CYRL, ARAB, DEVA, GREK, ARMN, HEBR, THAA, BENG, GURU, GUJR, ORYA, TAML, TELU, KNDA, MLYM, SINH, THAI, LAOO, TIBT, MYMR, GEOR, HANG, ETHI,
       KHMR, KANA, HANI, SCRIPTS };
static const Script scripts[SCRIPTS] = {
    [LATN] = { "Latn", GROUP_LATIN, NULL },      [CYRL] = { "Cyrl", GROUP_CYRILLIC, NULL }, [ARAB] = { "Arab", GROUP_ARABIC, NULL },
    [DEVA] = { "Deva", GROUP_DEVANAGARI, NULL }, [GREK] = { "Grek", GROUP_NONE, "el" },     [ARMN] = { "Armn", GROUP_NONE, "hy" },
    [HEBR] = { "Hebr", GROUP_NONE, "he" },       [THAA] = { "Thaa", GROUP_NONE, "dv" },     [BENG] = { "Beng", GROUP_NONE, "bn" },
    [GURU] = { "Guru", GROUP_NONE, "pa" },       [GUJR] = { "Gujr", GROUP_NONE, "gu" },     [ORYA] = { "Orya", GROUP_NONE, "or" },
    [TAML] = { "Taml", GROUP_NONE, "ta" },       [TELU] = { "Telu", GROUP_NONE, "te" },     [KNDA] = { "Knda", GROUP_NONE, "kn" },
    [MLYM] = { "Mlym", GROUP_NONE, "ml" },       [SINH] = { "Sinh", GROUP_NONE, "si" },     [THAI] = { "Thai", GROUP_NONE, "th" },
    [LAOO] = { "Laoo", GROUP_NONE, "lo" },       [TIBT] = { "Tibt", GROUP_NONE, "bo" },     [MYMR] = { "Mymr", GROUP_NONE, "my" },
    [GEOR] = { "Geor", GROUP_NONE, "ka" },       [HANG] = { "Kore", GROUP_NONE, "ko" },     [ETHI] = { "Ethi", GROUP_NONE, "am" },
    [KHMR] = { "Khmr", GROUP_NONE, "km" },       [KANA] = { "Jpan", GROUP_NONE, "ja" },     [HANI] = { "Hani", GROUP_NONE, "zh" },
};

static const struct { uint32_t lo, hi; int script; } blocks[] = { /* sorted; Unicode 15 Blocks.txt */
    { 0x41, 0x2AF, LATN },     { 0x370, 0x3FF, GREK },   { 0x400, 0x52F, CYRL },   { 0x531, 0x58F, ARMN },   { 0x591, 0x5F4, HEBR },   { 0x600, 0x6FF, ARAB },
    { 0x750, 0x77F, ARAB },    { 0x780, 0x7BF, THAA },   { 0x8A0, 0x8FF, ARAB },   { 0x900, 0x97F, DEVA },   { 0x980, 0x9FF, BENG },   { 0xA00, 0xA7F, GURU },
    { 0xA80, 0xAFF, GUJR },    { 0xB00, 0xB7F, ORYA },   { 0xB80, 0xBFF, TAML },   { 0xC00, 0xC7F, TELU },   { 0xC80, 0xCFF, KNDA },   { 0xD00, 0xD7F, MLYM },
    { 0xD80, 0xDFF, SINH },    { 0xE00, 0xE7F, THAI },   { 0xE80, 0xEFF, LAOO },   { 0xF00, 0xFFF, TIBT },   { 0x1000, 0x109F, MYMR }, { 0x10A0, 0x10FF, GEOR },
    { 0x1100, 0x11FF, HANG },  { 0x1200, 0x139F, ETHI }, { 0x1780, 0x17FF, KHMR }, { 0x1C80, 0x1C8F, CYRL }, { 0x1C90, 0x1CBF, GEOR }, { 0x1E00, 0x1EFF, LATN },
    { 0x1F00, 0x1FFF, GREK },  { 0x3041, 0x30FF, KANA }, { 0x3130, 0x318F, HANG }, { 0x31F0, 0x31FF, KANA }, { 0x3400, 0x4DBF, HANI }, { 0x4E00, 0x9FFF, HANI },
    { 0xA960, 0xA97F, HANG },  { 0xAC00, 0xD7FF, HANG }, { 0xF900, 0xFAFF, HANI }, { 0xFB50, 0xFDFF, ARAB }, { 0xFE70, 0xFEFC, ARAB }, { 0xFF66, 0xFF9F, KANA },
    { 0x20000, 0x3FFFF, HANI },
};

static int script_of(uint32_t cp)
{
    if (cp < 0x250)
        return LATN;
    for (size_t lo = 0, hi = ARRAY_LEN(blocks); lo < hi;) {
        const size_t mid = (lo + hi) / 2;
        if (cp > blocks[mid].hi)
            lo = mid + 1;
        else if (cp < blocks[mid].lo)
            hi = mid;
        else
            return blocks[mid].script;
    }
    return -1;
}

typedef struct Sample { uint32_t cp[LANGUAGE_SAMPLE + 2]; size_t n; size_t count[SCRIPTS], letters; bool space; } Sample; /* letters between single spaces */

/* Letters of one window; the words' parts at its edges are taken as they are. */
static void sample_add(Sample *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp = (unsigned char)p[i];
        bool letter;
        if (cp < 0x80) {
            letter = (cp | 0x20) >= 'a' && (cp | 0x20) <= 'z';
            cp |= 0x20;
            i++;
        } else {
            const int len = utf8_decode(p + i, n - i, &cp);
            letter = len > 0 && (utf8_is_alpha(cp) || utf8_is_mark(cp));
            i += len > 0 ? (size_t)len : 1;
            cp = letter ? utf8_lower_one(cp) : cp;
        }
        if (!letter) {
            s->space = true;
            continue;
        }
        if (s->space && s->n < ARRAY_LEN(s->cp))
            s->cp[s->n++] = ' ';
        s->space = false;
        if (s->n < ARRAY_LEN(s->cp))
            s->cp[s->n++] = cp;
        const int k = script_of(cp);
        s->letters++;
        if (k >= 0)
            s->count[k]++;
    }
    s->space = true;
}

static void sample_read(Sample *s, Str text)
{
    s->n = s->letters = 0;
    s->space = true;
    memset(s->count, 0, sizeof s->count);
    if (text.n <= LANGUAGE_SAMPLE) {
        sample_add(s, text.p, text.n);
    } else {
        sample_add(s, text.p, utf8_complete(text.p, WINDOW));
        size_t at[2] = { text.n / 2 - WINDOW / 2, text.n - WINDOW };
        for (int k = 0; k < 2; k++) {
            size_t from = at[k];
            while (from < at[k] + 3 && ((unsigned char)text.p[from] & 0xC0) == 0x80)
                from++;
            sample_add(s, text.p + from, utf8_complete(text.p + from, WINDOW - (from - at[k])));
        }
    }
    if (s->n && s->n < ARRAY_LEN(s->cp))
        s->cp[s->n++] = ' ';
}

static size_t best_script(const Sample *s, size_t *in_script)
{
    size_t best = 0;
    for (size_t k = 1; k < SCRIPTS; k++)
        best = s->count[k] > s->count[best] ? k : best;
    *in_script = s->count[best];
    if ((best == HANI && s->count[KANA] * 20 >= s->count[HANI]) || best == KANA) { /* Japanese mixes; Chinese has no kana */
        *in_script = s->count[KANA] + s->count[HANI];
        best = KANA;
    }
    return best;
}

static uint32_t gram_step(uint32_t h, uint32_t c)
{
    return ((h * 0x01000193u) ^ c) * 0x9E3779B1u;
}

static uint32_t gram_bucket(uint32_t h, uint32_t buckets)
{
    h ^= h >> 15;
    h *= 0x2C1B3C6Du;
    h ^= h >> 12;
    return (uint32_t)(((uint64_t)h * buckets) >> 32);
}

typedef struct Sums { uint16_t part[LANES]; uint32_t whole[LANES]; size_t rows, features; } Sums;

static void sums_flush(Sums *s)
{
    for (size_t k = 0; k < LANES; k++) {
        s->whole[k] += s->part[k];
        s->part[k] = 0;
    }
    s->rows = 0;
}

/* Whole vectors, whatever the number of languages: what lies behind the row is added to columns that nobody reads. */
static inline void lanes_add(uint16_t *restrict to, const unsigned char *restrict w)
{
    for (size_t k = 0; k < LANES; k++)
        to[k] = (uint16_t)(to[k] + w[k]);
}

static void sums_add(Sums *s, const Group *g, uint32_t h)
{
    lanes_add(s->part, (const unsigned char *)g->weights + (size_t)gram_bucket(h, g->buckets) * g->n);
    s->features++;
    if (++s->rows == FLUSH)
        sums_flush(s);
}

/* Probabilities p[g->n] of the group's languages. */
static void group_score(const Group *g, const Sample *t, float *p)
{
    Sums s = { .rows = 0 };
    for (size_t i = 0; i < t->n; i++) {
        uint32_t word = 7;
        if (t->cp[i] == ' ' && i + 1 < t->n) { /* before the space at the end of the sample there is always a word, and one behind this */
            for (size_t k = i + 1; k < t->n && t->cp[k] != ' '; k++)
                word = gram_step(word, t->cp[k]);
            sums_add(&s, g, word);
        }
        for (uint32_t n = 1; n <= 4 && i + n <= t->n; n++) {
            uint32_t h = n;
            for (uint32_t k = 0; k < n; k++)
                h = gram_step(h, t->cp[i + k]);
            sums_add(&s, g, h);
        }
    }
    sums_flush(&s);
    const double scale = g->step / sqrt((double)MAX(s.features, (size_t)1));
    double top = -1e30, sum = 0, z[LANES];
    for (size_t k = 0; k < g->n; k++) {
        z[k] = ((double)s.whole[k] - (double)s.features * WEIGHT_0) * scale;
        top = MAX(top, z[k]);
    }
    for (size_t k = 0; k < g->n; k++)
        sum += z[k] = exp(z[k] - top);
    for (size_t k = 0; k < g->n; k++)
        p[k] = (float)(z[k] / sum);
}

/* The probability that the text's first bytes are source code: byte n-grams, capitals small, digits one. */
static float code_score(Str text)
{
    int64_t sum = 0;
    size_t features = 0;
    const size_t n = MIN(text.n, (size_t)CODE_MAX);
    uint32_t b[CODE_MAX];
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text.p[i];
        b[i] = c >= 'A' && c <= 'Z' ? c + 32u : c >= '0' && c <= '9' ? '0' : MIN(c, 128u);
    }
    for (size_t i = 0; i < n; i++)
        for (uint32_t len = 1; len <= 3 && i + len <= n; len++) {
            uint32_t h = len;
            for (uint32_t k = 0; k < len; k++)
                h = gram_step(h, b[i + k]);
            sum += code_weights[gram_bucket(h, LANGUAGE_CODE_BUCKETS)] - WEIGHT_0;
            features++;
        }
    return (float)(1 / (1 + exp(-(double)sum * (double)LANGUAGE_CODE_STEP / sqrt((double)MAX(features, (size_t)1)))));
}

static void guess_name(char to[5], const char *from)
{
    memcpy(to, from, strlen(from) + 1);
}

void language_guess(Str text, LanguageGuess *g)
{
    Sample s;
    float p[LANES] = { 1 };
    sample_read(&s, text);
    *g = (LanguageGuess){ .code = "und", .second = "und", .script = "Zyyy" };
    g->code_probability = text.n ? code_score(text) : 0;
    size_t in_script;
    const size_t script = best_script(&s, &in_script);
    if (s.letters)
        guess_name(g->script, scripts[script].name);
    const char *first = scripts[script].only, *second = "und";
    float p1 = s.letters ? (float)in_script / (float)s.letters : 0, p2 = 0;
    if (s.letters >= LANGUAGE_LETTERS_MIN && scripts[script].group != GROUP_NONE) {
        const Group *m = &groups[scripts[script].group];
        size_t a = 0, b = 1;
        group_score(m, &s, p);
        for (size_t k = 1; k < m->n; k++)
            if (p[k] > p[a]) {
                b = a;
                a = k;
            } else if (k != a && (p[k] > p[b] || b == a)) {
                b = k;
            }
        first = m->languages[a];
        second = m->languages[b];
        p2 = p[b] * p1;
        p1 *= p[a];
    }
    if (g->code_probability > CODE_SURE && (script == LATN || !s.letters)) { /* code in Latin letters; what it says in words is the runner-up */
        guess_name(g->code, "code");
        g->probability = g->code_probability;
        guess_name(g->second, s.letters >= LANGUAGE_LETTERS_MIN ? first : "und");
        g->second_probability = (1 - g->code_probability) * p1;
    } else if (s.letters < LANGUAGE_LETTERS_MIN || p1 < (float)LANGUAGE_SURE) {
        guess_name(g->second, s.letters >= LANGUAGE_LETTERS_MIN ? first : "und");
        g->probability = s.letters >= LANGUAGE_LETTERS_MIN ? 1 - p1 : 1;
        g->second_probability = s.letters >= LANGUAGE_LETTERS_MIN ? p1 : 0;
    } else {
        guess_name(g->code, first);
        guess_name(g->second, second);
        g->probability = p1;
        g->second_probability = p2;
    }
}

const char *language_known(size_t n)
{
    for (size_t k = 0; k < ARRAY_LEN(groups); n -= groups[k++].n)
        if (n < groups[k].n)
            return groups[k].languages[n];
    for (size_t k = 0; k < SCRIPTS; k++)
        if (scripts[k].only && n-- == 0)
            return scripts[k].only;
    return n == 0 ? "code" : NULL;
}

const char *language_script(const char *code)
{
    for (size_t k = 0; k < SCRIPTS; k++) {
        if (scripts[k].only && strcmp(scripts[k].only, code) == 0)
            return scripts[k].name;
        for (size_t i = 0; scripts[k].group != GROUP_NONE && i < groups[scripts[k].group].n; i++)
            if (strcmp(groups[scripts[k].group].languages[i], code) == 0)
                return scripts[k].name;
    }
    return NULL;
}

const char *language_script_of(Str text, size_t *letters, size_t *in_script)
{
    Sample s;
    sample_read(&s, text);
    const size_t best = best_script(&s, in_script);
    *letters = s.letters;
    return s.letters ? scripts[best].name : "Zyyy";
}
