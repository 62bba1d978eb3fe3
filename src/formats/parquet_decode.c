/* parquet_decode.c - the encodings of values and levels (https://github.com/apache/parquet-format/blob/master/Encodings.md). An encoding is a row in
 * encodings[]: its number, the physical types it may carry, and the function that fills PqValues.
 * Invariants: a function writes exactly v->n values or returns an Err; every read is checked against the bytes of the page; texts are borrowed from the
 * page where they stand whole in it. */
#include "formats/parquet_int.h"

#include <inttypes.h>
#include <stdlib.h>

static int cut_short(Err *e)
{
    return err_set(e, ERR_INPUT, "the data ends before the last value; the file is damaged");
}

/* ---- numbers of a few bits ---- */

int pq_bits(uint32_t max)
{
    return max ? 32 - __builtin_clz(max) : 0;
}

/* The number of 1..64 bits that starts at `bit`, low bits first; whole within p[0..n). */
static inline uint64_t bits_at(const uint8_t *p, size_t n, uint64_t bit, int bits)
{
    size_t at = (size_t)(bit >> 3), left = n - at;
    int shift = (int)(bit & 7);
    uint64_t low;
    if (left >= 8) {
        low = pq_u64(p + at);
    } else {
        low = 0;
        for (size_t i = 0; i < left; i++)
            low |= (uint64_t)p[at + i] << (8 * i);
    }
    low >>= shift;
    if (shift + bits > 64)
        low |= (uint64_t)p[at + 8] << (64 - shift);
    return bits == 64 ? low : low & (((uint64_t)1 << bits) - 1);
}

/* One run of the hybrid: a repeated value, or packed numbers. */
typedef struct Run { int64_t n; uint32_t value; const uint8_t *packed; size_t bytes; } Run;

static bool next_run(ThriftReader *r, int bits, Run *run)
{
    uint64_t head = thrift_varint(r);
    if (r->bad || head >> 1 > INT32_MAX)
        return false;
    *run = (Run){ .n = (int64_t)(head >> 1) };
    if (head & 1) {
        run->n *= 8;
        run->packed = r->p;
        run->bytes = MIN((size_t)(run->n / 8 * bits), (size_t)(r->end - r->p));   /* some writers cut the padding of the last group */
        r->p += run->bytes;
        return true;
    }
    for (int i = 0; i < (bits + 7) / 8; i++) {
        if (r->p == r->end)
            return false;
        run->value |= (uint32_t)*r->p++ << (8 * i);
    }
    return true;
}

static ThriftReader reader_of(Str in)
{
    const uint8_t *p = (const uint8_t *)in.p;
    return (ThriftReader){ p, p + in.n, NULL };
}

static int levels_packed_high_first(uint8_t *out, int64_t n, int bits, Str in, Err *e)
{
    if ((uint64_t)n * (uint64_t)bits > (uint64_t)in.n * 8)
        return cut_short(e);
    for (int64_t i = 0, bit = 0; i < n; i++) {
        int v = 0;
        for (int k = 0; k < bits; k++, bit++)
            v = v << 1 | ((uint8_t)in.p[bit >> 3] >> (7 - (bit & 7)) & 1);
        out[i] = (uint8_t)v;
    }
    return 0;
}

int pq_levels(uint8_t *out, int64_t n, int max, Str in, bool packed, Err *e)
{
    int bits = pq_bits((uint32_t)max), rc = 0;
    ThriftReader r = reader_of(in);
    Run run;
    if (packed)
        rc = levels_packed_high_first(out, n, bits, in, e);
    else
        for (int64_t done = 0; done < n; done += run.n) {
            if (!next_run(&r, bits, &run))
                return cut_short(e);
            run.n = MIN(run.n, n - done);
            if (!run.packed) {
                memset(out + done, run.value > 255 ? 255 : (int)run.value, (size_t)run.n);
                continue;
            }
            if ((uint64_t)run.n * (uint64_t)bits > (uint64_t)run.bytes * 8)
                return cut_short(e);
            for (int64_t i = 0; i < run.n; i++)
                out[done + i] = (uint8_t)bits_at(run.packed, run.bytes, (uint64_t)i * (uint64_t)bits, bits);
        }
    uint8_t top = 0;
    for (int64_t i = 0; !rc && i < n; i++)
        top = MAX(top, out[i]);
    if (!rc && top > max)
        rc = err_set(e, ERR_INPUT, "a level is %d, the schema allows at most %d; the file is damaged", top, max);
    return rc;
}

/* ---- PLAIN ---- */

