/* Dependencies of what follows the last micro-batch.
 *
 *     rank r    TIE_ADD   REDUCE   GATHER   NORM ─────┐ UPDATE   PARAM_GATHER   TIE_COPY
 *     awaits    last W    bucket   REDUCE             │ NORM     UPDATE         UPDATE or PARAM_GATHER
 *     of        tied      peers    peers              └ all      peers          owners
 *               stages                                  ranks
 *
 * (peers: rank r of the other replicas.) */
#include "engine/program/deps_maker.h"

/* ---- tied parameters ----------------------------------------------------------------------------------------------- */

static void whole_add(struct weir_deps_maker *m, int param, enum weir_memory_kind kind, size_t offset)
{
    weir_deps_region(m, (struct weir_dep_region){WEIR_REPLICA_ANY, WEIR_REPLICA_ANY, false, kind, offset,
                                           weir_shape_bytes(&m->c->graph->params[param].shape)});
}

/* The rank of the first use. */
static int owner_of(const struct weir_deps_maker *m, int param)
{
    return m->program->stages[weir_compile_stage_of(m->c, m->c->graph->params[param].first_node)].rank;
}

/* The owner adds up the gradients of all uses; those of a stage are complete after its last W or B. */
static void tied_gradients_add(struct weir_deps_maker *m, int owner)
{
    for (int u = 0; u < m->program->n_uses; u++) {
        const struct weir_param_use *use = &m->program->uses[u];
        int stage = weir_compile_stage_of(m->c, use->node);
        if (owner == use->rank || owner_of(m, use->param) != owner)
            continue;
        int last = weir_moment_last(&m->c->moments, stage, WEIR_MOMENT_W);
        weir_deps_add(m, (struct weir_dep){.from_rank = use->rank,
                                           .from_instr = weir_deps_action(m, stage, last, WEIR_MOMENT_W)->last,
                                           .to_rank = owner, .to_instr = m->ends[owner].tie_add,
                                           .why = WEIR_DEP_TIED_GRADIENT, .post_after = -1});
        whole_add(m, use->param, WEIR_MEMORY_GRADS, use->grad_offset);
    }
}

/* A rank with a copy fetches what the owner has updated; with ZeRO-1 the owner has all of it after its own gather. */
static void tied_parameters_add(struct weir_deps_maker *m, int r)
{
    const struct weir_rank_program *rank = &m->program->ranks[r];
    for (int owner = 0; owner < m->program->n_ranks; owner++)
        for (int i = 0; i < rank->n_params; i++) {
            int param = rank->params[i].param;
            const struct weir_end_instrs *ends = &m->ends[owner];
            if (rank->params[i].owned || owner_of(m, param) != owner)
                continue;
            weir_deps_add(m, (struct weir_dep){.from_rank = owner,
                                               .from_instr = m->program->zero ? ends->param_gather : ends->update,
                                               .to_rank = r, .to_instr = m->ends[r].tie_copy,
                                               .why = WEIR_DEP_TIED_PARAMETER, .post_after = -1});
            whole_add(m, param, WEIR_MEMORY_PARAMS, weir_compile_rank_param(m->c, owner, param)->offset);
        }
}

/* ---- replicas ------------------------------------------------------------------------------------------------------ */

/* A dependency on the same rank of every other replica. */
static void peers_add(struct weir_deps_maker *m, int r, int from_instr, int to_instr, enum weir_dep_why why)
{
    weir_deps_add(m, (struct weir_dep){r, from_instr, r, to_instr, why, WEIR_DEP_OTHERS, 0, 0, -1});
}

static void piece_add(struct weir_deps_maker *m, int r, const struct weir_piece *piece, struct weir_dep_region region)
{
    const struct weir_rank_param *held = &m->program->ranks[r].params[piece->held];
    region.offset = (region.kind == WEIR_MEMORY_GRADS ? held->grad_offset : held->offset) +
                    (size_t)piece->first * sizeof(float);
    region.bytes = (size_t)piece->n * sizeof(float);
    weir_deps_region(m, region);
}

