/* weir train, the first line of the metrics: what the run is. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/json.h"
#include "cmd/train.h"
#include "weir_libraries.h"

static json_t *name_json(const char *name)
{
    return name ? weir_json_utf8(name) : json_null();
}

static json_t *began_json(void)
{
    char text[32];
    time_t now = time(NULL);
    struct tm parts;
    bool good = gmtime_r(&now, &parts) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return good ? json_string(text) : json_null();
}

static void layout_add(const struct train_run *run, json_t *root)
{
    const struct train_options *o = run->options;
    const struct weir_schedule *s = &run->schedule;
    json_object_set_new(root, "schedule", name_json(run->schedule_name));
    json_object_set_new(root, "stages", json_integer(s->n_stages));
    json_object_set_new(root, "ranks", json_integer(s->n_ranks));
    json_object_set_new(root, "replicas", json_integer(o->replicas));
    json_object_set_new(root, "zero", json_integer(o->zero));
    json_object_set_new(root, "microbatches", json_integer(s->n_microbatches / weir_schedule_slices(s)));
    if (s->n_slices > 1)
        json_object_set_new(root, "slices", json_integer(s->n_slices));
    json_object_set_new(root, "microbatch_size", json_integer(run->graph->microbatch_size));
    json_object_set_new(root, "samples_per_step", json_integer(train_samples(run)));
    json_object_set_new(root, "tokens_per_step", json_integer(train_targets(run)));
}

static void choices_add(const struct train_run *run, json_t *root)
{
    static const char *const optimizers[] = {"sgd", "adamw"}, *const dtypes[] = {"f32", "tf32", "bf16"};
    static const char *const rates[] = {"constant", "cosine"};
    const struct train_options *o = run->options;
    json_object_set_new(root, "steps", json_integer(o->steps));
    json_object_set_new(root, "optimizer", json_string(optimizers[run->optimizer]));
    json_object_set_new(root, "lr", json_real(train_lr(run)));
    json_object_set_new(root, "lr_schedule", json_string(rates[run->lr_schedule]));
    json_object_set_new(root, "grad_clip", json_real(o->grad_clip));
    json_object_set_new(root, "dropout", json_real(o->dropout));
    json_object_set_new(root, "seed", json_integer(o->seed));
    json_object_set_new(root, "device", name_json(o->device));
    json_object_set_new(root, "dtype", json_string(dtypes[run->dtype]));
    json_object_set_new(root, "threads_per_rank", json_integer(o->threads));
}

/* What was given, but for names of outputs and what changes nothing of the run. */
static json_t *given_json(const struct train_options *o)
{
    static const char *const left_out[] = {
        "metrics", "peak-flops", "trace", "export", "export-dtype", "export-shard-size", "checkpoint-dir", "checkpoint-every", "checkpoint-sync",
        "keep", "keep-best", "resume", "new-data", "stop-after", "grace", "force", "profile", "costs", "save-costs", "print-memory", "print-program", "config",
        "json", "quiet", NULL};
    return options_json(&o->given, o, left_out);
}

static json_t *header_make(const struct train_run *run)
{
    const struct train_options *o = run->options;
    json_t *root = json_pack("{s:s, s:o}", "weir", WEIR_VERSION, "began", began_json());
    if (!root)
        return NULL;
    json_object_set_new(root, "model", name_json(run->model->name));
    json_object_set_new(root, "parameters", json_integer((json_int_t)train_parameters(run)));
    json_object_set_new(root, "data", name_json(o->data));
    json_object_set_new(root, "val_data", name_json(run->validation.text));
    json_object_set_new(root, "tokenizer", run->encoder.begun && run->encoder.codec.name ? name_json(run->encoder.codec.name)
                                           : run->encoder.begun ? json_string("bytes") : json_null());
    json_object_set_new(root, "init_from", name_json(o->init_from));
    layout_add(run, root);
    choices_add(run, root);
    json_object_set_new(root, "options", given_json(o));
    return root;
}

/* `keys` NULL: all but what differs between two runs of one command. */
static bool is_same_run(json_t *was, json_t *is, const char *const *keys)
{
    for (; keys && *keys; keys++)
        if (!json_equal(json_object_get(was, *keys), json_object_get(is, *keys)))
            return false;
    json_t *a = keys ? NULL : json_copy(was), *b = keys ? NULL : json_copy(is);
    for (int i = 0; i < 2 && a && b; i++) {
        json_object_del(a, i ? "began" : "weir");
        json_object_del(b, i ? "began" : "weir");
    }
    bool same = keys || json_equal(a, b);
    json_decref(a);
    json_decref(b);
    return same;
}

static bool is_empty(const char *path)
{
    struct stat info;
    return stat(path, &info) != 0 || !S_ISREG(info.st_mode) || !info.st_size;
}

/* The file has metrics of another run than `header`.  A run that goes on may have another layout, also where its first attempt
 * ended before there was a checkpoint. */
static weir_status other_run_check(const struct train_run *run, json_t *header)
{
    static const char *const lasting[] = {"model", "parameters", "optimizer", "seed", NULL};
    const char *text, *path = run->options->metrics;
    json_t *was = NULL;
    struct weir_arena arena = {0};
    if (run->options->force || is_empty(path))
        return WEIR_OK;
    weir_status status = weir_metrics_run_read(path, &arena, &text);
    if (!status && text)
        status = weir_json_parse(text, strlen(text), path, &was);
    bool goes_on = run->first_step > 0 || run->options->resume;
    bool same = !status && (was ? is_same_run(was, header, goes_on ? lasting : NULL) : run->first_step > 0);
    if (!status && !same)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has the metrics of another run: give --metrics another name, or --force to replace "
                           "them", path);
    json_decref(was);
    weir_arena_release(&arena);
    return status;
}

weir_status train_header_write(struct train_run *run)
{
    json_t *header = header_make(run);
    char *text = header ? json_dumps(header, 0) : NULL;
    weir_status status = text ? other_run_check(run, header) : WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for what the run is");
    if (!status)
        status = weir_metrics_run(run->metrics, text);
    free(text);
    json_decref(header);
    return status;
}
