/* Which cores and GPUs the ranks of a host get.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/replace.h"
#include "base/text.h"
#include "base/alloc.h"
#include "engine/device/device.h"
#include "engine/device/placement/placement_cores.h"
#include "weir_libraries.h"

/* ---- the order of cores, without hwloc ------------------------------------------------------------------------------- */

static void whole_ranks_are_cut_from_each_part_first(void **state)
{
    (void)state;
    static const int near[12] = {0, 2, 2, 1, 2, 2, 0, 2, 2, 1, 2, 2}; /* the drawing of the header */
    static const struct {
        int n_threads, order[12];
    } rows[] = {
        {1, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}, {2, {0, 1, 3, 4, 2, 5, 6, 7, 9, 10, 8, 11}},
        {3, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}, {4, {0, 1, 2, 3, 6, 7, 8, 9, 4, 5, 10, 11}},
        {5, {0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 5, 11}}, {12, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
        {99, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int order[12], scratch[12];
        weir_placement_cores_order(near, 12, rows[i].n_threads, order, scratch);
        for (int k = 0; k < 12; k++)
            if (order[k] != rows[i].order[k])
                fail_msg("%d threads: place %d is core %d, not %d", rows[i].n_threads, k, order[k], rows[i].order[k]);
    }
}

/* Depth of the smallest part that holds both cores a < b. */
static int common(const int *near, int a, int b)
{
    int depth = near[a + 1];
    for (int i = a + 2; i <= b; i++)
        depth = near[i] < depth ? near[i] : depth;
    return depth;
}

/* Ranks that lie within a part of their own, at this depth or deeper. */
static int ranks_within(const int *near, const int *order, int n, int t, int depth)
{
    int within = 0;
    for (int first = 0; first + t <= n; first += t) {
        bool good = true;
        for (int i = 1; i < t; i++) {
            int a = order[first], b = order[first + i];
            good = good && common(near, a < b ? a : b, a < b ? b : a) >= depth;
        }
        within += good;
    }
    return within;
}

/* The most that any order can have: each part of that depth gives room/t. */
static int most_within(const int *near, int n, int t, int depth)
{
    int most = 0, room = 1;
    for (int i = 1; i <= n; i++, room++)
        if (i == n || near[i] < depth) {
            most += room / t;
            room = 0;
        }
    return most;
}

static void no_order_keeps_more_ranks_together(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 2000; round++) {
        int near[40], order[40], scratch[40], n = 1 + rand() % 40, t = 1 + rand() % 6;
        bool seen[40] = {false};
        for (int i = 0; i < n; i++)
            near[i] = rand() % 5;
        weir_placement_cores_order(near, n, t, order, scratch);
        for (int i = 0; i < n; i++) {
            assert_in_range(order[i], 0, n - 1);
            assert_false(seen[order[i]]);
            seen[order[i]] = true;
        }
        for (int depth = 0; depth < 5 && t > 1; depth++)
            assert_int_equal(ranks_within(near, order, n, t, depth), most_within(near, n, t, depth));
    }
}

/* ---- machines -------------------------------------------------------------------------------------------------------- */

static struct weir_arena arena;

static int arena_clear(void **state)
{
    (void)state;
    weir_arena_release(&arena);
    return 0;
}

/* "0,1 2,3*": the cores of each rank, '*' where they are shared with others. */
static const char *cores_text(const struct weir_machine *machine, int n_ranks, int n_threads, bool gpus)
{
    static char text[512];
    struct weir_spots spots;
    size_t at = 0;
    assert_ok(weir_placement_spots(machine, n_ranks, n_threads, gpus, &arena, &spots));
    assert_int_equal(spots.n, n_ranks);
    for (int i = 0; i < n_ranks; i++)
        for (int k = 0; k < spots.spots[i].n_cores; k++)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%d", k ? "," : i ? " " : "",
                                   machine->cores[spots.spots[i].cores[k]].number);
    snprintf(text + at, sizeof text - at, "%s", spots.cores_shared ? "*" : "");
    return text;
}

