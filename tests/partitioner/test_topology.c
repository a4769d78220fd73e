/* Topologies: the text form, machines' XML, and ways between devices.
 * labels: pure */
#include "tests/support/testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "partitioner/topology/topology_tree.h"

static struct weir_topology read_of(const char *source, struct weir_arena *arena)
{
    struct weir_topology topology;
    assert_ok(weir_topology_read(source, arena, &topology));
    return topology;
}

static void assert_way(const struct weir_topology *t, int a, int b, double gb_per_s, double us)
{
    struct weir_topology_path there = weir_topology_path(t, a, b), back = weir_topology_path(t, b, a);
    assert_float_equal(there.bandwidth, gb_per_s * 1e9, 1e6);
    assert_float_equal(there.latency, us * 1e-6, 1e-9);
    assert_true(there.bandwidth == back.bandwidth && there.latency == back.latency);
}

static void test_a_text_has_rates_by_level(void **state)
{
    struct weir_arena arena = {0};
    struct weir_topology t = read_of("2 nodes x 8, 400GB/s inside, 50GB/s between, 5us", &arena);
    (void)state;
    assert_int_equal(t.n_devices, 16);
    assert_int_equal(t.n_nodes, 2);
    assert_way(&t, 0, 7, 400, 5);
    assert_way(&t, 7, 8, 50, 5);
    t = read_of("2 racks x 3 nodes x 4 GPUs, 900GB/s, 400Gb/s, 100Gb/s, 1us, 4us, 10us", &arena);
    assert_int_equal(t.n_devices, 24);
    assert_way(&t, 0, 3, 900, 1);
    assert_way(&t, 3, 4, 50, 4);
    assert_way(&t, 11, 12, 12.5, 10);
    t = read_of("1 node x 2 with 24GiB + 1 node x 3 with 80G speed 2.5, 10GB/s, 1GB/s", &arena);
    assert_int_equal(t.n_devices, 5);
    assert_true(t.devices[1].memory == 24 * 0x1p30 && t.devices[1].speed == 1);
    assert_true(t.devices[2].memory == 80e9 && t.devices[2].speed == 2.5);
    t = read_of("4, 20GB/s", &arena);
    assert_way(&t, 0, 3, 20, 0);
    weir_arena_release(&arena);
}

static void test_a_text_that_is_not_understood_is_refused_with_its_place(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"2 nodes x 8", "each level needs a rate"},
        {"2 nodes x 8, 400GB/s", "each level needs a rate"},
        {"2 x 8, 4GB/s, 5GB/s, 6GB/s", "more rates than levels"},
        {"2 x 8, 4GB, 5GB/s", "a rate in B/s"},
        {"2 x 8, 4", "a rate in B/s"},
        {"2 x 0, 4GB/s, 5GB/s", "a number above 0"},
        {"2.5 x 8, 4GB/s, 5GB/s", "a whole number"},
        {"2 x 8 + 4, 4GB/s, 5GB/s", "same number of levels"},
        {"2 x 8, 4GB/s, 5GB/s, 1us, 2us, 3us", "more latencies"},
        {"3 x 2 x 8, 4GB/s, 5GB/s, 6GB/s, 1us, 2us", "one latency, or one for each level"},
        {"2 x 8, 4GB/s, 5GB/s; 7", "not understood"},
        {"65536 x 65536, 4GB/s, 5GB/s", "at most 65536 devices"},
        {"1 x 1 x 1 x 1 x 1 x 1 x 1, 1GB/s", "too many levels"},
    };
    struct weir_arena arena = {0};
    struct weir_topology t;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_fails(weir_topology_read(rows[i].text, &arena, &t), WEIR_ERR_INVALID, rows[i].says);
    assert_fails(weir_topology_read("", &arena, &t), WEIR_ERR_INVALID, "empty");
    assert_fails(weir_topology_read("nowhere.xml", &arena, &t), WEIR_ERR_IO, "nowhere.xml");
    assert_fails(weir_topology_read("2*nowhere.xml,b.xml", &arena, &t), WEIR_ERR_IO, "nowhere.xml");
    weir_arena_release(&arena);
}

