/* rng.c - Philox 4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011), and what is drawn with it.
 * A draw is word (index mod 4) of the block with counter (index / 4, stream) under key seed; nothing else is remembered, so a position can
 * be stored as three numbers and picked up anywhere. A single word computes its block anew: four times the
 * arithmetic, no hidden state; where many are wanted they come in groups (rng_normals).
 * Changing anything here changes every seeded result; the known-answer test holds it in place. */
#include "base/rng.h"

#include <math.h>
#include <string.h>

#define GROUP RNG_GROUP

#define ROUNDS 10
#define WEYL_0 0x9E3779B9u /* golden ratio */
#define WEYL_1 0xBB67AE85u /* sqrt(3) - 1 */

static inline void philox_round(uint32_t *c0, uint32_t *c1, uint32_t *c2, uint32_t *c3, uint32_t k0, uint32_t k1)
{
    uint64_t a = (uint64_t)0xD2511F53u * *c0, b = (uint64_t)0xCD9E8D57u * *c2;
    *c0 = (uint32_t)(b >> 32) ^ *c1 ^ k0;
    *c1 = (uint32_t)b;
    *c2 = (uint32_t)(a >> 32) ^ *c3 ^ k1;
    *c3 = (uint32_t)a;
}

void rng_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t k0 = key[0], k1 = key[1];
    memcpy(out, counter, 4 * sizeof *out);
    for (int round = 0; round < ROUNDS; round++, k0 += WEYL_0, k1 += WEYL_1)
        philox_round(&out[0], &out[1], &out[2], &out[3], k0, k1);
}

Rng rng_at(uint64_t seed, RngStream stream, uint64_t sub, uint64_t index)
{
    return (Rng){ .seed = seed, .stream = (uint64_t)stream << 56 ^ sub, .index = index };
}

static void block_of(const Rng *r, uint32_t out[4])
{
    uint64_t block = r->index >> 2;
    uint32_t counter[4] = { (uint32_t)block, (uint32_t)(block >> 32), (uint32_t)r->stream, (uint32_t)(r->stream >> 32) };
    uint32_t key[2] = { (uint32_t)r->seed, (uint32_t)(r->seed >> 32) };
    rng_philox(counter, key, out);
}

uint32_t rng_u32(Rng *r)
{
    uint32_t out[4];
    block_of(r, out);
    return out[r->index++ & 3];
}

/* Two words, the first of them low; mostly of one block. */
static uint64_t rng_u64(Rng *r)
{
    const uint64_t at = r->index & 3;
    uint32_t       out[4];
    if (at == 3) {
        const uint64_t low = rng_u32(r);
        return (uint64_t)rng_u32(r) << 32 | low;
    }
    block_of(r, out);
    r->index += 2;
    return (uint64_t)out[at + 1] << 32 | out[at];
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

/* --- normal numbers, a group at once. Loops of a fixed length over plain arrays, without branches: compilers make vector code of them. Only operations
 * that IEEE 754 rounds in one way, so every machine draws the same bits; that is why logarithm, sine and cosine are written out (polynomials of Cephes). --- */

#define LANES (GROUP / 4)

static void philox_group(uint32_t c[4][LANES], uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < ROUNDS; round++, k0 += WEYL_0, k1 += WEYL_1)
        for (int i = 0; i < LANES; i++)
            philox_round(&c[0][i], &c[1][i], &c[2][i], &c[3][i], k0, k1);
}

typedef union Word { float f; int32_t i; } Word;

/* sqrt(-2 ln u), u = (word + 1/2) / 2^31 of the word's upper 31 bits: at most 6.66 */
static float radius_of(uint32_t word)
{
    Word  u = { .f = ((float)(int32_t)(word >> 1) + 0.5f) * 0x1p-31f };
    int   e = (u.i - 0x3f3504f3) >> 23; /* u = m 2^e, m in [sqrt(1/2), sqrt(2)) */
    Word  m = { .i = u.i - e * (1 << 23) };
    float x = m.f - 1, p = 7.0376836292e-2f;
    p = p * x - 1.1514610310e-1f;
    p = p * x + 1.1676998740e-1f;
    p = p * x - 1.2420140846e-1f;
    p = p * x + 1.4249322787e-1f;
    p = p * x - 1.6668057665e-1f;
    p = p * x + 2.0000714765e-1f;
    p = p * x - 2.4999993993e-1f;
    p = p * x + 3.3333331174e-1f;
    float ln = x + x * x * (p * x - 0.5f) + (float)e * 0.693147181f;
    return sqrtf(fabsf(-2 * ln)); /* of u near 1 the last bit might be on the other side of 0 */
}

/* Cosine and sine of a word's share of a full turn: the nearest quarter is taken off and given back by exchanging and turning signs. */
static void turn_of(uint32_t word, float *cosine, float *sine)
{
    uint32_t quarter = (word + 0x20000000u) >> 30;
    float    x = (float)(int32_t)(word - (quarter << 30)) * 1.46291807926716e-9f; /* pi / 2^31; within an eighth of a turn */
    float    z = x * x;
    Word     s = { .f = x + x * z * ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) };
    Word     c = { .f = 1 - 0.5f * z + z * z * ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) };
    int32_t  odd = -(int32_t)(quarter & 1), other = (s.i ^ c.i) & odd;
    c.i = (c.i ^ other) ^ (int32_t)(((quarter + 1) & 2u) << 30);
    s.i = (s.i ^ other) ^ (int32_t)((quarter & 2u) << 30);
    *cosine = c.f;
    *sine = s.f;
}

/* Box and Muller 1958: words 0 and 1 of a block give a pair, words 2 and 3 another. */
static void normal_group(float out[GROUP], const Rng *r)
{
    uint32_t       c[4][LANES];
    const uint64_t block = r->index >> 2;
    for (uint32_t i = 0; i < LANES; i++) {
        c[0][i] = (uint32_t)(block + i);
        c[1][i] = (uint32_t)((block + i) >> 32);
        c[2][i] = (uint32_t)r->stream;
        c[3][i] = (uint32_t)(r->stream >> 32);
    }
    philox_group(c, (uint32_t)r->seed, (uint32_t)(r->seed >> 32));
    for (int half = 0; half < 2; half++, out += 2 * LANES)
        for (int i = 0; i < LANES; i++) {
            float cosine, sine, radius = radius_of(c[2 * half][i]);
            turn_of(c[2 * half + 1][i], &cosine, &sine);
            out[i] = radius * cosine;
            out[LANES + i] = radius * sine;
        }
}

void rng_normals(Rng *r, float *out, int64_t n)
{
    float last[GROUP];
    r->index = (r->index + 3) & ~(uint64_t)3;
    for (; n > 0; n -= GROUP, out += GROUP, r->index += GROUP) {
        normal_group(n < GROUP ? last : out, r);
        if (n < GROUP)
            memcpy(out, last, (size_t)n * sizeof *out);
    }
}

void rng_shuffle(Rng *r, int64_t *v, int64_t n)
{
    for (int64_t i = n - 1; i > 0; i--) { /* Fisher-Yates */
        int64_t j = (int64_t)rng_below(r, (uint64_t)i + 1), t = v[i];
        v[i] = v[j];
        v[j] = t;
    }
}
