#include "tests/support/branch_rig.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/rng.h"
#include "kernels/op_rows.h"
#include "models/model_kinds.h"
#include "tests/support/testing.h"

enum { LAYERS = 9, ENCODER = 4, WIDTH = 8 };
enum { PARTS = 3, NEAR = 4, FAR = 3 }; /* of what a layer of the graph of parts makes; the third is a column */

static int dense(struct weir_graph_builder *b, const char *name, int x, int64_t out)
{
    struct weir_linear_attr attr = {.out_features = out};
    int weight = weir_graph_param(b, name, WEIR_INIT_NORMAL, 0.4, true);
    return weir_graph_node(b, name, &weir_op_linear, &attr, sizeof attr, 1, &x, 1, &weight);
}

static int sum(struct weir_graph_builder *b, const char *name, int x, int y)
{
    return weir_graph_node(b, name, &weir_op_add, NULL, 0, 2, (int[]){x, y}, 0, NULL);
}

static int normed(struct weir_graph_builder *b, const char *name, int x)
{
    struct weir_norm_attr attr = {.eps = 1e-5};
    int gain = weir_graph_param(b, name, WEIR_INIT_CONSTANT, 1, false);
    return weir_graph_node(b, name, &weir_op_rms_norm, &attr, sizeof attr, 1, &x, 1, &gain);
}

/* Layer l: norm, linear, dropout, ReLU, and what it adds. */
static int layer_make(struct weir_graph_builder *b, int l, int x, int other)
{
    struct weir_dropout_attr rate = {.dropout = 0.1};
    char name[4][16];
    static const char *const words[] = {"norm", "fc", "drop", "relu"};
    for (int i = 0; i < 4; i++)
        snprintf(name[i], sizeof name[i], "%s%d", words[i], l);
    x = dense(b, name[1], normed(b, name[0], x), WIDTH);
    x = weir_graph_node(b, name[2], &weir_op_dropout, &rate, sizeof rate, 1, &x, 0, NULL);
    x = weir_graph_node(b, name[3], &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
    return other ? sum(b, "sum", x, other) : x;
}

/* What layer l adds; 0, which is the first linear's own value and never added: nothing. */
static int branch_of(enum branch_graph which, const int *made, int l)
{
    static const int lengths[] = {[BRANCH_SKIP_1] = 1, [BRANCH_SKIP_2] = 2, [BRANCH_SKIP_5] = 5};
    if (which == BRANCH_ENCODER)
        return l >= ENCODER ? made[ENCODER - 1] : 0;
    if (which == BRANCH_TOWERS)
        return l == 2 * ENCODER ? made[ENCODER - 1] : 0;
    return l >= lengths[which] ? made[l - lengths[which]] : 0;
}

static void chain_build(enum branch_graph which, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    int made[LAYERS], x = 0;
    char name[16];
    weir_graph_begin(&b, "branches", arena);
    int images = weir_graph_input(&b, "images", (struct weir_shape){2, {BRANCH_BATCH, BRANCH_INPUTS}, WEIR_DTYPE_F32});
    int targets = weir_graph_input(&b, "targets", (struct weir_shape){1, {BRANCH_BATCH}, WEIR_DTYPE_I32});
    for (int l = 0; l < LAYERS; l++) {
        snprintf(name, sizeof name, "layer%d", l);
        weir_graph_layer(&b, name);
        bool starts = !l || (which == BRANCH_TOWERS && l == ENCODER);
        x = starts ? dense(&b, l ? "in2" : "in", images, WIDTH) : x;
        x = made[l] = layer_make(&b, l, x, l ? branch_of(which, made, l) : 0);
    }
    weir_graph_layer(&b, "head");
    x = dense(&b, "head", x, BRANCH_CLASSES);
    weir_graph_node(&b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){x, targets}, 0, NULL);
    assert_ok(weir_graph_finish(&b, graph_out));
}

/* A layer reads the near columns of the layer before and the far ones of that before it. */
static void parts_build(struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    const struct weir_split_attr sizes = {.parts = {FAR, 1, NEAR}};
    int far[LAYERS + 1] = {0}, x;
    char name[2][16];
    weir_graph_begin(&b, "parts", arena);
    int images = weir_graph_input(&b, "images", (struct weir_shape){2, {BRANCH_BATCH, BRANCH_INPUTS}, WEIR_DTYPE_F32});
    int targets = weir_graph_input(&b, "targets", (struct weir_shape){1, {BRANCH_BATCH}, WEIR_DTYPE_I32});
    x = images;
    for (int l = 0; l < LAYERS; l++) {
        for (int i = 0; i < 2; i++)
            snprintf(name[i], sizeof name[i], "%s%d", i ? "layer" : "parts", l);
        weir_graph_layer(&b, name[1]);
        if (l > 1)
            x = weir_graph_node(&b, "join", &weir_op_concat, NULL, 0, 2, (int[]){far[l - 2], x}, 0, NULL);
        x = layer_make(&b, l, l ? x : dense(&b, "in", images, WIDTH), 0);
        far[l] = weir_graph_node(&b, name[0], &weir_op_split, &sizes, sizeof sizes, 1, &x, 0, NULL);
        x = weir_graph_output(&b, far[l], PARTS - 1);
    }
    weir_graph_layer(&b, "head");
    x = weir_graph_node(&b, "join", &weir_op_concat, NULL, 0, 3, (int[]){x, far[LAYERS - 2], far[LAYERS - 1]}, 0, NULL);
    x = dense(&b, "head", x, BRANCH_CLASSES);
    weir_graph_node(&b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){x, targets}, 0, NULL);
    assert_ok(weir_graph_finish(&b, graph_out));
}

