/* A tap on the logits: the same graph, whose loss also copies what it is given.
 *
 *     struct logit_tap tap;
 *     logit_tap_open(graph, n_microbatches, &arena, &tap);
 *     config.graph = &tap.graph;         train with it; tap.logits has those of the last step, sample by sample
 *
 * For models that end in cross_entropy on (B, T, V).  All memory is the arena's. */
#ifndef WEIR_LOGIT_TAP_H
#define WEIR_LOGIT_TAP_H

#include "include/weir/graph.h"

struct logit_tap {
    struct weir_graph graph;
    weir_kernel_fn forward; /* the loss's own */
    float *logits;      /* (n_microbatches * B, T, V) */
    int64_t per_sample; /* T * V */
    int64_t n;          /* elements in all */
};

weir_status logit_tap_open(const struct weir_graph *graph, int n_microbatches, struct weir_arena *arena,
                           struct logit_tap *tap);

#endif
