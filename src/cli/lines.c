/* lines.c - see lines.h. */
#include "cli/lines.h"

#include <errno.h>

#include "base/utf8.h"

void lines_open(Lines *l)
{
    *l = (Lines){ .file = stdin, .text.max = LINES_MAX };
}

int lines_next(Lines *l, Str *line, Err *e)
{
    int    c;
    size_t bad;
    strbuf_clear(&l->text);
    errno = 0;
    while ((c = getc_unlocked(l->file)) != EOF && c != '\n')
        strbuf_addc(&l->text, (char)c);
    if (c == EOF && ferror(l->file) && errno != EINTR) /* EINTR: Ctrl-C, which ends the input */
        return err_sys(e, "standard input could not be read");
    if (c == EOF && !l->text.n)
        return 0;
    l->number++;
    snprintf(l->where, sizeof l->where, "standard input, line %lld", (long long)l->number);
    if (l->text.over)
        return err_set(e, ERR_INPUT, "%s: the line has more than %zu MiB; put less text on one line", l->where, LINES_MAX >> 20);
    *line = strbuf_str(&l->text);
    if (!utf8_valid(*line, &bad))
        return err_set(e, ERR_INPUT, "%s, byte %zu: the byte 0x%02x is not valid UTF-8 text; convert the input to UTF-8", l->where, bad + 1,
                       (unsigned)(unsigned char)line->p[bad]);
    return 1;
}

/* A line of input is one line of JSON, so json_parse's own "line 1" gives way to the input's. */
int lines_json(const Lines *l, Json **out, Err *e)
{
    static const char first[] = ", line 1, ";
    Err               inner = { 0 };
    int               rc = json_parse(out, strbuf_str(&l->text), "", &inner);
    return rc ? err_set(e, rc, "%s, %s", l->where, inner.text + (str_starts(str_of(inner.text), first) ? sizeof first - 1 : 0)) : 0;
}

void lines_close(Lines *l)
{
    strbuf_release(&l->text);
}
