/* minhash_shingle.c - from text to words to shingles, in one walk over the bytes.
 * Struct: `text` collects the normalised words with one space between, `start` and `hash` have an entry per word; a word is open while `open`.
 * ASCII goes by a table of 128 classes. Any other character is looked up in a direct-mapped cache of what it decomposes to, filled by base/utf8;
 * Han characters, which are many and decompose to themselves, pass it by. Invariant: the cache changes speed, never a result.
 * To class more characters: a row in solo[] (scripts without spaces) or accent[] (marks to drop). */
#include "prep/minhash_shingle.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>

#define FOLD_SLOTS 4096 /* of the cache; a text in one script has a few hundred characters */
#define FOLD_KEPT  4    /* characters of a decomposition that the cache holds; longer ones (U+FDFA has 18) are asked for anew */

typedef enum { GAP, WORD, DIGIT, PUNCT, SOLO, MARK, DROP } Class;

typedef struct Fold {
    uint32_t cp;      /* 0: free; U+0000 is ASCII and never here */
    uint8_t  n, class[FOLD_KEPT];
    uint32_t to[FOLD_KEPT];
} Fold;

struct Shingles {
    ShingleCfg cfg;
    char     *text;             /* [n_text] of cap_text */
    size_t    n_text, cap_text;
    uint32_t *start;            /* [n] where a word begins in text; start[n]: where the next one would */
    uint64_t *hash;             /* [n] */
    size_t    n, cap;
    uint64_t *set, *spare;      /* [n_set] of cap_set */
    size_t    n_set, cap_set;
    uint64_t *slot;             /* open addressing: the shingles met, 0 free */
    size_t    n_slot, cap_slot;
    bool      open, number, alone; /* a word is open; its last character was a digit; it is a SOLO character, which only marks may join */
    Fold     *fold;             /* [FOLD_SLOTS] */
    StrBuf    one, form;
};

typedef struct Range { uint32_t first, last; } Range;

static const Range solo[] = { /* scripts written without spaces between words, ascending */
    { 0x0E00, 0x0EFF },   /* Thai, Lao */
    { 0x1000, 0x109F },   /* Burmese */
    { 0x1780, 0x17FF },   /* Khmer */
    { 0x1950, 0x19FF },   /* Tai Le, New Tai Lue, Khmer symbols */
    { 0x1A20, 0x1AAF },   /* Tai Tham */
    { 0x2E80, 0x2FDF },   /* Han radicals */
    { 0x3005, 0x3007 },   /* Han repetition and zero */
    { 0x3040, 0x312F },   /* kana, bopomofo */
    { 0x31A0, 0x31FF },   /* bopomofo and kana extended */
    { 0x3400, 0x4DBF },   /* Han */
    { 0x4E00, 0x9FFF },
    { 0xA9E0, 0xA9FF },   /* Burmese extended */
    { 0xAA60, 0xAADF },   /* Burmese extended, Tai Viet */
    { 0xF900, 0xFAFF },
    { 0x1B000, 0x1B16F }, /* kana extended */
    { 0x20000, 0x3FFFF },
};
static const Range accent[] = { /* marks that go: they point a letter, they are not one */
    { 0x0300, 0x036F },   /* combining diacritical marks */
    { 0x0483, 0x0489 },   /* Cyrillic */
    { 0x0591, 0x05C7 },   /* Hebrew points and accents */
    { 0x0610, 0x061A },   /* Arabic */
    { 0x064B, 0x065F },
    { 0x0670, 0x0670 },
    { 0x06D6, 0x06ED },
    { 0x1AB0, 0x1AFF },
    { 0x1DC0, 0x1DFF },
    { 0x20D0, 0x20FF },   /* for symbols: the enclosing keycap */
    { 0xFE00, 0xFE0F },   /* variation selectors */
    { 0xFE20, 0xFE2F },
    { 0xE0100, 0xE01EF },
};

static bool in_ranges(const Range *r, size_t n, uint32_t cp)
{
    for (size_t i = 0; i < n && cp >= r[i].first; i++)
        if (cp <= r[i].last)
            return true;
    return false;
}

