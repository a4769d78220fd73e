/* What the files of the nccl transport share.
 *
 * Processes meet over MPI or `weir launch` (mpi_base.h, shm_base.h): who is where, the unique ids of communicators, the barriers around a run, and who has
 * died.  What a step moves goes from device to device:
 *
 *     edge a ─▶ b     one communicator of two ranks and one stream on either side, for all messages from a to b
 *     group           one communicator of all that hold a rank's stages: sums of gradients, parameters of ZeRO-1
 *     all             one communicator of all ranks: the parts of the gradient norm and the losses
 *
 * Order.  NCCL's operations wait for their peers on the device, so operations of different communicators must come in one
 * order on all ranks, or be able to run side by side.  Both are taken care of: every rank issues its operations in the
 * order of the instructions that signal, which is one order for all ranks (a receive takes the place of its sender's
 * instruction, turn_after); and the blocks that the kernels may take (most_blocks) are few beside a GPU's processors.  What
 * an operation needs from other ranks comes before it in that order, so whatever is enqueued comes to its end without
 * anything that is enqueued later: a wait for the whole device in the middle of a step, as CUDA's lazy loading of a kernel
 * may be, is only a wait.
 *
 * Streams.    compute   ... kernels of F3 │ record made(F3)                       wait came(F4) │ kernels of F4 ...
 *             edge out                    │ wait made(F3) │ send │ record left(F3)
 *             edge in       wait free(F2) │ receive F4's │ record came(F4)
 *
 * Communicators are non-blocking: a call that returns ncclInProgress is polled, with an eye on the peers, until it is done.
 * On failure all communicators are aborted, from threads, because one abort may wait for what another one holds
 * (github.com/NVIDIA/nccl issues 829 and 1013). */
#ifndef WEIR_ENGINE_TRANSPORT_NCCL_NCCL_SHARED_H
#define WEIR_ENGINE_TRANSPORT_NCCL_NCCL_SHARED_H

#include <nccl.h>

#include "base/arena.h"
#include "engine/device/device.h"
#include "engine/transport/mpi/mpi_base.h"
#include "engine/transport/shm/shm_base.h"

/* A communicator and the stream on which its operations run. */
struct weir_nccl_comm {
    ncclComm_t native; /* NULL: not open */
    weir_stream *stream;
    weir_event *ready, *done; /* collectives: of the rank's stream, of the communicator's */
    bool has_reserved;        /* streams that the library makes itself */
};

struct weir_nccl_edge {
    int from, to;
    struct weir_nccl_comm comm; /* its ranks: 0 sends, 1 receives */
};

/* This rank's end of a message. */
struct weir_nccl_end {
    struct weir_message message; /* regions in the link's arena */
    struct weir_nccl_edge *edge;
    weir_event *done; /* receive: it came; send: it left, NULL when nobody asks */
};

/* The part of a peer's block that messages of this rank touch: offsets low .. high of it have memory here. */
struct weir_nccl_mirror {
    size_t low, high;
    char *memory;
};

struct weir_nccl_link {
    struct weir_arena arena;
    weir_transport *transport;
    const struct weir_transport_info *info;
    const struct weir_device_kind *kind;
    weir_device *device;
    weir_stream *stream; /* the rank's */
    struct weir_nccl_link *home; /* whose communicators and mirrors these are: its own, or another link's */
    int n_blocks, n_events;

    int n_sends, n_receives;
    struct weir_nccl_end *sends, *receives; /* in the order of turns */
    int *first_send;    /* [n_events]: sends of an event follow each other; -1: none */
    int *receive_of;    /* [n_events]; -1: none */
    weir_event **made;  /* [n_events]: what the event's sends take; NULL where there are none */
    int *claims, *first_claim; /* sends that must have left before the event's memory is written: claims[first_claim[e]] ..
                                  claims[first_claim[e + 1] - 1], the last one of each edge */
    int n_free;
    weir_event **free;  /* [n_free]: instruction i has left what is received next; NULL where nobody asks */
    int n_posted;       /* receives issued in this run */
    int n_came;         /* of them known to have come */
    int64_t came_ns;    /* when that was noticed last */
    int64_t longest_ns; /* between two of them, or the last one and the end, so far; 0: no run has ended */
    int64_t quiet_ns;   /* the same of this run */

