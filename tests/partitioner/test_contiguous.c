/* contiguous plans against brute force over all of them, and what must not change them.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "partitioner/contiguous/cut_bound.h"
#include "partitioner/contiguous/part_bound.h"
#include "partitioner/plan/plan_solve.h"

enum { MOST_NODES = 20, MOST_PARTS = 8 };

static uint32_t draw_seed, draw_count;

static uint32_t draw(uint32_t n)
{
    return weir_rng_philox(draw_seed, draw_count++, 0, 0, 0).v[0] % n;
}

struct shape {
    int n;
    bool colors, backward, cpus, pins, no_cut, memory, chain;
};

/* Node ids are shuffled positions; edges go up in position, so the graph has no cycle. */
static void graph_draw(const struct shape *shape, struct weir_cost_graph *graph)
{
    weir_cost_graph_init(graph);
    int n_forward = shape->backward ? shape->n / 2 + 1 : shape->n;
    for (int v = 0; v < shape->n; v++) {
        char id[16];
        snprintf(id, sizeof id, "%d", v);
        struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
        node.id = id;
        node.backward = v >= n_forward;
        *(node.backward ? &node.input_grad : &node.forward) = draw(4) ? draw(1000) / 10.0 : 0;
        node.cpu = shape->cpus && draw(5) ? draw(3000) / 10.0 : NAN;
        node.parameter_bytes = draw(100);
        node.color = shape->backward && draw(4) ? v % n_forward : shape->colors && !draw(3) ? 100 + (int)draw(3) : -1;
        node.device = shape->pins && !draw(5) ? (int)draw(2) : -1;
        assert_ok(weir_cost_graph_add_node(graph, &node, NULL));
    }
    double cost[MOST_NODES];
    for (int v = 0; v < shape->n; v++)
        cost[v] = draw(3) ? draw(300) / 10.0 : 0;
    for (int a = 0; a < shape->n; a++)
        for (int b = a + 1; b < shape->n; b++)
            if (shape->chain ? b == a + 1 : draw(10) < 3) {
                struct weir_cost_edge edge = {.from = a, .to = b, .cost = cost[a], .no_cut = shape->no_cut && !draw(6)};
                assert_ok(weir_cost_graph_add_edge(graph, &edge));
            }
    assert_ok(weir_cost_graph_finish(graph));
}

struct brute {
    const struct weir_cost_graph *graph;
    int devices, cpus; /* parts in data-flow order; any of them may be the CPU ones */
    double memory;
    int part[MOST_NODES];
    unsigned cpu_mask; /* which part numbers are CPUs */
    double best;
};

/* Straight from the definition. */
static double load_of(const struct brute *b, int part)
{
    const struct weir_cost_graph *g = b->graph;
    bool cpu = b->cpu_mask >> part & 1;
    double load = 0, memory = 0;
    for (int v = 0; v < g->n_nodes; v++) {
        if (b->part[v] != part)
            continue;
        if (cpu && (isnan(g->nodes[v].cpu) || g->nodes[v].device >= 0))
            return INFINITY;
        load += cpu ? g->nodes[v].cpu : weir_cost_node_time(&g->nodes[v]);
        memory += g->nodes[v].parameter_bytes;
    }
    if (cpu)
        return load;
    if (memory > b->memory)
        return INFINITY;
    for (int v = 0; v < g->n_nodes; v++) {
        bool touches = b->part[v] == part, leaves = b->part[v] != part;
        double cost = 0;
        for (int e = 0; e < g->n_edges; e++)
            if (g->edges[e].from == v) {
                cost = g->edges[e].cost;
                touches = touches || b->part[g->edges[e].to] == part;
                leaves = leaves || b->part[g->edges[e].to] != part;
            }
        load += touches && leaves ? cost : 0;
    }
    return load;
}

