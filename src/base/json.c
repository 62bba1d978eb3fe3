/* json.c - the facade over jansson: bounded strict parsing, getters that explain, and a writer of our own.
 * Invariants: nothing deeper than JSON_DEPTH_MAX reaches jansson, whose parser recurses; every string inside a value is valid UTF-8; memory
 * comes from mem.h, so building a value cannot fail. The writer is ours because jansson prints all reals with one precision, and a recipe or
 * a report should say 0.1, not 0.10000000000000001.
 * Both sides call their kinds JSON_OBJECT and so on; jansson's are renamed while its header is read. Its json_is_* macros name the kinds only
 * where they are used, hence would see ours: they must not be used here, json_kind is.
 * To add a typed getter: one call of json_field. */
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY  JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_REAL   JANSSON_REAL
#define JSON_NULL   JANSSON_NULL
#include <jansson.h>
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_REAL
#undef JSON_NULL

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>

/* jansson's allocators are process-wide and must be set before its first use. */
__attribute__((constructor)) static void json_use_our_memory(void)
{
    json_set_alloc_funcs(mem_alloc, free);
}

/* ---- parsing ---- */

/* The first bracket that opens too deep a level, or NULL. Text that is not JSON may mislead the count; the parser refuses it anyway, and
 * cannot have been deeper than the brackets outside of its strings. */
static const char *json_too_deep(Str text)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_DEPTH_MAX)
                return text.p + i;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return NULL;
}

int json_parse(Json **out, Str text, const char *name, Err *e)
{
    *out = NULL;
    if (str_starts(text, "\xEF\xBB\xBF")) /* a byte order mark, put there by some editors, means nothing in UTF-8 */
        text = (Str){ text.p + 3, text.n - 3 };
    const char *deep = json_too_deep(text);
    if (deep) {
        size_t line = 1, column = 1;
        for (const char *p = text.p; p < deep; p++) {
            if (*p == '\n') {
                line++;
                column = 1;
            } else if (((unsigned char)*p & 0xC0) != 0x80) {
                column++;
            }
        }
        return err_set(e, ERR_INPUT, "%s, line %zu, column %zu: arrays and objects are nested more than %d levels deep, which is refused", name,
                       line, column, JSON_DEPTH_MAX);
    }
    json_error_t je;
    *out = json_loadb(text.n ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
    if (!*out)
        return err_set(e, ERR_INPUT, "%s, line %d, column %d: this is not usable JSON: %s", name, MAX(je.line, 1), MAX(je.column, 1), je.text);
    return 0;
}

int json_read_file(Json **out, const char *path, Err *e)
{
    char *text = NULL;
    size_t n = 0;
    *out = NULL;
    int rc = file_read_text(path, &text, &n, e);
    if (!rc)
        rc = json_parse(out, (Str){ text, n }, path, e);
    free(text);
    return rc;
}

void json_free(Json *j)
{
    json_decref(j);
}

/* ---- plain access ---- */

JsonKind json_kind(const Json *j)
{
    if (!j)
        return JSON_NULL;
    switch (json_typeof(j)) {
    case JANSSON_OBJECT: return JSON_OBJECT;
    case JANSSON_ARRAY:  return JSON_ARRAY;
    case JANSSON_STRING: return JSON_STRING;
    case JSON_INTEGER:   return JSON_INT;
    case JANSSON_REAL:   return JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:     return JSON_BOOL;
    case JANSSON_NULL:   break;
    }
    return JSON_NULL;
}

const char *json_kind_name(const Json *j)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "true or false", [JSON_INT] = "a number",     [JSON_REAL] = "a number",
        [JSON_STRING] = "a string", [JSON_ARRAY] = "an array",     [JSON_OBJECT] = "an object",
    };
    return j ? names[json_kind(j)] : "nothing";
}

static bool json_is(const Json *j, JsonKind kind)
{
    return j && json_kind(j) == kind;
}

Json *json_get(const Json *obj, const char *key)
{
    return json_is(obj, JSON_OBJECT) ? json_object_get(obj, key) : NULL;
}

size_t json_len(const Json *arr_or_obj)
{
    if (json_is(arr_or_obj, JSON_ARRAY))
        return json_array_size(arr_or_obj);
    return json_is(arr_or_obj, JSON_OBJECT) ? json_object_size(arr_or_obj) : 0;
}

Json *json_at(const Json *arr, size_t i)
{
    return json_is(arr, JSON_ARRAY) ? json_array_get(arr, i) : NULL;
}

Str json_str(const Json *j)
{
    return json_is(j, JSON_STRING) ? (Str){ json_string_value(j), json_string_length(j) } : (Str){ NULL, 0 };
}

