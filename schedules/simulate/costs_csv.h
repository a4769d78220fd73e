/* A CSV of costs, as a spreadsheet saves it, in the form of the JSON file. */
#ifndef WEIR_SCHEDULES_SIMULATE_COSTS_CSV_H
#define WEIR_SCHEDULES_SIMULATE_COSTS_CSV_H

#include <jansson.h>

#include "base/status.h"

/*     stage,F,B          {"stages": [{"F": 1.5, "B": 3}, {"F": 1.4, "B": 2.9}]}
 *     0,1.5,3
 *     1,1.4,2.9
 *
 * Stages count up from 0.  The caller owns the reference.  WEIR_ERR_INVALID names row and cell. */
weir_status weir_costs_csv(const char *text, size_t bytes, const char *name, json_t **root_out);

#endif
