/* Fuzz target: any text is a configuration of a model, or refused; small models can be built, and their own configuration is
 * read again.  The first byte puts the keys of a right GPT-2 or Llama in front, so that the others are reached. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "models/hf_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char *const starts[] = {
    "",
    "{\"model_type\":\"gpt2\",\"n_embd\":8,\"n_layer\":1,\"n_head\":2,\"n_positions\":4,\"vocab_size\":5,",
    ("{\"model_type\":\"llama\",\"hidden_size\":8,\"intermediate_size\":4,\"num_hidden_layers\":1,"
     "\"num_attention_heads\":2,\"max_position_embeddings\":4,\"vocab_size\":5,"),
};

static void log_drop(enum weir_log_level level, const char *message, void *context)
{
    (void)level, (void)message, (void)context;
}

static void model_build(const struct weir_model_kind *kind, struct weir_arena *arena)
{
    struct weir_model_params params = {.microbatch_size = 1, .seq_len = 1};
    const struct weir_graph *graph;
    const struct weir_model_kind *again;
    if (kind->vocabulary > 1000 || weir_model_build(kind, &params, arena, &graph))
        return;
    if (weir_hf_config_parse(graph->hf_config, strlen(graph->hf_config), "again", arena, &again))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char text[4096];
    struct weir_arena arena = {0};
    const struct weir_model_kind *kind;
    if (n < 1 || n > 2048)
        return 0;
    const char *start = starts[bytes[0] % 3];
    size_t used = strlen(start);
    memcpy(text, start, used);
    memcpy(text + used, bytes + 1, n - 1);
    weir_log_set(log_drop, NULL);
    if (!weir_hf_config_parse(text, used + n - 1, "input", &arena, &kind))
        model_build(kind, &arena);
    weir_arena_release(&arena);
    return 0;
}
