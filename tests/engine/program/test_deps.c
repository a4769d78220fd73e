/* Dependencies, held to what they are for: on random programs they order exactly what memory demands, and what is read of
 * another rank travels with them.   labels: pure */
#include "tests/support/testing.h"

#include <stdlib.h>
#include <string.h>

#include "engine/program/deps.h"
#include "tests/support/program_fixture.h"

enum { PROGRAMS = 1000 };

/* ---- all instructions of all replicas ------------------------------------------------------------------------------ */

/* Nodes are instructions; node numbers ascend in the order in which a program is issued, replicas in turns. */
struct web {
    const struct weir_program *program;
    int n, n_words;
    int *node_of[16];   /* [rank][instr]: the node in replica 0; those of the others follow */
    uint64_t *before;   /* [n][n_words]: nodes that must have ended before it begins */
};

static int node_at(const struct web *web, int replica, int rank, int instr)
{
    return web->node_of[rank][instr] + replica;
}

static void web_open(struct web *web, struct program_fixture *f)
{
    const struct weir_program *program = f->program;
    *web = (struct web){.program = program, .n = program->n_order * program->n_replicas};
    web->n_words = (web->n + 63) / 64;
    size_t words = (size_t)web->n * (size_t)web->n_words;
    assert_ok(weir_arena_alloc(&f->arena, words, sizeof *web->before, &web->before));
    for (int r = 0; r < program->n_ranks; r++)
        assert_ok(weir_arena_alloc(&f->arena, (size_t)program->ranks[r].n_instrs, sizeof(int), &web->node_of[r]));
    for (int i = 0; i < program->n_order; i++)
        web->node_of[program->order[i].rank][program->order[i].instr] = i * program->n_replicas;
}

/* `from` ends before `to` begins.  All that `from` awaits must be known by now: nodes come in their order. */
static void edge_add(struct web *web, int from, int to)
{
    uint64_t *a = web->before + (size_t)from * (size_t)web->n_words, *b = web->before + (size_t)to * (size_t)web->n_words;
    assert_true(from < to);
    for (int w = 0; w < web->n_words; w++)
        b[w] |= a[w];
    b[from / 64] |= (uint64_t)1 << (from % 64);
}

/* The list of a rank is in order. */
static void list_edge_add(struct web *web, int replica, int rank, int instr)
{
    if (instr)
        edge_add(web, node_at(web, replica, rank, instr - 1), node_at(web, replica, rank, instr));
}

/* ---- the program's web --------------------------------------------------------------------------------------------- */

static void dep_edges_add(struct web *web, int replica, const struct weir_dep *dep)
{
    int to = node_at(web, replica, dep->to_rank, dep->to_instr);
    for (int other = 0; other < web->program->n_replicas; other++)
        if ((dep->replicas == WEIR_DEP_OWN) == (other == replica))
            edge_add(web, node_at(web, other, dep->from_rank, dep->from_instr), to);
}

static void program_web(struct web *web, struct program_fixture *f)
{
    const struct weir_program *program = f->program;
    web_open(web, f);
    for (int i = 0; i < program->n_order; i++)
        for (int replica = 0; replica < program->n_replicas; replica++) {
            struct weir_order_entry at = program->order[i];
            const struct weir_instr *instr = &program->ranks[at.rank].instrs[at.instr];
            list_edge_add(web, replica, at.rank, at.instr);
            for (int d = instr->first_dep; d < instr->first_dep + instr->n_deps; d++)
                dep_edges_add(web, replica, &program->deps[d]);
        }
}

/* ---- the web that memory demands ----------------------------------------------------------------------------------- */

enum { MOST_READERS = 64, MOST_STAGES = 16, MOST_BOUNDARIES = 64, MOST_MICROBATCHES = 8, MOST_REPLICAS = 4, MOST_BUCKETS = 32, MOST_USES = 32 };

/* Something that is written and read: who wrote it last, and who has read it since. */
struct thing {
    int writer, n_readers, readers[MOST_READERS]; /* writer: node + 1, 0: none yet */
};

