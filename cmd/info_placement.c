/* weir info --placement: which process of a run plays what, and on which cores and GPU of its host. */
#include <stdio.h>

#include "base/text.h"
#include "cmd/info_shared.h"
#include "cmd/json_out.h"
#include "cmd/paths.h"
#include "cmd/schedule_auto.h"
#include "cmd/synonyms.h"
#include "engine/device/placement/placement_cores.h"
#include "include/weir/weir.h"

enum { MOST_PER_HOST = 4096 };

struct mapping {
    struct weir_arena arena;
    struct weir_placement_grid grid;
    struct weir_schedule schedule;
    struct weir_machine machine;
    struct weir_spots spots; /* of a full host */
    int n_processes, per_host;
};

/* Numbers of a rank's cores: of the cores, of their hardware threads, NUMA nodes or packages. */
enum quantity { CORES, CPUS, NUMA_NODES, PACKAGES, N_QUANTITIES };
static const char *const quantity_names[N_QUANTITIES] = {"cores", "cpus", "numa_nodes", "packages"};

static bool list_has(const json_t *list, int number)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_integer_value(json_array_get(list, i)) == number)
            return true;
    return false;
}

static void number_add(json_t *list, int number)
{
    if (number >= 0 && !list_has(list, number))
        json_array_append_new(list, json_integer(number));
}

static json_t *quantity_json(const struct weir_machine *machine, const struct weir_spot *spot, enum quantity what)
{
    json_t *list = json_array();
    for (int i = 0; i < spot->n_cores; i++) {
        const struct weir_machine_core *core = &machine->cores[spot->cores[i]];
        for (int k = 0; k < core->n_cpus && what == CPUS; k++)
            number_add(list, core->cpus[k]);
        if (what != CPUS)
            number_add(list, what == CORES ? core->number : what == NUMA_NODES ? core->numa : core->package);
    }
    return list;
}

/* "0-3,8", "-" when empty. */
static void quantity_print(const struct weir_machine *machine, const struct weir_spot *spot, enum quantity what, int width)
{
    struct weir_text text = {0};
    json_t *list = quantity_json(machine, spot, what);
    for (size_t i = 0, n = json_array_size(list), end; i < n; i = end) {
        int first = (int)json_integer_value(json_array_get(list, i));
        for (end = i + 1; end < n && json_integer_value(json_array_get(list, end)) == first + (int)(end - i);)
            end++;
        weir_text_append(&text, "%s%d", i ? "," : "", first);
        if (end - i > 1)
            weir_text_append(&text, "-%d", first + (int)(end - i) - 1);
    }
    printf("  %-*s", width, text.data && !text.status ? text.data : "-");
    weir_text_release(&text);
    json_decref(list);
}

/* ---- the mapping ---------------------------------------------------------------------------------------------------- */

/* Only which rank holds which stage is asked of the schedule. */
static weir_status mapping_schedule(const struct info_placement *o, struct mapping *m)
{
    const char *name = o->schedule ? schedule_understood(o->schedule) : o->chunks > 1 ? "interleaved" : "1f1b";
    bool file = weir_pipeline_is_file(name);
    if (schedule_is_auto(name) && o->chunks > 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "which rank gets which stage of auto with %d chunks is known when it is made: write it with "
                         "'weir schedule make auto -o FILE', and give --schedule FILE", (int)o->chunks);
    if (schedule_is_auto(name))
        name = "1f1b"; /* of one chunk: a rank has the stage of its number */
    int stages = o->stages_given || !file ? (int)o->stages : 0;
    return weir_pipeline_schedule(name, stages, (int)o->chunks, file ? 0 : 2 * stages, &m->arena, &m->schedule);
}

static weir_status mapping_make(const struct info_placement *o, struct mapping *m)
{
    weir_status status = weir_placement_order_find(o->order, &m->grid.order);
    if (!status)
        status = mapping_schedule(o, m);
    if (status)
        return status;
    m->grid.n_ranks = m->schedule.n_ranks;
    m->grid.n_replicas = (int)o->replicas;
    if ((int64_t)m->grid.n_ranks * m->grid.n_replicas > INT32_MAX)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%d replicas of %d ranks are too many", m->grid.n_replicas, m->grid.n_ranks);
    m->n_processes = m->grid.n_ranks * m->grid.n_replicas;
    m->per_host = o->ranks_per_host && o->ranks_per_host < m->n_processes ? (int)o->ranks_per_host : m->n_processes;
    if (m->per_host > MOST_PER_HOST)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%d ranks on one host are more than %d: give --ranks-per-host", m->per_host,
                         MOST_PER_HOST);
    status = weir_machine_read(o->topology, &m->arena, &m->machine);
    return status ? status
                  : weir_placement_spots(&m->machine, m->per_host, (int)o->threads, true, &m->arena, &m->spots);
}

/* Hosts are filled one after the other; the last may have fewer ranks. */
static const struct weir_spot *spot_of(const struct mapping *m, int world, int *host_out)
{
    int first = world - world % m->per_host, worlds[MOST_PER_HOST];
    int n = m->n_processes - first < m->per_host ? m->n_processes - first : m->per_host;
    for (int i = 0; i < n; i++)
        worlds[i] = first + i;
    *host_out = world / m->per_host;
    return &m->spots.spots[weir_placement_slot(&m->grid, worlds, n, world - first)];
}

