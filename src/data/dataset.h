/* dataset.h - data files to token sequences with a mask, and the gate that every row passes before training.
 * Main struct: DataSet, an array of Example in file order. Invariants of a set that dataset_load returned without error: every example has at
 * least one trained target (position >= 1), every id lies inside the embedding, n <= max_length, only the first token
 * may be BOS (unless EOS is the same token). */
#ifndef HONE_DATASET_H
#define HONE_DATASET_H

#include "base/arena.h"
#include "base/file.h"
#include "base/hash.h"
#include "tokenizer/chat.h"

typedef enum { DATA_MESSAGES, DATA_PAIR, DATA_TEXT_ROWS, DATA_RAW_TEXT } DataKind; /* found from the content of the file */
typedef enum { OBJECTIVE_SFT, OBJECTIVE_TEXT } Objective; /* text: every token but the first is trained (continued pre-training) */
typedef enum { LONG_FAIL, LONG_DROP, LONG_CUT_PROMPT } LongPolicy; /* a row longer than max_length: refuse the run, leave it out, cut from the left of the prompt */

typedef struct Example {
    int32_t *ids;       /* [n] */
    uint8_t *train;     /* [n] 1: this token is a trained target; train[0] is never 1 */
    int32_t  n, n_train;
    int32_t  file;      /* index into DataSet.file */
    int64_t  line;      /* 1-based line of the row; for raw text the chunk number */
} Example;

typedef struct DataOptions {
    Objective   objective;
    int32_t     max_length;   /* tokens per example, > 1 */
    LongPolicy  on_long;
    const char *separator;    /* put between prompt and completion; NULL or "" : nothing */
    int32_t     vocab;        /* rows of the model's embedding; ids must lie below; 0: not checked */
    size_t      keep_from;    /* what became of a file of at least so many bytes is kept in FILE.hone-tokens for the next time (tokens.c); 0: of none */
    Pool       *pool;         /* the rows are shared out over it, with the same result for any number of threads; NULL: none */
} DataOptions;

typedef struct DataStats {
    int64_t rows;                   /* JSONL rows, those left out included; a raw text counts as one */
    int64_t examples;
    int64_t tokens, trained_tokens; /* of all examples */
    int64_t dropped_long, cut_long; /* rows that were left out or shortened for max_length */
    int64_t longest;                /* tokens of the longest example */
} DataStats;

typedef struct DataFile { char *path; DataKind kind; char sha256[SHA256_HEX]; } DataFile;

typedef struct DataSet {
    Example  *ex;
    size_t    n;
    DataFile *file;
    size_t    n_files;
    DataStats stats;
    Arena     arena;
    FileMap  *map;          /* files of kept tokens, in which examples lie */
    size_t    n_maps;
} DataSet;

/* files: one path or several joined by commas. Errors name file, line and reason. Rows:
 *   {"messages":[...]}                          assistant turns are trained, terminators included
 *   {"prompt":"..","completion":".."}           BOS? prompt separator completion EOS; tokenised as one text, split by character offsets:
 *                                               a token is trained when it holds any byte of the completion; EOS is added unless the completion ends with it
 *   {"text":".."}                               objective text: BOS? text EOS, cut into pieces of max_length that overlap by one token, so that every
 *                                               token is a target once; objective sft: ERR_INPUT that explains
 *   any other file                              one long text, as above, without EOS; must be valid UTF-8; a byte order mark is passed over
 * The kind comes from the first line that is not blank, not from the name; but a file named .jsonl or .json is never raw text, and a .json file may
 * hold one array of rows (at most JSONL_LINE_MAX bytes; errors then name the row). A key whose value is null counts as absent.
 * Extra keys in a row are allowed; a row with none or a mixture of the shapes is an error, and so is a file that mixes shapes.
 * Hard stops (row named): no trained token, terminator not trained, two leading BOS, completion cut by the limit (on_long decides), id outside the
 * vocabulary, empty file. With objective text, messages and pairs are trained on all their tokens. */
int  dataset_load(DataSet **out, const char *files, const Tok *tok, const DataOptions *opt, Err *e);
void dataset_free(DataSet *d);
/* For a set that is put together by hand: one more example, its tokens copied into the set's arena; cap: of d->ex, the caller's, 0 at first. */
void dataset_add(DataSet *d, size_t *cap, Example x);

/* Moves a share (0 < fraction < 1, at least one row, never all) of the rows to a second set that lives on its own. What is held out hangs on the seed and
 * on what a row says, not on the order of the file; copies of a row stay together, and so do the pieces of one. Of a raw text the last pieces are held
 * out instead, since neighbours overlap in content. Both sets keep file, line and order. */
int  dataset_split(DataSet *d, double fraction, uint64_t seed, DataSet **held_out, Err *e);

/* What one row would be in training: its tokens and how many of them are trained, through the same gate; max_length is not looked at. Thread-safe.
 * ERR_INPUT: the sentence with which training would refuse it, without a place. */
int  dataset_count_row(const Json *row, const Tok *tok, const DataOptions *opt, int64_t *tokens, int64_t *trained, Err *e);

const char *data_kind_name(DataKind k);
int  data_kind(const char *path, DataKind *kind, Err *e); /* by the first row; the others are not looked at */
/* Finds the kind without a tokenizer, checks that every row has its shape, and counts the rows (raw text: 1); for `hone inspect`. */
int  data_sniff(const char *path, DataKind *kind, int64_t *rows, Err *e);
/* Coloured (or, without colour, bracketed: trained tokens between [[ and ]]) view of example i; control characters of the data appear as \xNN. */
void dataset_preview(const DataSet *d, size_t i, const Tok *tok, bool colour, StrBuf *out);

#endif
