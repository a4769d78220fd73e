#include "tests/support/program_fixture.h"

#include <string.h>

#include "engine/program/recomputed.h"
#include "models/model_kinds.h"
#include "include/weir/partition.h"
#include "tests/support/odd_graph.h"
#include "tests/support/random_schedule.h"
#include "tests/support/testing.h"

enum { MOST_MICROBATCHES = 6, MOST_REPLICAS = 3 };

static void build(struct program_fixture *f, const struct weir_model_kind *kind, const char *schedule, int stages, int chunks, int microbatches,
                  const char *recompute, enum weir_dtype storage)
{
    bool *layers;
    memset(f, 0, sizeof *f);
    struct weir_model_params model = {.microbatch_size = 2};
    if (kind->data == WEIR_DATA_IMAGES)
        model.n_inputs = model.n_classes = 4;
    struct weir_schedule_report report;
    double costs[64];
    int first_layer[65];
    assert_ok(weir_model_build(kind, &model, &f->arena, &f->graph));
    assert_ok(weir_graph_cast(f->graph, storage, &f->arena, &f->graph));
    assert_ok(weir_recomputed_layers(f->graph, recompute, &f->arena, &layers));
    assert_ok(weir_pipeline_schedule(schedule, stages, chunks, microbatches, &f->arena, &f->schedule));
    assert_ok(weir_schedule_check(&f->schedule, WEIR_CHANNELS_EDGE, &f->arena, &report));
    for (int l = 0; l < f->graph->n_layers; l++)
        costs[l] = weir_layer_cost(f->graph, l);
    assert_ok(weir_chain_split(costs, f->graph->n_layers, stages, first_layer));
    struct weir_program_params params = {.graph = f->graph,
                                         .schedule = &f->schedule,
                                         .input_slots = report.input_slots,
                                         .gradient_slots = report.gradient_slots,
                                         .peak_in_flight = report.peak_in_flight_stage,
                                         .first_layer = first_layer,
                                         .n_threads = 1,
                                         .state_floats = 2,
                                         .recompute = layers};
    assert_ok(weir_program_build(&params, &f->arena, &f->program));
}

void program_fixture_recompute(struct program_fixture *f, const char *schedule, int stages, int chunks, int microbatches,
                               const char *recompute)
{
    build(f, &weir_model_gpt2_tiny, schedule, stages, chunks, microbatches, recompute, WEIR_DTYPE_F32);
}

void program_fixture_build(struct program_fixture *f, const char *schedule, int stages, int chunks, int microbatches)
{
    build(f, &weir_model_gpt2_tiny, schedule, stages, chunks, microbatches, NULL, WEIR_DTYPE_F32);
}

void program_fixture_bf16(struct program_fixture *f, const char *schedule, int stages, int chunks, int microbatches)
{
    build(f, &weir_model_gpt2_tiny, schedule, stages, chunks, microbatches, NULL, WEIR_DTYPE_BF16);
}

void program_fixture_model(struct program_fixture *f, const struct weir_model_kind *kind, const char *schedule, int stages,
                           int microbatches)
{
    build(f, kind, schedule, stages, 0, microbatches, NULL, WEIR_DTYPE_F32);
}

static void random_cut(uint64_t *random, int n_stages, int *first_layer)
{
    for (int s = 0, layer = 0; s < n_stages; s++) {
        first_layer[s] = layer;
        layer += 1 + random_below(random, ODD_LAYERS - layer - (n_stages - s - 1));
    }
    first_layer[n_stages] = ODD_LAYERS;
}

static struct random_schedule_params random_params(uint64_t *random)
{
    struct random_schedule_params params = {.n_ranks = 1 + random_below(random, 4)};
    int most = 3 * params.n_ranks < ODD_LAYERS ? 3 * params.n_ranks : ODD_LAYERS;
    params.n_stages = params.n_ranks + random_below(random, most - params.n_ranks + 1);
    params.n_microbatches = 1 + random_below(random, MOST_MICROBATCHES);
    params.slots = random_below(random, 4) > 0;
    params.ascending = random_below(random, 2);
    return params;
}

/* Without slots of the engine's a schedule may wait in a circle; another one is made. */
static void random_schedule(struct program_fixture *f, uint64_t seed, uint64_t *random,
                            struct weir_schedule_report *report_out)
{
    struct random_schedule_params params = random_params(random);
    bool reductions = random_below(random, 2);
    random_schedule_build(&params, seed, &f->arena, &f->schedule);
    if (reductions)
        random_reductions_add(&f->schedule, random, &f->arena);
    if (weir_schedule_check(&f->schedule, WEIR_CHANNELS_EDGE, &f->arena, report_out) == WEIR_OK)
        return;
    params.slots = true;
    random_schedule_build(&params, seed, &f->arena, &f->schedule);
    assert_ok(weir_schedule_check(&f->schedule, WEIR_CHANNELS_EDGE, &f->arena, report_out));
}

void program_fixture_random(struct program_fixture *f, uint64_t seed)
{
    static const size_t bucket_bytes[] = {0, 1, 64, 256};
    uint64_t random = seed;
    struct weir_schedule_report report;
    int first_layer[ODD_LAYERS + 1];
    bool recompute[ODD_LAYERS];
    memset(f, 0, sizeof *f);
    odd_graph_build(odd_graph_choose(&random), &f->arena, &f->graph);
    random_schedule(f, seed, &random, &report);
    random_cut(&random, f->schedule.n_stages, first_layer);
    for (int l = 0, odds = random_below(&random, 3); l < ODD_LAYERS; l++)
        recompute[l] = random_below(&random, 2) < odds;
    struct weir_program_params params = {.graph = f->graph,
                                         .schedule = &f->schedule,
                                         .input_slots = report.input_slots,
                                         .gradient_slots = report.gradient_slots,
                                         .peak_in_flight = report.peak_in_flight_stage,
                                         .first_layer = first_layer,
                                         .n_threads = 1,
                                         .state_floats = 2,
                                         .recompute = recompute,
                                         .n_replicas = 1 + random_below(&random, MOST_REPLICAS),
                                         .zero = random_below(&random, 2),
                                         .bucket_bytes = bucket_bytes[random_below(&random, 4)]};
    assert_ok(weir_program_build(&params, &f->arena, &f->program));
}
