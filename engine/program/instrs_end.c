/* Instructions after the last micro-batch: tied gradients, reductions over replicas, norm, update.
 *
 *     rank r    TIE_ADD   REDUCE   GATHER   NORM ─────┐ UPDATE   PARAM_GATHER   TIE_COPY
 *     awaits    last W    bucket   REDUCE             │ NORM     UPDATE         UPDATE or PARAM_GATHER
 *     of        tied      peers    peers              └ all      peers          owners
 *               stages                                  ranks
 *
 * (peers: rank r of the other replicas.)  Every UPDATE awaits every NORM, so no rank begins to overwrite gradients, norm
 * parts or parameters of one step while another still reads those of the step before. */
#include "engine/program/instrs.h"

/* Lists of events while one instruction is made. */
struct event_list {
    int *events;
    int n;
};

static void event_add(struct event_list *list, int event)
{
    for (int i = 0; i < list->n; i++)
        if (list->events[i] == event)
            return;
    list->events[list->n++] = event;
}

static void waits_set(struct weir_instr_work *w, struct weir_instr *instr, const struct event_list *list)
{
    instr->waits = weir_work_events(w, list->n, list->events);
    instr->n_waits = list->n;
}

static void peer_wait_set(struct weir_instr_work *w, struct weir_instr *instr, int event)
{
    instr->peer_waits = weir_work_events(w, 1, &event);
    instr->n_peer_waits = 1;
}

/* ---- tied gradients ------------------------------------------------------------------------------------------------ */

static bool owns(const struct weir_instr_work *w, int r, int param)
{
    const struct weir_rank_param *held = weir_compile_rank_param(w->c, r, param);
    return held && held->owned;
}

/* Gradients of tied uses on other ranks are complete after the last W or B of their stage. */
static void tie_waits_find(struct weir_instr_work *w, int r, struct event_list *list)
{
    const struct weir_program *program = w->c->program;
    for (int u = 0; u < program->n_uses; u++) {
        const struct weir_param_use *use = &program->uses[u];
        if (use->rank == r || !owns(w, r, use->param))
            continue;
        int stage = weir_compile_stage_of(w->c, use->node), last = weir_work_order(w, stage, WEIR_MOMENT_W)[program->n_microbatches - 1];
        event_add(list, weir_work_event_after(w, stage, last, WEIR_MOMENT_W));
    }
}

static bool has_ties(const struct weir_instr_work *w, int r)
{
    const struct weir_rank_program *rank = &w->c->program->ranks[r];
    for (int i = 0; i < rank->n_params; i++)
        if (rank->params[i].owned && w->c->graph->params[rank->params[i].param].n_uses > 1)
            return true;
    return false;
}

static void tie_add(struct weir_instr_work *w, int r, int *events)
{
    struct event_list list = {events, 0};
    if (!has_ties(w, r))
        return;
    tie_waits_find(w, r, &list);
    struct weir_instr *add = weir_work_instr(w, r, -1, WEIR_INSTR_TIE_ADD);
    waits_set(w, add, &list);
    if (w->c->n_replicas > 1) {
        int bucket = w->ranks[r].n_complete++; /* the tied bucket is the last one */
        add->signal = w->ranks[r].bucket_event[bucket] = weir_work_event(w);
    }
}

/* ---- replicas ------------------------------------------------------------------------------------------------------ */

void weir_work_reduce(struct weir_instr_work *w, int r, int n_complete)
{
    struct weir_instr_rank *rw = &w->ranks[r];
    for (; rw->n_reduced < n_complete; rw->n_reduced++) {
        struct weir_instr *reduce = weir_work_instr(w, r, -1, WEIR_INSTR_REDUCE);
        reduce->bucket = rw->n_reduced;
        peer_wait_set(w, reduce, rw->bucket_event[rw->n_reduced]);
        if (!w->c->program->zero)
            reduce->signal = rw->reduce_event[rw->n_reduced] = weir_work_event(w);
    }
}

static void gather_all(struct weir_instr_work *w, int r)
{
    for (int b = 0; b < w->c->program->ranks[r].n_buckets && !w->c->program->zero; b++) {
        struct weir_instr *gather = weir_work_instr(w, r, -1, WEIR_INSTR_GATHER);
        gather->bucket = b;
        peer_wait_set(w, gather, w->ranks[r].reduce_event[b]);
    }
}

/* ---- norm and update ----------------------------------------------------------------------------------------------- */

static void gradients_end(struct weir_instr_work *w, int r, int *events)
{
    tie_add(w, r, events);
    weir_work_reduce(w, r, w->c->program->ranks[r].n_buckets);
    gather_all(w, r);
    struct weir_instr *norm = weir_work_instr(w, r, -1, WEIR_INSTR_NORM);
    if (w->c->program->n_ranks * w->c->n_replicas > 1)
        norm->signal = w->ranks[r].norm_event = weir_work_event(w);
}

/* Ranks, other than r, that own a parameter of which r holds a copy. */
static int owners_find(const struct weir_instr_work *w, int r, int *owners)
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

static bool is_copied(const struct weir_instr_work *w, int r, int *owners)
{
    for (int o = 0; o < w->c->program->n_ranks; o++) {
        int n = o == r ? 0 : owners_find(w, o, owners);
        for (int i = 0; i < n; i++)
            if (owners[i] == r)
                return true;
    }
    return false;
}

static void update_add(struct weir_instr_work *w, int r, int *events)
{
    bool copied = is_copied(w, r, events), zero = w->c->program->zero;
    struct event_list list = {events, 0};
    for (int o = 0; o < w->c->program->n_ranks; o++)
        if (o != r)
            event_add(&list, w->ranks[o].norm_event);
    struct weir_instr *update = weir_work_instr(w, r, -1, WEIR_INSTR_UPDATE);
    waits_set(w, update, &list);
    if (w->c->n_replicas > 1) {
        event_add(&list, w->ranks[r].norm_event);
        update->peer_waits = weir_work_events(w, list.n, list.events);
        update->n_peer_waits = list.n;
    }
    if (copied || zero)
        update->signal = w->ranks[r].update_event = weir_work_event(w);
    if (!zero)
        return;
    w->ranks[r].shard_event = update->signal;
    struct weir_instr *gather = weir_work_instr(w, r, -1, WEIR_INSTR_PARAM_GATHER);
    peer_wait_set(w, gather, update->signal);
    if (copied)
        gather->signal = w->ranks[r].update_event = weir_work_event(w);
}

static void copy_add(struct weir_instr_work *w, int r, int *events)
{
    struct event_list list = {events, owners_find(w, r, events)};
    if (!list.n)
        return;
    for (int i = 0; i < list.n; i++)
        events[i] = w->ranks[events[i]].update_event;
    waits_set(w, weir_work_instr(w, r, -1, WEIR_INSTR_TIE_COPY), &list);
}

weir_status weir_work_end(struct weir_instr_work *w)
{
    int *events, p = w->c->program->n_ranks;
    weir_status status =
        weir_arena_alloc(w->c->arena, (size_t)p + (size_t)w->c->program->n_uses + 1, sizeof *events, &events);
    if (status)
        return status;
    for (int r = 0; r < p; r++)
        gradients_end(w, r, events);
    for (int r = 0; r < p; r++)
        update_add(w, r, events);
    for (int r = 0; r < p; r++)
        copy_add(w, r, events);
    return WEIR_OK;
}
