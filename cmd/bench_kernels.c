/* weir bench kernels: every operation of a model, its passes alone on this machine, beside what the machine can do.
 *
 * Nodes of one operation with the same attributes and shapes are measured once and counted.  A pass may last, at the ceilings
 * measured in the same run, as long as the longer of its multiplications at the speed of a large product and of its bytes at
 * triad speed; its share is that time / its median.  Caches can carry it past 100 %.
 *
 * backward_weight adds to gradients that are there, as from a step's second micro-batch on: its first sets the whole gradient,
 * of an embedding every row of the table, where the others touch the rows of their tokens.
 *
 * A pass computes the same numbers every time; what it leaves is compared to the bit before it is measured and afterwards, of
 * gradients that are added to from zeros on.
 *
 * With --dtype bf16 the nodes are those of the graph whose values and parameters are stored as bf16 (op.h, Storage).  What AdamW
 * goes through stays f32; to_bf16 rounds the parameters for the copies that kernels read. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/printable.h"
#include "cmd/bench_command.h"
#include "cmd/ceilings.h"
#include "cmd/compute_dtype.h"
#include "cmd/paths.h"
#include "cmd/schedule_input.h"
#include "include/weir/info.h"
#include "include/weir/weir.h"
#include "kernels/vector.h"

enum { MOST_RUNS = 4096, UPDATE_ELEMENTS = 8 << 20 };

struct values {
    const char *model, *dtype;
    int64_t microbatch_size, seq_len, threads, milliseconds;
    bool json;
};

static const struct option_row rows[] = {
    {"model", 'm', OPTION_TEXT, offsetof(struct values, model), "NAME|PATH", "model, or a folder with config.json (gpt2-tiny)", 0, 0},
    {"microbatch-size", 0, OPTION_INT, offsetof(struct values, microbatch_size), "B", "samples per micro-batch (4)", 1, 1048576},
    {"seq-len", 0, OPTION_INT, offsetof(struct values, seq_len), "T", "tokens per sample (the model's own)", 1, 1048576},
    {"dtype", 0, OPTION_TEXT, offsetof(struct values, dtype), "NAME", "of values: f32 (default) or bf16", 0, 0},
    {"threads-per-rank", 0, OPTION_INT, offsetof(struct values, threads), "N", "threads of a kernel (1)", 1, 256},
    {"milliseconds", 0, OPTION_INT, offsetof(struct values, milliseconds), "MS", "how long each pass is run (200)", 1, 100000},
    {"json", 0, OPTION_FLAG, offsetof(struct values, json), NULL, "print one JSON object", 0, 0},
    {0},
};

const struct option_table bench_kernels_table = {
    "bench kernels", "[OPERATION ...]", "time every operation of a model, beside what the machine can do",
    "weir bench kernels --model gpt2 --seq-len 256 --microbatch-size 1", rows, NULL};

struct timing {
    double median, least, most; /* ns */
};

struct row {
    const char *op, *pass, *shape;
    int n_nodes; /* of the model that are like it; 0: no node */
    double flops, bytes;
    struct timing time;
};

struct bench {
    const struct values *values;
    const char *const *names;
    int n_names;
    struct weir_arena arena;
    enum weir_compute dtype;
    const struct weir_model_kind *model;
    const struct weir_graph *graph; /* in its storage type */
    struct ceilings ceilings;
    struct weir_kernel_context *context;
    struct row *rows;
    size_t n_rows, room;
};

/* ---- timing -------------------------------------------------------------------------------------------------------- */

typedef weir_status (*run_fn)(void *argument);

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static weir_status measure(const struct bench *b, run_fn run, void *argument, struct timing *out)
{
    double *times;
    int n = 0;
    int64_t budget = b->values->milliseconds * 1000000;
    weir_status status = weir_alloc(MOST_RUNS, sizeof *times, &times);
    int64_t begin = weir_clock_ns();
    while (!status && n < MOST_RUNS && (n < 3 || weir_clock_ns() - begin < budget)) {
        int64_t before = weir_clock_ns();
        status = run(argument);
        times[n++] = (double)(weir_clock_ns() - before);
    }
    if (!status) {
        qsort(times, (size_t)n, sizeof *times, by_value);
        *out = (struct timing){times[n / 2], times[0], times[n - 1]};
    }
    weir_free(times);
    return status;
}

