#include "engine/report/straggler.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { PER_OCTAVE = 16, BINS = 48 * PER_OCTAVE };
static const double limit = 1.5;
static const int64_t least_ns = INT64_C(5000000000);

/* Times in bins of equal ratio: their median to 4 % from a fixed number of counters. */
struct history {
    uint32_t n, counts[BINS];
};

struct follower {
    struct history history;
    double factor;              /* of this step */
    int n_slow, n_normal;       /* steps in a row */
    double factors;             /* of the slow ones, added up */
    int64_t slow_ns;            /* that they took */
    bool is_told;
};

struct weir_stragglers {
    int n_ranks;
    double *others; /* [n_ranks] */
    struct follower ranks[];
};

weir_status weir_stragglers_open(int n_ranks, struct weir_stragglers **stragglers_out)
{
    char *memory;
    weir_status status = weir_alloc(1, sizeof **stragglers_out + (size_t)n_ranks * sizeof(struct follower), &memory);
    if (status)
        return status;
    struct weir_stragglers *stragglers = (struct weir_stragglers *)(void *)memory;
    stragglers->n_ranks = n_ranks;
    status = weir_alloc((size_t)n_ranks, sizeof *stragglers->others, &stragglers->others);
    if (status)
        weir_free(stragglers);
    else
        *stragglers_out = stragglers;
    return status;
}

void weir_stragglers_close(struct weir_stragglers *stragglers)
{
    if (stragglers)
        weir_free(stragglers->others);
    weir_free(stragglers);
}

static void history_add(struct history *history, int64_t ns)
{
    int bin = ns > 1 ? (int)(log2((double)ns) * PER_OCTAVE) : 0;
    history->counts[bin < BINS ? bin : BINS - 1]++;
    history->n++;
}

static double median_of(const struct history *history)
{
    uint32_t below = 0;
    int bin = 0;
    while (bin < BINS && 2 * (below += history->counts[bin]) < history->n)
        bin++;
    return exp2((bin + 0.5) / PER_OCTAVE);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What the machine does to all but `rank`: the factor in the middle. */
static double factor_of_others(struct weir_stragglers *stragglers, int rank)
{
    int n = 0;
    for (int r = 0; r < stragglers->n_ranks; r++)
        if (r != rank)
            stragglers->others[n++] = stragglers->ranks[r].factor;
    if (!n)
        return 1;
    qsort(stragglers->others, (size_t)n, sizeof(double), by_size);
    return stragglers->others[n / 2] > 1 ? stragglers->others[n / 2] : 1;
}

static void follow(struct follower *follower, double factor, int64_t step_ns)
{
    bool slow = factor > limit;
    follower->n_normal = slow ? 0 : follower->n_normal + 1;
    follower->n_slow = slow ? follower->n_slow + 1 : 0;
    follower->factors = slow ? follower->factors + factor : 0;
    follower->slow_ns = slow ? follower->slow_ns + step_ns : 0;
    if (follower->n_normal >= WEIR_STRAGGLER_STEPS)
        follower->is_told = false;
}

bool weir_stragglers_look(struct weir_stragglers *stragglers, const int64_t *compute_ns, int64_t step_ns, int *rank_out, double *factor_out)
{
    bool found = false;
    for (int r = 0; r < stragglers->n_ranks; r++) {
        struct follower *follower = &stragglers->ranks[r];
        bool knows = follower->history.n >= WEIR_STRAGGLER_STEPS;
        follower->factor = knows ? (double)compute_ns[r] / median_of(&follower->history) : 1;
    }
    for (int r = 0; r < stragglers->n_ranks; r++) {
        struct follower *follower = &stragglers->ranks[r];
        follow(follower, follower->factor / factor_of_others(stragglers, r), step_ns);
        if (!follower->n_slow) /* what is slow is not what is usual, however long it lasts */
            history_add(&follower->history, compute_ns[r]);
        if (found || follower->is_told || follower->n_slow < WEIR_STRAGGLER_STEPS || follower->slow_ns < least_ns)
            continue;
        found = follower->is_told = true;
        *rank_out = r;
        *factor_out = follower->factors / follower->n_slow;
    }
    return found;
}
