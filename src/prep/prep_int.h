/* prep_int.h - what the files of a preparation share. The story stands in prep.c: intake reads every row once and takes it through the passes of one
 * row (pass.c), settle judges rows beside each other (duplicates, mixture, parts), write_out puts the data folder's files down.
 * Main struct: Prep. Memory: a few bytes of each row that was read (Entries, and what the stage in hand adds; prep.h has the bound). Texts, entries and the keys
 * of duplicates stay on disk, below work/, and what has to be put into another order goes through sorter.h. */
#ifndef HONE_PREP_INT_H
#define HONE_PREP_INT_H

#include "base/hash.h"
#include "base/thread.h"
#include "base/vec.h"
#include "formats/table.h"
#include "prep/import.h"
#include "prep/measures.h"
#include "prep/prep.h"
#include "prep/provenance.h"
#include "prep/view.h"

#define BATCH_ROWS  4096
#define BATCH_BYTES ((size_t)8 << 20) /* of raw rows that are in work at once */
#define ROW_MAX     ((size_t)64 << 20) /* bytes of one row: hone train reads no longer one (JSONL_LINE_MAX) */
#define ROW_KEEP    ((size_t)1 << 20) /* bytes of a buffer that stays from row to row */

typedef enum { PART_REMOVED, PART_TRAIN, PART_VALIDATION, PART_TEST, PARTS } Part;
extern const char *const part_name[PARTS];

enum { ROW_UNSURE = 1, ROW_CODE, ROW_LANGUAGE };

/* What is remembered of a row, on disk like its text: a record of work/index.bin, plain data without pointers. */
typedef struct RowEntry {
    int64_t  id, line;
    uint64_t off, bytes;           /* of its line in work/rows.jsonl; bytes 0: the row could not be read and has no line there */
    uint64_t content;              /* hash of its texts: what draws depend on, so that they do not hang on the order of the inputs */
    uint64_t asked, answered;      /* hashes of the words of the question and of the answer; 0: of no such kind */
    uint64_t group, label, subject;/* hashes of what --group, --label and --subject name; 0: none */
    int64_t  time;                 /* of --time: seconds since 1970, or any number that grows; INT64_MIN: none */
    int32_t  source, member;
    int32_t  tokens, trained;      /* -1: not counted */
    uint32_t question, answer;     /* bytes of each; 4 GiB and more count as that */
    uint32_t personal;             /* bit k: left because of personal data of kind k (--pii drop) */
    float    quality;              /* 0..1; chooses the best of a cluster */
    uint8_t  kind;
    uint8_t  part;                 /* of the intake; what became of it: Entries */
    uint8_t  language;             /* ROW_LANGUAGE + number in language.h, ROW_CODE, ROW_UNSURE; 0: not asked */
    uint8_t  why;                  /* why it left: index in prep_passes; 0: it stays. Of the intake, like part */
    uint8_t  shares;               /* it shares words with an evaluation row that may be a form: overlap_settle judges */
    uint8_t  lacks;                /* it left because it lacks columns, of a template or of all known shapes */
} RowEntry;

/* One row on its way through the passes. The work of one thread. */
typedef struct RowWork {
    Record   rec;      /* rec.row NULL: it could not be read; raw is what it said */
    RowEntry entry;
    RowPlace at;
    StrBuf   raw;
    StrBuf   log;      /* its decisions */
    StrBuf   subjects; /* its lines of subjects.jsonl */
    const char *cut;   /* of a mail: what the parser cut away, in no text of the row; NULL: nothing. Borrowed */
    StrBuf   held;     /* what a repair did, and in `before` the texts that stood there: told once personal data is out of them */
    Json    *before;   /* before.h */
    const char *why_pass;
    StrBuf   why;      /* first reason for its removal; empty: it stays */
    StrBuf   scratch;
    int         worker;          /* number of the thread */
    Hash128     exact;           /* of pass_exact, if exact_known */
    bool        exact_known;
    struct MinHashRow *keys;     /* of the duplicates pass */
} RowWork;

void row_edit(RowWork *w, const char *pass, const char *reason, Json *more);               /* `more` is stolen */
void row_note(RowWork *w, const char *pass, const char *reason, double score, Json *more);
void row_remove(RowWork *w, const char *pass, const char *reason, double score, Json *more);
void row_held_edit(RowWork *w);                                                            /* tells what is held, if anything */
void row_release(RowWork *w);                                                              /* all but `keys` */
static inline bool row_removed(const RowWork *w) { return w->why.n > 0; }

/* ---- pass.c: the passes of one row ---- */
typedef struct Pass {
    const char *name;
    bool        always;                                            /* also on rows that an earlier pass removed (their text is kept, too) */
    int  (*open)(Prep *p, void **state, Err *e);                   /* *state NULL: the pass is off */
    void (*row)(const void *state, RowWork *w);                    /* thread-safe */
    void (*close)(void *state);
} Pass;
int  passes_open(Prep *p, Err *e);
void passes_row(const Prep *p, RowWork *w);
void passes_edit(const Prep *p, RowWork *w); /* those alone that change texts: how a row from elsewhere (an evaluation set) would stand here */
void passes_close(Prep *p);
int  passes_open_one(Prep *p, const Pass *pass, Err *e); /* this one alone */
void *pass_state(const Prep *p, const Pass *pass); /* NULL: it is off */

