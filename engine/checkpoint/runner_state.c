#include "engine/checkpoint/runner_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/safetensors.h"
#include "base/text.h"
#include "engine/checkpoint/weights.h"
#include "engine/run/optimizer_state.h"
#include "engine/run/params.h"
#include "engine/run/transfer.h"

/* ---- spans --------------------------------------------------------------------------------------------------------- */

/* While spans are collected `tensor` is kind * n_params + parameter. */
struct collection {
    struct weir_runner *runner;
    struct weir_arena *arena;
    struct weir_span *spans;
    size_t n, room;
};

static weir_status span_add(struct collection *c, const struct weir_span *span)
{
    weir_status status = weir_arena_grow(c->arena, &c->spans, &c->room, c->n + 1, sizeof *c->spans);
    if (!status)
        c->spans[c->n++] = *span;
    return status;
}

static weir_status params_collect(struct collection *c, struct weir_rank *rank)
{
    const struct weir_rank_program *r = weir_rank_program(rank);
    const struct weir_graph *graph = c->runner->build.graph;
    weir_status status = WEIR_OK;
    for (int i = 0; i < r->n_params && rank->replica == 0 && !status; i++)
        if (r->params[i].owned)
            status = span_add(c, &(struct weir_span){.tensor = r->params[i].param, .rank = rank, .kind = WEIR_MEMORY_PARAMS,
                                                     .n = weir_shape_elements(&graph->params[r->params[i].param].shape),
                                                     .offset = r->params[i].offset});
    return status;
}

static weir_status moments_collect(struct collection *c, struct weir_rank *rank)
{
    const struct weir_rank_program *r = weir_rank_program(rank);
    bool writes = c->runner->build.program->zero || rank->replica == 0;
    int n_params = c->runner->build.graph->n_params;
    weir_status status = WEIR_OK;
    for (int i = 0; i < r->n_pieces && writes; i++)
        for (int m = 0; m < weir_runner_n_moments(c->runner) && weir_rank_keeps(rank, &r->pieces[i]) && !status; m++)
            status = span_add(c, &(struct weir_span){.tensor = (m + 1) * n_params + r->params[r->pieces[i].held].param,
                                                     .first = r->pieces[i].first, .n = r->pieces[i].n, .rank = rank,
                                                     .kind = WEIR_MEMORY_OPTIMIZER,
                                                     .offset = weir_moment_offset(&r->pieces[i], m)});
    return status;
}

static int by_place(const void *a, const void *b)
{
    const struct weir_span *x = a, *y = b;
    return x->tensor != y->tensor ? x->tensor - y->tensor : (x->first > y->first) - (x->first < y->first);
}

/* Spans that follow each other in a tensor become one piece of it. */
static weir_status tensors_make(struct collection *c, struct weir_spans *out)
{
    const struct weir_graph *graph = c->runner->build.graph;
    weir_status status = weir_arena_alloc(c->arena, c->n, sizeof *out->tensors, &out->tensors);
    const struct weir_span *before = NULL;
    int number = -1;
    for (size_t i = 0; i < c->n && !status; before = &c->spans[i++]) {
        struct weir_span *span = &c->spans[i];
        const struct weir_shape *shape = &graph->params[span->tensor % graph->n_params].shape;
        bool follows = before && number == span->tensor && before->first + before->n == span->first;
        number = span->tensor;
        if (!follows) {
            struct weir_part_tensor *t = &out->tensors[out->n_tensors++];
            *t = (struct weir_part_tensor){.kind = (enum weir_checkpoint_kind)(number / graph->n_params),
                                           .n_dims = shape->n_dims, .dims = shape->dims,
                                           .n_elements = weir_shape_elements(shape), .first = span->first};
            status = weir_weights_name(graph, number % graph->n_params, c->arena, &t->name);
        }
        span->tensor = out->n_tensors - 1;
        out->tensors[span->tensor].n += span->n;
        span->copy_at = out->bytes;
        out->bytes += (size_t)span->n * sizeof(float);
    }
    return status;
}

weir_status weir_runner_spans(struct weir_runner *runner, struct weir_arena *arena, struct weir_spans *spans_out)
{
    struct collection c = {.runner = runner, .arena = arena};
    struct weir_spans spans = {0};
    weir_status status = WEIR_OK;
    for (int r = runner->machine.first_here; r < runner->machine.end_here && !status; r++) {
        status = params_collect(&c, &runner->machine.ranks[r]);
        if (!status)
            status = moments_collect(&c, &runner->machine.ranks[r]);
    }
    if (!status && c.n) {
        qsort(c.spans, c.n, sizeof *c.spans, by_place);
        status = tensors_make(&c, &spans);
    }
    if (status)
        return status;
    spans.spans = c.spans;
    spans.n_spans = (int)c.n;
    *spans_out = spans;
    return WEIR_OK;
}

weir_status weir_spans_copy(const struct weir_spans *spans)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < spans->n_spans && !status; i++) {
        const struct weir_span *s = &spans->spans[i];
        status = weir_read(s->rank, s->kind, s->offset, spans->copy + s->copy_at, (size_t)s->n * sizeof(float));
    }
    return status;
}

