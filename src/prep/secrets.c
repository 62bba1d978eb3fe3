/* secrets.c - one walk over the tokens of a text. Tokens of fewer than eight characters cost only their length.
 * Main tables: issuers (prefix, alphabet, length) and names (what stands before a password). A JSON Web Token, a private key and an address with
 * a password have matchers of their own. */
#include "prep/secrets.h"

#include <math.h>

enum { A_ALNUM = 1, A_URL = 2 /* and "-_" */, A_HEX = 3, A_UPPER = 4 /* capitals and digits */, A_BASE64 = 5, A_DOTS = 6 /* A_URL and dots */ };

/* As their issuers document them. least, most: characters behind the prefix. */
static const struct { const char *prefix, *rule; uint8_t alphabet; uint16_t least, most; } issuers[] = {
    { "AKIA", "aws-key", A_UPPER, 16, 16 },           { "ASIA", "aws-key", A_UPPER, 16, 16 },            { "ABIA", "aws-key", A_UPPER, 16, 16 },
    { "ghp_", "github", A_ALNUM, 36, 40 },            { "gho_", "github", A_ALNUM, 36, 40 },             { "ghu_", "github", A_ALNUM, 36, 40 },
    { "ghs_", "github", A_ALNUM, 36, 40 },            { "ghr_", "github", A_ALNUM, 36, 76 },             { "github_pat_", "github", A_URL, 60, 100 },
    { "glpat-", "gitlab", A_DOTS, 20, 60 },           { "gldt-", "gitlab", A_URL, 20, 60 },              { "glrt-", "gitlab", A_DOTS, 20, 60 },
    { "xoxb-", "slack", A_URL, 20, 100 },             { "xoxp-", "slack", A_URL, 20, 100 },              { "xoxa-", "slack", A_URL, 20, 100 },
    { "xoxr-", "slack", A_URL, 20, 100 },             { "xoxs-", "slack", A_URL, 20, 100 },              { "xapp-", "slack", A_URL, 20, 120 },
    { "sk_live_", "stripe", A_ALNUM, 16, 120 },       { "sk_test_", "stripe", A_ALNUM, 16, 120 },        { "rk_live_", "stripe", A_ALNUM, 16, 120 },
    { "rk_test_", "stripe", A_ALNUM, 16, 120 },       { "whsec_", "stripe", A_BASE64, 24, 64 },          { "AIza", "google", A_URL, 35, 35 },
    { "ya29.", "google-oauth", A_DOTS, 30, 400 },     { "GOCSPX-", "google-oauth", A_URL, 28, 28 },      { "sk-ant-", "anthropic", A_URL, 32, 130 },
    { "sk-proj-", "openai", A_URL, 20, 220 },         { "sk-svcacct-", "openai", A_URL, 32, 220 },       { "sk-or-v1-", "openrouter", A_HEX, 64, 64 },
    { "sk-", "openai", A_ALNUM, 32, 64 },             { "hf_", "huggingface", A_ALNUM, 30, 44 },         { "npm_", "npm", A_ALNUM, 36, 36 },
    { "pypi-", "pypi", A_URL, 50, 300 },              { "SK", "twilio", A_HEX, 32, 32 },                 { "AC", "twilio", A_HEX, 32, 32 },
    { "SG.", "sendgrid", A_DOTS, 60, 70 },            { "key-", "mailgun", A_HEX, 32, 32 },              { "dop_v1_", "digitalocean", A_HEX, 64, 64 },
    { "shpat_", "shopify", A_HEX, 32, 32 },           { "shpss_", "shopify", A_HEX, 32, 32 },            { "sq0atp-", "square", A_URL, 22, 22 },
    { "sq0csp-", "square", A_URL, 43, 43 },           { "EAACEdEose0cBA", "facebook", A_ALNUM, 20, 300 }, { "dckr_pat_", "docker", A_URL, 20, 40 },
    { "lin_api_", "linear", A_ALNUM, 32, 48 },        { "secret_", "notion", A_ALNUM, 43, 43 },          { "ntn_", "notion", A_ALNUM, 40, 60 },
    { "gsk_", "groq", A_ALNUM, 40, 60 },              { "r8_", "replicate", A_ALNUM, 37, 40 },           { "nvapi-", "nvidia", A_URL, 60, 70 },
    { "pplx-", "perplexity", A_ALNUM, 40, 56 },       { "hvs.", "vault", A_URL, 24, 200 },               { "dapi", "databricks", A_HEX, 32, 34 },
    { "NRAK-", "newrelic", A_UPPER, 27, 27 },         { "ATATT3", "atlassian", A_URL, 150, 250 },        { "AGE-SECRET-KEY-1", "age", A_UPPER, 58, 58 },
    { "PMAK-", "postman", A_URL, 50, 64 },            { "rubygems_", "rubygems", A_HEX, 48, 48 },        { "sntrys_", "sentry", A_BASE64, 40, 300 },
    { "glsa_", "grafana", A_URL, 38, 48 },            { "tskey-", "tailscale", A_URL, 20, 80 },          { "oy2", "nuget", A_ALNUM, 43, 43 },
};

