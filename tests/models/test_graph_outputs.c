/* Nodes with several outputs: how they are numbered, named, used, cast and refused.   labels: pure */
#include "tests/support/testing.h"

#include <limits.h>
#include <string.h>

#include "include/weir/graph.h"
#include "kernels/op_rows.h"

/* x ─▶ split ─▶ a, b, c │ relu(c), a ─▶ concat ─▶ y ─▶ loss; nobody reads b */
static void parts_build(struct weir_arena *arena, struct weir_graph_builder *b)
{
    static const struct weir_split_attr three = {.parts = {2, 1, 5}};
    static const struct weir_linear_attr wide = {.out_features = 8};
    weir_graph_begin(b, "parts", arena);
    int x = weir_graph_input(b, "x", (struct weir_shape){2, {4, 8}, WEIR_DTYPE_F32});
    int target = weir_graph_input(b, "target", (struct weir_shape){2, {4, 7}, WEIR_DTYPE_F32});
    weir_graph_layer(b, "one");
    int w = weir_graph_param(b, "w", WEIR_INIT_NORMAL, 1, true);
    x = weir_graph_node(b, "linear", &weir_op_linear, &wide, sizeof wide, 1, &x, 1, &w);
    int a = weir_graph_node(b, "cut", &weir_op_split, &three, sizeof three, 1, &x, 0, NULL);
    int c = weir_graph_output(b, a, 2);
    weir_graph_layer(b, "two");
    c = weir_graph_node(b, "relu", &weir_op_relu, NULL, 0, 1, &c, 0, NULL);
    int y = weir_graph_node(b, "join", &weir_op_concat, NULL, 0, 2, (int[]){c, a}, 0, NULL);
    weir_graph_node(b, "loss", &weir_op_mse, NULL, 0, 2, (int[]){y, target}, 0, NULL);
}

static const struct weir_graph *parts_graph(struct weir_arena *arena)
{
    struct weir_graph_builder b;
    const struct weir_graph *graph;
    parts_build(arena, &b);
    assert_ok(weir_graph_finish(&b, &graph));
    return graph;
}

static void node_is(const struct weir_graph *graph, int n, const char *name, const char *op, int part, int n_outputs, int64_t width)
{
    struct weir_node_info node;
    assert_ok(weir_graph_node_get(graph, n, &node));
    assert_string_equal(node.name, name);
    assert_string_equal(node.op, op);
    assert_int_equal(node.part, part);
    assert_int_equal(node.n_outputs, n_outputs);
    assert_int_equal(node.output->dims[1], width);
    assert_ptr_equal(weir_graph_shape(graph, n), node.output);
    assert_int_equal(weir_node_maker(graph, n), n - part);
}

static void an_output_is_a_node_of_its_own_behind_the_first(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph = parts_graph(&arena);
    assert_int_equal(graph->n_nodes, 7);
    node_is(graph, 1, "cut", "split", 0, 3, 2);
    node_is(graph, 2, "cut:1", "part", 1, 1, 1);
    node_is(graph, 3, "cut:2", "part", 2, 1, 5);
    node_is(graph, 5, "join", "concat", 0, 1, 7);
    assert_true(graph->nodes[5].inputs[0] == 4 && graph->nodes[5].inputs[1] == 1 && graph->nodes[4].inputs[0] == 3);
    assert_int_equal(graph->layers[1].n_crossing, 2); /* a and c; nobody reads b */
    assert_true(graph->layers[1].crossing[0] == 1 && graph->layers[1].crossing[1] == 3);
    assert_int_equal(weir_layer_crossing_bytes(graph, 1), 4 * (2 + 5) * sizeof(float));
    assert_true(weir_node_cost(graph, 2, WEIR_FORWARD) == 0);
    weir_arena_release(&arena);
}