/* All of a bucket's pieces, or with bucket -1 of all buckets: each from all to the one who keeps it, or from that one. */
static void pieces_add(struct weir_deps_maker *m, int r, int bucket, bool kept, enum weir_memory_kind kind)
{
    const struct weir_rank_program *rank = &m->program->ranks[r];
    int first = bucket < 0 ? 0 : rank->buckets[bucket].first_piece;
    int n = bucket < 0 ? rank->n_pieces : rank->buckets[bucket].n_pieces;
    for (int i = first; i < first + n; i++)
        piece_add(m, r, &rank->pieces[i],
                  (struct weir_dep_region){.from_replica = kept ? rank->pieces[i].replica : WEIR_REPLICA_ANY,
                                           .to_replica = kept ? WEIR_REPLICA_ANY : rank->pieces[i].replica,
                                           .kind = kind});
}

static void buckets_add(struct weir_deps_maker *m, int r)
{
    const struct weir_end_instrs *ends = &m->ends[r];
    for (int b = 0; b < m->program->ranks[r].n_buckets; b++) {
        peers_add(m, r, ends->complete[b], ends->reduce[b], WEIR_DEP_BUCKET);
        pieces_add(m, r, b, false, WEIR_MEMORY_GRADS);
        if (m->program->zero)
            continue;
        peers_add(m, r, ends->reduce[b], ends->gather[b], WEIR_DEP_SUM);
        pieces_add(m, r, b, true, WEIR_MEMORY_GRADS);
    }
    if (!m->program->zero)
        return;
    peers_add(m, r, ends->update, ends->param_gather, WEIR_DEP_UPDATE);
    pieces_add(m, r, -1, true, WEIR_MEMORY_PARAMS);
}

/* ---- norm and losses ----------------------------------------------------------------------------------------------- */

/* With ZeRO-1 a replica has the squares of what it keeps, else each has all. */
static void squares_add(struct weir_deps_maker *m, int from)
{
    const struct weir_program *program = m->program;
    const struct weir_rank_program *rank = &program->ranks[from];
    for (int i = 0; i < rank->n_pieces; i++) {
        const struct weir_piece *piece = &rank->pieces[i];
        int64_t block = rank->params[piece->held].norm_block + piece->first / WEIR_NORM_BLOCK;
        int64_t blocks = (piece->n + WEIR_NORM_BLOCK - 1) / WEIR_NORM_BLOCK;
        weir_deps_region(m, (struct weir_dep_region){.from_replica = program->zero ? piece->replica : WEIR_REPLICA_ANY,
                                               .to_replica = WEIR_REPLICA_ANY, .kind = WEIR_MEMORY_STEP,
                                               .offset = program->norm_offset + (size_t)block * sizeof(double),
                                               .bytes = (size_t)blocks * sizeof(double)});
    }
}

static void losses_add(struct weir_deps_maker *m)
{
    const struct weir_program *program = m->program;
    size_t bytes = (size_t)program->n_microbatches * sizeof(double);
    for (int replica = 0; replica < program->n_replicas; replica++)
        weir_deps_region(m, (struct weir_dep_region){.from_replica = replica, .to_replica = WEIR_REPLICA_ANY,
                                               .kind = WEIR_MEMORY_STEP,
                                               .offset = program->losses_offset + (size_t)replica * bytes,
                                               .bytes = bytes});
}

/* Every UPDATE awaits every NORM, so no rank begins to overwrite gradients, norm parts or parameters of one step while
 * another still reads those of the step before. */
static void norm_add(struct weir_deps_maker *m, int from, int to, enum weir_dep_replicas replicas)
{
    const struct weir_program *program = m->program;
    weir_deps_add(m, (struct weir_dep){from, m->ends[from].norm, to, m->ends[to].update, WEIR_DEP_NORM, replicas, 0, 0,
                                       -1});
    if (replicas == WEIR_DEP_OWN || program->zero)
        squares_add(m, from);
    if (from == program->stages[program->n_stages - 1].rank)
        losses_add(m);
}

static void norms_add(struct weir_deps_maker *m, int to)
{
    for (int from = 0; from < m->program->n_ranks; from++)
        if (from != to)
            norm_add(m, from, to, WEIR_DEP_OWN);
    for (int from = 0; from < m->program->n_ranks && m->c->n_replicas > 1; from++)
        norm_add(m, from, to, WEIR_DEP_OTHERS);
}

void weir_deps_end(struct weir_deps_maker *m, int rank)
{
    tied_gradients_add(m, rank);
    buckets_add(m, rank);
    norms_add(m, rank);
    tied_parameters_add(m, rank);
}
