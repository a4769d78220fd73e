/* operations: bad shapes, attributes, tokens and targets; what losses promise beyond their values.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "kernels/op_rows.h"
#include "tests/support/op_rig.h"

#define F32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_F32}
#define I32(n, ...) {n, {__VA_ARGS__}, WEIR_DTYPE_I32}

static void unknown_operations_get_a_suggestion(void **state)
{
    (void)state;
    const struct weir_op *op = NULL;
    assert_fails(weir_op_find("layer_nrom", &op), WEIR_ERR_USAGE, "did you mean 'layer_norm'");
    assert_fails(weir_op_find("convolution3d", &op), WEIR_ERR_USAGE, "unknown operation 'convolution3d'");
    assert_null(op);
}

static void bad_shapes_and_attributes_are_named(void **state)
{
    (void)state;
    static const struct {
        struct op_case c;
        const char *words;
    } rows[] = {
        {{"", &weir_op_linear, {.linear = {.out_features = 3}}, 2, {F32(1, 3), F32(1, 3)}}, "'linear' has 2 inputs, it takes 1"},
        {{"", &weir_op_linear, {.linear = {.out_features = 3}}, 1, {I32(1, 3)}}, "input 0 of 'linear' is (3) i32, it should be f32"},
        {{"", &weir_op_linear, {.linear = {.out_features = 3}}, 1, {F32(0, 0)}}, "at least 1 dimensions"},
        {{"", &weir_op_linear, {.linear = {.out_features = 0}}, 1, {F32(1, 3)}}, "0 output features"},
        {{"", &weir_op_layer_norm, {.norm = {.eps = 0}}, 1, {F32(1, 3)}}, "eps of 'layer_norm' is 0"},
        {{"", &weir_op_rms_norm, {.norm = {.eps = -1}}, 1, {F32(1, 3)}}, "eps of 'rms_norm' is -1"},
        {{"", &weir_op_gelu_tanh, {0}, 1, {F32(2, 3, 0)}}, "input 0 of 'gelu_tanh' is (3, 0) f32"},
        {{"", &weir_op_gelu_erf, {0}, 0, {F32(1, 3)}}, "'gelu_erf' has 0 inputs"},
        {{"", &weir_op_relu, {0}, 1, {I32(1, 3)}}, "input 0 of 'relu'"},
        {{"", &weir_op_silu, {0}, 1, {I32(1, 3)}}, "input 0 of 'silu'"},
        {{"", &weir_op_attention, {.attention = {.n_heads = 0}}, 1, {F32(3, 1, 4, 12)}}, "0 heads"},
        {{"", &weir_op_attention, {.attention = {.n_heads = 3}}, 1, {F32(3, 1, 4, 12)}}, "width that 3 heads divide"},
        {{"", &weir_op_attention, {.attention = {.n_heads = 1}}, 1, {F32(2, 4, 12)}}, "at least 3 dimensions"},
        {{"", &weir_op_attention, {.attention = {.n_heads = 1, .dropout = 1}}, 1, {F32(3, 1, 4, 12)}}, "dropout of 'attention' is 1"},
        {{"", &weir_op_attention, {.attention = {.n_heads = 64, .dropout = 0.1}}, 1, {F32(3, 1, 32768, 192)}}, "at most 2^34"},
        {{"", &weir_op_attention, {.attention = {.n_heads = 4, .kv_heads = 3}}, 1, {F32(3, 1, 4, 20)}}, "4 heads on 3 of keys"},
        {{"", &weir_op_attention, {.attention = {.n_heads = 4, .kv_heads = 2}}, 1, {F32(3, 1, 4, 12)}}, "(4 + 2 * 2) * width of a head"},
        {{"", &weir_op_attention, {.attention = {.n_heads = 2}}, 2, {F32(3, 1, 4, 8), F32(3, 1, 4, 8)}}, "'attention' has 2 inputs"},
        {{"", &weir_op_attention, {.attention = {.n_heads = 2, .kv_heads = 1}}, 3, {F32(3, 1, 4, 8), F32(3, 1, 4, 4), F32(3, 1, 4, 8)}},
         "input 2 of 'attention' is (1, 4, 8) f32, it should be (1, 4, 4) f32"},
        {{"", &weir_op_attention, {.attention = {.n_heads = 3}}, 3, {F32(3, 1, 4, 8), F32(3, 1, 4, 8), F32(3, 1, 4, 8)}},
         "a width that 3 heads divide"},
        {{"", &weir_op_rope, {.rope = {.n_heads = 0, .rope = {.theta = 1}}}, 1, {F32(3, 1, 4, 8)}}, "'rope' has 0 heads"},
        {{"", &weir_op_rope, {.rope = {.n_heads = 1, .rope = {.theta = 1}}}, 1, {F32(3, 1, 4, 7)}}, "1 heads of an even width"},
        {{"", &weir_op_rope, {.rope = {.n_heads = 1}}, 1, {F32(3, 1, 4, 8)}}, "'rope' has theta 0"},
        {{"", &weir_op_rope, {.rope = {.n_heads = 1, .rope = {.theta = 1, .scaling = WEIR_ROPE_LLAMA3, .factor = 2}}}, 1,
          {F32(3, 1, 4, 8)}}, "high above low"},
        {{"", &weir_op_swiglu, {0}, 2, {F32(1, 3), F32(1, 4)}}, "input 1 of 'swiglu' is (4) f32, it should be (3) f32"},
        {{"", &weir_op_add, {0}, 4, {F32(1, 3), F32(1, 3), F32(1, 3), F32(1, 3)}}, "'add' has 4 inputs, it takes 2 or 3"},
        {{"", &weir_op_concat, {0}, 1, {F32(2, 1, 3)}}, "'concat' has 1 inputs, it takes 2 to 8"},
        {{"", &weir_op_concat, {0}, 2, {F32(2, 1, 3), I32(2, 1, 3)}}, "input 1 of 'concat' is (1, 3) i32, it should be f32"},
        {{"", &weir_op_concat, {0}, 2, {F32(2, 3, 4), F32(2, 2, 4)}},
         "input 1 of 'concat' is (2, 4) f32, all but its last dimension should be as in input 0, (3, 4) f32"},
        {{"", &weir_op_concat, {0}, 2, {F32(2, 3, 4), F32(3, 1, 1, 4)}}, "should be as in input 0, (3, 4) f32"},
        {{"", &weir_op_concat, {0}, 2, {F32(2, 1, INT64_MAX), F32(2, 1, 1)}}, "'concat' has more than 2^63 - 1 columns"},
        {{"", &weir_op_split, {.split = {.parts = {1, 2}}}, 2, {F32(2, 1, 3), F32(2, 1, 3)}}, "'split' has 2 inputs, it takes 1"},
        {{"", &weir_op_split, {.split = {.parts = {1, 2}}}, 1, {I32(2, 1, 3)}}, "input 0 of 'split'"},
        {{"", &weir_op_concat, {0}, 2, {F32(1, 3), F32(1, 3)}}, "input 0 of 'concat' is (3) f32, it should be f32 with at least 2"},
        {{"", &weir_op_split, {.split = {.parts = {1, 2}}}, 1, {F32(1, 3)}}, "input 0 of 'split' is (3) f32, it should be f32 with at least 2"},
        {{"", &weir_op_split, {0}, 1, {F32(2, 1, 3)}}, "'split' has 0 parts, it makes 2 to 8"},
        {{"", &weir_op_split, {.split = {.parts = {3}}}, 1, {F32(2, 1, 3)}}, "'split' has 1 parts"},
        {{"", &weir_op_split, {.split = {.parts = {1, -2}}}, 1, {F32(2, 1, 3)}}, "part 1 of 'split' is -2 wide, of input 0, (1, 3) f32, 2 are left"},
        {{"", &weir_op_split, {.split = {.parts = {2, 2}}}, 1, {F32(2, 1, 3)}}, "part 1 of 'split' is 2 wide, of input 0, (1, 3) f32, 1 are left"},
        {{"", &weir_op_split, {.split = {.parts = {1, 1}}}, 1, {F32(2, 1, 3)}}, "the 2 parts of 'split' leave 1 of the last dimension"},
        {{"", &weir_op_dropout, {.dropout = {.dropout = -0.5}}, 1, {F32(1, 3)}}, "dropout of 'dropout' is -0.5"},
        {{"", &weir_op_dropout, {.dropout = {.dropout = NAN}}, 1, {F32(1, 3)}}, "dropout of 'dropout' is"},
        {{"", &weir_op_add, {0}, 1, {F32(1, 3)}}, "takes 2 or 3"},
        {{"", &weir_op_add, {0}, 2, {F32(1, 3), F32(1, 4)}}, "input 1 of 'add' is (4) f32, it should be (3) f32"},
        {{"", &weir_op_embedding, {.embedding = {.vocabulary = 3, .out_features = 2}}, 1, {F32(2, 1, 3)}}, "it should be i32"},
        {{"", &weir_op_embedding, {.embedding = {.vocabulary = 0, .out_features = 2}}, 1, {I32(2, 1, 3)}}, "0 tokens of width 2"},
        {{"", &weir_op_embedding, {.embedding = {.vocabulary = 3, .n_positions = 2, .out_features = 2}}, 1, {I32(2, 1, 3)}},
         "has 3 positions, the table has 2"},
        {{"", &weir_op_cross_entropy, {0}, 2, {F32(2, 3, 5), I32(1, 4)}},
         "input 1 of 'cross_entropy' is (4) i32, it should be (3) i32"},
        {{"", &weir_op_cross_entropy, {0}, 2, {F32(2, 3, 5), F32(1, 3)}}, "it should be i32"},
        {{"", &weir_op_mse, {0}, 2, {F32(2, 3, 5), F32(2, 5, 3)}},
         "input 1 of 'mse' is (5, 3) f32, it should be (3, 5) f32"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct op_case *c = &rows[i].c;
        struct weir_op_shapes shapes = {.attr = op_case_attr(c), .n_inputs = c->n_inputs};
        memcpy(shapes.inputs, c->inputs, sizeof c->inputs);
        assert_fails(c->op->infer(&shapes), WEIR_ERR_INVALID, rows[i].words);
    }
}

static void tokens_and_targets_out_of_range_are_named(void **state)
{
    (void)state;
    static const struct op_case tokens = {"", &weir_op_embedding, {.embedding = {.vocabulary = 9, .out_features = 2}}, 1, {I32(2, 3, 4)}};
    static const struct op_case targets = {"", &weir_op_cross_entropy, {0}, 2, {F32(2, 6, 5), I32(1, 6)}};
    struct op_rig rig;
    op_rig_open(&rig, &tokens, 1, 1, 0);
    ((int32_t *)rig.full.inputs[0].data)[6] = 9;
    const char *words = "token 9 at position 2 of sample 1 is outside the vocabulary of 9";
    assert_fails(op_rig_run(&rig, WEIR_FORWARD, NULL, false), WEIR_ERR_INVALID, words);
    assert_fails(op_rig_run(&rig, WEIR_BACKWARD_WEIGHT, NULL, false), WEIR_ERR_INVALID, words);
    op_rig_close(&rig);
    op_rig_open(&rig, &targets, 1, 1, 0);
    ((int32_t *)rig.full.inputs[1].data)[4] = -1;
    assert_fails(op_rig_run(&rig, WEIR_FORWARD, NULL, false), WEIR_ERR_INVALID,
                 "target -1 of row 4 is outside the vocabulary of 5");
    op_rig_close(&rig);
}

static const struct op_case losses[] = {
    {"", &weir_op_cross_entropy, {0}, 2, {F32(2, 37, 301), I32(1, 37)}},
    {"", &weir_op_mse, {0}, 2, {F32(2, 37, 301), F32(2, 37, 301)}},
};

static void a_gradient_may_lie_over_its_logits_or_be_left_out(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct op_rig apart, over, none;
        op_rig_open(&apart, &losses[i], 1, 1, 0);
        op_rig_open(&over, &losses[i], 1, 1, 0);
        op_rig_open(&none, &losses[i], 1, 1, 0);
        over.full.d_inputs[0] = over.full.inputs[0];
        none.full.d_inputs[0].data = NULL;
        assert_ok(op_rig_run(&apart, WEIR_FORWARD, NULL, false));
        assert_ok(op_rig_run(&over, WEIR_FORWARD, NULL, false));
        assert_ok(op_rig_run(&none, WEIR_FORWARD, NULL, false));
        assert_memory_equal(apart.full.output.data, over.full.output.data, sizeof(double));
        assert_memory_equal(apart.full.output.data, none.full.output.data, sizeof(double));
        assert_memory_equal(apart.full.d_inputs[0].data, over.full.d_inputs[0].data, 37 * 301 * sizeof(float));
        op_rig_close(&apart);
        op_rig_close(&over);
        op_rig_close(&none);
    }
}

static void large_logits_neither_overflow_nor_lose_the_loss(void **state)
{
    (void)state;
    struct op_rig rig;
    op_rig_open(&rig, &losses[0], 1, 1, 0);
    float *x = rig.full.inputs[0].data;
    for (int i = 0; i < 37 * 301; i++)
        x[i] = (float)(i % 301) * 100.0f - 10000.0f;
    memset(rig.full.inputs[1].data, 0, 37 * sizeof(int32_t));
    assert_ok(op_rig_run(&rig, WEIR_FORWARD, NULL, false));
    assert_true(fabs(*(double *)rig.full.output.data - 37 * 30000.0) < 1e-6);
    op_rig_close(&rig);
}

static void a_context_needs_a_thread(void **state)
{
    (void)state;
    struct weir_kernel_context *context = NULL;
    assert_fails(weir_kernel_context_open(0, &context), WEIR_ERR_INVALID, "at least 1");
    weir_kernel_context_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_operations_get_a_suggestion),
        cmocka_unit_test(bad_shapes_and_attributes_are_named),
        cmocka_unit_test(tokens_and_targets_out_of_range_are_named),
        cmocka_unit_test(a_gradient_may_lie_over_its_logits_or_be_left_out),
        cmocka_unit_test(large_logits_neither_overflow_nor_lose_the_loss),
        cmocka_unit_test(a_context_needs_a_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
