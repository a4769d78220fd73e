/* Queues of left ends (partitioner/contiguous/path_split.h).
 *
 * limit_feasible goes through the prefixes once.  Group g holds the prefixes that g parts reach, in a queue with
 * falling left sides P - c: a new prefix drops those behind it that are no better and will expire earlier, and the
 * front leaves when the part would exceed the memory cap.  So the front is the best start of its group, and the first
 * group whose front reaches j gives the fewest parts.
 *
 * Invariant: head and tail are linked by next and previous over prefix numbers, which ascend from front to back. */
#include "partitioner/contiguous/path_split.h"

#include "base/alloc.h"
#include "base/clock.h"

struct path {
    int n;
    int *order, *place;     /* block at a position; position of a block */
    int64_t *time, *memory; /* [n + 1] of the prefix */
    int64_t *cost;          /* [n + 1] of the cut behind the prefix */
    int64_t cap;
    int64_t *later;       /* [n + 1] scratch: smallest time + cost from here on */
    int *fewest, *from;   /* [n + 1] scratch: parts that reach the prefix, and from where; 0 parts: not reached */
    int *head, *tail;     /* [n + 2] queue of each group, -1 empty */
    int *next, *previous; /* [n + 1] links */
};

static int only_source(const struct weir_blocks *blocks)
{
    int source = -1;
    for (int b = 0; b < blocks->n; b++) {
        int preds = blocks->pred_first[b + 1] - blocks->pred_first[b],
            succs = blocks->succ_first[b + 1] - blocks->succ_first[b];
        if (preds > 1 || succs > 1 || blocks->pin[b] >= 0 || (!preds && source >= 0))
            return -1;
        if (!preds)
            source = b;
    }
    return source;
}

bool weir_path_applies(const struct weir_blocks *blocks, int cpus)
{
    if (cpus || blocks->unsupported || only_source(blocks) < 0)
        return false;
    for (int e = 0; e < blocks->n_nets; e++) {
        const int *ends = blocks->net_block + blocks->net_first[e];
        if (blocks->net_first[e + 1] - blocks->net_first[e] != 2)
            return false;
        int s0 = blocks->succ_first[ends[0]], s1 = blocks->succ_first[ends[1]];
        bool forth = blocks->succ_first[ends[0] + 1] > s0 && blocks->succ[s0] == ends[1];
        bool back = blocks->succ_first[ends[1] + 1] > s1 && blocks->succ[s1] == ends[0];
        if (!forth && !back)
            return false;
    }
    return true;
}

static weir_status path_build(const struct weir_contiguous_job *job, struct weir_arena *arena, struct path *path)
{
    const struct weir_blocks *blocks = job->blocks;
    size_t n = (size_t)blocks->n;
    int **ints[] = {&path->order, &path->place, &path->fewest, &path->from,
                    &path->head,  &path->tail,  &path->next,   &path->previous};
    int64_t **longs[] = {&path->time, &path->memory, &path->cost, &path->later};
    weir_status status = WEIR_OK;
    for (size_t i = 0; !status && i < sizeof ints / sizeof ints[0]; i++)
        status = weir_arena_alloc(arena, n + 2, sizeof(int), ints[i]);
    for (size_t i = 0; !status && i < sizeof longs / sizeof longs[0]; i++)
        status = weir_arena_alloc(arena, n + 2, sizeof(int64_t), longs[i]);
    if (status)
        return status;
    path->n = blocks->n;
    path->cap = job->memory;
    int block = only_source(blocks);
    for (int i = 0; i < path->n; i++) {
        path->order[i] = block;
        path->place[block] = i;
        path->time[i + 1] = path->time[i] + blocks->time[block];
        path->memory[i + 1] = path->memory[i] + blocks->memory[block];
        if (i + 1 < path->n)
            block = blocks->succ[blocks->succ_first[block]];
    }
    for (int e = 0; e < blocks->n_nets; e++) {
        int a = path->place[blocks->net_block[blocks->net_first[e]]],
            b = path->place[blocks->net_block[blocks->net_first[e] + 1]];
        path->cost[a > b ? a : b] += blocks->net_cost[e];
    }
    return WEIR_OK;
}

static int64_t left_side(const struct path *path, int i)
{
    return path->time[i] - path->cost[i];
}

static void queue_push(struct path *path, int group, int i)
{
    while (path->tail[group] >= 0 && left_side(path, path->tail[group]) <= left_side(path, i)) {
        path->tail[group] = path->previous[path->tail[group]];
    }
    int tail = path->tail[group];
    path->previous[i] = tail;
    path->next[i] = -1;
    if (tail >= 0)
        path->next[tail] = i;
    else
        path->head[group] = i;
    path->tail[group] = i;
}

