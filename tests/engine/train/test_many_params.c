/* A row of a program with as many parameters as there may be: trained, saved, loaded, to the bit on any number of stages.
 * labels: threads */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "include/weir/call.h"
#include "include/weir/weir.h"
#include "kernels/op_rows.h"

enum { BATCH = 3, WIDTH = 4, MICROBATCHES = 4, STEPS = 3, MOST_ELEMENTS = 256 };

/* ---- y = p0 + p1 x + p2 x² + .., one parameter of WIDTH numbers per power -------------------------------------------------- */

struct powers_attr {
    int n;
};

static weir_status powers_infer(struct weir_op_shapes *shapes)
{
    const struct powers_attr *attr = weir_shapes_attr(shapes);
    const struct weir_shape one = {1, {WIDTH}, WEIR_DTYPE_F32};
    weir_status status = WEIR_OK;
    weir_shapes_output_set(shapes, weir_shapes_input(shapes, 0));
    for (int k = 0; k < attr->n && !status; k++)
        status = weir_shapes_param_add(shapes, &one);
    return status;
}

static float param_at(const struct weir_op_call *call, int k, int64_t i)
{
    return ((const float *)weir_call_param(call, k)->data)[i % WIDTH];
}

static weir_status powers_forward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *out = weir_call_output(call);
    const float *x = weir_call_input(call, 0)->data;
    (void)stream;
    for (int64_t i = 0; i < weir_tensor_elements(out); i++) {
        float y = 0;
        for (int k = weir_call_n_params(call) - 1; k >= 0; k--)
            y = y * x[i] + param_at(call, k, i);
        ((float *)out->data)[i] = y;
    }
    return WEIR_OK;
}

static weir_status powers_backward_input(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *out = weir_call_d_output(call), *d_input = weir_call_d_input(call, 0);
    const float *x = weir_call_input(call, 0)->data, *dy = out->data, *sum = weir_call_addend(call, 0);
    (void)stream;
    for (int64_t i = 0; d_input && i < weir_tensor_elements(out); i++) {
        float slope = 0;
        for (int k = weir_call_n_params(call) - 1; k > 0; k--)
            slope = slope * x[i] + (float)k * param_at(call, k, i);
        ((float *)d_input->data)[i] = (sum ? sum[i] : 0) + slope * dy[i];
    }
    return WEIR_OK;
}

static weir_status powers_backward_weight(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *out = weir_call_d_output(call);
    const float *x = weir_call_input(call, 0)->data, *dy = out->data;
    (void)stream;
    for (int k = 0; k < weir_call_n_params(call); k++) {
        float *d = weir_call_d_param(call, k)->data;
        for (int c = 0; c < WIDTH && !weir_call_accumulates(call); c++)
            d[c] = 0;
        for (int64_t i = 0; i < weir_tensor_elements(out); i++)
            d[i % WIDTH] += powf(x[i], (float)k) * dy[i];
    }
    return WEIR_OK;
}

static const struct weir_op op_powers = {
    .struct_bytes = sizeof(struct weir_op), .name = "powers", .input_needs = WEIR_NEEDS_INPUT_0, .weight_needs = WEIR_NEEDS_INPUT_0,
    .infer = powers_infer, .attr_bytes = sizeof(struct powers_attr),
    .cpu = {.forward = powers_forward, .backward_input = powers_backward_input, .backward_weight = powers_backward_weight}};

/* ---- a graph of three of them --------------------------------------------------------------------------------------------- */

static const int counts[] = {5, WEIR_OP_PARAMS, 6};
enum { LAYERS = 3 };

static int powers(struct weir_graph_builder *b, const char *layer, int n, int x)
{
    const struct powers_attr attr = {n};
    int params[WEIR_OP_PARAMS];
    for (int k = 0; k < n; k++) {
        char name[32];
        snprintf(name, sizeof name, "%s.%d", layer, k);
        params[k] = weir_graph_param(b, name, WEIR_INIT_NORMAL, 0.5 / (k + 1), true);
    }
    return weir_graph_node(b, layer, &op_powers, &attr, sizeof attr, 1, &x, n, params);
}

static void graph_build(struct weir_arena *arena, const struct weir_graph **graph_out)
{
    static const char *const layers[LAYERS] = {"low", "high", "last"};
    struct weir_shape shape = {2, {BATCH, WIDTH}, WEIR_DTYPE_F32};
    struct weir_graph_builder b;
    weir_graph_begin(&b, "powers", arena);
    int x = weir_graph_input(&b, "x", shape), target = weir_graph_input(&b, "target", shape);
    for (int l = 0; l < LAYERS; l++) {
        weir_graph_layer(&b, layers[l]);
        x = powers(&b, layers[l], counts[l], x);
    }
    weir_graph_node(&b, "loss", &weir_op_mse, NULL, 0, 2, (int[]){x, target}, 0, NULL);
    assert_ok(weir_graph_finish(&b, graph_out));
}

