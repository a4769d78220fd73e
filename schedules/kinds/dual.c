#include "schedules/kinds/dual.h"

struct dual {
    const struct weir_dual_rank *rank;
    struct weir_action *queue; /* I actions whose W is missing */
    int queued, taken;
    int forwards[2], backwards[2]; /* per chunk */
};

static void forward_add(struct dual *d, int chunk)
{
    const struct weir_dual_rank *r = d->rank;
    weir_builder_add(r->builder, r->rank, WEIR_F, r->stage[chunk], r->first[chunk] + d->forwards[chunk]++);
}

static void backward_add(struct dual *d, int chunk)
{
    const struct weir_dual_rank *r = d->rank;
    weir_builder_add(r->builder, r->rank, WEIR_B, r->stage[chunk], r->first[chunk] + d->backwards[chunk]++);
}

static void input_add(struct dual *d, int chunk)
{
    const struct weir_dual_rank *r = d->rank;
    struct weir_action action = {.stage = r->stage[chunk], .mb = r->first[chunk] + d->backwards[chunk]++};
    weir_builder_add(r->builder, r->rank, WEIR_I, action.stage, action.mb);
    d->queue[d->queued++] = action;
}

static void weight_add(struct dual *d)
{
    const struct weir_action *action = &d->queue[d->taken++];
    weir_builder_add(d->rank->builder, d->rank->rank, WEIR_W, action->stage, action->mb);
}

/* F of one chunk and B of the other in one. */
static void overlap_add(struct dual *d, int f, int b)
{
    const struct weir_dual_rank *r = d->rank;
    weir_builder_add_overlap(r->builder, r->rank, r->stage[f], r->first[f] + d->forwards[f]++, r->stage[b],
                             r->first[b] + d->backwards[b]++);
}

static void steps_1_to_3(struct dual *d, int half, int depth)
{
    for (int i = 0; i < 2 * (half - depth - 1); i++)
        forward_add(d, 0);
    for (int i = 0; i < depth + 1; i++) {
        forward_add(d, 0);
        forward_add(d, 1);
    }
    for (int i = 0; i < half - depth - 1; i++) {
        input_add(d, 1);
        weight_add(d);
        forward_add(d, 1);
    }
}

static void steps_4_and_5(struct dual *d, int half, int depth)
{
    for (int i = 0; i < d->rank->n - 2 * half + depth + 1; i++) {
        if (i == 0 && depth == half - 1) { /* at the turning point the first pair apart leaves a smaller bubble */
            forward_add(d, 0);
            backward_add(d, 1);
        } else {
            overlap_add(d, 0, 1);
        }
        overlap_add(d, 1, 0);
    }
    for (int i = 0; i < half - depth - 1; i++) {
        backward_add(d, 1);
        overlap_add(d, 1, 0);
    }
}

static void steps_6_to_8(struct dual *d, int half, int depth)
{
    bool split = false;
    for (int i = 0; i < depth + 1; i++) {
        for (int chunk = 1; chunk >= 0; chunk--) {
            if (i == (depth + 1) / 2 && chunk == depth % 2)
                split = true;
            if (split)
                input_add(d, chunk);
            else
                backward_add(d, chunk);
        }
    }
    for (int i = 0; i < half - depth - 1; i++) {
        weight_add(d);
        input_add(d, 0);
    }
    while (d->taken < d->queued)
        weight_add(d);
}

void weir_dual_rank_build(const struct weir_dual_rank *rank, struct weir_action *queue)
{
    struct dual d = {.rank = rank, .queue = queue};
    steps_1_to_3(&d, rank->half, rank->depth);
    steps_4_and_5(&d, rank->half, rank->depth);
    steps_6_to_8(&d, rank->half, rank->depth);
}
