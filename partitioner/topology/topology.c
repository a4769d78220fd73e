#include "partitioner/topology/topology_tree.h"

#include <math.h>
#include <string.h>

#include "partitioner/topology/topology_maker.h"

const char *const weir_topology_kind_names[] = {"network", "group", "node", "cpu", "switch", "device", "card", NULL};

/* ---- making ----------------------------------------------------------------------------------------------------------- */

static weir_status device_add(struct weir_topology_maker *m, int part, double memory)
{
    struct weir_topology *t = &m->topology;
    weir_status status = t->n_devices < WEIR_TOPOLOGY_MOST_DEVICES
                             ? weir_arena_grow(m->arena, &t->devices, &m->device_capacity, (size_t)t->n_devices + 1, sizeof *t->devices)
                             : WEIR_FAIL(WEIR_ERR_INVALID, "a topology has at most %d devices", (int)WEIR_TOPOLOGY_MOST_DEVICES);
    if (!status)
        t->devices[t->n_devices++] = (struct weir_topology_device){part, memory, 1};
    return status;
}

weir_status weir_topology_add(struct weir_topology_maker *m, const struct weir_topology_part *part, double memory, int *index_out)
{
    struct weir_topology *t = &m->topology;
    if (t->n_parts == WEIR_TOPOLOGY_MOST_PARTS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a topology has at most %d parts", (int)WEIR_TOPOLOGY_MOST_PARTS);
    weir_status status = weir_arena_grow(m->arena, &t->parts, &m->part_capacity, (size_t)t->n_parts + 1, sizeof *t->parts);
    if (!status && part->kind == WEIR_TOPOLOGY_DEVICE)
        status = device_add(m, t->n_parts, memory);
    if (status)
        return status;
    struct weir_topology_part *own = &t->parts[t->n_parts];
    *own = *part;
    own->node = part->kind == WEIR_TOPOLOGY_NODE ? t->n_parts : part->above < 0 ? -1 : t->parts[part->above].node;
    t->n_nodes += part->kind == WEIR_TOPOLOGY_NODE;
    *index_out = t->n_parts++;
    return WEIR_OK;
}

weir_status weir_topology_add_link(struct weir_topology_maker *m, int a, int b, double bandwidth)
{
    struct weir_topology *t = &m->topology;
    for (int i = 0; i < t->n_links; i++)
        if ((t->links[i].a == a && t->links[i].b == b) || (t->links[i].a == b && t->links[i].b == a)) {
            t->links[i].bandwidth = fmax(t->links[i].bandwidth, bandwidth);
            return WEIR_OK;
        }
    weir_status status = weir_arena_grow(m->arena, &t->links, &m->link_capacity, (size_t)t->n_links + 1, sizeof *t->links);
    if (!status)
        t->links[t->n_links++] = (struct weir_topology_link){a, b, bandwidth};
    return status;
}

weir_status weir_topology_begin_node(struct weir_topology_maker *m, int *node_out)
{
    int root = 0;
    weir_status status = weir_topology_add(m, &(struct weir_topology_part){.kind = WEIR_TOPOLOGY_NETWORK, .name = "network", .above = -1,
                                                                           .bandwidth = INFINITY}, 0, &root);
    if (!status)
        status = weir_topology_add(m, &(struct weir_topology_part){.kind = WEIR_TOPOLOGY_NODE, .name = "node 0", .above = root,
                                                                   .bandwidth = WEIR_TOPOLOGY_NETWORK_RATE,
                                                                   .latency = WEIR_TOPOLOGY_NETWORK_HOP}, 0, node_out);
    return status;
}

double weir_topology_cpu_rate(const char *arch, const char *vendor, int family, int model)
{
    enum { SKYLAKE_SERVER = 0x55, SAPPHIRE_RAPIDS = 0x8f, EMERALD_RAPIDS = 0xcf };
    if (arch && !strncmp(arch, "ppc", 3))
        return 32e9;
    if (arch && (!strncmp(arch, "arm", 3) || !strcmp(arch, "aarch64")))
        return 6e9;
    if (vendor && !strcmp(vendor, "AuthenticAMD"))
        return 16e9;
    if (family != 6)
        return 6e9;
    return model >= EMERALD_RAPIDS ? 40e9 : model >= SAPPHIRE_RAPIDS ? 22e9 : model >= SKYLAKE_SERVER ? 10e9 : 6e9;
}

/* ---- ways ------------------------------------------------------------------------------------------------------------- */

static void link_take(const struct weir_topology_part *part, struct weir_topology_path *path)
{
    path->bandwidth = fmin(path->bandwidth, part->bandwidth);
    path->latency += part->latency;
}

/* Parts come after the part above them, so the later of two is never above the other. */
static struct weir_topology_path tree_path(const struct weir_topology *t, int a, int b)
{
    struct weir_topology_path path = {INFINITY, 0, WEIR_TOPOLOGY_NETWORK};
    while (a != b) {
        int *low = a > b ? &a : &b;
        link_take(&t->parts[*low], &path);
        *low = t->parts[*low].above;
    }
    path.crosses = t->parts[a].kind;
    return path;
}

static double direct_rate(const struct weir_topology *t, int a, int b)
{
    double rate = fmin(t->parts[a].fabric, t->parts[b].fabric);
    for (int i = t->first_link[a]; i < t->first_link[a + 1]; i++) {
        const struct weir_topology_link *link = &t->links[t->link_order[i]];
        if (link->a == b || link->b == b)
            rate = fmax(rate, link->bandwidth);
    }
    return rate;
}

static void card_take(const struct weir_topology *t, int device, struct weir_topology_path *path)
{
    int card = t->card_of[device];
    struct weir_topology_path way = tree_path(t, t->devices[device].part, card);
    path->bandwidth = fmin(path->bandwidth, fmin(way.bandwidth, t->parts[card].network));
    path->latency += way.latency;
}

static struct weir_topology_path card_path(const struct weir_topology *t, int from, int to)
{
    struct weir_topology_path path = {INFINITY, WEIR_TOPOLOGY_NETWORK_HOP, WEIR_TOPOLOGY_NETWORK};
    card_take(t, from, &path);
    card_take(t, to, &path);
    return path;
}

struct weir_topology_path weir_topology_path(const struct weir_topology *t, int from, int to)
{
    int a = t->devices[from].part, b = t->devices[to].part;
    bool same = t->parts[a].node == t->parts[b].node;
    if (!same && t->card_of[from] >= 0 && t->card_of[to] >= 0)
        return card_path(t, from, to);
    struct weir_topology_path path = tree_path(t, a, b);
    double direct = same ? direct_rate(t, a, b) : 0;
    if (direct > path.bandwidth)
        return (struct weir_topology_path){direct, WEIR_TOPOLOGY_HOP, WEIR_TOPOLOGY_DEVICE};
    return path;
}

/* ---- finishing -------------------------------------------------------------------------------------------------------- */

/* The fastest one, of equal ones the nearest; cards that are as near go round. */
static int card_choose(const struct weir_topology *t, const int *cards, const int *used, int n, int part)
{
    int best = -1;
    double rate = 0, latency = 0;
    for (int i = 0; i < n; i++) {
        if (t->parts[cards[i]].node != t->parts[part].node)
            continue;
        struct weir_topology_path path = tree_path(t, part, cards[i]);
        double own = fmin(path.bandwidth, t->parts[cards[i]].network);
        bool equal = best >= 0 && own == rate && path.latency == latency;
        if (best < 0 || own > rate || (own == rate && path.latency < latency) || (equal && used[i] < used[best])) {
            best = i;
            rate = own;
            latency = path.latency;
        }
    }
    return best;
}

static weir_status cards_choose(struct weir_topology_maker *m)
{
    struct weir_topology *t = &m->topology;
    int *cards, *used, *card_of, n = 0;
    weir_status status = weir_arena_alloc(m->arena, (size_t)t->n_devices, sizeof *card_of, &card_of);
    for (int i = 0; i < t->n_parts; i++)
        n += t->parts[i].kind == WEIR_TOPOLOGY_CARD;
    if (!status)
        status = weir_arena_alloc(m->arena, 2 * (size_t)n, sizeof *cards, &cards);
    if (status)
        return status;
    used = cards + n;
    n = 0;
    for (int i = 0; i < t->n_parts; i++)
        if (t->parts[i].kind == WEIR_TOPOLOGY_CARD)
            cards[n++] = i;
    for (int d = 0; d < t->n_devices; d++) {
        int card = card_choose(t, cards, used, n, t->devices[d].part);
        card_of[d] = card < 0 ? -1 : cards[card];
        if (card >= 0)
            used[card]++;
    }
    t->card_of = card_of;
    return WEIR_OK;
}

static weir_status links_sort(struct weir_topology_maker *m)
{
    struct weir_topology *t = &m->topology;
    int *first, *order;
    weir_status status = weir_arena_alloc(m->arena, (size_t)t->n_parts + 2, sizeof *first, &first);
    if (!status)
        status = weir_arena_alloc(m->arena, 2 * (size_t)t->n_links, sizeof *order, &order);
    if (status)
        return status;
    for (int i = 0; i < 2 * t->n_links; i++)
        first[(i % 2 ? t->links[i / 2].b : t->links[i / 2].a) + 2]++;
    for (int i = 2; i <= t->n_parts + 1; i++)
        first[i] += first[i - 1];
    for (int i = 0; i < 2 * t->n_links; i++)
        order[first[(i % 2 ? t->links[i / 2].b : t->links[i / 2].a) + 1]++] = i / 2;
    t->first_link = first;
    t->link_order = order;
    return WEIR_OK;
}

weir_status weir_topology_finish(struct weir_topology_maker *m, const char *name, const char *form, struct weir_topology *out)
{
    struct weir_topology *t = &m->topology;
    if (!t->n_devices)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no devices", name);
    t->form = form;
    weir_status status = weir_arena_strdup(m->arena, name, &t->source);
    if (!status)
        status = cards_choose(m);
    if (!status)
        status = links_sort(m);
    if (!status)
        *out = *t;
    return status;
}
