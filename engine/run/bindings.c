#include "engine/run/bindings.h"

#include <assert.h>
#include <string.h>

/* ---- where a part lies ----------------------------------------------------------------------------------------------- */

/* In a slot of either kind, on the rank of the boundary's end that has it. */
static char *slot_address(const struct weir_rank *rank, const struct weir_run *run, int mb, const struct weir_where *where)
{
    const struct weir_boundary *boundary = &run->program->boundaries[where->boundary];
    bool input = where->place == WEIR_PLACE_SLOT;
    int owner = run->program->stages[input ? boundary->to : boundary->from].rank;
    char *block = weir_rank_at(rank->machine, rank->replica, owner)->blocks[input ? WEIR_MEMORY_SLOTS : WEIR_MEMORY_GRAD_SLOTS];
    return block + weir_slot_offset(input ? &boundary->inputs : &boundary->gradients, mb) + where->offset;
}

static void *where_address(const struct weir_rank *rank, const struct weir_run *run, int stage, int mb,
                           const struct weir_where *where)
{
    const struct weir_mb_places *places = &run->program->stages[stage].mbs[mb];
    const size_t *act_offset = places->act_offset;
    char *activations = rank->blocks[WEIR_MEMORY_ACTIVATIONS];
    switch (where->place) {
    case WEIR_PLACE_NONE:
        return NULL;
    case WEIR_PLACE_PARAM:
        return rank->blocks[WEIR_MEMORY_PARAMS] + where->offset;
    case WEIR_PLACE_COPY:
        return rank->blocks[WEIR_MEMORY_COPIES] + where->offset;
    case WEIR_PLACE_GRAD:
        return rank->blocks[WEIR_MEMORY_GRADS] + where->offset;
    case WEIR_PLACE_ACT_FI:
        return activations + act_offset[0] + where->offset;
    case WEIR_PLACE_ACT_FW:
        return activations + act_offset[1] + where->offset;
    case WEIR_PLACE_ACT_IW:
        return activations + act_offset[2] + where->offset;
    case WEIR_PLACE_SCRATCH:
        return rank->blocks[run->scratch] + where->offset;
    case WEIR_PLACE_PACKED:
        return rank->blocks[WEIR_MEMORY_PACKED] + where->offset;
    case WEIR_PLACE_SLOT:
    case WEIR_PLACE_GRAD_SLOT:
        return slot_address(rank, run, mb, where);
    case WEIR_PLACE_DATA:
        return rank->blocks[WEIR_MEMORY_DATA] + where->offset + where->stride * (size_t)(mb / run->program->n_slices);
    case WEIR_PLACE_CACHE:
    case WEIR_PLACE_CACHE_GRAD:
        return rank->blocks[WEIR_MEMORY_CACHE] + places->cache_offset[where->place == WEIR_PLACE_CACHE_GRAD] + where->offset;
    }
    return NULL;
}

/* ---- binding --------------------------------------------------------------------------------------------------------- */

static void tensors_place(const struct weir_rank *rank, struct weir_tensor *tensors, int n)
{
    for (int i = 0; i < n; i++) {
        tensors[i].device_type = rank->machine->kind->tensor_device;
        tensors[i].device_id = rank->device_index;
    }
}

static void call_place(const struct weir_rank *rank, struct weir_op_call *call)
{
    tensors_place(rank, call->inputs, call->n_inputs);
    tensors_place(rank, call->d_inputs, call->n_inputs);
    tensors_place(rank, call->params, call->n_params);
    tensors_place(rank, call->d_params, call->n_params);
    tensors_place(rank, call->outputs, call->n_outputs);
    tensors_place(rank, call->d_outputs, call->n_outputs);
}

/* The parts of a call may point to const; all are pointers to objects. */
static void pointer_put(struct weir_op_call *call, size_t part, void *pointer)
{
    memcpy((char *)call + part, &pointer, sizeof pointer);
}

/* The rank's block, as far as it is filled. */
struct filler {
    const struct weir_run *run;
    const struct weir_rank *rank;
    struct weir_binding *bindings;
    void **addresses;
    uint16_t *parts;
};

static void addresses_find(struct filler *f, struct weir_binding *b, int stage, const struct weir_step_call *t)
{
    int n = 0;
    for (int part = 0; part < WEIR_CALL_PARTS; part++) {
        const struct weir_where *where = weir_call_where(t, part);
        size_t pointer = weir_call_parts[part].pointer;
        if (!weir_where_moves(where)) {
            pointer_put(&b->call, pointer, where_address(f->rank, f->run, stage, 0, where));
            continue;
        }
        for (int mb = 0; mb < f->run->program->n_microbatches; mb++)
            f->addresses[mb * b->n_moving + n] = where_address(f->rank, f->run, stage, mb, where);
        f->parts[n++] = (uint16_t)pointer;
    }
}

