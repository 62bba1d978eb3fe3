/* pii_phone.c - telephone numbers: international ones by country code and length (ITU-T E.164), national ones by the forms of the numbering
 * plans of main countries, the rest by context. To add a national form: a row in national. */
#include "prep/pii_int.h"

/* Country codes of E.164 with the least and most digits that follow; "1" includes the Caribbean. Codes without a row take 6 to 13. */
static const struct { const char *code; uint8_t least, most; } country_codes[] = {
    { "1", 10, 10 },  { "7", 10, 10 },  { "20", 8, 10 },  { "27", 9, 9 },   { "30", 10, 10 }, { "31", 9, 9 },   { "32", 8, 9 },   { "33", 9, 9 },
    { "34", 9, 9 },
    { "36", 8, 9 },   { "39", 6, 12 },  { "40", 9, 9 },   { "41", 9, 9 },   { "43", 7, 13 },  { "44", 7, 10 },  { "45", 8, 8 },   { "46", 7, 10 },
    { "47", 8, 8 },
    { "48", 9, 9 },   { "49", 6, 13 },  { "51", 8, 9 },   { "52", 10, 11 }, { "54", 10, 11 }, { "55", 10, 11 }, { "56", 9, 9 },
    { "57", 10, 10 }, { "60", 8, 10 },
    { "61", 9, 9 },   { "62", 8, 12 },  { "63", 8, 10 },  { "64", 8, 10 },  { "65", 8, 8 },   { "66", 8, 9 },   { "81", 9, 10 },  { "82", 8, 10 },
    { "84", 9, 10 },
    { "86", 10, 11 }, { "90", 10, 10 }, { "91", 10, 10 }, { "92", 9, 10 },  { "98", 10, 10 }, { "351", 9, 9 },  { "352", 5, 11 }, { "353", 7, 9 },
    { "354", 7, 9 },
    { "355", 8, 9 },  { "356", 8, 8 },  { "357", 8, 8 },  { "358", 6, 11 }, { "359", 7, 9 },  { "370", 8, 8 },  { "371", 8, 8 },  { "372", 7, 8 },
    { "373", 8, 8 },
    { "377", 8, 9 },  { "380", 9, 9 },  { "381", 8, 9 },  { "385", 8, 9 },  { "386", 8, 8 },  { "387", 8, 8 },  { "389", 8, 8 },  { "420", 9, 9 },
    { "421", 9, 9 },
    { "423", 7, 9 },  { "852", 8, 8 },  { "971", 8, 9 },  { "972", 8, 9 },
};

static const char context[] =
    "=tel|telefon|erreich|phone|mobil|handy|=fax|telefax|=call|=ring|rufnummer|hotline|anruf|téléphone|portable|appel|=tél|móvil|llam|teléfono|"
    "cellulare|chiam|"
    "telefoon|=gsm|=bel |numer|komórk|puhelin|whatsapp|=sms|reach me|reach us|dial|=cell|contact|kontakt|number is|extension|voicemail|signal";

#define NUMBER_MAX 24

/* The digits of a number, grouped as it is written. */
typedef struct Number {
    char   d[NUMBER_MAX + 1];
    size_t n, end, groups, widest;
    size_t group[12];           /* digits of each group */
    char   sep;                 /* the first separator; 0: none */
    bool   plus, brackets;
} Number;

/* From i on: "+", digits, groups in brackets, one of " -./" (or two, as in "030 / 12") between. False when there are too few digits or too many. */
static bool read_number(const PiiText *t, size_t i, Number *x)
{
    const char *p = t->p;
    size_t k = i;
    *x = (Number){ 0 };
    if (p[k] == '+') {
        x->plus = true;
        k++;
    }
    size_t width = 0;
    bool open = false;
    for (; k < t->n; k++) {
        if (ch_digit(p[k])) {
            if (x->n == NUMBER_MAX)
                return false;
            x->d[x->n++] = p[k];
            if (!width++ && x->groups < ARRAY_LEN(x->group))
                x->groups++;
            x->group[x->groups - 1]++;
            x->end = k + 1;
            continue;
        }
        width = 0;
        const size_t blank = pii_space(p, t->n, k);
        size_t step = blank ? blank : (size_t)(p[k] != 0 && strchr("-./()", p[k]) != NULL);
        if (!step)
            break;
        if (p[k] == '(' || (step && k + step < t->n && p[k + step] == '(')) {
            if (open || x->n > 5)
                break;
            open = true;
            x->brackets = true;
            k += p[k] == '(' ? 0 : step;
            if (k + 1 >= t->n || !ch_digit(p[k + 1]))
                break;
            continue;
        }
        if (p[k] == ')') {
            if (!open)
                break;
            open = false;
            step += pii_space(p, t->n, k + 1) ? pii_space(p, t->n, k + 1) : (size_t)(k + 1 < t->n && (p[k + 1] == '-' || p[k + 1] == '/'));
        } else if (k + step < t->n && (p[k + step] == '/' || p[k + step] == '-')) { /* " / " and " - " */
            const size_t more = pii_space(p, t->n, k + step + 1);
            step += 1 + more;
        } else if (p[k] == '/' || p[k] == '-')
            step += pii_space(p, t->n, k + step);
        if (k + step >= t->n || !(ch_digit(p[k + step]) || (p[k + step] == '(' && !open)))
            break;
        if (!x->sep)
            x->sep = blank ? ' ' : p[k];
        if (p[k + step] == '(') {
            open = true;
            x->brackets = true;
            step++;
        }
        k += step - 1;
    }
    for (size_t g = 0; g < x->groups; g++)
        x->widest = MAX(x->widest, x->group[g]);
    return x->n >= 6 && !open;
}

