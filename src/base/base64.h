/* base64.h - RFC 4648 base64 with '+', '/' and padding, as tokenizer files use it. */
#ifndef HONE_BASE64_H
#define HONE_BASE64_H

#include "base/str.h"

void base64_write(StrBuf *out, const void *p, size_t n);  /* appends, padded */
bool base64_read(StrBuf *out, Str text);                  /* appends; false: not padded base64, what was appended is to be thrown away */

#endif
