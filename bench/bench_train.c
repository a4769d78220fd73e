/* bench_train: a training step of gpt2-tiny over schedules and numbers of stages.
 *
 *     bench_train [steps] [threads per rank] [micro-batch size]          default 30 1 4
 *
 * The columns: median, fastest and slowest step; tokens per second of the median; speed-up of the median over one stage in
 * the same run; the bubble of the median step, measured, and that of the schedule at F = I = W and free transfers.
 * Losses of every row are compared with those of one stage: the run ends with an error when a bit differs.  Below, where
 * the time of one stage goes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "include/weir/weir.h"
#include "include/weir/simulate.h"
#include "models/model_kinds.h"

enum { MICROBATCHES = 8, WARM_UP = 3, MOST_STEPS = 1000 };

struct row {
    const char *schedule;
    int stages;
};

static const struct row rows[] = {{"1f1b", 1},  {"gpipe", 2}, {"1f1b", 2}, {"zb-h1", 2}, {"interleaved", 4},
                                  {"zbv", 4},   {"1f1b", 4},  {"zb-h1", 4}};

struct settings {
    int steps, threads;
    int64_t batch;
};

struct outcome {
    double loss, bubble, predicted;
    int64_t fastest, median, slowest;
};

static weir_status must(weir_status status)
{
    if (status) {
        fprintf(stderr, "bench_train: %s\n", weir_last_error());
        exit(1);
    }
    return status;
}

static int by_time(const void *a, const void *b)
{
    const struct weir_step_report *x = a, *y = b;
    return (x->step_ns > y->step_ns) - (x->step_ns < y->step_ns);
}

static double predicted_bubble(const struct weir_schedule *schedule, struct weir_arena *arena)
{
    struct weir_schedule_costs costs = {.forward = 1, .input = 1, .weight = 1, .overlap_gain = 1};
    struct weir_simulation_options options = {.channels = WEIR_CHANNELS_EDGE};
    struct weir_simulation result;
    must(weir_schedule_simulate(schedule, &costs, &options, arena, &result));
    return result.bubble;
}

static void step_feed(weir_engine *engine, int64_t batch, int step)
{
    static int32_t tokens[64 * 1024];
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        for (int64_t i = 0; i < batch * 64; i++)
            tokens[i] = (int32_t)((i * 31 + mb * 17 + step * 7) % 251);
        must(weir_engine_feed(engine, "tokens", mb, tokens));
        must(weir_engine_feed(engine, "targets", mb, tokens));
    }
}

static void ops_print(const weir_engine *engine)
{
    struct weir_op_time times[64];
    size_t n = weir_engine_op_times(engine, times, 64);
    double all = 0;
    for (size_t i = 0; i < n; i++)
        all += (double)times[i].ns;
    printf("\n%-14s %-16s %9s %9s\n", "operation", "pass", "us/call", "of time");
    for (size_t i = 0; i < n; i++)
        printf("%-14s %-16s %9.1f %8.1f%%\n", times[i].op, times[i].pass,
               (double)times[i].ns / 1e3 / (double)times[i].calls, 100 * (double)times[i].ns / all);
}

static struct outcome measure(const struct row *row, const struct settings *s, bool ops)
{
    static struct weir_step_report reports[MOST_STEPS];
    struct weir_arena arena = {0};
    const struct weir_graph *graph;
    struct weir_schedule schedule;
    weir_engine *engine;
    struct weir_model_params model = {.microbatch_size = s->batch};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    int chunks = !strcmp(row->schedule, "interleaved") ? 2 : 0;
    must(weir_model_build(&weir_model_gpt2_tiny, &model, &arena, &graph));
    must(weir_pipeline_schedule(row->schedule, row->stages, chunks, MICROBATCHES, &arena, &schedule));
    config.graph = graph;
    config.schedule = &schedule;
    config.threads_per_rank = s->threads;
    must(weir_engine_open(&config, &engine));
    for (int step = 0; step < WARM_UP + s->steps; step++) {
        step_feed(engine, s->batch, step);
        must(weir_engine_step(engine, 1e-3, &reports[step < WARM_UP ? 0 : step - WARM_UP]));
    }
    struct outcome out = {.loss = reports[s->steps - 1].loss, .predicted = predicted_bubble(&schedule, &arena)};
    qsort(reports, (size_t)s->steps, sizeof *reports, by_time);
    out.fastest = reports[0].step_ns;
    out.median = reports[s->steps / 2].step_ns;
    out.slowest = reports[s->steps - 1].step_ns;
    out.bubble = reports[s->steps / 2].bubble;
    if (ops)
        ops_print(engine);
    weir_engine_close(engine);
    weir_arena_release(&arena);
    return out;
}

static int64_t argument(int argc, char **argv, int i, int64_t otherwise, int64_t most)
{
    int64_t value = otherwise;
    if (argc > i && (!weir_parse_int64(argv[i], &value) || value < 1 || value > most)) {
        fprintf(stderr, "bench_train: argument %d must be from 1 to %lld, not '%s'\n", i, (long long)most, argv[i]);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    struct settings s = {(int)argument(argc, argv, 1, 30, MOST_STEPS - WARM_UP), (int)argument(argc, argv, 2, 1, 64),
                         argument(argc, argv, 3, 4, 1024)};
    double tokens = (double)(MICROBATCHES * s.batch * 64);
    struct outcome one = {0};
    printf("weir %s, gpt2-tiny, %d micro-batches of %lld, %d thread(s) per rank, %d steps\n", weir_version(), MICROBATCHES,
           (long long)s.batch, s.threads, s.steps);
    printf("%-12s %6s %10s %10s %10s %10s %9s %8s %10s\n", "schedule", "stages", "median ms", "fastest", "slowest",
           "tokens/s", "speed-up", "bubble", "at F=I=W");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct outcome out = measure(&rows[i], &s, false);
        if (i == 0)
            one = out;
        if (memcmp(&one.loss, &out.loss, sizeof out.loss)) {
            fprintf(stderr, "bench_train: %s on %d stages gives loss %.17g, one stage %.17g\n", rows[i].schedule,
                    rows[i].stages, out.loss, one.loss);
            return 1;
        }
        printf("%-12s %6d %10.2f %10.2f %10.2f %10.0f %9.2f %7.1f%% %9.1f%%\n", rows[i].schedule, rows[i].stages,
               (double)out.median / 1e6, (double)out.fastest / 1e6, (double)out.slowest / 1e6,
               tokens / ((double)out.median / 1e9), (double)one.median / (double)out.median, 100 * out.bubble,
               100 * out.predicted);
    }
    measure(&rows[0], &s, true);
    return 0;
}
