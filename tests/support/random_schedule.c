#include "tests/support/random_schedule.h"

#include <string.h>

#include "base/rng.h"
#include "tests/support/testing.h"

enum { MOST_STAGES = 16, MOST_MICROBATCHES = 16, MOST_ATTEMPTS = 200, GRAD_SLOTS = 2 };

struct flow {
    const struct random_schedule_params *params;
    uint64_t random;
    int rank_of[MOST_STAGES];
    bool whole[MOST_STAGES][MOST_MICROBATCHES]; /* B instead of I and W */
    bool f[MOST_STAGES][MOST_MICROBATCHES], i[MOST_STAGES][MOST_MICROBATCHES], w[MOST_STAGES][MOST_MICROBATCHES];
    int n_f[MOST_STAGES], n_i[MOST_STAGES], n_w[MOST_STAGES], peak[MOST_STAGES];
};

int random_below(uint64_t *state, int n)
{
    struct weir_rng_block block = weir_rng_philox(*state, (uint32_t)n, 1, 2, 3);
    *state = (uint64_t)block.v[1] << 32 | block.v[2];
    return (int)(block.v[0] % (uint32_t)n);
}

static bool shares_rank(const struct flow *flow, int a, int b)
{
    return flow->rank_of[a] == flow->rank_of[b];
}

static bool f_ready(const struct flow *flow, int s, int k)
{
    int next = s + 1;
    if (flow->f[s][k] || (s > 0 && !flow->f[s - 1][k]) || (flow->params->ascending && k != flow->n_f[s]))
        return false;
    if (!flow->params->slots || next == flow->params->n_stages || shares_rank(flow, s, next))
        return true;
    return flow->n_f[s] - flow->n_w[next] < flow->peak[next] + 1;
}

static bool i_ready(const struct flow *flow, int s, int k)
{
    bool last = s + 1 == flow->params->n_stages;
    if (!flow->f[s][k] || flow->i[s][k] || (!last && !flow->i[s + 1][k]))
        return false;
    if (flow->params->ascending && (k != flow->n_i[s] || (flow->whole[s][k] && k != flow->n_w[s])))
        return false;
    if (!flow->params->slots || s == 0 || shares_rank(flow, s, s - 1))
        return true;
    return flow->n_i[s] - flow->n_i[s - 1] < GRAD_SLOTS;
}

static bool w_ready(const struct flow *flow, int s, int k)
{
    return flow->i[s][k] && !flow->w[s][k] && !(flow->params->ascending && k != flow->n_w[s]);
}

static bool is_ready(const struct flow *flow, const struct weir_action *action)
{
    int s = action->stage, k = action->mb;
    if (action->type == WEIR_F)
        return f_ready(flow, s, k);
    if (action->type == WEIR_W)
        return !flow->whole[s][k] && w_ready(flow, s, k);
    return flow->whole[s][k] == (action->type == WEIR_B) && i_ready(flow, s, k);
}

static void take(struct flow *flow, const struct weir_action *action)
{
    int s = action->stage, k = action->mb;
    if (action->type == WEIR_F) {
        flow->f[s][k] = true;
        flow->n_f[s]++;
        if (flow->n_f[s] - flow->n_w[s] > flow->peak[s])
            flow->peak[s] = flow->n_f[s] - flow->n_w[s];
    }
    if (action->type == WEIR_I || action->type == WEIR_B) {
        flow->i[s][k] = true;
        flow->n_i[s]++;
    }
    if (action->type == WEIR_W || action->type == WEIR_B) {
        flow->w[s][k] = true;
        flow->n_w[s]++;
    }
}

/* One of the actions that could be taken now, each as likely as the others; false: none. */
static bool choose(struct flow *flow, struct weir_action *action_out)
{
    int n = 0;
    for (int type = WEIR_F; type <= WEIR_B; type++)
        for (int s = 0; s < flow->params->n_stages; s++)
            for (int k = 0; k < flow->params->n_microbatches; k++) {
                struct weir_action action = {.stage = s, .mb = k, .type = (uint8_t)type};
                if (is_ready(flow, &action) && random_below(&flow->random, ++n) == 0)
                    *action_out = action;
            }
    return n > 0;
}

