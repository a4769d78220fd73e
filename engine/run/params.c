#include "engine/run/params.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "engine/run/transfer.h"

/* ---- by name ------------------------------------------------------------------------------------------------------- */

weir_status weir_param_find(const struct weir_graph *graph, const char *name, const void *values, size_t n,
                            int *param_out)
{
    if (!name || !values)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a parameter needs a name and room for its values: one of them is NULL");
    for (int i = 0; i < graph->n_params; i++) {
        const struct weir_param *param = &graph->params[i];
        if (strcmp(param->name, name))
            continue;
        if ((size_t)weir_shape_elements(&param->shape) != n)
            return WEIR_FAIL(WEIR_ERR_INVALID, "parameter '%s' has %lld elements, not %zu", name,
                             (long long)weir_shape_elements(&param->shape), n);
        *param_out = i;
        return WEIR_OK;
    }
    return WEIR_FAIL(WEIR_ERR_INVALID, "model '%s' has no parameter '%s'", graph->name, name);
}

/* The rank of its pipeline that owns `param`, and how it holds it. */
static const struct weir_rank_param *owner_find(const struct weir_program *program, int param, int *rank_out)
{
    for (int r = 0; r < program->n_ranks; r++)
        for (int i = 0; i < program->ranks[r].n_params; i++) {
            const struct weir_rank_param *held = &program->ranks[r].params[i];
            if (held->param == param && held->owned) {
                *rank_out = r;
                return held;
            }
        }
    return NULL;
}

weir_status weir_runner_param_read(struct weir_runner *runner, const char *name, float *values_out, size_t n)
{
    int param = 0, owner = 0; /* in replica 0 */
    weir_status status = weir_param_find(runner->build.graph, name, values_out, n, &param);
    if (status)
        return status;
    const struct weir_rank_param *held = owner_find(runner->build.program, param, &owner);
    struct weir_rank *rank = weir_rank_at(&runner->machine, 0, owner);
    if (held && weir_rank_is_here(rank))
        status = weir_read(rank, WEIR_MEMORY_PARAMS, held->offset, values_out, n * sizeof(float));
    return status ? status : weir_world_share(&runner->world, 0, owner, values_out, n * sizeof(float));
}

static bool is_finite(const float *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return false;
    return true;
}

typedef weir_status (*read_fn)(struct weir_runner *runner, const char *name, float *values_out, size_t n);

/* The first parameter of the graph for which `read` gives a value that is not finite; NULL: there is none. */
static weir_status bad_find(struct weir_runner *runner, read_fn read, const char **name_out)
{
    const struct weir_graph *graph = runner->build.graph;
    const char *bad = NULL;
    weir_status status = WEIR_OK;
    for (int i = 0; i < graph->n_params && !status && !bad; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        float *values = NULL;
        status = weir_alloc(n, sizeof *values, &values);
        if (!status)
            status = read(runner, graph->params[i].name, values, n);
        if (!status && !is_finite(values, n))
            bad = graph->params[i].name;
        weir_free(values);
    }
    if (!status)
        *name_out = bad;
    return status;
}

weir_status weir_runner_param_bad(struct weir_runner *runner, const char **name_out)
{
    return bad_find(runner, weir_runner_param_read, name_out);
}

weir_status weir_runner_gradient_bad(struct weir_runner *runner, const char **name_out)
{
    return bad_find(runner, weir_runner_gradient_read, name_out);
}

static weir_status held_write(struct weir_rank *rank, const struct weir_rank_param *held, const float *values, size_t n)
{
    const struct weir_device_kind *kind = rank->machine->kind;
    weir_status status = weir_write(rank, WEIR_MEMORY_PARAMS, held->offset, values, n * sizeof(float));
    if (!status)
        status = kind->native(rank->stream, &rank->native);
    return status ? status : weir_param_round(rank, held, 0, (int64_t)n, rank->native);
}

weir_status weir_runner_param_write(struct weir_runner *runner, const char *name, const float *values, size_t n)
{
    int param = 0;
    struct weir_machine *machine = &runner->machine;
    weir_status status = weir_param_find(runner->build.graph, name, values, n, &param);
    for (int r = machine->first_here; !status && r < machine->end_here; r++) {
        const struct weir_rank_program *program = weir_rank_program(&machine->ranks[r]);
        for (int i = 0; i < program->n_params && !status; i++)
            if (program->params[i].param == param)
                status = held_write(&machine->ranks[r], &program->params[i], values, n);
    }
    return status;
}

bool weir_runner_holds(const struct weir_runner *runner, int param)
{
    const struct weir_machine *machine = &runner->machine;
    for (int r = machine->first_here; r < machine->end_here; r++) {
        const struct weir_rank_program *program = weir_rank_program(&machine->ranks[r]);
        for (int i = 0; i < program->n_params; i++)
            if (program->params[i].param == param)
                return true;
    }
    return false;
}

