/* cfg.c - option tables: one row says how an option is read, printed and explained; everything below walks the rows.
 * Invariants: after cfg_defaults every text field is an owned, non-NULL string; a field changes only when the whole new value is accepted;
 * YAML gives us text only: what "no" or 1e3 means is decided by the row's kind, never by YAML's own guesses.
 * Recipes are read from libyaml's events. A flat mapping needs no tree: the first event that is not allowed ends the reading, so neither
 * depth nor aliases can grow. They are written by hand with every text quoted, which reads back the same here and means the same elsewhere.
 * To add a kind: a case in value_set, value_write and kind_placeholder. */
#include "base/cfg.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <yaml.h>

#define CFG_NAME_MAX    64  /* longest name that is compared for a suggestion */
#define CFG_HELP_WIDTH  100 /* columns of the help */
#define CFG_HELP_INDENT 34  /* where its second column may start at most */

/* ---- rows ---- */

static void *row_field(const CfgOption *o, const void *opts)
{
    return (char *)(uintptr_t)opts + o->off;
}

static bool row_is_text(const CfgOption *o)
{
    return o->kind == CFG_STR || o->kind == CFG_LIST;
}

static bool row_has_range(const CfgOption *o)
{
    return (o->kind == CFG_INT || o->kind == CFG_REAL) && (o->min != 0 || o->max != 0);
}

static char name_char(char c)
{
    return c == '_' ? '-' : c;
}

static const CfgOption *row_find(const CfgOption *table, Str name)
{
    for (const CfgOption *o = table; o->name; o++) {
        size_t i = 0;
        while (i < name.n && o->name[i] && name_char(name.p[i]) == o->name[i])
            i++;
        if (i == name.n && !o->name[i])
            return o;
    }
    return NULL;
}

