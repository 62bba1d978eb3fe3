/* pii_surrogate.c - what stands in place of a value: alike in form, reserved or failing its check, the same for the same value.
 * One maker per kind, in the table at the end. Every maker draws from pii_draw, so that (seed, kind, value) alone decide. */
#include "prep/pii_replace_int.h"

#include "base/utf8.h"

typedef struct Value { const PiiReplacer *r; PiiKind kind; const char *rule; Str text; Str same; /* its normal form */ } Value;
typedef void (*Maker)(const Value *v, PiiDraw *d, StrBuf *out);

static char digit_of(PiiDraw *d) { return (char)('0' + pii_draw_next(d) % 10); }

/* Letters for letters, digits for digits, everything else as it is; the first `keep` bytes stay. */
static void same_form(Str s, size_t keep, PiiDraw *d, StrBuf *out)
{
    for (size_t k = 0, len; k < s.n; k += len) {
        const char c = s.p[k];
        len = pii_word_char(s.p, s.n, k);
        if (k < keep || !len) {
            len = 1;
            strbuf_addc(out, c);
            while (k + len < s.n && ((unsigned char)s.p[k + len] & 0xC0) == 0x80) /* the rest of a no-break space */
                strbuf_addc(out, s.p[k + len++]);
        } else if (ch_digit(c))
            strbuf_addc(out, digit_of(d));
        else
            strbuf_addc(out, (char)((ch_is(c, CH_LOWER) ? 'a' : 'A') + (int)(pii_draw_next(d) % 26)));
    }
}

/* Numbers with a check: drawn until the check fails. Where nearly every number holds, three digits that no authority gives out stand in front. */
static void failing(const Value *v, PiiDraw *d, StrBuf *out)
{
    static const struct { const char *rule; size_t keep; const char *front; } fixed[] = {
        { "us-ssn", 0, "000" }, { "us-ssn-plain", 0, "000" }, { "us-itin", 0, "000" }, { "uk-nino", 0, "QQ" }, { "card", 1, "" },
        { "de-register", 3, "" }, { "de-vat", 2, "" },
    };
    const size_t begin = out->n;
    size_t keep = 0;
    const char *front = "";
    for (size_t k = 0; k < ARRAY_LEN(fixed); k++)
        if (strcmp(v->rule, fixed[k].rule) == 0) {
            keep = fixed[k].keep;
            front = fixed[k].front;
        }
    for (int tries = 0; tries < 100; tries++) {
        out->n = begin;
        same_form(v->text, keep, d, out);
        for (size_t k = begin; *front && k < out->n; k++)
            if (ch_alnum(out->p[k]))
                out->p[k] = *front++;
        if (!pii_rule_holds(str_of(v->rule), (Str){ out->p + begin, out->n - begin }))
            return;
    }
    for (size_t k = begin; k < out->n; k++) /* a check that a hundred numbers pass is none; zeros then */
        if (ch_digit(out->p[k]))
            out->p[k] = '0';
}

static void iban(const Value *v, PiiDraw *d, StrBuf *out)
{
    const size_t begin = out->n;
    const bool account = strcmp(v->rule, "iban") != 0; /* of a country without IBAN */
    same_form(v->text, account ? 0 : 2, d, out);
    for (size_t k = begin + 2, zeros = 0; k < out->n && zeros < 2 && !account; k++)
        if (ch_alnum(out->p[k])) { /* ISO 13616: check digits run from 02 to 98 */
            out->p[k] = '0';
            zeros++;
        }
}

static void add_word(const Value *v, const char *role, Str word, StrBuf *out);

/* Without accents and other letters that few addresses have. */
static void add_ascii(Str s, StrBuf *out)
{
    StrBuf apart = {0};
    utf8_normalise(&apart, s, UTF8_NFD);
    for (size_t i = 0; i < apart.n; i++)
        if (ch_alnum(apart.p[i]))
            strbuf_addc(out, apart.p[i]);
    strbuf_release(&apart);
}

