#include "partitioner/topology/arrange.h"

#include <math.h>
#include <string.h>

enum { MOST_REFINED = 64 };

/* Flows over each part's link, up and down. */
struct flows {
    int *up, *down;
};

struct arranging {
    const struct weir_topology *topology;
    const struct weir_traffic *traffic;
    int p, d;
    struct weir_arena *work;
    struct flows flows;
};

/* ---- which devices ---------------------------------------------------------------------------------------------------- */

static bool are_alike(const struct weir_topology *t)
{
    for (int i = 1; i < t->n_devices; i++)
        if (t->devices[i].speed != t->devices[0].speed || t->devices[i].memory != t->devices[0].memory)
            return false;
    return true;
}

/* Fewer of the slow ones: the n fastest, of equal ones those with more memory, of equal ones the first; then in the order of the
 * tree again. */
static void devices_choose(const struct weir_topology *t, int n, int *chosen)
{
    for (int i = 0; i < t->n_devices; i++)
        chosen[i] = i;
    if (are_alike(t))
        return;
    for (int i = 1; i < t->n_devices; i++)
        for (int j = i; j > 0; j--) {
            const struct weir_topology_device *a = &t->devices[chosen[j - 1]], *b = &t->devices[chosen[j]];
            if (a->speed > b->speed || (a->speed == b->speed && a->memory >= b->memory))
                break;
            int other = chosen[j];
            chosen[j] = chosen[j - 1];
            chosen[j - 1] = other;
        }
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && chosen[j] < chosen[j - 1]; j--) {
            int other = chosen[j];
            chosen[j] = chosen[j - 1];
            chosen[j - 1] = other;
        }
}

/* ---- rates under load ------------------------------------------------------------------------------------------------- */

static void flow_add(const struct arranging *a, int from, int to)
{
    const struct weir_topology *t = a->topology;
    int up = t->devices[from].part, down = t->devices[to].part;
    if (weir_topology_path(t, from, to).crosses == WEIR_TOPOLOGY_DEVICE)
        return;
    if (t->parts[up].node != t->parts[down].node && t->card_of[from] >= 0 && t->card_of[to] >= 0) {
        a->flows.up[t->card_of[from]]++; /* the card is what they share, and the way to it is no faster */
        a->flows.down[t->card_of[to]]++;
        return;
    }
    while (up != down)
        if (up > down) {
            a->flows.up[up]++;
            up = t->parts[up].above;
        } else {
            a->flows.down[down]++;
            down = t->parts[down].above;
        }
}

static double shared(double rate, int flows)
{
    return rate / (flows > 1 ? flows : 1);
}

static struct weir_topology_path loaded_path(const struct arranging *a, int from, int to)
{
    const struct weir_topology *t = a->topology;
    struct weir_topology_path path = weir_topology_path(t, from, to);
    int up = t->devices[from].part, down = t->devices[to].part, out = t->card_of[from], in = t->card_of[to];
    if (path.crosses == WEIR_TOPOLOGY_DEVICE)
        return path;
    if (t->parts[up].node != t->parts[down].node && out >= 0 && in >= 0) {
        path.bandwidth = fmin(path.bandwidth, fmin(shared(t->parts[out].network, a->flows.up[out]), shared(t->parts[in].network, a->flows.down[in])));
        return path;
    }
    while (up != down)
        if (up > down) {
            path.bandwidth = fmin(path.bandwidth, shared(t->parts[up].bandwidth, a->flows.up[up]));
            up = t->parts[up].above;
        } else {
            path.bandwidth = fmin(path.bandwidth, shared(t->parts[down].bandwidth, a->flows.down[down]));
            down = t->parts[down].above;
        }
    return path;
}

static struct weir_topology_path slower(struct weir_topology_path a, struct weir_topology_path b)
{
    a.crosses = b.bandwidth < a.bandwidth ? b.crosses : a.crosses;
    a.bandwidth = fmin(a.bandwidth, b.bandwidth);
    a.latency = fmax(a.latency, b.latency);
    return a;
}

static void flows_clear(const struct arranging *a)
{
    memset(a->flows.up, 0, (size_t)a->topology->n_parts * sizeof *a->flows.up);
    memset(a->flows.down, 0, (size_t)a->topology->n_parts * sizeof *a->flows.down);
}

static const struct weir_topology_path endless = {INFINITY, 0, WEIR_TOPOLOGY_DEVICE};

/* A boundary's F and B do not meet on a link's one direction: each counts once up and once down, as F alone. */
static void transfers_time(const struct arranging *a, const int *device_of, struct weir_topology_path *to_next)
{
    int last = a->p > 2 && a->traffic->wraps ? a->p : a->p - 1;
    flows_clear(a);
    for (int i = 0; i < a->d * a->p; i++)
        if (i % a->p < last)
            flow_add(a, device_of[i], device_of[i - i % a->p + (i + 1) % a->p]);
    for (int r = 0; r < a->p; r++)
        to_next[r] = endless;
    for (int i = 0; i < a->d * a->p; i++)
        if (i % a->p < last)
            to_next[i % a->p] = slower(to_next[i % a->p], loaded_path(a, device_of[i], device_of[i - i % a->p + (i + 1) % a->p]));
}

static struct weir_topology_path rings_time(const struct arranging *a, const int *device_of)
{
    struct weir_topology_path ring = endless;
    flows_clear(a);
    for (int i = 0; i < a->d * a->p && a->d > 1; i++)
        flow_add(a, device_of[i], device_of[(i + a->p) % (a->d * a->p)]);
    for (int i = 0; i < a->d * a->p && a->d > 1; i++)
        ring = slower(ring, loaded_path(a, device_of[i], device_of[(i + a->p) % (a->d * a->p)]));
    return ring;
}

