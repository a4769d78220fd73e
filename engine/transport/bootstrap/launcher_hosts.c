/* Services that start one process per host: SageMaker training jobs and multi-node jobs of AWS Batch. */
#include <string.h>

#include "base/json.h"
#include "engine/transport/bootstrap/launcher_read.h"

static weir_status hosts_fill(struct weir_launcher *launcher, int per_host)
{
    if ((int64_t)launcher->n_nodes * per_host > INT32_MAX)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s=%d is too large for %d hosts", launcher->local_size_variable, per_host,
                         launcher->n_nodes);
    launcher->rank = launcher->node * per_host;
    launcher->n_ranks = launcher->n_nodes * per_host;
    launcher->local_rank = 0;
    launcher->n_local = per_host;
    launcher->hosts_only = true;
    return WEIR_OK;
}

/* The place of `host` in the JSON array `hosts`, and its length; false when it is no array of names with `host` in it. */
static bool host_place(const json_t *hosts, const char *host, int *node_out, int *n_out)
{
    size_t i;
    const json_t *name;
    *node_out = -1;
    *n_out = (int)json_array_size(hosts);
    json_array_foreach(hosts, i, name)
    {
        if (!json_is_string(name))
            return false;
        if (!strcmp(json_string_value(name), host))
            *node_out = (int)i;
    }
    return *node_out >= 0;
}

/* One process per host, and as many devices as SM_NUM_GPUS says (none: the processor). */
static weir_status sagemaker_read(const char *const *environment, struct weir_launcher *launcher)
{
    const char *hosts = weir_environment_get(environment, "SM_HOSTS");
    const char *host = weir_environment_get(environment, "SM_CURRENT_HOST");
    json_t *root;
    int gpus;
    if (!hosts || !host)
        return weir_launcher_half_set(environment, hosts ? "SM_HOSTS" : "SM_CURRENT_HOST", hosts ? "SM_CURRENT_HOST" : "SM_HOSTS");
    weir_status status = weir_launcher_number_read(environment, "SM_NUM_GPUS", 0, &gpus);
    if (!status)
        status = weir_json_parse(hosts, strlen(hosts), "SM_HOSTS", &root);
    if (status)
        return status == WEIR_ERR_INVALID ? WEIR_ERR_USAGE : status;
    if (!host_place(root, host, &launcher->node, &launcher->n_nodes))
        status = WEIR_FAIL(WEIR_ERR_USAGE, "SM_HOSTS='%s' is no list of names with SM_CURRENT_HOST='%s' in it", hosts,
                           host);
    else
        weir_launcher_first_host_set(launcher, json_string_value(json_array_get(root, 0)));
    json_decref(root);
    launcher->name = "SageMaker";
    launcher->rank_variable = launcher->node_variable = "SM_CURRENT_HOST";
    launcher->size_variable = "SM_HOSTS";
    launcher->local_size_variable = gpus > 0 ? "SM_NUM_GPUS" : NULL;
    return status ? status : hosts_fill(launcher, gpus > 0 ? gpus : 1);
}

static weir_status batch_read(const char *const *environment, struct weir_launcher *launcher)
{
    static const char index_name[] = "AWS_BATCH_JOB_NODE_INDEX", nodes_name[] = "AWS_BATCH_JOB_NUM_NODES";
    weir_status status = weir_launcher_number_read(environment, index_name, 0, &launcher->node);
    if (!status)
        status = weir_launcher_number_read(environment, nodes_name, 1, &launcher->n_nodes);
    if (!status && launcher->node < 0)
        status = weir_launcher_half_set(environment, nodes_name, index_name);
    if (!status && launcher->n_nodes < 0)
        status = weir_launcher_half_set(environment, index_name, nodes_name);
    if (!status)
        status = weir_launcher_below_check(index_name, launcher->node, nodes_name, launcher->n_nodes);
    if (status)
        return status;
    launcher->name = "AWS Batch";
    launcher->rank_variable = launcher->node_variable = index_name;
    launcher->size_variable = nodes_name;
    weir_launcher_first_host_set(launcher, weir_environment_get(environment, "AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS"));
    return hosts_fill(launcher, 1);
}

static bool any_set(const char *const *environment, const char *a, const char *b)
{
    return weir_environment_get(environment, a) || weir_environment_get(environment, b);
}

weir_status weir_launcher_hosts_read(const char *const *environment, struct weir_launcher *launcher)
{
    if (any_set(environment, "SM_HOSTS", "SM_CURRENT_HOST"))
        return sagemaker_read(environment, launcher);
    if (any_set(environment, "AWS_BATCH_JOB_NODE_INDEX", "AWS_BATCH_JOB_NUM_NODES"))
        return batch_read(environment, launcher);
    return WEIR_OK;
}
