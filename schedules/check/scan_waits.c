/* The WAIT actions of a schedule: they are kept and not run, but they must be
 * such that a runtime can run them. */
#include "base/large.h"
#include "schedules/check/scan.h"

enum { SENT = 1, WAITED = 2 };

struct waits {
  const struct weir_scan *scan;
  uint8_t *sends[2]; /* [n_stages][stride] per direction: SENT, WAITED */
  uint8_t *reduces;  /* [n_units] */
  bool any_send;     /* some SEND is waited for */
};

static weir_status fail(const struct waits *waits, int rank, size_t index,
                        const char *reason, enum weir_action_type other) {
  const struct weir_action *a =
      &waits->scan->schedule->ranks[rank].actions[index];
  struct weir_action cause = {
      .stage = a->stage, .mb = a->mb, .type = (uint8_t)other};
  char where[WEIR_PLACE_TEXT], text[WEIR_ACTION_TEXT], why[WEIR_ACTION_TEXT];
  return WEIR_FAIL(WEIR_ERR_INVALID, "%s: %s %s %s",
                   weir_scan_place(waits->scan, rank, index, where),
                   weir_action_str(a, text), reason,
                   weir_action_str(&cause, why));
}

static uint8_t *state_of(const struct waits *waits, int rank,
                         const struct weir_action *a) {
  if (a->mb < 0)
    return &waits->reduces[weir_scan_stage_unit(waits->scan, a->stage, rank)];
  bool forward = a->type == WEIR_SEND_F || a->type == WEIR_WAIT_SEND_F;
  return &waits->sends[!forward][weir_scan_index(waits->scan, a->stage, a->mb)];
}

static weir_status wait_pass(struct waits *waits, int rank, size_t index,
                             enum weir_action_type cause) {
  uint8_t *state =
      state_of(waits, rank, &waits->scan->schedule->ranks[rank].actions[index]);
  if (!(*state & SENT))
    return fail(waits, rank, index,
                "waits for nothing: on its rank there is no earlier", cause);
  if (*state & WAITED)
    return fail(waits, rank, index, "is the second wait for", cause);
  *state |= WAITED;
  waits->any_send |= cause != WEIR_REDUCE_GRAD;
  return WEIR_OK;
}

static weir_status action_pass(struct waits *waits, int rank, size_t index) {
  const struct weir_action *a =
      &waits->scan->schedule->ranks[rank].actions[index];
  switch ((enum weir_action_type)a->type) {
  case WEIR_SEND_F:
  case WEIR_SEND_B:
  case WEIR_REDUCE_GRAD:
    *state_of(waits, rank, a) |= SENT;
    return WEIR_OK;
  case WEIR_WAIT_SEND_F:
    return wait_pass(waits, rank, index, WEIR_SEND_F);
  case WEIR_WAIT_SEND_B:
    return wait_pass(waits, rank, index, WEIR_SEND_B);
  case WEIR_WAIT_REDUCE_GRAD:
    return wait_pass(waits, rank, index, WEIR_REDUCE_GRAD);
  default:
    return WEIR_OK;
  }
}

static weir_status all_waited(const struct waits *waits, int rank) {
  const struct weir_schedule_rank *list = &waits->scan->schedule->ranks[rank];
  for (size_t i = 0; waits->any_send && i < list->n_actions; i++) {
    const struct weir_action *a = &list->actions[i];
    bool forward = a->type == WEIR_SEND_F,
         send = forward || a->type == WEIR_SEND_B;
    if (send && !(*state_of(waits, rank, a) & WAITED))
      return fail(waits, rank, i, "is not waited for, other sends are: add",
                  forward ? WEIR_WAIT_SEND_F : WEIR_WAIT_SEND_B);
  }
  return WEIR_OK;
}

weir_status weir_scan_waits_check(const struct weir_scan *scan,
                                  struct weir_arena *work) {
  const struct weir_schedule *s = scan->schedule;
  struct waits waits = {.scan = scan};
  weir_status status = weir_arena_alloc(
      work, (size_t)s->n_stages * (size_t)s->n_copies, 1, &waits.reduces);
  for (int d = 0; !status && d < 2; d++)
    status = weir_large_alloc(work, scan->n_cells, 1, &waits.sends[d]);
  for (int r = 0; !status && r < s->n_ranks; r++)
    for (size_t i = 0; !status && i < s->ranks[r].n_actions; i++)
      status = action_pass(&waits, r, i);
  for (int r = 0; !status && r < s->n_ranks; r++)
    status = all_waited(&waits, r);
  return status;
}
