/* opc.c - the package around office documents: relations between its parts and the properties that all kinds share.
 * Invariant: a target is a member's name without leading slash and without dots; targets outside the package are left out. */
#include "docs/doc_int.h"

#include <stdio.h>

#include "base/mem.h"

int opc_open(Opc *o, DocWork *w, Str bytes, Err *e)
{
    o->w = w;
    return zip_open_memory(&o->zip, bytes, e);
}

void opc_close(Opc *o)
{
    zip_close(o->zip);
    o->zip = NULL;
}

int opc_xml(Opc *o, const char *member, StrBuf *bytes, Xml **x, Err *e)
{
    const int64_t i = zip_find(o->zip, member);
    *x = NULL;
    if (i < 0)
        return 1;
    strbuf_clear(bytes);
    int rc = zip_read(o->zip, (size_t)i, bytes, e);
    return rc ? rc : xml_open(x, strbuf_str(bytes), zip_name(o->zip, (size_t)i), false, e);
}

/* "slides/../media/a" below the folder of `member` to a member's name. */
static char *resolve(const char *member, const char *target)
{
    StrBuf out = { 0 };
    if (*target != '/') {
        const char *slash = strrchr(member, '/');
        strbuf_add(&out, member, slash ? (size_t)(slash - member) + 1 : 0);
    }
    for (const char *p = target; *p;) {
        const size_t n = strcspn(p, "/");
        if (n == 2 && !strncmp(p, "..", 2)) {
            if (out.n)
                out.n--; /* the slash */
            while (out.n && out.p[out.n - 1] != '/')
                out.n--;
        } else if (n && !(n == 1 && *p == '.')) {
            strbuf_add(&out, p, n);
            if (p[n])
                strbuf_addc(&out, '/');
        }
        p += n + (p[n] != '\0');
    }
    if (out.p)
        out.p[out.n] = '\0';
    return strbuf_take(&out);
}

int opc_rels(Opc *o, const char *member, RelList *list, Err *e)
{
    char        name[2 * ZIP_NAME_MAX];
    const char *slash = strrchr(member, '/');
    const int   folder = slash ? (int)(slash - member) + 1 : 0;
    StrBuf      bytes = { 0 };
    Xml        *x = NULL;
    snprintf(name, sizeof name, "%.*s_rels/%s.rels", folder, member, member + folder);
    int rc = opc_xml(o, name, &bytes, &x, e);
    while (!rc && (rc = xml_next(x, e)) > 0) {
        if (rc == XML_OPEN && xml_is(x, "Relationship")) {
            const char *mode = xml_attr(x, "TargetMode");
            const bool  outside = mode && strcmp(mode, "External") == 0;
            const char *id = xml_attr(x, "Id");
            char       *own_id = mem_strdup(id ? id : "");
            const char *type = xml_attr(x, "Type");
            const char *word = type && strrchr(type, '/') ? strrchr(type, '/') + 1 : "";
            char       *own_type = mem_strdup(word);
            const char *target = xml_attr(x, "Target");
            if (outside || !target) {
                free(own_id);
                free(own_type);
            } else {
                *vec_push(list) = (Rel){ own_id, own_type, resolve(member, target) };
            }
        }
        rc = 0;
    }
    xml_close(x);
    strbuf_release(&bytes);
    return rc < 0 ? rc : 0;
}

void opc_rels_release(RelList *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->p[i].id);
        free(list->p[i].type);
        free(list->p[i].target);
    }
    vec_release(list);
}

const char *rel_target(const RelList *l, const char *id, const char *type)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(id ? l->p[i].id : l->p[i].type, id ? id : type) == 0)
            return l->p[i].target;
    return NULL;
}

int opc_main(Opc *o, char **member, Err *e)
{
    RelList rels = { 0 };
    int     rc = opc_rels(o, "", &rels, e);
    const char *target = rc ? NULL : rel_target(&rels, NULL, "officeDocument");
    *member = NULL;
    if (!rc && (!target || zip_find(o->zip, target) < 0))
        rc = err_set(e, ERR_INPUT, "the office document has no main part (%s); the file is damaged", target ? "its relation leads nowhere" : "no relation names it");
    else if (!rc)
        *member = mem_strdup(target);
    opc_rels_release(&rels);
    return rc;
}

int opc_properties(Opc *o, Err *e)
{
    DocOut *d = o->w->out;
    const struct { const char *tag; char **field; const char *key; } fields[] = {
        { "title", &d->title, NULL }, { "creator", &d->author, NULL }, { "modified", &d->date, NULL }, { "created", NULL, "created" },
        { "subject", NULL, "subject" }, { "keywords", NULL, "keywords" }, { "description", NULL, "description" }, { "language", NULL, "language" },
    };
    StrBuf bytes = { 0 }, text = { 0 };
    Xml   *x = NULL;
    RelList rels = { 0 };
    int rc = opc_rels(o, "", &rels, e);
    const char *target = rc ? NULL : rel_target(&rels, NULL, "core-properties");
    if (!rc && target)
        rc = opc_xml(o, target, &bytes, &x, e);
    while (x && !rc && (rc = xml_next(x, e)) > 0) {
        const bool open = rc == XML_OPEN;
        rc = 0;
        for (size_t i = 0; open && i < ARRAY_LEN(fields); i++)
            if (xml_is(x, fields[i].tag)) {
                strbuf_clear(&text);
                rc = xml_inner(x, &text, e);
                if (!rc && fields[i].field)
                    work_field(o->w, fields[i].field, strbuf_str(&text));
                else if (!rc)
                    work_meta(o->w, fields[i].key, strbuf_str(&text));
                break;
            }
    }
    xml_close(x);
    opc_rels_release(&rels);
    strbuf_release(&bytes);
    strbuf_release(&text);
    return rc < 0 ? rc : 0;
}
