/* weir train, checkpoints: when one is written, and how a run goes on from one.
 *
 * A checkpoint of weir train holds, as its configuration, three objects and two numbers:
 *
 *     options   what was given, but for paths that are written and what concerns one run alone: --resume takes from them what
 *               its own command line does not give
 *     run       what must be the same in the run that goes on: model, optimizer, seed, data
 *     rate      the learning rates that the run had, defaults resolved: for people
 *     samples_before   samples of data that --new-data replaced
 *     best_val_loss    the smallest so far of validations after which a checkpoint was written */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/printable.h"
#include "base/text.h"
#include "cmd/paths.h"
#include "cmd/train.h"

static const double every_seconds = 600; /* when nothing is said */

/* ---- options ------------------------------------------------------------------------------------------------------- */

static weir_status every_read(const struct train_options *o, struct train_run *run)
{
    const char *text = o->checkpoint_every;
    struct train_checkpoints *c = &run->checkpoints;
    double seconds = every_seconds;
    if (text && weir_parse_int64(text, &c->every_steps) && c->every_steps > 0)
        return WEIR_OK;
    c->every_steps = 0;
    if (text && !options_duration(text, &seconds))
        return WEIR_FAIL(WEIR_ERR_USAGE, "--checkpoint-every takes a number of steps or a time such as 90s, 30m or 2h, not '%s'",
                         text);
    c->every_ns = (int64_t)(seconds * 1e9);
    return WEIR_OK;
}

weir_status train_checkpoint_check(const struct train_options *o, struct train_run *run)
{
    static const char *const of_dir[] = {"checkpoint-every", "keep", "keep-best", "checkpoint-sync", "resume", NULL};
    for (int i = 0; of_dir[i] && !o->checkpoint_dir; i++)
        if (options_given(&o->given, of_dir[i]))
            return WEIR_FAIL(WEIR_ERR_USAGE, "--%s is about checkpoints: give --checkpoint-dir too", of_dir[i]);
    if (o->checkpoint_dir && !*o->checkpoint_dir)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--checkpoint-dir takes the name of a folder, not ''");
    if (o->checkpoint_dir && !o->steps)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--steps 0 makes no checkpoints: leave --checkpoint-dir out");
    if (o->new_data && !o->resume)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--new-data is for a run that goes on: give --resume too");
    return o->checkpoint_dir ? every_read(o, run) : WEIR_OK;
}

/* Options that a checkpoint does not keep, and that are not taken from one: a file that comes from elsewhere must not say what is
 * written where. */
static const char *const not_kept[] = {
    "checkpoint-dir", "checkpoint-every", "keep",  "keep-best", "checkpoint-sync", "resume", "new-data", "stop-after",
    "grace",          "metrics",          "trace", "export",    "init-from",       "force",  "profile",  "print-memory",
    "print-program",  "config",           "json",  "quiet",     "transport",       "placement", "plan", "costs",
    "export-dtype",   "export-shard-size", "save-costs",   "peak-flops", NULL};

/* Of what was stored: what makes no sense beside what the command line says.  A layout is taken whole or not at all. */
static void stored_thin(const struct options *given, json_t *options)
{
    static const struct {
        const char *given, *left[5];
    } rows[] = {{"stages", {"ranks", "chunks", "schedule", "first-layers", "layout"}},
                {"ranks", {"stages", "chunks", "schedule", "first-layers", "layout"}},
                {"first-layers", {"stages", "ranks", "chunks", "schedule", "layout"}},
                {"layout", {"stages", "ranks", "chunks", "schedule", "first-layers"}},
                {"chunks", {"stages", "ranks", "first-layers", "layout"}},
                {"schedule", {"dialect", "chunks", "slices"}},
                {"slices", {"schedule", "dialect", "chunks"}},
                {"lr-schedule", {"min-lr", "warmup"}},       {"lr", {"min-lr"}}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int k = 0; options_given(given, rows[i].given) && k < 5 && rows[i].left[k]; k++)
            json_object_del(options, rows[i].left[k]);
}

/* Models are compared by their configurations, which are too long to be shown. */
static weir_status model_differs(const struct weir_checkpoint_info *info, const char *model)
{
    if (strcmp(info->model, model) != 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "checkpoint '%s' is of model '%s', not of '%s': give the same --model, or another "
                         "--checkpoint-dir", info->folder, info->model, model);
    return WEIR_FAIL(WEIR_ERR_USAGE, "checkpoint '%s' is of another model that is called '%s' too: its config.json has changed; give the "
                     "same --model, or another --checkpoint-dir", info->folder, info->model);
}

