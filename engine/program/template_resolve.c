/* Resolving a list: buffers of scratch live from the first to the last call that names them, and are packed by that. */
#include "engine/program/template.h"

#include <assert.h>
#include <string.h>

enum { WHERES = 3 * WEIR_OP_INPUTS + 2 * WEIR_OP_OUTPUTS + 2 * WEIR_OP_PARAMS + 2 };

/* All that the call may use; returns how many. */
static int wheres_of(struct weir_step_call *call, struct weir_where *out[WHERES])
{
    int n = 0, n_inputs = call->fn ? call->call.n_inputs : 1, n_outputs = call->fn ? call->call.n_outputs : 1;
    for (int i = 0; i < n_inputs; i++) {
        out[n++] = &call->inputs[i];
        out[n++] = &call->d_inputs[i];
        out[n++] = &call->addends[i];
    }
    for (int i = 0; i < call->call.n_params; i++) {
        out[n++] = &call->params[i];
        out[n++] = &call->d_params[i];
    }
    for (int i = 0; i < n_outputs; i++) {
        out[n++] = &call->outputs[i];
        out[n++] = &call->d_outputs[i];
    }
    out[n++] = &call->saved;
    out[n++] = &call->scratch;
    return n;
}

static void lifetimes_find(struct weir_template *t, struct weir_template_list *list)
{
    struct weir_where *wheres[WHERES];
    for (int b = 0; b < t->n_buffers; b++)
        t->buffers[b].first = -1;
    for (int i = 0; i < list->n; i++) {
        int n = wheres_of(&list->calls[i], wheres);
        for (int k = 0; k < n; k++) {
            if (wheres[k]->place != WEIR_PLACE_SCRATCH)
                continue;
            struct weir_template_buffer *b = &t->buffers[wheres[k]->offset];
            if (b->first < 0)
                b->first = i;
            b->last = i;
        }
    }
}

static weir_status scratch_pack(struct weir_template *t)
{
    struct weir_pack_item *items;
    weir_status status = weir_arena_alloc(t->c->arena, (size_t)t->n_buffers, sizeof *items, &items);
    if (status)
        return status;
    for (int b = 0; b < t->n_buffers; b++) {
        const struct weir_template_buffer *buffer = &t->buffers[b];
        bool scratch = buffer->place == WEIR_PLACE_SCRATCH && buffer->first >= 0;
        items[b] = (struct weir_pack_item){scratch ? buffer->bytes : 0, buffer->first, buffer->last, 0};
    }
    size_t bytes;
    status = weir_pack(items, t->n_buffers, t->c->arena, &bytes);
    if (status)
        return status;
    for (int b = 0; b < t->n_buffers; b++)
        if (t->buffers[b].place == WEIR_PLACE_SCRATCH)
            t->buffers[b].offset = items[b].offset;
    size_t *rank_bytes = &t->c->program->ranks[t->stage->rank].bytes[WEIR_MEMORY_SCRATCH];
    if (bytes > *rank_bytes)
        *rank_bytes = bytes;
    return WEIR_OK;
}

/* A slot of another stage. */
static bool is_elsewhere(const struct weir_template *t, const struct weir_where *where)
{
    int stage = (int)(t->stage - t->c->program->stages);
    const struct weir_boundary *boundary = &t->c->program->boundaries[where->boundary];
    return (where->place == WEIR_PLACE_SLOT && boundary->from == stage) ||
           (where->place == WEIR_PLACE_GRAD_SLOT && boundary->to == stage);
}

/* The calls of a slice follow those of the slices before it. */
static void list_keep(struct weir_template *t, const struct weir_template_list *list, enum weir_list which, int slot_call)
{
    struct weir_call_list *kept = &t->stage->lists[which];
    if (t->c->program->n_slices == 1) {
        *kept = (struct weir_call_list){list->calls, list->n, slot_call};
        return;
    }
    if (t->slice == 0) {
        *kept = (struct weir_call_list){NULL, list->n, slot_call};
        size_t n = (size_t)t->c->program->n_slices * (size_t)list->n;
        t->status = weir_arena_alloc(t->c->arena, n, sizeof *kept->calls, &kept->calls);
    }
    assert(kept->n_calls == list->n && kept->slot_call == slot_call);
    if (!t->status && list->n)
        memcpy(kept->calls + t->slice * list->n, list->calls, (size_t)list->n * sizeof *list->calls);
}

/* Give every buffer of the list its place and hand the list to the stage. */
void weir_template_resolve(struct weir_template *t, struct weir_template_list *list, enum weir_list which)
{
    if (t->status)
        return;
    lifetimes_find(t, list);
    t->status = scratch_pack(t);
    if (t->status)
        return;
    struct weir_where *wheres[WHERES];
    int slot_call = list->n;
    for (int i = list->n - 1; i >= 0; i--) {
        int n = wheres_of(&list->calls[i], wheres);
        for (int k = 0; k < n; k++) {
            if (wheres[k]->place == WEIR_PLACE_SCRATCH) {
                const struct weir_template_buffer *b = &t->buffers[wheres[k]->offset];
                *wheres[k] = (struct weir_where){b->place, b->offset, 0, b->boundary};
            }
            if (is_elsewhere(t, wheres[k]))
                slot_call = i;
        }
    }
    list_keep(t, list, which, slot_call);
}
