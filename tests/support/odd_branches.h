/* Random graphs whose layers read anything that was made before them. */
#ifndef WEIR_TESTS_ODD_BRANCHES_H
#define WEIR_TESTS_ODD_BRANCHES_H

#include "include/weir/graph.h"

/* Inputs "points" and "targets", and ODD_LAYERS layers (odd_graph.h) of one to three values each. */
void odd_branches_build(struct weir_graph_builder *b, uint64_t seed);

#endif
