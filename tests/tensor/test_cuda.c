/* test_cuda.c - the cuda backend, by the rows of op_cases.c and by itself. Built twice: with the stand-in for a card (HONE_CUDA_HOST, see cuda_host/), on every machine with a C++
 * compiler; and as test_cuda_card with the backend itself, which skips where no card is.
 * 1. Every function at every row's shape against `ref`, between guard bytes, in f32 and in bf16; the same bits again, with the threads in another order.
 * 2. Stored types, caches, long and short copies, tables, memory that ends, failures that stick, cards that cannot be used: what is said and what is left behind.
 * 3. Every kernel of the sources has run. */
#include "tensor/cuda/cuda.h"
#include "tensor/op_kits.c"
#ifdef HONE_CUDA_HOST
#include "tensor/cuda_host/host_control.h"
#include <dirent.h>
#endif

/* What the stand-in saw, or nothing. */
static void expect_no_fault(void)
{
#ifdef HONE_CUDA_HOST
    if (host_cuda_fault())
        fail_msg("%s", host_cuda_fault());
#endif
}

static Backend *open_card(void)
{
    Err e = { 0 };
    Backend *be = backend_cuda_open(-1, &e);
    if (!be)
        fail_msg("%s", e.text);
    return be;
}

static void close_card(Backend *be)
{
    be->close(be);
    expect_no_fault();
#ifdef HONE_CUDA_HOST
    assert_int_equal(host_cuda_leaks(), 0);
#endif
}

/* ---- 1: the rows ---- */

/* The same once more, with threads and blocks in another order where that can be asked for (backwards and shuffled take turns); and nothing more of the card's memory is
 * asked for than the case's own boxes: after the first turn no scratch grows. */
static void expect_bits_again(const OpCase *c, const Lab *first, Backend *be, bool bf16)
{
    const char *where = "";
    Lab again;
#ifdef HONE_CUDA_HOST
    const long before = host_cuda_calls("cudaMalloc") + host_cuda_calls("cudaMallocHost");
    host_cuda_order((HostOrder)(1 + (c - op_cases) % (HOST_ORDERS - 1)));
#endif
    run_kernels(&again, c, be, bf16);
    if (!lab_same_bits(&again, first, &where))
        fail_msg("%s, case %d: \"%s\" has other bits when it is computed again", case_op(c), (int)(c - op_cases), where);
#ifdef HONE_CUDA_HOST
    host_cuda_order(HOST_FORWARD);
    const long blocks = host_cuda_calls("cudaMalloc") + host_cuda_calls("cudaMallocHost") - before - again.n;
    if (blocks != 0)
        fail_msg("%s, case %d: %ld blocks of memory were made in the second turn", case_op(c), (int)(c - op_cases), blocks);
#endif
    lab_release(&again);
}

/* In bf16 attention is held to BF16_TOL, as the head is: of operands that are bf16 already only probabilities p and their gradients ds are rounded, each by at most 2^-9 of
 * itself; what o errs by enters D = dout . o, and with it each ds once more. That is 2^-8 of each term of dq, dk and dv, in both directions. */
static void every_case(bool bf16)
{
    Backend *ref = backend_open("ref", 1, NULL), *be = open_card();
    double   worst[OP_COUNT + 1] = { 0 };
    bool     good = true;
    be->compute = bf16 ? COMPUTE_BF16 : COMPUTE_F32;
    for (const OpCase *c = op_cases; c < op_cases + op_cases_count; c++) {
        const bool   loose = c->op == OP_HEAD_LOGP || c->op == OP_HEAD_FUSED || c->op == OP_ATTENTION;
        const double slack = c->slack > 0 ? c->slack : 1.0, allowed = bf16 && loose ? BF16_TOL : CPU_TOL;
        Lab want, got;
        if (bf16 && c->op != OP_ATTENTION && (!is_product((OpKind)c->op) || (c->stored != DT_F32 && c->stored != DT_BF16)))
            continue;
        run_kernels(&want, c, ref, bf16);
        run_kernels(&got, c, be, bf16);
        expect_no_fault();
        const double d = lab_difference(&got, &want, allowed * slack, case_op(c)) / slack;
        worst[c->op] = fmax(worst[c->op], d);
        good &= d <= allowed;
        expect_bits_again(c, &got, be, bf16);
        lab_release(&got);
        lab_release(&want);
    }
    for (int op = 0; op <= CASE_SERVICES; op++)
        if (worst[op] > 0)
            print_message("cuda%s - ref %-11s worst %.1e of %.0e\n", bf16 ? " bf16" : "", op == CASE_SERVICES ? "SERVICES" : op_name((OpKind)op), worst[op],
                          bf16 && (op == OP_HEAD_LOGP || op == OP_HEAD_FUSED || op == OP_ATTENTION) ? BF16_TOL : CPU_TOL);
    close_card(be);
    ref->close(ref);
    assert_true(good);
}

