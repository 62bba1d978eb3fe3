/* machine.c - see machine.h. Numbers in files of the kernel; a file that is not there is an answer too. */
#include "base/machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/mem.h"

/* The number behind `key` (NULL: the first of the file); -1: none. */
static double number_in(const char *path, const char *key)
{
    char   line[512];
    double v = -1;
    FILE  *f = fopen(path, "r");
    while (f && v < 0 && fgets(line, sizeof line, f)) {
        const size_t n = key ? strlen(key) : 0;
        if (n && strncmp(line, key, n) != 0)
            continue;
        char        *end;
        const double got = strtod(line + n, &end);
        if (end != line + n)
            v = got;
    }
    if (f)
        fclose(f);
    return v;
}

size_t memory_held(void)
{
    const double exact = number_in("/proc/self/smaps_rollup", "Rss:"), near = exact < 0 ? number_in("/proc/self/status", "VmRSS:") : exact;
    return near < 0 ? 0 : (size_t)near << 10;
}

size_t memory_peak(void)
{
    const double kib = number_in("/proc/self/status", "VmHWM:");
    return kib < 0 ? 0 : (size_t)kib << 10;
}

/* What a control group still gives. Its page cache is given up under pressure, as MemAvailable counts it. */
static double group_free(const char *dir, const char *limit, const char *used)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, limit);
    const double most = number_in(path, NULL); /* "max" is no number */
    snprintf(path, sizeof path, "%s/%s", dir, used);
    const double now = number_in(path, NULL);
    snprintf(path, sizeof path, "%s/memory.stat", dir);
    const double cache = number_in(path, "inactive_file ");
    return most < 0 || now < 0 ? INFINITY : MAX(most - now + MAX(cache, 0), 0);
}

size_t memory_free(void)
{
    const double machine = number_in("/proc/meminfo", "MemAvailable:");
    double       least = machine < 0 ? INFINITY : machine * 1024;
    char         line[512], dir[768];
    FILE        *f = fopen("/proc/self/cgroup", "r");
    while (f && fgets(line, sizeof line, f)) { /* "4:memory:/path" (version 1) or "0::/path" */
        char *path = strrchr(line, ':');
        line[strcspn(line, "\n")] = '\0';
        if (!path++)
            continue;
        const bool one = strstr(line, ":memory:") != NULL, two = strncmp(line, "0::", 3) == 0;
        for (int inside = 0; inside < 2 && (one || two); inside++) { /* in a container its own group is often mounted as the root */
            snprintf(dir, sizeof dir, "/sys/fs/cgroup%s%s", one ? "/memory" : "", inside ? "" : path);
            least = MIN(least, one ? group_free(dir, "memory.limit_in_bytes", "memory.usage_in_bytes") : group_free(dir, "memory.max", "memory.current"));
        }
    }
    if (f)
        fclose(f);
    return isinf(least) ? SIZE_MAX : (size_t)least;
}

size_t memory_unwritten(size_t free)
{
    const double bytes = number_in("/proc/sys/vm/dirty_bytes", NULL), percent = number_in("/proc/sys/vm/dirty_ratio", NULL);
    return bytes > 0 ? (size_t)MIN(bytes, (double)free) : (size_t)((double)free * (percent < 0 ? 20 : percent) / 100); /* 20: the kernel's own */
}

int64_t disk_free(const char *path)
{
    struct statvfs s;
    char          *p = mem_strdup(path);
    int            rc = statvfs(p, &s);
    while (rc != 0 && *p && strcmp(p, "/") != 0 && strcmp(p, ".") != 0) {
        char *slash = strrchr(p, '/');
        if (!slash)
            snprintf(p, strlen(p) + 1, "."); /* p has at least one letter */
        else
            slash[slash == p] = '\0';
        rc = statvfs(p, &s);
    }
    free(p);
    return rc ? -1 : (int64_t)(s.f_bavail * s.f_frsize);
}

double energy_joules(void)
{
    double sum = 0;
    int    n = 0;
    for (int i = 0; i < 64; i++) { /* intel-rapl:N is a whole package, on AMD as well; its parts have a second number */
        char path[96];
        snprintf(path, sizeof path, "/sys/class/powercap/intel-rapl:%d/energy_uj", i);
        const double uj = number_in(path, NULL);
        if (uj >= 0) {
            sum += uj * 1e-6;
            n++;
        }
    }
    return n ? sum : NAN;
}

void size_print(char out[32], size_t n)
{
    static const char *const unit[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
    double v = (double)n;
    size_t u = 0;
    while (v >= 1000 && u + 1 < ARRAY_LEN(unit)) {
        v /= 1024;
        u++;
    }
    snprintf(out, 32, "%.*f %s", u == 0 || v >= 100 ? 0 : v >= 10 ? 1 : 2, v, unit[u]);
}
