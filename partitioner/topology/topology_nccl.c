/* NCCL's topology XML, as NCCL_TOPO_DUMP_FILE writes it and vendors ship it: processors, PCI switches, GPUs, network cards.
 * Rates of links are those that NCCL itself counts with (topo.h), which are what programs get, not what the wire has. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/xml.h"
#include "partitioner/topology/topology_maker.h"

enum { MOST_LINK_TARGETS = 1 << 13 };

/* A direct link waits until its other end is known. */
struct pending {
    int from;
    const char *target; /* PCI address */
    double bandwidth;
    bool is_switch;
};

struct address {
    const char *text;
    int part;
};

struct reading {
    struct weir_topology_maker maker;
    const char *name;
    struct pending *pending;
    struct address *gpus;
    size_t pending_capacity, gpu_capacity;
    int n_pending, n_gpus, n_unclassed;
};

static weir_status children_read(struct reading *r, const struct weir_xml_element *element, int above);

static int number_of(const struct weir_xml_element *element, const char *attribute)
{
    const char *value = weir_xml_value(element, attribute);
    return value ? (int)strtol(value, NULL, 0) : 0;
}

static double real_of(const struct weir_xml_element *element, const char *attribute)
{
    const char *value = weir_xml_value(element, attribute);
    double real = value ? strtod(value, NULL) : 0;
    return isfinite(real) && real > 0 ? real : 0;
}

static bool class_begins(const char *class, const char *with)
{
    return class && !strncmp(class, with, strlen(with));
}

/* "16.0 GT/s PCIe" and lanes.  From 8 GT/s on fewer bits are lost to the code. */
static double pci_rate(const struct weir_xml_element *element)
{
    double speed = real_of(element, "link_speed"), width = real_of(element, "link_width");
    if (speed <= 0 || width <= 0)
        return WEIR_TOPOLOGY_PCI;
    return speed * width * (speed < 8 ? 0.075e9 : 0.09375e9);
}

/* ---- GPUs and cards --------------------------------------------------------------------------------------------------- */

static double nvlink_rate(int sm)
{
    return sm >= 100 ? 40.1e9 : sm >= 90 ? 20.6e9 : sm == 86 ? 12e9 : sm >= 70 ? 20e9 : 18e9;
}

static double xgmi_rate(const char *gcn)
{
    const char *digits = gcn && !strncmp(gcn, "gfx", 3) ? gcn + 3 : gcn ? gcn : "";
    return !strncmp(digits, "94", 2) || !strncmp(digits, "95", 2) ? 48e9 : !strncmp(digits, "910", 3) || !strncmp(digits, "90a", 3) ? 36e9 : 24e9;
}

