/* proc_child.c - the caged side of proc.h: a constructor that recognises the child by its first argument, locks every door behind itself, does
 * the one thing it was started for, and leaves without ever reaching main.
 * Invariants: no foreign byte is read before the last door is shut; what cannot be shut is reported on PROC_REPORT before work begins.
 * To allow another system call: a row in allowed[]. To allow another folder to be read: a row in readable[]. */
#include "base/proc_int.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PROC_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define PROC_SANITIZED 1
#endif
#endif
#ifndef PROC_SANITIZED
#define PROC_SANITIZED 0
#endif

const char proc_name[] = "hone: a caged process";

extern const ProcJob __start_hone_proc_jobs[] __attribute__((weak));
extern const ProcJob __stop_hone_proc_jobs[] __attribute__((weak));

typedef struct Cage {
    size_t memory, out_max;
    int    cpu_s, wall_s, strict;
    long   parent;
    const char *program; /* that may be started; NULL: none */
} Cage;

/* ---- reports ---- */

static void put(int fd, const void *p, size_t n)
{
    const char *at = p;
    while (n) {
        ssize_t k = write(fd, at, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            _exit(1); /* nobody listens any more */
        at += k;
        n -= (size_t)k;
    }
}

static _Noreturn void fail(const char *what, int number)
{
    char text[512];
    int  n = snprintf(text, sizeof text, "%c%s%s%s", 0, what, number ? ": " : "", number ? strerrordesc_np(number) : "");
    put(PROC_REPORT, text, (size_t)MIN(n, (int)sizeof text - 1));
    _exit(1);
}

/* ---- Landlock (kernel documentation: userspace-api/landlock), by bare system calls since the C library has no functions for it ---- */

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif
enum { LL_EXECUTE = 1 << 0, LL_READ_FILE = 1 << 2, LL_READ_DIR = 1 << 3 };
typedef struct LlAttr { uint64_t fs, net, scoped; } LlAttr;
typedef struct __attribute__((packed)) LlPath { uint64_t access; int32_t fd; } LlPath;

/* By version of the interface: all rights that exist and are thereby taken away, and how much of LlAttr the kernel knows.
 * 5 added ioctl on devices; 6 signals and abstract sockets. */
static const struct { uint64_t fs, net, scoped; size_t size; } ll_abi[] = {
    { 0x1fff, 0, 0, 8 }, { 0x3fff, 0, 0, 8 }, { 0x7fff, 0, 0, 8 }, { 0x7fff, 3, 0, 16 }, { 0xffff, 3, 0, 16 }, { 0xffff, 3, 3, 24 },
};

/* Programs and libraries, tables of character sets, the dynamic linker's cache. */
static const char *const readable[] = { "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec", "/usr/local/lib", "/usr/share", "/lib", "/lib64",
                                        "/etc/ld.so.cache", "/dev/null", "/dev/urandom" };

static void ll_allow(int rules, const char *path, uint64_t access)
{
    LlPath rule = { .access = access, .fd = open(path, O_PATH | O_CLOEXEC) };
    if (rule.fd < 0)
        return;
    if (syscall(SYS_landlock_add_rule, rules, 1, &rule, 0) && (access & LL_READ_DIR)) {
        rule.access = access & ~(uint64_t)LL_READ_DIR; /* a file has no such right */
        syscall(SYS_landlock_add_rule, rules, 1, &rule, 0);
    }
    close(rule.fd);
}

/* The dynamic linker that a program names in its header: the kernel opens it for execution, too. */
static void ll_allow_linker(int rules, const char *program)
{
    Elf64_Ehdr head;
    Elf64_Phdr part;
    char       name[256];
    int        fd = open(program, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && pread(fd, &head, sizeof head, 0) == (ssize_t)sizeof head && memcmp(head.e_ident, ELFMAG, SELFMAG) == 0)
        for (int i = 0; i < head.e_phnum; i++)
            if (pread(fd, &part, sizeof part, (off_t)(head.e_phoff + (uint64_t)i * sizeof part)) == (ssize_t)sizeof part && part.p_type == PT_INTERP &&
                part.p_filesz < sizeof name && pread(fd, name, part.p_filesz, (off_t)part.p_offset) == (ssize_t)part.p_filesz) {
                name[part.p_filesz] = '\0';
                ll_allow(rules, name, LL_EXECUTE | LL_READ_FILE);
            }
    if (fd >= 0)
        close(fd);
}

static bool landlock(const Cage *c)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    if (abi < 1)
        return false;
    const size_t row = (size_t)MIN(abi, (long)ARRAY_LEN(ll_abi)) - 1;
    LlAttr       attr = { ll_abi[row].fs, ll_abi[row].net, ll_abi[row].scoped };
    int          rules = (int)syscall(SYS_landlock_create_ruleset, &attr, ll_abi[row].size, 0);
    if (rules < 0)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(readable); i++)
        ll_allow(rules, readable[i], LL_READ_FILE | LL_READ_DIR);
    if (c->program) {
        ll_allow(rules, c->program, LL_EXECUTE | LL_READ_FILE);
        ll_allow_linker(rules, c->program);
    }
    const bool done = syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    close(rules);
    return done;
}

