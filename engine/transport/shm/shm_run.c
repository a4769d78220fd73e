/* Running a program over a link: begin, wait, signal, finish. */
#include "engine/transport/shm/shm_shared.h"

/* The wire, when messages of this link start or end here. */
static const struct weir_wire *wire_of(const struct weir_shm_link *link)
{
    return link->wire_state ? link->transport->wire : NULL;
}

weir_status weir_shm_begin(struct weir_shm_link *link)
{
    link->run++;
    return wire_of(link) ? wire_of(link)->begin(link) : WEIR_OK;
}

weir_status weir_shm_signal(struct weir_shm_link *link, int event)
{
    /* edge: what this rank wrote ─▶ the waiters of this host */
    weir_futex_set(weir_shm_link_flag(link, link->transport->info.rank, event), link->run, WEIR_FUTEX_PROCESSES);
    return wire_of(link) ? wire_of(link)->signal(link, event) : WEIR_OK; /* edge: the same ─▶ a waiter of another host */
}

weir_status weir_shm_wait(struct weir_shm_link *link, int rank, int event)
{
    weir_transport *transport = link->transport;
    if (weir_shm_is_here(transport, rank))
        return weir_shm_flag_await(transport, weir_shm_link_flag(link, rank, event), link->run, wire_of(link) != NULL);
    if (!wire_of(link))
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "nothing is sent with event %d of rank %d", event, rank);
    return wire_of(link)->wait(link, rank, event);
}

weir_status weir_shm_passed(struct weir_shm_link *link, int instruction)
{
    return wire_of(link) ? wire_of(link)->passed(link, instruction) : WEIR_OK;
}

weir_status weir_shm_progress(struct weir_shm_link *link)
{
    return wire_of(link) ? weir_shm_move(link->transport) : WEIR_OK;
}

weir_status weir_shm_finish(struct weir_shm_link *link)
{
    return wire_of(link) ? wire_of(link)->finish(link) : WEIR_OK;
}