/* Two built-in models: told before the options of the one are taken for the other, and before anything is built. */
static weir_status built_in_check(const struct train_options *o, const struct weir_checkpoint_info *info)
{
    if (!options_given(&o->given, "model") || !strcmp(o->model, info->model) || !model_is_built_in(o->model) ||
        !model_is_built_in(info->model))
        return WEIR_OK;
    return model_differs(info, o->model);
}

/* The newest that has a manifest; whether all of it is whole is seen when the engine is open. */
weir_status train_checkpoint_fill(struct train_options *o)
{
    struct weir_arena arena = {0};
    struct weir_checkpoint_entry *entries = NULL;
    weir_checkpoint *checkpoint = NULL;
    json_t *root = NULL;
    int n = 0;
    if (!o->resume || !o->checkpoint_dir)
        return WEIR_OK;
    weir_status status = weir_checkpoint_list(o->checkpoint_dir, &arena, &entries, &n);
    while (n > 0 && entries[n - 1].flaw)
        n--;
    if (!status && n)
        status = weir_checkpoint_open(entries[n - 1].folder, &checkpoint);
    const char *config = checkpoint ? weir_checkpoint_info(checkpoint)->config : NULL;
    if (!status && checkpoint)
        status = built_in_check(o, weir_checkpoint_info(checkpoint));
    if (!status && config)
        status = weir_json_parse(config, strlen(config), entries[n - 1].folder, &root);
    json_t *options = json_object_get(root, "options");
    if (!status && json_is_object(options)) {
        stored_thin(&o->given, options);
        status = options_fill(&o->given, json_incref(options), entries[n - 1].folder, not_kept, o);
    }
    json_decref(root);
    weir_checkpoint_close(checkpoint);
    weir_arena_release(&arena);
    return status;
}

/* ---- what must be the same ------------------------------------------------------------------------------------------ */

static void data_describe(const struct train_run *run, json_t **root)
{
    const struct weir_data_info *info = weir_data_info(run->train.data);
    weir_json_set(root, "data_samples", json_integer(info->n_samples));
    weir_json_set(root, "data_tokens", json_integer(info->n_tokens));
    weir_json_set(root, "data_xxh3", json_sprintf("%016" PRIx64, run->checkpoints.data_hash));
}

/* Values that change what a run computes. */
static json_t *run_describe(const struct train_run *run)
{
    const struct train_options *o = run->options;
    const struct weir_engine_config config = train_optimizer_config(run);
    bool adamw = run->optimizer == WEIR_OPTIMIZER_ADAMW;
    const char *hf = run->graph->hf_config;
    json_t *root = json_object();
    weir_json_set(&root, "seq_len", json_integer(o->seq_len ? o->seq_len : run->model->seq_len));
    weir_json_set(&root, "dropout", json_real(o->dropout));
    weir_json_set(&root, "model", hf ? json_string(hf) : weir_json_utf8(run->graph->name));
    weir_json_set(&root, "optimizer", json_string(adamw ? "adamw" : "sgd"));
    weir_json_set(&root, "weight_decay", json_real(config.weight_decay));
    weir_json_set(&root, "grad_clip", json_real(config.grad_clip));
    weir_json_set(&root, "adam_beta1", json_real(config.beta1));
    weir_json_set(&root, "adam_beta2", json_real(config.beta2));
    weir_json_set(&root, "adam_eps", json_real(config.eps));
    weir_json_set(&root, "seed", json_integer(o->seed));
    data_describe(run, &root);
    return root;
}

static json_t *rate_describe(const struct train_run *run)
{
    const struct train_options *o = run->options;
    bool cosine = run->lr_schedule == WEIR_LR_COSINE;
    double peak = train_lr(run), end = !cosine ? peak : o->min_lr >= 0 ? o->min_lr : peak / 10;
    return json_pack("{s:s, s:f, s:f, s:I, s:I}", "schedule", cosine ? "cosine" : "constant", "lr", peak, "min_lr", end, "warmup",
                     (json_int_t)train_warmup(run), "steps", (json_int_t)o->steps);
}

