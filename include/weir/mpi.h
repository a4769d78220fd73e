/* An engine on some processes of a program that uses MPI.
 *
 *     MPI_Comm half;                                    8 processes, of which two groups of 4 train different things
 *     MPI_Comm_split(MPI_COMM_WORLD, rank / 4, rank, &half);
 *
 *     struct weir_engine_config config;
 *     weir_engine_config_init(&config, sizeof config);
 *     config.transport = "mpi";
 *     weir_mpi_communicator_give(&config, half);
 *     weir_engine_open(&config, &engine);               all 4 of the group; then as in weir.h
 *     ...
 *     weir_engine_close(engine);
 *     MPI_Finalize();                                   the program has started MPI, and ends it
 *
 * Who takes part.  As many processes as the run has ranks, all replicas together.  Process 0 of the run is rank 0 of the
 * communicator, and so on: another order is another communicator.  Its processes call the functions of the engine together; those of
 * other communicators need not know of it.
 *
 * Messages.  The engine makes communicators of its own of the one that it is given, which the program may free once weir_engine_open
 * has returned.  No message of the program meets one of Weir's, and the error handlers, attributes and hints that the program sets are
 * not used.  One call is made on the program's own communicator, MPI_Comm_split: an error of that one goes to its error handler.
 *
 * Threads.  The program starts MPI, with MPI_Init_thread:
 *
 *     MPI_THREAD_SERIALIZED   where all processes of the communicator are on one host, or the configuration's `timeout` is 0.  Weir
 *                             calls MPI while a function of the engine runs, and no other thread of the program may do so then
 *     MPI_THREAD_MULTIPLE     where they are on several hosts: a thread of the engine gives signs of life at any time
 *
 * Less is WEIR_ERR_UNSUPPORTED and names both levels.
 *
 * Several engines.  Engines on different communicators run side by side, also on one host, and have the bits that they have alone.
 * Each must have its own folder for checkpoints and its own file for flight records, and on hosts where several groups have GPUs,
 * its own GPUs by number ("cuda:2").  Where other processes of MPI_COMM_WORLD may be on the host, threads are neither bound to
 * cores nor spin, as with `leaves_cores`.
 *
 * Failure.  One that fails ends the engine of its own communicator, on all processes of that one, and no other.  Weir ends no process
 * and never calls MPI_Abort.  But a launcher does: mpirun ends all processes of a job when one is killed, ends without
 * MPI_Finalize or with another exit status than 0.  So the processes of a group that has failed should close the engine, wait for the
 * others in a barrier or in MPI_Finalize, and say by their exit status that they have failed.  When all processes of the group are
 * there, a new engine may be opened on its communicator.  What MPI may still read and write for an engine that has failed with
 * processes on several hosts stays in memory.
 *
 * Engines are closed before MPI_Finalize.  One that is closed later gives nothing back to MPI.
 *
 * This header is installed where Weir was built with MPI.  The library's functions have no type of MPI: a program and a libweir.so need the
 * same MPI, and not the same version of it. */
#ifndef WEIR_MPI_H
#define WEIR_MPI_H

#include <mpi.h>

#include "weir.h"

/* Run on the processes of `comm`.  What is returned, and when: weir_engine_config_communicator (weir.h). */
static inline weir_status weir_mpi_communicator_give(struct weir_engine_config *config, MPI_Comm comm)
{
    int started = 0, ended = 0, is_there = comm != MPI_COMM_NULL;
    MPI_Initialized(&started);
    MPI_Finalized(&ended);
    return weir_engine_config_communicator(config, is_there && started && !ended ? (int)MPI_Comm_c2f(comm) : -1);
}

#endif
