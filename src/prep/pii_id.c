/* pii_id.c - numbers that authorities give to persons and companies: one row per number, its forms, its check, its context.
 * To add one: a row in ids; if it has a check of its own, the function above. `plain` is the confidence without a context word, `near` with
 * one; a number that fails its check is reported only where its full name stands beside it: the rows "-named", which have none. */
#include "prep/pii_int.h"

#define D(k) (s[k] - '0')
#define TWO(k) (D(k) * 10 + D((k) + 1))

/* IdNr of the Federal Central Tax Office: MOD 11,10; of the first ten digits exactly one stands two or three times. */
static bool de_tax(const char *s, size_t n)
{
    int count[10] = {0}, twice = 0, more = 0;
    for (int k = 0; k < 10; k++)
        count[D(k)]++;
    for (int k = 0; k < 10; k++) {
        twice += count[k] == 2 || count[k] == 3;
        more += count[k] > 3;
    }
    return s[0] != '0' && twice == 1 && !more && pii_iso7064_11_10(s, n);
}

/* A number whose digits are weighted and whose products count by their own digits: the sum modulo 10 (VKVV 4; SGB V 290). */
static int cross_sum(const char *digits, const char *weights)
{
    int sum = 0;
    for (size_t k = 0; weights[k]; k++) {
        const int v = (digits[k] - '0') * (weights[k] - '0');
        sum += v / 10 + v % 10;
    }
    return sum % 10;
}

static bool de_pension(const char *s, size_t n) /* area 2, birth date 6, letter, serial 2, check */
{
    char d[16];
    const int letter = s[8] - 'A' + 1, day = TWO(2) > 50 ? TWO(2) - 50 : TWO(2);
    (void)n;
    memcpy(d, s, 8);
    d[8] = (char)('0' + letter / 10);
    d[9] = (char)('0' + letter % 10);
    memcpy(d + 10, s + 9, 2);
    return pii_day(day, TWO(4)) && cross_sum(d, "212571212121") == D(11);
}

static bool de_health(const char *s, size_t n) /* letter, eight digits, check */
{
    char d[16];
    const int letter = s[0] - 'A' + 1;
    (void)n;
    d[0] = (char)('0' + letter / 10);
    d[1] = (char)('0' + letter % 10);
    memcpy(d + 2, s + 1, 8);
    return cross_sum(d, "1212121212") == D(9);
}

/* ICAO 9303: weights 7, 3, 1; letters count 10 to 35; the last character is the check. */
static bool icao(const char *s, size_t n)
{
    static const int weight[] = { 7, 3, 1 };
    int sum = 0;
    for (size_t k = 0; k + 1 < n; k++)
        sum += (ch_digit(s[k]) ? D(k) : s[k] - 'A' + 10) * weight[k % 3];
    return sum % 10 == D(n - 1);
}

/* Serial numbers of German documents hold neither vowels nor letters like digits. */
static bool de_serial(const char *s, size_t n)
{
    bool digit = false;
    for (size_t k = 0; k < MIN(n, (size_t)9); k++) {
        if (!ch_digit(s[k]) && !strchr("CFGHJKLMNPRTVWXYZ", s[k]))
            return false;
        digit |= ch_digit(s[k]);
    }
    return digit && strchr("CFGHJKLMNPRTVWXYZ", s[0]);
}
static bool de_document(const char *s, size_t n) { return de_serial(s, n) && icao(s, n); }

static bool at_social(const char *s, size_t n)
{
    const int sum = D(0) * 3 + D(1) * 7 + D(2) * 9 + pii_weighted(s + 4, "584216");
    (void)n;
    return s[0] != '0' && sum % 11 == D(3) && (pii_day(TWO(4), TWO(6)) || (TWO(6) > 12 && TWO(6) < 16));
}

static bool ean13(const char *s, size_t n)
{
    (void)n;
    return (10 - pii_weighted(s, "131313131313") % 10) % 10 == D(12);
}

