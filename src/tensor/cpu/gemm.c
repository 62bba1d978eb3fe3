/* gemm.c - the three matrix products, packed and cut into blocks that fit the caches (Goto & van de Geijn 2008; Van Zee & van de Geijn 2015).
 *
 *   for each slab of rows of a (at most A_BYTES when packed)
 *     pack the slab, all of k, into panels of at most mr rows                                   [threads share the panels]
 *     for each block of columns (a few panels of nr)                                            [threads share the blocks]
 *       for each stretch of k (at most KC)
 *         pack the block of b: it stays in the second cache                                     [each thread for itself]
 *         for each panel of a, for each panel of b: one register tile
 *
 * Invariant: the stretches follow from k alone and each sum is one chain per stretch, so the bits of an element depend neither on the
 * threads nor on how m and n are cut. Packing is a function of its own: a weight of another type becomes f32 there, and from then on it is an
 * F32 weight, so that its stored type does not change the bits of a product (of 5 rows or more). For that k is cut between blocks, and n where the
 * blocks lie along n. With Backend.whole a weight of a blocked type keeps its whole numbers instead, and x becomes whole numbers as well (k_runs.h).
 * What is packed are words (Tiles in kern.h): numbers, or with Backend.compute BF16 or whole numbers pairs of them, which join two neighbours of k. Everything below
 * counts k in numbers, panels in words.
 * The low-rank addition of a linear lengthens the last stretch by its few numbers (Gemm.k2), instead of passing over c once more.
 * Three shapes go other ways: few rows with b by rows (decoding) is a dot product at the speed of memory, in f32; few columns (the inner side of
 * a low-rank pair) would spend its time packing a, so a is read in place, but for bf16, which no a holds; and few columns of a tall result (the
 * gradient of the outer side) are computed as the transposed product, which has few rows instead. */
#include "tensor/cpu/cpu_int.h"

#define BLOCK       256            /* the largest block of a stored type */
#define KC          512            /* longest stretch of k, in words, before it is rounded up to whole blocks; c is read and written once for each */
#define BLOCK_PANELS 8             /* panels of b packed at once: 8 nr KC floats are 512 KiB with AVX-512, 256 KiB with AVX2: the second cache */
#define PACK_PANELS 8              /* panels of a packed at once: rows of a column-wise operand are read in runs of 8 mr */
#define A_BYTES     ((int64_t)16 << 20)
#define NARROW      256            /* at most so many columns: all of b is packed, a is not */
#define NARROW_ROWS 64             /* most rows of one piece of a narrow product */
#define SLIM        64             /* columns of a tall result that is better computed transposed */

typedef struct Plan {
    const Gemm *g;
    Cpu        *cpu;
    const Tiles *tiles;
    float      *ap;                /* packed slab of a: [stretch][panel], a_step words each; in a narrow product b: [panel] */
    int64_t     a_step;
    int64_t     row0, rows;        /* the slab */
    int64_t     height;            /* of a panel of a; the last may hold less */
    int64_t     a_panels, b_panels;
    int64_t     group, groups;     /* panels of b that are not cut apart: those of one block */
    int64_t     stretch, stretches;/* numbers of k in each, the last may have less */
    int64_t     col_cuts, row_cuts;/* pieces: blocks of columns x parts of the slab */
} Plan;

/* The i-th of n nearly equal parts of a whole begins here; part n begins at the end. */
static int64_t cut(int64_t whole, int64_t n, int64_t i)
{
    return whole * i / n;
}

static int64_t parts(int64_t whole, int64_t part)
{
    return (whole + part - 1) / part;
}

/* Numbers of k in all stretches but the last. */
static int64_t stretch_of(const Tiles *t, int64_t k)
{
    return MAX(1, parts(parts(k, MAX(1, parts(k, KC * t->numbers / t->words))), BLOCK)) * BLOCK;
}

/* Words that k numbers and k2 more, which begin a unit of their own, take. */
static int64_t words(const Tiles *t, int64_t k, int64_t k2)
{
    return (parts(k, t->numbers) + parts(k2, t->numbers)) * t->words;
}

static const void *b_at(const Gemm *g, int64_t i)
{
    return (const char *)g->b + dtype_bytes(g->b_type, i);
}