static weir_status link_read(struct reading *r, const struct weir_xml_element *gpu, const struct weir_xml_element *link, int part)
{
    const char *target = weir_xml_value(link, "target");
    bool is_amd = !strcmp(link->name, "xgmi");
    double count = fmax(1, real_of(link, "count"));
    double rate = count * (is_amd ? xgmi_rate(weir_xml_value(gpu, "gcn")) : nvlink_rate(number_of(gpu, "sm")));
    if (!target)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s', line %d: a link without a target", r->name, link->line);
    if (r->n_pending == MOST_LINK_TARGETS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s', line %d: more than %d links", r->name, link->line, (int)MOST_LINK_TARGETS);
    weir_status status =
        weir_arena_grow(r->maker.arena, &r->pending, &r->pending_capacity, (size_t)r->n_pending + 1, sizeof *r->pending);
    if (!status)
        r->pending[r->n_pending++] = (struct pending){part, target, rate, class_begins(weir_xml_value(link, "tclass"), "0x0680")};
    return status;
}

static weir_status gpu_add(struct reading *r, const struct weir_xml_element *pci, const struct weir_xml_element *gpu, int above)
{
    struct weir_topology_part part = {.kind = WEIR_TOPOLOGY_DEVICE, .above = above, .bandwidth = pci_rate(pci), .latency = WEIR_TOPOLOGY_HOP};
    int index, number = gpu && weir_xml_value(gpu, "dev") ? number_of(gpu, "dev") : r->maker.topology.n_devices;
    weir_status status = weir_arena_printf(r->maker.arena, &part.name, "gpu %d", number);
    if (!status)
        status = weir_topology_add(&r->maker, &part, 0, &index);
    if (!status)
        status = weir_arena_grow(r->maker.arena, &r->gpus, &r->gpu_capacity, (size_t)r->n_gpus + 1, sizeof *r->gpus);
    if (status)
        return status;
    r->gpus[r->n_gpus++] = (struct address){weir_xml_value(pci, "busid"), index};
    for (const struct weir_xml_element *link = gpu ? gpu->child : NULL; link && !status; link = link->next)
        if (!strcmp(link->name, "nvlink") || !strcmp(link->name, "xgmi"))
            status = link_read(r, gpu, link, index);
    return status;
}

/* `net` NULL: the file does not say what the card is. */
static weir_status card_add(struct reading *r, const struct weir_xml_element *net, double pci, int above)
{
    double speed = net ? real_of(net, "speed") * 1e6 / 8 : 0;
    const char *name = net ? weir_xml_value(net, "name") : NULL;
    struct weir_topology_part part = {.kind = WEIR_TOPOLOGY_CARD, .name = name ? name : "card", .above = above, .bandwidth = pci,
                                      .latency = WEIR_TOPOLOGY_HOP, .network = speed > 0 ? speed : WEIR_TOPOLOGY_NETWORK_RATE};
    int index;
    return weir_topology_add(&r->maker, &part, 0, &index);
}

static weir_status nic_read(struct reading *r, const struct weir_xml_element *nic, double pci, int above)
{
    weir_status status = WEIR_OK;
    for (const struct weir_xml_element *net = nic->child; net && !status; net = net->next)
        if (!strcmp(net->name, "net"))
            status = card_add(r, net, pci, above);
    return status;
}

/* ---- the tree --------------------------------------------------------------------------------------------------------- */

static weir_status switch_read(struct reading *r, const struct weir_xml_element *pci, int above)
{
    struct weir_topology_part part = {.kind = WEIR_TOPOLOGY_SWITCH, .above = above, .bandwidth = pci_rate(pci), .latency = WEIR_TOPOLOGY_HOP};
    const char *busid = weir_xml_value(pci, "busid");
    int index;
    weir_status status = weir_arena_printf(r->maker.arena, &part.name, "switch %s", busid ? busid : "");
    if (!status)
        status = weir_topology_add(&r->maker, &part, 0, &index);
    return status ? status : children_read(r, pci, index);
}

/* Files that vendors ship have no <gpu> and <nic>: NCCL adds them when it runs.  Their class of PCI device says what they are. */
static weir_status pci_read(struct reading *r, const struct weir_xml_element *pci, int above)
{
    static const char *const gpus[] = {"0x0302", "0x0300", "0x0380", "0x1200"}, *const cards[] = {"0x0200", "0x0207"};
    const char *class = weir_xml_value(pci, "class");
    for (const struct weir_xml_element *child = pci->child; child; child = child->next) {
        if (!strcmp(child->name, "gpu"))
            return gpu_add(r, pci, child, above);
        if (!strcmp(child->name, "nic"))
            return nic_read(r, child, pci_rate(pci), above);
    }
    if (pci->child || class_begins(class, "0x0604"))
        return switch_read(r, pci, above);
    for (size_t i = 0; i < sizeof gpus / sizeof gpus[0]; i++)
        if (class_begins(class, gpus[i]))
            return gpu_add(r, pci, NULL, above);
    for (size_t i = 0; i < sizeof cards / sizeof cards[0]; i++)
        if (class_begins(class, cards[i]))
            return card_add(r, NULL, pci_rate(pci), above);
    r->n_unclassed += !class;
    return WEIR_OK;
}

static weir_status children_read(struct reading *r, const struct weir_xml_element *element, int above)
{
    weir_status status = WEIR_OK;
    for (const struct weir_xml_element *child = element->child; child && !status; child = child->next)
        if (!strcmp(child->name, "pci"))
            status = pci_read(r, child, above);
        else if (!strcmp(child->name, "nic"))
            status = nic_read(r, child, WEIR_TOPOLOGY_PCI, above);
    return status;
}

static weir_status cpu_read(struct reading *r, const struct weir_xml_element *cpu, int node)
{
    struct weir_topology_part part = {.kind = WEIR_TOPOLOGY_CPU, .above = node, .latency = WEIR_TOPOLOGY_HOP};
    int index;
    part.bandwidth = weir_topology_cpu_rate(weir_xml_value(cpu, "arch"), weir_xml_value(cpu, "vendor"), number_of(cpu, "familyid"),
                                            number_of(cpu, "modelid"));
    weir_status status = weir_arena_printf(r->maker.arena, &part.name, "cpu %d", number_of(cpu, "numaid"));
    if (!status)
        status = weir_topology_add(&r->maker, &part, 0, &index);
    return status ? status : children_read(r, cpu, index);
}

/* Links whose other end is not a GPU of the file (processors, bridges of NVLink) do not count between devices. */
static weir_status links_make(struct reading *r)
{
    struct weir_topology *t = &r->maker.topology;
    weir_status status = WEIR_OK;
    for (int i = 0; i < r->n_pending && !status; i++) {
        const struct pending *p = &r->pending[i];
        if (p->is_switch) {
            t->parts[p->from].fabric += p->bandwidth;
            continue;
        }
        for (int g = 0; g < r->n_gpus && !status; g++)
            if (r->gpus[g].part != p->from && r->gpus[g].text && !strcmp(r->gpus[g].text, p->target))
                status = weir_topology_add_link(&r->maker, p->from, r->gpus[g].part, p->bandwidth);
    }
    return status;
}

static weir_status system_read(struct reading *r, const struct weir_xml_element *system, struct weir_topology *out)
{
    int node;
    weir_status status = weir_topology_begin_node(&r->maker, &node);
    for (const struct weir_xml_element *cpu = system->child; cpu && !status; cpu = cpu->next)
        if (!strcmp(cpu->name, "cpu"))
            status = cpu_read(r, cpu, node);
    if (!status && !r->maker.topology.n_devices && r->n_unclassed)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' does not say which of its %d PCI entries are GPUs: NCCL finds out when it runs, and writes "
                                             "it to NCCL_TOPO_DUMP_FILE", r->name, r->n_unclassed);
    if (!status)
        status = links_make(r);
    r->maker.topology.has_gpus = true;
    r->maker.topology.is_assumed = true;
    return status ? status : weir_topology_finish(&r->maker, r->name, "NCCL XML", out);
}

weir_status weir_topology_nccl_parse(const char *text, const char *name, struct weir_arena *arena, struct weir_topology *out)
{
    struct reading r = {.maker = {.arena = arena}, .name = name};
    struct weir_xml_element *root;
    weir_status status = weir_xml_parse(text, name, arena, &root);
    if (!status && strcmp(root->name, "system") != 0)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' begins with <%s>, NCCL's topologies with <system>", name, root->name);
    return status ? status : system_read(&r, root, out);
}
