/* Small kernels on 64 floats, most of them wrong on purpose (seeded.cu). */
#ifndef WEIR_TESTS_SEEDED_H
#define WEIR_TESTS_SEEDED_H

#include "base/status.h"

enum seeded_kernel {
    SEEDED_REVERSE,
    SEEDED_REVERSE_RACE,
    SEEDED_SHIFT_RACE,
    SEEDED_WARP_REVERSE,
    SEEDED_WARP_REVERSE_RACE,
    SEEDED_TWO_WARPS_RACE,
    SEEDED_HALF_BARRIER,
    SEEDED_TWO_BARRIERS,
    SEEDED_MISSING_LANES,
    SEEDED_OUTSIDE_MASK,
    SEEDED_UNNAMED_SOURCE,
    SEEDED_PAST_THE_END,
    SEEDED_UNWRITTEN,
    SEEDED_TOGETHER,
};

#ifdef __cplusplus
extern "C" {
#endif

weir_status seeded_launch(enum seeded_kernel which, unsigned threads, float *x);

#ifdef __cplusplus
}
#endif

#endif
