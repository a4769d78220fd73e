/* Communicators: in which order they are made, how their unique ids get to their ranks, and the first operation on each. */
#include "engine/transport/nccl/nccl_shared.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    IDS = WEIR_EXCHANGE_MAX / sizeof(ncclUniqueId), /* in one exchange */
    EDGE_PROBE_BYTES = 256,
    /* NCCL has a kernel for short collectives and one for long ones: an element of each size loads both. */
    GROUP_PROBE = 1 << 20,
    ALL_PROBE = 1 << 16,
    PROBE_BYTES = GROUP_PROBE * 4,
    /* Streams that NCCL makes for itself in each communicator; they wait for events as ours do. */
    OWN_STREAMS = 2,
    /* Most thread blocks of a communicator's kernel.  A receive is posted early and waits on the device, a processor for each
     * block, which products of one wave of blocks would have filled too; two blocks move 25 MB in half a millisecond over
     * NVLink.  A rank has two neighbours, so four edges, and two more where tied weights are apart and for each
     * rank that a skip connection leads to: together with the collectives well below the 132 processors of an H100. */
    EDGE_BLOCKS = 2,
    GROUP_BLOCKS = 16,
    ALL_BLOCKS = 1,
    FINALIZE_NAP_NS = 20000,
};

static const int64_t finalize_ns = INT64_C(10000000000); /* in which a communicator without work comes to its end */

/* ---- order ---------------------------------------------------------------------------------------------------------- */

/* An edge and the round in which it is connected: edges of a round share no rank, so that a chain of any length needs a few
 * rounds.  All ranks make the same list. */
struct draft {
    struct weir_transport_edge edge;
    int round;
};

static int by_round(const void *a, const void *b)
{
    const struct draft *x = a, *y = b;
    if (x->round != y->round)
        return x->round < y->round ? -1 : 1;
    if (x->edge.from != y->edge.from)
        return x->edge.from < y->edge.from ? -1 : 1;
    return (x->edge.to > y->edge.to) - (x->edge.to < y->edge.to);
}

static bool shares_rank(const struct weir_transport_edge *a, const struct weir_transport_edge *b)
{
    return a->from == b->from || a->from == b->to || a->to == b->from || a->to == b->to;
}

static weir_status drafts_make(struct weir_nccl_link *link, const struct weir_link_spec *spec, struct draft **drafts_out)
{
    struct draft *drafts;
    weir_status status = weir_arena_alloc(&link->arena, (size_t)spec->n_edges, sizeof *drafts, &drafts);
    for (int e = 0; e < spec->n_edges && !status; e++) {
        drafts[e].edge = spec->edges[e];
        for (int f = 0; f < e; f++) /* rounds of earlier edges do not go down: one pass is not enough */
            if (drafts[f].round == drafts[e].round && shares_rank(&drafts[f].edge, &drafts[e].edge)) {
                drafts[e].round++;
                f = -1;
            }
    }
    if (status)
        return status;
    qsort(drafts, (size_t)spec->n_edges, sizeof *drafts, by_round);
    *drafts_out = drafts;
    return WEIR_OK;
}

/* ---- unique ids ------------------------------------------------------------------------------------------------------ */

/* Rank r makes one id for each edge that it sends on, in the order of the drafts, one for its group when it is the first
 * member, and rank 0 one for all. */
struct ids {
    int n_edges, most;
    const struct draft *drafts;
    ncclUniqueId *all; /* [most * n_ranks]: id k of rank r at k * n_ranks + r, as exchanges of IDS at a time leave them */
};

static int ids_of(const struct weir_link_spec *spec, const struct draft *drafts, int n_ranks, int rank)
{
    int n = rank == 0 && n_ranks > 1;
    for (int e = 0; e < spec->n_edges; e++)
        n += drafts[e].edge.from == rank;
    for (int g = 0; g < spec->n_groups; g++)
        n += spec->group_size > 1 && spec->groups[g * spec->group_size] == rank;
    return n;
}

