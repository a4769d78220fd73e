/* Transports: how ranks that live in different processes hand over.
 *
 * `local`: all ranks are threads of this process.  A producer's last kernel writes straight into the receiver's slot; the
 * device's events order the two, so nothing is left to send and the kind has no functions.  Kinds that cross processes are
 * known by name, so that a build without them says which option it lacks.
 *
 * A kind that crosses processes has two objects:
 *
 *     transport   this process's place in the run: how many processes there are, on which hosts, and whether all are alive
 *     link        memory and events of one program, shared by all processes
 *
 * Memory.  Every rank has `n_blocks` blocks, the same list on every process.  weir_transport_kind.memory() gives an address
 * for every block of every rank: the rank's own, that of a peer on this host (the same memory), or a *mirror* of a peer's
 * on another host (memory of this process that starts empty and costs only what is touched).  So a rank writes into its
 * neighbour's slot and reads its neighbour's sums by address, wherever the neighbour runs.
 *
 * Events.  Every rank has events 0 .. n_events-1; it signals each at most once between begin() and finish(), and any rank
 * may wait for it.  What the signaller has written, the waiter reads.  A *message* says what that is, for a waiter on another
 * host:
 *
 *     signaller's address map                       waiter's address map
 *     mirror of the waiter's slot 2   ── message ─▶ slot 2                  region.owner: the waiter
 *     own gradient of wte             ── message ─▶ mirror of that gradient region.owner: the signaller
 *
 * On one host nothing is copied: a signal is a store and, when somebody sleeps, a futex wake.
 *
 * A run of a program, on every process:
 *
 *     begin(link)
 *     per instruction i:  wait(link, rank, event)...   kernels, progress(link) between them   signal(link, event)
 *                         passed(link, i)
 *     finish(link)
 *     exchange(transport, ...)        nobody begins the next run before all have finished this one
 *
 * Device-side kinds (`device_side`).  Blocks are device memory.  The functions of a run enqueue on the rank's stream and
 * return; the waiting happens on the device.  So the thread that issues the rank's instructions calls them, in the order of all ranks' instructions:
 *
 *     begin(link)
 *     per instruction i of this rank:   wait(link, rank, event)...  claim(link, event)   kernels   signal(link, event)
 *                                       passed(link, i)
 *     sync of the rank's stream, with look(link) again and again meanwhile
 *     finish(link)
 *
 * What a message moves has memory on both sides, so that nobody waits for a peer before it writes: the signaller writes a mirror
 * (or its own block) and the message is copied out of it.  claim() makes the stream wait until the message that was sent from
 * there before has left.  Sums over replicas and over all ranks are collectives, not messages: collect() enqueues one behind
 * what the stream has, collected() makes the stream wait for those of a group.  Own blocks are the engine's: place() names
 * them, and only then are mirrors made.
 *
 * Threads.  One thread at a time per transport; the thread that runs the rank's instructions may be another one than the
 * thread that begins and finishes.
 *
 * fork().  A child is no process of the run: what it calls returns WEIR_ERR_INVALID, close() and stop() do nothing, and MPI is
 * neither used nor ended by it.
 *
 * Failure.  A process that fails says so with stop().  Waits, exchange and broadcast look every WEIR_TRANSPORT_LOOK_NS
 * after their peers: one that has stopped makes them return the status with which it did, and the message names the rank and
 * repeats what it said; one that has died or has left, WEIR_ERR_PEER; nothing at all for `timeout_ns`, WEIR_ERR_TIMEOUT.
 * After such a failure only stop() and close() may follow. */
#ifndef WEIR_ENGINE_TRANSPORT_TRANSPORT_H
#define WEIR_ENGINE_TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "engine/device/device.h"
#include "include/weir/op.h"

typedef struct weir_transport weir_transport;
typedef struct weir_link weir_link;

enum { WEIR_EXCHANGE_MAX = 512 }; /* bytes that each process can give to an exchange */
enum { WEIR_BEAT_MAX = 256 };     /* and to a sign of life */

/* What has come from `rank` of another host. */
typedef void (*weir_heard_fn)(void *context, int rank, const void *theirs);

#define WEIR_TRANSPORT_LOOK_NS INT64_C(100000000)       /* between two looks after the peers: 0.1 s */
#define WEIR_TRANSPORT_GRACE_NS INT64_C(3000000000)     /* a process waits this long for the end of a peer that failed first */
#define WEIR_TRANSPORT_TIMEOUT_NS INT64_C(600000000000) /* ten minutes in one wait */

struct weir_transport_config {
    int n_threads;      /* with which each process computes: decides whether waits spin before they sleep */
    int64_t timeout_ns; /* of one wait; 0: none.  With `look` it holds only while processes come up, and for messages on devices */
    int64_t message_ns; /* of those, from the second run of a link on: they may be silent for so long, and for 20 times the longest
                           silence so far; 0: as in the first one, timeout_ns */

