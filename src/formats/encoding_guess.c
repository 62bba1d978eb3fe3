/* encoding_guess.c - finds the older encoding of text that is not UTF-8.
 *
 * Double bytes first, by shape: nearly every high byte must belong to a well-formed pair, and the pairs must be the ones that the language uses most (kana,
 * first-level hanzi, hangul). Single bytes by likelihood: for each encoding and language, the sum over all high bytes of ln p(character | language), where the
 * tables give the frequencies of each language's letters beyond ASCII in running text, per thousand. Words of Greek and Cyrillic hold no ASCII letters. The best pair wins; of equals (German is the same in
 * Windows-1252 and Windows-1250) the first in the table. Letters foreign to the language, as names have them, say little one by one; so a word's letters should all be
 * of one language (F8 alone may be a Danish letter or a Czech one, but with E1 in the same word it is Czech), and a language is seldom written in an encoding made for
 * another region. Whole UTF-8 characters in the lines are not looked at: they are read as such. ISO-8859-15 differs from Windows-1252 in eight signs alone, which few
 * texts have more than once, so where they stand decides between the two (latin9_fits); without them it is Windows-1252, for which the WHATWG Encoding Standard takes
 * all that is called latin1.
 * To add a language or an encoding: a row. */
#include "formats/encoding_guess.h"

#include "base/utf8.h"

#include <math.h>

/* ---- double bytes ---- */

typedef struct Range { unsigned char first, last; } Range;

typedef struct Shape {
    const char *label, *iconv;
    Range       lead[2], trail[2];
    Range       single;        /* high bytes that stand alone */
    Range       usual[2];      /* leads of the characters used most ... */
    Range       usual_trail[2];/* ... and their trails */
    int         share;         /* percent of the pairs that must be usual */
    Range       other;         /* leads of punctuation: not counted in the share */
} Shape;

static const Shape shapes[] = {
    { "Shift_JIS", "CP932", { { 0x81, 0x9f }, { 0xe0, 0xfc } }, { { 0x40, 0x7e }, { 0x80, 0xfc } }, { 0xa1, 0xdf }, { { 0x82, 0x83 } }, { { 0x40, 0xf1 } }, 30, { 0x81, 0x81 } },
    { "EUC-JP", "EUC-JP", { { 0xa1, 0xfe }, { 0x8e, 0x8e } }, { { 0xa1, 0xfe } }, { 1, 0 }, { { 0xa4, 0xa5 } }, { { 0xa1, 0xf6 } }, 25, { 0xa1, 0xa1 } },
    { "EUC-KR", "UHC", { { 0x81, 0xfd } }, { { 0x41, 0x7a }, { 0x81, 0xfe } }, { 1, 0 }, { { 0xb0, 0xc8 } }, { { 0xa1, 0xfe } }, 85, { 0xa1, 0xa3 } },
    { "GBK", "GB18030", { { 0x81, 0xfe } }, { { 0x40, 0x7e }, { 0x80, 0xfe } }, { 1, 0 }, { { 0xb0, 0xd7 } }, { { 0xa1, 0xfe } }, 80, { 0xa1, 0xa3 } },
    { "Big5", "BIG5", { { 0xa1, 0xf9 } }, { { 0x40, 0x7e }, { 0xa1, 0xfe } }, { 1, 0 }, { { 0xa4, 0xc6 } }, { { 0x40, 0x7e }, { 0xa1, 0xfe } }, 75, { 0xa1, 0xa3 } },
};

#define SHAPE_PAIRS  4  /* fewer pairs prove nothing */
#define SHAPE_SURE   12 /* fewer may be chance */
#define SHAPE_JOINED 35 /* percent of the pairs that follow another one: in Latin text accents are apart */

static bool within(Range r, unsigned char c)
{
    return c >= r.first && c <= r.last;
}

static bool within2(const Range r[2], unsigned char c)
{
    return within(r[0], c) || (r[1].first && within(r[1], c));
}