static ncclUniqueId *id_at(const struct ids *ids, int n_ranks, int rank, int k)
{
    return &ids->all[(k / IDS * n_ranks + rank) * IDS + k % IDS];
}

static weir_status ids_make(struct weir_nccl_link *link, const struct weir_link_spec *spec, struct ids *ids)
{
    int n = link->info->n_ranks, most = 0;
    for (int r = 0; r < n; r++) {
        int mine = ids_of(spec, ids->drafts, n, r);
        most = mine > most ? mine : most;
    }
    int rounds = (most + IDS - 1) / IDS, own = ids_of(spec, ids->drafts, n, link->info->rank);
    ncclUniqueId *mine = NULL;
    weir_status status = weir_alloc((size_t)(rounds * n * IDS), sizeof *ids->all, &ids->all);
    if (!status)
        status = weir_alloc((size_t)(rounds * IDS), sizeof *mine, &mine);
    for (int k = 0; k < own && !status; k++)
        status = weir_nccl_result(ncclGetUniqueId(&mine[k]), "ncclGetUniqueId");
    for (int round = 0; round < rounds && !status; round++)
        status = weir_shm_exchange(link->transport, mine + round * IDS, IDS * sizeof *mine, ids->all + round * n * IDS);
    weir_free(mine);
    return status;
}

static int edge_id(const struct ids *ids, int edge)
{
    int k = 0;
    for (int e = 0; e < edge; e++)
        k += ids->drafts[e].edge.from == ids->drafts[edge].edge.from;
    return k;
}

/* ---- communicators ---------------------------------------------------------------------------------------------------- */

static weir_status comm_open(struct weir_nccl_link *link, struct weir_nccl_comm *comm, const ncclUniqueId *id, int n_ranks, int rank,
                             int most_blocks)
{
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    void *queue;
    config.blocking = 0;
    config.minCTAs = 1;
    config.maxCTAs = most_blocks;
    weir_status status = link->kind->streams_reserve(link->device, OWN_STREAMS);
    if (status)
        return status;
    comm->has_reserved = true;
    status = link->kind->stream_open(link->device, WEIR_STREAM_EDGE, 1 << 16, &comm->stream);
    if (!status)
        status = link->kind->native(comm->stream, &queue); /* makes the device current */
    if (status)
        return status;
    ncclResult_t result = ncclCommInitRankConfig(&comm->native, n_ranks, *id, rank, &config);
    return weir_nccl_settle(link, comm->native, result, "ncclCommInitRankConfig");
}

/* Wait for the first operations.  They are awaited from now on, so that peers that never come are a timeout. */
static weir_status comm_sync(struct weir_nccl_link *link, struct weir_nccl_comm *comm)
{
    weir_status status = WEIR_ERR_TIMEOUT;
    link->came_ns = weir_clock_ns();
    while (status == WEIR_ERR_TIMEOUT) {
        status = link->kind->stream_sync(comm->stream, WEIR_TRANSPORT_LOOK_NS);
        if (status != WEIR_ERR_TIMEOUT)
            break;
        weir_status seen = weir_nccl_look(link);
        if (seen)
            return seen;
    }
    link->came_ns = INT64_MAX;
    return status;
}

static weir_status edge_connect(struct weir_nccl_link *link, struct weir_nccl_edge *edge)
{
    struct weir_nccl_comm *comm = &edge->comm;
    bool sends = edge->from == link->info->rank;
    void *queue;
    weir_status status = link->kind->native(comm->stream, &queue);
    if (status)
        return status;
    ncclResult_t result = sends ? ncclSend(link->probe, EDGE_PROBE_BYTES, ncclInt8, 1, comm->native, queue)
                                : ncclRecv(link->probe, EDGE_PROBE_BYTES, ncclInt8, 0, comm->native, queue);
    status = weir_nccl_settle(link, comm->native, result, sends ? "ncclSend" : "ncclRecv");
    return status ? status : comm_sync(link, comm);
}

