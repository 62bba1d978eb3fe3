/* spill.c - see spill.h. Invariants: the file has no name from the moment it holds a byte (O_TMPFILE; where the file system has none, unlinked at once),
 * and all blocks it will need (posix_fallocate). Reads and writes say where, so there is no position to lose. */
#include "base/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/machine.h"
#include "base/mem.h"

#define PIECE ((size_t)1 << 30)     /* bytes per call; Linux moves at most 2 GiB at once */
#define TRIED ((size_t)1 << 20)     /* bytes of memory with which a disk is measured */
#define FETCH ((size_t)128 << 10)   /* of one request to fetch: the system cuts larger ones to its read-ahead, 128 KiB where nobody changed it */

/* dir, or the nearest folder above it that exists; owned. */
static char *folder_of(const char *dir)
{
    char *path = path_absolute(dir);
    while (!file_is_dir(path) && strrchr(path, '/') > path)
        *strrchr(path, '/') = '\0';
    if (!file_is_dir(path)) {
        const bool root = *path == '/';
        free(path);
        path = path_absolute(root ? "/" : ".");
    }
    return path;
}

static int open_nameless(const char *dir)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT))
        return fd;
    char *name = path_join(dir, "spill.tmp-XXXXXX"); /* over a network there is no O_TMPFILE */
    fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    free(name);
    return fd;
}

static int no_room(const Spill *s, uint64_t nbytes, int64_t room, Err *e)
{
    char need[32], have[32] = "less";
    size_print(need, (size_t)nbytes);
    if (room >= 0)
        size_print(have, (size_t)room);
    return err_set(e, ERR_IO, "%s: %s of its disk are needed to put numbers aside, and %s are free; make room, or choose a folder on another disk", s->dir, need, have);
}

int spill_open(Spill *s, const char *dir, uint64_t nbytes, Err *e)
{
    *s = (Spill){ .fd = -1, .size = nbytes, .dir = folder_of(dir) };
    const int64_t room = disk_free(s->dir);
    int           rc = 0, why;
    if (nbytes > INT64_MAX || (room >= 0 && nbytes > (uint64_t)room)) {
        rc = no_room(s, nbytes, room, e);
    } else if ((s->fd = open_nameless(s->dir)) < 0) {
        rc = err_sys(e, "%s: no file can be made there to put numbers aside", s->dir);
    } else if (nbytes) {
        do
            why = posix_fallocate(s->fd, 0, (off_t)nbytes); /* returns the error, errno stays */
        while (why == EINTR);
        errno = why;
        if (why)
            rc = why == ENOSPC || why == EDQUOT ? no_room(s, nbytes, disk_free(s->dir), e)
                                                : err_sys(e, "%s: no file of %llu bytes can be made there to put numbers aside", s->dir, (unsigned long long)nbytes);
    }
    if (rc)
        spill_close(s);
    return rc;
}

int spill_open_memory(Spill *s, uint64_t nbytes, Err *e)
{
    char need[32];
    *s = (Spill){ .fd = -1, .size = nbytes };
    void *p = nbytes && nbytes <= SIZE_MAX ? mmap(NULL, (size_t)nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) : MAP_FAILED;
    if (p == MAP_FAILED && nbytes) {
        size_print(need, (size_t)nbytes);
        return err_set(e, ERR_MEM, "%s of memory are needed to put numbers aside, and the system does not give them; close other programs", need);
    }
    s->mem = nbytes ? p : NULL;
    return 0;
}

void *spill_place(const Spill *s, uint64_t at, size_t n)
{
    BUG_ON(s->mem && (n > s->size || at > s->size - n));
    return s->mem ? s->mem + at : NULL;
}

void spill_close(Spill *s)
{
    if (s->dir && s->fd >= 0)
        close(s->fd);
    if (s->mem)
        munmap(s->mem, (size_t)s->size);
    free(s->dir);
    *s = (Spill){ .fd = -1 };
}

int spill_put(Spill *s, uint64_t at, const void *p, size_t n, Err *e)
{
    BUG_ON(s->fd != SPILL_DRY && ((s->fd < 0 && !s->mem) || at + n > s->size));
    if (s->mem && n)
        memcpy(spill_place(s, at, n), p, n);
    for (size_t done = 0; s->fd >= 0 && done < n;) {
        const ssize_t put = pwrite(s->fd, (const char *)p + done, MIN(n - done, PIECE), (off_t)(at + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            errno = put ? errno : ENOSPC; /* no progress and no reason */
            return err_sys(e, "%s: numbers cannot be put aside on its disk", s->dir);
        }
        done += (size_t)put;
    }
    return 0;
}

int spill_get(const Spill *s, uint64_t at, void *p, size_t n, Err *e)
{
    BUG_ON(s->fd != SPILL_DRY && ((s->fd < 0 && !s->mem) || at + n > s->size));
    if (s->mem && n)
        memcpy(p, spill_place(s, at, n), n);
    for (size_t done = 0; s->fd >= 0 && done < n;) {
        const ssize_t got = pread(s->fd, (char *)p + done, MIN(n - done, PIECE), (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(e, "%s: numbers put aside on its disk cannot be read back", s->dir);
        if (got == 0)
            return err_set(e, ERR_IO, "%s: of numbers put aside on its disk only %zu of %zu bytes are there; the disk or its driver lost them", s->dir, done, n);
        done += (size_t)got;
    }
    return 0;
}

void spill_expect(const Spill *s, uint64_t at, size_t n)
{
    for (size_t done = 0; s->fd >= 0 && done < n; done += FETCH)
        posix_fadvise(s->fd, (off_t)(at + done), (off_t)MIN(FETCH, n - done), POSIX_FADV_WILLNEED); /* a hint */
}

void spill_measure(const char *dir, size_t n, double *put, double *get)
{
    Spill s;
    char *buf = mem_alloc(TRIED);
    *put = *get = NAN;
    memset(buf, 1, TRIED);
    if (!spill_open(&s, dir, n, NULL)) {
        double started = clock_seconds();
        bool   done = true;
        for (size_t at = 0; at < n && done; at += TRIED)
            done = !spill_put(&s, at, buf, MIN(TRIED, n - at), NULL);
        if (done && !fdatasync(s.fd))
            *put = clock_seconds() - started;
        posix_fadvise(s.fd, 0, (off_t)n, POSIX_FADV_DONTNEED);
        started = clock_seconds();
        for (size_t at = 0; at < n && done; at += TRIED)
            done = !spill_get(&s, at, buf, MIN(TRIED, n - at), NULL);
        if (done)
            *get = clock_seconds() - started;
        spill_close(&s);
    }
    free(buf);
}

bool spill_in_memory(const char *dir)
{
    struct statfs f;
    char         *path = folder_of(dir);
    const bool    known = statfs(path, &f) == 0;
    free(path);
    return known && (f.f_type == TMPFS_MAGIC || f.f_type == RAMFS_MAGIC);
}
