/* NVTX without a tool: counts ranges and keeps the names of the first ones. */
#include <nvtx3/nvToolsExt.h>
#include <stdio.h>
#include <string.h>

#include "fake_cuda.h"

struct nvtxDomainRegistration_st {
    struct weir_fake_ranges ranges;
};

static struct nvtxDomainRegistration_st domain; /* NVTX has them by name; Weir has one */

nvtxDomainHandle_t nvtxDomainCreateA(const char *name)
{
    snprintf(domain.ranges.domain, sizeof domain.ranges.domain, "%s", name);
    return &domain;
}

int nvtxDomainRangePushEx(nvtxDomainHandle_t handle, const nvtxEventAttributes_t *attributes)
{
    struct weir_fake_ranges *ranges = &handle->ranges;
    if (attributes->version != NVTX_VERSION || attributes->size != NVTX_EVENT_ATTRIB_STRUCT_SIZE ||
        attributes->messageType != NVTX_MESSAGE_TYPE_ASCII)
        return -1;
    if (ranges->n < WEIR_FAKE_RANGES)
        snprintf(ranges->names[ranges->n], sizeof ranges->names[0], "%s", attributes->message.ascii);
    ranges->n++;
    return ranges->depth++;
}

int nvtxDomainRangePop(nvtxDomainHandle_t handle)
{
    return --handle->ranges.depth;
}

void weir_fake_ranges_take(struct weir_fake_ranges *out)
{
    *out = domain.ranges;
    domain.ranges.n = 0;
}
