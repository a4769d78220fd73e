/* Enumeration of downsets by breadth: a queue of bit sets in which each set is extended by every block whose
 * predecessors it holds.  The hash of a set is the exclusive or of its blocks' keys (Zobrist, 1970), so that of a
 * larger one costs one operation; equal hashes are compared in full.  A set takes over its parent's list of steps,
 * which makes finding its own cheap.
 *
 * Invariants: sets are numbered by size, so every step leads to a higher number; the last one holds all blocks. */
#include "partitioner/contiguous/downset.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"

struct builder {
    const struct weir_blocks *blocks;
    struct weir_downsets out;
    size_t bits_capacity, first_capacity, step_capacity, n_steps;
    uint64_t *hash; /* [n] xor of its blocks' keys */
    size_t hash_capacity;
    uint64_t *key; /* [blocks] */
    int *parent, *parent_block;
    size_t parent_capacity, parent_block_capacity;
    int *slots;
    size_t n_slots;
    uint64_t *scratch; /* [words] */
};

static uint64_t *bits_of(const struct builder *b, int i)
{
    return b->out.bits + (size_t)i * (size_t)b->out.words;
}

static weir_status slots_grow(struct builder *b)
{
    int *slots;
    size_t n_slots = b->n_slots ? 2 * b->n_slots : 1024;
    weir_status status = weir_alloc(n_slots, sizeof *slots, &slots);
    if (status)
        return status;
    for (int i = 0; i < b->out.n; i++) {
        size_t slot = b->hash[i] & (n_slots - 1);
        while (slots[slot])
            slot = (slot + 1) & (n_slots - 1);
        slots[slot] = i + 1;
    }
    weir_free(b->slots);
    b->slots = slots;
    b->n_slots = n_slots;
    return WEIR_OK;
}

static weir_status downset_append(struct builder *b, uint64_t hash, int parent, int block, int *index_out)
{
    size_t n = (size_t)b->out.n, words = (size_t)b->out.words;
    weir_status status = weir_grow(&b->out.bits, &b->bits_capacity, (n + 1) * words, sizeof(uint64_t));
    if (!status)
        status = weir_grow(&b->hash, &b->hash_capacity, n + 1, sizeof *b->hash);
    if (!status)
        status = weir_grow(&b->parent, &b->parent_capacity, n + 1, sizeof *b->parent);
    if (!status)
        status = weir_grow(&b->parent_block, &b->parent_block_capacity, n + 1, sizeof *b->parent_block);
    if (!status)
        status = weir_grow(&b->out.first, &b->first_capacity, n + 2, sizeof *b->out.first);
    if (!status && 2 * (n + 1) > b->n_slots)
        status = slots_grow(b);
    if (status)
        return status;
    memcpy(bits_of(b, b->out.n), b->scratch, words * sizeof(uint64_t));
    b->hash[n] = hash;
    b->parent[n] = parent;
    b->parent_block[n] = block;
    size_t slot = hash & (b->n_slots - 1);
    while (b->slots[slot])
        slot = (slot + 1) & (b->n_slots - 1);
    b->slots[slot] = b->out.n + 1;
    *index_out = b->out.n++;
    return WEIR_OK;
}

/* The downset `from` ∪ {block}, new or known. */
static weir_status downset_extend(struct builder *b, int from, int block, int *index_out)
{
    size_t words = (size_t)b->out.words;
    memcpy(b->scratch, bits_of(b, from), words * sizeof(uint64_t));
    b->scratch[block / 64] |= UINT64_C(1) << (block % 64);
    uint64_t hash = b->hash[from] ^ b->key[block];
    for (size_t slot = hash & (b->n_slots - 1); b->slots[slot]; slot = (slot + 1) & (b->n_slots - 1)) {
        int i = b->slots[slot] - 1;
        if (b->hash[i] == hash && !memcmp(bits_of(b, i), b->scratch, words * sizeof(uint64_t))) {
            *index_out = i;
            return WEIR_OK;
        }
    }
    return downset_append(b, hash, from, block, index_out);
}

static weir_status step_add(struct builder *b, int from, int block)
{
    int next;
    weir_status status = weir_grow(&b->out.step, &b->step_capacity, b->n_steps + 1, sizeof *b->out.step);
    if (!status)
        status = downset_extend(b, from, block, &next);
    if (!status)
        b->out.step[b->n_steps++] = (struct weir_downset_step){.block = block, .next = next};
    return status;
}

static bool predecessors_inside(const struct builder *b, int i, int block)
{
    for (int p = b->blocks->pred_first[block]; p < b->blocks->pred_first[block + 1]; p++)
        if (!weir_downset_has(&b->out, i, b->blocks->pred[p]))
            return false;
    return true;
}

/* What can be added to downset i is what could be added to its parent, less the block that was, plus successors of that
 * block whose other predecessors are inside. */
