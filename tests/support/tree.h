/* The files of the source tree, for tests that look at the tree itself. */
#ifndef WEIR_TESTS_TREE_H
#define WEIR_TESTS_TREE_H

#include <stdbool.h>

/* Called for each file with its path relative to the root and its content; a binary file has the text "". */
typedef void (*tree_fn)(const char *path, const char *text, void *context);

/* The root: $WEIR_SOURCE_DIR. */
const char *tree_root(void);

/* Visit every file but those of build folders, outputs and version control, sorted by path. */
void tree_visit(tree_fn visit, void *context);

/* Does `path`, relative to the root, name a file? */
bool tree_has(const char *path);

/* The content of `path` relative to the root, to be freed with free(); the test fails when it cannot be read. */
char *tree_read(const char *path);

#endif
