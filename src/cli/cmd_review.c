/* cmd_review.c - hone prep review: a page on the loopback address to look through a prepared data set, or --apply: its verdicts take effect. */
#include "cli/cli.h"

#include <stdio.h>
#include <unistd.h>

#include "base/term.h"
#include "prep/review.h"
#include "serve/review_page.h"

typedef struct Options { int64_t port; char *model; bool apply, help; } Options;

static const CfgOption table[] = {
    { "port",  CFG_INT,  offsetof(Options, port),  "0",     0, 65535, NULL,  "of 127.0.0.1; 0: any free one" },
    { "model", CFG_STR,  offsetof(Options, model), "",      0, 0,     "DIR", "its tokenizer and template show which tokens are trained" },
    { "apply", CFG_BOOL, offsetof(Options, apply), "false", 0, 0,     NULL,  "no page: the last verdicts take effect in the files" },
    { "help",  CFG_BOOL, offsetof(Options, help),  "false", 0, 0,     NULL,  "this text", true },
    { 0 },
};

static int apply(const char *dir, Err *e)
{
    ReviewApplied f;
    int           rc = review_apply(dir, &f, e);
    if (rc)
        return rc;
    printf("%lld rows came back, %lld left, %lld edited, %lld labelled; removed %lld, train %lld, validation %lld, test %lld\n", (long long)f.back, (long long)f.left,
           (long long)f.edited, (long long)f.labelled, (long long)f.part[0], (long long)f.part[1], (long long)f.part[2], (long long)f.part[3]);
    if (f.held)
        printf("%lld accepted rows stay removed: what belongs to them (duplicates, group, subject) lies in more than one part\n", (long long)f.held);
    if (f.disagree)
        printf("of %lld rows the reviewers think differently; the last verdict was followed\n", (long long)f.disagree);
    return 0;
}

static int serve(const char *dir, const Options *o, Err *e)
{
    Review *r = NULL;
    Http   *h = NULL;
    int     rc = review_open(&r, dir, &(ReviewOptions){ .model = o->model }, e);
    if (!rc)
        rc = review_page_open(&h, r, o->port, e);
    if (!rc) {
        printf("http://127.0.0.1:%d/?token=%s\n", http_port(h), http_token(h));
        fflush(stdout);
        fprintf(stderr, "open this address in a browser on this machine; Ctrl-C ends the review, every verdict is on disk already\n");
        while (!term_stop_asked())
            usleep(100000);
    }
    http_close(h);
    review_close(r);
    return rc;
}

int cmd_prep_review(int argc, char **argv, Err *e)
{
    Options     o = { 0 };
    const char *dir = NULL;
    int         n_pos = 0, rc = cli_parse("prep review", table, &o, argc, argv, &dir, 1, &n_pos, NULL, &o.help, e);
    if (!rc && !o.help && !n_pos)
        rc = err_set(e, ERR_ARG, "DATA is missing: name the folder that hone prep wrote, as in hone prep review DATA");
    if (!rc && !o.help) {
        term_catch_stop();
        rc = o.apply ? apply(dir, e) : serve(dir, &o, e);
    }
    cfg_release(table, &o);
    return rc;
}
