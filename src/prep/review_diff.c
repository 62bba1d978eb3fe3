/* review_diff.c - the shortest list of word changes between two texts (Myers 1986, "An O(ND) difference algorithm and its variations", the greedy form).
 * Memory: the furthest points of every round are kept to walk back, at most DIFF_EDITS_MAX^2 numbers (16 MB). */
#include "prep/review_int.h"

#include <stdlib.h>

typedef VEC(int32_t) Words;   /* numbers of distinct words */
typedef VEC(Str) Pieces;

typedef struct Diff {
    Pieces  piece[2];
    Words   word[2];
    Map    *names;
    Json   *out;
    StrBuf  run;
    char    op;
} Diff;

enum { IS_WORD, IS_SPACE, IS_MARK };
static int class_of(unsigned char c)
{
    if (c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_')
        return IS_WORD;
    return c == ' ' || (c >= '\t' && c <= '\r') ? IS_SPACE : IS_MARK;
}

static bool cut(Diff *d, int side, Str s)
{
    for (size_t i = 0; i < s.n;) {
        size_t    end = i + 1;
        const int c = class_of((unsigned char)s.p[i]);
        int64_t   name;
        while (c != IS_MARK && end < s.n && class_of((unsigned char)s.p[end]) == c)
            end++;
        Str piece = { s.p + i, end - i };
        if (!map_get(d->names, piece, &name)) {
            name = (int64_t)map_count(d->names);
            map_put(d->names, piece, name);
        }
        if (d->word[side].n == DIFF_WORDS_MAX)
            return false;
        *vec_push(&d->piece[side]) = piece;
        *vec_push(&d->word[side]) = (int32_t)name;
        i = end;
    }
    return true;
}

static void flush(Diff *d)
{
    if (!d->run.n)
        return;
    Json *step = json_arr_new();
    json_push(step, json_str_new((Str){ &d->op, 1 }));
    json_push(step, json_str_new(strbuf_str(&d->run)));
    json_push(d->out, step);
    strbuf_clear(&d->run);
}

static void put(Diff *d, char op, Str text)
{
    if (op != d->op)
        flush(d);
    d->op = op;
    strbuf_add(&d->run, text.p, text.n);
}

static void put_pieces(Diff *d, char op, int side, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        put(d, op, d->piece[side].p[i]);
}

/* The middle, a[0, n) against b[0, m), which begin at `from` of both sides. trace[e] holds, for e changes, the furthest x of diagonals -e, -e + 2, ... e. */
static bool walk(Diff *d, size_t from, int32_t n, int32_t m)
{
    const int32_t *a = n ? d->word[0].p + from : NULL, *b = m ? d->word[1].p + from : NULL;
    const int32_t  most = MIN(n + m, DIFF_EDITS_MAX);
    int32_t       *v = mem_zalloc((size_t)(2 * most + 3), sizeof *v), *at = v + most + 1, e, k, x, y;
    VEC(int32_t *) trace = { 0 };
    bool           found = false;
    for (e = 0; e <= most && !found; e++) {
        int32_t *row = mem_alloc((size_t)(2 * e + 1) * sizeof *row);
        for (k = -e; k <= e && !found; k += 2) {
            x = k == -e || (k != e && at[k - 1] < at[k + 1]) ? at[k + 1] : at[k - 1] + 1;
            for (y = x - k; x < n && y < m && a[x] == b[y]; x++, y++)
                ;
            at[k] = x;
            found = x >= n && y >= m;
        }
        memcpy(row, at - e, (size_t)(2 * e + 1) * sizeof *row);
        *vec_push(&trace) = row;
    }
    free(v);
    VEC(char) ops = { 0 }; /* last first */
    for (x = n, y = m, e = (int32_t)trace.n - 1; found && e > 0; e--) {
        const int32_t *row = trace.p[e - 1] + (e - 1); /* row[k]: furthest x on diagonal k */
        k = x - y;
        const bool    down = k == -e || (k != e && row[k - 1] < row[k + 1]); /* an insertion */
        const int32_t px = down ? row[k + 1] : row[k - 1], py = px - (down ? k + 1 : k - 1);
        for (; x > px + !down && y > py + down; x--, y--)
            *vec_push(&ops) = '=';
        *vec_push(&ops) = down ? '+' : '-';
        x = px;
        y = py;
    }
    for (; found && x > 0; x--)
        *vec_push(&ops) = '=';
    size_t i = from, j = from;
    for (size_t o = ops.n; o-- > 0;) {
        put(d, ops.p[o], ops.p[o] == '+' ? d->piece[1].p[j] : d->piece[0].p[i]);
        i += ops.p[o] != '+';
        j += ops.p[o] != '-';
    }
    for (size_t t = 0; t < trace.n; t++)
        free(trace.p[t]);
    vec_release(&trace);
    vec_release(&ops);
    return found;
}

Json *review_diff(Str a, Str b)
{
    Diff   d = { .names = map_new(), .out = json_arr_new(), .op = '=' };
    size_t head = 0, tail = 0;
    if (!cut(&d, 0, a) || !cut(&d, 1, b)) {
        put(&d, '-', a);
        put(&d, '+', b);
    } else {
        const size_t na = d.word[0].n, nb = d.word[1].n;
        while (head < na && head < nb && d.word[0].p[head] == d.word[1].p[head])
            head++;
        while (tail < na - head && tail < nb - head && d.word[0].p[na - 1 - tail] == d.word[1].p[nb - 1 - tail])
            tail++;
        put_pieces(&d, '=', 0, 0, head);
        if (!walk(&d, head, (int32_t)(na - head - tail), (int32_t)(nb - head - tail))) {
            put_pieces(&d, '-', 0, head, na - tail);
            put_pieces(&d, '+', 1, head, nb - tail);
        }
        put_pieces(&d, '=', 0, na - tail, na);
    }
    flush(&d);
    for (int i = 0; i < 2; i++) {
        vec_release(&d.piece[i]);
        vec_release(&d.word[i]);
    }
    strbuf_release(&d.run);
    map_free(d.names);
    return d.out;
}
