#include "engine/run/fit_advice.h"

#include <string.h>

#include "engine/run/extra_memory.h"

/* A difference to the run that does not fit; 0 and NULL: as it is. */
struct change {
    bool recompute, zero, bf16;
    int n_stages;
    int64_t microbatch_size;
    const struct weir_schedule_kind *kind;
};

struct advisor {
    const struct weir_engine *engine;
    size_t rank_cap, free_bytes;
    size_t extra;          /* bytes of a rank beside its blocks, the most of any */
    bool same_ranks;       /* there are no more */
    size_t least;          /* fewest bytes, of what is too much, of all that was tried */
    struct weir_text text; /* the changes that fit */
};

/* ---- what a program needs ------------------------------------------------------------------------------------------- */

struct need {
    int rank; /* the one that needs most */
    size_t most, all;
};

static struct need need_of(const struct advisor *a, const struct weir_program *program)
{
    struct need need = {0, 0, 0};
    for (int r = 0; r < program->n_ranks; r++) {
        size_t bytes = weir_program_rank_bytes(program, r) + a->extra;
        need.all += bytes * (size_t)program->n_replicas;
        if (bytes > need.most) {
            need.most = bytes;
            need.rank = r;
        }
    }
    return need;
}

static bool fits(const struct advisor *a, struct need need)
{
    return need.most <= a->rank_cap && need.all <= a->free_bytes;
}

/* ---- trying --------------------------------------------------------------------------------------------------------- */

static int chunks_of(const struct weir_schedule_kind *kind, const struct weir_schedule *now)
{
    return kind->n_chunks ? kind->n_chunks : now->n_stages / now->n_ranks;
}

static weir_status changed_schedule(const struct weir_schedule *now, const struct change *change, struct weir_arena *arena,
                                    struct weir_schedule *out)
{
    int v = chunks_of(change->kind, now);
    int n_stages = change->n_stages ? change->n_stages : now->n_stages;
    if (n_stages % v || change->kind->n_copies > 1)
        return WEIR_ERR_UNSUPPORTED;
    struct weir_schedule_params params = {
        .n_ranks = n_stages / v, .n_chunks = v, .n_microbatches = now->n_microbatches};
    return weir_schedule_build(change->kind, &params, arena, out);
}

/* Compile the changed run; what it needs beside the engine's own is in `arena` and `schedule`. */
static weir_status trial_compile(const struct advisor *a, const struct change *change, struct weir_arena *arena,
                                 struct weir_schedule *schedule, struct weir_engine *trial)
{
    struct weir_engine_config *config = &trial->config;
    weir_status status = WEIR_OK;
    *trial = (struct weir_engine){
        .config = a->engine->config, .n_replicas = a->engine->n_replicas, .kind = a->engine->kind};
    if (change->recompute)
        config->recompute = "full";
    if (change->zero)
        config->zero = 1;
    if (change->bf16)
        config->dtype = WEIR_COMPUTE_BF16;
    if (change->microbatch_size)
        status = weir_graph_resize(config->graph, change->microbatch_size, arena, &config->graph);
    if (!status && change->kind) {
        status = changed_schedule(config->schedule, change, arena, schedule);
        if (!status && schedule->n_stages != config->schedule->n_stages)
            config->first_layer = NULL;
        config->schedule = schedule;
    }
    trial->graph = config->graph;
    return status ? status : weir_engine_compile(trial);
}

/* What cannot be built does not fit either. */
static bool change_fits(struct advisor *a, const struct change *change)
{
    struct weir_arena arena = {0};
    struct weir_schedule schedule;
    struct weir_engine trial;
    bool fit = false;
    if (!trial_compile(a, change, &arena, &schedule, &trial)) {
        struct need need = need_of(a, trial.program);
        size_t bytes = need_of(a, a->engine->program).most > a->rank_cap ? need.most : need.all;
        fit = fits(a, need);
        a->least = bytes < a->least ? bytes : a->least;
    }
    weir_arena_release(&trial.arena);
    weir_arena_release(&arena);
    return fit;
}

