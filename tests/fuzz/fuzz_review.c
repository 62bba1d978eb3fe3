/* fuzz_review.c - any bytes as the body of an action, as lines of each file of the folder, and as what is searched for: they are refused with a
 * sentence or taken, and what was taken is read back the same. The first byte chooses. The folder lies in memory (/dev/shm) where there is one. */
#include "prep/review_int.h"
#include "serve/review_page.h"
#include "../prep/review_sample.h"

#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_answer(const HttpAnswer *a)
{
    Json *j = NULL;
    Err   e;
    BUG_ON(json_parse(&j, strbuf_str(&a->body), "answer", &e) != 0); /* also a refusal is JSON */
    BUG_ON((a->status != 0) != (json_get(j, "error") != NULL));
    json_free(j);
}

static void use(Review *r, Str body)
{
    HttpAnswer a = { 0 };
    Json      *j = NULL;
    Err        e;
    size_t     before = r->action.n;
    review_page_act(r, body, &a);
    check_answer(&a);
    BUG_ON((a.status == 0) != (r->action.n == before + 1));
    strbuf_release(&a.body);
    review_facts(r, &j);
    json_free(j);
    for (int64_t id = 1; id <= SAMPLE_ROWS; id += 3)
        if (!review_row(r, id, &j, &e))
            json_free(j);
}

static void search(Review *r, Str text)
{
    ReviewFilter f = REVIEW_ALL;
    Json        *j = NULL;
    Err          e = { 0 };
    static uint64_t turn;
    f.text = text;
    f.turn = ++turn;
    f.sort = (ReviewSort)(turn % SORTS);
    f.down = turn & 1;
    int rc = review_rows(r, &f, 0, 40, &j, &e);
    BUG_ON(rc && rc != ERR_ARG);
    json_free(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static char    dir[64];
    static Review *live;
    static int     acts;
    Err            e = { 0 };
    Str            text = { (const char *)p + 1, n ? n - 1 : 0 };
    Review        *r = NULL;
    if (!n)
        return 0;
    if (!dir[0]) {
        snprintf(dir, sizeof dir, "%s/fuzz-review-%d", file_is_dir("/dev/shm") ? "/dev/shm" : "/tmp", (int)getpid());
        sample_folder(dir, true);
    }
    if (p[0] & 1 || (p[0] & 4 && acts > 300)) { /* a line of a file: the folder is opened anew with it */
        static const char *const names[] = { "review.jsonl", "decisions.jsonl", "removed.jsonl", "train.jsonl", "scores.jsonl", "measures.bin", "decisions.jsonl", "review.jsonl" };
        const char *name = names[p[0] >> 1 & 7];
        review_close(live);
        live = NULL;
        acts = 0;
        sample_folder(dir, true);
        StrBuf b = { 0 };
        strbuf_add(&b, text.p, text.n);
        strbuf_addc(&b, '\n');
        sample_put(dir, name, &b);
        strbuf_release(&b);
        int rc = review_open(&r, dir, &(ReviewOptions){ .read_only = true }, &e);
        BUG_ON((rc == 0) != (r != NULL));
        BUG_ON(rc && rc != ERR_INPUT && rc != ERR_ARG);
        if (r) {
            search(r, (Str){ text.p, MIN(text.n, 20) });
            for (int64_t id = 1; id <= SAMPLE_ROWS; id++) {
                Json *j = NULL;
                if (!review_row(r, id, &j, &e))
                    json_free(j);
            }
        }
        review_close(r);
        static const char *const gone[] = { "review.jsonl", "scores.jsonl", "measures.bin" };
        for (size_t i = 0; i < ARRAY_LEN(gone); i++) {
            char *path = path_join(dir, gone[i]);
            unlink(path);
            free(path);
        }
        sample_folder(dir, true);
        return 0;
    }
    if (!live && review_open(&live, dir, &(ReviewOptions){ 0 }, &e))
        BUG_ON(true);
    if (p[0] & 2) {
        search(live, text);
        return 0;
    }
    size_t before = live->action.n;
    use(live, text);
    acts++;
    if (live->action.n > before) { /* what was taken comes back when the folder is opened again */
        const ReviewAction last = live->action.p[live->action.n - 1];
        review_close(live);
        live = NULL;
        BUG_ON(review_open(&live, dir, &(ReviewOptions){ 0 }, &e) != 0);
        BUG_ON(live->action.n != before + 1 || live->action.p[before].kind != last.kind || live->action.p[before].row != last.row);
        if (before > 200) { /* not ever longer */
            char *path = path_join(dir, "review.jsonl");
            review_close(live);
            live = NULL;
            unlink(path);
            free(path);
            sample_folder(dir, true);
        }
    }
    return 0;
}
