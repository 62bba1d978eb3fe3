/* lock.h - one process at a time: an advisory lock that the system drops when the process ends, however it ends. */
#ifndef HONE_LOCK_H
#define HONE_LOCK_H

#include "base/err.h"

int  lock_take(int *fd, const char *path, Err *e); /* creates PATH; ERR_IO with a sentence when another process holds it */
void lock_drop(int *fd);                           /* *fd < 0 is fine */

#endif
