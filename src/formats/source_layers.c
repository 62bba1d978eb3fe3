/* source_layers.c - the layers of a source: buffering and counting, gzip by zlib, everything else by libarchive.
 * gzip is unpacked with zlib itself, because libarchive 3.6 does not verify its checksum. libarchive gets the formats and filters it needs by name, never all.
 * Invariants: every layer counts what it gives out and stops at the bounds; bytes read before damage are given out before the error. A bomb, and what is
 * wrong with one member of a zip that has its table of contents, or of any archive with what a member is packed in besides, is the end of that member alone.
 * To add a packing that libarchive unpacks: a row in filters[], or one more kind of archive in archive_push. */
#include "formats/source_int.h"

#include "base/mem.h"

#include <archive.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <zlib.h>

typedef struct Gunzip {
    Layer    l;
    z_stream z;
    bool     inside;                          /* of a gzip member */
} Gunzip;

/* ---- layers ---- */

static bool exceeds(const Source *s, uint64_t out, uint64_t packed) { return out > SOURCE_RATIO_FREE && out / s->limits.ratio > packed; }

/* Whether the member at hand is the bomb, so that it can be left for the next one. members: of the layer that they come from, itself. */
static bool member_exceeds(const Layer *l, const Unpack *members)
{
    if (l->inside)
        return exceeds(l->owner, l->out, l->owner->bottom->pos);
    return members && exceeds(l->owner, members->at, (uint64_t)archive_filter_bytes(members->a, 0) - members->packed_at);
}

/* Counts n bytes given out by a layer that unpacks, and holds them against the bounds: the ratio of a member, and that of all. A member counts among all once
 * it is too large to be free, or at its end, so that a bomb is found to be one before it is anything else's fault. */
static int layer_count(Layer *l, size_t n, Err *e)
{
    Source       *s = l->owner;
    const Unpack *u = s->archive && l == &s->archive->l ? s->archive : NULL;
    const bool    passing = u && s->passing, member = !passing && member_exceeds(l, u);
    l->out += n;
    if (passing)
        l->refused += n;
    else if (member && u)
        l->refused += u->at;
    const uint64_t open = u && !passing && u->at <= SOURCE_RATIO_FREE ? u->at : 0;
    const bool     bomb = member || (!passing && exceeds(s, l->out - l->refused - open, s->bottom->pos));
    s->passing |= member;
    s->dead |= (bomb && !member) || l->out > s->limits.bytes;
    if (l->out > s->limits.bytes)
        return err_set(e, ERR_INPUT, "%s: it unpacks to more than %" PRIu64 " bytes, the most that is read from one file; split it, or unpack it yourself",
                       source_where(s), s->limits.bytes);
    if (bomb)
        return err_set(e, ERR_INPUT, "%s: it unpacks to more than %" PRIu64 " times its size, which no data does (a \"zip bomb\"); unpack it yourself if you trust it",
                       source_where(s), s->limits.ratio);
    return 0;
}

/* At least `want` unread bytes in the buffer, or all there are. */
int layer_fill(Layer *l, size_t want, Err *e)
{
    if (l->end - l->pos >= want || l->eof)
        return 0;
    if (!l->buf) {
        l->cap = SOURCE_BLOCK;
        l->bytes = l->buf = mem_alloc(l->cap);
    }
    BUG_ON(want > l->cap);
    memmove(l->buf, l->buf + l->pos, l->end - l->pos);
    l->end -= l->pos;
    l->pos = 0;
    while (l->end < want && !l->eof) {
        size_t n = 0;
        int rc = l->read(l, l->buf + l->end, l->cap - l->end, &n, e);
        if (rc)
            return rc;
        l->end += n;
        l->eof = n == 0;
    }
    return 0;
}

int layer_take(Layer *l, uint8_t *p, size_t cap, size_t *n, Err *e)
{
    *n = MIN(cap, l->end - l->pos);
    if (*n) {
        memcpy(p, l->bytes + l->pos, *n);
        l->pos += *n;
        return 0;
    }
    if (l->eof)
        return 0;
    int rc = l->read(l, p, cap, n, e);
    l->eof = !rc && *n == 0;
    return rc;
}

void layer_pop(Layer **top, const Layer *until)
{
    while (*top != until) {
        Layer *l = *top;
        *top = l->below;
        if (l->close)
            l->close(l);
        free(l->buf);
        free(l);
    }
}

