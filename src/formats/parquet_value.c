/* parquet_value.c - one value of a column as JSON, by its logical type (LogicalTypes.md). To read another logical type: a row in kinds[].
 * Invariant: a value is exact or it is refused; nothing is rounded, wrapped or replaced, NaN and infinities excepted (parquet.h says so). */
#include "formats/parquet_int.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "formats/half.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- numbers ---- */

static int json_of_bool(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    (void)leaf, (void)e;
    *out = json_bool_new(v->i != 0);
    return 0;
}

static int json_of_plain_int(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    (void)leaf, (void)e;
    *out = json_int_new(v->i);
    return 0;
}

/* Small integers are stored in 32 bits, unsigned ones as the same bits. */
static int json_of_int(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    int bits = leaf->logical.bits;
    int64_t i = v->i;
    if (leaf->logical.is_signed) {
        int64_t top = (int64_t)1 << (bits - 1 < 62 ? bits - 1 : 62);
        if (bits < 64 && (i < -top || i >= top))
            return err_set(e, ERR_INPUT, "the value %" PRId64 " does not fit a signed integer of %d bits", i, bits);
    } else if (bits < 64) {
        i &= 0xffffffff;
        if (i >> bits)
            return err_set(e, ERR_INPUT, "the value %" PRId64 " does not fit an unsigned integer of %d bits", i, bits);
    } else if (i < 0) {
        char text[24];
        int n = snprintf(text, sizeof text, "%" PRIu64, (uint64_t)i);
        *out = json_str_new((Str){ text, (size_t)n });
        return 0;
    }
    *out = json_int_new(i);
    return 0;
}

static int json_of_real(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    (void)leaf, (void)e;
    *out = json_num_new(v->d);
    return 0;
}

static int json_of_float16(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    (void)leaf, (void)e;
    *out = json_num_new((double)f16_at((const uint8_t *)v->s.p));
    return 0;
}

/* ---- text ---- */

static int json_of_text(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    (void)leaf;
    size_t bad = 0;
    Json *j = json_str_new(v->s);            /* repairs what is not UTF-8, and would have to look at every byte a second time to be asked before */
    if (str_eq(json_str(j), v->s)) {
        *out = j;
        return 0;
    }
    json_free(j);
    utf8_valid(v->s, &bad);
    return err_set(e, ERR_INPUT, "byte %zu of the text is not valid UTF-8; if the column holds bytes and not text, leave it out", bad + 1);
}