static bool color_is_backward_only(const struct weir_cost_graph *g, int v)
{
    for (int u = 0; u < g->n_nodes; u++)
        if (!g->nodes[u].backward && (u == v || (g->nodes[u].color >= 0 && g->nodes[u].color == g->nodes[v].color)))
            return false;
    return g->nodes[v].backward;
}

static bool demands_met(const struct brute *b)
{
    const struct weir_cost_graph *g = b->graph;
    for (int u = 0; u < g->n_nodes; u++)
        for (int v = 0; v < u; v++) {
            const struct weir_cost_node *x = &g->nodes[u], *y = &g->nodes[v];
            bool together = b->part[u] == b->part[v];
            if (x->color >= 0 && x->color == y->color && !together)
                return false;
            if (x->device >= 0 && y->device >= 0 && together != (x->device == y->device))
                return false;
        }
    for (int e = 0; e < g->n_edges; e++) {
        int from = g->edges[e].from, to = g->edges[e].to;
        if (g->edges[e].no_cut && b->part[from] != b->part[to])
            return false;
        if (!g->nodes[from].backward && !g->nodes[to].backward && b->part[from] > b->part[to])
            return false;
        bool mirrored = color_is_backward_only(g, from) || color_is_backward_only(g, to);
        if (g->nodes[from].backward && g->nodes[to].backward && mirrored && b->part[from] < b->part[to])
            return false;
    }
    return true;
}

static void brute_visit(struct brute *b, int v)
{
    int parts = b->devices + b->cpus;
    if (v < b->graph->n_nodes) {
        for (b->part[v] = 0; b->part[v] < parts; b->part[v]++)
            brute_visit(b, v + 1);
        return;
    }
    if (!demands_met(b))
        return;
    double most = 0;
    for (int p = 0; p < parts && most < b->best; p++)
        most = fmax(most, load_of(b, p));
    b->best = fmin(b->best, most);
}

/* The best over all monotone numberings, with every choice of which parts are CPUs. */
static double brute_force(const struct weir_cost_graph *graph, int devices, int cpus, double memory)
{
    struct brute b = {.graph = graph, .devices = devices, .cpus = cpus, .memory = memory, .best = INFINITY};
    for (unsigned mask = 0; mask < 1u << (devices + cpus); mask++)
        if (__builtin_popcount(mask) == cpus) {
            b.cpu_mask = mask;
            brute_visit(&b, 0);
        }
    return b.best;
}

static double solve(const struct weir_cost_graph *graph, int devices, int cpus, double memory)
{
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan_result result;
    struct weir_arena arena = {0};
    options.devices = devices, options.cpus = cpus, options.memory = memory;
    weir_status status = weir_plan_solve(graph, &options, &arena, &result);
    if (status == WEIR_ERR_NOFIT) /* contradictory pins */
        return INFINITY;
    assert_ok(status);
    double value = result.plan.objective;
    assert_true(result.plan.lower_bound == value);
    if (isfinite(value)) { /* its own plan must score the same, and be valid and contiguous */
        int device_of[MOST_NODES];
        struct weir_plan plan;
        bool contiguous;
        for (int i = 0; i < result.plan.n_parts; i++)
            for (int k = 0; k < result.plan.parts[i].n_nodes; k++)
                device_of[result.plan.parts[i].nodes[k]] = result.plan.parts[i].device;
        assert_ok(weir_plan_evaluate(graph, &options, device_of, &arena, &plan, &contiguous));
        assert_true(contiguous);
        assert_true(plan.objective == value);
    }
    weir_arena_release(&arena);
    return value;
}

