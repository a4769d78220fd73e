/* What follows the last micro-batch, as the runner asks for it. */
#include "engine/train/trainer.h"

weir_status weir_step_end(void *context, struct weir_rank *rank, const struct weir_instr *instr)
{
    const struct weir_runner *runner = context;
    switch (instr->kind) {
    case WEIR_INSTR_ACTION:
        break; /* the runner's own */
    case WEIR_INSTR_TIE_ADD:
        return weir_tie_add(rank);
    case WEIR_INSTR_REDUCE:
        return weir_reduce(runner, rank, instr->bucket);
    case WEIR_INSTR_GATHER:
        return weir_gather(runner, rank, instr->bucket);
    case WEIR_INSTR_NORM:
        return weir_norm(runner, rank);
    case WEIR_INSTR_UPDATE:
        return weir_update(runner, rank);
    case WEIR_INSTR_PARAM_GATHER:
        return runner->gradients_only ? WEIR_OK : weir_param_gather(runner, rank);
    case WEIR_INSTR_TIE_COPY:
        return runner->gradients_only ? WEIR_OK : weir_tie_copy(rank);
    }
    return WEIR_FAIL(WEIR_ERR_INTERNAL, "instruction kind %d", (int)instr->kind);
}
