/* Fuzz target: any text is a cut of gpt2-tiny, as a layout or as numbers, or refused; what is read covers all layers with
 * stages that have some, and what can be printed reads back the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "include/weir/plan.h"
#include "include/weir/graph.h"
#include "models/model_kinds.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void sound_or_abort(const struct weir_layer_cut *cut, const struct weir_graph *graph)
{
    if (cut->n_stages < 1 || cut->first_layer[0] != 0 || cut->first_layer[cut->n_stages] != graph->n_layers)
        abort();
    for (int s = 0; s < cut->n_stages; s++)
        if (cut->first_layer[s + 1] <= cut->first_layer[s])
            abort();
}

static void again_or_abort(const struct weir_layer_cut *cut, const struct weir_graph *graph, struct weir_arena *arena)
{
    struct weir_text text = {0};
    struct weir_layer_cut again;
    if (!weir_layer_cut_layout_print(cut, graph, weir_text_take, &text)) {
        size_t size = ((size_t)cut->n_stages + 1) * sizeof(int);
        if (weir_layer_cut_layout(text.data, graph, arena, &again) || again.n_stages != cut->n_stages ||
            memcmp(again.first_layer, cut->first_layer, size) != 0)
            abort();
    }
    weir_text_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static struct weir_arena model;
    static const struct weir_graph *graph;
    struct weir_arena arena = {0};
    struct weir_layer_cut cut;
    char *text = malloc(n + 1);
    const struct weir_model_params params = {.microbatch_size = 1, .seq_len = 1};
    if (!text || (!graph && weir_model_build(&weir_model_gpt2_tiny, &params, &model, &graph)))
        abort();
    memcpy(text, bytes, n);
    text[n] = 0;
    if (!weir_layer_cut_layout(text, graph, &arena, &cut) || !weir_layer_cut_numbers(text, graph, &arena, &cut)) {
        sound_or_abort(&cut, graph);
        again_or_abort(&cut, graph, &arena);
    }
    weir_arena_release(&arena);
    free(text);
    return 0;
}
