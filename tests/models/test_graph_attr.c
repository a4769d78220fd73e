/* Attributes of nodes: every row has a struct of its own, a node has a copy, and structs of other versions are taken or named.
 * labels: pure */
#include "tests/support/testing.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "include/weir/call.h"
#include "include/weir/graph.h"
#include "kernels/op_rows.h"

struct build {
    struct weir_arena arena;
    struct weir_graph_builder b;
    int x, w; /* an input (2, 6, 8) and a parameter */
};

static void begin(struct build *t)
{
    *t = (struct build){.x = 0};
    weir_graph_begin(&t->b, "g", &t->arena);
    t->x = weir_graph_input(&t->b, "x", (struct weir_shape){3, {2, 6, 8}, WEIR_DTYPE_F32});
    weir_graph_layer(&t->b, "one");
    t->w = weir_graph_param(&t->b, "w", WEIR_INIT_NORMAL, 1, true);
    assert_ok(weir_graph_status(&t->b));
}

static void ends(struct build *t, const char *words)
{
    assert_fails(weir_graph_status(&t->b), WEIR_ERR_INVALID, words);
    weir_arena_release(&t->arena);
}

static const struct weir_graph *finish(struct build *t)
{
    const struct weir_graph *graph;
    assert_ok(weir_graph_finish_forward(&t->b, &graph));
    return graph;
}

/* ---- rows of a program -------------------------------------------------------------------------------------------------- */

struct odd_attr {
    char letters[3];
};

struct positions {
    int64_t first, whole;
};

struct wide_attr {
    long double x;          /* wants more of an address than other types do */
    struct positions *seen; /* by infer; NULL: nobody asks */
};

static weir_status same_infer(struct weir_op_shapes *shapes)
{
    weir_shapes_output_set(shapes, weir_shapes_input(shapes, 0));
    return WEIR_OK;
}

static weir_status wide_infer(struct weir_op_shapes *shapes)
{
    const struct wide_attr *attr = weir_shapes_attr(shapes);
    assert_int_equal((uintptr_t)attr % _Alignof(max_align_t), 0);
    if (attr->seen)
        *attr->seen = (struct positions){weir_shapes_first_position(shapes), weir_shapes_n_positions(shapes)};
    return same_infer(shapes);
}

static const struct weir_op op_odd = {.struct_bytes = sizeof(struct weir_op), .name = "odd", .infer = same_infer,
                                      .attr_bytes = sizeof(struct odd_attr)};
static const struct weir_op op_wide = {.struct_bytes = sizeof(struct weir_op), .name = "wide", .flags = WEIR_OP_SLICES,
                                       .infer = wide_infer, .attr_bytes = sizeof(struct wide_attr)};

static void a_node_has_a_copy_of_any_size(void **state)
{
    (void)state;
    struct build t;
    struct odd_attr odd = {{'a', 'b', 'c'}};
    struct wide_attr wide = {.x = 0.5L};
    struct weir_node_info info;
    begin(&t);
    int y = weir_graph_node(&t.b, "odd", &op_odd, &odd, sizeof odd, 1, &t.x, 0, NULL);
    for (int i = 0; i < 40; i++) { /* the array of nodes grows meanwhile */
        char name[16];
        snprintf(name, sizeof name, "wide%d", i);
        wide.x += 1;
        y = weir_graph_node(&t.b, name, &op_wide, &wide, sizeof wide, 1, &y, 0, NULL);
    }
    y = weir_graph_node(&t.b, "fc", &weir_op_linear, &(struct weir_linear_attr){.out_features = 8}, sizeof(struct weir_linear_attr), 1,
                        &y, 1, &t.w);
    weir_graph_node(&t.b, "bend", &weir_op_relu, NULL, 0, 1, &y, 0, NULL);
    memset(&odd, 0, sizeof odd);
    const struct weir_graph *graph = finish(&t);
    assert_ok(weir_graph_node_get(graph, 0, &info));
    assert_int_equal(info.attr_bytes, 3);
    assert_memory_equal(info.attr, "abc", 3);
    for (int i = 0; i < 40; i++)
        assert_true(((const struct wide_attr *)graph->nodes[1 + i].shapes.attr)->x == 1.5L + i);
    assert_ok(weir_graph_node_get(graph, 42, &info));
    assert_true(info.attr == NULL && info.attr_bytes == 0);
    weir_arena_release(&t.arena);
}

