/* test_hash.c - published digests; pieces and files give the same as the whole. */
#include "base/check.h"

#include "base/hash.h"
#include "base/mem.h"

static void check_sha(const char *text, size_t n, const char *want)
{
    Sha256 h;
    char hex[SHA256_HEX];
    sha256_init(&h);
    for (size_t i = 0; i < n; i += 13)
        sha256_add(&h, text + i, MIN((size_t)13, n - i));
    sha256_hex(&h, hex);
    assert_string_equal(hex, want);
}

static void test_sha256(void **state)
{
    (void)state;
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"; /* FIPS 180 examples */
    check_sha("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sha("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha(two_blocks, sizeof two_blocks - 1, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = mem_alloc(1000000);
    memset(million, 'a', 1000000);
    check_sha(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void test_file(void **state)
{
    (void)state;
    Err e;
    char *dir = check_dir(), *path = path_join(dir, "f"), hex[SHA256_HEX];
    assert_int_equal(file_write_atomic(path, "", 0, &e), 0);
    assert_int_equal(sha256_file(path, hex, &e), 0);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(file_write_atomic(path, "abc", 3, &e), 0);
    assert_int_equal(sha256_file(path, hex, &e), 0);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(sha256_file(dir, hex, &e), ERR_INPUT);
    atomic_bool stop = false;
    assert_int_equal(sha256_file_until(path, &stop, hex, &e), 0);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    atomic_store(&stop, true);
    assert_int_equal(sha256_file_until(path, &stop, hex, &e), ERR_STOP);
    free(path);
    check_dir_done(dir);
}

static void test_fnv(void **state)
{
    (void)state; /* the vectors of its authors */
    assert_true(hash64("", 0) == 0xcbf29ce484222325u);
    assert_true(hash64("a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(hash64("foobar", 6) == 0x85944171f73967e8u);
}

static void test_xxh3(void **state)
{
    (void)state; /* as python-xxhash 4.1.0 prints them */
    unsigned char many[300];
    for (int i = 0; i < 300; i++)
        many[i] = (unsigned char)(i * 7 % 256);
    const struct { const void *p; size_t n; uint64_t h, hi, lo; } row[] = {
        { "", 0, 0x2d06800538d394c2u, 0x99aa06d3014798d8u, 0x6001c324468d497fu },
        { "a", 1, 0xe6c632b61e964e1fu, 0xa96faf705af16834u, 0xe6c632b61e964e1fu },
        { "foobar", 6, 0xd78fda63144c5c84u, 0x3c9e102628997f44u, 0xac87b0b131c6992du },
        { many, sizeof many, 0xe2558afb5598da2au, 0x366a6c90343f6288u, 0xe2558afb5598da2au },
    };
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        const Hash128 wide = xxh3_128(row[i].p, row[i].n);
        assert_true(xxh3_64(row[i].p, row[i].n) == row[i].h);
        assert_true(wide.hi == row[i].hi && wide.lo == row[i].lo);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_sha256), cmocka_unit_test(test_file), cmocka_unit_test(test_fnv), cmocka_unit_test(test_xxh3) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
