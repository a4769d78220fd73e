#include "cmd/launch_far.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "cmd/launch.h"
#include "engine/transport/bootstrap/host_socket.h"

enum { WORDS = 4096, HELLO_MS = 5000, FIXED = 32 };
static const int64_t end_ns[] = {INT64_C(3000000000), INT64_C(3000000000)}; /* for mpirun to end by itself, then after SIGTERM */

struct relay_link {
    int socket; /* -1: not come yet, or gone */
    size_t have;
    char bytes[sizeof(struct launch_note)];
};

struct launch_far {
    int n_ranks, listener, words;
    int silent_ms; /* a host that answers nothing for so long is gone; 0: never */
    pid_t mpirun;
    bool is_over;
    char token[LAUNCH_TOKEN];
    char text[WORDS + 1]; /* the first that mpirun said */
    size_t n_text;
    struct relay_link links[]; /* [n_ranks] */
};

/* ---- hosts ----------------------------------------------------------------------------------------------------------- */

weir_status launch_hosts_count(const char *list, int *n_out)
{
    int n = 0;
    for (const char *at = list; *at;) {
        size_t name = strcspn(at, ":,");
        char *end = (char *)(uintptr_t)(at + name);
        long slots = at[name] == ':' ? strtol(at + name + 1, &end, 10) : 1;
        bool right = name && slots >= 1 && slots <= WEIR_LAUNCH_MOST && (*end == ',' || !*end) && (*end != ',' || end[1]);
        if (!right)
            return WEIR_FAIL(WEIR_ERR_USAGE, "--hosts is '%s', it must be like h1:2,h2:2: names, and how many processes each has", list);
        n += (int)slots;
        at = *end ? end + 1 : end;
    }
    if (!n || n > WEIR_LAUNCH_MOST)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--hosts '%s' is %d processes, it must be 1 to %d", list, n, WEIR_LAUNCH_MOST);
    *n_out = n;
    return WEIR_OK;
}

/* ---- where relays come ----------------------------------------------------------------------------------------------- */

/* Half a second before the time is over, as looks are a second apart. */
static int silent_ms(double timeout)
{
    double ms = timeout * 1000 - 500;
    return timeout <= 0 ? 0 : ms < 500 ? 500 : ms > INT_MAX / 2 ? INT_MAX / 2 : (int)ms;
}

/* A relay waits a second longer: who is on its host may find out by itself, and say what it was at. */
static weir_status address_set(struct launch_far *far, unsigned port)
{
    enum { LONGER_MS = 1000 };
    char at[1100];
    unsigned char random[(LAUNCH_TOKEN - 1) / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "there are no random numbers: %s", strerror(errno));
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(far->token + 2 * i, 3, "%02x", random[i]);
    snprintf(at, sizeof at, "%s %u %d ", far->token, port, far->silent_ms ? far->silent_ms + LONGER_MS : 0);
    weir_status status = weir_host_addresses(at, sizeof at);
    return status ? status : setenv(LAUNCH_AT, at, 1) ? WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for %s", LAUNCH_AT) : WEIR_OK;
}

/* ---- mpirun ---------------------------------------------------------------------------------------------------------- */

static weir_status mpirun_check(void)
{
    char line[256] = "";
    FILE *out = popen("mpirun --version 2>/dev/null", "r");
    bool right = out && fgets(line, sizeof line, out) && strstr(line, "Open MPI");
    if (out)
        pclose(out);
    return right ? WEIR_OK : WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "processes on several hosts are started by mpirun of Open MPI, and there is none: "
                                                             "install it, or start the processes with the cluster's own launcher");
}

