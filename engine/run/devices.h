/* Which rank uses which device, whether it fits, and what is fed to devices whose kernels cannot refuse it. */
#ifndef WEIR_ENGINE_RUN_DEVICES_H
#define WEIR_ENGINE_RUN_DEVICES_H

#include "engine/run/state.h"

/* Open the devices that the configuration names and let all reach each other's memory.  WEIR_ERR_USAGE,
 * WEIR_ERR_UNSUPPORTED. */
weir_status weir_devices_open(weir_engine *engine);

/* Without opening any: the rows of memory beside the blocks that are known beforehand. */
weir_status weir_devices_preview(weir_engine *engine);

/* WEIR_ERR_NOFIT names the device, its ranks' bytes and what it has. */
weir_status weir_devices_fit(weir_engine *engine);

/* Kernels that enqueue cannot refuse a number outside of the vocabulary: it is refused here.  WEIR_ERR_INVALID names it. */
weir_status weir_input_check(const struct weir_graph *graph, int input, const void *data);

#endif