static void every_case_matches_ref(void **state)
{
    (void)state;
    every_case(false);
}

static void products_in_bf16_match_ref(void **state)
{
    (void)state;
    every_case(true);
}

/* ---- 2: rows and copies ---- */

static float *numbers(int64_t n, uint64_t seed)
{
    float *v = mem_alloc((size_t)n * sizeof *v);
    Rng rng = rng_at(11, RNG_TEST, seed, 0);
    rng_normals(&rng, v, n);
    return v;
}

static Tensor *mat(TArena *a, DType t, int64_t rows, int64_t cols)
{
    Tensor *x = tarena_tensor(a, NULL, t, 2, (int64_t[]){ rows, cols });
    assert_non_null(x);
    return x;
}

/* Every type that can be written, from F32: the bytes of dtype_from_f32, also of numbers that have no place in it. */
static void copies_have_the_bytes_of_the_type(void **state)
{
    (void)state;
    enum { ROWS = 5, MOST = 300 };
    static const float odd[] = { NAN, INFINITY, -INFINITY, 0.0f, -0.0f, 65519.9f, 65520.0f, 1e-8f, -2.98e-8f, 1e-40f, 3e38f, 0.5f, 1.5f, 2.5f };
    Backend *be = open_card();
    TArena   a;
    tarena_init(&a, be);
    for (int t = 0; t < DT_COUNT; t++) {
        if (!dtype_writable((DType)t) || t == DT_I32)
            continue;
        for (int64_t cols = 37; cols <= MOST; cols += 91) {
            const int64_t whole = dtype_whole((DType)t, cols);
            const size_t  row = dtype_bytes((DType)t, whole);
            Tensor *src = mat(&a, DT_F32, ROWS, cols), *dst = mat(&a, (DType)t, ROWS + 2, whole);
            float  *v = numbers(ROWS * cols, (uint64_t)(t * 1000 + cols)), *wide = mem_zalloc((size_t)whole, sizeof *wide);
            char   *got = mem_alloc((ROWS + 2) * row), *want = mem_alloc(row);
            for (int64_t i = 0; i < cols; i++) { /* a row of zeros, one of numbers that overflow or vanish, one with everything; a block spoiled by NaN differs between types only */
                v[cols + i] = 0;
                v[2 * cols + i] *= i % 2 ? 1e-41f : 1e-6f;
                if (dtype_block((DType)t) == 1 || t == DT_Q8_0)
                    v[3 * cols + i] = odd[i % (int64_t)ARRAY_LEN(odd)];
            }
            memset(got, 0x5A, (ROWS + 2) * row);
            be->upload(be, dst->data, got, (ROWS + 2) * row);
            be->upload(be, src->data, v, (size_t)(ROWS * cols) * sizeof *v);
            be->copy_rows(be, dst, 1, src, 0, ROWS);
            be->download(be, got, dst->data, (ROWS + 2) * row);
            for (int64_t r = 0; r < ROWS; r++) {
                memcpy(wide, v + r * cols, (size_t)cols * sizeof *wide);
                dtype_from_f32(want, wide, (DType)t, whole);
                if (memcmp(got + (size_t)(1 + r) * row, want, row) != 0)
                    fail_msg("row %d of %d numbers copied to %s has other bytes than dtype_from_f32 gives", (int)r, (int)cols, dtype_name((DType)t));
            }
            for (size_t i = 0; i < row; i++)
                assert_true(got[i] == 0x5A && got[(ROWS + 1) * row + i] == 0x5A);
            free(v);
            free(wide);
            free(got);
            free(want);
        }
    }
    tarena_release(&a);
    close_card(be);
}

