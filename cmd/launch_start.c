/* weir launch, starting processes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/launch.h"

/* In the child, after fork(): nothing of this returns. */
static void child_fail(const char *what)
{
    fprintf(stderr, "weir launch: cannot start a process: %s: %s\n", what, strerror(errno));
    _exit(1);
}

static void child_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        if (number != SIGHUP || signal(SIGHUP, SIG_IGN) != SIG_IGN) /* nohup */
            signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void child_run(const struct launch_run *run, int rank, pid_t parent, pid_t group, int errors)
{
    int nothing = open("/dev/null", O_RDONLY);
    setpgid(0, group);
    child_signals();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        child_fail("prctl");
    if (getppid() != parent) /* it ended before that was said */
        _exit(1);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || (errors >= 0 && dup2(errors, STDERR_FILENO) < 0))
        child_fail("streams");
    if (weir_launch_enter(run->launch, rank) != WEIR_OK) {
        fprintf(stderr, "weir launch: %s\n", weir_last_error());
        _exit(1);
    }
    execv("/proc/self/exe", run->arguments);
    child_fail("/proc/self/exe");
}

/* What rank 0 shows on a terminal goes there as it is. */
static bool is_straight(int rank)
{
    return rank == 0 && isatty(STDERR_FILENO);
}

static weir_status rank_start(struct launch_run *run, int r)
{
    struct launch_rank *rank = &run->ranks[r];
    int pipes[2] = {-1, -1};
    pid_t parent = getpid(), group = r ? run->ranks[0].pid : 0;
    if (!is_straight(r) && pipe2(pipes, O_CLOEXEC) != 0)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cannot make a pipe for rank %d: %s", r, strerror(errno));
    rank->pid = fork();
    if (rank->pid == 0)
        child_run(run, r, parent, group, pipes[1]);
    if (pipes[1] >= 0)
        close(pipes[1]);
    rank->errors = pipes[0];
    if (rank->pid < 0)
        return WEIR_FAIL(WEIR_ERR_NOMEM, "cannot start a process for rank %d: %s", r, strerror(errno));
    setpgid(rank->pid, r ? group : rank->pid); /* whoever of the two comes first */
    weir_launch_started(run->launch, r);
    return WEIR_OK;
}

static void started_end(struct launch_run *run)
{
    for (int r = 0; r < run->n_ranks; r++) {
        if (run->ranks[r].pid > 0) {
            kill(run->ranks[r].pid, SIGKILL);
            waitpid(run->ranks[r].pid, NULL, 0);
        }
        if (run->ranks[r].errors >= 0)
            close(run->ranks[r].errors);
    }
}

weir_status launch_start(struct launch_run *run)
{
    weir_status status = WEIR_OK;
    fflush(NULL);
    for (int r = 0; r < run->n_ranks; r++)
        run->ranks[r] = (struct launch_rank){.errors = -1};
    if (run->hosts.list || run->hosts.file)
        return launch_far_start(run);
    for (int r = 0; r < run->n_ranks && !status; r++)
        status = rank_start(run, r);
    if (status)
        started_end(run);
    return status;
}
