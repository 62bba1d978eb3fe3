/* pass_repair.c - texts put right (repair.h), each change told with what it was and, under "before", how the texts stood. What mail repairs take away (quoted
 * letters, signatures) is text that nobody should learn; all of it stays readable in the log, and a reviewer can take it back. */
#include "prep/prep_int.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "prep/before.h"
#include "prep/repair.h"

typedef struct Mend {
    RepairOptions options;
    uint64_t      count[REPAIR_KINDS];
    uint64_t      lost;   /* U+FFFD */
    bool          too_long;
    bool          marks;  /* some text holds a < or an &: else there is no markup to keep or to take away */
    bool          page;   /* an answer is a page in HTML, so what is asked decides whether it stays one */
    bool          left;   /* a text is such a page still */
    int64_t       at;     /* of the text, in the order of the walk */
    Json         *before;
} Mend;

static const char *repair_name(int k) { return k < REPAIR_KINDS ? repair_rows[k].name : NULL; }

static int repair_open(Prep *p, void **state, Err *e)
{
    uint32_t off = 0;
    int      rc = kinds_of_list("--repair-skip", p->cfg.repair_skip, repair_kind_of, repair_name, &off, e);
    if (rc || !p->cfg.repair)
        return rc;
    RepairOptions *o = mem_zalloc(1, sizeof *o);
    o->off = off;
    *state = o;
    return 0;
}

static bool holds_marks(void *user, TextRole role, Str text, StrBuf *out)
{
    Mend *m = user;
    (void)role, (void)out;
    m->marks |= text.n && (memchr(text.p, '<', text.n) || memchr(text.p, '&', text.n));
    return false;
}

static bool looks_like_markup(void *user, TextRole role, Str text, StrBuf *out)
{
    Mend *m = user;
    (void)out;
    m->options.keep_markup |= role != TEXT_META && repair_about_markup(text);
    m->page |= role == TEXT_ANSWER && repair_is_page(text);
    return false;
}

static bool asks_for_page(void *user, TextRole role, Str text, StrBuf *out)
{
    Mend *m = user;
    (void)out;
    m->options.keep_markup |= (role == TEXT_USER || role == TEXT_SYSTEM) && !repair_is_page(text) && repair_asks_for_page(text);
    return false;
}

/* What a tag or a signature leaves behind at the end is no part of the text: trained as it stands, it would be a signal. */
static void trim_like(StrBuf *out, Str old)
{
    bool open = old.n && memchr(" \t\n", old.p[old.n - 1], 3);
    while (!open && out->n && memchr(" \t\n", out->p[out->n - 1], 3))
        out->p[--out->n] = 0;
}

static bool mend_text(void *user, TextRole role, Str text, StrBuf *out)
{
    Mend        *m = user;
    RepairReport r = { 0 };
    const int64_t at = m->at++;
    if (role == TEXT_META)
        return false;
    bool changed = repair_text(out, text, &m->options, &r);
    if (changed)
        trim_like(out, text);
    for (size_t i = 0; i < REPAIR_KINDS; i++)
        m->count[i] += r.count[i];
    m->lost += r.replacement;
    m->too_long |= r.too_long;
    m->left |= m->marks && repair_is_page(changed ? strbuf_str(out) : text);
    if (changed)
        before_add(m->before, at, text);
    return changed;
}

/* An answer that was nothing but a signature is no answer any more, a question that was nothing but markup none. */
static void check_rest(RowWork *w)
{
    strbuf_clear(&w->scratch);
    record_answer(&w->rec, &w->scratch);
    if (!w->scratch.n)
        row_remove(w, "repair", "nothing is left of the answer", 0, NULL);
    else if (w->rec.kind == REC_PAIR && record_blank(json_str(json_get(w->rec.row, "prompt"))))
        row_remove(w, "repair", "nothing is left of the question", 0, NULL);
}

static void repair_row(const void *state, RowWork *w)
{
    Mend   m = { .options = *(const RepairOptions *)state, .before = json_arr_new() };
    record_each_text(&w->rec, holds_marks, &m);
    if (m.marks)
        record_each_text(&w->rec, looks_like_markup, &m);
    if (m.page)
        record_each_text(&w->rec, asks_for_page, &m);
    strbuf_clear(&w->held);
    int changed = record_each_text(&w->rec, mend_text, &m);
    for (size_t i = 0; i < REPAIR_KINDS; i++)
        if (m.count[i])
            strbuf_addf(&w->held, "%s%s", w->held.n ? ", " : "", repair_rows[i].name);
    if (changed)
        w->before = m.before;
    else
        json_free(m.before);
    if (m.lost)
        row_note(w, "repair", "holds U+FFFD: characters that were lost before", (double)m.lost, NULL);
    if (m.left)
        row_note(w, "repair", "holds a page in HTML that was left as it is, since it may be meant", NAN, NULL);
    if (m.too_long)
        row_note(w, "repair", "a text is longer than 64 MiB and was left as it is", (double)(REPAIR_TEXT_MAX >> 20), NULL);
    if (changed)
        check_rest(w);
}

static void repair_close(void *state) { free(state); }

const Pass pass_repair = { "repair", false, repair_open, repair_row, repair_close };
