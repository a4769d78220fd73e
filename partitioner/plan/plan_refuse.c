/* Why there is no plan, in the order in which a person can do something about it: nodes that must share a device and are
 * larger than one, nodes that run nowhere, all nodes larger than all devices.  Each holds for every plan of the asked
 * kind, and is looked for in the blocks that the solvers see.  What is left is a combination of demands, or a search that
 * ended before it could tell; the bound says which. */
#include <math.h>

#include "partitioner/blocks/blocks.h"
#include "partitioner/plan/plan_solve.h"

struct refusal {
    const struct weir_cost_graph *graph;
    const struct weir_plan_options *options;
    int devices;
    struct weir_blocks blocks;
};

/* Bytes of a node on a device in the smallest way to run it. */
static double least_bytes(const struct refusal *r, int v)
{
    const struct weir_cost_node *node = &r->graph->nodes[v];
    double least = node->parameter_bytes + node->activation_bytes;
    if (r->options->objective == WEIR_PLAN_PIPER)
        least = INFINITY;
    for (int i = 0; r->options->objective == WEIR_PLAN_PIPER && i < node->n_variants; i++)
        least = fmin(least, node->variants[i].memory_a + node->variants[i].memory_b);
    return least;
}

static bool may_leave(const struct refusal *r, int block)
{
    return r->options->cpus && r->blocks.cpu[block] < WEIR_NEVER && r->blocks.pin[block] < 0;
}

/* A block that no device holds, and that no CPU may take. */
static weir_status block_refuse(const struct refusal *r, int block)
{
    double bytes = 0, most = -1;
    int largest = 0, n = 0;
    for (int v = 0; v < r->graph->n_nodes; v++) {
        if (r->blocks.of_node[v] != block)
            continue;
        double own = least_bytes(r, v);
        bytes += own;
        n++;
        if (own > most)
            most = own, largest = v;
    }
    const char *id = r->graph->nodes[largest].id;
    if (!(bytes > r->options->memory) || may_leave(r, block))
        return WEIR_OK;
    if (n == 1)
        return WEIR_FAIL(WEIR_ERR_NOFIT,
                         "no plan: node '%s' needs %.0f bytes, a device has %.0f: use more " WEIR_OPTION("memory"), id,
                         bytes, r->options->memory);
    return WEIR_FAIL(WEIR_ERR_NOFIT,
                     "no plan: node '%s' and %d more must share a device and need %.0f bytes, it has %.0f: use more "
                     WEIR_OPTION("memory"),
                     id, n - 1, bytes, r->options->memory);
}

/* A node that has no device of its kind. */
static weir_status place_refuse(const struct refusal *r, int v)
{
    const struct weir_cost_node *node = &r->graph->nodes[v];
    bool accelerator = !node->no_accelerator && r->devices > 0, cpu = !isnan(node->cpu) && r->options->cpus > 0;
    if (accelerator || cpu)
        return WEIR_OK;
    if (isnan(node->cpu))
        return WEIR_FAIL(WEIR_ERR_NOFIT, "no plan: node '%s' has no CPU time%s", node->id,
                         node->no_accelerator ? " and cannot run on an accelerator"
                                              : ": use more " WEIR_OPTION("devices"));
    return WEIR_FAIL(WEIR_ERR_NOFIT, "no plan: node '%s' cannot run on an accelerator: use " WEIR_OPTION("cpus=1"),
                     node->id);
}

static weir_status total_refuse(const struct refusal *r)
{
    double bytes = 0, room = r->options->memory * r->devices;
    for (int v = 0; v < r->graph->n_nodes; v++)
        bytes += least_bytes(r, v);
    if (r->options->cpus || !(bytes > room))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_NOFIT,
                     "no plan: all nodes need %.0f bytes, %d device%s of %.0f hold %.0f: use more "
                     WEIR_OPTION("devices") " or more " WEIR_OPTION("memory"),
                     bytes, r->devices, r->devices == 1 ? "" : "s", r->options->memory, room);
}

static weir_status rest_refuse(const struct refusal *r, double lower_bound)
{
    if (isinf(lower_bound))
        return WEIR_FAIL(WEIR_ERR_NOFIT,
                         "no plan on %d device%s: use more " WEIR_OPTION("devices") ", more " WEIR_OPTION("memory")
                         " or " WEIR_OPTION("cpus"),
                         r->devices, r->devices == 1 ? "" : "s");
    return WEIR_FAIL(WEIR_ERR_TIMEOUT,
                     "no plan was found on %d device%s, and none is ruled out: use more " WEIR_OPTION("seconds")
                     ", more " WEIR_OPTION("devices") " or more " WEIR_OPTION("memory"),
                     r->devices, r->devices == 1 ? "" : "s");
}

weir_status weir_plan_refuse(const struct weir_cost_graph *graph, const struct weir_plan_options *options,
                             const struct weir_plan_result *result)
{
    struct refusal r = {.graph = graph, .options = options, .devices = result->devices};
    struct weir_arena scratch = {0};
    struct weir_blocks_purpose purpose = {!options->unordered, options->cpus > 0, options->memory};
    weir_status status = weir_blocks_build(graph, &purpose, &scratch, &r.blocks);
    for (int v = 0; !status && v < graph->n_nodes; v++)
        status = place_refuse(&r, v);
    for (int block = 0; !status && block < r.blocks.n; block++)
        if (options->objective == WEIR_PLAN_PIPER || (double)r.blocks.memory[block] > options->memory)
            status = block_refuse(&r, block);
    if (!status)
        status = total_refuse(&r);
    if (!status)
        status = rest_refuse(&r, result->plan.lower_bound);
    weir_arena_release(&scratch);
    return status;
}
