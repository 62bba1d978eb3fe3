/* pii_int.h - what the matchers of personal data share: the text under way, characters and words, context, shapes, check digits.
 * Every matcher has the form of PiiMatcher: it looks at one place of the text and adds candidates; it must look at a bounded
 * number of bytes, so that the whole scan is linear. Who overlaps whom is decided afterwards, in pii_scan.c. */
#ifndef HONE_PREP_PII_INT_H
#define HONE_PREP_PII_INT_H

#include <string.h>

#include "prep/pii.h"
#include "prep/pii_words.h"

typedef struct PiiText {
    const PiiScanner *s;
    const char       *p;
    size_t            n;
    PiiSpans         *out;  /* candidates, still overlapping */
    bool              small;    /* no capital stands in the text */
    size_t            name_end; /* names: words before this place belong to a name already found */
    struct { size_t begin, end; } recent[16]; /* names: the last words of names found so far */
    size_t            n_recent;
} PiiText;

/* The phrases that may stand before a name, in lists by their last byte, so that few are compared. Made by pii_phrases_index. */
enum { PII_FAREWELL, PII_INTRODUCTION, PII_NAMING, PII_SELF, PII_HAIL, PII_SIGNED, PII_SMALL_TITLE, PII_BEFORE_PLACE, PII_BEFORE_CODE, PII_BEFORE_BOX, PII_PHRASES };
typedef struct PiiPhrases { uint8_t head[PII_PHRASES][256], next[PII_PHRASES][128], small[128]; } PiiPhrases; /* small: pii_small_due */
void pii_phrases_index(PiiPhrases *x);
bool pii_preceded(const PiiText *t, size_t i, int set);     /* the text before i, blanks left out, ends with a phrase of the set */

struct PiiScanner {
    uint64_t   off;
    int        least;
    uint32_t   home;        /* bit k: country k of pii_country.c is one that the texts come from; 0: nobody said */
    const struct PiiAllow *allow;
    PiiWords  *words;       /* given names, family names, places, and what stands beside them */
    PiiPhrases phrases;
};

static inline bool pii_wants(const PiiText *t, PiiKind k) { return !(t->s->off >> k & 1); }

/* Does a rule's number belong where the texts come from? `country`: two small letters of the rule's name ("de" of "de-tax-id"). HOME_OPEN: nobody said where
 * they come from, or the rule is of no country. pii_country.c */
typedef enum { HOME_OPEN, HOME_HERE, HOME_AWAY } PiiHome;
int     pii_countries_read(const char *list, uint32_t *home, Err *e);
PiiHome pii_home(const PiiScanner *s, const char *country);

void pii_add(PiiText *t, size_t begin, size_t end, PiiKind k, int confidence, const char *rule);

