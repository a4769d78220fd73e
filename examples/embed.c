/* Train a small classifier on two pipeline stages, with an operation of our own (leaky ReLU) as a node of the graph.
 *
 *     cc embed.c $(pkg-config --cflags --libs weir) -o embed && ./embed */
#include <stdio.h>
#include <weir.h>

enum { BATCH = 16, FEATURES = 2, WIDTH = 32, CLASSES = 2, MICROBATCHES = 4, STEPS = 200 };

static weir_status leaky_infer(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    return WEIR_OK;
}

static weir_status leaky_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    const float *x = call->inputs[0].data;
    float *y = call->output.data;
    for (int64_t i = 0; i < weir_tensor_elements(&call->output); i++)
        y[i] = x[i] > 0 ? x[i] : 0.1f * x[i];
    return WEIR_OK;
}

static weir_status leaky_backward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    const float *x = call->inputs[0].data, *dy = call->d_output.data, *sum = call->addends[0];
    float *dx = call->d_inputs[0].data;
    for (int64_t i = 0; i < weir_tensor_elements(&call->output); i++)
        dx[i] = (sum ? sum[i] : 0) + (x[i] > 0 ? dy[i] : 0.1f * dy[i]);
    return WEIR_OK;
}

static const struct weir_op leaky_relu = {
    .struct_bytes = sizeof(struct weir_op), .name = "leaky_relu", .summary = "x > 0 ? x : x / 10",
    .input_needs = WEIR_NEEDS_INPUT_0, .infer = leaky_infer,
    .cpu = {.forward = leaky_forward, .backward_input = leaky_backward}};

static int dense(struct weir_graph_builder *b, const char *layer, const char *weight, int x, int64_t out, double std)
{
    weir_graph_layer(b, layer);
    int w = weir_graph_param(b, weight, WEIR_INIT_NORMAL, std, true);
    struct weir_op_attr attr = {.out_features = out};
    return weir_graph_node(b, layer, &weir_op_linear, &attr, 1, &x, 1, &w);
}

int main(void)
{
    struct weir_arena arena = {0};
    struct weir_graph_builder b;
    struct weir_schedule schedule;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_step_report report = {0};
    weir_engine *engine = NULL;
    weir_graph_begin(&b, "embed", &arena);
    int x = weir_graph_input(&b, "points", (struct weir_shape){2, {BATCH, FEATURES}, WEIR_DTYPE_F32});
    int targets = weir_graph_input(&b, "targets", (struct weir_shape){1, {BATCH}, WEIR_DTYPE_I32});
    x = dense(&b, "hidden", "hidden.weight", x, WIDTH, 1.0);
    x = weir_graph_node(&b, "leaky", &leaky_relu, NULL, 1, &x, 0, NULL);
    x = dense(&b, "head", "head.weight", x, CLASSES, 0.2);
    weir_graph_node(&b, "loss", &weir_op_cross_entropy, NULL, 2, (int[]){x, targets}, 0, NULL);
    weir_status status = weir_graph_finish(&b, &config.graph);
    if (!status && !(status = weir_pipeline_schedule("1f1b", 2, 0, MICROBATCHES, &arena, &schedule))) {
        config.schedule = &schedule;
        status = weir_engine_open(&config, &engine);
    }
    for (int step = 0; step < STEPS && !status; step++) {
        for (int mb = 0; mb < MICROBATCHES; mb++) { /* class 1 where both coordinates have the same sign */
            float points[BATCH][FEATURES];
            int32_t classes[BATCH];
            for (int i = 0; i < BATCH; i++) {
                unsigned n = (unsigned)(step * MICROBATCHES * BATCH + mb * BATCH + i) * 2654435761u;
                points[i][0] = (float)(n >> 16 & 255) / 128 - 1;
                points[i][1] = (float)(n >> 24) / 128 - 1;
                classes[i] = (points[i][0] > 0) == (points[i][1] > 0);
            }
            weir_engine_feed(engine, "points", mb, points);
            weir_engine_feed(engine, "targets", mb, classes);
        }
        status = weir_engine_step(engine, 0.02, &report);
        if (!status && step % 50 == 0)
            printf("step %d loss %.4f\n", step, report.loss);
    }
    printf(status ? "failed: %s\n" : "trained%s, last loss %.4f\n", status ? weir_last_error() : "", report.loss);
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return status || report.loss > 0.2;
}
