/* weir train, the data: opening what --data and --val-data name, feeding it. */
#include "base/json.h"
#include "base/printable.h"
#include "cmd/train.h"

void train_encoder_init(struct train_run *run)
{
    const struct train_options *o = run->options;
    const struct codec_choice choice = {o->tokenizer, o->init_from, o->model};
    codec_encoder_init(&run->encoder, &choice, run->model->vocabulary, &run->arena);
}

/* To validate on, the test set where there is one. */
static weir_status images_open(const char *folder, bool validates, uint64_t seed, weir_data **data_out)
{
    *data_out = NULL;
    weir_status status = validates ? weir_data_open_idx_test(folder, seed, data_out) : WEIR_OK;
    return status || *data_out ? status : weir_data_open_idx(folder, seed, data_out);
}

weir_status train_source_open(struct train_run *run, const char *text, uint64_t seed, struct train_source *source)
{
    const struct train_options *o = run->options;
    int64_t seq_len = o->seq_len ? o->seq_len : run->model->seq_len;
    enum weir_data_format format;
    weir_status status = weir_data_format_find(o->data_format, &format);
    source->text = text;
    if (status)
        return status;
    if (run->model->data == WEIR_DATA_IMAGES)
        return images_open(text, source == &run->validation, seed, &source->data);
    status = weir_data_paths(text, &run->arena, &source->paths, &source->n_paths);
    return status ? status
                  : weir_data_open_texts(source->paths, source->n_paths, format, seq_len, run->model->vocabulary,
                                         &run->encoder.encoder, seed, &source->data);
}

/* ---- what was taken for what ---------------------------------------------------------------------------------------- */

/* 1234567 as "1,234,567". */
static const char *count_str(int64_t n, char text[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)n), to = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            text[to++] = ',';
        text[to++] = digits[i];
    }
    text[to] = 0;
    return text;
}

static void tokens_print(const struct train_run *run, const struct weir_data_info *info, FILE *out)
{
    char count[32], shown[4096];
    fprintf(out, "%s tokens", count_str(info->n_tokens, count));
    if (info->tokenizer)
        fprintf(out, " of tokenizer %s", weir_printable(info->tokenizer, shown, sizeof shown));
    else if (info->is_text)
        fprintf(out, " as bytes%s", run->encoder.codec.chosen || info->n_classes == 256 ? "" : ", no tokenizer is with the model");
}

static void source_print(const struct train_run *run, const char *option, const struct train_source *source, FILE *out)
{
    const struct weir_data_info *info = source->data ? weir_data_info(source->data) : NULL;
    if (!info)
        return;
    char shown[4096], count[32];
    fprintf(out, "%s: %s as %s%s, ", option, weir_printable(source->text, shown, sizeof shown), info->kind,
            info->packed ? " from gzip" : "");
    if (info->n_tokens)
        tokens_print(run, info, out);
    else
        fprintf(out, "%s images of %s", count_str(info->n_samples, count), weir_printable(info->images, shown, sizeof shown));
    if (source->n_paths > 1)
        fprintf(out, " in %d files", source->n_paths);
    if (info->n_documents > 1)
        fprintf(out, " of %s documents%s", count_str(info->n_documents, count),
                info->tokenizer && info->end < 0 ? ", nothing between them: the tokenizer has no token that ends a text" : "");
    fprintf(out, "\n");
}

void train_data_print(const struct train_run *run, FILE *out)
{
    if (run->options->quiet || !run->leads)
        return;
    source_print(run, "data", &run->train, out);
    source_print(run, run->options->evaluates ? "data" : "val-data", &run->validation, out);
}

static void source_json(json_t *result, const char *name, const struct train_source *source)
{
    const struct weir_data_info *info = source->data ? weir_data_info(source->data) : NULL;
    if (!info)
        return;
    json_t *object = json_object();
    json_object_set_new(object, "path", weir_json_utf8(source->text ? source->text : ""));
    json_object_set_new(object, "kind", json_string(info->kind));
    json_object_set_new(object, "samples", json_integer(info->n_samples));
    if (info->n_tokens)
        json_object_set_new(object, "tokens", json_integer(info->n_tokens));
    if (info->tokenizer || info->is_text)
        json_object_set_new(object, "tokenizer", info->tokenizer ? weir_json_utf8(info->tokenizer) : json_string("bytes"));
    json_object_set_new(result, name, object);
}

void train_data_json(const struct train_run *run, json_t *result)
{
    source_json(result, "data", &run->train);
    source_json(result, run->options->evaluates ? "data" : "val_data", &run->validation);
}

/* ---- feeding ------------------------------------------------------------------------------------------------------- */

weir_status train_feed(struct train_run *run, const weir_data *data, int64_t first)
{
    const char *input = run->model->data == WEIR_DATA_IMAGES ? "images" : "tokens";
    int batch = (int)run->graph->microbatch_size;
    for (int mb = 0; mb < run->n_microbatches; mb++) {
        if (!weir_engine_reads(run->engine, input, mb) && !weir_engine_reads(run->engine, "targets", mb))
            continue; /* another process's */
        weir_status status = weir_data_read(data, first + (int64_t)mb * batch, batch, run->inputs, run->targets);
        if (!status)
            status = weir_engine_feed(run->engine, input, mb, run->inputs);
        if (!status)
            status = weir_engine_feed(run->engine, "targets", mb, run->targets);
        if (status)
            return status;
    }
    return WEIR_OK;
}

int64_t train_samples(const struct train_run *run)
{
    return run->graph->microbatch_size * run->n_microbatches;
}
