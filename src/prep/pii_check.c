/* pii_check.c - check digits that several kinds of numbers share. Those of one number alone stand beside its row in pii_id.c. */
#include "prep/pii_int.h"

/* Luhn, ISO/IEC 7812-1 annex B: from the right, every second digit doubled, its digits summed; a multiple of 10. */
bool pii_luhn(const char *s, size_t n)
{
    int sum = 0;
    for (size_t k = 0; k < n; k++) {
        int d = s[n - 1 - k] - '0';
        if (d < 0 || d > 9)
            return false;
        if (k & 1)
            d = d > 4 ? 2 * d - 9 : 2 * d;
        sum += d;
    }
    return n > 1 && sum % 10 == 0;
}

/* ISO 7064 hybrid system MOD 11,10. */
bool pii_iso7064_11_10(const char *s, size_t n)
{
    int product = 10;
    for (size_t k = 0; k + 1 < n; k++) {
        int sum = (s[k] - '0' + product) % 10;
        product = (sum ? sum : 10) * 2 % 11;
    }
    return n > 1 && (11 - product) % 10 == s[n - 1] - '0';
}

/* ISO 7064 MOD 97-10 as ISO 13616 applies it; the caller has moved the country and check digits to the end. */
bool pii_mod97(const char *s, size_t n)
{
    int r = 0;
    for (size_t k = 0; k < n; k++) {
        if (ch_digit(s[k]))
            r = (r * 10 + s[k] - '0') % 97;
        else if (s[k] >= 'A' && s[k] <= 'Z')
            r = (r * 100 + s[k] - 'A' + 10) % 97;
        else
            return false;
    }
    return r == 1;
}

int pii_remainder(const char *s, size_t n, int m)
{
    int r = 0;
    for (size_t k = 0; k < n; k++)
        r = (r * 10 + s[k] - '0') % m;
    return r;
}

int pii_weighted(const char *s, const char *weights)
{
    int sum = 0;
    for (size_t k = 0; weights[k]; k++)
        sum += (s[k] - '0') * (weights[k] == 'A' ? 10 : weights[k] - '0');
    return sum;
}

bool pii_day(int day, int month)
{
    static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}
