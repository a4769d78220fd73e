#include "base/grown.h"
#include "include/weir/graph.h"

#include <string.h>

#include "base/text.h"
#include "models/model_kinds.h"

const struct weir_model_kind *const weir_model_kinds[] = {
    &weir_model_mlp,         &weir_model_umlp,       &weir_model_umlp_concat,  &weir_model_gpt2_tiny,
    &weir_model_gpt2,        &weir_model_gpt2_medium, &weir_model_gpt2_large,
    &weir_model_gpt2_xl,     &weir_model_llama_tiny,  NULL};

const struct weir_model_kind *weir_model_at(int index)
{
    int n = (int)(sizeof weir_model_kinds / sizeof weir_model_kinds[0]);
    return index >= 0 && index < n ? weir_model_kinds[index] : NULL;
}

weir_status weir_model_find(const char *name, const struct weir_model_kind **kind_out)
{
    const char *names[sizeof weir_model_kinds / sizeof weir_model_kinds[0]];
    int n = 0;
    for (const struct weir_model_kind *const *kind = weir_model_kinds; *kind; kind++) {
        if (!strcmp((*kind)->name, name)) {
            *kind_out = *kind;
            return WEIR_OK;
        }
        names[n++] = (*kind)->name;
    }
    names[n] = NULL;
    return weir_unknown("model", name, names);
}

weir_status weir_model_build_sized(const struct weir_model_kind *kind, const struct weir_model_params *params,
                                   size_t params_bytes, struct weir_arena *arena, const struct weir_graph **graph_out)
{
    struct weir_model_params p;
    weir_status status = weir_grown_take("weir_model_params", "give its sizeof", params, params_bytes, &p, sizeof p);
    if (status)
        return status;
    if (p.microbatch_size < 1)
        return WEIR_FAIL(WEIR_ERR_INVALID, "micro-batch size is %lld, it must be at least 1",
                         (long long)p.microbatch_size);
    if (!(p.dropout >= 0 && p.dropout < 1))
        return WEIR_FAIL(WEIR_ERR_INVALID, "dropout is %g, it must be at least 0 and below 1", p.dropout);
    if (kind->data == WEIR_DATA_TOKENS) {
        if (!p.seq_len)
            p.seq_len = kind->seq_len;
        if (p.seq_len < 1 || p.seq_len > kind->seq_len)
            return WEIR_FAIL(WEIR_ERR_INVALID, "sequence length is %lld, model '%s' takes 1 to %lld",
                             (long long)p.seq_len, kind->name, (long long)kind->seq_len);
        if (p.context && (p.context < p.seq_len || p.context > kind->seq_len || p.microbatch_size != 1))
            return WEIR_FAIL(WEIR_ERR_INVALID, "a cache of %lld positions for %lld tokens of %lld samples: model '%s' takes "
                                               "at most %lld positions, not fewer than the tokens, of one sample",
                             (long long)p.context, (long long)p.seq_len, (long long)p.microbatch_size, kind->name,
                             (long long)kind->seq_len);
    } else if (p.seq_len || p.context) {
        return WEIR_FAIL(WEIR_ERR_USAGE, "model '%s' has no sequence length", kind->name);
    } else if (p.n_inputs < 1 || p.n_classes < 2) {
        return WEIR_FAIL(WEIR_ERR_INVALID, "model '%s' needs at least 1 input and 2 classes, not %lld and %lld",
                         kind->name, (long long)p.n_inputs, (long long)p.n_classes);
    }
    return kind->build(kind, &p, arena, graph_out);
}