    /* Asked at every look after the peers; what is not WEIR_OK ends the wait.  NULL: nobody. */
    weir_status (*look)(void *context);
    void *look_context;
    size_t block_bytes; /* of memory that every process has for itself and those of its host see; zeroed */
    int64_t communicator; /* whose processes these are, as weir_transport_communicator gives it; 0: all that were started */
};

/* An MPI communicator as a number that is never 0: its Fortran handle, and a mark above. */
enum { WEIR_COMMUNICATOR_NULL = -1 }; /* the handle of MPI_COMM_NULL */
static inline int64_t weir_communicator_of(int handle)
{
    return INT64_C(1) << 32 | (uint32_t)handle;
}
static inline int weir_communicator_handle(int64_t communicator)
{
    return (int)(uint32_t)(uint64_t)communicator;
}

struct weir_transport_info {
    int rank, n_ranks;           /* of the processes of the run */
    int host, n_hosts;
    const int *host_of;          /* [n_ranks] */
    int local_rank, n_local;     /* among the processes of this host */
    bool crowded;                /* the processes of this host together have more threads than cores */
    bool is_told;                /* after stop(): a process was lost, and another one than this tells the user.  On each host one at
                                    most is left to */
};

/* Bytes that the signaller of a message's event has written and the waiter will read. */
struct weir_message_region {
    int owner, block; /* whose block, and which: the waiter's or the signaller's */
    size_t offset, bytes;
};

/* Rank `to` waits for `event` of rank `from`.  Each (event, from, to) stands in the list once at most. */
struct weir_message {
    int event, from, to;
    int post_after; /* the waiter's instruction after which the regions are free to be received into; -1: all the time */
    int turn_after; /* device-side kinds: the waiter's last instruction before the signaller's, in the order of all */
    int n_regions;
    const struct weir_message_region *regions;
};

/* A directed pair of ranks. */
struct weir_transport_edge {
    int from, to;
};

/* The same on every process; device-side the messages are those of the own rank, and device and stream its own.
 * Borrowed until link_open() returns. */
struct weir_link_spec {
    const weir_link *memory;  /* the link whose blocks these are; NULL: they are made */
    int n_blocks;
    const size_t *block_bytes; /* [n_ranks * n_blocks], rank by rank; not read device-side, see place() */
    int n_events;             /* of each rank */
    int n_messages;           /* those within one host may be left out; device-side all that start or end here, by turn */
    const struct weir_message *messages;

    /* device-side kinds only */
    const struct weir_device_kind *kind;
    weir_device *device;
    weir_stream *stream;      /* the rank's */
    int n_edges;              /* all pairs of ranks between which there are messages */
    const struct weir_transport_edge *edges;
    int n_groups, group_size; /* of ranks that hold the same parameters; group_size 1: no collectives among them */
    const int *groups;        /* [n_groups * group_size] ranks */
};

/* What collect() does with each span's `n` elements, among the ranks of a group or all. */
enum weir_collective {
    WEIR_COLLECT_SUM,       /* everybody has the sum, at `to` */
    WEIR_COLLECT_SUM_ROOT,  /* only member `root` of the group does */
    WEIR_COLLECT_BROADCAST, /* everybody has the root's */
};

enum weir_collective_scope { WEIR_COLLECT_GROUP, WEIR_COLLECT_ALL, WEIR_COLLECT_SCOPES };

struct weir_collective_span {
    int root; /* index among the members of the group */
    const void *from;
    void *to; /* may be `from` */
    size_t n;
};

struct weir_transport_kind {
    const char *name, *summary;
    bool one_process; /* all ranks live in the calling process; the functions below are NULL */
    bool device_side; /* on device memory, the calls of a run enqueue; else on memory of the host */

    /* Start the library that joins processes, which the first open does otherwise.  Blocks until all that the launcher started have
     * called, config->timeout_ns at most: WEIR_ERR_TIMEOUT.  NULL: there is nothing to start. */
    weir_status (*start)(const struct weir_transport_config *config);

    /* Join the other processes, those of a communicator or all that the launcher started.  Blocks until all have come.
     * WEIR_ERR_UNSUPPORTED: the library cannot do what is needed.  WEIR_ERR_INVALID: a setting that makes no sense. */
    weir_status (*open)(const struct weir_transport_config *config, weir_transport **transport_out);
    const struct weir_transport_info *(*info)(const weir_transport *transport);

    /* Tell all others that this process has failed, with the calling thread's last error.  Never blocks for long; any
     * number of times, the first one counts. */
    void (*stop)(weir_transport *transport, weir_status status);

    /* Signs of life between hosts.  From one thread, any, beside those that run a step: gives `bytes` to the first process of
     * every other host (mine NULL: gives nothing), and hands over what has come since the last call.  A step makes no call for
     * it.  Never blocks for long.  false: another thread was inside the library all the time, nothing was given or taken. */
    bool (*beat)(weir_transport *transport, const void *mine, size_t bytes, weir_heard_fn heard, void *context);

    /* Leave.  After a failure of another process it waits for the end of that one, WEIR_TRANSPORT_GRACE_NS at most, so that
     * the process that failed first is the first to end.  NULL is fine. */
    void (*close)(weir_transport *transport);