static void email(const Value *v, PiiDraw *d, StrBuf *out)
{
    static const char *const domains[] = { "example.com", "example.org", "example.net" };
    const char *at = v->same.n ? memrchr(v->same.p, '@', v->same.n) : NULL;
    const size_t n = at ? (size_t)(at - v->same.p) : v->same.n;
    PiiDraw host = pii_draw(&v->r->hmac, "domain", "", (Str){ v->same.p + n, v->same.n - n });
    bool named = false;
    /* parts that are names become the names that they become elsewhere */
    for (size_t k = 0, end; k < n; k = end + 1) {
        for (end = k; end < n && !strchr("._-+", v->same.p[end]); )
            end++;
        const Str part = { v->same.p + k, end - k };
        const unsigned w = pii_words_find(v->r->words, part);
        if (part.n > 2 && w & (WORD_GIVEN | WORD_FAMILY)) {
            StrBuf name = {0}, low = {0};
            add_word(v, w & WORD_GIVEN && !named ? "given" : "family", part, &name);
            pii_lower(strbuf_str(&name), &low);
            add_ascii(strbuf_str(&low), out);
            strbuf_addc(out, '.');
            strbuf_release(&name);
            strbuf_release(&low);
            named = true;
        }
    }
    if (!named)
        strbuf_addz(out, "user.");
    for (int k = 0; k < 6; k++) /* keeps two addresses of one name apart */
        strbuf_addc(out, "abcdefghijkmnpqrstuvwxyz23456789"[pii_draw_next(d) % 32]);
    strbuf_addf(out, "@%s", domains[pii_draw_next(&host) % ARRAY_LEN(domains)]);
}

/* National numbers reserved for fiction: '#' any digit, '*' 2 to 9. NANPA 555-0100..0199; Ofcom, numbers for drama; Bundesnetzagentur, Rufnummern für
 * Medienproduktionen; ARCEP decision 2018-0881; PTS; ACMA. */
static const struct { const char *code, *rule, *number[6]; } fiction[] = {
    { "1",  "phone-us", { "*##55501##" } },
    { "44", "phone-uk", { "2079460###", "7700900###", "1632960###", "1134960###", "1314960###" } },
    { "49", "phone-trunk", { "3023125###", "6990009###", "4066969###", "2214710###", "8999998###" } },
    { "33", "phone-fr", { "19900####", "26191####", "35301####", "46571####", "53649####", "63998####" } },
    { "46", "phone-se", { "3139006##", "4062804##", "8465004##" } },
    { "61", "", { "25550####", "27010####" } },
};

static void fill(const char *number, PiiDraw *d, char to[24])
{
    size_t n = 0;
    for (; number[n] && n < 23; n++)
        to[n] = number[n] == '#' ? digit_of(d) : number[n] == '*' ? (char)('2' + pii_draw_next(d) % 8) : number[n];
    to[n] = 0;
}

/* Digits of the country code at p (E.164): one, two or three. */
static size_t code_length(const char *p)
{
    static const char two[] = " 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92 93 94 95 98 ";
    const char pair[] = { ' ', p[0], p[1], ' ', 0 };
    return p[0] == '1' || p[0] == '7' ? 1 : strstr(two, pair) ? 2 : 3;
}