/* The gradient of a piece of rank `r`: TIE_ADD and REDUCE have left the sum with the piece's keeper. */
static weir_status piece_fetch(struct weir_runner *runner, int r, const struct weir_piece *piece, float *values)
{
    struct weir_rank *keeper = weir_rank_at(&runner->machine, piece->replica, r);
    weir_status status = WEIR_OK;
    size_t first = (size_t)piece->first * sizeof *values, bytes = (size_t)piece->n * sizeof *values;
    size_t offset = runner->build.program->ranks[r].params[piece->held].grad_offset + first;
    if (weir_rank_is_here(keeper))
        status = weir_read(keeper, WEIR_MEMORY_GRADS, offset, values + piece->first, bytes);
    return status ? status : weir_world_share(&runner->world, piece->replica, r, values + piece->first, bytes);
}

weir_status weir_runner_gradient_read(struct weir_runner *runner, const char *name, float *values_out, size_t n)
{
    int param = 0;
    const struct weir_program *program = runner->build.program;
    weir_status status = weir_param_find(runner->build.graph, name, values_out, n, &param);
    for (int r = 0; !status && r < program->n_ranks; r++)
        for (int i = 0; i < program->ranks[r].n_pieces && !status; i++)
            if (program->ranks[r].params[program->ranks[r].pieces[i].held].param == param)
                status = piece_fetch(runner, r, &program->ranks[r].pieces[i], values_out);
    return status;
}

/* Of every replica, whoever keeps the piece. */
weir_status weir_runner_gradient_write(struct weir_runner *runner, const char *name, const float *values, size_t n)
{
    int param = 0;
    struct weir_machine *machine = &runner->machine;
    weir_status status = weir_param_find(runner->build.graph, name, values, n, &param);
    for (int r = machine->first_here; !status && r < machine->end_here; r++) {
        const struct weir_rank_program *program = weir_rank_program(&machine->ranks[r]);
        for (int i = 0; i < program->n_pieces && !status; i++) {
            const struct weir_piece *piece = &program->pieces[i];
            size_t first = (size_t)piece->first * sizeof *values, offset = program->params[piece->held].grad_offset + first;
            if (program->params[piece->held].param == param)
                status = weir_write(&machine->ranks[r], WEIR_MEMORY_GRADS, offset, values + piece->first,
                                    (size_t)piece->n * sizeof *values);
        }
    }
    return status;
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

/* Enqueued on the rank's stream, on which the parameter was changed and on which all that read the copy run: no event. */
weir_status weir_param_round(const struct weir_rank *rank, const struct weir_rank_param *held, int64_t first, int64_t n, void *stream)
{
    const struct weir_build *build = rank->machine->build;
    if (build->graph->storage == WEIR_DTYPE_F32)
        return WEIR_OK; /* there are no copies */
    size_t size = weir_dtype_bytes(build->graph->storage), at = (size_t)first;
    return build->kind->vectors->to_bf16(n, weir_block_at(rank, WEIR_MEMORY_PARAMS, held->offset + at * sizeof(float)),
                                    rank->blocks[WEIR_MEMORY_COPIES] + held->copy_offset + at * size, stream);
}

/* Elements [first, first + n) of a parameter's initial values. */
static void values_fill(const struct weir_build *build, const struct weir_param *param, int64_t first, int64_t n,
                        float *values)
{
    if (param->init == WEIR_INIT_NORMAL)
        weir_rng_fill_normal(weir_rng_key(build->config.seed, param->name), first, n, param->scale, values);
    for (int64_t k = 0; k < n && param->init == WEIR_INIT_CONSTANT; k++)
        values[k] = (float)param->scale;
}

static weir_status param_init(struct weir_rank *rank, const struct weir_rank_param *held)
{
    const struct weir_build *build = rank->machine->build;
    const struct weir_param *param = &build->graph->params[held->param];
    int64_t n = weir_shape_elements(&param->shape);
    weir_status status = WEIR_OK;
    for (int64_t at = 0, part; at < n && !status; at += part) {
        size_t offset = held->offset + (size_t)at * sizeof(float);
        part = n - at;
        float *values = weir_write_room(rank, WEIR_MEMORY_PARAMS, offset, &part);
        memset(values, 0, (size_t)part * sizeof(float));
        values_fill(build, param, at, part, values);
        status = weir_write(rank, WEIR_MEMORY_PARAMS, offset, values, (size_t)part * sizeof(float));
    }
    return status ? status : weir_param_round(rank, held, 0, n, rank->native);
}

weir_status weir_params_init(struct weir_rank *rank)
{
    const struct weir_rank_program *r = weir_rank_program(rank);
    weir_status status = WEIR_OK;
    if (rank->machine->kind->flags & WEIR_DEVICE_DRY)
        return WEIR_OK;
    for (int i = 0; i < r->n_params && !status; i++)
        status = param_init(rank, &r->params[i]);
    return status;
}
