#include "engine/device/device.h"

#include <string.h>

#include "base/text.h"
#include "engine/device/plugin/plugin.h"
#include "kernels/cuda/cuda.h"

/* In the library itself.  WEIR_CUDA_EMULATED: with stand-ins that are linked, in place of the plugin. */
static const struct weir_device_kind *const linked[] = {
    &weir_device_cpu,
    &weir_device_null,
#if defined(WEIR_CUDA_EMULATED) || defined(WEIR_CUDA_LINKED)
    &weir_device_cuda,
#endif
    NULL,
};

static const char *const in_plugins[] = {"cuda", NULL};

static const struct weir_device_kind *linked_find(const char *name)
{
    const struct weir_device_kind *const *kind = linked;
    while (*kind && strcmp(name, (*kind)->name) != 0)
        kind++;
    return *kind;
}

static bool is_in_plugin(const char *name)
{
    const char *const *known = in_plugins;
    while (*known && strcmp(*known, name) != 0)
        known++;
    return *known != NULL;
}

static weir_status plugin_kind_find(const char *name, const struct weir_device_kind **kind_out)
{
    const struct weir_plugin *plugin;
    weir_status status = weir_plugin_find(name, &plugin);
    if (!status)
        *kind_out = plugin->device;
    return status;
}

weir_status weir_device_kind_find(const char *name, const struct weir_device_kind **kind_out)
{
    static const char *const known[] = {"cpu", "cuda", "null", NULL};
    const struct weir_device_kind *kind = linked_find(name);
    if (kind) {
        *kind_out = kind;
        return WEIR_OK;
    }
    if (is_in_plugin(name))
        return plugin_kind_find(name, kind_out);
    if (!strcmp(name, "gpu") || !strcmp(name, "nvidia")) /* near to "cpu" only in letters */
        return WEIR_FAIL(WEIR_ERR_USAGE, "unknown device '%s': GPUs are " WEIR_OPTION("device=cuda"), name);
    return weir_unknown("device", name, known);
}

const struct weir_device_kind *weir_device_kind_at(int i)
{
    const int n = sizeof linked / sizeof *linked - 1;
    const struct weir_device_kind *kind = NULL;
    if (i < n)
        return i < 0 ? NULL : linked[i];
    for (int p = 0, at = n; in_plugins[p]; p++)
        if (!linked_find(in_plugins[p]) && !plugin_kind_find(in_plugins[p], &kind) && at++ == i)
            return kind;
    return NULL;
}

/* What is known of it without its plugin. */
static const struct weir_device_kind cuda_planned = {
    .name = "cuda",
    .summary = "NVIDIA GPUs, of which sizes alone are known here",
    .flags = WEIR_DEVICE_BF16,
    .launch_transport = "nccl",
    .mpi_transport = "nccl",
    .tensor_device = WEIR_DEVICE_TYPE_CUDA,
    .kernels = weir_cuda_kernels_planned,
    .context_bytes = WEIR_CUDA_WORKSPACE_BYTES,
};

weir_status weir_device_kind_plan(const char *name, const struct weir_device_kind **kind_out)
{
    if (linked_find(name) || strcmp(name, cuda_planned.name) != 0)
        return weir_device_kind_find(name, kind_out);
    *kind_out = &cuda_planned;
    return WEIR_OK;
}

weir_status weir_op_kernels_find(const struct weir_op *op, const char *device, const struct weir_op_kernels **kernels_out)
{
    const struct weir_device_kind *kind;
    weir_status status = weir_device_kind_find(device, &kind);
    return status ? status : kind->kernels(op, NULL, kernels_out);
}
