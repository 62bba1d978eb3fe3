/* xlsx.c - workbooks (ECMA-376 part 1, SpreadsheetML): a part for each sheet, one pipe table each, its first row with text as the head. Rows and
 * columns without any text are left out, so that a cell far away costs nothing. Cells are shown as follows: text as it is; true and false in capitals;
 * numbers with at most 15 digits, which is what such programs keep; percentages and dates (ISO 8601) where the cell's format says so; a formula
 * by its stored result, and as "=..." where the file has none. Hidden sheets are kept and marked in meta.
 * Bounds: XLSX_CELLS_MAX cells with text in a sheet. To know another built-in format: a row in builtin[]. */
#include "docs/doc_int.h"

#include <math.h>

#include "base/mem.h"

#define XLSX_CELLS_MAX   20000000
#define XLSX_STYLES_MAX  65536
#define XLSX_COLUMNS     16384
#define XLSX_ROWS        1048576

typedef enum { SHOW_GENERAL, SHOW_PERCENT, SHOW_DATE, SHOW_TIME, SHOW_DATE_TIME } ShowAs;
typedef struct Show { ShowAs as; int decimals; } Show;
typedef struct Format { int id; Show show; } Format;

/* ECMA-376 part 1, 18.8.30; the rest of the built-in formats shows plain numbers. */
static const Format builtin[] = {
    { 9, { SHOW_PERCENT, 0 } }, { 10, { SHOW_PERCENT, 2 } }, { 14, { SHOW_DATE } }, { 15, { SHOW_DATE } }, { 16, { SHOW_DATE } }, { 17, { SHOW_DATE } },
    { 18, { SHOW_TIME } }, { 19, { SHOW_TIME } }, { 20, { SHOW_TIME } }, { 21, { SHOW_TIME } }, { 22, { SHOW_DATE_TIME } }, { 45, { SHOW_TIME } },
    { 46, { SHOW_TIME } }, { 47, { SHOW_TIME } },
};

typedef struct Xlsx {
    Opc         opc;
    DocWork    *w;
    StrBuf      shared;             /* the shared strings, each with its zero */
    VEC(size_t) at;                 /* where each begins */
    VEC(Format) format;             /* of the file */
    VEC(Show)   style;              /* by a cell's s */
    bool        from_1904;
} Xlsx;

/* ---- tables of the workbook ---- */

static int read_shared(Xlsx *b, const char *member, Err *e)
{
    StrBuf bytes = { 0 };
    Xml   *x = NULL;
    bool   in_text = false;
    int    rc = opc_xml(&b->opc, member, &bytes, &x, e);
    while (!rc && (rc = xml_next(x, e)) > 0) {
        const int event = rc;
        rc = 0;
        if (event == XML_OPEN && xml_is(x, "rPh")) { /* how it is pronounced */
            rc = xml_skip(x, e);
        } else if (event == XML_OPEN) {
            in_text = xml_is(x, "t");
            if (xml_is(x, "si"))
                *vec_push(&b->at) = b->shared.n;
        } else if (event == XML_CHARS && in_text) {
            const Str s = xml_chars(x);
            strbuf_add(&b->shared, s.p, s.n);
        } else if (event == XML_CLOSE) {
            in_text = false;
            if (xml_is(x, "si"))
                strbuf_addc(&b->shared, '\0');
        }
        if (!rc && b->shared.over)
            rc = err_set(e, ERR_INPUT, "its text has more than the %zu MiB that are allowed", b->w->limits.text_max >> 20);
    }
    xml_close(x);
    strbuf_release(&bytes);
    return rc < 0 ? rc : 0;
}

