/* A step in steady state: what it asks of the heap and the kernel, and what stays resident.   labels: threads */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/weir/weir.h"
#include "models/model_kinds.h"
#include "tests/support/step_guard.h"
#include "weir_libraries.h"

struct run {
    int n_stages, n_microbatches, n_steps, n_threads;
    int64_t batch;
    const char *instructions; /* the best set that oneDNN may use; NULL: that of this processor */
};

struct opened {
    struct weir_arena arena;
    struct weir_schedule schedule;
    const struct weir_graph *graph;
    weir_engine *engine;
    int32_t *tokens;
};

static weir_status run_open(const struct run *run, struct opened *o)
{
    struct weir_model_params model = {.microbatch_size = run->batch, .dropout = 0.1};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    weir_status status = weir_model_build(&weir_model_gpt2_tiny, &model, &o->arena, &o->graph);
    if (!status)
        status = weir_pipeline_schedule("1f1b", run->n_stages, 0, run->n_microbatches, &o->arena, &o->schedule);
    config.graph = o->graph;
    config.schedule = &o->schedule;
    config.threads_per_rank = run->n_threads ? run->n_threads : 1;
    if (!status)
        status = weir_engine_open(&config, &o->engine);
    o->tokens = calloc((size_t)run->batch * 64, sizeof *o->tokens);
    return status;
}

static weir_status steps_run(const struct run *run, struct opened *o, int n_steps, struct weir_step_report *report)
{
    weir_status status = WEIR_OK;
    for (int step = 0; step < n_steps && !status; step++) {
        for (int mb = 0; mb < run->n_microbatches && !status; mb++) {
            status = weir_engine_feed(o->engine, "tokens", mb, o->tokens);
            if (!status)
                status = weir_engine_feed(o->engine, "targets", mb, o->tokens);
        }
        if (!status)
            status = weir_engine_step(o->engine, 1e-3, report);
    }
    return status;
}

static weir_status steps_guarded(void *argument)
{
    const struct run *run = argument;
    static struct opened o;
    struct weir_step_report report;
    weir_status status = run_open(run, &o);
    if (!status)
        status = steps_run(run, &o, 3, &report);
    testing_guard_begin();
    if (!status)
        status = steps_run(run, &o, run->n_steps, &report);
    testing_guard_end();
    return status;
}

/* Without oneDNN nothing is allocated.  oneDNN allocates a fixed number of small objects per primitive it executes, so
 * the count must be the same for every step. */
static void a_step_allocates_nothing_and_makes_no_system_call_but_futex(void **state)
{
    (void)state;
    if (!testing_guard_available())
        skip();
    for (int stages = 1; stages <= 4; stages++) {
        struct testing_guard_counts few, many;
        struct run run = {.n_stages = stages, .n_microbatches = 4, .batch = 1, .n_steps = 10};
        assert_ok(testing_guard_run(steps_guarded, &run, &few));
        run.n_steps = 30;
        assert_ok(testing_guard_run(steps_guarded, &run, &many));
        print_message("%d stages: %llu allocations in 10 steps, %llu in 30, %llu system calls (first %d)\n", stages,
                      (unsigned long long)few.n_allocations, (unsigned long long)many.n_allocations,
                      (unsigned long long)many.n_system_calls, many.first_system_call);
        assert_int_equal(many.n_allocations, 3 * few.n_allocations);
        if (!WEIR_HAVE_ONEDNN)
            assert_int_equal(many.n_allocations, 0);
        if (many.saw_system_calls)
            assert_int_equal(many.n_system_calls, 0);
    }
}

/* A number of /proc/self/status in bytes. */
static size_t status_bytes(const char *field)
{
    char line[256];
    size_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, field, strlen(field)))
            sscanf(line + strlen(field), ": %zu kB", &kib);
    if (file)
        fclose(file);
    return kib * 1024;
}

struct resident {
    size_t grown, table, library;
};

/* In a process of its own, so that the high-water mark is that of this run. */
static void resident_measure(const struct run *run, int fd)
{
    static struct opened o;
    struct weir_step_report report;
    struct resident r = {0, 0, 0};
    size_t before = status_bytes("VmRSS");
    if (run->instructions)
        setenv("ONEDNN_MAX_CPU_ISA", run->instructions, 1);
    if (run_open(run, &o) || steps_run(run, &o, run->n_steps, &report))
        _exit(1);
    r.grown = status_bytes("VmHWM") - before;
    for (int rank = 0; rank < report.n_ranks; rank++)
        r.table += report.peak_bytes[rank];
    r.library = weir_library_bytes(run->n_stages * run->n_threads);
    _exit(write(fd, &r, sizeof r) != sizeof r);
}

static void resident_check(const struct run *run)
{
    struct resident r;
    int fds[2], code;
    assert_int_equal(pipe(fds), 0);
    pid_t child = fork();
    if (!child)
        resident_measure(run, fds[1]);
    close(fds[1]);
    assert_int_equal(read(fds[0], &r, sizeof r), sizeof r);
    close(fds[0]);
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    print_message("%d stages of %d threads, %s: resident %.1f MiB, table %.1f MiB, libraries %.1f MiB\n", run->n_stages,
                  run->n_threads, run->instructions ? run->instructions : "all instructions", (double)r.grown / 0x1p20,
                  (double)r.table / 0x1p20, (double)r.library / 0x1p20);
    assert_true((double)r.grown <= 1.03 * (double)r.table + (double)r.library);
    assert_true((double)r.grown >= 0.97 * (double)r.table);
}

static void the_memory_table_says_what_stays_resident(void **state)
{
    (void)state;
    if (!testing_guard_available())
        skip(); /* sanitizers keep shadows of their own */
    for (int stages = 1; stages <= 4; stages += 3)
        resident_check(&(struct run){.n_stages = stages, .n_threads = 1, .n_microbatches = 4, .batch = 48, .n_steps = 2});
}

/* oneDNN copies factors in every thread where it has no better way. */
static void what_grows_with_threads_is_allowed_for(void **state)
{
    static const char *const instructions[] = {NULL, "AVX2"};
    (void)state;
    if (!testing_guard_available())
        skip();
    for (size_t i = 0; i < sizeof instructions / sizeof instructions[0]; i++)
        for (int threads = 1; threads <= 8; threads *= 2)
            resident_check(&(struct run){.n_stages = 1, .n_threads = threads, .n_microbatches = 2, .batch = 16,
                                         .n_steps = 2, .instructions = instructions[i]});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_allocates_nothing_and_makes_no_system_call_but_futex),
        cmocka_unit_test(the_memory_table_says_what_stays_resident),
        cmocka_unit_test(what_grows_with_threads_is_allowed_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
