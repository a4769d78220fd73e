/* Placing ranks on devices: against every order there is, and on machines whose best placement is known.
 * labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "partitioner/topology/arrange.h"

static const char *const files[] = {
    "hwloc/nvidiaDGX2.xml", "hwloc/power8gpudistances.xml", "hwloc/32em64t-2n8c2t-pci-wholeio.xml", "nccl/aws-p4d-24xl-topo.xml",
    "nccl/azure-ndv4-topo.xml", "nccl/dump-8xRTX3090-PLX-1xIB56G.xml", "rccl/topo_4p3l.xml", "rccl/topo_8p6l.xml", "rccl/topo_4p3l_n4.xml",
    "rccl/topo_8p_rome_n2_1.xml", "rccl/topo_8p_940.xml", "rccl/topo_8p_ts1_n4_2.xml", "nccl/alibaba-rtp-llm-8xPCIeGPU-CX8.xml",
};

enum { N_FILES = sizeof files / sizeof files[0], MOST = 16 };

static const char *path_of(const char *file)
{
    static char path[1200];
    const char *data = getenv("WEIR_TEST_DATA");
    snprintf(path, sizeof path, "%s/reference/topologies/%s", data ? data : "", file);
    return path;
}

static void files_needed(void)
{
    FILE *file = fopen(path_of("README.md"), "r");
    if (!file) {
        print_message("skipped: WEIR_TEST_DATA has no reference/topologies\n");
        skip();
    }
    fclose(file);
}

/* Every row of n_ranks of the devices. */
static double cheapest(const struct weir_topology *t, const struct weir_traffic *traffic, int *row, bool *used, int rank, int n_ranks)
{
    double least = INFINITY;
    if (rank == n_ranks)
        return weir_place_cost(t, traffic, row, n_ranks);
    for (int i = 0; i < t->n_devices; i++) {
        if (used[i])
            continue;
        used[i] = true;
        row[rank] = i;
        least = fmin(least, cheapest(t, traffic, row, used, rank + 1, n_ranks));
        used[i] = false;
    }
    return least;
}

static void assert_as_cheap(const struct weir_topology *t, int n_ranks, bool wraps)
{
    struct weir_traffic traffic = {.transfer_bytes = 1e9, .n_transfers = 16, .wraps = wraps};
    int row[MOST], devices[MOST];
    bool used[MOST] = {false};
    for (int i = 0; i < t->n_devices; i++)
        devices[i] = i;
    double least = cheapest(t, &traffic, row, used, 0, n_ranks);
    weir_place(t, &traffic, devices, t->n_devices, n_ranks);
    double own = weir_place_cost(t, &traffic, devices, n_ranks);
    if (own > least * (1 + 1e-9))
        fail_msg("%d ranks on %s: %g s, every order tried %g s", n_ranks, t->source, own, least);
}

static void test_a_placement_is_as_cheap_as_the_best_of_all_orders(void **state)
{
    (void)state;
    files_needed();
    for (int f = 0; f < N_FILES; f++) {
        struct weir_arena arena = {0};
        struct weir_topology t;
        assert_ok(weir_topology_read(path_of(files[f]), &arena, &t));
        for (int n = 2; n <= 8 && n <= t.n_devices; n++) /* 16 devices: up to 5 ranks, or every order takes minutes */
            if (t.n_devices <= 8 || n <= 5) {
                assert_as_cheap(&t, n, false);
                assert_as_cheap(&t, n, true);
            }
        weir_arena_release(&arena);
    }
}

