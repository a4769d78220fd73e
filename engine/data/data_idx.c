/* Images with labels: two IDX files of a directory. */
#include "base/alloc.h"
#include "engine/data/data_source.h"
#include "engine/data/idx_file.h"
#include "engine/data/idx_folder.h"

struct idx_data {
    struct weir_data base;
    struct weir_idx images, labels;
    struct weir_idx_pair files;
};

static weir_status sample_read(const struct weir_data *data, int64_t sample, void *input_out, void *target_out)
{
    const struct idx_data *idx = (const struct idx_data *)data;
    int64_t n = weir_shape_elements(&data->info.input);
    const unsigned char *pixels = idx->images.elements + sample * n;
    float *input = input_out;
    int32_t *target = target_out;
    for (int64_t i = 0; i < n; i++)
        input[i] = (float)pixels[i] / 255.0f;
    *target = idx->labels.elements[sample];
    return WEIR_OK;
}

static void idx_close(struct weir_data *data)
{
    struct idx_data *idx = (struct idx_data *)data;
    weir_free(idx->images.elements);
    weir_free(idx->labels.elements);
    weir_free(idx->files.images);
    weir_free(idx->files.labels);
    weir_free(idx);
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static int64_t classes_count(const struct weir_idx *labels)
{
    int largest = 0;
    for (size_t i = 0; i < labels->n_elements; i++)
        largest = labels->elements[i] > largest ? labels->elements[i] : largest;
    return largest + 1;
}

static weir_status parts_open(struct idx_data *idx)
{
    weir_status status = weir_idx_read(idx->files.images, WEIR_IDX_IMAGES, &idx->images);
    if (!status)
        status = weir_idx_read(idx->files.labels, WEIR_IDX_LABELS, &idx->labels);
    if (!status && idx->images.dims[0] != idx->labels.dims[0])
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %u images and '%s' %u labels, there must be as many of each",
                           idx->files.images, (unsigned)idx->images.dims[0], idx->files.labels, (unsigned)idx->labels.dims[0]);
    return status;
}

static void source_set(struct idx_data *idx, uint64_t seed)
{
    const uint32_t *dims = idx->images.dims;
    idx->base = (struct weir_data){
        .info = {.kind = "idx",
                 .images = idx->files.images,
                 .input = {.n_dims = 2, .dims = {dims[1], dims[2]}, .dtype = WEIR_DTYPE_F32},
                 .target = {.n_dims = 0, .dtype = WEIR_DTYPE_I32},
                 .n_samples = dims[0],
                 .end = -1,
                 .n_classes = classes_count(&idx->labels)},
        .seed = seed,
        .sample_read = sample_read,
        .close = idx_close,
    };
}

/* *data_out: NULL where there is no such set. */
static weir_status set_open(const char *directory, bool test, uint64_t seed, weir_data **data_out)
{
    struct idx_data *idx;
    weir_status status = weir_alloc(1, sizeof *idx, &idx);
    if (status)
        return status;
    status = weir_idx_folder_find(directory, test, &idx->files);
    bool there = !status && idx->files.images;
    if (there)
        status = parts_open(idx);
    if (status || !there) {
        idx_close(&idx->base);
        if (!status)
            *data_out = NULL;
        return status;
    }
    source_set(idx, seed);
    *data_out = &idx->base;
    return WEIR_OK;
}

weir_status weir_data_open_idx(const char *directory, uint64_t seed, weir_data **data_out)
{
    return set_open(directory, false, seed, data_out);
}

weir_status weir_data_open_idx_test(const char *directory, uint64_t seed, weir_data **data_out)
{
    return set_open(directory, true, seed, data_out);
}