/* Columns [j, j + n) of b, numbers [k0, k0 + k) of each and k2 of b2 behind them, into panels. */
static void pack_b(const Plan *p, float *dst, int64_t j, int64_t n, int64_t k0, int64_t k, int64_t k2)
{
    const Gemm *g = p->g;
    const Tiles *t = p->tiles;
    const int64_t nr = p->cpu->kern->nr, own = words(t, k, 0) * nr, step = words(t, k, k2) * nr;
    if (!g->b_rows) {
        t->b_cols(g->b_type, dst, nr, step, b_at(g, k0 * g->ldb + j), g->ldb, n, k);
        if (k2)
            t->b_cols(DT_F32, dst + own, nr, step, g->b2 + j, g->ldb2, n, k2);
        return;
    }
    for (int64_t i = 0; i < n; i += nr, dst += step) { /* in this order: a panel's end may be overwritten by what stands before it */
        t->b_rows(g->b_type, dst, nr, b_at(g, (j + i) * g->ldb + k0), g->ldb, MIN(n - i, nr), k);
        if (k2)
            t->b_rows(DT_F32, dst + own, nr, g->b2 + (j + i) * g->ldb2, g->ldb2, MIN(n - i, nr), k2);
    }
}

/* After the first stretch sums are added, and the bias is in. */
static Epi epi_at(const Gemm *g, int64_t stretch, int64_t col)
{
    if (stretch > 0)
        return (Epi){ .alpha = g->epi.alpha, .load = true };
    return (Epi){ .alpha = g->epi.alpha, .load = g->epi.load, .bias = g->epi.bias ? g->epi.bias + col : NULL };
}

/* Numbers of the pair that join a stretch: the last one takes them. */
static int64_t more_at(const Plan *p, int64_t stretch)
{
    return stretch == p->stretches - 1 ? p->g->k2 : 0;
}

/* Packs PACK_PANELS panels of the slab. */
static void piece_pack(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const Plan *p = ctx;
    const Gemm *g = p->g;
    const Tiles *t = p->tiles;
    int64_t row = piece * PACK_PANELS * p->height, rows = MIN(p->rows - row, PACK_PANELS * p->height);
    for (int64_t s = 0; s < p->stretches; s++) {
        int64_t k0 = s * p->stretch, k = MIN(g->k - k0, p->stretch), first = p->row0 + row, k2 = more_at(p, s);
        float *dst = p->ap + (s * p->a_panels + piece * PACK_PANELS) * p->a_step;
        if (!g->a_rows) {
            t->a_cols(DT_F32, dst, p->height, p->a_step, g->a + k0 * g->lda + first, g->lda, rows, k);
            continue;
        }
        for (int64_t i = 0; i < rows; i += p->height, dst += p->a_step) {
            t->a_rows(DT_F32, dst, p->height, g->a + (first + i) * g->lda + k0, g->lda, MIN(rows - i, p->height), k);
            if (k2)
                t->a_rows(DT_F32, dst + words(t, k, 0) * p->height, p->height, g->a2 + (first + i) * g->lda2, g->lda2, MIN(rows - i, p->height), k2);
        }
    }
}

static void piece_block(void *ctx, int64_t piece, int worker)
{
    const Plan *p = ctx;
    const Gemm *g = p->g;
    const Kern *kern = p->cpu->kern;
    float *bp = cpu_worker(p->cpu, worker);
    int64_t first = cut(p->groups, p->col_cuts, piece / p->row_cuts) * p->group;
    int64_t last = MIN(p->b_panels, cut(p->groups, p->col_cuts, piece / p->row_cuts + 1) * p->group);
    int64_t from = cut(p->a_panels, p->row_cuts, piece % p->row_cuts), to = cut(p->a_panels, p->row_cuts, piece % p->row_cuts + 1);
    if (p->tiles->begin)
        p->tiles->begin();
    for (int64_t s = 0; s < p->stretches; s++) {
        int64_t k0 = s * p->stretch, own = MIN(g->k - k0, p->stretch), k2 = more_at(p, s), k = words(p->tiles, own, k2), step = k * kern->nr;
        pack_b(p, bp, first * kern->nr, MIN(g->n, last * kern->nr) - first * kern->nr, k0, own, k2);
        for (int64_t i = from; i < to; i++) {
            int64_t row = i * p->height, h = MIN(p->rows - row, p->height);
            const float *a = p->ap + (s * p->a_panels + i) * p->a_step;
            for (int64_t j = first; j < last; j++) {
                int64_t col = j * kern->nr;
                Epi e = epi_at(g, s, col);
                p->tiles->tile(h, MIN(g->n - col, kern->nr), k, a, p->height, bp + (j - first) * step, kern->nr,
                               g->c + (p->row0 + row) * g->ldc + col, g->ldc, &e);
            }
        }
    }
    if (p->tiles->end)
        p->tiles->end();
}

