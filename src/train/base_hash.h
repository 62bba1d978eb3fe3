/* base_hash.h - SHA-256 of the files a run stands on, beside everything else: a model of gigabytes takes seconds, and what stands in them is needed
 * only before the first checkpoint gets its name. */
#ifndef HONE_BASE_HASH_H
#define HONE_BASE_HASH_H

#include <stdatomic.h>

#include "base/json.h"
#include "base/thread.h"

typedef struct BaseHash {           /* zeroed: nothing is being hashed */
    const char *model, *adapter;    /* borrowed */
    Beside     *thread;
    atomic_bool stop;
    Json       *hash;               /* and rc, err: the thread's, until it is joined */
    int         rc;
    Err         err;
} BaseHash;

void base_hash_begin(BaseHash *b, const char *model, const char *adapter); /* adapter: the one gone on from; NULL or "": none */
/* Waits for {"model.safetensors": hex, ..., "init-adapter/adapter_model.safetensors": hex}; *out is the caller's. Once after each begin. */
int  base_hash_end(BaseHash *b, Json **out, Err *e);
void base_hash_drop(BaseHash *b);   /* without waiting for the rest; fine at any time */

#endif
