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

/* "removed: duplicates 366, quality 38", the most first; and a word of warning when it is much. */
static void print_reasons(const PrepFacts *f)
{
    const char *between = "removed: ";
    bool        told[PREP_PASSES] = { false };
    for (;;) {
        size_t most = 0;
        for (size_t i = 1; prep_pass_name(i); i++)
            if (!told[i] && f->why[i] > f->why[most] * (most > 0))
                most = i;
        if (!most)
            break;
        told[most] = true;
        printf("%s%s %lld", between, prep_pass_name(most), (long long)f->why[most]);
        between = ", ";
    }
    if (*between == ',')
        printf("\n");
    if (f->read && f->part[0] * 5 > f->read)
        printf("more than a fifth of the rows were removed: look at the report before you train\n");
}

/* Of --pii drop: "personal data: rows with person 80, email 41 (a row may have several kinds)", and what else there is when they are many. */
static void print_personal(const PrepFacts *f)
{
    const char *between = "personal data: rows with ";
    int64_t     most = 0, dropped = 0;
    for (size_t i = 0; prep_pass_name(i); i++)
        dropped += strcmp(prep_pass_name(i), "pii") ? 0 : f->why[i];
    for (size_t k = 0; prep_kind_name(k); k++)
        most = MAX(most, f->personal[k]);
    if (!most)
        return;
    for (int64_t n = most; n > 0;) { /* by number, those of one number in the order of the kinds */
        int64_t next = 0;
        for (size_t k = 0; prep_kind_name(k); k++) {
            if (f->personal[k] == n) {
                printf("%s%s %lld", between, prep_kind_name(k), (long long)n);
                between = ", ";
            } else if (f->personal[k] < n)
                next = MAX(next, f->personal[k]);
        }
        n = next;
    }
    printf(" (a row may have several)\n");
    if (dropped * 20 > f->read)
        printf("that is much: --pii replace keeps the rows with other values in their place, --pii-skip KIND[,...] leaves a kind alone,\n"
               "--pii-allow FILE the texts of a list\n");
}

static void print_result(const PrepArgs *a, const PrepFacts *f)
{
    if (a->json) {
        StrBuf out = { 0 };
        json_write_string(&out, str_of(a->cfg.out));
        printf("{\"out\":%s,\"read\":%lld,\"removed\":%lld,\"train\":%lld,\"validation\":%lld,\"test\":%lld,\"inputs_left_out\":%lld,\"inputs_cut_short\":%lld}\n", strbuf_z(&out), (long long)f->read,
               (long long)f->part[0], (long long)f->part[1], (long long)f->part[2], (long long)f->part[3], (long long)f->left_out, (long long)f->cut_short);
        strbuf_release(&out);
        return;
    }
    if (f->passages)
        printf("%lld passages gave %lld pairs of question and answer\n", (long long)f->passages, (long long)f->pairs_made);
    printf("%lld rows read, %lld removed; train %lld, validation %lld, test %lld\n", (long long)f->read, (long long)f->part[0], (long long)f->part[1], (long long)f->part[2],
           (long long)f->part[3]);
    print_reasons(f);
    if (*f->told)
        printf("%s\n", f->told);
    print_personal(f);
    if (f->left_out)
        printf("%lld input%s could not be read or gave no row; the report says which and why\n", (long long)f->left_out, f->left_out == 1 ? "" : "s");
    if (f->cut_short)
        printf("of %lld input%s a part could not be read and is missing; the report says which and why\n", (long long)f->cut_short, f->cut_short == 1 ? "" : "s");
    if (f->passages && !f->part[2] && !f->part[3] && a->cfg.validation + a->cfg.test > 0)
        printf("questions of one document stay together, so too few documents leave nothing held out; --group document,passage divides by passages\n");
    printf("see %s/report.html; then: hone train --model DIR --data %s/train.jsonl", a->cfg.out, a->cfg.out);
    if (f->part[2])
        printf(" --eval %s/validation.jsonl", a->cfg.out);
    printf(" --out RUN\n");
    if (f->pairs)
        printf("(pairs are trained as prompt directly followed by completion: give --separator $'\\n', unless completions begin with a space or a line break)\n");
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
    if ((rc = cli_parse("prep", table, &a, argc, argv, inputs, INPUTS_MAX, &n, given, &help, e)) || help) {
        if (help)
            printf("\nTexts stay on disk: memory is about 140 MB and at most %d bytes for each row, 80 MB more where very many rows share a long form; what asks a\n"
                   "model holds the training rows as well. Until it is done the folder takes the rows once more and 250 bytes for each. A row may have 64 MiB and\n"
                   "takes six to ten times its size while it is in work. A preparation that was stopped goes on with the same command.\n", PREP_ROW_BYTES);
        goto done;
    }
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