static int plain_fixed(PqValues *v, Str in, Err *e)
{
    if (in.n / v->width < (uint64_t)v->n)
        return cut_short(e);
    memcpy(v->fixed, in.p, (size_t)v->n * v->width);
    return 0;
}

static int plain_bool(PqValues *v, Str in, Err *e)
{
    if ((uint64_t)v->n > (uint64_t)in.n * 8)
        return cut_short(e);
    for (int64_t i = 0; i < v->n; i++)
        v->fixed[i] = (uint8_t)in.p[i >> 3] >> (i & 7) & 1;
    return 0;
}

static int plain_bytes(PqValues *v, Str in, Err *e)
{
    for (int64_t i = 0; i < v->n; i++) {
        size_t n = in.n < 4 ? SIZE_MAX : pq_u32(in.p);
        if (n > in.n - 4 || in.n < 4)
            return cut_short(e);
        v->text[i] = (Str){ in.p + 4, n };
        in = (Str){ in.p + 4 + n, in.n - 4 - n };
    }
    return 0;
}

static void cut_equal(PqValues *v, const void *p)
{
    for (int64_t i = 0; i < v->n; i++)
        v->text[i] = (Str){ (const char *)p + i * v->length, (size_t)v->length };
}

static int plain_of_length(PqValues *v, Str in, Err *e)
{
    if (in.n / (size_t)v->length < (uint64_t)v->n)
        return cut_short(e);
    cut_equal(v, in.p);
    return 0;
}

static int decode_plain(PqValues *v, Str in, Err *e)
{
    return v->type == PQ_BOOLEAN ? plain_bool(v, in, e) : v->type == PQ_BYTE_ARRAY ? plain_bytes(v, in, e)
         : v->type == PQ_FIXED ? plain_of_length(v, in, e) : plain_fixed(v, in, e);
}

/* ---- dictionary and run lengths ---- */

static int decode_rle_bool(PqValues *v, Str in, Err *e)
{
    size_t n = in.n < 4 ? SIZE_MAX : pq_u32(in.p);
    if (in.n < 4 || n > in.n - 4)
        return cut_short(e);
    return pq_levels(v->fixed, v->n, 1, (Str){ in.p + 4, n }, false, e);
}

static inline void copy_entries(PqValues *v, int64_t at, const uint32_t *index, int64_t n)
{
    const PqValues *d = v->dictionary;
    if (v->text)
        for (int64_t i = 0; i < n; i++)
            v->text[at + i] = d->text[index[i]];
    else if (v->width == 8)
        for (int64_t i = 0; i < n; i++)
            memcpy(v->fixed + 8 * (at + i), d->fixed + 8 * (size_t)index[i], 8);
    else if (v->width == 4)
        for (int64_t i = 0; i < n; i++)
            memcpy(v->fixed + 4 * (at + i), d->fixed + 4 * (size_t)index[i], 4);
    else
        for (int64_t i = 0; i < n; i++)
            memcpy(v->fixed + v->width * (size_t)(at + i), d->fixed + v->width * (size_t)index[i], v->width);
}

static int decode_dictionary(PqValues *v, Str in, Err *e)
{
    enum { CHUNK = 1024 };
    uint32_t index[CHUNK];
    if (!v->dictionary)
        return err_set(e, ERR_INPUT, "the page refers to a dictionary, but no dictionary page comes before it; the file is damaged");
    int bits = in.n ? (uint8_t)in.p[0] : 255;
    if (bits > 32)
        return err_set(e, ERR_INPUT, "dictionary indices of %d bits are impossible; the file is damaged", bits);
    ThriftReader r = reader_of((Str){ in.p + 1, in.n - 1 });
    Run run = {0};
    for (int64_t done = 0, used = 0; done < v->n;) {
        if (used == run.n) {
            used = 0;
            run = (Run){ .n = v->n };            /* of 0 bits nothing needs to be stored */
            if (bits && !next_run(&r, bits, &run))
                return cut_short(e);
            run.n = MIN(run.n, v->n - done);
            if (run.packed && (uint64_t)run.n * (uint64_t)bits > (uint64_t)run.bytes * 8)
                return cut_short(e);
            if (!run.n)
                continue;
        }
        int64_t n = MIN(run.n - used, CHUNK);
        uint32_t top = run.value;
        for (int64_t i = 0; i < n; i++)
            index[i] = run.packed ? (uint32_t)bits_at(run.packed, run.bytes, (uint64_t)(used + i) * (uint64_t)bits, bits) : run.value;
        for (int64_t i = 0; i < n; i++)
            top = MAX(top, index[i]);
        if ((int64_t)top >= v->dictionary->n)
            return err_set(e, ERR_INPUT, "index %" PRIu32 " is outside of the dictionary of %" PRId64 " values; the file is damaged", top,
                           v->dictionary->n);
        copy_entries(v, done, index, n);
        done += n;
        used += n;
    }
    return 0;
}

