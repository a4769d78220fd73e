#include "kernels/kernel_table.h"

#include <string.h>

#include "base/status.h"
#include "kernels/op_rows.h"

const struct weir_op_kernels *weir_kernel_row_find(const struct weir_kernel_row *rows, const struct weir_op *op)
{
    while (rows->op && strcmp(rows->op, op->name) != 0)
        rows++;
    return rows->op && weir_op_is_built_in(op) ? &rows->kernels : NULL;
}

weir_status weir_kernel_table_find(const struct weir_kernel_table *table, const struct weir_op *op,
                                   const struct weir_op_kernels *own, const struct weir_op_kernels **kernels_out)
{
    const struct weir_op_kernels *kernels = own->forward ? own : weir_kernel_row_find(table->rows, op);
    if (!kernels)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "device '%s' has no kernels for operation '%s': give the row kernels for it, or "
                         "use another " WEIR_OPTION("device"), table->device, op->name);
    *kernels_out = kernels;
    return WEIR_OK;
}

weir_status weir_kernel_absent(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "operation '%s' has no kernel for this device in this build", call->op->name);
}
