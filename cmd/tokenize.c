/* weir tokenize: texts to files of tokens.
 *
 * The tokens of all texts go one after the other, with the end-of-text token between two of them, as weir train has them in
 * memory when it reads the texts itself.  With --val-fraction there are two such sequences:
 *
 *     JSON Lines    every 1/fraction-th line goes to the validation whole
 *     a plain text  the last part of its tokens does                       */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/printable.h"
#include "cmd/codec.h"
#include "cmd/command.h"
#include "cmd/paths.h"
#include "include/weir/data.h"

struct tokenize_options {
    const char *tokenizer, *output, *format, *data_format, *text_field, *eod, *config;
    double val_fraction;
    bool json, quiet;
    struct options given;
};

#define ROW(name, letter, kind, field, argument, help, ...)                                                            \
    {name, letter, kind, offsetof(struct tokenize_options, field), argument, help, __VA_ARGS__}

static const struct option_row rows[] = {
    ROW("tokenizer", 't', OPTION_TEXT, tokenizer, "PATH", "folder or file of a tokenizer, or bytes", 0, 0),
    ROW("output", 'o', OPTION_TEXT, output, "FILE", "what to write: OUT.bin", 0, 0),
    ROW("format", 0, OPTION_TEXT, format, "NAME", "llmc (default), or u16 or u32 without a header, as nanoGPT", 0, 0),
    ROW("data-format", 0, OPTION_TEXT, data_format, "NAME", "of the files: auto (default), text or jsonl", 0, 0),
    ROW("text-field", 0, OPTION_TEXT, text_field, "NAME", "JSON Lines: the string to read (text)", 0, 0),
    ROW("eod", 0, OPTION_TEXT, eod, "ID|none", "the token between two texts (the tokenizer's end of text)", 0, 0),
    ROW("val-fraction", 0, OPTION_REAL, val_fraction, "X", "write OUT.train.bin, and X of all into OUT.val.bin", 0, 0.999999),
    ROW("config", 'c', OPTION_TEXT, config, "FILE", "read options from a JSON object; the command line wins", 0, 0),
    ROW("json", 0, OPTION_FLAG, json, NULL, "print the result as one JSON object", 0, 0),
    ROW("quiet", 'q', OPTION_FLAG, quiet, NULL, "print nothing", 0, 0),
    {0},
};

static const struct option_table table = {"tokenize", "FILE...", "write texts as files of tokens, for weir train",
                                          "weir tokenize --tokenizer gpt2/ book.txt -o book.bin --val-fraction 0.1", rows, NULL};

/* One of the files that are written. */
struct output {
    const char *path;
    weir_token_writer *writer; /* NULL: there is none, or it is done */
    int64_t n_tokens, n_documents;
    bool ended; /* the last text has the end token of its own accord */
};

struct run {
    const struct tokenize_options *options;
    struct weir_arena arena;
    struct codec codec;
    enum weir_data_format format, written; /* of what is read; of what is written */
    const char **files;
    size_t n_files, files_room;
    int32_t end;
    struct output outputs[2]; /* training and validation; the second without path: there is none */
    bool cuts;                /* the file that is read is one text, of which the end is for validation */
    int64_t n_documents;
};

/* ---- open ---------------------------------------------------------------------------------------------------------- */

static weir_status files_find(struct run *run, const char *const *arguments, int n)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < n && !status; i++) {
        const char *const *paths;
        int n_paths = 0;
        status = weir_data_paths(arguments[i], &run->arena, &paths, &n_paths);
        if (!status)
            status = weir_arena_grow(&run->arena, &run->files, &run->files_room, run->n_files + (size_t)n_paths, sizeof *run->files);
        for (int k = 0; k < n_paths && !status; k++)
            run->files[run->n_files++] = paths[k];
    }
    return status;
}

/* OUT.bin as OUT.train.bin and OUT.val.bin. */
static weir_status outputs_name(struct run *run)
{
    const char *out = run->options->output, *slash = strrchr(out, '/'), *dot = strrchr(out, '.');
    if (run->options->val_fraction <= 0) {
        run->outputs[0].path = out;
        return WEIR_OK;
    }
    const char *name = slash ? slash + 1 : out;
    int stem = dot && dot > name ? (int)(dot - out) : (int)strlen(out);
    weir_status status = weir_arena_printf(&run->arena, &run->outputs[0].path, "%.*s.train%s", stem, out, out + stem);
    return status ? status : weir_arena_printf(&run->arena, &run->outputs[1].path, "%.*s.val%s", stem, out, out + stem);
}

