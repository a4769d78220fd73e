/* Random graphs with branches on random schedules, cuts and replicas: the bits of one stage in one process.
 *
 *     random_ranks TRANSPORT DEVICE RANKS FIRST LAST        seeds FIRST to LAST; tests/soak/random_branches.sh starts it
 *
 * With transport local all ranks are in this process; else it is one of RANKS processes, which all run the same seeds and each hold
 * what they find to one stage that they run alone.  Devices are those of weir train; on cuda, which has no rows of the tests' own,
 * graphs are of built-in operations. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "include/weir/weir.h"
#include "tests/support/odd_graph.h"
#include "tests/support/plain_branches.h"
#include "tests/support/random_schedule.h"
#include "tests/support/testing.h"

enum { STEPS = 2, MOST_MICROBATCHES = 6, LIST_BYTES = 256 };

static struct {
    const char *transport, *device;
    int n_ranks;
    uint64_t first, last;
} asked;

struct sample {
    uint64_t seed;
    const struct weir_graph *graph;
    bool plain;
    struct random_schedule_params params;
    int replicas, zero, first_layer[ODD_LAYERS + 1];
    char recompute[LIST_BYTES];
    struct weir_schedule schedule;
};

struct outcome {
    double losses[STEPS], norms[STEPS];
    float *params;
    size_t n_params;
};

/* ---- drawing -------------------------------------------------------------------------------------------------------- */

static bool is_cuda(void)
{
    return !strncmp(asked.device, "cuda", 4);
}

/* Layers by name, all or none, a third each. */
static void recompute_draw(struct sample *s, uint64_t *random)
{
    int choice = random_below(random, 3), used = 0;
    strcpy(s->recompute, choice ? "none" : "full");
    for (int l = 0; choice == 1 && l < s->graph->n_layers; l++)
        if (random_below(random, 2))
            used += snprintf(s->recompute + used, (size_t)(LIST_BYTES - used), "%s%s", used ? "," : "", s->graph->layers[l].name);
}

/* NCCL adds over more than two replicas in an order of its own. */
static int replicas_draw(uint64_t *random)
{
    int choices[8], n = 0;
    for (int d = 1; d <= asked.n_ranks && n < 8; d++)
        if (asked.n_ranks % d == 0 && (d <= 2 || strcmp(asked.transport, "nccl") != 0))
            choices[n++] = d;
    return choices[random_below(random, n)];
}

static void sample_draw(uint64_t seed, struct weir_arena *arena, struct sample *s)
{
    uint64_t random = seed * 977;
    memset(s, 0, sizeof *s);
    s->seed = seed;
    s->plain = is_cuda() || random_below(&random, 2);
    if (s->plain)
        plain_branches_build(seed, arena, &s->graph);
    else
        odd_graph_build((enum odd_graph)(ODD_BRANCHES + random_below(&random, ODD_GRAPHS - ODD_BRANCHES)), arena, &s->graph);
    s->replicas = replicas_draw(&random);
    s->zero = s->replicas > 1 && random_below(&random, 2);
    struct random_schedule_params *params = &s->params;
    params->n_ranks = asked.n_ranks / s->replicas;
    int most = 3 * params->n_ranks < ODD_LAYERS ? 3 * params->n_ranks : ODD_LAYERS;
    params->n_stages = params->n_ranks + random_below(&random, most - params->n_ranks + 1);
    params->n_microbatches = 1 + random_below(&random, MOST_MICROBATCHES);
    params->slots = params->ascending = true;
    for (int i = 0, layer = 0; i < params->n_stages; i++) {
        s->first_layer[i] = layer;
        layer += 1 + random_below(&random, ODD_LAYERS - layer - (params->n_stages - i - 1));
    }
    s->first_layer[params->n_stages] = ODD_LAYERS;
    random_schedule_build(params, seed, arena, &s->schedule);
    if (s->replicas > 1 && random_below(&random, 2))
        random_reductions_add(&s->schedule, &random, arena);
    recompute_draw(s, &random);
}

/* ---- training ------------------------------------------------------------------------------------------------------- */

static void plain_feed(weir_engine *engine, int step, int n_microbatches)
{
    for (int mb = 0; mb < n_microbatches; mb++) {
        float images[PLAIN_BATCH * PLAIN_INPUTS];
        int32_t targets[PLAIN_BATCH];
        for (uint32_t i = 0; i < PLAIN_BATCH * PLAIN_INPUTS; i++) {
            struct weir_rng_block block = weir_rng_philox(5, i, (uint32_t)mb, (uint32_t)step, 0);
            images[i] = 2 * weir_rng_unit(block.v[0]) - 1;
            targets[i % PLAIN_BATCH] = (int32_t)(block.v[1] % PLAIN_CLASSES);
        }
        assert_ok(weir_engine_feed(engine, "images", mb, images));
        assert_ok(weir_engine_feed(engine, "targets", mb, targets));
    }
}

