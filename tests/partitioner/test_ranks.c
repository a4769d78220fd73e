/* Cuts for ranks with several stages, held to all cuts there are.   labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <string.h>

#include "include/weir/partition.h"
#include "partitioner/contiguous/ranks.h"

enum { MOST_LAYERS = 12, MOST_STAGES = 8 };

struct problem {
    double cost[MOST_LAYERS];
    int n_layers, n_stages, n_ranks, stage_rank[MOST_STAGES];
};

/* Back and forth over the ranks, as zbv has them, or from the first on each time. */
static void places_set(struct problem *p, int n_ranks, int n_chunks, bool waves)
{
    p->n_ranks = n_ranks;
    p->n_stages = n_ranks * n_chunks;
    for (int i = 0; i < p->n_stages; i++) {
        int at = i % n_ranks;
        p->stage_rank[i] = waves && i / n_ranks % 2 ? n_ranks - 1 - at : at;
    }
}

static double busiest(const struct problem *p, const int *cut, double *stage_out)
{
    double load[MOST_STAGES] = {0}, most = 0;
    *stage_out = 0;
    for (int i = 0; i < p->n_stages; i++) {
        double work = 0;
        for (int l = cut[i]; l < cut[i + 1]; l++)
            work += p->cost[l];
        load[p->stage_rank[i]] += work;
        *stage_out = fmax(*stage_out, work);
        most = fmax(most, load[p->stage_rank[i]]);
    }
    return most;
}

static double best_of_all(const struct problem *p, int *cut, int n)
{
    double best = INFINITY, stage;
    if (n == p->n_stages) {
        cut[n] = p->n_layers;
        return busiest(p, cut, &stage);
    }
    for (int l = n ? cut[n - 1] + 1 : 0; l <= (n ? p->n_layers - (p->n_stages - n) : 0); l++) {
        cut[n] = l;
        best = fmin(best, best_of_all(p, cut, n + 1));
    }
    return best;
}

static void the_example_of_the_header(void **state)
{
    (void)state;
    struct problem p = {.cost = {4, 1, 1, 1, 1, 1, 1, 2}, .n_layers = 8};
    const int right[] = {0, 1, 4, 7, 8};
    int cut[] = {0, 1, 3, 5, 8};
    bool is_better = false;
    places_set(&p, 2, 2, true);
    assert_ok(weir_chain_even_ranks(p.cost, 8, 4, p.stage_rank, 2, cut, &is_better));
    assert_true(is_better);
    assert_memory_equal(cut, right, sizeof right);
    assert_ok(weir_chain_even_ranks(p.cost, 8, 4, p.stage_rank, 2, cut, &is_better));
    assert_false(is_better);
    assert_memory_equal(cut, right, sizeof right);
}

/* The local search is no exact one: of 400 problems it finds the best of all cuts in most. */
static void the_busiest_rank_is_near_the_best_of_all_cuts(void **state)
{
    (void)state;
    uint64_t seed = 11;
    int n = 0, n_best = 0;
    double worst = 1;
    for (int turn = 0; turn < 400; turn++) {
        struct problem p = {.n_layers = 0};
        int cut[MOST_STAGES + 1], all[MOST_STAGES + 1], before[MOST_STAGES + 1];
        double stage;
        bool is_better;
        places_set(&p, 2 + turn % 2, 2, turn % 4 < 2);
        p.n_layers = p.n_stages + turn % (MOST_LAYERS + 1 - p.n_stages);
        for (int l = 0; l < p.n_layers; l++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            p.cost[l] = 1 + (double)(seed >> 60) * (l == 0 || l == p.n_layers - 1 ? 2 : 0.5);
        }
        assert_ok(weir_chain_split(p.cost, p.n_layers, p.n_stages, cut));
        memcpy(before, cut, sizeof cut);
        double first = busiest(&p, before, &stage);
        assert_ok(weir_chain_even_ranks(p.cost, p.n_layers, p.n_stages, p.stage_rank, p.n_ranks, cut, &is_better));
        double found = busiest(&p, cut, &stage), best = best_of_all(&p, all, 0);
        assert_true(cut[0] == 0 && cut[p.n_stages] == p.n_layers);
        assert_true(found <= first * (1 + 1e-9) && is_better == (found < first * (1 - 1e-3)));
        assert_true(found >= best * (1 - 1e-9));
        n_best += found <= best * (1 + 1e-9);
        worst = fmax(worst, found / best);
        n++;
    }
    print_message("%d of %d the best of all cuts, the worst %.1f %% above\n", n_best, n, 100 * (worst - 1));
    assert_true(n == 400 && n_best >= 370 && worst < 1.35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_the_header),
        cmocka_unit_test(the_busiest_rank_is_near_the_best_of_all_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
