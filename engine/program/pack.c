#include "engine/program/pack.h"

#include <stdbool.h>
#include <stdlib.h>

struct placed {
    const struct weir_pack_item *item;
    int index;
};

static int larger_first(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->item->bytes != y->item->bytes)
        return x->item->bytes > y->item->bytes ? -1 : 1;
    if (x->item->first != y->item->first)
        return x->item->first < y->item->first ? -1 : 1;
    return x->index - y->index;
}

static int earlier_first(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    if (x->item->first != y->item->first)
        return x->item->first < y->item->first ? -1 : 1;
    return larger_first(a, b);
}

/* Drop what is dead before `moment`; returns what is left, still sorted by offset. */
static int dead_drop(struct weir_pack_item **done, int n, int moment)
{
    int kept = 0;
    for (int i = 0; i < n; i++)
        if (done[i]->last >= moment)
            done[kept++] = done[i];
    return kept;
}

static size_t end_of(const struct weir_pack_item *item)
{
    return item->offset + weir_pack_round(item->bytes);
}

/* Lowest gap for `item` among done[0..n), which is sorted by offset. */
static size_t gap_find(const struct weir_pack_item *item, struct weir_pack_item *const *done, int n)
{
    size_t need = weir_pack_round(item->bytes), at = 0;
    for (int i = 0; i < n; i++) {
        if (done[i]->last < item->first || item->last < done[i]->first)
            continue;
        if (done[i]->offset >= at + need)
            break;
        if (end_of(done[i]) > at)
            at = end_of(done[i]);
    }
    return at;
}

weir_status weir_pack(struct weir_pack_item *items, int n_items, struct weir_arena *arena, size_t *bytes_out)
{
    struct placed *order;
    struct weir_pack_item **done;
    weir_status status = weir_arena_alloc(arena, (size_t)n_items, sizeof *order, &order);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_items, sizeof *done, &done);
    if (status)
        return status;
    for (int i = 0; i < n_items; i++)
        order[i] = (struct placed){&items[i], i};
    bool by_start = n_items > WEIR_PACK_LARGEST_FIRST;
    qsort(order, (size_t)n_items, sizeof *order, by_start ? earlier_first : larger_first);
    size_t total = 0;
    int n_done = 0;
    for (int k = 0; k < n_items; k++) {
        struct weir_pack_item *item = &items[order[k].index];
        item->offset = 0;
        if (!item->bytes)
            continue;
        if (by_start)
            n_done = dead_drop(done, n_done, item->first);
        item->offset = gap_find(item, done, n_done);
        int at = n_done++;
        for (; at > 0 && done[at - 1]->offset > item->offset; at--)
            done[at] = done[at - 1];
        done[at] = item;
        if (end_of(item) > total)
            total = end_of(item);
    }
    *bytes_out = total;
    return WEIR_OK;
}
