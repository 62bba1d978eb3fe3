/* secret.h - a secret of a data folder: 32 bytes from the system's random source, kept as 64 hexadecimal digits in a file that only its owner may read. */
#ifndef HONE_SECRET_H
#define HONE_SECRET_H

#include "base/err.h"

#define SECRET_HEX 65 /* 64 digits and the terminator */

/* The secret in the file; a file that is absent is made, with mode 0600. ERR_INPUT: it holds something else. */
int secret_file(const char *path, char out[SECRET_HEX], Err *e);

#endif
