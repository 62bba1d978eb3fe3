/* topology.c - see topology.h. hwloc tells hardware threads from cores and which memory is near; without its answer every thread of the mask counts as
 * a core, and memory as one. */
#include "base/topology_int.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static Places found;

/* Appends the whole numbers at the beginning of a file to v; how many there are then, at most 2. */
static int read_numbers(const char *path, long long v[2], int n)
{
    FILE *f = fopen(path, "re");
    while (f && n < 2 && fscanf(f, "%lld", &v[n]) == 1)
        n++;
    if (f)
        fclose(f);
    return n;
}

/* Cores that the container may use. Version 2 of cgroups: "QUOTA PERIOD" in microseconds, or "max PERIOD"; version 1: a file for each, -1 for no limit.
 * 0: no limit known. */
static int quota_cores(void)
{
    long long v[2]; /* quota, period */
    int       n = read_numbers("/sys/fs/cgroup/cpu.max", v, 0);
    if (n == 0)
        n = read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_period_us", v, read_numbers("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", v, 0));
    return n == 2 && v[0] > 0 && v[1] > 0 ? (int)MAX(MIN(v[0] / v[1], (long long)CPU_SETSIZE), 1) : 0;
}

/* Cores of the machine, each cut to the mask; those with nothing left are not counted. Beside a core may be several nodes of different kinds; the system
 * counts plain memory first. */
static int find_cores(Places *p, const cpu_set_t *mask)
{
    int n = 0;
    for (hwloc_obj_t o = NULL; n < CPU_SETSIZE && (o = hwloc_get_next_obj_by_type(p->tree, HWLOC_OBJ_CORE, o));) {
        CPU_ZERO(&p->core[n]);
        for (size_t i = 0; i < CPU_SETSIZE; i++)
            if (CPU_ISSET(i, mask) && hwloc_bitmap_isset(o->cpuset, (unsigned)i))
                CPU_SET(i, &p->core[n]);
        p->node[n] = hwloc_bitmap_first(o->nodeset);
        n += CPU_COUNT(&p->core[n]) > 0;
    }
    return n;
}

/* The nodes beside the cores of the mask; where there are not at least two, or one core has none, memory counts as one. */
static void find_nodes(Places *p, int cores)
{
    bool all = true;
    p->nodes = hwloc_bitmap_alloc();
    for (int i = 0; i < cores && p->nodes; i++) {
        all &= p->node[i] >= 0;
        if (p->node[i] >= 0)
            hwloc_bitmap_set(p->nodes, (unsigned)p->node[i]);
    }
    p->is.nodes = p->nodes && all ? MAX(hwloc_bitmap_weight(p->nodes), 1) : 1;
}

static hwloc_topology_t read_tree(void)
{
    hwloc_topology_t t;
    if (hwloc_topology_init(&t))
        return NULL;
    hwloc_topology_set_all_types_filter(t, HWLOC_TYPE_FILTER_KEEP_NONE); /* memory nodes are always kept ... */
    hwloc_topology_set_type_filter(t, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE); /* ... and need something to stand in, or all stand beside all cores */
    hwloc_topology_set_type_filter(t, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (!hwloc_topology_load(t))
        return t;
    hwloc_topology_destroy(t);
    return NULL;
}

void places_drop(Places *p)
{
    if (p->tree)
        hwloc_topology_destroy(p->tree);
    hwloc_bitmap_free(p->nodes);
    p->tree = NULL;
    p->nodes = NULL;
}

void places_find(Places *p, const cpu_set_t *mask, int quota)
{
    memset(p, 0, sizeof *p);
    p->tree = read_tree();
    int cores = p->tree ? find_cores(p, mask) : 0;
    for (size_t i = 0; !cores && i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, mask)) {
            CPU_ZERO(&p->core[p->is.units]);
            p->node[p->is.units] = -1;
            CPU_SET(i, &p->core[p->is.units++]);
        }
    p->is.units = MAX(CPU_COUNT(mask), 1);
    p->is.cores = cores ? cores : p->is.units;
    find_nodes(p, p->is.cores);
    if (p->is.nodes == 1)
        places_drop(p);
    p->is.whole = !quota || quota >= p->is.cores;
    if (!p->is.whole)
        p->is.cores = quota;
}

bool places_beside(const Places *p, int i, int n, cpu_set_t *units)
{
    if (p->is.nodes == 1 || !p->is.whole)
        return false;
    const int node = p->node[(int64_t)i * p->is.cores / n];
    CPU_ZERO(units);
    for (int c = 0; c < p->is.cores; c++)
        if (p->node[c] == node)
            CPU_OR(units, units, &p->core[c]);
    return true;
}

int places_spread(const Places *p, void *block, size_t nbytes)
{
    return p->is.nodes == 1 ? 0 : hwloc_set_area_membind(p->tree, block, nbytes, p->nodes, HWLOC_MEMBIND_INTERLEAVE, HWLOC_MEMBIND_BYNODESET);
}

static void find(void)
{
    cpu_set_t mask;
    CPU_ZERO(&mask);
    if (sched_getaffinity(0, sizeof mask, &mask)) /* more processors than a cpu_set_t holds: it takes the first ones */
        for (long i = 0; i < MAX(MIN(sysconf(_SC_NPROCESSORS_ONLN), CPU_SETSIZE), 1); i++)
            CPU_SET((size_t)i, &mask);
    places_find(&found, &mask, quota_cores());
}

const Topology *topology(void)
{
    pthread_once(&once, find);
    return &found.is;
}

void topology_stay(int i)
{
    BUG_ON(i < 0 || i >= topology()->cores);
    pthread_setaffinity_np(pthread_self(), sizeof found.core[i], &found.core[i]);
}

void topology_stay_beside(int i, int n)
{
    cpu_set_t units;
    BUG_ON(i < 0 || i >= n);
    topology();
    if (places_beside(&found, i, n, &units))
        pthread_setaffinity_np(pthread_self(), sizeof units, &units);
}

void topology_spread(void *p, size_t nbytes)
{
    topology();
    places_spread(&found, p, nbytes);
}
