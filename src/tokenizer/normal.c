/* normal.c - steps that rewrite the text: the normalisers of tokenizer.json, and the byte spelling that pre-tokenizers share with them.
 *
 * step_rewrite walks the unfinished pieces and lets one verb write each of them anew. A verb says for all it writes which bytes of the user's
 * text it came from: a replaced stretch points at what it replaced, an inserted prefix at the first character. Where the library sees its
 * beginning elsewhere (Align.origin), the verb says that too.
 *
 * The classes of characters are the library's own (classes.c), so normal forms, lower case, accents and the rest agree for every character there is.
 *
 * To add a normaliser: a row in normalisers[] that parses it into the steps we have; a new verb only when no row can say it. */
#include "base/utf8.h"
#include "tokenizer/tok_int.h"

/* --- the verbs: write piece p of w->text ------------------------------------------------------------------------------------------ */

/* The library behind utf8_normalise sorts a run of marks in quadratic time, which a hostile text could use to stop us: a run is bounded. No
 * writing stacks more than a handful (the stream-safe format of Unicode Annex 15 allows 30). The table: what is sorted but not of category Mn. */
#define MARKS_MAX 1024
#define YOUNG_FIRST 0x7FDu /* no character below is in CLASS_YOUNG */

static const struct { uint32_t first, last; } other_marks[] = {
    { 0x1715, 0x1715 },   { 0x1734, 0x1734 },   { 0x1B44, 0x1B44 },   { 0x1BAA, 0x1BAA },   { 0x1BF2, 0x1BF3 },   { 0x302E, 0x302F },
    { 0xA953, 0xA953 },   { 0xA9C0, 0xA9C0 },   { 0xFF9E, 0xFF9F },   { 0x111C0, 0x111C0 }, { 0x11235, 0x11235 }, { 0x1134D, 0x1134D },
    { 0x116B6, 0x116B6 }, { 0x1193D, 0x1193D }, { 0x11F41, 0x11F41 }, { 0x16FF0, 0x16FF1 }, { 0x1D165, 0x1D166 }, { 0x1D16D, 0x1D172 },
};

static bool is_mark(uint32_t cp)
{
    if (cp < 0x300)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(other_marks); i++)
        if (cp >= other_marks[i].first && cp <= other_marks[i].last)
            return true;
    return utf8_is_mark_nonspacing(cp);
}

static int check_marks(Str s, Err *e)
{
    size_t run = 0;
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        i += (size_t)utf8_decode(s.p + i, s.n - i, &cp);
        run = is_mark(cp) ? run + 1 : 0;
        if (run > MARKS_MAX)
            return err_set(e, ERR_INPUT, "the text has more than %d combining marks in a row, which is no writing", MARKS_MAX);
    }
    return 0;
}

/* How the library counts for the origins (see work_origins): of what a character is parted into the first has 0, the others 1; each keeps its number
 * when marks are sorted; what is joined has the sum less 1 for each joint. The parts of what came out are found again among the parts of what
 * went in, the first of several equal ones first: sorting and joining keep the order of equals. */
typedef struct Part { uint32_t cp; int change; } Part; /* cp UINT32_MAX: used up */
typedef VEC(Part) Parts;

static void parts_of(Parts *parts, StrBuf *tmp, Str c, Utf8Form form)
{
    strbuf_clear(tmp);
    utf8_normalise(tmp, c, form);
    vec_clear(parts);
    for (size_t i = 0; i < tmp->n;) {
        Part *part = vec_push(parts);
        part->change = i > 0;
        i += (size_t)utf8_decode(tmp->p + i, tmp->n - i, &part->cp);
    }
}

