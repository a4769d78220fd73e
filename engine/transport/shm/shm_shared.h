/* What the files of the transports that share memory have in common: shm, whose processes are all on one host, and mpi, which
 * adds messages between hosts.
 *
 * Processes of one host meet in shared memory: each makes *segments* (memory files without a name, which end with the last
 * process that maps them, and are not limited by the size of /dev/shm) and maps those of its peers.
 *
 *     lobby segment   one per process, from open to close: its life lock, why it stopped, its notes of the exchange
 *     link segment    one per process and link: the flags of its events, then its blocks
 *
 * A *wire* is what goes between hosts.  shm has none; mpi's is in engine/transport/mpi.  Nothing here knows of MPI.
 *
 * The life lock is a robust mutex that a process takes at open and gives back at close.  When a process dies, the kernel
 * marks the lock, so that a peer that tries it learns of the death, also across process-id namespaces and when the id has
 * been given to another process. */
#ifndef WEIR_ENGINE_TRANSPORT_SHM_SHM_SHARED_H
#define WEIR_ENGINE_TRANSPORT_SHM_SHM_SHARED_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/futex.h"
#include "base/process.h"
#include "engine/transport/bootstrap/bootstrap.h"
#include "engine/transport/shm/shm_base.h"

/* Numbers in shared memory that go up by one with every run.  All start here, so that every long run goes through the wrap. */
enum { WEIR_SHM_FIRST = -256 };

enum { WEIR_SHM_CHUNK = 1 << 20 }; /* bytes of a broadcast that are under way at once, twice */

struct weir_shm_link;

/* ---- segments (shm_segment.c) ------------------------------------------------------------------------------------ */

struct weir_shm_segment {
    char *base; /* NULL: not mapped */
    size_t bytes;
};

/* Make a zeroed segment of `bytes` of this process and map those of all processes of this host: segments_out has
 * n_local entries.  Every process of the run calls. */
weir_status weir_shm_segments_open(weir_transport *transport, size_t bytes, struct weir_shm_segment *segments_out);
void weir_shm_segments_close(struct weir_shm_segment *segments, int n);

/* ---- the wire ------------------------------------------------------------------------------------------------------ */

/* A failure, as other hosts hear of it. */
struct weir_shm_notice {
    int32_t rank, status, cause; /* as in the lobby */
    char message[WEIR_ERROR_MAX];
};

/* Between hosts.  Every function may assume that there are several. */
struct weir_wire {
    weir_status (*move)(weir_transport *transport, struct weir_shm_notice *notice_out, bool *there_out); /* messages; a notice */
    void (*tell)(weir_transport *transport, const struct weir_shm_notice *notice);
    bool (*beat)(weir_transport *transport, const void *mine, size_t bytes, weir_heard_fn heard, void *context);
    weir_status (*exchange)(weir_transport *transport, const void *mine, size_t bytes, void *all_out);
    weir_status (*broadcast)(weir_transport *transport, int root, void *data, size_t bytes);

    /* Messages of a link; *state_out is its state, NULL when none starts or ends here.  close: `failed`, some may be under way
     * for ever; false: they are, and the link with all its memory stays as it is. */
    weir_status (*link_open)(struct weir_shm_link *link, const struct weir_link_spec *spec, void **state_out);
    bool (*link_close)(struct weir_shm_link *link, bool failed);
    weir_status (*begin)(struct weir_shm_link *link);
    weir_status (*wait)(struct weir_shm_link *link, int rank, int event);
    weir_status (*signal)(struct weir_shm_link *link, int event);
    weir_status (*passed)(struct weir_shm_link *link, int instruction);
    weir_status (*finish)(struct weir_shm_link *link);
};

/* ---- transport ----------------------------------------------------------------------------------------------------- */

struct weir_shm_lobby {
    pthread_mutex_t life;
    int32_t pid; /* whose it is; on host `name` */
    char name[64];
    _Atomic uint32_t dead;    /* somebody has found the lock of a dead process */
    _Atomic uint32_t stopped; /* 0, or the status with which the process failed; WEIR_ERR_PEER when another one did first.
                                 The rest was written before */
    weir_status cause;        /* the status of the one that failed first */
    char message[WEIR_ERROR_MAX];
    _Atomic uint32_t told;    /* of the host's first process: somebody has taken it on to tell of a lost process */
    struct weir_futex turn; /* of exchanges and broadcasts; what two turns carry is kept */
    char notes[2][WEIR_EXCHANGE_MAX];
    char chunks[2][WEIR_SHM_CHUNK];
    _Alignas(64) char block[]; /* config.block_bytes */
};

struct weir_transport {
    uint32_t process; /* that opened it (base/process.h) */
    struct weir_arena arena;
    struct weir_transport_config config;
    struct weir_transport_info info;
    struct weir_bootstrap *bootstrap;
    const struct weir_wire *wire; /* NULL: all processes are on one host */
    void *wire_state;
    int *local_of;      /* [n_ranks]: index among the processes of its host */
    int *rank_of_local; /* [n_local] */
    struct weir_shm_segment *lobbies; /* [n_local] */
    bool lobby_is_open; /* of all processes */
    uint32_t turn;
    _Atomic weir_status failed; /* why nothing works any more; set behind the message, and read by the rank's threads */
    char failure[WEIR_ERROR_MAX];
    _Atomic int64_t left_ns; /* since when this wait knows of a peer that has left; 0: of none */
    _Atomic int culprit; /* rank that failed first, as far as known; -1 */
    _Atomic bool heard_far;   /* a process of another host has said so */
    _Atomic bool is_stopping; /* a thread is in stop, or was */
};

