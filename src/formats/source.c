/* source.c - a stack of layers over a mapped file: [compression] [archive] [compression of a member].
 * Compression comes off first, layer by layer; then the content is a tar or zip archive, or the data itself.
 * gzip is unpacked with zlib itself, because libarchive 3.6 does not verify its checksum. libarchive gets the formats and filters it needs by name, never all.
 * Invariants: every layer counts what it gives out and stops at the bounds, so also what is passed over is bounded; bytes read before damage are given out before
 * the error; nothing is ever written to disk.
 * To add a packing: a row in magics[] and, when libarchive unpacks it, a row in filters[] or archives[]. */
#include "formats/source.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#define SOURCE_BLOCK  ((size_t)256 << 10)
#define SOURCE_MAGIC  512                     /* bytes that tell every packing: one tar header */
#define SOURCE_FORGET ((size_t)64 << 20)      /* mapped bytes kept behind the reading */

typedef enum { PACK_NONE, PACK_GZIP, PACK_ARCHIVE, PACK_FILTER, PACK_REFUSED } Packing;

/* Bytes that flow upwards. Unread ones stand in buf[pos, end); read is NULL where all of them do. */
typedef struct Layer {
    struct Source *owner;
    struct Layer  *below;
    int          (*read)(struct Layer *l, uint8_t *p, size_t cap, size_t *n, Err *e);
    void         (*close)(struct Layer *l);
    const uint8_t *bytes;                     /* the buffer, or the borrowed memory of the lowest layer */
    uint8_t       *buf;
    size_t         pos, end, cap;
    bool           eof;
    uint64_t       out;                       /* bytes given out, for the bounds */
} Layer;

typedef struct Gunzip {
    Layer    l;
    z_stream z;
    bool     inside, begun;                   /* inside a gzip member; the first one has begun */
} Gunzip;

typedef struct Unpack {
    Layer           l;
    struct archive *a;
    const char     *name;                     /* "zip archive" */
    Err             inner;                    /* why the layer below failed */
    const uint8_t  *block;                    /* libarchive's current block */
    size_t          block_n;
    uint64_t        at, block_at;             /* member bytes given out; where the block stands: behind a hole of a sparse file */
} Unpack;

struct Source {
    char        *name, *member, *where;
    FileMap      map;
    bool         mapped, begun, dead, plain;
    SourceLimits limits;
    Layer       *bottom, *top;                /* top: where members are read; NULL between members */
    Layer       *base;                        /* the layer that members come from: the archive, or the whole content */
    Unpack      *archive;                     /* base, when it is an archive with members */
    const char  *packing;
    uint64_t     members, skipped;
    size_t       forgotten;
};

/* ---- layers ---- */

/* Counts n bytes given out by a layer that unpacks, and holds them against the bounds. */
static int layer_count(Layer *l, size_t n, Err *e)
{
    Source *s = l->owner;
    l->out += n;
    const bool bomb = l->out > SOURCE_RATIO_FREE && l->out / s->limits.ratio > s->bottom->pos;
    s->dead |= bomb || l->out > s->limits.bytes;
    if (l->out > s->limits.bytes)
        return err_set(e, ERR_INPUT, "%s: it unpacks to more than %" PRIu64 " bytes, the most that is read from one file; split it, or unpack it yourself",
                       source_where(s), s->limits.bytes);
    if (bomb)
        return err_set(e, ERR_INPUT, "%s: it unpacks to more than %" PRIu64 " times its size, which no data does (a \"zip bomb\"); unpack it yourself if you trust it",
                       source_where(s), s->limits.ratio);
    return 0;
}

/* At least `want` unread bytes in the buffer, or all there are. */
static int layer_fill(Layer *l, size_t want, Err *e)
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

static int layer_take(Layer *l, uint8_t *p, size_t cap, size_t *n, Err *e)
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

static void layer_pop(Layer **top, const Layer *until)
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

