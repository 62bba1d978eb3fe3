/* repair.c - the table of repairs and the loop that applies it. Invariant: rows run in the order of the table, round after round, until a whole
 * round changes nothing; so the result is a fixed point. A text that does not come to rest within REPAIR_ROUNDS_MAX rounds (none is known) is
 * given back as it came, its ill-formed bytes replaced. To add a repair: a kind in repair.h, a row in each of the two tables, a RepairFn. */
#include "prep/repair_int.h"

const RepairRow repair_rows[REPAIR_KINDS] = {
    [REPAIR_UTF8] = { "utf8", true, "replaces ill-formed bytes by U+FFFD", "none: the text could not be used" },
    [REPAIR_LINE_ENDINGS] = { "line_endings", true, "makes every line end in LF", "texts about line endings lose their CR" },
    [REPAIR_MOJIBAKE] = { "mojibake", true, "decodes UTF-8 that was read in a one-byte code page", "a text that shows mojibake on purpose" },
    [REPAIR_CONTROLS] = { "controls", true, "removes control characters and terminal escapes", "none known" },
    [REPAIR_HIDDEN] = { "hidden", true, "removes scripts, styles, comments and the head of a text in HTML", "an answer in HTML to a question that never says so" },
    [REPAIR_ENTITIES] = { "entities", true, "decodes HTML entities outside code", "a text on escaping that never says HTML or XML" },
    [REPAIR_TAGS] = { "tags", true, "removes leftover presentational tags", "an answer in HTML to a question that never says so" },
    [REPAIR_INVISIBLE] = { "invisible", true, "removes zero-width characters and bidi controls", "mixed right-to-left text may be shown in another order" },
    [REPAIR_SPACES] = { "spaces", true, "makes exotic spaces plain", "French spacing may break over lines" },
    [REPAIR_NFC] = { "nfc", true, "composes characters canonically", "texts about Unicode normal forms" },
    [REPAIR_QUOTES] = { "quotes", false, "straightens curly quotes", "loses typography, and quotes inside quotes" },
    [REPAIR_MAIL_QUOTE] = { "mail_quote", true, "removes quoted mail below its \"... wrote:\" line", "a text that discusses a mail thread" },
    [REPAIR_MAIL_SIGNATURE] = { "mail_signature", true, "removes a \"-- \" block of at most 12 lines at the end", "none known" },
    [REPAIR_MAIL_DEVICE] = { "mail_device", true, "removes \"Sent from my ...\"", "none known" },
    [REPAIR_MAIL_CLOSING] = { "mail_closing", false, "removes \"Best regards,\" and the names behind it", "letters written on request lose their end" },
    [REPAIR_MAIL_LEGAL] = { "mail_legal", true, "removes paragraphs of legal disclaimer", "a text that drafts such a disclaimer" },
    [REPAIR_MAIL_TRACKING] = { "mail_tracking", true, "removes lines of newsletter boilerplate", "a newsletter template loses its footer" },
    [REPAIR_TRAILING] = { "trailing", true, "removes spaces at line ends and blank lines at both ends", "two spaces mean a break in Markdown" },
    [REPAIR_BLANK_LINES] = { "blank_lines", true, "leaves at most one blank line in a row", "none known" },
};

static const struct { RepairFn *run; uint32_t needs; /* any of these */ } works[REPAIR_KINDS] = {
    [REPAIR_UTF8] = { NULL, 0 }, /* before all others, see below */
    [REPAIR_LINE_ENDINGS] = { repair_line_endings, HOLDS_CR | HOLDS_HIGH },
    [REPAIR_MOJIBAKE] = { repair_mojibake, HOLDS_HIGH },
    [REPAIR_CONTROLS] = { repair_controls, HOLDS_CONTROL | HOLDS_HIGH },
    [REPAIR_HIDDEN] = { repair_hidden, HOLDS_LESS },
    [REPAIR_ENTITIES] = { repair_entities, HOLDS_AMP },
    [REPAIR_TAGS] = { repair_tags, HOLDS_LESS },
    [REPAIR_INVISIBLE] = { repair_invisible, HOLDS_HIGH },
    [REPAIR_SPACES] = { repair_spaces, HOLDS_HIGH },
    [REPAIR_NFC] = { repair_nfc, HOLDS_HIGH },
    [REPAIR_QUOTES] = { repair_quotes, HOLDS_HIGH },
    [REPAIR_MAIL_QUOTE] = { repair_mail_quote, HOLDS_LINE },
    [REPAIR_MAIL_SIGNATURE] = { repair_mail_signature, HOLDS_LINE },
    [REPAIR_MAIL_DEVICE] = { repair_mail_device, HOLDS_LINE },
    [REPAIR_MAIL_CLOSING] = { repair_mail_closing, HOLDS_LINE },
    [REPAIR_MAIL_LEGAL] = { repair_mail_legal, HOLDS_LINE },
    [REPAIR_MAIL_TRACKING] = { repair_mail_tracking, HOLDS_LINE },
    [REPAIR_TRAILING] = { repair_trailing, HOLDS_EDGE },
    [REPAIR_BLANK_LINES] = { repair_blank_lines, HOLDS_GAP },
};

