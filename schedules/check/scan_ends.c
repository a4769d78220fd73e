/* The ends of boundaries, stage by stage: what it takes from others and what it hands on. */
#include "base/arena.h"
#include "base/integers.h"
#include "schedules/check/scan.h"

static int boundaries_count(const struct weir_schedule *s)
{
    return s->boundaries ? s->n_boundaries : s->n_stages - 1;
}

static struct weir_schedule_boundary boundary_at(const struct weir_schedule *s, int b)
{
    return s->boundaries ? s->boundaries[b] : (struct weir_schedule_boundary){b, b + 1};
}

static bool is_long(struct weir_schedule_boundary b)
{
    return b.to != b.from + 1;
}

int weir_scan_rows(const struct weir_schedule *schedule)
{
    int n = schedule->n_stages;
    for (int b = 0; b < schedule->n_boundaries && schedule->boundaries; b++)
        n += is_long(schedule->boundaries[b]);
    return n;
}

/* Room for the ends of every stage, by counting. */
static void lists_lay(const struct weir_schedule *s, struct weir_scan_ends *ins, struct weir_scan_ends *outs, struct weir_scan_end *room)
{
    for (int b = 0; b < boundaries_count(s); b++) {
        ins[boundary_at(s, b).to].n++;
        outs[boundary_at(s, b).from].n++;
    }
    for (int stage = 0; stage < s->n_stages; stage++) {
        ins[stage].list = room;
        outs[stage].list = room + ins[stage].n;
        room += ins[stage].n + outs[stage].n;
        ins[stage].n = outs[stage].n = 0; /* counted again as they are filled in */
    }
}

weir_status weir_scan_ends_build(struct weir_scan *scan, struct weir_arena *arena)
{
    const struct weir_schedule *s = scan->schedule;
    size_t n_stages = (size_t)s->n_stages, n = (size_t)boundaries_count(s);
    struct weir_scan_end *room;
    weir_status status = weir_arena_alloc(arena, 2 * n, sizeof *room, &room);
    if (!status)
        status = weir_arena_alloc(arena, n_stages, sizeof *scan->ins, &scan->ins);
    if (!status)
        status = weir_arena_alloc(arena, n_stages, sizeof *scan->outs, &scan->outs);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)(scan->n_rows - s->n_stages), sizeof *scan->longs, &scan->longs);
    if (status)
        return status;
    lists_lay(s, scan->ins, scan->outs, room);
    for (int b = 0, row = s->n_stages; b < boundaries_count(s); b++) {
        struct weir_schedule_boundary at = boundary_at(s, b);
        struct weir_scan_ends *in = &scan->ins[at.to], *out = &scan->outs[at.from];
        if (is_long(at))
            scan->longs[row - s->n_stages] = at;
        in->list[in->n++] = (struct weir_scan_end){at.from, is_long(at) ? row : -1};
        out->list[out->n++] = (struct weir_scan_end){at.to, is_long(at) ? row : -1};
        row += is_long(at);
    }
    return WEIR_OK;
}

/* The rows of long boundaries have units like stages do, for their slots: as many as are in flight at most on either stage, and
 * one more. */
void weir_scan_longs_count(struct weir_scan *scan)
{
    int n_stages = scan->schedule->n_stages, m = scan->schedule->n_microbatches;
    for (int row = n_stages; row < scan->n_rows; row++)
        for (int k = 0; k < m; k++) {
            const struct weir_schedule_boundary *at = &scan->longs[row - n_stages];
            const struct weir_scan_unit *from = weir_scan_unit(scan, at->from, k), *to = weir_scan_unit(scan, at->to, k);
            if (scan->copy)
                scan->copy[weir_scan_index(scan, row, k)] = scan->copy[weir_scan_index(scan, at->to, k)];
            struct weir_scan_unit *unit = weir_scan_unit(scan, row, k);
            unit->rank = to->rank;
            unit->feeder[WEIR_DIRECTION_FORWARD] = unit->feeder[WEIR_DIRECTION_BACKWARD] = from->rank;
            unit->slots[WEIR_DIRECTION_FORWARD] = weir_int_min(m, weir_int_max(from->peak, to->peak) + 1);
            unit->slots[WEIR_DIRECTION_BACKWARD] = unit->slots[WEIR_DIRECTION_FORWARD];
        }
}

bool weir_scan_longs_double(struct weir_scan *scan)
{
    int copies = scan->schedule->n_copies, m = scan->schedule->n_microbatches;
    bool more = false;
    for (int u = scan->schedule->n_stages * copies; u < scan->n_rows * copies; u++)
        for (int d = 0; d < 2; d++) {
            more = more || scan->units[u].slots[d] < m;
            scan->units[u].slots[d] = weir_int_min(m, 2 * scan->units[u].slots[d]);
        }
    return more;
}
