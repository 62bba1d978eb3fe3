/* sorter.c - see sorter.h. Invariants: before sorter_end `p` holds the records that are in no run yet; after it all of them lie in `p`, or all in the sorted file.
 * The merge is a heap of runs by their first records (Knuth, The Art of Computer Programming 3, 5.4.1). */
#include "prep/sorter.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/vec.h"
#include "prep/view.h"

#define BLOCK ((size_t)1 << 20)  /* bytes of merged records on their way */
#define PIECE ((size_t)64 << 10) /* bytes of a run that are read at once, at most: every record comes from another run than the one before it */

typedef struct Run { size_t at, end, ready; char *piece; const char *head; } Run; /* records of the runs file; head: the one at `at`; those before `ready` are in the piece */

struct Sorter {
    char       *runs_path, *sorted_path;
    size_t      size, most, piece; /* bytes of a record; records in memory; of a piece: of all runs together they are no more than `most` */
    SorterOrder order;
    char       *p;
    size_t      n, cap, total;
    VEC(Run)    run;
    FileLog     log;
    View        view;            /* of the runs, then of the sorted file */
    bool        ended;
};

static char *path_of(const char *path, const char *ending)
{
    StrBuf b = { 0 };
    strbuf_addf(&b, "%s.%s", path, ending);
    return strbuf_take(&b);
}

Sorter *sorter_new(const char *path, size_t size, SorterOrder order, size_t bytes)
{
    Sorter *s = mem_zalloc(1, sizeof *s);
    *s = (Sorter){ .runs_path = path_of(path, "runs"), .sorted_path = path_of(path, "sorted"), .size = size, .order = order, .log.fd = -1 };
    s->most = MAX((bytes ? bytes : SORTER_BYTES) / size, (size_t)2);
    return s;
}

/* What is in memory becomes a run. */
static int spill(Sorter *s, Err *e)
{
    int rc = s->log.fd < 0 ? file_log_open(&s->log, s->runs_path, 0, e) : 0;
    if (rc)
        return rc;
    qsort(s->p, s->n, s->size, s->order);
    rc = file_log_add(&s->log, s->p, s->n * s->size, e);
    *vec_push(&s->run) = (Run){ .at = s->total - s->n, .end = s->total };
    s->n = 0;
    return rc;
}

int sorter_add(Sorter *s, const void *record, Err *e)
{
    BUG_ON(s->ended);
    if (s->n == s->most) {
        const int rc = spill(s, e);
        if (rc)
            return rc;
    }
    if (s->n == s->cap) {
        s->cap = MIN(MAX(2 * s->cap, (size_t)64), s->most);
        s->p = mem_realloc(s->p, s->cap, s->size);
    }
    memcpy(s->p + s->n++ * s->size, record, s->size);
    s->total++;
    return 0;
}

static const void *record_at(const Sorter *s, size_t i, size_t n) { return view_at(&s->view, (uint64_t)i * s->size, n * s->size); }

/* The record at r->at becomes the head. */
static void take_head(const Sorter *s, Run *r)
{
    if (r->at < r->ready) {
        r->head += s->size;
        return;
    }
    const size_t n = MIN(r->end - r->at, s->piece);
    r->piece = r->piece ? r->piece : mem_alloc(n * s->size); /* the first piece is the largest */
    memcpy(r->piece, record_at(s, r->at, n), n * s->size);
    r->head = r->piece;
    r->ready = r->at + n;
}

/* Run i of the heap goes down to its place. */
static void sink(const Sorter *s, Run *heap, size_t n, size_t i)
{
    const Run run = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && s->order(heap[child + 1].head, heap[child].head) < 0;
        if (s->order(run.head, heap[child].head) < 0)
            break;
        heap[i] = heap[child];
    }
    heap[i] = run;
}

/* The records of the runs file, in order, to `out`. */
static int merge(Sorter *s, FileLog *out, Err *e)
{
    StrBuf block = { 0 };
    int    rc = 0;
    size_t n = s->run.n;
    Run   *heap = s->run.p;
    s->piece = MAX(MIN(PIECE / s->size, s->most / n), (size_t)1);
    for (size_t i = 0; i < n; i++)
        take_head(s, &heap[i]);
    for (size_t i = n / 2; i-- > 0;)
        sink(s, heap, n, i);
    while (n && !rc) {
        strbuf_add(&block, heap[0].head, s->size);
        if (++heap[0].at < heap[0].end) {
            take_head(s, &heap[0]);
        } else {
            free(heap[0].piece);
            heap[0] = heap[--n];
        }
        sink(s, heap, n, 0);
        if (block.n >= BLOCK || !n) {
            rc = file_log_add(out, block.p, block.n, e);
            strbuf_clear(&block);
        }
    }
    for (size_t i = 0; i < n; i++)
        free(heap[i].piece);
    strbuf_release(&block);
    return rc;
}

static int merge_runs(Sorter *s, Err *e)
{
    FileLog out = { .fd = -1 };
    file_log_close(&s->log);
    int rc = view_open(&s->view, s->runs_path, e);
    if (!rc)
        rc = file_log_open(&out, s->sorted_path, 0, e);
    if (!rc)
        rc = merge(s, &out, e);
    file_log_close(&out);
    view_close(&s->view);
    if (!rc)
        rc = dir_remove(s->runs_path, e);
    return rc ? rc : view_open(&s->view, s->sorted_path, e);
}

int sorter_end(Sorter *s, Err *e)
{
    BUG_ON(s->ended);
    s->ended = true;
    if (!s->run.n) {
        if (s->n)
            qsort(s->p, s->n, s->size, s->order);
        return 0;
    }
    int rc = s->n ? spill(s, e) : 0;
    free(s->p);
    s->p = NULL;
    return rc ? rc : merge_runs(s, e);
}

size_t sorter_count(const Sorter *s) { return s->total; }

const void *sorter_at(const Sorter *s, size_t i)
{
    BUG_ON(!s->ended || i >= s->total);
    return s->p ? s->p + i * s->size : record_at(s, i, 1);
}

void sorter_free(Sorter *s)
{
    if (!s)
        return;
    file_log_close(&s->log);
    view_close(&s->view);
    if (s->run.n) {
        dir_remove(s->runs_path, NULL); /* what cannot be removed goes with the folder */
        dir_remove(s->sorted_path, NULL);
    }
    vec_release(&s->run);
    free(s->runs_path);
    free(s->sorted_path);
    free(s->p);
    free(s);
}
