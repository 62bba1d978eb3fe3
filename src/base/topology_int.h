/* topology_int.h - the answer of topology.h with all that it rests on; for topology.c and the tests, which make other machines of it. */
#ifndef HONE_TOPOLOGY_INT_H
#define HONE_TOPOLOGY_INT_H

#include "base/topology.h"

#include <hwloc.h>
#include <sched.h>

typedef struct Places {
    Topology  is;
    cpu_set_t core[CPU_SETSIZE];    /* [physical cores] the hardware threads of each that the mask allows */
    int       node[CPU_SETSIZE];    /* [physical cores] number of the memory node beside it, as the system counts; -1: none is known */
    hwloc_topology_t tree;          /* NULL where is.nodes is 1 */
    hwloc_bitmap_t   nodes;         /* those of `node`; NULL as well */
} Places;

/* Under a mask of hardware threads and a quota of cores (0: none). hwloc's own variables (HWLOC_SYNTHETIC, HWLOC_XMLFILE) may name another machine. */
void places_find(Places *p, const cpu_set_t *mask, int quota);
void places_drop(Places *p);
/* Where thread i of n stays beside its node; false: anywhere. */
bool places_beside(const Places *p, int i, int n, cpu_set_t *units);
int  places_spread(const Places *p, void *block, size_t nbytes);  /* 0, or what hwloc says when the system refuses */

#endif
