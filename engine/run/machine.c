#include "engine/run/machine.h"

#include "engine/run/transfer.h"

/* ---- devices ------------------------------------------------------------------------------------------------------- */

static weir_status arrays_make(struct weir_machine *machine, struct weir_arena *arena)
{
    size_t n = (size_t)machine->n_workers;
    const struct weir_program *program = machine->build->program;
    weir_status status = weir_arena_alloc(arena, (size_t)machine->n_ranks, sizeof *machine->ranks, &machine->ranks);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *machine->device_of, &machine->device_of);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *machine->taken, &machine->taken);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *machine->free_bytes, &machine->free_bytes);
    if (!status)
        status = weir_arena_alloc(arena, n, sizeof *machine->total_bytes, &machine->total_bytes);
    for (int r = 0; r < machine->n_ranks && !status; r++) {
        struct weir_rank *rank = &machine->ranks[r];
        rank->machine = machine;
        int copy = r % program->n_copies;
        rank->number = r;
        rank->worker = r / program->n_copies;
        rank->index = weir_program_worker(program, copy, rank->worker % program->n_ranks);
        rank->replica = rank->worker / program->n_ranks * program->n_copies + copy;
    }
    return status;
}

static weir_status devices_open(struct weir_machine *machine, const struct weir_machine_place *place, int n_devices)
{
    weir_status status = WEIR_OK;
    for (int r = 0; r < machine->n_ranks && !status; r++) {
        struct weir_rank *rank = &machine->ranks[r];
        if (!weir_rank_is_here(rank)) {
            machine->device_of[rank->worker] = WEIR_DEVICE_ELSEWHERE;
            continue;
        }
        if (place->device_index >= 0) /* a launcher may show each process its own device, as the only one */
            machine->device_of[rank->worker] = n_devices == 1 ? 0 : place->device_index;
        rank->device_index = machine->device_of[rank->worker];
        if (!weir_rank_is_first(rank)) {
            rank->device = weir_worker_first(machine, rank->worker)->device;
            continue;
        }
        status = machine->kind->open(rank->device_index, machine->build->config.threads_per_rank, &rank->device);
        if (!status && place->is_crowded && machine->kind->crowd)
            machine->kind->crowd(rank->device);
    }
    return status;
}

static weir_status all_connect(struct weir_machine *machine)
{
    weir_status status = WEIR_OK;
    for (int r = machine->first_here; r < machine->end_here; r++)
        for (int q = machine->first_here; q < machine->end_here && !status; q++)
            if (machine->ranks[r].device_index != machine->ranks[q].device_index)
                status = machine->kind->connect(machine->ranks[r].device, machine->ranks[q].device);
    return status;
}

/* What is in use of each device once it is open. */
static weir_status taken_measure(struct weir_machine *machine)
{
    weir_status status = WEIR_OK;
    for (int r = machine->first_here; r < machine->end_here && !status; r++) {
        size_t free_bytes = 0, total_bytes = 0;
        status = machine->kind->memory_info(machine->ranks[r].device, &free_bytes, &total_bytes);
        machine->taken[machine->ranks[r].worker] = total_bytes - free_bytes;
    }
    return status;
}

weir_status weir_machine_open(struct weir_machine *machine, const struct weir_build *build,
                              const struct weir_machine_place *place, struct weir_arena *arena)
{
    int n_devices;
    const struct weir_device_kind *kind;
    *machine = (struct weir_machine){.kind = build->kind, .build = build, .n_workers = weir_build_n_workers(build),
                                     .n_ranks = build->program->n_ranks * build->n_replicas,
                                     .first_here = place->first_here, .end_here = place->end_here};
    weir_status status = machine->kind->count(&n_devices);
    if (!status)
        status = arrays_make(machine, arena);
    if (!status)
        status = weir_device_list(build->config.device, machine->n_workers, &kind, machine->device_of);
    if (!status)
        status = devices_open(machine, place, n_devices);
    if (!status && !weir_build_is_on_host(machine->build))
        status = taken_measure(machine);
    return status || weir_build_is_on_host(machine->build) ? status : all_connect(machine);
}