static int json_of_uuid(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    (void)leaf, (void)e;
    StrBuf text = {0};
    for (size_t i = 0; i < 16; i++)
        strbuf_addf(&text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", (unsigned)(unsigned char)v->s.p[i]);
    *out = json_str_new(strbuf_str(&text));
    strbuf_release(&text);
    return 0;
}

/* Two's complement, high byte first, to digits: the magnitude is divided by 10^9 until nothing is left. */
static size_t decimal_digits(char digits[PARQUET_DECIMAL_MAX + 16], Str bytes, bool *negative)
{
    uint32_t word[16] = {0};
    size_t words = (bytes.n + 3) / 4, n = 0;
    *negative = bytes.n && (bytes.p[0] & 0x80);
    for (size_t i = 0; i < words * 4; i++) {   /* i counts from the low byte */
        uint8_t b = i < bytes.n ? (uint8_t)bytes.p[bytes.n - 1 - i] : (uint8_t)(*negative ? 0xff : 0);
        word[i / 4] |= (uint32_t)(*negative ? (uint8_t)~b : b) << (i % 4 * 8);
    }
    for (size_t i = 0; *negative && i < words && ++word[i] == 0; i++) { }
    for (bool more = true; more;) {
        uint64_t rest = 0;
        more = false;
        for (size_t i = words; i-- > 0;) {
            rest = rest << 32 | word[i];
            word[i] = (uint32_t)(rest / 1000000000);
            rest %= 1000000000;
            more = more || word[i];
        }
        for (int k = 0; k < 9; k++, rest /= 10)
            digits[n++] = (char)('0' + rest % 10);
    }
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;   /* low digit first */
}

static int json_of_decimal(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    char digits[PARQUET_DECIMAL_MAX + 16], big_endian[8];
    bool negative;
    Str bytes = v->s;
    if (leaf->type == PQ_INT32 || leaf->type == PQ_INT64) {
        for (int k = 0; k < 8; k++)
            big_endian[k] = (char)((uint64_t)v->i >> (56 - 8 * k));
        bytes = (Str){ big_endian, 8 };
    }
    if (bytes.n > 64)
        return err_set(e, ERR_INPUT, "a decimal has %zu bytes; at most 64 are allowed", bytes.n);
    size_t n = decimal_digits(digits, bytes, &negative), scale = (size_t)leaf->logical.scale;
    if (n > (size_t)leaf->logical.precision && !(n == 1 && digits[0] == '0'))
        return err_set(e, ERR_INPUT, "a decimal has %zu digits; the column says at most %d", n, leaf->logical.precision);
    StrBuf text = {0};
    if (negative)
        strbuf_addc(&text, '-');
    for (size_t i = MAX(n, scale + 1); i-- > 0;) {
        strbuf_addc(&text, i < n ? digits[i] : '0');
        if (i && i == scale)
            strbuf_addc(&text, '.');
    }
    *out = json_str_new(strbuf_str(&text));
    strbuf_release(&text);
    return 0;
}

/* ---- dates and times ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days since 1970-01-01 to the proleptic Gregorian date. Years run from March here, so that the leap day is a year's last; 400 years are 146097 days. */
static void add_date(StrBuf *out, int64_t days)
{
    days += 719468;                                             /* from 0000-03-01 */
    int64_t era = floor_div(days, 146097), d = days - era * 146097;
    int64_t y = (d - d / 1460 + d / 36524 - d / 146096) / 365;
    d -= 365 * y + y / 4 - y / 100;
    int64_t m = (5 * d + 2) / 153, day = d - (153 * m + 2) / 5 + 1, month = m < 10 ? m + 3 : m - 9;
    int64_t year = y + era * 400 + (month <= 2);
    strbuf_addf(out, year >= 0 && year <= 9999 ? "%04" PRId64 : "%+07" PRId64, year);   /* ISO 8601: years beyond four digits carry a sign */
    strbuf_addf(out, "-%02" PRId64 "-%02" PRId64, month, day);
}

static const struct { const char *name; int64_t per_second; int digits; } units[] = {
    [PQ_MILLIS] = { "ms", 1000, 3 }, [PQ_MICROS] = { "us", 1000000, 6 }, [PQ_NANOS] = { "ns", 1000000000, 9 },
};

/* A fraction is written when there is one, with the digits of its unit. */
static void add_time(StrBuf *out, int64_t ticks, int unit)
{
    int64_t s = ticks / units[unit].per_second, fraction = ticks % units[unit].per_second;
    strbuf_addf(out, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, s / 3600, s / 60 % 60, s % 60);
    if (fraction)
        strbuf_addf(out, ".%0*" PRId64, units[unit].digits, fraction);
}

static Json *take_text(StrBuf *text)
{
    Json *j = json_str_new(strbuf_str(text));
    strbuf_release(text);
    return j;
}

static int json_of_date(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    (void)leaf, (void)e;
    StrBuf text = {0};
    add_date(&text, v->i);
    *out = take_text(&text);
    return 0;
}

static int json_of_time(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    StrBuf text = {0};
    if (v->i < 0 || v->i >= 86400 * units[leaf->logical.unit].per_second)
        return err_set(e, ERR_INPUT, "the time %" PRId64 " %s is not within one day", v->i, units[leaf->logical.unit].name);
    add_time(&text, v->i, leaf->logical.unit);
    if (leaf->logical.utc)
        strbuf_addc(&text, 'Z');
    *out = take_text(&text);
    return 0;
}

static int json_of_timestamp(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    (void)e;
    StrBuf text = {0};
    int64_t day = 86400 * units[leaf->logical.unit].per_second, days = floor_div(v->i, day);
    add_date(&text, days);
    strbuf_addc(&text, 'T');
    add_time(&text, v->i - days * day, leaf->logical.unit);
    if (leaf->logical.utc)
        strbuf_addc(&text, 'Z');
    *out = take_text(&text);
    return 0;
}

/* Nanoseconds of the day, then the Julian day; 2440588 is 1970-01-01. */
static int json_of_int96(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    (void)leaf, (void)e;
    const int64_t day = 86400 * (int64_t)1000000000;
    StrBuf text = {0};
    int64_t nanos = (int64_t)pq_u64(v->s.p), days = (int64_t)(int32_t)pq_u32(v->s.p + 8) - 2440588, carry = floor_div(nanos, day);
    add_date(&text, days + carry);
    strbuf_addc(&text, 'T');
    add_time(&text, nanos - carry * day, PQ_NANOS);
    *out = take_text(&text);
    return 0;
}

static int json_of_interval(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    (void)leaf, (void)e;
    StrBuf text = {0};
    uint32_t ms = pq_u32(v->s.p + 8);
    strbuf_addf(&text, "P%" PRIu32 "M%" PRIu32 "DT%" PRIu32 ".%03" PRIu32 "S", pq_u32(v->s.p), pq_u32(v->s.p + 4), ms / 1000, ms % 1000);
    *out = take_text(&text);
    return 0;
}

static int json_of_nothing(const PqNode *leaf, const PqValue *v, Json **out, Err *e)
{
    (void)leaf, (void)v, (void)out;
    return err_set(e, ERR_INPUT, "the column says that it holds nothing but nulls, yet here is a value");
}

/* ---- the table ---- */

static const PqKind kinds[] = {
    { PQ_L_NONE,      PQ_OF(BOOLEAN),                                                 "bool",          json_of_bool },
    { PQ_L_NONE,      PQ_OF(INT32),                                                   "int32",         json_of_plain_int },
    { PQ_L_NONE,      PQ_OF(INT64),                                                   "int64",         json_of_plain_int },
    { PQ_L_NONE,      PQ_OF(INT96),                                                   "timestamp(ns)", json_of_int96 },
    { PQ_L_NONE,      PQ_OF(FLOAT),                                                   "float",         json_of_real },
    { PQ_L_NONE,      PQ_OF(DOUBLE),                                                  "double",        json_of_real },
    { PQ_L_NONE,      PQ_OF(BYTE_ARRAY) | PQ_OF(FIXED),                               "binary",        json_of_text },
    { PQ_L_STRING,    PQ_OF(BYTE_ARRAY) | PQ_OF(FIXED),                               "string",        json_of_text },
    { PQ_L_ENUM,      PQ_OF(BYTE_ARRAY),                                              "enum",          json_of_text },
    { PQ_L_JSON,      PQ_OF(BYTE_ARRAY),                                              "json",          json_of_text },
    { PQ_L_INTEGER,   PQ_OF(INT32) | PQ_OF(INT64),                                    "int",           json_of_int },
    { PQ_L_DECIMAL,   PQ_OF(INT32) | PQ_OF(INT64) | PQ_OF(BYTE_ARRAY) | PQ_OF(FIXED), "decimal",       json_of_decimal },
    { PQ_L_DATE,      PQ_OF(INT32),                                                   "date",          json_of_date },
    { PQ_L_TIME,      PQ_OF(INT32) | PQ_OF(INT64),                                    "time",          json_of_time },
    { PQ_L_TIMESTAMP, PQ_OF(INT64),                                                   "timestamp",     json_of_timestamp },
    { PQ_L_UUID,      PQ_OF(FIXED),                                                   "uuid",          json_of_uuid },
    { PQ_L_FLOAT16,   PQ_OF(FIXED),                                                   "float16",       json_of_float16 },
    { PQ_L_INTERVAL,  PQ_OF(FIXED),                                                   "interval",      json_of_interval },
    { PQ_L_UNKNOWN,   PQ_ANY,                                                         "null",          json_of_nothing },
};

static const struct { int logical; int32_t length; } fixed_lengths[] = { { PQ_L_UUID, 16 }, { PQ_L_FLOAT16, 2 }, { PQ_L_INTERVAL, 12 } };

/* NULL, or what is wrong with the parameters of a logical type on this physical one. */
static const char *misfit(const PqNode *n)
{
    const PqLogical *l = &n->logical;
    for (size_t i = 0; i < ARRAY_LEN(fixed_lengths); i++)
        if (l->kind == fixed_lengths[i].logical && n->length != fixed_lengths[i].length)
            return "a UUID, FLOAT16 or INTERVAL of the wrong length";
    switch (l->kind) {
    case PQ_L_INTEGER:
        return (l->bits == 64) == (n->type == PQ_INT64) && (l->bits == 8 || l->bits == 16 || l->bits == 32 || l->bits == 64)
                   ? NULL : "an INTEGER whose bits do not fit its physical type";
    case PQ_L_TIME:
    case PQ_L_TIMESTAMP:
        if (l->unit < PQ_MILLIS || l->unit > PQ_NANOS)
            return "a time in a unit that this version does not know";
        return l->kind == PQ_L_TIME && (l->unit == PQ_MILLIS) != (n->type == PQ_INT32) ? "a TIME whose unit does not fit its physical type" : NULL;
    case PQ_L_DECIMAL:
        return l->precision < 1 || l->precision > PARQUET_DECIMAL_MAX || l->scale < 0 || l->scale > l->precision || (n->type == PQ_FIXED && n->length > 64)
                   ? "a DECIMAL of more than 154 digits, or with a scale outside of its precision" : NULL;
    default:
        return NULL;
    }
}

void pq_kind_find(PqNode *leaf)
{
    static const char *const named[PQ_LOGICALS] = {
        [PQ_L_MAP] = "MAP on a leaf", [PQ_L_LIST] = "LIST on a leaf", [PQ_L_BSON] = "BSON", [PQ_L_VARIANT] = "VARIANT", [PQ_L_GEOMETRY] = "GEOMETRY",
        [PQ_L_GEOGRAPHY] = "GEOGRAPHY",
    };
    for (size_t i = 0; i < ARRAY_LEN(kinds) && !leaf->kind; i++)
        if (kinds[i].logical == leaf->logical.kind && kinds[i].types >> leaf->type & 1)
            leaf->kind = &kinds[i];
    if (leaf->logical.kind >= PQ_LOGICALS)
        leaf->refused = "a logical type that this version does not know";
    else if (!leaf->kind)
        leaf->refused = named[leaf->logical.kind] ? named[leaf->logical.kind] : "a logical type on a physical type that cannot carry it";
    else
        leaf->refused = misfit(leaf);
}

void pq_kind_text(StrBuf *out, const PqNode *leaf)
{
    const PqLogical *l = &leaf->logical;
    if (leaf->refused) {
        strbuf_addz(out, leaf->refused);
        return;
    }
    if (l->kind == PQ_L_INTEGER && !l->is_signed)
        strbuf_addc(out, 'u');
    strbuf_addz(out, leaf->kind->name);
    if (l->kind == PQ_L_INTEGER)
        strbuf_addf(out, "%d", l->bits);
    else if (l->kind == PQ_L_DECIMAL)
        strbuf_addf(out, "(%d,%d)", l->precision, l->scale);
    else if (l->kind == PQ_L_TIME || l->kind == PQ_L_TIMESTAMP)
        strbuf_addf(out, "(%s%s)", units[l->unit].name, l->utc ? ",UTC" : "");
}
