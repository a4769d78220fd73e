/* weir train, the data: opening what --data and --val-data name, feeding it. */
#include "cmd/train.h"

weir_status train_source_open(struct train_run *run, const char *text, uint64_t seed, struct train_source *source)
{
    const struct train_options *o = run->options;
    int64_t seq_len = o->seq_len ? o->seq_len : run->model->seq_len;
    if (run->model->data == WEIR_DATA_IMAGES)
        return weir_data_open_idx(text, seed, &source->data);
    weir_status status = weir_data_paths(text, &run->arena, &source->paths, &source->n_paths);
    return status ? status
                  : weir_data_open_tokens(source->paths, source->n_paths, seq_len, run->model->vocabulary, seed,
                                          &source->data);
}

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
