/* file.c - paths and bytes: reading, mapping, listing, and writes that survive a crash.
 * Invariants: a name without ".tmp-" or ".old-" is complete at any moment; every descriptor is closed on exec; nothing here follows a link
 * while deleting or flushing a tree; each failed call becomes one sentence with the path, made by file_fail.
 * How a thing appears: it grows under PATH.tmp-PID; its bytes are flushed (fsync) before the rename, because some file systems would keep
 * the new name and lose the content; the folder is flushed after it. A file replaces its predecessor by rename(). A folder swaps names with
 * it (RENAME_EXCHANGE), and where the file system cannot, the old one steps aside as PATH.old-PID first. What a dead process left behind is
 * recognised by its process number: .tmp- is removed, .old- is removed or, when PATH itself is missing, put back.
 * All bytes leave through file_send, where tests make the disk full (file_test.h). */
#include "base/file.h"
#include "base/file_test.h"
#include "base/mem.h"
#include "base/vec.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_BUFFER   ((size_t)256 << 10) /* bytes a FileOut gathers before it writes */
#define FILE_DEPTH    64                  /* deepest folder tree that is removed or flushed */
#define FILE_FETCH    ((size_t)128 << 10) /* bytes of one request to fetch: Linux cuts larger ones to its read-ahead, 128 KiB where nobody changed it */
#define FILE_READ_MAX ((size_t)1 << 30)   /* bytes per read or write call; Linux moves at most 2 GiB at once */

/* ---- errors ---- */

/* "PATH: cannot <what> it, <why and what to do>". A wrong path is the user's input; everything else is the system refusing. */
static int file_fail(Err *e, const char *path, const char *what)
{
    static const struct { int number, code; const char *why; } reasons[] = {
        { ENOENT,       ERR_INPUT, "there is no such file or folder" },
        { ENOTDIR,      ERR_INPUT, "a part of the path is a file, not a folder" },
        { EISDIR,       ERR_INPUT, "it is a folder, and a file was expected" },
        { ENAMETOOLONG, ERR_INPUT, "the path is too long" },
        { ELOOP,        ERR_INPUT, "the links in it go round in circles" },
        { ENOSPC,       ERR_IO,    "the disk is full; free some space and run again" },
        { EDQUOT,       ERR_IO,    "your disk quota is used up; free some space and run again" },
        { EFBIG,        ERR_IO,    "the file would be larger than the system allows (see ulimit -f)" },
        { EACCES,       ERR_IO,    "permission was denied; check its owner and mode and those of its folder" },
        { EPERM,        ERR_IO,    "the system does not permit it" },
        { EROFS,        ERR_IO,    "the file system is read-only" },
        { EMFILE,       ERR_IO,    "this process has too many open files (see ulimit -n)" },
    };
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].number == errno)
            return err_set(e, reasons[i].code, "%s: cannot %s it: %s", path, what, reasons[i].why);
    return err_sys(e, "%s: cannot %s it", path, what);
}

/* ---- system calls that a signal may interrupt, and the full disk of the tests ---- */

static _Atomic int64_t send_budget = -1; /* bytes until the disk is "full"; negative: no limit */

void file_test_fail_after(int64_t nbytes)
{
    atomic_store(&send_budget, nbytes < 0 ? -1 : nbytes);
}

static ssize_t file_send_some(int fd, const char *p, size_t n)
{
    int64_t left = atomic_load(&send_budget);
    if (left == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (left > 0 && (int64_t)n > left)
        n = (size_t)left;
    ssize_t sent = write(fd, p, MIN(n, FILE_READ_MAX));
    if (left > 0 && sent > 0)
        atomic_fetch_sub(&send_budget, sent);
    return sent;
}

/* Writes all n bytes; returns false with errno set. */
static bool file_send(int fd, const void *p, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t sent = file_send_some(fd, (const char *)p + done, n - done);
        if (sent == 0)
            errno = ENOSPC; /* no progress and no reason: treat it as the one reason that fits, instead of turning forever */
        if (sent > 0)
            done += (size_t)sent;
        else if (sent == 0 || errno != EINTR)
            return false;
    }
    return true;
}

