/* topology.h - which cores this process may use: what the machine has, less what a cpuset, a mask (taskset) or a container's quota takes away.
 * Found once, at the first question. To find more (caches, memory nodes): a field here, its lines in topology.c, the only file that sees hwloc. */
#ifndef HONE_TOPOLOGY_H
#define HONE_TOPOLOGY_H

#include "base/base.h"

typedef struct Topology {
    int cores;       /* to compute on: physical cores, and no more than the quota allows; at least 1 */
    int units;       /* hardware threads; at least cores */
    bool whole;      /* no quota: cores are all physical cores of the mask */
} Topology;

const Topology *topology(void);
/* Keeps the calling thread on core number i (0 .. cores - 1). A refusal changes nothing but speed. */
void topology_stay(int i);

#endif
