/* weir train, the layout: which schedule on how many stages and ranks, and the line that says so.
 *
 *     --stages S      stages of the pipeline, whoever holds them
 *     --ranks P       ranks; each holds --chunks stages, or as many as the schedule is made for
 *     --first-layers, --layout
 *                     where the model is cut, and so how many stages there are */
#include <inttypes.h>
#include <string.h>

#include "base/printable.h"
#include "base/text.h"
#include "cmd/schedule_auto.h"
#include "cmd/synonyms.h"
#include "cmd/train.h"
#include "include/weir/plan.h"

enum { STAGES = 2, MICROBATCHES = 4 }; /* when nothing is said; one of each without steps */

/* ---- the cut ------------------------------------------------------------------------------------------------------- */

static bool same_cut(const struct weir_layer_cut *cut, const struct weir_plan_info *plan)
{
    return cut->n_stages == plan->n_stages && !memcmp(cut->first_layer, plan->first_layer, ((size_t)cut->n_stages + 1) * sizeof(int));
}

static const char *cut_option(const struct train_options *o)
{
    return o->layout ? "layout" : "first-layers";
}

static weir_status cut_read(const struct train_options *o, struct train_run *run)
{
    if (!o->layout && !o->first_layers)
        return WEIR_OK;
    if (o->layout && o->first_layers)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--layout and --first-layers both say where the model is cut: leave one of them out");
    weir_status status = o->layout ? weir_layer_cut_layout(o->layout, run->graph, &run->arena, &run->cut)
                                   : weir_layer_cut_numbers(o->first_layers, run->graph, &run->arena, &run->cut);
    if (status)
        return o->layout ? status : weir_error_prefix(status, "--first-layers: ");
    if (o->made && !same_cut(&run->cut, &o->made->info))
        return WEIR_FAIL(WEIR_ERR_USAGE, "plan '%s' cuts the model elsewhere than --%s: leave one of them out", o->plan, cut_option(o));
    return WEIR_OK;
}

/* The schedule has as many stages as the cut. */
static weir_status cut_agrees(const struct train_options *o, const struct train_run *run)
{
    int n = run->cut.n_stages, stages = run->schedule.n_stages;
    if (!n || n == stages)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_USAGE, "--%s cuts the model into %d stage%s, but the schedule has %d%s%s: leave one of them out", cut_option(o), n,
                     n == 1 ? "" : "s", stages, o->ranks ? ", by --ranks" : o->stages ? ", by --stages" : "",
                     o->chunks && o->ranks ? " and --chunks" : "");
}

/* ---- the schedule -------------------------------------------------------------------------------------------------- */

/* Several stages on a rank of a schedule that has one: Megatron's interleaving was meant. */
static weir_status interleaving_check(const struct train_options *o, const struct weir_schedule_kind *kind)
{
    int64_t chunks = o->stages ? o->stages / o->ranks : o->chunks;
    if (kind->n_chunks != 1 || chunks < 2 || (o->stages && o->stages % o->ranks))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_USAGE, "schedule '%s' has one stage on each rank, not %lld: use --schedule interleaved, or --ranks %lld",
                     kind->name, (long long)chunks, (long long)(o->ranks * chunks));
}

/* Stages of each rank: --chunks, or what --stages leaves to each of --ranks where the schedule takes any number. */
static int64_t chunks_count(const struct train_options *o, const struct weir_schedule_kind *kind)
{
    bool divides = o->stages && o->stages % o->ranks == 0;
    if (o->chunks || !kind)
        return o->chunks ? o->chunks : 1;
    return divides && !kind->n_chunks ? o->stages / o->ranks : weir_schedule_kind_chunks(kind);
}

/* As many stages as --ranks and --chunks make, or --stages says. */
static weir_status stages_count(const struct train_options *o, const struct weir_layer_cut *cut, const char *name, int *stages_out,
                                int *chunks_out)
{
    const struct weir_schedule_kind *kind = NULL;
    if (!o->ranks) {
        *stages_out = (int)(o->stages ? o->stages : cut->n_stages ? cut->n_stages : o->evaluates ? 1 : STAGES);
        return WEIR_OK;
    }
    weir_status status = schedule_is_auto(name) ? WEIR_OK : weir_schedule_kind_find(name, &kind);
    if (!status && kind)
        status = interleaving_check(o, kind);
    if (status)
        return status;
    int64_t chunks = chunks_count(o, kind), stages = o->ranks * chunks;
    if (o->stages && o->stages != stages)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--ranks %lld with %lld chunk%s each are %lld stage%s, --stages says %lld: leave one "
                         "of them out", (long long)o->ranks, (long long)chunks, chunks == 1 ? "" : "s", (long long)stages,
                         stages == 1 ? "" : "s", (long long)o->stages);
    *stages_out = stages < INT32_MAX ? (int)stages : INT32_MAX;
    *chunks_out = kind ? (int)chunks : (int)o->chunks;
    return WEIR_OK;
}

