/* Branch and bound for the knapsack of partitioner/piper/piper_recompute.h.  Offers are sorted by extra time per byte
 * saved, so the fractional bound is a walk over what is left, and the first descent is the greedy answer;
 * MOST_BRANCHES ends the search where it would be long, and then the best so far stands. */
#include "partitioner/piper/piper_recompute.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_BRANCHES = 20000 };

static double memory_of(const struct weir_cost_variant *variant, int in_flight)
{
    return variant->memory_a * in_flight + variant->memory_b;
}

static int offer_compare(const void *a, const void *b)
{
    const struct weir_piper_offer *x = a, *y = b;
    double left = x->time * y->bytes, right = y->time * x->bytes; /* time per byte */
    if (left != right)
        return left < right ? -1 : 1;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

/* Start from the faster configuration of every node and list what the slower, smaller one offers. */
static int offers_list(const struct weir_cost_graph *graph, const int *nodes, int n_nodes, int in_flight,
                       struct weir_piper_offer *offers, struct weir_piper_choice *start)
{
    int n = 0;
    *start = (struct weir_piper_choice){0};
    for (int i = 0; i < n_nodes; i++) {
        const struct weir_cost_node *node = &graph->nodes[nodes[i]];
        const struct weir_cost_variant *fast = &node->variants[0], *small = &node->variants[node->n_variants - 1];
        double saved = memory_of(fast, in_flight) - memory_of(small, in_flight);
        if (small->time < fast->time || (small->time == fast->time && saved > 0)) {
            const struct weir_cost_variant *other = fast;
            fast = small, small = other, saved = -saved;
            start->recomputed++;
        }
        start->time += fast->time;
        start->memory += memory_of(fast, in_flight);
        start->parameters += fast->parameter_bytes;
        if (!(saved > 0))
            continue;
        struct weir_piper_offer offer = {small->time - fast->time, saved,
                                         small->parameter_bytes - fast->parameter_bytes, 1};
        int k = 0;
        while (k < n && (offers[k].time != offer.time || offers[k].bytes != offer.bytes ||
                         offers[k].parameters != offer.parameters))
            k++;
        if (k < n)
            offers[k].n++;
        else
            offers[n++] = offer;
    }
    qsort(offers, (size_t)n, sizeof *offers, offer_compare);
    return n;
}

struct branching {
    struct weir_piper_offer *offers;
    int n_offers;
    int branches;
    double best;   /* extra time of the best choice */
    double memory; /* bytes it saves, and what it adds to parameters */
    double parameters;
    int recomputed;
};

/* Extra time when offers from `first` on may be taken in part; INFINITY when all of them are too little. */
static double fractional(const struct branching *b, int first, double need)
{
    double time = 0;
    for (int i = first; i < b->n_offers && need > 0; i++) {
        double whole = b->offers[i].bytes * b->offers[i].n, share = need < whole ? need / whole : 1;
        time += share * b->offers[i].time * b->offers[i].n;
        need -= whole;
    }
    return need > 0 ? INFINITY : time;
}

static void branch(struct branching *b, int i, double need, struct weir_piper_choice sofar)
{
    if (need <= 0) {
        if (sofar.time < b->best) {
            b->best = sofar.time;
            b->memory = sofar.memory;
            b->parameters = sofar.parameters;
            b->recomputed = sofar.recomputed;
        }
        return;
    }
    if (i == b->n_offers || b->branches++ > MOST_BRANCHES ||
        sofar.time + fractional(b, i, need) * (1 - 1e-12) >= b->best)
        return;
    const struct weir_piper_offer *offer = &b->offers[i];
    double enough = ceil(need / offer->bytes);
    for (int take = enough < offer->n ? (int)enough : offer->n; take >= 0; take--) {
        struct weir_piper_choice next = {sofar.time + take * offer->time, sofar.memory + take * offer->bytes,
                                      sofar.parameters + take * offer->parameters, sofar.recomputed + take};
        branch(b, i + 1, need - take * offer->bytes, next);
    }
}

bool weir_piper_recompute(const struct weir_cost_graph *graph, const int *nodes, int n_nodes, int in_flight,
                           double cap, struct weir_piper_offer *offers, struct weir_piper_choice *choice_out)
{
    struct weir_piper_choice start;
    struct branching b = {.offers = offers, .best = INFINITY};
    b.n_offers = offers_list(graph, nodes, n_nodes, in_flight, offers, &start);
    branch(&b, 0, start.memory - cap, (struct weir_piper_choice){0});
    if (!isfinite(b.best))
        return false;
    choice_out->time = start.time + b.best;
    choice_out->memory = start.memory - b.memory;
    choice_out->parameters = start.parameters + b.parameters;
    choice_out->recomputed = start.recomputed + b.recomputed;
    return true;
}
