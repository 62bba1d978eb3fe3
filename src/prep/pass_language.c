/* pass_language.c - which language a row is in; with --languages a row in another one leaves. A row that is source code, or of which nothing can be said,
 * stays: the question is which languages to learn, not which to prove. */
#include "prep/prep_int.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "prep/language.h"
#include "prep/row_checks.h"

typedef struct Languages { char *wanted; } Languages; /* "en,de"; "": all */

static int number_of(const char *code)
{
    int n = 0;
    for (; language_known((size_t)n); n++)
        if (!strcmp(language_known((size_t)n), code))
            return n + ROW_LANGUAGE;
    return !strcmp(code, "code") ? ROW_CODE : ROW_UNSURE;
}

static int language_open(Prep *p, void **state, Err *e)
{
    const char *list = p->cfg.languages;
    Str         item;
    while (list && cfg_list_each(&list, &item)) {
        char code[8] = { 0 };
        memcpy(code, item.p, MIN(item.n, sizeof code - 1));
        if (number_of(code) < ROW_LANGUAGE)
            return err_set(e, ERR_ARG, "--languages: \"%.*s\" is no language that can be told; codes are those of ISO 639-1, as in en,de,fr", (int)item.n, item.p);
    }
    Languages *s = mem_zalloc(1, sizeof *s);
    s->wanted = mem_strdup(p->cfg.languages ? p->cfg.languages : "");
    *state = s;
    return 0;
}

static bool wants(const Languages *s, const char *code)
{
    const char *list = s->wanted;
    Str         item;
    bool        any = false;
    while (cfg_list_each(&list, &item)) {
        any = true;
        if (str_eqz(item, code))
            return true;
    }
    return !any;
}

void row_language(const Record *r, char code[4])
{
    LanguageGuess g;
    StrBuf        text = { 0 };
    record_text(r, &text);
    language_guess(strbuf_str(&text), &g);
    memset(code, 0, 4);
    memcpy(code, g.code, strnlen(g.code, 4));
    strbuf_release(&text);
}

static void language_row(const void *state, RowWork *w)
{
    const Languages *s = state;
    LanguageGuess    g;
    char             text[64];
    strbuf_clear(&w->scratch);
    record_text(&w->rec, &w->scratch);
    language_guess(strbuf_str(&w->scratch), &g);
    w->entry.language = (uint8_t)number_of(g.code);
    if (w->entry.language < ROW_LANGUAGE || wants(s, g.code))
        return;
    snprintf(text, sizeof text, "language is %s", g.code);
    row_remove(w, "language", text, (double)g.probability, NULL);
}

static void language_close(void *state)
{
    Languages *s = state;
    free(s->wanted);
    free(s);
}

const Pass pass_language = { "language", false, language_open, language_row, language_close };
