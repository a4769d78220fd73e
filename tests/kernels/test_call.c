/* A row written with the functions of call.h alone does what the same row does that reads fields. */
#include <string.h>

#include "base/rng.h"
#include "include/weir/call.h"
#include "include/weir/weir.h"
#include "kernels/op_rows.h"
#include "tests/support/testing.h"

enum { WIDTH = 16, BATCH = 4, MICROBATCHES = 4, STEPS = 3 };

/* ---- y = x gain, by fields ------------------------------------------------------------------------------------------------ */

static weir_status field_infer(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    shapes->n_params = 1;
    shapes->params[0] = (struct weir_shape){1, {WIDTH}, WEIR_DTYPE_F32};
    shapes->flops[WEIR_FORWARD] = shapes->bytes[WEIR_FORWARD] = 1;
    return WEIR_OK;
}

static void scale(const float *x, const float *gain, const float *addend, int64_t n, float *y)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (addend ? addend[i] : 0) + x[i] * gain[i % WIDTH];
}

static void gain_gradient(const float *x, const float *dy, bool accumulates, int64_t n, float *d)
{
    for (int i = 0; i < WIDTH && !accumulates; i++)
        d[i] = 0;
    for (int64_t i = 0; i < n; i++)
        d[i % WIDTH] += x[i] * dy[i];
}

static weir_status field_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    scale(call->inputs[0].data, call->params[0].data, NULL, weir_tensor_elements(&call->output), call->output.data);
    return WEIR_OK;
}

static weir_status field_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    if (call->d_inputs[0].data)
        scale(call->d_output.data, call->params[0].data, call->addends[0], weir_tensor_elements(&call->d_output), call->d_inputs[0].data);
    return WEIR_OK;
}

static weir_status field_backward_weight(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    gain_gradient(call->inputs[0].data, call->d_output.data, call->accumulate, weir_tensor_elements(&call->d_output), call->d_params[0].data);
    return WEIR_OK;
}

/* ---- the same, by functions ------------------------------------------------------------------------------------------------ */

struct gain_attr {
    int salt;
};

static const struct gain_attr salted = {41};

static weir_status asked_infer(struct weir_op_shapes *shapes)
{
    const struct weir_shape gain = {1, {WIDTH}, WEIR_DTYPE_F32};
    assert_int_equal(weir_shapes_n_inputs(shapes), 1);
    assert_null(weir_shapes_input(shapes, 1));
    assert_null(weir_shapes_input(shapes, -1));
    assert_int_equal(weir_shapes_storage(shapes), WEIR_DTYPE_F32);
    assert_memory_equal(weir_shapes_attr(shapes), &salted, sizeof salted);
    assert_true(weir_shapes_first_position(shapes) == 0 && weir_shapes_n_positions(shapes) == 0);
    weir_shapes_output_set(shapes, weir_shapes_input(shapes, 0));
    weir_shapes_work_set(shapes, WEIR_FORWARD, 1, 1);
    weir_shapes_saved_set(shapes, 0);
    return weir_shapes_param_add(shapes, &gain);
}

static weir_status asked_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *y = weir_call_output(call);
    (void)stream;
    if (memcmp(weir_call_attr(call), &salted, sizeof salted) != 0 || weir_call_first_position(call) || weir_call_n_positions(call) ||
        weir_call_n_inputs(call) != 1 || weir_call_n_params(call) != 1 || weir_call_input(call, 1) ||
        weir_call_input(call, -1) || weir_call_d_output(call) || weir_call_d_input(call, 0) || weir_call_d_param(call, 0))
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "a forward has what it should not have");
    if (weir_call_first_sample(call) % BATCH || weir_call_step(call)->seed != 1)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "sample %u, seed %llu", (unsigned)weir_call_first_sample(call),
                         (unsigned long long)weir_call_step(call)->seed);
    uint32_t numbers[4];
    const struct weir_rng_block wanted = weir_rng_philox(1, 5, weir_call_node(call), weir_call_first_sample(call) + 2, weir_call_step(call)->step);
    weir_call_random(call, 2, 5, numbers);
    if (memcmp(numbers, wanted.v, sizeof numbers) != 0)
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "other random numbers than those of the rule");
    scale(weir_call_input(call, 0)->data, weir_call_param(call, 0)->data, NULL, weir_tensor_elements(y), y->data);
    return WEIR_OK;
}

