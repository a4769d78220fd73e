/* The tree itself: includes keep to tests/layers.txt, file names are unique, no path of a machine.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/layer_rules.h"
#include "tests/support/tree.h"

static struct layer_rules rules;
static char *rules_text, *public_text;

static int rules_setup(void **state)
{
    (void)state;
    rules_text = tree_read("tests/layers.txt");
    public_text = tree_read("cmake/public_headers.txt");
    const char *reason = layer_rules_read(rules_text, public_text, &rules);
    if (reason)
        print_error("tests/layers.txt: %s\n", reason);
    return reason != NULL;
}

static int rules_teardown(void **state)
{
    (void)state;
    free(rules_text);
    free(public_text);
    return 0;
}

static bool ends_with(const char *path, const char *const *endings)
{
    for (; *endings; endings++) {
        size_t n = strlen(path), k = strlen(*endings);
        if (n >= k && !strcmp(path + n - k, *endings))
            return true;
    }
    return false;
}

/* ---- the rules see what they should -------------------------------------------------------------------------------- */

static const struct {
    const char *name, *path, *text, *violation; /* violation == NULL: permitted */
} rows[] = {
    {"a layer includes itself and what lies below", "schedules/x.c", "#include \"base/arena.h\"\n", NULL},
    {"a header beside the file", "base/x.c", "#include \"arena.h\"\n", NULL},
    {"an include that points up", "schedules/x.c", "\n#include \"engine/device/device.h\"\n", "schedules/x.c:2:"},
    {"angle brackets do not hide it", "base/x.c", "#include <engine/run/exec.h>\n", "includes 'engine/run/exec.h'"},
    {"dots do not hide it", "base/x.c", "#include \"../engine/run/./exec.h\"\n", "includes 'engine/run/exec.h'"},
    {"blanks do not hide it", "base/x.c", "  #\tinclude/**/\"engine/run/exec.h\"\n", "x.c:1:"},
    {"a comment before it does not hide it", "base/x.c", "/* a\n b */ #include \"engine/run/exec.h\"\n", "x.c:2:"},
    {"a continued line does not hide it", "base/x.c", "#inc\\\nlude \"engine/run/exec.h\"\n", "x.c:1:"},
    {"a continued comment does not show what it hides", "base/x.c", "// \\\n#include \"engine/run/exec.h\"\n", NULL},
    {"a digraph does not hide it", "base/x.c", "%:include \"engine/run/exec.h\"\n", "x.c:1:"},
    {"include_next does not hide it", "base/x.c", "#include_next \"engine/run/exec.h\"\n", "x.c:1:"},
    {"a condition does not hide it", "base/x.c", "#if 0\n#include \"engine/run/exec.h\"\n#endif\n", "x.c:2:"},
    {"a macro cannot be followed", "base/x.c", "#include HEADER\n", "names a macro"},
    {"an include in a comment is none", "base/x.c", "/*\n#include \"engine/run/exec.h\"\n*/\n", NULL},
    {"an include in a string is none", "base/x.c", "char *s = \"/*\\\"\";\nchar *t = \"#include \\\"x\\\"\";\n", NULL},
    {"a quote in a comment opens nothing", "base/x.c", "// don't\n#include \"engine/run/exec.h\"\n", "x.c:2:"},
    {"the command uses public headers", "cmd/x.c", "#include \"base/json.h\"\n#include \"cmd/options.h\"\n", NULL},
    {"the command uses a header that a row which goes on names", "cmd/launch.c", "#include \"engine/transport/bootstrap/launcher.h\"\n", NULL},
    {"its other parts do not", "cmd/x.c", "#include \"engine/transport/bootstrap/launcher.h\"\n", "layer 'cmd'"},
    {"a test of the public interface uses nothing else", "tests/programs/x.c", "#include \"base/arena.h\"\n", "layer 'tests/programs'"},
    {"the command uses no other header", "cmd/x.c", "#include \"engine/program/program.h\"\n", "layer 'cmd'"},
    {"the engine hides the processor's library", "kernels/x.c", "#include <dnnl.h>\n", "keeps it to other files"},
    {"one file may use it", "kernels/cpu/matmul_dnnl.c", "#include <dnnl.h>\n", NULL},
    {"a public header includes what lies below", "include/weir/graph.h", "#include \"op.h\"\n", NULL},
    {"a public header has no FILE", "include/weir/op.h", "#include <stdio.h>\n", "keeps it to other files"},
    {"a public header has nothing of other libraries", "include/weir/op.h", "#include <jansson.h>\n", "keeps it to other files"},
    {"a public header has nothing of Weir's own files", "include/weir/op.h", "#include \"base/arena.h\"\n", "layer 'public/op'"},
    {"an example uses public headers", "examples/x.c", "#include <weir/weir.h>\n", NULL},
    {"an example uses nothing else", "examples/x.c", "#include \"include/weir/weir.h\"\n", "layer 'examples'"},
    {"schedules have no threads", "schedules/x.c", "#include <pthread.h>\n", "keeps it to other files"},
    {"an unknown library", "base/x.c", "#include <gtk/gtk.h>\n", "no 'header' row"},
    {"a file of no layer", "stray/x.c", "", "no layer for this file"},
    {"the bottom never sees the public interface", "base/x.c", "#include \"include/weir/weir.h\"\n", "layer 'base'"},
};