/* The number of pairs when the text has this shape, else 0. */
static size_t fits_shape(const Shape *s, Str text)
{
    size_t pairs = 0, usual = 0, other = 0, single = 0, bad = 0, joined = 0, behind = 0; /* behind: where the pair before ends */
    for (size_t i = 0; i < text.n; i++) {
        const unsigned char c = (unsigned char)text.p[i], next = i + 1 < text.n ? (unsigned char)text.p[i + 1] : 0;
        if (c < 0x80)
            continue;
        if (within2(s->lead, c) && within2(s->trail, next)) {
            pairs++;
            joined += behind == i;
            behind = i + 2;
            other += within(s->other, c);
            usual += !within(s->other, c) && within2(s->usual, c) && within2(s->usual_trail, next);
            i++;
        } else if (within(s->single, c)) {
            single++;
        } else {
            bad++;
        }
    }
    const bool fits = pairs - other >= SHAPE_PAIRS && joined * 100 >= pairs * SHAPE_JOINED && (bad + single / 4) * 50 <= pairs &&
                      usual * 100 >= (size_t)s->share * (pairs - other);
    return fits ? pairs : 0;
}

/* ---- single bytes ---- */

enum { WEST = 1, CENTRAL = 2, EAST = 4, TURKEY = 8, GREECE = 16, /* regions: where a language is written, which an encoding is made for */
       BORROWED = 32 };                                           /* the letters are those of other languages, in their words */

/* The characters of the bytes 0x80 to 0xff, ? where there is none or only a control character. The no-break space
 * and the soft hyphen, which nobody would see here, stand as space and hyphen. */
static const struct { const char *label, *iconv; int region; const char *high; } charsets[] = {
    { "windows-1252", "CP1252", WEST,
      "€?‚ƒ„…†‡ˆ‰Š‹Œ?Ž??‘’“”•–—˜™š›œ?žŸ ¡¢£¤¥¦§¨©ª«¬-®¯°±²³´µ¶·¸¹º»¼½¾¿"
      "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ" },
    { "ISO-8859-15", "ISO-8859-15", WEST,
      "???????????????????????????????? ¡¢£€¥Š§š©ª«¬-®¯°±²³Žµ¶·ž¹º»ŒœŸ¿"
      "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßàáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ" },
    { "windows-1250", "CP1250", CENTRAL,
      "€?‚?„…†‡?‰Š‹ŚŤŽŹ?‘’“”•–—?™š›śťžź ˇ˘Ł¤Ą¦§¨©Ş«¬-®Ż°±˛ł´µ¶·¸ąş»Ľ˝ľż"
      "ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙" },
    { "ISO-8859-2", "ISO-8859-2", CENTRAL,
      "???????????????????????????????? Ą˘Ł¤ĽŚ§¨ŠŞŤŹ-ŽŻ°ą˛ł´ľśˇ¸šşťź˝žż"
      "ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢßŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙" },
    { "windows-1251", "CP1251", EAST,
      "ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—?™љ›њќћџ ЎўЈ¤Ґ¦§Ё©Є«¬-®Ї°±Ііґµ¶·ё№є»јЅѕї"
      "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯабвгдежзийклмнопрстуфхцчшщъыьэюя" },
    { "KOI8-R", "KOI8-R", EAST,
      "─│┌┐└┘├┤┬┴┼▀▄█▌▐░▒▓⌠■∙√≈≤≥ ⌡°²·÷═║╒ё╓╔╕╖╗╘╙╚╛╜╝╞╟╠╡Ё╢╣╤╥╦╧╨╩╪╫╬©"
      "юабцдефгхийклмнопярстужвьызшэщчъЮАБЦДЕФГХИЙКЛМНОПЯРСТУЖВЬЫЗШЭЩЧЪ" },
    { "windows-1254", "CP1254", TURKEY,
      "€?‚ƒ„…†‡ˆ‰Š‹Œ????‘’“”•–—˜™š›œ??Ÿ ¡¢£¤¥¦§¨©ª«¬-®¯°±²³´µ¶·¸¹º»¼½¾¿"
      "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏĞÑÒÓÔÕÖ×ØÙÚÛÜİŞßàáâãäåæçèéêëìíîïğñòóôõö÷øùúûüışÿ" },
    { "windows-1253", "CP1253", GREECE,
      "€?‚ƒ„…†‡?‰?‹?????‘’“”•–—?™?›???? ΅Ά£¤¥¦§¨©?«¬-®―°±²³΄µ¶·ΈΉΊ»Ό½ΎΏ"
      "ΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡ?ΣΤΥΦΧΨΩΪΫάέήίΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώ?" },
};