/* The last span that begins at or before the element. */
static const struct weir_span *span_find(const struct weir_spans *spans, int tensor, int64_t element)
{
    int low = 0, high = spans->n_spans;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        const struct weir_span *s = &spans->spans[middle];
        if (s->tensor < tensor || (s->tensor == tensor && s->first <= element))
            low = middle;
        else
            high = middle;
    }
    return &spans->spans[low];
}

weir_status weir_spans_read(void *context, int tensor, int64_t first, int64_t most, float *room, const float **values_out,
                            int64_t *n_out)
{
    const struct weir_spans *spans = context;
    const struct weir_span *s = span_find(spans, tensor, first);
    size_t skipped = (size_t)(first - s->first) * sizeof(float);
    *n_out = s->first + s->n - first < most ? s->first + s->n - first : most;
    if (spans->copy) {
        *values_out = (const float *)(const void *)(spans->copy + s->copy_at + skipped);
        return WEIR_OK;
    }
    *values_out = room;
    return weir_read(s->rank, s->kind, s->offset + skipped, room, (size_t)*n_out * sizeof(float));
}

/* ---- checking ------------------------------------------------------------------------------------------------------ */

struct load {
    struct weir_runner *runner;
    weir_checkpoint *checkpoint;
    const struct weir_checkpoint_info *info;
    struct weir_arena arena;
    const char **names; /* [n_params] */
};

static weir_status names_make(struct load *load)
{
    const struct weir_graph *graph = load->runner->build.graph;
    weir_status status = weir_arena_alloc(&load->arena, (size_t)graph->n_params, sizeof *load->names, &load->names);
    for (int i = 0; i < graph->n_params && !status; i++)
        status = weir_weights_name(graph, i, &load->arena, &load->names[i]);
    return status;
}

/* What does not fit, the first of it in words. */
struct misfits {
    struct weir_text text;
    int n;
};

enum { MOST_SAID = 4 };

static void misfit_add(struct misfits *m, const char *kind, const char *name, const char *flaw)
{
    if (m->n++ < MOST_SAID)
        weir_text_append(&m->text, "%s%s '%s' %s", m->n > 1 ? ", " : "", kind, name, flaw);
}

static bool same_shape(const struct weir_checkpoint_tensor *t, const struct weir_shape *shape)
{
    bool same = t->n_dims == shape->n_dims;
    for (int i = 0; same && i < shape->n_dims; i++)
        same = t->dims[i] == shape->dims[i];
    return same;
}

static void tensor_check(const struct load *load, enum weir_checkpoint_kind kind, int param, struct misfits *m)
{
    char want[WEIR_SAFETENSORS_SHAPE_TEXT], got[WEIR_SAFETENSORS_SHAPE_TEXT], flaw[2 * WEIR_SAFETENSORS_SHAPE_TEXT + 16];
    const struct weir_shape *shape = &load->runner->build.graph->params[param].shape;
    const char *name = load->names[param];
    int found = weir_checkpoint_find(load->checkpoint, kind, name);
    const struct weir_checkpoint_tensor *t = found < 0 ? NULL : &load->info->tensors[found];
    if (!t) {
        misfit_add(m, weir_checkpoint_kind_str(kind), name, "is missing");
    } else if (!same_shape(t, shape)) {
        snprintf(flaw, sizeof flaw, "is %s instead of %s", weir_safetensors_shape_str(t->n_dims, t->dims, got),
                 weir_safetensors_shape_str(shape->n_dims, shape->dims, want));
        misfit_add(m, weir_checkpoint_kind_str(kind), name, flaw);
    }
}

static bool is_param(const struct load *load, const char *name)
{
    for (int i = 0; i < load->runner->build.graph->n_params; i++)
        if (!strcmp(load->names[i], name))
            return true;
    return false;
}

static weir_status misfits_report(const struct load *load, const struct misfits *m)
{
    char more[32] = "";
    if (m->n > MOST_SAID)
        snprintf(more, sizeof more, " and %d more", m->n - MOST_SAID);
    if (m->text.status)
        return m->text.status;
    return WEIR_FAIL(WEIR_ERR_INVALID, "checkpoint '%s' of model '%s' does not fit model '%s': %s%s", load->info->folder,
                     load->info->model, load->runner->build.graph->name, m->text.data, more);
}

/* All kinds of tensors up to `n_kinds` are there for every parameter, and none for anything else. */
static weir_status tensors_check(const struct load *load, int n_kinds)
{
    struct misfits m = {.n = 0};
    for (int k = 0; k < n_kinds; k++)
        for (int i = 0; i < load->runner->build.graph->n_params; i++)
            tensor_check(load, (enum weir_checkpoint_kind)k, i, &m);
    for (int i = 0; i < load->info->n_tensors; i++) {
        const struct weir_checkpoint_tensor *t = &load->info->tensors[i];
        if ((int)t->kind < n_kinds && !is_param(load, t->name))
            misfit_add(&m, weir_checkpoint_kind_str(t->kind), t->name, "is extra");
    }
    weir_status status = m.n ? misfits_report(load, &m) : WEIR_OK;
    weir_text_release(&m.text);
    return status;
}

