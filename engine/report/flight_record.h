/* Flight records: what every rank of a host was at when a run failed, or when somebody asked.  engine/run/flight_file.h has the
 * format. */
#ifndef WEIR_ENGINE_REPORT_FLIGHT_RECORD_H
#define WEIR_ENGINE_REPORT_FLIGHT_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

struct weir_flight_wait {
    int rank;
    const char *instruction, *why; /* "1F3", "input" */
};

/* Times are seconds before the record was written, negative; NaN: not yet. */
struct weir_flight_line {
    const char *instruction;
    int64_t step;
    bool evaluates;
    double awaits_s, start_s, end_s;
};

struct weir_flight_rank {
    int rank;
    int64_t process;
    const char *host;
    const char *state;       /* "waits", "runs", "is between steps", "has not begun" */
    const char *instruction; /* NULL: it has not begun */
    int64_t step;
    double for_s;
    int n_waits, n_lines;
    const struct weir_flight_wait *waits; /* what it waits for and nobody has ended yet */
    const struct weir_flight_line *lines; /* the last one last */
};

struct weir_flight_record {
    const char *why;
    int n_ranks; /* of the host */
    const struct weir_flight_rank *ranks;
};

#ifdef __cplusplus
extern "C" {
#endif

/* All memory is the arena's.  *is_record_out false, with WEIR_OK: a JSON file of another kind.  WEIR_ERR_IO,
 * WEIR_ERR_INVALID. */
weir_status weir_flight_record_load(const char *path, struct weir_arena *arena, struct weir_flight_record *out,
                                    bool *is_record_out);

#ifdef __cplusplus
}
#endif

#endif
