/* json.h - the only door to jansson. Parse with place in errors ("line 3, column 7"), strict: no duplicate keys, depth and size bounded,
 * whole text consumed, valid UTF-8. Typed getters name the key and the file in their error. Values are reference counted: parse and the
 * *_new functions give one reference, json_free drops it; getters borrow. Setters steal the value. */
#ifndef HONE_JSON_H
#define HONE_JSON_H

#include "base/err.h"
#include "base/str.h"

#define JSON_DEPTH_MAX 128
typedef struct json_t Json;

int   json_parse(Json **out, Str text, const char *name, Err *e);     /* name: what to call the source in errors */
int   json_read_file(Json **out, const char *path, Err *e);
void  json_free(Json *j);                                              /* NULL is fine */

typedef enum { JSON_NULL, JSON_BOOL, JSON_INT, JSON_REAL, JSON_STRING, JSON_ARRAY, JSON_OBJECT } JsonKind;
JsonKind    json_kind(const Json *j);
const char *json_kind_name(const Json *j);                             /* "null", "a number", ... "nothing" for NULL */

/* Plain access: NULL / 0 when absent or of another kind. */
Json   *json_get(const Json *obj, const char *key);
size_t  json_len(const Json *arr_or_obj);
Json   *json_at(const Json *arr, size_t i);
Str     json_str(const Json *j);                                       /* {NULL,0} unless a string; may contain NUL */
double  json_num(const Json *j);                                       /* int or real */
int64_t json_int(const Json *j);
bool    json_bool(const Json *j);

typedef struct JsonIter { void *it; } JsonIter;                        /* JsonIter it = {0}; while (json_each(obj, &it, &key, &val)) */
bool    json_each(const Json *obj, JsonIter *it, Str *key, Json **value);

/* Typed access with a sentence. `where` names the object (usually the file). A present key of the wrong kind is always ERR_INPUT; an absent key
 * (or JSON null) leaves *v alone in the opt_ forms and is ERR_INPUT in the need_ forms. Integers accept a real with integral value. */
int json_need_int (const Json *obj, const char *key, int64_t *v, const char *where, Err *e);
int json_opt_int  (const Json *obj, const char *key, int64_t *v, const char *where, Err *e);
int json_need_num (const Json *obj, const char *key, double *v, const char *where, Err *e);
int json_opt_num  (const Json *obj, const char *key, double *v, const char *where, Err *e);
int json_opt_bool (const Json *obj, const char *key, bool *v, const char *where, Err *e);
int json_need_str (const Json *obj, const char *key, Str *v, const char *where, Err *e);
int json_opt_str  (const Json *obj, const char *key, Str *v, const char *where, Err *e);
int json_opt_array(const Json *obj, const char *key, Json **v, const char *where, Err *e);

/* Building and writing. */
Json *json_obj_new(void);
Json *json_arr_new(void);
Json *json_null_new(void);
Json *json_bool_new(bool v);
Json *json_int_new(int64_t v);
Json *json_num_new(double v);                                          /* NaN and infinities become null: JSON has none */
Json *json_str_new(Str s);                                             /* invalid UTF-8 is replaced by U+FFFD */
Json *json_ref(Json *j);                                               /* one more reference */
void  json_set(Json *obj, const char *key, Json *value);               /* steals value */
void  json_drop(Json *obj, const char *key);                            /* absent is fine */
void  json_push(Json *arr, Json *value);                               /* steals value */
void  json_cut(Json *arr, size_t n);                                   /* only the first n stay */
void  json_write(StrBuf *out, const Json *j, bool pretty);             /* reals with 9 significant digits or 17 when needed to round-trip */
void  json_write_string(StrBuf *out, Str s);                           /* the quoted form of one string */

#endif
