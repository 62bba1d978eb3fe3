/* review.h - a person looks through a prepared data set (prep.h) and has the last word on its rows.
 * Main struct: Review. It maps the files of DATA and keeps 16 bytes of memory for a row (24 when it was scored) and 16 for a decision (32 while opening), so
 * ten million rows open on a laptop; texts stay on disk. Nothing of DATA changes while rows are judged: what people decide is appended, one line each, to
 *   DATA/review.jsonl     {"n": 7, "row": 12, "reviewer": "Ann", "action": "reject", "time": "2026-11-28T09:30:00Z", "text"?, "row_new"?, "row_old"?, ...}
 * and to the log of decisions (provenance.h, pass "review"), and is on disk (fsync) before the caller hears of success.
 *   accept    the row stays, or comes back if it was removed; one that training would refuse (its answer is empty) has to be edited first
 *   reject    the row leaves
 *   edit      it says "row_new" instead; whether it stays is not decided by that. "row_old" (or "raw_old") is what it said before
 *   restore   an edit is taken back: "edit" 0 that of the repair pass (before.h), else that of action number "edit"; "row_new" is the row after that.
 *             What stood in the place of a replaced personal datum is written nowhere (pass_pii.c), so a replacement cannot be taken back from here
 *   label     "text" becomes its label: meta's --label column, or meta.label
 *   comment   "text"
 *   undo      the reviewer's action "undoes" does not count
 * Of one reviewer's accepts and rejects of a row the last counts; all reviewers' verdicts are kept, and review_apply follows the last one.
 * All functions but open and close may be called from any thread.
 * To add an action: a ReviewKind, a row in review_log.c's table, and what it means in review_apply.c. */
#ifndef HONE_REVIEW_H
#define HONE_REVIEW_H

#include "base/err.h"
#include "base/json.h"
#include "base/vec.h"

#define REVIEW_NAME_MAX    64                   /* bytes of a reviewer's name */
#define REVIEW_TEXT_MAX    ((size_t)16 << 10)   /* bytes of a comment; a label may have 256 */
#define REVIEW_LABEL_MAX   256
#define REVIEW_ROW_MAX     ((size_t)8 << 20)    /* bytes of an edited row; longer ones are shown, not edited */
#define REVIEW_SEARCH_MAX  1024                 /* bytes of a text that is searched for */
#define REVIEW_PAGE_MAX    500                  /* rows of a list at once */
#define REVIEW_REASONS_MAX 4000                 /* kinds of decision told apart; what comes then counts as "(others)" of its pass and action */
#define REVIEW_PEOPLE_MAX  200

typedef enum { REVIEW_ACCEPT, REVIEW_REJECT, REVIEW_EDIT, REVIEW_RESTORE, REVIEW_LABEL, REVIEW_COMMENT, REVIEW_UNDO, REVIEW_KINDS } ReviewKind;
const char *review_kind_name(ReviewKind k);
bool        review_kind_find(Str name, ReviewKind *k);

typedef struct Review Review;

typedef struct ReviewOptions {
    const char *model;   /* folder with a tokenizer: rows are shown as training sees them; NULL or "": none */
    bool        read_only; /* no lock and no writing: another process may hold the folder */
    bool        page;      /* for a person at work: what others who find the folder locked are told */
} ReviewOptions;

/* ERR_INPUT: DATA is no finished data folder, or a line of it is wrong (named); ERR_IO: another process reviews it. A review_apply that was killed is
 * finished first. */
int  review_open(Review **r, const char *dir, const ReviewOptions *o, Err *e);
void review_close(Review *r);

/* The order of a list: by id, or by a number of each row; rows without one come last. LOSS and IFD: scores.jsonl (hone prep --score). QUALITY, LENGTH (bytes
 * of question and answer), TOKENS: measures.h. SIMILARITY: the greatest score of the row's decisions about duplicates, meaning and overlap. SCORE: of the
 * first decision that the filter is about. REASON: by pass, action and reason of the decision that removed it, or else of its first. */
