/* dataset.c - the story of loading: each file, each row of it, through the gate, fitted to the length, kept.
 * Main struct: Loader, what is known while the files are read. Invariants: an example is copied into the set's arena only after the gate; its
 * first token is never a target; rows stand in the order of the files. Rows that are too long are all counted before the run is refused, because
 * "how many" decides what the user does about them. */
#include "data/data_int.h"
#include "base/log.h"

typedef struct Loader {
    DataSet           *d;
    size_t             cap;         /* of d->ex */
    const Tok         *tok;
    const DataOptions *opt;
    ChatOut            row;         /* the row in work; memory reused */
    int64_t            n_long, longest;
    StrBuf             first_long;  /* where the first row stands that is too long */
} Loader;

void dataset_add(DataSet *d, size_t *cap, Example x)
{
    BUG_ON(x.n < 1);
    size_t n = (size_t)x.n;
    int32_t *ids = arena_alloc(&d->arena, n * (sizeof *ids + 1));
    memcpy(ids, x.ids, n * sizeof *ids);
    uint8_t *train = memcpy(ids + n, x.train, n);
    train[0] = 0;
    x.ids = ids;
    x.train = train;
    x.n_train = 0;
    for (size_t i = 0; i < n; i++)
        x.n_train += train[i];
    d->ex = vec_grow_(d->ex, sizeof *d->ex, d->n, cap);
    d->ex[d->n++] = x;
}

/* rows: of JSONL those with an example, one for each raw text, and the ones left out. */
void dataset_count(DataSet *d)
{
    DataStats *s = &d->stats;
    *s = (DataStats){ .dropped_long = s->dropped_long, .cut_long = s->cut_long, .rows = s->dropped_long, .examples = (int64_t)d->n };
    const Example *before = NULL;
    for (const Example *x = d->ex; x < d->ex + d->n; before = x++) {
        bool raw = d->file[x->file].kind == DATA_RAW_TEXT;
        s->rows += !before || before->file != x->file || (!raw && before->line != x->line);
        s->tokens += x->n;
        s->trained_tokens += x->n_train;
        s->longest = MAX(s->longest, x->n);
    }
}

static Example example_of(Loader *l, size_t begin, size_t end, int32_t file, int64_t line)
{
    return (Example){ .ids = l->row.ids.p + begin, .train = l->row.mask.p + begin, .n = (int32_t)(end - begin), .file = file, .line = line };
}

/* Objective text: pieces of max_length that overlap by one token, so that each token but the first is a target exactly once. */
static void add_pieces(Loader *l, bool number_pieces, int32_t file, int64_t line)
{
    size_t n = l->row.ids.n, length = (size_t)l->opt->max_length;
    memset(l->row.mask.p, 1, n);
    for (size_t begin = 0; begin + 1 < n; begin += length - 1) {
        dataset_add(l->d, &l->cap, example_of(l, begin, MIN(begin + length, n), file, line));
        line += number_pieces;
    }
}

/* Leaves out tokens from the left, up to the first trained one at most; BOS stays in front. */
static int add_cut(Loader *l, int32_t file, int64_t line, const char *where, Err *e)
{
    int32_t *ids = l->row.ids.p;
    uint8_t *mask = l->row.mask.p;
    size_t n = l->row.ids.n, first = 1, bos = ids[0] == tok_bos(l->tok), length = (size_t)l->opt->max_length;
    while (!mask[first])
        first++;
    size_t least = n - first + 1; /* with BOS or one token of the prompt in front, from which the first target is predicted */
    if (least > length)
        return err_set(e, ERR_INPUT, "%s: from its first trained token on, the row needs %zu tokens, more than --max-length %zu, so cutting its prompt "
                                     "cannot make it fit; raise --max-length, shorten the row, or use --on-long drop", where, least, length);
    size_t begin = n - length;
    if (bos) {
        ids[begin] = ids[0];
        mask[begin] = 0;
    }
    l->d->stats.cut_long++;
    dataset_add(l->d, &l->cap, example_of(l, begin, n, file, line));
    return 0;
}

static int add_row(Loader *l, int32_t file, int64_t line, const char *where, Err *e)
{
    size_t n = l->row.ids.n;
    if (l->opt->objective == OBJECTIVE_TEXT)
        add_pieces(l, false, file, line);
    else if (n <= (size_t)l->opt->max_length)
        dataset_add(l->d, &l->cap, example_of(l, 0, n, file, line));
    else if (l->opt->on_long == LONG_CUT_PROMPT)
        return add_cut(l, file, line, where, e);
    else {
        if (!l->n_long++)
            strbuf_addz(&l->first_long, where);
        l->longest = MAX(l->longest, (int64_t)n);
    }
    return 0;
}

