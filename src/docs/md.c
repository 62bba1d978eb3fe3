/* md.c - writing light Markdown: blocks with one blank line between them, items of a list on lines of their own, pipe tables.
 * Text is not escaped, except for | in tables: it is read by people and models, not by a renderer. */
#include "docs/doc_int.h"

#include "base/mem.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

void md_squeeze(StrBuf *out, Str s)
{
    const size_t from = out->n;
    bool         gap = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.n - i > 1 && s.p[i] == '\xc2' && s.p[i + 1] == '\xa0') { /* no-break space */
            gap = true;
            i++;
        } else if (is_blank(s.p[i])) {
            gap = true;
        } else if (s.p[i] == '\v') {
            if (out->n > from && out->p[out->n - 1] != '\n')
                strbuf_addc(out, '\n');
            gap = false;
        } else {
            if (gap && out->n > from && out->p[out->n - 1] != '\n')
                strbuf_addc(out, ' ');
            gap = false;
            strbuf_addc(out, s.p[i]);
        }
    }
    while (out->n > from && out->p[out->n - 1] == '\n')
        out->p[--out->n] = '\0';
}

static void begin(Md *m, bool item)
{
    if (m->out->n)
        strbuf_addz(m->out, item && m->in_list ? "\n" : "\n\n");
    m->in_list = item;
}

static Str trim(Str s)
{
    while (s.n && (is_blank(s.p[0]) || s.p[0] == '\v'))
        s.p++, s.n--;
    while (s.n && (is_blank(s.p[s.n - 1]) || s.p[s.n - 1] == '\v'))
        s.n--;
    return s;
}

void md_para(Md *m, int heading, Str text)
{
    text = trim(text);
    if (!text.n)
        return;
    begin(m, false);
    if (!heading) {
        strbuf_add(m->out, text.p, text.n);
        return;
    }
    strbuf_add(m->out, "######", (size_t)MIN(heading, 6));
    strbuf_addc(m->out, ' ');
    for (size_t i = 0; i < text.n; i++) /* a heading is one line */
        strbuf_addc(m->out, text.p[i] == '\n' ? ' ' : text.p[i]);
}

void md_item(Md *m, int level, const char *marker, Str text)
{
    text = trim(text);
    if (!text.n)
        return;
    begin(m, true);
    const int indent = 2 * MIN(level, 9);
    strbuf_addf(m->out, "%*s%s ", indent, "", marker);
    for (size_t i = 0; i < text.n; i++) {
        strbuf_addc(m->out, text.p[i]);
        if (text.p[i] == '\n')
            strbuf_addf(m->out, "%*s", indent + 2, "");
    }
}

void md_code(Md *m, Str text)
{
    while (text.n && text.p[text.n - 1] == '\n')
        text.n--;
    if (!text.n)
        return;
    begin(m, false);
    strbuf_addz(m->out, "```\n");
    strbuf_add(m->out, text.p, text.n);
    strbuf_addz(m->out, "\n```");
}

void md_break(Md *m)
{
    if (!m->out->n)
        return;
    begin(m, false);
    strbuf_addc(m->out, '\f');
}

void table_row(MdTable *t)
{
    *vec_push(&t->row) = t->cell.n;
}

void table_cell(MdTable *t, Str text)
{
    if (!t->row.n)
        table_row(t);
    StrBuf flat = { 0 };
    md_squeeze(&flat, text);
    *vec_push(&t->cell) = flat.n ? strbuf_take(&flat) : NULL;
    strbuf_release(&flat);
}

static void put_cell(StrBuf *out, const char *text)
{
    strbuf_addc(out, ' ');
    for (const char *p = text ? text : ""; *p; p++) {
        if (*p == '|')
            strbuf_addc(out, '\\');
        strbuf_addc(out, *p == '\n' ? ' ' : *p);
    }
    strbuf_addz(out, text ? " |" : "|");
}

void md_table(Md *m, const MdTable *t)
{
    size_t width = 0, columns = 0, rows = 0, last = 0;
    for (size_t r = 0; r < t->row.n; r++)
        width = MAX(width, (r + 1 < t->row.n ? t->row.p[r + 1] : t->cell.n) - t->row.p[r]);
    bool *used = mem_zalloc(width + 1, sizeof *used);
    for (size_t r = 0; r < t->row.n; r++) {
        const size_t end = r + 1 < t->row.n ? t->row.p[r + 1] : t->cell.n;
        bool         any = false;
        for (size_t i = t->row.p[r]; i < end; i++)
            if (t->cell.p[i]) {
                columns += !used[i - t->row.p[r]];
                used[i - t->row.p[r]] = any = true;
                last = i;
            }
        rows += any;
    }
    if (rows == 1 && columns == 1) {
        md_para(m, 0, str_of(t->cell.p[last]));
        rows = 0;
    }
    bool head = rows > 0;
    if (head)
        begin(m, false);
    for (size_t r = 0; r < t->row.n && rows && !m->out->over; r++) {
        const size_t from = t->row.p[r], n = (r + 1 < t->row.n ? t->row.p[r + 1] : t->cell.n) - from;
        bool         any = false;
        for (size_t i = 0; i < n; i++)
            any |= t->cell.p[from + i] != NULL;
        if (!any)
            continue;
        if (!head)
            strbuf_addc(m->out, '\n');
        strbuf_addc(m->out, '|');
        for (size_t i = 0; i < width && !m->out->over; i++)
            if (used[i])
                put_cell(m->out, i < n ? t->cell.p[from + i] : NULL);
        if (head) {
            strbuf_addz(m->out, "\n|");
            for (size_t i = 0; i < columns; i++)
                strbuf_addz(m->out, " --- |");
        }
        head = false;
    }
    free(used);
}

void table_clear(MdTable *t)
{
    for (size_t i = 0; i < t->cell.n; i++)
        free(t->cell.p[i]);
    vec_clear(&t->cell);
    vec_clear(&t->row);
}

void table_release(MdTable *t)
{
    table_clear(t);
    vec_release(&t->cell);
    vec_release(&t->row);
}
