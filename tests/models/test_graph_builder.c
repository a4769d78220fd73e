/* The graph builder: whatever a program hands it, an index, a name, a row or a size that cannot be is a status.
 * labels: pure */
#include "tests/support/testing.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "include/weir/call.h"
#include "include/weir/graph.h"
#include "kernels/op_rows.h"
#include "models/model_kinds.h"

struct build {
    struct weir_arena arena;
    struct weir_graph_builder b;
    int x, w; /* an input (4, 8) and a parameter */
};

static void begin(struct build *t)
{
    *t = (struct build){.x = 0};
    weir_graph_begin(&t->b, "g", &t->arena);
    t->x = weir_graph_input(&t->b, "x", (struct weir_shape){2, {4, 8}, WEIR_DTYPE_F32});
    weir_graph_layer(&t->b, "one");
    t->w = weir_graph_param(&t->b, "w", WEIR_INIT_NORMAL, 1, true);
    assert_ok(weir_graph_status(&t->b));
}

/* The builder has failed with these words, and finishing says so again. */
static void ends(struct build *t, const char *words)
{
    const struct weir_graph *graph = NULL;
    assert_fails(weir_graph_status(&t->b), WEIR_ERR_INVALID, words);
    assert_fails(weir_graph_finish(&t->b, &graph), WEIR_ERR_INVALID, words);
    assert_null(graph);
    weir_arena_release(&t->arena);
}

static const struct weir_linear_attr eight = {.out_features = 8};