static void attributes_that_are_not_given_are_zero(void **state)
{
    (void)state;
    struct build t;
    const struct weir_linear_attr out = {.out_features = 8};
    begin(&t);
    int y = weir_graph_node(&t.b, "odd", &op_odd, NULL, 0, 1, &t.x, 0, NULL);
    weir_graph_node(&t.b, "fc", &weir_op_linear, &out, sizeof out, 1, &y, 1, &t.w);
    const struct weir_graph *graph = finish(&t);
    assert_memory_equal(graph->nodes[0].shapes.attr, "\0\0\0", 3);
    weir_arena_release(&t.arena);
    begin(&t);
    weir_graph_node(&t.b, "fc", &weir_op_linear, NULL, 0, 1, &t.x, 1, &t.w);
    ends(&t, "node 'fc': 'linear' has 0 output features");
    begin(&t);
    weir_graph_node(&t.b, "cut", &weir_op_split, NULL, 0, 1, &t.x, 0, NULL);
    ends(&t, "node 'cut': 'split' has 0 parts");
}

static void a_row_without_attributes_is_given_none(void **state)
{
    (void)state;
    struct build t;
    const struct weir_norm_attr eps = {.eps = 1};
    begin(&t);
    weir_graph_node(&t.b, "n", &weir_op_relu, &eps, sizeof eps, 1, &t.x, 0, NULL);
    ends(&t, "node 'n': operation 'relu' takes no attributes, and it is given 16 bytes");
}

static void a_struct_without_a_size_and_a_size_without_a_struct_are_named(void **state)
{
    (void)state;
    struct build t;
    const struct weir_norm_attr eps = {.eps = 1};
    begin(&t);
    weir_graph_node(&t.b, "n", &weir_op_rms_norm, &eps, 0, 1, &t.x, 1, &t.w);
    ends(&t, "node 'n': its attributes are 0 bytes at an address: give a struct and its sizeof");
    begin(&t);
    weir_graph_node(&t.b, "n", &weir_op_rms_norm, NULL, sizeof eps, 1, &t.x, 1, &t.w);
    ends(&t, "node 'n': its attributes are 16 bytes at NULL");
}

/* ---- structs of other versions ------------------------------------------------------------------------------------------- */

/* As an older header might have it, and a newer one. */
struct linear_of_old {
    int64_t out_features;
};

struct linear_of_tomorrow {
    struct weir_linear_attr linear;
    int64_t groups;
};

static void a_smaller_struct_has_zero_in_what_it_lacks(void **state)
{
    (void)state;
    struct build t;
    const struct linear_of_old old = {5};
    const char two[2] = {'x', 'y'};
    begin(&t);
    int y = weir_graph_node(&t.b, "fc", &weir_op_linear, &old, sizeof old, 1, &t.x, 1, &t.w);
    weir_graph_node(&t.b, "odd", &op_odd, two, sizeof two, 1, &y, 0, NULL);
    const struct weir_graph *graph = finish(&t);
    const struct weir_linear_attr *attr = graph->nodes[0].shapes.attr;
    assert_true(attr->out_features == 5 && !attr->bias && !attr->in_out);
    assert_memory_equal(graph->nodes[1].shapes.attr, "xy\0", 3);
    weir_arena_release(&t.arena);
}

static void of_a_larger_struct_what_is_unknown_must_be_zero(void **state)
{
    (void)state;
    struct build t;
    struct linear_of_tomorrow new = {.linear = {.out_features = 5}};
    begin(&t);
    weir_graph_node(&t.b, "fc", &weir_op_linear, &new, sizeof new, 1, &t.x, 1, &t.w);
    const struct weir_linear_attr *attr = finish(&t)->nodes[0].shapes.attr;
    assert_int_equal(attr->out_features, 5);
    weir_arena_release(&t.arena);
    new.groups = 2;
    begin(&t);
    weir_graph_node(&t.b, "fc", &weir_op_linear, &new, sizeof new, 1, &t.x, 1, &t.w);
    ends(&t, "node 'fc': the attribute struct of 'linear' has 24 bytes, this library knows 16 of them, and byte 16 is set");
}

static void sizes_that_no_version_has_are_named(void **state)
{
    (void)state;
    struct build t;
    struct weir_op large = op_odd;
    const struct weir_norm_attr eps = {.eps = 1};
    begin(&t);
    weir_graph_node(&t.b, "n", &weir_op_rms_norm, &eps, (size_t)-1, 1, &t.x, 1, &t.w);
    ends(&t, "node 'n': the attribute struct of 'rms_norm' of 18446744073709551615 bytes cannot be: give its sizeof");
    large.attr_bytes = (1 << 16) + 1;
    begin(&t);
    weir_graph_node(&t.b, "n", &large, NULL, 0, 1, &t.x, 0, NULL);
    ends(&t, "node 'n': the row of operation 'odd' has attributes of 65537 bytes, at most 65536 can be");
}

