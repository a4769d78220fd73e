/* Sockets between hosts, for the launcher and its relays: where to come, and coming there.  TCP over IPv4. */
#ifndef WEIR_ENGINE_TRANSPORT_BOOTSTRAP_HOST_SOCKET_H
#define WEIR_ENGINE_TRANSPORT_BOOTSTRAP_HOST_SOCKET_H

#include <stddef.h>

#include "base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Listen on a port that is free, on all addresses; does not block.  WEIR_ERR_UNSUPPORTED; *socket_out is then -1 or open. */
weir_status weir_host_listen(int backlog, int *socket_out, unsigned *port_out);

/* Append all addresses of this host to `text`, separated by commas: which one others see is theirs to find.  The loopback's is last,
 * for processes of this host. */
weir_status weir_host_addresses(char *text, size_t room);

/* A connected socket, which blocks; -1: nobody is there, or not within so many seconds. */
int weir_host_connect(const char *address, const char *port, int seconds);

/* From now on reading from `file` fails, with another reason than ECONNRESET, when the other host has answered nothing for
 * `silent_ms`, rounded up to seconds.  The kernels ask and answer each other, so neither process has to. */
weir_status weir_host_watch(int file, int silent_ms);

#ifdef __cplusplus
}
#endif

#endif
