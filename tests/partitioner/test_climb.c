/* Borders that are moved while a value gets better, held to all cuts there are.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "partitioner/contiguous/climb.h"

enum { MOST_LAYERS = 12, MOST_STAGES = 6 };

/* The time of a pipeline that fills, works and drains: stage i waits for those before it, and works on every micro-batch. */
struct problem {
    double cost[MOST_LAYERS];
    int n_layers, n_stages, n_microbatches;
    long n_calls;
    int forbidden; /* a border that no cut may have; 0: none */
    long fail_at;  /* the call that fails; 0: none */
};

static double step_of(const struct problem *p, const int *cut)
{
    double before = 0, most = 0;
    for (int i = 0; i < p->n_stages; i++) {
        double work = 0;
        for (int l = cut[i]; l < cut[i + 1]; l++)
            work += p->cost[l];
        most = fmax(most, before + work * p->n_microbatches);
        before += work;
    }
    for (int i = 1; i < p->n_stages; i++)
        if (p->forbidden && cut[i] == p->forbidden)
            return INFINITY;
    return most;
}

static weir_status value(void *context, const int *cut, double *value_out)
{
    struct problem *p = context;
    p->n_calls++;
    if (p->n_calls == p->fail_at)
        return WEIR_FAIL(WEIR_ERR_INVALID, "no value");
    for (int i = 0; i < p->n_stages; i++)
        assert_true(cut[i] < cut[i + 1]);
    assert_int_equal(cut[0], 0);
    assert_int_equal(cut[p->n_stages], p->n_layers);
    *value_out = step_of(p, cut);
    return WEIR_OK;
}

static double best_of_all(const struct problem *p, int *cut, int n)
{
    double best = INFINITY;
    if (n == p->n_stages) {
        cut[n] = p->n_layers;
        return step_of(p, cut);
    }
    for (int l = n ? cut[n - 1] + 1 : 0; l <= (n ? p->n_layers - (p->n_stages - n) : 0); l++) {
        cut[n] = l;
        best = fmin(best, best_of_all(p, cut, n + 1));
    }
    return best;
}

static struct problem problem_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    uint64_t z = *seed;
    struct problem p = {.n_layers = 6 + (int)(z >> 33) % 7, .n_stages = 2 + (int)(z >> 40) % 5, .n_microbatches = 1 + (int)(z >> 45) % 8};
    for (int l = 0; l < p.n_layers; l++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        p.cost[l] = 1 + (double)((*seed >> 35) % 8);
    }
    return p;
}

static void first_cut(const struct problem *p, int *cut)
{
    for (int i = 0; i < p->n_stages; i++)
        cut[i] = i * p->n_layers / p->n_stages;
    cut[p->n_stages] = p->n_layers;
}

static void climbs_to_the_best_of_all_cuts_or_near(void **state)
{
    (void)state;
    uint64_t seed = 5;
    int n_best = 0;
    double worst = 1;
    for (int turn = 0; turn < 400; turn++) {
        struct problem p = problem_random(&seed);
        int cut[MOST_STAGES + 1], all[MOST_STAGES + 1];
        double found, best = best_of_all(&p, all, 0);
        long calls = 10000;
        first_cut(&p, cut);
        double before = step_of(&p, cut);
        assert_ok(weir_cut_climb(p.n_stages, &calls, value, &p, cut, &found));
        assert_true(found == step_of(&p, cut) && found <= before && found >= best);
        worst = fmax(worst, found / best);
        n_best += found <= best * (1 + 1e-5);
    }
    print_message("%d of 400 the best of all cuts, the worst %.1f %% above\n", n_best, 100 * (worst - 1));
    assert_true(n_best >= 350);
}

static void asks_no_more_often_than_it_may(void **state)
{
    (void)state;
    uint64_t seed = 9;
    for (long most = 1; most < 30; most++) {
        struct problem p = problem_random(&seed);
        int cut[MOST_STAGES + 1];
        double found;
        long calls = most;
        first_cut(&p, cut);
        double before = step_of(&p, cut);
        assert_ok(weir_cut_climb(p.n_stages, &calls, value, &p, cut, &found));
        assert_int_equal(p.n_calls, calls);
        assert_true(calls <= most && found <= before && found == step_of(&p, cut));
    }
}

static void cuts_that_do_not_fit_are_passed_by(void **state)
{
    (void)state;
    struct problem p = {.cost = {1, 1, 1, 1, 1, 1, 1, 1}, .n_layers = 8, .n_stages = 2, .n_microbatches = 100, .forbidden = 4};
    int cut[] = {0, 4, 8};
    double found;
    long calls = 1000;
    assert_ok(weir_cut_climb(2, &calls, value, &p, cut, &found));
    assert_true(isfinite(found) && (cut[1] == 3 || cut[1] == 5));
}

static void an_error_ends_it_with_the_best_cut_so_far(void **state)
{
    (void)state;
    for (long at = 1; at < 6; at++) {
        struct problem p = {.cost = {8, 1, 1, 1, 1, 1, 1, 1}, .n_layers = 8, .n_stages = 2, .n_microbatches = 100, .fail_at = at};
        int cut[] = {0, 6, 8};
        double found = 0;
        long calls = 1000;
        assert_fails(weir_cut_climb(2, &calls, value, &p, cut, &found), WEIR_ERR_INVALID, "no value");
        p.fail_at = 0;
        assert_true(at == 1 ? cut[1] == 6 : found == step_of(&p, cut));
        assert_int_equal(p.n_calls, at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(climbs_to_the_best_of_all_cuts_or_near),
        cmocka_unit_test(asks_no_more_often_than_it_may),
        cmocka_unit_test(cuts_that_do_not_fit_are_passed_by),
        cmocka_unit_test(an_error_ends_it_with_the_best_cut_so_far),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
