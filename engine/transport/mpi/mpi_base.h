/* What the nccl transport takes from the mpi transport: joining the other processes, exchanging with them, watching them.
 * Without MPI's types. */
#ifndef WEIR_ENGINE_TRANSPORT_MPI_MPI_BASE_H
#define WEIR_ENGINE_TRANSPORT_MPI_MPI_BASE_H

#include "engine/transport/transport.h"

weir_status weir_mpi_open(const struct weir_transport_config *config, weir_transport **transport_out);
void weir_mpi_close(weir_transport *transport);
const struct weir_transport_info *weir_mpi_info(const weir_transport *transport);
int64_t weir_mpi_timeout_ns(const weir_transport *transport);
void weir_mpi_stop(weir_transport *transport, weir_status status);
weir_status weir_mpi_exchange(weir_transport *transport, const void *mine, size_t bytes, void *all_out);
weir_status weir_mpi_broadcast(weir_transport *transport, int root, void *data, size_t bytes);

/* WEIR_ERR_INVALID: in a child after fork(), which is none of the run's processes. */
weir_status weir_mpi_here(const weir_transport *transport);

/* The failure that makes waiting pointless, if any: a peer has stopped, died or left.  Never blocks for long. */
weir_status weir_mpi_look(weir_transport *transport);

#endif
