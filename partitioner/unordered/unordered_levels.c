/* Joining blocks along nets with a union-find, then contraction.
 *
 * Dear nets are rated by cost per block beyond the first, times a noise of 0.5 to 1.5 that makes every round join other
 * blocks.  Groups with two pinned members are never joined; `most` keeps a group small enough to be moved. */
#include "partitioner/unordered/unordered_levels.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "partitioner/blocks/block_contract.h"
#include "partitioner/blocks/union_find.h"

struct joining {
    const struct weir_blocks *blocks;
    int *parent;
    int64_t *time; /* of each root's group */
    int *pin;
    int n_groups;
};

/* Join the blocks of net e when no group grows beyond `most`. */
static void net_join(struct joining *j, int e, int64_t most)
{
    const struct weir_blocks *b = j->blocks;
    for (int i = b->net_first[e] + 1; i < b->net_first[e + 1]; i++) {
        int x = weir_union_root(j->parent, b->net_block[i - 1]), y = weir_union_root(j->parent, b->net_block[i]);
        if (x == y || j->time[x] > most - j->time[y] || (j->pin[x] >= 0 && j->pin[y] >= 0))
            continue;
        weir_union_join(j->parent, x, y);
        j->n_groups--;
        int root = x < y ? x : y;
        j->time[root] = j->time[x] + j->time[y];
        j->pin[root] = j->pin[x] >= 0 ? j->pin[x] : j->pin[y];
    }
}

static weir_status groups_contract(const struct weir_blocks *blocks, int *parent, struct weir_arena *arena,
                                   struct weir_blocks *out)
{
    int *group, n = 0;
    weir_status status = weir_alloc((size_t)blocks->n, sizeof *group, &group);
    if (status)
        return status;
    for (int b = 0; b < blocks->n; b++) {
        int root = weir_union_root(parent, b);
        group[b] = root == b ? n++ : group[root];
    }
    status = weir_blocks_contract(blocks, group, n, arena, out);
    weir_free(group);
    return status;
}

static weir_status joining_init(const struct weir_blocks *blocks, struct joining *j)
{
    size_t n = (size_t)blocks->n;
    j->blocks = blocks;
    weir_status status = weir_alloc(n, sizeof *j->parent, &j->parent);
    if (!status)
        status = weir_alloc(n, sizeof *j->time, &j->time);
    if (!status)
        status = weir_alloc(n, sizeof *j->pin, &j->pin);
    for (int b = 0; !status && b < blocks->n; b++) {
        j->parent[b] = b;
        j->time[b] = blocks->time[b];
        j->pin[b] = blocks->pin[b];
    }
    j->n_groups = blocks->n;
    return status;
}

static void joining_release(struct joining *j)
{
    weir_free(j->parent);
    weir_free(j->time);
    weir_free(j->pin);
}

weir_status weir_unordered_uncuttable_join(const struct weir_blocks *blocks, int64_t limit, struct weir_arena *arena,
                                      struct weir_blocks *out)
{
    struct joining j = {0};
    weir_status status = joining_init(blocks, &j);
    for (int e = 0; !status && e < blocks->n_nets; e++)
        if (blocks->net_cost[e] >= limit)
            net_join(&j, e, WEIR_NEVER);
    if (!status)
        status = groups_contract(blocks, j.parent, arena, out);
    joining_release(&j);
    return status;
}

struct rated {
    double rating;
    int net;
};

static int rated_compare(const void *a, const void *b)
{
    const struct rated *x = a, *y = b;
    if (x->rating != y->rating)
        return x->rating > y->rating ? -1 : 1;
    return x->net - y->net;
}

weir_status weir_unordered_dear_nets_join(const struct weir_blocks *blocks, int target, int64_t most,
                                          struct weir_dice *dice, struct weir_arena *arena, struct weir_blocks *out)
{
    struct joining j = {0};
    struct rated *nets = NULL;
    weir_status status = joining_init(blocks, &j);
    if (!status)
        status = weir_alloc((size_t)blocks->n_nets, sizeof *nets, &nets);
    for (int e = 0; !status && e < blocks->n_nets; e++) {
        double noise = 0.5 + weir_rng_unit(weir_dice_word(dice));
        nets[e] = (struct rated){
            noise * (double)blocks->net_cost[e] / (blocks->net_first[e + 1] - blocks->net_first[e] - 1), e};
    }
    if (!status)
        qsort(nets, (size_t)blocks->n_nets, sizeof *nets, rated_compare);
    for (int i = 0; !status && i < blocks->n_nets && j.n_groups > target; i++)
        net_join(&j, nets[i].net, most);
    if (!status)
        status = groups_contract(blocks, j.parent, arena, out);
    weir_free(nets);
    joining_release(&j);
    return status;
}
