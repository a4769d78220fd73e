/* Lists of devices as --device takes them: whatever is accepted gives every rank a device of the kind that was found. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device/device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { RANKS = 5 };
    int indices[RANKS] = {-1, -1, -1, -1, -1}, n_ranks = size ? data[0] % (RANKS + 1) : 0;
    const struct weir_device_kind *kind = NULL, *first = NULL;
    char *text = calloc(size + 1, 1);
    if (!text)
        return 0;
    if (size > 1)
        memcpy(text, data + 1, size - 1);
    if (weir_device_list(text, n_ranks, &kind, indices) == WEIR_OK) {
        if (weir_device_list_kind(text, &first) != WEIR_OK || first != kind)
            abort();
        for (int r = 0; r < n_ranks; r++)
            if (indices[r] < 0)
                abort();
    } else if (kind) {
        abort();
    }
    free(text);
    return 0;
}
