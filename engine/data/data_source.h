/* Inside of a data source: what every kind shares.  A kind embeds struct weir_data as its first member. */
#ifndef WEIR_ENGINE_DATA_DATA_SOURCE_H
#define WEIR_ENGINE_DATA_DATA_SOURCE_H

#include "include/weir/data.h"

struct weir_data {
    struct weir_data_info info;
    uint64_t seed;
    /* Write sample `sample` to memory for one input and one target. */
    weir_status (*sample_read)(const struct weir_data *data, int64_t sample, void *input_out, void *target_out);
    /* (optional) have the sample read from disk, without waiting */
    void (*sample_want)(const struct weir_data *data, int64_t sample);
    void (*close)(struct weir_data *data);
};

#endif
