/* pii_key.h - the keyed hash behind surrogates and the subject index, and numbers drawn from it. */
#ifndef HONE_PREP_PII_KEY_H
#define HONE_PREP_PII_KEY_H

#include "base/hash.h"
#include "prep/pii.h"

typedef struct PiiHmac { Sha256 inner, outer; } PiiHmac; /* HMAC-SHA-256 (RFC 2104) with the key already taken in */

void pii_hmac_init(PiiHmac *h, Str key);
void pii_hmac(const PiiHmac *h, const char *use, const char *kind, Str value, uint8_t out[32]); /* over "use NUL kind NUL value" */

/* The form in which two writings of one value are the same. Appends. */
void pii_normalise(PiiKind k, Str value, StrBuf *out);

void pii_lower(Str s, StrBuf *out); /* small letters; bytes that are no UTF-8 become U+FFFD */

/* Numbers that depend on (key, use, kind, value) alone. */
typedef struct PiiDraw { const PiiHmac *h; uint8_t block[32]; size_t used; } PiiDraw;
PiiDraw  pii_draw(const PiiHmac *h, const char *use, const char *kind, Str value);
uint64_t pii_draw_next(PiiDraw *d);

#endif
