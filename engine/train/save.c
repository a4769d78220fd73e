/* Checkpoints of an engine: the public functions. */
#include "base/grown.h"
#include "engine/checkpoint/runner_state.h"
#include "engine/checkpoint/shared_folder.h"
#include "engine/train/saver.h"

static weir_status save_check(const weir_engine *engine, const struct weir_save *save)
{
    weir_status status = weir_engine_here(engine);
    if (!status)
        status = weir_build_computes(engine->runner.build.kind, "checkpoint");
    if (!status && (!save->dir || !*save->dir))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "a checkpoint needs a folder");
    if (!status && (save->keep < 0 || save->sample < 0))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "a checkpoint cannot keep %d others, or be at sample %lld", save->keep,
                           (long long)save->sample);
    if (!status && save->background && !engine->runner.build.config.snapshots)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "the engine was not opened for checkpoints in the background: set snapshots in its "
                                           "configuration");
    return status ? status : weir_engine_ready(engine);
}

static weir_status saver_have(weir_engine *engine)
{
    weir_status status = engine->saver ? WEIR_OK : weir_saver_open(&engine->runner, &engine->saver);
    return weir_world_agree(&engine->runner.world, status);
}

weir_status weir_engine_save(weir_engine *engine, const struct weir_save *given)
{
    struct weir_save own, *save = &own;
    weir_status status = weir_grown_take("weir_save", "set struct_bytes to sizeof(struct weir_save)", given,
                                         given ? given->struct_bytes : 0, &own, sizeof own);
    if (!status)
        status = save_check(engine, save);
    if (!status)
        status = saver_have(engine);
    if (status)
        return status;
    (void)weir_saver_wait(engine->saver);
    return weir_saver_save(engine->saver, save, engine->step);
}

weir_status weir_engine_save_poll(weir_engine *engine, bool *busy_out)
{
    weir_status status = weir_engine_here(engine);
    *busy_out = false;
    return status || !engine->saver ? status : weir_saver_poll(engine->saver, busy_out);
}

weir_status weir_engine_save_wait(weir_engine *engine)
{
    weir_status status = weir_engine_here(engine);
    return status || !engine->saver ? status : weir_saver_wait(engine->saver);
}

weir_status weir_engine_save_check(weir_engine *engine, const char *dir)
{
    weir_status status = weir_engine_here(engine);
    if (!status)
        status = weir_build_computes(engine->runner.build.kind, "checkpoint");
    if (status)
        return status;
    weir_shared_folder_unlock(&engine->folder_lock);
    return weir_shared_folder_check(&engine->runner.world, dir, &engine->folder_lock);
}

weir_status weir_engine_newest(weir_engine *engine, const char *dir, weir_checkpoint_said_fn said, void *context,
                               weir_checkpoint **checkpoint_out)
{
    weir_status status = weir_engine_here(engine);
    return status ? status : weir_shared_folder_newest(&engine->runner.world, dir, said, context, checkpoint_out);
}

weir_status weir_engine_load(weir_engine *engine, weir_checkpoint *checkpoint)
{
    weir_status status = weir_engine_here(engine);
    if (!status && !checkpoint)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "there is no checkpoint: it is NULL");
    if (status)
        return status;
    status = weir_world_agree(&engine->runner.world, weir_runner_state_load(&engine->runner, checkpoint));
    engine->awaits_update &= status != WEIR_OK; /* they are of other parameters */
    return status ? status : weir_engine_position_set(engine, weir_checkpoint_info(checkpoint)->step);
}
