/* A value that several nodes read, as their first, second or third input: its gradient is the sum, on every partition.
 * labels: threads */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>

#include "include/weir/weir.h"
#include "kernels/op_rows.h"

enum { BATCH = 2, LENGTH = 5, WIDTH = 8, TOKENS = 12, TABLE = TOKENS * WIDTH };

struct mix {
    const char *sentence;
    const struct weir_op *op;
    struct weir_attention_attr attr; /* of attention */
    int inputs[3], n_inputs; /* X: the value that crosses into the layer, R, S: others that the layer makes of it */
};

enum { X, R, S };

static const struct mix mixes[] = {
    {"a gate that crosses", &weir_op_swiglu, {0}, {X, R}, 2},
    {"a factor that crosses", &weir_op_swiglu, {0}, {R, X}, 2},
    {"q that crosses", &weir_op_attention, {.n_heads = 2}, {X, R, S}, 3},
    {"k that crosses", &weir_op_attention, {.n_heads = 2}, {S, X, R}, 3},
    {"v that crosses", &weir_op_attention, {.n_heads = 4}, {R, S, X}, 3},
};

/* embed ─▶ x │ r = rotated x, s = silu(x), y = op(..) + r + x │ logits */
static const struct weir_graph *graph_build(const struct mix *mix, struct weir_arena *arena)
{
    struct weir_graph_builder b;
    const struct weir_graph *graph;
    struct weir_embedding_attr table = {.vocabulary = TOKENS, .out_features = WIDTH};
    struct weir_linear_attr out = {.out_features = TOKENS};
    struct weir_rope_attr turn = {.n_heads = 1, .rope = {.theta = 100}};
    struct weir_shape shape = {2, {BATCH, LENGTH}, WEIR_DTYPE_I32};
    weir_graph_begin(&b, "mix", arena);
    int tokens = weir_graph_input(&b, "tokens", shape), targets = weir_graph_input(&b, "targets", shape), inputs[3];
    weir_graph_layer(&b, "embed");
    int wte = weir_graph_param(&b, "table", WEIR_INIT_NORMAL, 1, true);
    int x = weir_graph_node(&b, "embed", &weir_op_embedding, &table, sizeof table, 1, &tokens, 1, &wte);
    weir_graph_layer(&b, "mix");
    int rotated = weir_graph_node(&b, "turn", &weir_op_rope, &turn, sizeof turn, 1, &x, 0, NULL);
    int bent = mix->n_inputs > 2 ? weir_graph_node(&b, "bend", &weir_op_silu, NULL, 0, 1, &x, 0, NULL) : 0;
    for (int i = 0; i < mix->n_inputs; i++)
        inputs[i] = (int[]){x, rotated, bent}[mix->inputs[i]];
    size_t bytes = mix->op->attr_bytes;
    int y = weir_graph_node(&b, "mix", mix->op, bytes ? &mix->attr : NULL, bytes, mix->n_inputs, inputs, 0, NULL);
    y = weir_graph_node(&b, "sum", &weir_op_add, NULL, 0, 3, (int[]){y, rotated, x}, 0, NULL);
    weir_graph_layer(&b, "head");
    int weight = weir_graph_param(&b, "head", WEIR_INIT_NORMAL, 1, true);
    y = weir_graph_node(&b, "head", &weir_op_linear, &out, sizeof out, 1, &y, 1, &weight);
    weir_graph_node(&b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){y, targets}, 0, NULL);
    assert_ok(weir_graph_finish(&b, &graph));
    return graph;
}

static double loss_of(weir_engine *engine, const float *table)
{
    int32_t tokens[BATCH * LENGTH], targets[BATCH * LENGTH];
    struct weir_step_report report;
    for (int i = 0; i < BATCH * LENGTH; i++) {
        tokens[i] = i * 5 % TOKENS;
        targets[i] = i * 7 % TOKENS;
    }
    assert_ok(weir_engine_param_write(engine, "table", table, TABLE));
    assert_ok(weir_engine_feed(engine, "tokens", 0, tokens));
    assert_ok(weir_engine_feed(engine, "targets", 0, targets));
    assert_ok(weir_engine_step(engine, 0, &report));
    return report.loss;
}

/* Along its gradient g the loss grows by |g| per length. */
static void gradient_check(const struct mix *mix, const char *schedule_name, int stages)
{
    const double h = 1e-2;
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    weir_engine *engine;
    float table[TABLE], gradient[TABLE], moved[TABLE];
    double norm = 0, above, below;
    config.graph = graph_build(mix, &arena);
    assert_ok(weir_pipeline_schedule(schedule_name, stages, 0, 1, &arena, &schedule));
    config.schedule = &schedule;
    assert_ok(weir_engine_open(&config, &engine));
    assert_ok(weir_engine_param_read(engine, "table", table, TABLE));
    loss_of(engine, table);
    assert_ok(weir_engine_gradient_read(engine, "table", gradient, TABLE));
    for (int i = 0; i < TABLE; i++)
        norm += (double)gradient[i] * (double)gradient[i];
    norm = sqrt(norm);
    for (int i = 0; i < TABLE; i++)
        moved[i] = (float)((double)table[i] + h * (double)gradient[i] / norm);
    above = loss_of(engine, moved);
    for (int i = 0; i < TABLE; i++)
        moved[i] = (float)((double)table[i] - h * (double)gradient[i] / norm);
    below = loss_of(engine, moved);
    if (!(fabs((above - below) / (2 * h) - norm) <= 2e-3 * norm))
        fail_msg("%s, %s on %d stages: the loss grows by %.7g, the gradient's norm is %.7g", mix->sentence, schedule_name,
                 stages, (above - below) / (2 * h), norm);
    weir_engine_close(engine);
    weir_arena_release(&arena);
}

static void the_gradient_of_a_value_is_the_sum_over_its_uses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mixes / sizeof mixes[0]; i++) {
        gradient_check(&mixes[i], "1f1b", 1);
        gradient_check(&mixes[i], "1f1b", 2);
        gradient_check(&mixes[i], "1f1b", 3);
        gradient_check(&mixes[i], "zb-h1", 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_gradient_of_a_value_is_the_sum_over_its_uses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
