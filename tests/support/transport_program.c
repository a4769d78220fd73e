#include "tests/support/transport_program.h"

#include <string.h>

#include "base/rng.h"
#include "tests/support/testing.h"

static uint32_t pick(uint32_t seed, int transfer, uint32_t what, uint32_t n)
{
    return weir_rng_philox(seed, (uint32_t)transfer, what, 0, 0).v[0] % n;
}

static bool receives(const struct program_transfer *t, int rank)
{
    return rank != t->from && (t->to < 0 || t->to == rank);
}

static bool takes_part(const struct program_transfer *t, int rank)
{
    return t->from == rank || receives(t, rank);
}

/* ---- making --------------------------------------------------------------------------------------------------------- */

static int owner_of(const struct program_transfer *t)
{
    return t->to < 0 ? t->from : t->to;
}

static int part_of(const struct program_transfer *t)
{
    return t->to < 0 ? 1 : 0;
}

static void transfer_make(struct program *p, int k, size_t largest)
{
    struct program_transfer *t = &p->transfers[k];
    uint32_t n = (uint32_t)p->n_ranks;
    t->from = (int)pick(p->seed, k, 0, n);
    t->to = pick(p->seed, k, 1, 6) == 0 ? -1 : (int)(((uint32_t)t->from + 1 + pick(p->seed, k, 2, n - 1)) % n);
    t->slot = (int)pick(p->seed, k, 3, PROGRAM_SLOTS);
    t->n_regions = (int)pick(p->seed, k, 4, PROGRAM_REGIONS + 1);
    for (int i = 0; i < t->n_regions; i++) {
        uint32_t span = largest > 300 && pick(p->seed, k, 20 + (uint32_t)i, 3) ? 300 : (uint32_t)largest; /* many are short */
        size_t bytes = 1 + pick(p->seed, k, 10 + (uint32_t)i, span);
        size_t start = (size_t)(t->slot * PROGRAM_REGIONS + i) * largest;
        t->regions[i] = (struct weir_message_region){owner_of(t), part_of(t), start, bytes};
    }
    t->previous = -1;
    for (int j = k - 1; j >= 0 && t->previous < 0; j--)
        if (owner_of(&p->transfers[j]) == owner_of(t) && part_of(&p->transfers[j]) == part_of(t) &&
            p->transfers[j].slot == t->slot)
            t->previous = j;
}

/* The position of transfer k among those of the rank. */
static int instruction_of(const struct program *p, int rank, int k)
{
    int n = 0;
    for (int j = 0; j < k; j++)
        n += takes_part(&p->transfers[j], rank);
    return n;
}

static void messages_make(struct program *p, struct weir_message *messages)
{
    int n = 0;
    for (int k = 0; k < p->n_transfers; k++) {
        const struct program_transfer *t = &p->transfers[k];
        for (int r = 0; r < p->n_ranks; r++) {
            if (!receives(t, r))
                continue;
            int after = t->previous < 0 ? -1 : instruction_of(p, r, t->previous);
            messages[n++] = (struct weir_message){.event = 2 * k, .from = t->from, .to = r, .post_after = after,
                                              .n_regions = t->n_regions, .regions = t->regions};
        }
        /* freed for whoever uses the slot next */
        for (int j = k + 1; j < p->n_transfers; j++)
            if (p->transfers[j].previous == k) {
                for (int r = 0; r < p->n_ranks; r++)
                    if (receives(t, r) && r != p->transfers[j].from)
                        messages[n++] = (struct weir_message){.event = 2 * k + 1, .from = r, .to = p->transfers[j].from,
                                                          .post_after = -1};
                break;
            }
    }
    p->spec.messages = messages;
    p->spec.n_messages = n;
}

