/* weir plan: split a cost graph over devices, and score splits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/replace.h"
#include "base/text.h"
#include "base/text_stream.h"
#include "cmd/command.h"
#include "cmd/paths.h"
#include "cmd/plan_drawing.h"
#include "cmd/plan_model.h"
#include "cmd/plan_options.h"
#include "cmd/plan_output.h"
#include "include/weir/graph.h"
#include "include/weir/partition.h"
#include "include/weir/plan.h"

#define FIELD(name) offsetof(struct plan_options, name)

static const double LINK_BANDWIDTH = 12e9; /* bytes/s, of a model */

static const struct option_row solve_rows[] = {
    {"graph", 0, OPTION_TEXT, FIELD(graph), "FILE", "cost graph to split", 0, 0},
    {"model", 0, OPTION_TEXT, FIELD(model), "NAME|PATH", "or: a model (of weir train), its costs by analysis", 0, 0},
    {"devices", 0, OPTION_INT, FIELD(devices), "K", "accelerators; default: what the file says", 0, 65536},
    {"topology", 0, OPTION_TEXT, FIELD(topology), "FILE|TEXT", "--model: devices and links, as weir info --topology takes them", 0, 0},
    {"global-batch", 0, OPTION_INT, FIELD(global_batch), "N", "--model: samples of a step (8 for each device)", 1, 1 << 24},
    {"seq-len", 0, OPTION_INT, FIELD(seq_len), "T", "--model: tokens per sample (the model's own)", 1, 1048576},
    {"device", 0, OPTION_TEXT, FIELD(device), "NAME", "--model: cpu or cuda, in this build or not (the one that has the dtype)", 0, 0},
    {"device-memory", 0, OPTION_BYTES, FIELD(memory), "BYTES", "--model: cap per device (none)", 1, 0x1p62},
    {"dtype", 0, OPTION_TEXT, FIELD(dtype), "NAME", "--model: f32 (default), tf32 or bf16", 0, 0},
    {"optimizer", 0, OPTION_TEXT, FIELD(optimizer), "NAME", "--model: adamw (default) or sgd", 0, 0},
    {"zero", 0, OPTION_TEXT, FIELD(zero), "0|1|any", "--model: ZeRO-1 (any)", 0, 0},
    {"recompute", 0, OPTION_TEXT, FIELD(recompute), "LIST", "--model: auto (default: layer by layer), none, full, or layers", 0, 0},
    {"schedule", 0, OPTION_TEXT, FIELD(schedule), "NAME", "--model: one, any (default), or auto: any, and then an order of its own", 0, 0},
    {"max-replicas", 0, OPTION_INT, FIELD(max_replicas), "D", "--model: at most so many (64, as many as a run can have)", 1, 1024},
    {"microbatch-size", 0, OPTION_INT, FIELD(microbatch_size), "B", "--model: samples per micro-batch (chosen)", 1, 1048576},
    {"microbatches", 0, OPTION_INT, FIELD(microbatches), "M", "--model: micro-batches of each replica (chosen)", 1, 1048576},
    {"top", 0, OPTION_INT, FIELD(top), "N", "--model: plans to show (5)", 1, 100},
    {"costs", 0, OPTION_TEXT, FIELD(costs), "FILE", "--model: times of its layers (weir profile; - is standard input), with --microbatch-size", 0, 0},
    {"flops", 0, OPTION_REAL, FIELD(flops), "PER_S", "--model: of a device (assumed: 150e9 on cpu; 20e12, bf16 70e12 on cuda)", 1, 1e18},
    {"traffic", 0, OPTION_REAL, FIELD(traffic), "BYTES_PER_S", "--model: of a device's memory (assumed: 15e9; 900e9 on cuda)", 1, 1e18},
    {"bandwidth", 0, OPTION_REAL, FIELD(bandwidth), "BYTES_PER_S", "of links, for pipedream files and --model; default 12e9", 1e-3, 1e18},
    {"json", 0, OPTION_FLAG, FIELD(json), NULL, "print one JSON object (--output json)", 0, 0},
    {"explain", 0, OPTION_FLAG, FIELD(explain), NULL, "time, transfer, memory, slack and cuts per stage", 0, 0},
    {"out", 'o', OPTION_TEXT, FIELD(out), "FILE", "--model: the best plan, for 'weir train --plan FILE'", 0, 0},
    {"format", 0, OPTION_TEXT, FIELD(format), "NAME", "auto (default), weir, pipedream, msr or piper", 0, 0},
    {"ranks", 'p', OPTION_INT, FIELD(ranks), "P", "--output costs or layout: P * V stages, in place of --devices", 1, 65536},
    {"chunks", 'v', OPTION_INT, FIELD(chunks), "V", "with --ranks: stages per rank (1)", 1, 65536},
    {"cpus", 0, OPTION_INT, FIELD(cpus), "N", "CPUs beside them; default 0", 0, 64},
    {"memory", 0, OPTION_BYTES, FIELD(memory), "BYTES", "cap per accelerator; default: the file's", 1, 0x1p62},
    {"objective", 0, OPTION_TEXT, FIELD(objective), "NAME", "max-load (default) or piper", 0, 0},
    {"contiguous", 0, OPTION_FLAG, FIELD(contiguous), NULL, "parts are intervals of the data flow (default)", 0, 0},
    {"any", 0, OPTION_FLAG, FIELD(any), NULL, "any node on any device", 0, 0},
    {"curve", 0, OPTION_TEXT, FIELD(curve), "A..B", "also solve for A to B devices", 0, 0},
    {"seconds", 0, OPTION_REAL, FIELD(seconds), "S", "total wall time", 1e-3, 1e6},
    {"seed", 0, OPTION_INT, FIELD(seed), "N", "seed of the searches; default 0", 0, 1e15},
    {"output", 0, OPTION_TEXT, FIELD(output), "FORM", "json, msr, pipedream, layers, layout, costs, dot or explain", 0, 0},
    {"draw", 0, OPTION_TEXT, FIELD(draw), "FILE", "drawing coloured by stage: .dot, or .svg by Graphviz", 0, 0},
    {"save-graph", 0, OPTION_TEXT, FIELD(save_graph), "FILE", "write the graph in Weir's own format", 0, 0},
    {0},
};

