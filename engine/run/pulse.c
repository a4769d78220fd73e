#include "engine/run/pulse.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { OF_A_TIMEOUT = 8, TIMES_THE_LONGEST = 20, STACK_BYTES = 256 << 10, ENDED = 1 };
static const int64_t longest_period_ns = 200000000;
static const int64_t untold_period_ns = 10000000;
static const int64_t asked_at_once_ns = 1000000000; /* a launcher asks all processes */
static const int64_t jump_ns = 1000000000; /* a pulse so late was not late by load alone, or it does no harm to wait anew */

static int64_t period_of(const struct weir_pulse *pulse)
{
    int64_t part = pulse->timeout_ns / OF_A_TIMEOUT;
    return part && part < longest_period_ns ? part : longest_period_ns;
}

/* A rank may be stuck from its first instruction on, with the transport in its hands: then its process gives no more signs.  So
 * other hosts are told of that instruction as soon as it has begun. */
static int64_t nap_of(const struct weir_pulse *pulse)
{
    int64_t period = period_of(pulse);
    bool is_untold = pulse->timeout_ns && pulse->far && !pulse->far->told_begun;
    return is_untold && period > untold_period_ns ? untold_period_ns : period;
}

/* ---- verdicts --------------------------------------------------------------------------------------------------------- */

void weir_pulse_found(struct weir_pulse *pulse, int rank, const char *message)
{
    if (atomic_exchange_explicit(&pulse->is_found, true, memory_order_relaxed))
        return;
    snprintf(pulse->message, sizeof pulse->message, "%s", message);
    pulse->culprit = rank;
    atomic_store_explicit(&pulse->verdict, WEIR_ERR_TIMEOUT, memory_order_release); /* edge: message ─▶ whoever looks */
}

weir_status weir_pulse_look(void *context)
{
    const struct weir_pulse *pulse = context;
    int verdict = atomic_load_explicit(&((struct weir_pulse *)(uintptr_t)pulse)->verdict, memory_order_acquire);
    return verdict ? WEIR_FAIL((weir_status)verdict, "%s", pulse->message) : WEIR_OK;
}

static void describe(struct weir_pulse *pulse, int rank, const struct weir_flight *flight, char *text, size_t room)
{
    void *context = atomic_load_explicit(&pulse->describe_context, memory_order_acquire);
    snprintf(text, room, "while opening");
    if (context)
        pulse->describe(context, rank, flight, text, room);
}

/* None of the other hosts is heard: it may be this one that is cut off.  *several_out: there are two of them or more, so it is. */
static bool hears_nobody(const struct weir_pulse *pulse, int64_t now, bool *several_out)
{
    const struct weir_flight *first = NULL, *flight;
    bool several = false;
    for (int r = 0; r < pulse->n_ranks; r++) {
        if (pulse->flights[r] || !(flight = weir_far_flight(pulse->far, r)))
            continue;
        if (now - pulse->sights[r].since_ns < pulse->timeout_ns / 2)
            return false;
        several |= first && strcmp(first->host, flight->host) != 0;
        first = first ? first : flight;
    }
    *several_out = several;
    return first;
}

/* The first rank of a process speaks for it: all of its ranks fall silent at once. */
static void silence_found(struct weir_pulse *pulse, int rank, const struct weir_flight *flight, int64_t now)
{
    double silent = (double)(now - pulse->sights[rank].since_ns) * 1e-9;
    const char *here = pulse->flights[pulse->first_here]->host;
    bool is_far = !pulse->flights[rank], several = false, alone = is_far && hears_nobody(pulse, now, &several);
    char message[WEIR_ERROR_MAX], doing[256];
    describe(pulse, rank, flight, doing, sizeof doing);
    if (alone && several)
        snprintf(message, sizeof message, "no other host has given a sign of life for %.1f s: host '%s' is cut off from them", silent, here);
    else
        snprintf(message, sizeof message, "rank %d (process %d on %s) has given no sign of life for %.1f s: stopped or hung %s%s%s%s%s",
                 rank, (int)flight->pid, flight->host, silent, doing, is_far ? ", or the network of host " : "", is_far ? flight->host : "",
                 alone ? " or of this one, " : "", alone ? here : "");
    weir_pulse_found(pulse, rank, message);
}

