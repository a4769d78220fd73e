/* weir checkpoint compare, average: the tensors of several checkpoints side by side. */
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/printable.h"
#include "cmd/checkpoint_forms.h"

#define FIELD(field) offsetof(struct checkpoint_options, field)

static const struct option_row compare_rows[] = {
    {"json", 0, OPTION_FLAG, FIELD(json), NULL, "print one JSON object", 0, 0},
    {0},
};
static const struct option_row average_rows[] = {
    {"out", 'o', OPTION_TEXT, FIELD(out), "D", "write D/step-000000 (needed)", 0, 0},
    {0},
};

const struct option_table checkpoint_compare_table = {
    "checkpoint compare", "A B", "which tensors differ, and by how much; status 1: some do",
    "weir checkpoint compare D/step-000100 E/step-000100", compare_rows, NULL};
const struct option_table checkpoint_average_table = {
    "checkpoint average", "CHECKPOINT...", "the mean of the parameters; of a folder of checkpoints, of all that are whole",
    "weir checkpoint average D/step-000100 D/step-000120 -o mean", average_rows, NULL};

enum { CHUNK = 1 << 16 }; /* elements at a time */

/* ---- compare ------------------------------------------------------------------------------------------------------- */

struct difference {
    const char *kind, *name, *flaw; /* flaw: it has no elements to compare */
    int64_t n_differ, n_elements, at; /* at: where it is largest */
    double largest;
};

struct comparison {
    weir_checkpoint *a, *b;
    float *x, *y; /* [CHUNK] */
    const struct checkpoint_options *o;
    json_t *json;
    int n_tensors, n_differ;
};

static void difference_say(struct comparison *c, const struct difference *d)
{
    char name[1024];
    weir_printable(d->name, name, sizeof name);
    c->n_differ++;
    if (c->o->json) {
        json_t *row = json_pack("{s:s, s:o}", "kind", d->kind, "name", weir_json_utf8(d->name));
        if (d->flaw)
            weir_json_set(&row, "flaw", weir_json_utf8(d->flaw));
        else
            row = weir_json_joined(row, json_pack("{s:I, s:I, s:o, s:I}", "differ", (json_int_t)d->n_differ, "of",
                                                  (json_int_t)d->n_elements, "largest",
                                                  isfinite(d->largest) ? json_real(d->largest) : json_null(), "at",
                                                  (json_int_t)d->at));
        weir_json_push(&c->json, row);
    } else if (d->flaw) {
        printf("%s %s: %s\n", d->kind, name, d->flaw);
    } else {
        printf("%s %s: %" PRId64 " of %" PRId64 " elements differ, element %" PRId64 " by %.9g\n", d->kind, name, d->n_differ,
               d->n_elements, d->at, d->largest);
    }
}

/* Bits count: 0 and -0 differ, by nothing. */
static void values_compare(const struct comparison *c, int64_t first, int64_t n, struct difference *d)
{
    for (int64_t i = 0; i < n; i++) {
        if (!memcmp(&c->x[i], &c->y[i], sizeof *c->x))
            continue;
        double size = fabs((double)c->x[i] - (double)c->y[i]);
        if (!d->n_differ++ || size > d->largest || (isnan(size) && !isnan(d->largest))) {
            d->largest = size;
            d->at = first + i;
        }
    }
}

static bool same_shape(const struct weir_checkpoint_tensor *a, const struct weir_checkpoint_tensor *b)
{
    return a->n_dims == b->n_dims && (!a->n_dims || !memcmp(a->dims, b->dims, (size_t)a->n_dims * sizeof *a->dims));
}

