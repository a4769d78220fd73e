/* Which process plays which part of a run.   labels: pure */
#include "tests/support/testing.h"

#include "engine/device/placement/placement.h"

static void place_and_world_rank_undo_each_other(void **state)
{
    (void)state;
    for (int order = WEIR_PLACEMENT_CLUSTER; order <= WEIR_PLACEMENT_SPREAD; order++)
        for (int p = 1; p <= 8; p++)
            for (int d = 1; d <= 8; d++) {
                const struct weir_placement_grid grid = {p, d, (enum weir_placement_order)order};
                bool seen[8][8] = {{false}};
                for (int world = 0; world < p * d; world++) {
                    struct weir_seat place = weir_placement_place(&grid, world);
                    assert_in_range(place.replica, 0, d - 1);
                    assert_in_range(place.rank, 0, p - 1);
                    assert_false(seen[place.replica][place.rank]);
                    seen[place.replica][place.rank] = true;
                    assert_int_equal(weir_placement_world_rank(&grid, place), world);
                }
            }
}

/* SageMaker's documentation: 8 processes in pipelines of 2 are [0,1][2,3].. under cluster, [0,4][1,5].. under spread. */
static void cluster_and_spread_are_the_published_ones(void **state)
{
    (void)state;
    const struct weir_placement_grid cluster = {2, 4, WEIR_PLACEMENT_CLUSTER}, spread = {2, 4, WEIR_PLACEMENT_SPREAD};
    for (int replica = 0; replica < 4; replica++)
        for (int rank = 0; rank < 2; rank++) {
            const struct weir_seat place = {replica, rank};
            assert_int_equal(weir_placement_world_rank(&cluster, place), 2 * replica + rank);
            assert_int_equal(weir_placement_world_rank(&spread, place), replica + 4 * rank);
        }
}

static void a_wrong_number_of_processes_names_all_numbers(void **state)
{
    (void)state;
    struct weir_placement_grid grid = {4, 2, WEIR_PLACEMENT_CLUSTER};
    assert_ok(weir_placement_grid_check(&grid, 8));
    assert_fails(weir_placement_grid_check(&grid, 6), WEIR_ERR_USAGE,
                 "2 replicas of 4 ranks need 8 processes, 6 were started");
    grid.n_replicas = 0;
    assert_fails(weir_placement_grid_check(&grid, 6), WEIR_ERR_USAGE, "replica count is 0");
    grid = (struct weir_placement_grid){1 << 20, 1 << 20, WEIR_PLACEMENT_CLUSTER};
    assert_fails(weir_placement_grid_check(&grid, 6), WEIR_ERR_USAGE, "need 1099511627776 processes");
}

static void orders_have_names(void **state)
{
    (void)state;
    enum weir_placement_order order = WEIR_PLACEMENT_CLUSTER;
    assert_ok(weir_placement_order_find("spread", &order));
    assert_int_equal(order, WEIR_PLACEMENT_SPREAD);
    assert_string_equal(weir_placement_order_str(order), "spread");
    assert_fails(weir_placement_order_find("clutser", &order), WEIR_ERR_USAGE, "did you mean 'cluster'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(place_and_world_rank_undo_each_other),
        cmocka_unit_test(cluster_and_spread_are_the_published_ones),
        cmocka_unit_test(a_wrong_number_of_processes_names_all_numbers),
        cmocka_unit_test(orders_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