/* What several ranks touch, of one replica.  Slots are held from the arrival until the last action of the micro-batch on
 * the stage has ended, as program.h says, whichever of its calls still reads them. */
struct things {
    struct thing results[2][MOST_STAGES][MOST_MICROBATCHES]; /* forward, backward: the action's result is made */
    struct thing slots[2][MOST_BOUNDARIES][MOST_MICROBATCHES]; /* of a boundary: for values, for gradients */
    struct thing uses[MOST_USES];
    struct thing buckets[MOST_STAGES][MOST_BUCKETS][MOST_REPLICAS]; /* of a rank: the pieces that a replica keeps */
    struct thing params[MOST_STAGES][MOST_REPLICAS];                /* likewise */
    struct thing norms[MOST_STAGES];
};

struct memory {
    struct web *web;
    struct things *of; /* [n_replicas] */
};

static void thing_read(struct memory *m, struct thing *thing, int node)
{
    if (thing->writer && thing->writer - 1 != node)
        edge_add(m->web, thing->writer - 1, node);
    assert_true(thing->n_readers < MOST_READERS);
    thing->readers[thing->n_readers++] = node;
}

static void thing_write(struct memory *m, struct thing *thing, int node)
{
    if (thing->writer && thing->writer - 1 != node)
        edge_add(m->web, thing->writer - 1, node);
    for (int k = 0; k < thing->n_readers; k++)
        if (thing->readers[k] != node)
            edge_add(m->web, thing->readers[k], node);
    thing->writer = node + 1;
    thing->n_readers = 0;
}

/* The stage's last W or B: the one after which no gradient of the stage is written. */
static bool is_last_backward(const struct weir_program *program, int r, int i)
{
    const struct weir_instr *at = &program->ranks[r].instrs[i];
    for (int k = i + 1; k < program->ranks[r].n_instrs; k++) {
        const struct weir_instr *other = &program->ranks[r].instrs[k];
        if (other->kind == WEIR_INSTR_ACTION && other->stage == at->stage && other->mb != at->mb && other->list != WEIR_LIST_F)
            return false;
    }
    return true;
}

static void gradients_touch(struct memory *m, int replica, int r, int i, int node)
{
    const struct weir_program *program = m->web->program;
    const struct weir_instr *instr = &program->ranks[r].instrs[i];
    const struct weir_stage_program *stage = &program->stages[instr->stage];
    for (int u = 0; u < program->n_uses; u++)
        if (program->uses[u].node >= stage->first_node && program->uses[u].node < stage->first_node + stage->n_nodes)
            thing_write(m, &m->of[replica].uses[u], node);
    for (int b = 0; b < program->ranks[r].n_buckets; b++) {
        const struct weir_bucket *bucket = &program->ranks[r].buckets[b];
        bool before = instr->list == WEIR_LIST_I || !is_last_backward(program, r, i) ||
                      instr->first_call < bucket->end_call || !instr->first_call;
        for (int keeper = 0; keeper < program->n_replicas && bucket->stage == instr->stage && before; keeper++)
            thing_write(m, &m->of[replica].buckets[r][b][keeper], node);
    }
}

/* A boundary into the stage of an F, or out of that of an I or B, has brought a result; all hold the slot from then on. */
static void arrival_touch(struct memory *m, struct things *things, int b, const struct weir_instr *instr, int node)
{
    const struct weir_boundary *boundary = &m->web->program->boundaries[b];
    bool forward = instr->list == WEIR_LIST_F, mine = instr->stage == (forward ? boundary->to : boundary->from);
    if (instr->stage == boundary->to)
        thing_read(m, &things->slots[0][b][boundary->inputs.of_mb[instr->mb]], node);
    if (instr->stage == boundary->from && !forward && instr->list != WEIR_LIST_W)
        thing_read(m, &things->slots[1][b][boundary->gradients.of_mb[instr->mb]], node);
    if (mine && instr->list != WEIR_LIST_W && !instr->first_call)
        thing_read(m, &things->results[!forward][forward ? boundary->from : boundary->to][instr->mb], node);
}

