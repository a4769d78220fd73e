/* Instructions: what each rank's compute stream runs, and which events order the ranks. */
#include "engine/program/instrs.h"

static int rank_of(const struct weir_instr_work *w, int stage)
{
    return w->c->program->stages[stage].rank;
}

/* ---- actions ------------------------------------------------------------------------------------------------------- */

/* The neighbour whose result the action needs, and the neighbour whose slot it writes. */
static int input_event(struct weir_instr_work *w, int stage, int mb, bool forward)
{
    int from = forward ? stage - 1 : stage + 1;
    if (from < 0 || from >= w->c->program->n_stages || rank_of(w, from) == rank_of(w, stage))
        return WEIR_NO_EVENT;
    return weir_work_event_after(w, from, mb, forward ? WEIR_MOMENT_F : WEIR_MOMENT_I);
}

static int slot_event(struct weir_instr_work *w, int stage, int mb, bool forward)
{
    int to = forward ? stage + 1 : stage - 1;
    if (to < 0 || to >= w->c->program->n_stages || rank_of(w, to) == rank_of(w, stage))
        return WEIR_NO_EVENT;
    const struct weir_stage_program *target = &w->c->program->stages[to];
    int q = weir_moment_index(&w->c->moments, stage, mb, forward ? WEIR_MOMENT_F : WEIR_MOMENT_I);
    int n = forward ? target->n_slots : target->n_grad_slots;
    if (q < n)
        return WEIR_NO_EVENT;
    enum weir_moment end = !forward ? WEIR_MOMENT_I : w->c->forward_only ? WEIR_MOMENT_F : WEIR_MOMENT_W;
    return weir_work_event_after(w, to, weir_work_order(w, to, end)[q - n], end);
}

static const enum weir_list list_of_type[] = {
    [WEIR_F] = WEIR_LIST_F, [WEIR_I] = WEIR_LIST_I, [WEIR_W] = WEIR_LIST_W, [WEIR_B] = WEIR_LIST_B};

/* ---- parts of an action -------------------------------------------------------------------------------------------- */

/* An action is cut before the call that writes a slot which may still be in use, and at the ends of buckets. */
struct cutter {
    const struct weir_action *action;
    const struct weir_call_list *calls;
    enum weir_list list;
    int position;
    int input, slot;   /* events, or none */
    int first, buckets; /* buckets that this action completes: [first, first + buckets) of its rank */
};

static int cut_next(const struct weir_instr_work *w, int r, const struct cutter *cut, int from)
{
    int next = cut->calls->n_calls;
    if (cut->slot != WEIR_NO_EVENT && cut->calls->slot_call > from && cut->calls->slot_call < next)
        next = cut->calls->slot_call;
    for (int b = cut->first; b < cut->first + cut->buckets; b++) {
        int end = w->c->program->ranks[r].buckets[b].end_call;
        if (end > from && end < next)
            next = end;
    }
    return next;
}

static int bucket_ending(const struct weir_instr_work *w, int r, const struct cutter *cut, int end)
{
    for (int b = cut->first; b < cut->first + cut->buckets; b++)
        if (w->c->program->ranks[r].buckets[b].end_call == end)
            return w->ranks[r].bucket_event[b];
    return WEIR_NO_EVENT;
}

static void part_add(struct weir_instr_work *w, int r, const struct cutter *cut, int from, int to)
{
    bool last = to == cut->calls->n_calls;
    struct weir_instr *instr = weir_work_instr(w, r, last ? cut->position : -1, WEIR_INSTR_ACTION);
    int events[2], n = 0;
    instr->stage = cut->action->stage;
    instr->mb = cut->action->mb;
    instr->list = cut->list;
    instr->first_call = from;
    instr->n_calls = to - from;
    if (from == 0 && cut->input != WEIR_NO_EVENT)
        events[n++] = cut->input;
    if (cut->slot != WEIR_NO_EVENT && from == cut->calls->slot_call)
        events[n++] = cut->slot;
    instr->waits = weir_work_events(w, n, events);
    instr->n_waits = n;
    if (!last)
        instr->signal = bucket_ending(w, r, cut, to);
}

