#include "engine/program/compile.h"

weir_status weir_compile_row(struct weir_compile *c, struct weir_memory_row row)
{
    struct weir_program *program = c->program;
    if (!row.bytes)
        return WEIR_OK;
    size_t need = (size_t)program->n_rows + 1;
    weir_status status = weir_arena_grow(c->arena, &program->rows, &c->row_room, need, sizeof *program->rows);
    if (!status)
        program->rows[program->n_rows++] = row;
    return status;
}

int weir_compile_stage_of(const struct weir_compile *c, int node)
{
    int low = 0, high = c->program->n_stages - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (node >= c->program->stages[middle].first_node + c->program->stages[middle].n_nodes)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct weir_param_use *weir_compile_use(const struct weir_compile *c, int node, int slot)
{
    for (int u = 0; u < c->program->n_uses; u++)
        if (c->program->uses[u].node == node && c->program->uses[u].slot == slot)
            return &c->program->uses[u];
    return NULL;
}

const struct weir_rank_param *weir_compile_rank_param(const struct weir_compile *c, int rank, int param)
{
    const struct weir_rank_program *r = &c->program->ranks[rank];
    for (int i = 0; i < r->n_params; i++)
        if (r->params[i].param == param)
            return &r->params[i];
    return NULL;
}
