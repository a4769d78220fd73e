/* Writing a flight record, without waiting for a disk that stands still.
 *
 * Who writes one has just found that a rank is lost, or is the thread whose beats the others watch: neither may be held up.  So the file
 * is written by a thread of its own, which is left behind when it takes too long; and it is not synced. */
#ifndef WEIR_ENGINE_RUN_FLIGHT_WRITE_H
#define WEIR_ENGINE_RUN_FLIGHT_WRITE_H

#include "base/text.h"

/* Write `text`, which is taken in any case, to `path`.  WEIR_ERR_IO: why not, or that the file is not whole yet, but may still become so.
 * WEIR_ERR_NOMEM. */
weir_status weir_flight_write(const char *path, struct weir_text *text);

#endif
