/* met.c - see met.h. */
#include "prep/met.h"

#include "prep/mapping.h"

void met_row(Met *m, const RowEntry *r)
{
    const bool read = r->why != prep_pass_number("import");
    m->here++;
    m->used += r->part != PART_REMOVED;
    m->good += read;
    m->lack += r->lacks;
    m->m_here++;
    m->m_good += read;
    m->m_lack += r->lacks;
    m->lacks += r->lacks;
    m->read |= read;
    m->group |= r->group != 0;
    m->label |= r->label != 0;
    m->subject |= r->subject != 0;
    m->timed |= r->time != INT64_MIN;
}

void met_member(Met *m, uint32_t member)
{
    m->member = member;
    m->m_here = m->m_good = m->m_lack = 0;
}

void met_input(Met *m)
{
    m->here = m->used = m->good = m->lack = 0;
    met_member(m, 0);
}

/* " (did you mean Category?)": the columns of the first row that are nearly one of those asked for. */
static void suggest(const Prep *p, const char *asked, StrBuf *out)
{
    Str item;
    while (cfg_list_each(&asked, &item))
        for (const char *at = p->columns.n ? p->columns.p : ""; *at;) {
            const char *end = strstr(at, ", ");
            const Str   one = { at, end ? (size_t)(end - at) : strlen(at) };
            if (!str_eq(one, item) && names_alike(one, item))
                strbuf_addf(out, " (did you mean %.*s?)", (int)one.n, one.p);
            at += one.n + (end ? 2 : 0);
        }
}

static int no_such_column(const Prep *p, const char *option, const char *name, Err *e)
{
    StrBuf meant = { .max = 200 };
    suggest(p, name, &meant);
    err_set(e, ERR_ARG, "%s %s: no row has this column%s; beside what became texts the rows have %s", option, name, strbuf_z(&meant), p->columns.n ? p->columns.p : "no others");
    strbuf_release(&meant);
    return ERR_ARG;
}

static int no_such_time(const Prep *p, Err *e)
{
    StrBuf meant = { .max = 200 };
    suggest(p, p->cfg.time, &meant);
    err_set(e, ERR_ARG, "--time %s: no row has a time there in a form that is known (2026-01-31, 2026-01-31T09:30:00Z, 31.01.2026, seconds since 1970)%s; the rows have %s", p->cfg.time,
            strbuf_z(&meant), p->columns.n ? p->columns.p : "no others");
    strbuf_release(&meant);
    return ERR_ARG;
}

/* A column that no row has would change nothing, and nobody would know: a leak between parts by a slip of the pen. */
int met_check_columns(const Prep *p, const Met *m, Err *e)
{
    const struct { const char *option, *name; bool found; } asked[] = {
        { "--group", p->cfg.group, m->group }, { "--label", p->cfg.label, m->label }, { "--subject", p->cfg.subject, m->subject },
    };
    for (size_t a = 0; a < ARRAY_LEN(asked) && m->read; a++)
        if (asked[a].name && *asked[a].name && !asked[a].found)
            return no_such_column(p, asked[a].option, asked[a].name, e);
    return p->cfg.time && *p->cfg.time && !m->timed && m->read ? no_such_time(p, e) : 0;
}

bool met_all_lack(int64_t rows, int64_t good, int64_t lack) { return !good && lack * 2 > rows; }
