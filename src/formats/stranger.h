/* stranger.h - what the readers of foreign files share: a stranger's text made safe for messages, and files that are not what they seem. */
#ifndef HONE_STRANGER_H
#define HONE_STRANGER_H

#include "base/err.h"
#include "base/str.h"

typedef struct Shown { char text[128]; } Shown;

bool  is_printable(Str s);                            /* valid UTF-8 without control characters, line separators and direction marks */
Shown shown(Str s);                                   /* what is not printable escaped, cut to about a line */
int   refuse_lfs_pointer(const uint8_t *p, size_t n, Err *e);   /* 0 when the bytes are none */

#endif
