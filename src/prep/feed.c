/* feed.c - see feed.h. */
#include "prep/feed.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "docs/doc.h"
#include "prep/mail_threads.h"
#include "prep/salesforce.h"
#include "prep/slack.h"

typedef struct Note { char *text, *where; } Note;

struct Feed {
    Table      *table;      /* or: */
    VEC(Json *) ready;      /* or these; owned */
    VEC(const char *) unanswered; /* [ready] of a mailbox, else empty: FeedItem.unanswered */
    VEC(char *) cut;        /* the same of FeedItem.cut; owned */
    size_t      at;         /* in ready */
    VEC(char *) lost;       /* sentences about parts that could not be read: given as errors before the rows */
    size_t      told;       /* of these */
    TableItem  *item;       /* the table's, [item_cap] */
    size_t      item_cap;
    VEC(Note)   note;
    bool        noted;      /* those of the table are there */
    char       *path;
    const char *nothing;    /* why the file has no row; NULL: it may have some */
};

static void note_add(Feed *f, const char *where, const char *text) { *vec_push(&f->note) = (Note){ mem_strdup(text), mem_strdup(where) }; }

/* ---- documents ------------------------------------------------------------------------------------------------------------------------------------- */

static void set_text(Json *row, const char *key, const char *value)
{
    if (value && *value)
        json_set(row, key, json_str_new(str_of(value)));
}

static void part_rows(Feed *f, const DocOut *d)
{
    for (size_t i = 0; i < d->part.n; i++) {
        const DocPart *p = &d->part.p[i];
        if (!p->n)
            continue;
        Json *row = json_obj_new(), *meta = NULL;
        json_set(row, "text", json_str_new((Str){ p->text, p->n }));
        set_text(row, "title", d->title);
        set_text(row, "author", d->author);
        set_text(row, "date", d->date);
        set_text(row, "part", p->name);
        if (!json_parse(&meta, str_of(p->meta ? p->meta : "{}"), "part", NULL) && json_len(meta))
            json_set(row, "document", meta);
        else
            json_free(meta);
        *vec_push(&f->ready) = row;
    }
}

static void mail_rows(Feed *f, const DocOut *d)
{
    static const char *const why[] = { [MAIL_TALK] = NULL, [MAIL_UNANSWERED] = "a mail that nobody answered (--unanswered drop)",
                                       [MAIL_ATTACHMENT] = "an attachment of a mail, which is no conversation (--unanswered drop)" };
    MailRows rows = { 0 };
    mail_threads(d, &rows);
    for (size_t i = 0; i < rows.n; i++) {
        *vec_push(&f->ready) = rows.p[i].row;
        *vec_push(&f->unanswered) = why[rows.p[i].kind];
        *vec_push(&f->cut) = rows.p[i].cut;
    }
    vec_release(&rows);
}

static int open_document(Feed *f, Err *e)
{
    DocOut d = { 0 };
    int    rc = doc_to_text(f->path, NULL, &d, e);
    if (rc)
        return rc;
    if (d.kind == DOC_MAIL || d.kind == DOC_MBOX)
        mail_rows(f, &d);
    else
        part_rows(f, &d);
    for (size_t i = 0; i < d.note.n; i++)
        note_add(f, f->path, d.note.p[i]);
    note_add(f, f->path, doc_kind_name(d.kind));
    doc_release(&d);
    return 0;
}

typedef enum { INPUT_TABLE, INPUT_DOCUMENT, INPUT_SALESFORCE, INPUT_NOTHING } InputKind;

static const char *holds_nothing(Str s)
{
    size_t i = 0;
    while (i < s.n && strchr(" \t\r\n", s.p[i]) && s.p[i])
        i++;
    return !s.n ? "is empty (0 bytes)" : i == s.n ? "holds only white space" : NULL;
}

static int kind_of_file(Feed *f, InputKind *kind, Err *e)
{
    FileMap map = { 0 };
    *kind = INPUT_SALESFORCE; /* the only folder that is one input */
    if (file_is_dir(f->path))
        return 0;
    int     rc = file_map(&map, f->path, e);
    Str     bytes = { (const char *)map.p, map.n };
    f->nothing = rc ? NULL : holds_nothing(bytes);
    *kind = rc ? INPUT_TABLE : f->nothing ? INPUT_NOTHING : doc_is_document(bytes) ? INPUT_DOCUMENT : INPUT_TABLE;
    file_unmap(&map);
    return rc;
}

const char *feed_nothing(const Feed *f)
{
    if (f->nothing)
        return f->nothing;
    const size_t members = f->table ? table_members(f->table) : 0;
    const TableMember *m = members == 1 ? table_member(f->table, 0) : NULL;
    return m && (m->kind == TABLE_CSV || m->kind == TABLE_TSV) && m->csv.header ? "has a header and no row below it" : "holds no rows";
}

