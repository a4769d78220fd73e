/* Tokens: the samples of one or several files. */
#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/data/data_source.h"
#include "engine/data/text_tokens.h"
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

static weir_status length_check(const struct weir_token_file *file, const char *tokenizer, int64_t seq_len)
{
    if (file->n_tokens > seq_len)
        return WEIR_OK;
    if (tokenizer)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %lld tokens of tokenizer '%s', sequence length %lld needs at least %lld", file->disk.path,
                         (long long)file->n_tokens, tokenizer, (long long)seq_len, (long long)seq_len + 1);
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

/* What a source is opened with. */
struct request {
    enum weir_data_format format;
    int64_t seq_len, vocabulary;
    struct weir_text_tokens texts; /* encoder NULL: tokens of texts are bytes */
};

/* With its tokens, unless it is a text that is encoded. */
static weir_status file_open(struct request *r, const char *path, struct weir_token_file *file)
{
    const struct weir_data_encoder *encoder = r->texts.encoder;
    bool perhaps = encoder && (encoder->encode || encoder->begin);
    weir_status status = weir_token_file_open(path, r->format, !perhaps, r->vocabulary, file);
    if (status || !perhaps || !file->is_text)
        return status;
    status = weir_text_tokens_begin(&r->texts, r->vocabulary);
    if (!status && encoder->encode)
        return WEIR_OK;
    weir_token_file_close(file);
    *file = (struct weir_token_file){0};
    return status ? status : weir_token_file_open(path, r->format, true, r->vocabulary, file);
}

/* Its tokens are there.  What was made for another tokenizer mostly shows at once; every sample is checked when it is read. */
static weir_status file_check(const struct request *r, const struct weir_token_file *file, const char *tokenizer)
{
    weir_status status = length_check(file, tokenizer, r->seq_len);
    return status ? status : tokens_read(file, &(struct sample){0, r->seq_len, r->vocabulary, NULL, NULL});
}

static weir_status file_add(struct tokens_data *tokens, struct request *r, const char *path)
{
    int i = tokens->n_files;
    struct weir_token_file *file = &tokens->files[i].file;
    weir_status status = file_open(r, path, file);
    if (status)
        return status;
    bool encoded = file->is_text && r->texts.encoder && r->texts.encoder->encode;
    tokens->n_files = i + 1;
    tokens->files[i].first_sample = tokens->base.info.n_samples;
    status = encoded ? WEIR_OK : file_check(r, file, NULL);
    if (!status)
        status = company_check(tokens, i);
    if (!status && encoded)
        status = weir_text_tokens_add(&r->texts, path, file->format);
    else if (!status)
        info_add(&tokens->base.info, file, r->seq_len);
    return status;
}

/* The first file of all stands for all of them: sample numbers of the others begin where the last one ends. */
static weir_status texts_take(struct tokens_data *tokens, struct request *r)
{
    struct weir_token_file *file = &tokens->files[0].file;
    struct weir_data_info *info = &tokens->base.info;
    file->tokens = file->memory = r->texts.bytes;
    file->n_tokens = (int64_t)r->texts.n;
    file->n_documents = r->texts.n_documents;
    file->type = WEIR_TOKEN_uint32;
    file->width = 4;
    file->is_text = false;
    r->texts.bytes = NULL;
    info->tokenizer = r->texts.encoder->name;
    info->end = r->texts.encoder->end;
    weir_status status = file_check(r, file, info->tokenizer);
    if (status)
        return status;
    info_add(info, file, r->seq_len);
    for (int i = 1; i < tokens->n_files; i++)
        tokens->files[i].first_sample = info->n_samples;
    return WEIR_OK;
}

static weir_status files_open(struct tokens_data *tokens, const char *const *paths, int n_paths, struct request *r)
{
    weir_status status = weir_alloc((size_t)n_paths, sizeof *tokens->files, &tokens->files);
    tokens->base.info.end = -1;
    for (int i = 0; i < n_paths && !status; i++)
        status = file_add(tokens, r, paths[i]);
    return status || !r->texts.n_documents ? status : texts_take(tokens, r);
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

weir_status weir_data_open_texts(const char *const *paths, int n_paths, enum weir_data_format format, int64_t seq_len,
                                 int64_t vocabulary, struct weir_data_encoder *encoder, uint64_t seed,
                                 weir_data **data_out)
{
    struct request request = {format, seq_len, vocabulary, {.encoder = encoder}};
    struct tokens_data *tokens;
    weir_status status = numbers_check(n_paths, seq_len, vocabulary);
    if (!status)
        status = weir_alloc(1, sizeof *tokens, &tokens);
    if (status)
        return status;
    status = files_open(tokens, paths, n_paths, &request);
    weir_free(request.texts.bytes);
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

weir_status weir_data_open_tokens(const char *const *paths, int n_paths, enum weir_data_format format, int64_t seq_len,
                                  int64_t vocabulary, uint64_t seed, weir_data **data_out)
{
    return weir_data_open_texts(paths, n_paths, format, seq_len, vocabulary, NULL, seed, data_out);
}

weir_status weir_data_open_text(const char *path, int64_t seq_len, uint64_t seed, weir_data **data_out)
{
    return weir_data_open_tokens(&path, 1, WEIR_DATA_FORMAT_TEXT, seq_len, UCHAR_MAX + 1, seed, data_out);
}
