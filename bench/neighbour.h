/* A second process that does the same work at the same time on another processor, as another rank does in training.
 *
 *     struct neighbour other;
 *     neighbour_start(&other);              from here on there are two, each bound to a processor of its own
 *     for each piece of work
 *         neighbour_meet(&other);           both begin it together
 *         ...
 *
 * What the second process prints is thrown away.  It ends with the first: when that is gone, nobody comes to meet. */
#ifndef WEIR_BENCH_NEIGHBOUR_H
#define WEIR_BENCH_NEIGHBOUR_H

#include "base/status.h"

struct neighbour {
    int socket;           /* -1: there is none */
    int processors[2];    /* that of this process first */
};

/* Bind this process to its first allowed processor and start the other on the second.  Before any thread is made.
 * WEIR_ERR_USAGE: fewer than two are allowed. */
weir_status neighbour_start(struct neighbour *out);

/* Bind this process only. */
weir_status neighbour_alone(struct neighbour *out);

/* Wait for the other one, if there is one.  WEIR_ERR_PEER: it has ended. */
weir_status neighbour_meet(const struct neighbour *n);

#endif
