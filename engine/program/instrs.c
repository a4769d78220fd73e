/* Instructions: what each rank's compute stream runs, and which events order the ranks. */
#include <string.h>

#include "engine/program/compile.h"
#include "engine/program/places.h"

enum { NO_EVENT = -1, MOMENTS = 3 };

/* An action's event is made when somebody awaits it. */
struct rank_work {
    int *event_of;     /* [n_actions] */
    int *position_of;  /* [n_instrs]: action that the instruction ends, or -1 */
    int norm_event, update_event;
};

struct work {
    struct weir_compile *c;
    struct rank_work *ranks;
    int *orders;  /* [stage][moment][q]: micro-batch */
    int *indices; /* [stage][moment][mb]: q */
    weir_status status;
};

static int *order_of(const struct work *w, int stage, enum weir_moment moment)
{
    return w->orders + ((size_t)stage * MOMENTS + moment) * (size_t)w->c->program->n_microbatches;
}

static int index_of(const struct work *w, int stage, enum weir_moment moment, int mb)
{
    return w->indices[((size_t)stage * MOMENTS + moment) * (size_t)w->c->program->n_microbatches + (size_t)mb];
}

static void orders_fill(struct work *w)
{
    int m = w->c->program->n_microbatches;
    for (int s = 0; s < w->c->program->n_stages; s++)
        for (int moment = 0; moment < MOMENTS; moment++) {
            int *order = order_of(w, s, (enum weir_moment)moment);
            int n = weir_stage_order(w->c, s, (enum weir_moment)moment, order);
            for (int q = 0; q < n; q++)
                w->indices[((size_t)s * MOMENTS + (size_t)moment) * (size_t)m + (size_t)order[q]] = q;
        }
}

static int rank_of(const struct work *w, int stage)
{
    return w->c->program->stages[stage].rank;
}

/* The event at the end of the action of (stage, mb) at `moment`. */
static int event_after(struct work *w, int stage, int mb, enum weir_moment moment)
{
    const struct weir_span *span = &w->c->spans[(size_t)stage * (size_t)w->c->program->n_microbatches + (size_t)mb];
    int position = moment == WEIR_MOMENT_F ? span->f : moment == WEIR_MOMENT_I ? span->i : span->w;
    int *event = &w->ranks[rank_of(w, stage)].event_of[position];
    if (*event == NO_EVENT)
        *event = w->c->program->n_events++;
    return *event;
}

static struct weir_instr *instr_new(struct work *w, int r, int position)
{
    struct weir_rank_program *rank = &w->c->program->ranks[r];
    struct rank_work *rw = &w->ranks[r];
    struct weir_instr *instr = &rank->instrs[rank->n_instrs];
    *instr = (struct weir_instr){.signal = NO_EVENT, .stage = -1, .mb = -1};
    rw->position_of[rank->n_instrs++] = position;
    return instr;
}

static void waits_set(struct work *w, struct weir_instr *instr, int n, const int *events)
{
    int *copy;
    if (w->status || !n)
        return;
    w->status = weir_arena_alloc(w->c->arena, (size_t)n, sizeof *copy, &copy);
    if (w->status)
        return;
    memcpy(copy, events, sizeof *copy * (size_t)n);
    instr->waits = copy;
    instr->n_waits = n;
}

/* ---- actions ------------------------------------------------------------------------------------------------------- */

/* The neighbour whose result the action needs, and the neighbour whose slot it writes. */
static int input_event(struct work *w, int stage, int mb, bool forward)
{
    int from = forward ? stage - 1 : stage + 1;
    if (from < 0 || from >= w->c->program->n_stages || rank_of(w, from) == rank_of(w, stage))
        return NO_EVENT;
    return event_after(w, from, mb, forward ? WEIR_MOMENT_F : WEIR_MOMENT_I);
}

static int slot_event(struct work *w, int stage, int mb, bool forward)
{
    int to = forward ? stage + 1 : stage - 1;
    if (to < 0 || to >= w->c->program->n_stages || rank_of(w, to) == rank_of(w, stage))
        return NO_EVENT;
    const struct weir_stage_program *target = &w->c->program->stages[to];
    int q = index_of(w, stage, forward ? WEIR_MOMENT_F : WEIR_MOMENT_I, mb);
    int n = forward ? target->n_slots : target->n_grad_slots;
    if (q < n)
        return NO_EVENT;
    enum weir_moment end = !forward ? WEIR_MOMENT_I : w->c->forward_only ? WEIR_MOMENT_F : WEIR_MOMENT_W;
    return event_after(w, to, order_of(w, to, end)[q - n], end);
}

