/* pii_key.c - HMAC-SHA-256 over base/hash.h, normal forms of values, numbers drawn from a hash. */
#include "prep/pii_key.h"

#include "base/utf8.h"

static void digest(Sha256 *h, uint8_t out[32])
{
    char hex[SHA256_HEX];
    sha256_hex(h, hex);
    for (size_t k = 0; k < 32; k++) {
        const char a = hex[2 * k], b = hex[2 * k + 1];
        out[k] = (uint8_t)((a <= '9' ? a - '0' : a - 'a' + 10) << 4 | (b <= '9' ? b - '0' : b - 'a' + 10));
    }
}

void pii_hmac_init(PiiHmac *h, Str key)
{
    uint8_t block[64] = {0}, pad[64];
    if (key.n > sizeof block) {
        Sha256 s;
        sha256_init(&s);
        sha256_add(&s, key.p, key.n);
        digest(&s, block);
    } else if (key.n)
        memcpy(block, key.p, key.n);
    for (size_t k = 0; k < sizeof pad; k++)
        pad[k] = block[k] ^ 0x36;
    sha256_init(&h->inner);
    sha256_add(&h->inner, pad, sizeof pad);
    for (size_t k = 0; k < sizeof pad; k++)
        pad[k] = block[k] ^ 0x5C;
    sha256_init(&h->outer);
    sha256_add(&h->outer, pad, sizeof pad);
}

void pii_hmac(const PiiHmac *h, const char *use, const char *kind, Str value, uint8_t out[32])
{
    Sha256 s = h->inner, o = h->outer;
    uint8_t inside[32];
    sha256_add(&s, use, strlen(use) + 1);
    sha256_add(&s, kind, strlen(kind) + 1);
    sha256_add(&s, value.p, value.n);
    digest(&s, inside);
    sha256_add(&o, inside, sizeof inside);
    digest(&o, out);
}

PiiDraw pii_draw(const PiiHmac *h, const char *use, const char *kind, Str value)
{
    PiiDraw d = { .h = h };
    pii_hmac(h, use, kind, value, d.block);
    return d;
}

uint64_t pii_draw_next(PiiDraw *d)
{
    if (d->used == sizeof d->block) {
        uint8_t next[32];
        pii_hmac(d->h, "more", "", (Str){ (const char *)d->block, sizeof d->block }, next);
        memcpy(d->block, next, sizeof next);
        d->used = 0;
    }
    uint64_t v = 0;
    for (int k = 0; k < 8; k++)
        v = v << 8 | d->block[d->used++];
    return v;
}

static void add_alnum(Str v, StrBuf *out)
{
    for (size_t k = 0; k < v.n; k++) {
        const char c = v.p[k];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80)
            strbuf_addc(out, c);
        else if (c >= 'a' && c <= 'z')
            strbuf_addc(out, (char)(c - 32));
    }
}

/* Digits; 00 and + at the front are one, and a zero in brackets, as in +49 (0)30, is left out. An extension stays. */
static void add_phone(Str v, StrBuf *out)
{
    bool plus = v.n && memchr(v.p, '+', MIN(v.n, (size_t)2));
    for (size_t k = 0; k < v.n; k++) {
        if (v.n - k > 2 && memcmp(v.p + k, "(0)", 3) == 0 && out->n)
            k += 2;
        else if (v.p[k] >= '0' && v.p[k] <= '9')
            strbuf_addc(out, v.p[k]);
    }
    if (!plus && out->n > 2 && out->p[0] == '0' && out->p[1] == '0') {
        memmove(out->p, out->p + 2, out->n - 1);
        out->n -= 2;
        plus = true;
    }
    if (plus)
        strbuf_addc(out, '+');
}

void pii_lower(Str s, StrBuf *out)
{
    StrBuf whole = {0};
    utf8_repair(&whole, s);
    utf8_lower(out, strbuf_str(&whole));
    strbuf_release(&whole);
}

/* Small letters, one blank for any run of white space. */
static void add_text(Str v, StrBuf *out)
{
    StrBuf low = {0};
    pii_lower(v, &low);
    bool blank = false;
    for (size_t k = 0; k < low.n; k++) {
        const char c = low.p[k];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            blank = out->n > 0;
            continue;
        }
        if (blank)
            strbuf_addc(out, ' ');
        blank = false;
        strbuf_addc(out, c);
    }
    strbuf_release(&low);
}

/* In small letters, and as a machine reads it where it was spelt out: "anna (dot) k (at) example [dot] org". What is in brackets, or a word of its own
 * between blanks, is a sign: the first that begins as "at" does is '@', any other a dot. */
static void add_email(Str v, StrBuf *out)
{
    StrBuf low = {0};
    add_text(v, &low);
    const bool quoted = low.n && low.p[0] == '"', plain = quoted || (!memchr(low.p, ' ', low.n) && !memchr(low.p, '(', low.n) && !memchr(low.p, '[', low.n) &&
                                                                     !memchr(low.p, '{', low.n));
    bool host = low.n && memchr(low.p, '@', low.n) && plain;
    for (size_t k = 0; k < low.n && !plain; k++) {
        const char c = low.p[k];
        if (strchr(" )]}", c))
            continue;
        const bool bracket = strchr("([{", c) != NULL, word = !bracket && k && low.p[k - 1] == ' ';
        size_t from = k + bracket;
        from += bracket && from < low.n && low.p[from] == ' ';
        size_t end = from;
        while (end < low.n && !strchr(" )]}([{", low.p[end]))
            end++;
        const Str sign = { low.p + from, end - from };
        const bool at = str_eqz(sign, "at") || str_eqz(sign, "ät") || str_eqz(sign, "@");
        if ((bracket || word) && (at || str_eqz(sign, "dot") || str_eqz(sign, "punkt") || str_eqz(sign, "point") || str_eqz(sign, "."))) {
            strbuf_addc(out, at && !host ? '@' : '.');
            host |= at;
            k = end - 1;
        } else
            strbuf_addc(out, c);
    }
    if (plain)
        strbuf_add(out, low.p ? low.p : "", low.n);
    strbuf_release(&low);
}

void pii_normalise(PiiKind k, Str value, StrBuf *out)
{
    static void (*const how[PII_KINDS])(Str, StrBuf *) = {
        [PII_EMAIL] = add_email,       [PII_PHONE] = add_phone,
        [PII_IBAN] = add_alnum,        [PII_BIC] = add_alnum,       [PII_CARD] = add_alnum,      [PII_MAC] = add_alnum,        [PII_TAX_ID] = add_alnum,
        [PII_SOCIAL_ID] = add_alnum,   [PII_HEALTH_ID] = add_alnum, [PII_NATIONAL_ID] = add_alnum, [PII_ID_CARD] = add_alnum,
                [PII_PASSPORT] = add_alnum,
        [PII_DRIVER_ID] = add_alnum,   [PII_COMPANY_ID] = add_alnum, [PII_PLATE] = add_alnum,    [PII_POSTCODE] = add_alnum,
    };
    StrBuf one = {0};
    if (k == PII_SECRET || k == PII_URL_LOGIN || k == PII_WALLET)
        strbuf_add(&one, value.p, value.n); /* case is part of them */
    else
        (how[k] ? how[k] : add_text)(value, &one);
    strbuf_add(out, one.p ? one.p : "", one.n);
    strbuf_release(&one);
}