    /* The block of `rank`, 64-byte aligned; NULL: on another host.  There until close. */
    void *(*block)(const weir_transport *transport, int rank);

    /* Every process gives `bytes` (at most WEIR_EXCHANGE_MAX) and gets those of all, rank by rank.  Nobody returns before
     * all have called; 0 bytes make a barrier. */
    weir_status (*exchange)(weir_transport *transport, const void *mine, size_t bytes, void *all_out);

    /* Every process gets the `bytes` that `root` has at `data`. */
    weir_status (*broadcast)(weir_transport *transport, int root, void *data, size_t bytes);

    /* Share the memory and the events that `spec` lists; every process calls, with the same list.  Memory is zero.
     * WEIR_ERR_NOMEM.  WEIR_ERR_UNSUPPORTED: more messages between two ranks than the library has tags. */
    weir_status (*link_open)(weir_transport *transport, const struct weir_link_spec *spec, weir_link **link_out);
    void (*link_close)(weir_link *link); /* NULL is fine */

    /* Where this process finds the block, 64-byte aligned; NULL: it has no bytes. */
    void *(*memory)(const weir_link *link, int rank, int block);
    size_t (*mirror_bytes)(const weir_link *link); /* of mirrors that this process will have touched */

    weir_status (*begin)(weir_link *link);
    weir_status (*wait)(weir_link *link, int rank, int event);
    weir_status (*signal)(weir_link *link, int event);      /* an event of this process's rank */
    weir_status (*passed)(weir_link *link, int instruction); /* rising numbers */
    weir_status (*progress)(weir_link *link);               /* move messages; free when all ranks are on one host */
    weir_status (*finish)(weir_link *link);

    /* ---- device-side kinds only; NULL otherwise ---- */

    /* Bytes of device memory that the library took for its buffers when the links were connected, measured. */
    size_t (*buffer_bytes)(const weir_link *link);

    /* The rank's own blocks ([n_blocks], NULL where there is none), once all links are open: makes the mirrors. */
    weir_status (*place)(weir_link *link, void *const *blocks);

    /* The regions that go with `event` are written by what is enqueued from now on. */
    weir_status (*claim)(weir_link *link, int event);

    weir_status (*collect)(weir_link *link, enum weir_collective_scope scope, enum weir_collective what,
                           enum weir_dtype dtype, int n_spans, const struct weir_collective_span *spans);
    weir_status (*collected)(weir_link *link, enum weir_collective_scope scope);

    /* What is wrong with the library or the peers, if anything: WEIR_ERR_PEER, WEIR_ERR_DEVICE, or WEIR_ERR_TIMEOUT when no
     * message has come for `timeout_ns`.  Never blocks for long. */
    weir_status (*look)(weir_link *link);

    /* The next message of this run to come.  false: all that were asked for are there. */
    bool (*awaited)(const weir_link *link, int *rank_out, int *event_out);

    /* Nothing will come any more: end all that is enqueued, whatever state the peers are in, so that the stream can be
     * synchronised and closed.  false: it could not be ended within WEIR_TRANSPORT_GRACE_NS, and neither the device nor
     * the link may be touched any more.  Any number of times. */
    bool (*abort)(weir_link *link);
};

#ifdef __cplusplus
extern "C" {
#endif

extern const struct weir_transport_kind weir_transport_shm;            /* processes that `weir launch` started */
extern const struct weir_transport_kind weir_transport_mpi;            /* in builds with MPI */
extern const struct weir_transport_kind weir_transport_nccl;           /* in the plugin of device cuda */

/* The kinds that can be had here, from 0 on; NULL beyond the last. */
const struct weir_transport_kind *weir_transport_kind_at(int i);

/* The kind called `name`; NULL: `local`.  WEIR_ERR_USAGE: unknown (with a suggestion), or not in this build. */
weir_status weir_transport_find(const char *name, const struct weir_transport_kind **kind_out);

/* This process has started a transport's library and opens no transport: it ends without waiting for the others.  Nothing else changes
 * when there is one. */
void weir_transport_forgo(void);

/* The communicator with this Fortran handle, for weir_transport_config.  WEIR_ERR_UNSUPPORTED: a build without MPI, or MPI with too
 * low a level of threads.  WEIR_ERR_USAGE: MPI was not started, or was finalised.  WEIR_ERR_INVALID: no communicator, or an
 * inter-communicator. */
weir_status weir_transport_communicator(int handle, int64_t *communicator_out);

/* The name of the kind for ranks on `device` (text as weir_device_list takes it) in a program whose processes are those that
 * a launcher starts: when launcher.h says that there are several, that which moves the device's memory between them, else
 * "local".  Reads the environment.  WEIR_ERR_USAGE: a device that is not there, variables of a launcher that contradict
 * each other, or a build without that kind: the variable that says how many processes there are is named. */
weir_status weir_transport_launched(const char *device, const char **name_out);

#ifdef __cplusplus
}
#endif

#endif
