/* generate.h - a model that continues texts: the prompt goes through the model once, in chunks, then each new token alone, its keys and values
 * kept. It runs the same blocks as training (model.h).
 * Main struct: Generator, one text with its cache. Invariants: the cache holds the keys and values of ids[0 .. n_cached); a new prompt keeps as
 * much of it as begins the same (a conversation is computed once), and several answers to one prompt share the prompt's part.
 * A text, prompt and answer together, has at most generator_positions() tokens: the model's own limit, and no more than
 * model_reserve_positions has made tables for. */
#ifndef HONE_GENERATE_H
#define HONE_GENERATE_H

#include "infer/sample.h"
#include "infer/stop.h"
#include "model/lora.h"
#include "tokenizer/tok.h"

#define GENERATE_CHUNK 512  /* tokens of a prompt that go through the model at once; only the last one is turned into logits */
#define GENERATE_END_MAX 16 /* different ids that end an answer */

typedef enum { FINISH_END, FINISH_STOP_TEXT, FINISH_LENGTH, FINISH_ASKED } Finish;
const char *finish_name(Finish f); /* "end", "stop", "length", "asked" */

typedef struct GenOptions { /* zeros: greedy, to the end of the room */
    SampleOptions   sample;
    int64_t         max_tokens; /* 0: as many as there is room for */
    const StopList *stop;       /* may be NULL */
} GenOptions;

typedef struct GenHooks {
    void *user;
    void (*text)(void *user, Str piece); /* may be NULL; whole UTF-8 characters, at once when they are certain */
    bool (*stop_asked)(void *user);      /* may be NULL; asked before every token */
} GenHooks;

typedef struct Generator {
    const Model   *model;
    const Adapter *adapter;           /* NULL: base */
    const Tok     *tok;               /* NULL: ids only, no text */
    KvCache        kv;                /* one sequence; grows */
    DType          kv_type;           /* F32; F16, Q8_0: half, a quarter of the memory and traffic, and answers no longer have the log-probabilities of training to the last digits */
    TArena         scratch;
    TokIds         ids;               /* prompt, then the answer of the last run (without the token that ended it) */
    int32_t        n_prompt, n_cached;
    int32_t        plan;              /* tokens that prompt and answer are meant to reach; 0: generator_positions. Only models whose angles depend on
                                         the length of a text ask for it (model.h, step_init_cached) */
    int32_t        chunk;             /* GENERATE_CHUNK */
    float         *prompt_logits;     /* [V] what follows the prompt */
    float         *logits;            /* [V] what follows the last token fed */
    Sampler        sampler;
    int32_t        end[GENERATE_END_MAX]; /* ids that end an answer: the model's, the tokenizer's, those added */
    int            n_end;
} Generator;

typedef struct GenResult { Finish finish; int64_t n_tokens; } GenResult; /* n_tokens: of the answer, without the one that ended it */

void generator_open(Generator *g, const Model *m, const Adapter *a, const Tok *tok);
void generator_close(Generator *g);
void generator_end_add(Generator *g, int32_t id);       /* this id ends answers as well */
bool generator_ends(const Generator *g, int32_t id);
int32_t generator_positions(const Generator *g);

/* Takes the prompt in; afterwards g->prompt_logits say what follows. ERR_INPUT when it is empty, too long or has ids outside the vocabulary. */
int  generator_prompt(Generator *g, const int32_t *ids, int32_t n, Err *e);
/* One answer to the prompt, numbered `sequence`; its text is appended to `text` (may be NULL) without special tokens. */
int  generator_run(Generator *g, const GenOptions *o, uint64_t sequence, const GenHooks *h, StrBuf *text, GenResult *r, Err *e);
/* To be called before generator_prompt by who knows how long the text can get; a cache of no use under the new plan is forgotten. */
void generator_plan(Generator *g, int64_t tokens);
/* Prompt and answer in one call, greedily: what a command or a training run needs for a sample. */
int  generator_answer(Generator *g, const int32_t *ids, int32_t n, int64_t max_tokens, StrBuf *text, Err *e);

#endif
