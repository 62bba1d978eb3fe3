/* pii_setup.c - see pii_setup.h. */
#include "prep/pii_setup.h"

#include <stdlib.h>

#include "base/file.h"

static int skipped_kinds(const char *list, uint64_t *off, Err *e)
{
    Str     item;
    PiiKind k;
    while (list && cfg_list_each(&list, &item)) {
        if (pii_kind_find(item, &k)) {
            *off |= (uint64_t)1 << k;
            continue;
        }
        StrBuf names = { 0 };
        for (int i = 0; i < PII_KINDS; i++)
            strbuf_addf(&names, "%s%s", i ? ", " : "", pii_kind_info((PiiKind)i)->name);
        err_set(e, ERR_ARG, "--pii-skip: \"%.*s\" is no kind; there are %s", (int)item.n, item.p, strbuf_z(&names));
        strbuf_release(&names);
        return ERR_ARG;
    }
    return 0;
}

static int read_allowed(const char *path, PiiAllow **out, Err *e)
{
    char  *text = NULL;
    size_t n = 0;
    if (!path || !*path)
        return 0;
    int rc = file_read_text(path, &text, &n, e);
    if (!rc)
        rc = pii_allow_new(out, (Str){ text, n }, path, e);
    free(text);
    return rc;
}

int pii_setup_open(PiiSetup *s, const PrepCfg *c, Err *e)
{
    PiiOptions o = { .countries = c->pii_country };
    *s = (PiiSetup){ 0 };
    int rc = skipped_kinds(c->pii_skip, &o.off, e);
    if (!rc)
        rc = read_allowed(c->pii_allow, &s->allow, e);
    o.allow = s->allow;
    return rc ? rc : pii_scanner_new(&s->scanner, &o, e);
}

void pii_setup_close(PiiSetup *s)
{
    pii_scanner_free(s->scanner);
    pii_allow_free(s->allow);
    *s = (PiiSetup){ 0 };
}
