/* Downsets: all sets of blocks that are closed under predecessors, the states of the exact contiguous solver.
 *
 * They are numbered by size, 0 is the empty set and the last one holds every block.  Each lists its steps: the blocks
 * that can be added and the downset that results.  A contiguous part is a difference of two downsets, a plan is a path
 * of differences from the first to the last.
 *
 *        ┌─▶ b ─┐          {} ─a─▶ {a} ─b─▶ {a,b} ─c─▶ {a,b,c} ─d─▶ all
 *      a ┤      ├─▶ d                └──c─▶ {a,c} ─b──────┘
 *        └─▶ c ─┘                                                          6 downsets, 7 steps */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_DOWNSET_H
#define WEIR_PARTITIONER_CONTIGUOUS_DOWNSET_H

#include "partitioner/blocks/blocks.h"

struct weir_downset_step {
    int block, next;
    bool settled; /* the block's nets that leave `next` cost no more than its time */
};

struct weir_downsets {
    int n, words;
    uint64_t *bits; /* [n][words] */
    size_t *first;  /* [n + 1]: steps of downset i are step[first[i]] .. step[first[i + 1] - 1] */
    struct weir_downset_step *step;

    /* of each downset and of what is left */
    int64_t *time;     /* of its blocks on accelerators; those that cannot run there count 0 */
    int64_t *boundary; /* cost of the nets with blocks inside and outside */
    int64_t *memory;
};

/* Enumerate.  *complete_out is false, and nothing is held, when there are more than `limit` or `deadline_ns` (of
 * weir_clock_ns, 0: none) has passed.  Release with weir_downsets_release; an all-zero value may be released. */
weir_status weir_downsets_build(const struct weir_blocks *blocks, int limit, int64_t deadline_ns,
                                struct weir_downsets *downsets_out, bool *complete_out);

void weir_downsets_release(struct weir_downsets *downsets);

static inline bool weir_downset_has(const struct weir_downsets *downsets, int i, int block)
{
    return downsets->bits[(size_t)i * (size_t)downsets->words + (size_t)block / 64] >> (block % 64) & 1;
}

#endif