static const enum weir_list list_of_type[] = {
    [WEIR_F] = WEIR_LIST_F, [WEIR_I] = WEIR_LIST_I, [WEIR_W] = WEIR_LIST_W, [WEIR_B] = WEIR_LIST_B};

/* One instruction, or two when the slot that its last calls write may still be in use. */
static void action_add(struct work *w, int r, int position)
{
    const struct weir_action *action = &w->c->schedule->ranks[r].actions[position];
    enum weir_list list = list_of_type[action->type];
    const struct weir_call_list *calls = &w->c->program->stages[action->stage].lists[list];
    bool forward = action->type == WEIR_F, moves = action->type != WEIR_W;
    int input = moves ? input_event(w, action->stage, action->mb, forward) : NO_EVENT;
    int slot = moves && calls->slot_call < calls->n_calls ? slot_event(w, action->stage, action->mb, forward) : NO_EVENT;
    int split = slot == NO_EVENT ? 0 : calls->slot_call;
    int n_parts = split > 0 ? 2 : 1;
    for (int part = 0; part < n_parts; part++) {
        bool last = part == n_parts - 1;
        struct weir_instr *instr = instr_new(w, r, last ? position : -1);
        instr->kind = WEIR_INSTR_ACTION;
        instr->stage = action->stage;
        instr->mb = action->mb;
        instr->list = list;
        instr->first_call = part ? split : 0;
        instr->n_calls = (last ? calls->n_calls : split) - instr->first_call;
        int events[2], n = 0;
        if (part == 0 && input != NO_EVENT)
            events[n++] = input;
        if (last && slot != NO_EVENT)
            events[n++] = slot;
        waits_set(w, instr, n, events);
    }
}

/* ---- the end of the step ------------------------------------------------------------------------------------------- */

static int stage_of_use(const struct work *w, const struct weir_param_use *use)
{
    int stage = 0;
    const struct weir_stage_program *stages = w->c->program->stages;
    while (use->node >= stages[stage].first_node + stages[stage].n_nodes)
        stage++;
    return stage;
}

static bool owns(const struct work *w, int r, int param)
{
    const struct weir_rank_param *held = weir_compile_rank_param(w->c, r, param);
    return held && held->owned;
}

/* Gradients of tied uses on other ranks are complete after the last W or B of their stage. */
static int tie_waits_find(struct work *w, int r, int *events)
{
    const struct weir_program *program = w->c->program;
    int n = 0;
    for (int u = 0; u < program->n_uses; u++) {
        const struct weir_param_use *use = &program->uses[u];
        if (use->rank == r || !owns(w, r, use->param))
            continue;
        int stage = stage_of_use(w, use);
        int event = event_after(w, stage, order_of(w, stage, WEIR_MOMENT_W)[program->n_microbatches - 1], WEIR_MOMENT_W);
        bool known = false;
        for (int i = 0; i < n; i++)
            known = known || events[i] == event;
        if (!known)
            events[n++] = event;
    }
    return n;
}

static bool has_ties(const struct work *w, int r)
{
    const struct weir_rank_program *rank = &w->c->program->ranks[r];
    for (int i = 0; i < rank->n_params; i++)
        if (rank->params[i].owned && w->c->graph->params[rank->params[i].param].n_uses > 1)
            return true;
    return false;
}

static void gradients_end(struct work *w, int r, int *events)
{
    if (has_ties(w, r)) {
        int n = tie_waits_find(w, r, events);
        struct weir_instr *add = instr_new(w, r, -1);
        add->kind = WEIR_INSTR_TIE_ADD;
        waits_set(w, add, n, events);
    }
    struct weir_instr *norm = instr_new(w, r, -1);
    norm->kind = WEIR_INSTR_NORM;
    if (w->c->program->n_ranks > 1)
        norm->signal = w->ranks[r].norm_event = w->c->program->n_events++;
}

