/* schedules: sound schedules damaged at random, check's verdict against a brute-force executor.   labels: pure
 *
 * The executor below shares no code with check.  It tries every rank over and over until nothing moves: because an
 * action never takes anything away from another one, the order in which it tries makes no difference. */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/weir/schedule.h"

enum { MOST_RANKS = 4, MOST_STAGES = 8, MOST_MBS = 6, MOST_ACTIONS = 256 };

/* A schedule that can be changed. */
struct lists {
    int p, s, m;
    bool comms;
    int n[MOST_RANKS];
    struct weir_action a[MOST_RANKS][MOST_ACTIONS];
};

/* ---- the executor ------------------------------------------------------------------------------------------------ */

struct brute {
    const struct lists *l;
    int owner[MOST_STAGES];
    int pc[MOST_RANKS], comm_pc[MOST_RANKS];
    bool done[MOST_STAGES][MOST_MBS][WEIR_ACTION_TYPES];
    bool here[2][MOST_STAGES][MOST_MBS]; /* input or gradient has arrived */
    struct {
        struct weir_action message;
        bool gone;
    } edge[MOST_RANKS][MOST_RANKS][MOST_ACTIONS];
    int edge_n[MOST_RANKS][MOST_RANKS];
    bool trainable;
};

static int count(const struct lists *l, int stage, int mb, int type)
{
    int n = 0;
    for (int r = 0; r < l->p; r++)
        for (int i = 0; i < l->n[r]; i++)
            n += l->a[r][i].stage == stage && l->a[r][i].mb == mb && l->a[r][i].type == type;
    return n;
}

static bool placed(struct brute *b)
{
    const struct lists *l = b->l;
    memset(b->owner, -1, sizeof b->owner);
    for (int r = 0; r < l->p; r++) {
        if (!l->n[r])
            return false;
        for (int i = 0; i < l->n[r]; i++) {
            const struct weir_action *a = &l->a[r][i];
            if (a->stage < 0 || a->stage >= l->s || a->mb < 0 || a->mb >= l->m)
                return false;
            if (b->owner[a->stage] >= 0 && b->owner[a->stage] != r)
                return false;
            b->owner[a->stage] = r;
            b->trainable |= a->type == WEIR_I || a->type == WEIR_W || a->type == WEIR_B;
            if (a->fused &&
                (a->type != WEIR_F || i + 1 == l->n[r] || a[1].fused || (a[1].type != WEIR_B && a[1].type != WEIR_I)))
                return false;
        }
    }
    return true;
}

static bool complete(const struct brute *b)
{
    const struct lists *l = b->l;
    for (int s = 0; s < l->s; s++)
        for (int k = 0; k < l->m; k++) {
            int n_b = count(l, s, k, WEIR_B), n_i = count(l, s, k, WEIR_I), n_w = count(l, s, k, WEIR_W);
            if (count(l, s, k, WEIR_F) != 1)
                return false;
            if (b->trainable && !(n_b == 1 && !n_i && !n_w) && !(n_b == 0 && n_i == 1 && n_w == 1))
                return false;
            if (!l->comms)
                continue;
            int in = s > 0 && b->owner[s - 1] != b->owner[s], out = s + 1 < l->s && b->owner[s + 1] != b->owner[s];
            if (count(l, s, k, WEIR_RECV_F) != in || count(l, s, k, WEIR_SEND_F) != out ||
                count(l, s, k, WEIR_RECV_B) != (out && b->trainable) ||
                count(l, s, k, WEIR_SEND_B) != (in && b->trainable))
                return false;
        }
    return true;
}

static int place(const struct lists *l, int r, int stage, int mb, int type)
{
    for (int i = 0; i < l->n[r]; i++)
        if (l->a[r][i].stage == stage && l->a[r][i].mb == mb && l->a[r][i].type == type)
            return i;
    return -1;
}

static int backward_place(const struct lists *l, int r, int stage, int mb)
{
    int i = place(l, r, stage, mb, WEIR_B);
    return i >= 0 ? i : place(l, r, stage, mb, WEIR_I);
}