void branch_graph_build(enum branch_graph which, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_model_params params = {
        .microbatch_size = BRANCH_BATCH, .n_inputs = BRANCH_INPUTS, .n_classes = BRANCH_CLASSES, .dropout = 0.1};
    if (which == BRANCH_U || which == BRANCH_U_CONCAT)
        assert_ok(weir_model_build(which == BRANCH_U ? &weir_model_umlp : &weir_model_umlp_concat, &params, arena, graph_out));
    else if (which == BRANCH_PARTS)
        parts_build(arena, graph_out);
    else
        chain_build(which, arena, graph_out);
}

static void feed(weir_engine *engine, int step, int n_microbatches)
{
    for (int mb = 0; mb < n_microbatches; mb++) {
        float images[BRANCH_BATCH * BRANCH_INPUTS];
        int32_t targets[BRANCH_BATCH];
        for (uint32_t i = 0; i < BRANCH_BATCH * BRANCH_INPUTS; i++) {
            struct weir_rng_block block = weir_rng_philox(5, i, (uint32_t)mb, (uint32_t)step, 0);
            images[i] = 2 * weir_rng_unit(block.v[0]) - 1;
            targets[i % BRANCH_BATCH] = (int32_t)(block.v[1] % BRANCH_CLASSES);
        }
        assert_ok(weir_engine_feed(engine, "images", mb, images));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
    }
}

static void params_collect(weir_engine *engine, const struct weir_graph *graph, struct branch_outcome *out)
{
    size_t at = 0;
    out->n_params = (size_t)weir_graph_n_elements(graph);
    assert_ok(weir_alloc(out->n_params, sizeof(float), &out->params));
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        assert_ok(weir_engine_param_read(engine, graph->params[i].name, out->params + at, n));
        at += n;
    }
}

/* Outputs that a later layer reads, that nobody reads, that the next layer reads. */
static const char *const outputs[PARTS] = {"parts3", "parts3:1", "parts3:2"};

static uint64_t outputs_fetch(weir_engine *engine, int n_microbatches)
{
    static const size_t widths[PARTS] = {FAR, 1, NEAR};
    uint64_t hash = 0;
    for (int mb = 0; mb < n_microbatches; mb++)
        for (int i = 0; i < PARTS; i++) {
            float values[BRANCH_BATCH * NEAR];
            assert_ok(weir_engine_fetch(engine, outputs[i], mb, values, BRANCH_BATCH * widths[i]));
            hash = weir_hash64(values, BRANCH_BATCH * widths[i] * sizeof *values, hash);
        }
    return hash;
}

void branch_train(enum branch_graph which, const struct branch_run *run, struct branch_outcome *out)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    weir_engine *engine;
    int n = run->microbatches * (run->replicas ? run->replicas : 1);
    memset(out, 0, sizeof *out);
    branch_graph_build(which, &arena, &config.graph);
    assert_ok(weir_pipeline_schedule(run->schedule, run->stages, run->chunks, run->microbatches, &arena, &schedule));
    config.schedule = &schedule;
    config.device = run->device ? run->device : "cpu";
    config.transport = run->transport;
    config.recompute = run->recompute;
    config.replicas = run->replicas;
    config.zero = run->zero;
    config.weight_decay = 0.1;
    config.grad_clip = 0.5;
    config.evaluates = true;
    config.fetches = outputs;
    config.n_fetches = which == BRANCH_PARTS ? PARTS : 0;
    assert_ok(weir_engine_open(&config, &engine));
    for (int step = 0; step < BRANCH_STEPS; step++) {
        struct weir_step_report report;
        feed(engine, step, n);
        assert_ok(weir_engine_step(engine, 1e-2, &report));
        assert_true(isfinite(report.loss) && report.grad_norm > 0);
        out->losses[step] = report.loss;
        out->norms[step] = report.grad_norm;
    }
    feed(engine, BRANCH_STEPS, n);
    assert_ok(weir_engine_evaluate(engine, &out->evaluated));
    out->fetched = which == BRANCH_PARTS ? outputs_fetch(engine, n) : 0;
    params_collect(engine, config.graph, out);
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

void branch_release(struct branch_outcome *outcome)
{
    weir_free(outcome->params);
}

bool branch_equal(const struct branch_outcome *a, const struct branch_outcome *b)
{
    return !memcmp(a->losses, b->losses, sizeof a->losses) && !memcmp(a->norms, b->norms, sizeof a->norms) &&
           !memcmp(&a->evaluated, &b->evaluated, sizeof a->evaluated) && a->fetched == b->fetched && a->n_params == b->n_params &&
           !memcmp(a->params, b->params, a->n_params * sizeof(float));
}
