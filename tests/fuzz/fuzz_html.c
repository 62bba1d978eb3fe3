/* fuzz_html.c - any bytes as a page, and what comes out cut into passages: never a crash, valid text, passages in order. */
#include "docs/chunk.h"

#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    DocLimits l = { .text_max = 1 << 20 };
    DocOut    d;
    Err       e = { 0 };
    if (doc_parse(DOC_HTML, (Str){ (const char *)p, n }, &l, &d, &e)) {
        BUG_ON(!e.text[0]);
        return 0;
    }
    BUG_ON(d.part.n != 1 || strlen(d.part.p[0].text) != d.part.p[0].n || !utf8_valid((Str){ d.part.p[0].text, d.part.p[0].n }, NULL));
    ChunkList c = { 0 };
    BUG_ON(doc_chunk(&d, &(ChunkCfg){ .target = 50, .overlap = 20 }, &c, &e) != 0);
    for (size_t i = 0; i < c.item.n; i++) {
        BUG_ON(c.item.p[i].to > d.part.p[0].n || c.item.p[i].from >= c.item.p[i].to || (i && c.item.p[i].to <= c.item.p[i - 1].to));
        BUG_ON(!utf8_valid(c.item.p[i].text, NULL));
    }
    chunk_release(&c);
    doc_release(&d);
    return 0;
}
