#include "include/weir/op.h"

#include <string.h>

#include "base/text.h"
#include "kernels/op_rows.h"

const struct weir_op *const weir_ops[] = {
    &weir_op_embedding, &weir_op_layer_norm, &weir_op_rms_norm, &weir_op_linear,        &weir_op_gelu_tanh,
    &weir_op_gelu_erf,  &weir_op_relu,       &weir_op_silu,     &weir_op_attention,     &weir_op_add,
    &weir_op_dropout,   &weir_op_mse,        &weir_op_cross_entropy, &weir_op_swiglu,      &weir_op_rope,
    &weir_op_concat,    &weir_op_split,      NULL,
};

const struct weir_op weir_op_part = {
    .struct_bytes = sizeof(struct weir_op),
    .name = "part",
    .summary = "an output of the node before it",
    .flags = WEIR_OP_SLICES,
};

bool weir_op_is_built_in(const struct weir_op *op)
{
    bool is = op == &weir_op_attention_cached || op == &weir_op_last_row;
    for (int i = 0; weir_ops[i] && !is; i++)
        is = op == weir_ops[i];
    return is;
}

const struct weir_op *weir_op_at(int index)
{
    int n = (int)(sizeof weir_ops / sizeof *weir_ops);
    return index >= 0 && index < n ? weir_ops[index] : NULL;
}

weir_status weir_op_find(const char *name, const struct weir_op **op_out)
{
    const char *names[sizeof weir_ops / sizeof *weir_ops] = {NULL};
    for (int i = 0; weir_ops[i]; i++) {
        names[i] = weir_ops[i]->name;
        if (strcmp(names[i], name) == 0) {
            *op_out = weir_ops[i];
            return WEIR_OK;
        }
    }
    return weir_unknown("operation", name, names);
}
