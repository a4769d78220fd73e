#include "bf16_rig.h"

#include "base/rng.h"
#include "engine/run/transfer.h"
#include "kernels/op_rows.h"
#include "models/gpt2.h"
#include "models/llama.h"
#include "models/model_kinds.h"
#include "schedules/kinds/kinds.h"
#include "tests/support/testing.h"

/* BATCH samples; images of INPUTS pixels, targets of CLASSES classes or numbers. */
enum { BATCH = 1, SEQ = 6, INPUTS = 10, CLASSES = 4, TOKENS = 40, TABLE = 2100 };

/* Six layers each.  The tied table has more than one norm block, so that with ZeRO-1 two replicas have a part of it. */
static const struct weir_gpt2_config gpt2 = {.n_blocks = 2, .width = 32, .n_heads = 4, .n_positions = SEQ, .vocabulary = TABLE,
                                             .inner = 64, .eps = 1e-5, .init_std = 0.2, .activation = &weir_op_gelu_tanh};
static const struct weir_llama_config llama = {.n_blocks = 2, .width = 16, .n_positions = SEQ, .vocabulary = TOKENS,
                                               .n_heads = 4, .kv_heads = 2, .head_width = 6, .inner = 40, .eps = 1e-5,
                                               .init_std = 0.2, .rope = {.theta = 100}};
static const struct weir_model_kind kinds[] = {
    {.name = "gpt2", .data = WEIR_DATA_TOKENS, .seq_len = SEQ, .vocabulary = TABLE, .config = &gpt2, .build = weir_gpt2_build},
    {.name = "llama", .data = WEIR_DATA_TOKENS, .seq_len = SEQ, .vocabulary = TOKENS, .config = &llama,
     .build = weir_llama_build},
};

/* The rows that none of the models has: both losses, all activations, norms without a bias. */
static const struct weir_graph *odd_graph(struct weir_arena *arena)
{
    struct weir_graph_builder b;
    const struct weir_graph *graph;
    const struct weir_linear_attr wide = {.out_features = 9, .in_out = true}, out = {.out_features = CLASSES};
    const struct weir_norm_attr eps = {.eps = 1e-5};
    weir_graph_begin(&b, "odd", arena);
    int x = weir_graph_input(&b, "images", (struct weir_shape){2, {BATCH, INPUTS}, WEIR_DTYPE_F32});
    int targets = weir_graph_input(&b, "numbers", (struct weir_shape){2, {BATCH, CLASSES}, WEIR_DTYPE_F32});
    weir_graph_layer(&b, "in");
    int w = weir_graph_param(&b, "in", WEIR_INIT_NORMAL, 0.4, true);
    int gain = weir_graph_param(&b, "gain", WEIR_INIT_CONSTANT, 1, false);
    x = weir_graph_node(&b, "in", &weir_op_linear, &wide, sizeof wide, 1, &x, 1, &w);
    x = weir_graph_node(&b, "silu", &weir_op_silu, NULL, 0, 1, &x, 0, NULL);
    weir_graph_layer(&b, "middle");
    int y = weir_graph_node(&b, "norm", &weir_op_layer_norm, &eps, sizeof eps, 1, &x, 1, &gain);
    y = weir_graph_node(&b, "erf", &weir_op_gelu_erf, NULL, 0, 1, &y, 0, NULL);
    x = weir_graph_node(&b, "sum", &weir_op_add, NULL, 0, 2, (int[]){x, y}, 0, NULL);
    weir_graph_layer(&b, "out");
    w = weir_graph_param(&b, "out", WEIR_INIT_NORMAL, 0.4, true);
    x = weir_graph_node(&b, "out", &weir_op_linear, &out, sizeof out, 1, &x, 1, &w);
    weir_graph_node(&b, "loss", &weir_op_mse, NULL, 0, 2, (int[]){x, targets}, 0, NULL);
    assert_ok(weir_graph_finish(&b, &graph));
    return graph;
}

void bf16_machine(int n_devices, enum weir_fake_mode mode, uint64_t seed)
{
    const struct weir_fake_machine machine = {n_devices, (size_t)1 << 30, 1, mode, seed};
    assert_int_equal(weir_fake_open(), 0);
    weir_fake_machine_set(&machine);
}

