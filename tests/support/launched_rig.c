#include "tests/support/launched_rig.h"

#include "tests/support/testing.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/transport/bootstrap/weir_launch.h"

static pid_t child_start(struct weir_launch *launch, int rank, const char *program, const char *argument, int out)
{
    pid_t pid = fork();
    if (pid) {
        weir_launch_started(launch, rank);
        return pid;
    }
    if (dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0 || weir_launch_enter(launch, rank) != WEIR_OK)
        _exit(126);
    execl(program, program, argument, (char *)NULL);
    _exit(127);
}

/* What has come, cut at `room`; false: the pipe has ended. */
static bool text_read(int file, char *text, size_t room, size_t *used)
{
    char more[4096];
    ssize_t bytes = read(file, more, sizeof more);
    for (ssize_t i = 0; i < bytes; i++)
        if (*used + 1 < room)
            text[(*used)++] = more[i];
    text[*used] = 0;
    return bytes > 0;
}

static int ended_look(struct weir_launch *launch, const pid_t *pids, int n, int *codes)
{
    int n_running = 0, status;
    for (int r = 0; r < n; r++) {
        if (codes[r] >= 0)
            continue;
        if (waitpid(pids[r], &status, WNOHANG) == pids[r]) {
            codes[r] = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
            weir_launch_ended(launch, r);
        } else {
            n_running++;
        }
    }
    return n_running;
}

int launched_run(const char *program, const char *argument, int n, int seconds, char *text, size_t room, int *codes_out)
{
    struct weir_launch *launch;
    pid_t pids[LAUNCHED_MOST];
    int pipes[2], highest = 0;
    size_t used = 0;
    int64_t end = weir_clock_ns() + seconds * INT64_C(1000000000);
    text[0] = 0;
    assert_ok(weir_launch_open(n, &launch));
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    for (int r = 0; r < n; r++) {
        pids[r] = child_start(launch, r, program, argument, pipes[1]);
        codes_out[r] = -1;
    }
    close(pipes[1]);
    while (ended_look(launch, pids, n, codes_out)) {
        struct pollfd more = {.fd = pipes[0], .events = POLLIN};
        if (poll(&more, 1, 10) == 1)
            text_read(pipes[0], text, room, &used);
        for (int r = 0; r < n && weir_clock_ns() > end; r++)
            if (codes_out[r] < 0)
                kill(pids[r], SIGKILL);
    }
    while (text_read(pipes[0], text, room, &used))
        ;
    close(pipes[0]);
    weir_launch_close(launch);
    for (int r = 0; r < n; r++)
        highest = codes_out[r] > highest ? codes_out[r] : highest;
    return highest;
}