static weir_status end_read(struct run *run)
{
    const char *eod = run->options->eod;
    int64_t most = codec_vocabulary(&run->codec), id;
    run->end = codec_end(&run->codec);
    if (!eod)
        return WEIR_OK;
    run->end = -1;
    if (!strcmp(eod, "none"))
        return WEIR_OK;
    if (!weir_parse_int64(eod, &id) || id < 0 || id >= most)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--eod '%s' is neither none nor an id of the tokenizer, which end at %lld", eod,
                         (long long)most - 1);
    run->end = (int32_t)id;
    return WEIR_OK;
}

static weir_status choices_read(struct run *run)
{
    static const char *const written[] = {"llmc", "u16", "u32", NULL};
    const struct tokenize_options *o = run->options;
    if (!o->tokenizer)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--tokenizer is missing: a folder with tokenizer files, or bytes");
    if (!o->output)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--output is missing: the file to write");
    weir_status status = weir_data_format_find(o->data_format, &run->format);
    if (!status)
        status = weir_data_format_find(o->format, &run->written);
    if (status)
        return status;
    for (int i = 0; written[i]; i++)
        if (!strcmp(o->format, written[i]))
            return WEIR_OK;
    return weir_unknown("format", o->format, written);
}

static weir_status paths_register(struct run *run)
{
    struct paths paths = {0};
    paths_read(&paths, "--config", run->options->config);
    paths_read_tokenizer(&paths, "--tokenizer", run->options->tokenizer);
    for (size_t i = 0; i < run->n_files; i++)
        paths_read(&paths, "FILE", run->files[i]);
    for (int i = 0; i < 2; i++)
        paths_write(&paths, "--output", run->outputs[i].path);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    return status;
}

static weir_status run_open(struct run *run, const char *const *arguments, int n)
{
    const struct codec_choice choice = {.tokenizer = run->options->tokenizer};
    weir_status status = choices_read(run);
    if (!status && !n)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "no file is given: texts, or JSON Lines with a text each");
    if (!status)
        status = files_find(run, arguments, n);
    if (!status)
        status = outputs_name(run);
    if (!status)
        status = paths_register(run);
    if (!status)
        status = codec_open(&run->codec, &choice, INT32_MAX, &run->arena);
    if (!status)
        status = end_read(run);
    for (int i = 0; i < 2 && !status && run->outputs[i].path; i++)
        status = weir_token_writer_open(run->outputs[i].path, run->written, codec_vocabulary(&run->codec), &run->outputs[i].writer);
    return status;
}

static void run_close(struct run *run)
{
    for (int i = 0; i < 2; i++)
        weir_token_writer_abort(run->outputs[i].writer);
    weir_arena_release(&run->arena);
}

/* ---- tokens -------------------------------------------------------------------------------------------------------- */

static weir_status tokens_put(const struct run *run, struct output *output, const int32_t *tokens, int64_t n)
{
    weir_status status = WEIR_OK;
    if (output->n_documents++ && run->end >= 0 && !output->ended)
        status = weir_token_writer_put(output->writer, &run->end, 1);
    output->ended = n && tokens[n - 1] == run->end;
    return status ? status : weir_token_writer_put(output->writer, tokens, n);
}

/* How many of the first `n` are for validation. */
static int64_t share(double fraction, int64_t n)
{
    return (int64_t)floor(fraction * (double)n);
}

static weir_status document_put(struct run *run, const int32_t *tokens, int64_t n)
{
    double fraction = run->options->val_fraction;
    int64_t i = run->n_documents++, last = run->cuts ? share(fraction, n) : 0;
    if (!run->outputs[1].path)
        return tokens_put(run, &run->outputs[0], tokens, n);
    if (!run->cuts)
        return tokens_put(run, &run->outputs[share(fraction, i + 1) > share(fraction, i)], tokens, n);
    weir_status status = tokens_put(run, &run->outputs[0], tokens, n - last);
    return status ? status : tokens_put(run, &run->outputs[1], tokens + (n - last), last);
}

static weir_status document_take(void *context, const char *text, size_t bytes)
{
    struct run *run = context;
    struct weir_arena arena = {0};
    int32_t *tokens = NULL;
    int64_t n = 0;
    weir_status status = codec_encode(&run->codec, text, bytes, &arena, &tokens, &n);
    if (!status)
        status = document_put(run, tokens, n);
    weir_arena_release(&arena);
    return status;
}

