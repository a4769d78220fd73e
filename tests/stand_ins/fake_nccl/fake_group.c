/* Calls of the stand-in: what is wrong with them, groups, launches. */
#include <stdlib.h>
#include <string.h>

#include "fake_comm.h"

enum { MOST_OPS = 256 };

static __thread struct {
    int depth, n_ops, n_inits;
    ncclResult_t error;
    struct {
        struct ncclComm *comm;
        struct fake_op op;
    } ops[MOST_OPS];
    struct ncclComm *inits[MOST_OPS];
} group;

/* Who launches on a GPU; guarded by fake.lock. */
static struct {
    bool busy;
    pthread_t thread;
} issuers[WEIR_FAKE_DEVICES];

bool fake_grouping(void)
{
    return group.depth > 0;
}

void fake_group_add_init(struct ncclComm *comm)
{
    if (group.n_inits < MOST_OPS)
        group.inits[group.n_inits++] = comm;
}

/* ---- what is wrong with a call ------------------------------------------------------------------------------------- */

static bool overlap(const char *a, size_t a_bytes, const char *b, size_t b_bytes)
{
    return a < b + b_bytes && b < a + a_bytes;
}

static ncclResult_t buffer_check(struct ncclComm *comm, const char *what, const char *buffer, size_t bytes)
{
    int device = FAKE_HOST;
    if (bytes == 0)
        return ncclSuccess;
    if (!fake_find(buffer, bytes, &device) || device == FAKE_HOST)
        return fake_misuse(comm, "%s: %zu bytes at %p are not within one block of device memory", what, bytes,
                           (const void *)buffer);
    if (device != comm->device)
        return fake_misuse(comm, "%s: a buffer is memory of cuda:%d, the communicator is one of cuda:%d", what, device,
                           comm->device);
    return ncclSuccess;
}

static ncclResult_t buffers_check(struct ncclComm *comm, const struct fake_op *op)
{
    const char *what = fake_call_name(op->call.kind), *in_place = op->from;
    size_t bytes = op->call.count * fake_type_bytes(op->call.type), all = bytes * (size_t)comm->n_ranks;
    size_t from = op->call.kind == FAKE_RECV || (op->call.kind == FAKE_BROADCAST && op->call.root != comm->rank) ? 0 : bytes;
    size_t to = op->call.kind == FAKE_SEND || (op->call.kind == FAKE_REDUCE && op->call.root != comm->rank) ? 0 : bytes;
    if (op->call.kind == FAKE_REDUCE_SCATTER)
        from = all, in_place = op->from + bytes * (size_t)comm->rank;
    if (op->call.kind == FAKE_ALL_GATHER)
        to = all, in_place = op->from - bytes * (size_t)comm->rank;
    ncclResult_t result = buffer_check(comm, what, op->from, from);
    if (!result)
        result = buffer_check(comm, what, op->to, to);
    if (!result && from && to && op->to != in_place && overlap(op->from, from, op->to, to))
        result = fake_misuse(comm, "%s: its buffers overlap, and not as NCCL has them in place", what);
    return result;
}

static ncclResult_t thread_check(struct ncclComm *comm, const char *what)
{
    if (!issuers[comm->device].busy || pthread_equal(issuers[comm->device].thread, pthread_self()))
        return ncclSuccess;
    return fake_misuse(comm, "%s: two threads launch on communicators of cuda:%d at once", what, comm->device);
}

static ncclResult_t call_check(struct ncclComm *comm, const struct fake_op *op, ncclRedOp_t sum)
{
    const char *what = fake_call_name(op->call.kind);
    ncclResult_t result = fake_comm_check(comm, what);
    if (!result)
        result = thread_check(comm, what);
    if (result)
        return result;
    bool collective = op->call.kind > FAKE_RECV;
    int other = collective ? op->call.root : op->peer;
    if (other >= comm->n_ranks || other < (collective ? -1 : 0) || !fake_type_bytes(op->call.type) || sum != ncclSum ||
        op->call.count > (size_t)1 << 40) {
        fake_reason_set("%s: %llu of type %d, rank %d of %d, operator %d: not valid, or not in the stand-in", what,
                        (unsigned long long)op->call.count, (int)op->call.type, other, comm->n_ranks, (int)sum);
        return ncclInvalidArgument;
    }
    if (!op->stream)
        return fake_misuse(comm, "%s: the default stream is not in the stand-in", what);
    if (op->stream->device != comm->device)
        return fake_misuse(comm, "%s: the stream is one of cuda:%d, the communicator of cuda:%d", what, op->stream->device,
                           comm->device);
    return buffers_check(comm, op);
}

/* ---- launching ----------------------------------------------------------------------------------------------------- */

static struct fake_work *work_make(struct ncclComm *comm)
{
    struct fake_work *work = calloc(1, sizeof *work + (size_t)group.n_ops * sizeof *work->ops);
    if (!work)
        abort();
    work->comm = comm;
    for (int i = 0; i < group.n_ops; i++)
        if (group.ops[i].comm == comm)
            work->ops[work->n_ops++] = group.ops[i].op;
    return work;
}