/* Small letters and how often each is met among 1000 letters beyond ASCII; capitals are taken as CAPITAL of that. */
static const struct { int region; const char *letters; } languages[] = {
    /* English  */ { WEST | BORROWED, "£60 é400 ñ40 ü60 ö50 ä30 è60 ç50 ï40 à40 í40 á40 ó40 ê30 â20 ø10 å10 ô20" },
    /* French   */ { WEST, "é560 è110 à140 ê60 ç40 ù15 î15 ô20 â15 û10 ë5 ï5 œ5 ÿ1 æ1" },
    /* German   */ { WEST, "ä300 ö150 ü350 ß180 é5" },
    /* Spanish  */ { WEST, "ó260 á220 í210 é150 ú60 ñ80 ü3 º5 ª5" },
    /* Portug.  */ { WEST, "ã210 á140 ç160 é150 í80 ó60 ê70 õ60 â30 ú30 à30 ô15 ü2 º5 ª5" },
    /* Italian  */ { WEST, "è300 à260 ù110 ò150 é120 ì80" },
    /* Dutch    */ { WEST, "é450 ë360 ï120 ö30 ü20 è50 ó20 ê10" },
    /* Swedish  */ { WEST, "ä410 å300 ö280 é10 ü2" },
    /* Danish   */ { WEST, "ø350 å370 æ270 é20 ö3 ä3" },
    /* Finnish  */ { WEST, "ä820 ö160 å10 é2" },
    /* Iceland. */ { WEST, "ð200 á170 í170 ó100 þ120 é70 ö80 ú60 æ80 ý50" },
    /* Polish   */ { CENTRAL, "ł240 ę150 ą130 ó120 ż110 ś90 ć50 ń30 ź10" },
    /* Czech    */ { CENTRAL, "í230 á170 é100 ě120 ř90 č80 ž80 ý80 š70 ů50 ú10 ň6 ť4 ď3 ó3" },
    /* Slovak   */ { CENTRAL, "á220 í140 é110 č120 ý100 ž110 š80 ú60 ľ40 ť40 ô15 ó15 ň15 ä10 ď15 ĺ2 ŕ1" },
    /* Hungar.  */ { CENTRAL, "á300 é300 ö90 ó100 ő80 í50 ü50 ú30 ű20" },
    /* Slovene, Croatian */ { CENTRAL, "č280 š270 ž200 ć170 đ60" },
    /* Romanian */ { CENTRAL, "ă400 î150 ş160 ţ170 â90" },
    /* Russian  */ { EAST, "о110 е85 а80 и74 н67 т63 с55 р47 в45 л44 к35 м32 д30 п28 у26 я20 ы19 ь17 г17 з16 б16 ч14 й12 х10 ж9 ш7 ю6 ц5 щ4 э3 ф3 ъ1 ё1" },
    /* Ukrain.  */ { EAST, "о94 а84 н68 и61 і57 в54 т54 е50 р45 с43 к38 л36 у33 д32 м30 п29 я24 з22 ь18 г17 б16 ч14 х12 ц11 ю9 й12 ж9 ш7 ї8 є6 щ4 ф4 ґ1" },
    /* Turkish  */ { TURKEY, "ı280 ü170 ş160 ğ120 ö90 ç110 â5" },
    /* Greek    */ { GREECE, "α100 ο85 ι65 ε70 τ80 σ55 ς40 ν60 η45 υ40 ρ42 π40 κ42 μ33 λ28 ω17 δ17 γ18 χ12 θ12 φ8 β7 ξ4 ζ4 ψ2 ά25 ί25 έ20 ό25 ή17 ύ12 ώ10 ϊ1" },
};
#define CAPITAL 0.06

