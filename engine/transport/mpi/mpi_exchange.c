/* What all processes do together, outside runs: agree, exchange, broadcast. */
#include "engine/transport/mpi/mpi_shared.h"

#include <string.h>

#include "base/clock.h"

enum { BROADCAST_BYTES = 1 << 30 }; /* of one message: counts are int */

/* A failure as a number to take the largest of: what another rank failed with counts more than that one was lost. */
static int failure_rank(weir_status status)
{
    return status == WEIR_ERR_PEER ? 1 : status ? (int)status + 1 : 0;
}

/* The message of the own failure survives the waiting. */
weir_status weir_mpi_agree(weir_transport *transport, MPI_Comm comm, weir_status status)
{
    char message[WEIR_ERROR_MAX];
    int mine = failure_rank(status), any = 0;
    MPI_Request request;
    weir_error_take(message);
    weir_status told = weir_mpi_check(MPI_Iallreduce(&mine, &any, 1, MPI_INT, MPI_MAX, comm, &request), "MPI_Iallreduce");
    if (!told)
        told = weir_mpi_request_wait(transport, &request, "MPI_Iallreduce");
    if (status)
        weir_error_put(message);
    if (status || told)
        return status ? status : told;
    return any ? WEIR_FAIL(any == 1 ? WEIR_ERR_PEER : (weir_status)(any - 1), "another rank failed to set up the transport")
               : WEIR_OK;
}

/* Notes of turn k are overwritten in turn k + 2, which nobody reaches before all have read them: turn k + 1 is between. */
static weir_status notes_exchange(weir_transport *transport, const void *mine, size_t bytes, void *all_out)
{
    uint32_t turn = ++transport->turn;
    struct weir_mpi_lobby *own = weir_mpi_lobby(transport, transport->info.local_rank);
    if (bytes)
        memcpy(own->notes[turn & 1], mine, bytes);
    weir_futex_set(&own->turn, turn, WEIR_FUTEX_PROCESSES); /* edge: note ─▶ its readers */
    weir_status status = WEIR_OK;
    for (int l = 0; l < transport->info.n_local && !status; l++) {
        struct weir_mpi_lobby *lobby = weir_mpi_lobby(transport, l);
        status = weir_mpi_flag_await(transport, &lobby->turn, turn, false);
        if (!status && bytes)
            memcpy((char *)all_out + (size_t)transport->rank_of_local[l] * bytes, lobby->notes[turn & 1], bytes);
    }
    return status;
}

static weir_status messages_exchange(weir_transport *transport, const void *mine, size_t bytes, void *all_out)
{
    MPI_Request request;
    int code = bytes ? MPI_Iallgather(mine, (int)bytes, MPI_BYTE, all_out, (int)bytes, MPI_BYTE, transport->world, &request)
                     : MPI_Ibarrier(transport->world, &request);
    weir_status status = weir_mpi_fail(transport, weir_mpi_check(code, "an exchange"));
    return status ? status : weir_mpi_request_wait(transport, &request, "an exchange");
}

weir_status weir_mpi_exchange(weir_transport *transport, const void *mine, size_t bytes, void *all_out)
{
    weir_status status = weir_mpi_here(transport);
    if (status)
        return status;
    if (bytes > WEIR_EXCHANGE_MAX)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "an exchange of %zu bytes, the most are %d", bytes, WEIR_EXCHANGE_MAX);
    return transport->info.n_hosts == 1 ? notes_exchange(transport, mine, bytes, all_out)
                                        : messages_exchange(transport, mine, bytes, all_out);
}

weir_status weir_mpi_broadcast(weir_transport *transport, int root, void *data, size_t bytes)
{
    weir_status status = weir_mpi_here(transport);
    for (size_t at = 0; at < bytes && !status; at += BROADCAST_BYTES) {
        size_t n = bytes - at < BROADCAST_BYTES ? bytes - at : BROADCAST_BYTES;
        MPI_Request request;
        status = weir_mpi_fail(transport, weir_mpi_check(MPI_Ibcast((char *)data + at, (int)n, MPI_BYTE, root,
                                                                    transport->world, &request), "a broadcast"));
        if (!status)
            status = weir_mpi_request_wait(transport, &request, "a broadcast");
    }
    return status;
}
