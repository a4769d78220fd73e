/* Instructions: what each rank runs, in order.  Who awaits whom is found afterwards (deps.h).
 *
 * An action is one instruction, but for two cuts: before the call that writes a slot which may still be in use, so that all
 * calls before it need not wait; and, in a stage's last W or B, where a bucket of gradients is complete, so that others may
 * begin to add it up.  REDUCE of a bucket stands where the schedule has the stage's REDUCE_GRAD.  Where it has none, it stands
 * after the rank's next action: by then the other replicas have mostly completed theirs.  The bucket of tied parameters is
 * complete after TIE_ADD, whatever the schedule says.
 *
 *     rank r    1F3   1B2 (start)  1B2 (end)   1B3 (start)   1B3 (end)   reduce 0   reduce 1   norm   update
 *                                  └ slot                    └ bucket 0 is complete */
#include "engine/program/compile.h"

static const enum weir_list list_of_type[] = {
    [WEIR_F] = WEIR_LIST_F, [WEIR_I] = WEIR_LIST_I, [WEIR_W] = WEIR_LIST_W, [WEIR_B] = WEIR_LIST_B};

/* The list of one rank while it is made. */
struct lister {
    struct weir_compile *c;
    struct weir_rank_program *rank;
    int index;
    int n_complete;   /* buckets complete so far */
    bool *is_reduced; /* [n_buckets]: its REDUCE is in the list */
    bool *is_placed;  /* [n_stages]: the schedule says where the stage's gradients are reduced */
};

static struct weir_instr *instr_add(struct lister *l, enum weir_instr_kind kind)
{
    struct weir_instr *instr = &l->rank->instrs[l->rank->n_instrs++];
    *instr = (struct weir_instr){.kind = kind, .signal = -1, .stage = -1, .mb = -1, .bucket = -1};
    return instr;
}

static void reduce_add(struct lister *l, int bucket)
{
    instr_add(l, WEIR_INSTR_REDUCE)->bucket = bucket;
    l->is_reduced[bucket] = true;
}

/* REDUCE for the first `n` buckets, as far as it is not there and has no other place. */
static void reduces_add(struct lister *l, int n)
{
    for (int b = 0; b < n; b++) {
        int stage = l->rank->buckets[b].stage;
        if (!l->is_reduced[b] && (stage < 0 || !l->is_placed[stage]))
            reduce_add(l, b);
    }
}

/* REDUCE for all buckets of the stage. */
static weir_status stage_reduce(struct lister *l, int stage)
{
    for (int b = 0; b < l->rank->n_buckets; b++) {
        if (l->rank->buckets[b].stage != stage)
            continue;
        if (b >= l->n_complete)
            return WEIR_FAIL(WEIR_ERR_INVALID, "row %d: %dREDUCE_GRAD stands before the last W or B of its stage",
                             l->index + 1, stage);
        reduce_add(l, b);
    }
    return WEIR_OK;
}

/* ---- actions ------------------------------------------------------------------------------------------------------- */

/* The action writes a slot on another rank that had another content before. */
static bool slot_is_reused(const struct lister *l, const struct weir_action *action)
{
    const struct weir_program *program = l->c->program;
    const struct weir_stage_program *stage = &program->stages[action->stage];
    bool forward = action->type == WEIR_F, reused = false;
    int q = weir_moment_index(&l->c->moments, action->stage, action->mb, forward ? WEIR_MOMENT_F : WEIR_MOMENT_I);
    for (int i = 0; i < (forward ? stage->n_outs : stage->n_ins) && action->type != WEIR_W; i++) {
        const struct weir_boundary *b = &program->boundaries[forward ? stage->outs[i] : stage->ins[i]];
        bool crosses = program->stages[forward ? b->to : b->from].rank != l->index;
        reused = reused || (crosses && q >= (forward ? b->inputs.n : b->gradients.n));
    }
    return reused;
}

/* The number of buckets that the action completes: all of its stage when it is the stage's last W or B. */
static int buckets_of(const struct lister *l, const struct weir_action *action)
{
    int n = 0;
    bool ends = action->type == WEIR_W || action->type == WEIR_B;
    if (!ends || weir_moment_last(&l->c->moments, action->stage, WEIR_MOMENT_W) != action->mb)
        return 0;
    for (int b = 0; b < l->rank->n_buckets; b++)
        n += l->rank->buckets[b].stage == action->stage;
    return n;
}

