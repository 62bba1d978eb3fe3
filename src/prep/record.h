/* record.h - one example of a data set being prepared, in its canonical form, and the texts in it.
 * Main struct: Record. The canonical row is a JSON object that hone train reads as it is:
 *
 *   REC_CHAT        {"messages": [{"role", "content", "name"?, "weight"?, "tool_calls"?, "tool_call_id"?}, ...], "tools"?: [...]}
 *   REC_PAIR        {"prompt": "..", "completion": ".."}
 *   REC_TEXT        {"text": ".."}
 *   REC_PREFERENCE  {"messages": [...], "chosen": [...], "rejected": [...]}     the prompt, the better answer, the worse one
 *   REC_LABEL       {"messages": [...], "label": true|false}                    whether the last answer is wanted (KTO)
 *
 * with "id" in front (the row's number over all inputs, from 1) and "meta" behind (an object: what else the source said of the row).
 * Invariants: roles are system, user, assistant and tool; contents are strings (or null beside tool_calls); all strings are valid UTF-8.
 * To add a kind: a RecordKind, a name in record.c, and what its texts are in `record_each_text`. */
#ifndef HONE_RECORD_H
#define HONE_RECORD_H

#include "base/json.h"

typedef enum { REC_CHAT, REC_PAIR, REC_TEXT, REC_PREFERENCE, REC_LABEL, REC_KINDS } RecordKind;
/* PLAIN: the text of REC_TEXT; META: what stands beside the row and is never trained, but may hold personal data. */
typedef enum { TEXT_SYSTEM, TEXT_USER, TEXT_ANSWER, TEXT_TOOL, TEXT_PLAIN, TEXT_META, TEXT_ROLES } TextRole;

typedef struct Record {
    int64_t    id;      /* 1, 2, ... over all inputs; 0: not numbered yet */
    int32_t    source;  /* index of the input file */
    int64_t    line;    /* 1-based, in that file */
    RecordKind kind;
    Json      *row;     /* canonical, owned; NULL: none */
} Record;

const char *record_kind_name(RecordKind k);
bool        record_blank(Str text);              /* it holds nothing but white space (of Unicode) */
const char *text_role_name(TextRole r);
void        record_clear(Record *r);

/* Kind of a canonical row by its keys; -1: it is none. */
int  record_kind_of(const Json *row);

/* Calls fn for every text of the row, in reading order. fn may write a new text into `out` (empty when it is called) and return true: it then
 * takes the old one's place. Returns how many were replaced. */
typedef bool (*RecordTextFn)(void *user, TextRole role, Str text, StrBuf *out);
int  record_each_text(Record *r, RecordTextFn fn, void *user);
/* The same for the names inside of "meta", however deep, which are data where a source has objects by person: {"contacts": {"ann@example.com": "private"}}. A name that
 * is one word is a word of the source's form ("customer", "first_name") and is not asked about; two that would become one get a number behind. */
int  record_each_key(Record *r, RecordTextFn fn, void *user);

/* Parts of a row as one text, turns joined by a line break; appended. The question is every turn before the last answer; of REC_TEXT it is empty. */
void record_question(const Record *r, StrBuf *out);
void record_asked(const Record *r, StrBuf *out);    /* the question without system texts */
void record_answer(const Record *r, StrBuf *out);   /* the last assistant turn, the completion, the better answer, or the text */
void record_text(const Record *r, StrBuf *out);     /* question and answer (of a preference, both answers): what makes a row the same as another */

/* Column `key` of the row's "meta", as text; {NULL, 0}: absent. Numbers and booleans are written into `scratch`. */
Str  record_meta(const Record *r, const char *key, StrBuf *scratch);

#endif