/* An id that comes at every place, and one that never does. */
static void embedding_gathers_in_order(void **state)
{
    (void)state;
    enum { N = 700, D = 70, V = 5 };
    Backend *be = open_card(), *ref = backend_open("ref", 1, NULL);
    for (int once = 0; once < 2; once++) {
        float *dy = numbers(N * D, 3), *got = mem_alloc(V * D * sizeof *got), *want = mem_alloc(V * D * sizeof *want);
        int32_t id[N];
        for (int i = 0; i < N; i++)
            id[i] = once ? 2 : (i * 7 + i / 100) % (V - 1);
        for (int k = 0; k < 2; k++) {
            Backend *b = k ? ref : be;
            TArena   a;
            tarena_init(&a, b);
            Tensor *d = mat(&a, DT_F32, N, D), *t = mat(&a, DT_F32, V, D), *ids = tarena_tensor(&a, NULL, DT_I32, 1, (int64_t[]){ N });
            b->upload(b, d->data, dy, N * D * sizeof *dy);
            b->upload(b, ids->data, id, sizeof id);
            b->fill(b, t, 0.1f);
            b->embed_bwd(b, t, d, ids);
            b->download(b, k ? want : got, t->data, V * D * sizeof *got);
            assert_int_equal(b->sync(b, NULL), 0);
            tarena_release(&a);
        }
        assert_memory_equal(got, want, V * D * sizeof *got);
        free(dy);
        free(got);
        free(want);
    }
    ref->close(ref);
    close_card(be);
}

/* One step with moments of 8 bits, which are then the gradient and its square: the bytes of the type. Of what else they may hold: test_cuda_rows.c. */
static void moments_of_8_bits_match_ref(void **state)
{
    (void)state;
    enum { N = 700, BLOCKS = 3 };
    const AdamW a = { .lr = 1e-3f, .eps = 1e-8f, .step = 1 };
    const int64_t flat = BLOCKS * dtype_block(DT_DYN8);
    const size_t  bytes = dtype_bytes(DT_DYN8, flat);
    Backend *be[2] = { open_card(), backend_open("ref", 1, NULL) };
    float   *v = numbers(N, 21);
    uint8_t *zero = mem_zalloc(1, bytes), *got[2][2];
    for (int k = 0; k < 2; k++) {
        TArena t;
        tarena_init(&t, be[k]);
        Tensor *w = mat(&t, DT_F32, 1, N), *g = mat(&t, DT_F32, 1, N), *moment[2] = { mat(&t, DT_DYN8, 1, flat), mat(&t, DT_UDYN8, 1, flat) };
        be[k]->upload(be[k], g->data, v, N * sizeof *v);
        be[k]->fill(be[k], w, 0.5f);
        for (int i = 0; i < 2; i++)
            be[k]->upload(be[k], moment[i]->data, zero, bytes);
        be[k]->adamw(be[k], w, g, moment[0], moment[1], &a, 1);
        for (int i = 0; i < 2; i++) {
            got[k][i] = mem_alloc(bytes);
            be[k]->download(be[k], got[k][i], moment[i]->data, bytes);
        }
        assert_int_equal(be[k]->sync(be[k], NULL), 0);
        tarena_release(&t);
    }
    for (int i = 0; i < 2; i++) {
        assert_memory_equal(got[0][i], got[1][i], bytes);
        free(got[0][i]);
        free(got[1][i]);
    }
    free(v);
    free(zero);
    be[1]->close(be[1]);
    close_card(be[0]);
}

