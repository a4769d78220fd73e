#include "cmd/launched.h"

#include <time.h>
#include <unistd.h>

#include "engine/transport/bootstrap/launcher.h"

static weir_status detect(struct weir_launcher *launcher)
{
    return weir_launcher_detect((const char *const *)environ, launcher);
}

bool launched_leads(void)
{
    struct weir_launcher launcher;
    char message[WEIR_ERROR_MAX];
    weir_error_take(message);
    bool leads = detect(&launcher) != WEIR_OK || launcher.rank == 0;
    weir_error_put(message);
    return leads;
}

/* Variables that contradict each other say nothing of several. */
bool launched_several(void)
{
    struct weir_launcher launcher;
    return detect(&launcher) == WEIR_OK && weir_launcher_started(&launcher) > 1;
}

weir_status launched_alone(const char *command)
{
    struct weir_launcher launcher;
    if (detect(&launcher) || weir_launcher_started(&launcher) < 2)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_USAGE, "'weir %s' is one process, %s says that %s started %d: start it without the launcher",
                     command, launcher.size_variable, launcher.name, weir_launcher_started(&launcher));
}

void launched_linger(void)
{
    nanosleep(&(struct timespec){.tv_sec = 3}, NULL); /* Open MPI takes one second */
}
