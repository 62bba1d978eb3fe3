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
    LongRows           too_long;
} Loader;

/* Rows of one stretch of a file, through the gate and fitted. Several are in work at once; their examples join the set in the order of the file. */
typedef struct Part {
    const Loader *l;                /* read only */
    RowReader     rows;
    ChatOut       row;              /* the row in work; memory reused */
    DataSet       d;
    size_t        cap;
    LongRows      too_long;
    int           rc;
    Err           err;              /* of the first bad row; what stands behind it was not looked at */
} Part;

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

static void keep(Part *p, size_t begin, size_t end, int64_t line)
{
    dataset_add(&p->d, &p->cap, (Example){ .ids = p->row.ids.p + begin, .train = p->row.mask.p + begin, .n = (int32_t)(end - begin), .line = line });
}

/* Objective text: pieces of max_length that overlap by one token, so that each token but the first is a target exactly once. */
static void keep_pieces(Part *p, bool number_pieces, int64_t line)
{
    size_t n = p->row.ids.n, length = (size_t)p->l->opt->max_length;
    memset(p->row.mask.p, 1, n);
    for (size_t begin = 0; begin + 1 < n; begin += length - 1) {
        keep(p, begin, MIN(begin + length, n), line);
        line += number_pieces;
    }
}

/* Leaves out tokens from the left, up to the first trained one at most; BOS stays in front. */
static int keep_cut(Part *p, int64_t line, const char *where, Err *e)
{
    int32_t *ids = p->row.ids.p;
    uint8_t *mask = p->row.mask.p;
    size_t n = p->row.ids.n, first = 1, bos = ids[0] == tok_bos(p->l->tok), length = (size_t)p->l->opt->max_length;
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
    p->too_long.n_cut++;
    keep(p, begin, n, line);
    return 0;
}

static int keep_row(Part *p, int64_t line, const char *where, Err *e)
{
    size_t n = p->row.ids.n;
    if (p->l->opt->objective == OBJECTIVE_TEXT)
        keep_pieces(p, false, line);
    else if (n <= (size_t)p->l->opt->max_length)
        keep(p, 0, n, line);
    else if (p->l->opt->on_long == LONG_CUT_PROMPT)
        return keep_cut(p, line, where, e);
    else {
        if (!p->too_long.n++) {
            p->too_long.first = line;
            p->too_long.in_array = p->rows.array;
        }
        p->too_long.longest = MAX(p->too_long.longest, (int64_t)n);
    }
    return 0;
}

static void read_part(void *ctx, int64_t piece, int worker)
{
    Part         *p = (Part *)ctx + piece;
    const Loader *l = p->l;
    Err          *e = &p->err;
    Json         *row = NULL;
    int           rc;
    (void)worker;
    while ((rc = rows_next(&p->rows, &row, e)) == 1) {
        const char *where = strbuf_z(&p->rows.where);
        rc = encode_row(row, p->rows.kind, l->tok, l->opt, where, &p->row, e);
        if (!rc)
            rc = encode_check(&p->row, p->rows.kind, l->tok, l->opt, where, e);
        if (!rc)
            rc = keep_row(p, p->rows.line, where, e);
        json_free(row);
        if (rc)
            break;
    }
    p->rc = rc;
}

static void add_long(LongRows *to, const LongRows *from, int32_t file)
{
    if (!to->n) {
        to->file = file;
        to->first = from->first;
        to->in_array = from->in_array;
    }
    to->n += from->n;
    to->longest = MAX(to->longest, from->longest);
    to->n_cut += from->n_cut;
}

/* What a part kept goes into the set; then the part is empty again, and what it held can be used for the next. */
static int join_part(Loader *l, Part *p, LongRows *too_long, int32_t file, Err *e)
{
    for (size_t i = 0; i < p->d.n && !p->rc; i++) {
        p->d.ex[i].file = file;
        dataset_add(l->d, &l->cap, p->d.ex[i]);
    }
    add_long(too_long, &p->too_long, file);
    p->too_long = (LongRows){ 0 };
    p->d.n = 0;
    arena_rewind(&p->d.arena, (ArenaMark){ 0 });
    if (p->rc && e)
        *e = p->err;
    return p->rc;
}

static void part_release(Part *p)
{
    chat_out_release(&p->row);
    free(p->d.ex);
    arena_release(&p->d.arena);
}

#define PARTS 64 /* in work at once: enough for many threads, and not much memory */

