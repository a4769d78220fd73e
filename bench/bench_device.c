/* bench_device: what the asynchronous cpu device costs.
 *
 *     bench_device [repetitions]          default 30
 *
 * issue       a task that does nothing, put on a stream that is held up: the issuing thread's share
 * run         the same tasks, run by the worker once the stream is let go
 * hand-over   record on one stream, wait on another, there and back: time per hop, each with one host function.
 *             `spin`: as many workers as cores at most; `sleep`: one idle worker more than cores, so that nobody spins;
 *             `edge`: an edge stream between the two, run inline
 * pipeline    micro-batches through W stages that share a fixed amount of work; `efficiency` is that work divided by
 *             (time × cores), so W workers on fewer cores can be compared with as many workers as cores
 *
 * Every row is min, median and max over the repetitions; each repetition checks that every task ran in its turn. */
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/device/device.h"
#include "weir_libraries.h"

enum { TASKS = 4096, HOPS = 1000, MOST_STREAMS = 16, MOST_REPETITIONS = 1000, MICROBATCHES = 64 };

static const struct weir_device_kind *const kind = &weir_device_cpu;

struct samples {
    int n;
    double value[MOST_REPETITIONS];
};

static int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void samples_print(struct samples *s, const char *name, const char *unit)
{
    qsort(s->value, (size_t)s->n, sizeof s->value[0], double_compare);
    printf("%-34s %12.3f %12.3f %12.3f  %s\n", name, s->value[0], s->value[s->n / 2], s->value[s->n - 1], unit);
}

/* ---- a rig of streams, each on a device of its own --------------------------------------------------------------- */

struct rig {
    int n_streams;
    weir_device *devices[MOST_STREAMS];
    weir_stream *streams[MOST_STREAMS];
    weir_stream *edges[MOST_STREAMS];
    weir_event *events[MOST_STREAMS];
    weir_event *relayed[MOST_STREAMS];
    _Atomic bool is_open;
    int64_t start_ns, end_ns;
    int turn, n_wrong;
};

/* A benchmark has nobody to hand an error to. */
static void must(weir_status status)
{
    if (status) {
        fprintf(stderr, "bench_device: %s: %s\n", weir_status_str(status), weir_last_error());
        exit(weir_status_exit_code(status));
    }
}

static void rig_open(struct rig *rig, int n_streams)
{
    memset(rig, 0, sizeof *rig);
    rig->n_streams = n_streams;
    for (int s = 0; s < n_streams; s++) {
        must(kind->open(s, 1, &rig->devices[s]));
        must(kind->stream_open(rig->devices[s], WEIR_STREAM_COMPUTE, 2 * TASKS, &rig->streams[s]));
        must(kind->stream_open(rig->devices[s], WEIR_STREAM_EDGE, 2 * TASKS, &rig->edges[s]));
        must(kind->event_open(rig->devices[s], &rig->events[s]));
        must(kind->event_open(rig->devices[s], &rig->relayed[s]));
    }
}

static void rig_close(struct rig *rig)
{
    for (int s = 0; s < rig->n_streams; s++) {
        kind->stream_close(rig->streams[s]);
        kind->stream_close(rig->edges[s]);
    }
    for (int s = 0; s < rig->n_streams; s++) {
        kind->event_close(rig->events[s]);
        kind->event_close(rig->relayed[s]);
        kind->close(rig->devices[s]);
    }
}

static weir_status hold(void *argument)
{
    while (!atomic_load((_Atomic bool *)argument))
        sched_yield();
    return WEIR_OK;
}

static weir_status turn_take(void *argument)
{
    ((struct rig *)argument)->turn++;
    return WEIR_OK;
}

static void rig_finish(struct rig *rig, int turns)
{
    atomic_store(&rig->is_open, true);
    for (int s = 0; s < rig->n_streams; s++)
        must(kind->stream_sync(rig->streams[s], -1));
    if (rig->turn != turns)
        must(WEIR_FAIL(WEIR_ERR_INTERNAL, "%d of %d tasks ran", rig->turn, turns));
    rig->turn = 0;
    atomic_store(&rig->is_open, false);
}

/* ---- issue and run ----------------------------------------------------------------------------------------------- */

static void measure_issue(int repetitions)
{
    static struct samples issue, run;
    struct rig rig;
    rig_open(&rig, 1);
    issue.n = run.n = repetitions;
    for (int r = -1; r < repetitions; r++) {
        must(kind->run(rig.streams[0], hold, &rig.is_open));
        must(kind->mark(rig.streams[0], &rig.start_ns));
        int64_t before = weir_clock_ns();
        for (int t = 0; t < TASKS; t++)
            must(kind->run(rig.streams[0], turn_take, &rig));
        int64_t after = weir_clock_ns();
        must(kind->mark(rig.streams[0], &rig.end_ns));
        rig_finish(&rig, TASKS);
        if (r >= 0) {
            issue.value[r] = (double)(after - before) / TASKS;
            run.value[r] = (double)(rig.end_ns - rig.start_ns) / TASKS;
        }
    }
    rig_close(&rig);
    samples_print(&issue, "issue", "ns per task");
    samples_print(&run, "run", "ns per task");
}

/* ---- hand-over --------------------------------------------------------------------------------------------------- */

