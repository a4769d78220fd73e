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
        wants[k] = node->shapes.n_params > 0;
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

/* A replayed node makes its saved tensor, and its output unless that is kept because the next layer reads it. */
static void replay_decide(struct finder *f, int n, enum weir_keep saved)
{
    const struct weir_node *node = &f->params->graph->nodes[n];
    int at = n - f->params->first;
    bool kept = f->keeps.values[at] != WEIR_KEEP_NOT;
    if (kept)
        keep_raise(&f->keeps.values[at], f->wanted[at]);
    f->keeps.replayed[at] = (saved && node->shapes.saved_bytes) || (!kept && f->wanted[at]);
    for (int i = 0; i < node->shapes.n_inputs && f->keeps.replayed[at]; i++)
        value_read(f, n, node->inputs[i], WEIR_KEEP_FOR_I);
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
    enum weir_keep until[WEIR_OP_INPUTS + 2];
    for (int bit = 0; bit < WEIR_OP_INPUTS + 2; bit++)
        until[bit] = for_w & (1u << bit) ? WEIR_KEEP_FOR_W : for_i & (1u << bit) ? WEIR_KEEP_FOR_I : WEIR_KEEP_NOT;
    for (int i = 0; i < node->shapes.n_inputs; i++)
        value_read(f, n, node->inputs[i], until[i]);
    value_read(f, n, n, until[WEIR_OP_INPUTS]);
    if (f->params->recompute && f->params->recompute[node->layer])
        replay_decide(f, n, until[WEIR_OP_INPUTS + 1]);
    else
        f->keeps.saved[n - f->params->first] = until[WEIR_OP_INPUTS + 1];
}

weir_status weir_keeps_find(const struct weir_keeps_params *params, struct weir_arena *arena,
                            struct weir_keeps *keeps_out)
{
    _Static_assert(WEIR_NEEDS_OUTPUT == 1 << WEIR_OP_INPUTS && WEIR_NEEDS_SAVED == 2 << WEIR_OP_INPUTS, "order of the bits");
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
        node_visit(&f, k);
    *keeps_out = f.keeps;
    return WEIR_OK;
}
