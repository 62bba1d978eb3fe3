/* repair_mail.c - what mail programs leave around a message: the quoted mail before it, signatures, device lines, closings, disclaimers, newsletter
 * boilerplate. All work on lines; a quotation may also begin behind the label of a template or a form ("Subject: On Monday ... wrote:"). Invariants: nothing is removed
 * from code fences; a text is never emptied: a repair that would leave nothing, or nothing but such a label, does nothing. To add a language: a row of the table of
 * each repair; phrases in lower case, matched with ASCII letters in any case. */
#include "base/mem.h"
#include "docs/quote.h"
#include "prep/repair_int.h"

#include <stdlib.h>
#include <strings.h>

#define LINE_MAX_BLOCK       100 /* a line of a signature or of names below a closing */
#define BLOCK_LINES_MAX      12
#define LABEL_MAX            200 /* a label and the subject that it may be */

/* The line, and without spaces around it. label: the bytes of a label before a quotation in the same line; where lines are split there, its line, which is no text by
 * itself. */
typedef struct MailLine { Str s, t; bool code, ended; bool drop; size_t label; } MailLine;
typedef struct Mail { MailLine *l; size_t n; } Mail;

static Mail mail_read(Str in)
{
    size_t cap = 1;
    for (size_t i = 0; i < in.n; i++)
        cap += in.p[i] == '\n';
    Mail m = { mem_zalloc(cap, sizeof *m.l), 0 };
    Str line;
    for (RepairLines l = { 0 }; repair_next_line(&l, in, &line); m.n++)
        m.l[m.n] = (MailLine){ .s = line, .t = repair_trim(line), .code = l.code, .ended = l.ended };
    return m;
}

/* Writes what is not dropped; 0 when nothing was dropped or nothing would be left. Frees the lines. */
static size_t mail_write(StrBuf *out, Mail *m)
{
    size_t dropped = 0, left = 0;
    for (size_t i = 0; i < m->n; i++) {
        m->l[i].drop = m->l[i].drop && !m->l[i].code;
        dropped += m->l[i].drop && m->l[i].t.n;
        left += !m->l[i].drop && !m->l[i].label && m->l[i].t.n;
        if (!m->l[i].drop) {
            strbuf_add(out, m->l[i].s.p, m->l[i].s.n);
            if (m->l[i].ended)
                strbuf_addc(out, '\n');
        }
    }
    free(m->l);
    return left ? dropped : 0;
}

static bool starts_nocase(Str s, const char *part)
{
    const size_t n = strlen(part);
    return s.n >= n && strncasecmp(s.p, part, n) == 0;
}

static bool has_nocase(Str s, const char *part)
{
    const size_t n = strlen(part);
    for (size_t i = 0; i + n <= s.n; i++)
        if (strncasecmp(s.p + i, part, n) == 0)
            return true;
    return false;
}

/* Words of which every quotation that has no ">" holds one: looked for before the lines are laid out. */
static bool may_quote(Str in)
{
    static const char *const probes[] = { "--", "wrote", "schrieb", "crit", "escribi", "scritto", "schreef", "escreveu", "skrev", "napisa", "orward", "eitergeleitet", "eenviado",
                                          "noltrato", "oorgestuurd", "Subject", "Betreff", "Objet", "Asunto", "Oggetto", "Onderwerp", "Assunto", "mne", "Emne", "Temat", "edm\xC4\x9Bt" };
    if (memchr(in.p, '>', in.n))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(probes) && memchr(in.p, ':', in.n); i++)
        if (memmem(in.p, in.n, probes[i], strlen(probes[i])))
            return true;
    return memmem(in.p, in.n, "--", 2) != NULL;
}

static bool is_rule(Str s) /* a line of dashes or underscores */
{
    size_t n = 0;
    while (n < s.n && (s.p[n] == '-' || s.p[n] == '_'))
        n++;
    return n >= 5 && n == s.n;
}

static void drop_rest(Mail *m, size_t from)
{
    while (from > 0 && (m->l[from - 1].t.n == 0 || is_rule(m->l[from - 1].t)))
        from--;
    for (size_t k = from; k < m->n; k++)
        m->l[k].drop = true;
}

