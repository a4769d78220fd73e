#include "engine/run/far.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { OF_A_TIMEOUT = 8 };
static const int64_t longest_period_ns = INT64_C(2000000000);

/* What travels. */
struct sign {
    int32_t rank, pid;
    uint32_t beats, n;
    int64_t now_ns; /* of the sender's clock, as the entry's times */
    char host[WEIR_FLIGHT_HOST];
    struct weir_flight_entry entry; /* the last one, when n > 0 */
};

_Static_assert(sizeof(struct sign) <= WEIR_BEAT_MAX, "one sign of life");

weir_status weir_far_open(const struct weir_transport_kind *transport, weir_transport *handle, int n_ranks, int rank,
                          int64_t timeout_ns, struct weir_heard *heard, struct weir_far **far_out)
{
    struct weir_far *far;
    char *memory;
    weir_status status = weir_alloc(1, sizeof *far + (size_t)n_ranks * sizeof far->flights[0], &memory);
    if (status)
        return status;
    far = (struct weir_far *)(void *)memory;
    *far = (struct weir_far){.transport = transport, .handle = handle, .n_ranks = n_ranks, .rank = rank, .heard = heard,
                             .period_ns = timeout_ns / OF_A_TIMEOUT};
    far->period_ns = far->period_ns < longest_period_ns ? far->period_ns : longest_period_ns;
    status = weir_alloc((size_t)n_ranks, sizeof *far->heard_n, &far->heard_n);
    if (status)
        weir_free(far);
    else
        *far_out = far;
    return status;
}

void weir_far_close(struct weir_far *far)
{
    if (far)
        weir_free(far->heard_n);
    weir_free(far);
}

/* ---- hearing ---------------------------------------------------------------------------------------------------------- */

static int64_t shifted(int64_t at_ns, int64_t by_ns)
{
    return at_ns ? at_ns + by_ns : 0;
}

static struct weir_flight_entry entry_of(const struct sign *sign)
{
    struct weir_flight_entry entry = sign->entry;
    int64_t by = weir_clock_ns() - sign->now_ns;
    entry.awaits_ns = shifted(entry.awaits_ns, by);
    entry.start_ns = shifted(entry.start_ns, by);
    entry.end_ns = shifted(entry.end_ns, by);
    return entry;
}

/* The same entry again has become older: it waited, now it runs. */
static void entry_take(struct weir_far *far, const struct sign *sign)
{
    struct weir_flight *flight = &far->flights[sign->rank];
    struct weir_flight_entry entry = entry_of(sign), *kept;
    uint32_t n = atomic_load_explicit(&flight->n, memory_order_relaxed);
    if (n && sign->n == far->heard_n[sign->rank])
        kept = &flight->entries[(n - 1) % WEIR_FLIGHT_ENTRIES];
    else
        kept = weir_flight_begin(flight, entry.instr, entry.is_guest, entry.step, entry.awaits_ns);
    atomic_store_explicit(&kept->start_ns, entry.start_ns, memory_order_relaxed);
    atomic_store_explicit(&kept->end_ns, entry.end_ns, memory_order_relaxed);
    far->heard_n[sign->rank] = sign->n;
    if (far->heard)
        weir_heard_put(&far->heard[sign->rank], &entry);
}

static void heard(void *context, int process, const void *theirs)
{
    struct weir_far *far = context;
    const struct sign *sign = theirs;
    (void)process;
    if (sign->rank < 0 || sign->rank >= far->n_ranks)
        return;
    struct weir_flight *flight = &far->flights[sign->rank];
    memcpy(flight->host, sign->host, sizeof flight->host);
    flight->pid = sign->pid;
    if (sign->n)
        entry_take(far, sign);
    atomic_store_explicit(&flight->beats, sign->beats, memory_order_release);
}

/* ---- giving ----------------------------------------------------------------------------------------------------------- */

static struct sign sign_of(const struct weir_far *far, const struct weir_flight *own, int64_t now_ns)
{
    struct weir_flight *flight = (struct weir_flight *)(uintptr_t)own;
    struct sign sign = {.rank = far->rank, .pid = own->pid, .now_ns = now_ns};
    sign.beats = atomic_load_explicit(&flight->beats, memory_order_relaxed) + 1; /* the first sign too is one: 0 is none */
    sign.n = atomic_load_explicit(&flight->n, memory_order_acquire);
    memcpy(sign.host, own->host, sizeof sign.host);
    if (sign.n)
        sign.entry = weir_flight_entry_read(own, sign.n - 1);
    return sign;
}

bool weir_far_beat(struct weir_far *far, const struct weir_flight *own, int64_t now_ns)
{
    struct sign sign = sign_of(far, own, now_ns);
    bool due = now_ns - far->sent_ns >= far->period_ns || (sign.n && !far->told_begun);
    bool done = far->transport->beat(far->handle, due ? &sign : NULL, sizeof sign, heard, far);
    if (due && done) {
        far->sent_ns = now_ns;
        far->told_begun = sign.n > 0;
    }
    return done;
}
