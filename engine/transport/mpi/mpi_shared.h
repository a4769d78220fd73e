/* What the files of the mpi transport share.
 *
 * MPI starts the processes and carries what goes between hosts; within a host everything is the shared-memory half's
 * (engine/transport/shm).  A message between two hosts is one persistent send on one side and one persistent receive on the
 * other.  Nothing progresses by itself, so whoever waits looks again and again, asleep in between. */
#ifndef WEIR_ENGINE_TRANSPORT_MPI_MPI_SHARED_H
#define WEIR_ENGINE_TRANSPORT_MPI_MPI_SHARED_H

#include <mpi.h>

#include "engine/transport/mpi/mpi_base.h"
#include "engine/transport/shm/shm_shared.h"

/* Signs of life on their way to the first process of every other host. */
struct weir_mpi_beats {
    MPI_Comm comm;
    int n;
    struct weir_mpi_beat_send {
        int to;
        MPI_Request request; /* MPI_REQUEST_NULL: nothing is under way */
        char bytes[WEIR_BEAT_MAX];
    } *sends; /* [n] */
};

enum { WEIR_MPI_PASSING = 1 << 20 }; /* bytes of a broadcast that are under way at once */

/* The processes as MPI knows them, and the values of the last round of the bootstrap.  What MPI reads and writes between hosts is
 * memory of this struct, which stays when a call may be under way for ever. */
struct weir_mpi_world {
    struct weir_bootstrap bootstrap; /* first: a pointer to one is a pointer to the other */
    struct weir_arena arena;
    MPI_Comm world, control; /* control: only notices of failure */
    struct weir_mpi_beats beats;
    int *host_of;            /* [n_ranks] */
    char mine[WEIR_BOOTSTRAP_MAX];
    char *all;               /* [n_ranks * WEIR_BOOTSTRAP_MAX] */
    size_t bytes;            /* of a value of this round */
    bool stays;              /* abandoned */
    char *passing;           /* [WEIR_MPI_PASSING, or what an exchange needs if more]; NULL: one host */
    struct weir_shm_notice notice;
    struct weir_mpi_world *next_kept;
};

/* ---- mpi_wait.c ----------------------------------------------------------------------------------------------------- */

/* Once a transport is open, a second thread sends signs of life.  The library takes one thread at a time: every use of it stands
 * between these.  Nobody waits in between. */
void weir_mpi_lock(void);
void weir_mpi_unlock(void);
bool weir_mpi_try_lock(int64_t patience_ns);

/* Some process may never reach MPI_Finalize: MPI that was started here is not finalised.  What belongs to `world` (may be NULL) is
 * left as it is, for MPI may be at it for ever. */
void weir_mpi_abandon(struct weir_mpi_world *world);
bool weir_mpi_is_abandoned(void);

bool weir_mpi_is_over(void); /* finalised: nothing can be given back */

/* A code that an MPI function returned, as a status: WEIR_ERR_PEER with the library's text. */
weir_status weir_mpi_check(int code, const char *what);

/* Wait for `request`, asleep between looks. */
weir_status weir_mpi_request_wait(weir_transport *transport, MPI_Request *request, const char *what);

/* ---- mpi_limit.c ---------------------------------------------------------------------------------------------------- */

/* Call `fn`, which waits for all processes, with a copy of `config`; *result_out (may be NULL) is its result.  WEIR_ERR_TIMEOUT:
 * `what` has not returned for config->timeout_ns, of which the least is 5 s (0: it may take for ever); MPI is abandoned then. */
weir_status weir_mpi_limited(weir_status (*fn)(const struct weir_transport_config *config, void **result_out),
                             const struct weir_transport_config *config, const char *what, void **result_out);

/* ---- mpi_given.c ----------------------------------------------------------------------------------------------------- */

void weir_mpi_library_name(char name[MPI_MAX_LIBRARY_VERSION_STRING]); /* "Open MPI v4.1.4" */

/* Any thread of this process may call MPI, one at a time, which all of this needs.  WEIR_ERR_UNSUPPORTED. */
weir_status weir_mpi_level_check(void);

/* The same for processes on several hosts, where a thread of ours gives signs of life while the program may be in MPI. */
weir_status weir_mpi_level_check_far(void);

/* The configuration's communicator, MPI_COMM_WORLD without one. */
MPI_Comm weir_mpi_communicator(const struct weir_transport_config *config);

/* Other processes of MPI_COMM_WORLD than these are on this host, or may be. */
bool weir_mpi_shares_host(const struct weir_transport_info *info);

/* ---- mpi_bootstrap.c ------------------------------------------------------------------------------------------------- */

/* All processes of the configuration's communicator; `is_shared`: the program uses MPI too.  After a failure nothing of MPI is
 * given back. */
weir_status weir_mpi_world_open(const struct weir_transport_config *config, bool is_shared, struct weir_mpi_world **world_out);

/* ---- mpi_beat.c ------------------------------------------------------------------------------------------------------ */

weir_status weir_mpi_beats_open(struct weir_mpi_world *world);
void weir_mpi_beats_close(struct weir_mpi_world *world);
bool weir_mpi_beat(weir_transport *transport, const void *mine, size_t bytes, weir_heard_fn heard, void *context);

/* ---- mpi_wire.c, mpi_message.c, mpi_run.c ----------------------------------------------------------------------------- */

extern const struct weir_wire weir_mpi_wire;

/* This process's end of a message to or from another host. */
struct weir_mpi_end {
    int event, peer, post_after;
    MPI_Request request; /* persistent */
    MPI_Datatype type;   /* MPI_DATATYPE_NULL: none of its own */
    bool active;         /* started, and not known to be complete */
    uint32_t run;        /* in which it was completed last */
};

/* The messages of a link. */
struct weir_mpi_messages {
    MPI_Comm comm;
    int n_sends, n_receives;
    struct weir_mpi_end *sends, *receives; /* sends by event; receives by post_after */
    int *first_send;                       /* [n_events + 1] */
    int *receive_order, *first_receive;    /* receives of an event: order[first .. first of the next) */
    int next_post;
    struct weir_shm_link *link;
    struct weir_mpi_messages *next_kept;
};

weir_status weir_mpi_messages_open(struct weir_shm_link *link, const struct weir_link_spec *spec, void **state_out);
bool weir_mpi_messages_close(struct weir_shm_link *link, bool failed);

weir_status weir_mpi_begin(struct weir_shm_link *link);
weir_status weir_mpi_wait(struct weir_shm_link *link, int rank, int event);
weir_status weir_mpi_signal(struct weir_shm_link *link, int event);
weir_status weir_mpi_passed(struct weir_shm_link *link, int instruction);
weir_status weir_mpi_finish(struct weir_shm_link *link);

static inline struct weir_mpi_world *weir_mpi_world(const weir_transport *transport)
{
    return transport->wire_state;
}

static inline struct weir_mpi_messages *weir_mpi_messages(const struct weir_shm_link *link)
{
    return link->wire_state;
}

#endif
