/* Train a small classifier on two pipeline stages, with an operation of our own (leaky ReLU) as a node of the graph.  Its slope is an
 * attribute, in a struct of our own. */
#include <stdio.h>
#include <weir/call.h>
#include <weir/weir.h>

enum { BATCH = 16, FEATURES = 2, WIDTH = 32, CLASSES = 2, MICROBATCHES = 4, STEPS = 200 };

struct leaky_attr {
    float slope; /* below zero */
};
static weir_status leaky_infer(struct weir_op_shapes *shapes)
{
    if (weir_shapes_storage(shapes) != WEIR_DTYPE_F32) /* the kernels below read floats */
        return weir_error_record(WEIR_ERR_UNSUPPORTED, "leaky is for f32");
    weir_shapes_output_set(shapes, weir_shapes_input(shapes, 0));
    return WEIR_OK;
}
static weir_status leaky_forward(const struct weir_op_call *call, void *stream)
{
    const struct leaky_attr *attr = weir_call_attr(call);
    const struct weir_tensor *out = weir_call_output(call);
    const float *x = weir_call_input(call, 0)->data;
    float *y = out->data;
    for (int64_t i = 0; i < weir_tensor_elements(out); i++)
        y[i] = x[i] > 0 ? x[i] : attr->slope * x[i];
    return stream ? WEIR_ERR_UNSUPPORTED : WEIR_OK; /* the cpu device has no native streams */
}
static weir_status leaky_backward(const struct weir_op_call *call, void *stream)
{
    const struct leaky_attr *attr = weir_call_attr(call);
    const struct weir_tensor *out = weir_call_d_output(call);
    const float *x = weir_call_input(call, 0)->data, *dy = out->data, *sum = weir_call_addend(call, 0);
    float *dx = weir_call_d_input(call, 0)->data;
    for (int64_t i = 0; i < weir_tensor_elements(out); i++)
        dx[i] = (sum ? sum[i] : 0) + (x[i] > 0 ? dy[i] : attr->slope * dy[i]);
    return stream ? WEIR_ERR_UNSUPPORTED : WEIR_OK;
}
static const struct weir_op leaky_relu = {
    .struct_bytes = sizeof(struct weir_op), .name = "leaky_relu", .input_needs = WEIR_NEEDS_INPUT_0,
    .infer = leaky_infer, .cpu = {.forward = leaky_forward, .backward_input = leaky_backward},
    .attr_bytes = sizeof(struct leaky_attr)};

static int dense(struct weir_graph_builder *b, const char *name, const struct weir_op *linear, int x, int64_t out, double std)
{
    struct weir_linear_attr attr = {.out_features = out};
    weir_graph_layer(b, name);
    int weight = weir_graph_param(b, name, WEIR_INIT_NORMAL, std, true);
    return weir_graph_node(b, name, linear, &attr, sizeof attr, 1, &x, 1, &weight);
}
static weir_status graph_build(struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b; /* it keeps its first failure, which finish returns */
    const struct weir_op *linear, *loss;
    weir_status status = weir_op_find("linear", &linear);
    status = status ? status : weir_op_find("cross_entropy", &loss);
    if (status)
        return status;
    weir_graph_begin(&b, "embed", arena);
    int x = weir_graph_input(&b, "points", (struct weir_shape){2, {BATCH, FEATURES}, WEIR_DTYPE_F32});
    int classes = weir_graph_input(&b, "classes", (struct weir_shape){1, {BATCH}, WEIR_DTYPE_I32});
    x = dense(&b, "hidden", linear, x, WIDTH, 1.0);
    x = weir_graph_node(&b, "leaky", &leaky_relu, &(struct leaky_attr){0.1f}, sizeof(struct leaky_attr), 1, &x, 0, NULL);
    x = dense(&b, "head", linear, x, CLASSES, 0.2);
    weir_graph_node(&b, "loss", loss, NULL, 0, 2, (int[]){x, classes}, 0, NULL);
    return weir_graph_finish(&b, graph_out);
}
static weir_status feed(weir_engine *engine, int step, int mb) /* class 1: both coordinates have the same sign */
{
    float points[BATCH][FEATURES];
    int32_t classes[BATCH];
    for (int i = 0; i < BATCH; i++) {
        unsigned n = (unsigned)((step * MICROBATCHES + mb) * BATCH + i) * 2654435761u;
        points[i][0] = (float)(n >> 16 & 255) / 128 - 1;
        points[i][1] = (float)(n >> 24) / 128 - 1;
        classes[i] = (points[i][0] > 0) == (points[i][1] > 0);
    }
    weir_status status = weir_engine_feed(engine, "points", mb, points);
    return status ? status : weir_engine_feed(engine, "classes", mb, classes);
}
int main(void)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config;
    struct weir_step_report report = {.loss = 0};
    weir_engine *engine = NULL;
    weir_engine_config_init(&config, sizeof config);
    weir_status status = graph_build(&arena, &config.graph);
    status = status ? status : weir_pipeline_schedule("1f1b", 2, 0, MICROBATCHES, &arena, &schedule);
    config.schedule = &schedule;
    status = status ? status : weir_engine_open(&config, &engine);
    for (int step = 0; step < STEPS && !status; step++) {
        for (int mb = 0; mb < MICROBATCHES && !status; mb++)
            status = feed(engine, step, mb);
        status = status ? status : weir_engine_step(engine, 0.02, &report);
    }
    printf("%s: last loss %.4f\n", status ? weir_last_error() : "trained on 2 stages", report.loss);
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return status || report.loss > 0.2;
}