double json_num(const Json *j)
{
    if (json_is(j, JSON_INT))
        return (double)json_integer_value(j);
    return json_is(j, JSON_REAL) ? json_real_value(j) : 0.0;
}

/* A whole number, also when written as 1e3 or 5.0. */
static bool json_as_int(const Json *j, int64_t *v)
{
    if (json_is(j, JSON_INT)) {
        *v = json_integer_value(j);
        return true;
    }
    double x = json_num(j);
    if (!json_is(j, JSON_REAL) || x != trunc(x) || x < -0x1p63 || x >= 0x1p63)
        return false;
    *v = (int64_t)x;
    return true;
}

int64_t json_int(const Json *j)
{
    int64_t v = 0;
    json_as_int(j, &v);
    return v;
}

bool json_bool(const Json *j)
{
    return j && json_typeof(j) == JSON_TRUE;
}

bool json_each(const Json *obj, JsonIter *it, Str *key, Json **value)
{
    if (!json_is(obj, JSON_OBJECT))
        return false;
    json_t *owner = (json_t *)(uintptr_t)obj; /* jansson's iterators want a writable object; none is written */
    it->it = it->it ? json_object_iter_next(owner, it->it) : json_object_iter(owner);
    if (!it->it)
        return false;
    *key = (Str){ json_object_iter_key(it->it), json_object_iter_key_len(it->it) };
    *value = json_object_iter_value(it->it);
    return true;
}

/* ---- typed access ---- */

/* Finds the value of a key and checks that its kind is one of two. Absent or null: *v is NULL, an error only when it is needed. */
static int json_field(Json **v, const Json *obj, const char *key, bool need, JsonKind a, JsonKind b, const char *want, const char *where, Err *e)
{
    *v = NULL;
    if (!json_is(obj, JSON_OBJECT))
        return err_set(e, ERR_INPUT, "%s: \"%s\" was looked for in an object, but there is %s", where, key, json_kind_name(obj));
    Json *found = json_object_get(obj, key);
    if (!found || json_is(found, JSON_NULL)) {
        if (need)
            return err_set(e, ERR_INPUT, "%s: \"%s\" is missing; it must be %s", where, key, want);
        return 0;
    }
    if (!json_is(found, a) && !json_is(found, b))
        return err_set(e, ERR_INPUT, "%s: \"%s\" is %s; it must be %s", where, key, json_kind_name(found), want);
    *v = found;
    return 0;
}

static int json_field_int(const Json *obj, const char *key, bool need, int64_t *v, const char *where, Err *e)
{
    static const char want[] = "a whole number";
    Json *found;
    int rc = json_field(&found, obj, key, need, JSON_INT, JSON_REAL, want, where, e);
    if (!rc && found && !json_as_int(found, v))
        rc = err_set(e, ERR_INPUT, "%s: \"%s\" is %g; it must be %s", where, key, json_num(found), want);
    return rc;
}

static int json_field_num(const Json *obj, const char *key, bool need, double *v, const char *where, Err *e)
{
    Json *found;
    int rc = json_field(&found, obj, key, need, JSON_INT, JSON_REAL, "a number", where, e);
    if (!rc && found)
        *v = json_num(found);
    return rc;
}

static int json_field_str(const Json *obj, const char *key, bool need, Str *v, const char *where, Err *e)
{
    Json *found;
    int rc = json_field(&found, obj, key, need, JSON_STRING, JSON_STRING, "a string", where, e);
    if (!rc && found)
        *v = json_str(found);
    return rc;
}

int json_need_int(const Json *obj, const char *key, int64_t *v, const char *where, Err *e)
{
    return json_field_int(obj, key, true, v, where, e);
}

int json_opt_int(const Json *obj, const char *key, int64_t *v, const char *where, Err *e)
{
    return json_field_int(obj, key, false, v, where, e);
}

int json_need_num(const Json *obj, const char *key, double *v, const char *where, Err *e)
{
    return json_field_num(obj, key, true, v, where, e);
}

int json_opt_num(const Json *obj, const char *key, double *v, const char *where, Err *e)
{
    return json_field_num(obj, key, false, v, where, e);
}

int json_need_str(const Json *obj, const char *key, Str *v, const char *where, Err *e)
{
    return json_field_str(obj, key, true, v, where, e);
}

int json_opt_str(const Json *obj, const char *key, Str *v, const char *where, Err *e)
{
    return json_field_str(obj, key, false, v, where, e);
}

int json_opt_bool(const Json *obj, const char *key, bool *v, const char *where, Err *e)
{
    Json *found;
    int rc = json_field(&found, obj, key, false, JSON_BOOL, JSON_BOOL, "true or false", where, e);
    if (!rc && found)
        *v = json_bool(found);
    return rc;
}