static Class class_ascii(uint32_t cp)
{
    if ((cp >= 'a' && cp <= 'z') || (cp >= 'A' && cp <= 'Z'))
        return WORD;
    if (cp >= '0' && cp <= '9')
        return DIGIT;
    return cp > ' ' && cp < 0x7F ? PUNCT : GAP;
}

static Class class_of(uint32_t cp)
{
    if (cp < 0x80)
        return class_ascii(cp);
    if (utf8_is_mark(cp))
        return in_ranges(accent, ARRAY_LEN(accent), cp) ? DROP : MARK;
    if (utf8_is_number(cp))
        return DIGIT;
    if (utf8_is_alpha(cp))
        return in_ranges(solo, ARRAY_LEN(solo), cp) ? SOLO : WORD;
    if (utf8_is_space(cp))
        return GAP;
    if (utf8_is_punct(cp))
        return PUNCT;
    return utf8_is_printable(cp) ? SOLO : DROP; /* symbols; what is dropped is invisible: joiners, soft hyphens, unassigned */
}

Shingles *shingles_new(const ShingleCfg *c)
{
    BUG_ON(c->words < 0 || c->words > SHINGLE_MAX);
    Shingles *s = mem_zalloc(1, sizeof *s);
    s->cfg = *c;
    if (!s->cfg.words)
        s->cfg.words = SHINGLE_WORDS;
    s->fold = mem_zalloc(FOLD_SLOTS, sizeof *s->fold);
    return s;
}

void shingles_free(Shingles *s)
{
    if (!s)
        return;
    free(s->text);
    free(s->start);
    free(s->hash);
    free(s->set);
    free(s->spare);
    free(s->slot);
    free(s->fold);
    strbuf_release(&s->one);
    strbuf_release(&s->form);
    free(s);
}

static void word_end(Shingles *s)
{
    if (!s->open)
        return;
    s->hash[s->n] = xxh3_64(s->text + s->start[s->n], s->n_text - s->start[s->n]);
    s->text[s->n_text++] = ' ';
    s->n++;
    s->open = s->number = s->alone = false;
}

/* Room for one more word of one more character: its bytes, and the space that ends it. */
static void room(Shingles *s)
{
    if (s->n_text + 8 > s->cap_text) {
        s->cap_text = MAX(s->cap_text * 2, (size_t)1024);
        s->text = mem_realloc(s->text, s->cap_text, 1);
    }
    if (s->n + 2 > s->cap) {
        s->cap = MAX(s->cap * 2, (size_t)256);
        s->start = mem_realloc(s->start, s->cap, sizeof *s->start);
        s->hash = mem_realloc(s->hash, s->cap, sizeof *s->hash);
    }
}

static void put(Shingles *s, uint32_t cp, Class k)
{
    if (k == DROP)
        return;
    if (k == PUNCT)
        k = s->cfg.keep_punct ? SOLO : GAP;
    if (k == GAP || k == SOLO || (s->alone && k != MARK))
        word_end(s);
    if (k == GAP)
        return;
    room(s);
    if (!s->open) {
        s->start[s->n] = (uint32_t)s->n_text;
        s->open = true;
    }
    if (k == DIGIT && s->cfg.fold_numbers) {
        if (s->number)
            return;
        cp = '0';
    }
    s->number = k == DIGIT;
    s->alone |= k == SOLO;
    if (cp < 0x80)
        s->text[s->n_text++] = (char)cp;
    else
        s->n_text += (size_t)utf8_encode(cp, s->text + s->n_text);
}

/* The lower-case decomposition of one character, in s->form. */
static void decompose(Shingles *s, uint32_t cp)
{
    char bytes[4];
    strbuf_clear(&s->one);
    strbuf_clear(&s->form);
    strbuf_add(&s->one, bytes, (size_t)utf8_encode(cp, bytes));
    utf8_normalise(&s->form, strbuf_str(&s->one), UTF8_NFKD); /* before: it turns compatibility capitals (full-width, mathematical) into plain ones */
    strbuf_clear(&s->one);
    utf8_lower(&s->one, strbuf_str(&s->form));
    strbuf_clear(&s->form);
    utf8_normalise(&s->form, strbuf_str(&s->one), UTF8_NFKD); /* after: a lower-case letter may decompose where its capital did not */
}

