/* weir train --profile: what the ranks waited for, class by class.
 *
 *     rank 0   [0F0][0F1]....drain....  [norm]..update..
 *     rank 1   ..fill..[1F0] ~for rank 0~ =transfer= [1F1] ...
 *
 * fill        before the rank's first action: no schedule starts all ranks at once
 * for rank R  until R had made an input or gradient, or freed a slot
 * transfer    from there until the rank went on
 * drain       after the rank's last action, until the last rank's
 * reduction   for gradients of other replicas, or of other uses of tied parameters
 * update      for norms and parameters of other ranks, and for the end of the step
 * other       nobody was awaited: taking up the next instruction */
#include <string.h>

#include "cmd/train.h"

enum { FILL, NEIGHBOUR, TRANSFER, DRAIN, REDUCTION, UPDATE, OTHER };

static const char *const class_names[TRAIN_WAIT_CLASSES] = {"fill",      "for neighbours", "transfer", "drain",
                                                            "reduction", "update",         "other"};

struct train_waits {
    int n_ranks;
    int64_t (*classes)[TRAIN_WAIT_CLASSES]; /* [n_ranks] in ns, of all steps */
    int64_t *peers;                         /* [n_ranks][n_ranks]: the part of NEIGHBOUR for each of the others */
    int64_t *acted_ns, *begun_ns;           /* [n_ranks]: the end of its last action, the start of its first, of a step */
};

weir_status train_waits_open(struct train_run *run, struct train_waits **waits_out)
{
    struct train_waits *w;
    size_t n = (size_t)run->n_ranks;
    weir_status status = weir_arena_alloc(&run->arena, 1, sizeof *w, &w);
    if (!status)
        status = weir_arena_alloc(&run->arena, n, sizeof *w->classes, &w->classes);
    if (!status)
        status = weir_arena_alloc(&run->arena, n * n, sizeof *w->peers, &w->peers);
    if (!status)
        status = weir_arena_alloc(&run->arena, n, sizeof *w->acted_ns, &w->acted_ns);
    if (!status)
        status = weir_arena_alloc(&run->arena, n, sizeof *w->begun_ns, &w->begun_ns);
    if (status)
        return status;
    w->n_ranks = run->n_ranks;
    *waits_out = w;
    return WEIR_OK;
}

/* ---- one step ------------------------------------------------------------------------------------------------------ */

static int class_of(const char *cause)
{
    static const char *const reductions[] = {"bucket", "sum", "tied gradient"}, *const updates[] = {"norm", "update", "tied parameter"};
    for (int i = 0; cause && i < 3; i++) {
        if (!strcmp(cause, reductions[i]))
            return REDUCTION;
        if (!strcmp(cause, updates[i]))
            return UPDATE;
    }
    return cause ? NEIGHBOUR : OTHER;
}

/* When each rank acted; returns the end of the last action of all. */
static int64_t actions_find(const struct train_run *run, struct train_waits *w)
{
    int64_t last = INT64_MIN;
    for (int r = 0; r < w->n_ranks; r++) {
        w->acted_ns[r] = INT64_MIN;
        w->begun_ns[r] = INT64_MAX;
    }
    for (size_t i = 0; i < run->n_events; i++) {
        const struct weir_step_event *e = &run->events[i];
        if (!strcmp(e->category, "optimizer"))
            continue;
        w->acted_ns[e->rank] = e->end_ns > w->acted_ns[e->rank] ? e->end_ns : w->acted_ns[e->rank];
        w->begun_ns[e->rank] = e->start_ns < w->begun_ns[e->rank] ? e->start_ns : w->begun_ns[e->rank];
        last = e->end_ns > last ? e->end_ns : last;
    }
    return last;
}

/* A wait behind the rank's last action: until the last of all it is the schedule's. */
static void end_add(int64_t *classes, const struct weir_step_wait *wait, int64_t last)
{
    int64_t drained = (wait->end_ns < last ? wait->end_ns : last) - wait->start_ns;
    drained = drained > 0 ? drained : 0;
    classes[DRAIN] += drained;
    classes[class_of(wait->cause) == REDUCTION ? REDUCTION : UPDATE] += wait->end_ns - wait->start_ns - drained;
}

static void wait_add(struct train_waits *w, const struct weir_step_wait *wait, int64_t last)
{
    int64_t *classes = w->classes[wait->rank];
    int class = class_of(wait->cause);
    if (wait->end_ns <= w->begun_ns[wait->rank]) {
        classes[FILL] += wait->end_ns - wait->start_ns;
    } else if (wait->start_ns >= w->acted_ns[wait->rank]) {
        end_add(classes, wait, last);
    } else {
        classes[class] += wait->made_ns - wait->start_ns;
        classes[class == OTHER ? OTHER : TRANSFER] += wait->end_ns - wait->made_ns;
        if (class == NEIGHBOUR)
            w->peers[(size_t)wait->rank * (size_t)w->n_ranks + (size_t)wait->peer] += wait->made_ns - wait->start_ns;
    }
}

void train_waits_add(const struct train_run *run, struct train_waits *w)
{
    int64_t last = actions_find(run, w);
    for (size_t i = 0; i < run->n_waits; i++)
        wait_add(w, &run->waits[i], last);
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

const char *train_waits_class(int class)
{
    return class_names[class];
}

int64_t train_waits_ns(const struct train_waits *w, int class)
{
    int64_t sum = 0;
    for (int r = 0; r < w->n_ranks; r++)
        sum += w->classes[r][class];
    return sum;
}

/* "for rank 1 2.113, for rank 3 0.200": the neighbours of a rank that were awaited, longest ones not sorted. */
static void peers_print(const struct train_waits *w, int rank, double per, FILE *out)
{
    for (int peer = 0; peer < w->n_ranks; peer++) {
        int64_t ns = w->peers[(size_t)rank * (size_t)w->n_ranks + (size_t)peer];
        if (ns)
            fprintf(out, "  rank %d %.3f", peer, (double)ns * per);
    }
}

void train_waits_print(const struct train_waits *w, int64_t n_steps, FILE *out)
{
    double per = n_steps > 0 ? 1e-6 / (double)n_steps : 0;
    fprintf(out, "waiting of each rank, ms of a step\n%5s", "rank");
    for (int class = 0; class < TRAIN_WAIT_CLASSES; class++)
        fprintf(out, " %14s", class_names[class]);
    fprintf(out, "  of these neighbours\n");
    for (int r = 0; r < w->n_ranks; r++) {
        fprintf(out, "%5d", r);
        for (int class = 0; class < TRAIN_WAIT_CLASSES; class++)
            fprintf(out, " %14.3f", (double)w->classes[r][class] * per);
        peers_print(w, r, per, out);
        fprintf(out, "\n");
    }
}
