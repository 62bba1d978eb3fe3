/* source_zip.c - the members of a zip by its table of contents (the central directory, APPNOTE 6.3.10, 4.3.12), so that no damage in one member reaches another.
 * libarchive, which unpacks whatever methods there are, gets each member as an archive of its own: a header made from the table's words, then the packed bytes
 * where they lie in the mapped file. Of the header before the data, which the archive has as well, only its two lengths count: they say where the data begin.
 * Main struct: ZipTable. Invariants: only a sound table is used, one whose records fill its place exactly; a zip without one is read like a stream
 * (source_layers.c). 16 bytes of memory for each member, of which there are no more than the limit and one. */
#include "formats/source_int.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <sys/stat.h>

#define END_BYTES     22                      /* of the record behind the table, without its comment */
#define COMMENT_MAX   65535
#define RECORD_BYTES  46                      /* of a member in the table, without name, extra field and comment */
#define HEADER_BYTES  30                      /* before a member's data, without name and extra field */
#define FLAG_LATER    8u                      /* sizes and checksum stand behind the data */
#define EXTRA_ZIP64   1u
#define EXTRA_PADDING 0xd935u                 /* says nothing; Android aligns data by it */
#define SMALL_MAX     0xffffffffu             /* "see the zip64 field" */

typedef struct ZipEntry { uint64_t header; size_t record; } ZipEntry; /* where its header should stand; its record in the table */

struct ZipTable {
    Str           file;
    VEC(ZipEntry) entry;                      /* ascending by header */
    size_t        next;
    uint64_t      out, refused;               /* Layer's, of the members so far */
};

/* The packed bytes of one member behind the header that was made for it. */
typedef struct Slice { Layer l; size_t at, left; } Slice;

static uint32_t le16(const char *p) { return (uint32_t)(uint8_t)p[0] | (uint32_t)(uint8_t)p[1] << 8; }
static uint32_t le32(const char *p) { return le16(p) | le16(p + 2) << 16; }
static uint64_t le64(const char *p) { return le32(p) | (uint64_t)le32(p + 4) << 32; }

/* ---- the table ------------------------------------------------------------------------------------------------------------------------------------- */

/* The last record of its kind whose comment fits into the file: a comment may follow it, and what a careless program put behind. */
static bool find_end(Str file, size_t *at)
{
    for (size_t i = END_BYTES; i <= file.n && i <= END_BYTES + COMMENT_MAX; i++) {
        const char *p = file.p + file.n - i;
        if (!memcmp(p, "PK\5\6", 4) && le16(p + 20) <= i - END_BYTES) {
            *at = file.n - i;
            return true;
        }
    }
    return false;
}

/* Where the table lies: [*from, *to). */
static bool find_table(Str file, size_t *from, size_t *to)
{
    size_t end;
    if (!find_end(file, &end))
        return false;
    uint64_t size = le32(file.p + end + 12), off = le32(file.p + end + 16);
    if ((size == SMALL_MAX || off == SMALL_MAX || le16(file.p + end + 10) == 0xffff) && end >= 20 && !memcmp(file.p + end - 20, "PK\6\7", 4)) {
        const uint64_t at = le64(file.p + end - 12);
        if (end < 76 || at > end - 76 || memcmp(file.p + at, "PK\6\6", 4)) /* 56 and 20 bytes of the two records */
            return false;
        size = le64(file.p + at + 40);
        off = le64(file.p + at + 48);
        end = (size_t)at;
    }
    if (off > end || size > end - off)
        return false;
    *from = (size_t)off;
    *to = (size_t)(off + size);
    return true;
}

typedef struct Sizes { uint64_t packed, whole, header; } Sizes;

/* Field `id` of the extra fields at p; {NULL, 0}: there is none. */
static Str extra_field(const char *p, size_t n, uint32_t id)
{
    for (size_t at = 0; at + 4 <= n; at += 4 + le16(p + at + 2))
        if (le16(p + at) == id && le16(p + at + 2) <= n - at - 4)
            return (Str){ p + at + 4, le16(p + at + 2) };
    return (Str){ 0 };
}

