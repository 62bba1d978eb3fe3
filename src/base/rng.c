/* rng.c - Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011), and what is drawn with it.
 * A draw is word (index mod 4) of the block with counter (index / 4, stream) under key seed; nothing else is remembered, so a position can
 * be stored as three numbers and picked up anywhere. The block is computed anew for every word: four times the arithmetic, no hidden state.
 * Changing anything here changes every seeded result; the known-answer test holds it in place. */
#include "base/rng.h"

#include <math.h>

void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * c0, b = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)b;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9u; /* golden ratio */
        k1 += 0xBB67AE85u; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

Rng rng_at(uint64_t seed, RngStream stream, uint64_t sub, uint64_t index)
{
    return (Rng){ .seed = seed, .stream = (uint64_t)stream << 56 ^ sub, .index = index };
}

uint32_t rng_u32(Rng *r)
{
    uint64_t block = r->index >> 2;
    uint32_t counter[4] = { (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)r->stream, (uint32_t)(r->stream >> 32) };
    uint32_t key[2] = { (uint32_t)r->seed, (uint32_t)(r->seed >> 32) }, out[4];
    rng_philox(counter, key, out);
    return out[r->index++ & 3];
}

static uint64_t rng_u64(Rng *r)
{
    uint64_t low = rng_u32(r);
    return (uint64_t)rng_u32(r) << 32 | low;
}

uint64_t rng_below(Rng *r, uint64_t n)
{
    BUG_ON(n == 0);
    uint64_t skip = (0 - n) % n; /* 2^64 mod n: without these values the rest is a whole number of rounds of n */
    uint64_t x;
    do
        x = rng_u64(r);
    while (x < skip);
    return x % n;
}

double rng_unit(Rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double rng_normal(Rng *r)
{
    double radius = ((double)rng_u32(r) + 1.0) * 0x1p-32; /* in (0, 1]: the logarithm stays finite */
    double angle = (double)rng_u32(r) * 0x1p-32;
    return sqrt(-2.0 * log(radius)) * cos(6.283185307179586 * angle);
}

void rng_shuffle(Rng *r, int64_t *v, int64_t n)
{
    for (int64_t i = n - 1; i > 0; i--) { /* Fisher-Yates */
        int64_t j = (int64_t)rng_below(r, (uint64_t)i + 1), t = v[i];
        v[i] = v[j];
        v[j] = t;
    }
}