/* The event of one hop is recorded on stream `from`; `by_edge` relays it through an edge stream. */
static void hop(struct rig *rig, int from, int to, bool by_edge)
{
    weir_event *event = rig->events[from];
    must(kind->run(rig->streams[from], turn_take, rig));
    must(kind->record(rig->streams[from], event));
    if (by_edge) {
        must(kind->wait(rig->edges[from], event));
        must(kind->record(rig->edges[from], rig->relayed[from]));
        event = rig->relayed[from];
    }
    must(kind->wait(rig->streams[to], event));
}

static void measure_hand_over(int repetitions, const char *name, int n_idle, bool by_edge)
{
    static struct samples s;
    struct rig rig;
    rig_open(&rig, 2 + n_idle);
    s.n = repetitions;
    for (int r = -1; r < repetitions; r++) {
        must(kind->run(rig.streams[0], hold, &rig.is_open));
        must(kind->mark(rig.streams[0], &rig.start_ns));
        for (int h = 0; h < HOPS; h++)
            hop(&rig, h % 2, 1 - h % 2, by_edge);
        must(kind->mark(rig.streams[0], &rig.end_ns));
        rig_finish(&rig, HOPS);
        if (r >= 0)
            s.value[r] = (double)(rig.end_ns - rig.start_ns) / HOPS * 1e-3;
    }
    rig_close(&rig);
    samples_print(&s, name, "us per hop");
}

/* ---- pipeline ---------------------------------------------------------------------------------------------------- */

struct stage {
    int rounds;
    double value;
    char pad[64];
};

static weir_status stage_work(void *argument)
{
    struct stage *stage = argument;
    double x = stage->value;
    for (int k = 0; k < stage->rounds; k++)
        x = x * 0.999 + 1.0;
    stage->value = x;
    return WEIR_OK;
}

/* Rounds of stage_work that take about `ns`. */
static int rounds_for(double ns)
{
    struct stage stage = {.rounds = 200000};
    weir_task_fn volatile work = stage_work; /* not to be computed at compile time */
    double best = 1e30;
    for (int k = 0; k < 5; k++) {
        int64_t before = weir_clock_ns();
        work(&stage);
        double took = (double)(weir_clock_ns() - before);
        best = took < best ? took : best;
    }
    return (int)(stage.rounds * ns / best);
}

static double pipeline_ns(struct rig *rig, struct stage *stages)
{
    int64_t before = weir_clock_ns();
    for (int mb = 0; mb < MICROBATCHES; mb++)
        for (int s = 0; s < rig->n_streams; s++) {
            if (s > 0)
                must(kind->wait(rig->streams[s], rig->events[s - 1]));
            must(kind->run(rig->streams[s], stage_work, &stages[s]));
            must(kind->record(rig->streams[s], rig->events[s]));
        }
    rig_finish(rig, 0);
    return (double)(weir_clock_ns() - before);
}

static double pipeline_value(int rounds)
{
    struct stage stage = {.rounds = rounds};
    for (int mb = 0; mb < MICROBATCHES; mb++)
        stage_work(&stage);
    return stage.value;
}

static void measure_pipeline(int repetitions, int n_workers, double microbatch_ns)
{
    static struct samples s;
    struct stage stages[MOST_STREAMS];
    struct rig rig;
    char name[80];
    int rounds = rounds_for(microbatch_ns / n_workers);
    double expected = pipeline_value(rounds), work = microbatch_ns * MICROBATCHES / weir_cpu_cores();
    rig_open(&rig, n_workers);
    s.n = repetitions;
    for (int r = -1; r < repetitions; r++) {
        for (int w = 0; w < n_workers; w++)
            stages[w] = (struct stage){.rounds = rounds};
        double ns = pipeline_ns(&rig, stages);
        for (int w = 0; w < n_workers; w++)
            if (stages[w].value < expected || stages[w].value > expected)
                must(WEIR_FAIL(WEIR_ERR_INTERNAL, "stage %d did not run every micro-batch", w));
        if (r >= 0)
            s.value[r] = work / ns * 100;
    }
    rig_close(&rig);
    snprintf(name, sizeof name, "pipeline, %d workers, %.0f us tasks", n_workers, microbatch_ns / n_workers * 1e-3);
    samples_print(&s, name, "% efficiency");
}

int main(int argc, char **argv)
{
    int repetitions = argc > 1 ? atoi(argv[1]) : 30;
    char machine[200];
    if (repetitions < 1 || repetitions > MOST_REPETITIONS) {
        fprintf(stderr, "bench_device: repetitions must be from 1 to %d\n", MOST_REPETITIONS);
        return 2;
    }
    must(weir_cpu_describe(machine, sizeof machine));
    printf("weir %s, %s, %d repetitions\n", WEIR_VERSION, machine, repetitions);
    printf("%-34s %12s %12s %12s\n", "", "min", "median", "max");
    int cores = weir_cpu_cores(), too_many = cores - 1 < MOST_STREAMS - 2 ? cores - 1 : MOST_STREAMS - 2;
    measure_issue(repetitions);
    measure_hand_over(repetitions, "hand-over, spin", 0, false);
    measure_hand_over(repetitions, "hand-over, spin, edge", 0, true);
    measure_hand_over(repetitions, "hand-over, sleep", too_many, false);
    measure_hand_over(repetitions, "hand-over, sleep, edge", too_many, true);
    static const double microbatch_ns[] = {1.6e6, 400e3, 100e3};
    for (int k = 0; k < 3; k++) {
        measure_pipeline(repetitions, 2, microbatch_ns[k]);
        measure_pipeline(repetitions, 8, microbatch_ns[k]);
    }
    return 0;
}
