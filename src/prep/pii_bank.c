/* pii_bank.c - bank accounts, banks and payment cards. To add a country: a row in iban_countries; an issuer: a row in issuers. */
#include "prep/pii_int.h"

/* Lengths of the IBAN registry (ISO 13616, SWIFT release 99), country by country. */
static const struct { char country[3]; uint8_t length; } iban_countries[] = {
    { "AD", 24 }, { "AE", 23 }, { "AL", 28 }, { "AT", 20 }, { "AZ", 28 }, { "BA", 20 }, { "BE", 16 }, { "BG", 22 }, { "BH", 22 }, { "BI", 27 },
    { "BR", 29 }, { "BY", 28 }, { "CH", 21 }, { "CR", 22 }, { "CY", 28 }, { "CZ", 24 }, { "DE", 22 }, { "DJ", 27 }, { "DK", 18 }, { "DO", 28 },
    { "EE", 20 }, { "EG", 29 }, { "ES", 24 }, { "FI", 18 }, { "FK", 18 }, { "FO", 18 }, { "FR", 27 }, { "GB", 22 }, { "GE", 22 }, { "GI", 23 },
    { "GL", 18 }, { "GR", 27 }, { "GT", 28 }, { "HN", 28 }, { "HR", 21 }, { "HU", 28 }, { "IE", 22 }, { "IL", 23 }, { "IQ", 23 }, { "IS", 26 },
    { "IT", 27 }, { "JO", 30 }, { "KW", 30 }, { "KZ", 20 }, { "LB", 28 }, { "LC", 32 }, { "LI", 21 }, { "LT", 20 }, { "LU", 20 }, { "LV", 21 },
    { "LY", 25 }, { "MC", 27 }, { "MD", 24 }, { "ME", 22 }, { "MK", 19 }, { "MN", 20 }, { "MR", 27 }, { "MT", 31 }, { "MU", 30 }, { "NI", 28 },
    { "NL", 18 }, { "NO", 15 }, { "OM", 23 }, { "PK", 24 }, { "PL", 28 }, { "PS", 29 }, { "PT", 25 }, { "QA", 29 }, { "RO", 24 }, { "RS", 22 },
    { "RU", 33 }, { "SA", 24 }, { "SC", 31 }, { "SD", 18 }, { "SE", 24 }, { "SI", 19 }, { "SK", 24 }, { "SM", 27 }, { "SO", 23 }, { "ST", 25 },
    { "SV", 28 }, { "TL", 23 }, { "TN", 24 }, { "TR", 26 }, { "UA", 29 }, { "VA", 22 }, { "VG", 24 }, { "XK", 20 }, { "YE", 30 },
};
#define IBAN_MAX 34

int pii_iban_length(const char country[2])
{
    for (size_t i = 0; i < ARRAY_LEN(iban_countries); i++)
        if (memcmp(iban_countries[i].country, country, 2) == 0)
            return iban_countries[i].length;
    return 0;
}

bool pii_iban_holds(const char *s, size_t n)
{
    char turned[IBAN_MAX + 1];
    if (n < 15 || n > IBAN_MAX || pii_iban_length(s) != (int)n || s[2] + s[3] == '0' + '0')
        return false;
    memcpy(turned, s + 4, n - 4);
    memcpy(turned + n - 4, s, 4);
    return pii_mod97(turned, n);
}

/* Letters and digits with at most one blank, dash or line break between two; from the two letters of the country on. */
void pii_match_iban(PiiText *t, size_t i)
{
    const char *p = t->p;
    char s[IBAN_MAX + 1];
    size_t n = 0, k = i, digits = 0;
    if (i + 15 > t->n || !ch_alpha(p[i]) || !ch_alpha(p[i + 1]))
        return;
    const int want = pii_iban_length((char[]){ ch_up(p[i]), ch_up(p[i + 1]) });
    while (n < (size_t)want && k < t->n) {
        const size_t blank = n ? pii_space(p, t->n, k) : 0, step = blank ? blank : n && (p[k] == '-' || p[k] == '\n' || p[k] == '.');
        k += step;
        if (k >= t->n || !ch_alnum(p[k]))
            return;
        digits += ch_digit(p[k]);
        s[n++] = ch_up(p[k++]);
        if (n == 4 && (!ch_digit(s[2]) || !ch_digit(s[3])))
            return;
    }
    if (!want || n < (size_t)want || digits < 6 || pii_word_char(p, t->n, k) || !pii_iban_holds(s, n))
        return;
    pii_add(t, i, k, PII_IBAN, 99, "iban");
}

