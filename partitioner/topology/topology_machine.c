/* This machine: hwloc looks, and its XML is read as that of any other machine. */
#include <string.h>

#include "partitioner/topology/topology_maker.h"
#include "weir_libraries.h"

#if WEIR_HAVE_HWLOC
#include <hwloc.h>

static bool machine_open(hwloc_topology_t *topology_out)
{
    /* x86 moves this thread over every core, opencl and gl start drivers, pci leaks what the kernel's files say too */
    static const char *const unwanted[] = {"x86", "opencl", "gl", "pci"};
    if (hwloc_topology_init(topology_out) != 0)
        return false;
    for (size_t i = 0; i < sizeof unwanted / sizeof unwanted[0]; i++)
        hwloc_topology_set_components(*topology_out, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, unwanted[i]);
    hwloc_topology_set_io_types_filter(*topology_out, HWLOC_TYPE_FILTER_KEEP_ALL);
    if (hwloc_topology_load(*topology_out) == 0)
        return true;
    hwloc_topology_destroy(*topology_out);
    return false;
}

weir_status weir_topology_machine_read(struct weir_arena *arena, struct weir_topology *out)
{
    hwloc_topology_t topology;
    char *text;
    int bytes;
    weir_status status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "hwloc cannot read the topology of this machine: give a file or a text");
    if (!machine_open(&topology))
        return status;
    if (hwloc_topology_export_xmlbuffer(topology, &text, &bytes, 0) == 0) {
        weir_error_clear();
        status = weir_topology_hwloc_parse(text, "this", arena, out);
        hwloc_free_xmlbuffer(topology, text);
    }
    hwloc_topology_destroy(topology);
    if (!status)
        out->form = "this machine";
    return status;
}

#else

weir_status weir_topology_machine_read(struct weir_arena *arena, struct weir_topology *out)
{
    (void)arena, (void)out;
    return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "this build has no hwloc, which knows this machine: install it and build with -DWEIR_HWLOC=ON, "
                                           "or give a file or a text");
}

#endif
