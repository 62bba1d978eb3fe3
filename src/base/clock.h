/* clock.h - monotonic seconds for durations, wall time for records. */
#ifndef HONE_CLOCK_H
#define HONE_CLOCK_H

#include "base/base.h"

double clock_seconds(void);                /* monotonic */
void   clock_iso8601(char out[32]);        /* "2026-11-22T19:42:53Z" */

#endif