/* ISO 3166-1 codes, two letters each: the fifth and sixth of a BIC (ISO 9362). */
static const char countries[] =
    "ADAEAFAGAIALAMAOARATAUAWAZBABBBDBEBFBGBHBIBJBMBNBOBRBSBTBWBYBZCACDCFCGCHCICLCMCNCOCRCUCVCYCZDEDJDKDMDODZECEEEGERESETFIFJFKFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQ"
    "GRGTGUGWGYHKHNHRHTHUIDIEILIMINIQIRISITJEJMJOJPKEKGKHKIKMKNKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMGMKMLMMMNMOMQMRMSMTMUMVMWMXMYMZNANCNENGNINLNONPNZOMPAPE"
    "PFPGPHPKPLPMPRPSPTPYQARERORSRURWSASBSCSDSESGSHSISKSLSMSNSOSRSTSVSYSZTDTGTHTJTLTMTNTOTRTTTWTZUAUGUSUYUZVAVCVEVGVIVNVUWSXKYEYTZAZMZW";

/* The first four letters of the codes of banks that many accounts are with; with a country behind them they are no word. Letters alone, as most codes are,
 * could else be one: DOCUMENT has Montenegro inside. */
static const char *const banks =
    "AAREABNAAGRIAKBKALBPARSPASNBAXABBACABARCBAWABBPIBBRUBBVABCITBCYPBDFEBFKKBILABIQUBKAUBKCHBKIDBLFLBLUXBMARBNLIBNPABOFABOFIBPKOBPMIBPPIBREXBROMBSABBSCHBSUI"
    "BUNQBYLACAIXCBCNCCBPCCFRCCRTCEPACEKOCESPCFFRCHASCITICMBRCMCICMFRCOBACOKSCPBKCRESCRGECRLYCRPPDABADEGUDEUTDNBADNBNDRESDTABESSEETHNFABAFBBLFIOBFNDEFORTFTSB"
    "FVLBGENBGENOGEBAGIBAGKCCGOSKHANDHASPHBUKHELAHSBCHYPTHYVEINGBINGDINGBIRVTJYBAKBCAKBNBKKBAKOMBKREDLAPBLBBWLOYDLUMIMALAMARKMIDLMONTMSBCMYMBNABZNBADNDEANEDSNOLA"
    "NORDNTSBNWBKOBKLOKOYOPSKOTPVPASCPBNKPKOPPOFIPPABPSSTPSTBQNTORABORAIFREVORZBARZSTSBOSSCRLSEPASKANSKBNSMTBSNSBSOGESOLASOBKSPKASPAASSKMSTSPSWEDSWQBTATRTRIO"
    "TRWITSIBUBSBUBSWUNCRUNLAVBOEVOWAVRNAWELAWFBIWIREZKBKZUNO";

static bool known_bank(const char *p)
{
    for (size_t k = 0; banks[k]; k += 4)
        if (memcmp(banks + k, p, 4) == 0)
            return true;
    return false;
}

void pii_match_bic(PiiText *t, size_t i, size_t end)
{
    const char *p = t->p;
    bool digit = false, country = false;
    for (size_t k = i; k < end; k++) {
        if (!ch_is(p[k], k < i + 6 ? CH_UPPER : CH_UPPER | CH_DIGIT))
            return;
        digit |= ch_digit(p[k]);
    }
    for (size_t k = 0; countries[k] && !country; k += 2)
        country = memcmp(countries + k, p + i + 4, 2) == 0;
    if (!country || !pii_alone(t, i, end))
        return;
    const bool near = pii_context(t, i, end, "=bic|swift|bank|iban|banque|banca|banco");
    const bool office = end - i == 11 && memcmp(p + i + 8, "XXX", 3) == 0; /* the head office */
    pii_add(t, i, end, PII_BIC, near ? 90 : known_bank(p + i) || office ? 80 : digit ? 40 : 15, "bic");
}

