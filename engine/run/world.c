#include "engine/run/world.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/device/placement/placement_cores.h"

enum { CLOCK_ROUNDS = 5, FAR_TIMES = 10 }; /* FAR_TIMES: of the timeout, a wait while processes come up: they have no pulse yet */

/* ---- joining ------------------------------------------------------------------------------------------------------- */

weir_status weir_world_transport(const struct weir_engine_config *config, const struct weir_device_kind *kind,
                                 const struct weir_transport_kind **transport_out)
{
    const struct weir_transport_kind *transport;
    weir_status status = weir_transport_find(config->transport, &transport);
    if (status)
        return status;
    if (kind->process_start) /* before the transport may start the device's library */
        kind->process_start();
    if (!transport->one_process && !kind->mpi_transport)
        return WEIR_FAIL(WEIR_ERR_USAGE, "device '%s' runs all ranks in one process: use " WEIR_OPTION("transport=local"), kind->name);
    if (!transport->one_process && strcmp(transport->name, kind->launch_transport) && strcmp(transport->name, kind->mpi_transport))
        return WEIR_FAIL(WEIR_ERR_USAGE, "transport '%s' moves memory of %s, device '%s' has other memory: use " WEIR_OPTION("transport=%s"),
                         transport->name, transport->device_side ? "GPUs" : "the host", kind->name, kind->mpi_transport);
    if (config->communicator && (!kind->mpi_transport || strcmp(transport->name, kind->mpi_transport)))
        return WEIR_FAIL(WEIR_ERR_USAGE, "a communicator was given, and transport '%s' takes none: use " WEIR_OPTION("transport=%s"),
                         transport->name, kind->mpi_transport ? kind->mpi_transport : "mpi");
    *transport_out = transport;
    return WEIR_OK;
}

weir_status weir_world_find(struct weir_world *world, const struct weir_engine_config *config,
                            const struct weir_device_kind *kind, int n_replicas)
{
    const struct weir_transport_kind *transport = NULL;
    enum weir_placement_order order = (enum weir_placement_order)0;
    weir_status status = weir_world_transport(config, kind, &transport);
    if (!status && config->placement)
        status = weir_placement_order_find(config->placement, &order);
    if (status)
        return status;
    if (transport->device_side && config->schedule->n_copies > 1 && config->zero) /* see messages.c */
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "a schedule with two copies of the weights runs over transport '%s' without ZeRO-1: "
                         "use " WEIR_OPTION("zero=0"), transport->name);
    *world = (struct weir_world){.grid = {.n_ranks = config->schedule->n_ranks, .n_replicas = n_replicas, .order = order},
                                 .n_copies = config->schedule->n_copies ? config->schedule->n_copies : 1,
                                 .transport = transport->one_process ? NULL : transport,
                                 .communicator = config->communicator,
                                 .told_out = config->told_out};
    world->end_here = world->transport ? 0 : world->grid.n_ranks * n_replicas;
    return WEIR_OK;
}

static weir_status transport_join(struct weir_world *world, int n_threads, int64_t timeout_ns)
{
    size_t n_workers = (size_t)(world->grid.n_ranks * world->grid.n_replicas);
    struct weir_transport_config config = {.n_threads = n_threads,
                                           .timeout_ns = timeout_ns > INT64_MAX / FAR_TIMES ? 0 : FAR_TIMES * timeout_ns,
                                           .message_ns = timeout_ns,
                                           .look = weir_pulse_look,
                                           .look_context = &world->pulse,
                                           .block_bytes = sizeof(struct weir_flight) + n_workers * sizeof(struct weir_heard),
                                           .communicator = world->communicator};
    weir_status status = world->transport->open(&config, &world->handle);
    if (status)
        return status;
    world->info = world->transport->info(world->handle);
    status = weir_placement_grid_check(&world->grid, world->info->n_ranks);
    if (status)
        return world->communicator ? weir_error_prefix(status, "of the communicator: ") : status;
    struct weir_seat seat = weir_placement_place(&world->grid, world->info->rank);
    world->first_here = seat.replica * world->grid.n_ranks + seat.rank;
    world->end_here = world->first_here + 1;
    return WEIR_OK;
}

static struct weir_flight *flight_of(const struct weir_world *world, int worker)
{
    return world->transport ? world->transport->block(world->handle, weir_world_worker_process(world, worker))
                            : (struct weir_flight *)(void *)world->own_flights + worker;
}

/* Behind the flight of the host's first rank is room for what its process hears. */
static weir_status far_open(struct weir_world *world, int64_t timeout_ns)
{
    struct weir_pulse *pulse = &world->pulse;
    int first = 0;
    while (!pulse->flights[first])
        first++;
    struct weir_heard *heard = (struct weir_heard *)(void *)(pulse->flights[first] + 1);
    pulse->heard = heard;
    return weir_far_open(world->transport, world->handle, pulse->n_ranks, world->first_here, timeout_ns,
                         first == world->first_here ? heard : NULL, &pulse->far);
}

static weir_status pulse_start(struct weir_world *world, int64_t timeout_ns)
{
    struct weir_pulse *pulse = &world->pulse;
    size_t n = (size_t)(world->grid.n_ranks * world->grid.n_replicas);
    weir_status status = weir_alloc(n, sizeof *pulse->flights, &pulse->flights);
    if (!status)
        status = weir_alloc(n, sizeof *pulse->calls, &pulse->calls);
    if (!status)
        status = weir_alloc(n, sizeof *pulse->sights, &pulse->sights);
    if (!status && !world->transport)
        status = weir_alloc(n, sizeof(struct weir_flight), &world->own_flights);
    if (status)
        return status;
    for (size_t r = 0; r < n; r++)
        pulse->flights[r] = flight_of(world, (int)r);
    pulse->n_ranks = (int)n;
    pulse->first_here = world->first_here;
    pulse->end_here = world->end_here;
    pulse->timeout_ns = timeout_ns;
    if (world->info && world->info->n_hosts > 1)
        status = far_open(world, timeout_ns);
    return status ? status : weir_pulse_start(pulse);
}