static const struct option_group solve_groups[] = {{"split", "format", "a split of a cost graph, or of a model's"}, {0}};

static const struct option_table solve_table = {"plan", "",
                                                "find how devices train a model fastest; or split a cost graph over them",
                                                "weir plan --model gpt2 --devices 4 --device-memory 24G -o plan.json", solve_rows, solve_groups};

static const struct option_row evaluate_rows[] = {
    {"graph", 0, OPTION_TEXT, FIELD(graph), "FILE", "cost graph", 0, 0},
    {"plan", 0, OPTION_TEXT, FIELD(plan), "FILE", "a split: Weir's, msr output or graph.txt with stage ids", 0, 0},
    {"format", 0, OPTION_TEXT, FIELD(format), "NAME", "of the graph: auto (default), weir, pipedream, msr or piper", 0,
     0},
    {"memory", 0, OPTION_BYTES, FIELD(memory), "BYTES", "cap per accelerator; default: the file's", 1, 0x1p62},
    {"bandwidth", 0, OPTION_REAL, FIELD(bandwidth), "BYTES_PER_S", "for pipedream files; default 12e9", 1e-3, 1e18},
    {"json", 0, OPTION_FLAG, FIELD(json), NULL, "print one JSON object", 0, 0},
    {"explain", 0, OPTION_FLAG, FIELD(explain), NULL, "time, transfer, memory, slack and cuts per stage", 0, 0},
    {0},
};