static void phone(const Value *v, PiiDraw *d, StrBuf *out)
{
    const bool plus = v->same.n && v->same.p[v->same.n - 1] == '+';
    size_t row = 0, head, digits = 0;
    char number[24];
    for (; row < ARRAY_LEN(fiction); row++)
        if (plus ? strncmp(v->same.p, fiction[row].code, strlen(fiction[row].code)) == 0 : strcmp(v->rule, fiction[row].rule) == 0)
            break;
    for (size_t k = 0; k < v->text.n; k++)
        digits += ch_digit(v->text.p[k]);
    if (row < ARRAY_LEN(fiction)) {
        size_t count = 0;
        while (count < ARRAY_LEN(fiction[row].number) && fiction[row].number[count])
            count++;
        fill(fiction[row].number[pii_draw_next(d) % count], d, number);
        /* digits of the value in front of the national number: +49, 0049, a trunk zero */
        head = plus ? strlen(fiction[row].code) + (v->text.p[0] == '0' ? 2 : 0) : v->same.n && v->same.p[0] == '0';
        if (!plus && row == 0)
            head = digits == 11;
    } else {
        head = plus && v->same.n > 3 ? code_length(v->same.p) + (v->text.p[0] == '0' ? 2u : 0u) : 0;
        fill("000####################", d, number);
        number[digits > head ? MIN(digits - head, sizeof number - 1) : 0] = 0;
    }
    const size_t n = strlen(number);
    if (digits == head + n) { /* into the form of the value */
        size_t seen = 0;
        for (size_t k = 0; k < v->text.n; k++)
            strbuf_addc(out, ch_digit(v->text.p[k]) && seen++ >= head ? number[seen - 1 - head] : v->text.p[k]);
        return;
    }
    if (plus)
        strbuf_addf(out, "+%s %.*s %s", fiction[row < ARRAY_LEN(fiction) ? row : 0].code, (int)MIN(n, (size_t)3), number, number + MIN(n, (size_t)3));
    else
        strbuf_addf(out, "%s%.*s %s", head ? "0" : "", (int)MIN(n, (size_t)3), number, number + MIN(n, (size_t)3));
}

static bool same_word(Str name, Str small)
{
    StrBuf low = {0};
    pii_lower(name, &low);
    const bool same = str_eq(strbuf_str(&low), small);
    strbuf_release(&low);
    return same;
}

/* One part of a name by its role, in the case of the part. */
static void add_word(const Value *v, const char *role, Str word, StrBuf *out)
{
    const unsigned w = pii_words_find(v->r->words, word);
    const unsigned given = w & WORD_GIVEN ? w & WORD_GIVEN : WORD_GIVEN;
    StrBuf key = {0};
    pii_lower(word, &key);
    PiiDraw d = pii_draw(&v->r->hmac, role, "", strbuf_str(&key));
    Str name;
    int tries = 0;
    do
        name = pii_words_pick(v->r->words, strcmp(role, "given") == 0 ? given : strcmp(role, "city") == 0 ? WORD_CITY : strcmp(role,
                "country") == 0 ? WORD_COUNTRY : WORD_FAMILY,
                              pii_draw_next(&d));
    while (same_word(name, strbuf_str(&key)) && ++tries < 8);
    const size_t last = word.n ? word.n - 1 : 0;
    if (word.n > 1 && ch_is(word.p[0], CH_UPPER) && ch_is(word.p[last], CH_UPPER) && ch_is(word.p[1], CH_UPPER))
        utf8_upper(out, name);
    else if (!pii_upper_at(word.p, word.n, 0))
        utf8_lower(out, name);
    else
        strbuf_add(out, name.p, name.n);
    strbuf_release(&key);
}

/* Calls back for each word of a text and copies what stands between. */
static void by_words(const Value *v, void (*word)(const Value *, Str, size_t, size_t, StrBuf *), StrBuf *out)
{
    const Str s = v->text;
    size_t count = 0, nth = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < s.n; ) {
            size_t end = pii_word_end(s.p, s.n, i);
            if (end == i) {
                if (pass)
                    strbuf_addc(out, s.p[i]);
                i++;
                continue;
            }
            const size_t mark = end == i + 1 ? pii_apostrophe(s.p, s.n, end) : 0;
            if (mark && pii_word_char(s.p, s.n, end + mark))
                end = pii_word_end(s.p, s.n, end + mark); /* O'Connor is one word */
            if (pass)
                word(v, (Str){ s.p + i, end - i }, nth++, count, out);
            else
                count++;
            i = end;
        }
}

