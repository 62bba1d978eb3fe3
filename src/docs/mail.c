/* mail.c - messages (RFC 5322, MIME) by gmime, and mailboxes of them (mbox, RFC 4155).
 * Each message is a part: a head of From, To, Cc, Date, Subject, then its text, text/plain preferred over HTML. Attachments of a known kind follow
 * as parts of their own with the message as parent; all are listed in meta. Quoted replies and signatures are marked as spans. A thread is named by
 * the Message-ID that it began with, as far as References and In-Reply-To tell, through all messages of the mailbox.
 * Bounds: MIME parts nested DOC_NEST_MAX / 10 deep; MAIL_PARTS_MAX parts of one message; attachments within attachments as deep as DocLimits says.
 * What opens a quotation: quote.h, and wrote[] for lines that only do so with "> " below. */
#include "docs/doc_int.h"

#include <gmime/gmime.h>
#include <stdio.h>
#include <strings.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "docs/quote.h"
#include "formats/stranger.h"

#define MAIL_PARTS_MAX 1000

/* ---- marks ---- */

/* Ends of the line before a quotation, in the languages that mail programs write it in. */
static const char *const wrote[] = { "wrote:", "schrieb:", "a \xc3\xa9" "crit :", "a \xc3\xa9" "crit:", "escribi\xc3\xb3:", "ha scritto:", "schreef:", "escreveu:",
                                     "skrev:", "napisa\xc5\x82:", "kirjoitti:", "writes:" };
static Str line_at(Str s, size_t at)
{
    const char *nl = memchr(s.p + at, '\n', s.n - at);
    Str         line = { s.p + at, nl ? (size_t)(nl - s.p) - at : s.n - at };
    while (line.n && (line.p[line.n - 1] == ' ' || line.p[line.n - 1] == '\t'))
        line.n--;
    return line;
}

static size_t next_line(Str s, size_t at)
{
    const char *nl = memchr(s.p + at, '\n', s.n - at);
    return nl ? (size_t)(nl - s.p) + 1 : s.n;
}

static bool is_quoted(Str line)
{
    return line.n && line.p[0] == '>';
}

static bool is_attribution(Str line)
{
    for (size_t i = 0; i < ARRAY_LEN(wrote); i++)
        if (str_ends(line, wrote[i]))
            return true;
    return quote_attribution(line);
}

/* Outlook on the web draws a line above what it copies. */
static bool is_opener(Str line)
{
    return quote_mark(line) || str_starts(line, "________________________________");
}

/* An attribution broken over two lines. */
static bool is_wrapped(Str line, Str next, bool (*is)(Str))
{
    char         both[2 * QUOTE_LINE_MAX + 1];
    const size_t n = line.n + 1 + next.n;
    if (n >= sizeof both || !line.n || !next.n || is(next) || next.p[next.n - 1] != ':' || line.p[line.n - 1] == ':')
        return false;
    memcpy(both, line.p, line.n);
    both[line.n] = ' ';
    memcpy(both + line.n + 1, next.p, next.n);
    return is((Str){ both, n });
}

/* An attribution that no other sentence looks like, and no "> " below it: the rest is the earlier message. */
static bool introduces_rest(Str s, size_t at)
{
    const size_t next = next_line(s, at);
    if (quote_attribution_sure(line_at(s, at)))
        at = next;
    else if (next < s.n && is_wrapped(line_at(s, at), line_at(s, next), quote_attribution_sure))
        at = next_line(s, next);
    else
        return false;
    while (at < s.n && !line_at(s, at).n)
        at = next_line(s, at);
    return at < s.n && !is_quoted(line_at(s, at));
}

static void mark(DocPart *p, size_t from, size_t to, DocMark what)
{
    if (from < to)
        *vec_push(&p->span) = (DocSpan){ from, to, what };
}

/* One walk over the lines of the body, which begins at `at`: a quotation is a run of "> " lines (blank ones between them too) with its
 * attribution, or the rest behind an opener; a signature goes from "-- " (RFC 3676, 4.3) to the end or to a quotation. */
