/* source.h - the bytes of a data file, whatever it is packed in: plain, gzip, zstd, bzip2, xz, and the members of zip and tar archives, also a
 * gzip member inside of them. What it is says the content, never the name. Nothing is unpacked to disk here; memory holds a few blocks.
 *
 *   Source *s;  source_open(&s, path, NULL, e);
 *   while ((rc = source_next(s, e)) > 0)                      // a plain or compressed file has one member
 *       while (!(rc = source_read(s, buf, sizeof buf, &n, e)) && n) ...
 *
 * Bounds, all with a sentence when passed: SOURCE_MEMBERS_MAX members, SOURCE_BYTES_MAX unpacked bytes in all, and SOURCE_RATIO_MAX unpacked bytes
 * for each packed byte once SOURCE_RATIO_FREE bytes have come out. A damaged or cut archive is ERR_INPUT with the member's name, after the bytes that
 * could be read. What is wrong with one member of a zip that has a sound table of contents (source_zip.c: damage, also of the header before its data) is the
 * end of that member alone, and so is a bomb in any zip, packed once more or not: the next source_next goes on. Folders, links, hidden files and the __MACOSX
 * folder in an archive are passed over and counted. An archive inside an archive is refused. */
#ifndef HONE_SOURCE_H
#define HONE_SOURCE_H

#include "base/err.h"
#include "base/str.h"

#define SOURCE_MEMBERS_MAX 100000
#define SOURCE_BYTES_MAX   ((uint64_t)64 << 30)
#define SOURCE_RATIO_MAX   1000                   /* deflate reaches 1032 only on one repeated byte; text stays below 100 */
#define SOURCE_RATIO_FREE  ((uint64_t)16 << 20)   /* small files of repeated rows are honest */
#define SOURCE_NAME_MAX    4096                   /* bytes of a member's name */

typedef struct Source Source;

typedef struct SourceLimits { /* 0: the bound above */
    uint64_t members, bytes, ratio;
} SourceLimits;

int  source_open(Source **s, const char *path, const SourceLimits *limits, Err *e);                 /* limits may be NULL */
int  source_open_memory(Source **s, Str bytes, const char *name, const SourceLimits *limits, Err *e); /* bytes borrowed */
int  source_next(Source *s, Err *e);                   /* 1: the next member is ready to read, 0: there is none, < 0: error; the rest of a member is skipped */
int  source_read(Source *s, void *p, size_t cap, size_t *n, Err *e); /* up to cap bytes of the member; *n == 0: its end */
const char *source_member(const Source *s);            /* name of the member inside an archive; "" where the file is no archive */
const char *source_where(const Source *s);             /* "FILE" or "FILE: MEMBER", for errors */
const char *source_packing(const Source *s);           /* "plain", "gzip", "zip archive", ... */
bool source_is_plain(const Source *s);                 /* the bytes are the file's own */
Str  source_bytes(const Source *s);                    /* of a plain file: all of them, as long as the source is open */
Str  source_peek(const Source *s);                     /* the beginning of the member, before anything of it was read: 512 bytes, or all there are */
void source_progress(const Source *s, uint64_t *done, uint64_t *total); /* bytes of the packed file */
uint64_t source_skipped(const Source *s);              /* members passed over so far */
void source_close(Source *s);                          /* NULL is fine */

#endif
