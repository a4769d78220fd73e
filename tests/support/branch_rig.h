/* Graphs with branches, trained for two steps: what every schedule, cut, transport and device must give alike.
 *
 *     skip N      a residual MLP of nine layers: layer l also reads what layer l - N made
 *     u           the built-in model umlp
 *     u concat    the built-in model umlp-concat
 *     parts       layer l splits what it has made in three: one goes to the next layer, one to that behind it, one to nobody;
 *                 what arrives is concatenated
 *     encoder     layers 0 to 3 encode, and every later one reads what they made: by a sum
 *     towers      layers 0 to 3 and layers 4 to 7 each begin with the images, layer 8 adds both: a stage may read inputs alone */
#ifndef WEIR_TESTS_BRANCH_RIG_H
#define WEIR_TESTS_BRANCH_RIG_H

#include "include/weir/weir.h"

enum branch_graph { BRANCH_SKIP_1, BRANCH_SKIP_2, BRANCH_SKIP_5, BRANCH_U, BRANCH_U_CONCAT, BRANCH_PARTS, BRANCH_ENCODER, BRANCH_TOWERS, BRANCH_GRAPHS };

enum { BRANCH_STEPS = 2, BRANCH_BATCH = 2, BRANCH_INPUTS = 6, BRANCH_CLASSES = 5 };

struct branch_run {
    const char *device, *transport, *schedule, *recompute; /* device and transport: NULL, cpu and local */
    int stages, chunks, microbatches; /* of each replica */
    int replicas;
    bool zero;
};

struct branch_outcome {
    double losses[BRANCH_STEPS], norms[BRANCH_STEPS], evaluated;
    uint64_t fetched; /* hash of outputs of nodes that have several, of the evaluation */
    float *params;
    size_t n_params;
};

void branch_graph_build(enum branch_graph which, struct weir_arena *arena, const struct weir_graph **graph_out);

/* Release with branch_release. */
void branch_train(enum branch_graph which, const struct branch_run *run, struct branch_outcome *out);
void branch_release(struct branch_outcome *outcome);
bool branch_equal(const struct branch_outcome *a, const struct branch_outcome *b);

#endif
