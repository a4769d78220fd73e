/* Fuzz target: any text is a list of layers to recompute, or refused; what is accepted is priced. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/program/model_costs.h"
#include "include/weir/graph.h"
#include "models/model_kinds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct weir_arena arena;
    static const struct weir_graph *graph;
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = 4};
    struct weir_ceilings ceilings = {1e9, 1e9, 1e9};
    struct weir_cost_graph costs;
    char *text;
    if (!graph && weir_model_build(&weir_model_gpt2_tiny, &params, &arena, &graph))
        abort();
    if (weir_alloc(n + 1, 1, &text))
        return 0;
    memcpy(text, bytes, n);
    if (!weir_model_cost_graph(graph, text, &ceilings, &costs)) {
        for (int i = 0; i < costs.n_nodes; i++)
            if (!(costs.nodes[i].input_grad >= 0))
                abort();
        weir_cost_graph_release(&costs);
    }
    weir_free(text);
    return 0;
}