static void inputs_make(int step, int mb, float x[BATCH * WIDTH], float target[BATCH * WIDTH])
{
    for (int i = 0; i < BATCH * WIDTH; i++) {
        x[i] = (float)((i * 7 + mb * 3 + step) % 13) / 13 - 0.5f;
        target[i] = (float)((i + mb) % 5) / 5;
    }
}

static void step_feed(weir_engine *engine, int step)
{
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        float x[BATCH * WIDTH], target[BATCH * WIDTH];
        inputs_make(step, mb, x, target);
        assert_ok(weir_engine_feed(engine, "x", mb, x));
        assert_ok(weir_engine_feed(engine, "target", mb, target));
    }
}

struct run {
    struct weir_arena arena;
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    weir_engine *engine;
};

static void run_open(struct run *run, const char *schedule, int stages, const char *recompute, int zero)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    memset(run, 0, sizeof *run);
    graph_build(&run->arena, &run->graph);
    assert_ok(weir_pipeline_schedule(schedule, stages, 0, zero ? MICROBATCHES / 2 : MICROBATCHES, &run->arena, &run->schedule));
    config.graph = run->graph;
    config.schedule = &run->schedule;
    config.optimizer = WEIR_OPTIMIZER_ADAMW;
    config.recompute = recompute;
    config.replicas = zero ? 2 : 1;
    config.zero = zero == 2;
    assert_ok(weir_engine_open(&config, &run->engine));
}

static void run_close(struct run *run)
{
    weir_engine_close(run->engine);
    weir_arena_release(&run->arena);
}

static double step_run(struct run *run, int step)
{
    struct weir_step_report report;
    step_feed(run->engine, step);
    assert_ok(weir_engine_step(run->engine, 0.02, &report));
    return report.loss;
}

static void params_read(struct run *run, float out[MOST_ELEMENTS])
{
    memset(out, 0, MOST_ELEMENTS * sizeof *out);
    assert_int_equal(run->graph->n_params, 5 + WEIR_OP_PARAMS + 6);
    for (int i = 0; i < run->graph->n_params; i++)
        assert_ok(weir_engine_param_read(run->engine, run->graph->params[i].name, out + i * WIDTH, WIDTH));
}

/* ---- against the plainest computation --------------------------------------------------------------------------------------- */

/* The loss of step 0, from all parameters, in double. */
static double plain_loss(const double *params)
{
    double loss = 0;
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        float x[BATCH * WIDTH], target[BATCH * WIDTH];
        inputs_make(0, mb, x, target);
        for (int i = 0; i < BATCH * WIDTH; i++) {
            double value = (double)x[i];
            for (int l = 0, first = 0; l < LAYERS; first += counts[l++]) {
                double y = 0;
                for (int k = 0; k < counts[l]; k++)
                    y += params[(first + k) * WIDTH + i % WIDTH] * pow(value, k);
                value = y;
            }
            loss += (value - (double)target[i]) * (value - (double)target[i]) / WIDTH;
        }
    }
    return loss / (BATCH * MICROBATCHES);
}

static void every_gradient_is_that_of_the_plain_computation(void **state)
{
    (void)state;
    const double h = 1e-5;
    struct run run;
    float start[MOST_ELEMENTS], gradient[WIDTH];
    double params[MOST_ELEMENTS];
    run_open(&run, "zb-h1", 2, NULL, 0);
    params_read(&run, start);
    for (int i = 0; i < MOST_ELEMENTS; i++)
        params[i] = (double)start[i];
    double loss = step_run(&run, 0);
    assert_true(fabs(loss - plain_loss(params)) <= 1e-5 * loss);
    for (int i = 0; i < run.graph->n_params; i++) {
        assert_ok(weir_engine_gradient_read(run.engine, run.graph->params[i].name, gradient, WIDTH));
        for (int c = 0; c < WIDTH; c++) {
            double *p = &params[i * WIDTH + c], middle = *p;
            *p = middle + h;
            double above = plain_loss(params);
            *p = middle - h;
            double slope = (above - plain_loss(params)) / (2 * h);
            *p = middle;
            if (!(fabs((double)gradient[c] - slope) <= 1e-6 + 1e-4 * fabs(slope)))
                fail_msg("'%s', %d: the gradient is %.8g, it should be %.8g", run.graph->params[i].name, c, (double)gradient[c], slope);
        }
    }
    run_close(&run);
}

