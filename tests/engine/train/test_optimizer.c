/* The end of a step, against a float64 loop written from PyTorch's documentation of AdamW, SGD and clip_grad_norm_.
 * labels: threads */
#include <math.h>
#include <string.h>

#include "include/weir/weir.h"
#include "tests/support/testing.h"

/* One row of our own makes the gradients known: its loss is the sum of c_i · w_i, so that dL/dw_i = c_i · (number of rows),
 * where c is an input and w are parameters. */
enum { N = 5, STEPS = 6, PARAMS = 3 };

static weir_status shift_infer(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    shapes->n_params = 2;
    shapes->params[0] = shapes->params[1] = (struct weir_shape){1, {N}, WEIR_DTYPE_F32};
    return WEIR_OK;
}

static weir_status shift_forward(const struct weir_op_call *call, void *stream)
{
    const float *x = call->inputs[0].data, *a = call->params[0].data, *b = call->params[1].data;
    (void)stream;
    for (int i = 0; i < N; i++)
        ((float *)call->output.data)[i] = x[i] + a[i] + 2 * b[i];
    return WEIR_OK;
}

static weir_status shift_backward_input(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    memcpy(call->d_inputs[0].data, call->d_output.data, N * sizeof(float));
    return WEIR_OK;
}

static weir_status shift_backward_weight(const struct weir_op_call *call, void *stream)
{
    const float *dy = call->d_output.data;
    (void)stream;
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < N; i++) {
            float *d = (float *)call->d_params[p].data + i;
            *d = (call->accumulate ? *d : 0) + (float)(p + 1) * dy[i];
        }
    return WEIR_OK;
}

static weir_status weighted_infer(struct weir_op_shapes *shapes)
{
    shapes->output = (struct weir_shape){1, {1}, WEIR_DTYPE_F64};
    return WEIR_OK;
}

static weir_status weighted_forward(const struct weir_op_call *call, void *stream)
{
    const float *y = call->inputs[0].data, *c = call->inputs[1].data;
    double sum = 0;
    (void)stream;
    for (int i = 0; i < N; i++)
        sum += isinf(c[i]) ? (double)c[i] : (double)y[i] * (double)c[i];
    for (int i = 0; i < N; i++) /* an infinite weight shows in the loss alone */
        ((float *)call->d_inputs[0].data)[i] = isinf(c[i]) ? 1 : (float)(call->loss_scale * (double)c[i]);
    memcpy(call->output.data, &sum, sizeof sum);
    return WEIR_OK;
}

static const struct weir_op op_shift = {
    .struct_bytes = sizeof(struct weir_op), .name = "shift", .infer = shift_infer,
    .cpu = {.forward = shift_forward, .backward_input = shift_backward_input, .backward_weight = shift_backward_weight}};

static const struct weir_op op_weighted = {
    .struct_bytes = sizeof(struct weir_op), .name = "weighted", .flags = WEIR_OP_LOSS, .infer = weighted_infer,
    .cpu = {.forward = weighted_forward}};

static const char *const names[PARAMS] = {"tied", "plain", "no decay"};
/* dL/dparam = factor · c: "tied" has both places of the first node and one of the second */
static const double factors[PARAMS] = {1 + 2 + 1, 2, 1};

static void graph_build(struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    struct weir_shape shape = {2, {1, N}, WEIR_DTYPE_F32};
    weir_graph_begin(&b, "known gradients", arena);
    int x = weir_graph_input(&b, "x", shape), c = weir_graph_input(&b, "c", shape), params[PARAMS];
    weir_graph_layer(&b, "first");
    params[0] = weir_graph_param(&b, names[0], WEIR_INIT_NORMAL, 1, true);
    x = weir_graph_node(&b, "first", &op_shift, NULL, 0, 1, &x, 2, (int[]){params[0], params[0]});
    weir_graph_layer(&b, "second");
    params[1] = weir_graph_param(&b, names[1], WEIR_INIT_NORMAL, 1, true);
    x = weir_graph_node(&b, "second", &op_shift, NULL, 0, 1, &x, 2, (int[]){params[0], params[1]});
    weir_graph_layer(&b, "third");
    params[2] = weir_graph_param(&b, names[2], WEIR_INIT_NORMAL, 1, false);
    int zero = weir_graph_param(&b, "far", WEIR_INIT_NORMAL, 1, false);
    x = weir_graph_node(&b, "third", &op_shift, NULL, 0, 1, &x, 2, (int[]){params[2], zero});
    weir_graph_node(&b, "loss", &op_weighted, NULL, 0, 2, (int[]){x, c}, 0, NULL);
    assert_ok(weir_graph_finish(&b, graph_out));
}

