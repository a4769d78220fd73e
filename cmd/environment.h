/* Variables of the environment that look like Weir's.
 *
 *     WEIR_LGO=info weir train ...
 *     weir: environment variable 'WEIR_LGO' is not used: did you mean 'WEIR_LOG'? */
#ifndef WEIR_CMD_ENVIRONMENT_H
#define WEIR_CMD_ENVIRONMENT_H

/* Name on standard error what begins with WEIR_ and is not read, and a value of WEIR_LOG that is no level.  `environment` is
 * NULL-terminated, of "NAME=value". */
void environment_check(const char *const *environment);

#endif
