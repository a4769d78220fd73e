/* weir train, before the first step: everything that can be wrong is found here. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/text_stream.h"
#include "cmd/compute_dtype.h"
#include "cmd/launched.h"
#include "cmd/memory_print.h"
#include "cmd/paths.h"
#include "cmd/synonyms.h"
#include "cmd/train.h"
#include "include/weir/metrics.h"

enum { TRACE_EVENTS = 200000 }; /* most events kept for --trace: some 30 MB of file */

bool train_leads(const struct train_options *o)
{
    return (o->transport && !strcmp(o->transport, "local")) || launched_leads();
}

static weir_status optimizer_read(const struct train_options *o, struct train_run *run)
{
    static const char *const optimizers[] = {"sgd", "adamw", NULL}; /* in the order of enum weir_optimizer */
    static const char *const of_adamw[] = {"adam-beta1", "adam-beta2", "adam-eps"};
    const char *name = name_understood(o->optimizer, optimizers, optimizer_synonyms);
    int found = 0;
    while (optimizers[found] && strcmp(optimizers[found], name) != 0)
        found++;
    if (!optimizers[found])
        return weir_unknown("optimizer", name, optimizers);
    run->optimizer = (enum weir_optimizer)found;
    for (int i = 0; i < 3 && run->optimizer != WEIR_OPTIMIZER_ADAMW; i++)
        if (options_given(&o->given, of_adamw[i]))
            return WEIR_FAIL(WEIR_ERR_USAGE, "--%s is for --optimizer adamw: leave it out", of_adamw[i]);
    return WEIR_OK;
}

static weir_status rates_read(const struct train_options *o, struct train_run *run)
{
    static const char *const names[] = {"constant", "cosine", NULL};
    weir_status status = weir_lr_schedule_find(name_understood(o->lr_schedule, names, rate_synonyms), &run->lr_schedule);
    if (status || o->min_lr < 0)
        return status;
    if (run->lr_schedule != WEIR_LR_COSINE)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--min-lr is where --lr-schedule cosine ends: give both");
    if (o->min_lr > train_lr(run))
        return WEIR_FAIL(WEIR_ERR_USAGE, "--min-lr %g is above the learning rate %g: give a smaller one", o->min_lr,
                         train_lr(run));
    return WEIR_OK;
}

static weir_status on_nan_read(const struct train_options *o, struct train_run *run)
{
    static const char *const names[] = {"stop", "skip", "rollback", NULL}; /* in the order of enum train_on_nan */
    weir_status status = weir_name_find("answer", o->on_nan, names, &run->on_nan);
    if (!status && run->on_nan == TRAIN_NAN_ROLLBACK && !o->checkpoint_dir)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "--on-nan rollback goes back to a checkpoint: give --checkpoint-dir");
    return status;
}

static void log_drop(enum weir_log_level level, const char *message, void *context)
{
    (void)level, (void)message, (void)context;
}

/* Every process reads the files; the first one says what is odd about them. */
static weir_status model_open(const struct train_options *o, struct train_run *run)
{
    if (!run->leads)
        weir_log_set(log_drop, NULL);
    weir_status status = weir_model_open(o->model, &run->arena, &run->model);
    weir_log_set(NULL, NULL);
    return status;
}

static weir_status choices_read(const struct train_options *o, struct train_run *run)
{
    if (o->evaluates && !o->init_from)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--init-from is missing: a folder with config.json and weights");
    if (!o->model)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--model is missing: --model list shows the models");
    if (o->evaluates && !o->val_data)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--data is missing: files of text or tokens, or a folder of IDX files");
    if (!o->data && o->steps && !o->print_memory && !o->print_program)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--data is missing: files of text or tokens, or for image models a folder of IDX files");
    weir_status status = model_open(o, run);
    if (!status)
        status = optimizer_read(o, run);
    if (!status)
        status = rates_read(o, run);
    if (!status)
        status = on_nan_read(o, run);
    if (!status)
        status = train_dry_check(o);
    if (!status)
        status = train_checkpoint_check(o, run);
    return status ? status : compute_dtype_read(o->dtype, !strncmp(o->device, "cpu", 3), &run->dtype);
}