    /* home only */
    int n_edges;
    struct weir_nccl_edge *edges; /* those of this rank, in the order in which they are connected */
    struct weir_nccl_comm scopes[WEIR_COLLECT_SCOPES];
    int scope_ranks[WEIR_COLLECT_SCOPES], scope_rank[WEIR_COLLECT_SCOPES];
    struct weir_nccl_mirror *mirrors; /* [n_ranks * n_blocks] */
    void **blocks;                    /* [n_blocks]: the rank's own */
    char *probe;                      /* device memory: what is sent to connect */
    size_t buffer_bytes;
    bool aborted, stuck;
};

/* ---- nccl_base.c ----------------------------------------------------------------------------------------------------- */

/* A result as a status: WEIR_OK for ncclSuccess; WEIR_ERR_PEER when another process is the cause, WEIR_ERR_DEVICE, or
 * WEIR_ERR_INTERNAL for a call that NCCL refuses, with the library's own words. */
weir_status weir_nccl_result(ncclResult_t result, const char *call);

/* Wait while a call on `comm` is in progress, for the peers' answer maybe. */
weir_status weir_nccl_settle(struct weir_nccl_link *link, ncclComm_t comm, ncclResult_t result, const char *call);

/* What there is here of a peer's block; a block as kernels and NCCL see it: the rank's own, or the mirror. */
struct weir_nccl_mirror *weir_nccl_mirror(const struct weir_nccl_link *link, int rank, int block);
void *weir_nccl_memory(const struct weir_nccl_link *link, int rank, int block);

/* Something has come of what is awaited in this run. */
void weir_nccl_came(struct weir_nccl_link *link);

weir_status weir_nccl_look(struct weir_nccl_link *link);
bool weir_nccl_awaited(const struct weir_nccl_link *link, int *rank_out, int *event_out);
bool weir_nccl_abort(struct weir_nccl_link *link);

/* ---- nccl_connect.c: home links only --------------------------------------------------------------------------------- */

/* Open the communicators that `spec` names and send something over each, so that no step does it for the first time. */
weir_status weir_nccl_connect(struct weir_nccl_link *link, const struct weir_link_spec *spec);
void weir_nccl_disconnect(struct weir_nccl_link *link);

/* ---- nccl_link.c ------------------------------------------------------------------------------------------------------ */
/* `memory`: the link that spec->memory names. */
weir_status weir_nccl_link_open(weir_transport *transport, const struct weir_link_spec *spec,
                                const struct weir_nccl_link *memory, struct weir_nccl_link **link_out);
void weir_nccl_link_close(struct weir_nccl_link *link);
weir_status weir_nccl_place(struct weir_nccl_link *link, void *const *blocks);
size_t weir_nccl_mirror_bytes(const struct weir_nccl_link *link);
size_t weir_nccl_buffer_bytes(const struct weir_nccl_link *link);

/* ---- nccl_run.c ------------------------------------------------------------------------------------------------------- */
weir_status weir_nccl_begin(struct weir_nccl_link *link);
weir_status weir_nccl_wait(struct weir_nccl_link *link, int rank, int event);
weir_status weir_nccl_claim(struct weir_nccl_link *link, int event);
weir_status weir_nccl_signal(struct weir_nccl_link *link, int event);
weir_status weir_nccl_passed(struct weir_nccl_link *link, int instruction);
weir_status weir_nccl_progress(struct weir_nccl_link *link);
weir_status weir_nccl_finish(struct weir_nccl_link *link);
weir_status weir_nccl_collect(struct weir_nccl_link *link, enum weir_collective_scope scope, enum weir_collective what,
                              enum weir_dtype dtype, int n_spans, const struct weir_collective_span *spans);
weir_status weir_nccl_collected(struct weir_nccl_link *link, enum weir_collective_scope scope);

#endif
