/* No header of the tree includes itself, by whatever way.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/layer_rules.h"
#include "tests/support/tree.h"

enum { MOST_HEADERS = 1000, MOST_INCLUDES = 20000 };

struct include {
    int from, to;
};

/* Headers and what they include, as far as it lies in the tree. */
struct graph {
    char headers[MOST_HEADERS][512];
    struct include includes[MOST_INCLUDES];
    int n_headers, n_includes;
    layer_exists_fn exists;
};

struct scan {
    struct graph *graph;
    const char *path;
};

static bool is_header(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (!strcmp(dot, ".h") || !strcmp(dot, ".cuh"));
}

static int header_number(struct graph *graph, const char *path)
{
    for (int i = 0; i < graph->n_headers; i++)
        if (!strcmp(graph->headers[i], path))
            return i;
    assert_true(graph->n_headers < MOST_HEADERS);
    snprintf(graph->headers[graph->n_headers], sizeof graph->headers[0], "%s", path);
    return graph->n_headers++;
}

static void include_add(const struct include_directive *include, void *context)
{
    const struct scan *scan = context;
    struct graph *graph = scan->graph;
    char target[512];
    if (!layer_target(scan->path, include, graph->exists, NULL, target) || !is_header(target))
        return;
    assert_true(graph->n_includes < MOST_INCLUDES);
    graph->includes[graph->n_includes++] = (struct include){header_number(graph, scan->path), header_number(graph, target)};
}

static void file_add(const char *path, const char *text, void *context)
{
    struct scan scan = {context, path};
    if (is_header(path))
        include_scan(text, include_add, &scan);
}

/* Take away headers that include none of those left, again and again: what stays includes itself by some way, or something
 * that does.  Returns how many stay; `print` says which. */
static int circles_count(const struct graph *graph, bool print)
{
    bool gone[MOST_HEADERS] = {false};
    int left = graph->n_headers;
    for (bool again = true; again;) {
        bool held[MOST_HEADERS] = {false};
        again = false;
        for (int i = 0; i < graph->n_includes; i++)
            if (!gone[graph->includes[i].to])
                held[graph->includes[i].from] = true;
        for (int h = 0; h < graph->n_headers; h++)
            if (!gone[h] && !held[h]) {
                gone[h] = again = true;
                left--;
            }
    }
    for (int i = 0; i < graph->n_includes && print; i++)
        if (!gone[graph->includes[i].from] && !gone[graph->includes[i].to])
            print_error("%s includes %s\n", graph->headers[graph->includes[i].from], graph->headers[graph->includes[i].to]);
    return left;
}

static bool is_in_tree(const char *path, void *context)
{
    (void)context;
    return tree_has(path);
}

static bool is_invented(const char *path, void *context)
{
    (void)context;
    return strlen(path) == 5 && !strncmp(path, "t/", 2);
}

static void a_circle_is_found(void **state)
{
    (void)state;
    static struct graph graph;
    graph = (struct graph){.exists = is_invented};
    file_add("t/a.h", "#include \"b.h\"\n#include \"t/d.h\"\n", &graph);
    file_add("t/b.h", "#include <t/c.h>\n", &graph);
    file_add("t/d.h", "#include <stdio.h>\n", &graph);
    assert_int_equal(circles_count(&graph, false), 0);
    file_add("t/c.h", "#include \"t/a.h\"\n", &graph);
    assert_int_equal(circles_count(&graph, false), 3);
    graph = (struct graph){.exists = is_invented};
    file_add("t/a.h", "#include \"a.h\"\n", &graph);
    assert_int_equal(circles_count(&graph, false), 1);
}

static void no_header_includes_itself_by_any_way(void **state)
{
    (void)state;
    static struct graph graph;
    graph = (struct graph){.exists = is_in_tree};
    tree_visit(file_add, &graph);
    assert_true(graph.n_headers > 50);
    assert_int_equal(circles_count(&graph, true), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_circle_is_found),
        cmocka_unit_test(no_header_includes_itself_by_any_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
