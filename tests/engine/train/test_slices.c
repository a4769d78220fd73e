/* Slices of sequences: to the bit one stage with the same slices, and close to whole sequences.   labels: threads */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/replace.h"
#include "engine/program/slices.h"
#include "engine/train/trainer.h"
#include "include/weir/call.h"
#include "kernels/op_rows.h"
#include "models/model_kinds.h"
#include "tests/support/testing.h"

enum { STEPS = 2, BATCH = 2, TOKENS = 20 };

static const char llama_text[] =
    "{\"model_type\":\"llama\",\"hidden_size\":12,\"intermediate_size\":20,\"num_hidden_layers\":2,"
    "\"num_attention_heads\":4,\"num_key_value_heads\":2,\"head_dim\":6,\"max_position_embeddings\":64,"
    "\"tie_word_embeddings\":true,\"vocab_size\":20}";
static const char gpt2_text[] =
    "{\"model_type\":\"gpt2\",\"n_embd\":16,\"n_head\":2,\"n_layer\":2,\"n_positions\":64,\"vocab_size\":20}";

/* What a run is. */
struct layout {
    const char *model; /* text of config.json */
    int length, n_stages, n_microbatches, n_slices;
    double dropout;
    const char *recompute;
    int replicas, zero, threads;
    enum weir_compute dtype;
    const char *schedule; /* NULL: seq1f1b */
};

/* Of a run: losses, then gradients of the first step, then parameters. */
struct outcome {
    double losses[STEPS + 1]; /* the last one of an evaluation */
    float *gradients, *params;
    size_t n;
};

/* ---- a row of a program that asks where its rows stand ------------------------------------------------------------------ */

static const char ramp_text[] = "ramp"; /* in place of a config.json */

struct ramp_attr {
    float slope;
};

static weir_status ramp_infer(struct weir_op_shapes *shapes)
{
    weir_shapes_output_set(shapes, weir_shapes_input(shapes, 0));
    return WEIR_OK;
}

/* y = (1 + slope position / length) x (samples, positions, width), or dx from dy */
static weir_status ramp(const struct weir_op_call *call, const struct weir_tensor *from, const float *addend, float *to)
{
    const struct ramp_attr *attr = weir_call_attr(call);
    int64_t first = weir_call_first_position(call), rows = from->shape[1], width = from->shape[2];
    int64_t length = weir_call_n_positions(call) ? weir_call_n_positions(call) : rows;
    const float *x = from->data;
    for (int64_t i = 0; i < weir_tensor_elements(from); i++) {
        float factor = 1 + attr->slope * (float)(first + i / width % rows) / (float)length;
        to[i] = (addend ? addend[i] : 0) + factor * x[i];
    }
    return WEIR_OK;
}

static weir_status ramp_forward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return ramp(call, weir_call_input(call, 0), NULL, weir_call_output(call)->data);
}

static weir_status ramp_backward(const struct weir_op_call *call, void *stream)
{
    (void)stream;
    return ramp(call, weir_call_d_output(call), weir_call_addend(call, 0), weir_call_d_input(call, 0)->data);
}

static const struct weir_op op_ramp = {.struct_bytes = sizeof(struct weir_op), .name = "ramp", .flags = WEIR_OP_SLICES,
                                       .infer = ramp_infer, .attr_bytes = sizeof(struct ramp_attr),
                                       .cpu = {.forward = ramp_forward, .backward_input = ramp_backward}};

static void ramp_build(int64_t length, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    enum { WIDTH = 8 };
    const struct weir_embedding_attr table = {.out_features = WIDTH, .vocabulary = TOKENS};
    const struct weir_linear_attr out = {.out_features = TOKENS};
    const struct ramp_attr steep = {3};
    struct weir_shape ids = {2, {BATCH, length}, WEIR_DTYPE_I32};
    struct weir_graph_builder b;
    weir_graph_begin(&b, "ramp", arena);
    int tokens = weir_graph_input(&b, "tokens", ids), targets = weir_graph_input(&b, "targets", ids);
    weir_graph_layer(&b, "embed");
    int wte = weir_graph_param(&b, "wte", WEIR_INIT_NORMAL, 1, true), head = weir_graph_param(&b, "head", WEIR_INIT_NORMAL, 1, true);
    int x = weir_graph_node(&b, "embed", &weir_op_embedding, &table, sizeof table, 1, &tokens, 1, &wte);
    weir_graph_layer(&b, "ramp");
    x = weir_graph_node(&b, "ramp", &op_ramp, &steep, sizeof steep, 1, &x, 0, NULL);
    weir_graph_layer(&b, "head");
    x = weir_graph_node(&b, "head", &weir_op_linear, &out, sizeof out, 1, &x, 1, &head);
    weir_graph_node(&b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){x, targets}, 0, NULL);
    assert_ok(weir_graph_finish(&b, graph_out));
}

