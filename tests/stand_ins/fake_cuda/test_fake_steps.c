/* Steps of a small mlp on the cuda device, on the stand-in for the CUDA runtime: the bits of one stage for interleaved and
 * split backwards, times of the events that a trace is made of, and NVTX ranges.  (The thread sanitizer cannot follow
 * fibers: no label.) */
#include "tests/support/testing.h"

#include <cuda_runtime_api.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "engine/device/device.h"
#include "include/weir/weir.h"
#include "fake_cuda.h"
#include "models/model_kinds.h"
#include "schedules/kinds/kinds.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEPS = 1 };
#else
enum { STEPS = 2 };
#endif
enum { MICROBATCHES = 4, BATCH = 2, INPUTS = 6, CLASSES = 4, MOST_EVENTS = 200 };

struct fixture {
    struct weir_arena arena;
    struct weir_schedule schedule;
    weir_engine *engine;
};

static struct weir_engine_config config_make(struct fixture *f, const char *device, const char *schedule, int stages,
                                             int chunks)
{
    const struct weir_model_params model = {
        .microbatch_size = BATCH, .n_inputs = INPUTS, .n_classes = CLASSES, .dropout = 0.1};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    *f = (struct fixture){.engine = NULL};
    assert_ok(weir_pipeline_schedule(schedule, stages, chunks, MICROBATCHES, &f->arena, &f->schedule));
    assert_ok(weir_model_build(&weir_model_mlp, &model, &f->arena, &config.graph));
    config.schedule = &f->schedule;
    config.device = device;
    config.grad_clip = 0.5;
    return config;
}

static void fixture_open(struct fixture *f, const char *device, const char *schedule, int stages, int chunks)
{
    struct weir_engine_config config = config_make(f, device, schedule, stages, chunks);
    assert_ok(weir_engine_open(&config, &f->engine));
}

static void profile_open(struct fixture *f, const char *device, const char *schedule, int stages)
{
    struct weir_engine_config config = config_make(f, device, schedule, stages, 0);
    config.profiles = true;
    config.evaluates = true;
    assert_ok(weir_engine_open(&config, &f->engine));
}

static void fixture_close(struct fixture *f)
{
    weir_engine_close(f->engine);
    weir_arena_release(&f->arena);
}

static void step_run(struct fixture *f, int step, struct weir_step_report *report)
{
    float images[BATCH * INPUTS];
    int32_t targets[BATCH];
    for (int mb = 0; mb < MICROBATCHES; mb++) {
        for (int i = 0; i < BATCH * INPUTS; i++)
            images[i] = weir_rng_normal(77, (uint64_t)((step * MICROBATCHES + mb) * BATCH * INPUTS + i));
        for (int i = 0; i < BATCH; i++)
            targets[i] = (step + mb + i) % CLASSES;
        assert_ok(weir_engine_feed(f->engine, "images", mb, images));
        assert_ok(weir_engine_feed(f->engine, "targets", mb, targets));
    }
    assert_ok(weir_engine_step(f->engine, 1e-3, report));
}

static void machine_set(int n_devices, enum weir_fake_mode mode, uint64_t seed)
{
    const struct weir_fake_machine machine = {n_devices, (size_t)1 << 30, 1, mode, seed};
    assert_int_equal(weir_fake_open(), 0);
    weir_fake_machine_set(&machine);
}

/* A message starts before the blocks of a kernel that are still to come. */
static void streams_of_edges_come_before_those_of_kernels(void **state)
{
    (void)state;
    const struct weir_device_kind *cuda = &weir_device_cuda;
    const enum weir_stream_class classes[] = {WEIR_STREAM_COMPUTE, WEIR_STREAM_EDGE};
    int priorities[2];
    weir_device *device;
    machine_set(1, WEIR_FAKE_EAGER, 1);
    assert_ok(cuda->open(0, 1, &device));
    for (int i = 0; i < 2; i++) {
        weir_stream *stream;
        void *native;
        assert_ok(cuda->stream_open(device, classes[i], 16, &stream));
        assert_ok(cuda->native(stream, &native));
        assert_int_equal(cudaStreamGetPriority(native, &priorities[i]), cudaSuccess);
        cuda->stream_close(stream);
    }
    cuda->close(device);
    assert_true(priorities[1] < priorities[0]); /* smaller is more */
}

/* ---- results ------------------------------------------------------------------------------------------------------- */

struct outcome {
    double losses[STEPS], norms[STEPS];
    float head[CLASSES], first[256]; /* biases of the last and of the first layer, which the last step changed */
};