/* A character outside ASCII. */
static void put_wide(Shingles *s, uint32_t cp)
{
    if ((cp >= 0x3400 && cp <= 0x4DBF) || (cp >= 0x4E00 && cp <= 0x9FFF)) {
        put(s, cp, SOLO);
        return;
    }
    Fold *f = &s->fold[(cp * 0x9E3779B1u) >> 20];
    _Static_assert(FOLD_SLOTS == 1 << 12, "the shift above keeps 12 bits");
    Fold long_one = { 0 };
    if (f->cp != cp) {
        decompose(s, cp);
        size_t n = 0;
        long_one.cp = cp;
        for (size_t i = 0; i < s->form.n;) {
            uint32_t c;
            i += (size_t)utf8_decode(s->form.p + i, s->form.n - i, &c);
            if (n < FOLD_KEPT) {
                long_one.to[n] = c;
                long_one.class[n] = (uint8_t)class_of(c);
            }
            n++;
        }
        if (n > FOLD_KEPT) { /* rare: ligatures that are whole phrases */
            for (size_t i = 0; i < s->form.n;) {
                uint32_t c;
                i += (size_t)utf8_decode(s->form.p + i, s->form.n - i, &c);
                put(s, c, class_of(c));
            }
            return;
        }
        long_one.n = (uint8_t)n;
        *f = long_one;
    }
    for (size_t i = 0; i < f->n; i++)
        put(s, f->to[i], (Class)f->class[i]);
}

static void words_read(Shingles *s, Str text)
{
    static const uint8_t class[128] = { /* class_ascii as a table, for the walk below */
#define G8 GAP, GAP, GAP, GAP, GAP, GAP, GAP, GAP
#define W8 WORD, WORD, WORD, WORD, WORD, WORD, WORD, WORD
#define D8 DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT, DIGIT
#define P1 PUNCT
        G8, G8, G8, G8,
        GAP, P1, P1, P1, P1, P1, P1, P1, P1, P1, P1, P1, P1, P1, P1, P1,
        D8, DIGIT, DIGIT, P1, P1, P1, P1, P1, P1,
        P1, WORD, WORD, WORD, WORD, WORD, WORD, WORD, W8, W8, WORD, WORD, WORD, P1, P1, P1, P1, P1,
        P1, WORD, WORD, WORD, WORD, WORD, WORD, WORD, W8, W8, WORD, WORD, WORD, P1, P1, P1, P1, GAP,
#undef G8
#undef W8
#undef D8
#undef P1
    };
    for (size_t i = 0; i < text.n;) {
        const unsigned char c = (unsigned char)text.p[i];
        if (c < 0x80) {
            put(s, class[c] == WORD ? c | 0x20u : c, (Class)class[c]);
            i++;
            continue;
        }
        uint32_t cp;
        const int len = utf8_decode(text.p + i, text.n - i, &cp);
        put_wide(s, len < 0 ? 0xFFFD : cp);
        i += (size_t)MAX(len, 1);
    }
    word_end(s);
}

static void set_add(Shingles *s, uint64_t h)
{
    const size_t mask = s->n_slot - 1;
    h += !h; /* 0 marks a free slot */
    for (size_t at = h & mask;; at = (at + 1) & mask) {
        if (s->slot[at] == h)
            return;
        if (!s->slot[at]) {
            s->slot[at] = h;
            s->set[s->n_set++] = h;
            return;
        }
    }
}

