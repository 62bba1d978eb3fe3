/* task.h - does the model do the job? Greedy answers to the prompts of held-out examples against the expected ones: exactly equal, and where the
 * expected answer is a JSON object, whether the answer is one and which of the expected fields it has right.
 * A prompt is the example's tokens up to its last trained stretch, so the model sees what it saw in training. Answers are compared without white
 * space around them.
 * Main struct: TaskScore. To add a measure: a TaskShare in it, counted in task_judge, a row where cmd_eval prints them. */
#ifndef HONE_TASK_H
#define HONE_TASK_H

#include "base/map.h"
#include "data/dataset.h"
#include "infer/generate.h"

typedef struct TaskShare { int64_t hits, of; } TaskShare;
double task_share(TaskShare s);                               /* NaN when nothing was counted */
void   task_interval(TaskShare s, double *low, double *high); /* Wilson's 95 % interval (Wilson 1927) */

typedef struct TaskScore {
    TaskShare exact;                       /* of all answers */
    TaskShare valid_json;                  /* of the answers to examples that expect a JSON object */
    TaskShare fields;                      /* of all expected fields: equal in the answer */
    VEC(TaskShare) field;                  /* the same, field by field */
    Map      *field_names;                 /* name -> index into field, in order of appearance; NULL: no field yet */
} TaskScore; /* zeroed is empty */
void task_score_release(TaskScore *s);
bool task_judge(TaskScore *s, Str expected, Str got); /* counts one answer; true when it is exactly the expected one */

typedef struct TaskAnswer { const Example *example; Str prompt, expected, got; bool exact; } TaskAnswer;

typedef struct TaskOptions {
    int64_t max_tokens;                    /* of an answer; 0: twice the expected one, at least 64 */
    void   *user;
    void  (*answered)(void *user, const TaskAnswer *a); /* may be NULL */
    bool  (*stop_asked)(void *user);       /* may be NULL; asked before each example; then ERR_STOP */
} TaskOptions;

int task_run(Generator *g, const DataSet *d, const TaskOptions *o, TaskScore *s, Err *e);

#endif
