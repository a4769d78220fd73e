/* What Weir's own files know of statuses besides include/weir/common.h. */
#ifndef WEIR_BASE_STATUS_H
#define WEIR_BASE_STATUS_H

#include "include/weir/common.h"

/* The exit status of the command line for `status` (docs/architecture.md has the table). */
int weir_status_exit_code(weir_status status);

#endif
