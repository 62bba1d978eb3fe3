/* source.c - the members of a file through a stack of layers over its mapping: [compression] [archive] [compression of a member].
 * Compression comes off first, layer by layer; then the content is a tar or zip archive, or the data itself.
 * Invariants: also what is passed over is read through the counting layers, so the bounds hold for it; after an error of a member that is refused the next
 * one can be read, and behind damage where the archive says where it begins (a zip with its table of contents, source_zip.c), else nothing more; nothing is ever written to disk.
 * To add a packing: a row in magics[], and its layer in source_layers.c. */
#include "formats/source_int.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <archive_entry.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SOURCE_FORGET ((size_t)64 << 20)      /* mapped bytes kept behind the reading */

typedef enum { PACK_NONE, PACK_GZIP, PACK_ARCHIVE, PACK_FILTER, PACK_REFUSED } Packing;

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
        { "PK\x03\x04",                  4, PACK_ARCHIVE, SOURCE_ZIP },
        { "PK\x05\x06",                  4, PACK_ARCHIVE, SOURCE_ZIP },
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

void source_set_member(Source *s, const char *name)
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

/* What is left of the archive's present member, where the next one begins behind it; of one that is lost libarchive passes over it without unpacking. */
static int leave_member(Source *s, Err *e)
{
    Err why = { 0 };
    s->passing = true;
    int rc = s->lost || s->table ? 0 : layer_drain(s->base, &why);
    if (rc && s->lost && !s->dead) /* of what nobody wanted */
        rc = 0;
    s->dead |= rc != 0;
    return rc ? err_set(e, rc, "%s", why.text) : 0;
}

/* file: it is one, no folder and no link. */
static int next_entry(Source *s, struct archive_entry **entry, bool *file, Err *e)
{
    source_set_member(s, "");
    s->lost = s->passing = false;
    const int rc = s->table ? zip_next(s, entry, file, e) : unpack_next(s->archive, entry, e);
    if (rc <= 0) {
        s->dead |= !rc || !s->table;
        return rc;
    }
    *file = (!s->table || *file) && archive_entry_filetype(*entry) == AE_IFREG && !archive_entry_hardlink(*entry);
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
        bool file = false;
        int rc = next_entry(s, &entry, &file, e);
        if (rc <= 0)
            return rc;
        const char *name = archive_entry_pathname_utf8(entry);
        char *own = !name && s->table ? zip_member_name(s) : NULL; /* where the locale cannot write it */
        name = name ? name : own ? own : archive_entry_pathname(entry);
        if (name && strlen(name) > SOURCE_NAME_MAX) {
            s->dead = true;
            free(own);
            return err_set(e, ERR_INPUT, "%s: member %" PRIu64 " has a name of more than %d bytes, which is refused", s->name, s->members, SOURCE_NAME_MAX);
        }
        char number[32] = { 0 };
        if (!name || !*name) {
            snprintf(number, sizeof number, "member %" PRIu64, s->members);
            name = number;
        }
        source_set_member(s, name);
        file = file && !is_hidden(name);
        free(own);
        if (file) {
            const char *what;
            Packing packing;
            if (s->table && (rc = zip_begin(s, e)))
                return rc;
            s->top = s->base;
            rc = see_through(s, &s->top, &packing, &what, e);
            if (rc && s->lost) {
                layer_pop(&s->top, s->base);
                s->top = NULL;
            }
            if (!rc && packing != PACK_NONE)
                rc = err_set(e, ERR_INPUT, "%s: this is a %s inside of an archive, which is refused; unpack the outer one yourself", s->where, what);
            return rc ? rc : 1;
        }
        s->skipped++;
        if ((rc = leave_member(s, e)))
            return rc;
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
    if (s->base == s->bottom && (packing == PACK_NONE || !strcmp(s->packing, SOURCE_ZIP))) /* also where the damage is in the first bytes of all */
        s->table = zip_table_read((Str){ (const char *)s->base->bytes, s->base->end }, s->limits.members + 1);
    if (s->table) {
        s->packing = SOURCE_ZIP;
        return next_member(s, e);
    }
    if (packing == PACK_NONE) {
        s->plain = s->base == s->bottom;
        s->top = s->base;
        s->dead = true;                              /* there is no second member */
        return 1;
    }
    rc = archive_push(s, &s->base, s->packing, e);
    s->archive = rc ? NULL : (Unpack *)s->base;
    return rc ? rc : next_member(s, e);
}

int source_next(Source *s, Err *e)
{
    if (!s->begun) {
        int rc = begin(s, e);
        s->dead |= rc < 0 && !s->archive && !s->table; /* a member that is refused leaves the others */
        return rc;
    }
    if (s->dead)
        return 0;
    if (s->top || s->passing) {
        layer_pop(&s->top, s->top ? s->base : NULL);
        s->top = NULL;
        int rc = leave_member(s, e);
        if (rc)
            return rc;
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
    source_set_member(s, "");
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

Str source_bytes(const Source *s)
{
    BUG_ON(!s->plain);
    return (Str){ (const char *)s->bottom->bytes, s->bottom->end };
}

/* see_through has filled the buffer of the layer on top. */
Str source_peek(const Source *s)
{
    return s->top ? (Str){ (const char *)s->top->bytes + s->top->pos, MIN(s->top->end - s->top->pos, (size_t)SOURCE_MAGIC) } : (Str){ 0 };
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
    zip_table_free(s->table);
    free(s->name);
    free(s->member);
    free(s->where);
    free(s);
}