static weir_engine *engine_make(struct weir_engine_config *config, struct weir_arena *arena, int stages)
{
    static struct weir_schedule schedule;
    weir_engine *engine;
    graph_build(arena, &config->graph);
    assert_ok(weir_pipeline_schedule("gpipe", stages, 0, 2, arena, &schedule));
    config->schedule = &schedule;
    assert_ok(weir_engine_open(config, &engine));
    return engine;
}

static void gradients_feed(weir_engine *engine, int step, float *c)
{
    float x[N] = {0};
    for (int i = 0; i < N; i++)
        c[i] = sinf((float)(3 * step + i)) * (step == 2 ? 1e-4f : 1);
    for (int mb = 0; mb < 2; mb++) {
        assert_ok(weir_engine_feed(engine, "x", mb, x));
        assert_ok(weir_engine_feed(engine, "c", mb, c));
    }
}

struct moments {
    double w[N], m[N], v[N];
};

static void reference_update(const struct weir_engine_config *config, struct moments *p, const double *grad, double lr,
                             double decay, int t)
{
    for (int i = 0; i < N; i++) {
        if (config->optimizer == WEIR_OPTIMIZER_SGD) {
            p->w[i] -= lr * (grad[i] + decay * p->w[i]);
            continue;
        }
        p->w[i] -= lr * decay * p->w[i];
        p->m[i] = config->beta1 * p->m[i] + (1 - config->beta1) * grad[i];
        p->v[i] = config->beta2 * p->v[i] + (1 - config->beta2) * grad[i] * grad[i];
        double m = p->m[i] / (1 - pow(config->beta1, t)), v = p->v[i] / (1 - pow(config->beta2, t));
        p->w[i] -= lr * m / (sqrt(v) + config->eps);
    }
}

static double norm_of(const float *c)
{
    double squares = 0;
    for (int p = 0; p < PARAMS; p++)
        for (int i = 0; i < N; i++)
            squares += factors[p] * c[i] * factors[p] * c[i];
    for (int i = 0; i < N; i++)
        squares += 4.0 * c[i] * c[i]; /* "far" */
    return sqrt(squares);
}

static void steps_compare(struct weir_engine_config config, int stages)
{
    struct weir_arena arena = {0};
    struct moments reference[PARAMS] = {{{0}, {0}, {0}}};
    float values[N], c[N];
    weir_engine *engine = engine_make(&config, &arena, stages);
    for (int p = 0; p < PARAMS; p++) {
        assert_ok(weir_engine_param_read(engine, names[p], values, N));
        for (int i = 0; i < N; i++)
            reference[p].w[i] = values[i];
    }
    for (int step = 0; step < STEPS; step++) {
        struct weir_step_report report;
        double lr = 0.05 / (step + 1);
        gradients_feed(engine, step, c);
        assert_ok(weir_engine_step(engine, lr, &report));
        double norm = norm_of(c), scale = config.grad_clip > 0 ? config.grad_clip / (norm + 1e-6) : 1;
        assert_true(fabs(report.grad_norm / norm - 1) < 1e-6);
        for (int p = 0; p < PARAMS; p++) {
            double grad[N];
            for (int i = 0; i < N; i++)
                grad[i] = factors[p] * c[i] * (scale < 1 ? scale : 1);
            reference_update(&config, &reference[p], grad, lr, p == 2 ? 0 : config.weight_decay, step + 1);
            assert_ok(weir_engine_param_read(engine, names[p], values, N));
            for (int i = 0; i < N; i++)
                assert_true(fabs(values[i] - reference[p].w[i]) < 4e-7);
        }
    }
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static struct weir_engine_config config_of(enum weir_optimizer optimizer, double beta2, double clip)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    config.optimizer = optimizer;
    config.beta2 = beta2;
    config.weight_decay = 0.3;
    config.grad_clip = clip;
    return config;
}

static void adamw_is_that_of_pytorch(void **state)
{
    (void)state;
    for (int stages = 1; stages <= 3; stages++) {
        steps_compare(config_of(WEIR_OPTIMIZER_ADAMW, 0.95, 0), stages);
        steps_compare(config_of(WEIR_OPTIMIZER_ADAMW, 0.999, 0), stages);
        steps_compare(config_of(WEIR_OPTIMIZER_ADAMW, 0.999, 0.5), stages);
    }
}