/* A row that asks a built-in one takes its attributes, too. */
static void a_row_that_asks_another_needs_its_attributes(void **state)
{
    (void)state;
    struct build t;
    for (int i = 0; weir_ops[i]; i++) {
        struct weir_op row = *weir_ops[i];
        char words[100];
        if (!row.attr_bytes)
            continue;
        row.attr_bytes = 0;
        begin(&t);
        weir_graph_node(&t.b, "n", &row, NULL, 0, 1, &t.x, 1, &t.w);
        snprintf(words, sizeof words, "node 'n': '%s' has no attributes: a row that asks it needs its attr_bytes", row.name);
        ends(&t, words);
    }
}

/* ---- the same graph again ------------------------------------------------------------------------------------------------ */

/* x ─▶ wide ─▶ fc ─▶ drop */
static const struct weir_graph *small_graph(struct build *t, struct positions *seen)
{
    static const struct weir_linear_attr out = {.out_features = 4}; /* static: padding is zero, and compared */
    static const struct weir_dropout_attr rate = {.dropout = 0.25};
    static struct wide_attr wide = {.x = 3};
    wide.seen = seen;
    begin(t);
    int y = weir_graph_node(&t->b, "wide", &op_wide, &wide, sizeof wide, 1, &t->x, 0, NULL);
    y = weir_graph_node(&t->b, "fc", &weir_op_linear, &out, sizeof out, 1, &y, 1, &t->w);
    weir_graph_node(&t->b, "drop", &weir_op_dropout, &rate, sizeof rate, 1, &y, 0, NULL);
    return finish(t);
}

static void assert_kept(const struct weir_graph *a, const struct weir_graph *b)
{
    for (int n = 0; n < 3; n++) {
        assert_ptr_equal(a->nodes[n].op, b->nodes[n].op);
        assert_ptr_not_equal(a->nodes[n].shapes.attr, b->nodes[n].shapes.attr);
        assert_memory_equal(a->nodes[n].shapes.attr, b->nodes[n].shapes.attr, a->nodes[n].op->attr_bytes);
    }
}

static void every_form_of_a_graph_has_its_attributes(void **state)
{
    (void)state;
    struct build t;
    struct positions seen;
    const struct weir_graph *graph = small_graph(&t, &seen), *other, *slice;
    assert_true(seen.first == 0 && seen.whole == 0);
    assert_ok(weir_graph_resize(graph, 7, &t.arena, &other));
    assert_kept(graph, other);
    assert_true(seen.first == 0 && seen.whole == 0);
    assert_ok(weir_graph_slice(graph, 2, 3, &t.arena, &slice));
    assert_kept(graph, slice);
    assert_true(seen.first == 2 && seen.whole == 6);
    assert_true(slice->nodes[2].shapes.first_position == 2 && slice->nodes[2].shapes.n_positions == 6);
    seen = (struct positions){0, 0};
    assert_ok(weir_graph_resize(slice, 7, &t.arena, &other)); /* it stays that slice */
    assert_kept(graph, other);
    assert_true(seen.first == 2 && seen.whole == 6);
    assert_ok(weir_graph_cast(slice, WEIR_DTYPE_BF16, &t.arena, &other));
    assert_kept(graph, other);
    assert_int_equal(other->nodes[1].shapes.output.dtype, WEIR_DTYPE_BF16);
    assert_true(seen.first == 2 && seen.whole == 6);
    weir_arena_release(&t.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_has_a_copy_of_any_size),
        cmocka_unit_test(attributes_that_are_not_given_are_zero),
        cmocka_unit_test(a_row_without_attributes_is_given_none),
        cmocka_unit_test(a_struct_without_a_size_and_a_size_without_a_struct_are_named),
        cmocka_unit_test(a_smaller_struct_has_zero_in_what_it_lacks),
        cmocka_unit_test(of_a_larger_struct_what_is_unknown_must_be_zero),
        cmocka_unit_test(sizes_that_no_version_has_are_named),
        cmocka_unit_test(a_row_that_asks_another_needs_its_attributes),
        cmocka_unit_test(every_form_of_a_graph_has_its_attributes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