/* Writes what [begin, end) has become. */
static void form_put(Work *w, size_t begin, size_t end, Str out, Utf8Form form)
{
    Str in = { w->text.p + begin, end - begin };
    Parts parts = { 0 }, list = { 0 };
    StrBuf tmp = { 0 };
    uint32_t cp;
    size_t first = 0, written = work_written(w); /* of the list all before `first` is used up */
    work_put(w, out.p, out.n, work_align(w, begin, end));
    vec_clear(&w->changes);
    for (size_t i = 0, len; i < in.n; i += len) {
        len = (size_t)utf8_decode(in.p + i, in.n - i, &cp);
        parts_of(&parts, &tmp, (Str){ in.p + i, len }, form == UTF8_NFC || form == UTF8_NFD ? UTF8_NFD : UTF8_NFKD);
        for (size_t k = 0; k < parts.n; k++)
            *vec_push(&list) = parts.p[k];
    }
    for (size_t i = 0, len; i < out.n; i += len) {
        len = (size_t)utf8_decode(out.p + i, out.n - i, &cp);
        parts_of(&parts, &tmp, (Str){ out.p + i, len }, UTF8_NFD);
        int change = 1;
        for (size_t k = 0; k < parts.n; k++) {
            size_t at = first;
            while (at < list.n && list.p[at].cp != parts.p[k].cp)
                at++;
            if (at == list.n)
                continue;
            change += list.p[at].change - 1;
            list.p[at].cp = UINT32_MAX;
            while (first < list.n && list.p[first].cp == UINT32_MAX)
                first++;
        }
        *vec_push(&w->changes) = change;
    }
    work_origins(w, begin, end, written);
    vec_release(&parts);
    vec_release(&list);
    strbuf_release(&tmp);
}

/* Unicode normal forms know nothing of spans, so the piece is normalised whole (that decides the text) and, when spans are wanted, once more in
 * groups that begin at a character which neither is a mark nor reacts with its neighbour. When the groups together give the same text, each
 * group's output points at the group; otherwise all of it points at the whole stretch. */
static void form_aligned(Work *w, size_t begin, size_t end, Utf8Form form)
{
    StrBuf whole = { 0 }, part = { 0 };
    utf8_normalise(&whole, (Str){ w->text.p + begin, end - begin }, form);
    VEC(size_t) bounds = { 0 }; /* pairs: end of group in the input, end of its output */
    bool same = true;
    size_t done = 0;
    for (size_t i = begin; i < end && same;) {
        uint32_t cp, next;
        size_t len = (size_t)utf8_decode(w->text.p + i, end - i, &cp), j = i + len;
        while (j < end) { /* extend over all that clings to the first character */
            size_t nlen = (size_t)utf8_decode(w->text.p + j, end - j, &next);
            if (next < 0x300)
                break;
            if (!is_mark(next)) {
                strbuf_clear(&part);
                utf8_normalise(&part, (Str){ w->text.p + i, j - i }, form);
                utf8_normalise(&part, (Str){ w->text.p + j, nlen }, form);
                size_t apart = part.n;
                utf8_normalise(&part, (Str){ w->text.p + i, j + nlen - i }, form);
                if (part.n == 2 * apart && memcmp(part.p, part.p + apart, apart) == 0)
                    break;
            }
            j += nlen;
        }
        strbuf_clear(&part);
        utf8_normalise(&part, (Str){ w->text.p + i, j - i }, form);
        same = done + part.n <= whole.n && memcmp(whole.p + done, part.p, part.n) == 0;
        done += part.n;
        *vec_push(&bounds) = j;
        *vec_push(&bounds) = done;
        i = j;
    }
    if (same && done == whole.n) {
        size_t from = begin, at = 0;
        for (size_t k = 0; k < bounds.n; k += 2) {
            if (bounds.p[k + 1] - at == bounds.p[k] - from && memcmp(whole.p + at, w->text.p + from, bounds.p[k] - from) == 0)
                work_copy(w, from, bounds.p[k]); /* as it was: each character keeps its own span */
            else
                form_put(w, from, bounds.p[k], (Str){ whole.p + at, bounds.p[k + 1] - at }, form);
            from = bounds.p[k];
            at = bounds.p[k + 1];
        }
    } else {
        form_put(w, begin, end, strbuf_str(&whole), form);
    }
    vec_release(&bounds);
    strbuf_release(&whole);
    strbuf_release(&part);
}

static void form_part(Work *w, const Step *s, size_t begin, size_t end)
{
    if (begin == end)
        return;
    if (w->aligned) {
        form_aligned(w, begin, end, (Utf8Form)s->form);
        return;
    }
    strbuf_clear(&w->tmp);
    utf8_normalise(&w->tmp, (Str){ w->text.p + begin, end - begin }, (Utf8Form)s->form);
    work_put(w, w->tmp.p, w->tmp.n, (Align){ 0 });
}

