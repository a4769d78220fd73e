/* What all files of the mpi transport stand on: results of the library, and where things are in shared memory. */
#include "engine/transport/mpi/mpi_shared.h"

weir_status weir_mpi_check(int code, const char *what)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length;
    if (code == MPI_SUCCESS)
        return WEIR_OK;
    MPI_Error_string(code, text, &length);
    return WEIR_FAIL(WEIR_ERR_PEER, "%s failed: %s", what, text);
}

struct weir_mpi_lobby *weir_mpi_lobby(const weir_transport *transport, int local)
{
    return (struct weir_mpi_lobby *)(void *)transport->lobbies[local].base;
}

void *weir_mpi_memory(const struct weir_mpi_link *link, int rank, int block)
{
    const weir_transport *transport = link->transport;
    const struct weir_mpi_link *home = link->home;
    size_t offset = home->offsets[rank * home->n_blocks + block];
    bool here = transport->host_of[rank] == transport->info.host;
    char *base = here ? home->segments[transport->local_of[rank]].base : home->mirrors[rank].base;
    return offset == SIZE_MAX ? NULL : base + offset;
}

struct weir_futex *weir_mpi_link_flag(const struct weir_mpi_link *link, int rank, int event)
{
    return (struct weir_futex *)(void *)link->segments[link->transport->local_of[rank]].base + event;
}

weir_status weir_mpi_here(const weir_transport *transport)
{
    return weir_process_check(transport->process, "a transport of kind 'mpi'");
}