/* ---- opening --------------------------------------------------------------------------------------------------------------------------------------- */

static int open_slack(Feed *f, bool *is, Err *e)
{
    SlackRows s = { 0 };
    int       rc = slack_read(f->path, is, &s, e);
    for (size_t i = 0; i < s.row.n; i++)
        *vec_push(&f->ready) = json_ref(s.row.p[i]);
    for (size_t i = 0; i < s.note.n; i++)
        note_add(f, f->path, s.note.p[i]);
    for (size_t i = 0; i < s.lost.n; i++)
        *vec_push(&f->lost) = mem_strdup(s.lost.p[i]);
    slack_release(&s);
    return rc;
}

static int open_salesforce(Feed *f, Err *e)
{
    StrBuf note = { 0 };
    int    rc = salesforce_read(f->path, &f->ready.p, &f->ready.n, &f->ready.cap, &note, e);
    note_add(f, f->path, "a Salesforce export");
    if (note.n)
        note_add(f, f->path, strbuf_z(&note));
    strbuf_release(&note);
    return rc;
}

int feed_open(Feed **out, const char *path, const TableOptions *o, Err *e)
{
    Feed     *f = mem_zalloc(1, sizeof *f);
    InputKind kind;
    bool      slack = false;
    f->path = mem_strdup(path);
    int rc = kind_of_file(f, &kind, e);
    if (!rc && kind == INPUT_SALESFORCE)
        rc = open_salesforce(f, e);
    else if (!rc && kind == INPUT_DOCUMENT)
        rc = open_document(f, e);
    else if (!rc && str_ends(str_of(path), ".zip"))
        rc = open_slack(f, &slack, e);
    if (!rc && kind == INPUT_TABLE && !slack)
        rc = table_open(&f->table, path, o, e);
    if (rc) {
        feed_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

void feed_close(Feed *f)
{
    if (!f)
        return;
    table_close(f->table);
    for (size_t i = 0; i < f->ready.n; i++)
        json_free(f->ready.p[i]);
    for (size_t i = 0; i < f->note.n; i++) {
        free(f->note.p[i].text);
        free(f->note.p[i].where);
    }
    for (size_t i = 0; i < f->lost.n; i++)
        free(f->lost.p[i]);
    vec_release(&f->lost);
    vec_release(&f->ready);
    for (size_t i = 0; i < f->cut.n; i++)
        free(f->cut.p[i]);
    vec_release(&f->cut);
    vec_release(&f->unanswered);
    vec_release(&f->note);
    free(f->item);
    free(f->path);
    free(f);
}

/* ---- reading --------------------------------------------------------------------------------------------------------------------------------------- */

static int read_table(Feed *f, FeedItem *items, size_t max_items, size_t max_bytes, size_t *n, Err *e)
{
    if (f->item_cap < max_items) {
        f->item = mem_realloc(f->item, max_items, sizeof *f->item);
        f->item_cap = max_items;
    }
    int rc = table_read(f->table, f->item, max_items, max_bytes, n, e);
    for (size_t i = 0; i < *n && !rc; i++)
        items[i] = (FeedItem){ .item = f->item[i] };
    return rc;
}

int feed_read(Feed *f, FeedItem *items, size_t max_items, size_t max_bytes, size_t *n, Err *e)
{
    if (f->table)
        return read_table(f, items, max_items, max_bytes, n, e);
    *n = 0;
    if (f->told < f->lost.n)
        return err_set(e, ERR_INPUT, "%s", f->lost.p[f->told++]);
    for (; *n < max_items && f->at < f->ready.n; f->at++) {
        int64_t number = (int64_t)f->at + 1;
        items[(*n)++] = (FeedItem){ { .at = { .row = number, .line = number } }, f->ready.p[f->at], f->cut.n ? f->cut.p[f->at] : NULL, f->unanswered.n ? f->unanswered.p[f->at] : NULL };
    }
    return 0;
}

bool feed_refused(const Feed *f, const FeedItem *item)
{
    return f->table && item->item.bad && !item->item.at.row && !*table_member(f->table, item->item.at.member)->name;
}

bool feed_has_columns(const Feed *f)
{
    const char *const *names;
    return f->table && table_columns(f->table, &names) > 0 && !*table_member(f->table, 0)->name;
}

bool feed_ready(const FeedItem *item) { return item->row; }

void feed_first_row(const char *path, const TableOptions *o, Json **row, int64_t *line)
{
    Table    *t = NULL;
    TableItem item = { 0 };
    size_t    n = 0;
    *row = NULL;
    if (!(str_ends(str_of(path), ".csv") || str_ends(str_of(path), ".tsv")) || file_is_dir(path) || table_open(&t, path, o, NULL))
        return;
    if (!table_read(t, &item, 1, 1, &n, NULL) && n && !item.bad && !table_parse(t, &item, row, NULL))
        *line = item.at.line;
    table_close(t);
}

const char *feed_where(const Feed *f, uint32_t member) { return f->table && member < table_members(f->table) ? table_member(f->table, member)->where : f->path; }

/* A ready-made row is copied through its text: the import takes rows apart, and going on after a stop needs them again. */
int feed_parse(const Feed *f, const FeedItem *item, Json **row, Err *e)
{
    if (!item->row)
        return table_parse(f->table, &item->item, row, e);
    StrBuf text = { 0 };
    json_write(&text, item->row, false);
    int rc = json_parse(row, strbuf_str(&text), f->path, e);
    strbuf_release(&text);
    return rc;
}

TablePlace feed_place(const Feed *f)
{
    int64_t row = (int64_t)f->at + 1;
    return f->table ? table_place(f->table) : (TablePlace){ .row = row, .line = row };
}

/* Reads on instead of jumping, so that what the reader knows of the whole file (encodings, numbers of rows) is the same as without the stop. */
static int skip_rows(Feed *f, const TablePlace *at, Err *e)
{
    TableItem  item[256];
    TablePlace now = table_place(f->table);
    size_t     n = 1;
    int        rc = 0;
    while (!rc && n && (now.member < at->member || (now.member == at->member && now.row < at->row))) {
        size_t left = now.member == at->member ? (size_t)(at->row - now.row) : 1; /* a member ends where it ends */
        Err skipped = { 0 };
        rc = table_read(f->table, item, MIN(left, ARRAY_LEN(item)), (size_t)8 << 20, &n, &skipped);
        if (rc == ERR_INPUT) { /* a part that cannot be read was told of when it was met first */
            rc = 0;
            n = 1;
        } else if (rc) {
            err_set(e, rc, "%s", skipped.text);
        }
        now = table_place(f->table);
    }
    if (!rc && (now.member != at->member || now.row != at->row))
        rc = err_set(e, ERR_INPUT, "%s has no row %lld any more; it has changed since the preparation was stopped", f->path, (long long)at->row);
    return rc;
}

int feed_seek(Feed *f, const TablePlace *at, Err *e)
{
    if (f->table)
        return skip_rows(f, at, e);
    if (at->row < 1 || (size_t)at->row > f->ready.n + 1)
        return err_set(e, ERR_INPUT, "%s: there is no row %lld any more", f->path, (long long)at->row);
    f->at = (size_t)at->row - 1;
    f->told = f->at ? f->lost.n : 0;
    return 0;
}

void feed_progress(const Feed *f, uint64_t *done, uint64_t *total)
{
    *done = f->at;
    *total = f->ready.n;
    if (f->table)
        table_progress(f->table, done, total);
}

/* ---- notes ----------------------------------------------------------------------------------------------------------------------------------------- */

static void note_member(Feed *f, const TableMember *m)
{
    StrBuf text = { 0 };
    if (!m->rows) /* its own error, or that it is empty, is told elsewhere */
        return;
    strbuf_addf(&text, "%s, %lld rows", table_kind_name(m->kind), (long long)m->rows);
    if (m->kind != TABLE_PARQUET && m->kind != TABLE_ARROW)
        strbuf_addf(&text, ", %s%s", m->encoding.name, m->encoding.guessed ? " (guessed from its letters)" : "");
    if (m->encoding.converted.count && m->encoding.utf8)
        strbuf_addf(&text, "; encodings are mixed: %llu lines are not UTF-8 (the first: line %lld)", (unsigned long long)m->encoding.converted.count,
                    (long long)m->encoding.converted.first[0]);
    if (m->encoding.unsure && m->encoding.rival)
        strbuf_addf(&text, "; %s would read it nearly as well, so look at the texts and give --encoding where letters are wrong", m->encoding.rival);
    else if (m->encoding.unsure)
        strbuf_addz(&text, "; the letters fit no known language well, so look at the texts and give --encoding");
    if (m->misread)
        strbuf_addf(&text, "; %lld rows are UTF-8, and reading them as %s makes letters into others (the first: line %lld): without --encoding each line is read as what it is",
                    (long long)m->misread, m->encoding.name, (long long)m->encoding.misread.first[0]);
    if (m->kind == TABLE_CSV && !m->csv.header_sure)
        strbuf_addf(&text, "; the first row is taken %s (--header yes or no decides)", m->csv.header ? "as the names of the columns" : "as data");
    note_add(f, m->where, strbuf_z(&text));
    strbuf_release(&text);
}

const char *feed_note(Feed *f, size_t i, const char **where)
{
    for (size_t m = 0; f->table && !f->noted && m < table_members(f->table); m++)
        note_member(f, table_member(f->table, m));
    f->noted = true;
    if (i >= f->note.n)
        return NULL;
    *where = f->note.p[i].where;
    return f->note.p[i].text;
}
