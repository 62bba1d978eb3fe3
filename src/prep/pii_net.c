/* pii_net.c - what belongs to networks: e-mail addresses, logins inside addresses, IPv4, IPv6 and MAC addresses. */
#include "prep/pii_int.h"

/* The practical part of RFC 5322 and 6531: a local part of at most 64 bytes without spaces, or quoted; a domain of labels with a letter-only last
 * one of two and more (or xn--), at most 253 bytes; or an address in brackets. */
static size_t domain_end(const PiiText *t, size_t i)
{
    const char *p = t->p;
    size_t label = i, end = 0;
    if (i < t->n && p[i] == '[') {
        for (size_t k = i + 1; k < MIN(t->n, i + 48); k++)
            if (p[k] == ']')
                return k > i + 2 ? k + 1 : 0;
        return 0;
    }
    for (size_t at = i; at <= MIN(t->n, i + 253); ) {
        const size_t len = pii_word_char(p, t->n, at);
        if (len) {
            at += len;
            continue;
        }
        const char c = at < t->n ? p[at] : 0;
        if (c == '-' && at > label && pii_word_char(p, t->n, at + 1)) {
            at++;
            continue;
        }
        if (c == '-' && at > label && at + 1 < t->n && p[at + 1] == '-') {
            at += 2;
            continue;
        }
        bool letters = at >= label + 2;
        for (size_t k = label; k < at && letters; k++)
            letters = !ch_digit(p[k]) || (p[label] == 'x' && p[label + 1] == 'n');
        if (label > i && letters)
            end = at;
        if (c != '.' || at == label || !pii_word_char(p, t->n, at + 1))
            break;
        label = ++at;
    }
    return end;
}

static size_t local_begin(const PiiText *t, size_t at)
{
    const char *p = t->p;
    size_t b = at;
    if (at && p[at - 1] == '"') {
        for (size_t k = at - 1; k > 0 && at - k < 64; k--)
            if (p[k - 1] == '"' || p[k - 1] == '\n')
                return p[k - 1] == '"' && k < at - 1 ? k - 1 : at;
        return at;
    }
    while (b > 0 && at - b < 64 && (ch_is(p[b - 1], CH_LOCAL) || ((unsigned char)p[b - 1] >= 0x80 && pii_word_before(p, b))))
        b--;
    while (b < at && ((unsigned char)p[b] & 0xC0) == 0x80)
        b++; /* the bound may fall inside a character */
    while (b < at && !pii_word_char(p, at, b) && p[b] != '_')
        b++;
    return b;
}

void pii_match_email(PiiText *t, size_t at)
{
    const size_t b = local_begin(t, at), e = domain_end(t, at + 1);
    if (b == at || !e || t->p[at - 1] == '.')
        return;
    /* git@host:path and user@host:/path name a machine rather than a mailbox */
    const bool remote = e + 1 < t->n && t->p[e] == ':' && (t->p[e + 1] == '/' || t->p[e + 1] == '~' || ch_alnum(t->p[e + 1]));
    pii_add(t, b, e, PII_EMAIL, remote ? 45 : 98, remote ? "remote-login" : "email");
}

/* ---- spelt out, so that no machine gathers it: name (at) host (dot) de, name [at] host.de, first.last at host dot de ------------------------------------ */

static size_t spelt_in(const char *p, size_t n, const char *const *words, size_t rows)
{
    for (size_t k = 0; k < rows; k++) {
        const size_t len = strlen(words[k]);
        size_t m = 0;
        while (m < len && m < n && ch_low(p[m]) == words[k][m])
            m++;
        if (m == len)
            return len;
    }
    return 0;
}

/* "(dot)", "[ Punkt ]", "{.}" at i: its length, 0: none. */
static size_t in_brackets(const PiiText *t, size_t i, const char *const *words, size_t rows)
{
    static const char open[] = "([{", shut[] = ")]}";
    const char *p = t->p, *kind = i < t->n && p[i] ? strchr(open, p[i]) : NULL;
    if (!kind)
        return 0;
    size_t k = i + 1;
    k += pii_space(p, t->n, k);
    const size_t len = spelt_in(p + k, t->n - k, words, rows);
    k += len;
    k += pii_space(p, t->n, k);
    return len && k < t->n && p[k] == shut[kind - open] ? k + 1 - i : 0;
}

static const char *const ats[] = { "at", "ät", "@" };
static const char *const dots[] = { "dot", "punkt", "point", "." };