/* Ranks, other than r, that own a parameter of which r holds a copy. */
static int owners_find(const struct work *w, int r, int *owners)
{
    const struct weir_program *program = w->c->program;
    int n = 0;
    for (int o = 0; o < program->n_ranks; o++) {
        bool found = false;
        for (int i = 0; i < program->ranks[r].n_params; i++)
            found = found || (!program->ranks[r].params[i].owned && owns(w, o, program->ranks[r].params[i].param));
        if (found)
            owners[n++] = o;
    }
    return n;
}

static void update_add(struct work *w, int r, int *events)
{
    int n = 0;
    for (int o = 0; o < w->c->program->n_ranks; o++)
        if (o != r)
            events[n++] = w->ranks[o].norm_event;
    struct weir_instr *update = instr_new(w, r, -1);
    update->kind = WEIR_INSTR_UPDATE;
    waits_set(w, update, n, events);
    for (int o = 0; o < w->c->program->n_ranks; o++) {
        int n_owners = o == r ? 0 : owners_find(w, o, events);
        for (int i = 0; i < n_owners; i++)
            if (events[i] == r && update->signal == NO_EVENT)
                update->signal = w->ranks[r].update_event = w->c->program->n_events++;
    }
}

static void copy_add(struct work *w, int r, int *events)
{
    int n = owners_find(w, r, events);
    if (!n)
        return;
    for (int i = 0; i < n; i++)
        events[i] = w->ranks[events[i]].update_event;
    struct weir_instr *copy = instr_new(w, r, -1);
    copy->kind = WEIR_INSTR_TIE_COPY;
    waits_set(w, copy, n, events);
}

/* ---- all of it ----------------------------------------------------------------------------------------------------- */

static weir_status work_open(struct work *w)
{
    struct weir_compile *c = w->c;
    size_t p = (size_t)c->program->n_ranks, cells = (size_t)c->program->n_stages * MOMENTS *
                                                    (size_t)c->program->n_microbatches;
    weir_status status = weir_arena_alloc(c->arena, p, sizeof *w->ranks, &w->ranks);
    if (!status)
        status = weir_arena_alloc(c->arena, cells, sizeof *w->orders, &w->orders);
    if (!status)
        status = weir_arena_alloc(c->arena, cells, sizeof *w->indices, &w->indices);
    for (size_t r = 0; r < p && !status; r++) {
        size_t n = c->schedule->ranks[r].n_actions;
        struct rank_work *rw = &w->ranks[r];
        rw->norm_event = rw->update_event = NO_EVENT;
        status = weir_arena_alloc(c->arena, n, sizeof *rw->event_of, &rw->event_of);
        if (!status)
            status = weir_arena_alloc(c->arena, 2 * n + 4, sizeof *rw->position_of, &rw->position_of);
        if (!status)
            status = weir_arena_alloc(c->arena, 2 * n + 4, sizeof(struct weir_instr), &c->program->ranks[r].instrs);
        for (size_t a = 0; a < n && !status; a++)
            rw->event_of[a] = NO_EVENT;
    }
    return status;
}

static void signals_set(struct work *w)
{
    for (int r = 0; r < w->c->program->n_ranks; r++)
        for (int i = 0; i < w->c->program->ranks[r].n_instrs; i++)
            if (w->ranks[r].position_of[i] >= 0)
                w->c->program->ranks[r].instrs[i].signal = w->ranks[r].event_of[w->ranks[r].position_of[i]];
}

weir_status weir_compile_instrs(struct weir_compile *c)
{
    struct work w = {.c = c};
    int *events, p = c->program->n_ranks;
    weir_status status = work_open(&w);
    if (!status)
        status = weir_arena_alloc(c->arena, (size_t)p + (size_t)c->program->n_uses, sizeof *events, &events);
    if (status)
        return status;
    orders_fill(&w);
    for (int r = 0; r < p; r++)
        for (size_t a = 0; a < c->schedule->ranks[r].n_actions; a++)
            if (weir_action_is_compute((enum weir_action_type)c->schedule->ranks[r].actions[a].type))
                action_add(&w, r, (int)a);
    if (!c->forward_only) {
        for (int r = 0; r < p; r++)
            gradients_end(&w, r, events);
        for (int r = 0; r < p; r++)
            update_add(&w, r, events);
        for (int r = 0; r < p; r++)
            copy_add(&w, r, events);
    }
    signals_set(&w);
    return w.status;
}
