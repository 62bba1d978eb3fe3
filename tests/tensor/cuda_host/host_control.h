/* host_control.h - what a test may set and ask of the stand-in for a card (cuda_host.cpp): which cards it shows, how much memory they have, which call fails, in what
 * order the threads of a block take their turns; and afterwards: faults, leaks, which kernels ran. Readable by C and C++. */
#ifndef HONE_TEST_HOST_CONTROL_H
#define HONE_TEST_HOST_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The order in which threads and blocks take their turns; results must not depend on it. Shuffled: another one in every sweep, from a fixed seed. */
typedef enum { HOST_FORWARD, HOST_REVERSE, HOST_SHUFFLED, HOST_ORDERS } HostOrder;

/* How streams keep pace with each other, within what events allow. Late: nothing runs before something asks for it, and then only what that waits for. First and others early: the first
 * stream, or all but it, run as soon as they may, the rest late. Any: by chance, from the seed. What is not ordered by an event shows in one of them. */
typedef enum { HOST_LATE, HOST_FIRST_EARLY, HOST_OTHERS_EARLY, HOST_ANY, HOST_PACES } HostPace;

typedef struct HostCuda {
    int         devices;        /* cards shown; -1: none, 0: 1 */
    int         capability;     /* of each: 80, 86, 89, 90 ...; 0: 90 */
    int         driver;         /* newest runtime that the driver serves, 13000; -1: no driver; 0: that of the build */
    size_t      memory;         /* bytes of each card; 0: 4 GiB */
    HostOrder   order;
    HostPace    pace;
    unsigned    seed;           /* of what goes by chance */
    const char *fail_call;      /* a runtime function ("cudaMalloc"), "launch" or a part of a kernel's name ("kernel rope"), which then fails while it runs; NULL: none */
    int         fail_nth;       /* the n-th such call fails, counted from 1 */
    int         fail_code;      /* cudaError_t */
} HostCuda;

/* Takes effect at once; counters of calls and the fault begin again. NULL: the defaults; HONE_CUDA_HOST_ORDER (forward, reverse, shuffled) is the default order. Nothing
 * may be allocated at that time but what an earlier failure left, which is forgotten. */
void        host_cuda_set(const HostCuda *h);
void        host_cuda_order(HostOrder order);      /* of what runs from now on */
const char *host_cuda_fault(void);                 /* the first broken rule since host_cuda_set: kernel, place, what; NULL: none */
int         host_cuda_leaks(void);                 /* device blocks, pinned blocks, streams and events that are still there; named on stderr */
long        host_cuda_calls(const char *call);     /* how often since host_cuda_set; "launch": kernels started */
bool        host_cuda_ran(const char *kernel);     /* whether a kernel of that name, as the launch spells it up to '<', has run since the program began */
size_t      host_cuda_used(void);                  /* bytes of device memory allocated now */
void        host_cuda_advance(void);               /* runs all that waits on any stream: the card is as fast as can be */

#ifdef __cplusplus
}
#endif
#endif