static bool fr_nir(const char *s, size_t n) /* Corsica: 2A counts as 19, 2B as 18 */
{
    char d[16];
    const int month = TWO(3);
    (void)n;
    memcpy(d, s, 13);
    if (ch_alpha(s[6])) {
        if (s[5] != '2' || s[6] > 'B')
            return false;
        d[5] = '1';
        d[6] = s[6] == 'A' ? '9' : '8';
    }
    return (s[0] == '1' || s[0] == '2') && ((month >= 1 && month <= 12) || month >= 20) && 97 - pii_remainder(d, 13, 97) == TWO(13);
}

static bool es_letter(const char *s, size_t n)
{
    char d[9] = {0};
    memcpy(d, s, 8);
    if (s[0] >= 'X')
        d[0] = (char)('0' + s[0] - 'X');
    return (ch_digit(s[0]) || s[0] >= 'X') && s[n - 1] == "TRWAGMYFPDXBNJZSQVHLCKE"[pii_remainder(d, 8, 23)];
}

/* Codice fiscale (DM 23/12/1976): characters at odd places count by a table; digits may be letters where two persons would share a code. */
static bool it_code(const char *s, size_t n)
{
    static const uint8_t odd[] = { 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23 };
    int sum = 0;
    for (size_t k = 0; k + 1 < n; k++) {
        const int v = ch_digit(s[k]) ? D(k) : s[k] - 'A';
        const bool number = k == 6 || k == 7 || k == 9 || k == 10 || (k >= 12 && k <= 14);
        if (number ? ch_alpha(s[k]) && !strchr("LMNPQRSTUV", s[k]) : ch_digit(s[k]))
            return false;
        sum += k % 2 ? v : odd[v];
    }
    return strchr("ABCDEHLMPRST", s[8]) && sum % 26 == s[n - 1] - 'A';
}
static bool it_vat(const char *s, size_t n) { return pii_remainder(s, 7, 10) + pii_remainder(s, 7, 997) > 0 && pii_luhn(s, n); }

static bool nl_bsn(const char *s, size_t n)
{
    (void)n;
    return pii_remainder(s, 9, 997) + D(0) + D(1) > 0 && (pii_weighted(s, "98765432") - D(8)) % 11 == 0;
}

static bool be_national(const char *s, size_t n) /* from 2000 on a 2 stands before the nine digits */
{
    char d[11] = "2";
    const int check = TWO(9), month = TWO(2) % 20;
    (void)n;
    memcpy(d + 1, s, 9);
    return (month == 0 || pii_day(MAX(TWO(4), 1), month)) && (97 - pii_remainder(s, 9, 97) == check || 97 - pii_remainder(d, 10, 97) == check);
}

static bool pl_pesel(const char *s, size_t n)
{
    (void)n;
    return pii_day(TWO(4), TWO(2) % 20) && (10 - pii_weighted(s, "1379137913") % 10) % 10 == D(10);
}

static bool pl_nip(const char *s, size_t n)
{
    (void)n;
    return pii_weighted(s, "657234567") % 11 == D(9);
}

static bool se_person(const char *s, size_t n) /* coordination numbers: day + 60 */
{
    s += n - 10;
    const int day = TWO(4) > 60 ? TWO(4) - 60 : TWO(4);
    return pii_day(day, TWO(2)) && pii_luhn(s, 10);
}

static bool fi_hetu(const char *s, size_t n) /* the sign of the century is read by the shape; letters mark it too */
{
    char d[10];
    const size_t from = n == 11 ? 7 : 6; /* a letter for the century */
    memcpy(d, s, 6);
    memcpy(d + 6, s + from, 3);
    if (n == 11 && !strchr("ABCDEFUVWXY", s[6]))
        return false;
    return pii_day(TWO(0), TWO(2)) && s[n - 1] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[pii_remainder(d, 9, 31)];
}

static bool dk_cpr(const char *s, size_t n) /* numbers without a check digit are given out since 2007: the date has to do */
{
    (void)n;
    return pii_day(TWO(0) > 60 ? TWO(0) - 60 : TWO(0), TWO(2));
}

static bool no_person(const char *s, size_t n) /* D numbers: day + 40 */
{
    const int a = (11 - pii_weighted(s, "376189452") % 11) % 11, b = (11 - pii_weighted(s, "5432765432") % 11) % 11;
    (void)n;
    return pii_day(TWO(0) > 40 ? TWO(0) - 40 : TWO(0), TWO(2) > 40 ? TWO(2) - 40 : TWO(2)) && a == D(9) && b == D(10);
}

