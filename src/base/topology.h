/* topology.h - which cores this process may use: what the machine has, less what a cpuset, a mask (taskset) or a container's quota takes away; and beside
 * which memory they stand, where a machine has several memory nodes (sockets, or parts of one). Found once, at the first question. To find more (caches):
 * a field here, its lines in topology.c, which alone sees hwloc (with topology_int.h, for its tests).
 *
 * On several nodes: threads stay beside one node each, evenly shared out, and large blocks lie on all of these nodes in turn, page by page, since every
 * thread reads every block and which thread takes a piece of work is not fixed. What each thread alone uses lies where it first writes. Mapped files are left
 * alone. On one node none of this happens. Nothing of it changes a result, and a system that refuses (a container may) changes nothing but speed. */
#ifndef HONE_TOPOLOGY_H
#define HONE_TOPOLOGY_H

#include "base/base.h"

typedef struct Topology {
    int cores;       /* to compute on: physical cores, and no more than the quota allows; at least 1 */
    int units;       /* hardware threads; at least cores */
    bool whole;      /* no quota: cores are all physical cores of the mask */
    int nodes;       /* memory nodes beside these cores; 1 where that is not known */
} Topology;

const Topology *topology(void);
/* Keeps the calling thread on core number i (0 .. cores - 1). */
void topology_stay(int i);
/* Keeps the calling thread, number i of n, beside a memory node: threads are shared out as the cores are. With one node, or a quota: nothing. */
void topology_stay_beside(int i, int n);
/* A block not written to yet: its pages will lie on all nodes in turn. With one node: nothing. */
void topology_spread(void *p, size_t nbytes);

#endif
