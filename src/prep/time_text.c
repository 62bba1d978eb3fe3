/* time_text.c - see time_text.h. */
#include "prep/time_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MILLISECONDS_FROM ((int64_t)100000000000) /* in seconds the year 5138: so large a number counts milliseconds */

/* Days since 1970-01-01 of a day in the Gregorian calendar: years begin in March, so that a leap day is the last of its year. */
static int64_t days_from_date(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool zone_seconds(const char *z, int64_t *seconds)
{
    int h, m = 0, n = 0;
    *seconds = 0;
    if (!*z || (z[0] == 'Z' && !z[1]))
        return true;
    if ((*z != '+' && *z != '-') || (sscanf(z + 1, "%2d:%2d%n", &h, &m, &n) != 2 && sscanf(z + 1, "%2d%2d%n", &h, &m, &n) != 2 && (m = 0, sscanf(z + 1, "%2d%n", &h, &n) != 1)) ||
        z[1 + n])
        return false;
    *seconds = (*z == '+' ? 1 : -1) * (h * 3600 + m * 60);
    return true;
}

/* "T09:30", "T09:30:00", "T09:30:00.123Z", or nothing */
static bool day_seconds(const char *t, int64_t *seconds)
{
    int     h = 0, m = 0, s = 0, n = 0;
    int64_t zone;
    *seconds = 0;
    if (!*t)
        return true;
    if ((*t != 'T' && *t != ' ') || sscanf(t + 1, "%2d:%2d%n", &h, &m, &n) != 2)
        return false;
    t += 1 + n;
    if (*t == ':') {
        if (sscanf(t, ":%2d%n", &s, &n) != 1)
            return false;
        t += n;
    }
    if (*t == '.' || *t == ',')
        for (t++; *t >= '0' && *t <= '9';)
            t++;
    while (*t == ' ')
        t++;
    if (h > 24 || m > 59 || s > 60 || !zone_seconds(t, &zone))
        return false;
    *seconds = h * 3600 + m * 60 + s - zone;
    return true;
}

static bool from_date(const char *z, int64_t *seconds)
{
    int     year, month, day, n = 0;
    int64_t in_day;
    if (sscanf(z, "%4d-%2d-%2d%n", &year, &month, &day, &n) != 3 && sscanf(z, "%4d/%2d/%2d%n", &year, &month, &day, &n) != 3 &&
        sscanf(z, "%2d.%2d.%4d%n", &day, &month, &year, &n) != 3)
        return false;
    if (month < 1 || month > 12 || day < 1 || day > 31 || !day_seconds(z + n, &in_day))
        return false;
    *seconds = days_from_date(year, month, day) * 86400 + in_day;
    return true;
}

bool time_from_text(Str s, int64_t *seconds)
{
    char text[64], *end;
    if (!s.n || s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    long long whole = strtoll(text, &end, 10);
    if (*end == '.' && end != text) /* a fraction of a second */
        for (end++; *end >= '0' && *end <= '9';)
            end++;
    if (end != text && !*end) {
        *seconds = whole >= MILLISECONDS_FROM ? whole / 1000 : whole;
        return true;
    }
    return from_date(text, seconds);
}

void time_to_text(int64_t seconds, char *out)
{
    time_t    when = (time_t)seconds;
    struct tm t;
    if (seconds < 365 * INT64_C(86400) || seconds >= INT64_C(7258118400) || !gmtime_r(&when, &t) || !strftime(out, TIME_TEXT_MAX, "%Y-%m-%d %H:%M:%SZ", &t))
        snprintf(out, TIME_TEXT_MAX, "%lld", (long long)seconds);
}
