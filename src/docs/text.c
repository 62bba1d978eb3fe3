/* text.c - what is text already: plain text and Markdown stay as they are (character set and line ends apart), front matter between two lines "---"
 * becomes metadata; and XML of any kind, whose elements with text become paragraphs. */
#include "docs/doc_int.h"

#include <strings.h>

#define FRONT_MAX ((size_t)64 << 10)

int doc_parse_text(DocWork *w, Str bytes, Err *e)
{
    StrBuf out = { .max = work_room(w) };
    if (!charset_decode(&out, bytes, w->charset))
        work_note(w, "the character set %.40s is not known here; the text was read by its own look", w->charset);
    int rc = work_part(w, DOC_TEXT, &out, NULL, e, "%s", "");
    strbuf_release(&out);
    return rc;
}

/* The length of front matter with both its lines; 0: none. */
static size_t front_matter(Str s)
{
    if (!str_starts(s, "---\n"))
        return 0;
    for (size_t at = 4; at < MIN(s.n, FRONT_MAX);) {
        const char  *nl = memchr(s.p + at, '\n', s.n - at);
        const size_t n = nl ? (size_t)(nl - s.p) - at : s.n - at;
        if (n == 3 && (memcmp(s.p + at, "---", 3) == 0 || memcmp(s.p + at, "...", 3) == 0))
            return at + n + (nl != NULL);
        at += n + 1;
    }
    return 0;
}

/* Its lines "key: value"; deeper structure stays unread and is kept whole as front_matter. */
static void read_front(DocWork *w, Str front)
{
    DocOut *d = w->out;
    work_meta(w, "front_matter", (Str){ front.p + 4, front.n - 4 });
    for (size_t at = 4; at < front.n;) {
        const char *nl = memchr(front.p + at, '\n', front.n - at);
        const Str   line = { front.p + at, nl ? (size_t)(nl - front.p) - at : front.n - at };
        const char *colon = memchr(line.p, ':', line.n);
        at += line.n + 1;
        if (!colon || colon == line.p || *line.p == ' ' || *line.p == '#' || *line.p == '-')
            continue;
        const size_t n = (size_t)(colon - line.p);
        Str          value = { colon + 1, line.n - n - 1 };
        while (value.n && *value.p == ' ')
            value.p++, value.n--;
        while (value.n && value.p[value.n - 1] == ' ')
            value.n--;
        if (value.n > 1 && (*value.p == '"' || *value.p == '\'') && value.p[value.n - 1] == *value.p)
            value = (Str){ value.p + 1, value.n - 2 };
        const struct { const char *key; char **field; } fields[] = { { "title", &d->title }, { "author", &d->author }, { "date", &d->date } };
        for (size_t i = 0; i < ARRAY_LEN(fields); i++)
            if (n == strlen(fields[i].key) && strncasecmp(line.p, fields[i].key, n) == 0)
                work_field(w, fields[i].field, value);
    }
}

int doc_parse_markdown(DocWork *w, Str bytes, Err *e)
{
    StrBuf all = { .max = work_room(w) }, out = { 0 };
    if (!charset_decode(&all, bytes, w->charset))
        work_note(w, "the character set %.40s is not known here; the text was read by its own look", w->charset);
    const Str    s = strbuf_str(&all);
    size_t       from = front_matter(s);
    if (from)
        read_front(w, (Str){ s.p, from });
    while (from && from < s.n && s.p[from] == '\n')
        from++;
    strbuf_add(&out, s.p + from, s.n - from);
    for (size_t at = 0; at + 2 < out.n && !*w->out->title;) { /* the first "# " line */
        const char *nl = memchr(out.p + at, '\n', out.n - at);
        const Str   line = { out.p + at, nl ? (size_t)(nl - out.p) - at : out.n - at };
        if (str_starts(line, "# "))
            work_field(w, &w->out->title, (Str){ line.p + 2, line.n - 2 });
        at += line.n + 1;
    }
    out.over = all.over;
    int rc = work_part(w, DOC_MARKDOWN, &out, NULL, e, "%s", "");
    strbuf_release(&all);
    strbuf_release(&out);
    return rc;
}

int doc_parse_xml(DocWork *w, Str bytes, Err *e)
{
    StrBuf out = { .max = work_room(w) }, text = { .max = out.max }, flat = { 0 };
    Md     md = { .out = &out };
    Xml   *x = NULL;
    int    rc = xml_open(&x, bytes, "the XML file", true, e);
    while (!rc && (rc = xml_next(x, e)) > 0) {
        const bool chars = rc == XML_CHARS;
        rc = 0;
        if (chars) {
            const Str s = xml_chars(x);
            strbuf_add(&text, s.p, s.n);
            continue;
        }
        md_squeeze(&flat, strbuf_str(&text));
        md_para(&md, 0, strbuf_str(&flat));
        strbuf_clear(&flat);
        strbuf_clear(&text);
    }
    xml_close(x);
    out.over |= text.over;
    if (rc >= 0)
        rc = work_part(w, DOC_XML, &out, NULL, e, "%s", "");
    strbuf_release(&flat);
    strbuf_release(&text);
    strbuf_release(&out);
    return rc;
}