/* Edit distance with swaps of neighbours (optimal string alignment), both at most CFG_NAME_MAX long. */
static size_t name_distance(Str a, Str b)
{
    size_t rows[3][CFG_NAME_MAX + 1], *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b.n; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t change = last[j - 1] + (name_char(a.p[i - 1]) != b.p[j - 1]);
            now[j] = MIN(change, MIN(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                now[j] = MIN(now[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[b.n];
}

/* The row that was probably meant: one that begins with the name, or the one with the fewest typing errors, at most one in three letters. */
static const CfgOption *row_near(const CfgOption *table, Str name, bool recipe)
{
    const CfgOption *best = NULL;
    size_t best_distance = MAX(name.n / 3, (size_t)1) + 1;
    if (name.n < 2 || name.n > CFG_NAME_MAX)
        return NULL;
    for (const CfgOption *o = table; o->name; o++) {
        Str have = str_of(o->name);
        if ((recipe && o->hidden) || have.n > CFG_NAME_MAX)
            continue;
        size_t distance = have.n > name.n && memcmp(have.p, name.p, name.n) == 0 ? 1 : name_distance(name, have);
        if (distance < best_distance) {
            best = o;
            best_distance = distance;
        }
    }
    return best;
}

int cfg_suggest(StrBuf *out, const CfgOption *table, Str name)
{
    const CfgOption *near = row_near(table, name, false);
    if (near)
        strbuf_addf(out, " (did you mean %s?)", near->name);
    return near != NULL;
}

/* ---- one value ---- */

/* "where: sentence" for the command line, where `where` is the option itself; "where: name: sentence" otherwise. */
PRINTF_LIKE(4, 5) static int value_fail(Err *e, const CfgOption *o, const char *where, const char *fmt, ...)
{
    char text[sizeof e->text];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (where[0] == '-')
        return err_set(e, ERR_ARG, "%s: %s", where, text);
    return err_set(e, ERR_ARG, "%s: %s: %s", where, o->name, text);
}

static bool read_bool(Str s, bool *v)
{
    static const struct { const char *text; bool value; } words[] = { { "true", true }, { "false", false }, { "yes", true },
                                                                       { "no", false },  { "on", true },     { "off", false } };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (s.n == strlen(words[i].text) && strncasecmp(s.p, words[i].text, s.n) == 0) {
            *v = words[i].value;
            return true;
        }
    return false;
}

static bool read_int(Str s, int64_t *v)
{
    static const struct { const char *text; int64_t factor; } units[] = {
        { "", 1 },
        { "k", 1000 }, { "M", 1000000 }, { "G", 1000000000 }, { "Ki", 1 << 10 }, { "Mi", 1 << 20 }, { "Gi", 1 << 30 },
        { "kB", 1000 }, { "KB", 1000 }, { "MB", 1000000 }, { "GB", 1000000000 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 },
    };
    size_t i = 0;
    bool minus = s.n && s.p[0] == '-';
    int64_t n = 0;
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        i++;
    size_t first = i;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_sub_overflow(n, s.p[i] - '0', &n)) /* downwards: the range of minus is larger */
            return false;
    if (i == first || (!minus && __builtin_sub_overflow(0, n, &n)))
        return false;
    for (size_t u = 0; u < ARRAY_LEN(units); u++)
        if (str_eqz((Str){ s.p + i, s.n - i }, units[u].text))
            return !__builtin_mul_overflow(n, units[u].factor, v);
    return false;
}

static bool read_real(Str s, double *v)
{
    char text[64], *end;
    if (s.n == 0 || s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    if (strspn(text, "0123456789.eE+-") != s.n) /* no hexadecimal, no inf, no nan, no spaces */
        return false;
    double x = strtod(text, &end);
    if (end != text + s.n || !isfinite(x))
        return false;
    *v = x;
    return true;
}

/* The i-th of "a|b|c"; false behind the last. */
static bool choice_at(const char *choices, int i, Str *choice)
{
    for (const char *p = choices;; p++, i--) {
        size_t n = strcspn(p, "|");
        if (i == 0) {
            *choice = (Str){ p, n };
            return true;
        }
        p += n;
        if (!*p)
            return false;
    }
}

static int value_set(const CfgOption *o, void *opts, Str value, const char *where, Err *e)
{
    void *field = row_field(o, opts);
    Str shown = { value.p, utf8_complete(value.p, MIN(value.n, (size_t)200)) };
    double number = 0;
    switch (o->kind) {
    case CFG_BOOL:
        if (!read_bool(value, field))
            return value_fail(e, o, where, "\"%.*s\" is neither true nor false", (int)shown.n, shown.p);
        return 0;
    case CFG_CHOICE: {
        Str choice;
        StrBuf all = { 0 };
        for (int i = 0; choice_at(o->choices, i, &choice); i++) {
            if (str_eq(choice, value)) {
                *(int *)field = i;
                strbuf_release(&all);
                return 0;
            }
            strbuf_addf(&all, "%s%.*s", i ? ", " : "", (int)choice.n, choice.p);
        }
        value_fail(e, o, where, "\"%.*s\" is not one of %s", (int)shown.n, shown.p, strbuf_z(&all));
        strbuf_release(&all);
        return ERR_ARG;
    }
    case CFG_STR:
    case CFG_LIST:
        if (value.n > CFG_VALUE_MAX)
            return value_fail(e, o, where, "%zu bytes are more than the %zu that a text may have", value.n, CFG_VALUE_MAX);
        if (!utf8_valid(value, NULL) || (value.n && memchr(value.p, '\0', value.n)))
            return value_fail(e, o, where, "the text is not valid UTF-8 or contains a zero byte");
        free(*(char **)field);
        *(char **)field = mem_strndup(value.n ? value.p : "", value.n);
        return 0;
    case CFG_INT: {
        int64_t n;
        if (!read_int(value, &n))
            return value_fail(e, o, where, "\"%.*s\" is not a whole number such as 4096, 4k or 4Ki", (int)shown.n, shown.p);
        number = (double)n;
        if (!row_has_range(o) || (number >= o->min && number <= o->max)) {
            *(int64_t *)field = n;
            return 0;
        }
        break;
    }
    case CFG_REAL:
        if (!read_real(value, &number))
            return value_fail(e, o, where, "\"%.*s\" is not a number such as 0.1 or 2e-4", (int)shown.n, shown.p);
        if (!row_has_range(o) || (number >= o->min && number <= o->max)) {
            *(double *)field = number;
            return 0;
        }
        break;
    }
    return value_fail(e, o, where, "%.*s is outside %.15g to %.15g", (int)shown.n, shown.p, o->min, o->max);
}

static int name_fail(Err *e, const CfgOption *table, Str name, const char *where, bool recipe)
{
    const CfgOption *near = row_near(table, name, recipe);
    const char *dashes = recipe ? "" : "--";
    int n = (int)utf8_complete(name.p, MIN(name.n, (size_t)200));
    StrBuf hint = { 0 };
    if (near)
        strbuf_addf(&hint, " (did you mean %s%s?)", dashes, near->name);
    if (recipe)
        err_set(e, ERR_ARG, "%s: there is no option named \"%.*s\"%s", where, n, name.p, strbuf_z(&hint));
    else
        err_set(e, ERR_ARG, "--%.*s: there is no such option%s", n, name.p, strbuf_z(&hint));
    strbuf_release(&hint);
    return ERR_ARG;
}

int cfg_set(const CfgOption *table, void *opts, Str name, Str value, const char *where, Err *e)
{
    const CfgOption *o = row_find(table, name);
    return o ? value_set(o, opts, value, where, e) : name_fail(e, table, name, where, where[0] != '-');
}

void cfg_defaults(const CfgOption *table, void *opts)
{
    for (const CfgOption *o = table; o->name; o++) {
        bool given = o->def != NULL || row_is_text(o);
        if (given) {
            int rc = value_set(o, opts, str_of(o->def ? o->def : ""), "the default", NULL);
            BUG_ON(rc != 0);
            continue;
        }
        switch (o->kind) {
        case CFG_BOOL:   *(bool *)row_field(o, opts) = false; break;
        case CFG_INT:    *(int64_t *)row_field(o, opts) = 0; break;
        case CFG_REAL:   *(double *)row_field(o, opts) = 0; break;
        case CFG_CHOICE: *(int *)row_field(o, opts) = 0; break;
        case CFG_STR:
        case CFG_LIST:   break;
        }
    }
}

void cfg_release(const CfgOption *table, void *opts)
{
    for (const CfgOption *o = table; o->name; o++)
        if (row_is_text(o)) {
            char **text = row_field(o, opts);
            free(*text);
            *text = NULL;
        }
}

/* The next item of a comma-separated text as it stands; false behind the last. *rest is NULL when none is left. */
static bool list_next(const char **rest, Str *item)
{
    if (!*rest)
        return false;
    const char *comma = strchr(*rest, ',');
    *item = comma ? (Str){ *rest, (size_t)(comma - *rest) } : str_of(*rest);
    *rest = comma ? comma + 1 : NULL;
    return true;
}

bool cfg_list_each(const char **rest, Str *item)
{
    while (list_next(rest, item)) {
        while (item->n && item->p[0] == ' ')
            *item = (Str){ item->p + 1, item->n - 1 };
        while (item->n && item->p[item->n - 1] == ' ')
            item->n--;
        if (item->n)
            return true;
    }
    return false;
}

/* ---- command line ---- */

/* One word that begins with "--". *used becomes how many words of argv it took. */
static int arg_option(const CfgOption *table, void *opts, char **word, int left, int *used, bool *given, Err *e)
{
    const char *equals = strchr(word[0], '=');
    Str name = { word[0] + 2, equals ? (size_t)(equals - word[0]) - 2 : strlen(word[0]) - 2 };
    const CfgOption *o = row_find(table, name);
    Str value = str_of(equals ? equals + 1 : "true");
    char where[CFG_NAME_MAX + 8];
    *used = 1;
    if (!o && str_starts(name, "no-")) {
        o = row_find(table, (Str){ name.p + 3, name.n - 3 });
        if (o && o->kind != CFG_BOOL)
            o = NULL;
        if (o && equals)
            return err_set(e, ERR_ARG, "%s: --no-%s takes no value", word[0], o->name);
        value = STR_LIT("false");
    }
    if (!o)
        return name_fail(e, table, name, "", false);
    snprintf(where, sizeof where, "--%s", o->name);
    if (o->kind != CFG_BOOL && !equals) {
        if (left < 2 || strncmp(word[1], "--", 2) == 0)
            return err_set(e, ERR_ARG, "%s: a value is missing behind it", where);
        value = str_of(word[1]);
        *used = 2;
    }
    int rc = value_set(o, opts, value, where, e);
    if (!rc && given)
        given[o - table] = true;
    return rc;
}

int cfg_parse_args(const CfgOption *table, void *opts, int argc, char **argv, const char **pos, int max_pos, int *n_pos, bool *given, Err *e)
{
    int n = 0, used;
    bool options = true;
    for (int i = 1; i < argc; i += used) {
        const char *word = argv[i];
        used = 1;
        if (options && strcmp(word, "--") == 0) {
            options = false;
        } else if (options && strncmp(word, "--", 2) == 0) {
            int rc = arg_option(table, opts, argv + i, argc - i, &used, given, e);
            if (rc)
                return rc;
        } else if (options && word[0] == '-' && word[1]) {
            return err_set(e, ERR_ARG, "%s: options begin with two dashes; --help lists them", word);
        } else if (n == max_pos) {
            return err_set(e, ERR_ARG, "%s: this word is one too many; --help shows what is expected", word);
        } else {
            pos[n++] = word;
        }
    }
    if (n_pos)
        *n_pos = n;
    return 0;
}

/* ---- recipes: reading ---- */

typedef struct Recipe {
    yaml_parser_t parser;
    yaml_event_t  event;
    bool          has_event;
    Str           text;
    const char   *name;
} Recipe;

static size_t recipe_line_of(const Recipe *r, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < MIN(offset, r->text.n); i++)
        line += r->text.p[i] == '\n';
    return line;
}

static int recipe_fail(const Recipe *r, const char *what, Err *e)
{
    return err_set(e, ERR_ARG, "%s, line %zu: %s", r->name, r->event.start_mark.line + 1, what);
}

/* The next event into r->event; anchors, tags and aliases end the reading. */
static int recipe_next(Recipe *r, Err *e)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = yaml_parser_parse(&r->parser, &r->event) != 0;
    if (!r->has_event) {
        const yaml_parser_t *p = &r->parser;
        if (p->error == YAML_MEMORY_ERROR)
            return err_set(e, ERR_MEM, "%s: out of memory while reading it", r->name);
        size_t line = p->error == YAML_READER_ERROR ? recipe_line_of(r, p->problem_offset) : p->problem_mark.line + 1;
        return err_set(e, ERR_ARG, "%s, line %zu: this is not readable YAML: %s", r->name, line, p->problem ? p->problem : "unknown reason");
    }
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (r->event.type) {
    case YAML_ALIAS_EVENT:
        anchor = r->event.data.alias.anchor;
        break;
    case YAML_SCALAR_EVENT:
        anchor = r->event.data.scalar.anchor;
        tag = r->event.data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = r->event.data.sequence_start.anchor;
        tag = r->event.data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = r->event.data.mapping_start.anchor;
        tag = r->event.data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor || tag)
        return recipe_fail(r, "a recipe has no anchors (&), aliases (*) or tags (!); put such a text in quotes", e);
    return 0;
}

static Str recipe_scalar(const Recipe *r)
{
    return (Str){ (const char *)r->event.data.scalar.value, r->event.data.scalar.length };
}

/* The value of one key, a scalar or a list of scalars, into `value`. */
static int recipe_value(Recipe *r, const CfgOption *o, StrBuf *value, Err *e)
{
    int rc = recipe_next(r, e);
    if (rc)
        return rc;
    if (r->event.type == YAML_SCALAR_EVENT) {
        Str s = recipe_scalar(r);
        strbuf_add(value, s.p, s.n);
        return 0;
    }
    if (r->event.type != YAML_SEQUENCE_START_EVENT || o->kind != CFG_LIST)
        return recipe_fail(r, o->kind == CFG_LIST ? "expected a text or a list of texts" : "expected a single value", e);
    for (bool first = true;; first = false) {
        rc = recipe_next(r, e);
        if (rc || r->event.type == YAML_SEQUENCE_END_EVENT)
            return rc;
        if (r->event.type != YAML_SCALAR_EVENT)
            return recipe_fail(r, "a list inside a recipe holds plain values only", e);
        Str s = recipe_scalar(r);
        if (s.n && memchr(s.p, ',', s.n))
            return recipe_fail(r, "an item of a list must not contain a comma", e);
        if (!first)
            strbuf_addc(value, ',');
        strbuf_add(value, s.p, s.n);
    }
}

static int recipe_pair(Recipe *r, const CfgOption *table, void *opts, bool *seen, const bool *given, Err *e)
{
    if (r->event.type != YAML_SCALAR_EVENT)
        return recipe_fail(r, "expected the name of an option", e);
    StrBuf where = { 0 }, value = { .max = CFG_RECIPE_MAX };
    Str name = recipe_scalar(r);
    strbuf_addf(&where, "%s, line %zu", r->name, r->event.start_mark.line + 1);
    const CfgOption *o = row_find(table, name);
    int rc = 0;
    if (!o || o->hidden)
        rc = name_fail(e, table, name, strbuf_z(&where), true);
    else if (seen[o - table])
        rc = value_fail(e, o, strbuf_z(&where), "this option stands in the recipe twice");
    if (!rc) {
        seen[o - table] = true;
        rc = recipe_value(r, o, &value, e);
    }
    if (!rc && !(given && given[o - table]))
        rc = value_set(o, opts, strbuf_str(&value), strbuf_z(&where), e);
    strbuf_release(&where);
    strbuf_release(&value);
    return rc;
}

/* stream, document, mapping, pairs, and the ends of all three */
static int recipe_read(Recipe *r, const CfgOption *table, void *opts, bool *seen, const bool *given, Err *e)
{
    int rc = recipe_next(r, e); /* stream start */
    if (!rc)
        rc = recipe_next(r, e);
    if (rc || r->event.type == YAML_STREAM_END_EVENT) /* nothing but comments: every option keeps its value */
        return rc;
    rc = recipe_next(r, e);
    if (!rc && r->event.type != YAML_MAPPING_START_EVENT)
        rc = recipe_fail(r, "a recipe consists of lines \"option: value\"", e);
    while (!rc && (rc = recipe_next(r, e)) == 0 && r->event.type != YAML_MAPPING_END_EVENT)
        rc = recipe_pair(r, table, opts, seen, given, e);
    if (!rc)
        rc = recipe_next(r, e); /* document end */
    if (!rc)
        rc = recipe_next(r, e);
    if (!rc && r->event.type != YAML_STREAM_END_EVENT)
        rc = recipe_fail(r, "a second document begins here; a recipe is one", e);
    return rc;
}

int cfg_parse_yaml(const CfgOption *table, void *opts, Str text, const char *name, const bool *given, Err *e)
{
    size_t rows = 0, bad;
    if (str_starts(text, "\xEF\xBB\xBF")) /* a byte order mark, put there by some editors */
        text = (Str){ text.p + 3, text.n - 3 };
    Recipe r = { .text = text, .name = name };
    if (text.n > CFG_RECIPE_MAX)
        return err_set(e, ERR_ARG, "%s: %zu bytes are more than the %zu that a recipe may have", name, text.n, CFG_RECIPE_MAX);
    if (!utf8_valid(text, &bad))
        return err_set(e, ERR_ARG, "%s, line %zu: the text is not valid UTF-8", name, recipe_line_of(&r, bad));
    if (!yaml_parser_initialize(&r.parser))
        return err_set(e, ERR_MEM, "%s: out of memory while reading it", name);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    while (table[rows].name)
        rows++;
    bool *seen = mem_zalloc(rows, sizeof *seen);
    int rc = recipe_read(&r, table, opts, seen, given, e);
    free(seen);
    if (r.has_event)
        yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return rc;
}

/* ---- recipes: writing ---- */

/* A double-quoted YAML text. Everything beyond plain ASCII letters and what any YAML reader takes as it is, is escaped by number. */
static void quote_yaml(StrBuf *out, Str s)
{
    strbuf_addc(out, '"');
    for (size_t i = 0; i < s.n;) {
        uint32_t cp;
        int len = utf8_decode(s.p + i, s.n - i, &cp);
        BUG_ON(len < 0); /* value_set lets no invalid text in */
        if (cp == '"' || cp == '\\')
            strbuf_addf(out, "\\%c", (char)cp);
        else if (cp < 0x20 || (cp >= 0x7F && cp < 0xA0))
            strbuf_addf(out, "\\x%02X", cp);
        else if (cp == 0x2028 || cp == 0x2029 || cp == 0xFEFF || cp == 0xFFFE || cp == 0xFFFF)
            strbuf_addf(out, "\\u%04X", cp);
        else
            strbuf_add(out, s.p + i, (size_t)len);
        i += (size_t)len;
    }
    strbuf_addc(out, '"');
}

static void value_write(StrBuf *out, const CfgOption *o, const void *opts)
{
    const void *field = row_field(o, opts);
    switch (o->kind) {
    case CFG_BOOL:
        strbuf_addz(out, *(const bool *)field ? "true" : "false");
        break;
    case CFG_INT:
        strbuf_addf(out, "%lld", (long long)*(const int64_t *)field);
        break;
    case CFG_REAL:
        strbuf_add_real(out, *(const double *)field);
        break;
    case CFG_STR:
        quote_yaml(out, str_of(*(char *const *)field));
        break;
    case CFG_LIST: {
        const char *text = *(char *const *)field, *rest = *text ? text : NULL, *gap = "";
        strbuf_addc(out, '[');
        for (Str item; list_next(&rest, &item); gap = ", ") {
            strbuf_addz(out, gap);
            quote_yaml(out, item);
        }
        strbuf_addc(out, ']');
        break;
    }
    case CFG_CHOICE: {
        Str choice = { 0 };
        BUG_ON(!choice_at(o->choices, *(const int *)field, &choice));
        strbuf_add(out, choice.p, choice.n);
        break;
    }
    }
}

void cfg_write_yaml(StrBuf *out, const CfgOption *table, const void *opts, bool with_help)
{
    for (const CfgOption *o = table; o->name; o++) {
        if (o->hidden)
            continue;
        if (with_help)
            strbuf_addf(out, "# %s\n", o->help);
        strbuf_addf(out, "%s: ", o->name);
        value_write(out, o, opts);
        strbuf_addc(out, '\n');
    }
}

/* ---- help ---- */

static const char *kind_placeholder(const CfgOption *o)
{
    if (o->choices)
        return o->choices;
    switch (o->kind) {
    case CFG_INT:  return "N";
    case CFG_REAL: return "X";
    case CFG_STR:  return "TEXT";
    case CFG_LIST: return "TEXT[,TEXT]";
    default:       return "";
    }
}

/* "  --name PLACEHOLDER"; a switch that is on by default shows how it is turned off. */
static void help_head(StrBuf *out, const CfgOption *o)
{
    bool on = o->kind == CFG_BOOL && o->def && strcmp(o->def, "true") == 0;
    strbuf_addf(out, "  --%s%s", on ? "[no-]" : "", o->name);
    if (o->kind != CFG_BOOL)
        strbuf_addf(out, " %s", kind_placeholder(o));
}

/* "help (0 to 1, default 2e-4)" */
static void help_text(StrBuf *out, const CfgOption *o)
{
    StrBuf extra = { 0 };
    strbuf_addz(out, o->help);
    if (row_has_range(o) && o->max >= 1e15) /* a bound that nobody meets is not worth reading */
        strbuf_addf(&extra, "at least %.15g", o->min);
    else if (row_has_range(o))
        strbuf_addf(&extra, "%.15g to %.15g", o->min, o->max);
    if (o->def && *o->def && !(o->kind == CFG_BOOL && strcmp(o->def, "false") == 0))
        strbuf_addf(&extra, "%sdefault %s", extra.n ? ", " : "", o->def);
    if (extra.n)
        strbuf_addf(out, " (%s)", strbuf_z(&extra));
    strbuf_release(&extra);
}

/* Appends the words of `text`, the cursor standing at `column`; further lines begin at `indent`. */
static void help_wrap(StrBuf *out, Str text, size_t column, size_t indent)
{
    for (size_t i = 0; i < text.n;) {
        const char *space = memchr(text.p + i, ' ', text.n - i);
        size_t n = space ? (size_t)(space - (text.p + i)) : text.n - i;
        if (column > indent && column + 1 + n > CFG_HELP_WIDTH) {
            strbuf_addf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            strbuf_addc(out, ' ');
            column++;
        }
        strbuf_add(out, text.p + i, n);
        column += n;
        i += n + 1;
    }
}

void cfg_write_help(StrBuf *out, const CfgOption *table)
{
    StrBuf head = { 0 }, text = { 0 };
    size_t indent = 0;
    for (const CfgOption *o = table; o->name; o++) {
        strbuf_clear(&head);
        help_head(&head, o);
        if (head.n + 2 <= CFG_HELP_INDENT)
            indent = MAX(indent, head.n + 2);
    }
    for (const CfgOption *o = table; o->name; o++) {
        strbuf_clear(&head);
        strbuf_clear(&text);
        help_head(&head, o);
        help_text(&text, o);
        strbuf_add(out, head.p, head.n);
        if (head.n + 2 <= indent)
            strbuf_addf(out, "%*s", (int)(indent - head.n), "");
        else
            strbuf_addf(out, "\n%*s", (int)indent, "");
        help_wrap(out, strbuf_str(&text), indent, indent);
        strbuf_addc(out, '\n');
    }
    strbuf_release(&head);
    strbuf_release(&text);
}