/* ---- runs --------------------------------------------------------------------------------------------------------------- */

static void graph_build(const struct layout *layout, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    if (layout->model == ramp_text) {
        ramp_build(layout->length, arena, graph_out);
        return;
    }
    const struct weir_model_kind *kind;
    struct weir_model_params params = {.microbatch_size = BATCH, .seq_len = layout->length, .dropout = layout->dropout};
    assert_ok(weir_file_write(testing_path("config.json"), layout->model, strlen(layout->model)));
    assert_ok(weir_model_open(testing_path("config.json"), arena, &kind));
    assert_ok(weir_model_build(kind, &params, arena, graph_out));
}

static void step_feed(weir_engine *engine, const struct layout *layout, int step)
{
    int32_t tokens[BATCH * 64], targets[BATCH * 64];
    int n = layout->n_microbatches * (layout->replicas ? layout->replicas : 1);
    for (int mb = 0; mb < n; mb++) {
        for (int i = 0; i < BATCH * layout->length; i++) {
            tokens[i] = (i * i + i * 7 + mb * 3 + step) % TOKENS;
            targets[i] = (tokens[i] * 3 + i) % TOKENS;
        }
        assert_ok(weir_engine_feed(engine, "tokens", mb, tokens));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
    }
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

static struct weir_engine_config config_of(const struct layout *layout, const struct weir_graph *graph,
                                           const struct weir_schedule *schedule)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    config.graph = graph;
    config.schedule = schedule;
    config.recompute = layout->recompute;
    config.replicas = layout->replicas;
    config.zero = layout->zero;
    config.evaluates = true;
    config.threads_per_rank = layout->threads ? layout->threads : 1;
    config.dtype = layout->dtype;
    return config;
}

