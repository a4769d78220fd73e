#include "engine/program/recomputed.h"

#include <fnmatch.h>
#include <string.h>

#include "base/text.h"
#include "engine/program/keeps.h"

enum { SHOWN = 3 }; /* names of layers in a message without a suggestion */

static weir_status unmatched(const struct weir_graph *graph, const char *entry, struct weir_arena *arena)
{
    const char **names;
    if (!*entry)
        return WEIR_FAIL(WEIR_ERR_USAGE, "the list of layers to recompute has an empty entry: none, full, or names of "
                                         "layers and patterns separated by commas");
    if (!strcmp(entry, "none") || !strcmp(entry, "full"))
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' of the layers to recompute stands alone: leave the other names out", entry);
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_layers + 3, sizeof *names, &names);
    if (status)
        return status;
    int n = 0;
    for (int l = 0; l < graph->n_layers; l++)
        names[n++] = graph->layers[l].name;
    names[n++] = "none";
    names[n++] = "full";
    const char *near = weir_suggest(entry, names);
    if (near)
        return WEIR_FAIL(WEIR_ERR_USAGE, "no layer to recompute matches '%s': did you mean '%s'?", entry, near);
    struct weir_text some = {0};
    for (int l = 0; l < graph->n_layers && l < SHOWN; l++)
        weir_text_append(&some, "%s'%s'", l ? ", " : "", graph->layers[l].name);
    status = some.status ? some.status
                         : WEIR_FAIL(WEIR_ERR_USAGE, "no layer to recompute matches '%s': %s has %d layers, %s%s", entry,
                                     graph->name, graph->n_layers, some.data, graph->n_layers > SHOWN ? " ..." : "");
    weir_text_release(&some);
    return status;
}

static weir_status entry_mark(const struct weir_graph *graph, const char *entry, struct weir_arena *arena, bool *layers)
{
    bool found = false;
    for (int l = 0; l < graph->n_layers; l++)
        if (!fnmatch(entry, graph->layers[l].name, 0))
            layers[l] = found = true;
    return found ? WEIR_OK : unmatched(graph, entry, arena);
}

weir_status weir_recomputed_layers(const struct weir_graph *graph, const char *list, struct weir_arena *arena,
                                   bool **layers_out)
{
    bool *layers;
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_layers, sizeof *layers, &layers);
    const char *at = !list || !strcmp(list, "none") ? NULL : !strcmp(list, "full") ? "*" : list;
    while (at && !status) {
        const char *entry;
        size_t length = strcspn(at, ",");
        status = weir_arena_printf(arena, &entry, "%.*s", (int)length, at);
        if (!status)
            status = entry_mark(graph, entry, arena, layers);
        at = at[length] ? at + length + 1 : NULL;
    }
    if (!status)
        *layers_out = layers;
    return status;
}

weir_status weir_replayed_nodes(const struct weir_graph *graph, const bool *layers, struct weir_arena *arena,
                                bool **nodes_out)
{
    bool *wants_grad;
    struct weir_keeps keeps;
    weir_status status = weir_gradients_trace(graph, arena, &wants_grad);
    if (!status)
        status = weir_keeps_find(&(struct weir_keeps_params){graph, wants_grad, layers, 0, graph->n_nodes}, arena, &keeps);
    if (!status)
        *nodes_out = keeps.replayed;
    return status;
}

weir_status weir_replay_costs_add(const struct weir_graph *graph, const bool *layers, struct weir_arena *arena,
                                  double *costs)
{
    bool *replayed;
    weir_status status = weir_replayed_nodes(graph, layers, arena, &replayed);
    for (int n = 0; n < graph->n_nodes && !status; n++)
        if (replayed[n])
            costs[graph->nodes[n].layer] += weir_node_cost(graph, n, WEIR_FORWARD);
    return status;
}
