#include "schedules/kinds/greedy.h"

#include "base/arena.h"

enum { F_TICKS = 1, B_TICKS = 2 };

/* One stage.  Its micro-batches come in order, so counts say everything. */
struct unit {
    int stage, rank;
    int forwards, backwards; /* started so far */
    int *f_done, *b_done;    /* [micro-batches]: tick at which it ends, 0: not started */
};

struct greedy {
    const struct weir_greedy *plan;
    struct weir_builder *builder;
    struct unit *units; /* [n_stages] */
    int *units_of_rank; /* [n_stages], number + 1, grouped by rank */
    int *first_of_rank; /* [n_ranks + 1] */
    int *free_at;       /* [n_ranks] */
    int64_t left;       /* actions that are not started */
};

static weir_status units_open(struct greedy *g, struct weir_arena *work)
{
    const struct weir_greedy *plan = g->plan;
    weir_status status = weir_arena_alloc(work, (size_t)g->plan->n_stages, sizeof *g->units, &g->units);
    for (int u = 0; !status && u < g->plan->n_stages; u++) {
        struct unit *unit = &g->units[u];
        unit->stage = u;
        unit->rank = plan->rank[u];
        size_t n = (size_t)plan->n_microbatches;
        g->left += 2 * (int64_t)n;
        status = weir_arena_alloc(work, n, sizeof *unit->f_done, &unit->f_done);
        if (!status)
            status = weir_arena_alloc(work, n, sizeof *unit->b_done, &unit->b_done);
    }
    return status;
}

static weir_status ranks_open(struct greedy *g, struct weir_arena *work)
{
    int p = g->builder->schedule.n_ranks, n = 0;
    weir_status status = weir_arena_alloc(work, (size_t)p, sizeof *g->free_at, &g->free_at);
    if (!status)
        status = weir_arena_alloc(work, (size_t)p + 1, sizeof *g->first_of_rank, &g->first_of_rank);
    if (!status)
        status = weir_arena_alloc(work, (size_t)g->plan->n_stages, sizeof *g->units_of_rank, &g->units_of_rank);
    if (status)
        return status;
    for (int u = 0; u < g->plan->n_stages; u++)
        g->first_of_rank[g->units[u].rank + 1]++;
    for (int r = 0; r < p; r++)
        g->first_of_rank[r + 1] += g->first_of_rank[r];
    for (int u = g->plan->n_stages - 1; u >= 0; u--) { /* later stages first: ties go to them */
        int r = g->units[u].rank;
        for (n = g->first_of_rank[r]; g->units_of_rank[n]; n++)
            continue;
        g->units_of_rank[n] = u + 1;
    }
    return WEIR_OK;
}

static bool is_done(const int *done, int mb, int now)
{
    return done[mb] && done[mb] <= now;
}

static bool forward_ready(const struct greedy *g, const struct unit *unit, int now)
{
    int mb = unit->forwards;
    if (mb == g->plan->n_microbatches)
        return false;
    if (unit->stage > 0)
        return is_done(unit[-1].f_done, mb, now);
    return mb < g->plan->admitted || is_done(unit->b_done, mb - g->plan->admitted, now);
}

static bool backward_ready(const struct greedy *g, const struct unit *unit, int now)
{
    int mb = unit->backwards;
    if (mb == g->plan->n_microbatches)
        return false;
    return is_done(unit->f_done, mb, now) && (unit->stage == g->plan->n_stages - 1 || is_done(unit[1].b_done, mb, now));
}

/* What `rank` starts at `now`: the backward that came first, else a forward of its latest stage. */
static struct unit *choose(const struct greedy *g, int rank, int now, bool *backward_out)
{
    struct unit *best = NULL;
    *backward_out = false;
    for (int i = g->first_of_rank[rank]; i < g->first_of_rank[rank + 1]; i++) {
        struct unit *unit = &g->units[g->units_of_rank[i] - 1];
        if (backward_ready(g, unit, now) && (!*backward_out || unit->backwards < best->backwards)) {
            best = unit;
            *backward_out = true;
        } else if (!best && forward_ready(g, unit, now)) {
            best = unit;
        }
    }
    return best;
}

static void start(struct greedy *g, struct unit *unit, bool backward, int now)
{
    int mb = backward ? unit->backwards++ : unit->forwards++;
    int end = now + (backward ? B_TICKS : F_TICKS);
    (backward ? unit->b_done : unit->f_done)[mb] = end;
    g->free_at[unit->rank] = end;
    g->left--;
    weir_builder_add(g->builder, unit->rank, backward ? WEIR_B : WEIR_F, unit->stage, mb);
}

weir_status weir_greedy_run(const struct weir_greedy *plan, struct weir_builder *builder)
{
    struct greedy g = {.plan = plan, .builder = builder};
    struct weir_arena work = {0};
    weir_status status = units_open(&g, &work);
    if (!status)
        status = ranks_open(&g, &work);
    for (int now = 0; !status && g.left; now++)
        for (int r = 0; r < builder->schedule.n_ranks; r++) {
            bool backward;
            struct unit *unit = g.free_at[r] <= now ? choose(&g, r, now, &backward) : NULL;
            if (unit)
                start(&g, unit, backward, now);
        }
    weir_arena_release(&work);
    return status;
}
