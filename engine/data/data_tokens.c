/* Tokens: the samples of one or several files. */
#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/data/data_source.h"
#include "engine/data/token_open.h"

struct tokens_file {
    struct weir_token_file file;
    int64_t first_sample; /* samples of the files before it */
};

struct tokens_data {
    struct weir_data base;
    int n_files;
    struct tokens_file *files;
};

/* The file that holds `sample`: the last one that starts at it or before. */
static const struct tokens_file *file_of(const struct tokens_data *tokens, int64_t sample)
{
    int low = 0, high = tokens->n_files;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (tokens->files[middle].first_sample <= sample)
            low = middle;
        else
            high = middle;
    }
    return &tokens->files[low];
}

static weir_status token_refuse(const struct weir_token_file *file, int64_t at, int64_t token, int64_t vocabulary)
{
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': token %lld at byte %lld is %lld, the model's ids end at %lld: the file was "
                     "made for another tokenizer, or is damaged", file->disk.path, (long long)at,
                     (long long)weir_token_byte(file, at), (long long)token, (long long)vocabulary - 1);
}

/* The tokens of a sample: inputs all but the last, targets all but the first; NULL: they are checked and dropped. */
struct sample {
    int64_t from, seq_len, vocabulary;
    int32_t *input, *target;
};

/* Tokens k .. k + n - 1 of the sample, whose bytes are at `b`. */
static weir_status tokens_put(const struct weir_token_file *file, const struct sample *s, int64_t k, int64_t n,
                              const unsigned char *b)
{
    for (int64_t i = 0; i < n; i++, b += file->width) {
        int64_t token = weir_token_value(file, b);
        if (token < 0 || token >= s->vocabulary)
            return token_refuse(file, s->from + k + i, token, s->vocabulary);
        if (s->input && k + i < s->seq_len)
            s->input[k + i] = (int32_t)token;
        if (s->target && k + i > 0)
            s->target[k + i - 1] = (int32_t)token;
    }
    return WEIR_OK;
}

enum { CHUNK = 16384 }; /* bytes read from disk at a time */

static weir_status tokens_read(const struct weir_token_file *file, const struct sample *s)
{
    unsigned char chunk[CHUNK];
    int64_t all = s->seq_len + 1, most = CHUNK / file->width;
    if (file->tokens)
        return tokens_put(file, s, 0, all, file->tokens + s->from * file->width);
    for (int64_t k = 0; k < all; k += most) {
        int64_t n = all - k < most ? all - k : most;
        weir_status status = weir_ranged_read(&file->disk, (uint64_t)weir_token_byte(file, s->from + k), chunk,
                                              (size_t)(n * file->width));
        if (!status)
            status = tokens_put(file, s, k, n, chunk);
        if (status)
            return status;
    }
    return WEIR_OK;
}

static weir_status sample_read(const struct weir_data *data, int64_t sample, void *input_out, void *target_out)
{
    const struct tokens_file *holder = file_of((const struct tokens_data *)data, sample);
    int64_t seq_len = data->info.input.dims[0], from = (sample - holder->first_sample) * seq_len;
    return tokens_read(&holder->file, &(struct sample){from, seq_len, data->info.n_classes, input_out, target_out});
}

static void sample_want(const struct weir_data *data, int64_t sample)
{
    const struct tokens_file *holder = file_of((const struct tokens_data *)data, sample);
    int64_t seq_len = data->info.input.dims[0], from = (sample - holder->first_sample) * seq_len;
    if (!holder->file.tokens)
        weir_ranged_want(&holder->file.disk, (uint64_t)weir_token_byte(&holder->file, from),
                         (size_t)(seq_len + 1) * (size_t)holder->file.width);
}

static void tokens_close(struct weir_data *data)
{
    struct tokens_data *tokens = (struct tokens_data *)data;
    for (int i = 0; i < tokens->n_files; i++)
        weir_token_file_close(&tokens->files[i].file);
    weir_free(tokens->files);
    weir_free(tokens);
}

/* ---- opening ------------------------------------------------------------------------------------------------------- */

static weir_status length_check(const struct weir_token_file *file, int64_t seq_len)
{
    if (file->n_tokens > seq_len)
        return WEIR_OK;
    if (file->is_text)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %lld bytes, sequence length %lld needs at least %lld", file->disk.path,
                         (long long)file->n_tokens, (long long)seq_len, (long long)seq_len + 1);
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %lld tokens and ends at byte %lld, sequence length %lld needs at least "
                     "%lld tokens",
                     file->disk.path, (long long)file->n_tokens, (long long)weir_token_byte(file, file->n_tokens),
                     (long long)seq_len, (long long)seq_len + 1);
}