/* The text is in the arena. */
static weir_status config_make(const struct train_run *run, struct weir_arena *arena, const char **config_out)
{
    json_t *options = options_json(&run->options->given, run->options, not_kept);
    const struct codec_encoder *texts = &run->encoder;
    if (texts->begun) /* also where it came from a folder that the run that goes on does not name */
        weir_json_set(&options, "tokenizer", weir_json_utf8(texts->codec.name ? texts->codec.name : "bytes"));
    double best = run->checkpoints.best_loss;
    json_t *root = json_pack("{s:o, s:o, s:o, s:I, s:o}", "options", options, "run", run_describe(run), "rate", rate_describe(run),
                             "samples_before", (json_int_t)run->samples_before, "best_val_loss",
                             isnan(best) ? json_null() : json_real(best));
    return weir_json_print(root, 0, arena, config_out);
}

static weir_status differs(const struct train_run *run, const struct weir_checkpoint_info *info, const char *key, const json_t *then,
                           const json_t *now)
{
    const char *folder = info->folder;
    char option[32], was[64] = "another", is[64] = "";
    if (!strcmp(key, "model"))
        return model_differs(info, run->graph->name);
    char *a = json_dumps(then, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15)), *b = json_dumps(now, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    if (a && b && strlen(a) < sizeof was - 8 && strlen(b) < sizeof is - 8) {
        snprintf(was, sizeof was, "%s", a);
        snprintf(is, sizeof is, ", now %s", b);
    }
    free(a);
    free(b);
    snprintf(option, sizeof option, "%s", key);
    for (char *at = option; *at; at++)
        *at = *at == '_' ? '-' : *at;
    if (!strncmp(key, "data_", 5))
        return WEIR_FAIL(WEIR_ERR_USAGE, "checkpoint '%s' was trained on other data (%s %s%s): give the same --data, or --new-data to "
                         "go on with these from their first sample", folder, key + 5, was, is);
    return WEIR_FAIL(WEIR_ERR_USAGE, "checkpoint '%s' was trained with another --%s (%s%s): give the same, or another "
                     "--checkpoint-dir", folder, option, was, is);
}

/* Of another name, and not the same one elsewhere. */
static bool is_other_model(const struct train_run *run, const struct weir_checkpoint_info *info, const json_t *then, const json_t *now)
{
    const json_t *theirs = json_object_get(json_object_get(then, "run"), "model");
    return theirs && !json_equal(theirs, json_object_get(json_object_get(now, "run"), "model")) &&
           strcmp(info->model, run->graph->name) != 0;
}

/* A key that one of the two does not have was not known to the version that wrote it. */
static weir_status run_compare(const struct train_run *run, const struct weir_checkpoint_info *info)
{
    json_t *then = NULL, *now = NULL;
    const char *key;
    json_t *value;
    weir_status status = info->config ? weir_json_parse(info->config, strlen(info->config), info->folder, &then) : WEIR_OK;
    if (!status)
        status = weir_json_parse(run->checkpoints.config, strlen(run->checkpoints.config), "options", &now);
    if (!status && is_other_model(run, info, then, now))
        status = model_differs(info, run->graph->name);
    json_object_foreach(json_object_get(now, "run"), key, value) {
        const json_t *other = json_object_get(json_object_get(then, "run"), key);
        bool is_free = !strncmp(key, "data_", 5) && run->options->new_data;
        if (!status && other && !is_free && !json_equal(value, other))
            status = differs(run, info, key, other, value);
    }
    json_decref(then);
    json_decref(now);
    return status;
}

/* Training goes on without it. */
static void failure_say(const struct train_run *run)
{
    char shown[4 * WEIR_ERROR_MAX];
    if (run->leads)
        fprintf(stderr, "weir train: a checkpoint could not be written, training goes on: %s\n",
                weir_printable(weir_last_error(), shown, sizeof shown));
    weir_error_clear();
}

/* All processes have it, and the engine goes on. */
static bool is_of_files(weir_status status)
{
    return status == WEIR_ERR_IO || status == WEIR_ERR_INVALID || status == WEIR_ERR_NOMEM || status == WEIR_ERR_UNSUPPORTED;
}

/* A failure that is the engine's ends the run, one of files does not. */
static weir_status outcome_take(struct train_run *run, weir_status status)
{
    if (!is_of_files(status))
        return status;
    failure_say(run);
    run->checkpoints.saved_step = -1;
    run->checkpoints.best_loss = NAN;
    return WEIR_OK;
}

