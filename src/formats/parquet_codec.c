/* parquet_codec.c - one compressed page to its bytes. A codec is a row in codecs[]; LZ4's block format is decoded here, as its library is none of ours
 * (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md).
 * Invariant: exactly the announced number of bytes comes out, or an Err; nothing is written or read beyond either end. */
#include "formats/parquet_int.h"

#include <brotli/decode.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

typedef bool (*Unpack)(uint8_t *out, size_t size, const uint8_t *in, size_t n);

static bool unpack_snappy(uint8_t *out, size_t size, const uint8_t *in, size_t n)
{
    size_t got = 0, length = size;
    return snappy_uncompressed_length((const char *)in, n, &got) == SNAPPY_OK && got == size
        && snappy_uncompress((const char *)in, n, (char *)out, &length) == SNAPPY_OK && length == size;
}

/* gzip may hold several members one after the other; their contents follow each other. 32: zlib's own header is taken too. */
static bool unpack_gzip(uint8_t *out, size_t size, const uint8_t *in, size_t n)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)in, .avail_in = (uInt)n, .next_out = out, .avail_out = (uInt)size };
    int rc = n > UINT32_MAX || size > UINT32_MAX ? Z_BUF_ERROR : inflateInit2(&z, 15 + 32);
    if (rc != Z_OK)
        return false;
    while (rc == Z_OK && (rc = inflate(&z, Z_FINISH)) == Z_STREAM_END && z.avail_in)
        rc = inflateReset(&z);
    bool whole = rc == Z_STREAM_END && !z.avail_out && !z.avail_in;
    inflateEnd(&z);
    return whole;
}

static bool unpack_brotli(uint8_t *out, size_t size, const uint8_t *in, size_t n)
{
    size_t length = size;
    return BrotliDecoderDecompress(n, in, &length, out) == BROTLI_DECODER_RESULT_SUCCESS && length == size;
}

static bool unpack_zstd(uint8_t *out, size_t size, const uint8_t *in, size_t n)
{
    return ZSTD_decompress(out, size, in, n) == size;
}

/* A length of LZ4: 15 in the token goes on in bytes of up to 255 each, the first below 255 being the last. */
static bool lz4_length(size_t *length, const uint8_t **in, const uint8_t *end)
{
    uint8_t more = *length == 15 ? 255 : 0;
    while (more == 255) {
        if (*in == end)
            return false;
        more = *(*in)++;
        *length += more;
    }
    return true;
}

/* Sequences of a token, literals and a copy from what was written before; the last has literals alone. Writes from out[at] on, within `room` bytes in all;
 * copies may reach back before `at`. Returns where it ended, or SIZE_MAX. */
static size_t lz4_block(uint8_t *out, size_t at, size_t room, const uint8_t *in, size_t n)
{
    const uint8_t *end = in + n;
    while (in < end) {
        uint8_t token = *in++;
        size_t literals = token >> 4, length = token & 15;
        if (!lz4_length(&literals, &in, end) || literals > (size_t)(end - in) || literals > room - at)
            return SIZE_MAX;
        memcpy(out + at, in, literals);
        at += literals;
        in += literals;
        if (in == end)
            return at;
        if (end - in < 2)
            return SIZE_MAX;
        size_t back = in[0] | (size_t)in[1] << 8;
        in += 2;
        if (!lz4_length(&length, &in, end) || !back || back > at || (length += 4) > room - at)
            return SIZE_MAX;
        for (; length; length--, at++)          /* byte by byte: the copy may overlap itself */
            out[at] = out[at - back];
    }
    return at;
}

static bool unpack_lz4_raw(uint8_t *out, size_t size, const uint8_t *in, size_t n)
{
    return lz4_block(out, 0, size, in, n) == size;
}

