/* chain: splits of rows of layers against brute force over all cut positions.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "include/weir/partition.h"

enum { MOST_LAYERS = 20 };

static double interval_cost(const double *cost, int first, int end)
{
    double sum = 0;
    for (int i = first; i < end; i++)
        sum += cost[i];
    return sum;
}

static double bottleneck(const double *cost, const int *first, int n_stages)
{
    double most = 0;
    for (int s = 0; s < n_stages; s++)
        most = fmax(most, interval_cost(cost, first[s], first[s + 1]));
    return most;
}

/* Visit all cut vectors in lexicographic order and keep the first with the smallest bottleneck. */
static void brute_force(const double *cost, int n_layers, int n_stages, int stage, int *first, double *best,
                        int *best_first)
{
    if (stage == n_stages) {
        double value = bottleneck(cost, first, n_stages);
        if (value < *best) {
            *best = value;
            memcpy(best_first, first, sizeof(int) * (size_t)(n_stages + 1));
        }
        return;
    }
    for (int cut = first[stage - 1] + 1; cut <= n_layers - (n_stages - stage); cut++) {
        first[stage] = cut;
        brute_force(cost, n_layers, n_stages, stage + 1, first, best, best_first);
    }
}

static void check_against_brute_force(const double *cost, int n_layers, int n_stages)
{
    int first[MOST_LAYERS + 1] = {0}, best_first[MOST_LAYERS + 1], got[MOST_LAYERS + 1];
    double best = INFINITY;
    first[n_stages] = n_layers;
    brute_force(cost, n_layers, n_stages, 1, first, &best, best_first);
    assert_ok(weir_chain_split(cost, n_layers, n_stages, got));
    assert_true(bottleneck(cost, got, n_stages) == best);
    assert_memory_equal(got, best_first, sizeof(int) * (size_t)(n_stages + 1));
}

static uint32_t random_word(uint32_t a, uint32_t b)
{
    return weir_rng_philox(11, a, b, 0, 0).v[0];
}

static void every_short_chain_gets_the_best_split(void **state)
{
    (void)state;
    for (uint32_t round = 0; round < 400; round++) {
        int n = 1 + (int)(round % 12);
        double cost[MOST_LAYERS];
        for (int i = 0; i < n; i++) { /* small integers give ties and zeros, fractions give rounding */
            uint32_t word = random_word(round, (uint32_t)i);
            cost[i] = round % 2 ? word % 7 : weir_rng_unit(word) / 3.0;
        }
        for (int k = 1; k <= n; k++)
            check_against_brute_force(cost, n, k);
    }
}

static void chains_of_20_layers_get_the_best_split(void **state)
{
    (void)state;
    double cost[MOST_LAYERS];
    for (uint32_t round = 0; round < 4; round++) {
        for (int i = 0; i < MOST_LAYERS; i++)
            cost[i] = random_word(1000 + round, (uint32_t)i) % 100;
        for (int k = 1; k <= 6; k++)
            check_against_brute_force(cost, MOST_LAYERS, k);
    }
}

static void a_long_chain_is_covered_and_no_split_is_below_the_bound(void **state)
{
    (void)state;
    enum { LAYERS = 100000, STAGES = 1024 };
    double *cost, total = 0;
    int *first;
    assert_ok(weir_alloc(LAYERS, sizeof *cost, &cost));
    assert_ok(weir_alloc(STAGES + 1, sizeof *first, &first));
    for (int i = 0; i < LAYERS; i++)
        total += cost[i] = 1 + weir_rng_unit(random_word(7, (uint32_t)i));
    assert_ok(weir_chain_split(cost, LAYERS, STAGES, first));
    assert_int_equal(first[0], 0);
    assert_int_equal(first[STAGES], LAYERS);
    for (int s = 0; s < STAGES; s++)
        assert_true(first[s] < first[s + 1]);
    double most = bottleneck(cost, first, STAGES);
    assert_true(most >= total / STAGES && most <= total / STAGES + 2);
    assert_ok(weir_chain_split(cost, LAYERS, 1, first));
    assert_true(bottleneck(cost, first, 1) == interval_cost(cost, 0, LAYERS));
    weir_free(first);
    weir_free(cost);
}

static void bad_chains_are_refused(void **state)
{
    (void)state;
    int first[8] = {42};
    const double cost[] = {1, 2, 3}, negative[] = {1, -2, 3}, infinite[] = {1, INFINITY, 3}, nan_cost[] = {NAN},
                 huge[] = {1e308, 1e308};
    assert_fails(weir_chain_split(cost, 3, 4, first), WEIR_ERR_NOFIT, "4 stages, but only 3 layers");
    assert_fails(weir_chain_split(cost, 3, 0, first), WEIR_ERR_INVALID, "at least 1");
    assert_fails(weir_chain_split(cost, 0, 1, first), WEIR_ERR_INVALID, "at least 1");
    assert_fails(weir_chain_split(negative, 3, 2, first), WEIR_ERR_INVALID, "layer 1 costs -2");
    assert_fails(weir_chain_split(infinite, 3, 2, first), WEIR_ERR_INVALID, "layer 1 costs inf");
    assert_fails(weir_chain_split(nan_cost, 1, 1, first), WEIR_ERR_INVALID, "layer 0 costs nan");
    assert_fails(weir_chain_split(huge, 2, 2, first), WEIR_ERR_INVALID, "larger unit");
    assert_int_equal(first[0], 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_short_chain_gets_the_best_split),
        cmocka_unit_test(chains_of_20_layers_get_the_best_split),
        cmocka_unit_test(a_long_chain_is_covered_and_no_split_is_below_the_bound),
        cmocka_unit_test(bad_chains_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
