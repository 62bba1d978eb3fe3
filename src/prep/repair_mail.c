/* repair_mail.c - what mail programs leave around a message: the quoted mail before it, signatures, device lines, closings, disclaimers, newsletter
 * boilerplate. All work on lines. Invariants: nothing is removed from code fences; a text is never emptied: a repair that would leave nothing
 * does nothing. To add a language: a row of the table of each repair; phrases in lower case, matched with ASCII letters in any case. */
#include "base/mem.h"
#include "prep/repair_int.h"

#include <stdlib.h>
#include <strings.h>

#define LINE_MAX_ATTRIBUTION 240 /* bytes; mail programs wrap at 78, but names and addresses are long */
#define LINE_MAX_BLOCK       100 /* a line of a signature or of names below a closing */
#define BLOCK_LINES_MAX      12

typedef struct MailLine { Str s, t; bool code, ended; bool drop; } MailLine; /* the line, and without spaces around it */
typedef struct Mail { MailLine *l; size_t n; } Mail;

static Mail mail_read(Str in)
{
    size_t cap = 1;
    for (size_t i = 0; i < in.n; i++)
        cap += in.p[i] == '\n';
    Mail m = { mem_zalloc(cap, sizeof *m.l), 0 };
    Str line;
    for (RepairLines l = { 0 }; repair_next_line(&l, in, &line); m.n++)
        m.l[m.n] = (MailLine){ line, repair_trim(line), l.code, l.ended, false };
    return m;
}

/* Writes what is not dropped; 0 when nothing was dropped or nothing would be left. Frees the lines. */
static size_t mail_write(StrBuf *out, Mail *m)
{
    size_t dropped = 0, left = 0;
    for (size_t i = 0; i < m->n; i++) {
        m->l[i].drop = m->l[i].drop && !m->l[i].code;
        dropped += m->l[i].drop && m->l[i].t.n;
        left += !m->l[i].drop && m->l[i].t.n;
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

static bool has_digit(Str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= '0' && s.p[i] <= '9')
            return true;
    return false;
}

/* "On 3 May 2024, A. Person wrote:" in the languages' forms: first word, and the verb near the colon at the end. */
static bool is_attribution(Str s)
{
    static const struct { const char *start, *verb; } forms[] = {
        { "on ", "wrote" },     { "am ", "schrieb" },    { "le ", "crit" },       { "el ", "escribi" },  { "il ", "scritto" }, { "em ", "escreveu" },
        { "op ", "schreef" },   { "den ", "skrev" },     { "w dniu ", "napisa" }, { "dne ", "napsal" },  { "a(z) ", "ezt " },  { "pe ", "scris" },
    };
    if (s.n < 12 || s.n > LINE_MAX_ATTRIBUTION || s.p[s.n - 1] != ':' || !has_digit(s))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(forms); i++)
        if (starts_nocase(s, forms[i].start) && has_nocase(s, forms[i].verb))
            return true;
    return false;
}

static bool is_header(Str s)
{
    static const char *const names[] = { "from:", "von:", "de:", "da:", "van:", "fr\xC3\xA5n:", "fra:", "od:", "sent:", "gesendet:", "date:", "datum:",
                                         "envoy\xC3\xA9", "enviado", "to:", "an:", "subject:", "betreff:" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (starts_nocase(s, names[i]))
            return true;
    return false;
}

static bool is_original_mark(Str s)
{
    static const char *const words[] = { "original message", "urspr\xC3\xBCngliche nachricht", "originalnachricht", "message d'origine", "mensaje original",
                                         "mensagem original", "messaggio originale", "oorspronkelijk bericht", "ursprungligt meddelande",
                                         "oprindelig meddelelse", "wiadomo\xC5\x9B\xC4\x87 oryginalna" };
    if (s.n < 8 || s.p[0] != '-' || s.p[1] != '-' || s.p[s.n - 1] != '-')
        return false;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (has_nocase(s, words[i]))
            return true;
    return false;
}

size_t repair_mail_quote(StrBuf *out, Str in)
{
    if (!memchr(in.p, '>', in.n) && !memmem(in.p, in.n, "--", 2))
        return 0;
    Mail m = mail_read(in);
    for (size_t i = 0; i < m.n; i++) {
        if (m.l[i].code || m.l[i].drop || m.l[i].t.n < 8)
            continue;
        size_t next = i + 1, heads = 0;
        if (is_original_mark(m.l[i].t)) {
            for (size_t k = i + 1; k < m.n && k < i + 5; k++)
                heads += is_header(m.l[k].t);
            for (size_t k = i; heads >= 2 && k < m.n; k++)
                m.l[k].drop = true;
            continue;
        }
        StrBuf two = { 0 }; /* long attributions are wrapped once */
        bool found = is_attribution(m.l[i].t);
        if (!found && i + 1 < m.n && m.l[i].t.p[m.l[i].t.n - 1] != ':' && m.l[i + 1].t.n && m.l[i + 1].t.p[m.l[i + 1].t.n - 1] == ':') {
            strbuf_add(&two, m.l[i].t.p, MIN(m.l[i].t.n, (size_t)LINE_MAX_ATTRIBUTION + 1));
            strbuf_addc(&two, ' ');
            strbuf_add(&two, m.l[i + 1].t.p, MIN(m.l[i + 1].t.n, (size_t)LINE_MAX_ATTRIBUTION + 1));
            found = is_attribution(strbuf_str(&two));
            next++;
        }
        strbuf_release(&two);
        while (next < m.n && m.l[next].t.n == 0)
            next++;
        if (!found || next >= m.n || m.l[next].t.p[0] != '>')
            continue; /* without quoted lines below it the line is a sentence about writing */
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
        "inviato dal mio ", "verstuurd vanaf ", "verzonden vanaf ", "skickat fr\xC3\xA5n min ", "sendt fra min ", "wys\xC5\x82" "ane z ", "odesl\xC3\xA1no z ",
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

size_t repair_mail_closing(StrBuf *out, Str in)
{
    static const char *const closings[] = {
        "best regards", "kind regards", "warm regards", "regards,", "sincerely", "yours sincerely", "yours faithfully", "yours truly", "best wishes", "cheers,",
        "mit freundlichen gr\xC3\xBC\xC3\x9F" "en", "mit freundlichem gru\xC3\x9F", "freundliche gr\xC3\xBC\xC3\x9F" "e", "viele gr\xC3\xBC\xC3\x9F" "e",
        "beste gr\xC3\xBC\xC3\x9F" "e", "liebe gr\xC3\xBC\xC3\x9F" "e", "mfg", "hochachtungsvoll", "cordialement", "bien \xC3\xA0 vous", "bien cordialement",
        "saludos cordiales", "un saludo", "atentamente", "cordiali saluti", "distinti saluti", "atenciosamente", "com os melhores cumprimentos",
        "met vriendelijke groet", "med venlig hilsen", "med v\xC3\xA4nliga h\xC3\xA4lsningar", "z powa\xC5\xBC" "aniem", "s pozdravem",
        "yst\xC3\xA4v\xC3\xA4llisin terveisin", "cu stim\xC4\x83", "s po\xC5\xA1tovanjem", "\xC3\xBC" "dv\xC3\xB6zlettel",
        "\xD0\xA1 \xD1\x83\xD0\xB2\xD0\xB0\xD0\xB6\xD0\xB5\xD0\xBD\xD0\xB8\xD0\xB5\xD0\xBC",
    };
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
