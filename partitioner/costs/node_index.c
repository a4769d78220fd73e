/* Open addressing with linear probing, at most half full; slots hold index + 1. */
#include "partitioner/costs/node_index.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

/* The slot that holds `id`, or the free one where it belongs. */
static size_t slot_find(const struct weir_node_index *index, const struct weir_cost_graph *graph, const char *id)
{
    size_t slot = weir_hash64(id, strlen(id), 0) & (index->n_slots - 1);
    while (index->slots[slot] && strcmp(graph->nodes[index->slots[slot] - 1].id, id) != 0)
        slot = (slot + 1) & (index->n_slots - 1);
    return slot;
}

weir_status weir_node_index_build(const struct weir_cost_graph *graph, struct weir_node_index *index_out)
{
    struct weir_node_index index = {.n_slots = 16};
    while (index.n_slots < 2 * (size_t)graph->n_nodes)
        index.n_slots *= 2;
    weir_status status = weir_alloc(index.n_slots, sizeof *index.slots, &index.slots);
    if (status)
        return status;
    for (int v = 0; v < graph->n_nodes; v++) {
        size_t slot = slot_find(&index, graph, graph->nodes[v].id);
        if (index.slots[slot]) {
            weir_node_index_release(&index);
            return WEIR_FAIL(WEIR_ERR_INVALID, "two nodes have the id '%s'", graph->nodes[v].id);
        }
        index.slots[slot] = v + 1;
    }
    *index_out = index;
    return WEIR_OK;
}

int weir_node_index_find(const struct weir_node_index *index, const struct weir_cost_graph *graph, const char *id)
{
    return index->slots[slot_find(index, graph, id)] - 1;
}

void weir_node_index_release(struct weir_node_index *index)
{
    weir_free(index->slots);
    *index = (struct weir_node_index){0};
}
