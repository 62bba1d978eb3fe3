/* term.h - what the program may assume of its terminal, and Ctrl-C. */
#ifndef HONE_TERM_H
#define HONE_TERM_H

#include "base/base.h"

bool term_is_tty(int fd);
bool term_colour(int fd);        /* a terminal, and neither NO_COLOR nor TERM=dumb */
int  term_width(int fd);         /* columns, 80 when unknown */
void term_catch_stop(void);      /* SIGINT and SIGTERM set a flag; a second one ends the program at once */
bool term_stop_asked(void);

#endif
