/* weir generate: continue a text with a model on a pipeline of devices. */
#include "cmd/generate_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/text_stream.h"
#include "cmd/command.h"
#include "cmd/logits_file.h"
#include "cmd/memory_print.h"
#include "cmd/paths.h"
#include "include/weir/generate.h"

enum { CHUNK = 32, DEFAULT_TOKENS = 50 };

#define ROW(name, letter, kind, field, argument, help, ...)                                                            \
    {name, letter, kind, offsetof(struct generate_options, field), argument, help, __VA_ARGS__}

static const struct option_row rows[] = {
    ROW("init-from", 0, OPTION_TEXT, init_from, "DIR", "folder with config.json and safetensors weights", 0, 0),
    ROW("model", 'm', OPTION_TEXT, model, "NAME", "built-in model or config.json (that of --init-from)", 0, 0),
    ROW("tokenizer", 0, OPTION_TEXT, tokenizer, "PATH", "folder or file of a tokenizer (the model's own), or bytes", 0, 0),
    ROW("prompt", 'p', OPTION_TEXT, prompt, "TEXT", "text to continue", 0, 0),
    ROW("prompt-tokens", 0, OPTION_TEXT, prompt_tokens, "IDS", "the prompt as numbers, 1,2,3; prints numbers", 0, 0),
    ROW("tokens", 'n', OPTION_INT, tokens, "N", "tokens to generate (50, or what the model has room for)", 1, 1e9),
    ROW("ignore-eos", 0, OPTION_FLAG, ignore_eos, NULL, "go on after the token that ends a text", 0, 0),
    ROW("temperature", 0, OPTION_REAL, temperature, "X", "0 (default): the most likely token; 1: as the model says", 0, 1e6),
    ROW("top-k", 0, OPTION_INT, top_k, "K", "draw from the K most likely tokens (0: from all)", 0, 1e9),
    ROW("seed", 0, OPTION_INT, seed, "N", "seed of the draws (1)", 0, 9e15),
    ROW("samples", 0, OPTION_INT, samples, "N", "texts to generate from the prompt, side by side (1)", 1, 65536),
    ROW("logits", 0, OPTION_TEXT, logits, "FILE", "write what the tokens are drawn from: .npy, (tokens, samples, vocabulary)", 0, 0),
    ROW("stages", 0, OPTION_INT, stages, "S", "pipeline stages (1)", 1, 65536),
    ROW("threads-per-rank", 0, OPTION_INT, threads, "N", "threads of each rank (1)", 1, 4096),
    ROW("device", 0, OPTION_TEXT, device, "LIST", "cpu (default), cuda, or one per stage: cuda:0,cuda:1", 0, 0),
    ROW("device-memory", 0, OPTION_BYTES, device_memory, "BYTES", "refuse a run that needs more per rank", 1, 0x1p62),
    ROW("print-memory", 0, OPTION_WORD, print_memory, "[full]", "print what each rank takes and stop; full: every tensor", 0, 0),
    ROW("config", 'c', OPTION_TEXT, config, "FILE", "read options from a JSON object; the command line wins", 0, 0),
    ROW("json", 0, OPTION_FLAG, json, NULL, "print the result as one JSON object", 0, 0),
    ROW("quiet", 'q', OPTION_FLAG, quiet, NULL, "nothing but the text", 0, 0),
    {0},
};

static const struct option_table table = {
    "generate", "", "continue a text with a model on a pipeline of devices",
    "weir generate --init-from gpt2/ --prompt 'Once upon a time' --tokens 40 --temperature 0.8", rows, NULL};

/* Text of one sample as it grows. */
struct sample {
    struct token_text text;
    struct weir_text out;
    int32_t *tokens;
    int64_t n_tokens;
    int32_t end; /* the token that ended the text, which is no part of it; -1: none has */
};

struct run {
    const struct generate_options *options;
    struct weir_arena arena;
    const struct weir_model_kind *kind;
    struct generate_codec codec;
    weir_generator *generator;
    int32_t *prompt, *next;
    int64_t n_prompt, n_tokens, chunk;
    struct sample *samples;
    float *work; /* [vocabulary] */
    struct logits_file logits;
    int64_t prompt_ns, tokens_ns, n_steps;
};