static void change_name(struct advisor *a, const struct change *change, bool name_kind)
{
    weir_text_append(&a->text, "%s", a->text.length ? ", or with" : "it fits with");
    if (change->recompute)
        weir_text_append(&a->text, " --recompute full");
    if (change->zero)
        weir_text_append(&a->text, " --zero 1");
    if (change->bf16)
        weir_text_append(&a->text, " --dtype bf16");
    if (change->n_stages)
        weir_text_append(&a->text, " --stages %d", change->n_stages);
    if (change->microbatch_size)
        weir_text_append(&a->text, " --microbatch-size %lld", (long long)change->microbatch_size);
    if (!change->kind || !name_kind)
        return;
    weir_text_append(&a->text, " --schedule %s", change->kind->name);
    const struct weir_schedule *now = a->engine->config.schedule;
    int v = chunks_of(change->kind, now), own = change->kind->default_chunks ? change->kind->default_chunks : 1;
    if (v * now->n_ranks != now->n_stages || (!change->kind->n_chunks && v != own))
        weir_text_append(&a->text, " --chunks %d", v);
}

/* ---- the ways out --------------------------------------------------------------------------------------------------- */

/* The kind makes the very schedule of this run. */
static bool kind_made(const struct weir_schedule_kind *kind, const struct weir_schedule *now)
{
    struct weir_arena arena = {0};
    struct weir_schedule made;
    struct change same = {.kind = kind};
    bool equal = !changed_schedule(now, &same, &arena, &made) && made.n_ranks == now->n_ranks;
    for (int r = 0; equal && r < now->n_ranks; r++) {
        const struct weir_schedule_rank *x = &made.ranks[r], *y = &now->ranks[r];
        equal = x->n_actions == y->n_actions && !memcmp(x->actions, y->actions, x->n_actions * sizeof *x->actions);
    }
    weir_arena_release(&arena);
    return equal;
}

/* On few ranks several kinds make the same schedule, and any of them may have been asked for: all of them must fit. */
static bool stages_fit(struct advisor *a, struct change change)
{
    bool some = false;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++) {
        if (!kind_made(*kind, a->engine->config.schedule))
            continue;
        change.kind = *kind;
        if (!change_fits(a, &change))
            return false;
        some = true;
    }
    return some;
}

static void stages_try(struct advisor *a, struct change change)
{
    const struct weir_schedule *now = a->engine->config.schedule;
    int v = now->n_stages / now->n_ranks, most = a->engine->graph->n_layers / v * v;
    for (int n = now->n_stages; n < most;) {
        n = 2 * n < most ? 2 * n : most;
        change.n_stages = n;
        if (stages_fit(a, change)) {
            change_name(a, &change, false);
            return;
        }
    }
}

static void microbatch_try(struct advisor *a, struct change change)
{
    for (int64_t size = a->engine->graph->microbatch_size / 2; size >= 1; size /= 2) {
        change.microbatch_size = size;
        if (change_fits(a, &change)) {
            change_name(a, &change, false);
            return;
        }
    }
}

/* Another schedule on as many stages, or, where it puts more of them on a rank, on as many ranks. */
static void schedule_try(struct advisor *a, struct change change)
{
    const struct weir_schedule *now = a->engine->config.schedule;
    for (const struct weir_schedule_kind *const *kind = weir_schedule_kinds; *kind; kind++) {
        change.kind = *kind;
        change.n_stages = 0;
        bool fit = change_fits(a, &change);
        if (!fit && (*kind)->n_chunks > 1) {
            change.n_stages = now->n_ranks * (*kind)->n_chunks;
            fit = change.n_stages != now->n_stages && change_fits(a, &change);
        }
        if (fit) {
            change_name(a, &change, true);
            return;
        }
    }
}

/* Replicas that each keep all of the optimizer's state may share it. */
static void zero_try(struct advisor *a, struct change change)
{
    change.zero = true;
    if (a->engine->n_replicas > 1 && !a->engine->config.zero && change_fits(a, &change))
        change_name(a, &change, false);
}

static void bf16_try(struct advisor *a, struct change change)
{
    bool can = a->engine->config.dtype != WEIR_COMPUTE_BF16 && (a->engine->kind->flags & WEIR_DEVICE_BF16);
    change.bf16 = true;
    if (can && change_fits(a, &change))
        change_name(a, &change, false);
}