/* A format code such as "dd/mm/yyyy hh:mm" or "0.0%": its first section, without quoted text, escapes and [brackets]. */
static Show read_code(const char *code)
{
    Show show = { 0 };
    bool date = false, time = false, point = false, minutes = false;
    for (const char *p = code; *p && *p != ';'; p++) {
        if (*p == '"') {
            for (p++; *p && *p != '"'; p++)
                ;
            if (!*p)
                break;
        } else if (*p == '\\' || *p == '_' || *p == '*') {
            if (!*++p)
                break;
        } else if (*p == '[') {
            time |= strchr("hHmMsS", p[1]) && p[1] && (p[2] == ']' || p[2] == p[1]); /* elapsed time; colours and locales are longer words */
            p += strcspn(p, "]");
            if (!*p)
                break;
        } else if (*p == '%') {
            show.as = SHOW_PERCENT;
        } else if (*p == '.') {
            point = true;
        } else if (*p == '0' && point) {
            show.decimals = MIN(show.decimals + 1, 15);
        } else if (strchr("yYdD", *p)) {
            date = true;
        } else if (strchr("hHsS", *p)) {
            time = true;
        } else if (*p == 'm' || *p == 'M') {
            minutes = true;
        } else if (*p == 'G' || *p == 'E' || *p == 'e') {
            if (strncmp(p, "General", 7) == 0)
                p += 6;
        }
    }
    date |= minutes && !time;
    if (date || time)
        show = (Show){ date && time ? SHOW_DATE_TIME : date ? SHOW_DATE : SHOW_TIME, 0 };
    return show;
}

static Show show_of(const Xlsx *b, int id)
{
    for (size_t i = 0; i < b->format.n; i++)
        if (b->format.p[i].id == id)
            return b->format.p[i].show;
    for (size_t i = 0; i < ARRAY_LEN(builtin); i++)
        if (builtin[i].id == id)
            return builtin[i].show;
    return (Show){ 0 };
}

static int read_styles(Xlsx *b, const char *member, Err *e)
{
    StrBuf bytes = { 0 };
    Xml   *x = NULL;
    bool   in_cells = false;
    int    rc = opc_xml(&b->opc, member, &bytes, &x, e);
    while (!rc && (rc = xml_next(x, e)) > 0) {
        const int event = rc;
        rc = 0;
        if (xml_is(x, "cellXfs"))
            in_cells = event == XML_OPEN;
        if (event != XML_OPEN || b->style.n >= XLSX_STYLES_MAX || b->format.n >= XLSX_STYLES_MAX)
            continue;
        const char *id = xml_is(x, "numFmt") || (in_cells && xml_is(x, "xf")) ? xml_attr(x, "numFmtId") : NULL;
        const int   number = id ? (int)strtol(id, NULL, 10) : 0;
        if (xml_is(x, "numFmt")) {
            const char *code = xml_attr(x, "formatCode");
            *vec_push(&b->format) = (Format){ number, read_code(code ? code : "") };
        } else if (in_cells && xml_is(x, "xf")) {
            *vec_push(&b->style) = show_of(b, number);
        }
    }
    xml_close(x);
    strbuf_release(&bytes);
    return rc < 0 ? rc : 0;
}

/* ---- cells ---- */

/* Civil date of a day number, by the algorithm of Howard Hinnant's chrono-compatible calendar paper; days count from 1970-01-01. */
static void civil(int64_t days, int64_t *y, int *m, int *d)
{
    days += 719468;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097, of_era = days - era * 146097;
    const int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365, day = of_era - (365 * year + year / 4 - year / 100);
    const int64_t month = (5 * day + 2) / 153;
    *d = (int)(day - (153 * month + 2) / 5 + 1);
    *m = (int)(month < 10 ? month + 3 : month - 9);
    *y = year + era * 400 + (*m <= 2);
}

static void put_date(const Xlsx *b, StrBuf *out, double serial, ShowAs as)
{
    int64_t seconds = llround((serial - floor(serial)) * 86400), day = (int64_t)floor(serial), y;
    int     m, d;
    day += seconds / 86400;
    seconds %= 86400;
    if (as == SHOW_TIME && day > 0)
        strbuf_addf(out, "%lld:%02d:%02d", (long long)(day * 24 + seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60));
    else if (as == SHOW_TIME)
        strbuf_addf(out, "%02d:%02d:%02d", (int)(seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60));
    if (as == SHOW_TIME)
        return;
    /* Day 60 of the 1900 system is a 29 February that never was; days before it lie one off. */
    const int64_t base = b->from_1904 ? -24107 : day < 60 ? -25568 : -25569;
    civil(day + base, &y, &m, &d);
    strbuf_addf(out, "%04lld-%02d-%02d", (long long)y, m, d);
    if (as == SHOW_DATE_TIME || seconds)
        strbuf_addf(out, " %02d:%02d:%02d", (int)(seconds / 3600), (int)(seconds / 60 % 60), (int)(seconds % 60));
}

