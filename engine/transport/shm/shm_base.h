/* What transports take from the shared-memory half: joining the other processes, exchanging with them, watching them. */
#ifndef WEIR_ENGINE_TRANSPORT_SHM_SHM_BASE_H
#define WEIR_ENGINE_TRANSPORT_SHM_SHM_BASE_H

#include "engine/transport/transport.h"

/* Join over the bootstrap of `weir launch`. */
weir_status weir_shm_open(const struct weir_transport_config *config, weir_transport **transport_out);
void weir_shm_close(weir_transport *transport);
const struct weir_transport_info *weir_shm_info(const weir_transport *transport);
int64_t weir_shm_timeout_ns(const weir_transport *transport);
int64_t weir_shm_message_ns(const weir_transport *transport);
void weir_shm_stop(weir_transport *transport, weir_status status);
void *weir_shm_block(const weir_transport *transport, int rank);
weir_status weir_shm_exchange(weir_transport *transport, const void *mine, size_t bytes, void *all_out);
weir_status weir_shm_broadcast(weir_transport *transport, int root, void *data, size_t bytes);

bool weir_shm_beat(weir_transport *transport, const void *mine, size_t bytes, weir_heard_fn heard, void *context);

/* WEIR_ERR_INVALID: in a child after fork(), which is none of the run's processes. */
weir_status weir_shm_here(const weir_transport *transport);

/* The failure that makes waiting pointless, if any: a peer has stopped, died or left.  Never blocks for long. */
weir_status weir_shm_look(weir_transport *transport);

#endif
