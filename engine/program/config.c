#include "base/grown.h"
#include "engine/program/config_take.h"
#include "include/weir/weir.h"

#include <math.h>

#include "engine/transport/transport.h"
#include "kernels/vector.h"

static weir_status optimizer_check(const struct weir_engine_config *config)
{
    const struct {
        const char *name;
        double value, most;
    } numbers[] = {{"beta1", config->beta1, 1},
                   {"beta2", config->beta2, 1},
                   {"eps", config->eps, HUGE_VAL},
                   {"weight decay", config->weight_decay, HUGE_VAL},
                   {"gradient clip", config->grad_clip, HUGE_VAL}};
    if (config->optimizer != WEIR_OPTIMIZER_SGD && config->optimizer != WEIR_OPTIMIZER_ADAMW)
        return WEIR_FAIL(WEIR_ERR_USAGE, "unknown optimizer %d", (int)config->optimizer);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (!(numbers[i].value >= 0 && numbers[i].value < numbers[i].most))
            return WEIR_FAIL(WEIR_ERR_USAGE, "%s is %g, it must be at least 0 and below %g", numbers[i].name,
                             numbers[i].value, numbers[i].most);
    return WEIR_OK;
}

static weir_status replicas_check(const struct weir_engine_config *config)
{
    if (config->replicas < 0 || config->replicas > WEIR_REDUCE_TERMS)
        return WEIR_FAIL(WEIR_ERR_USAGE, "replicas is %d, it must be from 1 to %d", config->replicas, WEIR_REDUCE_TERMS);
    if (config->zero != 0 && config->zero != 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "zero is %d: ZeRO stage 1 (1) or none (0) are there", config->zero);
    if (config->bucket_bytes < 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "bucket bytes is %lld, it must not be negative", (long long)config->bucket_bytes);
    return WEIR_OK;
}

void weir_engine_config_init(struct weir_engine_config *config, size_t bytes)
{
    const struct weir_engine_config own = WEIR_ENGINE_CONFIG_DEFAULT;
    weir_grown_give(&own, sizeof own, config, bytes);
    config->struct_bytes = bytes;
}

weir_status weir_engine_config_take(const struct weir_engine_config *given, struct weir_engine_config *own)
{
    weir_status status = weir_grown_take("weir_engine_config", "start with weir_engine_config_init", given,
                                         given ? given->struct_bytes : 0, own, sizeof *own);
    own->struct_bytes = sizeof *own;
    return status;
}

weir_status weir_engine_config_communicator(struct weir_engine_config *config, int handle)
{
    const size_t end = offsetof(struct weir_engine_config, communicator) + sizeof config->communicator;
    int64_t communicator;
    if (!config || config->struct_bytes < end)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a configuration of %zu bytes has no communicator: start with weir_engine_config_init",
                         config ? config->struct_bytes : 0);
    weir_status status = weir_transport_communicator(handle, &communicator);
    if (!status)
        config->communicator = communicator;
    return status;
}

weir_status weir_engine_config_launched(struct weir_engine_config *config)
{
    const size_t end = offsetof(struct weir_engine_config, transport) + sizeof config->transport;
    if (!config || config->struct_bytes < end)
        return WEIR_FAIL(WEIR_ERR_INVALID, "a configuration of %zu bytes has no transport: start with weir_engine_config_init",
                         config ? config->struct_bytes : 0);
    return weir_transport_launched(config->device, &config->transport);
}

weir_status weir_engine_config_check_timeout(const struct weir_engine_config *config)
{
    if (!(config->timeout >= 0 && config->timeout <= 1e6))
        return WEIR_FAIL(WEIR_ERR_USAGE, "timeout is %g s, it must be from 0 to 1000000", config->timeout);
    return WEIR_OK;
}

weir_status weir_engine_config_check(const struct weir_engine_config *given)
{
    struct weir_engine_config own;
    const struct weir_engine_config *config = &own;
    weir_status taken = weir_engine_config_take(given, &own);
    if (taken)
        return taken;
    if (!config->graph || !config->schedule || !config->device)
        return WEIR_FAIL(WEIR_ERR_INVALID, "an engine needs a graph, a schedule and a device");
    if (config->threads_per_rank < 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "threads per rank is %d, it must be at least 1", config->threads_per_rank);
    if (config->device_memory < 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "device memory is %lld bytes, it must not be negative",
                         (long long)config->device_memory);
    weir_status status = weir_engine_config_check_timeout(config);
    if (!status)
        status = replicas_check(config);
    if (status)
        return status;
    if (config->dtype != WEIR_COMPUTE_F32 && config->dtype != WEIR_COMPUTE_TF32 && config->dtype != WEIR_COMPUTE_BF16)
        return WEIR_FAIL(WEIR_ERR_USAGE, "unknown dtype %d", (int)config->dtype);
    if (config->n_update_rules < 0 || (config->n_update_rules && !config->update_rules))
        return WEIR_FAIL(WEIR_ERR_INVALID, "an engine cannot have %d update rules%s", config->n_update_rules,
                         config->update_rules ? "" : ", the list is NULL");
    if (config->n_fetches < 0 || (config->n_fetches && !config->fetches))
        return WEIR_FAIL(WEIR_ERR_INVALID, "an engine cannot keep %d values%s", config->n_fetches,
                         config->fetches ? "" : ", the list is NULL");
    return optimizer_check(config);
}
