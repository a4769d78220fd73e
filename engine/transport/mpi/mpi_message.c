/* Messages to other hosts: one persistent request each at either end.
 *
 * Both ends number the messages from one rank to another in the order of the list; the number is the tag.  One region is
 * sent as it stands, several are sent together with a data type of their own, and a message without any is empty. */
#include "engine/transport/mpi/mpi_shared.h"

#include <stdlib.h>

#include "base/alloc.h"

enum { BLOCK = 1 << 30, PAGE = 4096 }; /* bytes of one block of a message: counts are int */

/* A message on its way to an end of this process. */
struct draft {
    const struct weir_message *message;
    int tag, order;
};

struct drafts {
    struct draft *items;
    int n;
};

static int by_event(const void *a, const void *b)
{
    const struct draft *x = a, *y = b;
    int p = x->message->event, q = y->message->event;
    return p != q ? (p > q) - (p < q) : (x->order > y->order) - (x->order < y->order);
}

static int by_post(const void *a, const void *b)
{
    const struct draft *x = a, *y = b;
    int p = x->message->post_after, q = y->message->post_after;
    return p != q ? (p > q) - (p < q) : (x->order > y->order) - (x->order < y->order);
}

/* ---- one message ---------------------------------------------------------------------------------------------------- */

static int blocks_count(const struct weir_message *message)
{
    size_t n = 0;
    for (int k = 0; k < message->n_regions; k++)
        n += (message->regions[k].bytes + BLOCK - 1) / BLOCK;
    return (int)n;
}

static weir_status type_make(const struct weir_shm_link *link, const struct weir_message *message, int n_blocks, MPI_Datatype *type_out)
{
    int *lengths = NULL, n = 0;
    MPI_Aint *places = NULL;
    weir_status status = weir_alloc((size_t)n_blocks, sizeof *lengths, &lengths);
    if (!status)
        status = weir_alloc((size_t)n_blocks, sizeof *places, &places);
    for (int k = 0; k < message->n_regions && !status; k++) {
        const struct weir_message_region *region = &message->regions[k];
        char *base = (char *)weir_shm_memory(link, region->owner, region->block) + region->offset;
        for (size_t at = 0; at < region->bytes; at += BLOCK) {
            lengths[n] = (int)(region->bytes - at < BLOCK ? region->bytes - at : BLOCK);
            MPI_Get_address(base + at, &places[n++]);
        }
    }
    if (!status)
        status = weir_mpi_check(MPI_Type_create_hindexed(n_blocks, lengths, places, MPI_BYTE, type_out),
                                "MPI_Type_create_hindexed");
    if (!status)
        status = weir_mpi_check(MPI_Type_commit(type_out), "MPI_Type_commit");
    weir_free(places);
    weir_free(lengths);
    return status;
}

static weir_status end_open(const struct weir_shm_link *link, const struct weir_mpi_messages *messages,
                            const struct draft *draft, bool sends, struct weir_mpi_end *end)
{
    const struct weir_message *message = draft->message;
    int n_blocks = blocks_count(message), count = 0;
    void *data = MPI_BOTTOM;
    *end = (struct weir_mpi_end){.event = message->event, .peer = sends ? message->to : message->from,
                                 .post_after = message->post_after, .request = MPI_REQUEST_NULL,
                                 .type = MPI_DATATYPE_NULL, .run = link->run};
    weir_status status = WEIR_OK;
    if (n_blocks == 1) {
        data = (char *)weir_shm_memory(link, message->regions[0].owner, message->regions[0].block) + message->regions[0].offset;
        count = (int)message->regions[0].bytes;
    } else if (n_blocks > 1) {
        status = type_make(link, message, n_blocks, &end->type);
        count = 1;
    }
    if (status)
        return status;
    MPI_Datatype type = n_blocks > 1 ? end->type : MPI_BYTE;
    return sends ? weir_mpi_check(MPI_Send_init(data, count, type, end->peer, draft->tag, messages->comm, &end->request),
                                  "MPI_Send_init")
                 : weir_mpi_check(MPI_Recv_init(data, count, type, end->peer, draft->tag, messages->comm, &end->request),
                                  "MPI_Recv_init");
}

static void ends_close(struct weir_mpi_end *ends, int n)
{
    for (int i = 0; i < n; i++) {
        if (ends[i].request != MPI_REQUEST_NULL)
            MPI_Request_free(&ends[i].request);
        if (ends[i].type != MPI_DATATYPE_NULL)
            MPI_Type_free(&ends[i].type);
    }
}