/* The kinds that a list of an option names, as bits; ERR_ARG with all names when one is no kind. name: of the k-th kind, NULL past the last. */
int  kinds_of_list(const char *option, const char *list, int (*find)(const char *), const char *(*name)(int k), uint32_t *bits, Err *e);

extern const Pass pass_questions, pass_repair, pass_exact, pass_pii, pass_language, pass_quality, pass_overlap, pass_tokens, pass_duplicates, pass_words;

/* ---- entries.c ---- */
/* All rows that were read, in order of id: number i has id i + 1. While they are read they are only counted. */
typedef struct Entries {
    size_t   n;
    View     index;       /* work/index.bin */
    uint8_t *fate;        /* [n] Part | why << 2, as they are now */
} Entries;
int             entries_open(Entries *r, const char *path, Err *e);   /* once all n are read. ERR_INPUT: the file does not have so many */
const RowEntry *entries_at(const Entries *r, size_t i);               /* valid until entries_close; on any thread */
void            entries_close(Entries *r);
static inline Part    entries_part(const Entries *r, size_t i) { return (Part)(r->fate[i] & 3); }
static inline uint8_t entries_why(const Entries *r, size_t i) { return r->fate[i] >> 2; }           /* index in prep_passes */
static inline void    entries_put(Entries *r, size_t i, Part part, uint8_t why) { r->fate[i] = (uint8_t)(part | why << 2); }

/* ---- sets.c ---- */
/* Rows by index, in sets of what has to stay together. */
typedef struct Sets { uint32_t *up; size_t n; } Sets;
void     sets_init(Sets *s, size_t n);                 /* each row alone; of sets that are there nothing changes */
uint32_t sets_find(Sets *s, uint32_t i);
void     sets_join(Sets *s, uint32_t a, uint32_t b);   /* the smaller number stands for the set */
void     sets_release(Sets *s);

/* ---- prep.c ---- */
typedef struct Input {
    char    *path;
    char     sha256[65];
    uint64_t bytes;
    double   weight;
    bool     named;                /* an argument itself, not found in a folder */
    char    *made, *made_note; /* a file of rows that is read in its place (questions_stage.c), and what there is to say of it; NULL: none */
    int64_t  made_rows;
} Input;
#define PASSES_MAX 16

struct Prep {
    PrepCfg        cfg;
    PrepHooks      hooks;
    VEC(Input)     input;
    Pool          *pool;
    Import        *import;
    void          *state[PASSES_MAX];   /* of each pass; NULL: off */
    Entries           rows;
    const struct MinHash *minhash;      /* of the duplicates pass; NULL: --duplicates off */
    Sets           together;            /* of rows: near-duplicates that both stay, if there are any; divide goes on */
    char           command[65];         /* SHA-256 of options and inputs: what work in the folder belongs to */
    StrBuf         advice;              /* of --ask, for the report */
    StrBuf         columns;             /* of the first row that was read: its meta, for errors about --group and the like */
    StrBuf         first_why;           /* why the first row left: told when none is left */
    StrBuf         first_lack;          /* where and why the first row left that lacks columns */
    StrBuf         told;                /* lines of prep_tell */
    bool           fresh, new_folder;   /* the folder held no work when this run began; it was not there at all */
    bool           none_left;           /* no row is left: the folder keeps its decisions, and is no work to go on with */
    PrepFacts      facts;
};

extern const char *const prep_passes[]; /* "", "import", ...: what a row can leave by; ends with NULL */
uint8_t prep_pass_number(const char *pass);
char *prep_path(const Prep *p, const char *name);                  /* below the data folder; owned */
char *prep_key_path(const Prep *p);                                /* of the key of the replacements; owned */
bool  prep_stop_asked(const Prep *p);
void  prep_tell(Prep *p, const char *fmt, ...) PRINTF_LIKE(2, 3);  /* a line for the screen at the end, the summary and the report */
void  prep_options_text(const Prep *p, StrBuf *out);               /* those that the result hangs on: not --out, --threads, --teacher-requests */

/* ---- the stages ---- */
int questions(Prep *p, Err *e);      /* questions_stage.c: with --questions, rows made from documents */
int intake(Prep *p, Err *e);         /* intake.c */
int intake_progress(const Prep *p, Json **j, Err *e); /* what an earlier start has saved, owned; NULL: nothing. ERR_ARG: it was another command */
int settle(Prep *p, Err *e);         /* settle.c */
struct Removal;
int overlap_settle(Prep *p, struct Removal *out, Err *e); /* pass_overlap.c: rows that share words with an evaluation row, once it is known how many do */
int balance(Prep *p, struct Removal *out, Err *e); /* balance.c: no label and no length has more rows than asked for */
int semantic(Prep *p, Err *e);       /* semantic.c: rows of one meaning */
int divide(Prep *p, Err *e);         /* divide.c: parts, grouped and stratified */
int rank(Prep *p, Err *e);           /* rank.c: the base model's scores, the choice of training rows */
int write_out(Prep *p, Err *e);      /* write_out.c */
int division(const Prep *p, Json **out, Err *e); /* division.c: --label and --group by part, for manifest and report; owned; NULL: neither was given */
int manifest_write(Prep *p, Err *e); /* manifest.c: the summary, the report, DONE; takes work/ away */
Measure row_measure(const Prep *p, size_t row); /* statistics.c: what is kept of a row's numbers */
Json *statistics(const Prep *p);     /* tables for manifest and report, of the rows that stay; owned */
int manifest_facts(Prep *p, Err *e); /* of a finished folder */

#endif
