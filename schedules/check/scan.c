#include "schedules/check/scan.h"

#include "base/large.h"

#include <stdio.h>
#include <string.h>

static weir_status fail_at(const struct weir_scan *scan, int rank, size_t index, const char *reason)
{
    char where[WEIR_PLACE_TEXT], text[WEIR_ACTION_TEXT];
    const struct weir_action *action = &scan->schedule->ranks[rank].actions[index];
    return WEIR_FAIL(WEIR_ERR_INVALID, "%s: %s %s", weir_scan_place(scan, rank, index, where),
                     weir_action_str(action, text), reason);
}

static weir_status range_check(const struct weir_scan *scan, int rank, size_t index)
{
    const struct weir_schedule *s = scan->schedule;
    const struct weir_action *a = &s->ranks[rank].actions[index];
    char reason[96];
    if (a->type >= WEIR_ACTION_TYPES)
        return fail_at(scan, rank, index, "has an unknown type");
    if (a->stage < 0 || a->stage >= s->n_stages) {
        snprintf(reason, sizeof reason, "is out of range: stages are 0 to %d", s->n_stages - 1);
        return fail_at(scan, rank, index, reason);
    }
    bool has_mb = weir_action_has_microbatch((enum weir_action_type)a->type);
    if (has_mb ? a->mb < 0 || a->mb >= s->n_microbatches : a->mb != -1) {
        snprintf(reason, sizeof reason, "is out of range: micro-batches are 0 to %d", s->n_microbatches - 1);
        return fail_at(scan, rank, index, reason);
    }
    if (a->fused) {
        bool pair = a->type == WEIR_F && index + 1 < s->ranks[rank].n_actions && !a[1].fused &&
                    (a[1].type == WEIR_B || a[1].type == WEIR_I);
        if (!pair)
            return fail_at(scan, rank, index, "starts an OVERLAP_F_B without a backward");
    }
    return WEIR_OK;
}

/* The unit of a stage on a rank: the one there is, or a free one. */
static int unit_claim(const struct weir_scan *scan, int stage, int rank)
{
    int copies = scan->schedule->n_copies;
    struct weir_scan_unit *units = &scan->units[stage * copies];
    for (int c = 0; c < copies; c++) {
        if (units[c].rank < 0)
            units[c].rank = rank;
        if (units[c].rank == rank)
            return c;
    }
    return -1;
}

static weir_status stage_claim(const struct weir_scan *scan, int rank, size_t index)
{
    const struct weir_action *a = &scan->schedule->ranks[rank].actions[index];
    int copy = unit_claim(scan, a->stage, rank);
    if (copy < 0) {
        char reason[96];
        int copies = scan->schedule->n_copies;
        snprintf(reason, sizeof reason, "is on rank %d, but stage %d is on rank %d%s", rank, a->stage,
                 scan->units[a->stage * copies].rank, copies > 1 ? " and another one" : "");
        return fail_at(scan, rank, index, reason);
    }
    if (scan->copy && a->type == WEIR_F)
        scan->copy[weir_scan_index(scan, a->stage, a->mb)] = (uint8_t)copy;
    return WEIR_OK;
}

static weir_status duplicate_check(const struct weir_scan *scan, int rank, size_t index)
{
    const struct weir_action *a = &scan->schedule->ranks[rank].actions[index];
    if (a->type >= WEIR_REDUCE_GRAD)
        return WEIR_OK;
    uint8_t *seen = &scan->seen[weir_scan_index(scan, a->stage, a->mb)], bit = (uint8_t)(1u << a->type);
    if (*seen & bit)
        return weir_scan_twice(scan, rank, index);
    if ((bit & (1u << WEIR_B) && *seen & (1u << WEIR_I | 1u << WEIR_W)) ||
        (bit & (1u << WEIR_I | 1u << WEIR_W) && *seen & 1u << WEIR_B))
        return fail_at(scan, rank, index, "repeats a backward: B is I and W in one, but in the dialect torch-2024 only I");
    *seen |= bit;
    return WEIR_OK;
}

/* With nothing twice, a count is enough to see that something is missing before an array of the claimed size is made.
 * */