static void params_collect(weir_engine *engine, const struct weir_graph *graph, struct outcome *out)
{
    size_t at = 0;
    out->n_params = (size_t)weir_graph_n_elements(graph);
    assert_ok(weir_alloc(out->n_params, sizeof(float), &out->params));
    for (int i = 0; i < graph->n_params; i++) {
        size_t n = (size_t)weir_shape_elements(&graph->params[i].shape);
        assert_ok(weir_engine_param_read(engine, graph->params[i].name, out->params + at, n));
        at += n;
    }
}

static void train(const struct sample *s, const struct weir_engine_config *config, struct outcome *out)
{
    weir_engine *engine;
    int n = s->params.n_microbatches * s->replicas;
    if (weir_engine_open(config, &engine))
        fail_msg("seed %llu: %s", (unsigned long long)s->seed, weir_last_error());
    for (int step = 0; step < STEPS; step++) {
        struct weir_step_report report;
        if (s->plain)
            plain_feed(engine, step, n);
        else
            odd_graph_feed(engine, s->graph, step, n);
        if (weir_engine_step(engine, 1e-2, &report))
            fail_msg("seed %llu, step %d: %s", (unsigned long long)s->seed, step, weir_last_error());
        assert_true(isfinite(report.loss) && isfinite(report.grad_norm));
        out->losses[step] = report.loss;
        out->norms[step] = report.grad_norm;
    }
    params_collect(engine, s->graph, out);
    weir_engine_close(engine);
}

static struct weir_engine_config config_of(const struct sample *s)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    config.graph = s->graph;
    config.weight_decay = 0.1;
    config.grad_clip = 0.5;
    config.seed = 77;
    config.replicas = s->replicas;
    return config;
}

static void as_one_stage(const struct sample *s, struct weir_arena *arena, struct outcome *out)
{
    struct weir_engine_config config = config_of(s);
    struct weir_schedule schedule;
    assert_ok(weir_pipeline_schedule("gpipe", 1, 0, s->params.n_microbatches, arena, &schedule));
    config.schedule = &schedule;
    config.device = is_cuda() ? "cuda:0" : "cpu";
    train(s, &config, out);
}

static void as_drawn(const struct sample *s, struct outcome *out)
{
    struct weir_engine_config config = config_of(s);
    config.schedule = &s->schedule;
    config.first_layer = s->first_layer;
    config.recompute = s->recompute;
    config.zero = s->zero;
    config.bucket_bytes = s->seed % 3 ? 0 : 512;
    config.device = asked.device;
    config.transport = asked.transport;
    train(s, &config, out);
}

/* ---- comparing ------------------------------------------------------------------------------------------------------ */

static bool outcomes_equal(const struct outcome *a, const struct outcome *b)
{
    return !memcmp(a->losses, b->losses, sizeof a->losses) && !memcmp(a->norms, b->norms, sizeof a->norms) &&
           a->n_params == b->n_params && !memcmp(a->params, b->params, a->n_params * sizeof(float));
}

static void sample_print(const struct sample *s)
{
    struct weir_arena arena = {0};
    const char *text = "";
    assert_ok(weir_schedule_csv_print(&s->schedule, &arena, &text));
    print_error("seed %llu, %s graph, %d replicas, zero %d, recompute %s: not the bits of one stage\n%sfirst layers",
                (unsigned long long)s->seed, s->plain ? "plain" : "odd", s->replicas, s->zero, s->recompute, text);
    for (int i = 0; i < s->params.n_stages; i++)
        print_error(" %d", s->first_layer[i]);
    print_error("\n");
    weir_arena_release(&arena);
}

static void every_seed_gives_the_bits_of_one_stage(void **state)
{
    (void)state;
    int replicated = 0, sharded = 0, replayed = 0, n = (int)(asked.last - asked.first) + 1;
    for (uint64_t seed = asked.first; seed <= asked.last; seed++) {
        struct weir_arena arena = {0};
        struct sample s;
        struct outcome one = {.params = NULL}, drawn = {.params = NULL};
        sample_draw(seed, &arena, &s);
        as_one_stage(&s, &arena, &one);
        as_drawn(&s, &drawn);
        if (!outcomes_equal(&one, &drawn)) {
            sample_print(&s);
            fail();
        }
        replicated += s.replicas > 1;
        sharded += s.zero;
        replayed += strcmp(s.recompute, "none") != 0;
        weir_free(one.params);
        weir_free(drawn.params);
        weir_arena_release(&arena);
    }
    print_message("%s, %s, %d ranks: %d graphs and schedules had the bits of one stage, %d with replicas, %d with ZeRO-1, %d with "
                  "recomputation\n", asked.transport, asked.device, asked.n_ranks, n, replicated, sharded, replayed);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_seed_gives_the_bits_of_one_stage)};
    if (argc != 6) {
        fprintf(stderr, "usage: random_ranks TRANSPORT DEVICE RANKS FIRST LAST\n");
        return 2;
    }
    asked.transport = argv[1];
    asked.device = argv[2];
    asked.n_ranks = atoi(argv[3]);
    asked.first = strtoull(argv[4], NULL, 10);
    asked.last = strtoull(argv[5], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
