/* What both ends of `weir launch` know of the memory file. */
#ifndef WEIR_ENGINE_TRANSPORT_BOOTSTRAP_LAUNCH_SHARED_H
#define WEIR_ENGINE_TRANSPORT_BOOTSTRAP_LAUNCH_SHARED_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/futex.h"
#include "engine/transport/bootstrap/bootstrap.h"
#include "engine/transport/bootstrap/weir_launch.h"

enum { WEIR_LAUNCH_MAGIC = 0x77656972 };

/* One process.  Values of round k are overwritten in round k + 2, which nobody reaches before all have read them. */
struct weir_launch_slot {
    struct weir_futex round;
    _Atomic uint32_t ended; /* the launcher has seen its end */
    char values[2][WEIR_BOOTSTRAP_MAX];
};

struct weir_launch_block {
    uint32_t magic, slot_bytes; /* of another build, these differ */
    int32_t n_ranks;
    struct weir_launch_slot slots[];
};

static inline size_t weir_launch_block_bytes(int n_ranks)
{
    return sizeof(struct weir_launch_block) + (size_t)n_ranks * sizeof(struct weir_launch_slot);
}

#endif
