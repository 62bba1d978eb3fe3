/* prep_cfg.h - the options of hone prep: one struct, one table (flags, help). */
#ifndef HONE_PREP_CFG_H
#define HONE_PREP_CFG_H

#include "base/cfg.h"

typedef enum { DUPLICATES_OFF, DUPLICATES_REPORT, DUPLICATES_EXACT, DUPLICATES_NEAR } DuplicatesMode;
typedef enum { QUALITY_OFF, QUALITY_REPORT, QUALITY_DROP } QualityMode;
typedef enum { PREP_PII_OFF, PREP_PII_REPORT, PREP_PII_REPLACE, PREP_PII_REDACT, PREP_PII_HASH, PREP_PII_DROP } PrepPii;

typedef enum { TEACHER_SEES_REPLACED, TEACHER_SEES_ORIGINAL } TeacherSees;
typedef enum { UNANSWERED_TEXT, UNANSWERED_DROP } UnansweredMode;

typedef struct PrepCfg {
    char   *out;                                   /* the data folder */
    char   *prompt, *completion, *system, *text;   /* templates: mapping.h */
    char   *roles, *group, *label, *time, *subject, *weights, *eval, *languages, *model, *pii_key, *pii_skip, *repair_skip, *quality_skip, *encoding, *delimiter;
    char   *pii_allow, *pii_country, *teacher, *teacher_model;
    bool    repair, score;
    int     header, duplicates, quality, pii, select_by, unanswered, teacher_sees; /* choices, in the order of the table; header as CsvChoice */
    double  near, semantic, validation, test, most_per_length;
    int64_t max_length, ask, select, most_per_label, seed, threads;
    int64_t questions, judge, passage, teacher_requests;
} PrepCfg;

#define TEACHER_KEY_VARIABLE "HONE_TEACHER_KEY" /* of the environment: the key of a teacher's address. A command line can be read by others */

extern const CfgOption prep_options[];
int prep_cfg_check(const PrepCfg *c, Err *e); /* what no single option can see: shares that leave nothing to train on, columns without a name */

#endif
