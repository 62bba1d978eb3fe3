/* fuzz_repair.c - whatever comes in, under whatever switches: the result is valid UTF-8, and repairing it again changes nothing. */
#include "base/utf8.h"
#include "prep/repair.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    RepairOptions o = { 0 };
    if (n >= 8) {
        memcpy(&o.on, data, 4);
        memcpy(&o.off, data + 4, 4);
        o.off &= data[3] & 1 ? 0xFFFFFFFFu : 0; /* half of the inputs with all rows that are on */
        data += 8;
        n -= 8;
    }
    StrBuf out = { 0 }, again = { 0 };
    RepairReport r, r2;
    const Str in = { (const char *)data, n };
    repair_text(&out, in, &o, &r);
    BUG_ON(!utf8_valid(strbuf_str(&out), NULL));
    BUG_ON(r.changed != !str_eq(in, strbuf_str(&out)));
    BUG_ON(repair_text(&again, strbuf_str(&out), &o, &r2));
    BUG_ON(r.replacement != r2.replacement);
    strbuf_release(&out);
    strbuf_release(&again);
    return 0;
}
