/* neighbour.h: a pair of sockets, over which each side sends a byte and waits for one. */
#include "bench/neighbour.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The first two processors that this process may use; returns how many there are. */
static int processors_find(int processors[2])
{
    cpu_set_t set;
    int n = 0;
    if (sched_getaffinity(0, sizeof set, &set))
        return 0;
    for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
        if (CPU_ISSET(i, &set))
            processors[n++] = i;
    return n;
}

static weir_status bind_to(int processor)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        return WEIR_FAIL(WEIR_ERR_DEVICE, "cannot bind to processor %d: %s", processor, strerror(errno));
    return WEIR_OK;
}

static void silence(void)
{
    int null = open("/dev/null", O_WRONLY);
    if (null < 0)
        return;
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    close(null);
}

weir_status neighbour_start(struct neighbour *out)
{
    struct neighbour n;
    int sockets[2];
    if (processors_find(n.processors) < 2)
        return WEIR_FAIL(WEIR_ERR_USAGE, "one processor is allowed, the second process needs another: use --alone");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
        return WEIR_FAIL(WEIR_ERR_IO, "cannot make a pair of sockets: %s", strerror(errno));
    pid_t child = fork();
    if (child < 0) {
        close(sockets[0]), close(sockets[1]);
        return WEIR_FAIL(WEIR_ERR_NOMEM, "cannot start a second process: %s", strerror(errno));
    }
    int side = child == 0;
    close(sockets[!side]);
    n.socket = sockets[side];
    if (side) {
        int first = n.processors[0];
        n.processors[0] = n.processors[1], n.processors[1] = first;
        silence();
    }
    *out = n;
    return bind_to(n.processors[0]);
}

weir_status neighbour_alone(struct neighbour *out)
{
    *out = (struct neighbour){.socket = -1};
    return processors_find(out->processors) ? bind_to(out->processors[0]) : WEIR_OK;
}

weir_status neighbour_meet(const struct neighbour *n)
{
    char byte = 0;
    if (n->socket < 0)
        return WEIR_OK;
    if (send(n->socket, &byte, 1, MSG_NOSIGNAL) != 1 || recv(n->socket, &byte, 1, 0) != 1)
        return WEIR_FAIL(WEIR_ERR_PEER, "the second process, on processor %d, has ended: see what it says alone (--alone)",
                         n->processors[1]);
    return WEIR_OK;
}