#define SMALL                                                                                                          \
    "<system version=\"1\">\n<cpu numaid=\"0\" arch=\"x86_64\" vendor=\"AuthenticAMD\">\n"                             \
    "<pci busid=\"a\" class=\"0x030200\" link_speed=\"8 GT/s\" link_width=\"16\"><gpu dev=\"0\" sm=\"80\">"            \
    "<nvlink target=\"b\" count=\"2\" tclass=\"0x030200\"/></gpu></pci></cpu>\n<cpu numaid=\"1\" vendor=\"AuthenticAMD\">" \
    "<pci busid=\"b\" class=\"0x030200\" link_speed=\"8 GT/s\" link_width=\"16\"/>"                                    \
    "<pci busid=\"c\" class=\"0x030200\" link_speed=\"2.5 GT/s\" link_width=\"4\"/>"                                   \
    "<nic><net name=\"eth&amp;0\" speed=\"10000\"/></nic></cpu>\n</system>\n"

static void test_direct_links_count_before_the_tree(void **state)
{
    struct weir_arena arena = {0};
    struct weir_topology t;
    (void)state;
    assert_ok(weir_topology_nccl_parse(SMALL, "small", &arena, &t));
    assert_int_equal(t.n_devices, 3);
    assert_way(&t, 0, 1, 40, 1);     /* two links */
    assert_way(&t, 0, 2, 0.75, 4);   /* PCI of an old generation, four lanes */
    assert_string_equal(t.parts[t.card_of[0]].name, "eth&0");
    weir_arena_release(&arena);
}

static void test_xml_that_is_not_well_formed_is_refused_with_its_line(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "text where an element"},
        {"<system>", "line 1: an element has no end"},
        {"<system>\n<cpu></system>", "line 2: an end tag of another element"},
        {"<system a=\"1\" a=\"2\"/>", "twice"},
        {"<system a=1/>", "quotes"},
        {"<system a=\"&what;\"/>", "stands for nothing known"},
        {"<system/><system/>", "behind the first element"},
        {"<system><!-- </system>", "a comment has no end"},
        {"<!DOCTYPE a [<!ENTITY b \"c\">]><system/>", "definitions"},
        {"<system>word<cpu/></system>", "text beside elements"},
        {"<other/>", "begins with <other>"},
        {"<system/>", "no devices"},
        {"<system><cpu><pci busid=\"a\"/></cpu></system>", "does not say which of its 1 PCI entries are GPUs"},
    };
    struct weir_arena arena = {0};
    struct weir_topology t;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_fails(weir_topology_nccl_parse(rows[i].text, "some.xml", &arena, &t), WEIR_ERR_INVALID, rows[i].says);
    weir_arena_release(&arena);
}

/* ---- files that machines wrote ---------------------------------------------------------------------------------------- */

static const char *folder(void)
{
    static char path[1024];
    const char *data = getenv("WEIR_TEST_DATA");
    snprintf(path, sizeof path, "%s/reference/topologies", data ? data : "");
    return path;
}

static const char *file_of(const char *name)
{
    static char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder(), name);
    return path;
}

static bool has_files(void)
{
    FILE *file = fopen(file_of("README.md"), "r");
    if (file)
        fclose(file);
    return file != NULL;
}

static void files_missing(void)
{
    print_message("skipped: WEIR_TEST_DATA has no reference/topologies\n");
    skip();
}

