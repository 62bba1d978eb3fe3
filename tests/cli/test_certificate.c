/* test_certificate.c - when a certificate says no: differences beyond the bound, numbers that are none, another tokenizer or template. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "cli/certificate.h"

const Command commands[] = { { NULL, NULL, NULL, NULL } }; /* main.c's, which tests do without */

static Certificate fine(void)
{
    return (Certificate){ .texts = "a test", .tokens = 10, .vocab = 4, .difference = 0.5, .largest = 10, .spread = 0.05, .kl = 0.01, .same = 9,
                          .template_hash = "built-in", .tokenizer_equal = true, .template_equal = true };
}

static const CertClaim exact = { .path = "m.gguf", .format = "gguf", .type = "BF16", .source = "run", .notes = "", .bound = 0.06, .exact = true };
static const CertClaim noisy = { .path = "m.gguf", .format = "gguf", .type = "Q8_0", .source = "run", .notes = "", .bound = 0.1, .exact = false };

static void test_verdicts(void **state)
{
    (void)state;
    Certificate c = fine();
    assert_true(certificate_good(&c, &exact)); /* 0.5 <= 0.06 x 10 */
    assert_true(certificate_good(&c, &noisy));
    c.difference = 0.61;
    assert_false(certificate_good(&c, &exact));
    assert_true(certificate_good(&c, &noisy));
    c = fine();
    c.spread = 0.11;
    assert_true(certificate_good(&c, &exact));
    assert_false(certificate_good(&c, &noisy));
    c = fine();
    c.difference = c.spread = (double)NAN;
    assert_false(certificate_good(&c, &exact));
    assert_false(certificate_good(&c, &noisy));
    c = fine();
    c.tokenizer_equal = false;
    assert_false(certificate_good(&c, &exact));
    c = fine();
    c.template_equal = false;
    assert_false(certificate_good(&c, &noisy));
}

static void test_words(void **state)
{
    (void)state;
    Certificate c = fine();
    Err         e = { 0 };
    Json       *j = certificate_json(&c, &noisy);
    assert_true(json_bool(json_get(j, "verified")));
    assert_int_equal(json_int(json_get(j, "tokens_compared")), 10);
    assert_true(fabs(json_num(json_get(j, "greedy_agreement")) - 0.9) < 1e-12);
    assert_true(json_num(json_get(j, "allowed_noise")) == 0.1);
    json_free(j);
    c.spread = 0.2;
    assert_int_equal(certificate_error(&c, &noisy, "m.gguf.failed", &e), ERR_WORK);
    assert_non_null(strstr(e.text, "m.gguf.failed"));
    assert_non_null(strstr(e.text, "0.2"));
    c.template_equal = false;
    assert_int_equal(certificate_error(&c, &noisy, "m.gguf.failed", &e), ERR_WORK);
    assert_non_null(strstr(e.text, "chat template"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_verdicts), cmocka_unit_test(test_words) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