static const struct option_table evaluate_table = {"plan evaluate", "", "score anybody's split of a cost graph",
                                                   "weir plan evaluate --graph model.json --plan split.json",
                                                   evaluate_rows, NULL};

static weir_status name_find(const char *what, const char *word, const char *const *names, int *index_out)
{
    for (int i = 0; names[i]; i++)
        if (!strcmp(names[i], word)) {
            *index_out = i;
            return WEIR_OK;
        }
    return weir_unknown(what, word, names);
}

static weir_status storage_read(const struct plan_options *options, enum weir_dtype *storage_out)
{
    static const char *const names[] = {"f32", "bf16", NULL};
    static const enum weir_dtype storages[] = {WEIR_DTYPE_F32, WEIR_DTYPE_BF16};
    int index = 0;
    weir_status status = options->dtype ? name_find("dtype", options->dtype, names, &index) : WEIR_OK;
    *storage_out = storages[index];
    return status;
}

/* What is to be split. */
struct plan_input {
    struct weir_arena arena;
    weir_cost_graph *graph;
    struct weir_cost_graph_info info;
    const struct weir_graph *model; /* NULL: a cost graph was given */
};

/* Image models are priced for the images of MNIST: 784 pixels, 10 classes. */
static weir_status model_load(const struct plan_options *options, struct plan_input *input)
{
    const struct weir_model_kind *kind;
    const struct weir_graph *layers;
    struct weir_model_params params = {.microbatch_size = options->microbatch_size, .seq_len = options->seq_len};
    struct weir_ceilings ceilings = {options->flops, options->traffic,
                                     options->bandwidth > 0 ? options->bandwidth : LINK_BANDWIDTH};
    enum weir_dtype storage;
    weir_status status = storage_read(options, &storage);
    if (!status)
        status = weir_model_open(options->model, &input->arena, &kind);
    if (status)
        return status;
    if (kind->data == WEIR_DATA_IMAGES)
        params.n_inputs = 784, params.n_classes = 10;
    status = weir_model_build(kind, &params, &input->arena, &input->model);
    if (!status)
        status = weir_graph_cast(input->model, storage, &input->arena, &layers);
    return status ? status : weir_cost_graph_of_model(layers, options->recompute, &ceilings, &input->graph);
}

/* On failure there is no graph to release. */
static weir_status graph_load(const struct plan_options *options, struct plan_input *input)
{
    static const char *const of_model[] = {"recompute", "dtype", "seq-len", "out", "schedule", "microbatches", "optimizer",
                                           "device", "global-batch", "device-memory", "zero", "max-replicas", "top", "costs", "topology", NULL};
    if (options->graph && options->model)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--graph and --model exclude each other");
    for (int i = 0; options->graph && of_model[i]; i++)
        if (options_given(&options->given, of_model[i]))
            return WEIR_FAIL(WEIR_ERR_USAGE, "--%s needs --model: a cost graph has its times and bytes already", of_model[i]);
    if (options->model)
        return model_load(options, input);
    if (!options->graph)
        return WEIR_FAIL(WEIR_ERR_USAGE, "no graph: give --graph FILE or --model NAME");
    weir_status status = weir_cost_graph_open(options->graph, options->format, options->bandwidth, &input->graph);
    if (status)
        return status;
    struct weir_arena arena = {0};
    const char *suspicion = weir_cost_graph_suspicion(input->graph, &arena);
    if (suspicion)
        weir_log(WEIR_LOG_WARN, "'%s': %s", options->graph, suspicion);
    weir_arena_release(&arena);
    return WEIR_OK;
}

static weir_status curve_read(const char *text, struct weir_split_request *request)
{
    char *end;
    long first = strtol(text, &end, 10), last = 0;
    bool good = end != text && !strncmp(end, "..", 2);
    if (good) {
        text = end + 2;
        last = strtol(text, &end, 10);
        good = end != text && !*end;
    }
    if (!good || first < 1 || last < first || last > 65536)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--curve takes A..B with 1 <= A <= B <= 65536");
    request->curve_first = (int)first;
    request->curve_last = (int)last;
    return WEIR_OK;
}

