/* An MPI that starts CUDA when it is initialized, as one that knows of GPUs does: WEIR_FAKE_MPI_START names a file that it
 * adds a line to, with what CUDA would have read of the environment at that moment.  The rest is the MPI of the machine. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int MPI_Init_thread(int *argc, char ***argv, int required, int *provided)
{
    const char *path = getenv("WEIR_FAKE_MPI_START"), *queues = getenv("CUDA_DEVICE_MAX_CONNECTIONS");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "CUDA_DEVICE_MAX_CONNECTIONS=%s\n", queues ? queues : "");
        fclose(file);
    }
    return PMPI_Init_thread(argc, argv, required, provided);
}