typedef enum { SORT_ID, SORT_LOSS, SORT_IFD, SORT_QUALITY, SORT_LENGTH, SORT_TOKENS, SORT_SIMILARITY, SORT_SCORE, SORT_REASON, SORTS } ReviewSort;
bool        review_sort_find(Str name, ReviewSort *s);
const char *review_sort_name(ReviewSort s);

/* Which rows: all conditions hold; pass, reason, action and score hold of one and the same decision. */
typedef enum { LOOK_ANY, LOOK_OPEN, LOOK_JUDGED, LOOK_ACCEPTED, LOOK_REJECTED, LOOK_EDITED, LOOK_COMMENTED, LOOK_DISAGREE, LOOK_CHANGED, LOOKS } ReviewLook;
typedef struct ReviewFilter {
    unsigned   parts;          /* bit p: part p of prep_int.h's order removed, train, validation, test; 0: all */
    int        kind;           /* index into the facts' "kinds" (pass, action, reason) */
    Str        pass, action;   /* {NULL, 0}: any */
    double     least, most;    /* of the score; NAN: any */
    ReviewLook look;           /* by what people said; OPEN: the reviewer has given no verdict, DISAGREE: verdicts differ, CHANGED: would be moved or edited */
    Str        reviewer;       /* for LOOK_OPEN; {NULL, 0}: nobody has */
    Str        label;          /* given in the review */
    Str        column, value;  /* meta's column has this value: a language, a label, a customer */
    Str        text;           /* in any text of the row, letters of either case */
    ReviewSort sort;
    bool       down;           /* the greatest first */
    uint64_t   turn;           /* a list stays as it is while it is worked through; another number makes it anew */
} ReviewFilter;
#define REVIEW_ALL ((ReviewFilter){ .kind = -1, .least = NAN, .most = NAN })
bool        review_look_find(Str name, ReviewLook *l);

/* {"dir", "rows", "parts": {..}, "kinds": [{"pass","action","reason","rows"}], "reviewers": [{"name","judged"}], "judged", "changes", "columns",
 *  "model", "sorts": [those with numbers], "agreement": [{"a","b","rows","agree","kappa","low","high"}]} */
void review_facts(Review *r, Json **out);
/* {"count", "complete", "done" (0..1), "judged", "rows": [{"id","part","head","verdict"...}]}: rows [from, from + n) of those that fit. A search goes on for a
 * fifth of a second per call; call again until complete. A sorted list has no rows before it is complete.
 * ERR_ARG: n above REVIEW_PAGE_MAX, a text too long. */
int  review_rows(Review *r, const ReviewFilter *f, size_t from, size_t n, Json **out, Err *e);
/* {"id","part","file","line","row" or "raw","removed","decisions","history","verdicts","edited","personal","measure","tokens"}; an edit among decisions and
 * history has "diff" and either "back": true (it can be taken back) or "no_back": why not. ERR_ARG: no such row. */
int  review_row(Review *r, int64_t id, Json **out, Err *e);

typedef struct ReviewAct {
    ReviewKind kind;
    int64_t    row;        /* of UNDO: not looked at */
    Str        reviewer, text;
    const Json *row_new;   /* of EDIT: a canonical row; its id and meta are those of the row */
    int64_t     edit;      /* of RESTORE: 0 the repair, n the action of this number */
} ReviewAct;
/* *row: the row that it was about. ERR_ARG: what was asked for cannot be done, ERR_IO: it is not on disk and does not count. */
int  review_act(Review *r, const ReviewAct *a, int64_t *row, Err *e);

