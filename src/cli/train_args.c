/* train_args.c - see train_args.h. */
#include "cli/train_args.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/machine.h"
#include "base/mem.h"
#include "infer/generate.h"
#include "tokenizer/chat.h"

int train_read_recipe(TrainCfg *cfg, const char *path, const bool *given, Err *e)
{
    const bool out_given = cfg->out && *cfg->out;
    char  *text = NULL, *inside = file_is_dir(path) ? path_join(path, "recipe.yaml") : NULL; /* a run folder: go on with it */
    size_t n = 0;
    int    rc = file_read_text(inside ? inside : path, &text, &n, e);
    if (!rc)
        rc = cfg_parse_yaml(train_options, cfg, (Str){ text, n }, inside ? inside : path, given, e);
    if (!rc && inside && !out_given) {
        free(cfg->out);
        cfg->out = mem_strdup(path);
    }
    free(inside);
    free(text);
    return rc;
}

int train_answer(void *user, const Model *m, const Adapter *a, const Tok *tok, const int32_t *prompt, int32_t n, int64_t max_tokens, StrBuf *out, Err *e)
{
    Generator g;
    int32_t   end = chat_terminator(tok, NULL);
    (void)user;
    generator_open(&g, m, a, tok);
    if (end >= 0)
        generator_end_add(&g, end);
    int rc = generator_answer(&g, prompt, n, max_tokens, out, e);
    generator_close(&g);
    return rc;
}

void time_print(char out[32], double seconds)
{
    const long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, 32, "%ldh%02ldm", s / 3600, s / 60 % 60);
    else
        snprintf(out, 32, "%ldm%02lds", s / 60, s % 60);
}

void train_plan_print(FILE *f, const TrainRun *r)
{
    static const char *const way[] = {
        [ACTIVATIONS_KEEP] = "all activations kept",
        [ACTIVATIONS_CHECKPOINT] = "blocks computed twice",
        [ACTIVATIONS_SPILL] = "blocks computed twice, their inputs in a file",
        [ACTIVATIONS_STREAM] = "blocks computed twice, their inputs in a file, weights read anew for each",
    };
    /* Of a device: its block inputs go to the machine's memory first. */
    static const char *const way_in_memory[] = {
        [ACTIVATIONS_SPILL] = "blocks computed twice, their inputs in the machine's memory",
        [ACTIVATIONS_STREAM] = "blocks computed twice, their inputs in the machine's memory, weights sent anew for each",
    };
    const TrainPlan *p = &r->plan;
    char             memory[32], pass[32], seconds[32] = "";
    size_print(memory, p->memory);
    size_print(pass, p->pass);
    fprintf(f, "takes     %s of %smemory, %s of them for micro-batches of %lld tokens (%s)", memory, p->device ? "the device's " : "", pass,
            (long long)r->cfg.micro_tokens, p->inputs ? way_in_memory[r->cfg.activations] : way[r->cfg.activations]);
    if (p->device) {
        size_print(memory, p->host);
        fprintf(f, ", and %s of the machine's", memory);
    }
    if (p->timed) {
        time_print(seconds, p->seconds);
        fprintf(f, "; about %s at %.0f tokens/s", seconds, p->tokens_per_second);
        if (p->wait_seconds > 0.01 * p->train_seconds)
            fprintf(f, ", %.0f %% of the training waits for the disk under %s", 100 * p->wait_seconds / p->train_seconds, r->cfg.out);
    }
    fprintf(f, "\n");
}
