/* graph.txt of PipeDream (https://github.com/msr-fiddle/pipedream) and DAPPLE.
 *
 *     node11 -- MaxPool2d(kernel_size=2) -- forward_compute_time=2.2, backward_compute_time=2.8, activation_size=8.0,
 *               parameter_size=0.0 [-- stage_id=3]                                                  (one line)
 *         node1 -- node4
 *
 * A line of two fields without '=' is an edge; files differ in the white space in front of it.  activation_size may be
 * a list ("[a; b]" or "[a, b]"), which is summed.  Sources whose description begins with "Input" carry data loading,
 * sinks whose description begins with "__getitem__" are views: both are left out of the problem, as PipeDream's own
 * optimizer does, and kept as passengers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "partitioner/costs/cost_graph_readers.h"
#include "partitioner/costs/node_index.h"

enum { MOST_FIELDS = 4 };

static char *trim(char *text)
{
    text += strspn(text, " \t\r");
    size_t n = strlen(text);
    while (n && strchr(" \t\r", text[n - 1]))
        text[--n] = 0;
    return text;
}

/* Split at " -- "; returns the number of fields, MOST_FIELDS + 1 when there are more. */
static int fields_split(char *line, char *fields[MOST_FIELDS])
{
    int n = 0;
    for (char *next = line; next; n++) {
        char *mark = strstr(next, " -- ");
        if (mark)
            *mark = 0;
        if (n < MOST_FIELDS)
            fields[n] = trim(next);
        next = mark ? mark + 4 : NULL;
    }
    return n;
}

/* A number at *cursor, which moves behind it. */
static bool number_take(char **cursor, double *sum)
{
    char *end;
    double value = strtod(*cursor, &end);
    if (end == *cursor || !isfinite(value))
        return false;
    *sum += value;
    *cursor = end;
    return true;
}

/* `key`=number or a list of numbers in brackets, summed. */
static bool value_take(char **cursor, const char *key, double *value_out)
{
    size_t n = strlen(key);
    if (strncmp(*cursor, key, n) != 0 || (*cursor)[n] != '=')
        return false;
    *cursor += n + 1;
    *value_out = 0;
    if (**cursor != '[')
        return number_take(cursor, value_out);
    do {
        (*cursor)++;
        if (!number_take(cursor, value_out))
            return false;
        *cursor += strspn(*cursor, " ");
    } while (**cursor == ';' || **cursor == ',');
    return *(*cursor)++ == ']';
}

static bool metadata_read(char *text, double values_out[4])
{
    static const char *const keys[] = {"forward_compute_time", "backward_compute_time", "activation_size",
                                       "parameter_size"};
    for (int i = 0; i < 4; i++) {
        if (!value_take(&text, keys[i], &values_out[i]))
            return false;
        if (i < 3) {
            if (*text != ',')
                return false;
            text += 1 + strspn(text + 1, " ");
        }
    }
    return !*text;
}

static weir_status node_read(char *fields[MOST_FIELDS], const char *line, struct weir_cost_graph *all)
{
    double values[4];
    if (!metadata_read(fields[2], values))
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "node '%s': '%s' is not \"forward_compute_time=.., backward_compute_time=.., "
                         "activation_size=.., parameter_size=..\"",
                         fields[0], fields[2]);
    struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
    node.id = fields[0];
    node.name = fields[1];
    node.line = line;
    node.cpu = NAN;
    node.forward = values[0];
    node.input_grad = values[1];
    node.activation_bytes = values[2];
    node.parameter_bytes = values[3];
    return weir_cost_graph_add_node(all, &node, NULL);
}

struct edge_names {
    const char *from, *to; /* in the arena of the scratch graph */
    int line;
};

struct edge_list {
    struct edge_names *items;
    size_t n, capacity;
};

static weir_status edge_keep(char *fields[MOST_FIELDS], int line, struct weir_arena *arena, struct edge_list *edges)
{
    struct edge_names edge = {.line = line};
    weir_status status = weir_grow(&edges->items, &edges->capacity, edges->n + 1, sizeof edge);
    if (!status)
        status = weir_arena_strdup(arena, fields[0], &edge.from);
    if (!status)
        status = weir_arena_strdup(arena, fields[1], &edge.to);
    if (!status)
        edges->items[edges->n++] = edge;
    return status;
}

/* `line` is overwritten. */
static weir_status line_read(char *line, int number, struct weir_cost_graph *all, struct edge_list *edges)
{
    char *fields[MOST_FIELDS];
    line = trim(line);
    if (!*line)
        return WEIR_OK;
    const char *copy;
    weir_status status = weir_arena_strdup(&all->arena, line, &copy);
    if (status)
        return status;
    bool edge = !strchr(line, '=');
    int n = fields_split(line, fields);
    if (edge && n == 2 && *fields[0] && *fields[1])
        return edge_keep(fields, number, &all->arena, edges);
    bool staged = n == 4 && !strncmp(fields[3], "stage_id=", 9);
    if (n != 3 && !staged)
        return WEIR_FAIL(WEIR_ERR_INVALID,
                         "neither a node (id -- description -- times and sizes) nor an edge (a -- b)");
    if (staged)
        ((char *)(uintptr_t)copy)[fields[3] - line - 4] = 0;
    return node_read(fields, copy, all);
}

