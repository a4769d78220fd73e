#include "engine/transport/bootstrap/host_socket.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

weir_status weir_host_listen(int backlog, int *socket_out, unsigned *port_out)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t bytes = sizeof any;
    int listener = *socket_out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&any, sizeof any) || listen(listener, backlog) ||
        getsockname(listener, (struct sockaddr *)&any, &bytes))
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cannot listen for the processes of other hosts: %s", strerror(errno));
    *port_out = ntohs(any.sin_port);
    return WEIR_OK;
}

static void address_append(const struct sockaddr *address, char *text, size_t room)
{
    char shown[64];
    size_t n = strlen(text);
    if (!getnameinfo(address, sizeof(struct sockaddr_in), shown, sizeof shown, NULL, 0, NI_NUMERICHOST) && n + strlen(shown) + 2 < room)
        snprintf(text + n, room - n, "%s%s", n && text[n - 1] != ' ' ? "," : "", shown);
}

weir_status weir_host_addresses(char *text, size_t room)
{
    struct ifaddrs *all;
    if (getifaddrs(&all) != 0)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cannot read this host's addresses: %s", strerror(errno));
    for (int loopback = 0; loopback < 2; loopback++)
        for (const struct ifaddrs *i = all; i; i = i->ifa_next)
            if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && i->ifa_flags & IFF_UP && !!(i->ifa_flags & IFF_LOOPBACK) == loopback)
                address_append(i->ifa_addr, text, room);
    freeifaddrs(all);
    return WEIR_OK;
}

/* The question comes every second, and after each the time is looked at. */
weir_status weir_host_watch(int file, int silent_ms)
{
    int on = 1, second = 1;
    unsigned silent = (unsigned)silent_ms;
    if (setsockopt(file, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) || setsockopt(file, IPPROTO_TCP, TCP_KEEPIDLE, &second, sizeof second) ||
        setsockopt(file, IPPROTO_TCP, TCP_KEEPINTVL, &second, sizeof second) ||
        setsockopt(file, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent, sizeof silent))
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "cannot watch another host: %s", strerror(errno));
    return WEIR_OK;
}

int weir_host_connect(const char *address, const char *port, int seconds)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
    struct timeval limit = {.tv_sec = seconds}, none = {0};
    if (getaddrinfo(address, port, &hints, &found) != 0)
        return -1;
    int file = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool connected = file >= 0 && !setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) && /* holds for connect() too */
                     !connect(file, found->ai_addr, found->ai_addrlen) && !setsockopt(file, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
    freeaddrinfo(found);
    if (file >= 0 && !connected)
        close(file);
    return connected ? file : -1;
}
