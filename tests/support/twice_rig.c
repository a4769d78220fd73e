#include "tests/support/twice_rig.h"

#include <string.h>

#include "base/arena.h"
#include "include/weir/call.h"
#include "kernels/op_rows.h"
#include "tests/support/odd_rows.h"
#include "tests/support/testing.h"

enum { WIDTH = 8 };

/* ---- y = a · gain + b / 2 ----------------------------------------------------------------------------------------------- */

static weir_status pair_infer(struct weir_op_shapes *shapes)
{
    const struct weir_shape gain = {1, {WIDTH}, WEIR_DTYPE_F32};
    weir_shapes_output_set(shapes, weir_shapes_input(shapes, 0));
    return weir_shapes_param_add(shapes, &gain);
}

static weir_status pair_forward(const struct weir_op_call *call, void *stream)
{
    const float *a = weir_call_input(call, 0)->data, *b = weir_call_input(call, 1)->data, *gain = weir_call_param(call, 0)->data;
    const struct weir_tensor *y = weir_call_output(call);
    (void)stream;
    for (int64_t i = 0; i < weir_tensor_elements(y); i++)
        ((float *)y->data)[i] = a[i] * gain[i % WIDTH] + b[i] / 2;
    return WEIR_OK;
}

/* All of it at once, from the last element to the first: nothing else may depend on the order in which gradients are written. */
static weir_status pair_backward(const struct weir_op_call *call, void *stream)
{
    const struct weir_tensor *of_output = weir_call_d_output(call), *of_inputs[] = {weir_call_d_input(call, 0), weir_call_d_input(call, 1)};
    const float *a = weir_call_input(call, 0)->data, *gain = weir_call_param(call, 0)->data, *dy = of_output->data;
    const float *adds[] = {weir_call_addend(call, 0), weir_call_addend(call, 1)};
    float *d_gain = weir_call_d_param(call, 0)->data;
    (void)stream;
    for (int i = 0; i < WIDTH && !weir_call_accumulates(call); i++)
        d_gain[i] = 0;
    for (int64_t i = weir_tensor_elements(of_output) - 1; i >= 0; i--) {
        d_gain[i % WIDTH] += a[i] * dy[i];
        for (int k = 1; k >= 0; k--)
            if (of_inputs[k])
                ((float *)of_inputs[k]->data)[i] = (adds[k] ? adds[k][i] : 0) + dy[i] * (k ? 0.5f : gain[i % WIDTH]);
    }
    return WEIR_OK;
}

static const struct weir_op op_pair = {.struct_bytes = sizeof(struct weir_op), .name = "pair", .flags = WEIR_OP_NO_SPLIT | WEIR_OP_SLICES,
                                       .weight_needs = WEIR_NEEDS_INPUT_0, .infer = pair_infer,
                                       .cpu = {.forward = pair_forward, .backward_input = pair_backward}};

/* ---- the graph ---------------------------------------------------------------------------------------------------------- */

static int node(struct weir_graph_builder *b, const char *name, const struct weir_op *op, int n, const int *inputs)
{
    return weir_graph_node(b, name, op, NULL, 0, n, inputs, 0, NULL);
}

static void graph_build(bool own_rows, double dropout, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    const struct weir_embedding_attr table = {.out_features = WIDTH, .vocabulary = TWICE_TOKENS, .n_positions = TWICE_LENGTH};
    const struct weir_attention_attr heads = {.n_heads = 2, .dropout = dropout};
    struct weir_shape ids = {2, {TWICE_BATCH, TWICE_LENGTH}, WEIR_DTYPE_I32}, reals = {3, {TWICE_BATCH, TWICE_LENGTH, WIDTH}, WEIR_DTYPE_F32};
    weir_graph_begin(&b, "twice", arena);
    int tokens = weir_graph_input(&b, "tokens", ids), targets = weir_graph_input(&b, "targets", ids);
    int extra = weir_graph_input(&b, "extra", reals);
    weir_graph_layer(&b, "embed");
    int tables[] = {weir_graph_param(&b, "wte", WEIR_INIT_NORMAL, 1, true), weir_graph_param(&b, "wpe", WEIR_INIT_NORMAL, 0.5, true)};
    int x0 = weir_graph_node(&b, "embed", &weir_op_embedding, &table, sizeof table, 1, &tokens, 2, tables);
    weir_graph_layer(&b, "attend");
    int x1 = weir_graph_node(&b, "attention", &weir_op_attention, &heads, sizeof heads, 3, (int[]){x0, x0, x0}, 0, NULL);
    x1 = node(&b, "residual", &weir_op_add, 2, (int[]){x1, x0});
    weir_graph_layer(&b, "gate");
    int x2 = node(&b, "gate", &weir_op_swiglu, 2, (int[]){x1, x1});
    weir_graph_layer(&b, "join");
    int x3 = odd_dense(&b, "join", node(&b, "concat", &weir_op_concat, 3, (int[]){x2, x1, x2}), WIDTH);
    weir_graph_layer(&b, "sum");
    int x = node(&b, "sum", &weir_op_add, 3, (int[]){x3, x3, x2});
    weir_graph_layer(&b, "given");
    x = odd_dense(&b, "given", node(&b, "both", &weir_op_concat, 3, (int[]){extra, x, extra}), WIDTH);
    weir_graph_layer(&b, "pair");
    int gain = own_rows ? weir_graph_param(&b, "gain", WEIR_INIT_NORMAL, 1, true) : 0;
    x = own_rows ? weir_graph_node(&b, "pair", &op_pair, NULL, 0, 2, (int[]){x, x}, 1, &gain)
                 : node(&b, "pair", &weir_op_swiglu, 2, (int[]){x, x});
    weir_graph_layer(&b, "head");
    x = odd_dense(&b, "head", x, TWICE_TOKENS);
    node(&b, "loss", &weir_op_cross_entropy, 2, (int[]){x, targets});
    assert_ok(weir_graph_finish(&b, graph_out));
}

