/* nvml.h - how a card is doing: memory, power, load, temperature, what holds its clock down, energy. Asked of the driver's own library (NVML), which is looked for when the
 * program runs; without it, or where a card does not say something, that stays unknown. Nothing here changes a card.
 * To show another number: a field of NvmlState, a function in nvml_call (nvml.c), its line in nvml_read. */
#ifndef HONE_NVML_H
#define HONE_NVML_H

#include "base/base.h"
#include "base/str.h"

typedef struct Nvml Nvml;

typedef struct NvmlState {
    double   memory_used, memory_total; /* bytes, of all programs; NaN: unknown, here and below */
    double   watts, joules;             /* joules: since nvml_open; as the card counts them, else watts times the time between two looks */
    double   busy, celsius;             /* busy: percent of the last moment in which a kernel ran */
    double   megahertz;                 /* of the multiprocessors */
    uint64_t held_down;                 /* why the clock is below what it could be: bits as nvml_reasons names them */
} NvmlState;

/* bus: PCI address of a card, as Backend.bus; library: NULL, or another file than the driver's, for tests. NULL: no library, or it does not know the card. */
Nvml *nvml_open(const char *bus, const char *library);
void  nvml_read(Nvml *n, NvmlState *s);                 /* n NULL: all unknown */
void  nvml_close(Nvml *n);                              /* NULL is fine */
void  nvml_reasons(StrBuf *out, uint64_t held_down);    /* "power cap, heat"; idling and settings that somebody chose are no reason to tell */

#endif
