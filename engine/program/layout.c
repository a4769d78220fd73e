/* Layout: parameters and their copies, gradients, optimizer state and data of every rank.
 *
 * A rank holds a parameter when one of its stages uses it.  The rank of the first use in graph order owns it: it adds up
 * the gradients, keeps the optimizer state and updates; other ranks of a tied parameter hold a copy. */
#include "engine/program/compile.h"
#include "engine/program/pack.h"

static size_t take(struct weir_rank_program *rank, enum weir_memory_kind kind, size_t bytes)
{
    size_t offset = rank->bytes[kind];
    rank->bytes[kind] += weir_pack_round(bytes);
    return offset;
}

/* What kernels read, when they do not read the parameter itself. */
static weir_status copy_lay(struct weir_compile *c, int rank, struct weir_rank_param *held)
{
    const struct weir_param *info = &c->graph->params[held->param];
    size_t bytes = (size_t)weir_shape_elements(&info->shape) * weir_dtype_bytes(c->graph->storage);
    if (c->graph->storage == info->shape.dtype)
        return WEIR_OK;
    held->copy_offset = take(&c->program->ranks[rank], WEIR_MEMORY_COPIES, bytes);
    return weir_compile_row(
        c, (struct weir_memory_row){rank, WEIR_MEMORY_COPIES, info->name, held->copy_offset, bytes, 0, -1});
}

static weir_status use_add(struct weir_compile *c, int node, int slot)
{
    int param = c->graph->nodes[node].params[slot];
    const struct weir_param *info = &c->graph->params[param];
    struct weir_program *program = c->program;
    int rank = program->stages[weir_compile_stage_of(c, node)].rank;
    struct weir_rank_program *r = &program->ranks[rank];
    size_t bytes = weir_shape_bytes(&info->shape);
    struct weir_param_use *use = &program->uses[program->n_uses++];
    *use = (struct weir_param_use){param, node, slot, rank, 0};
    if (!c->forward_only)
        use->grad_offset = take(r, WEIR_MEMORY_GRADS, bytes);
    if (weir_compile_rank_param(c, rank, param))
        return WEIR_OK;
    struct weir_rank_param *held = &r->params[r->n_params++];
    *held = (struct weir_rank_param){.param = param, .owned = node == info->first_node};
    held->offset = take(r, WEIR_MEMORY_PARAMS, bytes);
    held->grad_offset = use->grad_offset;
    struct weir_memory_row row = {rank, WEIR_MEMORY_PARAMS, info->name, held->offset, bytes, 0, -1};
    weir_status status = weir_compile_row(c, row);
    return status ? status : copy_lay(c, rank, held);
}

static weir_status params_lay(struct weir_compile *c)
{
    const struct weir_graph *graph = c->graph;
    struct weir_program *program = c->program;
    int n_uses = 0;
    for (int n = 0; n < graph->n_nodes; n++)
        n_uses += graph->nodes[n].shapes.n_params;
    weir_status status = weir_arena_alloc(c->arena, (size_t)n_uses, sizeof *program->uses, &program->uses);
    for (int r = 0; r < program->n_ranks && !status; r++)
        status = weir_arena_alloc(c->arena, (size_t)graph->n_params, sizeof *program->ranks[r].params,
                                  &program->ranks[r].params);
    for (int n = 0; n < graph->n_nodes && !status; n++)
        for (int i = 0; i < graph->nodes[n].shapes.n_params && !status; i++)
            status = use_add(c, n, i);
    return status;
}

/* Norm blocks are numbered in graph order, whoever owns the parameter. */
static void norm_blocks_number(struct weir_compile *c)
{
    for (int param = 0; param < c->graph->n_params; param++) {
        int64_t n = weir_shape_elements(&c->graph->params[param].shape);
        for (int r = 0; r < c->program->n_ranks; r++)
            for (int i = 0; i < c->program->ranks[r].n_params; i++)
                if (c->program->ranks[r].params[i].param == param)
                    c->program->ranks[r].params[i].norm_block = c->program->n_norm_blocks;
        c->program->n_norm_blocks += (n + WEIR_NORM_BLOCK - 1) / WEIR_NORM_BLOCK;
    }
}

static bool stage_reads_input(const struct weir_compile *c, const struct weir_stage_program *stage, int input)
{
    for (int n = stage->first_node; n < stage->first_node + stage->n_nodes; n++)
        for (int i = 0; i < c->graph->nodes[n].shapes.n_inputs; i++)
            if (c->graph->nodes[n].inputs[i] == weir_input_value(input))
                return true;
    return false;
}

/* The losses of all micro-batches, or the values of the last node. */
static weir_status results_lay(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    const struct weir_node *node = &c->graph->nodes[c->graph->n_nodes - 1];
    bool loss = node->op->flags & WEIR_OP_LOSS;
    size_t bytes = weir_shape_bytes(&node->shapes.output);
    program->result_stride = loss ? bytes : weir_pack_round(bytes);
    bytes = program->result_stride * (size_t)program->n_microbatches;
    int last = program->stages[program->n_stages - 1].rank;
    size_t offset = take(&program->ranks[last], WEIR_MEMORY_DATA, bytes);
    program->ranks[last].loss_offset = offset;
    return weir_compile_row(
        c, (struct weir_memory_row){last, WEIR_MEMORY_DATA, loss ? "losses" : node->name, offset, bytes, 0, -1});
}

