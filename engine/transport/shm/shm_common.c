/* What all files of the transport stand on: where things are in shared memory. */
#include "engine/transport/shm/shm_shared.h"

struct weir_shm_lobby *weir_shm_lobby(const weir_transport *transport, int local)
{
    return (struct weir_shm_lobby *)(void *)transport->lobbies[local].base;
}

bool weir_shm_is_here(const weir_transport *transport, int rank)
{
    return transport->info.host_of[rank] == transport->info.host;
}

void *weir_shm_memory(const struct weir_shm_link *link, int rank, int block)
{
    const weir_transport *transport = link->transport;
    const struct weir_shm_link *home = link->home;
    size_t offset = home->offsets[rank * home->n_blocks + block];
    char *base = weir_shm_is_here(transport, rank) ? home->segments[transport->local_of[rank]].base : home->mirrors[rank].base;
    return offset == SIZE_MAX ? NULL : base + offset;
}

struct weir_futex *weir_shm_link_flag(const struct weir_shm_link *link, int rank, int event)
{
    return (struct weir_futex *)(void *)link->segments[link->transport->local_of[rank]].base + event;
}

void *weir_shm_block(const weir_transport *transport, int rank)
{
    return weir_shm_is_here(transport, rank) ? weir_shm_lobby(transport, transport->local_of[rank])->block : NULL;
}

weir_status weir_shm_here(const weir_transport *transport)
{
    return weir_process_check(transport->process, "a transport");
}
