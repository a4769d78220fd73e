#include "rows_device.h"

#include "rows_findings.h"
#include "tests/support/testing.h"

#ifdef WEIR_ROWS_ON_DEVICE
bool rows_device_there(void)
{
    int n_devices;
    if (weir_device_cuda.count(&n_devices) == WEIR_OK)
        return true;
    print_message("skipped: %s\n", weir_last_error());
    return false;
}

void rows_order_set(bool opposite)
{
    (void)opposite;
}

static const struct weir_device_kind *const kind = &weir_device_cuda;
#else
#include "emulation.h"

bool rows_device_there(void)
{
    return true;
}

void rows_order_set(bool opposite)
{
    weir_emulated_set_order(opposite ? WEIR_EMULATED_DESCENDING : WEIR_EMULATED_ASCENDING);
}

static const struct weir_device_kind *const kind = NULL;
#endif

int rows_device_open(void **state)
{
    static struct twin_device device;
    twin_device_open(kind, &device);
    *state = &device;
    return 0;
}

int rows_device_close(void **state)
{
    rows_findings_print();
    twin_device_close(*state);
#ifndef WEIR_ROWS_ON_DEVICE
    weir_emulated_release();
#endif
    return 0;
}
