/* cmd_prep.c - hone prep: data files in, a clean, divided data folder out. The library decides everything; here it is shown. */
#include "cli/cli.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/term.h"
#include "prep/prep.h"

#define INPUTS_MAX 4096

typedef struct PrepArgs {
    PrepCfg cfg; /* first, so that prep_options' offsets hold */
    bool    json, help;
} PrepArgs;

static const CfgOption extra_options[] = {
    { "json", CFG_BOOL, offsetof(PrepArgs, json), "false", 0, 0, NULL, "print the result as JSON", true },
    { "help", CFG_BOOL, offsetof(PrepArgs, help), "false", 0, 0, NULL, "this text", true },
    { 0 },
};

typedef struct Screen { bool tty; double last, start; } Screen;

static void show(void *user, const char *stage, uint64_t done, uint64_t total, int64_t rows)
{
    Screen *s = user;
    double  now = clock_seconds();
    if (now - s->last < (s->tty ? 0.1 : 5))
        return;
    s->last = now;
    fprintf(stderr, "%s%s %3.0f %%, %lld rows", s->tty ? "\r\033[K" : "", stage, total ? 100.0 * (double)done / (double)total : 100.0, (long long)rows);
    if (!strcmp(stage, "reading"))
        fprintf(stderr, ", %.1f MB/s", (double)done * 1e-6 / (now - s->start));
    fprintf(stderr, "%s", s->tty ? "" : "\n");
    fflush(stderr);
}

static void print_result(const PrepArgs *a, const PrepFacts *f)
{
    if (a->json) {
        StrBuf out = { 0 };
        json_write_string(&out, str_of(a->cfg.out));
        printf("{\"out\":%s,\"read\":%lld,\"removed\":%lld,\"train\":%lld,\"validation\":%lld,\"test\":%lld,\"inputs_left_out\":%lld}\n", strbuf_z(&out), (long long)f->read,
               (long long)f->part[0], (long long)f->part[1], (long long)f->part[2], (long long)f->part[3], (long long)f->left_out);
        strbuf_release(&out);
        return;
    }
    printf("%lld rows read, %lld removed; train %lld, validation %lld, test %lld\n", (long long)f->read, (long long)f->part[0], (long long)f->part[1], (long long)f->part[2],
           (long long)f->part[3]);
    if (f->left_out)
        printf("%lld inputs could not be read; the report says which and why\n", (long long)f->left_out);
    printf("see %s/report.html; then: hone train --data %s/train.jsonl --eval %s/validation.jsonl ...\n", a->cfg.out, a->cfg.out, a->cfg.out);
}

int cmd_prep(int argc, char **argv, Err *e)
{
    int          n_rows, n = 0, rc;
    CfgOption   *table = cli_table(prep_options, extra_options, &n_rows);
    bool        *given = mem_zalloc((size_t)n_rows, sizeof *given), help;
    const char **inputs = mem_zalloc(INPUTS_MAX, sizeof *inputs);
    PrepArgs     a = { 0 };
    PrepFacts    facts = { 0 };
    Screen       screen = { .tty = term_is_tty(STDERR_FILENO), .start = clock_seconds(), .last = clock_seconds() };
    PrepHooks    hooks = { .user = &screen, .progress = show, .stop_asked = cli_stop_asked };
    if ((rc = cli_parse("prep", table, &a, argc, argv, inputs, INPUTS_MAX, &n, given, &help, e)) || help)
        goto done;
    term_catch_stop();
    rc = prep_run(&a.cfg, inputs, (size_t)n, &hooks, &facts, e);
    if (screen.tty)
        fprintf(stderr, "\r\033[K");
    if (!rc)
        print_result(&a, &facts);
done:
    cfg_release(table, &a);
    free(inputs);
    free(given);
    free(table);
    return rc;
}