/* ---- to the bit ------------------------------------------------------------------------------------------------------------- */

struct outcome {
    double losses[STEPS];
    float params[MOST_ELEMENTS];
};

static void train(const char *schedule, int stages, const char *recompute, int zero, struct outcome *out)
{
    struct run run;
    memset(out, 0, sizeof *out);
    run_open(&run, schedule, stages, recompute, zero);
    for (int step = 0; step < STEPS; step++)
        out->losses[step] = step_run(&run, step);
    params_read(&run, out->params);
    run_close(&run);
}

static void two_and_three_stages_have_the_bits_of_one(void **state)
{
    (void)state;
    static const struct {
        const char *schedule, *recompute;
        int stages;
    } rows[] = {{"1f1b", NULL, 2}, {"zb-h1", NULL, 2}, {"zb-h1", "full", 3}, {"zb-h2", NULL, 3}, {"gpipe", "high", 3}, {"1f1b", "full", 1}};
    struct outcome one, out;
    train("gpipe", 1, NULL, 0, &one);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        train(rows[i].schedule, rows[i].stages, rows[i].recompute, 0, &out);
        assert_memory_equal(&one, &out, sizeof one);
    }
    train("gpipe", 1, NULL, 1, &one);
    train("zb-h1", 3, NULL, 2, &out); /* replicas that keep a part of the state each */
    assert_memory_equal(&one, &out, sizeof one);
}

static void a_checkpoint_goes_on_with_the_same_bits_on_another_cut(void **state)
{
    (void)state;
    struct weir_save save = {.struct_bytes = sizeof save, .dir = "test_many_params.checkpoints", .keep = 1};
    struct outcome whole, resumed;
    struct run before, after;
    weir_checkpoint *checkpoint;
    train("gpipe", 1, NULL, 0, &whole);
    memset(&resumed, 0, sizeof resumed);
    run_open(&before, "zb-h1", 2, NULL, 0);
    resumed.losses[0] = step_run(&before, 0);
    assert_ok(weir_engine_save(before.engine, &save));
    run_close(&before);
    assert_ok(weir_checkpoint_newest(save.dir, NULL, NULL, &checkpoint));
    assert_true(weir_checkpoint_find(checkpoint, WEIR_CHECKPOINT_PARAMETER, "high.7") >= 0);
    run_open(&after, "1f1b", 3, NULL, 0);
    assert_ok(weir_engine_load(after.engine, checkpoint));
    for (int step = 1; step < STEPS; step++)
        resumed.losses[step] = step_run(&after, step);
    params_read(&after, resumed.params);
    assert_memory_equal(&whole, &resumed, sizeof whole);
    assert_ok(weir_checkpoint_remove(weir_checkpoint_info(checkpoint)->folder));
    weir_checkpoint_close(checkpoint);
    run_close(&after);
}

static void a_ninth_parameter_is_refused(void **state)
{
    (void)state;
    const struct powers_attr attr = {9};
    struct weir_arena arena = {0};
    struct weir_graph_builder b;
    int params[9];
    weir_graph_begin(&b, "nine", &arena);
    int x = weir_graph_input(&b, "x", (struct weir_shape){2, {BATCH, WIDTH}, WEIR_DTYPE_F32});
    weir_graph_layer(&b, "nine");
    for (int k = 0; k < 9; k++)
        params[k] = weir_graph_param(&b, (const char[]){(char)('a' + k), 0}, WEIR_INIT_NORMAL, 1, true);
    weir_graph_node(&b, "n", &op_powers, &attr, sizeof attr, 1, &x, 9, params);
    assert_fails(weir_graph_status(&b), WEIR_ERR_INVALID, "node 'n' has more than 8 inputs or 8 parameters");
    weir_arena_release(&arena);
    weir_graph_begin(&b, "nine", &arena);
    x = weir_graph_input(&b, "x", (struct weir_shape){2, {BATCH, WIDTH}, WEIR_DTYPE_F32});
    weir_graph_layer(&b, "nine");
    params[0] = weir_graph_param(&b, "a", WEIR_INIT_NORMAL, 1, true);
    weir_graph_node(&b, "n", &op_powers, &attr, sizeof attr, 1, &x, 1, params);
    assert_fails(weir_graph_status(&b), WEIR_ERR_INVALID, "node 'n': a row has more than 8 parameters");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_gradient_is_that_of_the_plain_computation),
        cmocka_unit_test(two_and_three_stages_have_the_bits_of_one),
        cmocka_unit_test(a_checkpoint_goes_on_with_the_same_bits_on_another_cut),
        cmocka_unit_test(a_ninth_parameter_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
