/* test_chunk.c - passages: what they must be for any document and settings (checked by a walk of its own), and a few by hand. */
#include "base/check.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "docs/chunk.h"

#include <ctype.h>

static DocPart part_of(DocKind kind, const char *text)
{
    return (DocPart){ .kind = kind, .name = mem_strdup(""), .text = mem_strdup(text), .n = strlen(text), .meta = mem_strdup("{}"), .parent = -1 };
}

static DocOut doc_of(DocKind kind, const char *text)
{
    DocOut d = { .kind = kind, .title = mem_strdup(""), .author = mem_strdup(""), .date = mem_strdup(""), .meta = mem_strdup("{}") };
    *vec_push(&d.part) = part_of(kind, text);
    return d;
}

static size_t words(void *ctx, Str s)
{
    (void)ctx;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += !isspace((unsigned char)s.p[i]) && (i == 0 || isspace((unsigned char)s.p[i - 1]));
    return n;
}

/* "path|text" lines with text's line breaks as / */
static void expect(DocKind kind, const char *text, ChunkCfg cfg, const char *const want[], size_t n)
{
    DocOut    d = doc_of(kind, text);
    ChunkList l = { 0 };
    Err       e = { 0 };
    assert_int_equal(doc_chunk(&d, &cfg, &l, &e), 0);
    for (size_t i = 0; i < l.item.n; i++) {
        const Chunk *c = &l.item.p[i];
        StrBuf got = { 0 };
        strbuf_addf(&got, "%s|", c->path);
        for (size_t k = 0; k < c->text.n; k++)
            strbuf_addc(&got, c->text.p[k] == '\n' ? '/' : c->text.p[k]);
        if (i >= n || strcmp(strbuf_z(&got), want[i]) != 0)
            fail_msg("passage %zu: got \"%s\", wanted \"%s\"", i, strbuf_z(&got), i < n ? want[i] : "none");
        strbuf_release(&got);
    }
    assert_int_equal(l.item.n, n);
    chunk_release(&l);
    doc_release(&d);
}

#define EXPECT(kind, text, cfg, ...) \
    expect(kind, text, (ChunkCfg)cfg, (const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))
#define CFG(...) { __VA_ARGS__ }

static void test_by_hand(void **state)
{
    (void)state;
    EXPECT(DOC_MARKDOWN, "# A\n\nOne two three.\n\n## B\n\nFour.\n", CFG(.target = 100), "A|# A//One two three.//## B//Four.");
    EXPECT(DOC_MARKDOWN, "# A\n\nOne two three four five six.\n\n## B\n\nFour.\n\n## C\n\nFive.", CFG(.target = 40),
           "A|# A//One two three four five six.", "A > B|## B//Four.", "A > C|## C//Five.");
    /* paragraphs, then sentences, then words */
    EXPECT(DOC_TEXT, "One one one.\n\nTwo two. Three three three. Four", CFG(.target = 20), "|One one one.", "|Two two.", "|Three three three.", "|Four");
    EXPECT(DOC_TEXT, "abcdefgh ijkl mnopqrstuvwxyz", CFG(.target = 10), "|abcdefgh", "|ijkl", "|mnopqrstuv", "|wxyz");
    /* a heading goes with what follows it */
    EXPECT(DOC_MARKDOWN, "Some words here.\n\n# Head\n\nText under the head goes on.", CFG(.target = 40), "|Some words here.", "Head|# Head//Text under the head goes on.");
    EXPECT(DOC_MARKDOWN, "# Only\n\n## Heads", CFG(.target = 40), "Only|# Only//## Heads");
    /* overlap in whole sentences, not across headings */
    EXPECT(DOC_TEXT, "Aa aa. Bb bb. Cc cc. Dd dd.", CFG(.target = 3, .overlap = 0, .count = words), "|Aa aa.", "|Bb bb.", "|Cc cc.", "|Dd dd.");
    EXPECT(DOC_TEXT, "Aa aa. Bb bb. Cc cc. Dd dd.", CFG(.target = 6, .overlap = 2, .count = words), "|Aa aa. Bb bb. Cc cc.", "|Cc cc. Dd dd.");
    /* page breaks part passages; plain text has no headings */
    EXPECT(DOC_DOCX, "One.\n\n\f\n\nTwo.", CFG(.target = 100), "|One.", "|Two.");
    EXPECT(DOC_TEXT, "# no heading\n\nx", CFG(.target = 100), "|# no heading//x");
    expect(DOC_TEXT, "  \n\n ", (ChunkCfg){ .target = 5 }, NULL, 0);
}

static void test_table(void **state)
{
    (void)state;
    DocOut    d = doc_of(DOC_XLSX, "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |");
    ChunkList l = { 0 };
    Err       e = { 0 };
    assert_int_equal(doc_chunk(&d, &(ChunkCfg){ .target = 35 }, &l, &e), 0);
    assert_int_equal(l.item.n, 2);
    assert_int_equal(l.item.p[0].lead.n, 0);
    assert_true(str_eqz(l.item.p[0].text, "| a | b |\n| --- | --- |\n| 1 | 2 |"));
    assert_true(str_eqz(l.item.p[1].text, "| 3 | 4 |\n| 5 | 6 |"));
    assert_true(str_eqz(l.item.p[1].lead, "| a | b |\n| --- | --- |"));
    chunk_release(&l);
    doc_release(&d);
    d = doc_of(DOC_TEXT, "x");
    assert_int_equal(doc_chunk(&d, &(ChunkCfg){ .target = 10, .overlap = 5 }, &l, &e), ERR_ARG);
    doc_release(&d);
}

