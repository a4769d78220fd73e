/* Inside a plugin: what the library gave it.  Set once, when the library enters (plugin_entry.c), before anything else runs. */
#ifndef WEIR_ENGINE_PLUGIN_HOST_H
#define WEIR_ENGINE_PLUGIN_HOST_H

#include "engine/device/plugin/plugin.h"

extern const struct weir_plugin_host *weir_host;
extern const struct weir_plugin_carriers *weir_host_carriers;

#endif
