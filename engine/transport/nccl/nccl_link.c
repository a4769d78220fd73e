/* Links of the nccl transport: this rank's ends of messages, their events, and mirrors of what peers hold. */
#include "engine/transport/nccl/nccl_shared.h"

#include <string.h>

#include "base/alloc.h"

enum { ALIGNMENT = 256 }; /* of mirrors, so that addresses in them are aligned as in the block itself */

/* ---- ends ------------------------------------------------------------------------------------------------------------ */

static struct weir_nccl_edge *edge_find(const struct weir_nccl_link *link, int from, int to)
{
    for (int e = 0; e < link->home->n_edges; e++)
        if (link->home->edges[e].from == from && link->home->edges[e].to == to)
            return &link->home->edges[e];
    return NULL;
}

static weir_status end_make(struct weir_nccl_link *link, const struct weir_message *message, struct weir_nccl_end *end)
{
    struct weir_message_region *regions;
    bool receives = end >= link->receives && end < link->receives + link->n_receives; /* both are instructions of the receiver */
    if (message->n_regions == 0 || (receives && message->turn_after < message->post_after))
        return WEIR_FAIL(WEIR_ERR_INTERNAL, "the message from rank %d to rank %d with event %d is empty or before its turn",
                         message->from, message->to, message->event);
    weir_status status = weir_arena_alloc(&link->arena, (size_t)message->n_regions, sizeof *regions, &regions);
    if (status)
        return status;
    memcpy(regions, message->regions, sizeof *regions * (size_t)message->n_regions);
    *end = (struct weir_nccl_end){.message = *message, .edge = edge_find(link, message->from, message->to)};
    end->message.regions = regions;
    return end->edge ? WEIR_OK
                     : WEIR_FAIL(WEIR_ERR_INTERNAL, "no communicator from rank %d to rank %d", message->from, message->to);
}

static bool overlap(const struct weir_message_region *a, const struct weir_message_region *b)
{
    return a->owner == b->owner && a->block == b->block && a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
}

static bool messages_overlap(const struct weir_message *a, const struct weir_message *b)
{
    for (int i = 0; i < a->n_regions; i++)
        for (int k = 0; k < b->n_regions; k++)
            if (overlap(&a->regions[i], &b->regions[k]))
                return true;
    return false;
}

static weir_status event_ensure(struct weir_nccl_link *link, weir_event **event)
{
    return *event ? WEIR_OK : link->kind->event_open(link->device, event);
}

/* Does a send of the event go out of the memory of the earlier send k? */
static bool is_claimed(const struct weir_nccl_link *link, int event, int k)
{
    for (int i = link->first_send[event]; i < link->n_sends && link->sends[i].message.event == event; i++)
        if (messages_overlap(&link->sends[k].message, &link->sends[i].message))
            return true;
    return false;
}

static weir_status claims_find(struct weir_nccl_link *link, int event, int *n)
{
    weir_status status = WEIR_OK;
    for (int e = 0; e < link->home->n_edges && link->first_send[event] >= 0 && !status; e++) {
        int k = link->first_send[event] - 1;
        while (k >= 0 && !(link->sends[k].edge == &link->home->edges[e] && is_claimed(link, event, k)))
            k--;
        if (k < 0)
            continue;
        link->claims[(*n)++] = k;
        status = event_ensure(link, &link->sends[k].done);
    }
    return status;
}

static weir_status claims_make(struct weir_nccl_link *link)
{
    size_t most = (size_t)link->n_sends * (size_t)link->home->n_edges;
    int n = 0;
    weir_status status = weir_arena_alloc(&link->arena, most, sizeof *link->claims, &link->claims);
    if (!status)
        status = weir_arena_alloc(&link->arena, (size_t)link->n_events + 1, sizeof *link->first_claim, &link->first_claim);
    for (int e = 0; e < link->n_events && !status; e++) {
        link->first_claim[e] = n;
        status = claims_find(link, e, &n);
        link->first_claim[e + 1] = n;
    }
    return status;
}

static weir_status receive_index(struct weir_nccl_link *link, int i)
{
    struct weir_nccl_end *end = &link->receives[i];
    link->receive_of[end->message.event] = i;
    weir_status status = event_ensure(link, &end->done);
    return status || end->message.post_after < 0 ? status : event_ensure(link, &link->free[end->message.post_after]);
}

static weir_status send_index(struct weir_nccl_link *link, int i)
{
    int event = link->sends[i].message.event;
    if (link->first_send[event] < 0)
        link->first_send[event] = i;
    return event_ensure(link, &link->made[event]);
}

static weir_status ends_index(struct weir_nccl_link *link)
{
    weir_status status = weir_arena_alloc(&link->arena, (size_t)link->n_events, sizeof(int), &link->first_send);
    if (!status)
        status = weir_arena_alloc(&link->arena, (size_t)link->n_events, sizeof(int), &link->receive_of);
    if (!status)
        status = weir_arena_alloc(&link->arena, (size_t)link->n_events, sizeof *link->made, &link->made);
    for (int e = 0; e < link->n_events && !status; e++)
        link->first_send[e] = link->receive_of[e] = -1;
    for (int i = 0; i < link->n_receives; i++)
        if (link->receives[i].message.post_after >= link->n_free)
            link->n_free = link->receives[i].message.post_after + 1;
    if (!status)
        status = weir_arena_alloc(&link->arena, (size_t)link->n_free, sizeof(weir_event *), &link->free);
    for (int i = 0; i < link->n_sends && !status; i++)
        status = send_index(link, i);
    for (int i = 0; i < link->n_receives && !status; i++)
        status = receive_index(link, i);
    return status ? status : claims_make(link);
}

