/* columnar.c - see columnar.h. */
#include "formats/columnar.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "formats/arrow.h"
#include "formats/parquet.h"

#define BLOCK ((size_t)1 << 20)

typedef struct Format {
    const char *name;
    bool      (*is)(Str head);
    int       (*open)(void **file, Str bytes, const char *name, Err *e);
    void      (*close)(void *file);
    int64_t   (*rows)(const void *file);
    size_t    (*groups)(const void *file);
    int       (*read)(const void *file, size_t i, void **group, Err *e);
    void      (*free)(void *group);
    int64_t   (*group_rows)(const void *group);
    int64_t   (*group_first)(const void *group);
    int       (*row)(const void *group, int64_t row, Json **out, Err *e);
} Format;

struct Columnar {
    const Format *format;
    void   *file, *group;
    size_t  next;
    FileMap unpacked;
};

/* ---- the formats ---- */

static bool is_parquet(Str head) { return str_starts(head, "PAR1"); }
static int  open_parquet(void **f, Str b, const char *name, Err *e) { return parquet_open_memory((ParquetFile **)f, b.p, b.n, name, NULL, e); }
static void close_parquet(void *f) { parquet_close(f); }
static int64_t rows_parquet(const void *f) { return parquet_rows(f); }
static size_t  groups_parquet(const void *f) { return parquet_groups(f); }
static int  read_parquet(const void *f, size_t i, void **g, Err *e) { return parquet_group_read(f, i, (ParquetGroup **)g, e); }
static void free_parquet(void *g) { parquet_group_free(g); }
static int64_t group_rows_parquet(const void *g) { return parquet_group_rows(g); }
static int64_t group_first_parquet(const void *g) { return parquet_group_first(g); }
static int  row_parquet(const void *g, int64_t row, Json **out, Err *e) { return parquet_row(g, row, out, e); }

static int  open_arrow(void **f, Str b, const char *name, Err *e) { return arrow_open_memory((ArrowFile **)f, b.p, b.n, name, 0, e); }
static void close_arrow(void *f) { arrow_close(f); }
static int64_t rows_arrow(const void *f) { return arrow_rows(f); }
static size_t  groups_arrow(const void *f) { return arrow_batches(f); }
static int  read_arrow(const void *f, size_t i, void **g, Err *e) { return arrow_batch_read(f, i, (ArrowBatch **)g, e); }
static void free_arrow(void *g) { arrow_batch_free(g); }
static int64_t group_rows_arrow(const void *g) { return arrow_batch_rows(g); }
static int64_t group_first_arrow(const void *g) { return arrow_batch_first(g); }
static int  row_arrow(const void *g, int64_t row, Json **out, Err *e) { return arrow_row(g, row, out, e); }

static const Format formats[] = {
    { "parquet", is_parquet, open_parquet, close_parquet, rows_parquet, groups_parquet, read_parquet, free_parquet, group_rows_parquet, group_first_parquet, row_parquet },
    { "arrow",   arrow_is,   open_arrow,   close_arrow,   rows_arrow,   groups_arrow,   read_arrow,   free_arrow,   group_rows_arrow,   group_first_arrow,   row_arrow },
};

static const Format *format_of(Str head)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (formats[i].is(head))
            return &formats[i];
    return NULL;
}

const char *columnar_name(Str head)
{
    const Format *f = format_of(head);
    return f ? f->name : NULL;
}

/* ---- opening ---- */

int columnar_open(Columnar **out, Str bytes, const char *name, Err *e)
{
    Columnar *c = mem_zalloc(1, sizeof *c);
    c->format = format_of((Str){ bytes.p, MIN(bytes.n, (size_t)COLUMNAR_HEAD) });
    BUG_ON(!c->format);
    int rc = c->format->open(&c->file, bytes, name, e);
    *out = rc ? NULL : c;
    if (rc)
        free(c);
    return rc;
}

static int open_nameless(const char *dir, Err *e)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) { /* over a network there is no O_TMPFILE */
        char *path = path_join(dir, "unpacked-XXXXXX");
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0)
            unlink(path);
        free(path);
    }
    return fd >= 0 ? fd : err_set(e, ERR_IO, "%s: no file can be made there to unpack into: %s", dir, strerror(errno));
}

static int write_all(int fd, const char *p, size_t n, const char *dir, const char *name, Err *e)
{
    while (n) {
        const ssize_t put = write(fd, p, n);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return err_set(e, ERR_IO, "%s: it is unpacked into a file in %s, and there is no room for it (%s); unpack it yourself, or make room", name, dir, strerror(errno));
        p += put;
        n -= (size_t)put;
    }
    return 0;
}

int columnar_unpack(Columnar **out, Source *s, const char *dir, const char *name, Err *e)
{
    char    *block = mem_alloc(BLOCK), path[40];
    size_t   n = 1;
    FileMap  map = { 0 };
    int      rc = 0, fd = open_nameless(dir, e);
    *out = NULL;
    if (fd < 0)
        rc = fd;
    while (!rc && n && !(rc = source_read(s, block, BLOCK, &n, e)))
        rc = write_all(fd, block, n, dir, name, e);
    if (!rc) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        rc = file_map(&map, path, e);
    }
    if (!rc)
        rc = columnar_open(out, (Str){ (const char *)map.p, map.n }, name, e);
    if (rc)
        file_unmap(&map);
    else
        (*out)->unpacked = map;
    if (fd >= 0)
        close(fd); /* the mapping keeps the file */
    free(block);
    return rc;
}

void columnar_close(Columnar *c)
{
    if (!c)
        return;
    c->format->free(c->group);
    c->format->close(c->file);
    file_unmap(&c->unpacked);
    free(c);
}

/* ---- rows ---- */

int64_t columnar_rows(const Columnar *c) { return c->format->rows(c->file); }

int columnar_next(Columnar *c, Err *e)
{
    c->format->free(c->group);
    c->group = NULL;
    if (c->next == c->format->groups(c->file))
        return 0;
    int rc = c->format->read(c->file, c->next++, &c->group, e);
    if (rc)
        c->next = c->format->groups(c->file);
    return rc ? rc : 1;
}

int64_t columnar_first(const Columnar *c) { return c->format->group_first(c->group); }
int64_t columnar_group(const Columnar *c) { return c->group ? c->format->group_rows(c->group) : 0; }

int columnar_row(const Columnar *c, int64_t row, Json **out, Err *e) { return c->format->row(c->group, row - columnar_first(c), out, e); }
