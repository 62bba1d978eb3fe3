/* parquet_thrift.c - reads and writes Thrift's compact protocol, field by field.
 * Invariants: the reader never passes `end`; once bad it stays bad and yields nothing; a list's count is at most the bytes left, because the smallest
 * element takes one, so a caller's loop is bounded by the file. The writer keeps the last field id of each open struct, as the protocol stores
 * differences of them. */
#include "formats/parquet_thrift.h"

static void go_bad(ThriftReader *r, const char *why)
{
    if (!r->bad)
        r->bad = why;
    r->p = r->end;
}

static uint8_t take_byte(ThriftReader *r)
{
    if (r->p == r->end) {
        go_bad(r, "it ends within a field");
        return 0;
    }
    return *r->p++;
}

static const uint8_t *take(ThriftReader *r, uint64_t n)
{
    if (n > (uint64_t)(r->end - r->p)) {
        go_bad(r, "a text or number runs past the end");
        return NULL;
    }
    const uint8_t *p = r->p;
    r->p += n;
    return p;
}

uint64_t thrift_varint(ThriftReader *r)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        uint8_t b = take_byte(r);
        if (shift == 63 && b > 1)
            break;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80))
            return r->bad ? 0 : v;
    }
    go_bad(r, "a number has more than 64 bits");
    return 0;
}

