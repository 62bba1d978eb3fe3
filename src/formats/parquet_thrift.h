/* parquet_thrift.h - the compact protocol of Apache Thrift, in which Parquet writes its footer and page headers
 * (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md). What a field means is the caller's affair.
 *
 *     ThriftField f = {0};
 *     while (thrift_next(r, &f))
 *         switch (f.id) {
 *         case 1:  x = thrift_int(r, &f); break;
 *         default: thrift_skip(r, &f);
 *         }
 *
 * A reader that met something wrong says why in `bad` and gives zeros and "no more" from then on, so that a caller checks once, at the end.
 * Every field must be taken or skipped. Nothing is allocated or copied; only thrift_skip recurses, to THRIFT_DEPTH_MAX. */
#ifndef HONE_PARQUET_THRIFT_H
#define HONE_PARQUET_THRIFT_H

#include "base/base.h"
#include "base/str.h"

#define THRIFT_DEPTH_MAX 32

typedef enum {
    THRIFT_STOP, THRIFT_TRUE, THRIFT_FALSE, THRIFT_BYTE, THRIFT_I16, THRIFT_I32, THRIFT_I64, THRIFT_DOUBLE, THRIFT_BYTES, THRIFT_LIST, THRIFT_SET,
    THRIFT_MAP, THRIFT_STRUCT, THRIFT_UUID
} ThriftType;

typedef struct ThriftReader {
    const uint8_t *p, *end;
    const char    *bad;   /* NULL: all well so far */
} ThriftReader;

typedef struct ThriftField { int id; ThriftType type; } ThriftField;

bool    thrift_next(ThriftReader *r, ThriftField *f);                        /* false: the struct has ended, or r is bad */
int64_t thrift_int(ThriftReader *r, const ThriftField *f);                   /* any whole number */
int32_t thrift_int32(ThriftReader *r, const ThriftField *f);                 /* one that fits */
bool    thrift_bool(ThriftReader *r, const ThriftField *f);
Str     thrift_bytes(ThriftReader *r, const ThriftField *f);                 /* borrowed */
/* The struct that f holds is entered: its fields come from thrift_next with a ThriftField of its own. */
bool    thrift_enter(ThriftReader *r, const ThriftField *f);
/* The number of elements, never more than the bytes left. Elements follow; structs among them are entered already. */
size_t  thrift_list(ThriftReader *r, const ThriftField *f, ThriftType of);
void    thrift_skip(ThriftReader *r, const ThriftField *f);
uint64_t thrift_varint(ThriftReader *r);                                     /* 7 bits a byte, low ones first; also used within pages */

/* Writing: fields in ascending order of id. */
typedef struct ThriftWriter { StrBuf *out; int last[8]; int depth; } ThriftWriter;

void thrift_put_int(ThriftWriter *w, int id, ThriftType type, int64_t v);    /* THRIFT_BYTE, I16, I32 or I64 */
void thrift_put_bool(ThriftWriter *w, int id, bool v);
void thrift_put_bytes(ThriftWriter *w, int id, Str s);
void thrift_put_begin(ThriftWriter *w, int id);                              /* a struct as a field */
void thrift_put_list(ThriftWriter *w, int id, ThriftType of, size_t n);      /* elements follow */
void thrift_put_item_begin(ThriftWriter *w);                                 /* a struct as an element */
void thrift_put_end(ThriftWriter *w);                                        /* of either, and of the outermost */
void thrift_put_item_int(ThriftWriter *w, int64_t v);
void thrift_put_item_bytes(ThriftWriter *w, Str s);
void thrift_put_varint(StrBuf *out, uint64_t v);

#endif
