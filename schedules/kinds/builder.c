#include "schedules/kinds/builder.h"

#include <assert.h>

#include "base/large.h"

weir_status weir_builder_open(struct weir_builder *builder, const struct weir_schedule_params *params, int n_stages,
                              int n_copies, size_t capacity, struct weir_arena *arena)
{
    int p = params->n_ranks;
    struct weir_builder b = {.arena = arena, .capacity = capacity};
    b.schedule = (struct weir_schedule){
        .n_ranks = p, .n_stages = n_stages, .n_microbatches = params->n_microbatches, .n_copies = n_copies};
    weir_status status = weir_arena_alloc(arena, (size_t)p, sizeof *b.ranks, &b.ranks);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)p, sizeof *b.actions, &b.actions);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_stages, sizeof *b.stage_rank, &b.stage_rank);
    struct weir_action *block;
    size_t stride = capacity + 11; /* odd, so that the lists do not meet in the same cache sets */
    if (!status)
        status = weir_large_alloc(arena, (size_t)p * stride, sizeof *block, &block);
    if (status)
        return status;
    for (int r = 0; r < p; r++)
        b.ranks[r].actions = b.actions[r] = block + (size_t)r * stride;
    for (int s = 0; s < n_stages; s++)
        b.stage_rank[s] = -1;
    b.schedule.ranks = b.ranks;
    b.schedule.stage_rank = b.stage_rank;
    *builder = b;
    return WEIR_OK;
}

void weir_builder_add(struct weir_builder *builder, int rank, enum weir_action_type type, int stage, int mb)
{
    struct weir_schedule_rank *list = &builder->ranks[rank];
    assert(list->n_actions < builder->capacity);
    builder->actions[rank][list->n_actions++] = (struct weir_action){.stage = stage, .mb = mb, .type = (uint8_t)type};
    int *holder = &builder->stage_rank[stage];
    if (*holder < 0 || rank < *holder)
        *holder = rank;
}

void weir_builder_add_overlap(struct weir_builder *builder, int rank, int f_stage, int f_mb, int b_stage, int b_mb)
{
    weir_builder_add(builder, rank, WEIR_F, f_stage, f_mb);
    builder->actions[rank][builder->ranks[rank].n_actions - 1].fused = 1;
    weir_builder_add(builder, rank, WEIR_B, b_stage, b_mb);
}

void weir_builder_close(struct weir_builder *builder, struct weir_schedule *out)
{
    *out = builder->schedule;
}
