/* weir train, before the first step: everything that can be wrong is found here. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cmd/launched.h"
#include "cmd/options.h"
#include "cmd/train.h"
#include "engine/transport/transport.h"

enum { TRACE_EVENTS = 200000 }; /* most events kept for --trace: some 30 MB of file */

bool train_leads(const struct train_options *o)
{
    return (o->transport && !strcmp(o->transport, "local")) || launched_leads();
}

static weir_status dtype_read(const struct train_options *o, struct train_run *run)
{
    static const char *const dtypes[] = {"f32", "tf32", "bf16", NULL}; /* in the order of enum weir_compute */
    for (int i = 0; dtypes[i]; i++)
        if (!strcmp(dtypes[i], o->dtype)) {
            run->dtype = (enum weir_compute)i;
            return i && !strncmp(o->device, "cpu", 3)
                       ? WEIR_FAIL(WEIR_ERR_USAGE, "--dtype %s is for --device cuda: leave it out", o->dtype)
                       : WEIR_OK;
        }
    return weir_unknown("dtype", o->dtype, dtypes);
}

static weir_status choices_read(const struct train_options *o, struct train_run *run)
{
    static const char *const optimizers[] = {"sgd", "adamw", NULL}; /* in the order of enum weir_optimizer */
    if (!o->model)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--model is missing: --model list shows the models");
    if (!o->data && !o->print_memory && !o->print_program)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--data is missing: files of text or tokens, or for image models a folder of IDX files");
    weir_status status = weir_model_open(o->model, &run->arena, &run->model);
    if (!status)
        status = weir_lr_schedule_find(o->lr_schedule, &run->lr_schedule);
    if (!status)
        status = dtype_read(o, run);
    if (status)
        return status;
    for (int i = 0; optimizers[i]; i++)
        if (!strcmp(optimizers[i], o->optimizer)) {
            run->optimizer = (enum weir_optimizer)i;
            return WEIR_OK;
        }
    return weir_unknown("optimizer", o->optimizer, optimizers);
}

static weir_status model_build(const struct train_options *o, struct train_run *run)
{
    struct weir_model_params params = {
        .microbatch_size = o->microbatch_size, .seq_len = o->seq_len, .dropout = o->dropout};
    if (run->model->data == WEIR_DATA_IMAGES) {
        if (!run->train.data)
            return WEIR_FAIL(WEIR_ERR_USAGE, "--data is missing: the size of the images decides the model's");
        params.n_inputs = weir_shape_elements(&weir_data_info(run->train.data)->input);
        params.n_classes = weir_data_info(run->train.data)->n_classes;
    }
    return weir_model_build(run->model, &params, &run->arena, &run->graph);
}

static weir_status schedule_build(const struct train_options *o, struct train_run *run)
{
    bool file = weir_pipeline_is_file(o->schedule); /* it brings its own numbers */
    enum weir_csv_dialect dialect;
    weir_status status = weir_csv_dialect_find(o->dialect, &dialect);
    if (status)
        return status;
    int stages = (int)(options_given("stages") ? o->stages : file ? 0 : 2);
    int microbatches = (int)(options_given("microbatches") ? o->microbatches : file ? 0 : 4);
    status =
        file ? weir_pipeline_schedule_file(o->schedule, dialect, stages, (int)o->chunks, microbatches, &run->arena,
                                           &run->schedule)
             : weir_pipeline_schedule(o->schedule, stages, (int)o->chunks, microbatches, &run->arena, &run->schedule);
    run->n_microbatches = run->schedule.n_microbatches * (int)o->replicas;
    run->n_ranks = run->schedule.n_ranks * (int)o->replicas;
    return status;
}

/* Open the engine; with --print-... only compile and print, which needs no memory and also shows what does not fit. */
static weir_status engine_open(const struct train_options *o, struct train_run *run)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    config.graph = run->graph;
    config.schedule = &run->schedule;
    config.device = o->device;
    config.dtype = run->dtype;
    config.placement = o->placement;
    config.threads_per_rank = (int)o->threads;
    config.optimizer = run->optimizer;
    config.weight_decay = o->weight_decay >= 0 ? o->weight_decay : run->optimizer == WEIR_OPTIMIZER_ADAMW ? 0.1 : 0;
    config.grad_clip = o->grad_clip;
    config.seed = (uint64_t)o->seed;
    config.device_memory = o->device_memory;
    config.recompute = o->recompute;
    config.evaluates = run->validation.data;
    config.replicas = (int)o->replicas;
    config.zero = (int)o->zero;
    config.bucket_bytes = o->bucket_bytes;
    config.profiles = o->profile;
    config.transport = o->transport;
    weir_status status = o->transport ? WEIR_OK : weir_transport_launched(o->device, &config.transport);
    if (status)
        return status;
    if (o->print_memory || o->print_program)
        return weir_engine_preview(&config, o->print_memory && run->leads ? stdout : NULL,
                                   o->print_program && run->leads ? stdout : NULL);
    int n_processes;
    status = weir_engine_open(&config, &run->engine);
    if (!status)
        run->leads = weir_engine_process(run->engine, &n_processes) == 0;
    return status;
}