static bool uk_nino(const char *s, size_t n)
{
    static const char never[] = "BGGBNKKNTNNTZZ";
    (void)n;
    for (size_t k = 0; k < sizeof never - 1; k += 2)
        if (s[0] == never[k] && s[1] == never[k + 1])
            return false;
    return !strchr("DFIQUV", s[0]) && !strchr("DFIQUVO", s[1]) && s[8] <= 'D';
}

static bool uk_nhs(const char *s, size_t n)
{
    (void)n;
    return (11 - pii_weighted(s, "A98765432") % 11) % 11 == D(9);
}

static bool us_ssn(const char *s, size_t n)
{
    const int area = D(0) * 100 + TWO(1);
    (void)n;
    return area && area != 666 && area < 900 && TWO(3) && pii_remainder(s + 5, 4, 999) + D(8) && memcmp(s, "123456789", 9) != 0
            && memcmp(s, "078051120", 9) != 0;
}

static bool us_itin(const char *s, size_t n)
{
    const int g = TWO(3);
    (void)n;
    return s[0] == '9' && ((g >= 50 && g <= 65) || (g >= 70 && g <= 88) || (g >= 90 && g <= 92) || g >= 94);
}

static bool pt_nif(const char *s, size_t n)
{
    const int r = pii_weighted(s, "98765432") % 11;
    (void)n;
    return s[0] != '0' && (r < 2 ? 0 : 11 - r) == D(8);
}

static bool ie_pps(const char *s, size_t n)
{
    const int more = n == 9 && s[8] != 'W' ? (s[8] - 'A' + 1) * 9 : 0;
    return (n == 8 || s[8] <= 'I' || s[8] == 'W') && s[7] == "WABCDEFGHIJKLMNOPQRSTUV"[(pii_weighted(s, "8765432") + more) % 23];
}

static bool cz_birth(const char *s, size_t n) /* women: month + 50; since 2004 + 20 or + 70 when a day ran out of numbers */
{
    const int m = TWO(2) % 50, r = pii_remainder(s, 9, 11);
    (void)n;
    return pii_day(TWO(4), m > 20 ? m - 20 : m) && (r == 10 ? 0 : r) == D(9);
}

static bool ro_cnp(const char *s, size_t n)
{
    const int r = pii_weighted(s, "279146358279") % 11;
    (void)n;
    return s[0] != '0' && pii_day(TWO(5), TWO(3)) && (r == 10 ? 1 : r) == D(12);
}

static bool bg_egn(const char *s, size_t n)
{
    static const int weight[] = { 2, 4, 8, 5, 10, 9, 7, 3, 6 };
    int sum = 0;
    const int m = TWO(2) > 40 ? TWO(2) - 40 : TWO(2) > 20 ? TWO(2) - 20 : TWO(2);
    (void)n;
    for (int k = 0; k < 9; k++)
        sum += D(k) * weight[k];
    return pii_day(TWO(4), m) && sum % 11 % 10 == D(9);
}

static bool ee_code(const char *s, size_t n) /* Estonia and Lithuania */
{
    int r = pii_weighted(s, "1234567891") % 11;
    (void)n;
    if (r == 10)
        r = pii_weighted(s, "3456789123") % 11 % 10;
    return s[0] != '0' && s[0] < '9' && pii_day(TWO(5), TWO(3)) && r == D(10);
}

static bool br_cpf(const char *s, size_t n)
{
    int a = 0, b = 0;
    (void)n;
    for (int k = 0; k < 9; k++)
        a += D(k) * (10 - k);
    for (int k = 0; k < 10; k++)
        b += D(k) * (11 - k);
    return a * 10 % 11 % 10 == D(9) && b * 10 % 11 % 10 == D(10);
}

static bool ca_sin(const char *s, size_t n) { return s[0] != '0' && s[0] != '8' && pii_luhn(s, n); }
static bool de_vat(const char *s, size_t n) { return s[2] != '0' && pii_iso7064_11_10(s + 2, n - 2); }
static bool uk_driver(const char *s, size_t n)
{
    (void)n;
    return TWO(8) >= 1 && TWO(8) <= 31 && TWO(6) % 50 >= 1 && TWO(6) % 50 <= 12;
}