static weir_status files_read(struct run *run)
{
    weir_status status = WEIR_OK;
    for (size_t i = 0; i < run->n_files && !status; i++) {
        enum weir_data_format format = run->format;
        status = weir_documents_format(run->files[i], &format);
        run->cuts = format == WEIR_DATA_FORMAT_TEXT;
        if (!status)
            status = weir_documents_read(run->files[i], format, run->options->text_field, document_take, run);
    }
    return status;
}

/* Both have tokens before either is in its place. */
static weir_status outputs_commit(struct run *run)
{
    for (int i = 0; i < 2 && run->outputs[i].path; i++) {
        struct output *output = &run->outputs[i];
        output->n_tokens = weir_token_writer_count(output->writer);
        if (!output->n_tokens)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' would have no tokens: %lld texts%s", output->path, (long long)run->n_documents,
                             run->outputs[1].path ? ", give another --val-fraction" : "");
    }
    weir_status status = WEIR_OK;
    for (int i = 0; i < 2 && !status && run->outputs[i].path; i++) {
        status = weir_token_writer_commit(run->outputs[i].writer);
        run->outputs[i].writer = NULL;
    }
    return status;
}

/* ---- print --------------------------------------------------------------------------------------------------------- */

static void result_print(const struct run *run, int width)
{
    char shown[4096], name[4096];
    for (int i = 0; i < 2 && run->outputs[i].path; i++) {
        const struct output *output = &run->outputs[i];
        printf("%s: %lld tokens ", weir_printable(output->path, shown, sizeof shown), (long long)output->n_tokens);
        printf(run->codec.name ? "of tokenizer %s" : "as bytes", run->codec.name ? weir_printable(run->codec.name, name, sizeof name) : "");
        printf(", %d bytes each, of %lld text%s\n", width, (long long)output->n_documents, output->n_documents == 1 ? "" : "s");
    }
}

static weir_status json_print(const struct run *run, int width)
{
    struct weir_text text = {0};
    json_t *files = json_array(), *root = json_pack("{s:o, s:I, s:i, s:o, s:o}", "tokenizer",
                                                    weir_json_utf8(run->codec.name ? run->codec.name : "bytes"), "vocabulary",
                                                    (json_int_t)codec_vocabulary(&run->codec), "token_bytes", width, "end",
                                                    run->end < 0 ? json_null() : json_integer(run->end), "files", files);
    for (int i = 0; i < 2 && root && run->outputs[i].path; i++)
        json_array_append_new(files, json_pack("{s:o, s:I, s:I}", "path", weir_json_utf8(run->outputs[i].path), "tokens",
                                               (json_int_t)run->outputs[i].n_tokens, "texts",
                                               (json_int_t)run->outputs[i].n_documents));
    weir_json_append(&text, root, 17);
    weir_status status = text.status;
    if (!status)
        printf("%s\n", text.data);
    weir_text_release(&text);
    return status;
}

static weir_status run_all(struct run *run, const char *const *arguments, int n)
{
    weir_status status = run_open(run, arguments, n);
    int width = status ? 0 : weir_token_writer_width(run->outputs[0].writer);
    if (!status)
        status = files_read(run);
    if (!status)
        status = outputs_commit(run);
    if (!status && run->options->json)
        status = json_print(run, width);
    else if (!status && !run->options->quiet)
        result_print(run, width);
    return status;
}

static int run_tokenize(int argc, char **argv)
{
    struct tokenize_options o = {.format = "llmc", .data_format = "auto", .text_field = "text"};
    struct run run = {.options = &o};
    const char **arguments = NULL;
    int n = 0;
    enum option_outcome outcome = OPTIONS_PARSED;
    weir_status status = weir_arena_alloc(&run.arena, (size_t)argc, sizeof *arguments, &arguments);
    if (!status)
        status = options_parse(&o.given, &table, argc, argv, &o, arguments, argc, &n, &outcome);
    if (!status && outcome == OPTIONS_PARSED)
        status = run_all(&run, arguments, n);
    int code = options_report("tokenize", status);
    run_close(&run);
    options_release(&o.given);
    return code;
}

static const struct option_table *const tables[] = {&table, NULL};
const struct command command_tokenize = {"tokenize", "write texts as files of tokens, for weir train", tables, run_tokenize, true};
