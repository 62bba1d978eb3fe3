/* test_pii_replace.c - modes, surrogates that are the same everywhere and valid nowhere, the keyed hash against Python's, the subject index. */
#include "base/check.h"

#include "base/thread.h"
#include "base/utf8.h"
#include "prep/pii_replace.h"
#include "prep/pii_int.h"
#include "prep/pii_key.h"
#include "prep/pii_replace.h"

#include <stdio.h>

static PiiScanner *scanner;
static PiiReplacer *replacer;
static const Str seed = { "0123456789abcdef0123456789abcdef", 32 };

static int setup(void **state)
{
    Err e;
    (void)state;
    if (pii_scanner_new(&scanner, NULL, &e))
        return -1;
    return pii_replacer_new(&replacer, scanner, NULL, seed, &e);
}

static int teardown(void **state)
{
    (void)state;
    pii_replacer_free(replacer);
    pii_scanner_free(scanner);
    return 0;
}

/* The text with its findings treated; owned. */
static char *treated(const PiiReplacer *r, const char *text, bool *drop)
{
    PiiSpans v = {0};
    StrBuf out = {0};
    Err e;
    assert_int_equal(pii_scan(scanner, str_of(text), &v, &e), 0);
    pii_replace(r, str_of(text), &v, &out, drop);
    assert_true(utf8_valid(strbuf_str(&out), NULL));
    vec_release(&v);
    return strbuf_take(&out);
}

static char *surrogate(PiiKind k, const char *rule, const char *value)
{
    StrBuf out = {0};
    pii_surrogate(replacer, k, rule, str_of(value), &out);
    return strbuf_take(&out);
}

/* HMAC-SHA-256 with the keys of RFC 4231, cases 2 and 6, over "what do ya want NUL for NUL nothing?"; the digests are those of Python's hmac. */
static void test_hmac(void **state)
{
    (void)state;
    static const struct { const char *key; size_t n; const char *hex; } rows[] = {
        { "Jefe", 4, "a88c06743c42f3631edb7ccc190264c643939e7890623a9ecd8e10fa3f944c60" },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 131, "f22b0fc2d1ee51250fbade449f735e3f9324a1f798d3611c97d157cd3af0a32a" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        PiiHmac h;
        uint8_t out[32];
        char hex[65];
        pii_hmac_init(&h, (Str){ rows[i].key, rows[i].n });
        pii_hmac(&h, "what do ya want", "for", STR_LIT("nothing?"), out);
        for (int k = 0; k < 32; k++)
            snprintf(hex + 2 * k, 3, "%02x", out[k]);
        check_text(hex, rows[i].hex);
    }
}

static void test_modes(void **state)
{
    (void)state;
    PiiPolicy p = pii_policy_default();
    PiiReplacer *r;
    PiiMode m;
    Err e;
    bool drop;
    char key[PII_KEY_HEX], want[64], *got;
    p.mode[PII_EMAIL] = PII_REDACT;
    p.mode[PII_IBAN] = PII_HASH;
    p.mode[PII_CARD] = PII_DROP;
    assert_int_equal(pii_replacer_new(&r, scanner, &p, STR_LIT("short"), &e), ERR_ARG);
    check_says(&e, ERR_ARG, "5 bytes");
    assert_int_equal(pii_replacer_new(&r, scanner, &p, seed, &e), 0);
    check_text(got = treated(r, "Ä a@b.de ö", &drop), "Ä [EMAIL] ö");
    assert_false(drop);
    free(got);
    pii_key(r, PII_IBAN, STR_LIT("de89370400440532013000"), key);
    snprintf(want, sizeof want, "IBAN_%.12s.", key);
    check_text(got = treated(r, "DE89 3704 0044 0532 0130 00.", &drop), want);
    free(got);
    free(treated(r, "4111111111111111", &drop));
    assert_true(drop);
    check_text(got = treated(r, "near New York", &drop), "near New York"); /* reported only */
    free(got);
    pii_replacer_free(r);
    for (int k = 0; k <= PII_DROP; k++)
        assert_true(pii_mode_find(str_of(pii_mode_name((PiiMode)k)), &m) && (int)m == k);
    assert_false(pii_mode_find(STR_LIT("mask"), &m));
}