/* ---- open ---------------------------------------------------------------------------------------------------------- */

static weir_status model_open(struct run *run)
{
    const struct generate_options *o = run->options;
    const char *name = o->model, *folder = o->init_from;
    weir_status status = WEIR_OK;
    if (!name && !folder)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--init-from is missing: a folder with config.json and weights");
    if (!name && weir_checkpoint_is(folder))
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' is a checkpoint: weir checkpoint convert makes a model folder of it", folder);
    if (!name)
        status = weir_arena_printf(&run->arena, &name, "%s/config.json", folder);
    if (!status)
        status = weir_model_open(name, &run->arena, &run->kind);
    if (!status && run->kind->data != WEIR_DATA_TOKENS)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "model '%s' has no tokens to generate", run->kind->name);
    if (!status)
        status = generate_codec_open(&run->codec, o, run->kind->vocabulary, &run->arena);
    return status ? status : generate_stops_find(&run->codec, o, &run->arena);
}

/* Prompt and tokens must fit the positions that the model knows. */
static weir_status lengths_set(struct run *run)
{
    const struct generate_options *o = run->options;
    int64_t room = run->kind->seq_len - run->n_prompt;
    bool given = options_given(&o->given, "tokens");
    run->n_tokens = given ? o->tokens : room < DEFAULT_TOKENS ? room : DEFAULT_TOKENS;
    if (room < 1 || run->n_tokens > room)
        return WEIR_FAIL(WEIR_ERR_USAGE, "a prompt of %lld tokens and %lld more pass the %lld positions of model '%s': use a "
                                         "shorter prompt or fewer --tokens",
                         (long long)run->n_prompt, (long long)(given ? run->n_tokens : 1), (long long)run->kind->seq_len,
                         run->kind->name);
    return WEIR_OK;
}

static weir_status config_make(struct run *run, struct weir_generator_config *config_out)
{
    const struct generate_options *o = run->options;
    int64_t context = run->n_prompt + run->n_tokens;
    struct weir_model_params params = {
        .microbatch_size = 1, .seq_len = context < CHUNK ? context : CHUNK, .context = context};
    struct weir_generator_config config = WEIR_GENERATOR_CONFIG_DEFAULT;
    run->chunk = params.seq_len;
    weir_status status = weir_model_build(run->kind, &params, &run->arena, &config.prompt);
    params.seq_len = 1;
    if (!status)
        status = weir_model_build(run->kind, &params, &run->arena, &config.token);
    config.n_samples = (int)o->samples;
    config.n_stages = (int)o->stages;
    config.device = o->device;
    config.threads_per_rank = (int)o->threads;
    config.seed = (uint64_t)o->seed;
    config.device_memory = o->device_memory;
    *config_out = config;
    return status;
}

/* What does not fit is shown too. */
static weir_status memory_look(const struct run *run, const struct weir_generator_config *config)
{
    struct weir_arena arena = {0};
    struct weir_memory_report report = {.ranks = NULL};
    if (*run->options->print_memory)
        return weir_generator_preview(config, weir_text_to_file, stdout);
    weir_status status = weir_generator_memory(config, &arena, &report);
    weir_status shown = report.ranks ? memory_show(&report, run->options->json, stdout) : WEIR_OK;
    weir_arena_release(&arena);
    return status ? status : shown;
}

static weir_status generator_open(struct run *run)
{
    const struct generate_options *o = run->options;
    struct weir_generator_config config;
    weir_status status = config_make(run, &config);
    if (!status && o->print_memory)
        return memory_look(run, &config);
    if (!status)
        status = weir_generator_open(&config, &run->generator);
    if (!status && o->init_from)
        status = weir_generator_load_weights(run->generator, o->init_from);
    return status;
}

static weir_status samples_make(struct run *run)
{
    size_t n = (size_t)run->options->samples;
    weir_status status = weir_arena_alloc(&run->arena, n, sizeof *run->samples, &run->samples);
    if (!status)
        status = weir_arena_alloc(&run->arena, n, sizeof *run->next, &run->next);
    if (!status)
        status = weir_arena_alloc(&run->arena, (size_t)run->kind->vocabulary, sizeof *run->work, &run->work);
    for (size_t s = 0; s < n && !status; s++) {
        run->samples[s].end = -1;
        run->samples[s].text = (struct token_text){.codec = &run->codec, .numbers = run->options->prompt_tokens != NULL};
        status = weir_arena_alloc(&run->arena, (size_t)run->n_tokens, sizeof(int32_t), &run->samples[s].tokens);
    }
    return status;
}

