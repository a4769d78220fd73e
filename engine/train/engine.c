/* The engine: open and close. */
#include "engine/program/config_take.h"
#include "engine/train/trainer.h"

#include "base/alloc.h"
#include "base/process.h"
#include "engine/checkpoint/shared_folder.h"
#include "engine/program/fit.h"
#include "weir_libraries.h"

const char *weir_version(void)
{
    return WEIR_VERSION;
}

static weir_status arrays_make(weir_engine *engine)
{
    struct weir_runner *runner = &engine->runner;
    size_t n = (size_t)weir_build_n_workers(&runner->build);
    size_t n_losses = (size_t)(runner->build.n_replicas * runner->build.program->n_microbatches);
    size_t n_fed = n_losses * (size_t)runner->build.graph->n_inputs;
    weir_status status = weir_arena_alloc(&runner->arena, n, sizeof *engine->compute_ns, &engine->compute_ns);
    if (!status)
        status = weir_arena_alloc(&runner->arena, n, sizeof *engine->notes, &engine->notes);
    if (!status)
        status = weir_arena_alloc(&runner->arena, n_fed, sizeof *engine->fed, &engine->fed);
    return status ? status : weir_arena_alloc(&runner->arena, n_losses, sizeof *engine->losses, &engine->losses);
}

weir_status weir_engine_here(const weir_engine *engine)
{
    if (!engine)
        return WEIR_FAIL(WEIR_ERR_INVALID, "there is no engine: it is NULL");
    return weir_process_check(engine->process, "the engine");
}

static int n_replicas_of(const struct weir_engine_config *config)
{
    return config->replicas ? config->replicas : 1;
}

/* Processes meet before anything is compiled: one that fails from here on is found by the others. */
static weir_status engine_start(weir_engine *engine, const struct weir_engine_config *config)
{
    struct weir_runner *runner = &engine->runner;
    const struct weir_device_kind *kind;
    weir_status status = weir_build_kind_find(config, &kind);
    if (!status)
        status = weir_world_find(&runner->world, config, kind, n_replicas_of(config));
    if (!status)
        status = weir_world_join(&runner->world, config->threads_per_rank, (int64_t)(config->timeout * 1e9));
    if (!status)
        status = weir_build_training(config, kind, &runner->arena, &runner->build);
    if (!status)
        status = arrays_make(engine);
    runner->step_end = weir_step_end;
    runner->step_end_context = runner;
    return status ? status : weir_runner_open(runner);
}

weir_status weir_engine_open(const struct weir_engine_config *given, weir_engine **engine_out)
{
    weir_engine *engine;
    struct weir_engine_config config;
    weir_status status = weir_engine_config_take(given, &config);
    if (!status)
        status = weir_engine_config_check(&config);
    if (!status)
        status = weir_alloc(1, sizeof *engine, &engine);
    if (status)
        return status;
    engine->process = weir_process_number();
    engine->folder_lock = -1;
    status = engine_start(engine, &config);
    if (status) {
        char message[WEIR_ERROR_MAX];
        weir_runner_fail(&engine->runner, status);
        weir_error_take(message);
        weir_engine_close(engine);
        weir_error_put(message);
        return status;
    }
    *engine_out = engine;
    return WEIR_OK;
}

void weir_engine_close(weir_engine *engine)
{
    if (!engine || weir_engine_here(engine)) /* a child leaves its parent's engine alone */
        return;
    bool hung = weir_runner_is_hung(&engine->runner);
    weir_saver_close(engine->saver);
    weir_shared_folder_unlock(&engine->folder_lock);
    weir_runner_close(&engine->runner);
    if (!hung)
        weir_free(engine);
}

/* ---- preview ------------------------------------------------------------------------------------------------------- */

static weir_status preview_extras(const struct weir_build *build, const struct weir_world *world, struct weir_arena *arena,
                                  struct weir_resources *have_out, struct weir_extras *extras_out)
{
    const struct weir_device_kind *kind;
    int *device_of, n = weir_build_n_workers(build);
    weir_status status = weir_arena_alloc(arena, (size_t)n, sizeof *device_of, &device_of);
    if (!status)
        status = weir_device_list_plan(build->config.device, n, &kind, device_of);
    for (int r = 0; r < n && !status && world->transport; r++)
        device_of[r] = WEIR_DEVICE_ELSEWHERE; /* every process finds its own */
    *have_out = (struct weir_resources){.device_of = device_of, .host_free = SIZE_MAX};
    if (!status)
        status = weir_extras_make(build, have_out, arena, extras_out);
    for (int r = 0; r < n && !status && weir_world_is_device_side(world); r++)
        status = weir_extra_add(extras_out, arena, &(struct weir_extra){.what = "buffers and mirrors of the transport",
                                                                        .rank = r, .device = WEIR_DEVICE_ELSEWHERE});
    return status;
}

/* A run that is only looked at. */
struct preview {
    struct weir_build build;
    struct weir_extras extras;
    struct weir_resources have;
};

static weir_status preview_make(const struct weir_engine_config *given, struct weir_arena *arena, struct preview *p)
{
    struct weir_world world;
    struct weir_engine_config config;
    const struct weir_device_kind *kind;
    weir_status status = weir_engine_config_take(given, &config);
    if (!status)
        status = weir_engine_config_check(&config);
    if (!status)
        status = weir_build_kind_plan(&config, &kind);
    if (!status)
        status = weir_world_find(&world, &config, kind, n_replicas_of(&config));
    if (!status)
        status = weir_build_training(&config, kind, arena, &p->build);
    return status ? status : preview_extras(&p->build, &world, arena, &p->have, &p->extras);
}

weir_status weir_engine_preview(const struct weir_engine_config *config, weir_text_fn memory, weir_text_fn program,
                                void *context)
{
    struct weir_arena arena = {0};
    struct preview p;
    weir_status status = preview_make(config, &arena, &p);
    if (!status && memory)
        status = weir_memory_say(&p.build, &p.extras, memory, context);
    if (!status && program)
        status = weir_program_say(p.build.program, program, context);
    weir_arena_release(&arena);
    return status;
}

weir_status weir_engine_memory(const struct weir_engine_config *config, struct weir_arena *arena,
                               struct weir_memory_report *report_out)
{
    struct weir_arena work = {0};
    struct preview p;
    weir_status status = preview_make(config, &work, &p);
    if (!status)
        status = weir_fit_report(&p.build, &p.extras, &p.have, arena, report_out);
    weir_arena_release(&work);
    return status;
}
