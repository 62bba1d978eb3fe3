/* review_swap.c - new files of a data folder take the places of the old ones, all or none.
 * Order, so that a kill at any point loses nothing: the new files are written into a folder beside the old ones and flushed; the folder appears under its name
 * DATA/review-apply at once (that is the decision); its files are renamed over the old ones one by one; the empty folder goes. Whoever opens DATA next
 * finds the folder and goes on with the renaming; what stands in a folder of another name was never decided and is cleared. */
#include "prep/review_int.h"

#include <stdlib.h>

#include "base/hash.h"
#include "prep/prep_report.h"

#define DECIDED "review-apply"
#define BLOCK   ((size_t)4 << 20)

/* What can be swapped; the summary last. listed: the summary has its hash. */
static const struct { const char *name; bool listed; } swapped[] = {
    { "removed.jsonl", true },   { "train.jsonl", true },  { "validation.jsonl", true }, { "test.jsonl", true },            { "decisions.jsonl", true },        { "subjects.jsonl", true },
    { "measures.bin", true },    { "review.jsonl", false }, { "scores.jsonl", false },   { "control_random.jsonl", false }, { "control_longest.jsonl", false }, { "manifest.json", false },
};

static char *decided(const char *dir) { return path_join(dir, DECIDED); }

int swap_begin(const Review *r, char **folder, Err *e)
{
    char *path = decided(r->dir);
    int   rc = folder_begin(folder, path, e);
    free(path);
    return rc;
}

int swap_commit(const Review *r, char **folder, Err *e)
{
    char *path = decided(r->dir);
    int   rc = folder_commit(folder, path, e);
    free(path);
    return rc ? rc : swap_resume(r->dir, e);
}

void swap_abort(char **folder) { folder_abort(folder); }

int swap_resume(const char *dir, Err *e)
{
    char *folder = decided(dir);
    int   rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(swapped) && !rc && file_is_dir(folder); i++) {
        char *from = path_join(folder, swapped[i].name), *to = path_join(dir, swapped[i].name);
        if (file_exists(from))
            rc = file_rename(from, to, e);
        free(from);
        free(to);
    }
    if (!rc && file_is_dir(folder) && !(rc = file_sync(dir, e)))
        rc = dir_remove(folder, e);
    free(folder);
    return rc;
}

/* ---- what goes into the folder ------------------------------------------------------------------------------------------------------------------------ */

int swap_manifest(const Review *r, const char *folder, Err *e)
{
    Json  *files = json_get(r->manifest, "files");
    StrBuf text = { 0 };
    char  *path = path_join(folder, "manifest.json");
    int    rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(swapped) && !rc; i++) {
        char        hash[SHA256_HEX];
        const char *name = swapped[i].name;
        char       *new = path_join(folder, name), *old = path_join(r->dir, name);
        const bool  grown = !strcmp(name, "decisions.jsonl") && !file_exists(new);
        if (swapped[i].listed && (grown || file_exists(new)) && !(rc = sha256_file(grown ? old : new, hash, e)))
            json_set(files, name, json_str_new(str_of(hash)));
        free(new);
        free(old);
    }
    json_write(&text, r->manifest, true);
    strbuf_addc(&text, '\n');
    if (!rc)
        rc = file_write_atomic(path, text.p, text.n, e);
    strbuf_release(&text);
    free(path);
    return rc;
}

int swap_longer(const Review *r, const char *folder, const char *name, Str more, Err *e)
{
    FileMap  old = { 0 };
    FileOut *f = NULL;
    char    *from = path_join(r->dir, name), *to = path_join(folder, name);
    int      rc = file_exists(from) ? file_map(&old, from, e) : 0;
    if (!rc)
        rc = file_out_open(&f, to, e);
    for (size_t at = 0; at < old.n && !rc; at += BLOCK) {
        const size_t n = MIN(BLOCK, old.n - at);
        rc = file_out_write(f, old.p + at, n, e);
        file_forget(old.p + at, n);
    }
    if (!rc)
        rc = file_out_write(f, more.p, more.n, e);
    if (!rc)
        rc = file_out_commit(&f, e);
    file_out_abort(&f);
    file_unmap(&old);
    free(from);
    free(to);
    return rc;
}

int swap_lines(const Review *r, const char *folder, const char *name, SwapLineFn line, void *user, Err *e)
{
    FileMap  old = { 0 };
    FileOut *f = NULL;
    StrBuf   block = { 0 };
    char    *from = path_join(r->dir, name), *to = path_join(folder, name);
    int      rc = 0;
    if (!file_exists(from))
        goto done;
    if (!(rc = file_map(&old, from, e)))
        rc = file_out_open(&f, to, e);
    for (size_t at = 0, end; at < old.n && !rc; at = end + 1) {
        const char *p = (const char *)old.p + at, *lf = memchr(p, '\n', old.n - at);
        Str         instead = { NULL, 0 };
        end = at + (lf ? (size_t)(lf - p) : old.n - at);
        rc = line(user, (Str){ p, end - at }, &instead, e);
        if (!rc && instead.p) {
            strbuf_add(&block, instead.p, instead.n);
            strbuf_addc(&block, '\n');
        }
        if (!rc)
            rc = file_out_drain(f, &block, BLOCK, e);
    }
    if (!rc)
        rc = file_out_drain(f, &block, 0, e);
    if (!rc)
        rc = file_out_commit(&f, e);
done:
    file_out_abort(&f);
    file_unmap(&old);
    strbuf_release(&block);
    free(from);
    free(to);
    return rc;
}

/* The page for people is made of the files, so it is made anew. */
int swap_report(const Review *r, Err *e)
{
    char *path = path_join(r->dir, "report.html");
    int   rc = file_exists(path) ? prep_report_write(r->dir, r->manifest, e) : 0;
    free(path);
    return rc;
}
