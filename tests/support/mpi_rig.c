#include "tests/support/mpi_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "tests/support/testing.h"

int mpi_run(const char *settings, int n, const char *program, const char *argument, char *text, size_t room)
{
    char command[4096];
    snprintf(command, sizeof command, "MPI_TIMEOUT=100 %s bash '%s/tests/support/mpi.sh' %d '%s' %s 2>&1", settings, getenv("WEIR_SOURCE_DIR"),
             n, program, argument);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t used = fread(text, 1, room - 1, pipe);
    text[used] = 0;
    int status = pclose(pipe);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("%s", text);
        skip();
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256;
}
