/* pii.h - personal data in a text: where it stands, of what kind, how sure, and by which rule.
 * A PiiScanner is made once and never changes, so all threads share it; pii_scan is a pure function of (scanner, text).
 * Detection is by form, check digit, context words and tables of names, checksum first: it is fast and it explains itself, but no table of
 * names is complete and no rule is certain. Read `confidence` as an order, not as a probability.
 * To add a kind: a value in PiiKind, a row in pii_kinds.c; a number with a fixed form then needs only a row in pii_id.c. */
#ifndef HONE_PREP_PII_H
#define HONE_PREP_PII_H

#include "base/err.h"
#include "base/str.h"
#include "base/vec.h"

#define PII_TEXT_MAX ((size_t)1 << 30) /* longest text that pii_scan takes, bytes */

typedef enum {
    PII_EMAIL, PII_PHONE, PII_URL_LOGIN, PII_IP, PII_MAC,
    PII_IBAN, PII_BIC, PII_CARD, PII_WALLET,
    PII_TAX_ID, PII_SOCIAL_ID, PII_HEALTH_ID, PII_NATIONAL_ID, PII_ID_CARD, PII_PASSPORT, PII_DRIVER_ID, PII_COMPANY_ID, PII_PLATE,
    PII_BIRTH_DATE, PII_PERSON, PII_ADDRESS, PII_POSTCODE, PII_PLACE, PII_COORDINATES,
    PII_SECRET,
    PII_KINDS
} PiiKind;

typedef struct PiiKindInfo {
    const char *name;     /* as recipes and reports write it: "email" */
    const char *label;    /* what redaction puts in: "EMAIL" */
    const char *what;     /* for a person: "an e-mail address" */
} PiiKindInfo;

const PiiKindInfo *pii_kind_info(PiiKind k);
bool               pii_kind_find(Str name, PiiKind *k);     /* by PiiKindInfo.name */

/* One finding: bytes [begin, end) of the text, on character borders of valid UTF-8. */
typedef struct PiiSpan {
    size_t      begin, end;
    PiiKind     kind;
    int         confidence; /* 1..100; 50 and more is reported unless the options say otherwise */
    const char *rule;       /* the row that found it, "de-tax-id"; static text */
} PiiSpan;

typedef VEC(PiiSpan) PiiSpans;

typedef struct PiiOptions {
    uint64_t    off;        /* bit k set: kind k is not looked for; 0: all kinds */
    int         least;      /* findings below this confidence are left out; 0 means 50, 1 reports everything */
    const char *countries;  /* where the texts come from, "DE,FR" (ISO 3166; UK is GB): how a number without a country code is read; NULL, "": from anywhere */
    const struct PiiAllow *allow; /* pii_allow.h: what lies within one of these texts is no finding; borrowed, outlives the scanner; NULL: none */
} PiiOptions;

typedef struct PiiScanner PiiScanner;

int  pii_scanner_new(PiiScanner **out, const PiiOptions *o, Err *e); /* ERR_ARG: least outside 0..100, a country that no rule knows */
void pii_scanner_free(PiiScanner *s);

/* Replaces *out by the findings of a text, ordered by place, none overlapping another. Of two that overlap the one with the higher confidence
 * stays, then the longer, then the earlier, then the kind that stands first in PiiKind; the rest is tried against what stays.
 * The text should be valid UTF-8; other bytes are never read past, but what is found next to them may begin or end inside a character.
 * ERR_INPUT: the text is longer than PII_TEXT_MAX. */
int pii_scan(const PiiScanner *s, Str text, PiiSpans *out, Err *e);

/* True when a value of this rule passes its check digits ("de-tax-id", "12345678901"); false too when the rule has none. The value may
 * hold the separators of its form. */
bool pii_rule_holds(Str rule, Str value);

#endif
