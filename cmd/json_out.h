/* A document on standard output. */
#ifndef WEIR_CMD_JSON_OUT_H
#define WEIR_CMD_JSON_OUT_H

#include <jansson.h>

#include "base/status.h"

/* Over lines, for people.  Takes the reference to `root`, which may be NULL: jansson had no memory.  WEIR_ERR_NOMEM. */
weir_status json_out(json_t *root);

#endif
