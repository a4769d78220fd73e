/* What the files of the stand-in for NCCL share.
 *
 * Local state, communicators and what they have launched, is guarded by fake.lock.  What ranks share lies in a file that all of
 * them map; it starts as zeros, every field has one writer, and a bell tells of every change:
 *
 *     member[rank]        who it is, where it is in its collectives, what it gives to the present one
 *     channel[from, to]   one piece of the present message */
#ifndef WEIR_TESTS_FAKE_COMM_H
#define WEIR_TESTS_FAKE_COMM_H

#include <nccl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fake_nccl.h"
#include "tests/stand_ins/fake_cuda/fake_state.h"

enum { FAKE_PIECE = 1 << 16, FAKE_MOST_RANKS = 64 };

/* ---- shared by the ranks ------------------------------------------------------------------------------------------- */

enum fake_call_kind {
    FAKE_SEND, FAKE_RECV, FAKE_ALL_REDUCE, FAKE_REDUCE, FAKE_BROADCAST, FAKE_REDUCE_SCATTER, FAKE_ALL_GATHER
};

struct fake_call {
    enum fake_call_kind kind;
    uint64_t count;
    ncclDataType_t type;
    int root; /* of a collective; -1: it has none */
};

enum fake_presence { FAKE_ABSENT, FAKE_JOINED, FAKE_FINALIZED };

struct fake_member {
    _Atomic int presence, connects; /* connects: the ways of collectives that it has come to */
    int device;
    char host[64];
    _Atomic uint64_t phase;    /* rises; all ranks go through the same ones */
    struct fake_call posted[2]; /* the present collective and the next: nobody is further ahead */
    _Atomic uint64_t announced_at; /* number of the collective that it has come to connect, from 1 */
    struct fake_call announced;
    _Alignas(64) char piece[FAKE_PIECE];
};

struct fake_channel {
    _Atomic int sender_came, receiver_came; /* to their first message */
    _Atomic uint64_t n_sends, n_recvs;      /* begun */
    _Atomic uint64_t n_written, n_read;     /* bytes of all messages */
    struct fake_call send[2], recv[2];      /* the present message and the next */
    _Alignas(64) char piece[FAKE_PIECE];
};

struct fake_shared {
    _Alignas(64) _Atomic uint32_t bell;
    _Atomic int n_ranks; /* as the first rank said */
    _Atomic int broken;  /* 0 no, 1 somebody writes why, 2 yes */
    char reason[FAKE_REASON];
};

/* ---- of this process ----------------------------------------------------------------------------------------------- */

struct fake_op {
    struct fake_call call;
    int peer;
    const char *from;
    char *to;
    cudaStream_t stream;
    int stage;
    bool done;
    uint64_t number, base, phase, piece, hash;
};

/* What one group launches on one communicator. */
struct fake_work {
    struct fake_work *next; /* launched later */
    ncclComm_t comm;
    bool running, stuck;
    int n_ops;
    struct fake_op ops[];
};

enum fake_pending { FAKE_NOTHING, FAKE_INIT, FAKE_LAUNCH, FAKE_FINALIZE };
enum fake_life { FAKE_ALIVE, FAKE_ABORTED, FAKE_DESTROYED };

struct ncclComm {
    struct ncclComm *next; /* all there ever were: a use after the end is told from one of garbage */
    _Atomic int life;
    int rank, n_ranks, device;
    bool blocking, finalized;
    int file;
    ncclUniqueId name; /* of the file, which has it until all ranks have come */
    struct fake_shared *shared;
    size_t mapped;
    enum fake_pending pending;
    int n_polls;               /* to answer with ncclInProgress */
    struct fake_work *waiting; /* for its ranks to connect */
    int n_works;               /* launched and not done */
    uint64_t n_launches;
    int collects; /* ways */
    bool sends[FAKE_MOST_RANKS], receives[FAKE_MOST_RANKS]; /* connected */
    uint64_t n_collectives, n_called; /* begun, launched */
    pthread_t user;
    bool in_use;
    ncclResult_t error;
    char reason[FAKE_REASON];
};

static inline struct fake_member *fake_member(const struct ncclComm *comm, int rank)
{
    return (struct fake_member *)(void *)(comm->shared + 1) + rank;
}