static void check_shape(struct shape shape, int rounds, int most_devices, uint32_t seed)
{
    for (int round = 0; round < rounds; round++) {
        struct weir_cost_graph graph;
        draw_seed = seed + (uint32_t)round, draw_count = 0;
        graph_draw(&shape, &graph);
        int devices = 1 + (int)draw((uint32_t)most_devices), cpus = shape.cpus && devices > 1 ? (int)draw(2) : 0;
        devices -= cpus;
        if (shape.pins && devices < 2)
            devices = 2;
        double memory = shape.memory ? 100 + draw(300) : INFINITY;
        double want = brute_force(&graph, devices, cpus, memory), got = solve(&graph, devices, cpus, memory);
        if (isfinite(want) ? fabs(got - want) > 1e-9 * (1 + want) : isfinite(got))
            fail_msg("seed %u: %d devices, %d CPUs, memory %g: got %.17g, brute force says %.17g", draw_seed, devices,
                     cpus, memory, got, want);
        weir_cost_graph_release(&graph);
    }
}

static void every_small_dag_gets_the_best_plan(void **state)
{
    (void)state;
    for (int n = 1; n <= 8; n++)
        check_shape((struct shape){.n = n}, 60, 3, 1000u * (uint32_t)n);
    check_shape((struct shape){.n = 12}, 4, 3, 50000);
}

static void demands_are_met_at_the_least_cost(void **state)
{
    (void)state;
    check_shape((struct shape){.n = 7, .colors = true}, 150, 3, 100000);
    check_shape((struct shape){.n = 8, .colors = true, .backward = true}, 150, 3, 110000);
    check_shape((struct shape){.n = 7, .memory = true}, 150, 3, 120000);
    check_shape((struct shape){.n = 7, .cpus = true}, 150, 3, 130000);
    check_shape((struct shape){.n = 7, .pins = true}, 150, 3, 140000);
    check_shape((struct shape){.n = 7, .no_cut = true}, 150, 3, 150000);
    check_shape((struct shape){.n = 7, .colors = true, .backward = true, .cpus = true, .memory = true}, 200, 3, 160000);
    check_shape((struct shape){.n = 7, .colors = true, .cpus = true, .pins = true, .no_cut = true, .memory = true}, 200,
                3, 170000);
}

/* Chains by the definition: all cut positions, loads with transfers and a memory cap. */
static double chain_brute(const struct weir_cost_graph *g, int start, int devices, double memory, double most)
{
    if (start == g->n_nodes)
        return most;
    if (!devices)
        return INFINITY;
    double best = INFINITY, time = start ? g->edges[start - 1].cost : 0, bytes = 0;
    for (int end = start + 1; end <= g->n_nodes; end++) {
        time += weir_cost_node_time(&g->nodes[end - 1]);
        bytes += g->nodes[end - 1].parameter_bytes;
        if (bytes > memory)
            break;
        double load = time + (end < g->n_nodes ? g->edges[end - 1].cost : 0);
        best = fmin(best, chain_brute(g, end, devices - 1, memory, fmax(most, load)));
    }
    return best;
}

static void chains_get_the_best_plan(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        struct weir_cost_graph graph;
        struct shape shape = {.n = 1 + round % 20, .chain = true};
        draw_seed = 200000u + (uint32_t)round, draw_count = 0;
        graph_draw(&shape, &graph);
        int devices = 1 + (int)draw(6);
        double memory = draw(2) ? INFINITY : 150 + draw(500);
        double want = chain_brute(&graph, 0, devices, memory, 0), got = solve(&graph, devices, 0, memory);
        if (isfinite(want) ? fabs(got - want) > 1e-9 * (1 + want) : isfinite(got))
            fail_msg("seed %u: %d devices: got %.17g, brute force says %.17g", draw_seed, devices, got, want);
        weir_cost_graph_release(&graph);
    }
}

