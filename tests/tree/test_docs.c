/* Pages and comments name files and functions that are there.   labels: pure
 *
 *     engine/run/exec.c, bench/bench_ops   a file, a folder or a program: a name that starts with a folder of the root
 *     kernels/op_*.c, op_NAME.c           a pattern with at least one match
 *     exec.c, kinds/zbv.c                 pages only: the end of a path
 *     engine/run/waits.c:cause_find       pages only: a word of that file */
#include "tests/support/testing.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/tree.h"

enum { MOST_FILES = 2000, MOST_NAME = 256 };

static char files[MOST_FILES][MOST_NAME];
static int n_files;

/* What a page may name and the tree does not have. */
static const char *const elsewhere[] = {
    "report.md",    /* made by a visit to a GPU */
    "llm.c",        /* a project */
    NULL};

/* ---- the tree ------------------------------------------------------------------------------------------------------- */

static void file_keep(const char *path, const char *text, void *context)
{
    (void)text;
    (void)context;
    assert_true(n_files < MOST_FILES);
    snprintf(files[n_files++], MOST_NAME, "%s", path);
}

static int tree_setup(void **state)
{
    (void)state;
    tree_visit(file_keep, NULL);
    return 0;
}

static bool is_root_folder(const char *name, size_t n)
{
    for (int i = 0; i < n_files; i++)
        if (!strncmp(files[i], name, n) && files[i][n] == '/')
            return true;
    return false;
}

/* NAME and KIND stand for anything. */
static void places_fill(char *pattern)
{
    static const char *const places[] = {"NAME", "KIND"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        for (char *at = strstr(pattern, places[i]); at; at = strstr(at, places[i])) {
            *at = '*';
            memmove(at + 1, at + 4, strlen(at + 4) + 1);
        }
}

/* `name` is a file, a folder of files, or a pattern of files; with `anywhere` the path may begin with more. */
static const char *file_find(const char *name, bool anywhere)
{
    char pattern[2 * MOST_NAME];
    size_t n = strlen(name);
    bool folder = n && name[n - 1] == '/';
    for (int way = 0; way < (anywhere ? 2 : 1); way++) {
        snprintf(pattern, sizeof pattern, "%s%s%s", way ? "*/" : "", name, folder ? "*" : "");
        places_fill(pattern);
        for (int i = 0; i < n_files; i++)
            if (!fnmatch(pattern, files[i], 0) || (!way && !strncmp(files[i], name, n) && files[i][n] == '/'))
                return files[i];
    }
    return NULL;
}

/* ---- one text ------------------------------------------------------------------------------------------------------- */

struct page {
    const char *path;
    bool is_page; /* else a source: only what starts with a folder of the root counts */
    int n_names, n_faults;
    char fault[3 * MOST_NAME]; /* the first */
};

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || (c && strchr("_./*-", c));
}

static bool is_source_name(const char *name)
{
    static const char *const endings[] = {".c", ".h", ".cu", ".cuh", ".md", ".bats", ".sh", ".bash", NULL};
    const char *slash = strrchr(name, '/'), *dot = strrchr(slash ? slash + 1 : name, '.');
    for (int i = 0; endings[i] && dot && dot > name && dot[-1] != '/'; i++)
        if (!strcmp(dot, endings[i]))
            return true;
    return false;
}

static void fault_add(struct page *page, int line, const char *name, const char *what)
{
    if (!page->n_faults++)
        snprintf(page->fault, sizeof page->fault, "%s:%d: '%s' %s", page->path, line, name, what);
    print_error("%s:%d: '%s' %s\n", page->path, line, name, what);
}