/* Signs that all of them use, per 1000 letters. */
static const char signs[] = "’12 “6 ”6 –8 —4 …4 „4 ‘8 •3 °3 §1 €4 «15 »15 ©1 ®1 ™1 ½2 ¼2 ¾2 ²1 ·1 £3 ´1 ×1 µ1 ±1 №2 ¿4 ¡2 -1  8"; /* at the end the soft hyphen and the no-break space */

#define FOREIGN   2e-3   /* in Latin text a letter of another Latin language, times how often that has it: names of people and places ... */
#define SELDOM    1e-4   /* ... and at least this */
#define UNKNOWN   5e-5   /* a character that the language does not use */
#define MIXED     1e-2   /* in Greek and Cyrillic text a letter in one word with an ASCII letter */
#define FORBIDDEN 1e-7   /* a control character, or no character at all */
#define JUMBLED   1e-2   /* a word whose letters no language has together */
#define ELSEWHERE 1e-2   /* a text in an encoding that is made for another region than that of its language */
_Static_assert(ARRAY_LEN(languages) <= 32, "who_has has a bit for each language");
#define NARROW    2.3    /* ln 10: an encoding that reads the text otherwise is not even ten times less likely */
#define POOR_FIT  (-5.5) /* mean ln p below this: no language fits; real text has -2 to -3.5 */

/* The character of each high byte. */
static void read_charset(const char *high, uint32_t cp[128])
{
    Str s = str_of(high);
    for (int i = 0; i < 128; i++) {
        const int n = utf8_decode(s.p, s.n, &cp[i]);
        s = (Str){ s.p + n, s.n - (size_t)n };
    }
}

static uint32_t capital_of(uint32_t cp)
{
    StrBuf up = { 0 };
    char text[4];
    uint32_t out = cp;
    utf8_upper(&up, (Str){ text, (size_t)utf8_encode(cp, text) });
    if (utf8_decode(strbuf_z(&up), up.n, &out) != (int)up.n)
        out = cp; /* sharp s: two letters, hence no capital */
    strbuf_release(&up);
    return out;
}

/* A language's characters, the signs with them. */
typedef struct Letters { uint32_t cp[256]; double weight[256]; size_t n, own; bool latin; } Letters; /* own: the letters alone */

/* Adds "é560 è110 ...", with capitals where wanted. */
static void add_letters(Letters *l, const char *table, bool capitals)
{
    for (Str s = str_of(table); s.n;) {
        uint32_t c = 0;
        size_t i = (size_t)utf8_decode(s.p, s.n, &c);
        double w = 0;
        for (; i < s.n && s.p[i] != ' '; i++)
            w = w * 10 + (s.p[i] - '0');
        i += i < s.n;
        s = (Str){ s.p + i, s.n - i };
        const uint32_t up = capitals ? capital_of(c) : c;
        BUG_ON(l->n + 2 > ARRAY_LEN(l->cp));
        l->cp[l->n] = c;
        l->weight[l->n++] = w / 1000;
        if (up != c) {
            l->cp[l->n] = up;
            l->weight[l->n++] = w / 1000 * CAPITAL;
        }
    }
}

static bool is_latin(uint32_t cp)
{
    return cp >= 0xc0 && cp < 0x250 && cp != 0xd7 && cp != 0xf7; /* but for the signs of multiplication and division */
}

static bool is_ascii_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Words with letters that no one language has together. speak: of each high byte the languages that have its letter, a bit each; 0: it is no letter of any. */
static size_t count_jumbled(Str s, const uint32_t speak[128])
{
    size_t   n = 0;
    uint32_t all = UINT32_MAX;
    for (size_t i = 0; i <= s.n; i++) {
        const unsigned char c = i < s.n ? (unsigned char)s.p[i] : ' ';
        if (c >= 0x80 && speak[c - 0x80]) {
            all &= speak[c - 0x80];
        } else if (!is_ascii_letter((char)c)) {
            n += all == 0;
            all = UINT32_MAX;
        }
    }
    return n;
}

