/* What the files of the mpi transport share.
 *
 * Processes of one host meet in shared memory: each makes *segments* (memory files without a name, which end with the last
 * process that maps them, and are not limited by the size of /dev/shm) and maps those of its peers.
 *
 *     lobby segment   one per process, from open to close: its life lock, why it stopped, its notes of the exchange
 *     link segment    one per process and link: the flags of its events, then its blocks
 *
 * Processes of different hosts send messages: a message between two hosts is one persistent send on one side and one
 * persistent receive on the other.  Nothing progresses by itself, so whoever waits looks again and again, asleep in
 * between.
 *
 * The life lock is a robust mutex that a process takes at open and gives back at close.  When a process dies, the kernel
 * marks the lock, so that a peer that tries it learns of the death, also across process-id namespaces and when the id has
 * been given to another process. */
#ifndef WEIR_ENGINE_TRANSPORT_MPI_MPI_SHARED_H
#define WEIR_ENGINE_TRANSPORT_MPI_MPI_SHARED_H

#include <mpi.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/futex.h"
#include "base/process.h"
#include "engine/transport/mpi/mpi_base.h"

/* Numbers in shared memory that go up by one with every run.  All start here, so that every long run goes through the wrap. */
enum { WEIR_MPI_FIRST = -256 };

/* ---- segments (mpi_segment.c) ------------------------------------------------------------------------------------ */

struct weir_mpi_segment {
    char *base; /* NULL: not mapped */
    size_t bytes;
};

/* Make a zeroed segment of `bytes` of this process and map those of all processes of this host: segments_out has
 * n_local entries.  Every process of the host calls. */
weir_status weir_mpi_segments_open(weir_transport *transport, size_t bytes, struct weir_mpi_segment *segments_out);
void weir_mpi_segments_close(struct weir_mpi_segment *segments, int n);

/* ---- transport ----------------------------------------------------------------------------------------------------- */

struct weir_mpi_lobby {
    pthread_mutex_t life;
    _Atomic uint32_t dead;    /* somebody has found the lock of a dead process */
    _Atomic uint32_t stopped; /* 0, or the status with which the process failed; WEIR_ERR_PEER when another one did first.
                                 The rest was written before */
    weir_status cause;        /* the status of the one that failed first */
    char message[WEIR_ERROR_MAX];
    struct weir_futex turn; /* of the exchange; the notes of two turns are kept */
    char notes[2][WEIR_EXCHANGE_MAX];
};

struct weir_transport {
    uint32_t process; /* that opened it (base/process.h) */
    struct weir_arena arena;
    struct weir_transport_config config;
    struct weir_transport_info info;
    int *host_of;       /* [n_ranks] */
    int *local_of;      /* [n_ranks]: index among the processes of its host */
    int *rank_of_local; /* [n_local] */
    MPI_Comm world, control, host; /* control: only notices of failure */
    struct weir_mpi_segment *lobbies; /* [n_local] */
    bool lobby_is_open; /* of all processes */
    uint32_t turn;
    weir_status failed; /* why nothing works any more */
    char failure[WEIR_ERROR_MAX];
    int culprit;        /* rank that failed first, as far as known; -1 */
};

/* ---- watching (mpi_watch.c) -------------------------------------------------------------------------------------- */

/* One wait, from its start. */
struct weir_mpi_watch {
    int64_t start_ns, looked_ns, nap_ns;
};

weir_status weir_mpi_life_take(weir_transport *transport);
void weir_mpi_life_give(weir_transport *transport);

/* The failure that makes waiting pointless, if any.  Looks after the peers when it is time to. */
weir_status weir_mpi_watch_look(weir_transport *transport, struct weir_mpi_watch *watch);
/* The same, after a short sleep, which gets longer each time. */
weir_status weir_mpi_watch_nap(weir_transport *transport, struct weir_mpi_watch *watch);

/* Wait for `request`, asleep between looks. */
weir_status weir_mpi_request_wait(weir_transport *transport, MPI_Request *request, const char *what);

