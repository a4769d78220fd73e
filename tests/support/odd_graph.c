#include "tests/support/odd_graph.h"

#include <string.h>

#include "base/rng.h"
#include "kernels/op_rows.h"
#include "tests/support/odd_branches.h"
#include "tests/support/odd_rows.h"
#include "tests/support/random_schedule.h"
#include "tests/support/testing.h"

enum { BATCH = ODD_BATCH, SEQ = 3, WIDTH = ODD_WIDTH, VOCABULARY = 12 };

/* One parameter in both places of a node. */
static int twice(struct weir_graph_builder *b, const char *name, int x)
{
    int param = weir_graph_param(b, name, WEIR_INIT_CONSTANT, 0.4, true);
    return weir_graph_node(b, name, &odd_op_affine, NULL, 0, 1, &x, 2, (int[]){param, param});
}

static int attention(struct weir_graph_builder *b, int x)
{
    struct weir_attention_attr attr = {.n_heads = 2, .dropout = 0.1};
    int y = odd_dense(b, "qkv", odd_norm(b, "attn.gain", x), 3 * WIDTH);
    return odd_dense(b, "proj", weir_graph_node(b, "attention", &weir_op_attention, &attr, sizeof attr, 1, &y, 0, NULL), WIDTH);
}

/* A small transformer: wte is used by the embedding and the head, which are far apart; the loss is a layer. */
static void tokens_build(struct weir_graph_builder *b)
{
    struct weir_shape ids = {2, {BATCH, SEQ}, WEIR_DTYPE_I32}, reals = {3, {BATCH, SEQ, WIDTH}, WEIR_DTYPE_F32};
    int tokens = weir_graph_input(b, "tokens", ids), targets = weir_graph_input(b, "targets", ids);
    int extra = weir_graph_input(b, "extra", reals);
    weir_graph_layer(b, "embed");
    struct weir_embedding_attr table = {.out_features = WIDTH, .vocabulary = VOCABULARY, .n_positions = SEQ};
    int tables[] = {weir_graph_param(b, "wte", WEIR_INIT_NORMAL, 0.3, true),
                    weir_graph_param(b, "wpe", WEIR_INIT_NORMAL, 0.3, true)};
    int x = odd_drop(b, "embed.drop", weir_graph_node(b, "embed", &weir_op_embedding, &table, sizeof table, 1, &tokens, 2, tables));
    weir_graph_layer(b, "attn");
    x = odd_two(b, &weir_op_add, "attn.sum", x, odd_drop(b, "attn.drop", attention(b, x)));
    weir_graph_layer(b, "whole");
    x = odd_two(b, &weir_op_add, "whole.sum", odd_scale(b, "scale", x), x);
    weir_graph_layer(b, "mlp");
    int y = odd_dense(b, "up", odd_one(b, &weir_op_silu, "silu", odd_norm(b, "mlp.gain", x)), 2 * WIDTH);
    y = odd_dense(b, "down", odd_one(b, &weir_op_gelu_tanh, "gelu", y), WIDTH);
    x = weir_graph_node(b, "mlp.sum", &weir_op_add, NULL, 0, 3, (int[]){x, y, odd_scale(b, "scale", x)}, 0, NULL);
    weir_graph_layer(b, "tanh");
    x = odd_one(b, &odd_op_tanh, "tanh", x);
    weir_graph_layer(b, "middle");
    x = odd_two(b, &weir_op_add, "middle.sum", x, odd_dense(b, "middle", extra, WIDTH));
    weir_graph_layer(b, "twice");
    x = twice(b, "gate", x);
    weir_graph_layer(b, "head");
    x = odd_norm(b, "head.gain", x);
    struct weir_linear_attr out = {.out_features = VOCABULARY};
    x = odd_bend(b, "bend", weir_graph_node(b, "logits", &weir_op_linear, &out, sizeof out, 1, &x, 1, tables));
    weir_graph_layer(b, "loss");
    odd_two(b, &weir_op_cross_entropy, "loss", x, targets);
}