static void train(const struct layout *layout, struct outcome *out)
{
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    weir_engine *engine;
    graph_build(layout, &arena, &graph);
    assert_ok(weir_pipeline_schedule_slices(layout->schedule ? layout->schedule : "seq1f1b", layout->n_stages, 0,
                                            layout->n_microbatches, layout->n_slices, &arena, &schedule));
    struct weir_engine_config config = config_of(layout, graph, &schedule);
    assert_ok(weir_engine_open(&config, &engine));
    out->n = (size_t)weir_graph_n_elements(graph);
    assert_ok(weir_alloc(out->n, sizeof(float), &out->gradients));
    assert_ok(weir_alloc(out->n, sizeof(float), &out->params));
    for (int step = 0; step < STEPS; step++) {
        struct weir_step_report report;
        step_feed(engine, layout, step);
        assert_ok(weir_engine_step(engine, 1e-3, &report));
        out->losses[step] = report.loss;
        if (step == 0 && !layout->zero)
            collect(engine, graph, true, out->gradients);
    }
    step_feed(engine, layout, STEPS);
    assert_ok(weir_engine_evaluate(engine, &out->losses[STEPS]));
    collect(engine, graph, false, out->params);
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static void outcome_release(struct outcome *outcome)
{
    weir_free(outcome->gradients);
    weir_free(outcome->params);
}

static void assert_same(const struct layout *a, const struct layout *b)
{
    struct outcome x, y;
    train(a, &x);
    train(b, &y);
    assert_memory_equal(x.losses, y.losses, sizeof x.losses);
    assert_memory_equal(x.params, y.params, x.n * sizeof(float));
    if (!a->zero && !b->zero)
        assert_memory_equal(x.gradients, y.gradients, x.n * sizeof(float));
    outcome_release(&x);
    outcome_release(&y);
}

/* Gradients differ by at most `part` of the largest element. */
static void assert_close(const struct layout *a, const struct layout *b, double part)
{
    struct outcome x, y;
    double most = 0, apart = 0;
    train(a, &x);
    train(b, &y);
    for (size_t i = 0; i < x.n; i++) {
        most = fmax(most, fabs((double)x.gradients[i]));
        apart = fmax(apart, fabs((double)x.gradients[i] - (double)y.gradients[i]));
    }
    print_message("%d slices of %d positions: apart %.2g of the largest element\n", a->n_slices, a->length, apart / most);
    assert_true(apart <= part * most);
    for (int i = 0; i <= STEPS; i++)
        assert_true(fabs(x.losses[i] - y.losses[i]) <= part * fabs(y.losses[i]));
    outcome_release(&x);
    outcome_release(&y);
}

static const char *const models[] = {gpt2_text, llama_text};

static void slices_give_the_gradients_of_whole_sequences(void **state)
{
    (void)state;
    static const int lengths[] = {9, 33, 64}, slices[] = {2, 3, 5};
    for (size_t m = 0; m < 2; m++)
        for (size_t l = 0; l < 3; l++)
            for (size_t k = 0; k < 3; k++) {
                struct layout cut = {models[m], lengths[l], 1, 2, slices[k], 0, NULL, 0, 0, 0, WEIR_COMPUTE_F32, NULL}, whole = cut;
                whole.n_slices = 1;
                assert_close(&cut, &whole, 1e-5);
            }
}

static void slices_drop_the_elements_that_whole_sequences_drop(void **state)
{
    (void)state;
    for (size_t m = 0; m < 2; m++) {
        struct layout cut = {models[m], 37, 1, 2, 3, 0.2, NULL, 0, 0, 0, WEIR_COMPUTE_F32, NULL}, whole = cut;
        whole.n_slices = 1;
        assert_close(&cut, &whole, 1e-5);
    }
}

static void every_pipeline_has_the_bits_of_one_stage_with_the_same_slices(void **state)
{
    (void)state;
    static const int slices[] = {2, 4};
    for (size_t m = 0; m < 2; m++)
        for (size_t k = 0; k < 2; k++)
            for (int p = 2; p <= 4; p++)
                for (int mbs = 1; mbs <= 3; mbs += 2) {
                    struct layout one = {models[m], 21, 1, mbs, slices[k], 0.1, NULL, 0, 0, 0, WEIR_COMPUTE_F32, NULL}, many = one;
                    many.n_stages = p;
                    assert_same(&one, &many);
                }
}

static void recomputation_replicas_sharded_state_threads_and_bf16_go_with_slices(void **state)
{
    (void)state;
    struct layout one = {gpt2_text, 21, 1, 2, 3, 0.1, NULL, 0, 0, 0, WEIR_COMPUTE_F32, NULL}, many = one;
    many.n_stages = 2;
    many.recompute = "full";
    assert_same(&one, &many);
    one.replicas = many.replicas = 2;
    assert_same(&one, &many);
    many.zero = 1;
    assert_same(&one, &many);
    one.threads = many.threads = 2;
    assert_same(&one, &many);
    one.dtype = many.dtype = WEIR_COMPUTE_BF16;
    assert_same(&one, &many);
}

/* Only the cut differs between the runs. */
static void slices_of_bf16_are_close_to_whole_sequences(void **state)
{
    (void)state;
    struct layout cut = {llama_text, 40, 2, 2, 3, 0, NULL, 0, 0, 0, WEIR_COMPUTE_BF16, NULL}, whole = cut;
    whole.n_slices = 1;
    assert_close(&cut, &whole, 2e-2);
}

/* I and W apart, the order of a file. */
static const char apart_text[] = "# weir-schedule 1 slices=2\n"
                                 "0F0,0F1,0F2,0I1,0W1,0F3,0I0,0W0,0I3,0W3,0I2,0W2\n"
                                 "1F0,1F1,1I1,1W1,1F2,1I0,1W0,1F3,1I3,1W3,1I2,1W2\n";

static void a_file_with_slices_runs_also_with_the_backward_in_two(void **state)
{
    (void)state;
    char path[4200];
    snprintf(path, sizeof path, "%s/slices.csv", testing_dir());
    assert_ok(weir_file_write(path, apart_text, strlen(apart_text)));
    struct layout one = {llama_text, 13, 1, 2, 2, 0.1, NULL, 0, 0, 0, WEIR_COMPUTE_F32, NULL}, many = one;
    many.n_stages = 2;
    many.n_slices = 0;
    many.schedule = path;
    assert_same(&one, &many);
}

static void a_row_of_a_program_knows_where_its_rows_stand(void **state)
{
    (void)state;
    struct layout whole = {ramp_text, 13, 1, 2, 1, 0, NULL, 0, 0, 0, WEIR_COMPUTE_F32, NULL}, slices = whole, stages;
    slices.n_slices = 3;
    stages = slices;
    stages.n_stages = 2;
    assert_close(&whole, &slices, 1e-5);
    assert_same(&slices, &stages);
}

/* ---- the cut ------------------------------------------------------------------------------------------------------- */

static void slices_cost_the_same_and_cover_the_sequence(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    const int64_t *first;
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = 1024};
    assert_ok(weir_model_build(&weir_model_gpt2, &params, &arena, &graph));
    for (int k = 2; k <= 8; k *= 2) {
        double least = HUGE_VAL, most = 0;
        assert_ok(weir_slices_cut(graph, k, &arena, &first));
        assert_int_equal(first[0], 0);
        assert_int_equal(first[k], 1024);
        for (int i = 0; i < k; i++) {
            const struct weir_graph *slice;
            double cost = 0;
            assert_true(i == 0 || first[i + 1] - first[i] <= first[i] - first[i - 1]);
            assert_ok(weir_graph_slice(graph, first[i], first[i + 1] - first[i], &arena, &slice));
            for (int n = 0; n < slice->n_nodes; n++)
                for (int pass = 0; pass < WEIR_PASSES; pass++)
                    cost += slice->nodes[n].shapes.flops[pass];
            least = fmin(least, cost);
            most = fmax(most, cost);
        }
        assert_true(most <= 1.03 * least);
    }
    weir_arena_release(&arena);
}