/* Samples of either source have the same form. */
static const weir_data *any_data(const struct train_run *run)
{
    return run->train.data ? run->train.data : run->validation.data;
}

static weir_status model_build(const struct train_options *o, struct train_run *run)
{
    struct weir_model_params params = {
        .microbatch_size = o->microbatch_size, .seq_len = o->seq_len, .dropout = o->dropout};
    if (run->model->data == WEIR_DATA_IMAGES) {
        const weir_data *data = any_data(run);
        if (!data)
            return WEIR_FAIL(WEIR_ERR_USAGE, "--data is missing: the size of the images decides the model's");
        params.n_inputs = weir_shape_elements(&weir_data_info(data)->input);
        params.n_classes = weir_data_info(data)->n_classes;
    }
    return weir_model_build(run->model, &params, &run->arena, &run->graph);
}

/* A run that does not fit the cap is shown too. */
static weir_status memory_look(const struct train_run *run, const struct weir_engine_config *config)
{
    struct weir_arena arena = {0};
    struct weir_memory_report report = {.ranks = NULL};
    weir_status status = weir_engine_memory(config, &arena, &report), shown = WEIR_OK;
    if (report.ranks && run->leads && !run->options->json)
        train_layout_print(run, stdout);
    if (report.ranks && run->leads)
        shown = memory_show(&report, run->options->json, stdout);
    weir_arena_release(&arena);
    return status ? status : shown;
}

/* What was asked for, once it is whole: a run that cannot be prints its message alone. */
static weir_status preview_print(const struct train_run *run, const struct weir_engine_config *config)
{
    const struct train_options *o = run->options;
    bool full = o->print_memory && *o->print_memory;
    struct weir_text_stream text;
    weir_status shown = o->print_memory && !full ? memory_look(run, config) : WEIR_OK;
    if (shown || (!full && !o->print_program))
        return shown;
    weir_status status = weir_text_stream_open(&text);
    if (status)
        return status;
    status = weir_engine_preview(config, full ? weir_text_to_file : NULL, o->print_program ? weir_text_to_file : NULL, text.out);
    if (!status && full && run->leads) {
        printf("# ");
        train_layout_print(run, stdout);
    }
    weir_status told = weir_text_stream_close(&text, !status && run->leads ? weir_text_to_file : NULL, stdout);
    return status ? status : told;
}

struct weir_engine_config train_optimizer_config(const struct train_run *run)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    const struct train_options *o = run->options;
    config.optimizer = run->optimizer;
    config.weight_decay = o->weight_decay >= 0 ? o->weight_decay : run->optimizer == WEIR_OPTIMIZER_ADAMW ? 0.1 : 0;
    config.grad_clip = o->grad_clip;
    config.beta1 = options_given(&o->given, "adam-beta1") ? o->beta1 : config.beta1;
    config.beta2 = options_given(&o->given, "adam-beta2") ? o->beta2 : config.beta2;
    config.eps = options_given(&o->given, "adam-eps") ? o->eps : config.eps;
    config.seed = (uint64_t)o->seed;
    return config;
}

static bool is_printed(const struct train_options *o)
{
    return o->print_memory || o->print_program;
}

static weir_status where_read(const struct train_options *o, struct weir_engine_config *config)
{
    config->device = o->device;
    config->timeout = o->timeout;
    config->transport = o->transport;
    return o->transport ? WEIR_OK : weir_engine_config_launched(config);
}

/* Before files are read, which may take one process longer than the others.  `weir launch` itself sees who does not come up. */
static weir_status connect_early(const struct train_options *o, const struct train_run *run)
{
    struct weir_engine_config config;
    if (is_printed(o) || launched_supervised())
        return WEIR_OK;
    weir_engine_config_init(&config, sizeof config);
    config.dtype = run->dtype;
    weir_status status = where_read(o, &config);
    return status ? status : weir_connect(&config);
}

