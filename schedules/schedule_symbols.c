/* The inline function of include/weir/schedule.h as a symbol, in the way of kernels/op_symbols.c. */
#define weir_schedule_slices inline_schedule_slices
#include "include/weir/schedule.h"
#undef weir_schedule_slices

#pragma GCC visibility push(default)
int weir_schedule_slices(const struct weir_schedule *schedule);
#pragma GCC visibility pop

int weir_schedule_slices(const struct weir_schedule *schedule)
{
    return inline_schedule_slices(schedule);
}
