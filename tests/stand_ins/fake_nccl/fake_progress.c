/* Operations of the stand-in, one move at a time: messages and collectives. */
#include <stdio.h>
#include <string.h>

#include "fake_comm.h"

/* ---- types --------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    size_t bytes;
} types[ncclNumTypes] = {
    [ncclInt8] = {"int8", 1}, [ncclUint8] = {"uint8", 1}, [ncclInt32] = {"int32", 4}, [ncclFloat32] = {"float32", 4},
    [ncclFloat64] = {"float64", 8}, [ncclBfloat16] = {"bfloat16", 2}};

const char *fake_type_name(ncclDataType_t type)
{
    return (unsigned)type < ncclNumTypes && types[type].name ? types[type].name : "?";
}

size_t fake_type_bytes(ncclDataType_t type)
{
    return (unsigned)type < ncclNumTypes ? types[type].bytes : 0;
}

const char *fake_call_name(enum fake_call_kind kind)
{
    static const char *const names[] = {"ncclSend", "ncclRecv", "ncclAllReduce", "ncclReduce", "ncclBroadcast",
                                        "ncclReduceScatter", "ncclAllGather"};
    return names[kind];
}

static uint16_t bfloat16_add(uint16_t a, uint16_t b)
{
    uint32_t x = (uint32_t)a << 16, y = (uint32_t)b << 16;
    float sum, other;
    memcpy(&sum, &x, 4);
    memcpy(&other, &y, 4);
    sum += other;
    memcpy(&x, &sum, 4);
    if (sum != sum)
        return 0x7fff;
    return (uint16_t)((x + 0x7fff + (x >> 16 & 1)) >> 16);
}

#define ADD(T)                                        \
    for (size_t i = 0; i < n; i++)                    \
    ((T *)(void *)to)[i] = (T)(((T *)(void *)to)[i] + ((const T *)(const void *)from)[i])

static void add(ncclDataType_t type, char *to, const char *from, size_t n)
{
    switch (type) {
    case ncclFloat32: ADD(float); break;
    case ncclFloat64: ADD(double); break;
    case ncclInt32: ADD(uint32_t); break;
    case ncclBfloat16:
        for (size_t i = 0; i < n; i++)
            ((uint16_t *)(void *)to)[i] =
                bfloat16_add(((uint16_t *)(void *)to)[i], ((const uint16_t *)(const void *)from)[i]);
        break;
    default: ADD(uint8_t); break;
    }
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */

static void memory_open(const struct ncclComm *comm)
{
    fake_pause_maybe();
    pthread_mutex_lock(&fake.lock);
    fake_memory_open(comm->device);
    pthread_mutex_unlock(&fake.lock);
}

static void memory_close(const struct ncclComm *comm)
{
    pthread_mutex_lock(&fake.lock);
    fake_memory_close(comm->device);
    pthread_mutex_unlock(&fake.lock);
}

static void device_copy(const struct ncclComm *comm, char *to, const char *from, size_t bytes)
{
    memory_open(comm);
    memcpy(to, from, bytes);
    memory_close(comm);
}

/* ---- from the moment a stream gets there ------------------------------------------------------------------------------ */

/* Bytes that the operation reads and writes on this rank; none that it reads where it also writes. */
static void op_extent(const struct ncclComm *comm, const struct fake_op *op, size_t *reads_out, size_t *writes_out)
{
    size_t bytes = op->call.count * fake_type_bytes(op->call.type), all = bytes * (size_t)comm->n_ranks;
    bool root = op->call.root == comm->rank;
    enum fake_call_kind kind = op->call.kind;
    *reads_out = kind == FAKE_RECV || (kind == FAKE_BROADCAST && !root) ? 0 : kind == FAKE_REDUCE_SCATTER ? all : bytes;
    *writes_out = kind == FAKE_SEND || (kind == FAKE_REDUCE && !root) ? 0 : kind == FAKE_ALL_GATHER ? all : bytes;
    if (*reads_out && *writes_out && op->from < op->to + *writes_out && op->to < op->from + *reads_out)
        *reads_out = *writes_out = 0;
}

static uint64_t bytes_hash(const char *at, size_t n)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)at[i]) * 1099511628211u;
    return hash;
}

