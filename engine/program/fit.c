#include "engine/program/fit.h"

#include <string.h>

#include "base/text.h"
#include "engine/program/memory_report_make.h"
#include "schedules/schedule_kinds.h"

/* Work on one verdict. */
struct advisor {
    const struct weir_build *build;
    struct weir_fit *fit;
    size_t extra;                /* bytes of a rank beside its blocks, the most of any */
    size_t rank_cap, free_bytes; /* that a change must keep to */
    bool by_rank;                /* a single rank is too large, not all of them together */
};

/* ---- what a program needs ------------------------------------------------------------------------------------------- */

struct need {
    int rank; /* the one that needs most */
    size_t most, all;
};

/* Where the device is the host, what a rank has of the host takes of it. */
static size_t host_bytes(const struct weir_build *build, int r)
{
    return weir_build_is_on_host(build) ? weir_host_bytes(build, r) : 0;
}

/* Replica 0 copies most. */
static struct need need_of(const struct weir_build *build, size_t extra)
{
    const struct weir_program *program = build->program;
    struct need need = {0, 0, 0};
    for (int r = 0; r < weir_build_n_workers(build); r++) {
        size_t bytes = weir_program_worker_bytes(program, r % program->n_ranks) + extra + host_bytes(build, r);
        need.all += bytes;
        if (bytes > need.most) {
            need.most = bytes;
            need.rank = r;
        }
    }
    return need;
}

/* ---- trying --------------------------------------------------------------------------------------------------------- */

static int chunks_of(const struct weir_schedule_kind *kind, const struct weir_schedule *now)
{
    return kind->n_chunks ? kind->n_chunks : now->n_stages / now->n_ranks;
}

static weir_status changed_schedule(const struct weir_schedule *now, const struct weir_fit_way *way, struct weir_arena *arena,
                                    struct weir_schedule *out)
{
    int v = chunks_of(way->kind, now);
    int n_stages = way->n_stages ? way->n_stages : now->n_stages;
    if (n_stages % v || (way->kind->n_copies > 1 && now->n_copies == 1)) /* twice the weights are no way out */
        return WEIR_ERR_UNSUPPORTED;
    struct weir_schedule_params params = {
        .n_ranks = n_stages / v, .n_chunks = v, .n_microbatches = now->n_microbatches / weir_schedule_slices(now),
        .n_slices = now->n_slices};
    return weir_schedule_build(way->kind, &params, arena, out);
}

/* Build the changed run; what it needs beside the build's own is in `arena` and `schedule`. */
static weir_status trial_build(const struct advisor *a, const struct weir_fit_way *way, struct weir_arena *arena,
                               struct weir_schedule *schedule, struct weir_build *trial_out)
{
    struct weir_engine_config config = a->build->config;
    weir_status status = WEIR_OK;
    if (way->recompute)
        config.recompute = "full";
    if (way->zero)
        config.zero = 1;
    if (way->no_copy)
        config.snapshots = false;
    if (way->no_pack)
        config.pack = false;
    if (way->bf16)
        config.dtype = WEIR_COMPUTE_BF16;
    if (way->microbatch_size)
        status = weir_graph_resize(config.graph, way->microbatch_size, arena, &config.graph);
    if (!status && way->kind) {
        status = changed_schedule(config.schedule, way, arena, schedule);
        if (!status && schedule->n_stages != config.schedule->n_stages)
            config.first_layer = NULL;
        config.schedule = schedule;
    }
    return status ? status : weir_build_training(&config, a->build->kind, arena, trial_out);
}

/* What cannot be built does not fit either. */
static bool way_fits(struct advisor *a, struct weir_fit_way *way)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_build trial;
    bool fit = false;
    if (!trial_build(a, way, &arena, &schedule, &trial)) {
        struct need need = need_of(&trial, a->extra);
        size_t bytes = a->by_rank ? need.most : need.all;
        fit = need.most <= a->rank_cap && need.all <= a->free_bytes;
        way->n_ranks = weir_build_n_workers(&trial);
        way->all = need.all;
        a->fit->least = bytes < a->fit->least ? bytes : a->fit->least;
    }
    weir_arena_release(&arena);
    return fit;
}

static void way_keep(struct advisor *a, const struct weir_fit_way *way)
{
    if (a->fit->n_ways < WEIR_FIT_WAYS)
        a->fit->ways[a->fit->n_ways++] = *way;
}

/* ---- the ways out --------------------------------------------------------------------------------------------------- */

