/* Messages while a program runs: begin, wait, signal, finish. */
#include "engine/transport/mpi/mpi_shared.h"

static weir_status end_start(const struct weir_shm_link *link, struct weir_mpi_end *end)
{
    end->active = true;
    weir_mpi_lock();
    int code = MPI_Start(&end->request);
    weir_mpi_unlock();
    return weir_shm_fail(link->transport, weir_mpi_check(code, "MPI_Start"));
}

static weir_status end_complete(const struct weir_shm_link *link, struct weir_mpi_end *end)
{
    weir_status status = weir_mpi_request_wait(link->transport, &end->request, "a message");
    if (!status) {
        end->active = false;
        end->run = link->run;
    }
    return status;
}

/* Post the receives into regions that instruction `instruction` and those before it have left. */
weir_status weir_mpi_passed(struct weir_shm_link *link, int instruction)
{
    struct weir_mpi_messages *messages = weir_mpi_messages(link);
    weir_status status = WEIR_OK;
    while (!status && messages->next_post < messages->n_receives &&
           messages->receives[messages->next_post].post_after <= instruction)
        status = end_start(link, &messages->receives[messages->next_post++]);
    return status;
}

weir_status weir_mpi_begin(struct weir_shm_link *link)
{
    weir_mpi_messages(link)->next_post = 0;
    return weir_mpi_passed(link, -1);
}

weir_status weir_mpi_signal(struct weir_shm_link *link, int event)
{
    const struct weir_mpi_messages *messages = weir_mpi_messages(link);
    weir_status status = WEIR_OK;
    for (int i = messages->first_send[event]; i < messages->first_send[event + 1] && !status; i++)
        status = end_start(link, &messages->sends[i]);
    return status;
}

static struct weir_mpi_end *receive_find(const struct weir_mpi_messages *messages, int rank, int event)
{
    for (int k = messages->first_receive[event]; k < messages->first_receive[event + 1]; k++)
        if (messages->receives[messages->receive_order[k]].peer == rank)
            return &messages->receives[messages->receive_order[k]];
    return NULL;
}

weir_status weir_mpi_wait(struct weir_shm_link *link, int rank, int event)
{
    struct weir_mpi_end *end = receive_find(weir_mpi_messages(link), rank, event);
    if (!end)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "nothing is sent with event %d of rank %d", event, rank);
    if (end->run == link->run)
        return WEIR_OK;
    if (!end->active)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "event %d of rank %d is awaited before there is room for what it sends", event,
                         rank);
    return end_complete(link, end);
}

/* Receives that nobody waited for are completed too: their messages come all the same. */
weir_status weir_mpi_finish(struct weir_shm_link *link)
{
    struct weir_mpi_messages *messages = weir_mpi_messages(link);
    weir_status status = weir_mpi_passed(link, INT32_MAX);
    for (int i = 0; i < messages->n_receives && !status; i++)
        if (messages->receives[i].active)
            status = end_complete(link, &messages->receives[i]);
    for (int i = 0; i < messages->n_sends && !status; i++)
        if (messages->sends[i].active)
            status = end_complete(link, &messages->sends[i]);
    return status;
}
