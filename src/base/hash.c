/* hash.c - SHA-256 by libsodium, whose state is kept opaque inside Sha256; and FNV-1a, short enough to be its own definition. */
#include "base/hash.h"
#include "base/file.h"

#include <sodium.h>

_Static_assert(sizeof(crypto_hash_sha256_state) <= sizeof(Sha256), "Sha256.state must hold libsodium's state");

static crypto_hash_sha256_state *sha256_state(Sha256 *h)
{
    return (crypto_hash_sha256_state *)(void *)h->state;
}

void sha256_init(Sha256 *h)
{
    crypto_hash_sha256_init(sha256_state(h));
}

void sha256_add(Sha256 *h, const void *p, size_t n)
{
    if (n)
        crypto_hash_sha256_update(sha256_state(h), p, n);
}

void sha256_hex(Sha256 *h, char out[SHA256_HEX])
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_final(sha256_state(h), digest);
    sodium_bin2hex(out, SHA256_HEX, digest, sizeof digest);
}

int sha256_file(const char *path, char out[SHA256_HEX], Err *e)
{
    FileMap map;
    int rc = file_map(&map, path, e);
    if (rc)
        return rc;
    Sha256 h;
    sha256_init(&h);
    sha256_add(&h, map.p, map.n);
    sha256_hex(&h, out);
    file_unmap(&map);
    return 0;
}

uint64_t hash64(const void *p, size_t n)
{
    const unsigned char *bytes = p;
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, 64 bit: offset basis and prime */
    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * 0x100000001b3u;
    return h;
}
