/* A small graph whose nodes take one value twice or three times, each right behind the border of a layer.
 *
 *     embed     tokens ─▶ x0
 *     attend    x1 = attention(q = x0, k = x0, v = x0) + x0
 *     gate      x2 = swiglu(x1, x1)
 *     join      x3 = linear(concat(x2, x1, x2))
 *     sum       x4 = x3 + x3 + x2
 *     given     x5 = linear(concat(extra, x4, extra)), where extra is an input of the graph
 *     pair      x6 = pair(x5, x5), a row of a program that cannot be split and writes both gradients in one loop; with own rows
 *     head      linear(x6) ─▶ loss */
#ifndef WEIR_TESTS_TWICE_RIG_H
#define WEIR_TESTS_TWICE_RIG_H

#include "include/weir/weir.h"

enum { TWICE_BATCH = 2, TWICE_LENGTH = 6, TWICE_TOKENS = 12, TWICE_MOST_ELEMENTS = 4096 };

/* What a run is; NULL and 0: device cpu, no recomputation, one replica, whole sequences. */
struct twice_run {
    const char *schedule, *device, *recompute;
    int stages, chunks, microbatches, slices, replicas;
    bool own_rows, zero, drops; /* drops: the attention */
    enum weir_compute dtype;
};

/* Of two steps, the first one's gradients before anything is clipped. */
struct twice_outcome {
    double losses[2];
    float gradients[TWICE_MOST_ELEMENTS], params[TWICE_MOST_ELEMENTS];
    size_t n;
};

/* An engine of the run, with one step's inputs fed. */
void twice_open(const struct twice_run *run, struct weir_arena *arena, const struct weir_graph **graph_out, weir_engine **engine_out);
void twice_feed(weir_engine *engine, int step, int n_microbatches);

/* Fails unless run `b` has every bit of run `a`. */
void twice_train(const struct twice_run *run, struct twice_outcome *out);
void twice_compare(const struct twice_run *a, const struct twice_run *b);

#endif
