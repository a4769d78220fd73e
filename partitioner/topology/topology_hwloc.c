/* hwloc's XML, of hwloc 2 and 3, read here: hwloc itself reads no file of a newer hwloc, and files come from other machines.  Of
 * the tree the parts above GPUs and network cards are kept; where there are no GPUs, the cores are the devices. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/xml.h"
#include "partitioner/topology/topology_maker.h"

/* hwloc has what the wire has; programs get about so much of it (NCCL counts 12 of 15.75 GB/s). */
#define PCI_SHARE 0.7617

enum { MOST_IN_MATRIX = 128 };

/* An object that the matrix of direct links may name: OSDev:802, PCIDev:449. */
struct named {
    const char *kind, *index;
    int part; /* of its device, -1: it has none */
};

struct reading {
    struct weir_topology_maker maker;
    const struct weir_xml_element *root;
    const char *name;
    struct named *named;
    size_t named_capacity;
    int n_named, node;
    bool takes_cores;
    double core_memory;
};

/* The parts above an object: made when the first device below asks for them. */
struct above {
    const struct weir_xml_element *element;
    struct above *up;
    int part; /* -1: not made yet */
};

/* ---- what an object is ------------------------------------------------------------------------------------------------ */

static const char *value_of(const struct weir_xml_element *object, const char *name)
{
    const char *value = weir_xml_value(object, name);
    return value ? value : "";
}

static bool is_object(const struct weir_xml_element *element, const char *type)
{
    return !strcmp(element->name, "object") && !strcmp(value_of(element, "type"), type);
}

static const char *info_of(const struct weir_xml_element *object, const char *name)
{
    for (const struct weir_xml_element *child = object->child; child; child = child->next)
        if (!strcmp(child->name, "info") && !strcmp(value_of(child, "name"), name))
            return weir_xml_value(child, "value");
    return NULL;
}

static double real_of(const char *text)
{
    double real = strtod(text, NULL);
    return isfinite(real) && real > 0 ? real : 0;
}

/* The child that a driver named, by how its name begins. */
static const struct weir_xml_element *driver_of(const struct weir_xml_element *pci, const char *begins)
{
    for (const struct weir_xml_element *child = pci->child; child; child = child->next)
        if (is_object(child, "OSDev") && !strncmp(value_of(child, "name"), begins, strlen(begins)))
            return child;
    return NULL;
}

/* pci_type is "0302 [10de:1db8] ...": class and vendor.  Screens of servers are VGA too, without a driver that computes. */
static bool is_gpu(const struct weir_xml_element *pci)
{
    static const char *const drivers[] = {"cuda", "nvml", "rsmi", "opencl"};
    const char *type = value_of(pci, "pci_type");
    if (!strncmp(type, "12", 2) || !strncmp(type, "0302", 4) || !strncmp(type, "0380", 4))
        return true;
    if (strncmp(type, "03", 2) != 0)
        return false;
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++)
        if (driver_of(pci, drivers[i]))
            return true;
    return strstr(type, "[10de:") != NULL;
}

/* What the card is called by who uses it for computing, before its name as a plain network. */
static const char *card_name(const struct weir_xml_element *pci)
{
    static const char *const drivers[] = {"mlx", "hfi", "qib", "bnxt_re", "ib", "hsn", "eth", "en", ""};
    if (strncmp(value_of(pci, "pci_type"), "02", 2) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++)
        if (driver_of(pci, drivers[i]))
            return value_of(driver_of(pci, drivers[i]), "name");
    return NULL;
}

/* "16671616KiB" */
static double memory_of(const struct weir_xml_element *pci)
{
    const struct weir_xml_element *cuda = driver_of(pci, "cuda");
    const char *text = cuda ? info_of(cuda, "CUDAGlobalMemorySize") : NULL;
    return text && strstr(text, "KiB") ? real_of(text) * 1024 : 0;
}

static double pci_rate(const struct weir_xml_element *object)
{
    double wire = real_of(value_of(object, "pci_link_speed"));
    return wire > 0 ? wire * 1e9 * PCI_SHARE : WEIR_TOPOLOGY_PCI;
}

/* hwloc 3 says the architecture of all, hwloc 2 of the machine. */
static double processor_rate(const struct reading *r, const struct weir_xml_element *package)
{
    const char *arch = info_of(r->root, "Architecture"), *family = info_of(package, "CPUFamilyNumber");
    const char *model = info_of(package, "CPUModelNumber");
    for (const struct weir_xml_element *child = r->root->child; child && !arch; child = child->next)
        arch = is_object(child, "Machine") ? info_of(child, "Architecture") : NULL;
    return weir_topology_cpu_rate(arch, info_of(package, "CPUVendor"), family ? atoi(family) : 0, model ? atoi(model) : 0);
}

