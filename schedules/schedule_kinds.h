/* The built-in schedules of include/weir/schedule.h, for Weir's own files: programs that embed Weir find them by name or number. */
#ifndef WEIR_SCHEDULES_SCHEDULE_KINDS_H
#define WEIR_SCHEDULES_SCHEDULE_KINDS_H

#include "include/weir/schedule.h"

extern const struct weir_schedule_kind *const weir_schedule_kinds[]; /* ends with NULL */

#endif
