/* Ranks in other processes: which ranks live here, memory and events shared with the rest, and what all agree on.
 *
 * Process w of the launcher is world rank w, which placement.h turns into a replica and a rank of its pipeline.  Without a
 * transport that crosses processes every function here does nothing, or acts on this process alone. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/device/placement/placement_cores.h"
#include "engine/run/extra_memory.h"
#include "engine/run/state.h"

enum { CLOCK_ROUNDS = 5 };

static struct weir_placement_grid grid_of(const struct weir_engine *engine)
{
    return (struct weir_placement_grid){.n_ranks = engine->config.schedule->n_ranks, .n_replicas = engine->n_replicas,
                                        .order = engine->order};
}

int weir_peers_process(const weir_engine *engine, int replica, int index)
{
    struct weir_placement_grid grid = grid_of(engine);
    return weir_placement_world_rank(&grid, (struct weir_seat){replica, index});
}

weir_status weir_peers_share(weir_engine *engine, int replica, int index, void *data, size_t bytes)
{
    return engine->wire ? engine->wire->broadcast(engine->transport, weir_peers_process(engine, replica, index), data, bytes)
                        : WEIR_OK;
}

weir_status weir_peers_sum(weir_engine *engine, size_t *bytes)
{
    weir_status status = WEIR_OK;
    size_t sum = 0;
    for (int host = 0; engine->wire && host < engine->info->n_hosts && !status; host++) {
        size_t value = *bytes;
        int first = 0;
        while (engine->info->host_of[first] != host)
            first++;
        status = engine->wire->broadcast(engine->transport, first, &value, sizeof value);
        sum += value;
    }
    *bytes = engine->wire ? sum : *bytes;
    return status;
}

weir_status weir_peers_device_index(weir_engine *engine, int *index)
{
    const struct weir_transport_info *info = engine->info;
    struct weir_placement_grid grid = grid_of(engine);
    int *worlds, n = 0, mine = 0, n_visible;
    if (!engine->wire || strchr(engine->config.device, ':')) /* a number that was given is meant */
        return WEIR_OK;
    weir_status status = weir_arena_alloc(&engine->arena, (size_t)info->n_local, sizeof *worlds, &worlds);
    for (int world = 0; world < info->n_ranks && !status; world++) {
        if (info->host_of[world] != info->host)
            continue;
        mine = world == info->rank ? n : mine;
        worlds[n++] = world;
    }
    if (!status)
        *index = weir_placement_slot(&grid, worlds, n, mine);
    if (!status)
        status = engine->kind->count(&n_visible);
    if (!status && n_visible == 1) /* launchers may show each process its own one */
        *index = 0;
    return status;
}

/* ---- joining -------------------------------------------------------------------------------------------------------- */

weir_status weir_peers_join(struct weir_engine *engine)
{
    if (!engine->wire)
        return WEIR_OK;
    struct weir_placement_grid grid = grid_of(engine);
    struct weir_transport_config config = {.n_threads = engine->config.threads_per_rank,
                                           .timeout_ns = WEIR_TRANSPORT_TIMEOUT_NS};
    weir_status status = engine->wire->open(&config, &engine->transport);
    if (status)
        return status;
    engine->info = engine->wire->info(engine->transport);
    weir_cpu_crowded_set(engine->info->crowded);
    status = weir_placement_grid_check(&grid, engine->info->n_ranks);
    if (status)
        return status;
    struct weir_seat place = weir_placement_place(&grid, engine->info->rank);
    engine->first_here = place.replica * grid.n_ranks + place.rank;
    engine->end_here = engine->first_here + 1;
    return WEIR_OK;
}

/* ---- memory and events ---------------------------------------------------------------------------------------------- */

static weir_status signallers_find(struct weir_engine *engine, struct weir_run_program *run)
{
    const struct weir_program *program = run->program;
    weir_status status = weir_arena_alloc(&engine->arena, (size_t)program->n_events, sizeof(int), &run->signallers);
    for (int r = 0; r < program->n_ranks && !status; r++)
        for (int i = 0; i < program->ranks[r].n_instrs; i++)
            if (program->ranks[r].instrs[i].signal >= 0)
                run->signallers[program->ranks[r].instrs[i].signal] = r;
    return status;
}

/* Blocks that some push names are shared; the others stay with their rank. */
static void shared_add(const struct weir_engine *engine, const struct weir_program *program, size_t *bytes)
{
    for (int p = 0; program && p < program->n_pushes; p++) {
        const struct weir_push *push = &program->pushes[p];
        int owner = push->receivers ? push->to_rank : push->from_rank;
        for (int d = 0; d < engine->n_replicas; d++)
            bytes[weir_peers_process(engine, d, owner) * WEIR_MEMORY_KINDS + (int)push->kind] =
                engine->program->ranks[owner].bytes[push->kind]; /* enough for both programs */
    }
}

/* Every rank's blocks, as this process sees them.  In stream order its own are there already. */
static void blocks_set(struct weir_engine *engine)
{
    for (int i = 0; i < engine->n_ranks; i++) {
        struct weir_rank *rank = &engine->ranks[i];
        for (int k = 0; k < WEIR_MEMORY_KINDS; k++) {
            rank->blocks[k] = engine->wire->memory(engine->train.link, weir_rank_process(rank), k);
            rank->shared[k] = rank->blocks[k] != NULL && !engine->wire->streams;
        }
    }
}