/* The languages that have this letter, a bit each; *often: the most that one of them has it. */
static uint32_t who_has(const Letters *l, uint32_t cp, double *often)
{
    uint32_t who = 0;
    *often = 0;
    for (size_t k = 0; k < ARRAY_LEN(languages); k++)
        for (size_t i = 0; i < l[k].own && !(languages[k].region & BORROWED); i++)
            if (l[k].cp[i] == cp) {
                who |= 1u << k;
                *often = MAX(*often, l[k].weight[i]);
            }
    return who;
}

/* The lines without what is whole UTF-8 in them. */
static void drop_utf8(StrBuf *out, Str s)
{
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        const int len = (signed char)s.p[i] >= 0 ? 1 : utf8_decode(s.p + i, s.n - i, &cp);
        if (len <= 1)
            strbuf_addc(out, s.p[i]);
        i += len > 1 ? (size_t)len : 1;
    }
}

/* foreign: how often each high byte's letter is met in the Latin language that has it most. */
static double likelihood(const Letters *l, const uint32_t cp[128], const double foreign[128], const size_t count[128], size_t mixed)
{
    double sum = l->latin ? 0 : (double)mixed * log(MIXED);
    for (int k = 0; k < 128; k++) {
        if (!count[k])
            continue;
        double p = cp[k] == '?' ? FORBIDDEN : l->latin && is_latin(cp[k]) ? MAX(SELDOM, FOREIGN * foreign[k]) : UNKNOWN;
        for (size_t i = 0; i < l->n; i++)
            p = cp[k] == l->cp[i] ? MAX(l->weight[i], p) : p;
        sum += (double)count[k] * log(p);
    }
    return sum;
}

static bool is_letter_byte(unsigned char c)
{
    return is_ascii_letter((char)c) || (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}

/* Whether the bytes in which the two differ stand as in ISO-8859-15: in words, where in Windows-1252 they are fractions beside numbers and blanks, and accents and
 * bars of their own; as the sign of the euro, where there it is one that nobody writes. What Windows-1252 has at 0x80 to 0x9f (quotes, dashes, the euro) are control
 * characters there, which no text has. */
static bool latin9_fits(Str s)
{
    int64_t fits = 0;
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i], before = i ? (unsigned char)s.p[i - 1] : ' ', behind = i + 1 < s.n ? (unsigned char)s.p[i + 1] : ' ';
        const bool small = (before >= 'a' && before <= 'z') || (before >= 0xdf && before != 0xf7), digit = before >= '0' && before <= '9';
        if (c >= 0x80 && c < 0xa0)
            return false;
        if (c == 0xa4)                                                  /* the euro */
            fits++;
        else if (c == 0xa6 || c == 0xb4 || c == 0xbc || c == 0xbe)      /* capitals: none stands behind a small letter, as the accent in "geht´s" does */
            fits += is_letter_byte(behind) && !small && !digit ? 1 : -1;
        else if (c == 0xa8 || c == 0xb8)                                /* small s and z with caron */
            fits += is_letter_byte(before) || is_letter_byte(behind) ? 1 : -1;
        else if (c == 0xbd)                                             /* oe: inside of a word, or before the letters that follow it at its beginning */
            fits += is_letter_byte(before) || (!digit && behind && strchr("iueds", behind)) ? 1 : -1;
    }
    return fits > 0;
}