/* The library's tables are some Unicode versions old: to a character that they lack nothing happens, and nothing is moved across it. */
static int write_form(Work *w, const Step *s, Piece p, Err *e)
{
    (void)e;
    size_t done = p.begin;
    for (size_t i = p.begin, len; i < p.end; i += len) {
        uint32_t cp = (unsigned char)w->text.p[i];
        len = cp < 0x80 ? 1 : (size_t)utf8_decode(w->text.p + i, p.end - i, &cp);
        if (cp < YOUNG_FIRST || !class_has(CLASS_YOUNG, cp))
            continue;
        form_part(w, s, done, i);
        work_copy(w, i, i + len);
        done = i + len;
    }
    form_part(w, s, done, p.end);
    return 0;
}

static int write_lower(Work *w, const Step *s, Piece p, Err *e)
{
    (void)s;
    (void)e;
    for (size_t i = p.begin, run; i < p.end;) {
        for (run = i; run < p.end && (unsigned char)w->text.p[run] < 0x80 && !(w->text.p[run] >= 'A' && w->text.p[run] <= 'Z'); run++)
            ;
        work_copy(w, i, run);
        i = run;
        if (i == p.end)
            break;
        uint32_t cp;
        size_t len = (size_t)utf8_decode(w->text.p + i, p.end - i, &cp);
        strbuf_clear(&w->tmp);
        uint32_t young = char_young_lower(cp);
        char bytes[4];
        if (young)
            strbuf_add(&w->tmp, bytes, (size_t)utf8_encode(young, bytes));
        else
            utf8_lower(&w->tmp, (Str){ w->text.p + i, len });
        work_put(w, w->tmp.p, w->tmp.n, work_align(w, i, i + len));
        i += len;
    }
    return 0;
}

static int write_strip(Work *w, const Step *s, Piece p, Err *e)
{
    (void)e;
    size_t begin = p.begin, end = p.end;
    uint32_t cp;
    for (int len; s->left && begin < end && (len = utf8_decode(w->text.p + begin, end - begin, &cp), utf8_is_space(cp)); begin += (size_t)len)
        ;
    while (s->right && end > begin) {
        size_t at = end - 1;
        while (((unsigned char)w->text.p[at] & 0xC0) == 0x80)
            at--;
        utf8_decode(w->text.p + at, end - at, &cp);
        if (!utf8_is_space(cp))
            break;
        end = at;
    }
    work_copy(w, begin, end);
    return 0;
}

static int write_replace(Work *w, const Step *s, Piece p, Err *e)
{
    Str in = { w->text.p + p.begin, p.end - p.begin };
    PatternIter it = { 0, SIZE_MAX };
    size_t begin, end, done = 0;
    int rc;
    while ((rc = pattern_next(&s->pattern, w->matcher, in, &it, &begin, &end, e)) > 0) {
        work_copy(w, p.begin + done, p.begin + begin);
        Align from = work_align(w, p.begin + (end > begin || !begin ? begin : begin - 1), p.begin + MAX(end, 1));
        if (!end)
            from.span.end = from.span.begin;
        else
            from.origin = work_align(w, p.begin + end - 1, p.begin + end).origin; /* of the last character that goes */
        work_put(w, s->content.p, s->content.n, from);
        done = end;
    }
    work_copy(w, p.begin + done, p.end);
    return rc;
}

static int write_prepend(Work *w, const Step *s, Piece p, Err *e)
{
    (void)e;
    Str in = { w->text.p + p.begin, p.end - p.begin };
    bool there = in.n >= s->content.n && memcmp(in.p, s->content.p, s->content.n) == 0, put = s->when == PREPEND_ALWAYS;
    if (s->when == PREPEND_START)
        put = w->next.n == 0;
    else if (!there)
        put = put || s->when == PREPEND_MISSING || work_align(w, p.begin, p.begin + 1).origin == 0;
    if (put)
        work_put(w, s->content.p, s->content.n, work_align(w, p.begin, p.begin + 1));
    work_copy(w, p.begin, p.end);
    return 0;
}