/* Shapes as pii_shape reads them. `loose`: the form may stand beside '-', '/' and the like. */
static const struct Id { const char *rule; PiiKind kind; const char *shape[3]; PiiCheck check; uint8_t plain, near; const char *context; } ids[] = {
#define C(f) f
#define NONE NULL
    { "de-tax-id", PII_TAX_ID, { "99 999 999 999" }, C(de_tax), 75, 97, "steuer|idnr|id-nr|=tin|tax|finanzamt|identifikation" },
    { "de-tax-number", PII_TAX_ID, { "999=/999=/99999", "99=/999=/99999", "999=/9999=/9999" }, NONE, 55, 92, "steuer|st.-nr|=stnr|tax|finanzamt" },
    { "de-vat", PII_COMPANY_ID, { "=D=E 999 999 999" }, C(de_vat), 85, 95, "ust|vat|umsatzsteuer|=mwst" },
    { "de-pension", PII_SOCIAL_ID, { "99 999999 A 999", "99 99 99 99 A 99 9" },
    C(de_pension), 85, 97, "sozialvers|rentenvers|=svnr|=rvnr|sv-nummer|versicherungsnummer|social" },
    { "de-health", PII_HEALTH_ID, { "A999999999", "A999 999 999" },
    C(de_health), 60, 95, "kranken|versicher|=kvnr|=gkv|=kk|health|insurance|gesundheit|patient" },
    { "de-id-card", PII_ID_CARD, { "AXXXXXXXX9" }, C(de_document), 50, 92, "ausweis|identity card|id card|=perso|=npa|document" },
    { "de-id-card-serial", PII_ID_CARD, { "AXXXXXXXX" }, C(de_serial), 10, 80, "ausweis|identity card|id card|=perso|=npa" },
    { "de-passport", PII_PASSPORT, { "=CXXXXXXXX9", "=CXXXXXXXX" }, C(de_serial), 15, 85, "pass-nr|reisepass|passnummer|passport|=pass" },
    { "de-register", PII_COMPANY_ID, { "=H=R=B 99999", "=H=R=B 999999", "=H=R=B 9999" }, NONE, 80, 92, "handelsregister|amtsgericht|register" },
    { "de-register", PII_COMPANY_ID, { "=H=R=A 99999", "=H=R=A 999999", "=H=R=A 9999" }, NONE, 80, 92, "handelsregister|amtsgericht|register" },
    { "at-social", PII_SOCIAL_ID, { "9999 999999", "9999 99 99 99" }, C(at_social), 50, 95, "sozialvers|=svnr|=sv-nr|versicherungsnummer|=sv|social" },
    { "ch-ahv", PII_SOCIAL_ID, { "=7=5=6-9999-9999-99" }, C(ean13), 90, 98, "ahv|avs|oasi|sozialvers|social" },
    { "fr-nir", PII_SOCIAL_ID, { "9 99 99 9X 999 999 99" }, C(fr_nir), 85, 97, "sécu|secu|=nir|=insee|social|immatriculation|=ss" },
    { "fr-siren", PII_COMPANY_ID, { "999 999 999" }, C(pii_luhn), 15, 88, "siren|=rcs|société" },
    { "fr-siret", PII_COMPANY_ID, { "999 999 999 99999" }, C(pii_luhn), 40, 92, "siret|établissement|société" },
    { "es-dni", PII_NATIONAL_ID, { "99999999-U", "99-999-999-U", "99999999-A" }, C(es_letter), 82, 96, "=dni|=nif|identidad|documento" },
    { "es-nie", PII_NATIONAL_ID, { "=X-9999999-A", "=Y-9999999-A", "=Z-9999999-A" }, C(es_letter), 85, 96, "=nie|extranjer|identidad|documento" },
    { "it-code", PII_TAX_ID, { "AAA AAA XX AXX AXXX A", "AAAAAAXXAXXAXXXA" }, C(it_code), 92, 98, "codice fiscale|=c.f|=cf|fiscal" },
    { "it-vat", PII_COMPANY_ID, { "99999999999" }, C(it_vat), 15, 88, "partita iva|p.iva|p. iva|=piva|p.i.|=vat" },
    { "nl-bsn", PII_NATIONAL_ID, { "999999999", "9999-99-999", "999-999-999" }, C(nl_bsn), 25, 92, "=bsn|burgerservice|sofi|citizen service" },
    { "be-national", PII_NATIONAL_ID, { "99-99-99-999-99" }, C(be_national), 65, 95, "rijksregister|national|insz|niss|registre" },
    { "pl-pesel", PII_NATIONAL_ID, { "99999999999" }, C(pl_pesel), 60, 95, "pesel" },
    { "pl-nip", PII_TAX_ID, { "999+999+99+99", "999+99+99+999", "9999999999" }, C(pl_nip), 30, 90, "=nip|podatkow" },
    { "se-person", PII_NATIONAL_ID, { "999999=-9999", "99999999=-9999" }, C(se_person), 80, 96, "personnummer|=pnr|samordningsnummer|person" },
    { "se-person-plain", PII_NATIONAL_ID, { "9999999999", "999999999999", "999999=+9999" },
    C(se_person), 35, 90, "personnummer|=pnr|samordningsnummer" },
    { "fi-hetu", PII_NATIONAL_ID, { "999999=-999X", "999999=+999X", "999999A999X" }, C(fi_hetu), 90, 97, "hetu|henkilö|personbeteckning" },
    { "dk-cpr", PII_NATIONAL_ID, { "999999=-9999" }, C(dk_cpr), 60, 95, "=cpr|personnummer|cpr-" },
    { "dk-cpr-plain", PII_NATIONAL_ID, { "999999 9999" }, C(dk_cpr), 10, 85, "=cpr|cpr-" },
    { "no-person", PII_NATIONAL_ID, { "999999 99999" }, C(no_person), 80, 97, "fødselsnummer|personnummer|=fnr|fodselsnummer|d-nummer" },
    { "uk-nino", PII_SOCIAL_ID, { "AA 99 99 99 A" }, C(uk_nino), 78, 96, "national insurance|=nino|=ni|insurance" },
    { "uk-nhs", PII_HEALTH_ID, { "999+999+9999", "9999999999" }, C(uk_nhs), 35, 94, "=nhs|health service|patient" },
    { "uk-driver", PII_DRIVER_ID, { "AAAAA999999AXXAA", "AAAAA999999AAXAA", "AAAA9999999AXXAA" }, C(uk_driver), 75, 95, "driv|licen" },
    { "us-ssn", PII_SOCIAL_ID, { "999=-99=-9999", "999= 99= 9999" }, C(us_ssn), 75, 95, "social|=ssn|security" },
    { "us-ssn-plain", PII_SOCIAL_ID, { "999999999" }, C(us_ssn), 5, 75, "social sec|=ssn|=ssns" },
    { "us-itin", PII_TAX_ID, { "999=-99=-9999", "999= 99= 9999" }, C(us_itin), 70, 95, "=itin|taxpayer|tax" },
    { "us-driver", PII_DRIVER_ID, { "A9999999", "A99999999", "99999999" }, NONE, 5, 65, "driver|licence number|license number|=dl" },
    { "us-driver-long", PII_DRIVER_ID, { "A999999999999", "A99-999-999", "A9999-99999-99999" },
    NONE, 5, 65, "driver|licence number|license number|=dl" },
    { "us-bank", PII_IBAN, { "99999999", "999999999999", "9999999999" },
    NONE, 5, 60, "bank account|account number|account no|acct|kontonummer|konto-nr|=konto" },
    { "us-bank-long", PII_IBAN, { "99999999999", "999999999", "9999999999999" },
    NONE, 5, 60, "bank account|account number|account no|acct|kontonummer|konto-nr|=konto" },
    { "passport", PII_PASSPORT, { "A99999999", "999999999", "99AA99999" }, NONE, 5, 70, "passport|passeport|pasaporte|passaporto|paspoort|paszport" },
    { "passport", PII_PASSPORT, { "AA9999999", "A9999999", "AAA999999" }, NONE, 5, 70, "passport|passeport|pasaporte|passaporto|paspoort|paszport" },
    { "ca-sin", PII_SOCIAL_ID, { "999+999+999", "999999999" }, C(ca_sin), 35, 88, "=sin|social insurance|assurance sociale|=nas" },
    { "pt-nif", PII_TAX_ID, { "999 999 999" }, C(pt_nif), 15, 88, "=nif|contribuinte" },
    { "ie-pps", PII_NATIONAL_ID, { "9999999U", "9999999UU" }, C(ie_pps), 62, 94, "=pps|=ppsn|personal public" },
    { "cz-birth", PII_NATIONAL_ID, { "999999=/9999" }, C(cz_birth), 85, 96, "rodné|=rč|=r.č" },
    { "ro-cnp", PII_NATIONAL_ID, { "9999999999999" }, C(ro_cnp), 70, 95, "=cnp|numeric personal" },
    { "bg-egn", PII_NATIONAL_ID, { "9999999999" }, C(bg_egn), 30, 90, "=egn|=егн|ЕГН" },
    { "hr-oib", PII_NATIONAL_ID, { "99999999999" }, C(pii_iso7064_11_10), 15, 90, "=oib" },
    { "ee-code", PII_NATIONAL_ID, { "99999999999" }, C(ee_code), 65, 92, "isikukood|asmens kod" },
    { "br-cpf", PII_TAX_ID, { "999=.999=.999=-99" }, C(br_cpf), 90, 97, "=cpf" },
    { "medical-record", PII_HEALTH_ID, { "9999999", "99999999", "999999" },
    NONE, 3, 62, "medical record|=mrn|patientennummer|patient id|patienten-id" },
    /* What has the form and is called by its full name is one, also when the check fails: a digit was mistyped, or it is an example. */
    { "us-ssn-named", PII_SOCIAL_ID, { "999=-99=-9999", "999= 99= 9999" }, NONE, 3, 85, "social sec|=ssn|=ssns|social-sec" },
    { "uk-nino-named", PII_SOCIAL_ID, { "AA 99 99 99 A" }, NONE, 3, 85, "national insurance|=nino|=ni number" },
    { "fr-nir-named", PII_SOCIAL_ID, { "9 99 99 9X 999 999 99", "9 99 99 9X 999 999" }, NONE, 3, 80, "sécurité sociale|securite sociale|=nir|numéro de sécu|n° de sécu" },
    { "es-dni-named", PII_NATIONAL_ID, { "99999999-A", "AA9999999", "A-9999999-A" }, NONE, 3, 80, "=dni|=nif|=nie" },
    { "it-code-named", PII_TAX_ID, { "AAA AAA XX AXX AXXX A" }, NONE, 3, 85, "codice fiscale" },
    { "de-tax-id-named", PII_TAX_ID, { "99 999 999 999" }, NONE, 3, 80, "steuer-id|steuerid|identifikationsnummer|idnr" },
    { "de-pension-named", PII_SOCIAL_ID, { "99 999999 A 999" }, NONE, 3, 80, "sozialversicherungsn|rentenversicherungsn|=svnr|=rvnr" },
    { "pl-pesel-named", PII_NATIONAL_ID, { "99999999999" }, NONE, 3, 80, "pesel" },
    { "nl-bsn-named", PII_NATIONAL_ID, { "999999999", "9999-99-999" }, NONE, 3, 80, "=bsn|burgerservicenummer" },
#undef C
#undef NONE
};

