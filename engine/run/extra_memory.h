/* Memory of a run beside the blocks of its program: what a device takes for itself, what kernels and transports work in, and
 * host memory that copies use.  Rows of the memory table, and part of what must fit; kinds of device whose memory is the
 * host's have none.
 *
 *     cuda:0   context, modules and other users    what is taken of the GPU when it has been opened, before any block: once
 *                                                  per GPU, however many ranks are on it.  The runtime only tells how much
 *                                                  is free, so other processes are in it, too.  A preview opens no device
 *                                                  and says "measured at start".  Kernels that are loaded when they are
 *                                                  first called come later: they are in no row.
 *     cuda:0   workspace of matrix products        of every rank
 *     cuda:0   what a transport adds               once it is connected: weir_extra_add
 *     host     mirrors, chunk                      pinned, of every rank (transfer.h)
 *
 * Rows are added before weir_devices_fit.  What is taken already when that asks for the free memory is marked so. */
#ifndef WEIR_ENGINE_RUN_EXTRA_MEMORY_H
#define WEIR_ENGINE_RUN_EXTRA_MEMORY_H

#include "engine/run/state.h"

enum { WEIR_EXTRA_ALL = -1, WEIR_EXTRA_UNKNOWN = -1 };

struct weir_extra {
    const char *what;  /* "workspace of matrix products" */
    int rank;          /* of all replicas; WEIR_EXTRA_ALL: of the device, for all ranks on it */
    int device;        /* its index, WEIR_EXTRA_UNKNOWN where the rank is in another process; not for host memory */
    bool on_host;      /* else on the device */
    bool is_taken;     /* before weir_devices_fit */
    bool is_known;     /* false: measured at start */
    size_t bytes;
    struct weir_extra *next;
};

/* Add a copy of the row.  What a rank has on its device counts in its peak_bytes and against its cap. */
weir_status weir_extra_add(weir_engine *engine, const struct weir_extra *row);

/* The rows that every run has.  `indices`: the device of every rank, which is open where the rank lives here. */
weir_status weir_extra_make(weir_engine *engine, const int *indices);

/* Bytes of the rows of rank `r` on its device: all, or those still to be taken. */
size_t weir_extra_bytes(const weir_engine *engine, int r, bool taken_too);

/* The rows and what they and the blocks add up to on each device. */
void weir_extra_print(const weir_engine *engine, FILE *out);

#endif