static int write_bytes(Work *w, const Step *s, Piece p, Err *e)
{
    (void)s;
    (void)e;
    for (size_t i = p.begin; i < p.end; i++) {
        char c[4];
        int n = byte_char((unsigned char)w->text.p[i], c);
        work_put(w, c, (size_t)n, work_align(w, i, i + 1));
    }
    return 0;
}

static int write_chars(Work *w, const Step *s, Piece p, Err *e)
{
    (void)e;
    size_t done = p.begin; /* what stays is copied in one go */
    for (size_t i = p.begin, len; i < p.end; i += len) {
        uint32_t cp = (unsigned char)w->text.p[i];
        char out[12];
        len = cp < 0x80 ? 1 : (size_t)utf8_decode(w->text.p + i, p.end - i, &cp);
        int n = s->write(cp, out);
        if (n == CHAR_SAME)
            continue;
        work_copy(w, done, i);
        work_put(w, out, (size_t)n, work_align(w, i, i + len));
        done = i + len;
    }
    work_copy(w, done, p.end);
    return 0;
}

static int write_charsmap(Work *w, const Step *s, Piece p, Err *e)
{
    (void)e;
    charsmap_write(w, s->charsmap, p);
    return 0;
}

static int (*const verbs[])(Work *, const Step *, Piece, Err *) = {
    [STEP_FORM] = write_form, [STEP_LOWER] = write_lower,     [STEP_STRIP] = write_strip,
    [STEP_REPLACE] = write_replace, [STEP_PREPEND] = write_prepend, [STEP_BYTES] = write_bytes,
    [STEP_CHARS] = write_chars, [STEP_CHARSMAP] = write_charsmap,
};

static bool is_ascii(Str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    return true;
}

int step_rewrite(Work *w, const Step *s, Err *e)
{
    BUG_ON((size_t)s->kind >= ARRAY_LEN(verbs));
    if (s->kind == STEP_FORM && is_ascii(w->text)) /* its own normal form in all four */
        return 0;
    int marks = s->kind == STEP_FORM ? check_marks(w->text, e) : 0;
    if (marks)
        return marks;
    work_begin_write(w);
    for (size_t i = 0; i < w->pieces.n; i++) {
        Piece p = w->pieces.p[i];
        if (p.id < 0) {
            size_t begin = work_written(w);
            int rc = verbs[s->kind](w, s, p, e);
            if (rc)
                return rc;
            p.begin = (uint32_t)begin;
            p.end = (uint32_t)work_written(w);
            if (p.begin == p.end)
                continue;
        }
        *vec_push(&w->next) = p;
    }
    return work_end_write(w, e);
}

/* --- the spelling of bytes as characters ------------------------------------------------------------------------------------------ */

/* GPT-2's alphabet: bytes that print in Latin-1 stand for themselves, the other 68 follow from U+0100 in order. */
static uint32_t byte_code(unsigned b)
{
    if ((b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD))
        return b;
    return b <= 0x20 ? 0x100 + b : b <= 0xA0 ? 0x121 + b - 0x7F : 0x143;
}

int byte_char(unsigned char b, char out[4])
{
    return utf8_encode(byte_code(b), out);
}

int byte_of_char(uint32_t cp)
{
    if (cp < 0x100)
        return byte_code(cp) == cp ? (int)cp : -1;
    if (cp > 0x143)
        return -1;
    return cp <= 0x120 ? (int)cp - 0x100 : cp < 0x143 ? (int)cp - 0x121 + 0x7F : 0xAD;
}

/* --- parsing ---------------------------------------------------------------------------------------------------------------------- */

typedef struct Normaliser {
    const char *name, *keys;
    int (*parse)(StepParse *sp, const struct Normaliser *row, const Json *c, Err *e);
    int form;
    CharWrite *write;
} Normaliser;

static int parse_form(StepParse *sp, const Normaliser *row, const Json *c, Err *e)
{
    (void)c;
    Step *s = step_add(sp, STEP_FORM, e);
    if (!s)
        return ERR_INPUT;
    s->form = row->form;
    return 0;
}

