/* journal.h - what a run writes down for others: recipe, facts, metrics, order, samples, end marker. Lines are appended whole; after a crash
 * the journals are cut back to where the checkpoint stood, so that no step is told twice. */
#ifndef HONE_JOURNAL_H
#define HONE_JOURNAL_H

#include "base/log.h"
#include "train/run.h"

int  journal_begin(const TrainRun *r, bool *done, Err *e);        /* folder, check of recipe and data or write; *done: a finished run of this recipe */
Json *journal_facts(const TrainRun *r);                           /* run.json of a new run, without the hashes of its base */
/* Once those are known, before anything else in the folder gets its name: compares them with run.json, and writes it for a new run (facts; NULL: not new). */
int  journal_settle(const TrainRun *r, Json *facts, Json *base, Err *e);
int  journal_rewind(const TrainRun *r, Err *e);                   /* cuts the journals to r->state */
int  journal_mark(TrainRun *r, Err *e);                           /* notes their lengths in r->state */
int  journal_sync(const TrainRun *r, Err *e);                     /* what they hold survives a power loss */
int  journal_step(const TrainRun *r, const TrainProgress *p, Err *e);
int  journal_order(const TrainRun *r, const PackPlan *plan, int64_t first_bin, int64_t last_bin, Err *e);
int  journal_eval(const TrainRun *r, const TrainProgress *p, Err *e);
int  journal_sample(const TrainRun *r, const Example *x, Str prompt, Str expected, Str output, Err *e);
int  journal_done(const TrainRun *r, const TrainResult *res, Err *e);
int  journal_read_done(const TrainRun *r, TrainResult *res, Err *e);
void journal_running(const TrainRun *r);                           /* an earlier failure is over: the run goes on */
void journal_failed(const TrainRun *r, const char *sentence);
void journal_log(void *run_out, LogLevel level, const char *room, const char *text); /* a log sink: appends to log.txt */

#endif