static EncodingGuess guess_single(Str lines)
{
    size_t count[128] = { 0 }, total = 0, mixed = 0, best = 0, rival = 0;
    double score[ARRAY_LEN(charsets)], next = -INFINITY;
    uint32_t cp[ARRAY_LEN(charsets)][128];
    for (size_t i = 0; i < lines.n; i++) {
        const unsigned char c = (unsigned char)lines.p[i];
        if (c >= 0x80) {
            count[c - 0x80]++;
            total++;
            mixed += c >= 0xc0 && ((i && is_ascii_letter(lines.p[i - 1])) || (i + 1 < lines.n && is_ascii_letter(lines.p[i + 1])));
        }
    }
    Letters letters[ARRAY_LEN(languages)];
    uint32_t speak[128];
    double foreign[128];
    for (size_t k = 0; k < ARRAY_LEN(languages); k++) {
        uint32_t first = 0;
        utf8_decode(languages[k].letters, strlen(languages[k].letters), &first);
        letters[k].n = 0;
        letters[k].latin = first < 0x250;
        add_letters(&letters[k], languages[k].letters, true);
        letters[k].own = letters[k].n;
        add_letters(&letters[k], signs, false);
    }
    for (size_t i = 0; i < ARRAY_LEN(charsets); i++) {
        read_charset(charsets[i].high, cp[i]);
        for (int c = 0; c < 128; c++)
            speak[c] = who_has(letters, cp[i][c], &foreign[c]);
        const double jumbled = (double)count_jumbled(lines, speak) * log(JUMBLED);
        score[i] = -INFINITY;
        for (size_t k = 0; k < ARRAY_LEN(languages); k++)
            score[i] = MAX(score[i], likelihood(&letters[k], cp[i], foreign, count, mixed) + jumbled + (languages[k].region & charsets[i].region ? 0 : log(ELSEWHERE)));
        if (!strcmp(charsets[i].label, "ISO-8859-15") && !latin9_fits(lines))
            score[i] = -INFINITY;
        best = score[i] > score[best] + 1e-9 ? i : best;
    }
    for (size_t i = 0; i < ARRAY_LEN(charsets); i++) {
        bool differs = false;
        for (int k = 0; k < 128; k++)
            differs |= count[k] && cp[i][k] != cp[best][k];
        rival = differs && score[i] > next ? i : rival;
        next = differs ? MAX(next, score[i]) : next;
    }
    const bool poor = total && score[best] / (double)total < POOR_FIT, close = total && score[best] - next < NARROW;
    return (EncodingGuess){ charsets[best].label, charsets[best].iconv, .unsure = poor || close, .rival = close && !poor ? charsets[rival].label : NULL };
}

EncodingGuess encoding_guess(Str lines)
{
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        const size_t pairs = fits_shape(&shapes[i], lines);
        if (pairs)
            return (EncodingGuess){ shapes[i].label, shapes[i].iconv, .pairs = true, .unsure = pairs < SHAPE_SURE };
    }
    StrBuf old = { 0 };
    drop_utf8(&old, lines);
    const EncodingGuess g = guess_single(strbuf_str(&old));
    strbuf_release(&old);
    return g;
}

/* ---- UTF-16 ---- */

#define WIDE_UNITS 4 /* fewer prove nothing */

/* Whether the units are text: no zero, no control characters but white space, surrogates in pairs only. */
static bool wide_is_text(Str s, int high)
{
    bool pair = false;
    for (size_t i = 0; i + 1 < s.n; i += 2) {
        const unsigned u = (unsigned)(unsigned char)s.p[i + (size_t)high] << 8 | (unsigned char)s.p[i + 1 - (size_t)high];
        const bool low = u >= 0xdc00 && u < 0xe000;
        if (low != pair || (u < 0x20 && u != '\t' && u != '\n' && u != '\r') || u >= 0xfffe)
            return false;
        pair = u >= 0xd800 && u < 0xdc00;
    }
    return true;
}

/* In UTF-16 nearly all zeros stand in the high half. In Latin text they are half of the bytes; elsewhere only spaces and line ends have them, and then the low halves
 * or the constant high halves are bytes that no other text is full of. */
EncodingWide encoding_guess_wide(Str s)
{
    size_t zero[2] = { 0 }, strange = 0;
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        zero[i & 1] += c == 0;
        strange += c >= 0x80 || (c && c < 9);
    }
    const int high = zero[1] > zero[0]; /* 1: little endian, the high half comes second */
    const size_t units = s.n / 2, z = zero[high];
    if (units < WIDE_UNITS || zero[1 - high] * 16 > z || !wide_is_text(s, high))
        return WIDE_NONE;
    if (z * 4 >= units || (z * 100 >= units && strange * 10 >= s.n))
        return high ? WIDE_LE : WIDE_BE;
    return WIDE_NONE;
}
