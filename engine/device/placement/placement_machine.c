/* Reading a machine: from hwloc into plain lists. */
#include "engine/device/placement/placement_cores.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "weir_libraries.h"

#if WEIR_HAVE_HWLOC
#include <hwloc.h>
#include <hwloc/glibc-sched.h>

enum { PCI_DISPLAY = 0x03, PCI_VGA = 0x0300, PCI_NVIDIA = 0x10de, DEPTH_BITS = 8, MOST_CPUS = 1 << 13, LARGEST_XML = 1 << 28 };

struct reading {
    hwloc_topology_t topology;
    hwloc_bitmap_t allowed; /* hardware threads that count */
    struct weir_arena *arena;
    struct weir_machine machine;
    struct weir_machine_core *cores;
    struct weir_machine_gpu *gpus;
    hwloc_obj_t *devices; /* of the GPUs */
};

/* ---- opening -------------------------------------------------------------------------------------------------------- */

static bool is_synthetic(const char *source)
{
    return strchr(source, ':') && !strchr(source, '/');
}

static weir_status xml_set(hwloc_topology_t topology, const char *path)
{
    char *text;
    size_t bytes;
    weir_status status = weir_file_read(path, LARGEST_XML, &text, &bytes);
    if (status)
        return weir_error_prefix(status, "topology: ");
    if (hwloc_topology_set_xmlbuffer(topology, text, (int)bytes + 1) != 0)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is no topology in hwloc's XML, as lstopo writes it", path);
    weir_free(text);
    return status;
}

static weir_status source_set(hwloc_topology_t topology, const char *source)
{
    if (is_synthetic(source))
        return hwloc_topology_set_synthetic(topology, source) == 0
                   ? WEIR_OK
                   : WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is no topology in hwloc's synthetic form, like 'pack:2 numa:1 core:4 pu:2'",
                               source);
    return xml_set(topology, source);
}

static weir_status load_failed(const char *source)
{
    if (!source)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "the topology of this machine cannot be read: give one with " WEIR_OPTION("topology"));
    return WEIR_FAIL(WEIR_ERR_INVALID,
                     "'%s' is no topology that hwloc %d.%d can read: a newer hwloc writes the older form with lstopo's "
                     "export flags v2",
                     source, HWLOC_API_VERSION >> 16, HWLOC_API_VERSION >> 8 & 0xff);
}

static weir_status topology_open(const char *source, hwloc_topology_t *topology_out)
{
    hwloc_topology_t topology;
    if (!source && access("/sys/devices/system/cpu", R_OK) != 0)
        return load_failed(source); /* hwloc would say on stderr that the kernel's description is missing */
    if (hwloc_topology_init(&topology) != 0)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "hwloc cannot start");
    weir_status status = source ? source_set(topology, source) : WEIR_OK;
    /* x86 moves this thread over every core, opencl and gl start drivers, pci leaks what the kernel's files say too */
    static const char *const unwanted[] = {"x86", "opencl", "gl", "pci"};
    for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++)
        hwloc_topology_set_components(topology, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, unwanted[i]);
    hwloc_topology_set_io_types_filter(topology, HWLOC_TYPE_FILTER_KEEP_IMPORTANT);
    if (!status && hwloc_topology_load(topology) != 0)
        status = load_failed(source);
    if (status)
        hwloc_topology_destroy(topology);
    else
        *topology_out = topology;
    return status;
}

/* Of this machine those that this process may use, of another one all. */
static weir_status allowed_find(struct reading *r)
{
    cpu_set_t set[MOST_CPUS / CPU_SETSIZE];
    r->allowed = hwloc_bitmap_dup(hwloc_topology_get_allowed_cpuset(r->topology));
    if (!r->allowed)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "hwloc has no memory for a set of cores");
    if (!hwloc_topology_is_thissystem(r->topology) || sched_getaffinity(0, sizeof set, set) != 0)
        return WEIR_OK;
    hwloc_bitmap_t mine = hwloc_bitmap_alloc();
    if (mine && hwloc_cpuset_from_glibc_sched_affinity(r->topology, mine, set, sizeof set) == 0 &&
        hwloc_bitmap_intersects(mine, r->allowed))
        hwloc_bitmap_and(r->allowed, r->allowed, mine);
    hwloc_bitmap_free(mine);
    return WEIR_OK;
}