static void stages_place(struct flow *flow)
{
    int p = flow->params->n_ranks, n = flow->params->n_stages;
    for (int s = 0; s < n; s++)
        flow->rank_of[s] = s < p ? s : random_below(&flow->random, p);
    for (int s = n - 1; s > 0; s--) {
        int other = random_below(&flow->random, s + 1), rank = flow->rank_of[s];
        flow->rank_of[s] = flow->rank_of[other];
        flow->rank_of[other] = rank;
    }
    int odds = 1 + random_below(&flow->random, 4);
    for (int s = 0; s < n; s++)
        for (int k = 0; k < flow->params->n_microbatches; k++)
            flow->whole[s][k] = random_below(&flow->random, 5) < odds;
}

/* false: the slots filled up with micro-batches that had to wait for others. */
static bool attempt(struct flow *flow, struct weir_action **lists, size_t *counts)
{
    memset(counts, 0, sizeof *counts * (size_t)flow->params->n_ranks);
    stages_place(flow);
    struct weir_action action;
    while (choose(flow, &action)) {
        int rank = flow->rank_of[action.stage];
        take(flow, &action);
        lists[rank][counts[rank]++] = action;
    }
    for (int s = 0; s < flow->params->n_stages; s++)
        if (flow->n_w[s] < flow->params->n_microbatches)
            return false;
    return true;
}

void random_schedule_build(const struct random_schedule_params *params, uint64_t seed, struct weir_arena *arena,
                           struct weir_schedule *out)
{
    assert_true(params->n_stages <= MOST_STAGES && params->n_microbatches <= MOST_MICROBATCHES);
    struct weir_action *lists[MOST_STAGES];
    size_t counts[MOST_STAGES], most = 3 * (size_t)params->n_stages * (size_t)params->n_microbatches;
    struct weir_schedule_rank *ranks;
    int *stage_rank;
    assert_ok(weir_arena_alloc(arena, (size_t)params->n_ranks, sizeof *ranks, &ranks));
    assert_ok(weir_arena_alloc(arena, (size_t)params->n_stages, sizeof *stage_rank, &stage_rank));
    for (int r = 0; r < params->n_ranks; r++)
        assert_ok(weir_arena_alloc(arena, most, sizeof *lists[r], &lists[r]));
    struct flow flow;
    bool done = false;
    for (int n = 0; n < MOST_ATTEMPTS && !done; n++) {
        flow = (struct flow){.params = params, .random = seed * MOST_ATTEMPTS + (uint64_t)n};
        done = attempt(&flow, lists, counts);
    }
    assert_true(done);
    for (int r = 0; r < params->n_ranks; r++)
        ranks[r] = (struct weir_schedule_rank){.actions = lists[r], .n_actions = counts[r]};
    memcpy(stage_rank, flow.rank_of, sizeof *stage_rank * (size_t)params->n_stages);
    *out = (struct weir_schedule){.n_ranks = params->n_ranks, .n_stages = params->n_stages,
                                  .n_microbatches = params->n_microbatches, .n_copies = 1, .ranks = ranks,
                                  .stage_rank = stage_rank};
}

static size_t last_of(const struct weir_action *actions, size_t n, int stage)
{
    while (actions[n - 1].stage != stage)
        n--;
    return n;
}

static size_t reduction_insert(struct weir_action *actions, size_t n, int stage, uint64_t *random)
{
    size_t first = last_of(actions, n, stage), at = first + (size_t)random_below(random, (int)(n - first) + 1);
    memmove(actions + at + 1, actions + at, (n - at) * sizeof *actions);
    actions[at] = (struct weir_action){.stage = stage, .mb = -1, .type = WEIR_REDUCE_GRAD};
    return n + 1;
}

void random_reductions_add(struct weir_schedule *schedule, uint64_t *random, struct weir_arena *arena)
{
    struct weir_schedule_rank *ranks;
    assert_ok(weir_arena_alloc(arena, (size_t)schedule->n_ranks, sizeof *ranks, &ranks));
    for (int r = 0; r < schedule->n_ranks; r++) {
        struct weir_action *actions;
        size_t n = schedule->ranks[r].n_actions;
        assert_ok(weir_arena_alloc(arena, n + (size_t)schedule->n_stages, sizeof *actions, &actions));
        memcpy(actions, schedule->ranks[r].actions, n * sizeof *actions);
        for (int s = 0; s < schedule->n_stages; s++)
            if (schedule->stage_rank[s] == r && random_below(random, 3))
                n = reduction_insert(actions, n, s, random);
        ranks[r] = (struct weir_schedule_rank){.actions = actions, .n_actions = n};
    }
    schedule->ranks = ranks;
}