/* Short, long, and just between; the source changes as soon as upload returns. */
static void copies_arrive_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 63, 4096, (256 << 10) - 1, 256 << 10, (16 << 20) - 5, 16 << 20, (16 << 20) + 1, (32 << 20) + 12345, (49 << 20) + 7 };
    Backend *be = open_card();
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const size_t n = sizes[i];
        uint8_t *src = mem_alloc(n), *dst = mem_alloc(n), *p = be->alloc(be, n), *q = be->alloc(be, n);
        assert_non_null(p);
        assert_non_null(q);
        for (size_t k = 0; k < n; k++)
            src[k] = (uint8_t)(k * 2654435761u >> 13 ^ i);
        be->upload(be, p, src, n);
        memset(src, 0, n);
        be->upload(be, q, src, n); /* through the same buffers */
        be->download(be, dst, p, n);
        for (size_t k = 0; k < n; k++)
            if (dst[k] != (uint8_t)(k * 2654435761u >> 13 ^ i))
                fail_msg("byte %zu of %zu came back as %d", k, n, dst[k]);
        be->download(be, dst, q, n);
        assert_memory_equal(dst, src, n);
        assert_int_equal(be->sync(be, NULL), 0);
        be->release(be, p, n);
        be->release(be, q, n);
        free(src);
        free(dst);
    }
    close_card(be);
}

static void names_are_understood(void **state)
{
    (void)state;
    static const struct { const char *name, *says; } wrong[] = {
        { "cuda:", "choose one of: cpu, cuda[:number], ref" }, { "cuda0", "choose one of" }, { "cud", "choose one of" }, { "cpu:1", "choose one of" },
        { "cuda:x", "should name a card by its number" }, { "cuda:1x", "should name a card by its number" }, { "cuda:-1", "should name a card by its number" },
        { "cuda:99999999999", "should name a card by its number" }, { "cuda:77", "There is no card cuda:77" },
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        Err e = { 0 };
        assert_null(backend_open(wrong[i].name, 0, &e));
        assert_int_equal(e.code, ERR_ARG);
        if (!strstr(e.text, wrong[i].says))
            fail_msg("\"%s\": \"%s\" does not say \"%s\"", wrong[i].name, e.text, wrong[i].says);
    }
    static const char *const right[] = { "cuda", "cuda:0" };
    for (size_t i = 0; i < ARRAY_LEN(right); i++) {
        Err e = { 0 };
        size_t free_bytes, total;
        Backend *be = backend_open(right[i], 0, &e), *cpu = backend_open("cpu", 1, NULL);
        if (!be)
            fail_msg("%s: %s", right[i], e.text);
        assert_string_equal(be->name, "cuda");
        assert_int_equal(backend_check(be, COMPUTE_BF16, &e), 0);
        assert_true(backend_cuda_memory(be, &free_bytes, &total) && free_bytes > 0 && free_bytes <= total);
        assert_false(backend_cuda_memory(cpu, &free_bytes, &total));
        cpu->close(cpu);
        close_card(be);
    }
    assert_string_equal(backend_auto(), backend_cuda_proven() ? "cuda" : "cpu");
}

/* ---- attention over caches of other types ---- */

