/* test_zip.c - a zip archive of Python's zipfile (tools/golden_docs.py): members by name and in any order, and damage. Bombs: tests/docs. */
#include "base/check.h"

#include "base/mem.h"
#include "formats/zip.h"

static char  *text;
static size_t n;

static int load(void **state)
{
    (void)state;
    Err e;
    return file_read_text(TEST_DIR "/formats/golden/members.zip", &text, &n, &e);
}

static int unload(void **state)
{
    (void)state;
    free(text);
    return 0;
}

static void expect(Zip *z, const char *name, Str want)
{
    StrBuf  out = { 0 };
    Err     e = { 0 };
    int64_t i = zip_find(z, name);
    assert_true(i >= 0);
    if (zip_read(z, (size_t)i, &out, &e))
        fail_msg("%s", e.text);
    assert_true(str_eq(strbuf_str(&out), want));
    strbuf_release(&out);
}

static void test_members(void **state)
{
    (void)state;
    Zip   *z;
    Err    e = { 0 };
    StrBuf deflated = { 0 };
    for (int i = 0; i < 1000; i++)
        strbuf_addz(&deflated, "deflated ");
    if (zip_open_memory(&z, (Str){ text, n }, &e))
        fail_msg("%s", e.text);
    assert_int_equal(zip_count(z), 4); /* the folder is none */
    assert_string_equal(zip_name(z, 0), "folder/Stored.xml");
    assert_string_equal(zip_name(z, 2), "\xc3\xbc" "ber.txt");
    for (int turn = 0; turn < 2; turn++) { /* forwards, backwards, twice the same */
        expect(z, "folder/Stored.xml", STR_LIT("stored bytes"));
        expect(z, "deflated.txt", strbuf_str(&deflated));
        expect(z, "\xc3\xbc" "ber.txt", STR_LIT("\xc3\xbc"));
        expect(z, "empty", (Str){ "", 0 });
        expect(z, "empty", (Str){ "", 0 });
        expect(z, "FOLDER/stored.XML", STR_LIT("stored bytes"));
    }
    assert_int_equal(zip_find(z, "absent"), -1);
    assert_int_equal(zip_find(z, "folder/"), -1);
    zip_close(z);
    strbuf_release(&deflated);
}

/* Cut anywhere, one byte wrong anywhere: a sentence, or members that can still be read. */
static void test_damage(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * n; i++) {
        const size_t len = i < n ? i : n;
        char        *copy = mem_alloc(len + 1);
        Zip         *z;
        Err          e = { 0 };
        memcpy(copy, text, len);
        if (i >= n)
            copy[i - n] = (char)(copy[i - n] ^ 0x41);
        if (zip_open_memory(&z, (Str){ copy, len }, &e)) {
            assert_null(z);
            assert_true(e.code == ERR_INPUT && e.text[0]);
        } else {
            assert_true(i >= n);
            for (size_t k = 0; k < zip_count(z); k++) {
                StrBuf out = { 0 };
                zip_read(z, k, &out, &e);
                strbuf_release(&out);
            }
            zip_close(z);
        }
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_members), cmocka_unit_test(test_damage) };
    return cmocka_run_group_tests(tests, load, unload);
}
