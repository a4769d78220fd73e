#include "partitioner/contiguous/ranks.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

/* Up to so many stages borders are moved in runs, and any two of them, by so many layers. */
enum { MOST_RUN = 32, MOST_PAIRED = 12, MOST_FAR = 2, MOST_TURNS = 10000 };

struct moves {
    const double *sums; /* [n_layers + 1]: of the layers before */
    const int *stage_rank;
    int n_stages, n_ranks;
    int *cut;
    double *load;                /* [n_ranks] */
    double most, ranks, stages; /* of the cut: the busiest rank, squares of ranks and of stages */
};

static void weigh(const struct moves *m, double *most, double *ranks, double *stages)
{
    *most = *ranks = *stages = 0;
    for (int r = 0; r < m->n_ranks; r++)
        m->load[r] = 0;
    for (int i = 0; i < m->n_stages; i++) {
        double work = m->sums[m->cut[i + 1]] - m->sums[m->cut[i]];
        m->load[m->stage_rank[i]] += work;
        *stages += work * work;
    }
    for (int r = 0; r < m->n_ranks; r++) {
        *most = fmax(*most, m->load[r]);
        *ranks += m->load[r] * m->load[r];
    }
}

/* -1, 0 or 1; sums of another order are the same. */
static int compare(double a, double b)
{
    return fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b)) ? 0 : a < b ? -1 : 1;
}

static bool is_cut(const struct moves *m)
{
    for (int i = 0; i < m->n_stages; i++)
        if (m->cut[i] >= m->cut[i + 1])
            return false;
    return true;
}

static void shift(const struct moves *m, int first, int last, int by)
{
    for (int i = first; i <= last; i++)
        m->cut[i] += by;
}

/* Borders first to last, and border other (0: none), if that is better. */
static bool moved_better(struct moves *m, int first, int last, int by, int other, int also)
{
    double most, ranks, stages;
    shift(m, first, last, by);
    m->cut[other] += other ? also : 0;
    if (is_cut(m)) {
        weigh(m, &most, &ranks, &stages);
        int order = compare(most, m->most);
        order = order ? order : compare(ranks, m->ranks);
        order = order ? order : compare(stages, m->stages);
        if (order < 0) {
            m->most = most;
            m->ranks = ranks;
            m->stages = stages;
            return true;
        }
    }
    shift(m, first, last, -by);
    m->cut[other] -= other ? also : 0;
    return false;
}

static bool runs_moved(struct moves *m)
{
    bool any = false;
    int longest = m->n_stages <= MOST_RUN ? m->n_stages : 1;
    for (int i = 1; i < m->n_stages; i++)
        for (int j = i; j < m->n_stages && j < i + longest; j++)
            for (int by = -1; by <= 1; by += 2)
                while (moved_better(m, i, j, by, 0, 0))
                    any = true;
    return any;
}

static bool pairs_moved(struct moves *m)
{
    bool any = false;
    for (int i = 1; i < m->n_stages && m->n_stages <= MOST_PAIRED; i++)
        for (int j = i + 1; j < m->n_stages; j++)
            for (int by = -MOST_FAR; by <= MOST_FAR; by++)
                for (int also = -MOST_FAR; also <= MOST_FAR; also++)
                    any = moved_better(m, i, i, by, j, also) || any;
    return any;
}

static void search(struct moves *m)
{
    weigh(m, &m->most, &m->ranks, &m->stages);
    for (int turn = 0; turn < MOST_TURNS && (runs_moved(m) || pairs_moved(m)); turn++)
        ; /* ends by itself, but for costs that differ by less than `compare` sees */
}

/* Every stage about as much as the others. */
static void cut_evenly(const struct moves *m, int n_layers)
{
    for (int i = 1, l = 0; i < m->n_stages; i++) {
        double share = m->sums[n_layers] * i / m->n_stages;
        l = l < i ? i : l + 1;
        while (l < n_layers - (m->n_stages - i) && m->sums[l] < share && share - m->sums[l] > m->sums[l + 1] - share)
            l++;
        m->cut[i] = l;
    }
}

weir_status weir_chain_even_ranks(const double *cost, int n_layers, int n_stages, const int *stage_rank, int n_ranks, int *first_layer,
                                  bool *better_out)
{
    struct moves m = {.stage_rank = stage_rank, .n_stages = n_stages, .n_ranks = n_ranks, .cut = first_layer};
    double *sums;
    weir_status status = weir_alloc((size_t)n_layers + 2 + (size_t)n_ranks + (size_t)n_stages, sizeof *sums, &sums); /* and a cut */
    if (status)
        return status;
    m.sums = sums;
    m.load = sums + n_layers + 1;
    for (int l = 0; l < n_layers; l++)
        sums[l + 1] = sums[l] + cost[l];
    weigh(&m, &m.most, &m.ranks, &m.stages);
    double before = m.most;
    search(&m);
    struct moves other = m;
    other.cut = (int *)(void *)(m.load + n_ranks);
    memcpy(other.cut, first_layer, ((size_t)n_stages + 1) * sizeof *first_layer);
    cut_evenly(&other, n_layers);
    search(&other);
    if (compare(other.most, m.most) < 0) {
        memcpy(first_layer, other.cut, ((size_t)n_stages + 1) * sizeof *first_layer);
        m.most = other.most;
    }
    *better_out = m.most < before * (1 - 1e-3);
    weir_free(sums);
    return WEIR_OK;
}
