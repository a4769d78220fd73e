#include "schedules/draw/draw_parts.h"

#include <math.h>
#include <string.h>

/* The causes of one rank, and the times that tell fill and drain. */
struct list {
    struct weir_draw_cause *causes;
    int n;
    double first, last, last_of_all; /* the rank's first start; the end of its last action, and of that of all ranks */
};

static void time_add(struct list *list, const char *name, int peer, double time)
{
    int k = 0;
    if (time <= 0)
        return;
    while (k < list->n && (list->causes[k].peer != peer || strcmp(list->causes[k].name, name) != 0))
        k++;
    if (k == WEIR_DRAW_CAUSES) {
        k--;
        list->causes[k].name = "other";
        list->causes[k].peer = -1;
    }
    if (k == list->n)
        list->causes[list->n++] = (struct weir_draw_cause){name, peer, 0};
    list->causes[k].time += time;
}

static void wait_add(struct list *list, const struct weir_timeline_wait *w)
{
    double drained = w->start >= list->last ? fmin(w->made, list->last_of_all) : w->start;
    if (w->end <= list->first) {
        time_add(list, "fill", w->peer, w->end - w->start);
        return;
    }
    drained = fmax(drained, w->start);
    time_add(list, "drain", w->peer, drained - w->start);
    time_add(list, w->cause ? w->cause : "nothing", w->peer, (w->cause ? w->made : w->end) - drained);
    if (!w->cause)
        return;
    if (w->held_by)
        time_add(list, w->held_by, w->peer, w->held);
    time_add(list, "transfer", w->peer, w->end - w->made - w->held);
}

static double last_action(const struct weir_timeline_rank *rank)
{
    double last = 0;
    for (size_t i = 0; i < rank->n_events; i++)
        if (rank->events[i].kind <= WEIR_TIMELINE_OVERLAP)
            last = fmax(last, rank->events[i].end);
    return last;
}

static void causes_sort(struct weir_draw_cause *causes, int n)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && causes[k - 1].time < causes[k].time; k--) {
            struct weir_draw_cause shorter = causes[k - 1];
            causes[k - 1] = causes[k];
            causes[k] = shorter;
        }
}

double weir_draw_last_action(const struct weir_timeline *timeline)
{
    double last = 0;
    for (int r = 0; r < timeline->n_ranks; r++)
        last = fmax(last, last_action(&timeline->ranks[r]));
    return last;
}

int weir_draw_causes(const struct weir_timeline_rank *rank, double last_of_all, struct weir_draw_cause causes[WEIR_DRAW_CAUSES])
{
    struct list list = {causes, 0, rank->n_events ? rank->events[0].start : 0, last_action(rank), last_of_all};
    for (size_t i = 0; i < rank->n_waits; i++)
        wait_add(&list, &rank->waits[i]);
    causes_sort(causes, list.n);
    return list.n;
}