/* Blocks of BLOCK_PANELS, but enough pieces for the threads, and equal ones: first by smaller blocks, then by parts of the rows, which costs
 * packing b more than once. */
static void plan_pieces(Plan *p)
{
    int64_t threads = p->cpu->be.threads, blocks = parts(p->b_panels, BLOCK_PANELS);
    p->col_cuts = MIN(p->groups, parts(MAX(blocks, 3 * threads), threads) * threads);
    p->row_cuts = 1;
    bool uneven = p->group > 1 && p->groups < 16 * threads && (p->groups % threads || p->g->n % BLOCK);
    if (p->col_cuts >= threads && uneven)
        p->row_cuts = MAX(1, MIN(threads, p->rows / 128));
    else if (p->col_cuts < threads)
        p->row_cuts = MIN(p->a_panels, parts(2 * threads, p->col_cuts));
}

/* Those of a product whose weight stays whole numbers, or NULL. */
static const Tiles *whole_tiles(const Cpu *c, const Gemm *g)
{
    const bool may = c->be.whole && c->whole && g->a_rows && g->b_rows && g->m > GEMV_ROWS && c->whole[g->b_type].tile;
    return may ? &c->whole[g->b_type] : NULL;
}

static Plan plan_of(Cpu *c, const Gemm *g, const Tiles *t)
{
    Plan p = { .g = g, .cpu = c, .tiles = t, .stretch = stretch_of(t, g->k), .b_panels = parts(g->n, c->kern->nr) };
    p.stretches = MAX(1, parts(g->k, p.stretch)); /* of an empty k one, for the bias */
    p.group = !g->b_rows && dtype_block(g->b_type) > 1 ? BLOCK / c->kern->nr : 1;
    p.groups = parts(p.b_panels, p.group);
    return p;
}

static void gemm_packed(Cpu *c, const Gemm *g, const Tiles *tiles)
{
    const Kern *kern = c->kern;
    Plan p = plan_of(c, g, tiles);
    int64_t longest = words(p.tiles, MIN(g->k, p.stretch), g->k2);
    p.a_step = parts(longest * p.tiles->mr + kern->vw, 16) * 16;
    int64_t slabs = MAX(1, parts(g->m * words(p.tiles, g->k, 0) * (int64_t)sizeof(float), A_BYTES));
    slabs = MIN(slabs, MAX(1, g->m / 256));
    int64_t most_panels = parts(g->m / slabs + 1, p.tiles->mr);
    p.ap = cpu_slot(c, SLOT_PACK, (size_t)(most_panels * p.stretches * p.a_step) * sizeof(float));
    if (!p.ap || !cpu_workers(c, (size_t)(MIN(p.b_panels, MAX(p.group, BLOCK_PANELS)) * kern->nr * longest + kern->vw) * sizeof(float)))
        return;
    for (int64_t s = 0; s < slabs; s++) {
        p.row0 = cut(g->m, slabs, s);
        p.rows = cut(g->m, slabs, s + 1) - p.row0;
        p.a_panels = parts(p.rows, p.tiles->mr);
        p.height = parts(parts(p.rows, p.a_panels), p.tiles->rows) * p.tiles->rows; /* equal panels: a last one of two rows would cost as much as eight */
        p.a_panels = parts(p.rows, p.height);
        plan_pieces(&p);
        int64_t work = p.rows * g->k / kern->vw;
        cpu_for(c, parts(p.a_panels, PACK_PANELS), work, piece_pack, &p);
        cpu_for(c, p.col_cuts * p.row_cuts, work * g->n / 2, piece_block, &p);
    }
}