/* ---- mirrors -------------------------------------------------------------------------------------------------------- */

struct range {
    uintptr_t start, end;
};

static int by_start(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static int ranges_add(const struct weir_shm_link *link, const struct drafts *drafts, struct range *ranges)
{
    int n = 0;
    for (int i = 0; i < drafts->n; i++)
        for (int k = 0; k < drafts->items[i].message->n_regions; k++) {
            const struct weir_message_region *region = &drafts->items[i].message->regions[k];
            if (region->owner == link->transport->info.rank)
                continue;
            uintptr_t at = (uintptr_t)weir_shm_memory(link, region->owner, region->block) + region->offset;
            ranges[n++] = (struct range){at / PAGE * PAGE, (at + region->bytes + PAGE - 1) / PAGE * PAGE};
        }
    return n;
}

static int regions_count(const struct drafts *drafts)
{
    int n = 0;
    for (int i = 0; i < drafts->n; i++)
        n += drafts->items[i].message->n_regions;
    return n;
}

/* Pages of mirrors that messages are sent from or received into. */
static weir_status mirrors_measure(struct weir_shm_link *link, const struct drafts *sends, const struct drafts *receives)
{
    struct range *ranges;
    int n = regions_count(sends) + regions_count(receives);
    weir_status status = weir_alloc((size_t)n, sizeof *ranges, &ranges);
    if (status)
        return status;
    n = ranges_add(link, sends, ranges);
    n += ranges_add(link, receives, ranges + n);
    qsort(ranges, (size_t)n, sizeof *ranges, by_start);
    uintptr_t covered = 0;
    for (int i = 0; i < n; i++) {
        uintptr_t start = ranges[i].start > covered ? ranges[i].start : covered;
        if (ranges[i].end > start)
            link->mirror_bytes += ranges[i].end - start;
        covered = ranges[i].end > covered ? ranges[i].end : covered;
    }
    weir_free(ranges);
    return WEIR_OK;
}

/* ---- all of them ---------------------------------------------------------------------------------------------------- */

static bool between_hosts(const struct weir_shm_link *link, const struct weir_message *message)
{
    const int *host_of = link->transport->info.host_of;
    return host_of[message->from] != host_of[message->to];
}

/* The messages that start and end here, with their tags. */
static weir_status drafts_make(const struct weir_shm_link *link, const struct weir_mpi_messages *messages,
                               const struct weir_link_spec *spec, struct drafts *sends, struct drafts *receives)
{
    const struct weir_transport_info *info = &link->transport->info;
    int *tags, *most, there = 0;
    weir_status status = weir_alloc(2 * (size_t)info->n_ranks, sizeof *tags, &tags);
    weir_mpi_lock();
    if (!status)
        status = weir_mpi_check(MPI_Comm_get_attr(messages->comm, MPI_TAG_UB, &most, &there), "MPI_Comm_get_attr");
    weir_mpi_unlock();
    for (int w = 0; w < spec->n_messages && !status; w++) {
        const struct weir_message *message = &spec->messages[w];
        bool from_here = message->from == info->rank;
        if (!between_hosts(link, message) || (!from_here && message->to != info->rank))
            continue;
        int *tag = &tags[from_here ? 2 * message->to : 2 * message->from + 1];
        struct drafts *drafts = from_here ? sends : receives;
        if (there && *tag > *most)
            status = WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "more than %d messages per step from rank %d to rank %d: use fewer "
                                                     "micro-batches", *most, message->from, message->to);
        drafts->items[drafts->n] = (struct draft){message, (*tag)++, drafts->n};
        drafts->n++;
    }
    weir_free(tags);
    return status;
}

static weir_status comm_make(struct weir_shm_link *link, struct weir_mpi_messages *messages)
{
    MPI_Request request;
    weir_mpi_lock();
    weir_status status =
        weir_mpi_check(MPI_Comm_idup(weir_mpi_world(link->transport)->world, &messages->comm, &request), "MPI_Comm_idup");
    weir_mpi_unlock();
    return status ? status : weir_mpi_request_wait(link->transport, &request, "MPI_Comm_idup");
}

static weir_status end_make(const struct weir_shm_link *link, const struct weir_mpi_messages *messages, const struct draft *draft,
                            bool sends, struct weir_mpi_end *end)
{
    weir_mpi_lock();
    weir_status status = end_open(link, messages, draft, sends, end);
    weir_mpi_unlock();
    return status;
}

