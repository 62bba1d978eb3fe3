/* amx.h - the tile registers of AMX by six words: configure, release, zero, load, store, multiply. Two bodies: the processor's instructions, and with
 * AMX_EMULATED their documented meaning in plain C (Intel SDM volume 2, TDPBF16PS, TILELOADD, LDTILECFG), so that a kernel written in these words is tested
 * on machines without the instructions. Registers are numbers 0 to 7, written out, since the instructions hold them.
 *
 * Invariant: between amx_config and amx_release a thread owns the registers; what it did not configure stops the emulation, as it would raise #UD. */
#ifndef HONE_CPU_AMX_H
#define HONE_CPU_AMX_H

#include "base/base.h"

#define AMX_TILES 8
#define AMX_ROWS  16 /* of a register */
#define AMX_WORDS 16 /* of 32 bits, in a row */

/* LDTILECFG reads it: palette 1 is the one with eight registers of 16 rows of 64 bytes. */
typedef struct AmxConfig {
    uint8_t  palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t  rows[16];
} AmxConfig;
_Static_assert(sizeof(AmxConfig) == 64, "the layout is the processor's");

#ifndef AMX_EMULATED

#include <immintrin.h>

/* The compiler is not told which memory these read, hence the barrier. The configuration is to be constant. */
#define amx_barrier()               __asm__ volatile("" ::: "memory")
#define amx_config(c)               _tile_loadconfig(c)
#define amx_release()               _tile_release()
#define amx_zero(t)                 _tile_zero(t)
#define amx_load(t, p, step_bytes)  _tile_loadd(t, p, step_bytes)
#define amx_store(t, p, step_bytes) _tile_stored(t, p, step_bytes)
#define amx_dpbf16(c, a, b)         _tile_dpbf16ps(c, a, b)

#else

#include <math.h>
#include <string.h>

static _Thread_local struct { AmxConfig config; uint32_t word[AMX_TILES][AMX_ROWS][AMX_WORDS]; } amx; /* the thread's registers */

#define amx_barrier() ((void)0)

static inline void amx_config(const AmxConfig *c)
{
    BUG_ON(c->palette != 1 || c->start_row != 0);
    for (int t = 0; t < 16; t++)
        BUG_ON(c->rows[t] > (t < AMX_TILES ? AMX_ROWS : 0) || c->row_bytes[t] > (t < AMX_TILES ? 4 * AMX_WORDS : 0));
    memset(amx.word, 0, sizeof amx.word);
    amx.config = *c;
}

static inline void amx_release(void) { memset(&amx, 0, sizeof amx); }

static inline void amx_zero(int t)
{
    BUG_ON(!amx.config.rows[t] || !amx.config.row_bytes[t]);
    memset(amx.word[t], 0, sizeof amx.word[t]);
}

static inline void amx_load(int t, const void *p, int64_t step_bytes)
{
    amx_zero(t); /* what lies outside the configured part becomes 0 */
    for (int r = 0; r < amx.config.rows[t]; r++)
        memcpy(amx.word[t][r], (const char *)p + r * step_bytes, amx.config.row_bytes[t]);
}

static inline void amx_store(int t, void *p, int64_t step_bytes)
{
    BUG_ON(!amx.config.rows[t] || !amx.config.row_bytes[t]);
    for (int r = 0; r < amx.config.rows[t]; r++)
        memcpy((char *)p + r * step_bytes, amx.word[t][r], amx.config.row_bytes[t]);
}

/* Subnormal numbers are 0, going in and coming out. */
static inline float amx_flush(float f) { return fabsf(f) < 0x1p-126f ? copysignf(0.0f, f) : f; }

static inline float amx_float(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return amx_flush(f);
}

/* Of a row of c: the products with the lower halves of the words are one chain of fused sums over the row of a, those with the upper halves another; the
 * two sums are added, and their sum to c. All roundings to nearest, even. */
static inline void amx_dpbf16(int c, int a, int b)
{
    const AmxConfig *f = &amx.config;
    BUG_ON(c == a || c == b || a == b || !f->rows[c] || f->rows[c] != f->rows[a] || f->row_bytes[c] != f->row_bytes[b] || f->rows[b] * 4 != f->row_bytes[a]);
    for (int m = 0; m < f->rows[c]; m++) {
        float low[AMX_WORDS] = { 0 }, high[AMX_WORDS] = { 0 };
        for (int k = 0; k < f->rows[b]; k++) {
            const float x_low = amx_float(amx.word[a][m][k] << 16), x_high = amx_float(amx.word[a][m][k] & 0xffff0000);
            for (int n = 0; n < AMX_WORDS; n++) {
                low[n] = amx_flush(fmaf(x_low, amx_float(amx.word[b][k][n] << 16), low[n]));
                high[n] = amx_flush(fmaf(x_high, amx_float(amx.word[b][k][n] & 0xffff0000), high[n]));
            }
        }
        for (int n = 0; n < f->row_bytes[c] / 4; n++) {
            float sum = amx_flush(amx_float(amx.word[c][m][n]) + amx_flush(low[n] + high[n]));
            memcpy(&amx.word[c][m][n], &sum, sizeof sum);
        }
    }
}

#endif
#endif
