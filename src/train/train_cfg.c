/* train_cfg.c - the option table of training. To add an option: a field in TrainCfg, a row here, its use; help, recipe and flags follow. */
#include "train/train_cfg.h"

#include <stdlib.h>

#include "base/mem.h"

const char *const train_activations[] = { "auto", "keep", "checkpoint", "spill", "stream" };

#define BATCH        4096 /* tokens */
#define MICRO        1024 /* more do not make a processor faster */
#define MICRO_DEVICE 8192 /* a card is busy from about here on */

#define AT(f) offsetof(TrainCfg, f)

const CfgOption train_options[] = {
    { "model",            CFG_STR,    AT(model),            NULL,   0, 0,     "DIR",         "base model: a Hugging Face folder or a .gguf file" },
    { "data",             CFG_LIST,   AT(data),             NULL,   0, 0,     "FILE[,FILE]", "training data: JSONL rows or plain text" },
    { "out",              CFG_STR,    AT(out),              NULL,   0, 0,     "RUN",         "run folder; an unfinished run in it is resumed" },
    { "eval",             CFG_STR,    AT(eval),             "0.1",  0, 0,     "FILE|SHARE",  "held-out data: a file, a share of the data, or 0 for none" },
    { "method",           CFG_CHOICE, AT(method),           "lora", 0, 0,     "lora|qlora|full", "what is trained" },
    { "objective",        CFG_CHOICE, AT(objective),        "auto", 0, 0,     "auto|sft|text", "loss on answers only, or on all text; auto: by the data" },
    { "init-adapter",     CFG_STR,    AT(init_adapter),     NULL,   0, 0,     "DIR",         "go on from this adapter instead of a new one" },
    { "epochs",           CFG_REAL,   AT(epochs),           "3",    0, 10000, NULL,          "passes over the data" },
    { "steps",            CFG_INT,    AT(steps),            "0",    0, 1e9,   NULL,          "optimizer steps; 0: as many as the epochs need" },
    { "batch-tokens",     CFG_INT,    AT(batch_tokens),     "0",    0, 1e9,   NULL,          "tokens per optimizer step; 0: 4096, or one micro-batch if larger" },
    { "micro-tokens",     CFG_INT,    AT(micro_tokens),     "0",    0, 1e7,   NULL,          "most tokens computed at once; 0: 1024, on a card up to 8192 of a batch, or the longest example" },
    { "max-length",       CFG_INT,    AT(max_length),       "0",    0, 1e7,   NULL,          "most tokens of one example; 0: 2048, or what the model can" },
    { "on-long",          CFG_CHOICE, AT(on_long),          "fail", 0, 0,     "fail|drop|cut-prompt", "a row longer than max-length" },
    { "packing",          CFG_BOOL,   AT(packing),          "true", 0, 0,     NULL,          "several examples in one micro-batch, isolated from each other" },
    { "separator",        CFG_STR,    AT(separator),        NULL,   0, 0,     "TEXT",        "put between prompt and completion" },
    { "lr",               CFG_REAL,   AT(lr),               "0",    0, 1e30,  NULL,          "peak learning rate; 0: 2e-4 for lora, 2e-5 for full" },
    { "schedule",         CFG_CHOICE, AT(schedule),         "cosine", 0, 0,   "cosine|linear|constant", "learning rate after the warm-up" },
    { "lr-floor",         CFG_REAL,   AT(lr_floor),         "0.1",  0, 1,     NULL,          "share of the peak that the cosine ends at" },
    { "warmup",           CFG_REAL,   AT(warmup),           "0.03", 0, 1,     NULL,          "share of the steps in which the rate rises linearly" },
    { "weight-decay",     CFG_REAL,   AT(weight_decay),     "0",    0, 10,    NULL,          "AdamW's decay, on matrices of linears only" },
    { "optim",            CFG_CHOICE, AT(optim),            "adamw", 0, 0,    "adamw|adamw_8bit", "AdamW; with moments of 8 bits it takes 10 instead of 16 bytes for each trained number" },
    { "beta1",            CFG_REAL,   AT(beta1),            "0.9",  0, 0.999999, NULL,       "AdamW" },
    { "beta2",            CFG_REAL,   AT(beta2),            "0.999", 0, 0.9999999, NULL,     "AdamW" },
    { "adam-eps",         CFG_REAL,   AT(adam_eps),         "1e-8", 1e-30, 1,     NULL,          "AdamW" },
    { "clip",             CFG_REAL,   AT(clip),             "1",    0, 1e30,  NULL,          "largest gradient norm; 0: no clipping" },
    { "rank",             CFG_INT,    AT(rank),             "16",   1, 4096,  NULL,          "rank of the adapter" },
    { "alpha",            CFG_REAL,   AT(alpha),            "32",   0, 1e6,   NULL,          "the adapter is scaled by alpha / rank" },
    { "rslora",           CFG_BOOL,   AT(rslora),           "false", 0, 0,    NULL,          "scale by alpha / sqrt(rank) instead; advised from rank 64" },
    { "target-modules",   CFG_LIST,   AT(target_modules),   "all",  0, 0,     "NAME[,NAME]", "linears to adapt; all: every one of attention and MLP, not a router" },
    { "router-aux-loss",  CFG_REAL,   AT(router_aux_loss),  "-1",   -1, 1000, NULL,          "mixtures of experts: weight of the load-balancing loss; below 0: as config.json says" },
    { "activations",      CFG_CHOICE, AT(activations),      "auto", 0, 0,     "auto|keep|checkpoint|spill|stream", "keep all for the backward pass; or compute blocks twice; or that, and put their inputs into a file (of a device: into memory first); or that, and read frozen weights anew for each block; auto: the first that fits; does not change the result" },
    { "moments",          CFG_CHOICE, AT(moments),          "auto", 0, 0,     "auto|device|host", "the optimizer's moments, of a device: in its memory, or in the program's, from where they pass through the device at each update; auto: there where the rest does not fit beside them; does not change the result" },
    { "compute",          CFG_CHOICE, AT(compute),          "f32",  0, 0,     "f32|bf16",    "what large products of training are computed in; bf16 rounds the numbers that enter them (sums stay f32) and needs AVX512-BF16" },
    { "eval-every",       CFG_INT,    AT(eval_every),       "0",    0, 1e9,   NULL,          "steps between evaluations; 0: ten over the run" },
    { "patience",         CFG_INT,    AT(patience),         "5",    0, 1e6,   NULL,          "evaluations without a better held-out loss before stopping; 0: never" },
    { "save-every",       CFG_INT,    AT(save_every),       "0",    0, 1e9,   NULL,          "steps between checkpoints; 0: at each evaluation" },
    { "keep-checkpoints", CFG_INT,    AT(keep_checkpoints), "2",    1, 1000,  NULL,          "checkpoints left in the run folder" },
    { "samples",          CFG_INT,    AT(samples),          "3",    0, 100,   NULL,          "held-out prompts answered at each evaluation" },
    { "sample-tokens",    CFG_INT,    AT(sample_tokens),    "96",   1, 4096,  NULL,          "most tokens of such an answer" },
    { "keep-tokens",      CFG_BOOL,   AT(keep_tokens),      "true", 0, 0,     NULL,          "what became of a data file of 16 MB and more is kept beside it (FILE.hone-tokens) for the next run; does not change the result" },
    { "seed",             CFG_INT,    AT(seed),             "0",    0, 9e15,  NULL,          "same seed, same bits" },
    { "threads",          CFG_INT,    AT(threads),          "0",    0, 1024,  NULL,          "0: all cores; does not change the result" },
    { "memory",           CFG_INT,    AT(memory),           "0",    0, 1e15,  "BYTES",       "most memory to take, as 8GiB, of the device that computes; 0: what it has free; does not change the result once the run has begun" },
    { "device",           CFG_STR,    AT(device),           "auto", 0, 0,     "auto|cpu|cuda[:n]|ref", "where to compute; ref: the slow judge" },
    { 0 },
};