/* What is read, and what is written. */
static weir_status paths_register(const struct generate_options *o)
{
    struct paths paths = {0};
    paths_read(&paths, "--config", o->config);
    paths_read_model_name(&paths, "--model", o->model);
    paths_read_model(&paths, "--init-from", o->init_from);
    paths_read_tokenizer(&paths, "--tokenizer", o->tokenizer);
    paths_write(&paths, "--logits", o->logits);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    return status;
}

static weir_status run_open(struct run *run)
{
    const struct generate_options *o = run->options;
    weir_status status = paths_register(o);
    if (!status)
        status = model_open(run);
    if (!status)
        status = codec_prompt(&run->codec, o, &run->arena, &run->prompt, &run->n_prompt);
    if (!status)
        status = lengths_set(run);
    if (!status)
        status = generator_open(run);
    if (status || o->print_memory)
        return status;
    status = samples_make(run);
    if (!status && o->logits)
        status = logits_open(&run->logits, o->logits, o->samples, run->kind->vocabulary);
    if (!status && !o->init_from && !o->quiet)
        fprintf(stderr, "weir generate: no --init-from: the weights are initial ones, the text is noise\n");
    return status;
}

static void run_close(struct run *run)
{
    for (int64_t s = 0; run->samples && s < run->options->samples; s++)
        weir_text_release(&run->samples[s].out);
    logits_abort(&run->logits);
    weir_generator_close(run->generator);
    weir_arena_release(&run->arena);
}

/* ---- generate ------------------------------------------------------------------------------------------------------ */

/* With one sample the text is printed while it grows. */
static bool streams(const struct run *run)
{
    return run->options->samples == 1 && !run->options->json;
}

static void sample_print(struct sample *sample)
{
    if (sample->out.length)
        fwrite(sample->out.data, 1, sample->out.length, stdout);
    fflush(stdout);
    weir_text_release(&sample->out);
}

/* Logits are what the weights make of the text. */
static weir_status numeric_fail(const struct run *run)
{
    const char *bad;
    weir_status status = weir_generator_param_bad(run->generator, &bad);
    if (status || !bad)
        return status ? status : WEIR_ERR_NUMERIC;
    return WEIR_FAIL(WEIR_ERR_NUMERIC, "parameter '%s' has values that are not finite, and so has what the model says", bad);
}

/* The next token of every sample that has not ended; *left_out: how many there are. */
static weir_status samples_draw(struct run *run, int64_t position, int64_t *left_out)
{
    const struct generate_options *o = run->options;
    const struct weir_sampling sampling = {o->temperature, o->top_k, (uint64_t)o->seed};
    *left_out = 0;
    for (int64_t s = 0; s < o->samples; s++) {
        struct sample *sample = &run->samples[s];
        int32_t token;
        const float *logits = weir_generator_logits(run->generator, (int)s);
        weir_status status = o->logits ? logits_add(&run->logits, logits) : WEIR_OK;
        if (!status)
            status = weir_token_sample(&sampling, logits, run->kind->vocabulary, (uint32_t)s, position, run->work, &token);
        if (status)
            return status == WEIR_ERR_NUMERIC ? numeric_fail(run) : status;
        run->next[s] = token;
        if (sample->end < 0 && generate_stops_at(&run->codec, token))
            sample->end = token;
        if (sample->end >= 0)
            continue;
        ++*left_out;
        sample->tokens[sample->n_tokens++] = token;
        token_text_add(&sample->text, token, &sample->out);
        if (sample->out.status)
            return sample->out.status;
        if (streams(run))
            sample_print(sample);
    }
    return WEIR_OK;
}