static void name_part(const Value *v, Str word, size_t nth, size_t count, StrBuf *out)
{
    const unsigned w = pii_words_find(v->r->words, word);
    const bool turned = strcmp(v->rule, "person-turned") == 0;
    if (!pii_upper_at(word.p, word.n, 0) && w & WORD_PARTICLE) {
        strbuf_add(out, word.p, word.n);
    } else if (pii_word_char(word.p, word.n, 0) == word.n) { /* an initial */
        PiiDraw d = pii_draw(&v->r->hmac, "initial", "", word);
        strbuf_addc(out, (char)('A' + pii_draw_next(&d) % 26));
    } else if (w & WORD_TITLE && nth + 1 < count && !(w & (WORD_GIVEN | WORD_FAMILY))) {
        strbuf_add(out, word.p, word.n);
    } else {
        const bool title = strcmp(v->rule, "person-title") == 0;
        const bool given = w & WORD_GIVEN && (count == 1 ? !(title && w & WORD_FAMILY) : turned ? nth > 0 : nth + 1 < count);
        add_word(v, given ? "given" : "family", word, out);
    }
}

static void person(const Value *v, PiiDraw *d, StrBuf *out)
{
    (void)d;
    by_words(v, name_part, out);
}

static void address_part(const Value *v, Str word, size_t nth, size_t count, StrBuf *out)
{
    const unsigned w = pii_words_find(v->r->words, word);
    bool digits = false;
    (void)nth;
    (void)count;
    for (size_t k = 0; k < word.n; k++)
        digits |= ch_digit(word.p[k]);
    PiiDraw d = pii_draw(&v->r->hmac, "address", "", word);
    if (digits) {
        const size_t begin = out->n;
        same_form(word, 0, &d, out);
        if (out->p[begin] == '0' && word.p[0] != '0')
            out->p[begin] = '1';
        return;
    }
    const size_t ending = pii_street_ending(word.p, word.n);
    if (ending && ending < word.n) {
        add_word(v, "family", (Str){ word.p, word.n - ending }, out);
        strbuf_add(out, word.p + word.n - ending, ending);
    } else if (!pii_upper_at(word.p, word.n, 0) || ending || w & (WORD_FRONT | WORD_BEHIND | WORD_THING | WORD_LINK) || word.n < 3)
        strbuf_add(out, word.p, word.n);
    else
        add_word(v, w & WORD_CITY ? "city" : w & WORD_COUNTRY ? "country" : "family", word, out);
}

static void address(const Value *v, PiiDraw *d, StrBuf *out)
{
    (void)d;
    by_words(v, address_part, out);
}

static void place(const Value *v, PiiDraw *d, StrBuf *out)
{
    (void)d;
    add_word(v, strcmp(v->rule, "country") == 0 ? "country" : "city", v->text, out);
}

/* Digit groups that can be days or months stay such; a year moves by up to three; words stay. */
static void birth_date(const Value *v, PiiDraw *d, StrBuf *out)
{
    const Str s = v->text;
    for (size_t i = 0, end; i < s.n; i = end) {
        int n = 0;
        for (end = i; end < s.n && ch_digit(s.p[end]) && end - i < 4; end++)
            n = n * 10 + s.p[end] - '0';
        if (end == i) {
            strbuf_addc(out, s.p[end++]);
            continue;
        }
        if (end - i == 4)
            strbuf_addf(out, "%04d", n - 3 + (int)(pii_draw_next(d) % 7));
        else
            strbuf_addf(out, "%0*d", (int)(end - i), 1 + (int)(pii_draw_next(d) % (end - i == 1 ? 9 : n <= 12 ? 12 : 28)));
    }
}

static void coordinates(const Value *v, PiiDraw *d, StrBuf *out) /* near the point 0, 0 in the Atlantic */
{
    bool decimals = false, zero = false;
    for (size_t k = 0; k < v->text.n; k++) {
        const char c = v->text.p[k];
        if (!ch_digit(c)) {
            decimals = c == '.';
            zero = false;
            strbuf_addc(out, c);
        } else if (decimals)
            strbuf_addc(out, digit_of(d));
        else if (!zero) {
            strbuf_addc(out, '0');
            zero = true;
        }
    }
}

