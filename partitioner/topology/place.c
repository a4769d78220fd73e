/* Placing the ranks of one pipeline.  Exact: depth first over ranks, the nearest device first, cut off where what is placed and
 * the cheapest link for all that is left are no better than the best so far.  Devices that nothing tells apart are tried once. */
#include <math.h>
#include <string.h>

#include "partitioner/topology/arrange.h"

enum { MOST_PLACED = 64, MOST_TRIES = 1 << 22 };

struct placing {
    const struct weir_topology *topology;
    const struct weir_traffic *traffic;
    const int *devices;
    int n, n_ranks, row[WEIR_PLACE_EXACT], best[WEIR_PLACE_EXACT];
    bool used[MOST_PLACED];
    double cost[MOST_PLACED][MOST_PLACED], least, best_cost;
    long tries;
};

static double link_cost(const struct weir_topology *topology, const struct weir_traffic *traffic, int a, int b)
{
    struct weir_topology_path path = weir_topology_path(topology, a, b);
    return traffic->transfer_bytes / path.bandwidth + traffic->n_transfers * path.latency;
}

double weir_place_cost(const struct weir_topology *topology, const struct weir_traffic *traffic, const int *devices, int n_ranks)
{
    double sum = 0;
    for (int r = 0; r + 1 < n_ranks; r++)
        sum += link_cost(topology, traffic, devices[r], devices[r + 1]);
    return n_ranks > 2 && traffic->wraps ? sum + link_cost(topology, traffic, devices[n_ranks - 1], devices[0]) : sum;
}

/* Same links to all others, and to each other as to themselves. */
static bool is_twin(const struct placing *p, int a, int b)
{
    for (int i = 0; i < p->n; i++)
        if (i != a && i != b && p->cost[a][i] != p->cost[b][i])
            return false;
    return true;
}

static bool is_tried(const struct placing *p, int device)
{
    for (int i = 0; i < device; i++)
        if (!p->used[i] && is_twin(p, i, device))
            return true;
    return false;
}

static void place_from(struct placing *p, int rank, double cost)
{
    bool done[MOST_PLACED] = {false}, wraps = p->n_ranks > 2 && p->traffic->wraps;
    if (rank == p->n_ranks) {
        cost += wraps ? p->cost[p->row[rank - 1]][p->row[0]] : 0;
        if (cost < p->best_cost) {
            p->best_cost = cost;
            memcpy(p->best, p->row, sizeof p->best);
        }
        return;
    }
    for (int k = 0; k < p->n && p->tries++ < MOST_TRIES; k++) {
        int next = -1;
        for (int i = 0; i < p->n; i++)
            if (!p->used[i] && !done[i] && (next < 0 || (rank > 0 && p->cost[p->row[rank - 1]][i] < p->cost[p->row[rank - 1]][next])))
                next = i;
        if (next < 0)
            return;
        done[next] = true;
        double with = cost + (rank > 0 ? p->cost[p->row[rank - 1]][next] : 0);
        int left = p->n_ranks - 1 - rank + wraps;
        if (with + left * p->least >= p->best_cost * (1 - 1e-12) || is_tried(p, next))
            continue;
        p->used[next] = true;
        p->row[rank] = next;
        place_from(p, rank + 1, with);
        p->used[next] = false;
    }
}

static void exact(const struct weir_topology *topology, const struct weir_traffic *traffic, int *devices, int n, int n_ranks)
{
    struct placing p = {.topology = topology, .traffic = traffic, .devices = devices, .n = n, .n_ranks = n_ranks, .least = INFINITY,
                        .best_cost = INFINITY};
    int rest[MOST_PLACED], n_rest = 0;
    bool taken[MOST_PLACED] = {false};
    for (int a = 0; a < n; a++)
        for (int b = 0; b < n; b++)
            if (a != b) {
                p.cost[a][b] = link_cost(topology, traffic, devices[a], devices[b]);
                p.least = fmin(p.least, p.cost[a][b]);
            }
    place_from(&p, 0, 0);
    for (int r = 0; r < n_ranks; r++)
        taken[p.best[r]] = true;
    for (int i = 0; i < n; i++)
        if (!taken[i])
            rest[n_rest++] = devices[i];
    for (int r = 0; r < n_ranks; r++)
        p.row[r] = devices[p.best[r]];
    memcpy(devices, p.row, (size_t)n_ranks * sizeof *devices);
    memcpy(devices + n_ranks, rest, (size_t)n_rest * sizeof *devices);
}

static void turn(int *devices, int first, int last)
{
    for (; first < last; first++, last--) {
        int other = devices[first];
        devices[first] = devices[last];
        devices[last] = other;
    }
}

static void turns(const struct weir_topology *topology, const struct weir_traffic *traffic, int *devices, int n_ranks)
{
    double cost = weir_place_cost(topology, traffic, devices, n_ranks);
    for (bool better = true; better;) {
        better = false;
        for (int a = 0; a < n_ranks; a++)
            for (int b = a + 1; b < n_ranks; b++) {
                turn(devices, a, b);
                double turned = weir_place_cost(topology, traffic, devices, n_ranks);
                if (turned < cost * (1 - 1e-12)) {
                    cost = turned;
                    better = true;
                } else {
                    turn(devices, a, b);
                }
            }
    }
}

void weir_place(const struct weir_topology *topology, const struct weir_traffic *traffic, int *devices, int n, int n_ranks)
{
    if (n_ranks < 2 || n > MOST_PLACED)
        return;
    if (n_ranks <= WEIR_PLACE_EXACT)
        exact(topology, traffic, devices, n, n_ranks);
    else
        turns(topology, traffic, devices, n_ranks);
}
