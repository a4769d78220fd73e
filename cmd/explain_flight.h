/* weir explain of a flight record: who waited for whom, and since when. */
#ifndef WEIR_CMD_EXPLAIN_FLIGHT_H
#define WEIR_CMD_EXPLAIN_FLIGHT_H

#include "include/weir/trace.h"

/* `rank` < 0: all, one paragraph each; else that one with its last instructions.  WEIR_ERR_USAGE: it is not in the record. */
weir_status explain_flight(const struct weir_flight_record *record, const char *path, int rank);

#endif
