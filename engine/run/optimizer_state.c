#include "engine/run/optimizer_state.h"

#include "engine/run/params.h"
#include "engine/run/transfer.h"

int weir_runner_n_moments(const struct weir_runner *runner)
{
    return runner->build.config.optimizer == WEIR_OPTIMIZER_ADAMW ? 2 : 0;
}

bool weir_rank_keeps(const struct weir_rank *rank, const struct weir_piece *piece)
{
    return !rank->machine->build->program->zero || piece->replica == rank->replica;
}

size_t weir_moment_offset(const struct weir_piece *piece, int moment)
{
    return piece->state_offset + (size_t)moment * (size_t)piece->n * sizeof(float);
}

static weir_status arguments_check(const struct weir_runner *runner, int moment, const char *name, const void *values, size_t n,
                                   int *param_out)
{
    weir_status status = weir_param_find(runner->build.graph, name, values, n, param_out);
    if (!status && (moment < 0 || moment >= weir_runner_n_moments(runner)))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "the optimizer keeps %d arrays for parameter '%s', there is no number %d",
                           weir_runner_n_moments(runner), name, moment);
    return status;
}

/* From the piece's keeper with ZeRO-1, else from replica 0. */
static weir_status piece_read(struct weir_runner *runner, int moment, int r, const struct weir_piece *piece, float *values)
{
    int replica = runner->build.program->zero ? piece->replica : 0;
    struct weir_rank *keeper = weir_rank_at(&runner->machine, replica, r);
    size_t bytes = (size_t)piece->n * sizeof *values;
    weir_status status = WEIR_OK;
    if (weir_rank_is_here(keeper))
        status = weir_read(keeper, WEIR_MEMORY_OPTIMIZER, weir_moment_offset(piece, moment), values + piece->first, bytes);
    return status ? status : weir_world_share(&runner->world, replica, r, values + piece->first, bytes);
}

weir_status weir_runner_moment_read(struct weir_runner *runner, int moment, const char *name, float *values_out, size_t n)
{
    int param = 0;
    const struct weir_program *program = runner->build.program;
    weir_status status = arguments_check(runner, moment, name, values_out, n, &param);
    for (int r = 0; !status && r < program->n_ranks; r++)
        for (int i = 0; i < program->ranks[r].n_pieces && !status; i++)
            if (program->ranks[r].params[program->ranks[r].pieces[i].held].param == param)
                status = piece_read(runner, moment, r, &program->ranks[r].pieces[i], values_out);
    return status;
}

weir_status weir_runner_moment_write(struct weir_runner *runner, int moment, const char *name, const float *values, size_t n)
{
    int param = 0;
    struct weir_machine *machine = &runner->machine;
    weir_status status = arguments_check(runner, moment, name, values, n, &param);
    for (int r = machine->first_here; !status && r < machine->end_here; r++) {
        const struct weir_rank_program *program = weir_rank_program(&machine->ranks[r]);
        for (int i = 0; i < program->n_pieces && !status; i++) {
            const struct weir_piece *piece = &program->pieces[i];
            if (program->params[piece->held].param == param && weir_rank_keeps(&machine->ranks[r], piece))
                status = weir_write(&machine->ranks[r], WEIR_MEMORY_OPTIMIZER, weir_moment_offset(piece, moment),
                                    values + piece->first, (size_t)piece->n * sizeof *values);
        }
    }
    return status;
}
