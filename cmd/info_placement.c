/* weir info --placement: which process of a run plays what, and on which cores and GPU of its host. */
#include <stdio.h>

#include "base/arena.h"
#include "base/text.h"
#include "cmd/info_shared.h"
#include "cmd/json_out.h"
#include "cmd/paths.h"
#include "cmd/schedule_auto.h"
#include "cmd/synonyms.h"
#include "include/weir/info.h"
#include "include/weir/weir.h"

enum { MOST_PER_HOST = 4096 };

struct mapping {
    struct weir_arena arena;
    struct weir_schedule schedule;
    weir_placement *placement;
    struct weir_placement_info info;
};

/* Numbers of a rank's cores: of the cores, of their hardware threads, NUMA nodes or packages. */
enum quantity { CORES, CPUS, NUMA_NODES, PACKAGES, N_QUANTITIES };
static const char *const quantity_names[N_QUANTITIES] = {"cores", "cpus", "numa_nodes", "packages"};

static int quantity_of(const struct weir_placement_process *process, enum quantity what, const int **list_out)
{
    const int *lists[] = {process->cores, process->cpus, process->numa_nodes, process->packages};
    const int counts[] = {process->n_cores, process->n_cpus, process->n_numa_nodes, process->n_packages};
    *list_out = lists[what];
    return counts[what];
}

static json_t *quantity_json(const struct weir_placement_process *process, enum quantity what)
{
    const int *numbers;
    int n = quantity_of(process, what, &numbers);
    json_t *list = json_array();
    for (int i = 0; i < n; i++)
        json_array_append_new(list, json_integer(numbers[i]));
    return list;
}

/* "0-3,8", "-" when empty. */
static void quantity_print(const struct weir_placement_process *process, enum quantity what, int width)
{
    struct weir_text text = {0};
    const int *numbers;
    int n = quantity_of(process, what, &numbers);
    for (int i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && numbers[end] == numbers[i] + end - i;)
            end++;
        weir_text_append(&text, "%s%d", i ? "," : "", numbers[i]);
        if (end - i > 1)
            weir_text_append(&text, "-%d", numbers[i] + end - i - 1);
    }
    printf("  %-*s", width, text.data && !text.status ? text.data : "-");
    weir_text_release(&text);
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
    static const char *const orders[] = {"cluster", "spread", NULL};
    struct weir_placement_request request;
    int order;
    weir_placement_request_init(&request, sizeof request);
    weir_status status = weir_name_find("placement", o->order, orders, &order);
    if (!status)
        status = mapping_schedule(o, m);
    if (status)
        return status;
    request.order = o->order;
    request.n_ranks = m->schedule.n_ranks;
    request.n_replicas = (int)o->replicas;
    if ((int64_t)request.n_ranks * request.n_replicas > INT32_MAX)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%d replicas of %d ranks are too many", request.n_replicas, request.n_ranks);
    int n_processes = request.n_ranks * request.n_replicas;
    request.per_host = o->ranks_per_host && o->ranks_per_host < n_processes ? (int)o->ranks_per_host : n_processes;
    if (request.per_host > MOST_PER_HOST)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%d ranks on one host are more than %d: give --ranks-per-host", request.per_host,
                         MOST_PER_HOST);
    request.threads_per_rank = (int)o->threads;
    request.machine = o->topology;
    status = weir_placement_find(&request, &m->placement);
    if (!status)
        weir_placement_info(m->placement, &m->info);
    return status;
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
    const struct weir_placement_info *i = &m->info;
    if (i->cores_shared)
        printf("cores are shared: %d rank%s of %d thread%s on %d core%s of a host (workers are not bound then)\n", i->per_host,
               i->per_host == 1 ? "" : "s", n_threads, n_threads == 1 ? "" : "s", i->host_cores, i->host_cores == 1 ? "" : "s");
    if (i->gpus_shared)
        printf("GPUs are shared: %d ranks on %d of a host\n", i->per_host, i->host_gpus);
}

static void table_print(const struct mapping *m, int n_threads)
{
    struct weir_placement_process process;
    printf("process  replica  rank  stages     host  cores       cpus        NUMA  package  GPU\n");
    for (int world = 0; world < m->info.n_processes && !weir_placement_process_get(m->placement, world, &process); world++) {
        printf("%7d  %7d  %4d", world, process.replica, process.rank);
        stages_print(m, process.rank);
        printf("  %4d", process.host);
        quantity_print(&process, CORES, 10);
        quantity_print(&process, CPUS, 10);
        quantity_print(&process, NUMA_NODES, 4);
        quantity_print(&process, PACKAGES, 7);
        printf("  %s%s%s\n", process.gpu_address ? process.gpu_address : "-", *process.gpu_name ? " " : "", process.gpu_name);
    }
    sharing_print(m, n_threads);
}

static json_t *process_json(const struct mapping *m, int world, const struct weir_placement_process *process)
{
    json_t *gpu = json_null();
    if (process->gpu >= 0)
        gpu = json_pack("{s:i, s:s, s:s}", "index", process->gpu, "address", process->gpu_address, "name", process->gpu_name);
    json_t *row = json_pack("{s:i, s:i, s:i, s:o, s:i}", "process", world, "replica", process->replica, "rank", process->rank, "stages",
                            stages_json(m, process->rank), "host", process->host);
    for (int what = 0; what < N_QUANTITIES; what++)
        json_object_set_new(row, quantity_names[what], quantity_json(process, (enum quantity)what));
    json_object_set_new(row, "gpu", gpu);
    return row;
}

static int json_print(const struct info_placement *o, const struct mapping *m)
{
    const struct weir_placement_info *i = &m->info;
    struct weir_placement_process process;
    json_t *rows = json_array();
    for (int world = 0; world < i->n_processes && !weir_placement_process_get(m->placement, world, &process); world++)
        json_array_append_new(rows, process_json(m, world, &process));
    json_t *root = json_pack("{s:s, s:i, s:i, s:i, s:i, s:b, s:b, s:o}", "placement", i->order, "replicas", (int)o->replicas, "ranks",
                             m->schedule.n_ranks, "host_cores", i->host_cores, "host_gpus", i->host_gpus, "cores_shared",
                             (int)i->cores_shared, "gpus_shared", (int)i->gpus_shared, "processes", rows);
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
        *code_out = json_print(options, &m);
    else if (!status)
        table_print(&m, (int)options->threads);
    weir_placement_close(m.placement);
    weir_arena_release(&m.arena);
    return status;
}
