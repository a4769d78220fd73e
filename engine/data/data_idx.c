/* Images with labels: two IDX files of a directory. */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/text.h"
#include "engine/data/data_source.h"
#include "engine/data/idx_file.h"

struct idx_data {
    struct weir_data base;
    struct weir_idx images, labels;
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
    weir_free(idx);
}

/* ---- finding the two files ----------------------------------------------------------------------------------------- */

/* Look at one file: when it starts with `magic`, it must be the first that does. */
static weir_status candidate_check(const char *path, uint32_t magic, const char *what, char **found)
{
    struct stat info;
    uint32_t start = 0;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return WEIR_OK;
    weir_status status = weir_idx_magic(path, &start);
    if (status || start != magic)
        return status;
    if (*found)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' and '%s' are both IDX %s files: leave one of them in the directory",
                         *found, path, what);
    return weir_strdup(path, found);
}

static weir_status entries_check(DIR *folder, const char *directory, uint32_t magic, const char *what, char **found)
{
    weir_status status = WEIR_OK;
    for (const struct dirent *entry; !status && (entry = readdir(folder));) {
        struct weir_text path = {0};
        weir_text_append(&path, "%s/%s", directory, entry->d_name);
        status = path.status ? path.status : candidate_check(path.data, magic, what, found);
        weir_text_release(&path);
    }
    if (!status && !*found)
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' holds no IDX %s file (one that starts with 0x%08x, plain or gzip)",
                           directory, what, (unsigned)magic);
    return status;
}

static weir_status file_find(const char *directory, uint32_t magic, const char *what, char **path_out)
{
    char *found = NULL;
    DIR *folder = opendir(directory);
    if (!folder)
        return WEIR_FAIL(errno == ENOTDIR ? WEIR_ERR_INVALID : WEIR_ERR_IO,
                         "'%s' must be a directory with IDX images and labels: %s", directory, strerror(errno));
    weir_status status = entries_check(folder, directory, magic, what, &found);
    closedir(folder);
    if (status)
        weir_free(found);
    else
        *path_out = found;
    return status;
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static weir_status part_open(const char *directory, uint32_t magic, const char *what, struct weir_idx *idx_out)
{
    char *path = NULL;
    weir_status status = file_find(directory, magic, what, &path);
    if (status)
        return status;
    status = weir_idx_read(path, magic, idx_out);
    weir_free(path);
    return status;
}

static int64_t classes_count(const struct weir_idx *labels)
{
    int largest = 0;
    for (size_t i = 0; i < labels->n_elements; i++)
        largest = labels->elements[i] > largest ? labels->elements[i] : largest;
    return largest + 1;
}

static weir_status parts_open(const char *directory, struct idx_data *idx)
{
    weir_status status = part_open(directory, WEIR_IDX_IMAGES, "image", &idx->images);
    if (!status)
        status = part_open(directory, WEIR_IDX_LABELS, "label", &idx->labels);
    if (!status && idx->images.dims[0] != idx->labels.dims[0])
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %u images and %u labels, there must be as many of each", directory,
                           (unsigned)idx->images.dims[0], (unsigned)idx->labels.dims[0]);
    return status;
}

weir_status weir_data_open_idx(const char *directory, uint64_t seed, weir_data **data_out)
{
    struct idx_data *idx;
    weir_status status = weir_alloc(1, sizeof *idx, &idx);
    if (status)
        return status;
    status = parts_open(directory, idx);
    if (status) {
        idx_close(&idx->base);
        return status;
    }
    const uint32_t *dims = idx->images.dims;
    idx->base = (struct weir_data){
        .info = {.kind = "idx",
                 .input = {.n_dims = 2, .dims = {dims[1], dims[2]}, .dtype = WEIR_DTYPE_F32},
                 .target = {.n_dims = 0, .dtype = WEIR_DTYPE_I32},
                 .n_samples = dims[0],
                 .n_classes = classes_count(&idx->labels)},
        .seed = seed,
        .sample_read = sample_read,
        .close = idx_close,
    };
    *data_out = &idx->base;
    return WEIR_OK;
}
