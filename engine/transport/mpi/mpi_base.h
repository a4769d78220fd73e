/* What the nccl transport takes from the mpi transport: joining and leaving.  Without MPI's types. */
#ifndef WEIR_ENGINE_TRANSPORT_MPI_MPI_BASE_H
#define WEIR_ENGINE_TRANSPORT_MPI_MPI_BASE_H

#include "engine/transport/transport.h"

weir_status weir_mpi_open(const struct weir_transport_config *config, weir_transport **transport_out);
void weir_mpi_close(weir_transport *transport);

#endif
