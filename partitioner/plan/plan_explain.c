/* Plans as a table for people: where the time of every part goes, and why its border is where it is. */
#include "partitioner/plan/plan_explain.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "partitioner/blocks/part_loads.h"
#include "partitioner/plan/plan_parts.h"

/* Id and, when it says more, the beginning of the name. */
static void node_name_write(const struct weir_cost_graph *graph, int v, struct weir_text *text)
{
    const struct weir_cost_node *node = &graph->nodes[v];
    char begin[25];
    weir_text_append_name(text, node->id);
    if (!strcmp(node->id, node->name))
        return;
    snprintf(begin, sizeof begin, "%s", node->name);
    weir_text_append(text, " ");
    weir_text_append_name(text, begin);
    weir_text_append(text, "%s", strlen(node->name) > 24 ? "..." : "");
}

enum { MOST_EXPLAINED = 5000 }; /* nodes of a graph whose single changes are looked at */

struct cut {
    int node; /* producer */
    double cost;
};

static int cut_compare(const void *a, const void *b)
{
    const struct cut *x = a, *y = b;
    if (x->cost != y->cost)
        return x->cost > y->cost ? -1 : 1;
    return x->node - y->node;
}

/* The outputs that part `i` pays for, dearest first. */
static weir_status cuts_write(const struct weir_cost_graph *graph, const int *part_of, int i, struct weir_text *text)
{
    enum { SHOWN = 3 };
    struct cut *cuts;
    int n = 0, kept = 0;
    weir_status status = weir_alloc((size_t)graph->n_edges, sizeof *cuts, &cuts);
    if (status)
        return status;
    for (int e = 0; e < graph->n_edges; e++) {
        const struct weir_cost_edge *edge = &graph->edges[e];
        if ((part_of[edge->from] == i) != (part_of[edge->to] == i))
            cuts[n++] = (struct cut){edge->from, edge->cost};
    }
    qsort(cuts, (size_t)n, sizeof *cuts, cut_compare);
    for (int k = 0; k < n; k++)
        if (!kept || cuts[k].node != cuts[kept - 1].node)
            cuts[kept++] = cuts[k];
    for (int k = 0; k < kept && k < SHOWN; k++) {
        weir_text_append(text, "%s%s ", k ? ", " : "      transfers ",
                         part_of[cuts[k].node] == i ? "out of" : "in from");
        node_name_write(graph, cuts[k].node, text);
        weir_text_append(text, " %.4g", cuts[k].cost);
    }
    if (kept > SHOWN)
        weir_text_append(text, " and %d more", kept - SHOWN);
    weir_text_append(text, kept ? "\n" : "");
    weir_free(cuts);
    return WEIR_OK;
}

/* What single moves would do: the blocks of the plan with their loads. */
struct border {
    struct weir_blocks blocks;
    struct weir_part_loads state;
    bool ordered; /* parts ascend along the data flow and must stay so */
    struct weir_arena arena;
};

static bool move_keeps_order(const struct border *b, int block, int to)
{
    for (int i = b->blocks.pred_first[block]; i < b->blocks.pred_first[block + 1]; i++)
        if (b->state.part[b->blocks.pred[i]] > to)
            return false;
    for (int i = b->blocks.succ_first[block]; i < b->blocks.succ_first[block + 1]; i++)
        if (b->state.part[b->blocks.succ[i]] < to)
            return false;
    return true;
}

static weir_status border_build(const struct weir_cost_graph *graph, const struct weir_plan_result *result,
                                const int *part_of, struct border *b)
{
    int *part, n = result->plan.n_parts;
    struct weir_blocks_purpose purpose = {true, true, 0};
    weir_status status = weir_blocks_build(graph, &purpose, &b->arena, &b->blocks);
    if (!status)
        status = weir_arena_alloc(&b->arena, (size_t)b->blocks.n, sizeof *part, &part);
    struct weir_split_problem problem = {.blocks = &b->blocks, .devices = n, .memory = INT64_MAX / 2};
    if (!status)
        status = weir_part_loads_init(&problem, &b->state);
    if (status)
        return status;
    for (int v = 0; v < graph->n_nodes; v++)
        part[b->blocks.of_node[v]] = part_of[v];
    weir_part_loads_set(&b->state, part);
    b->ordered = true;
    for (int block = 0; block < b->blocks.n; block++)
        b->ordered = b->ordered && move_keeps_order(b, block, part[block]);
    return WEIR_OK;
}