static weir_status asked_backward_input(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *dx = weir_call_d_input(call, 0), *dy = weir_call_d_output(call);
    (void)stream;
    if (weir_call_addend(call, 1) || weir_call_addend(call, -1))
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "an addend without an input");
    if (dx)
        scale(dy->data, weir_call_param(call, 0)->data, weir_call_addend(call, 0), weir_tensor_elements(dy), dx->data);
    return WEIR_OK;
}

static weir_status asked_backward_weight(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *dy = weir_call_d_output(call);
    (void)stream;
    gain_gradient(weir_call_input(call, 0)->data, dy->data, weir_call_accumulates(call), weir_tensor_elements(dy),
                  weir_call_d_param(call, 0)->data);
    return WEIR_OK;
}

static const struct weir_op by_fields = {
    .struct_bytes = sizeof(struct weir_op), .name = "gain", .weight_needs = WEIR_NEEDS_INPUT_0, .infer = field_infer,
    .cpu = {.forward = field_forward, .backward_input = field_backward_input, .backward_weight = field_backward_weight}};
static const struct weir_op by_functions = {
    .struct_bytes = sizeof(struct weir_op), .name = "gain", .weight_needs = WEIR_NEEDS_INPUT_0, .infer = asked_infer,
    .cpu = {.forward = asked_forward, .backward_input = asked_backward_input, .backward_weight = asked_backward_weight},
    .attr_bytes = sizeof(struct gain_attr)};

/* ---- both in an engine ----------------------------------------------------------------------------------------------------- */

static int gain(struct weir_graph_builder *b, const char *name, const struct weir_op *op, int x)
{
    weir_graph_layer(b, name);
    int weight = weir_graph_param(b, name, WEIR_INIT_NORMAL, 1, true);
    return weir_graph_node(b, name, op, op->attr_bytes ? &salted : NULL, op->attr_bytes, 1, &x, 1, &weight);
}

/* first ─▶ second ─▶ + ─▶ third: the sum's gradient is the addend of the second's */
static void graph_build(const struct weir_op *op, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    weir_graph_begin(&b, "gains", arena);
    int x = weir_graph_input(&b, "x", (struct weir_shape){2, {BATCH, WIDTH}, WEIR_DTYPE_F32});
    int target = weir_graph_input(&b, "target", (struct weir_shape){2, {BATCH, WIDTH}, WEIR_DTYPE_F32});
    int first = gain(&b, "first", op, x), second = gain(&b, "second", op, first);
    int sum = weir_graph_node(&b, "sum", &weir_op_add, NULL, 0, 2, (int[]){first, second}, 0, NULL);
    int third = gain(&b, "third", op, sum);
    weir_graph_node(&b, "loss", &weir_op_mse, NULL, 0, 2, (int[]){third, target}, 0, NULL);
    assert_ok(weir_graph_finish(&b, graph_out));
}

