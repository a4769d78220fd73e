/* A run of a program over a link of the nccl transport: everything here enqueues, but for finish(). */
#include "engine/transport/nccl/nccl_shared.h"

#include "base/clock.h"

static ncclDataType_t type_of(enum weir_dtype dtype)
{
    return dtype == WEIR_DTYPE_F64 ? ncclFloat64 : ncclFloat32;
}

static bool is_going(ncclResult_t result)
{
    return result == ncclSuccess || result == ncclInProgress;
}

/* A group is ended whatever became of its calls; the first failure counts. */
static ncclResult_t group_end(ncclResult_t result)
{
    ncclResult_t ended = ncclGroupEnd();
    return is_going(result) ? ended : result;
}

/* One message: its regions in their order, as one group when there are several. */
static weir_status regions_move(struct weir_nccl_link *link, const struct weir_nccl_end *end, bool sends)
{
    ncclComm_t comm = end->edge->comm.native;
    bool grouped = end->message.n_regions > 1;
    void *queue;
    weir_status status = link->kind->native(end->edge->comm.stream, &queue);
    if (!status && grouped)
        status = weir_nccl_result(ncclGroupStart(), "ncclGroupStart");
    if (status)
        return status;
    ncclResult_t result = ncclSuccess;
    for (int k = 0; k < end->message.n_regions && is_going(result); k++) {
        const struct weir_message_region *region = &end->message.regions[k];
        char *at = (char *)weir_nccl_memory(link, region->owner, region->block) + region->offset;
        result = sends ? ncclSend(at, region->bytes, ncclInt8, 1, comm, queue)
                       : ncclRecv(at, region->bytes, ncclInt8, 0, comm, queue);
    }
    if (grouped)
        result = group_end(result);
    return weir_nccl_settle(link, comm, result, sends ? "ncclSend" : "ncclRecv");
}

static weir_status end_fail(const struct weir_nccl_end *end, weir_status status)
{
    return status ? weir_error_prefix(status, "rank %d to rank %d: ", end->message.from, end->message.to) : WEIR_OK;
}

/* ---- receiving --------------------------------------------------------------------------------------------------------- */

static weir_status receive_post(struct weir_nccl_link *link, const struct weir_nccl_end *end)
{
    weir_stream *stream = end->edge->comm.stream;
    weir_status status = WEIR_OK;
    if (end->message.post_after >= 0) /* edge: who used the slot before ─▶ what comes into it */
        status = link->kind->wait(stream, link->free[end->message.post_after]);
    if (!status)
        status = regions_move(link, end, false);
    return status ? end_fail(end, status) : link->kind->record(stream, end->done);
}

/* The receives whose turn is before the instruction after `instruction`. */
static weir_status receives_post(struct weir_nccl_link *link, int instruction)
{
    weir_status status = WEIR_OK;
    while (!status && link->n_posted < link->n_receives &&
           link->receives[link->n_posted].message.turn_after <= instruction)
        status = receive_post(link, &link->receives[link->n_posted++]);
    return status;
}

weir_status weir_nccl_begin(struct weir_nccl_link *link)
{
    link->n_posted = link->n_came = 0;
    link->quiet_ns = 0;
    link->came_ns = weir_clock_ns();
    if (link->home->aborted)
        return WEIR_FAIL(WEIR_ERR_PEER, "the run was given up before");
    return receives_post(link, -1);
}

/* Events without a message order nothing here: what a peer may still read is this rank's mirror, see claim(). */
weir_status weir_nccl_wait(struct weir_nccl_link *link, int rank, int event)
{
    int i = link->receive_of[event];
    if (i < 0 || link->receives[i].message.from != rank)
        return WEIR_OK;
    if (i >= link->n_posted)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "event %d of rank %d is awaited before its turn", event, rank);
    return link->kind->wait(link->stream, link->receives[i].done); /* edge: what came ─▶ who reads it */
}

weir_status weir_nccl_passed(struct weir_nccl_link *link, int instruction)
{
    weir_status status = WEIR_OK;
    if (instruction < link->n_free && link->free[instruction])
        status = link->kind->record(link->stream, link->free[instruction]);
    return status ? status : receives_post(link, instruction);
}

weir_status weir_nccl_progress(struct weir_nccl_link *link)
{
    (void)link; /* the device's copies go on by themselves */
    return WEIR_OK;
}

/* ---- sending ------------------------------------------------------------------------------------------------------------ */

