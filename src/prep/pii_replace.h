/* pii_replace.h - what becomes of the personal data that pii_scan found, kind by kind.
 * A PiiReplacer is made once from a secret seed and never changes, so all threads share it. A surrogate is a pure function of (seed, kind, value):
 * the same address, number or name becomes the same surrogate in every row of every file prepared with that seed, so that a conversation still
 * reads; with another seed it becomes another. Whoever has the seed can test a guess against the output: keep it as secret as the data, or
 * throw it away.
 * Surrogates look like what they replace and reach nobody: example.com (RFC 2606), addresses for documentation (RFC 5737, 3849, 7042), telephone
 * numbers reserved for fiction where a regulator has named some and area code 000 elsewhere, IBANs with check digits 00, cards and numbers of
 * authorities that fail their check. They are not always apart: 768 addresses of IPv4 are reserved, and two persons may get one name. */
#ifndef HONE_PREP_PII_REPLACE_H
#define HONE_PREP_PII_REPLACE_H

#include "prep/pii.h"

typedef enum {
    PII_REPORT,     /* found and counted, left as it is */
    PII_REPLACE,    /* by a consistent surrogate */
    PII_REDACT,     /* by its label: [EMAIL] */
    PII_HASH,       /* by label and keyed hash: EMAIL_3f9a2c1b0d47, 48 bits */
    PII_DROP        /* the row is to be left out */
} PiiMode;

bool        pii_mode_find(Str name, PiiMode *m);    /* "report", "replace", "redact", "hash", "drop" */
const char *pii_mode_name(PiiMode m);

typedef struct PiiPolicy { PiiMode mode[PII_KINDS]; } PiiPolicy;
PiiPolicy pii_policy_default(void);                 /* replace; places, banks and companies, which name no person, are reported; secrets redacted */

#define PII_SEED_MIN 16
#define PII_KEY_HEX 33                              /* 32 hexadecimal digits and the terminator */

typedef struct PiiReplacer PiiReplacer;

/* The scanner lends its tables of names and must outlive the replacer. ERR_ARG: the seed is shorter than PII_SEED_MIN bytes. */
int  pii_replacer_new(PiiReplacer **out, const PiiScanner *s, const PiiPolicy *policy, Str seed, Err *e);
void pii_replacer_free(PiiReplacer *r);

/* Appends the text to out with its spans (those of pii_scan: ordered, apart) treated as the policy says, and sets *drop when one of them drops the
 * row; out is then without meaning. Valid UTF-8 gives valid UTF-8. */
void pii_replace(const PiiReplacer *r, Str text, const PiiSpans *spans, StrBuf *out, bool *drop);

/* The surrogate of one value; `rule` as in PiiSpan, "" when unknown. */
void pii_surrogate(const PiiReplacer *r, PiiKind k, const char *rule, Str value, StrBuf *out);

/* A keyed hash (HMAC-SHA-256, 128 bits) of the value as it is compared: without case, blanks and separators. The clear value cannot be read from it
 * and, without the seed, not be tested against it. */
void pii_key(const PiiReplacer *r, PiiKind k, Str value, char out[PII_KEY_HEX]);

#endif