/* ASCII classes by one table; bytes of 0x80 and above have none. */
enum { CH_DIGIT = 1, CH_UPPER = 2, CH_LOWER = 4, CH_HEX = 8, CH_SPACE = 16, CH_LOCAL = 32 /* inside the local part of an e-mail address */ };
extern const uint8_t pii_class[256];
static inline bool ch_is(char c, int classes) { return pii_class[(unsigned char)c] & classes; }
static inline bool ch_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool ch_alpha(char c) { return ch_is(c, CH_UPPER | CH_LOWER); }
static inline bool ch_alnum(char c) { return ch_is(c, CH_UPPER | CH_LOWER | CH_DIGIT); }
static inline char ch_up(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 32) : c; }
static inline char ch_low(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* Is p[0, n) one of the words of a list like "|br|hr|", of which none is longer than 28 bytes? A-Z as small letters. */
static inline bool pii_listed(const char *list, const char *p, size_t n)
{
    char word[32];
    if (!n || n + 3 > sizeof word)
        return false;
    word[0] = word[n + 1] = '|';
    word[n + 2] = '\0';
    for (size_t k = 0; k < n; k++)
        word[1 + k] = ch_low(p[k]);
    return strstr(list, word) != NULL;
}

/* Length of the letter or digit at p[i], 0 when another character stands there. Above ASCII everything counts as a letter but the punctuation and
 * spaces of U+0080..00BF, U+2000..206F and U+3000..303F. */
size_t pii_word_char_wide(const char *p, size_t n, size_t i); /* of a byte of 0x80 and above */
static inline size_t pii_word_char(const char *p, size_t n, size_t i)
{
    return i >= n ? 0 : (unsigned char)p[i] < 0x80 ? ch_alnum(p[i]) : pii_word_char_wide(p, n, i);
}
size_t pii_word_end(const char *p, size_t n, size_t i);     /* behind the word that begins at i */
bool   pii_word_before(const char *p, size_t i);            /* a letter or digit ends at i */
bool   pii_upper_at(const char *p, size_t n, size_t i);     /* an upper-case letter begins at i */
size_t pii_space(const char *p, size_t n, size_t i);        /* length of the blank or no-break space at i, 0: none */
size_t pii_apostrophe(const char *p, size_t n, size_t i);   /* length of what people write as an apostrophe at i ( ' ` \u2019 \u00B4 ), 0: none */

/* Nothing that would make [begin, end) a piece of something longer stands beside it: no letter or digit, no "-x", "_", "/x", ".5". */
bool pii_alone(const PiiText *t, size_t begin, size_t end);
bool pii_closed(const PiiText *t, size_t end);              /* the text, the line or the clause ends there */

/* One of the words (lower case, separated by '|'; a word in front of which '=' stands must be whole, others may begin or end inside a word)
 * stands at most 80 bytes before `begin` or 32 after `end`, letters compared without case in ASCII. */
bool pii_context(const PiiText *t, size_t begin, size_t end, const char *words);

/* Shapes. '9' a digit, 'A' a letter, 'U' an upper-case letter, 'X' a letter or digit, ' ' at most one blank, '-' at most one of "-", ".", "/"
 * and blank, '+' exactly one of them, '=' makes the next character literal (without case). Writes the letters (upper case) and digits to buf and
 * returns the bytes matched, 0 when the shape does not fit. */
#define PII_SHAPE_MAX 48
size_t pii_shape(const char *shape, const char *p, size_t n, char buf[PII_SHAPE_MAX + 1], size_t *nbuf);

/* Check digits over upper-case letters and digits; the sources stand with them. pii_check.c */
typedef bool (*PiiCheck)(const char *s, size_t n);
bool pii_luhn(const char *s, size_t n);
bool pii_iso7064_11_10(const char *s, size_t n);
bool pii_mod97(const char *s, size_t n);                    /* letters count 10..35; the remainder must be 1 */
int  pii_remainder(const char *s, size_t n, int m);         /* of the decimal number; m < 1000 */
int  pii_weighted(const char *s, const char *weights);      /* weights: digits, 'A' is 10; sum of products */
bool pii_day(int day, int month);                           /* a possible day of some year */

bool pii_card_known(const char *s, size_t n);               /* 12..19 digits: an issuer's range and length, and Luhn */
bool pii_iban_holds(const char *s, size_t n);               /* capitals and digits: the country's length, and MOD 97-10 */
size_t pii_street_ending(const char *p, size_t n);          /* bytes of "straße", "weg", ... at the end of a word; 0: none */
int    pii_street_kind(const char *p, size_t n);            /* 0: ends as no street does; 1: as streets and other words do; 2: as a street */
size_t pii_capital_words(const PiiText *t, size_t i, int most); /* the end of the words with a capital from i on; i: none */
size_t pii_postcode(const PiiText *t, size_t i, const char **rule); /* bytes of a postcode of digits at i, its country's letter in front allowed (D-10115) */
int  pii_iban_length(const char country[2]);                /* 0: no such country */

/* The matchers. Each is called where its trigger stands. */
typedef void (*PiiMatcher)(PiiText *t, size_t i);
void pii_match_email(PiiText *t, size_t at);                /* at: the '@' */
void pii_match_email_spelt(PiiText *t, size_t at);          /* at: the bracket of "(at)", or the word "at" */
void pii_match_login(PiiText *t, size_t at);                /* at: the ':' of "://" */
void pii_match_ip6(PiiText *t, size_t at);                  /* at: the first ':' of a run */
void pii_match_ip4(PiiText *t, size_t i);                   /* the rest: i is where a word begins */
void pii_match_mac(PiiText *t, size_t i);
void pii_match_iban(PiiText *t, size_t i);
void pii_match_bic(PiiText *t, size_t i, size_t end);
void pii_match_card(PiiText *t, size_t i);
void pii_match_phone(PiiText *t, size_t i);
void pii_match_id(PiiText *t, size_t i);
void pii_match_wallet(PiiText *t, size_t i, size_t end);
void pii_match_birth(PiiText *t, size_t i);
void pii_match_coordinates(PiiText *t, size_t i);
void pii_match_address(PiiText *t, size_t i, size_t end);   /* a word with a capital or a digit */
void pii_match_block(PiiText *t, size_t i);                 /* an address by the line of its town; a word with a digit: its postcode */
void pii_match_box(PiiText *t, size_t i);                   /* a post-office box; its number */
void pii_match_name(PiiText *t, size_t i, size_t end);      /* a word with a capital */

/* Names in small letters, as people write in a chat. A word [i, end) is worth pii_match_small when pii_small_due says so: what stands before it
 * ends like a phrase that names follow, or the whole text has no capital (PiiText.small). pii_small.c */
void pii_small_index(PiiPhrases *x, int set, const char *phrase);
bool pii_small_due(const PiiText *t, size_t i, size_t end);
void pii_match_small(PiiText *t, size_t i);
bool pii_no_capital(Str text);

/* A text with the tags of a page, as a reader sees it. pii_markup.c */
typedef struct PiiSeam { size_t plain, gap; } PiiSeam; /* from byte `plain` of the text on, up to the next seam, byte k is byte k + gap of the page */
typedef struct PiiPage { StrBuf text; VEC(PiiSeam) seam; } PiiPage;
bool pii_page_read(Str s, PiiPage *out);                    /* false: no tag stands in it, and nothing is to be released */
void pii_page_place(const PiiPage *g, const PiiSpans *found, PiiSpans *out); /* appends what was found in the text, at its places in the page; what goes over a tag in its pieces */
void pii_page_release(PiiPage *g);

bool pii_behind_article(const PiiText *t, size_t i);        /* "der Kessel", "der alte Kessel": the word at i is rather a noun than a name. pii_name.c */

#endif
