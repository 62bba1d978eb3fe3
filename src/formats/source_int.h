/* source_int.h - the layers of source.c, which source_layers.c implements: bytes flow upwards through them, each unpacks what the one below gives. */
#ifndef HONE_SOURCE_INT_H
#define HONE_SOURCE_INT_H

#include "base/file.h"
#include "formats/source.h"

struct archive_entry;
struct archive;

#define SOURCE_BLOCK  ((size_t)256 << 10)
#define SOURCE_ZIP    "zip archive"
#define SOURCE_MAGIC  512                     /* bytes that tell every packing: one tar header */

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
    bool           inside;                    /* it unpacks one member of an archive */
    uint64_t       out;                       /* bytes given out, for the bounds */
    uint64_t       refused;                   /* of these, those of members that were refused as bombs */
} Layer;

typedef struct Unpack {
    Layer           l;
    struct archive *a;
    const char     *name;                     /* "zip archive" */
    Err             inner;                    /* why the layer below failed */
    const uint8_t  *block;                    /* libarchive's current block */
    size_t          block_n;
    uint64_t        at, block_at;             /* member bytes given out; where the block stands: behind a hole of a sparse file */
    uint64_t        packed_at;                /* packed bytes before the member */
} Unpack;

typedef struct ZipTable ZipTable;

struct Source {
    char        *name, *member, *where;
    FileMap      map;
    bool         mapped, begun, dead, plain;
    bool         lost;                        /* the rest of the archive's present member cannot be read, and need not be */
    bool         passing;                     /* ... is of no use; it is read on to where the next one begins */
    SourceLimits limits;
    Layer       *bottom, *top;                /* top: where members are read; NULL between members */
    Layer       *base;                        /* the layer that members come from: the archive, or the whole content */
    Unpack      *archive;                     /* base, when it is an archive with members */
    ZipTable    *table;                       /* of a zip that tells where its members are; base is the present one then. NULL: they come one after the other */
    const char  *packing;
    uint64_t     members, skipped;
    size_t       forgotten;
};

int  layer_fill(Layer *l, size_t want, Err *e);                               /* at least `want` unread bytes in the buffer, or all there are */
int  layer_take(Layer *l, uint8_t *p, size_t cap, size_t *n, Err *e);         /* *n == 0: the end */
int  layer_drain(Layer *l, Err *e);                                           /* reads what is left, so that the bounds hold for it too */
void layer_pop(Layer **top, const Layer *until);                              /* closes the layers above `until` */
Layer *layer_push(Source *s, Layer *below, size_t size);                      /* a zeroed one of this size, which begins with a Layer */

/* Each puts one layer on *top; after an error it may stand there, too: source_close takes it away. */
int  gunzip_push(Source *s, Layer **top, Err *e);
int  filter_push(Source *s, Layer **top, const char *name, Err *e);           /* bzip2, xz, zstd */
int  archive_push(Source *s, Layer **top, const char *name, Err *e);          /* zip, tar: an Unpack whose members unpack_next begins */
/* 1: the next entry is ready, 0: there is none, < 0: the archive is damaged. */
int  unpack_next(Unpack *u, struct archive_entry **entry, Err *e);
void source_set_member(Source *s, const char *name);

/* ---- source_zip.c ---- */
ZipTable *zip_table_read(Str file, uint64_t most);                            /* of at most so many members; borrows file. NULL: it has none, or one that is not sound */
void      zip_table_free(ZipTable *t);
int       zip_next(Source *s, struct archive_entry **entry, bool *file, Err *e); /* as unpack_next, but an error is that of one member. file: it may be read */
char     *zip_member_name(const Source *s);                                          /* of the present member as the table has it, owned; NULL: it is no UTF-8 */
int       zip_begin(Source *s, Err *e);                                       /* its data, before they are read. ERR_INPUT: they cannot be found */

#endif