void bf16_configure(const struct bf16_run *run, struct bf16_rig *rig)
{
    const struct weir_model_params params = {
        .microbatch_size = BATCH, .n_inputs = INPUTS, .n_classes = CLASSES, .dropout = 0.1};
    int replicas = run->replicas ? run->replicas : 1;
    *rig = (struct bf16_rig){.config = WEIR_ENGINE_CONFIG_DEFAULT, .model = run->model};
    rig->microbatches = run->microbatches ? run->microbatches : 4;
    assert_ok(weir_pipeline_schedule(run->schedule ? run->schedule : "1f1b", run->stages ? run->stages : 1, run->chunks,
                                     rig->microbatches / replicas, &rig->arena, &rig->schedule));
    if (run->model == BF16_ODD)
        rig->config.graph = odd_graph(&rig->arena);
    else
        assert_ok(weir_model_build(run->model == BF16_MLP ? &weir_model_mlp : &kinds[run->model], &params, &rig->arena,
                                   &rig->config.graph));
    rig->config.schedule = &rig->schedule;
    rig->config.device = run->device ? run->device : "cuda";
    rig->config.dtype = run->dtype;
    rig->config.recompute = run->recompute;
    rig->config.replicas = run->replicas;
    rig->config.zero = run->zero;
    rig->config.weight_decay = 0.1;
    rig->config.evaluates = true;
}

void bf16_open(const struct bf16_run *run, struct bf16_rig *rig)
{
    bf16_configure(run, rig);
    assert_ok(weir_engine_open(&rig->config, &rig->engine));
}

void bf16_close(struct bf16_rig *rig)
{
    weir_engine_close(rig->engine);
    weir_arena_release(&rig->arena);
}

static void images_make(int first, const int32_t *classes, float *images, float *numbers)
{
    for (int i = 0; i < BATCH * INPUTS; i++)
        images[i] = weir_rng_normal(7, (uint64_t)(first * INPUTS + i)) + (float)(3 * (i % CLASSES == classes[i / INPUTS]));
    for (int i = 0; i < BATCH * CLASSES; i++)
        numbers[i] = images[i] - 0.3f * images[i + 1];
}

/* Something to learn: the next token, the class of an image, and the numbers follow from what is fed. */
void bf16_feed(struct bf16_rig *rig, int step)
{
    int32_t tokens[BATCH * SEQ], targets[BATCH * SEQ], classes[BATCH];
    float images[BATCH * INPUTS], numbers[BATCH * CLASSES];
    bool has_tokens = rig->model < BF16_MLP;
    for (int mb = 0; mb < rig->microbatches; mb++) {
        for (int i = 0; i < BATCH * SEQ; i++) {
            tokens[i] = (int32_t)(weir_rng_philox(99, (uint32_t)i, (uint32_t)mb, (uint32_t)step, 0).v[0] % TOKENS);
            targets[i] = (tokens[i] * 3 + 1) % TOKENS;
        }
        for (int i = 0; i < BATCH; i++)
            classes[i] = tokens[i] % CLASSES;
        images_make(step * 4 + mb, classes, images, numbers);
        assert_ok(weir_engine_feed(rig->engine, has_tokens ? "tokens" : "images", mb, has_tokens ? (void *)tokens : images));
        if (rig->model == BF16_ODD)
            assert_ok(weir_engine_feed(rig->engine, "numbers", mb, numbers));
        else
            assert_ok(weir_engine_feed(rig->engine, "targets", mb, has_tokens ? targets : classes));
    }
}

double bf16_step(struct bf16_rig *rig, int step, double learning_rate)
{
    struct weir_step_report report;
    bf16_feed(rig, step);
    assert_ok(weir_engine_step(rig->engine, learning_rate, &report));
    return report.loss;
}

size_t bf16_elements(const struct bf16_rig *rig)
{
    return (size_t)weir_graph_n_elements(rig->config.graph);
}

void bf16_params(struct bf16_rig *rig, float *values_out)
{
    const struct weir_graph *graph = rig->config.graph;
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        assert_ok(weir_engine_param_read(rig->engine, graph->params[i].name, values_out, n));
        values_out += n;
    }
}

void bf16_copies(struct bf16_rig *rig, int r, uint16_t *bits_out)
{
    struct weir_rank *rank = &rig->engine->runner.machine.ranks[r];
    const struct weir_rank_program *program = &rig->engine->runner.build.program->ranks[rank->index];
    const struct weir_graph *graph = rig->config.graph;
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        for (int k = 0; k < program->n_params; k++)
            if (program->params[k].param == i)
                assert_ok(weir_read(rank, WEIR_MEMORY_COPIES, program->params[k].copy_offset, bits_out, n * sizeof *bits_out));
        bits_out += n;
    }
}
