/* Signs of life between hosts: small messages that one thread sends and takes while another one runs the step.
 *
 * Every process sends to the first process of every other host.  What has not left when the next one is due is not followed by
 * more: a link that stands still collects one message for each host, not thousands. */
#include "engine/transport/mpi/mpi_shared.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { BEAT_TAG = 1 };
static const int64_t patience_ns = 50000000; /* for the other thread to leave the library */
static const int64_t last_ns = 100000000;    /* those under way at the end have so long to leave */

weir_status weir_mpi_beats_open(struct weir_mpi_world *world)
{
    struct weir_mpi_beats *beats = &world->beats;
    const int *host_of = world->host_of;
    int n_hosts = 0;
    weir_status status = weir_arena_alloc(&world->arena, (size_t)world->bootstrap.n_ranks, sizeof *beats->sends, &beats->sends);
    for (int r = 0; r < world->bootstrap.n_ranks && !status; r++) {
        bool is_first = host_of[r] == n_hosts; /* hosts are numbered in the order of their first ranks */
        n_hosts += is_first;
        if (is_first && host_of[r] != host_of[world->bootstrap.rank])
            beats->sends[beats->n++] = (struct weir_mpi_beat_send){.to = r, .request = MPI_REQUEST_NULL};
    }
    return status;
}

/* Nothing of it is under way any more. */
static bool has_left(struct weir_mpi_beat_send *send)
{
    int done = 1;
    if (send->request != MPI_REQUEST_NULL && MPI_Test(&send->request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS)
        return false;
    return done;
}

void weir_mpi_beats_close(struct weir_mpi_world *world)
{
    struct weir_mpi_beats *beats = &world->beats;
    int64_t end = weir_clock_ns() + last_ns;
    for (int i = 0; i < beats->n && !world->stays; i++) {
        while (!has_left(&beats->sends[i]) && weir_clock_ns() < end)
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        if (!has_left(&beats->sends[i]))
            weir_mpi_abandon(world);
    }
}

static void send_all(struct weir_mpi_beats *beats, const void *mine, size_t bytes)
{
    for (int i = 0; i < beats->n; i++) {
        struct weir_mpi_beat_send *send = &beats->sends[i];
        if (!has_left(send))
            continue;
        memcpy(send->bytes, mine, bytes);
        if (MPI_Isend(send->bytes, (int)bytes, MPI_BYTE, send->to, BEAT_TAG, beats->comm, &send->request) != MPI_SUCCESS)
            send->request = MPI_REQUEST_NULL; /* a host that cannot be reached is found silent */
    }
}

/* One that has come, if any. */
static bool hear(const struct weir_mpi_beats *beats, char bytes_out[WEIR_BEAT_MAX], int *rank_out)
{
    MPI_Status status;
    int there = 0;
    if (MPI_Iprobe(MPI_ANY_SOURCE, BEAT_TAG, beats->comm, &there, &status) != MPI_SUCCESS || !there)
        return false;
    *rank_out = status.MPI_SOURCE;
    return MPI_Recv(bytes_out, WEIR_BEAT_MAX, MPI_BYTE, status.MPI_SOURCE, BEAT_TAG, beats->comm, MPI_STATUS_IGNORE) == MPI_SUCCESS;
}

bool weir_mpi_beat(weir_transport *transport, const void *mine, size_t bytes, weir_heard_fn heard, void *context)
{
    struct weir_mpi_beats *beats = &weir_mpi_world(transport)->beats;
    char theirs[WEIR_BEAT_MAX];
    int rank;
    if (!weir_mpi_try_lock(patience_ns))
        return false;
    if (mine)
        send_all(beats, mine, bytes);
    for (int most = 16 * transport->info.n_ranks; most > 0 && hear(beats, theirs, &rank); most--)
        heard(context, rank, theirs);
    weir_mpi_unlock();
    return true;
}