/* The end of the instruction that begins with call `from`. */
static int cut_next(const struct lister *l, const struct weir_call_list *calls, int from, bool slot, int n_buckets)
{
    int next = calls->n_calls;
    if (slot && calls->slot_call > from && calls->slot_call < next)
        next = calls->slot_call;
    for (int b = l->n_complete; b < l->n_complete + n_buckets; b++)
        if (l->rank->buckets[b].end_call > from && l->rank->buckets[b].end_call < next)
            next = l->rank->buckets[b].end_call;
    return next;
}

static void action_add(struct lister *l, const struct weir_action *action)
{
    enum weir_list list = list_of_type[action->type];
    const struct weir_call_list *calls = &l->c->program->stages[action->stage].lists[list];
    bool slot = slot_is_reused(l, action);
    int n_buckets = buckets_of(l, action), before = l->n_complete, from = 0;
    do {
        struct weir_instr *instr = instr_add(l, WEIR_INSTR_ACTION);
        int to = cut_next(l, calls, from, slot, n_buckets);
        instr->stage = action->stage;
        instr->mb = action->mb;
        instr->list = list;
        instr->first_call = from;
        instr->n_calls = to - from;
        from = to;
    } while (from < calls->n_calls);
    if (l->c->program->n_copies == 1) /* else see program.h */
        reduces_add(l, before); /* those of earlier actions: the other replicas had the time of this one */
    l->n_complete += n_buckets;
}

/* ---- after the last micro-batch ------------------------------------------------------------------------------------ */

static bool has_ties(const struct lister *l)
{
    for (int i = 0; i < l->rank->n_params; i++)
        if (l->rank->params[i].owned && l->c->graph->params[l->rank->params[i].param].n_uses > 1)
            return true;
    return false;
}

static bool has_copies(const struct lister *l)
{
    for (int i = 0; i < l->rank->n_params; i++)
        if (!l->rank->params[i].owned)
            return true;
    return false;
}

static void end_add(struct lister *l)
{
    bool zero = l->c->program->zero;
    if (has_ties(l))
        instr_add(l, WEIR_INSTR_TIE_ADD); /* completes the last bucket */
    reduces_add(l, l->rank->n_buckets);
    for (int b = 0; b < l->rank->n_buckets && !zero; b++)
        instr_add(l, WEIR_INSTR_GATHER)->bucket = b;
    instr_add(l, WEIR_INSTR_NORM);
    instr_add(l, WEIR_INSTR_UPDATE);
    if (zero)
        instr_add(l, WEIR_INSTR_PARAM_GATHER);
    if (has_copies(l))
        instr_add(l, WEIR_INSTR_TIE_COPY);
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

static weir_status lister_open(struct lister *l)
{
    struct weir_arena *arena = l->c->arena;
    const struct weir_schedule_rank *list = &l->c->schedule->ranks[l->index];
    size_t buckets = (size_t)l->rank->n_buckets, most = 2 * list->n_actions + 3 * buckets + 5;
    weir_status status = weir_arena_alloc(arena, most, sizeof *l->rank->instrs, &l->rank->instrs);
    if (!status)
        status = weir_arena_alloc(arena, buckets, sizeof *l->is_reduced, &l->is_reduced);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)l->c->program->n_stages, sizeof *l->is_placed, &l->is_placed);
    for (size_t a = 0; a < list->n_actions && !status; a++)
        if (list->actions[a].type == WEIR_REDUCE_GRAD)
            l->is_placed[list->actions[a].stage] = true;
    return status;
}

static weir_status rank_list(struct weir_compile *c, int r)
{
    struct lister l = {.c = c, .rank = &c->program->ranks[r], .index = r};
    const struct weir_schedule_rank *list = &c->schedule->ranks[r];
    weir_status status = lister_open(&l);
    for (size_t a = 0; a < list->n_actions && !status; a++) {
        const struct weir_action *action = &list->actions[a];
        if (weir_action_is_compute((enum weir_action_type)action->type))
            action_add(&l, action);
        else if (action->type == WEIR_REDUCE_GRAD)
            status = stage_reduce(&l, action->stage);
    }
    if (!status && !c->forward_only)
        end_add(&l);
    return status;
}

weir_status weir_compile_instrs(struct weir_compile *c)
{
    weir_status status = WEIR_OK;
    for (int r = 0; r < c->program->n_ranks && !status; r++)
        status = rank_list(c, r);
    return status;
}
