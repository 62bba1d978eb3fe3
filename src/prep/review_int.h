/* review_int.h - what the files of a review share: review_index.c opens, review_view.c finds rows, review_row.c shows one, review_log.c takes actions,
 * review_apply.c follows them.
 * Main structs: Review; ReviewRow and ReviewMark, the compact index; ReviewAction, one line of review.jsonl. */
#ifndef HONE_REVIEW_INT_H
#define HONE_REVIEW_INT_H

#include <pthread.h>

#include "base/file.h"
#include "base/map.h"
#include "base/vec.h"
#include "prep/pii.h"
#include "prep/measures.h"
#include "prep/prep_cfg.h"
#include "prep/review.h"
#include "tokenizer/tok.h"

enum { RP_REMOVED, RP_TRAIN, RP_VALIDATION, RP_TEST, RP_PARTS };
extern const char *const review_part[RP_PARTS];
extern const char *const review_file[RP_PARTS];

/* 48 bits of place: 256 TiB a file. */
typedef struct ReviewRow  {
    uint32_t id, off_lo;
    uint16_t off_hi;
    uint8_t  part, touched;  /* touched: people said something of it */
    uint32_t mark;           /* its first decision */
} ReviewRow;
typedef struct ReviewMark { uint32_t row, off_lo; uint16_t off_hi, kind; float score; } ReviewMark; /* row: index; score NAN: none */
static inline uint64_t row_off(const ReviewRow *r) { return (uint64_t)r->off_hi << 32 | r->off_lo; }
static inline uint64_t mark_off(const ReviewMark *m) { return (uint64_t)m->off_hi << 32 | m->off_lo; }

typedef struct ReviewReason { char *pass, *action, *reason; int64_t rows; } ReviewReason;

#define NO_ACTION UINT32_MAX
typedef struct ReviewAction {
    uint64_t off;        /* of its line in review.jsonl */
    uint32_t bytes;
    uint32_t row;        /* index; NO_ACTION: the row is not in the folder any more, or it is an undo */
    uint32_t before;     /* earlier action on the same row; NO_ACTION: none */
    uint16_t who, label; /* index of reviewer; of label text, for REVIEW_LABEL */
    uint8_t  kind;
    bool     undone;
} ReviewAction;

#define VIEWS 8
typedef struct ReviewKeyed { float key; uint32_t row; } ReviewKeyed; /* key NAN: none */
typedef struct ReviewScore { float loss, ifd; } ReviewScore;         /* NAN: none */
typedef struct ReviewView {
    char    *key;        /* the filter, written out; NULL: free */
    uint64_t used;       /* the larger, the later */
    uint32_t next;       /* rows looked at so far */
    VEC(uint32_t) row;   /* that fit, ascending */
    VEC(ReviewKeyed) order; /* the same in the order asked for, once all are found; empty when that is by id */
} ReviewView;

struct Review {
    char        *dir;
    int          lock;
    bool         read_only;
    FileMap      map[RP_PARTS], decisions;
    VEC(ReviewRow)    row;     /* ascending id */
    VEC(ReviewMark)   mark;    /* by row, then as logged */
    VEC(ReviewReason) reason;
    int64_t      part[RP_PARTS];
    int64_t      logged;       /* largest "review" number in the log of decisions */
    int64_t      loose;        /* decisions about no row of the folder */
    PrepCfg      cfg;          /* the options the folder was made with */
    Json        *manifest;
    Tok         *tok;
    PiiScanner  *pii;
    char        *model;
    Measures     measures;
    ReviewScore *score;        /* [rows] of scores.jsonl; NULL: there is none */
    Json        *columns;      /* names of meta's columns, of the first rows */

    pthread_mutex_t mu;        /* over what follows */
    FileLog      log, prov;
    bool         stuck;        /* a failed write could not be taken back */
    VEC(ReviewAction) action;
    Map         *last;         /* row index (4 bytes) -> its last action */
    Map         *people, *labels;
    ReviewView   view[VIEWS];
    uint64_t     clock;
    int64_t      applied;      /* actions up to this one are in the files */
};

