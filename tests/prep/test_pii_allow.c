/* test_pii_allow.c - what a list of texts keeps from being found and what it does not; lists that are refused; the country that numbers are read by. */
#include "base/check.h"

#include "prep/pii_allow.h"

/* The findings of a text as "kind:value|kind:value"; owned. */
static char *found(const PiiOptions *o, const char *text)
{
    PiiScanner *s;
    PiiSpans    v = { 0 };
    StrBuf      out = { 0 };
    Err         e;
    assert_int_equal(pii_scanner_new(&s, o, &e), 0);
    assert_int_equal(pii_scan(s, str_of(text), &v, &e), 0);
    for (size_t i = 0; i < v.n; i++)
        strbuf_addf(&out, "%s%s:%.*s", i ? "|" : "", pii_kind_info(v.p[i].kind)->name, (int)(v.p[i].end - v.p[i].begin), text + v.p[i].begin);
    vec_release(&v);
    pii_scanner_free(s);
    return strbuf_take(&out);
}

static void check_found(const PiiOptions *o, const char *text, const char *want)
{
    char *got = found(o, text);
    if (strcmp(got, want))
        fail_msg("in: %s\nfound: %s\nexpected: %s", text, got, want);
    free(got);
}

static void test_allow(void **state)
{
    static const char list[] = "\xEF\xBB\xBF# texts that stay\n\n  Support@Firma.DE \r\n0800 / 123 45 67\n\"Emma Line\"\nJürgen Müller Kollektion\nAnna\nBakerstraße 5, 10115 Berlin\n";
    static const struct { const char *text, *without, *with; } rows[] = {
        { "mail support@firma.de or jo@firma.de", "email:support@firma.de|email:jo@firma.de", "email:jo@firma.de" },
        { "x-support@firma.de", "email:x-support@firma.de", "email:x-support@firma.de" },
        { "call 0800-1234567 or 0800-1234568", "phone:0800-1234567|phone:0800-1234568", "phone:0800-1234568" },
        { "our JÜRGEN \n MÜLLER Kollektion", "person:JÜRGEN", "" },
        { "by Jürgen Müller, Kollektion", "person:Jürgen Müller", "person:Jürgen Müller" },
        { "met Anna there", "person:Anna", "" },
        { "met Anna Schmidt there", "person:Anna Schmidt", "person:Anna Schmidt" },
        { "Annabel and Anna", "person:Annabel|person:Anna", "person:Annabel" },
        { "Bakerstraße 5, 10115 Berlin", "address:Bakerstraße 5, 10115 Berlin", "" },
        { "Bakerstraße 55, 10115 Berlin", "address:Bakerstraße 55, 10115 Berlin", "address:Bakerstraße 55, 10115 Berlin" },
    };
    PiiAllow *a;
    Err       e;
    (void)state;
    assert_int_equal(pii_allow_new(&a, str_of(list), "list", &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        check_found(NULL, rows[i].text, rows[i].without);
        check_found(&(PiiOptions){ .allow = a }, rows[i].text, rows[i].with);
    }
    pii_allow_free(a);
}

/* In quotes the case counts. */
static void test_exact(void **state)
{
    PiiAllow *a;
    Err       e;
    (void)state;
    assert_int_equal(pii_allow_new(&a, STR_LIT("\"Anna\""), "list", &e), 0);
    check_found(&(PiiOptions){ .allow = a }, "Anna and hello anna, bye", "person:anna");
    pii_allow_free(a);
}

static void test_refused(void **state)
{
    static const struct { const char *list, *says; } rows[] = {
        { "good\n\"open", "list, line 2: a quote opens" }, { "good\n\n ... ", "list, line 3: no letter and no digit" },
        { "a\xFF", "byte 1 is not UTF-8" }, { "\"\"", "no letter and no digit" }, { "\"", "a quote opens" },
    };
    PiiAllow *a;
    Err       e;
    StrBuf    longest = { 0 };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(pii_allow_new(&a, str_of(rows[i].list), "list", &e), ERR_INPUT);
        check_says(&e, ERR_INPUT, rows[i].says);
        assert_null(a);
    }
    for (size_t k = 0; k < PII_ALLOW_BYTES; k++)
        strbuf_addc(&longest, 'x');
    assert_int_equal(pii_allow_new(&a, strbuf_str(&longest), "list", &e), 0);
    pii_allow_free(a);
    strbuf_addc(&longest, 'x');
    assert_int_equal(pii_allow_new(&a, strbuf_str(&longest), "list", &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "201 bytes");
    strbuf_release(&longest);
}

/* The same digits, read by where the texts come from. */
static void test_countries(void **state)
{
    static const struct { const char *countries, *text, *want; } rows[] = {
        { NULL, "Telefon 017612345678, und danach 612", "phone:017612345678" }, { "DE", "Nr. 017612345678", "phone:017612345678" }, { NULL, "Nr. 017612345678", "" },
        { NULL, "el 612345678", "" }, { "ES", "el 612345678", "phone:612345678" }, { "de,fr", "el 612345678", "" }, { "DE, ES", "el 612345678", "phone:612345678" },
        { NULL, "to 501 234 567", "" }, { "PL", "to 501 234 567", "phone:501 234 567" }, { "US", "at 212 555 0123", "phone:212 555 0123" },
        { NULL, "BSN? 111222333", "national_id:111222333" }, { NULL, "nr 111222333", "" }, { "NL", "nr 111222333", "national_id:111222333" },
        { NULL, "536-22-1234", "social_id:536-22-1234" }, { "DE", "536-22-1234", "" }, { "DE", "SSN 536-22-1234", "social_id:536-22-1234" },
        { "DE", "RSSMRA85T10A562S", "tax_id:RSSMRA85T10A562S" }, { "GB", "nr 943 476 5919", "health_id:943 476 5919" },
    };
    PiiScanner *s;
    Err         e;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        check_found(&(PiiOptions){ .countries = rows[i].countries }, rows[i].text, rows[i].want);
    assert_int_equal(pii_scanner_new(&s, &(PiiOptions){ .countries = "DE,XX" }, &e), ERR_ARG);
    check_says(&e, ERR_ARG, "country \"XX\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allow), cmocka_unit_test(test_exact), cmocka_unit_test(test_refused), cmocka_unit_test(test_countries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