void fake_op_begin(struct ncclComm *comm, struct fake_op *op)
{
    size_t reads, writes;
    op_extent(comm, op, &reads, &writes);
    memory_open(comm);
    op->hash = bytes_hash(op->from, reads);
    if (writes)
        memset(op->to, 0xff, writes);
    memory_close(comm);
}

void fake_op_end(struct ncclComm *comm, const struct fake_op *op)
{
    size_t reads, writes;
    op_extent(comm, op, &reads, &writes);
    memory_open(comm);
    bool same = bytes_hash(op->from, reads) == op->hash;
    memory_close(comm);
    if (!same)
        fake_shared_break(comm, "%s on rank %d: its %zu bytes were written while it was under way", fake_call_name(op->call.kind),
                          comm->rank, reads);
}

/* ---- messages ------------------------------------------------------------------------------------------------------ */

static void message_compare(struct ncclComm *comm, const struct fake_channel *channel, const struct fake_op *op, int from, int to)
{
    const struct fake_call *sent = &channel->send[op->number & 1], *received = &channel->recv[op->number & 1];
    if (sent->count != received->count || sent->type != received->type)
        fake_shared_break(comm, "message %llu from rank %d to rank %d: %llu of %s are sent, %llu of %s received",
                          (unsigned long long)op->number, from, to, (unsigned long long)sent->count,
                          fake_type_name(sent->type), (unsigned long long)received->count, fake_type_name(received->type));
}

static bool send_progress(struct ncclComm *comm, struct fake_op *op)
{
    struct fake_channel *channel = fake_channel(comm, comm->rank, op->peer);
    uint64_t bytes = op->call.count * fake_type_bytes(op->call.type), read = channel->n_read, written = channel->n_written;
    if (op->stage == 0) {
        op->number = channel->n_sends;
        op->base = written;
        channel->send[op->number & 1] = op->call;
        atomic_store(&channel->n_sends, op->number + 1);
    } else if (op->stage == 1) {
        if (channel->n_recvs <= op->number)
            return false;
        message_compare(comm, channel, op, comm->rank, op->peer);
    } else {
        op->done = read == op->base + bytes;
        if (op->done || read != written)
            return op->done;
        uint64_t at = written - op->base, n = bytes - at < FAKE_PIECE ? bytes - at : FAKE_PIECE;
        device_copy(comm, channel->piece, op->from + at, n);
        atomic_store(&channel->n_written, written + n);
    }
    op->stage = op->stage < 2 ? op->stage + 1 : 2;
    fake_ring(comm->shared);
    return true;
}

static bool recv_progress(struct ncclComm *comm, struct fake_op *op)
{
    struct fake_channel *channel = fake_channel(comm, op->peer, comm->rank);
    uint64_t bytes = op->call.count * fake_type_bytes(op->call.type), read = channel->n_read, written = channel->n_written;
    if (op->stage == 0) {
        op->number = channel->n_recvs;
        op->base = read;
        channel->recv[op->number & 1] = op->call;
        atomic_store(&channel->n_recvs, op->number + 1);
    } else if (op->stage == 1) {
        if (channel->n_sends <= op->number)
            return false;
        message_compare(comm, channel, op, op->peer, comm->rank);
    } else {
        op->done = read == op->base + bytes;
        if (op->done || read == written)
            return op->done;
        device_copy(comm, op->to + (read - op->base), channel->piece, written - read);
        atomic_store(&channel->n_read, written);
    }
    op->stage = op->stage < 2 ? op->stage + 1 : 2;
    fake_ring(comm->shared);
    return true;
}

/* ---- collectives --------------------------------------------------------------------------------------------------- */

/* Elements of the present piece and where they are: blocks of `count` elements, one per rank where they are scattered. */
struct piece {
    bool over;
    uint64_t block, at, n;
};

static struct piece piece_of(const struct ncclComm *comm, const struct fake_op *op)
{
    uint64_t most = FAKE_PIECE / fake_type_bytes(op->call.type), per_block = (op->call.count + most - 1) / most;
    uint64_t n_blocks = op->call.kind == FAKE_REDUCE_SCATTER ? (uint64_t)comm->n_ranks : 1;
    struct piece piece = {.over = op->piece >= per_block * n_blocks};
    if (piece.over)
        return piece;
    piece.block = op->piece / per_block;
    piece.at = op->piece % per_block * most;
    piece.n = op->call.count - piece.at < most ? op->call.count - piece.at : most;
    return piece;
}

