/* Dealing out the cores and GPUs of a host. */
#include "engine/device/placement/placement_cores.h"

#include <string.h>

/* ---- the order of cores --------------------------------------------------------------------------------------------- */

struct dealing {
    const int *near;
    int n_threads, n_ordered, n_left;
    int *order; /* [n_ordered] */
    int *left;  /* [n_left]: visited, with no rank yet */
};

/* One rank of what was left over since there were `mark`. */
static void left_over_take(struct dealing *d, int mark)
{
    memcpy(d->order + d->n_ordered, d->left + mark, (size_t)d->n_threads * sizeof *d->left);
    d->n_ordered += d->n_threads;
    d->n_left -= d->n_threads;
    memmove(d->left + mark, d->left + mark + d->n_threads, (size_t)(d->n_left - mark) * sizeof *d->left);
}

/* Depth of the smallest part that holds cores first..end-1. */
static int part_depth(const struct dealing *d, int first, int end)
{
    int depth = d->near[first + 1];
    for (int i = first + 2; i < end; i++)
        depth = d->near[i] < depth ? d->near[i] : depth;
    return depth;
}

/* Part by part, what is left of each joins the others. */
static void part_order(struct dealing *d, int first, int end)
{
    if (end - first == 1) {
        d->left[d->n_left++] = first;
        return;
    }
    int depth = part_depth(d, first, end), mark = d->n_left;
    for (int at = first, next; at < end; at = next) {
        for (next = at + 1; next < end && d->near[next] > depth;)
            next++;
        part_order(d, at, next);
        if (d->n_left - mark >= d->n_threads)
            left_over_take(d, mark);
    }
}

void weir_placement_cores_order(const int *near, int n_cores, int n_threads, int *order_out, int *scratch)
{
    struct dealing d = {.near = near, .n_threads = n_threads, .order = order_out, .left = scratch};
    if (n_cores < 1)
        return;
    part_order(&d, 0, n_cores);
    memcpy(d.order + d.n_ordered, d.left, (size_t)d.n_left * sizeof *d.left);
}

/* ---- GPUs ------------------------------------------------------------------------------------------------------------ */

/* After each GPU the one with the fastest link to it that is not in the row yet; the lowest of equals. */
static void gpus_order(const struct weir_machine *machine, int *row)
{
    int n = machine->n_gpus;
    for (int i = 0; i < n; i++)
        row[i] = i;
    for (int i = 1; i < n; i++) {
        const int64_t *links = machine->gpu_links + (int64_t)row[i - 1] * n;
        int best = i;
        for (int k = i + 1; k < n; k++)
            if (links[row[k]] > links[row[best]])
                best = k;
        int gpu = row[best];
        for (int k = best; k > i; k--) /* the others stay in their order */
            row[k] = row[k - 1];
        row[i] = gpu;
    }
}

/* ---- spots ----------------------------------------------------------------------------------------------------------- */

static bool beside(const struct weir_machine_gpu *gpu, int core)
{
    return gpu && core >= gpu->first_core && core < gpu->first_core + gpu->n_cores;
}

/* The least used core of `order`, one beside `gpu` before others; the first of equals. */
static int core_choose(const struct weir_machine *machine, const struct weir_machine_gpu *gpu, const int *order, const int *uses)
{
    int best = order[0];
    for (int i = 1; i < machine->n_cores; i++) {
        int core = order[i];
        if (uses[core] < uses[best] || (uses[core] == uses[best] && beside(gpu, core) && !beside(gpu, best)))
            best = core;
    }
    return best;
}

/* A core is used once by each rank: n_cores is at most the machine's, and the least used differ. */
static void spot_fill(const struct weir_machine *machine, const struct weir_spot *spot, const int *order, int *uses, int *cores)
{
    const struct weir_machine_gpu *gpu = spot->gpu < 0 ? NULL : &machine->gpus[spot->gpu];
    for (int i = 0; i < spot->n_cores; i++) {
        cores[i] = core_choose(machine, gpu, order, uses);
        uses[cores[i]]++;
    }
}

weir_status weir_placement_spots(const struct weir_machine *machine, int n_ranks, int n_threads, bool gpus,
                                 struct weir_arena *arena, struct weir_spots *out)
{
    int *near, *order, *uses, *row, *cores;
    struct weir_spot *spots;
    int n = machine->n_cores, each = n_threads < n ? n_threads : n, n_gpus = gpus ? machine->n_gpus : 0;
    if (n_ranks < 1 || n_threads < 1 || n < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%d ranks of %d threads on %d cores: each must be at least 1", n_ranks, n_threads, n);
    weir_status status = weir_arena_alloc(arena, (size_t)n, 4 * sizeof *near, &near);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)machine->n_gpus + 1, sizeof *row, &row);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_ranks * (size_t)each, sizeof *cores, &cores);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n_ranks, sizeof *spots, &spots);
    if (status)
        return status;
    order = near + n;
    uses = order + n;
    for (int i = 0; i < n; i++)
        near[i] = machine->cores[i].near;
    weir_placement_cores_order(near, n, n_threads, order, uses + n);
    gpus_order(machine, row);
    for (int i = 0; i < n_ranks; i++) {
        spots[i] = (struct weir_spot){each, n_gpus ? row[i % n_gpus] : -1, cores + (size_t)i * (size_t)each};
        spot_fill(machine, &spots[i], order, uses, cores + (size_t)i * (size_t)each);
    }
    *out = (struct weir_spots){.n = n_ranks, .spots = spots, .cores_shared = (int64_t)n_ranks * n_threads > n,
                               .gpus_shared = n_gpus && n_ranks > n_gpus};
    return WEIR_OK;
}

/* ---- slots ----------------------------------------------------------------------------------------------------------- */

/* Numbers of the order "cluster" go by replica and rank already. */
static int seat_number(const struct weir_placement_grid *grid, int world_rank)
{
    return weir_placement_place(grid, world_rank).replica * grid->n_ranks + weir_placement_place(grid, world_rank).rank;
}

int weir_placement_slot(const struct weir_placement_grid *grid, const int *world_ranks, int n_local, int local)
{
    int mine = seat_number(grid, world_ranks[local]), slot = 0;
    for (int i = 0; i < n_local; i++)
        slot += seat_number(grid, world_ranks[i]) < mine;
    return slot;
}
