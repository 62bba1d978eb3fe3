/* met.h - what the rows that were read so far have: the columns that --group, --label, --subject and --time name, and columns that make a row at all.
 * Main struct: Met. It is counted from the entries of rows, so that a preparation that goes on after a stop knows what it knew. */
#ifndef HONE_PREP_MET_H
#define HONE_PREP_MET_H

#include "prep/prep_int.h"

typedef struct Met {
    int64_t here, used;                    /* rows of the input in hand; those of them that no pass removed */
    int64_t good, lack;                    /* of here: could be read; lack columns */
    uint32_t member;                       /* in hand, and the same of it */
    int64_t m_here, m_good, m_lack;
    int64_t lacks;                         /* of all rows */
    bool    read, group, label, subject, timed; /* read: some row could be */
} Met;

void met_row(Met *m, const RowEntry *r);
void met_member(Met *m, uint32_t member);                      /* the next of the input begins */
void met_input(Met *m);                                        /* the next input begins */
bool met_all_lack(int64_t rows, int64_t good, int64_t lack);   /* none of so many rows can be used, and that for want of columns */
int  met_check_columns(const Prep *p, const Met *m, Err *e);   /* ERR_ARG: a column that an option names is in no row; says which is nearly the same */

#endif
