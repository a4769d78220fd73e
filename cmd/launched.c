#include "cmd/launched.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "engine/transport/bootstrap/weir_launch.h"
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

bool launched_supervised(void)
{
    return weir_launch_is_heard();
}

weir_status launched_alone(const char *command)
{
    struct weir_launcher launcher;
    if (detect(&launcher) || weir_launcher_started(&launcher) < 2)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_USAGE, "'weir %s' is one process, %s says that %s started %d: start it without the launcher",
                     command, launcher.size_variable, launcher.name, weir_launcher_started(&launcher));
}

static void linger(int64_t ms)
{
    enum { APART_MS = 1000, MOST_APART = 10 };
    struct weir_launcher launcher;
    if (launched_supervised()) /* it waits for all to have spoken */
        return;
    int rank = detect(&launcher) ? 0 : launcher.rank;
    ms += APART_MS * (rank < 1 ? 0 : rank < MOST_APART ? rank - 1 : MOST_APART);
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

void launched_linger(void)
{
    linger(3000); /* Open MPI takes one second */
}

/* Hosts come back one after the other, for the first ones may be the lost ones.  A signal ends it. */
static void linger_by_host(int64_t ms, int64_t apart_ms)
{
    enum { MOST_APART = 2 };
    struct weir_launcher launcher;
    bool known = !detect(&launcher);
    if (launched_supervised())
        return;
    int host = !known ? 0 : launcher.node >= 0 ? launcher.node : launcher.n_local > 0 ? launcher.rank / launcher.n_local : 0;
    ms += apart_ms * (host < MOST_APART ? host : MOST_APART);
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

void launched_linger_tells(void)
{
    linger_by_host(700, 700);
}

void launched_linger_told(void)
{
    linger_by_host(1500, 500);
}

void launched_linger_told_first(bool tells)
{
    enum { APART_S = 1 };
    nanosleep(&(struct timespec){.tv_sec = APART_S + !tells}, NULL);
}

/* A name without a file, which goes with the process that has it. */
static int name_take(const char *job)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int bytes = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "weir tells of run %s", job);
    int file = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bytes < 0 || (size_t)bytes >= sizeof name.sun_path - 1 || file < 0)
        return 0;
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)bytes);
    return bind(file, (struct sockaddr *)&name, length) == 0 ? 0 : errno; /* stays open */
}

bool launched_is_first(void)
{
    char parent[16];
    const char *job = getenv("PMIX_NAMESPACE"); /* Open MPI's too */
    snprintf(parent, sizeof parent, "%d", (int)getppid());
    return name_take(job ? job : parent) != EADDRINUSE;
}

bool launched_is_heard(void)
{
    return weir_launch_is_heard();
}

void launched_say(weir_status status, const char *message)
{
    struct weir_launch_record record = {.kind = WEIR_LAUNCH_SAID, .status = (int32_t)status};
    snprintf(record.message, sizeof record.message, "%s", message);
    weir_launch_say(&record);
}

void launched_done(int code)
{
    weir_launch_say(&(struct weir_launch_record){.kind = WEIR_LAUNCH_DONE, .exit_code = code});
}
