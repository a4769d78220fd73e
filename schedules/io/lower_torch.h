/* PyTorch's way to lower a compute-only schedule, reproduced cell by cell.
 *
 * One round after the other, every rank may append one action; its send follows, and the receive goes to the end of the
 * other rank's list at once.  So receives stand where the sends are made, not where they are needed, and the lists have
 * a common order in which every pair meets: they never wait in a circle, whatever the channels.
 *
 * Facts from PyTorch's torch/distributed/pipelining/schedules.py (_merge_bw, _add_send_recv). */
#ifndef WEIR_SCHEDULES_IO_LOWER_TORCH_H
#define WEIR_SCHEDULES_IO_LOWER_TORCH_H

#include "include/weir/schedule.h"

/* Lower by PyTorch's rule; `merge` first joins each I that is directly followed by its W to a B.  A schedule with
 * communication is copied.  WEIR_ERR_INVALID when the lists wait in a circle. */
weir_status weir_schedule_lower_rounds(const struct weir_schedule *schedule, bool merge, struct weir_arena *arena,
                                       struct weir_schedule *out);

#endif
