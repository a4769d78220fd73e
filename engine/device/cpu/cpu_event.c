/* Events of the cpu device: a counter of the records that happened, and a list of the edge streams that wait for more. */
#include "engine/device/cpu/cpu_device.h"

#include "base/alloc.h"

weir_status weir_cpu_event_open(struct weir_cpu_event **event_out)
{
    struct weir_cpu_event *event;
    weir_status status = weir_alloc(1, sizeof *event, &event);
    if (status)
        return status;
    event->issued = WEIR_CPU_FIRST;
    weir_futex_init(&event->done, WEIR_CPU_FIRST);
    atomic_init(&event->parked, NULL);
    *event_out = event;
    return WEIR_OK;
}

bool weir_cpu_event_done(const struct weir_cpu_event *event)
{
    return weir_futex_passed(atomic_load(&event->done.value), event->issued);
}

/* edge: issuing thread or recorder ─▶ owner; former owner ─▶ next owner (is_parked, failure, links) */
void weir_cpu_edge_kick(struct weir_cpu_stream *stream, unsigned bit, struct weir_cpu_ready *ready)
{
    unsigned before = atomic_fetch_or_explicit(&stream->claim, bit | WEIR_CPU_OWNED, memory_order_acq_rel);
    if (before & WEIR_CPU_OWNED)
        return;
    stream->next_ready = NULL;
    if (ready->first)
        ready->last->next_ready = stream;
    else
        ready->first = stream;
    ready->last = stream;
}

/* Take all parked streams off the list and make them runnable.  A stream is read for the last time before its bit is
 * set: from then on another thread may run it, and park it elsewhere. */
static void event_unpark(struct weir_cpu_event *event, struct weir_cpu_ready *ready)
{
    struct weir_cpu_stream *stream = atomic_exchange(&event->parked, NULL);
    while (stream) {
        struct weir_cpu_stream *next = stream->next_parked;
        weir_cpu_edge_kick(stream, WEIR_CPU_UNPARKED, ready);
        stream = next;
    }
}

/* edge: recorder ─▶ parked stream.  The recorder sets `done` and then looks at the list; the stream enters the list and
 * then looks at `done` (weir_cpu_event_park).  Both in sequentially consistent order, so at least one sees the other. */
void weir_cpu_event_record(struct weir_cpu_event *event, uint32_t generation, struct weir_cpu_ready *ready)
{
    weir_futex_set(&event->done, generation, WEIR_FUTEX_THREADS);
    if (atomic_load(&event->parked))
        event_unpark(event, ready);
}

/* Once on the list, the stream goes on only when somebody has taken it off, even if that is this call: its link belongs
 * to the list until then. */
void weir_cpu_event_park(struct weir_cpu_event *event, uint32_t target, struct weir_cpu_stream *stream,
                         struct weir_cpu_ready *ready)
{
    stream->is_parked = true;
    struct weir_cpu_stream *first = atomic_load(&event->parked);
    do
        stream->next_parked = first;
    while (!atomic_compare_exchange_weak(&event->parked, &first, stream));
    if (weir_futex_passed(atomic_load(&event->done.value), target))
        event_unpark(event, ready);
}
