/* The nccl transport: its table.  nccl_shared.h explains how it works. */
#include "engine/transport/nccl/nccl_shared.h"

#include "engine/transport/bootstrap/weir_launch.h"

/* ---- the table: its links are struct weir_nccl_link, and only this file knows it ------------------------------------------ */

static struct weir_nccl_link *link_of(weir_link *handle)
{
    return (struct weir_nccl_link *)handle;
}

static const struct weir_nccl_link *link_seen(const weir_link *handle)
{
    return (const struct weir_nccl_link *)handle;
}

static weir_status here(weir_link *link)
{
    return weir_shm_here(link_of(link)->transport);
}

static weir_status link_open(weir_transport *transport, const struct weir_link_spec *spec, weir_link **link_out)
{
    struct weir_nccl_link *link;
    weir_status status = weir_shm_here(transport);
    if (!status)
        status = weir_nccl_link_open(transport, spec, link_seen(spec->memory), &link);
    if (!status)
        *link_out = (weir_link *)link;
    return status;
}

static void link_close(weir_link *link)
{
    if (link && weir_shm_here(link_of(link)->transport) == WEIR_OK)
        weir_nccl_link_close(link_of(link));
}

static void *link_memory(const weir_link *link, int rank, int block)
{
    return weir_nccl_memory(link_seen(link), rank, block);
}

static size_t link_mirror_bytes(const weir_link *link)
{
    return weir_nccl_mirror_bytes(link_seen(link));
}

static weir_status link_begin(weir_link *link)
{
    weir_status status = here(link);
    return status ? status : weir_nccl_begin(link_of(link));
}

static weir_status link_wait(weir_link *link, int rank, int event)
{
    weir_status status = here(link);
    return status ? status : weir_nccl_wait(link_of(link), rank, event);
}

static weir_status link_signal(weir_link *link, int event)
{
    weir_status status = here(link);
    return status ? status : weir_nccl_signal(link_of(link), event);
}

static weir_status link_passed(weir_link *link, int instruction)
{
    weir_status status = here(link);
    return status ? status : weir_nccl_passed(link_of(link), instruction);
}

static weir_status link_progress(weir_link *link)
{
    weir_status status = here(link);
    return status ? status : weir_nccl_progress(link_of(link));
}

static weir_status link_finish(weir_link *link)
{
    weir_status status = here(link);
    return status ? status : weir_nccl_finish(link_of(link));
}

static size_t link_buffer_bytes(const weir_link *link)
{
    return weir_nccl_buffer_bytes(link_seen(link));
}

static weir_status link_place(weir_link *link, void *const *blocks)
{
    weir_status status = here(link);
    return status ? status : weir_nccl_place(link_of(link), blocks);
}

static weir_status link_claim(weir_link *link, int event)
{
    weir_status status = here(link);
    return status ? status : weir_nccl_claim(link_of(link), event);
}

static weir_status link_collect(weir_link *link, enum weir_collective_scope scope, enum weir_collective what,
                                enum weir_dtype dtype, int n_spans, const struct weir_collective_span *spans)
{
    weir_status status = here(link);
    return status ? status : weir_nccl_collect(link_of(link), scope, what, dtype, n_spans, spans);
}

static weir_status link_collected(weir_link *link, enum weir_collective_scope scope)
{
    weir_status status = here(link);
    return status ? status : weir_nccl_collected(link_of(link), scope);
}

static weir_status link_look(weir_link *link)
{
    weir_status status = here(link);
    return status ? status : weir_nccl_look(link_of(link));
}

static bool link_awaited(const weir_link *link, int *rank_out, int *event_out)
{
    return weir_nccl_awaited(link_seen(link), rank_out, event_out);
}

static bool link_abort(weir_link *link)
{
    return here(link) || weir_nccl_abort(link_of(link)); /* a child after fork() has nothing to end */
}

static weir_status transport_start(const struct weir_transport_config *config)
{
    return weir_launch_is_process() && !config->communicator ? WEIR_OK : weir_mpi_start(config);
}

static weir_status transport_open(const struct weir_transport_config *config, weir_transport **transport_out)
{
    return (weir_launch_is_process() && !config->communicator ? weir_shm_open : weir_mpi_open)(config, transport_out);
}

const struct weir_transport_kind weir_transport_nccl = {
    .name = "nccl",
    .summary = "ranks are processes with a GPU each: NCCL moves device memory, MPI starts and watches",
    .device_side = true,
    .start = transport_start,
    .open = transport_open,
    .info = weir_shm_info,
    .stop = weir_shm_stop,
    .beat = weir_shm_beat,
    .block = weir_shm_block,
    .close = weir_mpi_close,
    .exchange = weir_shm_exchange,
    .broadcast = weir_shm_broadcast,
    .link_open = link_open,
    .link_close = link_close,
    .memory = link_memory,
    .mirror_bytes = link_mirror_bytes,
    .begin = link_begin,
    .wait = link_wait,
    .signal = link_signal,
    .passed = link_passed,
    .progress = link_progress,
    .finish = link_finish,
    .buffer_bytes = link_buffer_bytes,
    .place = link_place,
    .claim = link_claim,
    .collect = link_collect,
    .collected = link_collected,
    .look = link_look,
    .awaited = link_awaited,
    .abort = link_abort,
};