/* A dot at i: '.', or spelt with or without brackets and a blank on each side; its length, 0: none. *spelt: it was a word. */
static size_t dot_at(const PiiText *t, size_t i, bool *spelt)
{
    const char *p = t->p;
    const size_t blank = pii_space(p, t->n, i), k = i + blank, bracket = in_brackets(t, k, dots, ARRAY_LEN(dots));
    if (bracket) {
        *spelt = true;
        return blank + bracket + pii_space(p, t->n, k + bracket);
    }
    if (i < t->n && p[i] == '.' && pii_word_char(p, t->n, i + 1))
        return 1;
    const size_t len = blank ? spelt_in(p + k, t->n - k, dots, 2) : 0, behind = len ? pii_space(p, t->n, k + len) : 0;
    *spelt |= behind > 0;
    return behind ? blank + len + behind : 0;
}

/* The host that begins at i: two labels and more, the last of letters; its end, 0: none. *spelt: one of its dots was a word. */
static size_t spelt_host(const PiiText *t, size_t i, bool *spelt)
{
    const char *p = t->p;
    size_t at = i, end = 0;
    for (int labels = 0; labels < 6; labels++) {
        const size_t label = at;
        bool letters = true, word = false;
        while (at < t->n && at - label < 64 && (ch_alnum(p[at]) || (at > label && p[at] == '-') || (unsigned char)p[at] >= 0x80)) {
            letters &= ch_alpha(p[at]);
            at++;
        }
        if (at == label)
            break;
        if (labels && letters && at - label > 1) {
            end = at;
        } else if (labels && !letters)
            end = 0;
        const size_t dot = dot_at(t, at, &word);
        if (!dot)
            break;
        *spelt |= word;
        at += dot;
    }
    return end && !pii_word_char(p, t->n, end) ? end : 0;
}

/* Where the part before the "at" that begins at i begins, "(dot)" within it too; i: there is none. */
static size_t spelt_local(const PiiText *t, size_t i)
{
    const char *p = t->p;
    size_t at = i;
    at -= at > 0 && p[at - 1] == ' ';
    size_t b = local_begin(t, at);
    for (int parts = 0; parts < 4 && b < at && b > 4; parts++) {
        size_t k = b - (p[b - 1] == ' ');
        if (k < 3 || !strchr(")]}", p[k - 1]))
            break;
        size_t open = k - 1;
        while (open > 0 && k - open < 10 && !strchr("([{", p[open]))
            open--;
        const size_t word = open - (open > 0 && p[open - 1] == ' ');
        if (in_brackets(t, open, dots, ARRAY_LEN(dots)) != k - open || local_begin(t, word) == word)
            break;
        b = local_begin(t, word);
    }
    return b == at ? i : b;
}

void pii_match_email_spelt(PiiText *t, size_t at)
{
    const char *p = t->p;
    bool spelt = false;
    const size_t bracket = in_brackets(t, at, ats, ARRAY_LEN(ats));
    size_t k = at + (bracket ? bracket : 2);
    if (!bracket && (!ch_alpha(p[at]) || !at || p[at - 1] != ' ' || !pii_space(p, t->n, k)))
        return;
    const size_t blank = pii_space(p, t->n, k);
    if (bracket && (at > 0 && p[at - 1] == ' ') != (blank > 0))
        return; /* "list[at] it.next" */
    k += blank;
    const size_t b = spelt_local(t, at), e = spelt_host(t, k, &spelt);
    if (b == at || !e)
        return;
    bool mark = false; /* "look at example dot com": the word alone stands between any two words, so the name before it must be none of the language */
    for (size_t m = b; m < at; m++)
        mark |= ch_digit(p[m]) || p[m] == '.' || p[m] == '_';
    if (bracket || (spelt && mark))
        pii_add(t, b, e, PII_EMAIL, bracket ? 96 : 75, "email-spelt");
}

/* scheme://user:password@host; the span is user:password. RFC 3986 3.2.1. */
void pii_match_login(PiiText *t, size_t at)
{
    const char *p = t->p;
    if (at + 3 >= t->n || p[at + 1] != '/' || p[at + 2] != '/' || !at || !ch_alnum(p[at - 1]))
        return;
    size_t colon = 0;
    for (size_t k = at + 3; k < MIN(t->n, at + 259); k++) {
        if (p[k] == '@') {
            if (colon > at + 3 && k > colon + 1)
                pii_add(t, at + 3, k, PII_URL_LOGIN, 99, "url-login");
            return;
        }
        if (p[k] == ':' && !colon)
            colon = k;
        if (ch_is(p[k], CH_SPACE) || strchr("/?#\"'<>", p[k]))
            return;
    }
}