/* Weights in, and whether they can be written at the end. */
static weir_status weights_prepare(const struct train_options *o, struct train_run *run)
{
    weir_status status = o->export && run->leads ? weir_export_check(run->graph, o->export) : WEIR_OK;
    return status || !o->init_from ? status : weir_engine_load_weights(run->engine, o->init_from);
}

static weir_status buffers_make(struct train_run *run)
{
    const struct weir_data_info *info = weir_data_info(run->train.data);
    size_t batch = (size_t)run->graph->microbatch_size;
    run->input_bytes = batch * weir_shape_bytes(&info->input);
    run->target_bytes = batch * weir_shape_bytes(&info->target);
    weir_status status = weir_arena_alloc(&run->arena, run->input_bytes, 1, &run->inputs);
    if (!status)
        status = weir_arena_alloc(&run->arena, run->target_bytes, 1, &run->targets);
    run->n_events = weir_engine_events(run->engine, NULL, 0);
    if (!status)
        status = weir_arena_alloc(&run->arena, run->n_events, sizeof *run->events, &run->events);
    return status ? status : weir_arena_alloc(&run->arena, (size_t)run->n_ranks, sizeof *run->peaks, &run->peaks);
}

static weir_status trace_open(const struct train_options *o, struct train_run *run)
{
    int n_ranks = run->n_ranks;
    struct weir_trace_row *trace_rows;
    weir_status status = weir_arena_alloc(&run->arena, (size_t)n_ranks, sizeof *trace_rows, &trace_rows);
    for (int r = 0; r < n_ranks && !status; r++)
        trace_rows[r] = (struct weir_trace_row){r, 0, "compute"};
    size_t of_a_step = 2 * run->n_events; /* work and the wait before it */
    run->n_trace_steps = TRACE_EVENTS / (int64_t)of_a_step + 1;
    size_t most = of_a_step * (size_t)run->n_trace_steps;
    return status || !run->leads ? status : weir_trace_open(o->trace, trace_rows, n_ranks, most, &run->trace);
}

/* When the metrics file is open but not written yet: an output must not be the file of another option. */
static weir_status outputs_check(const struct train_options *o, const struct train_run *run)
{
    const struct {
        const char *option, *path;
    } files[] = {{"config", o->config}, {"schedule", o->schedule}, {"metrics", o->metrics}, {"trace", o->trace}};
    enum { FIRST_OUTPUT = 2, FILES = sizeof files / sizeof files[0] };
    for (int out = FIRST_OUTPUT; out < FILES; out++) {
        weir_status status = train_data_keep(run, files[out].option, files[out].path);
        if (status)
            return status;
        for (int i = 0; i < out; i++)
            if (train_same_file(files[i].path, files[out].path))
                return WEIR_FAIL(WEIR_ERR_USAGE, "--%s and --%s are the same file '%s': give --%s another name",
                                 files[i].option, files[out].option, files[out].path, files[out].option);
    }
    return WEIR_OK;
}

static weir_status all_open(const struct train_options *o, struct train_run *run)
{
    weir_status status = choices_read(o, run);
    if (!status && o->data)
        status = train_source_open(run, o->data, (uint64_t)o->seed, &run->train);
    if (!status)
        status = model_build(o, run);
    if (!status)
        status = schedule_build(o, run);
    if (!status)
        status = train_validation_open(o, run);
    if (!status)
        status = engine_open(o, run);
    if (status || !run->engine)
        return status;
    status = weights_prepare(o, run);
    if (!status)
        status = buffers_make(run);
    if (!status && o->metrics && run->leads)
        status = weir_metrics_open(o->metrics, run->n_ranks, &run->metrics);
    if (!status)
        status = outputs_check(o, run);
    if (!status && o->trace)
        status = trace_open(o, run);
    if (!status && o->profile)
        status = train_profile_open(run);
    return status;
}

weir_status train_open(const struct train_options *options, struct train_run *run)
{
    *run = (struct train_run){.options = options, .val_loss = NAN, .leads = train_leads(options)};
    weir_status status = all_open(options, run);
    if (status) {
        char message[WEIR_ERROR_MAX];
        weir_engine_fail(run->engine, status);
        weir_error_take(message);
        train_close(run);
        weir_error_put(message);
    }
    return status;
}

void train_close(struct train_run *run)
{
    weir_trace_close(run->trace);
    weir_metrics_close(run->metrics);
    weir_engine_close(run->engine);
    weir_data_close(run->train.data);
    weir_data_close(run->validation.data);
    weir_arena_release(&run->arena);
}