static size_t big_u32(const uint8_t *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

/* Hadoop's framing: the size of a piece, then blocks, each behind its compressed size, until the piece is whole; both sizes high byte first. */
static bool unpack_hadoop(uint8_t *out, size_t size, const uint8_t *in, size_t n)
{
    const uint8_t *end = in + n;
    size_t at = 0;
    while (in < end) {
        if (end - in < 4 || big_u32(in) > size - at)
            return false;
        size_t piece = at + big_u32(in);
        in += 4;
        while (at < piece) {
            size_t packed = end - in < 4 ? 0 : big_u32(in);
            if (!packed || packed > (size_t)(end - in) - 4)
                return false;
            size_t got = lz4_block(out + at, 0, piece - at, in + 4, packed);
            if (got == SIZE_MAX || !got)
                return false;
            at += got;
            in += 4 + packed;
        }
    }
    return at == size;
}

/* The old LZ4 codec was never specified: Hadoop frames, other writers give a bare block. Both checks are exact, so no page passes as both by accident. */
static bool unpack_lz4(uint8_t *out, size_t size, const uint8_t *in, size_t n)
{
    return unpack_hadoop(out, size, in, n) || unpack_lz4_raw(out, size, in, n);
}

static const struct { const char *name; Unpack unpack; } codecs[] = {
    [PQ_UNCOMPRESSED] = { "none", NULL },        [PQ_SNAPPY] = { "Snappy", unpack_snappy }, [PQ_GZIP] = { "gzip", unpack_gzip },
    [PQ_LZO] = { "LZO", NULL },                  [PQ_BROTLI] = { "Brotli", unpack_brotli }, [PQ_LZ4] = { "LZ4", unpack_lz4 },
    [PQ_ZSTD] = { "Zstandard", unpack_zstd },    [PQ_LZ4_RAW] = { "LZ4_RAW", unpack_lz4_raw },
};

int pq_decompress(uint8_t *out, size_t size, Str in, int codec, Err *e)
{
    if (codec < 0 || codec >= (int)ARRAY_LEN(codecs) || !codecs[codec].unpack)
        return err_set(e, ERR_INPUT, "the compression %s (number %d) is not supported; write the file with zstd, snappy, gzip, brotli or none",
                       codec == PQ_LZO ? "LZO" : "that the column uses", codec);
    if (!codecs[codec].unpack(out, size, (const uint8_t *)in.p, in.n))
        return err_set(e, ERR_INPUT, "the %s compressed bytes are damaged or do not give the %zu bytes that were announced", codecs[codec].name, size);
    return 0;
}

/* LZ4's frame, as Arrow has it: magic, flags, a byte of block size, the content's size if flag 3 says so, a byte of checksum; blocks behind their sizes (the top
 * bit: not compressed), each with a checksum if flag 4 says so; a size of 0 ends it, and a checksum may follow. Checksums are not compared: what is needed is
 * the announced number of bytes (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md). */
bool pq_lz4_frame(uint8_t *out, size_t size, Str packed_frame)
{
    const uint8_t *in = (const uint8_t *)packed_frame.p, *end = in + packed_frame.n;
    size_t at = 0;
    if (packed_frame.n < 15 || pq_u32(in) != 0x184d2204 || in[4] >> 6 != 1 || in[4] & 1)   /* version 1, no dictionary */
        return false;
    const bool block_checks = in[4] >> 4 & 1, sized = in[4] >> 3 & 1;
    in += sized ? 15 : 7;
    while (end - in >= 4) {
        const uint32_t word = pq_u32(in);
        const size_t   packed = word & 0x7fffffff;
        in += 4;
        if (!word)
            return at == size;
        if (packed > (size_t)(end - in))
            return false;
        if (word >> 31) {
            if (packed > size - at)
                return false;
            memcpy(out + at, in, packed);
            at += packed;
        } else if ((at = lz4_block(out, at, size, in, packed)) == SIZE_MAX) {
            return false;
        }
        in += packed;
        if (block_checks && end - in < 4)
            return false;
        in += block_checks ? 4 : 0;
    }
    return false;
}