static void mark_body(DocPart *p, size_t at)
{
    const Str s = { p->text, p->n };
    size_t    attribution = SIZE_MAX; /* where the lines begin that may introduce a quotation */
    while (at < s.n) {
        const Str line = line_at(s, at);
        if (is_opener(line) || quote_head(s, at, false) || introduces_rest(s, at)) {
            mark(p, at, s.n, DOC_QUOTE);
            return;
        }
        if (is_quoted(line)) {
            const size_t from = attribution != SIZE_MAX ? attribution : at;
            size_t       end = at;
            for (size_t k = at; k < s.n; k = next_line(s, k)) {
                const Str l = line_at(s, k);
                if (is_quoted(l))
                    end = next_line(s, k);
                else if (l.n)
                    break;
            }
            mark(p, from, end, DOC_QUOTE);
            attribution = SIZE_MAX;
            at = end;
            continue;
        }
        if (line.n == 2 && memcmp(line.p, "--", 2) == 0) {
            size_t end = next_line(s, at);
            while (end < s.n && !is_quoted(line_at(s, end)) && !is_opener(line_at(s, end)) && !quote_head(s, end, false) && !is_attribution(line_at(s, end)))
                end = next_line(s, end);
            mark(p, at, end, DOC_SIGNATURE);
            attribution = SIZE_MAX;
            at = end;
            continue;
        }
        if (is_attribution(line)) { /* it may be broken over two lines */
            attribution = at;
        } else if (line.n) {
            const size_t next = next_line(s, at);
            attribution = next < s.n && is_wrapped(line, line_at(s, next), quote_attribution) ? at : SIZE_MAX;
            if (attribution != SIZE_MAX) {
                at = next_line(s, next);
                continue;
            }
        }
        at = next_line(s, at);
    }
}

/* ---- one message ---- */

typedef struct Attached { char *name, *type; StrBuf bytes; } Attached;

typedef struct Mail {
    DocWork *w;
    StrBuf   body;
    VEC(Attached) attached;
    int      parts;
    bool     encrypted;
} Mail;

static int walk(Mail *m, GMimeObject *o, int depth, Err *e);

static void content(GMimePart *part, StrBuf *out)
{
    GMimeDataWrapper *wrapper = g_mime_part_get_content(part);
    if (!wrapper)
        return;
    GMimeStream *mem = g_mime_stream_mem_new();
    g_mime_data_wrapper_write_to_stream(wrapper, mem);
    const GByteArray *bytes = g_mime_stream_mem_get_byte_array(GMIME_STREAM_MEM(mem));
    strbuf_add(out, bytes->len ? (const char *)bytes->data : "", bytes->len);
    g_object_unref(mem);
}

static void repaired(StrBuf *out, const char *z)
{
    StrBuf sound = { 0 };
    utf8_repair(&sound, str_of(z ? z : ""));
    md_squeeze(out, strbuf_str(&sound));
    strbuf_release(&sound);
}

static void attach(Mail *m, const char *name, const char *type, StrBuf *bytes)
{
    StrBuf flat = { 0 };
    repaired(&flat, name);
    Attached *a = vec_push(&m->attached);
    *a = (Attached){ .name = strbuf_take(&flat), .bytes = *bytes };
    repaired(&flat, type);
    a->type = strbuf_take(&flat);
    *bytes = (StrBuf){ 0 };
}

static void add_body(Mail *m, Str text)
{
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == ' '))
        text.n--;
    while (text.n && text.p[0] == '\n')
        text.p++, text.n--;
    if (!text.n)
        return;
    if (m->body.n)
        strbuf_addz(&m->body, "\n\n");
    strbuf_add(&m->body, text.p, text.n);
}