/* Open the engine; with --print-... only compile and print, which needs no memory and also shows what does not fit. */
static weir_status engine_open(const struct train_options *o, struct train_run *run)
{
    struct weir_engine_config config = train_optimizer_config(run);
    config.graph = run->graph;
    config.schedule = &run->schedule;
    config.dtype = run->dtype;
    config.placement = o->placement;
    config.threads_per_rank = (int)o->threads;
    config.device_memory = o->device_memory;
    config.recompute = o->recompute;
    config.pack = o->pack;
    config.first_layer = run->cut.first_layer;
    config.evaluates = run->validation.data;
    config.snapshots = o->checkpoint_dir && !o->checkpoint_sync;
    config.replicas = (int)o->replicas;
    config.zero = (int)o->zero;
    config.bucket_bytes = o->bucket_bytes;
    config.profiles = o->profile;
    config.told_out = &run->is_told;
    weir_status status = where_read(o, &config);
    if (status)
        return status;
    if (is_printed(o))
        return preview_print(run, &config);
    int n_processes;
    status = weir_engine_open(&config, &run->engine);
    run->connected = !status;
    if (!status)
        run->leads = weir_engine_process(run->engine, &n_processes) == 0;
    return status;
}

/* Weights in, and whether they can be written at the end. */
static weir_status weights_prepare(const struct train_options *o, struct train_run *run)
{
    struct weir_export export;
    weir_status status = train_export_read(run, &export);
    if (!status && o->export && run->leads)
        status = weir_export_check(run->graph, &export, &run->export_made);
    if (!status && o->checkpoint_dir)
        status = train_checkpoint_open(run);
    return status || !o->init_from || run->resumed ? status : weir_engine_load_weights(run->engine, o->init_from);
}

static weir_status buffers_make(struct train_run *run)
{
    if (!any_data(run)) /* nothing is fed */
        return WEIR_OK;
    const struct weir_data_info *info = weir_data_info(any_data(run));
    size_t batch = (size_t)run->graph->microbatch_size;
    run->input_bytes = batch * weir_shape_bytes(&info->input);
    run->target_bytes = batch * weir_shape_bytes(&info->target);
    weir_status status = weir_arena_alloc(&run->arena, run->input_bytes, 1, &run->inputs);
    if (!status)
        status = weir_arena_alloc(&run->arena, run->target_bytes, 1, &run->targets);
    run->n_events = weir_engine_events(run->engine, NULL, 0);
    if (!status)
        status = weir_arena_alloc(&run->arena, run->n_events, sizeof *run->events, &run->events);
    run->waits_room = run->n_events + (size_t)run->n_ranks;
    if (!status)
        status = weir_arena_alloc(&run->arena, run->waits_room, sizeof *run->waits, &run->waits);
    return status ? status : weir_arena_alloc(&run->arena, (size_t)run->n_ranks, sizeof *run->peaks, &run->peaks);
}

/* What `weir explain` needs to hold the trace against the simulator. */
static weir_status trace_about(struct train_run *run)
{
    const char *schedule;
    weir_status status = weir_schedule_csv_print(&run->schedule, &run->arena, &schedule);
    if (status)
        return status;
    json_t *about = json_object();
    json_object_set_new(about, "model", weir_json_utf8(run->model->name));
    json_object_set_new(about, "ranks", json_integer(run->schedule.n_ranks));
    json_object_set_new(about, "replicas", json_integer(run->options->replicas));
    json_object_set_new(about, "schedule", weir_json_utf8(schedule));
    struct weir_text text = {0};
    weir_json_append(&text, about, 17);
    status = text.status ? text.status : weir_trace_about(run->trace, text.data);
    weir_text_release(&text);
    return status;
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
    if (!status && run->leads)
        status = weir_trace_open(o->trace, trace_rows, n_ranks, most, &run->trace);
    return status || !run->leads ? status : trace_about(run);
}

/* Processes that run alone, each with the same command line, would write the same files. */
static weir_status alone_check(const struct train_options *o)
{
    const char *output = o->export ? o->export : o->checkpoint_dir ? o->checkpoint_dir : o->trace ? o->trace : o->save_costs; /* metrics are locked by whoever comes first */
    if (!output || !o->transport || strcmp(o->transport, "local") != 0 || !launched_several())
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_USAGE, "a launcher started several processes and --transport local runs each of them alone: all would "
                                     "write '%s'; start one process, or leave --transport out", output);
}

