/* statistics.c - a row's numbers as they are kept (measures.h), and the tables of the rows that stay. */
#include "prep/prep_int.h"

#include <math.h>
#include <string.h>

#include "prep/language.h"

Measure row_measure(const Prep *p, size_t row)
{
    const RowEntry *r = entries_at(&p->rows, row);
    const uint8_t   why = entries_why(&p->rows, row);
    const bool  asked = p->cfg.quality != QUALITY_OFF && (!why || why >= prep_pass_number("quality"));
    Measure     m = { r->question, r->answer, r->tokens, r->trained, asked ? r->quality : NAN, "" };
    const char *code = !r->language ? "" : r->language == ROW_UNSURE ? "und" : r->language == ROW_CODE ? "code" : language_known((size_t)r->language - ROW_LANGUAGE);
    memcpy(m.language, code, strnlen(code, sizeof m.language));
    return m;
}

static bool staying(const void *user, size_t i, Measure *m)
{
    const Prep *p = user;
    if (entries_part(&p->rows, i) == PART_REMOVED)
        return false;
    *m = row_measure(p, i);
    return true;
}

Json *statistics(const Prep *p) { return measures_statistics(staying, p, p->rows.n); }
