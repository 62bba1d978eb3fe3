/* test_proc.c - the cage must hold: each job below tries one thing that a parser gone wrong might try, and says what came of it. */
#include "base/check.h"

#include "base/log.h"
#include "base/mem.h"
#include "base/proc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

/* ---- jobs ---- */

static int job_echo(Str arg, StrBuf *out, Err *e)
{
    (void)e;
    char buf[4096];
    ssize_t k;
    strbuf_addf(out, "%.*s|", (int)arg.n, arg.p);
    while ((k = read(0, buf, sizeof buf)) > 0)
        strbuf_add(out, buf, (size_t)k);
    return 0;
}

static int job_fail(Str arg, StrBuf *out, Err *e)
{
    strbuf_addz(out, "half a result");
    return err_set(e, ERR_INPUT, "line 3: %s", arg.p);
}

/* "what result" lines; every result must be "no". */
static int job_attempts(Str arg, StrBuf *out, Err *e)
{
    (void)e;
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(9) };
    struct rlimit more = { 1000, 1000 };
    const int wr[] = { O_WRONLY, O_RDWR, O_RDONLY | O_CREAT, O_RDONLY | O_TRUNC, O_WRONLY | O_CREAT | O_APPEND };
    for (size_t i = 0; i < ARRAY_LEN(wr); i++)
        strbuf_addf(out, "open%zu %s\n", i, open(arg.p, wr[i], 0600) < 0 ? "no" : "YES");
    strbuf_addf(out, "dev %s\n", open("/dev/null", O_WRONLY) < 0 ? "no" : "YES");
    strbuf_addf(out, "inet %s\n", socket(AF_INET, SOCK_STREAM, 0) < 0 ? "no" : "YES");
    strbuf_addf(out, "udp %s\n", socket(AF_INET6, SOCK_DGRAM, 0) < 0 ? "no" : "YES");
    strbuf_addf(out, "unix %s\n", socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? "no" : "YES");
    strbuf_addf(out, "connect %s\n", connect(0, (struct sockaddr *)&in, sizeof in) < 0 && errno == ENOSYS ? "no" : "YES");
    strbuf_addf(out, "fork %s\n", fork() < 0 ? "no" : "YES");
    strbuf_addf(out, "vfork %s\n", syscall(435, NULL, 0) < 0 ? "no" : "YES"); /* clone3 */
    strbuf_addf(out, "exec %s\n", execl("/bin/true", "true", NULL) < 0 ? "no" : "YES");
    strbuf_addf(out, "ptrace %s\n", ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0 ? "no" : "YES");
    strbuf_addf(out, "kill %s\n", kill(getppid(), 0) < 0 ? "no" : "YES");
    strbuf_addf(out, "unlink %s\n", unlink(arg.p) < 0 ? "no" : "YES");
    strbuf_addf(out, "mkdir %s\n", mkdir("/tmp/hone-caged", 0700) < 0 ? "no" : "YES");
    strbuf_addf(out, "chmod %s\n", chmod(arg.p, 0777) < 0 ? "no" : "YES");
    strbuf_addf(out, "limit %s\n", setrlimit(RLIMIT_NOFILE, &more) < 0 ? "no" : "YES");
    strbuf_addf(out, "descriptor %s\n", fcntl(4, F_GETFD) < 0 ? "no" : "YES");
    return 0;
}

static int job_read_file(Str arg, StrBuf *out, Err *e)
{
    (void)e;
    strbuf_addz(out, open(arg.p, O_RDONLY) < 0 ? "no" : "YES");
    return 0;
}

static int job_crash(Str arg, StrBuf *out, Err *e)
{
    (void)arg, (void)out, (void)e;
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    return 0;
}

static int job_abort(Str arg, StrBuf *out, Err *e)
{
    (void)arg, (void)out, (void)e;
    fprintf(stderr, "last\nwords \x1b[31m");
    signal(SIGABRT, SIG_DFL);
    abort();
}

static int job_exit(Str arg, StrBuf *out, Err *e)
{
    (void)arg, (void)out, (void)e;
    _exit(7);
}