/* A boundary out of the stage of an F, or into that of an I or B, is written. */
static void departure_touch(struct memory *m, struct things *things, int b, const struct weir_instr *instr, int node)
{
    const struct weir_boundary *boundary = &m->web->program->boundaries[b];
    const struct weir_call_list *list = &m->web->program->stages[instr->stage].lists[instr->list];
    bool forward = instr->list == WEIR_LIST_F;
    const struct weir_slots *slots = forward ? &boundary->inputs : &boundary->gradients;
    if (instr->list == WEIR_LIST_W || instr->stage != (forward ? boundary->from : boundary->to))
        return;
    if (instr->n_calls && instr->first_call + instr->n_calls > list->slot_call)
        thing_write(m, &things->slots[!forward][b][slots->of_mb[instr->mb]], node);
}

static void action_touch(struct memory *m, int replica, int r, int i, int node)
{
    const struct weir_program *program = m->web->program;
    const struct weir_instr *instr = &program->ranks[r].instrs[i];
    struct things *things = &m->of[replica];
    const struct weir_call_list *list = &program->stages[instr->stage].lists[instr->list];
    bool forward = instr->list == WEIR_LIST_F, w = instr->list == WEIR_LIST_W;
    assert_true(program->n_boundaries < MOST_BOUNDARIES);
    for (int b = 0; b < program->n_boundaries; b++)
        arrival_touch(m, things, b, instr, node);
    for (int b = 0; b < program->n_boundaries; b++)
        departure_touch(m, things, b, instr, node);
    if (!w && instr->first_call + instr->n_calls == list->n_calls)
        thing_write(m, &things->results[!forward][instr->stage][instr->mb], node);
    if (!forward)
        gradients_touch(m, replica, r, i, node);
}

static void tie_add_touch(struct memory *m, int replica, int r, int node)
{
    const struct weir_program *program = m->web->program;
    const struct weir_rank_program *rank = &program->ranks[r];
    for (int u = 0; u < program->n_uses; u++)
        for (int i = 0; i < rank->n_params; i++)
            if (rank->params[i].owned && rank->params[i].param == program->uses[u].param)
                thing_read(m, &m->of[replica].uses[u], node);
    for (int b = 0; b < rank->n_buckets; b++)
        for (int keeper = 0; keeper < program->n_replicas && rank->buckets[b].stage < 0; keeper++)
            thing_write(m, &m->of[replica].buckets[r][b][keeper], node);
}

static void bucket_touch(struct memory *m, int replica, int r, const struct weir_instr *instr, int node)
{
    int n = m->web->program->n_replicas, b = instr->bucket;
    for (int other = 0; other < n; other++)
        thing_read(m, &m->of[other].buckets[r][b][instr->kind == WEIR_INSTR_REDUCE ? replica : other], node);
    for (int keeper = 0; keeper < n; keeper++)
        if ((instr->kind == WEIR_INSTR_REDUCE) == (keeper == replica))
            thing_write(m, &m->of[replica].buckets[r][b][keeper], node);
}

/* UPDATE awaits every NORM: squares and losses travel, and nobody may still read what it overwrites. */
static void update_touch(struct memory *m, int replica, int r, int node)
{
    const struct weir_program *program = m->web->program;
    for (int other = 0; other < program->n_replicas; other++)
        for (int rank = 0; rank < program->n_ranks; rank++)
            thing_read(m, &m->of[other].norms[rank], node);
    for (int keeper = 0; keeper < program->n_replicas; keeper++)
        if (!program->zero || keeper == replica)
            thing_write(m, &m->of[replica].params[r][keeper], node);
}

