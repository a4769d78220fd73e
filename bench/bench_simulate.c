/* How many actions a second simulate gets through, at four sizes.
 *
 *     bench_simulate [SCHEDULE]       default: interleaved-zb and zbv
 *
 * Each size is run three times on one thread; columns: compute actions, processor seconds of the fastest and the
 * slowest run, million actions per second of the fastest, nanoseconds per action, megabytes that the process has had
 * resident at most so far, and the makespan, which is compared with the closed form on every run.  The time is that of
 * weir_schedule_simulate alone: scan, messages, flow and report, without building the schedule. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "include/weir/simulate.h"

enum { RUNS = 3 };

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double resident_megabytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

static weir_status size_run(const struct weir_schedule_kind *kind, int p, int m)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_schedule_params params = {.n_ranks = p, .n_chunks = 2, .n_microbatches = m};
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1};
    struct weir_simulation_options options = {.channels = WEIR_CHANNELS_EDGE};
    struct weir_simulation result = {0};
    double fastest = 1e300, slowest = 0;
    weir_status status = weir_schedule_build(kind, &params, &arena, &schedule);
    for (int i = 0; !status && i < RUNS; i++) {
        struct weir_arena work = {0};
        double start = processor_seconds();
        status = weir_schedule_simulate(&schedule, &costs, &options, &work, &result);
        double seconds = processor_seconds() - start;
        fastest = seconds < fastest ? seconds : fastest;
        slowest = seconds > slowest ? seconds : slowest;
        weir_arena_release(&work);
        if (!status && kind->makespan && kind->makespan(&params) >= 0 && result.makespan != kind->makespan(&params))
            status = WEIR_FAIL(WEIR_ERR_INTERNAL, "makespan is %g, the closed form says %g", result.makespan,
                               kind->makespan(&params));
    }
    if (!status)
        printf("%-15s %5d %2d %5d %10zu %9.3f %9.3f %9.1f %9.1f %9.0f %10.6g\n", kind->name, p, 2, m, result.n_actions,
               fastest, slowest, (double)result.n_actions / fastest * 1e-6, fastest / (double)result.n_actions * 1e9,
               resident_megabytes(), result.makespan);
    weir_arena_release(&arena);
    return status;
}

int main(int argc, char **argv)
{
    static const struct {
        int p, m;
    } sizes[] = {{64, 1024}, {256, 1024}, {1024, 1024}, {1024, 4096}};
    const char *names[] = {argc > 1 ? argv[1] : "interleaved-zb", argc > 1 ? NULL : "zbv"};
    printf("%-15s %5s %2s %5s %10s %9s %9s %9s %9s %9s %10s\n", "schedule", "p", "v", "m", "actions", "min s", "max s",
           "M/s", "ns", "MB so far", "makespan");
    for (int n = 0; n < 2 && names[n]; n++) {
        const struct weir_schedule_kind *kind;
        weir_status status = weir_schedule_kind_find(names[n], &kind);
        for (size_t i = 0; !status && i < sizeof sizes / sizeof sizes[0]; i++)
            status = size_run(kind, sizes[i].p, sizes[i].m);
        if (status) {
            fprintf(stderr, "bench_simulate: %s\n", weir_last_error());
            return 1;
        }
    }
    return 0;
}
