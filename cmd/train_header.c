/* weir train, the first line of the metrics: what the run is. */
#include <jansson.h>
#include <stdlib.h>
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
    json_object_set_new(root, "microbatches", json_integer(s->n_microbatches));
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

weir_status train_header_write(struct train_run *run)
{
    const struct train_options *o = run->options;
    json_t *root = json_pack("{s:s, s:o}", "weir", WEIR_VERSION, "began", began_json());
    if (!root)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for what the run is");
    json_object_set_new(root, "model", name_json(run->model->name));
    json_object_set_new(root, "parameters", json_integer((json_int_t)train_parameters(run)));
    json_object_set_new(root, "data", name_json(o->data));
    json_object_set_new(root, "val_data", name_json(run->validation.text));
    json_object_set_new(root, "tokenizer", run->encoder.begun && run->encoder.codec.name ? name_json(run->encoder.codec.name)
                                           : run->encoder.begun ? json_string("bytes") : json_null());
    json_object_set_new(root, "init_from", name_json(o->init_from));
    layout_add(run, root);
    choices_add(run, root);
    char *text = json_dumps(root, 0);
    json_decref(root);
    weir_status status = text ? weir_metrics_run(run->metrics, text)
                              : WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for what the run is");
    free(text);
    return status;
}