/* The kind makes the very schedule of this run. */
static bool kind_made(const struct weir_schedule_kind *kind, const struct weir_schedule *now)
{
    struct weir_arena arena = {0};
    struct weir_schedule made;
    struct weir_fit_way same = {.kind = kind};
    bool equal = !changed_schedule(now, &same, &arena, &made) && made.n_ranks == now->n_ranks;
    for (int r = 0; equal && r < now->n_ranks; r++) {
        const struct weir_schedule_rank *x = &made.ranks[r], *y = &now->ranks[r];
        equal = x->n_actions == y->n_actions && !memcmp(x->actions, y->actions, x->n_actions * sizeof *x->actions);
    }
    weir_arena_release(&arena);
    return equal;
}

/* On few ranks several kinds make the same schedule, and any of them may have been asked for: all of them must fit. */
static bool stages_fit(struct advisor *a, struct weir_fit_way *fitting)
{
    bool some = false;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++) {
        if (!kind_made(*kind, a->build->config.schedule))
            continue;
        struct weir_fit_way way = *fitting;
        way.kind = *kind;
        if (!way_fits(a, &way))
            return false;
        fitting->n_ranks = way.n_ranks;
        fitting->all = way.all > fitting->all ? way.all : fitting->all;
        some = true;
    }
    return some;
}

static void stages_try(struct advisor *a, struct weir_fit_way way)
{
    const struct weir_schedule *now = a->build->config.schedule;
    int v = now->n_stages / now->n_ranks, most = a->build->graph->n_layers / v * v;
    for (int n = now->n_stages; n < most;) {
        n = 2 * n < most ? 2 * n : most;
        way.n_stages = n;
        if (stages_fit(a, &way)) {
            way_keep(a, &way);
            return;
        }
    }
}

static void microbatch_try(struct advisor *a, struct weir_fit_way way)
{
    for (int64_t size = a->build->graph->microbatch_size / 2; size >= 1; size /= 2) {
        way.microbatch_size = size;
        if (way_fits(a, &way)) {
            way_keep(a, &way);
            return;
        }
    }
}

/* The chunks must be said with a schedule that would take another number by itself. */
static int chunks_said(const struct weir_schedule_kind *kind, const struct weir_schedule *now)
{
    int v = chunks_of(kind, now), own = kind->default_chunks ? kind->default_chunks : 1;
    return v * now->n_ranks != now->n_stages || (!kind->n_chunks && v != own) ? v : 0;
}

/* Another schedule on as many stages, or, where it puts more of them on a rank, on as many ranks. */
static void schedule_try(struct advisor *a, struct weir_fit_way way)
{
    const struct weir_schedule *now = a->build->config.schedule;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++) {
        way.kind = *kind;
        way.n_stages = 0;
        bool fit = way_fits(a, &way);
        if (!fit && (*kind)->n_chunks > 1) {
            way.n_stages = now->n_ranks * (*kind)->n_chunks;
            fit = way.n_stages != now->n_stages && way_fits(a, &way);
        }
        if (fit) {
            way.n_chunks = chunks_said(*kind, now);
            way_keep(a, &way);
            return;
        }
    }
}

/* Replicas that each keep all of the optimizer's state may share it. */
static void zero_try(struct advisor *a, struct weir_fit_way way)
{
    way.zero = true;
    if (a->build->n_replicas > 1 && !a->build->config.zero && way_fits(a, &way))
        way_keep(a, &way);
}

static void bf16_try(struct advisor *a, struct weir_fit_way way)
{
    bool can = a->build->config.dtype != WEIR_COMPUTE_BF16 && (a->build->kind->flags & WEIR_DEVICE_BF16);
    way.bf16 = true;
    if (can && way_fits(a, &way))
        way_keep(a, &way);
}

/* Checkpoints that are written between steps need no copy. */
static void no_copy_try(struct advisor *a)
{
    struct weir_fit_way way = {.no_copy = true};
    if (weir_build_is_on_host(a->build) && weir_snapshot_bytes(a->build, 0) && way_fits(a, &way))
        way_keep(a, &way);
}

static void no_pack_try(struct advisor *a)
{
    struct weir_fit_way way = {.no_pack = true};
    if (way_fits(a, &way))
        way_keep(a, &way);
}

