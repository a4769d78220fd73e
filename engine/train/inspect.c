/* Looking into an engine: the public functions over its runner. */
#include <stdio.h>

#include "base/alloc.h"
#include "base/grown.h"
#include "engine/checkpoint/export_write.h"
#include "engine/checkpoint/runner_state.h"
#include "engine/checkpoint/shared_folder.h"
#include "engine/checkpoint/weights.h"
#include "engine/run/flight_file.h"
#include "engine/run/link.h"
#include "engine/run/optimizer_state.h"
#include "engine/run/params.h"
#include "engine/run/times.h"
#include "engine/run/waits.h"
#include "engine/train/trainer.h"

weir_status weir_engine_param_read(weir_engine *engine, const char *name, float *values_out, size_t n)
{
    weir_status status = weir_engine_here(engine);
    if (!status)
        status = weir_build_computes(engine->runner.build.kind, "value of a parameter");
    return status ? status : weir_runner_param_read(&engine->runner, name, values_out, n);
}

weir_status weir_engine_param_write(weir_engine *engine, const char *name, const float *values, size_t n)
{
    weir_status status = weir_engine_here(engine);
    return status ? status : weir_runner_param_write(&engine->runner, name, values, n);
}

weir_status weir_engine_gradient_read(weir_engine *engine, const char *name, float *values_out, size_t n)
{
    weir_status status = weir_engine_here(engine);
    if (!status)
        status = weir_build_computes(engine->runner.build.kind, "gradient");
    if (status)
        return status;
    if (!engine->has_gradients)
        return WEIR_FAIL(WEIR_ERR_USAGE, "no step was run: parameter '%s' has no gradient yet", name);
    return weir_runner_gradient_read(&engine->runner, name, values_out, n);
}

static weir_status checkpoint_weights_load(weir_engine *engine, const char *folder)
{
    weir_checkpoint *checkpoint;
    weir_status status = weir_shared_checkpoint_open(&engine->runner.world, folder, &checkpoint);
    if (status)
        return status;
    status = weir_runner_params_load(&engine->runner, checkpoint);
    weir_checkpoint_close(checkpoint);
    return weir_world_agree(&engine->runner.world, status);
}

/* There are no weights in `path`; where there are checkpoints the newest is named. */
static weir_status checkpoints_name(const char *path, weir_status status)
{
    struct weir_arena arena = {0};
    struct weir_checkpoint_entry *entries = NULL;
    char message[WEIR_ERROR_MAX];
    int n = 0;
    weir_error_take(message);
    bool listed = !weir_checkpoint_list(path, &arena, &entries, &n);
    while (n > 0 && entries[n - 1].flaw)
        n--;
    if (listed && n)
        WEIR_FAIL(status, "'%s' holds checkpoints, not weights: name one of them, as '%s'", path, entries[n - 1].folder);
    else
        weir_error_put(message);
    weir_arena_release(&arena);
    return status;
}

weir_status weir_engine_load_weights(weir_engine *engine, const char *path)
{
    weir_status status = weir_engine_here(engine);
    if (status)
        return status;
    if (weir_checkpoint_is(path))
        return checkpoint_weights_load(engine, path);
    status = weir_weights_load(&engine->runner, path);
    return status == WEIR_ERR_IO ? checkpoints_name(path, status) : status;
}

weir_status weir_engine_export_sized(weir_engine *engine, const struct weir_export *what, size_t what_bytes)
{
    struct weir_export export;
    weir_status status = weir_engine_here(engine);
    if (!status)
        status = weir_export_take(what, what_bytes, &export);
    if (!status)
        status = weir_build_computes(engine->runner.build.kind, "model to export");
    return status ? status : weir_export_write(&engine->runner, &export);
}

int64_t weir_engine_position(const weir_engine *engine)
{
    return engine->step;
}

weir_status weir_engine_position_set(weir_engine *engine, int64_t step)
{
    weir_status status = weir_engine_here(engine);
    if (!status && (step < 0 || step >= UINT32_MAX))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "an engine cannot be at step %lld", (long long)step);
    if (!status)
        engine->step = step;
    return status;
}

static int moment_of(enum weir_checkpoint_kind kind)
{
    return (int)kind - WEIR_CHECKPOINT_EXP_AVG;
}

weir_status weir_engine_moment_read(weir_engine *engine, enum weir_checkpoint_kind kind, const char *name, float *values_out,
                                    size_t n)
{
    weir_status status = weir_engine_here(engine);
    return status ? status : weir_runner_moment_read(&engine->runner, moment_of(kind), name, values_out, n);
}

