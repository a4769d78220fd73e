/* WAIT actions: where a rank waits for the end of what it has started.
 *
 * Facts from PyTorch's torch/distributed/pipelining/schedules.py
 * (_add_reduce_grad, _add_wait_send). */
#include "schedules/check/scan.h"

/* What is to come for a stage and micro-batch of the list: a SEND_F or SEND_B
 * without its wait. */
enum { OPEN_F = 1, OPEN_B = 2 };

struct waits {
  struct weir_scan scan; /* its `seen` holds OPEN bits */
  struct weir_action *list;
  size_t n;
};

static uint8_t *open_of(const struct waits *waits,
                        const struct weir_action *a) {
  return &waits->scan.seen[weir_scan_index(&waits->scan, a->stage, a->mb)];
}

static void wait_add(struct waits *waits, int stage, int mb,
                     enum weir_action_type type) {
  waits->list[waits->n++] =
      (struct weir_action){.stage = stage, .mb = mb, .type = (uint8_t)type};
}

/* A stage whose REDUCE_GRAD is waited for further on keeps that wait. */
static bool reduce_has_wait(const struct weir_schedule_rank *list,
                            size_t reduce) {
  for (size_t i = reduce + 1; i < list->n_actions; i++)
    if (list->actions[i].type == WEIR_WAIT_REDUCE_GRAD &&
        list->actions[i].stage == list->actions[reduce].stage)
      return true;
  return false;
}

/* Which sends of a list have no wait in it. */
static void open_mark(struct waits *waits,
                      const struct weir_schedule_rank *list) {
  for (size_t i = 0; i < list->n_actions; i++)
    if (weir_action_has_microbatch(
            (enum weir_action_type)list->actions[i].type))
      *open_of(waits, &list->actions[i]) = 0;
  for (size_t i = 0; i < list->n_actions; i++) {
    const struct weir_action *a = &list->actions[i];
    if (a->type == WEIR_SEND_F || a->type == WEIR_SEND_B)
      *open_of(waits, a) |= a->type == WEIR_SEND_F ? OPEN_F : OPEN_B;
  }
  for (size_t i = 0; i < list->n_actions; i++) {
    const struct weir_action *a = &list->actions[i];
    if (a->type == WEIR_WAIT_SEND_F || a->type == WEIR_WAIT_SEND_B)
      *open_of(waits, a) &=
          (uint8_t) ~(a->type == WEIR_WAIT_SEND_F ? OPEN_F : OPEN_B);
  }
}

/* The backward of a micro-batch says that its output has long arrived. */
static void backward_close(struct waits *waits, const struct weir_action *a) {
  if ((a->type != WEIR_I && a->type != WEIR_B) ||
      !(*open_of(waits, a) & OPEN_F))
    return;
  *open_of(waits, a) &= (uint8_t)~OPEN_F;
  wait_add(waits, a->stage, a->mb, WEIR_WAIT_SEND_F);
}

static void list_wait(struct waits *waits,
                      const struct weir_schedule_rank *list) {
  waits->n = 0;
  open_mark(waits, list);
  for (size_t i = 0; i < list->n_actions; i++) {
    const struct weir_action *a = &list->actions[i];
    waits->list[waits->n++] = *a;
    if (!a->fused)
      backward_close(waits, a);
    if (a->type == WEIR_REDUCE_GRAD && !reduce_has_wait(list, i))
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

static size_t most_waits(const struct weir_schedule_rank *list) {
  size_t n = 0;
  for (size_t i = 0; i < list->n_actions; i++) {
    unsigned type = list->actions[i].type;
    n += type == WEIR_SEND_F || type == WEIR_SEND_B || type == WEIR_REDUCE_GRAD;
  }
  return n;
}

weir_status weir_schedule_add_waits(const struct weir_schedule *schedule,
                                    struct weir_arena *arena,
                                    struct weir_schedule *out) {
  struct weir_schedule s = *schedule;
  struct weir_arena work = {0};
  struct waits waits;
  struct weir_schedule_rank *ranks;
  weir_status status = weir_scan_build(schedule, NULL, &work, &waits.scan);
  if (!status)
    status = weir_arena_alloc(arena, (size_t)s.n_ranks, sizeof *ranks, &ranks);
  for (int r = 0; !status && r < s.n_ranks; r++) {
    const struct weir_schedule_rank *list = &schedule->ranks[r];
    status = weir_arena_alloc(arena, list->n_actions + most_waits(list),
                              sizeof *waits.list, &waits.list);
    if (status)
      break;
    list_wait(&waits, list);
    ranks[r] = (struct weir_schedule_rank){waits.list, waits.n};
  }
  if (!status) {
    s.ranks = ranks;
    *out = s;
  }
  weir_arena_release(&work);
  return status;
}