static int do_part(Mail *m, GMimePart *part, Err *e)
{
    GMimeContentType *type = g_mime_object_get_content_type(GMIME_OBJECT(part));
    const char       *file = g_mime_part_get_filename(part), *way = g_mime_object_get_disposition(GMIME_OBJECT(part));
    const bool        plain = g_mime_content_type_is_type(type, "text", "plain"), html = g_mime_content_type_is_type(type, "text", "html");
    StrBuf            bytes = { 0 };
    int               rc = 0;
    content(part, &bytes);
    if ((plain || html) && !(way && strcasecmp(way, "attachment") == 0) && !(file && way)) {
        const char *charset = g_mime_content_type_get_parameter(type, "charset");
        StrBuf      text = { .max = work_room(m->w) }, page = { .max = text.max };
        if (!charset_decode(&text, strbuf_str(&bytes), charset))
            work_note(m->w, "a message names the character set %s, which is not known here; its text was read by its own look", shown(str_of(charset)).text);
        if (html)
            rc = html_to_text(m->w, strbuf_str(&text), &page, e);
        m->body.over |= text.over | page.over;
        if (!rc)
            add_body(m, strbuf_str(html ? &page : &text));
        strbuf_release(&text);
        strbuf_release(&page);
    } else if (!g_mime_content_type_is_type(type, "application", "pgp-signature") && !g_mime_content_type_is_type(type, "application", "pkcs7-signature")) {
        char *name = g_mime_content_type_get_mime_type(type);
        attach(m, file ? file : "without a name", name, &bytes);
        g_free(name);
    }
    strbuf_release(&bytes);
    return rc;
}

static bool has_type(GMimeObject *o, const char *subtype, int depth)
{
    GMimeContentType *type = g_mime_object_get_content_type(o);
    if (g_mime_content_type_is_type(type, "text", subtype))
        return true;
    for (int i = 0; GMIME_IS_MULTIPART(o) && depth < 4 && i < MIN(g_mime_multipart_get_count(GMIME_MULTIPART(o)), 8); i++)
        if (has_type(g_mime_multipart_get_part(GMIME_MULTIPART(o), i), subtype, depth + 1))
            return true;
    return false;
}

static bool is_empty_part(GMimeObject *o)
{
    StrBuf bytes = { 0 };
    bool   blank = true;
    if (!GMIME_IS_PART(o))
        return false;
    content(GMIME_PART(o), &bytes);
    for (size_t i = 0; i < bytes.n && blank; i++)
        blank = strchr(" \t\r\n", bytes.p[i]) != NULL;
    strbuf_release(&bytes);
    return blank;
}

/* Plain text when there is some, else the page, else what the sender thought best, which stands last (RFC 2046, 5.1.4). */
static GMimeObject *best_of(GMimeMultipart *m)
{
    const int n = g_mime_multipart_get_count(m);
    static const char *const order[] = { "plain", "html" };
    for (size_t k = 0; k < ARRAY_LEN(order); k++)
        for (int i = 0; i < MIN(n, 100); i++) {
            GMimeObject *o = g_mime_multipart_get_part(m, i);
            if (has_type(o, order[k], 0) && !is_empty_part(o))
                return o;
        }
    return n > 0 ? g_mime_multipart_get_part(m, n - 1) : NULL;
}

static int walk(Mail *m, GMimeObject *o, int depth, Err *e)
{
    if (depth > DOC_NEST_MAX / 10)
        return err_set(e, ERR_INPUT, "the message nests its parts more than %d deep, which is refused", DOC_NEST_MAX / 10);
    if (++m->parts > MAIL_PARTS_MAX)
        return err_set(e, ERR_INPUT, "the message has more than the %d parts that are allowed", MAIL_PARTS_MAX);
    if (GMIME_IS_MULTIPART_ENCRYPTED(o)) {
        m->encrypted = true;
        return 0;
    }
    if (GMIME_IS_MULTIPART(o)) {
        GMimeMultipart *mp = GMIME_MULTIPART(o);
        if (g_mime_content_type_is_type(g_mime_object_get_content_type(o), "multipart", "alternative")) {
            GMimeObject *best = best_of(mp);
            return best ? walk(m, best, depth + 1, e) : 0;
        }
        int rc = 0;
        for (int i = 0, n = g_mime_multipart_get_count(mp); i < n && !rc; i++)
            rc = walk(m, g_mime_multipart_get_part(mp, i), depth + 1, e);
        return rc;
    }
    if (GMIME_IS_MESSAGE_PART(o)) { /* a message inside: an attachment like others */
        GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(o));
        const char   *subject = inner ? g_mime_message_get_subject(inner) : NULL;
        char         *text = inner ? g_mime_object_to_string(GMIME_OBJECT(inner), NULL) : NULL;
        StrBuf        bytes = { 0 };
        if (text)
            strbuf_addz(&bytes, text);
        attach(m, subject ? subject : "message", "message/rfc822", &bytes);
        g_free(text);
        return 0;
    }
    if (GMIME_IS_PART(o))
        return do_part(m, GMIME_PART(o), e);
    return 0;
}

