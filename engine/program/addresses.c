#include "engine/program/addresses.h"

#define PART(there, here) {offsetof(struct weir_step_call, there), offsetof(struct weir_op_call, here)}
#define TENSOR(part) PART(part, part.data)

#define INPUT(i) TENSOR(inputs[i]), TENSOR(d_inputs[i]), PART(addends[i], addends[i])
#define OUTPUT(i) TENSOR(outputs[i]), TENSOR(d_outputs[i])
#define PARAM(i) TENSOR(params[i]), TENSOR(d_params[i])

_Static_assert(WEIR_OP_INPUTS == 8 && WEIR_OP_OUTPUTS == 8 && WEIR_OP_PARAMS == 8, "each is listed");
const struct weir_call_part weir_call_parts[WEIR_CALL_PARTS] = {
    INPUT(0), INPUT(1), INPUT(2), INPUT(3), INPUT(4), INPUT(5), INPUT(6), INPUT(7),
    OUTPUT(0), OUTPUT(1), OUTPUT(2), OUTPUT(3), OUTPUT(4), OUTPUT(5), OUTPUT(6), OUTPUT(7),
    PARAM(0), PARAM(1), PARAM(2), PARAM(3), PARAM(4), PARAM(5), PARAM(6), PARAM(7),
    PART(saved, saved), PART(scratch, scratch), PART(cache, cache), PART(cache_gradient, cache_gradient),
    PART(packed, packed),
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
    case WEIR_PLACE_PACKED:
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