weir_status weir_world_join(struct weir_world *world, int n_threads, int64_t timeout_ns)
{
    weir_status status = world->transport ? transport_join(world, n_threads, timeout_ns) : WEIR_OK;
    return status ? status : pulse_start(world, timeout_ns);
}

void weir_world_leave(struct weir_world *world)
{
    weir_pulse_stop(&world->pulse);
    if (world->handle)
        world->transport->close(world->handle);
    world->handle = NULL;
    weir_far_close(world->pulse.far);
    weir_free(world->own_flights);
    weir_free(world->pulse.sights);
    weir_free(world->pulse.calls);
    weir_free(world->pulse.flights);
    world->pulse = (struct weir_pulse){0};
    world->own_flights = NULL;
}

/* ---- who is where -------------------------------------------------------------------------------------------------- */

int weir_world_worker_process(const struct weir_world *world, int worker)
{
    int n = world->grid.n_ranks;
    return weir_placement_world_rank(&world->grid, (struct weir_seat){.replica = worker / n, .rank = worker % n});
}

int weir_world_process(const struct weir_world *world, int replica, int index)
{
    int copy = replica % world->n_copies;
    return weir_placement_world_rank(&world->grid, (struct weir_seat){.replica = replica / world->n_copies,
                                                                      .rank = copy ? world->grid.n_ranks - 1 - index : index});
}

weir_status weir_world_device_index(const struct weir_world *world, const char *device, struct weir_arena *arena,
                                    int *index_out)
{
    const struct weir_transport_info *info = world->info;
    int *worlds, n = 0, mine = 0;
    *index_out = -1;
    if (!world->transport || strchr(device, ':')) /* a number that was given is meant */
        return WEIR_OK;
    weir_status status = weir_arena_alloc(arena, (size_t)info->n_local, sizeof *worlds, &worlds);
    for (int process = 0; process < info->n_ranks && !status; process++) {
        if (info->host_of[process] != info->host)
            continue;
        mine = process == info->rank ? n : mine;
        worlds[n++] = process;
    }
    if (!status)
        *index_out = weir_placement_slot(&world->grid, worlds, n, mine);
    return status;
}

/* ---- what all agree on --------------------------------------------------------------------------------------------- */

weir_status weir_world_share(const struct weir_world *world, int replica, int index, void *data, size_t bytes)
{
    return world->transport
               ? world->transport->broadcast(world->handle, weir_world_process(world, replica, index), data, bytes)
               : WEIR_OK;
}

weir_status weir_world_sum(const struct weir_world *world, size_t *bytes)
{
    weir_status status = WEIR_OK;
    size_t sum = 0;
    for (int host = 0; world->transport && host < world->info->n_hosts && !status; host++) {
        size_t value = *bytes;
        int first = 0;
        while (world->info->host_of[first] != host)
            first++;
        status = world->transport->broadcast(world->handle, first, &value, sizeof value);
        sum += value;
    }
    *bytes = world->transport ? sum : *bytes;
    return status;
}

weir_status weir_world_exchange(const struct weir_world *world, const void *mine, size_t bytes, void *all_out)
{
    return world->transport ? world->transport->exchange(world->handle, mine, bytes, all_out) : WEIR_OK;
}

weir_status weir_world_agree(const struct weir_world *world, weir_status status)
{
    char message[WEIR_ERROR_MAX] = "";
    int32_t mine = (int32_t)status, *all, failed = 0;
    if (!world->transport)
        return status;
    weir_status here = weir_alloc((size_t)world->info->n_ranks, sizeof *all, &all);
    if (here)
        return here;
    if (status)
        weir_error_take(message);
    here = weir_world_exchange(world, &mine, sizeof mine, all);
    while (!here && failed < world->info->n_ranks && !all[failed])
        failed++;
    mine = !here && failed < world->info->n_ranks ? all[failed] : 0;
    weir_free(all);
    if (here || !mine)
        return here;
    here = world->transport->broadcast(world->handle, failed, message, sizeof message);
    if (here)
        return here;
    weir_error_put(message);
    return (weir_status)mine;
}

static int int64_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Several readings right after a barrier, the one in the middle. */
weir_status weir_world_clock(struct weir_world *world, int64_t *readings)
{
    int64_t differences[CLOCK_ROUNDS];
    weir_status status = WEIR_OK;
    for (int round = 0; round < CLOCK_ROUNDS && !status; round++) {
        status = weir_world_exchange(world, NULL, 0, NULL);
        int64_t now = weir_clock_ns();
        if (!status)
            status = weir_world_exchange(world, &now, sizeof now, readings);
        if (!status)
            differences[round] = readings[world->info->rank] - readings[0];
    }
    if (status)
        return status;
    qsort(differences, CLOCK_ROUNDS, sizeof differences[0], int64_compare);
    world->clock_ahead_ns = world->info->host == world->info->host_of[0] ? 0 : differences[CLOCK_ROUNDS / 2];
    return WEIR_OK;
}

void weir_world_stop(const struct weir_world *world, weir_status status)
{
    if (world->handle)
        world->transport->stop(world->handle, status);
}

void weir_world_told(const struct weir_world *world)
{
    if (world->handle && world->told_out)
        *world->told_out = world->info->is_told;
}
