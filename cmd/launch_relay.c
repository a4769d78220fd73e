/* weir launch across hosts, the relay: starts the process of one rank, tells the launcher all about it, ends with it.
 *
 * It lets the process's end be its own affair: whatever that was, the relay's exit status is 0, so that mpirun has nothing to end
 * the others for.  When the launcher is gone the process is killed. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/launch_note.h"
#include "engine/transport/bootstrap/host_socket.h"
#include "engine/transport/bootstrap/launcher.h"

enum { WELCOME_MS = 5000, CONNECT_S = 5 };

struct relay {
    int launcher, records, errors, signals; /* descriptors; -1: closed */
    pid_t pid;
    int rank;
    bool has_ended;
    int wait_status;
};

/* ---- the launcher ---------------------------------------------------------------------------------------------------- */

static struct launch_note note_of(int kind, int value)
{
    struct launch_note note;
    memset(&note, 0, sizeof note); /* all of it travels */
    note.magic = LAUNCH_MAGIC;
    note.bytes = sizeof note;
    note.kind = kind;
    note.value = value;
    return note;
}

static void note_send(struct relay *relay, const struct launch_note *note)
{
    const char *at = (const char *)note;
    for (size_t left = sizeof *note; left && relay->launcher >= 0;) {
        ssize_t n = send(relay->launcher, at, left, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* its end is seen where signals are read */
        at += n;
        left -= (size_t)n;
    }
}

/* An address that several hosts have leads elsewhere: who does not say welcome is not the launcher. */
static bool is_welcome(struct relay *relay, const char *token)
{
    struct launch_note hello = note_of(LAUNCH_HELLO, relay->rank);
    int32_t answer = -1;
    hello.pid = (int32_t)relay->pid;
    gethostname(hello.host, sizeof hello.host - 1);
    snprintf(hello.token, sizeof hello.token, "%s", token);
    note_send(relay, &hello);
    struct pollfd wait = {.fd = relay->launcher, .events = POLLIN};
    return poll(&wait, 1, WELCOME_MS) == 1 && recv(relay->launcher, &answer, sizeof answer, MSG_WAITALL) == (ssize_t)sizeof answer &&
           answer == 0;
}

static bool launcher_find(struct relay *relay, const char *at)
{
    char token[LAUNCH_TOKEN], port[8], addresses[1024];
    int silent_ms;
    if (!at || sscanf(at, "%32s %7s %d %1023s", token, port, &silent_ms, addresses) != 4)
        return false;
    for (char *rest, *address = strtok_r(addresses, ",", &rest); address; address = strtok_r(NULL, ",", &rest)) {
        relay->launcher = weir_host_connect(address, port, CONNECT_S);
        if (relay->launcher >= 0 && is_welcome(relay, token))
            return !silent_ms || weir_host_watch(relay->launcher, silent_ms) == WEIR_OK;
        if (relay->launcher >= 0)
            close(relay->launcher);
        relay->launcher = -1;
    }
    return false;
}

/* ---- the process ----------------------------------------------------------------------------------------------------- */

static void child_run(char **argv, int records, int errors, const sigset_t *mask)
{
    int nothing = open("/dev/null", O_RDONLY);
    char go;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (read(STDIN_FILENO, &go, 1) != 1) /* the launcher knows of it */
        _exit(0);
    sigprocmask(SIG_SETMASK, mask, NULL);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(errors, STDERR_FILENO) < 0 || weir_launch_voice(records) ||
        unsetenv(LAUNCH_AT)) {
        fprintf(stderr, "weir launch: cannot prepare a process\n");
        _exit(1);
    }
    execv("/proc/self/exe", argv);
    fprintf(stderr, "weir launch: cannot start a process: %s\n", strerror(errno));
    _exit(1);
}

/* *go_out: it waits for a byte there. */
static bool process_start(struct relay *relay, char **argv, const sigset_t *mask, int *go_out)
{
    int pair[2], errors[2], go[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) || pipe2(errors, O_CLOEXEC) || pipe2(go, O_CLOEXEC))
        return false;
    relay->pid = fork();
    if (relay->pid == 0) {
        dup2(go[0], STDIN_FILENO);
        close(go[1]);
        child_run(argv, pair[1], errors[1], mask);
    }
    close(pair[1]);
    close(errors[1]);
    close(go[0]);
    relay->records = pair[0];
    relay->errors = errors[0];
    *go_out = go[1];
    return relay->pid > 0;
}