static int parse_plain(StepParse *sp, const Normaliser *row, const Json *c, Err *e)
{
    (void)c;
    return step_add(sp, (StepKind)row->form, e) ? 0 : ERR_INPUT;
}

static int parse_strip(StepParse *sp, const Normaliser *row, const Json *c, Err *e)
{
    (void)row;
    Step *s = step_add(sp, STEP_STRIP, e);
    if (!s)
        return ERR_INPUT;
    int rc = need_bool(c, "strip_left", &s->left, sp->where, e);
    return rc ? rc : need_bool(c, "strip_right", &s->right, sp->where, e);
}

static int parse_prepend(StepParse *sp, const Normaliser *row, const Json *c, Err *e)
{
    (void)row;
    Str text;
    int rc = json_need_str(c, "prepend", &text, sp->where, e);
    if (rc)
        return rc;
    Step *s = step_add(sp, STEP_PREPEND, e);
    if (!s)
        return ERR_INPUT;
    s->content = arena_str(sp->arena, text);
    s->when = PREPEND_ALWAYS;
    return 0;
}

static int parse_replace(StepParse *sp, const Normaliser *row, const Json *c, Err *e)
{
    (void)row;
    Str text;
    int rc = json_need_str(c, "content", &text, sp->where, e);
    if (rc)
        return rc;
    Step *s = step_add(sp, STEP_REPLACE, e);
    if (!s)
        return ERR_INPUT;
    s->content = arena_str(sp->arena, text);
    return pattern_parse(&s->pattern, json_get(c, "pattern"), sp->arena, sp->where, e);
}

/* --- characters one by one --- */

static int put_space(char out[12])
{
    out[0] = ' ';
    return 1;
}

static int drop_mark(uint32_t cp, char out[12])
{
    (void)out;
    return cp >= 0x300 && class_has(CLASS_MARK, cp) ? 0 : CHAR_SAME;
}

static int bert_clean(uint32_t cp, char out[12])
{
    if (cp > ' ' && cp < 0x7F)
        return CHAR_SAME;
    if (class_has(CLASS_BERT_SPACE, cp))
        return cp == ' ' ? CHAR_SAME : put_space(out);
    return class_has(CLASS_BERT_CONTROL, cp) ? 0 : CHAR_SAME;
}

static int bert_chinese(uint32_t cp, char out[12])
{
    if (cp < 0x3400 || !class_has(CLASS_CHINESE, cp))
        return CHAR_SAME;
    put_space(out);
    int n = 1 + utf8_encode(cp, out + 1);
    return n + put_space(out + n);
}

static int bert_accent(uint32_t cp, char out[12])
{
    (void)out;
    return cp >= 0x300 && class_has(CLASS_BERT_ACCENT, cp) ? 0 : CHAR_SAME;
}

/* The preparation of texts for machine translation: some controls go, what should part words becomes a space. */
static int nmt(uint32_t cp, char out[12])
{
    if ((cp >= 0x01 && cp <= 0x08) || cp == 0x0B || (cp >= 0x0E && cp <= 0x1F) || cp == 0x7F || cp == 0x8F || cp == 0x9F)
        return 0;
    bool space = cp == 0x09 || cp == 0x0A || cp == 0x0C || cp == 0x0D || cp == 0x1680 || (cp >= 0x200B && cp <= 0x200F) || cp == 0x2028 ||
                 cp == 0x2029 || cp == 0x2581 || cp == 0xFEFF || cp == 0xFFFD;
    return space ? put_space(out) : CHAR_SAME;
}

static int chars_add(StepParse *sp, CharWrite *write, Err *e)
{
    Step *s = step_add(sp, STEP_CHARS, e);
    if (!s)
        return ERR_INPUT;
    s->write = write;
    return 0;
}

static int parse_chars(StepParse *sp, const Normaliser *row, const Json *c, Err *e)
{
    (void)c;
    return chars_add(sp, row->write, e);
}

