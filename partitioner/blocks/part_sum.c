/* The counters of partitioner/blocks/part_sum.h; pushing and popping are inline there, because the exact search does
 * little else. */
#include "partitioner/blocks/part_sum.h"

#include "base/alloc.h"

weir_status weir_part_sum_init(const struct weir_blocks *blocks, struct weir_part_sum *sum_out)
{
    struct weir_part_sum sum = {.blocks = blocks};
    weir_status status = weir_alloc((size_t)blocks->n_nets, sizeof *sum.nets, &sum.nets);
    if (status)
        return status;
    for (int e = 0; e < blocks->n_nets; e++) {
        sum.nets[e].cost = blocks->net_cost[e];
        sum.nets[e].size = blocks->net_first[e + 1] - blocks->net_first[e];
    }
    *sum_out = sum;
    return WEIR_OK;
}

void weir_part_sum_release(struct weir_part_sum *sum)
{
    weir_free(sum->nets);
    sum->nets = NULL;
}
