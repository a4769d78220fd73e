/* Reductions over the replicas: how long they take. */
#ifndef WEIR_SCHEDULES_IO_REDUCTIONS_H
#define WEIR_SCHEDULES_IO_REDUCTIONS_H

#include "schedules/simulate/simulate.h"

/* One phase over `bytes` (simulate.h has the formula): the owners collect, or they hand back. */
double weir_reduce_phase_time(const struct weir_schedule_costs *costs, double bytes, int n_replicas);

#endif
