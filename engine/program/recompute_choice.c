#include "engine/program/recompute_choice.h"

#include <math.h>
#include <string.h>

enum { MOST_KINDS = 24, MOST_TRIES = 1 << 20 };

struct offer {
    double time, saved;
    int n;
};

struct choosing {
    struct offer offers[MOST_KINDS]; /* those that save most for their time first */
    int n, take[MOST_KINDS], best[MOST_KINDS];
    double best_time;
    long tries;
};

/* What is more than MOST_KINDS kinds joins the last one with its dearer time and smaller saving: never too little is saved. */
static int kind_of(struct choosing *c, double time, double saved)
{
    for (int k = 0; k < c->n; k++)
        if (c->offers[k].time == time && c->offers[k].saved == saved)
            return k;
    if (c->n < MOST_KINDS) {
        c->offers[c->n] = (struct offer){time, saved, 0};
        return c->n++;
    }
    c->offers[MOST_KINDS - 1].time = fmax(c->offers[MOST_KINDS - 1].time, time);
    c->offers[MOST_KINDS - 1].saved = fmin(c->offers[MOST_KINDS - 1].saved, saved);
    return MOST_KINDS - 1;
}

static bool is_better(const struct offer *a, const struct offer *b)
{
    return a->saved * b->time > b->saved * a->time;
}

/* The time that the rest costs at least: of the best offers a part is taken.  INFINITY: they do not save enough. */
static double rest_bound(const struct choosing *c, int kind, double need)
{
    double time = 0;
    for (int k = kind; k < c->n && need > 0; k++) {
        double all = c->offers[k].n * c->offers[k].saved, part = all > need ? need / all : 1;
        time += part * c->offers[k].n * c->offers[k].time;
        need -= all;
    }
    return need > 0 ? INFINITY : time;
}

static void choose_from(struct choosing *c, int kind, double need, double time)
{
    if (need <= 0) {
        if (time < c->best_time) {
            c->best_time = time;
            memcpy(c->best, c->take, sizeof c->best);
        }
        return;
    }
    for (int n = kind < c->n ? c->offers[kind].n : -1; n >= 0 && c->tries++ < MOST_TRIES; n--) {
        double left = need - n * c->offers[kind].saved, with = time + n * c->offers[kind].time;
        if (with + rest_bound(c, kind + 1, left) >= c->best_time)
            continue;
        c->take[kind] = n;
        choose_from(c, kind + 1, left, with);
        c->take[kind] = 0;
    }
}

static void sort(struct choosing *c)
{
    for (int i = 1; i < c->n; i++)
        for (int j = i; j > 0 && is_better(&c->offers[j], &c->offers[j - 1]); j--) {
            struct offer other = c->offers[j];
            c->offers[j] = c->offers[j - 1];
            c->offers[j - 1] = other;
        }
}

bool weir_recompute_choose(const double *time, const double *saved, int n, double need, bool *chosen_out)
{
    struct choosing c = {.best_time = INFINITY};
    memset(chosen_out, 0, (size_t)n * sizeof *chosen_out);
    for (int i = 0; i < n; i++)
        if (saved[i] > 0)
            c.offers[kind_of(&c, time[i], saved[i])].n++;
    sort(&c);
    choose_from(&c, 0, need, 0);
    if (isinf(c.best_time))
        return false;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < c.n && saved[i] > 0; k++)
            if (c.best[k] > 0 && c.offers[k].time >= time[i] && c.offers[k].saved <= saved[i] &&
                (k == MOST_KINDS - 1 || (c.offers[k].time == time[i] && c.offers[k].saved == saved[i]))) {
                c.best[k]--;
                chosen_out[i] = true;
                break;
            }
    return true;
}