/* A prompt's rest (tiles), queries alone and a few (parts of the keys); of F16 and Q8_0 the bits that the same numbers in F32 give, in both ways of computing, aligned or not. */
static void cache_is_its_numbers(void **state)
{
    (void)state;
    enum { HEADS = 4, KV = 2, QUERIES = 27, KEYS = 420 };
    static const DType types[] = { DT_F16, DT_Q8_0 };
    static const int32_t q0[] = { 0, 20, 21 }, nq[] = { 20, 1, 6 }, k0[] = { 1, 41, 75 }, nk[] = { 39, 33, 345 };
    Backend *be = open_card();
    for (int d = 36; d <= 37; d++)
        for (size_t i = 0; i < 2 * ARRAY_LEN(types); i++) {
            const DType type = types[i / 2];
            const int64_t whole = dtype_whole(type, d), cols = KV * whole;
            const size_t bytes = dtype_bytes(type, KEYS * cols), out = (size_t)(QUERIES * HEADS * d) * sizeof(float);
            const AttnShape s = { .n_seg = 3, .q0 = q0, .nq = nq, .k0 = k0, .nk = nk, .heads = HEADS, .kv_heads = KV, .head_dim = d, .scale = 0.2f };
            TArena a;
            tarena_init(&a, be);
            be->compute = i % 2 ? COMPUTE_BF16 : COMPUTE_F32;
            Tensor *q = mat(&a, DT_F32, QUERIES, HEADS * d), *o[2], *kv[2][2];
            float  *v = numbers(QUERIES * HEADS * d, 5), *got[2];
            be->upload(be, q->data, v, out);
            free(v);
            for (int n = 0; n < 2; n++) { /* keys, values: in the type, and as F32 */
                float *wide = numbers(KEYS * cols, (uint64_t)(7 + n)), *plain = mem_alloc((size_t)(KEYS * KV * d) * sizeof *plain);
                char  *stored = mem_alloc(bytes);
                for (int64_t r = 0; r < KEYS * KV; r++)
                    for (int64_t c = d; c < whole; c++)
                        wide[r * whole + c] = 0;
                if (type == DT_F16)
                    for (int64_t r = 0; r < KEYS * KV; r += 7) /* numbers below the normal ones */
                        wide[r * whole] *= 1e-6f;
                dtype_from_f32(stored, wide, type, KEYS * cols);
                dtype_to_f32(wide, stored, type, KEYS * cols);
                for (int64_t r = 0; r < KEYS * KV; r++)
                    memcpy(plain + r * d, wide + r * whole, (size_t)d * sizeof *plain);
                kv[0][n] = mat(&a, type, KEYS, cols);
                kv[1][n] = mat(&a, DT_F32, KEYS, KV * d);
                be->upload(be, kv[0][n]->data, stored, bytes);
                be->upload(be, kv[1][n]->data, plain, (size_t)(KEYS * KV * d) * sizeof *plain);
                free(wide);
                free(plain);
                free(stored);
            }
            for (int n = 0; n < 2; n++) {
                be->attn(be, o[n] = mat(&a, DT_F32, QUERIES, HEADS * d), NULL, q, kv[n][0], kv[n][1], &s);
                be->download(be, got[n] = mem_alloc(out), o[n]->data, out);
            }
            assert_int_equal(be->sync(be, NULL), 0);
            for (int64_t j = 0; j < QUERIES * HEADS * d; j++)
                assert_true(isfinite(got[0][j]));
            if (memcmp(got[0], got[1], out) != 0)
                fail_msg("attention over a cache of %s, heads of %d, %s: other bits than over its numbers", dtype_name(type), d, compute_name(be->compute));
            free(got[0]);
            free(got[1]);
            tarena_release(&a);
        }
    close_card(be);
}

#ifdef HONE_CUDA_HOST

/* ---- cards that cannot be used, memory that ends, failures ---- */

