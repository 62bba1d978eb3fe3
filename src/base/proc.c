/* proc.c - the parent's side of proc.h: starts the child, collects what it writes within bounds of size and time, and turns its end into a
 * sentence. The child's side is proc_child.c.
 * Invariants: every path ends with the child reaped and all descriptors closed; nothing the child writes is trusted (lengths are checked, the text of an
 * error is repaired to UTF-8). */
#include "base/proc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/mem.h"
#include "base/proc_int.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROC_READ ((size_t)64 << 10) /* bytes read at a time */
#define PROC_HIGH 10                 /* our ends lie at least here, so that the child's 0 to 3 never collide with them */

enum { WAY_OUT, WAY_SAID, WAY_REPORT, WAYS };

typedef struct Child {
    pid_t         pid;
    int           fd[WAYS];  /* -1: closed */
    StrBuf        got[WAYS];
    bool          killed_time, killed_size;
    int           status;
    struct rusage used;
    ProcLimits    limits;
} Child;

static ProcLimits with_defaults(const ProcLimits *l)
{
    ProcLimits out = l ? *l : (ProcLimits){ 0 };
    out.memory = out.memory ? out.memory : (size_t)1 << 30;
    out.cpu_s = out.cpu_s ? out.cpu_s : 60;
    out.wall_s = out.wall_s ? out.wall_s : 120;
    out.out_max = out.out_max ? out.out_max : (size_t)256 << 20;
    return out;
}

/* ---- starting ---- */

static int lift(int fd)
{
    if (fd < 0 || fd >= PROC_HIGH)
        return fd;
    int high = fcntl(fd, F_DUPFD_CLOEXEC, PROC_HIGH);
    close(fd);
    return high;
}

/* What the child reads: the file itself, or the bytes in a file in memory. Both can be mapped by it. */
static int open_input(const ProcIn *in, int *fd, Err *e)
{
    struct stat s;
    if (in && in->path) {
        *fd = lift(open(in->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)); /* a pipe without a writer would wait for ever */
        if (*fd < 0)
            return errno == ENOENT || errno == ENOTDIR ? err_set(e, ERR_INPUT, "%s: there is no such file", in->path)
                                                       : err_sys(e, "%s: cannot open it", in->path);
        if (fstat(*fd, &s) || !S_ISREG(s.st_mode))
            return err_set(e, ERR_INPUT, "%s: it is no regular file", in->path);
        return 0;
    }
    *fd = lift(memfd_create("hone", MFD_CLOEXEC));
    if (*fd < 0)
        return err_sys(e, "cannot hand bytes to a child process");
    for (size_t at = 0; in && at < in->bytes.n;) {
        ssize_t k = write(*fd, in->bytes.p + at, MIN(in->bytes.n - at, (size_t)1 << 30));
        if (k < 0 && errno != EINTR)
            return err_sys(e, "cannot hand bytes to a child process");
        at += k > 0 ? (size_t)k : 0;
    }
    if (lseek(*fd, 0, SEEK_SET) < 0)
        return err_sys(e, "cannot hand bytes to a child process");
    return 0;
}

static int start(Child *c, const char *const argv[], int input, Err *e)
{
    static const int place[WAYS] = { 1, 2, PROC_REPORT };
    int way[WAYS][2], rc = 0, number = 0;
    for (int i = 0; i < WAYS; i++)
        way[i][0] = way[i][1] = -1;
    for (int i = 0; i < WAYS && !rc; i++) {
        if (pipe2(way[i], O_CLOEXEC))
            rc = err_sys(e, "cannot make a pipe to a child process");
        way[i][0] = lift(way[i][0]);
        way[i][1] = lift(way[i][1]);
    }
    /* The child's surroundings are always the same; only the linker keeps its way to libraries in unusual places. */
    char        libraries[4096] = "";
    const char *set = getenv("LD_LIBRARY_PATH");
    char       *env[] = { "LC_ALL=C.UTF-8", "TZ=UTC", "PATH=/usr/bin:/bin", libraries, NULL };
    if (set && strlen(set) < sizeof libraries - 20)
        snprintf(libraries, sizeof libraries, "LD_LIBRARY_PATH=%s", set);
    else
        env[3] = NULL;
    posix_spawn_file_actions_t acts;
    posix_spawnattr_t          attr;
    sigset_t                   none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&acts);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_adddup2(&acts, input, 0);
    for (int i = 0; i < WAYS; i++)
        posix_spawn_file_actions_adddup2(&acts, way[i][1], place[i]);
    posix_spawn_file_actions_addclosefrom_np(&acts, PROC_REPORT + 1);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    posix_spawnattr_setpgroup(&attr, 0); /* a Ctrl-C at the terminal is the parent's to handle */
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    if (!rc)
        number = posix_spawn(&c->pid, "/proc/self/exe", &acts, &attr, (char *const *)(uintptr_t)argv, env);
    if (number) {
        errno = number;
        rc = err_sys(e, "cannot start a child process from /proc/self/exe");
    }
    posix_spawn_file_actions_destroy(&acts);
    posix_spawnattr_destroy(&attr);
    for (int i = 0; i < WAYS; i++) {
        c->fd[i] = way[i][0];
        if (way[i][1] >= 0)
            close(way[i][1]);
        if (rc && way[i][0] >= 0)
            close(way[i][0]);
    }
    return rc;
}