Layer *layer_push(Source *s, Layer *below, size_t size)
{
    Layer *l = mem_zalloc(1, size);
    l->owner = s;
    l->below = below;
    l->bytes = (const uint8_t *)""; /* until it has read */
    l->inside = s->archive;
    return l;
}

int layer_drain(Layer *l, Err *e)
{
    uint8_t *waste = mem_alloc(SOURCE_BLOCK);
    size_t n;
    int rc;
    while (!(rc = layer_take(l, waste, SOURCE_BLOCK, &n, e)) && n) {
    }
    free(waste);
    return rc;
}

/* ---- gzip ---- */

static int gunzip_bad(const Gunzip *g, const char *what, Err *e)
{
    return err_set(e, ERR_INPUT, "%s: the gzip data is damaged after %" PRIu64 " unpacked bytes: %s; copy or download the file again",
                   source_where(g->l.owner), g->l.out, what);
}

/* Before a gzip member: 1 when one begins, 0 at the end of the file, which tapes fill with zeros. */
static int gunzip_begin(Gunzip *g, Err *e)
{
    Layer *below = g->l.below;
    for (;;) {
        int rc = layer_fill(below, 2, e);
        if (rc)
            return rc;
        const uint8_t *p = below->bytes + below->pos;
        size_t n = below->end - below->pos;
        if (!n)
            return 0;
        if (n >= 2 && p[0] == 0x1f && p[1] == 0x8b) {
            g->inside = true;
            return inflateReset(&g->z) == Z_OK ? 1 : gunzip_bad(g, "zlib cannot begin", e);
        }
        if (p[0])
            return gunzip_bad(g, "other bytes follow its end", e);
        below->pos++;
    }
}

static int gunzip_read(Layer *l, uint8_t *p, size_t cap, size_t *n, Err *e)
{
    Gunzip *g = (Gunzip *)l;
    *n = 0;
    while (*n == 0) {
        if (!g->inside) {
            int rc = gunzip_begin(g, e);
            if (rc <= 0)
                return rc;
        }
        int rc = layer_fill(l->below, 1, e);
        if (rc)
            return rc;
        const size_t in = MIN(l->below->end - l->below->pos, SOURCE_BLOCK), out = MIN(cap, SOURCE_BLOCK);
        g->z.next_in = (Bytef *)(uintptr_t)(l->below->bytes + l->below->pos); /* zlib only reads it */
        g->z.avail_in = (uInt)in;
        g->z.next_out = p;
        g->z.avail_out = (uInt)out;
        const int z = inflate(&g->z, Z_NO_FLUSH);
        l->below->pos += in - g->z.avail_in;
        *n = out - g->z.avail_out;
        if (z == Z_STREAM_END)
            g->inside = false;
        else if (z != Z_OK && *n == 0)      /* with bytes in hand the error comes again at the next call */
            return gunzip_bad(g, in == 0 ? "it is cut short" : g->z.msg ? g->z.msg : "it cannot be unpacked", e);
    }
    return layer_count(l, *n, e);
}

static void gunzip_close(Layer *l)
{
    inflateEnd(&((Gunzip *)l)->z);
}

int gunzip_push(Source *s, Layer **top, Err *e)
{
    Gunzip *g = (Gunzip *)layer_push(s, *top, sizeof *g);
    g->l.read = gunzip_read;
    if (inflateInit2(&g->z, 15 + 16) != Z_OK) {     /* 15: any window; 16: gzip with its checksum */
        free(g);
        return err_set(e, ERR_MEM, "%s: zlib cannot begin; there is too little memory", s->name);
    }
    g->l.close = gunzip_close;
    *top = &g->l;
    return 0;
}

/* ---- libarchive ---- */

static la_ssize_t unpack_feed(struct archive *a, void *ctx, const void **p)
{
    Unpack *u = ctx;
    Layer *below = u->l.below;
    if (layer_fill(below, 1, &u->inner)) {
        archive_set_error(a, EIO, "the bytes below cannot be read");
        return -1;
    }
    const size_t n = MIN(below->end - below->pos, SOURCE_BLOCK);
    *p = below->bytes + below->pos;
    below->pos += n;
    return (la_ssize_t)n;
}

static int unpack_bad(Unpack *u, Err *e)
{
    const char *why = archive_error_string(u->a);
    if (u->inner.code) {
        if (e)
            *e = u->inner;
        return u->inner.code;
    }
    return err_set(e, ERR_INPUT, "%s: the %s is damaged, cut short or locked: %s; copy or download the file again", source_where(u->l.owner), u->name,
                   why ? why : "it cannot be unpacked");
}