static Str record_extra(const char *record) { return (Str){ record + RECORD_BYTES + le16(record + 28), le16(record + 30) }; }

/* Numbers of 4 GiB and more stand in an extra field, in this order, those that need it. */
static Sizes record_sizes(const char *record)
{
    Sizes           s = { le32(record + 20), le32(record + 24), le32(record + 42) };
    uint64_t *const large[] = { &s.whole, &s.packed, &s.header };
    const Str       extra = record_extra(record), wide = extra_field(extra.p, extra.n, EXTRA_ZIP64);
    size_t          at = 0;
    for (size_t i = 0; i < ARRAY_LEN(large); i++)
        if (*large[i] == SMALL_MAX && at + 8 <= wide.n) {
            *large[i] = le64(wide.p + at);
            at += 8;
        }
    return s;
}

static int by_header(const void *a, const void *b)
{
    const ZipEntry *x = a, *y = b;
    return x->header != y->header ? (x->header < y->header ? -1 : 1) : (x->record > y->record) - (x->record < y->record);
}

ZipTable *zip_table_read(Str file, uint64_t most)
{
    size_t at, to;
    if (!find_table(file, &at, &to))
        return NULL;
    ZipTable *t = mem_zalloc(1, sizeof *t);
    t->file = file;
    while (at < to && t->entry.n < most) {
        const char  *p = file.p + at;
        const size_t size = to - at < RECORD_BYTES || memcmp(p, "PK\1\2", 4) ? 0 : RECORD_BYTES + (size_t)le16(p + 28) + le16(p + 30) + le16(p + 32);
        if (!size || size > to - at) {
            zip_table_free(t);
            return NULL;
        }
        *vec_push(&t->entry) = (ZipEntry){ record_sizes(p).header, at };
        at += size;
    }
    if (t->entry.n) {
        qsort(t->entry.p, t->entry.n, sizeof *t->entry.p, by_header);
    } else if (memcmp(file.p, "PK\5\6", 4)) { /* a file of another kind, by its last bytes */
        zip_table_free(t);
        t = NULL;
    }
    return t;
}

void zip_table_free(ZipTable *t)
{
    if (t)
        vec_release(&t->entry);
    free(t);
}

/* ---- one member ------------------------------------------------------------------------------------------------------------------------------------ */

static int slice_read(Layer *l, uint8_t *p, size_t cap, size_t *n, Err *e)
{
    Slice *x = (Slice *)l;
    (void)e;
    *n = MIN(cap, x->left);
    if (*n) {
        memcpy(p, l->below->bytes + x->at, *n);
        x->at += *n;
        x->left -= *n;
        l->below->pos = x->at;
    }
    return 0;
}

static void put_le(StrBuf *out, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        strbuf_addc(out, (char)(v >> (8 * i)));
}

/* The header as a program would write it that knew all beforehand. */
static void make_header(const char *record, StrBuf *out)
{
    static const uint32_t kept[] = { 0x7075, 0x9901 }; /* the name in UTF-8; how it is encrypted, so that the refusal says so */
    const Sizes s = record_sizes(record);
    const Str   extra = record_extra(record);
    const bool  wide = s.packed >= SMALL_MAX || s.whole >= SMALL_MAX;
    StrBuf      fields = { 0 };
    if (wide) {
        put_le(&fields, EXTRA_ZIP64, 2);
        put_le(&fields, 16, 2);
        put_le(&fields, s.whole, 8);
        put_le(&fields, s.packed, 8);
    }
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        const Str field = extra_field(extra.p, extra.n, kept[i]);
        if (field.n && fields.n + field.n + 8 <= 0xffff) {
            put_le(&fields, kept[i], 2);
            put_le(&fields, field.n, 2);
            strbuf_add(&fields, field.p, field.n);
        }
    }
    put_le(&fields, EXTRA_PADDING, 4);                         /* of no bytes: libarchive takes a header without extra fields, behind which nothing follows, for cut short */
    strbuf_addz(out, "PK\3\4");
    strbuf_add(out, record + 6, 2);                            /* version */
    put_le(out, le16(record + 8) & ~FLAG_LATER, 2);
    strbuf_add(out, record + 10, 10);                          /* method, time, date, checksum */
    put_le(out, wide ? SMALL_MAX : s.packed, 4);
    put_le(out, wide ? SMALL_MAX : s.whole, 4);
    put_le(out, le16(record + 28), 2);
    put_le(out, fields.n, 2);
    strbuf_add(out, record + RECORD_BYTES, le16(record + 28)); /* name */
    strbuf_add(out, fields.p ? fields.p : "", fields.n);
    strbuf_release(&fields);
}