void program_make(struct weir_arena *arena, uint32_t seed, int n_ranks, int n_transfers, size_t largest,
                  struct program *out)
{
    size_t *bytes;
    struct weir_message *messages;
    *out = (struct program){.seed = seed, .n_ranks = n_ranks, .n_transfers = n_ranks > 1 ? n_transfers : 0};
    assert_ok(weir_arena_alloc(arena, (size_t)n_transfers, sizeof *out->transfers, &out->transfers));
    assert_ok(weir_arena_alloc(arena, (size_t)n_ranks * PROGRAM_PARTS, sizeof *bytes, &bytes));
    assert_ok(weir_arena_alloc(arena, (size_t)n_transfers * (size_t)n_ranks * 2, sizeof *messages, &messages));
    for (int k = 0; k < out->n_transfers; k++)
        transfer_make(out, k, largest);
    for (int i = 0; i < n_ranks * PROGRAM_PARTS; i++)
        bytes[i] = PROGRAM_SLOTS * PROGRAM_REGIONS * largest;
    out->spec = (struct weir_link_spec){.n_blocks = PROGRAM_PARTS, .block_bytes = bytes, .n_events = 2 * n_transfers};
    messages_make(out, messages);
}

/* ---- running -------------------------------------------------------------------------------------------------------- */

struct runner {
    const struct program *program;
    const struct weir_transport_kind *kind;
    weir_link *link;
    int rank;
    uint32_t run;
};

static unsigned char byte_at(const struct runner *r, int k, int region, size_t at)
{
    uint32_t word = r->program->seed * 31u + r->run * 2654435761u + (uint32_t)k * 40503u + (uint32_t)region * 9973u;
    return (unsigned char)((word ^ (uint32_t)at * 2246822519u) >> 13);
}

static void regions_write(const struct runner *r, int k)
{
    const struct program_transfer *t = &r->program->transfers[k];
    for (int i = 0; i < t->n_regions; i++) {
        const struct weir_message_region *region = &t->regions[i];
        unsigned char *data = (unsigned char *)r->kind->memory(r->link, region->owner, region->block) + region->offset;
        for (size_t at = 0; at < region->bytes; at++)
            data[at] = byte_at(r, k, i, at);
    }
}

static weir_status regions_check(const struct runner *r, int k)
{
    const struct program_transfer *t = &r->program->transfers[k];
    for (int i = 0; i < t->n_regions; i++) {
        const struct weir_message_region *region = &t->regions[i];
        const unsigned char *data =
            (const unsigned char *)r->kind->memory(r->link, region->owner, region->block) + region->offset;
        for (size_t at = 0; at < region->bytes; at++)
            if (data[at] != byte_at(r, k, i, at))
                return WEIR_FAIL(WEIR_ERR_INTERNAL, "run %u, transfer %d from %d to %d: byte %zu of %zu of region %d is wrong",
                                 r->run, k, t->from, t->to, at, region->bytes, i);
    }
    return WEIR_OK;
}

static weir_status transfer_send(const struct runner *r, int k)
{
    const struct program_transfer *t = &r->program->transfers[k];
    weir_status status = WEIR_OK;
    for (int q = 0; q < r->program->n_ranks && t->previous >= 0 && !status; q++)
        if (q != r->rank && receives(&r->program->transfers[t->previous], q))
            status = r->kind->wait(r->link, q, 2 * t->previous + 1);
    if (status)
        return status;
    regions_write(r, k);
    return r->kind->signal(r->link, 2 * k);
}

static weir_status transfer_receive(const struct runner *r, int k)
{
    weir_status status = r->kind->wait(r->link, r->program->transfers[k].from, 2 * k);
    if (!status)
        status = r->kind->wait(r->link, r->program->transfers[k].from, 2 * k); /* a second wait finds it there */
    if (!status)
        status = regions_check(r, k);
    return status ? status : r->kind->signal(r->link, 2 * k + 1);
}

weir_status program_run(const struct program *program, const struct weir_transport_kind *kind, weir_transport *transport,
                        weir_link *link, int rank, uint32_t run)
{
    struct runner r = {program, kind, link, rank, run};
    int n = 0;
    weir_status status = kind->begin(link);
    for (int k = 0; k < program->n_transfers && !status; k++) {
        if (!takes_part(&program->transfers[k], rank))
            continue;
        status = program->transfers[k].from == rank ? transfer_send(&r, k) : transfer_receive(&r, k);
        if (!status)
            status = kind->progress(link);
        if (!status)
            status = kind->passed(link, n++);
    }
    if (!status)
        status = kind->finish(link);
    return status ? status : kind->exchange(transport, NULL, 0, NULL);
}
