/* Ranks on other hosts: their signs of life.
 *
 * Between hosts there is no memory in which a pulse could be seen, so it travels: every process sends a *sign* to the first process
 * of every other host, some times in a timeout, over the transport.  It says who it is, that it lives, and what its rank does.
 * Whoever hears it keeps it as a flight (flight.h) of its own, with times of this host's clock.  So all that is asked of a flight,
 * a name, an instruction, a record, is there for far ranks too, as they were last heard.
 *
 * Threads: the pulse's. */
#ifndef WEIR_ENGINE_RUN_FAR_H
#define WEIR_ENGINE_RUN_FAR_H

#include <stdbool.h>

#include "engine/run/flight.h"
#include "engine/transport/transport.h"

struct weir_far {
    const struct weir_transport_kind *transport;
    weir_transport *handle;
    int n_ranks, rank;            /* of all replicas; the own one */
    int64_t period_ns, sent_ns;
    bool told_begun;              /* a sign has said which instruction the own rank is at */
    uint32_t *heard_n;            /* [n_ranks]: entries that the rank had when it was heard last */
    struct weir_heard *heard;     /* [n_ranks]: for the other processes of the host; NULL: this is not the first one, and hears nobody */
    struct weir_flight flights[]; /* [n_ranks]; pid 0: not heard yet */
};

/* `heard` (borrowed, may be NULL): where to write for the others of the host how far ranks are.  WEIR_ERR_NOMEM. */
weir_status weir_far_open(const struct weir_transport_kind *transport, weir_transport *handle, int n_ranks, int rank,
                          int64_t timeout_ns, struct weir_heard *heard, struct weir_far **far_out);
void weir_far_close(struct weir_far *far); /* NULL is fine */

/* Give a sign when one is due, and at once when the rank has begun its first instruction; hear the others.  false: neither was
 * possible, nothing can be said of anybody. */
bool weir_far_beat(struct weir_far *far, const struct weir_flight *own, int64_t now_ns);

/* What was heard of `rank`; NULL: nothing yet, or it is on this host. */
static inline struct weir_flight *weir_far_flight(struct weir_far *far, int rank)
{
    return far && far->flights[rank].pid ? &far->flights[rank] : NULL;
}

#endif