/* Issuer ranges by their first four digits, and the lengths they issue, as bits of (length - 12). ISO/IEC 7812; ranges as published by the
 * schemes, but the whole of 35 for JCB, so that what is given out later is not missed. */
#define LEN(n) (1u << ((n) - 12))
static const struct { short from, to; uint8_t lengths; const char *name; } issuers[] = {
    { 3400, 3499, LEN(15), "American Express" },  { 3700, 3799, LEN(15), "American Express" },
    { 3000, 3059, LEN(14) | LEN(16) | LEN(19), "Diners" }, { 3095, 3095, LEN(14) | LEN(16) | LEN(19), "Diners" },
    { 3600, 3699, LEN(14) | LEN(16) | LEN(19), "Diners" }, { 3800, 3999, LEN(14) | LEN(16) | LEN(19), "Diners" },
    { 3500, 3599, LEN(16) | LEN(19), "JCB" },     { 1800, 1800, LEN(15), "JCB" },  { 2131, 2131, LEN(15), "JCB" },
    { 4000, 4999, LEN(13) | LEN(16) | LEN(19), "Visa" },
    { 2221, 2720, LEN(16), "Mastercard" },        { 5100, 5599, LEN(16), "Mastercard" },
    { 2200, 2204, LEN(16) | LEN(19), "Mir" },
    { 6011, 6011, LEN(16) | LEN(19), "Discover" }, { 6440, 6599, LEN(16) | LEN(19), "Discover" },
    { 6200, 6299, LEN(16) | LEN(17) | LEN(18) | LEN(19), "UnionPay" }, { 8100, 8171, LEN(16) | LEN(19), "UnionPay" },
    { 604, 604, 0xFF, "Maestro" }, { 5000, 5099, 0xFF, "Maestro" },              { 5600, 5899, 0xFF, "Maestro" }, { 6000, 6010, 0xFF, "Maestro" },
    { 6012, 6199, 0xFF, "Maestro" },
    { 6300, 6439, 0xFF, "Maestro" },              { 6600, 6999, 0xFF, "Maestro" },
};
#undef LEN

static const char card_context[] =
    "card|visa|mastercard|amex|credit|debit|kredit|karte|carte|tarjeta|carta|kaart|karta|kort|cvv|cvc|cc:|maestro|pay|diners|discover|jcb";

static int issuer_of(const char *s, size_t n)
{
    const int head = (s[0] - '0') * 1000 + (s[1] - '0') * 100 + (s[2] - '0') * 10 + s[3] - '0';
    for (size_t i = 0; i < ARRAY_LEN(issuers); i++)
        if (head >= issuers[i].from && head <= issuers[i].to && issuers[i].lengths >> (n - 12) & 1)
            return (int)i;
    return -1;
}

bool pii_card_known(const char *s, size_t n)
{
    return n >= 12 && n <= 19 && issuer_of(s, n) >= 0 && pii_luhn(s, n);
}

/* The longest run of digits from i on that is a card, with at most one blank or dash between two; it must end where a group of digits ends. */
void pii_match_card(PiiText *t, size_t i)
{
    const char *p = t->p;
    char s[20];
    size_t n = 0, k = i, best = 0, best_n = 0, best_groups = 0, groups = 1;
    if (!ch_digit(p[i]))
        return;
    while (k < t->n && n < 19) {
        if (ch_digit(p[k])) {
            s[n++] = p[k++];
            if (n >= 12 && !pii_word_char(p, t->n, k) && pii_card_known(s, n)) {
                best = k;
                best_n = n;
                best_groups = groups;
            }
            continue;
        }
        const size_t blank = pii_space(p, t->n, k), step = blank ? blank : p[k] == '-' || p[k] == '\n' || p[k] == '.';
        if (!step || k + step >= t->n || !ch_digit(p[k + step]))
            break;
        k += step;
        groups++;
    }
    if (!best || pii_word_before(p, i) || (i && (p[i - 1] == '.' || p[i - 1] == ',') && i > 1 && ch_digit(p[i - 2])))
        return;
    const bool near = pii_context(t, i, best, card_context), usual = best_groups == 1 ? best_n > 12 : best_groups == 4
            || (best_groups == 3 && best_n < 16);
    pii_add(t, i, best, PII_CARD, near ? 99 : usual ? 85 : 60, "card");
}
