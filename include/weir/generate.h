/* Generation: tokens one after the other, on the same pipeline of stages that trains.
 *
 * Two forward-only programs run over the same parameters and the same caches of keys and values:
 *
 *     a prompt    in chunks of C tokens, which follow each other through the stages as micro-batches do; a chunk's
 *                 attention reads what the chunks before it have put into the cache
 *
 *                     2 stages, a prompt of 4 chunks   r0  F0 F1 F2 F3 .
 *                                                      r1  .  F0 F1 F2 F3
 *
 *     a token     of every sample, one micro-batch per sample, each with a cache of its own
 *
 *     weir_generator *generator;
 *     struct weir_generator_config config;
 *     weir_generator_config_init(&config, sizeof config);
 *     config.prompt = prompt;                 weir_model_params with .context = 64, .seq_len = 32, .microbatch_size = 1
 *     config.token = token;                   the same with .seq_len = 1
 *     config.n_stages = 2;
 *     weir_generator_open(&config, &generator);
 *     weir_generator_load_weights(generator, "model/");
 *     weir_generator_prompt(generator, tokens, n);
 *     for (int i = 0; i < 20; i++) {
 *         int32_t next;
 *         weir_token_sample(&sampling, weir_generator_logits(generator, 0), 256, 0, n + i, work, &next);
 *         weir_generator_next(generator, &next);
 *     }
 *     weir_generator_close(generator);
 *
 * All samples start from the same prompt, which runs once.  The memory of everything, caches included, is allocated by open
 * (weir_engine_print_memory shows it).  Logits have the same bits for every partition; they differ in the last bits from
 * those of the training forward, whose attention adds up in another order (docs/inference.md).  Used by one thread at a
 * time. */
#ifndef WEIR_GENERATE_H
#define WEIR_GENERATE_H

#include "weir.h"

typedef struct weir_generator weir_generator;

struct weir_generator_config {
    size_t struct_bytes;             /* sizeof(struct weir_generator_config) of the program */
    const struct weir_graph *prompt; /* of a chunk, T = C; borrowed until close */
    const struct weir_graph *token;  /* the same with T = 1; borrowed until close */
    int n_samples;                   /* >= 1 */
    int n_stages;                    /* >= 1, one per rank */
    const int *first_layer;          /* [n_stages + 1], or NULL: balanced by estimated cost */
    const char *device;              /* "cpu", "cuda", "cuda:0,cuda:1": a rank per stage */
    int threads_per_rank;            /* >= 1 */
    uint64_t seed;                   /* of initial values, where no weights are loaded */
    int64_t device_memory;           /* bytes each rank may use; 0: what the device has */
};

#define WEIR_GENERATOR_CONFIG_DEFAULT                                                                                  \
    {                                                                                                                  \
        .struct_bytes = sizeof(struct weir_generator_config), .n_samples = 1, .n_stages = 1, .device = "cpu",          \
        .threads_per_rank = 1, .seed = 1                                                                               \
    }

/* How the next token is drawn from its logits. */
struct weir_sampling {
    double temperature; /* 0: the most likely token; else logits are divided by it */
    int64_t top_k;      /* only the so many most likely tokens; 0: all */
    uint64_t seed;
};

#pragma GCC visibility push(default)
#ifdef __cplusplus
extern "C" {
#endif

/* Fill in the defaults: `bytes` is sizeof *config. */
void weir_generator_config_init(struct weir_generator_config *config, size_t bytes);

/* Compile both programs, allocate, and set initial parameters.  WEIR_ERR_INVALID: the graphs are not two lengths of one
 * model that generates.  WEIR_ERR_NOFIT and others as weir_engine_open. */
weir_status weir_generator_open(const struct weir_generator_config *config, weir_generator **generator_out);
void weir_generator_close(weir_generator *generator); /* NULL is fine */

/* Parameters and memory table, as the functions of an engine (weir.h). */
weir_status weir_generator_load_weights(weir_generator *generator, const char *path);
weir_status weir_generator_param_read(weir_generator *generator, const char *name, float *values_out, size_t n);
weir_status weir_generator_param_write(weir_generator *generator, const char *name, const float *values, size_t n);
weir_status weir_generator_print_memory(const weir_generator *generator, weir_text_fn say, void *context);

/* What a generator would take, without allocating it: the table, and the report, as weir_engine_preview and weir_engine_memory. */
weir_status weir_generator_preview(const struct weir_generator_config *config, weir_text_fn say, void *context);
weir_status weir_generator_memory(const struct weir_generator_config *config, struct weir_arena *arena,
                                  struct weir_memory_report *report_out);

/* The longest sequence, prompt and generated tokens together, and the number of logits. */
int64_t weir_generator_context(const weir_generator *generator);
int64_t weir_generator_vocabulary(const weir_generator *generator);

/* Start every sample anew with these n >= 1 tokens.  WEIR_ERR_USAGE: more than the context; nothing ran. */
weir_status weir_generator_prompt(weir_generator *generator, const int32_t *tokens, int64_t n);

/* Put one token behind each sample: tokens[n_samples].  WEIR_ERR_USAGE: there is no prompt, or the context is full;
 * nothing ran.  After another failure the generator can only be closed. */
weir_status weir_generator_next(weir_generator *generator, const int32_t *tokens);

/* The logits of the token that follows `sample`, one per word of the vocabulary; valid until the next call.  NULL before
 * the first prompt. */
const float *weir_generator_logits(const weir_generator *generator, int sample);

/* The first parameter that has a value that is not finite: why logits are not.  *name_out is NULL when all are. */
weir_status weir_generator_param_bad(weir_generator *generator, const char **name_out);

/* Draw a token from n logits.  With temperature 0 the largest, of equal ones the first; else softmax of logits /
 * temperature over the top k, of equal ones the first, and a random number that is a function of (seed, sample, position).
 * `work`: n floats.  WEIR_ERR_USAGE: temperature, top_k or n is out of range.  WEIR_ERR_NUMERIC: a logit is not finite. */
weir_status weir_token_sample_sized(const struct weir_sampling *sampling, size_t sampling_bytes, const float *logits, int64_t n,
                                    uint32_t sample, int64_t position, float *work, int32_t *token_out);
static inline weir_status weir_token_sample(const struct weir_sampling *sampling, const float *logits, int64_t n, uint32_t sample,
                                            int64_t position, float *work, int32_t *token_out)
{
    return weir_token_sample_sized(sampling, sizeof *sampling, logits, n, sample, position, work, token_out);
}

#ifdef __cplusplus
}
#endif
#pragma GCC visibility pop

#endif
