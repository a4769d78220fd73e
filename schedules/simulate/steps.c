/* One action per step: the rule of PyTorch's schedule simulator.
 *
 * In every step each rank, in ascending order, does its next action if it is ready, seeing what lower ranks have done
 * in the same step; ranks that could not are asked once more.  A SEND is done at once (buffered), a RECV when its SEND
 * is.
 *
 * Facts from PyTorch's torch/distributed/pipelining/schedules.py (_simulate_comms_compute). */
#include "base/arena.h"
#include "schedules/check/flow.h"
#include "schedules/io/lower_torch.h"
#include "include/weir/simulate.h"

struct steps {
    struct weir_scan scan;
    uint8_t *done; /* [n_stages][n_microbatches]: one bit per action type */
    size_t *next;  /* [n_ranks] */
    bool *acted;   /* [n_ranks]: in this step */
};

static bool is_done(const struct steps *steps, int stage, int mb, unsigned types)
{
    return steps->done[weir_scan_index(&steps->scan, stage, mb)] & types;
}

static bool input_ready(const struct steps *steps, const struct weir_action *a)
{
    bool forward = a->type == WEIR_F;
    if (weir_scan_source(&steps->scan, a) < 0)
        return true;
    if (is_done(steps, a->stage, a->mb, forward ? 1u << WEIR_RECV_F : 1u << WEIR_RECV_B))
        return true;
    bool local = weir_scan_source(&steps->scan, a) == weir_scan_unit(&steps->scan, a->stage, a->mb)->rank;
    return local &&
           is_done(steps, a->stage + (forward ? -1 : 1), a->mb, forward ? 1u << WEIR_F : 1u << WEIR_I | 1u << WEIR_B);
}

static bool is_ready(const struct steps *steps, const struct weir_action *a)
{
    switch ((enum weir_action_type)a->type) {
    case WEIR_F:
    case WEIR_I:
    case WEIR_B:
        return input_ready(steps, a) && (!a->fused || input_ready(steps, a + 1));
    case WEIR_SEND_F:
        return is_done(steps, a->stage, a->mb, 1u << WEIR_F);
    case WEIR_SEND_B:
        return is_done(steps, a->stage, a->mb, 1u << WEIR_I | 1u << WEIR_B);
    case WEIR_RECV_F:
        return is_done(steps, a->stage - 1, a->mb, 1u << WEIR_SEND_F);
    case WEIR_RECV_B:
        return is_done(steps, a->stage + 1, a->mb, 1u << WEIR_SEND_B);
    default:
        return true;
    }
}

static bool rank_step(struct steps *steps, int rank)
{
    const struct weir_schedule_rank *list = &steps->scan.schedule->ranks[rank];
    if (steps->acted[rank] || steps->next[rank] >= list->n_actions)
        return false;
    const struct weir_action *a = &list->actions[steps->next[rank]];
    if (!is_ready(steps, a))
        return false;
    for (int i = 0; i <= a->fused; i++)
        if (a[i].type <= WEIR_RECV_B)
            steps->done[weir_scan_index(&steps->scan, a[i].stage, a[i].mb)] |= (uint8_t)(1u << a[i].type);
    steps->next[rank] += a->fused ? 2 : 1;
    return steps->acted[rank] = true;
}

static bool is_left(const struct steps *steps)
{
    for (int r = 0; r < steps->scan.schedule->n_ranks; r++)
        if (steps->next[r] < steps->scan.schedule->ranks[r].n_actions)
            return true;
    return false;
}

static weir_status steps_run(struct steps *steps, size_t *steps_out)
{
    int p = steps->scan.schedule->n_ranks;
    size_t n = 0;
    for (; is_left(steps); n++) {
        bool progress = false;
        for (int r = 0; r < p; r++)
            steps->acted[r] = false;
        for (int pass = 0; pass < 2; pass++)
            for (int r = 0; r < p; r++)
                progress |= rank_step(steps, r);
        if (!progress)
            return weir_schedule_error_name(
                steps->scan.schedule,
                WEIR_FAIL(WEIR_ERR_INVALID, "the schedule does not progress after %zu steps: check says why", n));
    }
    *steps_out = n;
    return WEIR_OK;
}

static weir_status steps_open(struct steps *steps, struct weir_arena *work)
{
    const struct weir_schedule *s = steps->scan.schedule;
    weir_status status = weir_arena_alloc(work, steps->scan.n_cells, 1, &steps->done);
    if (!status)
        status = weir_arena_alloc(work, (size_t)s->n_ranks, sizeof *steps->next, &steps->next);
    if (!status)
        status = weir_arena_alloc(work, (size_t)s->n_ranks, sizeof *steps->acted, &steps->acted);
    return status;
}

weir_status weir_schedule_count_steps(const struct weir_schedule *schedule, size_t *steps_out)
{
    struct weir_arena work = {0};
    struct weir_schedule lowered;
    struct steps steps;
    weir_status status = weir_schedule_nameable(schedule);
    if (!status)
        status = weir_schedule_lower_rounds(schedule, true, &work, &lowered);
    if (!status)
        status = weir_scan_build(&lowered, &work, &steps.scan);
    if (!status)
        status = steps_open(&steps, &work);
    if (!status)
        status = steps_run(&steps, steps_out);
    weir_arena_release(&work);
    return status;
}
