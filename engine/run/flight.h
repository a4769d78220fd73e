/* The flight recorder: what every rank did last, where survivors find it.
 *
 * Every rank has a *flight*: who it is, a pulse, and its last instructions with their times.  Flights of processes of one host lie
 * in memory that all of them share, so what a rank did last is there when its process is gone.  Writing costs a few stores per
 * instruction and no system call.
 *
 *     rank's thread   begin(instruction) ─▶ started ─▶ ended       one entry
 *     pulse thread    beats++                                      pulse.h
 *
 * An entry without a start waits; one without an end runs.  A rank whose last entry has ended waits for what its next
 * instruction needs. */
#ifndef WEIR_ENGINE_RUN_FLIGHT_H
#define WEIR_ENGINE_RUN_FLIGHT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { WEIR_FLIGHT_ENTRIES = 512, WEIR_FLIGHT_HOST = 64 };

struct weir_flight_entry {
    int32_t instr;   /* place in the worker's list (engine/program/program.h) */
    uint32_t is_guest : 1, step : 31; /* an evaluation's; the number of the step */
    int64_t awaits_ns;                 /* of weir_clock_ns, as the others */
    _Atomic int64_t start_ns, end_ns;  /* 0: not yet */
};

/* One writer for the entries, one for the beats; any reader on the host. */
struct weir_flight {
    char host[WEIR_FLIGHT_HOST];
    int32_t pid;
    _Atomic uint32_t beats;
    _Atomic uint32_t is_recorded; /* of the host's first rank: somebody has taken it on to write a record of the failure */
    _Atomic uint32_t n_asked;     /* of the host's first rank: times that another process of the host was asked for a record */
    _Atomic uint32_t n; /* entries so far; the last one is entries[(n - 1) % WEIR_FLIGHT_ENTRIES] */
    struct weir_flight_entry entries[WEIR_FLIGHT_ENTRIES];
};

static inline struct weir_flight_entry *weir_flight_begin(struct weir_flight *flight, int instr, uint32_t is_guest, uint32_t step,
                                                          int64_t awaits_ns)
{
    uint32_t n = atomic_load_explicit(&flight->n, memory_order_relaxed);
    struct weir_flight_entry *entry = &flight->entries[n % WEIR_FLIGHT_ENTRIES];
    *entry = (struct weir_flight_entry){.instr = instr, .is_guest = is_guest, .step = step & 0x7fffffff, .awaits_ns = awaits_ns};
    atomic_store_explicit(&flight->n, n + 1, memory_order_release);
    return entry;
}

/* Entry k of all so far, as it is now: its rank may be about to start or end it.  k is below n, as read with acquire, and not yet written
 * over. */
static inline struct weir_flight_entry weir_flight_entry_read(const struct weir_flight *flight, uint32_t k)
{
    struct weir_flight_entry *entry = (struct weir_flight_entry *)(uintptr_t)&flight->entries[k % WEIR_FLIGHT_ENTRIES];
    return (struct weir_flight_entry){.instr = entry->instr, .is_guest = entry->is_guest, .step = entry->step,
                                      .awaits_ns = entry->awaits_ns,
                                      .start_ns = atomic_load_explicit(&entry->start_ns, memory_order_relaxed),
                                      .end_ns = atomic_load_explicit(&entry->end_ns, memory_order_relaxed)};
}

/* Has the rank come past that place of its list in that step?  Of ranks on other hosts not every entry is known, but what comes
 * later in a list ends later. */
static inline bool weir_flight_has_ended(struct weir_flight *flight, int instr, uint32_t is_guest, uint32_t step)
{
    uint32_t n = flight ? atomic_load_explicit(&flight->n, memory_order_acquire) : 0;
    for (uint32_t k = n; k > 0 && n - k < WEIR_FLIGHT_ENTRIES; k--) {
        struct weir_flight_entry *past = &flight->entries[(k - 1) % WEIR_FLIGHT_ENTRIES];
        if (past->step == step && past->is_guest == is_guest && past->instr >= instr)
            return past->instr > instr || atomic_load_explicit(&past->end_ns, memory_order_relaxed) != 0;
        if (past->step != step && past->is_guest == is_guest)
            return !is_guest && past->step > step;
    }
    return false;
}

/* How far a rank of another host had come when it was heard last: one number, which the first process of a host writes for all
 * others of the host.  0: nothing was heard. */
struct weir_heard {
    _Atomic uint64_t at; /* from the top: step 31 bits, is_guest 1, instr 31, ended 1 */
};

static inline void weir_heard_put(struct weir_heard *heard, const struct weir_flight_entry *entry)
{
    uint64_t at = (uint64_t)entry->step << 33 | (uint64_t)entry->is_guest << 32 | (uint64_t)(uint32_t)entry->instr << 1 |
                  (atomic_load_explicit(&entry->end_ns, memory_order_relaxed) != 0);
    atomic_store_explicit(&heard->at, at, memory_order_release);
}

/* The same of what was heard.  In another of the two kinds of runs: not known, and no. */
static inline bool weir_heard_has_ended(const struct weir_heard *heard, int instr, uint32_t is_guest, uint32_t step)
{
    uint64_t at = atomic_load_explicit(&((struct weir_heard *)(uintptr_t)heard)->at, memory_order_acquire);
    uint64_t of_step = at >> 33, place = at >> 1 & 0x7fffffff;
    if ((at >> 32 & 1) != is_guest)
        return false;
    if (of_step == step)
        return place > (uint64_t)instr || (place == (uint64_t)instr && (at & 1));
    return !is_guest && of_step > step;
}

#endif
