#include "schedules/simulate/held.h"

struct weir_held weir_held_step(const struct weir_stage_costs *costs, unsigned type, bool trainable)
{
    switch (type) {
    case WEIR_F:
        return (struct weir_held){costs->mem_backward, trainable ? costs->mem_backward : 0};
    case WEIR_B:
        return (struct weir_held){0, -costs->mem_backward};
    case WEIR_I:
        return (struct weir_held){costs->mem_made, costs->mem_weight - costs->mem_backward};
    case WEIR_W:
        return (struct weir_held){0, -costs->mem_weight};
    default:
        return (struct weir_held){0, 0};
    }
}