/* File `i` beside those before it: one kind, none twice. */
static weir_status company_check(const struct tokens_data *tokens, int i)
{
    const struct weir_token_file *file = &tokens->files[i].file, *first = &tokens->files[0].file;
    if (strcmp(file->kind, first->kind) != 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is %s and '%s' is %s: the files of one source must be of one kind",
                         first->disk.path, first->kind, file->disk.path, file->kind);
    for (int k = 0; k < i; k++) {
        const struct weir_ranged_file *other = &tokens->files[k].file.disk;
        if (other->device == file->disk.device && other->inode == file->disk.inode)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' and '%s' are the same file: name it once", other->path, file->disk.path);
    }
    return WEIR_OK;
}

static void info_add(struct weir_data_info *info, const struct weir_token_file *file, int64_t seq_len)
{
    info->n_samples += (file->n_tokens - 1) / seq_len;
    info->n_tokens += file->n_tokens;
    info->n_documents += file->n_documents;
    info->is_text = file->is_text;
    info->packed |= file->packed;
}

static weir_status files_open(struct tokens_data *tokens, const char *const *paths, int n_paths,
                              enum weir_data_format format, int64_t seq_len, int64_t vocabulary)
{
    weir_status status = weir_alloc((size_t)n_paths, sizeof *tokens->files, &tokens->files);
    struct weir_data_info *info = &tokens->base.info;
    for (int i = 0; i < n_paths && !status; i++) {
        struct weir_token_file *file = &tokens->files[i].file;
        status = weir_token_file_open(paths[i], format, vocabulary, file);
        if (status)
            break;
        tokens->n_files = i + 1;
        tokens->files[i].first_sample = info->n_samples;
        info_add(info, file, seq_len);
        status = length_check(file, seq_len);
        if (!status)
            status = company_check(tokens, i);
        if (!status) /* what was made for another tokenizer mostly shows at once; every sample is checked when it is read */
            status = tokens_read(file, &(struct sample){0, seq_len, vocabulary, NULL, NULL});
    }
    return status;
}

static weir_status numbers_check(int n_paths, int64_t seq_len, int64_t vocabulary)
{
    if (n_paths < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a source needs at least one file, not %d", n_paths);
    if (seq_len < 1 || seq_len > INT32_MAX)
        return WEIR_FAIL(WEIR_ERR_INVALID, "sequence length is %lld, it must be in [1, %d]", (long long)seq_len,
                         INT32_MAX);
    if (vocabulary < 1 || vocabulary > INT32_MAX)
        return WEIR_FAIL(WEIR_ERR_INVALID, "vocabulary is %lld, it must be in [1, %d]", (long long)vocabulary, INT32_MAX);
    return WEIR_OK;
}

weir_status weir_data_open_tokens(const char *const *paths, int n_paths, enum weir_data_format format, int64_t seq_len,
                                  int64_t vocabulary, uint64_t seed, weir_data **data_out)
{
    struct tokens_data *tokens;
    weir_status status = numbers_check(n_paths, seq_len, vocabulary);
    if (!status)
        status = weir_alloc(1, sizeof *tokens, &tokens);
    if (status)
        return status;
    status = files_open(tokens, paths, n_paths, format, seq_len, vocabulary);
    if (status) {
        tokens_close(&tokens->base);
        return status;
    }
    struct weir_shape shape = {.n_dims = 1, .dims = {seq_len}, .dtype = WEIR_DTYPE_I32};
    struct weir_data_info info = tokens->base.info; /* what was added up */
    info.kind = tokens->files[0].file.kind;
    info.input = info.target = shape;
    info.n_classes = vocabulary;
    tokens->base = (struct weir_data){.info = info,
                                      .seed = seed,
                                      .sample_read = sample_read,
                                      .sample_want = sample_want,
                                      .close = tokens_close};
    *data_out = &tokens->base;
    return WEIR_OK;
}

weir_status weir_data_open_text(const char *path, int64_t seq_len, uint64_t seed, weir_data **data_out)
{
    return weir_data_open_tokens(&path, 1, WEIR_DATA_FORMAT_TEXT, seq_len, UCHAR_MAX + 1, seed, data_out);
}
