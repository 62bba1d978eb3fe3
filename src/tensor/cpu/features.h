/* features.h - which instruction sets a processor and its system offer, from the words of CPUID and XGETBV. Pure: what is asked comes from the caller, so
 * that tests can be any machine. Sources: Intel SDM volume 1, chapters 13 (XSAVE) and 18 (AMX), volume 2, CPUID. */
#ifndef HONE_CPU_FEATURES_H
#define HONE_CPU_FEATURES_H

#include "base/base.h"

typedef enum { SET_BASE, SET_AVX2, SET_AVX512, SET_AVX512VNNI, SET_AVX512BF16, SET_AMXBF16, SET_COUNT } CpuSet;

typedef struct CpuAsk {
    void     (*cpuid)(void *machine, uint32_t leaf, uint32_t sub, uint32_t r[4]); /* eax, ebx, ecx, edx */
    uint64_t (*xcr0)(void *machine);   /* called only where CPUID allows it: elsewhere the instruction does not exist */
    void      *machine;
} CpuAsk;

unsigned features_of(const CpuAsk *ask);  /* bit CpuSet of each set that may run; SET_BASE always */
unsigned features_here(void);             /* of this machine; the tiles of AMX need the system's permission besides: amx_refused() */

#endif