/* -p P -v V: 0 without them. */
static int64_t stages_wanted(const struct plan_options *options)
{
    return options->ranks * (options->chunks ? options->chunks : 1);
}

static weir_status stages_convert(const struct plan_options *options, struct weir_split_request *request)
{
    if (!options->ranks && !options->chunks)
        return WEIR_OK;
    if (!options->output || (strcmp(options->output, "costs") != 0 && strcmp(options->output, "layout") != 0))
        return WEIR_FAIL(WEIR_ERR_USAGE, "--%s is for --output costs or layout: use --devices", options->ranks ? "ranks" : "chunks");
    if (!options->ranks)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--chunks is about the stages of a rank: give --ranks too");
    if (options_given(&options->given, "devices"))
        return WEIR_FAIL(WEIR_ERR_USAGE, "--devices and --ranks both say how many stages there are: leave out one");
    if (stages_wanted(options) > 65536)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--ranks %lld with --chunks %lld are more than 65536 stages", (long long)options->ranks, (long long)options->chunks);
    request->n_devices = (int)stages_wanted(options);
    return WEIR_OK;
}

static weir_status options_convert(const struct plan_options *options, const struct weir_cost_graph_info *graph,
                                   struct weir_split_request *request)
{
    static const char *const objectives[] = {"max-load", "piper", NULL};
    int objective = WEIR_SPLIT_MAX_LOAD;
    weir_status status = options->curve ? curve_read(options->curve, request) : WEIR_OK;
    if (!status && options->objective)
        status = name_find("objective", options->objective, objectives, &objective);
    if (status)
        return status;
    weir_status drawable = options->draw ? plan_drawing_check(options->draw) : WEIR_OK;
    if (drawable)
        return drawable;
    if (options->any && options->contiguous)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--any and --contiguous exclude each other");
    request->objective = (enum weir_split_objective)objective;
    request->n_devices = options_given(&options->given, "devices") ? (int)options->devices : options->curve ? 0 : graph->n_devices;
    request->n_cpus = (int)options->cpus;
    request->memory = (double)options->memory;
    request->unordered = options->any;
    request->seconds = options->seconds;
    request->seed = (uint64_t)options->seed;
    status = stages_convert(options, request);
    if (status)
        return status;
    if (!request->n_devices && !request->n_cpus && !options->curve)
        return WEIR_FAIL(WEIR_ERR_USAGE, "no devices: give --devices K or --curve A..B");
    return WEIR_OK;
}

static weir_status file_outputs(const struct plan_options *options, const struct plan_input *input, const weir_split *split)
{
    struct weir_text text = {0};
    weir_status status = WEIR_OK;
    if (options->draw) {
        status = weir_split_write(split, "dot", weir_text_take, &text);
        if (!status)
            status = text.status ? text.status : plan_drawing_write(options->draw, &text);
        weir_text_release(&text);
    }
    if (!status && options->save_graph) {
        text = (struct weir_text){0};
        status = weir_cost_graph_print(input->graph, "weir", weir_text_take, &text);
        if (!status)
            status = text.status ? text.status : weir_file_write(options->save_graph, text.data, text.length);
        weir_text_release(&text);
    }
    return status;
}

static void summary_print(const weir_split *split, const struct weir_split_info *info)
{
    struct weir_split_point point;
    for (int i = 0; i < info->n_points && !weir_split_point_get(split, i, &point); i++)
        if (isfinite(point.objective))
            printf("%5d devices  %.6g\n", point.n_devices, point.objective);
        else
            printf("%5d devices  does not fit\n", point.n_devices);
    if (isfinite(info->objective))
        printf("objective %.6g  lower bound %.6g  %d stages  %.3f s\n", info->objective, info->lower_bound, info->n_parts, info->seconds);
}

enum { MOST_FORMS = 14 };

