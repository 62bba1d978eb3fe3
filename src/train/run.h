/* run.h - a training run: opened (everything loaded and checked), then gone through to its end. The run folder is the contract with everybody else:
 *   recipe.yaml  every option as resolved          run.json      hashes of data and base, version, seed, machine
 *   metrics.jsonl one line per step / evaluation    order.jsonl   which examples each step saw
 *   samples.jsonl answers to held-out prompts       log.txt       warnings and events
 *   checkpoints/  the newest few                    adapter/ or model/  the best so far (PEFT or safetensors folder)
 *   report.html   curves, samples, recipe           DONE or FAILED  one sentence or the summary
 * Opening a folder that holds an unfinished run of the same recipe goes on where it stopped. */
#ifndef HONE_RUN_H
#define HONE_RUN_H

#include "tensor/cuda/nvml.h"
#include "train/base_hash.h"
#include "train/pass.h"
#include "train/plan.h"
#include "train/saving.h"

typedef struct TrainProgress {
    enum { TRAIN_STARTED, TRAIN_RESUMED, TRAIN_STEP, TRAIN_EVAL, TRAIN_SAVED } event;
    int64_t step, total;
    double  epoch, loss, lr, grad_norm, tokens_per_second, seconds_left;
    double  balance;           /* TRAIN_STEP of a mixture of experts: its load-balancing loss, top_k when all experts get the same */
    double  eval_loss;         /* TRAIN_EVAL */
    NvmlState card;            /* TRAIN_STEP: how the card was doing a moment ago */
    bool    best;
} TrainProgress;

typedef struct TrainHooks {
    void *user;
    void (*progress)(void *user, const TrainProgress *p);           /* may be NULL */
    bool (*stop_asked)(void *user);                                 /* may be NULL; asked after every step */
    /* The model's answer to a prompt, greedily; may be NULL: no samples. */
    int  (*answer)(void *user, const Model *m, const Adapter *a, const Tok *tok, const int32_t *prompt, int32_t n, int64_t max_tokens, StrBuf *out, Err *e);
} TrainHooks;

typedef struct TrainRun {
    TrainCfg   cfg;            /* resolved; owned */
    Backend   *be;
    Model     *model;
    Adapter   *adapter;        /* NULL for full fine-tuning */
    Tok       *tok;
    DataSet   *train, *held_out; /* held_out may be NULL */
    Optimizer  opt;
    PassCtx    pass;
    RunState   state;
    int64_t    total_steps;
    double     pad_share;
    TrainPlan  plan;
    double     opened_at;      /* clock_seconds when train_open began */
    int64_t    longest;        /* tokens of the longest example */
    bool       free_micro;     /* micro-tokens was left to hone */
    bool       free_eval, free_save; /* eval-every, save-every as well */
    int        lock;
    BaseHash   base;
    Json      *facts;          /* run.json to be written with the first checkpoint; NULL: it is there */
    bool       settled;        /* base and run.json belong together */
    Saving     saving;
    Nvml      *card;           /* NULL: it computes on none, or nobody says how it is doing */
    NvmlState  card_state;     /* at card_seen */
    double     card_seen, card_joules; /* card_joules: of this sitting, or 0;, already in state.joules */
} TrainRun;

typedef struct TrainResult {
    int64_t steps, best_step;
    double  first_loss, best_loss, last_loss;   /* held-out; NaN: there was none */
    double  seconds;                            /* from opening the model to the end, over all sittings */
    size_t  memory, host_memory;                /* bytes: the most that this process held, of the device's memory where that is another, and of the program's */
    double  joules;                             /* of the card, over all sittings; NaN: unknown */
    double  tokens_per_second, identity;        /* of the training steps; identity: largest |log-prob| difference between training pass and cached decoding */
    bool    early, already_done;
} TrainResult;

int  train_open(TrainRun **out, const TrainCfg *cfg, Backend *be, Err *e);
bool train_is_done(const TrainRun *r);          /* its folder holds a finished run */
/* Plans by itself, without time, what plan_make has not planned yet. */
int  train_go(TrainRun *r, const TrainHooks *h, TrainResult *res, Err *e);
void train_close(TrainRun *r);

/* What planning asks of the run: an epoch as it will be laid out, micro-batches and steps of it, a sample's prompt; and total_steps counted anew. */
void    train_plan_epoch(const TrainRun *r, PackPlan *p, int64_t epoch);
int64_t train_bins_per_step(const TrainRun *r);
int64_t train_steps_of(const TrainRun *r, const PackPlan *p);
void    train_count_steps(TrainRun *r);
double  train_base_bytes(const char *model);      /* of its files, which are hashed */
int32_t train_prompt_length(const TrainRun *r, const Example *x);

/* The data of a resolved recipe as its run reads it; *held_out stays as it is when nothing is held out. Both are the caller's, also after an error. */
int  train_load_data(const TrainCfg *cfg, const Tok *tok, int32_t vocab, DataSet **train, DataSet **held_out, Err *e);

#endif