struct seen {
    char first[1500];
    int n;
};

static void violation_keep(const char *violation, void *context)
{
    struct seen *seen = context;
    if (seen->n++ == 0)
        snprintf(seen->first, sizeof seen->first, "%s", violation);
}

static bool exists(const char *path, void *context)
{
    (void)context;
    return tree_has(path);
}

static void the_rules_see_through_disguises(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct seen seen = {"", 0};
        layer_check(&rules, rows[i].path, rows[i].text, exists, violation_keep, &seen);
        bool as_wanted = rows[i].violation ? strstr(seen.first, rows[i].violation) != NULL : seen.n == 0;
        if (!as_wanted)
            fail_msg("%s: got '%s'", rows[i].name, seen.first);
    }
}

static void malformed_rules_name_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *reason;
    } bad[] = {
        {"layer a = a/* ->\nlayer b = b/* -> c\nlayer c = c/* ->\n", "line 2: 'c' is not a layer below 'b'"},
        {"layer a = a/* -> a\n", "'a' is not a layer below 'a'"},
        {"\nlayer a a/* ->\n", "line 2: a layer row is"},
        {"layer a = a/* ->\n  b.h\n\nlayer c = c/* -> b.h\n  d\n", "line 4: 'd' is not a layer below 'c'"},
        {"layer a = a/*\n", "line 1: a row needs"},
        {"lair a = a/* ->\n", "line 1: a row starts with"},
    };
    static struct layer_rules scratch;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[200], none[1] = "";
        snprintf(text, sizeof text, "%s", bad[i].text);
        const char *reason = layer_rules_read(text, none, &scratch);
        assert_non_null(reason);
        if (!strstr(reason, bad[i].reason))
            fail_msg("got '%s', wanted '%s'", reason, bad[i].reason);
    }
}

/* ---- the tree keeps to them ---------------------------------------------------------------------------------------- */

static void violation_print(const char *violation, void *context)
{
    print_error("%s\n", violation);
    ++*(int *)context;
}

static void file_check_layers(const char *path, const char *text, void *context)
{
    static const char *const endings[] = {".c", ".h", ".cu", ".cuh", NULL};
    if (ends_with(path, endings))
        layer_check(&rules, path, text, exists, violation_print, context);
}

static void includes_keep_to_the_layers(void **state)
{
    (void)state;
    int n = 0;
    tree_visit(file_check_layers, &n);
    assert_int_equal(n, 0);
}

/* ---- file names ---------------------------------------------------------------------------------------------------- */

struct names {
    char (*paths)[256];
    int n, n_twice;
};

static void file_check_name(const char *path, const char *text, void *context)
{
    static const char *const endings[] = {".c", ".h", ".cu", ".cuh", ".md", ".sh", ".bats", ".py", ".cmake", NULL};
    struct names *names = context;
    const char *name = strrchr(path, '/');
    (void)text;
    name = name ? name + 1 : path;
    if (!ends_with(path, endings) || !strcmp(name, "README.md"))
        return;
    for (int i = 0; i < names->n; i++) {
        const char *other = strrchr(names->paths[i], '/');
        if (strcmp(other ? other + 1 : names->paths[i], name) != 0)
            continue;
        print_error("%s:1: '%s' has the same name: file names are unique\n", path, names->paths[i]);
        names->n_twice++;
    }
    names->paths = realloc(names->paths, (size_t)(names->n + 1) * sizeof *names->paths);
    assert_non_null(names->paths);
    snprintf(names->paths[names->n++], sizeof *names->paths, "%s", path);
}

