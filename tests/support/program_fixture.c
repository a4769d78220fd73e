#include "tests/support/program_fixture.h"

#include <string.h>

#include "engine/program/recomputed.h"
#include "partitioner/contiguous/chain.h"
#include "tests/support/testing.h"

static void build(struct program_fixture *f, const char *schedule, int stages, int chunks, int microbatches,
                  const char *recompute, enum weir_dtype storage)
{
    bool *layers;
    memset(f, 0, sizeof *f);
    struct weir_model_params model = {.microbatch_size = 2};
    struct weir_schedule_report report;
    double costs[64];
    int first_layer[65];
    assert_ok(weir_model_build(&weir_model_gpt2_tiny, &model, &f->arena, &f->graph));
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
                                         .first_layer = first_layer,
                                         .n_threads = 1,
                                         .state_floats = 2,
                                         .recompute = layers};
    assert_ok(weir_program_build(&params, &f->arena, &f->program));
}

void program_fixture_recompute(struct program_fixture *f, const char *schedule, int stages, int chunks, int microbatches,
                               const char *recompute)
{
    build(f, schedule, stages, chunks, microbatches, recompute, WEIR_DTYPE_F32);
}

void program_fixture_build(struct program_fixture *f, const char *schedule, int stages, int chunks, int microbatches)
{
    build(f, schedule, stages, chunks, microbatches, NULL, WEIR_DTYPE_F32);
}

void program_fixture_bf16(struct program_fixture *f, const char *schedule, int stages, int chunks, int microbatches)
{
    build(f, schedule, stages, chunks, microbatches, NULL, WEIR_DTYPE_BF16);
}
