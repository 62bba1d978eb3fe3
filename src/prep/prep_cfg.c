/* prep_cfg.c - see prep_cfg.h. */
#include "prep/prep_cfg.h"

#include <math.h>
#include <stddef.h>

#include "infer/teacher.h"
#include "prep/questions.h"
#include "prep/select.h"

#define AT(field) offsetof(PrepCfg, field)

const CfgOption prep_options[] = {
    { "out",        CFG_STR,    AT(out),        NULL,      0, 0,     "DATA",     "folder to write; an unfinished one goes on" },
    { "prompt",     CFG_STR,    AT(prompt),     NULL,      0, 0,     "TEMPLATE", "what is asked, from columns: \"{subject}: {body}\"" },
    { "completion", CFG_STR,    AT(completion), NULL,      0, 0,     "TEMPLATE", "what is answered, from columns" },
    { "system",     CFG_STR,    AT(system),     NULL,      0, 0,     "TEMPLATE", "system text before them" },
    { "text",       CFG_STR,    AT(text),       NULL,      0, 0,     "TEMPLATE", "or plain text, from columns" },
    { "roles",      CFG_LIST,   AT(roles),      NULL,      0, 0,     "NAME=ROLE[,...]", "what a conversation's speakers are called: agent=assistant" },
    { "encoding",   CFG_STR,    AT(encoding),   NULL,      0, 0,     "NAME",     "of text files; default: found from the content" },
    { "delimiter",  CFG_STR,    AT(delimiter),  NULL,      0, 0,     "CHAR",     "of CSV files; default: found from the content" },
    { "header",     CFG_CHOICE, AT(header),     "auto",    0, 0,     "auto|yes|no", "whether the first row of a CSV file names the columns; else: column_1, ..." },
    { "unanswered", CFG_CHOICE, AT(unanswered), "text",    0, 0,     "text|drop", "of mailboxes: mails that nobody answered, and attachments, become texts, or leave, so that conversations alone remain" },
    { "repair",     CFG_BOOL,   AT(repair),     "true",    0, 0,     NULL,       "broken characters, HTML remains, spaces, mail signatures" },
    { "repair-skip", CFG_LIST,  AT(repair_skip), NULL,     0, 0,     "KIND[,...]", "repairs that are not made: mail_signature, tags, ..." },
    { "quality",    CFG_CHOICE, AT(quality),    "drop",    0, 0,     "off|report|drop", "empty, cut, repeated, refused answers" },
    { "quality-skip", CFG_LIST, AT(quality_skip), NULL,    0, 0,     "RULE[,...]", "rules that are not looked at: refusal, truncated, ..." },
    { "pii",        CFG_CHOICE, AT(pii),        "replace", 0, 0,     "off|report|replace|redact|hash|drop", "personal data and secrets" },
    { "pii-skip",   CFG_LIST,   AT(pii_skip),   NULL,      0, 0,     "KIND[,...]", "kinds that stay as they are" },
    { "pii-allow",  CFG_STR,    AT(pii_allow),  NULL,      0, 0,     "FILE",     "texts that stay, one a line: your support address, hotline, products; \"exact case\" in quotes" },
    { "pii-country", CFG_LIST,  AT(pii_country), NULL,     0, 0,     "CODE[,...]", "where the texts come from, as in DE,FR: how numbers without a country code are read" },
    { "pii-key",    CFG_STR,    AT(pii_key),    NULL,      0, 0,     "FILE",     "secret of the replacements, made when absent; default: DATA/pii.key" },
    { "questions",  CFG_INT,    AT(questions),  "0",       0, QUESTIONS_MOST, NULL, "of documents: so many questions with answers from each passage; 0: plain text" },
    { "teacher",    CFG_STR,    AT(teacher),    NULL,      0, 0,     "DIR|URL",  "who writes them: a model folder, or a server's address as in http://127.0.0.1:8080/v1; default: --model" },
    { "teacher-model", CFG_STR, AT(teacher_model), NULL,   0, 0,     "NAME",     "of the model at the address; its key: environment variable " TEACHER_KEY_VARIABLE },
    { "teacher-sees", CFG_CHOICE, AT(teacher_sees), "replaced", 0, 0, "replaced|original", "what an address is sent: passages whose personal data is replaced (and put back in what it answers), or, on this machine alone, passages as they stand; with --pii off or report they go as they stand anywhere" },
    { "teacher-requests", CFG_INT, AT(teacher_requests), "8", 1, TEACHER_IN_FLIGHT_MAX, NULL, "that are at the address at once" },
    { "judge",      CFG_INT,    AT(judge),      "4",       0, QUESTIONS_SCORE_MAX, NULL, "in a second request the teacher scores its pairs, 1 to 5; those below this leave; 0: not asked" },
    { "passage",    CFG_INT,    AT(passage),    "2000",    200, 20000, NULL,     "characters of a passage at most" },
    { "languages",  CFG_LIST,   AT(languages),  NULL,      0, 0,     "CODE[,...]", "keep only these, as in en,de" },
    { "duplicates", CFG_CHOICE, AT(duplicates), "near",    0, 0,     "off|report|exact|near", "keep the best of each cluster" },
    { "near",       CFG_REAL,   AT(near),       "0.8",     0.5, 1,   NULL,       "share of common word runs that makes two rows near-duplicates" },
    { "eval",       CFG_LIST,   AT(eval),       NULL,      0, 0,     "FILE[,...]", "evaluation sets: rows whose question is nearly one of theirs (--near), holds most of one, or shares 13 words in a row that few others have, are removed; an answer is not needed there" },
    { "model",      CFG_STR,    AT(model),      NULL,      0, 0,     "DIR",      "its tokenizer and template count tokens" },
    { "max-length", CFG_INT,    AT(max_length), "2048",    2, 1e9,   NULL,       "tokens of an example in training: forecast of what would not fit" },
    { "semantic",   CFG_REAL,   AT(semantic),   "0",       0, 1,     NULL,       "rows whose questions have this cosine by --model (the base model that is to be trained will do) are one; 0: off; begin with 0.95 and look at the report, lower finds more and errs more" },
    { "score",      CFG_BOOL,   AT(score),      "false",   0, 0,     NULL,       "loss and IFD of every training row by the model: scores.jsonl" },
    { "ask",        CFG_INT,    AT(ask),        "0",       0, 1e9,   NULL,       "ask the model so many questions of the data that have answers of a few words: which facts does it not know" },
    { "select",     CFG_INT,    AT(select),     "0",       0, 1e9,   NULL,       "training rows to keep; 0: all. Beside them as many at random, and the longest" },
    { "select-by",  CFG_CHOICE, AT(select_by),  "best",    0, 0,     "best|diverse|cover|random|longest", "best: by IFD with --score, else by quality" },
    { "validation", CFG_REAL,   AT(validation), "0.05",    0, 0.9,   NULL,       "share of the rows for evaluation during training" },
    { "test",       CFG_REAL,   AT(test),       "0.05",    0, 0.9,   NULL,       "share of the rows for the last word" },
    { "group",      CFG_LIST,   AT(group),      NULL,      0, 0,     "COLUMN[,...]", "rows with the same value stay in one part: customer, thread" },
    { "label",      CFG_STR,    AT(label),      NULL,      0, 0,     "COLUMN",   "parts get the same mixture of its values" },
    { "most-per-label", CFG_INT, AT(most_per_label), "0",    0, 1e9,   NULL,       "rows that one label may have, the best of them; 0: any" },
    { "most-per-length", CFG_REAL, AT(most_per_length), "0", 0, 1e9,   NULL,       "rows that one length may have (64 to 127 tokens, 128 to 255, ...), the best; below 1: share of all; 0: any" },
    { "time",       CFG_STR,    AT(time),       NULL,      0, 0,     "COLUMN",   "the newest rows become the test part: dates, ISO 8601, seconds since 1970; a --group goes by its newest row" },
    { "subject",    CFG_STR,    AT(subject),    NULL,      0, 0,     "COLUMN",   "the person a row is about: for splitting and later erasure" },
    { "weights",    CFG_LIST,   AT(weights),    NULL,      0, 0,     "W[,...]",  "mixture: 1,0.1 uses the first input whole and a tenth of the rows of the second" },
    { "seed",       CFG_INT,    AT(seed),       "1",       0, 9e15,  NULL,       "of the split" },
    { "threads",    CFG_INT,    AT(threads),    "0",       0, 4096,  NULL,       "0: all cores" },
    { 0 },
};