static void file_names_are_unique(void **state)
{
    (void)state;
    struct names names = {0};
    tree_visit(file_check_name, &names);
    free(names.paths);
    assert_true(names.n > 20);
    assert_int_equal(names.n_twice, 0);
}

/* ---- paths of one machine ------------------------------------------------------------------------------------------ */

/* An absolute path starts where the character before it belongs to no path. */
static bool starts_path(const char *text, const char *at)
{
    return at == text || !(strchr("._~$}{-*/", at[-1]) || (at[-1] >= '0' && at[-1] <= '9') ||
                           (at[-1] >= 'A' && at[-1] <= 'Z') || (at[-1] >= 'a' && at[-1] <= 'z'));
}

static int machine_paths(const char *path, const char *text)
{
    static const char *const roots[] = {"/" "work/", "/" "root/", "/" "home/", NULL};
    int n = 0;
    for (const char *const *root = roots; *root; root++)
        for (const char *at = strstr(text, *root); at; at = strstr(at + 1, *root)) {
            if (!starts_path(text, at))
                continue;
            int line = 1;
            for (const char *c = text; c < at; c++)
                line += *c == '\n';
            print_error("%s:%d: '%s' is a path of one machine\n", path, line, *root);
            n++;
        }
    return n;
}

static void file_check_paths(const char *path, const char *text, void *context)
{
    *(int *)context += machine_paths(path, text);
}

static void no_file_names_a_path_of_one_machine(void **state)
{
    (void)state;
    print_message("three complaints about 'sample' belong to this test\n");
    assert_int_equal(machine_paths("sample", "cd /" "work/x\n'/" "home/me'\n/" "root/\n"), 3);
    assert_int_equal(machine_paths("sample", "src/" "work/x ~/" "home/ http://" "home/x"), 0);
    int n = 0;
    tree_visit(file_check_paths, &n);
    assert_int_equal(n, 0);
}

/* ---- flags of the command line ------------------------------------------------------------------------------------- */

/* The library is called by C and Python too: its messages mark options (base/status.h), and the caller words them. */
static bool is_library(const char *path)
{
    static const char *const folders[] = {"base/", "schedules/", "partitioner/", "kernels/", "models/", "engine/"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
        if (!strncmp(path, folders[i], strlen(folders[i])))
            return true;
    return false;
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

/* Flags of `weir` within strings of one line of code; "srun --mpi=pmix" is another program's. */
static int flags_in(const char *line, size_t length)
{
    int n = 0;
    bool quoted = false, comment = length && (line[0] == '*' || !strncmp(line, "/*", 2));
    for (size_t i = 0; i + 3 < length && !comment; i++) {
        quoted ^= line[i] == '"' && (!i || line[i - 1] != '\\');
        n += quoted && line[i] == '-' && line[i + 1] == '-' && is_lower(line[i + 2]) && is_lower(line[i + 3]) &&
             strncmp(line + i, "--mpi=", 6) != 0;
    }
    return n;
}

static void file_check_flags(const char *path, const char *text, void *context)
{
    int number = 1;
    for (const char *line = text; *line && is_library(path); number++) {
        size_t length = strcspn(line, "\n"), blank = strspn(line, " ");
        int n = flags_in(line + blank, length - (blank < length ? blank : length));
        if (n)
            print_error("%s:%d: a message of the library names a flag: use WEIR_OPTION\n", path, number);
        *(int *)context += n;
        line += length + (line[length] == '\n');
    }
}

static void the_library_names_no_flags(void **state)
{
    (void)state;
    static const char *const lines[] = {"return WEIR_FAIL(x, \"use --dtype f32\");", "f(\"--stages\") + g(\"--chunks\")",
                                        " * weir train --stages 2", "/* \"--x\" */", "i--; f(\"srun --mpi=pmix\")"};
    static const int flags[] = {1, 2, 0, 0, 0};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(flags_in(lines[i] + strspn(lines[i], " "), strlen(lines[i]) - strspn(lines[i], " ")), flags[i]);
    int n = 0;
    tree_visit(file_check_flags, &n);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rules_see_through_disguises),     cmocka_unit_test(malformed_rules_name_their_line),
        cmocka_unit_test(includes_keep_to_the_layers),         cmocka_unit_test(file_names_are_unique),
        cmocka_unit_test(no_file_names_a_path_of_one_machine), cmocka_unit_test(the_library_names_no_flags),
    };
    return cmocka_run_group_tests(tests, rules_setup, rules_teardown);
}
