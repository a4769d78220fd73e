/* weir train, the validation: the loss of a fixed set of samples, now and then; weir evaluate does nothing else. */
#include "cmd/train.h"

enum { BATCHES = 10, SEED = 0 }; /* the set is the same whatever --seed is: runs can be compared */

/* As many batches as were asked for, or as there are. */
static weir_status batches_choose(const struct train_options *o, struct train_run *run)
{
    int64_t n = weir_data_info(run->validation.data)->n_samples, batches = n / train_samples(run);
    bool all = batches < BATCHES || o->evaluates;
    run->val_batches = o->val_batches ? o->val_batches : all ? batches : BATCHES;
    run->val_every = o->val_every ? o->val_every : o->steps < 10 ? 1 : o->steps / 10;
    if (batches < 1)
        return WEIR_FAIL(WEIR_ERR_USAGE, "'%s' has %lld samples, a validation needs the %lld of a step at least: give more "
                         "%s, or smaller --microbatches or --microbatch-size",
                         o->val_data, (long long)n, (long long)train_samples(run), o->evaluates ? "--data" : "--val-data");
    if (run->val_batches > batches)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--%sbatches %lld of %lld samples are more than the %lld of '%s': at most %lld",
                         o->evaluates ? "" : "val-", (long long)o->val_batches, (long long)train_samples(run), (long long)n,
                         o->val_data, (long long)batches);
    return WEIR_OK;
}

/* Images of another size, or labels that the model has no output for. */
static weir_status likeness_check(const struct train_options *o, const struct train_run *run)
{
    const struct weir_data_info *train = weir_data_info(run->train.data), *val = weir_data_info(run->validation.data);
    if (weir_shape_elements(&train->input) != weir_shape_elements(&val->input))
        return WEIR_FAIL(WEIR_ERR_INVALID, "a sample of '%s' has %lld values, one of '%s' has %lld", o->val_data,
                         (long long)weir_shape_elements(&val->input), o->data,
                         (long long)weir_shape_elements(&train->input));
    if (val->is_text != train->is_text)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is %s and '%s' is %s: bytes of a text and ids of a tokenizer are not the same "
                         "tokens, validate on data of one kind with --data", o->val_data, val->kind, o->data, train->kind);
    if (val->n_classes > train->n_classes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has label %lld, those of '%s' end at %lld", o->val_data,
                         (long long)val->n_classes - 1, o->data, (long long)train->n_classes - 1);
    return WEIR_OK;
}

weir_status train_validation_open(const struct train_options *o, struct train_run *run)
{
    static const char *const needing[] = {"val-every", "val-batches"};
    for (int i = 0; i < 2 && !o->val_data; i++)
        if (options_given(&o->given, needing[i]))
            return WEIR_FAIL(WEIR_ERR_USAGE, "--%s says how to validate, --val-data is missing", needing[i]);
    return o->val_data ? train_source_open(run, o->val_data, SEED, &run->validation) : WEIR_OK;
}

/* --tokenizer without a text. */
static weir_status tokenizer_check(const struct train_options *o, const struct train_run *run)
{
    const struct train_source *source = run->train.data ? &run->train : &run->validation;
    if (!o->tokenizer || run->encoder.begun || !source->data)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_USAGE, "--tokenizer reads texts, and '%s' is %s: leave it out", source->text,
                     weir_data_info(source->data)->kind);
}

weir_status train_validation_settle(const struct train_options *o, struct train_run *run)
{
    weir_status unused = tokenizer_check(o, run);
    if (unused)
        return unused;
    if (!run->validation.data)
        return WEIR_OK;
    weir_status status = run->train.data ? likeness_check(o, run) : WEIR_OK;
    return status ? status : batches_choose(o, run);
}

bool train_validation_due(const struct train_run *run, int64_t step)
{
    int64_t done = step + 1;
    return run->validation.data && (done % run->val_every == 0 || done == run->options->steps);
}

static weir_status batch_evaluate(struct train_run *run, int64_t batch, double *loss_out)
{
    const weir_data *data = run->validation.data;
    int64_t samples = train_samples(run), first = weir_data_first(batch, 0, 1, samples);
    weir_status status = train_feed(run, data, first);
    if (status)
        return status;
    if (batch + 1 < run->val_batches)
        weir_data_prefetch(data, first + samples, samples);
    status = weir_engine_evaluate(run->engine, loss_out);
    run->engine_failed = status && status != WEIR_ERR_NUMERIC;
    return status;
}

weir_status train_validate(struct train_run *run, double *loss_out, bool *whole_out)
{
    double sum = 0;
    weir_status status = WEIR_OK;
    int64_t batch = 0;
    train_profile_pause(run);
    for (; batch < run->val_batches && !status && !train_stop_seen(run); batch++) {
        double loss = 0;
        status = batch_evaluate(run, batch, &loss);
        sum += loss;
    }
    if (status)
        return weir_error_prefix(status, "validation: ");
    train_profile_resume(run);
    *loss_out = sum / (double)run->val_batches;
    *whole_out = batch == run->val_batches;
    return WEIR_OK;
}

weir_status train_validate_alone(struct train_run *run)
{
    double loss;
    bool whole = true;
    weir_status status = train_validate(run, &loss, &whole);
    run->validation_cut = !whole;
    if (!status && whole)
        run->val_loss = loss;
    return status;
}
