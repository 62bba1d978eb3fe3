/* hash.h - SHA-256 (nettle) for integrity and provenance; XXH3 (libxxhash, seed 0) for much data that no one attacks: equal texts, sketches;
 * 64-bit FNV-1a for tables. */
#ifndef HONE_HASH_H
#define HONE_HASH_H

#include "base/err.h"

#define SHA256_HEX 65 /* 64 hex digits and the terminator */

typedef struct Sha256 { _Alignas(8) unsigned char state[128]; } Sha256;
void     sha256_init(Sha256 *h);
void     sha256_add(Sha256 *h, const void *p, size_t n);
void     sha256_hex(Sha256 *h, char out[SHA256_HEX]);
int      sha256_file(const char *path, char out[SHA256_HEX], Err *e);
uint64_t hash64(const void *p, size_t n);

typedef struct Hash128 { uint64_t lo, hi; } Hash128;
uint64_t xxh3_64(const void *p, size_t n);  /* the same on every machine of one byte order */
Hash128  xxh3_128(const void *p, size_t n);

#endif
