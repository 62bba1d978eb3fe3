/* protobuf.c - tags, varints and lengths. Invariant: r->at never passes the end; every field moves it, so a reader always comes to an end.
 * Groups (wire types 3 and 4) were given up before any format that we read was made: they are refused. */
#include "formats/protobuf.h"

PbReader pb_reader(Str bytes, const char *where)
{
    return (PbReader){ .bytes = bytes, .where = where };
}

const char *pb_wire_name(PbWire wire)
{
    static const char *const names[] = { [PB_VARINT] = "a varint", [PB_FIXED64] = "eight bytes", [PB_BYTES] = "a length and bytes",
                                         [PB_FIXED32] = "four bytes" };
    return (size_t)wire < ARRAY_LEN(names) && names[wire] ? names[wire] : "an unknown kind";
}

static int cut_short(const PbReader *r, const char *what, Err *e)
{
    return err_set(e, ERR_INPUT, "%s: the file ends inside %s that begins at byte %zu of its message; it was cut or is not a protocol buffer", r->where,
                   what, r->at);
}

/* At most ten bytes of seven bits; the tenth may hold one bit. */
static int read_varint(PbReader *r, uint64_t *v, const char *what, Err *e)
{
    uint64_t sum = 0;
    for (size_t k = 0; k < 10; k++) {
        if (r->at + k >= r->bytes.n)
            return cut_short(r, what, e);
        unsigned char b = (unsigned char)r->bytes.p[r->at + k];
        if (k == 9 && b > 1)
            break;
        sum |= (uint64_t)(b & 0x7F) << (7 * k);
        if (b < 0x80) {
            r->at += k + 1;
            *v = sum;
            return 0;
        }
    }
    return err_set(e, ERR_INPUT, "%s: %s at byte %zu of its message has more than 64 bits; this is not a protocol buffer", r->where, what, r->at);
}

static int read_fixed(PbReader *r, size_t n, uint64_t *v, Err *e)
{
    if (r->bytes.n - r->at < n)
        return cut_short(r, "a number", e);
    *v = 0;
    for (size_t k = 0; k < n; k++)
        *v |= (uint64_t)(unsigned char)r->bytes.p[r->at + k] << (8 * k);
    r->at += n;
    return 0;
}

int pb_next(PbReader *r, PbField *f, Err *e)
{
    uint64_t tag, n = 0;
    if (r->at == r->bytes.n)
        return 0;
    int rc = read_varint(r, &tag, "a field number", e);
    if (rc)
        return rc;
    if (tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF)
        return err_set(e, ERR_INPUT, "%s: %llu before byte %zu is no field number; this is not a protocol buffer", r->where,
                       (unsigned long long)(tag >> 3), r->at);
    *f = (PbField){ .number = (uint32_t)(tag >> 3), .wire = (PbWire)(tag & 7) };
    switch (f->wire) {
    case PB_VARINT:
        rc = read_varint(r, &f->value, "a number", e);
        break;
    case PB_FIXED64:
        rc = read_fixed(r, 8, &f->value, e);
        break;
    case PB_FIXED32:
        rc = read_fixed(r, 4, &f->value, e);
        break;
    case PB_BYTES:
        rc = read_varint(r, &n, "a length", e);
        if (!rc && n > r->bytes.n - r->at)
            rc = err_set(e, ERR_INPUT, "%s: field %u says it has %llu bytes, but %zu are left; the file was cut or is not a protocol buffer", r->where,
                         f->number, (unsigned long long)n, r->bytes.n - r->at);
        if (!rc) {
            f->bytes = (Str){ r->bytes.p + r->at, (size_t)n };
            r->at += (size_t)n;
        }
        break;
    default:
        rc = err_set(e, ERR_INPUT, "%s: field %u has the wire type %d, which this file format does not use", r->where, f->number, (int)f->wire);
    }
    return rc ? rc : 1;
}

float pb_float(const PbField *f)
{
    uint32_t bits = (uint32_t)f->value;
    float v;
    BUG_ON(f->wire != PB_FIXED32);
    memcpy(&v, &bits, sizeof v);
    return v;
}