static void train(const struct weir_op *op, float params[3][WIDTH])
{
    static const char *const names[] = {"first", "second", "third"};
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    weir_engine *engine;
    graph_build(op, &arena, &config.graph);
    assert_ok(weir_pipeline_schedule("zb-h1", 2, 0, MICROBATCHES, &arena, &schedule));
    config.schedule = &schedule;
    assert_ok(weir_engine_open(&config, &engine));
    for (int step = 0; step < STEPS; step++) {
        struct weir_step_report report;
        for (int mb = 0; mb < MICROBATCHES; mb++) {
            float x[BATCH * WIDTH], target[BATCH * WIDTH];
            for (int i = 0; i < BATCH * WIDTH; i++)
                x[i] = (float)((i * 7 + mb * 3 + step) % 13) / 13, target[i] = (float)(i % 5);
            assert_ok(weir_engine_feed(engine, "x", mb, x));
            assert_ok(weir_engine_feed(engine, "target", mb, target));
        }
        assert_ok(weir_engine_step(engine, 0.1, &report));
    }
    for (int i = 0; i < 3; i++)
        assert_ok(weir_engine_param_read(engine, names[i], params[i], WIDTH));
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static void a_row_that_asks_has_the_bits_of_one_that_reads(void **state)
{
    (void)state;
    float fields[3][WIDTH], functions[3][WIDTH];
    train(&by_fields, fields);
    train(&by_functions, functions);
    assert_memory_equal(fields, functions, sizeof fields);
}

static void a_row_has_no_more_parameters_than_fit(void **state)
{
    (void)state;
    struct weir_op_shapes shapes = {0};
    const struct weir_shape one = {1, {1}, WEIR_DTYPE_F32};
    for (int i = 0; i < WEIR_OP_PARAMS; i++)
        assert_ok(weir_shapes_param_add(&shapes, &one));
    assert_fails(weir_shapes_param_add(&shapes, &one), WEIR_ERR_INVALID, "more than 8 parameters");
    assert_int_equal(shapes.n_params, WEIR_OP_PARAMS);
}

static void outputs_are_asked_for_by_number(void **state)
{
    (void)state;
    float y[2] = {0};
    struct weir_shape one = {1, {1}, WEIR_DTYPE_F32};
    struct weir_op_call call = {.n_outputs = 2, .outputs = {weir_tensor_view(&y[0], &one), weir_tensor_view(&y[1], &one)}};
    call.d_outputs[0] = weir_tensor_view(NULL, &one); /* nobody reads the first */
    call.d_outputs[1] = call.outputs[1];
    assert_int_equal(weir_call_n_outputs(&call), 2);
    assert_ptr_equal(weir_call_output(&call), weir_call_output_at(&call, 0));
    assert_ptr_equal(weir_call_output_at(&call, 1)->data, &y[1]);
    assert_null(weir_call_output_at(&call, 2));
    assert_null(weir_call_output_at(&call, -1));
    assert_null(weir_call_d_output_at(&call, 0));
    assert_ptr_equal(weir_call_d_output_at(&call, 1)->data, &y[1]);
    assert_null(weir_call_d_output_at(&call, 2));
}

static void a_row_has_no_more_outputs_than_fit(void **state)
{
    (void)state;
    struct weir_op_shapes shapes = {0};
    for (int i = 0; i < WEIR_OP_OUTPUTS; i++)
        assert_ok(weir_shapes_output_add(&shapes, &(struct weir_shape){1, {i + 1}, WEIR_DTYPE_F32}));
    assert_fails(weir_shapes_output_add(&shapes, &shapes.outputs[0]), WEIR_ERR_INVALID, "more than 8 outputs");
    assert_true(shapes.n_outputs == WEIR_OP_OUTPUTS && shapes.outputs[7].dims[0] == 8);
    weir_shapes_output_set(&shapes, &shapes.outputs[7]);
    assert_true(shapes.n_outputs == 1 && shapes.output.dims[0] == 8);
}

static void what_a_call_keeps_is_given_as_it_is(void **state)
{
    (void)state;
    int saved, scratch;
    const struct weir_op_call call = {.saved = &saved, .scratch = &scratch, .loss_scale = 0.25, .node = 7};
    assert_ptr_equal(weir_call_saved(&call), &saved);
    assert_ptr_equal(weir_call_scratch(&call), &scratch);
    assert_true(weir_call_loss_scale(&call) == 0.25);
    assert_int_equal(weir_call_node(&call), 7);
}

/* ---- as many dimensions as there are ---------------------------------------------------------------------------------------- */

static const struct weir_shape all_dims = {WEIR_MAX_DIMS, {BATCH, 1, 2, 1, 2, 1, 2, 2}, WEIR_DTYPE_F32};

static weir_status wide_infer(struct weir_op_shapes *shapes)
{
    struct weir_shape gain = *weir_shapes_input(shapes, 0);
    gain.dims[0] = 1;
    weir_shapes_output_set(shapes, weir_shapes_input(shapes, 0));
    return weir_shapes_param_add(shapes, &gain);
}

static const struct weir_op wide = {
    .struct_bytes = sizeof(struct weir_op), .name = "wide_gain", .weight_needs = WEIR_NEEDS_INPUT_0, .infer = wide_infer,
    .cpu = {.forward = field_forward, .backward_input = field_backward_input, .backward_weight = field_backward_weight}};

static void wide_build(struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    weir_graph_begin(&b, "wide", arena);
    int x = weir_graph_input(&b, "x", all_dims), target = weir_graph_input(&b, "target", all_dims);
    int y = gain(&b, "second", &wide, gain(&b, "first", &wide, x));
    weir_graph_node(&b, "loss", &weir_op_mse, NULL, 0, 2, (int[]){y, target}, 0, NULL);
    assert_ok(weir_graph_finish(&b, graph_out));
}

static void wide_step(weir_engine *engine)
{
    float x[BATCH * WIDTH], target[BATCH * WIDTH] = {0};
    struct weir_step_report report;
    for (int i = 0; i < BATCH * WIDTH; i++)
        x[i] = (float)(i % 13) / 13;
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        assert_ok(weir_engine_feed(engine, "x", mb, x));
        assert_ok(weir_engine_feed(engine, "target", mb, target));
    }
    assert_ok(weir_engine_step(engine, 0.1, &report));
    assert_true(report.loss > 0);
}