static int need(const char *v, const char *key, Err *e)
{
    return v && *v ? 0 : err_set(e, ERR_ARG, "%s is missing: give --%s, or %s: in the recipe", key, key, key);
}

int train_cfg_resolve(TrainCfg *c, const Model *m, DataKind first_kind, Err *e)
{
    int rc;
    if ((rc = need(c->model, "model", e)) || (rc = need(c->data, "data", e)) || (rc = need(c->out, "out", e)))
        return rc;
    if (c->method == METHOD_QLORA && m->packed)
        return err_set(e, ERR_ARG, "method qlora packs a model in 16 or 32 bits while it loads, and the weights of %s are packed already; method lora trains "
                       "on them as they are", c->model);
    if (c->method == METHOD_FULL && c->init_adapter && *c->init_adapter)
        return err_set(e, ERR_ARG, "init-adapter goes with method lora, the recipe says full");
    if (c->separator && strstr(c->separator, "\\n"))
        return err_set(e, ERR_ARG, "separator holds a backslash and an n; for a line break write --separator $'\\n' in the shell, or \"\\n\" in double quotes in a recipe");
    if (c->steps == 0 && !(c->epochs > 0))
        return err_set(e, ERR_ARG, "epochs is 0 and steps is 0: say how long to train");
    if (c->objective == GOAL_AUTO)
        c->objective = first_kind == DATA_MESSAGES || first_kind == DATA_PAIR ? GOAL_SFT : GOAL_TEXT;
    if (c->max_length == 0)
        c->max_length = MIN(m->cfg.max_positions, 2048);
    if (c->max_length > m->cfg.max_positions)
        return err_set(e, ERR_ARG, "max-length is %lld, the model has positions for %lld", (long long)c->max_length, (long long)m->cfg.max_positions);
    if (c->max_length < 2)
        return err_set(e, ERR_ARG, "max-length is %lld, at least 2 tokens are needed to learn from one to the next", (long long)c->max_length);
    if (c->router_aux_loss > 0 && !m->cfg.experts)
        return err_set(e, ERR_ARG, "router-aux-loss is %g, but %s has no experts to balance", c->router_aux_loss, c->model);
    if (c->router_aux_loss < 0)
        c->router_aux_loss = (double)m->cfg.aux_coef;
    if (c->lr == 0)
        c->lr = c->method == METHOD_FULL ? 2e-5 : 2e-4;
    return 0;
}

