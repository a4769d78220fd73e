/* Looking into an engine: parameters, events of the last step, tables. */
#include <string.h>

#include "engine/run/state.h"
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

/* The process that owns it has it; the others get it from there. */
static weir_status param_share(weir_engine *engine, int owner, float *values, size_t n)
{
    return engine->wire ? engine->wire->broadcast(engine->transport, weir_peers_process(engine, 0, owner), values,
                                                  n * sizeof *values)
                        : WEIR_OK;
}

weir_status weir_engine_param_read(weir_engine *engine, const char *name, float *values_out, size_t n)
{
    int param, owner = 0;
    weir_status status = param_find(engine, name, n, &param);
    for (int r = 0; !status && r < engine->program->n_ranks; r++)
        for (int i = 0; i < engine->program->ranks[r].n_params; i++) {
            const struct weir_rank_param *held = &engine->program->ranks[r].params[i];
            const struct weir_rank *rank = weir_rank_at(engine, 0, r);
            if (held->param != param || !held->owned)
                continue;
            owner = r;
            if (weir_rank_is_here(rank))
                memcpy(values_out, rank->blocks[WEIR_MEMORY_PARAMS] + held->offset, n * sizeof(float));
        }
    return status ? status : param_share(engine, owner, values_out, n);
}

weir_status weir_engine_param_write(weir_engine *engine, const char *name, const float *values, size_t n)
{
    int param;
    weir_status status = param_find(engine, name, n, &param);
    for (int r = engine->first_here; !status && r < engine->end_here; r++) {
        const struct weir_rank *rank = &engine->ranks[r];
        const struct weir_rank_program *program = &engine->program->ranks[rank->index];
        for (int i = 0; i < program->n_params; i++)
            if (program->params[i].param == param)
                memcpy(rank->blocks[WEIR_MEMORY_PARAMS] + program->params[i].offset, values, n * sizeof(float));
    }
    return status;
}

size_t weir_engine_events(const weir_engine *engine, struct weir_step_event *events_out, size_t room)
{
    static const char *const categories[] = {"F", "I", "W", "B"};
    size_t n = 0;
    for (int r = 0; r < engine->n_ranks; r++)
        for (int i = 0; i < engine->program->ranks[engine->ranks[r].index].n_instrs; i++, n++) {
            const struct weir_exec *exec = &engine->ranks[r].execs[i];
            bool action = exec->instr->kind == WEIR_INSTR_ACTION;
            if (n < room)
                events_out[n] = (struct weir_step_event){
                    r, exec->name, action ? categories[exec->instr->list] : "optimizer", exec->instr->stage,
                    exec->instr->mb, exec->start_ns, exec->end_ns};
        }
    return n;
}

size_t weir_engine_op_times(const weir_engine *engine, struct weir_op_time *times_out, size_t room)
{
    static const char *const passes[] = {"forward", "backward_input", "backward_weight"};
    size_t n = 0;
    for (int k = 0; k < engine->graph->n_nodes; k++)
        for (int pass = 0; pass < WEIR_PASSES; pass++) {
            const char *op = engine->graph->nodes[k].op->name;
            size_t at = 0;
            struct weir_op_clock sum = {0, 0};
            for (int r = engine->first_here; r < engine->end_here; r++) {
                sum.calls += engine->ranks[r].clocks[k * WEIR_PASSES + pass].calls;
                sum.ns += engine->ranks[r].clocks[k * WEIR_PASSES + pass].ns;
            }
            if (!sum.calls)
                continue;
            while (at < n && at < room && (times_out[at].op != op || times_out[at].pass != passes[pass]))
                at++;
            if (at == n && n++ < room)
                times_out[at] = (struct weir_op_time){op, passes[pass], 0, 0};
            if (at < room) {
                times_out[at].calls += sum.calls;
                times_out[at].ns += sum.ns;
            }
        }
    return n;
}

weir_status weir_engine_events_gather(weir_engine *engine)
{
    return engine->wire ? weir_peers_times(engine) : WEIR_OK;
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
    fprintf(out, "not in the table: libraries and threads, about %zu bytes\n", weir_library_bytes());
}

void weir_engine_print_program(const weir_engine *engine, FILE *out)
{
    weir_program_dump(engine->program, out);
}