static bool international(const char *d, size_t n)
{
    if (n < 7 || n > 15 || d[0] == '0')
        return false;
    for (size_t c = 0; c < ARRAY_LEN(country_codes); c++) {
        const size_t len = strlen(country_codes[c].code);
        if (memcmp(d, country_codes[c].code, len) == 0) {
            const size_t rest = n - len - (d[len] == '0' && n - len > country_codes[c].least); /* +49 (0) 30 ... */
            return rest >= country_codes[c].least && rest <= country_codes[c].most;
        }
    }
    return n >= 8;
}

/* National forms: the groups as digits per group, 'A' to 'C' for ten to twelve; the digits must begin with `head`. One that stays below 50 is believed
 * beside a context word, or when the texts come from its country (HOME_MORE). */
static const struct { const char *rule, *groups, *head; char sep; int confidence; } national[] = {
    { "phone-fr", "2 2 2 2 2", "0",  0,  70 },                                  /* 06 12 34 56 78 */
    { "phone-us", "3 3 4",     "",   '-', 65 }, { "phone-us", "3 3 4", "", '.', 65 }, { "phone-us", "3 3 4", "", '(', 75 },
    { "phone-us", "1 3 3 4",   "1",  0,  75 },
    { "phone-uk", "5 6",       "0",  0,  65 }, { "phone-uk", "3 4 4", "0", 0, 70 }, { "phone-uk", "4 3 4", "0", 0, 65 }, { "phone-uk", "5 3 3",
    "0", 0, 65 },
    { "phone-ch", "3 3 2 2",   "0",  0,  70 },                                  /* 044 668 18 00 */
    { "phone-es", "3 2 2 2",   "6",  0,  55 }, { "phone-es", "3 3 3", "6", ' ', 50 }, { "phone-es", "3 2 2 2", "9", 0, 55 }, { "phone-es",
    "3 2 2 2", "7", 0, 50 },
    { "phone-nl", "2 8",       "06", 0,  65 }, { "phone-nl", "3 7", "0", 0, 55 }, { "phone-nl", "4 6", "0", 0, 55 },
    { "phone-be", "4 2 2 2",   "04", 0,  65 }, { "phone-be", "2 3 2 2", "0", 0, 65 }, { "phone-be", "3 2 2 2", "0", 0, 65 },
    { "phone-se", "3 3 2 2",   "0",  0,  60 }, { "phone-se", "2 3 3 2", "0", 0, 60 },
    { "phone-it", "3 7",       "3",  ' ', 50 }, { "phone-it", "3 3 4", "3", ' ', 55 },
    /* so many other numbers look like these that the country must be known */
    { "phone-de", "A", "0", 0, 40 }, { "phone-de", "B", "0", 0, 40 }, { "phone-de", "C", "0", 0, 40 }, { "phone-at", "B", "0", 0, 40 }, { "phone-at", "C", "06", 0, 40 },
    { "phone-ch", "A", "0", 0, 40 }, { "phone-fr", "A", "0", 0, 40 }, { "phone-nl", "A", "0", 0, 40 }, { "phone-be", "9", "0", 0, 30 }, { "phone-be", "A", "04", 0, 40 },
    { "phone-uk", "B", "0", 0, 40 }, { "phone-uk", "A", "0", 0, 40 }, { "phone-se", "A", "0", 0, 40 }, { "phone-fi", "A", "0", 0, 40 }, { "phone-ie", "A", "08", 0, 40 },
    { "phone-it", "A", "3", 0, 30 }, { "phone-it", "A", "0", 0, 30 }, { "phone-it", "2 8", "0", 0, 40 }, { "phone-it", "3 7", "0", 0, 40 },
    { "phone-es", "9", "6", 0, 30 }, { "phone-es", "9", "7", 0, 30 }, { "phone-es", "9", "9", 0, 30 }, { "phone-es", "3 3 3", "7", ' ', 40 },
    { "phone-es", "3 3 3", "9", ' ', 40 }, { "phone-es", "2 3 2 2", "9", 0, 40 }, { "phone-es", "3 2 2 2", "8", 0, 40 },
    { "phone-pl", "9", "", 0, 25 },  { "phone-pl", "3 3 3", "", ' ', 30 }, { "phone-pl", "3 3 3", "", '-', 30 }, { "phone-pl", "2 3 2 2", "", 0, 35 },
    { "phone-pt", "9", "9", 0, 30 }, { "phone-pt", "9", "2", 0, 30 }, { "phone-pt", "3 3 3", "9", ' ', 40 }, { "phone-pt", "3 3 3", "2", ' ', 40 },
    { "phone-cz", "3 3 3", "", ' ', 30 }, { "phone-cz", "9", "", 0, 25 },
    { "phone-dk", "8", "", 0, 25 },  { "phone-dk", "2 2 2 2", "", ' ', 35 }, { "phone-no", "8", "", 0, 25 }, { "phone-no", "3 2 3", "", ' ', 35 },
    { "phone-no", "2 2 2 2", "", ' ', 35 },
    { "phone-us", "A", "", 0, 25 },  { "phone-us", "3 3 4", "", ' ', 45 }, { "phone-us", "3 4", "", '-', 25 },
    { "phone-ca", "A", "", 0, 25 },  { "phone-ca", "3 3 4", "", ' ', 45 }, { "phone-ca", "3 3 4", "", '-', 45 },
};
#define HOME_MORE 30