static void ip(const Value *v, PiiDraw *d, StrBuf *out)
{
    static const char *const nets[] = { "192.0.2", "198.51.100", "203.0.113" };
    if (memchr(v->text.p, ':', v->text.n))
        strbuf_addf(out, "2001:db8::%x:%x", (unsigned)(pii_draw_next(d) & 0xFFFF), (unsigned)(pii_draw_next(d) & 0xFFFF));
    else {
        const char *net = nets[pii_draw_next(d) % ARRAY_LEN(nets)];
        strbuf_addf(out, "%s.%d", net, (int)(1 + pii_draw_next(d) % 254));
    }
}

static void mac(const Value *v, PiiDraw *d, StrBuf *out)
{
    const char s = v->text.n > 2 ? v->text.p[2] : ':';
    strbuf_addf(out, "00%c00%c5E%c00%c53%c%02X", s, s, s, s, s, (unsigned)(pii_draw_next(d) & 0xFF));
}

static void bic(const Value *v, PiiDraw *d, StrBuf *out)
{
    const size_t begin = out->n;
    same_form(v->text, 0, d, out);
    for (size_t k = 4; k < 6 && k < v->text.n; k++)
        out->p[begin + k] = v->text.p[k]; /* the country */
}

static void wallet(const Value *v, PiiDraw *d, StrBuf *out)
{
    const bool hex = v->text.n > 2 && v->text.p[1] == 'x';
    for (size_t k = 0; k < v->text.n; k++)
        strbuf_addc(out, k < 3 ? v->text.p[k] : hex ? "0123456789abcdef"[pii_draw_next(d) % 16] : "acdefghjklmnpqrstuvwxyz234567890"[pii_draw_next(d) % 32]);
}

static void login(const Value *v, PiiDraw *d, StrBuf *out)
{
    (void)v;
    strbuf_addf(out, "user%04d:example", (int)(pii_draw_next(d) % 10000));
}

static void secret(const Value *v, PiiDraw *d, StrBuf *out)
{
    (void)v;
    strbuf_addf(out, "EXAMPLE%012llx", (unsigned long long)(pii_draw_next(d) & 0xFFFFFFFFFFFF));
}

static void any_form(const Value *v, PiiDraw *d, StrBuf *out)
{
    same_form(v->text, 0, d, out);
}

static const Maker makers[PII_KINDS] = {
    [PII_EMAIL] = email, [PII_PHONE] = phone, [PII_URL_LOGIN] = login, [PII_IP] = ip, [PII_MAC] = mac, [PII_IBAN] = iban, [PII_BIC] = bic,
            [PII_CARD] = failing,
    [PII_WALLET] = wallet, [PII_TAX_ID] = failing, [PII_SOCIAL_ID] = failing, [PII_HEALTH_ID] = failing, [PII_NATIONAL_ID] = failing,
            [PII_ID_CARD] = failing,
    [PII_PASSPORT] = failing, [PII_DRIVER_ID] = failing, [PII_COMPANY_ID] = failing, [PII_PLATE] = any_form, [PII_BIRTH_DATE] = birth_date,
            [PII_PERSON] = person,
    [PII_ADDRESS] = address, [PII_POSTCODE] = any_form, [PII_PLACE] = place, [PII_COORDINATES] = coordinates, [PII_SECRET] = secret,
};

void pii_surrogate(const PiiReplacer *r, PiiKind k, const char *rule, Str value, StrBuf *out)
{
    StrBuf same = {0};
    pii_normalise(k, value, &same);
    const Value v = { r, k, rule, value, strbuf_str(&same) };
    PiiDraw d = pii_draw(&r->hmac, "surrogate", pii_kind_info(k)->name, v.same);
    if (value.n)
        makers[k](&v, &d, out);
    strbuf_release(&same);
}
