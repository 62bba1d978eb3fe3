/* teacher_int.h - what the files of the teacher share: the table of kinds, addresses, and the bytes that go over the wire. */
#ifndef HONE_TEACHER_INT_H
#define HONE_TEACHER_INT_H

#include "infer/teacher.h"

typedef struct TeacherKind {
    int  (*open)(Teacher *t, const TeacherOptions *o, Err *e); /* fills state, name, far, away; what is there after an error is closed, too */
    int  (*ask)(void *state, const TeacherWork *w, Err *e);
    void (*close)(void *state);
} TeacherKind;
extern const TeacherKind teacher_own, teacher_http;

struct Teacher {
    const TeacherKind *kind;
    void *state;
    char *name;
    bool  far, away;
};

/* ---- teacher_address.c ---- */
typedef enum { REACH_LOOPBACK, REACH_PRIVATE, REACH_PUBLIC } Reach; /* private: RFC 1918, RFC 4193, link-local */

/* SCHEME://HOST[:PORT][/PATH] to the address without its last slash, "/chat/completions" cut off; *base owned. A name is looked up to see where it lies; one that is
 * not known counts as public (a proxy may know it). ERR_ARG: no such form, or http to a public host. */
int teacher_address(char **base, Reach *reach, const char *where, Err *e);

/* ---- teacher_wire.c ---- */
enum { WIRE_MAX_TOKENS, WIRE_TEMPERATURE, WIRE_SEED, WIRE_FIELDS };
extern const char *const wire_field[WIRE_FIELDS];

/* The body of a request. left_out: bits of the fields above that the server does not know. */
void wire_request(StrBuf *out, const char *model, const Json *messages, const TeacherWork *w, unsigned left_out);

/* The answer in a reply of status 200; text appended. ERR_INPUT: what is not as it should be. */
int  wire_answer(Str body, StrBuf *text, AnswerEnd *end, Err *e);

/* What a server says of an error, in one line fit for a terminal, of at most WIRE_SAYS bytes: {"error": {"message"}}, {"error": ".."}, {"message"}, {"detail"}, or the
 * beginning of the body; "" for none. */
#define WIRE_SAYS 300
void wire_says(Str body, StrBuf *out);
int  wire_unknown_field(Str body); /* the field of ours that the server names as unknown in its error; -1: none */

#endif
