/* The functions of the tables: links are struct weir_shm_link, and only this file knows it; a child after fork() is told. */
#include "engine/transport/shm/shm_shared.h"

static struct weir_shm_link *link_of(weir_link *handle)
{
    return (struct weir_shm_link *)handle;
}

static const struct weir_shm_link *link_seen(const weir_link *handle)
{
    return (const struct weir_shm_link *)handle;
}

static weir_status here(weir_link *link)
{
    return weir_shm_here(link_of(link)->transport);
}

weir_status weir_shm_handle_open(weir_transport *transport, const struct weir_link_spec *spec, weir_link **link_out)
{
    struct weir_shm_link *link;
    weir_status status = weir_shm_here(transport);
    if (!status)
        status = weir_shm_link_open(transport, spec, link_seen(spec->memory), &link);
    if (!status)
        *link_out = (weir_link *)link;
    return status;
}

void weir_shm_handle_close(weir_link *link)
{
    if (link && weir_process_is(link_of(link)->transport->process))
        weir_shm_link_close(link_of(link));
}

void *weir_shm_handle_memory(const weir_link *link, int rank, int block)
{
    return weir_shm_memory(link_seen(link), rank, block);
}

size_t weir_shm_handle_mirror_bytes(const weir_link *link)
{
    return link_seen(link)->mirror_bytes;
}

weir_status weir_shm_handle_begin(weir_link *link)
{
    weir_status status = here(link);
    return status ? status : weir_shm_begin(link_of(link));
}

weir_status weir_shm_handle_wait(weir_link *link, int rank, int event)
{
    weir_status status = here(link);
    return status ? status : weir_shm_wait(link_of(link), rank, event);
}

weir_status weir_shm_handle_signal(weir_link *link, int event)
{
    weir_status status = here(link);
    return status ? status : weir_shm_signal(link_of(link), event);
}

weir_status weir_shm_handle_passed(weir_link *link, int instruction)
{
    weir_status status = here(link);
    return status ? status : weir_shm_passed(link_of(link), instruction);
}

weir_status weir_shm_handle_progress(weir_link *link)
{
    weir_status status = here(link);
    return status ? status : weir_shm_progress(link_of(link));
}

weir_status weir_shm_handle_finish(weir_link *link)
{
    weir_status status = here(link);
    return status ? status : weir_shm_finish(link_of(link));
}