/* The forms of splits, and "layout" and "costs", which are this command's: *form_out is n_forms and one more. */
static weir_status form_find(const char *word, int *form_out, int *n_forms_out)
{
    const char *names[MOST_FORMS + 3] = {0};
    int n = 0;
    for (; weir_split_form(n) && n < MOST_FORMS; n++)
        names[n] = weir_split_form(n);
    names[n] = "layout";
    names[n + 1] = "costs";
    *n_forms_out = n;
    return name_find("output form", word, names, form_out);
}

static weir_status layout_print(const struct plan_input *input, const weir_split *split, const struct weir_split_info *info)
{
    if (!input->model)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--output layout needs --model: a cost graph has no transformer blocks");
    return isfinite(info->objective) ? plan_output_layout(input->model, split) : WEIR_OK;
}

static weir_status costs_print(const struct plan_options *options, const struct plan_input *input, const weir_split *split)
{
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    enum weir_dtype storage = WEIR_DTYPE_F32;
    weir_status status = input->model ? storage_read(options, &storage) : WEIR_OK;
    config.graph = input->model;
    config.dtype = storage == WEIR_DTYPE_BF16 ? WEIR_COMPUTE_BF16 : WEIR_COMPUTE_F32;
    config.recompute = options->recompute;
    return status ? status : plan_output_costs(input->graph, input->model ? &config : NULL, split);
}

/* --ranks and --chunks say how many stages a file of theirs must have. */
static weir_status stages_check(const struct plan_options *options, const weir_split *split)
{
    struct weir_split_part part;
    int n = 0;
    for (int i = 0; !weir_split_part_get(split, i, &part); i++)
        n += part.n_nodes > 0;
    weir_error_clear(); /* that there are no more of them is no failure */
    if (!options->ranks || n == stages_wanted(options))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "the model was cut into %d stages, more have nothing to do: give smaller --ranks or --chunks", n);
}

static weir_status result_print(const struct plan_options *options, const struct plan_input *input, const weir_split *split)
{
    const char *form = options->output || options->json ? "json" : "explain";
    struct weir_split_info info;
    weir_split_info(split, &info);
    if (options->output) {
        int index = 0, n_forms = 0;
        weir_status status = form_find(options->output, &index, &n_forms);
        if (!status && isfinite(info.objective))
            status = stages_check(options, split);
        if (!status && index == n_forms)
            return layout_print(input, split, &info);
        if (!status && index > n_forms)
            return isfinite(info.objective) ? costs_print(options, input, split) : WEIR_OK;
        if (status)
            return status;
        form = weir_split_form(index);
    } else if (!options->json && !options->explain) {
        summary_print(split, &info);
        return WEIR_OK;
    }
    return weir_split_write(split, form, weir_text_to_file, stdout);
}

/* A plan that does not exist is the answer "does not fit": null in JSON and exit status 3. */
static weir_status feasibility_check(const weir_split *split, const struct weir_split_info *info)
{
    struct weir_split_point point;
    bool feasible = isfinite(info->objective);
    for (int i = 0; i < info->n_points && !weir_split_point_get(split, i, &point); i++)
        feasible = feasible || isfinite(point.objective);
    return feasible ? WEIR_OK : weir_split_refuse(split);
}

/* Options that are about a split alone, of a cost graph or of a model's; with others, weir plan --model plans a run. */
static bool is_split(const struct plan_options *options)
{
    static const char *const of_split[] = {"objective", "contiguous", "any",     "curve", "cpus",   "output", "draw",
                                           "save-graph", "seconds",   "seed",    "format", "ranks", "chunks", NULL};
    bool some = !options->model;
    for (int i = 0; of_split[i]; i++)
        some |= options_given(&options->given, of_split[i]);
    return some;
}

