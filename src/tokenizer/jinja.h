/* jinja.h - the templates that models bring for their conversations: Jinja2 as transformers sets it up (sandboxed and immutable, trim_blocks and
 * lstrip_blocks on, loop controls, {% generation %}, its own tojson), with Python's meaning of values.
 * A compiled template is immutable and shared by threads; everything of one rendering lies in an arena of its own. Templates are untrusted:
 * length, nesting, steps, memory and output are bounded (the numbers below) and every refusal is a sentence with the template's line.
 * Refused by name: include, import, from, extends, block, autoescape, trans, do, debug; whole numbers beyond 64 bits; HTML and URL filters. */
#ifndef HONE_JINJA_H
#define HONE_JINJA_H

#include <time.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "base/vec.h"

#define JINJA_SOURCE_MAX ((size_t)1 << 20)   /* bytes of a template */
#define JINJA_NEST_MAX   120                 /* levels of nesting in its text */
#define JINJA_DEPTH_MAX  1500                /* levels of evaluation, macros inside of macros included */
#define JINJA_RANGE_MAX  100000              /* numbers of one range(), as the sandbox has it */
#define JINJA_STEPS      ((uint64_t)20 << 20)
#define JINJA_MEMORY     ((size_t)512 << 20) /* bytes of all values of a rendering */
#define JINJA_OUTPUT     ((size_t)64 << 20)  /* bytes of the text */

/* Where a byte of the text came from: 0 the template itself, k + 1 data["messages"][k], JINJA_DATA any other value of `data`. */
#define JINJA_DATA UINT32_MAX

typedef struct Jinja Jinja;

typedef struct JinjaOptions {
    uint64_t         steps;           /* 0: JINJA_STEPS */
    size_t           memory, output;  /* 0: as above */
    const struct tm *now;             /* for strftime_now; NULL: the clock */
} JinjaOptions;

typedef struct JinjaSpan { size_t begin, end; } JinjaSpan; /* bytes of the text */

typedef struct JinjaOut {
    StrBuf text;
    VEC(uint32_t) marks;        /* one per byte of text */
    VEC(JinjaSpan) generation;  /* what stood in {% generation %}, in order */
} JinjaOut; /* zeroed is empty */

int  jinja_compile(Jinja **out, Str source, const char *where, Err *e);
void jinja_free(Jinja *j); /* NULL is fine */
/* data: an object whose values are the caller's (messages, tools, ...), so that their bytes are marked; trusted (may be NULL): an object whose
 * values count as the template's own text (bos_token ...). out is emptied first. */
int  jinja_render(const Jinja *j, const Json *data, const Json *trusted, const JinjaOptions *o, JinjaOut *out, Err *e);
bool jinja_marks_answers(const Jinja *j); /* it has {% generation %} */
void jinja_out_release(JinjaOut *o);

#endif
