/* pii_column.h - does the name of a column say that persons stand in it: "Kunde", "contact_name", "Nachname", "customer": {"name": ..}? A value there is a name as a whole,
 * whether or not the tables know its words. */
#ifndef HONE_PREP_PII_COLUMN_H
#define HONE_PREP_PII_COLUMN_H

#include "prep/pii.h"

typedef enum {
    PII_COLUMN_OTHER,
    PII_COLUMN_THING,   /* "name": of a person or of a thing; the value must have a name of the tables */
    PII_COLUMN_ROLE,    /* "customer", "author": a person, or what sort of one ("new", "support"): two words with a capital, or one of the tables */
    PII_COLUMN_PERSON,  /* "last_name", "Kundenname": every word */
    PII_COLUMN_GIVEN    /* the same, "first_name" */
} PiiColumn;

/* `above`: the name of the object in which the column stands, {NULL, 0}: none. */
PiiColumn pii_column_of(Str above, Str name);

/* True: the value of such a column is the name of a person; *rule is that of the finding ("person-words": no word
 * of it is surely a name). `heard`: the row names a person so elsewhere, which decides of one word. */
bool pii_column_holds(const PiiScanner *s, PiiColumn column, Str value, bool heard, const char **rule);

#endif
