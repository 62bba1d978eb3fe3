/* embed.h - a vector for each row, out of the base model, so that rows can be asked how much they mean the same.
 * Main struct: Embeddings. A row's vector is the mean of the last hidden states (after the final norm) over the tokens of its prompt: those that are not
 * trained and stand before the last one that is, without BOS where there are others (its state is an outlier that says nothing about the row). It has
 * length 1; a row whose prompt has no token at all gets the zero vector and is similar to nothing. A conversation is fed up to its last trained token, since
 * later questions see the answers before them; rows longer than max_length tokens are cut from the right.
 *
 * Raw language-model embeddings crowd into a narrow cone (Ethayarajh 2019; Mu & Viswanath 2018): any two rows have a high cosine. embed_centre takes the
 * mean of all rows away (the first step of Mu & Viswanath's all-but-the-top); embed_mean_cosine measures what it does: on 3,000 rows of nl2bash with the
 * base model of examples/base the mean cosine is 0.788 raw and 0.003 centred. A threshold for centred vectors means another thing for raw ones.
 *
 * Cost: one pass over each prompt, no head. Memory: 4 n D bytes (n rows of width D; 100,000 rows of a model of width 576: 230 MB), ERR_MEM when that is
 * refused. Neighbours are found exactly, in blocks: n^2 D / 2 multiply-adds by the backend's matrix product on all its cores and n^2 / 2 comparisons on one
 * (100,000 rows of width 576: 2.9e12); memory 16 bytes times `nearest` for each row. EMBED_ROWS_MAX bounds both; more rows are ERR_INPUT. */
#ifndef HONE_EMBED_H
#define HONE_EMBED_H

#include "prep/score.h"

#define EMBED_ROWS_MAX    200000 /* of a search for neighbours */
#define EMBED_NEAREST_MAX 64

typedef struct Embeddings {
    Backend *be;
    float   *x;              /* [n, dim] host; rows of length 1 or 0 */
    int64_t  n, dim;
    int64_t  cut;            /* rows whose prompt was cut */
} Embeddings;

typedef struct EmbedOptions {
    int64_t    max_length;   /* as in ScoreOptions */
    int64_t    batch_tokens;
    ScoreHooks hooks;
} EmbedOptions;

int    embed_rows(Embeddings *x, Model *m, const ScoreRows *rows, const EmbedOptions *o, Err *e); /* x needs embed_release only when 0 comes back */
void   embed_release(Embeddings *x);
void   embed_centre(Embeddings *x);              /* takes the mean of the rows that are not zero away from each of them; their length is 1 again */
double embed_mean_cosine(const Embeddings *x);   /* of all pairs of different rows; 0 for fewer than two */

/* out[i, j] = cosine of rows a[i] and b[j]; scratch is the caller's, for x->be. na, nb >= 1. */
int    embed_cosines(const Embeddings *x, TArena *scratch, const int64_t *a, int64_t na, const int64_t *b, int64_t nb, float *out, Err *e);

typedef struct EmbedPair { int64_t a, b; float cosine; } EmbedPair; /* a < b */
typedef VEC(EmbedPair) EmbedPairs;
/* Pairs with cosine >= threshold of which one row is among the `nearest` (1 .. EMBED_NEAREST_MAX) nearest of the other, equally near ones by number; in
 * order of (a, b). A crowd of k copies so gives its k nearest links and not all k^2 / 2 pairs; embed_groups finds the same crowd. */
int    embed_near(const Embeddings *x, double threshold, int nearest, const ScoreHooks *h, EmbedPairs *out, Err *e);
/* group[i] = the smallest row that i is joined to through pairs (i itself when none). */
void   embed_groups(int64_t n, const EmbedPairs *pairs, int64_t *group);

#endif