static int job_memory(Str arg, StrBuf *out, Err *e)
{
    (void)arg, (void)out, (void)e;
    for (int i = 0; i < 1 << 12; i++)
        memset(mem_alloc(1 << 20), i, 1 << 20);
    return 0;
}

static int job_spin(Str arg, StrBuf *out, Err *e)
{
    (void)out;
    for (volatile unsigned i = 0; e || !arg.n; i = i + 1)
        ;
    return 0;
}

static int job_sleep(Str arg, StrBuf *out, Err *e)
{
    (void)arg, (void)out, (void)e;
    close(1), close(2); /* hanging without an open way must be noticed as well */
    while (sleep(100) < 1000)
        ;
    return 0;
}

static int job_large(Str arg, StrBuf *out, Err *e)
{
    (void)e;
    size_t n = strtoul(arg.p, NULL, 10);
    for (size_t i = 0; i < n; i++)
        strbuf_addc(out, (char)('a' + i % 26));
    return 0;
}

/* A child taken over by what it read writes what it likes. */
static int job_liar(Str arg, StrBuf *out, Err *e)
{
    (void)out, (void)e;
    size_t n = strtoul(arg.p, NULL, 10);
    char *junk = mem_zalloc(n + 1, 1);
    memcpy(junk, "honejob1", MIN(n, (size_t)8));
    memset(junk + 8, 0xff, n > 8 ? n - 8 : 0);
    if (n > 16)
        memset(junk + 8, 0, 8);
    for (size_t at = 0; at < n;) {
        ssize_t k = write(1, junk + at, n - at);
        if (k <= 0)
            break;
        at += (size_t)k;
    }
    _exit(0);
}

PROC_JOB(echo, "test echo", job_echo);
PROC_JOB(fails, "test fail", job_fail);
PROC_JOB(attempts, "test attempts", job_attempts);
PROC_JOB(read_file, "test read file", job_read_file);
PROC_JOB(crash, "test crash", job_crash);
PROC_JOB(aborts, "test abort", job_abort);
PROC_JOB(exits, "test exit", job_exit);
PROC_JOB(memory, "test memory", job_memory);
PROC_JOB(spin, "test spin", job_spin);
PROC_JOB(sleeps, "test sleep", job_sleep);
PROC_JOB(large, "test large", job_large);
PROC_JOB(liar, "test liar", job_liar);

/* ---- tests ---- */

static int descriptors(void)
{
    FileList l;
    Err e;
    if (file_list(&l, "/proc/self/fd", &e))
        fail_msg("%s", e.text);
    int n = (int)l.n;
    file_list_release(&l);
    return n;
}