/* The lines of an attribution at line i: 1 or 2, since long ones are wrapped once; 0: none. */
static size_t attribution_at(const Mail *m, size_t i, bool (*is)(Str))
{
    if (is(m->l[i].t))
        return 1;
    if (i + 1 >= m->n || m->l[i].t.p[m->l[i].t.n - 1] == ':' || !m->l[i + 1].t.n || m->l[i + 1].t.p[m->l[i + 1].t.n - 1] != ':' ||
        m->l[i].t.n + m->l[i + 1].t.n >= QUOTE_LINE_MAX || is(m->l[i + 1].t))
        return 0;
    StrBuf two = { 0 };
    strbuf_add(&two, m->l[i].t.p, m->l[i].t.n);
    strbuf_addc(&two, ' ');
    strbuf_add(&two, m->l[i + 1].t.p, m->l[i + 1].t.n);
    bool found = is(strbuf_str(&two));
    strbuf_release(&two);
    return found ? 2 : 0;
}

static size_t next_text(const Mail *m, size_t i)
{
    while (i < m->n && m->l[i].t.n == 0)
        i++;
    return i;
}

/* Where in line i a quotation begins behind a label, 0: nowhere. */
static size_t label_end(Mail *m, Str in, size_t i)
{
    const MailLine whole = m->l[i];
    const Str line = whole.s;
    size_t found = 0;
    for (size_t k = 1; k + 8 < line.n && k < LABEL_MAX && !whole.code && !found; k++) {
        if (line.p[k] != ' ' || line.p[k - 1] != ':')
            continue;
        m->l[i].t = repair_trim((Str){ line.p + k, line.n - k });
        if (m->l[i].t.n >= 8 && (quote_mark(m->l[i].t) || attribution_at(m, i, quote_attribution) || quote_head(in, (size_t)(m->l[i].t.p - in.p), true)))
            found = k + 1;
    }
    m->l[i] = whole;
    return found;
}

/* Makes two lines of each in which a quotation begins behind a label. */
static void split_labels(Mail *m, Str in)
{
    size_t n = 0;
    for (size_t i = 0; i < m->n; i++)
        n += (m->l[i].label = label_end(m, in, i)) > 0;
    if (!n)
        return;
    MailLine *l = mem_zalloc(m->n + n, sizeof *l);
    size_t to = 0;
    for (size_t i = 0; i < m->n; i++) {
        MailLine one = m->l[i];
        if (one.label) {
            const Str label = { one.s.p, one.label };
            l[to++] = (MailLine){ .s = label, .t = repair_trim(label), .label = one.label };
            one.s = (Str){ one.s.p + one.label, one.s.n - one.label };
            one.t = repair_trim(one.s);
            one.label = 0;
        }
        l[to++] = one;
    }
    free(m->l);
    *m = (Mail){ l, to };
}

size_t repair_mail_quote(StrBuf *out, Str in)
{
    if (!in.n || !may_quote(in))
        return 0;
    Mail m = mail_read(in);
    split_labels(&m, in);
    for (size_t i = 0; i < m.n; i++) {
        if (m.l[i].code || m.l[i].drop || m.l[i].t.n < 4)
            continue;
        const size_t below = next_text(&m, i + 1), at = (size_t)(m.l[i].s.p - in.p);
        if (quote_head(in, at, true) || (quote_mark(m.l[i].t) && below < m.n && quote_head(in, (size_t)(m.l[below].s.p - in.p), false))) {
            drop_rest(&m, i);
            break;
        }
        const size_t lines = m.l[i].t.n < 8 ? 0 : attribution_at(&m, i, quote_attribution);
        size_t next = next_text(&m, i + MAX(lines, (size_t)1));
        if (!lines || next >= m.n)
            continue;
        if (m.l[next].t.p[0] != '>') { /* without quoted lines below it most such lines are sentences about writing */
            if (!attribution_at(&m, i, quote_attribution_sure))
                continue;
            drop_rest(&m, i);
            break;
        }
        for (size_t k = next; k < m.n && (m.l[k].t.n == 0 || m.l[k].t.p[0] == '>'); k++)
            next = m.l[k].t.n ? k + 1 : next;
        for (size_t k = i; k < next; k++)
            m.l[k].drop = true;
    }
    return mail_write(out, &m);
}

