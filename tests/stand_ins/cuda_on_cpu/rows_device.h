/* Where the programs that compare CUDA kernels with the CPU's run them: built with WEIR_ROWS_ON_DEVICE on device cuda:0,
 * real or a stand-in, else in the emulation.  Group setup and teardown for CMocka; tests get a struct twin_device. */
#ifndef WEIR_TESTS_ROWS_DEVICE_H
#define WEIR_TESTS_ROWS_DEVICE_H

#include <stdbool.h>

#include "twin.h"

/* Else says why not, and the program has nothing to do. */
bool rows_device_there(void);

int rows_device_open(void **state);
int rows_device_close(void **state);

/* The emulation runs threads and blocks in the opposite order from now on; a device has its own. */
void rows_order_set(bool opposite);

#endif
