/* Placements for programs: include/weir/info.h. */
#include "base/alloc.h"
#include "base/grown.h"
#include "engine/device/placement/placement_cores.h"
#include "include/weir/info.h"

enum { MOST_PER_HOST = 4096 };

/* A rank's numbers, each once. */
struct numbers {
    int *cores, *cpus, *numa_nodes, *packages;
    int n_cores, n_cpus, n_numa_nodes, n_packages;
};

struct weir_placement {
    struct weir_arena arena;
    struct weir_placement_grid grid;
    struct weir_machine machine;
    struct weir_spots spots; /* of a full host */
    struct numbers *numbers; /* [spots.n] */
    int n_processes, per_host;
};

void weir_placement_request_init(struct weir_placement_request *request, size_t bytes)
{
    const struct weir_placement_request own = {.struct_bytes = bytes, .n_ranks = 1, .n_replicas = 1, .threads_per_rank = 1};
    weir_grown_give(&own, sizeof own, request, bytes);
}

/* ---- numbers of cores -------------------------------------------------------------------------------------------------- */

static void number_add(int *list, int *n, int number)
{
    bool found = number < 0;
    for (int i = 0; i < *n && !found; i++)
        found = list[i] == number;
    if (!found)
        list[(*n)++] = number;
}

static int cpus_of(const struct weir_machine *machine, const struct weir_spot *spot)
{
    int n = 0;
    for (int i = 0; i < spot->n_cores; i++)
        n += machine->cores[spot->cores[i]].n_cpus;
    return n;
}

static weir_status numbers_find(weir_placement *p, const struct weir_spot *spot, struct numbers *to)
{
    size_t n = (size_t)spot->n_cores;
    weir_status status = weir_arena_alloc(&p->arena, 3 * n, sizeof *to->cores, &to->cores);
    if (!status)
        status = weir_arena_alloc(&p->arena, (size_t)cpus_of(&p->machine, spot), sizeof *to->cpus, &to->cpus);
    if (status)
        return status;
    to->numa_nodes = to->cores + n;
    to->packages = to->numa_nodes + n;
    for (int i = 0; i < spot->n_cores; i++) {
        const struct weir_machine_core *core = &p->machine.cores[spot->cores[i]];
        number_add(to->cores, &to->n_cores, core->number);
        number_add(to->numa_nodes, &to->n_numa_nodes, core->numa);
        number_add(to->packages, &to->n_packages, core->package);
        for (int k = 0; k < core->n_cpus; k++)
            number_add(to->cpus, &to->n_cpus, core->cpus[k]);
    }
    return WEIR_OK;
}

/* ---- finding ----------------------------------------------------------------------------------------------------------- */

static weir_status request_take(const struct weir_placement_request *given, struct weir_placement_request *own)
{
    weir_status status = weir_grown_take("weir_placement_request", "start with weir_placement_request_init", given,
                                         given ? given->struct_bytes : 0, own, sizeof *own);
    if (status)
        return status;
    if (own->n_ranks < 1 || own->n_replicas < 1 || own->per_host < 0 || (int64_t)own->n_ranks * own->n_replicas > INT32_MAX)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%d replicas of %d ranks, %d on a host, cannot be", own->n_replicas, own->n_ranks, own->per_host);
    int n = own->n_ranks * own->n_replicas;
    own->per_host = own->per_host && own->per_host < n ? own->per_host : n;
    if (own->per_host > MOST_PER_HOST)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%d ranks on one host are more than %d", own->per_host, MOST_PER_HOST);
    return WEIR_OK;
}

static weir_status placement_make(const struct weir_placement_request *own, weir_placement *p)
{
    p->grid.n_ranks = own->n_ranks;
    p->grid.n_replicas = own->n_replicas;
    p->n_processes = own->n_ranks * own->n_replicas;
    p->per_host = own->per_host;
    weir_status status = own->order ? weir_placement_order_find(own->order, &p->grid.order) : WEIR_OK;
    if (!status)
        status = weir_machine_read(own->machine, &p->arena, &p->machine);
    if (!status)
        status = weir_placement_spots(&p->machine, p->per_host, own->threads_per_rank, true, &p->arena, &p->spots);
    if (!status)
        status = weir_arena_alloc(&p->arena, (size_t)p->spots.n, sizeof *p->numbers, &p->numbers);
    for (int i = 0; !status && i < p->spots.n; i++)
        status = numbers_find(p, &p->spots.spots[i], &p->numbers[i]);
    return status;
}

weir_status weir_placement_find(const struct weir_placement_request *request, weir_placement **placement_out)
{
    struct weir_placement_request own;
    weir_placement *placement;
    weir_status status = request_take(request, &own);
    if (!status)
        status = weir_alloc(1, sizeof *placement, &placement);
    if (status)
        return status;
    status = placement_make(&own, placement);
    if (status)
        weir_placement_close(placement);
    else
        *placement_out = placement;
    return status;
}

void weir_placement_close(weir_placement *placement)
{
    if (placement)
        weir_arena_release(&placement->arena);
    weir_free(placement);
}

/* ---- asking ------------------------------------------------------------------------------------------------------------ */

void weir_placement_info_sized(const weir_placement *p, struct weir_placement_info *info_out, size_t info_bytes)
{
    const struct weir_placement_info own = {
        .order = weir_placement_order_str(p->grid.order), .n_processes = p->n_processes, .per_host = p->per_host,
        .host_cores = p->machine.n_cores, .host_gpus = p->machine.n_gpus, .cores_shared = p->spots.cores_shared,
        .gpus_shared = p->spots.gpus_shared};
    weir_grown_give(&own, sizeof own, info_out, info_bytes);
}

/* Hosts are filled one after the other; the last may have fewer ranks. */
static int slot_of(const weir_placement *p, int number)
{
    int first = number - number % p->per_host, worlds[MOST_PER_HOST];
    int n = p->n_processes - first < p->per_host ? p->n_processes - first : p->per_host;
    for (int i = 0; i < n; i++)
        worlds[i] = first + i;
    return weir_placement_slot(&p->grid, worlds, n, number - first);
}

weir_status weir_placement_process_get_sized(const weir_placement *p, int number, struct weir_placement_process *process_out,
                                             size_t process_bytes)
{
    if (number < 0 || number >= p->n_processes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there are %d processes, there is no process %d", p->n_processes, number);
    struct weir_seat seat = weir_placement_place(&p->grid, number);
    int slot = slot_of(p, number), gpu = p->spots.spots[slot].gpu;
    const struct numbers *n = &p->numbers[slot];
    const struct weir_placement_process own = {
        .replica = seat.replica, .rank = seat.rank, .host = number / p->per_host, .cores = n->cores, .cpus = n->cpus,
        .numa_nodes = n->numa_nodes, .packages = n->packages, .n_cores = n->n_cores, .n_cpus = n->n_cpus,
        .n_numa_nodes = n->n_numa_nodes, .n_packages = n->n_packages, .gpu = gpu,
        .gpu_address = gpu < 0 ? NULL : p->machine.gpus[gpu].address, .gpu_name = gpu < 0 ? "" : p->machine.gpus[gpu].name};
    weir_grown_give(&own, sizeof own, process_out, process_bytes);
    return WEIR_OK;
}
