/* Memory of a run beside the blocks of its program: what a device takes for itself, what kernels and transports work in, and
 * host memory that copies use.  Rows of the memory table, and part of what must fit; kinds of device whose memory is the
 * host's have the last two alone.
 *
 *     cuda:0   context, modules and other users    what is taken of the GPU when it has been opened, before any block: once
 *                                                  per GPU, however many ranks are on it.  The runtime only tells how much
 *                                                  is free, so other processes are in it, too.  A preview opens no device
 *                                                  and says "measured at start".  Kernels that are loaded when they are
 *                                                  first called come later: they are in no row.
 *     cuda:0   workspace of matrix products        of every rank
 *     cuda:0   what a transport adds               once it is connected: weir_extra_add
 *     host     mirrors, chunk                      pinned, of every rank (engine/run/transfer.h)
 *     host     addresses of kernel calls           bound when a run opens (addresses.h), of every rank; on any kind of device
 *     host     copy of the state                   for checkpoints in the background (weir_engine_config.snapshots), of every rank
 *                                                  that writes some of it; on any kind of device
 *
 * Nothing here asks a device.  Whoever has opened them (engine/run/machine.h), or pretends to have some, says what they
 * have in struct weir_resources. */
#ifndef WEIR_ENGINE_PROGRAM_EXTRA_MEMORY_H
#define WEIR_ENGINE_PROGRAM_EXTRA_MEMORY_H

#include "engine/program/build.h"

enum {
    WEIR_EXTRA_ALL = -1,               /* a row of a device, for all ranks on it */
    WEIR_DEVICE_ELSEWHERE = -1,        /* the rank lives in another process, which finds a device of its own */
    WEIR_TRANSFER_BYTES = 1 << 20,     /* of a rank's pinned chunk, a multiple of what one random block fills */
};

/* What the devices of a run have.  Arrays are per rank of all replicas; ranks on one device have equal entries. */
struct weir_resources {
    const int *device_of;                       /* index among the devices of the kind, or WEIR_DEVICE_ELSEWHERE */
    const size_t *taken;                        /* in use once the devices are open, before any block; NULL: not known */
    const size_t *free_bytes, *total_bytes;     /* now, where the rank lives here; NULL: not known */
    size_t host_free;                           /* kinds on host memory: of all hosts together; SIZE_MAX: not known */
};

/* Rank `r` is the first of those on its device, which is known. */
static inline bool weir_is_first_on_device(const int *device_of, int r)
{
    for (int q = 0; q < r; q++)
        if (device_of[q] == device_of[r])
            return false;
    return device_of[r] != WEIR_DEVICE_ELSEWHERE;
}

struct weir_extra {
    const char *what;  /* "workspace of matrix products" */
    int rank;          /* of all replicas, or WEIR_EXTRA_ALL */
    int device;        /* its index, or WEIR_DEVICE_ELSEWHERE; not for host memory */
    bool on_host;      /* else on the device */
    bool is_taken;     /* before it is asked whether the run fits */
    bool is_known;     /* false: measured at start */
    size_t bytes;
    struct weir_extra *next;
};

struct weir_extras {
    struct weir_extra *rows, *last;
    const int *device_of; /* [n_ranks of all replicas] */
};

/* The rows that every run has.  Memory of `arena`, which weir_extra_add needs again. */
weir_status weir_extras_make(const struct weir_build *build, const struct weir_resources *have, struct weir_arena *arena,
                             struct weir_extras *extras_out);

/* Add a copy of the row at the end. */
weir_status weir_extra_add(struct weir_extras *extras, struct weir_arena *arena, const struct weir_extra *row);

/* Bytes of the copy that rank `r` of all replicas makes for a checkpoint in the background: the parameters that it owns in replica
 * 0, and the optimizer's state of the pieces that it writes.  0 when the configuration has no snapshots. */
size_t weir_snapshot_bytes(const struct weir_build *build, int r);

/* Bytes of the addresses of rank `r` of all replicas, of the program's calls and the guest's. */
size_t weir_address_bytes(const struct weir_build *build, int r);

/* Bytes of the last two rows: what the rank has of the host's memory on any kind of device. */
size_t weir_host_bytes(const struct weir_build *build, int r);

/* Bytes of the rows of rank `r` on its device: all, or those still to be taken. */
size_t weir_extra_bytes(const struct weir_extras *extras, int r, bool taken_too);

/* All that rank `r` has on its device: blocks and rows; where that is the host, weir_host_bytes() too. */
size_t weir_rank_device_bytes(const struct weir_build *build, const struct weir_extras *extras, int r);

/* The whole memory table: the blocks, the rows, what they add up to on each device, and the library's allowance. */
void weir_memory_print(const struct weir_build *build, const struct weir_extras *extras, FILE *out);
weir_status weir_memory_say(const struct weir_build *build, const struct weir_extras *extras, weir_text_fn say, void *context);

#endif
