/* weir launch: what its files share.
 *
 *     launch.c          options; attempt after attempt
 *     launch_start.c    one process for every rank
 *     launch_far.c      the same across hosts, over mpirun; launch_relay.c: beside each process there
 *     launch_watch.c    until all have ended: signals, records, what they write, deadlines
 *     launch_verdict.c  what it came to: one exit status, one message */
#ifndef WEIR_CMD_LAUNCH_H
#define WEIR_CMD_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/status.h"
#include "cmd/launch_far.h"
#include "engine/transport/bootstrap/weir_launch.h"

enum { LAUNCH_MOST_SAID = 4, LAUNCH_LINE = 4096 };

/* One process, and what is known of its end. */
struct launch_rank {
    pid_t pid;
    bool has_ended; /* wait_status is its end */
    int wait_status;
    int64_t ended_ns;
    char host[LAUNCH_HOST]; /* another one; "": this one */
    bool is_lost;           /* with its host: nothing is known of its end */
    bool was_silent;        /* lost, as its host answered nothing for the run's timeout */
    bool killed; /* by the launcher: its end says nothing */
    int64_t stopped_ns; /* since when it is stopped; 0: it runs */
    bool was_stopped;   /* for too long: it ended the run */
    int errors;  /* what it writes to standard error; -1: straight to ours, or closed */
    char line[LAUNCH_LINE];
    int line_bytes;

    /* its records; `order`: counts those of all ranks */
    int failed_order, said_order; /* of the first one; 0: none */
    weir_status failed_status;
    bool is_second_hand;
    char failed[WEIR_ERROR_MAX];
    int n_said;
    weir_status said_status[LAUNCH_MOST_SAID];
    char said[LAUNCH_MOST_SAID][WEIR_ERROR_MAX];
    bool is_done;
    int exit_code;
};

struct launch_run {
    int n_ranks;
    const char *command; /* "train" */
    char *const *arguments; /* argv of the processes, from the command on; ends with NULL */
    double grace;        /* seconds that processes have after a signal that was passed on */
    double timeout;      /* seconds that one of them may be stopped, or another host be silent; 0: for ever */
    struct weir_launch *launch;
    struct launch_hosts hosts;
    struct launch_far *far; /* its processes are started by mpirun; NULL: on this host */
    struct launch_rank *ranks; /* [n_ranks] */
    int signals; /* descriptor from which they are read */
    int order;
    int passed_signal;   /* the first one that was passed on to end the run; 0: none */
    uint64_t lines[256]; /* hashes of the lines that were shown last */
    int n_lines;
};

/* From now on signals come to run->signals alone. */
weir_status launch_signals_open(struct launch_run *run);

/* Start all of them: one process group, standard input empty, ended with the launcher.  On failure those that run are ended. */
weir_status launch_start(struct launch_run *run);

/* Until all have ended, and nothing that they started is left. */
weir_status launch_watch(struct launch_run *run);

/* A rank has lost what others need: the run cannot go on. */
bool launch_is_broken(const struct launch_rank *rank);

/* The exit status of the run, and on standard error why; *cause_out: the rank, -1 for none. */
int launch_verdict(const struct launch_run *run, int *cause_out);

#endif
