#include "engine/program/keeps.h"

struct finder {
    const struct weir_keeps_params *params;
    struct weir_keeps keeps;
    enum weir_keep *wanted; /* [end - first]: how long the backward of the node's own, recomputed layer reads its output */
};

weir_status weir_gradients_trace(const struct weir_graph *graph, struct weir_arena *arena, bool **wants_grad_out)
{
    bool *wants;
    weir_status status = weir_arena_alloc(arena, (size_t)graph->n_nodes, sizeof *wants, &wants);
    for (int k = 0; k < graph->n_nodes && !status; k++) {
        const struct weir_node *node = &graph->nodes[k];
        wants[k] = node->shapes.n_params > 0 || (node->part && wants[k - node->part]);
        for (int i = 0; i < node->shapes.n_inputs; i++)
            if (!weir_value_is_input(node->inputs[i]))
                wants[k] = wants[k] || wants[node->inputs[i]];
    }
    if (!status)
        *wants_grad_out = wants;
    return status;
}

bool weir_node_has_input_backward(const struct weir_graph *graph, const bool *wants_grad, int node)
{
    const struct weir_node *n = &graph->nodes[node];
    if (n->op->flags & (WEIR_OP_LOSS | WEIR_OP_SUM))
        return false;
    if ((n->op->flags & WEIR_OP_NO_SPLIT) && n->shapes.n_params)
        return true;
    for (int i = 0; i < n->shapes.n_inputs; i++)
        if (!weir_value_is_input(n->inputs[i]) && wants_grad[n->inputs[i]])
            return true;
    return false;
}

bool weir_node_has_weight_backward(const struct weir_graph *graph, int node)
{
    const struct weir_node *n = &graph->nodes[node];
    return n->shapes.n_params && !(n->op->flags & WEIR_OP_NO_SPLIT);
}

static void keep_raise(enum weir_keep *keep, enum weir_keep wanted)
{
    if (*keep < wanted)
        *keep = wanted;
}

/* The backward or the replay of node n reads `value`. */
static void value_read(struct finder *f, int n, int value, enum weir_keep until)
{
    const struct weir_graph *graph = f->params->graph;
    if (value < f->params->first || value >= f->params->end)
        return;
    int layer = graph->nodes[n].layer;
    bool again = f->params->recompute && f->params->recompute[layer] && graph->nodes[value].layer == layer;
    keep_raise(&(again ? f->wanted : f->keeps.values)[value - f->params->first], until);
}

/* A replayed node makes its saved tensor, and its outputs unless they are kept because the next layer reads them. */
static void replay_decide(struct finder *f, int n, enum weir_keep saved)
{
    const struct weir_node *node = &f->params->graph->nodes[n];
    int at = n - f->params->first;
    f->keeps.replayed[at] = saved && node->shapes.saved_bytes;
    for (int i = at; i < at + node->shapes.n_outputs; i++) {
        bool kept = f->keeps.values[i] != WEIR_KEEP_NOT;
        if (kept)
            keep_raise(&f->keeps.values[i], f->wanted[i]);
        f->keeps.replayed[at] = f->keeps.replayed[at] || (!kept && f->wanted[i]);
    }
    for (int i = 0; i < node->shapes.n_inputs && f->keeps.replayed[at]; i++)
        value_read(f, n, node->inputs[i], WEIR_KEEP_FOR_I);
}

static enum weir_keep until(unsigned for_i, unsigned for_w, unsigned bit)
{
    return for_w & bit ? WEIR_KEEP_FOR_W : for_i & bit ? WEIR_KEEP_FOR_I : WEIR_KEEP_NOT;
}

static void node_visit(struct finder *f, int n)
{
    const struct weir_graph *graph = f->params->graph;
    const struct weir_node *node = &graph->nodes[n];
    bool has_input = weir_node_has_input_backward(graph, f->params->wants_grad, n);
    unsigned for_i = has_input ? node->op->input_needs : 0;
    unsigned for_w = weir_node_has_weight_backward(graph, n) ? node->op->weight_needs : 0;
    if ((node->op->flags & WEIR_OP_NO_SPLIT) && has_input)
        for_i |= node->op->weight_needs;
    for (int i = 0; i < node->shapes.n_inputs; i++)
        value_read(f, n, node->inputs[i], until(for_i, for_w, weir_needs_input(i)));
    for (int i = 0; i < node->shapes.n_outputs; i++)
        value_read(f, n, n + i, until(for_i, for_w, WEIR_NEEDS_OUTPUT));
    enum weir_keep saved = until(for_i, for_w, WEIR_NEEDS_SAVED);
    if (f->params->recompute && f->params->recompute[node->layer])
        replay_decide(f, n, saved);
    else
        f->keeps.saved[n - f->params->first] = saved;
}

weir_status weir_keeps_find(const struct weir_keeps_params *params, struct weir_arena *arena,
                            struct weir_keeps *keeps_out)
{
    struct finder f = {.params = params};
    size_t n = (size_t)(params->end - params->first);
    weir_status status = weir_arena_alloc(arena, n, sizeof *f.wanted, &f.wanted);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *f.keeps.values, &f.keeps.values);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *f.keeps.saved, &f.keeps.saved);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *f.keeps.replayed, &f.keeps.replayed);
    if (status)
        return status;
    for (int k = params->end - 1; k >= params->first && params->wants_grad; k--) /* all readers of a value come before it */
        if (!params->graph->nodes[k].part)
            node_visit(&f, k);
    *keeps_out = f.keeps;
    return WEIR_OK;
}