static void train(const char *device, const char *schedule, int stages, int chunks, struct outcome *out)
{
    struct fixture f;
    memset(out, 0, sizeof *out);
    fixture_open(&f, device, schedule, stages, chunks);
    for (int step = 0; step < STEPS; step++) {
        struct weir_step_report report;
        step_run(&f, step, &report);
        out->losses[step] = report.loss;
        out->norms[step] = report.grad_norm;
    }
    assert_ok(weir_engine_param_read(f.engine, "head.bias", out->head, CLASSES));
    assert_ok(weir_engine_param_read(f.engine, "fc0.bias", out->first, 256));
    fixture_close(&f);
}

static void an_mlp_gives_the_same_bits_on_one_rank_and_two(void **state)
{
    (void)state;
    static const struct {
        const char *device, *schedule;
        int stages, chunks;
    } rows[] = {{"cuda:0,cuda:1", "zb-h1", 2, 0}, {"cuda:0", "interleaved", 4, 2}, {"cuda:1,cuda:0", "1f1b", 2, 0}};
    static const enum weir_fake_mode modes[] = {WEIR_FAKE_LAZY, WEIR_FAKE_RANDOM, WEIR_FAKE_EAGER};
    struct outcome cpu, one, other;
    machine_set(2, WEIR_FAKE_EAGER, 1);
    train("cpu", "gpipe", 1, 0, &cpu);
    train("cuda", "gpipe", 1, 0, &one);
    for (int step = 0; step < STEPS; step++) {
        assert_true(fabs(one.losses[step] - cpu.losses[step]) < 1e-5 * cpu.losses[step]);
        assert_true(fabs(one.norms[step] - cpu.norms[step]) < 1e-4 * cpu.norms[step]);
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        machine_set(2, modes[i % 3], i);
        train(rows[i].device, rows[i].schedule, rows[i].stages, rows[i].chunks, &other);
        assert_memory_equal(&other, &one, sizeof one);
    }
}

/* ---- times --------------------------------------------------------------------------------------------------------- */

/* Of one rank, whose clock is one device's: [from, to) of the events. */
static void rank_times_check(const struct weir_step_event *events, size_t from, size_t to, int64_t host_ns,
                             int64_t compute_ns)
{
    int64_t sum = 0;
    for (size_t i = from; i < to; i++) {
        assert_true(events[i].start_ns <= events[i].end_ns);
        assert_true(i == from || events[i].start_ns >= events[i - 1].end_ns);
        sum += events[i].end_ns - events[i].start_ns;
    }
    assert_true(events[to - 1].end_ns - events[from].start_ns <= host_ns);
    assert_int_equal(sum, compute_ns);
}

/* `before_ns`, `after_ns`: the host's clock around the step.  Times of a device may be late by what it took to hear of its
 * base (cuda_mark.c), never early: starts are held against the host's clock, ends only by their distance. */
static void step_times_check(const struct weir_step_event *events, size_t n, const struct weir_step_report *report,
                             int64_t before_ns, int64_t after_ns)
{
    int64_t first = INT64_MAX, last = 0;
    for (size_t i = 0, from = 0; i < n; i++) {
        assert_true(events[i].start_ns >= before_ns);
        first = events[i].start_ns < first ? events[i].start_ns : first;
        last = events[i].end_ns > last ? events[i].end_ns : last;
        if (i + 1 < n && events[i + 1].rank == events[i].rank)
            continue;
        rank_times_check(events, from, i + 1, after_ns - before_ns, report->compute_ns[events[i].rank]);
        from = i + 1;
    }
    assert_int_equal(last - first, report->step_ns);
}

static void events_of_a_step_are_ordered_and_lie_within_it(void **state)
{
    (void)state;
    static const enum weir_fake_mode modes[] = {WEIR_FAKE_EAGER, WEIR_FAKE_RANDOM, WEIR_FAKE_LAZY};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct fixture f;
        machine_set(2, modes[i], i);
        fixture_open(&f, "cuda", "zb-h1", 2, 0);
        for (int step = 0; step < STEPS; step++) {
            struct weir_step_event events[MOST_EVENTS];
            struct weir_step_report report;
            int64_t before_ns = weir_clock_ns();
            step_run(&f, step, &report);
            int64_t after_ns = weir_clock_ns();
            size_t n = weir_engine_events(f.engine, events, MOST_EVENTS);
            assert_in_range(n, 2 * 3 * MICROBATCHES, MOST_EVENTS);
            step_times_check(events, n, &report, before_ns, after_ns);
        }
        fixture_close(&f);
    }
}