/* ---- review_index.c ---- */
Str  review_line(const Review *r, uint32_t row);                  /* without its end */
Str  review_mark_line(const Review *r, const ReviewMark *m);
bool review_find(const Review *r, int64_t id, uint32_t *row);
int  review_parse(const Review *r, uint32_t row, Json **whole, Json **content, Err *e); /* whole: owned; content: the canonical row in it, NULL for a raw one */
const char *review_source(const Review *r, uint32_t row);         /* the input file, by the manifest's counts; "" unknown */
/* The canonical key of a kind of decision: numbers and quoted words become a dash. */
void review_reason_key(StrBuf *out, Str reason);
/* The value of one of the first members of a line that hone wrote; false: the line is another's, so parse it. For the test. */
typedef struct MarkHead { int64_t row, review; Str pass, action, reason; double score; } MarkHead;
bool review_mark_quick(Str line, MarkHead *h);
int  review_mark_slow(Str line, const char *where, MarkHead *h, Json **owner, Err *e);

/* ---- review_log.c ---- */
int  review_log_open(Review *r, Err *e);
void review_log_close(Review *r);
/* What people said of a row so far. */
typedef struct RowState {
    int      verdict;          /* the last accept or reject: REVIEW_ACCEPT, REVIEW_REJECT; -1: none */
    uint32_t edit, label;      /* the action that counts; NO_ACTION: none */
    bool     differ, commented;
    int      who;              /* of the verdict */
} RowState;
void review_state(const Review *r, uint32_t row, RowState *s);
int  review_verdict_of(const Review *r, uint32_t row, int who);   /* -1: none */
bool review_kind_writes(int kind);                                /* it has a row_new */
int  review_action_json(const Review *r, const ReviewAction *a, Json **out, Err *e);
/* What a row says, in canonical form with the id and the meta of `old` (NULL: none; then any kind is good). ERR_ARG: it is no such row. */
int  review_canonical(int64_t id, const Json *old, const Json *said, Json **out, Err *e);
/* The row after an edit was taken back: 0 the repair's, n that of action n. content: the row as people left it, NULL for a raw one. ERR_ARG: why not. */
int  review_restore(const Review *r, uint32_t row, const Json *content, int64_t edit, Json **out, Err *e);
Json *review_copy(const Json *j);
uint32_t review_last(const Review *r, uint32_t row);
/* The row as people left it: the last edit, or what the file says; owner: owned. *content NULL: a raw row. */
int  review_content(const Review *r, uint32_t row, Json **owner, Json **content, Err *e);
/* Whether review_apply would do something to a row that stands like this. */
bool review_pending(const Review *r, uint32_t row, const RowState *s);
static inline uint32_t review_marks_end(const Review *r, uint32_t row) { return row + 1 < r->row.n ? r->row.p[row + 1].mark : (uint32_t)r->mark.n; }
bool  review_texts_known(const Json *content);                    /* its texts can be walked (record_each_text): nobody changed it into something else */
Json *review_agreement(const Review *r);                          /* review_agree.c */

/* ---- review_diff.c ---- */
/* [["=", text], ["-", text], ["+", text], ...]: what became of `a` in `b`, by words (runs of letters and digits, runs of spaces, single marks). Texts of more
 * than DIFF_WORDS_MAX words or with more than DIFF_EDITS_MAX differences are shown as one replacement between their common ends. */
#define DIFF_WORDS_MAX 200000
#define DIFF_EDITS_MAX 2000
Json *review_diff(Str a, Str b);

