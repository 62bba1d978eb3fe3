/* sample.h - from logits to the next token, as transformers' generate does it: repetition penalty (Keskar et al. 2019), then temperature, top-k,
 * top-p (Holtzman et al. 2019), min-p (Nguyen et al. 2024), in this order, and one draw from what is left. Arithmetic is in double.
 * A draw is a function of (seed, sequence, step) alone, so a text can be made again whatever else was sampled around it.
 * To add a rule: a field in SampleOptions whose zero means "off", a function in sample.c, its place in sampler_weigh. */
#ifndef HONE_SAMPLE_H
#define HONE_SAMPLE_H

#include "base/err.h"

typedef struct SampleOptions { /* all zero: greedy */
    double   temperature;        /* 0: always the likeliest token, the lowest id of equals */
    int64_t  top_k;              /* only the k likeliest, and those as likely as the last of them; 0: off */
    double   top_p;              /* only the likeliest that together reach this probability; 0 or 1: off */
    double   min_p;              /* only those at least this share as likely as the likeliest; 0: off */
    double   repetition_penalty; /* logits of tokens that stand in the text already are divided by it (multiplied when negative); 0 or 1: off */
    uint64_t seed;
} SampleOptions;

typedef struct Candidate { int32_t id; double score, p; } Candidate; /* score: processed logit; p: probability */

typedef struct Sampler {
    int32_t    vocab;
    Candidate *cand;   /* [vocab]; the first n_cand are what the last sampler_weigh left */
    int32_t    n_cand;
    double    *work;   /* [vocab] */
    uint8_t   *seen;   /* [vocab] 1: the token stands in the text */
} Sampler;

void sampler_init(Sampler *s, int32_t vocab);
void sampler_release(Sampler *s);
void sampler_forget(Sampler *s);              /* no token has been seen */
void sampler_see(Sampler *s, int32_t id);

/* Fills s->cand with the tokens that may come next and their probabilities (summing to 1). A logit that is not finite is ERR_WORK. */
int  sampler_weigh(Sampler *s, const float *logits, const SampleOptions *o, Err *e);
int  sampler_pick(Sampler *s, const float *logits, const SampleOptions *o, uint64_t sequence, uint64_t step, int32_t *id, Err *e);

#endif
