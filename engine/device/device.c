#include "engine/device/device.h"

#include <string.h>

#include "base/text.h"
#include "weir_libraries.h"

const struct weir_device_kind *const weir_device_kinds[] = {
    &weir_device_cpu,
#if WEIR_HAVE_CUDA || defined(WEIR_CUDA_EMULATED)
    &weir_device_cuda,
#endif
    NULL,
};

weir_status weir_device_kind_find(const char *name, const struct weir_device_kind **kind_out)
{
    static const char *const known[] = {"cpu", "cuda", NULL};
    for (const struct weir_device_kind *const *kind = weir_device_kinds; *kind; kind++)
        if (strcmp(name, (*kind)->name) == 0) {
            *kind_out = *kind;
            return WEIR_OK;
        }
    if (strcmp(name, "cuda") == 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "device 'cuda' is not in this build of Weir: use " WEIR_OPTION("device=cpu")
                                         ", or build with -DWEIR_CUDA=ON");
    return weir_unknown("device", name, known);
}