static bool groups_are(const Number *x, const char *groups)
{
    size_t g = 0;
    for (; *groups; groups++)
        if (*groups != ' ' && (g == x->groups || x->group[g++] != (size_t)(*groups >= 'A' ? *groups - 'A' + 10 : *groups - '0')))
            return false;
    return g == x->groups;
}

/* North American numbering plan: area and exchange begin with 2 to 9. */
static bool nanp(const char *d, size_t n)
{
    if (n == 11 && d[0] == '1') {
        d++;
        n--;
    }
    return n == 10 && d[0] >= '2' && d[3] >= '2';
}

/* 12.05.1985, 2024-01-05, 12/05/85: three groups that make a date. */
static bool is_date(const Number *x)
{
    if (x->groups < 3 || x->brackets || x->plus || !strchr(".-/", x->sep ? x->sep : ' '))
        return false;
    const bool year_first = x->group[0] == 4 && x->group[1] <= 2 && x->group[2] <= 2;
    const bool year_last = x->group[0] <= 2 && x->group[1] <= 2 && (x->group[2] == 4 || (x->groups == 3 && x->group[2] == 2));
    const char *d = x->d + (year_first ? 4 : 0);
    const size_t g = year_first ? 1 : 0;
    const int a = pii_remainder(d, x->group[g], 100), b = pii_remainder(d + x->group[g], x->group[g + 1], 100);
    return (year_first || year_last) && (pii_day(a, b) || pii_day(b, a));
}

/* The number of an article, GTIN-8, -12, -13 or -14: its last digit makes the sum of all, weighted 1 and 3 by turns from behind, a multiple of ten (GS1 General
 * Specifications, 7.9). */
static bool is_article_number(const Number *x)
{
    int sum = 0;
    for (size_t k = 0; k < x->n; k++)
        sum += (x->d[x->n - 1 - k] - '0') * (k & 1 ? 3 : 1);
    return (x->n == 8 || (x->n >= 12 && x->n <= 14)) && !x->plus && !x->brackets && sum % 10 == 0;
}

