/* Which cores this process may use: from hwloc where it is built in, else from the scheduler's set alone. */
#include "engine/device/cpu_device.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "weir_parts.h"
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
    if (hwloc_topology_load(*topology_out) == 0)
        return 0;
    hwloc_topology_destroy(*topology_out);
    return -1;
}

/* The `index`-th of the cores that share a hardware thread with `allowed` (all of them counted: index < 0). */
static hwloc_obj_t core_find(hwloc_topology_t topology, hwloc_const_cpuset_t allowed, int index, int *n_out)
{
    int n = 0;
    hwloc_obj_t core = NULL;
    hwloc_obj_type_t type =
        hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    while ((core = hwloc_get_next_obj_by_type(topology, type, core))) {
        if (!hwloc_bitmap_intersects(core->cpuset, allowed))
            continue;
        if (n++ == index)
            break;
    }
    *n_out = n;
    return core;
}

static void cores_choose(hwloc_topology_t topology, int first, int n_wanted, struct weir_cpu_cores *cores)
{
    int n, ignored;
    hwloc_bitmap_t set = hwloc_bitmap_alloc(), chosen = hwloc_bitmap_alloc();
    if (!set || !chosen || hwloc_cpuset_from_glibc_sched_affinity(topology, set, cores->allowed, sizeof cores->allowed) != 0)
        goto free_set;
    core_find(topology, set, -1, &n);
    if (n < 1)
        goto free_set;
    cores->n = n;
    for (int i = 0; i < n_wanted && i < n; i++)
        hwloc_bitmap_or(chosen, chosen, core_find(topology, set, (first + i) % n, &ignored)->cpuset);
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