static void copy_touch(struct memory *m, int replica, int r, int node)
{
    const struct weir_program *program = m->web->program;
    for (int i = 0; i < program->ranks[r].n_params; i++)
        for (int o = 0; o < program->n_ranks && !program->ranks[r].params[i].owned; o++)
            for (int k = 0; k < program->ranks[o].n_params; k++)
                for (int keeper = 0; keeper < program->n_replicas; keeper++)
                    if (program->ranks[o].params[k].owned && program->ranks[o].params[k].param == program->ranks[r].params[i].param)
                        thing_read(m, &m->of[replica].params[o][keeper], node);
}

static void instr_touch(struct memory *m, int replica, int r, int i, int node)
{
    const struct weir_program *program = m->web->program;
    const struct weir_instr *instr = &program->ranks[r].instrs[i];
    switch (instr->kind) {
    case WEIR_INSTR_ACTION:
        action_touch(m, replica, r, i, node);
        break;
    case WEIR_INSTR_TIE_ADD:
        tie_add_touch(m, replica, r, node);
        break;
    case WEIR_INSTR_REDUCE:
    case WEIR_INSTR_GATHER:
        bucket_touch(m, replica, r, instr, node);
        break;
    case WEIR_INSTR_NORM:
        thing_write(m, &m->of[replica].norms[r], node);
        break;
    case WEIR_INSTR_UPDATE:
        update_touch(m, replica, r, node);
        break;
    case WEIR_INSTR_PARAM_GATHER:
        for (int other = 0; other < program->n_replicas; other++)
            if (other != replica) {
                thing_read(m, &m->of[other].params[r][other], node);
                thing_write(m, &m->of[replica].params[r][other], node);
            }
        break;
    case WEIR_INSTR_TIE_COPY:
        copy_touch(m, replica, r, node);
        break;
    }
}

static void memory_web(struct web *web, struct program_fixture *f)
{
    const struct weir_program *program = f->program;
    struct memory m = {.web = web};
    web_open(web, f);
    assert_ok(weir_arena_alloc(&f->arena, (size_t)program->n_replicas, sizeof *m.of, &m.of));
    for (int i = 0; i < program->n_order; i++)
        for (int replica = 0; replica < program->n_replicas; replica++) {
            struct weir_order_entry at = program->order[i];
            list_edge_add(web, replica, at.rank, at.instr);
            instr_touch(&m, replica, at.rank, at.instr, node_at(web, replica, at.rank, at.instr));
        }
}

/* ---- both ---------------------------------------------------------------------------------------------------------- */

static void difference_print(const struct web *deps, const struct web *memory, int node, uint64_t seed)
{
    const struct weir_program *program = deps->program;
    for (int from = 0; from < node; from++) {
        size_t word = (size_t)node * (size_t)deps->n_words + (size_t)from / 64;
        bool a = deps->before[word] >> (from % 64) & 1, b = memory->before[word] >> (from % 64) & 1;
        if (a == b)
            continue;
        struct weir_order_entry x = program->order[from / program->n_replicas], y = program->order[node / program->n_replicas];
        char text[WEIR_ACTION_TEXT], text2[WEIR_ACTION_TEXT];
        print_error("program %d: rank %d %s before rank %d %s: %s\n", (int)seed, x.rank,
                    weir_instr_str(program, &program->ranks[x.rank].instrs[x.instr], 0, text), y.rank,
                    weir_instr_str(program, &program->ranks[y.rank].instrs[y.instr], 0, text2),
                    a ? "nothing demands it" : "no dependency has it");
        return;
    }
}

static void dependencies_order_what_memory_demands_and_nothing_else(void **state)
{
    (void)state;
    long n_deps = 0;
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        struct program_fixture f;
        struct web deps, memory;
        program_fixture_random(&f, seed);
        program_web(&deps, &f);
        memory_web(&memory, &f);
        for (int node = 0; node < deps.n; node++)
            if (memcmp(deps.before + (size_t)node * (size_t)deps.n_words, memory.before + (size_t)node * (size_t)deps.n_words,
                       (size_t)deps.n_words * sizeof *deps.before) != 0) {
                difference_print(&deps, &memory, node, seed);
                fail();
            }
        n_deps += f.program->n_deps;
        weir_arena_release(&f.arena);
    }
    assert_true(n_deps > 20 * PROGRAMS);
}