static int load_rows(Loader *l, const RowReader *r, LongRows *too_long, int32_t file, Err *e)
{
    Part   *part = mem_zalloc(PARTS, sizeof *part);
    RowMark from = { 0 };
    int     n, rc = 0;
    do {
        for (n = 0; n < PARTS && rows_part(&part[n].rows, r, &from); n++)
            part[n].l = l;
        parallel_for(l->opt->pool, n, read_part, part);
        for (int i = 0; i < n; i++) {
            rc = rc ? rc : join_part(l, &part[i], too_long, file, e);
            rows_close(&part[i].rows);
        }
    } while (!rc && n == PARTS);
    for (int i = 0; i < PARTS; i++)
        part_release(&part[i]);
    free(part);
    return rc;
}

static int load_text(Loader *l, const RowReader *r, LongRows *too_long, int32_t file, Err *e)
{
    Part p = { .l = l };
    int  rc = encode_text(r->text, false, l->tok, r->name, &p.row, e);
    if (!rc)
        rc = encode_check(&p.row, r->kind, l->tok, l->opt, r->name, e);
    if (!rc)
        keep_pieces(&p, true, 1);
    if (!rc)
        rc = join_part(l, &p, too_long, file, e);
    part_release(&p);
    return rc;
}

static int read_file(Loader *l, const DataPath *in, LongRows *too_long, int32_t file, Err *e)
{
    RowReader r;
    int       rc = rows_open(&r, in->text, in->name, e);
    l->d->file[file].kind = r.kind;
    if (!rc)
        rc = encode_possible(r.kind, l->tok, l->opt, in->name, e);
    if (!rc)
        rc = r.kind == DATA_RAW_TEXT ? load_text(l, &r, too_long, file, e) : load_rows(l, &r, too_long, file, e);
    rows_close(&r);
    return rc;
}

static int load_file(Loader *l, const DataPath *in, int32_t file, Err *e)
{
    DataSet     *d = l->d;
    DataFile    *f = &d->file[file];
    const size_t before = d->n;
    LongRows     too_long = { 0 };
    const bool   kept = l->opt->keep_from && in->text.n >= l->opt->keep_from;
    char         key[SHA256_HEX];
    Sha256       hash;
    int          rc = 0;
    sha256_init(&hash);
    sha256_add(&hash, in->text.p, in->text.n);
    sha256_hex(&hash, f->sha256);
    if (kept)
        tokens_key(key, f->sha256, l->tok, l->opt);
    if (!kept || !tokens_read(d, &l->cap, &too_long, file, key, l->opt)) {
        rc = read_file(l, in, &too_long, file, e);
        if (!rc && kept)
            tokens_write(d, before, &too_long, file, key);
    }
    add_long(&l->too_long, &too_long, file);
    return rc;
}

/* What to do about rows that were too long, once all of them are known. */
static int settle_long(Loader *l, Err *e)
{
    const LongRows *x = &l->too_long;
    StrBuf          first = { 0 };
    const long long n_rows = x->n + (long long)l->d->n, n_long = x->n, max = l->opt->max_length;
    int             rc = 0;
    l->d->stats.cut_long = x->n_cut;
    if (!n_long)
        return 0;
    strbuf_addf(&first, ROW_PLACE, l->d->file[x->file].path, x->in_array ? "row" : "line", (long long)x->first);
    if (l->opt->on_long == LONG_FAIL) {
        rc = err_set(e, ERR_INPUT, "%s: the row is longer than --max-length %lld tokens; %lld of %lld rows are, the longest has %lld; raise "
                                   "--max-length, or use --on-long drop (leave them out) or --on-long cut-prompt (shorten the beginning of their prompts)",
                     strbuf_z(&first), max, n_long, n_rows, (long long)x->longest);
    } else if (!l->d->n) {
        rc = err_set(e, ERR_INPUT, "%s: this row and all others are longer than --max-length %lld tokens, so --on-long drop leaves nothing to "
                                   "train on; raise --max-length (the longest row has %lld)", strbuf_z(&first), max, (long long)x->longest);
    } else {
        l->d->stats.dropped_long = n_long;
        log_warn("data", "%lld of %lld rows are longer than %lld tokens and are left out, the first at %s", n_long, n_rows, max, strbuf_z(&first));
    }
    strbuf_release(&first);
    return rc;
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
    for (size_t i = 0; i < d->n_maps; i++)
        file_unmap(&d->map[i]);
    free(d->map);
    arena_release(&d->arena);
    free(d);
}