static inline struct fake_channel *fake_channel(const struct ncclComm *comm, int from, int to)
{
    return (struct fake_channel *)(void *)fake_member(comm, comm->n_ranks) + from * comm->n_ranks + to;
}

/* ---- fake_modes.c -------------------------------------------------------------------------------------------------- */
extern struct weir_fake_nccl_modes fake_modes; /* guarded by fake.lock */

/* With the lock: the beginning of every call that can fail. */
ncclResult_t fake_nccl_enter(void);
/* What becomes of the next launch: modes `async` and `silent`. */
enum fake_fate { FAKE_GOES_WELL, FAKE_FAILS, FAKE_NEVER_ENDS };
enum fake_fate fake_launch_fate(void);
void fake_pause_maybe(void); /* without the lock; mode `random` */

/* ---- fake_segment.c ------------------------------------------------------------------------------------------------ */

/* Map what `id` names and take the place of comm->rank.  ncclSystemError, or ncclInvalidUsage with comm->reason. */
ncclResult_t fake_segment_join(struct ncclComm *comm, const ncclUniqueId *id);
void fake_segment_leave(struct ncclComm *comm);

void fake_ring(struct fake_shared *shared);
void fake_listen(struct fake_shared *shared, uint32_t bell); /* returns when it has rung since, or after some milliseconds */

/* Whether all ranks have come this far. */
bool fake_all_present(const struct ncclComm *comm, enum fake_presence presence);

/* The rank of a peer that has joined and is gone without finalizing; -1: none. */
int fake_lost_peer(const struct ncclComm *comm);

/* A mistake that concerns all ranks: the first one counts. */
void fake_shared_break(struct ncclComm *comm, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool fake_shared_broken(struct ncclComm *comm); /* then shared->reason is whole */

/* ---- fake_comm.c, with the lock ------------------------------------------------------------------------------------ */

/* A mistake of this rank: its communicator is of no use from now on.  Returns ncclInvalidUsage. */
ncclResult_t fake_misuse(struct ncclComm *comm, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A call on it failed, which only ncclInvalidArgument survives. */
void fake_comm_fail(struct ncclComm *comm, ncclResult_t error);

/* ncclSuccess when `comm` may be used by this thread now. */
ncclResult_t fake_comm_check(struct ncclComm *comm, const char *what);

/* Go on with what is pending: ncclInProgress, ncclSuccess or the error. */
ncclResult_t fake_comm_poll(struct ncclComm *comm);
ncclResult_t fake_comm_wait(struct ncclComm *comm); /* until it is no longer ncclInProgress; gives the lock away meanwhile */

/* ---- fake_group.c -------------------------------------------------------------------------------------------------- */
bool fake_grouping(void);
void fake_group_add_init(struct ncclComm *comm);

/* ---- fake_work.c, with the lock ------------------------------------------------------------------------------------ */

/* Tell the peers that this rank has come to connect; true: all were connected before.  Then: whether they have come too. */
bool fake_work_announce(struct fake_work *work);
bool fake_work_connected(struct fake_work *work);

void fake_work_issue(struct fake_work *work); /* to its streams */
bool fake_works_running_beside(const struct ncclComm *comm); /* on its GPU, for other communicators */
bool fake_works_running(const struct ncclComm *comm);

/* ---- fake_progress.c: without the lock; whether something has moved ------------------------------------------------ */
bool fake_op_progress(struct ncclComm *comm, struct fake_op *op);

/* An operation may write its result as soon as its stream gets there, and read what it is given until it is done. */
void fake_op_begin(struct ncclComm *comm, struct fake_op *op);
void fake_op_end(struct ncclComm *comm, const struct fake_op *op); /* a mistake of all when that has changed */

/* A mistake of all, unless rank `other` calls the same collective number `number`. */
void fake_calls_compare(struct ncclComm *comm, uint64_t number, const struct fake_call *mine, int other,
                        const struct fake_call *theirs);
const char *fake_call_name(enum fake_call_kind kind);
const char *fake_type_name(ncclDataType_t type);
size_t fake_type_bytes(ncclDataType_t type); /* 0: not supported here */

#endif