static uint32_t repair_scan(Str s)
{
    uint32_t holds = HOLDS_ALWAYS;
    size_t breaks = 0;
    bool blank = false; /* the byte before is a space or tab */
    for (size_t i = 0; i < s.n; i++) {
        const unsigned char c = (unsigned char)s.p[i];
        if (c > ' ' && c < 0x7F && c != '&' && c != '<') {
            breaks = 0;
            blank = false;
        } else if (c == '\n') {
            holds |= HOLDS_LINE | (blank || i == 0 ? (uint32_t)HOLDS_EDGE : 0) | (++breaks >= 3 ? (uint32_t)HOLDS_GAP : 0);
            blank = false;
        } else if (c == ' ' || c == '\t') {
            blank = true;
        } else {
            holds |= c >= 0x80 ? HOLDS_HIGH : c == '&' ? HOLDS_AMP : c == '<' ? HOLDS_LESS : c == '\r' ? HOLDS_CR | HOLDS_CONTROL : HOLDS_CONTROL;
            breaks = 0;
            blank = false;
        }
    }
    return holds | (blank || breaks ? (uint32_t)HOLDS_EDGE : 0);
}

bool repair_next_line(RepairLines *l, Str text, Str *line)
{
    if (l->at >= text.n)
        return false;
    const char *from = text.p + l->at, *end = memchr(from, '\n', text.n - l->at);
    *line = (Str){ from, end ? (size_t)(end - from) : text.n - l->at };
    l->ended = end != NULL;
    l->at += line->n + (end ? 1 : 0);
    const Str t = repair_trim(*line);
    size_t w = 0;
    while (w < t.n && (t.p[0] == '`' || t.p[0] == '~') && t.p[w] == t.p[0])
        w++;
    l->code = l->inside;
    if (w >= 3 && !l->inside) { /* a fence opens; what stands behind it is the language, which has no ` */
        l->inside = l->code = !memchr(t.p + w, '`', t.n - w);
        l->mark = t.p[0];
        l->width = w;
    } else if (w >= l->width && l->inside && t.p[0] == l->mark && w == t.n) {
        l->inside = false;
    }
    return true;
}

Str repair_trim(Str s)
{
    while (s.n && (*s.p == ' ' || *s.p == '\t'))
        s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

int repair_kind_of(const char *name)
{
    for (int k = 0; k < REPAIR_KINDS; k++)
        if (strcmp(repair_rows[k].name, name) == 0)
            return k;
    return -1;
}

static bool repair_wanted(const RepairOptions *opt, int kind)
{
    const uint32_t bit = 1u << kind;
    return !(opt->off & bit) && (repair_rows[kind].on || (opt->on & bit)) &&
           !(opt->keep_markup && (kind == REPAIR_HIDDEN || kind == REPAIR_ENTITIES || kind == REPAIR_TAGS));
}

static uint32_t count_replacement(Str s)
{
    uint32_t n = 0;
    for (const char *p = s.p, *end = s.p + s.n; p && (p = memmem(p, (size_t)(end - p), "\xEF\xBF\xBD", 3)); p += 3)
        n++;
    return n;
}

bool repair_text(StrBuf *out, Str in, const RepairOptions *opt, RepairReport *report)
{
    static const RepairOptions defaults = { 0 };
    StrBuf cur = { 0 }, next = { 0 };
    RepairReport r = { 0 };
    Str now = in;
    opt = opt ? opt : &defaults;
    if (!utf8_valid(in, NULL)) { /* no switch: all that follows needs valid text, and so do the caller's files */
        utf8_repair(&cur, in);
        now = strbuf_str(&cur);
        r.count[REPAIR_UTF8] = 1;
    }
    r.too_long = in.n > REPAIR_TEXT_MAX;
    bool moved = !r.too_long;
    for (int round = 0; moved; round++) {
        if (round == REPAIR_ROUNDS_MAX) {
            r = (RepairReport){ .count[REPAIR_UTF8] = r.count[REPAIR_UTF8] };
            strbuf_clear(&cur);
            utf8_repair(&cur, in);
            now = strbuf_str(&cur);
            break;
        }
        uint32_t holds = repair_scan(now);
        moved = false;
        for (int k = 0; k < REPAIR_KINDS; k++) {
            if (!works[k].run || !(works[k].needs & holds) || !repair_wanted(opt, k))
                continue;
            strbuf_clear(&next);
            const size_t n = works[k].run(&next, now);
            if (n == 0)
                continue;
            const StrBuf swap = cur;
            cur = next;
            next = swap;
            now = strbuf_str(&cur);
            r.count[k] = (uint32_t)MIN((size_t)UINT32_MAX - r.count[k], n) + r.count[k];
            holds = repair_scan(now);
            moved = true;
        }
    }
    r.replacement = count_replacement(now);
    r.changed = !str_eq(now, in);
    strbuf_add(out, now.p, now.n);
    if (report)
        *report = r;
    strbuf_release(&cur);
    strbuf_release(&next);
    return r.changed;
}
