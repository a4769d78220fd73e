#include "cmd/explain_flight.h"

#include <math.h>
#include <stdio.h>

static void rank_print(const struct weir_flight_rank *rank)
{
    printf("rank %d (process %lld on %s) %s", rank->rank, (long long)rank->process, rank->host, rank->state);
    if (rank->instruction)
        printf("%s %s of step %lld, for %.3f s", rank->n_waits || *rank->state == 'w' ? " in" : *rank->state == 'r' ? "" : ", after",
               rank->instruction, (long long)rank->step, rank->for_s);
    printf("\n");
    for (int w = 0; w < rank->n_waits; w++)
        printf("  for rank %d, %s (%s)\n", rank->waits[w].rank, rank->waits[w].instruction, rank->waits[w].why);
}

static void seconds_print(double seconds)
{
    if (isnan(seconds))
        printf(" %12s", "-");
    else
        printf(" %12.6f", seconds);
}

static void lines_print(const struct weir_flight_rank *rank)
{
    printf("  %-22s %8s %12s %12s %12s\n", "instruction", "step", "waits", "starts", "ends");
    for (int i = 0; i < rank->n_lines; i++) {
        const struct weir_flight_line *line = &rank->lines[i];
        printf("  %-22s %8lld", line->instruction, (long long)line->step);
        seconds_print(line->awaits_s);
        seconds_print(line->start_s);
        seconds_print(line->end_s);
        printf("%s\n", line->evaluates ? "  evaluation" : "");
    }
}

weir_status explain_flight(const struct weir_flight_record *record, const char *path, int rank)
{
    bool found = false;
    if (rank < 0)
        printf("written because: %s\n", record->why);
    for (int i = 0; i < record->n_ranks; i++) {
        if (rank >= 0 && record->ranks[i].rank != rank)
            continue;
        rank_print(&record->ranks[i]);
        if (rank >= 0)
            lines_print(&record->ranks[i]);
        found = true;
    }
    return found || rank < 0 ? WEIR_OK : WEIR_FAIL(WEIR_ERR_USAGE, "rank %d is not in '%s': it has %d", rank, path, record->n_ranks);
}
