/* NVTX without a tool: counts ranges and keeps the names of the first ones. */
#include <nvtx3/nvToolsExt.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "fake_cuda.h"

struct nvtxDomainRegistration_st {
    pthread_mutex_t lock;
    struct weir_fake_ranges ranges;
};

static struct nvtxDomainRegistration_st domain = {.lock = PTHREAD_MUTEX_INITIALIZER}; /* NVTX has them by name; Weir has one */

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
    pthread_mutex_lock(&handle->lock);
    if (ranges->n < WEIR_FAKE_RANGES)
        snprintf(ranges->names[ranges->n], sizeof ranges->names[0], "%s", attributes->message.ascii);
    ranges->n++;
    int depth = ranges->depth++;
    pthread_mutex_unlock(&handle->lock);
    return depth;
}

int nvtxDomainRangePop(nvtxDomainHandle_t handle)
{
    pthread_mutex_lock(&handle->lock);
    int depth = --handle->ranges.depth;
    pthread_mutex_unlock(&handle->lock);
    return depth;
}

void weir_fake_ranges_take(struct weir_fake_ranges *out)
{
    pthread_mutex_lock(&domain.lock);
    *out = domain.ranges;
    domain.ranges.n = 0;
    pthread_mutex_unlock(&domain.lock);
}
