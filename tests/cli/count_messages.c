/* Between a program and MPI: counts the messages that are started and their bytes, for tests.
 *
 *     LD_PRELOAD=libcount_messages.so, COUNTED=PATH: each process writes PATH.RANK, lines "to bytes times" */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 4096 };

static struct message {
    MPI_Request request;
    int to, times;
    long bytes;
} messages[MOST];
static int n_messages;

int MPI_Send_init(const void *data, int count, MPI_Datatype type, int to, int tag, MPI_Comm comm, MPI_Request *request)
{
    int size = 0, code = PMPI_Send_init(data, count, type, to, tag, comm, request);
    PMPI_Type_size(type, &size);
    if (n_messages == MOST)
        abort();
    messages[n_messages++] = (struct message){*request, to, 0, (long)count * size};
    return code;
}

int MPI_Start(MPI_Request *request)
{
    for (int i = 0; i < n_messages; i++)
        messages[i].times += messages[i].request == *request;
    return PMPI_Start(request);
}

int MPI_Finalize(void)
{
    const char *path = getenv("COUNTED");
    char name[512];
    int rank;
    PMPI_Comm_rank(MPI_COMM_WORLD, &rank);
    snprintf(name, sizeof name, "%s.%d", path ? path : "counted", rank);
    FILE *file = fopen(name, "w");
    for (int i = 0; file && i < n_messages; i++)
        fprintf(file, "%d %ld %d\n", messages[i].to, messages[i].bytes, messages[i].times);
    if (file)
        fclose(file);
    return PMPI_Finalize();
}
