/* Which cores this process may use: from hwloc where it is built in, else from the scheduler's set alone. */
#include "base/alloc.h"
#include "engine/device/cpu/cpu_device.h"
#include "engine/device/placement/placement_cores.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "weir_libraries.h"
#if WEIR_HAVE_HWLOC
#include <hwloc.h>
#include <hwloc/glibc-sched.h>
#endif

/* Without a topology every hardware thread counts as a core and none is preferred. */
static void cores_from_scheduler(struct weir_cpu_cores *cores)
{
    *cores = (struct weir_cpu_cores){0};
    if (sched_getaffinity(0, sizeof cores->allowed, cores->allowed) == 0)
        cores->n = CPU_COUNT_S(sizeof cores->allowed, cores->allowed);
    if (cores->n < 1)
        cores->n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (cores->n < 1)
        cores->n = 1;
}

#if WEIR_HAVE_HWLOC

/* Only what is asked below: loading everything takes several times as long. */
static int topology_open(hwloc_topology_t *topology_out)
{
    if (access("/sys/devices/system/cpu", R_OK) != 0 || hwloc_topology_init(topology_out) != 0)
        return -1; /* hwloc would say on stderr that the kernel's description is missing */
    /* the x86 component moves this thread over every core, which waits for each of them on a busy machine */
    hwloc_topology_set_components(*topology_out, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
    hwloc_topology_set_all_types_filter(*topology_out, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(*topology_out, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(*topology_out, HWLOC_OBJ_PACKAGE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(*topology_out, HWLOC_OBJ_L3CACHE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_type_filter(*topology_out, HWLOC_OBJ_GROUP, HWLOC_TYPE_FILTER_KEEP_STRUCTURE);
    if (hwloc_topology_load(*topology_out) == 0)
        return 0;
    hwloc_topology_destroy(*topology_out);
    return -1;
}

/* The next core after `core` that shares a hardware thread with `allowed`, or NULL. */
static hwloc_obj_t core_next(hwloc_topology_t topology, hwloc_const_cpuset_t allowed, hwloc_obj_t core)
{
    hwloc_obj_type_t type =
        hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    do
        core = hwloc_get_next_obj_by_type(topology, type, core);
    while (core && !hwloc_bitmap_intersects(core->cpuset, allowed));
    return core;
}

/* Hardware threads of n_wanted cores from number `first` on, in the order in which cores are dealt out to ranks of so many
 * threads.  false: no memory. */
static bool cores_pick(hwloc_topology_t topology, hwloc_const_cpuset_t allowed, int n, int first, int n_wanted,
                       hwloc_bitmap_t chosen)
{
    hwloc_obj_t *cores = NULL, core = NULL;
    int *near = NULL;
    if (!weir_alloc((size_t)n, sizeof(hwloc_obj_t), &cores) && !weir_alloc((size_t)n, 3 * sizeof *near, &near)) {
        for (int i = 0; (core = core_next(topology, allowed, core)); i++) {
            cores[i] = core;
            near[i] = i > 0 ? hwloc_get_common_ancestor_obj(topology, cores[i - 1], core)->depth : 0;
        }
        weir_placement_cores_order(near, n, n_wanted, near + n, near + 2 * n);
        for (int i = 0; i < n_wanted && i < n; i++)
            hwloc_bitmap_or(chosen, chosen, cores[near[n + (first + i) % n]]->cpuset);
    }
    bool picked = near != NULL;
    weir_free(near);
    weir_free(cores);
    return picked;
}

static void cores_choose(hwloc_topology_t topology, int first, int n_wanted, struct weir_cpu_cores *cores)
{
    int n = 0;
    hwloc_bitmap_t set = hwloc_bitmap_alloc(), chosen = hwloc_bitmap_alloc();
    if (!set || !chosen || hwloc_cpuset_from_glibc_sched_affinity(topology, set, cores->allowed, sizeof cores->allowed) != 0)
        goto free_set;
    for (hwloc_obj_t core = NULL; (core = core_next(topology, set, core));)
        n++;
    if (n < 1)
        goto free_set;
    cores->n = n;
    if (!cores_pick(topology, set, n, first, n_wanted, chosen))
        goto free_set;
    hwloc_bitmap_and(chosen, chosen, set);
    cores->bindable = hwloc_cpuset_to_glibc_sched_affinity(topology, chosen, cores->chosen, sizeof cores->chosen) == 0;
free_set:
    hwloc_bitmap_free(chosen);
    hwloc_bitmap_free(set);
}

void weir_cpu_cores_find(int first, int n, struct weir_cpu_cores *cores_out)
{
    hwloc_topology_t topology;
    cores_from_scheduler(cores_out);
    if (topology_open(&topology) != 0)
        return;
    cores_choose(topology, first, n, cores_out);
    hwloc_topology_destroy(topology);
}

weir_status weir_cpu_describe(char *text, size_t bytes)
{
    struct weir_cpu_cores cores;
    hwloc_topology_t topology;
    cores_from_scheduler(&cores);
    if (topology_open(&topology) != 0) {
        snprintf(text, bytes, "%d core%s (the topology cannot be read)", cores.n, cores.n == 1 ? "" : "s");
        return WEIR_OK;
    }
    cores_choose(topology, 0, 1, &cores);
    int n_nodes = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
    hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
    const char *model = package ? hwloc_obj_get_info_by_name(package, "CPUModel") : NULL;
    snprintf(text, bytes, "%d core%s, %d NUMA node%s%s%s", cores.n, cores.n == 1 ? "" : "s", n_nodes,
             n_nodes == 1 ? "" : "s", model ? ", " : "", model ? model : "");
    hwloc_topology_destroy(topology);
    return WEIR_OK;
}

#else

void weir_cpu_cores_find(int first, int n, struct weir_cpu_cores *cores_out)
{
    (void)first, (void)n;
    cores_from_scheduler(cores_out);
}

weir_status weir_cpu_describe(char *text, size_t bytes)
{
    struct weir_cpu_cores cores;
    cores_from_scheduler(&cores);
    snprintf(text, bytes, "%d core%s (built without hwloc)", cores.n, cores.n == 1 ? "" : "s");
    return WEIR_OK;
}

#endif

int weir_cpu_cores(void)
{
    struct weir_cpu_cores cores;
    weir_cpu_cores_find(0, 1, &cores);
    return cores.n;
}
