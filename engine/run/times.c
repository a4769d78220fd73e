#include "engine/run/times.h"

#include "base/alloc.h"

/* ---- gathering ----------------------------------------------------------------------------------------------------- */

struct weir_run_span weir_run_span(const struct weir_run *run, int64_t *compute_ns)
{
    struct weir_run_span span = {INT64_MAX, 0};
    const struct weir_machine *machine = &run->runner->machine;
    for (int r = machine->first_here; r < machine->end_here; r++) {
        int64_t *sum = &compute_ns[machine->ranks[r].worker];
        if (weir_rank_is_first(&machine->ranks[r]))
            *sum = 0;
        for (int i = 0; i < run->program->ranks[machine->ranks[r].index].n_instrs; i++) {
            const struct weir_exec *exec = &run->execs[r][i];
            *sum += exec->end_ns - exec->start_ns;
            span.first_ns = exec->start_ns < span.first_ns ? exec->start_ns : span.first_ns;
            span.last_ns = exec->end_ns > span.last_ns ? exec->end_ns : span.last_ns;
        }
    }
    return span;
}

static weir_status rank_times(const struct weir_run *run, const struct weir_rank *rank, int64_t *times)
{
    const struct weir_world *world = &run->runner->world;
    struct weir_exec *execs = run->execs[rank->number];
    int n = run->program->ranks[rank->index].n_instrs;
    bool here = weir_rank_is_here(rank);
    for (int k = 0; k < n && here; k++) {
        times[2 * k] = execs[k].start_ns - world->clock_ahead_ns;
        times[2 * k + 1] = execs[k].end_ns - world->clock_ahead_ns;
    }
    weir_status status = weir_world_share(world, rank->replica, rank->index, times, 2 * (size_t)n * sizeof *times);
    for (int k = 0; k < n && !here && !status; k++) {
        execs[k].start_ns = times[2 * k];
        execs[k].end_ns = times[2 * k + 1];
    }
    size_t clocks = (size_t)run->program->graph->n_nodes * WEIR_PASSES * sizeof(struct weir_op_clock);
    return status ? status
                  : weir_world_share(world, rank->replica, rank->index, run->runner->clocks[rank->number], clocks);
}

weir_status weir_run_times_gather(const struct weir_run *run)
{
    int64_t *times = NULL;
    size_t most = 0;
    const struct weir_machine *machine = &run->runner->machine;
    for (int r = 0; r < run->program->n_ranks; r++)
        most = (size_t)run->program->ranks[r].n_instrs > most ? (size_t)run->program->ranks[r].n_instrs : most;
    if (!run->link)
        return WEIR_OK;
    weir_status status = weir_alloc(2 * most, sizeof *times, &times);
    for (int i = 0; i < machine->n_ranks && !status; i++)
        status = rank_times(run, &machine->ranks[i], times);
    weir_free(times);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

size_t weir_run_events(const struct weir_run *run, struct weir_step_event *events_out, size_t room)
{
    const struct weir_machine *machine = &run->runner->machine;
    static const char *const categories[] = {"F", "I", "W", "B"};
    size_t n = 0;
    for (int w = 0; w < machine->n_workers; w++)
        for (int i = 0; i < run->program->workers[w % run->program->n_ranks].n; i++, n++) {
            const struct weir_exec *exec = weir_run_exec_at(run, w, i);
            int64_t ahead = weir_rank_is_here(exec->rank) ? run->runner->world.clock_ahead_ns : 0;
            int copy = exec->rank->replica % run->program->n_copies;
            bool action = exec->instr->kind == WEIR_INSTR_ACTION;
            if (n < room)
                events_out[n] = (struct weir_step_event){
                    w, exec->name, action ? categories[exec->instr->list] : "optimizer", exec->instr->stage,
                    action ? copy * run->program->n_microbatches + exec->instr->mb : -1, exec->start_ns - ahead, exec->end_ns - ahead};
        }
    return n;
}

/* One pass of one node, all ranks together. */
static struct weir_op_time node_time(const struct weir_runner *runner, int node, int pass)
{
    static const char *const passes[] = {"forward", "backward_input", "backward_weight"};
    const struct weir_node *n = &runner->build.graph->nodes[node];
    struct weir_op_time time = {.op = n->op->name, .pass = passes[pass]};
    for (int r = 0; r < runner->machine.n_ranks; r++) {
        const struct weir_op_clock *clock = &runner->clocks[r][node * WEIR_PASSES + pass];
        time.calls += clock->calls;
        time.ns += clock->ns;
    }
    time.flops = (double)time.calls * n->shapes.flops[pass] / runner->main.program->n_slices; /* a call is of one slice */
    return time;
}

/* The pass of the nodes from `first` on that have its operation, when `first` is the first of them that was called. */
static bool op_time(const struct weir_runner *runner, int first, int pass, struct weir_op_time *sum)
{
    const struct weir_node *nodes = runner->build.graph->nodes;
    *sum = node_time(runner, first, pass);
    if (!sum->calls)
        return false;
    for (int k = 0; k < first; k++)
        if (nodes[k].op == nodes[first].op && node_time(runner, k, pass).calls)
            return false;
    for (int k = first + 1; k < runner->build.graph->n_nodes; k++) {
        struct weir_op_time time = nodes[k].op == nodes[first].op ? node_time(runner, k, pass) : (struct weir_op_time){0};
        sum->calls += time.calls;
        sum->ns += time.ns;
        sum->flops += time.flops;
    }
    return true;
}

size_t weir_runner_op_times(const struct weir_runner *runner, struct weir_op_time *times_out, size_t room)
{
    struct weir_op_time sum;
    size_t n = 0;
    for (int k = 0; k < runner->build.graph->n_nodes; k++)
        for (int pass = 0; pass < WEIR_PASSES; pass++)
            if (op_time(runner, k, pass, &sum) && n++ < room)
                times_out[n - 1] = sum;
    return n;
}
