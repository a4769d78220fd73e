/* Weights from Hugging Face files.
 *
 * Reading checks all tensors before it changes a parameter, and goes tensor by tensor, with one buffer as large as the largest of
 * them. */
#include "engine/checkpoint/weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/tensor_files.h"
#include "engine/run/params.h"
#include "kernels/op_rows.h"

enum { MOST_PADDING = 1024, PADDED_TO = 8, COMPARED = 1 << 14 };

/* Where the values of each parameter come from. */
struct source {
    const struct weir_safetensors *file;
    const struct weir_safetensors_tensor *tensor;
};

struct import {
    struct weir_runner *runner;
    struct weir_tensor_files files;
    struct source *sources; /* [n_params] */
    struct source head;     /* what a tied model's file holds beside the table; tensor NULL: nothing */
    int tied;               /* the parameter that `head` is */
};

static weir_status buffer_make(const struct weir_graph *graph, float **values_out)
{
    int64_t most = 0;
    for (int i = 0; i < graph->n_params; i++) {
        int64_t n = weir_shape_elements(&graph->params[i].shape);
        most = n > most ? n : most;
    }
    return weir_alloc((size_t)most, sizeof **values_out, values_out);
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

/* `name` is `wanted`, with or without the prefix on either side. */
static bool name_matches(const char *name, const char *wanted, const char *prefix)
{
    size_t n = prefix ? strlen(prefix) : 0;
    if (n && !strncmp(name, prefix, n))
        name += n;
    if (n && !strncmp(wanted, prefix, n))
        wanted += n;
    return !strcmp(name, wanted);
}

static int param_of(const struct weir_graph *graph, const char *tensor)
{
    for (int i = 0; i < graph->n_params; i++)
        if (name_matches(tensor, graph->params[i].name, graph->hf_prefix))
            return i;
    return -1;
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

/* Tensors of published files that are not parameters: causal masks and rotary tables. */
static bool is_buffer(const char *name)
{
    return ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias") || ends_with(name, ".rotary_emb.inv_freq");
}

/* The parameter of a tied head, which files may hold a second time as lm_head.weight; or -1. */
static int tied_head(const struct weir_graph *graph, const char *tensor)
{
    for (int n = 0; n < graph->n_nodes && !strcmp(tensor, "lm_head.weight"); n++)
        if (!strcmp(graph->nodes[n].name, "lm_head"))
            return graph->nodes[n].params[0];
    return -1;
}

/* The parameter has a row per id: a table of tokens, or the head. */
static bool has_row_per_id(const struct weir_graph *graph, int param)
{
    for (int n = 0; n < graph->n_nodes; n++) {
        const struct weir_node *node = &graph->nodes[n];
        if (node->shapes.n_params && node->params[0] == param &&
            (node->op == &weir_op_embedding || !strcmp(node->name, "lm_head")))
            return true;
    }
    return false;
}

/* Rows beyond the vocabulary, up to a round number: there so that products are faster, and never an id. */
static bool is_padded(const struct weir_graph *graph, int param, const struct weir_safetensors_tensor *tensor)
{
    const struct weir_shape *shape = &graph->params[param].shape;
    int64_t rows = tensor->n_dims ? tensor->dims[0] : 0;
    return tensor->n_dims == 2 && shape->n_dims == 2 && tensor->dims[1] == shape->dims[1] && rows > shape->dims[0] &&
           rows - shape->dims[0] < MOST_PADDING && rows % PADDED_TO == 0 && has_row_per_id(graph, param);
}

static bool shapes_match(const struct weir_shape *shape, const struct weir_safetensors_tensor *tensor)
{
    bool same = tensor->n_dims == shape->n_dims;
    for (int i = 0; same && i < shape->n_dims; i++)
        same = tensor->dims[i] == shape->dims[i];
    return same;
}

static weir_status shape_check(const struct weir_runner *runner, int param, const struct source *s)
{
    const struct weir_graph *graph = runner->build.graph;
    char want[WEIR_SAFETENSORS_SHAPE_TEXT], got[WEIR_SAFETENSORS_SHAPE_TEXT];
    const struct weir_param *p = &graph->params[param];
    bool padded = is_padded(graph, param, s->tensor);
    if (padded && (!runner->world.info || runner->world.info->rank == 0)) /* said once */
        weir_log(WEIR_LOG_WARN, "'%s': tensor '%s' has %" PRId64 " rows for a vocabulary of %" PRId64 ": the rest is padding and is "
                 "not read", s->file->path, s->tensor->name, s->tensor->dims[0], p->shape.dims[0]);
    if (!padded && !shapes_match(&p->shape, s->tensor))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' is %s, parameter '%s' is "
                         "%s%s%s%s", s->file->path, s->tensor->name,
                         weir_safetensors_shape_str(s->tensor->n_dims, s->tensor->dims, got), p->name,
                         weir_safetensors_shape_str(p->shape.n_dims, p->shape.dims, want), p->sizes ? ", in config.json (" : "",
                         p->sizes ? p->sizes : "", p->sizes ? ")" : "");
    return weir_safetensors_check_floats(s->file, s->tensor);
}

static weir_status tensor_assign(struct import *import, const struct source *s)
{
    const struct weir_graph *graph = import->runner->build.graph;
    const char *name = s->tensor->name;
    int param = param_of(graph, name), head = param < 0 ? tied_head(graph, name) : -1;
    if (head >= 0) {
        import->head = *s;
        import->tied = head;
        return shape_check(import->runner, head, s);
    }
    if (param < 0 && is_buffer(name))
        return WEIR_OK;
    if (param < 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' is extra: model '%s' has no such parameter", s->file->path,
                         name, graph->name);
    struct source *source = &import->sources[param];
    if (source->tensor)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensors '%s' and '%s' are both parameter '%s'", s->file->path,
                         source->tensor->name, name, graph->params[param].name);
    *source = *s;
    return shape_check(import->runner, param, s);
}

