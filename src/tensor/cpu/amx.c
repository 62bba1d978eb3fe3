/* amx.c - may the tiles of AMX be used: the system's permission, and a product whose answer is known. */
#if defined(__x86_64__)
#include "tensor/cpu/cpu_int.h"

#include <asm/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef ARCH_REQ_XCOMP_PERM
#define ARCH_REQ_XCOMP_PERM 0x1023 /* since Linux 5.16 */
#endif
#define XFEATURE_XTILEDATA 18

/* One tile of whole numbers, so small that every sum is exact in any order. Each number of c is looked at, and sizes divide nothing. */
bool tiles_right(const Tiles *t, int nr)
{
    enum { H = 29, N = 27, K = 70, PANEL = 32 * 80 };
    _Alignas(KERN_ALIGN) float a[H * K], b[N * K], ap[PANEL + 16], bp[PANEL + 16], c[H * N];
    const int     h = MIN(H, t->mr), n = MIN(N, nr);
    const int64_t words = (K + t->numbers - 1) / t->numbers * t->words, height = (h + t->rows - 1) / t->rows * t->rows;
    BUG_ON(height * words > PANEL || nr * words > PANEL);
    for (int i = 0; i < H * K; i++)
        a[i] = (float)(i * 7 % 13 - 6);
    for (int i = 0; i < N * K; i++)
        b[i] = (float)(i * 5 % 11 - 5);
    t->a_rows(DT_F32, ap, height, a, K, h, K);
    t->b_rows(DT_F32, bp, nr, b, K, n, K);
    if (t->begin)
        t->begin();
    t->tile(h, n, words, ap, height, bp, nr, c, N, &(Epi){ .alpha = 1 });
    if (t->end)
        t->end();
    for (int i = 0; i < h; i++)
        for (int j = 0; j < n; j++) {
            float sum = 0;
            for (int k = 0; k < K; k++)
                sum += a[i * K + k] * b[j * K + k];
            if (c[i * N + j] != sum)
                return false;
        }
    return true;
}

/* The permission is the process's, for all threads that it has and will have; asking again changes nothing. Without it the first tile instruction would
 * end the program. */
const char *amx_refused(void)
{
    if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA))
        return "the system does not permit its tiles";
    return tiles_right(&tiles_amxbf16, kern_avx512.nr) ? NULL : "it got a known product wrong";
}
#endif
