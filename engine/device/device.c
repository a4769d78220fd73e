#include "engine/device/device.h"

#include <string.h>

#include "base/text.h"
#include "kernels/cuda/cuda.h"
#include "weir_libraries.h"

const struct weir_device_kind *const weir_device_kinds[] = {
    &weir_device_cpu,
#if WEIR_HAVE_CUDA || defined(WEIR_CUDA_EMULATED)
    &weir_device_cuda,
#endif
    &weir_device_null,
    NULL,
};

#if !(WEIR_HAVE_CUDA || defined(WEIR_CUDA_EMULATED))
static const struct weir_device_kind cuda_sizes = {
    .name = "cuda",
    .summary = "NVIDIA GPUs, of which this build knows sizes alone",
    .flags = WEIR_DEVICE_BF16,
    .launch_transport = "nccl",
    .mpi_transport = "nccl",
    .tensor_device = WEIR_DEVICE_TYPE_CUDA,
    .kernels = weir_cuda_kernels_planned,
    .context_bytes = WEIR_CUDA_WORKSPACE_BYTES,
};

weir_status weir_device_kind_plan(const char *name, const struct weir_device_kind **kind_out)
{
    if (strcmp(name, cuda_sizes.name) != 0)
        return weir_device_kind_find(name, kind_out);
    *kind_out = &cuda_sizes;
    return WEIR_OK;
}
#else
weir_status weir_device_kind_plan(const char *name, const struct weir_device_kind **kind_out)
{
    return weir_device_kind_find(name, kind_out);
}
#endif

weir_status weir_device_kind_find(const char *name, const struct weir_device_kind **kind_out)
{
    static const char *const known[] = {"cpu", "cuda", "null", NULL};
    for (const struct weir_device_kind *const *kind = weir_device_kinds; *kind; kind++)
        if (strcmp(name, (*kind)->name) == 0) {
            *kind_out = *kind;
            return WEIR_OK;
        }
    if (strcmp(name, "cuda") == 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "device 'cuda' is not in this build of Weir: use " WEIR_OPTION("device=cpu")
                                         ", or build with -DWEIR_CUDA=ON");
    if (!strcmp(name, "gpu") || !strcmp(name, "nvidia")) /* near to "cpu" only in letters */
        return WEIR_FAIL(WEIR_ERR_USAGE, "unknown device '%s': GPUs are " WEIR_OPTION("device=cuda"), name);
    return weir_unknown("device", name, known);
}

weir_status weir_op_kernels_find(const struct weir_op *op, const char *device, const struct weir_op_kernels **kernels_out)
{
    const struct weir_device_kind *kind;
    weir_status status = weir_device_kind_find(device, &kind);
    return status ? status : kind->kernels(op, NULL, kernels_out);
}