/* ---- differences ---- */

/* n integers as blocks of differences, each block cut into miniblocks of their own bit widths. Arithmetic wraps, as the format wants it; 32-bit integers
 * are the low halves. Takes the bytes it used off the front of *in. */
static int delta_integers(void *out, size_t width, int64_t n, Str *in, Err *e)
{
    ThriftReader r = reader_of(*in);
    uint64_t block = thrift_varint(&r), minis = thrift_varint(&r), count = thrift_varint(&r), first = thrift_varint(&r);
    uint64_t value = first >> 1 ^ (0 - (first & 1));
    if (r.bad)
        return cut_short(e);
    if (!block || block % 128 || block > 1u << 30 || !minis || block % minis || block / minis % 32)
        return err_set(e, ERR_INPUT, "blocks of %" PRIu64 " differences in %" PRIu64 " parts are not allowed; the file is damaged", block, minis);
    if (count != (uint64_t)n)
        return err_set(e, ERR_INPUT, "%" PRIu64 " packed integers where %" PRId64 " values belong; the file is damaged", count, n);
    uint64_t per_mini = block / minis;
    for (int64_t i = 0; i < n;) {
        if (i == 0) {
            memcpy((uint8_t *)out, &value, width);
            i = 1;
            continue;
        }
        uint64_t least = thrift_varint(&r);
        least = least >> 1 ^ (0 - (least & 1));
        const uint8_t *widths = r.p;
        if (r.bad || minis > (uint64_t)(r.end - r.p))
            return cut_short(e);
        r.p += minis;
        for (uint64_t m = 0; m < minis && i < n; m++) {
            int bits = widths[m];
            uint64_t want = MIN(per_mini, (uint64_t)(n - i));
            size_t bytes = (size_t)MIN(per_mini * (uint64_t)bits / 8, (uint64_t)(r.end - r.p));
            if (bits > 64 || want * (uint64_t)bits > (uint64_t)bytes * 8)
                return cut_short(e);
            for (uint64_t k = 0; k < want; k++, i++) {
                value += least + (bits ? bits_at(r.p, bytes, k * (uint64_t)bits, bits) : 0);
                memcpy((uint8_t *)out + (size_t)i * width, &value, width);   /* x86-64 and its like: low bytes first */
            }
            r.p += bytes;
        }
    }
    *in = (Str){ (const char *)r.p, (size_t)(r.end - r.p) };
    return 0;
}

static int decode_delta(PqValues *v, Str in, Err *e)
{
    return delta_integers(v->fixed, v->width, v->n, &in, e);
}

/* Lengths, then all bytes without gaps. */
static int delta_lengths(Str *text, int64_t n, PqBudget *b, Str in, Err *e)
{
    int32_t *length = NULL;
    int rc = pq_alloc(b, (void **)&length, (uint64_t)n, sizeof *length, e);
    if (!rc)
        rc = delta_integers(length, sizeof *length, n, &in, e);
    for (int64_t i = 0; !rc && i < n; i++) {
        if (length[i] < 0 || (size_t)length[i] > in.n) {
            rc = cut_short(e);
            break;
        }
        text[i] = (Str){ in.p, (size_t)length[i] };
        in = (Str){ in.p + length[i], in.n - (size_t)length[i] };
    }
    pq_give(b, length, (uint64_t)n, sizeof *length);
    return rc;
}

static int expect_length(const PqValues *v, Err *e)
{
    for (int64_t i = 0; v->type == PQ_FIXED && i < v->n; i++)
        if (v->text[i].n != (size_t)v->length)
            return err_set(e, ERR_INPUT, "a value has %zu bytes, the column says %d; the file is damaged", v->text[i].n, v->length);
    return 0;
}

static int decode_delta_length(PqValues *v, Str in, Err *e)
{
    return delta_lengths(v->text, v->n, v->budget, in, e);
}

