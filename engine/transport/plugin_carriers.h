/* What a transport in a plugin (engine/device/plugin/plugin.h) takes from the library's: meeting, exchanging and watching, which
 * are those of shm and mpi whatever moves the data. */
#ifndef WEIR_ENGINE_TRANSPORT_PLUGIN_CARRIERS_H
#define WEIR_ENGINE_TRANSPORT_PLUGIN_CARRIERS_H

#include "engine/transport/transport.h"

struct weir_plugin_carriers {
    uint32_t carriers_bytes, kind_bytes, config_bytes, info_bytes, spec_bytes; /* sizes of the structs, as the library has them */
    bool (*launch_is_process)(void);
    weir_status (*mpi_start)(const struct weir_transport_config *config); /* the three are NULL: no MPI */
    weir_status (*mpi_open)(const struct weir_transport_config *config, weir_transport **transport_out);
    void (*mpi_close)(weir_transport *transport);
    weir_status (*shm_open)(const struct weir_transport_config *config, weir_transport **transport_out);
    void (*shm_close)(weir_transport *transport);
    const struct weir_transport_info *(*shm_info)(const weir_transport *transport);
    int64_t (*shm_timeout_ns)(const weir_transport *transport);
    int64_t (*shm_message_ns)(const weir_transport *transport);
    void (*shm_stop)(weir_transport *transport, weir_status status);
    void *(*shm_block)(const weir_transport *transport, int rank);
    weir_status (*shm_exchange)(weir_transport *transport, const void *mine, size_t bytes, void *all_out);
    weir_status (*shm_broadcast)(weir_transport *transport, int root, void *data, size_t bytes);
    bool (*shm_beat)(weir_transport *transport, const void *mine, size_t bytes, weir_heard_fn heard, void *context);
    weir_status (*shm_here)(const weir_transport *transport);
    weir_status (*shm_look)(weir_transport *transport);
};

static inline bool weir_plugin_carriers_fit(const struct weir_plugin_carriers *carriers)
{
    return carriers->carriers_bytes == sizeof *carriers && carriers->kind_bytes == sizeof(struct weir_transport_kind) &&
           carriers->config_bytes == sizeof(struct weir_transport_config) &&
           carriers->info_bytes == sizeof(struct weir_transport_info) && carriers->spec_bytes == sizeof(struct weir_link_spec);
}

#endif
