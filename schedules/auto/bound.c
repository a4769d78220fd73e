#include "schedules/auto/bound.h"

#include <math.h>

#include "schedules/simulate/cost_tables.h"

double weir_auto_transfer(const struct weir_schedule_costs *costs, int from, int to)
{
    if (from == to)
        return 0;
    for (int e = 0; e < costs->n_edges; e++)
        if (costs->edges[e].from == from && costs->edges[e].to == to)
            return costs->edges[e].latency +
                   (costs->edges[e].bandwidth > 0 ? costs->edges[e].bytes / costs->edges[e].bandwidth : 0);
    return costs->transfer;
}

/* What one rank does and can hold. */
struct load {
    double busy, forwards, weights;  /* time */
    double fit_forwards, fit_weights; /* the same, of what the cap holds at once */
    double head;                     /* when its first input can be there */
    double fill;                     /* when its first gradient can be there */
    double first_forward;            /* from its first start to that gradient */
    double tail;                     /* what follows its last I on other ranks */
};

/* The most work in actions of `each` that take `held` of a cap. */
static double fit(double cap, double held, double each)
{
    if (each <= 0)
        return 0;
    return held > 0 ? cap / held * each : INFINITY;
}

static double fit_whole(double cap, double held, double each)
{
    return held > 0 && isfinite(cap) ? floor(cap / held * (1 + 1e-9)) * each : fit(cap, held, each);
}

static bool stages_alike(const struct weir_stage_costs *a, const struct weir_stage_costs *b)
{
    return a->forward == b->forward && a->weight == b->weight && a->mem_backward == b->mem_backward &&
           a->mem_weight == b->mem_weight;
}

static void load_count(const struct weir_auto_request *q, const int *stage_rank, int n_stages, int rank, double cap,
                       struct load *load)
{
    struct weir_stage_costs first = {0};
    bool alike = true, any = false;
    double m = q->n_microbatches, at_once = fmin(1, weir_costs_at_once(&q->costs->flight));
    for (int s = 0; s < n_stages; s++) {
        if (stage_rank[s] != rank)
            continue;
        struct weir_stage_costs c = weir_costs_stage(q->costs, s);
        first = any ? first : c;
        alike = alike && stages_alike(&first, &c);
        any = true;
        load->busy += m * (c.forward + at_once * (c.input + c.weight));
        load->forwards += m * c.forward;
        load->weights += m * c.weight;
        load->fit_forwards = fmax(load->fit_forwards, fit(cap, c.mem_backward, c.forward));
        load->fit_weights = fmax(load->fit_weights, fit(cap, c.mem_weight, c.weight));
    }
    if (alike) {
        load->fit_forwards = fit_whole(cap, first.mem_backward, first.forward);
        load->fit_weights = fit_whole(cap, first.mem_weight, first.weight);
    }
}

/* The chain of one micro-batch through all stages and back. */
static void load_chain(const struct weir_auto_request *q, const int *stage_rank, int n_stages, int rank,
                       struct load *load)
{
    double time = 0;
    int lowest = -1, highest = -1;
    for (int s = 0; s < n_stages; s++) {
        if (s)
            time += weir_auto_transfer(q->costs, stage_rank[s - 1], stage_rank[s]);
        if (stage_rank[s] == rank) {
            load->head = lowest < 0 ? time : load->head;
            lowest = lowest < 0 ? s : lowest;
            highest = s;
        }
        time += weir_costs_stage(q->costs, s).forward;
    }
    for (int s = n_stages - 1; s > highest; s--)
        time += weir_costs_stage(q->costs, s).input +
                weir_auto_transfer(q->costs, stage_rank[s], stage_rank[s - 1]);
    load->fill = time;
    load->first_forward = time - load->head;
    for (int s = lowest - 1; s >= 0; s--)
        load->tail += weir_costs_stage(q->costs, s).input +
                      weir_auto_transfer(q->costs, stage_rank[s + 1], stage_rank[s]);
    if (lowest > 0)
        load->tail += weir_costs_stage(q->costs, 0).weight;
}

double weir_auto_bound(const struct weir_auto_request *request, const double *caps, const int *stage_rank,
                       int n_stages)
{
    double bound = 0;
    for (int r = 0; r < request->n_ranks; r++) {
        struct load load = {0};
        load_count(request, stage_rank, n_stages, r, caps[r], &load);
        load_chain(request, stage_rank, n_stages, r, &load);
        double forwards = fmin(load.fit_forwards, load.forwards), weights = fmin(load.fit_weights, load.weights);
        double before = request->objective == WEIR_AUTO_SPAN ? fmax(0, load.first_forward - forwards)
                                                             : fmax(load.head, load.fill - forwards);
        double after = request->objective == WEIR_AUTO_SPAN ? 0 : fmax(0, load.tail - weights);
        bound = fmax(bound, before + load.busy + after);
    }
    bound *= fmin(1, request->costs->overlap_gain); /* an OVERLAP_F_B makes its parts shorter by so much at most */
    return bound + request->costs->reduce + request->costs->optimizer;
}