static void test_marked(void **state)
{
    (void)state;
    DocOut d = doc_of(DOC_MAIL, "Yes.\n\n> old text\n\nMore.\n\n-- \nme");
    *vec_push(&d.part.p[0].span) = (DocSpan){ 6, 17, DOC_QUOTE };
    *vec_push(&d.part.p[0].span) = (DocSpan){ 25, 31, DOC_SIGNATURE };
    ChunkList l = { 0 };
    Err       e = { 0 };
    assert_int_equal(doc_chunk(&d, &(ChunkCfg){ .drop_marked = true }, &l, &e), 0);
    assert_int_equal(l.item.n, 2);
    assert_true(str_eqz(l.item.p[0].text, "Yes."));
    assert_true(str_eqz(l.item.p[1].text, "More."));
    chunk_release(&l);
    assert_int_equal(doc_chunk(&d, NULL, &l, &e), 0);
    assert_int_equal(l.item.n, 1);
    chunk_release(&l);
    doc_release(&d);
}

static void test_sentences(void **state)
{
    (void)state;
    static const struct { const char *text; size_t end; } rows[] = {
        { "One. Two.", 4 }, { "Dr. No is here. Yes", 15 }, { "A. Lovelace wrote. X", 18 }, { "He said \"go!\" Then", 13 }, { "v1.2.3 is out. X", 14 },
        { "e.g. this one. X", 14 }, { "What?! Yes", 6 }, { "no mark at all", 14 }, { "etc. and so on. X", 15 }, { "\xe6\x97\xa5\xe3\x80\x82\xe6\x9c\xac", 6 },
        { "a\n- b", 1 }, { "a\n\nb", 1 }, { "1. First item. X", 14 }, { "Wait... what. X", 13 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (sentence_end(str_of(rows[i].text), 0) != rows[i].end)
            fail_msg("\"%s\" ends at %zu, not %zu", rows[i].text, sentence_end(str_of(rows[i].text), 0), rows[i].end);
}

/* Any text, any settings: passages lie in order, say what stands in the document, fit, are valid UTF-8 and leave out white space and page breaks only. */
static void test_any_text(void **state)
{
    (void)state;
    static const char *const bits[] = { "word", " ", ". ", "\n", "\n\n", "# Head\n", "\n## Sub\n", "| a | b |\n| --- | --- |\n", "| 1 | 2 |\n", "```\n", "- item\n",
                                        "\xc3\xa9", "\xe6\x97\xa5\xe6\x9c\xac\xe3\x80\x82", "Sentence here. ", "\n\f\n", "looooooooooooooooooooooooong", "3. x\n" };
    static const DocKind kinds[] = { DOC_TEXT, DOC_MARKDOWN, DOC_XLSX, DOC_MAIL };
    for (uint64_t seed = 0; seed < 3000; seed++) {
        Rng    r = rng_at(seed, RNG_TEST, 0, 0);
        StrBuf b = { 0 };
        const uint64_t pieces = rng_below(&r, 80);
        for (uint64_t i = 0; i < pieces; i++)
            strbuf_addz(&b, bits[rng_below(&r, ARRAY_LEN(bits))]);
        ChunkCfg cfg = { .target = 1 + rng_below(&r, 60), .count = rng_below(&r, 2) ? words : NULL };
        cfg.overlap = rng_below(&r, (cfg.target + 1) / 2);
        DocOut    d = doc_of(kinds[rng_below(&r, ARRAY_LEN(kinds))], strbuf_z(&b));
        ChunkList l = { 0 };
        Err       e = { 0 };
        assert_int_equal(doc_chunk(&d, &cfg, &l, &e), 0);
        char  *covered = mem_zalloc(b.n + 1, 1);
        size_t end = 0;
        for (size_t i = 0; i < l.item.n; i++) {
            const Chunk *c = &l.item.p[i];
            assert_true(c->from < c->to && c->to <= b.n && c->text.p == d.part.p[0].text + c->from && c->text.n == c->to - c->from);
            assert_true(i == 0 || c->from + c->overlap >= end);
            assert_true(c->overlap == 0 || c->from + c->overlap == end);
            assert_true(c->to > end);
            assert_true(utf8_valid(c->text, NULL));
            assert_false(isspace((unsigned char)c->text.p[0]) || isspace((unsigned char)c->text.p[c->text.n - 1]));
            const size_t single = (size_t)utf8_decode(c->text.p, c->text.n, &(uint32_t){ 0 });
            if (c->units > cfg.target && c->text.n > single)
                fail_msg("seed %llu: a passage has %zu units, the target is %zu: %.*s", (unsigned long long)seed, c->units, cfg.target, (int)c->text.n, c->text.p);
            memset(covered + c->from, 1, c->to - c->from);
            end = c->to;
        }
        for (size_t i = 0; i < b.n; i++)
            if (!covered[i] && !isspace((unsigned char)b.p[i]))
                fail_msg("seed %llu: byte %zu of \"%s\" is in no passage", (unsigned long long)seed, i, strbuf_z(&b));
        free(covered);
        chunk_release(&l);
        doc_release(&d);
        strbuf_release(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand), cmocka_unit_test(test_table), cmocka_unit_test(test_marked), cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
