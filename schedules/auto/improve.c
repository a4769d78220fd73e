#include "schedules/auto/improve.h"

#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"

enum { HISTORY = 64, REACH = 8 };

struct search {
    struct weir_trial *trial;
    struct weir_schedule schedule; /* as it is now */
    struct weir_action *const *change; /* its lists */
    struct weir_arena lists;
    struct weir_arena work; /* of `now` */
    struct weir_simulation now;
    double value, score;
    double history[HISTORY];        /* of scores */
    double little; /* the weight of what does not decide */
    uint32_t drawn;
};

/* An action of a rank's list goes from one place to another. */
struct move {
    int rank;
    size_t from, to;
};

static uint32_t draw(struct search *s, uint32_t n)
{
    return weir_rng_philox(0x57454952, s->drawn++, 0, 0, 0).v[0] % n;
}

/* ---- moves ------------------------------------------------------------------------------------------------------- */

static void shift(struct weir_action *list, size_t from, size_t to)
{
    struct weir_action moved = list[from];
    if (from < to)
        memmove(&list[from], &list[from + 1], (to - from) * sizeof *list);
    else
        memmove(&list[to + 1], &list[to], (from - to) * sizeof *list);
    list[to] = moved;
}

/* Two actions of a rank that must keep their order: one needs the other, or both add to one sum. */
static bool ordered(const struct weir_action *a, const struct weir_action *b)
{
    return a->stage == b->stage && (a->type == b->type || a->mb == b->mb);
}

static bool may_move(const struct weir_action *list, size_t from, size_t to)
{
    size_t low = from < to ? from + 1 : to, high = from < to ? to : from - 1;
    for (size_t i = low; i <= high; i++)
        if (ordered(&list[from], &list[i]))
            return false;
    return from != to;
}

static size_t place_of(struct search *s, const struct weir_path_step *step)
{
    const struct weir_schedule_rank *list = &s->schedule.ranks[step->rank];
    size_t i = 0;
    while (i < list->n_actions && memcmp(&list->actions[i], &step->action, sizeof step->action) != 0)
        i++;
    return i;
}

/* Where the first W behind `from` stands that could be run now. */
static size_t weight_behind(struct search *s, int rank, size_t from)
{
    const struct weir_schedule_rank *list = &s->schedule.ranks[rank];
    size_t i = from + 1, most = from + 8 * REACH < list->n_actions ? from + 8 * REACH : list->n_actions;
    while (i < most && !(list->actions[i].type == WEIR_W && may_move(list->actions, i, from)))
        i++;
    return i;
}

static size_t weight_before(struct search *s, int rank, size_t from)
{
    const struct weir_action *list = s->schedule.ranks[rank].actions;
    size_t i = from;
    while (i > 0 && from - i < 4 * REACH && list[i].type != WEIR_W)
        i--;
    return i;
}

/* A change of the path at one of its steps; false: there is none here. */
static bool move_draw(struct search *s, struct move *move)
{
    const struct weir_path_step *step = &s->now.critical_path[draw(s, (uint32_t)s->now.n_path)];
    if (!weir_action_is_compute((enum weir_action_type)step->action.type))
        return false;
    size_t at = place_of(s, step), n = s->schedule.ranks[step->rank].n_actions, by = 1 + draw(s, REACH);
    *move = (struct move){step->rank, at, at};
    if (at >= n)
        return false;
    switch (draw(s, 6)) {
    case 0: /* earlier by one */
    case 1:
        move->to = at ? at - 1 : at;
        break;
    case 2: /* earlier by some */
        move->to = at > by ? at - by : 0;
        break;
    case 3: /* later by some */
        move->to = at + by < n ? at + by : n - 1;
        break;
    case 4: /* a later W before it */
        move->from = weight_behind(s, step->rank, at);
        break;
    default: /* an earlier W behind it */
        move->from = weight_before(s, step->rank, at);
        break;
    }
    return move->from < n && may_move(s->schedule.ranks[step->rank].actions, move->from, move->to);
}

/* ---- the path of a span ------------------------------------------------------------------------------------------ */

/* Where the action is made that the one at `at` on `rank` waits for; false: it waits for none. */
static bool producer_find(const struct search *s, const struct weir_action *a, int *rank, size_t *at)
{
    const struct weir_schedule *schedule = &s->schedule;
    int stage = a->type == WEIR_F ? a->stage - 1 : a->type == WEIR_W ? -1 : a->stage + 1;
    if (stage < 0 || stage >= schedule->n_stages)
        return false;
    const struct weir_schedule_rank *list = &schedule->ranks[schedule->stage_rank[stage]];
    *rank = schedule->stage_rank[stage];
    for (size_t i = 0; i < list->n_actions; i++) {
        const struct weir_action *b = &list->actions[i];
        *at = i;
        if (b->stage == stage && b->mb == a->mb && b->type != WEIR_W && (b->type == WEIR_F) == (a->type == WEIR_F))
            return true;
    }
    return false;
}