static int unpack_read(Layer *l, uint8_t *p, size_t cap, size_t *n, Err *e)
{
    Unpack *u = (Unpack *)l;
    *n = 0;
    while (!u->block_n) {
        const void *block = NULL;
        size_t size = 0;
        la_int64_t at = 0;
        const int rc = archive_read_data_block(u->a, &block, &size, &at);
        if (rc == ARCHIVE_EOF)
            return 0;
        if (rc == ARCHIVE_RETRY)
            continue;
        if (rc != ARCHIVE_OK || at < 0 || (uint64_t)at < u->at) {
            if (u == l->owner->archive) {
                l->owner->lost = true;
                l->owner->dead |= rc == ARCHIVE_FATAL && !l->owner->table;
            }
            return unpack_bad(u, e);
        }
        u->block = block;
        u->block_n = size;
        u->block_at = (uint64_t)at;
    }
    if (u->at < u->block_at) {                      /* a hole reads as zeros */
        *n = (size_t)MIN((uint64_t)cap, u->block_at - u->at);
        memset(p, 0, *n);
    } else {
        *n = MIN(cap, u->block_n);
        memcpy(p, u->block, *n);
        u->block += *n;
        u->block_n -= *n;
        u->block_at += *n;
    }
    u->at += *n;
    return layer_count(l, *n, e);
}

static void unpack_close(Layer *l)
{
    archive_read_free(((Unpack *)l)->a);
}

typedef int (*Support)(struct archive *);
static const Support filters[] = {
    archive_read_support_filter_bzip2, archive_read_support_filter_xz, archive_read_support_filter_zstd, archive_read_support_format_raw, archive_read_support_format_empty,
};
static const Support zip[] = { archive_read_support_format_zip_streamable }, tar[] = { archive_read_support_format_tar };

static int unpack_push(Source *s, Layer **top, const char *name, const Support *supports, size_t n, Err *e)
{
    Unpack *u = (Unpack *)layer_push(s, *top, sizeof *u);
    u->l.read = unpack_read;
    u->l.close = unpack_close;
    u->name = name;
    u->a = archive_read_new();
    BUG_ON(!u->a); /* no memory for a small struct: as mem.h */
    *top = &u->l;
    for (size_t i = 0; i < n; i++)
        if (supports[i](u->a) != ARCHIVE_OK)
            return err_set(e, ERR_WORK, "%s: libarchive lacks a format that hone needs: %s", s->name, archive_error_string(u->a));
    archive_read_set_read_callback(u->a, unpack_feed);
    archive_read_set_callback_data(u->a, u);
    return archive_read_open1(u->a) == ARCHIVE_OK ? 0 : unpack_bad(u, e);
}

static int unpack_header(Unpack *u, struct archive_entry **entry)
{
    int rc;
    do
        rc = archive_read_next_header(u->a, entry);
    while (rc == ARCHIVE_RETRY);
    return rc == ARCHIVE_WARN ? ARCHIVE_OK : rc;     /* a name in an unknown character set, an odd time */
}

/* bzip2, xz, zstd: libarchive's "raw" archive has one entry, or none when the file is empty. */
int filter_push(Source *s, Layer **top, const char *name, Err *e)
{
    struct archive_entry *entry;
    int rc = unpack_push(s, top, name, filters, ARRAY_LEN(filters), e);
    if (rc)
        return rc;
    const int la = unpack_header((Unpack *)*top, &entry);
    (*top)->eof = la == ARCHIVE_EOF;
    return la == ARCHIVE_OK || la == ARCHIVE_EOF ? 0 : unpack_bad((Unpack *)*top, e);
}

/* Each alone: to see whether it is a tar takes 512 bytes, more than the header of a zip's member that source_zip.c gives first. */
int archive_push(Source *s, Layer **top, const char *name, Err *e) { return unpack_push(s, top, name, strcmp(name, SOURCE_ZIP) ? tar : zip, 1, e); }

int unpack_next(Unpack *u, struct archive_entry **entry, Err *e)
{
    u->block_n = 0;
    u->at = 0;
    u->l.pos = u->l.end = 0;
    u->l.eof = false;
    const int rc = unpack_header(u, entry);
    u->packed_at = (uint64_t)archive_filter_bytes(u->a, 0);
    return rc == ARCHIVE_OK ? 1 : rc == ARCHIVE_EOF ? 0 : unpack_bad(u, e);
}
