/* target.h - the folder that a command is about to write: never one that holds something already. */
#ifndef HONE_TARGET_H
#define HONE_TARGET_H

#include "base/err.h"

/* 0 when PATH does not exist or is an empty folder; ERR_ARG when it is missing (NULL, "") or holds something. `option`: "--out". */
int target_check(const char *path, const char *option, Err *e);

#endif
