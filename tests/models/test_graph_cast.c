/* Layer graphs in another storage type: what is halved, what stays, and rows that refuse.   labels: pure */
#include "tests/support/testing.h"

#include <string.h>

#include "kernels/infer.h"
#include "include/weir/graph.h"
#include "kernels/op_rows.h"
#include "models/model_kinds.h"

static const struct weir_graph *model_of(const struct weir_model_kind *kind, struct weir_arena *arena)
{
    const struct weir_graph *graph;
    struct weir_model_params params = {.microbatch_size = 2, .n_inputs = 6, .n_classes = 4, .dropout = 0.1};
    assert_ok(weir_model_build(kind, &params, arena, &graph));
    return graph;
}

static void shape_check(const struct weir_shape *cast, const struct weir_shape *own)
{
    enum weir_dtype wanted = own->dtype == WEIR_DTYPE_F32 ? WEIR_DTYPE_BF16 : own->dtype;
    assert_int_equal(cast->dtype, wanted);
    assert_int_equal(weir_shape_elements(cast), weir_shape_elements(own));
    assert_int_equal(weir_shape_bytes(cast), weir_shape_bytes(own) / (own->dtype == WEIR_DTYPE_F32 ? 2 : 1));
}

static void node_check(const struct weir_node *cast, const struct weir_node *own)
{
    assert_string_equal(cast->name, own->name);
    assert_ptr_equal(cast->op, own->op);
    shape_check(&cast->shapes.output, &own->shapes.output);
    for (int i = 0; i < own->shapes.n_inputs; i++)
        shape_check(&cast->shapes.inputs[i], &own->shapes.inputs[i]);
    for (int i = 0; i < own->shapes.n_params; i++)
        shape_check(&cast->shapes.params[i], &own->shapes.params[i]);
    assert_int_equal(cast->shapes.saved_bytes, own->shapes.saved_bytes);
    for (int pass = 0; pass < WEIR_PASSES; pass++) {
        assert_true(cast->shapes.flops[pass] == own->shapes.flops[pass]);
        assert_true(cast->shapes.bytes[pass] <= own->shapes.bytes[pass]);
        assert_true(cast->shapes.bytes[pass] >= own->shapes.bytes[pass] / 2);
    }
}

static void values_take_half_the_bytes_and_parameters_stay(void **state)
{
    (void)state;
    static const struct weir_model_kind *const kinds[] = {&weir_model_gpt2_tiny, &weir_model_llama_tiny, &weir_model_mlp,
                                                          &weir_model_umlp_concat};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct weir_arena arena = {0};
        const struct weir_graph *own = model_of(kinds[k], &arena), *cast;
        assert_ok(weir_graph_cast(own, WEIR_DTYPE_BF16, &arena, &cast));
        assert_int_equal(cast->n_nodes, own->n_nodes);
        assert_int_equal(cast->n_layers, own->n_layers);
        assert_int_equal(cast->n_targets, own->n_targets);
        assert_ptr_equal(cast->hf_config, own->hf_config);
        assert_ptr_equal(cast->hf_prefix, own->hf_prefix);
        for (int n = 0; n < own->n_nodes; n++)
            node_check(&cast->nodes[n], &own->nodes[n]);
        for (int i = 0; i < own->n_inputs; i++)
            shape_check(&cast->inputs[i].shape, &own->inputs[i].shape);
        for (int i = 0; i < own->n_params; i++) {
            assert_string_equal(cast->params[i].name, own->params[i].name);
            assert_memory_equal(&cast->params[i].shape, &own->params[i].shape, sizeof own->params[i].shape);
        }
        weir_arena_release(&arena);
    }
}