/* GPUs 4 to 7 of each node share a switch with the one network card. */
static void test_the_stage_that_sends_to_the_other_node_is_next_to_its_network_card(void **state)
{
    static const int ranks[] = {16, 8};
    struct weir_arena arena = {0};
    struct weir_topology t;
    const struct weir_traffic traffic = {.transfer_bytes = 1e9, .n_transfers = 64};
    char two[2600];
    (void)state;
    files_needed();
    snprintf(two, sizeof two, "2*%s", path_of("nccl/dump-8xRTX3090-PLX-1xIB56G.xml"));
    assert_ok(weir_topology_read(two, &arena, &t));
    struct weir_arrangement a;
    assert_ok(weir_arrange(&t, &traffic, ranks[0], 1, &arena, &a));
    int n_crossing = 0;
    for (int r = 0; r + 1 < ranks[0]; r++)
        if (a.device_of[r] / 8 != a.device_of[r + 1] / 8) {
            n_crossing++;
            assert_true(a.device_of[r] % 8 >= 4 && a.device_of[r + 1] % 8 >= 4);
        }
    assert_int_equal(n_crossing, 1);
    assert_ok(weir_arrange(&t, &traffic, ranks[1], 1, &arena, &a)); /* that fits into one node: no network at all */
    for (int r = 0; r + 1 < ranks[1]; r++)
        assert_int_equal(a.device_of[r] / 8, a.device_of[r + 1] / 8);
    assert_ok(weir_arrange(&t, &(struct weir_traffic){.transfer_bytes = 1e6, .n_transfers = 64, .reduce_bytes = 1e9}, 8, 2, &arena, &a));
    assert_true(a.replicas_together);
    for (int i = 0; i < 16; i++)
        if (i % 8 != 7 && a.device_of[i] / 8 != a.device_of[i + 1] / 8)
            assert_true(a.device_of[i] % 8 >= 4 && a.device_of[i + 1] % 8 >= 4);
    weir_arena_release(&arena);
}

static void test_heavy_reductions_go_over_fast_links_and_heavy_boundaries_too(void **state)
{
    struct weir_arena arena = {0};
    struct weir_topology t;
    struct weir_arrangement a;
    (void)state;
    assert_ok(weir_topology_read("4 nodes x 4, 100GB/s, 10GB/s, 1us", &arena, &t));
    assert_ok(weir_arrange(&t, &(struct weir_traffic){.transfer_bytes = 1e6, .n_transfers = 8, .reduce_bytes = 1e9}, 4, 4, &arena, &a));
    assert_true(a.replicas_together);
    assert_float_equal(a.ring.bandwidth, 100e9, 1);
    assert_float_equal(a.to_next[0].bandwidth, 2.5e9, 1); /* four boundaries share a node's link */
    assert_ok(weir_arrange(&t, &(struct weir_traffic){.transfer_bytes = 1e9, .n_transfers = 8, .reduce_bytes = 1e6}, 4, 4, &arena, &a));
    assert_false(a.replicas_together);
    assert_float_equal(a.to_next[0].bandwidth, 100e9, 1);
    assert_float_equal(a.ring.bandwidth, 2.5e9, 1); /* four rings do */
    weir_arena_release(&arena);
}

static void test_slow_devices_stay_out_where_there_are_enough(void **state)
{
    struct weir_arena arena = {0};
    struct weir_topology t;
    struct weir_arrangement a;
    const struct weir_traffic traffic = {.transfer_bytes = 1e6, .n_transfers = 8};
    (void)state;
    assert_ok(weir_topology_read("1 node x 2 speed 0.5 + 1 node x 2 with 24GiB, 10GB/s, 1GB/s", &arena, &t));
    assert_ok(weir_arrange(&t, &traffic, 2, 1, &arena, &a));
    assert_true(a.device_of[0] >= 2 && a.device_of[1] >= 2 && a.speed[0] == 1 && a.memory[1] == 24 * 0x1p30);
    assert_ok(weir_arrange(&t, &traffic, 4, 1, &arena, &a));
    assert_true(a.speed[0] == 0.5 && a.speed[3] == 1);
    assert_fails(weir_arrange(&t, &traffic, 4, 2, &arena, &a), WEIR_ERR_USAGE, "more than 4 devices");
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_placement_is_as_cheap_as_the_best_of_all_orders),
        cmocka_unit_test(test_the_stage_that_sends_to_the_other_node_is_next_to_its_network_card),
        cmocka_unit_test(test_heavy_reductions_go_over_fast_links_and_heavy_boundaries_too),
        cmocka_unit_test(test_slow_devices_stay_out_where_there_are_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