weir_status weir_nccl_claim(struct weir_nccl_link *link, int event)
{
    weir_status status = WEIR_OK;
    for (int c = link->first_claim[event]; c < link->first_claim[event + 1] && !status; c++)
        /* edge: what left from here before ─▶ who writes here now */
        status = link->kind->wait(link->stream, link->sends[link->claims[c]].done);
    return status;
}

static weir_status send_issue(struct weir_nccl_link *link, const struct weir_nccl_end *end)
{
    weir_stream *stream = end->edge->comm.stream;
    weir_status status = link->kind->wait(stream, link->made[end->message.event]); /* edge: who wrote ─▶ what leaves */
    if (!status)
        status = regions_move(link, end, true);
    if (!status && end->done)
        status = link->kind->record(stream, end->done);
    return end_fail(end, status);
}

weir_status weir_nccl_signal(struct weir_nccl_link *link, int event)
{
    int i = link->first_send[event];
    weir_status status = i < 0 ? WEIR_OK : link->kind->record(link->stream, link->made[event]);
    for (; i >= 0 && i < link->n_sends && link->sends[i].message.event == event && !status; i++)
        status = send_issue(link, &link->sends[i]);
    return status;
}

/* ---- collectives -------------------------------------------------------------------------------------------------------- */

static ncclResult_t span_collect(const struct weir_nccl_comm *comm, enum weir_collective what, ncclDataType_t type,
                                 const struct weir_collective_span *span, void *queue)
{
    switch (what) {
    case WEIR_COLLECT_SUM:
        return ncclAllReduce(span->from, span->to, span->n, type, ncclSum, comm->native, queue);
    case WEIR_COLLECT_SUM_ROOT:
        return ncclReduce(span->from, span->to, span->n, type, ncclSum, span->root, comm->native, queue);
    case WEIR_COLLECT_BROADCAST:
        return ncclBroadcast(span->from, span->to, span->n, type, span->root, comm->native, queue);
    }
    return ncclInvalidArgument;
}

weir_status weir_nccl_collect(struct weir_nccl_link *link, enum weir_collective_scope scope, enum weir_collective what,
                              enum weir_dtype dtype, int n_spans, const struct weir_collective_span *spans)
{
    struct weir_nccl_comm *comm = &link->home->scopes[scope];
    void *queue;
    if (!comm->native || n_spans == 0)
        return comm->native ? WEIR_OK : WEIR_FAIL(WEIR_ERR_INTERNAL, "no communicator for a collective");
    weir_status status = link->kind->record(link->stream, comm->ready);
    if (!status) /* edge: who wrote the terms ─▶ their sum */
        status = link->kind->wait(comm->stream, comm->ready);
    if (!status)
        status = link->kind->native(comm->stream, &queue);
    if (!status)
        status = weir_nccl_result(ncclGroupStart(), "ncclGroupStart");
    if (status)
        return status;
    ncclResult_t result = ncclSuccess;
    for (int i = 0; i < n_spans && is_going(result); i++)
        result = span_collect(comm, what, type_of(dtype), &spans[i], queue);
    status = weir_nccl_settle(link, comm->native, group_end(result), "a collective");
    return status ? status : link->kind->record(comm->stream, comm->done);
}

weir_status weir_nccl_collected(struct weir_nccl_link *link, enum weir_collective_scope scope)
{
    return link->kind->wait(link->stream, link->home->scopes[scope].done); /* edge: the sum ─▶ who reads it */
}

/* ---- the end of a run ----------------------------------------------------------------------------------------------------- */

static weir_status stream_end(struct weir_nccl_link *link, weir_stream *stream)
{
    weir_status status = stream ? WEIR_ERR_TIMEOUT : WEIR_OK;
    while (status == WEIR_ERR_TIMEOUT) {
        weir_status seen = weir_nccl_look(link);
        if (seen)
            return seen;
        status = link->kind->stream_sync(stream, WEIR_TRANSPORT_LOOK_NS);
    }
    return status;
}

/* Messages that nobody waited for have come too, and what was sent has left, when this returns. */
weir_status weir_nccl_finish(struct weir_nccl_link *link)
{
    weir_status status = receives_post(link, INT32_MAX);
    for (int e = 0; e < link->home->n_edges && !status; e++)
        status = stream_end(link, link->home->edges[e].comm.stream);
    for (int s = 0; s < WEIR_COLLECT_SCOPES && !status; s++)
        status = stream_end(link, link->home->scopes[s].stream);
    if (!status)
        weir_nccl_came(link);
    if (!status && link->quiet_ns > link->longest_ns)
        link->longest_ns = link->quiet_ns;
    link->came_ns = INT64_MAX; /* between runs nothing is awaited */
    return status;
}
