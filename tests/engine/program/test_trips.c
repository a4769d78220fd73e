/* engine/program: where values go when a graph is cut.   labels: pure */
#include "engine/program/trips.h"

#include <string.h>

#include "models/model_kinds.h"
#include "tests/support/branch_rig.h"
#include "tests/support/odd_branches.h"
#include "tests/support/odd_graph.h"
#include "tests/support/random_schedule.h"
#include "tests/support/testing.h"

enum { MOST_STAGES = 12, MOST_NODES = 128 };

static int stage_of(const int *first_layer, int layer)
{
    int s = 0;
    while (first_layer[s + 1] <= layer)
        s++;
    return s;
}

struct copies {
    bool wants[MOST_NODES][MOST_STAGES]; /* the stage reads the value and does not make it */
    int maker[MOST_NODES], n;
};

static void copies_count(const struct weir_graph *graph, const int *first_layer, struct copies *c)
{
    memset(c, 0, sizeof *c);
    for (int n = 0; n < graph->n_nodes; n++) {
        c->maker[n] = stage_of(first_layer, graph->nodes[n].layer);
        for (int i = 0; i < graph->nodes[n].shapes.n_inputs; i++) {
            int value = graph->nodes[n].inputs[i];
            if (!weir_value_is_input(value) && c->maker[value] != c->maker[n] && !c->wants[value][c->maker[n]]) {
                c->wants[value][c->maker[n]] = true;
                c->n++;
            }
        }
    }
}

static bool reads_between(const struct copies *c, const struct weir_trip *trip)
{
    for (int s = trip->from + 1; s < trip->to; s++)
        if (c->wants[trip->value][s])
            return true;
    return false;
}

/* Every stage that reads a value gets it once, from the last stage before it that has it, and no other stage gets it. */
static void trips_check(const struct weir_graph *graph, const int *first_layer, int n_stages)
{
    struct weir_arena arena = {0};
    struct copies c;
    const struct weir_trip *trips;
    int n;
    assert_true(graph->n_nodes <= MOST_NODES && n_stages <= MOST_STAGES);
    copies_count(graph, first_layer, &c);
    assert_ok(weir_trips_find(graph, first_layer, n_stages, &arena, &trips, &n));
    assert_int_equal(n, c.n);
    for (int t = 0; t < n; t++) {
        const struct weir_trip *trip = &trips[t];
        assert_true(c.wants[trip->value][trip->to]);
        assert_true(c.maker[trip->value] == trip->from || c.wants[trip->value][trip->from]);
        assert_false(reads_between(&c, trip));
        assert_true(!t || trips[t - 1].to < trip->to || (trips[t - 1].to == trip->to && trips[t - 1].from <= trip->from));
    }
    weir_arena_release(&arena);
}

static void cut_draw(uint64_t *random, int n_layers, int n_stages, int *first_layer)
{
    for (int s = 0, layer = 0; s < n_stages; s++) {
        first_layer[s] = layer;
        layer += 1 + random_below(random, n_layers - layer - (n_stages - s - 1));
    }
    first_layer[n_stages] = n_layers;
}

static void cuts_check(const struct weir_graph *graph, uint64_t *random)
{
    int first_layer[MOST_STAGES + 1];
    for (int n_stages = 1; n_stages <= graph->n_layers && n_stages <= MOST_STAGES; n_stages++) {
        cut_draw(random, graph->n_layers, n_stages, first_layer);
        trips_check(graph, first_layer, n_stages);
    }
}

static void every_reader_gets_one_copy_by_one_transfer(void **state)
{
    (void)state;
    uint64_t random = 3;
    for (int which = 0; which < BRANCH_GRAPHS; which++) {
        struct weir_arena arena = {0};
        const struct weir_graph *graph;
        branch_graph_build((enum branch_graph)which, &arena, &graph);
        cuts_check(graph, &random);
        weir_arena_release(&arena);
    }
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct weir_arena arena = {0};
        struct weir_graph_builder b;
        const struct weir_graph *graph;
        weir_graph_begin(&b, "odd", &arena);
        odd_branches_build(&b, seed);
        assert_ok(weir_graph_finish(&b, &graph));
        cuts_check(graph, &random);
        weir_arena_release(&arena);
    }
}

static void a_chain_hands_one_value_to_the_next_stage(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    const struct weir_trip *trips;
    int n;
    struct weir_model_params params = {.microbatch_size = 2, .n_inputs = 4, .n_classes = 4};
    assert_ok(weir_model_build(&weir_model_mlp, &params, &arena, &graph));
    assert_ok(weir_trips_find(graph, (int[]){0, 2, 5, 8}, 3, &arena, &trips, &n));
    assert_int_equal(n, 2);
    for (int t = 0; t < 2; t++)
        assert_true(trips[t].from == t && trips[t].to == t + 1);
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reader_gets_one_copy_by_one_transfer),
        cmocka_unit_test(a_chain_hands_one_value_to_the_next_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