static void more_devices_are_never_worse(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        struct weir_cost_graph graph;
        struct shape shape = {.n = 18, .colors = round % 2, .memory = round % 3 == 0};
        struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
        struct weir_plan_result result;
        struct weir_arena arena = {0};
        draw_seed = 300000u + (uint32_t)round, draw_count = 0;
        graph_draw(&shape, &graph);
        options.curve_first = 1, options.curve_last = MOST_PARTS;
        options.memory = shape.memory ? 500 : INFINITY;
        assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
        assert_int_equal(result.n_curve, MOST_PARTS);
        for (int i = 0; i < MOST_PARTS; i++) {
            assert_true(!i || result.curve[i].objective <= result.curve[i - 1].objective);
            assert_true(result.curve[i].objective == solve(&graph, i + 1, 0, options.memory));
        }
        weir_arena_release(&arena);
        weir_cost_graph_release(&graph);
    }
}

static void relabelling_changes_nothing(void **state)
{
    (void)state;
    for (int round = 0; round < 40; round++) {
        struct weir_cost_graph graph, other;
        struct shape shape = {.n = 16, .colors = true};
        draw_seed = 400000u + (uint32_t)round, draw_count = 0;
        graph_draw(&shape, &graph);
        int place[MOST_NODES], order[MOST_NODES];
        for (int v = 0; v < shape.n; v++)
            order[v] = v;
        for (int v = shape.n - 1; v > 0; v--) {
            int other_v = (int)draw((uint32_t)v + 1), t = order[v];
            order[v] = order[other_v], order[other_v] = t;
        }
        weir_cost_graph_init(&other);
        for (int i = 0; i < shape.n; i++) {
            place[order[i]] = i;
            assert_ok(weir_cost_graph_add_node(&other, &graph.nodes[order[i]], NULL));
        }
        for (int e = graph.n_edges - 1; e >= 0; e--) {
            struct weir_cost_edge edge = graph.edges[e];
            edge.from = place[edge.from], edge.to = place[edge.to];
            assert_ok(weir_cost_graph_add_edge(&other, &edge));
        }
        for (int devices = 1; devices <= 5; devices++)
            assert_true(solve(&graph, devices, 0, INFINITY) == solve(&other, devices, 0, INFINITY));
        weir_cost_graph_release(&graph);
        weir_cost_graph_release(&other);
    }
}

/* The bounds that count transfers must never pass an optimum, and must say more than work / devices now and then. */
static void bounds_are_below_every_plan(void **state)
{
    (void)state;
    int better = 0, better_part = 0, tight_part = 0;
    for (int round = 0; round < 300; round++) {
        struct weir_cost_graph graph;
        struct weir_arena arena = {0};
        struct weir_blocks blocks;
        struct weir_blocks_purpose purpose = {true, false, INFINITY};
        struct shape shape = {.n = 6 + round % 12, .chain = round % 3 == 0};
        draw_seed = 500000u + (uint32_t)round, draw_count = 0;
        graph_draw(&shape, &graph);
        struct weir_split_problem problem = {.blocks = &blocks, .devices = 2 + round % 4, .memory = INT64_MAX / 4};
        assert_ok(weir_blocks_build(&graph, &purpose, &arena, &blocks));
        int64_t work = (blocks.total_time - 1) / problem.devices + 1, bound = work, part = work;
        assert_ok(weir_cut_bound_raise(&problem, 3 * work, &bound));
        assert_ok(weir_part_bound_raise(&problem, &part));
        double optimum = solve(&graph, problem.devices, 0, INFINITY);
        if ((double)bound * blocks.tick > optimum * (1 + 1e-12))
            fail_msg("seed %u: bound %.17g, optimum %.17g", draw_seed, (double)bound * blocks.tick, optimum);
        if ((double)part * blocks.tick > optimum * (1 + 1e-12))
            fail_msg("seed %u: part bound %.17g, optimum %.17g", draw_seed, (double)part * blocks.tick, optimum);
        better += bound > work;
        better_part += part > work;
        tight_part += (double)part * blocks.tick >= optimum * (1 - 1e-12);
        weir_arena_release(&arena);
        weir_cost_graph_release(&graph);
    }
    print_message("of 300: cut bound above the work's share %d, part bound %d, of which the optimum %d\n", better,
                  better_part, tight_part);
    assert_true(better > 30 && better_part > 30 && tight_part > 3);
}

