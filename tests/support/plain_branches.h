/* Random graphs of built-in operations whose layers read anything that was made before them: for devices that have no rows of the
 * tests' own. */
#ifndef WEIR_TESTS_PLAIN_BRANCHES_H
#define WEIR_TESTS_PLAIN_BRANCHES_H

#include "include/weir/graph.h"

/* Inputs "images" and "targets", and PLAIN_LAYERS layers; the graph lives in `arena`. */
enum { PLAIN_LAYERS = 9, PLAIN_BATCH = 2, PLAIN_INPUTS = 6, PLAIN_CLASSES = 5 };

void plain_branches_build(uint64_t seed, struct weir_arena *arena, const struct weir_graph **graph_out);

#endif