static void advice_write(struct advisor *a)
{
    if (a->engine->advice) {
        bool stages = need_of(a, a->engine->program).most > a->rank_cap;
        weir_text_append(&a->text, "%s%s", a->same_ranks ? "or " : stages ? "use more stages, " : "use ", a->engine->advice);
        return;
    }
    const char *recompute = a->engine->config.recompute;
    bool full = recompute && !strcmp(recompute, "full");
    struct change change = {.recompute = !full};
    if (!full && change_fits(a, &change))
        change_name(a, &change, false);
    for (int with_full = 0; with_full < (full ? 1 : 2); with_full++) {
        if (with_full && a->text.length)
            break;
        change.recompute = with_full;
        zero_try(a, change);
        bf16_try(a, change);
        if (!a->same_ranks)
            stages_try(a, change);
        microbatch_try(a, change);
        schedule_try(a, change);
    }
    if (!a->text.length)
        weir_text_append(&a->text,
                         "neither --recompute full, %s%sa smaller --microbatch-size, another --schedule "
                         "nor recomputation with one of them fits: the least found is %zu bytes (%.1f MiB)",
                         a->engine->n_replicas > 1 && !a->engine->config.zero ? "--zero 1, " : "",
                         a->same_ranks ? "" : "more --stages, ", a->least, (double)a->least / 0x1p20);
}

/* ---- the refusal ---------------------------------------------------------------------------------------------------- */

/* "rank 1 (stages 1, 5) needs 130023424 bytes (124.0 MiB)" */
static weir_status need_name(const struct weir_program *program, struct need need, struct weir_text *text)
{
    int n = 0, n_stages = 0;
    for (int s = 0; s < program->n_stages; s++)
        n_stages += program->stages[s].rank == need.rank;
    weir_text_append(text, "rank %d (%s", need.rank, n_stages > 1 ? "stages" : "stage");
    for (int s = 0; s < program->n_stages; s++)
        if (program->stages[s].rank == need.rank)
            weir_text_append(text, n++ ? ", %d" : " %d", s);
    weir_text_append(text, ") needs %zu bytes (%.1f MiB)", need.most, (double)need.most / 0x1p20);
    return text->status;
}

static int ranks_over(const struct advisor *a)
{
    int n = 0;
    for (int r = 0; r < a->engine->program->n_ranks; r++)
        n += weir_program_rank_bytes(a->engine->program, r) + a->extra > a->rank_cap;
    return n;
}

static weir_status refusal(const struct advisor *a, struct need need)
{
    const struct weir_program *program = a->engine->program;
    struct weir_text name = {0};
    weir_status status = need_name(program, need, &name);
    if (!status && need.most > a->rank_cap)
        status = WEIR_FAIL(WEIR_ERR_NOFIT, "%s, the cap is %zu, %d of %d ranks are over it: %s", name.data, a->rank_cap,
                           ranks_over(a), program->n_ranks, a->text.data);
    else if (!status)
        status = WEIR_FAIL(WEIR_ERR_NOFIT,
                           "the run needs %.1f MiB for %d ranks, device '%s' has %.1f MiB free; %s, more than any other: %s",
                           (double)need.all / 0x1p20, a->engine->n_ranks, a->engine->kind->name,
                           (double)a->free_bytes / 0x1p20, name.data, a->text.data);
    weir_text_release(&name);
    return status;
}

static size_t extra_of(const struct weir_engine *engine)
{
    size_t most = 0;
    for (int r = 0; r < engine->n_ranks; r++) {
        size_t bytes = weir_extra_bytes(engine, r, true);
        most = bytes > most ? bytes : most;
    }
    return most;
}

weir_status weir_fit_check(const struct weir_engine *engine, size_t free_bytes)
{
    int64_t cap = engine->config.device_memory;
    struct advisor a = {.engine = engine, .free_bytes = free_bytes, .rank_cap = cap ? (size_t)cap : SIZE_MAX,
                        .extra = extra_of(engine)};
    struct need need = need_of(&a, engine->program);
    if (fits(&a, need))
        return WEIR_OK;
    a.least = need.most > a.rank_cap ? need.most : need.all;
    advice_write(&a);
    weir_status status = a.text.status ? a.text.status : refusal(&a, need);
    weir_text_release(&a.text);
    return status;
}

void weir_fit_advise(const struct weir_engine *engine, size_t rank_cap, struct weir_text *text)
{
    struct advisor a = {.engine = engine, .free_bytes = SIZE_MAX, .rank_cap = rank_cap, .extra = extra_of(engine),
                        .same_ranks = true, .text = *text};
    a.least = need_of(&a, engine->program).most;
    advice_write(&a);
    *text = a.text;
}