static weir_status tensor_compare(struct comparison *c, int index)
{
    const struct weir_checkpoint_tensor *a = &weir_checkpoint_info(c->a)->tensors[index];
    struct difference d = {.kind = weir_checkpoint_kind_str(a->kind), .name = a->name, .n_elements = a->n_elements};
    int other = weir_checkpoint_find(c->b, a->kind, a->name);
    weir_status status = WEIR_OK;
    c->n_tensors++;
    if (other < 0)
        d.flaw = "only in the first";
    else if (!same_shape(a, &weir_checkpoint_info(c->b)->tensors[other]))
        d.flaw = "has another shape";
    for (int64_t at = 0; at < a->n_elements && !status && !d.flaw; at += CHUNK) {
        int64_t n = a->n_elements - at < CHUNK ? a->n_elements - at : CHUNK;
        status = weir_checkpoint_read(c->a, index, at, n, c->x);
        if (!status)
            status = weir_checkpoint_read(c->b, other, at, n, c->y);
        if (!status)
            values_compare(c, at, n, &d);
    }
    if (!status && (d.flaw || d.n_differ))
        difference_say(c, &d);
    return status;
}

static void only_in_second(struct comparison *c)
{
    const struct weir_checkpoint_info *b = weir_checkpoint_info(c->b);
    for (int i = 0; i < b->n_tensors; i++) {
        const struct weir_checkpoint_tensor *t = &b->tensors[i];
        if (weir_checkpoint_find(c->a, t->kind, t->name) >= 0)
            continue;
        c->n_tensors++;
        difference_say(c, &(struct difference){.kind = weir_checkpoint_kind_str(t->kind), .name = t->name,
                                               .flaw = "only in the second"});
    }
}

/* What a run would go on with, besides tensors. */
static json_t *state_json(const struct weir_checkpoint_info *info)
{
    return json_pack("{s:I, s:I, s:o, s:o, s:o}", "step", (json_int_t)info->step, "sample", (json_int_t)info->sample, "model",
                     weir_json_utf8(info->model), "optimizer", weir_json_utf8(info->optimizer), "seed",
                     info->has_seed ? json_sprintf("%" PRIu64, info->seed) : json_null());
}

static void states_compare(const struct comparison *c, json_t *a, json_t *b, json_t **states)
{
    json_t *value;
    const char *key;
    json_object_foreach(a, key, value) {
        json_t *other = json_object_get(b, key);
        if (json_equal(value, other))
            continue;
        char *x = json_dumps(value, JSON_ENCODE_ANY), *y = json_dumps(other, JSON_ENCODE_ANY);
        if (!c->o->json)
            printf("%s: %s, %s\n", key, x ? x : "?", y ? y : "?");
        free(x);
        free(y);
        weir_json_set(states, key, json_pack("[O, O]", value, other));
    }
}

/* What differs, as pairs; NULL: out of memory. */
static json_t *state_compare(const struct comparison *c)
{
    json_t *a = state_json(weir_checkpoint_info(c->a)), *b = state_json(weir_checkpoint_info(c->b));
    json_t *states = a && b ? json_object() : NULL;
    if (states)
        states_compare(c, a, b, &states);
    json_decref(a);
    json_decref(b);
    return states;
}

static weir_status result_say(struct comparison *c, json_t *states)
{
    size_t n_states = json_object_size(states);
    enum { DIGITS = 17 };
    struct weir_text text = {0};
    if (!c->o->json && !c->n_differ)
        printf("%d tensors are the same to the bit%s\n", c->n_tensors, n_states ? "" : ", and so is the state of the run");
    else if (!c->o->json)
        printf("%d of %d tensors differ\n", c->n_differ, c->n_tensors);
    if (!c->o->json)
        return WEIR_OK;
    weir_json_append(&text, json_pack("{s:b, s:i, s:O, s:O}", "same", !c->n_differ && !n_states, "tensors", c->n_tensors, "state",
                                      states, "differ", c->json), DIGITS);
    weir_status status = text.status;
    if (!status)
        printf("%s\n", text.data);
    weir_text_release(&text);
    return status;
}