static void stuck_found(struct weir_pulse *pulse, int rank, int64_t took_ns, int64_t longest_ns)
{
    const struct weir_flight *flight = pulse->flights[rank];
    void *context = atomic_load_explicit(&pulse->describe_context, memory_order_acquire);
    int node = atomic_load_explicit(&pulse->calls[rank].node, memory_order_relaxed);
    char message[WEIR_ERROR_MAX], doing[256];
    describe(pulse, rank, flight, doing, sizeof doing);
    snprintf(message, sizeof message, "rank %d (process %d on %s) is stuck %s%s%s%s: one call runs for %.1f s, the longest of its "
                                      "kind took %.3f s", rank, (int)flight->pid, flight->host, doing,
             node >= 0 && context ? ", node '" : "", node >= 0 && context ? pulse->node_name(context, node) : "",
             node >= 0 && context ? "'" : "", (double)took_ns * 1e-9, (double)longest_ns * 1e-9);
    weir_pulse_found(pulse, rank, message);
}

/* ---- looking ---------------------------------------------------------------------------------------------------------- */

static bool is_here(const struct weir_pulse *pulse, int rank)
{
    return rank >= pulse->first_here && rank < pulse->end_here;
}

static void peer_look(struct weir_pulse *pulse, int rank, struct weir_flight *flight, int64_t now)
{
    struct weir_pulse_sight *sight = &pulse->sights[rank];
    uint32_t beats = atomic_load_explicit(&flight->beats, memory_order_acquire);
    if (beats != sight->beats) /* one that has not begun yet is opening, or its end is the transport's to find */
        *sight = (struct weir_pulse_sight){beats, now};
    else if (beats && now - sight->since_ns > pulse->timeout_ns)
        silence_found(pulse, rank, flight, now);
}

static void call_look(struct weir_pulse *pulse, int rank, int64_t now)
{
    struct weir_call_watch *call = &pulse->calls[rank];
    int64_t start = atomic_load_explicit(&call->start_ns, memory_order_acquire);
    const _Atomic int64_t *longest = atomic_load_explicit(&call->longest_ns, memory_order_relaxed);
    if (!start)
        return;
    int64_t anew_ns = atomic_load_explicit(&pulse->calls_since_ns, memory_order_relaxed);
    start = start > anew_ns ? start : anew_ns;
    int64_t most = longest ? atomic_load_explicit((_Atomic int64_t *)(uintptr_t)longest, memory_order_relaxed) : 0;
    int64_t limit = most * TIMES_THE_LONGEST > pulse->timeout_ns ? most * TIMES_THE_LONGEST : pulse->timeout_ns;
    if (now - start > limit)
        stuck_found(pulse, rank, now - start, most);
}

static void anew(struct weir_pulse *pulse, int64_t now)
{
    for (int r = 0; r < pulse->n_ranks; r++)
        pulse->sights[r].since_ns = now;
    atomic_store_explicit(&pulse->calls_since_ns, now, memory_order_relaxed);
}

/* Signs of life go out and come in.  false: this time nobody could be heard, so nobody is found silent; after a longer while of that
 * all begin anew, as what they said meanwhile may still be on its way. */
static bool far_hear(struct weir_pulse *pulse, int64_t now)
{
    if (!pulse->far)
        return true;
    bool heard = weir_far_beat(pulse->far, pulse->flights[pulse->first_here], now);
    bool late = heard && now - pulse->heard_ns > pulse->timeout_ns / 4;
    for (int r = 0; r < pulse->n_ranks && late; r++)
        if (!pulse->flights[r])
            pulse->sights[r].since_ns = now;
    pulse->heard_ns = heard ? now : pulse->heard_ns;
    return heard;
}