static void put_number(const Xlsx *b, StrBuf *out, const char *text, Show show)
{
    char        *end;
    const double v = strtod(text, &end);
    if (end == text || *end || !isfinite(v)) {
        strbuf_addz(out, text); /* not what the format promises: shown as it stands */
    } else if (show.as == SHOW_PERCENT) {
        strbuf_addf(out, "%.*f%%", show.decimals, v * 100);
    } else if (show.as != SHOW_GENERAL && v >= 0 && v < 2958466) { /* up to the year 9999 */
        put_date(b, out, v, show.as);
    } else {
        strbuf_addf(out, "%.15g", v);
    }
}

typedef struct Cell {
    int    column, row;
    char   type;                    /* 's' shared, 'i' inline, 't' text result, 'b', 'e', 'n', 'd' ISO date */
    size_t style;
    StrBuf value, formula, inline_text;
} Cell;

/* "BC23" to zero-based numbers; false when it is no such place. */
static bool read_place(const char *ref, int *row, int *column)
{
    int c = 0;
    while (*ref >= 'A' && *ref <= 'Z' && c < XLSX_COLUMNS)
        c = c * 26 + (*ref++ - 'A' + 1);
    char      *end;
    const long r = strtol(ref, &end, 10);
    if (c < 1 || c > XLSX_COLUMNS || end == ref || *end || r < 1 || r > XLSX_ROWS)
        return false;
    *column = c - 1;
    *row = (int)r - 1;
    return true;
}

static int put_cell(Xlsx *b, const Cell *c, StrBuf *text, Err *e)
{
    const char *v = strbuf_z(&c->value);
    const Show  show = c->style < b->style.n ? b->style.p[c->style] : (Show){ 0 };
    if (c->type == 'i') {
        strbuf_add(text, strbuf_z(&c->inline_text), c->inline_text.n);
    } else if (!c->value.n) {
        if (c->formula.n)
            strbuf_addf(text, "=%s", strbuf_z(&c->formula));
    } else if (c->type == 's') {
        char               *end;
        const unsigned long i = strtoul(v, &end, 10);
        if (end == v || *end || i >= b->at.n)
            return err_set(e, ERR_INPUT, "the cell in row %d, column %d names shared text %.20s, and there are %zu; the file is damaged", c->row + 1,
                           c->column + 1, v, b->at.n);
        strbuf_addz(text, b->shared.p + b->at.p[i]);
    } else if (c->type == 'b') {
        strbuf_addz(text, strcmp(v, "0") == 0 ? "FALSE" : "TRUE");
    } else if (c->type == 'n') {
        put_number(b, text, v, show);
    } else {
        strbuf_addz(text, v);
    }
    return 0;
}

/* A sheet as stored: cells with text, in the file's order, which is by rows and then by columns (others are sorted in). */
typedef struct Stored { int row, column; size_t from, n; } Stored;
typedef struct Sheet { VEC(Stored) cell; StrBuf text; } Sheet;

static int by_place(const void *va, const void *vb)
{
    const Stored *a = va, *b = vb;
    return a->row != b->row ? (a->row > b->row) - (a->row < b->row)
         : a->column != b->column ? (a->column > b->column) - (a->column < b->column) : (a->from > b->from) - (a->from < b->from);
}

static int end_cell(Xlsx *b, Sheet *s, const Cell *c, Err *e)
{
    StrBuf flat = { 0 }, raw = { .max = s->text.max };
    int    rc = put_cell(b, c, &raw, e);
    md_squeeze(&flat, strbuf_str(&raw));
    if (!rc && flat.n) {
        *vec_push(&s->cell) = (Stored){ c->row, c->column, s->text.n, flat.n };
        strbuf_add(&s->text, flat.p, flat.n);
        if (s->text.over || raw.over)
            rc = err_set(e, ERR_INPUT, "its text has more than the %zu MiB that are allowed", b->w->limits.text_max >> 20);
        else if (s->cell.n > XLSX_CELLS_MAX)
            rc = err_set(e, ERR_INPUT, "a sheet has more than the %d filled cells that are allowed", XLSX_CELLS_MAX);
    }
    strbuf_release(&flat);
    strbuf_release(&raw);
    return rc;
}