int json_opt_array(const Json *obj, const char *key, Json **v, const char *where, Err *e)
{
    Json *found;
    int rc = json_field(&found, obj, key, false, JSON_ARRAY, JSON_ARRAY, "an array", where, e);
    if (!rc && found)
        *v = found;
    return rc;
}

/* ---- building ---- */

Json *json_obj_new(void)
{
    return json_object();
}

Json *json_arr_new(void)
{
    return json_array();
}

Json *json_null_new(void)
{
    return json_null();
}

Json *json_bool_new(bool v)
{
    return v ? json_true() : json_false();
}

Json *json_int_new(int64_t v)
{
    return json_integer(v);
}

Json *json_num_new(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

Json *json_str_new(Str s)
{
    StrBuf repaired = { 0 };
    if (!utf8_valid(s, NULL)) {
        utf8_repair(&repaired, s);
        s = strbuf_str(&repaired);
    }
    Json *j = json_stringn_nocheck(s.n ? s.p : "", s.n);
    strbuf_release(&repaired);
    return j;
}

Json *json_ref(Json *j)
{
    return json_incref(j);
}

void json_set(Json *obj, const char *key, Json *value)
{
    StrBuf name = { 0 };
    utf8_repair(&name, str_of(key));
    int rc = json_object_setn_new_nocheck(obj, strbuf_z(&name), name.n, value);
    BUG_ON(rc != 0); /* obj is no object, or value is NULL */
    strbuf_release(&name);
}

void json_drop(Json *obj, const char *key)
{
    json_object_del(obj, key);
}

void json_cut(Json *arr, size_t n)
{
    while (json_array_size(arr) > n)
        json_array_remove(arr, json_array_size(arr) - 1);
}

void json_push(Json *arr, Json *value)
{
    int rc = json_array_append_new(arr, value);
    BUG_ON(rc != 0); /* arr is no array, or value is NULL */
}

/* ---- writing ---- */

void json_write_string(StrBuf *out, Str s)
{
    static const char short_form[0x20] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };
    StrBuf repaired = { 0 };
    if (!utf8_valid(s, NULL)) {
        utf8_repair(&repaired, s);
        s = strbuf_str(&repaired);
    }
    strbuf_addc(out, '"');
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        strbuf_add(out, s.p + from, i - from);
        from = i + 1;
        if (c >= 0x20)
            strbuf_addf(out, "\\%c", c);
        else if (short_form[c])
            strbuf_addf(out, "\\%c", short_form[c]);
        else
            strbuf_addf(out, "\\u%04x", c);
    }
    if (s.n > from)
        strbuf_add(out, s.p + from, s.n - from);
    strbuf_addc(out, '"');
    strbuf_release(&repaired);
}

/* A real stays recognisable as one: 3.0, not 3. */
static void json_write_real(StrBuf *out, double v)
{
    StrBuf text = { 0 };
    strbuf_add_real(&text, v);
    if (!strpbrk(text.p, ".e"))
        strbuf_addz(&text, ".0");
    strbuf_add(out, text.p, text.n);
    strbuf_release(&text);
}

static void json_newline(StrBuf *out, bool pretty, int depth)
{
    if (pretty)
        strbuf_addf(out, "\n%*s", 2 * depth, "");
}

static void json_write_at(StrBuf *out, const Json *j, bool pretty, int depth)
{
    BUG_ON(depth > 2 * JSON_DEPTH_MAX); /* twice what is read: room to wrap what came from a file */
    switch (json_kind(j)) {
    case JSON_NULL:   strbuf_addz(out, "null"); return;
    case JSON_BOOL:   strbuf_addz(out, json_bool(j) ? "true" : "false"); return;
    case JSON_INT:    strbuf_addf(out, "%lld", (long long)json_int(j)); return;
    case JSON_REAL:   json_write_real(out, json_num(j)); return;
    case JSON_STRING: json_write_string(out, json_str(j)); return;
    case JSON_ARRAY:
    case JSON_OBJECT: break;
    }
    bool is_object = json_kind(j) == JSON_OBJECT;
    size_t n = json_len(j);
    JsonIter it = { 0 };
    strbuf_addc(out, is_object ? '{' : '[');
    for (size_t i = 0; i < n; i++) {
        Json *value = json_at(j, i);
        if (i)
            strbuf_addc(out, ',');
        json_newline(out, pretty, depth + 1);
        if (is_object) {
            Str key = { 0 };
            json_each(j, &it, &key, &value);
            json_write_string(out, key);
            strbuf_addz(out, pretty ? ": " : ":");
        }
        json_write_at(out, value, pretty, depth + 1);
    }
    if (n)
        json_newline(out, pretty, depth);
    strbuf_addc(out, is_object ? '}' : ']');
}

void json_write(StrBuf *out, const Json *j, bool pretty)
{
    json_write_at(out, j, pretty, 0);
}
