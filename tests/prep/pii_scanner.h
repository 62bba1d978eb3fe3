/* pii_scanner.h - the scanner that the tests of a file share: made once, and given back. */
#ifndef HONE_TESTS_PII_SCANNER_H
#define HONE_TESTS_PII_SCANNER_H

#include "prep/pii.h"

static PiiScanner *scanner;

static inline int scanner_setup(void **state)
{
    Err e;
    (void)state;
    return pii_scanner_new(&scanner, NULL, &e);
}

static inline int scanner_teardown(void **state)
{
    (void)state;
    pii_scanner_free(scanner);
    return 0;
}

#endif
