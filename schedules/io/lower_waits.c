/* WAIT actions: where a rank waits for the end of what it has started.
 *
 * Facts from PyTorch's torch/distributed/pipelining/schedules.py (_add_reduce_grad, _add_wait_send). */
#include "base/arena.h"
#include "schedules/check/scan.h"

/* Of a stage and micro-batch of the list: what is started and has no wait in the list.  OPEN_REDUCE is of the stage and
 * stands at micro-batch 0. */
enum { OPEN_F = 1, OPEN_B = 2, OPEN_REDUCE = 4 };

struct waits {
    struct weir_scan scan; /* its `seen` holds OPEN bits */
    struct weir_action *list;
    size_t n;
};

static uint8_t *open_of(const struct waits *waits, const struct weir_action *a)
{
    return &waits->scan.seen[weir_scan_index(&waits->scan, a->stage, a->mb < 0 ? 0 : a->mb)];
}

/* The bit that an action sets, and its wait clears. */
static uint8_t started(const struct weir_action *a)
{
    return a->type == WEIR_SEND_F        ? OPEN_F
           : a->type == WEIR_SEND_B      ? OPEN_B
           : a->type == WEIR_REDUCE_GRAD ? OPEN_REDUCE
                                         : 0;
}

static uint8_t ended(const struct weir_action *a)
{
    return a->type == WEIR_WAIT_SEND_F        ? OPEN_F
           : a->type == WEIR_WAIT_SEND_B      ? OPEN_B
           : a->type == WEIR_WAIT_REDUCE_GRAD ? OPEN_REDUCE
                                              : 0;
}

static void wait_add(struct waits *waits, int stage, int mb, enum weir_action_type type)
{
    waits->list[waits->n++] = (struct weir_action){.stage = stage, .mb = mb, .type = (uint8_t)type};
}

static void open_mark(struct waits *waits, const struct weir_schedule_rank *list)
{
    const struct weir_action *a = list->actions;
    for (size_t i = 0; i < list->n_actions; i++)
        *open_of(waits, &a[i]) = 0;
    for (size_t i = 0; i < list->n_actions; i++)
        *open_of(waits, &a[i]) |= started(&a[i]);
    for (size_t i = 0; i < list->n_actions; i++)
        *open_of(waits, &a[i]) &= (uint8_t)~ended(&a[i]);
}

/* The backward of a micro-batch says that its output has long arrived. */
static void backward_close(struct waits *waits, const struct weir_action *a)
{
    if ((a->type != WEIR_I && a->type != WEIR_B) || !(*open_of(waits, a) & OPEN_F))
        return;
    *open_of(waits, a) &= (uint8_t)~OPEN_F;
    wait_add(waits, a->stage, a->mb, WEIR_WAIT_SEND_F);
}

static void list_wait(struct waits *waits, const struct weir_schedule_rank *list)
{
    waits->n = 0;
    open_mark(waits, list);
    for (size_t i = 0; i < list->n_actions; i++) {
        const struct weir_action *a = &list->actions[i];
        waits->list[waits->n++] = *a;
        if (!a->fused)
            backward_close(waits, a);
        if (a->type == WEIR_REDUCE_GRAD && *open_of(waits, a) & OPEN_REDUCE)
            wait_add(waits, a->stage, -1, WEIR_WAIT_REDUCE_GRAD);
    }
    for (size_t i = 0; i < list->n_actions; i++) {
        const struct weir_action *a = &list->actions[i];
        if (a->type == WEIR_SEND_F && *open_of(waits, a) & OPEN_F)
            wait_add(waits, a->stage, a->mb, WEIR_WAIT_SEND_F);
        if (a->type == WEIR_SEND_B && *open_of(waits, a) & OPEN_B)
            wait_add(waits, a->stage, a->mb, WEIR_WAIT_SEND_B);
    }
}

static size_t most_waits(const struct weir_schedule_rank *list)
{
    size_t n = 0;
    for (size_t i = 0; i < list->n_actions; i++)
        n += started(&list->actions[i]) != 0;
    return n;
}

weir_status weir_schedule_add_waits(const struct weir_schedule *schedule, struct weir_arena *arena,
                                    struct weir_schedule *out)
{
    struct weir_schedule s = *schedule;
    struct weir_arena work = {0};
    struct waits waits;
    struct weir_schedule_rank *ranks;
    weir_status status = weir_scan_build(schedule, &work, &waits.scan);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)s.n_ranks, sizeof *ranks, &ranks);
    for (int r = 0; !status && r < s.n_ranks; r++) {
        const struct weir_schedule_rank *list = &schedule->ranks[r];
        status = weir_arena_alloc(arena, list->n_actions + most_waits(list), sizeof *waits.list, &waits.list);
        if (status)
            break;
        list_wait(&waits, list);
        ranks[r] = (struct weir_schedule_rank){.actions = waits.list, .n_actions = waits.n};
    }
    if (!status) {
        s.ranks = ranks;
        *out = s;
    }
    weir_arena_release(&work);
    return status;
}
