#include "tests/support/plain_branches.h"

#include <stdio.h>

#include "tests/support/odd_rows.h"
#include "tests/support/random_schedule.h"
#include "tests/support/testing.h"
#include "kernels/op_rows.h"

enum { MOST_VALUES = 64, WIDTH = 8 };

struct plain {
    struct weir_graph_builder b;
    uint64_t random;
    int loose; /* a part that nobody has read, 0: there is none */
    int images, n_values, values[MOST_VALUES];
    bool read[MOST_VALUES];
    char name[32];
};

static int taken(struct plain *p, int i)
{
    p->read[i] = true;
    return p->values[i];
}

static const char *named(struct plain *p, const char *what)
{
    snprintf(p->name, sizeof p->name, "%s.%d", what, p->n_values);
    return p->name;
}

/* With itself, or with one, two or none of what was made before. */
static int joined(struct plain *p, int x)
{
    int choice = random_below(&p->random, 4), n = p->n_values;
    if (choice == 3)
        return odd_two(&p->b, &weir_op_swiglu, named(p, "gate"), x, x);
    if (choice == 0 || !n)
        return x;
    int y = taken(p, random_below(&p->random, n));
    if (choice == 1)
        return odd_two(&p->b, &weir_op_add, named(p, "sum"), x, y);
    return weir_graph_node(&p->b, named(p, "sum"), &weir_op_add, NULL, 0, 3, (int[]){x, y, taken(p, random_below(&p->random, n))}, 0, NULL);
}

/* x in parts, of which one is left for another layer, or for nobody; what comes back is WIDTH wide again. */
static int parted(struct plain *p, int x)
{
    static const struct weir_split_attr sizes[] = {{.parts = {3, 5}}, {.parts = {5, 1, 2}}, {.parts = {1, 2, 1, 4}}};
    static const int counts[] = {2, 3, 4};
    int which = random_below(&p->random, 3), left = random_below(&p->random, counts[which]), n = 0, taken[WEIR_OP_INPUTS];
    int first = weir_graph_node(&p->b, named(p, "parts"), &weir_op_split, &sizes[which], sizeof sizes[which], 1, &x, 0, NULL);
    for (int i = counts[which] - 1; i >= 0; i--)
        if (i != left)
            taken[n++] = weir_graph_output(&p->b, first, i);
    if (p->loose && random_below(&p->random, 2))
        taken[n++] = p->loose;
    p->loose = weir_graph_output(&p->b, first, left);
    if (n > 1)
        taken[0] = weir_graph_node(&p->b, named(p, "concat"), &weir_op_concat, NULL, 0, n, taken, 0, NULL);
    return odd_dense(&p->b, named(p, "whole"), taken[0], WIDTH);
}

static int changed(struct plain *p, int x)
{
    if (!random_below(&p->random, 3))
        x = parted(p, x);
    x = odd_dense(&p->b, random_below(&p->random, 3) ? named(p, "dense") : "shared", odd_norm(&p->b, named(p, "norm"), x), WIDTH);
    x = random_below(&p->random, 2) ? odd_drop(&p->b, named(p, "drop"), x) : x;
    return odd_one(&p->b, &weir_op_relu, named(p, "relu"), x);
}

/* One value or two; a layer after the first may begin with what the one before has not made. */
static void layer_draw(struct plain *p)
{
    for (int k = 0, n = 1 + random_below(&p->random, 2); k < n; k++) {
        int x = !p->n_values ? odd_dense(&p->b, "first", p->images, WIDTH)
                             : taken(p, k ? random_below(&p->random, p->n_values) : p->n_values - 1 - random_below(&p->random, p->n_values > 1 ? 2 : 1));
        assert_true(p->n_values < MOST_VALUES);
        x = joined(p, changed(p, x));
        p->values[p->n_values++] = x;
    }
}

/* All that nobody has read yet comes together before the loss. */
void plain_branches_build(uint64_t seed, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct plain p = {.random = seed};
    char layer[16];
    weir_graph_begin(&p.b, "plain branches", arena);
    p.images = weir_graph_input(&p.b, "images", (struct weir_shape){2, {PLAIN_BATCH, PLAIN_INPUTS}, WEIR_DTYPE_F32});
    int targets = weir_graph_input(&p.b, "targets", (struct weir_shape){1, {PLAIN_BATCH}, WEIR_DTYPE_I32});
    for (int l = 0; l < PLAIN_LAYERS; l++) {
        snprintf(layer, sizeof layer, "layer%d", l);
        weir_graph_layer(&p.b, layer);
        layer_draw(&p);
    }
    int x = taken(&p, p.n_values - 1);
    for (int i = 0; i < p.n_values; i++)
        if (!p.read[i])
            x = odd_two(&p.b, &weir_op_add, named(&p, i ? "rest" : "first rest"), x, taken(&p, i));
    x = odd_dense(&p.b, "head", x, PLAIN_CLASSES);
    weir_graph_node(&p.b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){x, targets}, 0, NULL);
    assert_ok(weir_graph_finish(&p.b, graph_out));
}
