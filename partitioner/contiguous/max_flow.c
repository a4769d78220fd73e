/* Dinic, "Algorithm for solution of a problem of maximum flow in networks with power estimation", Soviet Math. Doklady
 * 11 (1970): shortest distances from the source, then pushes along ascending levels until none is left, then again. 
 * `at` remembers per node the first arc that may still carry something in this phase. */
#include "partitioner/contiguous/max_flow.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"

weir_status weir_max_flow_init(int n_nodes, struct weir_max_flow *flow_out)
{
    struct weir_max_flow flow = {.n_nodes = n_nodes};
    weir_status status = weir_alloc(4 * (size_t)n_nodes, sizeof *flow.head, &flow.head);
    if (status)
        return status;
    flow.level = flow.head + n_nodes, flow.at = flow.level + n_nodes, flow.queue = flow.at + n_nodes;
    for (int v = 0; v < n_nodes; v++)
        flow.head[v] = -1;
    *flow_out = flow;
    return WEIR_OK;
}

void weir_max_flow_release(struct weir_max_flow *flow)
{
    weir_free(flow->arcs);
    weir_free(flow->head);
    *flow = (struct weir_max_flow){0};
}

weir_status weir_max_flow_add(struct weir_max_flow *flow, int from, int to, int64_t room, int64_t back)
{
    weir_status status = weir_grow(&flow->arcs, &flow->arc_capacity, (size_t)flow->n_arcs + 2, sizeof *flow->arcs);
    if (status)
        return status;
    flow->arcs[flow->n_arcs] = (struct weir_max_flow_arc){to, flow->head[from], room};
    flow->head[from] = flow->n_arcs++;
    flow->arcs[flow->n_arcs] = (struct weir_max_flow_arc){from, flow->head[to], back};
    flow->head[to] = flow->n_arcs++;
    return WEIR_OK;
}

/* Distances from the source along arcs with room; false when the sink is not reached. */
static bool levels_find(struct weir_max_flow *flow, int source, int sink)
{
    int head = 0, tail = 0;
    for (int v = 0; v < flow->n_nodes; v++)
        flow->level[v] = -1;
    flow->level[source] = 0;
    flow->queue[tail++] = source;
    while (head < tail && flow->level[sink] < 0) {
        int v = flow->queue[head++];
        for (int a = flow->head[v]; a >= 0; a = flow->arcs[a].next)
            if (flow->arcs[a].room > 0 && flow->level[flow->arcs[a].to] < 0) {
                flow->level[flow->arcs[a].to] = flow->level[v] + 1;
                flow->queue[tail++] = flow->arcs[a].to;
            }
    }
    return flow->level[sink] >= 0;
}

/* Push up to `most` from v to the sink along ascending levels. */
static int64_t flow_push(struct weir_max_flow *flow, int v, int sink, int64_t most)
{
    if (v == sink)
        return most;
    int64_t pushed = 0;
    for (int *a = &flow->at[v]; *a >= 0; *a = flow->arcs[*a].next) {
        struct weir_max_flow_arc *arc = &flow->arcs[*a];
        if (arc->room <= 0 || flow->level[arc->to] != flow->level[v] + 1)
            continue;
        int64_t left = most - pushed, got = flow_push(flow, arc->to, sink, left < arc->room ? left : arc->room);
        arc->room -= got;
        flow->arcs[*a ^ 1].room += got;
        pushed += got;
        if (pushed == most)
            return pushed;
    }
    return pushed;
}

int64_t weir_max_flow_solve(struct weir_max_flow *flow, int source, int sink)
{
    int64_t total = 0;
    while (levels_find(flow, source, sink)) {
        memcpy(flow->at, flow->head, sizeof *flow->at * (size_t)flow->n_nodes);
        total += flow_push(flow, source, sink, INT64_MAX / 4);
    }
    return total;
}
