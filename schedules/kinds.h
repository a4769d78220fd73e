/* The published schedules, one file each; schedule.c lists them. */
#ifndef WEIR_SCHEDULES_KINDS_H
#define WEIR_SCHEDULES_KINDS_H

#include "schedules/schedule.h"

extern const struct weir_schedule_kind weir_kind_gpipe;
extern const struct weir_schedule_kind weir_kind_1f1b;

#endif