/* ---- ranges -------------------------------------------------------------------------------------------------------- */

static int ranges_called(const struct weir_fake_ranges *ranges, const char *name)
{
    int n = 0;
    for (int i = 0; i < ranges->n; i++)
        n += !strcmp(ranges->names[i], name);
    return n;
}

static void every_instruction_is_a_range(void **state)
{
    (void)state;
    static struct weir_fake_ranges ranges;
    struct weir_step_event events[MOST_EVENTS];
    struct weir_step_report report;
    struct fixture f;
    machine_set(2, WEIR_FAKE_EAGER, 1);
    fixture_open(&f, "cuda", "1f1b", 2, 0);
    weir_fake_ranges_take(&ranges);
    step_run(&f, 0, &report);
    weir_fake_ranges_take(&ranges);
    size_t n = weir_engine_events(f.engine, events, MOST_EVENTS);
    assert_string_equal(ranges.domain, "weir");
    assert_int_equal(ranges.depth, 0);
    assert_int_equal(ranges.n, n);
    assert_in_range(n, 1, WEIR_FAKE_RANGES);
    for (size_t i = 0; i < n; i++) {
        int wanted = 0;
        for (size_t k = 0; k < n; k++)
            wanted += !strcmp(events[k].name, events[i].name);
        assert_int_equal(ranges_called(&ranges, events[i].name), wanted);
    }
    fixture_close(&f);
}

/* ---- times of operations ------------------------------------------------------------------------------------------- */

/* Rather no rows than rows of zeros. */
static void without_a_profile_there_are_no_times_of_operations(void **state)
{
    (void)state;
    struct weir_step_report report;
    struct fixture f;
    machine_set(1, WEIR_FAKE_EAGER, 1);
    fixture_open(&f, "cuda", "gpipe", 1, 0);
    step_run(&f, 0, &report);
    assert_int_equal(weir_engine_op_times(f.engine, NULL, 0), 0);
    fixture_close(&f);
}

static int64_t op_times_sum(const weir_engine *engine)
{
    struct weir_op_time times[MOST_EVENTS];
    size_t n = weir_engine_op_times(engine, times, MOST_EVENTS);
    int64_t sum = 0;
    assert_in_range(n, 4, MOST_EVENTS);
    for (size_t i = 0; i < n; i++) {
        assert_true(times[i].ns > 0 && times[i].calls > 0);
        sum += times[i].ns;
    }
    return sum;
}

/* The kernels of a step lie within its instructions, whenever they start. */
static void times_of_operations_lie_within_the_instructions(void **state)
{
    (void)state;
    static const enum weir_fake_mode modes[] = {WEIR_FAKE_EAGER, WEIR_FAKE_RANDOM, WEIR_FAKE_LAZY};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct weir_step_report report;
        struct fixture f;
        int64_t before = 0, compute_ns;
        machine_set(2, modes[i], i);
        profile_open(&f, "cuda", "zb-h1", 2);
        for (int step = 0; step < STEPS; step++) {
            step_run(&f, step, &report);
            int64_t now = op_times_sum(f.engine);
            compute_ns = report.compute_ns[0] + report.compute_ns[1];
            assert_true(now > before && now - before <= compute_ns);
            before = now;
        }
        fixture_close(&f);
    }
}

/* ---- a steady step -------------------------------------------------------------------------------------------------- */

static void the_steps_after_the_first_allocate_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *device;
        bool profiles;
    } rows[] = {{"cuda:0", false}, {"cuda", false}, {"cuda", true}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_step_report report;
        struct fixture f;
        machine_set(3, WEIR_FAKE_EAGER, 1);
        if (rows[i].profiles)
            profile_open(&f, rows[i].device, "1f1b", 3);
        else
            fixture_open(&f, rows[i].device, "1f1b", 3, 0);
        step_run(&f, 0, &report);
        uint64_t before = weir_alloc_count();
        int open = weir_fake_open();
        step_run(&f, 1, &report);
        assert_int_equal(weir_alloc_count(), before);
        assert_int_equal(weir_fake_open(), open);
        fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_of_edges_come_before_those_of_kernels),
        cmocka_unit_test(an_mlp_gives_the_same_bits_on_one_rank_and_two),
        cmocka_unit_test(events_of_a_step_are_ordered_and_lie_within_it),
        cmocka_unit_test(every_instruction_is_a_range),
        cmocka_unit_test(without_a_profile_there_are_no_times_of_operations),
        cmocka_unit_test(times_of_operations_lie_within_the_instructions),
        cmocka_unit_test(the_steps_after_the_first_allocate_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