/* Its processes outlive each other until we end them: who failed first is to be heard.  A host that is gone is noticed by it too. */
static void mpirun_exec(const struct launch_run *run, char **argv)
{
    char n[16], self[PATH_MAX];
    ssize_t bytes = readlink("/proc/self/exe", self, sizeof self - 1);
    int k = 0;
    const char *const fixed[] = {"mpirun", "--enable-recovery", "--bind-to", "none", "--mca", "oob_tcp_keepalive_time", "5", "--mca",
                                 "oob_tcp_keepalive_intvl", "2", "--mca", "oob_tcp_keepalive_probes", "3", "-x", LAUNCH_AT, "-np", n,
                                 run->hosts.list ? "-H" : "--hostfile", run->hosts.list ? run->hosts.list : run->hosts.file, self,
                                 "launch-relay"};
    self[bytes > 0 ? bytes : 0] = 0;
    snprintf(n, sizeof n, "%d", run->n_ranks);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        argv[k++] = (char *)(uintptr_t)fixed[i];
    for (int i = 1; run->arguments[i]; i++)
        argv[k++] = run->arguments[i];
    argv[k] = NULL;
    execvp("mpirun", argv);
}

static void mpirun_run(const struct launch_run *run, char **argv, pid_t parent, int words)
{
    int nothing = open("/dev/null", O_RDONLY);
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0); /* a terminal's signals come to the launcher alone */
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(words, STDERR_FILENO) < 0)
        _exit(1);
    mpirun_exec(run, argv);
    fprintf(stderr, "weir launch: cannot start mpirun: %s\n", strerror(errno));
    _exit(1);
}

static weir_status mpirun_start(struct launch_run *run)
{
    struct launch_far *far = run->far;
    int pipes[2], n_words = 0;
    char **argv;
    while (run->arguments[n_words])
        n_words++;
    weir_status status = weir_alloc((size_t)n_words + FIXED, sizeof *argv, &argv);
    if (status)
        return status;
    if (pipe2(pipes, O_CLOEXEC) != 0) {
        weir_free(argv);
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cannot make a pipe for mpirun: %s", strerror(errno));
    }
    pid_t parent = getpid();
    far->mpirun = fork();
    if (far->mpirun == 0)
        mpirun_run(run, argv, parent, pipes[1]);
    close(pipes[1]);
    far->words = pipes[0];
    weir_free(argv);
    return far->mpirun > 0 ? WEIR_OK : WEIR_FAIL(WEIR_ERR_NOMEM, "cannot start mpirun: %s", strerror(errno));
}

static void far_free(struct launch_run *run)
{
    struct launch_far *far = run->far;
    for (int r = 0; r < far->n_ranks; r++)
        if (far->links[r].socket >= 0)
            close(far->links[r].socket);
    if (far->listener >= 0)
        close(far->listener);
    if (far->words >= 0)
        close(far->words);
    weir_free(far);
    run->far = NULL;
}

weir_status launch_far_start(struct launch_run *run)
{
    char *memory;
    unsigned port = 0;
    weir_status status = mpirun_check();
    if (!status)
        status = weir_alloc(1, sizeof *run->far + (size_t)run->n_ranks * sizeof run->far->links[0], &memory);
    if (status)
        return status;
    struct launch_far *far = run->far = (struct launch_far *)(void *)memory;
    far->n_ranks = run->n_ranks;
    far->silent_ms = silent_ms(run->timeout);
    far->listener = far->words = -1;
    for (int r = 0; r < run->n_ranks; r++)
        far->links[r].socket = -1;
    status = weir_host_listen(run->n_ranks, &far->listener, &port);
    if (!status)
        status = address_set(far, port);
    if (!status)
        status = mpirun_start(run);
    if (status)
        far_free(run);
    return status;
}

/* ---- while they run -------------------------------------------------------------------------------------------------- */

int launch_far_listener(const struct launch_far *far)
{
    return far->listener;
}

int launch_far_words(const struct launch_far *far)
{
    return far->words;
}

int launch_far_socket(const struct launch_far *far, int r)
{
    return far->links[r].socket;
}

static bool hello_take(int socket, struct launch_note *hello)
{
    struct timeval limit = {.tv_sec = HELLO_MS / 1000}, none = {0};
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    bool whole = recv(socket, hello, sizeof *hello, MSG_WAITALL) == (ssize_t)sizeof *hello;
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
    return whole && hello->magic == LAUNCH_MAGIC && hello->bytes == sizeof *hello && hello->kind == LAUNCH_HELLO;
}