static const char *optimizer_str(const struct weir_runner *runner)
{
    return runner->build.config.optimizer == WEIR_OPTIMIZER_ADAMW ? "adamw" : "sgd";
}

static weir_status run_check(const struct load *load)
{
    const char *mine = optimizer_str(load->runner);
    uint64_t seed = load->runner->build.config.seed;
    if (strcmp(load->info->optimizer, "none") != 0 && strcmp(load->info->optimizer, mine) != 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "checkpoint '%s' was trained with optimizer %s, this run has %s: use "
                         WEIR_OPTION("optimizer=%s"), load->info->folder, load->info->optimizer, mine, load->info->optimizer);
    if (load->info->has_seed && load->info->seed != seed)
        return WEIR_FAIL(WEIR_ERR_INVALID, "checkpoint '%s' was trained with seed %llu, this run has %llu: use "
                         WEIR_OPTION("seed=%llu"), load->info->folder, (unsigned long long)load->info->seed, (unsigned long long)seed,
                         (unsigned long long)load->info->seed);
    return WEIR_OK;
}

/* ---- loading ------------------------------------------------------------------------------------------------------- */

static weir_status room_make(const struct weir_graph *graph, float **room_out)
{
    int64_t most = 0;
    for (int i = 0; i < graph->n_params; i++) {
        int64_t n = weir_shape_elements(&graph->params[i].shape);
        most = n > most ? n : most;
    }
    return weir_alloc((size_t)most, sizeof **room_out, room_out);
}

static weir_status params_set(struct load *load, float *room)
{
    const struct weir_graph *graph = load->runner->build.graph;
    weir_status status = WEIR_OK;
    for (int i = 0; i < graph->n_params && !status; i++) {
        int64_t n = weir_shape_elements(&graph->params[i].shape);
        if (!weir_runner_holds(load->runner, i))
            continue;
        status = weir_checkpoint_read(load->checkpoint,
                                      weir_checkpoint_find(load->checkpoint, WEIR_CHECKPOINT_PARAMETER, load->names[i]), 0, n, room);
        if (!status)
            status = weir_runner_param_write(load->runner, graph->params[i].name, room, (size_t)n);
    }
    return status;
}

static weir_status piece_set(struct load *load, struct weir_rank *rank, const struct weir_piece *piece, float *room)
{
    int param = weir_rank_program(rank)->params[piece->held].param;
    weir_status status = WEIR_OK;
    for (int m = 0; m < weir_runner_n_moments(load->runner) && !status; m++) {
        enum weir_checkpoint_kind kind = (enum weir_checkpoint_kind)(WEIR_CHECKPOINT_EXP_AVG + m);
        int tensor = weir_checkpoint_find(load->checkpoint, kind, load->names[param]);
        if (tensor >= 0)
            status = weir_checkpoint_read(load->checkpoint, tensor, piece->first, piece->n, room);
        else /* made of weights alone */
            memset(room, 0, (size_t)piece->n * sizeof *room);
        if (!status)
            status = weir_write(rank, WEIR_MEMORY_OPTIMIZER, weir_moment_offset(piece, m), room, (size_t)piece->n * sizeof *room);
    }
    return status;
}

static weir_status moments_set(struct load *load, float *room)
{
    const struct weir_machine *machine = &load->runner->machine;
    weir_status status = WEIR_OK;
    for (int r = machine->first_here; r < machine->end_here; r++) {
        struct weir_rank *rank = &machine->ranks[r];
        const struct weir_rank_program *program = weir_rank_program(rank);
        for (int i = 0; i < program->n_pieces && !status; i++)
            if (weir_rank_keeps(rank, &program->pieces[i]))
                status = piece_set(load, rank, &program->pieces[i], room);
    }
    return status;
}

static weir_status load_run(struct load *load, int n_kinds, bool with_moments)
{
    float *room = NULL;
    weir_status status = names_make(load);
    if (!status)
        status = tensors_check(load, n_kinds);
    if (!status)
        status = room_make(load->runner->build.graph, &room);
    if (!status)
        status = params_set(load, room);
    if (!status && with_moments)
        status = moments_set(load, room);
    weir_free(room);
    weir_arena_release(&load->arena);
    return status;
}

weir_status weir_runner_state_load(struct weir_runner *runner, weir_checkpoint *checkpoint)
{
    struct load load = {.runner = runner, .checkpoint = checkpoint, .info = weir_checkpoint_info(checkpoint)};
    bool has_moments = strcmp(load.info->optimizer, "none") != 0;
    weir_status status = run_check(&load);
    return status ? status : load_run(&load, has_moments ? 1 + weir_runner_n_moments(runner) : 1, true);
}

weir_status weir_runner_params_load(struct weir_runner *runner, weir_checkpoint *checkpoint)
{
    struct load load = {.runner = runner, .checkpoint = checkpoint, .info = weir_checkpoint_info(checkpoint)};
    return load_run(&load, 1, false);
}