/* The last `most` lines with text, from behind: first such line's number. */
static size_t mail_tail(const Mail *m, size_t most)
{
    size_t i = m->n;
    while (i > 0 && most > 0)
        most -= m->l[--i].t.n > 0;
    return i;
}

/* Whether one of the last `most` lines with text begins with one of these: asked before the lines are laid out. */
static bool tail_starts(Str in, size_t most, const char *const *starts, size_t n)
{
    for (size_t end = in.n; end > 0 && most > 0;) {
        const char *lf = memrchr(in.p, '\n', end);
        const size_t from = lf ? (size_t)(lf - in.p) + 1 : 0;
        const Str line = repair_trim((Str){ in.p + from, end - from });
        for (size_t k = 0; k < n && line.n; k++)
            if ((line.p[0] | 0x20) == (starts[k][0] | 0x20) && starts_nocase(line, starts[k]))
                return true;
        most -= line.n > 0;
        end = from ? from - 1 : 0;
    }
    return false;
}

static bool holds_any(Str in, const char *const *parts, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (memmem(in.p, in.n, parts[k], strlen(parts[k])))
            return true;
    return false;
}

static bool block_is_short(const Mail *m, size_t from)
{
    size_t lines = 0;
    for (size_t i = from; i < m->n; i++) {
        if (m->l[i].s.n > LINE_MAX_BLOCK || m->l[i].code || (m->l[i].t.n && strchr("?;{}|", m->l[i].t.p[m->l[i].t.n - 1])))
            return false;
        lines += m->l[i].t.n > 0;
    }
    return lines <= BLOCK_LINES_MAX;
}

size_t repair_mail_signature(StrBuf *out, Str in)
{
    static const char *const dashes[] = { "--" };
    if (!tail_starts(in, BLOCK_LINES_MAX + 1, dashes, 1))
        return 0;
    Mail m = mail_read(in);
    for (size_t i = mail_tail(&m, BLOCK_LINES_MAX + 1); i < m.n; i++) {
        if (!str_eqz(m.l[i].s, "-- ") && !str_eqz(m.l[i].s, "--"))
            continue;
        bool contact = m.l[i].s.n == 3; /* RFC 3676: dash, dash, space. Where the space is lost, the block must show who writes */
        for (size_t k = i + 1; k < m.n && !contact; k++)
            contact = memchr(m.l[k].s.p, '@', m.l[k].s.n) || has_nocase(m.l[k].s, "www.") || has_nocase(m.l[k].s, "http") || has_nocase(m.l[k].s, "tel");
        if (contact && i + 1 < m.n && block_is_short(&m, i + 1)) {
            for (size_t k = i; k < m.n; k++)
                m.l[k].drop = true;
            break;
        }
    }
    return mail_write(out, &m);
}

size_t repair_mail_device(StrBuf *out, Str in)
{
    static const char *const starts[] = {
        "sent from my ", "sent from mail for ", "sent from outlook", "sent via ", "get outlook for ", "von meinem iphone", "von meinem ipad", "gesendet von meinem ",
        "gesendet von mail", "gesendet mit der ", "envoy\xC3\xA9 de mon ", "envoy\xC3\xA9 depuis ", "enviado desde mi ", "enviado do meu ", "inviato da iphone",
        "inviato dal mio ", "verstuurd vanaf ", "verzonden vanaf ", "skickat fr\xC3\xA5n min ", "sendt fra min ", ("wys\xC5\x82" "ane z "), "odesl\xC3\xA1no z ",
        "l\xC3\xA4hetetty ", "\xD0\x9E\xD1\x82\xD0\xBF\xD1\x80\xD0\xB0\xD0\xB2\xD0\xBB\xD0\xB5\xD0\xBD\xD0\xBE \xD1\x81 ",
    };
    if (!tail_starts(in, 4, starts, ARRAY_LEN(starts)))
        return 0;
    Mail m = mail_read(in);
    for (size_t i = mail_tail(&m, 4); i < m.n; i++)
        for (size_t k = 0; k < ARRAY_LEN(starts); k++)
            if (m.l[i].t.n <= 60 && starts_nocase(m.l[i].t, starts[k]))
                m.l[i].drop = true;
    return mail_write(out, &m);
}