/* ---- runs --------------------------------------------------------------------------------------------------------------- */

void twice_feed(weir_engine *engine, int step, int n_microbatches)
{
    for (int mb = 0; mb < n_microbatches; mb++) {
        int32_t tokens[TWICE_BATCH * TWICE_LENGTH], targets[TWICE_BATCH * TWICE_LENGTH];
        float extra[TWICE_BATCH * TWICE_LENGTH * WIDTH];
        for (int i = 0; i < TWICE_BATCH * TWICE_LENGTH; i++) {
            tokens[i] = (i * 5 + mb * 3 + step) % TWICE_TOKENS;
            targets[i] = (i * 7 + mb) % TWICE_TOKENS;
        }
        for (int i = 0; i < TWICE_BATCH * TWICE_LENGTH * WIDTH; i++)
            extra[i] = (float)((i * 11 + mb * 5 + step) % 17) / 17 - 0.5f;
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
        assert_ok(weir_engine_feed(engine, "extra", mb, extra));
    }
}

static int replicas_of(const struct twice_run *run)
{
    return run->replicas ? run->replicas : 1;
}

void twice_open(const struct twice_run *run, struct weir_arena *arena, const struct weir_graph **graph_out, weir_engine **engine_out)
{
    struct weir_schedule *schedule;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    assert_ok(weir_arena_alloc(arena, 1, sizeof *schedule, &schedule));
    graph_build(run->own_rows, run->drops ? 0.1 : 0, arena, graph_out);
    assert_ok(weir_pipeline_schedule_slices(run->schedule, run->stages, run->chunks, run->microbatches, run->slices,
                                            arena, schedule));
    config.graph = *graph_out;
    config.schedule = schedule;
    config.device = run->device ? run->device : "cpu";
    config.recompute = run->recompute;
    config.replicas = replicas_of(run);
    config.zero = run->zero;
    config.dtype = run->dtype;
    assert_ok(weir_engine_open(&config, engine_out));
    twice_feed(*engine_out, 0, run->microbatches * replicas_of(run));
}

static void collect(weir_engine *engine, const struct weir_graph *graph, bool gradients, float *out)
{
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        assert_ok(gradients ? weir_engine_gradient_read(engine, graph->params[i].name, out, n)
                            : weir_engine_param_read(engine, graph->params[i].name, out, n));
        out += n;
    }
}

void twice_train(const struct twice_run *run, struct twice_outcome *out)
{
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    weir_engine *engine;
    memset(out, 0, sizeof *out);
    twice_open(run, &arena, &graph, &engine);
    out->n = (size_t)weir_graph_n_elements(graph);
    assert_true(out->n <= TWICE_MOST_ELEMENTS);
    for (int step = 0; step < 2; step++) {
        struct weir_step_report report;
        assert_ok(weir_engine_step(engine, 1e-2, &report));
        out->losses[step] = report.loss;
        if (!step && !run->zero)
            collect(engine, graph, true, out->gradients);
        twice_feed(engine, step + 1, run->microbatches * replicas_of(run));
    }
    collect(engine, graph, false, out->params);
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

void twice_compare(const struct twice_run *a, const struct twice_run *b)
{
    static struct twice_outcome x, y;
    twice_train(a, &x);
    twice_train(b, &y);
    bool gradients = a->zero || b->zero || !memcmp(x.gradients, y.gradients, sizeof x.gradients);
    if (memcmp(x.losses, y.losses, sizeof x.losses) != 0 || !gradients || memcmp(x.params, y.params, sizeof x.params) != 0)
        fail_msg("%s, %d stages, %d slices, recompute %s: not the bits of %s on %d stages", b->schedule, b->stages, b->slices,
                 b->recompute ? b->recompute : "none", a->schedule, a->stages);
}