/* Each value begins with so many bytes of the one before. The joined values go to memory of their own; those without a prefix stay in the page. */
static int join_prefixes(PqValues *v, const int32_t *prefix, Err *e)
{
    uint64_t total = 0;
    size_t before = 0;
    for (int64_t i = 0; i < v->n; i++) {
        if (prefix[i] < 0 || (size_t)prefix[i] > before)
            return err_set(e, ERR_INPUT, "a value repeats %d bytes of one that has %zu; the file is damaged", prefix[i], before);
        before = (size_t)prefix[i] + v->text[i].n;
        total += prefix[i] ? before : 0;
        if (total > v->budget->max)
            break;                                /* the allocation below refuses it */
    }
    char *at = NULL;
    int rc = pq_alloc(v->budget, &v->owned, total, 1, e);
    if (rc)
        return rc;
    at = v->owned;
    for (int64_t i = 0; i < v->n; i++) {
        Str tail = v->text[i];
        if (!prefix[i])
            continue;
        memcpy(at, v->text[i - 1].p, (size_t)prefix[i]);
        memcpy(at + prefix[i], tail.p, tail.n);
        v->text[i] = (Str){ at, (size_t)prefix[i] + tail.n };
        at += v->text[i].n;
    }
    return 0;
}

static int decode_delta_bytes(PqValues *v, Str in, Err *e)
{
    int32_t *prefix = NULL;
    int rc = pq_alloc(v->budget, (void **)&prefix, (uint64_t)v->n, sizeof *prefix, e);
    if (!rc)
        rc = delta_integers(prefix, sizeof *prefix, v->n, &in, e);
    if (!rc)
        rc = delta_lengths(v->text, v->n, v->budget, in, e);
    if (!rc)
        rc = join_prefixes(v, prefix, e);
    pq_give(v->budget, prefix, (uint64_t)v->n, sizeof *prefix);
    return rc ? rc : expect_length(v, e);
}

/* ---- byte k of all values, then byte k + 1 of all ---- */

static int decode_split(PqValues *v, Str in, Err *e)
{
    size_t width = v->text ? (size_t)v->length : v->width, n = (size_t)v->n;
    if (in.n / width < n)
        return cut_short(e);
    uint8_t *to = v->fixed;
    if (v->text) {
        int rc = pq_alloc(v->budget, &v->owned, (uint64_t)n, width, e);
        if (rc)
            return rc;
        to = v->owned;
        cut_equal(v, to);
    }
    for (size_t k = 0; k < width; k++)
        for (size_t i = 0; i < n; i++)
            to[i * width + k] = (uint8_t)in.p[k * n + i];
    return 0;
}

/* ---- the table ---- */

static const struct Encoding { const char *name; int (*decode)(PqValues *v, Str in, Err *e); unsigned types; } encodings[] = {
    [PQ_PLAIN]                   = { "PLAIN",                   decode_plain,        PQ_ANY },
    [PQ_PLAIN_DICTIONARY]        = { "PLAIN_DICTIONARY",        decode_dictionary,   PQ_ANY },
    [PQ_RLE]                     = { "RLE",                     decode_rle_bool,     PQ_OF(BOOLEAN) },
    [PQ_BIT_PACKED]              = { "BIT_PACKED",              NULL,                0 },
    [PQ_DELTA_BINARY_PACKED]     = { "DELTA_BINARY_PACKED",     decode_delta,        PQ_OF(INT32) | PQ_OF(INT64) },
    [PQ_DELTA_LENGTH_BYTE_ARRAY] = { "DELTA_LENGTH_BYTE_ARRAY", decode_delta_length, PQ_OF(BYTE_ARRAY) },
    [PQ_DELTA_BYTE_ARRAY]        = { "DELTA_BYTE_ARRAY",        decode_delta_bytes,  PQ_OF(BYTE_ARRAY) | PQ_OF(FIXED) },
    [PQ_RLE_DICTIONARY]          = { "RLE_DICTIONARY",          decode_dictionary,   PQ_ANY },
    [PQ_BYTE_STREAM_SPLIT]       = { "BYTE_STREAM_SPLIT",       decode_split,        PQ_ANY & ~(PQ_OF(BOOLEAN) | PQ_OF(INT96) | PQ_OF(BYTE_ARRAY)) },
};

size_t pq_width(PqType type)
{
    static const uint8_t width[PQ_TYPES] = { [PQ_BOOLEAN] = 1, [PQ_INT32] = 4, [PQ_INT64] = 8, [PQ_INT96] = 12, [PQ_FLOAT] = 4, [PQ_DOUBLE] = 8 };
    return width[type];
}

int pq_decode(PqValues *v, int encoding, Str in, Err *e)
{
    const struct Encoding *x = encoding >= 0 && encoding < (int)ARRAY_LEN(encodings) ? &encodings[encoding] : NULL;
    if (!x || !x->name)
        return err_set(e, ERR_INPUT, "the encoding with number %d is not known to this version", encoding);
    if (!x->decode || !(x->types >> v->type & 1))
        return err_set(e, ERR_INPUT, "the encoding %s does not go with the column's physical type %d", x->name, (int)v->type);
    return v->n ? x->decode(v, in, e) : 0;   /* a page of nulls may have no bytes at all */
}
