/* dry.h - a backend that computes nothing and holds nothing: it hands out addresses that nobody may touch, and its kernels note how far into each
 * block they would have written. Code that runs on it asks for exactly the memory that it asks for on a real one, so what it counts is the plan.
 * Results read back are zeros with a one in the middle (an argmax that ends no text); of a router's picks, those that cost a mixture of experts the most memory: one token for each expert, the rest for
 * the last. Tensors of another backend may be passed to its kernels; they are not looked at. */
#ifndef HONE_DRY_H
#define HONE_DRY_H

#include "tensor/backend.h"

Backend *backend_dry_open(void);

typedef struct DryBytes {
    size_t asked, asked_high;         /* of blocks handed out and not given back, and the most at one time */
    size_t resident, resident_high;   /* of those, in pages that kernels would have written */
} DryBytes;
DryBytes backend_dry_bytes(const Backend *be);
void     backend_dry_restart(Backend *be);        /* the marks begin again from what is held now */
size_t   backend_dry_pages(size_t block, size_t used); /* bytes of memory that the first `used` of a block of the cpu backend stand in */

#endif
