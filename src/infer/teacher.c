/* teacher.c - see teacher.h. */
#include "infer/teacher_int.h"

#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"

bool teacher_is_address(const char *where) { return !strncasecmp(where, "http://", 7) || !strncasecmp(where, "https://", 8); }

static int check_options(const TeacherOptions *o, Err *e)
{
    const bool address = teacher_is_address(o->where);
    const size_t key = o->key ? strlen(o->key) : 0;
    if (address && !(o->model && *o->model))
        return err_set(e, ERR_ARG, "%s: the name of the model to ask there is missing", o->where);
    if (!address && o->model && *o->model)
        return err_set(e, ERR_ARG, "%s is a model folder, so there is no model \"%s\" to choose in it", o->where, o->model);
    if (o->in_flight < 0 || o->in_flight > TEACHER_IN_FLIGHT_MAX)
        return err_set(e, ERR_ARG, "%lld requests at once; 1 to %d are possible", (long long)o->in_flight, TEACHER_IN_FLIGHT_MAX);
    if (key > TEACHER_KEY_MAX)
        return err_set(e, ERR_ARG, "the key for %s has %zu bytes, and at most %d are expected", o->where, key, TEACHER_KEY_MAX);
    for (size_t i = 0; i < key; i++)
        if ((unsigned char)o->key[i] <= ' ' || (unsigned char)o->key[i] > '~') /* a line break would begin a header of its own */
            return err_set(e, ERR_ARG, "the key for %s has a blank, a line break or a character that no key has, at byte %zu", o->where, i + 1);
    return 0;
}

int teacher_open(Teacher **out, const TeacherOptions *o, Err *e)
{
    int rc = check_options(o, e);
    if (rc)
        return rc;
    Teacher *t = mem_zalloc(1, sizeof *t);
    t->kind = teacher_is_address(o->where) ? &teacher_http : &teacher_own;
    rc = t->kind->open(t, o, e);
    if (rc) {
        teacher_close(t);
        return rc;
    }
    *out = t;
    return 0;
}

int teacher_ask(Teacher *t, const TeacherWork *w, Err *e) { return t->kind->ask(t->state, w, e); }

const char *teacher_name(const Teacher *t) { return t->name; }

bool teacher_far(const Teacher *t) { return t->far; }

bool teacher_away(const Teacher *t) { return t->away; }

void teacher_close(Teacher *t)
{
    if (!t)
        return;
    if (t->state)
        t->kind->close(t->state);
    free(t->name);
    free(t);
}