/* ---- cores ---------------------------------------------------------------------------------------------------------- */

static weir_status core_read(struct reading *r, hwloc_obj_t core, hwloc_obj_t before, struct weir_machine_core *out)
{
    hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(r->topology, HWLOC_OBJ_PACKAGE, core);
    hwloc_bitmap_t set = hwloc_bitmap_dup(core->cpuset);
    int *cpus = NULL, n = 0;
    if (!set)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "hwloc has no memory for a set of cores");
    hwloc_bitmap_and(set, set, r->allowed);
    weir_status status = weir_arena_alloc(r->arena, (size_t)hwloc_bitmap_weight(set), sizeof *cpus, &cpus);
    for (int cpu = hwloc_bitmap_first(set); !status && cpu >= 0; cpu = hwloc_bitmap_next(set, cpu))
        cpus[n++] = cpu;
    hwloc_bitmap_free(set);
    *out = (struct weir_machine_core){.number = (int)core->logical_index,
                                      .near = before ? hwloc_get_common_ancestor_obj(r->topology, before, core)->depth : 0,
                                      .numa = hwloc_bitmap_first(core->nodeset),
                                      .package = package ? (int)package->logical_index : -1,
                                      .n_cpus = n,
                                      .cpus = cpus};
    return status;
}

static weir_status cores_read(struct reading *r)
{
    hwloc_obj_type_t type = hwloc_get_nbobjs_by_type(r->topology, HWLOC_OBJ_CORE) > 0 ? HWLOC_OBJ_CORE : HWLOC_OBJ_PU;
    int most = hwloc_get_nbobjs_by_type(r->topology, type);
    weir_status status = most > 0 ? weir_arena_alloc(r->arena, (size_t)most, sizeof *r->cores, &r->cores)
                                  : WEIR_FAIL(WEIR_ERR_INVALID, "the topology has no cores");
    hwloc_obj_t core = NULL, before = NULL;
    while (!status && (core = hwloc_get_next_obj_by_type(r->topology, type, core))) {
        if (!hwloc_bitmap_intersects(core->cpuset, r->allowed))
            continue;
        status = core_read(r, core, before, &r->cores[r->machine.n_cores++]);
        before = core;
    }
    r->machine.cores = r->cores;
    return status;
}

/* ---- GPUs ----------------------------------------------------------------------------------------------------------- */

/* The name that a driver gives the device: CUDA's before NVML's before ROCm's. */
static const char *driver_name(hwloc_obj_t device)
{
    static const char *const drivers[] = {"cuda", "nvml", "rsmi"};
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++)
        for (hwloc_obj_t child = device->io_first_child; child; child = child->next_sibling)
            if (child->name && !strncmp(child->name, drivers[i], strlen(drivers[i])))
                return child->name;
    return "";
}

/* A display that computes.  Screens of servers are VGA too, without a driver that computes; NVIDIA's cards for desktops
 * are VGA and compute.  (PCI class codes: 0300 VGA, 0302 3D, 0380 other.) */
static bool is_gpu(hwloc_obj_t device)
{
    const struct hwloc_pcidev_attr_s *pci = &device->attr->pcidev;
    if (pci->class_id >> 8 != PCI_DISPLAY)
        return false;
    return pci->class_id != PCI_VGA || pci->vendor_id == PCI_NVIDIA || *driver_name(device);
}

/* The cores of the part of the machine that the device hangs on follow each other. */
static void cores_beside(const struct reading *r, hwloc_obj_t device, struct weir_machine_gpu *gpu)
{
    hwloc_obj_t part = hwloc_get_non_io_ancestor_obj(r->topology, device);
    for (int i = 0; i < r->machine.n_cores; i++) {
        if (!hwloc_bitmap_isset(part->cpuset, (unsigned)r->cores[i].cpus[0]))
            continue;
        gpu->first_core = gpu->n_cores ? gpu->first_core : i;
        gpu->n_cores = i + 1 - gpu->first_core;
    }
}

