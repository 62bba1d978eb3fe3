/* bench_infer.c - a prompt taken in and an answer written: bench_infer MODEL PROMPT_TOKENS ANSWER_TOKENS [THREADS]. MODEL is a GGUF file or a model folder.
 * One line: prompt tokens/s, answer tokens/s (greedy, one token at a time behind the cache), peak resident MiB. The prompt is fixed ids; no end of
 * text is heeded. bench/llama_speed.py does the same with llama.cpp. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "bench.h"
#include "base/clock.h"
#include "base/mem.h"
#include "infer/generate.h"

static int measure(Generator *g, const int32_t *ids, int32_t n, int64_t answer, double *prompt_s, double *answer_s, Err *e)
{
    GenResult r;
    g->n_cached = 0;
    double start = clock_seconds();
    int    rc = generator_prompt(g, ids, n, e);
    *prompt_s = clock_seconds() - start;
    start = clock_seconds();
    rc = rc ? rc : generator_run(g, &(GenOptions){ .max_tokens = answer + 1 }, 0, NULL, NULL, &r, e); /* the first one is the prompt's own work */
    *answer_s = clock_seconds() - start;
    BUG_ON(!rc && r.n_tokens != answer + 1);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: bench_infer MODEL PROMPT_TOKENS ANSWER_TOKENS [THREADS]\n");
        return 2;
    }
    Err           e = { 0 };
    Model        *m = NULL;
    Generator     g = { 0 };
    const int32_t n = atoi(argv[2]);
    const int64_t answer = atoll(argv[3]);
    double        prompt_s, answer_s;
    struct rusage use;
    int32_t      *ids = mem_zalloc((size_t)n, sizeof *ids);
    Backend      *be = backend_open("cpu", argc > 4 ? atoi(argv[4]) : 0, &e);
    int           rc = be ? model_open(&m, argv[1], be, NULL, &e) : e.code;
    if (rc || (rc = model_reserve_positions(m, n + answer + 1, &e)))
        goto done;
    for (int32_t i = 0; i < n; i++)
        ids[i] = (int32_t)(((int64_t)i * 7919 + 3) % m->cfg.vocab);
    generator_open(&g, m, NULL, NULL);
    g.n_end = 0;
    for (int warm = 1; warm >= 0 && !rc; warm--) /* the first round is for pages and buffers */
        rc = measure(&g, ids, n, warm ? 1 : answer, &prompt_s, &answer_s, &e);
    if (rc)
        goto done;
    getrusage(RUSAGE_SELF, &use);
    printf("%.2f %.2f %.0f\n", n / prompt_s, (double)answer / answer_s, (double)use.ru_maxrss / 1024);
done:
    if (rc)
        fprintf(stderr, "%s\n", e.text);
    generator_close(&g);
    model_close(m);
    if (be)
        be->close(be);
    free(ids);
    return rc ? 1 : 0;
}
