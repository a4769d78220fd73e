/* Named ranges for NVIDIA's tools (Nsight Systems), in one domain.  Without a tool a call costs a test of a pointer. */
#include <nvtx3/nvToolsExt.h>
#include <pthread.h>

#include "engine/device/cuda/cuda_device.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static nvtxDomainHandle_t domain; /* written once; NULL where no tool listens */

static void domain_open(void)
{
    domain = nvtxDomainCreateA("weir");
}

void weir_cuda_range_push(const char *name)
{
    nvtxEventAttributes_t attributes = {0};
    pthread_once(&once, domain_open);
    attributes.version = NVTX_VERSION;
    attributes.size = NVTX_EVENT_ATTRIB_STRUCT_SIZE;
    attributes.messageType = NVTX_MESSAGE_TYPE_ASCII;
    attributes.message.ascii = name;
    (void)nvtxDomainRangePushEx(domain, &attributes);
}

void weir_cuda_range_pop(void)
{
    (void)nvtxDomainRangePop(domain);
}