static void values_and_parameters_of_eight_dimensions_train_and_are_saved(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_save save = {.struct_bytes = sizeof save, .dir = "test_call.checkpoints", .keep = 1};
    weir_engine *engine;
    weir_checkpoint *checkpoint;
    float trained[WIDTH], loaded[WIDTH];
    wide_build(&arena, &config.graph);
    assert_ok(weir_pipeline_schedule("1f1b", 2, 0, MICROBATCHES, &arena, &schedule));
    config.schedule = &schedule;
    assert_ok(weir_engine_open(&config, &engine));
    wide_step(engine);
    assert_ok(weir_engine_save(engine, &save));
    assert_ok(weir_engine_param_read(engine, "second", trained, WIDTH));
    wide_step(engine);
    assert_ok(weir_checkpoint_newest(save.dir, NULL, NULL, &checkpoint));
    const struct weir_checkpoint_tensor *t =
        &weir_checkpoint_info(checkpoint)->tensors[weir_checkpoint_find(checkpoint, WEIR_CHECKPOINT_PARAMETER, "second")];
    assert_int_equal(t->n_dims, WEIR_MAX_DIMS);
    assert_memory_equal(t->dims + 1, all_dims.dims + 1, (WEIR_MAX_DIMS - 1) * sizeof *t->dims);
    assert_ok(weir_engine_load(engine, checkpoint));
    assert_ok(weir_engine_param_read(engine, "second", loaded, WIDTH));
    assert_memory_equal(trained, loaded, sizeof trained);
    assert_ok(weir_checkpoint_remove(weir_checkpoint_info(checkpoint)->folder));
    weir_checkpoint_close(checkpoint);
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static void a_ninth_dimension_is_refused(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_graph_builder b;
    struct weir_shape nine = all_dims;
    nine.n_dims = 9;
    weir_graph_begin(&b, "nine", &arena);
    weir_graph_input(&b, "x", nine);
    assert_fails(weir_graph_status(&b), WEIR_ERR_INVALID, "9 dimensions");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_asks_has_the_bits_of_one_that_reads),
        cmocka_unit_test(a_row_has_no_more_parameters_than_fit),
        cmocka_unit_test(outputs_are_asked_for_by_number),
        cmocka_unit_test(a_row_has_no_more_outputs_than_fit),
        cmocka_unit_test(what_a_call_keeps_is_given_as_it_is),
        cmocka_unit_test(values_and_parameters_of_eight_dimensions_train_and_are_saved),
        cmocka_unit_test(a_ninth_dimension_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
