/* The published schedules, one file each; schedule.c lists them. */
#ifndef WEIR_SCHEDULES_KINDS_KINDS_H
#define WEIR_SCHEDULES_KINDS_KINDS_H

#include "include/weir/schedule.h"

extern const struct weir_schedule_kind weir_kind_gpipe;
extern const struct weir_schedule_kind weir_kind_1f1b;
extern const struct weir_schedule_kind weir_kind_seq1f1b;
extern const struct weir_schedule_kind weir_kind_interleaved;
extern const struct weir_schedule_kind weir_kind_bfs;
extern const struct weir_schedule_kind weir_kind_zb_h1;
extern const struct weir_schedule_kind weir_kind_zb_h2;
extern const struct weir_schedule_kind weir_kind_interleaved_zb;
extern const struct weir_schedule_kind weir_kind_zbv;
extern const struct weir_schedule_kind weir_kind_v_half;
extern const struct weir_schedule_kind weir_kind_v_min;
extern const struct weir_schedule_kind weir_kind_dualpipev;
extern const struct weir_schedule_kind weir_kind_dualpipe;
extern const struct weir_schedule_kind weir_kind_chimera;
extern const struct weir_schedule_kind weir_kind_chimera_doubled;
extern const struct weir_schedule_kind weir_kind_hanayo;
extern const struct weir_schedule_kind weir_kind_inference;

#endif
