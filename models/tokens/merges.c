/* A word is a list of symbols, linked by their places.  Every pair of neighbours that has a rank waits in a heap under
 * rank << 32 | place of its left symbol: the smallest is the next merge.  A merge changes both pairs beside it; what
 * waits for them is out of date then, and is passed over when its rank is not that of the symbol. */
#include "models/tokens/merges.h"

#include "base/alloc.h"

struct weir_merger_symbol {
    int32_t token, rank; /* of the pair with the next symbol, or WEIR_NO_RANK */
    int32_t before, after; /* places; after == n: the last */
};

/* ---- the list of merges -------------------------------------------------------------------------------------------- */

weir_status weir_merges_init(struct weir_merges *merges, size_t most, struct weir_arena *arena)
{
    size_t n = 1024;
    while (n < 2 * most)
        n *= 2;
    *merges = (struct weir_merges){.mask = n - 1};
    weir_status status = weir_arena_alloc(arena, n, sizeof *merges->slots, &merges->slots);
    if (!status)
        status = weir_arena_alloc(arena, most, sizeof *merges->results, &merges->results);
    for (size_t i = 0; i < n && !status; i++)
        merges->slots[i].rank = WEIR_NO_RANK;
    return status;
}

static struct weir_merge_slot *slot_of(const struct weir_merges *merges, uint64_t pair)
{
    uint64_t at = pair * 0x9e3779b97f4a7c15u;
    for (at ^= at >> 32;; at++) {
        struct weir_merge_slot *slot = &merges->slots[at & merges->mask];
        if (slot->rank == WEIR_NO_RANK || slot->pair == pair)
            return slot;
    }
}

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

int32_t weir_merges_rank(const struct weir_merges *merges, int32_t left, int32_t right)
{
    return slot_of(merges, pair_of(left, right))->rank;
}

bool weir_merges_add(struct weir_merges *merges, int32_t left, int32_t right, int32_t result)
{
    struct weir_merge_slot *slot = slot_of(merges, pair_of(left, right));
    if (slot->rank != WEIR_NO_RANK)
        return false;
    *slot = (struct weir_merge_slot){pair_of(left, right), merges->n_merges};
    merges->results[merges->n_merges++] = result;
    return true;
}

/* ---- the heap ------------------------------------------------------------------------------------------------------ */

static void heap_push(struct weir_merger *m, uint64_t key)
{
    size_t at = m->n_heap++;
    for (; at && m->heap[(at - 1) / 2] > key; at = (at - 1) / 2)
        m->heap[at] = m->heap[(at - 1) / 2];
    m->heap[at] = key;
}

static uint64_t heap_pop(struct weir_merger *m)
{
    uint64_t least = m->heap[0], key = m->heap[--m->n_heap];
    size_t at = 0;
    for (size_t child; (child = 2 * at + 1) < m->n_heap; at = child) {
        child += child + 1 < m->n_heap && m->heap[child + 1] < m->heap[child];
        if (m->heap[child] >= key)
            break;
        m->heap[at] = m->heap[child];
    }
    m->heap[at] = key;
    return least;
}

/* ---- a word -------------------------------------------------------------------------------------------------------- */

static void pair_look(struct weir_merger *m, const struct weir_merges *merges, int32_t at, int32_t n)
{
    struct weir_merger_symbol *left = &m->symbols[at];
    left->rank = left->after == n ? WEIR_NO_RANK : weir_merges_rank(merges, left->token, m->symbols[left->after].token);
    if (left->rank != WEIR_NO_RANK)
        heap_push(m, (uint64_t)left->rank << 32 | (uint32_t)at);
}

static void pair_merge(struct weir_merger *m, const struct weir_merges *merges, int32_t at, int32_t n)
{
    struct weir_merger_symbol *left = &m->symbols[at], *right = &m->symbols[left->after];
    left->token = merges->results[left->rank];
    left->after = right->after;
    right->rank = WEIR_NO_RANK;
    if (left->after != n)
        m->symbols[left->after].before = at;
    pair_look(m, merges, at, n);
    if (left->before >= 0)
        pair_look(m, merges, left->before, n);
}

weir_status weir_merger_run(struct weir_merger *merger, const struct weir_merges *merges, int32_t *tokens, size_t *n)
{
    int32_t count = (int32_t)*n;
    weir_status status = weir_grow(&merger->symbols, &merger->symbols_room, *n, sizeof *merger->symbols);
    if (!status) /* a pair each, and two more for every merge */
        status = weir_grow(&merger->heap, &merger->heap_room, 3 * *n, sizeof *merger->heap);
    if (status)
        return status;
    for (int32_t i = 0; i < count; i++)
        merger->symbols[i] = (struct weir_merger_symbol){tokens[i], WEIR_NO_RANK, i - 1, i + 1};
    for (int32_t i = 0; i < count; i++)
        pair_look(merger, merges, i, count);
    while (merger->n_heap) {
        uint64_t key = heap_pop(merger);
        int32_t at = (int32_t)(key & UINT32_MAX);
        if (merger->symbols[at].rank == (int32_t)(key >> 32))
            pair_merge(merger, merges, at, count);
    }
    size_t used = 0;
    for (int32_t i = 0; i < count; i = merger->symbols[i].after)
        tokens[used++] = merger->symbols[i].token;
    *n = used;
    return WEIR_OK;
}

void weir_merger_release(struct weir_merger *merger)
{
    weir_free(merger->symbols);
    weir_free(merger->heap);
    *merger = (struct weir_merger){0};
}