/* The move of one block between part `i` and another that leaves the busier of the two least busy. */
static void alternative_write(const struct weir_cost_graph *graph, const struct border *b, int i, double busiest,
                              struct weir_text *text)
{
    int64_t best = WEIR_NEVER;
    int moved = -1, target = -1;
    for (int block = 0; block < b->blocks.n; block++)
        for (int to = 0; to < b->state.n_parts; to++) {
            int from = b->state.part[block];
            if (from == to || (from != i && to != i) || b->blocks.time[block] >= WEIR_NEVER ||
                (b->ordered && !move_keeps_order(b, block, to)))
                continue;
            int64_t leave, enter;
            weir_part_loads_change(&b->state, block, to, &leave, &enter);
            int64_t value = b->state.load[from] + leave, other = b->state.load[to] + enter;
            value = value > other ? value : other;
            if (value < best)
                best = value, moved = block, target = to;
        }
    if (moved < 0)
        return;
    int v = 0;
    while (b->blocks.of_node[v] != moved)
        v++;
    double load = (double)best * b->blocks.tick;
    weir_text_append(text, "      best single change: ");
    node_name_write(graph, v, text);
    weir_text_append(text, " %s, then %.6g (%s than the busiest)\n", target == i ? "comes here" : "goes away", load,
                     load > busiest ? "more" : "not more");
}

static void ends_write(const struct weir_cost_graph *graph, const struct weir_plan_part *part, struct weir_text *text)
{
    weir_text_append(text, "  ");
    node_name_write(graph, part->nodes[0], text);
    if (part->n_nodes > 1) {
        weir_text_append(text, " .. ");
        node_name_write(graph, part->nodes[part->n_nodes - 1], text);
        weir_text_append(text, " (%d nodes)", part->n_nodes);
    }
    weir_text_append(text, "\n");
}

static void head_write(const struct weir_plan_result *result, struct weir_text *text)
{
    const struct weir_plan *plan = &result->plan;
    weir_text_append(text, "objective %.6g on %d device%s", plan->objective, result->devices,
                     result->devices == 1 ? "" : "s");
    if (result->cpus)
        weir_text_append(text, " and %d CPU%s", result->cpus, result->cpus == 1 ? "" : "s");
    if (plan->lower_bound >= plan->objective)
        weir_text_append(text, ": optimal");
    else
        weir_text_append(text, ": no plan of this kind is below %.6g (gap %.2f %%)", plan->lower_bound,
                         100 * (plan->objective - plan->lower_bound) / plan->objective);
    weir_text_append(text, "; %.3f s\n\n", result->seconds);
    weir_text_append(text, "device         load         time     transfer   memory MiB        slack  nodes\n");
}

weir_status weir_plan_explain_write(const struct weir_cost_graph *graph, const struct weir_plan_result *result,
                                    struct weir_text *text)
{
    const struct weir_plan *plan = &result->plan;
    if (!plan->n_parts) {
        weir_text_append(text, "no plan on %d device%s; %.3f s\n", result->devices, result->devices == 1 ? "" : "s",
                         result->seconds);
        return text->status;
    }
    int *part_of;
    weir_status status = weir_plan_parts_of_nodes(graph, plan, &part_of);
    if (status)
        return status;
    struct border border = {0};
    bool simple = !result->cpus && plan->n_parts > 1 && graph->n_nodes <= MOST_EXPLAINED && !plan->parts[0].in_flight;
    if (simple)
        status = border_build(graph, result, part_of, &border);
    head_write(result, text);
    for (int i = 0; !status && i < plan->n_parts; i++) {
        const struct weir_plan_part *part = &plan->parts[i];
        weir_text_append(text, "%s%-4d %12.6g %12.6g %12.6g %12.1f %12.4g%s", part->cpu ? "c" : " ", part->device,
                         part->load, part->time, part->transfer, part->memory / 1048576, plan->objective - part->load,
                         part->load >= plan->objective ? " <" : "  ");
        ends_write(graph, part, text);
        if (part->in_flight)
            weir_text_append(text, "      %d replica%s, %d micro-batches in flight, %d nodes recomputed\n",
                             part->replicas, part->replicas == 1 ? "" : "s", part->in_flight, part->recomputed);
        status = cuts_write(graph, part_of, i, text);
        if (!status && simple)
            alternative_write(graph, &border, i, plan->objective, text);
    }
    weir_part_loads_release(&border.state);
    weir_arena_release(&border.arena);
    weir_text_append(text, "\n< is the busiest device: only a plan that relieves it can be better\n");
    weir_free(part_of);
    return status ? status : text->status;
}
