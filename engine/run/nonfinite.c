#include "engine/run/nonfinite.h"

#include <math.h>

#include "base/alloc.h"

static bool floats_are_finite(const float *values, int64_t n)
{
    bool finite = true;
    for (int64_t i = 0; i < n; i++)
        finite &= isfinite(values[i]) != 0;
    return finite;
}

static bool tensor_is_finite(const struct weir_tensor *tensor)
{
    return !tensor->data || tensor->code != 2 || tensor->bits != 32 ||
           floats_are_finite(tensor->data, weir_tensor_elements(tensor));
}

/* The node whose value is not finite, or one of whose gradients is not; -1: all are finite. */
static int node_find(const struct weir_step_call *t, const struct weir_op_call *call)
{
    bool finite = true;
    for (int i = 0; i < call->n_outputs && t->pass == WEIR_FORWARD; i++)
        if (!tensor_is_finite(&call->outputs[i]))
            return t->node + i;
    for (int i = 0; i < call->n_inputs && t->pass == WEIR_BACKWARD_INPUT; i++)
        finite &= tensor_is_finite(&call->d_inputs[i]);
    for (int i = 0; i < call->n_params && t->pass == WEIR_BACKWARD_WEIGHT; i++)
        finite &= tensor_is_finite(&call->d_params[i]);
    return finite ? -1 : t->node;
}

void weir_nonfinite_look(const struct weir_exec *exec, const struct weir_step_call *t, const struct weir_op_call *call)
{
    struct weir_nonfinite_note *note = &exec->rank->nonfinite;
    const struct weir_rank_program *r = &exec->run->program->ranks[exec->rank->index];
    int node = note->is_set ? -1 : node_find(t, call);
    if (node < 0)
        return;
    *note = (struct weir_nonfinite_note){.is_set = 1, .instr = (int32_t)(exec->instr - r->instrs), .node = node,
                                         .pass = (int32_t)t->pass, .microbatch = exec->instr->mb};
}

void weir_nonfinite_begin(struct weir_runner *runner)
{
    for (int r = 0; r < runner->machine.n_ranks; r++)
        runner->machine.ranks[r].nonfinite = (struct weir_nonfinite_note){0};
    runner->looks_for_nonfinite = true;
}

static int place_of(const struct weir_program *program, const struct weir_rank *rank)
{
    int place = 0, copy = rank->replica % program->n_copies;
    const struct weir_order_entry *order = program->order;
    while (place < program->n_order && (order[place].rank != rank->index || order[place].instr != rank->nonfinite.instr ||
                                        order[place].copy != copy))
        place++;
    return place;
}

/* Notes of ranks in other processes. */
static weir_status notes_gather(struct weir_runner *runner)
{
    const struct weir_world *world = &runner->world;
    int n_copies = runner->build.program->n_copies;
    struct weir_nonfinite_note *all, mine[WEIR_COPIES_MOST] = {{0}};
    if (!world->transport)
        return WEIR_OK;
    weir_status status = weir_alloc((size_t)world->info->n_ranks, sizeof mine, &all);
    if (status)
        return status;
    for (int copy = 0; copy < n_copies; copy++)
        mine[copy] = runner->machine.ranks[runner->machine.first_here + copy].nonfinite;
    status = weir_world_exchange(world, mine, sizeof mine, all);
    for (int r = 0; r < runner->machine.n_ranks && !status; r++) {
        struct weir_rank *rank = &runner->machine.ranks[r];
        rank->nonfinite = all[weir_world_worker_process(world, rank->worker) * WEIR_COPIES_MOST + r % n_copies];
    }
    weir_free(all);
    return status;
}

static const char *pass_str(int pass)
{
    return pass == WEIR_FORWARD ? "forward" : pass == WEIR_BACKWARD_INPUT ? "backward, gradient of its input"
                                                                          : "backward, gradient of its weights";
}

weir_status weir_nonfinite_find(struct weir_runner *runner, struct weir_nonfinite *out, bool *found_out)
{
    const struct weir_program *program = runner->main.program;
    int first = -1, first_place = INT32_MAX;
    runner->looks_for_nonfinite = false;
    weir_status status = notes_gather(runner);
    for (int r = 0; r < runner->machine.n_ranks && !status; r++) {
        const struct weir_rank *rank = &runner->machine.ranks[r];
        int place = rank->nonfinite.is_set ? place_of(program, rank) : INT32_MAX;
        if (place < first_place) {
            first = r;
            first_place = place;
        }
    }
    *found_out = first >= 0;
    if (status || first < 0)
        return status;
    const struct weir_rank *rank = &runner->machine.ranks[first];
    const struct weir_nonfinite_note *note = &rank->nonfinite;
    const struct weir_node *node = &runner->build.graph->nodes[note->node];
    *out = (struct weir_nonfinite){.rank = rank->worker,
                                   .instruction = runner->main.execs[first][note->instr].name,
                                   .layer = runner->build.graph->layers[node->layer].name,
                                   .node = node->name,
                                   .op = (node - node->part)->op->name,
                                   .pass = pass_str(note->pass),
                                   .microbatch = rank->replica * weir_program_whole_microbatches(program) + note->microbatch / program->n_slices};
    return WEIR_OK;
}
