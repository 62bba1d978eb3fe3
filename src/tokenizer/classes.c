/* classes.c - classes of characters as the tokenizers library sees them, and the borders of grapheme clusters.
 *
 * The library goes by tables of several Unicode versions, so classes.inc was asked of the library itself (tools/tokenizer_tables.py); hone agrees
 * with it for every character, the youngest included. To add a class: a name in CharClass, a row in classes[], a line in the script. */
#include "base/utf8.h"
#include "tokenizer/tok_int.h"

typedef struct Range { uint32_t first, last; } Range;
typedef struct ValueRange { uint32_t first, last, value; } ValueRange;

#include "tokenizer/classes.inc"

#define CLASS_ROW(c) { c, ARRAY_LEN(c) }
static const struct { const Range *ranges; size_t n; } classes[] = {
    [CLASS_PUNCT] = CLASS_ROW(class_punct),
    [CLASS_BERT_CONTROL] = CLASS_ROW(class_bert_control),
    [CLASS_BERT_SPACE] = CLASS_ROW(class_bert_space),
    [CLASS_CHINESE] = CLASS_ROW(class_chinese),
    [CLASS_BERT_ACCENT] = CLASS_ROW(class_bert_accent),
    [CLASS_MARK] = CLASS_ROW(class_mark),
    [CLASS_JOINS] = CLASS_ROW(class_joins),
    [CLASS_PREPENDS] = CLASS_ROW(class_prepends),
    [CLASS_CONTROL] = CLASS_ROW(class_control),
    [CLASS_PICTOGRAPH] = CLASS_ROW(class_pictograph),
    [CLASS_CONSONANT] = CLASS_ROW(class_consonant),
    [CLASS_LINKER] = CLASS_ROW(class_linker),
    [CLASS_EXTEND] = CLASS_ROW(class_extend),
    [CLASS_YOUNG] = CLASS_ROW(class_young),
};

bool class_has(CharClass k, uint32_t cp)
{
    const Range *r = classes[k].ranges;
    size_t lo = 0, hi = classes[k].n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp > r[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < classes[k].n && cp >= r[lo].first;
}

static const ValueRange *range_of(const ValueRange *r, size_t n, uint32_t cp)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp > r[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && cp >= r[lo].first ? &r[lo] : NULL;
}

int char_script(uint32_t cp)
{
    const ValueRange *r = range_of(script_ranges, ARRAY_LEN(script_ranges), cp);
    return r ? (int)r->value : 0;
}

uint32_t char_young_lower(uint32_t cp)
{
    const ValueRange *r = cp < lower_ranges[0].first ? NULL : range_of(lower_ranges, ARRAY_LEN(lower_ranges), cp);
    return r ? r->value + cp - r->first : 0;
}

/* --- grapheme clusters (Unicode Annex 29, extended) ------------------------------------------------------------------------------- */

typedef enum { HANGUL_NONE, HANGUL_L, HANGUL_V, HANGUL_T, HANGUL_LV, HANGUL_LVT } Hangul;

static Hangul hangul(uint32_t c)
{
    if (c < 0x1100 || c > 0xD7FB)
        return HANGUL_NONE;
    if (c >= 0xAC00 && c <= 0xD7A3)
        return (c - 0xAC00) % 28 ? HANGUL_LVT : HANGUL_LV;
    if (c <= 0x115F || (c >= 0xA960 && c <= 0xA97C))
        return HANGUL_L;
    if (c <= 0x11A7 || (c >= 0xD7B0 && c <= 0xD7C6))
        return HANGUL_V;
    return c <= 0x11FF || c >= 0xD7CB ? HANGUL_T : HANGUL_NONE;
}

static bool hangul_joins(Hangul a, Hangul b)
{
    switch (a) {
    case HANGUL_L:   return b != HANGUL_NONE && b != HANGUL_T;
    case HANGUL_V:
    case HANGUL_LV:  return b == HANGUL_V || b == HANGUL_T;
    case HANGUL_T:
    case HANGUL_LVT: return b == HANGUL_T;
    default:         return false;
    }
}

size_t grapheme_end(Str s, size_t at)
{
    uint32_t a, b;
    at += (size_t)utf8_decode(s.p + at, s.n - at, &a);
    bool pictograph = a >= 0x80 && class_has(CLASS_PICTOGRAPH, a);         /* a pictograph and what extends it */
    bool consonant = a >= 0x900 && class_has(CLASS_CONSONANT, a), linked = false; /* a consonant, then extenders, one of them a linker */
    size_t flags = a >= 0x1F1E6 && a <= 0x1F1FF;                           /* letters of flags seen in a row */
    while (at < s.n) {
        size_t len = (size_t)utf8_decode(s.p + at, s.n - at, &b);
        if (a == '\r' && b == '\n')
            return at + len;
        if (b < 0x80 && a < 0x80)
            break;
        bool pair = b >= 0x1F1E6 && b <= 0x1F1FF;
        if (class_has(CLASS_CONTROL, a) || !a || class_has(CLASS_CONTROL, b) || !b)
            break;
        bool joins = class_has(CLASS_JOINS, b) || class_has(CLASS_PREPENDS, a) || hangul_joins(hangul(a), hangul(b)) ||
                     (pictograph && a == 0x200D && class_has(CLASS_PICTOGRAPH, b)) || (linked && class_has(CLASS_CONSONANT, b)) ||
                     (pair && flags % 2 == 1);
        if (!joins)
            break;
        flags = pair ? flags + 1 : 0;
        pictograph = class_has(CLASS_PICTOGRAPH, b) || (pictograph && (b == 0x200D || class_has(CLASS_JOINS, b)));
        bool extends = class_has(CLASS_LINKER, b) || class_has(CLASS_EXTEND, b);
        linked = consonant && extends && (linked || class_has(CLASS_LINKER, b));
        consonant = class_has(CLASS_CONSONANT, b) || (consonant && extends);
        a = b;
        at += len;
    }
    return at;
}
