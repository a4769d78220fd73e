#include "cmd/model_flops.h"

#include <string.h>

static double node_flops(const struct weir_node *node)
{
    const struct weir_shape *y = &node->shapes.output;
    double width = (double)y->dims[y->n_dims - 1], rows = (double)weir_shape_elements(y) / width;
    if (!strcmp(node->op->name, "linear"))
        return 6 * rows * (double)weir_shape_elements(&node->shapes.params[0]);
    if (!strcmp(node->op->name, "attention"))
        return 12 * rows * width * (double)y->dims[1];
    return 0;
}

double model_flops(const struct weir_graph *graph)
{
    double sum = 0;
    for (int i = 0; i < graph->n_nodes; i++)
        sum += node_flops(&graph->nodes[i]);
    return sum;
}
