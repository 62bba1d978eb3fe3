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