/* At once when its ranks are connected, but for every third launch. */
static ncclResult_t launch(struct ncclComm *comm)
{
    comm->waiting = work_make(comm);
    comm->pending = FAKE_LAUNCH;
    comm->n_polls = !fake_work_announce(comm->waiting) ? 2 : ++comm->n_launches % 3 == 0 ? 1 : 0;
    fake_ring(comm->shared);
    if (comm->blocking)
        return fake_comm_wait(comm);
    return comm->n_polls ? ncclInProgress : fake_comm_poll(comm);
}

static ncclResult_t worse(ncclResult_t a, ncclResult_t b)
{
    return a && a != ncclInProgress ? a : b ? b : a;
}

static ncclResult_t group_launch(void)
{
    ncclResult_t result = ncclSuccess;
    for (int i = 0; i < group.n_inits; i++)
        result = worse(result, group.inits[i]->blocking ? fake_comm_wait(group.inits[i]) : ncclInProgress);
    for (int i = 0; i < group.n_ops; i++) {
        bool first = true;
        for (int j = 0; j < i && first; j++)
            first = group.ops[j].comm != group.ops[i].comm;
        if (first)
            result = worse(result, launch(group.ops[i].comm));
    }
    return result;
}

static void uses_set(bool in_use)
{
    for (int i = 0; i < group.n_ops; i++) {
        struct ncclComm *comm = group.ops[i].comm;
        comm->in_use = issuers[comm->device].busy = in_use;
        comm->user = issuers[comm->device].thread = pthread_self();
    }
}

/* With the lock. */
static ncclResult_t group_end(void)
{
    ncclResult_t result = group.error ? group.error : group_launch();
    uses_set(false);
    group.n_ops = group.n_inits = 0;
    group.error = ncclSuccess;
    return result;
}

ncclResult_t ncclGroupStart(void)
{
    pthread_mutex_lock(&fake.lock);
    ncclResult_t result = fake_nccl_enter();
    group.depth += !result;
    pthread_mutex_unlock(&fake.lock);
    return result;
}

ncclResult_t ncclGroupEnd(void)
{
    fake_pause_maybe();
    pthread_mutex_lock(&fake.lock);
    ncclResult_t result = fake_nccl_enter();
    if (group.depth == 0)
        result = fake_misuse(NULL, "ncclGroupEnd: no group was started");
    else if (--group.depth == 0) {
        group.error = group.error ? group.error : result;
        result = group_end();
    }
    pthread_mutex_unlock(&fake.lock);
    return result;
}

static ncclResult_t call(struct ncclComm *comm, struct fake_op op, ncclRedOp_t sum)
{
    pthread_mutex_lock(&fake.lock);
    ncclResult_t result = fake_nccl_enter();
    if (result)
        fake_comm_fail(comm, result);
    else
        result = call_check(comm, &op, sum);
    if (!result && group.n_ops == MOST_OPS)
        result = fake_misuse(comm, "%s: more than %d operations in a group", fake_call_name(op.call.kind), MOST_OPS);
    if (!result) {
        group.ops[group.n_ops].comm = comm;
        group.ops[group.n_ops++].op = op;
        uses_set(true);
    }
    pthread_mutex_unlock(&fake.lock);
    fake_pause_maybe();
    pthread_mutex_lock(&fake.lock);
    if (group.depth > 0)
        group.error = group.error ? group.error : result;
    else
        result = result ? result : group_end();
    pthread_mutex_unlock(&fake.lock);
    return result;
}

/* ---- the functions ------------------------------------------------------------------------------------------------- */

static struct fake_op op_make(enum fake_call_kind kind, const void *from, void *to, size_t count, ncclDataType_t type, int root,
                              int peer, cudaStream_t stream)
{
    return (struct fake_op){.call = {kind, count, type, root}, .peer = peer, .from = from, .to = to, .stream = stream};
}

ncclResult_t ncclSend(const void *from, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream)
{
    return call(comm, op_make(FAKE_SEND, from, NULL, count, type, -1, peer, stream), ncclSum);
}

ncclResult_t ncclRecv(void *to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm, cudaStream_t stream)
{
    return call(comm, op_make(FAKE_RECV, NULL, to, count, type, -1, peer, stream), ncclSum);
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream)
{
    return call(comm, op_make(FAKE_ALL_REDUCE, from, to, count, type, -1, -1, stream), op);
}

ncclResult_t ncclReduce(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t op, int root,
                        ncclComm_t comm, cudaStream_t stream)
{
    return call(comm, op_make(FAKE_REDUCE, from, to, count, type, root, -1, stream), op);
}

ncclResult_t ncclBroadcast(const void *from, void *to, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                           cudaStream_t stream)
{
    return call(comm, op_make(FAKE_BROADCAST, from, to, count, type, root, -1, stream), ncclSum);
}

ncclResult_t ncclReduceScatter(const void *from, void *to, size_t count, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream)
{
    return call(comm, op_make(FAKE_REDUCE_SCATTER, from, to, count, type, -1, -1, stream), op);
}

ncclResult_t ncclAllGather(const void *from, void *to, size_t count, ncclDataType_t type, ncclComm_t comm, cudaStream_t stream)
{
    return call(comm, op_make(FAKE_ALL_GATHER, from, to, count, type, -1, -1, stream), ncclSum);
}
