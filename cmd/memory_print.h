/* The memory of a run for people and for programs: one line per rank in GiB, or JSON in bytes. */
#ifndef WEIR_CMD_MEMORY_PRINT_H
#define WEIR_CMD_MEMORY_PRINT_H

#include <stdio.h>

#include "base/json.h"
#include "include/weir/report.h"

/* With which options each column gets smaller, and where there is a cap, the verdict. */
void memory_print(const struct weir_memory_report *report, FILE *out);

/* Lines or JSON. */
weir_status memory_show(const struct weir_memory_report *report, bool json, FILE *out);

/* NULL: out of memory. */
json_t *memory_json(const struct weir_memory_report *report);

#endif
