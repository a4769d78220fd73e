/* weir train, the validation: the loss of a fixed set of samples, now and then; weir evaluate does nothing else. */
#include "cmd/train.h"

enum { BATCHES = 10, SEED = 0 }; /* the set is the same whatever --seed is: runs can be compared */

/* A step takes its samples all at once. */
static weir_status enough_check(const struct train_run *run, const struct train_source *source, bool validates)
{
    long long n = weir_data_info(source->data)->n_samples, wanted = train_samples(run);
    if (n >= wanted)
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_USAGE, validates ? "'%s' has %lld samples, a validation needs the %lld of a step at least: give more --%s, or "
                                                 "smaller --microbatches%s or --microbatch-size"
                                               : "'%s' has %lld samples, a step needs %lld: give more --%s, or smaller --microbatches%s or "
                                                 "--microbatch-size",
                     source->text, n, wanted, validates && !run->options->evaluates ? "val-data" : "data",
                     run->options->replicas > 1 ? ", --replicas" : "");
}

/* As many batches as were asked for, or as there are. */
static weir_status batches_choose(const struct train_options *o, struct train_run *run)
{
    int64_t n = weir_data_info(run->validation.data)->n_samples, batches = n / train_samples(run);
    bool all = batches < BATCHES || o->evaluates;
    run->val_batches = o->val_batches ? o->val_batches : all ? batches : BATCHES;
    run->val_every = o->val_every ? o->val_every : o->steps < 10 ? 1 : o->steps / 10;
    weir_status status = enough_check(run, &run->validation, true);
    if (!status && run->val_batches > batches)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "--%sbatches %lld of %lld samples are more than the %lld of '%s': at most %lld",
                           o->evaluates ? "" : "val-", (long long)o->val_batches, (long long)train_samples(run), (long long)n,
                           run->validation.text, (long long)batches);
    return status;
}

/* Images of another size, or labels that the model has no output for. */
static weir_status likeness_check(const struct train_run *run)
{
    const struct weir_data_info *train = weir_data_info(run->train.data), *val = weir_data_info(run->validation.data);
    if (weir_shape_elements(&train->input) != weir_shape_elements(&val->input))
        return WEIR_FAIL(WEIR_ERR_INVALID, "a sample of '%s' has %lld values, one of '%s' has %lld", run->validation.text,
                         (long long)weir_shape_elements(&val->input), run->train.text,
                         (long long)weir_shape_elements(&train->input));
    if (val->is_text != train->is_text)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is %s and '%s' is %s: bytes of a text and ids of a tokenizer are not the same "
                         "tokens, validate on data of one kind with --data", run->validation.text, val->kind, run->train.text, train->kind);
    if (val->n_classes > train->n_classes)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has label %lld, those of '%s' end at %lld", run->validation.text,
                         (long long)val->n_classes - 1, run->train.text, (long long)train->n_classes - 1);
    return WEIR_OK;
}

/* Nobody asked for the test set: a run goes on without it, and says so. */
static void unasked_drop(struct train_run *run, const char *why)
{
    if (run->leads && !run->options->quiet)
        fprintf(stderr, "weir train: no validation on the test set of '%s': %s\n", run->options->data, why);
    weir_data_close(run->validation.data);
    run->validation = (struct train_source){0};
}

/* The test set beside the training set. */
static weir_status test_set_open(const struct train_options *o, struct train_run *run)
{
    char why[WEIR_ERROR_MAX];
    if (run->model->data != WEIR_DATA_IMAGES || !run->train.data)
        return WEIR_OK;
    weir_status status = weir_data_open_idx_test(o->data, SEED, &run->validation.data);
    run->validation.text = run->validation.data ? o->data : NULL;
    if (status == WEIR_ERR_INVALID || status == WEIR_ERR_IO) {
        weir_error_take(why);
        unasked_drop(run, why);
        status = WEIR_OK;
    }
    return status;
}

weir_status train_validation_open(const struct train_options *o, struct train_run *run)
{
    static const char *const needing[] = {"val-every", "val-batches", "keep-best"};
    weir_status status = o->val_data ? train_source_open(run, o->val_data, SEED, &run->validation) : test_set_open(o, run);
    for (int i = 0; i < 3 && !status && !run->validation.data; i++)
        if (options_given(&o->given, needing[i]))
            status = WEIR_FAIL(WEIR_ERR_USAGE, i < 2 ? "--%s says how to validate, --val-data is missing"
                                                     : "--%s goes by the validation loss: give --val-data", needing[i]);
    return status;
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
    weir_status status = run->train.data ? likeness_check(run) : WEIR_OK;
    if (!status)
        status = batches_choose(o, run);
    if (!status || o->val_data || options_given(&o->given, "val-batches"))
        return status;
    char why[WEIR_ERROR_MAX];
    weir_error_take(why);
    unasked_drop(run, why);
    return WEIR_OK;
}

weir_status train_data_check(const struct train_run *run)
{
    return run->train.data && run->options->steps ? enough_check(run, &run->train, false) : WEIR_OK;
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