static weir_status run_link(struct weir_engine *engine, struct weir_run_program *run, const struct weir_link_spec *memory)
{
    struct weir_arena arena = {0};
    struct weir_link_spec spec = *memory;
    spec.n_events = run->program->n_events;
    weir_status status = signallers_find(engine, run);
    if (!status)
        status = weir_peers_wires(engine, run, &arena, &spec);
    if (!status)
        status = engine->wire->link_open(engine->transport, &spec, &run->link);
    weir_arena_release(&arena);
    return status;
}

size_t weir_peers_terms_bytes(const struct weir_engine *engine)
{
    const struct weir_program *program = engine->program;
    size_t step = program->ranks[engine->ranks[engine->first_here].index].bytes[WEIR_MEMORY_STEP];
    return weir_peers_stream(engine) && engine->n_ranks > 1 ? step - program->norm_offset : 0;
}

/* What this rank has on its device for the transport. */
static weir_status streams_memory_count(struct weir_engine *engine)
{
    const struct weir_transport_kind *wire = engine->wire;
    int rank = engine->first_here;
    const struct weir_extra rows[] = {
        {.what = "buffers of the transport", .is_taken = true, .bytes = wire->buffer_bytes(engine->train.link)},
        {.what = "mirrors of what goes to other ranks", .bytes = wire->mirror_bytes(engine->train.link)},
        {.what = "terms of norm and losses", .bytes = weir_peers_terms_bytes(engine)},
    };
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && !status; i++) {
        struct weir_extra row = rows[i];
        row.rank = rank;
        row.device = engine->ranks[rank].device_index;
        row.is_known = true;
        status = row.bytes ? weir_extra_add(engine, &row) : WEIR_OK;
    }
    return status;
}

/* The exchange comes first: a rank that has failed up to here is found there, not missed in what follows. */
weir_status weir_peers_link(struct weir_engine *engine)
{
    if (!engine->wire)
        return WEIR_OK;
    struct weir_link_spec spec = {.n_parts = WEIR_MEMORY_KINDS};
    size_t *bytes;
    weir_status status = engine->wire->exchange(engine->transport, NULL, 0, NULL);
    if (!status)
        status = weir_arena_alloc(&engine->arena, (size_t)engine->n_ranks * WEIR_MEMORY_KINDS, sizeof *bytes, &bytes);
    if (status)
        return status;
    shared_add(engine, engine->train.program, bytes);
    shared_add(engine, engine->evaluate.program, bytes);
    spec.part_bytes = bytes;
    status = run_link(engine, &engine->train, &spec);
    if (status)
        return status;
    spec.memory = engine->train.link;
    if (engine->evaluate.program)
        status = run_link(engine, &engine->evaluate, &spec);
    if (!status && !engine->wire->streams)
        blocks_set(engine);
    return status || !engine->wire->streams ? status : streams_memory_count(engine);
}

weir_status weir_peers_place(struct weir_engine *engine)
{
    if (!weir_peers_stream(engine))
        return WEIR_OK;
    void *blocks[WEIR_MEMORY_KINDS];
    for (int k = 0; k < WEIR_MEMORY_KINDS; k++)
        blocks[k] = engine->ranks[engine->first_here].blocks[k];
    weir_status status = engine->wire->place(engine->train.link, blocks);
    if (!status)
        blocks_set(engine);
    return status;
}

/* How far this host's clock is ahead of rank 0's: several readings right after a barrier, the one in the middle. */
static int int64_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static weir_status clock_compare(struct weir_engine *engine, int64_t *readings)
{
    int64_t differences[CLOCK_ROUNDS];
    weir_status status = WEIR_OK;
    for (int round = 0; round < CLOCK_ROUNDS && !status; round++) {
        status = engine->wire->exchange(engine->transport, NULL, 0, NULL);
        int64_t now = weir_clock_ns();
        if (!status)
            status = engine->wire->exchange(engine->transport, &now, sizeof now, readings);
        if (!status)
            differences[round] = readings[engine->info->rank] - readings[0];
    }
    if (status)
        return status;
    qsort(differences, CLOCK_ROUNDS, sizeof differences[0], int64_compare);
    engine->clock_ahead_ns = engine->info->host == engine->info->host_of[0] ? 0 : differences[CLOCK_ROUNDS / 2];
    return WEIR_OK;
}

/* All ranks are ready: nobody runs a step before that, and everybody knows everybody's memory. */
weir_status weir_peers_ready(struct weir_engine *engine)
{
    if (!engine->wire)
        return WEIR_OK;
    int64_t *all;
    size_t bytes = engine->peak_bytes[engine->first_here]; /* in stream order it has rows for mirrors */
    bytes += weir_peers_stream(engine) ? 0 : engine->wire->mirror_bytes(engine->train.link);
    int64_t mine = (int64_t)bytes;
    weir_status status = weir_arena_alloc(&engine->arena, (size_t)engine->n_ranks, sizeof *all, &all);
    if (!status)
        status =
            weir_arena_alloc(&engine->arena, (size_t)engine->n_ranks, sizeof(struct weir_step_note), &engine->notes);
    if (!status)
        status = engine->wire->exchange(engine->transport, &mine, sizeof mine, all);
    for (int i = 0; i < engine->n_ranks && !status; i++)
        engine->peak_bytes[i] = (size_t)all[weir_rank_process(&engine->ranks[i])];
    return status || engine->info->n_hosts == 1 ? status : clock_compare(engine, all);
}

void weir_peers_unlink(struct weir_engine *engine)
{
    if (!engine->transport)
        return;
    engine->wire->link_close(engine->evaluate.link);
    engine->wire->link_close(engine->train.link);
}

void weir_peers_leave(struct weir_engine *engine)
{
    if (!engine->transport)
        return;
    engine->wire->close(engine->transport);
    weir_cpu_crowded_set(false);
}
