/* quote.c - see quote.h. Phrases are in lower case and matched with ASCII letters in any case; a colon may have a space or no-break space before it, as the
 * French write it, and names of fields may stand in the asterisks that HTML's bold became. */
#include "docs/quote.h"

#include <strings.h>

static bool starts_nocase(Str s, const char *part)
{
    const size_t n = strlen(part);
    return s.n >= n && strncasecmp(s.p, part, n) == 0;
}

static bool has_nocase(Str s, const char *part)
{
    const size_t n = strlen(part);
    for (size_t i = 0; i + n <= s.n; i++)
        if ((s.p[i] | 0x20) == (part[0] | 0x20) && strncasecmp(s.p + i, part, n) == 0)
            return true;
    return false;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool has_digit(Str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (is_digit(s.p[i]))
            return true;
    return false;
}

/* 10:12, 10.12 Uhr, 10h12 */
static bool has_time(Str s)
{
    for (size_t i = 1; i + 2 < s.n; i++)
        if ((s.p[i] == ':' || s.p[i] == 'h') && is_digit(s.p[i - 1]) && is_digit(s.p[i + 1]) && is_digit(s.p[i + 2]))
            return true;
    return false;
}

/* ---- "Am ... schrieb ...:" ---- */

/* First words, and the verb behind them; "": the line begins with the writer's name. */
static const struct { const char *start, *verb; } forms[] = {
    { "on ", " wrote" },      { "am ", " schrieb" },      { "le ", "crit" },        { "el ", " escribi" },     { "il ", " scritto" },   { "em ", " escreveu" },
    { "op ", " schreef" },    { "den ", " skrev" },       { "w dniu ", " napisa" }, { "dne ", " napsal" },     { "a(z) ", " ezt " },    { "pe ", " scris" },
    { "", " wrote on " },     { "", " schrieb am " },     { "", "crit le " },       { "", " escribi\xC3\xB3 el " }, { "", " ha scritto il " }, { "", " schreef op " },
    { "", " escreveu em " },  { "", " skrev den " },      { "", " schrieb:" },       { "", " wrote:" },
};

static Str before_colon(Str line)
{
    if (!line.n || line.p[line.n - 1] != ':')
        return (Str){ line.p, 0 };
    return line;
}

bool quote_attribution(Str line)
{
    const Str s = before_colon(line);
    if (s.n < 12 || s.n > QUOTE_LINE_MAX || !has_digit(s))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (starts_nocase(s, forms[i].start) && has_nocase(s, forms[i].verb))
            return true;
    return false;
}

bool quote_attribution_sure(Str line)
{
    return quote_attribution(line) && (memchr(line.p, '@', line.n) || has_time(line));
}

/* ---- "-----Original Message-----" ---- */

static const struct { const char *words; bool alone; } marks[] = { /* alone: also without dashes around, ending with a colon */
    { "original message", false },            { "urspr\xC3\xBCngliche nachricht", false }, { "originalnachricht", false },      { "original-nachricht", false },
    { "message d'origine", false },           { "message d\xE2\x80\x99origine", false },   { "message original", false },       { "mensaje original", false },
    { "mensagem original", false },           { "messaggio originale", false },            { "oorspronkelijk bericht", false }, { "origineel bericht", false },
    { "ursprungligt meddelande", false },     { "oprindelig meddelelse", false },          { "opprinnelig melding", false },    { "wiadomo\xC5\x9B\xC4\x87 oryginalna", false },
    { "p\xC5\xAFvodn\xC3\xAD zpr\xC3\xA1va", false }, { "forwarded message", true },       { "weitergeleitete nachricht", true }, { "weitergeleiteten nachricht", true },
    { "message transf\xC3\xA9r\xC3\xA9", true }, { "message r\xC3\xA9" "exp\xC3\xA9" "di\xC3\xA9", true }, { "mensaje reenviado", true }, { "messaggio inoltrato", true },
    { "doorgestuurd bericht", true },         { "mensagem encaminhada", true },
};

bool quote_mark(Str s)
{
    if (s.n < 8 || s.n > QUOTE_LINE_MAX)
        return false;
    const bool dashes = s.p[0] == '-' && s.p[1] == '-', colon = s.p[s.n - 1] == ':';
    for (size_t i = 0; (dashes || colon) && i < ARRAY_LEN(marks); i++)
        if (has_nocase(s, marks[i].words) && (dashes ? s.p[s.n - 1] == '-' || marks[i].alone : marks[i].alone && s.n <= strlen(marks[i].words) + 20))
            return true;
    return false;
}

/* ---- "Von: ... Gesendet: ..." ---- */

enum { FIELD_FROM = 1, FIELD_SENT = 2, FIELD_TO = 4, FIELD_SUBJECT = 8 };

typedef struct HeadNames { const char *from, *sent[3], *to[2], *subject; } HeadNames;
static const HeadNames heads[] = {
    { "from", { "sent", "date" }, { "to" }, "subject" },
    { "von", { "gesendet", "datum", "gesendet am" }, { "an" }, "betreff" },
    { "de", { "envoy\xC3\xA9", "date", "envoy\xC3\xA9 le" }, { "\xC3\xA0", "\xC3\x80" }, "objet" },
    { "de", { "enviado", "fecha", "enviado el" }, { "para" }, "asunto" },
    { "da", { "inviato", "data", "inviato il" }, { "a" }, "oggetto" },
    { "van", { "verzonden", "datum" }, { "aan" }, "onderwerp" },
    { "de", { "enviada", "data", "enviada em" }, { "para" }, "assunto" },
    { "fr\xC3\xA5n", { "skickat", "datum" }, { "till" }, "\xC3\x84mne" },
    { "fra", { "sendt", "dato" }, { "til" }, "emne" },
    { "od", { "wys\xC5\x82" "ano", "data", "wys\xC5\x82" "ane" }, { "do" }, "temat" },
    { "od", { "odesl\xC3\xA1no", "datum" }, { "komu" }, "p\xC5\x99" "edm\xC4\x9Bt" },
};

static Str line_at(Str s, size_t at, size_t *next)
{
    const char *nl = memchr(s.p + at, '\n', s.n - at);
    Str         line = { s.p + at, nl ? (size_t)(nl - s.p) - at : s.n - at };
    *next = nl ? at + line.n + 1 : s.n;
    while (line.n && strchr(" \t\r", line.p[line.n - 1]) && line.p[line.n - 1])
        line.n--;
    while (line.n && strchr(" \t*_", *line.p) && *line.p)
        line = (Str){ line.p + 1, line.n - 1 };
    return line;
}

static bool is_field(Str line, const char *name)
{
    if (!name || !starts_nocase(line, name))
        return false;
    for (size_t i = strlen(name); i < line.n; i++)
        if (line.p[i] == ':')
            return true;
        else if (line.p[i] != ' ' && line.p[i] != '*' && (unsigned char)line.p[i] != 0xC2 && (unsigned char)line.p[i] != 0xA0)
            return false;
    return false;
}

static unsigned field_of(const HeadNames *h, Str line)
{
    bool sent = false, to = false;
    for (size_t i = 0; i < ARRAY_LEN(h->sent); i++)
        sent = sent || is_field(line, h->sent[i]);
    for (size_t i = 0; i < ARRAY_LEN(h->to); i++)
        to = to || is_field(line, h->to[i]);
    return is_field(line, h->from) ? FIELD_FROM : sent ? FIELD_SENT : to ? FIELD_TO : is_field(line, h->subject) ? FIELD_SUBJECT : 0;
}

/* The fields of one language in the lines from `at` on, up to the first blank one. */
static unsigned head_fields(const HeadNames *h, Str text, size_t at, bool sure)
{
    unsigned found = 0;
    for (size_t k = 0; at < text.n && k < QUOTE_HEAD_LINES; k++) {
        const Str line = line_at(text, at, &at);
        const unsigned field = field_of(h, line);
        if (!line.n || (k == 0 && field != FIELD_FROM) || (field == FIELD_FROM && k))
            break;
        if (field != FIELD_SENT || has_digit(line) || !sure)
            found |= field;
    }
    return found;
}

bool quote_head(Str text, size_t at, bool sure)
{
    const unsigned want = FIELD_FROM | FIELD_SENT | (sure ? FIELD_SUBJECT : 0);
    size_t next;
    const Str line = line_at(text, at, &next);
    if (line.n < 4 || line.n > QUOTE_LINE_MAX || !memchr(line.p, ':', line.n))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++)
        if ((head_fields(&heads[i], text, at, sure) & want) == want)
            return true;
    return false;
}
