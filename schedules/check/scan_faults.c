/* What is wrong with a schedule, and which of its actions says so. */
#include <stdio.h>

#include "schedules/check/scan.h"

/* The index that a compute action has in the file: only transfers and reductions were added. */
static size_t index_in_file(const struct weir_scan *scan, int rank, size_t index)
{
    const struct weir_schedule_rank *list = &scan->schedule->ranks[rank], *file = &scan->file->ranks[rank];
    size_t before = 0, n = 0;
    for (size_t i = 0; i < index; i++)
        before += list->actions[i].type <= WEIR_B;
    while (n < file->n_actions && (file->actions[n].type > WEIR_B || before--))
        n++;
    return n;
}

const char *weir_scan_place(const struct weir_scan *scan, int rank, size_t index, char text[WEIR_PLACE_TEXT])
{
    const struct weir_schedule_rank *list = &scan->schedule->ranks[rank];
    long cell = 1;
    if (scan->file) {
        index = index_in_file(scan, rank, index);
        list = &scan->file->ranks[rank];
    }
    for (size_t i = 0; i < index && !list->cells; i++)
        cell += !list->actions[i].fused;
    cell = list->cells ? list->cells[index] : cell;
    snprintf(text, WEIR_PLACE_TEXT, "row %d, cell %ld", rank + 1, cell);
    return text;
}

/* What actions are looked for: a stage, a micro-batch and a type, -1 standing for any. */
struct wanted {
    int stage, mb, type;
};

struct found {
    int rank;
    size_t index;
    size_t n; /* how many there are; rank and index are those of the first */
};

static bool is_wanted(const struct weir_action *a, const struct wanted *wanted)
{
    return (wanted->stage < 0 || a->stage == wanted->stage) && (wanted->mb < 0 || a->mb == wanted->mb) &&
           (wanted->type < 0 || a->type == wanted->type);
}

static struct found actions_find(const struct weir_schedule *s, struct wanted wanted)
{
    struct found found = {0};
    for (int r = 0; r < s->n_ranks; r++)
        for (size_t i = 0; i < s->ranks[r].n_actions; i++)
            if (is_wanted(&s->ranks[r].actions[i], &wanted) && !found.n++) {
                found.rank = r;
                found.index = i;
            }
    return found;
}

/* "row 2, cell 5: 1W4" */
enum { CLAIM_TEXT = WEIR_PLACE_TEXT + WEIR_ACTION_TEXT };

static const char *claim(const struct weir_scan *scan, const struct found *found, char text[CLAIM_TEXT])
{
    char where[WEIR_PLACE_TEXT], action[WEIR_ACTION_TEXT];
    snprintf(text, CLAIM_TEXT, "%s: %s", weir_scan_place(scan, found->rank, found->index, where),
             weir_action_str(&scan->schedule->ranks[found->rank].actions[found->index], action));
    return text;
}

weir_status weir_scan_twice(const struct weir_scan *scan, int rank, size_t index)
{
    const struct weir_action *a = &scan->schedule->ranks[rank].actions[index];
    struct found first = actions_find(scan->schedule, (struct wanted){a->stage, a->mb, a->type});
    struct found second = {rank, index, 1};
    char where[WEIR_PLACE_TEXT], text[CLAIM_TEXT];
    return WEIR_FAIL(WEIR_ERR_INVALID, "%s stands in the schedule twice, the first time in %s",
                     claim(scan, &second, text), weir_scan_place(scan, first.rank, first.index, where));
}

weir_status weir_scan_unmatched(const struct weir_scan *scan, const struct weir_action *there, const struct weir_action *missing)
{
    struct found found = actions_find(scan->schedule, (struct wanted){there->stage, there->mb, there->type});
    char text[CLAIM_TEXT], other[WEIR_ACTION_TEXT];
    return WEIR_FAIL(WEIR_ERR_INVALID, "%s has no matching %s on rank %d", claim(scan, &found, text), weir_action_str(missing, other),
                     weir_scan_unit(scan, missing->stage, missing->mb)->rank);
}

weir_status weir_scan_missing(const struct weir_scan *scan, int stage, int mb, enum weir_action_type type)
{
    const struct weir_schedule *s = scan->schedule;
    char text[CLAIM_TEXT];
    struct found highest = actions_find(s, (struct wanted){s->n_stages - 1, -1, -1});
    if (scan->units[stage * s->n_copies].rank < 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s is there, but stage %d is in no row", claim(scan, &highest, text),
                         stage);
    if (highest.n == 1 && s->n_microbatches > 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s is the only action of stage %d", claim(scan, &highest, text),
                         s->n_stages - 1);
    highest = actions_find(s, (struct wanted){-1, s->n_microbatches - 1, -1});
    if (!actions_find(s, (struct wanted){-1, mb, -1}).n)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s is there, but micro-batch %d is in no row", claim(scan, &highest, text),
                         mb);
    if (highest.n == 1 && s->n_stages > 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s is the only action of micro-batch %d", claim(scan, &highest, text),
                         s->n_microbatches - 1);
    return WEIR_FAIL(WEIR_ERR_INVALID, "row %d: %d%s%d is missing", weir_scan_unit(scan, stage, mb)->rank + 1, stage,
                     weir_action_type_str(type), mb);
}

weir_status weir_scan_too_few(const struct weir_schedule *schedule, uint64_t wanted, uint64_t forwards)
{
    struct weir_scan scan = {.schedule = schedule};
    bool stages = schedule->n_stages > schedule->n_microbatches;
    struct wanted highest = {stages ? schedule->n_stages - 1 : -1, stages ? -1 : schedule->n_microbatches - 1, -1};
    struct found found = actions_find(schedule, highest);
    char text[CLAIM_TEXT];
    return WEIR_FAIL(WEIR_ERR_INVALID,
                     "%s is a number too large: %d stages and %d micro-batches need %llu forwards, %llu are there",
                     claim(&scan, &found, text), schedule->n_stages, schedule->n_microbatches,
                     (unsigned long long)wanted, (unsigned long long)forwards);
}
