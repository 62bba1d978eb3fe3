/* pii_wallet.c - addresses of crypto wallets, by their own checks: Base58Check (Bitcoin), Bech32 and Bech32m (BIP 173, 350), and the form of
 * Ethereum's, whose letter case carries a check that few writers keep. */
#include "base/hash.h"
#include "prep/pii_int.h"

static int hex_of(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

static void sha256(const uint8_t *p, size_t n, uint8_t out[32])
{
    Sha256 h;
    char hex[SHA256_HEX];
    sha256_init(&h);
    sha256_add(&h, p, n);
    sha256_hex(&h, hex);
    for (size_t k = 0; k < 32; k++)
        out[k] = (uint8_t)(hex_of(hex[2 * k]) << 4 | hex_of(hex[2 * k + 1]));
}

/* 25 bytes: version, 20 of hash, the first four of SHA-256 twice over. */
static bool base58_holds(const char *s, size_t n)
{
    static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    uint8_t v[25] = {0}, once[32], twice[32];
    for (size_t k = 0; k < n; k++) {
        const char *at = s[k] ? strchr(digits, s[k]) : NULL;
        if (!at)
            return false;
        unsigned carry = (unsigned)(at - digits);
        for (size_t b = sizeof v; b-- > 0; carry >>= 8) {
            carry += 58u * v[b];
            v[b] = (uint8_t)carry;
        }
        if (carry)
            return false;
    }
    sha256(v, 21, once);
    sha256(once, 32, twice);
    return memcmp(twice, v + 21, 4) == 0;
}

static bool bech32_holds(const char *s, size_t n)
{
    static const char digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    static const uint32_t gen[] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3 };
    static const uint8_t prefix[] = { 3, 3, 0, 2, 3 }; /* "bc" spread out, the separator's zero between */
    uint32_t c = 1;
    for (size_t k = 0; k < sizeof prefix + n - 3; k++) {
        const char *at = NULL;
        if (k >= sizeof prefix && !(at = strchr(digits, ch_low(s[k - sizeof prefix + 3]))))
            return false;
        const uint32_t top = c >> 25, v = k < sizeof prefix ? prefix[k] : (uint32_t)(at - digits);
        c = (c & 0x1ffffff) << 5 ^ v;
        for (int b = 0; b < 5; b++)
            if (top >> b & 1)
                c ^= gen[b];
    }
    return c == 1 || c == 0x2bc830a3;
}

void pii_match_wallet(PiiText *t, size_t i, size_t end)
{
    const char *p = t->p + i;
    const size_t n = end - i;
    if (n >= 26 && n <= 35 && (*p == '1' || *p == '3') && base58_holds(p, n))
        pii_add(t, i, end, PII_WALLET, 97, "bitcoin");
    else if (n >= 14 && n <= 74 && ch_low(p[0]) == 'b' && ch_low(p[1]) == 'c' && p[2] == '1' && bech32_holds(p, n))
        pii_add(t, i, end, PII_WALLET, 97, "bitcoin-bech32");
    else if (n == 42 && p[0] == '0' && p[1] == 'x') {
        for (size_t k = 2; k < n; k++)
            if (!ch_is(p[k], CH_HEX))
                return;
        pii_add(t, i, end, PII_WALLET, pii_context(t, i, end, "wallet|=eth|ethereum|crypto") ? 92 : 70, "ethereum");
    }
}