static bool is_relay(const struct launch_far *far, const struct launch_note *hello)
{
    return hello->value >= 0 && hello->value < far->n_ranks && !memcmp(hello->token, far->token, sizeof far->token) &&
           far->links[hello->value].socket < 0;
}

void launch_far_accept(struct launch_run *run)
{
    struct launch_far *far = run->far;
    struct launch_note hello;
    int32_t welcome = 0;
    int socket = accept4(far->listener, NULL, NULL, SOCK_CLOEXEC);
    if (socket < 0)
        return;
    if (!hello_take(socket, &hello) || !is_relay(far, &hello) || (far->silent_ms && weir_host_watch(socket, far->silent_ms)) ||
        send(socket, &welcome, sizeof welcome, MSG_NOSIGNAL) != (ssize_t)sizeof welcome) {
        close(socket);
        return;
    }
    hello.host[LAUNCH_HOST - 1] = 0;
    far->links[hello.value].socket = socket;
    run->ranks[hello.value].pid = (pid_t)hello.pid;
    memcpy(run->ranks[hello.value].host, hello.host, sizeof hello.host);
}

/* The rest of what it says is how it ends, which is no news. */
void launch_far_words_take(struct launch_far *far)
{
    char text[1024];
    ssize_t bytes = read(far->words, text, sizeof text);
    if (bytes < 0 && errno == EINTR)
        return;
    if (bytes <= 0) {
        close(far->words);
        far->words = -1;
        return;
    }
    size_t room = WORDS - far->n_text, n = (size_t)bytes < room ? (size_t)bytes : room;
    memcpy(far->text + far->n_text, text, n);
    far->n_text += n;
}

enum launch_heard launch_far_hear(struct launch_far *far, int r, struct launch_note *note_out)
{
    struct relay_link *link = &far->links[r];
    if (link->socket < 0)
        return LAUNCH_HEARD_NOTHING;
    ssize_t bytes = recv(link->socket, link->bytes + link->have, sizeof link->bytes - link->have, MSG_DONTWAIT);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
        return LAUNCH_HEARD_NOTHING;
    if (bytes <= 0) {
        bool is_silent = bytes < 0 && errno != ECONNRESET;
        close(link->socket);
        link->socket = -1;
        return is_silent ? LAUNCH_HEARD_SILENCE : LAUNCH_HEARD_END;
    }
    link->have += (size_t)bytes;
    if (link->have < sizeof link->bytes)
        return LAUNCH_HEARD_NOTHING;
    link->have = 0;
    memcpy(note_out, link->bytes, sizeof *note_out);
    return LAUNCH_HEARD_NOTE;
}

void launch_far_signal(struct launch_far *far, int r, int number)
{
    int32_t text = (int32_t)number;
    if (far->links[r].socket >= 0)
        (void)send(far->links[r].socket, &text, sizeof text, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool launch_far_is_over(struct launch_far *far)
{
    if (!far->is_over)
        far->is_over = waitpid(far->mpirun, NULL, WNOHANG) == far->mpirun;
    return far->is_over;
}

static void over_await(struct launch_far *far, int64_t most_ns)
{
    int64_t end = weir_clock_ns() + most_ns;
    while (!launch_far_is_over(far) && weir_clock_ns() < end) {
        struct pollfd words = {.fd = far->words, .events = POLLIN};
        if (poll(&words, 1, 10) == 1)
            launch_far_words_take(far);
    }
}

void launch_far_end(struct launch_run *run, bool show)
{
    struct launch_far *far = run->far;
    over_await(far, end_ns[0]);
    if (!far->is_over)
        kill(far->mpirun, SIGTERM);
    over_await(far, end_ns[1]);
    kill(-far->mpirun, SIGKILL); /* and its agents */
    over_await(far, end_ns[1]);
    if (show)
        fprintf(stderr, "%s", far->text);
    far_free(run);
}