static void piece_give(const struct ncclComm *comm, const struct fake_op *op, const struct piece *piece)
{
    size_t size = fake_type_bytes(op->call.type);
    if (op->call.kind != FAKE_BROADCAST || op->call.root == comm->rank)
        device_copy(comm, fake_member(comm, comm->rank)->piece, op->from + (piece->block * op->call.count + piece->at) * size,
                    piece->n * size);
}

static void piece_take(const struct ncclComm *comm, const struct fake_op *op, const struct piece *piece)
{
    size_t size = fake_type_bytes(op->call.type), bytes = piece->n * size;
    char *to = op->to + piece->at * size;
    bool gathers = op->call.kind == FAKE_ALL_GATHER;
    if ((op->call.kind == FAKE_REDUCE && op->call.root != comm->rank) ||
        (op->call.kind == FAKE_REDUCE_SCATTER && piece->block != (uint64_t)comm->rank))
        return;
    memory_open(comm);
    if (op->call.kind == FAKE_BROADCAST)
        memcpy(to, fake_member(comm, op->call.root)->piece, bytes);
    for (int r = 0; r < comm->n_ranks && op->call.kind != FAKE_BROADCAST; r++)
        if (gathers || r == 0)
            memcpy(to + (gathers ? (uint64_t)r * op->call.count * size : 0), fake_member(comm, r)->piece, bytes);
        else
            add(op->call.type, to, fake_member(comm, r)->piece, piece->n);
    memory_close(comm);
}

static void call_str(const struct fake_call *call, char text[96])
{
    int n = snprintf(text, 96, "%s of %llu %s", fake_call_name(call->kind), (unsigned long long)call->count,
                     fake_type_name(call->type));
    if (call->root >= 0)
        snprintf(text + n, 96 - (size_t)n, ", root %d", call->root);
}

void fake_calls_compare(struct ncclComm *comm, uint64_t number, const struct fake_call *mine, int other,
                        const struct fake_call *theirs)
{
    char mine_text[96], their_text[96];
    if (theirs->kind == mine->kind && theirs->count == mine->count && theirs->type == mine->type && theirs->root == mine->root)
        return;
    call_str(mine, mine_text);
    call_str(theirs, their_text);
    fake_shared_break(comm, "collective %llu of a communicator: rank %d calls %s, rank %d %s", (unsigned long long)number,
                      comm->rank, mine_text, other, their_text);
}

static bool all_reached(const struct ncclComm *comm, uint64_t phase)
{
    for (int r = 0; r < comm->n_ranks; r++)
        if (atomic_load(&fake_member(comm, r)->phase) < phase)
            return false;
    return true;
}

/* Stages: 0 post what is called, 1 compare, then for every piece 2 give, 3 take, 4 wait until all have taken. */
static bool collective_progress(struct ncclComm *comm, struct fake_op *op)
{
    struct fake_member *me = fake_member(comm, comm->rank);
    if (op->stage > 0 && op->stage != 2 && !all_reached(comm, op->phase))
        return false;
    struct piece piece = piece_of(comm, op);
    if (op->stage == 0) {
        op->number = comm->n_collectives++;
        me->posted[op->number & 1] = op->call;
    } else if (op->stage == 1) {
        for (int r = 0; r < comm->n_ranks; r++)
            fake_calls_compare(comm, op->number, &op->call, r, &fake_member(comm, r)->posted[op->number & 1]);
        op->stage = 2;
        return true;
    } else if (op->stage == 2) {
        if ((op->done = piece.over))
            return true;
        piece_give(comm, op, &piece);
    } else if (op->stage == 3) {
        piece_take(comm, op, &piece);
    } else {
        op->piece++;
        op->stage = 2;
        return true;
    }
    op->phase = me->phase + 1;
    atomic_store(&me->phase, op->phase);
    op->stage++;
    fake_ring(comm->shared);
    return true;
}

bool fake_op_progress(struct ncclComm *comm, struct fake_op *op)
{
    return op->call.kind == FAKE_SEND   ? send_progress(comm, op)
           : op->call.kind == FAKE_RECV ? recv_progress(comm, op)
                                        : collective_progress(comm, op);
}
