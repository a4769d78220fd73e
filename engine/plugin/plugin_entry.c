/* libweir_cuda.so: the one function that it exports. */
#include "engine/plugin/plugin_host.h"
#include "engine/transport/plugin_carriers.h"
#include "kernels/vector.h"
#include "weir_libraries.h"

#if WEIR_HAVE_NCCL || defined(WEIR_NCCL_EMULATED)
static const struct weir_transport_kind *transport_give(const struct weir_plugin_carriers *carriers)
{
    if (!weir_plugin_carriers_fit(carriers))
        return NULL;
    weir_host_carriers = carriers;
    return &weir_transport_nccl;
}
#else
#define transport_give NULL
#endif

__attribute__((visibility("default"))) const struct weir_plugin *weir_plugin_entry(const struct weir_plugin_host *host,
                                                                                   struct weir_plugin_stamp *stamp_out);

const struct weir_plugin *weir_plugin_entry(const struct weir_plugin_host *host, struct weir_plugin_stamp *stamp_out)
{
    static struct weir_plugin plugin = {.device = &weir_device_cuda, .transport = transport_give};
    plugin.stamp = weir_plugin_stamp(sizeof(struct weir_vector_kernels));
    *stamp_out = plugin.stamp;
    if (host->stamp.stamp_bytes != plugin.stamp.stamp_bytes || host->stamp.interface != plugin.stamp.interface ||
        host->stamp.host_bytes != plugin.stamp.host_bytes)
        return NULL;
    weir_host = host;
    return &plugin;
}