/* The lifetimes that the web of memory stands on. */
static void calls_touch_slots_only_while_the_micro_batch_holds_them(void **state)
{
    (void)state;
    int n_slot = 0;
    for (uint64_t seed = 0; seed < PROGRAMS / 10; seed++) {
        struct program_fixture f;
        program_fixture_random(&f, seed);
        for (int s = 0; s < f.program->n_stages; s++)
            for (int l = 0; l < WEIR_LISTS; l++)
                for (int k = 0; k < f.program->stages[s].lists[l].n_calls; k++) {
                    const struct weir_call_list *list = &f.program->stages[s].lists[l];
                    const struct weir_step_call *call = &list->calls[k];
                    struct weir_where wheres[3 * WEIR_OP_INPUTS + 2 * WEIR_OP_OUTPUTS];
                    int n = 0;
                    for (int i = 0; i < WEIR_OP_OUTPUTS; i++) {
                        wheres[n++] = call->outputs[i];
                        wheres[n++] = call->d_outputs[i];
                    }
                    for (int i = 0; i < WEIR_OP_INPUTS; i++) {
                        wheres[n++] = call->inputs[i];
                        wheres[n++] = call->d_inputs[i];
                        wheres[n++] = call->addends[i];
                    }
                    for (int i = 0; i < n; i++) {
                        bool input = wheres[i].place == WEIR_PLACE_SLOT, gradient = wheres[i].place == WEIR_PLACE_GRAD_SLOT;
                        const struct weir_boundary *b = input || gradient ? &f.program->boundaries[wheres[i].boundary] : NULL;
                        bool next = input && b->from == s, previous = gradient && b->to == s;
                        assert_true(!b || b->from == s || b->to == s);
                        assert_false(next && (l != WEIR_LIST_F || k < list->slot_call));
                        assert_false(previous && (l == WEIR_LIST_F || l == WEIR_LIST_W || k < list->slot_call));
                        assert_false(gradient && (l == WEIR_LIST_F || l == WEIR_LIST_W));
                        n_slot += next || previous;
                    }
                }
        weir_arena_release(&f.arena);
    }
    assert_true(n_slot > PROGRAMS / 10);
}

/* ---- regions ------------------------------------------------------------------------------------------------------- */

/* What one instruction of one replica reads of another rank. */
struct read {
    int replica, rank, instr, from_replica, from_rank;
    bool receivers;
    enum weir_memory_kind kind;
    size_t offset, bytes;
};

static bool region_serves(const struct weir_dep *dep, const struct weir_dep_region *region, const struct read *read)
{
    return dep->from_rank == read->from_rank && (dep->replicas == WEIR_DEP_OWN) == (read->from_replica == read->replica) &&
           (region->from_replica == WEIR_REPLICA_ANY || region->from_replica == read->from_replica) &&
           (region->to_replica == WEIR_REPLICA_ANY || region->to_replica == read->replica) &&
           region->receivers == read->receivers && region->kind == read->kind;
}

/* Every byte is in a region of a dependency of the instruction; returns how many. */
static size_t assert_travels(const struct weir_program *program, struct read read)
{
    const struct weir_instr *instr = &program->ranks[read.rank].instrs[read.instr];
    for (size_t at = read.offset; at < read.offset + read.bytes;) {
        size_t end = at;
        for (int d = instr->first_dep; d < instr->first_dep + instr->n_deps; d++)
            for (int k = 0; k < program->deps[d].n_regions; k++) {
                const struct weir_dep_region *region = &program->regions[program->deps[d].first_region + k];
                if (region_serves(&program->deps[d], region, &read) && region->offset <= at &&
                    region->offset + region->bytes > end)
                    end = region->offset + region->bytes;
            }
        assert_true(end > at);
        at = end;
    }
    return read.bytes;
}