/* A split knows nothing of these. */
static weir_status split_check(const struct plan_options *options)
{
    static const char *const of_run[] = {"global-batch", "zero", "schedule", "max-replicas", "microbatches", "top", "out", "optimizer",
                                         "device", "device-memory", "costs", NULL};
    for (int i = 0; of_run[i]; i++)
        if (options_given(&options->given, of_run[i]))
            return WEIR_FAIL(WEIR_ERR_USAGE, "--%s is about a run, the other options ask for a split: leave them out, or --%s", of_run[i],
                             of_run[i]);
    return WEIR_OK;
}

static weir_status solve(const struct plan_options *options, const struct plan_input *input)
{
    struct weir_split_request request;
    struct weir_split_info info;
    weir_split *split = NULL;
    weir_split_request_init(&request, sizeof request);
    weir_status status = options_convert(options, &input->info, &request);
    if (!status)
        status = split_check(options);
    if (!status)
        status = weir_split_find(input->graph, &request, &split);
    if (status)
        return status;
    weir_split_info(split, &info);
    status = result_print(options, input, split);
    if (!status && isfinite(info.objective))
        status = file_outputs(options, input, split);
    if (!status)
        status = feasibility_check(split, &info);
    weir_split_close(split);
    return status;
}

static weir_status evaluate(const struct plan_options *options, const struct plan_input *input)
{
    struct weir_split_info info;
    weir_split *split;
    if (!options->plan)
        return WEIR_FAIL(WEIR_ERR_USAGE, "no plan: give --plan FILE");
    weir_status status = weir_split_score(input->graph, options->plan, (double)options->memory, &split);
    if (status)
        return status;
    weir_split_info(split, &info);
    if (options->json || options->explain)
        status = result_print(options, input, split);
    else
        printf("objective %.6g  %d stages  %s\n", info.objective, info.n_parts, info.contiguous ? "contiguous" : "not contiguous");
    weir_split_close(split);
    return status;
}

static weir_status paths_register(const struct plan_options *options)
{
    struct paths paths = {0};
    paths_read(&paths, "--graph", options->graph);
    paths_read(&paths, "--plan", options->plan);
    paths_read_model_name(&paths, "--model", options->model);
    paths_read(&paths, "--costs", options->costs);
    paths_write(&paths, "--draw", options->draw);
    paths_write(&paths, "--save-graph", options->save_graph);
    paths_write(&paths, "--out", options->out);
    weir_status status = paths_check(&paths, false);
    paths_release(&paths);
    return status;
}

static int run(int argc, char **argv)
{
    struct plan_options options = {.microbatch_size = 4, .flops = 150e9, .traffic = 15e9};
    bool evaluating = argc > 1 && !strcmp(argv[1], "evaluate");
    const char *word[1];
    int n;
    enum option_outcome outcome;
    const struct option_table *table = evaluating ? &evaluate_table : &solve_table;
    weir_status status =
        options_parse(&options.given, table, argc - evaluating, argv + evaluating, &options, word, evaluating ? 0 : 1, &n, &outcome);
    if (!status && outcome != OPTIONS_HELP_SHOWN && n)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "unexpected argument '%s': the one form with a word is 'weir plan evaluate'",
                           word[0]);
    if (status || outcome == OPTIONS_HELP_SHOWN)
        return options_report(table->command, status); /* it has no --config: nothing to release */
    struct plan_input input = {.model = NULL};
    status = paths_register(&options);
    if (!status && !evaluating && !is_split(&options) && !options.graph)
        return options_report(table->command, plan_model_run(&options));
    if (!status)
        status = graph_load(&options, &input);
    if (!status) {
        weir_cost_graph_info(input.graph, &input.info);
        status = evaluating ? evaluate(&options, &input) : solve(&options, &input);
    }
    weir_cost_graph_close(input.graph);
    weir_arena_release(&input.arena);
    return options_report(table->command, status);
}

static const struct option_table *const tables[] = {&solve_table, &evaluate_table, NULL};
const struct command command_plan = {"plan", "split a cost graph over devices and choose stages", tables, run, true};
