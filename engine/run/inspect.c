/* Looking into an engine: parameters, events of the last step, tables. */
#include <string.h>

#include "engine/run/extra_memory.h"
#include "engine/run/state.h"
#include "engine/run/transfer.h"
#include "weir_parts.h"

static weir_status param_find(const struct weir_engine *engine, const char *name, size_t n, int *param_out)
{
    for (int i = 0; i < engine->graph->n_params; i++) {
        const struct weir_param *param = &engine->graph->params[i];
        if (strcmp(param->name, name))
            continue;
        if ((size_t)weir_shape_elements(&param->shape) != n)
            return WEIR_FAIL(WEIR_ERR_INVALID, "parameter '%s' has %lld elements, not %zu", name,
                             (long long)weir_shape_elements(&param->shape), n);
        *param_out = i;
        return WEIR_OK;
    }
    return WEIR_FAIL(WEIR_ERR_INVALID, "model '%s' has no parameter '%s'", engine->graph->name, name);
}

/* The rank of its pipeline that owns `param`, and how it holds it. */
static const struct weir_rank_param *owner_find(const struct weir_engine *engine, int param, int *rank_out)
{
    for (int r = 0; r < engine->program->n_ranks; r++)
        for (int i = 0; i < engine->program->ranks[r].n_params; i++) {
            const struct weir_rank_param *held = &engine->program->ranks[r].params[i];
            if (held->param == param && held->owned) {
                *rank_out = r;
                return held;
            }
        }
    return NULL;
}

weir_status weir_engine_param_read(weir_engine *engine, const char *name, float *values_out, size_t n)
{
    int param = 0;
    weir_status status = param_find(engine, name, n, &param);
    if (status)
        return status;
    int owner = 0; /* in replica 0 */
    const struct weir_rank_param *held = owner_find(engine, param, &owner);
    struct weir_rank *rank = weir_rank_at(engine, 0, owner);
    if (held && weir_rank_is_here(rank))
        status = weir_read(rank, WEIR_MEMORY_PARAMS, held->offset, values_out, n * sizeof(float));
    return status ? status : weir_peers_share(engine, 0, owner, values_out, n * sizeof(float));
}

static weir_status held_write(struct weir_rank *rank, const struct weir_rank_param *held, const float *values, size_t n)
{
    const struct weir_device_kind *kind = rank->engine->kind;
    weir_status status = weir_write(rank, WEIR_MEMORY_PARAMS, held->offset, values, n * sizeof(float));
    if (!status && !(kind->flags & WEIR_DEVICE_TASKS))
        status = kind->native(rank->stream, &rank->native);
    return status ? status : weir_param_round(rank, held, 0, (int64_t)n);
}

weir_status weir_engine_param_write(weir_engine *engine, const char *name, const float *values, size_t n)
{
    int param = 0;
    weir_status status = param_find(engine, name, n, &param);
    for (int r = engine->first_here; !status && r < engine->end_here; r++) {
        struct weir_rank *rank = &engine->ranks[r];
        const struct weir_rank_program *program = &engine->program->ranks[rank->index];
        for (int i = 0; i < program->n_params && !status; i++)
            if (program->params[i].param == param)
                status = held_write(rank, &program->params[i], values, n);
    }
    return status;
}

/* The gradient of a piece of rank `r`: TIE_ADD and REDUCE have left the sum with the piece's keeper. */
static weir_status piece_fetch(weir_engine *engine, int r, const struct weir_piece *piece, float *values)
{
    struct weir_rank *keeper = weir_rank_at(engine, piece->replica, r);
    weir_status status = WEIR_OK;
    size_t first = (size_t)piece->first * sizeof *values, bytes = (size_t)piece->n * sizeof *values;
    size_t offset = engine->program->ranks[r].params[piece->held].grad_offset + first;
    if (weir_rank_is_here(keeper))
        status = weir_read(keeper, WEIR_MEMORY_GRADS, offset, values + piece->first, bytes);
    return status ? status : weir_peers_share(engine, piece->replica, r, values + piece->first, bytes);
}

weir_status weir_engine_gradient_read(weir_engine *engine, const char *name, float *values_out, size_t n)
{
    int param = 0;
    weir_status status = param_find(engine, name, n, &param);
    if (!status && !engine->stepped)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "no step was run: parameter '%s' has no gradient yet", name);
    for (int r = 0; !status && r < engine->program->n_ranks; r++)
        for (int i = 0; i < engine->program->ranks[r].n_pieces && !status; i++)
            if (engine->program->ranks[r].params[engine->program->ranks[r].pieces[i].held].param == param)
                status = piece_fetch(engine, r, &engine->program->ranks[r].pieces[i], values_out);
    return status;
}

