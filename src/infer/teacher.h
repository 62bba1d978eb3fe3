/* teacher.h - a model to ask: messages in, the text of an answer out. Two kinds, told apart by how the teacher is named:
 *   a model folder              hone's own engine (teacher_own.c), one text at a time
 *   http://... or https://...   a server that speaks OpenAI's chat completions, POST ADDRESS/chat/completions (teacher_http.c): llama.cpp, vLLM, Ollama, LM Studio,
 *                               and the services of that shape. Several requests are in flight at once.
 * Main struct: Teacher. Invariants: every ask ends in exactly one call of `answered`, or the work ends with an error; what an answer is does not hang on the
 * order in which answers come, so a caller that keeps them by number has the same result each time the same answers are given.
 *
 * Of an address: the certificate of https is verified against the system's store; a redirect is not followed (the error names where it leads); http without
 * encryption is refused unless the address is of this machine or of a private network; the key is read by the caller from the environment, goes out in the
 * Authorization header alone, and is shown in no message. Variables like https_proxy are heeded for public addresses only.
 * 408, 425, 429, 5xx, broken connections and answers of no known form are tried again, TEACHER_TRIES times, with doubling pauses (Retry-After is heeded up to
 * TEACHER_PAUSE_MAX); a request that waited `patience` seconds is tried twice. 400, 413 and 422 are about one request: once another was answered they are that
 * request's refusal, before that they end the work, since then the model's name or the address is wrong. Therefore the first request goes alone.
 * max_tokens, temperature and seed are left out (max_tokens: becomes max_completion_tokens) as soon as the server says by name that it does not know them.
 * To add a kind: a TeacherKind and its row in teacher.c. */
#ifndef HONE_TEACHER_H
#define HONE_TEACHER_H

#include "base/json.h"

#define TEACHER_BODY_MAX      ((size_t)4 << 20) /* bytes of a server's reply */
#define TEACHER_IN_FLIGHT     8
#define TEACHER_IN_FLIGHT_MAX 256
#define TEACHER_TRIES         6
#define TEACHER_TRIES_LATE    2                 /* of requests that waited in vain */
#define TEACHER_PATIENCE      600.0             /* seconds */
#define TEACHER_PAUSE         1.0               /* seconds before the second try */
#define TEACHER_PAUSE_MAX     300.0
#define TEACHER_KEY_MAX       4096              /* bytes */

typedef struct TeacherOptions {
    const char *where;     /* a folder or an address */
    const char *model;     /* name of the model at an address */
    const char *key;       /* secret of the address; NULL or "": none. All three are borrowed until teacher_close */
    int64_t     in_flight; /* requests at once; 0: TEACHER_IN_FLIGHT */
    int         threads;   /* of the own engine; 0: all cores */
    double      patience;  /* seconds for one answer; 0: TEACHER_PATIENCE */
    double      pause;     /* seconds; 0: TEACHER_PAUSE */
} TeacherOptions;

typedef enum { ANSWER_WHOLE, ANSWER_CUT, ANSWER_REFUSED } AnswerEnd;   /* cut: max_tokens were not enough */
typedef struct TeacherAnswer { AnswerEnd end; Str text; } TeacherAnswer; /* of a refusal: the sentence why; borrowed for the call */

typedef struct TeacherWork {
    void    *user;
    size_t   n;
    Json  *(*messages)(void *user, size_t i);                                     /* of ask i, [{"role", "content"}, ...]; owned by the teacher; asked once for each */
    int    (*answered)(void *user, size_t i, const TeacherAnswer *a, Err *e);     /* on the calling thread, in any order; an error ends the work */
    bool   (*stop_asked)(void *user);                                             /* several times a second */
    int64_t  max_tokens;
    double   temperature;
    uint64_t seed;
    bool     proven;                                                              /* this teacher has answered before: a refusal is about one request */
} TeacherWork;

typedef struct Teacher Teacher;
int         teacher_open(Teacher **t, const TeacherOptions *o, Err *e); /* ERR_ARG, ERR_INPUT: a bad address or folder */
int         teacher_ask(Teacher *t, const TeacherWork *w, Err *e);      /* ERR_STOP: as asked; ERR_WORK: the teacher does not answer */
const char *teacher_name(const Teacher *t);                             /* "MODEL at ADDRESS", or the folder */
bool        teacher_far(const Teacher *t);                              /* what it is asked goes beyond this machine and private networks */
bool        teacher_away(const Teacher *t);                             /* what it is asked goes beyond this machine */
void        teacher_close(Teacher *t);                                  /* NULL is fine */

bool teacher_is_address(const char *where);

#endif