/* ---- review_check.c ---- */
typedef struct ReviewCheck ReviewCheck;
typedef struct ReviewChecked {
    StrBuf  log, subjects;     /* lines for decisions.jsonl and subjects.jsonl, appended */
    StrBuf  refused;           /* why training would refuse the row; empty: it would not */
    bool    personal, too_long;
    Measure measure;
} ReviewChecked;
int  review_check_open(ReviewCheck **c, const Review *r, const ReviewApplyOptions *o, Err *uncounted, Err *e);
/* before: what the file says, NULL for a raw row; after: what the edit made of it. from_log: it took a repair back, so all of it stood in the folder. */
int  review_check_row(ReviewCheck *c, uint32_t row, const Json *before, const Json *after, bool from_log, ReviewChecked *out, Err *e);
void review_check_close(ReviewCheck *c);
/* Whether training would take the row as people left it; ERR_ARG: why not. */
int  review_sound(const Review *r, uint32_t row, Err *e);
void review_checked_release(ReviewChecked *out);

/* ---- review_twin.c ---- */
enum { TWIN_EXACT, TWIN_NEAR, TWIN_QUESTION };
typedef struct ReviewTwin {
    uint32_t row, other;           /* index of an edited row, and of the row that it says or asks the same as; UINT32_MAX: one that has moved */
    uint8_t  from, to, other_part; /* to RP_REMOVED: it leaves */
    uint8_t  how;
    bool     torn;                 /* it leaves because what belongs to it lies in more than one part */
    double   jaccard;              /* NAN for TWIN_QUESTION */
} ReviewTwin;
typedef VEC(ReviewTwin) ReviewTwins;
/* The edited rows (indexes, ascending) that must go elsewhere than to[row]; `to` follows. */
int  review_twins(const Review *r, uint8_t *to, const uint32_t *edited, size_t n, ReviewTwins *out, Err *e);
uint64_t review_columns_value(const char *columns, const Json *content); /* values of the columns as one number; 0: the row has none of them */

/* ---- review_eval.c ---- */
typedef struct ReviewOverlap { uint32_t row; char *why, *log; } ReviewOverlap; /* index of an edited row; the reason and its line for decisions.jsonl, both owned */
typedef VEC(ReviewOverlap) ReviewOverlaps;
/* The edited rows that overlap an evaluation set of the folder (appended). unheld: why none was held against them (a set is gone or has changed); code 0: all were. */
int  review_overlaps(const Review *r, const uint8_t *to, const uint32_t *edited, size_t n, const char *pii_key, ReviewOverlaps *out, Err *unheld, Err *e);

/* ---- review_control.c ---- */
/* The control sets of --select as they are after this, into the folder; left: lines that are not in them any more. */
int  review_controls(const Review *r, const uint8_t *to, const char *folder, int64_t *left, Err *e);
void review_set_label(const Review *r, const RowState *s, Json *content); /* review_apply.c; content NULL: nothing */

/* ---- review_swap.c ---- */
/* New files take the places of the old ones all at once: swap_begin, write into the folder, swap_commit (that is the decision; then they are renamed one by
 * one). A kill before it changes nothing, after it the next review_open goes on (swap_resume). */
int  swap_begin(const Review *r, char **folder, Err *e);
int  swap_commit(const Review *r, char **folder, Err *e);
void swap_abort(char **folder);
int  swap_resume(const char *dir, Err *e);
int  swap_manifest(const Review *r, const char *folder, Err *e);  /* r->manifest with the hashes of what is in the folder */
/* DATA/name and more behind it. */
int  swap_longer(const Review *r, const char *folder, const char *name, Str more, Err *e);
/* DATA/name line by line: line returns what stands there instead ({NULL, 0}: nothing). No file: nothing is done. */
typedef int (*SwapLineFn)(void *user, Str line, Str *instead, Err *e);
int  swap_lines(const Review *r, const char *folder, const char *name, SwapLineFn line, void *user, Err *e);
int  swap_report(const Review *r, Err *e);                        /* report.html, where there is one */

#endif