/* The first `n` values of two tensors, `values` of them at a time. */
static weir_status values_compare(const struct source *a, const struct source *b, int64_t n, float *values, bool *same_out)
{
    float *others = values + COMPARED;
    weir_status status = WEIR_OK;
    *same_out = true;
    for (int64_t at = 0; at < n && !status && *same_out; at += COMPARED) {
        int64_t some = n - at < COMPARED ? n - at : COMPARED;
        status = weir_safetensors_floats(a->file, a->tensor, at, some, values);
        if (!status)
            status = weir_safetensors_floats(b->file, b->tensor, at, some, others);
        if (!status)
            *same_out = !memcmp(values, others, (size_t)some * sizeof *values);
    }
    return status;
}

/* A tied model's head stands in for a missing table; where both are there, they are the same. */
static weir_status head_settle(struct import *import)
{
    const struct weir_graph *graph = import->runner->build.graph;
    const struct source *head = &import->head;
    float *values;
    bool same;
    if (!head->tensor)
        return WEIR_OK;
    struct source *table = &import->sources[import->tied];
    if (!table->tensor) {
        *table = *head;
        return WEIR_OK;
    }
    weir_status status = weir_alloc(2 * COMPARED, sizeof *values, &values);
    if (status)
        return status;
    status = values_compare(table, head, weir_shape_elements(&graph->params[import->tied].shape), values, &same);
    weir_free(values);
    if (status || same)
        return status;
    return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensors '%s' and '%s' differ, and config.json ties them: with "
                     "'tie_word_embeddings' false "
                     "both are read, without '%s' the table is both", import->files.path, table->tensor->name, head->tensor->name,
                     head->tensor->name);
}

static weir_status missing_check(const struct import *import)
{
    const struct weir_graph *graph = import->runner->build.graph;
    for (int i = 0; i < graph->n_params; i++)
        if (!import->sources[i].tensor)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': tensor '%s' of model '%s' is missing%s", import->files.path,
                             graph->params[i].name, graph->name,
                             strcmp(graph->params[i].name, "lm_head.weight") ? "" : ": is 'tie_word_embeddings' true for it?");
    return WEIR_OK;
}

static weir_status sources_find(struct import *import)
{
    const struct weir_graph *graph = import->runner->build.graph;
    weir_status status = weir_alloc((size_t)graph->n_params, sizeof *import->sources, &import->sources);
    for (int f = 0; f < import->files.n_files; f++)
        for (int t = 0; t < import->files.files[f].n_tensors && !status; t++) {
            const struct weir_safetensors *file = &import->files.files[f];
            status = tensor_assign(import, &(struct source){file, &file->tensors[t]});
        }
    if (!status)
        status = head_settle(import);
    return status ? status : missing_check(import);
}

static weir_status values_read(struct import *import)
{
    float *values;
    const struct weir_graph *graph = import->runner->build.graph;
    weir_status status = buffer_make(graph, &values);
    if (status)
        return status;
    for (int i = 0; i < graph->n_params && !status; i++) {
        const struct source *s = &import->sources[i];
        int64_t n = weir_shape_elements(&graph->params[i].shape);
        if (!weir_runner_holds(import->runner, i))
            continue;
        status = weir_safetensors_floats(s->file, s->tensor, 0, n, values);
        if (!status)
            status = weir_runner_param_write(import->runner, graph->params[i].name, values, (size_t)n);
    }
    weir_free(values);
    return status;
}

weir_status weir_weights_load(struct weir_runner *runner, const char *path)
{
    struct import import = {.runner = runner};
    weir_status status = weir_tensor_files_open(path, &import.files);
    if (status)
        return status;
    status = sources_find(&import);
    if (!status)
        status = values_read(&import);
    weir_free(import.sources);
    weir_tensor_files_close(&import.files);
    return status;
}

weir_status weir_weights_name(const struct weir_graph *graph, int param, struct weir_arena *arena, const char **name_out)
{
    const char *name = graph->params[param].name, *prefix = graph->hf_prefix;
    bool bare = !prefix || !strcmp(name, "lm_head.weight") || !strncmp(name, prefix, strlen(prefix));
    return weir_arena_printf(arena, name_out, "%s%s", bare ? "" : prefix, name);
}
