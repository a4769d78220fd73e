/* Which reader a source is for, and several files put together as nodes of one network. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/xml.h"
#include "partitioner/topology/topology_maker.h"

enum { LARGEST_FILE = 1 << 28, MOST_NODES = 4096 };

/* ---- one file --------------------------------------------------------------------------------------------------------- */

/* What people have lying around beside topologies, by how it begins. */
static const struct {
    const char *beginning, *what;
} others[] = {
    {"Machine (", "the text that lstopo prints: 'lstopo FILE.xml' writes what is read here"},
    {"# to 0", "a measured bus of StarPU: write the machine as text, or give hwloc's or NCCL's XML"},
    {"# GPU\t", "a table of StarPU: write the machine as text, or give hwloc's or NCCL's XML"},
    {"# Current configuration", "a configuration of StarPU: write the machine as text, or give hwloc's or NCCL's XML"},
    {"{", "JSON: write the machine as text, or give hwloc's or NCCL's XML"},
};

static weir_status xml_refuse(const char *name, const char *root)
{
    if (!strcmp(root, "graphs"))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has NCCL's graphs, the channels that it chose: NCCL_TOPO_DUMP_FILE writes the topology", name);
    if (!strcmp(root, "platform"))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is a platform of SimGrid: write the machine as text, or give hwloc's or NCCL's XML", name);
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is XML that begins with <%s>: hwloc's topologies begin with <topology>, NCCL's with <system>",
                     name, root);
}

static weir_status content_parse(const char *text, const char *name, struct weir_arena *arena, struct weir_topology *out)
{
    const char *root;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (!strncmp(text, others[i].beginning, strlen(others[i].beginning)))
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is %s", name, others[i].what);
    if (text[strspn(text, " \t\r\n")] != '<')
        return weir_topology_text_parse(text, name, arena, out);
    weir_status status = weir_xml_root_name(text, arena, &root);
    if (status)
        return status;
    if (!strcmp(root, "system"))
        return weir_topology_nccl_parse(text, name, arena, out);
    return strcmp(root, "topology") != 0 ? xml_refuse(name, root) : weir_topology_hwloc_parse(text, name, arena, out);
}

static weir_status file_read(const char *path, struct weir_arena *arena, struct weir_topology *out)
{
    char *text;
    size_t bytes;
    weir_status status = weir_file_read(path, LARGEST_FILE, &text, &bytes);
    if (status)
        return weir_error_prefix(status, "topology: ");
    status = bytes ? content_parse(text, path, arena, out) : WEIR_FAIL(WEIR_ERR_INVALID, "topology '%s' is empty", path);
    weir_free(text);
    return status;
}

/* ---- several files ---------------------------------------------------------------------------------------------------- */

/* The parts of `from` but its root, as a node more of the network; their indices move by `shift`. */
static weir_status node_copy(struct weir_topology_maker *m, const struct weir_topology *from)
{
    int shift = m->topology.n_parts - 1;
    weir_status status = WEIR_OK;
    int device = 0;
    for (int i = 1; i < from->n_parts && !status; i++) {
        struct weir_topology_part part = from->parts[i];
        int index, is_device = part.kind == WEIR_TOPOLOGY_DEVICE;
        part.above = part.above ? part.above + shift : 0;
        if (part.kind == WEIR_TOPOLOGY_NODE)
            status = weir_arena_printf(m->arena, &part.name, "node %d", m->topology.n_nodes);
        if (!status)
            status = weir_topology_add(m, &part, is_device ? from->devices[device].memory : 0, &index);
        if (!status && is_device)
            m->topology.devices[m->topology.n_devices - 1].speed = from->devices[device].speed;
        device += is_device;
    }
    for (int i = 0; i < from->n_links && !status; i++) {
        /* of a new node none is there yet: no search for one */
        status = weir_arena_grow(m->arena, &m->topology.links, &m->link_capacity, (size_t)m->topology.n_links + 1, sizeof *m->topology.links);
        if (!status)
            m->topology.links[m->topology.n_links++] =
                (struct weir_topology_link){from->links[i].a + shift, from->links[i].b + shift, from->links[i].bandwidth};
    }
    return status;
}

/* "3*a.xml": how often, and the path. */
static const char *times_read(const char *word, int *times_out)
{
    size_t digits = strspn(word, "0123456789");
    int64_t times = 1;
    char number[8];
    *times_out = 1;
    if (!digits || word[digits] != '*' || digits >= sizeof number)
        return word;
    memcpy(number, word, digits);
    number[digits] = 0;
    *times_out = weir_parse_int64(number, &times) && times <= MOST_NODES ? (int)times : 0;
    return word + digits + 1;
}

static weir_status word_add(struct weir_topology_maker *m, const char *word, const char *source)
{
    struct weir_topology one;
    int times;
    const char *path = times_read(word, &times);
    if (times < 1 || m->topology.n_nodes + times > MOST_NODES)
        return WEIR_FAIL(WEIR_ERR_INVALID, "topology '%s': from 1 to %d nodes", source, (int)MOST_NODES);
    weir_status status = file_read(path, m->arena, &one);
    for (int i = 0; i < times && !status; i++)
        status = node_copy(m, &one);
    m->topology.has_gpus = !status && (m->topology.has_gpus || one.has_gpus);
    m->topology.is_assumed = !status && (m->topology.is_assumed || one.is_assumed);
    return status;
}

static weir_status files_read(const char *source, struct weir_arena *arena, struct weir_topology *out)
{
    struct weir_topology_maker m = {.arena = arena};
    const struct weir_topology_part root = {.kind = WEIR_TOPOLOGY_NETWORK, .name = "network", .above = -1, .bandwidth = INFINITY};
    const char *copy;
    char *words, *rest;
    int index;
    weir_status status = weir_topology_add(&m, &root, 0, &index);
    if (!status)
        status = weir_arena_strdup(arena, source, &copy);
    if (!status)
        status = weir_arena_alloc(arena, strlen(source) + 1, 1, &words);
    if (status)
        return status;
    memcpy(words, copy, strlen(source) + 1);
    for (char *word = strtok_r(words, ",", &rest); word && !status; word = strtok_r(NULL, ",", &rest))
        status = word_add(&m, word, source);
    return status ? status : weir_topology_finish(&m, source, "several files", out);
}

weir_status weir_topology_read(const char *source, struct weir_arena *arena, struct weir_topology *out)
{
    if (!*source)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the topology is empty: give a file, a text or 'this'");
    if (!strcmp(source, "this"))
        return weir_topology_machine_read(arena, out);
    if (isdigit((unsigned char)*source) && !strchr(source, '*'))
        return weir_topology_text_parse(source, source, arena, out);
    return strpbrk(source, ",*") ? files_read(source, arena, out) : file_read(source, arena, out);
}