weir_status weir_machine_look(struct weir_machine *machine, struct weir_resources *have_out)
{
    struct weir_resources have = {.device_of = machine->device_of, .host_free = SIZE_MAX};
    size_t total_bytes;
    weir_status status = WEIR_OK;
    if (weir_build_is_on_host(machine->build)) {
        status = machine->kind->memory_info(machine->ranks[machine->first_here].device, &have.host_free, &total_bytes);
    } else {
        for (int r = machine->first_here; r < machine->end_here && !status; r++)
            status = machine->kind->memory_info(machine->ranks[r].device, &machine->free_bytes[machine->ranks[r].worker],
                                                &machine->total_bytes[machine->ranks[r].worker]);
        have.taken = machine->taken;
        have.free_bytes = machine->free_bytes;
        have.total_bytes = machine->total_bytes;
    }
    if (!status)
        *have_out = have;
    return status;
}

/* ---- streams and blocks -------------------------------------------------------------------------------------------- */

weir_status weir_machine_streams(struct weir_machine *machine, size_t (*capacity)(const struct weir_build *build, int worker))
{
    weir_status status = WEIR_OK;
    for (int r = machine->first_here; r < machine->end_here && !status; r++) {
        struct weir_rank *rank = &machine->ranks[r];
        int worker = rank->worker % machine->build->program->n_ranks;
        if (weir_rank_is_first(rank))
            status = machine->kind->stream_open(rank->device, WEIR_STREAM_COMPUTE, capacity(machine->build, worker),
                                                &rank->stream);
        else
            rank->stream = weir_worker_first(machine, rank->worker)->stream;
        if (!status)
            status = machine->kind->native(rank->stream, &rank->native);
    }
    return status;
}

static weir_status block_open(struct weir_rank *rank, enum weir_memory_kind kind)
{
    const struct weir_program *program = rank->machine->build->program;
    bool together = weir_memory_is_workers(kind);
    size_t bytes = together ? weir_program_worker_block(program, rank->worker % program->n_ranks, kind)
                            : weir_rank_program(rank)->bytes[kind];
    if (together && !weir_rank_is_first(rank)) {
        rank->blocks[kind] = weir_rank_twin(rank)->blocks[kind];
        return WEIR_OK;
    }
    return bytes ? rank->machine->kind->memory_alloc(rank->device, bytes, (void **)(void *)&rank->blocks[kind]) : WEIR_OK;
}

static weir_status rank_blocks(struct weir_rank *rank, size_t partial_bytes)
{
    const struct weir_device_kind *kind = rank->machine->kind;
    weir_status status = WEIR_OK;
    for (int k = 0; k < WEIR_MEMORY_KINDS && !status; k++)
        if (!rank->shared[k])
            status = block_open(rank, (enum weir_memory_kind)k);
    if (!status && partial_bytes && !weir_rank_is_first(rank))
        rank->partial_sums = weir_rank_twin(rank)->partial_sums;
    else if (!status && partial_bytes)
        status = kind->memory_alloc(rank->device, partial_bytes, (void **)(void *)&rank->partial_sums);
    return status ? status : weir_transfer_open(rank);
}

weir_status weir_machine_blocks(struct weir_machine *machine, size_t partial_bytes)
{
    weir_status status = WEIR_OK;
    for (int r = machine->first_here; r < machine->end_here && !status; r++)
        status = rank_blocks(&machine->ranks[r], partial_bytes);
    return status;
}

/* ---- tasks --------------------------------------------------------------------------------------------------------- */

weir_status weir_rank_copy(const struct weir_rank *rank, void *destination, const void *source, size_t bytes)
{
    return rank->machine->kind->copy_here(rank->stream, destination, source, bytes);
}

/* A wait may never end by itself: the ranks are looked after meanwhile.  A task that failed by a timeout has the status of a wait
 * that takes long. */