/* With two copies of the weights a stage is on two ranks, which their lists tell. */
static bool holds(const struct mapping *m, int rank, int stage)
{
    const struct weir_schedule_rank *list = &m->schedule.ranks[rank];
    bool found = m->schedule.stage_rank[stage] == rank;
    for (size_t a = 0; a < list->n_actions && !found && m->schedule.n_copies > 1; a++)
        found = list->actions[a].stage == stage;
    return found;
}

static json_t *stages_json(const struct mapping *m, int rank)
{
    json_t *list = json_array();
    for (int stage = 0; stage < m->schedule.n_stages; stage++)
        if (holds(m, rank, stage))
            json_array_append_new(list, json_integer(stage));
    return list;
}

/* ---- output --------------------------------------------------------------------------------------------------------- */

static void stages_print(const struct mapping *m, int rank)
{
    struct weir_text text = {0};
    for (int stage = 0; stage < m->schedule.n_stages; stage++)
        if (holds(m, rank, stage))
            weir_text_append(&text, "%s%d", text.length ? "," : "", stage);
    printf("  %-9s", text.data && !text.status ? text.data : "-");
    weir_text_release(&text);
}

static void sharing_print(const struct mapping *m, int n_threads)
{
    if (m->spots.cores_shared)
        printf("cores are shared: %d rank%s of %d thread%s on %d core%s of a host (workers are not bound then)\n", m->per_host,
               m->per_host == 1 ? "" : "s", n_threads, n_threads == 1 ? "" : "s", m->machine.n_cores,
               m->machine.n_cores == 1 ? "" : "s");
    if (m->spots.gpus_shared)
        printf("GPUs are shared: %d ranks on %d of a host\n", m->per_host, m->machine.n_gpus);
}

static void table_print(const struct mapping *m, int n_threads)
{
    printf("process  replica  rank  stages     host  cores       cpus        NUMA  package  GPU\n");
    for (int world = 0; world < m->n_processes; world++) {
        int host;
        const struct weir_spot *spot = spot_of(m, world, &host);
        const struct weir_machine_gpu *gpu = spot->gpu < 0 ? NULL : &m->machine.gpus[spot->gpu];
        int rank = weir_placement_place(&m->grid, world).rank;
        printf("%7d  %7d  %4d", world, weir_placement_place(&m->grid, world).replica, rank);
        stages_print(m, rank);
        printf("  %4d", host);
        quantity_print(&m->machine, spot, CORES, 10);
        quantity_print(&m->machine, spot, CPUS, 10);
        quantity_print(&m->machine, spot, NUMA_NODES, 4);
        quantity_print(&m->machine, spot, PACKAGES, 7);
        printf("  %s%s%s\n", gpu ? gpu->address : "-", gpu && *gpu->name ? " " : "", gpu ? gpu->name : "");
    }
    sharing_print(m, n_threads);
}

static json_t *process_json(const struct mapping *m, int world)
{
    int host;
    const struct weir_spot *spot = spot_of(m, world, &host);
    int rank = weir_placement_place(&m->grid, world).rank;
    json_t *gpu = json_null();
    if (spot->gpu >= 0)
        gpu = json_pack("{s:i, s:s, s:s}", "index", spot->gpu, "address", m->machine.gpus[spot->gpu].address, "name",
                        m->machine.gpus[spot->gpu].name);
    json_t *row = json_pack("{s:i, s:i, s:i, s:o, s:i}", "process", world, "replica",
                            weir_placement_place(&m->grid, world).replica, "rank", rank, "stages", stages_json(m, rank),
                            "host", host);
    for (int what = 0; what < N_QUANTITIES; what++)
        json_object_set_new(row, quantity_names[what], quantity_json(&m->machine, spot, (enum quantity)what));
    json_object_set_new(row, "gpu", gpu);
    return row;
}

static int json_print(const struct mapping *m)
{
    json_t *rows = json_array();
    for (int world = 0; world < m->n_processes; world++)
        json_array_append_new(rows, process_json(m, world));
    json_t *root = json_pack("{s:s, s:i, s:i, s:i, s:i, s:b, s:b, s:o}", "placement", weir_placement_order_str(m->grid.order),
                             "replicas", m->grid.n_replicas, "ranks", m->grid.n_ranks, "host_cores", m->machine.n_cores,
                             "host_gpus", m->machine.n_gpus, "cores_shared", m->spots.cores_shared, "gpus_shared",
                             m->spots.gpus_shared, "processes", rows);
    return options_report("info", json_out(root));
}

weir_status info_placement_print(const struct info_placement *options, bool json, int *code_out)
{
    struct mapping m = {0};
    struct paths paths = {0};
    paths_read(&paths, "--schedule", options->schedule);
    paths_read(&paths, "--topology", options->topology);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    if (!status)
        status = mapping_make(options, &m);
    *code_out = 0;
    if (!status && json)
        *code_out = json_print(&m);
    else if (!status)
        table_print(&m, (int)options->threads);
    weir_arena_release(&m.arena);
    return status;
}