static void hwloc_needed(void)
{
    if (WEIR_HAVE_HWLOC)
        return;
    print_message("skipped: this build has no hwloc\n");
    skip();
}

static void synthetic_machines_are_dealt_out(void **state)
{
    (void)state;
    static const struct {
        const char *sentence, *machine;
        int n_ranks, n_threads;
        const char *cores;
    } rows[] = {
        {"one core", "core:1 pu:1", 1, 1, "0"},
        {"one core for three ranks", "core:1 pu:1", 3, 1, "0 0 0*"},
        {"one core for more threads", "core:1 pu:2", 2, 4, "0 0*"},
        {"hardware threads without cores", "pu:4", 2, 2, "0,1 2,3"},
        {"a core for each", "pack:2 numa:1 core:4 pu:2", 8, 1, "0 1 2 3 4 5 6 7"},
        {"fewer ranks than cores stay together", "pack:2 numa:1 core:4 pu:2", 2, 1, "0 1"},
        {"no rank straddles packages while it need not", "pack:2 numa:1 core:4 pu:2", 2, 3, "0,1,2 4,5,6"},
        {"the third takes what is left, then shares", "pack:2 numa:1 core:4 pu:2", 3, 3, "0,1,2 4,5,6 3,7,0*"},
        {"odd parts", "pack:1 l3:2 core:3 pu:1", 3, 2, "0,1 3,4 2,5"},
        {"three packages of five", "pack:3 core:5 pu:1", 7, 2, "0,1 2,3 5,6 7,8 4,9 10,11 12,13"},
        {"more ranks than cores go round", "pack:1 core:3 pu:1", 5, 1, "0 1 2 0 1*"},
        {"more threads than cores go round", "pack:1 core:3 pu:1", 3, 2, "0,1 2,0 1,2*"},
        {"NUMA nodes within packages", "pack:2 group:2 numa:1 core:2 pu:1", 4, 2, "0,1 2,3 4,5 6,7"},
    };
    hwloc_needed();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_machine machine = {0};
        if (weir_machine_read(rows[i].machine, &arena, &machine))
            fail_msg("%s: %s", rows[i].sentence, weir_last_error());
        const char *cores = cores_text(&machine, rows[i].n_ranks, rows[i].n_threads, true);
        if (strcmp(cores, rows[i].cores) != 0)
            fail_msg("%s: %s, not %s", rows[i].sentence, cores, rows[i].cores);
    }
}

static void cores_know_their_places(void **state)
{
    (void)state;
    struct weir_machine machine = {0};
    hwloc_needed();
    assert_ok(weir_machine_read("pack:2 numa:1 core:4 pu:2", &arena, &machine));
    assert_int_equal(machine.n_cores, 8);
    assert_int_equal(machine.n_gpus, 0);
    for (int i = 0; i < 8; i++) {
        const struct weir_machine_core *core = &machine.cores[i];
        assert_int_equal(core->number, i);
        assert_int_equal(core->package, i / 4);
        assert_int_equal(core->numa, i / 4);
        assert_int_equal(core->n_cpus, 2);
        assert_int_equal(core->cpus[1], 2 * i + 1);
        assert_true(i == 0 || i == 4 || core->near > machine.cores[4].near);
    }
}

static void this_machine_has_the_cores_of_the_device(void **state)
{
    (void)state;
    struct weir_machine machine = {0};
    hwloc_needed();
    if (weir_machine_read(NULL, &arena, &machine)) {
        print_message("skipped: %s\n", weir_last_error());
        skip();
    }
    assert_int_equal(machine.n_cores, weir_cpu_cores());
}