static bool has_word(const char *path, const char *word, size_t n)
{
    char *text = tree_read(path);
    bool found = false;
    for (const char *at = strstr(text, word); at && !found; at = strstr(at + 1, word))
        found = !isalnum((unsigned char)at[n]) && at[n] != '_' && (at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_'));
    free(text);
    return found;
}

/* The word behind "file:", if there is one. */
static void word_check(struct page *page, int line, const char *path, const char *at)
{
    char word[MOST_NAME];
    size_t n = 0;
    while (at[n] && n + 1 < sizeof word && (isalnum((unsigned char)at[n]) || at[n] == '_'))
        n++;
    if (!n || isdigit((unsigned char)at[0]))
        return;
    snprintf(word, sizeof word, "%.*s", (int)n, at);
    if (!has_word(path, word, n)) {
        fault_add(page, line, word, "is no word of the file before it");
        print_error("    which is %s\n", path);
    }
}

/* `name` with `rest` behind it. */
static void name_check(struct page *page, int line, const char *name, const char *rest)
{
    bool is_link = page->is_page && !strncmp(name, "../", 3); /* from docs/ */
    name += is_link ? 3 : strncmp(name, "./", 2) ? 0 : 2;
    size_t first = strcspn(name, "/");
    bool from_root = is_link || (name[first] == '/' && is_root_folder(name, first));
    if (!from_root && !(page->is_page && is_source_name(name)))
        return;
    for (int i = 0; elsewhere[i]; i++)
        if (!strcmp(name, elsewhere[i]))
            return;
    char source[MOST_NAME + 2];
    snprintf(source, sizeof source, "%s.c", name); /* of a program */
    const char *path = file_find(name, !from_root);
    page->n_names++;
    if (!path && !file_find(source, false))
        fault_add(page, line, name, "is not in the tree");
    else if (path && page->is_page && rest[0] == ':' && is_source_name(name))
        word_check(page, line, path, rest + 1);
}

static void text_check(struct page *page, const char *text)
{
    int line = 1;
    for (const char *at = text; *at;) {
        char name[MOST_NAME];
        size_t n = 0;
        while (is_name_char(at[n]))
            n++;
        if (n && n < sizeof name && (at == text || !strchr("~$}:<>", at[-1]))) {
            snprintf(name, sizeof name, "%.*s", (int)n, at);
            for (size_t end = n; end && name[end - 1] == '.'; end--)
                name[end - 1] = 0;
            name_check(page, line, name, at + n);
        }
        at += n;
        line += *at == '\n';
        at += *at != 0;
    }
}

/* ---- the tests ------------------------------------------------------------------------------------------------------ */

static bool ends_with(const char *path, const char *end)
{
    size_t n = strlen(path), k = strlen(end);
    return n >= k && !strcmp(path + n - k, end);
}

struct sums {
    int n_pages, n_names, n_faults;
};

static void page_visit(const char *path, const char *text, void *context)
{
    struct sums *sums = context;
    struct page page = {.path = path, .is_page = true};
    if (!ends_with(path, ".md"))
        return;
    text_check(&page, text);
    sums->n_pages++;
    sums->n_names += page.n_names;
    sums->n_faults += page.n_faults;
}

static void pages_name_files_and_functions_that_are_there(void **state)
{
    (void)state;
    struct sums sums = {0};
    tree_visit(page_visit, &sums);
    assert_true(sums.n_pages > 10 && sums.n_names > 200);
    assert_int_equal(sums.n_faults, 0);
}

static void source_visit(const char *path, const char *text, void *context)
{
    struct sums *sums = context;
    struct page page = {.path = path};
    bool is_source = ends_with(path, ".c") || ends_with(path, ".h") || ends_with(path, ".cu") || ends_with(path, ".cuh");
    if (!is_source || !strncmp(path, "tests/", 6))
        return;
    text_check(&page, text);
    sums->n_names += page.n_names;
    sums->n_faults += page.n_faults;
}

static void comments_name_files_that_are_there(void **state)
{
    (void)state;
    struct sums sums = {0};
    tree_visit(source_visit, &sums);
    assert_true(sums.n_names > 1000); /* includes among them */
    assert_int_equal(sums.n_faults, 0);
}

static void a_name_that_is_not_there_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fault; /* NULL: none */
    } rows[] = {
        {"see `engine/run/exec.c`, and docs/architecture.md.", NULL},
        {"the folder engine/run/ and `kernels/cuda`", NULL},
        {"`kernels/op_*.c`", NULL},
        {"a\n`engine/run/state.c`", "page:2: 'engine/run/state.c' is not"},
        {"`engine/rooms/`", "'engine/rooms/' is not"},
        {"`kernels/po_*.c`", "'kernels/po_*.c' is not"},
        {"exec.c and kinds/zbv.c", NULL},
        {"state.h", "'state.h' is not"},
        {"kernels/op_NAME.c, ../examples/embed.c", NULL},
        {"kernels/po_NAME.c", "'kernels/po_NAME.c' is not"},
        {"../embed.c", "'embed.c' is not"},
        {"book.txt, model/config.json, build/release/bin/weir", NULL},
        {"engine/run/waits.c:cause_find", NULL},
        {"waits.c:cause_fin", "'cause_fin' is no word"},
        {"waits.c:12: and waits.c: this", NULL},
    };
    print_message("the complaints about 'page' belong to this test\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct page page = {.path = "page", .is_page = true};
        text_check(&page, rows[i].text);
        bool as_wanted = rows[i].fault ? page.n_faults == 1 && strstr(page.fault, rows[i].fault) : page.n_faults == 0;
        if (!as_wanted)
            fail_msg("'%s': got '%s'", rows[i].text, page.fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_is_not_there_is_found),
        cmocka_unit_test(pages_name_files_and_functions_that_are_there),
        cmocka_unit_test(comments_name_files_that_are_there),
    };
    return cmocka_run_group_tests(tests, tree_setup, NULL);
}