/* Wait for a flag; `messages`: others wait for messages of this process, which must be moved meanwhile. */
weir_status weir_mpi_flag_await(weir_transport *transport, struct weir_futex *flag, uint32_t target, bool messages);

/* Let the library move messages, and take notices of failure. */
weir_status weir_mpi_move(weir_transport *transport);

/* The peers that have stopped, died or left; the first cause is recorded. */
weir_status weir_mpi_peers_look(weir_transport *transport);

/* Remember why nothing works any more (the first time), and return it. */
weir_status weir_mpi_fail(weir_transport *transport, weir_status status);

void weir_mpi_culprit_wait(weir_transport *transport);

/* ---- links ------------------------------------------------------------------------------------------------------- */

/* This process's end of a message to or from another host. */
struct weir_mpi_end {
    int event, peer, post_after;
    MPI_Request request; /* persistent */
    MPI_Datatype type;   /* MPI_DATATYPE_NULL: none of its own */
    bool active;         /* started, and not known to be complete */
    uint32_t run;        /* in which it was completed last */
};

struct weir_mpi_link {
    struct weir_arena arena;
    weir_transport *transport;
    MPI_Comm comm;
    const struct weir_mpi_link *home; /* whose blocks these are: its own, or another link's */
    int n_blocks, n_events;
    size_t *offsets;                   /* [n_ranks * n_blocks] in the rank's segment or mirror; SIZE_MAX: no bytes */
    struct weir_mpi_segment *segments; /* [n_local]: flags, then blocks when they are its own */
    struct weir_mpi_segment *mirrors;  /* [n_ranks]: of ranks on other hosts */
    size_t mirror_bytes;
    uint32_t run;
    int n_sends, n_receives;
    struct weir_mpi_end *sends, *receives; /* sends by event; receives by post_after */
    int *first_send;                       /* [n_events + 1] */
    int *receive_order, *first_receive;    /* receives of an event: order[first .. first of the next) */
    int next_post;
};

/* ---- mpi_common.c ------------------------------------------------------------------------------------------------- */

struct weir_mpi_lobby *weir_mpi_lobby(const weir_transport *transport, int local);
struct weir_futex *weir_mpi_link_flag(const struct weir_mpi_link *link, int rank, int event); /* of a rank on this host */
void *weir_mpi_memory(const struct weir_mpi_link *link, int rank, int block);

/* A code that an MPI function returned, as a status: WEIR_ERR_PEER with the library's text. */
weir_status weir_mpi_check(int code, const char *what);

/* ---- mpi_exchange.c ----------------------------------------------------------------------------------------------- */

/* WEIR_OK when every process of `comm` brings WEIR_OK; else the own failure, or one of the others'. */
weir_status weir_mpi_agree(weir_transport *transport, MPI_Comm comm, weir_status status);

/* ---- mpi_link.c, mpi_message.c, mpi_run.c ---------------------------------------------------------------------------- */
/* `memory`: the link that spec->memory names. */
weir_status weir_mpi_link_open(weir_transport *transport, const struct weir_link_spec *spec,
                               const struct weir_mpi_link *memory, struct weir_mpi_link **link_out);
void weir_mpi_link_close(struct weir_mpi_link *link);

weir_status weir_mpi_messages_open(struct weir_mpi_link *link, const struct weir_link_spec *spec);
void weir_mpi_messages_close(struct weir_mpi_link *link);

weir_status weir_mpi_begin(struct weir_mpi_link *link);
weir_status weir_mpi_wait(struct weir_mpi_link *link, int rank, int event);
weir_status weir_mpi_signal(struct weir_mpi_link *link, int event);
weir_status weir_mpi_passed(struct weir_mpi_link *link, int instruction);
weir_status weir_mpi_progress(struct weir_mpi_link *link);
weir_status weir_mpi_finish(struct weir_mpi_link *link);

#endif
