/* The command as one of several processes that a launcher started: who speaks for all. */
#ifndef WEIR_CMD_LAUNCHED_H
#define WEIR_CMD_LAUNCHED_H

#include <stdbool.h>

#include "base/status.h"

/* The launcher calls this process the first one, or there is no launcher.  The recorded message stays. */
bool launched_leads(void);

/* The launcher started several processes. */
bool launched_several(void);

/* `weir launch` started this process. */
bool launched_supervised(void);

/* WEIR_ERR_USAGE when a launcher has started several processes of `command`, which is one. */
weir_status launched_alone(const char *command);

/* What has failed here has probably failed in the first process, which says so: the others leave it time for that, because a
 * launcher ends all processes when one has ended.  The first of them may be the lost one: they come back one after the other. */
void launched_linger(void);

/* The same where the processes hear of each other, and one of each host tells: the one that does, once the leading process of the run
 * has had time for it, and the others of its host.  A signal ends it. */
void launched_linger_tells(void);
void launched_linger_told(void);

/* The same where no process hears of another: the first of its host that has failed tells, the others end after it. */
void launched_linger_told_first(bool tells);

/* Before the processes are connected: this one is the first of its host and run that asks, and stays so until it ends.  Of a launcher
 * that gives runs no name, those that it has started itself are a run. */
bool launched_is_first(void);

/* `weir launch` hears what this process says, here or over a relay. */
bool launched_is_heard(void);

/* Under `weir launch`: hand a message to the launcher, which shows it once for all. */
void launched_say(weir_status status, const char *message);

/* Under `weir launch`: this process ends in good order, with that exit status. */
void launched_done(int code);

#endif