static Layer *layer_push(Source *s, Layer *below, size_t size)
{
    Layer *l = mem_zalloc(1, size);
    l->owner = s;
    l->below = below;
    return l;
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
            g->inside = g->begun = true;
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

static int gunzip_push(Source *s, Layer **top, Err *e)
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

/* Only over the mapped file: the table of contents of a zip stands at its end. */
static la_int64_t unpack_seek(struct archive *a, void *ctx, la_int64_t offset, int whence)
{
    (void)a;
    Layer *below = ((Unpack *)ctx)->l.below;
    int64_t from = whence == SEEK_SET ? 0 : (int64_t)(whence == SEEK_CUR ? below->pos : below->end), to;
    if (__builtin_add_overflow(from, offset, &to) || to < 0 || (uint64_t)to > below->end)
        return ARCHIVE_FATAL;
    below->pos = (size_t)to;
    return to;
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
            l->owner->dead |= rc == ARCHIVE_FATAL && u == l->owner->archive;
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
static const Support archives[] = { archive_read_support_format_zip, archive_read_support_format_tar };

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
    if (u->l.below == s->bottom)
        archive_read_set_seek_callback(u->a, unpack_seek);
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
static int filter_push(Source *s, Layer **top, const char *name, Err *e)
{
    struct archive_entry *entry;
    int rc = unpack_push(s, top, name, filters, ARRAY_LEN(filters), e);
    if (rc)
        return rc;
    const int la = unpack_header((Unpack *)*top, &entry);
    (*top)->eof = la == ARCHIVE_EOF;
    return la == ARCHIVE_OK || la == ARCHIVE_EOF ? 0 : unpack_bad((Unpack *)*top, e);
}

/* ---- what it is ---- */

/* A tar header's checksum: the sum of its bytes, the field itself counted as spaces. Old archives have no other mark. */
static bool is_tar(Str s)
{
    if (s.n < 512 || s.p[0] == 0)
        return false;
    long sum = 0;
    char octal[9] = { 0 }, *end;
    for (size_t i = 0; i < 512; i++)
        sum += i >= 148 && i < 156 ? ' ' : (unsigned char)s.p[i];
    memcpy(octal, s.p + 148, 8);
    return sum == strtol(octal, &end, 8) && end != octal;
}

static Packing find_packing(Str s, const char **name)
{
    static const struct { const char *bytes; size_t n; Packing packing; const char *name; } magics[] = {
        { "\x1f\x8b\x08",                3, PACK_GZIP,    "gzip" },
        { "PK\x03\x04",                  4, PACK_ARCHIVE, "zip archive" },
        { "PK\x05\x06",                  4, PACK_ARCHIVE, "zip archive" },
        { "\x28\xb5\x2f\xfd",            4, PACK_FILTER,  "zstd file" },
        { "\xfd" "7zXZ\x00",             6, PACK_FILTER,  "xz file" },
        { "7z\xbc\xaf\x27\x1c",          6, PACK_REFUSED, "7-Zip archive" },
        { "Rar!\x1a\x07",                6, PACK_REFUSED, "RAR archive" },
        { "\x04\x22\x4d\x18",            4, PACK_REFUSED, "LZ4 file" },
        { "\x1f\x9d",                    2, PACK_REFUSED, "file packed by compress" },
    };
    for (size_t i = 0; i < ARRAY_LEN(magics); i++)
        if (s.n >= magics[i].n && memcmp(s.p, magics[i].bytes, magics[i].n) == 0) {
            *name = magics[i].name;
            return magics[i].packing;
        }
    if (s.n >= 10 && memcmp(s.p, "BZh", 3) == 0 && s.p[3] >= '1' && s.p[3] <= '9' &&
        (memcmp(s.p + 4, "1AY&SY", 6) == 0 || memcmp(s.p + 4, "\x17rE8P\x90", 6) == 0)) {  /* a block, or the end of an empty file */
        *name = "bzip2 file";
        return PACK_FILTER;
    }
    if (is_tar(s)) {
        *name = "tar archive";
        return PACK_ARCHIVE;
    }
    *name = "plain";
    return PACK_NONE;
}

/* Takes compression off, at most twice: more is a trick. What is left is an archive, or PACK_NONE. */
static int see_through(Source *s, Layer **top, Packing *packing, const char **name, Err *e)
{
    *name = "plain";
    for (int depth = 0;; depth++) {
        const char *what;
        int rc = layer_fill(*top, SOURCE_MAGIC, e);
        if (rc)
            return rc;
        *packing = find_packing((Str){ (const char *)(*top)->bytes + (*top)->pos, (*top)->end - (*top)->pos }, &what);
        if (*packing == PACK_NONE)
            return 0;
        *name = what;
        if (*packing == PACK_ARCHIVE)
            return 0;
        if (*packing == PACK_REFUSED)
            return err_set(e, ERR_INPUT, "%s: this is a %s, which is not read here; unpack it, or pack it as zip, tar, gzip or zstd", source_where(s), what);
        if (depth == 2)
            return err_set(e, ERR_INPUT, "%s: it is compressed more than twice, which is refused; unpack it once yourself", source_where(s));
        rc = *packing == PACK_GZIP ? gunzip_push(s, top, e) : filter_push(s, top, what, e);
        if (rc)
            return rc;
    }
}

/* ---- members ---- */

static void set_member(Source *s, const char *name)
{
    StrBuf shown = { 0 };
    free(s->member);
    free(s->where);
    utf8_visible(&shown, str_of(name));
    s->member = strbuf_take(&shown);
    if (*s->member)
        strbuf_addf(&shown, "%s: ", s->name);
    strbuf_addz(&shown, *s->member ? s->member : s->name);
    s->where = strbuf_take(&shown);
}

/* Hidden files, and what macOS puts beside each file in a zip. */
static bool is_hidden(const char *name)
{
    for (const char *p = name; *p; p += strcspn(p, "/"), p += *p == '/')
        if ((*p == '.' && p[1] && p[1] != '/' && !(p[1] == '.' && p[2] == '/')) || str_starts(str_of(p), "__MACOSX/"))
            return true;
    return false;
}

/* Reads what is left of a member, so that the bounds hold for it too. */
static int drain(Layer *l, Err *e)
{
    uint8_t *waste = mem_alloc(SOURCE_BLOCK);
    size_t n;
    int rc;
    while (!(rc = layer_take(l, waste, SOURCE_BLOCK, &n, e)) && n) {
    }
    free(waste);
    return rc;
}

static int next_entry(Source *s, struct archive_entry **entry, Err *e)
{
    Unpack *u = s->archive;
    u->block_n = 0;
    u->at = 0;
    u->l.pos = u->l.end = 0;
    u->l.eof = false;
    set_member(s, "");
    const int rc = unpack_header(u, entry);
    if (rc != ARCHIVE_OK) {
        s->dead = true;
        return rc == ARCHIVE_EOF ? 0 : unpack_bad(u, e);
    }
    if (++s->members > s->limits.members) {
        s->dead = true;
        return err_set(e, ERR_INPUT, "%s: the archive has more than %" PRIu64 " members, the most that is read; pack the rows into fewer files", s->name, s->limits.members);
    }
    return 1;
}

static int next_member(Source *s, Err *e)
{
    for (;;) {
        struct archive_entry *entry = NULL;
        int rc = next_entry(s, &entry, e);
        if (rc <= 0)
            return rc;
        const char *name = archive_entry_pathname_utf8(entry);
        name = name ? name : archive_entry_pathname(entry);
        if (name && strlen(name) > SOURCE_NAME_MAX) {
            s->dead = true;
            return err_set(e, ERR_INPUT, "%s: member %" PRIu64 " has a name of more than %d bytes, which is refused", s->name, s->members, SOURCE_NAME_MAX);
        }
        char number[32] = { 0 };
        if (!name || !*name) {
            snprintf(number, sizeof number, "member %" PRIu64, s->members);
            name = number;
        }
        set_member(s, name);
        if (archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry) && !is_hidden(name)) {
            const char *what;
            Packing packing;
            s->top = s->base;
            rc = see_through(s, &s->top, &packing, &what, e);
            if (!rc && packing != PACK_NONE)
                rc = err_set(e, ERR_INPUT, "%s: this is a %s inside of an archive, which is refused; unpack the outer one yourself", s->where, what);
            return rc ? rc : 1;
        }
        s->skipped++;
        rc = drain(s->base, e);
        if (rc) {
            s->dead = true;
            return rc;
        }
    }
}

/* The first call: build the stack. */
static int begin(Source *s, Err *e)
{
    Packing packing;
    s->begun = true;
    s->base = s->bottom;
    int rc = see_through(s, &s->base, &packing, &s->packing, e);
    if (rc)
        return rc;
    if (packing == PACK_NONE) {
        s->plain = s->base == s->bottom;
        s->top = s->base;
        s->dead = true;                              /* there is no second member */
        return 1;
    }
    rc = unpack_push(s, &s->base, s->packing, archives, ARRAY_LEN(archives), e);
    s->archive = rc ? NULL : (Unpack *)s->base;
    return rc ? rc : next_member(s, e);
}

int source_next(Source *s, Err *e)
{
    if (!s->begun) {
        int rc = begin(s, e);
        s->dead |= rc < 0 && !s->archive;           /* a member that is refused leaves the others */
        return rc;
    }
    if (s->dead)
        return 0;
    if (s->top) {
        layer_pop(&s->top, s->base);
        int rc = drain(s->base, e);
        s->top = NULL;
        if (rc) {
            s->dead = true;
            return rc;
        }
    }
    return next_member(s, e);
}

int source_read(Source *s, void *p, size_t cap, size_t *n, Err *e)
{
    *n = 0;
    if (!s->top)
        return 0;
    int rc = layer_take(s->top, p, cap, n, e);
    if (rc) {                                        /* a second call must not read on behind damage */
        layer_pop(&s->top, s->base);
        s->top = NULL;
    }
    if (s->mapped && s->bottom->pos > s->forgotten + SOURCE_FORGET) {
        file_forget(s->map.p + s->forgotten, s->bottom->pos - s->forgotten);
        s->forgotten = s->bottom->pos;
    }
    return rc;
}

/* ---- open, ask, close ---- */

int source_open_memory(Source **out, Str bytes, const char *name, const SourceLimits *limits, Err *e)
{
    (void)e;
    Source *s = mem_zalloc(1, sizeof *s);
    if (limits)
        s->limits = *limits;
    s->limits.members = s->limits.members ? s->limits.members : SOURCE_MEMBERS_MAX;
    s->limits.bytes = s->limits.bytes ? s->limits.bytes : SOURCE_BYTES_MAX;
    s->limits.ratio = s->limits.ratio ? s->limits.ratio : SOURCE_RATIO_MAX;
    s->name = mem_strdup(name);
    s->packing = "plain";
    set_member(s, "");
    s->bottom = layer_push(s, NULL, sizeof *s->bottom);
    s->bottom->bytes = (const uint8_t *)(bytes.n ? bytes.p : "");
    s->bottom->end = bytes.n;
    s->bottom->eof = true;
    s->base = s->bottom;
    *out = s;
    return 0;
}

int source_open(Source **out, const char *path, const SourceLimits *limits, Err *e)
{
    FileMap map;
    *out = NULL;
    int rc = file_map(&map, path, e);
    if (!rc)
        rc = source_open_memory(out, (Str){ (const char *)map.p, map.n }, path, limits, e);
    if (!rc) {
        (*out)->map = map;
        (*out)->mapped = true;
    }
    return rc;
}

const char *source_member(const Source *s)
{
    return s->member;
}

const char *source_where(const Source *s)
{
    return s->where;
}

const char *source_packing(const Source *s)
{
    return s->packing;
}

bool source_is_plain(const Source *s)
{
    return s->plain;
}

int source_seek(Source *s, uint64_t offset, Err *e)
{
    BUG_ON(!s->plain || s->top != s->bottom);
    if (offset > s->bottom->end)
        return err_set(e, ERR_INPUT, "%s: reading was to go on at byte %" PRIu64 ", but the file has only %zu; it has changed since", s->name, offset, s->bottom->end);
    s->bottom->pos = (size_t)offset;
    s->forgotten = MIN(s->forgotten, s->bottom->pos);
    return 0;
}

void source_progress(const Source *s, uint64_t *done, uint64_t *total)
{
    *done = s->bottom->pos;
    *total = s->bottom->end;
}

uint64_t source_skipped(const Source *s)
{
    return s->skipped;
}

void source_close(Source *s)
{
    if (!s)
        return;
    Layer *highest = s->top ? s->top : s->base;
    layer_pop(&highest, NULL);
    if (s->mapped)
        file_unmap(&s->map);
    free(s->name);
    free(s->member);
    free(s->where);
    free(s);
}