/* Within a row: sends after what makes them, receives before what needs them. */
static bool rows_in_order(const struct brute *b)
{
    const struct lists *l = b->l;
    for (int r = 0; l->comms && r < l->p; r++)
        for (int i = 0; i < l->n[r]; i++) {
            const struct weir_action *a = &l->a[r][i];
            int f = place(l, r, a->stage, a->mb, WEIR_F), g = backward_place(l, r, a->stage, a->mb);
            if ((a->type == WEIR_SEND_F && f > i) || (a->type == WEIR_SEND_B && g > i) ||
                (a->type == WEIR_RECV_F && f < i) || (a->type == WEIR_RECV_B && g < i))
                return false;
        }
    return true;
}

/* The receives of every edge in the order of the sends; false when the receiver has another order. */
static bool edges_list(struct brute *b)
{
    const struct lists *l = b->l;
    for (int r = 0; r < l->p; r++)
        for (int i = 0; i < l->n[r]; i++) {
            struct weir_action a = l->a[r][i];
            bool forward = a.type == (l->comms ? WEIR_SEND_F : WEIR_F);
            bool backward = l->comms ? a.type == WEIR_SEND_B : a.type == WEIR_I || a.type == WEIR_B;
            int to = a.stage + (forward ? 1 : -1);
            if ((!forward && !backward) || to < 0 || to >= l->s || b->owner[to] == r)
                continue;
            int q = b->owner[to];
            b->edge[r][q][b->edge_n[r][q]++].message =
                (struct weir_action){.stage = to, .mb = a.mb, .type = forward ? WEIR_RECV_F : WEIR_RECV_B};
        }
    for (int r = 0; l->comms && r < l->p; r++) {
        int seen[MOST_RANKS] = {0};
        for (int i = 0; i < l->n[r]; i++) {
            const struct weir_action *a = &l->a[r][i];
            if (a->type != WEIR_RECV_F && a->type != WEIR_RECV_B)
                continue;
            int from = b->owner[a->stage + (a->type == WEIR_RECV_F ? -1 : 1)];
            const struct weir_action *sent = &b->edge[from][r][seen[from]++].message;
            if (sent->stage != a->stage || sent->mb != a->mb || sent->type != a->type)
                return false;
        }
    }
    return true;
}

static bool made(const struct brute *b, const struct weir_action *receive)
{
    if (receive->type == WEIR_RECV_F)
        return b->done[receive->stage - 1][receive->mb][WEIR_F];
    return b->done[receive->stage + 1][receive->mb][WEIR_I] || b->done[receive->stage + 1][receive->mb][WEIR_B];
}

static bool can_compute(const struct brute *b, const struct weir_action *a)
{
    int s = a->stage, k = a->mb;
    if (a->type == WEIR_W)
        return b->done[s][k][WEIR_I];
    int d = a->type != WEIR_F, from = d ? s + 1 : s - 1;
    if (d && !b->done[s][k][WEIR_F])
        return false;
    if (from < 0 || from >= b->l->s)
        return true;
    if (b->owner[from] != b->owner[s])
        return b->here[d][s][k];
    return d ? b->done[from][k][WEIR_I] || b->done[from][k][WEIR_B] : b->done[from][k][WEIR_F];
}

static bool is_transfer(const struct weir_action *a)
{
    return a->type >= WEIR_SEND_F && a->type <= WEIR_RECV_B;
}

/* The other end of a transfer, and its rank. */
static int other_end(const struct brute *b, const struct weir_action *a, struct weir_action *out)
{
    static const int to[] = {[WEIR_SEND_F] = 1, [WEIR_RECV_F] = -1, [WEIR_SEND_B] = -1, [WEIR_RECV_B] = 1};
    static const uint8_t type[] = {[WEIR_SEND_F] = WEIR_RECV_F,
                                   [WEIR_RECV_F] = WEIR_SEND_F,
                                   [WEIR_SEND_B] = WEIR_RECV_B,
                                   [WEIR_RECV_B] = WEIR_SEND_B};
    *out = (struct weir_action){.stage = a->stage + to[a->type], .mb = a->mb, .type = type[a->type]};
    return b->owner[out->stage];
}