static void sgd_is_that_of_pytorch(void **state)
{
    (void)state;
    for (int stages = 1; stages <= 3; stages++) {
        steps_compare(config_of(WEIR_OPTIMIZER_SGD, 0.95, 0), stages);
        steps_compare(config_of(WEIR_OPTIMIZER_SGD, 0.95, 0.5), stages);
    }
}

/* beta2 = 0.999 rounds to a float that is 1.3e-5 off in 1 - beta2: the correction must be off by as much. */
static void the_first_step_of_adamw_is_the_learning_rate(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_engine_config config = config_of(WEIR_OPTIMIZER_ADAMW, 0.999, 0);
    struct weir_step_report report;
    float before[N] = {0}, after[N], c[N];
    config.weight_decay = 0;
    weir_engine *engine = engine_make(&config, &arena, 1);
    assert_ok(weir_engine_param_write(engine, "plain", before, N));
    gradients_feed(engine, 1, c);
    assert_ok(weir_engine_step(engine, 0.125, &report));
    assert_ok(weir_engine_param_read(engine, "plain", after, N));
    for (int i = 0; i < N; i++)
        assert_true(fabs(fabs((double)after[i]) / 0.125 - 1) < 6e-7);
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static void an_infinite_loss_leaves_the_parameters_alone(void **state)
{
    (void)state;
    for (int stages = 1; stages <= 3; stages++) {
        struct weir_arena arena = {0};
        struct weir_engine_config config = config_of(WEIR_OPTIMIZER_ADAMW, 0.95, 1);
        struct weir_step_report report;
        float before[N], after[N], c[N];
        weir_engine *engine = engine_make(&config, &arena, stages);
        for (int p = 0; p < PARAMS; p++) {
            gradients_feed(engine, 0, c);
            c[0] = INFINITY;
            assert_ok(weir_engine_feed(engine, "c", 1, c));
            assert_ok(weir_engine_param_read(engine, names[p], before, N));
            assert_fails(weir_engine_step(engine, 0.1, &report), WEIR_ERR_NUMERIC, "not finite");
            assert_true(isfinite(report.grad_norm));
            assert_ok(weir_engine_param_read(engine, names[p], after, N));
            assert_memory_equal(before, after, sizeof before);
        }
        gradients_feed(engine, 0, c);
        assert_ok(weir_engine_step(engine, 0.1, &report));
        assert_int_equal(report.step, 0);
        weir_engine_close(engine);
        weir_arena_release(&arena);
    }
}

static void numbers_out_of_range_are_refused(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    struct weir_engine_config good = config_of(WEIR_OPTIMIZER_ADAMW, 0.95, 1);
    struct weir_step_report report;
    float c[N];
    weir_engine *engine = engine_make(&good, &arena, 2), *none = NULL;
    gradients_feed(engine, 0, c);
    assert_fails(weir_engine_step(engine, (double)NAN, &report), WEIR_ERR_USAGE, "learning rate");
    assert_fails(weir_engine_step(engine, -1, &report), WEIR_ERR_USAGE, "learning rate");
    assert_ok(weir_engine_step(engine, 0, &report));
    weir_engine_close(engine);
    struct weir_engine_config bad = good;
    bad.beta2 = 1;
    assert_fails(weir_engine_open(&bad, &none), WEIR_ERR_USAGE, "beta2");
    bad = good;
    bad.grad_clip = (double)NAN;
    assert_fails(weir_engine_open(&bad, &none), WEIR_ERR_USAGE, "gradient clip");
    bad = good;
    bad.device_memory = -1;
    assert_fails(weir_engine_open(&bad, &none), WEIR_ERR_USAGE, "device memory");
    bad = good;
    bad.optimizer = (enum weir_optimizer)7;
    assert_fails(weir_engine_open(&bad, &none), WEIR_ERR_USAGE, "optimizer");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adamw_is_that_of_pytorch),
        cmocka_unit_test(sgd_is_that_of_pytorch),
        cmocka_unit_test(the_first_step_of_adamw_is_the_learning_rate),
        cmocka_unit_test(an_infinite_loss_leaves_the_parameters_alone),
        cmocka_unit_test(numbers_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
