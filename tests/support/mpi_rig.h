/* A test program as the processes of a run under mpirun (mpi.sh). */
#ifndef WEIR_MPI_RIG_H
#define WEIR_MPI_RIG_H

#include <stddef.h>

/* Run `program` with `argument` as `n` processes; what they print goes to `text`.  `settings`: variables for mpi.sh and them, as a
 * shell reads them ("WEIR_TEST_HOSTS=0,1 MPI_ARGS='--enable-recovery'").  Returns the exit status, 256 when it has none; skips the test where there
 * is no mpirun. */
int mpi_run(const char *settings, int n, const char *program, const char *argument, char *text, size_t room);

#endif
