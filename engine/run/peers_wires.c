/* Wires: which messages a program needs between ranks that do not see each other's memory.
 *
 * The compiler lists what travels with events (struct weir_region_move) for one pipeline, and which instruction awaits which
 * event; here both become messages between processes, for all replicas, one for each event and waiter.
 *
 * A transport in stream order has wires between all processes, in the order of turns, and only where something travels: its
 * claim() takes the place of events that free a slot, and its collectives that of messages between replicas and of the
 * parts of the gradient norm. */
#include <stdlib.h>

#include "base/alloc.h"
#include "engine/run/state.h"

/* One region of an event's message to one rank, or none. */
struct item {
    int event, from, to;
    int post_after;
    struct turn {
        int at, after; /* the signaller's place in the order of all; this rank's last instruction before; 0: does not matter */
    } turn;
    struct weir_wire_region region;
};

struct items {
    struct item *items;
    size_t n, room;
    weir_status status;
    const struct turn *turns; /* [n_events]; NULL: not in stream order */
};

/* Only what leaves this host or comes from another one makes a message; in stream order all that leaves this process. */
static void item_add(const struct weir_engine *engine, struct items *items, const struct item *item)
{
    const struct weir_transport_info *info = engine->info;
    bool ours = item->from == info->rank || item->to == info->rank;
    if (items->status || !ours || (!items->turns && info->host_of[item->from] == info->host_of[item->to]))
        return;
    items->status = weir_grow(&items->items, &items->room, items->n + 1, sizeof *items->items);
    if (items->status)
        return;
    items->items[items->n] = *item;
    items->items[items->n++].turn = items->turns ? items->turns[item->event] : (struct turn){0, 0};
}

/* In stream order collectives do the rest. */
static bool is_message(const struct weir_region_move *move)
{
    return move->to_replica == WEIR_REPLICA_OWN && move->kind != WEIR_MEMORY_STEP;
}

static void move_expand(const struct weir_engine *engine, struct items *items, const struct weir_region_move *move)
{
    if (items->turns && !is_message(move))
        return;
    for (int d = 0; d < engine->n_replicas; d++)
        for (int e = 0; e < engine->n_replicas; e++) {
            bool from = move->from_replica == WEIR_REPLICA_ANY || move->from_replica == d;
            bool to = move->to_replica == WEIR_REPLICA_OWN      ? e == d
                      : move->to_replica == WEIR_REPLICA_OTHERS ? e != d
                                                                : e == move->to_replica && e != d;
            if (!from || !to)
                continue;
            struct item item = {.event = move->event, .from = weir_peers_process(engine, d, move->from_rank),
                                .to = weir_peers_process(engine, e, move->to_rank), .post_after = move->post_after};
            item.region = (struct weir_wire_region){move->receivers ? item.to : item.from, (int)move->kind, move->offset,
                                                    move->bytes};
            item_add(engine, items, &item);
        }
}

/* A wait without a move still needs a message. */
static void waits_expand(const struct weir_engine *engine, const int *signallers, struct items *items, int r,
                         const struct weir_instr *instr)
{
    for (int d = 0; d < engine->n_replicas; d++) {
        struct item item = {.to = weir_peers_process(engine, d, r), .post_after = -1};
        for (int w = 0; w < instr->n_waits; w++) {
            item.event = instr->waits[w];
            item.from = weir_peers_process(engine, d, signallers[item.event]);
            item_add(engine, items, &item);
        }
        for (int w = 0; w < instr->n_peer_waits; w++)
            for (int e = 0; e < engine->n_replicas; e++) {
                item.event = instr->peer_waits[w];
                item.from = weir_peers_process(engine, e, signallers[item.event]);
                if (e != d)
                    item_add(engine, items, &item);
            }
    }
}

static int item_compare(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->turn.at != y->turn.at)
        return x->turn.at < y->turn.at ? -1 : 1;
    if (x->event != y->event)
        return x->event < y->event ? -1 : 1;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    if (x->region.part != y->region.part)
        return x->region.part < y->region.part ? -1 : 1;
    return (x->region.offset > y->region.offset) - (x->region.offset < y->region.offset);
}

static bool same_wire(const struct item *a, const struct item *b)
{
    return a->event == b->event && a->from == b->from && a->to == b->to;
}

/* Items in order become wires; neighbouring regions become one. */
static void wires_fill(const struct items *items, struct weir_wire *wires, struct weir_wire_region *regions, int *n_out)
{
    struct weir_wire *wire = NULL;
    for (size_t i = 0; i < items->n; i++) {
        const struct item *item = &items->items[i];
        if (!wire || !same_wire(item, item - 1)) {
            wire = &wires[(*n_out)++];
            *wire = (struct weir_wire){item->event, item->from, item->to, item->post_after, item->turn.after, 0, regions};
        }
        wire->post_after = item->post_after > wire->post_after ? item->post_after : wire->post_after;
        if (!item->region.bytes)
            continue;
        struct weir_wire_region *last = wire->n_regions ? regions - 1 : NULL;
        if (last && last->part == item->region.part && last->offset + last->bytes == item->region.offset) {
            last->bytes += item->region.bytes;
        } else {
            *regions++ = item->region;
            wire->n_regions++;
        }
    }
}