/* What is read and what is written, before anything is.  What is there already is looked at where it is replaced. */
static weir_status paths_register(const struct train_options *o, bool leads)
{
    struct paths paths = {0};
    paths_read(&paths, "--config", o->config);
    paths_read(&paths, "--plan", o->plan);
    paths_read(&paths, "--costs", o->costs);
    paths_read(&paths, "--schedule", weir_pipeline_is_file(o->schedule) ? o->schedule : NULL);
    paths_read_data(&paths, "--data", o->data);
    paths_read_data(&paths, o->evaluates ? "--data" : "--val-data", o->val_data);
    paths_read_model_name(&paths, "--model", o->model);
    paths_read_model(&paths, "--init-from", o->init_from);
    paths_read_tokenizer(&paths, "--tokenizer", o->tokenizer);
    paths_write_model(&paths, "--export", o->export);
    paths_write_metrics(&paths, "--metrics", o->metrics);
    paths_write(&paths, "--trace", o->trace);
    paths_write(&paths, "--save-costs", o->save_costs);
    paths_write(&paths, "--checkpoint-dir", o->checkpoint_dir);
    weir_status status = paths_check(&paths, o->force);
    if (!status)
        status = alone_check(o);
    if (!status && leads && !o->force)
        status = paths_check_replaced(&paths);
    paths_release(&paths);
    return status;
}

static weir_status all_open(const struct train_options *o, struct train_run *run)
{
    weir_status status = choices_read(o, run);
    if (!status)
        status = paths_register(o, run->leads);
    if (!status)
        status = connect_early(o, run);
    if (!status)
        train_encoder_init(run);
    if (!status && o->data)
        status = train_source_open(run, o->data, (uint64_t)o->seed, &run->train);
    if (!status)
        status = train_validation_open(o, run);
    if (!status)
        status = model_build(o, run);
    if (!status)
        status = train_plan_check(run);
    if (!status)
        status = train_schedule_build(o, run);
    if (!status)
        status = train_validation_settle(o, run);
    if (!status)
        status = engine_open(o, run);
    if (status || !run->engine)
        return status;
    status = train_data_check(run);
    if (!status)
        status = train_flight_open(run);
    if (!status)
        status = weights_prepare(o, run);
    if (!status)
        status = buffers_make(run);
    if (!status && o->metrics && run->leads)
        status = weir_metrics_open(o->metrics, run->n_ranks, &run->metrics);
    if (!status && run->metrics && run->resumed)
        status = weir_metrics_continue(run->metrics, run->first_step);
    if (!status && run->metrics)
        status = train_header_write(run);
    if (!status && o->trace)
        status = trace_open(o, run);
    if (!status)
        status = train_stragglers_open(run);
    if (!status && o->profile)
        status = train_profile_open(run);
    if (!status && o->save_costs)
        status = train_costs_open(run);
    return status;
}

weir_status train_open(const struct train_options *options, struct train_run *run)
{
    *run = (struct train_run){.options = options, .command_ns = weir_clock_ns(), .checkpoints = {.saved_step = -1, .best_loss = NAN}, .first_loss = NAN, .last_loss = NAN, .val_loss = NAN,
                              .leads = train_leads(options)};
    weir_status status = all_open(options, run);
    if (status) {
        char message[WEIR_ERROR_MAX];
        weir_engine_fail(run->engine, status);
        weir_error_take(message);
        train_close(run);
        weir_disconnect();
        weir_error_put(message);
    }
    return status;
}

void train_close(struct train_run *run)
{
    weir_stragglers_close(run->stragglers);
    weir_trace_close(run->trace);
    weir_metrics_close(run->metrics);
    weir_engine_close(run->engine);
    weir_data_close(run->train.data);
    weir_data_close(run->validation.data);
    weir_arena_release(&run->arena);
    if (run->export_made)
        rmdir(run->options->export); /* stays when something is in it */
}
