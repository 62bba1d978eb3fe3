/* fingerprint.c - which model is this, whatever files it lies in: an adapter remembers the base it was trained on by it.
 * SHA-256 over the name and shape of every weight and SAMPLES numbers of every matrix, evenly spread and rounded to BF16. Taken from the weights in
 * memory, so that shards, container (safetensors, GGUF) and order do not matter; of so few numbers, so that it costs nothing beside loading, where a hash
 * of the files would read 16 GB at every start; rounded, so that a copy written in BF16 has the fingerprint of its F32 original. Only matrices: fine-tuning
 * and merging change those. The configuration is left out: what shapes do not show, such as rope scaling for longer texts, is changed on purpose.
 * A copy with fewer bits (NF4, Q4_K) has other numbers and so another fingerprint, although the adapter serves it: a difference is worth a warning only. */
#include "model/model_int.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/mem.h"
#include "formats/dtype.h"
#include "tensor/inspect.h"

#define SAMPLES 16

static void add_matrix(Sha256 *h, const Slot *s)
{
    const Tensor *t = *s->at;
    const int64_t n = tensor_numel(t), cols = tensor_cols(t);
    float    sample[SAMPLES], *row = mem_alloc((size_t)cols * sizeof *row);
    uint16_t rounded[SAMPLES];
    for (int64_t i = 0; i < SAMPLES; i++) {
        const int64_t at = n * (2 * i + 1) / (2 * SAMPLES), first = at / cols * cols;
        const Tensor  one = tensor_row_view(t, at / cols, 1);
        if (s->mapped) /* a device need not be asked, nor hold it now */
            dtype_to_f32(row, (const char *)s->mapped + dtype_bytes(t->dtype, first), t->dtype, cols);
        else
            tensor_get(&one, row);
        sample[i] = row[at % cols];
    }
    free(row);
    dtype_from_f32(rounded, sample, DT_BF16, SAMPLES);
    sha256_add(h, rounded, sizeof rounded);
}

void model_fingerprint(const Model *m, char out[SHA256_HEX])
{
    Sha256 h;
    sha256_init(&h);
    for (int i = 0; i < m->slots->n; i++) {
        const Slot *s = &m->slots->p[i];
        sha256_add(&h, s->name, strlen(s->name) + 1);
        sha256_add(&h, s->dim, (size_t)s->rank * sizeof *s->dim);
        if (s->rank == 2)
            add_matrix(&h, s);
        if (s->mapped && (m->stream || !m->be->host)) /* each sample brought its neighbours into memory */
            file_forget(s->mapped, dtype_bytes((*s->at)->dtype, tensor_numel(*s->at)));
    }
    sha256_hex(&h, out);
}
