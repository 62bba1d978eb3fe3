/* thread.h - a fixed pool and parallel_for. Work is divided into `n` numbered pieces by the caller; which thread runs a piece is not fixed,
 * so a piece must not depend on it: results are the same for any number of threads as long as pieces write disjoint places. */
#ifndef HONE_THREAD_H
#define HONE_THREAD_H

#include "base/base.h"

typedef struct Pool Pool;
typedef void (*PoolFn)(void *ctx, int64_t piece, int worker); /* worker: 0..threads-1, for scratch memory */

Pool *pool_new(int threads);               /* threads >= 1, the calling thread included; 0: all usable cores, not hyperthreads */
void  pool_free(Pool *p);
int   pool_threads(const Pool *p);
void  parallel_for(Pool *p, int64_t n, PoolFn fn, void *ctx); /* returns when all n pieces are done; n < 2^31; not re-entrant; p NULL runs in place */

/* One thing done beside the rest, on a thread of its own that no signal reaches. Where no thread is to be had it is done at once: the same, but waited for. */
typedef struct Beside Beside;
Beside *beside_start(void (*fn)(void *ctx), void *ctx);
void    beside_join(Beside *b);            /* waits for its end and frees it; NULL is fine */

int   thread_cores(void);                  /* cores this process may use: topology.h */

#endif
