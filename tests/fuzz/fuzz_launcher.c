/* The environment of a launcher: any text, one variable per line, is read or refused, and what is read makes sense. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/transport/bootstrap/launcher.h"

enum { VARIABLES_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *environment[VARIABLES_MAX + 1] = {NULL};
    struct weir_launcher launcher;
    size_t n = 0;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    char *line = text;
    while (n < VARIABLES_MAX && *line) {
        environment[n++] = line;
        line += strcspn(line, "\n");
        if (*line)
            *line++ = 0;
    }
    if (weir_launcher_detect(environment, &launcher) == WEIR_OK) {
        must(launcher.rank >= 0 && launcher.rank < launcher.n_ranks);
        must(launcher.n_local <= launcher.n_ranks && launcher.n_local != 0);
        must(launcher.n_local < 0 || launcher.local_rank < launcher.n_local);
        must(launcher.n_nodes < 0 || launcher.node < launcher.n_nodes);
        must(memchr(launcher.first_host, 0, sizeof launcher.first_host) != NULL);
    } else {
        must(*weir_last_error() != 0);
    }
    free(text);
    return 0;
}