/* One node has nearly all the time: 64 times its ticks do not fit 63 bits. */
static void a_bound_for_many_devices_does_not_overflow(void **state)
{
    (void)state;
    struct weir_cost_graph graph;
    struct weir_arena arena = {0};
    struct weir_blocks blocks;
    struct weir_blocks_purpose purpose = {true, false, INFINITY};
    double times[3] = {1, 1000, 1}, cost = 0.5;
    weir_cost_graph_init(&graph);
    for (int v = 0; v < 3; v++) {
        struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
        node.id = v == 0 ? "a" : v == 1 ? "b" : "c", node.forward = times[v];
        assert_ok(weir_cost_graph_add_node(&graph, &node, NULL));
    }
    for (int v = 0; v < 2; v++)
        assert_ok(weir_cost_graph_add_edge(&graph, &(struct weir_cost_edge){.from = v, .to = v + 1, .cost = cost}));
    assert_ok(weir_blocks_build(&graph, &purpose, &arena, &blocks));
    struct weir_split_problem problem = {.blocks = &blocks, .devices = 64, .memory = INT64_MAX / 4};
    int64_t bound = (int64_t)(1000 / blocks.tick);
    assert_ok(weir_cut_bound_raise(&problem, bound + bound / 2, &bound));
    assert_true((double)bound * blocks.tick <= solve(&graph, 64, 0, INFINITY) * (1 + 1e-12));
    weir_arena_release(&arena);
    weir_cost_graph_release(&graph);
}

/* a, then b and c side by side, then d: no chain, so that a search is needed. */
static void diamond_build(double bytes, struct weir_cost_graph *graph)
{
    static const char *const ids[] = {"a", "b", "c", "d"};
    static const int ends[4][2] = {{0, 1}, {0, 2}, {1, 3}, {2, 3}};
    weir_cost_graph_init(graph);
    for (int v = 0; v < 4; v++) {
        struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
        node.id = ids[v], node.forward = 2, node.cpu = NAN, node.parameter_bytes = bytes * (v + 1);
        assert_ok(weir_cost_graph_add_node(graph, &node, NULL));
    }
    for (int e = 0; e < 4; e++)
        assert_ok(weir_cost_graph_add_edge(
            graph, &(struct weir_cost_edge){.from = ends[e][0], .to = ends[e][1], .cost = 0.5}));
    assert_ok(weir_cost_graph_finish(graph));
}

static void a_search_without_time_still_has_a_plan(void **state)
{
    (void)state;
    struct weir_cost_graph graph;
    struct weir_arena arena = {0};
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan_result result;
    diamond_build(10, &graph);
    options.devices = 2, options.seconds = 1e-9;
    for (int unordered = 0; unordered < 2; unordered++) {
        options.unordered = unordered;
        assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
        assert_true(result.plan.n_parts >= 1 && result.plan.objective <= 8);
        assert_true(result.plan.lower_bound > 0 && result.plan.lower_bound <= result.plan.objective);
    }
    options.unordered = false, options.memory = 99; /* 100 bytes in all: a plan takes two devices, and a search */
    assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
    assert_true(isinf(result.plan.objective) && isfinite(result.plan.lower_bound));
    assert_fails(weir_plan_refuse(&graph, &options, &result), WEIR_ERR_TIMEOUT, "none is ruled out: use more seconds");
    options.seconds = 0;
    assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
    assert_true(isfinite(result.plan.objective));
    weir_arena_release(&arena);
    weir_cost_graph_release(&graph);
}