static bool fits(char c, int alphabet)
{
    const bool digit = c >= '0' && c <= '9', upper = c >= 'A' && c <= 'Z', lower = c >= 'a' && c <= 'z';
    switch (alphabet) {
    case A_HEX:    return digit || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    case A_UPPER:  return digit || upper;
    case A_URL:    return digit || upper || lower || c == '-' || c == '_';
    case A_DOTS:   return digit || upper || lower || c == '-' || c == '_' || c == '.';
    case A_BASE64: return digit || upper || lower || c == '+' || c == '/' || c == '=';
    default:       return digit || upper || lower;
    }
}

static void add(PiiSpans *out, int least, size_t begin, size_t end, int confidence, const char *rule)
{
    if (confidence >= least)
        *vec_push(out) = (PiiSpan){ begin, end, PII_SECRET, confidence, rule };
}

/* Bits per character by the frequencies in the value itself (Shannon); random letters and digits of 20 characters have about 4. */
static double entropy(const char *p, size_t n)
{
    int count[256] = {0};
    double bits = 0;
    for (size_t k = 0; k < n; k++)
        count[(unsigned char)p[k]]++;
    for (int c = 0; c < 256; c++)
        if (count[c])
            bits -= count[c] * log2((double)count[c] / (double)n);
    return bits / (double)n;
}

static bool by_issuer(const char *p, size_t n, size_t i, size_t end, int least, PiiSpans *out)
{
    for (size_t a = 0; a < ARRAY_LEN(issuers); a++) {
        const size_t head = strlen(issuers[a].prefix);
        if (p[i] != issuers[a].prefix[0] || end - i < head + issuers[a].least || memcmp(p + i, issuers[a].prefix, head) != 0)
            continue;
        size_t k = i + head;
        while (k < n && k - i - head < issuers[a].most && fits(p[k], issuers[a].alphabet))
            k++;
        while (k > i && (p[k - 1] == '.' || p[k - 1] == '-'))
            k--;
        if (k - i - head < issuers[a].least || (k < n && fits(p[k], A_ALNUM)) || entropy(p + i + head, k - i - head) < 2.5)
            continue;
        add(out, least, i, k, 97, issuers[a].rule);
        return true;
    }
    return false;
}

/* Three parts of Base64url, the first an object in JSON: {" is eyJ. RFC 7519. */
static void by_jwt(const char *p, size_t n, size_t i, int least, PiiSpans *out)
{
    size_t k = i, dots = 0;
    if (n - i < 30 || memcmp(p + i, "eyJ", 3) != 0)
        return;
    while (k < n && (fits(p[k], A_URL) || (p[k] == '.' && ++dots <= 4)))
        k++;
    while (k > i && p[k - 1] == '.') {
        k--;
        dots--;
    }
    if (dots >= 1 && k - i >= 30)
        add(out, least, i, k, 96, "jwt");
}

/* -----BEGIN ... PRIVATE KEY----- up to its END line, or 8192 bytes when that is missing. RFC 7468. */
static void by_pem(const char *p, size_t n, size_t i, int least, PiiSpans *out)
{
    static const char begin[] = "-----BEGIN ", end[] = "-----END ";
    if (n - i < 30 || memcmp(p + i, begin, sizeof begin - 1) != 0)
        return;
    const size_t line = MIN(n, i + 80), last = MIN(n, i + 8192);
    if (!memmem(p + i, line - i, "PRIVATE KEY", 11))
        return;
    const char *stop = memmem(p + i, last - i, end, sizeof end - 1);
    size_t e = stop ? (size_t)(stop - p) + sizeof end - 1 : last;
    for (size_t dashes = 0; stop && e < n && dashes < 5 && p[e] != '\n'; e++)
        dashes += p[e] == '-';
    while (e > i && ((unsigned char)p[e < n ? e : n - 1] & 0xC0) == 0x80 && e < n)
        e--;
    add(out, least, i, e, 99, "private-key");
}

/* What a value must stand behind; small letters, "_" stands for "_", "-", " " or nothing. */
static const struct { const char *name, *rule; int confidence; } names[] = {
    { "password", "password", 78 },   { "passwort", "password", 78 },  { "passwd", "password", 78 },    { "kennwort", "password", 78 },
    { "pwd", "password", 70 },
    { "contraseña", "password", 78 }, { "wachtwoord", "password", 78 }, { "mot de passe", "password", 78 }, { "hasło", "password", 78 },
    { "passphrase", "password", 78 },
    { "pgpassword", "password", 80 }, { "secret", "named-secret", 72 }, { "token", "named-secret", 68 }, { "api_key", "api-key", 80 },
    { "apikey", "api-key", 80 },
    { "access_key", "api-key", 80 },  { "secret_key", "api-key", 84 },  { "private_key", "api-key", 80 }, { "auth_token", "named-secret", 80 },
    { "client_secret", "api-key", 84 },
    { "accountkey", "azure", 92 },    { "sharedaccesskey", "azure", 92 }, { "account_key", "azure", 88 },  { "credentials", "named-secret", 60 },
    { "sig", "azure-sas", 50 },
};

