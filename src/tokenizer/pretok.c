/* pretok.c - steps that cut: the pre-tokenizers of tokenizer.json, expressed as "split at a pattern, and do this with the delimiters".
 *
 * Every pre-tokenizer here is a pattern and a behaviour, some with a rewriting step before (normal.c has those verbs). A piece is cut on its
 * own: look-behind and anchors do not see its neighbours, as in the tokenizers library.
 *
 * Classes of characters are the library's own (classes.c); patterns go by PCRE2's tables (Unicode 14), so a younger letter may be cut otherwise.
 *
 * To add a pre-tokenizer: a row in pretokenizers[]. If it is only a pattern, the row says everything. */
#include "base/utf8.h"
#include "tokenizer/tok_int.h"

static void cut_add(Work *w, size_t begin, size_t end, bool is_match)
{
    if (begin != end)
        *vec_push(&w->cuts) = (Cut){ begin, end, is_match };
}

static void cuts_by_char(Work *w, const Step *s, Str in)
{
    size_t done = 0;
    for (size_t i = 0, len; i < in.n; i += len) {
        uint32_t cp = (unsigned char)in.p[i];
        len = cp < 0x80 ? 1 : (size_t)utf8_decode(in.p + i, in.n - i, &cp);
        if (!s->test(s, cp))
            continue;
        cut_add(w, done, i, s->invert);
        cut_add(w, i, i + len, !s->invert);
        done = i + len;
    }
    cut_add(w, done, in.n, s->invert);
}

static int cuts_find(Work *w, const Step *s, Str in, Err *e)
{
    PatternIter it = { 0, SIZE_MAX };
    size_t begin, end, done = 0;
    int rc;
    vec_clear(&w->cuts);
    if (s->test || s->find) {
        (s->test ? cuts_by_char : s->find)(w, s, in);
        return 0;
    }
    while ((rc = pattern_next(&s->pattern, w->matcher, in, &it, &begin, &end, e)) > 0) {
        cut_add(w, done, begin, s->invert);
        *vec_push(&w->cuts) = (Cut){ begin, end, !s->invert };
        done = end;
    }
    if (!rc)
        cut_add(w, done, in.n, s->invert);
    return rc;
}

/* --- cuts that no pattern tells --------------------------------------------------------------------------------------------------- */

static bool ascii_punct(uint32_t c)                  { return c > 0x20 && c < 0x7F && (c < '0' || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || c > 'z'); }
static bool is_punct(const Step *s, uint32_t cp)     { return (void)s, cp < 0x80 ? ascii_punct(cp) : class_has(CLASS_PUNCT, cp); }
static bool is_space(const Step *s, uint32_t cp)     { return (void)s, utf8_is_space(cp); }
static bool is_delimiter(const Step *s, uint32_t cp) { return cp == s->number; }

/* A cut where the script changes; Hiragana and Katakana count as Han, the space goes with any script. What stands before the first character
 * that has a script is lost, as in the library. */
static void cuts_by_script(Work *w, const Step *s, Str in)
{
    (void)s;
    size_t begin = SIZE_MAX;
    int last = 0;
    for (size_t i = 0, len; i < in.n; i += len) {
        uint32_t cp;
        len = (size_t)utf8_decode(in.p + i, in.n - i, &cp);
        int script = char_script(cp);
        if (!script)
            continue;
        if (script != last) {
            if (begin != SIZE_MAX)
                cut_add(w, begin, i, false);
            begin = i;
        }
        last = script;
    }
    if (begin != SIZE_MAX)
        cut_add(w, begin, in.n, false);
}

static void cuts_by_length(Work *w, const Step *s, Str in)
{
    size_t begin = 0, chars = 0;
    for (size_t i = 0; i < in.n; i++) {
        if (((unsigned char)in.p[i] & 0xC0) == 0x80 || chars++ < s->number)
            continue;
        cut_add(w, begin, i, false);
        begin = i;
        chars = 1;
    }
    cut_add(w, begin, in.n, false);
}

