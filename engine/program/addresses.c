#include "engine/program/addresses.h"

#define PART(there, here) {offsetof(struct weir_step_call, there), offsetof(struct weir_op_call, here)}
#define TENSOR(part) PART(part, part.data)

_Static_assert(WEIR_OP_INPUTS == 3 && WEIR_OP_PARAMS == 3, "one row each");
const struct weir_call_part weir_call_parts[WEIR_CALL_PARTS] = {
    TENSOR(inputs[0]), TENSOR(inputs[1]), TENSOR(inputs[2]),
    TENSOR(d_inputs[0]), TENSOR(d_inputs[1]), TENSOR(d_inputs[2]),
    PART(addends[0], addends[0]), PART(addends[1], addends[1]), PART(addends[2], addends[2]),
    TENSOR(params[0]), TENSOR(params[1]), TENSOR(params[2]),
    TENSOR(d_params[0]), TENSOR(d_params[1]), TENSOR(d_params[2]),
    TENSOR(output), TENSOR(d_output), PART(saved, saved), PART(scratch, scratch),
    PART(cache, cache), PART(cache_gradient, cache_gradient),
};

bool weir_where_moves(const struct weir_where *where)
{
    switch (where->place) {
    case WEIR_PLACE_ACT_FI:
    case WEIR_PLACE_ACT_FW:
    case WEIR_PLACE_ACT_IW:
    case WEIR_PLACE_SLOT:
    case WEIR_PLACE_GRAD_SLOT:
    case WEIR_PLACE_DATA:
    case WEIR_PLACE_CACHE:
    case WEIR_PLACE_CACHE_GRAD:
        return true;
    case WEIR_PLACE_NONE:
    case WEIR_PLACE_PARAM:
    case WEIR_PLACE_COPY:
    case WEIR_PLACE_GRAD:
    case WEIR_PLACE_SCRATCH:
        return false;
    }
    return false;
}

int weir_call_n_moving(const struct weir_step_call *call)
{
    int n = 0;
    for (int part = 0; part < WEIR_CALL_PARTS; part++)
        n += weir_where_moves(weir_call_where(call, part));
    return n;
}

struct weir_bindings_size weir_bindings_count(const struct weir_program *program, int rank)
{
    struct weir_bindings_size size = {0, 0};
    for (int s = 0; s < program->n_stages; s++)
        for (int l = 0; l < WEIR_LISTS && program->stages[s].rank == rank; l++) {
            const struct weir_call_list *list = &program->stages[s].lists[l];
            size.n_calls += (size_t)(program->n_slices * list->n_calls);
            for (int i = 0; i < program->n_slices * list->n_calls; i++)
                size.n_moving += (size_t)weir_call_n_moving(&list->calls[i]);
        }
    return size;
}

size_t weir_bindings_bytes(const struct weir_program *program, int rank)
{
    struct weir_bindings_size size = weir_bindings_count(program, rank);
    return size.n_calls * sizeof(struct weir_binding) +
           size.n_moving * ((size_t)program->n_microbatches * sizeof(void *) + sizeof(uint16_t));
}
