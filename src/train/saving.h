/* saving.h - what a run keeps goes to the disk beside the training: the best result so far, and a checkpoint.
 * Main struct: Saving, one save at a time, on a thread of its own. It first reads what training changes (trained weights and moments), straight from where
 * they lie: no copy is made of them, so saving takes no memory to speak of (ckpt_room, model_save_room). Passes over the next step's data only read them too
 * and run meanwhile; the update of the optimizer waits for saving_let_change. Then come hashes, flushes and names, beside the next steps. A device is read
 * before saving_begin returns, since a backend has one caller at a time; and what it gave counts only when it has not failed until then.
 * Invariants: the checkpoint gets its name last, when journals, result and settle() are safe; so a run killed at any moment goes on from a folder as
 * one that waited for each save would have left it. */
#ifndef HONE_SAVING_H
#define HONE_SAVING_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "train/ckpt.h"

typedef struct SaveJob {
    const char      *run;           /* its folder */
    const Optimizer *opt;           /* NULL: no checkpoint */
    RunState         state;
    int64_t          keep;          /* checkpoints */
    bool             best;          /* the result as well: RUN/adapter, or RUN/model when there is no adapter */
    Adapter         *adapter;
    const Model     *model;
    int            (*settle)(void *user, Err *e); /* before anything gets its name; on the saving thread */
    void            *user;
} SaveJob;

typedef struct Saving {             /* zeroed: nothing is being saved */
    SaveJob         job;
    Beside         *thread;
    bool            begun;
    Ckpt            ckpt;           /* what has no name yet: the checkpoint, and the folder of the best result */
    char           *best, *tmp;
    pthread_mutex_t lock;           /* of read */
    pthread_cond_t  is_read;
    bool            read;           /* all that training changes */
    atomic_bool     failed;
    int             rc;             /* and err: the thread's, until it is joined */
    Err             err;
} Saving;

void saving_begin(Saving *s, const SaveJob *job);   /* no other save may be under way */
/* Before trained weights or moments change. An error is that of the save that is under way, as soon as it is known. */
int  saving_let_change(Saving *s, Err *e);
int  saving_end(Saving *s, bool *saved, Err *e);    /* waits until it is done; *saved (may be NULL) false: there was none */

#endif