static void look_once(struct weir_pulse *pulse)
{
    int64_t now = weir_clock_ns(), jump = 2 * period_of(pulse) + (jump_ns < pulse->timeout_ns / 4 ? jump_ns : pulse->timeout_ns / 4);
    if (now - pulse->looked_ns > jump)
        anew(pulse, now);
    pulse->looked_ns = now;
    bool heard = far_hear(pulse, now);
    for (int r = 0; r < pulse->n_ranks && !atomic_load_explicit(&pulse->verdict, memory_order_relaxed); r++) {
        struct weir_flight *flight = weir_pulse_flight(pulse, r);
        if (is_here(pulse, r)) {
            atomic_fetch_add_explicit(&pulse->flights[r]->beats, 1, memory_order_release);
            call_look(pulse, r, now);
        } else if (flight && (pulse->flights[r] || heard)) {
            peer_look(pulse, r, flight, now);
        }
    }
}

void weir_pulse_wanted(struct weir_pulse *pulse, const volatile int *wanted, void (*fn)(void *context), void *context)
{
    pulse->was_wanted = wanted ? *wanted : 0;
    pulse->was_asked = atomic_load(&pulse->flights[pulse->first_here]->n_asked);
    pulse->on_wanted = fn;
    pulse->on_wanted_context = context;
    atomic_store_explicit(&pulse->wanted, wanted, memory_order_release); /* edge: function ─▶ the thread that calls it */
}

static void wanted_look(struct weir_pulse *pulse)
{
    const volatile int *wanted = atomic_load_explicit(&pulse->wanted, memory_order_acquire);
    if (!wanted)
        return;
    int64_t now = weir_clock_ns();
    int count = *wanted;
    uint32_t asked = atomic_load(&pulse->flights[pulse->first_here]->n_asked);
    bool is_asked = asked != pulse->was_asked && now - pulse->given_ns > asked_at_once_ns;
    bool is_wanted = count != pulse->was_wanted || is_asked;
    pulse->was_wanted = count;
    pulse->was_asked = asked;
    if (is_wanted) {
        pulse->given_ns = now;
        pulse->on_wanted(pulse->on_wanted_context);
    }
}

static void *pulse_run(void *argument)
{
    struct weir_pulse *pulse = argument;
    do {
        wanted_look(pulse);
        if (pulse->timeout_ns)
            look_once(pulse);
    } while (!weir_futex_sleep(&pulse->end, ENDED, nap_of(pulse), WEIR_FUTEX_THREADS));
    return NULL;
}

/* ---- start and stop ---------------------------------------------------------------------------------------------------- */

static void flights_begin(const struct weir_pulse *pulse)
{
    for (int r = pulse->first_here; r < pulse->end_here; r++) {
        struct weir_flight *flight = pulse->flights[r];
        flight->pid = (int32_t)getpid();
        gethostname(flight->host, sizeof flight->host - 1);
    }
}

/* The thread takes no signals: they are for the program's own. */
static int thread_create(struct weir_pulse *pulse)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int reason = pthread_attr_init(&attributes);
    if (reason)
        return reason;
    pthread_attr_setstacksize(&attributes, STACK_BYTES); /* where that is too little for the system, its own size stays */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    reason = pthread_create(&pulse->thread, &attributes, pulse_run, pulse);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return reason;
}

weir_status weir_pulse_start(struct weir_pulse *pulse)
{
    flights_begin(pulse);
    weir_futex_init(&pulse->end, 0);
    pulse->looked_ns = pulse->heard_ns = weir_clock_ns();
    anew(pulse, pulse->looked_ns);
    int reason = thread_create(pulse);
    if (reason)
        return WEIR_FAIL(WEIR_ERR_DEVICE, "cannot start the thread that watches the ranks: %s", strerror(reason));
    pulse->has_thread = true;
    pthread_setname_np(pulse->thread, "weir-pulse");
    return WEIR_OK;
}

void weir_pulse_stop(struct weir_pulse *pulse)
{
    if (!pulse->has_thread)
        return;
    weir_futex_set(&pulse->end, ENDED, WEIR_FUTEX_THREADS);
    pthread_join(pulse->thread, NULL);
    pulse->has_thread = false;
}
