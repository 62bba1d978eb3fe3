/* questions_cache.h - answers of a teacher that were given already: work/questions/answers.jsonl, a line {"key", "end", "text"} for each, put down as it comes, so that
 * a preparation that was stopped or killed asks nothing twice. A line that a kill cut off is forgotten.
 * Main struct: AnswerCache. The key is SHA-256 of all that an answer hangs on. Memory: about 150 bytes for an answer; texts stay on disk. */
#ifndef HONE_PREP_QUESTIONS_CACHE_H
#define HONE_PREP_QUESTIONS_CACHE_H

#include "base/file.h"
#include "base/hash.h"
#include "base/map.h"
#include "infer/teacher.h"

typedef struct AnswerCache {
    FileLog log;
    FileMap map;   /* as much of the file as was there when it was last looked at */
    Map    *at;    /* key -> offset of its line */
} AnswerCache;

/* The key of an ask: the teacher's name, what it is asked with, the messages. */
void answer_key(char key[SHA256_HEX], const char *teacher, const TeacherWork *how, const Json *messages);

int  answer_cache_open(AnswerCache *c, const char *path, Err *e);   /* ERR_INPUT: the file is damaged */
bool answer_cache_has(const AnswerCache *c, const char *key);
int  answer_cache_get(AnswerCache *c, const char *key, AnswerEnd *end, StrBuf *text, Err *e); /* of a key that it has; text appended */
int  answer_cache_add(AnswerCache *c, const char *key, AnswerEnd end, Str text, Err *e);
size_t answer_cache_count(const AnswerCache *c);
void answer_cache_close(AnswerCache *c);

#endif
