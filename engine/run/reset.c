/* After a failure: what may be done, and going on.
 *
 * A kernel that fails poisons its stream; the others run to their end, and no UPDATE changes anything once the runner has FAILED.
 * Every UPDATE awaits all NORMs, which come after all actions, so a failure of an action or of what leads to the norm is seen by
 * all of them.  Then nothing is wrong but the poison: the streams are emptied and take work again.  Slots, activations and sums hold
 * what every run writes before it reads.
 *
 * With other processes there is nothing to go back to: they have been told, and end. */
#include "engine/run/flight_file.h"
#include "engine/run/runner.h"

bool weir_runner_can_reset(const struct weir_runner *runner)
{
    struct weir_runner *seen = (struct weir_runner *)(uintptr_t)runner;
    return !runner->world.transport && weir_runner_state(runner) == WEIR_RUNNER_FAILED && atomic_load(&seen->call_failed) &&
           !atomic_load(&seen->update_failed) && !weir_runner_is_hung(runner);
}

weir_status weir_runner_check(const struct weir_runner *runner, const char *who, const char *way_out)
{
    if (weir_runner_is_ready(runner))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "%s failed before: %s%s%s", who, way_out, *runner->cause ? "; earlier: " : "", runner->cause);
}

static weir_status reset_check(const struct weir_runner *runner)
{
    const char *cause = runner->cause;
    if (runner->world.transport)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "ranks in several processes do not start again after a failure: close it in all of them");
    if (!weir_runner_is_ready(runner) && !weir_runner_can_reset(runner))
        return WEIR_FAIL(WEIR_ERR_INVALID, "what failed was no kernel of the graph, a reset does not mend it: close it; earlier: %s", cause);
    return WEIR_OK;
}

static void rank_reset(struct weir_rank *rank)
{
    atomic_store(&rank->failed, (int)WEIR_OK);
    rank->nonfinite = (struct weir_nonfinite_note){0};
}

/* The failure is known; what the stream says of it is not new. */
static weir_status stream_empty(const struct weir_device_kind *kind, weir_stream *stream)
{
    (void)kind->stream_sync(stream, -1);
    return kind->stream_reset(stream);
}

static weir_status machine_reset(struct weir_machine *machine)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < machine->n_issuers && !status; i++)
        status = stream_empty(&weir_device_cpu, machine->issuers[i].stream);
    for (int r = machine->first_here; r < machine->end_here && !status; r++) {
        rank_reset(&machine->ranks[r]);
        if (weir_rank_is_first(&machine->ranks[r]))
            status = stream_empty(machine->kind, machine->ranks[r].stream);
    }
    return status;
}

weir_status weir_runner_reset(struct weir_runner *runner)
{
    weir_status status = reset_check(runner);
    if (status || weir_runner_is_ready(runner))
        return status;
    status = machine_reset(&runner->machine);
    if (status)
        return status;
    runner->looks_for_nonfinite = false;
    runner->cause[0] = 0;
    atomic_store(&runner->call_failed, 0);
    weir_flight_again(runner);
    atomic_store(&runner->state, (int)WEIR_RUNNER_READY);
    return WEIR_OK;
}