/* Full recomputation, every change without it and, where nothing fits yet, with it; all of them on top of `base`. */
static void changes_try(struct advisor *a, struct weir_fit_way base)
{
    const char *recompute = a->build->config.recompute;
    bool full = recompute && !strcmp(recompute, "full");
    struct weir_fit_way way = base;
    way.recompute = !full;
    if (!full && way_fits(a, &way))
        way_keep(a, &way);
    for (int with_full = 0; with_full < (full ? 1 : 2); with_full++) {
        if (with_full && a->fit->n_ways)
            break;
        way = base;
        way.recompute = with_full;
        zero_try(a, way);
        bf16_try(a, way);
        if (!a->fit->same_ranks)
            stages_try(a, way);
        microbatch_try(a, way);
        schedule_try(a, way);
    }
}

/* Bytes that every run of the model takes: of each parameter its value in each replica, and in training one gradient there, and
 * the optimizer's state once. */
static size_t kept_bytes(const struct weir_build *build, int n_replicas, enum weir_optimizer optimizer)
{
    const struct weir_graph *graph = build->config.graph;
    const struct weir_program *program = build->program;
    size_t elements = 0, arrays = (size_t)n_replicas;
    bool trains = false;
    for (int i = 0; i < graph->n_params; i++)
        elements += (size_t)weir_shape_elements(&graph->params[i].shape);
    for (int r = 0; r < program->n_ranks; r++)
        trains = trains || program->ranks[r].bytes[WEIR_MEMORY_GRADS];
    if (trains)
        arrays = 2 * arrays + (optimizer == WEIR_OPTIMIZER_ADAMW ? 2 : 0);
    return elements * arrays * sizeof(float);
}

static int replicas_of(const struct weir_build *build)
{
    return build->n_replicas / build->program->n_copies;
}

/* No change that is tried here makes what is kept smaller; what the user may change is told instead. */
static bool keeps_too_much(const struct advisor *a)
{
    const struct weir_build *build = a->build;
    enum weir_optimizer optimizer = build->config.optimizer;
    size_t kept = kept_bytes(build, replicas_of(build), optimizer);
    if (kept <= a->free_bytes)
        return false;
    a->fit->kept = kept;
    a->fit->replicas_help = kept_bytes(build, 1, optimizer) <= a->free_bytes;
    a->fit->sgd_helps = kept_bytes(build, replicas_of(build), WEIR_OPTIMIZER_SGD) <= a->free_bytes;
    return true;
}

static void ways_find(struct advisor *a)
{
    bool packs = a->build->config.pack;
    if (a->build->smaller)
        return;
    a->fit->kept = 0;
    if (keeps_too_much(a))
        return;
    no_copy_try(a);
    if (packs)
        no_pack_try(a);
    changes_try(a, (struct weir_fit_way){0});
    if (packs && !a->fit->n_ways)
        changes_try(a, (struct weir_fit_way){.no_pack = true});
}

/* ---- weighing ------------------------------------------------------------------------------------------------------- */