static double step_seconds(const struct arranging *a, const struct weir_topology_path *to_next, struct weir_topology_path ring)
{
    double most = 0;
    for (int r = 0; r < a->p; r++)
        most = fmax(most, a->traffic->transfer_bytes / to_next[r].bandwidth + a->traffic->n_transfers * to_next[r].latency);
    return most + 2 * a->traffic->reduce_bytes * (a->d - 1) / a->d / ring.bandwidth;
}

/* ---- both ways -------------------------------------------------------------------------------------------------------- */

/* Each rank has d devices that follow each other; the first of them stands for them when ranks are placed. */
static void deal_together(const struct arranging *a, const int *chosen, int *device_of)
{
    int first[MOST_REFINED];
    bool refines = a->topology->n_devices <= MOST_REFINED;
    for (int i = 0; i < a->p && refines; i++)
        first[i] = chosen[i * a->d];
    if (refines)
        weir_place(a->topology, a->traffic, first, a->p, a->p);
    for (int i = 0; i < a->p; i++) {
        int from = i * a->d;
        while (refines && chosen[from] != first[i])
            from = from ? from - 1 : a->p * a->d - 1;
        for (int r = 0; r < a->d; r++)
            device_of[r * a->p + i] = chosen[from + r];
    }
}

/* Chosen devices in the order of the tree.  What is left over may take part when one pipeline is placed. */
static void deal(const struct arranging *a, const int *chosen, bool replicas_together, int *device_of)
{
    const struct weir_topology *t = a->topology;
    if (replicas_together) {
        deal_together(a, chosen, device_of);
        return;
    }
    memcpy(device_of, chosen, (size_t)a->p * (size_t)a->d * sizeof *device_of);
    if (t->n_devices > MOST_REFINED)
        return;
    if (a->d == 1 && are_alike(t)) {
        int all[MOST_REFINED];
        memcpy(all, chosen, (size_t)t->n_devices * sizeof *all);
        weir_place(t, a->traffic, all, a->p <= WEIR_PLACE_EXACT ? t->n_devices : a->p, a->p);
        memcpy(device_of, all, (size_t)a->p * sizeof *all);
        return;
    }
    for (int r = 0; r < a->d; r++)
        weir_place(t, a->traffic, device_of + r * a->p, a->p, a->p);
}

static weir_status ranks_find(const struct arranging *a, struct weir_arena *arena, struct weir_arrangement *out)
{
    double *speed, *memory;
    weir_status status = weir_arena_alloc(arena, 2 * (size_t)a->p, sizeof *speed, &speed);
    if (status)
        return status;
    memory = speed + a->p;
    for (int i = 0; i < a->p * a->d; i++) {
        const struct weir_topology_device *device = &a->topology->devices[out->device_of[i]];
        int r = i % a->p;
        speed[r] = i < a->p ? device->speed : fmin(speed[r], device->speed);
        memory[r] = i < a->p ? device->memory : fmin(memory[r], device->memory);
    }
    out->speed = speed;
    out->memory = memory;
    return WEIR_OK;
}

weir_status weir_arrange(const struct weir_topology *topology, const struct weir_traffic *traffic, int n_ranks, int n_replicas,
                         struct weir_arena *arena, struct weir_arrangement *out)
{
    struct weir_arena work = {0};
    struct arranging a = {.topology = topology, .traffic = traffic, .p = n_ranks, .d = n_replicas, .work = &work};
    struct weir_arrangement best = {.n_ranks = n_ranks, .n_replicas = n_replicas};
    int *chosen, *device_of[2], n_ways = n_ranks > 1 && n_replicas > 1 ? 2 : 1;
    struct weir_topology_path *to_next[2];
    double seconds[2];
    if ((long)n_ranks * n_replicas > topology->n_devices)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%d ranks in %d replicas are more than %d devices", n_ranks, n_replicas, topology->n_devices);
    weir_status status = weir_arena_alloc(&work, (size_t)topology->n_devices, sizeof *chosen, &chosen);
    if (!status)
        status = weir_arena_alloc(&work, 2 * (size_t)topology->n_parts, sizeof *a.flows.up, &a.flows.up);
    if (!status)
        a.flows.down = a.flows.up + topology->n_parts;
    if (!status)
        devices_choose(topology, n_ranks * n_replicas, chosen);
    for (int way = 0; way < n_ways && !status; way++) {
        status = weir_arena_alloc(arena, (size_t)n_ranks * (size_t)n_replicas, sizeof(int), &device_of[way]);
        if (!status)
            status = weir_arena_alloc(arena, (size_t)n_ranks, sizeof *to_next[way], &to_next[way]);
        if (status)
            break;
        deal(&a, chosen, way == 1, device_of[way]);
        transfers_time(&a, device_of[way], to_next[way]);
        struct weir_topology_path ring = rings_time(&a, device_of[way]);
        seconds[way] = step_seconds(&a, to_next[way], ring);
        if (way && seconds[1] >= seconds[0])
            continue;
        best.device_of = device_of[way];
        best.to_next = to_next[way];
        best.ring = ring;
        best.replicas_together = way == 1;
    }
    if (!status)
        status = ranks_find(&a, arena, &best);
    weir_arena_release(&work);
    if (!status)
        *out = best;
    return status;
}