static void put_head(StrBuf *head, Json *meta, const char *label, const char *key, const char *value)
{
    StrBuf flat = { 0 };
    repaired(&flat, value);
    if (flat.n) {
        if (label)
            strbuf_addf(head, "%s: %s\n", label, strbuf_z(&flat));
        json_set(meta, key, json_str_new(strbuf_str(&flat)));
    }
    strbuf_release(&flat);
}

/* A Message-ID without its angle brackets; the first of a list. */
static char *bare_id(const char *value)
{
    StrBuf flat = { 0 };
    repaired(&flat, value);
    char *from = flat.p ? strchr(flat.p, '<') : NULL, *to = from ? strchr(from, '>') : NULL;
    char *id = to ? mem_strndup(from + 1, MIN((size_t)(to - from - 1), (size_t)998)) : NULL; /* a header line's most, RFC 5322 */
    strbuf_release(&flat);
    return id;
}

static void put_ids(GMimeMessage *msg, Json *meta)
{
    GMimeObject *o = GMIME_OBJECT(msg);
    char        *own = bare_id(g_mime_object_get_header(o, "Message-Id")), *reply = bare_id(g_mime_object_get_header(o, "In-Reply-To"));
    char        *first = bare_id(g_mime_object_get_header(o, "References"));
    const char  *thread = first ? first : reply ? reply : own;
    if (own)
        json_set(meta, "message_id", json_str_new(str_of(own)));
    if (reply)
        json_set(meta, "in_reply_to", json_str_new(str_of(reply)));
    if (thread)
        json_set(meta, "thread", json_str_new(str_of(thread)));
    free(own);
    free(reply);
    free(first);
}

static void put_addresses(StrBuf *head, Json *meta, const char *label, const char *key, InternetAddressList *list)
{
    char *text = list ? internet_address_list_to_string(list, NULL, FALSE) : NULL;
    put_head(head, meta, label, key, text);
    g_free(text);
}

/* One that cannot be converted is noted, as is one whose text would pass the limit; the message stays. */
static void do_attachments(Mail *m, int64_t parent, const char *message)
{
    DocWork *w = m->w;
    for (size_t i = 0; i < m->attached.n; i++) {
        Attached *a = &m->attached.p[i];
        Err       why = { 0 };
        StrBuf    prefix = { 0 };
        const Str bytes = strbuf_str(&a->bytes);
        strbuf_addf(&prefix, "%s%s%s%sattachment %s", w->prefix ? w->prefix : "", w->prefix ? ": " : "", message, *message ? ": " : "", a->name);
        DocWork inner = { .out = w->out, .limits = w->limits, .text = w->text, .depth = w->depth + 1, .parent = parent, .prefix = strbuf_take(&prefix) };
        const DocKind kind = inner.depth > w->limits.depth ? DOC_UNKNOWN : strcmp(a->type, "message/rfc822") == 0 ? DOC_MAIL : kind_of(bytes, &why);
        const size_t  before = w->out->part.n;
        if (inner.depth > w->limits.depth)
            work_note(&inner, "not converted: it lies more than %d attachments deep", w->limits.depth);
        else if (kind == DOC_UNKNOWN || parse_as(&inner, kind, bytes, &why)) {
            for (size_t k = before; k < w->out->part.n; k++) { /* half a document would look whole */
                DocPart *p = &w->out->part.p[k];
                free(p->name);
                free(p->text);
                free(p->meta);
                vec_release(&p->span);
            }
            w->out->part.n = before;
            inner.text = w->text;
            work_note(&inner, "not converted: %s", why.text);
        }
        w->text = inner.text;
        free(inner.prefix);
    }
}