/* ---- seccomp ---- */

/* All that a parser, the C library, the dynamic linker and a sanitizer's run time need. What is not here does not exist (ENOSYS): above all
 * sockets, new processes and threads, exec, ptrace, everything that changes a file system, and every way to raise a limit. */
static const int allowed[] = {
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close), SCMP_SYS(lseek),
    SCMP_SYS(fstat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(access),
    SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd), SCMP_SYS(getdents64), SCMP_SYS(fcntl),
    SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(fadvise64),
    SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(mincore),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
    SCMP_SYS(futex), SCMP_SYS(set_tid_address), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(membarrier), SCMP_SYS(arch_prctl),
    SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(getrusage), SCMP_SYS(getrlimit),
    SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(gettid), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(getrandom), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

/* False where the kernel refuses filters; a filter that cannot be built, as with too little memory, is a failure, for it must not pass as that. */
static bool seccomp(const Cage *c)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int             rc = f ? 0 : -ENOMEM;
    for (size_t i = 0; i < ARRAY_LEN(allowed) && rc == 0; i++)
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
    /* Files open for reading only; else the answer is EACCES. O_TMPFILE and O_TRUNC need no write access mode to be harmful. */
    const scmp_datum_t writing = O_ACCMODE | O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY);
    const struct scmp_arg_cmp reads[] = { SCMP_A1(SCMP_CMP_MASKED_EQ, writing, O_RDONLY), SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY) };
    const int                 opens[] = { SCMP_SYS(open), SCMP_SYS(openat) };
    for (size_t i = 0; i < ARRAY_LEN(opens) && rc == 0; i++) {
        rc = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, opens[i], 1, &reads[i]);
        for (int bit = 0; bit < 32 && rc == 0; bit++) /* a rule for each bit says the opposite of the rule above */
            if (writing >> bit & 1) {
                struct scmp_arg_cmp is_set = reads[i];
                is_set.datum_a = is_set.datum_b = (scmp_datum_t)1 << bit;
                rc = seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EACCES), opens[i], 1, &is_set);
            }
    }
    if (rc == 0) /* asking a limit is fine, setting one is not */
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0));
    if (rc == 0) /* isatty */
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, TCGETS));
    if (rc == 0) /* abort() signals itself, and nobody else; process numbers do not change on exec */
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
    if (rc == 0 && PROC_SANITIZED) /* names memory regions */
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 0);
    if (rc == 0 && c->program) /* this descriptor is closed by exec, and no other can ever have its number: one start, of one program */
        rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(execveat), 2, SCMP_A0(SCMP_CMP_EQ, PROC_EXEC), SCMP_A4(SCMP_CMP_EQ, AT_EMPTY_PATH));
    if (rc == 0)
        rc = seccomp_load(f);
    if (f)
        seccomp_release(f);
    if (rc && rc != -ECANCELED && rc != -EINVAL) /* ECANCELED: the kernel said no */
        fail("cannot build the filter of system calls; with little memory, allow the child more", -rc);
    return rc == 0;
}

/* ---- the whole set-up ---- */

