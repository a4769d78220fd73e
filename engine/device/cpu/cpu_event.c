/* Events of the cpu device: a counter of the records that happened, and a list of the edge streams that wait for more. */
#include "engine/device/cpu/cpu_device.h"

#include "base/alloc.h"

weir_status weir_cpu_event_open(weir_device *device, weir_event **event_out)
{
    (void)device;
    weir_event *event;
    weir_status status = weir_alloc(1, sizeof *event, &event);
    if (status)
        return status;
    event->issued = WEIR_CPU_FIRST;
    atomic_init(&event->done.value, WEIR_CPU_FIRST);
    atomic_init(&event->done.n_sleepers, 0);
    atomic_init(&event->parked, NULL);
    *event_out = event;
    return WEIR_OK;
}

void weir_cpu_event_close(weir_event *event)
{
    weir_free(event);
}

weir_status weir_cpu_event_done(weir_event *event, bool *done_out)
{
    *done_out = weir_cpu_reached(atomic_load(&event->done.value), event->issued);
    return WEIR_OK;
}

/* Take all parked streams off the list and make them runnable.  A stream is read for the last time before its bit is
 * set: from then on another thread may run it, and park it elsewhere. */
static void event_unpark(weir_event *event, struct weir_cpu_ready *ready)
{
    weir_stream *stream = atomic_exchange(&event->parked, NULL);
    while (stream) {
        weir_stream *next = stream->next_parked;
        weir_cpu_edge_kick(stream, WEIR_CPU_UNPARKED, ready);
        stream = next;
    }
}

/* edge: recorder ─▶ parked stream.  The recorder sets `done` and then looks at the list; the stream enters the list and
 * then looks at `done` (weir_cpu_event_park).  Both in sequentially consistent order, so at least one sees the other. */
void weir_cpu_event_record(weir_event *event, uint32_t generation, struct weir_cpu_ready *ready)
{
    weir_cpu_gate_set(&event->done, generation);
    if (atomic_load(&event->parked))
        event_unpark(event, ready);
}

/* Once on the list, the stream goes on only when somebody has taken it off, even if that is this call: its link belongs
 * to the list until then. */
void weir_cpu_event_park(weir_event *event, uint32_t target, weir_stream *stream, struct weir_cpu_ready *ready)
{
    stream->is_parked = true;
    weir_stream *first = atomic_load(&event->parked);
    do
        stream->next_parked = first;
    while (!atomic_compare_exchange_weak(&event->parked, &first, stream));
    if (weir_cpu_reached(atomic_load(&event->done.value), target))
        event_unpark(event, ready);
}