void shingles_read(Shingles *s, Str text)
{
    BUG_ON(text.n > SHINGLE_TEXT_MAX);
    s->n = s->n_text = s->n_set = 0;
    s->open = s->number = s->alone = false;
    words_read(s, text);
    BUG_ON(s->n_text > UINT32_MAX);
    if (!s->n)
        return;
    s->start[s->n] = (uint32_t)s->n_text;
    const size_t k = MIN((size_t)s->cfg.words, s->n), runs = s->n - k + 1;
    if (runs > s->cap_set) {
        s->cap_set = MAX(s->cap_set * 2, runs);
        s->set = mem_realloc(s->set, s->cap_set, sizeof *s->set);
        s->spare = mem_realloc(s->spare, s->cap_set, sizeof *s->spare);
    }
    for (s->n_slot = 16; s->n_slot < 2 * runs;)
        s->n_slot *= 2;
    if (s->n_slot > s->cap_slot) {
        s->cap_slot = s->n_slot;
        s->slot = mem_realloc(s->slot, s->cap_slot, sizeof *s->slot);
    }
    memset(s->slot, 0, s->n_slot * sizeof *s->slot);
    for (size_t i = 0; i < runs; i++)
        set_add(s, shingles_run(s, i, k));
}

size_t shingles_words(const Shingles *s)
{
    return s->n;
}

uint64_t shingles_run(const Shingles *s, size_t from, size_t n)
{
    BUG_ON(from + n > s->n);
    return xxh3_64(s->hash + from, n * sizeof *s->hash);
}

Str shingles_text(const Shingles *s, size_t from, size_t n)
{
    BUG_ON(from + n > s->n);
    return n ? (Str){ s->text + s->start[from], s->start[from + n] - s->start[from] - 1 } : (Str){ "", 0 };
}

const uint64_t *shingles_set(const Shingles *s, size_t *n)
{
    *n = s->n_set;
    return s->set;
}

static void insertion_sort(uint64_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const uint64_t h = v[i];
        size_t at = i;
        for (; at && v[at - 1] > h; at--)
            v[at] = v[at - 1];
        v[at] = h;
    }
}

/* Hashes are spread evenly, so as many bins by their top bits as there are hashes hold about one each, and insertion finishes the order. */
void shingles_sorted(Shingles *s)
{
    const size_t n = s->n_set;
    int bits = 0;
    while (((size_t)1 << bits) < n && bits < 24)
        bits++;
    if (n <= 16) {
        insertion_sort(s->set, n);
        return;
    }
    uint64_t *count = s->slot; /* 2^bits + 1 <= 2 n slots: its work for this text is done */
    const int shift = 64 - bits;
    BUG_ON(((size_t)1 << bits) + 1 > s->n_slot);
    memset(count, 0, (((size_t)1 << bits) + 1) * sizeof *count);
    for (size_t i = 0; i < n; i++)
        count[(s->set[i] >> shift) + 1]++;
    for (size_t i = 1; i <= (size_t)1 << bits; i++)
        count[i] += count[i - 1];
    for (size_t i = 0; i < n; i++)
        s->spare[count[s->set[i] >> shift]++] = s->set[i];
    insertion_sort(s->spare, n);
    uint64_t *sorted = s->spare;
    s->spare = s->set;
    s->set = sorted;
}

size_t shingles_prefix(size_t n, double threshold)
{
    const double least = threshold * (double)n * (1 - 1e-12); /* which may be an integer but for rounding: better one shingle too many */
    return n ? MIN(n - (size_t)ceil(least) + 1, n) : 0;
}

double shingles_jaccard(const uint64_t *a, size_t na, const uint64_t *b, size_t nb, double floor)
{
    size_t i = 0, j = 0, both = 0;
    if (!na && !nb)
        return 0;
    while (i < na && j < nb) {
        const size_t stop = MIN(i + 64, na);
        for (; i < stop && j < nb;) {
            const uint64_t x = a[i], y = b[j];
            both += x == y;
            i += x <= y;
            j += y <= x;
        }
        const size_t most = both + MIN(na - i, nb - j); /* of which the quotient rises, so that this test is exact */
        if ((double)most / (double)(na + nb - most) < floor)
            return 0;
    }
    return (double)both / (double)(na + nb - both);
}
