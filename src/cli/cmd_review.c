/* cmd_review.c - hone prep review: a page on the loopback address to look through a prepared data set; or --apply: its verdicts take effect; or --person,
 * --erase and --forget: rows are found by a value, and they, or what they said earlier, leave the folder for good. */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/term.h"
#include "base/vec.h"
#include "prep/review.h"
#include "serve/review_page.h"

typedef struct Options { int64_t port; char *model, *pii_key, *person, *erase, *forget; bool apply, help; } Options;

static const CfgOption table[] = {
    { "port",  CFG_INT,  offsetof(Options, port),  "0",     0, 65535, NULL,  "of 127.0.0.1; 0: any free one" },
    { "model", CFG_STR,  offsetof(Options, model), "",      0, 0,     "DIR", "its tokenizer and template show which tokens are trained" },
    { "apply", CFG_BOOL, offsetof(Options, apply), "false", 0, 0,     NULL,  "no page: the last verdicts take effect in the files" },
    { "pii-key", CFG_STR, offsetof(Options, pii_key), "",   0, 0,     "FILE", "of --apply and --person: the key of the folder, when it lies elsewhere now" },
    { "person", CFG_STR, offsetof(Options, person), "",     0, 0,     "VALUE", "no page: the rows that hold this address, number or name, by the index of persons and by what stands in them, removed ones included" },
    { "erase", CFG_LIST, offsetof(Options, erase), "",      0, 0,     "ROW[,...]", "no page: no text of these rows is left in any file of DATA" },
    { "forget", CFG_LIST, offsetof(Options, forget), "",    0, 0,     "ROW[,...]", "no page: the rows stay, what they said before repairs and edits goes" },
    { "help",  CFG_BOOL, offsetof(Options, help),  "false", 0, 0,     NULL,  "this text", true },
    { 0 },
};

static int apply(const char *dir, const Options *o, Err *e)
{
    ReviewApplied f;
    int           rc = review_apply(dir, &(ReviewApplyOptions){ o->model, o->pii_key }, &f, e);
    if (rc)
        return rc;
    printf("%lld rows came back, %lld left, %lld edited (%lld by taking an edit back), %lld labelled; removed %lld, train %lld, validation %lld, test %lld\n", (long long)f.back,
           (long long)f.left, (long long)f.edited, (long long)f.restored, (long long)f.labelled, (long long)f.part[0], (long long)f.part[1], (long long)f.part[2], (long long)f.part[3]);
    if (f.personal)
        printf("%lld edited rows hold what looks like personal data and did not before; look at them (decision \"an edit brought in ...\")\n", (long long)f.personal);
    if (f.too_long)
        printf("%lld edited rows are longer than --max-length and would be cut in training\n", (long long)f.too_long);
    if (f.refused)
        printf("%lld edited rows left, since training would refuse them; removed.jsonl says why\n", (long long)f.refused);
    if (f.moved)
        printf("%lld edited rows became near-duplicates of rows of another part, or ask what those ask, and went there; decisions.jsonl names them\n", (long long)f.moved);
    if (f.twins)
        printf("%lld edited rows left, since they now say what other rows say; removed.jsonl names those\n", (long long)f.twins);
    if (f.control_left)
        printf("%lld rows left control_random.jsonl and control_longest.jsonl with that, and none took their places: the control sets are smaller now\n", (long long)f.control_left);
    if (f.overlaps)
        printf("%lld edited rows left, since they now ask what rows of --eval ask; decisions.jsonl names those\n", (long long)f.overlaps);
    if (f.overlaps_kept)
        printf("%lld edited rows now ask what rows of --eval ask and stay, since a reviewer accepted them: the evaluation is worth less for it\n", (long long)f.overlaps_kept);
    if (f.unheld.code)
        printf("edited rows were not held against the evaluation sets: %s\n", f.unheld.text);
    if (f.uncounted.code)
        printf("tokens of edited rows were not counted: %s; give --model DIR\n", f.uncounted.text);
    if (f.unsound)
        printf("%lld accepted rows stay removed, since training would refuse them as they are; the first: %s\n", (long long)f.unsound, f.unsound_why.text);
    if (f.held)
        printf("%lld accepted rows stay removed: what belongs to them (duplicates, group, subject) lies in more than one part\n", (long long)f.held);
    if (f.disagree)
        printf("of %lld rows the reviewers think differently; the last verdict was followed\n", (long long)f.disagree);
    return 0;
}

static int person(const char *dir, const Options *o, Err *e)
{
    ReviewRows rows = { 0 };
    int        rc = review_person(dir, str_of(o->person), o->pii_key, &rows, e);
    for (size_t i = 0; i < rows.n && !rc; i++)
        printf("%s%lld", i ? "," : "", (long long)rows.p[i]);
    if (!rc)
        printf("%s\n", rows.n ? "" : "no row");
    vec_release(&rows);
    return rc;
}

static int erase(const char *dir, const char *list, bool keep, Err *e)
{
    VEC(int64_t) id = { 0 };
    const char  *rest = list;
    Str          item;
    int          rc = 0;
    while (!rc && cfg_list_each(&rest, &item)) {
        char *text = mem_strndup(item.p, item.n), *end;
        *vec_push(&id) = strtoll(text, &end, 10);
        if (*end || !item.n || id.p[id.n - 1] < 1)
            rc = err_set(e, ERR_ARG, "\"%s\" is no number of a row; give numbers as in 12,40", text);
        free(text);
    }
    if (!rc && !(rc = review_erase(dir, id.p, id.n, keep, e)))
        printf("%zu rows: %s. What was exported or trained from this folder before is not reached, and neither are the inputs\n", id.n,
               keep ? "their earlier texts are in no file any more" : "erased from every file");
    vec_release(&id);
    return rc;
}

static int serve(const char *dir, const Options *o, Err *e)
{
    Review *r = NULL;
    Http   *h = NULL;
    int     rc = review_open(&r, dir, &(ReviewOptions){ .model = o->model, .page = true }, e);
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
    const bool wants_person = o.person && *o.person, erases = o.erase && *o.erase, forgets = o.forget && *o.forget;
    if (!rc && !o.help && o.apply + wants_person + erases + forgets > 1)
        rc = err_set(e, ERR_ARG, "--apply, --person, --erase and --forget are four things; give one");
    if (!rc && !o.help) {
        term_catch_stop();
        rc = o.apply ? apply(dir, &o, e) : wants_person ? person(dir, &o, e) : erases ? erase(dir, o.erase, false, e) : forgets ? erase(dir, o.forget, true, e) : serve(dir, &o, e);
    }
    cfg_release(table, &o);
    return rc;
}