static weir_status data_lay(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    size_t m = (size_t)weir_program_whole_microbatches(program);
    for (int r = 0; r < program->n_ranks; r++) {
        struct weir_rank_program *rank = &program->ranks[r];
        weir_status status = weir_arena_alloc(c->arena, (size_t)c->graph->n_inputs, sizeof(size_t), &rank->input_offsets);
        for (int i = 0; i < c->graph->n_inputs && !status; i++) {
            const struct weir_graph_input *input = &c->graph->inputs[i];
            size_t bytes = weir_pack_round(weir_shape_bytes(&input->shape)) * m;
            bool reads = false;
            for (int s = 0; s < program->n_stages; s++)
                reads = reads || (program->stages[s].rank == r && stage_reads_input(c, &program->stages[s], i));
            rank->input_offsets[i] = reads ? take(rank, WEIR_MEMORY_DATA, bytes) : SIZE_MAX;
            if (reads)
                status = weir_compile_row(c, (struct weir_memory_row){r, WEIR_MEMORY_DATA, input->name,
                                                                      rank->input_offsets[i], bytes, 0, -1});
        }
        if (status)
            return status;
    }
    return results_lay(c);
}

/* What nodes keep of one sequence; the parts of a rank's sequences follow each other. */
static weir_status cache_lay(struct weir_compile *c)
{
    struct weir_program *program = c->program;
    size_t n = (size_t)c->params->n_sequences;
    weir_status status = weir_arena_alloc(c->arena, (size_t)c->graph->n_nodes, sizeof(size_t), &c->cache_offsets);
    for (int k = 0; k < c->graph->n_nodes && !status; k++) {
        struct weir_rank_program *rank = &program->ranks[program->stages[weir_compile_stage_of(c, k)].rank];
        c->cache_offsets[k] = rank->sequence_bytes;
        rank->sequence_bytes += weir_pack_round(c->graph->nodes[k].shapes.cache_bytes);
    }
    for (int r = 0; r < program->n_ranks && !status; r++) {
        size_t bytes = n * program->ranks[r].sequence_bytes;
        struct weir_memory_row row = {r, WEIR_MEMORY_CACHE, NULL, take(&program->ranks[r], WEIR_MEMORY_CACHE, bytes), bytes,
                                      0, -1};
        status = weir_arena_printf(c->arena, &row.name, "keys and values of %zu sequence%s", n, n == 1 ? "" : "s");
        if (!status)
            status = weir_compile_row(c, row);
    }
    return status;
}

/* An evaluation between steps has the step's memory, and packs nothing. */
static bool packs(const struct weir_compile *c)
{
    return c->params->packed_bytes && !c->forward_only;
}

static void node_packed_lay(struct weir_compile *c, int node)
{
    const struct weir_node *info = &c->graph->nodes[node];
    struct weir_rank_program *rank = &c->program->ranks[c->program->stages[weir_compile_stage_of(c, node)].rank];
    for (int pass = WEIR_FORWARD; pass <= WEIR_BACKWARD_INPUT; pass++) {
        size_t bytes = c->params->packed_bytes(info->op, &info->shapes, (enum weir_pass)pass, c->params->n_threads);
        c->packed_offsets[2 * node + pass] = bytes ? take(rank, WEIR_MEMORY_PACKED, bytes) : SIZE_MAX;
    }
}

static weir_status packed_lay(struct weir_compile *c)
{
    weir_status status = weir_arena_alloc(c->arena, 2 * (size_t)c->graph->n_nodes, sizeof(size_t), &c->packed_offsets);
    for (int n = 0; n < c->graph->n_nodes && !status; n++)
        node_packed_lay(c, n);
    for (int r = 0; r < c->program->n_ranks && !status; r++)
        status = weir_compile_row(c, (struct weir_memory_row){r, WEIR_MEMORY_PACKED, "weights in the form of the matrix products", 0,
                                                              c->program->ranks[r].bytes[WEIR_MEMORY_PACKED], 0, -1});
    return status;
}

weir_status weir_compile_layout(struct weir_compile *c)
{
    weir_status status = params_lay(c);
    if (status)
        return status;
    norm_blocks_number(c);
    for (int r = 0; r < c->program->n_ranks; r++) {
        const size_t *bytes = c->program->ranks[r].bytes;
        struct weir_memory_row grads = {r, WEIR_MEMORY_GRADS, "one buffer per use", 0, bytes[WEIR_MEMORY_GRADS], 0, -1};
        if ((status = weir_compile_row(c, grads)))
            return status;
    }
    status = data_lay(c);
    if (status)
        return status;
    if (packs(c) && (status = packed_lay(c)))
        return status;
    return c->program->n_slices > 1 ? weir_compile_cache_offsets(c) : cache_lay(c);
}