static void what_cannot_be_met_is_named(void **state)
{
    (void)state;
    struct weir_cost_graph graph;
    struct weir_arena arena = {0};
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan_result result;
    static const struct {
        double memory;
        int devices;
        int64_t color; /* of c and d */
        bool no_accelerator;
        const char *words;
    } rows[] = {
        {39, 4, -1, false, "node 'd' needs 40 bytes, a device has 39"},
        {60, 4, 3, false, "node 'd' and 1 more must share a device and need 70 bytes, it has 60"},
        {45, 2, -1, false, "all nodes need 100 bytes, 2 devices of 45 hold 90"},
        {45, 3, -1, true, "node 'd' has no CPU time and cannot run on an accelerator"},
        {49, 2, -1, false, "all nodes need 100 bytes, 2 devices of 49 hold 98"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        diamond_build(10, &graph);
        graph.nodes[2].color = graph.nodes[3].color = rows[i].color;
        graph.nodes[3].no_accelerator = rows[i].no_accelerator;
        options.devices = rows[i].devices, options.memory = rows[i].memory;
        assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
        assert_int_equal(result.plan.n_parts, 0);
        assert_fails(weir_plan_refuse(&graph, &options, &result), WEIR_ERR_NOFIT, rows[i].words);
        weir_cost_graph_release(&graph);
    }
    diamond_build(10, &graph); /* 60 and 40 bytes is the best cut of 10, 20, 30, 40, but 50 are allowed */
    options.devices = 2, options.memory = 50;
    assert_ok(weir_plan_solve(&graph, &options, &arena, &result));
    assert_int_equal(result.plan.n_parts, 0);
    assert_fails(weir_plan_refuse(&graph, &options, &result), WEIR_ERR_NOFIT, "no plan on 2 devices");
    options.memory = 0.5;
    assert_fails(weir_plan_solve(&graph, &options, &arena, &result), WEIR_ERR_INVALID, "the memory cap is 0.5 bytes");
    options.memory = NAN;
    assert_fails(weir_plan_solve(&graph, &options, &arena, &result), WEIR_ERR_INVALID, "the memory cap is");
    weir_arena_release(&arena);
    weir_cost_graph_release(&graph);
}

static void impossible_demands_are_refused(void **state)
{
    (void)state;
    struct weir_cost_graph graph;
    struct weir_plan_options options = WEIR_PLAN_OPTIONS_DEFAULT;
    struct weir_plan_result result;
    struct weir_arena arena = {0};
    weir_cost_graph_init(&graph);
    struct weir_cost_node node = WEIR_COST_NODE_DEFAULT;
    node.id = "a", node.color = 1, node.device = 0, node.forward = 1;
    assert_ok(weir_cost_graph_add_node(&graph, &node, NULL));
    node.id = "b", node.device = 1;
    assert_ok(weir_cost_graph_add_node(&graph, &node, NULL));
    assert_fails(weir_plan_solve(&graph, &options, &arena, &result), WEIR_ERR_INVALID, "accelerators, devices");
    options.devices = 1;
    assert_fails(weir_plan_solve(&graph, &options, &arena, &result), WEIR_ERR_NOFIT, "use at least 2 devices");
    options.devices = 2;
    assert_fails(weir_plan_solve(&graph, &options, &arena, &result), WEIR_ERR_NOFIT, "must share a part");
    options.curve_first = 3, options.curve_last = 2;
    assert_fails(weir_plan_solve(&graph, &options, &arena, &result), WEIR_ERR_INVALID, "must ascend");
    weir_cost_graph_release(&graph);
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_small_dag_gets_the_best_plan), cmocka_unit_test(demands_are_met_at_the_least_cost),
        cmocka_unit_test(chains_get_the_best_plan),           cmocka_unit_test(more_devices_are_never_worse),
        cmocka_unit_test(relabelling_changes_nothing),        cmocka_unit_test(bounds_are_below_every_plan),
        cmocka_unit_test(a_bound_for_many_devices_does_not_overflow),
        cmocka_unit_test(a_search_without_time_still_has_a_plan),
        cmocka_unit_test(what_cannot_be_met_is_named),
        cmocka_unit_test(impossible_demands_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