/* ---- going on ------------------------------------------------------------------------------------------------------- */

static void passed_over(void *context, const char *message)
{
    char shown[4 * WEIR_ERROR_MAX];
    (void)context;
    fprintf(stderr, "weir train: passed over: %s\n", weir_printable(message, shown, sizeof shown));
}

static weir_status numbers_take(struct train_run *run, const struct weir_checkpoint_info *info)
{
    json_t *root = NULL;
    if (!info->config) /* made of weights alone */
        return WEIR_OK;
    weir_status status = weir_json_parse(info->config, strlen(info->config), info->folder, &root);
    const json_t *best = json_object_get(root, "best_val_loss");
    run->samples_before = json_integer_value(json_object_get(root, "samples_before"));
    run->checkpoints.best_loss = json_is_number(best) ? json_number_value(best) : NAN;
    json_decref(root);
    return status;
}

static weir_status state_take(struct train_run *run, weir_checkpoint *checkpoint)
{
    const struct train_options *o = run->options;
    const struct weir_checkpoint_info *info = weir_checkpoint_info(checkpoint);
    char shown[WEIR_ERROR_MAX];
    weir_status status = run_compare(run, info);
    if (!status && info->step > o->steps)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "checkpoint '%s' has %" PRId64 " step%s, --steps %" PRId64 " is the total: give more",
                           info->folder, info->step, plural(info->step), o->steps);
    if (!status)
        status = weir_engine_load(run->engine, checkpoint);
    if (!status)
        status = numbers_take(run, info);
    if (status)
        return status;
    run->first_step = run->n_done = info->step;
    run->resumed = true;
    run->sample = o->new_data ? 0 : info->sample;
    run->samples_before += o->new_data ? info->sample : 0;
    run->seconds_before = info->seconds;
    run->checkpoints.saved_step = info->step;
    if (run->leads && !o->quiet)
        fprintf(stderr, "weir train: goes on from '%s'\n", weir_printable(info->folder, shown, sizeof shown));
    return WEIR_OK;
}

static weir_status resume(struct train_run *run)
{
    const char *dir = run->options->checkpoint_dir;
    char shown[WEIR_ERROR_MAX];
    weir_checkpoint *checkpoint;
    weir_status status = weir_engine_newest(run->engine, dir, passed_over, NULL, &checkpoint);
    if (status)
        return status;
    if (!checkpoint) {
        if (run->leads)
            fprintf(stderr, "weir train: '%s' has no whole checkpoint: begins at step 1\n", weir_printable(dir, shown, sizeof shown));
        return WEIR_OK;
    }
    status = state_take(run, checkpoint);
    weir_checkpoint_close(checkpoint);
    return status;
}

weir_status train_checkpoint_rollback(struct train_run *run)
{
    char message[WEIR_ERROR_MAX];
    weir_checkpoint *checkpoint;
    weir_error_take(message);
    weir_status status = outcome_take(run, weir_engine_save_wait(run->engine));
    if (!status)
        status = weir_engine_newest(run->engine, run->options->checkpoint_dir, passed_over, NULL, &checkpoint);
    if (status)
        return status;
    if (!checkpoint) {
        weir_error_put(message);
        return weir_error_prefix(WEIR_ERR_NUMERIC, "no checkpoint to go back to: ");
    }
    status = weir_engine_load(run->engine, checkpoint);
    run->n_done = weir_checkpoint_info(checkpoint)->step;
    run->checkpoints.saved_step = run->n_done;
    run->checkpoints.busy = false;
    weir_checkpoint_close(checkpoint);
    return status;
}

/* What is there belongs to another run; torn ones do not count. */
static weir_status empty_check(const struct train_run *run)
{
    const char *dir = run->options->checkpoint_dir;
    struct weir_arena arena = {0};
    struct weir_checkpoint_entry *entries = NULL;
    int n = 0;
    weir_status status = run->leads ? weir_checkpoint_list(dir, &arena, &entries, &n) : WEIR_OK;
    for (int i = n - 1; i >= 0 && !status; i--)
        if (weir_checkpoint_is(entries[i].folder))
            status = WEIR_FAIL(WEIR_ERR_USAGE, "'%s' holds checkpoints, the newest after %" PRId64 " step%s: go on from there with "
                               "--resume, or give another --checkpoint-dir", dir, entries[i].step, plural(entries[i].step));
    weir_arena_release(&arena);
    return status;
}

