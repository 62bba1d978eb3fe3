/* proc_int.h - what parent (proc.c) and child (proc_child.c) agree on.
 * The child's arguments: proc_name, mode ("job" or "run"), "memory cpu wall out strict parent" as numbers, then the job's name and argument, or the
 * program's words. Descriptors: 0 what it reads, 1 its result, 2 what it says, 3 the report of its set-up (closed on exec). */
#ifndef HONE_PROC_INT_H
#define HONE_PROC_INT_H

#include "base/proc.h"

#define PROC_REPORT 3  /* descriptor */
#define PROC_FILES  32 /* descriptors a child may have */
#define PROC_EXEC   48 /* descriptor of the program that may be started; above PROC_FILES, so that no later one can take its number */

extern const char proc_name[]; /* the first argument of a child; defined beside the constructor, which this reference links in */

/* First thing on PROC_REPORT: one byte of PROC_NO_*; a sentence behind it means that the set-up failed. */
enum { PROC_NO_LANDLOCK = 1, PROC_NO_SECCOMP = 2 };

/* Before the result of a job on descriptor 1: this, then the error's text, then the result. */
typedef struct ProcHead {
    char     magic[8];
    int64_t  code;
    uint64_t text_n, out_n;
} ProcHead;
#define PROC_MAGIC "honejob1"

#endif