/* c_fc of gpt2-tiny: x (2, 64, 128), y (2, 64, 512), W (128, 512), bias (512); only the gradients of W and bias are f32. */
static void traffic_follows_the_storage_type(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *cast;
    double x = 2 * 128 * 128, y = 2 * 128 * 512, w = 128 * 512 + 512;
    assert_ok(weir_graph_cast(model_of(&weir_model_gpt2_tiny, &arena), WEIR_DTYPE_BF16, &arena, &cast));
    for (int n = 0; n < cast->n_nodes; n++) {
        const double *bytes = cast->nodes[n].shapes.bytes;
        if (strcmp(cast->nodes[n].name, "h.0.mlp.c_fc") != 0)
            continue;
        assert_true(bytes[WEIR_FORWARD] == x + y + 2 * w);
        assert_true(bytes[WEIR_BACKWARD_INPUT] == y + 2 * w + x);
        assert_true(bytes[WEIR_BACKWARD_WEIGHT] == y + x + 4 * w);
        weir_arena_release(&arena);
        return;
    }
    fail_msg("there is no c_fc");
}

static void a_cast_graph_is_resized_and_cast_back(void **state)
{
    (void)state;
    struct weir_arena arena = {0};
    const struct weir_graph *own = model_of(&weir_model_mlp, &arena), *cast, *small, *back;
    assert_ok(weir_graph_cast(own, WEIR_DTYPE_BF16, &arena, &cast));
    assert_ok(weir_graph_resize(cast, 1, &arena, &small));
    assert_int_equal(small->storage, WEIR_DTYPE_BF16);
    assert_int_equal(weir_shape_bytes(&small->inputs[0].shape), 6 * 2);
    assert_ok(weir_graph_cast(cast, WEIR_DTYPE_F32, &arena, &back));
    assert_fails(weir_graph_cast(own, WEIR_DTYPE_U8, &arena, &small), WEIR_ERR_INVALID, "f32 or bf16");
    for (int n = 0; n < own->n_nodes; n++)
        assert_true(weir_shapes_equal(&back->nodes[n].shapes.output, &own->nodes[n].shapes.output));
    weir_arena_release(&arena);
}

/* ---- rows of embedding programs ------------------------------------------------------------------------------------- */

static weir_status old_infer(struct weir_op_shapes *shapes)
{
    shapes->output = shapes->inputs[0];
    shapes->n_params = 1;
    shapes->params[0] = (struct weir_shape){1, {3}, WEIR_DTYPE_F32};
    return WEIR_OK;
}

static weir_status f32_infer(struct weir_op_shapes *shapes)
{
    shapes->output = (struct weir_shape){2, {2, 3}, WEIR_DTYPE_F32};
    return WEIR_OK;
}

static void a_row_that_knows_f32_alone_is_named(void **state)
{
    (void)state;
    static const struct weir_op rows[] = {
        {.struct_bytes = sizeof(struct weir_op), .name = "old", .infer = old_infer},
        {.struct_bytes = sizeof(struct weir_op), .name = "wide", .infer = f32_infer},
    };
    for (int k = 0; k < 2; k++) {
        struct weir_arena arena = {0};
        struct weir_graph_builder b;
        const struct weir_graph *own, *cast;
        struct weir_shape shape = {2, {2, 3}, WEIR_DTYPE_F32};
        weir_graph_begin(&b, "own", &arena);
        int x = weir_graph_input(&b, "x", shape), target = weir_graph_input(&b, "target", shape);
        weir_graph_layer(&b, "all");
        int p = k ? 0 : weir_graph_param(&b, "p", WEIR_INIT_CONSTANT, 1, false);
        x = weir_graph_node(&b, "mine", &rows[k], NULL, 0, 1, &x, !k, &p);
        weir_graph_node(&b, "loss", &weir_op_mse, NULL, 0, 2, (int[]){x, target}, 0, NULL);
        assert_ok(weir_graph_finish(&b, &own));
        assert_fails(weir_graph_cast(own, WEIR_DTYPE_BF16, &arena, &cast), WEIR_ERR_INVALID,
                     k ? "node 'mine': operation 'wide' is for f32 alone" : "node 'mine': operation 'old' is for f32 alone");
        weir_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_take_half_the_bytes_and_parameters_stay),
        cmocka_unit_test(traffic_follows_the_storage_type),
        cmocka_unit_test(a_cast_graph_is_resized_and_cast_back),
        cmocka_unit_test(a_row_that_knows_f32_alone_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
