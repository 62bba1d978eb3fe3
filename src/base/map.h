/* map.h - string-keyed hash map to int64 values; keys are copied. Iteration is in insertion order, so results never depend on hashing. */
#ifndef HONE_MAP_H
#define HONE_MAP_H

#include "base/str.h"

typedef struct Map Map;

Map    *map_new(void);
void    map_free(Map *m);
bool    map_put(Map *m, Str key, int64_t value);             /* false: the key existed; its value is replaced */
bool    map_get(const Map *m, Str key, int64_t *value);      /* false: absent; value untouched */
size_t  map_count(const Map *m);
Str     map_key(const Map *m, size_t i);                     /* i-th inserted */
int64_t map_value(const Map *m, size_t i);

#endif