static size_t slots_read(const struct weir_program *program, struct read read, const struct weir_instr *instr)
{
    bool forward = instr->list == WEIR_LIST_F;
    size_t bytes = 0;
    for (int b = 0; b < program->n_boundaries && !instr->first_call && instr->list != WEIR_LIST_W; b++) {
        const struct weir_boundary *boundary = &program->boundaries[b];
        const struct weir_slots *slots = forward ? &boundary->inputs : &boundary->gradients;
        if (instr->stage != (forward ? boundary->to : boundary->from))
            continue;
        read.from_rank = program->stages[forward ? boundary->from : boundary->to].rank;
        read.receivers = true;
        read.kind = forward ? WEIR_MEMORY_SLOTS : WEIR_MEMORY_GRAD_SLOTS;
        read.bytes = slots->bytes;
        read.offset = weir_slot_offset(slots, instr->mb);
        bytes += read.from_rank == read.rank ? 0 : assert_travels(program, read);
    }
    return bytes;
}

static const struct weir_rank_param *held_find(const struct weir_program *program, int rank, int param)
{
    for (int i = 0; i < program->ranks[rank].n_params; i++)
        if (program->ranks[rank].params[i].param == param)
            return &program->ranks[rank].params[i];
    return NULL;
}

static size_t ties_read(const struct weir_program *program, struct read read)
{
    size_t bytes = 0;
    read.kind = WEIR_MEMORY_GRADS;
    for (int u = 0; u < program->n_uses; u++) {
        const struct weir_rank_param *held = held_find(program, read.rank, program->uses[u].param);
        read.from_rank = program->uses[u].rank;
        read.offset = program->uses[u].grad_offset;
        read.bytes = weir_shape_bytes(&program->graph->params[program->uses[u].param].shape);
        if (held && held->owned && read.from_rank != read.rank)
            bytes += assert_travels(program, read);
    }
    return bytes;
}

static size_t copies_read(const struct weir_program *program, struct read read)
{
    size_t bytes = 0;
    read.kind = WEIR_MEMORY_PARAMS;
    for (int i = 0; i < program->ranks[read.rank].n_params; i++)
        for (int o = 0; o < program->n_ranks && !program->ranks[read.rank].params[i].owned; o++) {
            const struct weir_rank_param *source = held_find(program, o, program->ranks[read.rank].params[i].param);
            if (!source || !source->owned)
                continue;
            read.from_rank = o;
            read.offset = source->offset;
            read.bytes = weir_shape_bytes(&program->graph->params[source->param].shape);
            bytes += assert_travels(program, read);
        }
    return bytes;
}

/* Pieces [first, end): with `kept` what others keep, else what they have of the reader's own. */
static size_t pieces_read(const struct weir_program *program, struct read read, int first, int end, bool kept)
{
    const struct weir_rank_program *rank = &program->ranks[read.rank];
    size_t bytes = 0;
    read.from_rank = read.rank;
    for (int i = first; i < end; i++)
        for (int other = 0; other < program->n_replicas; other++) {
            const struct weir_piece *piece = &rank->pieces[i];
            const struct weir_rank_param *held = &rank->params[piece->held];
            if (other == read.replica || piece->replica != (kept ? other : read.replica))
                continue;
            read.from_replica = other;
            read.offset = (read.kind == WEIR_MEMORY_GRADS ? held->grad_offset : held->offset) +
                          (size_t)piece->first * sizeof(float);
            read.bytes = (size_t)piece->n * sizeof(float);
            bytes += assert_travels(program, read);
        }
    return bytes;
}

static size_t squares_read(const struct weir_program *program, struct read read)
{
    const struct weir_rank_program *rank = &program->ranks[read.from_rank];
    size_t bytes = 0;
    for (int i = 0; i < rank->n_pieces; i++) {
        const struct weir_piece *piece = &rank->pieces[i];
        int64_t block = rank->params[piece->held].norm_block + piece->first / WEIR_NORM_BLOCK;
        int64_t n = (piece->n + WEIR_NORM_BLOCK - 1) / WEIR_NORM_BLOCK;
        read.offset = program->norm_offset + (size_t)block * sizeof(double);
        read.bytes = (size_t)n * sizeof(double);
        if (!program->zero || piece->replica == read.from_replica)
            bytes += assert_travels(program, read);
    }
    return bytes;
}

