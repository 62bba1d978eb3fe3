/* target.h - the folder or file that a command is about to write: never one that holds something already. */
#ifndef HONE_TARGET_H
#define HONE_TARGET_H

#include "base/err.h"

/* 0 when PATH does not exist or is an empty folder; ERR_ARG when it is missing (NULL, "") or holds something. `option`: "--out". */
int target_check(const char *path, const char *option, Err *e);
/* The same for a single file: 0 when there is nothing of this name; it must end with `ending` (".gguf"). */
int target_check_file(const char *path, const char *option, const char *ending, Err *e);

#endif
