/* A plugin of another version of Weir: it says so, and gives nothing. */
#include <string.h>

#include "engine/device/plugin/plugin.h"

const struct weir_plugin *weir_plugin_entry(const struct weir_plugin_host *host, struct weir_plugin_stamp *stamp_out);

const struct weir_plugin *weir_plugin_entry(const struct weir_plugin_host *host, struct weir_plugin_stamp *stamp_out)
{
    *stamp_out = host->stamp;
    strcpy(stamp_out->version, "9.8.7");
    return NULL;
}
