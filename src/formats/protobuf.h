/* protobuf.h - reads the wire form of protocol buffers, one field after the other; what a field means is the caller's affair.
 *
 *     PbReader r = pb_reader(bytes, where);
 *     while ((rc = pb_next(&r, &f, e)) > 0) ...
 *
 * A message inside a message is a field of bytes that gets its own reader: nothing here recurses, allocates or copies. */
#ifndef HONE_PROTOBUF_H
#define HONE_PROTOBUF_H

#include "base/err.h"
#include "base/str.h"

typedef enum { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 } PbWire;

typedef struct PbReader {
    Str         bytes;
    size_t      at;
    const char *where; /* what errors call the source */
} PbReader;

typedef struct PbField {
    uint32_t number;
    PbWire   wire;
    uint64_t value;  /* numbers: the bits */
    Str      bytes;  /* PB_BYTES: borrowed */
} PbField;

PbReader pb_reader(Str bytes, const char *where);
int      pb_next(PbReader *r, PbField *f, Err *e);  /* 1: a field; 0: the end; negative: the bytes are no message */
float    pb_float(const PbField *f);                /* of a PB_FIXED32 */
const char *pb_wire_name(PbWire wire);

#endif