/* Squares of the own replica, with ZeRO-1 of all; losses of all. */
static size_t norms_read(const struct weir_program *program, struct read read)
{
    size_t bytes = 0, losses = (size_t)program->n_microbatches * sizeof(double);
    read.kind = WEIR_MEMORY_STEP;
    for (int other = 0; other < program->n_replicas; other++)
        for (int rank = 0; rank < program->n_ranks; rank++) {
            if (other == read.replica && rank == read.rank)
                continue;
            read.from_replica = other;
            read.from_rank = rank;
            if (other == read.replica || program->zero)
                bytes += squares_read(program, read);
            read.offset = program->losses_offset + (size_t)other * losses;
            read.bytes = losses;
            if (rank == program->stages[program->n_stages - 1].rank)
                bytes += assert_travels(program, read);
        }
    return bytes;
}

static size_t instr_reads(const struct weir_program *program, int replica, int r, int i)
{
    const struct weir_rank_program *rank = &program->ranks[r];
    const struct weir_instr *instr = &rank->instrs[i];
    const struct weir_bucket *b = instr->bucket >= 0 ? &rank->buckets[instr->bucket] : NULL;
    struct read read = {.replica = replica, .rank = r, .instr = i, .from_replica = replica};
    switch (instr->kind) {
    case WEIR_INSTR_ACTION:
        return slots_read(program, read, instr);
    case WEIR_INSTR_TIE_ADD:
        return ties_read(program, read);
    case WEIR_INSTR_REDUCE:
    case WEIR_INSTR_GATHER:
        read.kind = WEIR_MEMORY_GRADS;
        return pieces_read(program, read, b->first_piece, b->first_piece + b->n_pieces, instr->kind == WEIR_INSTR_GATHER);
    case WEIR_INSTR_NORM:
        return 0;
    case WEIR_INSTR_UPDATE:
        return norms_read(program, read);
    case WEIR_INSTR_PARAM_GATHER:
        read.kind = WEIR_MEMORY_PARAMS;
        return pieces_read(program, read, 0, rank->n_pieces, true);
    case WEIR_INSTR_TIE_COPY:
        return copies_read(program, read);
    }
    return 0;
}

/* Bytes that all regions move between all replicas. */
static size_t bytes_moved(const struct weir_program *program)
{
    size_t bytes = 0;
    for (int d = 0; d < program->n_deps; d++)
        for (int k = 0; k < program->deps[d].n_regions; k++)
            for (int from = 0; from < program->n_replicas; from++)
                for (int to = 0; to < program->n_replicas; to++) {
                    const struct weir_dep *dep = &program->deps[d];
                    const struct weir_dep_region *region = &program->regions[dep->first_region + k];
                    bool sent = region->from_replica == WEIR_REPLICA_ANY || region->from_replica == from;
                    bool got = region->to_replica == WEIR_REPLICA_ANY || region->to_replica == to;
                    if ((dep->replicas == WEIR_DEP_OWN) == (from == to) && sent && got)
                        bytes += region->bytes;
                }
    return bytes;
}

static void what_is_read_of_another_rank_travels_and_nothing_else(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        struct program_fixture f;
        size_t bytes = 0;
        program_fixture_random(&f, seed);
        for (int replica = 0; replica < f.program->n_replicas; replica++)
            for (int r = 0; r < f.program->n_ranks; r++)
                for (int i = 0; i < f.program->ranks[r].n_instrs; i++)
                    bytes += instr_reads(f.program, replica, r, i);
        assert_int_equal(bytes, bytes_moved(f.program));
        weir_arena_release(&f.arena);
    }
}