static char low(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* The name ends right before `end`; the character before it belongs to no longer name unless by '_' or '-' (DB_PASSWORD). */
static bool name_before(const char *p, size_t end, const char *name)
{
    size_t k = end;
    for (size_t m = strlen(name); m > 0; m--) {
        if (name[m - 1] == '_') {
            k -= k > 0 && (p[k - 1] == '_' || p[k - 1] == '-' || p[k - 1] == ' ');
            continue;
        }
        if (!k || low(p[k - 1]) != name[m - 1])
            return false;
        k--;
    }
    return !k || !fits(p[k - 1], A_ALNUM) || (p[k] >= 'A' && p[k] <= 'Z' && p[k - 1] >= 'a' && p[k - 1] <= 'z'); /* dbPassword */
}

/* `at` is ':' or '='. A quoted value, or one up to a blank, of 6 to 200 characters; placeholders and code are none: $VAR, <password>, func(...),
 * ****. */
static void by_name(const char *p, size_t n, size_t at, int least, PiiSpans *out)
{
    size_t e = at, b = at + 1;
    while (e > 0 && (p[e - 1] == ' ' || p[e - 1] == '"' || p[e - 1] == '\'') && at - e < 3)
        e--;
    size_t row = 0;
    while (row < ARRAY_LEN(names) && !name_before(p, e, names[row].name))
        row++;
    if (row == ARRAY_LEN(names))
        return;
    b += b < n && (p[b] == '=' || p[b] == '>');
    while (b < n && p[b] == ' ' && b - at < 4)
        b++;
    const char quote = b < n && (p[b] == '"' || p[b] == '\'' || p[b] == '`') ? p[b] : 0;
    b += quote != 0;
    size_t k = b, digits = 0, letters = 0, others = 0, upper = 0;
    for (; k < n && k - b < 201 && p[k] != quote && (unsigned char)p[k] > ' ' && p[k] != 0x7F; k++) {
        if (!quote && strchr("\"'`,;<>()[]{}&|", p[k]))
            break;
        digits += p[k] >= '0' && p[k] <= '9';
        letters += fits(p[k], A_ALNUM) && !(p[k] >= '0' && p[k] <= '9');
        upper += p[k] >= 'A' && p[k] <= 'Z';
        others += !fits(p[k], A_ALNUM);
    }
    while (!quote && k > b && (p[k - 1] == '.' || p[k - 1] == '?' || p[k - 1] == ':'))
        k--;
    const size_t len = k - b;
    if (len < 6 || len > 200 || p[b] == '$' || p[b] == '<' || p[b] == '{' || p[b] == '%' || p[b] == '/' || (k < n && p[k] == '(')
            || (quote && (k == n || p[k] != quote)))
        return;
    const bool mixed = (digits && letters) || (others && letters && (digits || upper)) || digits == len;
    const double bits = entropy(p + b, len);
    if (bits < 2 || (!mixed && !(quote && strcmp(names[row].rule, "password") == 0) && bits < 3.6))
        return;
    add(out, least, b, k, mixed ? names[row].confidence : names[row].confidence - 22, names[row].rule);
}

/* Authorization: Bearer TOKEN, Basic BASE64. RFC 6750, 7617. `i` is behind the word. */
static void by_header(const char *p, size_t n, size_t i, bool basic, int least, PiiSpans *out)
{
    size_t k = i + 1;
    if (i >= n || p[i] != ' ')
        return;
    while (k < n && k - i < 2000 && (fits(p[k], A_BASE64) || fits(p[k], A_DOTS) || p[k] == '~'))
        k++;
    const size_t len = k - i - 1;
    size_t digits = 0;
    for (size_t d = i + 1; d < k; d++)
        digits += (p[d] >= '0' && p[d] <= '9') || p[d] == '=';
    if (len >= (basic ? 12u : 16u) && digits && entropy(p + i + 1, len) > 3)
        add(out, least, i + 1, k, 90, basic ? "basic-header" : "bearer-header");
}

void secrets_scan(Str text, int least, PiiSpans *out)
{
    const char *p = text.p;
    const size_t n = text.n;
    for (size_t i = 0; i < n; ) {
        if (p[i] == '-' && i + 30 < n && p[i + 1] == '-' && p[i + 2] == '-')
            by_pem(p, n, i, least, out);
        if (p[i] == '=' || p[i] == ':')
            by_name(p, n, i, least, out);
        if (!fits(p[i], A_ALNUM)) {
            i++;
            continue;
        }
        size_t end = i;
        while (end < n && fits(p[end], A_DOTS))
            end++;
        if (end - i >= 16) {
            /* the prefix may stand behind a dash or a dot of the same token: "key-ghp_..." is none, "x.eyJ..." is one */
            if (!by_issuer(p, n, i, end, least, out))
                by_jwt(p, n, i, least, out);
        } else if (end - i == 6 && memcmp(p + i + 1, "earer", 5) == 0)
            by_header(p, n, end, false, least, out);
        else if (end - i == 5 && memcmp(p + i + 1, "asic", 4) == 0)
            by_header(p, n, end, true, least, out);
        i = end;
    }
}