static void limit(int what, rlim_t soft, rlim_t hard)
{
    struct rlimit had, want = { soft, hard };
    if (getrlimit((__rlimit_resource_t)what, &had) == 0) {
        want.rlim_max = MIN(want.rlim_max, had.rlim_max);
        want.rlim_cur = MIN(want.rlim_cur, want.rlim_max);
    }
    if (setrlimit((__rlimit_resource_t)what, &want))
        fail("cannot limit a child process", errno);
}

static void shut(const Cage *c)
{
    const rlim_t cpu = (rlim_t)c->cpu_s;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != (pid_t)c->parent)
        _exit(1); /* the parent is gone already */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        fail("cannot give up the right to gain privileges", errno);
    if (c->program) {
        int fd = open(c->program, O_PATH | O_CLOEXEC);
        if (fd < 0 || dup3(fd, PROC_EXEC, O_CLOEXEC) < 0)
            fail("cannot open the program", errno);
        close(fd);
    }
    limit(RLIMIT_CPU, cpu, cpu + 1); /* SIGXCPU, then SIGKILL */
    limit(RLIMIT_FSIZE, 0, 0);
    limit(RLIMIT_CORE, 1, 1); /* 1 and not 0: a core pattern that is a pipe ignores 0, see core(5) */
    limit(RLIMIT_NOFILE, PROC_FILES, PROC_FILES);
    limit(RLIMIT_NPROC, 0, 0);
    if (!PROC_SANITIZED)
        limit(RLIMIT_AS, c->memory, c->memory);
    char missing = 0;
    if (!landlock(c))
        missing |= PROC_NO_LANDLOCK;
    if (!seccomp(c))
        missing |= PROC_NO_SECCOMP;
    if (missing && c->strict)
        fail(missing & PROC_NO_SECCOMP ? "this system has no seccomp filters, without which strict mode reads no foreign file"
                                       : "this system has no Landlock, without which strict mode reads no foreign file", 0);
    put(PROC_REPORT, &missing, 1);
}

static _Noreturn void run_job(const char *name, const char *arg, size_t out_max)
{
    const ProcJob *job = __start_hone_proc_jobs;
    while (job < __stop_hone_proc_jobs && strcmp(job->name, name) != 0)
        job++;
    if (job >= __stop_hone_proc_jobs)
        _exit(1);
    Err    e = { 0 };
    StrBuf out = { .max = out_max };
    int    rc = job->fn(str_of(arg), &out, &e);
    if (rc == 0 && out.over)
        rc = err_set(&e, ERR_WORK, "the result has more than the %zu MiB that are allowed", out_max >> 20);
    if (rc)
        out.n = 0;
    ProcHead head = { .code = rc, .text_n = rc ? strlen(e.text) : 0, .out_n = out.n };
    memcpy(head.magic, PROC_MAGIC, sizeof head.magic);
    put(1, &head, sizeof head);
    put(1, e.text, head.text_n);
    put(1, strbuf_z(&out), out.n);
    _exit(0);
}

static const char *find_program(const char *name, char path[256])
{
    static const char *const folders[] = { "/usr/bin", "/bin", "/usr/local/bin" };
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        snprintf(path, 256, "%s/%s", folders[i], name);
        if (access(path, X_OK) == 0)
            return path;
    }
    char text[512];
    snprintf(text, sizeof text, "the program %s is not in /usr/bin, /bin or /usr/local/bin; install it", name);
    fail(text, 0);
}

/* Runs before main. The GNU C library hands the arguments to constructors. */
__attribute__((constructor)) static void proc_child(int argc, char **argv, char **envp)
{
    if (argc < 4 || strcmp(argv[0], proc_name) != 0)
        return;
    Cage c = { 0 };
    char path[256];
    if (sscanf(argv[2], "%zu %d %d %zu %d %ld", &c.memory, &c.cpu_s, &c.wall_s, &c.out_max, &c.strict, &c.parent) != 6)
        _exit(1);
    const bool run = strcmp(argv[1], "run") == 0;
    if (run)
        c.program = find_program(argv[3], path);
    shut(&c);
    if (!run)
        run_job(argv[3], argc > 4 ? argv[4] : "", c.out_max);
    close(PROC_REPORT);
    syscall(SYS_execveat, PROC_EXEC, "", argv + 3, envp, AT_EMPTY_PATH);
    fprintf(stderr, "%s: %s\n", argv[3], strerrordesc_np(errno));
    _exit(127);
}