int prep_cfg_check(const PrepCfg *c, Err *e)
{
    if (!c->out || !*c->out)
        return err_set(e, ERR_ARG, "no --out: name the folder that the data set is written to");
    if (c->validation + c->test >= 1)
        return err_set(e, ERR_ARG, "--validation %g and --test %g leave nothing to train on; their sum must be below 1", c->validation, c->test);
    if ((c->score || c->semantic > 0 || c->ask || (c->select && (c->select_by == SELECT_DIVERSE || c->select_by == SELECT_COVER))) && !(c->model && *c->model))
        return err_set(e, ERR_ARG, "--score, --ask, --semantic and --select-by diverse or cover ask a model; name it with --model DIR");
    if (c->most_per_label && !(c->label && *c->label))
        return err_set(e, ERR_ARG, "--most-per-label needs --label COLUMN");
    if (c->most_per_length >= 1 && c->most_per_length != floor(c->most_per_length))
        return err_set(e, ERR_ARG, "--most-per-length %g must be a whole number of rows, or a share below 1", c->most_per_length);
    const bool teacher = c->teacher && *c->teacher, address = teacher && teacher_is_address(c->teacher), named = c->teacher_model && *c->teacher_model;
    if (c->questions && !teacher && !(c->model && *c->model))
        return err_set(e, ERR_ARG, "--questions needs a model that writes them; name it with --teacher (a folder or an address) or --model");
    if (teacher && !c->questions)
        return err_set(e, ERR_ARG, "--teacher writes questions from documents; say how many of each passage with --questions N");
    if (address && !named)
        return err_set(e, ERR_ARG, "--teacher %s: say with --teacher-model NAME which model is asked there", c->teacher);
    if (c->teacher_sees == TEACHER_SEES_ORIGINAL && !address)
        return err_set(e, ERR_ARG, "--teacher-sees goes with a --teacher that is the address of a server; a model folder reads the passages in this process, as they stand");
    if (named && !address)
        return err_set(e, ERR_ARG, "--teacher-model goes with a --teacher that is the address of a server");
    if (c->pii == PREP_PII_OFF && ((c->pii_allow && *c->pii_allow) || (c->pii_country && *c->pii_country)))
        return err_set(e, ERR_ARG, "--pii-allow and --pii-country tell the search for personal data what to leave and how to read; --pii off does not search");
    if (c->delimiter && *c->delimiter && strlen(c->delimiter) != 1 && strcmp(c->delimiter, "\\t"))
        return err_set(e, ERR_ARG, "--delimiter \"%s\" must be one character, or \\t for a tab", c->delimiter);
    return 0;
}