static const char plate_context[] =
    "kennzeichen|plate|=kfz|=pkw|nummernschild|registration|=auto|fahrzeug|vehicle|=car|immatriculation|targa|matrícula|kenteken|rejestrac";

/* German plates: place of one to three letters, dash or blank, one or two letters, one to four digits, perhaps E or H (FZV). */
static void match_plate(PiiText *t, size_t i)
{
    const char *p = t->p;
    size_t k = i, letters = 0, digits = 0, more = 0;
    while (letters < 4 && pii_upper_at(p, t->n, k)) {
        k += pii_word_char(p, t->n, k);
        letters++;
    }
    if (!letters || letters > 3 || k >= t->n || !(p[k] == '-' || p[k] == ' '))
        return;
    const bool dash = p[k++] == '-';
    for (; more < 2 && k < t->n && ch_is(p[k], CH_UPPER); more++)
        k++;
    const bool blank = k < t->n && (p[k] == ' ' || p[k] == '-');
    k += blank;
    for (; digits < 5 && k < t->n && ch_digit(p[k]); digits++)
        k++;
    if (!more || !digits || digits > 4)
        return;
    if (k < t->n && (p[k] == 'E' || p[k] == 'H') && !pii_word_char(p, t->n, k + 1))
        k++;
    if (pii_alone(t, i, k))
        pii_add(t, i, k, PII_PLATE, pii_context(t, i, k, plate_context) ? 88 : dash && blank && letters + more > 2 && digits > 1 ? 45 : 15, "de-plate");
}

