/* The compiler lists dependencies and what travels with them (engine/program/deps.h) for one pipeline; here they become
 * messages between processes, for all replicas, one for each event and waiter.
 *
 * A device-side transport has messages between all processes, in the order of turns, and only where something travels: its
 * claim() takes the place of events that free a slot, and its collectives that of messages between replicas and of the
 * parts of the gradient norm.  Collectives of whoever holds a stage have no turn: replicas come to them in one turn, two copies
 * of the weights do not.  So there no message may follow them before all have come to their norm, and ZeRO-1, after which tied
 * weights are sent on, is refused (world.c). */
#include "engine/run/messages.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "engine/program/deps.h"
#include "engine/run/link.h"

/* One region of an event's message to one rank, or none. */
struct item {
    int event, from, to;
    int post_after;
    struct turn {
        int at, after; /* the signaller's place in the order of all; this rank's last instruction before; 0: does not matter */
    } turn;
    struct weir_message_region region;
};

struct items {
    struct item *items;
    size_t n, room;
    weir_status status;
    const struct turn *turns; /* [n_events]; NULL: host-side */
};

/* Only what leaves this host or comes from another one makes a message; device-side: all that leaves this process. */
static void item_add(const struct weir_world *world, struct items *items, const struct item *item)
{
    const struct weir_transport_info *info = world->info;
    bool ours = item->from == info->rank || item->to == info->rank;
    if (items->status || !ours || (!items->turns && info->host_of[item->from] == info->host_of[item->to]))
        return;
    items->status = weir_grow(&items->items, &items->room, items->n + 1, sizeof *items->items);
    if (items->status)
        return;
    items->items[items->n] = *item;
    items->items[items->n++].turn = items->turns ? items->turns[item->event] : (struct turn){0, 0};
}

/* Device-side, collectives do what concerns other replicas and the parts of the gradient norm. */
static bool is_message(const struct weir_dep *dep, const struct weir_dep_region *region)
{
    return dep->replicas == WEIR_DEP_OWN && region->kind != WEIR_MEMORY_STEP;
}

/* When in the worker's list the rank of `replica` comes to its instruction; -1: it does not. */
static int position_of(const struct weir_program *program, int replica, int rank, int instr)
{
    return instr < 0 ? -1 : program->positions[replica % program->n_copies * program->n_ranks + rank][instr];
}

/* What travels from replica `d` to replica `e`; copies of the weights are replicas. */
static void regions_expand(const struct weir_run *run, struct items *items, const struct weir_dep *dep, int d, int e,
                           struct item item)
{
    const struct weir_dep_region *regions = &run->program->regions[dep->first_region];
    item.post_after = position_of(run->program, e, dep->to_rank, dep->post_after);
    for (int i = 0; i < dep->n_regions; i++) {
        const struct weir_dep_region *region = &regions[i];
        bool from = region->from_replica == WEIR_REPLICA_ANY || region->from_replica == d;
        bool to = region->to_replica == WEIR_REPLICA_ANY || region->to_replica == e;
        if (!from || !to || (items->turns && !is_message(dep, region)))
            continue;
        item.region = (struct weir_message_region){region->receivers ? item.to : item.from,
                                                   weir_link_block(run->runner, region->receivers ? e : d, (int)region->kind),
                                                   region->offset, region->bytes};
        item_add(&run->runner->world, items, &item);
    }
}

