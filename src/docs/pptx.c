/* pptx.c - presentations (ECMA-376 part 1, PresentationML): a part for each slide in the order of the show. The title is a heading, text of
 * placeholders is a list by its indentation, other text boxes are paragraphs, tables are pipe tables, the speaker's notes follow behind "Notes:".
 * Slide numbers, dates and footers are passed over. Shapes come in the file's order, which is that of painting. */
#include "docs/doc_int.h"

#include "base/mem.h"

typedef enum { SHAPE_BOX, SHAPE_TITLE, SHAPE_BODY, SHAPE_SKIP } ShapeKind;

/* Kinds of placeholders; the others, and one without a kind, are bodies. */
static const struct { const char *type; ShapeKind kind; } kinds[] = {
    { "title", SHAPE_TITLE }, { "ctrTitle", SHAPE_TITLE }, { "subTitle", SHAPE_BOX }, { "sldNum", SHAPE_SKIP }, { "dt", SHAPE_SKIP },
    { "ftr", SHAPE_SKIP }, { "hdr", SHAPE_SKIP }, { "sldImg", SHAPE_SKIP },
};

typedef struct Slide {
    Md       *md;
    ShapeKind shape;
    StrBuf    para, cell, title;
    int       level;
    bool      in_para, in_text, bullet, in_cell, hidden, notes;
    MdTable   table;
    int       tables;
} Slide;

static void end_para(Slide *s)
{
    StrBuf flat = { 0 };
    md_squeeze(&flat, strbuf_str(&s->para));
    if (s->in_cell) {
        if (s->cell.n && flat.n)
            strbuf_addc(&s->cell, ' ');
        strbuf_add(&s->cell, flat.p, flat.n);
    } else if (s->shape == SHAPE_TITLE) {
        md_para(s->md, 1, strbuf_str(&flat));
        strbuf_addf(&s->title, "%s%s", s->title.n ? " " : "", strbuf_z(&flat));
    } else if (s->shape == SHAPE_BODY && s->bullet && !s->notes) {
        md_item(s->md, s->level, "-", strbuf_str(&flat));
    } else if (s->shape != SHAPE_SKIP) {
        md_para(s->md, 0, strbuf_str(&flat));
    }
    strbuf_release(&flat);
    strbuf_clear(&s->para);
}

static void open_element(Slide *s, Xml *x)
{
    const char *val;
    if (xml_is(x, "sp") || xml_is(x, "graphicFrame") || xml_is(x, "pic")) {
        s->shape = SHAPE_BOX;
    } else if (xml_is(x, "sld")) {
        val = xml_attr(x, "show");
        s->hidden = val && (strcmp(val, "0") == 0 || strcmp(val, "false") == 0);
    } else if (xml_is(x, "ph")) {
        val = xml_attr(x, "type");
        s->shape = SHAPE_BODY;
        for (size_t i = 0; val && i < ARRAY_LEN(kinds); i++)
            if (strcmp(val, kinds[i].type) == 0)
                s->shape = kinds[i].kind;
    } else if (xml_is(x, "tbl")) {
        s->tables++;
        table_clear(&s->table);
    } else if (s->tables && xml_is(x, "tr")) {
        table_row(&s->table);
    } else if (s->tables && xml_is(x, "tc")) {
        s->in_cell = true;
        strbuf_clear(&s->cell);
    } else if (xml_is(x, "p")) {
        s->in_para = true;
        s->bullet = true;
        s->level = 0;
        strbuf_clear(&s->para);
    } else if (xml_is(x, "pPr")) {
        val = xml_attr(x, "lvl");
        s->level = val ? MIN(MAX((int)strtol(val, NULL, 10), 0), 8) : 0;
    } else if (xml_is(x, "buNone")) {
        s->bullet = false;
    } else if (xml_is(x, "br") && s->in_para) {
        strbuf_addc(&s->para, '\v');
    } else if (xml_is(x, "cNvPr")) {
        val = xml_attr(x, "descr");
        if (val && *val && !s->notes && s->shape == SHAPE_BOX) {
            StrBuf text = { 0 }, flat = { 0 };
            strbuf_addf(&text, "[picture: %s]", val);
            md_squeeze(&flat, strbuf_str(&text));
            md_para(s->md, 0, strbuf_str(&flat));
            strbuf_release(&text);
            strbuf_release(&flat);
        }
    }
    s->in_text = xml_is(x, "t");
}