static weir_status steps_find(struct builder *b, int i)
{
    weir_status status = WEIR_OK;
    b->out.first[i] = b->n_steps;
    if (i == 0) {
        for (int v = 0; !status && v < b->blocks->n; v++)
            if (b->blocks->pred_first[v] == b->blocks->pred_first[v + 1])
                status = step_add(b, i, v);
    } else {
        int parent = b->parent[i], block = b->parent_block[i];
        for (size_t s = b->out.first[parent]; !status && s < b->out.first[parent + 1]; s++)
            if (b->out.step[s].block != block)
                status = step_add(b, i, b->out.step[s].block);
        for (int s = b->blocks->succ_first[block]; !status && s < b->blocks->succ_first[block + 1]; s++)
            if (predecessors_inside(b, i, b->blocks->succ[s]))
                status = step_add(b, i, b->blocks->succ[s]);
    }
    b->out.first[i + 1] = b->n_steps;
    return status;
}

static weir_status enumerate(struct builder *b, int limit, int64_t deadline_ns, bool *complete_out)
{
    int empty;
    weir_status status = slots_grow(b);
    if (!status)
        status = downset_append(b, 0, -1, -1, &empty);
    *complete_out = true;
    for (int i = 0; !status && i < b->out.n; i++) {
        status = steps_find(b, i);
        if (b->out.n > limit || ((i & 1023) == 0 && deadline_ns && weir_clock_ns() > deadline_ns)) {
            *complete_out = false;
            break;
        }
    }
    return status;
}

static int64_t boundary_of(const struct weir_blocks *blocks, const struct weir_downsets *d, int i)
{
    int64_t cost = 0;
    for (int e = 0; e < blocks->n_nets; e++) {
        int first = blocks->net_first[e], end = blocks->net_first[e + 1];
        bool inside = weir_downset_has(d, i, blocks->net_block[first]);
        for (int p = first + 1; p < end; p++)
            if (weir_downset_has(d, i, blocks->net_block[p]) != inside) {
                cost += blocks->net_cost[e];
                break;
            }
    }
    return cost;
}

/* Moving a settled block from a later part to the prefix makes no part dearer: the nets it begins to share cost less
 * than its time. */
static bool block_settled(const struct weir_blocks *blocks, const struct weir_downsets *d, int block, int next)
{
    int64_t cost = 0;
    for (int i = blocks->block_first[block]; i < blocks->block_first[block + 1]; i++) {
        int e = blocks->block_net[i];
        for (int p = blocks->net_first[e]; p < blocks->net_first[e + 1]; p++)
            if (!weir_downset_has(d, next, blocks->net_block[p])) {
                cost += blocks->net_cost[e];
                break;
            }
    }
    return cost <= blocks->time[block];
}

static weir_status sums_fill(const struct builder *b, struct weir_downsets *d)
{
    weir_status status = weir_alloc((size_t)d->n, sizeof(int64_t), &d->time);
    if (!status)
        status = weir_alloc((size_t)d->n, sizeof(int64_t), &d->boundary);
    if (!status)
        status = weir_alloc((size_t)d->n, sizeof(int64_t), &d->memory);
    for (int i = 1; !status && i < d->n; i++) {
        int block = b->parent_block[i], parent = b->parent[i];
        int64_t time = b->blocks->time[block];
        d->time[i] = d->time[parent] + (time >= WEIR_NEVER ? 0 : time);
        d->memory[i] = d->memory[parent] + b->blocks->memory[block];
        d->boundary[i] = boundary_of(b->blocks, d, i);
    }
    for (size_t s = 0; !status && s < b->n_steps; s++)
        d->step[s].settled = block_settled(b->blocks, d, d->step[s].block, d->step[s].next);
    return status;
}

weir_status weir_downsets_build(const struct weir_blocks *blocks, int limit, int64_t deadline_ns,
                                struct weir_downsets *downsets_out, bool *complete_out)
{
    struct builder b = {.blocks = blocks, .out.words = (blocks->n + 63) / 64};
    bool complete = false;
    weir_status status = weir_alloc((size_t)blocks->n, sizeof *b.key, &b.key);
    if (!status)
        status = weir_alloc((size_t)b.out.words, sizeof *b.scratch, &b.scratch);
    if (status)
        goto release;
    for (int v = 0; v < blocks->n; v++) {
        struct weir_rng_block word = weir_rng_philox(0x646f776e, (uint32_t)v, 0, 0, 0);
        b.key[v] = (uint64_t)word.v[0] << 32 | word.v[1];
    }
    status = enumerate(&b, limit, deadline_ns, &complete);
    if (!status && complete)
        status = sums_fill(&b, &b.out);
    if (!status && complete) {
        *downsets_out = b.out;
        b.out = (struct weir_downsets){0};
    }
    if (!status)
        *complete_out = complete;
release:
    weir_downsets_release(&b.out);
    weir_free(b.hash);
    weir_free(b.parent);
    weir_free(b.parent_block);
    weir_free(b.slots);
    weir_free(b.key);
    weir_free(b.scratch);
    return status;
}

void weir_downsets_release(struct weir_downsets *downsets)
{
    weir_free(downsets->bits);
    weir_free(downsets->first);
    weir_free(downsets->step);
    weir_free(downsets->time);
    weir_free(downsets->boundary);
    weir_free(downsets->memory);
    *downsets = (struct weir_downsets){0};
}
