/* pii_setup.h - the scanner that the options of a preparation ask for: kinds left out, texts that stay, countries. Also for what a person edits later
 * (review_check.c), so that both see the same. */
#ifndef HONE_PREP_PII_SETUP_H
#define HONE_PREP_PII_SETUP_H

#include "prep/pii_allow.h"
#include "prep/prep_cfg.h"

typedef struct PiiSetup { PiiScanner *scanner; PiiAllow *allow; } PiiSetup;
int  pii_setup_open(PiiSetup *s, const PrepCfg *c, Err *e); /* ERR_ARG, ERR_INPUT, ERR_IO: a kind, a country or a list that is none; close it all the same */
void pii_setup_close(PiiSetup *s);

#endif
