/* select_int.h - what the two files of selection share: select.c ranks and explains, select_walk.c looks at vectors. */
#ifndef HONE_SELECT_INT_H
#define HONE_SELECT_INT_H

#include "prep/select.h"

typedef struct Ranked { int64_t row; double value; } Ranked;
typedef struct Ranking { int64_t *row; size_t n; } Ranking; /* rows that may be chosen, best first */

void select_keep(Selection *s, int64_t row); /* the next chosen one */

int select_walk_diverse(Selection *s, const Ranking *r, const SelectInput *in, const SelectOptions *o, Err *e);
int select_walk_cover(Selection *s, const Ranking *r, const SelectInput *in, const SelectOptions *o, Err *e);

#endif
