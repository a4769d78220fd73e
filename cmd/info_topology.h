/* weir info --topology: the devices that a plan is made for, as they were understood. */
#ifndef WEIR_CMD_INFO_TOPOLOGY_H
#define WEIR_CMD_INFO_TOPOLOGY_H

#include <stdbool.h>

#include "base/status.h"

/* As text on stdout, or one JSON object; with `svg` a drawing in that file too. */
weir_status info_topology_print(const char *source, const char *svg, bool json);

#endif
