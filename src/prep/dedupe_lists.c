/* dedupe_lists.c - the index: numbers the distinct hashes, counts their items, and deals them out. No sort: the order is that of the items. */
#include "prep/dedupe_lists.h"

static uint32_t *slot_of(const HashLists *l, uint64_t hash)
{
    size_t at = hash & (l->n_slot - 1);
    while (l->slot[at] && l->hash[l->slot[at] - 1] != hash)
        at = (at + 1) & (l->n_slot - 1);
    return &l->slot[at];
}

void hash_lists_build(HashLists *l, const HashItem *item, size_t n)
{
    BUG_ON(n >= UINT32_MAX);
    *l = (HashLists){ .n_slot = 16 };
    while (l->n_slot < 2 * n)
        l->n_slot *= 2;
    l->slot = mem_zalloc(l->n_slot, sizeof *l->slot);
    l->hash = mem_alloc(MAX(n, (size_t)1) * sizeof *l->hash);
    l->from = mem_zalloc(n + 2, sizeof *l->from);
    l->text = mem_alloc(MAX(n, (size_t)1) * sizeof *l->text);
    for (size_t i = 0; i < n; i++) {
        uint32_t *slot = slot_of(l, item[i].hash);
        if (!*slot) {
            l->hash[l->n++] = item[i].hash;
            *slot = (uint32_t)l->n;
        }
        l->from[*slot + 1]++; /* one place further on than the list's own: see below */
    }
    for (size_t i = 1; i <= l->n + 1; i++)
        l->from[i] += l->from[i - 1];
    for (size_t i = 0; i < n; i++) /* from[k + 1] runs from the beginning of list k to its end, which is the beginning of list k + 1 */
        l->text[l->from[*slot_of(l, item[i].hash)]++] = item[i].text;
    l->hash = mem_realloc(l->hash, MAX(l->n, (size_t)1), sizeof *l->hash);
    l->from = mem_realloc(l->from, l->n + 2, sizeof *l->from);
}

size_t hash_lists_find(const HashLists *l, uint64_t hash, const uint32_t **text)
{
    if (!l->n)
        return 0;
    const uint32_t k = *slot_of(l, hash);
    if (!k)
        return 0;
    *text = l->text + l->from[k - 1];
    return (size_t)(l->from[k] - l->from[k - 1]);
}

void hash_lists_release(HashLists *l)
{
    free(l->hash);
    free(l->from);
    free(l->text);
    free(l->slot);
    *l = (HashLists){ 0 };
}