static weir_status edge_open(struct weir_nccl_link *link, const struct ids *ids, int e)
{
    const struct weir_transport_edge *edge = &ids->drafts[e].edge;
    int n = link->info->n_ranks, rank = link->info->rank;
    if (edge->from != rank && edge->to != rank)
        return WEIR_OK;
    struct weir_nccl_edge *mine = &link->edges[link->n_edges++];
    mine->from = edge->from;
    mine->to = edge->to;
    weir_status status =
        comm_open(link, &mine->comm, id_at(ids, n, edge->from, edge_id(ids, e)), 2, edge->to == rank, EDGE_BLOCKS);
    if (!status)
        status = edge_connect(link, mine);
    return status ? weir_error_prefix(status, "connecting rank %d to rank %d: ", edge->from, edge->to) : WEIR_OK;
}

/* Every kind of collective that a step has, of n elements. */
static weir_status scope_probe(struct weir_nccl_link *link, enum weir_collective_scope scope, size_t n)
{
    struct weir_collective_span span = {0, link->probe, link->probe, n};
    enum weir_dtype dtype = scope == WEIR_COLLECT_ALL ? WEIR_DTYPE_F64 : WEIR_DTYPE_F32;
    weir_status status = weir_nccl_collect(link, scope, WEIR_COLLECT_SUM, dtype, 1, &span);
    if (!status && scope == WEIR_COLLECT_GROUP)
        status = weir_nccl_collect(link, scope, WEIR_COLLECT_SUM_ROOT, dtype, 1, &span);
    if (!status && scope == WEIR_COLLECT_GROUP)
        status = weir_nccl_collect(link, scope, WEIR_COLLECT_BROADCAST, dtype, 1, &span);
    return status;
}

/* So that connections and kernels are there.  What all ranks sum is thousands of numbers at most. */
static weir_status scope_connect(struct weir_nccl_link *link, enum weir_collective_scope scope)
{
    weir_status status = scope_probe(link, scope, 1);
    if (!status)
        status = scope_probe(link, scope, scope == WEIR_COLLECT_GROUP ? GROUP_PROBE : ALL_PROBE);
    return status ? status : comm_sync(link, &link->scopes[scope]);
}

static weir_status scope_open(struct weir_nccl_link *link, enum weir_collective_scope scope, const ncclUniqueId *id, int n_ranks, int rank,
                              int most_blocks)
{
    struct weir_nccl_comm *comm = &link->scopes[scope];
    weir_status status = link->kind->event_open(link->device, &comm->ready);
    if (!status)
        status = link->kind->event_open(link->device, &comm->done);
    link->scope_ranks[scope] = n_ranks;
    if (!status)
        status = comm_open(link, comm, id, n_ranks, rank, most_blocks);
    if (!status)
        status = scope_connect(link, scope);
    return status ? weir_error_prefix(status, "connecting %d ranks: ", n_ranks) : WEIR_OK;
}

static weir_status group_open(struct weir_nccl_link *link, const struct weir_link_spec *spec, const struct ids *ids)
{
    for (int i = 0; i < spec->n_groups * spec->group_size && spec->group_size > 1; i++) {
        if (spec->groups[i] != link->info->rank)
            continue;
        int member = i % spec->group_size, first = spec->groups[i - member], k = 0;
        for (int e = 0; e < ids->n_edges; e++)
            k += ids->drafts[e].edge.from == first;
        return scope_open(link, WEIR_COLLECT_GROUP, id_at(ids, link->info->n_ranks, first, k), spec->group_size, member,
                          GROUP_BLOCKS);
    }
    return WEIR_OK;
}