/* A graph that is built again has the same numbers. */
static void parts_stay_what_they_are_in_graphs_of_other_sizes_and_types(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph = parts_graph(&arena), *cast, *resized;
    assert_ok(weir_graph_cast(graph, WEIR_DTYPE_BF16, &arena, &cast));
    assert_ok(weir_graph_resize(graph, 9, &arena, &resized));
    for (int n = 0; n < graph->n_nodes; n++) {
        const struct weir_node *own = &graph->nodes[n], *a = &cast->nodes[n], *b = &resized->nodes[n];
        assert_true(own->op == a->op && own->op == b->op && own->part == a->part && own->part == b->part);
        assert_string_equal(own->name, a->name);
        for (int i = 0; i < own->shapes.n_outputs && n < graph->n_nodes - 1; i++) {
            assert_int_equal(a->shapes.outputs[i].dtype, WEIR_DTYPE_BF16);
            assert_int_equal(weir_shape_elements(&b->shapes.outputs[i]) * 4, weir_shape_elements(&own->shapes.outputs[i]) * 9);
        }
    }
    weir_arena_release(&arena);
}

static void outputs_that_are_not_there_are_named(void **state)
{
    (void)state;
    static const struct {
        int node, i;
        const char *words;
    } rows[] = {{1, 3, "node 'cut' has no output 3, it has 3"}, {1, -1, "node 'cut' has no output -1"},
                {0, 1, "node 'linear' has no output 1, it has 1"}, {2, 0, "value 2 is no node's first output"},
                {7, 0, "value 7 is no node's first output"}, {-1, 0, "value -1 is no node's"}, {INT_MAX, 0, "value 2147483647 is"},
                {INT_MIN, 0, "value -2147483648 is"}};
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) {
        struct weir_arena arena = {0};
        struct weir_graph_builder b;
        parts_build(&arena, &b);
        assert_int_equal(weir_graph_output(&b, 1, 2), 3);
        weir_graph_output(&b, rows[k].node, rows[k].i);
        assert_fails(weir_graph_status(&b), WEIR_ERR_INVALID, rows[k].words);
        weir_arena_release(&arena);
    }
}

static weir_status infer_of_nine_outputs(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    shapes->n_outputs = WEIR_OP_OUTPUTS + 1;
    return WEIR_OK;
}

static weir_status infer_of_two_outputs(struct weir_op_shapes *shapes)
{
    shapes->outputs[0] = shapes->outputs[1] = shapes->inputs[0];
    shapes->n_outputs = 2;
    return WEIR_OK;
}

static weir_status infer_of_an_empty_output(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    shapes->outputs[1] = (struct weir_shape){2, {4, 0}, WEIR_DTYPE_F32};
    shapes->n_outputs = 2;
    return WEIR_OK;
}

static weir_status infer_of_f32(struct weir_op_shapes *shapes)
{
    shapes->outputs[0] = shapes->outputs[1] = shapes->inputs[0];
    shapes->outputs[1].dtype = WEIR_DTYPE_F32;
    shapes->n_outputs = 2;
    return WEIR_OK;
}