weir_status weir_engine_moment_write(weir_engine *engine, enum weir_checkpoint_kind kind, const char *name, const float *values,
                                     size_t n)
{
    weir_status status = weir_engine_here(engine);
    return status ? status : weir_runner_moment_write(&engine->runner, moment_of(kind), name, values, n);
}

/* ---- arrays whose entries the program may see with another size --------------------------------------------------------- */

/* Fills at most `room` entries of this library's size, returns how many there are. */
typedef size_t (*fill_fn)(const weir_engine *engine, void *entries_out, size_t room);

static size_t entries_give(const weir_engine *engine, fill_fn fill, size_t own_bytes, void *entries_out, size_t entry_bytes, size_t room)
{
    char *own;
    if (!room || entry_bytes == own_bytes)
        return fill(engine, entries_out, room);
    if (weir_alloc(room, own_bytes, &own))
        return 0;
    size_t n = fill(engine, own, room);
    weir_grown_give_all(own, own_bytes, n < room ? n : room, entries_out, entry_bytes);
    weir_free(own);
    return n;
}

static size_t events_fill(const weir_engine *engine, void *events_out, size_t room)
{
    return weir_run_events(&engine->runner.main, events_out, room);
}

size_t weir_engine_events_sized(const weir_engine *engine, struct weir_step_event *events_out, size_t event_bytes, size_t room)
{
    return entries_give(engine, events_fill, sizeof *events_out, events_out, event_bytes, room);
}

static size_t waits_fill(const weir_engine *engine, void *waits_out, size_t room)
{
    return weir_run_waits(&engine->runner.main, waits_out, room);
}

size_t weir_engine_waits_sized(const weir_engine *engine, struct weir_step_wait *waits_out, size_t wait_bytes, size_t room)
{
    return entries_give(engine, waits_fill, sizeof *waits_out, waits_out, wait_bytes, room);
}

static size_t op_times_fill(const weir_engine *engine, void *times_out, size_t room)
{
    return weir_runner_op_times(&engine->runner, times_out, room);
}

size_t weir_engine_op_times_sized(const weir_engine *engine, struct weir_op_time *times_out, size_t time_bytes, size_t room)
{
    return entries_give(engine, op_times_fill, sizeof *times_out, times_out, time_bytes, room);
}

/* ---- processes, stopping, failing ----------------------------------------------------------------------------------------- */

weir_status weir_engine_events_gather(weir_engine *engine)
{
    weir_status status = weir_engine_here(engine);
    return status ? status : weir_run_times_gather(&engine->runner.main);
}

int weir_engine_process(const weir_engine *engine, int *n_processes_out)
{
    const struct weir_transport_info *info = engine->runner.world.info;
    *n_processes_out = info ? info->n_ranks : 1;
    return info ? info->rank : 0;
}

void weir_engine_host(const weir_engine *engine, int rank, char *host_out, size_t room)
{
    const struct weir_flight *flight = weir_pulse_flight(&engine->runner.world.pulse, rank);
    snprintf(host_out, room, "%s", flight ? flight->host : "");
}

void weir_engine_stop_flag(weir_engine *engine, const volatile int *flag)
{
    engine->stop_flag = flag;
}

int weir_engine_stop_seen(const weir_engine *engine)
{
    return engine->stop;
}

weir_status weir_engine_reset(weir_engine *engine)
{
    weir_status status = weir_engine_here(engine);
    return status ? status : weir_runner_reset(&engine->runner);
}

void weir_engine_fail(weir_engine *engine, weir_status status)
{
    if (!engine)
        return;
    weir_flight_failed(&engine->runner, status); /* before a launcher hears of it */
    weir_link_stop(&engine->runner, status);
    weir_world_told(&engine->runner.world);
}

int weir_engine_first_layer(const weir_engine *engine, int stage)
{
    return engine->runner.build.first_layer[stage];
}

weir_status weir_engine_print_memory(const weir_engine *engine, weir_text_fn say, void *context)
{
    return weir_memory_say(&engine->runner.build, &engine->runner.extras, say, context);
}

weir_status weir_engine_print_program(const weir_engine *engine, weir_text_fn say, void *context)
{
    return weir_program_say(engine->runner.build.program, say, context);
}

/* ---- flight records ------------------------------------------------------------------------------------------------- */

void weir_engine_flight_to(weir_engine *engine, const char *path, const volatile int *wanted)
{
    weir_flight_to(&engine->runner, path, wanted);
}

void weir_engine_flight_path(const weir_engine *engine, char *path_out, size_t room)
{
    weir_flight_path(&engine->runner, path_out, room);
}

bool weir_engine_flight_is_written(const weir_engine *engine)
{
    return engine && engine->runner.flight.is_written;
}
