/* pii_date.c - dates of birth, which are dates beside a word of birth, and geographic coordinates. */
#include "prep/pii_int.h"

static const char birth_context[] =
    "=born|=dob|birth|geboren|=geb.|geburts|=geb |=né|=née|naissance|nacid|nacimiento|=nací|nació|=nato|=nata|nascita|geboorte|urodz|=ur.|född|født|syntynyt|"
    "nascid|nascimento|narozen";

/* Months in small letters; the first three letters decide, in the languages that share them. */
static const char months[] =
    "|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mär|mae|mai|okt|dez|fév|avr|jui|aoû|déc|ene|abr|ago|dic|gen|mag|giu|lug|set|ott|mrt|mei|maa|"
    "sty|lut|kwi|maj|cze|lip|sie|wrz|paź|lis|gru|out|fev|des|";

static bool month_word(const char *p, size_t n)
{
    char three[8];
    size_t k = 0, chars = 0;
    while (k < n && chars < 3) {
        const size_t len = pii_word_char(p, n, k);
        if (!len || k + len > sizeof three - 1)
            return false;
        for (size_t b = 0; b < len; b++)
            three[k + b] = ch_low(p[k + b]);
        k += len;
        chars++;
    }
    three[k] = 0;
    for (const char *at = months; chars == 3 && n <= 14 && (at = strchr(at, '|')) != NULL && at[1]; at++)
        if (strncmp(at + 1, three, k) == 0 && at[1 + k] == '|')
            return true;
    return false;
}

static size_t number(const char *p, size_t n, size_t i, int *v)
{
    size_t k = i;
    for (*v = 0; k < n && ch_digit(p[k]) && k - i < 5; k++)
        *v = *v * 10 + p[k] - '0';
    return k - i;
}

/* Length of the date at i, 0: none. 12.05.1985, 12/05/85, 1985-05-12, 12. Mai 1985, 12 mai 1985, 12 de mayo de 1985, May 12, 1985, May 12th 1985. */
static size_t date_at(const char *p, size_t n, size_t i)
{
    int a = 0, b = 0, c = 0;
    size_t k = i, first = number(p, n, k, &a);
    if (first == 0) {
        const size_t word = pii_word_end(p, n, k);
        size_t end = word + (word < n && p[word] == '.');
        end += pii_space(p, n, end);
        if (end >= n || !ch_digit(p[end]) || !month_word(p + k, word - k))
            return 0;
        const size_t day = number(p, n, end, &a);
        if (!day || day > 2 || a < 1 || a > 31)
            return 0;
        k = end + day;
        if (k + 1 < n && ch_alpha(p[k]) && ch_alpha(p[k + 1]))
            k += 2; /* th, st, nd, rd */
        k += k < n && p[k] == ',';
        k += pii_space(p, n, k);
        return number(p, n, k, &c) == 4 && c >= 1900 && c < 2100 ? k + 4 - i : 0;
    }
    k += first;
    if (k < n && (p[k] == '.' || p[k] == '/' || p[k] == '-')) {
        const char sep = p[k];
        size_t m = k + 1;
        if (sep == '.')
            m += pii_space(p, n, m);
        const size_t second = number(p, n, m, &b);
        if (second && second < 3 && m + second < n && p[m + second] == sep) {
            size_t y = m + second + 1;
            if (sep == '.')
                y += pii_space(p, n, y);
            const size_t third = number(p, n, y, &c);
            const bool year_first = first == 4 && third && third < 3, year_last = first < 3 && (third == 4 || third == 2);
            if ((year_first && (pii_day(c, b) || pii_day(b, c)) && a >= 1900 && a < 2100) ||
                (year_last && (pii_day(a, b) || pii_day(b, a)) && (third == 2 || (c >= 1900 && c < 2100))))
                return pii_word_char(p, n, y + third) ? 0 : y + third - i;
        }
        if (sep != '.')
            return 0;
        k++;
    }
    if (first > 2 || a < 1 || a > 31)
        return 0;
    if (k + 1 < n && ch_alpha(p[k]) && ch_alpha(p[k + 1]) && k + 2 < n && p[k + 2] == ' ')
        k += 2; /* 12th */
    k += pii_space(p, n, k);
    if (k + 3 < n && memcmp(p + k, "de ", 3) == 0)
        k += 3;
    const size_t end = pii_word_end(p, n, k);
    if (end == k || !month_word(p + k, end - k))
        return 0;
    k = end + (end < n && p[end] == '.');
    k += k < n && p[k] == ',';
    k += pii_space(p, n, k);
    if (k + 3 < n && memcmp(p + k, "de ", 3) == 0)
        k += 3;
    return number(p, n, k, &c) == 4 && c >= 1900 && c < 2100 ? k + 4 - i : 0;
}