static void rows_of_outputs_that_cannot_be_are_named(void **state)
{
    (void)state;
    static const struct {
        struct weir_op row;
        const char *words;
    } rows[] = {
        {{.name = "nine", .infer = infer_of_nine_outputs}, "node 'n': nine has 9 outputs, a row has 1 to 8"},
        {{.name = "cost", .infer = infer_of_two_outputs, .flags = WEIR_OP_LOSS}, "node 'n': cost has 2 outputs, a loss has one"},
        {{.name = "plus", .infer = infer_of_two_outputs, .flags = WEIR_OP_SUM}, "node 'n': plus has 2 outputs, a sum has one"},
        {{.name = "none", .infer = infer_of_an_empty_output}, "node 'n' is (4, 0) f32: every dimension must be at least 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_arena arena = {0};
        struct weir_graph_builder b;
        struct weir_op row = rows[i].row;
        row.struct_bytes = sizeof row;
        weir_graph_begin(&b, "g", &arena);
        int x = weir_graph_input(&b, "x", (struct weir_shape){2, {4, 8}, WEIR_DTYPE_F32});
        weir_graph_layer(&b, "one");
        weir_graph_node(&b, "n", &row, NULL, 0, 1, &x, 0, NULL);
        assert_fails(weir_graph_status(&b), WEIR_ERR_INVALID, rows[i].words);
        weir_arena_release(&arena);
    }
}

/* Two outputs, one of them f32 whatever it is asked for. */
static void a_row_with_an_output_for_f32_alone_is_not_cast(void **state)
{
    (void)state;
    static const struct weir_op row = {.struct_bytes = sizeof row, .name = "mixed", .infer = infer_of_f32};
    struct weir_arena arena = {0};
    struct weir_graph_builder b;
    const struct weir_graph *graph, *cast;
    weir_graph_begin(&b, "g", &arena);
    int x = weir_graph_input(&b, "x", (struct weir_shape){2, {4, 8}, WEIR_DTYPE_F32});
    weir_graph_layer(&b, "one");
    x = weir_graph_node(&b, "n", &row, NULL, 0, 1, &x, 0, NULL);
    weir_graph_node(&b, "y", &weir_op_add, NULL, 0, 2, (int[]){x, weir_graph_output(&b, x, 1)}, 0, NULL);
    assert_ok(weir_graph_finish_forward(&b, &graph));
    assert_fails(weir_graph_cast(graph, WEIR_DTYPE_BF16, &arena, &cast), WEIR_ERR_INVALID, "operation 'mixed' is for f32 alone");
    weir_arena_release(&arena);
}

static void outputs_of_which_none_is_used_are_named(void **state)
{
    (void)state;
    static const struct weir_split_attr half = {.parts = {4, 4}};
    for (int last = 0; last < 2; last++) {
        struct weir_arena arena = {0};
        struct weir_graph_builder b;
        const struct weir_graph *graph;
        weir_graph_begin(&b, "g", &arena);
        int x = weir_graph_input(&b, "x", (struct weir_shape){2, {4, 8}, WEIR_DTYPE_F32});
        weir_graph_layer(&b, "one");
        weir_graph_node(&b, "cut", &weir_op_split, &half, sizeof half, 1, &x, 0, NULL);
        if (!last)
            weir_graph_node(&b, "relu", &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
        assert_fails(weir_graph_finish_forward(&b, &graph), WEIR_ERR_INVALID,
                     last ? "the last node 'cut' has several outputs, a graph has one result" : "the output of node 'cut' is never used");
        weir_arena_release(&arena);
    }
}

/* A target that is an output of a node with parameters has no gradient. */
static void a_target_that_depends_on_parameters_through_an_output_is_named(void **state)
{
    (void)state;
    static const struct weir_linear_attr wide = {.out_features = 8};
    static const struct weir_split_attr half = {.parts = {4, 4}};
    struct weir_arena arena = {0};
    struct weir_graph_builder b;
    const struct weir_graph *graph;
    weir_graph_begin(&b, "g", &arena);
    int x = weir_graph_input(&b, "x", (struct weir_shape){2, {4, 8}, WEIR_DTYPE_F32});
    int w = weir_graph_param(&b, "w", WEIR_INIT_NORMAL, 1, true);
    weir_graph_layer(&b, "one");
    x = weir_graph_node(&b, "linear", &weir_op_linear, &wide, sizeof wide, 1, &x, 1, &w);
    x = weir_graph_node(&b, "cut", &weir_op_split, &half, sizeof half, 1, &x, 0, NULL);
    weir_graph_node(&b, "loss", &weir_op_mse, NULL, 0, 2, (int[]){x, weir_graph_output(&b, x, 1)}, 0, NULL);
    assert_fails(weir_graph_finish(&b, &graph), WEIR_ERR_INVALID, "its target 'cut:1' depends on parameters");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_output_is_a_node_of_its_own_behind_the_first),
        cmocka_unit_test(parts_stay_what_they_are_in_graphs_of_other_sizes_and_types),
        cmocka_unit_test(outputs_that_are_not_there_are_named),
        cmocka_unit_test(rows_of_outputs_that_cannot_be_are_named),
        cmocka_unit_test(a_row_with_an_output_for_f32_alone_is_not_cast),
        cmocka_unit_test(outputs_of_which_none_is_used_are_named),
        cmocka_unit_test(a_target_that_depends_on_parameters_through_an_output_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