static void a_bad_topology_is_named(void **state)
{
    (void)state;
    struct weir_machine machine = {.n_cores = -7};
    const char *path = testing_path("ill.xml");
    if (!WEIR_HAVE_HWLOC) {
        assert_fails(weir_machine_read("core:4", &arena, &machine), WEIR_ERR_UNSUPPORTED, "this build has no hwloc");
        return;
    }
    assert_ok(weir_file_write(path, "<topology><object", 17));
    assert_fails(weir_machine_read("pack:two", &arena, &machine), WEIR_ERR_INVALID, "'pack:two' is no topology");
    assert_fails(weir_machine_read("none.xml", &arena, &machine), WEIR_ERR_IO, "topology: cannot open 'none.xml'");
    assert_fails(weir_machine_read(path, &arena, &machine), WEIR_ERR_INVALID, "ill.xml' is no topology");
    assert_int_equal(machine.n_cores, -7);
    struct weir_spots spots;
    machine = (struct weir_machine){0};
    assert_fails(weir_placement_spots(&machine, 1, 1, true, &arena, &spots), WEIR_ERR_INVALID, "on 0 cores");
}

/* ---- recorded machines ------------------------------------------------------------------------------------------------ */

/* Files of hwloc 3 differ in what is not asked here; hwloc 2 reads them under its own number. */
static bool recorded_read(const char *name, struct weir_machine *out)
{
    char path[128], *text, *version;
    size_t bytes;
    snprintf(path, sizeof path, "reference/topologies/hwloc/%s", name);
    hwloc_needed();
    const char *file = testing_data_path(path);
    if (!file)
        return false;
    assert_ok(weir_file_read(file, 1 << 24, &text, &bytes));
    version = strstr(text, "<topology version=\"3.0\"");
    if (version)
        version[strlen("<topology version=\"")] = '2';
    assert_ok(weir_file_write(testing_path(name), text, bytes));
    weir_free(text);
    assert_ok(weir_machine_read(testing_path(name), &arena, out));
    return true;
}

static void recorded_machines_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int n_cores, n_gpus; /* counted in the files: screens, and cards that only OpenCL knows, are none */
        const char *first;
    } rows[] = {
        {"32em64t-2n8c2t-pci-wholeio.xml", 16, 3, "0000:03:00.0"}, {"40intel64-2g2n4c+pcilocality.xml", 40, 0, ""},
        {"96em64t-4n4d3ca2co-pci.xml", 96, 0, ""},                 {"nvidia-dgx-gb10.xml", 20, 0, ""},
        {"nvidiaDGX2.xml", 4, 16, "0000:34:00.0"},                 {"power8gpudistances.xml", 8, 4, "0002:01:00.0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct weir_machine machine = {0};
        if (!recorded_read(rows[i].name, &machine))
            skip();
        if (machine.n_cores != rows[i].n_cores || machine.n_gpus != rows[i].n_gpus)
            fail_msg("%s: %d cores and %d GPUs", rows[i].name, machine.n_cores, machine.n_gpus);
        assert_string_equal(machine.n_gpus ? machine.gpus[0].address : "", rows[i].first);
    }
}

/* Eight GPUs hang on each package: ranks 0..7 on the first, 8..15 on the second, with cores beside them while there are. */
static void ranks_get_the_cores_beside_their_gpus(void **state)
{
    (void)state;
    struct weir_machine machine = {0};
    struct weir_spots spots;
    if (!recorded_read("nvidiaDGX2.xml", &machine))
        skip();
    assert_ok(weir_placement_spots(&machine, 16, 1, true, &arena, &spots));
    assert_true(spots.cores_shared);
    assert_false(spots.gpus_shared);
    bool seen[16] = {false};
    for (int i = 0; i < 16; i++) {
        const struct weir_spot *spot = &spots.spots[i];
        assert_false(seen[spot->gpu]);
        seen[spot->gpu] = true;
        assert_int_equal(machine.gpus[spot->gpu].first_core, i < 8 ? 0 : 2);
        assert_int_equal(machine.gpus[spot->gpu].n_cores, 2);
    }
    assert_ok(weir_placement_spots(&machine, 17, 1, true, &arena, &spots));
    assert_true(spots.gpus_shared);
    assert_ok(weir_placement_spots(&machine, 2, 1, false, &arena, &spots));
    assert_int_equal(spots.spots[0].gpu, -1);
}