int train_cfg_resolve_batch(TrainCfg *c, int64_t longest, bool device, Err *e)
{
    const int64_t usual = device ? c->batch_tokens ? MICRO_DEVICE : BATCH : MICRO;
    if (c->micro_tokens == 0)
        c->micro_tokens = MAX(longest, c->batch_tokens ? MIN(usual, c->batch_tokens) : usual);
    if (c->micro_tokens < longest)
        return err_set(e, ERR_ARG, "micro-tokens is %lld, less than the %lld tokens of the longest example, which must fit into one micro-batch",
                       (long long)c->micro_tokens, (long long)longest);
    if (c->batch_tokens == 0)
        c->batch_tokens = MAX(BATCH, c->micro_tokens);
    if (c->batch_tokens < c->micro_tokens)
        return err_set(e, ERR_ARG, "batch-tokens is %lld, but a step computes at least one micro-batch of %lld tokens (the longest example has %lld)",
                       (long long)c->batch_tokens, (long long)c->micro_tokens, (long long)longest);
    return 0;
}

ActivationPolicy train_policy(int activations)
{
    return activations == ACTIVATIONS_KEEP ? KEEP_ALL : activations == ACTIVATIONS_CHECKPOINT ? CHECKPOINT_BLOCKS : SPILL_INPUTS;
}

static const char *const free_to_differ[] = { "threads", "memory", "activations", "moments", "keep-tokens", "out" };

const char *train_cfg_difference(const TrainCfg *a, const TrainCfg *b)
{
    for (const CfgOption *o = train_options; o->name; o++) {
        const char *pa = (const char *)a + o->off, *pb = (const char *)b + o->off;
        bool        same = true;
        switch (o->kind) {
        case CFG_BOOL:   same = *(const bool *)pa == *(const bool *)pb; break;
        case CFG_INT:    same = *(const int64_t *)(const void *)pa == *(const int64_t *)(const void *)pb; break;
        case CFG_REAL:   same = *(const double *)(const void *)pa == *(const double *)(const void *)pb; break;
        case CFG_CHOICE: same = *(const int *)(const void *)pa == *(const int *)(const void *)pb; break;
        case CFG_STR:
        case CFG_LIST: {
            const char *sa = *(char *const *)(const void *)pa, *sb = *(char *const *)(const void *)pb;
            same = strcmp(sa ? sa : "", sb ? sb : "") == 0;
            break;
        }
        }
        bool matters = !same;
        for (size_t i = 0; i < ARRAY_LEN(free_to_differ); i++)
            matters &= strcmp(o->name, free_to_differ[i]) != 0;
        if (matters)
            return o->name;
    }
    return NULL;
}
