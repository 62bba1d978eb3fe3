/* pii_replace_int.h - what pii_replace.c and pii_surrogate.c know of each other. */
#ifndef HONE_PREP_PII_REPLACE_INT_H
#define HONE_PREP_PII_REPLACE_INT_H

#include "prep/pii_int.h"
#include "prep/pii_key.h"
#include "prep/pii_replace.h"

struct PiiReplacer {
    const PiiWords *words;
    PiiPolicy       policy;
    PiiHmac         hmac;
};

#endif