void pii_match_birth(PiiText *t, size_t i)
{
    if (!pii_wants(t, PII_BIRTH_DATE) || pii_word_before(t->p, i))
        return;
    const size_t len = date_at(t->p, t->n, i);
    if (!len || !pii_alone(t, i, i + len))
        return;
    const size_t from = i > 40 ? i - 40 : 0;
    PiiText near = *t; /* a birth is named before its date, and not far from it */
    near.p += from;
    near.n = i + len - from;
    if (pii_context(&near, i - from, i + len - from, birth_context))
        pii_add(t, i, i + len, PII_BIRTH_DATE, 88, "birth-date");
    else
        pii_add(t, i, i + len, PII_BIRTH_DATE, 15, "date");
}

/* A decimal number with its count of decimals; sign and degrees mark belong to it. */
static size_t degree(const char *p, size_t n, size_t i, double *v, size_t *decimals)
{
    size_t k = i, digits = 0;
    const bool minus = k < n && p[k] == '-';
    k += minus || (k < n && p[k] == '+');
    *v = 0;
    *decimals = 0;
    for (; k < n && ch_digit(p[k]) && digits < 4; k++, digits++)
        *v = *v * 10 + (p[k] - '0');
    if (!digits || k >= n || p[k] != '.')
        return 0;
    double scale = 1;
    for (k++; k < n && ch_digit(p[k]) && *decimals < 16; k++, (*decimals)++)
        *v += (p[k] - '0') * (scale /= 10);
    if (minus)
        *v = -*v;
    if (k + 1 < n && (unsigned char)p[k] == 0xC2 && (unsigned char)p[k + 1] == 0xB0)
        k += 2;
    return k - i;
}

static const char geo_context[] = "gps|latitud|longitud|coordinat|koordinat|=lat|=lon|=lng|location|standort|position|coordonn|geo";

/* ISO 6709 in decimal degrees: latitude, a comma or blank, longitude. Four decimals are ten metres. */
void pii_match_coordinates(PiiText *t, size_t i)
{
    const char *p = t->p;
    double lat, lon;
    size_t da, db;
    const size_t b = i && p[i - 1] == '-' ? i - 1 : i;
    if (b && (pii_word_before(p, b) || strchr(".,/_$", p[b - 1])))
        return;
    size_t k = b, n = degree(p, t->n, k, &lat, &da);
    if (!n || da < 3 || lat < -90 || lat > 90)
        return;
    k += n + pii_space(p, t->n, k + n);
    bool letter = k < t->n && (p[k] == 'N' || p[k] == 'S') && !pii_word_char(p, t->n, k + 1);
    k += letter;
    const bool comma = k < t->n && (p[k] == ',' || p[k] == ';' || p[k] == '/');
    k += comma;
    const size_t blank = pii_space(p, t->n, k);
    k += blank;
    if (!comma && !blank)
        return;
    n = degree(p, t->n, k, &lon, &db);
    if (!n || db < 3 || lon < -180 || lon > 180)
        return;
    k += n;
    const size_t gap = pii_space(p, t->n, k);
    if (k + gap < t->n && (p[k + gap] == 'E' || p[k + gap] == 'W' || p[k + gap] == 'O') && !pii_word_char(p, t->n, k + gap + 1))
        k += gap + 1;
    else
        letter = false;
    if (pii_word_char(p, t->n, k) || (k + 1 < t->n && (p[k] == '.' || p[k] == ',') && ch_digit(p[k + 1])))
        return;
    const bool near = pii_context(t, b, k, geo_context);
    const bool sharp = comma && ((da >= 5 && db >= 5) || (da == 4 && db == 4 && (lat >= 10 || lat <= -10)));
    pii_add(t, b, k, PII_COORDINATES, near || letter ? 90 : sharp ? 60 : 30, "coordinates");
}
