#include "include/weir/schedule.h"

#include <stdio.h>
#include <strings.h>

#include "base/text.h"
#include "schedules/kinds/kinds.h"
#include "schedules/schedule_kinds.h"

const struct weir_schedule_kind *const weir_schedule_kinds[] = {
    &weir_kind_gpipe,   &weir_kind_1f1b,   &weir_kind_seq1f1b,        &weir_kind_interleaved,
    &weir_kind_bfs,
    &weir_kind_zb_h1,   &weir_kind_zb_h2,  &weir_kind_interleaved_zb, &weir_kind_zbv,
    &weir_kind_v_half,  &weir_kind_v_min,  &weir_kind_dualpipev,      &weir_kind_dualpipe,
    &weir_kind_chimera, &weir_kind_chimera_doubled, &weir_kind_hanayo, &weir_kind_inference,
    NULL,
};

enum { MOST_KINDS = sizeof weir_schedule_kinds / sizeof weir_schedule_kinds[0] };

enum { MOST_RANKS = 1 << 16, MOST_STAGES = 1 << 20, MOST_MICROBATCHES = 1 << 20 };

static const int64_t MOST_ACTIONS = 1ll << 31;

const struct weir_schedule_kind *weir_schedule_kind_at(int index)
{
    return index >= 0 && index < MOST_KINDS ? weir_schedule_kinds[index] : NULL;
}

weir_status weir_schedule_kind_find(const char *name, const struct weir_schedule_kind **kind_out)
{
    const char *names[MOST_KINDS] = {NULL};
    int index;
    for (int i = 0; weir_schedule_kinds[i]; i++) {
        names[i] = weir_schedule_kinds[i]->name;
        if (!strcasecmp(name, names[i]))
            name = names[i];
    }
    weir_status status = weir_name_find("schedule", name, names, &index);
    if (!status)
        *kind_out = weir_schedule_kinds[index];
    return status;
}

int weir_schedule_kind_chunks(const struct weir_schedule_kind *kind)
{
    if (kind->n_chunks)
        return kind->n_chunks;
    return kind->default_chunks ? kind->default_chunks : 1;
}

static weir_status params_check(const struct weir_schedule_kind *kind, const struct weir_schedule_params *params)
{
    if (params->n_ranks < 1 || params->n_ranks > MOST_RANKS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "rank count is %d, it must be 1 to %d", params->n_ranks, MOST_RANKS);
    if (params->n_microbatches < 1 || params->n_microbatches > MOST_MICROBATCHES)
        return WEIR_FAIL(WEIR_ERR_INVALID, "micro-batch count is %d, it must be 1 to %d", params->n_microbatches,
                         MOST_MICROBATCHES);
    if (params->n_chunks < 0 || params->n_chunks > MOST_STAGES / params->n_ranks)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%d chunks on each of %d ranks, at most %d stages are possible",
                         params->n_chunks, params->n_ranks, MOST_STAGES);
    if (kind->n_chunks && params->n_chunks && params->n_chunks != kind->n_chunks)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s needs %d chunk%s per rank, not %d: use " WEIR_OPTION("chunks=%d"),
                         kind->name, kind->n_chunks, kind->n_chunks == 1 ? "" : "s", params->n_chunks, kind->n_chunks);
    if (params->group_size && !kind->takes_group_size)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s has no groups: leave out " WEIR_OPTION("group_size"), kind->name);
    if (params->group_size < 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "group size is %d, it must be at least 1", params->group_size);
    if (params->n_slices < 0 || params->n_slices > MOST_MICROBATCHES / params->n_microbatches)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%d slices of %d micro-batches, at most %d in all are possible", params->n_slices,
                         params->n_microbatches, MOST_MICROBATCHES);
    if (params->n_slices > 1 && !kind->takes_slices)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%s does not cut sequences: use seq1f1b, or leave out " WEIR_OPTION("slices"), kind->name);
    return WEIR_OK;
}

weir_status weir_schedule_build(const struct weir_schedule_kind *kind, const struct weir_schedule_params *params,
                                struct weir_arena *arena, struct weir_schedule *out)
{
    weir_status status = params_check(kind, params);
    if (status)
        return status;
    struct weir_schedule_params full = *params;
    if (!full.n_chunks)
        full.n_chunks = weir_schedule_kind_chunks(kind);
    int64_t n_actions = 3ll * full.n_ranks * full.n_chunks * full.n_microbatches * (full.n_slices ? full.n_slices : 1);
    if (n_actions > MOST_ACTIONS)
        return WEIR_FAIL(WEIR_ERR_INVALID, "%d ranks, %d chunks and %d micro-batches make %lld actions, at most %lld",
                         full.n_ranks, full.n_chunks, full.n_microbatches, (long long)n_actions,
                         (long long)MOST_ACTIONS);
    return kind->build(&full, arena, out);
}

static const char *const type_names[WEIR_ACTION_TYPES] = {
    [WEIR_F] = "F",
    [WEIR_I] = "I",
    [WEIR_W] = "W",
    [WEIR_B] = "B",
    [WEIR_SEND_F] = "SEND_F",
    [WEIR_RECV_F] = "RECV_F",
    [WEIR_SEND_B] = "SEND_B",
    [WEIR_RECV_B] = "RECV_B",
    [WEIR_REDUCE_GRAD] = "REDUCE_GRAD",
    [WEIR_UNSHARD] = "UNSHARD",
    [WEIR_RESHARD] = "RESHARD",
    [WEIR_WAIT_REDUCE_GRAD] = "WAIT_REDUCE_GRAD",
    [WEIR_WAIT_SEND_F] = "WAIT_SEND_F",
    [WEIR_WAIT_SEND_B] = "WAIT_SEND_B",
};

const char *weir_action_type_str(enum weir_action_type type)
{
    return (unsigned)type < WEIR_ACTION_TYPES ? type_names[type] : "?";
}

const char *weir_action_str(const struct weir_action *action, char text[WEIR_ACTION_TEXT])
{
    const char *type = weir_action_type_str((enum weir_action_type)action->type);
    if (action->mb < 0)
        snprintf(text, WEIR_ACTION_TEXT, "%d%s", action->stage, type);
    else
        snprintf(text, WEIR_ACTION_TEXT, "%d%s%d", action->stage, type, action->mb);
    return text;
}

void weir_action_set(struct weir_action *action, int stage, enum weir_action_type type, int mb, bool fused)
{
    *action = (struct weir_action){.stage = stage, .mb = mb & 0xffffff, .type = (uint32_t)type & 127, .fused = fused};
}

void weir_action_get(const struct weir_action *action, int *stage_out, enum weir_action_type *type_out, int *mb_out, bool *fused_out)
{
    *stage_out = action->stage;
    *type_out = (enum weir_action_type)action->type;
    *mb_out = action->mb;
    *fused_out = action->fused;
}

bool weir_action_is_compute(enum weir_action_type type)
{
    return type <= WEIR_B;
}

bool weir_action_has_microbatch(enum weir_action_type type)
{
    return type < WEIR_REDUCE_GRAD || type == WEIR_WAIT_SEND_F || type == WEIR_WAIT_SEND_B;
}

weir_status weir_schedule_error_name(const struct weir_schedule *schedule, weir_status status)
{
    return status == WEIR_ERR_INVALID && schedule->name ? weir_error_prefix(status, "'%s': ", schedule->name) : status;
}
