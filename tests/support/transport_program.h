/* Random programs for transports: who writes what for whom, and when its memory may be written again.
 *
 * A program is a list of transfers.  Each rank runs those it takes part in, in the order of the list, so no program can
 * deadlock.  A transfer goes from one rank to another or to all; it fills regions of the receiver's block (part 0) or of
 * the sender's own (part 1), signals, is checked by every receiver, and is freed by them.
 *
 *     sender     wait for the events that freed the regions    write    signal event 2k
 *     receiver   wait for event 2k                             check    signal event 2k + 1
 *
 * Every byte depends on seed, run, transfer and place, so a byte that comes early, late or from elsewhere is seen. */
#ifndef WEIR_TRANSPORT_PROGRAM_H
#define WEIR_TRANSPORT_PROGRAM_H

#include "base/arena.h"
#include "engine/transport/transport.h"

enum { PROGRAM_SLOTS = 3, PROGRAM_PARTS = 2, PROGRAM_REGIONS = 2, PROGRAM_MOST_RANKS = 16 };

struct program_transfer {
    int from, to; /* to: -1 for all others */
    int slot;     /* of the receiver's block; of the sender's own for all */
    int n_regions;
    struct weir_message_region regions[PROGRAM_REGIONS];
    int previous; /* transfer that used the slot before, -1 */
};

struct program {
    uint32_t seed;
    int n_ranks, n_transfers;
    struct program_transfer *transfers;
    struct weir_link_spec spec;
};

/* `largest`: bytes of a region at most. */
void program_make(struct weir_arena *arena, uint32_t seed, int n_ranks, int n_transfers, size_t largest,
                  struct program *out);

/* One run of rank `rank`, exchange included; WEIR_ERR_INTERNAL names the transfer whose bytes are wrong. */
weir_status program_run(const struct program *program, const struct weir_transport_kind *kind, weir_transport *transport,
                        weir_link *link, int rank, uint32_t run);

#endif