weir_status train_checkpoint_open(struct train_run *run)
{
    const struct train_options *o = run->options;
    weir_status status = weir_engine_save_check(run->engine, o->checkpoint_dir);
    if (!status)
        status = weir_data_hash(run->train.data, &run->checkpoints.data_hash);
    if (!status)
        status = config_make(run, &run->arena, &run->checkpoints.config);
    if (!status)
        status = o->resume ? resume(run) : empty_check(run);
    return status || !run->resumed ? status : config_make(run, &run->arena, &run->checkpoints.config);
}

/* ---- saving --------------------------------------------------------------------------------------------------------- */

static bool is_better(const struct train_checkpoints *c, const double *val_loss)
{
    return val_loss && !(c->best_loss <= *val_loss);
}

static weir_status save_begin(struct train_run *run, const double *val_loss, bool background)
{
    const struct train_options *o = run->options;
    struct weir_arena arena = {0};
    const char *config = NULL;
    if (is_better(&run->checkpoints, val_loss))
        run->checkpoints.best_loss = *val_loss;
    /* Without memory for it the one of the beginning serves: then the next validation may count as the best once more.  To save is
     * collective, so that this process cannot stay away. */
    if (config_make(run, &arena, &config))
        config = run->checkpoints.config;
    struct weir_save save = {.struct_bytes = sizeof save,
                             .dir = o->checkpoint_dir,
                             .sample = run->sample,
                             .seconds = train_seconds(run),
                             .val_loss = val_loss ? *val_loss : NAN,
                             .config = config,
                             .keep = (int)o->keep,
                             .keep_best = o->keep_best,
                             .background = background && !o->checkpoint_sync};
    weir_status status = weir_engine_save(run->engine, &save);
    weir_arena_release(&arena);
    return status;
}

/* The best one is written when it is found, whatever the others' rhythm. */
static bool is_due(const struct train_run *run, const struct weir_step_report *report, const double *val_loss)
{
    const struct train_checkpoints *c = &run->checkpoints;
    if (run->options->keep_best && is_better(c, val_loss))
        return true;
    return c->every_steps ? (report->step + 1) % c->every_steps == 0 : report->end_ns - c->saved_ns >= c->every_ns;
}

weir_status train_checkpoint_step(struct train_run *run, const struct weir_step_report *report, const double *val_loss, bool last)
{
    struct train_checkpoints *c = &run->checkpoints;
    weir_status status = WEIR_OK;
    if (!run->options->checkpoint_dir)
        return WEIR_OK;
    if (!c->saved_ns)
        c->saved_ns = report->end_ns - report->step_ns;
    if (c->busy)
        status = outcome_take(run, weir_engine_save_poll(run->engine, &c->busy));
    if (status || last || !is_due(run, report, val_loss))
        return status;
    status = outcome_take(run, weir_engine_save_wait(run->engine)); /* the one before, if it is not durable yet */
    if (status)
        return status;
    status = save_begin(run, val_loss, true);
    c->busy = !status;
    c->saved_ns = report->end_ns;
    c->saved_step = run->n_done;
    return outcome_take(run, status);
}

/* The one that is being written, then the last one where the steps have gone on since. */
static weir_status last_save(struct train_run *run)
{
    struct train_checkpoints *c = &run->checkpoints;
    weir_status status = outcome_take(run, weir_engine_save_wait(run->engine));
    if (status || c->saved_step == run->n_done)
        return status;
    bool validated = !isnan(run->val_loss) && run->val_step == run->n_done;
    status = save_begin(run, validated ? &run->val_loss : NULL, false);
    if (!status && run->leads && run->stopped && !run->options->quiet)
        fprintf(stderr, "weir train: saved after %" PRId64 " step%s: the same command with --resume goes on\n", run->n_done,
                plural(run->n_done));
    return status;
}

void train_checkpoint_end(struct train_run *run, weir_status status)
{
    char message[WEIR_ERROR_MAX];
    if (!run->options->checkpoint_dir || !train_has_state(run, status))
        return;
    weir_error_take(message); /* of `status` */
    weir_status saved = last_save(run);
    train_failure_keep(&run->checkpoint, saved);
    if (saved && !is_of_files(saved))
        weir_engine_fail(run->engine, saved);
    weir_error_put(message);
}