typedef struct ReviewApplied {
    int64_t back, left, edited, labelled, restored; /* edited counts restored rows, too */
    int64_t personal;       /* edited rows with what looks like personal data and was not there before; kinds are in decisions.jsonl, values nowhere */
    int64_t too_long;       /* edited rows that --max-length would cut */
    int64_t refused;        /* edited rows that training would refuse: they left */
    int64_t moved;          /* edited rows that became near-duplicates of a row of another part, or ask what it asks: they went there */
    int64_t twins;          /* edited rows that left: exact copies of a row that stays, or what they belong to now lies in two parts */
    int64_t overlaps;       /* edited rows that left: they ask what a row of --eval asks */
    int64_t overlaps_kept;  /* ... that stay, since a reviewer accepted them */
    int64_t control_left;   /* lines of the two control sets of --select that left them with their rows */
    Err     unheld;         /* why edited rows were not held against --eval: a set is gone or a file has changed (folders are not checked); code 0: they were, or there is none */
    Err     uncounted;      /* why tokens of edited rows were not counted; code 0: they were, or nobody asked */
    int64_t unsound;        /* accepted (by an older hone, or before an edit was taken back), but training would refuse them: they stay removed */
    Err     unsound_why;    /* ... of the first of them */
    int64_t held;           /* accepted, but what belongs to them lies in two parts: they stay removed */
    int64_t disagree;       /* rows whose reviewers differ; the last verdict was followed */
    int64_t part[4];        /* rows now: removed, train, validation, test */
} ReviewApplied;
/* Follows the last verdicts: writes the parts, removed.jsonl and manifest.json anew beside the old ones and swaps them in. Accepted rows go to train, or
 * where near-duplicates of theirs, rows of the same --group or of the same --subject lie. Killed at any point, the next call (or review_open) goes on;
 * a second call changes nothing.
 * Edited rows go through the passes again that look at one row without changing it (review_check.c): shape, personal data, tokens; findings become lines of
 * decisions.jsonl. They are also compared with all rows that stay, as hone prep compares (review_twin.c): one that became an exact copy of another leaves,
 * unless a reviewer accepted it, and one that became a near-duplicate of a row of another part, or asks the same, goes there. They are held against the sets of
 * --eval as well, by the rules of the preparation (review_eval.c): one that overlaps leaves, unless a reviewer accepted it. The control sets of --select follow (review_control.c). Statistics and the subject index follow. ERR_ARG, and nothing was changed: the index needs the key and it is not there. */
typedef struct ReviewApplyOptions {
    const char *model;      /* tokenizer; NULL or "": the one that the folder was made with */
    const char *pii_key;    /* NULL or "": as the folder was made */
} ReviewApplyOptions;
int  review_apply(const char *dir, const ReviewApplyOptions *o, ReviewApplied *facts, Err *e);

/* Rows are erased: no text of theirs is left in any file of DATA (parts, removed, decisions, review, subjects, scores, controls, measures, report). Their
 * numbers stay in the logs with the word "erased". keep: the rows stay as they are, and only what they said earlier goes (texts before repairs and edits,
 * comments), so that no edit of theirs can be taken back. What was exported or trained before is not reached. ERR_ARG, and nothing was changed: a row is not
 * there, or verdicts wait for review_apply. */
int  review_erase(const char *dir, const int64_t *id, size_t n, bool keep, Err *e);

/* The rows, ascending, that hold this value of a person (an address, a number, a name, as it stood in the input): by the index of persons and its key (NULL or "": as
 * the folder was made), where a name of several words also finds rows that hold each of them; and by what stands in any text, meta, earlier text or action of any row
 * that is there, removed ones included, whether a detector knew it or not. Texts are compared without case and with one blank for any white space; of a value of four digits and
 * more letters and digits count alone, whatever signs stand between them in it or there. A digit at its end has no further digit directly behind it there (one behind a blank
 * is none), and a value below six characters stands alone (SUBJECT_ALONE).
 * A folder made with --pii off has no index. ERR_ARG: the key is not there. */
#define SUBJECT_ALONE 6
typedef VEC(int64_t) ReviewRows;
int  review_person(const char *dir, Str value, const char *pii_key, ReviewRows *out, Err *e);

/* ---- agreement of two people ---- */
typedef struct ReviewKappa { int64_t n; double agree, kappa, low, high; } ReviewKappa;
/* Cohen's kappa (Cohen 1960) of a k x k table of counts, rows the first person's verdicts, columns the second's, and its 95 % interval by the large-sample
 * standard error of Fleiss, Cohen and Everitt 1969, cut to [-1, 1]. k in 1..16. kappa, low and high are NAN when chance alone would give full agreement
 * (both used one verdict only) or n is 0. */
ReviewKappa review_kappa(const int64_t *table, int k);

#endif
