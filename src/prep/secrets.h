/* secrets.h - keys, tokens and passwords in a text: by the prefixes that their issuers publish, by the frames of private keys and headers, and by
 * a name ("password", "api_key") before a value that looks drawn at random. All are findings of kind PII_SECRET.
 * To add an issuer: a row in secrets.c. */
#ifndef HONE_PREP_SECRETS_H
#define HONE_PREP_SECRETS_H

#include "prep/pii.h"

/* Appends what it finds, unordered and perhaps overlapping; pii_scan calls it and chooses. Findings below `least` are left out. */
void secrets_scan(Str text, int least, PiiSpans *out);

#endif