/* ---- few columns, a by rows: b is packed once, a is read where it lies ---- */

static void piece_narrow_rows(void *ctx, int64_t panel, int worker)
{
    (void)worker;
    const Plan *p = ctx;
    const Gemm *g = p->g;
    int64_t nr = p->cpu->kern->nr, j = panel * nr;
    p->tiles->b_rows(g->b_type, p->ap + panel * p->a_step, nr, b_at(g, j * g->ldb), g->ldb, MIN(g->n - j, nr), g->k);
}

static void piece_narrow_cols(void *ctx, int64_t stretch, int worker)
{
    (void)worker;
    const Plan *p = ctx;
    const Gemm *g = p->g;
    int64_t nr = p->cpu->kern->nr, k0 = stretch * p->stretch;
    p->tiles->b_cols(g->b_type, p->ap + k0 * nr, nr, p->a_step, b_at(g, k0 * g->ldb), g->ldb, g->n, MIN(g->k - k0, p->stretch));
}

static void piece_narrow(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const Plan *p = ctx;
    const Gemm *g = p->g;
    const Kern *kern = p->cpu->kern;
    int64_t from = cut(g->m, p->row_cuts, piece), to = cut(g->m, p->row_cuts, piece + 1);
    for (int64_t s = 0; s < p->stretches; s++) {
        int64_t k0 = s * p->stretch, k = MIN(g->k - k0, p->stretch);
        for (int64_t i = from; i < to; i += kern->mr_rows)
            for (int64_t panel = 0; panel < p->b_panels; panel++) {
                int64_t j = panel * kern->nr;
                Epi e = epi_at(g, s, j);
                kern->tile_rows(MIN(to - i, kern->mr_rows), MIN(g->n - j, kern->nr), k, g->a + i * g->lda + k0, g->lda,
                                p->ap + panel * p->a_step + k0 * kern->nr, kern->nr, g->c + i * g->ldc + j, g->ldc, &e);
            }
    }
}

static void gemm_narrow(Cpu *c, const Gemm *g)
{
    const Kern *kern = c->kern;
    Plan p = plan_of(c, g, &kern->f32);
    p.a_step = parts(g->k * kern->nr + kern->vw, 16) * 16;
    p.ap = cpu_slot(c, SLOT_PACK, (size_t)(p.b_panels * p.a_step) * sizeof(float));
    if (!p.ap)
        return;
    int64_t rows = MIN(NARROW_ROWS, MAX(kern->mr_rows, g->m / (4 * c->be.threads)));
    p.row_cuts = parts(g->m, rows);
    cpu_for(c, g->b_rows ? p.b_panels : p.stretches, g->n * g->k / kern->vw, g->b_rows ? piece_narrow_rows : piece_narrow_cols, &p);
    cpu_for(c, p.row_cuts, g->m * g->n * g->k / (2 * kern->vw), piece_narrow, &p);
}

/* ---- few columns of a tall result, both operands by columns: the transposed product, then its transpose ---- */

static void gemm_transposed(Cpu *c, const Gemm *g)
{
    int64_t ldt = g->m;
    float *t = cpu_slot(c, SLOT_SUMS, (size_t)(g->n * ldt) * sizeof(float)); /* [n, m] */
    if (!t)
        return;
    gemm_packed(c, &(Gemm){ .m = g->n, .n = g->m, .k = g->k, .a = g->b, .lda = g->ldb, .a_rows = g->b_rows, .b = g->a, .ldb = g->lda,
                            .b_rows = g->a_rows, .b_type = DT_F32, .c = t, .ldc = ldt, .epi = { .alpha = g->epi.alpha } }, c->tiles[c->be.compute]);
    for (int64_t i = 0; i < g->m; i++)
        for (int64_t j = 0; j < g->n; j++)
            g->c[i * g->ldc + j] = (g->epi.load ? g->c[i * g->ldc + j] : 0.0f) + t[j * ldt + i] + (g->epi.bias ? g->epi.bias[j] : 0.0f);
}

/* ---- few rows ---- */

#define GEMV_PIECE 262144 /* numbers of b in one piece; smaller ones begin too often with rows that the processor did not see coming */
#define GEMV_GROUP 16     /* rows of b that are read together: at most so many */