/* `name` is what its part is called: "" or "message 7". */
static int do_message(DocWork *w, Str bytes, const char *name, Err *e)
{
    GMimeStream  *stream = g_mime_stream_mem_new_with_buffer(bytes.n ? bytes.p : "", bytes.n);
    GMimeParser  *parser = g_mime_parser_new_with_stream(stream);
    g_mime_parser_set_format(parser, GMIME_FORMAT_MESSAGE);
    GMimeMessage *msg = g_mime_parser_construct_message(parser, NULL);
    Mail          m = { .w = w, .body.max = work_room(w) };
    StrBuf        head = { .max = m.body.max };
    Json         *meta = json_obj_new();
    int           rc = msg ? 0 : err_set(e, ERR_INPUT, "%s%sthis is no mail message", name, *name ? ": " : "");
    if (!rc) {
        put_addresses(&head, meta, "From", "from", g_mime_message_get_from(msg));
        put_addresses(&head, meta, "To", "to", g_mime_message_get_to(msg));
        put_addresses(&head, meta, "Cc", "cc", g_mime_message_get_cc(msg));
        GDateTime *date = g_mime_message_get_date(msg);
        char      *iso = date ? g_date_time_format_iso8601(date) : NULL;
        put_head(&head, meta, "Date", "date", iso);
        g_free(iso);
        put_head(&head, meta, "Subject", "subject", g_mime_message_get_subject(msg));
        put_ids(msg, meta);
        GMimeObject *top = g_mime_message_get_mime_part(msg);
        rc = top ? walk(&m, top, 0, e) : 0;
    }
    if (!rc && m.encrypted)
        work_note(w, "%s%sthe message is encrypted and its text cannot be read", name, *name ? ": " : "");
    if (!rc && m.attached.n) {
        Json *list = json_arr_new();
        for (size_t i = 0; i < m.attached.n; i++) {
            Json *one = json_obj_new();
            json_set(one, "name", json_str_new(str_of(m.attached.p[i].name)));
            json_set(one, "type", json_str_new(str_of(m.attached.p[i].type)));
            json_set(one, "bytes", json_int_new((int64_t)m.attached.p[i].bytes.n));
            json_push(list, one);
        }
        json_set(meta, "attachments", list);
    }
    if (!rc) {
        const size_t body = head.n + (head.n > 0);
        if (!*name) {
            work_field(w, &w->out->title, json_str(json_get(meta, "subject")));
            work_field(w, &w->out->author, json_str(json_get(meta, "from")));
            work_field(w, &w->out->date, json_str(json_get(meta, "date")));
        }
        if (m.body.n) {
            if (head.n)
                strbuf_addc(&head, '\n');
            strbuf_add(&head, m.body.p, m.body.n);
        }
        head.over |= m.body.over;
        rc = work_part(w, DOC_MAIL, &head, meta, e, "%s", name);
        meta = NULL;
        if (!rc)
            mark_body(&w->out->part.p[w->out->part.n - 1], body);
    }
    if (!rc)
        do_attachments(&m, (int64_t)w->out->part.n - 1, name);
    for (size_t i = 0; i < m.attached.n; i++) {
        free(m.attached.p[i].name);
        free(m.attached.p[i].type);
        strbuf_release(&m.attached.p[i].bytes);
    }
    vec_release(&m.attached);
    strbuf_release(&m.body);
    strbuf_release(&head);
    json_free(meta);
    if (msg)
        g_object_unref(msg);
    g_object_unref(parser);
    g_object_unref(stream);
    return rc;
}

int doc_parse_mail(DocWork *w, Str bytes, Err *e)
{
    g_mime_init();
    return do_message(w, bytes, "", e);
}

/* ---- mailboxes ---- */

