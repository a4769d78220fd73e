/* Models with branches: are simulated bubbles those of a run?
 *
 *     bench_branches [TURNS] [STEPS]        default 5 turns of 8 steps
 *
 * Three models, each on two ranks with 8 micro-batches under five schedules: umlp; an encoder of four layers that every layer of a
 * decoder reads; a residual perceptron whose layers add what the layer two before has made.  A schedule is run, and simulated with what
 * F, I, W and B of each stage took in the median step of that run (their means), free transfers and the boundaries of the model: what
 * differs is waiting.  A turn goes through all; rows have medians over turns, of the difference too.  Every run has the loss of the same model under the other
 * schedules, to the bit.
 *
 * Exit status 1: a row is off by more than 2 points, or a loss differs. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/bench_run.h"
#include "engine/program/stage_costs.h"
#include "kernels/op_rows.h"
#include "models/model_kinds.h"

enum { RANKS = 2, MICROBATCHES = 8, BATCH = 512, ROWS = 128, WIDTH = 512, LAYERS = 8, ENCODER = 4, MOST_TURNS = 101, MODELS = 3, SCHEDULES = 5 };

static const double NEAR = 0.02;

static const char *const names[SCHEDULES] = {"1f1b", "gpipe", "zb-h1", "interleaved", "zbv"};

/* ---- models --------------------------------------------------------------------------------------------------------- */

static int dense(struct weir_graph_builder *b, const char *name, int x, int64_t out)
{
    struct weir_linear_attr attr = {.out_features = out};
    int weight = weir_graph_param(b, name, WEIR_INIT_NORMAL, 0.05, true);
    return weir_graph_node(b, name, &weir_op_linear, &attr, sizeof attr, 1, &x, 1, &weight);
}

static int layer_make(struct weir_graph_builder *b, int l, int x)
{
    struct weir_norm_attr eps = {.eps = 1e-5};
    char name[3][16];
    static const char *const words[] = {"norm", "fc", "relu"};
    for (int i = 0; i < 3; i++)
        snprintf(name[i], sizeof name[i], "%s%d", words[i], l);
    int gain = weir_graph_param(b, name[0], WEIR_INIT_CONSTANT, 1, false);
    x = weir_graph_node(b, name[0], &weir_op_rms_norm, &eps, sizeof eps, 1, &x, 1, &gain);
    x = dense(b, name[1], x, WIDTH);
    return weir_graph_node(b, name[2], &weir_op_relu, NULL, 0, 1, &x, 0, NULL);
}

/* What layer l adds; -1: nothing. */
static int branch_of(bool encoder, const int *made, int l)
{
    if (encoder)
        return l > ENCODER ? made[ENCODER - 1] : -1;
    return l >= 2 ? made[l - 2] : -1;
}

static weir_status chain_build(bool encoder, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_graph_builder b;
    int made[LAYERS];
    char name[16];
    weir_graph_begin(&b, encoder ? "encoder and decoder" : "residual", arena);
    int x = weir_graph_input(&b, "images", (struct weir_shape){2, {ROWS, WIDTH}, WEIR_DTYPE_F32});
    int targets = weir_graph_input(&b, "targets", (struct weir_shape){1, {ROWS}, WEIR_DTYPE_I32});
    for (int l = 0; l < LAYERS; l++) {
        snprintf(name, sizeof name, "layer%d", l);
        weir_graph_layer(&b, name);
        int other = branch_of(encoder, made, l);
        x = layer_make(&b, l, x);
        made[l] = x = other < 0 ? x : weir_graph_node(&b, "sum", &weir_op_add, NULL, 0, 2, (int[]){x, other}, 0, NULL);
    }
    x = dense(&b, "head", x, 10);
    weir_graph_node(&b, "loss", &weir_op_cross_entropy, NULL, 0, 2, (int[]){x, targets}, 0, NULL);
    return weir_graph_finish(&b, graph_out);
}

static weir_status model_build(int which, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_model_params params = {.microbatch_size = BATCH, .n_inputs = 784, .n_classes = 10};
    return which ? chain_build(which == 1, arena, graph_out) : weir_model_build(&weir_model_umlp, &params, arena, graph_out);
}

/* ---- a row ---------------------------------------------------------------------------------------------------------- */

struct row {
    double predicted[MOST_TURNS], measured[MOST_TURNS], points[MOST_TURNS], ms[MOST_TURNS], loss;
    int n_boundaries;
};

/* What the actions of a step took, in ms: B as I, with W 0. */
static weir_status costs_take(const struct bench_step *step, int n_stages, struct weir_arena *arena, struct weir_schedule_costs *costs)
{
    struct weir_stage_costs *stages;
    weir_status status = weir_arena_alloc(arena, (size_t)n_stages, sizeof *stages, &stages);
    if (status)
        return status;
    *costs = (struct weir_schedule_costs){.overlap_gain = 1, .stages = stages, .n_stages = n_stages};
    for (size_t i = 0; i < step->n_events; i++) {
        const struct weir_step_event *event = &step->events[i];
        double ms = (double)(event->end_ns - event->start_ns) / 1e6;
        if (!strcmp(event->category, "optimizer"))
            costs->optimizer += ms / RANKS;
        else if (event->stage >= 0 && event->mb >= 0)
            *(event->category[0] == 'F'   ? &stages[event->stage].forward
              : event->category[0] == 'W' ? &stages[event->stage].weight
                                          : &stages[event->stage].input) += ms / MICROBATCHES;
    }
    return WEIR_OK;
}