static void queue_drop_front(struct path *path, int group)
{
    int second = path->next[path->head[group]];
    path->head[group] = second;
    if (second >= 0)
        path->previous[second] = -1;
    else
        path->tail[group] = -1;
}

static void queue_expire(struct path *path, int group, int64_t memory)
{
    while (path->head[group] >= 0 && memory - path->memory[path->head[group]] > path->cap)
        queue_drop_front(path, group);
}

/* Fewest parts for every prefix with loads of at most `limit`; true when at most `devices` reach the end. */
static bool limit_feasible(struct path *path, int devices, int64_t limit)
{
    int n = path->n, most = 0, lowest = 0;
    path->later[n] = path->time[n];
    for (int i = n - 1; i > 0; i--)
        path->later[i] =
            path->time[i] + path->cost[i] < path->later[i + 1] ? path->time[i] + path->cost[i] : path->later[i + 1];
    for (int g = 0; g <= devices && g <= n; g++)
        path->head[g] = path->tail[g] = -1;
    queue_push(path, 0, 0);
    for (int j = 1; j <= n; j++) {
        int64_t need = path->time[j] + path->cost[j] - limit, always = path->later[j] - limit;
        path->fewest[j] = 0;
        for (; lowest <= most; lowest++) { /* groups that no later prefix can start from */
            queue_expire(path, lowest, path->memory[j]);
            if (path->head[lowest] >= 0 && left_side(path, path->head[lowest]) >= always)
                break;
        }
        for (int g = lowest; g <= most && g < devices && !path->fewest[j]; g++) {
            queue_expire(path, g, path->memory[j]);
            if (path->head[g] < 0 || left_side(path, path->head[g]) < need)
                continue;
            path->fewest[j] = g + 1;
            path->from[j] = path->head[g];
        }
        int group = path->fewest[j];
        if (!group || group == devices || j == n)
            continue;
        queue_push(path, group, j);
        most = group > most ? group : most;
        lowest = group < lowest ? group : lowest;
    }
    return path->fewest[n] > 0;
}

static int64_t split_read(const struct path *path, struct weir_split *split)
{
    int64_t value = 0;
    int parts = path->fewest[path->n];
    split->n_parts = parts;
    for (int end = path->n; end > 0; end = path->from[end]) {
        int start = path->from[end];
        int64_t load = path->time[end] + path->cost[end] - left_side(path, start);
        value = load > value ? load : value;
        parts--;
        split->on_cpu[parts] = 0;
        for (int i = start; i < end; i++)
            split->part[path->order[i]] = parts;
    }
    return value;
}

static void count_solve(const struct weir_contiguous_job *job, struct path *path, int devices, int64_t deadline_ns,
                        struct weir_contiguous_answer *answer)
{
    struct weir_split_problem problem = {.blocks = job->blocks, .devices = devices, .memory = job->memory};
    int64_t low = weir_split_bound(&problem, devices);
    low = low > answer->bound ? low : answer->bound;
    answer->bound = low;
    if (devices < 1 || low >= WEIR_NEVER || !limit_feasible(path, devices, INT64_MAX / 8)) {
        answer->bound = WEIR_NEVER;
        return;
    }
    int64_t high = split_read(path, &answer->split), step = low / 64 + 1;
    while (low < high && !(deadline_ns && weir_clock_ns() > deadline_ns)) {
        int64_t half = (high - low) / 2, guess = low + (step < half ? step : half);
        if (guess == low + step)
            step *= 2; /* the optimum is mostly close to the bound: gallop up from there */
        if (limit_feasible(path, devices, guess))
            high = split_read(path, &answer->split);
        else
            low = guess + 1;
    }
    answer->bound = low;
    answer->split.value = high;
}

weir_status weir_path_solve(const struct weir_contiguous_job *job, struct weir_arena *arena,
                            struct weir_contiguous_answer *answers_out, int64_t *downsets_out)
{
    struct path path = {0};
    struct weir_arena scratch = {0};
    weir_status status = path_build(job, &scratch, &path);
    int64_t bound = 0, deadline_ns = job->seconds > 0 && !job->unhurried ? job->start_ns + (int64_t)(job->seconds * 1e9) : 0;
    for (int devices = job->last; !status && devices >= job->first; devices--) {
        struct weir_contiguous_answer *answer = &answers_out[devices - job->first];
        answer->bound = bound;
        status = weir_split_init(job->blocks, arena, &answer->split);
        if (!status)
            count_solve(job, &path, devices, deadline_ns, answer);
        bound = answer->bound;
    }
    *downsets_out = job->blocks->n + 1;
    weir_arena_release(&scratch);
    return status;
}