static const char *const closings[] = {
    "best regards", "kind regards", "warm regards", "regards,", "sincerely", "yours sincerely", "yours faithfully", "yours truly", "best wishes", "cheers,",
    "mit freundlichen gr\xC3\xBC\xC3\x9F" "en", "mit freundlichem gru\xC3\x9F", "freundliche gr\xC3\xBC\xC3\x9F" "e", "viele gr\xC3\xBC\xC3\x9F" "e",
    "beste gr\xC3\xBC\xC3\x9F" "e", "liebe gr\xC3\xBC\xC3\x9F" "e", "mfg", "hochachtungsvoll", "cordialement", "bien \xC3\xA0 vous", "bien cordialement",
    "saludos cordiales", "un saludo", "atentamente", "cordiali saluti", "distinti saluti", "atenciosamente", "com os melhores cumprimentos",
    "met vriendelijke groet", "med venlig hilsen", "med v\xC3\xA4nliga h\xC3\xA4lsningar", "z powa\xC5\xBC" "aniem", "s pozdravem",
    "yst\xC3\xA4v\xC3\xA4llisin terveisin", "cu stim\xC4\x83", "s po\xC5\xA1tovanjem", "\xC3\xBC" "dv\xC3\xB6zlettel",
    "\xD0\xA1 \xD1\x83\xD0\xB2\xD0\xB0\xD0\xB6\xD0\xB5\xD0\xBD\xD0\xB8\xD0\xB5\xD0\xBC",
};

bool repair_is_letter(Str text)
{
    static const char *const salutations[] = {
        "dear ", "good morning", "good afternoon", "sehr geehrte", "guten tag", "guten morgen", "gr\xC3\xBC\xC3\x9F gott", "bonjour", "madame", "monsieur", "estimad", "buenos d", "gentile",
        "gentili", "buongiorno", "egregi", "geachte", "prezad", "bom dia", "szanown", "dzie\xC5\x84 dobry", "dobr\xC3\xBD den",
    };
    while (text.n && memchr(" \t\n", *text.p, 3))
        text = (Str){ text.p + 1, text.n - 1 };
    for (size_t i = 0; i < ARRAY_LEN(salutations); i++)
        if (starts_nocase(text, salutations[i]))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(closings); i++)
        if (strchr(closings[i], ' ') && has_nocase(text, closings[i])) /* a single word, as "mfg", may stand anywhere */
            return true;
    return false;
}

size_t repair_mail_closing(StrBuf *out, Str in)
{
    if (!tail_starts(in, 8, closings, ARRAY_LEN(closings)))
        return 0;
    Mail m = mail_read(in);
    for (size_t i = mail_tail(&m, 8); i < m.n; i++) {
        bool found = false;
        for (size_t k = 0; k < ARRAY_LEN(closings) && !found; k++)
            found = starts_nocase(m.l[i].t, closings[k]) && m.l[i].t.n <= strlen(closings[k]) + 40;
        if (found && block_is_short(&m, i)) {
            for (size_t k = i; k < m.n; k++)
                m.l[k].drop = true;
            break;
        }
    }
    return mail_write(out, &m);
}