static weir_status lines_read(char *text, struct weir_cost_graph *all, struct edge_list *edges)
{
    int number = 0;
    for (char *line = text; line;) {
        char *end = strchr(line, '\n');
        if (end)
            *end = 0;
        weir_status status = line_read(line, ++number, all, edges);
        if (status)
            return weir_error_prefix(status, "line %d: ", number);
        line = end ? end + 1 : NULL;
    }
    return WEIR_OK;
}

static weir_status edges_resolve(const struct edge_list *edges, double bandwidth, struct weir_cost_graph *all)
{
    struct weir_node_index index = {0};
    weir_status status = weir_node_index_build(all, &index);
    for (size_t i = 0; !status && i < edges->n; i++) {
        const struct edge_names *names = &edges->items[i];
        struct weir_cost_edge edge = {.from = weir_node_index_find(&index, all, names->from),
                                      .to = weir_node_index_find(&index, all, names->to)};
        if (edge.from < 0 || edge.to < 0) {
            status = WEIR_FAIL(WEIR_ERR_INVALID, "line %d: node '%s' is not there", names->line,
                               edge.from < 0 ? names->from : names->to);
            break;
        }
        edge.bytes = all->nodes[edge.from].activation_bytes;
        edge.cost = 2 * edge.bytes / bandwidth * 1e3;
        status = weir_cost_graph_add_edge(all, &edge);
        if (status)
            weir_error_prefix(status, "line %d: ", names->line);
    }
    weir_node_index_release(&index);
    return status;
}

static weir_status passenger_add(struct weir_cost_graph *graph, const char *line, int anchor)
{
    struct weir_cost_passenger passenger = {.anchor = anchor};
    weir_status status =
        weir_grow(&graph->passengers, &graph->passenger_capacity, (size_t)graph->n_passengers + 1, sizeof passenger);
    if (!status)
        status = weir_arena_strdup(&graph->arena, line, &passenger.line);
    if (!status)
        graph->passengers[graph->n_passengers++] = passenger;
    return status;
}

static weir_status passenger_edge_add(struct weir_cost_graph *graph, const char *from, const char *to)
{
    const char *text;
    weir_status status = weir_grow(&graph->passenger_edges, &graph->passenger_edge_capacity,
                                   (size_t)graph->n_passenger_edges + 1, sizeof text);
    if (!status)
        status = weir_arena_printf(&graph->arena, &text, "%s -- %s", from, to);
    if (!status)
        graph->passenger_edges[graph->n_passenger_edges++] = text;
    return status;
}

/* place[v]: index in `graph`, or -1 for a node that is left out.  On entry bit 0 says "has inputs", bit 1 "has
 * outputs". */
static weir_status nodes_select(const struct weir_cost_graph *all, int *place, struct weir_cost_graph *graph)
{
    for (int v = 0; v < all->n_nodes; v++) {
        const char *name = all->nodes[v].name;
        bool input = !(place[v] & 1) && !strncmp(name, "Input", 5);
        bool view = !(place[v] & 2) && !strncmp(name, "__getitem__", 11);
        place[v] = -1;
        if (input || view)
            continue;
        weir_status status = weir_cost_graph_add_node(graph, &all->nodes[v], &place[v]);
        if (status)
            return status;
    }
    return WEIR_OK;
}

static weir_status edges_select(const struct weir_cost_graph *all, const int *place, int *anchor,
                                struct weir_cost_graph *graph)
{
    for (int e = 0; e < all->n_edges; e++) {
        struct weir_cost_edge edge = all->edges[e];
        int from = edge.from, to = edge.to;
        edge.from = place[from], edge.to = place[to];
        weir_status status;
        if (edge.from >= 0 && edge.to >= 0) {
            status = weir_cost_graph_add_edge(graph, &edge);
        } else {
            if (edge.to < 0)
                anchor[to] = edge.from;
            status = passenger_edge_add(graph, all->nodes[from].id, all->nodes[to].id);
        }
        if (status)
            return status;
    }
    return WEIR_OK;
}

static weir_status problem_select(const struct weir_cost_graph *all, struct weir_cost_graph *graph)
{
    int *place, n = all->n_nodes;
    weir_status status = weir_alloc(2 * (size_t)n, sizeof *place, &place);
    if (status)
        return status;
    int *anchor = place + n;
    for (int v = 0; v < n; v++)
        anchor[v] = -1;
    for (int e = 0; e < all->n_edges; e++) {
        place[all->edges[e].to] |= 1;
        place[all->edges[e].from] |= 2;
    }
    status = nodes_select(all, place, graph);
    if (!status)
        status = edges_select(all, place, anchor, graph);
    for (int v = 0; !status && v < n; v++)
        if (place[v] < 0)
            status = passenger_add(graph, all->nodes[v].line, anchor[v]);
    weir_free(place);
    return status;
}

weir_status weir_cost_graph_read_pipedream(const char *text, size_t bytes, double bandwidth,
                                           struct weir_cost_graph *graph)
{
    struct weir_cost_graph all;
    struct edge_list edges = {0};
    weir_cost_graph_init(&all);
    graph->bandwidth = bandwidth;
    char *copy;
    weir_status status = weir_alloc(bytes + 1, 1, &copy);
    if (status)
        return status;
    memcpy(copy, text, bytes);
    if (memchr(copy, 0, bytes))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "the file has zero bytes: it is not a graph.txt");
    if (!status)
        status = lines_read(copy, &all, &edges);
    if (!status)
        status = edges_resolve(&edges, bandwidth, &all);
    if (!status)
        status = problem_select(&all, graph);
    weir_free(edges.items);
    weir_free(copy);
    weir_cost_graph_release(&all);
    return status;
}
