/* quant_sweep.c - one conversion of a whole file, for tools/golden_gguf.py sweep, which compares the outcome with llama.cpp's.
 *   quant_sweep narrow Q4_K FLOATS BLOCKS      quant_sweep widen Q4_K BLOCKS FLOATS
 * Prints the seconds that the conversion alone took, the best of three. */
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "formats/dtype.h"

#include <stdio.h>
#include <stdlib.h>

static int convert(bool narrow, DType t, const char *in, const char *out, Err *e)
{
    FileMap m = {0};
    int rc = file_map(&m, in, e);
    if (rc)
        return rc;
    int64_t n = narrow ? (int64_t)(m.n / sizeof(float)) : (int64_t)(m.n / dtype_bytes(t, dtype_block(t))) * dtype_block(t);
    size_t nbytes = narrow ? dtype_bytes(t, n) : (size_t)n * sizeof(float);
    void *to = mem_zalloc(nbytes, 1);
    double best = 1e9;
    for (int i = 0; i < 3; i++) {
        double start = clock_seconds();
        if (narrow)
            dtype_from_f32(to, (const float *)(const void *)m.p, t, n);
        else
            dtype_to_f32(to, m.p, t, n);
        double took = clock_seconds() - start;
        best = took < best ? took : best;
    }
    printf("%.6f\n", best);
    rc = file_write_atomic(out, to, nbytes, e);
    free(to);
    file_unmap(&m);
    return rc;
}

int main(int argc, char **argv)
{
    Err e = {0};
    unsigned t = 0;
    while (argc == 5 && t < DT_COUNT && strcmp(dtype_name((DType)t), argv[2]) != 0)
        t++;
    bool narrow = argc == 5 && !strcmp(argv[1], "narrow");
    if (argc != 5 || t == DT_COUNT || (!narrow && strcmp(argv[1], "widen") != 0)) {
        fprintf(stderr, "usage: quant_sweep narrow|widen TYPE FROM TO\n");
        return 2;
    }
    if (convert(narrow, (DType)t, argv[3], argv[4], &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    return 0;
}
