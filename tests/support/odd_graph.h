/* Small graphs with everything that a layer graph may have: tied weights far apart, a parameter twice in one node, an
 * operation that cannot be split, needs of every kind, residuals of two and three terms, inputs used in the middle, a loss
 * behind a sum, a loss that is a layer of its own, layers without parameters; and random ones whose layers read anything that
 * was made before them. */
#ifndef WEIR_TESTS_ODD_GRAPH_H
#define WEIR_TESTS_ODD_GRAPH_H

#include "include/weir/weir.h"

enum odd_graph { ODD_TOKENS, ODD_POINTS, ODD_BRANCHES, ODD_GRAPHS = ODD_BRANCHES + 500 }; /* from ODD_BRANCHES on: random */

enum { ODD_LAYERS = 9, ODD_BATCH = 2, ODD_WIDTH = 8 };

/* All have ODD_LAYERS layers. */
void odd_graph_build(enum odd_graph which, struct weir_arena *arena, const struct weir_graph **graph_out);

/* A graph by chance: each of the two that are not random as likely as all that are. */
enum odd_graph odd_graph_choose(uint64_t *random);

/* Feed all inputs of a step with numbers that depend on step and micro-batch. */
void odd_graph_feed(weir_engine *engine, const struct weir_graph *graph, int step, int n_microbatches);

#endif
