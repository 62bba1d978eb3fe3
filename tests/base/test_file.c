/* test_file.c - reading what there is, saying what there is not, and writes that are whole or not at all: against a disk that fills up at
 * every possible byte, and against what dead processes leave behind. */
#include "base/check.h"

#include "base/file_test.h"
#include "base/mem.h"
#include "base/str.h"

#include <stdio.h>
#include <sys/stat.h>

static char *dir; /* of the running test */

static int setup(void **state)
{
    (void)state;
    dir = check_dir();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    file_test_fail_after(-1);
    check_dir_done(dir);
    return 0;
}

static char *at(const char *name)
{
    static char path[4][512];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static void put(const char *name, const char *text)
{
    Err e;
    if (file_write_atomic(at(name), text, strlen(text), &e))
        fail_msg("%s", e.text);
}

static size_t count(const char *path)
{
    Err e;
    FileList l;
    assert_int_equal(file_list(&l, path, &e), 0);
    size_t n = l.n;
    file_list_release(&l);
    return n;
}

static void test_names(void **state)
{
    (void)state;
    static const struct { const char *dir, *name, *want; } rows[] = {
        { "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "/", "b", "/b" }, { "", "b", "b" }, { "a/b", "c/d", "a/b/c/d" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *p = path_join(rows[i].dir, rows[i].name);
        assert_string_equal(p, rows[i].want);
        free(p);
    }
    assert_string_equal(path_base("a/b.txt"), "b.txt");
    assert_string_equal(path_base("b.txt"), "b.txt");
    assert_string_equal(path_base("a/"), "");
}

static void test_reading(void **state)
{
    (void)state;
    Err e;
    char *text;
    size_t n;
    uint64_t size;
    FileMap m;
    assert_int_equal(file_read_text(at("none"), &text, &n, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "there is no such file");
    assert_non_null(strstr(e.text, at("none")));
    assert_int_equal(file_read_text(dir, &text, &n, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "it is a folder");
    assert_int_equal(file_map(&m, dir, &e), ERR_INPUT);
    assert_int_equal(file_size(dir, &size, &e), ERR_INPUT);
    assert_int_equal(file_size(at("none"), &size, &e), ERR_INPUT);
    put("empty", "");
    put("f", "two\nlines\n");
    assert_int_equal(file_read_text(at("empty"), &text, &n, &e), 0);
    assert_true(n == 0 && text[0] == 0);
    free(text);
    check_file_is(at("f"), "two\nlines\n");
    assert_int_equal(file_size(at("f"), &size, &e), 0);
    assert_int_equal(size, 10);
    assert_int_equal(file_map(&m, at("f"), &e), 0);
    assert_true(m.n == 10 && memcmp(m.p, "two\nlines\n", 10) == 0);
    file_unmap(&m);
    assert_int_equal(file_map(&m, at("empty"), &e), 0);
    assert_true(m.n == 0 && m.p == NULL);
    file_unmap(&m);
    assert_int_equal(file_map(&m, "/dev/null", &e), ERR_INPUT);
    assert_int_equal(file_read_text("/proc/self/status", &text, &n, &e), 0); /* a file whose size says 0 */
    assert_true(n > 100 && strlen(text) == n);
    free(text);
    assert_int_equal(file_read_text(at("f/x"), &text, &n, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "is a file, not a folder");
    assert_true(file_exists(dir) && file_is_dir(dir) && file_exists(at("f")) && !file_is_dir(at("f")) && !file_exists(at("none")));
}

static void test_too_large(void **state)
{
    (void)state;
    Err e;
    char *text;
    size_t n;
    put("sparse", "");
    assert_int_equal(file_truncate(at("sparse"), FILE_TEXT_MAX + 1, &e), 0);
    assert_int_equal(file_read_text(at("sparse"), &text, &n, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "larger than 1024 MiB");
    assert_null(text);
}

static void test_permission(void **state)
{
    (void)state;
    Err e;
    char *text;
    size_t n;
    FileOut *f;
    bool root = geteuid() == 0;
    put("secret", "x");
    chmod(at("secret"), 0);
    chmod(dir, 0500);
    if (root && seteuid(65534) != 0) /* root may do everything; nobody may not */
        skip();
    int read = file_read_text(at("secret"), &text, &n, &e), wrote = file_out_open(&f, at("new"), NULL);
    if (root)
        assert_int_equal(seteuid(0), 0);
    chmod(dir, 0700);
    assert_int_equal(read, ERR_IO);
    check_says(&e, ERR_IO, "secret: cannot open it: permission was denied");
    assert_int_equal(wrote, ERR_IO);
    assert_null(f);
}

static void test_list_and_folders(void **state)
{
    (void)state;
    Err e;
    FileList l;
    put("b", ""), put("a", ""), put("B", ""), put(".hidden", "");
    assert_int_equal(file_list(&l, dir, &e), 0);
    const char *want[] = { ".hidden", "B", "a", "b" };
    assert_int_equal(l.n, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(l.name[i], want[i]);
    file_list_release(&l);
    assert_int_equal(file_list(&l, at("none"), &e), ERR_INPUT);
    assert_int_equal(l.n, 0);
    assert_int_equal(dir_make(at("x//y/z/"), &e), 0);
    assert_true(file_is_dir(at("x/y/z")));
    assert_int_equal(dir_make(at("x/y"), &e), 0);
    assert_int_equal(dir_make(at("a"), &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "a file is in the way");
    assert_int_equal(dir_make(at("a/deeper/still"), &e), ERR_INPUT);
    /* removing: the tree goes, what its links point to stays */
    put("x/y/f", "1");
    assert_int_equal(symlink(at("b"), at("x/y/link")), 0);
    assert_int_equal(symlink(dir, at("x/y/z/up")), 0);
    assert_int_equal(dir_remove(at("x"), &e), 0);
    assert_false(file_exists(at("x")));
    assert_true(file_exists(at("b")));
    assert_int_equal(dir_remove(at("x"), &e), 0);
}

static void test_full_disk(void **state)
{
    (void)state;
    Err e;
    char old[] = "the old content", new[] = "the new content, somewhat longer";
    for (int64_t room = 0; room < (int64_t)sizeof new - 1; room++) {
        file_test_fail_after(-1);
        put("f", old);
        file_test_fail_after(room);
        assert_int_equal(file_write_atomic(at("f"), new, sizeof new - 1, &e), ERR_IO);
        check_says(&e, ERR_IO, "the disk is full");
        check_file_is(at("f"), old);
        assert_int_equal(count(dir), 1); /* nothing temporary stays */
    }
    file_test_fail_after(sizeof new - 1);
    assert_int_equal(file_write_atomic(at("f"), new, sizeof new - 1, &e), 0);
    check_file_is(at("f"), new);
    assert_int_equal(file_write_atomic(at("f"), "x", 1, &e), ERR_IO);
    file_test_fail_after(-1);
    put("f", old);
}

static void test_pieces(void **state)
{
    (void)state;
    Err e;
    FileOut *f;
    size_t sizes[] = { 0, 1, 100, 200000, 262144, 300000, 1, 262143, 2 }, total = 0, got;
    char *want = mem_alloc(2000000), *text;
    for (size_t i = 0; i < 2000000; i++)
        want[i] = (char)('a' + i % 23);
    assert_int_equal(file_out_open(&f, at("f"), &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_int_equal(file_out_write(f, want + total, sizes[i], &e), 0);
        total += sizes[i];
        assert_false(file_exists(at("f")));
    }
    assert_int_equal(file_out_commit(&f, &e), 0);
    assert_null(f);
    assert_int_equal(file_read_text(at("f"), &text, &got, &e), 0);
    assert_true(got == total && memcmp(text, want, total) == 0);
    free(text);
    assert_int_equal(file_out_open(&f, at("f"), &e), 0);
    assert_int_equal(file_out_write(f, "x", 1, &e), 0);
    file_out_abort(&f);
    file_out_abort(&f);
    assert_int_equal(count(dir), 1);
    file_test_fail_after(500000); /* in the middle of a piece that goes past the buffer */
    assert_int_equal(file_out_open(&f, at("g"), &e), 0);
    int rc = file_out_write(f, want, 300000, &e);
    assert_int_equal(rc, 0);
    assert_int_equal(file_out_write(f, want, 300000, &e), ERR_IO);
    file_out_abort(&f);
    assert_int_equal(count(dir), 1);
    free(want);
    assert_int_equal(file_out_open(&f, at("none/f"), &e), ERR_INPUT);
    assert_null(f);
    assert_int_equal(file_out_open(&f, dir, &e), ERR_INPUT);
}

static void test_append(void **state)
{
    (void)state;
    Err e;
    assert_int_equal(file_append_line(at("log"), STR_LIT("one"), &e), 0);
    assert_int_equal(file_append_line(at("log"), STR_LIT(""), &e), 0);
    for (int64_t room = 0; room < 6; room++) { /* "three" and its end */
        file_test_fail_after(room);
        assert_int_equal(file_append_line(at("log"), STR_LIT("three"), &e), ERR_IO);
        check_file_is(at("log"), "one\n\n"); /* no half line */
    }
    file_test_fail_after(-1);
    assert_int_equal(file_append_line(at("log"), STR_LIT("three"), &e), 0);
    check_file_is(at("log"), "one\n\nthree\n");
    assert_int_equal(file_truncate(at("log"), 4, &e), 0);
    check_file_is(at("log"), "one\n");
    assert_int_equal(file_truncate(at("none"), 4, &e), ERR_INPUT);
    assert_int_equal(file_truncate(at("log"), UINT64_MAX, &e), ERR_IO);
    assert_int_equal(file_append_line(dir, STR_LIT("x"), &e), ERR_INPUT);
}

static void test_folder(void **state)
{
    (void)state;
    Err e;
    char *tmp, *path;
    for (int turn = 0; turn < 3; turn++) { /* new, then replaced twice; with and without a slash at the end */
        char text[16];
        snprintf(text, sizeof text, "turn %d", turn);
        const char *target = at(turn == 1 ? "runs/model/" : "runs/model");
        assert_int_equal(folder_begin(&tmp, target, &e), 0);
        char *sub = path_join(tmp, "sub/deep");
        assert_int_equal(dir_make(sub, &e), 0);
        path = path_join(sub, "f");
        assert_int_equal(file_write_atomic(path, text, strlen(text), &e), 0);
        free(path);
        path = path_join(tmp, turn == 0 ? "only-in-0" : "link");
        assert_int_equal(symlink("/nowhere", path), 0); /* never followed */
        free(path);
        free(sub);
        if (turn)
            check_file_is(at("runs/model/sub/deep/f"), turn == 1 ? "turn 0" : "turn 1");
        assert_int_equal(folder_commit(&tmp, target, &e), 0);
        assert_null(tmp);
        check_file_is(at("runs/model/sub/deep/f"), text);
        assert_int_equal(count(at("runs")), 1);
    }
    assert_int_equal(count(at("runs/model")), 2); /* nothing of turn 0 is left */
    assert_int_equal(folder_begin(&tmp, at("runs/model"), &e), 0);
    folder_abort(&tmp);
    folder_abort(&tmp);
    check_file_is(at("runs/model/sub/deep/f"), "turn 2");
    assert_int_equal(count(at("runs")), 1);
    put("plain", "x");
    assert_int_equal(folder_begin(&tmp, at("plain"), &e), ERR_INPUT);
    assert_null(tmp);
    assert_int_equal(folder_begin(&tmp, at("plain/below"), &e), ERR_INPUT);
    assert_null(tmp);
}


static void test_leftovers(void **state)
{
    (void)state;
    Err e;
    char name[64], *tmp;
    pid_t dead = fork();
    assert_true(dead >= 0);
    if (dead == 0)
        _exit(0);
    waitpid(dead, NULL, 0); /* its number belongs to nobody now */
    long alive = (long)getppid();

    snprintf(name, sizeof name, "f.tmp-%ld", (long)dead);
    put(name, "half");
    snprintf(name, sizeof name, "f.tmp-%ld", (long)getpid());
    put(name, "half"); /* in a container a predecessor had our number */
    put("f.tmp-", "not ours"), put("f.tmp-12x", "not ours"), put("ff.tmp-1", "not ours");
    snprintf(name, sizeof name, "f.tmp-%ld", alive);
    put(name, "being written");
    put("f", "done");
    check_file_is(at("f"), "done");
    check_file_is(at(name), "being written");
    assert_int_equal(count(dir), 5); /* f, the three that are not ours, the one being written */

    snprintf(name, sizeof name, "m.tmp-%ld", (long)dead);
    assert_int_equal(dir_make(at(name), &e), 0);
    snprintf(name, sizeof name, "m.old-%ld/inside", (long)dead);
    assert_int_equal(dir_make(at(name), &e), 0);
    assert_int_equal(folder_begin(&tmp, at("m"), &e), 0); /* died between the two renames: the old folder comes back */
    assert_true(file_is_dir(at("m/inside")));
    assert_int_equal(count(dir), 7);
    folder_abort(&tmp);
    assert_int_equal(dir_make(at(name), &e), 0);
    assert_int_equal(folder_begin(&tmp, at("m"), &e), 0); /* died behind them: the new one is there, the old one goes */
    folder_abort(&tmp);
    assert_int_equal(count(dir), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(test_permission, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list_and_folders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_leftovers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