static weir_status gpu_read(struct reading *r, hwloc_obj_t device)
{
    const struct hwloc_pcidev_attr_s *pci = &device->attr->pcidev;
    struct weir_machine_gpu *gpu = &r->gpus[r->machine.n_gpus];
    r->devices[r->machine.n_gpus++] = device;
    cores_beside(r, device, gpu);
    weir_status status = weir_arena_printf(r->arena, &gpu->address, "%04x:%02x:%02x.%01x", (unsigned)pci->domain,
                                           (unsigned)pci->bus, (unsigned)pci->dev, (unsigned)pci->func);
    return status ? status : weir_arena_strdup(r->arena, driver_name(device), &gpu->name);
}

static int depth_of(hwloc_obj_t object)
{
    int depth = 0;
    while ((object = object->parent))
        depth++;
    return depth;
}

/* How deep in the tree the smallest bridge or part is that has both. */
static int bridge_depth(hwloc_obj_t a, hwloc_obj_t b)
{
    while (a != b)
        if (depth_of(a) > depth_of(b))
            a = a->parent;
        else
            b = b->parent;
    return depth_of(a);
}

static int gpu_of(const struct reading *r, hwloc_obj_t object)
{
    for (int i = 0; object && i < r->machine.n_gpus; i++)
        if (object == r->devices[i] || object->parent == r->devices[i])
            return i;
    return -1;
}

/* Bandwidth counts before depth.  hwloc's matrix has switches and processors in it too. */
static void bandwidths_add(const struct reading *r, int64_t *links)
{
    struct hwloc_distances_s *matrix;
    unsigned n_found = 1;
    if (hwloc_distances_get_by_name(r->topology, "NVLinkBandwidth", &n_found, &matrix, 0) != 0 || n_found < 1)
        return;
    for (unsigned i = 0; i < matrix->nbobjs; i++)
        for (unsigned j = 0; j < matrix->nbobjs; j++) {
            int a = gpu_of(r, matrix->objs[i]), b = gpu_of(r, matrix->objs[j]);
            if (a >= 0 && b >= 0)
                links[a * r->machine.n_gpus + b] += (int64_t)matrix->values[i * matrix->nbobjs + j] << DEPTH_BITS;
        }
    hwloc_distances_release(r->topology, matrix);
}

static weir_status gpus_read(struct reading *r)
{
    size_t most = 0;
    int64_t *links;
    hwloc_obj_t device = NULL;
    while ((device = hwloc_get_next_pcidev(r->topology, device)))
        most++;
    weir_status status = weir_arena_alloc(r->arena, most, sizeof *r->gpus, &r->gpus);
    if (!status)
        status = weir_arena_alloc(r->arena, most, sizeof(hwloc_obj_t), &r->devices);
    while (!status && (device = hwloc_get_next_pcidev(r->topology, device)))
        if (is_gpu(device))
            status = gpu_read(r, device);
    int n = r->machine.n_gpus;
    if (!status)
        status = weir_arena_alloc(r->arena, (size_t)n * (size_t)n, sizeof *links, &links);
    if (status)
        return status;
    for (int i = 0; i < n * n; i++)
        links[i] = bridge_depth(r->devices[i / n], r->devices[i % n]);
    bandwidths_add(r, links);
    r->machine.gpus = r->gpus;
    r->machine.gpu_links = links;
    return WEIR_OK;
}

weir_status weir_machine_read(const char *source, struct weir_arena *arena, struct weir_machine *out)
{
    struct reading r = {.arena = arena};
    weir_status status = topology_open(source, &r.topology);
    if (status)
        return status;
    status = allowed_find(&r);
    if (!status)
        status = cores_read(&r);
    if (!status)
        status = gpus_read(&r);
    if (!status)
        *out = r.machine;
    hwloc_bitmap_free(r.allowed);
    hwloc_topology_destroy(r.topology);
    return status;
}

#else

weir_status weir_machine_read(const char *source, struct weir_arena *arena, struct weir_machine *out)
{
    (void)source, (void)arena, (void)out;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "this build has no hwloc, which reads topologies: install it and build with "
                                           "-DWEIR_HWLOC=ON");
}

#endif