/* The buckets that the action completes: all of its stage when it is the stage's last W or B. */
static void buckets_find(struct weir_instr_work *w, int r, struct cutter *cut)
{
    const struct weir_rank_program *rank = &w->c->program->ranks[r];
    int stage = cut->action->stage, m = w->c->program->n_microbatches;
    bool ends = cut->action->type == WEIR_W || cut->action->type == WEIR_B;
    if (!ends || weir_work_order(w, stage, WEIR_MOMENT_W)[m - 1] != cut->action->mb)
        return;
    for (int b = rank->n_buckets - 1; b >= 0; b--)
        if (rank->buckets[b].stage == stage) {
            cut->first = b;
            cut->buckets++;
        }
    for (int b = cut->first; b < cut->first + cut->buckets; b++)
        w->ranks[r].bucket_event[b] = b + 1 < cut->first + cut->buckets
                                          ? weir_work_event(w)
                                          : weir_work_event_after(w, stage, cut->action->mb, WEIR_MOMENT_W);
}

static void action_add(struct weir_instr_work *w, int r, int position)
{
    const struct weir_action *action = &w->c->schedule->ranks[r].actions[position];
    bool forward = action->type == WEIR_F, moves = action->type != WEIR_W;
    struct cutter cut = {.action = action, .position = position, .list = list_of_type[action->type],
                         .input = WEIR_NO_EVENT, .slot = WEIR_NO_EVENT};
    cut.calls = &w->c->program->stages[action->stage].lists[cut.list];
    if (moves)
        cut.input = input_event(w, action->stage, action->mb, forward);
    if (moves && cut.calls->slot_call < cut.calls->n_calls)
        cut.slot = slot_event(w, action->stage, action->mb, forward);
    int n_complete = w->ranks[r].n_complete;
    buckets_find(w, r, &cut);
    int from = 0;
    do {
        int to = cut_next(w, r, &cut, from);
        part_add(w, r, &cut, from, to);
        from = to;
    } while (from < cut.calls->n_calls);
    weir_work_reduce(w, r, n_complete); /* those of earlier actions: the other replicas had the time of this one */
    w->ranks[r].n_complete += cut.buckets;
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

static weir_status rank_work_open(struct weir_instr_work *w, int r)
{
    struct weir_arena *arena = w->c->arena;
    struct weir_instr_rank *rw = &w->ranks[r];
    struct weir_rank_program *rank = &w->c->program->ranks[r];
    size_t n = w->c->schedule->ranks[r].n_actions, buckets = (size_t)rank->n_buckets, room = 2 * n + 3 * buckets + 8;
    rw->norm_event = rw->update_event = rw->shard_event = WEIR_NO_EVENT;
    weir_status status = weir_arena_alloc(arena, n, sizeof *rw->event_of, &rw->event_of);
    if (!status)
        status = weir_arena_alloc(arena, room, sizeof *rw->position_of, &rw->position_of);
    if (!status)
        status = weir_arena_alloc(arena, room, sizeof *rank->instrs, &rank->instrs);
    if (!status)
        status = weir_arena_alloc(arena, buckets, sizeof *rw->bucket_event, &rw->bucket_event);
    if (!status)
        status = weir_arena_alloc(arena, buckets, sizeof *rw->reduce_event, &rw->reduce_event);
    for (size_t a = 0; a < n && !status; a++)
        rw->event_of[a] = WEIR_NO_EVENT;
    return status;
}

static weir_status work_open(struct weir_instr_work *w)
{
    struct weir_compile *c = w->c;
    size_t p = (size_t)c->program->n_ranks;
    weir_status status = weir_arena_alloc(c->arena, p, sizeof *w->ranks, &w->ranks);
    for (int r = 0; r < (int)p && !status; r++)
        status = rank_work_open(w, r);
    return status;
}

static void signals_set(struct weir_instr_work *w)
{
    for (int r = 0; r < w->c->program->n_ranks; r++)
        for (int i = 0; i < w->c->program->ranks[r].n_instrs; i++)
            if (w->ranks[r].position_of[i] >= 0)
                w->c->program->ranks[r].instrs[i].signal = w->ranks[r].event_of[w->ranks[r].position_of[i]];
}

weir_status weir_compile_instrs(struct weir_compile *c)
{
    struct weir_instr_work w = {.c = c};
    weir_status status = work_open(&w);
    if (status)
        return status;
    for (int r = 0; r < c->program->n_ranks; r++)
        for (size_t a = 0; a < c->schedule->ranks[r].n_actions; a++)
            if (weir_action_is_compute((enum weir_action_type)c->schedule->ranks[r].actions[a].type))
                action_add(&w, r, (int)a);
    if (!c->forward_only)
        status = weir_work_end(&w);
    signals_set(&w);
    weir_work_pushes(&w);
    return status ? status : w.status;
}
