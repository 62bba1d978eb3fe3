/* hash.c - SHA-256 by nettle (1.5 GB/s here, with the processor's own instructions; libsodium has 0.2), whose state is kept opaque inside Sha256; XXH3
 * by its library; and FNV-1a, short enough to be its own definition. */
#include <nettle/sha2.h>
#include <xxhash.h>
#undef sha256_init /* nettle's short names are macros, and these are our own */
#undef sha256_digest

#include "base/hash.h"
#include "base/file.h"

#define FILE_RUN ((size_t)1 << 20) /* bytes of a file looked at before they are given back: hashing a model takes no memory */

_Static_assert(sizeof(struct sha256_ctx) <= sizeof(Sha256), "Sha256.state must hold nettle's state");

static struct sha256_ctx *state_of(Sha256 *h)
{
    return (struct sha256_ctx *)(void *)h->state;
}

void sha256_init(Sha256 *h)
{
    nettle_sha256_init(state_of(h));
}

void sha256_add(Sha256 *h, const void *p, size_t n)
{
    if (n)
        nettle_sha256_update(state_of(h), n, p);
}

void sha256_hex(Sha256 *h, char out[SHA256_HEX])
{
    static const char digit[] = "0123456789abcdef";
    uint8_t digest[SHA256_DIGEST_SIZE];
    nettle_sha256_digest(state_of(h), sizeof digest, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        out[2 * i] = digit[digest[i] >> 4];
        out[2 * i + 1] = digit[digest[i] & 15];
    }
    out[2 * sizeof digest] = 0;
}

int sha256_file(const char *path, char out[SHA256_HEX], Err *e)
{
    return sha256_file_until(path, NULL, out, e);
}

int sha256_file_until(const char *path, const atomic_bool *stop, char out[SHA256_HEX], Err *e)
{
    FileMap map;
    int rc = file_map(&map, path, e);
    if (rc)
        return rc;
    Sha256 h;
    sha256_init(&h);
    for (size_t at = 0; at < map.n; at += FILE_RUN) {
        const size_t n = MIN(map.n - at, FILE_RUN);
        if (stop && atomic_load_explicit(stop, memory_order_relaxed)) {
            rc = err_set(e, ERR_STOP, "%s: hashing was stopped", path);
            break;
        }
        sha256_add(&h, map.p + at, n);
        file_forget(map.p + at, n);
    }
    sha256_hex(&h, out);
    file_unmap(&map);
    return rc;
}

uint64_t hash64(const void *p, size_t n)
{
    const unsigned char *bytes = p;
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, 64 bit: offset basis and prime */
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 0x100000001b3u;
    return h;
}

uint64_t xxh3_64(const void *p, size_t n)
{
    return XXH3_64bits(p, n);
}

Hash128 xxh3_128(const void *p, size_t n)
{
    const XXH128_hash_t h = XXH3_128bits(p, n);
    return (Hash128){ h.low64, h.high64 };
}

static XXH3_state_t *xxh3_state(Xxh3 *h)
{
    return (XXH3_state_t *)(void *)h;
}

Xxh3 *xxh3_new(void)
{
    XXH3_state_t *state = XXH3_createState();
    BUG_ON(!state);
    XXH3_128bits_reset(state);
    return (Xxh3 *)(void *)state;
}

void xxh3_add(Xxh3 *h, const void *p, size_t n)
{
    if (n)
        XXH3_128bits_update(xxh3_state(h), p, n);
}

Hash128 xxh3_end(Xxh3 *h)
{
    const XXH128_hash_t hash = XXH3_128bits_digest(xxh3_state(h));
    XXH3_freeState(xxh3_state(h));
    return (Hash128){ hash.low64, hash.high64 };
}