/* Joins neighbours in place, reading in order (dir 1) or backwards (dir -1): a cut for which `joins` holds extends the one before it. */
static void cuts_join(Work *w, int dir, bool (*joins)(bool is_match, bool before))
{
    size_t n = w->cuts.n, kept = 0;
    bool before = false;
    Cut *c = w->cuts.p;
    for (size_t k = 0; k < n; k++) {
        Cut cut = c[dir > 0 ? k : n - 1 - k];
        if (kept && joins(cut.is_match, before)) {
            Cut *last = &c[dir > 0 ? kept - 1 : n - kept];
            if (dir > 0)
                last->end = cut.end;
            else
                last->begin = cut.begin;
        } else {
            c[dir > 0 ? kept : n - 1 - kept] = cut;
            kept++;
        }
        before = cut.is_match;
    }
    if (dir < 0 && kept)
        memmove(c, c + n - kept, kept * sizeof *c);
    w->cuts.n = kept;
}

static bool joins_same(bool is_match, bool before)      { return is_match == before; }
static bool joins_delimiter(bool is_match, bool before) { return is_match && !before; }

int step_split(Work *w, const Step *s, Err *e)
{
    vec_clear(&w->next);
    for (size_t i = 0; i < w->pieces.n; i++) {
        Piece p = w->pieces.p[i];
        if (p.id >= 0) {
            *vec_push(&w->next) = p;
            continue;
        }
        int rc = cuts_find(w, s, (Str){ w->text.p + p.begin, p.end - p.begin }, e);
        if (rc)
            return rc;
        if (s->behaviour == SPLIT_CONTIGUOUS)
            cuts_join(w, 1, joins_same);
        else if (s->behaviour == SPLIT_PREVIOUS || s->behaviour == SPLIT_NEXT)
            cuts_join(w, s->behaviour == SPLIT_NEXT ? -1 : 1, joins_delimiter);
        for (size_t k = 0; k < w->cuts.n; k++) {
            Cut c = w->cuts.p[k];
            if (c.begin < c.end && !(c.is_match && s->behaviour == SPLIT_REMOVED))
                *vec_push(&w->next) = (Piece){ p.begin + (uint32_t)c.begin, p.begin + (uint32_t)c.end, -1 };
        }
    }
    work_swap_pieces(w);
    return 0;
}

/* --- parsing ---------------------------------------------------------------------------------------------------------------------- */

typedef struct Pretokenizer {
    const char *name, *keys;
    int (*parse)(StepParse *sp, const struct Pretokenizer *row, const Json *c, Err *e);
    const char    *regex;     /* rows that are a fixed pattern */
    SplitBehaviour behaviour;
    bool           invert;
} Pretokenizer;

static const char *const behaviours[] = { [SPLIT_REMOVED] = "Removed", [SPLIT_ISOLATED] = "Isolated", [SPLIT_PREVIOUS] = "MergedWithPrevious",
                                          [SPLIT_NEXT] = "MergedWithNext", [SPLIT_CONTIGUOUS] = "Contiguous" };
static const char *const schemes[] = { [PREPEND_NEVER] = "never", [PREPEND_MISSING] = "always", [PREPEND_FIRST] = "first",
                                       [PREPEND_START] = "start" /* ours: see source.h */ };

static int name_find(const char *const *names, size_t n, Str name)
{
    for (size_t i = 0; i < n; i++)
        if (str_eqz(name, names[i]))
            return (int)i;
    return -1;
}

static int split_add(StepParse *sp, Str regex, SplitBehaviour behaviour, bool invert, Err *e)
{
    Step *s = step_add(sp, STEP_SPLIT, e);
    if (!s)
        return ERR_INPUT;
    s->behaviour = behaviour;
    s->invert = invert;
    return pattern_regex(&s->pattern, regex, sp->where, e);
}

static int prepend_add(StepParse *sp, Str content, PrependWhen when, Err *e)
{
    Step *s = step_add(sp, STEP_PREPEND, e);
    if (!s)
        return ERR_INPUT;
    s->content = arena_str(sp->arena, content);
    s->when = when;
    return 0;
}

static int parse_fixed(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    (void)c;
    return split_add(sp, str_of(row->regex), row->behaviour, row->invert, e);
}

static int behaviour_parse(const Json *c, SplitBehaviour *behaviour, const char *where, Err *e)
{
    Str name = { NULL, 0 };
    int rc = json_opt_str(c, "behavior", &name, where, e);
    if (rc || !name.p)
        return rc;
    int i = name_find(behaviours, ARRAY_LEN(behaviours), name);
    if (i < 0)
        return err_set(e, ERR_INPUT, "%s: the behavior \"%.*s\" should be Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous", where,
                       (int)MIN(name.n, 60), name.p);
    *behaviour = (SplitBehaviour)i;
    return 0;
}

