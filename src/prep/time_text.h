/* time_text.h - when a row was written, from what its column says: ISO 8601 ("2026-11-28", "2026-11-28T09:30:00Z", "...+01:00", a space for the T), dates
 * as day.month.year, seconds or milliseconds since 1970, or any other whole number that grows. */
#ifndef HONE_TIME_TEXT_H
#define HONE_TIME_TEXT_H

#include "base/str.h"

/* Seconds since 1970-01-01T00:00:00Z (a number that is no time stays as it is); false: no known form. A time without a zone counts as UTC. */
bool time_from_text(Str s, int64_t *seconds);
/* The way back, for sentences: "2026-11-28 09:30:00Z", or the number itself where it is no time of the years 1971 to 2199. out [TIME_TEXT_MAX] */
#define TIME_TEXT_MAX 32
void time_to_text(int64_t seconds, char *out);

#endif