static weir_status generate(struct run *run)
{
    int64_t left = 0, start = weir_clock_ns();
    weir_status status = weir_generator_prompt(run->generator, run->prompt, run->n_prompt);
    run->prompt_ns = weir_clock_ns() - start;
    for (int64_t i = 0; i < run->n_tokens && !status; i++) {
        status = samples_draw(run, run->n_prompt + i, &left);
        if (status || !left || i + 1 == run->n_tokens || ferror(stdout)) /* of which main tells */
            break;
        start = weir_clock_ns();
        status = weir_generator_next(run->generator, run->next);
        run->tokens_ns += weir_clock_ns() - start;
        run->n_steps++;
    }
    for (int64_t s = 0; s < run->options->samples; s++)
        token_text_end(&run->samples[s].text, &run->samples[s].out);
    return status || !run->options->logits ? status : logits_commit(&run->logits);
}

/* ---- print --------------------------------------------------------------------------------------------------------- */

/* The prompt as it went in, so that the text can be read from its start. */
static void prompt_print(const struct run *run)
{
    const char *prompt = run->options->prompt;
    if (prompt)
        fputs(prompt, stdout);
}

static void texts_print(struct run *run)
{
    for (int64_t s = 0; s < run->options->samples; s++) {
        if (!streams(run)) {
            printf("%s--- sample %lld ---\n", s ? "\n" : "", (long long)s + 1);
            prompt_print(run);
        }
        sample_print(&run->samples[s]);
        printf("\n");
    }
}

static weir_status json_print(struct run *run)
{
    json_t *samples = json_array(), *root = json_pack("{s:o, s:I, s:o}", "model", weir_json_utf8(run->kind->name), "prompt_tokens",
                                                      (json_int_t)run->n_prompt, "samples", samples);
    for (int64_t s = 0; s < run->options->samples && root; s++) {
        struct sample *sample = &run->samples[s];
        json_t *tokens = json_array();
        for (int64_t i = 0; i < sample->n_tokens; i++)
            json_array_append_new(tokens, json_integer(sample->tokens[i]));
        json_array_append_new(samples, json_pack("{s:o, s:s, s:s, s:o}", "tokens", tokens, "text",
                                                 sample->out.length ? sample->out.data : "", "stop",
                                                 sample->end < 0 ? "length" : "eos", "eos",
                                                 sample->end < 0 ? json_null() : json_integer(sample->end)));
    }
    root = weir_json_whole(root);
    char *text = root ? json_dumps(root, JSON_SORT_KEYS) : NULL;
    json_decref(root);
    if (!text)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for the result as JSON");
    printf("%s\n", text);
    free(text);
    return WEIR_OK;
}

static void speed_print(const struct run *run)
{
    double tokens = (double)run->n_steps * (double)run->options->samples;
    fprintf(stderr, "weir generate: prompt of %lld token%s in %.1f ms", (long long)run->n_prompt,
            run->n_prompt == 1 ? "" : "s", (double)run->prompt_ns / 1e6);
    if (run->n_steps)
        fprintf(stderr, ", then %.1f tokens/s", tokens / ((double)run->tokens_ns / 1e9));
    if (run->options->samples == 1 && run->samples[0].end >= 0)
        fprintf(stderr, ", ended by token %d", run->samples[0].end);
    fprintf(stderr, "\n");
}

static weir_status run_all(struct run *run)
{
    weir_status status = run_open(run);
    if (status || run->options->print_memory)
        return status;
    if (streams(run))
        prompt_print(run);
    status = generate(run);
    if (!status && run->options->json)
        status = json_print(run);
    else if (!status)
        texts_print(run);
    if (!status && !run->options->quiet)
        speed_print(run);
    return status;
}

static int run_generate(int argc, char **argv)
{
    struct generate_options o = {.device = "cpu", .seed = 1, .samples = 1, .stages = 1, .threads = 1};
    struct run run = {.options = &o};
    int n;
    enum option_outcome outcome;
    weir_status status = options_parse(&o.given, &table, argc, argv, &o, NULL, 0, &n, &outcome);
    if (!status && outcome == OPTIONS_PARSED)
        status = run_all(&run);
    int code = options_report("generate", status);
    run_close(&run);
    options_release(&o.given);
    return code;
}

static const struct option_table *const tables[] = {&table, NULL};
const struct command command_generate = {"generate", "continue a text with a model on a pipeline of devices", tables,
                                         run_generate, true};