static void test_results(void **state)
{
    (void)state;
    Err e = { 0 };
    StrBuf out = { 0 };
    const int before = descriptors();
    assert_int_equal(proc_call(&echo, STR_LIT("a b"), NULL, NULL, &out, &e), 0);
    check_text(strbuf_z(&out), "a b|");
    strbuf_clear(&out);
    assert_int_equal(proc_call(&echo, (Str){ 0 }, &(ProcIn){ .bytes = STR_LIT("bytes\n") }, NULL, &out, &e), 0);
    check_text(strbuf_z(&out), "|bytes\n");
    char *dir = check_dir(), *path = path_join(dir, "f");
    assert_int_equal(file_write_atomic(path, "from a file", 11, &e), 0);
    strbuf_clear(&out);
    assert_int_equal(proc_call(&echo, STR_LIT("x"), &(ProcIn){ .path = path }, NULL, &out, &e), 0);
    check_text(strbuf_z(&out), "x|from a file");
    strbuf_clear(&out);
    assert_int_equal(proc_call(&large, STR_LIT("3000000"), NULL, NULL, &out, &e), 0);
    assert_int_equal(out.n, 3000000);
    assert_int_equal(out.p[2999999], 'a' + 2999999 % 26);
    strbuf_clear(&out);
    assert_int_equal(proc_call(&fails, STR_LIT("no verb"), NULL, NULL, &out, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "line 3: no verb");
    assert_int_equal(out.n, 0);
    assert_int_equal(proc_call(&echo, (Str){ 0 }, &(ProcIn){ .path = "/nowhere/f" }, NULL, &out, &e), ERR_INPUT);
    check_says(&e, ERR_INPUT, "/nowhere/f: there is no such file");
    assert_int_equal(proc_call(&echo, (Str){ 0 }, &(ProcIn){ .path = dir }, NULL, &out, &e), ERR_INPUT);
    assert_int_equal(descriptors(), before);
    strbuf_release(&out);
    free(path);
    check_dir_done(dir);
}

static void test_cage(void **state)
{
    (void)state;
    Err e = { 0 };
    StrBuf out = { 0 };
    char *dir = check_dir(), *path = path_join(dir, "target");
    struct stat s;
    assert_int_equal(file_write_atomic(path, "untouched", 9, &e), 0);
    chmod(path, 0600);
    if (proc_call(&attempts, str_of(path), NULL, NULL, &out, &e))
        fail_msg("%s", e.text);
    int lines = 0;
    for (const char *p = strbuf_z(&out); (p = strchr(p, '\n')); p++)
        lines++;
    assert_int_equal(lines, 20);
    if (strstr(strbuf_z(&out), "YES"))
        fail_msg("the cage has a hole:\n%s", strbuf_z(&out));
    check_file_is(path, "untouched");
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    strbuf_clear(&out);
    /* Landlock: no file outside the libraries can be read. In strict mode its absence is an error, so that this test knows. */
    if (proc_call(&read_file, STR_LIT("/etc/passwd"), NULL, &(ProcLimits){ .strict = true }, &out, &e) == 0)
        check_text(strbuf_z(&out), "no");
    else
        check_says(&e, ERR_IO, "strict mode");
    strbuf_release(&out);
    free(path);
    check_dir_done(dir);
}

static void test_ends(void **state)
{
    (void)state;
    Err e = { 0 };
    StrBuf out = { 0 };
    proc_call(&crash, (Str){ 0 }, NULL, NULL, &out, &e);
    check_says(&e, ERR_WORK, "signal 11 (Segmentation fault)");
    proc_call(&aborts, (Str){ 0 }, NULL, NULL, &out, &e);
    check_says(&e, ERR_WORK, "signal 6 (Aborted)");
    check_says(&e, ERR_WORK, "it said: last words  [31m");
    proc_call(&exits, (Str){ 0 }, NULL, NULL, &out, &e);
    check_says(&e, ERR_WORK, "ended (exit status 7) without a result");
    proc_call(&spin, (Str){ 0 }, NULL, &(ProcLimits){ .cpu_s = 1 }, &out, &e);
    check_says(&e, ERR_WORK, "used up its 1 s of processor time");
    proc_call(&sleeps, (Str){ 0 }, NULL, &(ProcLimits){ .wall_s = 1 }, &out, &e);
    check_says(&e, ERR_WORK, "did not finish within 1 s");
    proc_call(&large, STR_LIT("2000000"), NULL, &(ProcLimits){ .out_max = 1 << 20 }, &out, &e);
    check_says(&e, ERR_WORK, "more than the 1 MiB that are allowed");
    if (!SANITIZED) {
        proc_call(&memory, (Str){ 0 }, NULL, &(ProcLimits){ .memory = (size_t)256 << 20 }, &out, &e);
        check_says(&e, ERR_WORK, "256 MiB of memory; it said: hone: out of memory");
    }
    static const char *const lengths[] = { "0", "5", "8", "20", "31", "32", "33", "5000" };
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        proc_call(&liar, str_of(lengths[i]), NULL, NULL, &out, &e);
        check_says(&e, ERR_WORK, "without a result");
    }
    proc_call(&liar, STR_LIT("9000000"), NULL, &(ProcLimits){ .out_max = 1 << 20 }, &out, &e);
    check_says(&e, ERR_WORK, "gave more than the 1 MiB");
    assert_int_equal(out.n, 0);
    strbuf_release(&out);
}

