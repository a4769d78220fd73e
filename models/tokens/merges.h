/* The pairs of tokens that become one, in the order in which they are made; and a word after all its merges.
 *
 *     w o r l d     o r   (rank 3)
 *     w or l d      w or  (rank 4)
 *     wor l d       no pair of neighbours is in the list
 *
 * Of all pairs of neighbours that of the lowest rank is merged first, of equal ones the leftmost. */
#ifndef WEIR_MODELS_TOKENS_MERGES_H
#define WEIR_MODELS_TOKENS_MERGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

enum { WEIR_NO_RANK = -1 };

struct weir_merge_slot {
    uint64_t pair; /* left << 32 | right */
    int32_t rank;  /* WEIR_NO_RANK: the slot is free */
};

struct weir_merges {
    int32_t n_merges;
    int32_t *results; /* by rank: the token of both */
    uint64_t mask;
    struct weir_merge_slot *slots; /* open addressing: at least half of them are free */
};

weir_status weir_merges_init(struct weir_merges *merges, size_t most, struct weir_arena *arena);

/* The next rank, `most` of them at most.  false: the pair has one. */
bool weir_merges_add(struct weir_merges *merges, int32_t left, int32_t right, int32_t result);

/* The rank of a pair, or WEIR_NO_RANK. */
int32_t weir_merges_rank(const struct weir_merges *merges, int32_t left, int32_t right);

/* Room for the merging of words; all zero bits at first, used for one word after another. */
struct weir_merger {
    struct weir_merger_symbol *symbols;
    uint64_t *heap;
    size_t n_heap, symbols_room, heap_room;
};

/* Merge the pairs of tokens[0..*n), which may be all of a text: the time is *n times its logarithm.  *n < 2^31. */
weir_status weir_merger_run(struct weir_merger *merger, const struct weir_merges *merges, int32_t *tokens, size_t *n);

void weir_merger_release(struct weir_merger *merger);

#endif