static weir_status file_load(const struct train_options *o, struct train_run *run)
{
    enum weir_csv_dialect dialect = WEIR_CSV_TORCH;
    weir_status status = weir_csv_dialect_find(o->dialect, &dialect);
    if (!status)
        status = weir_pipeline_schedule_file(o->schedule, dialect, (int)o->stages, (int)o->chunks, (int)o->microbatches,
                                             &run->arena, &run->schedule);
    int slices = weir_schedule_slices(&run->schedule);
    if (!status && o->slices && slices != o->slices)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "'%s' cuts sequences into %d slice%s, --slices says %" PRId64, o->schedule, slices,
                           plural(slices), o->slices);
    if (!status && o->ranks && run->schedule.n_ranks != o->ranks)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %d ranks, --ranks says %" PRId64, o->schedule, run->schedule.n_ranks,
                           o->ranks);
    return status;
}

/* What the usual schedules hold: 1f1b, or with several chunks interleaved, at most. */
static double usual_memory(const struct weir_stage_costs *stages, int n_stages, int p, int v)
{
    double most = 0;
    for (int s = 0; s < n_stages; s++)
        most = stages[s].mem_backward > most ? stages[s].mem_backward : most;
    return most * (v == 1 ? p : (v + 1) * p - 1);
}

/* For the costs of this model's stages, by analysis at the speed of a core, as weir schedule costs has them. */
static weir_status auto_build(const struct train_options *o, int n_stages, int microbatches, struct train_run *run)
{
    static const struct weir_ceilings core = {150e9, 15e9, 1};
    struct weir_engine_config config = WEIR_ENGINE_CONFIG_DEFAULT;
    const struct weir_stage_costs *stages;
    const struct weir_schedule_boundary *boundaries;
    struct weir_auto_result result;
    int n_boundaries;
    int v = o->chunks ? (int)o->chunks : 1, p = n_stages / v;
    if (n_stages % v)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%d stages do not divide into --chunks %d per rank: use --stages %d", n_stages, v,
                         (p + 1) * v);
    config.graph = run->graph;
    config.dtype = run->dtype;
    config.optimizer = run->optimizer;
    config.recompute = o->recompute;
    config.first_layer = run->cut.n_stages == n_stages ? run->cut.first_layer : NULL;
    weir_status status = weir_stage_costs_find(&config, n_stages, &core, &run->arena, &stages);
    if (!status)
        status = weir_stage_boundaries_find(&config, n_stages, &run->arena, &boundaries, &n_boundaries);
    if (status)
        return status;
    struct weir_schedule_costs costs = {1, 1, 1, 1, 1, .overlap_gain = 1, .stages = stages, .n_stages = n_stages};
    struct weir_auto_request request = {
        .n_ranks = p, .n_chunks = v, .n_microbatches = microbatches, .costs = &costs,
        .memory_cap = o->memory_cap ? (double)o->memory_cap : usual_memory(stages, n_stages, p, v),
        .boundaries = boundaries, .n_boundaries = n_boundaries};
    status = weir_schedule_auto(&request, &run->arena, &result);
    if (status)
        return status;
    run->schedule = result.schedule;
    run->schedule.boundaries = NULL; /* the engine finds them by itself */
    run->schedule.n_boundaries = 0;
    return WEIR_OK;
}

static weir_status slices_check(const struct train_options *o, const char *name)
{
    const struct weir_schedule_kind *kind;
    if (schedule_is_auto(name) && o->slices > 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "auto does not cut sequences: use --schedule seq1f1b, or leave out --slices");
    if (schedule_is_auto(name) || o->slices)
        return WEIR_OK;
    weir_status status = weir_schedule_kind_find(name, &kind);
    if (!status && kind->takes_slices)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "schedule '%s' needs the number of slices of each sequence: --slices K", name);
    return status;
}

static weir_status kind_build(const struct train_options *o, const char *name, struct train_run *run)
{
    enum weir_csv_dialect dialect;
    int stages = 0, chunks = (int)o->chunks, microbatches = (int)(o->microbatches ? o->microbatches : o->evaluates ? 1 : MICROBATCHES);
    weir_status status = weir_csv_dialect_find(o->dialect, &dialect); /* of no use here, wrong all the same */
    if (!status)
        status = schedule_name_check(name);
    if (!status)
        status = stages_count(o, &run->cut, name, &stages, &chunks);
    if (!status)
        status = slices_check(o, name);
    if (!status && o->made && o->made->info.order)
        run->schedule = *o->made->info.order;
    else if (!status && schedule_is_auto(name))
        status = auto_build(o, stages, microbatches, run);
    else if (!status)
        status = weir_pipeline_schedule_slices(name, stages, chunks, microbatches, (int)o->slices, &run->arena, &run->schedule);
    return status;
}