static int read_sheet(Xlsx *b, const char *member, Sheet *s, Err *e)
{
    static const struct { const char *name; char type; } types[] = {
        { "s", 's' }, { "inlineStr", 'i' }, { "str", 't' }, { "b", 'b' }, { "e", 'e' }, { "n", 'n' }, { "d", 'd' },
    };
    StrBuf  bytes = { 0 };
    Xml    *x = NULL;
    Cell    c = { .row = -1, .column = -1, .value.max = s->text.max, .formula.max = 1 << 16, .inline_text.max = s->text.max };
    StrBuf *into = NULL;
    int     rc = opc_xml(&b->opc, member, &bytes, &x, e);
    while (!rc && (rc = xml_next(x, e)) > 0) {
        const int event = rc;
        rc = 0;
        if (event == XML_CHARS && into) {
            const Str t = xml_chars(x);
            strbuf_add(into, t.p, t.n);
        } else if (event == XML_CLOSE) {
            into = NULL;
            if (xml_is(x, "c"))
                rc = end_cell(b, s, &c, e);
        } else if (event == XML_OPEN && xml_is(x, "rPh")) {
            rc = xml_skip(x, e);
        } else if (event == XML_OPEN && xml_is(x, "row")) {
            const char *r = xml_attr(x, "r");
            const long  n = r ? strtol(r, NULL, 10) : c.row + 2;
            if (n < 1 || n > XLSX_ROWS)
                rc = err_set(e, ERR_INPUT, "%s: row %.20s does not exist; the file is damaged", member, r ? r : "behind the last");
            c.row = (int)n - 1;
            c.column = -1;
        } else if (event == XML_OPEN && xml_is(x, "c")) {
            const char *ref = xml_attr(x, "r");
            c.column++;
            if (c.row < 0 || c.column >= XLSX_COLUMNS || (ref && !read_place(ref, &c.row, &c.column)))
                rc = err_set(e, ERR_INPUT, "%s: a cell has no place in the sheet; the file is damaged", member);
            const char *type = xml_attr(x, "t");
            c.type = 'n';
            for (size_t i = 0; type && i < ARRAY_LEN(types); i++)
                if (strcmp(type, types[i].name) == 0)
                    c.type = types[i].type;
            const char *style = xml_attr(x, "s");
            c.style = style ? strtoul(style, NULL, 10) : 0;
            strbuf_clear(&c.value);
            strbuf_clear(&c.formula);
            strbuf_clear(&c.inline_text);
        } else if (event == XML_OPEN && c.column >= 0) {
            into = xml_is(x, "v") ? &c.value : xml_is(x, "f") ? &c.formula : xml_is(x, "t") ? &c.inline_text : NULL;
        }
    }
    xml_close(x);
    strbuf_release(&bytes);
    strbuf_release(&c.value);
    strbuf_release(&c.formula);
    strbuf_release(&c.inline_text);
    return rc < 0 ? rc : 0;
}

/* The used columns side by side. Written here and not through MdTable, whose cells would each be an allocation. */
static void put_sheet(StrBuf *out, Sheet *s)
{
    int *place = mem_zalloc(XLSX_COLUMNS, sizeof *place), width = 0; /* column -> 1 + its place in the table */
    if (s->cell.n)
        qsort(s->cell.p, s->cell.n, sizeof *s->cell.p, by_place);
    for (size_t i = 0; i < s->cell.n; i++)
        place[s->cell.p[i].column] = 1;
    for (int i = 0; i < XLSX_COLUMNS; i++)
        if (place[i])
            place[i] = ++width;
    for (size_t i = 0; i < s->cell.n && !out->over;) {
        const int row = s->cell.p[i].row, first = i == 0;
        int       at = 0;
        strbuf_addz(out, first ? "|" : "\n|");
        for (; i < s->cell.n && s->cell.p[i].row == row && !out->over; i++) {
            const Stored *c = &s->cell.p[i];
            if (i + 1 < s->cell.n && s->cell.p[i + 1].row == row && s->cell.p[i + 1].column == c->column)
                continue; /* said twice: the last one holds */
            for (at++; at < place[c->column]; at++)
                strbuf_addz(out, " |");
            strbuf_addc(out, ' ');
            for (size_t k = 0; k < c->n; k++) {
                const char ch = s->text.p[c->from + k];
                if (ch == '|')
                    strbuf_addc(out, '\\');
                strbuf_addc(out, ch);
            }
            strbuf_addz(out, " |");
        }
        for (; at < width && !out->over; at++)
            strbuf_addz(out, " |");
        if (first) {
            strbuf_addz(out, "\n|");
            for (int k = 0; k < width; k++)
                strbuf_addz(out, " --- |");
        }
    }
    free(place);
}