static void test_files_of_machines_are_read_or_refused_by_name(void **state)
{
    static const struct {
        const char *file;
        int n_devices; /* 0: refused */
        const char *says;
    } rows[] = {
        {"hwloc/32em64t-2n8c2t-pci-wholeio.xml", 4, NULL},
        {"hwloc/40intel64-2g2n4c+pcilocality.xml", 40, NULL},
        {"hwloc/96em64t-4n4d3ca2co-pci.xml", 96, NULL},
        {"hwloc/nvidia-dgx-gb10.xml", 20, NULL},
        {"hwloc/nvidiaDGX2.xml", 16, NULL},
        {"hwloc/power8gpudistances.xml", 4, NULL},
        {"hwloc/nvidiagpunumanodes.console", 0, "the text that lstopo prints"},
        {"nccl/alibaba-rtp-llm-8xPCIeGPU-CX8.xml", 8, NULL},
        {"nccl/aws-g5.48xl-topo.xml", 0, "does not say which of its 9 PCI entries"},
        {"nccl/aws-p4d-24xl-topo.xml", 8, NULL},
        {"nccl/azure-ncv4-graph.xml", 0, "NCCL's graphs"},
        {"nccl/azure-ncv4-topo.xml", 4, NULL},
        {"nccl/azure-ndv2-topo.xml", 8, NULL},
        {"nccl/azure-ndv4-topo.xml", 8, NULL},
        {"nccl/azure-ndv5-topo.xml", 8, NULL},
        {"nccl/dump-8xRTX3090-PLX-1xIB56G.xml", 8, NULL},
        {"rccl/topo_4p3l.xml", 4, NULL},
        {"rccl/topo_8p6l.xml", 8, NULL},
        {"rccl/topo_8p_940.xml", 8, NULL},
        {"rccl/topo_16p1h.xml", 16, NULL},
        {"starpu/idgraf.bandwidth", 0, "a measured bus of StarPU"},
        {"starpu/idgraf.affinity", 0, "a table of StarPU"},
        {"starpu/idgraf.config", 0, "a configuration of StarPU"},
        {"starpu/idgraf.platform.xml", 0, "a platform of SimGrid"},
    };
    struct weir_arena arena = {0};
    struct weir_topology t;
    (void)state;
    if (!has_files())
        files_missing();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        weir_status status = weir_topology_read(file_of(rows[i].file), &arena, &t);
        if (rows[i].n_devices) {
            assert_ok(status);
            assert_int_equal(t.n_devices, rows[i].n_devices);
        } else {
            assert_fails(status, WEIR_ERR_INVALID, rows[i].says);
            assert_non_null(strstr(weir_last_error(), rows[i].file));
        }
    }
    weir_arena_release(&arena);
}

static void test_links_of_known_machines_have_the_rates_they_are_known_for(void **state)
{
    struct weir_arena arena = {0};
    char two[2600];
    (void)state;
    if (!has_files())
        files_missing();
    struct weir_topology t = read_of(file_of("hwloc/nvidiaDGX2.xml"), &arena);
    for (int i = 1; i < t.n_devices; i++)
        assert_way(&t, 0, i, 150, 1); /* six links to the switches */
    t = read_of(file_of("hwloc/power8gpudistances.xml"), &arena);
    assert_way(&t, 0, 1, 40, 1); /* in pairs */
    assert_true(weir_topology_path(&t, 1, 2).bandwidth < 12e9);
    t = read_of(file_of("nccl/dump-8xRTX3090-PLX-1xIB56G.xml"), &arena);
    assert_way(&t, 0, 3, 24, 2);
    assert_way(&t, 0, 4, 10, 6);
    snprintf(two, sizeof two, "2*%s", file_of("nccl/dump-8xRTX3090-PLX-1xIB56G.xml"));
    t = read_of(two, &arena);
    assert_int_equal(t.n_devices, 16);
    assert_int_equal(t.n_nodes, 2);
    assert_way(&t, 4, 12, 7, 9); /* beside the card at both ends */
    assert_way(&t, 0, 8, 7, 17);
    weir_arena_release(&arena);
}

static void test_drawings_show_all_parts_once(void **state)
{
    struct weir_arena arena = {0};
    struct weir_text text = {0}, svg = {0};
    struct weir_topology t = read_of("2 nodes x 3, 4GB/s, 1GB/s", &arena);
    int n = 0;
    (void)state;
    weir_topology_print(&t, &text);
    weir_topology_svg(&t, &svg);
    assert_non_null(strstr(text.data, "6 devices on 2 nodes"));
    assert_non_null(strstr(text.data, "... and 1 more alike"));
    for (const char *at = svg.data; (at = strstr(at, "<rect class=\"device\"")); at++)
        n++;
    assert_int_equal(n, 6);
    weir_text_release(&text);
    weir_text_release(&svg);
    weir_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_text_has_rates_by_level),
        cmocka_unit_test(test_a_text_that_is_not_understood_is_refused_with_its_place),
        cmocka_unit_test(test_direct_links_count_before_the_tree),
        cmocka_unit_test(test_xml_that_is_not_well_formed_is_refused_with_its_line),
        cmocka_unit_test(test_files_of_machines_are_read_or_refused_by_name),
        cmocka_unit_test(test_links_of_known_machines_have_the_rates_they_are_known_for),
        cmocka_unit_test(test_drawings_show_all_parts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
