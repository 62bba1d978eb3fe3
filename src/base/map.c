/* map.c - string-keyed hash map: entries in insertion order, and beside them an open-addressed table of entry numbers.
 * Invariants: a slot holds 0 (free) or entry number + 1; at most half of the slots are taken, so linear probing ends; there is no removal,
 * hence no tombstones. Key bytes live in blocks that never move: a Str from map_key stays valid as long as the map. */
#include "base/map.h"
#include "base/hash.h"
#include "base/vec.h"

#define MAP_KEY_BLOCK ((size_t)16 << 10)

typedef struct MapEntry {
    Str      key;
    uint64_t hash;
    int64_t  value;
} MapEntry;

struct Map {
    VEC(MapEntry) entries;
    VEC(char *) blocks;
    char     *free_key; /* the unused end of the newest block */
    size_t    free_n;
    uint32_t *slots;
    size_t    nslots; /* a power of two */
};

Map *map_new(void)
{
    Map *m = mem_zalloc(1, sizeof *m);
    m->nslots = 16;
    m->slots = mem_zalloc(m->nslots, sizeof *m->slots);
    return m;
}

void map_free(Map *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->blocks.n; i++)
        free(m->blocks.p[i]);
    vec_release(&m->blocks);
    vec_release(&m->entries);
    free(m->slots);
    free(m);
}

/* The slot where the key is, or the free one where it belongs. */
static uint32_t *map_slot(const Map *m, Str key, uint64_t hash)
{
    size_t mask = m->nslots - 1;
    for (size_t i = (size_t)(hash ^ hash >> 32) & mask;; i = (i + 1) & mask) {
        uint32_t *slot = &m->slots[i];
        if (*slot == 0)
            return slot;
        const MapEntry *entry = &m->entries.p[*slot - 1];
        if (entry->hash == hash && str_eq(entry->key, key))
            return slot;
    }
}

static void map_grow(Map *m)
{
    free(m->slots);
    m->nslots *= 2;
    m->slots = mem_zalloc(m->nslots, sizeof *m->slots);
    for (size_t i = 0; i < m->entries.n; i++)
        *map_slot(m, m->entries.p[i].key, m->entries.p[i].hash) = (uint32_t)(i + 1);
}

static Str map_copy_key(Map *m, Str key)
{
    if (!m->free_key || key.n > m->free_n) { /* an empty first key too: NULL has no end to point at */
        m->free_n = MAX(key.n, MAP_KEY_BLOCK);
        m->free_key = mem_alloc(m->free_n);
        *vec_push(&m->blocks) = m->free_key;
    }
    Str copy = { m->free_key, key.n };
    if (key.n)
        memcpy(m->free_key, key.p, key.n);
    m->free_key += key.n;
    m->free_n -= key.n;
    return copy;
}

bool map_put(Map *m, Str key, int64_t value)
{
    uint64_t hash = hash64(key.p, key.n);
    uint32_t *slot = map_slot(m, key, hash);
    if (*slot) {
        m->entries.p[*slot - 1].value = value;
        return false;
    }
    BUG_ON(m->entries.n >= UINT32_MAX / 2);
    *vec_push(&m->entries) = (MapEntry){ map_copy_key(m, key), hash, value };
    *slot = (uint32_t)m->entries.n;
    if (m->entries.n * 2 > m->nslots)
        map_grow(m);
    return true;
}

bool map_get(const Map *m, Str key, int64_t *value)
{
    const uint32_t *slot = map_slot(m, key, hash64(key.p, key.n));
    if (*slot == 0)
        return false;
    *value = m->entries.p[*slot - 1].value;
    return true;
}

size_t map_count(const Map *m)
{
    return m->entries.n;
}

Str map_key(const Map *m, size_t i)
{
    BUG_ON(i >= m->entries.n);
    return m->entries.p[i].key;
}

int64_t map_value(const Map *m, size_t i)
{
    BUG_ON(i >= m->entries.n);
    return m->entries.p[i].value;
}