/* Every number of the table has four digits or more among its first 16 letters and digits, with at most one sign between two, or is one word of eight
 * characters and more. Most numbers of a text are neither: "10 years", "2021". */
static bool worth_trying(const PiiText *t, size_t i)
{
    size_t digits = 0, count = 0, first = 0;
    for (size_t k = i, gap = 0; k < t->n && count < 16 && digits < 4 && gap < 2; k++) {
        const bool in = ch_alnum(t->p[k]);
        count += in;
        digits += ch_digit(t->p[k]);
        if (in && !gap && count == k - i + 1)
            first = count;
        gap = in ? 0 : gap + 1;
    }
    return (digits > 3 && count > 3) || first > 7;
}

/* The first character of the form stands at p; saves reading the rest for most rows. */
static bool may_begin(const char *shape, char c)
{
    switch (*shape) {
    case '9': return ch_digit(c);
    case 'A': return ch_alpha(c);
    case '=': return ch_up(c) == shape[1];
    default:  return true;
    }
}

/* Without a context word. A number from the country of the texts is believed more, when it has a check; one from another country only when hardly anything
 * else looks like it. */
static int plain_confidence(const PiiText *t, const struct Id *x)
{
    switch (pii_home(t->s, x->rule)) {
    case HOME_HERE: return x->check ? MIN(x->plain + 30, x->near) : x->plain;
    case HOME_AWAY: return x->plain < 80 ? MIN(x->plain, 40) : x->plain;
    default:        return x->plain;
    }
}

