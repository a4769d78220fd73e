/* weir train, the data: opening what --data names, feeding it, keeping outputs off it. */
#include <sys/stat.h>

#include "cmd/train.h"

weir_status train_data_open(const struct train_options *o, struct train_run *run)
{
    int64_t seq_len = o->seq_len ? o->seq_len : run->model->seq_len;
    if (!o->data)
        return WEIR_OK;
    if (run->model->data == WEIR_DATA_IMAGES)
        return weir_data_open_idx(o->data, (uint64_t)o->seed, &run->data);
    weir_status status = weir_data_paths(o->data, &run->arena, &run->data_paths, &run->n_data_paths);
    return status ? status : weir_data_open_tokens(run->data_paths, run->n_data_paths, seq_len, run->model->vocabulary,
                                                   (uint64_t)o->seed, &run->data);
}

weir_status train_feed(struct train_run *run, const weir_data *data, int64_t first)
{
    const char *input = run->model->data == WEIR_DATA_IMAGES ? "images" : "tokens";
    int batch = (int)run->graph->microbatch_size;
    for (int mb = 0; mb < run->n_microbatches; mb++) {
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

bool train_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return a && b && stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) && x.st_dev == y.st_dev &&
           x.st_ino == y.st_ino;
}

weir_status train_data_keep(const struct train_run *run, const char *option, const char *path)
{
    for (int i = 0; i < run->n_data_paths; i++)
        if (train_same_file(run->data_paths[i], path))
            return WEIR_FAIL(WEIR_ERR_USAGE, "--data and --%s are the same file '%s': give --%s another name", option, path,
                             option);
    return WEIR_OK;
}
