/* Processes meet before a run is opened. */
#include "engine/program/build.h"
#include "engine/program/config_take.h"
#include "engine/run/world.h"

static weir_status transport_of(const struct weir_engine_config *given, struct weir_engine_config *config,
                                const struct weir_transport_kind **transport_out)
{
    const struct weir_device_kind *kind;
    weir_status status = weir_engine_config_take(given, config);
    if (!status && !config->device)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "processes meet for ranks on a device, and the configuration has none");
    if (!status)
        status = weir_engine_config_check_timeout(config);
    if (!status)
        status = weir_build_kind_find(config, &kind);
    return status ? status : weir_world_transport(config, kind, transport_out);
}

weir_status weir_connect(const struct weir_engine_config *given)
{
    struct weir_engine_config config;
    const struct weir_transport_kind *transport;
    weir_status status = transport_of(given, &config, &transport);
    if (status || !transport->start)
        return status;
    return transport->start(&(struct weir_transport_config){.n_threads = config.threads_per_rank,
                                                            .timeout_ns = (int64_t)(config.timeout * 1e9),
                                                            .communicator = config.communicator});
}

void weir_disconnect(void)
{
    weir_transport_forgo();
}
