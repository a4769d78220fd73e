/* The engine on random valid schedules and odd graphs, some layers recomputed: the bits of one stage that keeps
 * everything, whatever the order, and nothing stale read.
 * labels: threads */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "engine/train/trainer.h"
#include "tests/support/odd_graph.h"
#include "tests/support/random_schedule.h"
#include "tests/support/testing.h"

enum { STEPS = 2, MOST_MICROBATCHES = 6, SEEDS = 200, SECONDS = 250, LIST_BYTES = 256 };

struct outcome {
    double losses[STEPS], norms[STEPS];
    float *params;
    size_t n_params;
};

/* What may be overwritten between two steps is filled with NaN; a kernel that reads what nobody wrote spreads it. */
static void poison(weir_engine *engine)
{
    static const enum weir_memory_kind kinds[] = {WEIR_MEMORY_GRADS, WEIR_MEMORY_ACTIVATIONS, WEIR_MEMORY_SLOTS,
                                                  WEIR_MEMORY_GRAD_SLOTS, WEIR_MEMORY_SCRATCH};
    for (int r = 0; r < engine->runner.build.program->n_ranks; r++)
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
            if (engine->runner.machine.ranks[r].blocks[kinds[k]])
                memset(engine->runner.machine.ranks[r].blocks[kinds[k]], 0xff, engine->runner.build.program->ranks[r].bytes[kinds[k]]);
}

static void params_collect(weir_engine *engine, const struct weir_graph *graph, struct outcome *out)
{
    out->n_params = (size_t)weir_graph_n_elements(graph);
    assert_ok(weir_alloc(out->n_params, sizeof(float), &out->params));
    size_t at = 0;
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        assert_ok(weir_engine_param_read(engine, graph->params[i].name, out->params + at, n));
        at += n;
    }
}

/* Train; a refusal to open comes back. */
static weir_status train(enum odd_graph which, const struct weir_schedule *schedule, const int *first_layer,
                         const char *recompute, struct outcome *out)
{
    struct weir_arena arena = {0};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    odd_graph_build(which, &arena, &config.graph);
    config.schedule = schedule;
    config.first_layer = first_layer;
    config.weight_decay = 0.1;
    config.grad_clip = 0.5;
    config.seed = 77;
    config.recompute = recompute;
    weir_engine *engine;
    weir_status status = weir_engine_open(&config, &engine);
    for (int step = 0; step < STEPS && !status; step++) {
        struct weir_step_report report;
        poison(engine);
        odd_graph_feed(engine, config.graph, step, schedule->n_microbatches);
        assert_ok(weir_engine_step(engine, 1e-2, &report));
        assert_true(isfinite(report.loss) && isfinite(report.grad_norm));
        out->losses[step] = report.loss;
        out->norms[step] = report.grad_norm;
    }
    if (!status) {
        params_collect(engine, config.graph, out);
        weir_engine_close(engine);
    }
    weir_arena_release(&arena);
    return status;
}

static bool outcomes_equal(const struct outcome *a, const struct outcome *b)
{
    return !memcmp(a->losses, b->losses, sizeof a->losses) && !memcmp(a->norms, b->norms, sizeof a->norms) &&
           a->n_params == b->n_params && !memcmp(a->params, b->params, a->n_params * sizeof(float));
}

/* ---- one stage ------------------------------------------------------------------------------------------------------ */

static struct outcome references[ODD_GRAPHS][MOST_MICROBATCHES + 1]; /* made when first asked for */

static const struct outcome *reference_of(enum odd_graph which, int m)
{
    struct outcome *reference = &references[which][m];
    if (!reference->params) {
        struct weir_arena arena = {0};
        struct weir_schedule schedule;
        assert_ok(weir_pipeline_schedule("gpipe", 1, 0, m, &arena, &schedule));
        assert_ok(train(which, &schedule, NULL, NULL, reference));
        weir_arena_release(&arena);
    }
    return reference;
}

static int alarm_set(void **state)
{
    (void)state;
    alarm(getenv("WEIR_TEST_SEEDS") ? 0 : SECONDS); /* a hang ends the test */
    return 0;
}

static int references_free(void **state)
{
    (void)state;
    for (int which = 0; which < ODD_GRAPHS; which++)
        for (int m = 1; m <= MOST_MICROBATCHES; m++)
            weir_free(references[which][m].params);
    return 0;
}

/* ---- random schedules ----------------------------------------------------------------------------------------------- */

struct sample {
    enum odd_graph graph;
    struct random_schedule_params params;
    int first_layer[ODD_LAYERS + 1];
    char recompute[LIST_BYTES];
    struct weir_schedule schedule;
};

