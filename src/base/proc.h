/* proc.h - work on foreign bytes in a process of its own: no network, no new programs, no file opened for writing, bounded memory, time and
 * result. A child that crashes, hangs or eats memory becomes one sentence.
 *
 * Why a fresh program and not a bare fork: the parent has threads (kernels, connections), and a fork copies their locks in whatever state they
 * are (POSIX then allows async-signal-safe calls only, which no parser keeps to); it also copies tens of gigabytes of mapped weights, under
 * which no memory limit means anything, and every secret the parent holds. So this program starts itself again (/proc/self/exe, by posix_spawn):
 * a new address space that holds nothing but the job. A constructor in proc_child.c takes over before main and never returns, so that
 * every program that links this file can do it, tests included. Functions that may run there are rows of a table in the program
 * itself (PROC_JOB): no other code can be asked for. A start costs some milliseconds.
 *
 * What holds the child: close of all descriptors but four, resource limits, no_new_privs, Landlock (read below the system's library folders
 * only), a seccomp filter that lists what is allowed. A kernel without Landlock or seccomp is said once in the log; with `strict` it is
 * an error. Address-space limits are left out in builds with sanitizers, which reserve terabytes. */
#ifndef HONE_PROC_H
#define HONE_PROC_H

#include "base/err.h"
#include "base/str.h"

#define PROC_ARG_MAX  ((size_t)64 << 10) /* bytes of a job's argument */
#define PROC_SAID_MAX ((size_t)4 << 10)  /* bytes kept of what a child writes to standard error; the rest is read and dropped */

typedef struct ProcLimits {
    size_t memory;  /* bytes of address space; 0: 1 GiB */
    int    cpu_s;   /* seconds of processor time; 0: 60 */
    int    wall_s;  /* seconds on the clock; 0: 120 */
    size_t out_max; /* bytes of the result; 0: 256 MiB */
    bool   strict;  /* refuse to work where Landlock or seccomp is missing */
} ProcLimits;

/* What the child reads as its standard input, already open: it needs no right to open it. Zeroed: nothing. */
typedef struct ProcIn {
    const char *path;  /* a regular file; NULL: bytes */
    Str         bytes;
} ProcIn;

typedef int (*ProcFn)(Str arg, StrBuf *out, Err *e); /* runs in the child; out has the maximum of the limits; arg is zero-terminated */
typedef struct ProcJob { const char *name; ProcFn fn; } ProcJob;

/* A row of the table, at file level: PROC_JOB(docs_job, "documents to text", run_docs); then proc_call(&docs_job, ...). Names are unique. */
#define PROC_JOB(id, text, function) \
    static const ProcJob id __attribute__((section("hone_proc_jobs"), used, aligned(sizeof(ProcJob)))) = { text, function }

/* Runs the job and appends its result to out. An Err of the job's own comes back as it is; a child that failed gives ERR_WORK (what it read made
 * it crash or pass a limit) or ERR_IO (the system could not start it). Safe from any thread. arg has no NUL byte and at most PROC_ARG_MAX bytes. */
int proc_call(const ProcJob *job, Str arg, const ProcIn *in, const ProcLimits *limits, StrBuf *out, Err *e);

/* Runs a program of the system, found in /usr/bin, /bin or /usr/local/bin, in the same cage: it may read below the library folders and nowhere
 * else, and starts no other program. `out` takes its standard output, `said` the beginning of its standard error, `status` its exit status
 * (an exit other than 0 is no Err). argv ends with NULL. */
int proc_run(const char *const argv[], const ProcIn *in, const ProcLimits *limits, StrBuf *out, int *status, StrBuf *said, Err *e);

#endif
