/* Where the first number that is not finite arose.
 *
 * Nothing looks for one while a run goes well.  When a step's loss or gradient norm is not finite, the step is run once more with
 * weir_runner.looks_for_nonfinite set: then every call's results are read, and each rank notes the first one that is not finite.
 * Of all ranks' notes the one that comes first in program->order counts: all that it was made of came earlier and was finite.
 *
 * Only where the host can read the device's memory. */
#ifndef WEIR_ENGINE_RUN_NONFINITE_H
#define WEIR_ENGINE_RUN_NONFINITE_H

#include "engine/run/runner.h"

/* A call of this rank has returned. */
void weir_nonfinite_look(const struct weir_exec *exec, const struct weir_step_call *t, const struct weir_op_call *call);

/* Before such a run: nothing is noted.  After it: the note that counts, the same on every process; false: there is none. */
void weir_nonfinite_begin(struct weir_runner *runner);
weir_status weir_nonfinite_find(struct weir_runner *runner, struct weir_nonfinite *out, bool *found_out);

#endif