/* No link, no folder, no device: as the system that packed it says, where it is one that has them. */
static bool is_file(const char *record)
{
    const uint32_t system = (uint8_t)record[5], attributes = le32(record + 38), mode = attributes >> 16;
    if (system == 0) /* DOS */
        return !(attributes & 0x10);
    return system != 3 || !(mode & S_IFMT) || S_ISREG(mode); /* 3: Unix */
}

int zip_next(Source *s, struct archive_entry **entry, bool *file, Err *e)
{
    ZipTable *t = s->table;
    if (s->archive) {
        t->out = s->base->out;
        t->refused = s->base->refused;
        s->archive = NULL;
    }
    layer_pop(&s->base, s->bottom);
    if (t->next == t->entry.n) {
        s->bottom->pos = s->bottom->end;
        return 0;
    }
    const char *record = t->file.p + t->entry.p[t->next++].record;
    StrBuf      head = { 0 };
    make_header(record, &head);
    Layer *l = layer_push(s, s->base, sizeof(Slice));
    l->read = slice_read;
    l->cap = SOURCE_BLOCK; /* more than the header has, whose two lengths have 16 bits each */
    l->bytes = l->buf = mem_alloc(l->cap);
    l->end = head.n;
    memcpy(l->buf, head.p, head.n);
    strbuf_release(&head);
    s->base = l;
    int rc = archive_push(s, &s->base, s->packing, e);
    rc = rc ? rc : unpack_next((Unpack *)s->base, entry, e);
    if (rc <= 0) {
        char *name = mem_strndup(record + RECORD_BYTES, le16(record + 28));
        source_set_member(s, name);
        free(name);
        return err_set(e, ERR_INPUT, "%s: what the zip archive's table of contents says of it is damaged; copy or download the file again", source_where(s));
    }
    s->archive = (Unpack *)s->base;
    s->base->out = t->out;
    s->base->refused = t->refused;
    *file = is_file(record);
    return 1;
}

char *zip_member_name(const Source *s)
{
    const char *record = s->table->file.p + s->table->entry.p[s->table->next - 1].record;
    const Str   name = { record + RECORD_BYTES, le16(record + 28) };
    return utf8_valid(name, NULL) ? mem_strndup(name.p, name.n) : NULL;
}

int zip_begin(Source *s, Err *e)
{
    const ZipTable *t = s->table;
    const ZipEntry  entry = t->entry.p[t->next - 1];
    const Sizes     sizes = record_sizes(t->file.p + entry.record);
    const char     *header = t->file.p + entry.header;
    const uint64_t  room = entry.header <= t->file.n ? t->file.n - entry.header : 0;
    if (room >= HEADER_BYTES && !memcmp(header, "PK\3\4", 4)) {
        const uint64_t before = HEADER_BYTES + (uint64_t)le16(header + 26) + le16(header + 28);
        if (before <= room && sizes.packed <= room - before) {
            Slice *x = (Slice *)s->base->below;
            x->at = (size_t)(entry.header + before);
            x->left = (size_t)sizes.packed;
            x->l.eof = false;
            return 0;
        }
    }
    return err_set(e, ERR_INPUT, "%s: the header before its data is damaged, so that they cannot be found in the zip archive; copy or download the file again", source_where(s));
}
