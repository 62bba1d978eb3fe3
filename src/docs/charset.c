/* charset.c - bytes of any character set to UTF-8, by the C library's iconv. What a page or mail says is believed when the name is known; UTF-16 and
 * UTF-32 marks win over it. To treat a name otherwise: a row in alias[] (as the WHATWG encoding standard does for what is called Latin 1). */
#include "docs/doc_int.h"

#include <errno.h>
#include <iconv.h>
#include <strings.h>

#include "base/utf8.h"

static const struct { const char *mark; size_t n; const char *set; } marks[] = {
    { "\xef\xbb\xbf", 3, "UTF-8" }, { "\xff\xfe\0\0", 4, "UTF-32LE" }, { "\0\0\xfe\xff", 4, "UTF-32BE" }, { "\xff\xfe", 2, "UTF-16LE" },
    { "\xfe\xff", 2, "UTF-16BE" },
};
static const struct { const char *name, *set; } alias[] = {
    { "iso-8859-1", "WINDOWS-1252" }, { "latin1", "WINDOWS-1252" }, { "latin-1", "WINDOWS-1252" }, { "us-ascii", "WINDOWS-1252" },
    { "ascii", "WINDOWS-1252" }, { "iso-8859-9", "WINDOWS-1254" }, { "gb2312", "GB18030" }, { "gbk", "GB18030" }, { "ks_c_5601-1987", "UHC" },
    { "x-sjis", "SHIFT_JIS" }, { "utf8", "UTF-8" }, { "unicode", "UTF-16LE" },
};

/* Only letters, digits and -_.: go into iconv_open, which knows special suffixes. */
static iconv_t open_set(const char *name)
{
    if (!*name || strlen(name) > 40 || name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")])
        return (iconv_t)-1;
    for (size_t i = 0; i < ARRAY_LEN(alias); i++)
        if (strcasecmp(name, alias[i].name) == 0)
            name = alias[i].set;
    return iconv_open("UTF-8", name);
}

static void convert(StrBuf *out, Str s, iconv_t set)
{
    char  buf[4096], *in = (char *)(uintptr_t)s.p;
    size_t left = s.n;
    while (left && !out->over) {
        char  *to = buf;
        size_t room = sizeof buf;
        const size_t rc = iconv(set, &in, &left, &to, &room);
        strbuf_add(out, buf, (size_t)(to - buf));
        if (rc == (size_t)-1 && errno != E2BIG) {
            strbuf_addz(out, "\xef\xbf\xbd");
            iconv(set, NULL, NULL, NULL, NULL);
            in++;
            left--;
        }
    }
}

/* \r\n and \r to \n, in place. */
static void line_ends(StrBuf *b, size_t from)
{
    size_t to = from;
    for (size_t i = from; i < b->n; i++) {
        if (b->p[i] == '\r') {
            b->p[to++] = '\n';
            i += i + 1 < b->n && b->p[i + 1] == '\n';
        } else {
            b->p[to++] = b->p[i];
        }
    }
    if (b->p) {
        b->n = to;
        b->p[to] = '\0';
    }
}

bool charset_decode(StrBuf *out, Str s, const char *charset)
{
    const size_t from = out->n;
    iconv_t      set = (iconv_t)-1;
    bool         known = true;
    const char  *name = charset;
    for (size_t i = 0; i < ARRAY_LEN(marks); i++)
        if (s.n >= marks[i].n && memcmp(s.p, marks[i].mark, marks[i].n) == 0) {
            name = marks[i].set;
            s.p += marks[i].n;
            s.n -= marks[i].n;
            break;
        }
    if (name && strcasecmp(name, "utf-8") != 0 && strcasecmp(name, "utf8") != 0) {
        set = open_set(name);
        known = set != (iconv_t)-1;
        if (!known)
            name = NULL;
    }
    /* "us-ascii" with bytes above 127 is most often UTF-8 */
    if (set == (iconv_t)-1 && !name && !utf8_valid(s, NULL))
        set = open_set("WINDOWS-1252");
    else if (set != (iconv_t)-1 && strcasestr(name, "ascii") && utf8_valid(s, NULL)) {
        iconv_close(set);
        set = (iconv_t)-1;
    }
    if (set != (iconv_t)-1) {
        convert(out, s, set);
        iconv_close(set);
    } else {
        utf8_repair(out, s);
    }
    line_ends(out, from);
    return known;
}

void charset_meta(Str html, char name[64])
{
    char head[1025];
    memcpy(head, html.p, MIN(html.n, sizeof head - 1));
    head[MIN(html.n, sizeof head - 1)] = '\0';
    for (size_t i = 0; i < MIN(html.n, sizeof head - 1); i++)
        head[i] = head[i] ? head[i] : ' ';
    const char *at = strcasestr(head, "<meta") ? strcasestr(strcasestr(head, "<meta"), "charset") : NULL;
    at = at ? at : strncmp(head, "<?xml", 5) == 0 ? strstr(head, "encoding") : NULL;
    name[0] = '\0';
    if (!at)
        return;
    at += *at == 'e' ? 8 : 7; /* "encoding", "charset" */
    at += strspn(at, " \t\n");
    if (*at++ != '=')
        return;
    at += strspn(at, " \t\n\"'");
    const size_t n = strcspn(at, " \t\n\"'>;/?");
    if (n && n < 64 && !(n >= 6 && strncasecmp(at, "utf-16", 6) == 0)) { /* a page whose meta could be read is no UTF-16 */
        memcpy(name, at, n);
        name[n] = '\0';
    }
}
