/* plan.h - what a run will take, before it begins: memory to the byte from the allocator's own dry run, time from a few micro-batches on the real
 * backend, disk, energy. On a device with memory of its own that memory decides; the program's is told beside it, and block inputs go there first. Main struct: TrainPlan. The dry run is the run's own code on the backend that computes nothing (tensor/dry/dry.h), over
 * the micro-batches that the run will meet; nothing here changes what the run computes.
 * What is left to the planner (activations: auto, micro-tokens: 0) is chosen here: the first that fits of micro-tokens from the usual down to the longest
 * example, each (of a device: with moments there, then with moments in the program's memory) with all activations kept, then with blocks computed twice, then with their inputs in a file, then with weights read anew. These ways give the
 * same bits, other micro-tokens do not. */
#ifndef HONE_PLAN_H
#define HONE_PLAN_H

#include "base/err.h"
#include "base/json.h"
#include "model/model.h"

struct TrainRun;
struct TrainHooks;

typedef struct TrainPlan {
    bool    device;             /* memory, standing, pass, aside, limit and smallest are bytes of the device's memory */
    size_t  host;               /* then: bytes of the program's own memory, with `inputs` of block inputs */
    int64_t inputs;
    int     moments_asked;      /* Moments, as the recipe has it; r->cfg has what was chosen */
    size_t  moments;            /* of host: the optimizer's, where they do not lie on the device */
    size_t  memory;             /* bytes: the most that the process holds at one time */
    size_t  standing;           /* of it: program, weights, adapter, gradients, moments, data, the backend's scratch */
    size_t  pass, aside;        /* the arena of a micro-batch; what evaluations, answers and saving take beside it */
    size_t  limit, smallest;    /* what it may take, and the least that any choice would */
    int64_t disk, disk_free;    /* bytes; before the run's file of block inputs was opened */
    int64_t file;               /* of disk: that file */
    bool    planned, timed;     /* the above is filled in; what follows was measured */
    double  seconds;            /* from opening the model to the end, if no evaluation stops the run early */
    double  train_seconds, eval_seconds, sample_seconds, save_seconds, open_seconds, tokens_per_second;
    double  wait_seconds;       /* of train_seconds: the disk is waited for */
    struct PlanRates *rates;    /* what those follow from; owned by the run; NULL: not measured */
    double  joules;             /* NaN: the machine does not say */
} TrainPlan;

/* One way to train that could have been chosen. */
typedef struct PlanRow {
    bool    full;
    int     activations, optim; /* Activations, but not stream; Optim */
    Compute compute;
    int64_t micro_tokens;
    size_t  memory;
    int64_t file;
    double  train_seconds;
    bool    fits, best;
} PlanRow;
#define PLAN_ROWS 36

bool  plan_device(const Backend *be, DeviceMemory *m);           /* false, and zeros: it computes in the program's own memory */
/* Chooses, and fills r->plan. The arena of the passes is reserved: after this nothing grows any more. ERR_MEM: nothing fits, with the least that would. */
int   plan_make(struct TrainRun *r, const struct TrainHooks *h, bool timed, Err *e);
/* The ways that were not taken, fastest first in each method; closes r's optimizer and adapter, which is then good for nothing but train_close. */
int   plan_rows(struct TrainRun *r, const struct TrainHooks *h, PlanRow row[PLAN_ROWS], int *n, Err *e);
/* Before all weights are loaded to be trained: ERR_MEM when the machine could not even hold them with their gradients and moments. */
int   plan_check_full(const char *model, int optim, int moments, const Backend *be, Err *e);
/* r->opt; on a device, unless the recipe wants moments there, without memory for them until plan_make has chosen where they go. */
int   plan_open_optimizer(struct TrainRun *r, Err *e);
int   plan_check_disk(const struct TrainRun *r, Err *e);         /* ERR_IO when the target lacks the room */
Json *plan_json(const TrainPlan *p);

/* --- between plan.c and plan_time.c --- */

/* Seconds measured, each for one whole turn of the run as it was chosen. */
typedef struct PlanRates {
    double block[COMPUTE_COUNT], head[COMPUTE_COUNT]; /* training: seconds per unit of work (plan_time.c) in the blocks and in the head; the run's own compute,
                                                         and of the others what plan_rate asked for */
    double eval_block, eval_head;
    double step;                  /* zeroing, norm and update of an optimizer step */
    double decode;                /* a token of an answer */
    double hash, write;           /* a byte */
    double flush;                 /* a small file made durable */
    double put, get;              /* a byte of block inputs past the system's cache; 0, NaN: not measured */
} PlanRates;
Model model_slice(const Model *m, int first, int layers);         /* the same model with `layers` blocks from `first` on; lives as long as m */
int   plan_time(struct TrainRun *r, Err *e);
void   plan_rate(struct TrainRun *r, Compute c);                  /* measures another compute, shortly */
/* Seconds that a micro-batch waits for a disk that takes its block inputs slower than they are made, or gives them back slower than they are used. The disk
 * takes what may not stay `unwritten` in memory and gives what `room` of memory does not hold any more (bytes); both go on while blocks run, `forward` and
 * then `back` seconds. */
double plan_wait(double inputs, size_t room, size_t unwritten, const PlanRates *rate, double forward, double back);
void   plan_rate_file(struct TrainRun *r, int64_t file);          /* measures the disk as a place for a file of so many bytes */
double plan_way_seconds(const struct TrainRun *r, bool full, int activations, Compute c, int64_t micro); /* of training; NaN: not measured */

#endif