static int load_rows(Loader *l, RowReader *r, int32_t file, Err *e)
{
    Json *row = NULL;
    int rc;
    while ((rc = rows_next(r, &row, e)) == 1) {
        const char *where = strbuf_z(&r->where);
        rc = encode_row(row, r->kind, l->tok, l->opt, where, &l->row, e);
        if (!rc)
            rc = encode_check(&l->row, r->kind, l->tok, l->opt, where, e);
        if (!rc)
            rc = add_row(l, file, r->line, where, e);
        json_free(row);
        if (rc)
            break;
    }
    return rc;
}

static int load_file(Loader *l, const DataPath *in, int32_t file, Err *e)
{
    DataFile *f = &l->d->file[file];
    RowReader r;
    Sha256 hash;
    sha256_init(&hash);
    sha256_add(&hash, in->text.p, in->text.n);
    sha256_hex(&hash, f->sha256);

    int rc = rows_open(&r, in->text, in->name, e);
    f->kind = r.kind;
    if (!rc)
        rc = encode_possible(r.kind, l->tok, l->opt, in->name, e);
    if (!rc && r.kind != DATA_RAW_TEXT)
        rc = load_rows(l, &r, file, e);
    else if (!rc) {
        chat_out_clear(&l->row);
        rc = encode_text(r.text, false, l->tok, in->name, &l->row, e);
        if (!rc)
            rc = encode_check(&l->row, r.kind, l->tok, l->opt, in->name, e);
        if (!rc)
            add_pieces(l, true, file, 1);
    }
    rows_close(&r);
    return rc;
}

/* What to do about rows that were too long, once all of them are known. */
static int settle_long(Loader *l, Err *e)
{
    if (!l->n_long)
        return 0;
    long long n_rows = l->n_long + (long long)l->d->n, n_long = l->n_long, max = l->opt->max_length;
    if (l->opt->on_long == LONG_FAIL)
        return err_set(e, ERR_INPUT, "%s: the row is longer than --max-length %lld tokens; %lld of %lld rows are, the longest has %lld; raise "
                                     "--max-length, or use --on-long drop (leave them out) or --on-long cut-prompt (shorten the beginning of their prompts)",
                       strbuf_z(&l->first_long), max, n_long, n_rows, (long long)l->longest);
    if (!l->d->n)
        return err_set(e, ERR_INPUT, "%s: this row and all others are longer than --max-length %lld tokens, so --on-long drop leaves nothing to "
                                     "train on; raise --max-length (the longest row has %lld)", strbuf_z(&l->first_long), max, (long long)l->longest);
    l->d->stats.dropped_long = n_long;
    log_warn("data", "%lld of %lld rows are longer than %lld tokens and are left out, the first at %s", n_long, n_rows, max, strbuf_z(&l->first_long));
    return 0;
}

int dataset_load_memory(DataSet **out, const DataPath *file, size_t n, const Tok *tok, const DataOptions *opt, Err *e)
{
    BUG_ON(opt->max_length < 2);
    DataSet *d = mem_zalloc(1, sizeof *d);
    Loader l = { .d = d, .tok = tok, .opt = opt };
    int rc = 0;
    *out = NULL;
    d->file = arena_zalloc(&d->arena, n, sizeof *d->file);
    for (; !rc && d->n_files < n; d->n_files++) {
        d->file[d->n_files].path = arena_strdup(&d->arena, file[d->n_files].name);
        rc = load_file(&l, &file[d->n_files], (int32_t)d->n_files, e);
    }
    if (!rc)
        rc = settle_long(&l, e);
    if (!rc) {
        BUG_ON(!d->n); /* an empty file and a row without targets have been refused by name */
        dataset_count(d);
        *out = d;
        d = NULL;
    }
    chat_out_release(&l.row);
    strbuf_release(&l.first_long);
    dataset_free(d);
    return rc;
}

int dataset_load(DataSet **out, const char *files, const Tok *tok, const DataOptions *opt, Err *e)
{
    char *names = mem_strdup(files), *rest = names, *name;
    VEC(FileMap) map = { 0 };
    VEC(DataPath) path = { 0 };
    int rc = 0;
    *out = NULL;
    while (!rc && (name = strsep(&rest, ","))) {
        if (!*name)
            rc = err_set(e, ERR_ARG, "--data \"%s\": a file name is empty; expected are paths joined by single commas", files);
        else if (map.n == DATA_FILES_MAX)
            rc = err_set(e, ERR_ARG, "--data names more than %d files; join some of them", DATA_FILES_MAX);
        else
            rc = file_map(vec_push(&map), name, e);
        if (!rc)
            *vec_push(&path) = (DataPath){ name, { (const char *)map.p[map.n - 1].p, map.p[map.n - 1].n } };
    }
    if (!rc)
        rc = dataset_load_memory(out, path.p, path.n, tok, opt, e);
    for (size_t i = 0; i < path.n; i++)
        file_unmap(&map.p[i]);
    vec_release(&map);
    vec_release(&path);
    free(names);
    return rc;
}

void dataset_free(DataSet *d)
{
    if (!d)
        return;
    free(d->ex);
    arena_release(&d->arena);
    free(d);
}