/* What must hold of each surrogate: another value, the same again, another with another seed, and the form. '9' a digit, 'a' a letter, others as
 * they are. */
static void test_forms(void **state)
{
    (void)state;
    static const struct { PiiKind k; const char *rule, *value, *form; } rows[] = {
        { PII_IBAN, "iban", "DE89 3704 0044 0532 0130 00", "aa99 9999 9999 9999 9999 99" },
        { PII_CARD, "card", "4111-1111-1111-1111", "9999-9999-9999-9999" },
        { PII_CARD, "card", "4111\xC2\xA0" "1111\xC2\xA0" "1111\xC2\xA0" "1111", "9999\xC2\xA0" "9999\xC2\xA0" "9999\xC2\xA0" "9999" },
        { PII_TAX_ID, "de-tax-id", "86 095 742 719", "99 999 999 999" },
        { PII_SOCIAL_ID, "us-ssn", "536-22-1234", "999-99-9999" },
        { PII_SOCIAL_ID, "ch-ahv", "756.9217.0769.85", "999.9999.9999.99" },
        { PII_TAX_ID, "it-code", "RSSMRA85T10A562S", "aaaaaa99a99a999a" },
        { PII_PHONE, "phone-us", "(212) 555-9876", "(999) 555-0199" },
        { PII_PHONE, "phone-international", "+39 06 1234567", "+39 00 0999999" },
        { PII_PHONE, "phone-international", "+351 912 345 678", "+351 000 999 999" },
        { PII_BIRTH_DATE, "birth-date", "12.05.1985", "99.99.9999" },
        { PII_COORDINATES, "coordinates", "52.520008, 13.404954", "0.999999, 0.999999" },
        { PII_PLATE, "de-plate", "M-AB 1234", "a-aa 9999" },
        { PII_MAC, "mac", "AA-BB-CC-DD-EE-FF", NULL },
    };
    Err e;
    PiiReplacer *other;
    assert_int_equal(pii_replacer_new(&other, scanner, NULL, STR_LIT("another seed of the customer"), &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *a = surrogate(rows[i].k, rows[i].rule, rows[i].value), *b = surrogate(rows[i].k, rows[i].rule, rows[i].value);
        StrBuf c = {0};
        pii_surrogate(other, rows[i].k, rows[i].rule, str_of(rows[i].value), &c);
        assert_string_equal(a, b);
        if (strcmp(a, rows[i].value) == 0 || strcmp(a, strbuf_z(&c)) == 0)
            fail_msg("%s -> %s, %s", rows[i].value, a, strbuf_z(&c));
        assert_false(pii_rule_holds(str_of(rows[i].rule), str_of(a)));
        for (size_t k = 0; rows[i].form && (a[k] || rows[i].form[k]); k++) {
            const char f = rows[i].form[k];
            if (f == '9' ? a[k] < '0' || a[k] > '9' : f == 'a' ? !((a[k] | 32) >= 'a' && (a[k] | 32) <= 'z') : a[k] != f)
                fail_msg("%s -> %s, expected the form %s", rows[i].value, a, rows[i].form);
        }
        free(a);
        free(b);
        strbuf_release(&c);
    }
    pii_replacer_free(other);
}

/* Thousands of values: no surrogate of an IBAN, a card or a number with a check is valid. */
static void test_never_valid(void **state)
{
    (void)state;
    static const struct { PiiKind k; const char *rule, *front; int digits; } rows[] = {
        { PII_IBAN, "iban", "DE", 20 }, { PII_CARD, "card", "4", 15 }, { PII_TAX_ID, "de-tax-id", "8", 10 }, { PII_SOCIAL_ID, "us-ssn-plain", "5", 8 },
        { PII_NATIONAL_ID, "nl-bsn", "1", 8 }, { PII_NATIONAL_ID, "dk-cpr", "010101-", 4 },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (int k = 0; k < 1000; k++) {
            char value[64];
            snprintf(value, sizeof value, "%s%0*d", rows[i].front, rows[i].digits, k);
            char *s = surrogate(rows[i].k, rows[i].rule, value);
            if (pii_rule_holds(str_of(rows[i].rule), str_of(s)))
                fail_msg("%s: %s -> %s is valid", rows[i].rule, value, s);
            free(s);
        }
}

static void test_conversation(void **state)
{
    (void)state;
    bool drop;
    char *one = treated(replacer, "Hallo Frau Schmidt, hier ist Anna Schmidt, anna.schmidt@firma.de.", &drop);
    char *two = treated(replacer, "Mail an ANNA.SCHMIDT@firma.de.", &drop);
    char *given = surrogate(PII_PERSON, "person-given", "Anna"), *family = surrogate(PII_PERSON, "person-title", "Schmidt");
    char *mail = surrogate(PII_EMAIL, "email", "anna.schmidt@firma.de"), want[256];
    snprintf(want, sizeof want, "Hallo Frau %s, hier ist %s %s, %s.", family, given, family, mail);
    check_text(one, want);
    snprintf(want, sizeof want, "Mail an %s.", mail);
    check_text(two, want);
    assert_true(strstr(mail, "@example.") != NULL);
    /* the gender that the tables know is kept */
    static const char *const women[] = { "Gisela", "Heidrun", "Margaret" }, *const men[] = { "Wolfgang", "Heinrich", "Giovanni" };
    for (size_t i = 0; i < 3; i++) {
        char *w = surrogate(PII_PERSON, "person-given", women[i]), *m = surrogate(PII_PERSON, "person-given", men[i]);
        assert_true((pii_words_find(scanner->words, str_of(w)) & WORD_GIVEN) == WORD_FEMALE
                && (pii_words_find(scanner->words, str_of(m)) & WORD_GIVEN) == WORD_MALE);
        free(w);
        free(m);
    }
    /* small letters stay small, and another name is another name whatever its case */
    char *small = treated(replacer, "hi its anna schmidt", &drop);
    StrBuf low = {0};
    snprintf(want, sizeof want, "hi its %s %s", given, family);
    pii_lower(str_of(want), &low);
    check_text(small, strbuf_z(&low));
    strbuf_release(&low);
    free(small);
    free(one);
    free(two);
    free(given);
    free(family);
    free(mail);
}

/* Found by fuzzing: a name with a byte that is no UTF-8. */
static void test_stray_bytes(void **state)
{
    (void)state;
    char key[PII_KEY_HEX], *name = surrogate(PII_PERSON, "person-given", "Anna Sc\x98ied");
    pii_key(replacer, PII_PERSON, STR_LIT("Anna Sc\x98ied"), key);
    assert_true(*name && strcmp(name, "Anna Sc\x98ied") != 0);
    free(name);
}

static void test_same_value(void **state)
{
    (void)state;
    static const struct { PiiKind k; const char *a, *b; bool same; } rows[] = {
        { PII_PHONE, "+49 (0)30 1234567", "0049 30 123 45-67", true }, { PII_PHONE, "030 1234567", "030 1234568", false },
        { PII_IBAN, "DE89 3704 0044 0532 0130 00", "de89370400440532013000", true }, { PII_PERSON, "Anna  Schmidt", "anna schmidt", true },
        { PII_EMAIL, "Max@Example.org", "max@example.org", true }, { PII_EMAIL, "max (dot) m [AT] web (dot) de", "max.m@web.de", true },
        { PII_EMAIL, "max.m at web dot de", "max.m@web.de", true }, { PII_EMAIL, "\"max at m\"@web.de", "\"maxatm\"@web.de", false }, { PII_SECRET, "aB", "ab", false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char a[PII_KEY_HEX], b[PII_KEY_HEX];
        pii_key(replacer, rows[i].k, str_of(rows[i].a), a);
        pii_key(replacer, rows[i].k, str_of(rows[i].b), b);
        if ((strcmp(a, b) == 0) != rows[i].same)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac),         cmocka_unit_test(test_modes),      cmocka_unit_test(test_forms), cmocka_unit_test(test_never_valid),
        cmocka_unit_test(test_conversation), cmocka_unit_test(test_same_value), cmocka_unit_test(test_stray_bytes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