static weir_status comparison_run(struct comparison *c, int *outcome_out)
{
    json_t *states = state_compare(c);
    weir_status status = states ? WEIR_OK : WEIR_FAIL(WEIR_ERR_NOMEM, "no memory to compare checkpoints");
    c->json = json_array();
    for (int i = 0; i < weir_checkpoint_info(c->a)->n_tensors && !status; i++)
        status = tensor_compare(c, i);
    if (!status) {
        only_in_second(c);
        status = result_say(c, states);
    }
    *outcome_out = c->n_differ || json_object_size(states);
    json_decref(states);
    json_decref(c->json);
    return status;
}

weir_status checkpoint_compare(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out)
{
    struct comparison c = {.o = o};
    (void)n_paths;
    weir_status status = checkpoint_open(paths[0], &c.a);
    if (!status)
        status = checkpoint_open(paths[1], &c.b);
    if (!status)
        status = weir_alloc(2 * CHUNK, sizeof *c.x, &c.x);
    if (!status) {
        c.y = c.x + CHUNK;
        status = comparison_run(&c, outcome_out);
    }
    weir_free(c.x);
    weir_checkpoint_close(c.b);
    weir_checkpoint_close(c.a);
    return status;
}

/* ---- average ------------------------------------------------------------------------------------------------------- */

struct mean {
    weir_checkpoint **checkpoints;
    int n;
    float *room;  /* [room_n] */
    double *sums; /* [room_n] */
    int64_t room_n;
};

struct mean_tensor {
    struct mean *mean;
    const char *name;
};

static weir_status room_have(struct mean *mean, int64_t n)
{
    if (n <= mean->room_n)
        return WEIR_OK;
    weir_free(mean->room);
    weir_free(mean->sums);
    mean->room = NULL;
    mean->sums = NULL;
    mean->room_n = 0;
    weir_status status = weir_alloc((size_t)n, sizeof *mean->room, &mean->room);
    if (!status)
        status = weir_alloc((size_t)n, sizeof *mean->sums, &mean->sums);
    mean->room_n = status ? 0 : n;
    return status;
}

/* Sums in double precision, in the order of the command line: the mean does not depend on the machine. */
static weir_status mean_read(void *context, int64_t first, int64_t n, float *values_out)
{
    const struct mean_tensor *t = context;
    struct mean *mean = t->mean;
    weir_status status = room_have(mean, n);
    for (int64_t i = 0; i < n && !status; i++)
        mean->sums[i] = 0;
    for (int k = 0; k < mean->n && !status; k++) {
        weir_checkpoint *c = mean->checkpoints[k];
        status = weir_checkpoint_read(c, weir_checkpoint_find(c, WEIR_CHECKPOINT_PARAMETER, t->name), first, n, mean->room);
        for (int64_t i = 0; i < n && !status; i++)
            mean->sums[i] += (double)mean->room[i];
    }
    for (int64_t i = 0; i < n && !status; i++)
        values_out[i] = (float)(mean->sums[i] / mean->n);
    return status;
}

static int n_params_of(const struct weir_checkpoint_info *info)
{
    int n = 0;
    for (int i = 0; i < info->n_tensors; i++)
        n += info->tensors[i].kind == WEIR_CHECKPOINT_PARAMETER;
    return n;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

/* Parameters come first in the list. */
static weir_status fits_check(const struct mean *mean, int k)
{
    const struct weir_checkpoint_info *a = weir_checkpoint_info(mean->checkpoints[0]), *b = weir_checkpoint_info(mean->checkpoints[k]);
    if (!same_text(a->hf_config, b->hf_config) || strcmp(a->model, b->model) != 0)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is of model '%s', '%s' of another one, '%s'", a->folder, a->model, b->folder, b->model);
    for (int i = 0; i < n_params_of(a); i++) {
        int found = weir_checkpoint_find(mean->checkpoints[k], WEIR_CHECKPOINT_PARAMETER, a->tensors[i].name);
        if (found < 0 || !same_shape(&a->tensors[i], &b->tensors[found]))
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no parameter '%s' of the shape that it has in '%s'", b->folder,
                             a->tensors[i].name, a->folder);
    }
    if (n_params_of(a) != n_params_of(b))
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has %d parameters, '%s' %d", a->folder, n_params_of(a), b->folder, n_params_of(b));
    return WEIR_OK;
}