/* A dependency without a region is a message too; device-side, claim() takes its place. */
static void dep_expand(const struct weir_run *run, struct items *items, const struct weir_dep *dep)
{
    const struct weir_world *world = &run->runner->world;
    int event = run->program->ranks[dep->from_rank].instrs[dep->from_instr].signal;
    for (int d = 0; d < run->program->n_replicas; d++)
        for (int e = 0; e < run->program->n_replicas; e++) {
            if ((d == e) != (dep->replicas == WEIR_DEP_OWN))
                continue;
            struct item item = {.event = weir_link_event(run, d, event), .from = weir_world_process(world, d, dep->from_rank),
                                .to = weir_world_process(world, e, dep->to_rank), .post_after = -1};
            if (!items->turns)
                item_add(world, items, &item);
            regions_expand(run, items, dep, d, e, item);
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
    if (x->region.block != y->region.block)
        return x->region.block < y->region.block ? -1 : 1;
    return (x->region.offset > y->region.offset) - (x->region.offset < y->region.offset);
}

static bool same_message(const struct item *a, const struct item *b)
{
    return a->event == b->event && a->from == b->from && a->to == b->to;
}

/* Items in order become messages; neighbouring regions become one. */
static void messages_fill(const struct items *items, struct weir_message *messages, struct weir_message_region *regions, int *n_out)
{
    struct weir_message *message = NULL;
    for (size_t i = 0; i < items->n; i++) {
        const struct item *item = &items->items[i];
        if (!message || !same_message(item, item - 1)) {
            message = &messages[(*n_out)++];
            *message = (struct weir_message){item->event, item->from, item->to, item->post_after, item->turn.after, 0, regions};
        }
        message->post_after = item->post_after > message->post_after ? item->post_after : message->post_after;
        if (!item->region.bytes)
            continue;
        struct weir_message_region *last = message->n_regions ? regions - 1 : NULL;
        if (last && last->block == item->region.block && last->offset + last->bytes >= item->region.offset) {
            size_t end = item->region.offset + item->region.bytes; /* both ranks of a worker may want the same */
            last->bytes = end > last->offset + last->bytes ? end - last->offset : last->bytes;
        } else {
            *regions++ = item->region;
            message->n_regions++;
        }
    }
}

/* ---- device-side -------------------------------------------------------------------------------------------------------- */

static weir_status turns_make(const struct weir_world *world, const struct weir_program *program, struct weir_arena *arena,
                              const struct turn **turns_out)
{
    int own = world->first_here % program->n_ranks, n_own = 0;
    struct turn *turns;
    weir_status status = weir_arena_alloc(arena, (size_t)(program->n_copies * program->n_events) + 1, sizeof *turns, &turns);
    if (status)
        return status;
    for (int i = 0; i < program->n_order; i++) {
        const struct weir_order_entry *entry = &program->order[i];
        const struct weir_instr *instr = &program->ranks[entry->rank].instrs[entry->instr];
        if (instr->signal >= 0)
            turns[entry->copy * program->n_events + instr->signal] = (struct turn){i, n_own - 1};
        n_own += weir_program_worker(program, entry->copy, entry->rank) == own;
    }
    *turns_out = turns;
    return WEIR_OK;
}

static void edge_mark(const struct weir_program *program, const struct weir_dep *dep, bool *there)
{
    bool travels = false;
    for (int i = 0; i < dep->n_regions; i++)
        travels |= is_message(dep, &program->regions[dep->first_region + i]);
    for (int copy = 0; copy < program->n_copies && travels; copy++)
        there[weir_program_worker(program, copy, dep->from_rank) * program->n_ranks +
              weir_program_worker(program, copy, dep->to_rank)] = true;
}

/* Between which workers of a pipeline is there a message? */
static weir_status edges_make(const struct weir_world *world, const struct weir_program *program, struct weir_arena *arena,
                              struct weir_link_spec *spec)
{
    int p = program->n_ranks;
    bool *there;
    struct weir_transport_edge *edges;
    weir_status status = weir_arena_alloc(arena, (size_t)p * (size_t)p, sizeof *there, &there);
    for (int i = 0; i < program->n_deps && !status; i++)
        edge_mark(program, &program->deps[i], there);
    for (int i = 0; i < p * p && !status; i++)
        spec->n_edges += there[i] ? world->grid.n_replicas : 0;
    if (!status)
        status = weir_arena_alloc(arena, (size_t)spec->n_edges, sizeof *edges, &edges);
    if (status)
        return status;
    spec->edges = edges;
    for (int i = 0; i < p * p; i++)
        for (int d = 0; d < world->grid.n_replicas && there[i]; d++)
            *edges++ = (struct weir_transport_edge){weir_world_worker_process(world, d * p + i / p),
                                                    weir_world_worker_process(world, d * p + i % p)};
    return WEIR_OK;
}

/* Whoever holds a stage.  Two copies of the weights: the workers that hold rank r hold rank p - 1 - r too, and make one group, in
 * the order of the replicas of the lower rank. */
static weir_status groups_make(const struct weir_world *world, const struct weir_program *program, struct weir_arena *arena,
                               struct weir_link_spec *spec)
{
    int *groups;
    weir_status status = weir_arena_alloc(arena, (size_t)world->info->n_ranks, sizeof *groups, &groups);
    for (int i = 0; i < world->info->n_ranks && !status; i++)
        groups[i] = weir_world_process(world, i % program->n_replicas, i / program->n_replicas);
    if (status)
        return status;
    spec->n_groups = program->n_ranks / program->n_copies;
    spec->group_size = program->n_replicas;
    spec->groups = groups;
    return WEIR_OK;
}

static weir_status device_side_describe(const struct weir_run *run, struct weir_arena *arena, struct weir_link_spec *spec)
{
    const struct weir_machine *machine = &run->runner->machine;
    const struct weir_rank *rank = &machine->ranks[machine->first_here];
    spec->kind = machine->kind;
    spec->device = rank->device;
    spec->stream = rank->stream;
    weir_status status = edges_make(&run->runner->world, run->program, arena, spec);
    return status ? status : groups_make(&run->runner->world, run->program, arena, spec);
}

/* ---- all of them ------------------------------------------------------------------------------------------------------ */

weir_status weir_messages_make(const struct weir_run *run, struct weir_arena *arena, struct weir_link_spec *spec)
{
    const struct weir_program *program = run->program;
    const struct weir_world *world = &run->runner->world;
    bool device_side = weir_world_is_device_side(world);
    struct items items = {0};
    struct weir_message *messages = NULL;
    struct weir_message_region *regions = NULL;
    if (device_side)
        items.status = turns_make(world, program, arena, &items.turns);
    if (device_side && !items.status)
        items.status = device_side_describe(run, arena, spec);
    for (int i = 0; i < program->n_deps; i++)
        dep_expand(run, &items, &program->deps[i]);
    if (!items.status)
        items.status = weir_arena_alloc(arena, items.n, sizeof *messages, &messages);
    if (!items.status)
        items.status = weir_arena_alloc(arena, items.n, sizeof *regions, &regions);
    if (!items.status && items.n) {
        qsort(items.items, items.n, sizeof *items.items, item_compare);
        messages_fill(&items, messages, regions, &spec->n_messages);
        spec->messages = messages;
    }
    weir_free(items.items);
    return items.status;
}