static int64_t take_zigzag(ThriftReader *r)
{
    uint64_t v = thrift_varint(r);
    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

bool thrift_next(ThriftReader *r, ThriftField *f)
{
    uint8_t head = take_byte(r);
    if (r->bad || head == THRIFT_STOP)
        return false;
    if ((head & 15) > THRIFT_UUID || (head & 15) == THRIFT_STOP) {
        go_bad(r, "a field has a type that the protocol does not know");
        return false;
    }
    int64_t id = head >> 4 ? f->id + (head >> 4) : take_zigzag(r);
    if (id < INT16_MIN || id > INT16_MAX) {
        go_bad(r, "a field number is out of range");
        return false;
    }
    *f = (ThriftField){ (int)id, (ThriftType)(head & 15) };
    return !r->bad;
}

int64_t thrift_int(ThriftReader *r, const ThriftField *f)
{
    if (f->type == THRIFT_BYTE)
        return (int8_t)take_byte(r);
    if (f->type == THRIFT_I16 || f->type == THRIFT_I32 || f->type == THRIFT_I64)
        return take_zigzag(r);
    go_bad(r, "a field that must be a whole number is something else");
    return 0;
}

int32_t thrift_int32(ThriftReader *r, const ThriftField *f)
{
    int64_t v = thrift_int(r, f);
    if (v == (int32_t)v)
        return (int32_t)v;
    go_bad(r, "a number has more than 32 bits");
    return 0;
}

bool thrift_bool(ThriftReader *r, const ThriftField *f)
{
    if (f->type != THRIFT_TRUE && f->type != THRIFT_FALSE)
        go_bad(r, "a field that must be true or false is something else");
    return f->type == THRIFT_TRUE;
}

static Str take_bytes(ThriftReader *r)
{
    uint64_t n = thrift_varint(r);
    const uint8_t *p = take(r, n);
    return r->bad ? (Str){ NULL, 0 } : (Str){ (const char *)p, (size_t)n };
}

Str thrift_bytes(ThriftReader *r, const ThriftField *f)
{
    if (f->type == THRIFT_BYTES)
        return take_bytes(r);
    go_bad(r, "a field that must be text is something else");
    return (Str){ NULL, 0 };
}

bool thrift_enter(ThriftReader *r, const ThriftField *f)
{
    if (f->type != THRIFT_STRUCT)
        go_bad(r, "a field that must be a struct is something else");
    return !r->bad;
}

/* Count and type of a list or set. */
static size_t take_list(ThriftReader *r, ThriftType *of)
{
    uint8_t head = take_byte(r);
    uint64_t n = head >> 4 == 15 ? thrift_varint(r) : (uint64_t)(head >> 4);
    *of = (ThriftType)(head & 15);
    if (n > (uint64_t)(r->end - r->p))
        go_bad(r, "a list claims more elements than there are bytes");
    return r->bad ? 0 : (size_t)n;
}

size_t thrift_list(ThriftReader *r, const ThriftField *f, ThriftType of)
{
    ThriftType found = THRIFT_STOP;
    size_t n = f->type == THRIFT_LIST ? take_list(r, &found) : 0;
    if (f->type != THRIFT_LIST || (n && found != of))
        go_bad(r, "a field that must be a list is something else");
    return r->bad ? 0 : n;
}

static void skip_value(ThriftReader *r, ThriftType type, int depth)
{
    if (depth > THRIFT_DEPTH_MAX) {
        go_bad(r, "it is nested too deeply");
        return;
    }
    switch (type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:  return;                     /* a field's header says it all; elements are skipped below */
    case THRIFT_BYTE:   take_byte(r); return;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:    thrift_varint(r); return;
    case THRIFT_DOUBLE: take(r, 8); return;
    case THRIFT_UUID:   take(r, 16); return;
    case THRIFT_BYTES:  take_bytes(r); return;
    case THRIFT_LIST:
    case THRIFT_SET: {
        ThriftType of;
        for (size_t n = take_list(r, &of); n && !r->bad; n--)
            skip_value(r, of == THRIFT_TRUE || of == THRIFT_FALSE ? THRIFT_BYTE : of, depth + 1);
        return;
    }
    case THRIFT_MAP: {
        uint64_t n = thrift_varint(r);
        uint8_t types = n ? take_byte(r) : 0;
        if (n > (uint64_t)(r->end - r->p))
            go_bad(r, "a map claims more entries than there are bytes");
        for (; n && !r->bad; n--)
            for (int half = 4; half >= 0; half -= 4) {
                ThriftType of = (ThriftType)(types >> half & 15);
                skip_value(r, of == THRIFT_TRUE || of == THRIFT_FALSE ? THRIFT_BYTE : of, depth + 1);
            }
        return;
    }
    case THRIFT_STRUCT:
        for (ThriftField f = {0}; thrift_next(r, &f);)
            skip_value(r, f.type, depth + 1);
        return;
    case THRIFT_STOP:   break;
    }
    go_bad(r, "a value has a type that the protocol does not know");
}

void thrift_skip(ThriftReader *r, const ThriftField *f)
{
    skip_value(r, f->type, 0);
}

/* ---- writing ---- */

void thrift_put_varint(StrBuf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        strbuf_addc(out, (char)(v | 0x80));
    strbuf_addc(out, (char)v);
}

static void put_zigzag(StrBuf *out, int64_t v)
{
    thrift_put_varint(out, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

static void put_head(ThriftWriter *w, int id, ThriftType type)
{
    int step = id - w->last[w->depth];
    BUG_ON(step <= 0);
    strbuf_addc(w->out, (char)((step <= 15 ? step << 4 : 0) | (int)type));
    if (step > 15)
        put_zigzag(w->out, id);
    w->last[w->depth] = id;
}

void thrift_put_int(ThriftWriter *w, int id, ThriftType type, int64_t v)
{
    put_head(w, id, type);
    if (type == THRIFT_BYTE)
        strbuf_addc(w->out, (char)v);
    else
        put_zigzag(w->out, v);
}

void thrift_put_bool(ThriftWriter *w, int id, bool v)
{
    put_head(w, id, v ? THRIFT_TRUE : THRIFT_FALSE);
}

void thrift_put_bytes(ThriftWriter *w, int id, Str s)
{
    put_head(w, id, THRIFT_BYTES);
    thrift_put_item_bytes(w, s);
}

void thrift_put_begin(ThriftWriter *w, int id)
{
    put_head(w, id, THRIFT_STRUCT);
    thrift_put_item_begin(w);
}

void thrift_put_list(ThriftWriter *w, int id, ThriftType of, size_t n)
{
    put_head(w, id, THRIFT_LIST);
    strbuf_addc(w->out, (char)((int)MIN(n, (size_t)15) << 4 | (int)of));
    if (n >= 15)
        thrift_put_varint(w->out, n);
}

void thrift_put_item_begin(ThriftWriter *w)
{
    BUG_ON(w->depth + 1 == (int)ARRAY_LEN(w->last));
    w->last[++w->depth] = 0;
}

void thrift_put_end(ThriftWriter *w)
{
    strbuf_addc(w->out, THRIFT_STOP);
    if (w->depth)
        w->depth--;
}

void thrift_put_item_int(ThriftWriter *w, int64_t v)
{
    put_zigzag(w->out, v);
}

void thrift_put_item_bytes(ThriftWriter *w, Str s)
{
    thrift_put_varint(w->out, s.n);
    strbuf_add(w->out, s.p, s.n);
}