static weir_status row_add(struct bench *b, const struct row *row)
{
    weir_status status = weir_grow(&b->rows, &b->room, b->n_rows + 1, sizeof *b->rows);
    if (!status)
        b->rows[b->n_rows++] = *row;
    return status;
}

/* ---- nodes --------------------------------------------------------------------------------------------------------- */

struct bound {
    struct weir_op_call call;
    struct weir_op_shapes shapes;
    struct weir_shape gradients[WEIR_OP_PARAMS];
    struct weir_step_values step;
    weir_kernel_fn run;
};

static weir_status pass_run(void *argument)
{
    struct bound *bound = argument;
    return bound->run(&bound->call, NULL);
}

/* 64-byte aligned memory of the arena. */
static weir_status block(struct weir_arena *arena, size_t bytes, void **out)
{
    char *data;
    weir_status status = weir_arena_alloc(arena, bytes + 64, 1, &data);
    if (!status)
        *out = data + (64 - (uintptr_t)data % 64) % 64;
    return status;
}

/* The upper half of a float is a bf16 number. */
static uint16_t bf16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* Numbers within ±0.5; vocabulary and classes: below `limit`. */
static void fill(const struct weir_shape *shape, int64_t limit, uint64_t state, void *data)
{
    int64_t n = weir_shape_elements(shape);
    for (int64_t i = 0; i < n; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        float x = (float)(state >> 40) / 0x1p24f - 0.5f;
        if (shape->dtype == WEIR_DTYPE_I32)
            ((int32_t *)data)[i] = (int32_t)((state >> 33) % (uint64_t)limit);
        else if (shape->dtype == WEIR_DTYPE_F32)
            ((float *)data)[i] = x;
        else if (shape->dtype == WEIR_DTYPE_BF16)
            ((uint16_t *)data)[i] = bf16_of(x);
    }
}

static weir_status tensor_make(struct weir_arena *arena, struct weir_shape *shape, int64_t limit, struct weir_tensor *out)
{
    void *data;
    weir_status status = block(arena, weir_shape_bytes(shape), &data);
    if (status)
        return status;
    fill(shape, limit, (uint64_t)weir_shape_bytes(shape), data);
    *out = weir_tensor_view(data, shape);
    return WEIR_OK;
}