/* Real numbers: nothing to learn in the first layer, products and squares, and a sum right before the loss. */
static void points_build(struct weir_graph_builder *b)
{
    struct weir_shape reals = {2, {BATCH, WIDTH}, WEIR_DTYPE_F32};
    int points = weir_graph_input(b, "points", reals), targets = weir_graph_input(b, "targets", reals);
    weir_graph_layer(b, "start");
    int x = odd_one(b, &odd_op_tanh, "start", odd_drop(b, "start.drop", points));
    weir_graph_layer(b, "fc0");
    x = odd_bend(b, "bend", odd_dense(b, "shared", x, WIDTH));
    weir_graph_layer(b, "square");
    x = odd_two(b, &weir_op_add, "square.sum", x, odd_one(b, &odd_op_square, "square", x));
    weir_graph_layer(b, "product");
    x = odd_two(b, &odd_op_product, "product", odd_dense(b, "fc1", x, WIDTH), x);
    weir_graph_layer(b, "norm");
    x = odd_norm(b, "gain", x);
    weir_graph_layer(b, "fan");
    int y = odd_one(b, &weir_op_relu, "relu", x);
    x = odd_two(b, &odd_op_product, "fan.product", odd_two(b, &weir_op_add, "fan.sum", x, y), odd_dense(b, "shared", x, WIDTH));
    weir_graph_layer(b, "input");
    x = odd_two(b, &weir_op_add, "input.sum", x, points);
    weir_graph_layer(b, "whole");
    x = odd_scale(b, "scale", x);
    weir_graph_layer(b, "end");
    x = weir_graph_node(b, "end.sum", &weir_op_add, NULL, 0, 2, (int[]){odd_dense(b, "shared", x, WIDTH), x}, 0, NULL);
    odd_two(b, &weir_op_mse, "loss", x, targets);
}

/* ---- all of them ---------------------------------------------------------------------------------------------------- */

enum odd_graph odd_graph_choose(uint64_t *random)
{
    int choice = random_below(random, ODD_BRANCHES + 1);
    return (enum odd_graph)(choice + (choice == ODD_BRANCHES ? random_below(random, ODD_GRAPHS - ODD_BRANCHES) : 0));
}

void odd_graph_build(enum odd_graph which, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    weir_graph_begin(&b, which == ODD_TOKENS ? "odd tokens" : which == ODD_POINTS ? "odd points" : "odd branches", arena);
    if (which >= ODD_BRANCHES)
        odd_branches_build(&b, (uint64_t)(which - ODD_BRANCHES) + 1);
    else
        (which == ODD_TOKENS ? tokens_build : points_build)(&b);
    assert_ok(weir_graph_finish(&b, graph_out));
    assert_int_equal((*graph_out)->n_layers, ODD_LAYERS);
}

void odd_graph_feed(weir_engine *engine, const struct weir_graph *graph, int step, int n_microbatches)
{
    int32_t ids[BATCH * SEQ * WIDTH];
    float reals[BATCH * SEQ * WIDTH];
    for (int mb = 0; mb < n_microbatches; mb++)
        for (int input = 0; input < graph->n_inputs; input++) {
            const struct weir_shape *shape = &graph->inputs[input].shape;
            for (int64_t i = 0; i < weir_shape_elements(shape); i++) {
                struct weir_rng_block block =
                    weir_rng_philox(7, (uint32_t)i, (uint32_t)mb, (uint32_t)step, (uint32_t)input);
                ids[i] = (int32_t)(block.v[0] % VOCABULARY);
                reals[i] = 2 * weir_rng_unit(block.v[0]) - 1;
            }
            const void *data = shape->dtype == WEIR_DTYPE_I32 ? (const void *)ids : reals;
            assert_ok(weir_engine_feed(engine, graph->inputs[input].name, mb, data));
        }
}