static void a_value_that_is_not_there_is_named(void **state)
{
    (void)state;
    static const struct {
        int value;
        const char *words;
    } rows[] = {{0, "node 'n': input 0 is value 0, the nodes before it are 0 to -1"},
                {7, "node 'n': input 0 is value 7"},
                {INT_MAX, "node 'n': input 0 is value 2147483647"},
                {-2, "node 'n': input 0 is input 1 of the graph, which has 1 so far"},
                {INT_MIN, "node 'n': input 0 is input 2147483647 of the graph"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct build t;
        begin(&t);
        weir_graph_node(&t.b, "n", &weir_op_relu, NULL, 0, 1, &rows[i].value, 0, NULL);
        ends(&t, rows[i].words);
    }
}

static void a_parameter_that_is_not_there_is_named(void **state)
{
    (void)state;
    static const int numbers[] = {1, -1, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct build t;
        char words[80];
        begin(&t);
        weir_graph_node(&t.b, "n", &weir_op_linear, &eight, sizeof eight, 1, &t.x, 1, &numbers[i]);
        snprintf(words, sizeof words, "node 'n': parameter 0 is number %d, the graph has 1 so far", numbers[i]);
        ends(&t, words);
        begin(&t);
        weir_graph_param_sizes(&t.b, numbers[i], "n_embd");
        snprintf(words, sizeof words, "there is no parameter %d, the graph has 1 so far", numbers[i]);
        ends(&t, words);
    }
}

static void lists_that_are_missing_are_named(void **state)
{
    (void)state;
    struct build t;
    begin(&t);
    weir_graph_node(&t.b, "n", &weir_op_relu, NULL, 0, 1, NULL, 0, NULL);
    ends(&t, "node 'n' has 1 inputs and 0 parameters, of which a list is missing");
    begin(&t);
    weir_graph_node(&t.b, "n", &weir_op_linear, &eight, sizeof eight, 1, &t.x, 1, NULL);
    ends(&t, "of which a list is missing");
    begin(&t);
    weir_graph_node(&t.b, "n", &weir_op_relu, NULL, 0, -1, &t.x, 0, NULL);
    ends(&t, "node 'n' has -1 inputs");
    begin(&t);
    weir_graph_node(&t.b, "n", &weir_op_relu, NULL, 0, WEIR_OP_INPUTS + 1, &t.x, 0, NULL);
    ends(&t, "node 'n' has more than");
}

static void names_that_are_missing_are_a_status(void **state)
{
    (void)state;
    struct build t = {.x = 0};
    weir_graph_begin(&t.b, NULL, &t.arena);
    ends(&t, "a graph has no name");
    begin(&t);
    weir_graph_input(&t.b, NULL, (struct weir_shape){1, {4}, WEIR_DTYPE_I32});
    ends(&t, "a graph input has no name");
    begin(&t);
    weir_graph_layer(&t.b, NULL);
    ends(&t, "a layer has no name");
    begin(&t);
    weir_graph_param(&t.b, "", WEIR_INIT_NORMAL, 1, true);
    ends(&t, "a parameter has no name");
    begin(&t);
    weir_graph_node(&t.b, NULL, &weir_op_relu, NULL, 0, 1, &t.x, 0, NULL);
    ends(&t, "a node has no name");
}

static weir_status infer_of_nine_dimensions(struct weir_op_shapes *shapes)
{
    shapes->output = (struct weir_shape){WEIR_MAX_DIMS + 1, {1, 1, 1, 1, 1, 1, 1, 1}, WEIR_DTYPE_F32};
    return WEIR_OK;
}

static weir_status infer_of_no_output(struct weir_op_shapes *shapes)
{
    weir_shapes_output_set(shapes, weir_shapes_input(shapes, 7)); /* there is none */
    return WEIR_OK;
}

static weir_status infer_of_nothing(struct weir_op_shapes *shapes)
{
    (void)shapes;
    return WEIR_OK;
}

static weir_status infer_of_few_words(struct weir_op_shapes *shapes)
{
    (void)shapes;
    return WEIR_ERR_UNSUPPORTED;
}

static weir_status infer_of_no_dtype(struct weir_op_shapes *shapes)
{
    shapes->output = (struct weir_shape){1, {4}, (enum weir_dtype)99};
    return WEIR_OK;
}

static weir_status infer_of_an_empty_output(struct weir_op_shapes *shapes)
{
    shapes->output = (struct weir_shape){2, {4, 0}, WEIR_DTYPE_F32};
    return WEIR_OK;
}

static weir_status infer_of_endless_notes(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    shapes->saved_bytes = SIZE_MAX;
    return WEIR_OK;
}

static weir_status infer_of_a_broken_parameter(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    shapes->n_params = 1;
    shapes->params[0] = (struct weir_shape){-3, {4}, WEIR_DTYPE_F32};
    return WEIR_OK;
}

static weir_status infer_of_a_loss_of_nothing(struct weir_op_shapes *shapes)
{
    shapes->output = (struct weir_shape){1, {1}, WEIR_DTYPE_F64};
    return WEIR_OK;
}

static void rows_that_say_what_cannot_be_are_named(void **state)
{
    (void)state;
    static const struct {
        struct weir_op row;
        int n_inputs, n_params;
        const char *words;
    } rows[] = {
        {{.name = "bare"}, 1, 0, "node 'n': the row of operation 'bare' has no infer"},
        {{.infer = infer_of_no_dtype}, 1, 0, "node 'n': the row of operation '' has no name"},
        {{.name = "idle", .infer = infer_of_nothing}, 1, 0, "node 'n': infer of 'idle' gives output 0 no shape"},
        {{.name = "poor", .infer = infer_of_no_output}, 1, 0, "node 'n': infer of 'poor' gives output 0 no shape"},
        {{.name = "deep", .infer = infer_of_nine_dimensions}, 1, 0, "node 'n' has 9 dimensions of dtype 0"},
        {{.name = "odd", .infer = infer_of_no_dtype}, 1, 0, "node 'n' has 1 dimensions of dtype 99"},
        {{.name = "none", .infer = infer_of_an_empty_output}, 1, 0, "node 'n' is (4, 0) f32: every dimension must be"},
        {{.name = "notes", .infer = infer_of_endless_notes}, 1, 0, "node 'n': notes keeps 18446744073709551615 bytes"},
        {{.name = "broken", .infer = infer_of_a_broken_parameter}, 1, 1, "parameter 'w' has -3 dimensions"},
        {{.name = "lost", .infer = infer_of_a_loss_of_nothing, .flags = WEIR_OP_LOSS}, 0, 0, "has no prediction as its first"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct build t;
        struct weir_op row = rows[i].row;
        row.struct_bytes = sizeof row;
        begin(&t);
        weir_graph_node(&t.b, "n", &row, NULL, 0, rows[i].n_inputs, &t.x, rows[i].n_params, &t.w);
        ends(&t, rows[i].words);
    }
    struct build t;
    begin(&t);
    weir_graph_node(&t.b, "n", NULL, NULL, 0, 1, &t.x, 0, NULL);
    ends(&t, "node 'n' has no operation");
    const struct weir_op silent = {.struct_bytes = sizeof silent, .name = "silent", .infer = infer_of_few_words};
    begin(&t);
    weir_graph_node(&t.b, "n", &silent, NULL, 0, 1, &t.x, 0, NULL);
    assert_fails(weir_graph_status(&t.b), WEIR_ERR_UNSUPPORTED, "node 'n': infer of 'silent' returned status");
    weir_arena_release(&t.arena);
}

/* Any other node may take a value twice; a loss has no gradient for its second input. */
static void a_loss_of_a_value_and_itself_is_refused(void **state)
{
    (void)state;
    struct build t;
    const struct weir_graph *graph;
    begin(&t);
    int y = weir_graph_node(&t.b, "fc", &weir_op_linear, &eight, sizeof eight, 1, &t.x, 1, &t.w);
    y = weir_graph_node(&t.b, "twice", &weir_op_concat, NULL, 0, 2, (int[]){y, y}, 0, NULL);
    weir_graph_node(&t.b, "loss", &weir_op_mse, NULL, 0, 2, (int[]){y, y}, 0, NULL);
    assert_ok(weir_graph_status(&t.b));
    assert_fails(weir_graph_finish(&t.b, &graph), WEIR_ERR_INVALID, "node 'loss': its target 'twice' depends on parameters");
    weir_arena_release(&t.arena);
}

static void inputs_and_parameters_that_cannot_be_are_named(void **state)
{
    (void)state;
    static const struct {
        struct weir_shape shape;
        const char *words;
    } rows[] = {{{WEIR_MAX_DIMS + 1, {4, 1, 1, 1, 1, 1, 1, 1}, WEIR_DTYPE_F32}, "input 'y' has 9 dimensions of dtype 0"},
                {{-1, {4}, WEIR_DTYPE_F32}, "input 'y' has -1 dimensions"},
                {{0, {4}, WEIR_DTYPE_F32}, "input 'y' has no dimensions"},
                {{1, {4}, (enum weir_dtype)7}, "of dtype 7"},
                {{2, {4, 0}, WEIR_DTYPE_F32}, "input 'y' is (4, 0) f32: every dimension must be at least 1"},
                {{2, {4, -8}, WEIR_DTYPE_F32}, "input 'y' is (4, -8) f32"},
                {{1, {5}, WEIR_DTYPE_I32}, "input 'y' has 5 samples, input 'x' has 4"},
                {{3, {4, INT64_MAX, 4}, WEIR_DTYPE_F32}, "more than 2^56 elements cannot be"},
                {{4, {4, 1 << 30, 1 << 30, 4}, WEIR_DTYPE_F32}, "more than 2^56 elements cannot be"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct build t;
        begin(&t);
        weir_graph_input(&t.b, "y", rows[i].shape);
        ends(&t, rows[i].words);
    }
    struct build t;
    begin(&t);
    weir_graph_param(&t.b, "v", WEIR_INIT_NORMAL, NAN, true);
    ends(&t, "parameter 'v' has the scale nan");
    begin(&t);
    weir_graph_param(&t.b, "v", (enum weir_init)5, 1, true);
    ends(&t, "parameter 'v' has initial values of kind 5");
}

static void sizes_whose_product_does_not_fit_are_refused(void **state)
{
    (void)state;
    struct build t;
    struct weir_linear_attr wide = {.out_features = (int64_t)1 << 62};
    begin(&t);
    weir_graph_node(&t.b, "n", &weir_op_linear, &wide, sizeof wide, 1, &t.x, 1, &t.w);
    ends(&t, "more than 2^56 elements cannot be");
    wide.out_features = (int64_t)1 << 53; /* the weight has 2^56 */
    begin(&t);
    weir_graph_node(&t.b, "n", &weir_op_linear, &wide, sizeof wide, 1, &t.x, 1, &t.w);
    assert_ok(weir_graph_status(&t.b));
    weir_arena_release(&t.arena);
}

/* Each tensor could be, all of them together could not. */
static void sizes_whose_sum_does_not_fit_are_refused(void **state)
{
    (void)state;
    struct build t;
    const struct weir_graph *graph;
    struct weir_linear_attr wide = {.out_features = (int64_t)1 << 53}, narrow = {.out_features = 8};
    begin(&t);
    int x = weir_graph_node(&t.b, "start", &weir_op_linear, &narrow, sizeof narrow, 1, &t.x, 1, &t.w);
    for (int i = 0; i < 4; i++) {
        char name[2][16];
        snprintf(name[0], sizeof name[0], "wide%d", i);
        snprintf(name[1], sizeof name[1], "narrow%d", i);
        int w[2] = {weir_graph_param(&t.b, name[0], WEIR_INIT_NORMAL, 1, true),
                    weir_graph_param(&t.b, name[1], WEIR_INIT_NORMAL, 1, true)};
        weir_graph_layer(&t.b, name[0]);
        x = weir_graph_node(&t.b, name[0], &weir_op_linear, &wide, sizeof wide, 1, &x, 1, &w[0]);
        x = weir_graph_node(&t.b, name[1], &weir_op_linear, &narrow, sizeof narrow, 1, &x, 1, &w[1]);
    }
    assert_ok(weir_graph_status(&t.b));
    assert_fails(weir_graph_finish_forward(&t.b, &graph), WEIR_ERR_INVALID, "has more than 2^56 elements in its parameters");
    weir_arena_release(&t.arena);
}

static void a_graph_has_no_shape_for_a_value_that_it_has_not(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_model_params params = {.microbatch_size = 2};
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &params, &arena, &graph));
    assert_non_null(weir_graph_shape(graph, graph->n_nodes - 1));
    assert_non_null(weir_graph_shape(graph, weir_input_value(graph->n_inputs - 1)));
    assert_null(weir_graph_shape(graph, graph->n_nodes));
    assert_null(weir_graph_shape(graph, weir_input_value(graph->n_inputs)));
    assert_null(weir_graph_shape(graph, INT_MIN));
    const struct weir_graph *resized = NULL;
    assert_fails(weir_graph_resize(graph, 0, &arena, &resized), WEIR_ERR_INVALID, "every dimension must be at least 1");
    assert_fails(weir_graph_resize(graph, INT64_MAX, &arena, &resized), WEIR_ERR_INVALID, "more than 2^56 elements");
    assert_null(resized);
    weir_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    weir_status status = WEIR_ERR_NOMEM;
    for (int budget = 0; status; budget++) {
        struct weir_arena arena = {0};
        const struct weir_graph *graph;
        struct weir_model_params params = {.microbatch_size = 2};
        weir_alloc_set_budget(budget);
        status = weir_model_build(&weir_model_llama_tiny, &params, &arena, &graph);
        weir_alloc_set_budget(-1);
        assert_true(status == WEIR_OK || status == WEIR_ERR_NOMEM);
        weir_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_is_not_there_is_named),
        cmocka_unit_test(a_parameter_that_is_not_there_is_named),
        cmocka_unit_test(lists_that_are_missing_are_named),
        cmocka_unit_test(names_that_are_missing_are_a_status),
        cmocka_unit_test(rows_that_say_what_cannot_be_are_named),
        cmocka_unit_test(a_loss_of_a_value_and_itself_is_refused),
        cmocka_unit_test(inputs_and_parameters_that_cannot_be_are_named),
        cmocka_unit_test(sizes_whose_product_does_not_fit_are_refused),
        cmocka_unit_test(sizes_whose_sum_does_not_fit_are_refused),
        cmocka_unit_test(a_graph_has_no_shape_for_a_value_that_it_has_not),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