weir_status train_schedule_build(const struct train_options *o, struct train_run *run)
{
    bool chosen = options_given(&o->given, "schedule") || o->made;
    const char *name = o->slices > 1 && !chosen ? "seq1f1b" : schedule_understood(o->schedule);
    bool is_file = weir_pipeline_is_file(name);
    if (o->memory_cap && !schedule_is_auto(name))
        return WEIR_FAIL(WEIR_ERR_USAGE, "--memory-cap is for --schedule auto, not for '%s'", name);
    if (o->memory_cap && o->made && o->made->info.order)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--memory-cap is for a schedule that is made now, plan '%s' has one: leave the option out, or make "
                         "another plan with --device-memory", o->plan);
    weir_status status = cut_read(o, run);
    if (!status)
        status = is_file ? file_load(o, run) : kind_build(o, name, run);
    if (!status && is_file && run->schedule.n_stages > run->graph->n_layers)
        status = WEIR_FAIL(WEIR_ERR_NOFIT, "'%s' has %d stages, but model '%s' only %d layers", name, run->schedule.n_stages,
                           run->model->name, run->graph->n_layers);
    if (!status)
        status = cut_agrees(o, run);
    run->schedule_name = name;
    run->n_microbatches = run->schedule.n_microbatches / weir_schedule_slices(&run->schedule) * (int)o->replicas;
    run->n_ranks = run->schedule.n_ranks * (int)o->replicas;
    return status;
}

/* ---- the line ------------------------------------------------------------------------------------------------------ */

const char *plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

double train_parameters(const struct train_run *run)
{
    double n = 0;
    for (int i = 0; i < run->graph->n_params; i++)
        n += (double)weir_shape_elements(&run->graph->params[i].shape);
    return n;
}

static void count_print(double n, FILE *out)
{
    if (n >= 1e9)
        fprintf(out, "%.2f billion", n / 1e9);
    else if (n >= 1e6)
        fprintf(out, "%.2f million", n / 1e6);
    else
        fprintf(out, "%.0f", n);
}

int64_t train_targets(const struct train_run *run)
{
    return run->graph->n_targets * run->n_microbatches;
}

void train_layout_print(const struct train_run *run, FILE *out)
{
    const struct weir_schedule *s = &run->schedule;
    const struct train_options *o = run->options;
    int chunks = s->n_stages / s->n_ranks;
    bool even = chunks * s->n_ranks == s->n_stages;
    char name[1024];
    fprintf(out, "%s, ", weir_printable(run->model->name, name, sizeof name));
    count_print(train_parameters(run), out);
    fprintf(out, " parameters: %d stage%s on %d rank%s", s->n_stages, plural(s->n_stages), s->n_ranks, plural(s->n_ranks));
    if (even && chunks > 1)
        fprintf(out, " x %d chunks", chunks);
    fprintf(out, " (%s)", weir_printable(run->schedule_name, name, sizeof name));
    if (s->n_slices > 1)
        fprintf(out, ", sequences in %d slices", s->n_slices);
    if (o->replicas > 1)
        fprintf(out, ", %" PRId64 " replicas%s", o->replicas, o->zero ? " with ZeRO-1" : "");
    fprintf(out, "; a %s is %" PRId64 " samples", o->evaluates ? "batch" : "step", train_samples(run));
    if (run->model->data == WEIR_DATA_TOKENS)
        fprintf(out, ", %" PRId64 " tokens", train_targets(run));
    fprintf(out, "\n");
}

static void chunks_warn(const struct train_run *run)
{
    const struct weir_schedule *s = &run->schedule;
    const struct train_options *o = run->options;
    if (weir_pipeline_is_file(run->schedule_name) || s->n_stages == s->n_ranks)
        return;
    if (s->n_ranks == 1)
        fprintf(stderr, "weir %s: all %d stages are on one rank, which does one thing at a time: --ranks 2 puts %d stages on "
                "2\n", train_command(o), s->n_stages, 2 * s->n_stages);
    else if (!o->ranks && !o->chunks && !o->plan)
        fprintf(stderr, "weir %s: '%s' has %d stages on each rank, so that --stages %d is %d ranks: --ranks %d puts %d stages on %d\n",
                train_command(o), run->schedule_name, s->n_stages / s->n_ranks, s->n_stages, s->n_ranks, s->n_stages,
                s->n_stages / s->n_ranks * s->n_stages, s->n_stages);
}

void train_layout_warn(const struct train_run *run)
{
    chunks_warn(run);
    if (run->dtype == WEIR_COMPUTE_BF16 && !strncmp(run->options->device, "cpu", 3) && !weir_cpu_multiplies_bf16())
        fprintf(stderr, "weir %s: this processor multiplies bf16 numbers as f32: --dtype bf16 saves memory here, not time\n",
                train_command(run->options));
}