/* Join over `bootstrap`, which the transport closes at its end and after a failure too; `wire` NULL: one host. */
weir_status weir_shm_join(const struct weir_transport_config *config, struct weir_bootstrap *bootstrap,
                          const struct weir_wire *wire, void *wire_state, weir_transport **transport_out);

/* ---- watching (shm_watch.c) -------------------------------------------------------------------------------------- */

/* One wait, from its start. */
struct weir_shm_watch {
    int64_t start_ns, looked_ns, nap_ns;
};

weir_status weir_shm_life_take(weir_transport *transport);
void weir_shm_life_give(weir_transport *transport);

/* The failure that makes waiting pointless, if any.  Looks after the peers when it is time to. */
weir_status weir_shm_watch_look(weir_transport *transport, struct weir_shm_watch *watch);
/* The same, after a short sleep, which gets longer each time. */
weir_status weir_shm_watch_nap(weir_transport *transport, struct weir_shm_watch *watch);

/* Wait for a flag; `messages`: others wait for messages of this process, which must be moved meanwhile. */
weir_status weir_shm_flag_await(weir_transport *transport, struct weir_futex *flag, uint32_t target, bool messages);

/* Let the wire move messages, and take notices of failure. */
weir_status weir_shm_move(weir_transport *transport);

/* Remember why nothing works any more (the first time), and return it. */
weir_status weir_shm_fail(weir_transport *transport, weir_status status);

void weir_shm_culprit_wait(weir_transport *transport);

/* ---- links (shm_link.c, shm_run.c) --------------------------------------------------------------------------------- */

struct weir_shm_link {
    struct weir_arena arena;
    weir_transport *transport;
    const struct weir_shm_link *home; /* whose blocks these are: its own, or another link's */
    int n_blocks, n_events;
    size_t *offsets;                   /* [n_ranks * n_blocks] in the rank's segment or mirror; SIZE_MAX: no bytes */
    struct weir_shm_segment *segments; /* [n_local]: flags, then blocks when they are its own */
    struct weir_shm_segment *mirrors;  /* [n_ranks]: of ranks on other hosts */
    size_t mirror_bytes;
    uint32_t run;
    void *wire_state; /* messages that start or end here; NULL: none */
};

/* `memory`: the link that spec->memory names. */
weir_status weir_shm_link_open(weir_transport *transport, const struct weir_link_spec *spec,
                               const struct weir_shm_link *memory, struct weir_shm_link **link_out);
void weir_shm_link_close(struct weir_shm_link *link);

weir_status weir_shm_begin(struct weir_shm_link *link);
weir_status weir_shm_wait(struct weir_shm_link *link, int rank, int event);
weir_status weir_shm_signal(struct weir_shm_link *link, int event);
weir_status weir_shm_passed(struct weir_shm_link *link, int instruction);
weir_status weir_shm_progress(struct weir_shm_link *link);
weir_status weir_shm_finish(struct weir_shm_link *link);

/* The functions of struct weir_transport_kind that every table here has: all but name, summary, open and close. */
#define WEIR_SHM_FUNCTIONS                                                                                             \
    .info = weir_shm_info, .stop = weir_shm_stop, .beat = weir_shm_beat, .block = weir_shm_block, .exchange = weir_shm_exchange,              \
    .broadcast = weir_shm_broadcast, .link_open = weir_shm_handle_open, .link_close = weir_shm_handle_close,           \
    .memory = weir_shm_handle_memory, .mirror_bytes = weir_shm_handle_mirror_bytes, .begin = weir_shm_handle_begin,    \
    .wait = weir_shm_handle_wait, .signal = weir_shm_handle_signal, .passed = weir_shm_handle_passed,                  \
    .progress = weir_shm_handle_progress, .finish = weir_shm_handle_finish
weir_status weir_shm_handle_open(weir_transport *transport, const struct weir_link_spec *spec, weir_link **link_out);
void weir_shm_handle_close(weir_link *link);
void *weir_shm_handle_memory(const weir_link *link, int rank, int block);
size_t weir_shm_handle_mirror_bytes(const weir_link *link);
weir_status weir_shm_handle_begin(weir_link *link);
weir_status weir_shm_handle_wait(weir_link *link, int rank, int event);
weir_status weir_shm_handle_signal(weir_link *link, int event);
weir_status weir_shm_handle_passed(weir_link *link, int instruction);
weir_status weir_shm_handle_progress(weir_link *link);
weir_status weir_shm_handle_finish(weir_link *link);

/* ---- shm_common.c ------------------------------------------------------------------------------------------------- */

struct weir_shm_lobby *weir_shm_lobby(const weir_transport *transport, int local);
struct weir_futex *weir_shm_link_flag(const struct weir_shm_link *link, int rank, int event); /* of a rank on this host */
void *weir_shm_memory(const struct weir_shm_link *link, int rank, int block);
bool weir_shm_is_here(const weir_transport *transport, int rank); /* on this host */

/* ---- shm_exchange.c ----------------------------------------------------------------------------------------------- */

/* WEIR_OK when every process brings WEIR_OK; else the own failure, or one of the others'. */
weir_status weir_shm_agree(weir_transport *transport, weir_status status);

#endif