static int longest_rank(const struct search *s)
{
    int longest = 0;
    double most = -1;
    for (int r = 0; r < s->schedule.n_ranks; r++) {
        size_t n = s->schedule.ranks[r].n_actions;
        double span = n ? s->now.end[r][n - 1] - s->now.start[r][0] : 0;
        longest = span > most ? r : longest;
        most = fmax(most, span);
    }
    return longest;
}

/* The chain that ends with the rank of the longest span takes the place of the makespan's. */
static weir_status path_follow(struct search *s)
{
    struct weir_path_step *path;
    int rank = longest_rank(s);
    size_t at = s->schedule.ranks[rank].n_actions - 1, n = 0;
    if (s->trial->request->objective == WEIR_AUTO_MAKESPAN)
        return WEIR_OK;
    weir_status status = weir_arena_alloc(&s->work, s->now.n_actions, sizeof *path, &path);
    while (!status && n < s->now.n_actions) {
        const struct weir_action *a = &s->schedule.ranks[rank].actions[at];
        path[n++] = (struct weir_path_step){.action = *a, .rank = rank};
        if (at && s->now.end[rank][at - 1] >= s->now.start[rank][at] * (1 - 1e-12))
            at--;
        else if (!producer_find(s, a, &rank, &at))
            break;
    }
    s->now.critical_path = path;
    s->now.n_path = n;
    return status;
}

/* ---- the search -------------------------------------------------------------------------------------------------- */

/* The value, and a little of what the ranks that do not decide take: a step on a plateau may lead off it. */
static double score_of(const struct search *s, const struct weir_simulation *simulation, double value)
{
    double sum = 0;
    int p = s->schedule.n_ranks;
    for (int r = 0; r < p && isfinite(value); r++) {
        size_t n = s->schedule.ranks[r].n_actions;
        double from = s->trial->request->objective == WEIR_AUTO_SPAN ? simulation->start[r][0] : 0;
        sum += n ? simulation->end[r][n - 1] - from : 0;
    }
    return value + s->little * sum / p;
}

static weir_status search_open(struct search *s)
{
    weir_status status = weir_trial_copy(&s->trial->best, &s->lists, &s->schedule, &s->change);
    if (!status)
        status = weir_trial_time(s->trial, &s->schedule, &s->work, &s->now, &s->value);
    if (!status)
        s->score = score_of(s, &s->now, s->value);
    if (!status)
        status = path_follow(s);
    for (int i = 0; i < HISTORY; i++)
        s->history[i] = s->score;
    return status;
}

static weir_status best_keep(struct search *s)
{
    double value;
    return s->value < s->trial->value ? weir_trial_offer(s->trial, &s->schedule, &value) : WEIR_OK;
}

static weir_status step_try(struct search *s, const struct move *move, size_t step)
{
    struct weir_arena work = {0};
    struct weir_simulation then;
    double value, score = INFINITY, *before = &s->history[step % HISTORY];
    shift(s->change[move->rank], move->from, move->to);
    weir_status status = weir_trial_time(s->trial, &s->schedule, &work, &then, &value);
    if (!status && isfinite(value))
        score = score_of(s, &then, value);
    if (isfinite(score) && (score <= s->score * (1 + 1e-12) || score <= *before)) {
        weir_arena_release(&s->work);
        s->work = work;
        s->now = then;
        s->value = value;
        s->score = score;
        status = path_follow(s);
        if (!status)
            status = best_keep(s);
    } else {
        shift(s->change[move->rank], move->to, move->from);
        weir_arena_release(&work);
    }
    *before = s->score;
    return status;
}

static bool overlaps(const struct weir_schedule *schedule)
{
    for (int r = 0; r < schedule->n_ranks; r++)
        for (size_t i = 0; i < schedule->ranks[r].n_actions; i++)
            if (schedule->ranks[r].actions[i].fused)
                return true;
    return false;
}

static weir_status phase_run(struct weir_trial *trial, double little, uint32_t seed, size_t n_steps)
{
    struct search s = {.trial = trial, .little = little, .drawn = seed};
    struct move move;
    weir_status status = search_open(&s);
    for (size_t i = 0, misses = 0; !status && i < n_steps && misses < 64 * n_steps; i++) {
        if (trial->value <= trial->bound * (1 + 1e-12) || !s.now.n_path)
            break;
        while (misses < 64 * n_steps && !move_draw(&s, &move))
            misses++;
        if (misses < 64 * n_steps)
            status = step_try(&s, &move, i);
    }
    weir_arena_release(&s.work);
    weir_arena_release(&s.lists);
    return status;
}

weir_status weir_improve_run(struct weir_trial *trial, size_t n_steps)
{
    static const double littles[] = {0, 0.01, 0, 0.003};
    weir_status status = WEIR_OK;
    if (!trial->best.n_ranks || overlaps(&trial->best))
        return WEIR_OK;
    for (uint32_t i = 0; !status && i < 4; i++) /* each from the best that the one before it has left */
        status = phase_run(trial, littles[i], i << 28, n_steps / 4);
    return status;
}
