/* An update by itself, with gradients that were made before and may have been written since. */
#include <math.h>

#include "engine/run/params.h"
#include "engine/train/trainer.h"

static weir_status awaited_check(const weir_engine *engine, const char *what)
{
    return engine->awaits_update ? WEIR_OK
                                 : WEIR_FAIL(WEIR_ERR_USAGE, "there are no gradients that await an update, to %s: weir_engine_gradients "
                                             "makes them", what);
}

weir_status weir_engine_gradient_write(weir_engine *engine, const char *name, const float *values, size_t n)
{
    weir_status status = weir_engine_here(engine);
    if (!status)
        status = awaited_check(engine, "write to");
    return status ? status : weir_runner_gradient_write(&engine->runner, name, values, n);
}

/* The gradients wait for others to be written, or to be dropped. */
static weir_status norm_fail(weir_engine *engine, double norm)
{
    const char *bad;
    weir_status status = weir_runner_gradient_bad(&engine->runner, &bad);
    if (!status && bad)
        return WEIR_FAIL(WEIR_ERR_NUMERIC, "step %lld: gradient norm %g: the gradient of parameter '%s' has values that are not finite; "
                         "the parameters are those before the update", (long long)engine->step + 1, fabs(norm), bad);
    return status ? status : WEIR_FAIL(WEIR_ERR_NUMERIC, "step %lld: gradient norm %g: not finite; the parameters are those before the "
                                       "update", (long long)engine->step + 1, fabs(norm));
}

weir_status weir_engine_update(weir_engine *engine, double learning_rate, double *grad_norm_out)
{
    weir_status status = weir_engine_ready(engine);
    if (!status)
        status = weir_rate_check(learning_rate);
    if (!status)
        status = awaited_check(engine, "apply");
    if (status)
        return status;
    struct weir_runner *runner = &engine->runner;
    struct weir_step_block values = weir_step_values(engine, learning_rate, true);
    status = weir_runner_run(runner, &runner->update, &values, weir_gates_fetch, engine);
    if (status)
        return status;
    struct weir_update_gate gate = weir_gate_of(engine);
    if (grad_norm_out)
        *grad_norm_out = gate.grad_norm;
    if (!gate.apply)
        return norm_fail(engine, gate.grad_norm);
    engine->awaits_update = false;
    engine->step++;
    return WEIR_OK;
}

void weir_engine_gradients_drop(weir_engine *engine)
{
    engine->awaits_update = false;
}
