/* prep.c - the story of a preparation, and what its stages share. */
#include "prep/prep_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "prep/salesforce.h"

#define INPUTS_MAX 100000

const char *const part_name[PARTS] = { "removed", "train", "validation", "test" };

const char *const prep_passes[] = { "", "import", "questions", "repair", "pii", "language", "quality", "overlap", "tokens", "duplicates", "mixture", "balance", "length", "semantic", "select", NULL };

uint8_t prep_pass_number(const char *pass)
{
    uint8_t n = 1;
    while (prep_passes[n] && strcmp(prep_passes[n], pass))
        n++;
    BUG_ON(!prep_passes[n]); /* a pass that removes rows has its name there */
    return n;
}

const char *prep_pass_name(size_t i)
{
    BUG_ON(ARRAY_LEN(prep_passes) > PREP_PASSES);
    return prep_passes[i];
}

char *prep_path(const Prep *p, const char *name) { return path_join(p->cfg.out, name); }

void prep_tell(Prep *p, const char *fmt, ...)
{
    char    line[PREP_TOLD_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    p->told.max = PREP_TOLD_MAX - 1;
    if (p->told.n + strlen(line) + 1 < PREP_TOLD_MAX)
        strbuf_addf(&p->told, "%s%s", p->told.n ? "\n" : "", line);
    else
        log_info("prep", "%s", line); /* no room among the others */
}

bool prep_stop_asked(const Prep *p) { return p->hooks.stop_asked && p->hooks.stop_asked(p->hooks.user); }

/* ---- inputs ---------------------------------------------------------------------------------------------------------------------------------------- */

/* Of a folder that is one input: the hash of its files' names and hashes. */
static int hash_folder(Input *in, Err *e)
{
    FileList list = { 0 };
    Sha256   all;
    int      rc = file_list(&list, in->path, e);
    sha256_init(&all);
    for (size_t i = 0; i < list.n && !rc; i++) {
        char     hash[SHA256_HEX], *path = path_join(in->path, list.name[i]);
        uint64_t bytes = 0;
        if (!file_is_dir(path) && !(rc = file_size(path, &bytes, e)) && !(rc = sha256_file(path, hash, e))) {
            sha256_add(&all, list.name[i], strlen(list.name[i]));
            sha256_add(&all, hash, sizeof hash - 1);
            in->bytes += bytes;
        }
        free(path);
    }
    sha256_hex(&all, in->sha256);
    file_list_release(&list);
    return rc;
}

static int input_add(Prep *p, const char *path, bool named, Err *e)
{
    if (p->input.n == INPUTS_MAX)
        return err_set(e, ERR_ARG, "more than %d input files; join them, or prepare them in parts", INPUTS_MAX);
    Input *in = vec_push(&p->input);
    in->path = mem_strdup(path);
    in->weight = 1;
    in->named = named;
    int rc = file_is_dir(path) ? hash_folder(in, e) : file_size(path, &in->bytes, e);
    if (!rc && !file_is_dir(path))
        rc = sha256_file(path, in->sha256, e);
    p->facts.bytes += in->bytes;
    return rc;
}

/* What `datasets` of Hugging Face (save_to_disk) notes beside its .arrow files is no data. */
static bool is_side_file(const FileList *folder, const char *name)
{
    static const char *const notes[] = { "dataset_info.json", "dataset_dict.json", "state.json" };
    bool note = false, arrow = !strcmp(name, "dataset_dict.json");
    for (size_t i = 0; i < ARRAY_LEN(notes); i++)
        note |= !strcmp(name, notes[i]);
    for (size_t i = 0; note && i < folder->n && !arrow; i++)
        arrow = str_ends(str_of(folder->name[i]), ".arrow");
    if (note && arrow)
        log_info("prep", "%s is what `datasets` notes about its files, and is passed over", name);
    return note && arrow;
}

static int input_walk(Prep *p, const char *path, int depth, Err *e)
{
    FileList list = { 0 };
    if (!file_is_dir(path) || salesforce_is(path))
        return input_add(p, path, depth == 0, e);
    if (depth > 32)
        return err_set(e, ERR_INPUT, "%s: folders are nested more than 32 deep", path);
    int rc = file_list(&list, path, e);
    for (size_t i = 0; i < list.n && !rc; i++) {
        if (list.name[i][0] == '.' || is_side_file(&list, list.name[i]))
            continue;
        char *child = path_join(path, list.name[i]);
        rc = input_walk(p, child, depth + 1, e);
        free(child);
    }
    file_list_release(&list);
    return rc;
}

/* --weights: one for each argument; the files of a folder share its weight. The largest is used whole. */
static int read_weights(Prep *p, const char *const *inputs, size_t n, Err *e)
{
    const char *rest = p->cfg.weights;
    double      w[256], most = 0;
    size_t      k = 0;
    Str         item;
    if (!rest || !*rest)
        return 0;
    while (cfg_list_each(&rest, &item)) {
        char *text = mem_strndup(item.p, item.n), *end;
        w[k] = strtod(text, &end);
        bool good = !*end && w[k] > 0 && w[k] < 1e9;
        free(text);
        if (!good || k == n || k == ARRAY_LEN(w) - 1)
            return err_set(e, ERR_ARG, "--weights \"%.*s\": give %zu numbers above 0, one for each input", (int)item.n, item.p, n);
        most = MAX(most, w[k]);
        k++;
    }
    if (k != n)
        return err_set(e, ERR_ARG, "--weights has %zu numbers and there are %zu inputs; give one for each", k, n);
    for (size_t i = 0; i < p->input.n; i++)
        for (size_t a = 0; a < n; a++)
            if (!strncmp(p->input.p[i].path, inputs[a], strlen(inputs[a])))
                p->input.p[i].weight = w[a] / most;
    return 0;
}

void prep_options_text(const Prep *p, StrBuf *out)
{
    static const char *const left_out[] = { "out:", "threads:", "teacher-requests:" };
    StrBuf all = { 0 };
    cfg_write_yaml(&all, prep_options, &p->cfg, false);
    for (size_t at = 0, end; at < all.n; at = end) {
        const char *lf = memchr(all.p + at, '\n', all.n - at);
        bool        kept = true;
        end = lf ? (size_t)(lf - all.p) + 1 : all.n;
        for (size_t i = 0; i < ARRAY_LEN(left_out); i++)
            kept &= !str_starts((Str){ all.p + at, end - at }, left_out[i]);
        if (kept)
            strbuf_add(out, all.p + at, end - at);
    }
    strbuf_release(&all);
}

/* What the work in the folder belongs to: options and the content of the inputs and of the list of what stays. */
static int command_hash(Prep *p, Err *e)
{
    Sha256 h;
    StrBuf text = { 0 };
    char   list[SHA256_HEX];
    if (p->cfg.pii_allow && *p->cfg.pii_allow) {
        const int rc = sha256_file(p->cfg.pii_allow, list, e);
        if (rc)
            return rc;
        strbuf_addf(&text, "%s\n", list);
    }
    prep_options_text(p, &text);
    for (size_t i = 0; i < p->input.n; i++)
        strbuf_addf(&text, "%s %s\n", p->input.p[i].sha256, p->input.p[i].path);
    sha256_init(&h);
    sha256_add(&h, text.p, text.n);
    sha256_hex(&h, p->command);
    strbuf_release(&text);
    return 0;
}

/* ---- the folder ------------------------------------------------------------------------------------------------------------------------------------ */

/* What a preparation writes below its folder. */
static const char *const written[] = { "decisions.jsonl", "removed.jsonl", "subjects.jsonl", "scores.jsonl", "control_random.jsonl", "control_longest.jsonl",
                                       "train.jsonl", "validation.jsonl", "test.jsonl", "manifest.json", "report.html", "measures.bin" };

/* work/ without what is in it, but for the answers that a teacher gave: they may have cost hours or money, and hang on few of the options. */
static void work_clear(const Prep *p)
{
    static const struct { const char *dir, *kept; } level[] = { { "work", "questions" }, { "work/questions", "answers.jsonl" } };
    bool any = false;
    for (size_t k = 0; k < ARRAY_LEN(level); k++) {
        char    *dir = prep_path(p, level[k].dir);
        FileList list = { 0 };
        if (file_is_dir(dir) && !file_list(&list, dir, NULL))
            for (size_t i = 0; i < list.n; i++) {
                char    *path = path_join(dir, list.name[i]);
                uint64_t size = 0;
                if (strcmp(list.name[i], level[k].kept))
                    dir_remove(path, NULL);
                else
                    any = k && !file_size(path, &size, NULL) && size;
                free(path);
            }
        file_list_release(&list);
        free(dir);
    }
    char *work = prep_path(p, "work");
    if (!any)
        dir_remove(work, NULL);
    free(work);
}

static void folder_clear(const Prep *p)
{
    work_clear(p);
    for (size_t i = 0; i < ARRAY_LEN(written); i++) {
        char *path = prep_path(p, written[i]);
        dir_remove(path, NULL);
        free(path);
    }
}

static void remove_key(const Prep *p) /* only where the folder was empty before: then it is this run's */
{
    char *key = prep_path(p, "pii.key");
    dir_remove(key, NULL);
    free(key);
}

/* After an error: a run that was refused takes away what it made, so that the next try finds no half of a folder; one that left no row says so in
 * work/failed. Hours of reading are never taken away for what a later stage found. */
static void folder_leave(const Prep *p, int rc)
{
    if (p->none_left) {
        char *work = prep_path(p, "work"), *failed = prep_path(p, "work/failed");
        if (p->fresh)
            remove_key(p);
        work_clear(p);
        if (!dir_make(work, NULL))
            file_write_atomic(failed, "", 0, NULL);
        free(failed);
        free(work);
    } else if (p->fresh && (rc == ERR_ARG || ((rc == ERR_INPUT || rc == ERR_WORK) && !p->rows.n))) {
        FileList list = { 0 };
        folder_clear(p);
        remove_key(p);
        if (p->new_folder && !file_list(&list, p->cfg.out, NULL) && !list.n)
            dir_remove(p->cfg.out, NULL);
        file_list_release(&list);
    }
}

static int folder_ready(Prep *p, bool *complete, Err *e)
{
    char *work = prep_path(p, "work"), *done = prep_path(p, "DONE"), *manifest = prep_path(p, "manifest.json"), *failed = prep_path(p, "work/failed"),
         *progress = prep_path(p, "work/progress.json");
    Json *j = NULL;
    int   rc = 0;
    *complete = file_exists(done);
    p->new_folder = !file_exists(p->cfg.out);
    if (!*complete && file_exists(failed)) {
        folder_clear(p);
        rc = dir_make(work, e);
    } else {
        p->fresh = !*complete && !file_exists(progress); /* answers of a teacher may be there */
    }
    if (!rc && *complete && !(rc = json_read_file(&j, manifest, e)) && !str_eqz(json_str(json_get(j, "command")), p->command))
        rc = err_set(e, ERR_ARG, "%s holds a finished data set made of other inputs or options; choose another --out, or remove the folder", p->cfg.out);
    if (!rc && !*complete && file_is_dir(p->cfg.out) && !file_is_dir(work)) {
        FileList list = { 0 };
        rc = file_list(&list, p->cfg.out, e);
        if (!rc && list.n)
            rc = err_set(e, ERR_ARG, "%s is no data folder and not empty; choose another --out", p->cfg.out);
        file_list_release(&list);
    }
    if (!rc && !*complete)
        rc = dir_make(work, e);
    else if (!rc && file_is_dir(work))
        dir_remove(work, NULL); /* its owner was killed between DONE and the end, or is just doing the same */
    json_free(j);
    free(work);
    free(done);
    free(manifest);
    free(failed);
    free(progress);
    return rc;
}

/* ---- the story ------------------------------------------------------------------------------------------------------------------------------------- */

static int prep_open(Prep *p, const char *const *inputs, size_t n, Err *e)
{
    const PrepCfg *c = &p->cfg;
    int            rc = prep_cfg_check(c, e);
    if (!rc && !n)
        rc = err_set(e, ERR_ARG, "no input: name files or folders, as in hone prep tickets.csv --out data");
    for (size_t i = 0; i < n && !rc; i++)
        rc = input_walk(p, inputs[i], 0, e);
    if (!rc && !p->input.n)
        rc = err_set(e, ERR_INPUT, "%s holds no files", inputs[0]);
    if (!rc)
        rc = read_weights(p, inputs, n, e);
    if (!rc)
        rc = import_new(&p->import, &(ImportOptions){ c->prompt, c->completion, c->system, c->text, c->roles }, e);
    return rc;
}

static void prep_close(Prep *p)
{
    passes_close(p);
    sets_release(&p->together);
    strbuf_release(&p->columns);
    strbuf_release(&p->first_why);
    strbuf_release(&p->first_lack);
    strbuf_release(&p->told);
    strbuf_release(&p->advice);
    import_free(p->import);
    for (size_t i = 0; i < p->input.n; i++) {
        free(p->input.p[i].path);
        free(p->input.p[i].made);
        free(p->input.p[i].made_note);
    }
    vec_release(&p->input);
    entries_close(&p->rows);
    pool_free(p->pool);
    cfg_release(prep_options, &p->cfg);
}

/* The caller's options live on; ours are a copy that the summary can be made of. */
static int copy_cfg(PrepCfg *to, const PrepCfg *from, Err *e)
{
    StrBuf text = { 0 };
    cfg_defaults(prep_options, to);
    cfg_write_yaml(&text, prep_options, from, false);
    int rc = cfg_parse_yaml(prep_options, to, strbuf_str(&text), "options", NULL, e);
    strbuf_release(&text);
    return rc;
}

int prep_run(const PrepCfg *cfg, const char *const *inputs, size_t n, const PrepHooks *hooks, PrepFacts *facts, Err *e)
{
    Prep   p = { .hooks = *hooks };
    bool   complete = false;
    int    lock = -1;
    double start = clock_seconds();
    char  *lock_name = NULL;
    int    rc = copy_cfg(&p.cfg, cfg, e);
    if (!rc)
        rc = prep_open(&p, inputs, n, e);
    if (rc)
        goto done;
    if ((rc = command_hash(&p, e)) || (rc = folder_ready(&p, &complete, e)))
        goto done;
    if (complete) {
        char *work = prep_path(&p, "work"); /* left by a kill between DONE and the end */
        if (!(rc = manifest_facts(&p, e)))
            rc = dir_remove(work, e);
        free(work);
        goto done;
    }
    lock_name = prep_path(&p, "work/lock");
    p.pool = pool_new((int)p.cfg.threads);
    if ((rc = lock_take(&lock, lock_name, e)) || (rc = passes_open(&p, e)) || (rc = questions(&p, e)) || (rc = intake(&p, e)) || (rc = settle(&p, e)) || (rc = semantic(&p, e)) || (rc = divide(&p, e)) ||
        (rc = rank(&p, e)) || (rc = write_out(&p, e)))
        goto done;
    p.facts.seconds = clock_seconds() - start;
    rc = manifest_write(&p, e);
done:
    if (rc && lock >= 0)
        folder_leave(&p, rc);
    *facts = p.facts;
    snprintf(facts->told, sizeof facts->told, "%s%s%s", strbuf_z(&p.told), p.told.n && p.advice.n ? "\n" : "", strbuf_z(&p.advice));
    lock_drop(&lock);
    free(lock_name);
    prep_close(&p);
    return rc;
}