/* "From ada@example.org Thu Jan  1 00:00:00 2026": a sender and a time. */
static bool is_separator(Str line)
{
    if (!str_starts(line, "From ") || line.n > 1000)
        return false;
    bool colon = false, year = false;
    for (size_t i = 5; i < line.n; i++) {
        colon |= line.p[i] == ':';
        year |= i + 4 <= line.n && (memcmp(line.p + i, "19", 2) == 0 || memcmp(line.p + i, "20", 2) == 0);
    }
    return colon && year;
}

/* One message's bytes with ">From " taken back to "From " (mboxrd). */
static void unquote_from(StrBuf *out, Str s)
{
    for (size_t at = 0; at < s.n;) {
        const size_t next = next_line(s, at);
        size_t       mark = at;
        while (mark < next && s.p[mark] == '>')
            mark++;
        const bool quoted = mark > at && str_starts((Str){ s.p + mark, next - mark }, "From ");
        strbuf_add(out, s.p + at + quoted, next - at - quoted);
        at = next;
    }
}

/* Follows "thread" from message to message, so that a reply to a reply lies in the thread of the first one. */
static void join_threads(DocOut *d, size_t first)
{
    Map *known = map_new(); /* Message-ID -> part */
    const size_t n = d->part.n;
    char **id = mem_zalloc(n + 1, sizeof *id), **thread = mem_zalloc(n + 1, sizeof *thread);
    for (size_t i = first; i < n; i++) {
        Json *j = NULL;
        if (d->part.p[i].kind != DOC_MAIL || json_parse(&j, str_of(d->part.p[i].meta), "meta", NULL))
            continue;
        const Str own = json_str(json_get(j, "message_id")), root = json_str(json_get(j, "thread"));
        id[i] = own.p ? mem_strndup(own.p, own.n) : NULL;
        thread[i] = root.p ? mem_strndup(root.p, root.n) : NULL;
        if (id[i])
            map_put(known, str_of(id[i]), (int64_t)i);
        json_free(j);
    }
    for (size_t i = first; i < n; i++) {
        if (!thread[i])
            continue;
        const char *root = thread[i];
        int64_t     at;
        for (int hop = 0; hop < 1000 && map_get(known, str_of(root), &at) && thread[at] && strcmp(thread[at], root) != 0; hop++)
            root = thread[at];
        Json  *j = NULL;
        StrBuf text = { 0 };
        if (strcmp(root, thread[i]) == 0 || json_parse(&j, str_of(d->part.p[i].meta), "meta", NULL))
            continue;
        json_set(j, "thread", json_str_new(str_of(root)));
        json_write(&text, j, false);
        free(d->part.p[i].meta);
        d->part.p[i].meta = strbuf_take(&text);
        json_free(j);
        char *copy = mem_strdup(root); /* later messages of the thread need not go this way again */
        free(thread[i]);
        thread[i] = copy;
    }
    for (size_t i = first; i < n; i++) {
        free(id[i]);
        free(thread[i]);
    }
    free(id);
    free(thread);
    map_free(known);
}

int doc_parse_mbox(DocWork *w, Str s, Err *e)
{
    const size_t first = w->out->part.n;
    StrBuf       bytes = { 0 };
    size_t       at = 0, number = 0;
    int          rc = 0;
    g_mime_init();
    while (at < s.n && !rc) {
        const size_t from = next_line(s, at); /* behind the separator */
        size_t       end = from;
        bool         blank = true;
        for (; end < s.n; end = next_line(s, end)) {
            Str line = line_at(s, end);
            if (blank && is_separator(line))
                break;
            blank = line.n == 0 || (line.n == 1 && line.p[0] == '\r');
        }
        char name[40];
        snprintf(name, sizeof name, "message %zu", ++number);
        strbuf_clear(&bytes);
        unquote_from(&bytes, (Str){ s.p + from, end - from });
        rc = do_message(w, strbuf_str(&bytes), name, e);
        at = end;
    }
    if (!rc)
        join_threads(w->out, first);
    strbuf_release(&bytes);
    return rc;
}