static void *many_calls(void *arg)
{
    for (int i = 0; i < 5; i++) {
        StrBuf out = { 0 };
        Err e = { 0 };
        char want[32];
        snprintf(want, sizeof want, "%d-%d", *(int *)arg, i);
        if (proc_call(&echo, str_of(want), NULL, NULL, &out, &e) || out.n != strlen(want) + 1 || memcmp(out.p, want, strlen(want)) != 0)
            *(int *)arg = -1000;
        strbuf_release(&out);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t t[4];
    int number[4];
    for (int i = 0; i < 4; i++) {
        number[i] = i;
        assert_int_equal(pthread_create(&t[i], NULL, many_calls, &number[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        assert_int_equal(number[i], i);
    }
}

static void test_programs(void **state)
{
    (void)state;
    Err e = { 0 };
    StrBuf out = { 0 }, said = { 0 };
    int status = -1;
    if (proc_run((const char *const[]){ "cat", NULL }, &(ProcIn){ .bytes = STR_LIT("through cat") }, NULL, &out, &status, &said, &e))
        fail_msg("%s", e.text);
    assert_int_equal(status, 0);
    check_text(strbuf_z(&out), "through cat");
    strbuf_clear(&out);
    /* a program of the cage starts no other, writes no file and opens no connection */
    assert_int_equal(proc_run((const char *const[]){ "sh", "-c", "/bin/true; echo $?; echo x > /tmp/hone-caged; echo y > /dev/tcp/127.0.0.1/9; exec cat", NULL },
                              NULL, NULL, &out, &status, &said, &e), 0);
    assert_true(status != 0);
    assert_false(file_exists("/tmp/hone-caged"));
    strbuf_clear(&out);
    strbuf_clear(&said);
    assert_int_equal(proc_run((const char *const[]){ "cat", "/nowhere", NULL }, NULL, NULL, &out, &status, &said, &e), 0);
    assert_int_equal(status, 1);
    assert_non_null(strstr(strbuf_z(&said), "/nowhere"));
    assert_true(proc_run((const char *const[]){ "no-such-program", NULL }, NULL, NULL, &out, &status, &said, &e) < 0);
    check_says(&e, ERR_IO, "no-such-program is not in /usr/bin");
    assert_true(proc_run((const char *const[]){ "sleep", "30", NULL }, NULL, &(ProcLimits){ .wall_s = 1 }, &out, &status, &said, &e) < 0);
    check_says(&e, ERR_WORK, "did not finish within 1 s");
    strbuf_release(&out);
    strbuf_release(&said);
}

static int warnings;

static void count_warnings(void *user, LogLevel level, const char *room, const char *text)
{
    (void)user, (void)text;
    warnings += level == LOG_WARN && strcmp(room, "proc") == 0;
}

/* A kernel without Landlock and seccomp, as some containers show it: work goes on, said once for each; strict mode refuses. */
static void without_help(void)
{
    static const int gone[] = { 444, 445, 446, SCMP_SYS(seccomp) }; /* the three of Landlock */
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        if (seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), gone[i], 0))
            _exit(10);
    if (seccomp_rule_add(f, SCMP_ACT_ERRNO(EINVAL), SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_SECCOMP)) || seccomp_load(f))
        _exit(11);
    Err e = { 0 };
    StrBuf out = { 0 };
    log_stderr(false);
    log_sink_add(count_warnings, NULL);
    for (int i = 0; i < 3; i++)
        if (proc_call(&echo, STR_LIT("x"), NULL, NULL, &out, &e))
            _exit(12);
    if (warnings != 2)
        _exit(20 + warnings);
    if (proc_call(&echo, STR_LIT("x"), NULL, &(ProcLimits){ .strict = true }, &out, &e) != ERR_IO || !strstr(e.text, "strict mode"))
        _exit(13);
    _exit(0);
}

static void test_without_help(void **state)
{
    (void)state;
    int status = check_child(without_help);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results), cmocka_unit_test(test_cage), cmocka_unit_test(test_ends), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_programs), cmocka_unit_test(test_without_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