size_t weir_engine_events(const weir_engine *engine, struct weir_step_event *events_out, size_t room)
{
    static const char *const categories[] = {"F", "I", "W", "B"};
    size_t n = 0;
    for (int r = 0; r < engine->n_ranks; r++)
        for (int i = 0; i < engine->program->ranks[engine->ranks[r].index].n_instrs; i++, n++) {
            const struct weir_exec *exec = &engine->train.execs[r][i];
            int64_t ahead = weir_rank_is_here(&engine->ranks[r]) ? engine->clock_ahead_ns : 0;
            bool action = exec->instr->kind == WEIR_INSTR_ACTION;
            if (n < room)
                events_out[n] = (struct weir_step_event){
                    r, exec->name, action ? categories[exec->instr->list] : "optimizer", exec->instr->stage,
                    exec->instr->mb, exec->start_ns - ahead, exec->end_ns - ahead};
        }
    return n;
}

/* One pass of one node, all ranks together. */
static struct weir_op_time node_time(const struct weir_engine *engine, int node, int pass)
{
    static const char *const passes[] = {"forward", "backward_input", "backward_weight"};
    const struct weir_node *n = &engine->graph->nodes[node];
    struct weir_op_time time = {.op = n->op->name, .pass = passes[pass]};
    for (int r = 0; r < engine->n_ranks; r++) {
        const struct weir_op_clock *clock = &engine->ranks[r].clocks[node * WEIR_PASSES + pass];
        time.calls += clock->calls;
        time.ns += clock->ns;
    }
    time.flops = (double)time.calls * n->shapes.flops[pass];
    return time;
}

/* The pass of the nodes from `first` on that have its operation, when `first` is the first of them that was called. */
static bool op_time(const struct weir_engine *engine, int first, int pass, struct weir_op_time *sum)
{
    const struct weir_node *nodes = engine->graph->nodes;
    *sum = node_time(engine, first, pass);
    if (!sum->calls)
        return false;
    for (int k = 0; k < first; k++)
        if (nodes[k].op == nodes[first].op && node_time(engine, k, pass).calls)
            return false;
    for (int k = first + 1; k < engine->graph->n_nodes; k++) {
        struct weir_op_time time = nodes[k].op == nodes[first].op ? node_time(engine, k, pass) : (struct weir_op_time){0};
        sum->calls += time.calls;
        sum->ns += time.ns;
        sum->flops += time.flops;
    }
    return true;
}

size_t weir_engine_op_times(const weir_engine *engine, struct weir_op_time *times_out, size_t room)
{
    struct weir_op_time sum;
    size_t n = 0;
    for (int k = 0; k < engine->graph->n_nodes; k++)
        for (int pass = 0; pass < WEIR_PASSES; pass++)
            if (op_time(engine, k, pass, &sum) && n++ < room)
                times_out[n - 1] = sum;
    return n;
}

weir_status weir_engine_events_gather(weir_engine *engine)
{
    return weir_peers_times(engine);
}

int weir_engine_process(const weir_engine *engine, int *n_processes_out)
{
    *n_processes_out = engine->wire ? engine->info->n_ranks : 1;
    return engine->wire ? engine->info->rank : 0;
}

void weir_engine_stop_flag(weir_engine *engine, const volatile int *flag)
{
    engine->stop_flag = flag;
}

void weir_engine_fail(weir_engine *engine, weir_status status)
{
    if (engine)
        weir_peers_stop(engine, status);
}

bool weir_engine_reads(const weir_engine *engine, const char *name, int mb)
{
    int replica = mb / engine->program->n_microbatches;
    for (int i = 0; i < engine->graph->n_inputs && replica >= 0 && replica < engine->n_replicas; i++)
        for (int r = 0; r < engine->program->n_ranks; r++)
            if (!strcmp(engine->graph->inputs[i].name, name) &&
                engine->program->ranks[r].input_offsets[i] != SIZE_MAX &&
                weir_rank_is_here(weir_rank_at(engine, replica, r)))
                return true;
    return false;
}

int weir_engine_first_layer(const weir_engine *engine, int stage)
{
    return engine->first_layer[stage];
}

size_t weir_library_bytes(void)
{
    return (size_t)(WEIR_HAVE_ONEDNN ? 10 : 4) << 20;
}

void weir_engine_print_memory(const weir_engine *engine, FILE *out)
{
    weir_program_dump_memory(engine->program, out);
    weir_extra_print(engine, out);
    if (engine->extras)
        fprintf(out, "not in the table: what the device's own libraries take of the host, kernels loaded when first called\n");
    fprintf(out, "not in the table: libraries and threads, about %zu bytes\n", weir_library_bytes());
}

void weir_engine_print_program(const weir_engine *engine, FILE *out)
{
    weir_program_dump(engine->program, out);
}