static const char ip_context[] = "=ip|ipv4|ipv6|ip-|server|host|client|login|logged|adresse|address|from|remote|=von";

void pii_match_ip4(PiiText *t, size_t i)
{
    const char *p = t->p;
    size_t k = i;
    int part[4];
    for (int q = 0; q < 4; q++) {
        size_t digits = 0;
        part[q] = 0;
        for (; k < t->n && ch_digit(p[k]) && digits < 4; k++, digits++)
            part[q] = part[q] * 10 + p[k] - '0';
        if (!digits || digits > 3 || part[q] > 255 || (digits > 1 && p[k - digits] == '0'))
            return;
        if (q < 3 && (k >= t->n || p[k++] != '.'))
            return;
    }
    if (pii_word_before(p, i) || (i && strchr("._-", p[i - 1]) != NULL) || pii_word_char(p, t->n, k)
            || (k + 1 < t->n && p[k] == '.' && ch_digit(p[k + 1])))
        return;
    /* what names no machine of a person: this host, loopback, masks, broadcast, documentation (RFC 5735) */
    const bool nobody = part[0] == 0 || part[0] == 127 || part[0] == 255 || part[0] >= 224 || (part[3] == 0 && part[2] == 0);
    const bool small = part[0] < 10 && part[1] < 10 && part[2] < 10 && part[3] < 10; /* a version number more often than not */
    const bool near = pii_context(t, i, k, ip_context);
    pii_add(t, i, k, PII_IP, nobody ? 30 : small && !near ? 40 : near ? 95 : 80, "ipv4");
}

/* RFC 4291 2.2: eight groups of up to four digits, one "::" in place of groups of zero, perhaps an IPv4 tail. `at` is a ':'; only the
 * first of a run works. */
void pii_match_ip6(PiiText *t, size_t at)
{
    const char *p = t->p;
    size_t b = at, e, groups = 0, digits = 0, runs = 0, letters = 0;
    while (b > 0 && at - b < 5 && ch_is(p[b - 1], CH_HEX))
        b--;
    if (at - b > 4 || (b && (p[b - 1] == ':' || pii_word_before(p, b) || p[b - 1] == '.')))
        return;
    for (e = b; e < t->n && e - b <= 45; e++) {
        if (ch_is(p[e], CH_HEX)) {
            letters += !ch_digit(p[e]);
            if (++digits > 4)
                return;
        } else if (p[e] == ':') {
            groups += digits > 0;
            if (e + 1 < t->n && p[e + 1] == ':') {
                if (++runs > 1)
                    return;
                e++;
            }
            digits = 0;
        } else
            break;
    }
    groups += digits > 0;
    if (e > b && p[e - 1] == ':' && !(e > b + 1 && p[e - 2] == ':'))
        e--; /* a colon of the sentence */
    if (pii_word_char(p, t->n, e) || groups > 8 || (runs ? groups < 2 || groups > 7 : groups != 8) || (!letters && groups < 4)
            || (groups < 3 && !ch_digit(p[b]) && memcmp(p + b, "fe80", MIN(e - b, (size_t)4)) != 0))
        return; /* a::b is a name in programs */
    pii_add(t, b, e, PII_IP, 90, "ipv6");
}

/* Six pairs of hexadecimal digits with ':' or '-' between, IEEE 802 EUI-48. */
void pii_match_mac(PiiText *t, size_t i)
{
    const char *p = t->p;
    if (i + 17 > t->n || (p[i + 2] != ':' && p[i + 2] != '-') || pii_word_before(p, i) || (i && (p[i - 1] == ':' || p[i - 1] == '-')))
        return;
    for (size_t k = 0; k < 17; k++)
        if (k % 3 == 2 ? p[i + k] != p[i + 2] : !ch_is(p[i + k], CH_HEX))
            return;
    if (pii_word_char(p, t->n, i + 17) || (i + 18 < t->n && p[i + 17] == p[i + 2] && ch_is(p[i + 18], CH_HEX)))
        return;
    pii_add(t, i, i + 17, PII_MAC, 90, "mac");
}
