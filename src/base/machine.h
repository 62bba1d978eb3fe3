/* machine.h - what this machine has and what this process takes of it: memory, disk, energy. The only file that reads /proc and /sys for them. */
#ifndef HONE_MACHINE_H
#define HONE_MACHINE_H

#include "base/base.h"

size_t  memory_held(void);                     /* bytes of this process in memory now */
size_t  memory_peak(void);                     /* and at most so far */
size_t  memory_free(void);                     /* what machine and container would still give; SIZE_MAX: they do not say */
size_t  memory_unwritten(size_t free);         /* of so much free memory, what may wait there to be written to a disk before a writer is held up */
int64_t disk_free(const char *path);           /* bytes, where path or the nearest folder above it lies; -1: unknown */
double  energy_joules(void);                   /* spent by the processors since some moment; NaN: the machine does not say, or not to us */
void    size_print(char out[32], size_t n);    /* "1.25 GiB"; from 10 on one digit less */

#endif
