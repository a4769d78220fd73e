/* Flight records as files: what every rank of this host did last, who waits for whom, and since when.
 *
 *     weir-flight.json
 *     {"weir_flight": 1, "why": "rank 1, 1F2: ...", "ranks": [
 *       {"rank": 0, "process": 4711, "host": "h1", "state": "waits", "instruction": "0B2", "step": 12, "for_s": 5.1,
 *        "waits": [{"rank": 1, "instruction": "1B2", "why": "gradient"}],
 *        "entries": [{"instruction": "0F3", "step": 12, "awaits_s": -5.3, "start_s": -5.2, "end_s": -5.1}, ...]}, ...]}
 *
 * Times of entries are seconds before the record was written, negative.  include/weir/trace.h reads it. */
#ifndef WEIR_ENGINE_RUN_FLIGHT_FILE_H
#define WEIR_ENGINE_RUN_FLIGHT_FILE_H

#include "engine/run/runner.h"

/* Where records go; `path` is borrowed until close, NULL: nowhere.  One is written when the runner fails, by the first process of
 * the host that gets to it, and one whenever *wanted changes (NULL: never), by the first of the host; that ends nothing.
 * Processes of other hosts than the first one's add the host's number to the name: "weir-flight.h1.json". */
void weir_flight_to(struct weir_runner *runner, const char *path, const volatile int *wanted);

/* Where the record of this host is, or would be. */
void weir_flight_path(const struct weir_runner *runner, char *path, size_t room);

/* After a failure that what the ranks were at may explain (a lost peer, a timeout, a device, a bug), with the thread's last error, which stays; once.  Whether this process has written is in
 * runner->flight.is_written. */
void weir_flight_failed(struct weir_runner *runner, weir_status status);

/* The runner goes on: a later failure has a record again. */
void weir_flight_again(struct weir_runner *runner);

#endif