/* Two ranks whose counters stand on the two ends of one transfer do it. */
static bool meet(struct brute *b, int r, int *pc)
{
    if (pc[r] >= b->l->n[r] || !is_transfer(&b->l->a[r][pc[r]]))
        return false;
    const struct weir_action *a = &b->l->a[r][pc[r]];
    struct weir_action other;
    int q = other_end(b, a, &other);
    if (pc[q] >= b->l->n[q] || memcmp(&b->l->a[q][pc[q]], &other, sizeof other) != 0)
        return false;
    bool receive = a->type == WEIR_RECV_F || a->type == WEIR_RECV_B;
    const struct weir_action *at = receive ? a : &other;
    if (!made(b, at))
        return false;
    b->here[at->type == WEIR_RECV_B][at->stage][at->mb] = true;
    pc[r]++;
    pc[q]++;
    return true;
}

static bool edge_move(struct brute *b, int r, int q)
{
    for (int i = 0; i < b->edge_n[r][q]; i++) {
        if (b->edge[r][q][i].gone)
            continue;
        const struct weir_action *a = &b->edge[r][q][i].message;
        int d = a->type == WEIR_RECV_B;
        if (!made(b, a))
            return false;
        b->here[d][a->stage][a->mb] = true;
        return b->edge[r][q][i].gone = true;
    }
    return false;
}

static bool rank_move(struct brute *b, int r, enum weir_channels model)
{
    if (b->pc[r] >= b->l->n[r])
        return false;
    const struct weir_action *a = &b->l->a[r][b->pc[r]];
    if (is_transfer(a)) {
        if (model == WEIR_CHANNELS_BLOCKING)
            return meet(b, r, b->pc);
        b->pc[r]++;
        return true;
    }
    if (!can_compute(b, a) || (a->fused && !can_compute(b, a + 1)))
        return false;
    for (int i = 0; i <= a->fused; i++)
        b->done[a[i].stage][a[i].mb][a[i].type] = true;
    b->pc[r] += a->fused ? 2 : 1;
    return true;
}

static bool channel_move(struct brute *b, int r)
{
    while (b->comm_pc[r] < b->l->n[r] && !is_transfer(&b->l->a[r][b->comm_pc[r]]))
        b->comm_pc[r]++;
    return meet(b, r, b->comm_pc);
}

static bool brute_accepts(const struct lists *l, enum weir_channels model)
{
    static struct brute b;
    memset(&b, 0, sizeof b);
    b.l = l;
    if (!placed(&b) || !complete(&b) || !rows_in_order(&b) || !edges_list(&b))
        return false;
    for (bool moved = true; moved;) {
        moved = false;
        for (int r = 0; r < l->p; r++) {
            moved |= rank_move(&b, r, model);
            if (model == WEIR_CHANNELS_SHARED)
                moved |= channel_move(&b, r);
            for (int q = 0; model == WEIR_CHANNELS_EDGE && q < l->p; q++)
                moved |= edge_move(&b, r, q);
        }
    }
    for (int r = 0; r < l->p; r++)
        if (b.pc[r] < l->n[r])
            return false;
    return true;
}

/* ---- mutants ----------------------------------------------------------------------------------------------------- */

static uint64_t random_state = 88172645463325252ull;

static int pick(int n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (int)(random_state % (uint64_t)n);
}

static void removed(struct lists *l, int r, int i)
{
    memmove(&l->a[r][i], &l->a[r][i + 1], (size_t)(l->n[r] - i - 1) * sizeof l->a[r][0]);
    l->n[r]--;
}

static void inserted(struct lists *l, int r, int i, struct weir_action a)
{
    memmove(&l->a[r][i + 1], &l->a[r][i], (size_t)(l->n[r] - i) * sizeof a);
    l->a[r][i] = a;
    l->n[r]++;
}

static void mutate(struct lists *l)
{
    int r = pick(l->p), q = pick(l->p);
    if (l->n[r] < 2 || l->n[q] < 2 || l->n[q] > MOST_ACTIONS - 4)
        return;
    int i = pick(l->n[r]), j = pick(l->n[r]), near = i + 1 < l->n[r] ? i + 1 : i - 1;
    struct weir_action a = l->a[r][i];
    switch (pick(8)) {
    case 0: /* far swap */
        l->a[r][i] = l->a[r][j];
        l->a[r][j] = a;
        break;
    case 1:
    case 2:
    case 3:
    case 4: /* near swap: the one that often stays sound */
        l->a[r][i] = l->a[r][near];
        l->a[r][near] = a;
        break;
    case 5: /* drop */
        removed(l, r, i);
        break;
    case 6: /* twice */
        inserted(l, q, pick(l->n[q] + 1), a);
        break;
    default: /* move, also to another rank */
        q = pick(4) ? r : q;
        removed(l, r, i);
        inserted(l, q, pick(l->n[q] + 1), a);
        break;
    }
}

