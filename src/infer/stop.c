/* stop.c - see stop.h. Invariant: `held` never contains a whole stop text and always begins where one could begin. */
#include "infer/stop.h"

#include <stdlib.h>

static int item_end(StopList *l, StrBuf *item, const char *texts, Err *e)
{
    if (!item->n)
        return err_set(e, ERR_ARG, "--stop \"%s\": one of the texts is empty; expected are texts joined by single commas (\\, for a comma inside)", texts);
    if (l->n == STOP_LIST_MAX)
        return err_set(e, ERR_ARG, "--stop names more than %d texts", STOP_LIST_MAX);
    l->text[l->n++] = strbuf_take(item);
    return 0;
}

int stop_list_parse(StopList *l, const char *texts, Err *e)
{
    static const char escape[] = ",,n\nt\t\\\\"; /* pairs: the letter behind a backslash, what it means */
    StrBuf item = { 0 };
    int    rc = 0;
    *l = (StopList){ 0 };
    if (!texts || !*texts)
        return 0;
    for (const char *p = texts; *p && !rc; p++) {
        const char *known = NULL;
        for (const char *x = escape; *p == '\\' && !known && *x; x += 2)
            if (p[1] == *x)
                known = x;
        if (known) {
            strbuf_addc(&item, known[1]);
            p++;
        } else if (*p == ',') {
            rc = item_end(l, &item, texts, e);
        } else {
            strbuf_addc(&item, *p);
        }
    }
    if (!rc)
        rc = item_end(l, &item, texts, e);
    strbuf_release(&item);
    if (rc)
        stop_list_release(l);
    return rc;
}

void stop_list_release(StopList *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->text[i]);
    *l = (StopList){ 0 };
}

/* Where the first whole stop text begins; held.n when there is none. */
static size_t first_whole(const StopScan *s)
{
    size_t first = s->held.n;
    for (size_t i = 0; i < s->list->n; i++) {
        const char *text = s->list->text[i], *at = s->held.n ? memmem(s->held.p, s->held.n, text, strlen(text)) : NULL;
        if (at)
            first = MIN(first, (size_t)(at - s->held.p));
    }
    return first;
}

/* Where the longest tail begins that a stop text begins with; held.n when there is none. */
static size_t first_possible(const StopScan *s)
{
    size_t first = s->held.n;
    for (size_t i = 0; i < s->list->n; i++)
        for (size_t n = MIN(strlen(s->list->text[i]) - 1, s->held.n); n > s->held.n - first; n--)
            if (!memcmp(s->held.p + s->held.n - n, s->list->text[i], n))
                first = s->held.n - n;
    return first;
}

void stop_scan_push(StopScan *s, Str text, StrBuf *out)
{
    if (s->hit)
        return;
    if (!s->list || !s->list->n) {
        strbuf_add(out, text.p, text.n);
        return;
    }
    strbuf_add(&s->held, text.p, text.n);
    size_t show = first_whole(s);
    s->hit = show < s->held.n;
    if (!s->hit)
        show = first_possible(s);
    strbuf_add(out, s->held.p, show);
    const size_t left = s->hit ? 0 : s->held.n - show;
    if (left)
        memmove(s->held.p, s->held.p + show, left);
    s->held.n = left;
    if (s->held.p)
        s->held.p[left] = '\0';
}

void stop_scan_end(StopScan *s, StrBuf *out)
{
    strbuf_add(out, strbuf_z(&s->held), s->held.n);
    strbuf_clear(&s->held);
}

void stop_scan_release(StopScan *s)
{
    strbuf_release(&s->held);
    *s = (StopScan){ 0 };
}
