/* Slices: what those of a micro-batch hand on to each other, keys and values from F to F and their gradients from I to I.
 *
 *     F0 F1 F2 ...... I2 I1 I0                 a micro-batch of three slices on a stage
 *     ├─ keys and values ────┤                 forward-only: until the last F
 *                     ├─────┤                  their gradients
 *
 * Both lie in CACHE, packed by these lifetimes; every slice of the micro-batch has the same two offsets. */
#include "engine/program/compile.h"
#include "engine/program/pack.h"

weir_status weir_compile_cache_offsets(struct weir_compile *c)
{
    weir_status status = weir_arena_alloc(c->arena, (size_t)c->graph->n_nodes, sizeof(size_t), &c->cache_offsets);
    if (!status)
        status = weir_arena_alloc(c->arena, (size_t)c->graph->n_nodes, sizeof(size_t), &c->cache_gradient_offsets);
    for (int n = 0; n < c->graph->n_nodes && !status; n++) {
        struct weir_stage_program *stage = &c->program->stages[weir_compile_stage_of(c, n)];
        const struct weir_op_shapes *shapes = &c->slices[0].shapes[n];
        c->cache_offsets[n] = stage->cache_bytes[0];
        c->cache_gradient_offsets[n] = stage->cache_bytes[1];
        stage->cache_bytes[0] += weir_pack_round(shapes->cache_bytes);
        stage->cache_bytes[1] += c->forward_only ? 0 : weir_pack_round(shapes->cache_gradient_bytes);
    }
    return status;
}

static struct weir_pack_item item_of(const struct weir_compile *c, int stage, int microbatch, int part)
{
    int k = c->program->n_slices, first = microbatch * k, last = first + k - 1;
    int end = c->forward_only ? weir_moment_position(&c->moments, stage, last, WEIR_MOMENT_F)
                              : weir_moment_position(&c->moments, stage, first, WEIR_MOMENT_I);
    int begin = part ? weir_moment_position(&c->moments, stage, last, WEIR_MOMENT_I)
                     : weir_moment_position(&c->moments, stage, first, WEIR_MOMENT_F);
    return (struct weir_pack_item){c->program->stages[stage].cache_bytes[part], begin, end, 0};
}

static weir_status row_add(struct weir_compile *c, int stage, int microbatch, int part, const struct weir_pack_item *item)
{
    int k = c->program->n_slices;
    struct weir_memory_row row = {c->program->stages[stage].rank, WEIR_MEMORY_CACHE, NULL, item->offset, item->bytes, item->first,
                                  item->last};
    weir_status status = weir_arena_printf(c->arena, &row.name, "stage %d mb %d to %d: %skeys and values", stage, microbatch * k,
                                           microbatch * k + k - 1, part ? "gradients of " : "");
    return status ? status : weir_compile_row(c, row);
}

static weir_status item_place(struct weir_compile *c, int stage, int microbatch, int part, const struct weir_pack_item *item)
{
    int k = c->program->n_slices;
    for (int slice = 0; slice < k; slice++)
        c->program->stages[stage].mbs[microbatch * k + slice].cache_offset[part] = item->offset;
    return row_add(c, stage, microbatch, part, item);
}

static weir_status rank_pack(struct weir_compile *c, int r)
{
    struct weir_program *program = c->program;
    int m = program->n_microbatches / program->n_slices, n = 2 * m * program->n_stages;
    struct weir_pack_item *items;
    weir_status status = weir_arena_alloc(c->arena, (size_t)n, sizeof *items, &items);
    for (int i = 0; i < n && !status; i++)
        if (program->stages[i / 2 / m].rank == r)
            items[i] = item_of(c, i / 2 / m, i / 2 % m, i % 2);
    if (!status)
        status = weir_pack(items, n, c->arena, &program->ranks[r].bytes[WEIR_MEMORY_CACHE]);
    for (int i = 0; i < n && !status; i++)
        if (program->stages[i / 2 / m].rank == r)
            status = item_place(c, i / 2 / m, i / 2 % m, i % 2, &items[i]);
    return status;
}

weir_status weir_compile_caches(struct weir_compile *c)
{
    weir_status status = WEIR_OK;
    for (int r = 0; r < c->program->n_ranks && c->program->n_slices > 1 && !status; r++)
        status = rank_pack(c, r);
    return status;
}