static int file_open(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* fsync; file systems that cannot flush a folder say EINVAL, and then have nothing to flush. */
static bool file_flush(int fd)
{
    int rc;
    do
        rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0 || errno == EINVAL;
}

static int path_flush(const char *path, bool is_dir, Err *e)
{
    int fd = file_open(path, O_RDONLY | O_NOFOLLOW | (is_dir ? O_DIRECTORY : 0));
    bool ok = fd >= 0 && file_flush(fd);
    int rc = ok ? 0 : file_fail(e, path, "flush");
    if (fd >= 0)
        close(fd);
    return rc;
}

/* ---- names ---- */

char *path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);
    StrBuf path = { 0 };
    strbuf_add(&path, dir, n);
    if (n && dir[n - 1] != '/')
        strbuf_addc(&path, '/');
    strbuf_addz(&path, name);
    return strbuf_take(&path);
}

char *path_absolute(const char *path)
{
    char *real = realpath(path, NULL);
    return real ? real : mem_strdup(path);
}

const char *path_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The folder that holds `path`, owned. */
static char *path_parent(const char *path)
{
    size_t n = (size_t)(path_base(path) - path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n ? mem_strndup(path, n) : mem_strdup(".");
}

/* `path` without slashes at its end, owned: a name to which an ending can be added. */
static char *path_trim(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    return mem_strndup(path, n);
}

static char *path_with_pid(const char *path, const char *mark)
{
    StrBuf name = { 0 };
    strbuf_addf(&name, "%s%s%ld", path, mark, (long)getpid());
    return strbuf_take(&name);
}

/* ---- asking and reading ---- */

bool file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool file_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Opens a file for reading; folders are refused here, because read() would say it later and worse. */
static int file_open_read(int *fd, struct stat *st, const char *path, Err *e)
{
    *fd = file_open(path, O_RDONLY);
    if (*fd < 0)
        return file_fail(e, path, "open");
    int rc = 0;
    if (fstat(*fd, st) != 0) {
        rc = file_fail(e, path, "look at");
    } else if (S_ISDIR(st->st_mode)) {
        errno = EISDIR;
        rc = file_fail(e, path, "read");
    }
    if (rc) {
        close(*fd);
        *fd = -1;
    }
    return rc;
}

int file_size(const char *path, uint64_t *size, Err *e)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return file_fail(e, path, "look at");
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return file_fail(e, path, "measure");
    }
    *size = (uint64_t)st.st_size;
    return 0;
}

static int file_too_large(Err *e, const char *path)
{
    return err_set(e, ERR_INPUT, "%s: larger than %zu MiB, the most that is read into memory at once", path, FILE_TEXT_MAX >> 20);
}

int file_read_text(const char *path, char **text, size_t *n, Err *e)
{
    int fd;
    struct stat st;
    *text = NULL;
    *n = 0;
    int rc = file_open_read(&fd, &st, path, e);
    if (rc)
        return rc;
    char *p = NULL;
    size_t used = 0, cap = 0;
    if ((uint64_t)st.st_size > FILE_TEXT_MAX)
        rc = file_too_large(e, path);
    while (!rc) {
        if (used + 1 >= cap) { /* the size is only a hint: pipes and /proc say 0. One byte more than it finds the end without growing */
            cap = cap ? 2 * cap : MAX((size_t)st.st_size + 2, (size_t)4096);
            p = mem_realloc(p, cap, 1);
        }
        ssize_t got = read(fd, p + used, MIN(cap - used - 1, FILE_READ_MAX));
        if (got == 0)
            break;
        if (got > 0)
            used += (size_t)got;
        else if (errno != EINTR)
            rc = file_fail(e, path, "read");
        if (used > FILE_TEXT_MAX)
            rc = file_too_large(e, path);
    }
    close(fd);
    if (rc) {
        free(p);
        return rc;
    }
    p[used] = '\0';
    *text = p;
    *n = used;
    return 0;
}