static size_t scratch_bytes(const struct weir_op_kernels *cpu, const struct weir_op_shapes *shapes, int n_threads)
{
    size_t most = 0;
    for (int pass = 0; pass < WEIR_PASSES && cpu->scratch_bytes; pass++) {
        size_t bytes = cpu->scratch_bytes(shapes, (enum weir_pass)pass, n_threads);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* The gradient of a loss lies over the prediction, as in a training step. */
static bool is_over_input(const struct weir_op_call *call)
{
    return (call->op->flags & WEIR_OP_LOSS) != 0;
}

static weir_status bind(const struct bench *b, const struct weir_node *node, const struct weir_op_kernels *cpu,
                        struct weir_arena *arena, struct bound *out)
{
    struct weir_op_shapes *s = &out->shapes;
    struct weir_op_call *c = &out->call;
    *out = (struct bound){.step = {.seed = 1, .training = 1}, .shapes = node->shapes};
    int64_t classes = s->inputs[0].dims[s->inputs[0].n_dims - 1];
    int64_t limit = s->n_params ? s->params[0].dims[0] : classes; /* an embedding's table, or the classes of a loss */
    weir_status status = WEIR_OK;
    *c = (struct weir_op_call){.op = node->op, .attr = s->attr, .n_inputs = s->n_inputs, .n_outputs = s->n_outputs,
                               .n_params = s->n_params, .accumulate = true, .loss_scale = 1, .step = &out->step,
                               .context = b->context};
    for (int i = 0; !status && i < s->n_inputs; i++) {
        status = tensor_make(arena, &s->inputs[i], limit, &c->inputs[i]);
        if (!status && is_over_input(c))
            c->d_inputs[i] = c->inputs[i];
        else if (!status)
            status = tensor_make(arena, &s->inputs[i], limit, &c->d_inputs[i]);
    }
    for (int i = 0; !status && i < s->n_params; i++) {
        out->gradients[i] = s->params[i];
        out->gradients[i].dtype = WEIR_DTYPE_F32;
        status = tensor_make(arena, &s->params[i], 1, &c->params[i]);
        if (!status)
            status = tensor_make(arena, &out->gradients[i], 1, &c->d_params[i]);
    }
    for (int i = 0; !status && i < s->n_outputs; i++) {
        status = tensor_make(arena, &s->outputs[i], 1, &c->outputs[i]);
        if (!status)
            status = tensor_make(arena, &s->outputs[i], 1, &c->d_outputs[i]);
    }
    if (!status)
        status = block(arena, s->saved_bytes, &c->saved);
    return status ? status : block(arena, scratch_bytes(cpu, s, (int)b->values->threads), &c->scratch);
}

static const struct weir_tensor *result_of(const struct bound *bound, enum weir_pass pass)
{
    return pass == WEIR_FORWARD ? &bound->call.output : pass == WEIR_BACKWARD_INPUT ? &bound->call.d_inputs[0] : &bound->call.d_params[0];
}

static size_t tensor_bytes(const struct weir_tensor *tensor)
{
    return (size_t)weir_tensor_elements(tensor) * tensor->bits / 8;
}

/* Run the pass, which adds to gradients of parameters, from zeros on, or which writes over its input, on the first one. */
static weir_status pass_run_afresh(struct bound *bound, enum weir_pass pass)
{
    struct weir_shape *input = &bound->shapes.inputs[0];
    if (is_over_input(&bound->call))
        fill(input, 1, (uint64_t)weir_shape_bytes(input), bound->call.inputs[0].data);
    for (int i = 0; i < bound->call.n_params && pass == WEIR_BACKWARD_WEIGHT; i++)
        memset(bound->call.d_params[i].data, 0, tensor_bytes(&bound->call.d_params[i]));
    return pass_run(bound);
}

static const char *shape_text(const struct weir_node *node, struct weir_arena *arena)
{
    const char *text = "";
    const struct weir_shape *s = &node->shapes.inputs[0];
    for (int i = 0; i < s->n_dims; i++)
        if (weir_arena_printf(arena, &text, "%s%s%lld", text, i ? " x " : "", (long long)s->dims[i]))
            return "";
    const struct weir_shape *out = &node->shapes.output;
    bool widens = node->shapes.n_params && node->shapes.params[0].n_dims > 1; /* a matrix, not a gain */
    if (widens && weir_arena_printf(arena, &text, "%s to %lld", text, (long long)out->dims[out->n_dims - 1]))
        return "";
    return text;
}

static weir_status pass_measure(struct bench *b, const struct weir_node *node, enum weir_pass pass, int n_nodes, struct bound *bound,
                                struct weir_arena *arena)
{
    static const char *const names[] = {"forward", "backward_input", "backward_weight"};
    struct row row = {.op = node->op->name, .pass = names[pass], .shape = shape_text(node, &b->arena), .n_nodes = n_nodes,
                      .flops = node->shapes.flops[pass], .bytes = node->shapes.bytes[pass]};
    const struct weir_tensor *result = result_of(bound, pass);
    size_t bytes = tensor_bytes(result);
    void *first;
    weir_status status = block(arena, bytes, &first);
    if (!status)
        status = pass_run_afresh(bound, pass);
    if (!status)
        memcpy(first, result->data, bytes);
    if (!status)
        status = measure(b, pass_run, bound, &row.time);
    if (!status)
        status = pass_run_afresh(bound, pass);
    if (!status && memcmp(first, result->data, bytes) != 0)
        status = WEIR_FAIL(WEIR_ERR_INTERNAL, "%s, %s: two runs on the same numbers differ", row.op, row.pass);
    return status ? status : row_add(b, &row);
}

static weir_status node_measure(struct bench *b, const struct weir_node *node, int n_nodes)
{
    const struct weir_op_kernels *cpu;
    weir_status status = weir_op_kernels_find(node->op, "cpu", &cpu);
    if (status)
        return status;
    const weir_kernel_fn fns[] = {cpu->forward, cpu->backward_input, cpu->backward_weight};
    struct weir_arena arena = {0};
    struct bound bound;
    status = bind(b, node, cpu, &arena, &bound);
    for (int pass = 0; !status && pass < WEIR_PASSES; pass++) {
        bound.run = fns[pass];
        if (bound.run && (pass != WEIR_BACKWARD_WEIGHT || node->shapes.n_params))
            status = pass_measure(b, node, (enum weir_pass)pass, n_nodes, &bound, &arena);
    }
    weir_arena_release(&arena);
    return status;
}

static bool shapes_equal(const struct weir_shape *a, const struct weir_shape *b)
{
    return a->n_dims == b->n_dims && a->dtype == b->dtype && !memcmp(a->dims, b->dims, (size_t)a->n_dims * sizeof *a->dims);
}

/* Of attributes, those that a pass's time follows from and shapes do not say.  The rows are the same. */
static bool attr_alike(const struct weir_node *a, const struct weir_node *b)
{
    if (!strcmp(a->op->name, "linear")) {
        const struct weir_linear_attr *x = a->shapes.attr, *y = b->shapes.attr;
        return x->in_out == y->in_out;
    }
    if (!strcmp(a->op->name, "attention")) {
        const struct weir_attention_attr *x = a->shapes.attr, *y = b->shapes.attr;
        return x->n_heads == y->n_heads && x->kv_heads == y->kv_heads;
    }
    if (!strcmp(a->op->name, "rope")) {
        const struct weir_rope_attr *x = a->shapes.attr, *y = b->shapes.attr;
        return x->n_heads == y->n_heads;
    }
    return true;
}

/* What a pass takes follows from these. */
static bool nodes_alike(const struct weir_node *a, const struct weir_node *b)
{
    bool alike = a->op == b->op && a->shapes.n_inputs == b->shapes.n_inputs && a->shapes.n_params == b->shapes.n_params &&
                 a->shapes.n_outputs == b->shapes.n_outputs && attr_alike(a, b);
    for (int i = 0; alike && i < a->shapes.n_outputs; i++)
        alike = shapes_equal(&a->shapes.outputs[i], &b->shapes.outputs[i]);
    for (int i = 0; alike && i < a->shapes.n_inputs; i++)
        alike = shapes_equal(&a->shapes.inputs[i], &b->shapes.inputs[i]);
    return alike;
}

static bool wanted(const struct bench *b, const char *op)
{
    for (int i = 0; i < b->n_names; i++)
        if (!strcmp(b->names[i], op))
            return true;
    return !b->n_names;
}

static weir_status nodes_measure(struct bench *b)
{
    const struct weir_graph *g = b->graph;
    weir_status status = WEIR_OK;
    for (int i = 0; !status && i < g->n_nodes; i++) {
        int first = 0, n = 0;
        while (!nodes_alike(&g->nodes[first], &g->nodes[i]))
            first++;
        for (int k = i; k < g->n_nodes; k++)
            n += nodes_alike(&g->nodes[i], &g->nodes[k]);
        if (first == i && !g->nodes[i].part && wanted(b, g->nodes[i].op->name))
            status = node_measure(b, &g->nodes[i], n);
    }
    return status;
}

/* ---- the end of a step --------------------------------------------------------------------------------------------- */

struct update {
    struct weir_kernel_context *context;
    float *x[4];
    double sums[UPDATE_ELEMENTS / WEIR_NORM_BLOCK];
};

static weir_status adamw_run(void *argument)
{
    struct update *u = argument;
    const struct weir_update a = {1e-4f, 0.9f, 0.95f, 1e-8f, 0.1f, 0.1f, 0.05f};
    const struct weir_update_gate gate = {.grad_scale = 1, .apply = 1};
    return weir_vector_cpu.adamw(&a, &gate, (struct weir_update_scale){1, 1}, UPDATE_ELEMENTS, u->x[0], u->x[1], u->x[2], u->x[3],
                                 u->context);
}

static weir_status square_sums_run(void *argument)
{
    struct update *u = argument;
    return weir_vector_cpu.square_sums(UPDATE_ELEMENTS, u->x[0], u->sums, u->context);
}

static weir_status to_bf16_run(void *argument)
{
    struct update *u = argument;
    return weir_vector_cpu.to_bf16(UPDATE_ELEMENTS, u->x[0], u->x[1], u->context);
}

static const struct {
    const char *op;
    run_fn run;
    double flops, bytes; /* per element */
    bool of_bf16;        /* only there */
} updates[] = {{"adamw", adamw_run, 13, 28, false}, {"to_bf16", to_bf16_run, 0, 6, true}, {"square_sums", square_sums_run, 2, 4, false}};

enum { UPDATES = sizeof updates / sizeof *updates };

static bool update_is_there(const struct bench *b, int i)
{
    return !updates[i].of_bf16 || b->dtype == WEIR_COMPUTE_BF16;
}

static weir_status updates_measure(struct bench *b)
{
    struct weir_arena arena = {0};
    struct update *u;
    const char *shape;
    weir_status status = weir_arena_alloc(&arena, 1, sizeof *u, &u);
    if (!status)
        status = weir_arena_printf(&b->arena, &shape, "%d", UPDATE_ELEMENTS);
    if (!status)
        u->context = b->context;
    for (int i = 0; !status && i < 4; i++)
        status = weir_arena_alloc(&arena, UPDATE_ELEMENTS, sizeof(float), &u->x[i]);
    for (int i = 0; !status && i < UPDATES; i++) {
        struct row row = {.op = updates[i].op, .pass = "update", .shape = shape, .flops = updates[i].flops * UPDATE_ELEMENTS,
                          .bytes = updates[i].bytes * UPDATE_ELEMENTS};
        if (!wanted(b, updates[i].op) || !update_is_there(b, i))
            continue;
        status = updates[i].run(u);
        if (!status)
            status = measure(b, updates[i].run, u, &row.time);
        if (!status)
            status = row_add(b, &row);
    }
    weir_arena_release(&arena);
    return status;
}

/* Each name that was given is that of something to measure. */
static weir_status names_check(const struct bench *b)
{
    for (int n = 0; n < b->n_names; n++) {
        bool there = false;
        for (int i = 0; i < b->graph->n_nodes; i++)
            there |= !b->graph->nodes[i].part && !strcmp(b->graph->nodes[i].op->name, b->names[n]);
        for (int i = 0; i < UPDATES; i++)
            there |= update_is_there(b, i) && !strcmp(updates[i].op, b->names[n]);
        if (!there)
            return WEIR_FAIL(WEIR_ERR_USAGE, "%s has no operation '%s'", b->model->name, b->names[n]);
    }
    return WEIR_OK;
}

/* ---- what it shows ------------------------------------------------------------------------------------------------- */

static double share_of(const struct bench *b, const struct row *row)
{
    return 1e9 * fmax(row->flops / b->ceilings.product, row->bytes / b->ceilings.triad) / row->time.median;
}

static void table_print(const struct bench *b)
{
    const struct values *v = b->values;
    char name[1024];
    printf("weir %s, %s in %s: micro-batches of %d, %d thread%s, %s\nceilings of this run: ", weir_version(),
           weir_printable(b->model->name, name, sizeof name), compute_dtypes[b->dtype], (int)v->microbatch_size, (int)v->threads,
           v->threads == 1 ? "" : "s", weir_info_instructions());
    ceilings_print(&b->ceilings);
    printf("\n%-14s %-16s %-22s %5s %10s %10s %10s %8s %7s %10s\n", "operation", "pass", "shape", "nodes", "median us", "fastest",
           "slowest", "GFLOP/s", "GB/s", "of ceiling");
    for (size_t i = 0; i < b->n_rows; i++) {
        const struct row *r = &b->rows[i];
        printf("%-14s %-16s %-22s %5d %10.1f %10.1f %10.1f %8.1f %7.1f %8.0f %%\n", r->op, r->pass, r->shape, r->n_nodes,
               r->time.median / 1e3, r->time.least / 1e3, r->time.most / 1e3, r->flops / r->time.median, r->bytes / r->time.median,
               100 * share_of(b, r));
    }
}

static json_t *row_json(const struct bench *b, const struct row *r)
{
    return json_pack("{s:s, s:s, s:s, s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "operation", r->op, "pass", r->pass, "shape", r->shape,
                     "nodes", r->n_nodes, "median_us", r->time.median / 1e3, "fastest_us", r->time.least / 1e3, "slowest_us",
                     r->time.most / 1e3, "flops", r->flops, "bytes", r->bytes, "of_ceiling", share_of(b, r));
}

static weir_status json_write(const struct bench *b)
{
    json_t *list = json_array();
    bool whole = list;
    for (size_t i = 0; whole && i < b->n_rows; i++)
        whole = !json_array_append_new(list, row_json(b, &b->rows[i]));
    if (!whole) {
        json_decref(list);
        return schedule_json_print(NULL);
    }
    return schedule_json_print(json_pack("{s:s, s:o, s:s, s:s, s:I, s:I, s:o, s:o}", "weir", weir_version(), "model",
                                         weir_json_utf8(b->model->name), "dtype", compute_dtypes[b->dtype], "instructions",
                                         weir_info_instructions(), "microbatch_size",
                                         (json_int_t)b->values->microbatch_size, "threads", (json_int_t)b->values->threads, "ceilings",
                                         ceilings_json(&b->ceilings), "rows", list));
}

static enum weir_dtype storage_of(const struct bench *b)
{
    return b->dtype == WEIR_COMPUTE_BF16 ? WEIR_DTYPE_BF16 : WEIR_DTYPE_F32;
}

static weir_status model_open(struct bench *b)
{
    const struct values *v = b->values;
    struct weir_model_params params = {.microbatch_size = v->microbatch_size, .seq_len = v->seq_len};
    struct paths paths = {0};
    paths_read_model_name(&paths, "--model", v->model);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    if (!status)
        status = weir_model_open(v->model, &b->arena, &b->model);
    if (status)
        return status;
    if (b->model->data == WEIR_DATA_IMAGES)
        params.n_inputs = 784, params.n_classes = 10;
    status = weir_model_build(b->model, &params, &b->arena, &b->graph);
    return status ? status : weir_graph_cast(b->graph, storage_of(b), &b->arena, &b->graph);
}

static weir_status bench(struct bench *b)
{
    weir_status status = compute_dtype_read(b->values->dtype, true, &b->dtype);
    if (!status)
        status = model_open(b);
    if (!status)
        status = names_check(b);
    if (!status)
        status = ceilings_measure(1, (int)b->values->threads, (int)b->values->milliseconds, storage_of(b), &b->ceilings);
    if (!status)
        status = weir_kernel_context_open((int)b->values->threads, &b->context);
    if (!status)
        status = nodes_measure(b);
    if (!status)
        status = updates_measure(b);
    if (!status && b->values->json)
        status = json_write(b);
    else if (!status)
        table_print(b);
    weir_kernel_context_close(b->context);
    weir_free(b->rows);
    weir_arena_release(&b->arena);
    return status;
}

int bench_kernels_run(int argc, char **argv)
{
    struct values values = {.model = "gpt2-tiny", .dtype = "f32", .microbatch_size = 4, .threads = 1, .milliseconds = 200};
    struct options given; /* nothing to release without --config */
    const char *names[16];
    enum option_outcome outcome;
    struct bench b = {.values = &values, .names = names};
    weir_status status = options_parse(&given, &bench_kernels_table, argc, argv, &values, names, 16, &b.n_names, &outcome);
    if (!status && outcome == OPTIONS_HELP_SHOWN)
        return 0;
    if (!status)
        status = bench(&b);
    return options_report("bench kernels", status);
}
