/* The parts of `weir info` that have files of their own. */
#ifndef WEIR_CMD_INFO_PARTS_H
#define WEIR_CMD_INFO_PARTS_H

#include <jansson.h>

/* What the environment says of this process: one line on stdout, or an object. */
void info_launcher_print(void);
json_t *info_launcher_json(void);

#endif
