/* prep.h - hone prep: data files in, a data folder out.
 *
 *   DATA/train.jsonl validation.jsonl test.jsonl   canonical rows (record.h), as hone train reads them
 *   DATA/removed.jsonl     every row that left, as it was when it left: {"id", "pass", "reason", "file", "line", "row" or "raw"}
 *   DATA/decisions.jsonl   the log of every decision: provenance.h
 *   DATA/subjects.jsonl    which rows hold which person's data, under keyed hashes
 *   DATA/measures.bin      lengths, tokens, language and quality of each row: measures.h
 *   DATA/manifest.json     inputs and evaluation sets with SHA-256, options, counts, versions, hashes of the files above
 *   DATA/report.html       the same for a person
 *   DATA/pii.key           the secret behind replacements (mode 0600); keep it apart from the data
 *   DATA/DONE              all of the above is complete
 *
 * A preparation that was stopped or killed goes on where it stood (work/progress.json) when the same command is given again. With a personal-data
 * mode that changes texts, no value that was found is written anywhere below DATA, but for work/questions (--questions: passages and answers), which is gone
 * when the folder is done. One that is refused for its options, or because a file that was named has none of the columns that make a row, leaves nothing of its own behind;
 * one of which no row is left leaves its decisions to look at, and the next start in that folder, with whatever options, begins anew.
 * Both leave the answers of a teacher (work/questions/answers.jsonl), which are not asked for again.
 * Memory: at most PREP_ROW_BYTES for each row that was read (dedupe.c has the most: 7, beside the one of Entries), and whatever their number about 140 MB: while
 * they are read for texts in work, while they are compared 32 MiB of word runs, 16 of pairs, 16 for sorting and windows of files, with 80 more where very many rows
 * have a long form in common (dedupe.h). A row may have 64 MiB, as in hone train, and takes six to ten times its size while
 * it is in work (one of millions of small JSON values: some hundred bytes each, TABLE_VALUES_MAX of them); a longer one leaves by name. What asks a model
 * (--score, --ask, --semantic, --select-by diverse or cover) holds the training rows as JSON, and --select 250 bytes for each of them.
 * Disk: beside the folder's own files work/ holds, until the end, the rows once more, 250 bytes for each, and 100 for each that has duplicates. */
#ifndef HONE_PREP_H
#define HONE_PREP_H

#include "prep/prep_cfg.h"

typedef struct Prep Prep;

typedef struct PrepHooks {
    void *user;
    void (*progress)(void *user, const char *stage, uint64_t done, uint64_t total, int64_t rows); /* bytes of the inputs; rows so far */
    bool (*stop_asked)(void *user);
} PrepHooks;

#define PREP_ROW_BYTES 8
#define PREP_PASSES 16
#define PREP_TOLD_MAX 4000
#define PREP_KINDS  32

typedef struct PrepFacts {
    int64_t read, part[4];                    /* rows; part: removed, train, validation, test */
    int64_t why[PREP_PASSES];                 /* rows that left, by pass: prep_pass_name */
    int64_t personal[PREP_KINDS];             /* of those that left by "pii", the rows with each kind: prep_kind_name; a row may have several */
    bool    pairs;                            /* some rows are prompt and completion: training sets nothing between them by itself */
    int64_t left_out;                         /* inputs that could not be opened or gave no row, of several */
    int64_t cut_short;                        /* inputs of which a part could not be read (damaged, or a member that is refused): the others are used */
    double  seconds;
    uint64_t bytes;                           /* of the inputs */
    char    told[PREP_TOLD_MAX];              /* lines for the person who waits: what a pass found out about the data as a whole; "": nothing */
    int64_t passages, pairs_made;             /* of --questions: asked about, and what came of it, refused pairs included */
} PrepFacts;

const char *prep_pass_name(size_t i);          /* "" for 0; NULL behind the last */
const char *prep_kind_name(size_t i);          /* of personal data, as --pii-skip takes it; NULL behind the last */

/* inputs: files and folders (a folder's files in order of name, hidden ones and what `datasets` notes beside its .arrow files passed over). ERR_ARG: nothing of
 * this run is left; ERR_INPUT: the same when no row was read, else the decisions stay; ERR_STOP, ERR_IO: what is done is kept, and the same command goes on. */
int prep_run(const PrepCfg *cfg, const char *const *inputs, size_t n, const PrepHooks *hooks, PrepFacts *facts, Err *e);

#endif