/* ---- parts ------------------------------------------------------------------------------------------------------------ */

/* Packages and groups of the machine, bridges of PCI; all else above a device says nothing of links. */
static bool is_part(const struct weir_xml_element *object)
{
    return is_object(object, "Package") || is_object(object, "Group") ||
           (is_object(object, "Bridge") && !strncmp(value_of(object, "bridge_type"), "1-", 2));
}

/* A group is called by the first processor in it, where there is one. */
static const struct weir_xml_element *first_package(const struct weir_xml_element *group)
{
    for (const struct weir_xml_element *child = group->child; child; child = child->next)
        if (is_object(child, "Package"))
            return child;
    return group;
}

static weir_status part_make(struct reading *r, struct above *above, int *part_out)
{
    *part_out = above ? above->part : r->node;
    if (*part_out >= 0)
        return WEIR_OK;
    bool is_switch = is_object(above->element, "Bridge"), is_package = is_object(above->element, "Package");
    struct weir_topology_part part = {.kind = is_switch ? WEIR_TOPOLOGY_SWITCH : WEIR_TOPOLOGY_CPU, .latency = WEIR_TOPOLOGY_HOP};
    weir_status status = part_make(r, above->up, &part.above);
    if (!status)
        status = weir_arena_printf(r->maker.arena, &part.name, "%s %s", is_switch ? "switch" : is_package ? "cpu" : "group of cpu",
                                   value_of(is_switch || is_package ? above->element : first_package(above->element),
                                            is_switch ? "pci_busid" : "os_index"));
    part.bandwidth = is_switch ? pci_rate(above->element) : processor_rate(r, above->element);
    if (!status)
        status = weir_topology_add(&r->maker, &part, 0, &above->part);
    *part_out = above->part;
    return status;
}

static weir_status leaf_add(struct reading *r, struct above *above, struct weir_topology_part part, double memory, int *index_out)
{
    weir_status status = part_make(r, above, &part.above);
    part.latency = WEIR_TOPOLOGY_HOP;
    return status ? status : weir_topology_add(&r->maker, &part, memory, index_out);
}

static weir_status name_note(struct reading *r, const struct weir_xml_element *object, int part)
{
    weir_status status =
        weir_arena_grow(r->maker.arena, &r->named, &r->named_capacity, (size_t)r->n_named + 1, sizeof *r->named);
    if (!status)
        r->named[r->n_named++] = (struct named){value_of(object, "type"), value_of(object, "gp_index"), part};
    return status;
}

static weir_status pci_add(struct reading *r, const struct weir_xml_element *pci, struct above *above)
{
    struct weir_topology_part part = {.kind = WEIR_TOPOLOGY_DEVICE, .bandwidth = pci_rate(pci), .name = card_name(pci)};
    bool gpu = is_gpu(pci);
    int index = -1;
    weir_status status = WEIR_OK;
    if (gpu)
        status = weir_arena_printf(r->maker.arena, &part.name, "gpu %d", r->maker.topology.n_devices);
    else if (part.name)
        part.kind = WEIR_TOPOLOGY_CARD, part.network = WEIR_TOPOLOGY_NETWORK_RATE;
    if (!status && (gpu || part.name))
        status = leaf_add(r, above, part, memory_of(pci), &index);
    if (!status)
        status = name_note(r, pci, gpu ? index : -1);
    for (const struct weir_xml_element *child = pci->child; child && !status; child = child->next)
        if (is_object(child, "OSDev"))
            status = name_note(r, child, gpu ? index : -1);
    return status;
}

static weir_status core_add(struct reading *r, struct above *above)
{
    struct weir_topology_part part = {.kind = WEIR_TOPOLOGY_DEVICE, .bandwidth = WEIR_TOPOLOGY_CORE_RATE};
    int index;
    weir_status status = weir_arena_printf(r->maker.arena, &part.name, "core %d", r->maker.topology.n_devices);
    return status ? status : leaf_add(r, above, part, r->core_memory, &index);
}

/* Depth first, so that what is below a part follows it. */
static weir_status objects_read(struct reading *r, const struct weir_xml_element *element, struct above *up)
{
    struct above own = {element, up, -1}, *above = is_part(element) ? &own : up;
    weir_status status = WEIR_OK;
    if (!r->takes_cores && is_object(element, "PCIDev"))
        return pci_add(r, element, up);
    if (r->takes_cores && is_object(element, "Core"))
        return core_add(r, up);
    for (const struct weir_xml_element *child = element->child; child && !status; child = child->next)
        if (!strcmp(child->name, "object"))
            status = objects_read(r, child, above);
    return status;
}