static int do_sheet(Xlsx *b, const char *member, const char *name, bool hidden, Err *e)
{
    Sheet  s = { .text.max = work_room(b->w) };
    StrBuf out = { .max = s.text.max };
    int    rc = read_sheet(b, member, &s, e);
    if (!rc) {
        Json *meta = json_obj_new();
        json_set(meta, "sheet", json_str_new(str_of(name)));
        if (hidden)
            json_set(meta, "hidden", json_bool_new(true));
        put_sheet(&out, &s);
        rc = work_part(b->w, DOC_XLSX, &out, meta, e, "sheet %s", name);
    }
    vec_release(&s.cell);
    strbuf_release(&s.text);
    strbuf_release(&out);
    return rc;
}

static int read_workbook(Xlsx *b, const char *main, const RelList *rels, Err *e)
{
    StrBuf bytes = { 0 };
    Xml   *x = NULL;
    int    rc = opc_xml(&b->opc, main, &bytes, &x, e);
    while (!rc && (rc = xml_next(x, e)) > 0) {
        const bool open = rc == XML_OPEN;
        rc = 0;
        if (open && xml_is(x, "workbookPr")) {
            const char *v = xml_attr(x, "date1904");
            b->from_1904 = v && (strcmp(v, "1") == 0 || strcmp(v, "true") == 0);
        } else if (open && xml_is(x, "sheet")) {
            const char *state = xml_attr(x, "state");
            const bool  hidden = state && strcmp(state, "visible") != 0;
            const char *id = xml_rel(x), *target = id ? rel_target(rels, id, NULL) : NULL;
            const char *said = xml_attr(x, "name");
            char       *name = mem_strdup(said ? said : "");
            if (!target || zip_find(b->opc.zip, target) < 0)
                work_note(b->w, "sheet %s is listed but not in the file", name);
            else if (!strstr(target, "chartsheet") && !strstr(target, "dialogsheet"))
                rc = do_sheet(b, target, name, hidden, e);
            else
                work_note(b->w, "sheet %s is a chart and has no cells", name);
            free(name);
        }
    }
    xml_close(x);
    strbuf_release(&bytes);
    return rc < 0 ? rc : 0;
}

int doc_parse_xlsx(DocWork *w, Str bytes, Err *e)
{
    Xlsx    b = { .w = w, .shared.max = w->limits.text_max };
    RelList rels = { 0 };
    char   *main = NULL;
    int     rc = opc_open(&b.opc, w, bytes, e);
    if (!rc)
        rc = opc_properties(&b.opc, e);
    if (!rc)
        rc = opc_main(&b.opc, &main, e);
    if (!rc && strlen(main) > 4 && strcmp(main + strlen(main) - 4, ".bin") == 0)
        rc = err_set(e, ERR_INPUT, "it is a binary workbook (.xlsb), which is not read; save it as .xlsx");
    if (!rc)
        rc = opc_rels(&b.opc, main, &rels, e);
    if (!rc && rel_target(&rels, NULL, "sharedStrings"))
        rc = read_shared(&b, rel_target(&rels, NULL, "sharedStrings"), e);
    if (!rc && rel_target(&rels, NULL, "styles"))
        rc = read_styles(&b, rel_target(&rels, NULL, "styles"), e);
    if (!rc)
        rc = read_workbook(&b, main, &rels, e);
    opc_rels_release(&rels);
    opc_close(&b.opc);
    strbuf_release(&b.shared);
    vec_release(&b.at);
    vec_release(&b.format);
    vec_release(&b.style);
    free(main);
    return rc;
}
