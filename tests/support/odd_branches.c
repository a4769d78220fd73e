#include "tests/support/odd_branches.h"

#include <stdio.h>

#include "kernels/op_rows.h"
#include "tests/support/odd_graph.h"
#include "tests/support/odd_rows.h"
#include "tests/support/random_schedule.h"
#include "tests/support/testing.h"

enum { MOST_VALUES = 64 };

struct branches {
    struct weir_graph_builder *b;
    uint64_t random;
    int points, n_values, values[MOST_VALUES];
    bool read[MOST_VALUES];
    char name[32];
};

static int taken(struct branches *s, int i)
{
    s->read[i] = true;
    return s->values[i];
}

/* One that was made before, or the input of the graph. */
static int any(struct branches *s)
{
    int i = random_below(&s->random, s->n_values + 1);
    return i < s->n_values ? taken(s, i) : s->points;
}

static void made(struct branches *s, int value)
{
    assert_true(s->n_values < MOST_VALUES);
    s->values[s->n_values++] = value;
}

static const char *named(struct branches *s, const char *what)
{
    snprintf(s->name, sizeof s->name, "%s.%d", what, s->n_values);
    return s->name;
}

/* A sum of two or three terms, which may be the same, or a product; both brought back to numbers below 1 in most cases. */
static int joined(struct branches *s, int x)
{
    int choice = random_below(&s->random, 4), y = any(s);
    if (choice == 0)
        x = odd_two(s->b, &odd_op_product, named(s, "product"), x, y);
    else if (choice == 1)
        x = weir_graph_node(s->b, named(s, "sum"), &weir_op_add, NULL, 0, 3, (int[]){x, y, any(s)}, 0, NULL);
    else
        x = odd_two(s->b, &weir_op_add, named(s, "sum"), x, y);
    return choice == 2 ? x : odd_one(s->b, &odd_op_tanh, named(s, "joined"), x);
}

/* One of two outputs; the other is there for all that follows, or for nobody. */
static int forked(struct branches *s, int x)
{
    int first = odd_fork(s->b, named(s, "fork"), x), second = weir_graph_output(s->b, first, 1);
    bool swapped = random_below(&s->random, 2);
    if (random_below(&s->random, 3))
        made(s, swapped ? first : second);
    return swapped ? second : first;
}

static int changed(struct branches *s, int x)
{
    switch (random_below(&s->random, 9)) {
    case 0:
        return odd_one(s->b, &odd_op_tanh, named(s, "tanh"), x);
    case 1:
        return odd_bend(s->b, named(s, "bend"), x);
    case 2:
        return odd_scale(s->b, random_below(&s->random, 2) ? "scale" : named(s, "scale"), x);
    case 3:
        return odd_norm(s->b, named(s, "norm"), x);
    case 4:
        return odd_drop(s->b, named(s, "drop"), x);
    case 5:
        x = odd_one(s->b, &odd_op_square, named(s, "square"), x);
        return odd_one(s->b, &odd_op_tanh, named(s, "squared"), x);
    case 6:
        return forked(s, x);
    default:
        return odd_dense(s->b, random_below(&s->random, 2) ? "shared" : named(s, "dense"), x, ODD_WIDTH);
    }
}

/* The first node reads what was made last, so that nothing stands by itself. */
static void layer_draw(struct branches *s)
{
    for (int k = 0, n = 1 + random_below(&s->random, 3); k < n; k++) {
        int x = k || !s->n_values ? any(s) : taken(s, s->n_values - 1);
        made(s, random_below(&s->random, 2) ? joined(s, x) : changed(s, x));
    }
}

/* All that nobody has read yet comes together before the loss. */
void odd_branches_build(struct weir_graph_builder *b, uint64_t seed)
{
    struct weir_shape reals = {2, {ODD_BATCH, ODD_WIDTH}, WEIR_DTYPE_F32};
    struct branches s = {.b = b, .random = seed, .points = weir_graph_input(b, "points", reals)};
    int targets = weir_graph_input(b, "targets", reals);
    char layer[16];
    for (int l = 0; l < ODD_LAYERS; l++) {
        snprintf(layer, sizeof layer, "layer%d", l);
        weir_graph_layer(b, layer);
        layer_draw(&s);
    }
    int x = odd_dense(b, "last", taken(&s, s.n_values - 1), ODD_WIDTH);
    for (int i = 0; i < s.n_values; i++)
        if (!s.read[i])
            x = odd_two(b, &weir_op_add, named(&s, "rest"), x, s.values[i]);
    odd_two(b, &weir_op_mse, "loss", odd_one(b, &odd_op_tanh, "last.tanh", x), targets);
}