static void changes_take(struct relay *relay)
{
    int status;
    while (!relay->has_ended && waitpid(relay->pid, &status, WNOHANG | WUNTRACED | WCONTINUED) == relay->pid) {
        struct launch_note note = note_of(WIFCONTINUED(status) ? LAUNCH_CONTINUED : LAUNCH_STOPPED, 0);
        relay->has_ended = WIFEXITED(status) || WIFSIGNALED(status);
        relay->wait_status = status;
        if (!relay->has_ended)
            note_send(relay, &note);
    }
}

static void errors_take(struct relay *relay)
{
    struct launch_note note = note_of(LAUNCH_ERRORS, 0);
    ssize_t bytes = read(relay->errors, note.of.text, sizeof note.of.text);
    note.value = (int32_t)bytes;
    if (bytes > 0) {
        note_send(relay, &note);
    } else if (bytes == 0 || errno != EINTR) {
        close(relay->errors);
        relay->errors = -1;
    }
}

static void record_take(struct relay *relay)
{
    struct launch_note note = note_of(LAUNCH_RECORD, 0);
    ssize_t bytes = recv(relay->records, &note.of.record, sizeof note.of.record, MSG_DONTWAIT);
    if (bytes == (ssize_t)sizeof note.of.record) {
        note_send(relay, &note);
    } else if (bytes == 0) {
        close(relay->records);
        relay->records = -1;
    }
}

/* What the launcher wants; nothing more comes when it is gone. */
static void launcher_take(struct relay *relay)
{
    int32_t number;
    ssize_t bytes = recv(relay->launcher, &number, sizeof number, MSG_WAITALL);
    if (bytes == (ssize_t)sizeof number) {
        kill(relay->pid, (int)number);
        return;
    }
    kill(relay->pid, SIGKILL);
    close(relay->launcher);
    relay->launcher = -1;
}

/* ---- its life -------------------------------------------------------------------------------------------------------- */

static void round_take(struct relay *relay, int most_ms)
{
    struct pollfd polls[] = {{.fd = relay->signals, .events = POLLIN}, {.fd = relay->records, .events = POLLIN},
                             {.fd = relay->errors, .events = POLLIN}, {.fd = relay->launcher, .events = POLLIN}};
    struct signalfd_siginfo info;
    if (poll(polls, 4, most_ms) <= 0)
        return;
    while (read(relay->signals, &info, sizeof info) == (ssize_t)sizeof info)
        ; /* mpirun sends them to the process too, which is of this group */
    if (polls[1].revents)
        record_take(relay);
    if (polls[2].revents)
        errors_take(relay);
    if (polls[3].revents)
        launcher_take(relay);
    changes_take(relay);
}

/* All that it has written is told before its end is. */
static void rest_take(struct relay *relay)
{
    struct pollfd polls[] = {{.fd = relay->records, .events = POLLIN}, {.fd = relay->errors, .events = POLLIN}};
    while (poll(polls, 2, 100) > 0) {
        if (polls[0].revents)
            record_take(relay);
        if (polls[1].revents)
            errors_take(relay);
        polls[0].fd = relay->records;
        polls[1].fd = relay->errors;
    }
    struct launch_note note = note_of(LAUNCH_ENDED, relay->wait_status);
    note_send(relay, &note);
}

static int relay_fail(const char *what)
{
    fprintf(stderr, "weir launch: %s\n", what);
    return 1;
}

int launch_relay(int argc, char **argv)
{
    static const char name[] = "weir";
    struct relay relay = {.launcher = -1, .records = -1, .errors = -1};
    struct weir_launcher who;
    sigset_t all, before;
    int go;
    if (argc < 3 || weir_launcher_detect((const char *const *)environ, &who))
        return relay_fail("a relay is started by 'weir launch', over mpirun");
    relay.rank = who.rank;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    relay.signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    argv[1] = (char *)(uintptr_t)name;
    if (relay.signals < 0 || !process_start(&relay, argv + 1, &before, &go))
        return relay_fail("a relay has no descriptors or no memory");
    if (!launcher_find(&relay, getenv(LAUNCH_AT)))
        return relay_fail("a relay cannot reach the launcher: is there a firewall between the hosts?");
    if (write(go, "g", 1) != 1)
        return relay_fail("the process has ended before it began");
    close(go);
    while (!relay.has_ended)
        round_take(&relay, -1);
    rest_take(&relay);
    return 0;
}