static weir_status predict(const struct bench_settings *settings, struct weir_schedule schedule, const struct weir_schedule_costs *costs,
                           struct weir_arena *arena, struct row *row, double *bubble_out)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    struct weir_simulation simulation;
    const struct weir_schedule_boundary *boundaries;
    config.graph = settings->graph;
    weir_status status = weir_stage_boundaries_find(&config, schedule.n_stages, arena, &boundaries, &row->n_boundaries);
    if (!status)
        status = weir_schedule_boundaries_set(&schedule, boundaries, row->n_boundaries, arena);
    if (!status)
        status = weir_schedule_simulate(&schedule, costs, &(struct weir_simulation_options){0}, arena, &simulation);
    if (!status)
        *bubble_out = simulation.bubble;
    return status;
}

static weir_status row_turn(const struct bench_settings *settings, const char *name, int turn, struct row *row)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct bench_outcome outcome;
    const struct weir_schedule_kind *kind;
    weir_status status = weir_schedule_kind_find(name, &kind);
    int chunks = status ? 1 : weir_schedule_kind_chunks(kind);
    if (!status)
        status = weir_pipeline_schedule(name, RANKS * chunks, chunks, MICROBATCHES, &arena, &schedule);
    if (!status)
        status = bench_run(settings, &schedule, &arena, &outcome);
    if (!status) {
        struct weir_schedule_costs costs;
        status = costs_take(&outcome.median_step, schedule.n_stages, &arena, &costs);
        if (!status)
            status = predict(settings, schedule, &costs, &arena, row, &row->predicted[turn]);
        row->points[turn] = row->predicted[turn] - outcome.bubble;
        row->measured[turn] = outcome.bubble;
        row->ms[turn] = outcome.median_ms;
        row->loss = outcome.loss;
    }
    weir_arena_release(&arena);
    return status;
}

/* ---- all rows ------------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return values[n / 2];
}

/* Returns whether the row came true. */
static bool row_print(const char *model, const char *schedule, struct row *row, int turns, double loss)
{
    double predicted = median(row->predicted, turns), measured = median(row->measured, turns), points = median(row->points, turns);
    printf("%-20s %-12s %10d %9.3f ms %8.1f %% %8.1f %% %+7.1f%s\n", model, schedule, row->n_boundaries, median(row->ms, turns),
           100 * predicted, 100 * measured, 100 * points, row->loss == loss ? "" : "  another loss");
    return fabs(points) <= NEAR && row->loss == loss;
}

static weir_status turns_run(const struct weir_graph *const *graphs, int turns, int steps, struct row *rows)
{
    struct weir_model_kind images = {.name = "branches", .data = WEIR_DATA_IMAGES};
    weir_status status = WEIR_OK;
    for (int turn = 0; turn < turns && !status; turn++)
        for (int i = 0; i < MODELS * SCHEDULES && !status; i++) {
            struct bench_settings settings = {.model = &images, .graph = graphs[i / SCHEDULES], .n_steps = steps, .n_warm_up = 3, .threads = 1,
                                             .keeps_events = true};
            status = row_turn(&settings, names[i % SCHEDULES], turn, &rows[i]);
        }
    return status;
}

int main(int argc, char **argv)
{
    static struct row rows[MODELS * SCHEDULES];
    const struct weir_graph *graphs[MODELS];
    struct weir_arena arena = {0};
    int turns = argc > 1 ? atoi(argv[1]) : 5, steps = argc > 2 ? atoi(argv[2]) : 8, off = 0;
    turns = turns < 1 ? 1 : turns > MOST_TURNS ? MOST_TURNS : turns;
    weir_status status = WEIR_OK;
    for (int m = 0; m < MODELS && !status; m++)
        status = model_build(m, &arena, &graphs[m]);
    if (!status)
        status = turns_run(graphs, turns, steps > 0 ? steps : 1, rows);
    if (status) {
        fprintf(stderr, "bench_branches: %s\n", weir_last_error());
        return 1;
    }
    printf("%d ranks, %d micro-batches of %d (umlp) and %d rows; medians of %d turns of %d steps\n\n%-20s %-12s %10s %12s %10s %10s %7s\n", RANKS,
           MICROBATCHES, BATCH, ROWS, turns, steps, "model", "schedule", "boundaries", "step", "simulated", "measured", "points");
    for (int i = 0; i < MODELS * SCHEDULES; i++)
        off += !row_print(graphs[i / SCHEDULES]->name, names[i % SCHEDULES], &rows[i], turns, rows[i / SCHEDULES * SCHEDULES].loss);
    printf("\n%d of %d within %.0f points\n", MODELS * SCHEDULES - off, MODELS * SCHEDULES, 100 * NEAR);
    weir_arena_release(&arena);
    return off > 0;
}