void pii_match_id(PiiText *t, size_t i)
{
    char buf[PII_SHAPE_MAX + 1];
    size_t n;
    if (pii_word_before(t->p, i))
        return;
    if (pii_wants(t, PII_PLATE) && pii_upper_at(t->p, t->n, i))
        match_plate(t, i);
    if (!worth_trying(t, i))
        return;
    for (const struct Id *x = ids; x < ids + ARRAY_LEN(ids); x++) {
        if (!pii_wants(t, x->kind) || MAX(x->plain, x->near) < t->s->least)
            continue;
        for (int f = 0; f < 3 && x->shape[f]; f++) {
            const size_t len = may_begin(x->shape[f], t->p[i]) ? pii_shape(x->shape[f], t->p + i, t->n - i, buf, &n) : 0;
            if (!len || (x->check && !x->check(buf, n)) || !pii_alone(t, i, i + len))
                continue;
            const int c = pii_context(t, i, i + len, x->context) ? x->near : plain_confidence(t, x);
            if (c >= t->s->least)
                pii_add(t, i, i + len, x->kind, c, x->rule);
            break;
        }
    }
}

bool pii_rule_holds(Str rule, Str value)
{
    char buf[PII_SHAPE_MAX + 1];
    size_t n;
    if (str_eqz(rule, "iban") || str_eqz(rule, "card")) {
        char s[64];
        n = 0;
        for (size_t k = 0; k < value.n && n < sizeof s; k++)
            if (ch_alnum(value.p[k]))
                s[n++] = ch_up(value.p[k]);
        return str_eqz(rule, "iban") ? pii_iban_holds(s, n) : pii_card_known(s, n);
    }
    for (const struct Id *x = ids; x < ids + ARRAY_LEN(ids); x++)
        for (int f = 0; f < 3 && x->shape[f] && x->check && str_eqz(rule, x->rule); f++)
            if (pii_shape(x->shape[f], value.p, value.n, buf, &n) == value.n && x->check(buf, n))
                return true;
    return false;
}
