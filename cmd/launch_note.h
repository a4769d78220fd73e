/* weir launch across hosts: what goes between the launcher and a relay, which stands beside the process of every rank.
 *
 *     relay      HELLO ─▶   ERRORS, RECORD, STOPPED, CONTINUED ...  ENDED        fixed-size notes over TCP
 *     launcher   ◀─ 0 (welcome), numbers of signals                               int32_t each
 *
 * mpirun starts the relays and tells each its rank; a relay starts the process, which MPI then connects with the others.  So who
 * died, and of what, is known here as on one host, whatever mpirun makes of it.  Both ends are the same program. */
#ifndef WEIR_CMD_LAUNCH_NOTE_H
#define WEIR_CMD_LAUNCH_NOTE_H

#include <stdint.h>

#include "engine/transport/bootstrap/weir_launch.h"

#define LAUNCH_AT "WEIR_LAUNCH_AT" /* "token port milliseconds address,address,..."; after so many a host that is silent is gone, 0: never */

enum { LAUNCH_TOKEN = 33, LAUNCH_HOST = 64, LAUNCH_TEXT = 1024, LAUNCH_MAGIC = 0x7765724e };

enum launch_note_kind { LAUNCH_HELLO, LAUNCH_ERRORS, LAUNCH_RECORD, LAUNCH_STOPPED, LAUNCH_CONTINUED, LAUNCH_ENDED };

struct launch_note {
    uint32_t magic, bytes; /* of another build, these differ */
    int32_t kind;          /* enum launch_note_kind */
    int32_t value;         /* HELLO: the rank; ENDED: the wait status; ERRORS: bytes of text */
    int32_t pid;
    char host[LAUNCH_HOST];
    char token[LAUNCH_TOKEN]; /* HELLO: who does not know it is no relay */
    union {
        char text[LAUNCH_TEXT];
        struct weir_launch_record record;
    } of;
};

/* The relay's life: the exit status of the process `weir launch-relay COMMAND ...`. */
int launch_relay(int argc, char **argv);

#endif