static void what_cannot_be_used_says_why(void **state)
{
    (void)state;
    static const struct { HostCuda h; int device, code; const char *says; int count; const char *described; } rows[] = {
        { { .driver = -1 }, -1, ERR_IO, "no NVIDIA driver", 0, "none (This machine has no NVIDIA driver" },
        { { .driver = 12040 }, -1, ERR_IO, "serves CUDA up to 12.4, and this hone needs 13.0; install a newer driver", 0, "none (The NVIDIA driver serves" },
        { { .devices = -1 }, 0, ERR_IO, "shows no card", 0, "none (The NVIDIA driver shows no card" },
        { { .capability = 75 }, -1, ERR_ARG, "has compute capability 7.5, and hone needs 8.0", 0, "stand-in (7.5, 4.0 GiB, too old), driver 13.0" },
        { { .devices = 2 }, 2, ERR_ARG, "There is no card cuda:2: the driver shows 2", 2, "stand-in (9.0, 4.0 GiB), stand-in (9.0, 4.0 GiB), driver 13.0" },
        { { .fail_call = "cudaGetDeviceCount", .fail_nth = 1, .fail_code = 999 }, 0, ERR_IO, "does not answer", 1, NULL },
        { { .fail_call = "cudaSetDevice", .fail_nth = 1, .fail_code = 214 }, 0, ERR_IO, "cuda:0 failed at \"choosing the card\": uncorrectable ECC error", 0, NULL },
        { { .fail_call = "launch", .fail_nth = 1, .fail_code = 209 }, 0, ERR_ARG, "compute capability 9.0, for which this hone holds no code", 1, NULL },
        { { .memory = 1000 }, 0, ERR_MEM, "Out of memory on cuda:0", 1, NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        Err    e = { 0 };
        StrBuf text = { 0 };
        host_cuda_set(&rows[i].h);
        assert_null(backend_cuda_open(rows[i].device, &e));
        if (e.code != rows[i].code || !strstr(e.text, rows[i].says))
            fail_msg("row %zu: code %d, \"%s\" does not say \"%s\"", i, e.code, e.text, rows[i].says);
        assert_int_equal(host_cuda_leaks(), 0);
        assert_int_equal(backend_cuda_count(), rows[i].count);
        assert_string_equal(backend_auto(), rows[i].count > 0 && backend_cuda_proven() ? "cuda" : "cpu");
        backend_cuda_describe(&text);
        if (rows[i].described && strncmp(strbuf_z(&text), rows[i].described, strlen(rows[i].described)) != 0)
            fail_msg("row %zu is described as \"%s\"", i, strbuf_z(&text));
        strbuf_release(&text);
        expect_no_fault();
    }
    host_cuda_set(NULL);
}

/* Whichever call fails, open says so or succeeds, and leaves nothing behind. */
static void open_fails_cleanly_at_every_call(void **state)
{
    (void)state;
    static const char *const calls[] = { "cudaGetDeviceCount", "cudaGetDeviceProperties", "cudaSetDevice", "cudaStreamCreate", "cudaEventCreate", "cudaMalloc", "cudaMallocHost",
                                         "launch", "cudaMemcpyAsync", "cudaStreamSynchronize", "kernel" };
    static const int codes[] = { 2, 719, 999 };
    int failed = 0;
    for (size_t i = 0; i < ARRAY_LEN(calls) * ARRAY_LEN(codes) * 4; i++) {
        Err e = { 0 };
        const HostCuda h = { .fail_call = calls[i / 12], .fail_nth = (int)(i % 4) + 1, .fail_code = codes[i / 4 % 3] };
        host_cuda_set(&h);
        Backend *be = backend_cuda_open(0, &e);
        failed += !be;
        assert_true(be || (e.code < 0 && *e.text));
        if (be)
            be->close(be);
        assert_int_equal(host_cuda_leaks(), 0);
        expect_no_fault();
    }
    assert_true(failed >= 20);
    host_cuda_set(NULL);
}

static void memory_that_ends_is_told_and_tried_again(void **state)
{
    (void)state;
    const HostCuda h = { .memory = 24 << 20 };
    Err e = { 0 };
    host_cuda_set(&h);
    Backend *be = open_card();
    TArena   a;
    tarena_init(&a, be);
    assert_null(be->alloc(be, (size_t)1 << 40));
    assert_int_equal(be->sync(be, &e), 0); /* alloc's NULL says it all */
    /* scratch: the rows of a table that is not F32 are gathered first */
    Tensor *table = mat(&a, DT_F16, 2, 4096), *y = mat(&a, DT_F32, 900, 4096), *ids = tarena_tensor(&a, NULL, DT_I32, 1, (int64_t[]){ 900 });
    int32_t zero[900] = { 0 };
    be->upload(be, ids->data, zero, sizeof zero);
    be->embed(be, y, table, ids);
    assert_int_equal(be->sync(be, &e), ERR_MEM);
    assert_non_null(strstr(e.text, "Out of memory on cuda:0: a working space of"));
    y->dim[0] = ids->dim[0] = 10; /* with less it goes on */
    be->embed(be, y, table, ids);
    assert_int_equal(be->sync(be, &e), 0);
    tarena_release(&a);
    close_card(be);
    host_cuda_set(NULL);
}

/* A kernel that dies: the next sync says so, nothing is computed any more, and the end is orderly. */
static void failures_stick(void **state)
{
    (void)state;
    const HostCuda h = { .fail_call = "kernel kernel_rope", .fail_nth = 1, .fail_code = 719 };
    Err e = { 0 };
    host_cuda_set(&h);
    Backend *be = open_card();
    TArena   a;
    tarena_init(&a, be);
    Tensor *x = mat(&a, DT_F32, 3, 8), *cosv = mat(&a, DT_F32, 4, 4), *sinv = mat(&a, DT_F32, 4, 4), *pos = tarena_tensor(&a, NULL, DT_I32, 1, (int64_t[]){ 3 });
    const int32_t at[3] = { 0, 1, 2 };
    be->upload(be, pos->data, at, sizeof at);
    be->fill(be, x, 1.0f);
    assert_int_equal(be->sync(be, &e), 0);
    be->rope(be, x, pos, &(RopeTable){ .cos = cosv, .sin = sinv, .rot = 8 }, 8, 1);
    for (int i = 0; i < 3; i++) {
        float v[24] = { 0 };
        assert_int_equal(be->sync(be, &e), ERR_IO);
        assert_non_null(strstr(e.text, "cuda:0 failed at \"waiting for the card\": unspecified launch failure (error 719)"));
        const long launches = host_cuda_calls("launch");
        be->fill(be, x, 2.0f);
        be->download(be, v, x->data, sizeof v);
        assert_true(v[0] == 0.0f && host_cuda_calls("launch") == launches);
        assert_null(be->alloc(be, 64));
    }
    tarena_release(&a);
    be->close(be);
    expect_no_fault();
    assert_int_equal(host_cuda_leaks(), 0);
    host_cuda_set(NULL);
}

/* An id outside of its table is the caller's mistake: the kernel stops instead of reading elsewhere. */
static void a_bad_id_stops_the_kernel(void **state)
{
    (void)state;
    Err e = { 0 };
    Backend *be = open_card();
    TArena   a;
    tarena_init(&a, be);
    Tensor *table = mat(&a, DT_F32, 2, 8), *y = mat(&a, DT_F32, 1, 8), *ids = tarena_tensor(&a, NULL, DT_I32, 1, (int64_t[]){ 1 });
    const int32_t id = 2;
    be->fill(be, table, 1.0f);
    be->upload(be, ids->data, &id, sizeof id);
    be->embed(be, y, table, ids);
    assert_int_equal(be->sync(be, &e), ERR_IO);
    assert_non_null(host_cuda_fault());
    assert_non_null(strstr(host_cuda_fault(), "kernel kernel_move_rows"));
    tarena_release(&a);
    be->close(be);
    assert_int_equal(host_cuda_leaks(), 0);
    host_cuda_set(NULL);
}

static size_t scratch_of(const OpCase *c, bool sizing)
{
    Backend *be = open_card();
    Lab      l;
    be->sizing = sizing;
    run_kernels(&l, c, be, false);
    be->sizing = false;
    lab_release(&l);
    const size_t n = host_cuda_used();
    close_card(be);
    return n;
}

static void sizing_takes_what_computing_takes(void **state)
{
    (void)state;
    check_sizing(scratch_of, 100000);
}

/* In every pace of the two tracks marks put a copy behind what wrote its place and before what writes it next; and copies on both tracks share their buffers. */
static void tracks_meet_at_marks(void **state)
{
    (void)state;
    enum { N = 80000, ROUNDS = 20 }; /* long; and more marks than are kept */
    for (int pace = 0; pace < HOST_PACES; pace++)
        for (int pinned = 0; pinned < 2; pinned++) {
            Err   e = { 0 };
            const size_t nbytes = N * sizeof(float);
            host_cuda_set(&(HostCuda){ .pace = (HostPace)pace });
            Backend *be = open_card();
            TArena   a;
            float   *mine = mem_alloc(ROUNDS * nbytes), *got = mem_alloc(nbytes);
            tarena_init(&a, be);
            Tensor *x = mat(&a, DT_F32, 1, N), *y = mat(&a, DT_F32, 1, N);
            memset(mine, 0, ROUNDS * nbytes);
            if (pinned)
                assert_true(be->pin(be, mine, ROUNDS * nbytes));
            for (int k = 0; k < ROUNDS; k++) { /* x goes out, comes back to y, and y is read */
                float *place = mine + k * N;
                be->fill(be, x, (float)k);
                be->after(be, TRACK_COPIES, be->mark(be, TRACK_KERNELS));
                be->take(be, place, x->data, nbytes);
                be->send(be, y->data, place, nbytes);
                be->after(be, TRACK_KERNELS, be->mark(be, TRACK_COPIES));
                be->scale(be, y, 2);
                if (k == ROUNDS - 1)
                    be->download(be, got, y->data, nbytes);
            }
            assert_int_equal(be->sync(be, &e), 0);
            for (int i = 0; i < N; i++)
                for (int k = 0; k < ROUNDS; k++)
                    assert_true(mine[k * N + i] == (float)k && got[i] == 2 * (ROUNDS - 1));
            if (pinned)
                be->unpin(be, mine);
            be->fill(be, y, 7);
            assert_int_equal(be->sync(be, &e), 0);
            for (int k = 0; k < 3; k++) { /* what is sent must not be lost to what is fetched through the same buffers */
                be->send(be, x->data, mine + k * N, nbytes);
                be->download(be, got, y->data, nbytes);
                assert_int_equal(be->sync(be, &e), 0);
                be->download(be, mine, x->data, nbytes);
                assert_true(got[N / 2] == 7 && mine[N / 2] == (float)k);
            }
            tarena_release(&a);
            close_card(be);
            free(mine);
            free(got);
        }
    host_cuda_set(NULL);
}

/* ---- 3: every kernel ---- */

/* The word before the bracket of parameters behind each __global__. */
static int kernels_not_run(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = mem_zalloc(1, 1 << 20);
    const size_t n = fread(text, 1, (1 << 20) - 1, f);
    int missing = 0;
    assert_true(n > 0 && n < (1 << 20) - 1);
    fclose(f);
    for (char *p = text; (p = strstr(p, "__global__"));) {
        char name[80] = "", word[80];
        p += strlen("__global__");
        while (*p && *p != '{' && *p != ';') {
            size_t k = strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
            snprintf(word, sizeof word, "%.*s", (int)MIN(k, sizeof word - 1), p);
            p += k ? k : 1;
            if (!k || p[strspn(p, " \n")] != '(')
                continue;
            if (strcmp(word, "__launch_bounds__") != 0) {
                snprintf(name, sizeof name, "%s", word);
                break;
            }
            int depth = 0; /* its own bracket */
            do
                depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
            while (*p++ && depth);
        }
        if (*name && !host_cuda_ran(name)) {
            print_error("%s: no test has run the kernel %s\n", path, name);
            missing++;
        }
    }
    free(text);
    return missing;
}

static void every_kernel_has_run(void **state)
{
    (void)state;
    const char *dir = TEST_DIR "/../src/tensor/cuda";
    DIR *d = opendir(dir);
    int  files = 0, missing = 0;
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        const size_t n = strlen(e->d_name);
        char path[1024];
        if (n < 4 || strcmp(e->d_name + n - 3, ".cu") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        missing += kernels_not_run(path);
        files++;
    }
    closedir(d);
    assert_true(files >= 4);
    assert_int_equal(missing, 0);
}
#endif

int main(int argc, char **argv)
{
    if (argc == 2)
        cmocka_set_test_filter(argv[1]); /* one of them, by name */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_matches_ref),
        cmocka_unit_test(products_in_bf16_match_ref),
        cmocka_unit_test(cache_is_its_numbers),
        cmocka_unit_test(copies_have_the_bytes_of_the_type),
        cmocka_unit_test(embedding_gathers_in_order),
        cmocka_unit_test(moments_of_8_bits_match_ref),
        cmocka_unit_test(copies_arrive_whole),
        cmocka_unit_test(names_are_understood),
#ifdef HONE_CUDA_HOST
        cmocka_unit_test(what_cannot_be_used_says_why),
        cmocka_unit_test(open_fails_cleanly_at_every_call),
        cmocka_unit_test(memory_that_ends_is_told_and_tried_again),
        cmocka_unit_test(failures_stick),
        cmocka_unit_test(a_bad_id_stops_the_kernel),
        cmocka_unit_test(sizing_takes_what_computing_takes),
        cmocka_unit_test(tracks_meet_at_marks),
        cmocka_unit_test(every_kernel_has_run),
#endif
    };
#ifndef HONE_CUDA_HOST
    StrBuf cards = { 0 };
    backend_cuda_describe(&cards);
    print_message("%s: %s\n", backend_cuda_count() ? "card" : "SKIPPED, no card", strbuf_z(&cards));
    strbuf_release(&cards);
    if (!backend_cuda_count())
        return 77;
#endif
    return cmocka_run_group_tests(tests, NULL, NULL);
}
