/* A generator that is only looked at. */
#include "engine/generate/generator_state.h"
#include "engine/program/fit.h"

struct preview {
    struct weir_build build;
    struct weir_extras extras;
    struct weir_resources have;
};

static weir_status preview_make(const struct weir_generator_config *given, struct weir_arena *arena, struct preview *p)
{
    weir_generator g = {.n_samples = 0};
    struct weir_generator_config own, *config = &own;
    struct weir_engine_config built;
    struct weir_generation_params params;
    const struct weir_device_kind *kind;
    int *device_of = NULL;
    weir_status status = weir_generator_config_take(given, &own);
    g.n_samples = config->n_samples;
    if (!status)
        status = weir_generator_check(&g, config);
    if (status)
        return status;
    weir_generator_build_config(&g, config, &built, &params);
    status = weir_build_kind_plan(&built, &kind);
    if (!status)
        status = weir_build_generation(&built, &params, kind, arena, &p->build);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)config->n_stages, sizeof *device_of, &device_of);
    if (!status)
        status = weir_device_list_plan(config->device, config->n_stages, &kind, device_of);
    p->have = (struct weir_resources){.device_of = device_of, .host_free = SIZE_MAX};
    return status ? status : weir_extras_make(&p->build, &p->have, arena, &p->extras);
}

weir_status weir_generator_preview(const struct weir_generator_config *config, weir_text_fn say, void *context)
{
    struct weir_arena arena = {0};
    struct preview p;
    weir_status status = preview_make(config, &arena, &p);
    if (!status)
        status = weir_memory_say(&p.build, &p.extras, say, context);
    weir_arena_release(&arena);
    return status;
}

weir_status weir_generator_memory(const struct weir_generator_config *config, struct weir_arena *arena,
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