static int national_form(const PiiText *t, const Number *x, const char **rule)
{
    int best = 0;
    for (size_t r = 0; r < ARRAY_LEN(national); r++) {
        const PiiHome home = pii_home(t->s, national[r].rule + strlen("phone-"));
        const int confidence = national[r].confidence + (home == HOME_HERE ? HOME_MORE : 0);
        if (home == HOME_AWAY)
            continue;
        if (memcmp(x->d, national[r].head, strlen(national[r].head)) != 0 || !groups_are(x, national[r].groups))
            continue;
        if ((national[r].sep == '(') != (national[r].sep && x->brackets) || (national[r].sep && national[r].sep != '(' && x->sep != national[r].sep))
            continue;
        if ((strcmp(national[r].rule, "phone-us") == 0 || strcmp(national[r].rule, "phone-ca") == 0) && x->n > 7 && !nanp(x->d, x->n))
            continue;
        if (confidence > best) {
            best = confidence;
            *rule = national[r].rule;
        }
    }
    return best;
}

/* "x123", "ext. 12", "Durchwahl 12": belongs to the number. */
static size_t extension(const PiiText *t, size_t end)
{
    static const char *const words[] = { "x", " x", " ext. ", " ext ", " ext.", "ext", ",ext. ", " Durchwahl ", " Ext. " };
    for (size_t w = 0; w < ARRAY_LEN(words); w++) {
        size_t n = strlen(words[w]), k = end + n;
        if (k >= t->n || memcmp(t->p + end, words[w], n) != 0 || !ch_digit(t->p[k]))
            continue;
        while (k < t->n && k < end + n + 6 && ch_digit(t->p[k]))
            k++;
        if (!pii_word_char(t->p, t->n, k))
            return k;
    }
    return end;
}

void pii_match_phone(PiiText *t, size_t i)
{
    const char *p = t->p;
    Number x;
    if (!ch_digit(p[i]) || pii_word_before(p, i))
        return;
    size_t b = i;
    if (b && p[b - 1] == '(')
        b--;
    if (b && p[b - 1] == '+')
        b--;
    if (b == i && i && strchr("-_/.,@#=$%", p[i - 1]) && !(p[i - 1] == '.' && i > 1 && ch_alpha(p[i - 2])) && p[i - 1] != '=')
        return; /* the tail of something longer, or of a number already read */
    if ((b && p[b - 1] != '/' && p[b - 1] != ':' && (pii_word_before(p, b) || ch_digit(p[b - 1]))) || !read_number(t, b, &x))
        return;
    const size_t end = extension(t, x.end);
    if (pii_word_char(p, t->n, end) || (end + 1 < t->n && strchr("-_/.:,@", p[end]) && ch_alnum(p[end + 1]) && p[end] != 0))
        return;
    const char *rule = "phone-context";
    int confidence = 0;
    if (is_date(&x))
        return;
    const bool article = is_article_number(&x);
    if (article && pii_context(t, b, end, "=ean|=gtin|=upc|barcode|strichcode|=isbn|artikelnummer|code-barres|código de barras|codice a barre|streepjescode"))
        return;
    if (x.plus && international(x.d, x.n)) {
        rule = "phone-international";
        confidence = 85;
    } else if (!x.plus && x.d[0] == '0' && x.d[1] == '0' && international(x.d + 2, x.n - 2)) {
        rule = "phone-international";
        confidence = x.sep ? 75 : article ? 45 : 55; /* 0036000291452 is an article from the United States more often */
    } else if (!x.plus && x.n <= 15) {
        confidence = national_form(t, &x, &rule);
        const bool trunk = x.d[0] == '0' && x.d[1] != '0' && x.n >= 8 && x.n <= 12 && x.groups <= 5;
        /* an area code, then the number: 030 1234567, 0176/12345678, (0711) 123-45 */
        if (confidence < 50 && trunk && x.group[0] >= 3 && x.group[0] <= 5 && x.groups > 1 && x.sep != '.') {
            rule = "phone-trunk";
            confidence = x.brackets || x.sep == '/' ? 65 : 55;
        }
        /* 3-2-4 is how a social security number is written, whatever it is called near by */
        if (x.n >= 7 && x.n <= 13 && !(x.groups == 3 && x.group[0] == 3 && x.group[1] == 2 && x.group[2] == 4) && (x.d[0] == '0' || x.groups > 2 || x.n > 8
                || (x.groups == 2 && x.group[1] == 4)) && pii_context(t, b, end, context))
            confidence = MAX(confidence + (confidence >= 50 ? 25 : 0), trunk ? 80 : x.n >= 8 ? 65 : 55);
        else if (confidence < 40 && trunk && x.n >= 10)
            confidence = 40;
    } else if (x.plus && x.n >= 7 && x.n <= 15 && pii_context(t, b, end, context)) {
        confidence = 60;
    }
    if (confidence)
        pii_add(t, b, end, PII_PHONE, MIN(confidence, 95), rule);
}
