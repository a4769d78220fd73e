/* What `weir launch` and the processes that it starts share: one memory file, and a socket for each process.
 *
 *     launcher   weir_launch_open ─▶ fork ─▶ weir_launch_enter (child) ─▶ exec     weir_launch_hear   weir_launch_ended
 *     process    weir_launch_join: its bootstrap (bootstrap.h)                     weir_launch_say
 *
 * The memory file has a slot for every process: its round of the bootstrap, the values that it put, and whether it has ended,
 * which the launcher writes there, so that nobody waits for a process that is gone.  Over the socket a process says how it
 * ended, before it ends; what it said is still there when it has died.
 *
 * The file and the sockets have no names.  They end with the last process that has them. */
#ifndef WEIR_ENGINE_TRANSPORT_BOOTSTRAP_LAUNCH_H
#define WEIR_ENGINE_TRANSPORT_BOOTSTRAP_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* Variables of a process that was started so; launcher.h reads the first two. */
#define WEIR_LAUNCH_RANK "WEIR_LAUNCH_RANK"
#define WEIR_LAUNCH_SIZE "WEIR_LAUNCH_SIZE"
#define WEIR_LAUNCH_FILES "WEIR_LAUNCH_FILES" /* "memory:inode,socket:inode": descriptors, and how they are known */

/* Across hosts MPI connects the processes, and only the socket is inherited, from a relay on each host. */
#define WEIR_LAUNCH_VOICE "WEIR_LAUNCH_VOICE" /* "socket:inode" */

enum { WEIR_LAUNCH_MOST = 4096 }; /* processes */

/* What a process says, in this order. */
enum weir_launch_kind {
    WEIR_LAUNCH_FAILED, /* its transport was told: status, is_second_hand, message */
    WEIR_LAUNCH_SAID,   /* words for the user: status, message */
    WEIR_LAUNCH_DONE,   /* it exits: exit_code */
};

struct weir_launch_record {
    int32_t kind;           /* enum weir_launch_kind */
    int32_t exit_code;
    int32_t status;         /* weir_status */
    int32_t is_second_hand; /* another process failed first */
    char message[WEIR_ERROR_MAX];
};

struct weir_bootstrap;
struct weir_launch;

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the launcher ---- */

/* WEIR_ERR_NOMEM, WEIR_ERR_UNSUPPORTED. */
weir_status weir_launch_open(int n_ranks, struct weir_launch **launch_out);
void weir_launch_close(struct weir_launch *launch); /* NULL is fine */

/* In the child after fork(): keep what is rank `rank`'s over exec, and set its variables. */
weir_status weir_launch_enter(const struct weir_launch *launch, int rank);

/* In the launcher after fork(): the child's end of its socket is the child's alone. */
void weir_launch_started(struct weir_launch *launch, int rank);

/* The descriptor to poll for what `rank` says, and the next of its records.  false: there is none. */
int weir_launch_socket(const struct weir_launch *launch, int rank);
bool weir_launch_hear(const struct weir_launch *launch, int rank, struct weir_launch_record *record_out);

/* The process of `rank` is gone: whoever waits for it learns that. */
void weir_launch_ended(struct weir_launch *launch, int rank);

/* ---- a process ---- */

/* `weir launch` started this process, and connects it with the others on this host: its variables are there.  Reads the
 * environment. */
bool weir_launch_is_process(void);

/* `weir launch` hears what this process says, here or over a relay. */
bool weir_launch_is_heard(void);

/* In the child of a relay, after fork(): `socket`, one end of a SOCK_SEQPACKET pair, becomes its voice. */
weir_status weir_launch_voice(int socket);

/* Say how this process ends; nothing without a launcher. */
void weir_launch_say(const struct weir_launch_record *record);

/* The bootstrap of this process's run.  WEIR_ERR_USAGE: not started by `weir launch`, or by one of which the descriptors are
 * gone. */
weir_status weir_launch_join(struct weir_bootstrap **bootstrap_out);

#ifdef __cplusplus
}
#endif

#endif