static void cores_count(const struct weir_xml_element *element, int *n, double *memory)
{
    *n += is_object(element, "Core");
    *memory += real_of(value_of(element, "local_memory"));
    for (const struct weir_xml_element *child = element->child; child; child = child->next)
        cores_count(child, n, memory);
}

static weir_status cores_read(struct reading *r)
{
    int n = 0;
    double memory = 0;
    cores_count(r->root, &n, &memory);
    r->takes_cores = true;
    r->core_memory = n ? memory / n : 0;
    r->maker.topology = (struct weir_topology){.parts = NULL};
    r->maker.part_capacity = r->maker.device_capacity = 0;
    weir_status status = weir_topology_begin_node(&r->maker, &r->node);
    return status ? status : objects_read(r, r->root, NULL);
}

/* ---- direct links ----------------------------------------------------------------------------------------------------- */

/* The next word of the pieces of a list, which are elements of one name; NULL behind the last. */
struct list {
    const struct weir_xml_element *piece;
    const char *name, *at;
};

static const char *word_next(struct list *list, size_t *length_out)
{
    while (list->piece) {
        bool own = !strcmp(list->piece->name, list->name) && list->piece->text;
        const char *at = list->at ? list->at : own ? list->piece->text : "";
        at += strspn(at, " \t\r\n");
        *length_out = strcspn(at, " \t\r\n");
        list->at = at + *length_out;
        if (*length_out)
            return at;
        list->piece = list->piece->next;
        list->at = NULL;
    }
    return NULL;
}

static const struct named *named_find(const struct reading *r, const char *word, size_t length)
{
    size_t kind = strcspn(word, ":");
    for (int i = 0; i < r->n_named && kind < length; i++)
        if (strlen(r->named[i].kind) == kind && !strncmp(r->named[i].kind, word, kind) &&
            strlen(r->named[i].index) == length - kind - 1 && !strncmp(r->named[i].index, word + kind + 1, length - kind - 1))
            return &r->named[i];
    return NULL;
}

/* Rates are in MB/s.  What is no GPU, but on PCI, is a switch of direct links; links to processors do not count. */
static weir_status rate_take(struct reading *r, const struct named *a, const struct named *b, double rate)
{
    if (!a || !b || a->part < 0 || rate <= 0 || a->part == b->part)
        return WEIR_OK;
    if (b->part >= 0)
        return weir_topology_add_link(&r->maker, a->part, b->part, rate * 1e6);
    r->maker.topology.parts[a->part].fabric += strcmp(b->kind, "PCIDev") ? 0 : rate * 1e6;
    return WEIR_OK;
}

static weir_status matrix_read(struct reading *r, const struct weir_xml_element *matrix)
{
    const struct named *who[MOST_IN_MATRIX];
    struct list indices = {matrix->child, "indexes", NULL}, values = {matrix->child, "u64values", NULL};
    const char *word;
    size_t length;
    int n = 0;
    weir_status status = WEIR_OK;
    while ((word = word_next(&indices, &length))) {
        if (n == MOST_IN_MATRIX)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s', line %d: a matrix of more than %d rows", r->name, matrix->line, (int)MOST_IN_MATRIX);
        who[n++] = named_find(r, word, length);
    }
    for (int i = 0; i < n * n && !status; i++) {
        word = word_next(&values, &length);
        status = word ? rate_take(r, who[i / n], who[i % n], real_of(word))
                      : WEIR_FAIL(WEIR_ERR_INVALID, "'%s', line %d: a matrix of %d rows has %d values", r->name, matrix->line, n, i);
    }
    return status;
}

weir_status weir_topology_hwloc_parse(const char *text, const char *name, struct weir_arena *arena, struct weir_topology *out)
{
    struct reading r = {.maker = {.arena = arena}, .name = name};
    struct weir_xml_element *root;
    weir_status status = weir_xml_parse(text, name, arena, &root);
    if (!status && strcmp(root->name, "topology") != 0)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' begins with <%s>, hwloc's topologies with <topology>", name, root->name);
    r.root = status ? NULL : root;
    if (!status)
        status = weir_topology_begin_node(&r.maker, &r.node);
    if (!status)
        status = objects_read(&r, root, NULL);
    bool gpus = r.maker.topology.n_devices > 0;
    if (!status && !gpus)
        status = cores_read(&r);
    for (const struct weir_xml_element *child = status || !gpus ? NULL : root->child; child && !status; child = child->next)
        if (!strncmp(child->name, "distances2", 10) && !strcmp(value_of(child, "name"), "NVLinkBandwidth"))
            status = matrix_read(&r, child);
    r.maker.topology.has_gpus = gpus;
    r.maker.topology.is_assumed = true;
    return status ? status : weir_topology_finish(&r.maker, name, "hwloc XML", out);
}