static void binding_make(struct filler *f, int stage, const struct weir_step_call *t)
{
    struct weir_binding *b = f->bindings++;
    *b = (struct weir_binding){.call = t->call, .n_moving = weir_call_n_moving(t), .parts = f->parts, .addresses = f->addresses,
                               .cache_offset = SIZE_MAX};
    if (t->cache.place == WEIR_PLACE_CACHE)
        b->cache_offset = t->cache.offset;
    b->call.step = &weir_step_block(f->rank)->values;
    call_place(f->rank, &b->call);
    addresses_find(f, b, stage, t);
    f->addresses += b->n_moving * f->run->program->n_microbatches;
    f->parts += b->n_moving;
}

static void lists_fill(struct filler *f, struct weir_binding **lists)
{
    const struct weir_program *program = f->run->program;
    for (int s = 0; s < program->n_stages; s++)
        for (int l = 0; l < WEIR_LISTS && program->stages[s].rank == f->rank->index; l++) {
            const struct weir_call_list *list = &program->stages[s].lists[l];
            lists[s * WEIR_LISTS + l] = f->bindings;
            for (int i = 0; i < program->n_slices * list->n_calls; i++)
                binding_make(f, s, &list->calls[i]);
        }
}

weir_status weir_bindings_make(struct weir_run *run, struct weir_rank *rank, struct weir_arena *arena)
{
    const struct weir_program *program = run->program;
    struct weir_bindings_size size = weir_bindings_count(program, rank->index);
    size_t bytes = weir_bindings_bytes(program, rank->index);
    struct weir_binding **lists;
    char *block;
    weir_status status = weir_arena_alloc(arena, (size_t)program->n_stages * WEIR_LISTS, sizeof *lists, &lists);
    if (!status)
        status = weir_arena_alloc(arena, bytes, 1, &block);
    if (status)
        return status;
    struct filler f = {.run = run, .rank = rank, .bindings = (struct weir_binding *)(void *)block};
    f.addresses = (void **)(f.bindings + size.n_calls);
    f.parts = (uint16_t *)(f.addresses + size.n_moving * (size_t)program->n_microbatches);
    lists_fill(&f, lists);
    assert((char *)f.parts == block + bytes);
    run->bindings[rank->number] = lists;
    return WEIR_OK;
}

struct weir_binding *weir_bindings_of(const struct weir_run *run, const struct weir_rank *rank, int stage, enum weir_list list)
{
    return run->bindings[rank->number][stage * WEIR_LISTS + (int)list];
}

struct weir_binding *weir_bindings_first(const struct weir_run *run, const struct weir_rank *rank, const struct weir_instr *instr)
{
    int n_calls = run->program->stages[instr->stage].lists[instr->list].n_calls;
    return weir_bindings_of(run, rank, instr->stage, instr->list) + instr->mb % run->program->n_slices * n_calls + instr->first_call;
}

/* ---- running --------------------------------------------------------------------------------------------------------- */

const struct weir_op_call *weir_binding_turn(struct weir_binding *b, const struct weir_run *run, const struct weir_rank *rank,
                                             int stage, int mb, enum weir_pass pass)
{
    const struct weir_program *program = run->program;
    const struct weir_mb_places *places = &program->stages[stage].mbs[mb];
    void *const *row = &b->addresses[mb * b->n_moving];
    for (int i = 0; i < b->n_moving; i++)
        pointer_put(&b->call, b->parts[i], row[i]);
    b->call.accumulate = pass == WEIR_BACKWARD_WEIGHT ? places->accumulates_w : places->accumulates_i;
    int64_t global_mb = (int64_t)rank->replica * weir_program_whole_microbatches(program) + mb / program->n_slices;
    b->call.first_sample = (uint32_t)(global_mb * program->graph->microbatch_size);
    b->call.context = rank->context;
    if (run->lanes) {
        b->call.sequence = &run->lanes[mb].rows;
        if (b->cache_offset != SIZE_MAX)
            b->call.cache = rank->blocks[WEIR_MEMORY_CACHE] + b->cache_offset +
                            program->ranks[rank->index].sequence_bytes * (size_t)run->lanes[mb].sequence;
    }
    return &b->call;
}
