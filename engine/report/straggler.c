#include "include/weir/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/grown.h"

enum { PER_OCTAVE = 16, BINS = 48 * PER_OCTAVE };
static const double limit = 1.5;
static const int64_t least_ns = INT64_C(5000000000);

/* Times in bins of equal ratio: their median to 4 % from a fixed number of counters. */
struct history {
    uint32_t n, counts[BINS];
};

/* Slower than what. */
enum measure { BEFORE, PLANNED, MEASURES };

/* Slow steps in a row. */
struct streak {
    int n;
    double factors;  /* added up */
    int64_t slow_ns; /* that they took */
};

struct follower {
    struct history history;
    double factors[MEASURES]; /* of this step */
    struct streak streaks[MEASURES];
    double planned_ns;        /* 0: not known */
    int n_normal;             /* steps in a row */
    bool is_told;
};

struct weir_stragglers {
    int n_ranks;
    double *others; /* [n_ranks] */
    struct follower ranks[];
};

weir_status weir_stragglers_open(int n_ranks, const int64_t *planned_ns, struct weir_stragglers **stragglers_out)
{
    char *memory;
    if (n_ranks < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there are %d ranks to follow, there must be at least 1", n_ranks);
    weir_status status = weir_alloc(1, sizeof **stragglers_out + (size_t)n_ranks * sizeof(struct follower), &memory);
    if (status)
        return status;
    struct weir_stragglers *stragglers = (struct weir_stragglers *)(void *)memory;
    stragglers->n_ranks = n_ranks;
    for (int r = 0; planned_ns && n_ranks > 1 && r < n_ranks; r++)
        stragglers->ranks[r].planned_ns = (double)planned_ns[r];
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
static double factor_of_others(struct weir_stragglers *stragglers, int rank, enum measure measure)
{
    int n = 0;
    for (int r = 0; r < stragglers->n_ranks; r++)
        if (r != rank)
            stragglers->others[n++] = stragglers->ranks[r].factors[measure];
    if (!n)
        return 1;
    qsort(stragglers->others, (size_t)n, sizeof(double), by_size);
    return stragglers->others[n / 2] > 1 ? stragglers->others[n / 2] : 1;
}

static void follow(struct streak *streak, double factor, int64_t step_ns)
{
    bool slow = factor > limit;
    streak->n = slow ? streak->n + 1 : 0;
    streak->factors = slow ? streak->factors + factor : 0;
    streak->slow_ns = slow ? streak->slow_ns + step_ns : 0;
}

static bool is_long(const struct streak *streak)
{
    return streak->n >= WEIR_STRAGGLER_STEPS && streak->slow_ns >= least_ns;
}

static void factors_find(struct follower *follower, int64_t compute_ns)
{
    bool knows = follower->history.n >= WEIR_STRAGGLER_STEPS;
    follower->factors[BEFORE] = knows ? (double)compute_ns / median_of(&follower->history) : 1;
    follower->factors[PLANNED] = follower->planned_ns > 0 ? (double)compute_ns / follower->planned_ns : 1;
}

/* true: it is found now. */
static bool rank_look(struct weir_stragglers *stragglers, int r, int64_t compute_ns, int64_t step_ns)
{
    struct follower *follower = &stragglers->ranks[r];
    for (int m = 0; m < MEASURES; m++)
        follow(&follower->streaks[m], follower->factors[m] / factor_of_others(stragglers, r, m), step_ns);
    if (!follower->streaks[BEFORE].n) /* what is slow is not what is usual, however long it lasts */
        history_add(&follower->history, compute_ns);
    follower->n_normal = follower->streaks[BEFORE].n || follower->streaks[PLANNED].n ? 0 : follower->n_normal + 1;
    if (follower->n_normal >= WEIR_STRAGGLER_STEPS)
        follower->is_told = false;
    return !follower->is_told && (is_long(&follower->streaks[BEFORE]) || is_long(&follower->streaks[PLANNED]));
}

bool weir_stragglers_look_sized(struct weir_stragglers *stragglers, const int64_t *compute_ns, int64_t step_ns,
                                struct weir_straggler *found_out, size_t found_bytes)
{
    bool found = false;
    for (int r = 0; r < stragglers->n_ranks; r++)
        factors_find(&stragglers->ranks[r], compute_ns[r]);
    for (int r = 0; r < stragglers->n_ranks; r++) {
        if (!rank_look(stragglers, r, compute_ns[r], step_ns) || found)
            continue;
        struct follower *follower = &stragglers->ranks[r];
        const struct streak *before = &follower->streaks[BEFORE], *planned = &follower->streaks[PLANNED];
        const struct streak *streak = is_long(before) ? before : planned;
        found = follower->is_told = true;
        const struct weir_straggler own = {r, streak->factors / streak->n, streak == planned};
        weir_grown_give(&own, sizeof own, found_out, found_bytes);
    }
    return found;
}
