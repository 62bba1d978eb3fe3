/* select.h - chooses k rows of a data set, says of every row why, and chooses two control sets of the same size, so that a choice's worth can be measured.
 * Main structs: SelectInput, what is known of the rows; Selection, one choice. Invariant: a selection is a function of its input and options alone; rows
 * that are equal in what decides go by number, the lower first.
 *
 *   best      the k rows with the highest score (IFD: Cherry_LLM and Superfiltering take the highest below 1)
 *   diverse   down the same ranking, a row is kept when its cosine to every row kept so far is below max_cosine (DEITA's Repr Filter, Liu et al. 2024; its
 *             threshold is 0.9 on embeddings of another model: see embed.h about what a threshold means). May end with fewer than k rows
 *   cover     of the best-scored share of the rows, the k that stand for all of it best: greedy facility location, sum over the pool of the highest cosine
 *             to a chosen row (Superfiltering's diversity variant: best 20 %, then facility location to 2 %). At most SELECT_COVER_MAX rows in the pool
 *   random    k of all rows, by a draw
 *   longest   the k rows with most tokens in the answer: hard to beat (Zhao et al. 2024, "Long Is More for Alignment")
 *
 * The controls choose from all rows, also from those that score or length bars from the other ways. At the scale of a million rows nearly no score beats
 * random (Xia et al. 2024, "Rethinking Data Selection at Scale"), so a selection is a claim to be tested on held-out data, never an improvement by itself;
 * bench/selection.csv (tools/selection_experiment.sh) holds such a test: with the small base of examples/, 600 of 3,000 rows by IFD were not clearly better
 * than random ones on nl2bash and clearly worse on banking77, where IFD (and length far more so) takes some labels and leaves others out.
 * Cost: best, random, longest sort n rows. diverse: at most n k cosines by the backend's product; cover: P^2 cosines for a pool of P rows (4 P^2 bytes),
 * then at most P sums of P terms for each row chosen, in practice few of them (lazy greedy, Minoux 1978).
 * To add a way: a row in `ways` (select.c). */
#ifndef HONE_SELECT_H
#define HONE_SELECT_H

#include "prep/embed.h"

#define SELECT_COVER_MAX   4096
#define SELECT_COVER_SHARE 0.2
#define SELECT_COSINE      0.9

typedef enum { SELECT_BEST, SELECT_DIVERSE, SELECT_COVER, SELECT_RANDOM, SELECT_LONGEST, SELECT_WAYS } SelectWay;
const char *select_way_name(SelectWay w); /* "best", ... */

typedef enum {
    SELECT_KEPT,
    SELECT_RANKED_OUT,   /* k rows were better, or the draw fell on others */
    SELECT_TOO_NEAR,     /* to the kept row `near` */
    SELECT_COVERED,      /* in the pool of cover, but the chosen rows stand for it; nearest is `near` */
    SELECT_NO_HELP,      /* IFD 1 or more: the prompt does not help the model to the answer */
    SELECT_CUT,          /* the row was longer than what was scored */
    SELECT_NO_SCORE,     /* there is no score */
} SelectWhy;

typedef struct SelectInput {
    size_t            n;
    const double     *score;   /* [n] higher is better; NaN: none. For best, diverse and cover */
    const SelectWhy  *barred;  /* [n] SELECT_KEPT: may be chosen; else why not. NULL: every row with a score may. Same ways */
    const int64_t    *length;  /* [n] trained tokens; for longest */
    const Embeddings *embed;   /* n rows; for diverse and cover */
} SelectInput;

typedef struct SelectOptions {
    size_t     k;              /* 1 to n, else ERR_ARG */
    double     max_cosine;     /* 0: SELECT_COSINE */
    double     cover_share;    /* 0: SELECT_COVER_SHARE; up to 1. The pool has at least k rows */
    uint64_t   seed;           /* of random */
    ScoreHooks hooks;
} SelectOptions;

typedef struct SelectVerdict {
    SelectWhy why;
    int64_t   place;           /* kept: 1, 2, ... in order of choice; else 0 */
    int64_t   rank;            /* 1, 2, ... among the rows that may be chosen, by what the way goes by; 0: barred */
    double    value;           /* what the way goes by: score, tokens; random: 0 */
    int64_t   near;            /* a kept row; -1: none */
    float     cosine;          /* to it */
} SelectVerdict;

typedef struct Selection {
    SelectWay      way;
    int64_t       *row;        /* [n] numbers of the chosen rows, from 0, in order of choice */
    size_t         n;
    SelectVerdict *verdict;    /* [rows] */
    size_t         rows;
} Selection;

int  select_rows(Selection *s, SelectWay way, const SelectInput *in, const SelectOptions *o, Err *e); /* s needs select_release only after 0 */
/* The way's choice in out[0] and of as many rows as it has: random in out[1], longest in out[2]. With no row to choose ERR_INPUT. */
int  select_with_controls(Selection out[3], SelectWay way, const SelectInput *in, const SelectOptions *o, Err *e);
void select_release(Selection *s);

/* The rule of the IFD papers on what score_rows found: score[i] is the named IFD; cut rows, those without one and those with 1 or more are barred. */
typedef enum { IFD_LOSS, IFD_PERPLEXITY } IfdKind;
void select_by_ifd(const RowScore *from, size_t n, IfdKind kind, double *score, SelectWhy *barred);

#endif