static void regions_lie_in_their_blocks_and_are_posted_after_instructions_of_the_receiver(void **state)
{
    (void)state;
    int n_posted = 0;
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        struct program_fixture f;
        program_fixture_random(&f, seed);
        for (int d = 0; d < f.program->n_deps; d++)
            for (int k = 0; k < f.program->deps[d].n_regions; k++) {
                const struct weir_dep *dep = &f.program->deps[d];
                const struct weir_dep_region *region = &f.program->regions[dep->first_region + k];
                int owner = region->receivers ? dep->to_rank : dep->from_rank;
                assert_true(region->offset + region->bytes <= f.program->ranks[owner].bytes[region->kind]);
                assert_true(dep->post_after < dep->to_instr);
                n_posted += dep->post_after >= 0;
            }
        weir_arena_release(&f.arena);
    }
    assert_true(n_posted > PROGRAMS);
}

/* ---- views --------------------------------------------------------------------------------------------------------- */

static bool has_event(int n, const int *events, int event)
{
    for (int k = 0; k < n; k++)
        if (events[k] == event)
            return true;
    return false;
}

static void the_instruction_views_agree(const struct weir_program *program, const struct weir_instr *instr, int r, int i)
{
    int n_own = 0, n_others = 0;
    for (int d = instr->first_dep; d < instr->first_dep + instr->n_deps; d++) {
        const struct weir_dep *dep = &program->deps[d];
        int event = program->ranks[dep->from_rank].instrs[dep->from_instr].signal;
        assert_true(event >= 0 && dep->to_rank == r && dep->to_instr == i);
        if (dep->replicas == WEIR_DEP_OWN)
            assert_true(has_event(instr->n_waits, instr->waits, event) && dep->from_rank != r && ++n_own);
        else
            assert_true(has_event(instr->n_peer_waits, instr->peer_waits, event) && ++n_others);
    }
    assert_true(instr->n_waits <= n_own && instr->n_peer_waits <= n_others);
    assert_int_equal(instr->signal >= 0, instr->n_leaving > 0);
    for (int k = 0; k < instr->n_leaving; k++) {
        const struct weir_dep *dep = weir_dep_leaving(program, instr, k);
        assert_true(dep->from_rank == r && dep->from_instr == i);
    }
}

static void every_dependency_is_seen_from_both_its_ends(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < PROGRAMS; seed++) {
        struct program_fixture f;
        int n_awaited = 0, n_leaving = 0;
        program_fixture_random(&f, seed);
        for (int r = 0; r < f.program->n_ranks; r++)
            for (int i = 0; i < f.program->ranks[r].n_instrs; i++) {
                const struct weir_instr *instr = &f.program->ranks[r].instrs[i];
                the_instruction_views_agree(f.program, instr, r, i);
                n_awaited += instr->n_deps;
                n_leaving += instr->n_leaving;
            }
        assert_true(n_awaited == f.program->n_deps && n_leaving == f.program->n_deps);
        weir_arena_release(&f.arena);
    }
}

static void every_reason_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int why = 0; why < WEIR_DEP_WHYS; why++)
        for (int other = 0; other < why; other++)
            assert_string_not_equal(weir_dep_why_str((enum weir_dep_why)why), weir_dep_why_str((enum weir_dep_why)other));
    assert_string_equal(weir_dep_why_str(WEIR_DEP_INPUT_SLOT), "input slot");
    assert_string_equal(weir_dep_why_str(WEIR_DEP_TIED_PARAMETER), "tied parameter");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dependencies_order_what_memory_demands_and_nothing_else),
        cmocka_unit_test(calls_touch_slots_only_while_the_micro_batch_holds_them),
        cmocka_unit_test(what_is_read_of_another_rank_travels_and_nothing_else),
        cmocka_unit_test(regions_lie_in_their_blocks_and_are_posted_after_instructions_of_the_receiver),
        cmocka_unit_test(every_dependency_is_seen_from_both_its_ends),
        cmocka_unit_test(every_reason_has_a_name_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