static weir_status mean_write(struct mean *mean, const char *dir, struct weir_arena *arena)
{
    const struct weir_checkpoint_info *info = weir_checkpoint_info(mean->checkpoints[0]);
    struct weir_checkpoint_info about = {.val_loss = NAN, .model = info->model, .optimizer = "none", .hf_config = info->hf_config};
    struct weir_checkpoint_source *sources;
    struct mean_tensor *tensors;
    int n = n_params_of(info);
    weir_status status = weir_arena_alloc(arena, (size_t)n, sizeof *sources, &sources);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n, sizeof *tensors, &tensors);
    for (int i = 0; i < n && !status; i++) {
        const struct weir_checkpoint_tensor *t = &info->tensors[i];
        tensors[i] = (struct mean_tensor){mean, t->name};
        sources[i] = (struct weir_checkpoint_source){t->name, t->kind, t->n_dims, t->dims, mean_read, &tensors[i]};
    }
    return status ? status : weir_checkpoint_write(dir, &about, n, sources, NULL, 0);
}

/* Those that were named must be whole; of a folder's, those that are not are passed over. */
static weir_status one_open(struct mean *mean, const char *folder, bool named)
{
    weir_checkpoint *c = NULL;
    weir_status status = weir_checkpoint_open(folder, &c);
    if (!status)
        status = weir_checkpoint_verify(c);
    if (!status) {
        mean->checkpoints[mean->n++] = c;
        return WEIR_OK;
    }
    weir_checkpoint_close(c);
    if (named || status != WEIR_ERR_INVALID)
        return status;
    fprintf(stderr, "weir checkpoint average: passed over: %s\n", weir_last_error());
    weir_error_clear();
    return WEIR_OK;
}

static weir_status all_open(struct mean *mean, int n_paths, const char *const *paths, struct weir_arena *arena)
{
    const char **folders = NULL;
    size_t room = 0;
    int n = 0;
    weir_status status = WEIR_OK;
    for (int i = 0; i < n_paths && !status; i++)
        status = checkpoint_folders(paths[i], arena, &folders, &room, &n);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)n, sizeof(weir_checkpoint *), &mean->checkpoints);
    for (int i = 0; i < n && !status; i++) {
        bool named = false;
        for (int k = 0; k < n_paths; k++)
            named = named || !strcmp(folders[i], paths[k]);
        status = one_open(mean, folders[i], named);
    }
    if (!status && mean->n < 2)
        status = WEIR_FAIL(WEIR_ERR_USAGE, "a mean takes two checkpoints or more, not %d", mean->n);
    for (int k = 1; k < mean->n && !status; k++)
        status = fits_check(mean, k);
    return status;
}

weir_status checkpoint_average(const struct checkpoint_options *o, int n_paths, const char *const *paths, int *outcome_out)
{
    struct weir_arena arena = {0};
    struct mean mean = {.n = 0};
    *outcome_out = 0;
    if (!o->out)
        return WEIR_FAIL(WEIR_ERR_USAGE, "--out is missing: the folder of checkpoints that gets the mean");
    weir_status status = all_open(&mean, n_paths, paths, &arena);
    if (!status)
        status = mean_write(&mean, o->out, &arena);
    if (!status)
        printf("%s/step-000000: the mean of %d checkpoints\n", o->out, mean.n);
    for (int k = 0; k < mean.n; k++)
        weir_checkpoint_close(mean.checkpoints[k]);
    weir_free(mean.room);
    weir_free(mean.sums);
    weir_arena_release(&arena);
    return status;
}