static size_t extra_most(const struct weir_build *build, const struct weir_extras *extras)
{
    size_t most = 0;
    for (int r = 0; r < weir_build_n_workers(build); r++) {
        size_t bytes = weir_extra_bytes(extras, r, true);
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Ranks that share a device are weighed together, by the first of them. */
static bool device_fits(const struct weir_build *build, const struct weir_extras *extras, const struct weir_resources *have,
                        int first, struct weir_fit *fit)
{
    size_t need = 0;
    int n = 0;
    for (int r = first; r < weir_build_n_workers(build); r++)
        if (have->device_of[r] == have->device_of[first]) {
            need += weir_program_worker_bytes(build->program, r % build->program->n_ranks) + weir_extra_bytes(extras, r, false);
            n++;
        }
    if (need <= have->free_bytes[first])
        return true;
    fit->fits = false;
    fit->device = have->device_of[first];
    fit->n_on_device = n;
    fit->device_need = need;
    fit->device_free = have->free_bytes[first];
    fit->device_total = have->total_bytes[first];
    return false;
}

/* Ways out: a share of what there is for each of the device's ranks, on as many ranks as now. */
static void device_advise(struct advisor *a, const struct weir_extras *extras, int first)
{
    struct weir_fit *fit = a->fit;
    size_t taken = weir_extra_bytes(extras, first, true) - weir_extra_bytes(extras, first, false);
    size_t share = fit->device_free / (size_t)fit->n_on_device + taken;
    a->rank_cap = share < fit->rank_cap ? share : fit->rank_cap;
    a->free_bytes = SIZE_MAX;
    a->by_rank = fit->most > a->rank_cap;
    fit->same_ranks = true;
    fit->least = fit->most;
    ways_find(a);
}

/* Where no change fits cap and machine: those that fit the cap, which other machines may have room for. */
static void cap_advise(struct advisor *a)
{
    ways_find(a);
    if (a->fit->n_ways || !a->by_rank || a->free_bytes == SIZE_MAX)
        return;
    a->free_bytes = SIZE_MAX;
    a->fit->by_cap_alone = true;
    ways_find(a);
}

struct weir_fit weir_fit_weigh(const struct weir_build *build, const struct weir_extras *extras,
                               const struct weir_resources *have)
{
    int64_t cap = build->config.device_memory;
    size_t extra = extra_most(build, extras);
    struct need need = need_of(build, extra);
    struct weir_fit fit = {.fits = true, .rank = need.rank, .most = need.most, .all = need.all,
                           .rank_cap = cap ? (size_t)cap : SIZE_MAX, .free_bytes = have->host_free,
                           .device = WEIR_DEVICE_ELSEWHERE};
    struct advisor a = {.build = build, .fit = &fit, .extra = extra, .rank_cap = fit.rank_cap, .free_bytes = have->host_free};
    for (int r = 0; r < weir_build_n_workers(build) && have->free_bytes && fit.fits; r++)
        if (weir_is_first_on_device(have->device_of, r) && !device_fits(build, extras, have, r, &fit))
            device_advise(&a, extras, r);
    if (fit.fits && (need.most > fit.rank_cap || need.all > fit.free_bytes)) {
        fit.fits = false;
        a.by_rank = need.most > fit.rank_cap;
        fit.least = a.by_rank ? need.most : need.all;
        for (int r = 0; r < build->program->n_ranks; r++)
            fit.n_over += weir_program_worker_bytes(build->program, r) + extra + host_bytes(build, r) > fit.rank_cap;
        cap_advise(&a);
    }
    return fit;
}

/* ---- the refusal ---------------------------------------------------------------------------------------------------- */

static void way_name(const struct weir_fit_way *way, int i, struct weir_text *text)
{
    weir_text_append(text, "%s", i ? ", or with" : "it fits with");
    if (way->no_copy)
        weir_text_append(text, " " WEIR_OPTION("checkpoint_sync"));
    if (way->no_pack)
        weir_text_append(text, " no " WEIR_OPTION("pack"));
    if (way->recompute)
        weir_text_append(text, " " WEIR_OPTION("recompute=full"));
    if (way->zero)
        weir_text_append(text, " " WEIR_OPTION("zero=1"));
    if (way->bf16)
        weir_text_append(text, " " WEIR_OPTION("dtype=bf16"));
    if (way->n_stages)
        weir_text_append(text, " " WEIR_OPTION("stages=%d"), way->n_stages);
    if (way->microbatch_size)
        weir_text_append(text, " " WEIR_OPTION("microbatch_size=%lld"), (long long)way->microbatch_size);
    if (way->kind)
        weir_text_append(text, " " WEIR_OPTION("schedule=%s"), way->kind->name);
    if (way->n_chunks)
        weir_text_append(text, " " WEIR_OPTION("chunks=%d"), way->n_chunks);
}

/* " (8 ranks: 117.0 GiB together, device 'cpu' has 23.0 GiB free)" */
static void together_name(const struct weir_build *build, const struct weir_fit *fit, const struct weir_fit_way *way,
                          struct weir_text *text)
{
    weir_text_append(text, " (%d rank%s: %.1f GiB together, device '%s' has %.1f GiB free)", way->n_ranks,
                     way->n_ranks == 1 ? "" : "s", (double)way->all / 0x1p30, build->kind->name, (double)fit->free_bytes / 0x1p30);
}

static void nothing_name(const struct weir_build *build, const struct weir_fit *fit, struct weir_text *text)
{
    if (fit->kept) {
        weir_text_append(text, "parameters, their gradients and the optimizer's state alone are %zu bytes (%.1f MiB): use %s%sa "
                               "smaller model or more memory", fit->kept, (double)fit->kept / 0x1p20,
                         fit->replicas_help ? "fewer " WEIR_OPTION("replicas") ", " : "",
                         fit->sgd_helps ? WEIR_OPTION("optimizer=sgd") " (it has no state), " : "");
        return;
    }
    weir_text_append(text, "neither " WEIR_OPTION("recompute=full") ", %s%sa smaller " WEIR_OPTION("microbatch_size")
                           ", another " WEIR_OPTION("schedule") " nor recomputation with one of them fits: the least found "
                           "is %zu bytes (%.1f MiB)",
                     build->n_replicas > 1 && !build->config.zero ? WEIR_OPTION("zero=1") ", " : "",
                     fit->same_ranks ? "" : "more " WEIR_OPTION("stages") ", ", fit->least, (double)fit->least / 0x1p20);
}

static void ways_name(const struct weir_build *build, const struct weir_fit *fit, struct weir_text *text)
{
    if (build->smaller) {
        bool stages = fit->most > fit->rank_cap;
        weir_text_append(text, "%s%s", fit->same_ranks ? "or " : stages ? "use more stages, " : "use ", build->smaller);
        return;
    }
    if (fit->n_ways && fit->by_cap_alone)
        weir_text_append(text, "nothing fits this machine too; by the cap alone ");
    for (int i = 0; i < fit->n_ways; i++) {
        way_name(&fit->ways[i], i, text);
        if (fit->by_cap_alone)
            together_name(build, fit, &fit->ways[i], text);
    }
    if (!fit->n_ways)
        nothing_name(build, fit, text);
}

static bool is_held(const struct weir_program *program, int worker, int stage)
{
    bool held = false;
    for (int copy = 0; copy < program->n_copies; copy++)
        held |= weir_program_worker(program, copy, program->stages[stage].rank) == worker;
    return held;
}

/* "rank 1 (stages 1, 5) needs 130023424 bytes (124.0 MiB)" */
static void need_name(const struct weir_program *program, const struct weir_fit *fit, struct weir_text *text)
{
    int n = 0, n_stages = 0, worker = fit->rank % program->n_ranks;
    for (int s = 0; s < program->n_stages; s++)
        n_stages += is_held(program, worker, s);
    weir_text_append(text, "rank %d (%s", fit->rank, n_stages > 1 ? "stages" : "stage");
    for (int s = 0; s < program->n_stages; s++)
        if (is_held(program, worker, s))
            weir_text_append(text, n++ ? ", %d" : " %d", s);
    weir_text_append(text, ") needs %zu bytes (%.1f MiB)", fit->most, (double)fit->most / 0x1p20);
}

static weir_status device_refuse(const struct weir_build *build, const struct weir_fit *fit, const char *ways)
{
    return WEIR_FAIL(WEIR_ERR_NOFIT,
                     "device '%s:%d' has %.1f MiB free of %.1f, the rest is its context's and other users', its %d rank%s %.1f "
                     "MiB: use more devices; %s",
                     build->kind->name, fit->device, (double)fit->device_free / 0x1p20, (double)fit->device_total / 0x1p20,
                     fit->n_on_device, fit->n_on_device == 1 ? " needs" : "s need", (double)fit->device_need / 0x1p20, ways);
}

static weir_status total_refuse(const struct weir_build *build, const struct weir_fit *fit, const char *name, const char *ways)
{
    if (fit->most > fit->rank_cap)
        return WEIR_FAIL(WEIR_ERR_NOFIT, "%s, the cap is %zu bytes, %d of %d ranks are over it: %s", name, fit->rank_cap,
                         fit->n_over, build->program->n_ranks, ways);
    return WEIR_FAIL(WEIR_ERR_NOFIT,
                     "the run needs %.1f MiB for %d ranks, device '%s' has %.1f MiB free; %s, more than any other: %s",
                     (double)fit->all / 0x1p20, weir_build_n_workers(build), build->kind->name,
                     (double)fit->free_bytes / 0x1p20, name, ways);
}

weir_status weir_fit_refuse(const struct weir_build *build, const struct weir_fit *fit)
{
    struct weir_text ways = {0}, name = {0};
    ways_name(build, fit, &ways);
    need_name(build->program, fit, &name);
    weir_status status = ways.status ? ways.status : name.status;
    if (!status)
        status = fit->device != WEIR_DEVICE_ELSEWHERE ? device_refuse(build, fit, ways.data)
                                                      : total_refuse(build, fit, name.data, ways.data);
    weir_text_release(&ways);
    weir_text_release(&name);
    return status;
}

weir_status weir_fit_report(const struct weir_build *build, const struct weir_extras *extras, const struct weir_resources *have,
                            struct weir_arena *arena, struct weir_memory_report *report_out)
{
    weir_status status = weir_memory_report_make(build, extras, arena, report_out);
    if (status || report_out->fits)
        return status;
    struct weir_fit fit = weir_fit_weigh(build, extras, have);
    return fit.fits ? WEIR_OK : weir_fit_refuse(build, &fit);
}
