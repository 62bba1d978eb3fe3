/* salesforce.h - an export of Salesforce (a folder with Case.csv and EmailMessage.csv or CaseComment.csv, as its data export writes them) to conversations: one
 * row per case, {"messages", "Id", "CaseNumber", ...the case's other columns}. The case's subject and description and incoming mails are the user's,
 * outgoing mails and published comments the assistant's, in order of time; comments that are not published stay inside and are counted.
 * Memory: the three tables' texts. */
#ifndef HONE_SALESFORCE_H
#define HONE_SALESFORCE_H

#include "base/json.h"
#include "base/vec.h"

bool salesforce_is(const char *folder);
/* Appends owned rows in the order of Case.csv. note: sentences about what was left out, appended (owned). ERR_INPUT: a table lacks a column that is needed. */
int  salesforce_read(const char *folder, Json ***rows, size_t *n, size_t *cap, StrBuf *note, Err *e);

#endif