static bool check_accepts(const struct lists *l, enum weir_channels model, struct weir_arena *arena)
{
    struct weir_schedule_rank ranks[MOST_RANKS];
    int stage_rank[MOST_STAGES] = {0}; /* check finds out by itself */
    struct weir_schedule_report report;
    for (int r = 0; r < l->p; r++)
        ranks[r] = (struct weir_schedule_rank){.actions = l->a[r], .n_actions = (size_t)l->n[r]};
    struct weir_schedule s = {l->p, l->s, l->m, 1, 0, l->comms, ranks, stage_rank, NULL, NULL, 0};
    return weir_schedule_check(&s, model, arena, &report) == WEIR_OK;
}

static void copy(const struct weir_schedule *s, struct lists *l)
{
    *l = (struct lists){.p = s->n_ranks, .s = s->n_stages, .m = s->n_microbatches, .comms = s->has_comms};
    for (int r = 0; r < l->p; r++) {
        l->n[r] = (int)s->ranks[r].n_actions;
        assert_true(l->n[r] < MOST_ACTIONS - 8);
        memcpy(l->a[r], s->ranks[r].actions, s->ranks[r].n_actions * sizeof l->a[r][0]);
    }
}

/* Damage a schedule again and again, from the sound one or further from a damaged one that still runs. */
static void mutants_agree(const struct weir_schedule *s, enum weir_channels model, int rounds, int verdicts[2])
{
    static struct lists sound, now;
    struct weir_arena arena = {0};
    copy(s, &sound);
    now = sound;
    for (int i = 0; i < rounds; i++) {
        mutate(&now);
        bool brute = brute_accepts(&now, model), check = check_accepts(&now, model, &arena);
        if (brute != check) {
            for (int r = 0; r < now.p; r++) {
                char text[WEIR_ACTION_TEXT];
                print_error("rank %d:", r);
                for (int k = 0; k < now.n[r]; k++)
                    print_error(" %s%s", now.a[r][k].fused ? "&" : "", weir_action_str(&now.a[r][k], text));
                print_error("\n");
            }
            fail_msg("%s: brute force says %d, check says %d: %s", weir_channels_str(model), brute, check,
                     weir_last_error());
        }
        verdicts[check]++;
        if (!check || pick(20) == 0)
            now = sound;
        weir_arena_release(&arena);
    }
}

static void check_and_brute_force_agree(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int p, v, m;
    } rows[] = {{"gpipe", 2, 1, 3},          {"1f1b", 3, 1, 4},   {"interleaved", 2, 2, 4}, {"bfs", 2, 2, 3},
                {"zb-h1", 3, 1, 4},          {"zb-h2", 2, 1, 4},  {"zbv", 2, 2, 3},         {"dualpipev", 2, 2, 4},
                {"interleaved-zb", 2, 2, 4}, {"hanayo", 2, 2, 3}, {"inference", 3, 2, 4},   {"v-min", 3, 2, 4}};
    int verdicts[2] = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_arena arena = {0};
        const struct weir_schedule_kind *kind;
        struct weir_schedule s, lowered;
        struct weir_schedule_params params = {.n_ranks = rows[i].p, .n_chunks = rows[i].v, .n_microbatches = rows[i].m};
        assert_ok(weir_schedule_kind_find(rows[i].name, &kind));
        assert_ok(weir_schedule_build(kind, &params, &arena, &s));
        mutants_agree(&s, WEIR_CHANNELS_EDGE, 1500, verdicts);
        assert_ok(weir_schedule_lower(&s, &arena, &lowered));
        mutants_agree(&lowered, WEIR_CHANNELS_EDGE, 1500, verdicts);
        assert_ok(weir_schedule_lower_torch_2025(&s, &arena, &lowered));
        for (int model = WEIR_CHANNELS_EDGE; model <= WEIR_CHANNELS_BLOCKING; model++)
            mutants_agree(&lowered, (enum weir_channels)model, 1500, verdicts);
        weir_arena_release(&arena);
    }
    print_message("%d mutants sound, %d not\n", verdicts[1], verdicts[0]);
    assert_true(verdicts[0] > 1000 && verdicts[1] > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_and_brute_force_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