static int test_add(StepParse *sp, CharTest *test, SplitBehaviour behaviour, Err *e)
{
    Step *s = step_add(sp, STEP_SPLIT, e);
    if (!s)
        return ERR_INPUT;
    s->test = test;
    s->behaviour = behaviour;
    return 0;
}

static int parse_punctuation(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    SplitBehaviour behaviour = row->behaviour;
    int rc = behaviour_parse(c, &behaviour, sp->where, e);
    return rc ? rc : test_add(sp, is_punct, behaviour, e);
}

static int parse_whitespace(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    (void)c;
    return test_add(sp, is_space, row->behaviour, e);
}

static int parse_bert(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    (void)row;
    (void)c;
    int rc = test_add(sp, is_space, SPLIT_REMOVED, e);
    return rc ? rc : test_add(sp, is_punct, SPLIT_ISOLATED, e);
}

static int parse_delimiter(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    (void)row;
    Str text;
    int rc = json_need_str(c, "delimiter", &text, sp->where, e);
    if (!rc && !one_char(text))
        rc = err_set(e, ERR_INPUT, "%s: the delimiter of a CharDelimiterSplit should be one character", sp->where);
    rc = rc ? rc : test_add(sp, is_delimiter, SPLIT_REMOVED, e);
    if (!rc)
        utf8_decode(text.p, text.n, &sp->out->p[sp->out->n - 1].number);
    return rc;
}

static int parse_length(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    (void)row;
    int64_t length;
    int rc = json_need_int(c, "length", &length, sp->where, e);
    if (!rc && (length < 1 || length > (int64_t)TOK_TEXT_MAX))
        rc = err_set(e, ERR_INPUT, "%s: the length of a FixedLength should be 1 or more", sp->where);
    Step *s = rc ? NULL : step_add(sp, STEP_SPLIT, e);
    if (!s)
        return ERR_INPUT;
    s->find = cuts_by_length;
    s->number = (uint32_t)length;
    s->behaviour = SPLIT_ISOLATED;
    return 0;
}

static int parse_scripts(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    (void)row;
    (void)c;
    Step *s = step_add(sp, STEP_SPLIT, e);
    if (!s)
        return ERR_INPUT;
    s->find = cuts_by_script;
    s->behaviour = SPLIT_ISOLATED;
    return 0;
}

static int parse_digits(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    bool each;
    int rc = need_bool(c, "individual_digits", &each, sp->where, e);
    return rc ? rc : split_add(sp, str_of(row->regex), each ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, false, e);
}

static int parse_split(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    (void)row;
    Str name;
    int rc = json_need_str(c, "behavior", &name, sp->where, e);
    Step *s = rc ? NULL : step_add(sp, STEP_SPLIT, e);
    if (!s)
        return ERR_INPUT;
    rc = need_bool(c, "invert", &s->invert, sp->where, e);
    rc = rc ? rc : behaviour_parse(c, &s->behaviour, sp->where, e);
    return rc ? rc : pattern_parse(&s->pattern, json_get(c, "pattern"), sp->arena, sp->where, e);
}

/* trim_offsets touches only the offsets that the library reports (it leaves out spaces); our spans say where the whole token came from. */
static int parse_byte_level(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    bool space, regex = true, trim;
    int rc = need_bool(c, "add_prefix_space", &space, sp->where, e);
    rc = rc ? rc : need_bool(c, "trim_offsets", &trim, sp->where, e);
    rc = rc ? rc : json_opt_bool(c, "use_regex", &regex, sp->where, e);
    if (!rc && space)
        rc = prepend_add(sp, STR_LIT(" "), PREPEND_MISSING, e);
    if (!rc && regex)
        rc = split_add(sp, str_of(row->regex), SPLIT_ISOLATED, false, e);
    if (!rc && !step_add(sp, STEP_BYTES, e))
        rc = ERR_INPUT;
    return rc;
}

