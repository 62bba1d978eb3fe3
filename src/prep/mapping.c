/* mapping.c - see mapping.h. A template is cut once into pieces, each a literal text or a column. */
#include "prep/mapping.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "base/vec.h"
#include "prep/record.h"

typedef struct Piece { bool column; StrBuf text; } Piece;
struct Mapping { VEC(Piece) piece; const char *option; };

static Piece *piece_add(Mapping *m, bool column)
{
    Piece *p = vec_push(&m->piece);
    p->column = column;
    return p;
}

static Piece *literal(Mapping *m)
{
    Piece *last = m->piece.n ? &m->piece.p[m->piece.n - 1] : NULL;
    return last && !last->column ? last : piece_add(m, false);
}

int mapping_new(Mapping **out, const char *template, const char *option, Err *e)
{
    Mapping *m = mem_zalloc(1, sizeof *m);
    int      rc = 0;
    m->option = option;
    for (const char *p = template; *p && !rc;) {
        const char *end = strchr(p, '}');
        if ((p[0] == '{' || p[0] == '}') && p[1] == p[0]) {
            strbuf_addc(&literal(m)->text, *p);
            p += 2;
        } else if (*p == '}') {
            rc = err_set(e, ERR_ARG, "%s: \"}\" at character %d has no \"{\" before it; write \"}}\" for a brace", option, (int)(p - template) + 1);
        } else if (*p == '{' && (!end || end == p + 1)) {
            rc = err_set(e, ERR_ARG, "%s: \"{\" at character %d needs a column's name and \"}\" behind it; write \"{{\" for a brace", option, (int)(p - template) + 1);
        } else if (*p == '{') {
            strbuf_add(&piece_add(m, true)->text, p + 1, (size_t)(end - p - 1));
            p = end + 1;
        } else {
            strbuf_addc(&literal(m)->text, *p++);
        }
    }
    if (rc) {
        mapping_free(m);
        return rc;
    }
    *out = m;
    return 0;
}

void mapping_free(Mapping *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->piece.n; i++)
        strbuf_release(&m->piece.p[i].text);
    vec_release(&m->piece);
    free(m);
}

/* A column by its whole name first: names of tables may hold dots. */
static const Json *find(const Json *row, const char *path)
{
    const Json *v = json_get(row, path);
    const char *dot = v ? NULL : strchr(path, '.');
    if (!dot)
        return v;
    char *head = mem_strndup(path, (size_t)(dot - path));
    v = json_get(row, head);
    free(head);
    return v ? find(v, dot + 1) : NULL;
}

static void core_of(StrBuf *out, Str name)
{
    for (size_t i = 0; i < name.n;) {
        uint32_t  cp = 0;
        char      one[4];
        const int n = utf8_decode(name.p + i, name.n - i, &cp);
        if (n > 0 && (utf8_is_alpha(cp) || utf8_is_number(cp)))
            strbuf_add(out, one, (size_t)utf8_encode(utf8_lower_one(cp), one));
        i += (size_t)MAX(n, 1);
    }
}

bool names_alike(Str a, Str b)
{
    StrBuf x = { 0 }, y = { 0 };
    core_of(&x, a);
    core_of(&y, b);
    const bool alike = x.n && str_eq(strbuf_str(&x), strbuf_str(&y));
    strbuf_release(&x);
    strbuf_release(&y);
    return alike;
}

static int no_column(const Mapping *m, const Json *row, const char *name, Err *e)
{
    StrBuf   list = { .max = 400 }, meant = { .max = 200 };
    JsonIter it = { 0 };
    Str      key;
    Json    *value;
    while (json_each(row, &it, &key, &value)) {
        strbuf_addf(&list, "%s%.*s", list.n ? ", " : "", (int)key.n, key.p);
        if (!meant.n && names_alike(key, str_of(name)))
            strbuf_addf(&meant, " (did you mean \"%.*s\"?)", (int)key.n, key.p);
    }
    err_set(e, ERR_INPUT, "%s asks for the column \"%s\"%s; the row has %s%s", m->option, name, strbuf_z(&meant), list.n ? strbuf_z(&list) : "none", list.over ? ", ..." : "");
    strbuf_release(&list);
    strbuf_release(&meant);
    return ERR_INPUT;
}

int mapping_apply(const Mapping *m, const Json *row, StrBuf *out, Err *e)
{
    for (size_t i = 0; i < m->piece.n; i++) {
        const Piece *p = &m->piece.p[i];
        const Json  *v = p->column ? find(row, strbuf_z(&p->text)) : NULL;
        if (!p->column)
            strbuf_add(out, p->text.p, p->text.n);
        else if (!v)
            return no_column(m, row, strbuf_z(&p->text), e);
        else if (json_kind(v) == JSON_STRING)
            strbuf_add(out, json_str(v).p, json_str(v).n);
        else if (json_kind(v) != JSON_NULL)
            json_write(out, v, false);
    }
    return 0;
}

static bool told_before(const Mapping *m, size_t piece)
{
    for (size_t i = 0; i < piece; i++)
        if (m->piece.p[i].column && str_eq(strbuf_str(&m->piece.p[i].text), strbuf_str(&m->piece.p[piece].text)))
            return true;
    return false;
}

void mapping_gaps(const Mapping *m, const Json *row, StrBuf *out)
{
    for (size_t i = 0; m && i < m->piece.n; i++) {
        const Piece *p = &m->piece.p[i];
        const Json  *v = p->column ? find(row, strbuf_z(&p->text)) : NULL;
        if (v && (json_kind(v) == JSON_NULL || (json_kind(v) == JSON_STRING && record_blank(json_str(v)))) && !told_before(m, i)) {
            strbuf_addf(out, "the column \"%s\" of %s is empty", strbuf_z(&p->text), m->option);
            strbuf_addc(out, '\0');
        }
    }
}

bool mapping_fits(const Mapping *m, const Json *row)
{
    for (size_t i = 0; m && i < m->piece.n; i++)
        if (m->piece.p[i].column && !find(row, strbuf_z(&m->piece.p[i].text)))
            return false;
    return true;
}

bool mapping_uses(const Mapping *m, Str column)
{
    for (size_t i = 0; m && i < m->piece.n; i++)
        if (m->piece.p[i].column && str_eq(strbuf_str(&m->piece.p[i].text), column))
            return true;
    return false;
}
