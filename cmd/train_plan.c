/* weir train --plan: a plan stands for options.  What the command line says otherwise contradicts it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/printable.h"
#include "base/text.h"
#include "cmd/synonyms.h"
#include "cmd/train.h"

static const char *const dtypes[] = {"f32", "tf32", "bf16", NULL}, *const optimizers[] = {"sgd", "adamw", NULL};

/* ---- contradictions ------------------------------------------------------------------------------------------------ */

static weir_status refuse(const struct train_options *o, const char *option, const char *given, const char *planned)
{
    return WEIR_FAIL(WEIR_ERR_USAGE, "--%s %s contradicts plan '%s', which has %s: leave the option out, or make another plan", option,
                     given, o->plan, planned);
}

static weir_status numbers_agree(const struct train_options *o, const struct weir_plan_info *plan)
{
    const struct {
        const char *option;
        int64_t given, planned;
    } rows[] = {{"stages", o->stages, plan->n_stages},
                {"ranks", o->ranks, plan->n_ranks},
                {"chunks", o->chunks, plan->n_chunks},
                {"replicas", o->replicas, plan->n_replicas},
                {"zero", o->zero, plan->zero},
                {"microbatches", o->microbatches, plan->n_microbatches},
                {"microbatch-size", o->microbatch_size, plan->microbatch_size},
                {"seq-len", o->seq_len, plan->seq_len}};
    char given[24], planned[24];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (options_given(&o->given, rows[i].option) && rows[i].given != rows[i].planned) {
            snprintf(given, sizeof given, "%" PRId64, rows[i].given);
            snprintf(planned, sizeof planned, "%" PRId64, rows[i].planned);
            return refuse(o, rows[i].option, given, planned);
        }
    return WEIR_OK;
}

static weir_status names_agree(const struct train_options *o, const struct weir_plan_info *plan)
{
    const struct {
        const char *option, *given, *planned;
    } rows[] = {{"schedule", schedule_understood(o->schedule), plan->schedule},
                {"dtype", name_understood(o->dtype, dtypes, dtype_synonyms), plan->dtype},
                {"optimizer", name_understood(o->optimizer, optimizers, NULL), plan->optimizer},
                {"recompute", o->recompute, plan->recompute}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (options_given(&o->given, rows[i].option) && strcmp(rows[i].given, rows[i].planned) != 0)
            return refuse(o, rows[i].option, rows[i].given, rows[i].planned);
    return WEIR_OK;
}

/* ---- taking over --------------------------------------------------------------------------------------------------- */

static json_t *options_of(const struct train_options *o, const struct weir_plan_info *plan, const char *first_layers)
{
    json_t *root = json_pack("{s:o, s:s, s:I, s:s, s:I, s:I, s:I, s:I}", "model", weir_json_utf8(plan->model), "schedule",
                             plan->schedule, "chunks", (json_int_t)plan->n_chunks, "device", plan->device, "replicas",
                             (json_int_t)plan->n_replicas, "zero", (json_int_t)plan->zero, "microbatches",
                             (json_int_t)plan->n_microbatches, "microbatch-size", (json_int_t)plan->microbatch_size);
    json_t *more = json_pack("{s:s, s:s, s:s}", "dtype", plan->dtype, "optimizer", plan->optimizer, "recompute", plan->recompute);
    if (more && !o->layout)
        json_object_set_new(more, "first-layers", json_string(first_layers));
    if (more && plan->seq_len)
        json_object_set_new(more, "seq-len", json_integer(plan->seq_len));
    return weir_json_joined(root, more);
}

static weir_status options_take(struct train_options *o, const struct weir_plan_info *plan)
{
    struct weir_text first_layers = {0};
    const struct weir_layer_cut cut = {plan->n_stages, plan->first_layer};
    weir_status status = weir_layer_cut_print(&cut, weir_text_take, &first_layers);
    json_t *root = status ? NULL : options_of(o, plan, first_layers.data);
    if (!status && !root)
        status = WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for a plan");
    if (!status)
        status = options_fill(&o->given, root, o->plan, (const char *const[]){NULL}, o);
    weir_text_release(&first_layers);
    return status;
}

weir_status train_plan_fill(struct train_options *o, struct train_plan *made)
{
    if (!o->plan)
        return WEIR_OK;
    weir_status status = weir_plans_read(o->plan, &made->plans);
    if (!status)
        status = weir_plans_info(made->plans, 0, &made->info);
    if (!status)
        status = numbers_agree(o, &made->info);
    if (!status)
        status = names_agree(o, &made->info);
    if (!status)
        status = options_take(o, &made->info);
    if (!status)
        o->made = made;
    return status;
}

/* ---- what it was made for ------------------------------------------------------------------------------------------ */

weir_status train_plan_check(const struct train_run *run)
{
    const struct train_plan *made = run->options->made;
    weir_status status = made ? weir_plans_check(made->plans, 0, run->graph) : WEIR_OK;
    bool said = status == WEIR_ERR_INVALID && strcmp(run->options->model, made->info.model) != 0;
    return said ? WEIR_ERR_USAGE : status; /* --model contradicts it */
}

/* Of two lines, the one about `what`: "device 'cpu', not 'cuda'". */
static void other_print(const struct train_options *o, const char *what, const char *made, const char *now)
{
    char path[1024], shown[256];
    fprintf(stderr, "weir train: plan '%s' was made for %s '%s'", weir_printable(o->plan, path, sizeof path), what,
            weir_printable(made, shown, sizeof shown));
    fprintf(stderr, ", not '%s': what it predicts may be wrong\n", weir_printable(now, shown, sizeof shown));
}

void train_plan_warn(const struct train_run *run)
{
    const struct train_options *o = run->options;
    char kind[64] = "";
    if (!o->made)
        return;
    snprintf(kind, sizeof kind, "%.*s", (int)strcspn(o->device, ":,"), o->device);
    if (strcmp(kind, o->made->info.device) != 0)
        other_print(o, "device", o->made->info.device, kind);
    if (strcmp(o->made->info.library, weir_version()) != 0)
        other_print(o, "version", o->made->info.library, weir_version());
}