/* Older files say add_prefix_space instead of prepend_scheme; false there means "never" and must not contradict. */
static int parse_metaspace(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    (void)row;
    Str text, scheme = STR_LIT("always");
    bool old = true, split = true;
    int rc = json_need_str(c, "replacement", &text, sp->where, e);
    rc = rc ? rc : json_opt_str(c, "prepend_scheme", &scheme, sp->where, e);
    rc = rc ? rc : json_opt_bool(c, "add_prefix_space", &old, sp->where, e);
    rc = rc ? rc : json_opt_bool(c, "split", &split, sp->where, e);
    if (rc)
        return rc;
    int when = name_find(schemes, ARRAY_LEN(schemes), scheme);
    if (when < 0)
        return err_set(e, ERR_INPUT, "%s: the prepend_scheme \"%.*s\" should be first, always or never", sp->where, (int)MIN(scheme.n, 60), scheme.p);
    if (!old && when != PREPEND_NEVER)
        return err_set(e, ERR_INPUT, "%s: add_prefix_space is false but prepend_scheme is not \"never\"", sp->where);
    if (!one_char(text))
        return err_set(e, ERR_INPUT, "%s: the replacement of a Metaspace should be one character", sp->where);
    Step *s = step_add(sp, STEP_REPLACE, e);
    if (!s)
        return ERR_INPUT;
    s->content = arena_str(sp->arena, text);
    rc = pattern_literal(&s->pattern, STR_LIT(" "), sp->arena, sp->where, e);
    if (!rc && when != PREPEND_NEVER)
        rc = prepend_add(sp, text, (PrependWhen)when, e);
    if (rc || !split)
        return rc;
    s = step_add(sp, STEP_SPLIT, e);
    if (!s)
        return ERR_INPUT;
    s->behaviour = SPLIT_NEXT;
    return pattern_literal(&s->pattern, text, sp->arena, sp->where, e);
}

static int parse_sequence(StepParse *sp, const Pretokenizer *row, const Json *c, Err *e)
{
    (void)row;
    Json *list = NULL;
    int rc = json_opt_array(c, "pretokenizers", &list, sp->where, e);
    for (size_t i = 0; !rc && i < json_len(list); i++)
        rc = pretok_parse(sp, json_at(list, i), e);
    return rc;
}

static const Pretokenizer pretokenizers[] = {
    { "ByteLevel", "type|add_prefix_space|trim_offsets|use_regex", parse_byte_level,
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", SPLIT_ISOLATED, false },
    { "Split", "type|pattern|behavior|invert", parse_split, NULL, SPLIT_REMOVED, false },
    { "Metaspace", "type|replacement|prepend_scheme|add_prefix_space|split|str_rep", parse_metaspace, NULL, SPLIT_NEXT, false },
    { "Whitespace", "type", parse_fixed, "[" PATTERN_WORD "]+|[^" PATTERN_WORD "\\s]+", SPLIT_REMOVED, true },
    { "WhitespaceSplit", "type", parse_whitespace, NULL, SPLIT_REMOVED, false },
    { "BertPreTokenizer", "type", parse_bert, NULL, SPLIT_ISOLATED, false },
    { "CharDelimiterSplit", "type|delimiter", parse_delimiter, NULL, SPLIT_REMOVED, false },
    { "FixedLength", "type|length", parse_length, NULL, SPLIT_ISOLATED, false },
    { "UnicodeScripts", "type", parse_scripts, NULL, SPLIT_ISOLATED, false },
    { "Digits", "type|individual_digits", parse_digits, "\\p{N}", SPLIT_ISOLATED, false },
    { "Punctuation", "type|behavior", parse_punctuation, NULL, SPLIT_ISOLATED, false },
    { "Sequence", "type|pretokenizers", parse_sequence, NULL, SPLIT_REMOVED, false },
};

int pretok_parse(StepParse *sp, const Json *component, Err *e)
{
    Str type;
    int rc = json_need_str(component, "type", &type, sp->where, e);
    if (rc)
        return rc;
    if (sp->depth >= TOK_NEST_MAX)
        return err_set(e, ERR_INPUT, "%s: pre-tokenizers are nested more than %d deep", sp->where, TOK_NEST_MAX);
    for (size_t i = 0; i < ARRAY_LEN(pretokenizers); i++) {
        const Pretokenizer *row = &pretokenizers[i];
        if (!str_eqz(type, row->name))
            continue;
        rc = check_keys(component, row->keys, sp->where, e);
        sp->depth++;
        rc = rc ? rc : row->parse(sp, row, component, e);
        sp->depth--;
        return rc;
    }
    return err_set(e, ERR_INPUT, "%s: the pre-tokenizer \"%.*s\" is not one that hone knows", sp->where, (int)MIN(type.n, 60), type.p);
}
