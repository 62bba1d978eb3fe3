/* zip.h - members of a zip archive by name, from bytes in memory: what office documents are packed in. Over libarchive, which reads zip alone
 * here. Nothing is unpacked to disk. Bounds, each with a sentence: ZIP_MEMBERS_MAX members; a name of ZIP_NAME_MAX bytes; ZIP_MEMBER_MAX
 * unpacked bytes of one member; and over all reads of an archive ZIP_RATIO_MAX unpacked bytes for each of its own bytes once ZIP_RATIO_FREE
 * bytes have come out (deflate reaches 1032 on one repeated byte, honest office files stay below 60; members that share their bytes count each).
 * A member with a password, two members of one name and damaged or cut archives are ERR_INPUT. */
#ifndef HONE_ZIP_H
#define HONE_ZIP_H

#include "base/err.h"
#include "base/str.h"

#define ZIP_MEMBERS_MAX 20000
#define ZIP_NAME_MAX    1024
#define ZIP_MEMBER_MAX  ((size_t)512 << 20)
#define ZIP_RATIO_MAX   250
#define ZIP_RATIO_FREE  ((uint64_t)16 << 20)

typedef struct Zip Zip;

int         zip_open_memory(Zip **z, Str bytes, Err *e); /* bytes borrowed */
size_t      zip_count(const Zip *z);
const char *zip_name(const Zip *z, size_t i);            /* UTF-8 ("?7" where it cannot be), in the archive's order; folders are left out */
int64_t     zip_find(const Zip *z, const char *name);    /* exact, else without regard to ASCII case (as package names of OOXML are); -1: none */
int         zip_read(Zip *z, size_t i, StrBuf *out, Err *e); /* appends the member's bytes */
void        zip_close(Zip *z);                           /* NULL is fine */

#endif
