/* clock.c - the two clocks: one that never jumps, for durations; one that people read, for records (always UTC). */
#include "base/clock.h"

#include <time.h>

double clock_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void clock_iso8601(char out[32])
{
    time_t now = time(NULL);
    struct tm utc;
    gmtime_r(&now, &utc);
    BUG_ON(strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0);
}
