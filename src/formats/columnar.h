/* columnar.h - Parquet and Arrow files by one face: their rows come by groups, out of memory that can be looked at anywhere, not out of a stream of text.
 * What is packed is unpacked into a file without a name first (columnar_unpack), which ends with the process.
 * Main struct: Columnar. To add a format: a row in columnar.c's table. */
#ifndef HONE_COLUMNAR_H
#define HONE_COLUMNAR_H

#include "base/json.h"
#include "formats/source.h"

typedef struct Columnar Columnar;

#define COLUMNAR_HEAD 512                                    /* bytes that tell it */
const char *columnar_name(Str head);                         /* "parquet", "arrow"; NULL: neither */

/* bytes are borrowed and live as long as the Columnar; name: for errors. */
int     columnar_open(Columnar **out, Str bytes, const char *name, Err *e);
/* The rest of the source's member, whose beginning was looked at by source_peek, in a nameless file in `dir`. ERR_IO: no room there, and how to give another. */
int     columnar_unpack(Columnar **out, Source *s, const char *dir, const char *name, Err *e);
void    columnar_close(Columnar *c);                         /* NULL is fine */
int64_t columnar_rows(const Columnar *c);                    /* of the whole file */
/* Begins the next group: 1, 0 at the end, or an error, behind which nothing more can be read. Rows of the group before are gone. */
int     columnar_next(Columnar *c, Err *e);
int64_t columnar_first(const Columnar *c);                   /* rows before the group */
int64_t columnar_group(const Columnar *c);                   /* rows of the group; 0: none was begun */
int     columnar_row(const Columnar *c, int64_t row, Json **out, Err *e); /* of the file, from 0, within the group; thread-safe */

#endif
