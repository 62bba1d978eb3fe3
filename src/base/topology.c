/* topology.c - see topology.h. hwloc tells hardware threads from cores; without its answer every thread of the mask counts as a core. */
#include "base/topology.h"

#include <hwloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static Topology found;
static cpu_set_t core[CPU_SETSIZE]; /* [physical cores] the hardware threads of each that the mask allows */

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

/* Cores of the machine, each cut to the mask; those with nothing left are not counted. */
static int allowed_cores(const cpu_set_t *mask)
{
    hwloc_topology_t t;
    int n = 0;
    if (hwloc_topology_init(&t))
        return 0;
    hwloc_topology_set_all_types_filter(t, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(t, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (!hwloc_topology_load(t))
        for (hwloc_obj_t o = NULL; n < CPU_SETSIZE && (o = hwloc_get_next_obj_by_type(t, HWLOC_OBJ_CORE, o));) {
            CPU_ZERO(&core[n]);
            for (size_t i = 0; i < CPU_SETSIZE; i++)
                if (CPU_ISSET(i, mask) && hwloc_bitmap_isset(o->cpuset, (unsigned)i))
                    CPU_SET(i, &core[n]);
            n += CPU_COUNT(&core[n]) > 0;
        }
    hwloc_topology_destroy(t);
    return n;
}

static void find(void)
{
    cpu_set_t mask;
    CPU_ZERO(&mask);
    if (sched_getaffinity(0, sizeof mask, &mask)) /* more processors than a cpu_set_t holds: it takes the first ones */
        for (long i = 0; i < MAX(MIN(sysconf(_SC_NPROCESSORS_ONLN), CPU_SETSIZE), 1); i++)
            CPU_SET((size_t)i, &mask);
    int quota = quota_cores(), cores = allowed_cores(&mask);
    for (size_t i = 0; !cores && i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &mask)) {
            CPU_ZERO(&core[found.units]);
            CPU_SET(i, &core[found.units++]);
        }
    found.units = MAX(CPU_COUNT(&mask), 1);
    found.cores = cores ? cores : found.units;
    found.whole = !quota || quota >= found.cores;
    if (!found.whole)
        found.cores = quota;
}

const Topology *topology(void)
{
    pthread_once(&once, find);
    return &found;
}

void topology_stay(int i)
{
    BUG_ON(i < 0 || i >= topology()->cores);
    pthread_setaffinity_np(pthread_self(), sizeof core[i], &core[i]);
}
