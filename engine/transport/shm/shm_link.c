/* Links: the memory and the flags of one program. */
#include "engine/transport/shm/shm_shared.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"

enum { PAGE = 4096, HUGE_PAGE = 2 << 20 };

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

/* Where the blocks of `rank` stand behind its flags; the same on every process.  Returns the bytes of all. */
static size_t layout(struct weir_shm_link *link, const struct weir_link_spec *spec, int rank)
{
    size_t at = round_up((size_t)spec->n_events * sizeof(struct weir_futex) + 1, PAGE);
    for (int block = 0; block < spec->n_blocks && !spec->memory; block++) {
        size_t i = (size_t)rank * (size_t)spec->n_blocks + (size_t)block, bytes = spec->block_bytes[i];
        at = round_up(at, bytes >= HUGE_PAGE ? HUGE_PAGE : PAGE);
        link->offsets[i] = bytes ? at : SIZE_MAX;
        at += bytes;
    }
    return round_up(at, PAGE);
}

/* Memory that costs nothing until it is touched. */
static weir_status mirror_map(size_t bytes, struct weir_shm_segment *mirror)
{
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "cannot map %zu bytes: %s", bytes, strerror(errno));
    *mirror = (struct weir_shm_segment){base, bytes};
    return WEIR_OK;
}

static weir_status arrays_make(struct weir_shm_link *link)
{
    const struct weir_transport_info *info = &link->transport->info;
    size_t n = (size_t)info->n_ranks;
    weir_status status = weir_arena_alloc(&link->arena, n * (size_t)link->n_blocks, sizeof *link->offsets, &link->offsets);
    if (!status)
        status = weir_arena_alloc(&link->arena, n, sizeof *link->mirrors, &link->mirrors);
    return status ? status
                  : weir_arena_alloc(&link->arena, (size_t)info->n_local, sizeof *link->segments, &link->segments);
}

static weir_status memory_make(struct weir_shm_link *link, const struct weir_link_spec *spec)
{
    weir_transport *transport = link->transport;
    size_t own = 0;
    weir_status status = arrays_make(link);
    for (int r = 0; r < transport->info.n_ranks && !status; r++) {
        size_t bytes = layout(link, spec, r);
        if (r == transport->info.rank)
            own = bytes;
        if (!weir_shm_is_here(transport, r) && !spec->memory)
            status = mirror_map(bytes, &link->mirrors[r]);
    }
    status = weir_shm_agree(transport, status);
    if (!status)
        status = weir_shm_segments_open(transport, own, link->segments);
    for (int e = 0; e < spec->n_events && !status; e++)
        weir_futex_init(weir_shm_link_flag(link, transport->info.rank, e), (uint32_t)WEIR_SHM_FIRST);
    return weir_shm_agree(transport, status); /* edge: flags initialised ─▶ anybody waits for one */
}

static weir_status message_check(const struct weir_shm_link *link, const struct weir_link_spec *spec, const struct weir_message *message)
{
    int n_ranks = link->transport->info.n_ranks;
    bool right = message->event >= 0 && message->event < spec->n_events && message->from >= 0 && message->from < n_ranks &&
                 message->to >= 0 && message->to < n_ranks && message->from != message->to;
    for (int k = 0; k < message->n_regions && right; k++) {
        const struct weir_message_region *region = &message->regions[k];
        right = (region->owner == message->from || region->owner == message->to) && region->block >= 0 &&
                region->block < spec->n_blocks && region->bytes > 0;
        size_t block = right ? spec->block_bytes[region->owner * spec->n_blocks + region->block] : 0;
        right = right && region->bytes <= block && region->offset <= block - region->bytes;
    }
    return right ? WEIR_OK : WEIR_FAIL(WEIR_ERR_INVALID, "event %d from rank %d to rank %d: a number is out of range",
                                       message->event, message->from, message->to);
}

static weir_status link_fill(struct weir_shm_link *link, const struct weir_link_spec *spec)
{
    weir_status status = WEIR_OK;
    for (int w = 0; w < spec->n_messages && !status; w++)
        status = message_check(link, spec, &spec->messages[w]);
    if (status) /* the list is the same everywhere, and so is the failure */
        return status;
    status = memory_make(link, spec);
    const struct weir_wire *wire = link->transport->wire;
    return status || !wire ? status : wire->link_open(link, spec, &link->wire_state);
}

weir_status weir_shm_link_open(weir_transport *transport, const struct weir_link_spec *spec,
                               const struct weir_shm_link *memory, struct weir_shm_link **link_out)
{
    struct weir_shm_link *link;
    weir_status status = weir_alloc(1, sizeof *link, &link);
    status = weir_shm_agree(transport, status);
    if (status)
        return status;
    link->transport = transport;
    link->home = memory ? memory : link;
    link->n_blocks = spec->n_blocks;
    link->n_events = spec->n_events;
    link->run = (uint32_t)WEIR_SHM_FIRST;
    status = link_fill(link, spec);
    if (status) {
        weir_shm_link_close(link);
        return status;
    }
    *link_out = link;
    return WEIR_OK;
}

void weir_shm_link_close(struct weir_shm_link *link)
{
    if (!link)
        return;
    const weir_transport *transport = link->transport;
    bool failed = transport->failed || atomic_load(&weir_shm_lobby(transport, transport->info.local_rank)->stopped);
    if (transport->wire && !transport->wire->link_close(link, failed))
        return;
    if (link->segments)
        weir_shm_segments_close(link->segments, transport->info.n_local);
    if (link->mirrors)
        weir_shm_segments_close(link->mirrors, transport->info.n_ranks);
    weir_arena_release(&link->arena);
    weir_free(link);
}
