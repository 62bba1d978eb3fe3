/* hash.h - SHA-256 (nettle) for integrity and provenance; XXH3 (libxxhash, seed 0) for much data that no one attacks: equal texts, sketches;
 * 64-bit FNV-1a for tables. */
#ifndef HONE_HASH_H
#define HONE_HASH_H

#include <stdatomic.h>

#include "base/err.h"

#define SHA256_HEX 65 /* 64 hex digits and the terminator */

typedef struct Sha256 { _Alignas(8) unsigned char state[128]; } Sha256;
void     sha256_init(Sha256 *h);
void     sha256_add(Sha256 *h, const void *p, size_t n);
void     sha256_hex(Sha256 *h, char out[SHA256_HEX]);
int      sha256_file(const char *path, char out[SHA256_HEX], Err *e);
int      sha256_file_until(const char *path, const atomic_bool *stop, char out[SHA256_HEX], Err *e); /* ERR_STOP soon after *stop is set; NULL: never */
uint64_t hash64(const void *p, size_t n);

typedef struct Hash128 { uint64_t lo, hi; } Hash128;
uint64_t xxh3_64(const void *p, size_t n);  /* the same on every machine of one byte order */
Hash128  xxh3_128(const void *p, size_t n);
typedef struct Xxh3 Xxh3;                   /* xxh3_128 of what is added piece by piece */
Xxh3    *xxh3_new(void);
void     xxh3_add(Xxh3 *h, const void *p, size_t n);
Hash128  xxh3_end(Xxh3 *h);                 /* frees */

#endif