typedef struct FewRows {
    const Gemm *g;
    GemvFn      gemv;
    const void *x;             /* rows as the type's gemv takes them, ldx bytes apart */
    int64_t     ldx, pieces;
} FewRows;

static void piece_gemv(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const FewRows *p = ctx;
    const Gemm *g = p->g;
    int64_t groups = parts(g->n, GEMV_GROUP), j = cut(groups, p->pieces, piece) * GEMV_GROUP;
    int64_t n = MIN(g->n, cut(groups, p->pieces, piece + 1) * GEMV_GROUP) - j;
    Epi e = epi_at(g, 0, j);
    p->gemv(g->m, n, g->k, p->x, p->ldx, b_at(g, j * g->ldb), g->ldb, g->c + j, g->ldc, &e);
}

static void gemm_few(Cpu *c, const Gemm *g)
{
    const Few *few = c->few[g->b_type];
    FewRows p = { .g = g, .gemv = few->gemv[g->b_type], .x = g->a, .ldx = g->lda * (int64_t)sizeof(float) };
    size_t each = few->x_bytes(g->b_type, g->k);
    if (each) {
        char *x = cpu_slot(c, SLOT_PACK, (size_t)g->m * each);
        if (!x)
            return;
        for (int64_t i = 0; i < g->m; i++)
            few->x(g->b_type, g->k, g->a + i * g->lda, x + (size_t)i * each);
        p.x = x;
        p.ldx = (int64_t)each;
    }
    p.pieces = MIN(parts(parts(g->n * g->k, GEMV_PIECE), c->be.threads) * c->be.threads, parts(g->n, GEMV_GROUP));
    cpu_for(c, p.pieces, g->m * g->n * g->k / c->kern->vw * 4, piece_gemv, &p); /* reading is most of the work */
}

#define PAIR 128 /* longest inner side of a pair that joins the product of its weight: the buffers grow by it */

/* The two products of a pair one after the other. */
static void gemm_apart(Cpu *c, const Gemm *g)
{
    Gemm own = *g, pair = { .m = g->m, .n = g->n, .k = g->k2, .a = g->a2, .lda = g->lda2, .a_rows = true, .b = g->b2, .b_type = DT_F32, .ldb = g->ldb2,
                            .b_rows = g->b_rows, .c = g->c, .ldc = g->ldc, .epi = { .alpha = g->epi.alpha, .load = true } };
    own.k2 = 0;
    cpu_gemm(c, &own);
    cpu_gemm(c, &pair);
}

void cpu_gemm(Cpu *c, const Gemm *g)
{
    const Tiles *whole = whole_tiles(c, g);
    const bool   narrow = g->n <= NARROW && g->a_rows && c->be.compute == COMPUTE_F32;
    if (g->m == 0 || g->n == 0)
        return;
    if (g->k2 && (g->m <= GEMV_ROWS || narrow || whole || g->k2 > PAIR)) {
        gemm_apart(c, g);
        return;
    }
    if (g->m <= GEMV_ROWS && g->a_rows && g->b_rows)
        gemm_few(c, g);
    else if (whole)
        gemm_packed(c, g, whole);
    else if (narrow)
        gemm_narrow(c, g);
    else if (g->n <= SLIM && g->m >= 4 * g->n && !g->a_rows && !g->b_rows && g->b_type == DT_F32)
        gemm_transposed(c, g);
    else
        gemm_packed(c, g, c->tiles[c->be.compute]);
}

/* ---- the products of the backend ---- */

void cpu_linear(Backend *be, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, float alpha, bool accumulate)
{
    Cpu *c = cpu_of(be);
    const float *bias = cpu_wide(c, SLOT_WIDE, b);
    if (b && !bias)
        return;
    cpu_gemm(c, &(Gemm){ .m = tensor_rows(x), .n = tensor_rows(w), .k = tensor_cols(x), .a = f32(x), .lda = x->ld, .a_rows = true,
                                  .b = w->data, .b_type = w->dtype, .ldb = w->ld, .b_rows = true, .c = f32(y), .ldc = y->ld,
                                  .epi = { .alpha = alpha, .load = accumulate, .bias = bias } });
}

