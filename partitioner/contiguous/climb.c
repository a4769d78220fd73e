#include "partitioner/contiguous/climb.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"

#define LEAST_GAIN 1e-6

enum { MOST_RUN = 32, MOST_PAIRED = 12, MOST_PAIRED_FAR = 6 };

struct climb {
    int n_stages;
    int *cut;  /* the best */
    int *next; /* to be tried */
    long left; /* calls */
    weir_cut_value_fn value;
    void *context;
    double best;
    weir_status status;
};

static bool is_cut(const struct climb *c)
{
    for (int i = 0; i < c->n_stages; i++)
        if (c->next[i] >= c->next[i + 1])
            return false;
    return true;
}

/* Borders first to last, and border other (0: none), if that is better. */
static bool moved_better(struct climb *c, int first, int last, int by, int other, int also)
{
    size_t bytes = ((size_t)c->n_stages + 1) * sizeof *c->cut;
    double value;
    if (c->status || !c->left)
        return false;
    memcpy(c->next, c->cut, bytes);
    for (int i = first; i <= last; i++)
        c->next[i] += by;
    c->next[other] += other ? also : 0;
    if (!is_cut(c) || !memcmp(c->next, c->cut, bytes))
        return false;
    c->left--;
    c->status = c->value(c->context, c->next, &value);
    if (c->status || !(value < c->best * (1 - LEAST_GAIN)))
        return false;
    memcpy(c->cut, c->next, bytes);
    c->best = value;
    return true;
}

static bool runs_moved(struct climb *c, int length)
{
    bool any = false;
    for (int i = 1; i + length <= c->n_stages; i++)
        for (int by = -1; by <= 1; by += 2)
            while (moved_better(c, i, i + length - 1, by, 0, 0))
                any = true;
    return any;
}

static bool pairs_moved(struct climb *c)
{
    bool any = false;
    int far = c->n_stages <= MOST_PAIRED_FAR ? 2 : 1;
    for (int i = 1; i < c->n_stages && c->n_stages <= MOST_PAIRED; i++)
        for (int j = i + 1; j < c->n_stages; j++)
            for (int by = -far; by <= far; by++)
                for (int also = -far; also <= far; also++)
                    any = moved_better(c, i, i, by, j, also) || any;
    return any;
}

/* Short moves first: most of the gain is in them. */
static bool moved(struct climb *c)
{
    bool any = false;
    for (int length = 1; length < c->n_stages && length <= MOST_RUN && !any; length++)
        any = runs_moved(c, length);
    return any || pairs_moved(c);
}

/* From c->cut, whose value is not known yet. */
static void search(struct climb *c)
{
    if (c->status || !c->left)
        return;
    c->left--;
    c->status = c->value(c->context, c->cut, &c->best);
    while (!c->status && c->left && moved(c))
        ;
}

weir_status weir_cut_climb(int n_stages, long *calls, weir_cut_value_fn value, void *context, int *first_layer, double *value_out)
{
    struct climb c = {.n_stages = n_stages, .cut = first_layer, .left = *calls, .value = value, .context = context, .best = INFINITY};
    size_t n = (size_t)n_stages + 1;
    int *room;
    weir_status status = weir_alloc(2 * n, sizeof *room, &room);
    if (status)
        return status;
    c.next = room;
    search(&c);
    struct climb other = c; /* from as many layers on each stage */
    other.cut = room + n;
    other.best = INFINITY;
    for (int i = 0; i <= n_stages; i++)
        other.cut[i] = (int)((int64_t)first_layer[n_stages] * i / n_stages);
    search(&other);
    if (other.best < c.best * (1 - LEAST_GAIN)) {
        memcpy(first_layer, other.cut, n * sizeof *first_layer);
        c.best = other.best;
    }
    weir_free(room);
    *calls -= other.left;
    *value_out = c.best;
    return other.status;
}
