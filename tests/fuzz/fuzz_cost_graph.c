/* Readers of cost graphs and splits: the first byte chooses the format, the rest is the file.  Whatever is accepted
 * must survive a round trip through Weir's own format and small planning; a plan must survive one through its own, and
 * where there is none there is a reason. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "partitioner/plan/plan_solve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const struct weir_cost_graph *graph)
{
    struct weir_text text = {0};
    struct weir_cost_graph again;
    if (weir_cost_graph_write(graph, WEIR_COST_GRAPH_WEIR, &text) == WEIR_OK) {
        if (weir_cost_graph_parse(text.data, text.length, "again", WEIR_COST_GRAPH_WEIR, 0, &again))
            abort();
        if (again.n_nodes != graph->n_nodes || again.n_edges != graph->n_edges)
            abort();
        weir_cost_graph_release(&again);
    }
    weir_text_release(&text);
}

static void plan_round_trip(const struct weir_cost_graph *graph, const struct weir_plan_result *result)
{
    struct weir_arena arena = {0};
    struct weir_text text = {0};
    const int *device_of;
    int devices, cpus;
    if (weir_plan_write(graph, result, WEIR_PLAN_JSON, &text) == WEIR_OK &&
        weir_plan_parse(graph, text.data, text.length, "again", &arena, &device_of, &devices, &cpus))
        abort();
    weir_text_release(&text);
    for (int form = 0; form < WEIR_PLAN_FORMATS; form++) {
        (void)weir_plan_write(graph, result, (enum weir_plan_format)form, &text);
        weir_text_release(&text);
    }
    weir_arena_release(&arena);
}

static void plan(const struct weir_cost_graph *graph)
{
    struct weir_arena arena = {0};
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan_result result;
    options.devices = 3, options.memory = graph->memory, options.seconds = 0.05;
    options.objective = graph->n_nodes && graph->nodes[0].n_variants ? WEIR_PLAN_PIPER : WEIR_PLAN_MAX_LOAD;
    if (graph->n_nodes <= 60 && weir_plan_solve(graph, &options, &arena, &result) == WEIR_OK) {
        if (result.plan.n_parts)
            plan_round_trip(graph, &result);
        else if (weir_plan_refuse(graph, &options, &result) == WEIR_OK)
            abort();
    }
    weir_arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    struct weir_cost_graph graph;
    enum weir_cost_graph_format format = (enum weir_cost_graph_format)(data[0] % WEIR_COST_GRAPH_FORMATS);
    if (weir_cost_graph_parse(text, size - 1, "fuzz", format, 0, &graph) == WEIR_OK) {
        round_trip(&graph);
        plan(&graph);
        weir_cost_graph_release(&graph);
    }
    free(text);
    return 0;
}