static weir_status ends_make(struct weir_nccl_link *link, const struct weir_link_spec *spec)
{
    int rank = link->info->rank;
    weir_status status = weir_arena_alloc(&link->arena, (size_t)spec->n_messages, sizeof *link->sends, &link->sends);
    if (!status)
        status = weir_arena_alloc(&link->arena, (size_t)spec->n_messages, sizeof *link->receives, &link->receives);
    for (int w = 0; w < spec->n_messages && !status; w++) {
        const struct weir_message *message = &spec->messages[w];
        if (message->from == rank)
            status = end_make(link, message, &link->sends[link->n_sends++]);
        else if (message->to == rank)
            status = end_make(link, message, &link->receives[link->n_receives++]);
    }
    return status ? status : ends_index(link);
}

/* ---- mirrors --------------------------------------------------------------------------------------------------------- */

static void mirrors_grow(struct weir_nccl_link *link, const struct weir_nccl_end *ends, int n)
{
    for (int i = 0; i < n; i++)
        for (int k = 0; k < ends[i].message.n_regions; k++) {
            const struct weir_message_region *region = &ends[i].message.regions[k];
            struct weir_nccl_mirror *mirror = weir_nccl_mirror(link, region->owner, region->block);
            size_t low = region->offset / ALIGNMENT * ALIGNMENT, high = region->offset + region->bytes;
            if (region->owner == link->info->rank)
                continue;
            mirror->low = mirror->high && mirror->low < low ? mirror->low : low;
            mirror->high = mirror->high > high ? mirror->high : high;
        }
}

weir_status weir_nccl_place(struct weir_nccl_link *link, void *const *blocks)
{
    weir_status status = WEIR_OK;
    memcpy(link->blocks, blocks, sizeof *blocks * (size_t)link->n_blocks);
    for (int i = 0; i < link->info->n_ranks * link->n_blocks && !status; i++) {
        struct weir_nccl_mirror *mirror = &link->mirrors[i];
        if (mirror->high)
            status = link->kind->memory_alloc(link->device, mirror->high - mirror->low, (void **)(void *)&mirror->memory);
    }
    return status;
}

size_t weir_nccl_mirror_bytes(const struct weir_nccl_link *link)
{
    size_t bytes = 0;
    for (int i = 0; i < link->info->n_ranks * link->n_blocks; i++)
        bytes += link->home->mirrors[i].high - link->home->mirrors[i].low;
    return bytes;
}

size_t weir_nccl_buffer_bytes(const struct weir_nccl_link *link)
{
    return link->home->buffer_bytes;
}

/* ---- open and close --------------------------------------------------------------------------------------------------- */

static weir_status home_make(struct weir_nccl_link *link, const struct weir_link_spec *spec)
{
    size_t n = (size_t)link->info->n_ranks * (size_t)spec->n_blocks;
    weir_status status = weir_arena_alloc(&link->arena, n, sizeof *link->mirrors, &link->mirrors);
    if (!status)
        status = weir_arena_alloc(&link->arena, (size_t)spec->n_blocks, sizeof *link->blocks, &link->blocks);
    link->came_ns = INT64_MAX; /* nothing is awaited before a run */
    return status ? status : weir_nccl_connect(link, spec);
}

weir_status weir_nccl_link_open(weir_transport *transport, const struct weir_link_spec *spec,
                                const struct weir_nccl_link *memory, struct weir_nccl_link **link_out)
{
    struct weir_nccl_link *link;
    weir_status status = weir_alloc(1, sizeof *link, &link);
    if (status)
        return status;
    link->transport = transport;
    link->info = weir_shm_info(transport);
    link->kind = spec->kind;
    link->device = spec->device;
    link->stream = spec->stream;
    link->n_blocks = spec->n_blocks;
    link->n_events = spec->n_events;
    link->home = link;
    if (memory)
        link->home = memory->home;
    else
        status = home_make(link, spec);
    if (!status)
        status = ends_make(link, spec);
    if (status) {
        char message[WEIR_ERROR_MAX];
        weir_error_take(message);
        weir_nccl_abort(link);
        weir_nccl_link_close(link);
        weir_error_put(message);
        return status;
    }
    mirrors_grow(link, link->sends, link->n_sends);
    mirrors_grow(link, link->receives, link->n_receives);
    *link_out = link;
    return WEIR_OK;
}

static void event_close(struct weir_nccl_link *link, weir_event *event)
{
    if (event)
        link->kind->event_close(event);
}

static void home_close(struct weir_nccl_link *link)
{
    weir_nccl_disconnect(link);
    if (link->stuck)
        return;
    for (int i = 0; link->mirrors && i < link->info->n_ranks * link->n_blocks; i++)
        link->kind->memory_free(link->device, link->mirrors[i].memory);
}

/* A link whose operations cannot be ended is left as it is. */
void weir_nccl_link_close(struct weir_nccl_link *link)
{
    if (!link || link->home->stuck)
        return;
    if (link->home == link)
        home_close(link);
    if (link->stuck)
        return;
    for (int i = 0; i < link->n_sends; i++)
        event_close(link, link->sends[i].done);
    for (int i = 0; i < link->n_receives; i++)
        event_close(link, link->receives[i].done);
    for (int e = 0; link->made && e < link->n_events; e++)
        event_close(link, link->made[e]);
    for (int i = 0; link->free && i < link->n_free; i++)
        event_close(link, link->free[i]);
    weir_arena_release(&link->arena);
    weir_free(link);
}
