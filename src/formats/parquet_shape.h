/* parquet_shape.h - the tree behind ParquetShape, between parquet_shape.c, which learns it, and parquet_write.c, which writes by it. */
#ifndef HONE_PARQUET_SHAPE_H
#define HONE_PARQUET_SHAPE_H

#include "base/map.h"
#include "base/vec.h"
#include "formats/parquet.h"

#define SHAPE_FIELDS_MAX 10000   /* of all objects of a shape together */

typedef enum { SHAPE_NULL, SHAPE_BOOL, SHAPE_INT, SHAPE_REAL, SHAPE_TEXT, SHAPE_LIST, SHAPE_STRUCT } ShapeKind;

struct ParquetShape {
    ShapeKind kind;
    char     *name;      /* the key; NULL for the root and for a list's element */
    bool      wide;      /* SHAPE_INT: one of the integers is not exact as a double */
    int64_t   rows;      /* of the root: rows learnt from */
    int64_t   fields;    /* of the root: children of all structs */
    ParquetShape *parent;
    VEC(ParquetShape *) child;   /* a list has one, a struct one for each key in the order of their first coming */
    Map      *index;             /* of a struct: key -> place in child */
};

ShapeKind     shape_kind_of(const Json *value);
const char   *shape_kind_name(ShapeKind kind);                                    /* "string", ... as in a description */
ParquetShape *shape_find(const ParquetShape *s, Str key);                         /* NULL: no such key */
int           shape_depth(const ParquetShape *s);                                 /* arrays and objects around it, the row counted */
void          shape_path(StrBuf *out, const ParquetShape *s);                     /* "messages[].role" */
bool          shape_int_is_exact(int64_t v);                                      /* as a double */

#endif