static void what_cannot_be_cut_is_refused_by_name(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph, *const *slices;
    struct weir_model_params params = {.microbatch_size = 2, .n_inputs = 8, .n_classes = 4};
    assert_ok(weir_model_build(&weir_model_mlp, &params, &arena, &graph));
    assert_fails(weir_slices_build(graph, 2, &arena, &slices), WEIR_ERR_UNSUPPORTED, "has no sequences to cut into slices");
    params.seq_len = 4;
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &params, &arena, &graph));
    assert_fails(weir_slices_build(graph, 5, &arena, &slices), WEIR_ERR_INVALID, "sequences of 4 positions cannot be cut into 5 slices");
    weir_arena_release(&arena);
}

/* ---- memory -------------------------------------------------------------------------------------------------------- */

static void keys_and_values_are_held_until_the_last_backward_of_their_micro_batch(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    weir_engine *engine;
    struct layout layout = {gpt2_text, 32, 2, 3, 2, 0, NULL, 0, 0, 0, WEIR_COMPUTE_F32, NULL};
    graph_build(&layout, &arena, &graph);
    assert_ok(weir_pipeline_schedule_slices("seq1f1b", 2, 0, 3, 2, &arena, &schedule));
    struct weir_engine_config config = config_of(&layout, graph, &schedule);
    assert_ok(weir_engine_open(&config, &engine));
    const struct weir_program *program = engine->runner.build.program;
    int found = 0;
    for (int i = 0; i < program->n_rows; i++) {
        const struct weir_memory_row *row = &program->rows[i];
        if (row->rank || strcmp(row->name, "stage 0 mb 2 to 3: keys and values") != 0)
            continue;
        const struct weir_action *list = schedule.ranks[0].actions;
        assert_true(list[row->first].type == WEIR_F && list[row->first].mb == 2);
        assert_true(list[row->last].type == WEIR_B && list[row->last].mb == 2);
        assert_int_equal(row->bytes, 2 * BATCH * 32 * 16 * sizeof(float)); /* one attention on the stage */
        found++;
    }
    assert_int_equal(found, 1);
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_give_the_gradients_of_whole_sequences),
        cmocka_unit_test(slices_drop_the_elements_that_whole_sequences_drop),
        cmocka_unit_test(every_pipeline_has_the_bits_of_one_stage_with_the_same_slices),
        cmocka_unit_test(recomputation_replicas_sharded_state_threads_and_bf16_go_with_slices),
        cmocka_unit_test(slices_of_bf16_are_close_to_whole_sequences),
        cmocka_unit_test(a_file_with_slices_runs_also_with_the_backward_in_two),
        cmocka_unit_test(a_row_of_a_program_knows_where_its_rows_stand),
        cmocka_unit_test(slices_cost_the_same_and_cover_the_sequence),
        cmocka_unit_test(what_cannot_be_cut_is_refused_by_name),
        cmocka_unit_test(keys_and_values_are_held_until_the_last_backward_of_their_micro_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
