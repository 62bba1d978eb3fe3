/* bench_run.c - runs a command and says what it took: bench_run THREADS FILE LINES COMMAND [ARGUMENT ...].
 * One line on standard output: wall seconds, peak resident MiB, and the FMA probe on THREADS threads in GFLOP/s, the median of rounds just before and after.
 * The command is ended (SIGKILL) as soon as FILE has LINES lines: a few steps of a training run need no checkpoint and no final adapter. LINES 0: it
 * runs to its end. The command's own output goes to standard error. Exit status 1 when the command failed before that. */
#include "bench.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define POLL_US 20000
#define PROBES  8 /* rounds before, and as many after */

static int64_t lines_of(const char *path)
{
    int64_t n = 0;
    FILE   *f = fopen(path, "r");
    for (int c; f && (c = getc(f)) != EOF;)
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}

static void probe(int threads, double *rate) /* [PROBES] */
{
    Pool *pool = pool_new(threads);
    for (int i = 0; i < PROBES; i++)
        rate[i] = bench_probe(pool);
    pool_free(pool); /* before the fork, which copies no threads */
}

static pid_t start(char **command)
{
    const pid_t child = fork();
    BUG_ON(child < 0);
    if (child)
        return child;
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execvp(command[0], command);
    perror(command[0]);
    _exit(127);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: bench_run THREADS FILE LINES COMMAND [ARGUMENT ...]\n");
        return 2;
    }
    const int     threads = atoi(argv[1]);
    const int64_t lines = atoll(argv[3]);
    double        rate[2 * PROBES];
    probe(threads, rate);
    const double  began = clock_seconds();
    const pid_t   child = start(argv + 4);
    bool          ended = false;
    int           status;
    struct rusage use;
    while (!wait4(child, &status, lines ? WNOHANG : 0, &use)) {
        if (!ended && lines_of(argv[2]) >= lines) {
            ended = true;
            kill(child, SIGKILL);
        }
        usleep(POLL_US);
    }
    const double seconds = clock_seconds() - began;
    probe(threads, rate + PROBES);
    printf("%.3f %.0f %.1f\n", seconds, (double)use.ru_maxrss / 1024, bench_median(rate, 2 * PROBES));
    if (ended || !status)
        return 0;
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s: ended by signal %d\n", argv[4], WTERMSIG(status));
    return 1;
}
