/* Exact plans for graphs that are one path of blocks, with transfers and memory caps, in near-linear time.
 *
 * Prefix i is the first i blocks, P their time, c the cost of the net that crosses behind it.  A part i..j costs
 * (P[j] + c[j]) − (P[i] − c[i]), so "fits below T" is a comparison of one number per end:
 *
 *     P[i] − c[i] ≥ P[j] + c[j] − T
 *
 * The fewest parts that reach j come from the earliest-numbered group of prefixes (by fewest parts) whose largest left
 * side is large enough.  Groups keep their candidates in a queue from which worse and out-of-memory prefixes are
 * dropped, so a test of T touches every prefix a few times.  The smallest T is bisected over whole ticks, where both
 * bounds are values that parts really have. */
#ifndef WEIR_PARTITIONER_CONTIGUOUS_PATH_SPLIT_H
#define WEIR_PARTITIONER_CONTIGUOUS_PATH_SPLIT_H

#include "partitioner/contiguous/contiguous.h"

/* Every block has at most one predecessor and one successor and all nets join neighbours; no CPUs and no pins. */
bool weir_path_applies(const struct weir_blocks *blocks, int cpus);

/* weir_contiguous_solve for such graphs. */
weir_status weir_path_solve(const struct weir_contiguous_job *job, struct weir_arena *arena,
                            struct weir_contiguous_answer *answers_out, int64_t *downsets_out);

#endif