/* ---- collecting ---- */

static void take(Child *c, int way, char *buf)
{
    ssize_t k = read(c->fd[way], buf, PROC_READ);
    if (k < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (k <= 0) {
        close(c->fd[way]);
        c->fd[way] = -1;
        return;
    }
    StrBuf *b = &c->got[way];
    if (way == WAY_OUT) {
        strbuf_add(b, buf, (size_t)k);
        if (b->over && !c->killed_size) {
            c->killed_size = true;
            kill(c->pid, SIGKILL);
        }
    } else if (b->n < PROC_SAID_MAX) {
        strbuf_add(b, buf, MIN((size_t)k, PROC_SAID_MAX - b->n));
    }
}

/* Until every way is closed and the child is reaped; past the deadline the child is killed, which closes the ways. */
static void collect(Child *c, char *buf)
{
    const double deadline = clock_seconds() + c->limits.wall_s;
    bool         reaped = false;
    for (int turn = 0; !reaped; turn++) {
        struct pollfd p[WAYS];
        int           way[WAYS], n = 0;
        for (int i = 0; i < WAYS; i++)
            if (c->fd[i] >= 0) {
                way[n] = i;
                p[n++] = (struct pollfd){ .fd = c->fd[i], .events = POLLIN };
            }
        const double left = deadline - clock_seconds();
        if (left <= 0 && !c->killed_time) {
            c->killed_time = true;
            kill(c->pid, SIGKILL);
        }
        if (n) {
            if (poll(p, (nfds_t)n, left <= 0 ? 1000 : (int)MIN(left * 1000 + 1, 1000.0)) > 0)
                for (int i = 0; i < n; i++)
                    if (p[i].revents)
                        take(c, way[i], buf);
            turn = 0;
            continue;
        }
        pid_t got = wait4(c->pid, &c->status, WNOHANG, &c->used);
        reaped = got == c->pid || (got < 0 && errno != EINTR);
        if (!reaped) { /* it closed its descriptors and ends, or lingers */
            struct timespec nap = { .tv_nsec = (turn < 20 ? 1 : 20) * 1000000 };
            nanosleep(&nap, NULL);
        }
    }
}

/* ---- the end as a sentence ---- */

static void tell_missing(char missing)
{
    static atomic_int told;
    static const char *const what[] = { "Landlock, so they could read files of this machine", "seccomp filters, so system calls are not filtered" };
    const int before = atomic_fetch_or(&told, missing);
    for (int i = 0; i < 2; i++)
        if ((missing & ~before) >> i & 1)
            log_warn("proc", "this system offers child processes that read foreign files no %s; resource limits still hold", what[i]);
}

/* The last words of a child, on one line. */
static void last_words(StrBuf *out, const StrBuf *said)
{
    Str s = strbuf_str(said);
    while (s.n && (s.p[s.n - 1] == '\n' || s.p[s.n - 1] == ' '))
        s.n--;
    if (!s.n)
        return;
    StrBuf sound = { 0 };
    strbuf_addz(out, "; it said: ");
    utf8_repair(&sound, (Str){ s.p, MIN(s.n, (size_t)300) });
    for (size_t i = 0; i < sound.n; i++)
        strbuf_addc(out, (unsigned char)sound.p[i] < ' ' || sound.p[i] == 0x7f ? ' ' : sound.p[i]);
    strbuf_release(&sound);
}

/* 0 when the child ended by itself with an exit status; else the reason. */
static int judge_end(Child *c, Err *e)
{
    const Str report = strbuf_str(&c->got[WAY_REPORT]);
    char      had[32], may[32];
    size_print(had, (size_t)c->used.ru_maxrss << 10);
    size_print(may, c->limits.memory);
    if (c->killed_time)
        return err_set(e, ERR_WORK, "the child process did not finish within %d s and was ended", c->limits.wall_s);
    if (c->killed_size)
        return err_set(e, ERR_WORK, "the child process gave more than the %zu MiB that are allowed and was ended", c->limits.out_max >> 20);
    if (report.n > 1 && report.p[0] == 0) {
        StrBuf sound = { 0 };
        utf8_repair(&sound, (Str){ report.p + 1, report.n - 1 });
        err_set(e, ERR_IO, "%s", strbuf_z(&sound));
        strbuf_release(&sound);
        return ERR_IO;
    }
    if (report.n)
        tell_missing(report.p[0]);
    if (WIFSIGNALED(c->status)) {
        const int  sig = WTERMSIG(c->status);
        const double cpu = (double)c->used.ru_utime.tv_sec + (double)c->used.ru_stime.tv_sec + 1;
        if (sig == SIGXCPU || (sig == SIGKILL && cpu >= c->limits.cpu_s))
            return err_set(e, ERR_WORK, "the child process used up its %d s of processor time and was ended", c->limits.cpu_s);
        StrBuf words = { 0 };
        last_words(&words, &c->got[WAY_SAID]);
        err_set(e, ERR_WORK, "the child process crashed by signal %d (%s), having used %s of the %s of memory it may have%s", sig, sigdescr_np(sig), had, may,
                strbuf_z(&words));
        strbuf_release(&words);
        return ERR_WORK;
    }
    return 0;
}

static int run_child(Child *c, const char *const argv[], const ProcIn *in, Err *e)
{
    int input = -1, rc = open_input(in, &input, e);
    if (!rc)
        rc = start(c, argv, input, e);
    if (input >= 0)
        close(input);
    if (rc)
        return rc;
    char *buf = mem_alloc(PROC_READ);
    collect(c, buf);
    free(buf);
    return judge_end(c, e);
}

static void child_release(Child *c)
{
    for (int i = 0; i < WAYS; i++)
        strbuf_release(&c->got[i]);
}

static void print_limits(char text[160], const ProcLimits *l)
{
    snprintf(text, 160, "%zu %d %d %zu %d %ld", l->memory, l->cpu_s, l->wall_s, l->out_max, (int)l->strict, (long)getpid());
}

/* A complete result and nothing else, or an end that no job of ours has. */
static int read_result(Child *c, StrBuf *out, Err *e)
{
    ProcHead     head;
    const StrBuf *b = &c->got[WAY_OUT];
    if (b->n >= sizeof head)
        memcpy(&head, b->p, sizeof head);
    if (b->n < sizeof head || memcmp(head.magic, PROC_MAGIC, sizeof head.magic) != 0 || head.text_n >= sizeof e->text ||
        head.out_n > c->limits.out_max || b->n != sizeof head + head.text_n + head.out_n) {
        StrBuf words = { 0 };
        char   may[32];
        size_print(may, c->limits.memory);
        last_words(&words, &c->got[WAY_SAID]);
        err_set(e, ERR_WORK, "the child process ended (exit status %d) without a result; it may have %s of memory%s", WEXITSTATUS(c->status), may,
                strbuf_z(&words));
        strbuf_release(&words);
        return ERR_WORK;
    }
    if (head.code) {
        StrBuf sound = { 0 };
        utf8_repair(&sound, (Str){ b->p + sizeof head, (size_t)head.text_n });
        const int code = head.code >= ERR_STOP && head.code <= ERR_ARG ? (int)head.code : ERR_WORK;
        err_set(e, code, "%s", strbuf_z(&sound));
        strbuf_release(&sound);
        return code;
    }
    strbuf_add(out, b->p + sizeof head, (size_t)head.out_n);
    return 0;
}

int proc_call(const ProcJob *job, Str arg, const ProcIn *in, const ProcLimits *limits, StrBuf *out, Err *e)
{
    BUG_ON(arg.n > PROC_ARG_MAX || (arg.n && memchr(arg.p, 0, arg.n)));
    Child c = { .limits = with_defaults(limits) };
    char  numbers[160], *copy = mem_strndup(arg.n ? arg.p : "", arg.n);
    print_limits(numbers, &c.limits);
    c.got[WAY_OUT].max = c.limits.out_max + sizeof(ProcHead) + sizeof e->text;
    const char *const argv[] = { proc_name, "job", numbers, job->name, copy, NULL };
    int rc = run_child(&c, argv, in, e);
    if (!rc)
        rc = read_result(&c, out, e);
    child_release(&c);
    free(copy);
    return rc;
}

int proc_run(const char *const argv[], const ProcIn *in, const ProcLimits *limits, StrBuf *out, int *status, StrBuf *said, Err *e)
{
    Child  c = { .limits = with_defaults(limits) };
    char   numbers[160];
    size_t n = 0;
    while (argv[n])
        n++;
    const char **all = mem_zalloc(n + 4, sizeof *all);
    print_limits(numbers, &c.limits);
    all[0] = proc_name;
    all[1] = "run";
    all[2] = numbers;
    memcpy(all + 3, argv, n * sizeof *all);
    c.got[WAY_OUT].max = c.limits.out_max;
    int rc = run_child(&c, all, in, e);
    if (!rc) {
        *status = WEXITSTATUS(c.status);
        strbuf_add(out, strbuf_z(&c.got[WAY_OUT]), c.got[WAY_OUT].n);
        strbuf_add(said, strbuf_z(&c.got[WAY_SAID]), c.got[WAY_SAID].n);
    }
    child_release(&c);
    free(all);
    return rc;
}
