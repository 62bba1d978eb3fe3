/* report_read.h - what a run folder tells about its run, as the report needs it.
 * Main struct: RunFolder. Every file may be missing, cut off in the middle of a line or wrong: what cannot be used is left out and told in `notes`.
 * Bounds: REPORT_STEPS steps, REPORT_SAMPLES prompts, REPORT_TEXT bytes of each text, REPORT_WARNINGS different warnings.
 * To show another number of the metrics: a row in step_column or eval_column of report_read.c and its name here. */
#ifndef HONE_REPORT_READ_H
#define HONE_REPORT_READ_H

#include <math.h>

#include "base/map.h"
#include "base/vec.h"
#include "train/train_cfg.h"

#define REPORT_STEPS    ((size_t)2000000)
#define REPORT_SAMPLES  100
#define REPORT_TEXT     ((size_t)16 << 10)
#define REPORT_WARNINGS 50

enum { STEP_AT, STEP_EPOCH, STEP_LOSS, STEP_LR, STEP_GRAD, STEP_SPEED, STEP_COLUMNS };
enum { EVAL_AT, EVAL_EPOCH, EVAL_LOSS, EVAL_COLUMNS };
typedef VEC(double) Column; /* NaN: the value was missing, null, or too large to be one */

typedef struct Answer { int64_t step; StrBuf text; } Answer; /* step -1: there is none */
typedef struct Sample {
    StrBuf  file, prompt, expected;
    int64_t line;
    Answer  first, best, last;   /* best: of the step whose weights were kept */
} Sample;

typedef struct RunFolder {
    TrainCfg cfg;                /* defaults where recipe.yaml is missing or cannot be read */
    bool     has_recipe, finished, has_failed;
    Json    *facts, *done;       /* run.json and DONE; NULL: missing or not readable */
    StrBuf   failed;             /* the sentence of FAILED */
    Column   step[STEP_COLUMNS]; /* all of one length, steps ascending */
    Column   eval[EVAL_COLUMNS];
    size_t   first, best;        /* of the evaluations with a finite loss: the first, and the lowest; eval[EVAL_LOSS].n: there is none */
    double   tokens, trained_tokens, seconds; /* after the last step; NaN: unknown */
    VEC(Sample) sample;
    Map     *warnings, *notes;   /* text of log.txt ("warning train: ...") and of the reader -> how often */
} RunFolder;

int    run_folder_read(RunFolder *f, const char *path, Err *e); /* ERR_INPUT only when there is no run in it */
void   run_folder_release(RunFolder *f);
double row_real(const Json *obj, const char *key);              /* NaN when absent, of another kind, or beyond 1e100 */

static inline double column_last(const Column *c) { return c->n ? c->p[c->n - 1] : NAN; }
static inline double eval_step(const RunFolder *f, size_t i) { return f->eval[EVAL_AT].p[i]; }
static inline double eval_loss(const RunFolder *f, size_t i) { return f->eval[EVAL_LOSS].p[i]; }
static inline bool   has_best(const RunFolder *f) { return f->best < f->eval[EVAL_LOSS].n; }

#endif