/* A spot's first core is beside its GPU, whichever GPU comes first, while cores are free there. */
static void a_gpu_draws_its_rank_to_its_package(void **state)
{
    (void)state;
    static const struct weir_machine_core cores[4] = {{.number = 0}, {1, 1, 0, 0, 0, 0}, {2, 0, 0, 0, 0, 0}, {3, 1, 0, 0, 0, 0}};
    static const struct weir_machine_gpu gpus[3] = {{"a", "", 2, 2}, {"b", "", 0, 2}, {"c", "", 2, 2}};
    static const int64_t links[9] = {9, 1, 5, 1, 9, 1, 5, 1, 9}; /* a and c are close */
    const struct weir_machine machine = {4, 3, cores, gpus, links};
    struct weir_spots spots;
    assert_ok(weir_placement_spots(&machine, 3, 1, true, &arena, &spots));
    static const int gpu[3] = {0, 2, 1}, core[3] = {2, 3, 0};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(spots.spots[i].gpu, gpu[i]);
        assert_int_equal(spots.spots[i].cores[0], core[i]);
    }
}

/* NVLink joins GPUs in pairs on each package. */
static void neighbours_have_the_fastest_link(void **state)
{
    (void)state;
    struct weir_machine machine = {0};
    struct weir_spots spots;
    if (!recorded_read("power8gpudistances.xml", &machine))
        skip();
    assert_ok(weir_placement_spots(&machine, 4, 2, true, &arena, &spots));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(spots.spots[i].gpu, i);
        assert_int_equal(machine.cores[spots.spots[i].cores[0]].package, i / 2);
        assert_int_equal(machine.cores[spots.spots[i].cores[1]].package, i / 2);
    }
    assert_true(machine.gpu_links[0 * 4 + 1] > machine.gpu_links[0 * 4 + 2]);
    assert_true(machine.gpu_links[2 * 4 + 3] > machine.gpu_links[1 * 4 + 2]);
}

/* ---- slots ----------------------------------------------------------------------------------------------------------- */

static void slots_go_by_replica_and_rank(void **state)
{
    (void)state;
    const struct weir_placement_grid cluster = {2, 4, WEIR_PLACEMENT_CLUSTER}, spread = {2, 4, WEIR_PLACEMENT_SPREAD};
    static const int all[8] = {0, 1, 2, 3, 4, 5, 6, 7}, some[4] = {5, 0, 1, 4};
    static const int by_pipeline[8] = {0, 2, 4, 6, 1, 3, 5, 7}, of_some[4] = {3, 0, 2, 1};
    for (int i = 0; i < 8; i++) {
        assert_int_equal(weir_placement_slot(&cluster, all, 8, i), i);
        assert_int_equal(weir_placement_slot(&spread, all, 8, i), by_pipeline[i]);
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(weir_placement_slot(&spread, some, 4, i), of_some[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_ranks_are_cut_from_each_part_first),
        cmocka_unit_test(no_order_keeps_more_ranks_together),
        cmocka_unit_test_teardown(synthetic_machines_are_dealt_out, arena_clear),
        cmocka_unit_test_teardown(cores_know_their_places, arena_clear),
        cmocka_unit_test_teardown(this_machine_has_the_cores_of_the_device, arena_clear),
        cmocka_unit_test_teardown(a_bad_topology_is_named, arena_clear),
        cmocka_unit_test_teardown(recorded_machines_are_read, arena_clear),
        cmocka_unit_test_teardown(ranks_get_the_cores_beside_their_gpus, arena_clear),
        cmocka_unit_test_teardown(a_gpu_draws_its_rank_to_its_package, arena_clear),
        cmocka_unit_test_teardown(neighbours_have_the_fastest_link, arena_clear),
        cmocka_unit_test(slots_go_by_replica_and_rank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