static weir_status all_open(struct weir_nccl_link *link, const struct weir_link_spec *spec, const struct ids *ids)
{
    int n = link->info->n_ranks;
    if (n == 1)
        return WEIR_OK;
    return scope_open(link, WEIR_COLLECT_ALL, id_at(ids, n, 0, ids_of(spec, ids->drafts, n, 0) - 1), n, link->info->rank,
                      ALL_BLOCKS);
}

static weir_status comms_open(struct weir_nccl_link *link, const struct weir_link_spec *spec, const struct ids *ids)
{
    size_t before, after, total;
    weir_status status = weir_arena_alloc(&link->arena, (size_t)spec->n_edges, sizeof *link->edges, &link->edges);
    if (!status)
        status = link->kind->memory_info(link->device, &before, &total);
    if (!status)
        status = link->kind->memory_alloc(link->device, PROBE_BYTES, (void **)(void *)&link->probe);
    for (int e = 0; e < ids->n_edges && !status; e++)
        status = edge_open(link, ids, e);
    if (!status)
        status = group_open(link, spec, ids);
    if (!status)
        status = all_open(link, spec, ids);
    if (!status)
        status = link->kind->memory_info(link->device, &after, &total);
    if (!status)
        link->buffer_bytes = before > after ? before - after : 0; /* others on the GPU may have given memory back */
    return status;
}

weir_status weir_nccl_connect(struct weir_nccl_link *link, const struct weir_link_spec *spec)
{
    struct draft *drafts = NULL;
    weir_status status = drafts_make(link, spec, &drafts);
    struct ids ids = {.n_edges = spec->n_edges, .drafts = drafts};
    if (!status)
        status = ids_make(link, spec, &ids);
    if (!status)
        status = comms_open(link, spec, &ids);
    weir_free(ids.all);
    return status;
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */

/* Nobody looks at the peers here: one that is done before may have left. */
static weir_status comm_finalize(struct weir_nccl_comm *comm)
{
    int64_t end = weir_clock_ns() + finalize_ns;
    if (!comm->native)
        return WEIR_OK;
    ncclResult_t result = ncclCommFinalize(comm->native), asked = ncclSuccess;
    while (result == ncclInProgress && asked == ncclSuccess && weir_clock_ns() < end) {
        asked = ncclCommGetAsyncError(comm->native, &result);
        nanosleep(&(struct timespec){.tv_nsec = FINALIZE_NAP_NS}, NULL);
    }
    weir_status status = weir_nccl_result(asked ? asked : result, "ncclCommFinalize");
    if (status)
        return status;
    status = weir_nccl_result(ncclCommDestroy(comm->native), "ncclCommDestroy");
    comm->native = NULL;
    return status;
}

static void comm_release(struct weir_nccl_link *link, struct weir_nccl_comm *comm)
{
    if (comm->stream)
        link->kind->stream_close(comm->stream);
    if (comm->ready)
        link->kind->event_close(comm->ready);
    if (comm->done)
        link->kind->event_close(comm->done);
    if (comm->has_reserved)
        link->kind->streams_release(link->device, OWN_STREAMS);
}

/* Whoever cannot leave in order gives up. */
void weir_nccl_disconnect(struct weir_nccl_link *link)
{
    weir_status status = WEIR_OK;
    for (int e = 0; e < link->n_edges && !status; e++)
        status = comm_finalize(&link->edges[e].comm);
    for (int s = 0; s < WEIR_COLLECT_SCOPES && !status; s++)
        status = comm_finalize(&link->scopes[s]);
    if (status && !link->aborted)
        weir_log(WEIR_LOG_WARN, "closing NCCL: %s", weir_last_error());
    if (status)
        weir_nccl_abort(link);
    if (link->stuck)
        return;
    for (int e = 0; e < link->n_edges; e++)
        comm_release(link, &link->edges[e].comm);
    for (int s = 0; s < WEIR_COLLECT_SCOPES; s++)
        comm_release(link, &link->scopes[s]);
    link->kind->memory_free(link->device, link->probe);
}