void cpu_linear_dx(Backend *be, Tensor *dx, const Tensor *dy, const Tensor *w, float alpha)
{
    cpu_gemm(cpu_of(be), &(Gemm){ .m = tensor_rows(dx), .n = tensor_cols(dx), .k = tensor_cols(dy), .a = f32(dy), .lda = dy->ld, .a_rows = true,
                                  .b = w->data, .b_type = w->dtype, .ldb = w->ld, .b_rows = false, .c = f32(dx), .ldc = dx->ld,
                                  .epi = { .alpha = alpha, .load = true } });
}

void cpu_linear_pair(Backend *be, Tensor *y, const Tensor *x, const Tensor *w, const Tensor *b, const Tensor *x2, const Tensor *w2)
{
    Cpu *c = cpu_of(be);
    const float *bias = cpu_wide(c, SLOT_WIDE, b);
    if (b && !bias)
        return;
    cpu_gemm(c, &(Gemm){ .m = tensor_rows(x), .n = tensor_rows(w), .k = tensor_cols(x), .a = f32(x), .lda = x->ld, .a_rows = true,
                         .b = w->data, .b_type = w->dtype, .ldb = w->ld, .b_rows = true, .c = f32(y), .ldc = y->ld, .epi = { .alpha = 1, .bias = bias },
                         .k2 = tensor_cols(x2), .a2 = f32(x2), .lda2 = x2->ld, .b2 = f32(w2), .ldb2 = w2->ld });
}

void cpu_linear_dx_pair(Backend *be, Tensor *dx, const Tensor *dy, const Tensor *w, const Tensor *dy2, const Tensor *w2)
{
    cpu_gemm(cpu_of(be), &(Gemm){ .m = tensor_rows(dx), .n = tensor_cols(dx), .k = tensor_cols(dy), .a = f32(dy), .lda = dy->ld, .a_rows = true,
                                  .b = w->data, .b_type = w->dtype, .ldb = w->ld, .c = f32(dx), .ldc = dx->ld, .epi = { .alpha = 1, .load = true },
                                  .k2 = tensor_cols(dy2), .a2 = f32(dy2), .lda2 = dy2->ld, .b2 = f32(w2), .ldb2 = w2->ld });
}

void cpu_linear_dw(Backend *be, Tensor *dw, const Tensor *dy, const Tensor *x, float alpha)
{
    cpu_gemm(cpu_of(be), &(Gemm){ .m = tensor_cols(dy), .n = tensor_cols(x), .k = tensor_rows(x), .a = f32(dy), .lda = dy->ld, .a_rows = false,
                                  .b = f32(x), .b_type = DT_F32, .ldb = x->ld, .b_rows = false, .c = f32(dw), .ldc = dw->ld,
                                  .epi = { .alpha = alpha, .load = true } });
}

/* ---- bias gradient: column sums ---- */

#define DB_COLS 256  /* columns of one piece */
#define DB_RUN  128  /* rows summed before the sum joins the total: keeps f32 sums short */

typedef struct ColumnSums { const Tensor *dy; Tensor *db; const Kern *kern; } ColumnSums;

static void piece_db(void *ctx, int64_t piece, int worker)
{
    (void)worker;
    const ColumnSums *p = ctx;
    float run[DB_COLS], total[DB_COLS] = { 0 };
    int64_t col = piece * DB_COLS, n = MIN(tensor_cols(p->dy) - col, DB_COLS), rows = tensor_rows(p->dy);
    for (int64_t r0 = 0; r0 < rows; r0 += DB_RUN) {
        memset(run, 0, sizeof run);
        for (int64_t r = r0; r < MIN(rows, r0 + DB_RUN); r++)
            p->kern->axpy(n, run, 1.0f, f32(p->dy) + r * p->dy->ld + col);
        p->kern->axpy(n, total, 1.0f, run);
    }
    p->kern->axpy(n, f32(p->db) + col, 1.0f, total);
}

void cpu_linear_db(Backend *be, Tensor *db, const Tensor *dy)
{
    ColumnSums p = { .dy = dy, .db = db, .kern = cpu_of(be)->kern };
    cpu_for(cpu_of(be), (tensor_cols(dy) + DB_COLS - 1) / DB_COLS, tensor_numel(dy) / cpu_of(be)->kern->vw, piece_db, &p);
}
