#include "kernels/cuda/cuda_choices.h"

#include <string.h>

const struct weir_cuda_choice weir_cuda_choices[] = {
    {.device = NULL}, /* nothing has been measured yet */
};

int weir_cuda_choice_find(const struct weir_cuda_choice *choices, const char *device, uint64_t version, bool tf32,
                          const struct weir_cuda_product *product)
{
    for (const struct weir_cuda_choice *c = choices; c && c->device; c++)
        if (c->version == version && c->tf32 == tf32 && !strcmp(c->device, device) &&
            weir_cuda_product_same(&c->product, product))
            return c->candidate;
    return -1;
}