/* strip_accents null: as lowercase says. */
static int parse_bert(StepParse *sp, const Normaliser *row, const Json *c, Err *e)
{
    (void)row;
    bool clean, chinese, lower, accents;
    int rc = need_bool(c, "clean_text", &clean, sp->where, e);
    rc = rc ? rc : need_bool(c, "handle_chinese_chars", &chinese, sp->where, e);
    rc = rc ? rc : need_bool(c, "lowercase", &lower, sp->where, e);
    accents = !rc && lower;
    rc = rc ? rc : json_opt_bool(c, "strip_accents", &accents, sp->where, e);
    if (!rc && clean)
        rc = chars_add(sp, bert_clean, e);
    if (!rc && chinese)
        rc = chars_add(sp, bert_chinese, e);
    if (!rc && accents) {
        Step *s = step_add(sp, STEP_FORM, e);
        if (!s)
            return ERR_INPUT;
        s->form = UTF8_NFD;
        rc = chars_add(sp, bert_accent, e);
    }
    if (!rc && lower && !step_add(sp, STEP_LOWER, e))
        rc = ERR_INPUT;
    return rc;
}

static int parse_precompiled(StepParse *sp, const Normaliser *row, const Json *c, Err *e)
{
    (void)row;
    Str map;
    bool longest = false;
    int rc = json_need_str(c, "precompiled_charsmap", &map, sp->where, e);
    rc = rc ? rc : json_opt_bool(c, "longest", &longest, sp->where, e);
    Step *s = rc ? NULL : step_add(sp, STEP_CHARSMAP, e);
    return s ? charsmap_parse(&s->charsmap, map, longest, sp->where, e) : ERR_INPUT;
}

static int parse_sequence(StepParse *sp, const Normaliser *row, const Json *c, Err *e)
{
    (void)row;
    Json *list = NULL;
    int rc = json_opt_array(c, "normalizers", &list, sp->where, e);
    for (size_t i = 0; !rc && i < json_len(list); i++)
        rc = normal_parse(sp, json_at(list, i), e);
    return rc;
}

static const Normaliser normalisers[] = {
    { "NFC",          "type",                        parse_form,        UTF8_NFC,   NULL      },
    { "NFD",          "type",                        parse_form,        UTF8_NFD,   NULL      },
    { "NFKC",         "type",                        parse_form,        UTF8_NFKC,  NULL      },
    { "NFKD",         "type",                        parse_form,        UTF8_NFKD,  NULL      },
    { "Lowercase",    "type",                        parse_plain,       STEP_LOWER, NULL      },
    { "ByteLevel",    "type",                        parse_plain,       STEP_BYTES, NULL      },
    { "StripAccents", "type",                        parse_chars,       0,          drop_mark },
    { "Nmt",          "type",                        parse_chars,       0,          nmt       },
    { "Strip",        "type|strip_left|strip_right", parse_strip,       0,          NULL      },
    { "Prepend",      "type|prepend",                parse_prepend,     0,          NULL      },
    { "Replace",      "type|pattern|content",        parse_replace,     0,          NULL      },
    { "Precompiled",  "type|precompiled_charsmap|longest", parse_precompiled, 0,          NULL      },
    { "BertNormalizer", "type|clean_text|handle_chinese_chars|strip_accents|lowercase", parse_bert, 0, NULL },
    { "Sequence",     "type|normalizers",            parse_sequence,    0,          NULL      },
};

int normal_parse(StepParse *sp, const Json *component, Err *e)
{
    Str type;
    int rc = json_need_str(component, "type", &type, sp->where, e);
    if (rc)
        return rc;
    if (sp->depth >= TOK_NEST_MAX)
        return err_set(e, ERR_INPUT, "%s: normalizers are nested more than %d deep", sp->where, TOK_NEST_MAX);
    for (size_t i = 0; i < ARRAY_LEN(normalisers); i++) {
        const Normaliser *row = &normalisers[i];
        if (!str_eqz(type, row->name))
            continue;
        rc = check_keys(component, row->keys, sp->where, e);
        sp->depth++;
        rc = rc ? rc : row->parse(sp, row, component, e);
        sp->depth--;
        return rc;
    }
    return err_set(e, ERR_INPUT, "%s: the normalizer \"%.*s\" is not one that hone knows", sp->where, (int)MIN(type.n, 60), type.p);
}