int file_map(FileMap *m, const char *path, Err *e)
{
    int fd;
    struct stat st;
    *m = (FileMap){ 0 };
    int rc = file_open_read(&fd, &st, path, e);
    if (rc)
        return rc;
    if (!S_ISREG(st.st_mode)) {
        rc = err_set(e, ERR_INPUT, "%s: not a plain file; it has to be one to be mapped into memory", path);
    } else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            rc = file_fail(e, path, "map");
        else
            *m = (FileMap){ p, (size_t)st.st_size };
    }
    close(fd);
    return rc;
}

void file_expect(const void *p, size_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)p / page * page, end = (uintptr_t)p + n;
    for (uintptr_t at = first; at < end; at += FILE_FETCH)
        madvise((void *)at, MIN(FILE_FETCH, end - at), MADV_WILLNEED); /* a hint */
}

void file_forget(const void *p, size_t n)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)p / page * page, end = ((uintptr_t)p + n + page - 1) / page * page;
    if (n)
        madvise((void *)first, end - first, MADV_DONTNEED); /* a hint, and the mapping is read-only: nothing can be lost */
}

void file_unmap(FileMap *m)
{
    if (m->p)
        munmap((void *)(uintptr_t)m->p, m->n);
    *m = (FileMap){ 0 };
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int file_list(FileList *l, const char *dir, Err *e)
{
    *l = (FileList){ 0 };
    DIR *d = opendir(dir);
    if (!d)
        return file_fail(e, dir, "list");
    VEC(char *) names = { 0 };
    struct dirent *entry;
    while (errno = 0, (entry = readdir(d)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            *vec_push(&names) = mem_strdup(entry->d_name);
    int rc = errno ? file_fail(e, dir, "list") : 0;
    closedir(d);
    l->name = names.p;
    l->n = names.n;
    if (rc)
        file_list_release(l);
    else if (l->n)
        qsort(l->name, l->n, sizeof *l->name, compare_names);
    return rc;
}

void file_list_release(FileList *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->name[i]);
    free(l->name);
    *l = (FileList){ 0 };
}

/* ---- folders ---- */

static int dir_blocked(const char *path, Err *e)
{
    return err_set(e, ERR_INPUT, "%s: a file is in the way of the folder to be made there", path);
}

/* Makes the names in the folder of `path` durable. */
static int parent_flush(const char *path, Err *e)
{
    char *parent = path_parent(path);
    int rc = path_flush(parent, true, e);
    free(parent);
    return rc;
}

static int dir_make_one(const char *path, Err *e)
{
    if (mkdir(path, 0777) == 0)
        return parent_flush(path, e);
    if (errno != EEXIST)
        return file_fail(e, path, "make");
    return file_is_dir(path) ? 0 : dir_blocked(path, e);
}

int dir_make(const char *path, Err *e)
{
    char *part = path_trim(path);
    int rc = 0;
    for (char *p = part; !rc && *p; p++)
        if (*p == '/' && p > part && p[-1] != '/') {
            *p = '\0';
            if (!file_is_dir(part))
                rc = dir_make_one(part, e);
            *p = '/';
        }
    if (!rc)
        rc = dir_make_one(part, e);
    free(part);
    return rc;
}

typedef int (*TreeFn)(const char *path, const struct stat *st, Err *e);

/* Calls fn for everything in and below `path`, content before its folder. Links are visited, never followed. */
static int tree_walk(const char *path, TreeFn fn, int depth, Err *e)
{
    struct stat st;
    FileList list = { 0 };
    int rc = 0;
    if (lstat(path, &st) != 0)
        return file_fail(e, path, "look at");
    if (S_ISDIR(st.st_mode)) {
        if (depth >= FILE_DEPTH)
            return err_set(e, ERR_INPUT, "%s: folders are nested more than %d levels deep", path, FILE_DEPTH);
        rc = file_list(&list, path, e);
        for (size_t i = 0; !rc && i < list.n; i++) {
            char *child = path_join(path, list.name[i]);
            rc = tree_walk(child, fn, depth + 1, e);
            free(child);
        }
        file_list_release(&list);
    }
    return rc ? rc : fn(path, &st, e);
}

static int tree_remove(const char *path, const struct stat *st, Err *e)
{
    return (S_ISDIR(st->st_mode) ? rmdir(path) : unlink(path)) == 0 ? 0 : file_fail(e, path, "remove");
}

static int tree_flush(const char *path, const struct stat *st, Err *e)
{
    if (S_ISDIR(st->st_mode) || S_ISREG(st->st_mode))
        return path_flush(path, S_ISDIR(st->st_mode), e);
    return 0;
}

int dir_remove(const char *path, Err *e)
{
    struct stat st;
    if (lstat(path, &st) != 0 && errno == ENOENT)
        return 0;
    return tree_walk(path, tree_remove, 0, e);
}

/* ---- leftovers ---- */

/* The process number behind `stem` + `mark` in a name, or 0. */
static long leftover_pid(const char *name, const char *stem, const char *mark)
{
    size_t ns = strlen(stem), nm = strlen(mark);
    if (strncmp(name, stem, ns) != 0 || strncmp(name + ns, mark, nm) != 0)
        return 0;
    const char *digits = name + ns + nm;
    size_t n = strspn(digits, "0123456789");
    return n >= 1 && n <= 9 && digits[n] == '\0' ? strtol(digits, NULL, 10) : 0;
}

/* Clears what earlier processes left beside `path`. A number that is our own comes from a predecessor too: one process does not write the
 * same path twice at a time, and in a container every run may have the same number. Best effort: what cannot be removed stays. */
static void leftovers_clear(const char *path)
{
    char *parent = path_parent(path);
    const char *stem = path_base(path);
    FileList list;
    if (file_list(&list, parent, NULL) == 0) {
        for (size_t i = 0; i < list.n; i++) {
            long tmp = leftover_pid(list.name[i], stem, ".tmp-"), old = leftover_pid(list.name[i], stem, ".old-");
            long pid = tmp ? tmp : old;
            if (pid == 0 || (pid != (long)getpid() && (kill((pid_t)pid, 0) == 0 || errno != ESRCH)))
                continue;
            char *left = path_join(parent, list.name[i]);
            if (tmp || file_exists(path))
                dir_remove(left, NULL);
            else
                rename(left, path); /* its owner died between stepping aside and the rename */
            free(left);
        }
        file_list_release(&list);
    }
    free(parent);
}

/* ---- one file, whole or not at all ---- */

struct FileOut {
    int    fd;
    char  *path, *tmp;
    size_t n; /* bytes in buf */
    char   buf[FILE_BUFFER];
};

int file_out_open(FileOut **out, const char *path, Err *e)
{
    *out = NULL;
    if (file_is_dir(path)) {
        errno = EISDIR;
        return file_fail(e, path, "write");
    }
    leftovers_clear(path);
    FileOut *f = mem_alloc(sizeof *f);
    f->n = 0;
    f->path = mem_strdup(path);
    f->tmp = path_with_pid(path, ".tmp-");
    f->fd = file_open(f->tmp, O_WRONLY | O_CREAT | O_EXCL);
    *out = f;
    if (f->fd >= 0)
        return 0;
    int rc = file_fail(e, path, "write");
    file_out_abort(out);
    return rc;
}

int file_out_private(FileOut *f, Err *e)
{
    return fchmod(f->fd, 0600) == 0 ? 0 : file_fail(e, f->path, "protect");
}

static int file_out_flush(FileOut *f, Err *e)
{
    if (!file_send(f->fd, f->buf, f->n))
        return file_fail(e, f->path, "write");
    f->n = 0;
    return 0;
}

int file_out_write(FileOut *f, const void *p, size_t n, Err *e)
{
    if (n > FILE_BUFFER - f->n) {
        int rc = file_out_flush(f, e);
        if (rc)
            return rc;
    }
    if (n >= FILE_BUFFER) /* large pieces go straight through */
        return file_send(f->fd, p, n) ? 0 : file_fail(e, f->path, "write");
    if (n)
        memcpy(f->buf + f->n, p, n);
    f->n += n;
    return 0;
}

static int file_out_end(FileOut **out, bool durable, Err *e)
{
    FileOut *f = *out;
    int rc = file_out_flush(f, e);
    if (!rc && durable && !file_flush(f->fd))
        rc = file_fail(e, f->path, "flush");
    if (!rc) {
        int fd = f->fd;
        f->fd = -1;
        if (close(fd) != 0 && errno != EINTR) /* network file systems may report a full disk only here */
            rc = file_fail(e, f->path, "write");
    }
    if (!rc && rename(f->tmp, f->path) != 0)
        rc = file_fail(e, f->path, "replace");
    if (!rc && durable)
        rc = parent_flush(f->path, e);
    file_out_abort(out); /* after a rename there is no temporary file left to remove */
    return rc;
}

int file_out_drain(FileOut *f, StrBuf *block, size_t least, Err *e)
{
    if (block->n < least || !block->n)
        return 0;
    const int rc = file_out_write(f, block->p, block->n, e);
    strbuf_clear(block);
    return rc;
}

int file_out_commit(FileOut **out, Err *e)
{
    return file_out_end(out, true, e);
}

int file_out_finish(FileOut **out, Err *e)
{
    return file_out_end(out, false, e);
}

void file_out_abort(FileOut **out)
{
    FileOut *f = *out;
    if (!f)
        return;
    if (f->fd >= 0)
        close(f->fd);
    unlink(f->tmp);
    free(f->tmp);
    free(f->path);
    free(f);
    *out = NULL;
}

int file_write_atomic(const char *path, const void *p, size_t n, Err *e)
{
    FileOut *f;
    int rc = file_out_open(&f, path, e);
    if (rc)
        return rc;
    rc = file_out_write(f, p, n, e);
    if (rc)
        file_out_abort(&f);
    else
        rc = file_out_commit(&f, e);
    return rc;
}

/* ---- in place ---- */

int file_sync(const char *path, Err *e)
{
    return path_flush(path, false, e);
}

int file_rename(const char *from, const char *to, Err *e)
{
    return rename(from, to) ? err_sys(e, "%s cannot be renamed to %s", from, to) : 0;
}

int file_append_line(const char *path, Str line, Err *e)
{
    struct stat st;
    char *text = mem_alloc(line.n + 1);
    if (line.n)
        memcpy(text, line.p, line.n);
    text[line.n] = '\n';
    int rc = 0, fd = file_open(path, O_WRONLY | O_CREAT | O_APPEND);
    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = file_fail(e, path, "open");
    } else if (!file_send(fd, text, line.n + 1)) {
        rc = file_fail(e, path, "write");
        if (S_ISREG(st.st_mode) && ftruncate(fd, st.st_size) != 0) /* take a half line back; whoever reads it may stop there otherwise */
            err_wrap(e, "half a line was left behind");
    }
    if (fd >= 0)
        close(fd);
    free(text);
    return rc;
}

int file_truncate(const char *path, uint64_t size, Err *e)
{
    int rc;
    if (size > INT64_MAX) {
        errno = EFBIG;
        return file_fail(e, path, "cut");
    }
    do
        rc = truncate(path, (off_t)size);
    while (rc != 0 && errno == EINTR);
    return rc ? file_fail(e, path, "cut") : 0;
}

/* ---- a file that grows ---- */

int file_log_open(FileLog *f, const char *path, uint64_t keep, Err *e)
{
    struct stat st;
    *f = (FileLog){ .fd = file_open(path, O_WRONLY | O_CREAT), .size = keep, .path = mem_strdup(path) };
    int rc = 0;
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        rc = file_fail(e, path, "open");
    else if ((uint64_t)st.st_size < keep)
        rc = err_set(e, ERR_INPUT, "%s has %lld bytes, and %llu were written to it; it was changed or cut", path, (long long)st.st_size, (unsigned long long)keep);
    else if (ftruncate(f->fd, (off_t)keep) != 0 || lseek(f->fd, (off_t)keep, SEEK_SET) < 0)
        rc = file_fail(e, path, "cut");
    if (rc)
        file_log_close(f);
    return rc;
}

int file_log_add(FileLog *f, const void *p, size_t n, Err *e)
{
    if (!file_send(f->fd, p, n)) {
        int rc = file_fail(e, f->path, "write");
        if (ftruncate(f->fd, (off_t)f->size) != 0 || lseek(f->fd, (off_t)f->size, SEEK_SET) < 0)
            err_wrap(e, "a part of a block was left behind");
        return rc;
    }
    f->size += n;
    return 0;
}

int file_log_sync(FileLog *f, Err *e)
{
    return fsync(f->fd) != 0 ? file_fail(e, f->path, "flush") : 0;
}

void file_log_close(FileLog *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    *f = (FileLog){ .fd = -1 };
}

/* ---- one folder, whole or not at all ---- */

int folder_begin(char **tmp, const char *path, Err *e)
{
    char *name = path_trim(path), *parent = path_parent(name);
    *tmp = NULL;
    int rc = dir_make(parent, e);
    if (!rc && file_exists(name) && !file_is_dir(name))
        rc = dir_blocked(name, e);
    if (!rc) {
        leftovers_clear(name);
        *tmp = path_with_pid(name, ".tmp-");
        if (mkdir(*tmp, 0777) != 0) {
            rc = file_fail(e, *tmp, "make");
            free(*tmp);
            *tmp = NULL;
        }
    }
    free(parent);
    free(name);
    return rc;
}

/* Gives the folder `tmp` the name `path`; an old folder of that name ends up as *old (owned), to be removed. */
static int folder_swap(const char *tmp, const char *path, char **old, Err *e)
{
    *old = NULL;
    if (!file_exists(path))
        return rename(tmp, path) == 0 ? 0 : file_fail(e, path, "make");
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_EXCHANGE) == 0) {
        *old = mem_strdup(tmp);
        return 0;
    }
    char *aside = path_with_pid(path, ".old-");
    int rc = 0;
    if (rename(path, aside) != 0) {
        rc = file_fail(e, path, "replace");
    } else if (rename(tmp, path) != 0) {
        rc = file_fail(e, path, "replace");
        rename(aside, path);
    } else {
        *old = aside;
        aside = NULL;
    }
    free(aside);
    return rc;
}

int folder_commit(char **tmp, const char *path, Err *e)
{
    char *name = path_trim(path), *old = NULL;
    int rc = tree_walk(*tmp, tree_flush, 0, e);
    if (!rc)
        rc = folder_swap(*tmp, name, &old, e);
    if (!rc)
        rc = parent_flush(name, e);
    if (!rc) {
        if (old)
            dir_remove(old, NULL); /* the new folder is in place; a remnant of the old one is cleared by the next writer */
        free(*tmp);
        *tmp = NULL;
    }
    free(old);
    free(name);
    return rc;
}

void folder_abort(char **tmp)
{
    if (*tmp)
        dir_remove(*tmp, NULL);
    free(*tmp);
    *tmp = NULL;
}
