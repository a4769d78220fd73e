/* The functions of the library's transports, as the plugin's sources call them. */
#include "engine/plugin/plugin_host.h"
#include "engine/transport/bootstrap/weir_launch.h"
#include "engine/transport/mpi/mpi_base.h"
#include "engine/transport/plugin_carriers.h"
#include "engine/transport/shm/shm_base.h"

const struct weir_plugin_carriers *weir_host_carriers;

bool weir_launch_is_process(void)
{
    return weir_host_carriers->launch_is_process();
}

/* Without MPI open says so. */
weir_status weir_mpi_start(const struct weir_transport_config *config)
{
    return weir_host_carriers->mpi_start ? weir_host_carriers->mpi_start(config) : WEIR_OK;
}

weir_status weir_mpi_open(const struct weir_transport_config *config, weir_transport **transport_out)
{
    if (!weir_host_carriers->mpi_open)
        return WEIR_FAIL(WEIR_ERR_USAGE, "this build of Weir has no MPI: start the processes with 'weir launch', or build it with "
                                         "-DWEIR_MPI=ON");
    return weir_host_carriers->mpi_open(config, transport_out);
}

void weir_mpi_close(weir_transport *transport)
{
    (weir_host_carriers->mpi_close ? weir_host_carriers->mpi_close : weir_host_carriers->shm_close)(transport);
}

weir_status weir_shm_open(const struct weir_transport_config *config, weir_transport **transport_out)
{
    return weir_host_carriers->shm_open(config, transport_out);
}

const struct weir_transport_info *weir_shm_info(const weir_transport *transport)
{
    return weir_host_carriers->shm_info(transport);
}

int64_t weir_shm_timeout_ns(const weir_transport *transport)
{
    return weir_host_carriers->shm_timeout_ns(transport);
}

int64_t weir_shm_message_ns(const weir_transport *transport)
{
    return weir_host_carriers->shm_message_ns(transport);
}

void weir_shm_stop(weir_transport *transport, weir_status status)
{
    weir_host_carriers->shm_stop(transport, status);
}

void *weir_shm_block(const weir_transport *transport, int rank)
{
    return weir_host_carriers->shm_block(transport, rank);
}

weir_status weir_shm_exchange(weir_transport *transport, const void *mine, size_t bytes, void *all_out)
{
    return weir_host_carriers->shm_exchange(transport, mine, bytes, all_out);
}

weir_status weir_shm_broadcast(weir_transport *transport, int root, void *data, size_t bytes)
{
    return weir_host_carriers->shm_broadcast(transport, root, data, bytes);
}

bool weir_shm_beat(weir_transport *transport, const void *mine, size_t bytes, weir_heard_fn heard, void *context)
{
    return weir_host_carriers->shm_beat(transport, mine, bytes, heard, context);
}

weir_status weir_shm_here(const weir_transport *transport)
{
    return weir_host_carriers->shm_here(transport);
}

weir_status weir_shm_look(weir_transport *transport)
{
    return weir_host_carriers->shm_look(transport);
}