/* ---- in stream order -------------------------------------------------------------------------------------------------- */

static weir_status turns_make(const weir_engine *engine, const struct weir_program *program, struct weir_arena *arena,
                              const struct turn **turns_out)
{
    int own = engine->ranks[engine->first_here].index, n_own = 0;
    struct turn *turns;
    weir_status status = weir_arena_alloc(arena, (size_t)program->n_events + 1, sizeof *turns, &turns);
    if (status)
        return status;
    for (int i = 0; i < program->n_order; i++) {
        const struct weir_order_entry *entry = &program->order[i];
        const struct weir_instr *instr = &program->ranks[entry->rank].instrs[entry->instr];
        if (instr->signal >= 0)
            turns[instr->signal] = (struct turn){i, n_own - 1};
        n_own += entry->rank == own;
    }
    *turns_out = turns;
    return WEIR_OK;
}

/* Between which ranks of a pipeline is there a wire? */
static weir_status edges_make(const weir_engine *engine, const struct weir_program *program, struct weir_arena *arena,
                              struct weir_link_spec *spec)
{
    int p = program->n_ranks;
    bool *there;
    struct weir_edge *edges;
    weir_status status = weir_arena_alloc(arena, (size_t)p * (size_t)p, sizeof *there, &there);
    for (int i = 0; i < program->n_regions && !status; i++)
        if (is_message(&program->moves[i]) && !there[program->moves[i].from_rank * p + program->moves[i].to_rank]) {
            there[program->moves[i].from_rank * p + program->moves[i].to_rank] = true;
            spec->n_edges += engine->n_replicas;
        }
    if (!status)
        status = weir_arena_alloc(arena, (size_t)spec->n_edges, sizeof *edges, &edges);
    if (status)
        return status;
    spec->edges = edges;
    for (int i = 0; i < p * p; i++)
        for (int d = 0; d < engine->n_replicas && there[i]; d++)
            *edges++ = (struct weir_edge){weir_peers_process(engine, d, i / p), weir_peers_process(engine, d, i % p)};
    return WEIR_OK;
}

static weir_status groups_make(const weir_engine *engine, const struct weir_program *program, struct weir_arena *arena,
                               struct weir_link_spec *spec)
{
    int *groups;
    weir_status status = weir_arena_alloc(arena, (size_t)engine->n_ranks, sizeof *groups, &groups);
    for (int i = 0; i < engine->n_ranks && !status; i++)
        groups[i] = weir_peers_process(engine, i % engine->n_replicas, i / engine->n_replicas);
    if (status)
        return status;
    spec->n_groups = program->n_ranks;
    spec->group_size = engine->n_replicas;
    spec->groups = groups;
    return WEIR_OK;
}

static weir_status streams_describe(const weir_engine *engine, const struct weir_program *program, struct weir_arena *arena,
                                    struct weir_link_spec *spec)
{
    const struct weir_rank *rank = &engine->ranks[engine->first_here];
    spec->kind = engine->kind;
    spec->device = rank->device;
    spec->stream = rank->stream;
    weir_status status = edges_make(engine, program, arena, spec);
    return status ? status : groups_make(engine, program, arena, spec);
}

/* ---- all of them ------------------------------------------------------------------------------------------------------ */

weir_status weir_peers_wires(const weir_engine *engine, const struct weir_run_program *run, struct weir_arena *arena,
                             struct weir_link_spec *spec)
{
    const struct weir_program *program = run->program;
    struct items items = {0};
    struct weir_wire *wires = NULL;
    struct weir_wire_region *regions = NULL;
    if (engine->wire->streams)
        items.status = turns_make(engine, program, arena, &items.turns);
    if (engine->wire->streams && !items.status)
        items.status = streams_describe(engine, program, arena, spec);
    for (int p = 0; p < program->n_regions; p++)
        move_expand(engine, &items, &program->moves[p]);
    for (int r = 0; r < program->n_ranks && !engine->wire->streams; r++)
        for (int i = 0; i < program->ranks[r].n_instrs; i++)
            waits_expand(engine, run->signallers, &items, r, &program->ranks[r].instrs[i]);
    if (!items.status)
        items.status = weir_arena_alloc(arena, items.n, sizeof *wires, &wires);
    if (!items.status)
        items.status = weir_arena_alloc(arena, items.n, sizeof *regions, &regions);
    if (!items.status && items.n) {
        qsort(items.items, items.n, sizeof *items.items, item_compare);
        wires_fill(&items, wires, regions, &spec->n_wires);
        spec->wires = wires;
    }
    weir_free(items.items);
    return items.status;
}