static weir_status size_check(const struct weir_schedule *schedule)
{
    uint64_t forwards = 0, wanted = (uint64_t)schedule->n_stages * (uint64_t)schedule->n_microbatches;
    if (schedule->n_ranks < 1 || schedule->n_stages < 1 || schedule->n_microbatches < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "the schedule is empty: it has %d ranks, %d stages and %d micro-batches",
                         schedule->n_ranks, schedule->n_stages, schedule->n_microbatches);
    if (schedule->n_slices > 1 && (schedule->n_microbatches % schedule->n_slices || schedule->n_copies > 1))
        return WEIR_FAIL(WEIR_ERR_INVALID, "%d slices per micro-batch do not go with %s", schedule->n_slices,
                         schedule->n_copies > 1 ? "two copies of the weights" : "a number of units that they do not divide");
    for (int r = 0; r < schedule->n_ranks; r++)
        for (size_t i = 0; i < schedule->ranks[r].n_actions; i++)
            forwards += schedule->ranks[r].actions[i].type == WEIR_F;
    if (forwards < wanted && wanted > 1u << 20 && wanted / 2 > forwards)
        return weir_scan_too_few(schedule, wanted, forwards);
    return WEIR_OK;
}

/* Rows whose length is a multiple of a page would all meet in the same few cache sets. */
static size_t stride_for(int n_microbatches)
{
    return (size_t)n_microbatches + (n_microbatches % 64 == 0 ? 8 : 0);
}

static weir_status scan_open(const struct weir_schedule *schedule, struct weir_arena *arena, struct weir_scan *scan)
{
    *scan = (struct weir_scan){.schedule = schedule, .wgrad_ascending = true, .n_rows = weir_scan_rows(schedule)};
    size_t n_units = (size_t)scan->n_rows * (size_t)schedule->n_copies;
    scan->stride = stride_for(schedule->n_microbatches);
    scan->n_cells = (size_t)scan->n_rows * scan->stride;
    weir_status status = weir_scan_ends_build(scan, arena);
    if (!status)
        status = weir_large_alloc(arena, scan->n_cells, 1, &scan->seen);
    if (!status && schedule->n_copies > 1)
        status = weir_large_alloc(arena, scan->n_cells, 1, &scan->copy);
    if (!status)
        status = weir_arena_alloc(arena, n_units, sizeof *scan->units, &scan->units);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)schedule->n_ranks, sizeof *scan->rank_peak, &scan->rank_peak);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)schedule->n_ranks, sizeof *scan->rank_reduces, &scan->rank_reduces);
    for (size_t u = 0; !status && u < n_units; u++)
        scan->units[u] = (struct weir_scan_unit){.rank = -1, .feeder = {-1, -1}, .last_grad = -1};
    return status;
}

static weir_status complete_check(const struct weir_scan *scan)
{
    for (int s = 0; s < scan->schedule->n_stages; s++)
        for (int k = 0; k < scan->schedule->n_microbatches; k++) {
            uint8_t seen = scan->seen[weir_scan_index(scan, s, k)];
            if (!(seen & 1u << WEIR_F))
                return weir_scan_missing(scan, s, k, WEIR_F);
            if (!scan->trainable || seen & 1u << WEIR_B)
                continue;
            if (!(seen & (1u << WEIR_I | 1u << WEIR_W)))
                return weir_scan_missing(scan, s, k, WEIR_B);
            if (!(seen & 1u << WEIR_I))
                return weir_scan_missing(scan, s, k, WEIR_I);
            if (!(seen & 1u << WEIR_W))
                return weir_scan_missing(scan, s, k, WEIR_W);
        }
    return WEIR_OK;
}

weir_status weir_scan_placement_build(const struct weir_schedule *schedule, struct weir_arena *arena, struct weir_scan *scan_out)
{
    struct weir_scan scan;
    weir_status status = size_check(schedule);
    if (!status)
        status = schedule->has_comms ? weir_schedule_nameable(schedule) : WEIR_OK;
    if (!status)
        status = scan_open(schedule, arena, &scan);
    for (int r = 0; !status && r < schedule->n_ranks; r++) {
        if (!schedule->ranks[r].n_actions)
            return WEIR_FAIL(WEIR_ERR_INVALID, "row %d is empty: every rank needs actions", r + 1);
        for (size_t i = 0; !status && i < schedule->ranks[r].n_actions; i++) {
            status = range_check(&scan, r, i);
            if (!status)
                status = stage_claim(&scan, r, i);
            if (!status)
                status = duplicate_check(&scan, r, i);
            unsigned type = schedule->ranks[r].actions[i].type;
            scan.trainable |= type == WEIR_I || type == WEIR_W || type == WEIR_B;
            scan.n_compute += type <= WEIR_B;
            scan.rank_reduces[r] += type == WEIR_REDUCE_GRAD;
            scan.n_waits += type >= WEIR_WAIT_REDUCE_GRAD;
        }
    }
    if (!status)
        status = complete_check(&scan);
    if (!status)
        *scan_out = scan;
    return status;
}