static void close_element(Slide *s, Xml *x)
{
    s->in_text = false;
    if (xml_is(x, "p") && s->in_para) {
        end_para(s);
        s->in_para = false;
    } else if (xml_is(x, "tc") && s->in_cell) {
        table_cell(&s->table, strbuf_str(&s->cell));
        s->in_cell = false;
    } else if (xml_is(x, "tbl") && s->tables) {
        s->tables--;
        md_table(s->md, &s->table);
        table_clear(&s->table);
    }
}

static int read_slide(Opc *o, const char *member, Slide *s, Err *e)
{
    StrBuf bytes = { 0 };
    Xml   *x = NULL;
    int    rc = opc_xml(o, member, &bytes, &x, e);
    while (!rc && (rc = xml_next(x, e)) > 0) {
        const int event = rc;
        rc = 0;
        if (event == XML_OPEN && xml_is(x, "Fallback")) {
            rc = xml_skip(x, e);
        } else if (event == XML_OPEN) {
            open_element(s, x);
        } else if (event == XML_CHARS && s->in_text && s->in_para) {
            const Str t = xml_chars(x);
            strbuf_add(&s->para, t.p, t.n);
        } else if (event == XML_CLOSE) {
            close_element(s, x);
        }
    }
    xml_close(x);
    strbuf_release(&bytes);
    return rc < 0 ? rc : 0;
}

static int put_slide(Opc *o, const char *member, size_t number, Err *e)
{
    DocWork *w = o->w;
    StrBuf   out = { .max = work_room(w) }, notes = { .max = out.max };
    Md       md = { .out = &out }, note_md = { .out = &notes };
    Slide    s = { .md = &md, .para.max = out.max, .cell.max = out.max, .title.max = 1 << 16 };
    RelList  rels = { 0 };
    int      rc = read_slide(o, member, &s, e);
    if (!rc)
        rc = opc_rels(o, member, &rels, e);
    if (!rc && rel_target(&rels, NULL, "notesSlide")) {
        s.md = &note_md;
        s.notes = true;
        const bool hidden = s.hidden;
        rc = read_slide(o, rel_target(&rels, NULL, "notesSlide"), &s, e);
        s.hidden = hidden;
    }
    if (!rc && notes.n) {
        md_para(&md, 0, STR_LIT("Notes:"));
        md_para(&md, 0, strbuf_str(&notes));
    }
    if (!rc) {
        Json *meta = json_obj_new();
        if (s.title.n)
            json_set(meta, "title", json_str_new(strbuf_str(&s.title)));
        if (s.hidden)
            json_set(meta, "hidden", json_bool_new(true));
        out.over |= s.para.over | s.cell.over | notes.over;
        if (number == 1)
            work_field(w, &w->out->title, strbuf_str(&s.title));
        rc = work_part(w, DOC_PPTX, &out, meta, e, "slide %zu", number);
    }
    opc_rels_release(&rels);
    table_release(&s.table);
    strbuf_release(&s.para);
    strbuf_release(&s.cell);
    strbuf_release(&s.title);
    strbuf_release(&out);
    strbuf_release(&notes);
    return rc;
}

int doc_parse_pptx(DocWork *w, Str bytes, Err *e)
{
    Opc     o = { 0 };
    RelList rels = { 0 };
    StrBuf  text = { 0 };
    Xml    *x = NULL;
    char   *main = NULL;
    size_t  number = 0;
    int     rc = opc_open(&o, w, bytes, e);
    if (!rc)
        rc = opc_properties(&o, e);
    if (!rc)
        rc = opc_main(&o, &main, e);
    if (!rc)
        rc = opc_rels(&o, main, &rels, e);
    if (!rc)
        rc = opc_xml(&o, main, &text, &x, e);
    while (!rc && (rc = xml_next(x, e)) > 0) {
        const bool slide = rc == XML_OPEN && xml_is(x, "sldId");
        rc = 0;
        if (!slide)
            continue;
        const char *id = xml_rel(x), *target = id ? rel_target(&rels, id, NULL) : NULL;
        number++;
        if (!target || zip_find(o.zip, target) < 0)
            work_note(w, "slide %zu is listed but not in the file", number);
        else
            rc = put_slide(&o, target, number, e);
    }
    xml_close(x);
    opc_rels_release(&rels);
    strbuf_release(&text);
    free(main);
    opc_close(&o);
    return rc < 0 ? rc : 0;
}
