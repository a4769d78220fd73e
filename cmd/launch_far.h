/* weir launch across hosts, the launcher's side: mpirun starts a relay for every rank (launch_note.h), which comes back here. */
#ifndef WEIR_CMD_LAUNCH_FAR_H
#define WEIR_CMD_LAUNCH_FAR_H

#include "cmd/launch_note.h"

struct launch_run;
struct launch_far;

/* Where to start them, one of the two. */
struct launch_hosts {
    const char *list; /* "h1:2,h2:2" */
    const char *file; /* mpirun's */
};

enum launch_heard { LAUNCH_HEARD_NOTHING, LAUNCH_HEARD_NOTE, LAUNCH_HEARD_END, LAUNCH_HEARD_SILENCE };

/* Processes that `list` names.  WEIR_ERR_USAGE: its syntax. */
weir_status launch_hosts_count(const char *list, int *n_out);

/* WEIR_ERR_UNSUPPORTED: no mpirun of Open MPI. */
weir_status launch_far_start(struct launch_run *run);

/* What to poll for: relays that come, what mpirun says, and what the relay of rank `r` says (-1: it is not here). */
int launch_far_listener(const struct launch_far *far);
int launch_far_words(const struct launch_far *far);
int launch_far_socket(const struct launch_far *far, int r);

void launch_far_accept(struct launch_run *run);
void launch_far_words_take(struct launch_far *far);

/* The next note of rank `r`, if there is a whole one; END: its relay is gone, without a note of its process's end; SILENCE: its host
 * has not answered for the run's timeout. */
enum launch_heard launch_far_hear(struct launch_far *far, int r, struct launch_note *note_out);

void launch_far_signal(struct launch_far *far, int r, int number);

/* mpirun has ended, and with it whoever has not come. */
bool launch_far_is_over(struct launch_far *far);

/* End mpirun, which ends what is left on the hosts; `show`: what it said goes to standard error. */
void launch_far_end(struct launch_run *run, bool show);

#endif