static weir_status ends_make(struct weir_shm_link *link, const struct weir_mpi_messages *messages, const struct drafts *drafts,
                             bool sends, struct weir_mpi_end **ends_out, int *n_out)
{
    weir_status status = weir_arena_alloc(&link->arena, (size_t)drafts->n, sizeof **ends_out, ends_out);
    for (int i = 0; i < drafts->n && !status; i++) {
        status = end_make(link, messages, &drafts->items[i], sends, &(*ends_out)[i]);
        *n_out = i + 1;
    }
    return status;
}

/* first[e]: where event e starts among the ends in order of their events. */
static weir_status index_make(struct weir_shm_link *link, const struct weir_mpi_end *ends, int n, int **first_out)
{
    int *first;
    weir_status status = weir_arena_alloc(&link->arena, (size_t)link->n_events + 1, sizeof *first, &first);
    if (status)
        return status;
    for (int i = 0; i < n; i++)
        first[ends[i].event + 1]++;
    for (int e = 0; e < link->n_events; e++)
        first[e + 1] += first[e];
    *first_out = first;
    return WEIR_OK;
}

static weir_status receives_order(struct weir_shm_link *link, struct weir_mpi_messages *messages)
{
    int *at;
    weir_status status = index_make(link, messages->receives, messages->n_receives, &messages->first_receive);
    if (!status)
        status = weir_arena_alloc(&link->arena, (size_t)messages->n_receives, sizeof(int), &messages->receive_order);
    if (!status)
        status = weir_alloc((size_t)link->n_events, sizeof *at, &at);
    if (status)
        return status;
    for (int i = 0; i < messages->n_receives; i++) {
        int event = messages->receives[i].event;
        messages->receive_order[messages->first_receive[event] + at[event]++] = i;
    }
    weir_free(at);
    return WEIR_OK;
}

static weir_status messages_fill(struct weir_shm_link *link, struct weir_mpi_messages *messages, const struct weir_link_spec *spec)
{
    struct drafts sends = {0}, receives = {0};
    weir_status status = weir_alloc((size_t)spec->n_messages, sizeof *sends.items, &sends.items);
    if (!status)
        status = weir_alloc((size_t)spec->n_messages, sizeof *receives.items, &receives.items);
    if (!status)
        status = drafts_make(link, messages, spec, &sends, &receives);
    if (!status) {
        qsort(sends.items, (size_t)sends.n, sizeof *sends.items, by_event);
        qsort(receives.items, (size_t)receives.n, sizeof *receives.items, by_post);
        status = mirrors_measure(link, &sends, &receives);
    }
    if (!status)
        status = ends_make(link, messages, &sends, true, &messages->sends, &messages->n_sends);
    if (!status)
        status = ends_make(link, messages, &receives, false, &messages->receives, &messages->n_receives);
    if (!status)
        status = index_make(link, messages->sends, messages->n_sends, &messages->first_send);
    if (!status)
        status = receives_order(link, messages);
    weir_free(receives.items);
    weir_free(sends.items);
    return status;
}

weir_status weir_mpi_messages_open(struct weir_shm_link *link, const struct weir_link_spec *spec, void **state_out)
{
    struct weir_mpi_messages *messages = NULL;
    if (link->transport->info.n_hosts == 1)
        return WEIR_OK;
    weir_status status = weir_shm_agree(link->transport, weir_arena_alloc(&link->arena, 1, sizeof *messages, &messages));
    if (status)
        return status;
    messages->comm = MPI_COMM_NULL;
    messages->link = link;
    *state_out = messages;
    status = comm_make(link, messages);
    if (!status)
        status = messages_fill(link, messages, spec);
    return weir_shm_agree(link->transport, status);
}

static struct weir_mpi_messages *kept; /* of links that stay; guarded by weir_mpi_lock */

bool weir_mpi_messages_close(struct weir_shm_link *link, bool failed)
{
    struct weir_mpi_messages *messages = weir_mpi_messages(link);
    if (!messages)
        return true;
    bool stays = failed || weir_mpi_is_over();
    weir_mpi_lock();
    if (stays) {
        messages->next_kept = kept;
        kept = messages;
    } else {
        ends_close(messages->sends, messages->n_sends);
        ends_close(messages->receives, messages->n_receives);
        if (messages->comm != MPI_COMM_NULL)
            MPI_Comm_free(&messages->comm);
    }
    weir_mpi_unlock();
    return !stays;
}
