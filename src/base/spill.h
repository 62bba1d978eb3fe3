/* spill.h - numbers that leave memory for a while: a file without a name, which ends with the process however that ends. Its room on the disk is taken
 * when it is opened, so that a full disk is told then and not in the middle of the work. What is put stays in the system's cache as far as there is
 * memory and goes to the disk behind the caller's back; who says early what is needed next (spill_expect) finds it there. For numbers that leave another
 * memory than the program's, a device's, the place may be plain memory instead. Main struct: Spill. */
#ifndef HONE_SPILL_H
#define HONE_SPILL_H

#include "base/err.h"

#define SPILL_DRY (-2)
typedef struct Spill {
    int      fd;                    /* -1: closed; SPILL_DRY: of a dry run, what is put and got is not looked at */
    uint64_t size;                  /* bytes of the file */
    char    *dir;                   /* where it lies, for errors */
    char    *mem;                   /* memory in place of a file; NULL: a file */
} Spill;

/* A file of nbytes in dir, or in the nearest folder above it that exists. ERR_IO with the bytes needed and free. After an error s is closed. */
int  spill_open(Spill *s, const char *dir, uint64_t nbytes, Err *e);
/* The same in memory, which is really taken now and not when it is first written to; ERR_MEM. */
int  spill_open_memory(Spill *s, uint64_t nbytes, Err *e);
/* In memory: the place of n bytes at `at`, to be written and read directly. In a file: NULL. */
void *spill_place(const Spill *s, uint64_t at, size_t n);
void spill_close(Spill *s);                                                 /* {-1} or zeroed is fine */
/* n bytes at `at`, within the size. A full, broken or shortened disk is an ERR_IO; the work then cannot go on. */
int  spill_put(Spill *s, uint64_t at, const void *p, size_t n, Err *e);
int  spill_get(const Spill *s, uint64_t at, void *p, size_t n, Err *e);
void spill_expect(const Spill *s, uint64_t at, size_t n);                   /* will be got soon: the system may begin to fetch it */

/* Seconds that the disk under dir takes for n bytes written and read past the cache, by trying; NaN where it cannot be tried. */
void spill_measure(const char *dir, size_t n, double *put, double *get);
bool spill_in_memory(const char *dir);                                      /* the files there lie in memory (tmpfs): nothing is gained by them */

#endif
