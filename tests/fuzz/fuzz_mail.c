/* fuzz_mail.c - any bytes as a message (first byte even), a mailbox (odd), or whatever they look like (bit 1). */
#include "docs/doc.h"

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    DocLimits l = { .text_max = 1 << 20 };
    DocOut    d, again;
    StrBuf    packed = { 0 };
    Err       e = { 0 };
    if (n == 0)
        return 0;
    if (doc_parse(p[0] & 2 ? DOC_UNKNOWN : p[0] & 1 ? DOC_MBOX : DOC_MAIL, (Str){ (const char *)p + 1, n - 1 }, &l, &d, &e)) {
        BUG_ON(!e.text[0] || d.part.n);
        return 0;
    }
    for (size_t i = 0; i < d.part.n; i++) {
        const DocPart *part = &d.part.p[i];
        BUG_ON(part->parent >= (int64_t)i || (!part->raw && !utf8_valid((Str){ part->text, part->n }, NULL)));
        for (size_t k = 0; k < part->span.n; k++)
            BUG_ON(part->span.p[k].to > part->n || part->span.p[k].from >= part->span.p[k].to || (k && part->span.p[k].from < part->span.p[k - 1].to));
    }
    doc_pack(&packed, &d);
    BUG_ON(doc_unpack(strbuf_str(&packed), &again, &e) != 0);
    doc_release(&again);
    doc_release(&d);
    strbuf_release(&packed);
    return 0;
}
