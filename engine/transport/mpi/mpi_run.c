/* Running a program over a link: begin, wait, signal, finish. */
#include "engine/transport/mpi/mpi_shared.h"

static bool has_messages(const struct weir_mpi_link *link)
{
    return link->n_sends || link->n_receives;
}

static weir_status end_start(struct weir_mpi_link *link, struct weir_mpi_end *end)
{
    end->active = true;
    return weir_mpi_fail(link->transport, weir_mpi_check(MPI_Start(&end->request), "MPI_Start"));
}

static weir_status end_complete(struct weir_mpi_link *link, struct weir_mpi_end *end)
{
    weir_status status = weir_mpi_request_wait(link->transport, &end->request, "a message");
    if (!status) {
        end->active = false;
        end->run = link->run;
    }
    return status;
}

/* Post the receives into regions that instruction `instruction` and those before it have left. */
weir_status weir_mpi_passed(struct weir_mpi_link *link, int instruction)
{
    weir_status status = WEIR_OK;
    while (!status && link->next_post < link->n_receives && link->receives[link->next_post].post_after <= instruction)
        status = end_start(link, &link->receives[link->next_post++]);
    return status;
}

weir_status weir_mpi_begin(struct weir_mpi_link *link)
{
    link->run++;
    link->next_post = 0;
    return weir_mpi_passed(link, -1);
}

weir_status weir_mpi_signal(struct weir_mpi_link *link, int event)
{
    /* edge: what this rank wrote ─▶ the waiters of this host */
    weir_futex_set(weir_mpi_link_flag(link, link->transport->info.rank, event), link->run, WEIR_FUTEX_PROCESSES);
    weir_status status = WEIR_OK;
    for (int i = link->first_send[event]; i < link->first_send[event + 1] && !status; i++)
        status = end_start(link, &link->sends[i]); /* edge: the same ─▶ a waiter of another host */
    return status;
}

static struct weir_mpi_end *receive_find(const struct weir_mpi_link *link, int rank, int event)
{
    for (int k = link->first_receive[event]; k < link->first_receive[event + 1]; k++)
        if (link->receives[link->receive_order[k]].peer == rank)
            return &link->receives[link->receive_order[k]];
    return NULL;
}

static weir_status message_wait(struct weir_mpi_link *link, int rank, int event)
{
    struct weir_mpi_end *end = receive_find(link, rank, event);
    if (!end)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "nothing is sent with event %d of rank %d", event, rank);
    if (end->run == link->run)
        return WEIR_OK;
    if (!end->active)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "event %d of rank %d is awaited before there is room for what it sends", event,
                         rank);
    return end_complete(link, end);
}

weir_status weir_mpi_wait(struct weir_mpi_link *link, int rank, int event)
{
    weir_transport *transport = link->transport;
    if (transport->host_of[rank] != transport->info.host)
        return message_wait(link, rank, event);
    return weir_mpi_flag_await(transport, weir_mpi_link_flag(link, rank, event), link->run, has_messages(link));
}

weir_status weir_mpi_progress(struct weir_mpi_link *link)
{
    return has_messages(link) ? weir_mpi_move(link->transport) : WEIR_OK;
}

/* Receives that nobody waited for are completed too: their messages come all the same. */
weir_status weir_mpi_finish(struct weir_mpi_link *link)
{
    weir_status status = weir_mpi_passed(link, INT32_MAX);
    for (int i = 0; i < link->n_receives && !status; i++)
        if (link->receives[i].active)
            status = end_complete(link, &link->receives[i]);
    for (int i = 0; i < link->n_sends && !status; i++)
        if (link->sends[i].active)
            status = end_complete(link, &link->sends[i]);
    return status;
}
