/* The pulse: which processes are alive, and whether ours moves.
 *
 * Every process has a thread that beats for its ranks and looks at the others.  Two clocks:
 *
 *     a process whose pulse has not beaten for `timeout`           is dead or stopped
 *     a call of ours that runs for longer than `timeout` and than
 *     twenty times the longest of its kind so far                  is stuck, in a kernel or in the program's own callback
 *
 * A pulse that finds its own clock jumped (the whole job was stopped and goes on) starts both anew.  What it finds is its
 * *verdict*: whoever waits asks for it every tenth of a second, and gives up.  The thread sleeps on a futex between its looks,
 * five a second; a step has no call for it.
 *
 * Processes of this host beat in memory that it shares; those of other hosts send signs of life (far.h) to its first process.
 * Which tells the others, when it fails.
 *
 * Threads: start and stop belong to the opening thread, look to any. */
#ifndef WEIR_ENGINE_RUN_PULSE_H
#define WEIR_ENGINE_RUN_PULSE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/futex.h"
#include "base/status.h"
#include "engine/run/far.h"
#include "engine/run/flight.h"

/* A call of a rank here that is under way.  Written by the rank's thread. */
struct weir_call_watch {
    _Atomic int64_t start_ns;                 /* 0: none */
    const _Atomic int64_t *_Atomic longest_ns; /* of its kind so far */
    _Atomic int32_t node;                     /* of the graph; -1: the end of a step */
};

struct weir_pulse_sight {
    uint32_t beats;
    int64_t since_ns; /* when they were seen to change */
};

struct weir_pulse {
    int n_ranks, first_here, end_here; /* workers of all replicas (engine/program/program.h); messages call them ranks */
    int64_t timeout_ns;           /* 0: nobody looks */
    struct weir_flight **flights; /* [n_ranks]; NULL: on another host */
    struct weir_far *far;         /* those on other hosts; NULL: there are none */
    const struct weir_heard *heard; /* [n_ranks]: of those on other hosts, as the first process of this one heard; NULL: there are none */
    struct weir_call_watch *calls; /* [n_ranks]: of those here */

    /* "in 1F3 of step 12", for messages; set when there are names, read by the thread */
    void (*describe)(void *context, int rank, const struct weir_flight *flight, char *text_out, size_t room);
    void *_Atomic describe_context;
    const char *(*node_name)(void *context, int node);

    /* called by the thread whenever *wanted has changed */
    const volatile int *_Atomic wanted;
    int was_wanted;
    uint32_t was_asked; /* of n_asked (flight.h) */
    int64_t given_ns;   /* on_wanted was called last */
    void (*on_wanted)(void *context);
    void *on_wanted_context;

    pthread_t thread;
    bool has_thread;
    struct weir_futex end;
    struct weir_pulse_sight *sights; /* [n_ranks] */
    int64_t looked_ns, heard_ns;    /* heard: other hosts */
    _Atomic int64_t calls_since_ns; /* the clock of calls began anew */
    _Atomic int verdict;        /* weir_status; the message was written before */
    _Atomic bool is_found;      /* somebody writes it, or has */
    int culprit;
    char message[WEIR_ERROR_MAX];
};

/* Fill in flights of ranks [first_here, end_here) and start; arrays are there.  WEIR_ERR_NOMEM, WEIR_ERR_DEVICE. */
weir_status weir_pulse_start(struct weir_pulse *pulse);
void weir_pulse_stop(struct weir_pulse *pulse); /* also one that was never started */

/* Have `fn` called by the pulse's thread each time that *wanted has changed, within a quarter of a second; and when another process
 * of the host passes on that its own has (weir_flight.n_asked), unless `fn` was called within the second before. */
void weir_pulse_wanted(struct weir_pulse *pulse, const volatile int *wanted, void (*fn)(void *context), void *context);

/* The flight of `rank`: of this host, or as it was last heard; NULL: nothing is known of it. */
static inline struct weir_flight *weir_pulse_flight(const struct weir_pulse *pulse, int rank)
{
    return pulse->flights[rank] ? pulse->flights[rank] : weir_far_flight(pulse->far, rank);
}

/* WEIR_OK, or the verdict with its message. */
weir_status weir_pulse_look(void *pulse);

/* The verdict of whoever sees more than the pulse does (standing.h): `rank` is to blame.  The first one stays. */
void weir_pulse_found(struct weir_pulse *pulse, int rank, const char *message);

/* `call` NULL: nobody looks. */
static inline void weir_call_begin(struct weir_call_watch *call, const _Atomic int64_t *longest_ns, int node, int64_t now_ns)
{
    if (!call)
        return;
    atomic_store_explicit(&call->longest_ns, longest_ns, memory_order_relaxed);
    atomic_store_explicit(&call->node, node, memory_order_relaxed);
    atomic_store_explicit(&call->start_ns, now_ns, memory_order_release);
}

static inline void weir_call_end(struct weir_call_watch *call, _Atomic int64_t *longest_ns, int64_t took_ns)
{
    if (!call)
        return;
    atomic_store_explicit(&call->start_ns, 0, memory_order_relaxed);
    if (took_ns > atomic_load_explicit(longest_ns, memory_order_relaxed))
        atomic_store_explicit(longest_ns, took_ns, memory_order_relaxed);
}

/* Has it come past that place of its list (weir_flight_has_ended), as far as is known in this process? */
static inline bool weir_pulse_has_ended(const struct weir_pulse *pulse, int rank, int instr, uint32_t is_guest, uint32_t step)
{
    struct weir_flight *flight = weir_pulse_flight(pulse, rank);
    return flight || !pulse->heard ? weir_flight_has_ended(flight, instr, is_guest, step)
                                   : weir_heard_has_ended(&pulse->heard[rank], instr, is_guest, step);
}

#endif