static weir_status rank_sync(const struct weir_rank *rank, const struct weir_machine_watch *watch)
{
    for (;;) {
        weir_status status = rank->machine->kind->stream_sync(rank->stream, watch ? WEIR_MACHINE_LOOK_NS : -1);
        if (status != WEIR_ERR_TIMEOUT || !watch)
            return status;
        if (atomic_load(&weir_worker_first(rank->machine, rank->worker)->failed) == WEIR_ERR_TIMEOUT)
            return rank->machine->kind->stream_sync(rank->stream, -1);
        status = watch->look(watch->context);
        if (status)
            return status;
    }
}

weir_status weir_machine_sync(const struct weir_machine *machine, const struct weir_machine_watch *watch)
{
    weir_status first = WEIR_OK;
    char message[WEIR_ERROR_MAX];
    for (int r = machine->first_here; r < machine->end_here; r++) {
        weir_status status = rank_sync(&machine->ranks[r], watch);
        if (status && !first) {
            first = status;
            weir_error_take(message);
        }
    }
    if (first)
        weir_error_put(message);
    return first;
}

bool weir_machine_is_stuck(const struct weir_machine *machine, int64_t grace_ns)
{
    bool stuck = false;
    for (int r = machine->first_here; r < machine->end_here && machine->ranks && !stuck; r++)
        stuck = machine->ranks[r].stream &&
                machine->kind->stream_sync(machine->ranks[r].stream, grace_ns) == WEIR_ERR_TIMEOUT;
    return stuck;
}

static weir_status rank_run(const struct weir_rank *rank, weir_task_fn fn, void *argument)
{
    return rank->machine->kind->perform(rank->stream, fn, argument);
}

weir_status weir_machine_tasks_run(const struct weir_machine *machine, weir_task_fn fn, void *arguments, size_t stride)
{
    for (int r = machine->first_here; r < machine->end_here; r++) {
        weir_status status = rank_run(&machine->ranks[r], fn, (char *)arguments + (size_t)r * stride);
        if (status)
            return status;
    }
    return weir_machine_sync(machine, NULL);
}

/* ---- closing ------------------------------------------------------------------------------------------------------- */

/* Kernel state belongs to the worker's thread. */
static weir_status context_close(void *argument)
{
    struct weir_rank *rank = argument;
    if (rank->context)
        rank->machine->kind->context_close(rank->device, rank->context);
    rank->context = NULL;
    return WEIR_OK;
}

static void stream_close(struct weir_rank *rank)
{
    const struct weir_device_kind *kind = rank->machine->kind;
    kind->stream_sync(rank->stream, -1);
    kind->stream_reset(rank->stream); /* a poisoned stream would skip the task */
    if (rank_run(rank, context_close, rank) == WEIR_OK)
        kind->stream_sync(rank->stream, -1);
    else
        context_close(rank);
    kind->stream_close(rank->stream);
}

static void rank_close(struct weir_rank *rank)
{
    const struct weir_device_kind *kind = rank->machine->kind;
    if (rank->stream && weir_rank_is_first(rank))
        stream_close(rank);
    for (int k = 0; k < WEIR_MEMORY_KINDS; k++)
        if (rank->blocks[k] && !rank->shared[k] && (weir_rank_is_first(rank) || !weir_memory_is_workers((enum weir_memory_kind)k)))
            kind->memory_free(rank->device, rank->blocks[k]);
    if (rank->partial_sums && weir_rank_is_first(rank))
        kind->memory_free(rank->device, rank->partial_sums);
    weir_transfer_close(rank);
}

void weir_machine_close(struct weir_machine *machine)
{
    for (int r = machine->first_here; machine->ranks && r < machine->end_here; r++)
        rank_close(&machine->ranks[r]);
}

void weir_machine_devices_close(struct weir_machine *machine)
{
    for (int r = machine->first_here; machine->ranks && r < machine->end_here; r++)
        if (machine->ranks[r].device && weir_rank_is_first(&machine->ranks[r]))
            machine->kind->close(machine->ranks[r].device);
}