/* A third each: nothing, everything, some layers by name. */
static void recompute_choose(enum odd_graph which, uint64_t *random, char list[LIST_BYTES])
{
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    int choice = random_below(random, 3), used = 0;
    strcpy(list, choice == 0 ? "full" : "none");
    odd_graph_build(which, &arena, &graph);
    for (int l = 0; choice == 1 && l < graph->n_layers; l++)
        if (random_below(random, 2))
            used += snprintf(list + used, (size_t)(LIST_BYTES - used), "%s%s", used ? "," : "", graph->layers[l].name);
    weir_arena_release(&arena);
}

static void sample_make(uint64_t seed, bool slots, struct weir_arena *arena, struct sample *out)
{
    uint64_t random = seed;
    struct random_schedule_params *params = &out->params;
    out->graph = odd_graph_choose(&random);
    params->n_ranks = 1 + random_below(&random, 4);
    int most = 3 * params->n_ranks < ODD_LAYERS ? 3 * params->n_ranks : ODD_LAYERS;
    params->n_stages = params->n_ranks + random_below(&random, most - params->n_ranks + 1);
    params->n_microbatches = 1 + random_below(&random, MOST_MICROBATCHES);
    params->slots = slots;
    params->ascending = random_below(&random, 2);
    for (int s = 0, layer = 0; s < params->n_stages; s++) {
        out->first_layer[s] = layer;
        layer += 1 + random_below(&random, ODD_LAYERS - layer - (params->n_stages - s - 1));
    }
    out->first_layer[params->n_stages] = ODD_LAYERS;
    random_schedule_build(params, seed, arena, &out->schedule);
    recompute_choose(out->graph, &random, out->recompute);
}

static void sample_print(uint64_t seed, const struct sample *sample, const char *what)
{
    struct weir_arena arena = {0};
    const char *text = "";
    assert_ok(weir_schedule_csv_print(&sample->schedule, &arena, &text));
    print_error("seed %llu, graph %d: %s\n%s", (unsigned long long)seed, (int)sample->graph, what, text);
    for (int s = 0; s <= sample->params.n_stages; s++)
        print_error("%d ", sample->first_layer[s]);
    print_error("\nrecompute %s\n", sample->recompute);
    weir_arena_release(&arena);
}

static bool same_or_close(uint64_t seed, const struct sample *sample, const struct outcome *out)
{
    const struct outcome *reference = reference_of(sample->graph, sample->params.n_microbatches);
    if (sample->params.ascending) {
        if (outcomes_equal(reference, out))
            return true;
        sample_print(seed, sample, "not the bits of one stage");
        return false;
    }
    for (int step = 0; step < STEPS; step++)
        if (!(fabs(reference->losses[step] - out->losses[step]) < 1e-4)) {
            sample_print(seed, sample, "far from one stage");
            return false;
        }
    struct outcome again = {.params = NULL};
    assert_ok(train(sample->graph, &sample->schedule, sample->first_layer, sample->recompute, &again));
    bool equal = outcomes_equal(out, &again);
    weir_free(again.params);
    if (!equal)
        sample_print(seed, sample, "not reproducible");
    return equal;
}

/* `slots`: the order is made with those that neighbours have at least; else the check counts more. */
static void sample_run(uint64_t seed, bool slots)
{
    struct weir_arena arena = {0};
    struct sample sample;
    struct outcome out = {.params = NULL};
    sample_make(seed, slots, &arena, &sample);
    weir_status status = train(sample.graph, &sample.schedule, sample.first_layer, sample.recompute, &out);
    if (status) {
        sample_print(seed, &sample, weir_last_error());
        fail();
    }
    if (!same_or_close(seed, &sample, &out))
        fail();
    weir_free(out.params);
    weir_arena_release(&arena);
}

/* tests/soak/random_schedules.sh asks for more than a test has time for. */
static uint64_t seeds_count(void)
{
    const char *text = getenv("WEIR_TEST_SEEDS");
    return text ? strtoull(text, NULL, 10) : SEEDS;
}

static void every_order_of_work_gives_the_bits_of_one_stage(void **state)
{
    (void)state;
    const char *only = getenv("WEIR_TEST_SEED");
    for (uint64_t seed = 1; seed <= seeds_count(); seed++)
        if (!only || strtoull(only, NULL, 10) == seed)
            sample_run(seed, true);
}

static void an_order_made_without_regard_to_slots_gets_those_that_it_needs(void **state)
{
    (void)state;
    uint64_t n = seeds_count();
    for (uint64_t seed = 1; seed <= n; seed++)
        sample_run(seed + n, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_of_work_gives_the_bits_of_one_stage),
        cmocka_unit_test(an_order_made_without_regard_to_slots_gets_those_that_it_needs),
    };
    return cmocka_run_group_tests(tests, alarm_set, references_free);
}