#define CLUES_MAX 9
static const char *const legal[][CLUES_MAX] = { /* clues by language; three in a paragraph prove it */
    { "confidential", "intended recipient", "intended solely", "this e-mail", "this email", "this message", "notify the sender", "unauthori", "delete" },
    { "diese e-mail", "diese nachricht", "vertraulich", "richtige adressat", "bestimmte adressat", "absender", "vernichten", "unbefugte", "irrt" },
    { "ce message", "ce courriel", "cet e-mail", "confidentiel", "destinataire", "exp\xC3\xA9" "diteur", "d\xC3\xA9truire", "par erreur" },
    { "este mensaje", "este correo", "confidencia", "destinatario", "remitente", "por error", "eliminar" },
    { "esta mensagem", "este e-mail", "confidencia", "destinat\xC3\xA1rio", "remetente", "por engano", "apagar" },
    { "questo messaggio", "questa e-mail", "riservat", "destinatari", "mittente", "per errore", "cancellar" },
    { "dit bericht", "deze e-mail", "vertrouwelijk", "geadresseerde", "afzender", "abusievelijk", "verwijderen" },
    { "tato zpr\xC3\xA1va", "tento e-mail", "d\xC5\xAFv\xC4\x9Brn", "adres\xC3\xA1t", "odes\xC3\xADlatel", "omylem" },
    { "wiadomo\xC5\x9B\xC4\x87", "poufn", "adresat", "nadawc", "usun", "pomy\xC5\x82" },
};

static bool is_legal(Str paragraph)
{
    for (size_t k = 0; k < ARRAY_LEN(legal); k++) {
        int n = 0;
        for (size_t c = 0; c < CLUES_MAX && legal[k][c]; c++)
            n += has_nocase(paragraph, legal[k][c]);
        if (n >= 3)
            return true;
    }
    return false;
}

size_t repair_mail_legal(StrBuf *out, Str in)
{
    static const char *const probes[] = { "onfid", "ONFID", "ertr", "iservat", "oufn", "v\xC4\x9Brn" };
    if (!memmem(in.p, in.n, "\n\n", 2) || !holds_any(in, probes, ARRAY_LEN(probes)))
        return 0;
    Mail m = mail_read(in);
    bool first = true; /* the first paragraph is what the text is about */
    for (size_t i = 0, end; i < m.n; i = end) {
        end = i + 1;
        if (m.l[i].t.n == 0)
            continue;
        while (end < m.n && m.l[end].t.n)
            end++;
        const char *from = m.l[i].s.p;
        const Str paragraph = { from, (size_t)(m.l[end - 1].s.p + m.l[end - 1].s.n - from) };
        if (!first && paragraph.n >= 80 && paragraph.n <= 4000 && is_legal(paragraph))
            for (size_t k = i; k < end; k++)
                m.l[k].drop = true;
        first = false;
    }
    return mail_write(out, &m);
}

size_t repair_mail_tracking(StrBuf *out, Str in)
{
    static const struct { const char *a, *b; } lines[] = { /* a line that holds both */
        { "view this email in your browser", "" },   { "view it in your browser", "" },          { "view in browser", "" },
        { "unsubscribe", "click here" },             { "unsubscribe", "preferences" },           { "unsubscribe", "from this list" },
        { "unsubscribe", "http" },                   { "you are receiving this e", "because" },  { "you received this", "subscribed" },
        { "newsletter", "abbestellen" },             { "newsletter", "abmelden" },               { "im browser", "e-mail" },
        { "inscrire", "cliquez" },                   { "dans votre navigateur", "" },            { "darse de baja", "clic" },
        { "en su navegador", "correo" },             { "annulla l'iscrizione", "" },             { "nel browser", "mail" },
        { "afmelden", "nieuwsbrief" },               { "cancelar a inscri", "" },                { "avregistrera", "nyhetsbrev" },
    };
    static const char *const probes[] = { "scri", "SCRI", "owser", "OWSER", "sletter", "nav", "baja", "sbr" }; /* each row holds one of them */
    if (!holds_any(in, probes, ARRAY_LEN(probes)))
        return 0;
    Mail m = mail_read(in);
    for (size_t i = 0; i < m.n; i++)
        for (size_t k = 0; k < ARRAY_LEN(lines) && !m.l[i].drop; k++)
            m.l[i].drop = m.l[i].t.n <= 200 && m.l[i].t.n && m.l[i].t.p[m.l[i].t.n - 1] != '?' && has_nocase(m.l[i].t, lines[k].a) && has_nocase(m.l[i].t, lines[k].b);
    return mail_write(out, &m);
}
