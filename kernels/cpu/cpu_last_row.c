#include <string.h>

#include "kernels/cpu/cpu.h"

weir_status weir_cpu_last_row_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    int64_t rows = call->inputs[0].shape[1], width = call->inputs[0].shape[2];
    int64_t last = (call->sequence ? call->sequence->n_rows : rows) - 1;
    memcpy(call->output.data, (const float *)call->inputs[0].data + last * width, (size_t)width * sizeof(float));
    return WEIR_OK;
}
