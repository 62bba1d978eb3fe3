/* golden.h - the golden tiny models for tests: the numbers of PyTorch and the batch they belong to (see README.md beside this file). */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "formats/safetensors.h"
#include "model/lora.h"
#include "tensor/far.h"
#include "tensor/inspect.h"

static const char *const golden_family[] = {
    "llama", "llama3", "qwen2", "qwen3", "gpt2", "mistral", "phi3", "gpt_neox", "gpt_neox_serial", "qwen2_yarn", "llama_dynamic", "gemma", "gemma2",
    "gemma3", "olmo2", "smollm3", "granite", "phi", "starcoder2", "ministral", "mixtral", "qwen2_moe",
    "qwen3_moe", "olmoe",
};

typedef struct Golden {
    char        dir[512], adapter_dir[600];
    StFile     *file;
    int32_t     n_seq, width;              /* S, L */
    int32_t     len[8], start[8], total;   /* the sequences laid flat, one after the other */
    int32_t    *ids, *pos;                 /* [total] */
    int32_t    *row, *target;              /* trained: position before the target, and the target */
    int32_t     n_rows;
} Golden;

static inline const StTensor *golden_find(const Golden *g, const char *name)
{
    const StTensor *t = st_find(g->file, name);
    if (!t)
        fail_msg("%s: no tensor %s", g->dir, name);
    return t;
}

static inline float *golden_f32(const Golden *g, const char *name, int64_t *count)
{
    const StTensor *t = golden_find(g, name);
    float          *v = mem_alloc((size_t)t->count * sizeof *v);
    memcpy(v, t->data, t->nbytes);
    if (count)
        *count = t->count;
    return v;
}

static inline int32_t *golden_i32(const Golden *g, const char *name, int64_t *count)
{
    return (int32_t *)(void *)golden_f32(g, name, count);
}

static inline Golden golden_open(const char *family)
{
    Golden g = { 0 };
    Err    e = { 0 };
    char   path[600];
    snprintf(g.dir, sizeof g.dir, "%s/golden/models/%s", TEST_DIR, family);
    snprintf(g.adapter_dir, sizeof g.adapter_dir, "%s/adapter", g.dir);
    snprintf(path, sizeof path, "%s/golden.safetensors", g.dir);
    if (st_open(&g.file, path, &e))
        fail_msg("%s", e.text);
    const StTensor *t = golden_find(&g, "ids");
    int32_t *ids = golden_i32(&g, "ids", NULL), *lens = golden_i32(&g, "lens", NULL), *mask = golden_i32(&g, "mask", NULL);
    g.n_seq = (int32_t)t->dim[0];
    g.width = (int32_t)t->dim[1];
    g.ids = mem_zalloc((size_t)t->count, sizeof(int32_t));
    g.pos = mem_zalloc((size_t)t->count, sizeof(int32_t));
    g.row = mem_zalloc((size_t)t->count, sizeof(int32_t));
    g.target = mem_zalloc((size_t)t->count, sizeof(int32_t));
    for (int32_t s = 0; s < g.n_seq; s++) {
        g.start[s] = g.total;
        g.len[s] = lens[s];
        for (int32_t i = 0; i < lens[s]; i++) {
            if (mask[s * g.width + i]) {
                g.row[g.n_rows] = g.total - 1;
                g.target[g.n_rows++] = ids[s * g.width + i];
            }
            g.ids[g.total] = ids[s * g.width + i];
            g.pos[g.total++] = i;
        }
    }
    free(ids);
    free(lens);
    free(mask);
    return g;
}

static inline void golden_close(Golden *g)
{
    st_close(g->file);
    free(g->ids);
    free(g->pos);
    free(g->row);
    free(g->target);
}

static inline Tensor *golden_put(TArena *a, DType t, const void *src, int64_t n)
{
    Tensor *x = tarena_tensor(a, NULL, t, 1, &n);
    a->be->upload(a->be, x->data, src, (size_t)n * dtype_size(t));
    return x;
}

/* The same tests on ref, on cpu, and on cpu with memory that the program cannot touch: a main function's whole work. `be` is what the tests compute on. */
#define golden_main(be, tests)                                                                                                                       \
    do {                                                                                                                                             \
        static const char *const backend[] = { "ref", "cpu", "far" };                                                                                \
        int failed = 0;                                                                                                                              \
        for (size_t i_ = 0; i_ < ARRAY_LEN(backend); i_++) {                                                                                         \
            Err e_ = { 0 };                                                                                                                          \
            (be) = i_ == 2 ? &far_open(2, (size_t)1 << 30, &e_)->be : backend_open(backend[i_], 2, &e_);                                             \
            if (!(be)) {                                                                                                                             \
                fprintf(stderr, "%s\n", e_.text);                                                                                                    \
                return 1;                                                                                                                            \
            }                                                                                                                                        \
            failed += cmocka_run_group_tests_name(backend[i_], tests, NULL, NULL);                                                                   \
            (be)->close(be);                                                                                                                         \
        }                                                                                                                                            \
        return failed;                                                                                                                               \
    } while (0)

#define must(call)                                                                                                                                   \
    do {                                                                                                                                             \
        if ((call) != 0)                                                                                                                             \
            fail_msg("%s: %s", #call, e.text);                                                                                                       \
    } while (0)

#endif
