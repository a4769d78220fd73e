/* What others take from the mpi transport: joining, leaving, and what a communicator must be.  Without MPI's types. */
#ifndef WEIR_ENGINE_TRANSPORT_MPI_MPI_BASE_H
#define WEIR_ENGINE_TRANSPORT_MPI_MPI_BASE_H

#include "engine/transport/transport.h"

weir_status weir_mpi_open(const struct weir_transport_config *config, weir_transport **transport_out);
void weir_mpi_close(weir_transport *transport);

/* As weir_transport_kind.start and weir_transport_forgo. */
weir_status weir_mpi_start(const struct weir_transport_config *config);
void weir_mpi_forgo(void);

/* Can processes meet over this communicator (transport.h)?  The same is asked again when the transport is opened.
 * WEIR_ERR_USAGE, WEIR_ERR_UNSUPPORTED: not with this MPI, as it is.  WEIR_ERR_INVALID: not over this communicator. */
weir_status weir_mpi_communicator_check(int64_t communicator);

#endif
